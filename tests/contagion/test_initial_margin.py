"""Initial margin: what each exchange goes by, and which bracket a position falls into."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion.initial_margin import Brackets, Groups, Names, quotes_of
from graphs.network import Network


def _three(oracle: str, **columns: object) -> Network:
    prices = {"A": 100.0, "B": 101.0, "C": 120.0}
    rows = [(venue, coin, kind, price) for venue, price in prices.items() for coin, kind in (("X", "spot"), ("X", "perp"), ("S", "spot"))]
    market = pd.DataFrame(rows, columns=["exchange", "asset", "instrument", "price"])
    market.loc[market["instrument"] == "perp", "price"] += 1
    market.loc[market["asset"] == "S", "price"] /= 100
    market = market.assign(depth=1.0, index_weight=[1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0])
    return Network.from_frames(
        name="three",
        asset=pd.DataFrame({"id": ["X"], "price": [1.0]}),
        stablecoin=pd.DataFrame({"id": ["S"]}),
        exchange=pd.DataFrame({"id": list(prices), "mark_oracle": oracle, "collateral_oracle": oracle, **columns}),
        market=market,
    )


@pytest.mark.parametrize(
    ("oracle", "columns", "mark", "index", "stable"),
    [
        ("internal", {}, [101, 102, 121], [100, 101, 120], [1.0, 1.01, 1.2]),
        ("median", {}, [102] * 3, [101] * 3, [1.01] * 3),
        ("index", {}, [(101 + 3 * 102) / 4] * 3, [(100 + 3 * 101) / 4] * 3, [(1 + 3 * 1.01) / 4] * 3),
        ("index", {"outlier": 0.5}, [(101 + 3 * 102 + 121) / 5] * 3, [(100 + 3 * 101 + 120) / 5] * 3, [(1 + 3 * 1.01 + 1.2) / 5] * 3),
        ("median", {"redemption_weight": 0.5}, [102] * 3, [101] * 3, [1.005] * 3),
    ],
)
def test_marks_and_indices_follow_the_oracle_of_each_exchange(
    oracle: str, columns: dict[str, Any], mark: list[float], index: list[float], stable: list[float]
) -> None:
    net = _three(oracle, **columns)
    quotes = quotes_of(net, Names.of(net))
    assert quotes.mark[:, 0] == pytest.approx(mark)
    assert quotes.index[:, 0] == pytest.approx(index)
    assert quotes.index[:, 1] == pytest.approx(stable)


def test_a_coin_has_its_own_price_where_nobody_trades_it_and_is_then_no_margin() -> None:
    net = _three("internal")
    kept = net.frame("market").query("exchange != 'B' or asset != 'S'")
    quotes = quotes_of(net.with_tables(market=kept), Names.of(net))
    assert (quotes.index[1, 1], quotes.haircut[1, 1]) == (1.0, 1.0)
    assert quotes.perp.tolist() == [[True, False]] * 3


@given(st.lists(st.floats(0, 1e7), max_size=20))
def test_a_position_is_in_the_highest_bracket_whose_floor_it_reaches(notionals: list[float]) -> None:
    floors, leverages = [0.0, 500.0, 5_000.0], [125.0, 50.0, 10.0]
    brackets = Brackets(np.array([0, 0, 3]), np.array(floors), np.array(leverages))
    sizes = np.array([*notionals, 500.0, np.nextafter(500.0, 0)])
    found = brackets.max_leverage(np.ones(len(sizes), dtype=np.int64), sizes)
    assert found.tolist() == [
        max(zip(floors, leverages, strict=True), key=lambda row: row[0] if row[0] <= size else -1)[1] for size in sizes
    ]
    assert np.all(np.isinf(brackets.max_leverage(np.zeros(len(sizes), dtype=np.int64), sizes)))


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-1e12, 1e12)), max_size=30), st.randoms(use_true_random=False))
def test_sums_by_account_are_the_same_bits_in_any_order(rows: list[tuple[int, float]], rng: Any) -> None:  # noqa: ANN401
    def sums(given_rows: list[tuple[int, float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        account = np.array([row[0] for row in given_rows], dtype=np.int64)
        return Groups.of(account, 5).sum(np.array([row[1] for row in given_rows]))

    first = sums(rows)
    assert np.array_equal(first, sums(rng.sample(rows, len(rows))))
    for account in range(5):
        mine = [value for owner, value in rows if owner == account]
        assert first[account] == pytest.approx(sum(mine), abs=1e-13 * sum(map(abs, mine)) + 1e-190)

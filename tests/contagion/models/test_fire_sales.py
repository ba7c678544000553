"""Deleveraging: published cascades to their digits, and what any answer must obey."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from contagion.errors import ContagionError
from contagion.models.fire_sales import FireSaleError, deleverage
from contagion.models.price_impact import Market, from_one_percent
from graphs.errors import GraphError

if TYPE_CHECKING:
    import random

    from contagion.models.fire_sales import Deleveraging

EBA = Path(__file__).with_name("eba_2018.csv")

# Farmer, Kleinnijenhuis, Nahai-Williamson and Wetzer's fire sale of the 48 banks of the EBA's stress test of 2018 (CET1, leverage
# ratio, debt securities, government bonds; EUR million), as their code gives it (ox-inet-resilience/firesale_stresstest, commit
# dd861c6, to 1e-9): price impact of a sale of 5 % of all, shock to government bonds, leverage ratio below which banks act (1: always),
# defaults and total share sold a step, prices of corporate and government bonds at the end.
OXFORD: list[Any] = [
    (
        "base",
        0.05,
        0.2,
        0.04,
        (7, 35, 2, 0, 0, 0),
        (0.0, 0.6051244472209701, 0.9938477110796555, 0.9960535553148062, 0.9960535553148062, 0.9960535553148062),
        (0.3618092382737005, 0.28732997127433224),
    ),
    (
        "pi0",
        0.0,
        0.2,
        0.04,
        (7, 0, 0, 0, 0, 0),
        (0.0, 0.6051244472209701, 0.6051244472209701, 0.6051244472209701, 0.6051244472209701, 0.6051244472209701),
        (1.0, 0.8),
    ),
    (
        "pi1",
        0.01,
        0.2,
        0.04,
        (7, 8, 3, 0, 0, 0),
        (0.0, 0.6051244472209701, 0.8892421051336731, 0.9145005812252386, 0.9145005812252386, 0.9145005812252386),
        (0.8384213171042276, 0.6635622002167375),
    ),
    (
        "pi1_shock10",
        0.01,
        0.1,
        0.04,
        (2, 0, 0, 0, 0, 0),
        (0.0, 0.14975797658053286, 0.3443889139303391, 0.5892073106976197, 0.6919919199587388, 0.8184046751069534),
        (0.8584154920884265, 0.7597169188068595),
    ),
    (
        "pi1_shock15",
        0.01,
        0.15,
        0.04,
        (4, 0, 1, 1, 0, 0),
        (0.0, 0.3457402735932196, 0.6919919199587388, 0.8529737381086061, 0.9086189156964203, 0.9145005812252386),
        (0.8384213171042276, 0.7050348377302835),
    ),
    (
        "pi1_shock30",
        0.01,
        0.3,
        0.04,
        (17, 8, 0, 0, 0, 0),
        (0.0, 0.7888830019514759, 0.9281507978283645, 0.9441580054001668, 0.9567103618006296, 0.9567103618006296),
        (0.8308586870758412, 0.5758501973206628),
    ),
    (
        "lt_shock10",
        0.01,
        0.1,
        1.0,
        (2, 1, 0, 0, 0, 0),
        (0.0, 0.40801841009579526, 0.8181402801368077, 0.9111674080771638, 0.9143516695718252, 0.914411785744386),
        (0.8387089112786293, 0.7464194419864372),
    ),
    (
        "lt_shock20",
        0.01,
        0.2,
        1.0,
        (7, 6, 0, 0, 0, 0),
        (0.0, 0.7905442446315808, 0.9323120814892721, 0.9440956253832556, 0.9465450500839828, 0.9469602412587567),
        (0.8324473315774266, 0.6594192387281818),
    ),
    (
        "pi5_shock05",
        0.05,
        0.05,
        0.04,
        (0, 2, 29, 6, 0, 0),
        (0.0, 0.08848006961353366, 0.38410728987367687, 0.9601797009611523, 0.9960535553148062, 0.9960535553148062),
        (0.3618092382737005, 0.3412043408882695),
    ),
    (
        "pi5_shock10",
        0.05,
        0.1,
        0.04,
        (2, 8, 29, 0, 0, 0),
        (0.0, 0.14975797658053286, 0.8674753737106948, 0.9960535553148062, 0.9960535553148062, 0.9960535553148062),
        (0.3618092382737005, 0.32324621768362377),
    ),
]


def _two_banks(**options: Any) -> Deleveraging:  # noqa: ANN401 - whatever deleverage takes
    """Cont and Schaanning's two banks: σ = 0.02, ADV = 50, c = 0.4, τ = 20, so D = c·ADV·√τ/σ = 4472.14."""
    depth = 0.4 * 50 / 0.02 * np.sqrt(20)
    return deleverage([[90], [70]], [4, 4.5], depth, illiquid=[[10, 0], [0, 20]], illiquid_shock=[0.2, 0], leverage_limit=33.3, **options)


def test_two_banks_of_cont_and_schaanning() -> None:
    # FinNetValu test/models/test_cs.jl, after Cont and Schaanning (2017): printed digits, then full precision of two reimplementations.
    done = _two_banks()
    start, first, second, third = done.path
    assert start.leverage == pytest.approx([49, 20])
    assert first.sold == pytest.approx([0.39, 0], abs=0.005)
    assert first.fall == pytest.approx([0.00771], abs=5e-6)
    assert first.capital == pytest.approx([1.4402843893344084, 3.9605893474689537], rel=1e-12)
    assert first.marketable == pytest.approx([54.844096760494416, 69.46058934746895], rel=1e-12)
    assert first.leverage == pytest.approx([43.63, 22.59], abs=0.005)
    assert second.sold == pytest.approx([0.32, 0], abs=0.005)
    assert second.capital == pytest.approx([1.2638185307571632, 3.6952986857872787], rel=1e-12)
    assert second.price == pytest.approx([0.9885042669398183], rel=1e-12)
    assert third.sold == pytest.approx([0.15, 0], abs=0.005)
    assert done.capital == pytest.approx([1.2221572149650584, 3.612222815188133], rel=1e-12)
    assert done.price == pytest.approx([0.9873174687884019], rel=1e-12)
    assert done.leverage == pytest.approx([32.68196797116071, 24.669636225235724], rel=1e-11)
    assert (done.rounds, done.settled, done.residual, done.defaulted.any()) == (3, True, 0.0, np.False_)


def test_two_identical_securities_are_one_of_twice_the_depth() -> None:
    # The published Julia code indexes Pi[i], one element of a matrix, in its loss, and so is right for one security only.
    depth = 0.4 * 50 / 0.02 * np.sqrt(20)
    one = _two_banks()
    halves = deleverage(
        [[45, 45], [35, 35]], [4, 4.5], depth / 2, illiquid=[10, 20], illiquid_shock=[0.2, 0], leverage_limit=33.3
    )  # half of everything sold in a market half as deep falls as far
    assert halves.capital == pytest.approx(one.capital, rel=1e-12)
    assert halves.price == pytest.approx([one.price[0]] * 2, rel=1e-12)


@pytest.mark.parametrize("case", OXFORD, ids=[case[0] for case in OXFORD])
def test_48_banks_of_the_eba(case: Any) -> None:  # noqa: ANN401 - a row of the table above
    _, impact, shock, buffer, defaults, sold, prices = case
    banks = pd.read_csv(EBA)
    assets = banks.cet1 / (banks.leverage_pct / 100)
    tradable = np.column_stack([banks.debt_securities - banks.government_bonds, banks.government_bonds])
    total = tradable.sum(axis=0)
    with np.errstate(divide="ignore"):
        depth = total * 0.05 / -np.log1p(-impact)
    done = deleverage(
        tradable,
        banks.cet1,
        depth,
        [0.0, shock],
        illiquid=assets - banks.debt_securities - 0.05 * assets,
        cash=0.05 * assets,
        leverage_limit=1 / buffer,
        leverage_target=1 / 0.05,
        default_leverage=1 / 0.03,
        floor=0.0,
        order="units",
        proceeds="keep",
        max_rounds=5,
    )
    assert [int((done.default_round == step).sum()) for step in range(6)] == list(defaults)
    kept, left = np.ones(len(banks)), [1.0]
    for step in done.path[1:]:
        kept = kept * (1 - step.sold)
        left.append(float((kept @ tradable).sum() / total.sum()))
    left += [left[-1]] * (len(sold) - len(left))
    assert 1 - np.array(left) == pytest.approx(sold, abs=1e-9)
    assert done.price == pytest.approx(prices, abs=1e-9)


@st.composite
def systems(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Holdings with zero rows and columns, capital, depth."""
    banks, assets = draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    held = draw(st.lists(st.sampled_from([0.0, 0.0, 1.0, 10.0, 55.5, 90.0]), min_size=banks * assets, max_size=banks * assets))
    capital = draw(st.lists(st.sampled_from([0.0, 0.5, 3.0, 8.0]), min_size=banks, max_size=banks))
    depth = draw(st.lists(st.sampled_from([300.0, 5000.0, np.inf]), min_size=assets, max_size=assets))
    return np.array(held).reshape(banks, assets), np.array(capital), np.array(depth)


OPTIONS = st.sampled_from(
    [
        {},
        {"order": "units", "floor": 0.0, "execution": "along"},
        {"impact": "linear", "execution": "along"},
        {"impact": "linear", "order": "units", "floor": 0.9},
        {"leverage_limit": "own", "max_rounds": 50},
        {"proceeds": "keep", "leverage_limit": 15.0, "leverage_target": 12.0},
    ]
)


@given(systems(), OPTIONS, st.sampled_from([0.0, 0.02, 0.3]))
def test_what_any_sale_obeys(system: Any, options: dict[str, Any], shock: float) -> None:  # noqa: ANN401 - arrays
    held, capital, depth = system
    done = deleverage(held, capital, depth, shock, **options)
    assert done.settled == (done.residual == 0)
    before = done.path[0]
    for now in done.path[1:]:
        # What is lost is the change of value of what is kept, and the seller's part of the fall on what is sold: never more than all of it.
        assert (now.price <= before.price).all()
        assert (now.capital <= before.capital + 1e-12).all()
        assert (now.marketable <= before.marketable * (1 - now.sold) + 1e-9).all()
        assert (now.sold[(before.marketable == 0)] == 0).all()
        before = now
    assert np.asarray(done.holdings) == pytest.approx(held * done.kept[:, None] * done.price, abs=1e-12)
    assert done.loss == pytest.approx(capital - done.capital + done.shortfall, abs=1e-9)
    if done.settled and "leverage_target" not in options and options.get("leverage_limit") != "own":
        calm = ~done.defaulted & (held.sum(axis=1) > 0)
        assert (done.leverage[calm] <= 100 / 3 * (1 + 1e-9)).all()
        assert (np.asarray(done.holdings)[done.defaulted].sum(axis=1) == 0).all()


@given(systems(), OPTIONS, st.randoms(use_true_random=False))
def test_names_and_currency_do_not_matter(system: Any, options: dict[str, Any], random: random.Random) -> None:  # noqa: ANN401 - arrays
    held, capital, depth = system
    rows, columns = list(range(held.shape[0])), list(range(held.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    one = deleverage(held, capital, depth, 0.05, **options)
    other = deleverage(64.0 * held[np.ix_(rows, columns)], 64.0 * capital[rows], 64.0 * depth[columns], 0.05, **options)
    assert other.rounds == one.rounds
    assert other.price == pytest.approx(one.price[columns], rel=1e-9)
    assert other.capital == pytest.approx(64.0 * one.capital[rows], rel=1e-9, abs=1e-9)
    assert other.default_round.tolist() == one.default_round[rows].tolist()


@given(systems(), OPTIONS)
def test_dense_sparse_frame_and_graph_agree(system: Any, options: dict[str, Any]) -> None:  # noqa: ANN401 - arrays
    held, capital, depth = system
    banks, assets = [f"bank{i}" for i in range(held.shape[0])], [f"asset{k}" for k in range(held.shape[1])]
    graph = nx.Graph()
    graph.add_nodes_from(assets, bipartite=1)
    graph.add_nodes_from(banks, bipartite=0)
    graph.add_weighted_edges_from((assets[k], banks[i], held[i, k]) for i, k in np.argwhere(held > 0))
    dense = deleverage(held, capital, depth, 0.05, **options)
    named = {"capital": dict(zip(banks, capital, strict=True)), "depth": dict(zip(assets, depth, strict=True))}
    for other in (
        deleverage(csr_array(held), capital, depth, 0.05, **options),
        deleverage(pd.DataFrame(held, index=banks, columns=assets), **named, shock=dict.fromkeys(assets, 0.05), **options),
        deleverage(graph, **named, shock=0.05, **options),
    ):
        assert other.rounds == dense.rounds
        assert other.price == pytest.approx(dense.price, rel=1e-12)
        assert other.capital == pytest.approx(dense.capital, rel=1e-9, abs=1e-12)


def test_a_sparse_system_of_many_banks_stays_sparse() -> None:
    random = np.random.default_rng(1)
    banks, assets, cells = 200_000, 2_000, 600_000
    held = csr_array(
        (random.lognormal(size=cells), (random.integers(0, banks, cells), random.integers(0, assets, cells))), shape=(banks, assets)
    )
    total = np.asarray(held.sum(axis=1)).ravel()
    done = deleverage(held, total / 25, np.full(assets, 50_000.0), 0.02)  # banks × banks would be 320 GB
    assert done.settled
    assert 0 < done.sold.mean() < 1
    assert isinstance(done.holdings, csr_array)


def test_a_bank_without_capital_sells_all_and_one_without_assets_nothing() -> None:
    done = deleverage([[10.0], [0.0], [0.0]], [0.0, 0.0, 5.0], np.inf)
    assert done.kept.tolist() == [0.0, 1.0, 1.0]
    assert done.default_round.tolist() == [0, -1, -1]
    assert done.leverage.tolist() == [0.0, 0.0, 0.0]


def test_losses_beyond_capital_are_a_shortfall() -> None:
    done = deleverage([[100.0]], [1.0], np.inf, 0.05)
    assert (done.capital.tolist(), done.shortfall.tolist(), done.loss.tolist()) == ([0.0], [4.0], [5.0])


@pytest.mark.parametrize("form", ["exponential", "linear"])
@pytest.mark.parametrize("order", ["value", "units"])
def test_selling_along_costs_what_many_small_sales_cost(form: Any, order: Any) -> None:  # noqa: ANN401 - words
    market = Market(np.array([1000.0]), np.array([0.3]), form, "units")
    price, sold = np.array([0.9]), np.array([1200.0 if order == "value" else 300.0])
    fall, bears = market.sell(price, sold)
    parts, taken, now = 2_000, 0.0, price
    for _ in range(parts):
        step, _ = market.sell(now, sold / parts)
        taken += float((sold / parts * now * (1 - step / 2))[0])
        now = now * (1 - step)
    assert now == pytest.approx(price * (1 - fall), rel=1e-9)
    assert taken == pytest.approx(float((sold * price * (1 - bears * fall))[0]), rel=1e-4)
    assert now[0] >= 0.3


def test_depth_of_one_percent_moves_the_price_by_one_percent() -> None:
    for form in ("exponential", "linear"):
        market = Market(from_one_percent([70.0], impact=form), np.zeros(1), form, "units")
        assert market.sell(np.ones(1), np.array([70.0]))[0] == pytest.approx([0.01], rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([[1, 2]], [1], 0.0), {}, ["depth", "above 0"]),
        (([[1, -2]], [1], 1.0), {}, ["holdings", "[0, 1]", "-2.0"]),
        (([[1, np.nan]], [1], 1.0), {}, ["nan"]),
        (([[1, 2]], [1, 2], 1.0), {}, ["capital", "(2,)"]),
        (([[1, 2]], [1], 1.0, [0.1]), {}, ["shock", "(1,)"]),
        (([[1, 2]], [1], 1.0, 1.5), {}, ["shock", "1.5"]),
        (([[1, 2]], [1], 1.0), {"illiquid_shock": 0.1}, ["illiquid"]),
        (([[1, 2]], [1], 1.0), {"leverage_limit": "mine"}, ["'mine'", "own"]),
        (([[1, 2]], [1], 1.0), {"leverage_limit": 0.5}, ["leverage_limit", "0.5"]),
        (([[1, 2]], [1], 1.0), {"impact": "cubic"}, ["cubic"]),
        (([[1, 2]], [1], 1.0), {"execution": 2}, ["execution"]),
        (([[1, 2]], [1], 1.0), {"floor": 1.0}, ["floor"]),
        (([[1, 2]], [1], 1.0), {"illiquid": [[1.0], [2.0]]}, ["illiquid", "2 rows"]),
        ((nx.Graph([("a", "b")]), [1], 1.0), {}, ["bipartite"]),
    ],
)
def test_bad_input_is_named(arguments: Any, options: dict[str, Any], words: list[str]) -> None:  # noqa: ANN401 - whatever a caller gives
    with pytest.raises((ContagionError, GraphError)) as caught:
        deleverage(*arguments, **options)
    assert all(word in str(caught.value) for word in words), caught.value
    assert issubclass(FireSaleError, ContagionError)

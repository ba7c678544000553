"""Restoration: bringing a policy into force costs nobody equity, keeps open interest balanced, and does no more than it must."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import PolicyError
from contagion.initial_margin import Names, quotes_of
from contagion.policy import Policy, apply_policy
from graphs.checks import check_network
from graphs.network import Network
from graphs.schema import TABLES
from graphs.toys import delta_neutral_issuer, one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from contagion.restoration import AdjustmentReport

PRICES = {"BTC": 100.0, "ETH": 10.0, "USDe": 1.0}
BRACKETS = {"BTC": [(0, 0.004, 125), (500, 0.01, 50), (5_000, 0.05, 10)], "ETH": [(0, 0.01, 50), (2_000, 0.02, 20)]}
Key = tuple[str, str, str]


def random_net(seed: int, *, longs: bool = False) -> Network:
    """Two exchanges, cross and isolated accounts, coins as margin, brackets that sizes straddle, a few already short.

    One rich maker balances every market; with ``longs`` it is the only one who is short.
    """
    rng = np.random.default_rng(seed)
    exchanges, owners = ("Binance", "Bybit"), [f"T{number}" for number in range(int(rng.integers(3, 12)))]
    books = [(venue, coin, kind) for venue in exchanges for coin in PRICES for kind in ("spot", "perp") if (coin, kind) != ("USDe", "perp")]
    market = pd.DataFrame(books, columns=["exchange", "asset", "instrument"])
    market["price"] = [PRICES[coin] * (1 + 0.01 * rng.standard_normal()) for coin in market["asset"]]
    market["depth"] = 1e5
    market["collateral_haircut"] = np.where((market["instrument"] == "spot") & (rng.random(len(market)) < 0.8), 0.1, 1.0)
    market.loc[0, "collateral_haircut"] = market.loc[4, "collateral_haircut"] = 0.1  # BTC and USDe at Binance
    tiers = [(venue, coin, *row) for venue in exchanges for coin, rows in BRACKETS.items() for row in rows]
    positions: dict[tuple[str, str, str, str], float] = {}
    for venue in exchanges:
        for coin in ("BTC", "ETH"):
            for owner in owners:
                mode = "isolated" if rng.random() < 0.3 else "cross"
                if rng.random() < 0.7:
                    sign = 1 if longs else rng.choice([-1, 1])
                    positions[owner, coin, venue, mode] = float(sign * (0.1 + rng.pareto(1.0)) * 300 / PRICES[coin])
            total = math.fsum(size for (_, *where, _), size in positions.items() if where == [coin, venue])
            positions["Maker", coin, venue, "cross"] = -total
    margin = pd.DataFrame([(*key, size) for key, size in positions.items()], columns=["owner", "asset", "exchange", "mode", "quantity"])
    margin["entry_price"] = [PRICES[coin] * math.exp(0.02 * rng.standard_normal()) for coin in margin["asset"]]
    need = np.abs(margin["quantity"]) * margin["entry_price"]
    margin["isolated_margin"] = np.where(margin["mode"] == "isolated", need * rng.uniform(0.1, 0.5, len(margin)), 0.0)
    stored = [(owner, venue, coin) for owner in owners for venue in exchanges for coin in ("USD", "USDe", "BTC") if rng.random() < 0.5]
    collateral = pd.DataFrame(stored, columns=["owner", "exchange", "asset"])
    collateral["quantity"] = [rng.uniform(0, 400) / PRICES.get(coin, 1.0) for coin in collateral["asset"]]
    maker = pd.DataFrame({"owner": "Maker", "exchange": list(exchanges), "asset": "USD", "quantity": 1e7})
    return Network.from_frames(
        name=f"random {seed}",
        trader=pd.DataFrame({"id": [*owners, "Maker"]}),
        asset=pd.DataFrame({"id": ["BTC", "ETH"], "price": [100.0, 10.0]}),
        stablecoin=pd.DataFrame({"id": ["USDe"], "supply": [1e6], "redemption_open": [False]}),
        exchange=pd.DataFrame({"id": list(exchanges), "insurance_fund": [1e3, 0.0], "collateral_oracle": ["internal", "index"]}),
        market=market,
        margin_tier=pd.DataFrame(tiers, columns=["exchange", "asset", "floor", "maintenance_rate", "max_leverage"]),
        margin=margin,
        collateral=pd.concat([collateral, maker], ignore_index=True),
    )


SEEDS = st.integers(0, 10**6)
POLICIES = st.sampled_from(
    [
        ["leverage_cap=5"],
        ["leverage_cap=2"],
        ["leverage_cap:BTC=3"],
        ["leverage_cap:Binance=x0.3"],
        ["haircut=90%"],
        ["haircut:USDe=1", "leverage_cap:ETH@Bybit=4"],
        ["collateral_oracle=median", "mark_oracle=index", "leverage_cap=20"],
    ]
)


class Book:
    """Margins of a network, row by row from the definitions."""

    def __init__(self, net: Network) -> None:
        self.net, self.names = net, Names.of(net)
        self.quotes = quotes_of(net, self.names)
        tiers = (net.strings("margin_tier", "exchange"), net.strings("margin_tier", "asset"), net.numbers("margin_tier", "floor"))
        self.tiers = sorted(zip(*(column.tolist() for column in tiers), net.numbers("margin_tier", "max_leverage").tolist(), strict=True))

    def place(self, venue: str, coin: str) -> tuple[int, int]:
        return self.names.exchanges.index(venue), self.names.coins.index(coin)

    def initial(self, venue: str, coin: str, quantity: float) -> float:
        notional = abs(quantity) * float(self.quotes.mark[self.place(venue, coin)])
        return notional / float(next(lev for at, of, floor, lev in reversed(self.tiers) if (at, of) == (venue, coin) and floor <= notional))

    def positions(self) -> list[tuple[Key, str, float, float, float]]:
        """Account, coin, quantity, entry price and isolated margin of each row."""
        texts = [self.net.strings("margin", column).tolist() for column in ("owner", "exchange", "asset", "mode")]
        numbers = [self.net.numbers("margin", column).tolist() for column in ("quantity", "entry_price", "isolated_margin")]
        return [
            ((owner, venue, coin if mode == "isolated" else ""), coin, *row)
            for owner, venue, coin, mode, row in zip(*texts, zip(*numbers, strict=True), strict=True)
        ]

    def coins(self) -> list[tuple[Key, str, float]]:
        texts = [self.net.strings("collateral", column).tolist() for column in ("owner", "exchange", "asset")]
        rows = zip(*texts, self.net.numbers("collateral", "quantity").tolist(), strict=True)
        return [((owner, venue, ""), coin, quantity) for owner, venue, coin, quantity in rows]


def accounts(net: Network) -> dict[Key, dict[str, float]]:
    """Equity, margin balance, initial margin and notional of every account."""
    book = Book(net)
    found: dict[Key, dict[str, float]] = {}

    def add(key: Key, **amounts: float) -> None:
        account = found.setdefault(key, {"equity": 0.0, "balance": 0.0, "initial": 0.0, "notional": 0.0})
        for name, amount in amounts.items():
            account[name] += amount

    for key, coin, quantity, entry, margin in book.positions():
        mark = float(book.quotes.mark[book.place(key[1], coin)])
        value = margin + quantity * (mark - entry)
        add(key, equity=value, balance=value, notional=abs(quantity) * mark, initial=book.initial(key[1], coin, quantity))
    for key, coin, quantity in book.coins():
        place = (0, 0) if coin == "USD" else book.place(key[1], coin)
        price, haircut = (1.0, 0.0) if coin == "USD" else (float(book.quotes.index[place]), float(book.quotes.haircut[place]))
        add(key, equity=quantity * price, balance=quantity * price * (1 - haircut))
    return found


def _ruled(net: Network, texts: list[str]) -> Network:
    """The network under the new rules, nobody restored."""
    done, _ = apply_policy(net, Policy.from_texts(texts))
    return done.with_tables(margin=net.tables["margin"], collateral=net.tables["collateral"])


def _applied(net: Network, texts: list[str], restore: str) -> tuple[Network, AdjustmentReport]:
    return apply_policy(net, Policy.from_texts([*texts, f"restore={restore}"]))


def _need_restoring(net: Network, texts: list[str]) -> set[Key]:
    old, new = accounts(net), accounts(_ruled(net, texts))
    slack = {key: (row["balance"] - row["initial"], old[key]["balance"] - old[key]["initial"]) for key, row in new.items()}
    tolerance = {key: 1e-9 * (row["notional"] + abs(row["balance"])) for key, row in new.items()}
    return {key for key, (now, before) in slack.items() if now < -tolerance[key] and now < before - tolerance[key]}


def _sides(net: Network) -> dict[tuple[str, str], tuple[float, float]]:
    frame = net.frame("margin")
    groups = frame.groupby(["exchange", "asset"])["quantity"]
    return {key: (math.fsum(rows[rows > 0]), math.fsum(rows[rows < 0])) for key, rows in groups}  # type: ignore[misc]


@settings(max_examples=25)
@given(SEEDS, POLICIES)
def test_scaling_restores_whom_the_policy_left_short_and_costs_nobody_equity(seed: int, texts: list[str]) -> None:
    net = random_net(seed)
    assert not check_network(net)
    ruled = accounts(_ruled(net, texts))
    after_net, report = _applied(net, texts, "scale")
    after, restored = accounts(after_net), _need_restoring(net, texts)
    added = 0.0
    for key, row in ruled.items():
        scale = row["notional"] + abs(row["equity"]) + 1e-9
        gain = after[key]["equity"] - row["equity"]
        if key in restored:
            assert after[key]["balance"] - after[key]["initial"] > -2e-9 * scale
        if key in restored and row["balance"] <= 0:
            added += gain
        else:
            assert abs(gain) < 1e-9 * scale
    assert math.isclose(report.margin_added_usd, added, rel_tol=1e-6, abs_tol=1e-6)
    assert report.accounts == len(restored)
    assert all(math.isclose(long, -short, rel_tol=1e-9) for long, short in _sides(net).values())
    assert not check_network(after_net)


@settings(max_examples=25)
@given(SEEDS, POLICIES)
def test_scaling_keeps_open_interest_balanced_to_the_last_lot(seed: int, texts: list[str]) -> None:
    net = random_net(seed)
    after, report = _applied(net, texts, "scale")
    before, now = net.numbers("margin", "quantity"), after.numbers("margin", "quantity")
    touched = {
        (venue, coin)
        for venue, coin, old, new in zip(
            net.strings("margin", "exchange"), net.strings("margin", "asset"), before.tolist(), now.tolist(), strict=True
        )
        if old != new
    }
    for market, (long, short) in _sides(after).items():
        assert market not in touched or long == -short
    assert np.all(np.abs(now) <= np.abs(before))
    assert np.all(now * before >= 0)
    assert np.array_equal(net.numbers("margin", "entry_price"), after.numbers("margin", "entry_price"))
    quotes, names = quotes_of(after, Names.of(after)), Names.of(after)
    marks = quotes.mark[net.codes("margin", "exchange", names.exchanges), net.codes("margin", "asset", names.coins)]
    total = report.positions_cut_usd + report.counterparties_cut_usd
    assert math.isclose(total, math.fsum((np.abs(before) - np.abs(now)) * marks), rel_tol=1e-9, abs_tol=1e-9)
    # every unit that one side gives up the other gives up too, so own cuts are at least half
    assert report.counterparties_cut_usd <= report.positions_cut_usd * (1 + 1e-9) + 1e-9


@settings(max_examples=25)
@given(SEEDS, POLICIES)
def test_margin_adds_exactly_what_is_missing_and_moves_nothing_else(seed: int, texts: list[str]) -> None:
    net = random_net(seed)
    ruled = accounts(_ruled(net, texts))
    after_net, report = _applied(net, texts, "margin")
    after, restored = accounts(after_net), _need_restoring(net, texts)
    assert np.array_equal(after_net.numbers("margin", "quantity"), net.numbers("margin", "quantity"))
    missing = {key: ruled[key]["initial"] - ruled[key]["balance"] if key in restored else 0.0 for key in ruled}
    for key, row in ruled.items():
        assert abs(after[key]["equity"] - row["equity"] - missing[key]) < 1e-9 * (row["notional"] + abs(row["equity"]) + 1)
    assert math.isclose(report.margin_added_usd, math.fsum(missing.values()), rel_tol=1e-9, abs_tol=1e-9)
    assert (report.positions_cut_usd, report.counterparties_cut_usd) == (0, 0)
    assert not check_network(after_net)


@settings(max_examples=25)
@given(SEEDS, POLICIES)
def test_no_smaller_cut_would_do(seed: int, texts: list[str]) -> None:
    """An account that kept a millionth more of everything would be short again."""
    net = random_net(seed, longs=True)
    done, _ = _applied(net, texts, "scale")
    ruled, book = accounts(_ruled(net, texts)), Book(done)
    kept: dict[Key, list[tuple[str, float, float]]] = {}
    for (key, coin, was, *_), (_, _, now, *_) in zip(Book(net).positions(), book.positions(), strict=True):
        kept.setdefault(key, []).append((coin, was, now))
    for key in _need_restoring(net, texts):
        if ruled[key]["balance"] > 0:
            rows = kept[key]
            assert all(now / was == pytest.approx(rows[0][2] / rows[0][1], rel=1e-6) for _, was, now in rows)  # all in one proportion
            assert math.fsum(book.initial(key[1], coin, now * (1 + 1e-6)) for coin, _, now in rows) > ruled[key]["balance"]


@settings(max_examples=15)
@given(SEEDS, POLICIES, st.sampled_from(["scale", "margin"]), st.randoms(use_true_random=False))
def test_the_order_and_the_names_of_rows_change_nothing_but_names(seed: int, texts: list[str], restore: str, rng: Any) -> None:  # noqa: ANN401
    net = random_net(seed)
    orders = {kind: rng.sample(range(table.num_rows), table.num_rows) for kind, table in net.tables.items()}
    shuffled = net.with_tables(**{kind: table.take(pa.array(orders[kind])) for kind, table in net.tables.items()})
    one, first = _applied(net, texts, restore)
    two, second = _applied(shuffled, texts, restore)

    def sorted_rows(of: Network, kind: str) -> pd.DataFrame:
        return of.frame(kind).sort_values(list(TABLES[kind].key)).reset_index(drop=True)

    for kind in net.tables:
        pd.testing.assert_frame_equal(sorted_rows(one, kind), sorted_rows(two, kind), check_exact=True)
    assert {row.exchange: row for row in first.exchanges} == {row.exchange: row for row in second.exchanges}


def test_who_was_short_before_and_is_no_worse_off_stays() -> None:
    net = one_book_ladder()
    collateral = net.frame("collateral")
    collateral.loc[collateral["owner"] == "Long1", "quantity"] = 4.5  # 400 USD of COIN at leverage 50 need 8
    short = net.with_tables(collateral=collateral)
    same, report = apply_policy(short, Policy.from_texts(["leverage_cap=50"]))
    assert report.accounts == 0
    assert same.equals(short)
    capped, report = apply_policy(short, Policy.from_texts(["leverage_cap=40"]))
    assert "Long1" in {owner for owner, was, now in _changes(short, capped) if was != now}
    assert report.accounts >= 1


def _changes(before: Network, after: Network) -> list[tuple[str, float, float]]:
    columns = before.strings("margin", "owner"), before.numbers("margin", "quantity"), after.numbers("margin", "quantity")
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_ladder_is_cut_to_the_cap_by_hand() -> None:
    # two longs of 1 and 2 units at 100 with 10 and 30 USD; a cap of 5 lets them hold 0.5 and 1.5 units
    net = one_book_ladder(quantities=[1.0, 2.0], liquidation_prices=[95.0, 90.0])
    collateral = net.frame("collateral")
    collateral["quantity"] = [10.0, 30.0, 1e4]
    after, report = apply_policy(net.with_tables(collateral=collateral), Policy.from_texts(["leverage_cap=5"]))
    assert after.numbers("margin", "quantity") == pytest.approx([0.5, 1.5, -2.0], rel=1e-12)
    assert after.numbers("collateral", "quantity") == pytest.approx([10.0, 30.0, 1e4])
    assert report.frame().to_dict("records") == [
        {
            "exchange": "Book",
            "accounts": 2,
            "positions_cut_usd": pytest.approx(100.0),
            "counterparties_cut_usd": pytest.approx(100.0),
            "margin_added_usd": 0.0,
        }
    ]


def test_a_gain_or_loss_realised_by_a_cut_moves_to_cash() -> None:
    net = one_book_ladder(quantities=[1.0, 2.0], liquidation_prices=[95.0, 90.0])
    margin, collateral = net.frame("margin"), net.frame("collateral")
    margin["entry_price"] = [110.0, 100.0, 100.0]
    collateral["quantity"] = [20.0, 1e3, 1e4]  # Long1 has lost 10 of 20, so a cap of 5 lets it hold half a unit
    after, _ = apply_policy(net.with_tables(margin=margin, collateral=collateral), Policy.from_texts(["leverage_cap=5"]))
    assert after.numbers("margin", "quantity")[0] == pytest.approx(0.5, rel=1e-12)
    assert after.numbers("collateral", "quantity")[0] == pytest.approx(15.0, rel=1e-12)  # half of the loss is paid


def test_an_account_of_coins_alone_gets_a_row_of_cash() -> None:
    net = two_exchange_stablecoin()
    after, report = _applied(net, ["leverage_cap=4"], "margin")
    assert after.count("collateral") == net.count("collateral") + report.accounts > net.count("collateral")
    assert not check_network(after)


def test_where_cutting_cannot_help_cash_is_added_and_reported() -> None:
    after, report = apply_policy(two_exchange_stablecoin(), Policy.from_texts(["haircut:USDX=1"]))
    assert report.positions_cut_usd == 0
    assert report.margin_added_usd == pytest.approx(
        sum(row["initial"] for row in accounts(after).values() if row["balance"] <= row["initial"])
    )


def test_the_hedge_of_an_issuer_is_cut_with_the_rest() -> None:
    after, report = apply_policy(delta_neutral_issuer(), Policy.from_texts(["leverage_cap=5"]))
    longs, shorts = next(iter(_sides(after).values()))
    assert longs == -shorts < 100
    assert report.accounts == 2  # the levered long, and the issuer, whose own leverage is 10


def test_a_bankrupt_isolated_position_is_no_counterparty() -> None:
    frame = pd.DataFrame(
        {
            "owner": ["A", "B"],
            "asset": "BTC",
            "exchange": "X",
            "quantity": [1.0, -1.0],
            "entry_price": [100.0, 50.0],
            "mode": ["cross", "isolated"],
            "isolated_margin": [0.0, 10.0],
        }
    )
    net = Network.from_frames(
        name="pair",
        trader=pd.DataFrame({"id": ["A", "B"]}),
        asset=pd.DataFrame({"id": ["BTC"], "price": [100.0]}),
        exchange=pd.DataFrame({"id": ["X"]}),
        market=pd.DataFrame({"exchange": ["X"], "asset": ["BTC"], "instrument": ["perp"], "price": [100.0], "depth": [1e3]}),
        margin_tier=pd.DataFrame({"exchange": ["X"], "asset": ["BTC"], "floor": [0.0], "maintenance_rate": [0.01], "max_leverage": [50.0]}),
        margin=frame,
        collateral=pd.DataFrame({"owner": ["A"], "asset": ["USD"], "exchange": ["X"], "quantity": [10.0]}),
    )
    with pytest.raises(PolicyError, match=r"perp of BTC at X: one side is to be cut by 0\.5 units more .* restore with margin"):
        _applied(net, ["leverage_cap:X=20", "leverage_cap:BTC@X=5"][1:], "scale")
    after, _ = _applied(net, ["leverage_cap=5"], "margin")
    assert after.numbers("collateral", "quantity").tolist() == [20.0]


def test_open_interest_that_does_not_balance_is_refused() -> None:
    net = one_book_ladder()
    margin = net.frame("margin")
    margin["quantity"] += 1.0
    with pytest.raises(PolicyError, match="do not balance; run the checks"):
        apply_policy(net.with_tables(margin=margin), Policy.from_texts(["leverage_cap=2"]))


def test_the_random_networks_hold_what_these_tests_are_about() -> None:
    """Restored accounts, isolated ones among them, some that cutting cannot help, and some short before and left alone."""
    restored, helpless, isolated, left = 0, 0, 0, 0
    for seed in range(20):
        net = random_net(seed)
        for texts in (["leverage_cap=5"], ["haircut=90%"]):
            ruled, keys = accounts(_ruled(net, texts)), _need_restoring(net, texts)
            restored += len(keys)
            helpless += sum(ruled[key]["balance"] <= 0 for key in keys)
            isolated += sum(bool(key[2]) for key in keys)
            left += sum(row["balance"] < row["initial"] and key not in keys for key, row in ruled.items())
    assert min(restored, helpless, isolated, left) > 5

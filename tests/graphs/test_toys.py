"""The toys do what they are for: each is at rest, and its numbers are those that can be computed by hand."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.checks import check_network
from graphs.errors import GraphError
from graphs.schema import USD
from graphs.toys import delta_neutral_issuer, interbank_ring, one_book_ladder, two_exchange_stablecoin
from tests.graphs.ledger import Ledger, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphs.network import Network

TOYS = (one_book_ladder, two_exchange_stablecoin, delta_neutral_issuer, interbank_ring)

# Derived: closed form s*_K = max over k < K of 1 - (L_{k+1} + κ Q_k)/P₀, compared with bisection to 1e-15.
CASE = {
    "kappa": 0.25,
    "quantities": (
        4.231763158945975,
        2.533475523142073,
        2.6338928216799946,
        1.1811007756097807,
        3.061302244168568,
        1.2157228095266257,
        2.1432055203525664,
        4.220011694981521,
    ),
    "liquidation_prices": (
        96.96689881766179,
        96.88014465779092,
        96.58976556095702,
        96.36143839380972,
        95.30323546997778,
        93.31930758222533,
        89.69208024779807,
        80.90423480213364,
    ),
}
CRITICAL = (*[0.03033101182338216] * 5, 0.032703087868880654, 0.06593605418933679, 0.1484564948450996)


@pytest.mark.parametrize("build", TOYS)
def test_it_is_sound_and_nobody_is_in_breach(build: Callable[[], Network]) -> None:
    net = build()
    assert check_network(net) == []
    assert net.name == build.__name__
    ledger = Ledger(net)
    assert all(ledger.slack(account) > 0.01 * ledger.notional(account) for account in ledger.accounts.values())


@pytest.mark.parametrize("build", TOYS)
def test_it_has_no_gap_that_anybody_would_trade(build: Callable[[], Network]) -> None:
    prices: dict[str, set[float]] = {}
    for coin, price in rows(build(), "market", "asset price"):
        prices.setdefault(coin, set()).add(price)
    assert all(len(found) == 1 for found in prices.values())


def liquidated(net: Network, ledger: Ledger, shock: float) -> int:
    """How many longs of a one-book network fall under linear impact, in plain loops of its definitions."""
    start, depth = net.numbers("market", "price")[0], net.numbers("market", "depth")[0]
    closed: dict[str, float] = {}
    while True:
        price = start * (1 - shock) - 0.01 * start * sum(closed.values()) / (depth / start)
        ledger.factors = {"COIN": price / start}
        new = {
            account.owner: account.positions[0][1]
            for account in ledger.accounts.values()
            if account.owner not in closed and ledger.slack(account) <= 1e-12 * ledger.notional(account)
        }
        if not new:
            return len(closed)
        closed |= new


def closed_form(quantities: Sequence[float], levels: Sequence[float], kappa: float, price: float) -> list[float]:
    below = itertools.accumulate(quantities, initial=0.0)
    return list(itertools.accumulate((1 - (level + kappa * sold) / price for level, sold in zip(levels, below, strict=False)), max))


@st.composite
def ladders(draw: st.DrawFn) -> dict[str, object]:
    price = draw(st.sampled_from([1.0, 100.0, 60_000.0]))
    fractions = draw(st.lists(st.floats(0.5, 0.99), min_size=1, max_size=6, unique=True))
    sizes = draw(st.lists(st.floats(0.1, 20.0), min_size=len(fractions), max_size=len(fractions)))
    return {
        "price": price,
        "quantities": sizes,
        "liquidation_prices": [price * fraction for fraction in sorted(fractions, reverse=True)],
        "maintenance_rate": draw(st.floats(0.0, 0.05)),
        "kappa": draw(st.floats(1e-4, 0.02)) * price,
    }


@given(ladder=ladders())
def test_each_long_is_in_breach_at_its_liquidation_price_and_not_above(ladder: dict[str, list[float]]) -> None:
    net = one_book_ladder(**ladder)  # type: ignore[arg-type]
    ledger = Ledger(net)
    for number, level in enumerate(ladder["liquidation_prices"], 1):
        ledger.factors = {"COIN": level / ladder["price"]}  # type: ignore[operator]
        account = ledger.accounts[f"Long{number}", "Book", ""]
        assert abs(ledger.slack(account)) <= 1e-12 * max(ledger.notional(account), account.usd)
        assert ledger.slack(ledger.accounts["Whale", "Book", ""]) > 0


@given(ladder=ladders())
def test_the_ladder_falls_at_the_shock_of_the_closed_form(ladder: dict[str, list[float]]) -> None:
    net = one_book_ladder(**ladder)  # type: ignore[arg-type]
    critical = closed_form(ladder["quantities"], ladder["liquidation_prices"], ladder["kappa"], ladder["price"])  # type: ignore[arg-type]
    ledger = Ledger(net)
    for count, shock in enumerate(critical, 1):
        assert liquidated(net, ledger, shock + 1e-9) >= count
        assert liquidated(net, ledger, shock - 1e-9) < count


def test_the_ladder_reproduces_the_derived_case() -> None:
    net = one_book_ladder(**CASE)  # type: ignore[arg-type]
    assert net.numbers("market", "depth")[0] == 400.0  # 0.01 P₀²/κ
    ledger = Ledger(net)
    for count, shock in enumerate(CRITICAL, 1):
        assert liquidated(net, ledger, shock + 1e-12) >= count
        assert liquidated(net, ledger, shock - 1e-12) < count


def test_depth_is_kappa_by_another_name() -> None:
    assert one_book_ladder(kappa=0.25).equals(one_book_ladder(depth=400.0))
    assert set(one_book_ladder(exchange="Venue").strings("margin", "exchange")) == {"Venue"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantities": [1.0]}, "as many of each"),
        ({"quantities": [], "liquidation_prices": []}, "at least one"),
        ({"quantities": [1.0, 1.0], "liquidation_prices": [90.0, 100.0]}, "long 2 "),
        ({"quantities": [0.0, -1.0], "liquidation_prices": [90.0, 80.0]}, "long 1, 2 "),
        ({"maintenance_rate": 1.0}, "maintenance_rate is 1.0"),
        ({"kappa": 0.0}, "kappa = 0.0"),
        ({"price": math.nan}, "price = nan"),
        ({"depth": -1.0}, "depth = -1.0"),
    ],
)
def test_a_ladder_that_means_nothing_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(GraphError, match=words):
        one_book_ladder(**options)  # type: ignore[arg-type]


def test_the_thin_book_alone_brings_down_who_is_margined_by_it() -> None:
    leverage, haircut = 8.0, 0.05
    net = two_exchange_stablecoin(leverage=leverage, haircut=haircut)
    critical = 0.01 * leverage / (1 - haircut)  # units · X (1 − h) = rate · notional, units = notional / leverage
    for side, factor in ((1, critical * (1 + 1e-9)), (-1, critical * (1 - 1e-9))):
        ledger = Ledger(net, {"USDX": factor})
        assert side * ledger.slack(ledger.accounts["HighThin", "Thin", ""]) > 0
        assert all(ledger.slack(account) > 0 for account in ledger.accounts.values() if "High" not in account.owner)


@given(leverage=st.floats(1.0, 94.9), haircut=st.floats(0.0, 0.05))
def test_the_stablecoin_is_backed_and_its_holders_are_not_in_breach(leverage: float, haircut: float) -> None:
    net = two_exchange_stablecoin(leverage=leverage, haircut=haircut)
    ledger = Ledger(net)
    assert all(ledger.slack(account) > 0 for account in ledger.accounts.values())
    supply = net.numbers("stablecoin", "supply")[0]
    worth = sum(quantity * (1.0 if coin == USD else 100.0) for coin, quantity in rows(net, "backing", "asset quantity"))
    assert worth == pytest.approx(1.1 * supply)
    posted = sum(quantity for account in ledger.accounts.values() for _, quantity in account.coins)
    assert posted < supply


def test_a_stablecoin_market_in_breach_from_the_start_is_refused() -> None:
    with pytest.raises(GraphError, match="keep the leverage under 95"):
        two_exchange_stablecoin(leverage=95.0)
    with pytest.raises(GraphError, match="haircut is 1"):
        two_exchange_stablecoin(haircut=1.0)


@given(price=st.floats(1.0, 1e5), factor=st.floats(0.2, 1.9), units=st.floats(41.0, 1e4), surplus=st.sampled_from([0.0, 500.0]))
def test_backing_and_hedge_are_worth_the_supply_and_surplus_at_any_price(price: float, factor: float, units: float, surplus: float) -> None:
    net = delta_neutral_issuer(price=price, units=units, surplus=surplus)
    ledger = Ledger(net, {"COIN": factor})
    backing = sum(quantity * (1.0 if coin == USD else price * factor) for coin, quantity in rows(net, "backing", "asset quantity"))
    worth = backing + ledger.equity(ledger.accounts["USDN", "Venue", ""])
    assert worth == pytest.approx(net.numbers("stablecoin", "supply")[0] + surplus, rel=1e-12)


def test_the_levered_long_is_bankrupt_where_the_derived_case_has_it() -> None:
    # Derived: 100 units hedged at 100; 40 contracts of a long with bankruptcy price 90 are deleveraged at mark 80; the hedge loses 400.
    net = delta_neutral_issuer()
    at_bankruptcy, at_mark = Ledger(net, {"COIN": 0.9}), Ledger(net, {"COIN": 0.8})
    levered = ("Levered", "Venue", "")
    assert at_bankruptcy.equity(at_bankruptcy.accounts[levered]) == pytest.approx(0.0, abs=1e-9)
    assert at_mark.equity(at_mark.accounts[levered]) == pytest.approx(-400.0)
    unlevered = at_mark.accounts["Unlevered", "Venue", ""]
    assert at_mark.slack(unlevered) > 0
    assert net.numbers("exchange", "insurance_fund")[0] == 0.0


def test_an_issuer_whose_hedge_is_all_levered_is_refused() -> None:
    for options in ({"levered": 100.0}, {"leverage": 200.0}, {"leverage": 0.5}):
        with pytest.raises(GraphError, match="fewer than all"):
            delta_neutral_issuer(**options)
    with pytest.raises(GraphError, match="surplus is -1"):
        delta_neutral_issuer(surplus=-1.0)


@given(n=st.integers(2, 9), amount=st.floats(1.0, 1e6), cash=st.floats(10.0, 1e6))
def test_the_ring_owes_in_a_circle(n: int, amount: float, cash: float) -> None:
    net = interbank_ring(n=n, amount=amount, cash=cash, external_debt=10.0)
    assert check_network(net) == []
    debtors, creditors = net.strings("credit", "debtor"), net.strings("credit", "creditor")
    after = dict(zip(debtors, creditors, strict=True))
    bank, seen = "Bank1", set()
    while bank not in seen:
        seen.add(bank)
        bank = after[bank]
    assert bank == "Bank1"
    assert seen == set(net.node_ids("trader"))
    assert len(seen) == n


def test_a_ring_that_is_none_is_refused() -> None:
    with pytest.raises(GraphError, match="at least 2 banks"):
        interbank_ring(n=1)
    with pytest.raises(GraphError, match="less cash than external debt"):
        interbank_ring(cash=1.0)

"""Steps 1 and 6: oracles, impact, depth and its withdrawal, price bands, halts and outages."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion.impact import execute, quantity_to
from contagion.journal import Flow
from graphs.network import Network
from tests.contagion.engine.build import frame, run, stages, venue

K = -math.log(0.99)
LONG = {"L": (10.0, 100.0, 50.0)}
FORMS = ("exponential", "linear", "square_root")
one = np.ones(1)


def priced(form: str, price: float, net: float, depth: float = 100.0, start: float = 100.0) -> tuple[float, float]:
    fill = execute(form, price * one, start * one, depth * one, net * one)
    return float(fill.price[0]), float(fill.average[0])


@pytest.mark.parametrize("form", FORMS)
def test_one_depth_moves_the_price_one_percent(form: str) -> None:
    assert priced(form, 100.0, -100.0)[0] == pytest.approx(99.0)
    assert priced(form, 100.0, 100.0)[0] == pytest.approx(100 / 0.99 if form == "exponential" else 101.0)


@pytest.mark.parametrize("form", FORMS)
def test_the_average_is_the_mean_price_along_the_order(form: str) -> None:
    for net in (-250.0, -3.0, 40.0):
        after, average = priced(form, 90.0, net)
        along = [priced(form, 90.0, net * (step + 0.5) / 20_000)[0] for step in range(20_000)] if net == -3.0 else None
        mean = np.mean(along) if along else None
        if mean is not None:
            assert average == pytest.approx(mean, rel=1e-7)
        assert min(after, 90.0) <= average <= max(after, 90.0)


@given(parts=st.lists(st.floats(-500, 500), min_size=1, max_size=6))
def test_splitting_an_order_changes_nothing_under_exponential_impact(parts: list[float]) -> None:
    price, cost = 90.0, 0.0
    for part in parts:
        price, average = priced("exponential", price, part)
        cost += part * average
    whole, average = priced("exponential", 90.0, sum(parts))
    assert price == pytest.approx(whole, rel=1e-9)
    assert cost == pytest.approx(sum(parts) * average, rel=1e-7, abs=1e-6)


@pytest.mark.parametrize("form", ["linear", "square_root"])
def test_a_price_has_a_floor_at_zero_and_nothing_is_paid_below(form: str) -> None:
    after, average = priced(form, 100.0, -1e6)
    assert after == 0.0
    reach = 1e4 if form == "linear" else 1e6  # units that take it to the floor
    assert average * 1e6 == pytest.approx((100.0 / 2 if form == "linear" else 100.0 / 3) * reach, rel=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("goal", [70.0, 99.0, 100.0, 123.0])
def test_the_order_to_a_price_moves_there(form: str, goal: float) -> None:
    units = quantity_to(form, 100 * one, 100 * one, 7 * one, goal * one)
    assert priced(form, 100.0, float(units[0]), depth=7.0)[0] == pytest.approx(goal, rel=1e-12)


@pytest.mark.parametrize(("impact", "after"), [("exponential", 90 * math.exp(-K)), ("linear", 89.0), ("square_root", 89.0)])
def test_a_liquidation_moves_its_book(impact: str, after: float) -> None:
    done = run(venue(LONG, depth=1000.0), ["C=-10%"], impact=impact)
    # 1,000 USD are 10 units at the network's price, whatever the price is now
    assert done.price() == pytest.approx(after, rel=1e-12)


def test_the_book_pays_what_the_seller_gets() -> None:
    done = run(venue(LONG, depth=1000.0), ["C=-10%"])
    proceeds = 90 * (1 - math.exp(-K)) / (K / 10)
    market = done.market()
    assert done.state.books.quantity[market] == 10.0
    assert done.state.books.cash[market] == pytest.approx(-proceeds, rel=1e-12)
    assert done.total("bad_debt") == pytest.approx(1000.0 - 50.0 - proceeds, rel=1e-9)


def test_a_depth_factor_of_half_doubles_the_move() -> None:
    for shocks, factor in ((["depth:X=0.5"], 0.5), (["depth:C=0.5"], 0.5), (["depth:*=0.5"], 0.5), (["depth:C@X=0.001"], 0.01)):
        done = run(venue(LONG, depth=1000.0), ["C=-10%", *shocks])
        assert done.price() == pytest.approx(90 * math.exp(-K / factor), rel=1e-9)  # the floor is 1 % of itself


def test_depth_comes_back_with_a_stage() -> None:
    done = run(venue(LONG, depth=1000.0), stages(["depth:X=0.1"], ["C=-10%", "depth:X=1"]))
    assert done.price() == pytest.approx(90 * math.exp(-K), rel=1e-12)


def test_quotes_of_a_failed_maker_are_gone() -> None:
    tables = {
        "trader": frame("id", ("L",), ("Maker",), ("Rest",)),
        "liquidity": frame("trader asset exchange share", ("Maker", "C", "X", 0.75)),
    }
    net = venue(LONG, depth=1000.0, tables=tables)
    assert run(net, ["C=-10%"]).price() == pytest.approx(90 * math.exp(-K), rel=1e-12)
    assert run(net, ["C=-10%", "default:Maker"]).price() == pytest.approx(90 * math.exp(-4 * K), rel=1e-12)


def test_a_maker_bears_the_books_profit_and_loss() -> None:
    tables = {
        "trader": frame("id cash", ("L", 0.0), ("Maker", 5.0), ("Rest", 0.0)),
        "liquidity": frame("trader asset exchange share", ("Maker", "C", "X", 0.75)),
    }
    done = run(venue(LONG, depth=1000.0, tables=tables), ["C=-10%"])
    proceeds = 90 * (1 - math.exp(-K)) / (K / 10)
    assert done.node_equity("Maker") == pytest.approx(5.0 + 0.75 * (10 * done.price() - proceeds), rel=1e-9)


def test_quotes_withdraw_with_the_move_so_far() -> None:
    accounts = {"A": (10.0, 100.0, 50.0), "B": (10.0, 100.0, 105.0)}
    done = run(venue(accounts, depth=1000.0), ["C=-10%"], withdrawal=3.0)
    first = 90 * math.exp(-K)
    assert done.when(Flow.LIQUIDATION) == [0, 1]
    assert done.price() == pytest.approx(first * math.exp(-K * math.exp(3.0 * math.log(100 / first))), rel=1e-9)


def test_without_feedback_no_book_moves() -> None:
    done = run(venue(LONG, depth=1000.0), ["C=-10%"], feedback=False)
    assert done.price() == 90.0
    assert done.total("bad_debt") == pytest.approx(50.0)


def banded(rounds: int, band: float | None = 0.05) -> Network:
    accounts = {"A": (10.0, 100.0, 50.0), "B": (10.0, 100.0, 110.0)}
    net = venue(accounts, depth=200.0, halt_rounds=rounds)
    return net.with_tables(market=frame("exchange asset instrument price depth price_band", ("X", "C", "perp", 100.0, 200.0, band)))


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_market_beyond_its_band_stops_for_some_rounds_and_orders_wait(rounds: int) -> None:
    done = run(banded(rounds), ["C=-7%"])
    # A sells in round 0 and takes the price beyond; B is in breach in round 1 and waits
    assert done.when(Flow.LIQUIDATION) == [0, 1 + rounds]
    assert done.hit(Flow.LIQUIDATION) == {"A", "B"}
    assert run(banded(rounds, None), ["C=-7%"]).when(Flow.LIQUIDATION) == [0, 1]


def test_an_ordered_halt_holds_orders_until_it_is_lifted() -> None:
    net = venue(LONG, depth=1000.0)
    done = run(net, ["C=-10%", "halt:C"])
    assert (done.outcome.reason, done.quantity("L"), done.price()) == ("waiting", 10.0, 90.0)
    lifted = run(net, stages(["C=-10%", "halt:C@X"], ["halt:C@X=off"]))
    assert (lifted.outcome.reason, lifted.quantity("L")) == ("settled", 0.0)


def test_an_order_that_waits_goes_even_if_the_account_has_recovered() -> None:
    net = venue(LONG, depth=1000.0)
    done = run(net, stages(["C=-10%", "halt:C@X"], ["depeg:C=1", "halt:C@X=off"]))
    assert done.quantity("L") == 0.0


def test_an_outage_freezes_marks_and_stops_everything_there() -> None:
    net = venue(LONG, depth=1000.0)
    done = run(net, ["C=-10%", "outage:X"])
    assert (done.outcome.reason, done.quantity("L")) == ("settled", 10.0)
    assert done.state.books.mark[done.market()] == 100.0
    assert done.equity("L") == pytest.approx(50.0)
    back = run(net, stages(["C=-10%", "outage:X"], ["outage:X=off"]))
    assert back.quantity("L") == 0.0


def three(rule: str, **more: object) -> Network:
    books = [("X", 100.0, 3.0), ("Y", 100.0, 2.0), ("Z", 100.0, 2.0)]
    return Network.from_frames(
        name="three",
        asset=frame("id price", ("C", 100.0)),
        exchange=pd.DataFrame([{"id": name, "mark_oracle": rule, "collateral_oracle": rule, **more} for name, *_ in books]),
        market=frame(
            "exchange asset instrument price depth index_weight",
            *((name, "C", "perp", price, 1e6, weight) for name, price, weight in books),
        ),
    )


@pytest.mark.parametrize(
    ("rule", "outlier", "expected"),
    [
        ("internal", 0.05, 100.0),
        ("median", 0.05, 100.0),
        ("index", 10.0, (3 * 100 + 2 * 98 + 2 * 80) / 7),
        ("index", 0.05, (3 * 100 + 2 * 98) / 5),
    ],
)
def test_marks_by_oracle(rule: str, outlier: float, expected: float) -> None:
    done = run(three(rule, outlier=outlier), ["C@Y=-2%", "C@Z=-20%"])
    assert done.state.books.mark[done.market("C", "X")] == pytest.approx(98.0 if rule == "median" else expected)
    own = done.state.books.mark[done.market("C", "Z")]
    assert own == pytest.approx(80.0 if rule == "internal" else (98.0 if rule == "median" else expected))


def test_with_two_outliers_the_median_itself_is_the_index() -> None:
    done = run(three("index", outlier=0.05), ["C@Y=-10%", "C@Z=+10%"])
    assert done.state.books.mark[done.market("C", "X")] == pytest.approx(100.0)


def test_a_book_without_index_weight_does_not_count() -> None:
    net = three("index", outlier=10.0)
    market = net.frame("market")
    market["index_weight"] = [1.0, 0.0, 1.0]
    done = run(net.with_tables(market=market), ["C@Y=-50%"])
    assert done.state.books.mark[done.market("C", "X")] == 100.0


def test_marks_come_from_perpetuals_and_collateral_from_spot() -> None:
    market = frame("exchange asset instrument price depth", ("X", "C", "perp", 100.0, 1e6), ("X", "C", "spot", 100.0, 1e6))
    net = venue(LONG).with_tables(market=market)
    done = run(net, ["sale:C@X=2e6"])
    # an outside holder sells on the spot book, which no position is marked to
    assert done.price(instrument="spot") < 99.0
    for place in range(2):
        assert done.state.books.mark[place] == 100.0
        assert done.state.books.index[place] == done.price(instrument="spot")
    assert done.state.coin_price[0] == done.price(instrument="spot")


def test_an_exchange_that_is_down_from_the_start_has_the_marks_of_its_oracle() -> None:
    net = three("index", outlier=10.0)
    market, exchange = net.frame("market"), net.frame("exchange")
    market["price"], exchange["outage"] = [100.0, 98.0, 98.0], [True, False, False]
    done = run(net.with_tables(market=market, exchange=exchange), ["C=-10%"])
    index = (3 * 100 + 4 * 98) / 7
    assert done.state.books.mark[done.market("C", "X")] == pytest.approx(index)
    assert done.state.books.mark[done.market("C", "Y")] == pytest.approx(0.9 * index)

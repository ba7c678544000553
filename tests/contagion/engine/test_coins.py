"""Steps 8 and 9: redemption of stablecoins, what the issuer then sells, and arbitrage between books."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contagion.journal import Flow
from graphs.network import Network
from graphs.toys import two_exchange_stablecoin
from tests.contagion.engine.build import DEEP, frame, run, stages

K = -math.log(0.99)


def issuer(
    *,
    books: tuple[tuple[str, float, float], ...] = (("X", 1.0, 1000.0),),
    cash: float = 1000.0,
    coins: float = 0.0,
    supply: float = 1000.0,
    fee: float = 0.0,
    capacity: float = 1e6,
    desk: float = 1e6,
    hedge: float = 0.0,
    custodian: str | None = None,
) -> Network:
    """A stablecoin S, backed by USD and by C at 100, on one book or more; a desk that redeems it."""
    names = [name for name, *_ in books]
    tables = {
        "trader": frame("id cash", ("Desk", 10.0), ("Rest", 0.0)),
        "asset": frame("id price", ("C", 100.0)),
        "stablecoin": frame("id supply redemption_fee redemption_capacity", ("S", supply, fee, capacity)),
        "exchange": frame("id equity", *((name, 1e6) for name in names)),
        "market": frame(
            "exchange asset instrument price depth",
            *((name, "S", "spot", price, depth) for name, price, depth in books),
            *((name, "C", instrument, 100.0, DEEP) for name in names for instrument in ("spot", "perp")),
        ),
        "margin_tier": frame("exchange asset floor maintenance_rate max_leverage", *((name, "C", 0.0, 0.005, 100.0) for name in names)),
        "backing": frame(
            "stablecoin asset quantity custodian", *[row for row in (("S", "USD", cash, None), ("S", "C", coins, custodian)) if row[2]]
        ),
        "arbitrage": frame("trader asset capacity", ("Desk", "S", desk)),
    }
    if hedge:
        tables["margin"] = frame(
            "owner asset exchange quantity entry_price", ("S", "C", "X", -hedge, 100.0), ("Rest", "C", "X", hedge, 100.0)
        )
        tables["collateral"] = frame("owner asset exchange quantity", ("S", "USD", "X", 100.0), ("Rest", "USD", "X", 1e5))
    return Network.from_frames(name="issuer", **tables)


def test_a_coin_under_its_value_is_bought_up_to_it_and_burned() -> None:
    done = run(issuer(books=(("X", 1.0, 100.0),)), ["depeg:S=0.95"])
    units = math.log(1 / 0.95) / (K / 100.0)
    assert done.price("S", instrument="spot") == pytest.approx(1.0, rel=1e-9)
    assert done.state.supply[done.coin("S")] == pytest.approx(1000.0 - units, rel=1e-6)


def test_redemption_stops_at_value_less_the_fee() -> None:
    done = run(issuer(books=(("X", 1.0, 100.0),), fee=0.02), ["depeg:S=0.95"])
    units = math.log(0.98 / 0.95) / (K / 100.0)
    assert done.price("S", instrument="spot") == pytest.approx(0.98, rel=1e-7)
    coin = done.coin("S")
    assert done.state.supply[coin] == pytest.approx(1000.0 - units, rel=1e-7)
    # the issuer pays value·(1 - fee) for each
    assert done.state.cash[done.node("S")] == pytest.approx(1000.0 - 0.98 * units, rel=1e-7)
    # what was paid less than that is the desk's profit
    cost = 100.0 / K * (0.98 - 0.95)
    assert done.node_equity("Desk") == pytest.approx(10.0 + 0.98 * units - cost, rel=1e-6)
    assert not run(issuer(fee=0.02), ["depeg:S=0.985"]).state.journal.units[Flow.REDEMPTION]


def test_capacity_limits_a_round_and_the_rest_waits_for_the_next() -> None:
    done = run(issuer(books=(("X", 1.0, 100.0),), capacity=10.0), ["depeg:S=0.95"])
    sizes = [float(units.sum()) for _, units in done.state.journal.units[Flow.REDEMPTION]]
    assert sizes[:-1] == pytest.approx([10.0] * (len(sizes) - 1), rel=1e-6)
    assert sum(sizes) == pytest.approx(math.log(1 / 0.95) / (K / 100.0), rel=1e-6)
    assert done.outcome.reason == "settled"


def test_the_desks_own_capacity_is_spent_and_not_refilled() -> None:
    done = run(issuer(books=(("X", 1.0, 100.0),), desk=20.0), ["depeg:S=0.95"])
    usd = sum(float(part.sum()) for _, part in done.state.journal.usd[Flow.REDEMPTION])
    assert usd == pytest.approx(20.0, rel=1e-6)
    assert usd <= 20.0
    assert done.price("S", instrument="spot") < 1.0


def test_the_cheapest_books_are_bought_first() -> None:
    net = issuer(books=(("X", 1.0, 100.0), ("Y", 1.0, 100.0)), capacity=10.0, desk=9.0)
    done = run(net, ["depeg:S@X=0.95", "depeg:S@Y=0.9", "arbitrage:X=on"])
    assert done.units(Flow.REDEMPTION, "S", "Y", "spot") > 8.0
    assert done.units(Flow.REDEMPTION, "S", "X", "spot") == 0.0


@pytest.mark.parametrize("shut", ["redemption:S=off", "transfers:X=off", "arbitrage:X=off", "outage:X", "halt:S"])
def test_redemption_can_be_shut(shut: str) -> None:
    done = run(issuer(), ["depeg:S=0.95", shut])
    assert Flow.REDEMPTION not in done.state.journal.units


def test_the_value_is_what_stands_behind_the_coin_at_most_the_peg() -> None:
    done = run(issuer(cash=500.0, coins=5.0), ["C=-40%", "redemption:S=off"])
    assert done.state.redemption_value[done.coin("S")] == pytest.approx(0.8)
    rich = run(issuer(cash=500.0, coins=6.0), ["C=-10%", "redemption:S=off"])
    assert rich.state.redemption_value[rich.coin("S")] == 1.0


def test_the_value_counts_the_issuers_accounts() -> None:
    done = run(issuer(cash=0.0, coins=9.0, hedge=9.0), ["C=-40%", "redemption:S=off"])
    assert done.state.redemption_value[done.coin("S")] == pytest.approx(1.0)


def test_losing_backing_bankrupts_an_issuer_and_a_depeg_does_not() -> None:
    assert not run(issuer(cash=500.0, coins=5.0), ["depeg:S=0.5", "redemption:S=off"]).defaulted()
    assert run(issuer(cash=500.0, coins=5.0), ["C=-40%"]).defaulted() == {"S"}


def test_what_the_issuer_lacks_in_cash_it_sells_in_the_next_round_and_closes_hedges() -> None:
    net = issuer(books=(("X", 1.0, 100.0),), cash=0.0, coins=9.5, hedge=9.5)
    done = run(net, ["depeg:S=0.95"])
    paid = math.log(1 / 0.95) / (K / 100.0)
    assert done.when(Flow.REDEMPTION)[0] == 0
    assert done.when(Flow.BACKING_SALE)[0] == 1
    assert done.when(Flow.HEDGE)[0] == 1
    assert done.units(Flow.BACKING_SALE, instrument="spot") == pytest.approx(paid / 100.0, rel=1e-4)
    assert done.quantity("S") == pytest.approx(-9.5 + paid / 100.0, rel=1e-3)
    assert done.state.cash[done.node("S")] >= -1e-6


def test_backing_is_sold_at_its_custodian_or_over_all_books_by_depth() -> None:
    books = (("X", 1.0, 100.0), ("Y", 1.0, 100.0))
    home = run(issuer(books=books, cash=0.0, coins=10.0, custodian="Y"), ["depeg:S=0.95"])
    assert home.units(Flow.BACKING_SALE, "C", "X", "spot") == 0.0
    assert home.units(Flow.BACKING_SALE, "C", "Y", "spot") > 0.0
    free = run(issuer(books=books, cash=0.0, coins=10.0), ["depeg:S=0.95"])
    shares = [free.units(Flow.BACKING_SALE, "C", name, "spot") for name in "XY"]
    assert shares[0] == pytest.approx(shares[1], rel=1e-3)


def two_books(capacity: float, depths: tuple[float, float] = (1000.0, 3000.0)) -> Network:
    """C on two exchanges, with perpetuals that nobody holds."""
    return Network.from_frames(
        name="two books",
        trader=frame("id cash", ("Desk", 1e6)),
        asset=frame("id price", ("C", 100.0)),
        exchange=frame("id equity", ("X", 1e6), ("Y", 1e6)),
        market=frame("exchange asset instrument price depth", ("X", "C", "perp", 100.0, depths[0]), ("Y", "C", "spot", 100.0, depths[1])),
        arbitrage=frame("trader asset capacity", ("Desk", "C", capacity)),
    )


def test_arbitrage_takes_books_to_the_depth_weighted_geometric_mean() -> None:
    done = run(two_books(1e6), ["C@X=-10%"])
    k = {"X": K / 10.0, "Y": K / 30.0}
    mean = math.exp((math.log(90.0) / k["X"] + math.log(100.0) / k["Y"]) / (1 / k["X"] + 1 / k["Y"]))
    assert done.price("C", "X") == pytest.approx(mean, rel=1e-9)
    assert done.price("C", "Y", "spot") == pytest.approx(mean, rel=1e-9)
    bought = math.log(mean / 90.0) / k["X"]
    desk = done.state.books.desk_quantity
    assert desk[done.market("C", "X")] == pytest.approx(bought, rel=1e-9)
    assert desk.sum() == 0.0
    assert done.when(Flow.ARBITRAGE) == [0]


def test_arbitrage_is_cut_to_its_capacity() -> None:
    full = run(two_books(1e6), ["C@X=-10%"])
    spent = 1e6 - float(full.state.desk_capacity[0])
    done = run(two_books(spent / 4), ["C@X=-10%"])
    first = done.state.journal.units[Flow.ARBITRAGE][0][1]
    assert first == pytest.approx(full.state.journal.units[Flow.ARBITRAGE][0][1] / 4, rel=1e-9)
    # the same units cost less where they move the price less, so a little is left for the rounds after
    assert 0 <= done.state.desk_capacity[0] < spent / 4 * 0.1


@pytest.mark.parametrize("impact", ["linear", "square_root"])
def test_arbitrage_finds_one_price_under_other_forms_of_impact(impact: str) -> None:
    done = run(two_books(1e6), ["C@X=-10%"], impact=impact)
    assert done.price("C", "X") == pytest.approx(done.price("C", "Y", "spot"), rel=1e-8)
    assert done.state.books.desk_quantity.sum() == 0.0


@pytest.mark.parametrize("shut", ["arbitrage:Y=off", "transfers:X=off", "outage:Y", "halt:C@Y", "default:Y"])
def test_arbitrage_needs_two_open_books(shut: str) -> None:
    done = run(two_books(1e6), ["C@X=-10%", shut])
    assert done.price("C", "X") == pytest.approx(90.0)
    assert Flow.ARBITRAGE not in done.state.journal.units


def test_the_desk_bears_what_its_inventory_does() -> None:
    done = run(two_books(1e6), stages(["C@X=-10%"], ["C=-10%"]))
    books = done.state.books
    worth = books.desk_cash + books.desk_quantity * np.where(done.state.system.markets.perp, books.mark, done.state.coin_price[0])
    assert done.node_equity("Desk") == pytest.approx(1e6 + worth.sum(), rel=1e-12)
    assert done.node_equity("Desk") > 1e6  # bought low, sold high, flat in sum


def test_the_stablecoin_toy_links_all_of_it() -> None:
    done = run(two_exchange_stablecoin(), ["sale:USDX@Thin=2000000", "BTC=-5%"])
    kinds = {kind for kind in done.state.journal.units if done.when(kind)}
    assert kinds >= {Flow.IMPOSED, Flow.LIQUIDATION, Flow.REDEMPTION, Flow.ARBITRAGE}


def test_the_index_of_a_stablecoin_may_mix_in_its_redemption_value() -> None:
    net = issuer()
    exchange = net.frame("exchange")
    exchange["redemption_weight"] = 0.25
    done = run(net.with_tables(exchange=exchange), ["depeg:S=0.6", "redemption:S=off"])
    assert done.state.books.index[done.market("S", instrument="spot")] == pytest.approx(0.75 * 0.6 + 0.25 * 1.0)

"""Closing accounts: the four rules of liquidation, the backstop, fees, margin calls, and coins sold against a debt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from contagion.journal import Flow
from contagion.state import Status
from graphs.toys import delta_neutral_issuer, interbank_ring, one_book_ladder, two_exchange_stablecoin
from tests.contagion.engine.build import DEEP, frame, isolated, run, stages, venue

if TYPE_CHECKING:
    from graphs.network import Network

K = -math.log(0.99)


@pytest.mark.parametrize(
    "net", [one_book_ladder(), two_exchange_stablecoin(), delta_neutral_issuer(), interbank_ring()], ids=lambda net: net.name
)
def test_an_unshocked_network_is_a_fixed_point(net: Network) -> None:
    done = run(net)
    assert (done.outcome.reason, done.outcome.rounds, done.outcome.residual) == ("settled", 1, 0.0)
    assert not done.state.journal.units


def test_full_closes_everything_in_one_round() -> None:
    done = run(venue({"L": (10.0, 100.0, 50.0)}), ["C=-4.8%"])
    assert (done.quantity("L"), done.status("L")) == (0.0, Status.CLOSED)
    assert done.when(Flow.LIQUIDATION) == [0]
    assert done.balance("L") == pytest.approx(50.0 - 48.0, abs=1e-6)  # what is left stays its own


def test_an_account_is_in_breach_at_equality_and_not_above_it() -> None:
    net = venue({"L": (10.0, 100.0, 50.0)}, brackets=[(0.0, 0.0, 100.0)])
    assert run(net, ["C=-5%"]).hit(Flow.LIQUIDATION) == {"L"}
    assert not run(net, ["C=-5%"], tie="safe").hit(Flow.LIQUIDATION)
    assert not run(net, ["C=-4.999999%"]).hit(Flow.LIQUIDATION)


def test_slice_closes_a_fraction_of_a_large_position_and_all_of_a_small_one() -> None:
    accounts = {"Big": (100.0, 100.0, 500.0), "Small": (5.0, 100.0, 25.0)}
    done = run(venue(accounts, brackets=[(0.0, 0.01, 50.0)], liquidation="slice", slice_fraction=0.2, slice_above=1000.0), ["C=-4.2%"])
    first = done.state.journal.units[Flow.LIQUIDATION][0][1].sum()
    assert first == pytest.approx(20.0 + 5.0, abs=1e-6)
    # 500 - 420 = 80 of margin carries 80/0.01/95.8 = 83.5 units: one slice is enough
    assert done.quantity("Big") == pytest.approx(80.0, abs=1e-6)
    assert done.status("Big") is Status.OPEN


def test_slices_go_on_until_the_account_is_healthy() -> None:
    done = run(venue({"Big": (100.0, 100.0, 500.0)}, brackets=[(0.0, 0.01, 50.0)], liquidation="slice", slice_fraction=0.2), ["C=-4.5%"])
    # 50 of margin carries 52.4 units: 100 → 80 → 64 → 51.2
    assert done.quantity("Big") == pytest.approx(51.2, abs=1e-5)
    assert done.when(Flow.LIQUIDATION) == [0, 1, 2]


@pytest.mark.parametrize(("ratio", "fee"), [(1.0, 0.0), (1.5, 0.0), (1.5, 0.005)])
def test_target_closes_the_smallest_share_that_restores_the_ratio(ratio: float, fee: float) -> None:
    rules = {"brackets": [(0.0, 0.01, 50.0)], "liquidation": "target", "target_ratio": ratio, "liquidation_fee": fee}
    done = run(venue({"L": (100.0, 100.0, 500.0)}, **rules), ["C=-4.5%"])
    # margin 50 - fee·x·9550 = ratio·0.01·9550·(1 - x)
    share = (ratio * 95.5 - 50.0) / (ratio * 95.5 - fee * 9550.0)
    assert done.quantity("L") == pytest.approx(100.0 * (1 - share), abs=2e-4)
    assert done.when(Flow.LIQUIDATION) in ([0], [0, 1])


def test_tier_closes_down_to_the_bracket_below() -> None:
    brackets = [(0.0, 0.01, 50.0), (5000.0, 0.02, 20.0)]
    done = run(venue({"L": (100.0, 100.0, 500.0)}, brackets=brackets, liquidation="tier", tier_form="flat"), ["C=-4%"])
    # 500 - 400 = 100 under 0.02·9600; in the lower bracket 5000/96 units need 50
    assert done.quantity("L") == pytest.approx(5000.0 / 96.0, abs=1e-3)
    assert done.quantity("L") * 96.0 < 5000.0
    assert done.when(Flow.LIQUIDATION) == [0]


def test_tier_closes_the_whole_of_the_lowest_bracket() -> None:
    done = run(venue({"L": (10.0, 100.0, 50.0)}, liquidation="tier"), ["C=-4.8%"])
    assert done.quantity("L") == 0.0


def test_an_isolated_position_falls_alone() -> None:
    done = run(isolated(venue({"L": (10.0, 100.0, 500.0)}), "L", 10.0, 100.0, 20.0), ["C=-10%"])
    assert (done.quantity("L"), done.quantity("L", isolated=True)) == (10.0, 0.0)
    assert done.total("bad_debt") == pytest.approx(80.0, abs=1e-6)  # non-recourse: the cross account does not pay
    assert done.equity("L") == pytest.approx(400.0, abs=1e-6)


BACKSTOP = {"brackets": [(0.0, 0.03, 25.0)], "vault": "V", "backstop": 2 / 3}


def test_the_vault_takes_an_account_whole_at_book_value() -> None:
    done = run(venue({"L": (10.0, 100.0, 60.0), "V": (0.0, 0.0, 1000.0)}, **BACKSTOP), ["C=-5%"])
    # margin 10 of 28.5 needed: below two thirds; no trade on the book
    assert done.status("L") is Status.TAKEN_OVER
    assert (done.quantity("L"), done.balance("L"), done.equity("L")) == (0.0, 0.0, 0.0)
    assert done.quantity("V") == 10.0
    assert done.equity("V") == pytest.approx(1000.0 + 10.0, abs=1e-9)
    assert done.price() == pytest.approx(95.0, rel=1e-15)
    assert not done.hit(Flow.LIQUIDATION)


def test_between_the_backstop_and_maintenance_an_account_goes_to_the_book() -> None:
    done = run(venue({"L": (10.0, 100.0, 60.0), "V": (0.0, 0.0, 1000.0)}, **BACKSTOP), ["C=-3.5%"])
    assert (done.status("L"), done.quantity("V")) == (Status.CLOSED, 0.0)


def test_the_vault_takes_the_healthiest_first_and_stops_at_its_own_maintenance() -> None:
    # after -5 % they have margins of 18, 10 and 2 where 28.5 is needed; the vault's 45 carries the first two, not the third
    accounts = {"Worst": (10.0, 100.0, 52.0), "Best": (10.0, 100.0, 68.0), "Middle": (10.0, 100.0, 60.0), "V": (0.0, 0.0, 45.0)}
    done = run(venue(accounts, **BACKSTOP), ["C=-5%"])
    assert done.hit(Flow.TAKEOVER) == {"Best", "Middle"}
    assert done.hit(Flow.LIQUIDATION) == {"Worst"}
    assert done.quantity("V") == 20.0


def test_a_takeover_happens_once_and_the_vault_only_closes_down() -> None:
    accounts = {"L": (10.0, 100.0, 60.0), "V": (0.0, 0.0, 1000.0)}
    done = run(venue(accounts, vault_unwind=0.25, **BACKSTOP), stages(["C=-5%"], ["C=-5%"]))
    assert done.when(Flow.TAKEOVER) == [0]
    assert done.quantity("V") == 0.0
    sizes = [float(units.sum()) for _, units in done.state.journal.units[Flow.VAULT]]
    assert sizes == pytest.approx([2.5] * 4)


def test_the_fee_goes_to_the_fund_and_takes_no_more_than_there_is() -> None:
    rich = run(venue({"L": (10.0, 100.0, 50.0)}, liquidation_fee=0.001, brackets=[(0.0, 0.01, 50.0)]), ["C=-4.5%"])
    assert rich.fund() == pytest.approx(0.955, abs=1e-6)
    assert rich.balance("L") == pytest.approx(5.0 - 0.955, abs=1e-6)
    poor = run(venue({"L": (10.0, 100.0, 50.0)}, liquidation_fee=0.02, brackets=[(0.0, 0.01, 50.0)]), ["C=-4.5%"])
    assert poor.fund() == pytest.approx(5.0, abs=1e-6)
    assert poor.balance("L") == pytest.approx(0.0, abs=1e-6)
    gone = run(venue({"L": (10.0, 100.0, 50.0)}, liquidation_fee=0.02), ["C=-6%"])
    assert gone.fund() == 0.0
    assert gone.total("bad_debt") == pytest.approx(10.0, abs=1e-6)


def owner(cash: float, share: float, **more: float) -> dict[str, object]:
    columns = " ".join(["id cash top_up", *more])
    return {
        "trader": frame(
            columns,
            ("L", cash, share, *more.values()),
            ("M", 0.0, 0.0, *[math.nan] * len(more)),
            ("Rest", 0.0, 0.0, *[math.nan] * len(more)),
        )
    }


TOP_UP = {"brackets": [(0.0, 0.01, 20.0)]}


def test_a_margin_call_restores_initial_margin_from_the_purse() -> None:
    net = venue({"L": (10.0, 100.0, 60.0), "M": (0.0, 0.0, 0.0)}, tables=owner(100.0, 0.5), **TOP_UP)
    done = run(net, ["C=-5.5%"])
    # margin 5 of 9.45; initial margin 47.25
    assert done.total("topped_up") == pytest.approx(42.25, abs=1e-9)
    assert done.balance("L") == pytest.approx(60.0 - 1000.0 + 42.25, abs=1e-9)
    node = done.node("L")
    assert done.state.cash[node] == pytest.approx(100.0 - 42.25, abs=1e-9)
    assert done.state.purse[node] == pytest.approx(50.0 - 42.25, abs=1e-9)
    assert not done.hit(Flow.LIQUIDATION)


def test_the_purse_only_falls() -> None:
    net = venue({"L": (10.0, 100.0, 60.0), "M": (0.0, 0.0, 0.0)}, tables=owner(100.0, 0.5), **TOP_UP)
    done = run(net, stages(["C=-5.5%"], ["C=-6%"]))
    assert done.status("L") is Status.CLOSED  # 7.75 left do not reach maintenance


def test_nothing_is_sent_that_cannot_reach_maintenance() -> None:
    net = venue({"L": (10.0, 100.0, 60.0), "M": (0.0, 0.0, 0.0)}, tables=owner(8.0, 0.5), **TOP_UP)
    done = run(net, ["C=-5.5%"])
    assert done.total("topped_up") == 0.0
    assert done.state.cash[done.node("L")] == 8.0
    assert done.hit(Flow.LIQUIDATION) == {"L"}


def test_a_part_of_the_call_is_sent_if_it_reaches_maintenance() -> None:
    net = venue({"L": (10.0, 100.0, 60.0), "M": (0.0, 0.0, 0.0)}, tables=owner(20.0, 0.5), **TOP_UP)
    done = run(net, ["C=-5.5%"])
    assert done.total("topped_up") == pytest.approx(10.0, abs=1e-9)
    assert not done.hit(Flow.LIQUIDATION)


def test_nothing_is_sent_where_transfers_are_shut() -> None:
    net = venue({"L": (10.0, 100.0, 60.0), "M": (0.0, 0.0, 0.0)}, tables=owner(100.0, 1.0), transfers_open=False, **TOP_UP)
    assert run(net, ["C=-5.5%"]).hit(Flow.LIQUIDATION) == {"L"}
    assert not run(net, ["C=-5.5%", "transfers:X=on"]).hit(Flow.LIQUIDATION)


def test_a_purse_is_shared_pro_rata_to_need() -> None:
    net = venue({"L": (10.0, 100.0, 60.0), "M": (0.0, 0.0, 0.0)}, tables=owner(100.0, 0.6), **TOP_UP)
    done = run(isolated(net, "L", 20.0, 100.0, 120.0), ["C=-5.5%"])
    # needs 42.25 and 84.5, purse 60: 20 and 40
    assert done.balance("L") == pytest.approx(-940.0 + 20.0, abs=1e-9)
    assert done.balance("L", isolated=True) == pytest.approx(-1880.0 + 40.0, abs=1e-9)


def two_coins(quantity: float, cash: float, coins: dict[str, float], depth: float = DEEP) -> Network:
    """A long whose margin is coins A and B, taken at 90 % of their value; spot books of both."""
    prices = {"A": 10.0, "B": 20.0}
    return venue(
        {"L": (quantity, 100.0, cash)},
        tables={
            "more_asset": frame("id price", *prices.items()),
            "more_market": frame(
                "exchange asset instrument price depth collateral_haircut",
                *(("X", coin, "spot", usd, depth, 0.1) for coin, usd in prices.items()),
            ),
            "more_collateral": frame("owner asset exchange quantity", *(("L", coin, "X", units) for coin, units in coins.items())),
        },
    )


def test_a_closed_account_sells_coins_worth_its_debt_in_the_next_round() -> None:
    done = run(two_coins(10.0, 0.0, {"A": 3.0, "B": 4.5}), ["C=-11%"])
    # 120 USD of coins count 108; the close leaves a debt of 110: of 30 and 90 USD the same share
    assert done.when(Flow.LIQUIDATION) == [0]
    assert done.when(Flow.COIN_SALE) == [1]
    assert (done.coins("L", "A"), done.coins("L", "B")) == pytest.approx((3.0 / 12, 4.5 / 12), abs=1e-4)
    assert 0 <= done.balance("L") < 1e-3  # a lot more is sold, never one less
    assert done.total("bad_debt") == 0.0


def test_what_coins_do_not_cover_is_a_shortfall() -> None:
    done = run(two_coins(10.0, 0.0, {"A": 3.0, "B": 4.5}), ["C=-15%"])
    assert (done.coins("L", "A"), done.coins("L", "B")) == (0.0, 0.0)
    assert done.total("bad_debt") == pytest.approx(30.0, abs=1e-5)
    assert done.balance("L") == 0.0


def test_sold_coins_move_their_own_book() -> None:
    done = run(two_coins(10.0, 0.0, {"A": 12.0}, depth=1000.0), ["C=-11%"])
    assert done.price("A", instrument="spot") < 10.0
    sold = done.units(Flow.COIN_SALE, "A", instrument="spot")
    assert done.price("A", instrument="spot") == pytest.approx(10.0 * math.exp(-K * sold / 100.0), rel=1e-12)


def test_opposite_orders_net_and_fill_at_the_price_of_the_net_order() -> None:
    coin = {
        "more_asset": frame("id price", ("A", 10.0)),
        "more_market": frame("exchange asset instrument price depth collateral_haircut", ("X", "A", "spot", 10.0, 1e6, 0.0)),
        "more_collateral": frame("owner asset exchange quantity", ("S", "A", "X", 100.0)),
    }
    net = venue({"L": (30.0, 100.0, 150.0), "S": (-10.0, 92.0, 0.0)}, depth=10_000.0, tables=coin)
    done = run(net, ["C=-5%", "A=-97%"])
    assert done.hit(Flow.LIQUIDATION) == {"L", "S"}
    k = K / 100.0
    average = 95.0 * (1 - math.exp(-20 * k)) / (20 * k)
    ((_, usd),) = done.state.journal.usd[Flow.LIQUIDATION]
    assert usd.sum() == pytest.approx(40 * average, abs=1e-6)
    assert done.total("bad_debt") >= 30 * (100 - average) - 150.0 - 1e-6
    assert done.price() == pytest.approx(95.0 * math.exp(-20 * k), rel=1e-9)


@pytest.mark.parametrize("price", [1.0, 3.0, 7.0, 0.3])
def test_a_margin_call_where_no_margin_is_asked_for_is_met_too(price: float) -> None:
    """Without brackets an account is in breach at zero: a call restores it to just above, whatever rounding does."""
    tables = owner(1000.0, 1.0) | {
        "more_asset": frame("id price", ("D", price)),
        "more_market": frame("exchange asset instrument price depth", ("X", "D", "spot", price, 1e6)),
        "more_margin": frame("owner asset exchange quantity entry_price", ("L", "D", "X", -10.0, price)),
    }
    net = venue({"L": (0.0, 0.0, 3.3 * price), "M": (0.0, 0.0, 0.0)}, tables=tables)
    done = run(net, ["D=+50%"])
    assert done.total("topped_up") == pytest.approx(1.7 * price, abs=1e-6)
    assert not done.hit(Flow.LIQUIDATION)

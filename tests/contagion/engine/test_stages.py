"""Step 0 and the clock: stages, every kind of shock, paths, decay, throughput, entries, stops, and why a run ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from contagion.journal import Flow
from contagion.scenario import Scenario
from contagion.shocks import KINDS
from contagion.state import Status
from graphs.toys import two_exchange_stablecoin
from tests.contagion.engine.build import Run, frame, isolated, run, stages, venue

if TYPE_CHECKING:
    from graphs.network import Network

LONG = {"L": (10.0, 100.0, 50.0)}
CALM = {"L": (1.0, 100.0, 1000.0)}


def prices(done: Run, name: str = "price") -> list[float]:
    return [float(part[done.market()]) for part in done.state.journal.series[name]]


def came(done: Run) -> list[int]:
    return [event[0] for event in done.state.journal.events if event[1] == "stage"]


def test_a_stage_comes_when_the_one_before_has_settled() -> None:
    accounts = {"A": (10.0, 100.0, 50.0), "B": (10.0, 100.0, 110.0), "C2": (1.0, 100.0, 90.0)}
    done = run(venue(accounts, depth=200.0), stages(["C=-7%"], ["C=+1%"]))
    # round 0: A, round 1: B, round 2: nothing moves, round 3: the second stage
    assert done.when(Flow.LIQUIDATION) == [0, 1]
    assert came(done) == [0, 3]


def test_a_stage_comes_at_its_round() -> None:
    done = run(venue(CALM), stages(["C=-1%"], ["C=-1%"], ["C=-1%"], rounds=[0, 4, 4]))
    assert came(done) == [0, 4, 4]
    assert done.price() == pytest.approx(100 * 0.99**3)
    assert done.outcome.reason == "settled"


def test_a_stage_without_a_round_waits_for_one_with_a_round_to_settle() -> None:
    done = run(venue(CALM), stages(["C=-1%"], ["C=-1%"], rounds=[0, None]))
    assert came(done) == [0, 2]


def test_the_first_stage_comes_at_once() -> None:
    assert came(run(venue(CALM), stages(["C=-1%"]))) == [0]


def test_a_stage_may_restore() -> None:
    done = run(venue(CALM), stages(["C=-10%", "depth:X=0.1", "halt:C"], ["depeg:C=1", "depth:X=1", "halt:C=off"]))
    assert done.price() == pytest.approx(100.0)
    assert done.state.books.depth_factor.tolist() == [1.0]
    assert not done.state.books.ordered_halt.any()


def test_a_price_shock_lands_everywhere_or_on_one_exchange() -> None:
    net = two_exchange_stablecoin(arbitrage=0.0)
    where = ("Deep", "Thin")
    everywhere = run(net, ["BTC=-2%"], feedback=False)
    assert {everywhere.price("BTC", x, i) for x in where for i in ("spot", "perp")} == {98.0}
    here = run(net, ["BTC@Thin=-2%"], feedback=False)
    assert {here.price("BTC", x, "perp") for x in where} == {98.0, 100.0}


def test_a_depeg_sets_a_price_relative_to_the_peg_and_of_an_asset_to_its_network_price() -> None:
    net = two_exchange_stablecoin(arbitrage=0.0)
    done = run(net, ["depeg:USDX@Thin=0.97", "depeg:BTC=0.9", "redemption:USDX=off"], feedback=False)
    assert done.price("USDX", "Thin", "spot") == pytest.approx(0.97)
    assert done.price("USDX", "Deep", "spot") == 1.0
    assert done.price("BTC", "Thin", "perp") == pytest.approx(90.0)


def test_a_sale_is_an_order_of_outside_holders() -> None:
    net = two_exchange_stablecoin(arbitrage=0.0)
    k = -math.log(0.99) / 2000.0
    done = run(net, ["sale:USDX@Thin=1000", "redemption:USDX=off"])
    assert done.price("USDX", "Thin", "spot") == pytest.approx(math.exp(-k * 1000.0), rel=1e-9)
    bought = run(net, ["sale:USDX@Thin=-1000", "redemption:USDX=off"])
    assert bought.price("USDX", "Thin", "spot") == pytest.approx(math.exp(k * 1000.0), rel=1e-9)


def test_a_sale_waits_for_its_market() -> None:
    net = two_exchange_stablecoin(arbitrage=0.0)
    done = run(net, ["sale:USDX@Thin=1000", "halt:USDX@Thin", "redemption:USDX=off"])
    assert (done.outcome.reason, done.price("USDX", "Thin", "spot")) == ("waiting", 1.0)


EVERY_KIND = {
    "price": "BTC=-1%",
    "depeg": "depeg:USDX@Thin=0.99",
    "depth": "depth:Thin=0.5",
    "default": "default:Short",
    "loss": "loss:Short=10",
    "outage": "outage:Thin",
    "halt": "halt:BTC@Thin",
    "transfers": "transfers:Thin=off",
    "arbitrage": "arbitrage:Thin=off",
    "redemption": "redemption:USDX=off",
    "writeoff": "writeoff:Short->Arbitrageur=50%",
    "sale": "sale:USDX@Thin=500",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_shock_keeps_all_identities(kind: str) -> None:
    net = two_exchange_stablecoin().with_tables(credit=frame("debtor creditor amount", ("Short", "Arbitrageur", 100.0)))
    calm, done = run(net), run(net, [EVERY_KIND[kind]])
    same = done.outcome.rounds == calm.outcome.rounds and np.array_equal(done.state.node_equity, calm.state.node_equity)
    assert not same or kind in {"depth", "halt", "outage", "transfers", "arbitrage", "redemption"}
    assert done.outcome.reason in {"settled", "waiting"}


def clocked(*parts: dict[str, object], seconds: float = 1.0, duration: float = 10.0, half_life: float | None = None) -> Scenario:
    clock = {"round_seconds": seconds, "duration": duration, "half_life": half_life}
    return Scenario.model_validate({"clock": clock, "stages": list(parts)})


def test_a_path_is_linear_in_the_log_of_the_price() -> None:
    done = run(venue(CALM), clocked({"shocks": ["C=-19%"], "duration": 4.0}))
    assert done.outcome.reason == "clock"
    assert done.outcome.rounds == 10
    assert prices(done)[:5] == pytest.approx([100 * 0.81 ** (step / 4) for step in (1, 2, 3, 4, 4)])


def test_a_stage_comes_at_its_time() -> None:
    done = run(venue(CALM), clocked({"shocks": ["C=-1%"]}, {"shocks": ["C=-1%"], "time": 4.0}))
    assert came(done) == [0, 4]
    half = run(venue(CALM), clocked({"shocks": ["C=-1%"]}, {"shocks": ["C=-1%"], "time": 4.0}, seconds=0.5))
    assert came(half) == [0, 8]


def test_impact_decays_to_the_path_by_its_half_life() -> None:
    done = run(venue(LONG, depth=1000.0), clocked({"shocks": ["C=-10%"]}, half_life=2.0))
    after = prices(done)
    gap = [math.log(90.0 / price) for price in after]
    assert gap[0] == 0.0  # the price at which round 0 starts
    first = -math.log(0.99)
    assert gap[1:6] == pytest.approx([first * 2 ** (-0.5 * step) for step in range(1, 6)], rel=1e-9)
    kept = run(venue(LONG, depth=1000.0), clocked({"shocks": ["C=-10%"]}))
    assert prices(kept)[-1] == pytest.approx(89.1)


def test_throughput_closes_the_least_healthy_first() -> None:
    accounts = {"Bad": (10.0, 100.0, 92.0), "Worse": (10.0, 100.0, 82.0), "Worst": (10.0, 100.0, 70.0)}
    done = run(venue(accounts, throughput=900.0, brackets=[(0.0, 0.01, 50.0)]), clocked({"shocks": ["C=-10%"]}))
    order = [who for _, who, _ in done.state.journal.accounts[Flow.LIQUIDATION]]
    names = [done.state.system.nodes.name(done.state.system.accounts.owner[who[0]]) for who in order]
    assert names[:3] == ["Worst", "Worse", "Bad"]
    usd = [float(part.sum()) for _, part in done.state.journal.usd[Flow.LIQUIDATION]]
    assert max(usd) <= 900.0 * (1 + 1e-9)
    unlimited = run(venue(accounts, brackets=[(0.0, 0.01, 50.0)]), clocked({"shocks": ["C=-10%"]}))
    assert unlimited.when(Flow.LIQUIDATION) == [0]


def test_throughput_is_one_limit_for_all_that_an_exchange_closes() -> None:
    tables = {"trader": frame("id cash external_debt", ("L", 0.0, 0.0), ("F", 0.0, 0.0), ("Rest", 0.0, 0.0))}
    net = venue({"L": (20.0, 100.0, 350.0), "F": (20.0, 100.0, 1000.0)}, throughput=100.0, tables=tables)
    done = run(net, clocked({"shocks": ["default:F"]}, {"shocks": ["C=-20%"], "time": 1.0}))
    closed: dict[int, float] = {}
    for kind in (Flow.LIQUIDATION, Flow.DEFAULT_CLOSE):
        for when, usd in done.state.journal.usd[kind]:
            closed[when] = closed.get(when, 0.0) + float(usd.sum())
    assert set(closed) > {1}
    assert max(closed.values()) <= 100.0 * (1 + 1e-9)


def entering(
    side: str = "long", *, leverage: float = 5.0, accounts: int = 2, duration: float = 0.0, notional: float = 1000.0
) -> dict[str, object]:
    entry = {"asset": "C", "exchange": "X", "side": side, "notional": notional, "leverage": leverage, "accounts": accounts}
    return {"enter": [entry], "duration": duration}


@pytest.mark.parametrize(("side", "sign"), [("long", 1.0), ("short", -1.0)])
def test_positions_enter_against_the_book(side: str, sign: float) -> None:
    done = run(venue(CALM, depth=1e6), clocked(entering(side)))
    assert done.quantity("entrant:1:1:1") == pytest.approx(sign * 5.0, rel=1e-9)
    assert done.total("entered") == pytest.approx(200.0, rel=1e-9)
    market = done.market()
    assert done.state.books.quantity[market] == -sign * 10.0
    assert sign * math.log(done.price() / 100.0) > 0


def test_entries_are_spread_over_their_stage() -> None:
    done = run(venue(CALM), clocked(entering(accounts=4, duration=8.0)))
    assert done.when(Flow.ENTRY) == [0, 2, 4, 6]


def test_those_who_entered_can_be_liquidated() -> None:
    done = run(venue(CALM), clocked(entering(), {"shocks": ["C=-21%"], "time": 3.0}))
    assert done.hit(Flow.LIQUIDATION) == {"entrant:1:1:1", "entrant:1:1:2"}


@pytest.mark.parametrize("form", ["cash", "position"])
def test_the_debt_of_those_who_entered_is_deleveraged_too(form: str) -> None:
    net = venue({"S": (-10.0, 100.0, 5000.0)}, loss_rule="adl", adl_form=form)
    done = run(net, clocked(entering(), {"shocks": ["C=-25%"], "time": 3.0}))
    assert done.total("house_paid") == pytest.approx(0.0, abs=1e-4)
    assert done.hit(Flow.ADL_WINNER) == {"S"}


def stopping(stop: float, goal: float, quantity: float = 10.0, cash: float = 1000.0) -> Network:
    net = venue({"L": (quantity, 100.0, cash)})
    margin = net.frame("margin")
    mine = margin["owner"] == "L"
    margin.loc[mine, "stop_price"], margin.loc[mine, "take_profit"] = stop, goal
    return net.with_tables(margin=margin)


@pytest.mark.parametrize(
    ("quantity", "shock", "closes"),
    [
        (10.0, -5, True),
        (10.0, -4.9, False),
        (10.0, 10, True),
        (10.0, 9.9, False),
        (-10.0, -10, True),
        (-10.0, 5, True),
        (-10.0, 4.9, False),
    ],
)
def test_stops_and_goals_are_voluntary_closes(quantity: float, shock: float, closes: bool) -> None:  # noqa: FBT001
    stop, goal = (95.0, 110.0) if quantity > 0 else (105.0, 90.0)
    done = run(stopping(stop, goal, quantity), [f"depeg:C={1 + shock / 100}"])
    assert (done.quantity("L") == 0.0) is closes
    assert done.hit(Flow.STOP) == ({"L"} if closes else set())
    assert not done.hit(Flow.LIQUIDATION)
    assert done.status("L") is Status.OPEN


def test_an_account_in_breach_is_liquidated_whatever_its_stop() -> None:
    done = run(stopping(99.0, 200.0, cash=50.0), ["C=-5%"])
    assert done.hit(Flow.LIQUIDATION) == {"L"}
    assert not done.hit(Flow.STOP)


def test_a_run_that_is_cut_off_says_so() -> None:
    accounts = {"A": (10.0, 100.0, 50.0), "B": (10.0, 100.0, 110.0)}
    cut = run(venue(accounts, depth=200.0), ["C=-7%"], max_rounds=1)
    assert (cut.outcome.reason, cut.outcome.settled) == ("max_rounds", False)
    assert cut.outcome.residual > 0
    whole = run(venue(accounts, depth=200.0), ["C=-7%"])
    assert (whole.outcome.reason, whole.outcome.settled, whole.outcome.residual) == ("settled", True, 0.0)


def test_accounts_of_one_owner_are_told_apart() -> None:
    done = run(isolated(venue(CALM), "L", 2.0, 100.0, 50.0), ["C=-1%"])
    assert done.account("L") != done.account("L", isolated=True)
    assert done.equity("L", isolated=True) == pytest.approx(48.0)

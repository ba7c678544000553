"""Step 7 and node defaults: the waterfall to the end, settlement and claims, failing nodes, and the leverage rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from contagion.journal import Flow
from contagion.state import Status
from tests.contagion.engine.build import DEEP, frame, run, stages, venue

if TYPE_CHECKING:
    from graphs.network import Network

LOSER = {"L": (10.0, 100.0, 50.0), "S": (-6.0, 100.0, 500.0), "T": (-4.0, 100.0, 500.0)}


def test_the_fund_pays_first_then_the_house() -> None:
    done = run(venue(LOSER, insurance_fund=30.0, equity=1000.0), ["C=-20%"])
    assert done.total("bad_debt") == pytest.approx(150.0, abs=1e-6)
    assert done.total("fund_used") == 30.0
    assert (done.fund(), done.house()) == pytest.approx((0.0, 880.0), abs=1e-6)
    assert not done.defaulted()


def test_the_fund_is_shared_pro_rata_to_shortfall() -> None:
    accounts = {"A": (10.0, 100.0, 50.0), "B": (10.0, 100.0, 100.0), "S": (-20.0, 100.0, 5000.0)}
    done = run(venue(accounts, insurance_fund=100.0, loss_rule="adl", adl_form="cash"), ["C=-20%"])
    assert done.total("fund_used") == pytest.approx(100.0, abs=1e-6)
    assert done.equity("S") == pytest.approx(5000.0 + 400.0 - 150.0, abs=1e-6)


def test_socialise_takes_pro_rata_from_all_winners() -> None:
    done = run(venue(LOSER, loss_rule="socialise"), ["C=-20%"])
    assert done.equity("S") == pytest.approx(500.0 + 120.0 - 150.0 * 0.6, abs=1e-6)
    assert done.equity("T") == pytest.approx(500.0 + 80.0 - 150.0 * 0.4, abs=1e-6)
    assert done.house() == 1e6


def test_winners_give_at_most_their_profit_and_the_house_pays_the_rest() -> None:
    accounts = {"L": (10.0, 100.0, 50.0), "S": (-5.0, 100.0, 500.0), "T": (-5.0, 79.9, 500.0)}
    for rules in ({"loss_rule": "socialise"}, {"loss_rule": "adl", "adl_form": "cash"}):
        done = run(venue(accounts, equity=1000.0, **rules), ["C=-20%"])
        assert done.equity("S") == pytest.approx(500.0, abs=1e-6)
        assert done.house() == pytest.approx(1000.0 - 50.0, abs=1e-6)


def failing() -> Network:
    """A house of 100 that has to pay 150; it also owes a bank 300."""
    tables = {
        "more_trader": frame("id cash", ("Bank", 1000.0)),
        "credit": frame("debtor creditor amount seniority", ("X", "Bank", 300.0, 1), ("Bank", "X", 450.0, 1), ("X", "Bank", 80.0, 2)),
    }
    return venue(LOSER, equity=0.0, tables=tables)


def test_a_failed_exchange_settles_everything_and_equities_become_claims() -> None:
    done = run(failing(), ["C=-20%"])
    # equity 450 - 380 - 150 < 0
    assert done.defaulted() >= {"X"}
    assert all(done.status(name) is Status.SETTLED for name in ("L", "S", "T", "Rest"))
    assert not done.state.quantity.any()
    assert done.state.books.quantity[done.market()] == 0.0
    assert not done.state.balance.any()
    claims = done.state.claim
    assert claims[done.account("S")] == pytest.approx(500.0 + 120.0, abs=1e-4)


def test_claims_on_a_failed_exchange_rank_with_its_first_class_debt() -> None:
    done = run(failing(), ["C=-20%"])
    claims = float(done.state.claim.sum())
    # the exchange has the accounts' cash less the loss of 150, and 450 from the bank
    left = claims - 150.0 + 450.0
    first = min(1.0, left / (claims + 300.0))
    value = done.state.credit_recovery
    system = done.state.system
    ranked = {
        int(rank): float(value[row]) for row, rank in enumerate(system.claims.seniority) if system.claims.debtor[row] == done.node("X")
    }
    assert ranked[1] == pytest.approx(first, rel=1e-9)
    assert done.state.recovery[done.node("X")] == pytest.approx(first, rel=1e-9)
    assert ranked[2] == pytest.approx(min(1.0, max(0.0, (left - claims - 300.0) / 80.0)), abs=1e-9)
    got = done.node_equity("S")
    assert got == pytest.approx(620.0 * first, rel=1e-9)


def test_first_class_claims_share_what_is_not_enough() -> None:
    net = failing().with_tables(credit=frame("debtor creditor amount seniority", ("X", "Bank", 300.0, 1), ("X", "Rest", 80.0, 2)))
    exchange = net.frame("exchange")
    exchange["equity"] = 381.0
    done = run(net.with_tables(exchange=exchange), ["C=-20%"])
    claims = float(done.state.claim.sum())
    first = (claims - 150.0 + 381.0) / (claims + 300.0)
    assert 0 < first < 1
    assert done.state.recovery[done.node("X")] == pytest.approx(first, rel=1e-9)
    assert done.node_equity("Bank") == pytest.approx(1000.0 + 300.0 * first, rel=1e-9)


def test_markets_of_a_failed_exchange_leave_the_index() -> None:
    second = {
        "more_market": frame("exchange asset instrument price depth", ("Y", "C", "perp", 100.0, 1e6)),
        "more_exchange": pd.DataFrame([{"id": "Y", "equity": 1e6, "mark_oracle": "index", "outlier": 10.0}]),
    }
    net = venue(LOSER, equity=1.0, tables=second)
    done = run(net, ["C@X=-20%"])
    assert done.defaulted() == {"X"}
    assert done.state.journal.series["mark"][0][done.market("C", "Y")] == pytest.approx(90.0)
    assert done.state.books.mark[done.market("C", "Y")] == pytest.approx(100.0)


def test_a_house_that_is_not_exhausted_stands_and_one_dollar_less_falls() -> None:
    assert not run(venue(LOSER, equity=150.01), ["C=-20%"]).defaulted()
    assert run(venue(LOSER, equity=149.99), ["C=-20%"]).defaulted() == {"X"}


def test_a_failed_nodes_accounts_are_closed_in_the_next_round() -> None:
    tables = {"trader": frame("id cash external_debt", ("L", 0.0, 0.0), ("F", 100.0, 50.0), ("Rest", 0.0, 0.0))}
    net = venue({"L": (5.0, 100.0, 300.0), "F": (5.0, 100.0, 300.0)}, tables=tables)
    done = run(net, ["loss:F=360"])
    assert done.defaulted() == {"F"}
    assert done.when(Flow.DEFAULT_CLOSE) == [1]
    assert (done.quantity("F"), done.quantity("L")) == (0.0, 5.0)
    assert not run(net, ["loss:F=340"]).defaulted()


def test_losses_run_through_credit_to_the_creditors() -> None:
    tables = {
        "trader": frame("id cash", ("A", 20.0), ("B", 5.0), ("L", 0.0), ("Rest", 0.0)),
        "credit": frame("debtor creditor amount", ("A", "B", 20.0), ("B", "L", 24.0)),
    }
    done = run(venue({"L": (1.0, 100.0, 50.0)}, tables=tables), ["loss:A=10"])
    assert done.defaulted() == {"A", "B"}
    # A pays 10, B pays 15 of 24
    assert done.node_equity("L") == pytest.approx(50.0 + 15.0, abs=1e-9)


def test_a_write_off_is_a_loss_of_the_creditor() -> None:
    tables = {
        "trader": frame("id cash", ("A", 20.0), ("B", 5.0), ("L", 0.0), ("Rest", 0.0)),
        "credit": frame("debtor creditor amount", ("A", "B", 20.0), ("B", "L", 24.0)),
    }
    done = run(venue({"L": (1.0, 100.0, 50.0)}, tables=tables), ["writeoff:A->B=50%"])
    assert done.defaulted() == {"B"}
    assert done.node_equity("A") == pytest.approx(10.0, abs=1e-9)
    assert done.node_equity("L") == pytest.approx(50.0 + 15.0, abs=1e-9)


def test_an_exchange_can_be_shocked_by_a_loss() -> None:
    done = run(venue(LOSER, equity=100.0), ["loss:X=101"])
    assert done.defaulted() == {"X"}
    assert not run(venue(LOSER, equity=100.0), ["loss:X=99"]).defaulted()


def test_claims_on_a_node_that_the_shock_defaults_have_the_set_recovery() -> None:
    tables = {
        "trader": frame("id cash", ("A", 90.0), ("B", 5.0), ("Rest", 0.0)),
        "credit": frame("debtor creditor amount", ("A", "B", 20.0)),
    }
    net = venue({}, tables=tables)
    assert run(net, ["default:A"]).node_equity("B") == pytest.approx(5.0)
    assert run(net, ["default:A"], recovery=0.4).node_equity("B") == pytest.approx(13.0)


def leveraged(limit: float, target: float) -> Network:
    tables = {
        "trader": frame("id cash leverage_limit leverage_target", ("L", 0.0, limit, target), ("Rest", 0.0, math.nan, math.nan)),
        "more_market": frame("exchange asset instrument price depth", ("X", "C", "spot", 100.0, DEEP)),
        "holding": frame("owner asset quantity", ("L", "C", 5.0)),
    }
    return venue({"L": (10.0, 100.0, 300.0)}, tables=tables)


def test_above_the_limit_everything_is_sold_down_to_the_target() -> None:
    # 15·80 = 1200 over 300 - 200 + 400 = 500: at the limit, not above
    assert not run(leveraged(2.4, 1.2), ["C=-20%"]).state.journal.units
    done = run(leveraged(2.4, 1.2), ["C=-22%"])
    exposure, equity = 15 * 78.0, 300.0 - 220.0 + 390.0
    kept = 1.2 * equity / exposure
    assert done.quantity("L") == pytest.approx(10.0 * kept, abs=1e-4)
    assert done.units(Flow.HOLDING_SALE, instrument="spot") == pytest.approx(5.0 * (1 - kept), abs=1e-4)


def test_a_position_is_deleveraged_with_the_holdings() -> None:
    tables = {"trader": frame("id cash leverage_limit leverage_target", ("L", 0.0, 8.0, 5.0), ("Rest", 0.0, math.nan, math.nan))}
    done = run(venue({"L": (10.0, 100.0, 200.0)}, tables=tables), ["C=-10%"])
    # 900 over 100: 9 > 8, sells down to 5
    assert done.quantity("L") == pytest.approx(10.0 * 5 / 9, abs=1e-4)
    assert done.hit(Flow.DELEVERAGE) == {"L"}
    assert not done.hit(Flow.LIQUIDATION)


def test_what_has_no_book_is_made_up_for_by_what_has() -> None:
    # 10·80 of positions and 2·100 of a coin that nobody quotes, over 300 - 200 + 200 = 300: 3.33 > 3, down to 2
    tables = {
        "trader": frame("id cash leverage_limit leverage_target", ("L", 0.0, 3.0, 2.0), ("Rest", 0.0, math.nan, math.nan)),
        "asset": frame("id price", ("C", 100.0), ("Unquoted", 100.0)),
        "holding": frame("owner asset quantity", ("L", "Unquoted", 2.0)),
    }
    done = run(venue({"L": (10.0, 100.0, 300.0)}, tables=tables), ["C=-20%"])
    assert done.quantity("L") == pytest.approx((2 * 300.0 - 200.0) / 80.0, abs=1e-4)


def test_an_empty_target_is_the_limit() -> None:
    tables = {"trader": frame("id cash leverage_limit", ("L", 0.0, 8.0), ("Rest", 0.0, math.nan))}
    done = run(venue({"L": (10.0, 100.0, 200.0)}, tables=tables), ["C=-10%"])
    assert done.quantity("L") == pytest.approx(10.0 * 8 / 9, abs=1e-4)


def test_a_node_without_equity_defaults_and_does_not_deleverage() -> None:
    tables = {
        "trader": frame("id cash external_debt leverage_limit", ("L", 100.0, 90.0, 8.0), ("Rest", 0.0, 0.0, math.nan)),
        "more_market": frame("exchange asset instrument price depth", ("X", "C", "spot", 100.0, DEEP)),
        "holding": frame("owner asset quantity", ("L", "C", 1.0)),
    }
    done = run(venue({"L": (0.0, 0.0, 0.0)}, tables=tables), ["loss:L=111"])
    assert done.defaulted() == {"L"}
    assert Flow.HOLDING_SALE not in done.state.journal.units


def test_stages_of_default_keep_the_first_round() -> None:
    tables = {"trader": frame("id cash external_debt", ("F", 100.0, 50.0), ("Rest", 0.0, 0.0))}
    done = run(venue({}, tables=tables), stages(["loss:F=60"], ["loss:F=60"]))
    events = [event for event in done.state.journal.events if event[1] == "default"]
    assert [event[0] for event in events] == [0]


@pytest.mark.parametrize("rules", [{}, {"loss_rule": "adl"}, {"loss_rule": "adl", "adl_form": "cash"}, {"loss_rule": "socialise"}])
def test_a_position_at_a_price_of_zero_is_still_closed_and_its_debt_paid(rules: dict[str, str]) -> None:
    """Under linear impact A's sale takes the price to its floor, where B's contracts are worth nothing but are still there."""
    accounts = {"A": (10.0, 100.0, 61.0), "B": (10.0, 100.0, 110.0), "S": (-20.0, 100.0, 5000.0)}
    done = run(venue(accounts, depth=10.0, **rules), ["C=-6%"], impact="linear")
    assert done.price() == 0.0
    assert (done.quantity("A"), done.quantity("B")) == (0.0, 0.0)
    assert (done.status("B"), done.balance("B")) == (Status.CLOSED, pytest.approx(0.0, abs=1e-6))
    assert done.outcome.reason == "settled"
    # B paid 1,000 with 110
    lost = done.total("house_paid") + 5000.0 - 20 * (0.0 - 100.0) - done.equity("S") if rules else done.total("house_paid")
    assert lost >= 890.0 - 1e-6


def test_a_failed_owners_position_at_a_price_of_zero_is_closed() -> None:
    tables = {"trader": frame("id cash", ("A", 0.0), ("F", 10.0), ("Rest", 0.0))}
    net = venue({"A": (10.0, 100.0, 50.0), "F": (1.0, 100.0, 110.0)}, depth=10.0, tables=tables)
    done = run(net, ["C=-6%", "default:F"], impact="linear")
    assert done.quantity("F") == 0.0
    assert done.outcome.reason == "settled"

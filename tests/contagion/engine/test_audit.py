"""The audit: it holds on random networks with every rule on, and it fails when money, positions or coins are made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from contagion import engine
from contagion.audit import AuditError
from contagion.engine import prepare, simulate
from contagion.journal import Flow
from contagion.scenario import Scenario
from contagion.settings import Settings
from graphs.generate import random_network
from graphs.toys import delta_neutral_issuer, two_exchange_stablecoin
from tests.contagion.engine.build import mixed_shocks, run, venue

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.state import State

IDENTITIES = {"I1", "I2", "I3", "I5 accounts", "I5 books", "I5 nodes", "I7", "I8"}


def audit_one(seed: int) -> None:
    net = random_network(seed=seed)
    impact = ("exponential", "linear", "square_root")[seed % 3]
    settings = Settings(impact=impact, max_rounds=300, withdrawal=seed % 2)
    done = simulate(prepare(net, Scenario.from_shocks(mixed_shocks(net, seed))), settings=settings, audit=True)
    assert done.audit is not None
    assert done.audit.rounds == done.rounds + 2  # before the shock, in each round, and at the end
    assert done.audit.worst.keys() >= IDENTITIES
    assert max(done.audit.worst.values()) < 1e-9


@pytest.mark.parametrize("block", range(8))
def test_forty_random_networks_keep_all_identities(block: int) -> None:
    for seed in range(5 * block, 5 * block + 5):
        audit_one(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(46))
def test_five_hundred_random_networks_keep_all_identities(block: int) -> None:
    for seed in range(40 + 10 * block, 50 + 10 * block):
        audit_one(seed)


LOSER = {"L": (10.0, 100.0, 50.0), "S": (-10.0, 100.0, 500.0)}


def lose_money(state: State) -> None:
    state.fund[0] -= 1.0


def pay_an_account(state: State) -> None:
    state.balance[0] += 1.0


def open_a_position(state: State) -> None:
    state.quantity[0] += 0.5
    state.flow(np.array([0]), np.array([0.5 * state.books.mark[0]]))


def pay_a_node(state: State) -> None:
    state.cash[0] += 1.0


def make_a_coin(state: State) -> None:
    state.backing[0] += 1.0


def pay_a_book(state: State) -> None:
    state.books.cash[0] += 1.0
    state.balance[0] -= 1.0
    state.flow(np.array([0]), np.array([-1.0]))


@pytest.mark.parametrize(
    ("corrupt", "identity"),
    [
        (lose_money, "I2"),
        (pay_an_account, "I2"),
        (open_a_position, "I1"),
        (pay_a_node, "I5 nodes"),
        (make_a_coin, "I8"),
        (pay_a_book, "I5 books"),
    ],
)
def test_the_audit_names_the_identity_that_a_step_breaks(
    corrupt: Callable[[State], None], identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = engine.run_waterfall

    def broken(state: State, *rest: np.ndarray) -> None:
        plain(state, *rest)
        corrupt(state)

    monkeypatch.setattr(engine, "run_waterfall", broken)
    with pytest.raises(AuditError, match=f"identity {identity} fails in round 1 "):
        run(two_exchange_stablecoin(), ["BTC=-10%"])


def test_a_coin_that_vanishes_is_noticed_where_it_was() -> None:
    done = run(two_exchange_stablecoin(), ["BTC=-1%"])
    state = done.state
    state.coin_quantity[np.argmax(state.coin_quantity)] -= 1.0
    assert done.outcome.audit is not None
    with pytest.raises(AuditError, match="identity I8"):
        done.outcome.audit.check(state)


def test_a_winner_that_is_charged_too_little_breaks_i4(monkeypatch: pytest.MonkeyPatch) -> None:
    from contagion.steps import adl

    plain = adl.bankruptcy_prices
    monkeypatch.setattr(adl, "bankruptcy_prices", lambda *args: plain(*args) * 0.999)
    net = venue(LOSER, loss_rule="adl")
    with pytest.raises(AuditError, match="identity I4"):
        run(net, ["C=-20%"])


def test_recoveries_that_differ_within_a_seniority_break_i3(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphs.toys import interbank_ring
    from tests.contagion.engine.build import frame

    net = interbank_ring(n=3).with_tables(credit=frame("debtor creditor amount", ("Bank1", "Bank2", 100.0), ("Bank1", "Bank3", 100.0)))
    plain = engine.clear_state

    def broken(state: State) -> None:
        plain(state)
        state.credit_recovery = state.credit_recovery * np.array([1.0, 0.5])

    monkeypatch.setattr(engine, "clear_state", broken)
    with pytest.raises(AuditError, match="identity I3"):
        run(net, [])


def test_redemption_and_deleveraging_are_among_what_is_audited() -> None:
    redeemed = run(two_exchange_stablecoin(), ["sale:USDX@Thin=50000"])
    assert redeemed.outcome.audit is not None
    assert "I6 redemption" in redeemed.outcome.audit.worst
    closed = run(delta_neutral_issuer(), ["COIN=-20%"])
    assert closed.hit(Flow.ADL) == {"Levered"}
    assert closed.outcome.audit is not None
    assert "I4" in closed.outcome.audit.worst


def test_without_the_audit_nothing_is_checked_and_the_answer_is_the_same() -> None:
    prepared = prepare(random_network(seed=2), Scenario.from_shocks(["coin-0=-20%"]))
    plain, audited = (simulate(prepared, settings=Settings(max_rounds=50), audit=audit) for audit in (False, True))
    assert plain.audit is None
    np.testing.assert_array_equal(plain.state.books.price, audited.state.books.price)
    np.testing.assert_array_equal(plain.state.balance, audited.state.balance)

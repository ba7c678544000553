"""The engine: rounds of the default-propagation algorithm, until nothing moves or the clock runs out.

A round takes the steps in fixed order: 0 shock, 1 prices, 2 revalue, 3 credit, 4 triggers, 5 orders, 6 execution,
7 waterfall, 8 redemption, 9 arbitrage. Inside a step everything is computed from the state at its start, so no result
depends on the order of rows. A round costs O(accounts + positions) in arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from contagion.audit import Audit
from contagion.compile import compile_system
from contagion.entries import entrants, openings
from contagion.flows import Flows
from contagion.grid import group_sum, snap, snap_down
from contagion.settings import Settings
from contagion.state import fork, initial_state
from contagion.steps.arbitrage import arbitrage
from contagion.steps.execution import depth_now, execute_orders
from contagion.steps.holdings import held_units
from contagion.steps.prices import decay_impact, set_prices
from contagion.steps.recovery import clear_state
from contagion.steps.redemption import redeem, set_redemption_values
from contagion.steps.revalue import revalue_accounts
from contagion.steps.shock import advance_ramps, apply_stage
from contagion.steps.triggers import trigger
from contagion.steps.waterfall import run_waterfall
from contagion.system import Coins

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.arrays import Floats, Ints
    from contagion.scenario import Scenario, Stage
    from contagion.state import State
    from contagion.system import System
    from graphs.network import Network

    Progress = Callable[[int, int | None], None]
    """Called after each round with the rounds done and, under a clock, the rounds to come in all."""


@dataclass(frozen=True, slots=True)
class Initial:
    """Equity of accounts and of nodes before the shock, USD."""

    equity: Floats
    node_equity: Floats


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Attributes
    ----------
    initial
        Values before the shock.
    state
        State at the end, with its journal.
    reason
        Why it stopped: ``settled``, ``clock``, ``waiting`` (orders wait in closed markets) or ``max_rounds``.
    rounds
        Rounds taken.
    residual
        Largest absolute log move of a price in the last round.
    audit
        The audit, or None if it did not run.
    """

    initial: Initial
    state: State
    reason: str
    rounds: int
    residual: float
    audit: Audit | None

    @property
    def settled(self) -> bool:
        """Whether the run reached a fixed point, or the end of its clock."""
        return self.reason in {"settled", "clock"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network compiled for a scenario: what many runs of it share.

    Attributes
    ----------
    entering
        By stage: accounts, position rows, USD notional (signed) and USD margin of those who enter.
    """

    system: System
    scenario: Scenario
    entering: tuple[tuple[Ints, Ints, Floats, Floats], ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """A system valued before any shock under some settings: what many runs of both share, so that each need not begin there.

    Attributes
    ----------
    settings
        Under which it was valued; without credit claims they make no difference to it.
    state
        Never written to: a run works on a fork of it.
    """

    settings: Settings
    state: State


def open_system(system: System, settings: Settings | None = None) -> Opening:
    """Value a system before any shock.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from graphs.toys import one_book_ladder
    >>> open_system(compile_system(one_book_ladder())).state.round
    0
    """
    settings = settings or Settings()
    state = initial_state(system, settings)
    _value_opening(state)
    return Opening(settings, state)


def _value_opening(state: State) -> None:
    """Value the network before any shock: what issuers promise is what they cover then, at most the peg."""
    set_prices(state, opening=True)
    revalue_accounts(state)
    set_redemption_values(state)
    coins = state.system.coins
    fields = {name: getattr(coins, name) for name in Coins.__slots__} | {"promised": state.redemption_value.copy()}
    state.system = replace(state.system, coins=Coins(**fields))
    set_prices(state, opening=True)
    revalue_accounts(state)
    clear_state(state)
    state.books.previous_mark = state.books.mark.copy()


def prepare(net: Network, scenario: Scenario, *, check: bool = True) -> Prepared:
    """Compile a network for a scenario.

    Raises
    ------
    CheckError
        If the network breaks its schema.
    ScenarioError
        If the scenario names what the network does not have.
    """
    scenario.check(net)
    system = compile_system(entrants(net, scenario), check=check)
    opened = openings(net, scenario)
    owners = iter(system.nodes_of([opening.owner for stage in opened for opening in stage]))
    stages = []
    for stage in opened:
        accounts = np.searchsorted(system.accounts.owner, np.array([next(owners) for _ in stage], dtype=np.int64))
        rows = system.accounts.start[accounts]
        usd, margin = (np.array([getattr(opening, name) for opening in stage], dtype=np.float64) for name in ("notional", "margin"))
        stages.append((accounts, rows, usd, snap(margin, system.quantum)))
    return Prepared(system, scenario, tuple(stages))


def simulate(
    prepared: Prepared,
    *,
    settings: Settings | None = None,
    audit: bool = False,
    progress: Progress | None = None,
    opening: Opening | None = None,
) -> Outcome:
    """Run a scenario on its compiled network.

    Parameters
    ----------
    settings
        How it is computed.
    audit
        Whether to check the eight identities in every round.
    progress
        Told about every round.
    opening
        Of the same system under the same settings, if there is one already; an audit begins before it and does without.

    Raises
    ------
    AuditError
        If an identity fails.

    Examples
    --------
    >>> from contagion.scenario import Scenario
    >>> from graphs.toys import one_book_ladder
    >>> prepared = prepare(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"]))
    >>> simulate(prepared, audit=True).reason
    'settled'
    """
    return _Run(prepared, settings or Settings(), audit=audit, progress=progress, opening=opening).go()


class _Run:
    """One run: the loop and what it schedules."""

    def __init__(self, prepared: Prepared, settings: Settings, *, audit: bool, progress: Progress | None, opening: Opening | None) -> None:
        self.prepared, self.settings, self.progress = prepared, settings, progress
        self.scenario = prepared.scenario
        self.clock = self.scenario.clock
        self.audit = Audit() if audit else None
        if audit or opening is None:
            self.state = initial_state(prepared.system, settings, Flows(prepared.system) if audit else None)
            _value_opening(self.state)
        else:
            self.state = fork(opening.state, settings)
        self.initial = Initial(self.state.equity.copy(), self.state.node_equity.copy())
        if self.audit is not None:
            self.audit.check(self.state)
        if self.clock is not None:
            self.state.round_seconds = self.clock.round_seconds
        self.total = math.ceil(self.clock.duration / self.clock.round_seconds) if self.clock else None
        self.waiting: list[tuple[int, Stage]] = list(enumerate(self.scenario.stages))
        self.queue: list[tuple[int, Ints, Ints, Floats, Floats]] = []

    def go(self) -> Outcome:
        """Take rounds until one of the reasons to stop."""
        settled = True
        while True:
            state = self.state
            before = state.books.price.copy()
            state.moved = False
            self._stages(settled=settled)
            self._round()
            moved = np.abs(np.log(np.maximum(state.books.price, 1e-300) / np.maximum(before, 1e-300)))
            residual = float(moved.max(initial=0.0))
            state.round += 1
            if self.progress is not None:
                self.progress(state.round, self.total)
            settled = not state.moved and not state.ramps and not self.queue and not (state.books.halted_until > state.round - 1).any()
            reason = self._reason(settled=settled)
            if reason:
                self._finish()
                return Outcome(self.initial, state, reason, state.round, residual, self.audit)

    def _reason(self, *, settled: bool) -> str:
        if self.total is not None:
            return "clock" if self.state.round >= self.total else ""
        if settled and not self.waiting:
            return "waiting" if self.state.imposed or self._orders_wait() else "settled"
        return "max_rounds" if self.state.round >= self.settings.max_rounds else ""

    def _orders_wait(self) -> bool:
        from contagion.state import Status

        state = self.state
        closing = np.flatnonzero((state.status == Status.LIQUIDATING) | (state.status == Status.OWNER_DEFAULTED))
        return bool(held_units(state, closing).any() or state.watch.size)

    def _stages(self, *, settled: bool) -> None:
        """Apply the stages that are due: at their round or time, else when everything before has settled."""
        state = self.state
        while self.waiting:
            place, stage = self.waiting[0]
            if self.clock is not None and stage.time is not None:
                due = stage.time < (state.round + 1) * self.clock.round_seconds
            elif stage.round is not None:
                due = state.round >= stage.round
            else:
                due = settled
            if not due:
                return
            self.waiting.pop(0)
            rounds = max(1, round(stage.duration / self.clock.round_seconds)) if self.clock else 1
            apply_stage(state, stage, rounds)
            self._enter(place, rounds)
            settled = False  # a stage without a round waits for this one

    def _enter(self, place: int, rounds: int) -> None:
        """Spread those who enter evenly over the rounds of their stage."""
        accounts, rows, usd, margin = self.prepared.entering[place]
        when = self.state.round + np.arange(accounts.size) * rounds // max(accounts.size, 1)
        for due in np.unique(when):
            now = when == due
            self.queue.append((int(due), accounts[now], rows[now], usd[now], margin[now]))

    def _open_entries(self) -> None:
        state, system = self.state, self.state.system
        due = [item for item in self.queue if item[0] <= state.round]
        self.queue = [item for item in self.queue if item[0] > state.round]
        for _, accounts, rows, usd, margin in due:
            market = system.accounts.market[rows]
            lot = system.coins.lot[system.markets.coin[market]]
            state.entering.append((rows, snap_down(usd / state.books.mark[market], lot)))
            state.balance[accounts] += margin
            by_exchange = group_sum(system.accounts.exchange[accounts], margin, system.nodes.exchanges)
            state.journal.amount("entered", state.round, by_exchange)
            state.flow(accounts, margin)
            state.state_gain(float(margin.sum()))
            if state.flows is not None:
                state.flows.ledger += by_exchange

    def _round(self) -> None:
        state = self.state
        advance_ramps(state)
        if self.clock is not None and state.round:
            decay_impact(state, self.clock.round_seconds, self.clock.half_life)
        set_prices(state)
        self._open_entries()
        revalue_accounts(state)
        clear_state(state)
        if self.audit is not None:
            self.audit.check(state)
        self._record()
        triggered = trigger(state)
        touched = execute_orders(state, triggered.orders)
        run_waterfall(state, triggered.bankrupt, touched)
        redeem(state)
        arbitrage(state)

    def _record(self) -> None:
        """Keep what the round starts from."""
        state, series = self.state, self.state.journal.series
        for name, array in (
            ("price", state.books.price),
            ("mark", state.books.mark),
            ("index", state.books.index),
            ("fund", state.fund),
            ("house", state.house),
            ("supply", state.supply),
            ("coin_price", state.coin_price),
            ("redemption_value", state.redemption_value),
            ("depth", depth_now(state)),
        ):
            series[name].append(array.copy())

    def _finish(self) -> None:
        """Value the state as it is left."""
        state = self.state
        set_prices(state)
        revalue_accounts(state)
        clear_state(state)
        if self.audit is not None:
            self.audit.check(state)
        self._record()

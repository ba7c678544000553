"""A trial: one run of the search, judged; and the bench on which thousands of them share a compiled network.

Each trial is a scenario of one stage in which all shocks land at once, so that a set of shocks has no order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.cascade import Cascade
from contagion.compile import compile_system
from contagion.engine import Prepared, open_system, simulate
from contagion.measures import conditions_of, gross_loss, total_bad_debt
from contagion.scenario import Scenario
from contagion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from contagion.engine import Outcome
    from contagion.measures import Condition
    from contagion.shocks import Shock
    from contagion.system import System
    from graphs.network import Network

_NOBODY = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one run.

    Attributes
    ----------
    system_wide
        The verdict.
    fired
        Letters of the conditions that held, such as ``"ac"``.
    induced, exchanges, peg, bad_debt
        Values of the conditions (a) to (d): a share of open interest, a number, a price over peg, a ratio to all funds.
    severity
        How near it came: the largest of the four on a common scale on which 1 is the threshold. It guides a search and is
        never the verdict.
    settled, reason, rounds
        How the run stopped.
    loss, loss_without_feedback
        Sum of the falls of equity, USD.
    liquidated, bad_debt_usd
        Forced closes at P₀ and bad debt, USD.
    """

    system_wide: bool
    fired: str
    induced: float
    exchanges: int
    peg: float
    bad_debt: float
    severity: float
    settled: bool
    reason: str
    rounds: int
    loss: float
    loss_without_feedback: float
    liquidated: float
    bad_debt_usd: float

    @classmethod
    def of(cls, cascade: Cascade) -> Trial:
        """Judge a cascade."""
        induced, exchanges, peg, bad_debt = conditions = conditions_of(cascade)
        outcome = cascade.outcome
        return cls(
            system_wide=any(condition.fired for condition in conditions),
            fired="".join(condition.key for condition in conditions if condition.fired),
            induced=induced.value,
            exchanges=int(exchanges.value),
            peg=peg.value,
            bad_debt=bad_debt.value,
            severity=max(_nearness(condition) for condition in conditions),
            settled=outcome.settled,
            reason=outcome.reason,
            rounds=outcome.rounds,
            loss=gross_loss(outcome),
            loss_without_feedback=gross_loss(cascade.benchmark),
            liquidated=float(cascade.liquidated().sum()),
            bad_debt_usd=total_bad_debt(outcome),
        )

    def to_json(self) -> dict[str, Any]:
        """A document that :meth:`from_json` reads back equal."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Trial:
        """Read what :meth:`to_json` wrote."""
        return cls(**document)


def _nearness(condition: Condition) -> float:
    """A condition's value on a scale on which 0 is rest and 1 its threshold; at most 10, so that no search meets infinity."""
    if condition.key == "c":
        value = (1.0 - condition.value) / (1.0 - condition.threshold) if condition.threshold < 1 else float(condition.fired)
    else:
        value = condition.value / condition.threshold
    return 0.0 if math.isnan(value) else float(min(max(value, 0.0), 10.0))


class Bench:
    """A compiled network on which trials run.

    Parameters
    ----------
    system
        The network, compiled.
    settings
        Of every run.
    given
        Shocks that are part of every trial: the state of the world in which the search is made.

    Examples
    --------
    >>> from contagion.shocks import parse_shock
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> bench.run([parse_shock("COIN=-1%")]).system_wide, bench.run([parse_shock("COIN=-5%")]).system_wide
    (False, True)
    """

    def __init__(self, system: System, settings: Settings | None = None, given: Iterable[Shock] = ()) -> None:
        self.system = system
        self.settings = settings or Settings()
        self.given = tuple(given)
        self.plain = self.settings.model_copy(update={"feedback": False})
        self.opening = open_system(system, self.settings)
        self.plain_opening = open_system(system, self.plain) if system.claims.amount.size else self.opening

    @classmethod
    def of(cls, net: Network, settings: Settings | None = None, given: Iterable[Shock] = ()) -> Bench:
        """Compile a network, and check that it has what the given shocks name.

        Raises
        ------
        CheckError, ScenarioError
            If it breaks its schema, or has not.
        """
        given = tuple(given)
        bench = cls(compile_system(net), settings, given)
        if given:
            bench.scenario(()).check(net)
        return bench

    def scenario(self, shocks: Iterable[Shock]) -> Scenario:
        """The scenario of a trial.

        Raises
        ------
        ScenarioError
            If two shocks hit the same.
        """
        return Scenario.from_shocks([*self.given, *shocks], name="trial")

    def prepared(self, shocks: Iterable[Shock]) -> Prepared:
        """The network with a trial's scenario."""
        return Prepared(self.system, self.scenario(shocks), (_NOBODY,))

    def simulate(self, prepared: Prepared, *, feedback: bool = True) -> Outcome:
        """Run a trial, or its benchmark without feedback, from the opening that all trials share."""
        if feedback:
            return simulate(prepared, settings=self.settings, opening=self.opening)
        return simulate(prepared, settings=self.plain, opening=self.plain_opening)

    def cascade(self, shocks: Iterable[Shock]) -> Cascade:
        """Run a trial and its benchmark without feedback, with everything that a Cascade can tell of them."""
        prepared = self.prepared(shocks)
        return Cascade(prepared, self.settings, self.simulate(prepared), self.simulate(prepared, feedback=False))

    def run(self, shocks: Iterable[Shock]) -> Trial:
        """Run a trial and judge it. Costs two runs of the engine."""
        return Trial.of(self.cascade(shocks))


def bench_of(system: System, context: Mapping[str, Any]) -> Bench:
    """The bench of a task that a worker carries out: its context holds ``settings`` and ``given`` as documents."""
    from contagion.shocks import Shock

    given = [Shock.model_validate(shock) for shock in context.get("given", ())]
    return Bench(system, Settings.model_validate(context.get("settings", {})), given)


def context_of(bench: Bench, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any document
    """The context from which :func:`bench_of` makes an equal bench elsewhere; ``more`` is added to it."""
    given = [shock.model_dump(exclude_defaults=True) for shock in bench.given]
    return {"settings": bench.settings.model_dump(mode="json", exclude_defaults=True), "given": given, **more}

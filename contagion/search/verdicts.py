"""A verdict with as few runs as make it certain.

A set of shocks is no trigger if conditions (b) to (d) do not hold and what is closed in all is too little for (a) even if
the benchmark closed nothing. Only where it is not, the benchmark without feedback is run too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contagion.cascade import Cascade
from contagion.search.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from contagion.search.trial import Bench
    from contagion.shocks import Shock

MOST: float = 10.0
"""Severity beyond which it is not told apart."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A verdict, and how near the run came to the other one.

    Attributes
    ----------
    system_wide
        The verdict, the same as that of a whole trial.
    severity, severity_at_most
        Bounds of the trial's severity; equal where the benchmark was run.
    closed
        USD closed by force over open interest, the benchmark's share included.
    reason
        How the run stopped.
    trial
        The trial, where the benchmark was run.
    """

    system_wide: bool
    severity: float
    severity_at_most: float
    closed: float
    reason: str
    trial: Trial | None = None

    def to_json(self) -> dict[str, Any]:
        """A document that :meth:`from_json` reads back equal."""
        trial = None if self.trial is None else self.trial.to_json()
        return {
            "system_wide": self.system_wide,
            "severity": self.severity,
            "severity_at_most": self.severity_at_most,
            "closed": self.closed,
            "reason": self.reason,
            "trial": trial,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Glance:
        """Read what :meth:`to_json` wrote."""
        trial = document["trial"]
        return cls(**{**document, "trial": None if trial is None else Trial.from_json(trial)})


def glance(bench: Bench, shocks: Iterable[Shock], *, whole: bool = False) -> Glance:
    """Run a set of shocks, and its benchmark only where the verdict needs it or it is a trigger.

    Parameters
    ----------
    whole
        Run the benchmark in any case.

    Notes
    -----
    Costs one run of the engine, or two. That what is closed without the benchmark's share is at least what is closed
    beyond it holds to the last bit: x - y ≤ x for y ≥ 0 in floating point, too.

    Examples
    --------
    >>> from contagion.search.trial import Bench
    >>> from contagion.shocks import parse_shock
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> [glance(bench, [parse_shock(text)]).system_wide for text in ("COIN=-1%", "COIN=-5%")]
    [False, True]
    """
    prepared = bench.prepared(shocks)
    outcome = bench.simulate(prepared)
    alone = Cascade(prepared, bench.settings, outcome, outcome)  # its own benchmark: (a) is zero, what holds is (b) to (d)
    others = Trial.of(alone)
    interest = float(alone.open_interest().sum())
    closed = float(alone.liquidated().sum()) / interest if interest > 0 else 0.0
    threshold = bench.settings.system_wide.induced_liquidation
    if not (whole or others.system_wide or closed >= threshold):
        most = max(others.severity, min(closed / threshold, MOST))
        return Glance(system_wide=False, severity=others.severity, severity_at_most=most, closed=closed, reason=outcome.reason)
    trial = Trial.of(Cascade(prepared, bench.settings, outcome, bench.simulate(prepared, feedback=False)))
    return Glance(trial.system_wide, trial.severity, trial.severity, closed, trial.reason, trial)

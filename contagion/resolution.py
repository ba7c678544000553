"""Resolution in time: what an answer under a clock says at half the step.

The size of a round is physics there: what a backstop, auto-deleveraging and a fund have to bear depends on how far a price
overshoots in a round. So the scenario runs again with rounds of half the length, and every headline figure that differs by
more than a tenth is called unresolved. The benchmark without feedback is that of the full step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contagion.headline import Figure, headline
from contagion.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from contagion.cascade import Cascade
    from contagion.scenario import Scenario

TOLERANCE: Final = 0.1
"""Difference, over the larger of the two, above which a figure is unresolved."""

NEGLIGIBLE: Final = {"usd": 1e-4, "share": 1e-3, "count": 0.0}
"""Difference that is passed over: dollars over open interest at the start (over the loss where there is none), or the share itself."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure at the full and at half the step."""

    figure: Figure
    half: float
    resolved: bool

    @property
    def change(self) -> float:
        """Relative change from the full to half the step; NaN from nothing."""
        return self.half / self.figure.value - 1.0 if self.figure.value else float("nan")


@dataclass(frozen=True, slots=True)
class Resolution:
    """All headline figures at two steps.

    Attributes
    ----------
    round_seconds
        Length of the full step; the other is half of it.
    """

    round_seconds: float
    comparisons: tuple[Comparison, ...]

    @property
    def resolved(self) -> bool:
        """Whether every figure is."""
        return all(comparison.resolved for comparison in self.comparisons)

    @property
    def unresolved(self) -> tuple[Comparison, ...]:
        """Figures that differ."""
        return tuple(comparison for comparison in self.comparisons if not comparison.resolved)

    def frame(self) -> pd.DataFrame:
        """One row a figure."""
        import pandas as pd

        rows = [(c.figure.key, c.figure.what, c.figure.unit, c.figure.value, c.half, c.resolved) for c in self.comparisons]
        return pd.DataFrame(rows, columns=["key", "what", "unit", "value", "half_step", "resolved"])


def halved(scenario: Scenario) -> Scenario:
    """Scenario with rounds of half the length.

    Examples
    --------
    >>> from contagion.scenario import Clock, Scenario
    >>> halved(Scenario(clock=Clock(round_seconds=30, duration=60))).clock.round_seconds
    15.0
    """
    if scenario.clock is None:
        return scenario
    shorter = scenario.clock.model_copy(update={"round_seconds": scenario.clock.round_seconds / 2})
    return scenario.model_copy(update={"clock": shorter})


def resolution(full: Cascade, half: Cascade) -> Resolution:
    """Compare a run with the same at half its step."""
    record = Record(full)
    scale = float(record.interest().sum()) or full.verdict.loss
    after = {figure.key: figure.value for figure in headline(half)}
    comparisons = []
    for figure in headline(full):
        unit = scale if figure.unit == "usd" else 1.0
        resolved = agrees(figure.value, after[figure.key], passed_over=NEGLIGIBLE[figure.unit] * unit)
        comparisons.append(Comparison(figure, after[figure.key], resolved))
    return Resolution(record.round_seconds, tuple(comparisons))


def agrees(full: float, half: float, *, passed_over: float = 0.0) -> bool:
    """Whether two values differ by no more than a tenth of the larger, or by no more than what is passed over.

    Examples
    --------
    >>> agrees(100.0, 109.0), agrees(100.0, 112.0), agrees(0.0, 1.0, passed_over=2.0), agrees(float("nan"), 1.0)
    (True, False, True, False)
    """
    if full == half or (math.isnan(full) and math.isnan(half)):
        return True
    return abs(half - full) <= max(TOLERANCE * max(abs(full), abs(half)), passed_over)

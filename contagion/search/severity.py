"""The severity curve of a sweep: its runs, the jumps between them, and the sizes that trigger."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from contagion.search.claims import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from contagion.search.claims import Findings
    from contagion.search.drivers import Driver
    from contagion.search.trial import Trial
    from contagion.settings import SystemWide


@dataclass(frozen=True, slots=True)
class Point:
    """A run of the curve.

    Attributes
    ----------
    size
        Of the driver, a fraction.
    trial
        What came of it.
    liquidated_share
        Forced closes over open interest; the induced share is this less what the benchmark closes.
    located
        Whether a bisection chose the size.
    """

    size: float
    trial: Trial
    liquidated_share: float
    located: bool = False


@dataclass(frozen=True, slots=True)
class Jump:
    """A step of the induced share between two sizes.

    Attributes
    ----------
    low, high
        Sizes on either side, the sweep's resolution apart.
    before, after
        Induced shares there.
    of
        Change between the neighbours of the sweep around it: if the step is much less, the curve is steep but has no jump.
    """

    low: float
    high: float
    before: float
    after: float
    of: float


@dataclass(frozen=True)
class SeverityCurve:
    """What a driver does at every size of a sweep.

    Attributes
    ----------
    network
        Its name.
    driver
        What moves.
    points
        Runs by size, those that bisections chose among them.
    jumps
        The largest located steps of the induced share, by size.
    findings
        Sizes that trigger, with the claim.
    step, resolution
        Distance of the sizes of the sweep, and of a jump's or an edge's two sides.
    thresholds
        Of the four conditions.
    given
        Shocks that are part of every run, as texts.
    """

    network: str
    driver: Driver
    points: tuple[Point, ...]
    jumps: tuple[Jump, ...]
    findings: Findings
    step: float
    resolution: float
    thresholds: SystemWide
    given: tuple[str, ...]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a run: ``severity`` (the size), the verdict, the values of the conditions, and amounts in USD."""
        import pandas as pd

        rows = []
        for point in self.points:
            trial = point.trial
            rows.append(
                {
                    "severity": point.size,
                    "shock": self.driver.words(point.size),
                    "sigmas": self.driver.sigmas(point.size),
                    "system_wide": trial.system_wide,
                    "triggers_by": trial.fired,
                    "induced": trial.induced,
                    "exchanges": trial.exchanges,
                    "peg": trial.peg,
                    "bad_debt": trial.bad_debt,
                    "liquidated_share": point.liquidated_share,
                    "without_feedback_share": point.liquidated_share - trial.induced,
                    "liquidated_usd": trial.liquidated,
                    "bad_debt_usd": trial.bad_debt_usd,
                    "loss_usd": trial.loss,
                    "loss_without_feedback_usd": trial.loss_without_feedback,
                    "rounds": trial.rounds,
                    "settled": trial.settled,
                    "located": point.located,
                }
            )
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, pd.DataFrame]:
        """``severity``, a row a run; ``jumps``; ``intervals`` of sizes that trigger."""
        import pandas as pd

        return {
            "severity": self.frame,
            "jumps": pd.DataFrame(
                [(one.low, one.high, one.before, one.after, one.of) for one in self.jumps],
                columns=["from_size", "to_size", "induced_before", "induced_after", "between_neighbours"],
            ),
            "intervals": pd.DataFrame(
                [
                    (one.first, one.last, one.below, one.above, words_of(self.driver, one), self.findings.claim.word)
                    for one in self.findings.intervals
                ],
                columns=["from_size", "to_size", "not_below", "not_above", "words", "claim"],
            ),
        }

    def summary(self) -> dict[str, Any]:
        """A document of the curve; None for what is not there."""
        claim = self.findings.claim
        return {
            "network": self.network,
            "driver": self.driver.key,
            "given": list(self.given),
            "low": self.points[0].size,
            "high": self.points[-1].size,
            "step": self.step,
            "resolution": self.resolution,
            "claim": claim.word,
            "claim_words": claim.resolution,
            "safe_up_to": claim.safe_up_to,
            "safe_for": claim.safe_for,
            "intervals": [{**_known(asdict(one)), "words": words_of(self.driver, one)} for one in self.findings.intervals],
            "jumps": [asdict(one) for one in self.jumps],
            "points": [_known(row) for row in self.frame.to_dict("records")],
        }


def _known(document: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): None if isinstance(cell, float) and not math.isfinite(cell) else cell for name, cell in document.items()}

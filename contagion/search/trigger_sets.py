"""Trigger sets: the answer, as tables and as a document."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from contagion.arrays import Floats
    from contagion.search.candidates import Candidate
    from contagion.search.trial import Trial
    from contagion.search.verdicts import Glance

Claim = Literal["enumerated", "greedy"]


@dataclass(frozen=True, slots=True)
class TriggerSet:
    """A set of candidates that triggers a system-wide cascade together, and no proper subset of which does.

    Attributes
    ----------
    members
        The candidates.
    trial
        The run of all of them together.
    sigmas
        How far out the set is, see :func:`contagion.search.candidates.joint_sigmas`.
    claim
        ``enumerated`` if it is one of all that there are of its size, ``greedy`` if it was found by growing.
    """

    members: tuple[Candidate, ...]
    trial: Trial
    sigmas: float
    claim: Claim

    @property
    def label(self) -> str:
        """Its members in words."""
        return " + ".join(member.label for member in self.members) or "(nothing more)"


@dataclass(frozen=True, slots=True)
class Miss:
    """A set that does not trigger.

    Attributes
    ----------
    members
        The candidates.
    severity
        Its largest condition over the threshold, at least; (a) counts where the benchmark was run.
    sigmas
        How far out it is.
    """

    members: tuple[Candidate, ...]
    severity: float
    sigmas: float

    @property
    def label(self) -> str:
        """Its members in words."""
        return " + ".join(member.label for member in self.members)


@dataclass(frozen=True, slots=True)
class TriggerSets:
    """All minimal trigger sets that were found, and how completely was looked.

    Attributes
    ----------
    candidates
        What sets are made of, by key.
    sets
        The most plausible first. Each was run, and so was every proper subset of it.
    max_size
        Every set of at most so many candidates is one of ``sets``, holds one of them, or is no trigger.
    any_size
        Whether that is so for sets of any size.
    alone
        What each candidate does by itself.
    pairs
        Places of two candidates, and what both do: None where the envelope called the pair safe. Pairs that hold a trigger, or
        cannot come together, are left out.
    misses
        The most severe sets that do not trigger.
    runs, certified
        Sets that were run, and sets that the safe envelope certified instead.
    unsettled
        Runs that reached the largest number of rounds without a verdict of their own, and count as no trigger.
    generated
        Whether sets were found by joint generation, not by size.
    too_large
        Sizes of sets that trigger whose proper subsets were too many to run; they are not among ``sets``.
    """

    candidates: tuple[Candidate, ...]
    sets: tuple[TriggerSet, ...]
    max_size: int
    any_size: bool
    alone: tuple[Glance, ...]
    pairs: tuple[tuple[int, int, Glance | None], ...]
    misses: tuple[Miss, ...]
    runs: int
    certified: int
    unsettled: int
    generated: bool
    too_large: tuple[int, ...]

    def matrix(self) -> tuple[list[str], Floats]:
        """Labels of the candidates, and which of them trigger alone (diagonal) and in pairs: 1 or 0, NaN where it was not run."""
        import numpy as np

        matrix = np.full((len(self.candidates),) * 2, np.nan)
        for place, alone in enumerate(self.alone):
            matrix[place, place] = alone.system_wide
        for one, other, glance in self.pairs:
            matrix[one, other] = matrix[other, one] = glance is not None and glance.system_wide
        return [candidate.label for candidate in self.candidates], matrix

    def tables(self) -> dict[str, pd.DataFrame]:
        """``sets``, one row a set; ``members``, one row a set and candidate; ``candidates``; ``pairs``, one row a pair."""
        import pandas as pd

        alone = [
            {**_described(candidate), "severity": one.severity, "system_wide": one.system_wide, "rounds_end": one.reason}
            for candidate, one in zip(self.candidates, self.alone, strict=True)
        ]
        return {
            "sets": pd.DataFrame([self._row(number, found) for number, found in enumerate(self.sets, 1)], columns=_SET_COLUMNS),
            "members": pd.DataFrame(
                [{"set": number, **_described(member)} for number, found in enumerate(self.sets, 1) for member in found.members],
                columns=["set", *_CANDIDATE_COLUMNS],
            ),
            "candidates": pd.DataFrame(alone, columns=[*_CANDIDATE_COLUMNS, "severity", "system_wide", "rounds_end"]),
            "pairs": pd.DataFrame([self._pair(*pair) for pair in self.pairs], columns=_PAIR_COLUMNS),
        }

    def _row(self, number: int, found: TriggerSet) -> dict[str, Any]:
        trial = found.trial
        return {
            "set": number,
            "size": len(found.members),
            "members": found.label,
            "sigmas": found.sigmas,
            "conditions": trial.fired,
            "induced_share": trial.induced,
            "exchanges_failed": trial.exchanges,
            "lowest_peg": trial.peg,
            "bad_debt_over_funds": trial.bad_debt,
            "bad_debt_usd": trial.bad_debt_usd,
            "liquidated_usd": trial.liquidated,
            "loss_usd": trial.loss,
            "rounds": trial.rounds,
            "claim": found.claim,
            "subsets_run": 2 ** len(found.members) - 1,
        }

    def _pair(self, one: int, other: int, glance: Glance | None) -> dict[str, Any]:
        """A pair that the envelope certified has no severity but that it is below one."""
        return {
            "candidate": self.candidates[one].label,
            "other": self.candidates[other].label,
            "system_wide": glance is not None and glance.system_wide,
            "severity": math.nan if glance is None else glance.severity,
            "severity_at_most": math.nan if glance is None else glance.severity_at_most,
            "by": "envelope" if glance is None else "run",
        }

    def summary(self) -> dict[str, Any]:
        """A document of what was found."""
        return {
            "complete": {"size": None if self.any_size else self.max_size, "any_size": self.any_size, "generated": self.generated},
            "runs": self.runs,
            "certified": self.certified,
            "unsettled": self.unsettled,
            "too_large": [*self.too_large],
            "candidates": [candidate.label for candidate in self.candidates],
            "sets": [
                {
                    "members": [
                        {"candidate": member.label, "shock": str(member.shock), "sigmas": member.sigmas} for member in found.members
                    ],
                    "sigmas": found.sigmas,
                    "claim": found.claim,
                    "trial": {name: _finite(value) for name, value in found.trial.to_json().items()},
                }
                for found in self.sets
            ],
            "misses": [
                {"members": [member.label for member in miss.members], "severity": miss.severity, "sigmas": miss.sigmas}
                for miss in self.misses
            ],
        }


_CANDIDATE_COLUMNS = ["candidate", "kind", "target", "size", "sigmas", "shock"]
_SET_COLUMNS = [
    "set",
    "size",
    "members",
    "sigmas",
    "conditions",
    "induced_share",
    "exchanges_failed",
    "lowest_peg",
    "bad_debt_over_funds",
    "bad_debt_usd",
    "liquidated_usd",
    "loss_usd",
    "rounds",
    "claim",
    "subsets_run",
]
_PAIR_COLUMNS = ["candidate", "other", "system_wide", "severity", "severity_at_most", "by"]


def _described(candidate: Candidate) -> dict[str, Any]:
    driver = candidate.driver
    return {
        "candidate": candidate.label,
        "kind": driver.kind,
        "target": driver.target,
        "size": candidate.size,
        "sigmas": candidate.sigmas,
        "shock": str(candidate.shock),
    }


def _finite(value: Any) -> Any:  # noqa: ANN401 - any cell
    """JSON has no infinity: such a value is None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

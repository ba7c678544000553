"""Joint generation: minimal triggers and maximal safe sets, each found where the other family leaves something unexplored.

Both families together are complete when they are dual (Fredman and Khachiyan 1996; Gurvich and Khachiyan 1999). A largest
unexplored set is either certified with all its subsets, or reduced to a minimal set that is not, which is run. Condition
(a) is a difference of two quantities that both rise, so that such a set may be no trigger while some set above it is one: the sets
above it are then searched by branch and bound over intervals of sets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from contagion.search.subsets import maximal, members, minimal, unexplored
from contagion.search.verdicts import Glance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDING: Final = 1e-9
"""Share of open interest by which a bound must stay clear of its threshold: more than what sums lose by rounding."""
MOST: Final = 400
"""Sets that are weighed before generation gives up."""


class Oracle(Protocol):
    """What is asked of sets."""

    @property
    def spent(self) -> bool:
        """Whether no more is to be asked."""

    def certifies(self, mask: int) -> bool:
        """Whether no subset of a set triggers, itself included; what it says of a set it says of its subsets."""

    def triggers(self, mask: int) -> bool:
        """Whether a set triggers that is not certified."""

    def above(self, mask: int, triggers: Sequence[int]) -> list[int]:
        """Triggers among the sets that hold a given one, such that all others there hold one of these or of ``triggers``."""


@dataclass(slots=True)
class Generated:
    """Families found.

    Attributes
    ----------
    triggers
        Trigger sets, none of which holds another; minimal if ``complete``.
    safe
        Sets of which every subset is certified.
    complete
        Whether every minimal trigger set is among ``triggers``.
    """

    triggers: list[int] = field(default_factory=list)
    safe: list[int] = field(default_factory=list)
    complete: bool = False


def generate(count: int, oracle: Oracle, *, known: Sequence[int] = (), conflicts: Sequence[int] = ()) -> Generated:
    """Generate the minimal trigger sets of candidates 0 to ``count`` - 1.

    Parameters
    ----------
    known
        Minimal trigger sets that are known already.
    conflicts
        Pairs that cannot come together.

    Notes
    -----
    Where the verdict is a threshold, each trigger costs O(count) certificates and each safe set one.

    Examples
    --------
    >>> class Pair:
    ...     spent = False
    ...     def certifies(self, mask): return mask & 0b11 != 0b11
    ...     def triggers(self, mask): return mask & 0b11 == 0b11
    >>> generate(4, Pair())
    Generated(triggers=[3], safe=[13, 14], complete=True)
    """
    found, closed, safe = [*known], [*conflicts], list[int]()
    while (mask := unexplored(count, [*found, *closed], safe)) is not None and not oracle.spent:
        if oracle.certifies(mask):
            safe.append(mask)
            continue
        least, certified = _least(mask, oracle)
        safe += certified
        if oracle.triggers(least):
            found.append(least)
        else:
            closed.append(least)
            found += oracle.above(least, found)
    return Generated(minimal(found), maximal(safe), not oracle.spent)


def _least(mask: int, oracle: Oracle) -> tuple[int, list[int]]:
    """A minimal set within one that is not certified, and what was certified on the way."""
    certified = []
    width = max(mask.bit_count() // 2, 1)
    while True:
        places = members(mask)
        for start in range(0, len(places), width):
            less = mask
            for place in places[start : start + width]:
                less &= ~(1 << place)
            if oracle.certifies(less):
                certified.append(less)
            else:
                mask = less
        if width == 1:
            return mask, [one for one in certified if one]
        width //= 2


class Runs:
    """The oracle of an isotone network: runs, and bounds that rest on them.

    With F what a run closes by force and B what its benchmark closes, shares of open interest, both rise with the set. So between
    two sets S ⊆ T condition (a) is at most F(T) - B(S), and over all subsets of T at most F(T).

    Parameters
    ----------
    count
        Candidates there are.
    weigh
        What :func:`contagion.search.trigger_tasks.weigh` says of a set.
    known
        Runs by set, to which those made here are added.
    conflicts
        For each candidate those with which it cannot be in one set.
    threshold
        Of condition (a).
    """

    def __init__(
        self, count: int, weigh: Callable[[int], dict[str, Any]], known: dict[int, Glance], conflicts: Sequence[int], threshold: float
    ) -> None:
        self._every = (1 << count) - 1
        self._weigh, self._known, self._conflicts, self._threshold = weigh, known, conflicts, threshold
        self._answers: dict[int, dict[str, Any]] = {}

    @property
    def spent(self) -> bool:
        """Whether as many sets were weighed as may be."""
        return len(self._answers) >= MOST

    def _weighed(self, mask: int) -> dict[str, Any]:
        if mask not in self._answers:
            self._answers[mask] = answer = self._weigh(mask)
            if answer["glance"] is not None:
                self._known[mask] = Glance.from_json(answer["glance"])
        return self._answers[mask]

    def certifies(self, mask: int) -> bool:
        """Whether no subset of a set triggers, itself included."""
        return bool(self._weighed(mask)["safe"])

    def triggers(self, mask: int) -> bool:
        """Whether a set triggers that is not certified, so that it has been run."""
        return not self.certifies(mask) and self._known[mask].system_wide

    def above(self, mask: int, triggers: Sequence[int]) -> list[int]:
        """Triggers among the sets that hold a given one.

        Intervals of sets are halved at a candidate, without it first: a set comes after all its subsets.
        """
        found: list[int] = []
        waiting = [(mask, self._every)]
        while waiting and not self.spent:
            low, high = waiting.pop()
            high &= ~self._conflicting(low)
            clash = self._conflicting(high) & high
            if any(one & low == one for one in (*triggers, *found)) or self._conflicting(low) & low:
                continue
            if not clash and self._is_calm_between(low, high):
                continue
            if self.triggers(low):
                found.append(low)
                continue
            left = clash or high & ~low
            if left:
                bit = left & -left
                waiting += [(low | bit, high), (low, high & ~bit)]
        return found

    def _conflicting(self, mask: int) -> int:
        hits = 0
        for place in members(mask):
            hits |= self._conflicts[place]
        return hits

    def _is_calm_between(self, low: int, high: int) -> bool:
        """Whether no set between two triggers."""
        if self.certifies(high):
            return True
        if self.certifies(low):
            return low == high
        trial = self._known[low].trial
        if trial is None or not self._weighed(high)["calm"]:
            return False
        without_feedback = self._known[low].closed - trial.induced
        return self._known[high].closed - without_feedback < self._threshold - ROUNDING

"""Intervals of severities that trigger, and the bisection that finds their edges.

A severity is a size of one driver, zero or more. Where more severity never does less, one bisection finds the one threshold;
elsewhere a set of severities may trigger that is no half-line, and what is known of it is the intervals between sizes that
were run, with each edge bisected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Test = Callable[[float], bool]
    Step = Callable[[float], float]

FINEST: Final = 2.0**-53
"""Distance of sizes that nothing tells apart: the factor 1 - size is the same float."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Severities that trigger.

    Attributes
    ----------
    first, last
        The smallest and the largest size known to trigger.
    below, above
        The nearest sizes known not to, one on each side; NaN where the search ends within the interval.
    """

    first: float
    last: float
    below: float
    above: float


def bisect(test: Test, low: float, high: float, tolerance: float, *, finest: float = FINEST) -> tuple[float, float]:
    """Narrow an edge between two sizes of which the test says different things, until they are ``tolerance`` × high apart.

    Parameters
    ----------
    tolerance
        Relative to the size; zero goes down to ``finest``.
    finest
        Distance at which it stops in any case.

    Notes
    -----
    Between two sizes there may be more than one edge; it finds one. Costs log₂((high - low)/(tolerance·high)) tests.

    Examples
    --------
    >>> low, high = bisect(lambda size: size >= 0.3, 0.0, 1.0, 0.0)
    >>> low < 0.3 <= high, high - low <= FINEST
    (True, True)
    """
    verdict = test(high)
    while high - low > max(tolerance * high, finest):
        middle = low + (high - low) / 2
        if not low < middle < high:
            break
        if test(middle) == verdict:
            high = middle
        else:
            low = middle
    return low, high


def intervals_between(sizes: Sequence[float], test: Test, tolerance: float) -> tuple[Interval, ...]:
    """Intervals that a scan finds: runs of neighbouring sizes that trigger, their edges bisected.

    What triggers only between two sizes that do not is missed, and what does not between two that do is covered over.

    Parameters
    ----------
    sizes
        Increasing.

    Examples
    --------
    >>> found = intervals_between([0.0, 0.5, 1.0, 1.5], lambda size: 0.4 <= size < 1.25, 0.0)
    >>> [round(edge, 12) for edge in (found[0].below, found[0].first, found[0].last, found[0].above)]
    [0.4, 0.4, 1.25, 1.25]
    """
    verdicts = [test(size) for size in sizes]
    found: list[Interval] = []
    first = below = math.nan
    for place, (size, verdict) in enumerate(zip(sizes, verdicts, strict=True)):
        before = place > 0 and verdicts[place - 1]
        if verdict and not before:
            below, first = (math.nan, size) if place == 0 else bisect(test, sizes[place - 1], size, tolerance)
        elif before and not verdict:
            last, above = bisect(test, sizes[place - 1], size, tolerance)
            found.append(Interval(first, last, below, above))
    if verdicts and verdicts[-1]:
        found.append(Interval(first, sizes[-1], below, math.nan))
    return tuple(found)


@dataclass(slots=True)
class Isotone:
    """What is closed with and without feedback as functions of severity that never fall, so that their difference is bounded.

    With A what the run closes and B what its benchmark closes, both shares of open interest, condition (a) is A - B ≥ θ. It
    is no threshold even where A and B only rise: a shock that liquidates everybody at once leaves feedback nothing to do. But
    between two sizes A - B is at least A(low) - B(high) and at most A(high) - B(low), so that cells are decided or cut, until
    they are. Values inside a cell whose ends agree are the same and are not run.

    Parameters
    ----------
    closed, benchmark
        A and B.
    threshold
        θ.
    """

    closed: Step
    benchmark: Step
    threshold: float

    def intervals(self, low: float, high: float, tolerance: float, *, most: int = 2_000) -> tuple[tuple[Interval, ...], bool]:
        """All intervals between two sizes to a tolerance, and whether every cell was decided.

        Parameters
        ----------
        tolerance
            Of an edge, relative to its size; zero goes down to what no float tells apart.
        most
            Cells at most; beyond, cells that are not decided stay so, and the second answer is False.

        Notes
        -----
        Costs about log₂(1/tolerance) runs an edge, each one run of the engine once A or B no longer changes in the cell.

        Examples
        --------
        >>> twice = Isotone(lambda size: float(size >= 0.25), lambda size: float(size >= 0.5), 0.2)
        >>> [(one.first, one.above) for one in twice.intervals(0.0, 1.0, 0.0)[0]]
        [(0.25, 0.5)]
        """
        ends = (self.closed(low), self.benchmark(low)), (self.closed(high), self.benchmark(high))
        cells = [(low, high, *ends)]
        known: list[tuple[float, bool]] = [(low, self._holds(*ends[0]))]
        complete = True
        for _ in range(most):
            if not cells:
                break
            left, right, at_left, at_right = cells.pop()
            verdicts = self._holds(*at_left), self._holds(*at_right)
            decided = not self._holds(at_right[0], at_left[1]) or self._holds(at_left[0], at_right[1])
            middle = left + (right - left) / 2
            narrow = verdicts[0] != verdicts[1] and right - left <= tolerance * right
            if decided or narrow or right - left <= FINEST or not left < middle < right:
                known.append((right, verdicts[1]))
                continue
            at = (
                at_left[0] if at_left[0] == at_right[0] else self.closed(middle),
                at_left[1] if at_left[1] == at_right[1] else self.benchmark(middle),
            )
            cells += [(middle, right, at, at_right), (left, middle, at_left, at)]
        else:
            complete = not cells
            known += [(right, self._holds(*at_right)) for _, right, _, at_right in reversed(cells)]
        return _joined(known), complete

    def _holds(self, closed: float, benchmark: float) -> bool:
        return closed - benchmark >= self.threshold


def _joined(known: Sequence[tuple[float, bool]]) -> tuple[Interval, ...]:
    """Intervals of neighbouring sizes that trigger."""
    found: list[Interval] = []
    first = last = below = math.nan
    before = math.nan
    for size, verdict in known:
        if verdict:
            if math.isnan(first):
                first, below = size, before
            last = size
        elif not math.isnan(first):
            found.append(Interval(first, last, below, size))
            first = math.nan
        before = size
    if not math.isnan(first):
        found.append(Interval(first, last, below, math.nan))
    return tuple(found)

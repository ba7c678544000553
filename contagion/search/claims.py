"""Claims: what is known of the severities of one driver that trigger, and how surely.

==============  =============================================================================================
``exact``       isotone network and settings, condition (a): bisection to the stated tolerance; or a driver
                that happens or not, and was run
``enumerated``  every breakpoint on the ray was visited: the full set of intervals
``bracket``     the safe envelope proves that no size up to one triggers, a run shows that another does
``sampled``     sizes were run, at a stated distance from each other; what lies between two is not known
==============  =============================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from contagion.search.bisection import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contagion.search.drivers import Driver

Word = Literal["exact", "enumerated", "bracket", "sampled"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed of a driver's row, and its bounds.

    Attributes
    ----------
    word
        Which kind of claim.
    safe_up_to
        Largest size up to which, itself included, surely none of ``safe_for`` holds; 0 if nothing is sure.
    safe_for
        Letters of the conditions that ``safe_up_to`` speaks of.
    tolerance
        How near an edge of an interval is known, relative to its size.
    ratio
        How many times the last, in standard deviations, each size of the scan is; NaN where none was made.
    step
        Distance of the sizes of an even scan; NaN where none was made.
    sizes
        Sizes in the scan, those among them that the envelope spared a run; 0 where none was made.
    """

    word: Word
    safe_up_to: float = 0.0
    safe_for: str = ""
    tolerance: float = 0.0
    ratio: float = math.nan
    step: float = math.nan
    sizes: int = 0

    @property
    def resolution(self) -> str:
        """Resolution of the scan in words; empty without one.

        Examples
        --------
        >>> Claim("sampled", ratio=1.38, sizes=16).resolution
        '16 sizes, each 1.38 × the last'
        """
        if not self.sizes:
            return ""
        apart = f"each {self.ratio:.3g} × the last" if math.isnan(self.step) else f"{100 * self.step:.3g} % apart"
        return f"{self.sizes} sizes, {apart}"


@dataclass(frozen=True, slots=True)
class Findings:
    """Severities of a driver that trigger, and what is claimed of them.

    Attributes
    ----------
    intervals
        From the smallest sizes up; empty if none triggers.
    claim
        How surely.
    """

    intervals: tuple[Interval, ...]
    claim: Claim

    @property
    def size(self) -> float:
        """The smallest size known to trigger, NaN if none is."""
        return self.intervals[0].first if self.intervals else math.nan

    def to_json(self) -> dict[str, Any]:
        """A document that :meth:`from_json` reads back equal."""
        return {"intervals": [_document(interval) for interval in self.intervals], "claim": _document(self.claim)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Findings:
        """Read what :meth:`to_json` wrote."""
        intervals = tuple(Interval(**_read(interval)) for interval in document["intervals"])
        return cls(intervals, Claim(**_read(document["claim"])))


def _document(value: Interval | Claim) -> dict[str, Any]:
    """Fields by name, nothing for NaN."""
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: None if isinstance(cell, float) and math.isnan(cell) else cell for name, cell in found.items()}


def _read(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if cell is None else cell for name, cell in document.items()}


def words_of(driver: Driver, interval: Interval) -> str:
    """An interval as it is printed.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> words_of(Driver("price", "BTC", "", 0.03), Interval(0.25, 0.5, 0.249, 0.501))
    'from -25 % to -50 %'
    >>> words_of(Driver("price", "BTC", "", 0.03, 0.9), Interval(0.25, 0.9, 0.249, math.nan))
    'from -25 %'
    """
    if driver.binary:
        return driver.words()
    first = "from the start" if interval.first == 0 else f"from {driver.words(interval.first)}"
    return first if math.isnan(interval.above) else f"{first} to {driver.words(interval.last)}"

"""A ray: one driver at every size, everything else at rest or as the bench says; each size is run once.

Size zero is the bench without the driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.cascade import closed_usd
from contagion.grid import group_sum
from contagion.journal import FORCED
from contagion.search.verdicts import glance

if TYPE_CHECKING:
    from contagion.cascade import Cascade
    from contagion.search.drivers import Driver
    from contagion.search.trial import Bench
    from contagion.search.verdicts import Glance
    from contagion.shocks import Shock

CONDITIONS: Final = "abcd"
"""Letters of the four conditions of a system-wide cascade."""
SMALLEST: Final = 0.5
"""Standard deviations of the first size of a scan."""
_COARSEST: Final = 32.0
"""The limit is at least so many times the first size."""


class Ray:
    """A driver on a bench.

    Parameters
    ----------
    bench
        The network, its settings and what is given.
    driver
        What moves.
    conditions
        Letters of the conditions that count as a trigger.

    Attributes
    ----------
    runs
        Times that the engine ran, a run and its benchmark counting once.
    interest
        Open interest, both sides, USD at P₀.
    truncated
        Sizes judged whose run stopped at the limit of rounds, short of a fixed point.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> ray = Ray(Bench.of(one_book_ladder()), Driver("price", "COIN", "", 0.04, 0.9))
    >>> ray.triggers(0.01), ray.triggers(0.05), ray.fired(0.05), ray.runs
    (False, True, 'd', 2)
    """

    def __init__(self, bench: Bench, driver: Driver, conditions: str = CONDITIONS) -> None:
        self.bench, self.driver, self.conditions = bench, driver, conditions
        self.runs = self.truncated = 0
        self._glances: dict[float, Glance] = {}
        self._closed: dict[tuple[float, bool], float] = {}
        accounts, markets = bench.system.accounts, bench.system.markets
        interest = group_sum(accounts.market, np.abs(accounts.quantity), markets.count) * markets.price
        self.interest = float(interest.sum())

    def shocks(self, size: float) -> tuple[Shock, ...]:
        """The driver's shock of this size; none at zero."""
        return (self.driver.shock(size),) if size > 0 else ()

    def glance(self, size: float) -> Glance:
        """Verdict at this size."""
        if size not in self._glances:
            found = self._glances[size] = glance(self.bench, self.shocks(size))
            self.runs += 1
            self.truncated += found.reason == "max_rounds"
        return self._glances[size]

    def fired(self, size: float) -> str:
        """Letters of the conditions asked for that hold at this size."""
        trial = self.glance(size).trial
        return "" if trial is None else "".join(letter for letter in trial.fired if letter in self.conditions)

    def triggers(self, size: float) -> bool:
        """Whether any of them holds."""
        return bool(self.fired(size))

    def cascade(self, size: float) -> Cascade:
        """The run at this size, with its benchmark. Not kept."""
        self.runs += 1
        return self.bench.cascade(self.shocks(size))

    def closed(self, size: float) -> float:
        """Share of open interest that is closed by force at this size."""
        return self._share(size, feedback=True)

    def benchmark(self, size: float) -> float:
        """The same without feedback."""
        return self._share(size, feedback=False)

    def _share(self, size: float, *, feedback: bool) -> float:
        if (size, feedback) not in self._closed:
            self.runs += 1
            outcome = self.bench.simulate(self.bench.prepared(self.shocks(size)), feedback=feedback)
            closed = float(closed_usd(outcome, *FORCED).sum())
            self._closed[size, feedback] = closed / self.interest if self.interest > 0 else 0.0
        return self._closed[size, feedback]


def scan_sizes(driver: Driver, count: int) -> list[float]:
    """Sizes of a scan: zero, then so many from half a standard deviation to the limit.

    Each is the same multiple of the last in standard deviations, so that small moves, which are likely, are told apart as
    finely as large ones.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> [round(size, 3) for size in scan_sizes(Driver("price", "BTC", "", 0.05, 0.9), 5)]
    [0.0, 0.025, 0.075, 0.213, 0.524, 0.9]
    """
    end = driver.sigmas(driver.limit)
    start = min(SMALLEST, end / _COARSEST)
    ratio = (end / start) ** (1.0 / (count - 1))
    return [0.0, *(driver.size(start * ratio**place) for place in range(count - 1)), driver.limit]


def scan_ratio(driver: Driver, count: int) -> float:
    """How many times the last each size of :func:`scan_sizes` is, in standard deviations."""
    end = driver.sigmas(driver.limit)
    return float((end / min(SMALLEST, end / _COARSEST)) ** (1.0 / (count - 1)))

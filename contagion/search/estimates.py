"""Estimates from independent draws: proportions, quantiles and expected shortfall, each with a confidence interval.

Intervals of proportions (Clopper and Pearson 1934) and of quantiles (order statistics, David and Nagaraja 2003, §7.1) hold
at least their level for any distribution and any number of draws. Those of means and of expected shortfall (Manistre and
Hancock 2005, eq. 2.2) hold for many draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from contagion.arrays import Floats

CONFIDENCE: Final = 0.95
"""Level of every interval."""
LEVELS: Final = (500, 900, 950, 990, 999)
"""Quantiles that are told, per mille."""
_FEW: Final = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value between two bounds."""

    value: float
    low: float
    high: float


def proportion(hits: int, n: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """Share of hits with its exact (Clopper–Pearson) interval.

    Examples
    --------
    >>> proportion(0, 100)
    Estimate(value=0.0, low=0.0, high=0.0362166926...)
    """
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(confidence)
    return Estimate(hits / n, float(interval.low), float(interval.high))


def mean(values: Floats, *, confidence: float = CONFIDENCE) -> Estimate:
    """Mean with the interval of Student's t; no bounds from one value."""
    from scipy.special import stdtrit

    centre = math.fsum(values.tolist()) / values.size
    if values.size < _FEW:
        return Estimate(centre, -math.inf, math.inf)
    error = math.sqrt(math.fsum(((values - centre) ** 2).tolist()) / (values.size - 1) / values.size)
    reach = float(stdtrit(values.size - 1, (1 + confidence) / 2)) * error
    return Estimate(centre, centre - reach, centre + reach)


def quantile(ranked: Floats, per_mille: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """Quantile of ranked values, the ⌈np⌉-th, between two order statistics; infinite where so few draws bound nothing.

    Examples
    --------
    >>> quantile(np.arange(1.0, 1001.0), 990)
    Estimate(value=990.0, low=983.0, high=997.0)
    """
    from scipy.stats import binom

    n = ranked.size
    low, high = (int(binom.ppf(level, n, per_mille / 1000)) for level in ((1 - confidence) / 2, (1 + confidence) / 2))
    value = float(ranked[-(-n * per_mille // 1000) - 1])
    return Estimate(value, float(ranked[low - 1]) if low else -math.inf, float(ranked[high]) if high < n else math.inf)


def shortfall(ranked: Floats, per_mille: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """Expected shortfall of ranked losses, the mean of the worst share (Acerbi and Tasche 2002, eq. 4.10).

    Examples
    --------
    >>> shortfall(np.arange(1.0, 101.0), 950).value
    98.0
    """
    from scipy.special import ndtri

    n, p = ranked.size, per_mille / 1000
    rank = -(-n * per_mille // 1000)
    worst, edge = ranked[rank:], float(ranked[rank - 1])
    size = n * (1000 - per_mille) / 1000
    value = (math.fsum(worst.tolist()) + (size - worst.size) * edge) / size
    if worst.size < _FEW:
        return Estimate(value, -math.inf, math.inf)
    spread = float(np.var(worst, ddof=1)) + p * (value - edge) ** 2
    reach = float(ndtri((1 + confidence) / 2)) * math.sqrt(spread / size)
    return Estimate(value, value - reach, value + reach)


def distribution(values: Floats, *, levels: Sequence[int] = LEVELS, floor: float = -math.inf) -> pd.DataFrame:
    """Mean and quantiles of a sample, a row each, with expected shortfall beside the quantiles; costs one sort.

    Parameters
    ----------
    values
        The sample.
    levels
        Quantiles, per mille.
    floor
        What no value can be below. Expected shortfall is not below its quantile either, and their bounds neither.

    Examples
    --------
    >>> list(distribution(np.arange(1.0, 1001.0))["statistic"])
    ['mean', '50 %', '90 %', '95 %', '99 %', '99.9 %', 'largest']
    """
    import pandas as pd

    ranked = np.sort(values)
    nothing = Estimate(math.nan, math.nan, math.nan)
    rows = [("mean", _above(floor, mean(values)), nothing)]
    for level in levels:
        at = _above(floor, quantile(ranked, level))
        rows.append((f"{level / 10:g} %", at, _above(at.low, shortfall(ranked, level))))
    rows.append(("largest", Estimate(float(ranked[-1]), math.nan, math.nan), nothing))
    columns = {
        f"{name}{end}": [getattr(row[place], field) for row in rows]
        for place, name in ((1, "value"), (2, "shortfall"))
        for end, field in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return pd.DataFrame({"statistic": [row[0] for row in rows], **columns})


def _above(floor: float, estimate: Estimate) -> Estimate:
    return Estimate(estimate.value, max(estimate.low, floor), estimate.high)

"""Strata of positions: exchange x coin x side x leverage band, each with whole lots and a number of positions.

The lots of a stratum depend on the facts and assumptions alone, never on the number of accounts; so the open interest,
and its split by leverage, are the same at every size. Inside a stratum the sizes are a truncated Pareto law cut into as
many equally probable parts as there are positions, each position at the mean of its part: a sample would let the
tail (Hill index 0.78: no mean) decide. With fewer positions than people the law loses its small end, so each position
stands for several small ones, and keeps its tail. Symbols: α tail index, x_m and x_M smallest and largest size, n
positions, V notional of the stratum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from graphs.oct2025.facts import EXCHANGES, AssumptionError, asset_class, distribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from graphs.oct2025.facts import Assumptions
    from graphs.oct2025.open_interest import OpenInterest
    from graphs.oct2025.tiers import Brackets

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

BANDS: Final = ("hedged", "low", "mid", "high")
"""Leverage bands: hedged, then the three published buckets."""

SIDES: Final = (1, -1)
"""Long, short."""


@dataclass(frozen=True, slots=True)
class Strata:
    """Arrays over strata, sorted by exchange, coin, side (long first), band.

    Attributes
    ----------
    exchange, asset, side, band
        Positions in ``EXCHANGES``, in the coins, in ``SIDES`` and in ``BANDS``.
    lots
        Whole lots.
    count
        Positions.
    smallest, largest
        x_m and x_M in USD of notional.
    crowd
        Factor, by exchange and coin, by which positions outgrow the brackets of their bands because each stands for several
        people: a power of two, 1 from about 20,000 accounts on.
    """

    exchange: Ints
    asset: Ints
    side: Ints
    band: Ints
    lots: Ints
    count: Ints
    smallest: Floats
    largest: Floats
    crowd: Floats


def apportion(total: int, weights: Floats | Ints) -> Ints:
    """Split a whole number by weights, largest remainders first.

    Examples
    --------
    >>> apportion(10, np.array([1.0, 1.0, 1.0])).tolist()
    [4, 3, 3]
    """
    share = total * (weights / weights.sum())
    whole: Ints = np.floor(share).astype(np.int64)
    order = np.argsort(-(share - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def band_shares(exchange: str, group: str, side: int, assumptions: Assumptions) -> Floats:
    """Shares of the bands in the open interest of one side.

    The published table is of both sides of Hyperliquid: longs and shorts average to it. Elsewhere hedgers come first and the
    rest is split as the table.
    """
    shift = assumptions.number(f"leverage.shift.{exchange}")
    low, high = float(distribution("leverage.low")["value"]), float(distribution("leverage.high")["value"])
    long_low = assumptions.number("leverage.long_low") * (low - shift) / low
    long_high = assumptions.number("leverage.long_high") * (high + shift) / high
    buckets = np.array([long_low, 1 - long_low - long_high, long_high])
    if side < 0:
        buckets = 2 * np.array([low - shift, 1 - low - high, high + shift]) - buckets
    if exchange == "Hyperliquid":
        hedged = min(assumptions.number("hedged.Hyperliquid"), float(buckets[0]))
        shares = np.array([hedged, buckets[0] - hedged, buckets[1], buckets[2]])
    else:
        hedged = assumptions.number(f"hedged_{'long' if side > 0 else 'short'}.{group}")
        shares = np.array([hedged, *((1 - hedged) * buckets)])
    if shares.min() < 0:
        word = "long" if side > 0 else "short"
        band = BANDS[int(shares.argmin())]
        raise AssumptionError(
            f"share of band {band} of the {word} side of {exchange} is {shares.min():.6g}; change a leverage or hedged assumption"
        )
    return shares


def build_strata(
    accounts: int, interest: OpenInterest, named_shorts: Ints, brackets: Mapping[tuple[str, str], Brackets], assumptions: Assumptions
) -> Strata:
    """Split the open interest of clients into strata and give each its positions.

    Parameters
    ----------
    accounts
        Client accounts in all.
    interest
        Open interest in lots.
    named_shorts
        Lots of shorts that named institutions hold, by exchange and coin; they are taken off the hedged band first.
    brackets
        Margin brackets by exchange and coin.
    assumptions
        The assumptions.
    """
    keys, lots = [], []
    for e, exchange in enumerate(EXCHANGES):
        for a, asset in enumerate(interest.assets):
            for s, side in enumerate(SIDES):
                taken = int(named_shorts[e, a]) if side < 0 else 0
                split = _band_lots(int(interest.lots[e, a]), taken, band_shares(exchange, asset_class(asset), side, assumptions))
                if split.sum() < 0:
                    raise AssumptionError(
                        f"named institutions are short more {asset} at {exchange} than its open interest; "
                        "lower makers.short_share or usde.venue"
                    )
                for b in np.flatnonzero(split):
                    keys.append((e, a, s, int(b)))
                    lots.append(int(split[b]))
    exchange_, asset_, side_, band_ = np.array(keys).T
    counted = np.array(lots)
    usd = counted * interest.lot[asset_] * interest.prices[asset_]
    cell_usd = interest.usd

    bracket = np.array(
        [
            brackets[EXCHANGES[e], interest.assets[a]].ceiling(assumptions.number(f"size.bracket_{BANDS[b]}"))
            for e, a, b in zip(exchange_, asset_, band_, strict=True)
        ]
    )
    cap = np.minimum(assumptions.number("size.largest_share") * cell_usd[exchange_, asset_], assumptions.number("size.largest_usd"))
    largest = np.minimum(bracket, cap)
    count = _positions(accounts, usd, largest, assumptions)
    mean = usd / count
    crowd = np.ones(cell_usd.shape)
    np.maximum.at(crowd, (exchange_, asset_), np.exp2(np.ceil(np.log2(np.maximum(mean / bracket, 1.0)))))
    largest = np.maximum(np.minimum(largest, usd), mean)
    return Strata(exchange_, asset_, side_, band_, counted, count, *_truncation(mean, largest, assumptions), crowd)


def _band_lots(lots: int, taken: int, shares: Floats) -> Ints:
    """Whole lots by band after ``taken`` lots are gone, from the first band on."""
    split = apportion(lots, shares)
    for band in range(len(split)):
        part = min(taken, int(split[band]))
        split[band] -= part
        taken -= part
    split[0] -= taken
    return split


def _positions(accounts: int, usd: Floats, largest: Floats, assumptions: Assumptions) -> Ints:
    """Positions by stratum: one each, the rest partly where brackets ask for small positions, partly by notional."""
    total = round(accounts * assumptions.number("portfolio.positions"))
    if total < usd.size:
        message = f"{accounts} accounts make {total} positions for {usd.size} strata; raise accounts or portfolio.positions"
        raise AssumptionError(message)
    mix = assumptions.number("size.need_mix")
    need = usd / largest
    return 1 + apportion(total - usd.size, mix * need / need.sum() + (1 - mix) * usd / usd.sum())


def tail_index() -> float:
    """Hill index of sizes, as published."""
    return float(distribution("size.hill")["value"])


def _truncation(mean: Floats, largest: Floats, assumptions: Assumptions) -> tuple[Floats, Floats]:
    """x_m and x_M whose truncated Pareto law has the mean wanted, by bisection on ln(x_m / x_M).

    Mean over x_M is α / (1 − α) · (1 − r^{1−α}) / (r^{−α} − 1), r = x_m / x_M, increasing in r. Where even the smallest size
    allowed leaves the mean too high no law is needed; where the mean is below it, x_M falls instead.
    """
    alpha = tail_index()
    floor = np.log(assumptions.number("size.smallest_usd") / largest)
    low, high = np.full(mean.shape, -80.0), np.full(mean.shape, -1e-9)
    for _ in range(80):
        middle = (low + high) / 2
        above = _mean_over_largest(middle, alpha) > mean / largest
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    log_ratio = np.where(mean >= largest * (1 - 1e-9), 0.0, high)
    # More positions than people of at least the smallest size: keep the smallest size, lower the largest.
    short = (log_ratio < floor) & (floor < 0)
    for stratum in np.flatnonzero(short):
        log_ratio[stratum], largest[stratum] = _lower_largest(mean[stratum], assumptions.number("size.smallest_usd"), alpha)
    return largest * np.exp(log_ratio), largest


def _mean_over_largest(log_ratio: Floats, alpha: float) -> Floats:
    return alpha / (1 - alpha) * -np.expm1((1 - alpha) * log_ratio) / np.expm1(-alpha * log_ratio)


def _lower_largest(mean: float, smallest: float, alpha: float) -> tuple[float, float]:
    """ln(x_m / x_M) and x_M for a given x_m; equal sizes where the mean is below x_m."""
    if mean <= smallest:
        return 0.0, mean
    low, high = -80.0, -1e-9
    for _ in range(80):
        middle = (low + high) / 2
        # mean over smallest falls as the ratio nears one
        if _mean_over_largest(np.array(middle), alpha) * np.exp(-middle) > mean / smallest:
            low = middle
        else:
            high = middle
    return high, smallest * float(np.exp(-high))


def position_lots(lots: int, count: int, smallest: float, largest: float, alpha: float) -> Ints:
    """Lots of the positions of a stratum, smallest first; they sum to ``lots`` exactly and none is zero.

    Position i has the mean size of the part (i/n, (i+1)/n) of the truncated Pareto law, rounded in the running sum.
    """
    if smallest >= largest:
        weights = np.ones(count)
    else:
        survival = np.linspace((largest / smallest) ** alpha, 1.0, count + 1)
        weights = np.diff(survival ** (-(1 - alpha) / alpha))
    running = np.cumsum(weights)
    running *= (lots - count) / running[-1]
    steps = np.floor(running + 0.5).astype(np.int64)
    steps[-1] = lots - count
    return 1 + np.diff(steps, prepend=0)

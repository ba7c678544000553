"""Marks, indices and coin prices as intervals, from intervals of the books.

Every oracle is monotone in its sources as long as the same ones count, so its value lies between its values at the low and at
the high ends. The outlier rule may leave one source out, or take the median of all: then the least and the greatest of
these candidates bound it. Where a source may vanish with its exchange, the lowest and the highest source do.
Cost O(exchanges × markets + coins × exchanges²).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.steps.prices import OUTLIER, OWN, index_price, weighted_median

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats
    from contagion.search.envelope.frame import Ends, Frame

NEVER = float("nan")
"""Outlier tolerance of an index that leaves nothing out."""


@dataclass(frozen=True, slots=True)
class Quotes:
    """Intervals of what things are valued at, USD: marks and collateral indices by market, prices of coins."""

    mark_low: Floats
    mark_high: Floats
    index_low: Floats
    index_high: Floats
    coin_low: Floats
    coin_high: Floats


@dataclass(frozen=True, slots=True)
class _Sources:
    """Ends of the sources of one instrument, coin × exchange, NaN where there is none."""

    low: Floats
    high: Floats
    weight: Floats
    sure: Flags
    possible: Flags

    @classmethod
    def of(cls, frame: Frame, *, perp: bool) -> _Sources:
        system, markets = frame.system, frame.system.markets
        shape = (len(system.coins.names), len(system.exchanges.names))
        use = (markets.perp == perp) & (markets.weight > 0) & ~frame.dead[markets.exchange]
        where = (markets.coin[use], markets.exchange[use])
        bottom, top, weight = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
        bottom[where], top[where], weight[where] = frame.low[use], frame.high[use], markets.weight[use]
        possible = weight > 0
        return cls(bottom, top, weight, possible & ~frame.failing, possible)

    def there(self) -> tuple[Flags, Flags]:
        """Whether a coin surely and whether it possibly has a source."""
        return np.asarray(self.sure.any(axis=1)), np.asarray(self.possible.any(axis=1))

    def index(self, outlier: float) -> tuple[Floats, Floats]:
        """Ends of the weighted index by coin."""
        low, high = index_price(self.low, self.weight, NEVER), index_price(self.high, self.weight, NEVER)
        with np.errstate(invalid="ignore"):
            middle_low, middle_high = _middle(self.low), _middle(self.high)
            safe = (self.high <= (1.0 + outlier) * middle_low[:, None]) & (self.low >= (1.0 - outlier) * middle_high[:, None])
        unsafe = (self.possible & ~safe).any(axis=1)
        if unsafe.any():
            low, high = np.where(unsafe, np.fmin(low, middle_low), low), np.where(unsafe, np.fmax(high, middle_high), high)
            for left_out in np.flatnonzero(self.possible.any(axis=0)):
                weight = self.weight.copy()
                weight[:, left_out] = 0.0
                other = unsafe & (weight > 0).any(axis=1)
                low = np.where(other, np.fmin(low, index_price(self.low, weight, NEVER)), low)
                high = np.where(other, np.fmax(high, index_price(self.high, weight, NEVER)), high)
        return self._unless_vanishing(low, high)

    def median(self) -> tuple[Floats, Floats]:
        """Ends of the weighted median by coin."""
        return self._unless_vanishing(weighted_median(self.low, self.weight), weighted_median(self.high, self.weight))

    def _unless_vanishing(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        vanishing = (self.possible & ~self.sure).any(axis=1)
        if not vanishing.any():
            return low, high
        least = np.where(self.possible, self.low, np.inf).min(axis=1)
        most = np.where(self.possible, self.high, -np.inf).max(axis=1)
        return np.where(vanishing, least, low), np.where(vanishing, most, high)


def _middle(price: Floats) -> Floats:
    """Plain median by coin over the sources that there are."""
    return index_price(price, np.zeros_like(price), NEVER)


def _first(choices: list[tuple[Ends, Flags, Flags]], last: Ends) -> Ends:
    """Ends of the first choice that is there; each comes with whether it surely and whether it possibly is."""
    low, high = last
    for (bottom, top), sure, possible in reversed(choices):
        low = np.where(sure, bottom, np.where(possible, np.fmin(low, bottom), low))
        high = np.where(sure, top, np.where(possible, np.fmax(high, top), high))
    return low, high


@dataclass(frozen=True, slots=True)
class Fixed:
    """Values before any shock: what an outage freezes, and what coins cost."""

    mark: Floats
    index: Floats
    coin: Floats


def quotes(frame: Frame, fixed: Fixed, redeemable: Ends) -> Quotes:
    """Bound what positions, collateral and holdings are valued at.

    Parameters
    ----------
    fixed
        Values that an outage freezes.
    redeemable
        Ends of the redemption value of each coin, USD; NaN for assets.
    """
    onset, low, high = frame.onset, frame.low, frame.high
    markets, exchanges = frame.system.markets, frame.system.exchanges
    spot, perp = _Sources.of(frame, perp=False), _Sources.of(frame, perp=True)
    in_spot, in_perp = spot.there(), perp.there()
    there = {True: (in_perp, in_spot), False: (in_spot, in_perp)}
    known: dict[tuple[str, bool, float], tuple[Ends, Ends]] = {}

    def oracle(rule: str, outlier: float, *, perp_first: bool) -> tuple[Ends, Ends]:
        key = (rule, perp_first, outlier)
        if key not in known:
            order = (perp, spot) if perp_first else (spot, perp)
            first, second = (source.index(outlier) if rule == "index" else source.median() for source in order)
            known[key] = (first, second)
        return known[key]

    (sure, possible), (sure_next, possible_next) = there[False]
    one, two = oracle("index", OUTLIER, perp_first=False)
    coin_low, coin_high = _first([(one, sure, possible), (two, sure_next, possible_next)], (onset.coin_low, onset.coin_high))
    gone = ~(sure | sure_next) & (possible | possible_next)  # the last price before its sources vanished stays
    coin_low, coin_high = np.where(gone, np.fmin(coin_low, fixed.coin), coin_low), np.where(gone, np.fmax(coin_high, fixed.coin), coin_high)
    result = Quotes(low.copy(), high.copy(), low.copy(), high.copy(), coin_low, coin_high)
    for exchange in range(len(exchanges.names)):
        here = np.flatnonzero(markets.exchange == exchange)
        coin = markets.coin[here]
        outlier = float(exchanges.outlier[exchange])
        for rule, own, perp_first, bottom, top in (
            (exchanges.mark_oracle[exchange], markets.trade[exchange, coin], True, result.mark_low, result.mark_high),
            (exchanges.collateral_oracle[exchange], markets.sell[exchange, coin], False, result.index_low, result.index_high),
        ):
            ends = low[own], high[own]
            if rule != OWN:
                first, second = oracle(rule, outlier, perp_first=perp_first)
                choices = [
                    ((e[0][coin], e[1][coin]), s[coin], p[coin]) for e, (s, p) in zip((first, second), there[perp_first], strict=True)
                ]
                ends = _first(choices, ends)
            bottom[here], top[here] = ends
        weight = exchanges.redemption_weight[exchange]
        for side, value in ((result.index_low, redeemable[0][coin]), (result.index_high, redeemable[1][coin])):
            at = side[here]
            side[here] = np.where(np.isnan(value), at, (1.0 - weight) * at + weight * np.nan_to_num(value))
    frozen, possible_outage = onset.outage.sure[markets.exchange], onset.outage.possible[markets.exchange]
    for at, low_end, high_end in ((fixed.mark, result.mark_low, result.mark_high), (fixed.index, result.index_low, result.index_high)):
        low_end[:] = np.where(frozen, at, np.where(possible_outage, np.minimum(low_end, at), low_end))
        high_end[:] = np.where(frozen, at, np.where(possible_outage, np.maximum(high_end, at), high_end))
    return result

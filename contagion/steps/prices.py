"""Step 1: marks of positions, indices of collateral, prices of holdings.

Marks come from perpetual mids (spot where there is none), indices from spot mids (perpetual where there is none), by the
oracle of each exchange: its own book, a weighted index over exchanges, or their weighted median. An outage freezes them.
Cost O(exchanges × markets).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import sorted_sum

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats
    from contagion.state import State


OUTLIER = 0.05
"""Outlier tolerance of the price at which holdings are valued, as Binance's for its index."""

OWN = "internal"
"""Oracle of an exchange that prices off its own book."""


def decay_impact(state: State, round_seconds: float, half_life: float | None) -> None:
    """Let prices return towards their path by the half-life of impact."""
    if half_life is None:
        return
    books = state.books
    left = 2.0 ** (-round_seconds / half_life)
    shut = ~state.open_markets()
    with np.errstate(divide="ignore"):
        displaced = np.log(books.price / books.fundamental)
    books.price = np.where(shut | (displaced == 0.0), books.price, books.fundamental * np.exp(displaced * left))


def set_prices(state: State, *, opening: bool = False) -> None:
    """Set marks, indices, holding prices from the mids of this round.

    An outage freezes them at what they were; before the first round (``opening``) they are set all the same.
    """
    system, books = state.system, state.books
    markets, exchanges = system.markets, system.exchanges
    spot, spot_weight = _sources(state, perp=False)
    perp, perp_weight = _sources(state, perp=True)
    state.coin_price = _first(index_price(spot, spot_weight, OUTLIER), index_price(perp, perp_weight, OUTLIER), state.coin_price)
    known: dict[tuple[str, bool, float], Floats] = {}

    def oracle(rule: str, outlier: float, *, perp_first: bool) -> Floats:
        """Price by coin under an oracle, computed once for all exchanges that share it."""
        key = (rule, perp_first, float(outlier))
        if key not in known:
            sources = ((perp, perp_weight), (spot, spot_weight)) if perp_first else ((spot, spot_weight), (perp, perp_weight))
            if rule == "index":
                known[key] = _first(*(index_price(*source, outlier) for source in sources))
            else:
                known[key] = _first(*(weighted_median(*source) for source in sources))
        return known[key]

    books.previous_mark = books.mark.copy()
    for exchange in range(len(exchanges.names)):
        if state.outage[exchange] and not opening:
            continue
        here = markets.exchange == exchange
        coin = markets.coin[here]
        outlier = exchanges.outlier[exchange]
        mark_rule, index_rule = exchanges.mark_oracle[exchange], exchanges.collateral_oracle[exchange]
        own_mark, own_index = books.price[markets.trade[exchange, coin]], books.price[markets.sell[exchange, coin]]
        mark = own_mark if mark_rule == OWN else _first(oracle(mark_rule, outlier, perp_first=True)[coin], own_mark)
        at = own_index if index_rule == OWN else _first(oracle(index_rule, outlier, perp_first=False)[coin], own_index)
        books.mark[here] = mark
        weight, value = exchanges.redemption_weight[exchange], state.redemption_value[coin]
        books.index[here] = np.where(np.isnan(value), at, (1.0 - weight) * at + weight * np.nan_to_num(value))


def _sources(state: State, *, perp: bool) -> tuple[Floats, Floats]:
    """Mids and index weights as coin × exchange; NaN and 0 where an exchange has no such book or has failed."""
    system = state.system
    markets = system.markets
    shape = (len(system.coins.names), len(system.exchanges.names))
    price, weight = np.full(shape, np.nan), np.zeros(shape)
    use = (markets.perp == perp) & state.alive[markets.exchange] & (markets.weight > 0)
    price[markets.coin[use], markets.exchange[use]] = state.books.price[use]
    weight[markets.coin[use], markets.exchange[use]] = markets.weight[use]
    return price, weight


def _first(*choices: Floats) -> Floats:
    """First that is a number, elementwise."""
    result = choices[0]
    for choice in choices[1:]:
        result = np.where(np.isnan(result), choice, result)
    return result


def index_price(price: Floats, weight: Floats, outlier: float) -> Floats:
    """Weighted index over exchanges with Binance's outlier rule.

    A single source more than ``outlier`` off the median has weight 0; if there are several, the median itself is taken
    (Binance FAQ 547ba48141474ab3bddc5d7898f97928, 2020). The result is therefore not monotone in one source.

    Parameters
    ----------
    price, weight
        Coin × exchange; NaN and 0 where there is no source.
    outlier
        Tolerance; NaN for no such rule.

    Examples
    --------
    >>> equal = np.ones((1, 4))
    >>> float(index_price(np.array([[100.0, 100, 100, 96]]), equal, 0.05)[0])
    99.0
    >>> float(index_price(np.array([[100.0, 100, 100, 94]]), equal, 0.05)[0])
    100.0
    """
    there = ~np.isnan(price)
    weight = np.where(there, weight, 0.0)
    middle = _median(price, there)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        off = there & (np.abs(price - middle) > outlier * middle)  # never, where there is no such rule: NaN
        number = off.sum(axis=1)
        weight = np.where(off & (number == 1)[:, None], 0.0, weight)
        total = sorted_sum(weight)
        mean = sorted_sum(np.where(weight > 0, price * weight, 0.0)) / total
    return np.where((number > 1) | (total == 0), middle[:, 0], mean)


def _median(price: Floats, there: Flags) -> Floats:
    """Plain median over the sources that there are, NaN without any."""
    if not price.shape[1]:
        return np.full(len(price), np.nan)
    ranked, count, rows = np.sort(price, axis=1), there.sum(axis=1), np.arange(len(price))  # NaN last
    return np.asarray((ranked[rows, np.maximum(count - 1, 0) // 2] + ranked[rows, count // 2]) / 2)


def weighted_median(price: Floats, weight: Floats) -> Floats:
    """Weighted median over exchanges: the price at which half of the weight is reached, the mean of two if exactly there.

    Examples
    --------
    >>> float(weighted_median(np.array([[1.0, 2.0, 10.0]]), np.array([[3.0, 2.0, 2.0]]))[0])
    2.0
    """
    order = np.argsort(price, axis=1)  # NaN last
    ranked, heavy = np.take_along_axis(price, order, axis=1), np.take_along_axis(weight, order, axis=1)
    heavy = np.where(np.isnan(ranked), 0.0, heavy)
    reached = np.cumsum(heavy, axis=1)
    half = reached[:, -1] / 2
    rows = np.arange(len(price))
    low = np.argmax(reached >= half[:, None], axis=1)
    high = np.argmax(reached > half[:, None], axis=1)
    result = (ranked[rows, low] + ranked[rows, high]) / 2
    return np.where(half > 0, result, np.nan)

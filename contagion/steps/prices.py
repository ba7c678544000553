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
    price, weight = _sources(state)
    known: dict[tuple[str, float], tuple[Floats, Floats]] = {}

    def by_book(rule: str, outlier: float) -> tuple[Floats, Floats]:
        """Spot and perpetual price by coin under an oracle, computed once for all exchanges that share it."""
        key = (rule, float(outlier))
        if key not in known:
            both = index_price(price, weight, outlier) if rule == "index" else weighted_median(price, weight)
            known[key] = (both[: len(both) // 2], both[len(both) // 2 :])
        return known[key]

    def oracle(rule: str, outlier: float, *, perp_first: bool) -> Floats:
        spot, perp = by_book(rule, outlier)
        return _first(perp, spot) if perp_first else _first(spot, perp)

    state.coin_price = _first(*by_book("index", OUTLIER), state.coin_price)
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
        mixed, value = exchanges.redemption_weight[exchange], state.redemption_value[coin]
        books.index[here] = np.where(np.isnan(value), at, (1.0 - mixed) * at + mixed * np.nan_to_num(value))


def _sources(state: State) -> tuple[Floats, Floats]:
    """Mids and index weights as coin × exchange, spot books first, then perpetuals.

    NaN and 0 where an exchange has no such book or has failed.
    """
    system = state.system
    markets, coins = system.markets, len(system.coins.names)
    price, weight = np.full((2 * coins, len(system.exchanges.names)), np.nan), np.zeros((2 * coins, len(system.exchanges.names)))
    use = np.flatnonzero(state.alive[markets.exchange] & (markets.weight > 0))
    row = markets.coin[use] + coins * markets.perp[use]
    price[row, markets.exchange[use]] = state.books.price[use]
    weight[row, markets.exchange[use]] = markets.weight[use]
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

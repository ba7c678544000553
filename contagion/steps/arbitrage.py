"""Step 9: arbitrage between the books of one asset, spot and perpetual.

With ln P̄ = Σ(ln P_v/k_v)/Σ(1/k_v) each book trades θ(ln P̄ - ln P_v)/k_v, which sums to zero, and θ = min(1, USD capacity
left / USD bought). Under linear and square-root impact the common price is found by bisection instead. Arbitrageurs need no
margin; what they hold is in the market's desk account. Cost O(books).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import snap, snap_down, sorted_sum
from contagion.impact import K_UNIT, execute, quantity_to
from contagion.journal import Flow
from contagion.steps.execution import depth_now

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.state import State


BISECTIONS = 80
LEVEL = 1e-12
"""Log gap to the common price below which books are level: a smaller trade would not move a price by one rounding."""


def arbitrage(state: State) -> None:
    """Close gaps between the open books of each coin that has arbitrageurs."""
    if not state.settings.feedback:
        return
    markets = state.system.markets
    usable = state.open_markets() & (state.transfers_open & state.arbitrage_open)[markets.exchange] & (state.books.price > 0)
    depth = depth_now(state)
    for coin in np.flatnonzero(state.desk_capacity > 0):
        books = np.flatnonzero(usable & (markets.coin == coin))
        if books.size > 1:
            _level(state, int(coin), books, depth[books])


def _level(state: State, coin: int, where: Ints, depth: Floats) -> None:
    system, books, form = state.system, state.books, state.settings.impact
    lot, quantum = system.coins.lot[coin], system.quantum
    price, start = books.price[where], system.markets.price[where]
    if form == "exponential":
        weight = depth / K_UNIT
        level = float(np.exp(sorted_sum(np.log(price) * weight) / sorted_sum(weight)))
    else:
        level, high = float(price.min()), float(price.max())
        for _ in range(BISECTIONS):
            middle = (level + high) / 2
            excess = sorted_sum(quantity_to(form, price, start, depth, np.full(where.size, middle)))
            level, high = (level, middle) if excess > 0 else (middle, high)
    if np.abs(np.log(price / level)).max() <= LEVEL:
        return
    units = quantity_to(form, price, start, depth, np.full(where.size, level))
    full = execute(form, price, start, depth, units).average
    spent = sorted_sum(np.where(units > 0, units * full, 0.0))
    share = min(1.0, float(state.desk_capacity[coin] / spent)) if spent > 0 else 0.0
    units = snap_down(units * share, lot)
    # rounding leaves buys and sells a few lots apart; the larger side gives them up
    gap = units.sum()
    for row in np.lexsort((where, -np.abs(units))):
        if gap == 0 or np.sign(units[row]) != np.sign(gap):
            continue
        cut = np.sign(gap) * min(abs(gap), abs(units[row]))
        units[row] -= cut
        gap -= cut
    if np.abs(units).max() <= lot:
        return
    fill = execute(form, price, start, depth, units)
    usd = snap(-units * fill.average, quantum)
    cost = float(-usd[units > 0].sum())
    if cost <= 0:  # what is bought costs less than the ledger can tell: the capacity is spent
        return
    books.price[where] = np.where(units != 0, fill.price, price)
    books.quantity[where] -= units
    books.cash[where] -= usd
    books.desk_quantity[where] += units
    books.desk_cash[where] += usd
    state.desk_capacity[coin] = max(state.desk_capacity[coin] - cost, 0.0)
    if state.flows is not None:
        perp = system.markets.perp[where]
        at = np.where(perp, books.mark[where], state.coin_price[coin])
        gain = usd + units * at
        state.flows.inventory(where, -gain, desk=gain)
    zero = np.zeros(system.markets.count)
    size, paid = zero.copy(), zero.copy()
    size[where], paid[where] = np.abs(units), np.abs(usd)
    state.journal.traded(Flow.ARBITRAGE, state.round, size, zero, paid)
    state.moved = True

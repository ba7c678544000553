"""Value every account: equity, margin balance, maintenance margin and gross notional, at given marks and indices.

With b the balance, q signed quantities, M marks, H coins, X the collateral index, h haircuts (model of the README):

- equity = b + Σ q·M + Σ H·X
- margin balance = b + Σ q·M + Σ H·X·(1 - h)
- maintenance = Σ (|q|·M·rate_n - deduction_n), n the bracket that holds |q|·M

Every product is rounded to the account's own grid, so the sums are exact and no result depends on the order of rows.
Cost O(positions + coins × brackets reached); reads each array once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap
from contagion.kernels.compiled import PAYS_FROM, compiled, in_parts

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.system import Markets


def valuate_loop(
    balance: Floats,
    grid: Floats,
    start: Ints,
    market: Ints,
    quantity: Floats,
    coin_start: Ints,
    coin_market: Ints,
    coin_quantity: Floats,
    mark: Floats,
    index: Floats,
    haircut: Floats,
    tier_start: Ints,
    floor: Floats,
    rate: Floats,
    deduction: Floats,
    equity: Floats,
    margin: Floats,
    maintenance: Floats,
    gross: Floats,
) -> None:
    """Fill ``equity``, ``margin``, ``maintenance`` and ``gross`` (USD, an account each); the oracle of the array twin."""
    for account in range(balance.size):
        step = grid[account]
        value = 0.0
        needed = 0.0
        notional_sum = 0.0
        for row in range(start[account], start[account + 1]):
            q = quantity[row]
            if q == 0.0:
                continue
            v = market[row]
            signed = np.rint(q * mark[v] / step) * step
            notional = abs(q) * mark[v]
            value += signed
            notional_sum += abs(signed)
            bracket = tier_start[v]
            if bracket < tier_start[v + 1]:
                while bracket + 1 < tier_start[v + 1] and notional >= floor[bracket + 1]:
                    bracket += 1
                needed += np.rint((notional * rate[bracket] - deduction[bracket]) / step) * step
        stored = 0.0
        counted = 0.0
        for row in range(coin_start[account], coin_start[account + 1]):
            v = coin_market[row]
            worth = coin_quantity[row] * index[v]
            stored += np.rint(worth / step) * step
            counted += np.rint(worth * (1.0 - haircut[v]) / step) * step
        equity[account] = balance[account] + value + stored
        margin[account] = balance[account] + value + counted
        maintenance[account] = needed
        gross[account] = notional_sum


def valuate_arrays(
    balance: Floats,
    grid: Floats,
    start: Ints,
    market: Ints,
    quantity: Floats,
    coin_start: Ints,
    coin_market: Ints,
    coin_quantity: Floats,
    mark: Floats,
    index: Floats,
    haircut: Floats,
    tier_start: Ints,
    floor: Floats,
    rate: Floats,
    deduction: Floats,
    equity: Floats,
    margin: Floats,
    maintenance: Floats,
    gross: Floats,
) -> None:
    """Do the same as ``valuate_loop`` by array operations: no compiler, for small networks."""
    count = balance.size
    account = np.repeat(np.arange(count), np.diff(start))
    step = grid[account]
    signed = snap(quantity * mark[market], step)
    notional = np.abs(quantity) * mark[market]
    needed = np.zeros_like(notional)
    first, last = tier_start[market], tier_start[market + 1]
    bracket = first.copy()
    while True:
        on = bracket + 1 < last
        on[on] = notional[on] >= floor[bracket[on] + 1]
        if not on.any():
            break
        bracket[on] += 1
    tiered = (first < last) & (quantity != 0.0)
    at = bracket[tiered]
    needed[tiered] = snap(notional[tiered] * rate[at] - deduction[at], step[tiered])
    owner = np.repeat(np.arange(count), np.diff(coin_start))
    worth = coin_quantity * index[coin_market]
    value = group_sum(account, signed, count)
    equity[:] = balance + value + group_sum(owner, snap(worth, grid[owner]), count)
    margin[:] = balance + value + group_sum(owner, snap(worth * (1.0 - haircut[coin_market]), grid[owner]), count)
    maintenance[:] = group_sum(account, needed, count)
    gross[:] = group_sum(account, np.abs(signed), count)


def valuate(
    balance: Floats,
    grid: Floats,
    start: Ints,
    market: Ints,
    quantity: Floats,
    coin_start: Ints,
    coin_market: Ints,
    coin_quantity: Floats,
    mark: Floats,
    index: Floats,
    markets: Markets,
    out: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """Value accounts into ``out`` (equity, margin balance, maintenance, gross notional) by whichever twin is faster here.

    Large inputs are cut into parts for two threads; each account is summed within one part, so the bits do not depend on it.
    """
    tiers = (markets.haircut, markets.tier_start, markets.floor, markets.rate, markets.deduction)

    def part(first: int, last: int) -> None:
        kernel(
            balance[first:last],
            grid[first:last],
            start[first : last + 1],
            market,
            quantity,
            coin_start[first : last + 1],
            coin_market,
            coin_quantity,
            mark,
            index,
            *tiers,
            *(array[first:last] for array in out),
        )

    count = balance.size
    if quantity.size < PAYS_FROM:
        kernel = valuate_arrays
        part(0, count)
        return
    kernel = compiled(valuate_loop)
    part(0, 0)  # compiles before the threads start
    in_parts(part, count)


def bracket_of(market: Ints, notional: Floats, markets: Markets) -> Ints:
    """Bracket row of each (market, notional), -1 where the market has no tiers.

    Examples
    --------
    >>> from types import SimpleNamespace as Markets
    >>> two = Markets(tier_start=np.array([0, 2]), floor=np.array([0.0, 50.0]))
    >>> bracket_of(np.array([0, 0]), np.array([49.0, 50.0]), two)
    array([0, 1])
    """
    first, last = markets.tier_start[market], markets.tier_start[np.asarray(market) + 1]
    bracket = np.where(first < last, first, -1)
    while True:
        on = (bracket >= 0) & (bracket + 1 < last)
        on[on] = notional[on] >= markets.floor[bracket[on] + 1]
        if not on.any():
            return np.asarray(bracket)
        bracket[on] += 1


def maintenance_of(market: Ints, notional: Floats, markets: Markets) -> Floats:
    """Maintenance margin of each position alone, USD, not rounded."""
    bracket = bracket_of(market, notional, markets)
    tiered = bracket >= 0
    result = np.zeros_like(notional)
    at = bracket[tiered]
    result[tiered] = notional[tiered] * markets.rate[at] - markets.deduction[at]
    return result


def initial_of(market: Ints, notional: Floats, markets: Markets) -> Floats:
    """Initial margin of each position alone, USD: notional over the largest leverage of its bracket."""
    bracket = bracket_of(market, notional, markets)
    tiered = bracket >= 0
    result = np.zeros_like(notional)
    result[tiered] = notional[tiered] / markets.max_leverage[bracket[tiered]]
    return result

"""Value accounts at the worst corner of a box of prices: long positions at the low end of each mark, short ones at the high.

With l and h the ends of a mark, c the least that a coin counts for, b the balance:

- health = b + Σ min over M in [l, h] of (q·M - maintenance(|q|·M)) + Σ H·c
- worth = b + Σ (q⁺·l - q⁻·h - φ·|q|·h), the cash that is left at least after everything is closed at a fee φ

In marginal form q·M - maintenance is monotone in M, so its least value is at an end; in flat form it jumps where a bracket
begins, so those points count too. Nothing is rounded: the caller allows for that. Cost O(positions + coins) of the accounts
asked for, times the brackets inside the box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum
from contagion.kernels.compiled import PAYS_FROM, compiled
from contagion.kernels.valuate import maintenance_of
from contagion.state import places_between, rows_between

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.system import Accounts, Markets


def health_loop(
    chosen: Ints,
    balance: Floats,
    start: Ints,
    market: Ints,
    quantity: Floats,
    coin_start: Ints,
    coin_market: Ints,
    coin_quantity: Floats,
    low: Floats,
    high: Floats,
    counted: Floats,
    jumps: Flags,
    tier_start: Ints,
    floor: Floats,
    rate: Floats,
    deduction: Floats,
    health: Floats,
    size: Floats,
) -> None:
    """Fill ``health`` and ``size`` (|b| and gross notional at the high ends, USD) of the ``chosen`` accounts."""
    for place in range(chosen.size):
        account = chosen[place]
        total = balance[account]
        gross = abs(balance[account])
        for row in range(start[account], start[account + 1]):
            q = quantity[row]
            if q == 0.0:
                continue
            v = market[row]
            units = abs(q)
            sign = 1.0 if q > 0.0 else -1.0
            gross += units * high[v]
            notional = units * low[v] if q > 0.0 else units * high[v]
            least = sign * notional
            bracket = tier_start[v]
            last = tier_start[v + 1]
            if bracket < last:
                while bracket + 1 < last and notional >= floor[bracket + 1]:
                    bracket += 1
                least -= notional * rate[bracket] - deduction[bracket]
                if jumps[v]:
                    for other in range(tier_start[v] + 1, last):
                        at = floor[other]
                        if at > units * low[v] and at <= units * high[v]:
                            least = min(least, sign * at - (at * rate[other] - deduction[other]))
                            least = min(least, sign * at - (at * rate[other - 1] - deduction[other - 1]))
            total += least
        for row in range(coin_start[account], coin_start[account + 1]):
            worth = coin_quantity[row] * counted[coin_market[row]]
            total += worth
            gross += worth
        health[place] = total
        size[place] = gross


def health_arrays(
    chosen: Ints,
    accounts: Accounts,
    markets: Markets,
    low: Floats,
    high: Floats,
    counted: Floats,
    jumps: Flags,
    health: Floats,
    size: Floats,
) -> None:
    """Do the same as ``health_loop`` by array operations."""
    rows, place = rows_between(accounts.start, chosen), places_between(accounts.start, chosen)
    market, quantity = accounts.market[rows], accounts.quantity[rows]
    units, sign = np.abs(quantity), np.sign(quantity)
    bottom, top = units * low[market], units * high[market]
    notional = np.where(sign > 0, bottom, top)
    least = sign * notional - np.where(units > 0, maintenance_of(market, notional, markets), 0.0)
    first, last = markets.tier_start[market], markets.tier_start[market + 1]
    tiers = int(np.max(last - first, initial=0)) if jumps.any() else 0
    for step in range(1, tiers):
        on = np.flatnonzero(jumps[market] & (first + step < last))
        other = first[on] + step
        at = markets.floor[other]
        inside = (at > bottom[on]) & (at <= top[on])
        on, other, at = on[inside], other[inside], at[inside]
        for tier in (other, other - 1):
            least[on] = np.minimum(least[on], sign[on] * at - (at * markets.rate[tier] - markets.deduction[tier]))
    coins, owner = rows_between(accounts.coin_start, chosen), places_between(accounts.coin_start, chosen)
    stored = group_sum(owner, accounts.coin_quantity[coins] * counted[accounts.coin_market[coins]], chosen.size)
    balance = accounts.balance[chosen]
    health[:] = balance + group_sum(place, least, chosen.size) + stored
    size[:] = np.abs(balance) + group_sum(place, top, chosen.size) + stored


def corner_health(
    chosen: Ints, accounts: Accounts, markets: Markets, low: Floats, high: Floats, counted: Floats, jumps: Flags
) -> tuple[Floats, Floats]:
    """Least health of accounts in a box, and the size that its rounding is relative to, USD.

    Parameters
    ----------
    chosen
        Accounts asked for.
    low, high
        Ends of the price of each market at which positions are valued.
    counted
        Least that a unit of a coin counts for as margin, by market.
    jumps
        Markets whose maintenance margin jumps between brackets.
    """
    health, size = np.empty(chosen.size), np.empty(chosen.size)
    if accounts.quantity.size < PAYS_FROM:
        health_arrays(chosen, accounts, markets, low, high, counted, jumps, health, size)
        return health, size
    arrays = (accounts.balance, accounts.start, accounts.market, accounts.quantity)
    coins = (accounts.coin_start, accounts.coin_market, accounts.coin_quantity)
    tiers = (markets.tier_start, markets.floor, markets.rate, markets.deduction)
    compiled(health_loop)(chosen, *arrays, *coins, low, high, counted, jumps, *tiers, health, size)
    return health, size


def worth_loop(
    chosen: Ints,
    balance: Floats,
    start: Ints,
    market: Ints,
    quantity: Floats,
    coin_start: Ints,
    coin_market: Ints,
    coin_quantity: Floats,
    low: Floats,
    high: Floats,
    coin_low: Floats,
    fee: Floats,
    cash: Floats,
    coins: Floats,
    size: Floats,
) -> None:
    """Fill ``cash`` after everything is closed, ``coins``, the least worth of coins, and ``size``, USD."""
    for place in range(chosen.size):
        account = chosen[place]
        left = balance[account]
        gross = abs(left)
        for row in range(start[account], start[account + 1]):
            q = quantity[row]
            v = market[row]
            left += q * low[v] if q > 0.0 else q * high[v]
            left -= abs(q) * high[v] * fee[v]
            gross += abs(q) * high[v]
        stored = 0.0
        for row in range(coin_start[account], coin_start[account + 1]):
            stored += coin_quantity[row] * coin_low[coin_market[row]]
        cash[place] = left
        coins[place] = stored
        size[place] = gross + stored


def worth_arrays(
    chosen: Ints,
    accounts: Accounts,
    low: Floats,
    high: Floats,
    coin_low: Floats,
    fee: Floats,
    cash: Floats,
    coins: Floats,
    size: Floats,
) -> None:
    """Do the same as ``worth_loop`` by array operations."""
    rows, place = rows_between(accounts.start, chosen), places_between(accounts.start, chosen)
    market, quantity = accounts.market[rows], accounts.quantity[rows]
    gross = np.abs(quantity) * high[market]
    left = np.where(quantity > 0, quantity * low[market], quantity * high[market]) - gross * fee[market]
    stock, owner = rows_between(accounts.coin_start, chosen), places_between(accounts.coin_start, chosen)
    coins[:] = group_sum(owner, accounts.coin_quantity[stock] * coin_low[accounts.coin_market[stock]], chosen.size)
    cash[:] = accounts.balance[chosen] + group_sum(place, left, chosen.size)
    size[:] = np.abs(accounts.balance[chosen]) + group_sum(place, gross, chosen.size) + coins


def corner_worth(
    chosen: Ints, accounts: Accounts, low: Floats, high: Floats, coin_low: Floats, fee: Floats
) -> tuple[Floats, Floats, Floats]:
    """Least cash of accounts once all is closed, least worth of their coins, and the size that rounding is relative to, USD.

    Parameters
    ----------
    chosen
        Accounts asked for.
    low, high
        Ends of what a unit is valued or closed at, by market.
    coin_low
        Least that a unit of a coin is valued or sold at, by market.
    fee
        Liquidation fee by market, zero for what is never closed by force.
    """
    cash, coins, size = np.empty(chosen.size), np.empty(chosen.size), np.empty(chosen.size)
    if accounts.quantity.size < PAYS_FROM:
        worth_arrays(chosen, accounts, low, high, coin_low, fee, cash, coins, size)
        return cash, coins, size
    arrays = (accounts.balance, accounts.start, accounts.market, accounts.quantity)
    stock = (accounts.coin_start, accounts.coin_market, accounts.coin_quantity)
    compiled(worth_loop)(chosen, *arrays, *stock, low, high, coin_low, fee, cash, coins, size)
    return cash, coins, size

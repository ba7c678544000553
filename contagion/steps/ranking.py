"""Who pays in auto-deleveraging: winners of each market and side, ranked.

Scores, highest first: ``profit_leverage`` unrealised profit over cost × notional over account equity (Binance, Bybit);
``mark_leverage`` mark over entry × notional over account value (Hyperliquid docs, auto-deleveraging); ``profit_equity``
unrealised profit over account equity; ``size`` units. Equal scores share pro rata unless the ``order`` column ranks them.
Cost O(positions of the markets concerned + winners·log winners).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.state import Status

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.state import State


def winners(state: State, market: Flags, excluded: Ints) -> Ints:
    """Profitable position rows of the chosen markets in accounts that may be deleveraged.

    Parameters
    ----------
    market
        Markets concerned.
    excluded
        Accounts that are bankrupt themselves.
    """
    accounts = state.system.accounts
    rows = np.flatnonzero(market[accounts.market] & (state.quantity != 0.0))
    profit = state.quantity[rows] * (state.books.mark[accounts.market[rows]] - state.entry[rows])
    rows = rows[profit > 0]
    account = state.position_account[rows]
    able = (state.status[account] == Status.OPEN) & (state.equity[account] > 0)
    return np.asarray(rows[able & ~np.isin(account, excluded)])


def profit_of(state: State, rows: Ints) -> Floats:
    """Unrealised profit of positions at this round's marks, USD."""
    return state.quantity[rows] * (state.books.mark[state.system.accounts.market[rows]] - state.entry[rows])


def scores(state: State, rows: Ints) -> Floats:
    """Score of each winner by the rule of its exchange."""
    system = state.system
    accounts = system.accounts
    account, market = state.position_account[rows], accounts.market[rows]
    rule = np.array(system.exchanges.adl_rank)[accounts.exchange[account]]
    mark, entry, size = state.books.mark[market], state.entry[rows], np.abs(state.quantity[rows])
    equity, profit = state.equity[account], profit_of(state, rows)
    leverage = size * mark / equity
    return np.select(
        [rule == "profit_leverage", rule == "mark_leverage", rule == "profit_equity"],
        [profit / (size * entry) * leverage, mark / entry * leverage, profit / equity],
        size,
    )


def allot(state: State, rows: Ints, group: Ints, wanted: Floats, available: Floats, step: Floats) -> Floats:
    """Take ``wanted`` of each group from its winners in order of rank.

    Parameters
    ----------
    rows, group
        Winners and the group (market and side) of each.
    wanted
        Amount to take by group.
    available
        Most that each winner can give.
    step
        Grid of the amounts, by winner.

    Returns
    -------
    array
        Taken from each winner, whole steps; equal ranks give pro rata, what rounding leaves goes to the first of them.
    """
    order, tie = _ranked(state, rows, group)
    if not rows.size:
        return np.empty(0)
    # whole steps as integers: running sums over markets of different lots stay exact
    grid = step[order]
    have = np.floor(available[order] / grid).astype(np.int64)
    first = np.flatnonzero(np.append(True, tie[1:] != tie[:-1]))
    group_of = group[order[first]]
    of_tie = np.add.reduceat(have, first)
    before = _sum_before(of_tie, group_of)
    take = np.clip(np.rint(wanted[group_of] / grid[first]).astype(np.int64) - before, 0, of_tie)
    part = apportion(have, take, tie)
    result = np.empty(rows.size)
    result[order] = part * grid
    return result


def _ranked(state: State, rows: Ints, group: Ints) -> tuple[Ints, Ints]:
    """Order of the winners, and the number of the tie that each place belongs to."""
    place = state.system.accounts.order
    queue = np.nan_to_num(place[rows], nan=np.inf) if place.size else np.full(rows.size, np.inf)
    # equal to 30 bits is equal: what rounding gave one of two doubles before must not rank them now
    mantissa, exponent = np.frexp(scores(state, rows))
    score = np.ldexp(np.rint(mantissa * 2.0**30), exponent)
    order = np.lexsort((rows, queue, -score, group))
    new = np.zeros(rows.size, dtype=np.bool_)
    a, b = order[:-1], order[1:]
    new[1:] = (group[a] != group[b]) | (score[a] != score[b]) | (queue[a] != queue[b])
    return order, np.cumsum(new)


def _sum_before(counts: Ints, group: Ints) -> Ints:
    """Sum of the counts that stand before each one in its group; groups are contiguous."""
    running = np.cumsum(counts) - counts
    start = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return np.asarray(running - np.repeat(running[start], np.diff(np.append(start, group.size))))


def apportion(have: Ints, take: Ints, tie: Ints) -> Ints:
    """Split ``take`` of each tie over its members pro rata to what they have, in whole steps.

    What rounding down leaves goes one by one to the first members that have more.

    Parameters
    ----------
    have
        Steps that each member has, sorted by tie.
    take
        Steps to take of each tie, at most what its members have.
    tie
        Number of the tie of each member, from 0, ascending.

    Examples
    --------
    >>> apportion(np.array([3, 3, 3]), np.array([5]), np.array([0, 0, 0]))
    array([2, 2, 1])
    """
    first = np.flatnonzero(np.append(True, tie[1:] != tie[:-1]))
    total = np.add.reduceat(have, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(take / total)
    part = np.where((take >= total)[tie], have, np.minimum(np.floor(have * share[tie]).astype(np.int64), have))
    left = take - np.add.reduceat(part, first)
    open_to = (have > part).astype(np.int64)
    while (left > 0).any():  # twice at most: floating division errs by less than a step for each member
        extra = (open_to == 1) & (_sum_before(open_to, tie) < left[tie])
        part = part + extra
        left = take - np.add.reduceat(part, first)
        open_to = (have > part).astype(np.int64)
    return part

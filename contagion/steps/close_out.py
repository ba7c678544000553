"""Step 5, first part: how much of a breached account its exchange closes.

``full`` all of it; ``slice`` a fraction of each position whose notional is above a size; ``target`` the smallest share of
every position that restores the margin ratio; ``tier`` each position down to the bracket below. Closed units are rounded up
to lots. Cost O(positions of the breached accounts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap_up
from contagion.kernels.valuate import bracket_of, maintenance_of
from contagion.state import places_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contagion.arrays import Floats, Ints
    from contagion.state import State


BISECTIONS = 60


def close_outs(state: State, accounts: Ints) -> tuple[Ints, Floats]:
    """Position rows and units (always positive) that the rules of their exchanges close."""
    exchanges = state.system.exchanges
    rules = np.array(exchanges.liquidation)[state.system.accounts.exchange[accounts]] if accounts.size else np.empty(0, dtype="U8")
    parts = [_RULES[rule](state, accounts[rules == rule]) for rule in sorted(_RULES)]
    rows = np.concatenate([rows for rows, _ in parts])
    units = np.concatenate([units for _, units in parts])
    return rows, units


def _full(state: State, accounts: Ints) -> tuple[Ints, Floats]:
    rows = state.rows_of(accounts)
    return rows, np.abs(state.quantity[rows])


def _position(state: State, accounts: Ints) -> tuple[Ints, Ints, Floats, Floats, Floats]:
    """Rows, markets, sizes, notionals and lots of the positions of accounts."""
    system = state.system
    rows = state.rows_of(accounts)
    market = system.accounts.market[rows].astype(np.int64)
    size = np.abs(state.quantity[rows])
    return rows, market, size, size * state.books.mark[market], system.coins.lot[system.markets.coin[market]]


def _slice(state: State, accounts: Ints) -> tuple[Ints, Floats]:
    exchanges = state.system.exchanges
    rows, market, size, notional, lot = _position(state, accounts)
    exchange = state.system.markets.exchange[market]
    large = notional > exchanges.slice_above[exchange]
    part = np.minimum(snap_up(size * exchanges.slice_fraction[exchange], lot), size)
    return rows, np.where(large, part, size)


def _tier(state: State, accounts: Ints) -> tuple[Ints, Floats]:
    markets = state.system.markets
    rows, market, size, notional, lot = _position(state, accounts)
    bracket = bracket_of(market, notional, markets)
    above = np.where(bracket >= 0, markets.floor[np.maximum(bracket, 0)], 0.0) if markets.floor.size else np.zeros(rows.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = (notional - above) / state.books.mark[market]
        down = (np.floor(excess / lot) + 1.0) * lot  # one lot below the floor: at it the bracket still holds
    return rows, np.where(above > 0, np.minimum(down, size), size)


def _target(state: State, accounts: Ints) -> tuple[Ints, Floats]:
    system = state.system
    exchanges, markets = system.exchanges, system.markets
    rows, market, size, notional, lot = _position(state, accounts)
    place = places_between(system.accounts.start, accounts)
    exchange = system.accounts.exchange[accounts]
    ratio, fee = exchanges.target_ratio[exchange], exchanges.liquidation_fee[exchange]
    margin, gross = state.margin[accounts], group_sum(place, notional, accounts.size)

    def restored(share: Floats) -> NDArray[np.bool_]:
        left = maintenance_of(market, notional * (1.0 - share)[place], markets)
        needed = group_sum(place, snap_up(left, system.quantum), accounts.size)
        after = margin - fee * share * gross
        return (after >= ratio * needed) & (after > needed)

    low, high = np.zeros(accounts.size), np.ones(accounts.size)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        good = restored(middle)
        low, high = np.where(good, low, middle), np.where(good, middle, high)
    return rows, np.minimum(snap_up(size * high[place], lot), size)


_RULES = {"full": _full, "slice": _slice, "target": _target, "tier": _tier}


def within_throughput(state: State, rows: Ints, units: Floats) -> Floats:
    """Cut close-outs to what exchanges can close in a round of the clock, worst margin ratio first.

    The account at the limit closes in part; equal accounts are taken in order of notional, then of index.
    """
    system = state.system
    limit = system.exchanges.throughput * state.round_seconds
    if state.round_seconds == 0.0 or not np.isfinite(limit).any() or not rows.size:
        return units
    account, market = state.position_account[rows], system.accounts.market[rows]
    exchange = system.markets.exchange[market]
    usd = snap_up(units * state.books.mark[market], system.quantum)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = state.margin[account] / state.maintenance[account]
    order = np.lexsort((rows, account, state.gross[account], ratio, exchange))
    done = np.cumsum(usd[order])
    first = np.searchsorted(exchange[order], np.arange(len(limit)))
    offset = np.concatenate([[0.0], done])[first][exchange[order]]
    cap = np.where(np.isnan(limit), np.inf, limit)[exchange[order]]
    left = np.clip(cap - (done - offset - usd[order]), 0.0, usd[order])
    lot = system.coins.lot[system.markets.coin[market[order]]]
    result = np.empty_like(units)
    cut = left < usd[order]
    result[order] = np.where(cut, np.floor(units[order] * (left / np.maximum(usd[order], system.quantum)) / lot) * lot, units[order])
    return result

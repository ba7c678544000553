"""Step 4, second part: a vault takes accounts over whole, off book, at their book value.

An account whose margin balance is below the exchange's share of maintenance goes to the vault with its balance, positions
and coins, once, while the vault's own margin balance stays at or above its maintenance; its owner keeps nothing there
(Hyperliquid: below 2/3). The healthiest go first: ratio of margin balance to maintenance, highest first, then the
smaller notional, then the smaller balance, then the id. The vault adds no other quantity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap
from contagion.journal import Flow
from contagion.kernels.take_over import take_over
from contagion.state import Status

if TYPE_CHECKING:
    from contagion.arrays import Ints
    from contagion.state import State


def back_stop(state: State, breached: Ints) -> Ints:
    """Let vaults take what they can of the breached accounts; returns the rest."""
    exchanges, accounts = state.system.exchanges, state.system.accounts
    gone = []
    for exchange, vault in enumerate(exchanges.vault_account):
        share = exchanges.backstop[exchange]
        if vault < 0 or np.isnan(share) or state.status[vault] != Status.OPEN:
            continue
        low = breached[(accounts.exchange[breached] == exchange) & (breached != vault)]
        low = low[(state.margin[low] < share * state.maintenance[low]) & (state.gross[low] > 0)]
        if low.size:
            gone.append(_take(state, exchange, int(vault), low))
    if not gone:
        return breached
    return breached[~np.isin(breached, np.concatenate(gone), assume_unique=True)]


def _take(state: State, exchange: int, vault: int, low: Ints) -> Ints:
    system = state.system
    accounts, markets, mark = system.accounts, system.markets, state.books.mark
    with np.errstate(divide="ignore"):
        ratio = state.margin[low] / state.maintenance[low]
    order = np.lexsort((low, state.balance[low], state.gross[low], -ratio))
    low = low[order]
    held = np.zeros(markets.count)
    vault_rows = np.arange(accounts.start[vault], accounts.start[vault + 1])
    held[accounts.market[vault_rows]] = state.quantity[vault_rows]
    tiers = (markets.tier_start, markets.floor, markets.rate, markets.deduction)
    taken = low[
        : take_over(low, state.margin, accounts.start, accounts.market, state.quantity, mark, tiers, held, float(state.margin[vault]))
    ]
    if not taken.size:
        return taken
    usd = state.gross[taken]
    state.journal.hit(Flow.TAKEOVER, state.round, taken, usd)
    state.flow(taken, -state.equity[taken])
    state.flow(np.array([vault]), np.array([state.equity[taken].sum()]))
    rows = state.rows_of(taken)
    _log(state, rows)
    _move_positions(state, rows, vault_rows)
    _move_coins(state, state.coin_rows_of(taken), vault)
    state.balance[vault] += state.balance[taken].sum()
    state.balance[taken] = 0.0
    state.status[taken] = Status.TAKEN_OVER
    for array in (state.equity, state.margin, state.maintenance, state.gross):
        array[taken] = 0.0
    state.journal.amount("taken_over", state.round, group_sum(np.full(taken.size, exchange), usd, len(system.exchanges.names)))
    state.moved = True
    return taken


def _log(state: State, rows: Ints) -> None:
    market, quantity = state.system.accounts.market[rows], state.quantity[rows]
    count = state.system.markets.count
    units = np.abs(quantity)
    longs = np.where(quantity > 0, units, 0.0)
    usd = snap(units * state.books.mark[market], state.system.quantum)
    state.journal.traded(
        Flow.TAKEOVER, state.round, group_sum(market, units, count), group_sum(market, longs, count), group_sum(market, usd, count)
    )


def _move_positions(state: State, rows: Ints, vault_rows: Ints) -> None:
    """Add positions to the vault's rows; its entry price becomes the average at mark, so that its profit starts at zero there."""
    accounts, count = state.system.accounts, state.system.markets.count
    market = accounts.market[rows]
    added = group_sum(market, state.quantity[rows], count)
    state.quantity[rows] = 0.0
    vault_market = accounts.market[vault_rows]
    before, more = state.quantity[vault_rows], added[vault_market]
    same = np.sign(before) * np.sign(more) > 0
    after = before + more
    mark = state.books.mark[vault_market]
    with np.errstate(divide="ignore", invalid="ignore"):
        average = (np.abs(before) * state.entry[vault_rows] + np.abs(more) * mark) / (np.abs(before) + np.abs(more))
    flipped = np.sign(after) * np.sign(before) <= 0
    entry = np.where(same, average, np.where(flipped & (more != 0), mark, state.entry[vault_rows]))
    state.entry[vault_rows] = np.where(more != 0, entry, state.entry[vault_rows])
    state.quantity[vault_rows] = after
    state.came.append((vault_rows, more))
    state.taken[vault_rows] = np.maximum(state.taken[vault_rows], np.abs(after))


def _move_coins(state: State, rows: Ints, vault: int) -> None:
    accounts, count = state.system.accounts, state.system.markets.count
    added = group_sum(accounts.coin_market[rows], state.coin_quantity[rows], count)
    state.coin_quantity[rows] = 0.0
    vault_rows = np.arange(accounts.coin_start[vault], accounts.coin_start[vault + 1])
    state.coin_quantity[vault_rows] += added[accounts.coin_market[vault_rows]]

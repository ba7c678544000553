"""Step 7, last part: the failure of an exchange.

Every position there settles at this round's mark (Σq = 0, so the ledger's sum does not change), its markets leave index and
arbitrage, coins and cash of its accounts go to the estate, and the positive equity of each account becomes a claim that
ranks with the exchange's seniority-1 debt. Book and arbitrage balances are settled with the outside. Cost O(accounts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap
from contagion.journal import Flow
from contagion.state import Status

if TYPE_CHECKING:
    from contagion.state import State


def settle_exchange(state: State, exchange: int) -> None:
    """Settle all accounts of a failed exchange and turn them into claims."""
    system = state.system
    arrays, markets, nodes, quantum = system.accounts, system.markets, system.nodes, system.quantum
    here = np.flatnonzero(arrays.exchange == exchange)
    count = markets.count
    rows = state.rows_of(here)
    market, account = arrays.market[rows].astype(np.int64), state.position_account[rows].astype(np.int64)
    quantity = state.quantity[rows]
    usd = snap(quantity * state.books.mark[market], quantum)
    size = np.abs(quantity)
    state.journal.traded(
        Flow.SETTLEMENT,
        state.round,
        *(group_sum(market, x, count) for x in (size, np.where(quantity > 0, size, 0.0), np.abs(usd))),
    )
    cash = np.bincount(account, weights=usd, minlength=arrays.count)
    # a debt in coins (a lending pool) passes to the estate: it is short of these coins and has their price in cash
    spot = ~markets.perp[market]
    lent = group_sum(markets.coin[market[spot]], quantity[spot], len(system.coins.names))
    repaid = -usd[spot].sum()
    state.quantity[rows] = 0.0
    state.balance += cash
    coins = state.coin_rows_of(here)
    coin_market = arrays.coin_market[coins].astype(np.int64)
    owner = np.searchsorted(arrays.coin_start, coins, side="right") - 1
    worth = snap(state.coin_quantity[coins] * state.books.index[coin_market], quantum)
    equity = state.balance + np.bincount(owner, weights=worth, minlength=arrays.count)
    claim = np.maximum(equity[here], 0.0)
    stored = group_sum(markets.coin[coin_market], state.coin_quantity[coins], len(system.coins.names))
    state.flow(here, -equity[here])
    state.flow(account, usd - quantity * state.books.mark[market])
    state.coin_quantity[coins] = 0.0
    moved = state.balance[here].sum() + repaid
    _settle_books(state, exchange)
    state.house[exchange] += moved
    state.estate[exchange] += stored + lent
    value = float(snap((stored + lent) * state.coin_price, quantum).sum())
    state.claim[here] = claim
    state.balance[here] = 0.0
    state.status[here] = Status.SETTLED
    state.settled[exchange] = True
    state.watch = state.watch[arrays.exchange[state.watch] != exchange]
    loss = float(np.maximum(-equity[here], 0.0).sum())
    by_exchange = np.zeros(nodes.exchanges)
    by_exchange[exchange] = loss
    state.journal.amount("bad_debt", state.round, by_exchange)
    node = np.array([nodes.exchange0 + exchange])
    state.node_flow(node, np.array([moved + value]))
    state.state_gain(value + repaid - float(worth.sum()))
    state.journal.event(state.round, "settled", node=int(node[0]), exchange=exchange, usd=float(claim.sum()))
    state.moved = True


def _settle_books(state: State, exchange: int) -> None:
    """Close book and arbitrage positions at the mark; what that leaves them in cash is settled with the outside."""
    system, books = state.system, state.books
    here = np.flatnonzero((system.markets.exchange == exchange) & system.markets.perp)
    for quantity, cash in ((books.quantity, books.cash), (books.desk_quantity, books.desk_cash)):
        cash[here] += snap(quantity[here] * books.mark[here], system.quantum)
        quantity[here] = 0.0

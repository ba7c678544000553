"""Step 2: value accounts at marks, and nodes at what they own outside their credit claims.

Node equity before credit: cash + Σ holdings·price + Σ backing·price + Σ (equity of its accounts)⁺ + its shares of book and
arbitrage accounts - external debt - what an issuer has promised; for an exchange house + fund + the coins of its estate.
Credit claims and debts come in step 3. Cost O(accounts + positions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap
from contagion.kernels.scan import add_worth
from contagion.kernels.valuate import valuate

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from contagion.state import State


def revalue_accounts(state: State) -> None:
    """Fill equity, margin balance, maintenance and gross notional of every account."""
    accounts, books = state.system.accounts, state.books
    valuate(
        state.balance,
        accounts.grid,
        accounts.start,
        accounts.market,
        state.quantity,
        accounts.coin_start,
        accounts.coin_market,
        state.coin_quantity,
        books.mark,
        books.index,
        state.system.markets,
        (state.equity, state.margin, state.maintenance, state.gross),
    )


def inventory_price(state: State) -> Floats:
    """Price at which book and arbitrage accounts value what they hold: the mark of a perpetual, the holding price of a coin."""
    markets = state.system.markets
    return np.where(markets.perp, state.books.mark, state.coin_price[markets.coin])


def inventory_equity(state: State) -> tuple[Floats, Floats]:
    """Equity of the book and of the arbitrageurs' account of each market, USD."""
    books, price, quantum = state.books, inventory_price(state), state.system.quantum
    coins = snap(books.coins * state.coin_price[state.system.markets.coin], quantum)
    return books.cash + snap(books.quantity * price, quantum) + coins, books.desk_cash + snap(books.desk_quantity * price, quantum)


def desk_shares(state: State) -> Floats:
    """Share of each arbitrage row in its coin's desk, by capacity."""
    claims = state.system.claims
    total = group_sum(claims.arbitrage_coin, claims.arbitrage_capacity, len(state.coin_price))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(claims.arbitrage_capacity / total[claims.arbitrage_coin])


def account_value(state: State) -> Floats:
    """Positive part of each account's equity: accounts are non-recourse."""
    return np.maximum(state.equity, 0.0)


def issuer_assets(state: State) -> Floats:
    """Cash, backing and account equity behind each coin, USD."""
    system = state.system
    nodes, claims, quantum = system.nodes, system.claims, system.quantum
    coins = len(system.coins.names)
    assets = group_sum(claims.backing_issuer, snap(state.backing * state.coin_price[claims.backing_coin], quantum), coins)
    assets += state.cash[nodes.coin0 : nodes.exchange0]
    first, last = np.searchsorted(system.accounts.owner, [nodes.coin0, nodes.exchange0])
    owner = system.accounts.owner[first:last] - nodes.coin0
    equity = snap(account_value(state)[first:last], quantum)
    return assets + group_sum(owner, equity, coins)


def own_equity(state: State) -> Floats:
    """Node equity before credit claims and debts, USD on the ledger's grid."""
    system = state.system
    nodes, claims, quantum = system.nodes, system.claims, system.quantum
    equity = state.cash - nodes.external_debt
    add_worth(system.accounts.owner, state.equity, quantum, equity)
    np.add.at(equity, claims.holding_owner, snap(state.holding * state.coin_price[claims.holding_coin], quantum))
    backing = snap(state.backing * state.coin_price[claims.backing_coin], quantum)
    np.add.at(equity, claims.backing_issuer + nodes.coin0, backing)
    equity[nodes.coin0 : nodes.exchange0] -= np.nan_to_num(snap(state.supply * state.system.coins.promised, quantum))
    book, desk = inventory_equity(state)
    np.add.at(equity, claims.maker, snap(claims.maker_share * book[claims.maker_market], quantum))
    by_coin = group_sum(system.markets.coin, desk, len(system.coins.names))
    np.add.at(equity, claims.arbitrageur, snap(desk_shares(state) * by_coin[claims.arbitrage_coin], quantum))
    estate = snap(state.estate * state.coin_price, quantum).sum(axis=1)
    equity[nodes.exchange0 :] += state.house + state.fund + estate
    return equity

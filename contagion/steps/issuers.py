"""Step 5: issuers that paid out more cash than they had sell backing and close hedges, pro rata, in the next round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap_down, snap_up
from contagion.journal import Flow
from contagion.state import Status
from contagion.steps.spread import spread_over_books

if TYPE_CHECKING:
    from contagion.orders import Orders
    from contagion.state import State


def issuer_orders(state: State, orders: Orders) -> None:
    """Add what issuers with negative cash sell: backing worth it at the holding price, and the same share of short hedges."""
    system = state.system
    nodes, claims, accounts = system.nodes, system.claims, system.accounts
    debt = np.maximum(-state.cash[nodes.coin0 : nodes.exchange0], 0.0)
    if not debt.any() or not claims.backing_issuer.size:
        return
    price = state.coin_price[claims.backing_coin]
    worth = snap_up(state.backing * price, system.quantum)
    total = group_sum(claims.backing_issuer, worth, debt.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(np.minimum(debt / total, 1.0))
    rows = np.flatnonzero((share[claims.backing_issuer] > 0) & (state.backing > 0))
    coin = claims.backing_coin[rows]
    lot = system.coins.lot[coin]
    units = np.minimum(snap_up(state.backing[rows] * share[claims.backing_issuer[rows]], lot), state.backing[rows])
    sales = spread_over_books(state, rows, coin, units, claims.backing_custodian[rows])
    orders.backing.extend(sales)
    sold = np.zeros((debt.size, debt.size))
    for place, _, part in sales:
        row = place[0]
        sold[claims.backing_issuer[row], claims.backing_coin[row]] += part.sum()
    held = np.zeros_like(sold)
    np.add.at(held, (claims.backing_issuer, claims.backing_coin), state.backing)
    first, last = np.searchsorted(accounts.owner, [nodes.coin0, nodes.exchange0])
    mine = np.arange(first, last)
    mine = mine[state.status[mine] == Status.OPEN]
    hedge = state.rows_of(mine)
    hedge = orders.free(hedge)
    hedge = hedge[state.quantity[hedge] < 0]
    issuer = accounts.owner[state.position_account[hedge]] - nodes.coin0
    on = system.markets.coin[accounts.market[hedge]]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.nan_to_num(sold[issuer, on] / held[issuer, on])
    orders.position(Flow.HEDGE, hedge, snap_down(-state.quantity[hedge] * np.minimum(part, 1.0), system.coins.lot[on]))

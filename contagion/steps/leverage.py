"""Step 4: a node above its leverage limit sells down to its target.

Leverage is exposure over equity: gross notional of its positions plus its holdings at their prices. Selling at mid leaves
equity as it is, so exposure - target × equity is to be sold, the same share of all positions and of all holdings that have a
spot book (Cont and Schaanning 2017; Greenwood, Landier and Thesmar 2015 with the own initial leverage as target).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap_up
from contagion.journal import Flow
from contagion.state import Status
from contagion.steps.spread import spread_over_books

if TYPE_CHECKING:
    from contagion.orders import Orders
    from contagion.state import State

TIE = 1e-12


def leverage_orders(state: State, orders: Orders) -> None:
    """Add the orders of nodes above their limit."""
    system = state.system
    nodes, accounts, claims = system.nodes, system.accounts, system.claims
    limit = nodes.leverage_limit
    if np.isnan(limit).all():
        return
    exposure = group_sum(accounts.owner, state.gross, nodes.count)
    value = state.holding * state.coin_price[claims.holding_coin]
    quoted = np.isin(claims.holding_coin, system.markets.coin[~system.markets.perp])
    saleable = exposure + group_sum(claims.holding_owner, np.where(quoted, value, 0.0), nodes.count)
    exposure += group_sum(claims.holding_owner, value, nodes.count)
    equity = state.node_equity
    with np.errstate(invalid="ignore"):
        over = (exposure > limit * equity * (1 + TIE)) & (equity > 0) & (state.node_default < 0)
    if not over.any():
        return
    share = np.zeros(nodes.count)
    with np.errstate(divide="ignore", invalid="ignore"):
        share[over] = np.clip(np.nan_to_num((exposure - nodes.leverage_target * equity)[over] / saleable[over]), 0.0, 1.0)
    mine = np.flatnonzero(over[accounts.owner] & (state.status == Status.OPEN) & (state.gross > 0))
    rows = state.rows_of(mine)
    rows = orders.free(rows)
    owner = accounts.owner[state.position_account[rows]]
    lot = system.coins.lot[system.markets.coin[accounts.market[rows]]]
    size = np.abs(state.quantity[rows])
    units = np.minimum(snap_up(size * share[owner], lot), size)
    orders.position(Flow.DELEVERAGE, rows, -np.sign(state.quantity[rows]) * units)
    held = np.flatnonzero(over[claims.holding_owner] & (state.holding > 0) & quoted)
    lot = system.coins.lot[claims.holding_coin[held]]
    wanted = np.minimum(snap_up(state.holding[held] * share[claims.holding_owner[held]], lot), state.holding[held])
    orders.holdings.extend(spread_over_books(state, held, claims.holding_coin[held], wanted))

"""Step 4, first part: who is in breach, and who tops up.

An account breaches when its margin balance is at or below its maintenance margin, to a relative tolerance of 1e-12 of its
notional. Its owner tops up towards initial margin out of a purse that only falls, shared over its breached accounts pro
rata to their need, where transfers are open; what would not reach maintenance is not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap_down, snap_up
from contagion.kernels.scan import find_breaches
from contagion.kernels.valuate import initial_of
from contagion.state import places_between

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.state import State


TIE = 1e-12


def breached_accounts(state: State) -> Ints:
    """Accounts in breach whose exchange works, in order of index."""
    at_equality = state.settings.tie == "breach"
    values = (state.margin, state.maintenance, state.gross, state.balance, state.status)
    found = find_breaches(*values, tolerance=TIE, at_equality=at_equality)
    working = state.alive & ~state.outage
    return found[working[state.system.accounts.exchange[found]]]


def initial_margin(state: State, accounts: Ints) -> Floats:
    """Initial margin of accounts, USD."""
    system = state.system
    rows = state.rows_of(accounts)
    market = system.accounts.market[rows]
    notional = np.abs(state.quantity[rows]) * state.books.mark[market]
    place = places_between(system.accounts.start, accounts)
    required = snap_up(initial_of(market, notional, system.markets), system.quantum)
    return group_sum(place, required, accounts.size)


def top_up(state: State, breached: Ints) -> Ints:
    """Send purses to breached accounts; returns those that are still in breach."""
    system = state.system
    owner = system.accounts.owner[breached]
    purse = np.minimum(state.purse, np.maximum(state.cash, 0.0))
    callable_ = (purse[owner] > 0) & (state.gross[breached] > 0)
    callable_ &= state.transfers_open[system.accounts.exchange[breached]] & (state.node_default[owner] < 0)
    asked = breached[callable_]
    if not asked.size:
        return breached
    # just above maintenance where a market asks for no more: at it an account would still be in breach
    least = state.maintenance[asked] + 2 * TIE * state.gross[asked] + system.quantum
    need = snap_up(np.maximum(initial_margin(state, asked), least) - state.margin[asked], system.quantum)
    owner = owner[callable_]
    total = group_sum(owner, need, system.nodes.count)[owner]
    sent = np.where(total <= purse[owner], need, snap_down(need * (purse[owner] / total), system.quantum))
    enough = state.margin[asked] + sent > state.maintenance[asked] + TIE * state.gross[asked]
    enough &= sent > 0
    asked, owner, sent = asked[enough], owner[enough], sent[enough]
    if not asked.size:
        return breached
    np.subtract.at(state.purse, owner, sent)
    np.subtract.at(state.cash, owner, sent)
    state.balance[asked] += sent
    state.margin[asked] += sent
    state.equity[asked] += sent
    exchange = system.accounts.exchange[asked]
    by_exchange = group_sum(exchange, sent, system.nodes.exchanges)
    state.journal.amount("topped_up", state.round, by_exchange)
    state.flow(asked, sent)
    state.node_flow(owner, -sent)
    if state.flows is not None:
        state.flows.ledger += by_exchange
    state.moved = True
    return breached[~np.isin(breached, asked, assume_unique=True)]

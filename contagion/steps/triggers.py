"""Steps 4 and 5: who must trade in this round, and the orders they send.

In order: breached accounts top up; the vault takes what it may; bankrupt accounts that neither fund nor vault covers wait
for auto-deleveraging; the others are closed by their exchange's rule. Then the accounts of failed nodes, leverage rules,
voluntary stops, the vaults' unwinding, coins sold against debts, issuers' payments, entries and imposed sales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.arrays import distinct
from contagion.grid import group_sum, snap_down, snap_up
from contagion.journal import Flow
from contagion.orders import Orders
from contagion.state import Status, places_between
from contagion.steps.backstop import back_stop
from contagion.steps.close_out import close_outs, within_throughput
from contagion.steps.holdings import held_units
from contagion.steps.issuers import issuer_orders
from contagion.steps.leverage import leverage_orders
from contagion.steps.margin_calls import breached_accounts, top_up
from contagion.steps.recovery import failing_nodes

if TYPE_CHECKING:
    from contagion.arrays import Ints
    from contagion.state import State


@dataclass(frozen=True, slots=True)
class Triggered:
    """What step 4 decided.

    Attributes
    ----------
    orders
        For step 6.
    bankrupt
        Accounts that wait for auto-deleveraging in step 7.
    """

    orders: Orders
    bankrupt: Ints


def trigger(state: State) -> Triggered:
    """Decide who trades."""
    mark_defaults(state)
    _default_accounts(state)
    breached = breached_accounts(state)
    if breached.size:
        breached = top_up(state, breached)
        _note_first_breach(state, breached)
        breached = back_stop(state, breached)
    # what they hold, not what it is worth: a position at a price of zero is closed too
    candidates = _holding(state, np.concatenate([breached, np.flatnonzero(state.status == Status.LIQUIDATING)]))
    bankrupt = uncovered(state, candidates)
    closing = np.setdiff1d(candidates, bankrupt, assume_unique=True)
    fresh = closing[state.status[closing] == Status.OPEN]
    waiting = closing[state.status[closing] == Status.LIQUIDATING]
    state.status[bankrupt] = Status.LIQUIDATING
    orders = Orders()
    _close(state, orders, fresh, waiting)
    leverage_orders(state, orders)
    _stops(state, orders)
    _unwind_vaults(state, orders)
    _sell_coins(state, orders, breached)
    issuer_orders(state, orders)
    _impose(state, orders)
    return Triggered(orders, bankrupt)


def _holding(state: State, accounts: Ints) -> Ints:
    """Those of some accounts that have positions."""
    return accounts[held_units(state, accounts) > 0]


def mark_defaults(state: State) -> None:
    """Node default: equity below zero. Its accounts are closed from the next round on."""
    for node in failing_nodes(state):
        state.node_default[node] = state.round
        state.journal.event(state.round, "default", node=int(node), usd=float(state.node_equity[node]))
        state.moved = True


def _note_first_breach(state: State, breached: Ints) -> None:
    state.journal.amount(
        "breached", state.round, group_sum(state.system.accounts.exchange[breached], np.ones(breached.size), state.system.nodes.exchanges)
    )


def uncovered(state: State, accounts: Ints) -> Ints:
    """Bankrupt accounts that close against winners because the fund cannot cover them, smallest deficits covered first."""
    exchanges = state.system.exchanges
    exchange = state.system.accounts.exchange
    bankrupt = accounts[(state.equity[accounts] < 0) & ~state.to_book[accounts]]
    found = []
    for x in np.unique(exchange[bankrupt]):
        if exchanges.loss_rule[x] != "adl" or exchanges.adl_form[x] != "position":
            continue
        here = bankrupt[exchange[bankrupt] == x]
        deficit = -state.equity[here]
        order = np.lexsort((here, deficit))
        here, deficit = here[order], deficit[order]
        # equal deficits stand or fall together, so that no name decides
        last = np.searchsorted(deficit, deficit, side="right") - 1
        found.append(here[np.cumsum(deficit)[last] > state.fund[x]])
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _close(state: State, orders: Orders, fresh: Ints, waiting: Ints) -> None:
    """Close breached accounts by the rule of their exchange, and whole those whose orders wait or whose owner has failed."""
    failed = _holding(state, np.flatnonzero(state.status == Status.OWNER_DEFAULTED))
    if not fresh.size and not waiting.size and not failed.size:
        return
    whole = np.array([rule == "full" for rule in state.system.exchanges.liquidation])[state.system.accounts.exchange[fresh]]
    state.status[fresh[whole]] = Status.LIQUIDATING
    rows, units = close_outs(state, fresh)
    rest, defaulted = state.rows_of(waiting), state.rows_of(failed)
    rows = np.concatenate([rows, rest, defaulted])
    units = np.concatenate([units, np.abs(state.quantity[rest]), np.abs(state.quantity[defaulted])])
    signed = -np.sign(state.quantity[rows]) * within_throughput(state, rows, units)
    breached = rows.size - defaulted.size
    orders.position(Flow.LIQUIDATION, rows[:breached], signed[:breached])
    orders.position(Flow.DEFAULT_CLOSE, rows[breached:], signed[breached:])


def _default_accounts(state: State) -> None:
    """Accounts of nodes that failed in an earlier round are to be closed."""
    failed = (state.node_default >= 0) & (state.node_default < state.round)
    if failed.any():
        status = state.status
        fresh = np.flatnonzero(failed[state.system.accounts.owner] & ((status == Status.OPEN) | (status == Status.LIQUIDATING)))
        status[fresh] = Status.OWNER_DEFAULTED


def _stops(state: State, orders: Orders) -> None:
    """Close positions whose mark has crossed the owner's own stop or goal, unless the exchange is closing them already."""
    accounts = state.system.accounts
    rows = state.stop_rows = state.stop_rows[state.quantity[state.stop_rows] != 0.0]
    if not rows.size:
        return
    long, mark = state.quantity[rows] > 0, state.books.mark[accounts.market[rows]]
    hit = np.zeros(rows.size, dtype=np.bool_)
    if accounts.stop.size:  # comparisons with an empty cell (NaN) are false
        hit |= np.where(long, mark <= accounts.stop[rows], mark >= accounts.stop[rows])
    if accounts.take.size:
        hit |= np.where(long, mark >= accounts.take[rows], mark <= accounts.take[rows])
    rows = rows[hit]
    rows = rows[state.status[state.position_account[rows]] == Status.OPEN]
    rows = orders.free(rows)
    orders.position(Flow.STOP, rows, -state.quantity[rows])


def _unwind_vaults(state: State, orders: Orders) -> None:
    exchanges, accounts = state.system.exchanges, state.system.accounts
    for exchange, vault in enumerate(exchanges.vault_account):
        share = exchanges.vault_unwind[exchange]
        if vault < 0 or share == 0 or state.status[vault] != Status.OPEN:
            continue
        rows = np.arange(accounts.start[vault], accounts.start[vault + 1])
        rows = orders.free(rows)
        lot = state.system.coins.lot[state.system.markets.coin[accounts.market[rows]]]
        held = np.abs(state.quantity[rows])
        units = np.minimum(held, snap_up(share * state.taken[rows], lot))
        orders.position(Flow.VAULT, rows, -np.sign(state.quantity[rows]) * units)


def _sell_coins(state: State, orders: Orders, breached: Ints) -> None:
    """Closed accounts with a debt, and lending accounts whose coins no longer cover it, sell coins worth the debt at mid."""
    indebted = breached[(held_units(state, breached) == 0) & (state.balance[breached] < 0)]
    state.status[indebted] = Status.LIQUIDATING
    accounts = distinct(indebted, state.watch)
    if not accounts.size:
        return
    system = state.system
    rows = state.coin_rows_of(accounts)
    place = places_between(system.accounts.coin_start, accounts)
    market = system.accounts.coin_market[rows]
    sellable = state.open_markets()[market] & (state.coin_quantity[rows] > 0)
    price = state.books.price[market]
    worth = np.where(sellable, state.coin_quantity[rows] * price, 0.0)
    total = group_sum(place, snap_up(worth, system.quantum), accounts.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.minimum(-state.balance[accounts] / total, 1.0)
    lot = system.coins.lot[system.markets.coin[market]]
    part = np.nan_to_num(np.where(sellable, share[place], 0.0))
    units = np.minimum(snap_up(state.coin_quantity[rows] * part, lot), state.coin_quantity[rows])
    some = units > 0
    if some.any():
        orders.coins.append((rows[some], units[some]))


def _impose(state: State, orders: Orders) -> None:
    """Flows that the scenario imposes: sales of outside holders and positions that enter."""
    system = state.system
    open_now = state.open_markets()
    waiting = []
    for markets, usd in state.imposed:
        ready = open_now[markets]
        lot = system.coins.lot[system.markets.coin[markets]]
        units = snap_down(usd / state.books.price[markets], lot)
        if ready.any():
            orders.outside.append((markets[ready], -units[ready]))
        if not ready.all():
            waiting.append((markets[~ready], usd[~ready]))
    state.imposed = waiting
    later = []
    for rows, units in state.entering:
        ready = open_now[system.accounts.market[rows]]
        orders.position(Flow.ENTRY, rows[ready], units[ready])
        if not ready.all():
            later.append((rows[~ready], units[~ready]))
    state.entering = later

"""Step 7: who pays the debt of closed accounts.

Insurance fund, shared pro rata to shortfall; then the exchange's loss rule (auto-deleveraging in cash form, socialised over
winners, or none); then the house; then the exchange fails. Cost O(accounts that traded), and O(positions) where a loss
rule has to find winners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.arrays import distinct
from contagion.grid import group_sum, snap_down
from contagion.journal import Flow
from contagion.state import Status
from contagion.steps.adl import charge, deleverage_positions, take_cash
from contagion.steps.holdings import coin_units, held_units
from contagion.steps.ranking import profit_of, winners
from contagion.steps.settlement import settle_exchange

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.state import State


def run_waterfall(state: State, bankrupt: Ints, touched: Ints) -> None:
    """Deleverage, charge shortfalls, fail and settle exchanges."""
    deleverage_positions(state, bankrupt)
    short = _closed_with_debt(state, distinct(touched, bankrupt, state.watch))
    exchange = state.system.accounts.exchange[short]
    for x in np.unique(exchange):
        if state.alive[x]:
            _charge_shortfall(state, int(x), short[exchange == x])
    _fail_exchanges(state)


def _closed_with_debt(state: State, accounts: Ints) -> Ints:
    """Accounts without positions, coins or cash: what they owe is a shortfall. Those with coins sell them next round."""
    if not accounts.size:
        return accounts
    flat = accounts[held_units(state, accounts) == 0]
    forced = np.isin(state.status[flat], (Status.LIQUIDATING, Status.OWNER_DEFAULTED))
    state.status[flat[forced]] = Status.CLOSED
    _reopen_vaults(state, flat)
    indebted = flat[state.balance[flat] < 0]
    coins = coin_units(state, indebted)
    state.watch = indebted[(coins > 0) & (state.status[indebted] != Status.OPEN)]  # an open one is a loan, until it breaches
    return np.asarray(indebted[coins == 0])


def _reopen_vaults(state: State, flat: Ints) -> None:
    """Let a vault that was closed out with money left go on: it is a service of the exchange, not a customer."""
    vaults = state.system.exchanges.vault_account
    back = vaults[(vaults >= 0) & np.isin(vaults, flat)] if (vaults >= 0).any() else vaults[:0]
    back = back[(state.status[back] == Status.CLOSED) & (state.balance[back] > 0)]
    state.status[back] = Status.OPEN
    state.to_book[back] = False


def _charge_shortfall(state: State, exchange: int, accounts: Ints) -> None:
    system = state.system
    node = np.array([system.nodes.exchange0 + exchange])
    shortfall = -state.balance[accounts]
    total = shortfall.sum()
    pays = min(float(state.fund[exchange]), float(total))
    part = shortfall if pays == total else snap_down(shortfall * (pays / total), system.quantum)
    used = part.sum()
    state.fund[exchange] -= used
    rest = shortfall - part
    _amount(state, "bad_debt", exchange, float(total))
    _amount(state, "fund_used", exchange, float(used))
    state.node_flow(node, np.array([-used]))
    rule = system.exchanges.loss_rule[exchange]
    if rest.any() and rule == "adl" and system.exchanges.adl_form[exchange] == "cash":
        rest = take_cash(state, accounts, rest)
    elif rest.any() and rule == "socialise":
        rest = _socialise(state, exchange, accounts, rest)
    house = rest.sum()
    state.house[exchange] -= house
    _amount(state, "house_paid", exchange, float(house))
    state.node_flow(node, np.array([-house]))
    state.flow(accounts, shortfall)
    state.balance[accounts] = 0.0
    state.moved = True


def _amount(state: State, name: str, exchange: int, usd: float) -> None:
    by_exchange = np.zeros(state.system.nodes.exchanges)
    by_exchange[exchange] = usd
    state.journal.amount(name, state.round, by_exchange)


def _socialise(state: State, exchange: int, accounts: Ints, rest: Floats) -> Floats:
    """Take the shortfall from all winners of the exchange pro rata to their unrealised profit; returns what is left."""
    system = state.system
    here = (system.markets.exchange == exchange) & system.markets.perp
    rows = winners(state, here, accounts)
    profit = snap_down(profit_of(state, rows), system.quantum)
    total, due = profit.sum(), rest.sum()
    if total <= 0:
        return rest
    taken = profit if total <= due else snap_down(profit * (due / total), system.quantum)
    if total > due:
        # rounding leaves a few steps; the largest winners give one more each
        steps = round((due - taken.sum()) / system.quantum)
        order = np.lexsort((rows, -profit))[:steps]
        taken[order] += np.minimum(system.quantum, profit[order] - taken[order])
    charge(state, rows, taken, Flow.ADL_WINNER)
    _amount(state, "socialised", exchange, float(taken.sum()))
    left = due - taken.sum()
    after = snap_down(rest * (left / due), system.quantum)
    after[np.argmax(rest)] += left - after.sum()
    return after


def _fail_exchanges(state: State) -> None:
    """Fail exchanges whose house, fund and claims no longer cover what was charged, and settle all that failed.

    What credit, holdings and losses did to the exchange's equity was valued in step 3; the fund and the house have paid
    since.
    """
    system = state.system
    nodes = system.nodes
    spent = group_sum(np.arange(nodes.exchanges), _paid_this_round(state), nodes.exchanges)
    equity = state.node_equity[nodes.exchange0 :] - spent
    for exchange in np.flatnonzero((equity < -16 * system.quantum) & state.alive):
        state.node_default[nodes.exchange0 + exchange] = state.round
        state.journal.event(state.round, "default", node=int(nodes.exchange0 + exchange), usd=float(equity[exchange]))
    for exchange in np.flatnonzero(~state.alive & ~state.settled):
        settle_exchange(state, int(exchange))


def _paid_this_round(state: State) -> Floats:
    """What fund and house paid in this round, net of fees taken, by exchange."""
    total = np.zeros(state.system.nodes.exchanges)
    for name, sign in (("fund_used", 1.0), ("house_paid", 1.0), ("fees", -1.0)):
        for when, usd in reversed(state.journal.amounts[name]):
            if when != state.round:
                break
            total += sign * usd
    return total

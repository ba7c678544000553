"""Step 7: auto-deleveraging, in its two forms.

``position``: a bankrupt account that neither fund nor vault covers closes against ranked winners on the other side at the
exchange's ADL price, without a trade on the book. At bankruptcy price (M + deficit share / q, so that the account ends at
zero) winners lose exactly φ|M - p_b|; at mark they lose nothing and the house pays. What finds no match goes to the book in
the next round. ``cash``: the shortfall of a closed account is taken from winners, each at most its unrealised profit.
Sources: Chitra (2025), arXiv:2512.01112, section 2; venue rules in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap, snap_down
from contagion.journal import Flow
from contagion.state import places_between
from contagion.steps.execution import equity_of
from contagion.steps.holdings import held_units
from contagion.steps.ranking import allot, apportion, profit_of, winners

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.state import State


def bankruptcy_prices(state: State, rows: Ints, account: Ints) -> Floats:
    """Price at which each position of a bankrupt account closes so that the account ends at zero.

    The deficit is shared over its positions by notional: p = M + deficit·share/q; for one position p is the price at which
    equity is zero.
    """
    mark = state.books.mark[state.system.accounts.market[rows]]
    quantity = state.quantity[rows]
    with np.errstate(invalid="ignore"):
        share = np.abs(quantity) * mark / state.gross[account]
    # nothing that it holds is worth anything: by units
    share = np.where(state.gross[account] > 0, share, np.abs(quantity) / held_units(state, account))
    return mark - state.equity[account] * share / quantity


def deleverage_positions(state: State, bankrupt: Ints) -> None:
    """Close bankrupt accounts against winners."""
    if not bankrupt.size:
        return
    state.to_book[bankrupt] = True  # what is left after this goes to the book, next round
    state.moved = True
    system = state.system
    accounts, markets = system.accounts, system.markets
    rows = state.rows_of(bankrupt)
    rows = rows[(state.quantity[rows] != 0.0) & markets.perp[accounts.market[rows]]]
    if not rows.size:  # loans have no other side that could be deleveraged
        return
    market, account = accounts.market[rows].astype(np.int64), state.position_account[rows].astype(np.int64)
    price = _prices(state, rows, account)
    group = 2 * market + (state.quantity[rows] > 0)
    involved = np.zeros(markets.count, dtype=np.bool_)
    involved[market] = True
    others = winners(state, involved, bankrupt)
    other_group = 2 * accounts.market[others].astype(np.int64) + (state.quantity[others] < 0)
    size = np.abs(state.quantity[rows])
    lot = system.coins.lot[markets.coin]
    wanted = group_sum(group, size, 2 * markets.count)
    given = allot(state, others, other_group, wanted, np.abs(state.quantity[others]), lot[accounts.market[others]])
    matched = group_sum(other_group, given, 2 * markets.count)
    closed = _share_out(size, group, matched, lot[market])
    _settle(state, rows, account, market, closed, price, others, given, other_group)


def _prices(state: State, rows: Ints, account: Ints) -> Floats:
    rule = np.array(state.system.exchanges.adl_price)[state.system.accounts.exchange[account]]
    market = state.system.accounts.market[rows]
    mark, previous = state.books.mark[market], state.books.previous_mark[market]
    return np.select([rule == "bankruptcy", rule == "previous_mark"], [bankruptcy_prices(state, rows, account), previous], mark)


def _share_out(size: Floats, group: Ints, matched: Floats, lot: Floats) -> Floats:
    """Split what the winners gave over the bankrupt positions of each group, pro rata; exact in total."""
    order = np.lexsort((np.arange(size.size), -size, group))
    grid = lot[order]
    have = np.rint(size[order] / grid).astype(np.int64)
    tie = np.unique(group[order], return_inverse=True)[1]
    first = np.flatnonzero(np.append(True, tie[1:] != tie[:-1]))
    take = np.rint(matched[group[order[first]]] / grid[first]).astype(np.int64)
    part = np.empty(size.size)
    part[order] = apportion(have, take, tie) * grid
    return part


def _settle(
    state: State,
    rows: Ints,
    account: Ints,
    market: Ints,
    closed: Floats,
    price: Floats,
    others: Ints,
    given: Floats,
    other_group: Ints,
) -> None:
    """Move quantities and cash; each winner trades at its group's average price, and the largest takes what rounding leaves."""
    system, count = state.system, state.system.markets.count
    group = 2 * market + (state.quantity[rows] > 0)
    paid = snap(closed * price, system.quantum)
    with np.errstate(divide="ignore", invalid="ignore"):
        average = group_sum(group, paid, 2 * count) / group_sum(group, closed, 2 * count)
    sign = np.sign(state.quantity[rows])
    cash = sign * paid
    other_account = state.position_account[others].astype(np.int64)
    other_market = system.accounts.market[others].astype(np.int64)
    received = snap(given * np.nan_to_num(average[other_group]), system.quantum)
    other_sign = np.sign(state.quantity[others])
    other_cash = other_sign * received
    mark = state.books.mark
    deficit = np.where(closed > 0, np.abs(closed) / np.abs(state.quantity[rows]), 0.0)
    lost = group_sum(system.markets.exchange[market], snap(sign * closed * (price - mark[market]), system.quantum), system.nodes.exchanges)
    state.quantity[rows] -= sign * closed
    state.quantity[others] -= other_sign * given
    other_exchange = system.accounts.exchange[other_account]
    left = -group_sum(system.accounts.exchange[account], cash, system.nodes.exchanges)
    left -= group_sum(other_exchange, other_cash, system.nodes.exchanges)
    for exchange in np.flatnonzero(left):
        mine = np.flatnonzero(other_exchange == exchange)
        other_cash[mine[np.argmax(given[mine])]] += left[exchange]
    np.add.at(state.balance, account, cash)
    np.add.at(state.balance, other_account, other_cash)
    state.flow(account, cash - sign * closed * mark[market])
    state.flow(other_account, other_cash - other_sign * given * mark[other_market])
    if state.flows is not None:
        gain = float((cash - sign * closed * mark[market]).sum())
        loss = float((other_cash - other_sign * given * mark[other_market]).sum())
        state.flows.check("I4", gain, -loss)
        _check_zero(state, np.unique(account))
    usd = snap(given * mark[other_market], system.quantum)
    own = snap(closed * mark[market], system.quantum)
    state.journal.traded(Flow.ADL, state.round, *(group_sum(market, x, count) for x in (closed, np.where(sign > 0, closed, 0.0), own)))
    state.journal.hit(Flow.ADL, state.round, account, own)
    state.journal.hit(Flow.ADL_WINNER, state.round, other_account, usd)
    state.journal.amount("adl_taken", state.round, lost)
    state.journal.amount("adl_deficit", state.round, _deficits(state, account, deficit))


def _check_zero(state: State, accounts: Ints) -> None:
    """Log that accounts closed whole at bankruptcy price have nothing and owe nothing."""
    exchange = state.system.accounts.exchange[accounts]
    at_bankruptcy = np.array(state.system.exchanges.adl_price)[exchange] == "bankruptcy"
    whole = accounts[at_bankruptcy & (held_units(state, accounts) == 0)]
    if whole.size and state.flows is not None:
        left = equity_of(state, whole)
        worst = int(np.argmax(np.abs(left)))
        state.flows.check("I4", float(state.gross[whole[worst]]), float(state.gross[whole[worst]] + left[worst]))


def _deficits(state: State, account: Ints, share: Floats) -> Floats:
    """Deficit by exchange that accounts closed by ADL had, as far as they were closed."""
    who, place, times = np.unique(account, return_inverse=True, return_counts=True)
    part = group_sum(place, share, who.size) / np.maximum(times, 1)
    usd = snap(np.maximum(-state.equity[who], 0.0) * part, state.system.quantum)
    return group_sum(state.system.accounts.exchange[who], usd, state.system.nodes.exchanges)


def take_cash(state: State, accounts: Ints, shortfall: Floats) -> Floats:
    """Take shortfalls from ranked winners of the markets in which the closed accounts were; returns what is left by account.

    All accounts are of one exchange. An account's shortfall is shared over the positions it had at the start, by their notional there.
    """
    system = state.system
    arrays, count = system.accounts, system.markets.count
    rows = state.rows_of(accounts)
    place = places_between(arrays.start, accounts)
    market = arrays.market[rows].astype(np.int64)
    quantity = _held_before(state, rows)
    had = np.abs(quantity) * system.markets.price[market]
    total = group_sum(place, had, accounts.size)[place]
    with np.errstate(divide="ignore", invalid="ignore"):
        due = snap_down(np.nan_to_num(shortfall[place] * had / total), system.quantum)
    group = 2 * market + (quantity > 0)
    wanted = group_sum(group, due, 2 * count)
    # what rounding left of each shortfall is asked of the group of its largest position
    rest = shortfall - group_sum(place, due, accounts.size)
    order = np.lexsort((rows, -had, place))
    lead = order[np.unique(place[order], return_index=True)[1]] if rows.size else np.empty(0, dtype=np.int64)
    np.add.at(wanted, group[lead], rest[place[lead]])
    involved = np.zeros(count, dtype=np.bool_)
    involved[market[had > 0]] = True
    others = winners(state, involved, accounts)
    other_group = 2 * arrays.market[others].astype(np.int64) + (state.quantity[others] < 0)
    most = snap_down(profit_of(state, others), system.quantum)
    step = np.full(others.size, system.quantum)
    taken = allot(state, others, other_group, wanted, most, step)
    charge(state, others, taken, Flow.ADL_WINNER)
    got = group_sum(other_group, taken, 2 * count)
    with np.errstate(divide="ignore", invalid="ignore"):
        missing = np.nan_to_num((wanted - got) / wanted)
    unpaid = group_sum(place, due * missing[group], accounts.size)
    np.add.at(unpaid, place[lead], rest[place[lead]] * missing[group[lead]])
    by_exchange = group_sum(arrays.exchange[state.position_account[others]], taken, system.nodes.exchanges)
    state.journal.amount("adl_taken", state.round, by_exchange)
    left = snap(unpaid, system.quantum)
    drift = shortfall.sum() - left.sum() - taken.sum()
    if left.size:
        left[np.argmax(shortfall)] += drift
    return left


def _held_before(state: State, rows: Ints) -> Floats:
    """Signed units that ascending rows had at the start, with what entered or a vault took over since."""
    quantity = state.system.accounts.quantity[rows].copy()
    for where, units in state.came:
        place = np.minimum(np.searchsorted(rows, where), max(rows.size - 1, 0))
        mine = rows[place] == where if rows.size else np.zeros(where.size, dtype=np.bool_)
        np.add.at(quantity, place[mine], units[mine])
    return quantity


def charge(state: State, rows: Ints, usd: Floats, kind: Flow) -> None:
    """Take cash from the accounts of winning positions; their entry moves, so that the profit is spent."""
    some = usd > 0
    rows, usd = rows[some], usd[some]
    account = state.position_account[rows].astype(np.int64)
    np.subtract.at(state.balance, account, usd)
    state.entry[rows] += usd / state.quantity[rows]
    state.flow(account, -usd)
    state.journal.hit(kind, state.round, account, usd)

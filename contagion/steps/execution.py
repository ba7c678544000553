"""Step 6: orders meet the books.

Opposite orders in a market net and all fill at the volume-weighted price of the net order; the book account takes the other
side of each. Depth is the network's, times the scenario's factor, times what surviving makers quote, times the withdrawal
of quotes, at least 1 % of itself. Cost O(orders + markets).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.arrays import distinct
from contagion.grid import group_sum, snap
from contagion.impact import execute
from contagion.journal import FORCED, Flow
from contagion.state import places_between
from contagion.steps.revalue import inventory_price

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.orders import Orders
    from contagion.state import State


DEPTH_FLOOR = 0.01


def depth_now(state: State) -> Floats:
    """Depth of each market in units; infinite without feedback."""
    system = state.system
    markets, claims = system.markets, system.claims
    if not state.settings.feedback:
        return np.full(markets.count, np.inf)
    factor = state.books.depth_factor.copy()
    if claims.maker.size:
        gone = claims.maker_share * (state.node_default[claims.maker] >= 0)
        factor *= 1.0 - np.minimum(group_sum(claims.maker_market, gone, markets.count), 1.0)
    if state.settings.withdrawal:
        factor *= np.exp(-state.settings.withdrawal * state.books.largest_move)
    return markets.depth * np.maximum(factor, DEPTH_FLOOR)


def execute_orders(state: State, orders: Orders) -> Ints:
    """Fill orders on open markets; returns the accounts that traded."""
    system, books = state.system, state.books
    markets, count = system.markets, system.markets.count
    open_now = state.open_markets()
    depth = depth_now(state)
    net = _net(state, orders, open_now)
    fill = execute(state.settings.impact, books.price, markets.price, depth, net)
    touched = []
    for kind, rows, units in orders.positions:
        touched.append(_fill_positions(state, kind, rows, units, fill.average, open_now))
    for rows, units in orders.coins:
        touched.append(_fill_coins(state, rows, units, fill.average, open_now))
    _fill_nodes(state, orders, fill.average)
    for where, units in orders.outside:
        usd = snap(-units * fill.average[where], system.quantum)
        books.outside_quantity += group_sum(where, units, count)
        _book(state, where, units, usd, coins=True)
        _to_outside(state, where, usd)
        state.state_gain(float((-usd - units * state.coin_price[markets.coin[where]]).sum()))
        state.journal.traded(Flow.IMPOSED, state.round, *(group_sum(where, x, count) for x in (np.abs(units), np.maximum(-units, 0), usd)))
        state.moved = True
    _set_price(state, fill.price, net)
    return distinct(*touched)


def _net(state: State, orders: Orders, open_now: Flags) -> Floats:
    """Net units bought by market."""
    accounts, count = state.system.accounts, state.system.markets.count
    net = np.zeros(count)
    for _, rows, units in orders.positions:
        net += group_sum(accounts.market[rows], units, count)
    for rows, units in orders.coins:
        net -= group_sum(accounts.coin_market[rows], units, count)
    for _, where, units in orders.holdings + orders.backing:
        net -= group_sum(where, units, count)
    for where, units in orders.outside:
        net += group_sum(where, units, count)
    return np.where(open_now, net, 0.0)


def _book(state: State, market: Ints, units: Floats, usd: Floats, *, coins: bool) -> None:
    """Let book accounts take the other side: units bought and USD received by the others.

    Coins are told apart from positions: a perpetual book that buys coins does not become long of its contract.
    """
    books, count = state.books, state.system.markets.count
    stock = books.coins if coins else books.quantity
    stock -= group_sum(market, units, count)
    books.cash -= group_sum(market, usd, count)
    if state.flows is not None:
        price = state.coin_price[state.system.markets.coin] if coins else inventory_price(state)
        state.flows.inventory(market, -usd - units * price[market])


def _to_outside(state: State, market: Ints, usd: Floats) -> None:
    """Log cash that left exchanges' ledgers for somebody off exchange."""
    if state.flows is not None:
        state.flows.ledger -= group_sum(state.system.markets.exchange[market], usd, state.system.nodes.exchanges)


def _fill_positions(state: State, kind: Flow, rows: Ints, units: Floats, average: Floats, open_now: Flags) -> Ints:
    system = state.system
    accounts, count = system.accounts, system.markets.count
    market = accounts.market[rows]
    on = open_now[market]
    rows, units, market = rows[on], units[on], market[on]
    if not rows.size:
        return np.empty(0, dtype=np.int64)
    account = state.position_account[rows].astype(np.int64)
    usd = snap(-units * average[market], system.quantum)
    before = state.quantity[rows]
    state.quantity[rows] = before + units
    if kind is Flow.ENTRY:
        with np.errstate(divide="ignore", invalid="ignore"):
            entry = (np.abs(before) * state.entry[rows] + np.abs(units) * average[market]) / (np.abs(before) + np.abs(units))
        state.entry[rows] = entry
        state.came.append((rows, units))
    np.add.at(state.balance, account, usd)
    _book(state, market, units, usd, coins=False)
    size, price = np.abs(units), snap(np.abs(units) * average[market], system.quantum)
    longs = np.where(units < 0, size, 0.0)
    state.journal.traded(
        kind, state.round, group_sum(market, size, count), group_sum(market, longs, count), group_sum(market, price, count)
    )
    state.journal.hit(kind, state.round, account, price)
    state.flow(account, usd + units * state.books.mark[market])
    state.state_gain(float((units * (state.books.mark - inventory_price(state))[market]).sum()))
    if kind in FORCED:
        _charge_fee(state, account, price)
    state.moved = True
    return account


def _charge_fee(state: State, account: Ints, usd: Floats) -> None:
    """Take the liquidation fee to the fund, at most what equity the account has left at this round's marks."""
    system = state.system
    rate = system.exchanges.liquidation_fee
    exchange = system.accounts.exchange[account]
    if not rate[exchange].any():
        return
    who, place = np.unique(account, return_inverse=True)
    where = system.accounts.exchange[who]
    due = snap(rate[where] * group_sum(place, usd, who.size), system.quantum)
    fee = np.minimum(due, np.maximum(snap(equity_of(state, who), system.quantum), 0.0))
    state.balance[who] -= fee
    taken = group_sum(where, fee, system.nodes.exchanges)
    state.fund += taken
    state.journal.amount("fees", state.round, taken)
    state.flow(who, -fee)
    state.node_flow(np.arange(system.nodes.exchanges) + system.nodes.exchange0, taken)


def equity_of(state: State, accounts: Ints) -> Floats:
    """Equity of a few accounts at this round's marks, after what has traded so far."""
    arrays = state.system.accounts
    rows, coins = state.rows_of(accounts), state.coin_rows_of(accounts)
    place = places_between(arrays.start, accounts)
    coin_place = places_between(arrays.coin_start, accounts)
    grid = arrays.grid[accounts]
    value = snap(state.quantity[rows] * state.books.mark[arrays.market[rows]], grid[place])
    worth = snap(state.coin_quantity[coins] * state.books.index[arrays.coin_market[coins]], grid[coin_place])
    return state.balance[accounts] + group_sum(place, value, accounts.size) + group_sum(coin_place, worth, accounts.size)


def _fill_coins(state: State, rows: Ints, units: Floats, average: Floats, open_now: Flags) -> Ints:
    system = state.system
    accounts, count = system.accounts, system.markets.count
    market = accounts.coin_market[rows]
    on = open_now[market]
    rows, units, market = rows[on], units[on], market[on]
    account = np.searchsorted(accounts.coin_start, rows, side="right") - 1
    usd = snap(units * average[market], system.quantum)
    state.coin_quantity[rows] -= units
    np.add.at(state.balance, account, usd)
    _book(state, market, -units, usd, coins=True)
    state.journal.traded(Flow.COIN_SALE, state.round, *(group_sum(market, x, count) for x in (units, units, usd)))
    state.flow(account, usd - units * state.books.index[market])
    state.state_gain(float((units * (state.coin_price[system.markets.coin] - state.books.index)[market]).sum()))
    state.moved = True
    return account


def _fill_nodes(state: State, orders: Orders, average: Floats) -> None:
    """Sales of holdings and of backing: the owner's cash is off exchange."""
    system = state.system
    claims, count = system.claims, system.markets.count
    issuers = claims.backing_issuer + system.nodes.coin0
    tables = (
        (Flow.HOLDING_SALE, orders.holdings, state.holding, claims.holding_owner, claims.holding_coin),
        (Flow.BACKING_SALE, orders.backing, state.backing, issuers, claims.backing_coin),
    )
    for kind, sales, stock, owner, coin in tables:
        for rows, market, units in sales:
            usd = snap(units * average[market], system.quantum)
            np.subtract.at(stock, rows, units)
            np.add.at(state.cash, owner[rows], usd)
            _book(state, market, -units, usd, coins=True)
            _to_outside(state, market, usd)
            state.node_flow(owner[rows], usd - units * state.coin_price[coin[rows]])
            state.journal.traded(kind, state.round, *(group_sum(market, x, count) for x in (units, units, usd)))
            state.moved = True


def _set_price(state: State, price: Floats, net: Floats) -> None:
    """Keep prices after the orders; a market beyond its band stops."""
    books, markets = state.books, state.system.markets
    moved = net != 0.0
    books.price = np.where(moved, price, books.price)
    with np.errstate(divide="ignore"):
        books.largest_move = np.maximum(books.largest_move, np.abs(np.log(books.price / markets.price)))
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.abs(books.price / books.band_base - 1.0) > markets.band
    beyond &= state.open_markets()
    if beyond.any():
        rounds = state.system.exchanges.halt_rounds[markets.exchange]
        books.halted_until = np.where(beyond, state.round + rounds + 1, books.halted_until)
        books.band_base = np.where(beyond, books.price, books.band_base)
        for market in np.flatnonzero(beyond):
            state.journal.event(state.round, "halt", exchange=int(markets.exchange[market]), coin=int(markets.coin[market]))

"""Which nodes may default: lower bounds of their equity, and who must sell because of it.

Only nodes that owe something, quote, arbitrage, issue, or have a leverage rule can default or sell; the accounts of all others
need not be valued. Cost O(accounts and claims of those).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum
from contagion.steps.credit import Debts, clear_debts
from contagion.steps.recovery import SLACK

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.search.envelope.books import Desk, Trading
    from contagion.search.envelope.frame import Ends, Frame
    from contagion.search.envelope.quotes import Quotes
    from contagion.system import System


BOTTOMLESS = 1e200
"""USD, in place of an infinite loss, so that no sum is undefined."""


def brittle_nodes(system: System) -> Flags:
    """Nodes whose equity may fall below zero, or which sell before: all others own things of positive value and owe nothing."""
    nodes, claims = system.nodes, system.claims
    brittle = (nodes.external_debt > 0) | (nodes.cash < 0) | np.isfinite(nodes.leverage_limit)
    for group in (claims.maker, claims.arbitrageur, claims.debtor):
        brittle[group] = True
    brittle[nodes.stable0 :] = True
    return brittle


@dataclass(frozen=True, slots=True)
class Worth:
    """Bounds that node equities are made of.

    Attributes
    ----------
    account
        Least equity of the ``chosen`` accounts to their owners, USD, none below zero.
    chosen
        Accounts of nodes that may default.
    gross
        Most notional of the same accounts, USD.
    called
        Owners that may have sent their purse to margin calls.
    book_loss
        Most that each market's book may have lost, USD.
    shortfall
        Most that the accounts of each exchange may leave unpaid, USD.
    failing
        Exchanges that may fail.
    selling
        Coins whose issuers may sell backing.
    """

    account: Floats
    chosen: Ints
    gross: Floats
    called: Flags
    book_loss: Floats
    shortfall: Floats
    failing: Flags
    selling: Flags


def least_equity(frame: Frame, prices: Quotes, ties: list[Desk], worth: Worth, initial: Floats) -> Floats:
    """Lower bound of the equity of every node, USD; of nodes that cannot default only what is needed.

    Notes
    -----
    The value of claims is the greatest fixed point of a map that rises with what nodes own, so solving it with lower bounds of
    what they own gives lower bounds of equities and values. Claims on an exchange that may fail count nothing, because the
    claims of its clients come to share in them.
    """
    system, onset = frame.system, frame.onset
    nodes, claims, coins = system.nodes, system.claims, system.coins
    count, inventory = nodes.count, price_of_inventory(system, prices)
    purse = nodes.top_up * np.maximum(nodes.cash, 0.0)
    own = nodes.cash - nodes.external_debt - onset.loss - purse * worth.called
    own += group_sum(system.accounts.owner[worth.chosen], worth.account, count)
    sold_low = np.minimum(prices.coin_low, least_sale(system, frame.low))
    seller = np.isfinite(nodes.leverage_limit)[claims.holding_owner]
    held = np.where(seller, sold_low[claims.holding_coin], prices.coin_low[claims.holding_coin])
    own += group_sum(claims.holding_owner, claims.holding_quantity * held, count)
    held = np.where(worth.selling[claims.backing_issuer], sold_low[claims.backing_coin], prices.coin_low[claims.backing_coin])
    own += group_sum(claims.backing_issuer + nodes.coin0, claims.backing_quantity * held, count)
    own[nodes.coin0 : nodes.exchange0] -= np.nan_to_num(coins.supply * coins.promised)
    own -= group_sum(claims.maker, claims.maker_share * worth.book_loss[claims.maker_market], count)
    own -= system.quantum * np.maximum(_rows_by_node(system) - SLACK, 0)  # each of its rows is rounded by itself
    capacity = group_sum(claims.arbitrage_coin, claims.arbitrage_capacity, len(coins.names))
    share = claims.arbitrage_capacity / np.maximum(capacity, system.quantum)[claims.arbitrage_coin]
    for tie in ties:
        mine = claims.arbitrage_coin == tie.coin
        spread = float(inventory[1][tie.where].max() - inventory[0][tie.where].min())
        if tie.units > 0:
            own -= group_sum(claims.arbitrageur[mine], share[mine] * tie.units * spread, count)
        if tie.redeemed > 0:  # a coin may come to be worth more than was promised for it
            more = tie.goal - float(np.nan_to_num(coins.promised[tie.coin]))
            own[nodes.coin0 + tie.coin] -= tie.redeemed * max(more, 0.0)
    own[nodes.exchange0 :] += system.exchanges.equity + system.exchanges.insurance_fund - worth.shortfall
    own = np.clip(np.nan_to_num(own, nan=-BOTTOMLESS), -BOTTOMLESS, BOTTOMLESS)
    if not claims.amount.size:
        return own
    own -= group_sum(claims.creditor, claims.amount * onset.written_off, count)
    forced = np.where(onset.named.sure, frame.settings.recovery, np.where(onset.named.possible, 0.0, np.nan))
    falling = np.flatnonzero(worth.failing) + nodes.exchange0
    forced[falling[~onset.named.sure[falling]]] = 0.0
    debts = Debts(claims.debtor, claims.creditor, claims.amount, claims.seniority)
    return clear_debts(own, nodes.external_debt, debts, forced, initial, frame.settings).equity


def _rows_by_node(system: System) -> Ints:
    """Number of rows that a node's equity is summed over."""
    claims = system.claims
    rows = np.bincount(system.accounts.owner, minlength=system.nodes.count)
    for group in (claims.holding_owner, claims.maker, claims.arbitrageur, claims.backing_issuer + system.nodes.coin0):
        rows += np.bincount(group, minlength=rows.size)
    return rows


def least_sale(system: System, low: Floats) -> Floats:
    """Lowest price at which each coin can be sold on any of its spot books, USD; infinite without one."""
    markets = system.markets
    result = np.full(len(system.coins.names), np.inf)
    spot = np.flatnonzero(~markets.perp)
    np.minimum.at(result, markets.coin[spot], low[spot])
    return result


def over_leverage(system: System, equity: Floats, prices: Quotes, worth: Worth) -> Flags:
    """Nodes whose leverage may come to exceed their limit."""
    nodes, claims = system.nodes, system.claims
    limit = nodes.leverage_limit
    if np.isnan(limit).all():
        return np.zeros(nodes.count, dtype=np.bool_)
    exposure = group_sum(system.accounts.owner[worth.chosen], worth.gross, nodes.count)
    exposure += group_sum(claims.holding_owner, claims.holding_quantity * prices.coin_high[claims.holding_coin], nodes.count)
    return np.asarray(np.isfinite(limit) & (exposure > 0) & ~(exposure * (1 + 1e-9) < limit * equity))


def least_redemption(frame: Frame, prices: Quotes, ties: list[Desk], worth: Worth) -> Floats:
    """Lower bound of each coin's redemption value, USD; NaN for assets.

    Notes
    -----
    With assets A behind a supply s and u coins redeemed at no more than p, (A - u·p)/(s - u) is monotone in u, so that its ends
    bound it.
    """
    system, onset = frame.system, frame.onset
    coins, nodes, claims = system.coins, system.nodes, system.claims
    count = len(coins.names)
    sold_low = np.minimum(prices.coin_low, least_sale(system, frame.low))
    least = np.where(worth.selling[claims.backing_issuer], sold_low[claims.backing_coin], prices.coin_low[claims.backing_coin])
    assets = nodes.cash[nodes.coin0 : nodes.exchange0] - onset.loss[nodes.coin0 : nodes.exchange0]
    assets = assets + group_sum(claims.backing_issuer, claims.backing_quantity * least, count)
    owner = system.accounts.owner[worth.chosen] - nodes.coin0
    mine = (owner >= 0) & (owner < count)
    assets += group_sum(owner[mine], worth.account[mine], count)
    result = np.where(np.isnan(coins.peg), np.nan, coins.peg)
    for coin in np.flatnonzero(~np.isnan(coins.peg) & (coins.supply > 0)):
        supply = float(coins.supply[coin])
        value = float(assets[coin]) / supply
        for tie in ties:
            if tie.coin == coin and tie.redeemed > 0:
                left = supply - tie.redeemed
                after = float(assets[coin]) - tie.redeemed * tie.goal
                value = min(value, after / left if left > 0 else (np.inf if after >= 0 else 0.0))
        result[coin] = min(float(coins.peg[coin]), max(value, 0.0)) * (1 - 1e-9)
    return result


def issuer_sales(frame: Frame, prices: Quotes, trade: Trading, ties: list[Desk]) -> tuple[Floats, Flags]:
    """Units of backing that issuers may sell by market, and which coins' issuers may sell any."""
    system, onset = frame.system, frame.onset
    coins, nodes, claims, markets = system.coins, system.nodes, system.claims, system.markets
    paid = np.zeros(len(coins.names))
    for tie in ties:
        paid[tie.coin] += tie.redeemed * max(tie.goal, 0.0)
    coin_nodes = slice(nodes.coin0, nodes.exchange0)
    debt = np.maximum(paid + onset.loss[coin_nodes] - nodes.cash[coin_nodes], 0.0)
    sold = np.zeros(markets.count)
    selling = (debt > 0) & (np.bincount(claims.backing_issuer, minlength=len(coins.names)) > 0)
    for row in np.flatnonzero(selling[claims.backing_issuer] & (claims.backing_quantity > 0)):
        coin = claims.backing_coin[row]
        books = np.flatnonzero(trade.possible & ~markets.perp & (markets.coin == coin))
        own = books[markets.exchange[books] == claims.backing_custodian[row]]
        books = own if own.size and trade.steady[own].all() else books
        if not books.size:
            continue
        least = min(float(frame.low[books].min()), float(prices.coin_low[coin]))
        wanted = debt[claims.backing_issuer[row]] / least if least > 0 else np.inf
        units = min(float(claims.backing_quantity[row]), wanted * (1 + 1e-6) + 1e3 * float(coins.lot[coin]))
        sold[books] += units
    return sold, selling


def holding_sales(system: System, selling: Flags, trade: Trading) -> Floats:
    """Units of holdings that nodes above their leverage limit may sell, by market: any split over the books of a coin."""
    claims, markets = system.claims, system.markets
    sold = np.zeros(markets.count)
    rows = np.flatnonzero(selling[claims.holding_owner])
    if rows.size:
        units = group_sum(claims.holding_coin[rows], claims.holding_quantity[rows], len(system.coins.names))
        sold += np.where(trade.possible & ~markets.perp, units[markets.coin], 0.0)
    return sold


def price_of_inventory(system: System, prices: Quotes) -> Ends:
    """Ends of the price at which books and arbitrageurs value what they hold, by market, USD."""
    markets = system.markets
    coin_low, coin_high = prices.coin_low[markets.coin], prices.coin_high[markets.coin]
    low, high = np.where(markets.perp, prices.mark_low, coin_low), np.where(markets.perp, prices.mark_high, coin_high)
    both = markets.perp & (markets.sell[markets.exchange, markets.coin] == np.arange(markets.count))  # takes coins as well
    return np.where(both, np.minimum(low, coin_low), low), np.where(both, np.maximum(high, coin_high), high)

"""What accounts may do while prices stay in the box: breach, trade, leave something unpaid.

Each account is tested at its own worst corner: long positions at the low end of the mark, short ones at the high end, coins at the low
end of the index. What is hit trades at the worst price of its book. Cost O(positions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.grid import group_sum
from contagion.kernels.corner import corner_health, corner_worth
from contagion.search.envelope.nodes import brittle_nodes
from contagion.state import places_between, rows_between

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.search.envelope.books import Trading
    from contagion.search.envelope.found import Found
    from contagion.search.envelope.frame import Ends, Frame
    from contagion.search.envelope.quotes import Quotes
    from contagion.system import System

RELATIVE: Final = 1e-9
"""What rounding may take from an account, relative to its size."""
GRAINS: Final = 64
"""And in steps of the ledger, where it closes in one trade."""
OVERSHOOT: Final = 1e-6
"""Coins sold beyond a debt, relative to it: each sale is rounded up to a lot, and a few lots more are allowed for."""
LOTS: Final = 1e3


@dataclass(frozen=True, slots=True)
class Hit:
    """Accounts that may be hit, and the least that is left of them.

    Attributes
    ----------
    account
        Which.
    equity
        Least equity after whatever part was closed, USD.
    debt
        Most that they may owe before coins are sold, USD.
    """

    account: Ints
    equity: Floats
    debt: Floats


class Clients:
    """All accounts of a network, and what of them no shock changes.

    Attributes
    ----------
    backstop
        Exchanges whose vault takes accounts over.
    usd
        USD of each position at the network's prices.
    """

    def __init__(self, system: System, stops: Ints) -> None:
        accounts, markets, exchanges = system.accounts, system.markets, system.exchanges
        self.system = system
        self.stops = stops
        self._owner_row = np.repeat(np.arange(accounts.count), np.diff(accounts.start))
        holds = np.zeros(accounts.count, dtype=np.bool_)
        holds[self._owner_row[accounts.quantity != 0.0]] = True
        self._exposed = holds | (accounts.balance < 0)
        self._jumps = ~exchanges.marginal[markets.exchange] & (np.diff(markets.tier_start) > 1)
        self._vault = exchanges.vault_account
        self._fee = exchanges.liquidation_fee[markets.exchange]
        whole = np.array([rule == "full" for rule in exchanges.liquidation], dtype=np.bool_)
        self._grain = system.quantum * np.where(whole, GRAINS, GRAINS * GRAINS)
        self.backstop = (self._vault >= 0) & ~np.isnan(exchanges.backstop)
        self.usd = np.abs(accounts.quantity) * markets.price[accounts.market]
        self.brittle = brittle_nodes(system)

    def stop(self, found: Found, prices: Quotes) -> None:
        """Add positions whose owner's stop or goal a mark may cross."""
        accounts, rows = self.system.accounts, self.stops
        if not rows.size:
            return
        market = accounts.market[rows]
        low, high, long = prices.mark_low[market], prices.mark_high[market], accounts.quantity[rows] > 0
        if accounts.stop.size:
            found.stopped |= np.where(long, low <= accounts.stop[rows], high >= accounts.stop[rows])
        if accounts.take.size:
            found.stopped |= np.where(long, high >= accounts.take[rows], low <= accounts.take[rows])

    def strike(self, frame: Frame, found: Found, prices: Quotes) -> None:
        """Add accounts that may breach at their worst corner, and those that another rule makes sell."""
        system = self.system
        accounts, markets, nodes = system.accounts, system.markets, system.nodes
        counted = prices.index_low * (1.0 - markets.haircut)
        trades = np.zeros(accounts.count, dtype=np.bool_)  # stopped positions are worth what they were sold for
        trades[self._owner_row[self.stops[found.stopped]]] = True
        left = self._exposed & ~found.hit
        for group, ends in ((left & ~trades, (prices.mark_low, prices.mark_high)), (left & trades, traded(frame, prices))):
            chosen = np.flatnonzero(group)
            if chosen.size:
                health, size = corner_health(chosen, accounts, markets, *ends, counted, self._jumps)
                found.hit[chosen[health <= RELATIVE * size + GRAINS * system.quantum]] = True
        sells = found.failing | found.geared
        sells[nodes.coin0 : nodes.exchange0] |= found.selling
        if sells.any():
            found.hit |= sells[accounts.owner]
        for exchange in np.flatnonzero(self.backstop):
            vault = self._vault[exchange]
            if not found.hit[vault]:
                found.hit[vault] = bool((found.hit & (accounts.exchange == exchange)).any())

    def left_over(self, frame: Frame, found: Found, prices: Quotes) -> Hit:
        """The least that is left of accounts that are hit."""
        hit = np.flatnonzero(found.hit)
        coin_low = np.minimum(prices.index_low, frame.low)
        cash, coins, size = corner_worth(hit, self.system.accounts, *traded(frame, prices), coin_low, self._fee)
        slack = RELATIVE * size + self._grain[self.system.accounts.exchange[hit]]
        return Hit(hit, cash + coins - slack, np.maximum(slack - cash, 0.0))

    def orders(self, frame: Frame, found: Found, trade: Trading, hit: Hit) -> Ends:
        """Units that accounts and outside holders may sell and buy, by market."""
        system = self.system
        accounts, count = system.accounts, system.markets.count
        charged = np.repeat(found.hit, np.diff(accounts.start))
        charged[self.stops[found.stopped]] = True
        rows = np.flatnonzero(charged)
        market, quantity = accounts.market[rows], accounts.quantity[rows]
        sold = group_sum(market, np.maximum(quantity, 0.0), count)
        bought = group_sum(market, np.maximum(-quantity, 0.0), count)
        at_vault = self.backstop[accounts.exchange[hit.account]]  # a vault may sell all the coins that it took over
        owing = (hit.debt > 0) | at_vault
        coins = rows_between(accounts.coin_start, hit.account[owing])
        if coins.size:
            place = places_between(accounts.coin_start, hit.account[owing])
            where = accounts.coin_market[coins]
            owed, price = hit.debt[owing][place], frame.low[where]
            needed = np.where(price > 0, owed / np.where(price > 0, price, 1.0), np.inf) * (1 + OVERSHOOT)
            needed += LOTS * system.coins.lot[system.markets.coin[where]]
            stock = accounts.coin_quantity[coins]
            sold += group_sum(where, np.where(at_vault[owing][place], stock, np.minimum(stock, needed)), count)
        sold, bought = np.where(trade.possible, sold, 0.0), np.where(trade.possible, bought, 0.0)
        return sold + frame.onset.sold, bought + frame.onset.bought

    def of_brittle(self, frame: Frame, found: Found, prices: Quotes, hit: Hit) -> tuple[Ints, Floats, Floats]:
        """Accounts of nodes that may default, what they are worth to their owners at least, and their notional at most, USD."""
        system, onset = self.system, frame.onset
        accounts, nodes = system.accounts, system.nodes
        chosen = np.flatnonzero((self.brittle | (onset.loss > 0))[accounts.owner])
        none = np.zeros(system.markets.count)
        cash, coins, _ = corner_worth(chosen, accounts, prices.mark_low, prices.mark_high, prices.index_low, none)
        known = np.zeros(accounts.count)
        known[hit.account] = hit.equity
        taken = self.backstop[accounts.exchange[chosen]]  # of what a vault may take over the owner keeps nothing
        worth = np.where(found.hit[chosen], np.where(taken, 0.0, known[chosen]), cash + coins)
        for exchange in np.flatnonzero(self.backstop):
            vault = self._vault[exchange]
            if found.hit[vault]:
                others = hit.account[(accounts.exchange[hit.account] == exchange) & (hit.account != vault)]
                worth[chosen == vault] = known[vault] + np.minimum(known[others], 0.0).sum()
        safe = ~found.failing[nodes.exchange0 :]
        kept = np.where(frame.dead, frame.settings.recovery, safe.astype(np.float64))
        rows, place = rows_between(accounts.start, chosen), places_between(accounts.start, chosen)
        gross = group_sum(place, np.abs(accounts.quantity[rows]) * prices.mark_high[accounts.market[rows]], chosen.size)
        return chosen, np.maximum(worth, 0.0) * kept[accounts.exchange[chosen]], gross

    def forced_usd(self, found: Found, dead: Flags) -> float:
        """Most that may be closed by force, USD at the network's prices; what a vault takes over it may have to close again."""
        accounts = self.system.accounts
        times = np.where(self.backstop[accounts.exchange], 2.0, 1.0) * (found.hit & ~dead[accounts.exchange])
        return float((self.usd * np.repeat(times, np.diff(accounts.start))).sum())


def traded(frame: Frame, prices: Quotes) -> Ends:
    """Ends of what a unit is valued or traded at, by market, USD."""
    return np.minimum(prices.mark_low, frame.low), np.maximum(prices.mark_high, frame.high)

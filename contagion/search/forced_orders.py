"""What accounts send to the books when they breach: their positions, and coins against the debt that is left.

An account closes whole at its own breach price, all its positions with it; where that leaves a debt, it sells coins worth the
debt at the price of their books, pro rata to value, as the engine does in the round after. Cost O(positions + coins).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.search.breach_prices import Exposure
    from contagion.state import State


class ForcedOrders:
    """Orders of each exposed account, an entry each, as the price moves in one direction.

    Attributes
    ----------
    factor
        On the price, where it breaches; NaN if it does not.
    level, on
        Level that holds the factor, -1 for none, and whether there is one.
    net
        Units of the coin sold by closing its position, negative when bought.
    share, sold
        Share of its coins, and units of this one, that it sells to pay what its positions leave owing.
    notional, coins_usd, other
        USD at the network's prices: its position in the coin, ``sold``, and the same of other coins together.
    """

    def __init__(self, state: State, coin: int, exposure: Exposure, factor: Floats, edges: Floats) -> None:
        self.exposure, self.factor, self.coin = exposure, factor, coin
        within = (factor >= edges[0]) & (factor <= edges[-1])
        below, above = within & (factor < 1.0), within & (factor > 1.0)
        level = np.full(factor.size, -1, dtype=np.int64)
        # a level holds its far edge, on either side of 1
        level[below] = np.searchsorted(edges, factor[below], side="right") - 1
        level[above] = np.searchsorted(edges, factor[above], side="left") - 1
        self.level: Ints = level
        self.on: Flags = level >= 0
        self.net: Floats = exposure.quantity
        self.share = self._coin_share(state)
        self.sold = self.share * exposure.coins
        prices = state.system.markets.price
        position, stock = exposure.market >= 0, exposure.coin_market >= 0
        self.notional = np.where(position, np.abs(exposure.quantity) * prices[exposure.market], 0.0)
        self.coins_usd = np.where(stock, self.sold * prices[exposure.coin_market], 0.0)
        self.other = self._other(state)

    def _coin_share(self, state: State) -> Floats:
        """Share of its coins that each account must sell at its breach to pay what its positions leave owing."""
        accounts, prices, part = state.system.accounts, state.books.price, self.exposure
        x = np.where(self.on, self.factor, 1.0)
        owner = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
        stored = group_sum(owner, state.coin_quantity * state.books.index[accounts.coin_market], accounts.count)[part.account]
        worth = group_sum(owner, state.coin_quantity * prices[accounts.coin_market], accounts.count)[part.account]
        worth += np.where(part.coin_market >= 0, part.coins * prices[part.coin_market] * (x - 1.0), 0.0)
        debt = stored - state.equity[part.account] - part.quantity * part.mark * (x - 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.on & (worth > 0), np.clip(debt / worth, 0.0, 1.0), 0.0)
        return np.asarray(share)

    def _other(self, state: State) -> Floats:
        """USD of other positions closed and other coins sold, by account."""
        markets, accounts = state.system.markets, state.system.accounts
        usd = np.where(markets.coin[accounts.market] == self.coin, 0.0, np.abs(state.quantity) * markets.price[accounts.market])
        closed = group_sum(state.position_account, usd, accounts.count)[self.exposure.account]
        owner = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
        apart = markets.coin[accounts.coin_market] != self.coin
        usd = np.where(apart, state.coin_quantity * markets.price[accounts.coin_market], 0.0)
        return closed + self.share * group_sum(owner, usd, accounts.count)[self.exposure.account]

    def by_coin(self, state: State) -> tuple[Floats, Floats, Floats]:
        """USD of longs closed, of shorts closed and of coins sold, by coin, of all accounts on the map."""
        system = state.system
        accounts, markets = system.accounts, system.markets
        hit, share = np.zeros(accounts.count), np.zeros(accounts.count)
        hit[self.exposure.account], share[self.exposure.account] = self.on, self.share
        signed = state.quantity * markets.price[accounts.market] * hit[state.position_account]
        owner = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
        sold = state.coin_quantity * markets.price[accounts.coin_market] * share[owner]
        count, coin = len(system.coins.names), markets.coin[accounts.market]
        longs, shorts = (group_sum(coin, np.maximum(sign * signed, 0.0), count) for sign in (1.0, -1.0))
        return longs, shorts, group_sum(markets.coin[accounts.coin_market], sold, count)

"""The record of a run by label: what traded where and when, in dollars at the price of the trade, as public counters count it.

A Cascade's own tables value closed positions at the network's prices, so that shares of open interest add up; here a
position is worth what it fetched, and open interest is one side of it. A price at a round is that at its start, after the round's shock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contagion.cascade import Cascade
    from contagion.journal import Flow
    from contagion.system import System

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Record:
    """A run's journal with the names of its network.

    Attributes
    ----------
    cascade
        The run.
    """

    cascade: Cascade

    @property
    def system(self) -> System:
        """The compiled network."""
        return self.cascade.prepared.system

    @property
    def rounds(self) -> int:
        """Rounds taken."""
        return self.cascade.outcome.rounds

    @property
    def round_seconds(self) -> float:
        """Length of a round, NaN without a clock."""
        clock = self.cascade.prepared.scenario.clock
        return clock.round_seconds if clock else float("nan")

    @cached_property
    def start(self) -> Floats:
        """Price of every market in the network."""
        return self.system.markets.price

    @cached_property
    def path(self) -> Floats:
        """Price of every market, one row a round; the last is the end."""
        return self.cascade.path("price")

    def where(self, *, exchange: str = "", coin: str = "", perp: bool | None = None) -> Flags:
        """Markets of an exchange, a coin, an instrument."""
        markets = self.system.markets
        chosen = np.ones(markets.count, dtype=np.bool_)
        if exchange:
            chosen &= markets.exchange == _place(self.system.exchanges.names, exchange)
        if coin:
            chosen &= markets.coin == _place(self.system.coins.names, coin)
        return chosen if perp is None else chosen & (markets.perp == perp)

    def usd(self, *kinds: Flow) -> Floats:
        """Dollars traded by market over the run."""
        journal = self.cascade.outcome.state.journal
        return np.asarray(sum((part for kind in kinds for _, part in journal.usd[kind]), np.zeros(self.start.size)))

    def longs(self, *kinds: Flow) -> Floats:
        """Of these the dollars that closed longs, by market."""
        journal, total = self.cascade.outcome.state.journal, np.zeros(self.start.size)
        for kind in kinds:
            parts = zip(journal.usd[kind], journal.units[kind], journal.longs[kind], strict=True)
            for (_, usd), (_, units), (_, longs) in parts:
                total += np.divide(usd * longs, units, out=np.zeros_like(usd), where=units > 0)
        return total

    def usd_by_round(self, *kinds: Flow, where: Flags | None = None) -> Floats:
        """Dollars traded by round in some markets."""
        journal, total = self.cascade.outcome.state.journal, np.zeros(self.rounds)
        for kind in kinds:
            for when, usd in journal.usd[kind]:
                total[when] += float(usd.sum() if where is None else usd[where].sum())
        return total

    def amount_by_round(self, *names: str) -> Floats:
        """Amounts of the journal over all exchanges by round."""
        journal, total = self.cascade.outcome.state.journal, np.zeros(self.rounds)
        for name in names:
            for when, usd in journal.amounts[name]:
                total[when] += float(usd.sum())
        return total

    def by_exchange(self, by_market: Floats) -> Floats:
        """Sums over the markets of each exchange."""
        return group_sum(self.system.markets.exchange, by_market, self.system.nodes.exchanges)

    def by_coin(self, by_market: Floats) -> Floats:
        """Sums over the markets of each coin."""
        return group_sum(self.system.markets.coin, by_market, len(self.system.coins.names))

    def interest(self, *, end: bool = False, usd: bool = True) -> Floats:
        """Open interest by perpetual market as exchanges count it, one side, at the prices of its time or in units."""
        system, state = self.system, self.cascade.outcome.state
        quantity = state.quantity if end else system.accounts.quantity
        sides = group_sum(system.accounts.market, np.abs(quantity), system.markets.count)
        units = np.where(system.markets.perp, sides / 2.0, 0.0)
        return units * (self.path[-1] if end else self.start) if usd else units


def _place(names: tuple[str, ...], name: str) -> int:
    """Position of a name, -1 if it is not there."""
    return names.index(name) if name in names else -1

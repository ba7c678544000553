"""What shocks set before the first round, each quantity as an interval.

A shock may be *sure* (it is part of every scenario) or *possible* (it happens or not). The interval holds the value for every
subset of the possible ones, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from contagion.shocks import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contagion.arrays import Flags, Floats, Ints
    from contagion.shocks import Shock
    from contagion.system import System


@dataclass(slots=True)
class Switch:
    """Whether something is on: surely, and possibly."""

    sure: Flags
    possible: Flags

    @classmethod
    def at(cls, now: Flags) -> Switch:
        """A switch as the network has it."""
        return cls(now.copy(), now.copy())

    def turn(self, where: Ints | int | Flags, *, on: bool, sure: bool) -> None:
        """Turn it, or allow for its being turned."""
        if sure:
            self.sure[where] = self.possible[where] = on
        elif on:
            self.possible[where] = True
        else:
            self.sure[where] = False


@dataclass(slots=True)
class Onset:
    """Where a run starts from.

    Attributes
    ----------
    low, high
        Price of each market after the shocks, USD.
    coin_low, coin_high
        Price of each coin that has no source, USD.
    depth_low, depth_high
        The scenario's factor on depth, by market.
    sold, bought
        Units that outside holders trade in the first round, by market.
    outage, transfers, arbitrage
        By exchange.
    halt
        By market: held shut by the scenario.
    redemption
        By coin.
    loss
        USD by node.
    written_off
        Largest fraction of each claim.
    named
        Nodes that the shocks default by name.
    exempt
        Nodes that a sure shock names in any way: a stablecoin among them is no condition (c).
    """

    low: Floats
    high: Floats
    coin_low: Floats
    coin_high: Floats
    depth_low: Floats
    depth_high: Floats
    sold: Floats
    bought: Floats
    outage: Switch
    transfers: Switch
    arbitrage: Switch
    halt: Switch
    redemption: Switch
    loss: Floats
    written_off: Floats
    named: Switch
    exempt: Flags

    @classmethod
    def rest(cls, system: System, coin_price: Floats) -> Onset:
        """The network without a shock; ``coin_price`` is what its oracle says before any."""
        exchanges, markets, nodes = system.exchanges, system.markets, system.nodes
        none = np.zeros(nodes.count, dtype=np.bool_)
        return cls(
            low=markets.price.copy(),
            high=markets.price.copy(),
            coin_low=coin_price.copy(),
            coin_high=coin_price.copy(),
            depth_low=np.ones(markets.count),
            depth_high=np.ones(markets.count),
            sold=np.zeros(markets.count),
            bought=np.zeros(markets.count),
            outage=Switch.at(exchanges.outage),
            transfers=Switch.at(exchanges.transfers_open),
            arbitrage=Switch.at(exchanges.arbitrage_open),
            halt=Switch.at(np.zeros(markets.count, dtype=np.bool_)),
            redemption=Switch.at(system.coins.redemption_open),
            loss=np.zeros(nodes.count),
            written_off=np.zeros(system.claims.amount.size),
            named=Switch.at(none),
            exempt=none.copy(),
        )

    @classmethod
    def of(cls, system: System, coin_price: Floats, sure: Iterable[Shock], possible: Iterable[Shock] = ()) -> Onset:
        """Apply shocks to the network."""
        onset = cls.rest(system, coin_price)
        sure, possible = tuple(sure), tuple(possible)
        for shocks, certain in ((sure, True), (possible, False)):
            for shock in shocks:
                if certain and shock.target != EVERYWHERE:
                    onset.exempt[system.node(shock.target)] = True
                if shock.kind in _HANDLERS:
                    _HANDLERS[shock.kind](onset, system, shock, sure=certain)
        onset.deepen(system, sure, possible)
        for shock in (*sure, *possible):
            if shock.kind == "sale":
                onset.impose(system, shock)
        return onset

    def deepen(self, system: System, sure: Iterable[Shock], possible: Iterable[Shock]) -> None:
        """Factors on depth are set, not multiplied; where several apply, the last in the scenario's order holds."""
        named = [(_books(system, shock), shock.value) for shock in sure if shock.kind == "depth"]
        more = [(_books(system, shock), shock.value) for shock in possible if shock.kind == "depth"]
        certain = np.zeros(self.depth_low.size, dtype=np.bool_)
        for where, _ in named:
            certain |= where
        low = np.where(certain, np.inf, self.depth_low)
        high = np.where(certain, -np.inf, self.depth_high)
        for where, value in named + more:
            low[where] = np.minimum(low[where], value)
            high[where] = np.maximum(high[where], value)
        self.depth_low, self.depth_high = low, high

    def impose(self, system: System, shock: Shock) -> None:
        """Sales of outside holders fill in the first round, before any other order has moved a price, or never."""
        exchange, coin = system.node(shock.exchange) - system.nodes.exchange0, system.node(shock.target) - system.nodes.coin0
        market = int(system.markets.sell[exchange, coin])
        side = self.sold if shock.value >= 0 else self.bought
        side[market] += abs(shock.value) / self.low[market]


def _books(system: System, shock: Shock) -> Flags:
    """Markets that a shock on prices, depth or trading reaches."""
    markets, nodes = system.markets, system.nodes
    if shock.target == EVERYWHERE:
        return np.ones(markets.count, dtype=np.bool_)
    node = system.node(shock.target)
    hit = markets.exchange == node - nodes.exchange0 if node >= nodes.exchange0 else markets.coin == node - nodes.coin0
    if shock.exchange:
        hit = hit & (markets.exchange == system.node(shock.exchange) - nodes.exchange0)
    return np.asarray(hit)


def _price(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:
    factor = 1.0 + shock.value
    down, up = (factor, factor) if sure else (min(factor, 1.0), max(factor, 1.0))
    where = _books(system, shock)
    onset.low[where] *= down
    onset.high[where] *= up
    if not shock.exchange:
        coin = system.node(shock.target) - system.nodes.coin0
        onset.coin_low[coin] *= down
        onset.coin_high[coin] *= up


def _depeg(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:
    where = _books(system, shock)
    coin = system.node(shock.target) - system.nodes.coin0
    peg = system.coins.peg[coin]
    start = system.markets.price[where]
    factor = shock.value * (peg / start if np.isfinite(peg) else np.ones(start.size))
    onset.low[where] *= factor if sure else np.minimum(factor, 1.0)
    onset.high[where] *= factor if sure else np.maximum(factor, 1.0)
    if not shock.exchange:  # set, not multiplied: the order of a price shock and a depeg of one coin decides what this is
        goal = shock.value * (peg if np.isfinite(peg) else system.coins.price[coin])
        ratio = onset.coin_low[coin] / system.coins.price[coin], onset.coin_high[coin] / system.coins.price[coin]
        onset.coin_low[coin] = min(onset.coin_low[coin], goal, goal * ratio[0])
        onset.coin_high[coin] = max(onset.coin_high[coin], goal, goal * ratio[1])


def _loss(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:  # noqa: ARG001 - it may happen: that is enough
    onset.loss[system.node(shock.target)] += shock.value


def _writeoff(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:  # noqa: ARG001 - as above
    claims = system.claims
    hit = claims.debtor == system.node(shock.target)
    if shock.creditor:
        hit = hit & (claims.creditor == system.node(shock.creditor))
    onset.written_off[hit] = np.maximum(onset.written_off[hit], shock.value)


def _default(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:
    onset.named.turn(system.node(shock.target), on=True, sure=sure)


def _halt(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:
    onset.halt.turn(_books(system, shock), on=shock.value > 0, sure=sure)


def _redemption(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:
    onset.redemption.turn(system.node(shock.target) - system.nodes.coin0, on=shock.value > 0, sure=sure)


def _exchange_switch(name: str) -> Handler:
    def turn(onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:
        switch: Switch = getattr(onset, name)
        switch.turn(system.node(shock.target) - system.nodes.exchange0, on=shock.value > 0, sure=sure)

    return turn


class Handler(Protocol):
    """What a shock of one kind sets."""

    def __call__(self, onset: Onset, system: System, shock: Shock, *, sure: bool) -> None:
        """Set it."""


_HANDLERS: dict[str, Handler] = {
    "price": _price,
    "depeg": _depeg,
    "loss": _loss,
    "writeoff": _writeoff,
    "default": _default,
    "halt": _halt,
    "redemption": _redemption,
    "outage": _exchange_switch("outage"),
    "transfers": _exchange_switch("transfers"),
    "arbitrage": _exchange_switch("arbitrage"),
}

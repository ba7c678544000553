"""What a run did, round by round: the raw record from which a Cascade's tables are made."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints


class Flow(StrEnum):
    """Why a position or a coin changed hands. The first three are forced closes that count as liquidation."""

    LIQUIDATION = "liquidation"
    DEFAULT_CLOSE = "default_close"
    TAKEOVER = "takeover"
    ADL = "adl"
    ADL_WINNER = "adl_winner"
    SETTLEMENT = "settlement"
    DELEVERAGE = "deleverage"
    STOP = "stop"
    VAULT = "vault_unwind"
    HEDGE = "hedge_close"
    ENTRY = "entry"
    COIN_SALE = "coin_sale"
    HOLDING_SALE = "holding_sale"
    BACKING_SALE = "backing_sale"
    IMPOSED = "imposed"
    REDEMPTION = "redemption"
    ARBITRAGE = "arbitrage"


FORCED = (Flow.LIQUIDATION, Flow.DEFAULT_CLOSE, Flow.TAKEOVER)
"""Closes that count as liquidated open interest; auto-deleveraging is counted apart."""


@dataclass(slots=True)
class Journal:
    """Record of a run.

    Attributes
    ----------
    units
        Units traded by kind of flow: a list of (round, array over markets) each.
    longs
        The part of the units that closed long positions, likewise.
    usd
        The same at the price of the trade, USD.
    series
        Arrays over a fixed index by name, one a round: ``price`` and ``mark`` by market, ``fund`` and ``house`` by
        exchange, ``supply``, ``redemption_value`` by coin.
    events
        Tuples (round, event, node, exchange, coin, usd, detail), -1 where it does not apply.
    accounts
        By kind of flow: (round, accounts, USD closed) of what hit each account.
    amounts
        By name, such as ``bad_debt``: (round, USD by exchange).
    """

    units: defaultdict[Flow, list[tuple[int, Floats]]] = field(default_factory=lambda: defaultdict(list))
    longs: defaultdict[Flow, list[tuple[int, Floats]]] = field(default_factory=lambda: defaultdict(list))
    usd: defaultdict[Flow, list[tuple[int, Floats]]] = field(default_factory=lambda: defaultdict(list))
    series: defaultdict[str, list[Floats]] = field(default_factory=lambda: defaultdict(list))
    events: list[tuple[int, str, int, int, int, float, str]] = field(default_factory=list)
    accounts: defaultdict[Flow, list[tuple[int, Ints, Floats]]] = field(default_factory=lambda: defaultdict(list))
    amounts: defaultdict[str, list[tuple[int, Floats]]] = field(default_factory=lambda: defaultdict(list))

    def traded(self, kind: Flow, when: int, units: Floats, longs: Floats, usd: Floats) -> None:
        """Keep units and USD traded by market, and the part of the units that closed long positions."""
        self.units[kind].append((when, units))
        self.longs[kind].append((when, longs))
        self.usd[kind].append((when, usd))

    def hit(self, kind: Flow, when: int, accounts: Ints, usd: Floats) -> None:
        """Keep USD closed, an account each."""
        if accounts.size:
            self.accounts[kind].append((when, accounts, usd))

    def amount(self, name: str, when: int, by_exchange: Floats) -> None:
        """Keep an amount by exchange, such as shortfall or fund used."""
        self.amounts[name].append((when, by_exchange))

    def event(
        self, when: int, event: str, *, node: int = -1, exchange: int = -1, coin: int = -1, usd: float = 0.0, detail: str = ""
    ) -> None:
        """Keep one event."""
        self.events.append((when, event, node, exchange, coin, usd, detail))

    def total(self, name: str, size: int) -> Floats:
        """Sum of an amount by exchange over the run."""
        return np.asarray(sum((part for _, part in self.amounts[name]), np.zeros(size)))

    def total_units(self, kind: Flow, size: int) -> Floats:
        """Units of a kind of flow by market over the run."""
        return np.asarray(sum((part for _, part in self.units[kind]), np.zeros(size)))

"""What has been found so far to be possible; it only grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats
    from contagion.search.envelope.frame import Ends
    from contagion.search.envelope.onset import Onset
    from contagion.system import System

EAGER = 12
"""Passes after which the box is widened by more than was asked, so that a creeping bound is soon passed."""
AHEAD = 0.1
"""By how much more, relative to what was asked."""


@dataclass(slots=True)
class Found:
    """Sets and bounds that are still growing.

    Attributes
    ----------
    low, high
        Ends of the mid price of each market, USD.
    value_low
        Lower bound of the redemption value of each coin, USD.
    hit
        Accounts that may trade against their owner's will, or leave it.
    stopped
        Places among the positions with a stop or a goal that may be closed by it.
    failing
        Nodes that may default, those that the shocks name included.
    ruined
        Nodes that may default without being named.
    selling
        Coins whose issuers may sell backing.
    geared
        Nodes that may sell down for their leverage.
    shortfall
        Most that accounts may leave unpaid, USD by exchange.
    peg
        Lower bound of each coin's price over its peg; infinite for assets.
    """

    low: Floats
    high: Floats
    value_low: Floats
    hit: Flags
    stopped: Flags
    failing: Flags
    ruined: Flags
    selling: Flags
    geared: Flags
    shortfall: Floats
    peg: Floats
    passes: int = 0
    unknown: tuple[str, ...] = ()
    complete: bool = False

    @classmethod
    def at(cls, system: System, onset: Onset, value: Floats, stops: int, slack: float) -> Found:
        """Nothing yet but what the shocks do."""
        coins, nodes = len(system.coins.names), system.nodes

        def none(size: int) -> Flags:
            return np.zeros(size, dtype=np.bool_)

        return cls(
            low=onset.low * (1 - slack),
            high=onset.high * (1 + slack),
            value_low=value.copy(),
            hit=none(system.accounts.count),
            stopped=none(stops),
            failing=onset.named.possible.copy(),
            ruined=none(nodes.count),
            selling=none(coins),
            geared=none(nodes.count),
            shortfall=np.zeros(nodes.exchanges),
            peg=np.full(coins, np.inf),
        )

    def size(self) -> tuple[int, ...]:
        """How large the sets are."""
        return tuple(int(flags.sum()) for flags in (self.hit, self.stopped, self.failing, self.selling, self.geared))

    def widen(self, ends: Ends) -> None:
        """Widen the box to what is possible, and beyond it where it only creeps there."""
        low, high = np.minimum(self.low, ends[0]), np.maximum(self.high, ends[1])
        if self.passes > EAGER:
            low = np.maximum(low - AHEAD * (self.low - low), 0.0)
            high = high + AHEAD * (high - self.high)
        self.low, self.high = low, high

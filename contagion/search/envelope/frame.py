"""What a pass of the envelope starts from: the network, where the shocks put it, and the box and the failures so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats
    from contagion.search.envelope.onset import Onset
    from contagion.settings import Settings
    from contagion.system import System

Ends = tuple["Floats", "Floats"]
"""The two ends of intervals; or what is sold and bought."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The state of what may happen at the start of a pass.

    Attributes
    ----------
    low, high
        Ends of the mid price of each market, USD.
    may_fail
        Nodes that may default.
    """

    system: System
    settings: Settings
    onset: Onset
    low: Floats
    high: Floats
    may_fail: Flags

    @property
    def dead(self) -> Flags:
        """Exchanges that have surely failed from the start."""
        return self.onset.named.sure[self.system.nodes.exchange0 :]

    @property
    def failing(self) -> Flags:
        """Exchanges that may fail."""
        return self.may_fail[self.system.nodes.exchange0 :]

"""Orders of a round: who trades how much, where, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.journal import Flow


@dataclass(slots=True)
class Orders:
    """Orders, grouped by what is sold.

    Attributes
    ----------
    positions
        (kind, position rows, signed units to trade) each; selling is negative.
    coins
        (collateral rows, units to sell).
    holdings
        (holding rows, markets, units to sell).
    backing
        (backing rows, markets, units to sell).
    outside
        (markets, signed units) of sellers that are not in the network.
    """

    positions: list[tuple[Flow, Ints, Floats]] = field(default_factory=list)
    coins: list[tuple[Ints, Floats]] = field(default_factory=list)
    holdings: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    backing: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    outside: list[tuple[Ints, Floats]] = field(default_factory=list)

    def position(self, kind: Flow, rows: Ints, units: Floats) -> None:
        """Add orders on positions; those of zero units are none."""
        some = units != 0.0
        if some.any():
            self.positions.append((kind, rows[some], units[some]))

    def free(self, rows: Ints) -> Ints:
        """Position rows that no order closes yet: a position is closed for one reason at a time."""
        for _, taken, _units in self.positions:
            rows = rows[~np.isin(rows, taken)]
        return rows

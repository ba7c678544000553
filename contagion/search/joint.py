"""Joint moves: all continuous drivers at once, as one vector of standard deviations and as one stage of shocks.

A positive entry is a fall of so many standard deviations; a negative one is a rise of a price, and no shock of a peg or of
depth. Moves of one stablecoin everywhere and on one exchange multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.shocks import EVERYWHERE, Shock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.arrays import Floats
    from contagion.search.drivers import Driver
    from contagion.search.risk import Risk


@dataclass(frozen=True, slots=True)
class JointMoves:
    """Continuous drivers with their correlation.

    Attributes
    ----------
    drivers
        In the order of the entries of a move.
    correlation
        Drivers × drivers.
    root
        Its lower Cholesky factor L: a move z = L·y has Mahalanobis distance ‖y‖.
    """

    drivers: tuple[Driver, ...]
    correlation: Floats
    root: Floats

    @classmethod
    def of(cls, drivers: Sequence[Driver], risk: Risk) -> JointMoves:
        """Moves of the continuous ones among some drivers; one of depth everywhere is left to those of each exchange.

        Raises
        ------
        RunError
            If the stated correlations contradict each other.
        """
        chosen = tuple(driver for driver in drivers if not (driver.binary or driver.rises or driver.target == EVERYWHERE))
        correlation = risk.correlations(chosen)
        return cls(chosen, correlation, np.asarray(np.linalg.cholesky(correlation)) if chosen else np.zeros((0, 0)))

    def shocks(self, moves: Floats) -> list[Shock]:
        """The stage of a vector of moves, in standard deviations."""
        found = []
        for driver, sigmas in zip(self.drivers, moves.tolist(), strict=True):
            if sigmas > 0:
                found.append(driver.shock(driver.size(sigmas)))
            elif sigmas < 0 and driver.kind == "price":
                found.append(
                    Shock(kind="price", target=driver.target, exchange=driver.exchange, value=float(np.expm1(-sigmas * driver.sigma)))
                )
        return [shock for shock in found if shock.kind != "price" or shock.value != 0.0]

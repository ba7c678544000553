"""Candidates: what trigger sets are made of, each a driver with a stated size.

They are the default or outage of every exchange, a fall of every asset by so many standard deviations, every stablecoin at
so low a peg, and the default of every large trader.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from contagion.errors import RunError
from contagion.search.drivers import LARGE_TRADERS, Driver, drivers_of
from contagion.shocks import Shock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.search.risk import Risk
    from contagion.search.trial import Bench

ExchangeEvents = Literal["default", "outage", "both"]
SIGMAS: Final = 3.0
"""Standard deviations by which an asset falls."""
PEG: Final = 0.9
"""Price over peg of a stablecoin."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A driver with a size.

    Examples
    --------
    >>> candidate = Candidate(Driver("price", "BTC", "", 0.025), 0.0722)
    >>> candidate.label, round(candidate.sigmas, 2)
    ('BTC -7.22 %', 3.0)
    """

    driver: Driver
    size: float = 1.0

    @property
    def label(self) -> str:
        """What it is called where sets are printed."""
        key = self.driver.key.removesuffix(" up")
        return key if self.driver.binary else f"{key} {self.driver.words(self.size)}"

    @property
    def shock(self) -> Shock:
        """What it does."""
        return self.driver.shock(self.size)

    @property
    def sigmas(self) -> float:
        """Standard deviations that it counts as, alone."""
        return self.driver.sigmas(self.size)


def candidates_of(
    bench: Bench,
    risk: Risk,
    *,
    exchange: ExchangeEvents = "default",
    sigmas: float = SIGMAS,
    peg: float = PEG,
    traders: int = LARGE_TRADERS,
) -> tuple[Candidate, ...]:
    """The candidates of a network; what the bench's given shocks hit already is left out.

    Parameters
    ----------
    exchange
        Whether exchanges fail, are out of service, or may do either.
    sigmas
        Standard deviations by which each asset falls, above 0.
    peg
        Price over peg at which each stablecoin is set, everywhere, between 0.1 and 1.
    traders
        How many of the largest traders may fail.

    Raises
    ------
    RunError
        If a number has no meaning.

    Examples
    --------
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> [one.label for one in candidates_of(Bench.of(one_book_ladder()), Risk(), traders=2)]
    ['COIN -11.31 %', 'default:Book', 'default:Whale', 'default:Long1']
    """
    if not (sigmas > 0 and math.isfinite(sigmas)):
        raise RunError(f"{sigmas:g} standard deviations are no fall; give a number above 0, such as {SIGMAS:g}")
    if not _LOWEST_PEG <= peg < 1:
        raise RunError(f"a peg at {peg:g} is no loss of a peg; give a number from {_LOWEST_PEG:g} to below 1, such as {PEG:g}")
    if traders < 0:
        raise RunError(f"{traders} traders cannot be; give 0 or more")
    events = {"default", "outage"} if exchange == "both" else {exchange}
    names = set(bench.system.exchanges.names)
    taken = {shock.key for shock in bench.given}
    found = []
    for driver in drivers_of(bench.system, risk, traders=traders):
        if driver.kind == "price":
            candidate = Candidate(driver, driver.size(sigmas))
        elif driver.kind == "peg" and not driver.exchange:
            candidate = Candidate(driver, 1.0 - peg)
        elif driver.binary and (driver.target not in names or driver.kind in events):
            candidate = Candidate(driver)
        else:
            continue
        if candidate.shock.key not in taken:
            found.append(candidate)
    return tuple(found)


_LOWEST_PEG: Final = 0.1


def joint_sigmas(candidates: Sequence[Candidate], risk: Risk) -> float:
    """How far out a set is: √(zᵀC⁻¹z) with z the standard deviations of its members and C their correlation.

    It is the Mahalanobis distance over the drivers of the set alone; binary ones are independent of all, so that between
    them it is √Σz². Correlated falls together are nearer than the sum of their squares.

    Examples
    --------
    >>> from contagion.search.risk import Risk
    >>> falls = [Candidate(Driver("price", name, "", 0.04), 1 - math.exp(-0.12)) for name in ("BTC", "ETH")]
    >>> round(joint_sigmas(falls, Risk(correlation=0.0)), 3), round(joint_sigmas(falls, Risk(correlation=0.7)), 3)
    (4.243, 3.254)
    """
    if not candidates:
        return 0.0
    z = np.array([candidate.sigmas for candidate in candidates])
    matrix = risk.correlations([candidate.driver for candidate in candidates])
    return math.sqrt(max(float(z @ np.linalg.solve(matrix, z)), 0.0))


def conflicts_of(shocks: Sequence[Shock]) -> list[int]:
    """For each shock, as a set of numbers, the others that hit the same and so cannot come with it."""
    hits: dict[tuple[str, str, str, str], int] = {}
    for place, shock in enumerate(shocks):
        hits[shock.key] = hits.get(shock.key, 0) | 1 << place
    return [hits[shock.key] & ~(1 << place) for place, shock in enumerate(shocks)]


def shocks_from(documents: Sequence[dict[str, Any]]) -> list[Shock]:
    """Shocks from the documents of a task's context."""
    return [Shock.model_validate(document) for document in documents]

"""Draws: random joint shocks of all drivers of a network, addressed by seed and number alone.

The law. A draw moves every continuous driver by z standard deviations of its log factor, positive for a fall:
z = √((ν-2)/W)·L·g + λ·J with g standard normal, L Lᵀ the drivers' correlation and W chi-square with ν degrees of freedom, so
that the first term is a multivariate Student t of unit variance; ν is ``risk.tail``. With ``risk.jump_probability`` the common
factor jumps by J, exponential with mean ``risk.jump_size``: prices, pegs and depths fall by their loading λ on it times J.
Defaults and outages happen with their probability over the horizon, independently of all else.

A price moves both ways, its factor is exp(-zσ), at most to the driver's limit down and as far in logs up. A peg and depth
have no move above what they are: a negative z is no shock. One draw hits a stablecoin everywhere and on an exchange: both
factors multiply. Depth everywhere is left out where single exchanges' depth is drawn, because their correlation is its part.

All of it is a function of independent standard normals y, the *coordinates*: tail, jump, jump size, and one a driver. Coordinate c
of draw i is the i-th block of a Philox stream keyed by seed and the driver's name. So it depends neither on rows, other
drivers, nor workers: policies on one network meet the same draws, and draws of one driver stay when another is added.
Renaming a node gives its driver another sample of the same law.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.errors import RunError
from contagion.search.drivers import Driver
from contagion.search.joint import JointMoves
from contagion.search.risk import Risk
from contagion.shocks import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contagion.arrays import Flags, Floats
    from contagion.shocks import Shock
    from contagion.system import System

TAIL, JUMP, JUMP_SIZE, FIRST, LAW = 0, 1, 2, 3, 4
"""Coordinates of the law itself; those of the drivers follow."""
RARE: Final = 0.01
"""Probability below which a default or outage counts as rare: see :meth:`Draws.unfold`."""
_NAMES: Final = ("tail", "jump", "jump size", "first")
_STEP: Final = 2.0**-52


@dataclass(frozen=True, slots=True)
class Moves:
    """What a block of draws does, a row each: standard deviations of falls, what happens, and the jump of the common factor."""

    sigmas: Floats
    happens: Flags
    jump: Floats


@dataclass(frozen=True, slots=True)
class Draws:
    """The joint law of a network's drivers.

    Attributes
    ----------
    joint
        Continuous drivers, by key.
    events
        Binary drivers, by key.
    loading
        Of the continuous ones on the common factor.
    probability
        Of the binary ones over the horizon.
    risk
        Assumptions.
    """

    joint: JointMoves
    events: tuple[Driver, ...]
    loading: Floats
    probability: Floats
    risk: Risk

    @classmethod
    def of(cls, drivers: Sequence[Driver], risk: Risk, system: System) -> Draws:
        """The law of some drivers. Costs O(drivers³) once.

        Raises
        ------
        RunError
            If there is no driver, or the stated correlations contradict each other.

        Examples
        --------
        >>> from contagion.compile import compile_system
        >>> from contagion.search.drivers import drivers_of
        >>> from graphs.toys import one_book_ladder
        >>> system = compile_system(one_book_ladder())
        >>> draws = Draws.of(drivers_of(system, Risk(), traders=1), Risk(), system)
        >>> [driver.key for driver in (*draws.joint.drivers, *draws.events)]
        ['COIN', 'depth:Book', 'default:Book', 'default:Whale', 'outage:Book']
        >>> draws.words(draws.unfold(draws.normals(7, 3, 1)), 0)
        'COIN -9.133 %, depth:Book × 0.4977'
        """
        falling = {driver.key: driver for driver in (replace(driver, rises=False) for driver in drivers)}
        by_key = [falling[key] for key in sorted(falling)]
        if any(driver.kind == "depth" and driver.target != EVERYWHERE for driver in by_key):
            by_key = [driver for driver in by_key if driver.target != EVERYWHERE]
        smooth = tuple(driver for driver in by_key if not driver.binary)
        events = tuple(driver for driver in by_key if driver.binary)
        if not by_key:
            raise RunError("there is no driver to draw; name at least one, or take a network with an asset, an exchange or a debt")
        correlation = risk.correlations(smooth)
        of_kind = {"price": risk.correlation, "peg": risk.peg_correlation, "depth": risk.depth_correlation}
        names = set(system.exchanges.names)
        return cls(
            JointMoves(smooth, correlation, _cholesky(correlation)),
            events,
            np.array([math.sqrt(of_kind[driver.kind]) for driver in smooth]),
            np.array([_probability(driver, risk, names) for driver in events]),
            risk,
        )

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return LAW + len(self.joint.drivers) + len(self.events)

    @property
    def rare(self) -> Flags:
        """Which of the events are rare."""
        return self.probability < RARE

    @property
    def chance(self) -> float:
        """Probability that at least one of the rare events happens."""
        return -math.expm1(math.fsum(np.log1p(-self.probability[self.rare]).tolist()))

    def normals(self, seed: int, first: int, count: int) -> Floats:
        """Coordinates of the draws from ``first`` on, draws × coordinates.

        Examples
        --------
        >>> from contagion.compile import compile_system
        >>> from contagion.search.drivers import drivers_of
        >>> from graphs.toys import one_book_ladder
        >>> system = compile_system(one_book_ladder())
        >>> draws = Draws.of(drivers_of(system, Risk()), Risk(), system)
        >>> bool((draws.normals(1, 0, 10)[7:] == draws.normals(1, 7, 3)).all())
        True
        """
        from scipy.special import ndtri

        found = np.empty((count, self.dimension))
        streams = [f"law {name}" for name in _NAMES]
        streams += [f"driver {driver.key}" for driver in (*self.joint.drivers, *self.events)]
        for column, stream in enumerate(streams):
            word = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "big")
            source = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(word,)), counter=first)
            # A block of Philox is four words, of which a draw takes the first. 52 bits and a half stay off 0 and 1.
            found[:, column] = ndtri(((source.random_raw(4 * count)[::4] >> np.uint64(12)) + 0.5) * _STEP)
        return found

    def unfold(self, normals: Floats, *, rare: bool | None = None) -> Moves:
        """What draws with these coordinates do.

        Parameters
        ----------
        normals
            Draws × coordinates.
        rare
            None draws from the law. True draws from the law given that at least one rare event happens, False given that
            none does. Of the first kind one coordinate chooses which rare event is the first by key; those after it happen by
            their own.

        Returns
        -------
        Moves
            A row a draw. Row by row the same in any block, to the last bit.
        """
        from scipy.special import gammaincinv, ndtr

        nu, count = self.risk.tail, len(self.joint.drivers)
        # Large coordinates are heavy tails and large jumps, so that a path to trouble goes one way.
        spread = np.sqrt((nu - 2) / (2.0 * gammaincinv(nu / 2, ndtr(-normals[:, TAIL]))))
        jumps = ndtr(-normals[:, JUMP]) < self.risk.jump_probability
        jump = np.where(jumps, -self.risk.jump_size * np.log(ndtr(-normals[:, JUMP_SIZE])), 0.0)
        sigmas = np.zeros((len(normals), count))
        for column in range(count):  # by hand: a matrix product rounds differently in blocks of different size
            sigmas += normals[:, LAW + column, None] * self.joint.root[:, column]
        sigmas = sigmas * spread[:, None] + jump[:, None] * self.loading
        most = np.array([-math.log1p(-driver.limit) / driver.sigma for driver in self.joint.drivers])
        sigmas = np.maximum(sigmas, -most)
        happens = ndtr(-normals[:, LAW + count :]) < self.probability
        if rare is not None:
            places = np.flatnonzero(self.rare)
            if rare:
                reached = -np.expm1(np.cumsum(np.log1p(-self.probability[places])))
                first = np.searchsorted(reached / reached[-1], ndtr(normals[:, FIRST]))
                order = np.arange(places.size)
                chosen = order == first[:, None]
                happens[:, places] = chosen | (happens[:, places] & (order > first[:, None]))
            else:
                happens[:, places] = False
        return Moves(sigmas, happens, jump)

    def shocks(self, moves: Moves, row: int) -> list[Shock]:
        """The stage of a draw."""
        happening = [self.events[place].shock() for place in np.flatnonzero(moves.happens[row])]
        return [*self.joint.shocks(moves.sigmas[row]), *happening]

    def words(self, moves: Moves, row: int, *, most: int = 3) -> str:
        """What happens in a draw and its largest moves in standard deviations, in words."""
        parts = [self.events[place].key for place in np.flatnonzero(moves.happens[row])]
        sigmas, drivers = moves.sigmas[row], self.joint.drivers
        felt = np.array([sigma if driver.kind != "price" else abs(sigma) for sigma, driver in zip(sigmas.tolist(), drivers, strict=True)])
        for place in np.argsort(-felt, kind="stable")[:most]:
            if felt[place] > 0:
                driver, up = drivers[place], bool(sigmas[place] < 0)
                driver = replace(driver, limit=math.inf) if up else driver
                size = replace(driver, rises=up).size(float(felt[place]))
                parts.append(f"{driver.key} {replace(driver, rises=up).words(size)}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """A document from which :meth:`from_json` makes an equal law on the same network."""
        fields = ("kind", "target", "exchange", "sigma", "limit")
        drivers = [{name: getattr(driver, name) for name in fields} for driver in (*self.joint.drivers, *self.events)]
        return {"drivers": drivers, "risk": self.risk.model_dump(mode="json")}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], system: System) -> Draws:
        """Read what :meth:`to_json` wrote."""
        return cls.of([Driver(**driver) for driver in document["drivers"]], Risk.model_validate(document["risk"]), system)


def _probability(driver: Driver, risk: Risk, exchanges: set[str]) -> float:
    """Probability of a binary driver over the horizon."""
    if driver.kind == "outage":
        return risk.probability("outage", driver.target)
    return risk.probability("exchange" if driver.target in exchanges else "trader", driver.target)


def _cholesky(matrix: Floats) -> Floats:
    """Lower factor L of L Lᵀ, by outer products: elementwise, so that it has the same bits on every machine.

    Examples
    --------
    >>> _cholesky(np.array([[4.0, 2.0], [2.0, 10.0]]))
    array([[2., 0.],
           [1., 3.]])
    """
    rest, root = matrix.copy(), np.zeros_like(matrix)
    for k in range(len(matrix)):
        root[k:, k] = rest[k:, k] / math.sqrt(rest[k, k])
        rest[k + 1 :, k + 1 :] -= root[k + 1 :, k, None] * root[None, k + 1 :, k]
    return root

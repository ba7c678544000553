"""Descent to the nearest trigger: the least distance from the origin at which a judged point triggers.

Points y are in whitened coordinates, where distance is Euclidean. From a start the search alternates two moves. A gradient
step turns the ray to the direction in which severity grows fastest, which is the whole answer where severity is linear
(Hasofer and Lind 1974, Rackwitz and Fiessler 1978). Probes then turn it a little towards and away from each of the given
directions and keep what triggers at a smaller radius, which also works where severity moves in steps. What is found is a
local minimum: nothing says that no nearer trigger exists elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.arrays import Floats

    Judge = Callable[[Floats], tuple[float, bool]]
    """Severity of a point, about 1 where it triggers, and whether it does."""

_SCAN: Final = 32
"""Points on the ray of a start."""
_STEP: Final = 0.05
"""Step of a difference quotient over the radius."""
_TURNS: Final = (0.6, 0.3, 0.15, 0.07)
"""Sizes of the probes' turns: tangents of angles."""
_GAIN: Final = 0.02
"""Relative gain of radius that a probe asks for."""
_COARSE: Final = 1e-3
"""Relative width of a bracket while the direction is still sought."""
_MOST_STEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Nearest:
    """A local minimum of the distance to a trigger.

    Attributes
    ----------
    direction
        Unit vector of the ray.
    safe, trigger
        Radii on the ray, both judged: the first does not trigger, the second does, and they are next to each other at the
        tolerance.
    runs
        Points judged.
    """

    direction: Floats
    safe: float
    trigger: float
    runs: int


def nearest_trigger(judge: Judge, start: Floats, towards: Floats, *, reach: float, tolerance: float = 1e-6) -> Nearest | None:
    """Search from a start; None if nothing triggers on the start's ray within ``reach``.

    Parameters
    ----------
    judge
        Judges a point.
    start
        Direction to begin with.
    towards
        Directions of the probes, directions × dimensions.
    reach
        Largest distance that is asked for.
    tolerance
        Relative width of the final bracket; 0 goes on until its ends are adjacent numbers.

    Notes
    -----
    Costs up to 32 points for the start's ray and about 10 to narrow it, a point for each dimension and gradient step, and 2
    points for each direction and size of turn, several times if probes gain.

    Examples
    --------
    The nearest point of a half space.

    >>> slope = np.array([3.0, 4.0])
    >>> found = nearest_trigger(lambda y: (slope @ y / 10, slope @ y >= 10), np.array([1.0, 0.0]), np.eye(2), reach=9.0)
    >>> found.direction.round(6), round(found.trigger, 5)
    (array([0.6, 0.8]), 2.0)
    """
    search = _Search(judge, reach)
    direction = start / np.linalg.norm(start)
    bracket = search.first_on(direction, reach)
    if bracket is None:
        return None
    for _ in range(_MOST_STEPS):
        turned = search.gradient(bracket[1] * direction)
        better = None if turned is None else search.below(turned, bracket[1])
        if turned is None or better is None:
            break
        gained = better[1] < bracket[1] * (1 - _COARSE)
        direction, bracket = turned, better
        if not gained:
            break
    for turn in _TURNS:
        direction, bracket = search.probe(direction, bracket, towards, turn)
    safe, trigger = search.narrow(direction, *bracket, tolerance)
    return Nearest(direction, safe, trigger, search.runs)


class _Search:
    """The judge, and how often it was asked."""

    def __init__(self, judge: Judge, reach: float) -> None:
        self.judge, self.reach, self.runs = judge, reach, 0

    def ask(self, point: Floats) -> tuple[float, bool]:
        self.runs += 1
        return self.judge(point)

    def first_on(self, direction: Floats, reach: float) -> tuple[float, float] | None:
        """Bracket of the first trigger on a ray, met in even steps; a window between two of them is missed."""
        safe = 0.0
        for radius in np.linspace(0.0, reach, _SCAN + 1)[1:].tolist():
            if self.ask(radius * direction)[1]:
                return self.narrow(direction, safe, radius, _COARSE)
            safe = radius
        return None

    def below(self, direction: Floats, radius: float) -> tuple[float, float] | None:
        """Bracket of a trigger on a ray at no more than a radius; None if that radius does not trigger."""
        if not self.ask(radius * direction)[1]:
            return None
        return self.narrow(direction, 0.0, radius, _COARSE)

    def narrow(self, direction: Floats, safe: float, trigger: float, tolerance: float) -> tuple[float, float]:
        """Bisect."""
        while trigger - safe > tolerance * trigger:
            middle = 0.5 * (safe + trigger)
            if not safe < middle < trigger:
                break
            if self.ask(middle * direction)[1]:
                trigger = middle
            else:
                safe = middle
        return safe, trigger

    def gradient(self, point: Floats) -> Floats | None:
        """Unit vector of the growth of severity, by forward differences; None where it is flat."""
        here = self.ask(point)[0]
        step = _STEP * float(np.linalg.norm(point))
        slope = np.array([self.ask(point + step * axis)[0] - here for axis in np.eye(point.size)])
        length = float(np.linalg.norm(slope))
        return slope / length if length > 0 else None

    def probe(self, direction: Floats, bracket: tuple[float, float], towards: Floats, turn: float) -> tuple[Floats, tuple[float, float]]:
        """Turn the ray while a turn gains."""
        gained = True
        while gained:
            gained = False
            for axis in towards:
                for sign in (-1.0, 1.0):
                    turned = direction + sign * turn * axis
                    turned /= np.linalg.norm(turned)
                    better = self.below(turned, bracket[1] * (1 - _GAIN * min(1.0, turn)))
                    if better is not None:
                        direction, bracket, gained = turned, better, True
        return direction, bracket

"""Up to which size of a driver the safe envelope proves that nothing triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contagion.search.bisection import bisect
from contagion.search.envelope import Bounds
from contagion.search.ray import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.search.envelope import Envelope
    from contagion.search.ray import Ray

TOLERANCE: Final = 0.01
"""Relative distance to which the size is bisected: an envelope costs about a run, and is no threshold of anything."""
_FINEST: Final = 1 / 32
"""Share of the first size of a scan below which it is not worth asking what is safe."""
_INDUCED: Final = "a"


class Guard:
    """Envelopes of a driver by size, each computed once.

    The envelope of a size holds for every smaller one, because it lets the shock happen or not and keeps every price and depth
    between: nothing needs to be assumed of what smaller shocks do.

    Parameters
    ----------
    ray
        The driver on its bench, with the conditions that are asked for.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> from contagion.search.ray import Ray
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> guard = Guard(Ray(Bench.of(one_book_ladder()), Driver("price", "COIN", "", 0.04, 0.9)))
    >>> size, letters = guard.safe_up_to([0.0, 0.02, 0.08])
    >>> 0.0297 < size < 0.03, letters
    (True, 'abcd')
    """

    def __init__(self, ray: Ray) -> None:
        self._ray = ray
        self._bounds = Bounds(ray.bench.system, ray.bench.settings)
        self._found: dict[tuple[float, bool], Envelope] = {}

    def safe_up_to(self, sizes: Sequence[float]) -> tuple[float, str]:
        """A size up to which surely none of some conditions holds, at most the largest of ``sizes``, and their letters.

        The letters are all that the ray asks for where any size is safe for all of them, else ``a`` if one is safe for that;
        else there is no letter, and the size is 0.

        Notes
        -----
        Costs log₂(sizes) envelopes and some seven more.
        """
        for letters in dict.fromkeys((self._ray.conditions, _INDUCED)):
            if not set(letters) <= set(self._ray.conditions):
                continue
            size = self.largest(sizes, letters)
            if size > 0:
                return size, letters
        return 0.0, ""

    def largest(self, sizes: Sequence[float], letters: str) -> float:
        """A size up to which surely none of these conditions holds, at most the largest of ``sizes``; 0 if there is none."""
        if self.excludes(letters, sizes[-1]):
            return sizes[-1]
        low, high = -1, len(sizes) - 1
        while high - low > 1:
            middle = (low + high) // 2
            if self.excludes(letters, sizes[middle]):
                low = middle
            else:
                high = middle
        if low < 0:
            return 0.0
        finest = sizes[1] * _FINEST if len(sizes) > 1 else 0.0
        return bisect(lambda size: self.excludes(letters, size), sizes[low], sizes[high], TOLERANCE, finest=finest)[0]

    def excludes(self, letters: str, size: float) -> bool:
        """Whether surely none of these conditions holds at any size up to this one; of no condition that is sure."""
        if not letters:
            return True
        if letters == _INDUCED:
            return self._envelope(size, full=False).safe_a
        if set(letters) == set(CONDITIONS):
            return self._envelope(size, full=False).safe
        found, limits = self._envelope(size, full=True), self._ray.bench.settings.system_wide
        safe = {
            "a": found.safe_a,
            "b": found.exchanges < limits.exchange_default,
            "c": found.peg >= limits.depeg,
            "d": found.bad_debt <= limits.bad_debt,
        }
        return found.complete and not found.unknown and all(safe[letter] for letter in letters)

    def _envelope(self, size: float, *, full: bool) -> Envelope:
        """Envelope of all sizes up to one, followed to its end where single bounds are asked for."""
        if (size, full) not in self._found:
            driver = self._ray.driver
            shocks = [driver.shock(size)]
            if driver.kind == "peg":
                shocks.append(driver.shock(0.0))  # a coin off its peg goes back to it in a small shock
            self._found[size, full] = self._bounds.envelope_of_any(shocks, given=self._ray.bench.given, full=full)
        return self._found[size, full]

"""What triggers along one driver: the strongest claim that applies, tried from the strongest down.

A binary driver is one run. Condition (a) is proven where it can be: on an isotone network by cutting the ray down to its edges, else
by visiting every breakpoint. A proof of (a) proves a row only as far as the safe envelope excludes the other conditions asked for.
Everything else is scanned, from the size on up to which the envelope calls all of them safe.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from contagion.search.bisection import Interval, Isotone, intervals_between
from contagion.search.breakpoints import RESOLUTION, enumerate_ray
from contagion.search.claims import Claim, Findings
from contagion.search.guard import Guard
from contagion.search.isotone import obstacles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.search.claims import Word
    from contagion.search.ray import Ray

MOST_ACCOUNTS: Final = 2_000
"""Largest network whose breakpoints are visited."""
MOST_PATTERNS: Final = 400
"""Runs that visiting them may take."""


def findings_on(ray: Ray, sizes: Sequence[float], tolerance: float, *, ratio: float = math.nan, step: float = math.nan) -> Findings:
    """Intervals of sizes that trigger, with their claim.

    Parameters
    ----------
    sizes
        Of the scan, increasing from zero; the last is the largest that is asked about.
    tolerance
        To which edges are bisected, relative to their size.
    ratio, step
        Distance of the sizes, for the claim.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> from contagion.search.ray import Ray, scan_sizes
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> ray = Ray(Bench.of(one_book_ladder()), Driver("price", "COIN", "", 0.04, 0.9), "a")
    >>> found = findings_on(ray, scan_sizes(ray.driver, 8), 1e-6)
    >>> found.claim.word, round(found.size, 6)
    ('exact', 0.03)
    """
    if ray.driver.binary:
        hit = (Interval(1.0, 1.0, math.nan, math.nan),) if ray.triggers(1.0) else ()
        return Findings(hit, Claim("exact"))
    guard = Guard(ray)
    proof = prove_induced(ray, sizes[-1], tolerance) if "a" in ray.conditions else None
    if proof is not None and _first_is_sure(ray, guard, proof):
        sure = replace(proof.claim, safe_for=ray.conditions)
        if guard.excludes(_others(ray), sizes[-1]):
            return Findings(proof.intervals, sure)
        # what is above the smallest size is scanned, at the sizes where (a) begins and ends too
        edges = [edge for one in proof.intervals for edge in (one.below, one.first, one.last, one.above)]
        sizes = sorted({*sizes, *(edge for edge in edges if not math.isnan(edge))})
        found = intervals_between(sizes, lambda size: size > sure.safe_up_to and ray.triggers(size), tolerance)
        return Findings(found, replace(sure, ratio=ratio, step=step, sizes=len(sizes)))
    size, letters = guard.safe_up_to(sizes)
    spared = size if letters == ray.conditions else -1.0
    found = intervals_between(sizes, lambda size: size > spared and ray.triggers(size), tolerance)
    claim = Claim("sampled", size, letters, tolerance, ratio, step, len(sizes))
    return Findings(found, replace(claim, word=_word(ray, found, claim, sizes[-1])))


def prove_whole(ray: Ray, high: float, tolerance: float) -> Findings | None:
    """All intervals of sizes up to one that trigger, and surely no others; None where that cannot be had."""
    proof = prove_induced(ray, high, tolerance) if "a" in ray.conditions else None
    if proof is None or not Guard(ray).excludes(_others(ray), high):
        return None
    return Findings(proof.intervals, replace(proof.claim, safe_for=ray.conditions))


def _others(ray: Ray) -> str:
    return ray.conditions.replace("a", "")


def _first_is_sure(ray: Ray, guard: Guard, proof: Findings) -> bool:
    """Whether none of the other conditions can hold before (a) does."""
    return proof.claim.safe_up_to > 0 and guard.excludes(_others(ray), proof.claim.safe_up_to)


def _word(ray: Ray, found: Sequence[Interval], claim: Claim, high: float) -> Word:
    """A bracket has a safe size below, and above it a run that fires what is safe below; or all sizes are safe."""
    if not found:
        return "bracket" if claim.safe_for == ray.conditions and claim.safe_up_to >= high else "sampled"
    first = found[0].first
    return "bracket" if claim.safe_up_to < first and set(claim.safe_for) & set(ray.fired(first)) else "sampled"


def prove_induced(ray: Ray, high: float, tolerance: float) -> Findings | None:
    """All sizes from zero on at which condition (a) holds, and surely no others; None where that cannot be had.

    Notes
    -----
    Condition (a) subtracts what the benchmark closes, so that even on an isotone network it is no threshold and takes more
    than one bisection, see :class:`contagion.search.bisection.Isotone`. Conditions (b) and (d) are never bisected: a larger shock can
    close an account earlier, at a better price.
    """
    bench, driver = ray.bench, ray.driver
    shocks = (*bench.given, driver.shock(high))
    if not obstacles(bench.system, bench.settings, shocks):
        isotone = Isotone(ray.closed, ray.benchmark, bench.settings.system_wide.induced_liquidation)
        found, complete = isotone.intervals(0.0, high, tolerance)
        if complete:
            return Findings(found, Claim("exact", _below(found, high), "a", tolerance))
    if driver.kind != "price" or driver.exchange or bench.system.accounts.count > MOST_ACCOUNTS:
        return None
    visited = enumerate_ray(bench, driver.shock, 0.0, high, limit=MOST_PATTERNS)
    ray.runs += visited.patterns
    if not visited.complete:
        return None
    found = tuple(_checked(ray, low, top, high) for low, top in visited.triggering)
    return Findings(found, Claim("enumerated", _below(found, high), "a", RESOLUTION))


def _below(found: Sequence[Interval], high: float) -> float:
    """Size up to which intervals leave everything quiet."""
    if not found:
        return high
    return 0.0 if math.isnan(found[0].below) else found[0].below


def _checked(ray: Ray, low: float, top: float, high: float) -> Interval:
    """An enumerated interval with ends that were run and do trigger: at a breakpoint itself the tie rule decides."""
    width = top - low
    steps = [0.0, *(min(RESOLUTION * 4**place, width / 2) for place in range(8))]
    first = next((low + step for step in steps if _induced(ray, low + step)), low + width / 2)
    last = next((top - step for step in steps if _induced(ray, top - step)), first)
    return Interval(first, last, low if low > 0 else math.nan, math.nan if top >= high else top)


def _induced(ray: Ray, size: float) -> bool:
    trial = ray.glance(size).trial
    return trial is not None and "a" in trial.fired

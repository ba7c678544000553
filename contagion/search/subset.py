"""Subset simulation: the probability of a rare event in the space of independent standard normals.

The event is approached through levels: samples that reach a level are the seeds of chains that stay above it, and the
probability is the product of the shares that reach the next one (Au and Beck 2001). Levels are chosen so that about a tenth
reaches each. A chain moves by y' = √(1-s²)·y + s·ξ, which leaves the normal law as it is in any dimension (Papaioannou et al.
2015, §3.3), and stays where it is unless y' is above the level. The last level is the event itself, never a value of the guide.

One run says nothing of its own error, so the error comes from independent replicates. What no replicate meets remains
unseen: a way into the event that the guide does not point to is found only if plain draws meet it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.arrays import Floats

    Guide = Callable[[Floats], tuple[bool, float]]
    """Whether coordinates are in the event, and how near they come to it, larger being nearer."""

SHARE: Final = 0.1
"""Share of the samples that reaches a level."""
MOST_LEVELS: Final = 25
"""Levels after which an event counts as not reached."""
_WANTED: Final = 0.44
"""Share of moves that should be accepted; the step of the next level is set by it."""
_STEPS: Final = (0.05, 1.0)
_FIRST_STEP: Final = 0.6


@dataclass(frozen=True, slots=True)
class Subset:
    """One replicate.

    Attributes
    ----------
    probability
        Its estimate, 0 if the event was not reached.
    state
        ``reached``; ``flat`` where the guide gave no direction; ``far`` where the levels ran out.
    levels
        Value of the guide at each level but the last.
    shares
        Of the samples that reached each level, the event being the last.
    accepted
        Share of the moves that were accepted from each level.
    first_hits
        Plain draws of the first level that were in the event.
    runs
        Evaluations of the guide.
    hits
        Coordinates in the event at the last level.
    """

    probability: float
    state: str
    levels: tuple[float, ...]
    shares: tuple[float, ...]
    accepted: tuple[float, ...]
    first_hits: int
    runs: int
    hits: Floats


def subset_simulation(guide: Guide, dimension: int, *, seed: tuple[int, ...], size: int = 500, share: float = SHARE) -> Subset:
    """Estimate the probability of an event.

    Parameters
    ----------
    guide
        Says of a point whether it is in the event, and how near it is. It alone costs: ``size`` calls a level.
    dimension
        Number of coordinates.
    seed
        Keys the numbers, together with level and chain.
    size
        Samples a level.
    share
        Of the samples that seeds the next level.

    Examples
    --------
    >>> beyond_three = lambda y: (bool(y[0] >= 3), float(y[0]))
    >>> found = subset_simulation(beyond_three, 2, seed=(1,), size=400)
    >>> found.state, len(found.shares), 0.0005 < found.probability < 0.004  # 0.00135
    ('reached', 4, True)
    """
    points = np.array([_stream(seed, 0, chain).standard_normal(dimension) for chain in range(size)])
    values = np.array([_value(guide, point) for point in points])
    first_hits = int(np.isinf(values).sum())
    levels, shares, accepted, runs, step, state = [], [], [], size, _FIRST_STEP, "far"
    for number in range(1, MOST_LEVELS + 1):
        hit = float(np.isinf(values).mean())
        level = math.inf if hit >= share else _next_level(values, share)
        if math.isinf(level):
            state = "reached" if hit > 0 else "flat"
            shares.append(hit)
            break
        reached = np.flatnonzero(values > level)
        levels.append(level)
        shares.append(reached.size / size)
        points, values, moved = _chains(guide, points[reached], values[reached], level=level, key=(seed, number), size=size, step=step)
        runs += size
        accepted.append(moved)
        step = min(max(step * math.exp(moved - _WANTED), _STEPS[0]), _STEPS[1])
    probability = math.prod(shares) if state == "reached" else 0.0
    hits = points[np.isinf(values)] if state == "reached" else points[:0]
    return Subset(probability, state, tuple(levels), tuple(shares), tuple(accepted), first_hits, runs, hits)


def _stream(seed: tuple[int, ...], level: int, chain: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed[0], spawn_key=(*seed[1:], level, chain)))


def _value(guide: Guide, point: Floats) -> float:
    """The guide, infinite in the event."""
    hit, value = guide(point)
    return math.inf if hit else value


def _next_level(values: Floats, share: float) -> float:
    """The highest value that at least the wanted share is above, else that any is; infinite if all are equal.

    The sample that sets a level is not above it: were it counted, the product of shares would be biased upwards by a seed's
    part a level (Bréhier et al. 2016, on the same in adaptive multilevel splitting).
    """
    found, count = np.unique(values, return_counts=True)
    above = values.size - np.cumsum(count)
    enough = np.flatnonzero(above >= max(1, round(share * values.size)))
    if enough.size:
        return float(found[enough[-1]])
    return float(found[0]) if found.size > 1 else math.inf


def _chains(
    guide: Guide, seeds: Floats, at: Floats, *, level: float, key: tuple[tuple[int, ...], int], size: int, step: float
) -> tuple[Floats, Floats, float]:
    """Move chains from all seeds, ``size`` states together; give the states, their values, and the share of moves accepted."""
    keep, points, values, moves = math.sqrt(1.0 - step * step), np.empty((size, seeds.shape[1])), np.empty(size), 0
    place = 0
    for chain, seed in enumerate(seeds):
        stream = _stream(key[0], key[1], chain)
        point, value = seed, float(at[chain])
        for _ in range(size // len(seeds) + (chain < size % len(seeds))):
            proposed = keep * point + step * stream.standard_normal(seed.size)
            found = _value(guide, proposed)
            if found > level:
                point, value = proposed, found
                moves += 1
            points[place], values[place] = point, value
            place += 1
    return points, values, moves / size

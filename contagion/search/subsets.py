"""Families of sets of candidates: what is open, and what two families of known answers leave unexplored.

A set is a whole number whose bit i says that candidate i is in it. ``triggers`` are sets of which no superset is looked
for; ``safe`` are sets of which every subset is known not to trigger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def members(mask: int) -> tuple[int, ...]:
    """Candidates of a set, ascending.

    Examples
    --------
    >>> members(0b1101)
    (0, 2, 3)
    """
    return tuple(place for place in range(mask.bit_length()) if mask >> place & 1)


def mask_of(places: Sequence[int]) -> int:
    """The set of some candidates."""
    mask = 0
    for place in places:
        mask |= 1 << place
    return mask


def subsets(mask: int) -> list[int]:
    """Every proper subset, the smaller first.

    Examples
    --------
    >>> subsets(0b101)
    [0, 1, 4]
    """
    found, part = [], mask
    while part:
        part = (part - 1) & mask
        found.append(part)
    return sorted(found, key=lambda subset: (subset.bit_count(), subset))


def minimal(family: Sequence[int]) -> list[int]:
    """The sets of a family that contain no other of it, ascending.

    Examples
    --------
    >>> minimal([0b111, 0b011, 0b100, 0b011])
    [3, 4]
    """
    kept: list[int] = []
    for mask in sorted(set(family), key=lambda one: (one.bit_count(), one)):
        if not any(other & mask == other for other in kept):
            kept.append(mask)
    return sorted(kept)


def maximal(family: Sequence[int]) -> list[int]:
    """The sets of a family that no other of it contains, ascending."""
    kept: list[int] = []
    for mask in sorted(set(family), key=lambda one: (-one.bit_count(), one)):
        if not any(other & mask == mask for other in kept):
            kept.append(mask)
    return sorted(kept)


def open_sets(
    count: int, size: int, triggers: Sequence[int], safe: Sequence[int], conflicts: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    """Sets of one size that contain no trigger and no conflict: those that are open, and how many are covered by ``safe``.

    Parameters
    ----------
    count
        Candidates there are.
    size
        Members of a set, at least 1.
    conflicts
        For each candidate those with which it cannot be in one set.

    Yields
    ------
    tuple
        All members but the last; the last members with which the set is open; with how many others it is in ``safe``.

    Notes
    -----
    Costs O(triggers + safe sets) for each of the sets of ``size - 1`` candidates that contain no trigger.

    Examples
    --------
    >>> list(open_sets(3, 2, [0b011], [], [0, 0, 0]))
    [((0,), (2,), 0), ((1,), (2,), 0)]
    """
    every = (1 << count) - 1
    for prefix in _calm_sets(every, 0, size - 1, triggers, conflicts):
        left = _addable(every, prefix, triggers, conflicts)
        covered = 0
        for one in safe:
            covered |= one if one & prefix == prefix else 0
        if left:
            yield members(prefix), members(left & ~covered), (left & covered).bit_count()


def _calm_sets(every: int, prefix: int, missing: int, triggers: Sequence[int], conflicts: Sequence[int]) -> Iterator[int]:
    """Sets that begin with a prefix, have so many members more, and contain no trigger and no conflict."""
    if not missing:
        yield prefix
        return
    for place in members(_addable(every, prefix, triggers, conflicts)):
        yield from _calm_sets(every, prefix | 1 << place, missing - 1, triggers, conflicts)


def _addable(every: int, prefix: int, triggers: Sequence[int], conflicts: Sequence[int]) -> int:
    """What may be added to a set, beyond its last member, without completing a trigger or a conflict."""
    left = every & ~((1 << prefix.bit_length()) - 1)
    for place in members(prefix):
        left &= ~conflicts[place]
    for trigger in triggers:
        rest = trigger & ~prefix
        if rest & (rest - 1) == 0:  # one member is missing, or none: then nothing may be added at all
            left &= ~rest if rest else 0
    return left


def unexplored(count: int, triggers: Sequence[int], safe: Sequence[int]) -> int | None:
    """A largest set that contains no trigger and lies in no safe set, or None if there is none: the two families are dual.

    Notes
    -----
    Fredman and Khachiyan (1996), algorithm A: fix a candidate that is in many of the sets. With it, each trigger wants one
    member less; without it, each complement s̄ of a safe set does. The side with the smaller volume Σ 2 to the minus size of both
    comes first: once that is below one, it stays so and no step is taken back. Cost n^O(log² n) for n sets in all. Then
    candidates are added as long as no trigger is completed.

    Examples
    --------
    >>> unexplored(3, [0b011], [0b101]), unexplored(3, [0b011], [0b101, 0b110])
    (6, None)
    """
    every = (1 << count) - 1
    found = _drawn(minimal(triggers), minimal([every & ~one for one in safe]))
    if found is None:
        return None
    for place in range(count):
        larger = found | 1 << place
        if not any(trigger & larger == trigger for trigger in triggers):
            found = larger
    return found


def _drawn(avoid: list[int], meet: list[int]) -> int | None:
    """A set that contains none of ``avoid`` and meets each of ``meet``."""
    if 0 in avoid or 0 in meet:
        return None
    if not meet:
        return 0
    bit = _most_frequent([*avoid, *meet])
    sides = [
        (bit, minimal([one & ~bit for one in avoid]), [one for one in meet if not one & bit]),
        (0, [one for one in avoid if not one & bit], minimal([one & ~bit for one in meet])),
    ]
    for part, still_avoid, still_meet in sorted(sides, key=lambda side: _volume(side[1]) + _volume(side[2])):
        found = _drawn(still_avoid, still_meet)
        if found is not None:
            return found | part
    return None


def _most_frequent(family: Sequence[int]) -> int:
    """Bit of the candidate that is in most sets, each weighed by how near it is to being decided."""
    weight: dict[int, float] = {}
    for one in family:
        for place in members(one):
            weight[place] = weight.get(place, 0.0) + 0.5 ** one.bit_count()
    return 1 << max(weight, key=lambda place: (weight[place], -place))


def _volume(family: Sequence[int]) -> float:
    return float(sum(0.5 ** one.bit_count() for one in family))

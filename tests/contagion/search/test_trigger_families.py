"""Families of sets of candidates, against a look at every set there is."""

from __future__ import annotations

import random

import pytest

from contagion.search.subsets import mask_of, maximal, members, minimal, open_sets, subsets, unexplored


@pytest.mark.parametrize("seed", range(400))
def test_what_two_families_leave_open_is_found_and_nothing_else(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    count = draw.randint(1, 6)
    avoid = [draw.randrange(1, 1 << count) for _ in range(draw.randint(0, 4))]
    safe = [draw.randrange(1 << count) for _ in range(draw.randint(0, 5))]
    left = {one for one in range(1 << count) if not any(t & one == t for t in avoid) and not any(one & s == one for s in safe)}
    found = unexplored(count, avoid, safe)
    assert (found is None) == (not left)
    assert found is None or (found in left and not any(one != found and one & found == found for one in left))
    for size in range(1, count + 1):
        opened = [(p, block, covered) for p, block, covered in open_sets(count, size, avoid, safe, [0] * count)]
        assert {mask_of((*p, one)) for p, block, _ in opened for one in block} == {one for one in left if one.bit_count() == size}
        calm = [one for one in range(1 << count) if one.bit_count() == size and not any(t & one == t for t in avoid)]
        assert sum(len(block) + covered for _, block, covered in opened) == len(calm)


def test_families_are_thinned_to_their_ends() -> None:
    family = [0b0111, 0b0011, 0b1000, 0b1011, 0b0011]
    assert minimal(family) == [0b0011, 0b1000]
    assert maximal(family) == [0b0111, 0b1011]
    assert sorted(map(members, subsets(0b101))) == [(), (0,), (2,)]

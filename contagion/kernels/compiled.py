"""When to compile a kernel: numba takes about two seconds to load, so only work that pays for it asks."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

PAYS_FROM = 100_000
"""Rows from which a compiled loop repays loading the compiler within a run of some tens of rounds."""


@cache
def compiled(loop: Callable[P, R]) -> Callable[P, R]:
    """Compile a plain loop once per process, with numba's cache on disk where it can be written."""
    import numba

    result: Callable[P, R] = numba.njit(nogil=True, cache=True)(loop)
    return result


def in_parts(work: Callable[[int, int], None], count: int) -> None:
    """Do ``work(first, last)`` on two halves of a range, at the same time where there are two processors and both may be used.

    ``NUMBA_NUM_THREADS`` says how many may; the workers of a search set it to their share of the machine.
    """
    from concurrent.futures import ThreadPoolExecutor

    half = count // 2
    allowed = int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)
    if allowed == 1 or count < PAYS_FROM:
        work(0, count)
        return
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(work, half, count)
        work(0, half)
        waiting.result()

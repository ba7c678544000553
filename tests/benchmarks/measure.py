"""What all benchmarks share: a row of the table, two sides that take turns, and the memory of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
TIMES = 5
"""Runs of each side."""


class DisagreementError(Exception):
    """Two sides that do the same work gave different answers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    work
        What was done, with its size.
    reference, ours
        What was measured on either side.
    ratio
        Of both.
    asked
        What is asked for, and empty where nothing is.
    met
        Whether it was reached, None where nothing was asked for.
    """

    work: str
    reference: str
    ours: str
    ratio: str
    asked: str = ""
    met: bool | None = None


def agree(same: object, what: str) -> None:
    """Insist that both sides gave the same.

    Raises
    ------
    DisagreementError
        If they did not.
    """
    if not same:
        raise DisagreementError(what)


def in_turns(reference: Callable[[], object], ours: Callable[[], object], *, times: int) -> tuple[float, float]:
    """Median seconds of both sides, which take turns; where there are several, after one run of each that is not counted."""
    sides = (reference, ours)
    for side in sides if times > 1 else ():
        side()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for side, seconds in zip(sides, taken, strict=True):
            seconds.append(clock(side))
    return median(taken[0]), median(taken[1])


def clock(work: Callable[[], object]) -> float:
    """Seconds that some work takes once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def timed_row(work: str, reference: float, ours: float, *, at_least: float | None = None) -> Row:
    """Row of two times for the same work, and how many times faster ours is asked to be."""
    asked, met = ("", None) if at_least is None else (f"{at_least:g}x as fast", reference >= at_least * ours)
    return Row(work, seconds(reference), seconds(ours), f"{reference / ours:.3g}x as fast", asked, met)


def seconds(value: float) -> str:
    """Seconds in a unit that fits them.

    Examples
    --------
    >>> seconds(0.0123), seconds(12.34)
    ('12.3 ms', '12.3 s')
    """
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def megabytes(value: float) -> str:
    """Bytes as megabytes.

    Examples
    --------
    >>> megabytes(12_300_000)
    '12 MB'
    """
    return f"{value / 1e6:,.0f} MB"


def peak_memory() -> int:
    """Most bytes that this process has held at once.

    Linux counts in ``ru_maxrss`` also what the parent held when it started this process, so there its own mark is read.
    """
    marks = Path("/proc/self/status")
    if marks.exists():
        line = next(line for line in marks.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def child(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module of the benchmarks in a process of its own, with memory of its own; its last line is its answer."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer

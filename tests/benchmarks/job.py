"""The main job, ``contagion run oct2025``, from the built network to the printed table: seconds, and the peak of memory.

The run, its benchmark without feedback, and the run at half the step are all in it. Their reference is the time to read each
array of the accounts once a round, which no way of valuing all accounts in every round can go below.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager, redirect_stdout
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.measure import TIMES, Row, agree, child, clock, megabytes, peak_memory, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contagion.job import Answer, Job

LONGEST = 60.0
"""Seconds that a million accounts may take."""
LARGEST = 4e9
"""Bytes that they may take, the building of the network too."""
COARSE = 10
"""Times the length of a round at which the small run steps."""


def rows(*, smoke: bool) -> Iterator[Row]:
    """Time, its parts, and memory, measured in a process of its own."""
    accounts = 1_000 if smoke else 1_000_000
    coarse = COARSE if smoke else 1
    found = child(__spec__.name, str(accounts), str(coarse))
    if smoke:
        agree(found["printed"] == _measure(accounts, coarse)["printed"], "job: the same job printed two different tables")
    agree("oct2025" in found["printed"], "job: the table does not name its network")
    taken, reading = found["seconds"], found["reading"]
    fast = ("", None) if smoke else (f"under {LONGEST:g} s", taken < LONGEST)
    small = ("", None) if smoke else (f"under {megabytes(LARGEST)}", found["peak"] < LARGEST)
    work = f"run oct2025, {accounts:,} accounts, {found['rounds']} rounds in all, beside reading its arrays once a round"
    yield Row(work, seconds(reading), seconds(taken), f"{taken / reading:.3g}", *fast)
    yield Row("  of it on the processors", "", seconds(found["processors"]), "")
    for part, spent in found["parts"].items():
        yield Row(f"  of it: {part}", "", seconds(spent), f"{spent / taken:.0%} of it")
    peak, arrays = found["peak"], found["arrays"]
    yield Row("  peak of memory, beside its arrays", megabytes(arrays), megabytes(peak), f"{peak / arrays:.3g}", *small)


def _measure(accounts: int, coarse: int) -> dict[str, Any]:
    """Carry the job out with rounds that much longer, and say what it took."""
    import time

    from contagion.job import Job, carry_out
    from contagion.rundir import print_answer

    parts: dict[str, float] = {}
    marks: list[float] = []

    @contextmanager
    def watch(what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        parts[what] = time.perf_counter() - began
        marks.append(time.process_time())

    text, answers = io.StringIO(), []
    job = _coarser(Job.of("oct2025", options={"accounts": accounts}), coarse)
    whole = clock(lambda: answers.append(carry_out(job, watch=watch)))
    built = parts.pop("network oct2025")
    with redirect_stdout(text):
        parts["table"] = clock(lambda: print_answer(answers[0]))
    busy = time.process_time() - marks[0]
    taken, peak = whole - built + parts["table"], peak_memory()
    rounds, arrays, once = _reading(answers[0])
    return {
        "seconds": taken,
        "processors": busy,
        "parts": parts,
        "peak": peak,
        "rounds": rounds,
        "arrays": arrays,
        "reading": once * rounds,
        "printed": text.getvalue(),
    }


def _coarser(job: Job, times: int) -> Job:
    """Lengthen the rounds of the job's clock."""
    scenario = job.load_scenario()
    if scenario.clock is None:
        return job
    clock = scenario.clock.model_copy(update={"round_seconds": scenario.clock.round_seconds * times})
    return job.model_copy(update={"scenario": scenario.model_copy(update={"clock": clock}).to_toml()})


def _reading(answer: Answer) -> tuple[int, int, float]:
    """Rounds of all runs, bytes of the accounts' arrays, and seconds to read these once."""
    import numpy as np

    accounts = answer.cascade.prepared.system.accounts
    columns = [getattr(accounts, name) for name in type(accounts).__slots__]
    runs = [answer.cascade.outcome, answer.cascade.benchmark, *([answer.half.outcome] if answer.half else [])]
    once = median(clock(lambda: [np.max(column, initial=0) for column in columns]) for _ in range(TIMES))
    return sum(run.rounds for run in runs), sum(column.nbytes for column in columns), once


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(int(sys.argv[1]), int(sys.argv[2]))) + "\n")

"""Workers that are processes of this machine, without any other program.

They are started afresh, not forked, so that no thread or lock of this process is copied into them. Their libraries share
the cores: so many threads each that all workers together have one a core.
"""

from __future__ import annotations

import os
import signal
import time
from threading import Thread
from typing import TYPE_CHECKING, Final

from contagion.errors import RunError
from contagion.runtime.worker import carry_out

if TYPE_CHECKING:
    from concurrent.futures import Future

    from contagion.runtime.worker import Block, Report

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")
_LOOK: Final = 1.0
"""Seconds between two looks whether the parent is still there."""
MOST_LOSSES: Final = 3
"""Times in a row that workers may be lost before a single block is finished."""


def thread_limits(workers: int) -> dict[str, str]:
    """Environment of a worker, one of so many on this machine.

    Examples
    --------
    >>> set(thread_limits(10_000).values())
    {'1'}
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return dict.fromkeys(_THREADS, str(max(1, cores // workers)))


class Processes:
    """A pool of processes that is built anew when one of them is lost.

    Parameters
    ----------
    workers
        How many.
    """

    def __init__(self, workers: int) -> None:
        self.size = workers
        self._losses = 0
        self._start()

    def _start(self) -> None:
        from loky import ProcessPoolExecutor  # type: ignore[import-untyped]

        # Mapped pages count as a worker's memory, so its growth is no leak.
        environment = thread_limits(self.size) | {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
        self._pool = ProcessPoolExecutor(self.size, env=environment, initializer=_depend_on, initargs=(os.getpid(),))

    def submit(self, block: Block) -> Future[Report]:
        """Send a block to whichever worker is free first."""
        future: Future[Report] = self._pool.submit(carry_out, block)
        return future

    def finished(self) -> None:
        """Take note that a block came back."""
        self._losses = 0

    def check(self) -> None:
        """Nothing: the pool itself sees when a process dies."""

    def recover(self, reason: BaseException, tasks: str) -> None:
        """Replace the pool after it has lost a worker.

        Raises
        ------
        RunError
            If that has happened too often in a row.
        """
        self._losses += 1
        self.close()
        if self._losses >= MOST_LOSSES:
            raise RunError(
                f"worker processes died {self._losses} times in a row with {tasks} under way, perhaps for want of memory; "
                "use fewer workers, then resume"
            ) from reason
        self._start()

    def close(self) -> None:
        """Stop all workers, at once."""
        self._pool.shutdown(wait=True, kill_workers=True)


def _depend_on(parent: int) -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the one that collects the results, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_outlive, args=(parent,), daemon=True).start()


def _outlive(parent: int) -> None:
    """End this process once its parent is gone, which may have been killed without a word."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)

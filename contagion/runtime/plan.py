"""Where the tasks of a run are done: in this process, in several, or on a Dask cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from contagion.errors import RunError

LOCAL: Final = "local"
"""The scheduler that is started here, with as many workers as the plan has, and stopped at the end."""
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+")


@dataclass(frozen=True, slots=True)
class Plan:
    """Where tasks are done. It never decides what comes out.

    Attributes
    ----------
    workers
        Processes on this machine; one means this process.
    scheduler
        Address of a Dask scheduler such as ``tcp://10.0.0.5:8786``, whose workers do the tasks; ``local`` starts a cluster
        of ``workers`` here; empty does without Dask.
    directory
        Directory that every worker can read, in which the network is put and stays for the next run; empty makes one on
        this machine and removes it.

    Raises
    ------
    RunError
        If there is no worker, the scheduler has no address, or it would have two numbers of workers.

    Examples
    --------
    >>> Plan(workers=4)
    Plan(workers=4, scheduler='', directory='')
    >>> Plan().is_serial
    True
    """

    workers: int = 1
    scheduler: str = ""
    directory: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.workers < 1:
            raise RunError(f"workers {self.workers!r}: is no number of processes; give 1 or more")
        if self.scheduler in {"", LOCAL}:
            return
        if not _ADDRESS.fullmatch(self.scheduler):
            raise RunError(f"scheduler {self.scheduler!r}: is no address; write it as tcp://host:8786, or {LOCAL} to start one here")
        if self.workers > 1:
            raise RunError(
                f"workers {self.workers} with scheduler {self.scheduler}: a cluster brings its own workers; leave one of the two out"
            )

    @property
    def is_serial(self) -> bool:
        """Whether this process does the tasks itself."""
        return self.workers == 1 and not self.scheduler

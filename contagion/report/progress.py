"""Progress of long work, on stderr, where somebody looks at it: a bar comes after two seconds, and leaves nothing behind."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from contagion.engine import Progress

PATIENCE: Final = 2.0
"""Seconds before a bar comes."""


@contextmanager
def progress_bar(what: str) -> Iterator[Progress | None]:
    """Show how far one part of the work is; nothing where stderr is no terminal.

    Parameters
    ----------
    what
        What the part is called.

    Yields
    ------
    Progress
        To be told of the rounds done and, where it is known, the rounds in all.
    """
    if not sys.stderr.isatty():
        yield None
        return
    view = _View(what)
    try:
        yield view.tell
    finally:
        view.close()


class _View:
    """A bar that waits until the work has proved long."""

    def __init__(self, what: str) -> None:
        self.what, self.began = what, time.monotonic()
        self.bar: Bar | None = None
        self.task: TaskID | None = None

    def tell(self, done: int, total: int | None) -> None:
        if self.bar is None:
            if time.monotonic() - self.began < PATIENCE:
                return
            self._open(total)
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=done, total=total)

    def _open(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(self.what, total=total)
        self.bar.start()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()

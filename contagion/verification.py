"""Verification: repeat what a directory holds, a run or a search, and compare the bytes of every file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contagion.rundir import verify_run
from contagion.search.folder import is_search, verify_search

if TYPE_CHECKING:
    import os

    from contagion.job import Watch
    from contagion.rundir import Verification


def verify_directory(path: str | os.PathLike[str], *, watch: Watch) -> Verification:
    """Repeat a run or a search.

    Raises
    ------
    RunError
        If the directory holds neither, or a file of its network has changed or gone.
    """
    return verify_search(path, watch=watch) if is_search(path) else verify_run(path, watch=watch)

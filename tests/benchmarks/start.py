"""The start of the command line, which must feel instant: its help beside Python that imports click and does nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.benchmarks.measure import ROOT, Row, agree, in_turns, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = 11
SLOWEST = 1.5
"""Times the import of click that the help may take."""


def rows(*, smoke: bool) -> Iterator[Row]:
    """One row."""
    shown = _python("-m", "cli", "--help")
    agree("Usage" in shown and "run" in shown, "start: `contagion --help` does not show its help")
    reference, ours = in_turns(lambda: _python("-c", "import click"), lambda: _python("-m", "cli", "--help"), times=1 if smoke else TIMES)
    ratio = ours / reference
    asked, met = ("", None) if smoke else (f"at most {SLOWEST:g}", ratio <= SLOWEST)
    yield Row("contagion --help, beside import click", seconds(reference), seconds(ours), f"{ratio:.2f}", asked, met)


def _python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout

"""The errors of the package: one root, so that a caller can catch them all.

A message is one plain sentence that names the file or table, the row, the column, the value and the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class GraphError(Exception):
    """Root of every error that this package raises on purpose."""


class ReadError(GraphError):
    """A file cannot be read as the table or the description that it should be."""


class UnknownNetworkError(GraphError):
    """No shipped network and no directory bears that name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a network.

    Attributes
    ----------
    check
        Name of the check that found it, for example ``unknown_id``.
    table, row, column, value
        Where it stands: the table's kind, the row counted from 1 as a spreadsheet's first data row,
        the column, and the value found there as text. Row 0 means the table as a whole.
    remedy
        What to do about it, as an imperative.
    """

    check: str
    table: str
    row: int
    column: str
    value: str
    remedy: str

    def __str__(self) -> str:
        """One sentence: place, value, remedy."""
        place = f"table {self.table}" + (f", row {self.row}" if self.row else "")
        if self.column:
            place += f", column {self.column}"
        return f"{place}: {self.value}; {self.remedy}"


class CheckError(GraphError):
    """A network breaks the rules of its schema; ``findings`` lists every bad row."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        super().__init__(f"{self.findings[0]}{more}")

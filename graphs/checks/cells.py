"""Checks of single cells against the schema: there, finite, within bounds, one of the choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from graphs.checks.view import View, check
from graphs.columns import did_you_mean
from graphs.errors import Finding
from graphs.schema import TABLES, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray


def _columns(view: View, *dtypes: str) -> Iterator[tuple[str, Column]]:
    """Columns of these types that are stored."""
    for kind, table in view.net.tables.items():
        for column in TABLES[kind].columns:
            if column.dtype in dtypes and column.name in table.column_names:
                yield kind, column


def _holds(data: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Truth of each cell; an empty one is false."""
    return np.array(pc.fill_null(data, fill_value=False).to_numpy())


@check()
def empty_table(view: View) -> Iterator[Finding]:
    """A table that has a header and no rows."""
    for kind, table in view.net.tables.items():
        if not table.num_rows:
            yield Finding("empty_table", kind, 0, "", "no rows", "write its rows, or remove the table")


@check()
def missing_cell(view: View) -> Iterator[Finding]:
    """A required cell that is empty."""
    for kind, column in _columns(view, "string", "float", "int", "bool"):
        data = view.net.column(kind, column.name)
        if not column.required or not data.null_count:
            continue
        if data.null_count == len(data):
            yield Finding("missing_cell", kind, 0, column.name, "empty in every row", f"add the column: {column.doc}")
        else:
            yield from view.report("missing_cell", kind, column.name, view.is_empty(kind, column.name), f"write it: {column.doc}")


@check()
def not_finite(view: View) -> Iterator[Finding]:
    """A number that is NaN or infinite."""
    for kind, column in _columns(view, "float"):
        bad = _holds(pc.invert(pc.is_finite(view.net.column(kind, column.name))))
        remedy = "write a finite number" if column.required else "write a finite number, or leave the cell empty"
        yield from view.report("not_finite", kind, column.name, bad, remedy)


@check()
def out_of_bounds(view: View) -> Iterator[Finding]:
    """A number outside the bounds of its column."""
    for kind, column in _columns(view, "float", "int"):
        low, high = column.low, column.high
        if low is None and column.dtype == "int" and column.default is None:
            low = 0.0  # below zero lies what stands for an empty cell in an array of integers
        data = view.net.column(kind, column.name)
        if low is not None:
            bad = _holds((pc.less_equal if column.open_low else pc.less)(data, low))
            yield from view.report("out_of_bounds", kind, column.name, bad, f"write a number {_bounds(column, low)}")
        if high is not None:
            bad = _holds(pc.greater(data, high))
            yield from view.report("out_of_bounds", kind, column.name, bad, f"write a number {_bounds(column, low)}")


def _bounds(column: Column, low: float | None) -> str:
    at_least = "" if low is None else f"{'above' if column.open_low else 'of at least'} {low:g}"
    at_most = "" if column.high is None else f"at most {column.high:g}"
    return " and ".join(filter(None, (at_least, at_most)))


@check()
def unknown_choice(view: View) -> Iterator[Finding]:
    """A word that is none of the column's choices."""
    for kind, column in _columns(view, "string"):
        if column.choices:
            codes = view.net.codes(kind, column.name, column.choices)
            bad = (codes < 0) & ~view.is_empty(kind, column.name)
            if bad.any():
                yield from view.report(
                    "unknown_choice", kind, column.name, bad, _choose(view.net.strings(kind, column.name), column.choices)
                )


def _choose(words: NDArray[np.object_], choices: Sequence[str]) -> Callable[[int], str]:
    otherwise = f"use one of {', '.join(choices)}"
    return lambda row: did_you_mean(words[row], choices, otherwise)

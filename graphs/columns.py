"""How a column of any origin is brought to the type that the schema gives it.

A stored column is one of four Arrow types: text (plain or dictionary-encoded, as it came), 64-bit floats, 64-bit
integers, booleans. An empty cell is an Arrow null; empty text is an empty cell. A number is never made of text, and
nothing is rounded: what does not fit is reported by row.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphs.errors import Finding
from graphs.schema import TABLES, Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TEXT = pa.dictionary(pa.int32(), pa.string())
"""Type of a dictionary-encoded text column."""

TYPES: dict[str, pa.DataType] = {"string": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
"""Arrow type of a column by the schema's word for it."""

WORDS = {"string": "text", "float": "a number", "int": "a whole number", "bool": "true or false"}
"""What a cell of each type should be, in words."""


def close_matches(word: str, words: Iterable[str]) -> list[str]:
    """Up to three of ``words`` that look like ``word``, best first; those that differ in letter case alone come alone.

    Examples
    --------
    >>> close_matches("binance", ["Bybit", "Binance"])
    ['Binance']
    """
    folded: dict[str, list[str]] = {}
    for candidate in words:
        folded.setdefault(candidate.casefold(), []).append(candidate)
    wanted = word.casefold()
    matches = [wanted] if wanted in folded else difflib.get_close_matches(wanted, folded, n=3, cutoff=0.65)
    return [candidate for match in matches for candidate in folded[match]][:3]


def did_you_mean(word: str, words: Iterable[str], otherwise: str) -> str:
    """Remedy for a name that is not among ``words``."""
    matches = close_matches(word, words)
    return f"did you mean {' or '.join(map(repr, matches))}?" if matches else otherwise


def unknown_columns(kind: str, names: Sequence[str]) -> list[Finding]:
    """Findings on columns that a table of this kind does not have, or has twice."""
    known = TABLES[kind].by_name
    otherwise = f"remove it, or use one of {', '.join(known)}"
    found = [
        Finding("unknown_column", kind, 0, name, "no such column", did_you_mean(name, known, otherwise))
        for name in names
        if name not in known
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    return found + [Finding("unknown_column", kind, 0, name, "the column is there more than once", "keep one of them") for name in twice]


def conform_table(kind: str, data: pa.Table, *, first_row: int = 1) -> tuple[pa.Table, list[Finding]]:
    """Bring a table to the types and the column order of its schema.

    Columns that are absent stay absent, except required ones, which become empty; optional columns without a single
    cell are left out, which means the same.

    Parameters
    ----------
    kind
        Which table of the schema it is.
    data
        Its rows.
    first_row
        Number of the first row in messages.

    Returns
    -------
    tuple
        The table, and what is wrong with it; with findings the table is not to be used.
    """
    found = unknown_columns(kind, data.column_names)
    if found:
        return data, found
    arrays: dict[str, pa.ChunkedArray] = {}
    for column in TABLES[kind].columns:
        if column.name in data.column_names:
            array, bad = conform_column(kind, column, data[column.name], first_row=first_row)
            found += bad
            if column.required or array.null_count < len(array):
                arrays[column.name] = array
        elif column.required:
            arrays[column.name] = empty_column(column, data.num_rows)
    return (data if found else pa.table(arrays)), found


def empty_column(column: Column, rows: int) -> pa.ChunkedArray:
    """Build a column of nothing but empty cells."""
    return pa.chunked_array([pa.nulls(rows, TYPES[column.dtype])])


def conform_column(kind: str, column: Column, data: pa.ChunkedArray, *, first_row: int = 1) -> tuple[pa.ChunkedArray, list[Finding]]:
    """Bring one column to its type; the second result lists the cells that do not fit."""
    if data.null_count == len(data):
        return empty_column(column, len(data)), []
    if column.dtype == "string":
        return _conform_text(kind, column, data)
    if pa.types.is_dictionary(data.type):
        data = data.cast(data.type.value_type)
    wanted = TYPES[column.dtype]
    if data.type == wanted:
        return data, []
    if column.dtype == "bool" or not _is_number(data.type):
        return data, _wrong_type(kind, column, data)
    try:
        return data.cast(wanted), []
    except pa.ArrowInvalid:
        return data, _misfits(kind, column, data, wanted, first_row)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _conform_text(kind: str, column: Column, data: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[Finding]]:
    """Text keeps its encoding; 64-bit offsets go, and so does the difference between no text and empty text."""
    if pa.types.is_dictionary(data.type) and _is_text(data.type.value_type):
        chunks = [_clean_dictionary(chunk) for chunk in data.chunks]
        return pa.chunked_array(chunks, type=TEXT), []
    if not _is_text(data.type):
        return data, _wrong_type(kind, column, data)
    if data.type != pa.string():
        data = data.cast(pa.string())
    empty = pc.equal(data, "")
    if pc.any(empty).as_py():
        data = pc.if_else(empty, pa.scalar(None, pa.string()), data)
    return data, []


def _clean_dictionary(chunk: pa.DictionaryArray) -> pa.DictionaryArray:
    indices = chunk.indices.cast(pa.int32())
    words = chunk.dictionary.cast(pa.string())
    blank = pc.or_kleene(pc.is_null(words), pc.fill_null(pc.equal(words, ""), fill_value=False)).to_numpy(zero_copy_only=False)
    if blank.any():
        # Cells that point to empty text become empty cells; the word itself may stay, nothing points to it any more.
        points = pa.array(blank[np.asarray(indices.fill_null(0))])
        indices = pc.if_else(points, pa.scalar(None, pa.int32()), indices)
        words = pc.fill_null(words, "")
    return pa.DictionaryArray.from_arrays(indices, words)


def _wrong_type(kind: str, column: Column, data: pa.ChunkedArray) -> list[Finding]:
    value = f"{data.drop_null()[0].as_py()!r} is of type {data.type}"
    return [Finding("wrong_type", kind, 0, column.name, value, f"write {WORDS[column.dtype]} in each cell")]


def _misfits(kind: str, column: Column, data: pa.ChunkedArray, wanted: pa.DataType, first_row: int) -> list[Finding]:
    found = []
    for row, cell in enumerate(data, first_row):
        try:
            cell.cast(wanted)
        except pa.ArrowInvalid:
            found.append(Finding("wrong_type", kind, row, column.name, repr(cell.as_py()), f"write {WORDS[column.dtype]}"))
    return found


def from_values(kind: str, column: Column, values: Iterable[Any]) -> tuple[pa.ChunkedArray, list[Finding]]:
    """Make a column of a pandas series or a sequence of Python values; None and NaN are empty cells."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return _from_objects(kind, column, list(values))
    data = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return conform_column(kind, column, data)


def _from_objects(kind: str, column: Column, values: list[Any]) -> tuple[pa.ChunkedArray, list[Finding]]:
    """Cell by cell, for values of more than one type."""
    found: list[Finding] = []
    cells: list[Any] = []
    for row, value in enumerate(values, 1):
        try:
            cell = pa.array([value.item() if isinstance(value, np.generic) else value], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            bad = True
        else:
            conformed, wrong = conform_column(kind, column, pa.chunked_array([cell]))
            bad = bool(wrong)
        if bad:
            found.append(Finding("wrong_type", kind, row, column.name, repr(value), f"write {WORDS[column.dtype]}"))
        else:
            cells.append(conformed[0].as_py())
    return (empty_column(column, len(values)) if found else pa.chunked_array([pa.array(cells, TYPES[column.dtype])])), found

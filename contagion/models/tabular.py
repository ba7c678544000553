"""A CSV or Parquet file as columns of cells, and the sentences that name a cell, row or column of it that is wrong."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphs.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from contagion.arrays import Floats

MOST_NAMED = 8
"""Bad cells or labels that one message names."""
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
"""Endings of a name that is meant to be a file's, not a network's."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as it stands.

    Attributes
    ----------
    file
        The file.
    names
        Of its columns, none where its first line holds numbers.
    columns
        Texts, or numbers where the file has types.
    """

    file: Path
    names: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]

    @property
    def words(self) -> list[str]:
        """Names as they are compared."""
        return ["_".join(name.lower().split()) for name in self.names]

    @property
    def count(self) -> int:
        """Rows, without the header."""
        return len(self.columns[0]) if self.columns else 0


def floats(column: pa.ChunkedArray) -> tuple[Floats, list[tuple[int, str]]]:
    """Return the numbers of a column, NaN where it is empty, and row and text of what is none."""
    if not pa.types.is_string(column.type):
        try:
            return _to_numpy(pc.cast(column, pa.float64())), []
        except pa.ArrowException:
            column = pc.cast(column, pa.string())
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    try:
        values = _to_numpy(pc.cast(text, pa.float64()))
        if not np.isnan(values[~np.asarray(text.is_null())]).any():
            return values, []
    except pa.ArrowInvalid:
        values = np.empty(0)
    cells = text.to_pylist()
    values, bad = np.full(len(cells), np.nan), []
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            values[row] = float(cell)
        except ValueError:
            bad.append((row, cell))
            continue
        if np.isnan(values[row]):
            bad.append((row, cell))
    return values, bad


def _to_numpy(column: pa.ChunkedArray) -> Floats:
    return np.array(column.to_numpy(), dtype=np.float64)


def named(sheet: Sheet, place: int) -> list[str]:
    """Return the names that stand in a column, none empty.

    Raises
    ------
    ReadError
        If a cell is empty.
    """
    column = sheet.columns[place]
    cells = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    labels: list[str] = [cell or "" for cell in cells.to_pylist()]
    empty = [row for row, label in enumerate(labels) if not label]
    if empty:
        also = f" (also row {some(str(row + 1) for row in empty[1:])})" if empty[1:] else ""
        raise ReadError(f"{sheet.file}, row {empty[0] + 1}, column {sheet.names[place] or place + 1}: is without a name; write one{also}")
    return labels


def some(names: Iterable[str]) -> str:
    """Return the first of some names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:MOST_NAMED]) + (f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else "")


def refuse(sheet: Sheet, found: Sequence[tuple[int, int, str]], remedy: str) -> None:
    """Refuse cells that hold no number, given as row and column from 0 and text; none is fine.

    Raises
    ------
    ReadError
        If there are any; it names them and says the remedy.
    """
    if not found:
        return
    places = [
        f"row {row + 1}, column {sheet.names[place] if sheet.names and sheet.names[place] else place + 1}: {text!r}"
        for row, place, text in found[: 2 * MOST_NAMED]
    ]
    more = f"; {len(found) - len(places)} more" if len(found) > len(places) else ""
    also = f" (also {'; '.join(places[1:])}{more})" if places[1:] else ""
    raise ReadError(f"{sheet.file}, {places[0]} is no number; {remedy}{also}")


def read_sheet(file: Path) -> Sheet:
    """Read a file: Parquet by its ending, otherwise CSV with commas, semicolons or tabs.

    Raises
    ------
    ReadError
        If it is not there, or is no such table.
    """
    if not file.is_file():
        raise ReadError(f"{file}: {'is a directory' if file.is_dir() else 'is not there'}; name a CSV or Parquet file")
    try:
        return _read_parquet(file) if file.suffix.lower() in {".parquet", ".pq"} else _read_csv(file)
    except OSError as error:
        raise ReadError(f"{file}: cannot be read, {error.strerror or error}; write it again, or see to its rights") from error
    except pa.ArrowException as error:
        kind = "Parquet" if file.suffix.lower() in {".parquet", ".pq"} else "CSV"
        raise ReadError(f"{file}: is no {kind} table, {str(error).splitlines()[0]}; write it again") from error


def _read_parquet(file: Path) -> Sheet:
    import pandas as pd

    frame = pd.read_parquet(file)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=None if frame.index.name is not None else [""])
    frame.columns = [str(name) for name in frame.columns]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return Sheet(file, tuple(frame.columns), tuple(table.columns))


def _read_csv(file: Path) -> Sheet:
    from pyarrow import csv as arrow_csv

    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            line = next((line for line in stream if line.strip()), "")
    except UnicodeDecodeError as error:
        raise ReadError(f"{file}: is no text in UTF-8; save it as CSV in UTF-8") from error
    if not line:
        raise ReadError(f"{file}: is empty; write a matrix, an edge list or a table in it")
    comma = max(",;\t", key=line.count)
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=comma))]
    bare = _is_number(cells[0]) and all(_is_number(cell) or not cell for cell in cells)
    names = [str(place) for place in range(len(cells))]
    try:
        table = arrow_csv.read_csv(
            file,
            read_options=arrow_csv.ReadOptions(column_names=names),
            parse_options=arrow_csv.ParseOptions(delimiter=comma, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        _refuse_ragged(file, comma, len(cells), bare=bare)
        raise ReadError(f"{file}: is no CSV table, {str(error).splitlines()[0]}; write it again in UTF-8") from error
    table = table if bare else table.slice(1)
    return Sheet(file, () if bare else tuple(cells), tuple(table.columns))


def _refuse_ragged(file: Path, comma: str, width: int, *, bare: bool) -> None:
    """Name every row that is longer or shorter than the first line."""
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        rows = [len(cells) for cells in csv.reader(stream, delimiter=comma) if cells]
    odd = [(row, size) for row, size in enumerate(rows, 1 if bare else 0) if size != width]
    if odd:
        also = f" (also row {some(str(row) for row, _ in odd[1:])})" if odd[1:] else ""
        raise ReadError(f"{file}, row {odd[0][0]}: has {odd[0][1]} cells, and the first line {width}; write as many in each row{also}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""Matrices, edge lists and tables of vectors out of the CSV and Parquet files that a user has.

A file is an edge list if its header names two ends, and a matrix otherwise. Ends are ``debtor, creditor`` (or borrower, lender), ``owner,
asset`` (or holder), ``source, target`` (or from, to), in any order; the size of an edge is its ``amount``, ``value``, ``weight`` or
``exposure``, and 1 where there is nothing but the ends. A list of debts is turned round where a model asks who is exposed to whom.
A matrix has names in its first line and first column, or nothing but numbers; an empty cell of it is zero.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.models.tabular import Sheet, floats, named, read_sheet, refuse, some
from graphs.errors import ReadError
from graphs.matrices import Labelled

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from contagion.arrays import Floats
    from contagion.models.card import Shape

SIZES = ("amount", "value", "weight", "exposure")
"""Columns that hold the size of an edge."""
SYNONYMS = {"borrower": "debtor", "lender": "creditor", "holder": "owner", "from": "source", "to": "target"}
CLAIMS = (("creditor", "debtor"), ("source", "target"))
ENDS: dict[Shape, tuple[tuple[str, str], ...]] = {
    "liabilities": (("debtor", "creditor"), ("source", "target")),
    "exposures": CLAIMS,
    "adjacency": CLAIMS,  # as a network gives it
    "holdings": (("owner", "asset"), ("source", "target")),
}
"""Columns of the row and the column of an entry."""


def read_matrix(path: str | os.PathLike[str], shape: Shape, nodes: Sequence[str] = (), columns: Sequence[str] = ()) -> Labelled:
    r"""Read a matrix or an edge list.

    Parameters
    ----------
    path
        CSV or Parquet file.
    shape
        What the model asks for.
    nodes, columns
        Names of the rows, and of the columns of holdings, from other files: they name a matrix that has no names itself, and who
        is not in the file has no edges. An edge list is in their order, and then in that of the alphabet.

    Returns
    -------
    Labelled
        Dense for a matrix, with the columns in the order of the file; sparse for an edge list, whose parallel edges add up.

    Raises
    ------
    ReadError
        If the file cannot be read, a cell is no number, or names are missing, stand twice or differ between rows and columns.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     file = Path(place) / "debts.csv"
    ...     _ = file.write_text("debtor,creditor,amount\nA,B,10\n")
    ...     found = read_matrix(file, "exposures")
    >>> found.rows, found.matrix.toarray().tolist()
    (('A', 'B'), [[0.0, 0.0], [10.0, 0.0]])
    """
    sheet = read_sheet(Path(path))
    ends = _ends(sheet, shape)
    if ends is not None:
        found = _edges(sheet, shape, ends, nodes, columns)
    else:
        found = _rectangle(sheet, shape, nodes, nodes if shape != "holdings" else columns)
    if not all(found.shape):
        raise ReadError(f"{sheet.file}: has a header and no entries; {_advice(shape)}")
    return found


def read_table(path: str | os.PathLike[str], vectors: Iterable[str] = ()) -> pd.DataFrame:
    r"""Read a table of vectors: one row a node or asset, its name in the first column.

    Parameters
    ----------
    path
        CSV or Parquet file.
    vectors
        Columns that must hold numbers; any other column of which a cell is no number is left out.

    Returns
    -------
    pandas.DataFrame
        Numbers by name, NaN where a cell is empty; names of columns in lower case, with ``_`` for a space.

    Raises
    ------
    ReadError
        If the file cannot be read, a name is missing or stands twice, or a cell of a vector is no number.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     file = Path(place) / "banks.csv"
    ...     _ = file.write_text("bank,equity,country\nA,5,DE\nB,,FR\n")
    ...     read_table(file)
       equity
    A     5.0
    B     NaN
    """
    import pandas as pd

    sheet = read_sheet(Path(path))
    if not sheet.names:
        raise ReadError(f"{sheet.file}: has no header; write the names of the columns in the first line, such as node,equity")
    labels = named(sheet, 0)
    if not labels:
        raise ReadError(f"{sheet.file}: has a header and no rows; write one for each node or asset")
    _once(sheet, "row", labels)
    _once(sheet, "column", sheet.words[1:])
    wanted, numbers, found = set(vectors), {}, list[tuple[int, int, str]]()
    for place, name in list(enumerate(sheet.words))[1:]:
        values, bad = floats(sheet.columns[place])
        if not bad:
            numbers[name] = values
        elif name in wanted:
            found += [(row, place, text) for row, text in bad]
    refuse(sheet, found, "write a number, or leave the cell empty")
    return pd.DataFrame(numbers, index=pd.Index(labels, dtype=object), dtype=np.float64)


def _ends(sheet: Sheet, shape: Shape) -> tuple[int, int] | None:
    """Positions of the columns that hold the ends of edges, None for a matrix."""
    words = [SYNONYMS.get(word, word) for word in sheet.words]
    for one, other in ENDS[shape]:
        if one in words and other in words:
            return words.index(one), words.index(other)
    for pairs in ENDS.values():
        for one, other in pairs:
            if one in words and other in words:
                raise ReadError(f"{sheet.file}: lists {one} and {other}, but the model reads {shape}; {_advice(shape)}")
    return None


def _advice(shape: Shape) -> str:
    one, other = ("debtor", "creditor") if shape != "holdings" else ("owner", "asset")
    one, other = ("source", "target") if shape == "adjacency" else (one, other)
    return f"give a matrix of numbers with names in the first line and column, or a list of edges with the header {one},{other},amount"


def _edges(sheet: Sheet, shape: Shape, ends: tuple[int, int], nodes: Sequence[str], columns: Sequence[str]) -> Labelled:
    from scipy.sparse import coo_array, csr_array

    sources, targets = named(sheet, ends[0]), named(sheet, ends[1])
    size = _sizes(sheet, ends)
    if shape == "holdings":
        rows, heads = _order(nodes, sources), _order(columns, targets)
    else:
        rows = heads = _order(nodes, [*sources, *targets])
    row_at, column_at = ({name: i for i, name in enumerate(names)} for names in (rows, heads))
    row = np.array([row_at[name] for name in sources], dtype=np.int64)
    column = np.array([column_at[name] for name in targets], dtype=np.int64)
    order = np.lexsort((size, column, row))  # parallel edges add up to the same last bit in whatever order they stand
    matrix = csr_array(coo_array((size[order], (row[order], column[order])), shape=(len(rows), len(heads))))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return Labelled(matrix, rows, heads)


def _order(known: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    return (*known, *sorted(set(found) - set(known)))


def _sizes(sheet: Sheet, ends: tuple[int, int]) -> Floats:
    words = sheet.words
    held = [place for place, word in enumerate(words) if word in SIZES]
    rest = [sheet.names[place] for place in range(len(words)) if place not in ends]
    if len(held) > 1 or (rest and not held):
        what = " and ".join(sheet.names[place] for place in held) if held else ", ".join(rest)
        remedy = "leave one of them" if held else f"name the one with the size of the edge {', '.join(SIZES[:-1])} or {SIZES[-1]}"
        raise ReadError(f"{sheet.file}: has {'columns' if len(held or rest) > 1 else 'a column'} {what} beside the ends; {remedy}")
    if not held:
        return np.ones(sheet.count)
    values, bad = floats(sheet.columns[held[0]])
    bad = sorted([*bad, *((int(row), "") for row in np.flatnonzero(np.isnan(values)) if int(row) not in dict(bad))])
    refuse(sheet, [(row, held[0], text) for row, text in bad], "write a number")
    return values


def _rectangle(sheet: Sheet, shape: Shape, nodes: Sequence[str], others: Sequence[str]) -> Labelled:
    """Read a matrix; ``others`` are the names of its columns from elsewhere, those of the nodes if it is square."""
    is_square, first = shape != "holdings", 1
    if not sheet.names or (is_square and sheet.count == len(sheet.names) and sheet.names[0] and not floats(sheet.columns[0])[1]):
        first = 0  # numbers from the first column on
    parts, found = [], list[tuple[int, int, str]]()
    for place in range(first, len(sheet.columns)):
        values, bad = floats(sheet.columns[place])
        parts.append(values)
        found += [(row, place, text) for row, text in bad]
    refuse(sheet, sorted(found), f"write a number; {_advice(shape)}")
    matrix = np.nan_to_num(np.column_stack(parts), nan=0.0, posinf=np.inf, neginf=-np.inf) if parts else np.zeros((sheet.count, 0))
    if is_square and matrix.shape[0] != matrix.shape[1]:
        raise ReadError(f"{sheet.file}: has {matrix.shape[0]} rows and {matrix.shape[1]} columns of numbers; {_advice(shape)}")
    if not sheet.names:
        return _numbered(sheet, matrix, nodes, others)
    heads = tuple(name.strip() for name in sheet.names[first:])
    rows = tuple(named(sheet, 0)) if first else heads
    _once(sheet, "row", rows)
    _once(sheet, "column", heads)
    odd = sorted(set(rows) ^ set(heads)) if is_square else []
    if odd:
        names = some(odd)
        raise ReadError(f"{sheet.file}: {names} names a row or a column, not both; give the same names on both sides, or {_advice(shape)}")
    more, extra = ([name for name in known if name not in set(own)] for known, own in ((nodes, rows), (others, heads)))
    return Labelled(np.pad(matrix, ((0, len(more)), (0, len(extra)))), (*rows, *more), (*heads, *extra))


def _numbered(sheet: Sheet, matrix: Floats, nodes: Sequence[str], others: Sequence[str]) -> Labelled:
    """Give the names of other files to a matrix that has none, or positions."""
    names: list[tuple[Any, ...]] = []
    for side, size, known in (("rows", matrix.shape[0], nodes), ("columns", matrix.shape[1], others)):
        if known and len(known) != size:
            raise ReadError(
                f"{sheet.file}: has {size} {side} without names, and the table beside it {len(known)}; name the {side} in the file"
            )
        names.append(tuple(known or range(size)))
    return Labelled(matrix, names[0], names[1])


def _once(sheet: Sheet, side: str, labels: Sequence[str]) -> None:
    twice = sorted(label for label, count in Counter(labels).items() if count > 1)
    if twice:
        stand = "stands" if len(twice) == 1 else "stand"
        raise ReadError(f"{sheet.file}: {some(twice)} {stand} twice; name each {side} once")

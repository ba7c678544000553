"""A network of traders, assets, stablecoins and exchanges: one immutable set of tables.

The tables are Arrow tables with the columns of :mod:`graphs.schema`. A column or a cell that is absent means the
schema's default; nothing is filled in before it is asked for, so ten million margin edges cost what their columns
cost. A row is known by its position, a node by its id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphs.columns import TYPES, conform_table, did_you_mean, empty_column, from_values, unknown_columns
from graphs.errors import CheckError, Finding
from graphs.schema import TABLES, Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

EMPTY_INT = -1
"""What an empty cell of an integer column without a default reads as."""


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """What a market is made of: node tables and edge tables.

    Parameters
    ----------
    name
        What the network is called.
    as_of
        Time of the snapshot in ISO 8601, or empty.
    sources
        Where the data come from.
    tables
        Arrow table by kind; a kind that is absent has no rows.

    Raises
    ------
    CheckError
        If a kind, a column or the type of a cell is not the schema's; all of them are listed.

    See Also
    --------
    graphs.checks.check_network : whether the cells make sense.

    Examples
    --------
    >>> import pandas as pd
    >>> net = Network.from_frames(name="one coin", asset=pd.DataFrame({"id": ["BTC"], "price": [100.0]}))
    >>> net
    Network('one coin', asset=1)
    >>> net.numbers("asset", "volatility")
    array([0.])
    """

    name: str
    as_of: str = ""
    sources: tuple[str, ...] = ()
    tables: Mapping[str, pa.Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bring every table to its schema and close the mapping."""
        found = _header_findings(self.name, self.as_of) + _unknown_kinds(self.tables)
        tables = {}
        for kind in TABLES:
            if kind in self.tables:
                tables[kind], bad = conform_table(kind, self.tables[kind])
                found += bad
        if found:
            raise CheckError(found)
        object.__setattr__(self, "sources", tuple(self.sources))
        object.__setattr__(self, "tables", MappingProxyType(tables))

    @classmethod
    def from_frames(cls, *, name: str, as_of: str = "", sources: Iterable[str] = (), **frames: pd.DataFrame) -> Network:
        """Make a network of pandas frames, one keyword a table kind.

        Parameters
        ----------
        name, as_of, sources
            As for the class.
        **frames
            Frame by kind. Optional columns may be missing; None, NaN and empty text are empty cells. The index is
            not read.

        Returns
        -------
        Network
            Its rows in the order of the frames.

        Raises
        ------
        CheckError
            If a kind or a column is not in the schema, or a cell is not of its column's type.
        """
        return cls(name, as_of, tuple(sources), _arrow_tables(frames))

    def with_tables(self, **tables: pa.Table | pd.DataFrame | None) -> Network:
        """Return the network with some tables replaced, or taken out where None is given."""
        kept = {kind: table for kind, table in self.tables.items() if kind not in tables}
        given = {kind: table for kind, table in tables.items() if table is not None}
        return Network(self.name, self.as_of, self.sources, kept | _arrow_tables(given))

    def __reduce__(self) -> tuple[Callable[..., Network], tuple[Any, ...]]:
        """Pickle by the four parts: a closed mapping has no pickle of its own."""
        return Network, (self.name, self.as_of, self.sources, dict(self.tables))

    def __repr__(self) -> str:
        """Name and row counts."""
        counts = "".join(f", {kind}={table.num_rows}" for kind, table in self.tables.items())
        return f"Network({self.name!r}{counts})"

    def count(self, kind: str) -> int:
        """Rows of a table."""
        _table(kind)
        return int(self.tables[kind].num_rows) if kind in self.tables else 0

    def column(self, kind: str, column: str) -> pa.ChunkedArray:
        """Return a column as it is stored: empty cells are null, no default is filled in."""
        schema = _column(kind, column)
        if kind in self.tables and column in self.tables[kind].column_names:
            return self.tables[kind][column]
        return empty_column(schema, self.count(kind))

    def numbers(self, kind: str, column: str) -> NDArray[Any]:
        """Return a column of numbers or booleans as a fresh array, defaults filled in.

        Empty cells without a default are NaN in a column of floats and -1 in one of integers.
        """
        schema = _column(kind, column)
        if schema.dtype == "string":
            message = f"table {kind}, column {column}: holds text; read it with strings() or codes()"
            raise TypeError(message)
        array = pc.fill_null(self.column(kind, column), pa.scalar(_filler(schema), TYPES[schema.dtype]))
        return np.array(array.to_numpy())

    def strings(self, kind: str, column: str) -> NDArray[np.object_]:
        """Return a column of text as a fresh array of ``str``, defaults filled in; an empty cell without one is ``""``."""
        default = _text_default(kind, column)
        parts = [np.empty(0, dtype=object)]
        for chunk in self.column(kind, column).chunks:
            if pa.types.is_dictionary(chunk.type):
                # One str object a word, not one a row.
                words = np.array([*chunk.dictionary.to_pylist(), default], dtype=object)
                parts.append(words[np.asarray(chunk.indices.fill_null(len(words) - 1))])
            else:
                parts.append(chunk.fill_null(default).to_numpy(zero_copy_only=False))
        return np.concatenate(parts)

    def codes(self, kind: str, column: str, vocabulary: Sequence[str] | pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
        """Return the position of each cell of a text column in a vocabulary, -1 where it is not in it.

        An empty cell counts as the column's default. Where a word stands twice in the vocabulary its first position
        is given.
        """
        default = _text_default(kind, column)
        words = vocabulary if isinstance(vocabulary, (pa.Array, pa.ChunkedArray)) else pa.array(list(vocabulary), pa.string())
        words = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
        if pa.types.is_dictionary(words.type):
            words = words.cast(pa.string())
        data = self.column(kind, column)
        if not len(data):
            return np.empty(0, dtype=np.int64)
        of_empty = _positions(pa.array([default]), words)[0]
        if not pa.types.is_dictionary(data.type):
            found = _positions(data, words)
            if data.null_count:
                found[pc.is_null(data).to_numpy()] = of_empty
            return found
        # Each chunk may have a dictionary of its own: look all of their words up at once, then spread.
        chunks = data.chunks
        looked_up = _positions(pa.chunked_array([chunk.dictionary for chunk in chunks], type=pa.string()), words)
        starts = np.cumsum([0, *(len(chunk.dictionary) for chunk in chunks)])
        parts = [np.empty(0, dtype=np.int64)]
        for start, end, chunk in zip(starts, starts[1:], chunks, strict=False):
            own = np.append(looked_up[start:end], of_empty)
            parts.append(own[np.asarray(chunk.indices.fill_null(end - start))])
        return np.concatenate(parts)

    def node_ids(self, kind: str) -> list[str]:
        """Ids of the nodes of a kind, in table order."""
        return list(self.strings(kind, "id"))

    def frame(self, kind: str) -> pd.DataFrame:
        """Return a table as a pandas frame with every column of the schema, defaults filled in.

        Empty cells without a default are ``""``, NaN, or NA in an integer column.
        """
        import pandas as pd

        columns: dict[str, Any] = {}
        for schema in _table(kind).columns:
            if schema.dtype == "string":
                columns[schema.name] = pd.Series(self.strings(kind, schema.name), dtype="str")
            elif schema.dtype == "int" and schema.default is None:
                empty = pc.is_null(self.column(kind, schema.name)).to_numpy()
                columns[schema.name] = pd.arrays.IntegerArray(self.numbers(kind, schema.name), np.array(empty))
            else:
                columns[schema.name] = self.numbers(kind, schema.name)
        return pd.DataFrame(columns)

    def equals(self, other: Network) -> bool:
        """Whether name, time, sources and all tables are the same, cell for cell and row for row.

        An empty cell equals its default, as they mean the same; floats are compared bit for bit, so that a round
        trip through a file can be called exact.
        """
        if (self.name, self.as_of, self.sources) != (other.name, other.as_of, other.sources):
            return False
        return all(
            self.count(kind) == other.count(kind) and all(self._same_column(other, kind, schema) for schema in table.columns)
            for kind, table in TABLES.items()
        )

    def _same_column(self, other: Network, kind: str, schema: Column) -> bool:
        mine, theirs = self.column(kind, schema.name), other.column(kind, schema.name)
        if schema.default is None and not pc.is_null(mine).equals(pc.is_null(theirs)):
            return False
        if schema.dtype == "string":
            return bool(np.array_equal(self.strings(kind, schema.name), other.strings(kind, schema.name)))
        one, two = self.numbers(kind, schema.name), other.numbers(kind, schema.name)
        if schema.dtype == "float":
            return bool(np.all((one.view(np.int64) == two.view(np.int64)) | (np.isnan(one) & np.isnan(two))))
        return bool(np.array_equal(one, two))


def _table(kind: str) -> Table:
    if kind not in TABLES:
        raise CheckError(_unknown_kinds([kind]))
    return TABLES[kind]


def _column(kind: str, column: str) -> Column:
    found: Column | None = _table(kind).by_name.get(column)
    if found is None:
        raise CheckError(unknown_columns(kind, [column]))
    return found


def _text_default(kind: str, column: str) -> str:
    schema = _column(kind, column)
    if schema.dtype != "string":
        message = f"table {kind}, column {column}: holds no text; read it with numbers()"
        raise TypeError(message)
    return schema.default or ""


def _filler(schema: Column) -> float | bool:
    filler: float | bool = {"float": np.nan, "int": EMPTY_INT, "bool": False}[schema.dtype] if schema.default is None else schema.default
    return filler


def _positions(data: pa.Array | pa.ChunkedArray, words: pa.Array) -> NDArray[np.int64]:
    """Position of each cell among the words, -1 where it is not there; cost is that of hashing the shorter of the two."""
    if len(data) * 4 < len(words):
        distinct = pc.unique(data)
        hits = pc.index_in(words, value_set=distinct)
        places = np.flatnonzero(hits.is_valid().to_numpy(zero_copy_only=False))
        first = np.full(len(distinct), -1, dtype=np.int64)
        first[np.asarray(hits.take(pa.array(places)))[::-1]] = places[::-1]  # the first of several wins
        return np.asarray(first[np.asarray(pc.index_in(data, value_set=distinct))], dtype=np.int64)
    found = pc.fill_null(pc.index_in(data, value_set=words), -1)
    return np.array(found.to_numpy(), dtype=np.int64)


def _unknown_kinds(kinds: Iterable[str]) -> list[Finding]:
    otherwise = f"use one of {', '.join(TABLES)}"
    unknown = [kind for kind in kinds if kind not in TABLES]
    return [Finding("unknown_table", kind, 0, "", "no such table", did_you_mean(kind, TABLES, otherwise)) for kind in unknown]


def _header_findings(name: str, as_of: str) -> list[Finding]:
    found = []
    if not name:
        found.append(Finding("network_header", "network", 0, "name", "empty", "give the network a name"))
    try:
        datetime.fromisoformat(as_of or "2000-01-01")
    except ValueError:
        remedy = "write it in ISO 8601, as 2025-10-10T20:50:00Z, or leave it empty"
        found.append(Finding("network_header", "network", 0, "as_of", repr(as_of), remedy))
    return found


def _arrow_tables(tables: Mapping[str, pa.Table | pd.DataFrame]) -> dict[str, pa.Table]:
    found = _unknown_kinds(tables)
    if found:
        raise CheckError(found)
    arrow = {}
    for kind, table in tables.items():
        if isinstance(table, pa.Table):
            arrow[kind] = table
        else:
            arrow[kind], bad = _from_frame(kind, table)
            found += bad
    if found:
        raise CheckError(found)
    return arrow


def _from_frame(kind: str, frame: pd.DataFrame) -> tuple[pa.Table, list[Finding]]:
    names = [str(name) for name in frame.columns]
    known = TABLES[kind].by_name
    found = unknown_columns(kind, names) + [
        Finding("unknown_column", kind, 0, str(name), "is the index of the frame", "call reset_index() first")
        for name in frame.index.names
        if name in known and name not in names
    ]
    arrays: dict[str, Any] = {name: empty_column(schema, len(frame)) for name, schema in known.items() if schema.required}
    for position, name in enumerate(names):
        if name in known:
            arrays[name], bad = from_values(kind, known[name], frame.iloc[:, position])
            found += bad
    return (pa.table(arrays) if not found else pa.table({})), found

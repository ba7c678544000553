"""A network as its checks see it: node ids as positions, markets as pairs, and the register of checks.

A check is a function of a view that yields findings; decorating it with :func:`check` is all it takes to be run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphs.errors import Finding
from graphs.schema import NODES, TABLES, USD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from graphs.network import Network

    Checker = Callable[["View"], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its name.

    Attributes
    ----------
    name
        What its findings bear.
    doc
        What it refuses, in a line.
    whole
        Whether it asks that a network be complete, with every market, bracket and opposite side in place.
    run
        The function.
    """

    name: str
    doc: str
    whole: bool
    run: Checker


CHECKS: dict[str, Check] = {}
"""Every check by its name, in the order in which they run."""


def check(*, whole: bool = False) -> Callable[[Checker], Checker]:
    """Register a function as the check that bears its name."""

    def register(run: Checker) -> Checker:
        CHECKS[run.__name__] = Check(run.__name__, (run.__doc__ or "").split("\n", 1)[0], whole, run)
        return run

    return register


class View:
    """What several checks need to know of a network, worked out once.

    Parameters
    ----------
    net
        The network.

    Notes
    -----
    A node's position counts through all four kinds in the order of the schema; USD stands behind the last.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        counts = [net.count(kind) for kind in NODES]
        self.starts = dict(zip(NODES, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))
        self.nodes = sum(counts)

    @cached_property
    def ids(self) -> pa.ChunkedArray:
        """Ids of all nodes by position, USD behind them."""
        parts = [self.net.column(kind, "id").cast(pa.string()) for kind in NODES]
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks] + [pa.array([USD])])

    def codes(self, kind: str, column: str) -> NDArray[np.int32]:
        """Position of the node that each cell refers to; -1 where there is none."""
        return self._found[kind, column]

    @property
    def first_with_id(self) -> NDArray[np.int32]:
        """Position of the first node that has the id of each node, -1 where that is empty."""
        return self._found["", "id"][: self.nodes]

    @cached_property
    def _found(self) -> dict[tuple[str, str], NDArray[np.int32]]:
        """Look up every reference of the network, and every id, in one pass over all of their words."""
        columns = {("", "id"): self.ids}
        for kind, table in TABLES.items():
            columns |= {(kind, column.name): self.net.column(kind, column.name) for column in table.columns if column.refers}
        words = [chunk.dictionary if _is_encoded(chunk) else chunk for column in columns.values() for chunk in column.chunks]
        numbers = _first_positions(pa.chunked_array(words, pa.string()), self.nodes + 1)
        found, start = {}, 0
        for name, column in columns.items():
            parts = [np.empty(0, dtype=np.int32)]
            for chunk in column.chunks:
                own = numbers[start : start + len(chunk.dictionary if _is_encoded(chunk) else chunk)]
                start += len(own)
                parts.append(np.append(own, np.int32(-1))[np.asarray(chunk.indices.fill_null(len(own)))] if _is_encoded(chunk) else own)
            found[name] = np.concatenate(parts)
        return found

    def of_kinds(self, codes: NDArray[np.int32], kinds: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each position is that of a node of these kinds; the word USD stands for itself."""
        found = np.zeros(len(codes), dtype=np.bool_)
        for kind in kinds:
            start = self.nodes if kind == USD else self.starts[kind]
            end = self.nodes + 1 if kind == USD else start + self.net.count(kind)
            found |= (codes >= start) & (codes < end)
        return found

    def kind_at(self, code: int) -> str:
        """Kind of the node at a position."""
        return next(kind for kind in reversed(NODES) if self.starts[kind] <= code and self.net.count(kind))

    def pairs(self, kind: str, exchange: str = "exchange", asset: str = "asset") -> NDArray[np.int64]:
        """Exchange and asset of each row as one number, negative where one of them is unknown."""
        venue, coin = self.codes(kind, exchange), self.codes(kind, asset)
        pair = venue.astype(np.int64) * (self.nodes + 1) + coin
        pair[(venue < 0) | (coin < 0)] = -1
        return pair

    def pair_name(self, pair: int) -> str:
        """Exchange and asset of a pair, in words."""
        exchange, asset = divmod(int(pair), self.nodes + 1)
        return f"{self.ids[asset].as_py()} at {self.ids[exchange].as_py()}"

    def market_pairs(self, instrument: str) -> NDArray[np.int64]:
        """Pairs that have a market of this instrument, sorted."""
        return np.unique(self.pairs("market")[self.is_word("market", "instrument", instrument)])

    def is_word(self, kind: str, column: str, word: str) -> NDArray[np.bool_]:
        """Whether each cell of a text column is ``word``, by default or written."""
        return np.asarray(self.net.codes(kind, column, [word]) == 0)

    def is_empty(self, kind: str, column: str) -> NDArray[np.bool_]:
        """Whether each cell is empty."""
        return np.array(pc.is_null(self.net.column(kind, column)).to_numpy())

    def cells(self, kind: str, column: str, rows: NDArray[Any]) -> list[str]:
        """Cells of some rows as text."""
        taken = self.net.column(kind, column).take(pa.array(rows, pa.int64())).to_pylist()
        default = TABLES[kind].by_name[column].default
        values = [default if cell is None else cell for cell in taken]
        return ["empty" if value is None else repr(value) for value in values]

    def report(self, name: str, kind: str, column: str, bad: NDArray[np.bool_], remedy: str | Callable[[int], str]) -> Iterator[Finding]:
        """Yield a finding for each row where ``bad`` holds; a callable remedy gets the row's position."""
        rows = np.flatnonzero(bad)
        if len(rows):
            for row, value in zip(rows.tolist(), self.cells(kind, column, rows), strict=True):
                yield Finding(name, kind, row + 1, column, value, remedy if isinstance(remedy, str) else remedy(row))


def _is_encoded(chunk: pa.Array) -> bool:
    return bool(pa.types.is_dictionary(chunk.type))


def _first_positions(words: pa.ChunkedArray, known: int) -> NDArray[np.int32]:
    """Position at which each word first stands among the first ``known``; -1 where it does not, or is empty."""
    chunks = words.dictionary_encode().chunks
    codes = np.concatenate([np.asarray(chunk.indices.fill_null(-1), dtype=np.int32) for chunk in chunks])
    # Codes count distinct words in the order in which they come, so each new one is one above all before it.
    highest = np.maximum.accumulate(codes[:known])
    first = np.flatnonzero(np.diff(highest, prepend=np.int32(-1)))
    place = np.full(max(int(codes.max()) + 1, len(first)) + 1, -1, dtype=np.int32)
    place[: len(first)] = first
    return np.asarray(place[codes], dtype=np.int32)


def positions(values: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each value in ``among``, -1 where it is not there."""
    found = pc.index_in(pa.array(values), value_set=pa.array(among))
    return np.array(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distinct values, sorted: by sorting, as hashing is slow where most are distinct."""
    ordered = np.sort(values)
    return np.asarray(ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0], dtype=np.int64)


def repeated(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows whose key an earlier row has, and the first row that has it."""
    ordered = np.sort(key)
    twice = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(np.isin(key, twice))
    _, first, inverse = np.unique(key[rows], return_index=True, return_inverse=True)
    later = first[inverse] != np.arange(len(rows))
    return rows[later], rows[first[inverse]][later]

"""Checks of identity: who is who, who is referred to, and what is there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphs.checks.view import View, check, distinct, positions, repeated
from graphs.columns import did_you_mean
from graphs.errors import Finding
from graphs.schema import NODES, TABLES, USD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from graphs.schema import Column

_SUGGESTIONS = 200
"""Distinct unknown ids that get a suggestion: comparing words is slow."""
_COMPARED = 2000
"""Known ids that one unknown id is compared with at most."""

_LARGEST_KEY = 2**62


@check()
def reserved_id(view: View) -> Iterator[Finding]:
    """A node that is called USD."""
    for kind in NODES:
        bad = view.is_word(kind, "id", USD)
        yield from view.report("reserved_id", kind, "id", bad, "remove the row: the settlement currency needs none")


@check()
def duplicate_id(view: View) -> Iterator[Finding]:
    """An id that two nodes have, of whatever kinds."""
    first = view.first_with_id
    bad = (first != np.arange(view.nodes)) & (first >= 0)
    for position, earlier in zip(np.flatnonzero(bad).tolist(), first[bad].tolist(), strict=True):
        kind, other = view.kind_at(position), view.kind_at(earlier)
        row, other_row = position - view.starts[kind] + 1, earlier - view.starts[other] + 1
        remedy = f"rename one of the two: row {other_row} of table {other} has the id too"
        yield Finding("duplicate_id", kind, row, "id", repr(view.ids[position].as_py()), remedy)


@check()
def unknown_id(view: View) -> Iterator[Finding]:
    """A reference to a node that is not there, or is of the wrong kind."""
    for kind in view.net.tables:
        for column in TABLES[kind].columns:
            if not column.refers:
                continue
            codes = view.codes(kind, column.name)
            bad = ~view.of_kinds(codes, column.refers)
            if bad.any():
                bad &= ~view.is_empty(kind, column.name)
            if bad.any():
                yield from _unknown(view, kind, column, bad, codes)


def _unknown(view: View, kind: str, column: Column, bad: NDArray[np.bool_], codes: NDArray[np.int32]) -> Iterator[Finding]:
    kinds = [name for name in column.refers if name == USD or view.net.count(name)]
    wanted = " or ".join(column.refers)
    if not kinds:
        yield Finding("unknown_id", kind, 0, column.name, f"the network has no {wanted}", f"add the table {wanted}")
        return
    name_one = f"name {_one(wanted)}"
    words = view.net.strings(kind, column.name)
    remedies: dict[str, str] = {}

    def remedy(row: int) -> str:
        word = words[row]
        if word not in remedies:
            if word == USD and column.name == "asset":
                remedies[word] = "take the row out: USD off exchange is the cash of a trader" if kind == "holding" else name_one
            elif codes[row] >= 0:
                remedies[word] = f"{name_one}: that is {_one('currency' if word == USD else view.kind_at(int(codes[row])))}"
            else:
                known = _alike(view, word, kinds) if len(remedies) < _SUGGESTIONS else []
                remedies[word] = did_you_mean(word, known, f"add it to table {wanted}, or name one that is there")
        return remedies[word]

    yield from view.report("unknown_id", kind, column.name, bad, remedy)


def _one(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _alike(view: View, word: str, kinds: Sequence[str]) -> list[str]:
    """Known ids to compare a word with: all of them while they are few, else those that begin alike."""
    found: list[str] = []
    for kind in kinds:
        if kind == USD:
            found.append(USD)
            continue
        ids = view.net.column(kind, "id").cast(pa.string())
        if len(ids) > _COMPARED:
            ids = ids.filter(pc.starts_with(ids, word[:2], ignore_case=True))
        found += [name for name in ids.slice(0, _COMPARED).to_pylist() if name]
    return found


@check()
def duplicate_key(view: View) -> Iterator[Finding]:
    """An edge that is there twice."""
    for kind, table in TABLES.items():
        if table.is_edge and view.net.count(kind) > 1:
            rows, first = repeated(_key(view, kind, table.key))
            for row, earlier in zip(rows.tolist(), first.tolist(), strict=True):
                at = np.array([row])
                value = ", ".join(view.cells(kind, column, at)[0] for column in table.key)
                remedy = f"merge the two, or remove one: row {earlier + 1} has the same {', '.join(table.key)}"
                yield Finding("duplicate_key", kind, row + 1, table.key[0], value, remedy)


def _key(view: View, kind: str, columns: Sequence[str]) -> NDArray[np.int64]:
    """One number a row that two rows share only when they share all of these columns."""
    key, most = np.zeros(view.net.count(kind), dtype=np.int64), 1
    for name in columns:
        column = TABLES[kind].by_name[name]
        if column.dtype != "string":
            part = np.unique(view.net.numbers(kind, name), return_inverse=True)[1].astype(np.int64)
        elif column.refers:
            part = _words(view, kind, name, view.codes(kind, name), view.nodes + 1)
        else:
            part = _words(view, kind, name, view.net.codes(kind, name, column.choices), len(column.choices))
        part -= part.min()  # positions of exchanges lie behind those of all traders
        size = int(part.max()) + 1
        if most > _LARGEST_KEY // size:
            values = distinct(key)
            key, most = positions(key, values), len(values)
        key, most = key * size + part, most * size
    return key


def _words(view: View, kind: str, column: str, codes: NDArray[np.int32] | NDArray[np.int64], known: int) -> NDArray[np.int64]:
    """Codes in which unknown words differ from each other too."""
    part = codes.astype(np.int64)
    missing = np.flatnonzero(part < 0)
    if len(missing):
        words = view.net.strings(kind, column)[missing].astype(str)
        part[missing] = known + np.unique(words, return_inverse=True)[1]
    return part


@check()
def self_edge(view: View) -> Iterator[Finding]:
    """A loan of a node to itself, or a coin that backs itself."""
    for kind, remedy in (("credit", "name two different nodes"), ("backing", "back the coin with another")):
        source, target = TABLES[kind].source, TABLES[kind].target
        codes = view.codes(kind, source)
        yield from view.report("self_edge", kind, target, (codes >= 0) & (codes == view.codes(kind, target)), remedy)

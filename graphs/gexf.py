"""A graph as readers of GEXF take it: arrays of nodes and edges with looks, columns and rounds, and what these must satisfy.

An edge runs from ``edge_source`` to ``edge_target``, both indices of nodes. Rounds are whole numbers from 0 to ``rounds``. Rows are
counted from 1 in what a check says. :mod:`graphs.gephi` writes such a graph, :mod:`graphs.gexf_lint` looks at files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import date as calendar_date
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from graphs.errors import Finding, GraphError

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, np.dtype[Any]]
GexfType = Literal["string", "double", "integer", "boolean"]

SMALLEST: Final = 4.0
LARGEST: Final = 100.0
"""Gephi's automatic scaling leaves sizes alone when the smallest node has ``SMALLEST`` and the largest ``LARGEST``."""
WIDEST: Final = 10.0
"""Largest edge weight: Gephi Lite draws the weight itself as thickness."""
FARTHEST: Final = 4800.0
"""Bound of \\|x\\| and \\|y\\|: Gephi cuts off at 5,000, after moving the centroid to the origin."""
ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even as references."""
RESERVED: Final = frozenset({"id", "label", "weight", "start", "end", "timeset", "source", "target", "type", "kind", "pid", "viz"})
LOOKS: Final = frozenset({"color", "size", "thickness", "x", "y", "z"})
"""Column names, with ``RESERVED``, that some reader takes for something of its own."""
INT32: Final = 2**31
BRIGHTEST: Final = 255

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BREAK = re.compile("[\t\n\r]")
_DTYPES = {"string": "OTU", "double": "fiu", "integer": "iu", "boolean": "b"}
_SCAN = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class GexfColumn:
    """A column that holds one value for each node or edge.

    Attributes
    ----------
    name
        Lower-case letters, digits and underscores, a letter first; the header that a reader shows.
    type
        ``integer`` is written as ``long`` where a value needs more than 32 bits.
    values
        One value a row. An empty text, None and NaN are missing.
    missing
        True where a row has no value: the way to leave out an integer or a boolean.
    """

    name: str
    type: GexfType
    values: Array
    missing: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GexfChanges:
    """A column of the nodes that changes over the rounds, as the list of its changes.

    Attributes
    ----------
    name, type
        As in :class:`GexfColumn`.
    node, start, values
        The value that the node with that index takes in that round, ascending by node and then by round. A missing value
        ends the one before it.
    """

    name: str
    type: GexfType
    node: Array
    start: Array
    values: Array

    @classmethod
    def from_events(cls, name: str, kind: GexfType, *, node: Array, start: Array, values: Array) -> GexfChanges:
        """Sort events by node and round, and leave out those that change nothing.

        Of several events of one node in one round the last in the list stands.

        Examples
        --------
        >>> import numpy as np
        >>> events = {"node": np.array([1, 0, 1]), "start": np.array([0, 0, 3]), "values": np.array(["a", "b", "a"], object)}
        >>> GexfChanges.from_events("state", "string", **events).node.tolist()
        [0, 1]
        """
        order = np.lexsort((start, node))
        node, start, values = node[order], start[order], values[order]
        last = np.ones(len(node), dtype=bool)
        last[:-1] = (node[1:] != node[:-1]) | (start[1:] != start[:-1])
        node, start, values = node[last], start[last], values[last]
        new = np.ones(len(node), dtype=bool)
        new[1:] = (node[1:] != node[:-1]) | (values[1:] != values[:-1])
        if values.dtype.kind == "f":  # NaN after NaN is no change
            new[1:] &= (node[1:] != node[:-1]) | ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
        return cls(name, kind, node[new], start[new], values[new])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GexfGraph:
    """A directed multigraph with looks, columns and rounds, as arrays.

    Attributes
    ----------
    node_ids, node_labels
        Text, one a node; ids unique; labels not empty, and best within 25 characters.
    colours, sizes, positions
        Red, green and blue from 0 to 255; see :func:`graphs.gephi.rank_sizes`; x and y, see :mod:`graphs.layout`.
    node_columns, node_changes
        Columns of constant or final values, and columns that change over the rounds.
    edge_source, edge_target
        Indices of nodes.
    edge_kinds, edge_kind
        Names of the kinds, and for each edge an index into them. Parallel edges need different kinds.
    edge_weight
        Thickness above 0 and up to 10, see :func:`graphs.gephi.log_weights`; the exact amount belongs in a ``double`` column.
    edge_columns
        Columns of the edges.
    edge_start, edge_end
        First round in which an edge is there, and first in which it is gone again (``rounds + 1`` = it stays); both or neither.
    rounds
        Number of the last round: the timeline is [0, rounds].
    title, description, keywords, date
        For the head of the file; the date as YYYY-MM-DD, or empty.

    Raises
    ------
    GraphError
        If arrays that belong together differ in length.
    """

    node_ids: Array
    node_labels: Array
    colours: Array
    sizes: Array
    positions: Array
    node_columns: tuple[GexfColumn, ...] = ()
    node_changes: tuple[GexfChanges, ...] = ()
    edge_source: Array
    edge_target: Array
    edge_kinds: tuple[str, ...]
    edge_kind: Array
    edge_weight: Array
    edge_columns: tuple[GexfColumn, ...] = ()
    edge_start: Array | None = None
    edge_end: Array | None = None
    rounds: int = 0
    title: str = ""
    description: str = ""
    keywords: str = ""
    date: str = ""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together: no check of values could be made of them."""
        n, m = len(self.node_ids), len(self.edge_source)
        shapes: dict[str, tuple[int, ...]] = {"colours": (n, 3), "positions": (n, 2)}
        shapes |= dict.fromkeys(("node_ids", "node_labels", "sizes"), (n,))
        shapes |= dict.fromkeys(("edge_source", "edge_target", "edge_kind", "edge_weight", "edge_start", "edge_end"), (m,))
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        wrong = [
            f"{name} {given[name].shape} not {shape}"
            for name, shape in shapes.items()
            if given[name] is not None and given[name].shape != shape
        ]
        for side, length, columns in (("node", n, self.node_columns), ("edge", m, self.edge_columns)):
            for column in columns:
                arrays = [array for array in (column.values, column.missing) if array is not None]
                wrong += [f"{side} column {column.name} {array.shape} not {(length,)}" for array in arrays if array.shape != (length,)]
        for changes in self.node_changes:
            if not changes.node.shape == changes.start.shape == changes.values.shape == (changes.node.size,):
                wrong.append(f"the node, start and values of changes {changes.name} differ")
        if (self.edge_start is None) != (self.edge_end is None):
            wrong.append("edge_start and edge_end come together")
        if wrong:
            raise GraphError(f"the arrays of the graph differ in shape: {'; '.join(wrong)}; give one row for each node and each edge")


def toy_graph() -> GexfGraph:
    """A trader with a position and collateral on one exchange over three rounds: the smallest graph that uses everything.

    Examples
    --------
    >>> toy_graph().node_ids.tolist()
    ['EX', 'fund']
    """
    return GexfGraph(
        node_ids=np.array(["EX", "fund"], dtype=object),
        node_labels=np.array(["Exchange", "Fund"], dtype=object),
        colours=np.array([[0, 114, 178], [86, 180, 233]]),
        sizes=np.array([LARGEST, SMALLEST]),
        positions=np.array([[-100.0, 0.0], [100.0, 0.0]]),
        node_columns=(GexfColumn("default_round", "integer", np.array([0, 2]), missing=np.array([True, False])),),
        node_changes=(GexfChanges("equity", "double", np.array([0, 1, 1]), np.array([0, 0, 2]), np.array([5e6, 1e6, -2e5])),),
        edge_source=np.array([1, 1]),
        edge_target=np.array([0, 0]),
        edge_kinds=("margin", "collateral"),
        edge_kind=np.array([0, 1]),
        edge_weight=np.array([10.0, 1.0]),
        edge_columns=(GexfColumn("usd", "double", np.array([3e6, 1e6])),),
        edge_start=np.array([0, 0]),
        edge_end=np.array([2, 4]),
        rounds=3,
        title="toy",
    )


def check_graph(graph: GexfGraph) -> list[Finding]:
    """List everything in a graph that a reader of its file would drop, change or refuse.

    Returns
    -------
    list[Finding]
        All bad rows, table ``nodes``, ``edges`` or ``graph``; empty if the graph can be written.

    Examples
    --------
    >>> check_graph(toy_graph())
    []
    """
    return [*_check_head(graph), *_check_columns(graph), *_check_nodes(graph), *_check_edges(graph)]


def _found(check: str, place: str, bad: Array, values: Array, remedy: str) -> Iterator[Finding]:
    """One finding for each row where ``bad``; a place is a table and a column."""
    table, column = place.split(maxsplit=1)
    for row in np.flatnonzero(bad):
        yield Finding(check, table, int(row) + 1, column, repr(values[row : row + 1].tolist()[0]), remedy)


def _check_head(graph: GexfGraph) -> Iterator[Finding]:
    if graph.rounds < 0:
        yield Finding("rounds", "graph", 0, "rounds", str(graph.rounds), "count rounds from 0")
    for name in ("title", "description", "keywords"):
        if ILLEGAL.search(getattr(graph, name)):
            yield Finding("head", "graph", 0, name, repr(getattr(graph, name)), "remove control characters and lone surrogates")
    if graph.date and not _is_date(graph.date):
        yield Finding("head", "graph", 0, "date", repr(graph.date), "write it as YYYY-MM-DD")
    for kind in graph.edge_kinds:
        if not kind.strip() or ILLEGAL.search(kind) or graph.edge_kinds.count(kind) > 1:
            yield Finding("edge_kind", "graph", 0, "edge_kinds", repr(kind), "name each kind of edge once, in plain text")


def _is_date(text: str) -> bool:
    try:
        return calendar_date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _check_columns(graph: GexfGraph) -> Iterator[Finding]:
    sides: dict[str, tuple[GexfColumn | GexfChanges, ...]] = {
        "nodes": (*graph.node_changes, *graph.node_columns),
        "edges": graph.edge_columns,
    }
    for table, columns in sides.items():
        names = [column.name for column in columns]
        for column in columns:
            name = column.name
            if not _NAME.fullmatch(name) or name in RESERVED | LOOKS or "interval" in name or "timestamp" in name or names.count(name) > 1:
                remedy = "name each column once, in lower-case letters, digits and underscores, and not as a reader's own"
                yield Finding("column_name", table, 0, name, repr(name), remedy)
            yield from _check_values(column, table)
    for changes in graph.node_changes:
        yield from _check_changes(changes, len(graph.node_ids), graph.rounds)


def _check_values(column: GexfColumn | GexfChanges, table: str) -> Iterator[Finding]:
    values, place = column.values, f"{table} {column.name}"
    if isinstance(column, GexfColumn) and column.missing is not None and column.missing.dtype.kind != "b":
        yield Finding("column_type", table, 0, column.name, f"missing of {column.missing.dtype}", "give booleans")
    if values.dtype.kind not in _DTYPES.get(column.type, ""):
        remedy = "give texts for string, floats for double, whole numbers for integer, booleans for boolean"
        yield Finding("column_type", table, 0, column.name, f"{column.type} from {values.dtype}", remedy)
    elif column.type == "string":
        yield from _check_texts("column_text", place, values, empty=True, breaks=True)
    elif values.dtype.kind == "u" and column.type == "integer":
        yield from _found("column_value", place, values > np.iinfo(np.int64).max, values, "stay below 2**63")


def _check_texts(check: str, place: str, values: Array, *, empty: bool, breaks: bool) -> Iterator[Finding]:
    """Texts that are no text, hold what XML cannot, are empty, or hold a line break where that is not allowed."""
    remedy = "give text without control characters" + ("" if empty else ", not empty") + ("" if breaks else ", on one line")

    def is_bad(value: object) -> bool:
        if value is None or value == "":
            return not empty
        if not isinstance(value, str) or ILLEGAL.search(value):
            return True
        return not ((empty or value.strip()) and (breaks or not _BREAK.search(value)))

    for low in range(0, len(values), _SCAN):
        chunk = values[low : low + _SCAN]
        rows: list[Any] = chunk.tolist()
        if set(map(type, rows)) == {str} and (empty or all(map(str.strip, rows))):
            joined = "".join(rows)
            if not ILLEGAL.search(joined) and (breaks or not _BREAK.search(joined)):
                continue  # most chunks end here, many times faster than row by row
        bad = np.fromiter(map(is_bad, rows), dtype=bool, count=len(rows))
        for finding in _found(check, place, bad, chunk, remedy):
            yield replace(finding, row=finding.row + low)


def _check_changes(changes: GexfChanges, count: int, rounds: int) -> Iterator[Finding]:
    node, start, place = changes.node, changes.start, f"nodes {changes.name}"
    for name, array, high in (("node", node, count - 1), ("start", start, rounds)):
        if array.dtype.kind not in _DTYPES["integer"]:
            yield Finding("changes", "nodes", 0, changes.name, f"{name} of {array.dtype}", "give whole numbers")
        yield from _found("changes", place, ~((array >= 0) & (array <= high)), array, f"give a {name} from 0 to {high}")
    bad = np.zeros(len(node), dtype=bool)
    bad[1:] = (node[1:] < node[:-1]) | ((node[1:] == node[:-1]) & (start[1:] <= start[:-1]))
    yield from _found("changes", place, bad, start, "sort changes by node and round, one a round (GexfChanges.from_events)")


def _check_nodes(graph: GexfGraph) -> Iterator[Finding]:
    yield from _check_texts("node_id", "nodes id", graph.node_ids, empty=False, breaks=False)
    yield from _check_unique_ids(graph.node_ids)
    yield from _check_texts("node_label", "nodes label", graph.node_labels, empty=False, breaks=True)
    colours, sizes, positions = graph.colours, graph.sizes, graph.positions
    if colours.dtype.kind not in _DTYPES["integer"]:
        yield Finding("colour", "nodes", 0, "colours", str(colours.dtype), "give whole numbers")
    dim = ~np.asarray((colours >= 0) & (colours <= BRIGHTEST)).all(axis=1)
    yield from _found("colour", "nodes colours", np.asarray(dim), colours, f"give whole numbers from 0 to {BRIGHTEST}")
    yield from _found("size", "nodes sizes", ~((sizes >= SMALLEST) & (sizes <= LARGEST)), sizes, "scale sizes to 4..100 (rank_sizes)")
    low, high = sizes.min(initial=LARGEST), sizes.max(initial=SMALLEST)
    if low < high and (low > SMALLEST or high < LARGEST):
        yield Finding("size", "nodes", 0, "sizes", f"{low:g}..{high:g}", "let the smallest be 4 and the largest 100 (rank_sizes)")
    far = ~np.asarray(np.abs(positions) < FARTHEST).all(axis=1)
    yield from _found("position", "nodes positions", np.asarray(far), positions, f"keep x and y within {FARTHEST:g} of 0")


def _repeated(keys: Array) -> Iterator[int]:
    """Rows, from 0, whose key stands in another row too."""
    ordered = np.sort(keys)
    yield from np.flatnonzero(np.isin(keys, ordered[1:][ordered[1:] == ordered[:-1]])).tolist()


def _check_unique_ids(ids: Array) -> Iterator[Finding]:
    # hashes are numbers, so a million of them sort in a fraction of the memory and time of a million texts
    first: dict[str, int] = {}
    for row in _repeated(np.fromiter(map(hash, map(str, ids)), dtype=np.int64, count=len(ids))):
        seen = first.setdefault(str(ids[row]), row + 1)
        if seen <= row:
            yield Finding("node_id", "nodes", row + 1, "id", f"{str(ids[row])!r}, as in row {seen}", "give each node an id of its own")


def _check_edges(graph: GexfGraph) -> Iterator[Finding]:
    n, kinds = len(graph.node_ids), len(graph.edge_kinds)
    whole = True
    for name, array, count in (("source", graph.edge_source, n), ("target", graph.edge_target, n), ("kind", graph.edge_kind, kinds)):
        bad = ~((array >= 0) & (array < count))
        if array.dtype.kind not in _DTYPES["integer"]:
            whole = False
            yield Finding("edge_index", "edges", 0, name, str(array.dtype), "give whole numbers")
        whole = whole and not bad.any()
        yield from _found("edge_index", f"edges {name}", bad, array, f"give an index from 0 to {count - 1}")
    if whole:
        yield from _check_parallel(graph)
    thin = ~((graph.edge_weight >= np.finfo(np.float32).tiny) & (graph.edge_weight <= WIDEST))
    yield from _found("weight", "edges weight", thin, graph.edge_weight, f"give a weight above 0 and up to {WIDEST:g} (log_weights)")
    if graph.edge_start is not None and graph.edge_end is not None:
        start, end = graph.edge_start, graph.edge_end
        if not {start.dtype.kind, end.dtype.kind} <= set(_DTYPES["integer"]):
            yield Finding("edge_time", "edges", 0, "start, end", f"{start.dtype}, {end.dtype}", "give whole rounds")
        bad = ~((start >= 0) & (start < end) & (start <= graph.rounds) & (end <= graph.rounds + 1))
        yield from _found("edge_time", "edges start, end", bad, np.column_stack([start, end]), "let 0 <= start < end <= rounds + 1")


def _check_parallel(graph: GexfGraph) -> Iterator[Finding]:
    keys = graph.edge_source.astype(np.int64)
    for factor, array in ((len(graph.node_ids), graph.edge_target), (len(graph.edge_kinds), graph.edge_kind)):
        keys *= factor
        keys += array.astype(np.int64, copy=False)
    first: dict[int, int] = {}
    for row in _repeated(keys):
        seen = first.setdefault(int(keys[row]), row + 1)
        if seen <= row:
            ends = graph.node_ids[[graph.edge_source[row], graph.edge_target[row]]].tolist()
            value = f"{(*ends, graph.edge_kinds[graph.edge_kind[row]])!r}, as in row {seen}"
            yield Finding(
                "edge_twice", "edges", row + 1, "source, target, kind", value, "merge edges that share all three, or give them kinds"
            )

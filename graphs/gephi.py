"""Graphs for Gephi: GEXF 1.3 written in a stream, a pair of CSV tables as the fallback, and the looks of nodes and edges.

The file is what Gephi Desktop 0.10, Gephi Lite 0.6, graphology-gexf 0.13 and networkx 3.6 all read as it is meant; the rules stand in
:mod:`graphs.gexf_lint`. A value that holds from round a until it changes in round b is written as the interval [a, (b - 1).999],
because Desktop shows the *old* value where two intervals touch. Columns that change come in a block before the others, because Lite
keeps the last block only; ids are readable, because Lite shows them. Edges carry no colour, so that they take that of their ends.

A file is a function of the graph alone: no clock, host or hash order enters it. Memory beside the arrays of the graph is one chunk of
rows, and eight bytes a row while uniqueness is checked.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from graphs.errors import CheckError, Finding, GraphError
from graphs.files import WriteError, staged_file
from graphs.gexf import INT32, LARGEST, SMALLEST, Array, GexfChanges, GexfColumn, GexfGraph, check_graph

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

CREATOR: Final = "contagion-graph"
CHUNK_ROWS: Final = 16_384

GREY: Final = (170, 170, 170)
BLACK, ORANGE, SKY_BLUE, BLUISH_GREEN = (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115)
YELLOW, BLUE, VERMILLION, REDDISH_PURPLE = (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)
KIND_COLOURS: Final = {"trader": SKY_BLUE, "asset": ORANGE, "stablecoin": BLUISH_GREEN, "exchange": BLUE}
"""Colour of each kind of node, from the colour-blind-safe set of Okabe and Ito (2008)."""
STATE_COLOURS: Final = {
    "sound": GREY,
    "shocked": BLACK,
    "stressed": YELLOW,
    "liquidated": ORANGE,
    "deleveraged": SKY_BLUE,
    "halted": BLUE,
    "depegged": REDDISH_PURPLE,
    "defaulted": VERMILLION,
}
"""Colour of each state of a node, from the same set; the grey of the untouched recedes."""

_REFERENCES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})
_SPECIAL = re.compile('[&<>"\t\n\r]')


def rank_sizes(values: Array) -> Array:
    """Node sizes from 4 to 100 by the eighth power of the rank, so that most nodes are small and the largest stand out.

    Equal values get equal sizes, NaN counts as the smallest value; all equal gives 4 throughout.

    Examples
    --------
    >>> import numpy as np
    >>> rank_sizes(np.array([5.0, 1.0, 3.0])).tolist()
    [100.0, 4.0, 4.375]
    """
    filled = np.where(np.isnan(values), -np.inf, values.astype(np.float64))
    rank = np.searchsorted(np.sort(filled), filled, side="left").astype(np.float64)
    top = rank.max(initial=0.0)
    return SMALLEST + (LARGEST - SMALLEST) * (rank / top if top > 0.0 else rank) ** 8


def log_weights(usd: Array) -> Array:
    """Edge weights from 1 to 10 by the logarithm of an amount; what is below a millionth of the largest gets 1.

    All equal gives 1 throughout. The sign of an amount belongs in a column of its own: a reader drops or breaks what is not positive.

    Raises
    ------
    CheckError
        If an amount is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> log_weights(np.array([0.0, 1.0, 100.0, 10000.0])).tolist()
    [1.0, 1.0, 5.5, 10.0]
    """
    amounts = usd.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(amounts) & (amounts >= 0.0)))
    if len(bad):
        remedy = "give finite amounts that are not negative, the sign in a column of its own"
        raise CheckError([Finding("weight", "edges", int(row) + 1, "weight", str(amounts[row]), remedy) for row in bad])
    weights = np.ones(len(amounts))
    some = amounts > 0.0
    if some.any():
        high = amounts.max()
        low = max(amounts[some].min(), high * 1e-6)
        if high > low > 0.0:
            weights[some] += 9.0 * np.minimum(np.log(np.maximum(amounts[some], low) / low) / np.log(high / low), 1.0)
    return weights


def palette_colours(names: Sequence[str] | Array, palette: Mapping[str, tuple[int, int, int]]) -> Array:
    """One row of red, green and blue for each name.

    Raises
    ------
    GraphError
        If the palette lacks a name.

    Examples
    --------
    >>> palette_colours(["asset", "exchange"], KIND_COLOURS).tolist()
    [[230, 159, 0], [0, 114, 178]]
    """
    unknown = sorted(set(names) - set(palette))
    if unknown:
        raise GraphError(f"no colour for {', '.join(map(repr, unknown))}; the palette has {', '.join(palette)}")
    return np.array([palette[name] for name in names], dtype=np.uint8).reshape(len(names), 3)


def write_gexf(graph: GexfGraph, path: str | os.PathLike[str], *, static: bool = False) -> None:
    """Write a graph as GEXF 1.3.

    Parameters
    ----------
    graph
        What to write.
    path
        A name that ends in ``.gexf``, or in ``.gexf.gz`` for a packed file, which Desktop opens as it is.
    static
        Leave out the timeline: one block of columns, those that change with their last value, and every edge. For Lite, and for
        readers that know nothing of time.

    Raises
    ------
    CheckError
        If a reader would drop, change or refuse something; all bad rows are listed.
    WriteError
        If the name ends otherwise or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from graphs.gexf import toy_graph
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_gexf(toy_graph(), f"{folder}/toy.gexf")
    ...     print(Path(f"{folder}/toy.gexf").read_text(encoding="utf-8").splitlines()[-4].partition("><")[0])
    <edge id="e1" source="fund" target="EX" weight="1" kind="collateral"
    """
    _require(graph)
    if not str(path).endswith((".gexf", ".gexf.gz")):
        raise WriteError(f"{path}: Gephi opens names that end in .gexf or .gexf.gz; choose such a name")
    with staged_file(path) as stage, stage.open("wb") as raw:
        if str(path).endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
                _write(packed, graph, static=static)
        else:
            _write(raw, graph, static=static)


def write_csv_pair(graph: GexfGraph, nodes: str | os.PathLike[str], edges: str | os.PathLike[str]) -> None:
    """Write a graph as the two tables that Gephi's import wizard takes, columns that change with their last value.

    The fallback where GEXF cannot be used: the wizard knows no colour, size, position or round.

    Raises
    ------
    CheckError, WriteError
        As :func:`write_gexf` does.
    """
    _require(graph)
    columns: list[GexfColumn | GexfChanges] = [*graph.node_changes, *graph.node_columns]
    with staged_file(nodes) as node_stage, staged_file(edges) as edge_stage:
        with node_stage.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["Id", "Label", *(column.name for column in columns)])
            for low, high in _chunks(len(graph.node_ids)):
                rows = graph.node_ids[low:high].tolist(), graph.node_labels[low:high].tolist()
                table.writerows(zip(*rows, *(_cells(column, low, high) for column in columns), strict=True))
        with edge_stage.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["Source", "Target", "Type", "Kind", "Id", "Weight", *(column.name for column in graph.edge_columns)])
            for low, high in _chunks(len(graph.edge_source)):
                ends = [graph.node_ids[index[low:high]].tolist() for index in (graph.edge_source, graph.edge_target)]
                kinds = [graph.edge_kinds[kind] for kind in graph.edge_kind[low:high].tolist()]
                fixed = (["Directed"] * (high - low), kinds, [f"e{row}" for row in range(low, high)], graph.edge_weight[low:high].tolist())
                table.writerows(zip(*ends, *fixed, *(_cells(column, low, high) for column in graph.edge_columns), strict=True))


def _require(graph: GexfGraph) -> None:
    findings = check_graph(graph)
    if findings:
        raise CheckError(findings)


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for low in range(0, count, CHUNK_ROWS):
        yield low, min(low + CHUNK_ROWS, count)


def _write(file: IO[bytes] | gzip.GzipFile, graph: GexfGraph, *, static: bool) -> None:
    file.write(_head(graph, static=static).encode())
    file.write(f'<nodes count="{len(graph.node_ids)}">\n'.encode())
    for low, high in _chunks(len(graph.node_ids)):
        file.write(_node_lines(graph, low, high, static=static).encode())
    file.write(f'</nodes>\n<edges count="{len(graph.edge_source)}">\n'.encode())
    for low, high in _chunks(len(graph.edge_source)):
        file.write(_edge_lines(graph, low, high, static=static).encode())
    file.write(b"</edges>\n</graph>\n</gexf>\n")


def _head(graph: GexfGraph, *, static: bool) -> str:
    about = ": ".join(text for text in (graph.title, graph.description) if text)
    elements = (("creator", CREATOR), ("keywords", graph.keywords), ("description", about))
    meta = "".join(f"<{name}>{_escape([text])[0]}</{name}>" for name, text in elements if text)
    dated = f' lastmodifieddate="{graph.date}"' if graph.date else ""
    if static:
        timing, blocks = 'mode="static"', _block("node", "static", [*graph.node_changes, *graph.node_columns])
    else:
        timing = 'mode="dynamic" timeformat="double" timerepresentation="interval"'
        blocks = _block("node", "dynamic", graph.node_changes) + _block("node", "static", graph.node_columns)
    blocks += _block("edge", "static", graph.edge_columns)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gexf xmlns="http://gexf.net/1.3" xmlns:viz="http://gexf.net/1.3/viz" version="1.3">\n'
        f"<meta{dated}>{meta}</meta>\n"
        f'<graph defaultedgetype="directed" idtype="string" {timing}>\n{blocks}'
    )


def _block(side: str, mode: str, columns: Sequence[GexfColumn | GexfChanges]) -> str:
    if not columns:
        return ""
    lines = [f'<attribute id="{column.name}" title="{column.name}" type="{_declared(column)}"/>\n' for column in columns]
    return f'<attributes class="{side}" mode="{mode}">\n{"".join(lines)}</attributes>\n'


def _declared(column: GexfColumn | GexfChanges) -> str:
    """Name the type; a whole number beyond 32 bits is lost in Desktop unless the column is ``long``."""
    if column.type == "integer" and column.values.size and (column.values.max() >= INT32 or column.values.min() < -INT32):
        return "long"
    return column.type


def _node_lines(graph: GexfGraph, low: int, high: int, *, static: bool) -> str:
    line = _Line('<node id="%s" label="%s"' + ("" if static else f' start="0" end="{graph.rounds}"') + ">")
    line.cells += [_escape(graph.node_ids[low:high].tolist()), _escape(graph.node_labels[low:high].tolist())]
    line.template += "<attvalues>"
    for changes in graph.node_changes:
        if static:
            line.add_attribute(changes, low, high)
        else:
            line.add("%s", _intervals(changes, low, high, graph.rounds))
    for column in graph.node_columns:
        line.add_attribute(column, low, high)
    line.add('</attvalues><viz:color r="%d" g="%d" b="%d"/>', *graph.colours[low:high].T.tolist())
    line.add('<viz:size value="%s"/>', np.round(graph.sizes[low:high].astype(np.float64), 3).tolist())
    line.add('<viz:position x="%s" y="%s"/></node>\n', *(np.round(graph.positions[low:high].astype(np.float64), 2) + 0.0).T.tolist())
    return line.text()


def _edge_lines(graph: GexfGraph, low: int, high: int, *, static: bool) -> str:
    line = _Line('<edge id="e%d" source="%s" target="%s" weight="%.6g" kind="%s"')
    kinds = _escape(list(graph.edge_kinds))
    line.cells.append(list(range(low, high)))
    line.cells += [_escape(graph.node_ids[index[low:high]].tolist()) for index in (graph.edge_source, graph.edge_target)]
    line.cells += [graph.edge_weight[low:high].tolist(), [kinds[kind] for kind in graph.edge_kind[low:high].tolist()]]
    if not static and graph.edge_start is not None and graph.edge_end is not None:
        lives = zip(graph.edge_start[low:high].tolist(), graph.edge_end[low:high].tolist(), strict=True)
        line.add("%s", ["" if a == 0 and b > graph.rounds else f' start="{a}" end="{_until(b, graph.rounds)}"' for a, b in lives])
    line.template += "><attvalues>"
    for column in graph.edge_columns:
        line.add_attribute(column, low, high)
    line.template += "</attvalues></edge>\n"
    return line.text()


class _Line:
    """A template with a place for each of some columns of cells: filling it is the fastest way to make many like lines."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.cells: list[list[Any]] = []

    def add(self, template: str, *cells: list[Any]) -> None:
        self.template += template
        self.cells += cells

    def add_attribute(self, column: GexfColumn | GexfChanges, low: int, high: int) -> None:
        values = _cells(column, low, high)
        if column.type == "string":
            values = _escape(values)
        if None in values:
            self.add("%s", ["" if value is None else f'<attvalue for="{column.name}" value="{value}"/>' for value in values])
        else:
            self.add(f'<attvalue for="{column.name}" value="%s"/>', values)

    def text(self) -> str:
        return "".join([self.template % row for row in zip(*self.cells, strict=True)])


def _cells(column: GexfColumn | GexfChanges, low: int, high: int) -> list[Any]:
    """Give the values of a slice of rows, changes by their last one, as text or plain numbers; None where missing."""
    if isinstance(column, GexfColumn):
        cells = _plain(column.type, column.values[low:high])
        if column.missing is not None:
            for row in np.flatnonzero(column.missing[low:high]).tolist():
                cells[row] = None
        return cells
    first, last = np.searchsorted(column.node, [low, high]).tolist()
    cells = [None] * (high - low)
    for row, value in zip((column.node[first:last] - low).tolist(), _plain(column.type, column.values[first:last]), strict=True):
        cells[row] = value
    return cells


def _plain(kind: str, values: Array) -> list[Any]:
    if kind == "string":
        return [value or None for value in values.tolist()]
    if kind == "boolean":
        return ["true" if value else "false" for value in values.tolist()]
    if kind == "integer" or np.isfinite(values).all():
        return list((values if kind == "integer" else values.astype(np.float64)).tolist())
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}  # Java and JavaScript read these, not Python's inf
    return [None if value != value else names.get(value, value) for value in values.astype(np.float64).tolist()]  # noqa: PLR0124 - NaN


def _intervals(changes: GexfChanges, low: int, high: int, rounds: int) -> list[str]:
    first, last = np.searchsorted(changes.node, [low, high]).tolist()
    node, start = changes.node[first:last].astype(np.int64), changes.start[first:last].astype(np.int64)
    end = np.full(len(node), rounds + 1)
    end[:-1] = np.where(node[1:] == node[:-1], start[1:], rounds + 1)
    values = _plain(changes.type, changes.values[first:last])
    if changes.type == "string":
        values = _escape(values)
    cells = [""] * (high - low)
    for row, value, a, b in zip((node - low).tolist(), values, start.tolist(), end.tolist(), strict=True):
        if value is not None:
            cells[row] += f'<attvalue for="{changes.name}" value="{value}" start="{a}" end="{_until(b, rounds)}"/>'
    return cells


def _until(end: int, rounds: int) -> str:
    return f"{end - 1}.999" if end <= rounds else f"{rounds}"


def _escape(texts: list[Any]) -> list[Any]:
    if not _SPECIAL.search("".join([text or "" for text in texts])):
        return texts
    return [text.translate(_REFERENCES) if text else text for text in texts]

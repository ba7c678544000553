"""A graph that a reader would drop, change or refuse in part is refused whole, with all its bad rows, and nothing is written."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from graphs.errors import CheckError, GraphError
from graphs.gephi import write_csv_pair, write_gexf
from graphs.gexf import GexfChanges, GexfColumn, GexfGraph, check_graph, toy_graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def looks(name: str, row: int, value: object) -> Callable[[GexfGraph], GexfGraph]:
    """Change one row of one of the arrays."""

    def change(graph: GexfGraph) -> GexfGraph:
        changed = getattr(graph, name).copy()
        changed[row] = value
        return replace(graph, **{name: changed})

    return change


def column(values: np.ndarray[Any, Any], kind: str, **options: Any) -> Callable[[GexfGraph], GexfGraph]:  # noqa: ANN401
    made = GexfColumn(options.pop("name", "extra"), kind, values, **options)  # type: ignore[arg-type]
    return lambda graph: replace(graph, node_columns=(*graph.node_columns, made))


def changes(node: list[Any], start: list[Any]) -> Callable[[GexfGraph], GexfGraph]:
    made = GexfChanges("extra", "double", np.array(node), np.array(start), np.zeros(len(node)))
    return lambda graph: replace(graph, node_changes=(made,))


@pytest.mark.parametrize(
    ("spoil", "check", "rows"),
    [
        (looks("node_ids", 1, "EX"), "node_id", [2]),
        (looks("node_ids", 1, ""), "node_id", [2]),
        (looks("node_ids", 0, "E\nX"), "node_id", [1]),
        (looks("node_ids", 0, "E\x01X"), "node_id", [1]),
        (looks("node_ids", 0, 7), "node_id", [1]),
        (looks("node_ids", 0, None), "node_id", [1]),
        (looks("node_labels", 0, "  "), "node_label", [1]),
        (looks("node_labels", 1, "\ud800"), "node_label", [2]),
        (looks("colours", 1, [0, 0, 256]), "colour", [2]),
        (looks("colours", 1, [-1, 0, 0]), "colour", [2]),
        (lambda graph: replace(graph, colours=graph.colours / 255.0), "colour", [0]),
        (looks("sizes", 0, 101.0), "size", [1]),
        (looks("sizes", 0, math.nan), "size", [1]),
        (looks("sizes", 1, 5.0), "size", [0]),
        (looks("sizes", 0, 99.0), "size", [0]),
        (looks("positions", 1, [0.0, -4800.0]), "position", [2]),
        (looks("positions", 1, [math.nan, 0.0]), "position", [2]),
        (looks("edge_source", 0, 2), "edge_index", [1]),
        (looks("edge_target", 1, -1), "edge_index", [2]),
        (looks("edge_kind", 1, 2), "edge_index", [2]),
        (looks("edge_kind", 1, 0), "edge_twice", [2]),
        (lambda graph: replace(graph, edge_kind=np.array([0.0, 1.0])), "edge_index", [0]),
        (looks("edge_weight", 0, 0.0), "weight", [1]),
        (looks("edge_weight", 0, 1e-300), "weight", [1]),
        (looks("edge_weight", 1, -1.0), "weight", [2]),
        (looks("edge_weight", 1, math.nan), "weight", [2]),
        (looks("edge_weight", 1, 10.5), "weight", [2]),
        (looks("edge_start", 0, 2), "edge_time", [1]),
        (looks("edge_end", 1, 5), "edge_time", [2]),
        (lambda graph: replace(graph, edge_start=np.array([0.5, 0.0])), "edge_time", [0]),
        (lambda graph: replace(graph, edge_kinds=("margin", "margin")), "edge_kind", [0, 0]),
        (lambda graph: replace(graph, edge_kinds=("margin", "\x00")), "edge_kind", [0]),
        (lambda graph: replace(graph, rounds=-1, node_changes=(), edge_start=None, edge_end=None), "rounds", [0]),
        (lambda graph: replace(graph, title="\x00"), "head", [0]),
        (lambda graph: replace(graph, date="10 October 2025"), "head", [0]),
        (lambda graph: replace(graph, date="20251010"), "head", [0]),
        (column(np.array([1.0, 2.0]), "integer"), "column_type", [0]),
        (column(np.array([1, 2]), "boolean"), "column_type", [0]),
        (column(np.array([1, 2]), "string"), "column_type", [0]),
        (column(np.array([1, 2]), "decimal"), "column_type", [0]),
        (column(np.array([1, 2]), "integer", missing=np.array([0, 1])), "column_type", [0]),
        (column(np.array(["fine", "b\x1bd"], dtype=object), "string"), "column_text", [2]),
        (column(np.array([math.nan, "fine"], dtype=object), "string"), "column_text", [1]),
        (column(np.array([1, 2**63], dtype=np.uint64), "integer"), "column_value", [2]),
        (column(np.array([1, 2]), "integer", name="Exposure"), "column_name", [0]),
        (column(np.array([1, 2]), "integer", name="weight"), "column_name", [0]),
        (column(np.array([1, 2]), "integer", name="funding_interval"), "column_name", [0]),
        (column(np.array([1, 2]), "integer", name="0"), "column_name", [0]),
        (column(np.array([1, 2]), "integer", name="equity"), "column_name", [0, 0]),
        (changes([0, 2], [0, 0]), "changes", [2]),
        (changes([0, 1], [0, 4]), "changes", [2]),
        (changes([1, 0], [0, 0]), "changes", [2]),
        (changes([0, 0], [1, 1]), "changes", [2]),
        (changes([0.0, 1.0], [0, 0]), "changes", [0]),
    ],
)
def test_refused(spoil: Callable[[GexfGraph], GexfGraph], check: str, rows: list[int], tmp_path: Path) -> None:
    graph = spoil(toy_graph())
    findings = check_graph(graph)
    assert [(finding.check, finding.row) for finding in findings] == [(check, row) for row in rows]
    with pytest.raises(CheckError):
        write_gexf(graph, tmp_path / "graph.gexf")
    with pytest.raises(CheckError):
        write_csv_pair(graph, tmp_path / "nodes.csv", tmp_path / "edges.csv")
    assert list(tmp_path.iterdir()) == []


def test_all_bad_rows_are_named_also_in_a_long_table() -> None:
    rows = 70_000
    names = np.array([f"account {row}" for row in range(rows)], dtype=object)
    labels = names.copy()
    labels[[3, 69_999]] = ""
    weights = np.ones(rows)
    weights[[0, 5]] = -1.0
    graph = GexfGraph(
        node_ids=names,
        node_labels=labels,
        colours=np.zeros((rows, 3), dtype=int),
        sizes=np.full(rows, 4.0),
        positions=np.zeros((rows, 2)),
        edge_source=np.arange(rows),
        edge_target=np.zeros(rows, dtype=int),
        edge_kinds=("margin",),
        edge_kind=np.zeros(rows, dtype=int),
        edge_weight=weights,
    )
    named = [(finding.check, finding.row) for finding in check_graph(graph)]
    assert named == [("node_label", 4), ("node_label", 70_000), ("weight", 1), ("weight", 6)]


def test_a_double_says_where_the_first_one_stands() -> None:
    graph = replace(toy_graph(), edge_kind=np.array([0, 0]))
    assert str(check_graph(graph)[0]) == (
        "table edges, row 2, column source, target, kind: ('fund', 'EX', 'margin'), as in row 1; "
        "merge edges that share all three, or give them kinds"
    )


def test_arrays_that_do_not_fit_are_refused_at_once() -> None:
    with pytest.raises(GraphError, match=r"sizes \(3,\) not \(2,\)"):
        replace(toy_graph(), sizes=np.zeros(3))
    with pytest.raises(GraphError, match="edge_start and edge_end come together"):
        replace(toy_graph(), edge_end=None)
    with pytest.raises(GraphError, match="node column extra"):
        column(np.zeros(1), "double")(toy_graph())

"""Writing a graph for Gephi: our writer beside NetworkX's, the same nodes, edges, looks and columns."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from tests.benchmarks.measure import Row, agree, in_turns, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    import networkx as nx

    from graphs.gexf import GexfGraph

TIMES = 3
KINDS = ("margin", "collateral", "credit")


def rows(*, smoke: bool) -> Iterator[Row]:
    """Ten thousand nodes and fifty thousand edges."""
    import networkx as nx

    from graphs.gephi import write_gexf

    nodes, edges = (100, 500) if smoke else (10_000, 50_000)
    graph = _graph(nodes, edges)
    theirs = _as_networkx(graph)
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "networkx.gexf", Path(folder) / "ours.gexf"
        times = 1 if smoke else TIMES
        reference, ours = in_turns(lambda: nx.write_gexf(theirs, one), lambda: write_gexf(graph, two, static=True), times=times)
        agree(_content(one) == _content(two), "GEXF: the two files differ in a node, an edge, a weight or a value")
    slow, fast = (f"{seconds(side)}, {(nodes + edges) / side:,.0f}/s" for side in (reference, ours))
    yield Row(f"write GEXF: {nodes:,} nodes, {edges:,} edges", slow, fast, f"{reference / ours:.3g}x as fast")


def _graph(nodes: int, edges: int) -> GexfGraph:
    """Draw a graph with two columns of the nodes and one of the edges."""
    from graphs.gephi import rank_sizes
    from graphs.gexf import GexfColumn, GexfGraph

    rng = np.random.default_rng(5)
    ends = rng.choice(nodes * nodes, edges, replace=False)
    ids = np.array([f"node-{number}" for number in range(nodes)], dtype=object)
    return GexfGraph(
        node_ids=ids,
        node_labels=ids,
        colours=rng.integers(256, size=(nodes, 3)),
        sizes=rank_sizes(rng.random(nodes)).round(3),
        positions=rng.uniform(-1_000.0, 1_000.0, (nodes, 2)).round(3),
        node_columns=(
            GexfColumn("role", "string", np.array(["retail", "fund"], dtype=object)[rng.integers(2, size=nodes)]),
            GexfColumn("equity", "double", rng.lognormal(10.0, 2.0, nodes)),
        ),
        edge_source=ends // nodes,
        edge_target=ends % nodes,
        edge_kinds=KINDS,
        edge_kind=rng.integers(len(KINDS), size=edges),
        edge_weight=rng.uniform(0.5, 10.0, edges).round(3),
        edge_columns=(GexfColumn("usd", "double", rng.lognormal(8.0, 2.0, edges)),),
    )


def _as_networkx(graph: GexfGraph) -> nx.DiGraph[Any]:
    import networkx as nx

    result: nx.DiGraph[Any] = nx.DiGraph()
    role, equity = graph.node_columns
    looks = zip(graph.colours.tolist(), graph.sizes.tolist(), graph.positions.tolist(), strict=True)
    for name, one, two, (colour, size, place) in zip(graph.node_ids, role.values, equity.values.tolist(), looks, strict=True):
        viz = {"color": dict(zip("rgb", colour, strict=True)), "size": size, "position": {"x": place[0], "y": place[1], "z": 0.0}}
        result.add_node(name, label=name, role=one, equity=two, viz=viz)
    ends = zip(graph.edge_source, graph.edge_target, graph.edge_kind, strict=True)
    values = zip(graph.edge_weight.tolist(), graph.edge_columns[0].values.tolist(), strict=True)
    for (source, target, kind), (weight, usd) in zip(ends, values, strict=True):
        result.add_edge(graph.node_ids[source], graph.node_ids[target], weight=weight, kind=KINDS[kind], usd=usd)
    return result


def _content(path: Path) -> tuple[dict[str, set[str]], dict[tuple[str, str], tuple[float, set[str]]]]:
    """Nodes and edges of a file with the values of their columns."""
    nodes, edges = {}, {}
    for _, element in ET.iterparse(path):  # noqa: S314 - both files are our own
        tag = element.tag.rpartition("}")[2]
        values = {value.attrib["value"] for value in element.iter() if value.tag.endswith("}attvalue")}
        if tag == "node":
            nodes[element.attrib["id"]] = values
        elif tag == "edge":
            edges[element.attrib["source"], element.attrib["target"]] = (float(element.attrib["weight"]), values - {*KINDS})
    return nodes, edges

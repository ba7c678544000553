"""A network as a NetworkX multigraph and back, and its files: GraphML and node-link JSON.

Nodes bear an attribute ``kind`` and the cells of their row. Edges run from source to target as the schema says, an
``exchange`` being an attribute; their attributes are ``kind``, ``row`` (its place in the table, from 1) and the cells of
the row. Empty cells are left out. Edge keys are those of :mod:`graphs.edge_keys`. Where an edge ends at USD, that is a node of
kind ``currency``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graphs.checks import require_valid
from graphs.columns import from_values, unknown_columns
from graphs.edge_keys import edge_keys
from graphs.errors import CheckError, Finding, GraphError, ReadError
from graphs.files import one_line, staged_file
from graphs.network import Network
from graphs.schema import NODES, TABLES, USD

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping

    import networkx as nx

CURRENCY = "currency"
"""Kind of the node USD in a graph; it has no row in a table."""

_IDENTITY = ("missing_cell", "reserved_id", "duplicate_id", "unknown_id", "duplicate_key")
_OWN = frozenset({"kind", "row", "key"})  # attributes of an edge that are no cells
_UNNAMED = "graph"
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")  # a carriage return would come back as a line feed


def to_networkx(net: Network) -> nx.MultiDiGraph[str]:
    """Turn a network into a NetworkX multigraph.

    Parameters
    ----------
    net
        The network.

    Returns
    -------
    networkx.MultiDiGraph
        With graph attributes ``name``, ``as_of`` and ``sources``; values are plain Python ones.

    Raises
    ------
    CheckError
        If ids or keys are missing, unknown or there twice, so that a row would be lost.

    Examples
    --------
    >>> import pandas as pd
    >>> nodes = pd.DataFrame({"id": ["a", "b"]})
    >>> loans = pd.DataFrame({"debtor": ["a"], "creditor": ["b"], "amount": [5.0]})
    >>> list(to_networkx(Network.from_frames(name="loan", trader=nodes, credit=loans)).edges(keys=True, data="amount"))
    [('a', 'b', 'credit#1', 5.0)]
    """
    import networkx as nx

    require_valid(net, complete=False, only=_IDENTITY)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=net.name, as_of=net.as_of, sources=list(net.sources))
    for kind, table in net.tables.items():
        if not TABLES[kind].is_edge:
            graph.add_nodes_from((cells.pop("id"), {"kind": kind} | cells) for cells in _rows(table))
    for kind, table in net.tables.items():
        if TABLES[kind].is_edge:
            _add_edges(graph, net, kind, table)
    return graph


def from_networkx(graph: nx.Graph[Any], *, ignore: Collection[str] = ()) -> Network:
    """Turn a directed graph with the attributes of :func:`to_networkx` into a network.

    Parameters
    ----------
    graph
        Every node has a ``kind``; every edge has one too, or a key that begins with it. Edges are put in the order of
        their ``row`` where they have one, the others behind.
    ignore
        Attributes of nodes and edges that are not the schema's and may be left behind, such as what a layout adds.

    Returns
    -------
    Network
        Named by the graph attribute ``name``, or ``graph``.

    Raises
    ------
    GraphError
        If the graph is undirected, a node or an edge has no kind of the schema, an attribute is no column of its table,
        or a value is not of its column's type.
    """
    if not graph.is_directed():
        raise GraphError("the graph is undirected; an edge here runs from the bearer of an exposure to what it is exposed to")
    found: list[Finding] = []
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for node, data in graph.nodes(data=True):
        kind = data.get("kind")
        if kind == CURRENCY and node == USD:
            continue
        if kind in NODES and isinstance(node, str):
            rows[kind].append({"id": node} | data)
        else:
            remedy = f"give it an attribute kind, one of {', '.join(NODES)}" if isinstance(node, str) else "name it by a text"
            found.append(Finding("unknown_kind", "nodes", 0, "kind", f"node {node!r} is of kind {kind!r}", remedy))
    for source, target, key, data in _keyed_edges(graph):
        kind = data.get("kind") or str(key).split("@", 1)[0].split("#", 1)[0]
        if kind in TABLES and TABLES[kind].is_edge:
            rows[kind].append({TABLES[kind].source: source, TABLES[kind].target: target} | data)
        else:
            edges = ", ".join(name for name, table in TABLES.items() if table.is_edge)
            found.append(
                Finding("unknown_kind", "edges", 0, "kind", f"edge {source!r} → {target!r} is of kind {kind!r}", f"use one of {edges}")
            )
    tables = _tables(rows, ignore, found)
    about = graph.graph
    return Network(about.get("name") or _UNNAMED, about.get("as_of") or "", _sources(about.get("sources")), tables)


def from_exposures(graph: nx.Graph[Any], *, weight: str = "weight", ignore: Collection[str] = ()) -> Network:
    """Turn a weighted digraph of interbank exposures into a network of traders and credit.

    Parameters
    ----------
    graph
        An edge i → j of weight w says that i owes w to j. Nodes may bear ``cash``, ``external_assets`` (which is added to
        cash: liquid, worth its face), ``external_debt`` and the other columns of a trader; edges may bear ``seniority``.
    weight
        Name of the edge attribute that holds the amount.
    ignore
        Further attributes that may be left behind.

    Returns
    -------
    Network
        Each node a trader by its name as text, each edge a loan.

    Raises
    ------
    GraphError
        If the graph is undirected, an edge has no weight, two nodes have the same name as text, or an attribute is
        neither known nor to be ignored.

    Examples
    --------
    >>> import networkx as nx
    >>> ring = nx.DiGraph()
    >>> ring.add_edge("a", "b", weight=3)
    >>> from_exposures(ring).frame("credit").values.tolist()
    [['a', 'b', 3.0, 1]]
    """
    if not graph.is_directed():
        raise GraphError("the graph is undirected; an edge i → j says that i owes j")
    names = {node: str(node) for node in graph.nodes}
    if len(set(names.values())) < len(names):
        raise GraphError("two nodes have the same name as text; rename one of them")
    traders = [{"id": names[node]} | _with_external_assets(node, data) for node, data in graph.nodes(data=True)]
    loans = []
    for source, target, _, data in _keyed_edges(graph):
        if weight not in data:
            raise GraphError(
                f"edge {source!r} → {target!r} has no attribute {weight!r}; give it the amount owed, or name another attribute"
            )
        others = {name: value for name, value in data.items() if name != weight}
        loans.append({"debtor": names[source], "creditor": names[target], "amount": data[weight]} | others)
    tables = _tables({"trader": traders, "credit": loans}, ignore, [])
    return Network(graph.graph.get("name") or _UNNAMED, "", (), tables)


def _with_external_assets(node: object, data: Mapping[str, Any]) -> dict[str, Any]:
    if "external_assets" not in data:
        return dict(data)
    try:
        cash = float(data.get("cash", 0.0)) + float(data["external_assets"])
    except (TypeError, ValueError) as error:
        raise GraphError(f"node {node!r}, external_assets: {data['external_assets']!r} and cash do not add up; write numbers") from error
    return {name: value for name, value in data.items() if name != "external_assets"} | {"cash": cash}


def write_graphml(net: Network, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Write a network as GraphML, through NetworkX.

    Edge ids such as ``margin.17`` are unique in the file, as its readers ask; the key stands in the attribute ``key``.

    Parameters
    ----------
    net
        The network; :func:`read_graphml` gives an equal one.
    path
        The file.
    overwrite
        Whether a file that is there already may be replaced.

    Raises
    ------
    GraphError
        If a text holds a character that XML cannot, or the file cannot be written.
    """
    import networkx as nx

    graph = to_networkx(net)
    about = {"name": net.name, "as_of": net.as_of, "sources": json.dumps(net.sources, ensure_ascii=False)}
    graph.graph = {name: value for name, value in about.items() if value}
    for _, _, key, data in graph.edges(keys=True, data=True):
        data |= {"key": key, "id": f"{data['kind']}.{data['row']}"}
    _refuse_control_characters(graph)
    with staged_file(path, overwrite=overwrite) as stage:
        nx.write_graphml_xml(graph, stage, edge_id_from_attribute="id")


def read_graphml(path: str | os.PathLike[str], *, ignore: Collection[str] = ()) -> Network:
    """Read a network from GraphML with the attributes of :func:`to_networkx`.

    Parameters
    ----------
    path
        The file.
    ignore
        As for :func:`from_networkx`.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    ReadError
        If the file is no GraphML.
    GraphError
        If its graph is no network.
    """
    from xml.etree.ElementTree import ParseError

    import networkx as nx

    try:
        graph = nx.read_graphml(Path(path), node_type=str, edge_key_type=str, force_multigraph=True)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read, {error.strerror}; see that it is there and is a file") from error
    except (ParseError, nx.NetworkXError, KeyError, ValueError) as error:
        raise ReadError(f"{path}: is no GraphML, {one_line(error)}; write it again") from error
    return from_networkx(graph, ignore={"id", *ignore})


def write_node_link(net: Network, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Write a network as node-link JSON, through NetworkX, its edges under ``links``.

    Parameters
    ----------
    net
        The network; :func:`read_node_link` gives an equal one.
    path
        The file.
    overwrite
        Whether a file that is there already may be replaced.

    Raises
    ------
    GraphError
        If a number is NaN or infinite, which JSON has no word for, or the file cannot be written.
    """
    import networkx as nx

    data = nx.node_link_data(to_networkx(net), edges="links")
    with staged_file(path, overwrite=overwrite) as stage, stage.open("w", encoding="utf-8", newline="\n") as stream:
        try:
            json.dump(data, stream, ensure_ascii=False, allow_nan=False, indent=1)
        except ValueError as error:
            raise GraphError(f"{path}: cannot be written, a number is NaN or infinite, which JSON has no word for; correct it") from error
        stream.write("\n")


def read_node_link(path: str | os.PathLike[str], *, ignore: Collection[str] = ()) -> Network:
    """Read a network from node-link JSON with the attributes of :func:`to_networkx`.

    Parameters
    ----------
    path
        The file; its edges stand under ``links`` or ``edges``.
    ignore
        As for :func:`from_networkx`.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    ReadError
        If the file is no node-link JSON.
    GraphError
        If its graph is no network.
    """
    import networkx as nx

    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        graph = nx.node_link_graph(data, edges="links" if "links" in data else "edges")
    except OSError as error:
        raise ReadError(f"{path}: cannot be read, {error.strerror}; see that it is there and is a file") from error
    except (ValueError, KeyError, TypeError, AttributeError, nx.NetworkXError) as error:
        raise ReadError(f"{path}: is no node-link JSON, {one_line(error)}; write it with nodes and links") from error
    return from_networkx(graph, ignore=ignore)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows as Python values without their empty cells."""
    names = table.column_names
    for batch in table.to_batches(max_chunksize=1 << 16):
        for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}


def _add_edges(graph: nx.MultiDiGraph[str], net: Network, kind: str, table: pa.Table) -> None:
    schema = TABLES[kind]
    keys = edge_keys(net, kind)
    for row, cells in enumerate(_rows(table), 1):
        source, target, key = cells.pop(schema.source), cells.pop(schema.target), keys[row - 1]
        if target == USD and USD not in graph:
            graph.add_node(USD, kind=CURRENCY)
        if graph.has_edge(source, target, key):
            raise GraphError(f"table {kind}, row {row}: another edge has the key {key} too; take the # out of an exchange's id")
        graph.add_edge(source, target, key, kind=kind, row=row, **cells)


def _keyed_edges(graph: nx.Graph[Any]) -> Iterator[tuple[Any, Any, Any, dict[str, Any]]]:
    """Edges with their attributes, and with their keys where the graph has some."""
    for source, neighbours in graph.adjacency():
        for target, data in neighbours.items():
            edges: Mapping[Any, dict[str, Any]] = data if graph.is_multigraph() else {"": data}
            for key, cells in edges.items():
                yield source, target, key, cells


def _tables(rows: Mapping[str, list[dict[str, Any]]], ignore: Collection[str], found: list[Finding]) -> dict[str, pa.Table]:
    """Make a table of each kind that has rows, in the order that they ask for; raise with all that is found."""
    tables = {}
    for kind, cells in rows.items():
        if cells:
            tables[kind], bad = _table(kind, sorted(cells, key=_place), ignore)
            found += bad
    if found:
        raise CheckError(found)
    return tables


def _place(cells: Mapping[str, Any]) -> float:
    row = cells.get("row")
    return float(row) if isinstance(row, (int, float)) else float("inf")


def _table(kind: str, rows: list[dict[str, Any]], ignore: Collection[str]) -> tuple[pa.Table, list[Finding]]:
    """Make a table of rows with possibly different cells; attributes that are no columns are found, unless ignored."""
    known = TABLES[kind].by_name
    names = {name: None for row in rows for name in row}
    extra = [str(name) for name in names if name not in known and name not in _OWN and name not in ignore]
    found = unknown_columns(kind, extra)
    arrays = {}
    for name, column in known.items():
        if name in names:
            arrays[name], bad = from_values(kind, column, [row.get(name) for row in rows])
            found += bad
    return (pa.table({}) if found else pa.table(arrays)), found


def _sources(value: object) -> tuple[str, ...]:
    """Sources from a graph attribute: a list, one text, or the JSON that stands for a list in GraphML."""
    if isinstance(value, str):
        try:
            listed = json.loads(value)
        except json.JSONDecodeError:
            listed = None
        value = listed if isinstance(listed, list) else [value] if value else []
    if not isinstance(value, (list, tuple, type(None))):
        raise GraphError(f"graph attribute sources: {value!r}; write a list of texts")
    return tuple(map(str, value or ()))


def _refuse_control_characters(graph: nx.MultiDiGraph[str]) -> None:
    nodes = ({"id": node} | data for node, data in graph.nodes(data=True))
    for cells in chain([graph.graph], nodes, (data for _, _, data in graph.edges(data=True))):
        for name, value in cells.items():
            if isinstance(value, str) and _NOT_XML.search(value):
                raise GraphError(f"{name} {value!r}: holds a control character, which GraphML cannot; take it out, or write node-link JSON")

"""Files of a graph: GEXF with its timeline, GraphML, node-link JSON, and a pair of CSV tables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from contagion.errors import RunError
from contagion.gephi.tables import TABLES
from graphs.files import WriteError, staged_file
from graphs.gephi import write_csv_pair, write_gexf
from graphs.gexf import FARTHEST, ILLEGAL, GexfChanges, GexfColumn, GexfGraph, GexfType

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    import networkx as nx
    import pandas as pd
    from numpy.typing import NDArray

    Texts = NDArray[np.object_]

SUFFIXES: Final = (".gexf", ".gexf.gz", ".graphml", ".json", ".csv")
"""What the name of a graph's file may end in."""

_LOOKS = ("id", "label", "size", "x", "y", "colour")
_ENDS = ("source", "target", "kind", "weight", "start_round")
_ODD = re.compile(f"{ILLEGAL.pattern}|[\t\n\r]")


def write_graph(
    graph: str | os.PathLike[str] | Mapping[str, pd.DataFrame],
    path: str | os.PathLike[str],
    *,
    static: bool = False,
    layout: Literal["spring", "none"] = "spring",
) -> tuple[Path, ...]:
    r"""Write a graph to a file, of the format that its name ends in.

    Parameters
    ----------
    graph
        Directory of a run, or tables of :func:`contagion.gephi.graph_tables`.
    path
        Ends in ``.gexf`` or ``.gexf.gz`` (Gephi, with the timeline), ``.graphml``, ``.json`` (node-link), or ``.csv``: two
        tables, ``x-nodes.csv`` and ``x-edges.csv`` for ``x.csv``, which know no round, size, colour or place.
    static
        Leave the timeline out of GEXF, for readers that know none, such as Gephi Lite.
    layout
        ``spring`` takes the places of the tables; ``none`` spreads the nodes evenly, for a layout made in Gephi.

    Returns
    -------
    tuple
        The files written.

    Raises
    ------
    RunError
        If the directory holds no graph.
    WriteError
        If the name ends otherwise, or the file cannot be written.

    Notes
    -----
    In an id, characters that XML or Gephi's tables cannot hold, such as a line break, are written as ``\x0a``.

    Examples
    --------
    >>> import tempfile
    >>> from contagion.gephi import network_graph
    >>> from graphs.toys import interbank_ring
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.name for file in write_graph(network_graph(interbank_ring()), f"{folder}/ring.csv")]
    ['ring-nodes.csv', 'ring-edges.csv']
    """
    target = Path(path)
    suffix = next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if target.name.endswith(suffix)), "")
    if not suffix or target.name == suffix:
        raise WriteError(f"{path}: what to write is told by the end of the name; end it in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if layout not in {"spring", "none"}:
        raise WriteError(f"layout {layout!r}: is unknown; use spring or none")
    tables = _with_plain_texts(graph if isinstance(graph, Mapping) else _read(Path(graph)))
    if suffix == ".csv":
        files = tuple(target.with_name(f"{target.name.removesuffix(suffix)}-{part}.csv") for part in ("nodes", "edges"))
        write_csv_pair(_gexf(tables, layout), *files)
        return files
    if suffix.startswith(".gexf"):
        write_gexf(_gexf(tables, layout), target, static=static or int(tables["graph_about"]["rounds"].iloc[0]) == 0)
    else:
        _writers[suffix](_networkx(tables, layout), target)
    return (target,)


def _read(directory: Path) -> dict[str, pd.DataFrame]:
    import pandas as pd
    import pyarrow as pa

    tables = {}
    for name in TABLES:
        file = directory / f"{name}.parquet"
        if not file.is_file():
            raise RunError(f"{file}: is not there; name a directory that `contagion run -o` has written")
        try:
            tables[name] = pd.read_parquet(file)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RunError(f"{file}: cannot be read, {' '.join(str(error).split())}; run again") from error
    return tables


def _with_plain_texts(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Escape what files cannot hold; different ids and kinds of edges stay different."""
    ids, kinds = _distinct(tables["graph_nodes"]["id"].tolist()), _distinct(tables["graph_edges"]["kind"].unique().tolist())
    own = {"id": ids, "source": ids, "target": ids, "node": ids, "kind": kinds}
    found = {}
    for name, table in tables.items():
        odd: dict[str, pd.Series[Any]] = {}
        for column in map(str, table.columns[table.dtypes == "str"]):
            words = own.get(column) or {word: _plain(word) for word in table[column].unique()}
            if any(word != plain for word, plain in words.items()):
                odd[column] = table[column].map(words)
        found[name] = table.assign(**odd)
    return found


def _distinct(texts: list[str]) -> dict[str, str]:
    taken, plain = set(texts), {}
    for text in texts:
        word = _plain(text)
        if word != text:
            while word in taken:
                word += "'"
            taken.add(word)
        plain[text] = word
    return plain


def _plain(text: str) -> str:
    """Text without characters that a file cannot hold."""
    if text and not text.strip():
        return "".join(map(_escaped, text))
    return _ODD.sub(lambda odd: _escaped(odd[0]), text)


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}"


def _texts(column: pd.Series[str]) -> Texts:
    return column.fillna("").to_numpy(dtype=object)


def _positions(nodes: pd.DataFrame, layout: str) -> NDArray[np.float64]:
    if layout == "spring":
        return nodes[["x", "y"]].to_numpy(dtype=np.float64)
    place = np.arange(len(nodes))
    reach = 0.9 * FARTHEST * np.sqrt((place + 0.5) / max(len(nodes), 1))
    angle = place * np.pi * (3.0 - np.sqrt(5.0))
    return np.round(np.column_stack([reach * np.cos(angle), reach * np.sin(angle)]), 2)


def _column(name: str, values: pd.Series[Any]) -> GexfColumn:
    import pandas as pd

    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind):
        return GexfColumn(name, "boolean", values.to_numpy(dtype=np.bool_))
    if pd.api.types.is_integer_dtype(kind):
        return GexfColumn(name, "integer", values.fillna(0).to_numpy(dtype=np.int64), missing=values.isna().to_numpy())
    if pd.api.types.is_float_dtype(kind):
        return GexfColumn(name, "double", values.to_numpy(dtype=np.float64))
    return GexfColumn(name, "string", _texts(values))


def _gexf(tables: Mapping[str, pd.DataFrame], layout: str) -> GexfGraph:
    import pandas as pd

    nodes, edges, states, about = (tables[name] for name in TABLES)
    index, rounds = pd.Index(nodes["id"]), int(about["rounds"].iloc[0])
    node, start = index.get_indexer(states["node"]), states["round"].to_numpy(dtype=np.int64)
    changes: list[GexfChanges] = []
    kind: GexfType
    for name in states.columns.drop(["node", "round"]):
        kind, values = ("string", _texts(states[name])) if name == "state" else ("double", states[name].to_numpy(dtype=np.float64))
        some = values != "" if name == "state" else ~np.isnan(values)
        if some.any():
            changes.append(GexfChanges.from_events(name, kind, node=node[some], start=start[some], values=values[some]))
    codes, kinds = pd.factorize(edges["kind"], sort=True)
    begin = edges["start_round"].to_numpy(dtype=np.int64)
    end = edges["end_round"].fillna(rounds + 1).to_numpy(dtype=np.int64)
    colours = np.array([list(bytes.fromhex(colour[1:])) for colour in nodes["colour"]], dtype=np.uint8).reshape(len(nodes), 3)
    return GexfGraph(
        node_ids=_texts(nodes["id"]),
        node_labels=_texts(nodes["label"]),
        colours=colours,
        sizes=nodes["size"].to_numpy(dtype=np.float64),
        positions=_positions(nodes, layout),
        node_columns=tuple(_column(name, nodes[name]) for name in nodes.columns.drop(list(_LOOKS))),
        node_changes=tuple(changes),
        edge_source=index.get_indexer(edges["source"]),
        edge_target=index.get_indexer(edges["target"]),
        edge_kinds=tuple(map(str, kinds)),
        edge_kind=codes,
        edge_weight=edges["weight"].to_numpy(dtype=np.float64),
        edge_columns=tuple(_column(name, edges[name]) for name in edges.columns.drop(list(_ENDS))),
        edge_start=begin,
        edge_end=np.maximum(end, begin + 1),
        rounds=rounds,
        title=str(about["title"].iloc[0]),
        description=str(about["description"].iloc[0]),
        keywords="financial contagion, liquidation cascade",
    )


def _networkx(tables: Mapping[str, pd.DataFrame], layout: str) -> nx.MultiDiGraph[str]:
    """The graph at the end of its run; edges are keyed by their kind."""
    import networkx as nx

    nodes, edges, about = tables["graph_nodes"], tables["graph_edges"], tables["graph_about"]
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(**{name: about[name].iloc[0] for name in ("title", "description")})
    nodes = nodes.assign(**dict(zip("xy", _positions(nodes, layout).T, strict=True)))
    graph.add_nodes_from((cells.pop("id"), cells) for cells in _rows(nodes))
    for cells in _rows(edges):
        graph.add_edge(cells.pop("source"), cells.pop("target"), cells["kind"], **cells)
    return graph


def _rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows as plain values, missing ones left out."""
    columns = []
    for name in table.columns:
        missing = table[name].isna() | (table[name].astype(object) == "")
        columns.append([None if gone else value for gone, value in zip(missing.tolist(), table[name].tolist(), strict=True)])
    for cells in zip(*columns, strict=True):
        yield {name: cell for name, cell in zip(table.columns, cells, strict=True) if cell is not None}


def _write_graphml(graph: nx.MultiDiGraph[str], path: Path) -> None:
    import networkx as nx

    for row, (_, _, data) in enumerate(graph.edges(data=True)):
        data["id"] = f"e{row}"
    with staged_file(path) as stage:
        nx.write_graphml_xml(graph, stage, edge_id_from_attribute="id")


def _write_node_link(graph: nx.MultiDiGraph[str], path: Path) -> None:
    import networkx as nx

    with staged_file(path) as stage, stage.open("w", encoding="utf-8", newline="\n") as stream:
        json.dump(nx.node_link_data(graph, edges="links"), stream, ensure_ascii=False, allow_nan=False, indent=1)
        stream.write("\n")


_writers: dict[str, Callable[[nx.MultiDiGraph[str], Path], None]] = {".graphml": _write_graphml, ".json": _write_node_link}

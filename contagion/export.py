"""Exports: a run, or a network alone, as a file of graph programs.

A run is its graph of bounded size, with the timeline of rounds. Of a network GraphML and JSON hold every row, as
:mod:`graphs.convert` reads it back; GEXF and CSV hold the picture of bounded size.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contagion.job import full_options
from contagion.rundir import is_run
from graphs.catalog import load_network

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


def export_graph(
    source: str,
    path: str | os.PathLike[str],
    *,
    static: bool = False,
    layout: Literal["spring", "none"] = "spring",
    options: Mapping[str, int | None] | None = None,
) -> dict[str, Any]:
    """Write a graph.

    Parameters
    ----------
    source
        Directory of a run, a shipped network's name, or a network's directory.
    path
        File to write; its ending says the format.
    static, layout
        As for :func:`contagion.gephi.write_graph`.
    options
        Of a shipped network.

    Returns
    -------
    dict
        What was written: ``source``, ``kind`` (run or network) and ``files``.

    Raises
    ------
    GraphError, ContagionError
        If the source is neither, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     said = export_graph("interbank_ring", Path(folder) / "ring.gexf")
    >>> said["kind"], [Path(file).name for file in said["files"]]
    ('network', ['ring.gexf'])
    """
    from contagion.gephi import network_graph, write_graph

    if is_run(source):
        files = write_graph(source, path, static=static, layout=layout)
        return {"source": source, "kind": "run", "files": [str(file) for file in files]}
    net = load_network(source, **full_options(source, options or {}))
    whole = {".graphml": "write_graphml", ".json": "write_node_link"}.get(Path(path).suffix)
    if whole is not None:
        from graphs import convert

        getattr(convert, whole)(net, path)
        return {"source": source, "kind": "network", "files": [str(path)]}
    files = write_graph(network_graph(net), path, static=static, layout=layout)
    return {"source": source, "kind": "network", "files": [str(file) for file in files]}

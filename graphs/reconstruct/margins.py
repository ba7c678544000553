"""Row and column sums, from arrays or from the nodes of a NetworkX graph, and the graph that a matrix makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphs.matrices import MatrixError, vector
from graphs.reconstruct.scaling import MarginsError

if TYPE_CHECKING:
    import networkx as nx

    from graphs.matrices import Floats, Matrix

TOLERANCE = 1e-9
"""Relative distance of the two totals that counts as rounding."""


@dataclass(frozen=True, eq=False)
class Margins:
    """Sums to be met.

    Attributes
    ----------
    rows, columns
        Sums, of one total.
    loops
        Whether cell [i, i] may be used.
    graph
        The graph that they come from, None for arrays.
    """

    rows: Floats
    columns: Floats
    loops: bool
    graph: nx.DiGraph[Any] | None

    @property
    def total(self) -> float:
        """Sum of all cells."""
        return float(self.rows.sum())

    def allowed(self) -> Floats:
        """1 in each cell that may be used, 0 elsewhere."""
        cells = np.outer(self.rows > 0, self.columns > 0).astype(np.float64)
        if not self.loops:
            np.fill_diagonal(cells, 0.0)
        return cells

    def as_input(self, matrix: Matrix, weight: str) -> Matrix | nx.DiGraph[Any]:
        """Return the matrix as it is, or as a graph with the nodes that came in."""
        return matrix if self.graph is None else self.to_networkx(matrix, weight)

    def to_networkx(self, matrix: Matrix, weight: str = "weight") -> nx.DiGraph[Any]:
        """Return a directed graph with one edge a positive cell and the node attributes that came in."""
        import networkx as nx
        from scipy.sparse import coo_array

        result: nx.DiGraph[Any] = nx.DiGraph()
        names: list[Any] = list(range(self.rows.size))
        if self.graph is not None:
            result.graph.update(self.graph.graph)
            result.add_nodes_from(self.graph.nodes(data=True))
            names = list(self.graph)
        else:
            result.add_nodes_from(names)
        cells = coo_array(matrix)
        order = np.lexsort((cells.col, cells.row))
        for i, j, value in zip(cells.row[order].tolist(), cells.col[order].tolist(), cells.data[order].tolist(), strict=True):
            if value > 0:
                result.add_edge(names[i], names[j], **{weight: value})
        return result


def read_margins(rows: Any, columns: Any, *, self_loops: bool, out: str, into: str) -> Margins:  # noqa: ANN401 - a graph or numbers
    """Read row and column sums.

    Parameters
    ----------
    rows, columns
        Two vectors; or a graph, whose node attributes ``out`` and ``into`` hold them, and None.
    self_loops
        Whether cell [i, i] may be used; always where there are not as many rows as columns.
    out, into
        Node attributes of the graph.

    Raises
    ------
    MarginsError
        If a number is missing, not finite or negative, the totals differ, or one node's two sums together exceed the total.
    """
    graph = rows if hasattr(rows, "adjacency") else None
    try:
        if graph is not None:
            missing = [str(node) for node, data in graph.nodes(data=True) if out not in data or into not in data]
            if missing or columns is not None:
                where = ", ".join(missing[:8]) if missing else "a graph and column sums are given"
                raise MarginsError(f"{where}: each node needs the attributes {out} and {into}, and nothing else is read; add them")
            labels = list(graph)
            row = vector([graph.nodes[node][out] for node in labels], labels, what=out)
            column = vector([graph.nodes[node][into] for node in labels], labels, what=into)
        else:
            row = vector(rows, range(np.size(rows)), what="row sum")
            column = vector(columns, range(np.size(columns)), what="column sum")
    except MatrixError as error:
        raise MarginsError(str(error)) from error
    total = float(row.sum())
    if abs(total - float(column.sum())) > TOLERANCE * max(total, float(column.sum())):
        raise MarginsError(f"row sums total {total:.17g} and column sums {float(column.sum()):.17g}; make the totals equal")
    loops = self_loops or row.size != column.size
    column = column * (total / column.sum()) if total > 0 else column
    if not loops:
        over = np.flatnonzero(row + column > total * (1 + TOLERANCE))
        if over.size:
            names = ", ".join(str(i) for i in (np.array(list(graph), dtype=object)[over] if graph is not None else over))
            raise MarginsError(
                f"row and column sum of {names} together exceed the total {total:.17g}, and it cannot face itself; lower them"
            )
    return Margins(row, column, loops, graph)

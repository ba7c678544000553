"""Maximum entropy: exposures spread as evenly as the margins allow (Upper and Worms 2004)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from graphs.reconstruct.margins import read_margins
from graphs.reconstruct.scaling import fit_margins

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import ArrayLike

    from graphs.matrices import Floats


@overload
def maximum_entropy(
    rows: nx.Graph[Any],
    columns: None = None,
    *,
    self_loops: bool = ...,
    out: str = ...,
    into: str = ...,
    weight: str = ...,
    tolerance: float = ...,
) -> nx.DiGraph[Any]: ...
@overload
def maximum_entropy(
    rows: ArrayLike,
    columns: ArrayLike,
    *,
    self_loops: bool = ...,
    out: str = ...,
    into: str = ...,
    weight: str = ...,
    tolerance: float = ...,
) -> Floats: ...
def maximum_entropy(
    rows: Any,
    columns: Any = None,
    *,
    self_loops: bool = False,
    out: str = "out_sum",
    into: str = "in_sum",
    weight: str = "weight",
    tolerance: float = 1e-12,
) -> Any:
    """Find the matrix of greatest entropy with given row and column sums.

    Parameters
    ----------
    rows, columns
        Row sums (what leaves a node) and column sums; or a NetworkX graph whose nodes hold them, and nothing.
    self_loops
        Whether the diagonal may be used. Margins of different length are two sets of nodes, without a diagonal.
    out, into
        Node attributes of a graph: its row and its column sum.
    weight
        Edge attribute of the graph that comes back.
    tolerance
        Largest distance of a sum from its margin, over the total.

    Returns
    -------
    numpy.ndarray or networkx.DiGraph
        A matrix for vectors, a graph with the same nodes for a graph.

    Raises
    ------
    MarginsError
        If sums are not finite or negative, totals differ, or a node's two sums leave no room off the diagonal.

    Notes
    -----
    Iterative proportional fitting from ones. Where a node's two sums together are all there is, the solution is on the boundary: everybody
    else faces only this node, and that is filled in directly.

    Examples
    --------
    >>> maximum_entropy([2.0, 2.0], [1.0, 3.0], self_loops=True)
    array([[0.5, 1.5],
           [0.5, 1.5]])
    >>> maximum_entropy([3.0, 2.0, 1.0], [3.0, 2.0, 1.0]).round(3)
    array([[0., 2., 1.],
           [2., 0., 0.],
           [1., 0., 0.]])
    """
    margins = read_margins(rows, columns, self_loops=self_loops, out=out, into=into)
    return margins.as_input(entropy_matrix(margins.rows, margins.columns, loops=margins.loops, tolerance=tolerance), weight)


def entropy_matrix(rows: Floats, columns: Floats, *, loops: bool, tolerance: float = 1e-12) -> Floats:
    """Matrix of greatest entropy; margins are those that :func:`graphs.reconstruct.margins.read_margins` accepts."""
    total = float(rows.sum())
    if total == 0:
        return np.zeros((rows.size, columns.size))
    if loops:
        return np.outer(rows, columns) / total
    hub = int(np.argmax(rows + columns))
    if rows[hub] + columns[hub] >= total * (1 - tolerance):
        result = np.zeros((rows.size, columns.size))
        result[hub], result[:, hub] = columns, rows
        result[hub, hub] = 0.0
        return result
    seed = np.outer(rows > 0, columns > 0).astype(np.float64)
    np.fill_diagonal(seed, 0.0)
    return fit_margins(rows, columns, seed, tolerance=max(tolerance, 1e-14), max_rounds=100_000)

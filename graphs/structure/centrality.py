"""How central each node is, for directed weighted graphs up to millions of edges.

Entry [i, j] of the adjacency is the weight of the edge i → j. "In" measures of j read column j: what points to it. Prestige runs along the
edges: a node is important if important nodes point to it (the convention of NetworkX). For a network in which i → j means that i is exposed
to j, an important node is one that many depend on.

=============  ==========================================================================================
in_degree …    number of edges in and out; strength is the sum of their weights
pagerank       stationary share of a walker that follows edges by weight with probability 0.85 (Brin and Page 1998)
eigenvector    x ∝ Aᵀx of the largest eigenvalue, length 1; all 0 where there is no cycle (Bonacich 1987)
katz           x = αAᵀx + 1, α = 0.85 over the largest eigenvalue (over the least of the largest row and column sum where
               there is no cycle), length 1 (Katz 1953)
betweenness    share of the shortest paths by hops between others that pass through it (Freeman 1977; Brandes 2001)
=============  ==========================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphs.kernels.paths import count_paths
from graphs.matrices import MatrixError, column_sums, row_sums, scaled, square

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

    from graphs.matrices import Floats

DAMPING = 0.85
EXACT_UP_TO = 2_000
"""Nodes up to which betweenness counts the paths from every node."""
PIVOTS = 256
"""Sources that stand for all beyond that (Brandes and Pich 2007)."""
SMALL = 200
"""Nodes up to which the leading eigenvector comes from squaring the matrix."""


def centralities(adjacency: object, *, seed: int = 0, pivots: int | None = None, weight: str = "weight") -> pd.DataFrame:
    """All measures of centrality of the table above, one row a node.

    Parameters
    ----------
    adjacency
        Entry [i, j] is the weight of the edge i → j, at least 0: array, sparse matrix, frame or NetworkX graph.
    seed
        Draws the sources from which betweenness is sampled beyond 2,000 nodes.
    pivots
        Number of these sources; by default all up to 2,000 nodes and 256 beyond.
    weight
        Edge attribute with the weight; an edge without it weighs 1.

    Returns
    -------
    pandas.DataFrame
        Index: nodes. Columns ``in_degree``, ``out_degree``, ``in_strength``, ``out_strength``, ``pagerank``, ``eigenvector``, ``katz``,
        ``betweenness``.

    Raises
    ------
    MatrixError
        If the matrix is not square or a weight is not finite or negative.

    Notes
    -----
    Cost O(edges) a step of an iterative solver and O(edges) a source of betweenness: seconds at 100,000 nodes and 1,000,000 edges. All but
    a sampled betweenness depend on nothing but the graph. Self-loops count in strength and degree, not in betweenness. Where several strong
    components share the largest eigenvalue the eigenvector is the one nearest to equal weights.

    Examples
    --------
    >>> import networkx as nx
    >>> found = centralities(nx.DiGraph([("a", "hub"), ("b", "hub"), ("hub", "c")]))
    >>> found.loc["hub", ["in_degree", "out_degree", "betweenness"]].tolist()
    [2.0, 1.0, 0.3333333333333333]
    """
    import pandas as pd
    from scipy.sparse import csr_array

    found = square(adjacency, what="adjacency", weight=weight)
    graph = csr_array(found.matrix)
    graph.eliminate_zeros()
    root, eigenvector = _leading(graph)
    return pd.DataFrame(
        {
            "in_degree": np.bincount(graph.indices, minlength=graph.shape[0]),
            "out_degree": np.diff(graph.indptr).astype(np.int64),
            "in_strength": column_sums(graph),
            "out_strength": row_sums(graph),
            "pagerank": _pagerank(graph),
            "eigenvector": eigenvector,
            "katz": _katz(graph, root),
            "betweenness": betweenness(graph, seed=seed, pivots=pivots),
        },
        index=list(found.rows),
    )


def betweenness(adjacency: object, *, seed: int = 0, pivots: int | None = None, weight: str = "weight") -> Floats:
    """Share of the shortest paths by hops, between other nodes, that pass through each node.

    Parameters
    ----------
    adjacency, seed, pivots, weight
        As for :func:`centralities`; weights only say where there are edges.

    Returns
    -------
    numpy.ndarray
        Over (n − 1)(n − 2) ordered pairs; an unbiased estimate of it where sources are sampled.

    Raises
    ------
    MatrixError
        If the matrix is not as stated, or ``pivots`` is below 1.

    Examples
    --------
    >>> betweenness([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    array([0. , 0.5, 0. ])
    """
    from scipy.sparse import csr_array

    graph = csr_array(square(adjacency, what="adjacency", weight=weight).matrix)
    if graph.diagonal().any():
        graph.setdiag(0.0)
    graph.eliminate_zeros()
    n = graph.shape[0]
    wanted = (n if n <= EXACT_UP_TO else PIVOTS) if pivots is None else min(pivots, n)
    if pivots is not None and pivots < 1:
        raise MatrixError(f"pivots is {pivots}; give at least 1")
    if n < 3:  # noqa: PLR2004 there are no others to lie between
        return np.zeros(n)
    sources = np.arange(n) if wanted == n else np.sort(np.random.default_rng(seed).choice(n, wanted, replace=False))
    through = count_paths(graph.indptr.astype(np.int64), graph.indices.astype(np.int64), sources.astype(np.int64))
    return np.asarray(through * (n / wanted) / ((n - 1.0) * (n - 2.0)))


def _pagerank(graph: csr_array[Any]) -> Floats:
    n = graph.shape[0]
    if not n:
        return np.empty(0)
    out = row_sums(graph)
    follow: Any = scaled(graph, np.divide(1.0, out, out=np.zeros(n), where=out > 0)).T.tocsr()  # type: ignore[union-attr]
    stuck = out == 0
    rank = np.full(n, 1.0 / n)
    for _ in range(1_000):
        new = DAMPING * (follow @ rank + rank[stuck].sum() / n) + (1 - DAMPING) / n
        gap = float(np.abs(new - rank).sum())
        rank = new / new.sum()
        if gap < 1e-13:  # noqa: PLR2004 gaps shrink by 0.85 a step, so about 190 steps
            break
    return rank


def _leading(graph: csr_array[Any]) -> tuple[float, Floats]:
    """Largest eigenvalue and its left eigenvector, 0 where there is no cycle."""
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import eigs

    n = graph.shape[0]
    none = 0.0, np.zeros(n)
    if not n:
        return none
    _, part = connected_components(graph, directed=True, connection="strong")
    inside = part[np.repeat(np.arange(n), np.diff(graph.indptr))] == part[graph.indices]
    if not inside.any():
        return none
    # Scaled and shifted, so that neither the currency nor the period of a cycle matters.
    scale = float(min(row_sums(graph).max(), column_sums(graph).max()))
    if n <= SMALL:
        power = (graph.T.toarray() / scale + np.eye(n)) / 2.0
        for _ in range(40):
            power = power @ power
            power /= power.max()
        vector = power @ np.ones(n)
    else:
        _, found = eigs(graph.T.astype(np.float64) / scale, k=1, which="LR", v0=np.ones(n), tol=1e-12)
        vector = np.abs(found[:, 0].real)
        vector[vector < 1e-14 * vector.max()] = 0.0
    vector = vector / np.linalg.norm(vector)
    return float(vector @ (graph.T @ vector)), vector


def _katz(graph: csr_array[Any], root: float) -> Floats:
    n = graph.shape[0]
    if not graph.nnz:
        return np.full(n, 1.0 / np.sqrt(max(n, 1)))
    bound = root if root > 0 else float(min(row_sums(graph).max(), column_sums(graph).max()))
    follow = (graph.T * (DAMPING / bound)).tocsr()
    found = np.ones(n)
    for _ in range(2_000):
        new = follow @ found + 1.0
        gap = float(np.abs(new - found).max() / new.max())
        found = new
        if gap < 1e-13:  # noqa: PLR2004 gaps shrink by 0.85 a step
            break
    return found / np.linalg.norm(found)

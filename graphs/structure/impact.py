"""Impact susceptibility, diffusion and fluidity of an exposure network (Silva, Souza and Tabak 2015).

Orientation: ``exposures[i, j]`` is what i loses if j defaults, ``buffer[i]`` what i can lose. The impact matrix turns it round:
V_ij = min(1, exposures[j, i]/buffer[j]) is what the default of i does to j; the binary one is 1 where that takes the whole buffer. Walks
in V are paths of contagion, weighted by 1/length! in the communicability G = exp(V) (Estrada and Hatano 2008). With k the row (out) or
column (in) sums of V:

- susceptibility of j = Σ_{i≠j} G_ij / k_in(j): above 1, j can be reached from beyond those that it is exposed to;
- fluidity = its mean over the network;
- diffusion of q = fall of Σ_{i≠j} G_ij when q's row of V is emptied, over k_out(q): ``start`` the walks that start at q, ``intermediate``
  those that pass through it.

Nothing n × n is made of a sparse input: G acts by ``expm_multiply``, and G_jj, which only walks within the strong component of j make,
comes from the components one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphs.matrices import MatrixError, column_sums, row_sums, scaled, square, vector

if TYPE_CHECKING:
    import pandas as pd

    from graphs.matrices import Floats, Labelled, Matrix

TIE = 1e-12
"""Relative distance within which an exposure counts as the whole buffer: 0.3 is 3 × 0.1, though not in floating point."""


def impact_matrix(exposures: object, buffer: object, *, binary: bool = False, weight: str = "weight") -> Matrix:
    """What the default of i does to j: V_ij = min(1, exposures[j, i]/buffer[j]).

    Parameters
    ----------
    exposures
        Entry [i, j] is what i loses if j defaults; array, sparse matrix, frame, or NetworkX graph with an edge i → j.
    buffer
        What each node can lose: one number a node, or a mapping. Any exposure of a node with no buffer is the whole of it.
    binary
        1 where the whole buffer is lost, to a relative tolerance of 1e-12, else 0.
    weight
        Edge attribute with the exposure.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array
        Dense or sparse as the input; a graph gives a sparse one, in the order of its nodes.

    Raises
    ------
    MatrixError
        If the matrix is not square, or a number is not finite or negative.

    Examples
    --------
    >>> impact_matrix([[0, 1, 0], [10, 0, 3], [3, 2, 0]], [2, 5, 2])
    array([[0. , 1. , 1. ],
           [0.5, 0. , 1. ],
           [0. , 0.6, 0. ]])
    """
    return _impacts(square(exposures, what="exposures", weight=weight), buffer, binary=binary)


def communicability(matrix: object) -> Floats:
    """Return exp(M), the sum of walks weighted by 1/length!; n × n, so for a few thousand nodes at most.

    Examples
    --------
    >>> communicability([[0, 1], [0, 0]])
    array([[1., 1.],
           [0., 1.]])
    """
    from scipy.linalg import expm

    found = square(matrix, signed=True).matrix
    return np.asarray(expm(found if isinstance(found, np.ndarray) else found.toarray()))


def impact_susceptibility(
    exposures: object, buffer: object, *, weights: object = None, binary: bool = True, weight: str = "weight"
) -> Floats:
    """Paths of contagion that can reach each node, relative to its direct ones.

    Parameters
    ----------
    exposures, buffer, weight
        As for :func:`impact_matrix`.
    weights
        Size of each node; then Σ_{i≠j} G_ij is multiplied by it instead of being divided by k_in.
    binary
        Whether only impacts that take the whole buffer count.

    Returns
    -------
    numpy.ndarray
        One number a node; 0 for a node that nothing can hit.

    Raises
    ------
    MatrixError
        As for :func:`impact_matrix`.

    Notes
    -----
    Cost about ten sparse products, and a dense exponential a strong component of two nodes or more.

    Examples
    --------
    >>> impact_susceptibility([[0, 1, 0], [10, 0, 3], [3, 2, 0]], [2, 5, 2])
    array([0.  , 1.  , 1.25])
    """
    found = square(exposures, what="exposures", weight=weight)
    impacts = _impacts(found, buffer, binary=binary)
    reached = _walks(impacts.T, np.ones(found.shape[0])) - _closed_walks(impacts)
    if weights is not None:
        return reached * vector(weights, found.rows, what="weights")
    direct = column_sums(impacts)
    return np.divide(reached, direct, out=np.zeros_like(reached), where=direct > 0)


def impact_fluidity(exposures: object, buffer: object, *, weights: object = None, binary: bool = True, weight: str = "weight") -> float:
    """Mean susceptibility of the network; parameters are those of :func:`impact_susceptibility`.

    Examples
    --------
    >>> round(impact_fluidity([[0, 1, 0], [10, 0, 3], [3, 2, 0]], [2, 5, 2]), 12)
    0.75
    """
    found = impact_susceptibility(exposures, buffer, weights=weights, binary=binary, weight=weight)
    return float(found.mean()) if found.size else 0.0


def impact_diffusion(
    exposures: object, buffer: object, *, weights: object = None, binary: bool = True, weight: str = "weight"
) -> pd.DataFrame:
    """What each node contributes to the susceptibility of the others, by starting and by passing on.

    Parameters
    ----------
    exposures, buffer, weights, binary, weight
        As for :func:`impact_susceptibility`; with weights, walks to j count with the weight of j.

    Returns
    -------
    pandas.DataFrame
        Index: nodes. Columns ``start``, ``intermediate``, ``total``; 0 for a node that hits nobody.

    Raises
    ------
    MatrixError
        As for :func:`impact_matrix`.

    Notes
    -----
    Cost n times that of :func:`impact_susceptibility`, so for a few thousand nodes; a large strong component is exponentiated once
    for each of its members.

    Examples
    --------
    >>> impact_diffusion([[0, 1, 0], [10, 0, 3], [3, 2, 0]], [2, 5, 2]).round(12)
       start  intermediate  total
    0   1.25           0.0   1.25
    1   1.00           0.5   1.50
    2   0.00           0.0   0.00
    """
    import pandas as pd

    found = square(exposures, what="exposures", weight=weight)
    impacts = _impacts(found, buffer, binary=binary)
    n = found.shape[0]
    size = np.ones(n) if weights is None else vector(weights, found.rows, what="weights")
    direct = row_sums(impacts)
    over = np.where(direct > 0, direct, 1.0) if weights is None else np.ones(n)
    own = _closed_walks(impacts)
    from_each = _walks(impacts, size) - own * size
    start, passing = np.zeros(n), np.zeros(n)
    for node in np.flatnonzero(direct > 0):
        keep = np.ones(n)
        keep[node] = 0.0
        without = scaled(impacts, keep)
        # Walks that start elsewhere: those that go through the node are missing without its row.
        others = from_each - (_walks(without, size) - _closed_walks(without) * size)
        others[node] = 0.0
        start[node], passing[node] = from_each[node] / over[node], np.maximum(others, 0.0).sum() / over[node]
    return pd.DataFrame({"start": start, "intermediate": passing, "total": start + passing}, index=list(found.rows))


def _impacts(found: Labelled, buffer: object, *, binary: bool) -> Matrix:
    room = vector(buffer, found.rows, what="buffer")
    if isinstance(found.matrix, np.ndarray):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(found.matrix > 0, found.matrix / room[:, None], 0.0).T
        return np.where(share >= 1 - TIE, 1.0, 0.0) if binary else np.minimum(share, 1.0)
    from scipy.sparse import csr_array

    result: Any = csr_array(found.matrix.T)
    with np.errstate(divide="ignore", over="ignore"):
        share = result.data / room[result.indices]
    result.data = np.where(share >= 1 - TIE, 1.0, 0.0) if binary else np.minimum(share, 1.0)
    result.eliminate_zeros()
    return csr_array(result)


def _walks(matrix: Any, ends: Floats) -> Floats:  # noqa: ANN401 - dense, or sparse of any format
    """exp(M)·ends, without exp(M)."""
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import expm_multiply

    if not ends.size:
        return ends.copy()
    return np.asarray(expm_multiply(csr_array(matrix), ends, traceA=float(matrix.diagonal().sum())))


def _closed_walks(matrix: Matrix) -> Floats:
    """Diagonal of exp(M): a walk that comes back never leaves its strong component."""
    from scipy.linalg import expm
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    sparse = csr_array(matrix)
    if not sparse.shape[0]:
        return np.empty(0)
    count, part = connected_components(sparse, directed=True, connection="strong")
    own = np.exp(sparse.diagonal())
    members = np.argsort(part, kind="stable")
    ends = np.searchsorted(part[members], np.arange(count), side="right")
    sizes = np.bincount(part, minlength=count)
    most = MOST_IN_COMPONENT
    if sizes.max(initial=0) > most:
        raise MatrixError(
            f"{sizes.max()} nodes can all reach each other, more than {most}; use a binary impact matrix, or leave small edges out"
        )
    for component in np.flatnonzero(sizes > 1):
        inside = members[ends[component] - sizes[component] : ends[component]]
        own[inside] = np.diagonal(expm(sparse[inside][:, inside].toarray()))
    return own


MOST_IN_COMPONENT = 5_000
"""Nodes of a strong component whose exponential is still made, 200 MB an array."""

"""Liquidity-weighted overlap of portfolios (Cont and Schaanning 2017).

Ω_ij = Σ_k Π_ik Π_jk / D_k, with Π holdings in currency and D_k the depth of asset k: what i loses, to first order, if j sells all that it
holds. It is returned in factored form, F·Fᵀ with F = Π·D^(−1/2); n × n is never stored.
"""

from __future__ import annotations

import numpy as np

from graphs.factored import Factored
from graphs.matrices import MatrixError, bipartite, scaled, vector


def liquidity_weighted_overlap(holdings: object, depth: object = 1.0, *, weight: str = "weight", hollow: bool = False) -> Factored:
    """Overlap of portfolios, each asset weighted by how little of it the market can take.

    Parameters
    ----------
    holdings
        Holders × assets, in currency: array, sparse matrix, frame, or bipartite NetworkX graph.
    depth
        Depth of each asset: the sale that would take the whole price at the initial slope; 1 weights all alike, ``inf`` drops an asset.
    weight
        Edge attribute with the value held.
    hollow
        Whether to leave out a holder's overlap with itself.

    Returns
    -------
    Factored
        Symmetric; ``top(k)`` lists the closest pairs (each both ways round), ``toarray()`` all.

    Raises
    ------
    MatrixError
        If a depth is not above 0, or a number is not finite or negative.

    Examples
    --------
    >>> liquidity_weighted_overlap([[2.0, 0.0], [1.0, 4.0]], [1.0, 2.0]).toarray().round(12)
    array([[4., 2.],
           [2., 9.]])
    """
    read = bipartite(holdings, weight=weight)
    deep = vector(depth, read.columns, what="depth", infinite=True)
    if (deep <= 0).any():
        raise MatrixError(f"depth of {read.columns[int(np.argmin(deep))]} is 0; give a number above 0")
    factor = scaled(read.matrix, 1.0, 1.0 / np.sqrt(deep))
    return Factored(factor, factor, read.rows, hollow=hollow)

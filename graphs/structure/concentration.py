"""Concentration: how much of a total few hold.

Herfindahl-Hirschman index Σ s², s the shares of the total: 1 for one holder, 1/n for n equal ones; its reciprocal is the number
of equal holders with the same concentration. Shares of absolute values, so that long and short positions both count.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from graphs.matrices import MatrixError, bipartite

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from graphs.matrices import Floats


def concentration(values: object, *, by: str = "columns", largest: Sequence[int] = (1, 4), weight: str = "weight") -> pd.DataFrame:
    """Measure how concentrated each column, or each row, of a matrix of holdings is.

    Parameters
    ----------
    values
        Holders × what is held: array, sparse matrix, frame, bipartite graph, or a vector (one column).
    by
        ``"columns"``: who holds each asset; ``"rows"``: what each holder's portfolio is made of.
    largest
        For which k to give the share of the k largest.
    weight
        Edge attribute with the value.

    Returns
    -------
    pandas.DataFrame
        Index: columns or rows. Columns ``total``, ``count`` of non-zero parts, ``hhi``, ``effective_number``, ``share_of_k``; NaN where
        the total is zero.

    Raises
    ------
    MatrixError
        If a number is not finite or negative, or an option is none of those stated.

    Examples
    --------
    >>> concentration([6.0, 3.0, 1.0, 0.0], largest=[2])
       total  count   hhi  effective_number  share_of_2
    0   10.0      3  0.46          2.173913         0.9
    """
    import pandas as pd
    from scipy.sparse import csr_array

    if by not in {"columns", "rows"} or any(k < 1 for k in largest):
        raise MatrixError(f"by is {by!r} and largest {list(largest)}; give 'columns' or 'rows', and whole numbers above 0")
    found = bipartite(values, what="values", weight=weight)
    parts = csr_array(found.matrix if by == "rows" else found.matrix.T)
    parts.eliminate_zeros()
    names = found.rows if by == "rows" else found.columns
    ends = parts.indptr
    rows = [_of(parts.data[first:last], largest) for first, last in pairwise(ends)]
    table = pd.DataFrame(
        rows, index=list(names), columns=["total", "count", "hhi", "effective_number", *(f"share_of_{k}" for k in largest)]
    )
    return table.astype({"count": np.int64})


def herfindahl(values: ArrayLike) -> float:
    """Σ s² of the shares of absolute values; NaN where the total is zero.

    Examples
    --------
    >>> herfindahl([1, -1, 2])
    0.375
    """
    size = np.abs(np.asarray(values, dtype=np.float64))
    total = size.sum()
    return float(np.square(size / total).sum()) if total > 0 else float("nan")


def _of(parts: Floats, largest: Sequence[int]) -> list[float]:
    total = float(parts.sum())
    index = herfindahl(parts)
    ranked = -np.sort(-parts)
    return [total, float(parts.size), index, 1.0 / index, *(float(ranked[:k].sum()) / total if total > 0 else np.nan for k in largest)]

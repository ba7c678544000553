"""A matrix between nodes as a product L·Rᵀ of two thin ones, so that n × n is never stored.

Overlap of portfolios and losses through common assets are of this form: two nodes are tied by what both hold. Entry [i, j]
is Σ_k L_ik R_jk. The largest entries are found block by block: time O(n · cost of a product with R), memory one block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphs.matrices import MatrixError

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from numpy.typing import ArrayLike

    from graphs.matrices import Floats, Matrix

BLOCK = 1 << 22
"""Entries that are held at once while the largest are looked for (32 MB)."""


@dataclass(frozen=True, eq=False)
class Factored:
    """A square matrix L·Rᵀ, its diagonal set to zero where ``hollow``.

    Attributes
    ----------
    left, right
        The factors, n rows each; dense or ``csr_array``.
    labels
        Names of the n nodes.
    hollow
        Whether the diagonal counts as zero.

    Examples
    --------
    >>> both = Factored(np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 0.0], [4.0, 1.0]]), ("a", "b"))
    >>> both.toarray()
    array([[3., 4.],
           [3., 6.]])
    >>> both.top(1)
      row column  value
    0   b      b    6.0
    """

    left: Matrix
    right: Matrix
    labels: tuple[Any, ...]
    hollow: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.labels), len(self.labels)

    def diagonal(self) -> Floats:
        """Entries [i, i]; zeros where the matrix is hollow."""
        return np.zeros(len(self.labels)) if self.hollow else self._own()

    def between(self, row: int, column: int) -> float:
        """Entry at two positions."""
        if self.hollow and row == column:
            return 0.0
        return float(_dense(self.left[[row]]).ravel() @ _dense(self.right[[column]]).ravel())

    def apply(self, values: ArrayLike) -> Floats:
        """Product with a vector, or with columns: what each row is hit by."""
        array = np.asarray(values, dtype=np.float64)
        result = np.asarray(self.left @ (self.right.T @ array))
        return result - (self._own() * array.T).T if self.hollow else result

    def apply_transposed(self, values: ArrayLike) -> Floats:
        """Product of the transpose with a vector, or with columns: what each column hits."""
        array = np.asarray(values, dtype=np.float64)
        result = np.asarray(self.right @ (self.left.T @ array))
        return result - (self._own() * array.T).T if self.hollow else result

    def row_sums(self) -> Floats:
        """Sum of each row."""
        return self.apply(np.ones(len(self.labels)))

    def column_sums(self) -> Floats:
        """Sum of each column."""
        return self.apply_transposed(np.ones(len(self.labels)))

    def toarray(self) -> Floats:
        """Return the whole matrix, n × n; only for few nodes."""
        return self._block(0, len(self.labels))

    def top(self, count: int) -> pd.DataFrame:
        """Return the largest positive entries, largest first, ties by position: columns row, column, value.

        Parameters
        ----------
        count
            How many at most.

        Raises
        ------
        MatrixError
            If ``count`` is negative.
        """
        import pandas as pd

        if count < 0:
            raise MatrixError(f"the largest {count} entries; ask for at least 0")
        n = len(self.labels)
        best, where = np.empty(0), np.empty(0, dtype=np.int64)
        step = max(1, BLOCK // max(n, 1))
        for first in range(0, n, step):
            values = self._block(first, min(first + step, n)).ravel()
            found = np.flatnonzero(values > (best[-1] if count and best.size == count else 0.0))
            best, where = np.concatenate([best, values[found]]), np.concatenate([where, found + first * n])
            order = np.lexsort((where, -best))[:count]
            best, where = best[order], where[order]
        rows, columns = np.divmod(where, max(n, 1))
        name = list(self.labels)
        return pd.DataFrame({"row": [name[i] for i in rows], "column": [name[j] for j in columns], "value": best})

    def to_networkx(self, count: int) -> nx.DiGraph[Any]:
        """Return a directed graph of all nodes and of the ``count`` largest entries, row → column, as ``weight``."""
        import networkx as nx

        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_nodes_from(self.labels)
        graph.add_weighted_edges_from(self.top(count).itertuples(index=False, name=None))
        return graph

    def _own(self) -> Floats:
        if isinstance(self.left, np.ndarray) and isinstance(self.right, np.ndarray):
            return np.asarray(np.einsum("ik,ik->i", self.left, self.right))
        product: Any = self.left * self.right if isinstance(self.left, np.ndarray) else self.left.multiply(self.right)
        return np.asarray(product.sum(axis=1), dtype=np.float64).ravel()

    def _block(self, first: int, last: int) -> Floats:
        block = _dense(self.left[first:last] @ self.right.T)
        if self.hollow:
            block[np.arange(last - first), np.arange(first, last)] = 0.0
        return block


def _dense(values: Any) -> Floats:  # noqa: ANN401 - dense, or a sparse product of some type
    return np.asarray(values if isinstance(values, np.ndarray) else values.toarray())

"""The matrices of a model, read at the least cost: a sparse matrix that is already in order is looked through once and not copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphs.matrices import Labelled, square

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from graphs.matrices import Matrix

WIDEST = np.iinfo(np.int32).max


def read_square(values: object, what: str) -> Labelled:
    """Read a square matrix as :func:`graphs.matrices.square` does; the answer may share its arrays with the input.

    Raises
    ------
    MatrixError
        If it is not square, its labels differ or stand twice, or an entry is negative or not finite.
    """
    matrix: Any = values
    if getattr(values, "format", "") == "csr" and matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]:  # noqa: PLR2004 a matrix
        data = matrix.data
        in_order = data.dtype == np.float64 and matrix.has_canonical_format
        if in_order and data.size and data.min() > 0 and data.max() < np.inf:  # also without NaN, and without stored zeros
            labels = tuple(range(matrix.shape[0]))
            return Labelled(_csr(data, matrix.indices, matrix.indptr), labels, labels)
    return square(values, what=what)


def over_rows(matrix: Matrix, rows: Floats) -> Matrix:
    """Multiply each row by a number; a sparse answer shares its structure with the input."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(matrix * rows[:, None])
    result: Matrix = _csr(matrix.data * np.repeat(rows, np.diff(matrix.indptr)), matrix.indices, matrix.indptr)
    return result


def _csr(data: Floats, indices: Any, indptr: Any) -> Any:  # noqa: ANN401 - integer arrays in, csr_array out
    """Short indices where they do: products read less."""
    from scipy.sparse import csr_array

    if data.size < WIDEST:
        indices, indptr = indices.astype(np.int32, copy=False), indptr.astype(np.int32, copy=False)
    count = indptr.size - 1
    matrix = csr_array((data, indices, indptr), shape=(count, count))
    matrix.has_canonical_format = True
    return matrix

"""A matrix, with its labels, from whatever a user has: an array, a SciPy sparse matrix, a pandas frame or a NetworkX graph.

Labels stop here: what computes takes arrays in the order that :class:`Labelled` states. A dense input stays dense, anything
else becomes ``scipy.sparse.csr_array``; a sparse input is never made dense. Entry [i, j] is the weight of the edge from i to j;
in a bipartite graph rows are the holders (nodes with ``bipartite=0``, or the sources of the edges) and columns what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphs.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_array

    Floats: TypeAlias = NDArray[np.float64]
    Matrix: TypeAlias = Floats | csr_array[np.float64]

MOST_NAMED = 8
"""Bad cells that one message names."""


class MatrixError(GraphError):
    """A matrix or a vector is not of the shape or not of the numbers that are asked for."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """A matrix and the names of its rows and columns.

    Attributes
    ----------
    matrix
        Dense array, or ``csr_array`` without stored zeros.
    rows, columns
        Names; positions from 0 where the input had none.
    """

    matrix: Matrix
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]

    @property
    def is_sparse(self) -> bool:
        """Whether the matrix is sparse."""
        return not isinstance(self.matrix, np.ndarray)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), len(self.columns)


def square(values: object, *, what: str = "matrix", weight: str = "weight", signed: bool = False) -> Labelled:
    """Read a square matrix: entry [i, j] belongs to the edge from i to j.

    Parameters
    ----------
    values
        Square array, sparse matrix, :class:`Labelled` one, frame with the same labels on both sides in any order, or graph. Edges of an
        undirected graph count both ways, parallel edges add up.
    what
        What to call it in messages.
    weight
        Edge attribute that holds the value; an edge without it counts 1.
    signed
        Whether entries may be negative.

    Returns
    -------
    Labelled
        With ``rows`` equal to ``columns``.

    Raises
    ------
    MatrixError
        If it is not square, its labels differ or stand twice, or an entry is not a finite number (of at least zero).

    Examples
    --------
    >>> import networkx as nx
    >>> found = square(nx.DiGraph([("a", "b", {"weight": 2.0})]))
    >>> found.rows, found.matrix.toarray()
    (('a', 'b'), array([[0., 2.],
           [0., 0.]]))
    """
    if _is_graph(values):
        found = _from_graph(values, weight)
    else:
        found = values if isinstance(values, Labelled) else _from_table(values, what)
        if found.shape[0] != found.shape[1]:
            raise MatrixError(f"{what} has {found.shape[0]} rows and {found.shape[1]} columns; give as many of each")
        if found.rows != found.columns:
            found = _same_order(found, what)
    _require_numbers(found, what, signed=signed)
    return found


def bipartite(values: object, *, what: str = "holdings", weight: str = "weight") -> Labelled:
    """Read a matrix of holders and what they hold: entry [i, k] is what holder i has of k.

    Parameters
    ----------
    values
        Array, sparse matrix, :class:`Labelled` one, frame or bipartite graph; a vector is one column.
    what
        What to call it in messages.
    weight
        Edge attribute that holds the value; an edge without it counts 1.

    Returns
    -------
    Labelled
        Holders are the nodes with ``bipartite=0`` where nodes bear that attribute, otherwise the sources of a directed graph.

    Raises
    ------
    MatrixError
        If a graph does not tell holders from what is held, or an entry is not a finite number of at least zero.

    Examples
    --------
    >>> import networkx as nx
    >>> found = bipartite(nx.DiGraph([("bank", "bond", {"weight": 90.0})]))
    >>> found.rows, found.columns
    (('bank',), ('bond',))
    """
    if _is_graph(values):
        found = _from_bipartite(values, weight, what)
    else:
        found = values if isinstance(values, Labelled) else _from_table(values, what, column=True)
    _require_numbers(found, what, signed=False)
    return found


def vector(
    values: object,
    labels: Sequence[Any],
    *,
    what: str,
    low: float = 0.0,
    high: float = np.inf,
    infinite: bool = False,
    default: float | None = None,
) -> Floats:
    """Read one number a label: an array in their order, one number for all, or a mapping or series by label.

    Parameters
    ----------
    values
        The numbers.
    labels
        Whose they are.
    what
        What to call them in messages.
    low, high
        Closed bounds.
    infinite
        Whether ``inf`` is allowed.
    default
        Number of a label that a mapping leaves out; None refuses that.

    Returns
    -------
    numpy.ndarray
        A fresh array.

    Raises
    ------
    MatrixError
        If their count, a label or a number is not as asked.

    Examples
    --------
    >>> vector({"b": 2.0, "a": 1.0}, ["a", "b"], what="capital")
    array([1., 2.])
    """
    if isinstance(values, Mapping):
        missing = [str(label) for label in labels if label not in values] if default is None else []
        extra = [str(label) for label in values if label not in set(labels)]
        if missing or extra:
            text = "; ".join(f"{word} {', '.join(some[:MOST_NAMED])}" for word, some in (("without", missing), ("unknown", extra)) if some)
            raise MatrixError(f"{what}: {text}; name each label of the matrix once")
        array = np.array([values.get(label, default) for label in labels], dtype=np.float64)
    elif hasattr(values, "reindex") and hasattr(values, "index") and tuple(values.index) != tuple(range(len(values.index))):
        return vector(values.to_dict(), labels, what=what, low=low, high=high, infinite=infinite, default=default)  # type: ignore[attr-defined]
    else:
        array = _floats(values, what)
        array = np.full(len(labels), float(array)) if array.ndim == 0 else array
    if array.shape != (len(labels),):
        raise MatrixError(f"{what} has shape {array.shape}; give one number each of {len(labels)}")
    with np.errstate(invalid="ignore"):
        good = (array >= low) & (array <= high) & (np.isfinite(array) | (infinite & ~np.isnan(array)))
    if not good.all():
        bad = ", ".join(f"{labels[i]}: {float(array[i])!r}" for i in np.flatnonzero(~good)[:MOST_NAMED])
        bounds = f"of at least {low:g}" if np.isinf(high) else f"from {low:g} to {high:g}"
        bounds = "" if np.isinf(low) and np.isinf(high) else f" {bounds}"
        raise MatrixError(f"{what} of {bad}; give a {'' if infinite else 'finite '}number{bounds}")
    return array


def row_sums(matrix: Matrix) -> Floats:
    """Sum of each row."""
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def column_sums(matrix: Matrix) -> Floats:
    """Sum of each column."""
    return np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()


def scaled(matrix: Matrix, rows: ArrayLike = 1.0, columns: ArrayLike = 1.0) -> Matrix:
    """Multiply each row and each column by a number, without changing the input or filling it in.

    Examples
    --------
    >>> scaled(np.ones((2, 2)), [1.0, 2.0], [3.0, 4.0])
    array([[3., 4.],
           [6., 8.]])
    """
    left = np.broadcast_to(np.asarray(rows, dtype=np.float64), (matrix.shape[0],))
    right = np.broadcast_to(np.asarray(columns, dtype=np.float64), (matrix.shape[1],))
    if isinstance(matrix, np.ndarray):
        return np.asarray(matrix * left[:, None] * right)
    result = matrix.copy()
    result.data = matrix.data * np.repeat(left, np.diff(matrix.indptr)) * right[matrix.indices]
    return result


def _is_graph(values: object) -> bool:
    return hasattr(values, "is_multigraph") and hasattr(values, "adjacency")


def _floats(values: Any, what: str) -> Floats:  # noqa: ANN401 - whatever a caller gives
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MatrixError(f"{what} holds {error}; give numbers in rows of one length") from error


def _from_table(values: Any, what: str, *, column: bool = False) -> Labelled:  # noqa: ANN401 - whatever a caller gives
    from scipy.sparse import issparse

    if issparse(values):
        return _from_sparse(values, what)
    array = _floats(values, what)
    array = array[:, None] if column and array.ndim == 1 else array
    if array.ndim != 2:  # noqa: PLR2004 a matrix
        raise MatrixError(f"{what} has {array.ndim} dimensions; give a matrix")
    if hasattr(values, "index") and hasattr(values, "columns"):
        rows, columns = tuple(values.index), tuple(values.columns)
        twice = sorted({str(label) for labels in (rows, columns) for label in labels if labels.count(label) > 1})
        if twice:
            raise MatrixError(f"{what}: label {', '.join(twice[:MOST_NAMED])} stands twice; name each row and column once")
        return Labelled(array, rows, columns)
    return Labelled(array, tuple(range(array.shape[0])), tuple(range(array.shape[1])))


def _from_sparse(values: Any, what: str) -> Labelled:  # noqa: ANN401 - a sparse matrix or array of any format
    from scipy.sparse import csr_array

    if values.ndim != 2:  # noqa: PLR2004 a matrix
        raise MatrixError(f"{what} has {values.ndim} dimensions; give a matrix")
    matrix = csr_array(values).astype(np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return Labelled(matrix, tuple(range(matrix.shape[0])), tuple(range(matrix.shape[1])))


def _same_order(found: Labelled, what: str) -> Labelled:
    """Bring the columns of a frame into the order of its rows."""
    if set(found.rows) != set(found.columns):
        odd = sorted(map(str, set(found.rows) ^ set(found.columns)))
        if found.columns == tuple(range(len(found.columns))) or found.rows == tuple(range(len(found.rows))):
            names = found.columns if found.rows == tuple(range(len(found.rows))) else found.rows
            return Labelled(found.matrix, names, names)
        raise MatrixError(f"{what}: {', '.join(odd[:MOST_NAMED])} names a row or a column, not both; give the same labels on both sides")
    place = {label: position for position, label in enumerate(found.columns)}
    order = [place[label] for label in found.rows]
    return Labelled(found.matrix[:, order], found.rows, found.rows)


def _from_graph(graph: Any, weight: str) -> Labelled:  # noqa: ANN401 - a NetworkX graph of any kind
    import networkx as nx
    from scipy import sparse

    nodes = tuple(graph)
    if not nodes:
        return Labelled(sparse.csr_array((0, 0), dtype=np.float64), (), ())
    matrix = sparse.csr_array(nx.to_scipy_sparse_array(graph, nodelist=list(nodes), weight=weight, dtype=np.dtype(np.float64)))
    matrix.eliminate_zeros()
    return Labelled(matrix, nodes, nodes)


def _from_bipartite(graph: Any, weight: str, what: str) -> Labelled:  # noqa: ANN401 - a NetworkX graph of any kind
    from scipy import sparse

    rows, columns = _sides(graph, what)
    row_at = {node: position for position, node in enumerate(rows)}
    column_at = {node: position for position, node in enumerate(columns)}
    cells: list[tuple[int, int, float]] = []
    for source, target, value in graph.edges(data=weight, default=1.0):
        holder, held = (source, target) if source in row_at else (target, source)
        if holder not in row_at or held not in column_at or (graph.is_directed() and holder != source):
            raise MatrixError(f"{what}: edge {source!r} → {target!r} does not run from a holder to what it holds; turn it, or leave it out")
        cells.append((row_at[holder], column_at[held], float(value)))
    where = np.array([cell[:2] for cell in cells], dtype=np.int64).reshape(-1, 2)
    data = np.array([cell[2] for cell in cells], dtype=np.float64)
    matrix = sparse.csr_array(sparse.coo_array((data, (where[:, 0], where[:, 1])), shape=(len(rows), len(columns))))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return Labelled(matrix, tuple(rows), tuple(columns))


def _sides(graph: nx.Graph[Any], what: str) -> tuple[list[Any], list[Any]]:
    sides = dict(graph.nodes(data="bipartite"))
    if any(side is not None for side in sides.values()):
        odd = [str(node) for node, side in sides.items() if side not in {0, 1}]
        if odd:
            raise MatrixError(f"{what}: attribute bipartite of {', '.join(odd[:MOST_NAMED])} is not 0 or 1; set it")
        return [node for node, side in sides.items() if side == 0], [node for node, side in sides.items() if side == 1]
    if not graph.is_directed():
        raise MatrixError(
            f"{what}: the graph is undirected and its nodes have no attribute bipartite; set it to 0 for holders, 1 for assets"
        )
    sources = {source for source, _ in graph.edges()}
    targets = {target for _, target in graph.edges()}
    odd = [str(node) for node in graph if (node in sources) == (node in targets)]
    if odd:
        raise MatrixError(
            f"{what}: {', '.join(odd[:MOST_NAMED])} both holds and is held, or neither; set the attribute bipartite, 0 for holders"
        )
    return [node for node in graph if node in sources], [node for node in graph if node in targets]


def _require_numbers(found: Labelled, what: str, *, signed: bool) -> None:
    data = found.matrix if isinstance(found.matrix, np.ndarray) else found.matrix.data
    good = np.isfinite(data) if signed else np.isfinite(data) & (data >= 0)
    if good.all():
        return
    if isinstance(found.matrix, np.ndarray):
        where = [(int(i), int(j)) for i, j in np.argwhere(~good)[:MOST_NAMED]]
    else:
        rows = np.repeat(np.arange(found.shape[0]), np.diff(found.matrix.indptr))
        where = [(int(rows[i]), int(found.matrix.indices[i])) for i in np.flatnonzero(~good)[:MOST_NAMED]]
    bad = ", ".join(f"[{found.rows[i]}, {found.columns[j]}] = {float(found.matrix[i, j])!r}" for i, j in where)
    raise MatrixError(f"{what}: {bad}; give finite numbers{'' if signed else ' of at least zero'}")

"""Minimum density: as few links as the margins allow (Anand, Craig and von Peter 2015).

Links cost something to keep up, so banks have few counterparties. The fewest links are those that split rows and columns into the
largest number of groups with equal sums: links = nodes with a sum − groups. That is a hard combinatorial problem. As in the paper links
are drawn one at a time, the likelier the more a small deficit faces a large one, and each takes the whole of the smaller deficit. Unlike
there a draw always ends with the margins met exactly, with at most rows + columns − 1 links plus one for each that would have stood
on the diagonal; equal deficits are matched first; the best of many draws is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from graphs.reconstruct.margins import read_margins
from graphs.reconstruct.scaling import MarginsError

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import ArrayLike
    from scipy.sparse import csr_array

    from graphs.matrices import Floats
    from graphs.reconstruct.margins import Margins

EPSILON = 1e-12
"""Share of the total below which a deficit is rounding."""


@overload
def minimum_density(
    rows: nx.Graph[Any],
    columns: None = None,
    *,
    self_loops: bool = ...,
    draws: int = ...,
    seed: int = ...,
    exact: bool = ...,
    out: str = ...,
    into: str = ...,
    weight: str = ...,
) -> nx.DiGraph[Any]: ...
@overload
def minimum_density(
    rows: ArrayLike,
    columns: ArrayLike,
    *,
    self_loops: bool = ...,
    draws: int = ...,
    seed: int = ...,
    exact: bool = ...,
    out: str = ...,
    into: str = ...,
    weight: str = ...,
) -> csr_array[np.float64]: ...
def minimum_density(
    rows: Any,
    columns: Any = None,
    *,
    self_loops: bool = False,
    draws: int = 100,
    seed: int = 0,
    exact: bool = False,
    out: str = "out_sum",
    into: str = "in_sum",
    weight: str = "weight",
) -> Any:
    """Find a matrix with given row and column sums and few cells.

    Parameters
    ----------
    rows, columns, self_loops, out, into, weight
        As for :func:`graphs.reconstruct.maximum_entropy`.
    draws
        Draws of which the one with the fewest cells is kept, the first of them where several have as few.
    seed
        Draw number i uses the stream (seed, i), so more draws never give more cells.
    exact
        Find the fewest by mixed-integer programming instead; for about ten nodes.

    Returns
    -------
    scipy.sparse.csr_array or networkx.DiGraph
        A sparse matrix for vectors, a graph with the same nodes for a graph.

    Raises
    ------
    MarginsError
        As for :func:`graphs.reconstruct.maximum_entropy`, if ``draws`` is below 1, or no matrix is found.

    Notes
    -----
    Cost O((rows + columns)²) a draw. The sums are met to rounding. It is an upper bound of the least number of links unless ``exact``.

    Examples
    --------
    The seven banks of Anand, Craig and von Peter (2015, p. 628): seven links suffice.

    >>> found = minimum_density([7, 5, 3, 1, 3, 0, 1], [4, 5, 5, 0, 0, 2, 4])
    >>> found.nnz, found.sum(axis=1)
    (7, array([7., 5., 3., 1., 3., 0., 1.]))
    """
    margins = read_margins(rows, columns, self_loops=self_loops, out=out, into=into)
    if draws < 1:
        raise MarginsError(f"draws is {draws}; give at least 1")
    best = _exact(margins) if exact else min((_draw(margins, seed, i) for i in range(draws)), key=len)
    return margins.as_input(_matrix(margins, best), weight)


def _matrix(margins: Margins, cells: dict[tuple[int, int], float]) -> csr_array[np.float64]:
    from scipy.sparse import coo_array, csr_array

    where = np.array(sorted(cells), dtype=np.int64).reshape(-1, 2)
    data = np.array([cells[i, j] for i, j in where.tolist()], dtype=np.float64)
    return csr_array(coo_array((data, (where[:, 0], where[:, 1])), shape=(margins.rows.size, margins.columns.size)))


def _draw(margins: Margins, seed: int, number: int) -> dict[tuple[int, int], float]:
    """One random fill; every link closes a row or a column."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    slack = EPSILON * margins.total
    left = np.where(margins.rows > slack, margins.rows, 0.0), np.where(margins.columns > slack, margins.columns, 0.0)
    cells: dict[tuple[int, int], float] = {}
    while left[0].any() and left[1].any():
        pick = _matched(left, margins, slack, random) or _picked(left, margins, random)
        if pick is None:
            _swap_in(cells, left, slack)
            break
        _fill(cells, left, pick, slack)
    return cells


def _fill(cells: dict[tuple[int, int], float], left: tuple[Floats, Floats], pick: tuple[int, int], slack: float) -> None:
    i, j = pick
    amount = float(min(left[0][i], left[1][j]))
    cells[i, j] = cells.get((i, j), 0.0) + amount
    for side, place in ((0, i), (1, j)):
        rest = left[side][place] - amount
        left[side][place] = rest if rest > slack else 0.0


def _matched(left: tuple[Floats, Floats], margins: Margins, slack: float, random: np.random.Generator) -> tuple[int, int] | None:
    """Return a row and a column with equal deficits: the link that closes both."""
    rows, columns = np.flatnonzero(left[0]), np.flatnonzero(left[1])
    rows = rows[random.permutation(rows.size)]
    order = columns[np.argsort(left[1][columns], kind="stable")]
    first = np.searchsorted(left[1][order], left[0][rows] - slack)
    last = np.searchsorted(left[1][order], left[0][rows] + slack, side="right")
    for row, low, high in zip(rows[first < last], first[first < last], last[first < last], strict=True):
        for column in order[low:high]:
            if margins.loops or row != column:
                return int(row), int(column)
    return None


def _picked(left: tuple[Floats, Floats], margins: Margins, random: np.random.Generator) -> tuple[int, int] | None:
    """Draw a row by its deficit, then a column by max(a/l, l/a) as Anand, Craig and von Peter's Q does."""
    rows, columns = np.flatnonzero(left[0]), np.flatnonzero(left[1])
    if not margins.loops:
        if columns.size == 1:
            rows = rows[rows != columns[0]]
        if not rows.size:
            return None
    row = int(random.choice(rows, p=left[0][rows] / left[0][rows].sum()))
    columns = columns[(columns != row) | margins.loops]
    ratio = left[0][row] / left[1][columns]
    score = np.maximum(ratio, 1.0 / ratio)
    return row, int(random.choice(columns, p=score / score.sum()))


def _swap_in(cells: dict[tuple[int, int], float], left: tuple[Floats, Floats], slack: float) -> None:
    """Place what could only stand on the diagonal [i, i]: move x from a link (k, l) to (i, l) and (k, i), whole links first."""
    node = int(np.flatnonzero(left[1])[0])
    rest = float(min(left[0][node], left[1][node]))
    free = {cell: value for cell, value in cells.items() if node not in cell}
    ranked = sorted(free, key=lambda cell: (abs(free[cell] - rest) > slack, (node, cell[1]) not in cells, (cell[0], node) not in cells,
                                            free[cell] < rest, free[cell], cell))  # fmt: skip
    for k, column in ranked:
        part = min(rest, cells[k, column])
        cells[k, column] -= part
        if cells[k, column] <= slack:
            del cells[k, column]
        cells[node, column] = cells.get((node, column), 0.0) + part
        cells[k, node] = cells.get((k, node), 0.0) + part
        rest -= part
        if rest <= slack:
            return
    raise MarginsError(f"node {node}: {rest:.17g} can only face itself; lower its two sums, or allow self-loops")


def _exact(margins: Margins) -> dict[tuple[int, int], float]:
    """Fewest cells by mixed-integer programming: x_ij ≤ min(r_i, c_j)·z_ij, least Σz."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, hstack, identity

    where = np.argwhere(margins.allowed() > 0)
    if not where.size:
        return {}
    count = len(where)
    most = np.minimum(margins.rows[where[:, 0]], margins.columns[where[:, 1]]) / margins.total
    ones, column = np.ones(count), np.arange(count)
    sums = [
        hstack([csr_array((ones, (where[:, side], column)), shape=(size, count)), csr_array((size, count))])
        for side, size in ((0, margins.rows.size), (1, margins.columns.size))
    ]
    link = hstack([identity(count), -csr_array((most, (column, column)), shape=(count, count))])
    wanted = margins.rows / margins.total, margins.columns / margins.total
    found = milp(
        np.concatenate([np.zeros(count), ones]),
        integrality=np.concatenate([np.zeros(count), ones]),
        bounds=Bounds(0, np.concatenate([most, ones])),
        constraints=[
            *(LinearConstraint(matrix, sides, sides) for matrix, sides in zip(sums, wanted, strict=True)),
            LinearConstraint(link, -np.inf, 0),
        ],
    )
    if found.x is None:
        raise MarginsError(f"no matrix with these margins: {found.message}; change a sum, or allow self-loops")
    used = np.flatnonzero(found.x[count:] > 0.5)  # noqa: PLR2004 between no link and one
    return _on_cells(margins, [(int(i), int(j)) for i, j in where[used]])


def _on_cells(margins: Margins, cells: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """Amounts on given cells, which are a forest, by least squares: unlike the solver's they meet the sums to rounding."""
    equations = np.zeros((margins.rows.size + margins.columns.size, len(cells)))
    for place, (i, j) in enumerate(cells):
        equations[i, place] = equations[margins.rows.size + j, place] = 1.0
    amounts = np.linalg.lstsq(equations, np.concatenate([margins.rows, margins.columns]), rcond=None)[0]
    return {cell: float(amount) for cell, amount in zip(cells, amounts, strict=True) if amount > EPSILON * margins.total}

"""A matrix from its margins: iterative proportional fitting.

Given row sums r, column sums c and a seed matrix s ≥ 0, find x_ij = a_i s_ij b_j with Σ_j x_ij = r_i and Σ_i x_ij = c_j:
of all matrices with these margins the one of least relative entropy to the seed (Deming and Stephan 1940; for exposures
between banks Upper and Worms 2004). Rows and columns are scaled in turn. A zero of the seed stays zero, and
the odds ratios x_ij x_kl / (x_il x_kj) are the seed's. Cells that are known are taken out of the margins beforehand.

Where scaling in turn is slow (few cells, far apart), Newton's method finishes: with u = ln a, v = ln b the solution minimises
the convex Σ s_ij e^{u_i + v_j} − Σ r_i u_i − Σ c_j v_j, whose gradient is what the sums miss the margins by.

Assumed: margins are non-negative and have one total. Whether zeros leave room for the margins shows in convergence only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphs.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


NEWTON_EVERY, NEWTON_STEPS, NEWTON_SIZE = 200, 40, 1_000
"""Rounds of scaling before each attempt, steps of one, and the largest number of rows and columns together."""


class MarginsError(GraphError):
    """No matrix with these margins was found."""


def fit_margins(
    rows: ArrayLike,
    columns: ArrayLike,
    seed_matrix: ArrayLike,
    *,
    fixed: ArrayLike | None = None,
    tolerance: float = 1e-12,
    max_rounds: int = 10_000,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
) -> Floats:
    """Fit a non-negative matrix to its row and column sums.

    Parameters
    ----------
    rows, columns
        Sums of rows and of columns; their totals agree to ``tolerance``.
    seed_matrix
        Where the mass may lie and in which proportions; zero cells stay zero.
    fixed
        Known cells, NaN where unknown; they are returned as given, whatever the seed says there.
    tolerance
        Largest distance of a sum from its margin, over the total.
    max_rounds
        Scalings of all rows and columns before giving up.
    row_names, column_names
        What to call them in messages; otherwise they are counted from 1.

    Returns
    -------
    numpy.ndarray
        The fitted matrix.

    Raises
    ------
    MarginsError
        If an input is not a finite non-negative number, shapes or totals disagree, a margin has no cell to lie in, or
        the zeros of the seed leave no room for the margins.

    Notes
    -----
    Convergence is linear where a solution with the seed's zeros exists, and the faster the less the seed's cells are
    apart; up to 1,000 rows and columns Newton steps make it quadratic. Where margins fit only with further cells at
    zero neither arrives, and the error says so.

    Examples
    --------
    >>> fit_margins([60, 40], [70, 30], [[1, 1], [1, 1]])
    array([[42., 18.],
           [28., 12.]])
    >>> fit_margins([60, 40], [70, 30], [[1, 0], [1, 1]])
    array([[60.,  0.],
           [10., 30.]])
    """
    row_sums, column_sums, seed = (np.array(values, dtype=np.float64) for values in (rows, columns, seed_matrix))
    known = np.full(seed.shape, np.nan) if fixed is None else np.array(fixed, dtype=np.float64)
    if seed.shape != (row_sums.size, column_sums.size) or known.shape != seed.shape or row_sums.ndim != 1 or column_sums.ndim != 1:
        message = (
            f"seed matrix of shape {seed.shape} and fixed cells of shape {known.shape} do not fit {row_sums.shape} row sums "
            f"and {column_sums.shape} column sums; give one row sum a row and one column sum a column"
        )
        raise MarginsError(message)
    labels = (_labels("row", row_names, row_sums.size), _labels("column", column_names, column_sums.size))
    _require_numbers(row_sums, column_sums, seed, known, labels)

    free = np.isnan(known)
    total = row_sums.sum()
    scale = total if total > 0 else 1.0
    slack = tolerance * scale
    if abs(total - column_sums.sum()) > slack:
        message = f"row sums total {total:.17g} and column sums {column_sums.sum():.17g}; make the totals equal"
        raise MarginsError(message)
    given = np.where(free, 0.0, known)
    wanted = row_sums - given.sum(axis=1), column_sums - given.sum(axis=0)
    matrix = np.where(free, seed, 0.0)
    _require_room(wanted, matrix, slack, labels)
    wanted = np.maximum(wanted[0], 0.0), np.maximum(wanted[1], 0.0)

    for done in range(1, max_rounds + 1):
        matrix *= _ratio(wanted[0], matrix.sum(axis=1))[:, None]
        matrix *= _ratio(wanted[1], matrix.sum(axis=0))[None, :]
        if done % NEWTON_EVERY == 0 and sum(matrix.shape) <= NEWTON_SIZE:
            matrix = _newton(matrix, wanted, slack)
        if _gap(matrix, wanted) <= slack:
            return matrix + given
    gap = np.abs(matrix.sum(axis=1) - wanted[0])
    worst = int(np.argmax(gap))
    message = (
        f"{labels[0][worst]}: its sum is still {gap[worst]:.6g} off {row_sums[worst]:.17g} after {max_rounds} rounds; the zero or fixed "
        "cells leave no room for these margins: free a cell, or change a margin"
    )
    raise MarginsError(message)


def _gap(matrix: Floats, wanted: tuple[Floats, Floats]) -> float:
    """Farthest that a sum is from its margin."""
    return max(float(np.abs(matrix.sum(axis=1 - axis) - wanted[axis]).max(initial=0.0)) for axis in (0, 1))


def _newton(matrix: Floats, wanted: tuple[Floats, Floats], slack: float) -> Floats:
    """Damped Newton steps on the dual; the matrix as it was where they do not come nearer."""
    best = matrix
    for _ in range(NEWTON_STEPS):
        sums = matrix.sum(axis=1), matrix.sum(axis=0)
        slope = np.concatenate([sums[0] - wanted[0], sums[1] - wanted[1]])
        curvature = np.block([[np.diag(sums[0]), matrix], [matrix.T, np.diag(sums[1])]])
        # Singular: a constant moved from u to v changes nothing. The least-squares step leaves it alone.
        step = np.linalg.lstsq(curvature, -slope, rcond=None)[0]
        step /= max(1.0, float(np.abs(step).max(initial=0.0)))
        matrix = matrix * np.exp(step[: sums[0].size, None] + step[None, sums[0].size :])
        if _gap(matrix, wanted) < _gap(best, wanted):
            best = matrix
        if _gap(best, wanted) <= slack:
            break
    return best


def _labels(word: str, names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [f"{word} {position}" for position in range(1, count + 1)]
    if len(names) != count:
        raise MarginsError(f"{len(names)} names for {count} {word}s; give one each")
    return [f"{word} {name}" for name in names]


def _ratio(wanted: Floats, sums: Floats) -> Floats:
    """Factor that brings sums to what is wanted; nothing can be scaled to or from nothing."""
    return np.divide(wanted, sums, out=np.zeros_like(sums), where=sums > 0)


def _require_numbers(rows: Floats, columns: Floats, seed: Floats, known: Floats, labels: tuple[list[str], list[str]]) -> None:
    bad = [
        f"{label}: its sum {value!r} is not a finite number of at least zero"
        for names, values in ((labels[0], rows), (labels[1], columns))
        for label, value in zip(names, values.tolist(), strict=True)
        if not (np.isfinite(value) and value >= 0)
    ]
    for word, cells in (("seed", seed), ("fixed", np.where(np.isnan(known), 0.0, known))):
        bad += [
            f"{labels[0][i]}, {labels[1][j]}: {word} cell {float(cells[i, j])!r} is not a finite number of at least zero"
            for i, j in np.argwhere(~(np.isfinite(cells) & (cells >= 0))).tolist()
        ]
    if bad:
        raise MarginsError("; ".join(bad) + "; correct or remove it")


def _require_room(wanted: tuple[Floats, Floats], matrix: Floats, slack: float, labels: tuple[list[str], list[str]]) -> None:
    bad = []
    for axis, names in enumerate(labels):
        room = matrix.sum(axis=1 - axis)
        for label, left, cells in zip(names, wanted[axis].tolist(), room.tolist(), strict=True):
            if left < -slack:
                bad.append(f"{label}: its fixed cells exceed its sum by {-left:.17g}; lower them or raise the sum")
            elif left > slack and cells == 0:
                bad.append(f"{label}: {left:.17g} of its sum has no cell to lie in; give it a seed above zero")
    if bad:
        raise MarginsError("; ".join(bad))

"""Linear systems (I − A)x = b with A ≥ 0, many at once, each with a certificate.

A is an n × n matrix, dense or ``csr_array``, that all columns share; column c may scale what node j passes on by a factor
f_jc, and solves only for its active nodes, so that it sees A_ij f_jc for i, j active. Up to ``STACKED`` nodes all columns are
factorised together. Where every strongly connected component of A has at most ``SMALL`` nodes, or a dense column has no more
than ``DENSE``, a column is factorised: in the order of the components the factors of I − A stay inside them and fill nothing else.
Otherwise BiCGSTAB (van der Vorst 1992) runs on all columns together, restarts from its true residual, and what it does not
bring to the certificate is factorised after all. No sparse matrix is ever made dense beyond one small component or column.

The residual of a column is max|b − (I − A)x| / max(max|b|, max|x|).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from graphs.matrices import Matrix

CERTIFICATE = 1e-12
"""Largest residual of a solution."""

TIGHT = 2e-14
"""Residual that is aimed at."""

STACKED, SMALL, DENSE = 48, 64, 400
FEW_STEPS, MOST_STEPS, RESTARTS = 60, 1_000, 4
LARGEST_FACTORS = 20_000
"""Nodes up to which a sparse system with a large component, which the iteration did not solve, is factorised whole."""


@dataclass(frozen=True)
class Gain:
    """The operator y ↦ A(f ∘ y).

    Attributes
    ----------
    matrix
        A, n × n, non-negative.
    factor
        f, n × m; None for ones.
    """

    matrix: Matrix
    factor: Floats | None = None

    @cached_property
    def largest_component(self) -> int:
        """Nodes of the largest strongly connected component; for a dense matrix all."""
        if isinstance(self.matrix, np.ndarray):
            return int(self.matrix.shape[0])
        from scipy.sparse.csgraph import connected_components

        _, label = connected_components(self.matrix, directed=True, connection="strong")
        return int(np.bincount(label, minlength=1).max())

    def times(self, values: Floats) -> Floats:
        """Apply it."""
        return product(self.matrix, values if self.factor is None else values * self.factor)

    def part(self, rows: Ints, column: int) -> Matrix:
        """A with the factor of a column, on some nodes."""
        sub = self.matrix[np.ix_(rows, rows)] if isinstance(self.matrix, np.ndarray) else self.matrix[rows][:, rows]
        if self.factor is None:
            return sub
        factor = self.factor[rows, column]
        if isinstance(sub, np.ndarray):
            return np.asarray(sub * factor)
        sub.data = sub.data * factor[sub.indices]
        return sub

    def at(self, columns: Ints) -> Gain:
        """The same on some columns."""
        if self.factor is None:
            return self
        return Gain(self.matrix, self.factor[:, columns])


class Solved(NamedTuple):
    """Solutions by column, zero where not active, and the residual of each; a singular column is NaN with residual ∞."""

    x: Floats
    residual: Floats


def product(matrix: Matrix, values: Floats) -> Floats:
    """Multiply a matrix with columns; one column goes the faster way of a vector."""
    if values.shape[1] == 1:
        return np.asarray(matrix @ values[:, 0], dtype=np.float64)[:, None]
    return np.asarray(matrix @ values, dtype=np.float64)


def solve(
    gain: Gain, active: Flags, right: Floats, *, start: Floats | None = None, tolerance: float = TIGHT, thorough: bool = True
) -> Solved:
    """Solve x = b + A(f ∘ x) on the active nodes of each column, with x = 0 elsewhere.

    Parameters
    ----------
    gain
        The operator.
    active
        n × m.
    right
        b, n × m.
    start
        First guess of the iteration.
    tolerance
        Residual at which a column may stop. A factorised column does not look at it.
    thorough
        Whether columns that the first steps of the iteration do not solve are worth more.

    Notes
    -----
    Cost O(non-zeros × columns) a step of the iteration; a residual above ``tolerance`` can come back and is for the caller to judge.
    """
    right = np.where(active, right, 0.0)
    count = right.shape[0]
    if count <= STACKED:
        return _stacked(gain, active, right)
    if isinstance(gain.matrix, np.ndarray) and count <= DENSE and (right.shape[1] == 1 or gain.factor is None):
        return _each(gain, active, right)
    first = np.zeros_like(right) if start is None else np.where(active, start, 0.0)
    x, residual = _iterate(gain, active, right, first, tolerance=tolerance, most=FEW_STEPS)
    wanted = max(tolerance, CERTIFICATE)
    left = np.flatnonzero(~(residual <= wanted) & thorough)
    if left.size and gain.largest_component > SMALL:
        x[:, left], residual[left] = _iterate(
            gain.at(left), active[:, left], right[:, left], x[:, left], tolerance=tolerance, most=MOST_STEPS
        )
        left = left[~(residual[left] <= wanted)]
    for column in left:
        rows = np.flatnonzero(active[:, column])
        if isinstance(gain.matrix, np.ndarray) or rows.size <= LARGEST_FACTORS or gain.largest_component <= SMALL:
            again = np.zeros(count)
            again[rows] = _factorise(gain.part(rows, int(column)), right[rows, column][:, None])[:, 0]
            one = np.array([column])
            _, found = _residual(gain.at(one), active[:, one], right[:, one], again[:, None])
            if found[0] < residual[column] or not np.isfinite(residual[column]):
                x[:, column], residual[column] = again, found[0]
    return Solved(x, residual)


def _residual(gain: Gain, active: Flags, right: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Residual of each node, and the relative one of each column."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = right - np.where(active, x - gain.times(x), 0.0)
        size = np.maximum(_largest(right), _largest(x))
        found = np.divide(_largest(gap), size, out=np.zeros(size.size), where=size != 0)
    return gap, np.where(np.isfinite(found), found, np.inf)


def _largest(values: Floats) -> Floats:
    return np.asarray(np.abs(values).max(axis=0, initial=0.0))


def _stacked(gain: Gain, active: Flags, right: Floats) -> Solved:
    """All columns of a small network at once."""
    count, columns = right.shape
    matrix = gain.matrix if isinstance(gain.matrix, np.ndarray) else gain.matrix.toarray()  # at most STACKED nodes
    x = np.empty_like(right)
    for first in range(0, columns, 512):
        some = slice(first, min(first + 512, columns))
        mask = active[:, some].T
        systems = np.where(mask[:, :, None] & mask[:, None, :], matrix, 0.0)
        if gain.factor is not None:
            systems = systems * gain.factor[:, some].T[:, None, :]
        systems = np.eye(count) - systems
        sides = right[:, some].T[:, :, None]
        try:
            found = np.linalg.solve(systems, sides)
        except np.linalg.LinAlgError:  # one of them is singular
            found = np.stack([_dense(system, side) for system, side in zip(systems, sides, strict=True)])
        x[:, some] = found[:, :, 0].T
    return Solved(x, _residual(gain, active, right, x)[1])


def _dense(system: Floats, side: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.solve(system, side))
    except np.linalg.LinAlgError:
        return np.full_like(side, np.nan)


def _each(gain: Gain, active: Flags, right: Floats) -> Solved:
    """Columns one after the other; those with the same active nodes share their factors."""
    x = np.zeros_like(right)
    groups: dict[bytes, list[int]] = {}
    for column in range(right.shape[1]):
        groups.setdefault(np.packbits(active[:, column]).tobytes(), []).append(column)
    for group in groups.values():
        columns = np.array(group)
        rows = np.flatnonzero(active[:, group[0]])
        if rows.size:
            cells = np.ix_(rows, columns)
            x[cells] = _factorise(gain.part(rows, group[0]), right[cells])
    return Solved(x, _residual(gain, active, right, x)[1])


def _factorise(part: Matrix, right: Floats) -> Floats:
    """Solve (I − part)x = right by factors: dense, or sparse in the order of the components."""
    count = right.shape[0]
    if isinstance(part, np.ndarray):
        return _dense(np.eye(count) - part, right)
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import splu

    number, label = connected_components(part, directed=True, connection="strong")
    edges = part.tocoo()
    ranked = bool((label[edges.row] >= label[edges.col]).all() or (label[edges.row] <= label[edges.col]).all())
    small = ranked and bool(number == 0 or np.bincount(label).max() <= SMALL)
    order = np.argsort(label, kind="stable") if small else np.arange(count)
    system = csc_array(eye_array(count, format="csr") - part[order][:, order])
    try:
        # an M-matrix needs no pivots; whoever reads the residual learns where that was not so
        factors = splu(system, permc_spec="NATURAL" if small else "COLAMD", diag_pivot_thresh=0.0)
    except RuntimeError:  # exactly singular
        return np.full_like(right, np.nan)
    x = np.empty_like(right)
    x[order] = factors.solve(right[order])
    return x


def _iterate(gain: Gain, active: Flags, right: Floats, x: Floats, *, tolerance: float, most: int) -> tuple[Floats, Floats]:
    """BiCGSTAB with restarts from the true residual."""
    gap, residual = _residual(gain, active, right, x)
    x = x.copy()
    for _ in range(RESTARTS):
        todo = np.flatnonzero(~(residual <= tolerance))
        if not todo.size:
            break
        some = gain.at(todo)
        goal = tolerance * np.maximum(_largest(right[:, todo]), _largest(x[:, todo]))
        better = _sweep(some, active[:, todo], gap[:, todo], x[:, todo], goal=goal, most=most)
        gap[:, todo], found = _residual(some, active[:, todo], right[:, todo], better)
        before = residual[todo]
        gained = found < before
        x[:, todo[gained]], residual[todo[gained]] = better[:, gained], found[gained]
        if not (found < 0.5 * before).any():  # rounding sets the limit
            break
        kept = todo[~gained]
        if kept.size:
            gap[:, kept], _ = _residual(gain.at(kept), active[:, kept], right[:, kept], x[:, kept])
    return x, residual


def _sweep(gain: Gain, active: Flags, r: Floats, x: Floats, *, goal: Floats, most: int) -> Floats:
    """One run of BiCGSTAB from the residual ``r`` of ``x``; columns that are done leave the block."""
    done = x.copy()
    where = np.arange(x.shape[1])
    whole = bool(active.all())
    shadow, p = r, r
    rho = _dot(shadow, r)

    def apply(values: Floats) -> Floats:
        image = values - gain.times(values)
        return image if whole else np.where(active, image, 0.0)

    with np.errstate(all="ignore"):
        for _ in range(most):
            v = apply(p)
            alpha = rho / _dot(shadow, v)
            s = r - alpha * v
            t = apply(s)
            squared = _dot(t, t)
            omega = np.where(squared > 0, _dot(t, s) / squared, 0.0)
            sane = np.isfinite(alpha) & np.isfinite(omega)
            step = alpha * p + omega * s
            x = x + (step if sane.all() else np.where(sane, step, 0.0))
            r = s - omega * t
            again = _dot(shadow, r)
            p = r + (again / rho) * (alpha / omega) * (p - omega * v)
            rho = again
            over = ~sane | (_largest(r) <= goal)
            if over.any():
                done[:, where[over]] = x[:, over]
                keep = np.flatnonzero(~over)
                if not keep.size:
                    return done
                gain, active, where = gain.at(keep), active[:, keep], where[keep]
                x, r, p, shadow = x[:, keep], r[:, keep], p[:, keep], shadow[:, keep]
                rho, goal = rho[keep], goal[keep]
    done[:, where] = x
    return done


def _dot(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->j", left, right))

"""Who owes whom in which class, as the arrays that clearing runs on.

Class k of node i is owed s_k,i in all, outside creditors included; of what the class pays, creditor j gets the share Π_k[i, j]. What
classes 0..k are owed together is S_k. ``inflow[k]`` is Π_kᵀ, so that incomes are inflow[k] @ paid[k]. Shares in equity are the last class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.models.capped import reached
from contagion.models.errors import ModelError
from contagion.models.reading import over_rows, read_square
from contagion.models.solvers import Gain, product
from graphs.matrices import row_sums, scaled, vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.arrays import Floats, Ints
    from graphs.matrices import Labelled, Matrix

TIE = 1e-12
"""Assets that miss the debts by less than this part of both are enough."""


@dataclass(frozen=True, eq=False)
class Debts:
    """A clearing problem.

    Attributes
    ----------
    nodes
        Labels.
    assets
        e, external assets, USD.
    alpha, beta
        What default leaves of external assets, and of claims and shares.
    size
        s, classes × n, USD.
    external
        The part of it owed outside.
    inflow
        Π_kᵀ by class; None where a class has outside creditors only.
    shares
        Transposed holdings, or None.
    """

    nodes: tuple[Any, ...]
    assets: Floats
    alpha: float
    beta: float
    size: Floats
    external: Floats
    inflow: tuple[Matrix | None, ...]
    shares: Matrix | None

    @property
    def classes(self) -> int:
        """How many classes of debt; also the state of a solvent node."""
        return len(self.inflow)

    @cached_property
    def through(self) -> Floats:
        """S: what each class and all before it are owed; a row of zeros first."""
        return np.vstack([np.zeros(self.assets.size), np.cumsum(self.size, axis=0)])

    @property
    def owed(self) -> Floats:
        """All that each node owes."""
        return np.asarray(self.through[-1])

    def left(self, income: Floats) -> Floats:
        """Equity given what comes in, USD."""
        return self.assets + income - self.owed

    def available(self, income: Floats) -> Floats:
        """What a defaulted node has to pay with."""
        return self.alpha * self.assets + self.beta * income

    def state(self, income: Floats) -> Ints:
        """Class that is paid in part, by node; the number of classes for solvent nodes."""
        has = self.available(income)
        state = np.minimum((self.through[1:] <= has).sum(axis=0), self.classes - 1)
        return np.where(self.left(income) >= -self.slack(income), self.classes, state)

    def slack(self, income: Floats) -> Floats:
        """What may be missing of a node's debts without default, USD: rounding."""
        return TIE * (self.assets + income + self.owed)

    def paid(self, state: Ints, part: Floats) -> Floats:
        """Payments by class: full before the class of the state, ``part`` in it, nothing after."""
        rank = np.arange(self.classes)[:, None]
        return np.where(rank < state, self.size, np.where(rank == state, np.clip(part, 0.0, self.size), 0.0))

    def part(self, state: Ints, income: Floats) -> Floats:
        """What is left for the class of the state, or for shareholders; never less than nothing."""
        solvent = state == self.classes
        before = self.through[state, np.arange(state.size)]
        return np.maximum(np.where(solvent, self.assets + income, self.available(income)) - before, 0.0)

    def income(self, state: Ints, part: Floats) -> Floats:
        """What comes in given states and parts."""
        paid = self.paid(state, part)
        total = np.zeros(state.size)
        for matrix, amounts in zip(self.inflow, paid, strict=True):
            if matrix is not None:
                total += product(matrix, amounts[:, None])[:, 0]
        if self.shares is not None:
            total += product(self.shares, np.where(state == self.classes, part, 0.0)[:, None])[:, 0]
        return total

    def step(self, state: Ints, income: Floats) -> tuple[Ints, Floats]:
        """States no better than given ones, and what comes in once all pay by them."""
        only = self.inflow[0]
        if self.classes > 1 or self.shares is not None or only is None:
            state = np.minimum(state, self.state(income))
            return state, self.income(state, self.part(state, income))
        total = self.assets + income
        solvent = (state == 1) & (total * (1.0 + TIE) >= self.owed * (1.0 - TIE))
        has = total if self.alpha == self.beta == 1.0 else self.available(income)
        return solvent.astype(state.dtype), np.asarray(only @ np.where(solvent, self.owed, has), dtype=np.float64)

    def passing_on(self, state: Ints, *, mute: bool = False) -> Matrix:
        """How much more comes to i per USD more of j's part, with what default costs take off.

        Unless ``mute``, solvent nodes may pass on where nothing of theirs is shared, and the caller leaves them out.
        """
        only = self.inflow[0]
        if not mute and self.classes == 1 and self.shares is None and self.beta == 1.0 and only is not None:
            return only
        factor = np.where(state == self.classes, 1.0, self.beta)
        total: Any = None
        for rank, matrix in enumerate((*self.inflow, self.shares)):
            if matrix is not None and (state == rank).any():
                piece = scaled(matrix, factor, state == rank)
                total = piece if total is None else total + piece
        result: Matrix = _nothing((*self.inflow, self.shares), state.size) if total is None else total
        return result

    def room(self, state: Ints) -> Floats:
        """The most that the class of the state can get; no limit for shareholders."""
        sizes = np.vstack([self.size, np.full(state.size, np.inf)])
        return np.asarray(sizes[state, np.arange(state.size)])

    @property
    def carries(self) -> bool:
        """Whether anything that solvent nodes have left goes to other nodes."""
        return self.shares is not None


def _nothing(like: Sequence[Matrix | None], count: int) -> Matrix:
    if any(isinstance(matrix, np.ndarray) for matrix in like):
        return np.zeros((count, count))
    from scipy.sparse import csr_array

    return csr_array((count, count), dtype=np.float64)


def read_debts(
    liabilities: object, assets: object, *, external: object, alpha: float, beta: float, seniority: object, holdings: object
) -> Debts:
    """Read and check the inputs of :func:`contagion.models.clearing.clear`."""
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0.0 <= value <= 1.0:
            raise ModelError(f"{name} is {value!r}; give the share from 0 to 1 that default leaves")
    classes, senior = _classes(liabilities, seniority)
    nodes = classes[0].rows
    for matrix in classes:
        if matrix.rows != nodes:
            raise ModelError("the liability matrices name different nodes, or in another order; give all of them the same nodes")
        _no_self(matrix, "liabilities", "owes itself")
    own = vector(assets, nodes, what="external_assets")
    outside = _external(external, nodes, len(classes))
    matrices: list[Matrix | None] = [read.matrix for read in classes]
    if senior:
        matrices.insert(0, None)
        outside = np.vstack([outside.sum(axis=0), np.zeros((len(classes), own.size))])
    size = np.array([outside[k] + (0.0 if matrix is None else row_sums(matrix)) for k, matrix in enumerate(matrices)])
    inflow = tuple(None if matrix is None else _turned(matrix, size[k]) for k, matrix in enumerate(matrices))
    shares = None if holdings is None else _shares(holdings, nodes)
    return Debts(nodes, own, float(alpha), float(beta), size, outside, inflow, shares)


def _classes(liabilities: object, seniority: object) -> tuple[list[Labelled], bool]:
    """Liability matrices, senior first, and whether outside creditors come before them all."""
    if isinstance(seniority, str):
        if seniority not in {"pari_passu", "external_senior"}:
            raise ModelError(f"seniority is {seniority!r}; give 'pari_passu', 'external_senior', or liability matrices, senior first")
        given = _many(liabilities)
        return [read_square(part, "liabilities") for part in ([liabilities] if given is None else given)], seniority == "external_senior"
    given = _many(seniority)
    if not given:
        raise ModelError(
            "seniority is neither a word nor a list of matrices; give 'pari_passu', 'external_senior', or matrices, senior first"
        )
    parts = [read_square(part, "seniority") for part in given]
    if liabilities is not None:
        whole = read_square(liabilities, "liabilities")
        gap: Any = whole.matrix
        for part in parts:
            gap = gap - part.matrix if part.shape == whole.shape else np.inf
        if np.max(np.abs(gap)) > TIE * max(float(whole.matrix.max()), 0.0):
            raise ModelError("the matrices of seniority do not add up to liabilities; give parts of them, or None for liabilities")
    return parts, False


def _many(value: object) -> list[object] | None:
    """Matrices of a list of matrices, None for a single matrix."""
    if isinstance(value, np.ndarray):
        return list(value) if value.ndim == 3 else None  # noqa: PLR2004 classes × n × n
    if not isinstance(value, list | tuple) or not value:
        return None
    single = all(isinstance(part, list | tuple | np.ndarray) and (not len(part) or np.ndim(part[0]) == 0) for part in value)
    return None if single else list(value)


def _no_self(read: Labelled, what: str, does: str) -> None:
    diagonal = np.asarray(read.matrix.diagonal())
    bad = np.flatnonzero(diagonal)
    if bad.size:
        rest = f" (and {bad.size - 1} more)" if bad.size > 1 else ""
        raise ModelError(f"{what}: {read.rows[bad[0]]} {does} {diagonal[bad[0]]:g}{rest}; set the diagonal to zero")


def _external(external: Any, nodes: tuple[Any, ...], classes: int) -> Floats:  # noqa: ANN401 - whatever a caller gives
    """Outside debts by class, the first class where only a vector is given."""
    result = np.zeros((classes, len(nodes)))
    if external is None:
        return result
    if not hasattr(external, "keys") and np.ndim(external) == 2:  # noqa: PLR2004 a row a class  # type: ignore[arg-type]
        rows = list(np.asarray(external))
        if len(rows) != classes:
            raise ModelError(f"external_liabilities has {len(rows)} rows for {classes} classes of debt; give a vector, or one row a class")
        for rank, row in enumerate(rows):
            result[rank] = vector(row, nodes, what="external_liabilities")
        return result
    result[0] = vector(external, nodes, what="external_liabilities")
    return result


def _turned(matrix: Matrix, size: Floats) -> Matrix:
    shares = over_rows(matrix, np.divide(1.0, size, out=np.zeros_like(size), where=size > 0))
    if isinstance(shares, np.ndarray):
        return np.ascontiguousarray(shares.T)
    from scipy.sparse import csr_array

    return csr_array(shares.T)


def _shares(holdings: object, nodes: tuple[Any, ...]) -> Matrix:
    read = read_square(holdings, "holdings")
    if read.rows != nodes:
        raise ModelError("holdings and liabilities name different nodes, or in another order; give both the same nodes")
    _no_self(read, "holdings", "owns itself:")
    sums = row_sums(read.matrix)
    over = np.flatnonzero(sums > 1.0 + TIE)
    if over.size:
        raise ModelError(f"holdings: row {nodes[over[0]]} sums to {sums[over[0]]:g}; no more than all of its equity can be owned")
    outside = reached(Gain(read.matrix), (sums < 1.0 - TIE)[:, None])[:, 0]
    if not outside.all():
        inside = ", ".join(str(nodes[i]) for i in np.flatnonzero(~outside)[:8])
        raise ModelError(f"holdings: {inside} own each other whole, so their equity has no single value; leave a part to outside owners")
    return _turned(read.matrix, np.ones(sums.size))

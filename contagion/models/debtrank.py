r"""DebtRank: distress that spreads before anybody defaults.

Orientation: ``exposures[i, j]`` is what i loses, in USD, if j defaults; E_i is i's equity before the shock, USD; Λ_ij =
exposures[i, j]/E_i. Distress h_i is the lost share of equity, from 0 to 1; h⁰ is the shock. From h⁰ distress only grows, so the answer is
the least solution above it, also where others exist (spectral radius of Λ of 1 and more):

- ``linear`` (Bardoscia, Battiston, Caccioli and Caldarelli 2015, eqs. 7-8): h = min(1, h⁰ + Λh)
- ``nonlinear`` (Bardoscia, Caccioli, Perotti, Vivaldo and Caldarelli 2016): h = min(1, h⁰ + Λp), p = h·e^{a(h - 1)}; a = 0 is linear,
  and a → ∞ the threshold model
- ``single_hit`` (Battiston, Puliga, Kaushik, Tasca and Caldarelli 2012, eqs. 1-2): each node passes distress on once, in the round
  after it first felt any

Battiston and others cut Λ at 1, the later papers do not; nor does any variant here. ``np.minimum(exposures, equity[:, None])`` cuts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from contagion.models.capped import Count, is_subcritical, least_capped, reached
from contagion.models.errors import ModelError
from contagion.models.portions import portions, shock_columns
from contagion.models.reading import over_rows, read_square
from contagion.models.solvers import CERTIFICATE, Gain, solve
from graphs.matrices import vector

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.arrays import Flags, Floats

Variant = Literal["linear", "single_hit", "nonlinear"]

MOST_NEWTON = 200
SETTLED = 2e-15
TIE = 1e-12
"""Distress this close to 1 is default."""


@dataclass(frozen=True, eq=False)
class DebtRank:
    """Distress after a shock; with many shocks a column each.

    Attributes
    ----------
    nodes
        Labels in the order of the rows.
    distress
        h, from 0 to 1; uncapped, the same as ``stress``.
    defaulted
        h = 1.
    value
        DebtRank R = Σ v_i (h_i - h⁰_i), both at most 1: share of the economic value lost beyond the shock (Battiston and others
        2012, eq. 3; v_i are the weights over their sum).
    stress
        h⁰ + Λp before the cut at 1: losses over equity, also of what equity cannot bear.
    loss
        Σ E_i (stress_i - h⁰_i), USD: losses on exposures beyond the shock.
    residual
        Largest distance of h from the right-hand side of its equation; 0 for ``single_hit``, which has none.
    solves
        Linear systems solved, of all columns; rounds of ``single_hit``.
    """

    nodes: tuple[Any, ...]
    distress: Floats
    defaulted: Flags
    value: float | Floats
    stress: Floats
    loss: float | Floats
    residual: float
    solves: int


def debtrank(
    exposures: object,
    equity: object,
    shock: object,
    *,
    weights: object = None,
    variant: Variant = "linear",
    a: float = 0.0,
    capped: bool = True,
) -> DebtRank:
    """Spread distress over a network of exposures.

    Parameters
    ----------
    exposures
        n × n, USD: what the row loses if the column defaults. Dense array, SciPy sparse matrix, frame or NetworkX graph with
        edges i → j of attribute ``weight``.
    equity
        By node before the shock, USD, at least 0. A node without equity is in default as soon as it loses anything.
    shock
        h⁰ by node, or columns of many, or "each" for the default of every node in turn. Above 1 it counts as 1, except in ``stress``.
    weights
        Economic value of each node in ``value``, in any unit; None takes equity.
    variant
        As above.
    a
        The a ≥ 0 of ``nonlinear``.
    capped
        False reports ``distress`` uncut. What is passed on is at most 1 in either case; :func:`linear_response` cuts nothing.

    Returns
    -------
    DebtRank
        Vectors for one shock, columns for many.

    Raises
    ------
    MatrixError, ModelError
        If an input is not as above, or no solution with a residual of at most 1e-12 is found.

    Notes
    -----
    Cost O(non-zeros × columns) a step of the linear solver. Below criticality three or so solves of some ten steps each, for all
    columns of a portion together; ``nonlinear`` multiplies by its Newton steps (about six); ``single_hit`` takes one product a round.

    Examples
    --------
    >>> import numpy as np
    >>> result = debtrank([[0, 0], [50, 0]], [100, 100], [1, 0])
    >>> result.distress.tolist(), result.value
    ([1.0, 0.5], 0.25)
    >>> debtrank([[0, 2], [2, 0]], [1, 1], [0.1, 0]).distress.tolist()  # spectral radius 2
    [1.0, 1.0]
    >>> debtrank([[0, 0], [50, 0]], [100, 100], "each").distress
    array([[1. , 0. ],
           [0.5, 1. ]])
    """
    if variant not in {"linear", "single_hit", "nonlinear"}:
        raise ModelError(f"variant is {variant!r}; give 'linear', 'single_hit' or 'nonlinear'")
    if not (np.isfinite(a) and a >= 0):
        raise ModelError(f"a is {a!r}; give a finite number of at least zero")
    read = read_square(exposures, "exposures")
    own = vector(equity, read.rows, what="equity")
    start, single = shock_columns(shock, read.rows)
    share = _shares(own if weights is None else vector(weights, read.rows, what="weights"), "equity" if weights is None else "weights")
    solver = _Spread(Gain(over_rows(read.matrix, _inverse(own))), variant, float(a))
    stress, distress = np.empty_like(start), np.empty_like(start)
    for some in portions(*start.shape):
        stress[:, some], distress[:, some] = solver.run(_without_equity(Gain(read.matrix), own, start[:, some]))
    cut = np.minimum(start, 1.0)
    value, loss = share @ (distress - cut), own @ (stress - start)
    shown = distress if capped else stress
    defaulted = stress >= 1.0 - TIE
    if single:
        first = (shown[:, 0], defaulted[:, 0], float(value[0]), stress[:, 0], float(loss[0]))
        return DebtRank(read.rows, *first, solver.residual, solver.count.total)
    return DebtRank(read.rows, shown, defaulted, value, stress, loss, solver.residual, solver.count.total)


def linear_response(exposures: object, equity: object, shock: object) -> Floats:
    """Distress that nothing cuts: the closed form (I - Λ)⁻¹h⁰ below criticality.

    Parameters
    ----------
    exposures, equity, shock
        As in :func:`debtrank`; equity above 0.

    Returns
    -------
    numpy.ndarray
        A vector, or columns.

    Raises
    ------
    ModelError
        If the spectral radius of Λ is 1 or more, so that the series Σ Λᵏh⁰ has no limit; or as in :func:`debtrank`.

    Notes
    -----
    As long as no node passes 1, this is what :func:`debtrank` finds. Cost O(non-zeros × columns) a step.

    Examples
    --------
    >>> linear_response([[0, 0.5], [0.2, 0]], [1, 1], [0.09, 0.09]).round(6).tolist()
    [0.15, 0.12]
    """
    read = read_square(exposures, "exposures")
    own = vector(equity, read.rows, what="equity", low=np.nextafter(0.0, 1.0))
    start, single = shock_columns(shock, read.rows)
    gain, count = Gain(over_rows(read.matrix, 1.0 / own)), Count()
    if not is_subcritical(gain, np.ones((own.size, 1), dtype=bool), count)[0]:
        raise ModelError(
            "the spectral radius of exposures over equity is 1 or more, so distress has no limit; use debtrank, which cuts it at 1"
        )
    result = np.empty_like(start)
    for some in portions(*start.shape):
        x, residual = solve(gain, np.ones(start[:, some].shape, dtype=bool), start[:, some])
        if residual.max(initial=0.0) > CERTIFICATE:
            raise ModelError(f"the linear system stopped at a residual of {residual.max():.1e}; the network is too close to criticality")
        result[:, some] = x
    return result[:, 0] if single else result


def _inverse(own: Floats) -> Floats:
    return np.divide(1.0, own, out=np.zeros_like(own), where=own > 0)


def _shares(weights: Floats, what: str) -> Floats:
    total = weights.sum()
    if weights.size and not total > 0:
        raise ModelError(f"{what} sums to 0, so no share of value can be lost; give weights of which one is above zero")
    return weights / total if weights.size else weights


def _without_equity(gain: Gain, own: Floats, start: Floats) -> Floats:
    """Nodes without equity that any distress reaches are in default from the start."""
    brittle = own == 0
    if not brittle.any():
        return start
    touched = reached(gain, start > 0)
    return np.where(brittle[:, None] & touched, np.maximum(start, 1.0), start)


class _Spread:
    """Spread columns of distress, and keep what certifies them."""

    def __init__(self, gain: Gain, variant: Variant, a: float) -> None:
        self.gain, self.a = gain, a if variant == "nonlinear" else 0.0
        self.count, self.residual = Count(), 0.0
        methods: dict[str, Callable[[Floats], Floats]] = {"linear": self._linear, "single_hit": self._once, "nonlinear": self._newton}
        self.method = methods["linear" if variant == "nonlinear" and a == 0.0 else variant]

    def run(self, start: Floats) -> tuple[Floats, Floats]:
        """Stress and distress."""
        if not start.size:
            return start.copy(), start.copy()
        if self.method == self._once:
            stress = self._once(start)
            return stress, np.minimum(stress, 1.0)
        distress = self.method(start)
        stress = start + self.gain.times(self._passed_on(distress))
        residual = float(np.abs(np.minimum(stress, 1.0) - distress).max())
        if not residual <= CERTIFICATE:
            raise ModelError(f"distress was found to a residual of {residual:.1e} only; the network is too close to criticality")
        self.residual = max(self.residual, residual)
        return stress, distress

    def _passed_on(self, h: Floats) -> Floats:
        return h * np.exp(self.a * (h - 1.0)) if self.a else h

    def _linear(self, start: Floats) -> Floats:
        return least_capped(self.gain, np.minimum(start, 1.0), np.ones_like(start), self.count)

    def _newton(self, start: Floats) -> Floats:
        """Newton from below: p is convex, so each linearised (and cut) system has its least solution under the one sought."""
        h = np.minimum(start, 1.0)
        todo = np.arange(h.shape[1])
        for _ in range(MOST_NEWTON):
            now = h[:, todo]
            short = np.minimum(1.0, start[:, todo] + self.gain.times(self._passed_on(now))) - now
            open_ = short.max(axis=0) > SETTLED
            todo, now, short = todo[open_], now[:, open_], short[:, open_]
            if not todo.size:
                break
            slope = np.exp(self.a * (now - 1.0)) * (1.0 + self.a * now)
            step = least_capped(Gain(self.gain.matrix, slope), np.maximum(short, 0.0), 1.0 - now, self.count)
            h[:, todo] = np.minimum(1.0, now + step)
        return h

    def _once(self, start: Floats) -> Floats:
        """Rounds in which those newly distressed pass it on and are silent from then."""
        h = start.copy()
        fresh = h > 0
        silent = fresh.copy()
        while fresh.any():
            h += self.gain.times(np.where(fresh, np.minimum(h, 1.0), 0.0))
            self.count.add(1)
            fresh = (h > 0) & ~silent
            silent |= fresh
        return h

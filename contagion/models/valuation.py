r"""The valuation frame NEVA: contagion is a rule for what a claim is worth given its debtor's equity.

Barucca, Bardoscia, Caccioli, D'Errico, Visentin, Caldarelli and Battiston (2020), eqs. 2-4: with A_i and L_i external assets and
liabilities, l_ij what i owes j,

    E_i = A_i + Σ_j l_ji V_j(E_j) - Σ_j l_ij - L_i,

V_j from 0 to 1 and never falling in E_j. Solutions form a lattice; the greatest is the limit of the iteration from V = 1. Units are USD.

============================ ==========================================================================
Eisenberg and Noe (2001)     1 if E ≥ 0, else ((E + p̄)/p̄)⁺
Rogers and Veraart (2013)    1 if E ≥ 0, else (αA + β(E + p̄ - A))⁺/p̄
Furfine (2003)               1 if E ≥ 0, else R
linear DebtRank (2015)       E⁺/M cut at 1, M the book equity before the shock
nonlinear DebtRank (2016)    1 - h·e^{a(h - 1)}, h = 1 minus the linear one's
Merton (1974), ex ante       expected payment at maturity, external assets lognormal
============================ ==========================================================================

p̄ is all that the debtor owes where outside creditors rank pari passu. Where they are senior it is what it owes in the
network, and E + p̄ is what they leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from contagion.models.errors import ModelError
from contagion.models.sheets import BalanceSheets

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.arrays import Flags, Floats

__all__ = ["BalanceSheets", "Exact", "Solution", "Valuation", "solve"]

TIE, TOLERANCE, CERTIFICATE = 1e-12, 1e-15, 1e-12


@runtime_checkable
class Valuation(Protocol):
    """What a USD of claim on each debtor is worth."""

    def __call__(self, equity: Floats, sheets: BalanceSheets) -> Floats:
        """Values from 0 to 1 by debtor, never falling in its equity."""


@runtime_checkable
class Exact(Protocol):
    """A valuation that knows a solver which needs no iteration of the frame."""

    def settle(self, sheets: BalanceSheets) -> tuple[Floats, int]:
        """Values at the greatest solution, and how many linear systems that took."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The greatest solution of the frame.

    Attributes
    ----------
    nodes
        Labels in the order of the arrays.
    equity
        E by node, USD.
    values
        What a USD of claim on each is worth.
    defaulted
        Equity below zero by more than 1e-12 of what is owed and due.
    residual
        Largest change of a value that one more evaluation makes.
    rounds
        Evaluations of the valuation from above.
    solves
        Linear systems that an exact solver took.
    """

    nodes: tuple[Any, ...]
    equity: Floats
    values: Floats
    defaulted: Flags
    residual: float
    rounds: int
    solves: int


def solve(
    network: BalanceSheets,
    valuation: Valuation | Exact | Callable[[Floats], Floats],
    *,
    exact: bool = True,
    tolerance: float = TOLERANCE,
    max_rounds: int = 1_000_000,
) -> Solution:
    """Find the greatest solution of the frame.

    Parameters
    ----------
    network
        Balance sheets, after the shock if there is one.
    valuation
        An instance of :mod:`contagion.models.valuations`, or any function of (equity, sheets), or of equity alone.
    exact
        Whether a valuation that has an exact solver uses it; its answer is checked in the frame either way.
    tolerance
        Change of a value at which iteration stops. Near criticality a change of t leaves an error of t/(1 - spectral radius).
    max_rounds
        Evaluations before giving up.

    Returns
    -------
    Solution
        Equities and values, with residual and rounds.

    Raises
    ------
    ModelError
        If the valuation leaves [0, 1], rises while equities fall, is not of one number a node, or does not settle.

    Notes
    -----
    Iteration from above ends at the greatest solution if the valuation is continuous from the right (Barucca and others 2020, Theorem 2).
    Cost O(claims) a round; rounds grow as 1/(1 - spectral radius), which exact solvers avoid.

    Examples
    --------
    >>> from contagion.models.valuations import EisenbergNoe
    >>> sheets = BalanceSheets.of([[0, 0, 0.5], [0.5, 0, 0], [0, 0.5, 0]], [8, 4, 2.4], [9, 4, 2], book_equity=1)
    >>> solve(sheets, EisenbergNoe()).equity.round(6).tolist()
    [-1.0, 0.0, 0.347368]
    >>> solve(sheets, lambda equity: np.where(equity >= 0, 1.0, 0.5)).equity.round(6).tolist()  # a rule of one's own
    [-1.0, 0.0, 0.15]
    """
    value = _checked(valuation, network)
    if exact and isinstance(valuation, Exact):
        values, solves = valuation.settle(network)
        equity = network.equity(values)
        residual = float(np.abs(value(equity) - values).max(initial=0.0))
        return _solution(network, equity, values, residual=residual, rounds=1, solves=solves)
    values = np.ones(len(network.nodes))
    change = 0.0
    for rounds in range(1, max_rounds + 1):
        equity = network.equity(values)
        now = value(equity)
        rise = now - values
        if rise.max(initial=0.0) > CERTIFICATE:
            node = network.nodes[int(rise.argmax())]
            raise ModelError(f"the valuation of {node} rises while equities fall; give one that never falls in equity")
        change = float(-rise.min(initial=0.0))
        values = np.minimum(now, values)
        if change <= tolerance:
            return _solution(network, network.equity(values), values, residual=change, rounds=rounds, solves=0)
    raise ModelError(f"values still change by {change:.1e} after {max_rounds} rounds; raise max_rounds, or tolerance")


def _solution(sheets: BalanceSheets, equity: Floats, values: Floats, *, residual: float, rounds: int, solves: int) -> Solution:
    return Solution(sheets.nodes, equity, values, equity < -slack(sheets), residual, rounds, solves)


def slack(sheets: BalanceSheets) -> Floats:
    """Equity below zero by no more than this is a tie, USD."""
    return np.asarray(TIE * (np.abs(sheets.external_assets) + sheets.due + sheets.owed + sheets.external_liabilities))


def _checked(valuation: Any, sheets: BalanceSheets) -> Callable[[Floats], Floats]:  # noqa: ANN401 - a function of one or two arguments
    """The valuation as a function of equity that watches what comes back."""
    import inspect

    try:
        both = len(inspect.signature(valuation).parameters) > 1
    except (TypeError, ValueError):  # a builtin or a ufunc
        both = False

    def value(equity: Floats) -> Floats:
        found = np.asarray(valuation(equity, sheets) if both else valuation(equity), dtype=np.float64)
        if found.shape != equity.shape:
            raise ModelError(f"the valuation gives an array of shape {found.shape}; give one number each of {equity.size} debtors")
        bad = np.flatnonzero(~((found >= 0) & (found <= 1)))
        if bad.size:
            node = sheets.nodes[bad[0]]
            raise ModelError(f"the valuation of {node} at an equity of {equity[bad[0]]:g} is {found[bad[0]]:g}; give a number from 0 to 1")
        return found

    return value

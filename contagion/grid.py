"""Grids of money and of quantities, on which sums are exact in any order.

A float64 adds multiples of one power of two without rounding while the sum stays below 2⁵³ of them. So quantities are
rounded once, at compile, to a lot of their coin, and every movement of money to a quantum of the ledger, as a ledger is
kept in cents. Then no total depends on the order of rows, on threads or on names, and what one side pays is exactly what
the other receives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints


MANTISSA = 53


def step_for(scale: Floats | float, headroom: int) -> Floats:
    """Power-of-two step on which sums up to ``scale`` × 2**headroom are exact.

    Parameters
    ----------
    scale
        Sum of absolute values; zero counts as one.
    headroom
        Doublings of ``scale`` that must still be exact.

    Examples
    --------
    >>> float(step_for(1000.0, 3)) == 2.0 ** (10 + 3 - 53)
    True
    """
    scale = np.where(np.asarray(scale, dtype=np.float64) > 0, scale, 1.0)
    exponent = np.ceil(np.log2(scale)).astype(np.int64)
    return np.ldexp(1.0, exponent + headroom - MANTISSA)


def snap(values: Floats | float, step: Floats | float) -> Floats:
    """Nearest multiples of ``step``, ties to even.

    Examples
    --------
    >>> float(snap(0.3, 0.25))
    0.25
    """
    return np.asarray(np.rint(np.asarray(values) / step) * step)


def snap_down(values: Floats, step: Floats | float) -> Floats:
    """Multiples of ``step`` next to ``values`` towards zero.

    Examples
    --------
    >>> float(snap_down(np.float64(-0.3), 0.25))
    -0.25
    """
    return np.asarray(np.trunc(np.asarray(values) / step) * step)


def snap_up(values: Floats, step: Floats | float) -> Floats:
    """Multiples of ``step`` next to ``values`` away from zero.

    Examples
    --------
    >>> float(snap_up(np.float64(0.3), 0.25))
    0.5
    """
    quotient = np.asarray(values) / step
    return np.asarray(np.sign(quotient) * np.ceil(np.abs(quotient)) * step)


def sorted_sum(terms: Floats, axis: int = -1) -> Floats:
    """Sum along an axis in the order of the values, so that it does not depend on the order in which they came.

    Examples
    --------
    >>> float(sorted_sum(np.array([1e16, 1.0, -1e16]))) == float(sorted_sum(np.array([1.0, -1e16, 1e16])))
    True
    """
    return np.asarray(np.sort(terms, axis=axis).sum(axis=axis))


def group_sum(groups: Ints, values: Floats, size: int) -> Floats:
    """Sum ``values`` by group; exact, hence in any order, where they lie on one grid."""
    return np.bincount(groups, weights=values, minlength=size).astype(np.float64, copy=False)

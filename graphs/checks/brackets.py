"""Checks of maintenance schedules: brackets from zero, ever stricter, with an initial margin above maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphs.checks.view import View, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphs.errors import Finding

ROUNDING = 1e-9
"""By how much maintenance rate times leverage may exceed one: published leverages are rounded reciprocals."""


def _ordered(view: View) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows of the brackets by pair and floor, and whether each follows one of the same pair."""
    pairs = view.pairs("margin_tier")
    rows = np.lexsort((view.net.numbers("margin_tier", "floor"), pairs))
    rows = rows[pairs[rows] >= 0]
    follows = np.zeros(len(rows), dtype=np.bool_)
    follows[1:] = pairs[rows][1:] == pairs[rows][:-1]
    return rows, follows


def _at(view: View, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    bad = np.zeros(view.net.count("margin_tier"), dtype=np.bool_)
    bad[rows] = True
    return bad


@check()
def bracket_gap(view: View) -> Iterator[Finding]:
    """A schedule whose first bracket does not begin at zero."""
    rows, follows = _ordered(view)
    first = rows[~follows]
    bad = _at(view, first[view.net.numbers("margin_tier", "floor")[first] > 0])
    yield from view.report("bracket_gap", "margin_tier", "floor", bad, "begin the schedule at floor 0: smaller positions have no bracket")


@check()
def bracket_rate_falls(view: View) -> Iterator[Finding]:
    """A bracket with a lower maintenance rate than the one below it."""
    rows, follows = _ordered(view)
    rate = view.net.numbers("margin_tier", "maintenance_rate")[rows]
    bad = _at(view, rows[1:][follows[1:] & (rate[1:] < rate[:-1])])
    yield from view.report("bracket_rate_falls", "margin_tier", "maintenance_rate", bad, "make it at least that of the bracket below")


@check()
def bracket_leverage_rises(view: View) -> Iterator[Finding]:
    """A bracket with a higher leverage than the one below it."""
    rows, follows = _ordered(view)
    leverage = view.net.numbers("margin_tier", "max_leverage")[rows]
    bad = _at(view, rows[1:][follows[1:] & (leverage[1:] > leverage[:-1])])
    yield from view.report("bracket_leverage_rises", "margin_tier", "max_leverage", bad, "make it at most that of the bracket below")


@check()
def initial_below_maintenance(view: View) -> Iterator[Finding]:
    """A bracket in which a position could be opened that is to be liquidated at once."""
    rate, leverage = view.net.numbers("margin_tier", "maintenance_rate"), view.net.numbers("margin_tier", "max_leverage")
    bad = rate * leverage > 1 + ROUNDING
    remedy = "make it at most 1 / maintenance_rate, so that initial margin covers maintenance"
    yield from view.report("initial_below_maintenance", "margin_tier", "max_leverage", bad, remedy)

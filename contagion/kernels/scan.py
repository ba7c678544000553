"""Two scans over all accounts that every round makes: what they are worth to their owners, and which are in breach.

Each is a plain loop, compiled for large inputs, beside its array twin for small ones. Cost O(accounts), one pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap
from contagion.kernels.compiled import PAYS_FROM, compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contagion.arrays import Flags, Floats, Ints


def worth_loop(owner: Ints, equity: Floats, step: float, worth: Floats) -> None:
    """Add the positive part of each account's equity, on the ledger's grid, to its owner's ``worth``."""
    for account in range(owner.size):
        if equity[account] > 0.0:
            worth[owner[account]] += np.rint(equity[account] / step) * step


def worth_arrays(owner: Ints, equity: Floats, step: float, worth: Floats) -> None:
    """Do the same as ``worth_loop`` by array operations."""
    worth += group_sum(owner, snap(np.maximum(equity, 0.0), step), worth.size)


def breach_loop(
    margin: Floats,
    maintenance: Floats,
    gross: Floats,
    balance: Floats,
    status: NDArray[np.uint8],
    tolerance: float,
    at_equality: bool,  # noqa: FBT001 compiled code takes its arguments by position
    breach: Flags,
) -> None:
    """Mark open accounts whose margin balance is at or below maintenance, to a tolerance relative to notional."""
    for account in range(margin.size):
        slack = tolerance * gross[account]
        short = margin[account] <= maintenance[account] + slack if at_equality else margin[account] < maintenance[account] - slack
        breach[account] = short and status[account] == 0 and (gross[account] > 0.0 or balance[account] < 0.0)


def breach_arrays(
    margin: Floats,
    maintenance: Floats,
    gross: Floats,
    balance: Floats,
    status: NDArray[np.uint8],
    tolerance: float,
    at_equality: bool,  # noqa: FBT001 the twin of compiled code
    breach: Flags,
) -> None:
    """Do the same as ``breach_loop`` by array operations."""
    slack = tolerance * gross
    short = margin <= maintenance + slack if at_equality else margin < maintenance - slack
    breach[:] = short & (status == 0) & ((gross > 0.0) | (balance < 0.0))


def add_worth(owner: Ints, equity: Floats, step: float, worth: Floats) -> None:
    """Add accounts' positive equity to their owners' worth by whichever twin is faster here."""
    kernel = compiled(worth_loop) if owner.size >= PAYS_FROM else worth_arrays
    kernel(owner, equity, step, worth)


def find_breaches(
    margin: Floats,
    maintenance: Floats,
    gross: Floats,
    balance: Floats,
    status: NDArray[np.uint8],
    *,
    tolerance: float,
    at_equality: bool,
) -> Ints:
    """Open accounts in breach, in order of index."""
    breach = np.empty(margin.size, dtype=np.bool_)
    kernel = compiled(breach_loop) if margin.size >= PAYS_FROM else breach_arrays
    kernel(margin, maintenance, gross, balance, status, tolerance, at_equality, breach)
    return np.flatnonzero(breach)

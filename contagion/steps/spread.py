"""Sales off exchange: spread over the open spot books of the coin by their depth (perpetual books are no place to deliver)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import snap_down
from contagion.steps.execution import depth_now

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.state import State


def spread_over_books(
    state: State, rows: Ints, coins: Ints, units: Floats, custodian: Ints | None = None
) -> list[tuple[Ints, Ints, Floats]]:
    """Split the sale of ``units`` of each row over spot books.

    Parameters
    ----------
    rows, coins, units
        Rows of a table of holdings or backing, their coins and the units to sell.
    custodian
        Exchange on whose book alone a row is sold if that is open, -1 for any.

    Returns
    -------
    list
        (rows, markets, units) triples; what no open book can take is left out and waits.
    """
    system = state.system
    markets = system.markets
    usable = state.open_markets() & ~markets.perp
    depth = np.where(np.isinf(depth_now(state)), markets.depth, depth_now(state))
    found: list[tuple[Ints, Ints, Floats]] = []
    for row, coin, amount, home in zip(rows, coins, units, custodian if custodian is not None else np.full(rows.size, -1), strict=True):
        if amount <= 0:
            continue
        books = np.flatnonzero(usable & (markets.coin == coin))
        own = books[markets.exchange[books] == home]
        books = own if own.size else books
        if not books.size:
            continue
        lot = system.coins.lot[coin]
        order = np.lexsort((books, -depth[books]))
        books = books[order]
        part = snap_down(amount * (depth[books] / np.sort(depth[books]).sum()), lot)
        part[0] += amount - part.sum()  # the deepest book takes the lots that rounding leaves
        found.append((np.full(books.size, row), books, part))
    return found

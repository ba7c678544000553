"""What accounts still hold: gross units of positions and of coins, all together; zero means none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contagion.state import State

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


def held_units(state: State, accounts: Ints) -> Floats:
    """Gross units of positions left in accounts."""
    place = np.repeat(np.arange(accounts.size), np.diff(state.system.accounts.start)[accounts])
    return group_sum(place, np.abs(state.quantity[state.rows_of(accounts)]), accounts.size)


def coin_units(state: State, accounts: Ints) -> Floats:
    """Units of coins left in accounts."""
    place = np.repeat(np.arange(accounts.size), np.diff(state.system.accounts.coin_start)[accounts])
    return group_sum(place, state.coin_quantity[state.coin_rows_of(accounts)], accounts.size)

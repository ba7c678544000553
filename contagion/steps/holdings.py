"""What accounts still hold: gross units of positions and of coins, all together; zero means none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum
from contagion.state import places_between

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.state import State


def held_units(state: State, accounts: Ints) -> Floats:
    """Gross units of positions left in accounts."""
    place = places_between(state.system.accounts.start, accounts)
    return group_sum(place, np.abs(state.quantity[state.rows_of(accounts)]), accounts.size)


def coin_units(state: State, accounts: Ints) -> Floats:
    """Units of coins left in accounts."""
    place = places_between(state.system.accounts.coin_start, accounts)
    return group_sum(place, state.coin_quantity[state.coin_rows_of(accounts)], accounts.size)

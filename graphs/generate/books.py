"""Which coin trades where, at what price, and how it is margined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphs.generate.plan import chance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphs.generate.plan import Plan

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

BRACKETS = 3
"""Most maintenance brackets of a contract."""
NOTIONAL = 8_000.0
"""Median notional of a position, USD."""
LOTS = 1024
"""Lots in a median position, about: a power of two, as lots are."""


@dataclass(frozen=True, slots=True)
class Books:
    """Arrays by coin, by exchange × coin, and by exchange × coin × bracket.

    Attributes
    ----------
    price, lot
        By coin: USD a unit, and the unit that quantities are whole multiples of.
    perp, spot
        Whether there is such a book.
    haircut
        Share of a coin that is no margin, 1 where it is not accepted.
    floor, rate, leverage
        Brackets; the floor is infinite where there is none.
    marginal
        By exchange: whether its brackets are marginal.
    """

    price: Floats
    lot: Floats
    perp: Bools
    spot: Bools
    haircut: Floats
    floor: Floats
    rate: Floats
    leverage: Floats
    marginal: Bools

    def maintenance(self, exchange: Ints, coin: Ints, notional: Floats) -> Floats:
        """Maintenance margin of positions; marginal is Σ (notional − floor_n)⁺ (rate_n − rate_{n−1})."""
        above = notional[:, None] - self.floor[exchange, coin]
        step = np.diff(self.rate[exchange, coin], axis=1, prepend=0.0)
        margin = np.where(self.marginal[exchange], (np.maximum(above, 0.0) * step).sum(1), notional * ((above >= 0) * step).sum(1))
        return np.asarray(margin, dtype=np.float64)

    def whole(self, coin: Ints, units: Floats) -> Floats:
        """Round units to lots."""
        return np.asarray(np.rint(units / self.lot[coin]) * self.lot[coin], dtype=np.float64)


def draw_books(plan: Plan) -> Books:
    """Draw books, haircuts and brackets.

    The first asset trades spot and perp everywhere. In a full network every stablecoin has spot books, and the last asset has
    nothing but a spot book on the last exchange: a position in it there is a loan of the coin.
    """
    rng = plan.stream("books")
    shape = (plan.exchanges, plan.coins)
    price = np.concatenate([10.0 ** rng.uniform(-0.5, 4.5, plan.assets), rng.choice([1.0, 1.0, 0.5, 2.0], plan.stablecoins)])
    lot = 2.0 ** (np.rint(np.log2(NOTIONAL / price)) - np.log2(LOTS))
    kind = rng.choice(["both", "perp", "spot"], shape, p=[0.6, 0.2, 0.2])
    stable = np.arange(plan.coins) >= plan.assets
    kind[:, stable] = "spot"
    if plan.full and plan.stablecoins:
        kind[0, -1] = "both"
    if plan.loose >= 0:
        kind[-1, plan.loose] = "spot"
    kind[:, 0] = "both"
    spot = (kind != "perp") & plan.full
    perp = (kind != "spot") | (not plan.full)
    accepted = (rng.random(shape) < np.where(stable, 0.8, 0.4)) & plan.full
    haircut = np.where(accepted, rng.uniform(0.0, 0.3, shape), 1.0)

    many = (*shape, BRACKETS)
    steps = rng.uniform(1.5, 2.5, many)
    steps[..., 0] = rng.uniform(0.004, 0.02, shape)
    rate = np.asarray(np.cumprod(steps, axis=2), dtype=np.float64)
    leverage: Floats = np.maximum(1.0, np.floor(1.0 / (rate * rng.uniform(1.25, 2.0, (*shape, 1)))))
    floor = np.cumsum(rng.uniform(0.5, 5.0, many) * NOTIONAL, axis=2)
    floor[..., 0] = 0.0
    floor[np.arange(BRACKETS) >= rng.integers(1, BRACKETS + 1, shape)[..., None]] = np.inf
    floor[~perp & chance(rng, 0.5, shape)] = np.inf  # what is lent need have no bracket
    marginal = np.array(plan.cycle(rng, ["marginal", "flat"])) == "marginal"
    return Books(price, lot, perp, spot, haircut, floor, rate, leverage, marginal | (plan.rules == "longs"))


def pick(weight: Floats, exchange: Ints, uniform: Floats) -> Ints:
    """Pick a coin at each exchange with the weights of its row; -1 where none has any weight."""
    total = weight.sum(1)
    cells = np.cumsum(weight / np.where(total, total, 1.0)[:, None], axis=1) + np.arange(len(weight))[:, None]
    found = np.minimum(np.searchsorted(cells.ravel(), exchange + uniform, side="right"), weight.size - 1)
    return np.where((total[exchange] > 0) & (found // weight.shape[1] == exchange), found % weight.shape[1], -1)

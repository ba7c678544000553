"""Margin brackets by exchange and coin: as published, otherwise borrowed as the assumptions say.

Binance publishes ten coins, Hyperliquid four (maintenance 1 / (2 x max leverage)), Bybit two brackets of BTC. Another coin of
Binance borrows the table of a coin like it; another exchange borrows that of Binance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from graphs.oct2025.facts import AssumptionError, read_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphs.oct2025.facts import Assumptions

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Brackets:
    """Brackets of one contract: floor in USD of notional, maintenance rate, largest leverage."""

    floor: Floats
    rate: Floats
    max_leverage: Floats

    def initial_margin(self, notional: Floats) -> Floats:
        """Initial margin of positions in USD."""
        return notional / self.max_leverage[np.searchsorted(self.floor, notional, side="right") - 1]

    def ceiling(self, leverage: float) -> float:
        """Largest notional whose bracket allows a leverage; of the first bracket if none does."""
        allowed = np.flatnonzero(self.max_leverage >= leverage)
        last = int(allowed[-1]) if allowed.size else 0
        return float(self.floor[last + 1]) if last + 1 < self.floor.size else np.inf

    def scaled(self, factor: float) -> Brackets:
        """Brackets with all floors times a factor."""
        return Brackets(self.floor * factor, self.rate, self.max_leverage)


@cache
def _published(exchange: str, asset: str) -> Brackets | None:
    rows = [row for row in read_rows("margin_tiers") if (row["exchange"], row["asset"]) == (exchange, asset)]
    if not rows:
        return None
    return Brackets(*(np.array([float(row[name]) for row in rows]) for name in ("floor", "maintenance_rate", "max_leverage")))


def brackets_of(exchange: str, asset: str, assumptions: Assumptions) -> Brackets:
    """Brackets of a contract."""
    own = _published(exchange, asset)
    if exchange == "Hyperliquid":
        leverage = assumptions.number("max_leverage.Hyperliquid")
        return own or Brackets(np.zeros(1), np.array([1 / (2 * leverage)]), np.array([leverage]))
    like = _published("Binance", asset) or _published("Binance", assumptions.text(f"tiers_like.{asset}"))
    if like is None:
        word = assumptions.text(f"tiers_like.{asset}")
        raise AssumptionError(f"assumption 'tiers_like.{asset}': {word!r} has no published brackets; name a coin that has")
    if exchange == "Binance":
        return own or like
    capped = np.minimum(like.max_leverage, assumptions.number(f"max_leverage.{exchange}"))
    rate = np.minimum(like.rate * assumptions.number(f"tier_scale.{exchange}"), 1 / capped)
    if own is None:
        return Brackets(like.floor, rate, capped)
    higher = (like.floor > own.floor[-1]) & (rate > own.rate[-1])
    return Brackets(
        np.concatenate([own.floor, like.floor[higher]]),
        np.concatenate([own.rate, rate[higher]]),
        np.concatenate([own.max_leverage, capped[higher]]),
    )

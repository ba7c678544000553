"""Open interest by exchange and coin: margins, fitted and counted in lots.

Published are the total, Hyperliquid's total, the coins of BTC (with CME, which is taken off), XRP and the one cell Binance x BTC. The rest
of the margins is assumed. Where the mass lies inside the margins is told for Hyperliquid by what was liquidated there on
chain, elsewhere by nothing: the seed is uniform.

Every cell is a whole number of lots of its coin, a power of two, so that the positions built later sum to it exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphs.oct2025.facts import EXCHANGES, AssumptionError, perp_assets, read_rows
from graphs.reconstruct import fit_margins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphs.oct2025.facts import Assumptions


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Open interest, one side.

    Attributes
    ----------
    assets
        Coins, the columns; the rows are ``EXCHANGES``.
    prices
        USD a unit, by coin.
    lot
        Units of a lot, by coin: powers of two.
    lots
        Whole lots by exchange and coin.
    """

    assets: tuple[str, ...]
    prices: NDArray[np.float64]
    lot: NDArray[np.float64]
    lots: NDArray[np.int64]

    @property
    def usd(self) -> NDArray[np.float64]:
        """USD by exchange and coin at the prices of the start."""
        return self.lots * self.lot * self.prices

    @property
    def quantity(self) -> NDArray[np.float64]:
        """Units by exchange and coin."""
        return self.lots * self.lot


def reconstruct_open_interest(assumptions: Assumptions, prices: dict[str, float]) -> OpenInterest:
    """Fit the open interest of every exchange and coin to the margins.

    Raises
    ------
    AssumptionError
        If the assumed parts exceed the published total.
    """
    assets = perp_assets()
    published = {(row["scope"], row["exchange"], row["asset"]): float(row["value"]) for row in read_rows("open_interest")}
    total = published["total", "", ""]
    rows = _with_rest(
        {name: published.get(("exchange", name, "")) or assumptions.number(f"oi.{name}") for name in EXCHANGES if name != "Other"},
        {"Other": 1.0},
        total,
        "exchanges",
    )
    columns = _with_rest(
        {
            "BTC": (published["asset", "", "BTC"] - assumptions.number("cme.BTC")) * prices["BTC"],
            "ETH": assumptions.number("oi.ETH"),
            "SOL": assumptions.number("oi.SOL"),
            "XRP": published["asset", "", "XRP"],
        },
        assumptions.under("oi_weight"),
        total,
        "coins",
    )
    row_sums = np.array([rows[name] for name in EXCHANGES])
    column_sums = np.array([columns[name] for name in assets])
    column_sums *= total / column_sums.sum()
    row_sums *= total / row_sums.sum()
    fixed = np.full((len(EXCHANGES), len(assets)), np.nan)
    for (scope, exchange, asset), value in published.items():
        if scope == "cell":
            fixed[EXCHANGES.index(exchange), assets.index(asset)] = value
    usd = fit_margins(row_sums, column_sums, _seed(assets, column_sums), fixed=fixed, row_names=EXCHANGES, column_names=assets)

    price = np.array([prices[name] for name in assets])
    lot = np.exp2([math.ceil(math.log2(units)) - round(assumptions.number("oi_grid")) for units in column_sums / price])
    return OpenInterest(assets, price, lot, np.rint(usd / price / lot).astype(np.int64))


def _with_rest(named: dict[str, float], weights: dict[str, float], total: float, what: str) -> dict[str, float]:
    """Add the names that share what is left of the total."""
    rest = total - sum(named.values())
    if rest <= 0:
        raise AssumptionError(
            f"open interest of the named {what} is {total - rest:.6g} USD, not less than the total {total:.6g}; lower an oi assumption"
        )
    return named | {name: rest * weight / sum(weights.values()) for name, weight in weights.items()}


def _seed(assets: tuple[str, ...], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Uniform, but for Hyperliquid, where on-chain liquidations tell how it differs from the market."""
    seed = np.ones((len(EXCHANGES), len(assets)))
    liquidated = {row["asset"]: float(row["value"]) for row in read_rows("hyperliquid_liquidations")}
    other = sum(columns[position] for position, asset in enumerate(assets) if asset not in liquidated)
    for position, asset in enumerate(assets):
        share = liquidated[asset] if asset in liquidated else liquidated["other"] * columns[position] / other
        seed[EXCHANGES.index("Hyperliquid"), position] = share / columns[position]
    seed[EXCHANGES.index("Hyperliquid")] /= seed[EXCHANGES.index("Hyperliquid")].mean()
    return seed

"""Coins, exchanges with their rules, books and brackets.

Depth is effective: published 1 % depth times a factor that is assumed by class of coin, times a scale by exchange. Perpetual and
spot books are apart. WBETH and BNSOL have books at Binance alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from graphs.oct2025.facts import EXCHANGES, WRAPPED, asset_class, balance, read_rows
from graphs.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphs.oct2025.facts import Assumptions
    from graphs.oct2025.institutions import Rows
    from graphs.oct2025.open_interest import OpenInterest
    from graphs.oct2025.tiers import Brackets

ASSUMED_RULES: Final = (
    "insurance_fund",
    "equity",
    "liquidation",
    "liquidation_fee",
    "loss_rule",
    "adl_form",
    "adl_rank",
    "adl_price",
    "mark_oracle",
    "collateral_oracle",
    "outlier",
    "throughput",
)
"""Columns of an exchange that are assumed where no rule is published."""

POSTABLE: Final = ("BTC", "ETH", "SOL", "USDe", *WRAPPED)
"""Coins with a haircut of their own; the others share one."""


def haircuts(assets: tuple[str, ...], assumptions: Assumptions) -> dict[str, float]:
    """Haircut of every coin as collateral: published for three, assumed for the rest."""
    prefix = "haircut."
    rows = [row for row in read_rows("balances") if row["name"].startswith(prefix)]
    published = {row["name"].removeprefix(prefix): float(row["value"]) for row in rows}
    return {
        name: published[name] if name in published else assumptions.number(f"haircut.{name if name in POSTABLE else 'alt'}")
        for name in (*assets, "USDe", *WRAPPED)
    }


def add_coins(rows: Rows, prices: Mapping[str, float], assumptions: Assumptions) -> None:
    """Coins with a price; the stablecoin comes with its issuer."""
    for name, price in prices.items():
        group = asset_class(name)
        if group != "stablecoin":
            rows.add("asset", id=name, price=price, volatility=assumptions.number(f"volatility.{group}"))


def add_exchanges(rows: Rows, assumptions: Assumptions) -> None:
    """Exchanges with their funds and rules, published ones first."""
    columns = TABLES["exchange"].by_name
    for name in EXCHANGES:
        published = {row["column"]: row["value"] for row in read_rows("rules") if row["exchange"] == name}
        cells: dict[str, str | float] = {
            column: assumptions.value(f"{column}.{name}") for column in ASSUMED_RULES if column not in published
        }
        cells |= {column: _cell(value, columns[column].dtype) for column, value in published.items()}
        if "vault" in cells:
            cells["vault_unwind"] = assumptions.number(f"vault_unwind.{name}")
        rows.add("exchange", id=name, **cells)


def _cell(value: str, dtype: str) -> str | float:
    return float(value) if dtype == "float" else value


def add_books(rows: Rows, interest: OpenInterest, prices: Mapping[str, float], assumptions: Assumptions) -> None:
    """Perpetual and spot books."""
    published = {(row["asset"], row["exchange"]): float(row["value"]) for row in read_rows("depth")}
    rate = haircuts(interest.assets, assumptions)
    spot_of_hype = assumptions.text("spot_books.HYPE").split()
    by_coin = interest.usd.sum(axis=0)
    median = float(np.median([usd for asset, usd in zip(interest.assets, by_coin, strict=True) if asset_class(asset) == "alt"]))
    for exchange in EXCHANGES:
        weight = assumptions.number(f"index_weight.{exchange}")
        scale = assumptions.number(f"depth_scale.{exchange}")
        for asset, usd in zip(interest.assets, by_coin.tolist(), strict=True):
            group = asset_class(asset)
            depth = published[group, ""] * assumptions.number(f"depth_factor.{group}") * scale
            if group == "alt":
                depth *= (usd / median) ** assumptions.number("depth_exponent")
            market = {"exchange": exchange, "asset": asset, "price": prices[asset], "index_weight": weight}
            rows.add("market", **market, instrument="perp", depth=depth, collateral_haircut=1.0)
            if exchange in spot_of_hype if asset == "HYPE" else exchange != "Hyperliquid":
                accepted = exchange != "Hyperliquid"
                spot = depth * assumptions.number("depth_spot")
                rows.add("market", **market, instrument="spot", depth=spot, collateral_haircut=rate[asset] if accepted else 1.0)
    factor = assumptions.number("depth_factor.USDe")
    special = {
        ("USDe", "Binance"): published["USDe", "Binance"] * factor,
        ("USDe", "Bybit"): assumptions.number("depth.USDe.Bybit"),
        ("USDe", "Other"): published["USDe", "Other"] * factor,
        **{(name, "Binance"): assumptions.number(f"depth.{name}") for name in WRAPPED},
    }
    for (asset, exchange), depth in special.items():
        weight = assumptions.number(f"index_weight.{exchange}")
        accepted = exchange != "Other"
        rows.add(
            "market",
            exchange=exchange,
            asset=asset,
            price=prices[asset],
            index_weight=weight,
            instrument="spot",
            depth=depth,
            collateral_haircut=rate[asset] if accepted else 1.0,
        )


def add_tiers(rows: Rows, brackets: Mapping[tuple[str, str], Brackets]) -> None:
    """Brackets of every contract."""
    for (exchange, asset), table in brackets.items():
        for floor, rate, leverage in zip(table.floor.tolist(), table.rate.tolist(), table.max_leverage.tolist(), strict=True):
            rows.add("margin_tier", exchange=exchange, asset=asset, floor=floor, maintenance_rate=rate, max_leverage=leverage)


def coin_lots(interest: OpenInterest, assumptions: Assumptions) -> dict[str, float]:
    """Units of a lot of every coin that may be posted; coins without perpetuals get one as fine."""
    lots = dict(zip(interest.assets, interest.lot.tolist(), strict=True))
    lots |= {name: lots[wraps] for name, wraps in WRAPPED.items()}
    bits = round(assumptions.number("oi_grid"))
    lots["USDe"] = float(np.exp2(np.ceil(np.log2(balance("USDe supply"))) - bits))
    return lots

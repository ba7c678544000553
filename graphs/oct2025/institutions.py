"""Who is named: market makers, the vaults of HLP, the issuer of USDe, arbitrageurs, holders of USDe.

Their positions are whole lots that do not depend on the number of clients. Makers and the issuer are short perpetuals and
long the same units of spot, makers off exchange, the issuer partly as margin where it hedges, partly as backing with that
exchange as custodian. Only the liquidator vaults of HLP, 8.1 million USD, stand behind Hyperliquid's backstop.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from graphs.oct2025.facts import EXCHANGES, balance
from graphs.schema import USD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from graphs.oct2025.facts import Assumptions
    from graphs.oct2025.open_interest import OpenInterest
    from graphs.oct2025.tiers import Brackets

    Ints = NDArray[np.int64]

VAULT: Final = "HLP Liquidator"
STRATEGIES: Final = ("HLP Strategy A", "HLP Strategy B")
ISSUER: Final = "USDe"
HOLDERS: Final = "USDe holders"


@dataclass(slots=True)
class Rows:
    """Rows of tables under construction, by kind."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, **cells: Any) -> None:  # noqa: ANN401 - cells are of the schema's types
        """Append a row."""
        self.tables[kind].append(cells)


@dataclass(frozen=True, slots=True)
class Shorts:
    """Shorts of institutions in lots, by exchange and coin: of one maker (all makers hold the same), of the issuer."""

    maker: Ints
    makers: int
    issuer: Ints

    @property
    def total(self) -> Ints:
        """All of them together."""
        return self.maker * self.makers + self.issuer


def maker_names(assumptions: Assumptions) -> tuple[str, ...]:
    """Names of the market makers."""
    return tuple(f"Maker {position}" for position in range(1, round(assumptions.number("makers.count")) + 1))


def desk_names(assumptions: Assumptions) -> tuple[str, ...]:
    """Names of the arbitrageurs."""
    return tuple(f"Desk {position}" for position in range(1, round(assumptions.number("desks.count")) + 1))


def institutional_shorts(interest: OpenInterest, assumptions: Assumptions) -> Shorts:
    """Shorts that are not left to clients."""
    makers = len(maker_names(assumptions))
    maker = np.floor(interest.lots * assumptions.number("makers.short_share") / max(makers, 1)).astype(np.int64)
    hedged = balance("USDe supply") - balance("USDe stablecoin backing")
    coin = {name: assumptions.number(f"usde.share.{name}") for name in ("BTC", "ETH")}
    coin["SOL"] = 1 - sum(coin.values())
    venue = {name: assumptions.number(f"usde.venue.{name}") for name in ("Binance", "OKX")}
    venue["Bybit"] = balance("USDe hedges at Bybit")
    venue["Other"] = 1 - sum(venue.values())
    issuer = np.zeros_like(interest.lots)
    for asset, share in coin.items():
        column = interest.assets.index(asset)
        for exchange, part in venue.items():
            lots = hedged * share * part / interest.prices[column] / interest.lot[column]
            issuer[EXCHANGES.index(exchange), column] = int(lots)
    return Shorts(maker, makers, issuer)


def add_makers(
    rows: Rows, shorts: Shorts, interest: OpenInterest, brackets: Mapping[tuple[str, str], Brackets], assumptions: Assumptions
) -> None:
    """Market makers: short everywhere, hedged with spot off exchange, quoting part of every book."""
    units = shorts.maker * interest.lot
    share = assumptions.number("makers.depth_share") / max(shorts.makers, 1)
    for name in maker_names(assumptions):
        rows.add("trader", id=name, role="market_maker", cash=assumptions.number("makers.cash"), top_up=1.0)
        for e, exchange in enumerate(EXCHANGES):
            gross, margin = 0.0, 0.0
            for a in np.flatnonzero(units[e]).tolist():
                asset, quantity, price = interest.assets[a], float(units[e, a]), float(interest.prices[a])
                rows.add("margin", owner=name, asset=asset, exchange=exchange, quantity=-quantity, entry_price=price)
                gross += quantity * price
                margin += float(brackets[exchange, asset].initial_margin(np.array(quantity * price)))
            if gross:
                leverage = min(assumptions.number("makers.leverage"), assumptions.number("leverage.headroom") * gross / margin)
                rows.add("collateral", owner=name, asset=USD, exchange=exchange, quantity=gross / leverage)
        for a in np.flatnonzero(units.sum(axis=0)).tolist():
            rows.add("holding", owner=name, asset=interest.assets[a], quantity=float(units[:, a].sum()))
        for market in rows.tables["market"]:
            book = {column: market[column] for column in ("asset", "exchange", "instrument")}
            rows.add("liquidity", trader=name, **book, share=share)


def add_vaults(rows: Rows, interest: OpenInterest, assumptions: Assumptions) -> None:
    """HLP: the liquidators as one vault, and two strategies that quote."""
    capital = {VAULT: balance("HLP Liquidator") + balance("HLP Liquidator 2")} | {name: balance(name) for name in STRATEGIES}
    for name, usd in capital.items():
        rows.add("trader", id=name, role="vault", cash=0.0, top_up=0.0)
        rows.add("collateral", owner=name, asset=USD, exchange="Hyperliquid", quantity=usd)
    share = assumptions.number("hlp.depth_share")
    for name in STRATEGIES:
        for asset in interest.assets:
            rows.add("liquidity", trader=name, asset=asset, exchange="Hyperliquid", instrument="perp", share=share)


def add_issuer(rows: Rows, shorts: Shorts, interest: OpenInterest, assumptions: Assumptions) -> None:
    """USDe: stablecoins, spot and a short of the same units against the spot."""
    supply = balance("USDe supply")
    rows.add(
        "stablecoin",
        id=ISSUER,
        price=1.0,
        volatility=assumptions.number("volatility.stablecoin"),
        peg=1.0,
        supply=supply,
        design="delta_neutral",
        redemption_fee=assumptions.number("usde.redemption_fee"),
        redemption_capacity=assumptions.number("usde.redemption_capacity"),
        redemption_open=True,
    )
    posted_cash = balance("USDe stablecoin backing") * assumptions.number("usde.margin_cash")
    cash = balance("USDe stablecoin backing") - posted_cash + supply * assumptions.number("usde.reserve")
    rows.add("backing", stablecoin=ISSUER, asset=USD, quantity=cash, custodian=None)
    hedges = (shorts.issuer * interest.lot * interest.prices).sum(axis=1)
    for e in np.flatnonzero(hedges).tolist():
        rows.add("collateral", owner=ISSUER, asset=USD, exchange=EXCHANGES[e], quantity=posted_cash * float(hedges[e] / hedges.sum()))
    for e, a in np.argwhere(shorts.issuer).tolist():
        exchange, asset, lot, lots = EXCHANGES[e], interest.assets[a], float(interest.lot[a]), int(shorts.issuer[e, a])
        posted = int(lots * assumptions.number("usde.posted"))
        rows.add("margin", owner=ISSUER, asset=asset, exchange=exchange, quantity=-lots * lot, entry_price=float(interest.prices[a]))
        rows.add("collateral", owner=ISSUER, asset=asset, exchange=exchange, quantity=posted * lot)
        if lots > posted:
            rows.add("backing", stablecoin=ISSUER, asset=asset, quantity=(lots - posted) * lot, custodian=exchange)


def add_desks(rows: Rows, interest: OpenInterest, assumptions: Assumptions) -> None:
    """Arbitrageurs: capacity by coin, fully funded."""
    capacity = dict(zip(interest.assets, (assumptions.number("desks.capacity") * interest.usd.sum(axis=0)).tolist(), strict=True))
    capacity[ISSUER] = assumptions.number(f"desks.capacity.{ISSUER}")
    names = desk_names(assumptions)
    for name in names:
        rows.add("trader", id=name, role="fund", cash=sum(capacity.values()) / len(names), top_up=0.0)
        for asset, usd in capacity.items():
            rows.add("arbitrage", trader=name, asset=asset, capacity=usd / len(names))


def add_holders(rows: Rows, posted: float) -> None:
    """Everybody who holds USDe and does not post it as margin, as one."""
    rows.add("trader", id=HOLDERS, role="fund", cash=0.0, top_up=0.0)
    rows.add("holding", owner=HOLDERS, asset=ISSUER, quantity=balance("USDe supply") - posted)

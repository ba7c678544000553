"""The overview of a network: what is in it, who has the open interest, and where it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from contagion.report.page import LABEL, Page, percent, quote, usd
from graphs.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphs.network import Network

    Json = dict[str, Any]

MOST_ASSETS: Final = 10
_EXCHANGE_COLUMNS: Final = (
    ("exchange", 14),
    ("OI", -8),
    ("share", -8),
    ("accounts", -11),
    ("fund", -8),
    ("liquidation", 12),
    ("losses", 10),
    ("marks", 10),
)
_COIN_COLUMNS: Final = (("coin", 14), ("OI", -8), ("share", -8), ("price", -11), ("1 % depth, all books", -20))


def overview(net: Network) -> Json:
    """What there is to say of a network, open interest as exchanges count it, one side, at the price of its market.

    Examples
    --------
    >>> from graphs.toys import one_book_ladder
    >>> said = overview(one_book_ladder())
    >>> said["exchanges"][0]["exchange"], said["counts"]["trader"]
    ('Book', 6)
    """
    interest = open_interest(net)
    return {
        "name": net.name,
        "as_of": net.as_of,
        "counts": {kind: net.count(kind) for kind in TABLES if net.count(kind)},
        "open_interest": float(interest["usd"].sum()),
        "exchanges": _exchanges(net, interest),
        "assets": _assets(net, interest),
        "sources": list(net.sources),
    }


def open_interest(net: Network) -> pd.DataFrame:
    """One row a perpetual market with its open interest in units and USD."""
    markets = net.frame("market") if net.count("market") else pd.DataFrame(columns=["exchange", "asset", "instrument", "price"])
    perps = markets[markets["instrument"] == "perp"][["exchange", "asset", "price"]].astype({"exchange": str, "asset": str})
    if not net.count("margin"):
        return perps.assign(units=0.0, usd=0.0)
    exchanges, assets = sorted(set(perps["exchange"])), sorted(set(perps["asset"]))
    place = net.codes("margin", "exchange", exchanges), net.codes("margin", "asset", assets)
    known = (place[0] >= 0) & (place[1] >= 0)
    cell = (place[0] * len(assets) + place[1])[known]
    sides = np.bincount(cell, weights=np.abs(net.numbers("margin", "quantity"))[known], minlength=len(exchanges) * len(assets))
    row = perps["exchange"].map(exchanges.index).to_numpy(int) * len(assets) + perps["asset"].map(assets.index).to_numpy(int)
    units = sides[row] / 2.0 if len(row) else np.empty(0)
    return perps.assign(units=units, usd=units * perps["price"].to_numpy(float))


def _exchanges(net: Network, interest: pd.DataFrame) -> list[Json]:
    if not net.count("exchange"):
        return []
    rules = net.frame("exchange").set_index("id")
    accounts = _accounts(net)
    by_exchange = interest.groupby("exchange")["usd"].sum()
    rows = [
        {
            "exchange": str(name),
            "open_interest": float(by_exchange.get(name, 0.0)),
            "accounts": accounts.get(str(name), 0),
            "insurance_fund": float(rule["insurance_fund"]),
            "liquidation": str(rule["liquidation"]),
            "loss_rule": str(rule["loss_rule"]),
            "mark_oracle": str(rule["mark_oracle"]),
        }
        for name, rule in rules.iterrows()
    ]
    return sorted(rows, key=lambda row: (-row["open_interest"], row["exchange"]))


def _accounts(net: Network) -> dict[str, int]:
    """Owners with a position or collateral, by exchange."""
    names = net.node_ids("exchange")
    pairs = [
        pd.DataFrame({"owner": net.strings(kind, "owner"), "exchange": net.codes(kind, "exchange", names)})
        for kind in ("margin", "collateral")
        if net.count(kind)
    ]
    if not pairs:
        return {}
    counts = pd.concat(pairs).drop_duplicates().groupby("exchange").size()
    return {names[place]: int(counts.get(place, 0)) for place in range(len(names))}


def _assets(net: Network, interest: pd.DataFrame) -> list[Json]:
    by_asset = interest.groupby("asset")["usd"].sum()
    markets = net.frame("market") if net.count("market") else pd.DataFrame(columns=["asset", "depth"])
    depth = markets.groupby(markets["asset"].astype(str))["depth"].sum()
    rows = []
    for kind in ("asset", "stablecoin"):
        if not net.count(kind):
            continue
        for name, price in zip(net.node_ids(kind), net.numbers(kind, "price").tolist(), strict=True):
            row = {"asset": name, "kind": kind, "price": price, "open_interest": float(by_asset.get(name, 0.0))}
            rows.append({**row, "depth": float(depth.get(name, 0.0))})
    return sorted(rows, key=lambda row: (-row["open_interest"], -row["depth"], row["asset"]))


def lay_out_overview(said: Json) -> Page:
    """Page of an overview."""
    page = Page()
    page.paragraph("Network", said["name"] + (f" as of {said['as_of']}" if said["as_of"] else ""))
    page.paragraph("Nodes", _counted(said["counts"], edges=False))
    page.paragraph("Edges", _counted(said["counts"], edges=True))
    if said["open_interest"]:
        page.paragraph("OI", f"{usd(said['open_interest'])} USD, one side")
    _table(page, said)
    if said["sources"]:
        page.add()
        for number, source in enumerate(said["sources"]):
            page.add((f"{'' if number else 'Sources':{LABEL}}", "bold"), (source, "dim"))  # whole, so that an address can be copied
    return page


def _counted(counts: dict[str, int], *, edges: bool) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if TABLES[kind].is_edge == edges) or "none"


def _table(page: Page, said: Json) -> None:
    total = said["open_interest"]
    rows = [
        [
            (row["exchange"], "bold"),
            (usd(row["open_interest"]), ""),
            (percent(row["open_interest"] / total) if total else "", ""),
            (f"{row['accounts']:,}", ""),
            (usd(row["insurance_fund"]), ""),
            *((row[name], "dim") for name in ("liquidation", "loss_rule", "mark_oracle")),
        ]
        for row in said["exchanges"]
    ]
    _section(page, _EXCHANGE_COLUMNS, rows)
    rows = [
        [
            (row["asset"], "bold"),
            (usd(row["open_interest"]), ""),
            (percent(row["open_interest"] / total) if total else "", ""),
            (quote(row["price"]), ""),
            (usd(row["depth"]), ""),
        ]
        for row in said["assets"][:MOST_ASSETS]
    ]
    if len(said["assets"]) > MOST_ASSETS:
        rows.append([(f"{len(said['assets']) - MOST_ASSETS} more", "dim"), *[("", "")] * 4])
    _section(page, _COIN_COLUMNS, rows)


def _section(page: Page, columns: Sequence[tuple[str, int]], rows: list[list[tuple[str, str]]]) -> None:
    if rows:
        page.add()
        page.table(columns, rows)

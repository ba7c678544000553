"""Nodes, coins and exchanges, from tables to arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.compile.names import rows_of
from contagion.grid import group_sum, snap, step_for
from contagion.system import Coins, Exchanges, Nodes
from graphs.schema import EXCHANGE, USD

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from contagion.compile.names import Names
    from contagion.system import Markets
    from graphs.network import Network

LOT_HEADROOM = 3
"""Doublings of all units of a coin that sums of lots stay exact for."""


def compile_nodes(net: Network, names: Names) -> Nodes:
    """Money and rules of all nodes; only traders have most of them, issuers the cash of their backing."""
    count = len(names.node)
    rows = rows_of(net, "trader", names.trader)

    def column(name: str, empty: float) -> Floats:
        values = np.full(count, empty)
        values[: rows.size] = net.numbers("trader", name)[rows]
        return values

    cash, limit, target = column("cash", 0.0), column("leverage_limit", np.nan), column("leverage_target", np.nan)
    is_cash = net.codes("backing", "asset", [USD]) == 0
    np.add.at(cash, net.codes("backing", "stablecoin", names.node)[is_cash], net.numbers("backing", "quantity")[is_cash])
    return Nodes(
        ids=names.node,
        traders=len(names.trader),
        assets=len(names.asset),
        stablecoins=len(names.stablecoin),
        exchanges=len(names.exchange),
        cash=cash,
        external_debt=column("external_debt", 0.0),
        top_up=column("top_up", 0.0),
        leverage_limit=limit,
        leverage_target=np.where(np.isnan(target), limit, target),
    )


def compile_coins(net: Network, names: Names, markets: Markets) -> Coins:
    """Assets, then stablecoins; a coin's lot is fine enough that all its units that there may be sum exactly."""
    assets, stables = rows_of(net, "asset", names.asset), rows_of(net, "stablecoin", names.stablecoin)

    def of_stables(name: str, empty: float) -> Floats:
        return np.concatenate([np.full(assets.size, empty), net.numbers("stablecoin", name)[stables].astype(np.float64)])

    price = np.concatenate([net.numbers("asset", "price")[assets], net.numbers("stablecoin", "price")[stables]])
    supply = of_stables("supply", 0.0)
    units = supply + group_sum(markets.coin, markets.depth, price.size)
    for kind in ("margin", "collateral", "holding", "backing"):
        coin = net.codes(kind, "asset", names.coin)
        real = coin >= 0
        units += group_sum(coin[real], np.abs(net.numbers(kind, "quantity")[real]), price.size)
    coin = net.codes("arbitrage", "asset", names.coin)
    units += 2 * group_sum(coin, net.numbers("arbitrage", "capacity") / price[coin], price.size)
    lot = step_for(units, LOT_HEADROOM)
    return Coins(
        names=tuple(names.coin.to_pylist()),
        price=price,
        lot=lot,
        volatility=np.concatenate([net.numbers("asset", "volatility")[assets], net.numbers("stablecoin", "volatility")[stables]]),
        peg=of_stables("peg", np.nan),
        supply=snap(supply, lot),
        promised=np.full(price.size, np.nan),
        redemption_fee=of_stables("redemption_fee", 0.0),
        redemption_capacity=of_stables("redemption_capacity", 0.0),
        redemption_open=of_stables("redemption_open", 0.0) > 0,
    )


def compile_exchanges(net: Network, names: Names) -> Exchanges:
    """Exchanges with their rules, column by column of the schema; vaults come with the accounts."""
    rows = rows_of(net, "exchange", names.exchange)
    values: dict[str, Any] = {"names": tuple(names.exchange.to_pylist()), "vault_account": np.full(rows.size, -1)}
    for column in EXCHANGE.columns:
        if column.name in {"id", "vault"}:
            continue
        if column.name == "tier_form":
            values["marginal"] = net.strings("exchange", "tier_form")[rows] == "marginal"
        elif column.dtype == "string":
            values[column.name] = tuple(net.strings("exchange", column.name)[rows])
        else:
            values[column.name] = net.numbers("exchange", column.name)[rows]
    return Exchanges(**values)

"""From a Network to a System: sort, index, round to lots.

Rows are put into one order that depends on their content alone, so shuffled tables compile to the same arrays.
Cost O(n log n) in the rows, all in arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap, step_for
from contagion.system import Accounts, Claims, Coins, Exchanges, Markets, Nodes, System
from graphs.checks import require_valid
from graphs.schema import EXCHANGE, USD

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from graphs.network import Network

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

LOT_HEADROOM = 3
LEDGER_HEADROOM = 3
VALUE_HEADROOM = 7
"""Doublings that sums may grow by before they stop being exact: prices that rise 8-fold, accounts 128-fold."""


@dataclass(frozen=True, slots=True)
class _Names:
    """Sorted ids of each kind, as Arrow arrays to look codes up in."""

    trader: pa.StringArray
    asset: pa.StringArray
    stablecoin: pa.StringArray
    exchange: pa.StringArray
    coin: pa.StringArray
    owner: pa.StringArray
    node: pa.StringArray


def compile_system(net: Network, *, check: bool = True) -> System:
    """Compile a network.

    Parameters
    ----------
    net
        Network to compile.
    check
        Whether to run ``graphs.checks`` first; False only for a network that has just passed them.

    Raises
    ------
    CheckError
        If the network breaks its schema.

    Examples
    --------
    >>> from graphs.toys import one_book_ladder
    >>> system = compile_system(one_book_ladder())
    >>> system.market_name(0)[2]
    'perp'
    """
    if check:
        require_valid(net)
    names = _names(net)
    markets = _markets(net, names)
    coins = _coins(net, names, markets)
    claims = _claims(net, names, markets, coins)
    exchanges = _exchanges(net, names)
    accounts, vault_accounts, residue, scale = _accounts(net, names, markets, coins, exchanges)
    nodes = _nodes(net, names)
    quantum = _quantum(scale, nodes, coins, exchanges, claims)
    accounts = _on_ledger(accounts, quantum, vault_accounts)
    nodes = Nodes(**{**_fields(nodes), "cash": snap(nodes.cash, quantum), "external_debt": snap(nodes.external_debt, quantum)})
    claims = Claims(**{**_fields(claims), "amount": snap(claims.amount, quantum)})
    exchanges = Exchanges(
        **{
            **_fields(exchanges),
            "insurance_fund": snap(exchanges.insurance_fund, quantum),
            "equity": snap(exchanges.equity, quantum),
            "vault_account": vault_accounts,
        }
    )
    return System(net.name, net.as_of, nodes, coins, exchanges, markets, accounts, claims, quantum, residue)


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}  # type: ignore[attr-defined]


def _sorted_ids(net: Network, kind: str) -> pa.StringArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not net.count(kind):
        return pa.array([], type=pa.string())
    ids = net.tables[kind].column("id").combine_chunks().cast(pa.string())
    return ids.take(pc.sort_indices(ids))


def _names(net: Network) -> _Names:
    import pyarrow as pa

    trader, asset, stablecoin, exchange = (_sorted_ids(net, kind) for kind in ("trader", "asset", "stablecoin", "exchange"))
    coin = pa.concat_arrays([asset, stablecoin])
    node = pa.concat_arrays([trader, asset, stablecoin, exchange])
    return _Names(trader, asset, stablecoin, exchange, coin, node, node)


def _rank(net: Network, kind: str, ids: pa.StringArray) -> Ints:
    """Row of the table for each sorted id."""
    rows = np.empty(len(ids), dtype=np.int64)
    rows[net.codes(kind, "id", ids)] = np.arange(len(ids))
    return rows


def _nodes(net: Network, names: _Names) -> Nodes:
    count = len(names.node)
    sizes = {kind: len(getattr(names, kind)) for kind in ("trader", "asset", "stablecoin", "exchange")}
    rows = _rank(net, "trader", names.trader)
    columns = {}
    for name, empty in (("cash", 0.0), ("external_debt", 0.0), ("top_up", 0.0), ("leverage_limit", np.nan), ("leverage_target", np.nan)):
        column = np.full(count, empty)
        if rows.size:
            column[: rows.size] = net.numbers("trader", name)[rows]
        columns[name] = column
    limit, target = columns["leverage_limit"], columns["leverage_target"]
    columns["leverage_target"] = np.where(np.isnan(target), limit, target)
    if net.count("backing"):
        cash = net.strings("backing", "asset") == USD
        issuer = net.codes("backing", "stablecoin", names.node)[cash]
        np.add.at(columns["cash"], issuer, net.numbers("backing", "quantity")[cash])
    return Nodes(names.node, sizes["trader"], sizes["asset"], sizes["stablecoin"], sizes["exchange"], **columns)


def _markets(net: Network, names: _Names) -> Markets:
    exchange = net.codes("market", "exchange", names.exchange)
    coin = net.codes("market", "asset", names.coin)
    perp = net.strings("market", "instrument") == "perp"
    order = np.lexsort((perp, coin, exchange))
    exchange, coin, perp = exchange[order], coin[order], perp[order]
    column = {name: net.numbers("market", name)[order] for name in ("price", "depth", "collateral_haircut", "index_weight", "price_band")}
    marginal = np.zeros(len(names.exchange), dtype=np.bool_)
    marginal[net.codes("exchange", "id", names.exchange)] = net.strings("exchange", "tier_form") == "marginal"
    tiers = _tiers(net, names, exchange, coin, perp, marginal)
    depth_units = column["depth"] / column["price"]
    haircut, weight, band = column["collateral_haircut"], column["index_weight"], column["price_band"]
    lookup = _market_lookup(exchange, coin, perp, len(names.exchange), len(names.coin))
    return Markets(exchange, coin, perp, column["price"], depth_units, haircut, weight, band, *tiers, *lookup)


def _tiers(
    net: Network, names: _Names, exchange: Ints, coin: Ints, perp: NDArray[np.bool_], marginal: NDArray[np.bool_]
) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Brackets by market, with deduction_n = floor_n (rate_n - rate_{n-1}) + deduction_{n-1} (zero in flat form)."""
    count = len(exchange)
    if not net.count("margin_tier"):
        empty = np.empty(0)
        return np.zeros(count + 1, dtype=np.int64), empty, empty, empty, empty
    tier_exchange = net.codes("margin_tier", "exchange", names.exchange)
    tier_coin = net.codes("margin_tier", "asset", names.coin)
    keys = exchange * (len(names.coin) + 1) + coin
    tier_keys = tier_exchange * (len(names.coin) + 1) + tier_coin
    # a bracket belongs to the perp book where there is one, else to the spot book (lending)
    has_perp = np.isin(keys, keys[perp])
    owns = perp | ~has_perp
    owner_rows = np.flatnonzero(owns)
    sorter = np.argsort(keys[owner_rows])
    place = np.searchsorted(keys[owner_rows], tier_keys, sorter=sorter)
    market = owner_rows[sorter[np.minimum(place, sorter.size - 1)]]
    known = keys[market] == tier_keys
    floor = net.numbers("margin_tier", "floor")
    order = np.lexsort((floor, market))
    order = order[known[order]]
    market, floor = market[order], floor[order]
    rate = net.numbers("margin_tier", "maintenance_rate")[order]
    leverage = net.numbers("margin_tier", "max_leverage")[order]
    start = np.searchsorted(market, np.arange(count + 1))
    deduction = np.zeros(len(floor))
    for row in range(len(floor)):  # brackets are few
        if row > start[market[row]] and marginal[exchange[market[row]]]:
            deduction[row] = floor[row] * (rate[row] - rate[row - 1]) + deduction[row - 1]
    return start, floor, rate, deduction, leverage


def _coins(net: Network, names: _Names, markets: Markets) -> Coins:
    assets, stables = _rank(net, "asset", names.asset), _rank(net, "stablecoin", names.stablecoin)

    def joined(asset: str | None, stablecoin: str | None, empty: float) -> Floats:
        first = net.numbers("asset", asset)[assets] if asset and assets.size else np.full(assets.size, empty)
        second = net.numbers("stablecoin", stablecoin)[stables] if stablecoin and stables.size else np.full(stables.size, empty)
        return np.concatenate([first, second]).astype(np.float64)

    price = joined("price", "price", 0.0)
    supply = joined(None, "supply", 0.0)
    units = supply.copy()
    for kind, column in (("margin", "quantity"), ("collateral", "quantity"), ("holding", "quantity"), ("backing", "quantity")):
        if net.count(kind):
            coin = net.codes(kind, "asset", names.coin)
            real = coin >= 0
            units += group_sum(coin[real], np.abs(net.numbers(kind, column)[real]), len(price))
    if net.count("arbitrage"):
        coin = net.codes("arbitrage", "asset", names.coin)
        units += 2 * group_sum(coin, net.numbers("arbitrage", "capacity") / price[coin], len(price))
    units += group_sum(markets.coin, markets.depth, len(price))
    lot = step_for(units, LOT_HEADROOM)
    redeemable = joined(None, "redemption_open", 0.0) > 0
    return Coins(
        tuple(names.coin.to_pylist()),
        price,
        lot,
        joined(None, "peg", np.nan),
        snap(supply, lot),
        np.full(len(price), np.nan),
        joined(None, "redemption_fee", 0.0),
        joined(None, "redemption_capacity", 0.0),
        redeemable,
    )


def _exchanges(net: Network, names: _Names) -> Exchanges:
    rows = _rank(net, "exchange", names.exchange)
    values: dict[str, object] = {"names": tuple(names.exchange.to_pylist()), "vault_account": np.full(rows.size, -1, dtype=np.int64)}
    for column in EXCHANGE.columns:
        if column.name in {"id", "vault"}:
            continue
        if column.name == "tier_form":
            values["marginal"] = net.strings("exchange", "tier_form")[rows] == "marginal"
        elif column.dtype == "string":
            values[column.name] = tuple(net.strings("exchange", column.name)[rows])
        else:
            values[column.name] = net.numbers("exchange", column.name)[rows]
    return Exchanges(**values)  # type: ignore[arg-type]


def _market_lookup(exchange: Ints, coin: Ints, perp: NDArray[np.bool_], exchanges: int, coins: int) -> tuple[Ints, Ints]:
    """Market where a position trades (perp first) and where a coin is sold (spot first), by exchange × coin."""
    trade, sell = np.full((exchanges, coins), -1, dtype=np.int64), np.full((exchanges, coins), -1, dtype=np.int64)
    rows = np.arange(len(exchange))
    for table, first, second in ((trade, ~perp, perp), (sell, perp, ~perp)):
        for part in (first, second):  # the second pass overwrites the first
            table[exchange[part], coin[part]] = rows[part]
    return trade, sell


def _accounts(
    net: Network, names: _Names, markets: Markets, coins: Coins, exchanges: Exchanges
) -> tuple[Accounts, Ints, Floats, float]:
    coin_count, trade, sell = len(coins.names), markets.trade, markets.sell
    vault = np.full(len(exchanges.names), -1, dtype=np.int64)
    vault[net.codes("exchange", "id", names.exchange)] = net.codes("exchange", "vault", names.trader)

    # an account is keyed by owner, exchange and the coin of an isolated position (0: cross)
    def key(owner: Ints, exchange: Ints, isolated: Ints) -> Ints:
        return np.asarray((owner * len(exchanges.names) + exchange) * (coin_count + 1) + isolated)

    rows = net.count("margin")
    owner = net.codes("margin", "owner", names.owner) if rows else np.empty(0, dtype=np.int64)
    coin = net.codes("margin", "asset", names.coin) if rows else np.empty(0, dtype=np.int64)
    exchange = net.codes("margin", "exchange", names.exchange) if rows else np.empty(0, dtype=np.int64)
    isolated = net.strings("margin", "mode") == "isolated" if rows else np.empty(0, dtype=np.bool_)
    quantity = snap(net.numbers("margin", "quantity"), coins.lot[coin]) if rows else np.empty(0)
    columns = {
        name: net.numbers("margin", name).astype(np.float64) if rows else np.empty(0)
        for name in ("entry_price", "isolated_margin", "stop_price", "take_profit", "order")
    }
    columns["order"] = np.where(columns["order"] < 0, np.nan, columns["order"])
    position_key = key(owner, exchange, np.where(isolated, coin + 1, 0))
    position_market = trade[exchange, coin] if rows else np.empty(0, dtype=np.int64)

    has_collateral = net.count("collateral") > 0
    col_owner = net.codes("collateral", "owner", names.owner) if has_collateral else np.empty(0, dtype=np.int64)
    col_exchange = net.codes("collateral", "exchange", names.exchange) if has_collateral else np.empty(0, dtype=np.int64)
    col_coin = net.codes("collateral", "asset", names.coin) if has_collateral else np.empty(0, dtype=np.int64)
    col_quantity = net.numbers("collateral", "quantity") if has_collateral else np.empty(0)
    col_key = key(col_owner, col_exchange, np.zeros(len(col_owner), dtype=np.int64))
    cash_row = col_coin < 0

    vaulted = np.flatnonzero(vault >= 0)
    vault_key = key(vault[vaulted], vaulted, np.zeros(len(vaulted), dtype=np.int64))

    keys = np.unique(np.concatenate([position_key, col_key, vault_key]))
    count = len(keys)
    account_of = np.searchsorted(keys, position_key)
    col_account = np.searchsorted(keys, col_key)
    vault_accounts = np.full(len(exchanges.names), -1, dtype=np.int64)
    vault_accounts[vaulted] = np.searchsorted(keys, vault_key)

    cash = group_sum(col_account[cash_row], col_quantity[cash_row], count)
    cash += group_sum(account_of, columns["isolated_margin"], count)
    # every position of the exchange may end with its vault, every coin too: give it the rows beforehand
    extra_account, extra_market = _vault_rows(vault_accounts, markets, account_of, position_market, trade)
    account_of = np.concatenate([account_of, extra_account])
    position_market = np.concatenate([position_market, extra_market])
    blank = np.full(len(extra_market), np.nan)
    quantity = np.concatenate([quantity, np.zeros(len(extra_market))])
    entry = np.concatenate([columns["entry_price"], markets.price[extra_market]])
    extras = {name: np.concatenate([columns[name], blank]) for name in ("stop_price", "take_profit", "order")}
    order = np.lexsort((position_market, account_of))
    account_of, position_market, quantity, entry = account_of[order], position_market[order], quantity[order], entry[order]
    start = np.searchsorted(account_of, np.arange(count + 1))

    coin_account, coin_market, coin_quantity = col_account[~cash_row], sell[col_exchange[~cash_row], col_coin[~cash_row]], col_quantity[~cash_row]
    more_account, more_market = _vault_rows(vault_accounts, markets, coin_account, coin_market, sell)
    coin_account = np.concatenate([coin_account, more_account])
    coin_market = np.concatenate([coin_market, more_market])
    coin_quantity = np.concatenate([coin_quantity, np.zeros(len(more_market))])
    corder = np.lexsort((coin_market, coin_account))
    coin_account, coin_market, coin_quantity = coin_account[corder], coin_market[corder], coin_quantity[corder]
    coin_quantity = snap(coin_quantity, coins.lot[markets.coin[coin_market]])
    coin_start = np.searchsorted(coin_account, np.arange(count + 1))

    booked = np.abs(quantity) * np.maximum(markets.price[position_market], entry)
    stored = coin_quantity * markets.price[coin_market]
    gross = group_sum(account_of, booked, count) + group_sum(coin_account, stored, count) + np.abs(cash)
    residue = -group_sum(position_market, quantity, markets.count) * markets.perp

    split = keys // (coin_count + 1)
    accounts = Accounts(
        (split // len(exchanges.names)).astype(np.int32),
        (split % len(exchanges.names)).astype(np.int32),
        keys % (coin_count + 1) > 0,
        cash,
        gross,
        start,
        position_market.astype(np.int32),
        quantity,
        entry,
        *(_unless_empty(extras[name][order]) for name in ("stop_price", "take_profit", "order")),
        coin_start,
        coin_market.astype(np.int32),
        coin_quantity,
    )
    return accounts, vault_accounts, residue, float(gross.sum())


def _unless_empty(column: Floats) -> Floats:
    return np.empty(0) if np.isnan(column).all() else column


def _vault_rows(vault_accounts: Ints, markets: Markets, account: Ints, market: Ints, lookup: Ints) -> tuple[Ints, Ints]:
    """Rows (account, market) that a vault lacks to be able to hold everything of its exchange."""
    extra_account, extra_market = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for exchange, vault in enumerate(vault_accounts):
        if vault < 0:
            continue
        every = lookup[exchange][lookup[exchange] >= 0]
        missing = np.setdiff1d(every, market[account == vault])
        extra_account.append(np.full(len(missing), vault, dtype=np.int64))
        extra_market.append(missing)
    return np.concatenate(extra_account), np.concatenate(extra_market)


def _quantum(scale: float, nodes: Nodes, coins: Coins, exchanges: Exchanges, claims: Claims) -> float:
    """Step of the ledger: sums of all money of the network stay exact."""
    total = (
        scale
        + np.abs(nodes.cash).sum()
        + nodes.external_debt.sum()
        + exchanges.insurance_fund.sum()
        + np.abs(exchanges.equity).sum()
        + claims.amount.sum()
        + (claims.holding_quantity * coins.price[claims.holding_coin]).sum()
        + (claims.backing_quantity * coins.price[claims.backing_coin]).sum()
        + 2 * claims.arbitrage_capacity.sum()
    )
    return float(step_for(float(total), LEDGER_HEADROOM))


def _on_ledger(accounts: Accounts, quantum: float, vault_accounts: Ints) -> Accounts:
    """Round balances to the ledger; b = cash - Σ q·entry, each product rounded by itself as a trade would be."""
    owner_of = np.repeat(np.arange(accounts.count), np.diff(accounts.start))
    opened = group_sum(owner_of, snap(accounts.quantity * accounts.entry, quantum), accounts.count)
    gross = accounts.grid
    grid = np.minimum(step_for(gross, VALUE_HEADROOM), quantum)
    grid[gross == 0] = quantum
    grid[vault_accounts[vault_accounts >= 0]] = quantum
    return Accounts(**{**_fields(accounts), "balance": snap(accounts.balance, quantum) - opened, "grid": grid})  # type: ignore[arg-type]


def _claims(net: Network, names: _Names, markets: Markets, coins: Coins) -> Claims:
    none = np.empty(0, dtype=np.int64)

    def codes(kind: str, column: str, vocabulary: pa.StringArray) -> Ints:
        return net.codes(kind, column, vocabulary) if net.count(kind) else none

    def numbers(kind: str, column: str) -> Floats:
        return net.numbers(kind, column).astype(np.float64) if net.count(kind) else np.empty(0)

    holding = (codes("holding", "owner", names.node), codes("holding", "asset", names.coin))
    order = np.lexsort(holding[::-1])
    holding_owner, holding_coin = holding[0][order], holding[1][order]
    holding_quantity = snap(numbers("holding", "quantity")[order], coins.lot[holding_coin])

    backing_coin = codes("backing", "asset", names.coin)
    backing_issuer = codes("backing", "stablecoin", names.coin)
    custodian = codes("backing", "custodian", names.exchange)
    rows = np.flatnonzero(backing_coin >= 0)
    rows = rows[np.lexsort((custodian[rows], backing_coin[rows], backing_issuer[rows]))]
    backing_quantity = snap(numbers("backing", "quantity")[rows], coins.lot[backing_coin[rows]])

    debtor, creditor = codes("credit", "debtor", names.node), codes("credit", "creditor", names.node)
    seniority = numbers("credit", "seniority").astype(np.int64)
    corder = np.lexsort((creditor, debtor, seniority))

    maker = codes("liquidity", "trader", names.node)
    quoted = (codes("liquidity", "exchange", names.exchange), codes("liquidity", "asset", names.coin))
    perp = (net.strings("liquidity", "instrument") == "perp") if net.count("liquidity") else np.empty(0, dtype=np.bool_)
    keys = (markets.exchange * (len(coins.names) + 1) + markets.coin) * 2 + markets.perp
    maker_market = np.searchsorted(keys, (quoted[0] * (len(coins.names) + 1) + quoted[1]) * 2 + perp)
    morder = np.lexsort((maker, maker_market))

    arbitrageur, arbitrage_coin = codes("arbitrage", "trader", names.node), codes("arbitrage", "asset", names.coin)
    aorder = np.lexsort((arbitrageur, arbitrage_coin))
    return Claims(
        holding_owner,
        holding_coin,
        holding_quantity,
        backing_issuer[rows],
        backing_coin[rows],
        backing_quantity,
        custodian[rows],
        debtor[corder],
        creditor[corder],
        numbers("credit", "amount")[corder],
        seniority[corder],
        maker[morder],
        maker_market[morder],
        numbers("liquidity", "share")[morder],
        arbitrageur[aorder],
        arbitrage_coin[aorder],
        numbers("arbitrage", "capacity")[aorder],
    )

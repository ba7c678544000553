"""Markets and their brackets, from tables to arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.system import Markets

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.compile.names import Names
    from graphs.network import Network


def compile_markets(net: Network, names: Names) -> Markets:
    """Books in order of exchange, coin and instrument, with their brackets; depth turned into units at the network's price."""
    exchange = net.codes("market", "exchange", names.exchange)
    coin = net.codes("market", "asset", names.coin)
    perp = net.strings("market", "instrument") == "perp"
    order = np.lexsort((perp, coin, exchange))
    exchange, coin, perp = exchange[order], coin[order], perp[order]
    column = {name: net.numbers("market", name)[order] for name in ("price", "depth", "collateral_haircut", "index_weight", "price_band")}
    marginal = np.zeros(len(names.exchange), dtype=np.bool_)
    marginal[net.codes("exchange", "id", names.exchange)] = net.strings("exchange", "tier_form") == "marginal"
    tiers = _tiers(net, names, (exchange, coin, perp), marginal)
    depth_units = column["depth"] / column["price"]
    haircut, weight, band = column["collateral_haircut"], column["index_weight"], column["price_band"]
    lookup = _lookup(exchange, coin, perp, len(names.exchange), len(names.coin))
    return Markets(exchange, coin, perp, column["price"], depth_units, haircut, weight, band, *tiers, *lookup)


def _tiers(net: Network, names: Names, books: tuple[Ints, Ints, Flags], marginal: Flags) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Brackets by market, with deduction_n = floor_n (rate_n - rate_{n-1}) + deduction_{n-1} (zero in flat form)."""
    exchange, coin, perp = books
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


def _lookup(exchange: Ints, coin: Ints, perp: Flags, exchanges: int, coins: int) -> tuple[Ints, Ints]:
    """Market where a position trades (perp first) and where a coin is sold (spot first), by exchange × coin."""
    trade, sell = np.full((exchanges, coins), -1, dtype=np.int64), np.full((exchanges, coins), -1, dtype=np.int64)
    rows = np.arange(len(exchange))
    for table, first, second in ((trade, ~perp, perp), (sell, perp, ~perp)):
        for part in (first, second):  # the second pass overwrites the first
            table[exchange[part], coin[part]] = rows[part]
    return trade, sell

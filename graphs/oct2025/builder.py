"""From facts and assumptions to a network of accounts.

Order: prices, open interest in lots, brackets, institutions, strata, and then exchange by exchange positions, accounts and
what belongs to them, as Arrow columns, so that memory is that of the largest exchange beside the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphs.errors import GraphError
from graphs.network import Network
from graphs.oct2025.clients import Clients, build_clients, client_coins
from graphs.oct2025.facts import EXCHANGES, Assumptions, sources, start_prices
from graphs.oct2025.institutions import ISSUER, Rows, add_desks, add_holders, add_issuer, add_makers, add_vaults, institutional_shorts
from graphs.oct2025.markets import add_books, add_coins, add_exchanges, add_tiers, coin_lots, haircuts
from graphs.oct2025.open_interest import reconstruct_open_interest
from graphs.oct2025.portfolios import Positions, build_positions, join_accounts
from graphs.oct2025.strata import BANDS, apportion, build_strata
from graphs.oct2025.tiers import brackets_of
from graphs.schema import TABLES, USD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from graphs.oct2025.clients import Coin

AS_OF: Final = "2025-10-10T20:50:00Z"
"""Minute of the announcement with which the cascade begins."""

FEWEST, MOST = 1_000, 10_000_000


class SizeError(GraphError):
    """A number of accounts or a seed that cannot be built."""


def build_oct2025(*, accounts: int = 100_000, seed: int = 20251010, assumptions: Mapping[str, float | str] | None = None) -> Network:
    """Build the market of 10 October 2025, 20:50 UTC, as accounts.

    Parameters
    ----------
    accounts
        Client accounts, 1,000 to 10,000,000; some twenty institutions come on top. The open interest of every exchange and
        coin is the same at every size, to the last lot.
    seed
        Draws who has what: seeds differ in the pairing of sizes with leverage, entry prices, stops and collateral, not in
        their distributions. The same seed gives the same bytes.
    assumptions
        Values to replace in the table of assumptions, by name.

    Returns
    -------
    Network
        Named ``oct2025``.

    Raises
    ------
    SizeError, AssumptionError
        If an argument is out of range or an assumption cannot be met.

    Notes
    -----
    Under about 20,000 accounts one account stands for so many people that its positions would reach brackets which allow
    less leverage than theirs do. There the floors of the brackets are scaled up, by a power of two an exchange and coin; from
    20,000 on, at the shipped assumptions, they are the published ones.

    Examples
    --------
    >>> net = build_oct2025(accounts=1_000)
    >>> net.count("exchange"), net.count("market") > 300
    (7, True)
    """
    if not (_is_whole(accounts) and FEWEST <= accounts <= MOST):
        raise SizeError(f"accounts is {accounts!r}; give a whole number from {FEWEST:,} to {MOST:,}")
    if not (_is_whole(seed) and seed >= 0):
        raise SizeError(f"seed is {seed!r}; give a whole number of at least 0")
    table = Assumptions(assumptions)
    prices = start_prices(table)
    interest = reconstruct_open_interest(table, prices)
    brackets = {(exchange, asset): brackets_of(exchange, asset, table) for exchange in EXCHANGES for asset in interest.assets}
    shorts = institutional_shorts(interest, table)
    strata = build_strata(accounts, interest, shorts.total, brackets, table)
    crowd = dict(zip(brackets, strata.crowd.ravel().tolist(), strict=True))
    brackets = {contract: own.scaled(crowd[contract]) for contract, own in brackets.items()}

    rows = Rows()
    add_coins(rows, prices, table)
    add_exchanges(rows, table)
    add_books(rows, interest, prices, table)
    add_tiers(rows, brackets)
    add_makers(rows, shorts, interest, brackets, table)
    add_vaults(rows, interest, table)
    add_issuer(rows, shorts, interest, table)
    add_desks(rows, interest, table)

    rates, lots = haircuts(interest.assets, table), coin_lots(interest, table)
    per_exchange = np.bincount(strata.exchange, strata.count, len(EXCHANGES))
    parts = []
    for e, (exchange, wanted) in enumerate(zip(EXCHANGES, apportion(accounts, per_exchange).tolist(), strict=True)):
        positions = build_positions(e, strata, interest, brackets, seed=seed)
        account, leading = join_accounts(e, positions, wanted, table, seed=seed)
        coins = client_coins(exchange, rates, prices, lots, table)
        clients = build_clients(positions, account, leading, prices=prices, assets=interest.assets, coins=coins, assumptions=table)
        parts.append(_tables(exchange, positions, clients, interest.assets, coins))
    posted = sum(_posted(part["collateral"], ISSUER) for part in parts)
    add_holders(rows, posted)
    return Network("oct2025", AS_OF, sources(), _assemble(rows, parts))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _tables(exchange: str, positions: Positions, clients: Clients, assets: Sequence[str], coins: Sequence[Coin]) -> dict[str, pa.Table]:
    """Rows of the clients of one exchange; owners by number within the exchange."""
    number = np.arange(clients.band.size, dtype=np.int32)
    words = pa.array([f"{exchange}-{band}-" for band in BANDS]).take(pa.array(clients.band))
    ids = pc.binary_join_element_wise(words, pc.utf8_lpad(pa.array(number).cast(pa.string()), width=8, padding="0"), "")
    hedged = clients.band == BANDS.index("hedged")
    trader = {
        "id": ids,
        "role": _words(["retail", "fund"], hedged.astype(np.int32)),
        "cash": pa.array(clients.cash),
        "top_up": pa.array(clients.top_up),
    }
    isolated = ~np.isnan(clients.isolated_margin)
    margin = {
        "owner": pa.array(clients.account.astype(np.int32)),
        "asset": _words(assets, positions.asset),
        "exchange": _words([exchange], np.zeros(positions.asset.size)),
        "quantity": pa.array(positions.quantity),
        "entry_price": pa.array(clients.entry),
        "mode": _words(["cross", "isolated"], isolated.astype(np.int32)),
        "isolated_margin": pa.array(np.where(isolated, clients.isolated_margin, 0.0)),
        "stop_price": pa.array(clients.stop, from_pandas=True),
        "take_profit": pa.array(clients.take_profit, from_pandas=True),
    }
    cash, coin = np.flatnonzero(~np.isnan(clients.usd)), np.flatnonzero(clients.coin_quantity > 0)
    what = np.concatenate([np.zeros(cash.size, dtype=np.int64), clients.coin[coin] + 1])
    collateral = {
        "owner": pa.array(np.concatenate([number[cash], number[coin]])),
        "asset": _words([USD, *(c.name for c in coins)], what),
        "exchange": _words([exchange], np.zeros(what.size)),
        "quantity": pa.array(np.concatenate([clients.usd[cash], clients.coin_quantity[coin]])),
    }
    spot = np.flatnonzero((positions.side < 0) & hedged[clients.account])
    holding = {
        "owner": pa.array(clients.account[spot].astype(np.int32)),
        "asset": _words(assets, positions.asset[spot]),
        "quantity": pa.array(-positions.quantity[spot]),
    }
    return {"trader": pa.table(trader), "margin": pa.table(margin), "collateral": pa.table(collateral), "holding": pa.table(holding)}


def _words(words: Sequence[str], codes: NDArray[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(words), pa.string()))


def _posted(collateral: pa.Table, coin: str) -> float:
    return float(pc.sum(collateral.filter(pc.equal(collateral["asset"].cast(pa.string()), coin))["quantity"]).as_py() or 0.0)


def _assemble(rows: Rows, parts: Sequence[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
    """Institutions first, then the clients of each exchange; owners become words of one dictionary."""
    tables = {kind: pa.table(_columns(kind, cells)) for kind, cells in rows.tables.items()}
    ids = pa.concat_arrays([chunk for part in parts for chunk in part["trader"]["id"].chunks])
    starts = np.cumsum([0, *(part["trader"].num_rows for part in parts)])
    for kind in ("trader", "margin", "collateral", "holding"):
        pieces = [tables[kind]]
        for start, part in zip(starts.tolist(), parts, strict=False):
            piece = part[kind]
            if kind != "trader":
                owner = pc.add(piece["owner"].combine_chunks(), pa.scalar(start, pa.int32()))
                piece = piece.set_column(0, "owner", pa.DictionaryArray.from_arrays(owner, ids))
            pieces.append(piece)
        tables[kind] = _stack(kind, pieces)
    return tables


def _columns(kind: str, cells: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    types = {"string": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
    names = [column.name for column in TABLES[kind].columns if any(column.name in row for row in cells)]
    return {name: pa.array([row.get(name) for row in cells], types[TABLES[kind].by_name[name].dtype]) for name in names}


def _stack(kind: str, pieces: Sequence[pa.Table]) -> pa.Table:
    """One table of pieces that need not have the same columns; words of whatever encoding become dictionary-encoded."""
    columns = {}
    for column in TABLES[kind].columns:
        held = [piece for piece in pieces if column.name in piece.column_names]
        if not held:
            continue
        word = column.dtype == "string" and column.name != "id"
        kind_of = pa.dictionary(pa.int32(), pa.string()) if word else held[-1][column.name].type
        chunks = []
        for piece in pieces:
            if column.name not in piece.column_names:
                chunks.append(pa.nulls(piece.num_rows, kind_of))
            else:
                chunks += [chunk.dictionary_encode().cast(kind_of) if word else chunk.cast(kind_of) for chunk in piece[column.name].chunks]
        columns[column.name] = pa.chunked_array(chunks, type=kind_of)
    return pa.table(columns)

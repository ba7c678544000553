"""Exposures: the edges of a portrait, each with its amount at the start, what is left of it at the end, and its rounds.

An edge runs as its table in ``graphs.schema`` says; two layers are added: ``account``, owner → exchange, what the owner
would claim there (the positive equity of its accounts), and ``vault``, exchange → trader. Edges that share both ends and
their kind are added up. Amounts are USD at the prices of the network, so that they are comparable over exchanges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.grid import group_sum
from contagion.journal import Flow
from contagion.state import NEVER, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from contagion.arrays import Floats, Ints
    from contagion.cascade import Cascade


LAYERS: Final = ("margin", "collateral", "account", "market", "holding", "backing", "credit", "liquidity", "arbitrage", "vault")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What edges of one kind have in common; ``key`` tells parallel edges apart."""

    key: str
    layer: str
    exchange: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Edges between nodes of the system: their kind by its place in ``kinds``, amounts in USD, and the rounds in which they are."""

    kinds: Sequence[_Kind]
    source: Ints
    target: Ints
    kind: Ints
    notional: Floats
    left: Floats
    quantity: Floats
    start: Ints | None = None
    end: Ints | None = None


def edge_table(cascade: Cascade, place: Ints, ids: NDArray[np.object_]) -> pd.DataFrame:
    """Make the table of edges.

    Parameters
    ----------
    place
        Row of the node table for each node of the system.
    ids
        Ids of the node table.
    """
    import pandas as pd

    last, entered = _last_rounds(cascade)
    owned = [_margin(cascade, last, entered), _collateral(cascade, last), _accounts(cascade, last, entered)]
    layers = [*owned, _markets(cascade), *_claims(cascade), _vaults(cascade)]
    kinds = [kind for rows in layers for kind in rows.kinds]
    offsets = np.cumsum([0, *(len(rows.kinds) for rows in layers)])
    code = np.concatenate([rows.kind + offset for rows, offset in zip(layers, offsets, strict=False)])
    source = place[np.concatenate([rows.source for rows in layers])]
    target = place[np.concatenate([rows.target for rows in layers])]
    key = (source * len(ids) + target) * max(len(kinds), 1) + code
    unique, first, group = np.unique(key, return_index=True, return_inverse=True)
    count = unique.size
    notional, left, quantity = (np.concatenate([getattr(rows, name) for rows in layers]) for name in ("notional", "left", "quantity"))
    closed = group_sum(group, np.maximum(notional - left, 0.0), count)
    begin, end = np.full(count, NEVER), np.full(count, 0)
    np.minimum.at(begin, group, _rounds(layers, "start", 0))
    np.maximum.at(end, group, _rounds(layers, "end", NEVER))
    code = code[first]

    def described(name: str) -> NDArray[np.object_]:
        words = np.array([*(getattr(kind, name) for kind in kinds), ""], dtype=object)
        return np.asarray(words[code])

    frame = pd.DataFrame({"source": ids[source[first]], "target": ids[target[first]], "kind": described("key")})
    for name in ("layer", "exchange", "side"):
        frame[name] = described(name)
    frame["notional"], frame["notional_end"] = group_sum(group, notional, count), group_sum(group, left, count)
    frame["closed_usd"], frame["quantity"] = closed, group_sum(group, quantity, count)
    frame["start_round"] = begin
    frame["end_round"] = pd.Series(np.where(end == NEVER, 0, end), dtype="Int64").mask(end == NEVER)
    return frame


def _rounds(layers: Sequence[_Rows], name: str, otherwise: int) -> Ints:
    return np.concatenate([np.full(rows.source.size, otherwise) if getattr(rows, name) is None else getattr(rows, name) for rows in layers])


def _last_rounds(cascade: Cascade) -> tuple[Ints, Ints]:
    """Round in which something of each account was last closed, else the last round, and in which it entered, else 0 (-1 if never)."""
    state, accounts = cascade.outcome.state, cascade.prepared.system.accounts
    last, entered = np.full(accounts.count, -1), np.full(accounts.count, -1)
    for kind, hits in state.journal.accounts.items():
        for when, hit, _ in hits:
            if kind is Flow.ENTRY:
                entered[hit] = np.where(entered[hit] < 0, when, entered[hit])
            else:
                last[hit] = np.maximum(last[hit], when)
    settled = state.status == Status.SETTLED
    last[settled] = np.maximum(last, state.exchange_default[accounts.exchange])[settled]
    last[last < 0] = max(cascade.outcome.rounds - 1, 0)
    return last, entered


def _margin(cascade: Cascade, last: Ints, entered: Ints) -> _Rows:
    system, state = cascade.prepared.system, cascade.outcome.state
    accounts, markets = system.accounts, system.markets
    account = state.position_account
    rows = np.flatnonzero((accounts.quantity != 0.0) | (state.quantity != 0.0) | (entered[account] >= 0))
    account, market = account[rows], accounts.market[rows]
    before, after = accounts.quantity[rows], state.quantity[rows]
    short = np.where(before == 0.0, after, before) < 0.0
    price, exchange = markets.price[market], accounts.exchange[account]
    kinds = [_Kind(f"margin@{name}#{side}", "margin", name, side) for name in system.exchanges.names for side in ("long", "short")]
    return _Rows(
        kinds,
        accounts.owner[account].astype(np.int64),
        markets.coin[market] + system.nodes.coin0,
        exchange * 2 + short,
        np.abs(before) * price,
        np.abs(after) * price,
        before,
        np.maximum(np.where(before == 0.0, entered[account], 0), 0),
        np.where(after == 0.0, last[account] + 1, NEVER),
    )


def _collateral(cascade: Cascade, last: Ints) -> _Rows:
    system, state = cascade.prepared.system, cascade.outcome.state
    accounts, markets = system.accounts, system.markets
    account = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
    rows = np.flatnonzero((accounts.coin_quantity != 0.0) | (state.coin_quantity != 0.0))
    account, market = account[rows], accounts.coin_market[rows]
    before, after, price = accounts.coin_quantity[rows], state.coin_quantity[rows], markets.price[market]
    return _Rows(
        [_Kind(f"collateral@{name}", "collateral", name) for name in system.exchanges.names],
        accounts.owner[account].astype(np.int64),
        markets.coin[market] + system.nodes.coin0,
        accounts.exchange[account].astype(np.int64),
        before * price,
        after * price,
        before,
        None,
        np.where(after == 0.0, last[account] + 1, NEVER),
    )


def _accounts(cascade: Cascade, last: Ints, entered: Ints) -> _Rows:
    system, state = cascade.prepared.system, cascade.outcome.state
    accounts = system.accounts
    before, after = np.maximum(cascade.outcome.initial.equity, 0.0), np.maximum(state.equity, 0.0)
    rows = np.flatnonzero((before > 0.0) | (after > 0.0) | (entered >= 0))
    return _Rows(
        [_Kind("account", "account", name) for name in system.exchanges.names],
        accounts.owner[rows].astype(np.int64),
        accounts.exchange[rows] + system.nodes.exchange0,
        accounts.exchange[rows].astype(np.int64),
        before[rows],
        after[rows],
        np.full(rows.size, np.nan),
        np.maximum(entered[rows], 0),
        np.where(after[rows] > 0.0, NEVER, last[rows] + 1),
    )


def _markets(cascade: Cascade) -> _Rows:
    system = cascade.prepared.system
    markets, nodes = system.markets, system.nodes
    kinds = [_Kind(f"market#{instrument}", "market", name) for name in system.exchanges.names for instrument in ("spot", "perp")]
    before, after = cascade.open_interest(), cascade.open_interest(end=True)
    source, target = markets.exchange + nodes.exchange0, markets.coin + nodes.coin0
    return _Rows(kinds, source, target, markets.exchange * 2 + markets.perp, before, after, before / markets.price)


def _claims(cascade: Cascade) -> list[_Rows]:
    """Edges between owners and what they hold, owe and quote."""
    system, state = cascade.prepared.system, cascade.outcome.state
    claims, nodes, markets, price = system.claims, system.nodes, system.markets, system.coins.price
    names = system.exchanges.names

    def zeros(like: Ints) -> Ints:
        return np.zeros(like.size, dtype=np.int64)

    held, behind = price[claims.holding_coin], price[claims.backing_coin]
    holding = _Rows(
        [_Kind("holding", "holding")],
        claims.holding_owner,
        claims.holding_coin + nodes.coin0,
        zeros(claims.holding_owner),
        claims.holding_quantity * held,
        state.holding * held,
        claims.holding_quantity,
    )
    backing = _Rows(
        [*(_Kind(f"backing@{name}", "backing", name) for name in names), _Kind("backing", "backing")],
        claims.backing_issuer + nodes.coin0,
        claims.backing_coin + nodes.coin0,
        np.where(claims.backing_custodian < 0, len(names), claims.backing_custodian),
        claims.backing_quantity * behind,
        state.backing * behind,
        claims.backing_quantity,
    )
    ranks, rank = np.unique(claims.seniority, return_inverse=True)
    paid = claims.amount * (1.0 - state.written_off) * state.credit_recovery
    credit = _Rows(
        [_Kind(f"credit#{number}", "credit") for number in ranks.tolist()],
        claims.debtor,
        claims.creditor,
        rank,
        claims.amount,
        paid,
        np.full(paid.size, np.nan),
    )
    depth = (markets.depth * markets.price)[claims.maker_market] * claims.maker_share
    standing = np.where(state.node_default[claims.maker] < 0, depth, 0.0)
    book = markets.exchange[claims.maker_market] * 2 + markets.perp[claims.maker_market]
    kinds = [_Kind(f"liquidity@{name}#{instrument}", "liquidity", name) for name in names for instrument in ("spot", "perp")]
    coin = markets.coin[claims.maker_market] + nodes.coin0
    liquidity = _Rows(kinds, claims.maker, coin, book, depth, standing, np.full(depth.size, np.nan))
    # what a desk has spent is shared by its arbitrageurs as their capacity is
    total = group_sum(claims.arbitrage_coin, claims.arbitrage_capacity, price.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(state.desk_capacity / total)[claims.arbitrage_coin]
    arbitrage = _Rows(
        [_Kind("arbitrage", "arbitrage")],
        claims.arbitrageur,
        claims.arbitrage_coin + nodes.coin0,
        zeros(claims.arbitrageur),
        claims.arbitrage_capacity,
        claims.arbitrage_capacity * share,
        np.full(share.size, np.nan),
    )
    return [holding, backing, credit, liquidity, arbitrage]


def _vaults(cascade: Cascade) -> _Rows:
    system, state = cascade.prepared.system, cascade.outcome.state
    exchange = np.flatnonzero(system.exchanges.vault_account >= 0)
    account = system.exchanges.vault_account[exchange]
    before, after = np.maximum(cascade.outcome.initial.equity[account], 0.0), np.maximum(state.equity[account], 0.0)
    source, owner = exchange + system.nodes.exchange0, system.accounts.owner[account].astype(np.int64)
    kinds = [_Kind("vault", "vault", name) for name in system.exchanges.names]
    return _Rows(kinds, source, owner, exchange, before, after, np.full(exchange.size, np.nan))

"""Conditions: in what state each node of a run is, round by round.

Rounds run from 0 to the last one, the end. What happened in a round shows from that round on; prices are those at its
start. Levels are places in ``HOLDER``, ``COIN`` or ``EXCHANGE``, the graver the higher; a node is in the gravest that it
has reached. Holders (whoever has accounts) only get worse; coins and exchanges recover from being halted, off their peg,
or down in price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.journal import FORCED, Flow
from contagion.shocks import EVERYWHERE
from contagion.state import NEVER, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from contagion.arrays import Floats, Ints
    from contagion.cascade import Cascade
    from contagion.scenario import Stage
    from contagion.shocks import Shock


HOLDER: Final = ("sound", "shocked", "stressed", "deleveraged", "liquidated", "defaulted")
"""States of a trader: named by a shock; lost half of its equity, or a stop closed positions of it at a loss; closed as a
winner by auto-deleveraging, by its own leverage rule or as a hedge; closed by force; equity below zero."""
COIN: Final = ("sound", "stressed", "shocked", "deleveraged", "liquidated", "halted", "depegged", "defaulted")
"""States of a coin: down by a tenth; named by a shock; its issuer's hedge closed; halted on some exchange; off its peg."""
EXCHANGE: Final = ("sound", "shocked", "stressed", "deleveraged", "halted", "defaulted")
"""States of an exchange: named by a shock; its fund has paid; winners there were deleveraged; out of order; failed."""

STRESSED_LOSS: Final = 0.5
STRESSED_FALL: Final = 0.1

_OWN_CLOSE = (Flow.ADL_WINNER, Flow.DELEVERAGE, Flow.HEDGE)
_HARMFUL = frozenset({"price", "depeg", "sale", "default", "loss", "writeoff"})
_SWITCHES = frozenset({"transfers", "arbitrage", "redemption"})


def holder_rounds(cascade: Cascade) -> Ints:
    """Round in which each node reached each state of ``HOLDER`` as a holder of accounts, states × nodes; NEVER if it did not."""
    state, nodes = cascade.outcome.state, cascade.prepared.system.nodes
    first = np.full((len(HOLDER), nodes.count), NEVER)
    first[0] = 0
    loss = cascade.outcome.initial.node_equity - state.node_equity
    first[HOLDER.index("shocked")] = shocked_rounds(cascade)
    first[HOLDER.index("stressed")] = np.where(loss > 0, _first_hits(cascade, Flow.STOP), NEVER)
    first[HOLDER.index("deleveraged")] = _first_hits(cascade, *_OWN_CLOSE)
    first[HOLDER.index("liquidated")] = _first_hits(cascade, *FORCED, Flow.ADL)
    first[HOLDER.index("defaulted")] = np.where(state.node_default >= 0, state.node_default, NEVER)
    stressed = first[HOLDER.index("stressed")]
    quiet = first[HOLDER.index("stressed") :].min(axis=0) == NEVER
    start = cascade.outcome.initial.node_equity
    lost = np.flatnonzero(quiet & (start > 0) & (loss >= STRESSED_LOSS * start))
    stressed[lost] = _half_lost(cascade, lost)
    return first


def _first_hits(cascade: Cascade, *kinds: Flow) -> Ints:
    """First round in which a flow of these kinds hit an account of each node."""
    owner = cascade.prepared.system.accounts.owner
    first = np.full(cascade.prepared.system.nodes.count, NEVER)
    for kind in kinds:
        own = np.full(first.size, NEVER)
        for when, accounts, _ in reversed(cascade.outcome.state.journal.accounts.get(kind, [])):
            own[owner[accounts]] = when  # an earlier round overwrites a later one
        first = np.minimum(first, own)
    return first


def _half_lost(cascade: Cascade, holders: Ints) -> Ints:
    """Round in which holders whose positions never changed had lost half of their equity, valued back from the end."""
    system, state = cascade.prepared.system, cascade.outcome.state
    accounts, claims = system.accounts, system.claims
    place = np.full(system.nodes.count, -1, dtype=np.int64)
    place[holders] = np.arange(holders.size)
    coin_account = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
    parts = []
    for owner, units, index, name in (
        (accounts.owner[state.position_account], state.quantity, accounts.market, "mark"),
        (accounts.owner[coin_account], state.coin_quantity, accounts.coin_market, "index"),
        (claims.holding_owner, state.holding, claims.holding_coin, "coin_price"),
    ):
        rows = np.flatnonzero(place[owner] >= 0)
        parts.append((place[owner[rows]], units[rows], index[rows], cascade.path(name)))
    start, end = cascade.outcome.initial.node_equity[holders], state.node_equity[holders]
    found = np.full(holders.size, cascade.outcome.rounds)
    for when in range(cascade.outcome.rounds - 1, -1, -1):
        equity = end.copy()
        for holder, units, index, path in parts:
            equity += np.bincount(holder, weights=units * (path[when] - path[-1])[index], minlength=holders.size)
        found[equity <= (1.0 - STRESSED_LOSS) * start] = when
    failed = accounts.exchange[(state.status == Status.SETTLED)]
    settled = np.full(system.nodes.count, 0)
    np.maximum.at(settled, accounts.owner[state.status == Status.SETTLED], state.exchange_default[failed])
    return np.asarray(np.maximum(found, settled[holders]))


def staged(cascade: Cascade) -> Iterator[tuple[int, Stage]]:
    """Stages that came, each with its round."""
    rounds = [event[0] for event in cascade.outcome.state.journal.events if event[1] == "stage"]
    yield from zip(rounds, cascade.prepared.scenario.stages, strict=False)


def shocked_rounds(cascade: Cascade) -> Ints:
    """First round in which a shock hit each node by name; what hits everything alike names nobody."""
    system = cascade.prepared.system
    first = np.full(system.nodes.count, NEVER)
    for when, stage in staged(cascade):
        for shock in stage.shocks:
            if _is_harm(shock) and shock.target != EVERYWHERE:
                node = system.node(shock.target)
                first[node] = min(first[node], when)
    return first


def _is_harm(shock: Shock) -> bool:
    switched_on = shock.kind in {"outage", "halt"} and shock.value > 0
    shut = shock.kind in _SWITCHES and shock.value == 0
    return shock.kind in _HARMFUL or switched_on or shut or (shock.kind == "depth" and shock.value < 1)


def holder_changes(first: Ints) -> tuple[Ints, Ints, Ints]:
    """Changes of state (node, round, level) of holders, from the rounds in which they reached each."""
    graver = np.full(first.shape[1], NEVER)
    found = []
    for level in range(len(first) - 1, -1, -1):
        node = np.flatnonzero(first[level] < graver)
        found.append((node, first[level, node], np.full(node.size, level)))
        graver = np.minimum(graver, first[level])
    nodes, rounds, levels = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((rounds, nodes))
    return nodes[order], rounds[order], levels[order]


def final_levels(first: Ints) -> Ints:
    """Gravest level of ``HOLDER`` that each node reached."""
    return np.asarray(len(first) - 1 - np.argmax(first[::-1] < NEVER, axis=0))


def start_price(cascade: Cascade) -> Floats:
    """Price of each coin in the network: the median over its books, else its own."""
    markets, price = cascade.prepared.system.markets, cascade.prepared.system.coins.price.copy()
    for coin in np.unique(markets.coin):
        price[coin] = np.median(markets.price[markets.coin == coin])
    return price


def coin_levels(cascade: Cascade, first: Ints) -> Ints:
    """Level of ``COIN`` of each coin in each round, rounds × coins."""
    system, state = cascade.prepared.system, cascade.outcome.state
    nodes, coins = system.nodes, system.coins
    own = first[:, nodes.coin0 : nodes.exchange0]
    path = cascade.path("coin_price")
    when = np.arange(len(path))[:, None]
    with np.errstate(invalid="ignore"):
        off_peg = path < cascade.settings.system_wide.depeg * coins.peg
    halted = np.zeros(path.shape, dtype=np.bool_)
    for event in state.journal.events:
        if event[1] == "halt":
            halted[event[0] : event[0] + int(system.exchanges.halt_rounds[event[3]]) + 1, event[4]] = True
    for begin, stage in staged(cascade):
        for shock in stage.shocks:
            if shock.kind == "halt":
                halted[begin:, system.node(shock.target) - nodes.coin0] = shock.value > 0
    return _gravest(
        COIN,
        path.shape,
        stressed=path < (1.0 - STRESSED_FALL) * start_price(cascade),
        shocked=when >= own[HOLDER.index("shocked")],
        deleveraged=when >= own[HOLDER.index("deleveraged")],
        liquidated=when >= own[HOLDER.index("liquidated")],
        halted=halted,
        depegged=off_peg,
        defaulted=when >= own[HOLDER.index("defaulted")],
    )


def exchange_levels(cascade: Cascade, first: Ints) -> Ints:
    """Level of ``EXCHANGE`` of each exchange in each round, rounds × exchanges."""
    system = cascade.prepared.system
    nodes, count = system.nodes, system.nodes.exchanges
    own = first[:, nodes.exchange0 :]
    rounds = cascade.outcome.rounds + 1
    when = np.arange(rounds)[:, None]
    out = np.zeros((rounds, count), dtype=np.bool_)
    for begin, stage in staged(cascade):
        for shock in stage.shocks:
            if shock.kind == "outage":
                out[begin:, system.node(shock.target) - nodes.exchange0] = shock.value > 0
    return _gravest(
        EXCHANGE,
        out.shape,
        shocked=when >= own[HOLDER.index("shocked")],
        stressed=when >= _first_amount(cascade, "fund_used", "bad_debt"),
        deleveraged=when >= np.minimum(_first_amount(cascade, "adl_taken"), _first_adl(cascade)),
        halted=out,
        defaulted=when >= own[HOLDER.index("defaulted")],
    )


def _gravest(names: tuple[str, ...], shape: tuple[int, ...], **holds: NDArray[np.bool_]) -> Ints:
    levels = np.zeros(shape, dtype=np.int64)
    for level, name in enumerate(names):
        if name in holds:
            levels[np.broadcast_to(holds[name], shape)] = level
    return levels


def _first_amount(cascade: Cascade, *names: str) -> Ints:
    first = np.full(cascade.prepared.system.nodes.exchanges, NEVER)
    for name in names:
        for when, usd in cascade.outcome.state.journal.amounts.get(name, []):
            first = np.where(usd > 0, np.minimum(first, when), first)
    return first


def _first_adl(cascade: Cascade) -> Ints:
    """Round of the first auto-deleveraging of positions on each exchange."""
    markets = cascade.prepared.system.markets
    first = np.full(cascade.prepared.system.nodes.exchanges, NEVER)
    for when, units in cascade.outcome.state.journal.units.get(Flow.ADL, []):
        hit = np.unique(markets.exchange[units > 0])
        first[hit] = np.minimum(first[hit], when)
    return first

"""Step 0: the shocks of a stage.

Without a clock a shock lands whole. Under one, price moves and imposed sales build up over the stage's duration, as paths
that are piecewise linear in the log of the price; everything else comes at the stage's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import snap
from contagion.shocks import EVERYWHERE

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.scenario import Shock, Stage
    from contagion.state import State


@dataclass(slots=True)
class Ramp:
    """A path under way: what it adds each round, and for how many rounds more.

    ``factor`` multiplies the price of ``markets``; ``usd`` is sold on each of them.
    """

    markets: Ints
    factor: Floats
    usd: float
    rounds: int


def apply_stage(state: State, stage: Stage, rounds: int) -> None:
    """Apply a stage's shocks.

    Parameters
    ----------
    rounds
        Rounds over which paths build up, at least 1.
    """
    for shock in stage.shocks:
        _HANDLERS[shock.kind](state, shock, rounds)
    state.journal.event(state.round, "stage", detail=stage.name or "shock")
    state.moved = True


def advance_ramps(state: State) -> None:
    """Move along every path under way by one round."""
    books = state.books
    for ramp in state.ramps:
        books.price[ramp.markets] *= ramp.factor
        books.fundamental[ramp.markets] *= ramp.factor
        if ramp.usd:
            state.imposed.append((ramp.markets, np.full(ramp.markets.size, ramp.usd)))
        ramp.rounds -= 1
        state.moved = True
    state.ramps = [ramp for ramp in state.ramps if ramp.rounds > 0]


def _markets_of(state: State, shock: Shock) -> Ints:
    """Markets that a shock on a coin hits, everywhere or on one exchange."""
    system = state.system
    markets = system.markets
    hit = markets.coin == system.node(shock.target) - system.nodes.coin0
    if shock.exchange:
        hit &= markets.exchange == system.node(shock.exchange) - system.nodes.exchange0
    return np.flatnonzero(hit)


def _exchange(state: State, name: str) -> int:
    return state.system.node(name) - state.system.nodes.exchange0


def _step(factor: Floats, rounds: int) -> Floats:
    """Factor of one round of a path that multiplies by ``factor`` over all of them."""
    return factor if rounds == 1 else np.asarray(factor ** (1.0 / rounds))


def _price(state: State, shock: Shock, rounds: int) -> None:
    where = _markets_of(state, shock)
    state.ramps.append(Ramp(where, _step(np.full(where.size, 1.0 + shock.value), rounds), 0.0, rounds))
    if not shock.exchange:
        state.coin_price[state.system.node(shock.target) - state.system.nodes.coin0] *= 1.0 + shock.value


def _depeg(state: State, shock: Shock, rounds: int) -> None:
    where = _markets_of(state, shock)
    coin = state.system.node(shock.target) - state.system.nodes.coin0
    peg = state.system.coins.peg[coin]
    base = np.full(where.size, peg) if np.isfinite(peg) else state.system.markets.price[where]
    goal = shock.value * base
    state.ramps.append(Ramp(where, _step(goal / state.books.price[where], rounds), 0.0, rounds))
    if not shock.exchange:
        state.coin_price[coin] = shock.value * (peg if np.isfinite(peg) else state.system.coins.price[coin])


def _sale(state: State, shock: Shock, rounds: int) -> None:
    system = state.system
    coin, exchange = system.node(shock.target) - system.nodes.coin0, _exchange(state, shock.exchange)
    where = np.array([system.markets.sell[exchange, coin]])
    state.ramps.append(Ramp(where, np.ones(1), shock.value / rounds, rounds))


def _depth(state: State, shock: Shock, _rounds: int) -> None:
    system, markets = state.system, state.system.markets
    if shock.target == EVERYWHERE:
        hit = np.ones(markets.count, dtype=np.bool_)
    else:
        node = system.node(shock.target)
        if node >= system.nodes.exchange0:
            hit = markets.exchange == node - system.nodes.exchange0
        else:
            hit = markets.coin == node - system.nodes.coin0
    if shock.exchange:
        hit &= markets.exchange == _exchange(state, shock.exchange)
    state.books.depth_factor[hit] = shock.value


def _default(state: State, shock: Shock, _rounds: int) -> None:
    node = state.system.node(shock.target)
    if state.node_default[node] < 0:
        state.node_default[node] = state.round
        state.named[node] = True
        state.journal.event(state.round, "default", node=node, detail="named by the shock")


def _loss(state: State, shock: Shock, _rounds: int) -> None:
    node, usd = state.system.node(shock.target), float(snap(shock.value, state.system.quantum))
    exchange = node - state.system.nodes.exchange0
    if exchange >= 0:
        state.house[exchange] -= usd
        if state.flows is not None:
            state.flows.ledger[exchange] -= usd
    else:
        state.cash[node] -= usd
    state.node_flow(np.array([node]), np.array([-usd]))
    state.state_gain(-usd)


def _outage(state: State, shock: Shock, _rounds: int) -> None:
    state.outage[_exchange(state, shock.target)] = shock.value > 0


def _halt(state: State, shock: Shock, _rounds: int) -> None:
    state.books.ordered_halt[_markets_of(state, shock)] = shock.value > 0


def _transfers(state: State, shock: Shock, _rounds: int) -> None:
    state.transfers_open[_exchange(state, shock.target)] = shock.value > 0


def _arbitrage(state: State, shock: Shock, _rounds: int) -> None:
    state.arbitrage_open[_exchange(state, shock.target)] = shock.value > 0


def _redemption(state: State, shock: Shock, _rounds: int) -> None:
    state.redemption_open[state.system.node(shock.target) - state.system.nodes.coin0] = shock.value > 0


def _writeoff(state: State, shock: Shock, _rounds: int) -> None:
    claims = state.system.claims
    hit = claims.debtor == state.system.node(shock.target)
    if shock.creditor:
        hit &= claims.creditor == state.system.node(shock.creditor)
    state.written_off[hit] = np.maximum(state.written_off[hit], shock.value)


_HANDLERS = {
    "price": _price,
    "depeg": _depeg,
    "sale": _sale,
    "depth": _depth,
    "default": _default,
    "loss": _loss,
    "outage": _outage,
    "halt": _halt,
    "transfers": _transfers,
    "arbitrage": _arbitrage,
    "redemption": _redemption,
    "writeoff": _writeoff,
}

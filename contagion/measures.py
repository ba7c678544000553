"""Measures of a cascade, and the test whether it was system-wide.

System-wide at the fixed point if any holds: (a) induced liquidation, (b) an exchange fails that the shock did not name, (c)
a stablecoin that the shock did not name has lost its peg on the index, (d) bad debt exceeds all insurance funds together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.impact import K_UNIT
from contagion.journal import FORCED, Flow

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.cascade import Cascade
    from contagion.engine import Outcome


SMALLEST_MOVE = 5e-3
"""Log move below which the local multiplier is not asked for: so small a move sets nothing off that would show."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the four conditions: its value against its threshold, and who met it."""

    key: str
    name: str
    value: float
    threshold: float
    fired: bool
    who: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Highest local multiplier 1/(1 - κρ) along the run.

    Attributes
    ----------
    feedback
        κρ: the log move that the forced orders of a round made over the log move that set them off.
    value
        1/(1 - κρ); infinite at κρ ≥ 1, where a move feeds itself.
    market, round
        Where and when.
    """

    feedback: float
    value: float
    market: tuple[str, str, str]
    round: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Answer of the system-wide test, with what is reported beside it.

    Attributes
    ----------
    loss, loss_without_feedback
        Sum of the falls of equity of all nodes that lost, USD, with and without feedback.
    amplification
        Their ratio; NaN if nothing is lost without feedback.
    """

    system_wide: bool
    conditions: tuple[Condition, ...]
    settled: bool
    reason: str
    rounds: int
    residual: float
    loss: float
    loss_without_feedback: float
    amplification: float
    nodes_reached: int
    exchanges_reached: int
    bad_debt: float
    multiplier: Multiplier | None

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        fired = [condition for condition in self.conditions if condition.fired]
        if not fired:
            text = "Not system-wide: none of the four conditions holds."
        else:
            text = "System-wide: " + "; ".join(_words(condition) for condition in fired) + "."
        if not self.settled:
            text += f" The run did not settle ({self.reason}): this is what had happened by then."
        return text


def _words(condition: Condition) -> str:
    who = f" ({', '.join(condition.who)})" if condition.who else ""
    if condition.key == "a":
        return (
            f"(a) feedback liquidated {condition.value:.0%} of open interest beyond what the shock did, at least {condition.threshold:.0%}"
        )
    if condition.key == "b":
        return f"(b) an exchange failed that the shock did not name{who}"
    if condition.key == "c":
        return f"(c) a stablecoin lost its peg that the shock did not name{who}"
    if np.isinf(condition.value):
        return "(d) there is bad debt, and no insurance fund"
    return f"(d) bad debt is {condition.value:.1f}× all insurance funds together"


def conditions_of(cascade: Cascade) -> tuple[Condition, ...]:
    """The four conditions of the system-wide test, (a) to (d)."""
    return (_induced(cascade), _exchanges(cascade), _stablecoins(cascade), _bad_debt(cascade))


def judge(cascade: Cascade) -> Verdict:
    """Apply the system-wide test."""
    outcome, benchmark = cascade.outcome, cascade.benchmark
    conditions = conditions_of(cascade)
    loss, plain = gross_loss(outcome), gross_loss(benchmark)
    state = outcome.state
    changed = np.abs(state.node_equity - outcome.initial.node_equity) > 16 * state.system.quantum
    return Verdict(
        system_wide=any(condition.fired for condition in conditions),
        conditions=conditions,
        settled=outcome.settled,
        reason=outcome.reason,
        rounds=outcome.rounds,
        residual=outcome.residual,
        loss=loss,
        loss_without_feedback=plain,
        amplification=loss / plain if plain > 0 else float("nan"),
        nodes_reached=int((changed | (state.node_default >= 0)).sum()),
        exchanges_reached=len(np.unique(state.system.markets.exchange[_forced(outcome) > 0])),
        bad_debt=total_bad_debt(outcome),
        multiplier=highest_multiplier(outcome),
    )


def gross_loss(outcome: Outcome) -> float:
    """Sum of the falls of equity of all nodes that lost, USD."""
    return float(np.maximum(outcome.initial.node_equity - outcome.state.node_equity, 0.0).sum())


def total_bad_debt(outcome: Outcome) -> float:
    """Negative equity of closed accounts, whoever paid it, USD."""
    journal, count = outcome.state.journal, outcome.state.system.nodes.exchanges
    return float(journal.total("bad_debt", count).sum() + journal.total("adl_deficit", count).sum())


def _forced(outcome: Outcome) -> Floats:
    """USD at P₀ of forced closes by market."""
    from contagion.cascade import closed_usd

    return closed_usd(outcome, *FORCED)


def _induced(cascade: Cascade) -> Condition:
    total = float(cascade.open_interest().sum())
    induced = float(_forced(cascade.outcome).sum() - _forced(cascade.benchmark).sum())
    share = induced / total if total > 0 else 0.0
    threshold = cascade.settings.system_wide.induced_liquidation
    return Condition("a", "induced liquidation over open interest", share, threshold, share >= threshold)


def _exchanges(cascade: Cascade) -> Condition:
    state, system = cascade.outcome.state, cascade.prepared.system
    named = state.named[system.nodes.exchange0 :]
    failed = np.flatnonzero((state.exchange_default >= 0) & ~named)
    threshold = cascade.settings.system_wide.exchange_default
    who = tuple(system.exchanges.names[x] for x in failed)
    return Condition("b", "exchanges failed that the shock did not name", failed.size, threshold, failed.size >= threshold, who)


def _stablecoins(cascade: Cascade) -> Condition:
    state, system = cascade.outcome.state, cascade.prepared.system
    named = {shock.target for stage in cascade.prepared.scenario.stages for shock in stage.shocks}
    threshold = cascade.settings.system_wide.depeg
    ratio = {
        name: float(price / peg)
        for name, price, peg in zip(system.coins.names, state.coin_price, system.coins.peg, strict=True)
        if np.isfinite(peg) and name not in named
    }
    who = tuple(name for name, value in ratio.items() if value < threshold)
    return Condition("c", "lowest index price over peg", min(ratio.values(), default=1.0), threshold, bool(who), who)


def _bad_debt(cascade: Cascade) -> Condition:
    funds = float(cascade.prepared.system.exchanges.insurance_fund.sum())
    debt = total_bad_debt(cascade.outcome)
    ratio = debt / funds if funds > 0 else (float("inf") if debt > 0 else 0.0)
    threshold = cascade.settings.system_wide.bad_debt
    return Condition("d", "bad debt over all insurance funds", ratio, threshold, ratio > threshold)


def highest_multiplier(outcome: Outcome) -> Multiplier | None:
    """Highest local multiplier over markets and rounds, None where no price moved.

    κρ of a round is the log move that its liquidations make, k·Q, over the log move that their accounts have seen since the
    round before. Books that arbitrage ties together count as one, with the depth of all; the market named is the one that
    sold most. Moves below half a percent are passed over.
    """
    state = outcome.state
    system, series = state.system, state.journal.series
    price, depth = np.array(series["price"]), np.array(series["depth"])
    if not price.size:
        return None
    path = np.maximum(np.vstack([system.markets.price, price]), np.finfo(np.float64).tiny)  # linear impact ends at zero
    seen = np.diff(np.log(path), axis=0)
    sold = np.zeros_like(seen)
    for kind in (Flow.LIQUIDATION, Flow.DEFAULT_CLOSE):
        for (when, units), (_, longs) in zip(state.journal.units[kind], state.journal.longs[kind], strict=True):
            sold[when] += 2.0 * longs - units
    depth = np.where(np.isinf(depth), np.finfo(np.float64).max, depth)
    tied = _tied_books(outcome)
    pool = np.equal.outer(tied, np.unique(tied)).astype(np.float64)
    total = depth @ pool
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = (seen * depth) @ pool / total
        ratio = np.where(np.abs(mean) > SMALLEST_MOVE, -K_UNIT * (sold @ pool) / total / mean, 0.0)
    if not (ratio > 0).any():
        return None
    when, group = divmod(int(np.argmax(ratio)), ratio.shape[1])
    market = int(np.argmax(np.abs(sold[when]) * pool[:, group]))
    feedback = float(ratio[when, group])
    value = 1.0 / (1.0 - feedback) if feedback < 1 else float("inf")
    return Multiplier(feedback, value, system.market_name(market), when)


def _tied_books(outcome: Outcome) -> Ints:
    """Number of the pool that each market belongs to: its coin where somebody arbitrages it, else a pool of its own."""
    system = outcome.state.system
    coin = system.markets.coin
    return np.where(np.isin(coin, system.claims.arbitrage_coin), coin, len(system.coins.names) + np.arange(coin.size))

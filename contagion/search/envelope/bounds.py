"""The safe envelope: a box of prices and sets of accounts and nodes that no run leaves.

A pass takes the box and the sets as they are and asks what could happen inside: which accounts may be hit at their worst
corner, what they and others may sell and buy, how far that moves the books, who may default. The box and the sets
only grow; when a pass adds nothing, they hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.engine import open_system
from contagion.grid import group_sum
from contagion.search.envelope.accounts import RELATIVE, Clients
from contagion.search.envelope.answer import Envelope
from contagion.search.envelope.books import book_loss, desks, price_box, trading
from contagion.search.envelope.found import Found
from contagion.search.envelope.frame import Frame
from contagion.search.envelope.nodes import (
    Worth,
    holding_sales,
    issuer_sales,
    least_equity,
    least_redemption,
    over_leverage,
    price_of_inventory,
)
from contagion.search.envelope.onset import Onset
from contagion.search.envelope.quotes import Fixed, quotes
from contagion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contagion.arrays import Flags
    from contagion.shocks import Shock
    from contagion.system import System

MOST_PASSES: Final = 400
DIZZY: Final = 1e60
"""USD: a price that may pass it has no bound worth the name."""


class Bounds:
    """Envelopes of one network: what all of them share is computed once.

    Parameters
    ----------
    system
        The network, compiled.
    settings
        Of the runs that are bounded.

    Notes
    -----
    Soundness. Let a state be *inside* if every mid price lies in the box, every account that has traded or left its owner is
    in ``hit`` (positions with a stop of their own: in ``stopped``), and every failed node is in ``failing``. The state after the
    shock is inside. Assume that all states up to some step are. Oracles are monotone in their sources, so marks and indices lie
    in their intervals. An account outside ``hit`` has its first balance, positions (but for stops) and coins, or more cash from a
    margin call, and is healthy at the worst corner, hence here. No account ever trades more units of a market than it held,
    in the direction that closes them, and what a vault takes over is counted with the account that it comes from; so the units
    sold and bought on each book are at most those of all accounts in ``hit`` without netting, and the moves of the book at most
    those of the lowest depth. Each unit of an account in ``hit`` was valued or traded inside the box, which bounds what the
    account may leave unpaid, what funds and houses pay, and with the box what every node is worth. A pass that adds nothing
    proves that the next state is inside too.

    Not covered, and said so in ``unknown``: losses that may exceed an exchange's fund where its loss rule then takes positions or
    cash from winners, and square-root impact (many small orders move a price farther than their sum).

    A pass costs O(positions), some twenty milliseconds at 200,000; two to thirty are needed.
    """

    def __init__(self, system: System, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        state = open_system(system, self.settings).state
        self.system = state.system  # in which issuers promise what they cover
        self._fixed = Fixed(state.books.mark.copy(), state.books.index.copy(), state.coin_price.copy())
        self._initial = state.initial_equity.copy()
        self._value = state.redemption_value.copy()
        self._capacity = state.desk_capacity.copy()
        self._clients = Clients(self.system, state.stop_rows)
        self._open_interest = float(self._clients.usd.sum())
        self._refused = self._refusals()

    def _refusals(self) -> tuple[str, ...]:
        found = []
        if self.settings.impact == "square_root":
            found.append("square-root impact: how far orders move a price depends on how they are split over rounds")
        if not self.settings.feedback:
            found.append("runs without feedback: their depth is infinite")
        return tuple(found)

    def envelope(self, shocks: Iterable[Shock], *, closed_without_feedback: float = 0.0, full: bool = False) -> Envelope:
        """Bound the run of a set of shocks that all happen.

        Parameters
        ----------
        closed_without_feedback
            USD at P₀ that the benchmark without feedback closes by force, if it has been run; else condition (a) is bounded as if it
            closed nothing.
        full
            Whether to follow the bounds to the end even where the answer can no longer be safe.
        """
        onset = Onset.of(self.system, self._fixed.coin, shocks)
        return self._answer(onset, closed_without_feedback, onset.exempt, full=full)

    def envelope_of_any(self, shocks: Iterable[Shock], *, given: Iterable[Shock] = (), full: bool = False) -> Envelope:
        """Bound the runs of every subset of a set of shocks, each of which happens or not; those of ``given`` always do.

        Notes
        -----
        Prices, depths and losses are intervals from what they are without a shock to what they are with it, so a shock that happens in
        part (a fall of 3 % where 5 % is given) is covered too.

        A stablecoin that a possible shock names is no condition (c) in subsets that hold this shock, and is one in the others: these
        are bounded by an envelope of their own, so the cost doubles for each such stablecoin.
        """
        possible, given = tuple(shocks), tuple(given)
        onset = Onset.of(self.system, self._fixed.coin, given, possible)
        nodes = self.system.nodes
        named = sorted({shock.target for shock in possible if nodes.stable0 <= self.system.node(shock.target) < nodes.exchange0})
        excused = onset.exempt.copy()
        excused[[self.system.node(name) for name in named]] = True
        result = self._answer(onset, 0.0, excused, full=full)
        for name in named:
            if not result.safe and not full:
                break
            without = self.envelope_of_any([shock for shock in possible if shock.target != name], given=given, full=full)
            result = replace(result, safe=result.safe and without.safe, peg=min(result.peg, without.peg))
        return result

    def _answer(self, onset: Onset, closed: float, excused: Flags, *, full: bool) -> Envelope:
        found = Found.at(self.system, onset, self._value, self._clients.stops.size, RELATIVE)
        if self._refused:
            found.unknown = self._refused
        else:
            self._follow(onset, found, closed, excused, full=full)
        return self._judge(onset, found, closed, excused)

    def _follow(self, onset: Onset, found: Found, closed: float, excused: Flags, *, full: bool) -> None:
        """Take passes until one adds nothing, or nothing more can be said."""
        while found.passes < MOST_PASSES:
            found.passes += 1
            if not self._pass(onset, found):
                found.complete = True
                return
            if (found.high > DIZZY).any():
                found.unknown = ("prices may rise without bound",)
            if found.unknown:
                return
            if not full:
                answer = self._judge(onset, replace(found, complete=True), closed, excused)
                if not answer.safe and not answer.safe_a:
                    return
        found.unknown = (f"the bounds still widened after {MOST_PASSES} passes",)

    def _pass(self, onset: Onset, found: Found) -> bool:
        """Take a pass; whether it added anything."""
        system, clients = self.system, self._clients
        frame = Frame(system, self.settings, onset, found.low.copy(), found.high.copy(), found.failing.copy())
        size, value = found.size(), found.value_low.copy()
        prices = quotes(frame, self._fixed, (value, system.coins.peg))
        trade = trading(frame)
        ties = desks(frame, trade, self._capacity)
        clients.stop(found, prices)
        clients.strike(frame, found, prices)
        hit = clients.left_over(frame, found, prices)
        at = system.accounts.exchange[hit.account]
        found.shortfall = group_sum(at, np.maximum(-hit.equity, 0.0), system.nodes.exchanges)
        sold, bought = clients.orders(frame, found, trade, hit)
        backing, selling = issuer_sales(frame, prices, trade, ties)
        found.selling |= selling
        sold = sold + backing + holding_sales(system, found.geared, trade)
        chosen, worth, gross = clients.of_brittle(frame, found, prices, hit)
        called = np.zeros(system.nodes.count, dtype=np.bool_)
        called[system.accounts.owner[hit.account]] = True
        losses = np.zeros(sold.size)
        if system.claims.maker.size:
            losses = book_loss(frame, trade, ties, price_of_inventory(system, prices), (sold, bought))
        bounds = Worth(worth, chosen, gross, called, losses, found.shortfall, frame.failing, found.selling)
        owned = least_equity(frame, prices, ties, bounds, self._initial)
        ruined = (clients.brittle | (onset.loss > 0)) & ~(owned >= 0)
        found.ruined |= ruined & ~onset.named.sure
        found.failing |= ruined
        found.geared |= over_leverage(system, owned, prices, bounds)
        found.value_low = np.fmin(value, least_redemption(frame, prices, ties, bounds))
        with np.errstate(invalid="ignore"):
            found.peg = np.where(np.isfinite(system.coins.peg), prices.coin_low / system.coins.peg, np.inf)
        found.unknown = self._losses(found, frame.dead)
        found.widen(price_box(frame, trade, ties, (sold, bought)))
        same_box = np.array_equal(frame.low, found.low) and np.array_equal(frame.high, found.high)
        return size != found.size() or not same_box or not np.array_equal(value, found.value_low, equal_nan=True)

    def _losses(self, found: Found, dead: Flags) -> tuple[str, ...]:
        """Say where losses may reach the winners."""
        exchanges = self.system.exchanges
        over = (found.shortfall > exchanges.insurance_fund) & ~dead
        rules = np.array([rule in {"adl", "socialise"} for rule in exchanges.loss_rule], dtype=np.bool_)
        return tuple(
            f"losses of accounts at {exchanges.names[x]} may exceed its insurance fund, and then its loss rule takes from winners"
            for x in np.flatnonzero(over & rules)
        )

    def _judge(self, onset: Onset, found: Found, closed: float, excused: Flags) -> Envelope:
        system, thresholds = self.system, self.settings.system_wide
        nodes = system.nodes
        forced = self._clients.forced_usd(found, onset.named.sure[nodes.exchange0 :])
        induced = max(forced - closed, 0.0) * (1 + RELATIVE) / self._open_interest if self._open_interest > 0 else 0.0
        fallen = int(found.ruined[nodes.exchange0 :].sum())
        counts = np.isfinite(system.coins.peg) & ~excused[nodes.coin0 : nodes.exchange0]
        peg = float(found.peg[counts].min(initial=1.0))
        funds, debt = float(system.exchanges.insurance_fund.sum()), float(found.shortfall.sum())
        ratio = debt / funds if funds > 0 else (float("inf") if debt > 0 else 0.0)
        safe_a = found.complete and not found.unknown and induced < thresholds.induced_liquidation
        safe = safe_a and fallen < thresholds.exchange_default and peg >= thresholds.depeg and ratio <= thresholds.bad_debt
        return Envelope(
            safe=safe,
            safe_a=safe_a,
            induced=induced,
            exchanges=fallen,
            peg=peg,
            bad_debt=ratio,
            low=found.low,
            high=found.high,
            hit=found.hit,
            failing=found.failing,
            bad_debt_usd=found.shortfall,
            passes=found.passes,
            unknown=found.unknown,
            complete=found.complete,
        )


def envelope(
    system: System,
    settings: Settings | None = None,
    shocks: Iterable[Shock] = (),
    *,
    closed_without_feedback: float = 0.0,
    full: bool = False,
) -> Envelope:
    """Bound everything that a set of shocks can do; see :class:`Bounds`, which many envelopes of one network share.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from contagion.shocks import parse_shock
    >>> from graphs.toys import one_book_ladder
    >>> system = compile_system(one_book_ladder())
    >>> envelope(system, shocks=[parse_shock("COIN=-1%")]).safe
    True
    >>> envelope(system, shocks=[parse_shock("COIN=-5%")]).safe
    False
    """
    return Bounds(system, settings).envelope(shocks, closed_without_feedback=closed_without_feedback, full=full)


def envelope_of_any(
    system: System, settings: Settings | None = None, shocks: Iterable[Shock] = (), *, given: Iterable[Shock] = (), full: bool = False
) -> Envelope:
    """Bound what every subset of a set of shocks can do; see :meth:`Bounds.envelope_of_any`."""
    return Bounds(system, settings).envelope_of_any(shocks, given=given, full=full)

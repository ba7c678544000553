"""A pattern of a run: which accounts were closed in which round, and for which falls of one coin the same happens.

See :mod:`contagion.search.breakpoints`. With M the mark at which an account's position in the coin is valued, and A what the rest
of the account gives in that round, its health in bracket n is A + q·M - (|q|·M·rate_n - deduction_n); where it is zero is one division.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.grid import group_sum
from contagion.journal import Flow
from contagion.kernels.valuate import maintenance_of
from contagion.state import NEVER, places_between, rows_between

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.engine import Outcome
    from contagion.search.trial import Bench
    from contagion.shocks import Shock
    from contagion.system import System

TINY: Final = 1e-13
"""Distance from the run's own fall below which a root is at it."""
CLOSE: Final = 1e-9
"""Health over notional within which the run and this module may differ on a breach."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """Accounts with a position in the coin, an entry each.

    Attributes
    ----------
    account, market, quantity
        Which, and the position.
    floor, rate, deduction
        Its brackets, accounts × brackets; NaN where there are fewer.
    """

    account: Ints
    market: Ints
    quantity: Floats
    floor: Floats
    rate: Floats
    deduction: Floats

    @classmethod
    def of(cls, system: System, coin: int) -> Exposed:
        """Find them."""
        accounts, markets = system.accounts, system.markets
        rows = np.flatnonzero((markets.coin[accounts.market] == coin) & (accounts.quantity != 0.0))
        market = accounts.market[rows].astype(np.int64)
        first, last = markets.tier_start[market], markets.tier_start[market + 1]
        most = max(int((last - first).max(initial=0)), 1)
        shape = (rows.size, most)
        floor, rate, deduction = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
        floor[:, 0], rate[:, 0], deduction[:, 0] = 0.0, 0.0, 0.0  # no brackets: no maintenance margin
        for step in range(most):
            on = np.flatnonzero(first + step < last)
            at = first[on] + step
            floor[on, step], rate[on, step], deduction[on, step] = markets.floor[at], markets.rate[at], markets.deduction[at]
        floor[:, 0] = 0.0
        account = np.searchsorted(accounts.start, rows, side="right") - 1
        return cls(account, market, accounts.quantity[rows], floor, rate, deduction)

    def flips(self, rest: Floats) -> Floats:
        """Marks at which health changes sign, accounts × candidates, NaN where there is none."""
        q, size = self.quantity[:, None], np.abs(self.quantity)[:, None]
        base = rest[:, None]
        top = np.concatenate([self.floor[:, 1:], np.full((q.size, 1), np.nan)], axis=1)
        top = np.where(np.isnan(top), np.inf, top)
        with np.errstate(divide="ignore", invalid="ignore"):
            root = -(base + self.deduction) / (q - size * self.rate)
            inside = (size * root >= self.floor * (1 - 1e-12)) & (size * root <= top * (1 + 1e-12)) & (root > 0)
            edge = self.floor[:, 1:]
            sign = np.sign(q)
            above = base + sign * edge - (edge * self.rate[:, 1:] - self.deduction[:, 1:])
            below = base + sign * edge - (edge * self.rate[:, :-1] - self.deduction[:, :-1])
            jump = np.where((above <= 0) != (below <= 0), edge / size, np.nan)
        return np.concatenate([np.where(inside, root, np.nan), jump], axis=1)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A run at one fall, and what of it depends on the fall.

    Attributes
    ----------
    fall
        The fall s that was run.
    reason
        Why the run is none of this kind; empty if it is.
    induced, liquidated
        Shares of open interest closed by feedback, and in all.
    closed_in
        Round in which each account was closed.
    """

    system: System
    outcome: Outcome
    exposed: Exposed
    coin: int
    linear: bool
    fall: float
    reason: str
    induced: float
    liquidated: float
    closed_in: Ints

    @classmethod
    def at(cls, bench: Bench, shock: Shock, fall: float, exposed: Exposed) -> Pattern:
        """Run the shock of one fall; a rise is a negative one."""
        system = bench.system
        outcome = bench.simulate(bench.prepared([shock]))
        state, accounts = outcome.state, system.accounts
        closed_in = np.full(accounts.count, NEVER)
        for when, who, _ in state.journal.accounts[Flow.LIQUIDATION]:
            closed_in[who] = np.minimum(closed_in[who], when)
        usd = np.abs(accounts.quantity) * system.markets.price[accounts.market]
        usd = group_sum(np.repeat(np.arange(accounts.count), np.diff(accounts.start)), usd, accounts.count)
        total = float(usd.sum()) or 1.0
        reason = "" if outcome.reason == "settled" else f"the run at a fall of {fall:g} did not settle ({outcome.reason})"
        if (state.node_default >= 0).any():
            reason = f"a node defaults at a fall of {fall:g}"
        coin = system.node(shock.target) - system.nodes.coin0
        linear = bench.settings.impact == "linear"
        liquidated = float(usd[closed_in < NEVER].sum()) / total
        induced = float(usd[(closed_in > 0) & (closed_in < NEVER)].sum()) / total
        return cls(system, outcome, exposed, coin, linear, fall, reason, induced, liquidated, closed_in)

    def ends(self, low: float, high: float) -> tuple[float, float, str]:
        """Least and greatest fall in [low, high] between which this pattern holds; and why it may not, empty if it does."""
        series = self.outcome.state.journal.series
        bottom, top = low, high
        exposed = self.exposed
        for when in range(self.outcome.rounds):
            mark = series["mark"][when]
            still = self.closed_in[exposed.account] >= when
            rest = self._rest(mark)
            wrong = self._disagreement(mark, rest, still, when)
            if wrong:
                return self.fall, self.fall, wrong
            flips = exposed.flips(rest)[still]
            here = mark[exposed.market][still][:, None]
            if self.linear:
                falls = self.fall + (here - flips) / self._slope()[exposed.market][still][:, None]
            else:
                falls = 1.0 - (1.0 - self.fall) * flips / here
            falls = falls[~np.isnan(falls)]
            bottom = max(bottom, float(falls[falls < self.fall - TINY].max(initial=-np.inf)))
            top = min(top, float(falls[falls > self.fall + TINY].min(initial=np.inf)))
            if (np.abs(falls - self.fall) <= TINY).any():
                bottom = top = self.fall
        return bottom, top, self._floor(top) or self._losses(bottom) or self._losses(top)

    def _slope(self) -> Floats:
        """Fall of each market's price for a unit more of s under linear impact, USD; 0 for other coins."""
        mine = self.system.markets.coin == self.coin
        return np.where(mine, self.outcome.state.journal.series["price"][0] / (1.0 - self.fall), 0.0)

    def _rest(self, mark: Floats) -> Floats:
        """Health of each exposed account without its position in the coin, USD."""
        accounts, markets = self.system.accounts, self.system.markets
        chosen = self.exposed.account
        rows, place = rows_between(accounts.start, chosen), places_between(accounts.start, chosen)
        market, quantity = accounts.market[rows].astype(np.int64), accounts.quantity[rows]
        notional = np.abs(quantity) * mark[market]
        part = quantity * mark[market] - np.where(quantity != 0.0, maintenance_of(market, notional, markets), 0.0)
        part[markets.coin[market] == self.coin] = 0.0
        return np.asarray(accounts.balance[chosen] + group_sum(place, part, chosen.size))

    def _disagreement(self, mark: Floats, rest: Floats, still: Flags, when: int) -> str:
        """Whether an account was closed in another round than its health says; empty if none was."""
        exposed = self.exposed
        value = exposed.quantity * mark[exposed.market]
        size = np.abs(value)
        health = rest + value - maintenance_of(exposed.market, size, self.system.markets)
        closed = self.closed_in[exposed.account] == when
        clear = np.abs(health) > CLOSE * (size + np.abs(self.system.accounts.balance[exposed.account]))
        if (still & clear & (closed != (health <= 0))).any():
            return f"at a fall of {self.fall:g} an account acts otherwise than its health says"
        return ""

    def _floor(self, top: float) -> str:
        """Under linear impact a price stops at zero, where it is affine no longer."""
        if not self.linear:
            return ""
        price = np.array(self.outcome.state.journal.series["price"])
        if (price <= 0).any() or (price - self._slope() * (top - self.fall) <= 0).any():
            return f"a price reaches zero at a fall of {top:g} or less"
        return ""

    def _losses(self, fall: float) -> str:
        """What closed accounts leave unpaid is convex in s, so what fund and house can bear is asked at the ends."""
        system, journal = self.system, self.outcome.state.journal
        accounts, exchanges = system.accounts, system.exchanges
        mine = system.markets.coin == self.coin
        cash = accounts.balance.copy()
        position = np.repeat(np.arange(accounts.count), np.diff(accounts.start))
        for (when, units), (_, usd) in zip(journal.units[Flow.LIQUIDATION], journal.usd[Flow.LIQUIDATION], strict=True):
            with np.errstate(divide="ignore", invalid="ignore"):
                paid = np.nan_to_num(usd / units)
            moved = paid - self._slope() * (fall - self.fall) if self.linear else paid * (1.0 - fall) / (1.0 - self.fall)
            paid = np.where(mine, moved, paid)
            rows = np.flatnonzero(self.closed_in[position] == when)
            np.add.at(cash, position[rows], accounts.quantity[rows] * paid[accounts.market[rows]])
        missing = np.where(self.closed_in < NEVER, np.maximum(-cash, 0.0), 0.0)
        owed = group_sum(accounts.exchange, missing, system.nodes.exchanges)
        failing = owed * (1 + CLOSE) > exchanges.insurance_fund + exchanges.equity
        if failing.any():
            return f"{exchanges.names[int(np.argmax(failing))]} may fail at a fall of {fall:g} or before"
        return ""

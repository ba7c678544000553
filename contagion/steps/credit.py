"""Step 3: the greatest fixed point of equity and recovery over credit claims.

With V the value of a unit of claim on debtor d, E_i = own_i + Σ V(d)·claims of i - debts of i, and V a function of the
debtor's equity: clearing (Eisenberg and Noe 2001, eq. 6; with α, β below one Rogers and Veraart 2013, eq. 2.3; classes
of seniority as Elsinger 2009), threshold (Furfine 2003), DebtRank (Bardoscia et al. 2015, eq. 4) or nonlinear DebtRank
(Bardoscia et al. 2016). Claims of owners on a failed exchange rank with its seniority-1 debt.

The iteration starts from V = 1 and only falls, so it ends at the greatest solution. Each step tries Newton on the linear
pieces that are active and keeps it where the result is still above its own image; otherwise it takes the plain (Picard)
step. Cost O(claims) a step; Newton adds one sparse factorisation over the debtors that pay in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.settings import Settings


TOLERANCE = 1e-14
MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Debts:
    """Claims between nodes: row k says that ``debtor`` owes ``creditor`` ``amount`` USD at rank ``seniority``."""

    debtor: Ints
    creditor: Ints
    amount: Floats
    seniority: Ints


@dataclass(frozen=True, slots=True)
class Recovery:
    """Solution of step 3.

    Attributes
    ----------
    equity
        USD by node.
    value
        Worth of a unit of claim by row of the debts.
    frame
        The map that was solved, to value further claims.
    residual
        Largest change of a value that one more step would make.
    steps
        Steps taken.
    """

    equity: Floats
    value: Floats
    frame: Frame
    residual: float
    steps: int

    def first_class(self, nodes: Ints) -> Floats:
        """Worth of a unit of claim of seniority 1 on each of some nodes."""
        return self.frame.first_class(self.frame.income(self.value), nodes)


def clear_debts(
    own: Floats,
    external: Floats,
    debts: Debts,
    forced: Floats,
    initial: Floats,
    settings: Settings,
    *,
    slack: float = 0.0,
) -> Recovery:
    """Solve equity and recovery together.

    Parameters
    ----------
    own
        USD by node before claims and debts of ``debts``, external debt already taken off.
    external
        External debt by node, USD; it shares in what a defaulted node pays.
    debts
        Claims between nodes.
    forced
        Value of claims on nodes that the shock defaults by name, NaN for all others.
    initial
        Equity before the shock, for the DebtRank valuations.
    slack
        Equity down to minus this is no default: rounding.
    """
    frame = Frame.build(own, external, debts, forced, initial, settings, slack)
    value = np.ones(debts.amount.size)
    if not value.size:
        return Recovery(own, value, frame, 0.0, 0)
    steps, change = 0, np.inf
    while steps < MOST_STEPS:
        steps += 1
        income = frame.income(value)
        plain, slope = frame.image(income)
        plain = np.minimum(plain, value)
        change = float(np.max(np.abs(plain - value), initial=0.0))
        if change <= TOLERANCE:
            value = plain
            break
        value = frame.newton(plain, slope, income)
    income = frame.income(value)
    return Recovery(frame.own + income - frame.owed, value, frame, change, steps)


@dataclass(slots=True)
class Frame:
    """The map whose fixed point is sought, in arrays."""

    own: Floats
    debts: Debts
    forced: Floats
    initial: Floats
    settings: Settings
    slack: float
    owed: Floats
    senior: Floats
    total: Floats
    first: tuple[Floats, Floats]

    @classmethod
    def build(cls, own: Floats, external: Floats, debts: Debts, forced: Floats, initial: Floats, settings: Settings, slack: float) -> Frame:
        """Add up what each node owes at each rank."""
        count = own.size
        owed = group_sum(debts.debtor, debts.amount, count)
        ahead = settings.external_seniority == "senior"
        senior, total = np.zeros(debts.amount.size), np.zeros(debts.amount.size)
        paid_before = external.copy() if ahead else np.zeros(count)
        first = (paid_before.copy(), np.zeros(count) if ahead else external.copy())
        for rank in np.unique(np.append(debts.seniority, 1)):
            rows = debts.seniority == rank
            at_rank = group_sum(debts.debtor[rows], debts.amount[rows], count)
            if rank == 1:
                if not ahead:
                    at_rank = at_rank + external
                first = (paid_before.copy(), at_rank)
            senior[rows], total[rows] = paid_before[debts.debtor[rows]], at_rank[debts.debtor[rows]]
            paid_before = paid_before + at_rank
        return cls(own + external, debts, forced, initial, settings, slack, owed + external, senior, total, first)

    def income(self, value: Floats) -> Floats:
        """USD that each node's claims are worth."""
        return group_sum(self.debts.creditor, self.debts.amount * value, self.own.size)

    def image(self, income: Floats) -> tuple[Floats, Floats]:
        """Value of each row given incomes, and its slope in the debtor's income."""
        return self._worth(income, self.debts.debtor, self.senior, self.total)

    def first_class(self, income: Floats, nodes: Ints) -> Floats:
        """Value of a seniority-1 claim on each of some nodes."""
        senior, total = self.first
        return self._worth(income, nodes, senior[nodes], total[nodes])[0]

    def _worth(self, income: Floats, debtor: Ints, senior: Floats, total: Floats) -> tuple[Floats, Floats]:
        settings = self.settings
        equity = (self.own + income - self.owed)[debtor]
        forced = self.forced[debtor]
        if not settings.feedback:
            value, slope = np.ones(debtor.size), np.zeros(debtor.size)
        elif settings.valuation == "clearing":
            value, slope = self._clearing(income, debtor, senior, total, equity)
        elif settings.valuation == "threshold":
            value = np.where(equity < -self.slack, settings.recovery, 1.0)
            slope = np.zeros(debtor.size)
        else:
            value, slope = self._debtrank(debtor, equity)
        named = ~np.isnan(forced)
        return np.where(named, forced, value), np.where(named, 0.0, slope)

    def _clearing(self, income: Floats, debtor: Ints, senior: Floats, total: Floats, equity: Floats) -> tuple[Floats, Floats]:
        settings = self.settings
        own, got = self.own[debtor], income[debtor]
        left = np.where(own > 0, settings.alpha * own, own) + settings.beta * got - senior
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(total > 0, left / total, np.where(left > 0, 1.0, 0.0))
        failed = equity < -self.slack
        partial = failed & (share > 0) & (share < 1) & (total > 0)
        slope = np.zeros(debtor.size)
        slope[partial] = settings.beta / total[partial]
        return np.where(failed, np.clip(share, 0.0, 1.0), 1.0), slope

    def _debtrank(self, debtor: Ints, equity: Floats) -> tuple[Floats, Floats]:
        start = self.initial[debtor]
        with np.errstate(divide="ignore", invalid="ignore"):
            health = np.where(start > 0, np.clip(equity / start, 0.0, 1.0), (equity >= 0).astype(np.float64))
            inner = (start > 0) & (health > 0) & (health < 1)
            slope = np.where(inner, 1.0 / start, 0.0)
        if self.settings.valuation == "debtrank":
            return health, slope
        distress, a = 1.0 - health, self.settings.nonlinearity
        spread = np.exp(a * (distress - 1.0))
        return np.maximum(1.0 - distress * spread, 0.0), slope * spread * (1.0 + a * distress)

    def newton(self, plain: Floats, slope: Floats, income: Floats) -> Floats:
        """Solve the active linear pieces; fall back on the plain step where that would not stay above the solution."""
        active = slope > 0
        if not active.any():
            return plain
        from scipy.sparse import csc_array, eye_array
        from scipy.sparse.linalg import splu

        debts, count = self.debts, self.own.size
        fixed = plain - slope * income[debts.debtor]
        nodes, inverse = np.unique(debts.debtor[active], return_inverse=True)
        position = np.full(count, -1)
        position[nodes] = np.arange(nodes.size)
        to = position[debts.creditor[active]]
        inside = to >= 0
        gain = csc_array((debts.amount[active][inside] * slope[active][inside], (to[inside], inverse[inside])), shape=(nodes.size,) * 2)
        constant = self.income(np.where(active, fixed, plain))[nodes]
        try:
            solved = splu(eye_array(nodes.size, format="csc") - gain).solve(constant)
        except RuntimeError:  # singular: the loop passes everything on, and only the plain step is sure
            return plain
        guess = plain.copy()
        guess[active] = fixed[active] + slope[active] * solved[inverse]
        sane = np.isfinite(guess).all() and (guess <= plain + TOLERANCE).all() and (guess >= 0).all()
        if not sane:
            return plain
        again, _ = self.image(self.income(guess))
        return guess if (again <= guess + TOLERANCE).all() else plain

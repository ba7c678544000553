"""Clearing of debts: what everybody pays when nobody can pay more than they have.

Orientation: ``liabilities[i, j]`` is what i owes j, USD; e are external assets, p̄ all that a node owes, p what it pays in all,
outside creditors included. With income the payments (and values of shares) that come in, node i is solvent if e_i + income_i ≥ p̄_i,
equality included, and pays p̄_i; in default it pays α·e_i + β·income_i, senior classes first and pro rata within each.

- Eisenberg and Noe (2001), eqs. 6-7: α = β = 1.
- Rogers and Veraart (2013), eqs. 2.2-2.4: α, β ≤ 1.
- Elsinger (2009), sections 2-4: classes of seniority, and shares, worth the positive part of equity.

Solutions form a lattice. The *greatest* is approached from above (fictitious default, Eisenberg and Noe 2001, section 3.1; Rogers and
Veraart 2013, Def. 3.6): who is insolvent at an upper bound is so in every solution; given them, solve for what they pay; repeat. The
*least* is approached from below: who is solvent at a lower bound is so in every solution; given them, take the least payments of the
others. With default costs plain iteration from below can stop short of a solution: in its limit a node has just enough, though in no step
before. Here such a node pays in full and the search goes on, so that what is returned is a solution, and the least one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from contagion.models.capped import LULL, PATIENCE, Count, least_capped
from contagion.models.debts import Debts, read_debts
from contagion.models.errors import ModelError
from contagion.models.solvers import CERTIFICATE, Gain, solve

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints

MOST_ROUNDS = 1_000_000
SOON = 12
"""Plain steps after which a solve is the faster way on, even while news comes in."""

ROUNDING = 1e-15


@dataclass(frozen=True, eq=False)
class Clearing:
    """A clearing vector and what follows from it.

    Attributes
    ----------
    nodes
        Labels in the order of the arrays.
    payments
        p, all that each node pays, to outside creditors too, USD.
    equity
        e + income - p̄ at face, USD: below zero by what creditors miss before default costs.
    defaulted
        Whether equity is below zero; exactly zero is solvent.
    external_payments
        The part of ``payments`` that goes to outside creditors, USD.
    by_class
        ``payments`` by class, senior first; with "external_senior" the first row is the outside creditors.
    recovery
        p/p̄, one for who owes nothing.
    residual
        Largest distance of a payment from the rule's, over the largest debt.
    solves
        Linear systems solved.
    """

    nodes: tuple[Any, ...]
    payments: Floats
    equity: Floats
    defaulted: Flags
    external_payments: Floats
    by_class: Floats
    recovery: Floats
    residual: float
    solves: int

    @property
    def interbank_payments(self) -> Floats:
        """The part of ``payments`` that stays in the network, USD."""
        return self.payments - self.external_payments


def clear(
    liabilities: object,
    external_assets: object,
    *,
    external_liabilities: object = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    seniority: object = "pari_passu",
    solution: Literal["greatest", "least"] = "greatest",
    holdings: object = None,
) -> Clearing:
    """Find what everybody pays.

    Parameters
    ----------
    liabilities
        n × n, USD: what the row owes the column. Dense array, SciPy sparse matrix, frame or NetworkX graph with edges
        debtor → creditor of attribute ``weight``. A list of them is classes of debt, senior first.
    external_assets
        By node, USD, at least 0; what a node owes outside belongs into ``external_liabilities``.
    external_liabilities
        By node, USD. They rank with the most senior class, or one row a class says otherwise.
    alpha, beta
        Shares of a defaulted node's external assets, and of its claims and shares, that default leaves.
    seniority
        "pari_passu"; "external_senior": outside creditors before all others; or the list of liability matrices, senior
        first, of which ``liabilities`` is then the sum or None.
    solution
        Which one, where there are several.
    holdings
        ``holdings[i, j]`` is the share of i's equity that j owns; rows sum to at most 1.

    Returns
    -------
    Clearing
        Payments, equities and defaults, with the residual.

    Raises
    ------
    MatrixError, ModelError
        If an input is not as above, a node owes or owns itself, nodes own each other whole, or no solution with a residual of
        at most 1e-12 is found.

    Notes
    -----
    Solvent means that assets miss the debts by no more than 1e-12 of both. For α = β = 1 all solutions give the same equities (Eisenberg
    and Noe 2001, Theorem 1), and payments differ only in loops that no asset reaches. Cost O(non-zeros) a step; at most one
    linear system for each node that changes class, usually one to five in all.

    Examples
    --------
    >>> result = clear([[0, 20, 10], [5, 0, 24], [10, 0, 0]], [10, 10, 10])
    >>> result.payments.round(4).tolist(), result.defaulted.tolist()
    ([24.5455, 26.3636, 10.0], [True, True, False])
    >>> clear([[0, 2.2], [2.2, 0]], [1, 1], alpha=0.5, beta=0.5, solution="least").payments.tolist()
    [1.0, 1.0]
    """
    if solution not in {"greatest", "least"}:
        raise ModelError(f"solution is {solution!r}; give 'greatest' or 'least'")
    debts = read_debts(
        liabilities, external_assets, external=external_liabilities, alpha=alpha, beta=beta, seniority=seniority, holdings=holdings
    )
    count = Count()
    state, income = _greatest(debts, count) if solution == "greatest" else _least(debts, count)
    paid = debts.paid(state, debts.part(state, income))
    again = debts.income(state, debts.part(state, income))
    then = np.where(np.abs(debts.left(again)) <= 4 * debts.slack(again), state, debts.state(again))  # a tie is as it was found
    largest = float(debts.owed.max(initial=0.0))
    gap = float(np.abs(debts.paid(then, debts.part(then, again)) - paid).max(initial=0.0))
    residual = gap / largest if largest > 0 else 0.0
    if not residual <= CERTIFICATE:
        raise ModelError(f"payments were found to a residual of {residual:.1e} only; the network is too close to passing all losses on")
    payments = paid.sum(axis=0)
    share = np.divide(debts.external, debts.size, out=np.zeros_like(paid), where=debts.size > 0)
    recovery = np.divide(payments, debts.owed, out=np.ones_like(payments), where=debts.owed > 0)
    equity = debts.left(again)
    return Clearing(debts.nodes, payments, equity, state < debts.classes, (paid * share).sum(axis=0), paid, recovery, residual, count.total)


def _greatest(debts: Debts, count: Count) -> tuple[Ints, Floats]:
    """States and incomes from above."""
    size = debts.assets.size
    state = np.full(size, debts.classes)
    income = debts.income(state, np.zeros(size))
    if debts.carries:
        income, _ = _solve_states(debts, state, income, count)
    for _ in range(MOST_ROUNDS):
        state, income, settled = _descend(debts, state, income)
        if settled:
            return state, income
        found, whole = _solve_states(debts, state, income, count)
        lower = np.minimum(income, found)
        now = np.minimum(state, debts.state(found if whole else lower))
        if whole and (now == state).all():
            return state, found
        state, income = now, lower
    raise ModelError("clearing did not settle")


def _descend(debts: Debts, state: Ints, income: Floats) -> tuple[Ints, Floats, bool]:
    """Plain steps from an upper bound while they bring news or end soon; and whether they have ended."""
    quiet, changes, steps = 0, [np.nan] * 4, 0
    while True:
        now, lower = debts.step(state, income)
        steps, quiet = steps + 1, quiet + 1 if (now == state).all() else 0
        state = now
        if not debts.carries and (state == debts.classes).all():
            return state, income, True
        lower = np.minimum(income, lower)
        change, largest = float((income - lower).max(initial=0.0)), float(income.max(initial=0.0))
        income = lower
        if change <= ROUNDING * largest and quiet:
            return state, income, True
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.float64(change / changes[0]) ** 0.25 if changes[0] else np.nan
            more = np.log(np.float64(ROUNDING * largest) / change) / np.log(rate)
        changes = [*changes[1:], change]
        if (quiet >= LULL or steps >= SOON) and not (rate < 1.0 and more <= PATIENCE):
            return state, income, False


def _solve_states(debts: Debts, state: Ints, income: Floats, count: Count) -> tuple[Floats, bool]:
    """Incomes if every node pays the class of its state in part; where that would be negative, nothing.

    Also whether that is more than a bound: nowhere negative, and nowhere above the bound that the states come from.
    A bound it is either way: who pays nothing in part here has paid the classes before in full, which it cannot.
    """
    carrying = (state < debts.classes) | debts.carries
    gain = Gain(debts.passing_on(state))
    start = debts.part(state, income)
    solvent = state == debts.classes
    none = debts.income(state, np.zeros(state.size))
    before = debts.through[state, np.arange(state.size)]
    active = carrying
    while True:
        right = np.where(solvent, debts.assets + none, debts.available(none)) - before
        found, residual = solve(gain, active[:, None], right[:, None], start=start[:, None])
        count.add(1)
        if not residual[0] <= CERTIFICATE:  # a loop that passes everything on: only plain steps are sure
            return debts.income(state, start), False
        comes = debts.income(state, np.maximum(found[:, 0], 0.0))
        part = np.where(solvent, debts.assets + comes, debts.available(comes)) - before
        under = carrying & (np.where(active, found[:, 0], part) < 0)
        if (under == ~active & carrying).all():
            return comes, not under.any() and bool((comes <= income + debts.slack(income)).all())
        active = carrying & ~under


def _least(debts: Debts, count: Count) -> tuple[Ints, Floats]:
    """States and incomes from below."""
    income = np.zeros(debts.assets.size)
    state = debts.state(income)
    for _ in range(MOST_ROUNDS):
        room = debts.room(state)
        part = np.minimum(debts.part(state, income), room)
        onward = debts.income(state, part)
        more = np.maximum(np.minimum(debts.part(state, onward), room) - part, 0.0)
        rise = least_capped(Gain(debts.passing_on(state, mute=True)), more[:, None], (room - part)[:, None], count)[:, 0]
        income = np.maximum(onward, debts.income(state, part + rise))
        now = np.maximum(state, debts.state(income))
        if (now == state).all():
            return state, income
        state = now
    raise ModelError("clearing did not settle")

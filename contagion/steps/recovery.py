"""Step 3 on the state: gather the debts of this round, solve, and keep equities, recoveries and new defaults (step 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import snap
from contagion.steps.credit import Debts, clear_debts
from contagion.steps.revalue import own_equity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contagion.state import State

SLACK = 16
"""Equity below zero by up to this many steps of the ledger is rounding, no default."""


def open_debts(state: State) -> tuple[Debts, int]:
    """Credit claims as far as not written off, then the claims of owners on failed exchanges; and how many the first are."""
    system = state.system
    claims, nodes = system.claims, system.nodes
    amount = claims.amount - snap(claims.amount * state.written_off, system.quantum)
    debtor, creditor, seniority = claims.debtor, claims.creditor, claims.seniority
    lent = amount.size
    if state.settled.any():
        rows = np.flatnonzero(state.claim > 0)
        debtor = np.concatenate([debtor, system.accounts.exchange[rows] + nodes.exchange0])
        creditor = np.concatenate([creditor, system.accounts.owner[rows]])
        amount = np.concatenate([amount, state.claim[rows]])
        seniority = np.concatenate([seniority, np.ones(rows.size, dtype=np.int64)])
    return Debts(debtor, creditor, amount, seniority), lent


def clear_state(state: State) -> None:
    """Fill node equity and the value of claims."""
    system = state.system
    nodes = system.nodes
    own = own_equity(state)
    debts, lent = open_debts(state)
    if state.round == 0 and not state.initial_equity.any():
        owed = np.bincount(debts.debtor, weights=debts.amount, minlength=nodes.count)
        due = np.bincount(debts.creditor, weights=debts.amount, minlength=nodes.count)
        state.initial_equity = own + due - owed
    if not debts.amount.size:  # nobody owes anybody here: equity is what each node owns
        state.node_equity = own
        return
    forced = np.where(state.named, state.settings.recovery, np.nan)
    slack = SLACK * system.quantum
    result = clear_debts(own, nodes.external_debt, debts, forced, state.initial_equity, state.settings, slack=slack)
    state.node_equity = result.equity
    state.credit_recovery = result.value[:lent]
    owing = np.union1d(debts.debtor, np.arange(nodes.exchange0, nodes.count))
    state.recovery[owing] = result.first_class(owing)


def failing_nodes(state: State) -> NDArray[np.int64]:
    """Nodes that fail in this round: equity below zero, and not failed before."""
    return np.flatnonzero((state.node_equity < -SLACK * state.system.quantum) & (state.node_default < 0))

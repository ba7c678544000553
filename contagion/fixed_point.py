"""The fixed point that an unshocked network must be: nobody is in breach before anything has happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.engine import prepare, simulate
from contagion.scenario import Scenario
from contagion.settings import Settings
from contagion.state import initial_state
from contagion.steps.margin_calls import breached_accounts
from contagion.steps.prices import set_prices
from contagion.steps.recovery import SLACK
from contagion.steps.redemption import set_redemption_values
from contagion.steps.revalue import revalue_accounts

if TYPE_CHECKING:
    from graphs.network import Network


@dataclass(frozen=True, slots=True)
class Breach:
    """An account that is in breach before any shock.

    Attributes
    ----------
    owner, exchange
        Whose, and where.
    asset
        Of an isolated position; empty for a cross account.
    margin_balance, maintenance
        USD.
    """

    owner: str
    exchange: str
    asset: str
    margin_balance: float
    maintenance: float

    def __str__(self) -> str:
        """One sentence: who, how much, remedy."""
        which = f", isolated {self.asset}" if self.asset else ""
        return (
            f"account of {self.owner} at {self.exchange}{which}: its margin balance of {self.margin_balance:,.2f} USD is not above its "
            f"maintenance margin of {self.maintenance:,.2f} USD before any shock; add collateral, or cut its positions"
        )


@dataclass(frozen=True, slots=True)
class Rest:
    """Whether a network rests when it is left alone.

    Attributes
    ----------
    accounts
        How many it has.
    breaches
        Those in breach, the largest shortfall first.
    failed
        Nodes whose equity is below zero before any shock.
    """

    accounts: int
    breaches: tuple[Breach, ...]
    failed: tuple[str, ...]

    @property
    def rests(self) -> bool:
        """Whether nothing happens without a shock."""
        return not self.breaches and not self.failed


def at_rest(net: Network, *, settings: Settings | None = None) -> Rest:
    """Value a network without a shock and list who would act all the same.

    Raises
    ------
    CheckError
        If the network breaks its schema.

    Examples
    --------
    >>> from graphs.toys import one_book_ladder
    >>> at_rest(one_book_ladder()).rests
    True
    """
    settings = settings or Settings()
    prepared = prepare(net, Scenario(name="rest"))
    outcome = simulate(prepared, settings=settings.model_copy(update={"max_rounds": 1}))
    system = outcome.state.system  # in which issuers promise what they cover
    state = initial_state(system, settings)
    set_prices(state, opening=True)
    revalue_accounts(state)
    set_redemption_values(state)
    set_prices(state, opening=True)  # an index may mix in what a coin is redeemed for
    revalue_accounts(state)
    short = breached_accounts(state)
    order = np.argsort(state.margin[short] - state.maintenance[short], kind="stable")
    breaches = []
    for account in short[order].tolist():
        start, isolated = system.accounts.start[account], bool(system.accounts.isolated[account])
        market = int(system.accounts.market[start]) if isolated else -1
        breaches.append(
            Breach(
                owner=system.nodes.name(int(system.accounts.owner[account])),
                exchange=system.exchanges.names[int(system.accounts.exchange[account])],
                asset=system.market_name(market)[1] if isolated else "",
                margin_balance=float(state.margin[account]),
                maintenance=float(state.maintenance[account]),
            )
        )
    failed = np.flatnonzero(outcome.initial.node_equity < -SLACK * system.quantum)
    return Rest(int(system.accounts.count), tuple(breaches), tuple(system.nodes.name(int(node)) for node in failed))

"""What moved between the books of a round, for the audit: a run without it keeps none of this."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.system import System


class Flows:
    """Money and value that came to accounts, nodes and books since the last audit.

    Attributes
    ----------
    account, node, book, desk
        USD that came to each account, node (outside its accounts), book account and arbitrage account, at the prices that
        each of them uses.
    turnover
        The same for accounts, without signs: what came and went, against which a rounding is small or not.
    ledger
        USD that entered each exchange's ledger from outside it, signed.
    burned
        Units of each coin that ceased to exist since the start.
    stated
        USD that total equity gained by what is no payment between two parties: coins valued anew because they changed hands,
        money from or to the outside, coins burned.
    pairs
        (identity, paid, received) amounts that must be equal.
    """

    def __init__(self, system: System) -> None:
        self.account: Floats = np.zeros(system.accounts.count)
        self.turnover: Floats = np.zeros(system.accounts.count)
        self.node: Floats = np.zeros(system.nodes.count)
        self.book: Floats = np.zeros(system.markets.count)
        self.desk: Floats = np.zeros(system.markets.count)
        self.ledger: Floats = np.zeros(system.nodes.exchanges)
        self.burned: Floats = np.zeros(len(system.coins.names))
        self.stated = 0.0
        self.pairs: list[tuple[str, float, float]] = []

    def to_accounts(self, accounts: Ints, usd: Floats) -> None:
        """Add USD to accounts."""
        np.add.at(self.account, accounts, usd)
        np.add.at(self.turnover, accounts, np.abs(usd))

    def to_nodes(self, nodes: Ints, usd: Floats) -> None:
        """Add USD to nodes."""
        np.add.at(self.node, nodes, usd)

    def inventory(self, markets: Ints, book: Floats, desk: Floats | None = None) -> None:
        """Add USD to book accounts and, if given, to arbitrage accounts."""
        np.add.at(self.book, markets, book)
        if desk is not None:
            np.add.at(self.desk, markets, desk)

    def check(self, identity: str, paid: float, received: float) -> None:
        """Keep two amounts that an identity says are equal."""
        self.pairs.append((identity, paid, received))

    def clear(self) -> None:
        """Forget what the last audit has seen; transfers and burned units stay, they are counted from the start."""
        for array in (self.account, self.turnover, self.node, self.book, self.desk):
            array[:] = 0.0
        self.stated = 0.0
        self.pairs.clear()

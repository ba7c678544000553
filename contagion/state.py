"""The state of a run: everything that a round changes.

Only the engine's steps write to it. Arrays are indexed as ``contagion.system`` says; money is USD on the ledger's grid,
quantities are signed units on their coin's lot.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.grid import group_sum, snap
from contagion.journal import Journal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contagion.arrays import Flags, Floats, Ints
    from contagion.flows import Flows
    from contagion.settings import Settings
    from contagion.steps.shock import Ramp
    from contagion.system import System


NEVER = np.iinfo(np.int64).max
"""Round that never comes."""


class Status(IntEnum):
    """What became of an account."""

    OPEN = 0
    LIQUIDATING = 1
    OWNER_DEFAULTED = 2
    CLOSED = 3
    TAKEN_OVER = 4
    SETTLED = 5


@dataclass(slots=True)
class Books:
    """Prices and books, a market each.

    Attributes
    ----------
    price
        Mid price, USD.
    fundamental
        Path towards which impact decays under a clock, USD.
    mark, previous_mark, index
        What positions (this round, the round before) and collateral on that market's exchange are valued at, USD.
    quantity, coins, cash
        The book account: units of its instrument, coins sold to it (which a perpetual book takes where there is no spot
        book), and USD.
    desk_quantity, desk_cash
        The same for arbitrageurs.
    outside_quantity
        Units of sellers that are not in the network.
    depth_factor
        The scenario's factor.
    largest_move
        Largest absolute log move from the network's price so far.
    band_base
        Price from which the price band counts.
    halted_until
        First round in which the market trades again.
    ordered_halt
        Whether the scenario holds it shut.
    """

    price: Floats
    fundamental: Floats
    mark: Floats
    previous_mark: Floats
    index: Floats
    quantity: Floats
    coins: Floats
    cash: Floats
    desk_quantity: Floats
    desk_cash: Floats
    outside_quantity: Floats
    depth_factor: Floats
    largest_move: Floats
    band_base: Floats
    halted_until: Ints
    ordered_halt: Flags


@dataclass(slots=True)
class State:
    """Everything that a round changes.

    Attributes
    ----------
    watch
        Accounts that closed with a debt and sell coins.
    stop_rows
        Open positions with a stop or a goal.
    taken
        Largest size of each position row of a vault so far, units.
    came
        Position rows and signed units of what entered or came to a vault after the start.
    claim
        USD that each account of a failed exchange is owed.
    estate
        Coins by exchange and coin that a failed exchange holds, units.
    settled
        Exchanges whose accounts have been settled.
    moved
        Whether anything happened in this round that another round could answer.
    """

    system: System
    settings: Settings
    journal: Journal
    flows: Flows | None
    round: int
    books: Books
    # accounts
    balance: Floats
    quantity: Floats
    entry: Floats
    coin_quantity: Floats
    status: NDArray[np.uint8]
    to_book: Flags
    claim: Floats
    equity: Floats
    margin: Floats
    maintenance: Floats
    gross: Floats
    watch: Ints
    stop_rows: Ints
    taken: Floats
    # coins
    coin_price: Floats
    redemption_value: Floats
    supply: Floats
    redemption_open: Flags
    desk_capacity: Floats
    # exchanges
    fund: Floats
    house: Floats
    estate: Floats
    transfers_open: Flags
    arbitrage_open: Flags
    outage: Flags
    # nodes
    cash: Floats
    purse: Floats
    holding: Floats
    backing: Floats
    node_equity: Floats
    initial_equity: Floats
    node_default: Ints
    named: Flags
    recovery: Floats
    written_off: Floats
    credit_recovery: Floats
    position_account: NDArray[np.int32] = field(repr=False)
    settled: Flags
    moved: bool = False
    ramps: list[Ramp] = field(default_factory=list)
    imposed: list[tuple[Ints, Floats]] = field(default_factory=list)
    entering: list[tuple[Ints, Floats]] = field(default_factory=list)
    came: list[tuple[Ints, Floats]] = field(default_factory=list)
    round_seconds: float = 0.0

    @property
    def exchange_default(self) -> Ints:
        """Round in which each exchange failed, -1 if it stands."""
        nodes = self.system.nodes
        return self.node_default[nodes.exchange0 : nodes.exchange0 + nodes.exchanges]

    @property
    def alive(self) -> Flags:
        """Exchanges that stand."""
        return self.exchange_default < 0

    def open_markets(self) -> Flags:
        """Markets on which an order fills in this round."""
        exchange = self.system.markets.exchange
        standing = (self.alive & ~self.outage)[exchange]
        books = self.books
        return standing & ~books.ordered_halt & (books.halted_until <= self.round)

    def rows_of(self, accounts: Ints) -> Ints:
        """Position rows of accounts, in their order."""
        return rows_between(self.system.accounts.start, accounts)

    def coin_rows_of(self, accounts: Ints) -> Ints:
        """Collateral rows of accounts, in their order."""
        return rows_between(self.system.accounts.coin_start, accounts)

    def flow(self, accounts: Ints, usd: Floats) -> None:
        """Log money that came to accounts (negative: left), for the audit."""
        if self.flows is not None:
            self.flows.to_accounts(accounts, usd)

    def node_flow(self, nodes: Ints, usd: Floats) -> None:
        """Log value that came to nodes outside their accounts, for the audit."""
        if self.flows is not None:
            self.flows.to_nodes(nodes, usd)

    def state_gain(self, usd: float) -> None:
        """Log what total equity gained without anybody paying it: revaluation at transfer, or the outside, for the audit."""
        if self.flows is not None:
            self.flows.stated += usd


def rows_between(start: Ints, items: Ints) -> Ints:
    """Concatenate the ranges start[i] to start[i + 1] of ``items``.

    Examples
    --------
    >>> rows_between(np.array([0, 2, 2, 5]), np.array([2, 0]))
    array([2, 3, 4, 0, 1])
    """
    first, length = start[items], start[items + 1] - start[items]
    total = int(length.sum())
    offset = np.repeat(first - (np.cumsum(length) - length), length)
    return np.asarray(offset + np.arange(total))


def places_between(start: Ints, items: Ints) -> Ints:
    """For each row of ``rows_between``, the place in ``items`` of the item it belongs to.

    Examples
    --------
    >>> places_between(np.array([0, 2, 2, 5]), np.array([2, 0]))
    array([0, 0, 0, 1, 1])
    """
    return np.repeat(np.arange(items.size), start[items + 1] - start[items])


def initial_state(system: System, settings: Settings, flows: Flows | None = None) -> State:
    """State before the first round: the network as it is, nothing yet valued."""
    nodes, coins, exchanges, markets, accounts, claims = (
        system.nodes,
        system.coins,
        system.exchanges,
        system.markets,
        system.accounts,
        system.claims,
    )
    count = markets.count
    price = markets.price.copy()
    quantum = system.quantum
    books = Books(
        price=price,
        fundamental=price.copy(),
        mark=price.copy(),
        previous_mark=price.copy(),
        index=price.copy(),
        quantity=system.residue.copy(),
        coins=np.zeros(count),
        cash=-snap(system.residue * price, quantum),
        desk_quantity=np.zeros(count),
        desk_cash=np.zeros(count),
        outside_quantity=np.zeros(count),
        depth_factor=np.ones(count),
        largest_move=np.zeros(count),
        band_base=price.copy(),
        halted_until=np.zeros(count, dtype=np.int64),
        ordered_halt=np.zeros(count, dtype=np.bool_),
    )
    size = accounts.count
    position_account = np.repeat(np.arange(size, dtype=np.int32), np.diff(accounts.start))
    purse = snap(nodes.top_up * np.maximum(nodes.cash, 0.0), quantum)
    return State(
        system=system,
        settings=settings,
        journal=Journal(),
        flows=flows,
        round=0,
        books=books,
        balance=accounts.balance.copy(),
        quantity=accounts.quantity.copy(),
        entry=accounts.entry.copy(),
        coin_quantity=accounts.coin_quantity.copy(),
        status=np.zeros(size, dtype=np.uint8),
        to_book=np.zeros(size, dtype=np.bool_),
        claim=np.zeros(size),
        equity=np.zeros(size),
        margin=np.zeros(size),
        maintenance=np.zeros(size),
        gross=np.zeros(size),
        watch=np.empty(0, dtype=np.int64),
        stop_rows=_rows_with_stops(system),
        taken=np.zeros(accounts.quantity.size if (exchanges.vault_account >= 0).any() else 0),
        coin_price=coins.price.copy(),
        redemption_value=np.where(np.isnan(coins.peg), np.nan, coins.peg),
        supply=coins.supply.copy(),
        redemption_open=coins.redemption_open.copy(),
        desk_capacity=group_sum(claims.arbitrage_coin, snap(claims.arbitrage_capacity, quantum), len(coins.names)),
        fund=exchanges.insurance_fund.copy(),
        house=exchanges.equity.copy(),
        estate=np.zeros((len(exchanges.names), len(coins.names))),
        transfers_open=exchanges.transfers_open.copy(),
        arbitrage_open=exchanges.arbitrage_open.copy(),
        outage=exchanges.outage.copy(),
        cash=nodes.cash.copy(),
        purse=purse,
        holding=claims.holding_quantity.copy(),
        backing=claims.backing_quantity.copy(),
        node_equity=np.zeros(nodes.count),
        initial_equity=np.zeros(nodes.count),
        node_default=np.full(nodes.count, -1, dtype=np.int64),
        named=np.zeros(nodes.count, dtype=np.bool_),
        recovery=np.ones(nodes.count),
        written_off=np.zeros(claims.amount.size),
        credit_recovery=np.ones(claims.amount.size),
        position_account=position_account,
        settled=np.zeros(nodes.exchanges, dtype=np.bool_),
    )


def fork(state: State, settings: Settings) -> State:
    """Another state at the same point before the first round, with a journal of its own; costs O(accounts + positions).

    What no round writes to is shared.
    """
    copied: dict[str, Any] = {
        item.name: value.copy() if isinstance(value := getattr(state, item.name), np.ndarray) else value
        for item in fields(State)
        if item.name not in _SHARED
    }
    copied["books"] = Books(**{item.name: getattr(state.books, item.name).copy() for item in fields(Books)})
    copied |= {"settings": settings, "journal": Journal(), "position_account": state.position_account}
    copied |= {name: [] for name in _LISTS}
    return State(**copied)


_LISTS: Final = ("ramps", "imposed", "entering", "came")
_SHARED: Final = frozenset({"position_account", "books", "settings", "journal", *_LISTS})


def _rows_with_stops(system: System) -> Ints:
    """Position rows with a stop price or a take-profit."""
    accounts = system.accounts
    has = np.zeros(accounts.quantity.size, dtype=np.bool_)
    for column in (accounts.stop, accounts.take):
        if column.size:
            has |= ~np.isnan(column)
    return np.flatnonzero(has)

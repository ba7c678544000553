"""Features of a network that decide what may be claimed of it, each as a sentence if it is there.

All speak of what *can* happen in some run whose prices stay in a box: a mechanism that is on paper but cannot start is no feature.
Cost O(rows of the network).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum
from contagion.kernels.corner import corner_health, corner_worth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from contagion.arrays import Flags, Floats, Ints
    from contagion.system import System

SLACK = 1e-9
"""Relative distance from breach below which rounding may decide."""
NAMED = 3
"""Names that a sentence lists."""


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are.

    Examples
    --------
    >>> some(["A", "B", "C", "D", "E"])
    'A, B, C and 2 more'
    """
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def exchanges_named(system: System, where: Flags) -> str:
    """Names of some exchanges."""
    return some([system.exchanges.names[x] for x in np.flatnonzero(where)])


def owners_named(system: System, accounts: Ints) -> str:
    """Names of the owners of some accounts."""
    owners = np.unique(system.accounts.owner[accounts])
    return some([system.nodes.name(int(node)) for node in owners[: NAMED + 1]] + [""] * max(owners.size - NAMED - 1, 0))


class Liable:
    """Accounts that may be closed while marks stay in a box.

    Parameters
    ----------
    system
        The network.
    low, high
        Ends of marks by market, USD; coins count for nothing.

    Attributes
    ----------
    accounts
        Those that may breach.
    position
        Account of each position row.
    """

    def __init__(self, system: System, low: Floats, high: Floats) -> None:
        self.system = system
        accounts, markets = system.accounts, system.markets
        self.position = np.repeat(np.arange(accounts.count), np.diff(accounts.start))
        self.low, self.high = low, high
        held = np.zeros(accounts.count, dtype=np.bool_)
        held[self.position[accounts.quantity != 0.0]] = True
        exposed = np.flatnonzero(held | (accounts.balance < 0))
        jumps = ~system.exchanges.marginal[markets.exchange] & (np.diff(markets.tier_start) > 1)
        health, size = corner_health(exposed, accounts, markets, low, high, np.zeros(markets.count), jumps)
        self.accounts = exposed[health <= SLACK * size + system.quantum]

    @property
    def flags(self) -> Flags:
        """Whether each account may breach."""
        found = np.zeros(self.system.accounts.count, dtype=np.bool_)
        found[self.accounts] = True
        return found

    def at(self, where: Flags) -> Ints:
        """Those at some exchanges."""
        return np.asarray(self.accounts[where[self.system.accounts.exchange[self.accounts]]])

    def short(self) -> Ints:
        """Those with a short position or a debt in a coin."""
        accounts = self.system.accounts
        short = np.zeros(accounts.count, dtype=np.bool_)
        short[self.position[accounts.quantity < 0]] = True
        return np.asarray(self.accounts[short[self.accounts]])

    def with_coins(self) -> Ints:
        """Those with coins that they may have to sell against a debt."""
        accounts = self.system.accounts
        owner = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
        coins = np.zeros(accounts.count, dtype=np.bool_)
        coins[owner[accounts.coin_quantity > 0]] = True
        return np.asarray(self.accounts[coins[self.accounts]])

    def shortfall(self) -> Floats:
        """Most that they may leave unpaid, USD by exchange."""
        system = self.system
        none = np.zeros(system.markets.count)
        fee = system.exchanges.liquidation_fee[system.markets.exchange]
        cash, _, size = corner_worth(self.accounts, system.accounts, self.low, self.high, none, fee)
        missing = np.maximum(SLACK * size - cash, 0.0)
        return group_sum(system.accounts.exchange[self.accounts], missing, system.nodes.exchanges)


def partial_liquidation(liable: Liable) -> Iterator[str]:
    """Exchanges that close accounts in parts."""
    system = liable.system
    part = np.array([rule != "full" for rule in system.exchanges.liquidation], dtype=np.bool_)
    where = _there(liable, part)
    if where.any():
        yield f"partial liquidation at {exchanges_named(system, where)}"


def backstops(liable: Liable) -> Iterator[str]:
    """Vaults that take accounts over."""
    exchanges = liable.system.exchanges
    where = _there(liable, (exchanges.vault_account >= 0) & ~np.isnan(exchanges.backstop))
    if where.any():
        yield f"a vault takes accounts over at {exchanges_named(liable.system, where)}"


def loss_rules(liable: Liable) -> Iterator[str]:
    """Loss rules that may reach winners, and houses that may fail."""
    system = liable.system
    exchanges = system.exchanges
    missing = liable.shortfall()
    rules = np.array([rule != "none" for rule in exchanges.loss_rule], dtype=np.bool_)
    taking = rules & (missing > exchanges.insurance_fund)
    if taking.any():
        yield f"losses may exceed the insurance fund and fall on winners (auto-deleveraging) at {exchanges_named(system, taking)}"
    failing = missing > exchanges.insurance_fund + exchanges.equity
    if failing.any():
        yield f"losses may exceed fund and house, so that an exchange fails: {exchanges_named(system, failing)}"


def top_ups(liable: Liable) -> Iterator[str]:
    """Owners that answer margin calls."""
    system = liable.system
    purse = (system.nodes.top_up > 0) & (system.nodes.cash > 0)
    found = liable.accounts[purse[system.accounts.owner[liable.accounts]]]
    if found.size:
        yield f"owners send cash to margin calls: {owners_named(system, found)}"


def coin_sales(liable: Liable) -> Iterator[str]:
    """Accounts that sell coins against what they owe."""
    found = liable.with_coins()
    if found.size:
        yield f"coins posted as margin may be sold against debts: {owners_named(liable.system, found)}"


def voluntary_stops(system: System) -> Iterator[str]:
    """Positions that their owners close at a price of their own."""
    accounts = system.accounts
    if accounts.stop.size or accounts.take.size:
        yield "positions have stop prices or take-profits"


def credit(system: System) -> Iterator[str]:
    """Claims between nodes, and nodes that may default on other debts."""
    nodes, accounts = system.nodes, system.accounts
    if system.claims.amount.size:
        yield "nodes owe each other credit"
    indebted = (nodes.external_debt > 0) | (nodes.cash < 0)
    indebted[nodes.stable0 : nodes.exchange0] = True  # issuers owe what they have issued
    owning = np.zeros(nodes.count, dtype=np.bool_)
    owning[accounts.owner[np.diff(accounts.start) > 0]] = True
    found = np.flatnonzero(indebted & owning)
    if found.size:
        yield f"nodes with debts or an issue may default, which closes their accounts: {some([nodes.name(int(n)) for n in found])}"


def leverage_rules(system: System) -> Iterator[str]:
    """Nodes that sell down when their leverage is above a limit."""
    found = np.flatnonzero(np.isfinite(system.nodes.leverage_limit))
    if found.size:
        yield f"nodes sell down to a leverage target: {some([system.nodes.name(int(node)) for node in found])}"


def arbitrageurs(system: System) -> Iterator[str]:
    """Coins whose books arbitrageurs tie."""
    claims, markets = system.claims, system.markets
    capacity = group_sum(claims.arbitrage_coin, claims.arbitrage_capacity, len(system.coins.names))
    books = np.bincount(markets.coin, minlength=capacity.size)
    found = np.flatnonzero((capacity > 0) & (books > 1))
    if found.size:
        yield f"arbitrage between the books of {some([system.coins.names[c] for c in found])}"


def redemptions(system: System, opened: Iterable[int] = ()) -> Iterator[str]:
    """Coins that arbitrageurs may buy and redeem; ``opened`` are those that a shock opens."""
    coins, claims, markets = system.coins, system.claims, system.markets
    count = len(coins.names)
    capacity = group_sum(claims.arbitrage_coin, claims.arbitrage_capacity, count)
    spot = np.bincount(markets.coin[~markets.perp], minlength=count) > 0
    door = coins.redemption_open.copy()
    door[list(opened)] = True
    found = np.flatnonzero(door & (coins.redemption_capacity > 0) & (capacity > 0) & (coins.supply > 0) & spot)
    if found.size:
        yield f"redemption of {some([coins.names[c] for c in found])}"


def makers(system: System) -> Iterator[str]:
    """Books that are quoted by traders who may default."""
    claims = system.claims
    found = np.unique(claims.maker[claims.maker_share > 0])
    if found.size:
        yield f"books thin out when their makers default: {some([system.nodes.name(int(node)) for node in found[: NAMED + 1]])}"


def _there(liable: Liable, where: Flags) -> Flags:
    """Those of some exchanges that have an account which may be closed."""
    there = np.zeros(where.size, dtype=np.bool_)
    there[liable.system.accounts.exchange[liable.accounts]] = True
    return where & there

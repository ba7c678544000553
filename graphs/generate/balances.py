"""What nodes own and owe beside their accounts: coins, loans, reserves of issuers, and the cash that keeps all of them solvent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphs.generate.books import NOTIONAL, Books
from graphs.generate.plan import Names, Plan, chance, coded, sums, table

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from graphs.generate.positions import Deposits, Positions

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

SURPLUS = 0.02
"""What an issuer owns beyond its supply at the peg, over the supply."""
DESIGNS = ("delta_neutral", "overcollateralised", "fiat", "algorithmic")
RESERVES = {"overcollateralised": 1.3, "algorithmic": 0.5}
"""Backing in the first asset, over the least supply at the peg."""


@dataclass(frozen=True, slots=True)
class Loans:
    """Rows of the credit table, by code of a node."""

    debtor: Ints
    creditor: Ints
    seniority: Ints
    amount: Floats


@dataclass(frozen=True, slots=True)
class Holdings:
    """Rows of the holding table."""

    owner: Ints
    coin: Ints
    quantity: Floats


def draw_loans(plan: Plan) -> Loans:
    """Draw loans between nodes that can own something; the first exchange and every issuer owe one trader and are owed by another."""
    rng = plan.stream("loans")
    nodes = plan.owners + plan.exchanges
    count = (8 + plan.ordinary // 3) * plan.full
    ends = np.where(chance(rng, 0.85, (2, count)), rng.integers(plan.ordinary, size=(2, count)), rng.integers(nodes, size=(2, count)))
    public = np.arange(plan.traders, plan.owners + 1) if plan.full else np.empty(0, dtype=np.int64)
    lenders, borrowers = rng.integers(plan.ordinary, size=(2, len(public)))
    debtor, creditor = np.concatenate([public, borrowers, ends[0]]), np.concatenate([lenders, public, ends[1]])
    seniority = rng.integers(1, 4, size=len(debtor))
    amount = NOTIONAL * rng.lognormal(-1.5, 1.0, len(debtor))
    first = np.unique((debtor * nodes + creditor) * 4 + seniority, return_index=True)[1]
    first = first[debtor[first] != creditor[first]]
    return Loans(debtor[first], creditor[first], seniority[first], amount[first])


def draw_holdings(plan: Plan, books: Books) -> Holdings:
    """Draw the coins that traders keep off exchange."""
    rng = plan.stream("holdings")
    owner = np.flatnonzero(chance(rng, 0.3, plan.ordinary) & plan.full)
    coin = rng.integers(plan.coins, size=len(owner))
    units = NOTIONAL * rng.lognormal(-1.0, 1.0, len(owner)) / books.price[coin]
    return Holdings(owner, coin, np.maximum(books.whole(coin, units), books.lot[coin]))


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that has been drawn, and what it comes to by node."""

    plan: Plan
    books: Books
    positions: Positions
    deposits: Deposits
    holdings: Holdings
    loans: Loans

    def accounts(self) -> Floats:
        """Equity of all accounts of each owner."""
        positions, owners = self.positions, self.plan.owners
        own = np.where(positions.isolated, positions.margin(self.books), 0.0) + positions.profit(self.books)
        return sums(positions.owner, own, owners) + sums(self.deposits.owner, self.deposits.value(self.books), owners)

    def owed(self) -> Floats:
        """Debt of each node to others of the network."""
        return sums(self.loans.debtor, self.loans.amount, self.plan.owners + self.plan.exchanges)

    def claims(self) -> Floats:
        """What others of the network owe each node."""
        return sums(self.loans.creditor, self.loans.amount, self.plan.owners + self.plan.exchanges)

    def held(self) -> Floats:
        """Value of what each trader keeps off exchange."""
        return sums(self.holdings.owner, self.holdings.quantity * self.books.price[self.holdings.coin], self.plan.traders)

    def exposed(self) -> Floats:
        """Value of all that each trader has at risk, long or short."""
        traders, deposits = self.plan.traders, self.deposits
        positions = sums(self.positions.owner, self.positions.notional(self.books), self.plan.owners)[:traders]
        in_coins = np.where(deposits.coin < self.plan.coins, deposits.value(self.books), 0.0)
        return positions + sums(deposits.owner, in_coins, self.plan.owners)[:traders] + self.held() + self.claims()[:traders]

    def open_interest(self) -> Floats:
        """Notional of all positions on each exchange, both sides."""
        return sums(self.positions.exchange, self.positions.notional(self.books), self.plan.exchanges)


def trader_columns(sheet: Sheet) -> dict[str, Floats]:
    """Cash, debts, purses and leverage rules, such that every trader is solvent and below its limit.

    Who owes has little more than that: 5 to 50 % of its debts.
    """
    plan = sheet.plan
    rng = plan.stream("cash")
    traders, n = plan.traders, plan.ordinary
    cash = np.where(chance(rng, 0.7, traders), NOTIONAL * rng.lognormal(-1.0, 1.0, traders), 0.0)
    if not plan.full:
        return {"cash": cash}
    own = sheet.accounts()[:traders] + sheet.held()
    external = np.zeros(traders)
    external[:n] = np.where(chance(rng, 0.15, n), own[:n] * rng.uniform(0.2, 0.8, n), 0.0)
    owed = external + sheet.owed()[:traders]
    own += sheet.claims()[:traders]
    cash = np.where(owed > 0, np.maximum(owed * (1 + rng.uniform(0.05, 0.5, traders)) - own, 0.0), cash)

    leverage = sheet.exposed() / np.maximum(own + cash - owed, 1.0)
    limited = chance(rng, 0.15, traders) & (np.arange(traders) < n)
    limit = np.where(limited, np.maximum(leverage, 0.5) * rng.uniform(1.1, 1.6, traders), np.nan)
    target = np.where(chance(rng, 0.5, traders), limit * rng.uniform(0.6, 1.0, traders), np.nan)
    purse = np.where(chance(rng, 0.3, traders), rng.uniform(0.1, 1.0, traders), 0.0)
    return {"cash": cash, "external_debt": external, "top_up": purse, "leverage_limit": limit, "leverage_target": target}


def issuer_tables(sheet: Sheet, names: Names) -> dict[str, pa.Table]:
    """Write stablecoins and their backing: whatever is issued is backed with a surplus, in coins and the rest in USD."""
    plan, books, positions, deposits, holdings = sheet.plan, sheet.books, sheet.positions, sheet.deposits, sheet.holdings
    rng = plan.stream("issuers")
    accounts, owed = sheet.accounts(), sheet.owed()
    units = sums(deposits.coin, deposits.quantity, plan.coins + 1)[: plan.coins] + sums(holdings.coin, holdings.quantity, plan.coins)
    lent = sums(positions.coin, np.where(books.perp[positions.exchange, positions.coin], 0.0, np.abs(positions.quantity)), plan.coins)
    hedged = -sums(positions.owner, np.where(positions.coin == 0, positions.quantity, 0.0), plan.owners)
    custodians = np.flatnonzero(books.spot[:, 0])
    supply = np.zeros(plan.stablecoins)
    backing: list[tuple[int, int, float, int]] = []
    for number in reversed(range(plan.stablecoins)):  # each may back the one after it, so what is needed of it is known last
        coin, issuer, design = plan.assets + number, plan.traders + number, DESIGNS[number % len(DESIGNS)]
        peg = books.price[coin]
        least = 1.2 * (units[coin] + lent[coin]) * peg + 20 * NOTIONAL
        wanted = {0: hedged[issuer] if design == "delta_neutral" else RESERVES.get(design, 0.0) * least / books.price[0]}
        if design == "overcollateralised":
            wanted[coin - 1] = 0.1 * least / books.price[coin - 1]
        rows = [(asset, float(books.whole(np.array(asset), np.array(size)))) for asset, size in wanted.items() if size > 0]
        stored = sum(size * books.price[asset] for asset, size in rows) + accounts[issuer]
        supply[number] = np.ceil(max(least, stored / (1 + SURPLUS)) / peg / books.lot[coin]) * books.lot[coin]
        for asset, size in rows:
            units[asset] += size
            custodian = rng.choice(custodians) if asset == 0 and chance(rng, 0.7, 1)[0] else -1
            backing.append((number, asset, size, custodian))
        backing.append((number, plan.coins, supply[number] * peg * (1 + SURPLUS) + 1.2 * owed[issuer] - stored, -1))
    issuers, coins, quantity, custody = (np.array(column) for column in zip(*reversed(backing), strict=True))
    pegs = books.price[plan.assets :]
    return {
        "stablecoin": table(
            {
                "id": names.coin[plan.assets : plan.coins],
                "price": pegs,
                "volatility": rng.uniform(0.001, 0.01, plan.stablecoins),
                "peg": pegs,
                "supply": supply,
                "design": [DESIGNS[number % len(DESIGNS)] for number in range(plan.stablecoins)],
                "redemption_fee": rng.choice([0.0, 0.001, 0.01], plan.stablecoins),
                "redemption_capacity": supply * pegs * rng.uniform(0.02, 0.3, plan.stablecoins),
                "redemption_open": chance(rng, 0.85, plan.stablecoins),
            }
        ),
        "backing": table(
            {
                "stablecoin": coded(plan.assets + issuers, names.coin),
                "asset": coded(coins, names.coin),
                "quantity": quantity,
                "custodian": coded(custody, names.exchange),
            }
        ),
    }


def loan_table(names: Names, loans: Loans) -> pa.Table:
    """Write the credit table."""
    return table(
        {
            "debtor": coded(loans.debtor, names.node),
            "creditor": coded(loans.creditor, names.node),
            "amount": loans.amount,
            "seniority": loans.seniority,
        }
    )


def holding_table(names: Names, holdings: Holdings) -> pa.Table:
    """Write the holding table."""
    return table({"owner": coded(holdings.owner, names.owner), "asset": coded(holdings.coin, names.coin), "quantity": holdings.quantity})

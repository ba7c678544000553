"""Accounts of a network and what they are worth, in plain loops: the definitions, for tests to compare arrays with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphs.schema import TABLES, USD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphs.network import Network


def rows(net: Network, kind: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Cells of some columns, row by row, defaults filled in."""
    known = TABLES[kind].by_name
    read = [net.strings(kind, name) if known[name].dtype == "string" else net.numbers(kind, name) for name in columns.split()]
    return zip(*(cells.tolist() for cells in read), strict=True)


@dataclass
class Account:
    """All of one owner on one exchange, or one isolated position; ``usd`` is what was paid in, before any position was paid for."""

    owner: str
    exchange: str
    usd: float = 0.0
    positions: list[tuple[str, float, float]] = field(default_factory=list)  # coin, quantity, entry price
    coins: list[tuple[str, float]] = field(default_factory=list)


class Ledger:
    """The accounts of a network, valued at its own prices times a factor by coin, each exchange by its own books."""

    def __init__(self, net: Network, factors: Mapping[str, float] | None = None) -> None:
        self.factors = factors or {}
        self.forms = dict(zip(net.node_ids("exchange"), net.strings("exchange", "tier_form"), strict=True))
        self.books: dict[tuple[str, str, str], tuple[float, float]] = {
            (exchange, coin, instrument): (price, cut)
            for exchange, coin, instrument, price, cut in rows(net, "market", "exchange asset instrument price collateral_haircut")
        }
        self.brackets: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for exchange, coin, floor, rate in rows(net, "margin_tier", "exchange asset floor maintenance_rate"):
            self.brackets.setdefault((exchange, coin), []).append((floor, rate))
        self.accounts: dict[tuple[str, str, str], Account] = {}
        columns = "owner asset exchange mode isolated_margin quantity entry_price"
        for owner, coin, exchange, mode, margin, quantity, entry in rows(net, "margin", columns):
            account = self._account(owner, exchange, coin if mode == "isolated" else "")
            account.usd += margin
            account.positions.append((coin, quantity, entry))
        for owner, coin, exchange, quantity in rows(net, "collateral", "owner asset exchange quantity"):
            account = self._account(owner, exchange, "")
            if coin == USD:
                account.usd += quantity
            else:
                account.coins.append((coin, quantity))

    def _account(self, owner: str, exchange: str, isolated: str) -> Account:
        return self.accounts.setdefault((owner, exchange, isolated), Account(owner, exchange))

    def price(self, exchange: str, coin: str, first: str, second: str) -> float:
        """Price of the coin's first book there, or of its second where it has no first."""
        price, _ = self.books.get((exchange, coin, first)) or self.books[exchange, coin, second]
        return price * self.factors.get(coin, 1.0)

    def mark(self, exchange: str, coin: str) -> float:
        return self.price(exchange, coin, "perp", "spot")

    def notional(self, account: Account) -> float:
        return sum(abs(quantity) * self.mark(account.exchange, coin) for coin, quantity, _ in account.positions)

    def equity(self, account: Account, *, haircuts: bool = False) -> float:
        """What the account is worth; with haircuts, its margin balance."""
        worth = account.usd + sum(quantity * (self.mark(account.exchange, coin) - entry) for coin, quantity, entry in account.positions)
        for coin, quantity in account.coins:
            cuts = [self.books[key][1] for key in self.books if key[:2] == (account.exchange, coin)]
            worth += quantity * self.price(account.exchange, coin, "spot", "perp") * (1 - haircuts * cuts[0])
        return worth

    def maintenance(self, account: Account) -> float:
        """Sum of |q|M·rate_n − deduction_n; deduction_n = floor_n (rate_n − rate_{n−1}) + deduction_{n−1}, or 0 in the flat form."""
        total = 0.0
        for coin, quantity, _ in account.positions:
            notional = abs(quantity) * self.mark(account.exchange, coin)
            rate = deduction = 0.0
            for floor, next_rate in sorted(self.brackets.get((account.exchange, coin), [])):
                if notional >= floor:
                    deduction += floor * (next_rate - rate) if self.forms[account.exchange] == "marginal" else 0.0
                    rate = next_rate
            total += notional * rate - deduction
        return total

    def slack(self, account: Account) -> float:
        """Margin balance beyond maintenance margin: none left is a breach."""
        return self.equity(account, haircuts=True) - self.maintenance(account)

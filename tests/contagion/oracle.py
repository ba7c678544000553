# ruff: noqa: ANN401 - a cell of a table is of any type, a market is a tuple of names
"""The model in plain loops and dictionaries: the oracle of the engine.

It follows model text, not the engine's code, keeps floats without any grid, and imports nothing of the engine. Left out, and
to be taken out of a network before comparing: vaults, arbitrage and redemption, leverage rules, clocks, stages after the first,
and default costs. :func:`without` takes them out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from graphs.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contagion.scenario import Shock
    from graphs.network import Network

K = -math.log(0.99)
TINY = 1e-6
"""USD below which an equity is no default."""
DUST = 1e-9
"""Units below which a position is none."""


def without(net: Network) -> Network:
    """The network without what the oracle leaves out; slices end at a dollar, since the oracle has no lots at which they would."""
    exchange, trader = net.frame("exchange"), net.frame("trader")
    exchange["vault"], exchange["backstop"], exchange["vault_unwind"] = None, math.nan, 0.0
    exchange["slice_above"] = exchange["slice_above"].clip(lower=1.0)
    trader["leverage_limit"], trader["leverage_target"] = math.nan, math.nan
    return net.with_tables(exchange=exchange, trader=trader, arbitrage=None)


@dataclass
class Account:
    """``positions`` and ``start`` are [quantity, entry] and quantity by market; markets are (exchange, coin, instrument)."""

    owner: str
    exchange: str
    b: float = 0.0
    positions: dict[Any, list[float]] = field(default_factory=dict)
    start: dict[Any, float] = field(default_factory=dict)
    order: dict[Any, float] = field(default_factory=dict)
    levels: dict[Any, tuple[float, float]] = field(default_factory=dict)
    coins: dict[Any, float] = field(default_factory=dict)
    status: str = "open"
    to_book: bool = False
    equity: float = 0.0
    margin: float = 0.0
    need: float = 0.0
    gross: float = 0.0
    claim: float = 0.0

    def flat(self) -> bool:
        return all(q == 0 for q, _ in self.positions.values())


def given(value: Any) -> bool:
    """Whether a cell is filled."""
    return value is not None and not (isinstance(value, float) and math.isnan(value)) and value != "" and value is not pd.NA


class Oracle:
    """A run: :meth:`go` takes rounds until nothing moves."""

    def __init__(self, net: Network, shocks: Iterable[Shock], *, impact: str = "exponential", withdrawal: float = 0.0) -> None:
        rows = {kind: net.frame(kind).to_dict("records") if net.count(kind) else [] for kind in TABLES}
        self.shocks, self.impact, self.withdrawal = list(shocks), impact, withdrawal
        self.rule = {row["id"]: row for row in rows["exchange"]}
        self.stable = {row["id"]: row for row in rows["stablecoin"]}
        self.coin_price = {row["id"]: row["price"] for row in rows["asset"] + rows["stablecoin"]}
        self.start_price = dict(self.coin_price)
        self.book = {(m["exchange"], m["asset"], m["instrument"]): m for m in rows["market"]}
        self.price = {key: m["price"] for key, m in self.book.items()}
        self.depth = {key: m["depth"] / m["price"] for key, m in self.book.items()}
        self.factor, self.moved_most = dict.fromkeys(self.book, 1.0), dict.fromkeys(self.book, 0.0)
        self.base, self.halted = dict(self.price), dict.fromkeys(self.book, 0)
        self.stock, self.till = dict.fromkeys(self.book, 0.0), dict.fromkeys(self.book, 0.0)  # of the book: units, USD
        self.contracts = dict.fromkeys(self.book, 0.0)
        self.tiers: dict[Any, list[Any]] = {}
        for row in sorted(rows["margin_tier"], key=lambda row: row["floor"]):
            self.tiers.setdefault(self.trade(row["exchange"], row["asset"]), []).append(row)
        self.cash = {row["id"]: row.get("cash", 0.0) for kind in ("trader", "asset", "stablecoin", "exchange") for row in rows[kind]}
        self.outside = {row["id"]: row["external_debt"] for row in rows["trader"]}
        self.purse = {row["id"]: row["top_up"] * max(row["cash"], 0.0) for row in rows["trader"]}
        self.holding = [(row["owner"], row["asset"], row["quantity"]) for row in rows["holding"]]
        self.backing = [(row["stablecoin"], row["asset"], row["quantity"]) for row in rows["backing"]]
        self.credit = [(row["debtor"], row["creditor"], row["amount"], int(row["seniority"])) for row in rows["credit"]]
        self.makers = [(row["trader"], (row["exchange"], row["asset"], row["instrument"]), row["share"]) for row in rows["liquidity"]]
        self.fund = {x: row["insurance_fund"] for x, row in self.rule.items()}
        self.house = {x: row["equity"] for x, row in self.rule.items()}
        self.estate: dict[Any, float] = {}
        self.accounts = self.read_accounts(rows)
        self.mark, self.index, self.before, self.value = {}, {}, {}, {}
        self.failed: dict[str, int] = {}
        self.named: set[str] = set()
        self.settled: set[str] = set()
        self.watch: list[Account] = []
        self.liquidated: set[tuple[str, str]] = set()
        self.round, self.stirred = 0, True

    def trade(self, x: str, coin: str) -> Any:
        """Where a position trades: the perpetual, else spot."""
        return next((x, coin, kind) for kind in ("perp", "spot") if (x, coin, kind) in self.book)

    def sell(self, x: str, coin: str) -> Any:
        """Where a coin is sold: spot, else the perpetual."""
        return next((x, coin, kind) for kind in ("spot", "perp") if (x, coin, kind) in self.book)

    def read_accounts(self, rows: dict[str, list[Any]]) -> list[Account]:
        found: dict[Any, Account] = {}
        for row in rows["collateral"]:
            account = found.setdefault((row["owner"], row["exchange"], ""), Account(row["owner"], row["exchange"]))
            if row["asset"] == "USD":
                account.b += row["quantity"]
            else:
                account.coins[self.sell(row["exchange"], row["asset"])] = row["quantity"]
        for row in rows["margin"]:
            alone = row["mode"] == "isolated"
            key = (row["owner"], row["exchange"], row["asset"] if alone else "")
            account = found.setdefault(key, Account(row["owner"], row["exchange"]))
            market, q = self.trade(row["exchange"], row["asset"]), row["quantity"]
            account.b += (row["isolated_margin"] if alone else 0.0) - q * row["entry_price"]
            account.positions[market], account.start[market] = [q, row["entry_price"]], q
            account.order[market] = row["order"] if given(row["order"]) and row["order"] >= 0 else math.inf
            account.levels[market] = tuple(row[name] if given(row[name]) else math.nan for name in ("stop_price", "take_profit"))
        return [found[key] for key in sorted(found)]

    # 1. prices

    def sources(self, coin: str, kind: str) -> list[tuple[float, float]]:
        return [
            (self.price[key], m["index_weight"])
            for key, m in self.book.items()
            if key[1] == coin and key[2] == kind and m["index_weight"] > 0 and key[0] not in self.failed
        ]

    @staticmethod
    def averaged(parts: list[tuple[float, float]], outlier: float) -> float | None:
        if not parts:
            return None
        middle = median(price for price, _ in parts)
        off = [part for part in parts if abs(part[0] - middle) > outlier * middle]
        if len(off) > 1:
            return middle
        kept = [part for part in parts if part not in off]
        return sum(p * w for p, w in kept) / sum(w for _, w in kept)

    @staticmethod
    def halfway(parts: list[tuple[float, float]]) -> float | None:
        if not parts:
            return None
        half = sum(w for _, w in parts) / 2
        run, low = 0.0, None
        for price, weight in sorted(parts):
            run += weight
            if low is None and run >= half:
                low = price
            if run > half:
                return (low + price) / 2
        return low

    def oracle(self, rule: str, coin: str, kinds: tuple[str, str], outlier: float) -> float | None:
        if rule == "internal":
            return None
        for kind in kinds:
            parts = self.sources(coin, kind)
            price = self.averaged(parts, outlier) if rule == "index" else self.halfway(parts)
            if price is not None:
                return price
        return None

    def set_prices(self) -> None:
        for coin in self.coin_price:
            found = self.oracle("index", coin, ("spot", "perp"), 0.05)
            self.coin_price[coin] = self.coin_price[coin] if found is None else found
        self.before = dict(self.mark)
        for key in self.book:
            x, coin, _ = key
            rule = self.rule[x]
            if rule["outage"] and key in self.mark:
                continue
            mark = self.oracle(rule["mark_oracle"], coin, ("perp", "spot"), rule["outlier"])
            index = self.oracle(rule["collateral_oracle"], coin, ("spot", "perp"), rule["outlier"])
            self.mark[key] = self.price[self.trade(x, coin)] if mark is None else mark
            index = self.price[self.sell(x, coin)] if index is None else index
            if coin in self.stable:
                weight = rule["redemption_weight"]
                index = (1 - weight) * index + weight * self.value.get(coin, self.stable[coin]["peg"])
            self.index[key] = index

    # 2. values

    def bracket(self, market: Any, notional: float) -> Any:
        return next((row for row in reversed(self.tiers.get(market, [])) if notional >= row["floor"]), None)

    def maintenance(self, market: Any, notional: float) -> float:
        rows = self.tiers.get(market, [])
        if not rows:
            return 0.0
        if self.rule[market[0]]["tier_form"] == "flat":
            return notional * self.bracket(market, notional)["maintenance_rate"]
        ends = [row["floor"] for row in rows[1:]] + [math.inf]
        return sum(row["maintenance_rate"] * max(min(notional, end) - row["floor"], 0.0) for row, end in zip(rows, ends, strict=True))

    def equity_of(self, account: Account) -> float:
        positions = sum(q * self.mark[m] for m, (q, _) in account.positions.items())
        return account.b + positions + sum(q * self.index[m] for m, q in account.coins.items())

    def revalue(self) -> None:
        for account in self.accounts:
            account.equity = self.equity_of(account)
            account.margin = account.equity - sum(q * self.index[m] * self.book[m]["collateral_haircut"] for m, q in account.coins.items())
            sizes = {m: abs(q) * self.mark[m] for m, (q, _) in account.positions.items() if q}
            account.need, account.gross = sum(self.maintenance(m, size) for m, size in sizes.items()), sum(sizes.values())

    def covered(self) -> dict[str, float]:
        """What stands behind each stablecoin."""
        behind = {coin: self.cash[coin] for coin in self.stable}
        for coin, asset, q in self.backing:
            behind[coin] += q * (1.0 if asset == "USD" else self.coin_price[asset])
        for account in self.accounts:
            if account.owner in behind:
                behind[account.owner] += max(account.equity, 0.0)
        return behind

    def set_values(self) -> None:
        for coin, usd in self.covered().items():
            row = self.stable[coin]
            self.value[coin] = min(row["peg"], max(usd, 0.0) / row["supply"]) if row["supply"] else row["peg"]

    def own_equity(self) -> dict[str, float]:
        own = {name: usd - self.outside.get(name, 0.0) for name, usd in self.cash.items()} | self.house
        for x in self.rule:
            own[x] += self.fund[x] + sum(q * self.coin_price[coin] for (where, coin), q in self.estate.items() if where == x)
        for account in self.accounts:
            if account.owner not in self.stable:
                own[account.owner] += max(account.equity, 0.0)
        for owner, coin, q in self.holding:
            own[owner] += q * self.coin_price[coin]
        for coin, usd in self.covered().items():
            own[coin] = usd - self.stable[coin]["supply"] * self.promised[coin]
        for maker, key, share in self.makers:
            held = self.contracts[key] * (self.mark[key] if key[2] == "perp" else self.coin_price[key[1]])
            own[maker] += share * (self.till[key] + held + self.stock[key] * self.coin_price[key[1]])
        return own

    # 3. credit

    def clear(self) -> None:
        own = self.own_equity()
        debts = [*self.credit, *((a.exchange, a.owner, a.claim, 1) for a in self.accounts if a.claim > 0)]
        classes: dict[str, dict[int, float]] = {}
        for name, usd in self.outside.items():
            classes.setdefault(name, {}).setdefault(1, 0.0)
            classes[name][1] += usd
        for debtor, _, usd, rank in debts:
            classes.setdefault(debtor, {}).setdefault(rank, 0.0)
            classes[debtor][rank] += usd
        worth = {(debtor, rank): 1.0 for debtor, _, _, rank in debts}
        for _ in range(100_000):
            income = dict.fromkeys(own, 0.0)
            for debtor, creditor, usd, rank in debts:
                income[creditor] += usd * worth[debtor, rank]
            change = 0.0
            for (debtor, rank), worth_before in worth.items():
                there = own[debtor] + self.outside.get(debtor, 0.0) + income[debtor]
                left = there - sum(usd for r, usd in classes[debtor].items() if r < rank)
                solvent = there >= sum(classes[debtor].values()) - TINY
                now = 1.0 if solvent else min(max(left, 0.0) / classes[debtor][rank], 1.0)
                now = 0.0 if debtor in self.named else now
                change = max(change, worth_before - now)
                worth[debtor, rank] = now
            if change < 1e-15:
                break
        owed = {name: sum(part.values()) - self.outside.get(name, 0.0) for name, part in classes.items()}
        self.node_equity = {name: usd + income[name] - owed.get(name, 0.0) for name, usd in own.items()}
        self.worth = worth

    # the loop

    def go(self, rounds: int = 500) -> Oracle:
        from tests.contagion.oracle_rounds import take_round

        self.set_prices()
        self.revalue()
        self.set_values()
        self.promised = dict(self.value)
        self.set_prices()
        self.revalue()
        self.clear()
        self.before = dict(self.mark)
        while self.round < rounds:
            self.stirred = False
            if self.round == 0:
                shock(self)
            take_round(self)
            self.round += 1
            if not self.stirred and not any(until > self.round - 1 for until in self.halted.values()):
                break
        self.set_prices()
        self.revalue()
        self.clear()
        return self


def shock(run: Oracle) -> None:
    """Step 0."""
    run.stirred = True
    names = set(run.rule)
    for item in run.shocks:
        for key in run.book:
            here = item.target in (key[1], key[0], "*") and item.exchange in ("", key[0])
            if item.kind == "price" and key[1] == item.target and item.exchange in ("", key[0]):
                run.price[key] *= 1 + item.value
            if item.kind == "depeg" and key[1] == item.target and item.exchange in ("", key[0]):
                run.price[key] = item.value * (run.stable[key[1]]["peg"] if key[1] in run.stable else run.book[key]["price"])
            if item.kind == "depth" and here:
                run.factor[key] = item.value
        if item.kind in {"price", "depeg"} and not item.exchange and not any(key[1] == item.target for key in run.book):
            run.coin_price[item.target] *= 1 + item.value if item.kind == "price" else item.value
        if item.kind == "default":
            run.failed[item.target] = 0
            run.named.add(item.target)
        if item.kind == "loss":
            (run.house if item.target in names else run.cash)[item.target] -= item.value

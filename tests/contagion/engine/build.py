"""Small networks for the tests of the engine, and a run that answers by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from contagion.engine import Outcome, prepare, simulate
from contagion.scenario import Scenario
from contagion.settings import Settings
from contagion.state import Status
from graphs.network import Network
from graphs.schema import USD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from contagion.journal import Flow
    from contagion.state import State

FORCED_OR_ADL = ("liquidation", "default_close")
"""Flows whose accounts the oracle lists as liquidated."""

DEEP = 1e11
"""Depth, USD, of a book that the orders of a test do not move by anything that could be seen."""


def frame(columns: str, *rows: tuple[Any, ...]) -> pd.DataFrame:
    """A table from the names of its columns and its rows."""
    return pd.DataFrame(list(rows), columns=columns.split())


def venue(
    accounts: Mapping[str, tuple[float, float, float]],
    *,
    price: float = 100.0,
    depth: float = DEEP,
    brackets: Iterable[tuple[float, float, float]] = ((0.0, 0.005, 100.0),),
    tables: Mapping[str, pd.DataFrame] | None = None,
    **rules: object,
) -> Network:
    """One exchange ``X`` with one perpetual on ``C``: quantity, entry price and USD of each account.

    A trader ``Rest`` with any amount of money takes the other side; the house is rich unless ``equity`` says otherwise.
    """
    rules = {"id": "X", "equity": 1e6, "loss_rule": "none"} | rules
    rest = -sum(quantity for quantity, _, _ in accounts.values())
    everybody = dict(accounts) | {"Rest": (rest, price, 1e6)}
    given = dict(tables or {})
    base = {
        "trader": frame("id", *((name,) for name in everybody)),
        "asset": frame("id price", ("C", price)),
        "exchange": pd.DataFrame([rules]),
        "market": frame("exchange asset instrument price depth", ("X", "C", "perp", price, depth)),
        "margin_tier": frame("exchange asset floor maintenance_rate max_leverage", *(("X", "C", *row) for row in brackets)),
        "margin": frame(
            "owner asset exchange quantity entry_price", *((name, "C", "X", q, entry) for name, (q, entry, _) in everybody.items() if q)
        ),
        "collateral": frame("owner asset exchange quantity", *((name, USD, "X", usd) for name, (_, _, usd) in everybody.items())),
    }
    for kind in [kind for kind in given if kind.startswith("more_")]:
        table = kind.removeprefix("more_")
        base[table] = pd.concat([base[table], given.pop(kind)], ignore_index=True)
    return Network.from_frames(name="small", **{kind: table for kind, table in {**base, **given}.items() if len(table)})


def isolated(net: Network, owner: str, quantity: float, entry: float, margin: float) -> Network:
    """The network with an isolated position more; ``Rest`` takes the other side."""
    more = frame("owner asset exchange quantity entry_price mode isolated_margin", (owner, "C", "X", quantity, entry, "isolated", margin))
    rows = pd.concat([net.frame("margin")[["owner", "asset", "exchange", "quantity", "entry_price", "mode"]], more], ignore_index=True)
    rows.loc[rows["owner"] == "Rest", "quantity"] -= quantity
    return net.with_tables(margin=rows)


def scenario(*shocks: str) -> Scenario:
    """One stage with these shocks."""
    return Scenario.from_shocks(shocks)


def stages(*parts: Iterable[str], rounds: Iterable[int | None] = ()) -> Scenario:
    """One stage for each list of shocks, each at its round or when the one before has settled."""
    when = [*rounds] or [None] * len(parts)
    return Scenario.model_validate({"stages": [{"shocks": list(part), "round": r} for part, r in zip(parts, when, strict=True)]})


@dataclass(frozen=True)
class Run:
    """An outcome asked by name."""

    outcome: Outcome

    @property
    def state(self) -> State:
        return self.outcome.state

    def node(self, name: str) -> int:
        found = self.state.system.node(name)
        assert found >= 0, name
        return found

    def exchange(self, name: str) -> int:
        return self.node(name) - self.state.system.nodes.exchange0

    def coin(self, name: str) -> int:
        return self.node(name) - self.state.system.nodes.coin0

    def market(self, coin: str = "C", exchange: str = "X", instrument: str = "perp") -> int:
        names = [self.state.system.market_name(place) for place in range(self.state.system.markets.count)]
        return names.index((exchange, coin, instrument))

    def price(self, coin: str = "C", exchange: str = "X", instrument: str = "perp") -> float:
        return float(self.state.books.price[self.market(coin, exchange, instrument)])

    def account(self, owner: str, exchange: str = "X", *, isolated: bool = False) -> int:
        accounts = self.state.system.accounts
        rows = (accounts.owner == self.node(owner)) & (accounts.exchange == self.exchange(exchange)) & (accounts.isolated == isolated)
        (found,) = np.flatnonzero(rows)
        return int(found)

    def quantity(self, owner: str, coin: str = "C", exchange: str = "X", *, isolated: bool = False) -> float:
        account = np.array([self.account(owner, exchange, isolated=isolated)])
        rows = self.state.rows_of(account)
        accounts, markets = self.state.system.accounts, self.state.system.markets
        return float(self.state.quantity[rows[markets.coin[accounts.market[rows]] == self.coin(coin)]].sum())

    def coins(self, owner: str, coin: str, exchange: str = "X") -> float:
        rows = self.state.coin_rows_of(np.array([self.account(owner, exchange)]))
        accounts, markets = self.state.system.accounts, self.state.system.markets
        return float(self.state.coin_quantity[rows[markets.coin[accounts.coin_market[rows]] == self.coin(coin)]].sum())

    def balance(self, owner: str, exchange: str = "X", *, isolated: bool = False) -> float:
        return float(self.state.balance[self.account(owner, exchange, isolated=isolated)])

    def equity(self, owner: str, exchange: str = "X", *, isolated: bool = False) -> float:
        return float(self.state.equity[self.account(owner, exchange, isolated=isolated)])

    def status(self, owner: str, exchange: str = "X", *, isolated: bool = False) -> Status:
        return Status(int(self.state.status[self.account(owner, exchange, isolated=isolated)]))

    def fund(self, exchange: str = "X") -> float:
        return float(self.state.fund[self.exchange(exchange)])

    def house(self, exchange: str = "X") -> float:
        return float(self.state.house[self.exchange(exchange)])

    def total(self, name: str, exchange: str = "X") -> float:
        """Sum of an amount of the journal over the run."""
        return float(self.state.journal.total(name, self.state.system.nodes.exchanges)[self.exchange(exchange)])

    def units(self, kind: Flow, coin: str = "C", exchange: str = "X", instrument: str = "perp") -> float:
        """Units of a kind of flow over the run."""
        place = self.market(coin, exchange, instrument)
        return float(self.state.journal.total_units(kind, self.state.system.markets.count)[place])

    def when(self, kind: Flow) -> list[int]:
        """Rounds in which a kind of flow moved anything."""
        return [when for when, units in self.state.journal.units[kind] if units.any()]

    def hit(self, kind: Flow) -> set[str]:
        """Owners of the accounts that a kind of flow hit."""
        accounts = self.state.system.accounts
        found = [who for _, who, _ in self.state.journal.accounts[kind]]
        return {self.state.system.nodes.name(accounts.owner[account]) for who in found for account in who}

    def defaulted(self) -> set[str]:
        return {self.state.system.nodes.name(node) for node in np.flatnonzero(self.state.node_default >= 0)}

    def node_equity(self, name: str) -> float:
        return float(self.state.node_equity[self.node(name)])


def run(net: Network, what: Scenario | Iterable[str] = (), *, audit: bool = True, **settings: object) -> Run:
    """Run, with the audit on."""
    if not isinstance(what, Scenario):
        shocks = [*what]
        what = Scenario.from_shocks(shocks) if shocks else Scenario()
    return Run(simulate(prepare(net, what), settings=Settings(**{"max_rounds": 500} | settings), audit=audit))


def mixed_shocks(net: Network, seed: int, *, extra: bool = True) -> list[str]:
    """Shocks of random size on the first nodes of a random network."""
    rng = np.random.default_rng(seed)
    assets, exchanges, coins = (net.node_ids(kind) for kind in ("asset", "exchange", "stablecoin"))
    shocks = [f"{assets[0]}=-{rng.integers(5, 40)}%", f"{assets[1 % len(assets)]}={rng.integers(-30, 40)}%"][: len(assets)]
    if not extra:
        return shocks
    shocks.append(f"depth:{exchanges[0]}=0.2")
    if seed % 3 == 0 and len(coins):
        shocks.append(f"depeg:{coins[0]}=0.8")
    if seed % 5 == 0:
        shocks.append(f"default:{exchanges[-1]}")
    if seed % 4 == 0:
        shocks.append(f"loss:{net.node_ids('trader')[3]}=100000")
    return shocks

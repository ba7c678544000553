"""Accounts with their positions and coins, from tables to arrays.

An account is (owner, exchange), plus one more for each isolated position. The vault of an exchange gets an empty row for
every market and coin there beforehand, because everything of the exchange may end with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap, step_for
from contagion.system import Accounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.arrays import Floats, Ints
    from contagion.compile.names import Names
    from contagion.system import Coins, Markets
    from graphs.network import Network

VALUE_HEADROOM = 7
"""Doublings of an account's value that sums stay exact for."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of positions or coins: keys of their accounts, markets and columns."""

    key: Ints
    market: Ints
    columns: dict[str, Floats]

    def joined(self, key: Ints, market: Ints, columns: dict[str, Floats]) -> _Rows:
        """These rows and some more."""
        both = {name: np.concatenate([values, columns[name]]) for name, values in self.columns.items()}
        return _Rows(np.concatenate([self.key, key]), np.concatenate([self.market, market]), both)

    def sorted(self) -> _Rows:
        """The same rows by account, then market."""
        order = np.lexsort((self.market, self.key))
        return _Rows(self.key[order], self.market[order], {name: values[order] for name, values in self.columns.items()})


@dataclass(frozen=True, slots=True)
class CompiledAccounts:
    """Accounts before they are put on the ledger.

    Attributes
    ----------
    accounts
        Balances are still the USD deposited, ``grid`` still the gross value of each account.
    vaults
        Account of each exchange's vault, -1 without one.
    residue
        Units by market that rounding to lots left over.
    """

    accounts: Accounts
    vaults: Ints
    residue: Floats

    def on_ledger(self, quantum: float) -> Accounts:
        """Round balances to the ledger: b = cash - Σ q·entry, each product rounded by itself as a trade would be."""
        accounts = self.accounts
        owner = np.repeat(np.arange(accounts.count), np.diff(accounts.start))
        opened = group_sum(owner, snap(accounts.quantity * accounts.entry, quantum), accounts.count)
        gross = accounts.grid
        grid = np.minimum(step_for(gross, VALUE_HEADROOM), quantum)
        grid[gross == 0] = quantum
        grid[self.vaults[self.vaults >= 0]] = quantum
        return replace(accounts, balance=snap(accounts.balance, quantum) - opened, grid=grid)


def compile_accounts(net: Network, names: Names, markets: Markets, coins: Coins) -> CompiledAccounts:
    """Index accounts, positions and coins."""
    exchanges, coin_count = len(names.exchange), len(names.coin)
    vault = np.full(exchanges, -1, dtype=np.int64)
    vault[net.codes("exchange", "id", names.exchange)] = net.codes("exchange", "vault", names.trader)

    def key(owner: Ints, exchange: Ints, isolated: Ints | int = 0) -> Ints:
        """Key of an account: owner, exchange, and 1 + coin of an isolated position (0: cross)."""
        return np.asarray((owner * exchanges + exchange) * (coin_count + 1) + isolated)

    vaulted = np.flatnonzero(vault >= 0)
    vault_keys = key(vault[vaulted], vaulted)
    positions, isolated_margin = _positions(net, names, markets, coins, key)
    deposits, cash_key, cash_usd = _deposits(net, names, markets, coins, key)
    keys = np.unique(np.concatenate([positions.key, deposits.key, cash_key, vault_keys]))
    cash = group_sum(np.searchsorted(keys, cash_key), cash_usd, keys.size)
    cash += group_sum(np.searchsorted(keys, positions.key), isolated_margin, keys.size)
    for account, exchange in zip(vault_keys, vaulted, strict=True):
        positions = _with_vault(positions, account, markets.trade[exchange], markets)
        deposits = _with_vault(deposits, account, markets.sell[exchange], markets)
    positions, deposits = positions.sorted(), deposits.sorted()
    account_of, coin_account = np.searchsorted(keys, positions.key), np.searchsorted(keys, deposits.key)
    quantity, entry, stored = positions.columns["quantity"], positions.columns["entry_price"], deposits.columns["quantity"]
    booked = np.abs(quantity) * np.maximum(markets.price[positions.market], entry)
    gross = group_sum(account_of, booked, keys.size) + group_sum(coin_account, stored * markets.price[deposits.market], keys.size)
    split, every = keys // (coin_count + 1), np.arange(keys.size + 1)
    accounts = Accounts(
        owner=(split // exchanges).astype(np.int32),
        exchange=(split % exchanges).astype(np.int32),
        isolated=keys % (coin_count + 1) > 0,
        balance=cash,
        grid=gross + np.abs(cash),
        start=np.searchsorted(account_of, every),
        market=positions.market.astype(np.int32),
        quantity=quantity,
        entry=entry,
        stop=_unless_empty(positions.columns["stop_price"]),
        take=_unless_empty(positions.columns["take_profit"]),
        order=_unless_empty(positions.columns["order"]),
        coin_start=np.searchsorted(coin_account, every),
        coin_market=deposits.market.astype(np.int32),
        coin_quantity=stored,
    )
    vaults = np.full(exchanges, -1, dtype=np.int64)
    vaults[vaulted] = np.searchsorted(keys, vault_keys)
    residue = -group_sum(positions.market, quantity, markets.count) * markets.perp
    return CompiledAccounts(accounts, vaults, residue)


def _positions(net: Network, names: Names, markets: Markets, coins: Coins, key: Callable[..., Ints]) -> tuple[_Rows, Floats]:
    """Rows of the margin table on lots, and the margin of those that are isolated."""
    owner = net.codes("margin", "owner", names.node)
    coin, exchange = net.codes("margin", "asset", names.coin), net.codes("margin", "exchange", names.exchange)
    isolated = net.codes("margin", "mode", ["isolated"]) == 0
    columns = {name: net.numbers("margin", name) for name in ("quantity", "entry_price", "stop_price", "take_profit")}
    columns["quantity"] = snap(columns["quantity"], coins.lot[coin])
    place = net.numbers("margin", "order").astype(np.float64)
    columns["order"] = np.where(place < 0, np.nan, place)
    rows = _Rows(key(owner, exchange, np.where(isolated, coin + 1, 0)), markets.trade[exchange, coin], columns)
    return rows, net.numbers("margin", "isolated_margin")


def _deposits(net: Network, names: Names, markets: Markets, coins: Coins, key: Callable[..., Ints]) -> tuple[_Rows, Ints, Floats]:
    """Rows of coins in the collateral table on lots; then keys and USD of those that are cash."""
    owner = net.codes("collateral", "owner", names.node)
    coin, exchange = net.codes("collateral", "asset", names.coin), net.codes("collateral", "exchange", names.exchange)
    quantity, keys = net.numbers("collateral", "quantity"), key(owner, exchange)
    real = coin >= 0
    coin, exchange = coin[real], exchange[real]
    rows = _Rows(keys[real], markets.sell[exchange, coin], {"quantity": snap(quantity[real], coins.lot[coin])})
    return rows, keys[~real], quantity[~real]


def _with_vault(rows: _Rows, account: int, every: Ints, markets: Markets) -> _Rows:
    """Rows with an empty one for each market of the exchange that the vault does not have yet."""
    missing = np.setdiff1d(every[every >= 0], rows.market[rows.key == account])
    blank = {name: np.full(missing.size, np.nan) for name in rows.columns}
    blank["quantity"] = np.zeros(missing.size)
    if "entry_price" in blank:
        blank["entry_price"] = markets.price[missing]
    return rows.joined(np.full(missing.size, account), missing, blank)


def _unless_empty(column: Floats) -> Floats:
    return np.empty(0) if np.isnan(column).all() else column

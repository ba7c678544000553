"""Restoration: bringing a stricter rule into force without liquidating anybody by it.

A policy holds from before the shock. An account is restored if the new rules leave it short of initial margin *and* make
its margin balance over initial margin smaller than the old rules did: who was short already, and is no worse off, stays
as it is. ``margin`` adds the missing cash. ``scale`` trades positions away at the mark, all of an account in one
proportion and as little as is enough; the other side of each perpetual market is cut by the same quantity, pro rata, so
that open interest stays balanced to the last lot (hedges of an issuer are cut like any other position). A trade of dq at
mark M changes the cash behind an account by dq·(entry − M), so its equity stays what it was, and the entry price too.
Where no cut can be enough, as the margin balance is not above zero, the missing cash is added and reported.

Sign: quantities are positive long. Quantities of a market that is touched lie on a lot of 2⁻⁵⁰ of its open interest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contagion.errors import PolicyError
from contagion.grid import sorted_sum, step_for
from contagion.initial_margin import Groups, Names, Quotes, quotes_of
from contagion.rows import with_column, with_rows
from graphs.checks.markets import BALANCED
from graphs.schema import USD

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from graphs.network import Network

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

Restore = Literal["scale", "margin"]

TOLERANCE = 1e-9
"""An account is short if it lacks more than this share of its notional and balance: less is rounding."""

_HEADROOM = 3
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class ExchangeAdjustment:
    """What the restoration did at one exchange, USD at the mark."""

    exchange: str
    accounts: int
    positions_cut_usd: float
    counterparties_cut_usd: float
    margin_added_usd: float


@dataclass(frozen=True, slots=True)
class AdjustmentReport:
    """What it took to bring a policy into force.

    Attributes
    ----------
    restore
        How accounts were restored.
    exchanges
        What was done where, in the order of the network's exchanges.
    """

    restore: Restore
    exchanges: tuple[ExchangeAdjustment, ...] = ()

    @classmethod
    def nothing(cls, net: Network, how: Restore) -> AdjustmentReport:
        """Report on a network in which nobody had to be restored."""
        return cls(how, tuple(ExchangeAdjustment(name, 0, 0.0, 0.0, 0.0) for name in net.node_ids("exchange")))

    @property
    def accounts(self) -> int:
        """Accounts that were restored."""
        return sum(row.accounts for row in self.exchanges)

    @property
    def positions_cut_usd(self) -> float:
        """USD of positions that restored accounts gave up."""
        return math.fsum(row.positions_cut_usd for row in self.exchanges)

    @property
    def counterparties_cut_usd(self) -> float:
        """USD of positions that the other side gave up so that open interest balances."""
        return math.fsum(row.counterparties_cut_usd for row in self.exchanges)

    @property
    def margin_added_usd(self) -> float:
        """USD of cash that was added from outside."""
        return math.fsum(row.margin_added_usd for row in self.exchanges)

    def frame(self) -> pd.DataFrame:
        """One row an exchange."""
        import pandas as pd

        columns = ("exchange", "accounts", "positions_cut_usd", "counterparties_cut_usd", "margin_added_usd")
        return pd.DataFrame([[getattr(row, column) for column in columns] for row in self.exchanges], columns=list(columns))


@dataclass(slots=True)
class _Ledger:
    """Positions and coins of a network by account, as arrays in the order of the tables' rows."""

    names: Names
    exchange: Ints  # by account
    isolated: Flags  # by account
    account: Ints  # by position, as the four below
    cell: Ints
    quantity: Floats
    entry: Floats
    margin: Floats
    coin_account: Ints
    coin_cell: Ints  # -1: USD
    coin_quantity: Floats
    rows: Groups = field(init=False)
    coin_rows: Groups = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Groups.of(self.account, len(self.exchange))
        self.coin_rows = Groups.of(self.coin_account, len(self.exchange))

    def notional(self, quotes: Quotes, quantity: Floats) -> Floats:
        return np.abs(quantity) * quotes.mark.ravel()[self.cell]

    def equity(self, quotes: Quotes) -> Floats:
        """Cash and unrealised profit by account, coins left out."""
        cash = np.where(self.coin_cell < 0, self.coin_quantity, 0.0)
        profit = self.quantity * (quotes.mark.ravel()[self.cell] - self.entry)
        return self.rows.sum(self.margin) + self.rows.sum(profit) + self.coin_rows.sum(cash)

    def balance(self, quotes: Quotes) -> Floats:
        """Margin balance by account."""
        coins = self.coin_cell >= 0
        cell = np.where(coins, self.coin_cell, 0)
        worth = quotes.index.ravel()[cell] * (1 - quotes.haircut.ravel()[cell]) if coins.any() else np.zeros(len(cell))
        return self.equity(quotes) + self.coin_rows.sum(np.where(coins, self.coin_quantity * worth, 0.0))

    def initial(self, quotes: Quotes, quantity: Floats) -> Floats:
        """Initial margin by account."""
        return self.rows.sum(quotes.brackets.initial(self.cell, self.notional(quotes, quantity)))


def restore(before: Network, after: Network, *, how: Restore) -> tuple[Network, AdjustmentReport]:
    """Bring every account that a change of rules leaves short back to its initial margin.

    Parameters
    ----------
    before, after
        The network under the old rules and under the new ones; positions and collateral are the same in both.
    how
        ``scale`` cuts positions, ``margin`` adds cash.

    Raises
    ------
    PolicyError
        If open interest does not balance, or one side of a market is too small to be cut.
    """
    if not after.count("margin") or not after.count("exchange"):
        return after, AdjustmentReport.nothing(after, how)
    names = Names.of(after)
    old, new = quotes_of(before, names), quotes_of(after, names)
    ledger = _ledger(after, names)
    balance = ledger.balance(new)
    size = ledger.rows.sum(ledger.notional(new, ledger.quantity)) + np.abs(balance)
    slack = balance - ledger.initial(new, ledger.quantity)
    worse = slack < ledger.balance(old) - ledger.initial(old, ledger.quantity) - TOLERANCE * size
    flagged = worse & (slack < -TOLERANCE * size)
    if not flagged.any():
        return after, AdjustmentReport.nothing(after, how)
    quantity, own = ledger.quantity.copy(), np.zeros(len(ledger.quantity))
    if how == "scale":
        quantity, own = _scaled(after, ledger, new, flagged & (balance > 0), balance)
    lacking = ledger.initial(new, quantity) - balance
    added = np.where(flagged & (lacking > TOLERANCE * size), lacking, 0.0)
    cut = np.abs(ledger.quantity) - np.abs(quantity)
    return _written(after, ledger, new, quantity, added), AdjustmentReport(
        how, _report(ledger, new, flagged, own=own, cut=cut, added=added)
    )


def _ledger(net: Network, names: Names) -> _Ledger:
    coins, exchanges = len(names.coins), len(names.exchanges)
    owners = pa.chunked_array([_plain(net.column(kind, "id")) for kind in ("trader", "stablecoin") if net.count(kind)], type=pa.string())

    def cells(kind: str) -> tuple[Ints, Ints, Ints]:
        """Account key of the cross account, exchange and coin (-1: USD) of each row."""
        exchange, coin = net.codes(kind, "exchange", names.exchanges), net.codes(kind, "asset", names.coins)
        return (net.codes(kind, "owner", owners) * exchanges + exchange) * (coins + 1), exchange, coin

    key, exchange, coin = cells("margin")
    is_isolated = net.strings("margin", "mode") == "isolated"
    key = key + np.where(is_isolated, coin + 1, 0)  # the account of an isolated position is named by its coin
    none = np.empty(0, dtype=np.int64)
    has_coins = net.count("collateral") > 0
    coin_key, coin_exchange, coin_coin = cells("collateral") if has_coins else (none, none, none)
    keys, account = np.unique(np.concatenate([key, coin_key]), return_inverse=True)
    return _Ledger(
        names,
        keys // (coins + 1) % exchanges,
        keys % (coins + 1) > 0,
        account[: len(key)],
        exchange * coins + coin,
        net.numbers("margin", "quantity"),
        net.numbers("margin", "entry_price"),
        np.where(is_isolated, net.numbers("margin", "isolated_margin"), 0.0),
        account[len(key) :],
        np.where(coin_coin < 0, -1, coin_exchange * coins + coin_coin),
        net.numbers("collateral", "quantity") if has_coins else np.empty(0),
    )


def _plain(column: pa.ChunkedArray) -> pa.Array:
    return pc.cast(column, pa.string()).combine_chunks()


def _scaled(net: Network, ledger: _Ledger, quotes: Quotes, short: Flags, balance: Floats) -> tuple[Floats, Floats]:
    """Quantities after the cuts, and by how many units short accounts cut their own positions."""
    quantity, lot = ledger.quantity.copy(), np.ones(len(ledger.quantity))
    rows = np.flatnonzero(short[ledger.account])
    books = Groups.of(ledger.cell, quotes.mark.size)
    touched = {int(cell): books.order[books.start[cell] : books.start[cell + 1]] for cell in np.unique(ledger.cell[rows])}
    perp = quotes.perp.ravel()
    for cell, here in touched.items():
        lot[here] = step_for(sorted_sum(np.abs(quantity[here])), _HEADROOM)
        quantity[here] = np.trunc(quantity[here] / lot[here]) * lot[here]  # towards zero: nobody needs more margin for it
        if perp[cell] and abs(quantity[here].sum()) > BALANCED * np.abs(quantity[here]).sum() + len(here) * lot[here[0]]:
            raise PolicyError(f"{_market(ledger, cell)}: long and short positions do not balance; run the checks of the network first")
    share = _share(ledger, quotes, quantity, short, balance)
    kept = np.trunc(quantity[rows] * share[ledger.account[rows]] / lot[rows]) * lot[rows]
    own = np.zeros(len(quantity))
    own[rows] = np.abs(ledger.quantity[rows]) - np.abs(kept)
    quantity[rows] = kept
    # a bankrupt isolated position has no margin left from which a part of its loss could be paid
    fixed = (ledger.isolated & (ledger.equity(quotes) < 0))[ledger.account]
    for cell, here in touched.items():
        if perp[cell]:
            _rebalance(net, ledger, quantity, lot=float(lot[here[0]]), here=here, fixed=fixed)
    return quantity, own


def _market(ledger: _Ledger, cell: int) -> str:
    exchange, coin = divmod(cell, len(ledger.names.coins))
    return f"table market, perp of {ledger.names.coins[coin]} at {ledger.names.exchanges[exchange]}"


def _share(ledger: _Ledger, quotes: Quotes, quantity: Floats, short: Flags, balance: Floats) -> Floats:
    """Largest share of its positions that each short account can keep, by account."""
    share = np.ones(len(short))
    initial = ledger.initial(quotes, quantity)
    # a smaller position never has less leverage to use (the checks see to it), so this much is always enough
    share[short] = balance[short] / initial[short]
    initial = ledger.initial(quotes, quantity * share[ledger.account])
    jumped = np.flatnonzero(short & (initial < balance * (1 - TOLERANCE)))  # into a bracket of more leverage: room for more
    rows = np.flatnonzero(np.isin(ledger.account, jumped))
    place = np.searchsorted(jumped, ledger.account[rows])
    groups, cell, notional = Groups.of(place, len(jumped)), ledger.cell[rows], ledger.notional(quotes, quantity)[rows]
    low, high = share[jumped], np.ones(len(jumped))
    for _ in range(_HALVINGS if jumped.size else 0):
        middle = (low + high) / 2
        enough = groups.sum(quotes.brackets.initial(cell, notional * middle[place])) <= balance[jumped]
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    share[jumped] = low
    return share


def _rebalance(net: Network, ledger: _Ledger, quantity: Floats, *, lot: float, here: Ints, fixed: Flags) -> None:
    """Cut the larger side of a market, in place, pro rata in whole lots, until both are equal."""
    lots = quantity[here] / lot
    excess = float(lots.sum())  # exact: whole lots
    pool = here[(lots * excess > 0) & ~fixed[here]]
    held = np.abs(quantity[pool]) / lot
    if abs(excess) > held.sum():
        market = _market(ledger, int(ledger.cell[here[0]]))
        raise PolicyError(
            f"{market}: one side is to be cut by {abs(excess) * lot:g} units more than it can give up; restore with margin instead"
        )
    if not excess:
        return
    cut = np.floor(held * (abs(excess) / held.sum()))
    # what the floors leave goes lot by lot to the largest positions, so that the order of rows does not matter
    while (left := abs(excess) - cut.sum()) != 0:
        room = held > cut if left > 0 else cut > 0
        order = np.flatnonzero(room)
        order = order[np.argsort(-held[order], kind="stable")]
        taken = _first(net, order, held[order], pool, int(min(abs(left), len(order))))
        cut[taken] += np.sign(left)
    quantity[pool] -= np.sign(excess) * cut * lot


def _first(net: Network, order: Ints, held: Floats, pool: Ints, count: int) -> Ints:
    """First ``count`` of positions in order of size; among equal ones by name."""
    edge = held[count - 1]
    sure, tied = order[held > edge], order[held == edge]
    if len(sure) + len(tied) > count:
        owners = net.column("margin", "owner").take(pa.array(pool[tied])).to_pylist()
        modes = net.column("margin", "mode").take(pa.array(pool[tied])).to_pylist()
        tied = tied[sorted(range(len(tied)), key=lambda place: (owners[place], modes[place] or ""))]
    return np.concatenate([sure, tied[: count - len(sure)]])


def _written(net: Network, ledger: _Ledger, quotes: Quotes, quantity: Floats, added: Floats) -> Network:
    """The network with new quantities and the cash that goes with them."""
    realised = (quantity - ledger.quantity) * (ledger.entry - quotes.mark.ravel()[ledger.cell])
    apart = ledger.isolated[ledger.account]
    # rounding alone could leave less than nothing
    margin = np.where(apart, np.maximum(ledger.margin + realised + added[ledger.account], 0.0), 0.0)
    cash = np.where(ledger.isolated, 0.0, ledger.rows.sum(realised) + added)
    tables = {"margin": with_column(net.tables["margin"], "quantity", pa.array(quantity))}
    if apart.any():
        tables["margin"] = with_column(tables["margin"], "isolated_margin", pa.array(margin))
    usd = np.flatnonzero(ledger.coin_cell < 0)
    coins = ledger.coin_quantity.copy()
    coins[usd] += cash[ledger.coin_account[usd]]
    cash[ledger.coin_account[usd]] = 0.0
    owes = np.flatnonzero(cash)
    if net.count("collateral"):
        tables["collateral"] = with_column(net.tables["collateral"], "quantity", pa.array(coins))
    if owes.size:
        # an account without coins has a position, whose owner is the account's
        owner = net.column("margin", "owner").take(pa.array(ledger.rows.order[ledger.rows.start[owes]])).cast(pa.string())
        exchange = pa.array([ledger.names.exchanges[code] for code in ledger.exchange[owes]], pa.string())
        new = {
            "owner": owner.combine_chunks(),
            "asset": pa.array([USD] * owes.size),
            "exchange": exchange,
            "quantity": pa.array(cash[owes]),
        }
        tables["collateral"] = with_rows(tables.get("collateral"), new)
    return net.with_tables(**tables)


def _report(ledger: _Ledger, quotes: Quotes, flagged: Flags, *, own: Floats, cut: Floats, added: Floats) -> tuple[ExchangeAdjustment, ...]:
    """What was done by exchange; ``own`` and ``cut`` in units by position, ``added`` in USD by account."""
    mark, where = quotes.mark.ravel()[ledger.cell], ledger.exchange[ledger.account]

    def total(values: Floats, at: Ints, code: int) -> float:
        return math.fsum(values[(at == code) & (values != 0)])

    return tuple(
        ExchangeAdjustment(
            name,
            int((flagged & (ledger.exchange == code)).sum()),
            total(own * mark, where, code),
            total((cut - own) * mark, where, code),
            total(added, ledger.exchange, code),
        )
        for code, name in enumerate(ledger.names.exchanges)
    )

"""Initial margin: which accounts could open today what they hold, at the network's own prices.

Per account, in USD: the margin balance is b + Σ q·M + Σ H·X·(1 − haircut), the initial margin Σ |q|·M over the largest
leverage of the notional's bracket, M the mark and X the collateral index. A position is marked on the perp book, on the
spot book where there is none; a coin on the spot book, on the perp book where there is none. Prices are those of the
tables, before any round; a redemption value in an index counts at the peg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import step_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphs.network import Network

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


_NOTHING = 1e-200
"""Terms far below this sum to zero: a grid for them would be finer than a float can be."""


@dataclass(frozen=True, slots=True)
class Brackets:
    """Largest initial leverage by notional; a *cell* is exchange × number of coins + coin.

    Attributes
    ----------
    start
        Brackets of a cell are rows start[cell] to start[cell + 1].
    floor, leverage
        USD notional from which a bracket holds, and its largest leverage.
    """

    start: Ints
    floor: Floats
    leverage: Floats

    def max_leverage(self, cell: Ints, notional: Floats) -> Floats:
        """Largest leverage of positions of these sizes; infinite where a cell has no bracket."""
        bound = np.full(len(cell), np.inf)
        alive = np.arange(len(cell))
        first, last = self.start[cell], self.start[cell + 1]
        while alive.size:  # once a bracket: markets have few, and most positions are in the first
            alive = alive[first[alive] < last[alive]]
            alive = alive[self.floor[first[alive]] <= notional[alive]]
            bound[alive] = self.leverage[first[alive]]
            first[alive] += 1
        return bound

    def initial(self, cell: Ints, notional: Floats) -> Floats:
        """Initial margin of positions of these sizes."""
        return notional / self.max_leverage(cell, notional)


@dataclass(frozen=True, slots=True)
class Quotes:
    """What an exchange goes by: mark, collateral index and haircut by exchange × coin, and the brackets."""

    mark: Floats
    index: Floats
    haircut: Floats
    perp: Flags
    brackets: Brackets


@dataclass(frozen=True, slots=True)
class Names:
    """Exchanges and coins in the order in which codes count them."""

    exchanges: list[str]
    coins: list[str]

    @classmethod
    def of(cls, net: Network) -> Names:
        """Names of a network."""
        return cls(net.node_ids("exchange"), net.node_ids("asset") + net.node_ids("stablecoin"))


def brackets_of(net: Network, names: Names) -> Brackets:
    """Brackets of a network, sorted by cell and floor."""
    cells = len(names.exchanges) * len(names.coins)
    if not net.count("margin_tier"):
        return Brackets(np.zeros(cells + 1, dtype=np.int64), np.empty(0), np.empty(0))
    cell = net.codes("margin_tier", "exchange", names.exchanges) * len(names.coins) + net.codes("margin_tier", "asset", names.coins)
    floor = net.numbers("margin_tier", "floor")
    order = np.lexsort((floor, cell))
    start = np.searchsorted(cell[order], np.arange(cells + 1))
    return Brackets(start, floor[order], net.numbers("margin_tier", "max_leverage")[order])


def quotes_of(net: Network, names: Names) -> Quotes:
    """Quotes of a network under its rules."""
    shape = (len(names.exchanges), len(names.coins))
    plain = np.concatenate([net.numbers("asset", "price") if net.count("asset") else np.empty(0), _stable(net, "price")])
    exchange, coin = net.codes("market", "exchange", names.exchanges), net.codes("market", "asset", names.coins)
    is_perp = net.strings("market", "instrument") == "perp"
    columns = {name: net.numbers("market", name) for name in ("price", "index_weight", "collateral_haircut")}

    def spread(first: Flags, column: str) -> Floats:
        """Column by exchange × coin; where a coin has two books, the one of ``first``."""
        table = np.full(shape, np.nan)
        for part in (~first, first):  # the second pass overwrites the first
            table[exchange[part], coin[part]] = columns[column][part]
        return table

    perp = np.zeros(shape, dtype=np.bool_)
    perp[exchange[is_perp], coin[is_perp]] = True
    haircut = spread(~is_perp, "collateral_haircut")
    peg = np.concatenate([np.full(shape[1] - net.count("stablecoin"), np.nan), _stable(net, "peg")])
    outlier, weight = net.numbers("exchange", "outlier"), net.numbers("exchange", "redemption_weight")
    prices = []
    for first, oracle in ((is_perp, "mark_oracle"), (~is_perp, "collateral_oracle")):
        source, share = spread(first, "price"), spread(first, "index_weight")
        table = np.where(np.isnan(source), plain, source)
        for row, form in enumerate(net.strings("exchange", oracle)):
            if form != "internal":
                common = _consensus(source, share, outlier[row], median=form == "median")
                mixed = np.where(np.isnan(peg), common, (1 - weight[row]) * common + weight[row] * peg)
                table[row] = np.where(np.isnan(mixed), table[row], mixed)
        prices.append(table)
    return Quotes(prices[0], prices[1], np.where(np.isnan(haircut), 1.0, haircut), perp, brackets_of(net, names))


def _stable(net: Network, column: str) -> Floats:
    return np.asarray(net.numbers("stablecoin", column), dtype=np.float64) if net.count("stablecoin") else np.empty(0)


def _consensus(source: Floats, share: Floats, outlier: float, *, median: bool) -> Floats:
    """Price of each coin over all exchanges: weighted mean or median, sources far off the median left out."""
    found = np.full(source.shape[1], np.nan)
    for coin in range(source.shape[1]):
        used = ~np.isnan(source[:, coin]) & (share[:, coin] > 0)
        if not used.any():
            continue
        middle = float(np.median(source[used, coin]))
        if median:
            found[coin] = middle
            continue
        if not np.isnan(outlier):
            used &= ~(np.abs(source[:, coin] / middle - 1) > outlier)
        if not used.any():
            found[coin] = middle
            continue
        # in the order of the values, so that the order of exchanges does not matter
        order = np.lexsort((share[used, coin], source[used, coin]))
        price, part = source[used, coin][order], share[used, coin][order]
        found[coin] = (price * part).sum() / part.sum()
    return found


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows in order of their account, so that sums over accounts need one pass.

    Attributes
    ----------
    order
        Rows sorted by account.
    start
        Rows of account i are order[start[i]] to order[start[i + 1]].
    """

    order: Ints
    start: Ints

    @classmethod
    def of(cls, account: Ints, count: int) -> Groups:
        """Group rows by account, accounts counted from 0."""
        order = np.argsort(account, kind="stable")
        return cls(order, np.searchsorted(account[order], np.arange(count + 1)))

    def sum(self, values: Floats) -> Floats:
        """Sum by account, the same bits in any order of the rows.

        Each account's terms are first put on a grid of its own, on which they add without rounding.
        """
        total = np.zeros(len(self.start) - 1)
        size = np.diff(self.start)
        full = size > 0
        if not full.any():
            return total
        values, heads = values[self.order], self.start[:-1][full]
        largest = np.maximum(np.maximum.reduceat(np.abs(values), heads), _NOTHING)
        step = step_for(largest * size[full], 1)
        total[full] = np.add.reduceat(np.rint(values / np.repeat(step, size[full])), heads) * step
        return total

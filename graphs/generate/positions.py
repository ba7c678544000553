"""Who holds which position, and the margin behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from graphs.generate.books import NOTIONAL, Books, pick
from graphs.generate.plan import CLOSEST, Names, Plan, chance, coded, sums, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

SLOTS = 4
"""Most positions of an ordinary trader."""
MODES = ("cross", "isolated")


@dataclass(frozen=True, slots=True)
class Positions:
    """Rows of the margin table. ``cushion`` is what the account has beyond maintenance, over notional; NaN is an empty cell."""

    owner: Ints
    exchange: Ints
    coin: Ints
    isolated: Bools
    quantity: Floats
    entry: Floats
    cushion: Floats
    stop: Floats
    target: Floats
    queue: Floats

    def notional(self, books: Books) -> Floats:
        """Size of each position in USD."""
        return np.abs(self.quantity) * books.price[self.coin]

    def profit(self, books: Books) -> Floats:
        """Unrealised profit of each position in USD."""
        return np.asarray(self.quantity * (books.price[self.coin] - self.entry))

    def needs(self, books: Books) -> Floats:
        """Margin that leaves each position its cushion."""
        notional = self.notional(books)
        return books.maintenance(self.exchange, self.coin, notional) + self.cushion * notional - self.profit(books)

    def margin(self, books: Books) -> Floats:
        """What is put behind each position that is isolated."""
        return np.asarray(np.maximum(self.needs(books), 0.0))


@dataclass(frozen=True, slots=True)
class Deposits:
    """Rows of the collateral table, one an account and coin; the code after the last coin is USD."""

    owner: Ints
    exchange: Ints
    coin: Ints
    quantity: Floats

    def value(self, books: Books) -> Floats:
        """Market value in USD."""
        return np.asarray(self.quantity * np.append(books.price, 1.0)[self.coin])


def draw_positions(plan: Plan, books: Books) -> Positions:
    """Draw the positions of ordinary traders, hedge the issuers that hedge, and let the makers take the other side."""
    placed = _ordinary(plan, books)
    if plan.stablecoins:
        placed = _joined(placed, _hedges(plan, books, placed))
    return _joined(placed, _other_side(plan, books, placed))


def neighbours(plan: Plan, rng: np.random.Generator) -> Ints:
    """Whose draws each ordinary trader uses: one in ten is its neighbour's double."""
    self = np.arange(plan.ordinary)
    return self - (chance(rng, 0.1, plan.ordinary) & plan.full & (self > 0))


def _ordinary(plan: Plan, books: Books) -> Positions:
    rng = plan.stream("positions")
    shape = (plan.ordinary, SLOTS)
    home = rng.integers(plan.exchanges, size=(plan.ordinary, 1))
    exchange = np.where(chance(rng, 0.15, shape), rng.integers(plan.exchanges, size=shape), home)
    coin = pick(books.perp + 0.25 * (books.spot & ~books.perp), exchange, rng.random(shape))
    perp = books.perp[exchange, coin]
    isolated = chance(rng, 0.2, shape) & perp
    sign = np.where((rng.random(shape) < np.where(perp, 0.6, 0.2)) | (plan.rules == "longs"), 1.0, -1.0)
    lots = np.maximum(np.rint(NOTIONAL * rng.lognormal(0.0, 1.2, shape) / (books.price * books.lot)[coin]), 1.0)
    price = books.price[coin]
    ways = (
        np.where(sign > 0, -1.0, 1.0) * rng.uniform(CLOSEST, 0.15, shape),
        np.where(sign > 0, 1.0, -1.0) * rng.uniform(CLOSEST, 0.15, shape),
    )
    stop, target = (price * (1 + np.where(chance(rng, 0.1, shape) & perp & plan.full, way, np.nan)) for way in ways)
    queue = np.where(chance(rng, 0.15, shape) & perp & plan.full, rng.integers(4, size=shape), np.nan)
    entry = price * (1 + rng.uniform(-0.08, 0.08, shape))
    cushion = CLOSEST + rng.exponential(0.1, shape)
    cushion = np.where(isolated, cushion, cushion[:, :1])  # positions of one account share what it has

    wanted = np.arange(SLOTS) < 1 + rng.binomial(SLOTS - 1, 0.25, (plan.ordinary, 1))
    source = neighbours(plan, plan.stream("doubles"))
    rows, slot = np.nonzero(wanted[source] & (coin >= 0)[source])
    drawn = source[rows], slot
    key = ((rows * plan.exchanges + exchange[drawn]) * plan.coins + coin[drawn]) * 2 + isolated[drawn]
    first = np.unique(key, return_index=True)[1]
    rows, drawn = rows[first], (source[rows[first]], slot[first])
    parts: tuple[NDArray[Any], ...] = (exchange, coin, isolated, sign * lots * books.lot[coin], entry, cushion, stop, target, queue)
    return Positions(rows, *(part[drawn] for part in parts))


def _hedges(plan: Plan, books: Books, placed: Positions) -> Positions:
    """The first stablecoin, and every fourth after it, is short the first asset on every exchange."""
    issuers = np.arange(0, plan.stablecoins, 4)
    exchange, issuer = (grid.ravel() for grid in np.meshgrid(np.arange(plan.exchanges), issuers, indexing="ij"))
    gross = sums(placed.exchange, np.abs(placed.quantity) * (placed.coin == 0), plan.exchanges)
    coin = np.zeros(len(exchange), dtype=np.int64)
    size = books.whole(coin, 0.2 * gross[exchange] + 0.1 * NOTIONAL / books.price[0])
    return _bare(books, plan.traders + issuer, exchange, coin, -size, cushion=0.4)


def _other_side(plan: Plan, books: Books, placed: Positions) -> Positions:
    market = placed.exchange * plan.coins + placed.coin
    net = sums(market, placed.quantity, plan.exchanges * plan.coins) * books.perp.ravel()
    market = np.flatnonzero(net)
    exchange, coin = market // plan.coins, market % plan.coins
    return _bare(books, plan.maker(exchange), exchange, coin, -net[market], cushion=10.0 if plan.rules == "longs" else 0.5)


def _bare(books: Books, owner: Ints, exchange: Ints, coin: Ints, quantity: Floats, *, cushion: float) -> Positions:
    """Cross positions without profit, stop or place in the queue."""
    empty = np.full(len(owner), np.nan)
    isolated = np.zeros(len(owner), dtype=np.bool_)
    return Positions(owner, exchange, coin, isolated, quantity, books.price[coin], np.full(len(owner), cushion), empty, empty, empty)


def _joined(one: Positions, two: Positions) -> Positions:
    return Positions(*(np.concatenate([getattr(one, name), getattr(two, name)]) for name in Positions.__slots__))


def draw_deposits(plan: Plan, books: Books, positions: Positions) -> Deposits:
    """Give each cross account the margin that it needs, in USD and some of it in coins; fund vaults; leave idle balances."""
    cross = ~positions.isolated
    account = positions.owner * plan.exchanges + positions.exchange
    keys, at = np.unique(account[cross], return_inverse=True)
    need = np.maximum(sums(at, positions.needs(books)[cross], len(keys)), 0.0)
    owner, exchange = keys // plan.exchanges, keys % plan.exchanges

    rng = plan.stream("deposits")
    which, share = rng.random((2, plan.owners))
    share = np.where(chance(rng, 0.5, plan.owners), 0.3 + 0.85 * share, 0.0)  # above one: the account owes USD against its coin
    share[plan.traders :] = 0.0  # no issuer posts what it has issued
    source = np.arange(plan.owners)
    source[: plan.ordinary] = neighbours(plan, plan.stream("doubles"))
    coin = pick((books.haircut < 1).astype(np.float64), exchange, which[source[owner]])
    counted = np.where(coin >= 0, books.price[coin] * (1 - books.haircut[exchange, coin]), np.inf)
    units = np.floor(share[source[owner]] * need / counted / books.lot[coin]) * books.lot[coin]
    in_coin = units > 0
    usd = need - units * np.where(in_coin, counted, 0.0)
    parts = [(owner, exchange, np.full(len(owner), plan.coins), usd), (owner[in_coin], exchange[in_coin], coin[in_coin], units[in_coin])]
    if plan.full:
        venues = np.arange(plan.exchanges)
        open_interest = sums(positions.exchange, positions.notional(books), plan.exchanges)
        parts.append(
            (
                plan.vault(venues),
                venues,
                np.full(plan.exchanges, plan.coins),
                open_interest * rng.uniform(0.02, 0.1, plan.exchanges) + NOTIONAL,
            )
        )
        idle = np.flatnonzero(chance(rng, 0.1, plan.ordinary))
        parts.append(
            (
                idle,
                rng.integers(plan.exchanges, size=len(idle)),
                np.full(len(idle), plan.coins),
                NOTIONAL * rng.lognormal(-1.0, 1.0, len(idle)),
            )
        )
    owner, exchange, coin, quantity = (np.concatenate(column) for column in zip(*parts, strict=True))
    keys, at = np.unique((owner * plan.exchanges + exchange) * (plan.coins + 1) + coin, return_inverse=True)
    quantity = sums(at, quantity, len(keys))
    keys, quantity = keys[quantity != 0], quantity[quantity != 0]
    account = keys // (plan.coins + 1)
    return Deposits(account // plan.exchanges, account % plan.exchanges, keys % (plan.coins + 1), quantity)


def margin_table(names: Names, books: Books, positions: Positions) -> pa.Table:
    """Write the margin table."""
    return table(
        {
            "owner": coded(positions.owner, names.owner),
            "asset": coded(positions.coin, names.coin),
            "exchange": coded(positions.exchange, names.exchange),
            "quantity": positions.quantity,
            "entry_price": positions.entry,
            "mode": coded(positions.isolated.astype(np.int64), pa.array(MODES)),
            "isolated_margin": np.where(positions.isolated, positions.margin(books), np.nan),
            "stop_price": positions.stop,
            "take_profit": positions.target,
            "order": pa.array(np.nan_to_num(positions.queue).astype(np.int64), mask=np.isnan(positions.queue)),
        }
    )


def collateral_table(names: Names, deposits: Deposits) -> pa.Table:
    """Write the collateral table."""
    return table(
        {
            "owner": coded(deposits.owner, names.owner),
            "asset": coded(deposits.coin, names.coin),
            "exchange": coded(deposits.exchange, names.exchange),
            "quantity": deposits.quantity,
        }
    )

"""The plain rule as a clear loop over SciPy matrices: the reference of the engine, and its oracle on such networks.

Accounts are rows and perpetual books are columns. With signed quantities Q, maintenance rates r of the only bracket of each book,
and what an account has beside its positions in a, the health of all accounts is one product a round,

    h = a + B p,    B = Q - |Q| diag(r),

who has h ≤ 0 is closed whole, what the books must take is the transposed product of Q with who closes, and a net sale of x units
moves a price by e^(-k x), k = -ln 0.99 / (depth in units). Rounds go on until nobody closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from scipy import sparse

from graphs.generate import random_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphs.network import Network

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plain:
    """A network under the plain rule.

    Attributes
    ----------
    books
        Exchange and coin of each book.
    price, k
        By book: USD, and log move a unit.
    base
        By account: USD that no price changes.
    slope, quantity
        B and Q of the module.
    """

    books: list[tuple[str, str]]
    price: Floats
    k: Floats
    base: Floats
    slope: sparse.csr_array[Any, Any]
    quantity: sparse.csr_array[Any, Any]


def plain_network(*, seed: int, traders: int, exchanges: int = 3, assets: int = 4) -> Network:
    """Draw a network of the plain rule whose books have one bracket each, so that health is linear in prices throughout."""
    net = random_network(seed=seed, traders=traders, exchanges=exchanges, assets=assets, rules="plain")
    tiers = net.tables["margin_tier"]
    return net.with_tables(margin_tier=tiers.filter(pc.equal(tiers["floor"], 0.0)))


def plain_of(net: Network) -> Plain:
    """Turn the tables of a network of the plain rule into matrices."""
    places = {name: place for place, name in enumerate(zip(net.strings("market", "exchange"), net.strings("market", "asset"), strict=True))}
    exchange, coin = net.strings("margin", "exchange"), net.strings("margin", "asset")
    book = np.array([places[name] for name in zip(exchange, coin, strict=True)])
    rate = np.zeros(len(places))
    tiers = zip(net.strings("margin_tier", "exchange"), net.strings("margin_tier", "asset"), strict=True)
    rate[[places[name] for name in tiers]] = net.numbers("margin_tier", "maintenance_rate")

    isolated = net.strings("margin", "mode") == "isolated"
    owner = net.codes("margin", "owner", net.node_ids("trader"))
    venue = net.codes("margin", "exchange", net.node_ids("exchange"))
    depositor = net.codes("collateral", "owner", net.node_ids("trader"))
    deposited = net.codes("collateral", "exchange", net.node_ids("exchange"))
    venues, coins = net.count("exchange"), net.count("asset")
    pocket = np.where(isolated, net.codes("margin", "asset", net.node_ids("asset")) + 1, 0)
    keys = np.concatenate([(owner * venues + venue) * (coins + 1) + pocket, (depositor * venues + deposited) * (coins + 1)])
    account = np.unique(keys, return_inverse=True)[1]
    count, rows = int(account.max()) + 1, len(book)

    quantity = net.numbers("margin", "quantity")
    own = np.where(isolated, net.numbers("margin", "isolated_margin"), 0.0) - quantity * net.numbers("margin", "entry_price")
    base = np.bincount(account, weights=np.concatenate([own, net.numbers("collateral", "quantity")]), minlength=count)
    place, shape = (account[:rows], book), (count, len(places))
    price = net.numbers("market", "price")
    return Plain(
        books=list(places),
        price=price,
        k=-np.log(0.99) * price / net.numbers("market", "depth"),
        base=base.astype(np.float64),
        slope=sparse.coo_array((quantity - np.abs(quantity) * rate[book], place), shape=shape).tocsr(),
        quantity=sparse.coo_array((quantity, place), shape=shape).tocsr(),
    )


def cascade(plain: Plain, factor: Floats) -> tuple[Floats, int]:
    """Multiply the prices by factors; returns them as they settle, and how many accounts were closed."""
    price = plain.price * factor
    holders = plain.quantity.T
    idle = np.diff(plain.quantity.indptr) == 0
    closed = idle.copy()
    while True:
        closing = ~closed & (plain.base + plain.slope @ price <= 0.0)
        if not closing.any():
            return price, int((closed & ~idle).sum())
        closed |= closing
        price *= np.exp(-plain.k * (holders @ closing.astype(np.float64)))

"""The liquidation map of one coin: at which of its prices how much is liquidated, by exchange and side.

The price moves on all books together and everything else stays. An account counts whole where it first breaches, on the way
down and on the way up each, before any top-up and whatever part its exchange closes at a time; stops are left out. USD are
units × the network's price, so that levels, exchanges and sides add up, as in ``contagion.cascade``.

The local multiplier along the path is 1/(1 - κρ). ρ is the density of forced orders: USD that the accounts of a level sell,
less what they buy, per unit of log price (above today's price: buy less sell per unit of log rise), the window being the
level. Sold are their positions in the coin, and as much of the coin as collateral as must pay, pro rata to value, the debt that
their positions leave. κ is the log move per USD, -ln 0.99 over the depth of books that arbitrage ties together, withdrawn as
far as the price has moved when it enters the level. κρ < 0 damps, κρ ≥ 1 feeds itself: the multiplier is infinite. Where
nobody arbitrages, each book is for itself and the highest is given. ``contagion.measures.highest_multiplier`` is the same ratio
over the rounds of a run, but counts no coins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.documents import remedy_for
from contagion.errors import RunError
from contagion.grid import group_sum
from contagion.impact import K_UNIT
from contagion.search.breach_prices import breach_factors, exposure_of, opening_state
from contagion.search.forced_orders import ForcedOrders
from contagion.settings import Settings
from contagion.steps.execution import DEPTH_FLOOR
from contagion.system import System

if TYPE_CHECKING:
    import pandas as pd

    from contagion.arrays import Floats, Ints
    from contagion.search.breach_prices import Exposure
    from contagion.state import State
    from graphs.network import Network

SIDES: Final = ("long", "short", "coins")
"""Sides of an account in the coin; ``coins`` holds it as collateral only."""


@dataclass(frozen=True)
class LiquidationMap:
    """Liquidations by price level.

    Attributes
    ----------
    network, asset
        Of what.
    price
        Today's price of the coin, USD.
    edges
        Factors on that price at which levels begin and end, ascending, 1 among them.
    frame
        A row for each level, exchange and side: ``low`` and ``high`` price, ``change`` at the far edge; ``accounts``,
        ``notional_usd`` of their positions in the coin, ``coins_usd`` of the coin sold against debts, ``other_usd`` of other
        positions closed and other coins sold with them; the first two also ``cumulative_`` from today's price outward.
    path
        A row for each level: ``change`` and ``price`` at the far edge, ``low``, ``high``, ``accounts``, ``liquidated_usd``
        (notional and coins), ``cumulative_usd``; ``forced_usd`` net orders along the move, ``depth_usd`` and ``books`` that
        they meet, ``kappa_rho``, ``multiplier``.
    accounts
        A row for each exposed account: ``account`` its index, ``owner``, ``exchange``, ``isolated``, ``side``,
        ``notional_usd``, and the factors ``fall`` and ``rise`` at which it breaches (NaN: at none).
    others
        A row for each other coin: ``longs_usd``, ``shorts_usd`` closed and ``coins_usd`` sold below and above today's price.
    in_breach
        Exposed accounts in breach already, which are on no level.
    """

    network: str
    asset: str
    price: float
    edges: Floats
    frame: pd.DataFrame
    path: pd.DataFrame
    accounts: pd.DataFrame
    others: pd.DataFrame
    in_breach: int

    def tables(self) -> dict[str, pd.DataFrame]:
        """``levels``, ``path`` and ``others``."""
        return {"levels": self.frame, "path": self.path, "others": self.others}

    def summary(self) -> dict[str, Any]:
        """The map in a document; a multiplier without bound is null."""
        falls, rises = self.accounts["fall"], self.accounts["rise"]
        inside = (falls >= self.edges[0]) | (rises <= self.edges[-1])
        never = falls.isna() & rises.isna()
        return {
            "network": self.network,
            "asset": self.asset,
            "price": self.price,
            "lowest": float(self.edges[0] - 1.0),
            "highest": float(self.edges[-1] - 1.0),
            "accounts": {
                "exposed": len(self.accounts) + self.in_breach,
                "in_breach": self.in_breach,
                "on_the_map": int(inside.sum()),
                "beyond": int((~inside & ~never).sum()),
                "never": int(never.sum()),
            },
            "below": self._half(self.path["change"] < 0, falling=True),
            "above": self._half(self.path["change"] > 0, falling=False),
            "claim": "exact",
            "note": "breach prices are exact to the engine's test, with everything but this price unchanged and before top-ups",
        }

    def _half(self, rows: pd.Series[bool], *, falling: bool) -> dict[str, Any]:
        """One side of today's price."""
        part = self.path[rows]
        cells = self.frame[(self.frame["change"] < 0) == falling]
        strongest = part.iloc[int(part["kappa_rho"].to_numpy().argmax())] if len(part) else None
        loops = part.loc[part["kappa_rho"] >= 1, "change"]
        return {
            "accounts": int(part["accounts"].sum()),
            "notional_usd": float(cells["notional_usd"].sum()),
            "coins_usd": float(cells["coins_usd"].sum()),
            "other_usd": float(cells["other_usd"].sum()),
            "by_exchange": {str(name): float(usd) for name, usd in cells.groupby("exchange")["notional_usd"].sum().items()},
            "feeds_itself_from": None if loops.empty else float(loops.max() if falling else loops.min()),
            "highest": None
            if strongest is None
            else {
                "change": float(strongest["change"]),
                "price": float(strongest["price"]),
                "kappa_rho": float(strongest["kappa_rho"]),
                "multiplier": float(strongest["multiplier"]) if strongest["kappa_rho"] < 1 else None,
                "books": str(strongest["books"]),
            },
        }


def levels(
    net: Network | System, asset: str, *, settings: Settings | None = None, lowest: float = -0.5, highest: float = 0.5, steps: int = 50
) -> LiquidationMap:
    """Lay out at which prices of a coin accounts are liquidated.

    Parameters
    ----------
    net
        Network, or what it was compiled to.
    asset
        Asset or stablecoin whose price moves.
    settings
        Tie rule and withdrawal of quotes; the default ones if None.
    lowest, highest
        Relative moves between which to look; 0 lies between them.
    steps
        Number of levels, shared between below and above by width.

    Raises
    ------
    RunError
        If no exchange of the network lists the coin, or the range holds no level.

    Examples
    --------
    >>> from graphs.toys import one_book_ladder
    >>> found = levels(one_book_ladder(), "COIN", lowest=-0.1, highest=0.0, steps=10)
    >>> found.path[["change", "accounts", "liquidated_usd"]].head(3)
       change  accounts  liquidated_usd
    0   -0.10         0             0.0
    1   -0.09         0             0.0
    2   -0.08         0             0.0
    """
    if not (-1 < lowest <= 0 <= highest and lowest < highest and np.isfinite(highest)):
        raise RunError(f"no level lies between {lowest:+.0%} and {highest:+.0%}; give a range that holds 0 %, such as -50 % to +50 %")
    sides = int(lowest < 0) + int(highest > 0)
    if steps < sides:
        raise RunError(f"{steps} levels are too few; give at least {sides}, one for each direction")
    settings = settings or Settings()
    system = _system(net)
    coin = _coin(system, asset)
    state = opening_state(system, settings)
    exposure, short = exposure_of(state, coin)
    edges = _edges(lowest, highest, steps)
    found = {
        falling: ForcedOrders(state, coin, exposure, breach_factors(exposure, system.markets, tie=settings.tie, falling=falling), edges)
        for falling in (True, False)
    }
    price = float(state.coin_price[coin])
    return LiquidationMap(
        network=system.name,
        asset=asset,
        price=price,
        edges=edges,
        frame=_frame(system, coin, found, edges, price),
        path=_path(system, coin, found, edges, price, withdrawal=settings.withdrawal),
        accounts=_accounts(system, exposure, found),
        others=_others(state, coin, found),
        in_breach=int(short.size),
    )


def _system(net: Network | System) -> System:
    if isinstance(net, System):
        return net
    from contagion.compile import compile_system

    return compile_system(net)


def _coin(system: System, asset: str) -> int:
    """Index of a coin that has a book."""
    listed = [name for coin, name in enumerate(system.coins.names) if (system.markets.coin == coin).any()]
    if asset not in listed:
        raise RunError(f"{asset}: no exchange of {system.name} lists such a coin; {remedy_for(asset, listed)}")
    return system.coins.names.index(asset)


def _edges(lowest: float, highest: float, steps: int) -> Floats:
    """Edges of levels as factors, 1 among them, levels shared between the directions by width."""
    if lowest == 0 or highest == 0:
        return 1.0 + np.linspace(lowest, highest, steps + 1)
    below = min(max(round(steps * -lowest / (highest - lowest)), 1), steps - 1)
    down, up = np.linspace(lowest, 0.0, below + 1), np.linspace(0.0, highest, steps - below + 1)
    return 1.0 + np.concatenate([down, up[1:]])


def _frame(system: System, coin: int, found: dict[bool, ForcedOrders], edges: Floats, price: float) -> pd.DataFrame:
    """USD and accounts by level, exchange and side."""
    import pandas as pd

    listing = np.unique(system.markets.exchange[system.markets.coin == coin])
    count, shape = edges.size - 1, (edges.size - 1, listing.size, len(SIDES))
    sums = {name: np.zeros(shape) for name in ("accounts", "notional_usd", "coins_usd", "other_usd")}
    for part in found.values():
        where = np.searchsorted(listing, system.accounts.exchange[part.exposure.account])
        cell = ((part.level * listing.size + where) * len(SIDES) + _side(part.exposure))[part.on]
        for name, values in zip(sums, (np.ones(part.on.size), part.notional, part.coins_usd, part.other), strict=True):
            sums[name] += group_sum(cell, values[part.on], sums[name].size).reshape(shape)
    level, exchange, side = (axis.ravel() for axis in np.indices(shape))
    far = np.where(edges[1:] <= 1.0, edges[:-1], edges[1:])
    table = pd.DataFrame(
        {
            "low": price * edges[level],
            "high": price * edges[level + 1],
            "change": (far - 1.0)[level],
            "exchange": np.array([system.exchanges.names[x] for x in listing], dtype=object)[exchange],
            "side": np.array(SIDES, dtype=object)[side],
        }
    )
    below = int((edges[1:] <= 1.0).sum())
    for name, values in sums.items():
        table[name] = values.ravel().astype(np.int64) if name == "accounts" else values.ravel()
    for name in ("accounts", "notional_usd"):
        values = sums[name]
        outward = np.concatenate([values[:below][::-1].cumsum(axis=0)[::-1], values[below:count].cumsum(axis=0)])
        table[f"cumulative_{name}"] = outward.ravel().astype(np.int64) if name == "accounts" else outward.ravel()
    return table


def _side(exposure: Exposure) -> Ints:
    """Place in ``SIDES`` of each account."""
    return np.select([exposure.quantity > 0, exposure.quantity < 0], [0, 1], 2)


def _path(system: System, coin: int, found: dict[bool, ForcedOrders], edges: Floats, price: float, *, withdrawal: float) -> pd.DataFrame:
    """Forced orders, depth and multiplier by level."""
    import pandas as pd

    markets, count = system.markets, edges.size - 1
    books = np.flatnonzero(markets.coin == coin)
    sold, usd, number = np.zeros((count, markets.count)), np.zeros(count), np.zeros(count)
    for part in found.values():
        on, level, exposure = part.on, part.level, part.exposure
        for market, units in ((exposure.market, part.net), (exposure.coin_market, part.sold)):
            there = on & (market >= 0)
            cells = level[there] * markets.count + market[there]
            sold += group_sum(cells, units[there], sold.size).reshape(sold.shape)
        usd += group_sum(level[on], (part.notional + part.coins_usd)[on], count)
        number += group_sum(level[on], np.ones(int(on.sum())), count)
    below = edges[1:] <= 1.0
    near, far = np.where(below, edges[1:], edges[:-1]), np.where(below, edges[:-1], edges[1:])
    forced = np.where(below, 1.0, -1.0)[:, None] * sold[:, books]
    withdrawn = np.maximum(np.exp(-withdrawal * np.abs(np.log(near))), DEPTH_FLOOR)
    depth = withdrawn[:, None] * markets.depth[books]
    tied = bool(np.isin(coin, system.claims.arbitrage_coin)) or books.size == 1
    pool = np.ones((books.size, 1)) if tied else np.eye(books.size)
    feedback = K_UNIT * (forced @ pool) / (depth @ pool) / np.abs(np.log(edges[1:] / edges[:-1]))[:, None]
    best, rows = feedback.argmax(axis=1), np.arange(count)
    kappa_rho = feedback[rows, best]
    start = markets.price[books]
    with np.errstate(divide="ignore"):
        multiplier = np.where(kappa_rho < 1, 1.0 / (1.0 - np.minimum(kappa_rho, 1.0)), np.inf)
    split = int(below.sum())
    single = [" ".join(system.market_name(int(book))) for book in books]
    return pd.DataFrame(
        {
            "change": far - 1.0,
            "price": price * far,
            "low": price * edges[:-1],
            "high": price * edges[1:],
            "accounts": number.astype(np.int64),
            "liquidated_usd": usd,
            "cumulative_usd": np.concatenate([usd[:split][::-1].cumsum()[::-1], usd[split:].cumsum()]),
            "forced_usd": ((forced * start) @ pool)[rows, best],
            "depth_usd": ((depth * start) @ pool)[rows, best],
            "books": "all, tied by arbitrage" if tied and books.size > 1 else [single[place] for place in best],
            "kappa_rho": kappa_rho,
            "multiplier": multiplier,
        }
    )


def _accounts(system: System, exposure: Exposure, found: dict[bool, ForcedOrders]) -> pd.DataFrame:
    """Exposed accounts with the factors at which they breach."""
    import pandas as pd
    import pyarrow as pa

    accounts, who = system.accounts, exposure.account
    return pd.DataFrame(
        {
            "account": who,
            "owner": system.nodes.ids.take(pa.array(accounts.owner[who])).to_pylist(),
            "exchange": np.array(system.exchanges.names, dtype=object)[accounts.exchange[who]],
            "isolated": accounts.isolated[who],
            "side": np.array(SIDES, dtype=object)[_side(exposure)],
            "notional_usd": found[True].notional,
            "fall": found[True].factor,
            "rise": found[False].factor,
        }
    )


def _others(state: State, coin: int, found: dict[bool, ForcedOrders]) -> pd.DataFrame:
    """What of other coins goes with them."""
    import pandas as pd

    names = state.system.coins.names
    parts = []
    for falling, part in found.items():
        longs, shorts, coins = part.by_coin(state)
        parts.append(
            pd.DataFrame(
                {"coin": names, "where": "below" if falling else "above", "longs_usd": longs, "shorts_usd": shorts, "coins_usd": coins}
            ).drop(index=coin)
        )
    table = pd.concat(parts, ignore_index=True)
    return table[(table[["longs_usd", "shorts_usd", "coins_usd"]] > 0).any(axis=1)].reset_index(drop=True)

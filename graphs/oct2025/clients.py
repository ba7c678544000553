"""Clients of one exchange: margin, collateral, purses, entry prices, stops.

Equity is gross notional over leverage. Part of it is unrealised profit, part may be a coin, the rest is USD. Leverage stays below
what the brackets and the haircut allow, so that nobody is short of initial margin at the start: where a position is large
for its bracket, its leverage can be below its band.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphs.oct2025.facts import asset_class, distribution
from graphs.oct2025.strata import BANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from graphs.oct2025.facts import Assumptions
    from graphs.oct2025.portfolios import Positions

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

HEDGED = BANDS.index("hedged")
HIGH = BANDS.index("high")


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin as collateral: share of client margin, share of its value that is no margin, USD a unit, units a lot."""

    name: str
    share: float
    haircut: float
    price: float
    lot: float


@dataclass(frozen=True, slots=True)
class Clients:
    """Accounts of one exchange with their positions.

    Attributes
    ----------
    account
        Account of every position.
    entry, stop, take_profit, isolated_margin
        By position; NaN stop or take-profit: none, NaN isolated margin: cross.
    band, equity, usd, cash, top_up
        By account: leverage band, USD of equity, USD collateral (NaN: isolated, none), USD off exchange, share of it
        sent to margin calls.
    coin, coin_quantity
        By account: position in the coins given, -1 for none, and units.
    """

    account: Ints
    entry: Floats
    stop: Floats
    take_profit: Floats
    isolated_margin: Floats
    band: Ints
    equity: Floats
    usd: Floats
    cash: Floats
    top_up: Floats
    coin: Ints
    coin_quantity: Floats


def build_clients(
    positions: Positions,
    account: Ints,
    leading: Ints,
    *,
    prices: Mapping[str, float],
    assets: tuple[str, ...],
    coins: tuple[Coin, ...],
    assumptions: Assumptions,
) -> Clients:
    """Give the accounts of an exchange their margin, and their positions what belongs to them.

    Parameters
    ----------
    positions, account, leading
        Positions, the account of each, the leading position of each account.
    prices
        USD a unit at the start, by coin.
    assets
        Coins of the positions.
    coins
        Coins that clients of this exchange post.
    assumptions
        The assumptions.
    """
    number = assumptions.number
    gross = np.bincount(account, positions.notional, leading.size)
    margin = np.bincount(account, positions.initial_margin, leading.size)
    band = positions.band[leading]
    single = np.bincount(account, minlength=leading.size) == 1
    isolated = single & (band == HIGH) & (positions.spread("isolated", leading) < number("portfolio.isolated"))

    coin = _coin_of(positions.spread("coin", leading), coins, number("collateral.coin_part"))
    coin[isolated] = -1
    haircut = number("collateral.coin_most") * np.array([*(c.haircut for c in coins), 0.0])[coin]
    wanted = _leverage(positions.spread("leverage", leading), band, positions.side[leading], assumptions)
    leverage = np.minimum(wanted, number("leverage.headroom") * (1 - haircut) * gross / margin)
    equity = gross / leverage

    price = np.array([prices[name] for name in assets])[positions.asset]
    move = _by_class("entry_spread", assets, assumptions)[positions.asset] * (2 * positions.spread("entry") - 1)
    limit = number("entry_clip") / leverage[account]
    entry = price * (1 + np.clip(move, -limit, limit))
    profit = positions.quantity * (price - entry)
    profits = np.bincount(account, profit, leading.size)

    lot, coin_price = np.array([*(c.lot for c in coins), 1.0])[coin], np.array([*(c.price for c in coins), 1.0])[coin]
    part = _coin_parts(coin, equity, coins, number("collateral.coin_most"))
    coin_quantity = np.floor(part[coin] * equity / coin_price / lot) * lot
    usd = equity - coin_quantity * coin_price - profits
    usd[isolated] = np.nan
    own_margin = np.where(isolated[account], equity[account] - profits[account], np.nan)
    stop, take_profit = _exits(positions, price, leverage[account], assets, assumptions)
    hedged = band == HEDGED
    return Clients(
        account,
        entry,
        stop,
        take_profit,
        own_margin,
        band,
        equity,
        usd,
        np.where(hedged, number("cash.hedged") * gross, number("cash.retail") * equity),
        np.where(hedged, number("top_up.hedged"), number("top_up.retail")),
        coin,
        coin_quantity,
    )


def client_coins(
    exchange: str, haircuts: Mapping[str, float], prices: Mapping[str, float], lots: Mapping[str, float], assumptions: Assumptions
) -> tuple[Coin, ...]:
    """Coins that clients of an exchange post, as assumed."""
    mix = assumptions.under(f"collateral.{exchange}")
    return tuple(Coin(name, share, haircuts[name], prices[name], lots[name]) for name, share in mix.items() if share > 0)


def _coin_of(spread: Floats, coins: tuple[Coin, ...], part: float) -> Ints:
    """Coin of each account: one with probability share / part, so that its value is ``share`` of all margin."""
    edges = np.cumsum([coin.share / part for coin in coins])
    found = np.searchsorted(edges, spread, side="right")
    found[found == len(coins)] = -1
    return found


def _coin_parts(coin: Ints, equity: Floats, coins: tuple[Coin, ...], most: float) -> Floats:
    """Part of equity that its holders keep in each coin, so that it makes up its share of all; last, no coin."""
    held = np.bincount(coin + 1, equity, len(coins) + 1)[1:]
    wanted = equity.sum() * np.array([c.share for c in coins])
    parts = np.divide(wanted, held, out=np.zeros(len(coins)), where=held > 0)
    return np.append(np.minimum(parts, most), 0.0)


def _leverage(spread: Floats, band: Ints, side: Ints, assumptions: Assumptions) -> Floats:
    """Leverage inside the band, log-uniform."""
    edges = [
        (assumptions.number("leverage.hedged_long_low"), assumptions.number("leverage.hedged_long_high")),
        (assumptions.number("leverage.floor"), float(distribution("leverage.low")["high"])),
        (float(distribution("leverage.mid")["low"]), float(distribution("leverage.mid")["high"])),
        (float(distribution("leverage.high")["low"]), assumptions.number("leverage.ceiling")),
        (assumptions.number("leverage.hedged_short_low"), assumptions.number("leverage.hedged_short_high")),
    ]
    low, high = np.array(edges).T
    which = np.where((band == HEDGED) & (side < 0), len(BANDS), band)
    result: Floats = low[which] * (high[which] / low[which]) ** spread
    return result


def _by_class(name: str, assets: tuple[str, ...], assumptions: Assumptions) -> Floats:
    return np.array([assumptions.number(f"{name}.{asset_class(asset)}") for asset in assets])


def _exits(
    positions: Positions, price: Floats, leverage: Floats, assets: tuple[str, ...], assumptions: Assumptions
) -> tuple[Floats, Floats]:
    """Stop and take-profit prices; NaN where there is none. Hedgers have none: closing a leg would open the other."""
    long, asset = positions.side > 0, positions.asset
    share = np.where(long, _by_class("stop_share", assets, assumptions)[asset], assumptions.number("stop_share.short"))
    spread = positions.spread("stop")
    # given that spread < share, spread / share is uniform: stops lie evenly between the nearest and the farthest
    near = assumptions.number("stop_near")
    reach = _by_class("stop_reach", assets, assumptions)[asset] * (near + (1 - near) * spread / np.where(share > 0, share, 1.0))
    distance = np.minimum(reach, assumptions.number("stop_before") / leverage)
    has = (spread < share) & (positions.band != HEDGED)
    stop = np.where(has, price * (1 - positions.side * distance), np.nan)

    share = _by_class("take_profit_share", assets, assumptions)[asset]
    spread = positions.spread("take_profit")
    near = assumptions.number("take_profit_near")
    reach = _by_class("take_profit_reach", assets, assumptions)[asset] * (near + (1 - near) * spread / np.where(share > 0, share, 1.0))
    has = (spread < share) & (positions.band != HEDGED) & ~long
    return stop, np.where(has, price * (1 - reach), np.nan)

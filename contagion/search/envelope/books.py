"""How far the books can move, from bounds on what is sold and bought on each.

Work in y, the log price under exponential impact and the price under linear impact: a sale of Q units lowers y by k·Q, k the
impact of a unit. With S and B the most that is ever sold and bought on a book, y₀ its value after the shock, and Ū the most units
that arbitrageurs of the coin can trade, three bounds hold for a book that arbitrage reaches, and the tightest counts:

- own:   y ≥ y₀ - k(S + Ū)
- mean:  y ≥ min(y₀, ȳ₀ - ΣS/Σw) - k·S, w = 1/k, ȳ the w-weighted mean: arbitrage moves each book towards ȳ and does not move ȳ;
  only while the same books are tied, at the same depths
- group: y ≥ min over the tied books of y₀ - Σ k·S: arbitrage does not lower the lowest of them

and likewise upwards with B, where redemption adds purchases up to the coin's redemption value. Cost O(markets).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum
from contagion.impact import K_UNIT
from contagion.steps.execution import DEPTH_FLOOR

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.search.envelope.frame import Ends, Frame

MOST = 300.0
"""Log of a price beyond which nothing is computed."""
ROUNDING = 1e-9
"""Relative widening of every end that rounding may have moved."""


@dataclass(frozen=True, slots=True)
class Trading:
    """Which books can trade, and how deep they are.

    Attributes
    ----------
    possible, steady
        Markets that may be open in some round, and those that are open in all of them.
    reach, bound
        Markets that arbitrage and redemption may reach, and those that they surely can in every round.
    depth_low, depth_high
        Units that move the price by 1 %.
    fixed_depth
        Markets whose depth cannot change after the first round.
    """

    possible: Flags
    steady: Flags
    reach: Flags
    bound: Flags
    depth_low: Floats
    depth_high: Floats
    fixed_depth: Flags


def trading(frame: Frame) -> Trading:
    """Bound openness and depth of each market while prices stay in the box."""
    settings, onset, dead, failing = frame.settings, frame.onset, frame.dead, frame.failing
    markets, claims = frame.system.markets, frame.system.claims
    low, high = frame.low, frame.high
    x = markets.exchange
    outside = (high > (1.0 + markets.band) * markets.price * (1 - ROUNDING)) | (low < (1.0 - markets.band) * markets.price * (1 + ROUNDING))
    possible = ~(dead[x] | onset.outage.sure[x] | onset.halt.sure)
    steady = ~(dead | failing)[x] & ~onset.outage.possible[x] & ~onset.halt.possible & ~outside
    reach = possible & (onset.transfers.possible & onset.arbitrage.possible)[x]
    bound = steady & (onset.transfers.sure & onset.arbitrage.sure)[x]
    least, most = onset.depth_low.copy(), onset.depth_high.copy()
    fixed = onset.depth_low == onset.depth_high
    if claims.maker.size:
        gone = group_sum(claims.maker_market, claims.maker_share * onset.named.sure[claims.maker], markets.count)
        maybe = group_sum(claims.maker_market, claims.maker_share * (frame.may_fail | onset.named.possible)[claims.maker], markets.count)
        least *= 1.0 - np.minimum(maybe, 1.0)
        most *= 1.0 - np.minimum(gone, 1.0)
        fixed &= gone == maybe
    if settings.withdrawal:
        with np.errstate(divide="ignore"):
            move = np.maximum(np.abs(np.log(low / markets.price)), np.abs(np.log(high / markets.price)))
        least *= np.exp(-settings.withdrawal * move)
        fixed &= least == most
    return Trading(
        possible,
        steady,
        reach,
        bound,
        markets.depth * np.maximum(least, DEPTH_FLOOR),
        markets.depth * np.maximum(most, DEPTH_FLOOR),
        fixed,
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """What arbitrageurs and redeemers of a coin may do.

    Attributes
    ----------
    coin, where
        The coin, and the markets that they may reach.
    units
        Most units that they buy in all, and sell.
    steady
        Whether the same books are tied at the same depths in every round.
    goal
        Highest price to which redemption raises a spot book, USD; 0 where there is none.
    redeemed
        Most units that are redeemed.
    """

    coin: int
    where: Ints
    units: float
    steady: bool
    goal: float
    redeemed: float


def desks(frame: Frame, trade: Trading, capacity: Floats) -> list[Desk]:
    """Bound arbitrage and redemption coin by coin."""
    system, onset, low = frame.system, frame.onset, frame.low
    markets, coins, nodes = system.markets, system.coins, system.nodes
    found = []
    for coin in np.flatnonzero(capacity > 0):
        where = np.flatnonzero(trade.reach & (markets.coin == coin))
        if not where.size:
            continue
        with np.errstate(divide="ignore"):
            units = float(capacity[coin] / low[where].min())
        goal, redeemed = 0.0, 0.0
        issued = onset.redemption.possible[coin] and coins.redemption_capacity[coin] > 0 and coins.supply[coin] > 0
        if issued and not onset.named.sure[nodes.coin0 + coin]:
            spot = where[~markets.perp[where]]
            most = float(coins.peg[coin] * (1.0 - coins.redemption_fee[coin]))
            if spot.size and low[spot].min() < most:
                goal = most
                with np.errstate(divide="ignore"):
                    redeemed = float(min(coins.supply[coin], capacity[coin] / low[spot].min()))
        same = bool((trade.bound[where] & trade.fixed_depth[where]).all())
        found.append(Desk(int(coin), where, units if where.size > 1 else 0.0, same, goal, redeemed))
    return found


def price_box(frame: Frame, trade: Trading, ties: list[Desk], orders: Ends) -> Ends:
    """Ends of the mid price of each market, USD.

    Parameters
    ----------
    orders
        Most units that are ever sold and bought on each market by anybody but arbitrageurs and redeemers.
    """
    system, onset = frame.system, frame.onset
    sold, bought = orders
    log = frame.settings.impact == "exponential"
    scale = np.full(system.markets.count, K_UNIT) if log else 0.01 * system.markets.price
    k = scale / trade.depth_low
    with np.errstate(divide="ignore"):
        start_low, start_high = (np.log(onset.low), np.log(onset.high)) if log else (onset.low, onset.high)
        low, high = start_low - k * sold, start_high + k * bought
        for tie in ties:
            at = tie.where
            goal = -np.inf if tie.goal <= 0 else float(np.log(tie.goal)) if log else tie.goal
            raised = np.where(system.markets.perp[at], start_high[at], np.maximum(start_high[at], goal))
            if at.size == 1:
                high[at] = raised + k[at] * bought[at]
                continue
            weight = 1.0 / k[at]
            down, up = k[at] * sold[at], k[at] * bought[at]
            bottoms = [low[at] - k[at] * tie.units, np.full(at.size, start_low[at].min() - down.sum())]
            tops = [raised + up + k[at] * tie.units, np.full(at.size, raised.max() + up.sum())]
            if tie.steady:
                total = weight.sum()
                mean_low = ((weight * start_low[at]).sum() - sold[at].sum()) / total
                mean_high = ((weight * start_high[at]).sum() + bought[at].sum() + tie.redeemed) / total
                bottoms.append(np.minimum(start_low[at], mean_low) - down)
                tops.append(np.maximum(raised, mean_high) + up)
            low[at], high[at] = np.max(bottoms, axis=0), np.min(tops, axis=0)
    if log:
        low, high = np.exp(low), np.exp(np.minimum(high, MOST))
    return np.maximum(low, 0.0) * (1.0 - ROUNDING), high * (1.0 + ROUNDING)


def book_loss(frame: Frame, trade: Trading, ties: list[Desk], inventory: Ends, orders: Ends) -> Floats:
    """Most that the book account of each market may have lost, USD.

    Notes
    -----
    At a fixed depth what a book paid is the integral of its price over its inventory, whatever the path: from the price Ps after
    the shock to P it holds (ln Ps - ln P)/k units that cost (Ps - P)/k, so valued at M its equity is (M·ln(Ps/P) - (Ps - P))/k, least at
    P = M. Under linear impact it is -(Ps - M)²/(2κ). Where the depth may change, each unit traded may lose the width of the box.
    """
    onset, low, high = frame.onset, frame.low, frame.high
    least, most = inventory
    markets = frame.system.markets
    sold, bought = orders[0].copy(), orders[1].copy()
    for tie in ties:
        sold[tie.where] += tie.units
        bought[tie.where] += tie.units + tie.redeemed
    with np.errstate(divide="ignore", invalid="ignore"):
        if frame.settings.impact == "exponential":
            k = K_UNIT / trade.depth_high
            fall = np.clip(least, low, onset.high)
            falling = (least * np.log(onset.high / fall) - (onset.high - fall)) / k
            rise = np.clip(most, onset.low, high)
            rising = (most * np.log(onset.low / rise) - (onset.low - rise)) / k
        else:
            k = 0.01 * markets.price / trade.depth_high
            fall = np.clip(least, low, onset.high)
            falling = ((onset.high - fall) * least - (onset.high**2 - fall**2) / 2) / k
            rise = np.clip(most, onset.low, high)
            rising = ((onset.low - rise) * most - (onset.low**2 - rise**2) / 2) / k
        path = -np.minimum(np.minimum(falling, rising), 0.0)
    crude = sold * np.maximum(high - least, 0.0) + bought * np.maximum(most - low, 0.0)
    loss = np.where(trade.fixed_depth, np.minimum(path, crude), crude)
    residue = np.abs(frame.system.residue) * np.maximum(np.abs(least - markets.price), np.abs(most - markets.price))
    return np.asarray(np.nan_to_num(loss, nan=np.inf) + residue)

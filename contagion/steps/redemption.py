"""Step 8: redemption of stablecoins.

Redemption value = min(peg, (backing + cash + equity of the issuer's accounts) / supply). While a coin trades under
value·(1 - fee) and redemption is open, its arbitrageurs buy it on the cheapest books, all raised to one price, and burn it:
at most the issuer's capacity in USD a round, and their own. The issuer pays from cash; what it lacks it sells next round.
Cost O(stablecoins × books × bisections).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum, snap, snap_down, sorted_sum
from contagion.impact import execute, quantity_to
from contagion.journal import Flow
from contagion.steps.execution import depth_now
from contagion.steps.revalue import issuer_assets

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from contagion.state import State


BISECTIONS = 80


def set_redemption_values(state: State) -> None:
    """Worth of a coin at its issuer, USD; NaN for assets, the peg where nothing is in circulation."""
    coins = state.system.coins
    with np.errstate(divide="ignore", invalid="ignore"):
        covered = np.where(state.supply > 0, np.maximum(issuer_assets(state), 0.0) / state.supply, np.inf)
    state.redemption_value = np.where(np.isnan(coins.peg), np.nan, np.minimum(coins.peg, covered))


def redeem(state: State) -> None:
    """Buy cheap coins and burn them."""
    if not state.settings.feedback:
        return
    set_redemption_values(state)
    system = state.system
    coins, nodes = system.coins, system.nodes
    ready = state.redemption_open & (coins.redemption_capacity > 0) & (state.desk_capacity > 0) & (state.supply > 0)
    ready &= state.node_default[nodes.coin0 : nodes.exchange0] < 0
    for coin in np.flatnonzero(ready):
        _redeem_coin(state, int(coin))


def _redeem_coin(state: State, coin: int) -> None:
    system, books = state.system, state.books
    markets, coins, quantum = system.markets, system.coins, system.quantum
    value = float(state.redemption_value[coin] * (1.0 - coins.redemption_fee[coin]))
    usable = state.open_markets() & ~markets.perp & (markets.coin == coin)
    usable &= (state.transfers_open & state.arbitrage_open)[markets.exchange] & (books.price < value)
    cheap = np.flatnonzero(usable)
    if not cheap.size or value <= 0:
        return
    most_units = min(coins.redemption_capacity[coin] / state.redemption_value[coin], float(state.supply[coin]))
    price, start, depth = books.price[cheap], markets.price[cheap], depth_now(state)[cheap]

    def bought(goal: float) -> tuple[Floats, Floats]:
        units = np.maximum(quantity_to(state.settings.impact, price, start, depth, np.maximum(goal, price)), 0.0)
        units = snap_down(units, coins.lot[coin])
        return units, units * execute(state.settings.impact, price, start, depth, units).average

    def affordable(goal: float) -> bool:
        units, cost = bought(goal)
        return bool(sorted_sum(units) <= most_units and sorted_sum(cost) <= state.desk_capacity[coin])

    goal = value
    if not affordable(goal):
        low, high = float(price.min()), value
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if affordable(middle) else (low, middle)
        goal = low
    units, _ = bought(goal)
    if not units.any():
        return
    fill = execute(state.settings.impact, price, start, depth, units)
    cost = snap(units * fill.average, quantum)
    if not cost.any():  # what is bought costs less than the ledger can tell: the capacity is spent
        return
    books.price[cheap] = np.where(units > 0, fill.price, price)
    paid = snap(units * value, quantum)
    books.coins[cheap] -= units
    books.cash[cheap] += cost
    books.desk_cash[cheap] += paid - cost
    state.desk_capacity[coin] = max(state.desk_capacity[coin] - cost.sum(), 0.0)
    total, burned = float(paid.sum()), float(units.sum())
    issuer = system.nodes.coin0 + coin
    before = snap(state.supply[coin] * coins.promised[coin], quantum)
    state.supply[coin] -= burned
    after = snap(state.supply[coin] * coins.promised[coin], quantum)
    state.cash[issuer] -= total
    state.node_flow(np.array([issuer]), np.array([float(before - after) - total]))
    state.state_gain(float(before - after) - burned * float(state.coin_price[coin]))
    if state.flows is not None:
        state.flows.ledger += group_sum(markets.exchange[cheap], paid, system.nodes.exchanges)
        state.flows.burned[coin] += burned
        state.flows.inventory(cheap, cost - units * state.coin_price[coin], desk=paid - cost)
        state.flows.check("I6 redemption", total, burned * value)
    zero = np.zeros(markets.count)
    by_market, usd = zero.copy(), zero.copy()
    by_market[cheap], usd[cheap] = units, cost
    state.journal.traded(Flow.REDEMPTION, state.round, by_market, zero, usd)
    state.journal.event(state.round, "redemption", node=issuer, coin=coin, usd=total)
    state.moved = True

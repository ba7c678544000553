"""At which price of one coin each account breaches, everything else unchanged.

The price of the coin is multiplied by x on every book at once; marks follow it, whatever the oracle, because all of its
sources move alike, and so does the collateral index, but for the part that is mixed in from a redemption value. With A what
does not depend on x, q and H the account's position and coins, m the mark, i the index, h the haircut, t the tie tolerance:

    health(x) = A + q·m·x + H·(1 - h)·i(x) - (|q|·m·x·rate_n - deduction_n) - t·|q|·m·x

It is linear inside a bracket n of maintenance, continuous between brackets in marginal form and jumps in flat form. From x = 1
outward the first bracket is searched in which it reaches zero, which is exact but for rounding; then the crossing is moved
to the float at which the engine's own test, on its grid, says breach. Cost O(accounts × brackets), no loop over accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.grid import snap
from contagion.kernels.scan import breach_arrays
from contagion.kernels.valuate import bracket_of, valuate_arrays
from contagion.state import initial_state
from contagion.steps.margin_calls import TIE
from contagion.steps.prices import set_prices
from contagion.steps.redemption import set_redemption_values

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from contagion.settings import Settings
    from contagion.state import State
    from contagion.system import Markets, System

EPSILON: Final = float(np.finfo(np.float64).eps)
WIDENINGS: Final = 26
"""Fourfold widenings from rounding up to the price itself."""


def opening_state(system: System, settings: Settings) -> State:
    """State before any shock, with its accounts valued."""
    state = initial_state(system, settings)
    set_prices(state, opening=True)
    _value_accounts(state)
    set_redemption_values(state)
    set_prices(state, opening=True)  # an index may mix in what a coin is redeemed for
    _value_accounts(state)
    return state


def _value_accounts(state: State) -> None:
    """Value all accounts by array operations: so few valuations do not repay loading the compiler, and the bits are the same."""
    accounts, books, markets = state.system.accounts, state.books, state.system.markets
    valuate_arrays(
        state.balance,
        accounts.grid,
        accounts.start,
        accounts.market,
        state.quantity,
        accounts.coin_start,
        accounts.coin_market,
        state.coin_quantity,
        books.mark,
        books.index,
        markets.haircut,
        markets.tier_start,
        markets.floor,
        markets.rate,
        markets.deduction,
        state.equity,
        state.margin,
        state.maintenance,
        state.gross,
    )


@dataclass(frozen=True, slots=True)
class Exposure:
    """Accounts whose margin depends on one coin, an entry each.

    Attributes
    ----------
    account
        Index in the system.
    market, quantity, mark
        The position in the coin: its market (-1 without one), signed units, and mark in USD.
    coin_market, coins
        The coin as collateral: its market (-1 without any) and units.
    moving, still
        The collateral index is moving·x + still, USD.
    kept
        1 - haircut of the collateral.
    grid
        Step on which the account is valued.
    balance
        b, USD.
    margin, maintenance, gross
        What the rest of the account gives, USD.
    first, last
        Its brackets are rows first to last - 1; none where they are equal.
    """

    account: Ints
    market: Ints
    quantity: Floats
    mark: Floats
    coin_market: Ints
    coins: Floats
    moving: Floats
    still: Floats
    kept: Floats
    grid: Floats
    balance: Floats
    margin: Floats
    maintenance: Floats
    gross: Floats
    first: Ints
    last: Ints

    def take(self, rows: Ints | Flags) -> Exposure:
        """Some of the accounts."""
        return Exposure(*(getattr(self, field.name)[rows] for field in fields(self)))


def exposure_of(state: State, coin: int) -> tuple[Exposure, Ints]:
    """Accounts exposed to a coin that are sound at today's price, and those that are in breach already.

    Accounts on an exchange whose marks an outage has frozen are left out: nothing there follows the price.
    """
    system = state.system
    markets, accounts, books = system.markets, system.accounts, state.books
    rows = np.flatnonzero((markets.coin[accounts.market] == coin) & (state.quantity != 0.0))
    coin_rows = np.flatnonzero((markets.coin[accounts.coin_market] == coin) & (state.coin_quantity != 0.0))
    holder, owner = state.position_account[rows], np.searchsorted(accounts.coin_start, coin_rows, side="right") - 1
    size = accounts.count
    position, stock = np.full(size, -1, dtype=np.int64), np.full(size, -1, dtype=np.int64)
    position[holder], stock[owner] = rows, coin_rows  # an account has one of each at most
    working = (state.alive & ~state.outage)[accounts.exchange]
    who = np.flatnonzero(((position >= 0) | (stock >= 0)) & working)
    position, stock = position[who], stock[who]
    quantity, mark, market = np.zeros(who.size), np.ones(who.size), np.full(who.size, -1, dtype=np.int64)
    there = position >= 0
    quantity[there], market[there] = state.quantity[position[there]], accounts.market[position[there]]
    mark[there] = books.mark[market[there]]
    coins, index, kept, still = np.zeros(who.size), np.ones(who.size), np.ones(who.size), np.zeros(who.size)
    coin_market = np.full(who.size, -1, dtype=np.int64)
    there = stock >= 0
    coins[there], coin_market[there] = state.coin_quantity[stock[there]], accounts.coin_market[stock[there]]
    index[there], kept[there] = books.index[coin_market[there]], 1.0 - markets.haircut[coin_market[there]]
    value = state.redemption_value[coin]
    if not np.isnan(value):
        still[there] = system.exchanges.redemption_weight[markets.exchange[coin_market[there]]] * value
    tiered = market >= 0
    first, last = np.where(tiered, markets.tier_start[market], 0), np.where(tiered, markets.tier_start[market + 1], 0)
    grid, zero = accounts.grid[who], np.zeros(who.size)
    alone = Exposure(who, market, quantity, mark, coin_market, coins, index - still, still, kept, grid, zero, zero, zero, zero, first, last)
    margin, maintenance, gross = _values(alone, markets, np.ones(who.size))
    found = Exposure(
        **{field.name: getattr(alone, field.name) for field in fields(alone)}
        | {
            "balance": state.balance[who],
            "margin": state.margin[who] - margin,
            "maintenance": state.maintenance[who] - maintenance,
            "gross": state.gross[who] - gross,
        }
    )
    breach = np.empty(size, dtype=np.bool_)
    at_equality = state.settings.tie == "breach"
    breach_arrays(state.margin, state.maintenance, state.gross, state.balance, state.status, TIE, at_equality, breach)
    short = breach[who]
    return found.take(~short), who[short]


def breach_factors(exposure: Exposure, markets: Markets, *, tie: str, falling: bool) -> Floats:
    """Factor on the coin's price at which each account first breaches, going down or up from 1; NaN where it never does.

    The engine's test says breach at the factor itself, and none at the next float towards 1.
    """
    tolerance = TIE if tie == "breach" else -TIE
    found = _crossings(exposure, markets, tolerance, falling=falling)
    some = np.flatnonzero(np.isfinite(found) & (found > 0))
    result = np.full(found.size, np.nan)
    result[some] = _settle(exposure.take(some), markets, found[some], tolerance, falling=falling)
    return result


def _values(exposure: Exposure, markets: Markets, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Margin balance, maintenance and gross notional at factors ``x``, by the engine's arithmetic."""
    mark, grid = exposure.mark * x, exposure.grid
    signed = snap(exposure.quantity * mark, grid)
    notional = np.abs(exposure.quantity) * mark
    index = np.where(exposure.still == 0.0, exposure.moving * x, exposure.moving * x + exposure.still)
    margin = exposure.margin + signed + snap(exposure.coins * index * exposure.kept, grid)
    bracket = _bracket(exposure, markets, notional)
    needed = snap(np.where(bracket >= 0, notional * _at(markets.rate, bracket) - _at(markets.deduction, bracket), 0.0), grid)
    return margin, exposure.maintenance + needed, exposure.gross + np.abs(signed)


def _bracket(exposure: Exposure, markets: Markets, notional: Floats) -> Ints:
    """Bracket row, -1 for accounts without a position or brackets."""
    result = np.full(notional.size, -1, dtype=np.int64)
    tiered = exposure.market >= 0
    result[tiered] = bracket_of(exposure.market[tiered], notional[tiered], markets)
    return result


def _at(column: Floats, rows: Ints) -> Floats:
    """Entries of a column, zero for row -1."""
    if not column.size:
        return np.zeros(rows.size)
    return np.where(rows >= 0, column[rows], 0.0)


def _breached(exposure: Exposure, markets: Markets, x: Floats, tolerance: float) -> Flags:
    """The engine's test at factors ``x``."""
    margin, maintenance, gross = _values(exposure, markets, x)
    bound = maintenance + tolerance * gross
    short = margin <= bound if tolerance > 0 else margin < bound
    return short & ((gross > 0.0) | (exposure.balance < 0.0))


def _crossings(exposure: Exposure, markets: Markets, tolerance: float, *, falling: bool) -> Floats:
    """First zero of health from 1 outward, bracket by bracket; NaN where there is none."""
    count = exposure.account.size
    result = np.full(count, np.nan)
    at = np.ones(count)
    bracket = _bracket(exposure, markets, np.abs(exposure.quantity) * exposure.mark)
    active = np.flatnonzero((exposure.gross > 0.0) | (exposure.quantity != 0.0) | (exposure.balance < 0.0))
    while active.size:
        part, row, start = exposure.take(active), bracket[active], at[active]
        size = np.abs(part.quantity) * part.mark
        constant = (
            part.margin + part.coins * part.kept * part.still - part.maintenance + _at(markets.deduction, row) - tolerance * part.gross
        )
        slope = part.quantity * part.mark + part.coins * part.kept * part.moving - size * (_at(markets.rate, row) + tolerance)
        end = _end(part, markets, row, size, falling=falling)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # sign of health at the end; at infinity that of the slope
            there = np.where(np.isinf(end), slope, constant + slope * np.where(np.isinf(end), 1.0, end))
            zero = -constant / slope
        jumped = (constant + slope * start <= 0) & (start != 1.0)
        crossed = (there <= 0) & (slope != 0) & np.isfinite(zero) & (np.isfinite(end) | (slope < 0))
        low, high = (end, start) if falling else (start, end)
        result[active] = np.where(jumped, start, np.where(crossed, np.clip(zero, low, high), np.nan))
        further = ~jumped & ~crossed & (end > 0) & np.isfinite(end)
        active = active[further]
        at[active] = end[further]
        bracket[active] += -1 if falling else 1
    return result


def _end(part: Exposure, markets: Markets, row: Ints, size: Floats, *, falling: bool) -> Floats:
    """Factor at which a position leaves its bracket, going outward: 0 or infinity if it does not."""
    result = np.full(row.size, 0.0 if falling else np.inf)
    leaves = (row > part.first) if falling else (row >= 0) & (row + 1 < part.last)
    floor = row[leaves] if falling else row[leaves] + 1
    result[leaves] = markets.floor[floor] / size[leaves]
    return result


def _settle(exposure: Exposure, markets: Markets, found: Floats, tolerance: float, *, falling: bool) -> Floats:
    """Move crossings to the float at which the engine's test turns."""
    outward = -1.0 if falling else 1.0
    near, far = found.copy(), found.copy()
    for bound, side, wanted in ((near, -outward, False), (far, outward, True)):
        width = 2 * EPSILON
        wrong = np.arange(found.size)
        for _ in range(WIDENINGS):
            wrong = wrong[_breached(exposure.take(wrong), markets, bound[wrong], tolerance) != wanted]
            if not wrong.size:
                break
            moved = found[wrong] * (1.0 + side * min(width, 1.0))
            inward = np.maximum(moved, 1.0) if not falling else np.minimum(moved, 1.0)  # sound there, by assumption
            bound[wrong] = inward if side != outward else np.maximum(moved, np.finfo(np.float64).tiny)
            width *= 4
        else:
            bound[wrong] = found[wrong]  # touches zero without going below it by a rounding
    open_ = np.flatnonzero(near != far)
    while open_.size:
        middle = near[open_] + (far[open_] - near[open_]) / 2
        apart = (middle != near[open_]) & (middle != far[open_])
        open_, middle = open_[apart], middle[apart]
        hit = _breached(exposure.take(open_), markets, middle, tolerance)
        far[open_] = np.where(hit, middle, far[open_])
        near[open_] = np.where(hit, near[open_], middle)
    return far

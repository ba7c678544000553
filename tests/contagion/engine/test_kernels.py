"""Fast kernels against their plain loops, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from contagion.compile import compile_system
from contagion.kernels.compiled import compiled
from contagion.kernels.take_over import take_over_loop
from contagion.kernels.valuate import bracket_of, initial_of, maintenance_of, valuate_arrays, valuate_loop
from contagion.settings import Settings
from contagion.state import initial_state
from graphs.generate import random_network
from tests.contagion.engine.build import venue

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.state import State

OUT = ("equity", "margin", "maintenance", "gross")


def shaken(seed: int, **size: int) -> State:
    """State of a random network with marks far from its prices and some accounts emptied."""
    rng = np.random.default_rng(seed)
    state = initial_state(compile_system(random_network(seed=seed, **size), check=False), Settings())
    count = state.system.markets.count
    state.books.mark = state.books.mark * np.exp(rng.normal(0, 0.5, count))
    state.books.index = state.books.index * np.exp(rng.normal(0, 0.5, count))
    gone = rng.choice(state.system.accounts.count, state.system.accounts.count // 5, replace=False)
    state.quantity[state.rows_of(gone)] = 0.0
    state.coin_quantity[state.coin_rows_of(gone[::2])] = 0.0
    return state


def valued(kernel: Callable[..., None], state: State) -> np.ndarray:
    accounts, markets, books = state.system.accounts, state.system.markets, state.books
    out = np.full((4, accounts.count), np.nan)
    kernel(
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
        *out,
    )
    return out


@pytest.mark.parametrize("seed", range(12))
def test_valuation_by_arrays_is_the_plain_loop(seed: int) -> None:
    state = shaken(seed)
    loop, arrays = valued(valuate_loop, state), valued(valuate_arrays, state)
    assert np.isfinite(loop).all()
    for name, plain, fast in zip(OUT, loop, arrays, strict=True):
        np.testing.assert_array_equal(fast, plain, err_msg=name)


def test_compiled_valuation_is_the_plain_loop() -> None:
    kernel = compiled(valuate_loop)
    for seed in range(8):
        state = shaken(seed, traders=150)
        np.testing.assert_array_equal(valued(kernel, state), valued(valuate_loop, state))


def test_accounts_without_anything_are_worth_their_cash() -> None:
    state = initial_state(compile_system(venue({"A": (0.0, 0.0, 7.0), "B": (0.0, 0.0, 0.0)})), Settings())
    for kernel in (valuate_loop, valuate_arrays):
        equity, margin, maintenance, gross = valued(kernel, state)
        assert sorted(equity)[:2] == [0.0, 7.0]
        np.testing.assert_array_equal(equity, margin)
        assert not maintenance.any()
        assert not gross.any()


def test_no_accounts_at_all() -> None:
    empty, none = np.empty(0), np.zeros(1, dtype=np.int64)
    for kernel in (valuate_loop, valuate_arrays):
        small = np.empty(0, dtype=np.int32)
        kernel(
            empty, empty, none, small, empty, none, small, empty, empty, empty, empty, none, empty, empty, empty, empty, empty, empty, empty
        )


def test_a_valuation_does_not_depend_on_the_order_of_rows_in_an_account() -> None:
    state = shaken(3)
    before = valued(valuate_arrays, state)
    accounts = state.system.accounts
    for account in range(accounts.count):
        rows = slice(accounts.start[account], accounts.start[account + 1])
        accounts.market[rows] = accounts.market[rows][::-1].copy()
        state.quantity[rows] = state.quantity[rows][::-1].copy()
    np.testing.assert_array_equal(valued(valuate_arrays, state), before)


def test_maintenance_of_positions_adds_up_to_that_of_accounts() -> None:
    state = shaken(5)
    accounts, markets = state.system.accounts, state.system.markets
    market = accounts.market.astype(np.int64)
    notional = np.abs(state.quantity) * state.books.mark[market]
    needed = np.where(state.quantity != 0, maintenance_of(market, notional, markets), 0.0)
    total = np.bincount(state.position_account, weights=needed, minlength=accounts.count)
    np.testing.assert_allclose(total, valued(valuate_loop, state)[2], rtol=1e-12, atol=1e-6)
    bracket = bracket_of(market, notional, markets)
    assert (markets.floor[bracket[bracket >= 0]] <= notional[bracket >= 0]).all()
    assert (initial_of(market, notional, markets) >= 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_compiled_takeover_is_the_plain_loop(seed: int) -> None:
    state = shaken(seed, traders=80)
    accounts, markets = state.system.accounts, state.system.markets
    rng = np.random.default_rng(seed)
    candidates = rng.permutation(accounts.count)[:40]
    margin = valued(valuate_loop, state)[1]
    purse = float(np.abs(margin).max()) * rng.uniform(0.05, 0.5)
    results = []
    for kernel in (take_over_loop, compiled(take_over_loop)):
        held = np.zeros(markets.count)
        tiers = (markets.tier_start, markets.floor, markets.rate, markets.deduction)
        taken = kernel(candidates, margin, accounts.start, accounts.market, state.quantity, state.books.mark, *tiers, held, purse)
        results.append((taken, held))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_a_takeover_stops_at_the_vaults_maintenance_and_leaves_what_it_took() -> None:
    accounts = {f"T{place}": (10.0, 100.0, 60.0) for place in range(5)}
    state = initial_state(compile_system(venue(accounts, brackets=[(0.0, 0.03, 25.0)])), Settings())
    state.books.mark[:] = 95.0
    arrays, markets = state.system.accounts, state.system.markets
    margin = valued(valuate_loop, state)[1]
    candidates = np.array([row for row in range(arrays.count) if margin[row] == 10.0])
    held = np.zeros(markets.count)
    tiers = (markets.tier_start, markets.floor, markets.rate, markets.deduction)
    # each brings 10 and needs 28.5: with 40, two leave 60 ≥ 57 and a third 70 < 85.5
    assert take_over_loop(candidates, margin, arrays.start, arrays.market, state.quantity, state.books.mark, *tiers, held, 40.0) == 2
    assert held.tolist() == [20.0]

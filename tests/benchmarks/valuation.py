"""The valuation of all accounts, on which a round spends most: the compiled loop beside its array twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.measure import TIMES, Row, agree, in_turns, timed_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from contagion.arrays import Floats

Out = tuple["Floats", "Floats", "Floats", "Floats"]


def rows(*, smoke: bool) -> Iterator[Row]:
    """The kernel on one thread, and as the engine calls it."""
    from contagion.compile import compile_system
    from contagion.kernels.compiled import compiled
    from contagion.kernels.valuate import valuate, valuate_arrays, valuate_loop
    from graphs.generate import random_network

    system = compile_system(random_network(seed=11, traders=300 if smoke else 300_000, exchanges=8, assets=40, stablecoins=4), check=False)
    accounts, markets = system.accounts, system.markets
    inputs = (
        accounts.balance,
        accounts.grid,
        accounts.start,
        accounts.market,
        accounts.quantity,
        accounts.coin_start,
        accounts.coin_market,
        accounts.coin_quantity,
        markets.price,
        markets.price,
    )
    tiers = (markets.haircut, markets.tier_start, markets.floor, markets.rate, markets.deduction)
    kernel = compiled(valuate_loop)

    def empty() -> Out:
        return np.empty(accounts.count), np.empty(accounts.count), np.empty(accounts.count), np.empty(accounts.count)

    by_arrays, by_loop, by_engine = empty(), empty(), empty()
    size = f"{accounts.count:,} accounts, {accounts.quantity.size:,} positions"
    works: dict[str, tuple[Out, Callable[[], object]]] = {
        "compiled": (by_loop, lambda: kernel(*inputs, *tiers, *by_loop)),
        "as a round calls it": (by_engine, lambda: valuate(*inputs, markets, by_engine)),
    }
    for name, (out, work) in works.items():
        work()  # compiles
        reference, ours = in_turns(lambda: valuate_arrays(*inputs, *tiers, *by_arrays), work, times=1 if smoke else TIMES)
        for column, one, two in zip(("equity", "margin", "maintenance", "gross"), by_arrays, out, strict=True):
            agree(np.array_equal(one, two), f"valuation, {name}: {column} differs from that of the array twin")
        yield timed_row(f"valuation, {name}: {size}", reference, ours)

"""A cascade of the plain rule: the engine, compiled system in hand, beside the loop over SciPy matrices, matrices in hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.measure import TIMES, Row, agree, in_turns, timed_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contagion.engine import Prepared
    from tests.benchmarks.reference import Plain

SEED = 7
FALLS = {"small": 0.0302, "large": 0.2}
"""Fall of every price, by the size of the cascade that it sets off."""
CLOSEST = 1e-9
"""Largest relative difference of a price."""


def rows(*, smoke: bool) -> Iterator[Row]:
    """One row a size of the cascade."""
    from contagion.engine import prepare, simulate
    from contagion.scenario import Scenario
    from tests.benchmarks.reference import cascade, plain_network, plain_of

    if smoke:
        _agree_on_random_networks()
    net = plain_network(seed=SEED, traders=300 if smoke else 100_000, exchanges=8, assets=40)
    plain = plain_of(net)
    for size, fall in FALLS.items():
        prepared = prepare(net, Scenario.from_shocks([f"{coin}={-fall:%}" for coin in net.node_ids("asset")]))
        factor = np.full(plain.price.size, 1.0 - fall)
        closed, count, rounds = _compare(prepared, plain, factor)
        reference, ours = in_turns(partial(cascade, plain, factor), partial(simulate, prepared), times=1 if smoke else TIMES)
        yield timed_row(f"plain cascade, {size}: {closed:,} of {count:,} accounts, {rounds} rounds", reference, ours)


def _agree_on_random_networks() -> None:
    """Compare both sides on networks of many shapes, under shocks that set off nothing and everything."""
    from contagion.engine import prepare
    from contagion.scenario import Scenario
    from tests.benchmarks.reference import plain_network, plain_of

    for seed in range(6):
        net = plain_network(seed=seed, traders=40 + 10 * seed, exchanges=1 + seed % 4, assets=1 + seed % 5)
        plain = plain_of(net)
        for fall in (0.01, 0.08, -0.1, 0.3):
            prepared = prepare(net, Scenario.from_shocks([f"{coin}={-fall:%}" for coin in net.node_ids("asset")]), check=False)
            _compare(prepared, plain, np.full(plain.price.size, 1.0 - fall))


def _compare(prepared: Prepared, plain: Plain, factor: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int, int]:
    """Run both sides once; returns how many accounts were closed, of how many, and in how many rounds."""
    from contagion.engine import simulate
    from tests.benchmarks.reference import cascade

    price, closed = cascade(plain, factor)
    outcome, system = simulate(prepared), prepared.system
    state = outcome.state
    names = [system.market_name(market) for market in range(system.markets.count)]
    theirs = dict(zip(plain.books, price, strict=True))
    expected = np.array([theirs[exchange, coin] for exchange, coin, _ in names])
    found = state.books.price
    off = float(np.max(np.abs(found / expected - 1.0), initial=0.0))
    agree(off <= CLOSEST, f"plain cascade on {system.name}: a price differs by {off:.1e} of itself from the reference")
    accounts = system.accounts
    held = np.add.reduceat(np.abs(np.append(accounts.quantity, 0.0)), accounts.start[:-1]) > 0
    held &= np.diff(accounts.start) > 0
    ours = int((held & (state.gross == 0.0)).sum())
    agree(ours == closed, f"plain cascade on {system.name}: {ours} accounts closed, {closed} in the reference")
    return closed, int(held.sum()), outcome.rounds

"""Runs that share an opening come out as runs that begin afresh, bit for bit, and leave it as it was."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from contagion.engine import open_system, prepare, simulate
from contagion.scenario import Scenario
from contagion.settings import Settings
from contagion.state import State
from graphs.generate import random_network


def _arrays(state: State) -> dict[str, np.ndarray]:
    own = {item.name: getattr(state, item.name) for item in fields(State)}
    books = {f"books.{item.name}": getattr(state.books, item.name) for item in fields(type(state.books))}
    return {name: value for name, value in (own | books).items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("seed", range(12))
def test_a_run_from_an_opening_is_a_run_from_the_start(seed: int) -> None:
    net = random_network(seed=seed)
    coin, exchange = net.node_ids("asset")[0], net.node_ids("exchange")[0]
    prepared = prepare(net, Scenario.from_shocks([f"{coin}=-30%", f"depth:{exchange}=0.2"]))
    settings = Settings(withdrawal=2.0)
    opening = open_system(prepared.system, settings)
    before = {name: array.copy() for name, array in _arrays(opening.state).items()}
    fresh = simulate(prepared, settings=settings)
    for _ in range(2):
        shared = simulate(prepared, settings=settings, opening=opening)
        assert shared.rounds == fresh.rounds
        assert np.array_equal(shared.initial.node_equity, fresh.initial.node_equity)
        ours = _arrays(shared.state)
        for name, array in _arrays(fresh.state).items():
            assert np.array_equal(ours[name], array, equal_nan=array.dtype.kind == "f"), name
        assert shared.state.journal.events == fresh.state.journal.events
    for name, array in _arrays(opening.state).items():
        assert np.array_equal(array, before[name], equal_nan=array.dtype.kind == "f"), name


def test_a_fork_shares_no_array_that_a_round_writes_to() -> None:
    prepared = prepare(random_network(seed=1), Scenario(name="none"))
    opening = open_system(prepared.system)
    forked = simulate(replace(prepared), opening=opening, settings=Settings(max_rounds=1)).state
    ours = _arrays(forked)
    shared = {name for name, array in _arrays(opening.state).items() if array.size and np.shares_memory(array, ours[name])}
    assert shared == {"position_account"}

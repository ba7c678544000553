"""No answer depends on the order of rows, on the names of nodes, or on the process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from contagion.engine import Outcome, prepare, simulate
from contagion.scenario import Scenario
from contagion.settings import Settings
from graphs.generate import random_network, rename_network, shuffle_network
from graphs.schema import NODES
from tests.contagion.engine.build import mixed_shocks

if TYPE_CHECKING:
    from pathlib import Path

    from graphs.network import Network

SEEDS = range(8)


def answer(outcome: Outcome, back: dict[str, str] | None = None) -> dict[Any, Any]:
    """What a run says, by name."""
    state, back = outcome.state, back or {}
    system = state.system

    def name(node: int) -> str:
        found = system.nodes.name(node)
        return back.get(found, found)

    said: dict[Any, Any] = {"reason": outcome.reason, "rounds": outcome.rounds}
    for market in range(system.markets.count):
        exchange, coin, instrument = system.market_name(market)
        key = (back.get(exchange, exchange), back.get(coin, coin), instrument)
        said["price", *key] = float(state.books.price[market])
        for kind in state.journal.units:
            said["units", str(kind), *key] = float(state.journal.total_units(kind, system.markets.count)[market])
    for exchange in range(system.nodes.exchanges):
        node = name(system.nodes.exchange0 + exchange)
        said["fund", node], said["house", node] = float(state.fund[exchange]), float(state.house[exchange])
    accounts = system.accounts
    for account in range(accounts.count):
        rows = slice(accounts.start[account], accounts.start[account + 1])
        coins = [back.get(system.coins.names[c], system.coins.names[c]) for c in system.markets.coin[accounts.market[rows]]]
        where = name(system.nodes.exchange0 + int(accounts.exchange[account]))
        isolated = coins[0] if accounts.isolated[account] else ""
        key = (name(int(accounts.owner[account])), where, isolated)
        said["account", *key] = (float(state.balance[account]), int(state.status[account]), float(state.claim[account]))
        said["positions", *key] = dict(zip(coins, state.quantity[rows].tolist(), strict=True))
    for node in range(system.nodes.count):
        said["default", name(node)] = int(state.node_default[node])
    return said


def equities(outcome: Outcome) -> dict[str, float]:
    """Equity by node: the value of claims solves equations, so its last digits may depend on their order."""
    nodes = outcome.state.system.nodes
    return {nodes.name(node): float(outcome.state.node_equity[node]) for node in range(nodes.count)}


def simulated(net: Network, shocks: list[str], seed: int) -> Outcome:
    impact = ("exponential", "linear", "square_root")[seed % 3]
    return simulate(prepare(net, Scenario.from_shocks(shocks)), settings=Settings(impact=impact, max_rounds=80, withdrawal=seed % 2))


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffled_rows_give_the_same_bits(seed: int) -> None:
    net = random_network(seed=seed)
    shocks = mixed_shocks(net, seed)
    assert answer(simulated(shuffle_network(net, seed), shocks, seed)) == answer(simulated(net, shocks, seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_renamed_nodes_give_the_same_bits(seed: int) -> None:
    net = random_network(seed=seed)
    ids = [name for kind in NODES for name in net.node_ids(kind)]
    fresh = [f"n{place:04d}" for place in range(len(ids))]
    fresh = [fresh[place] for place in np.random.default_rng(seed).permutation(len(ids))]
    mapping = dict(zip(ids, fresh, strict=True))
    shocks = mixed_shocks(net, seed)
    there = shocks
    for old, new in sorted(mapping.items(), key=lambda pair: -len(pair[0])):
        there = [shock.replace(old, new) for shock in there]
    before, after = simulated(net, shocks, seed), simulated(shuffle_network(rename_network(net, mapping), seed), there, seed)
    first, changed = answer(before), answer(after, {new: old for old, new in mapping.items()})
    wrong = {key: (first[key], changed[key]) for key in first if first[key] != changed.get(key)}
    assert not wrong
    assert first.keys() == changed.keys()
    theirs = equities(after)
    for name, equity in equities(before).items():
        assert theirs[mapping[name]] == pytest.approx(equity, rel=1e-12, abs=1e-6)


def digest(seed: int) -> str:
    net = random_network(seed=seed)
    return hashlib.sha256(repr(sorted(answer(simulated(net, mixed_shocks(net, seed), seed)).items(), key=repr)).encode()).hexdigest()


def test_two_processes_with_other_hash_seeds_say_the_same(root: Path) -> None:
    code = "from tests.contagion.engine.test_permutation import digest; print(digest(4), digest(9))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(said) == 1
    assert np.all([len(text.split()) == 2 for text in said])

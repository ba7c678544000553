"""The engine against the model in plain loops, on random networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contagion.scenario import Scenario
from graphs.generate import random_network
from tests.contagion.engine.build import FORCED_OR_ADL, mixed_shocks, run
from tests.contagion.oracle import Oracle, without

if TYPE_CHECKING:
    from graphs.network import Network

FORMS = ("exponential", "linear", "square_root")


def compare(net: Network, seed: int, *, extra: bool) -> int:
    """Run both; returns how many accounts were liquidated."""
    shocks, impact, withdrawal = mixed_shocks(net, seed, extra=extra), FORMS[seed % 3], float(seed % 2)
    done = run(net, shocks, impact=impact, withdrawal=withdrawal, max_rounds=200, audit=False)
    oracle = Oracle(net, Scenario.from_shocks(shocks).stages[0].shocks, impact=impact, withdrawal=withdrawal).go(200)
    assert oracle.round == done.outcome.rounds
    system = done.state.system
    # under a square root the smallest rounding of an order is seen in the price
    exact = 1e-6 if impact == "square_root" else 1e-9
    for market in range(system.markets.count):
        key = system.market_name(market)
        assert done.state.books.price[market] == pytest.approx(oracle.price[key], rel=exact), key
    assert done.defaulted() == set(oracle.failed)
    for exchange in oracle.rule:
        assert done.fund(exchange) == pytest.approx(oracle.fund[exchange], rel=exact, abs=1e-4)
        assert done.house(exchange) == pytest.approx(oracle.house[exchange], rel=exact, abs=1e-4)
    hit = set()
    for kind in FORCED_OR_ADL:
        for _, who, _ in done.state.journal.accounts[kind]:
            hit |= {(system.nodes.name(system.accounts.owner[a]), system.exchanges.names[system.accounts.exchange[a]]) for a in who}
    assert hit == oracle.liquidated
    for name, equity in oracle.node_equity.items():
        scale = exact * (abs(equity) + max(abs(usd) for usd in oracle.house.values()))
        assert done.node_equity(name) == pytest.approx(equity, abs=scale + 1e-4), name
    return len(hit)


@pytest.mark.parametrize("seed", range(12))
def test_plain_networks(seed: int) -> None:
    compare(random_network(seed=seed, traders=40, rules="plain"), seed, extra=False)


@pytest.mark.parametrize("seed", range(8))
def test_networks_of_longs(seed: int) -> None:
    assert compare(random_network(seed=seed, traders=40, rules="longs"), seed, extra=False)


@pytest.mark.parametrize("seed", range(30))
def test_networks_with_every_rule_that_the_oracle_knows(seed: int) -> None:
    compare(without(random_network(seed=seed, traders=40)), seed, extra=True)

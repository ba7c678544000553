"""Finished runs and their graphs, for the tests of what is shown and of what is written."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from contagion.cascade import Cascade, run
from contagion.gephi import graph_tables
from contagion.scenario import Scenario, load_scenario
from graphs.catalog import load_network
from graphs.generate import random_network

if TYPE_CHECKING:
    import pandas as pd

    from graphs.network import Network

RUNS = ("one_book_ladder", "two_exchange_stablecoin", "delta_neutral_issuer", "interbank_ring", "random-1", "random-2", "oct2025")
TIGHT = {"oct2025": 150}
"""Most nodes where a graph is to have cohorts; 24 elsewhere."""


def network(name: str) -> Network:
    if name.startswith("random-"):
        return random_network(seed=int(name.removeprefix("random-")))
    return load_network(name, accounts=1000) if name == "oct2025" else load_network(name)


@functools.cache
def finished(name: str) -> tuple[Network, Cascade]:
    net = network(name)
    if name == "oct2025":
        scenario = load_scenario("oct2025")
    elif net.count("asset"):
        scenario = Scenario.from_shocks([f"{net.node_ids('asset')[0]}=-25%"])
    else:
        scenario = Scenario.from_shocks([f"loss:{net.node_ids('trader')[0]}=50"])
    return net, run(net, scenario)


@functools.cache
def tables(name: str, *, tight: bool = False) -> dict[str, pd.DataFrame]:
    net, cascade = finished(name)
    return graph_tables(cascade, net=net, max_nodes=TIGHT.get(name, 24) if tight else 10_000)

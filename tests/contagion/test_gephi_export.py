"""A run as a graph: nothing is lost when nodes are merged, and states, prices and edges are those of the run, round by round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion.cascade import run
from contagion.gephi import graph_tables, network_graph
from contagion.gephi.nodes import paint_portrait
from contagion.gephi.states import HOLDER, final_levels, holder_changes, holder_rounds
from contagion.journal import FORCED, Flow
from contagion.scenario import Scenario
from contagion.state import NEVER
from graphs.generate import rename_network
from graphs.schema import NODES
from graphs.toys import one_book_ladder
from tests.contagion.exported import RUNS, TIGHT, finished, tables

if TYPE_CHECKING:
    from graphs.network import Network


def holdings(net: Network) -> pd.Series[float]:
    """Gross notional of the network by exchange, asset and side, at the price of the market on which a position trades."""
    market = net.frame("market").sort_values("instrument").drop_duplicates(["exchange", "asset"])  # perp before spot
    rows = net.frame("margin").merge(market[["exchange", "asset", "price"]], on=["exchange", "asset"])
    rows["side"] = np.where(rows["quantity"] < 0, "short", "long")
    rows["usd"] = rows["quantity"].abs() * rows["price"]
    totals: pd.Series[float] = rows[rows["usd"] > 0].groupby(["exchange", "asset", "side"])["usd"].sum()
    return totals


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("name", [name for name in RUNS if name != "interbank_ring"])
def test_no_notional_is_lost(name: str, *, tight: bool) -> None:
    edges = tables(name, tight=tight)["graph_edges"]
    margin = edges[(edges["layer"] == "margin") & (edges["notional"] > 0)]
    shown = margin.groupby(["exchange", "target", "side"])["notional"].sum()
    expected = holdings(finished(name)[0])
    assert list(shown.index) == list(expected.index)
    np.testing.assert_allclose(shown, expected, rtol=1e-9)
    market = edges[edges["layer"] == "market"].groupby(["exchange", "target"])[["notional", "notional_end"]].sum()
    positions = edges[edges["layer"] == "margin"].groupby(["exchange", "target"])[["notional", "notional_end"]].sum()
    np.testing.assert_allclose(market.reindex(positions.index), positions, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("name", RUNS)
def test_no_equity_and_no_close_is_lost(name: str, *, tight: bool) -> None:
    nodes, cascade = tables(name, tight=tight)["graph_nodes"], finished(name)[1]
    start, end = cascade.outcome.initial.node_equity, cascade.outcome.state.node_equity
    scale = np.abs(start).sum()
    assert nodes["equity_initial"].sum() == pytest.approx(start.sum(), abs=1e-12 * scale)
    assert nodes["equity_final"].sum() == pytest.approx(end.sum(), abs=1e-12 * scale)
    assert nodes["loss"].sum() == pytest.approx((start - end).sum(), abs=1e-12 * scale)
    hit = sum(usd.sum() for kind in FORCED for _, owner, usd in cascade.outcome.state.journal.accounts[kind] if owner.size)
    issuers = sum(
        usd[cascade.prepared.system.accounts.owner[accounts] >= cascade.prepared.system.nodes.traders].sum()
        for kind in FORCED
        for _, accounts, usd in cascade.outcome.state.journal.accounts[kind]
    )
    people = nodes[nodes["node_type"].isin(["trader", "cohort"])]
    assert people["liquidated_usd"].sum() == pytest.approx(hit - issuers)
    assert people["members"].sum() == cascade.prepared.system.nodes.traders
    venues = nodes[nodes["node_type"] == "exchange"].set_index("id")
    assert venues["liquidated_usd"].to_dict() == pytest.approx(cascade.exchanges.set_index("exchange")["liquidated_usd"].to_dict())


@pytest.mark.parametrize("name", ["random-1", "random-2", "oct2025"])
def test_a_tight_graph_keeps_venues_and_coins_and_who_lost_most(name: str) -> None:
    net, cascade = finished(name)
    nodes = tables(name, tight=True)["graph_nodes"]
    assert len(nodes) <= TIGHT.get(name, 24)
    shown = set(nodes["id"])
    for kind in NODES[1:]:
        assert shown >= set(net.node_ids(kind))
    cohorts = nodes[nodes["node_type"] == "cohort"]
    assert not cohorts.empty
    assert (cohorts["members"] > 1).all()
    loss = cascade.outcome.initial.node_equity - cascade.outcome.state.node_equity
    worst = int(np.argmax(loss[: cascade.prepared.system.nodes.traders]))
    assert cascade.prepared.system.nodes.name(worst) in shown


def test_a_graph_too_small_for_its_venues_has_one_cohort_a_state() -> None:
    net, cascade = finished("random-1")
    nodes = graph_tables(cascade, net=net, max_nodes=1)["graph_nodes"]
    people = nodes[~nodes["node_type"].isin(["exchange", "asset", "stablecoin"])]
    assert people["final_state"].is_unique
    assert people["members"].sum() == cascade.prepared.system.nodes.traders


@pytest.mark.parametrize("name", ["random-1", "oct2025"])
def test_a_cohort_is_of_like_traders_and_turns_when_half_of_them_have(name: str) -> None:
    net, cascade = finished(name)
    portrait = paint_portrait(cascade, max_nodes=TIGHT.get(name, 24), net=net)
    first, nodes = portrait.first, cascade.prepared.system.nodes
    for row in portrait.frame.index[portrait.frame["node_type"] == "cohort"]:
        members = np.flatnonzero(portrait.place == row)
        assert (members < nodes.traders).all()
        level = HOLDER.index(portrait.frame.loc[row, "final_state"])
        assert (final_levels(first)[members] == level).all()
        turned = np.sort(first[level, members])[(members.size + 1) // 2 - 1] if level else NEVER
        assert portrait.turned[row] == turned


@given(st.lists(st.lists(st.integers(0, 6), min_size=6, max_size=6), min_size=1, max_size=5))
def test_a_holder_is_in_the_gravest_state_that_it_has_reached(rounds: list[list[int]]) -> None:
    first = np.array(rounds).T
    first[first == 6] = NEVER
    first[0] = 0
    node, when, level = holder_changes(first)
    for holder in range(first.shape[1]):
        for now in range(6):
            gravest = max(state for state in range(6) if first[state, holder] <= now)
            past = np.flatnonzero((node == holder) & (when <= now))
            assert level[past[-1]] == gravest
        assert final_levels(first)[holder] == gravest


def test_half_of_the_equity_is_lost_in_the_round_in_which_it_is() -> None:
    net = one_book_ladder()
    cascade = run(net, Scenario.from_shocks(["COIN=-5%"]))
    first, system = holder_rounds(cascade), cascade.prepared.system
    survivor = system.node("Long5")  # never liquidated, so its equity follows the mark
    account = int(np.flatnonzero(system.accounts.owner == survivor)[0])
    row = int(system.accounts.start[account])
    start = cascade.outcome.initial.equity[account]
    equity = start + system.accounts.quantity[row] * (cascade.path("mark")[:, 0] - system.markets.price[0])
    assert equity[-1] == pytest.approx(cascade.outcome.state.equity[account])
    assert first[HOLDER.index("stressed"), survivor] == np.flatnonzero(equity <= 0.5 * start)[0]


@pytest.mark.parametrize("name", RUNS)
def test_states_prices_and_ends_are_those_of_the_run(name: str) -> None:
    cascade, found = finished(name)[1], tables(name)
    nodes, states, edges = found["graph_nodes"].set_index("id"), found["graph_states"], found["graph_edges"]
    last = states[states["state"] != ""].groupby("node")["state"].last()
    assert last.to_dict() == nodes["final_state"].to_dict()
    assert not states.duplicated(["node", "round"]).any()
    rounds = cascade.outcome.rounds
    assert states["round"].between(0, rounds).all()
    state, system = cascade.outcome.state, cascade.prepared.system
    failed = {system.nodes.name(node): int(state.node_default[node]) for node in np.flatnonzero(state.node_default >= 0)}
    assert nodes["default_round"].dropna().astype(int).to_dict() == failed
    for node, when in failed.items():
        assert nodes.loc[node, "final_state"] == "defaulted"
        assert ((states["node"] == node) & (states["round"] == when) & (states["state"] == "defaulted")).any()
    prices = states.dropna(subset="price").groupby("node")["price"].last()
    assert prices.to_dict() == dict(zip(system.coins.names, state.coin_price.tolist(), strict=True))
    margin = edges[edges["layer"] == "margin"]
    gone = margin["end_round"].notna()
    assert (gone == (margin["notional_end"] == 0)).all()
    assert margin.loc[gone, "end_round"].between(1, rounds).all()
    usd = states.dropna(subset="closed_usd").groupby("node")["closed_usd"].last()
    total = sum(cascade.closed(kind).sum() for kind in (*FORCED, Flow.ADL))
    assert usd[list(system.exchanges.names)].sum() == pytest.approx(total)


def test_a_liquidated_position_goes_in_the_round_after_its_last_close() -> None:
    cascade = run(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"]))
    edges = graph_tables(cascade)["graph_edges"].set_index(["source", "layer"])
    system = cascade.prepared.system
    for when, accounts, _ in cascade.outcome.state.journal.accounts[Flow.LIQUIDATION]:
        for owner in system.accounts.owner[accounts]:
            assert edges.loc[(system.nodes.name(owner), "margin"), "end_round"] == when + 1


def test_a_network_alone_has_the_equity_that_a_run_starts_from() -> None:
    net, cascade = finished("random-1")
    alone, seen = network_graph(net, max_nodes=10_000)["graph_nodes"], tables("random-1")["graph_nodes"]
    both = alone.merge(seen, on="id")
    assert len(both) == len(alone) == cascade.prepared.system.nodes.count
    pd.testing.assert_series_equal(both["equity_initial_x"], both["equity_initial_y"], check_names=False)
    pd.testing.assert_series_equal(both["equity_final_x"], both["equity_initial_y"], check_names=False)


def test_exchanges_and_coins_lie_apart_and_traders_at_their_exchange() -> None:
    nodes = tables("oct2025")["graph_nodes"].set_index("id")
    places = nodes[["x", "y"]].to_numpy()
    fixed = nodes["node_type"].isin(["exchange", "asset", "stablecoin"]).to_numpy()
    gaps = np.hypot(*(places[fixed][:, None] - places[fixed][None, :]).transpose(2, 0, 1))
    sizes = nodes.loc[fixed, "size"].to_numpy()
    np.fill_diagonal(gaps, np.inf)
    assert (gaps > sizes[:, None] + sizes[None, :]).all()
    venues = nodes[nodes["node_type"] == "exchange"][["x", "y"]]
    people = nodes[nodes["node_type"].isin(["trader", "cohort"]) & nodes["exchange"].isin(venues.index)]
    away = np.hypot(*(people[["x", "y"]].to_numpy()[:, None] - venues.to_numpy()[None, :]).transpose(2, 0, 1))
    nearest = venues.index[away.argmin(axis=1)]
    assert (nearest == people["exchange"]).mean() > 0.8


def test_a_trader_that_is_called_like_a_cohort_keeps_its_name() -> None:
    net, cascade = finished("random-1")
    plain = graph_tables(cascade, net=net, max_nodes=24)["graph_nodes"]
    cohort = plain.loc[plain["node_type"] == "cohort", "id"].iloc[0]
    trader = plain.loc[plain["node_type"] == "trader", "id"].iloc[0]
    net = rename_network(net, {trader: cohort})
    scenario = Scenario.from_shocks([f"{net.node_ids('asset')[0]}=-25%"])
    nodes = graph_tables(run(net, scenario), net=net, max_nodes=24)["graph_nodes"].set_index("id")
    assert nodes.index.is_unique
    assert nodes.loc[cohort, "node_type"] == "trader"
    assert nodes.loc[f"{cohort}'", "node_type"] == "cohort"

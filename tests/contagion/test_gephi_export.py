"""A run as a graph: nothing is lost when nodes are merged, and every reader takes the file as it is meant."""

from __future__ import annotations

import csv
import functools
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]

from contagion.cascade import Cascade, run
from contagion.errors import RunError
from contagion.gephi import SUFFIXES, TABLES, graph_tables, network_graph, write_graph
from contagion.gephi.nodes import LONGEST_LABEL, paint_portrait
from contagion.gephi.states import HOLDER, final_levels, holder_changes, holder_rounds
from contagion.journal import FORCED, Flow
from contagion.scenario import Scenario, load_scenario
from contagion.state import NEVER
from graphs import gephi
from graphs.catalog import load_network
from graphs.files import WriteError
from graphs.generate import random_network, rename_network, shuffle_network
from graphs.gexf_lint import lint_gexf
from graphs.schema import NODES
from graphs.toys import one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from graphs.network import Network

ROOT = Path(gephi.__file__).resolve().parents[1]
SCHEMA = etree.RelaxNG(etree.parse(ROOT / "graphs" / "data" / "gexf.rng"))
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


def written(found: dict[str, pd.DataFrame], path: Path, **options: Any) -> bytes:  # noqa: ANN401 - those of write_graph
    (file,) = write_graph(found, path, **options)
    return file.read_bytes()


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


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("name", RUNS)
def test_every_reader_takes_the_file_as_it_is_meant(name: str, tmp_path: Path, *, tight: bool, static: bool) -> None:
    found, file = tables(name, tight=tight), tmp_path / "cascade.gexf"
    written(found, file, static=static)
    assert lint_gexf(file) == []
    assert SCHEMA.validate(etree.parse(file)), SCHEMA.error_log
    graph = nx.read_gexf(file)
    nodes, edges = found["graph_nodes"], found["graph_edges"]
    assert set(graph) == set(nodes["id"])
    assert graph.number_of_edges() == len(edges)
    for row in nodes.itertuples():
        looks = graph.nodes[row.id]["viz"]
        assert looks["size"] == pytest.approx(row.size)
        assert "#{r:02x}{g:02x}{b:02x}".format(**looks["color"]) == row.colour
        assert graph.nodes[row.id]["final_state"] == row.final_state
        assert len(row.label) <= LONGEST_LABEL
    notional = {(source, target, data["id"]): data["notional"] for source, target, data in graph.edges(data=True)}
    assert sorted(notional.values()) == sorted(edges["notional"])


def test_a_run_without_edges_of_a_kind_or_rounds_can_be_written(tmp_path: Path) -> None:
    for name in ("interbank_ring", "two_exchange_stablecoin"):
        found = network_graph(load_network(name))
        assert (found["graph_nodes"]["final_state"] == "sound").all()
        file = tmp_path / f"{name}.gexf"
        assert b'mode="static"' in written(found, file)
        assert b'mode="dynamic"' not in file.read_bytes()
        assert lint_gexf(file) == []


def test_a_network_alone_has_the_equity_that_a_run_starts_from() -> None:
    net, cascade = finished("random-1")
    alone, seen = network_graph(net, max_nodes=10_000)["graph_nodes"], tables("random-1")["graph_nodes"]
    both = alone.merge(seen, on="id")
    assert len(both) == len(alone) == cascade.prepared.system.nodes.count
    pd.testing.assert_series_equal(both["equity_initial_x"], both["equity_initial_y"], check_names=False)
    pd.testing.assert_series_equal(both["equity_final_x"], both["equity_initial_y"], check_names=False)


@pytest.mark.parametrize("max_nodes", [24, 10_000])
def test_the_order_of_rows_changes_no_byte(tmp_path: Path, max_nodes: int) -> None:
    net = random_network(seed=3)
    scenario = Scenario.from_shocks([f"{net.node_ids('asset')[0]}=-25%"])
    files = []
    for order, rows in enumerate((net, shuffle_network(net, 5))):
        files.append(written(graph_tables(run(rows, scenario), net=rows, max_nodes=max_nodes), tmp_path / f"{order}.gexf"))
    assert files[0] == files[1]


def test_the_hash_seed_changes_no_byte(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom contagion.gephi import network_graph, write_graph\nfrom graphs.generate import random_network\n"
        "found = network_graph(random_network(seed=3), max_nodes=24)\n"
        "for file in sys.argv[1:]:\n    write_graph(found, file)\n"
    )
    files = [tmp_path / f"other{suffix}" for suffix in (".gexf", ".gexf.gz", ".graphml", ".json")]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, *map(str, files)], check=True, env=environment, cwd=tmp_path)
    found = network_graph(random_network(seed=3), max_nodes=24)
    for file in files:
        assert written(found, tmp_path / file.name.replace("other", "own")) == file.read_bytes()


@pytest.mark.parametrize("tight", [False, True])
def test_a_run_directory_gives_the_same_file_as_its_tables(tmp_path: Path, *, tight: bool) -> None:
    for name in ("random-1", "interbank_ring"):
        found, folder = tables(name, tight=tight), tmp_path / name
        folder.mkdir()
        for table, frame in found.items():
            frame.to_parquet(folder / f"{table}.parquet", index=False)
        for suffix in (".gexf", ".json"):
            assert written(found, folder / f"a{suffix}") == (write_graph(folder, folder / f"b{suffix}")[0]).read_bytes()


@pytest.mark.parametrize("name", ["random-1", "interbank_ring"])
@pytest.mark.parametrize("suffix", [".graphml", ".json"])
def test_network_libraries_read_every_edge_by_its_kind(tmp_path: Path, name: str, suffix: str) -> None:
    found, file = tables(name), tmp_path / f"graph{suffix}"
    written(found, file)
    if suffix == ".graphml":
        graph = nx.read_graphml(file, force_multigraph=True)
        keys = sorted((source, target, data["kind"]) for source, target, data in graph.edges(data=True))
    else:
        graph = nx.node_link_graph(json.loads(file.read_text(encoding="utf-8")), edges="links")
        keys = sorted(graph.edges(keys=True))
    nodes, edges = found["graph_nodes"].set_index("id"), found["graph_edges"]
    assert keys == sorted(edges[["source", "target", "kind"]].itertuples(index=False, name=None))
    for node, data in graph.nodes(data=True):
        assert data["final_state"] == nodes.loc[node, "final_state"]
        assert ("default_round" in data) == bool(pd.notna(nodes.loc[node, "default_round"]))
        assert data["x"] == nodes.loc[node, "x"]
    assert sum(data["notional"] for _, _, data in graph.edges(data=True)) == pytest.approx(edges["notional"].sum())


def test_a_csv_name_gives_two_tables(tmp_path: Path) -> None:
    files = write_graph(tables("random-1"), tmp_path / "graph.csv")
    assert [file.name for file in files] == ["graph-nodes.csv", "graph-edges.csv"]
    for file, table in zip(files, TABLES, strict=False):
        with file.open(encoding="utf-8", newline="") as stream:
            assert len(list(csv.DictReader(stream))) == len(tables("random-1")[table])


def test_a_packed_file_holds_the_plain_one(tmp_path: Path) -> None:
    found = tables("one_book_ladder")
    assert gzip.decompress(written(found, tmp_path / "a.gexf.gz")) == written(found, tmp_path / "a.gexf")


def test_layouts_differ_in_nothing_but_places(tmp_path: Path) -> None:
    found = tables("random-1")
    graphs = []
    for layout in ("spring", "none"):
        written(found, tmp_path / f"{layout}.json", layout=layout)
        written(found, tmp_path / f"{layout}.gexf", layout=layout)
        assert lint_gexf(tmp_path / f"{layout}.gexf") == []
        frame = pd.read_json(tmp_path / f"{layout}.json", typ="series", orient="index")
        graphs.append(pd.DataFrame(frame["nodes"]))
    assert (graphs[0]["x"] != graphs[1]["x"]).any()
    pd.testing.assert_frame_equal(graphs[0].drop(columns=["x", "y"]), graphs[1].drop(columns=["x", "y"]))


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


@pytest.mark.parametrize("name", ["graph.png", "graph", ".gexf", "gexf"])
def test_a_name_that_tells_no_format_is_refused_with_those_that_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(WriteError) as caught:
        write_graph(tables("one_book_ladder"), tmp_path / name)
    assert all(suffix in str(caught.value) for suffix in SUFFIXES)
    assert not list(tmp_path.iterdir())


def test_a_layout_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="use spring or none"):
        write_graph(tables("one_book_ladder"), tmp_path / "a.gexf", layout="circle")  # type: ignore[arg-type]


def test_a_directory_without_a_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"graph_nodes\.parquet: is not there"):
        write_graph(tmp_path, tmp_path / "a.gexf")
    for table in TABLES:
        (tmp_path / f"{table}.parquet").write_bytes(b"no table")
    with pytest.raises(RunError, match=r"graph_nodes\.parquet: cannot be read"):
        write_graph(tmp_path, tmp_path / "a.gexf")
    assert not (tmp_path / "a.gexf").exists()


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda name: name != "USD")


@given(st.lists(NAMES, min_size=12, max_size=12, unique=True), st.booleans())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_name_breaks_a_file(tmp_path: Path, names: list[str], merge: bool) -> None:  # noqa: FBT001 - drawn
    net = two_exchange_stablecoin()
    ids = [node for kind in NODES for node in net.node_ids(kind)]
    assert len(ids) == len(names)
    found = network_graph(_renamed(net, dict(zip(ids, names, strict=True))), max_nodes=6 if merge else 100)
    for suffix in (".gexf", ".graphml", ".json", ".csv"):
        write_graph(found, tmp_path / f"nasty{suffix}")
    assert lint_gexf(tmp_path / "nasty.gexf") == []
    for graph in (nx.read_gexf(tmp_path / "nasty.gexf"), nx.read_graphml(tmp_path / "nasty.graphml")):
        assert len(graph) == len(found["graph_nodes"])
        assert graph.number_of_edges() == len(found["graph_edges"])
    plain = [name for name in found["graph_nodes"]["id"] if name.isprintable() and name.strip()]
    assert set(plain) <= set(nx.read_gexf(tmp_path / "nasty.gexf"))


def _renamed(net: Network, names: dict[str, str]) -> Network:
    """Rename by way of names that nobody has, as a new name may be another's old one."""
    between = {old: f"between {place}" for place, old in enumerate(names)}
    return rename_network(rename_network(net, between), {between[old]: new for old, new in names.items()})


def test_ids_that_look_alike_when_escaped_stay_apart(tmp_path: Path) -> None:
    net = _renamed(one_book_ladder(), {"Long1": "a\nb", "Long2": "a\\x0ab", "Long3": "a\\x0ab'", "Book": "E\tX", "Whale": " "})
    written(network_graph(net), tmp_path / "a.gexf")
    assert lint_gexf(tmp_path / "a.gexf") == []
    graph = nx.read_gexf(tmp_path / "a.gexf")
    assert {"a\\x0ab", "a\\x0ab'", "a\\x0ab''", "E\\x09X", "\\x20"} <= set(graph)


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

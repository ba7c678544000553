"""Graphs: no row and no bit is lost on the way to NetworkX, GraphML and JSON and back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.convert import from_exposures, from_networkx, read_graphml, read_node_link, to_networkx, write_graphml, write_node_link
from graphs.errors import CheckError, GraphError, ReadError
from graphs.network import Network
from graphs.schema import NODES, TABLES, USD
from tests.graphs.samples import ANY_TEXT, linked_networks, sound


def test_edge_keys_are_those_of_the_model() -> None:
    graph = to_networkx(sound())
    keys = {(data["kind"], key) for _, _, key, data in graph.edges(keys=True, data=True)}
    assert keys == {
        ("margin", "margin@Binance"),
        ("margin", "margin@Binance#isolated"),
        ("margin", "margin@Bybit"),
        ("collateral", "collateral@Binance"),
        ("collateral", "collateral@Bybit"),
        ("market", "market#spot"),
        ("market", "market#perp"),
        ("margin_tier", "margin_tier#1"),
        ("margin_tier", "margin_tier#2"),
        ("holding", "holding"),
        ("backing", "backing"),
        ("backing", "backing@Binance"),
        ("credit", "credit#1"),
        ("credit", "credit#2"),
        ("liquidity", "liquidity@Binance#perp"),
        ("arbitrage", "arbitrage"),
    }


def test_brackets_are_numbered_by_floor_in_any_order_of_rows() -> None:
    tiers = sound().frame("margin_tier").iloc[::-1]
    graph = to_networkx(sound(margin_tier=tiers))
    assert graph.edges["Binance", "BTC", "margin_tier#1"]["floor"] == 0.0
    assert graph.edges["Binance", "BTC", "margin_tier#2"]["floor"] == 1000.0


def test_nodes_and_edges_bear_their_cells_and_no_empty_ones() -> None:
    graph = to_networkx(sound())
    assert graph.nodes["ann"] == {"kind": "trader", "role": "fund", "cash": 10.0, "leverage_limit": 5.0, "leverage_target": 4.0}
    assert graph.nodes["Bybit"] == {"kind": "exchange"}
    assert graph.nodes[USD] == {"kind": "currency"}
    isolated = {"mode": "isolated", "isolated_margin": 20.0, "quantity": 1.0, "entry_price": 90.0}
    assert graph.edges["ann", "BTC", "margin@Binance#isolated"] == {"kind": "margin", "row": 2, "exchange": "Binance"} | isolated
    assert graph.graph == {"name": "sound", "as_of": "2025-10-10T20:50:00Z", "sources": ["a test"]}
    assert graph.number_of_edges() == sum(sound().count(kind) for kind, table in TABLES.items() if table.is_edge)


@settings(max_examples=30)
@given(linked_networks(text=ANY_TEXT))
def test_networkx_and_back_is_exact(net: Network) -> None:
    graph = to_networkx(net)
    assert graph.number_of_edges() == sum(net.count(kind) for kind, table in TABLES.items() if table.is_edge)
    assert from_networkx(graph).equals(net)
    assert all(type(value) in {str, int, float, bool} for _, data in graph.nodes(data=True) for value in data.values())


@settings(max_examples=30)
@given(linked_networks())
def test_graphml_and_back_is_exact(net: Network) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "net.graphml"
        write_graphml(net, file)
        assert read_graphml(file).equals(net)
        # The same through NetworkX alone.
        assert from_networkx(nx.read_graphml(file, force_multigraph=True), ignore={"id"}).equals(net)
        ids = [edge.get("id") for edge in ET.parse(file).iter("{http://graphml.graphdrawing.org/xmlns}edge")]  # noqa: S314 - our own file
        assert len(set(ids)) == len(ids)


@settings(max_examples=30)
@given(linked_networks(text=ANY_TEXT))
def test_node_link_json_and_back_is_exact(net: Network) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "net.json"
        write_node_link(net, file)
        assert read_node_link(file).equals(net)


def test_integers_and_floats_come_back_as_such(tmp_path: Path) -> None:
    write_graphml(sound(), tmp_path / "net.graphml")
    graph = nx.read_graphml(tmp_path / "net.graphml", force_multigraph=True)
    (position,) = [data for _, _, data in graph.edges(data=True) if data.get("order") == 1]
    assert type(position["order"]) is int
    assert type(position["quantity"]) is float
    assert position["key"] == "margin@Binance"


@pytest.mark.parametrize(
    "frames",
    [
        {"holding": pd.DataFrame({"owner": ["ann", "ann"], "asset": ["BTC", "BTC"], "quantity": [1.0, 2.0]})},
        {"holding": pd.DataFrame({"owner": ["ann"], "asset": ["nothing"], "quantity": [1.0]})},
        {"asset": pd.DataFrame({"id": ["BTC", "ETH", "ann"], "price": 1.0})},
        {"holding": pd.DataFrame({"owner": ["ann"], "asset": [None], "quantity": [1.0]})},
    ],
)
def test_a_network_that_would_lose_a_row_is_refused(frames: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(CheckError):
        to_networkx(sound(**frames))


def test_keys_that_a_hash_in_a_name_makes_equal_are_refused() -> None:
    net = Network.from_frames(
        name="hash",
        trader=pd.DataFrame({"id": ["a"]}),
        asset=pd.DataFrame({"id": ["BTC"], "price": [1.0]}),
        exchange=pd.DataFrame({"id": ["X", "X#isolated"]}),
        margin=pd.DataFrame(
            {
                "owner": "a",
                "asset": "BTC",
                "exchange": ["X", "X#isolated"],
                "quantity": 1.0,
                "entry_price": 1.0,
                "mode": ["isolated", "cross"],
            }
        ),
    )
    with pytest.raises(GraphError, match="take the # out"):
        to_networkx(net)


def graph_of(*nodes: tuple[Any, dict[str, Any]]) -> nx.MultiDiGraph[Any]:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_nodes_from(nodes)
    return graph


def test_a_graph_made_by_hand_is_read() -> None:
    graph = graph_of(("a", {"kind": "trader", "cash": np.float64(2)}), ("b", {"kind": "trader", "cash": 3}))
    graph.add_edge("a", "b", key="credit#2", amount=5, seniority=np.int64(2))
    graph.add_edge("a", "b", kind="credit", amount=1.5)
    net = from_networkx(graph)
    assert net.name == "graph"
    assert net.numbers("trader", "cash").tolist() == [2.0, 3.0]
    assert net.frame("credit").to_numpy().tolist() == [["a", "b", 5.0, 2], ["a", "b", 1.5, 1]]
    plain: nx.DiGraph[Any] = nx.DiGraph(graph_of(("a", {"kind": "trader"}), ("b", {"kind": "trader"})))
    plain.add_edge("a", "b", kind="credit", amount=1.0)
    assert from_networkx(plain).count("credit") == 1


def test_edges_that_were_added_follow_those_with_a_row() -> None:
    graph = to_networkx(sound())
    graph.add_edge("vault", "ann", key="credit#1", amount=9.0)
    assert from_networkx(graph).numbers("credit", "amount").tolist() == [5.0, 5.0, 1.0, 9.0]


@pytest.mark.parametrize(
    ("node", "edge", "said"),
    [
        (("a", {}), {}, "node 'a' is of kind None; give it an attribute kind, one of trader"),
        (("a", {"kind": "bank"}), {}, "node 'a' is of kind 'bank'"),
        ((1, {"kind": "trader"}), {}, "node 1 is of kind 'trader'; name it by a text"),
        (("a", {"kind": "trader", "csh": 1.0}), {}, "table trader, column csh: no such column; did you mean 'cash'?"),
        (("a", {"kind": "trader", "cash": "much"}), {}, "column cash: 'much'"),
        (("a", {"kind": "trader"}), {"amount": 1.0}, "edge 'a' → 'a' is of kind '0'; use one of market"),
        (("a", {"kind": "trader"}), {"kind": "trader"}, "is of kind 'trader'; use one of market"),
        (("a", {"kind": "trader"}), {"kind": "credit", "amount": 1.0, "colour": "red"}, "table credit, column colour: no such column"),
    ],
)
def test_a_graph_that_is_no_network_is_refused(node: tuple[Any, dict[str, Any]], edge: dict[str, Any], said: str) -> None:
    graph = graph_of(node)
    if edge:
        graph.add_edge(node[0], node[0], **edge)
    with pytest.raises(GraphError) as caught:
        from_networkx(graph)
    assert said in str(caught.value)


def test_attributes_of_a_layout_may_be_left_behind() -> None:
    graph = to_networkx(sound())
    nx.set_node_attributes(graph, dict.fromkeys(graph, 1.0), "x")
    with pytest.raises(CheckError, match="column x: no such column"):
        from_networkx(graph)
    assert from_networkx(graph, ignore={"x"}).equals(sound())


def test_undirected_graphs_are_refused() -> None:
    with pytest.raises(GraphError, match="undirected"):
        from_networkx(nx.Graph())
    with pytest.raises(GraphError, match="undirected"):
        from_exposures(nx.Graph())


def test_files_that_are_no_graphs_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"", b"\xff\xfe\x00", b"<html></html>", b"[1]", b'{"nodes": [{"name": 1}]}', b"<a", b"<graphml/>"):
        file.write_bytes(content)
        with pytest.raises(ReadError, match="is no GraphML"):
            read_graphml(file)
        with pytest.raises(ReadError, match="is no node-link JSON"):
            read_node_link(file)
    for read in (read_graphml, read_node_link):
        with pytest.raises(ReadError, match="cannot be read"):
            read(tmp_path / "nowhere")
        with pytest.raises(ReadError, match="cannot be read"):
            read(tmp_path)


def test_what_a_format_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    bell = Network.from_frames(name="bell", trader=pd.DataFrame({"id": ["a\x07"]}))
    with pytest.raises(GraphError, match="control character"):
        write_graphml(bell, tmp_path / "net.graphml")
    endless = Network.from_frames(name="endless", trader=pd.DataFrame({"id": ["a"], "cash": [float("inf")]}))
    with pytest.raises(GraphError, match="NaN or infinite"):
        write_node_link(endless, tmp_path / "net.json")
    write_graphml(endless, tmp_path / "net.graphml")
    assert read_graphml(tmp_path / "net.graphml").equals(endless)
    assert [file.name for file in tmp_path.iterdir()] == ["net.graphml"]
    with pytest.raises(GraphError, match="is there already"):
        write_graphml(endless, tmp_path / "net.graphml", overwrite=False)


def test_both_words_for_edges_in_json_are_read(tmp_path: Path) -> None:
    write_node_link(sound(), tmp_path / "net.json")
    data = json.loads((tmp_path / "net.json").read_text())
    data["edges"] = data.pop("links")
    (tmp_path / "other.json").write_text(json.dumps(data))
    assert read_node_link(tmp_path / "other.json").equals(sound())


@given(st.integers(1, 6), st.data())
def test_exposures_become_loans_from_debtor_to_creditor(size: int, data: st.DataObject) -> None:
    amounts = data.draw(st.dictionaries(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), st.floats(0, 1e6), max_size=8))
    graph: nx.DiGraph[int] = nx.DiGraph(name="banks")
    graph.add_nodes_from((node, {"cash": 2.0, "external_assets": node, "external_debt": 1}) for node in range(size))
    graph.add_edges_from((debtor, creditor, {"owed": amount}) for (debtor, creditor), amount in amounts.items())
    net = from_exposures(graph, weight="owed")
    assert net.name == "banks"
    assert net.node_ids("trader") == [str(node) for node in range(size)]
    assert net.numbers("trader", "cash").tolist() == [2.0 + node for node in range(size)]
    assert net.numbers("trader", "external_debt").tolist() == [1.0] * size
    loans = zip(net.strings("credit", "debtor"), net.strings("credit", "creditor"), net.numbers("credit", "amount"), strict=True)
    assert {(int(debtor), int(creditor)): amount for debtor, creditor, amount in loans} == amounts


def test_exposures_that_say_too_little_or_too_much_are_refused() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_edge("a", "b")
    with pytest.raises(GraphError, match="'a' → 'b' has no attribute 'weight'"):
        from_exposures(graph)
    graph.edges["a", "b"]["weight"] = 1.0
    graph.edges["a", "b"]["since"] = 2024
    with pytest.raises(GraphError, match="table credit, column since: no such column"):
        from_exposures(graph)
    assert from_exposures(graph, ignore={"since"}).count("credit") == 1
    graph.nodes["a"]["external_assets"] = "many"
    with pytest.raises(GraphError, match="node 'a', external_assets: 'many'"):
        from_exposures(graph, ignore={"since"})
    twins: nx.DiGraph[Any] = nx.DiGraph([(1, "1")])
    with pytest.raises(GraphError, match="the same name as text"):
        from_exposures(twins)


def test_every_kind_of_node_is_a_kind_in_the_graph() -> None:
    kinds = {data["kind"] for _, data in to_networkx(sound()).nodes(data=True)}
    assert kinds == {*NODES, "currency"}


@pytest.mark.parametrize(
    ("value", "sources"), [(None, ()), ("", ()), ("one", ("one",)), ("[one", ("[one",)), ('["one"]', ("one",)), (["a", "b"], ("a", "b"))]
)
def test_sources_of_a_graph_are_a_list_or_a_text(value: object, sources: tuple[str, ...]) -> None:
    graph = graph_of()
    graph.graph["sources"] = value
    assert from_networkx(graph).sources == sources


def test_sources_of_another_type_are_refused() -> None:
    graph = graph_of()
    graph.graph["sources"] = 7
    with pytest.raises(GraphError, match="sources: 7; write a list"):
        from_networkx(graph)

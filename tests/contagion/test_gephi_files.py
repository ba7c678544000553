"""A graph in files: every reader takes them as they are meant, whatever the names, the order of rows, and the hash seed."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]

from contagion.cascade import run
from contagion.errors import RunError
from contagion.gephi import SUFFIXES, TABLES, graph_tables, network_graph, write_graph
from contagion.gephi.nodes import LONGEST_LABEL
from contagion.scenario import Scenario
from graphs import gephi
from graphs.catalog import load_network
from graphs.files import WriteError
from graphs.generate import random_network, rename_network, shuffle_network
from graphs.gexf_lint import lint_gexf
from graphs.schema import NODES
from graphs.toys import one_book_ladder, two_exchange_stablecoin
from tests.contagion.exported import RUNS, tables

if TYPE_CHECKING:
    from graphs.network import Network

ROOT = Path(gephi.__file__).resolve().parents[1]
SCHEMA = etree.RelaxNG(etree.parse(ROOT / "graphs" / "data" / "gexf.rng"))


def written(found: dict[str, pd.DataFrame], path: Path, **options: Any) -> bytes:  # noqa: ANN401 - those of write_graph
    (file,) = write_graph(found, path, **options)
    return file.read_bytes()


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

"""A graph written for Gephi is read back as it was, whatever it holds; what a reader would lose is refused."""

from __future__ import annotations

import csv
import gzip
import math
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]

from graphs import gephi
from graphs.errors import CheckError, GraphError
from graphs.files import WriteError
from graphs.gephi import KIND_COLOURS, STATE_COLOURS, log_weights, palette_colours, rank_sizes, write_csv_pair, write_gexf
from graphs.gexf import GexfChanges, GexfColumn, GexfGraph, check_graph, toy_graph
from graphs.gexf_lint import lint_gexf
from tests.graphs.gexf_samples import (
    ROOT,
    SCHEMA,
    SPACE,
    constant_values,
    declared,
    empty_graph,
    given_values,
    graphs,
    is_missing,
    market,
    parsed,
    texts,
    values_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# --- what a reader finds ------------------------------------------------------------------------------------------------------------


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_every_cell_is_read_back(graph: GexfGraph, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("read") / "graph.gexf"
    write_gexf(graph, path)
    root = ET.parse(path).getroot()  # noqa: S314 - written a line before
    nodes, edges = root.findall(f".//{SPACE}node"), root.findall(f".//{SPACE}edge")
    assert [node.attrib["id"] for node in nodes] == graph.node_ids.tolist()
    assert [node.attrib["label"] for node in nodes] == graph.node_labels.tolist()
    types = declared(root, "node")
    for row, node in enumerate(nodes):
        looks_ = {key: value for element in node if "viz" in element.tag for key, value in element.attrib.items()}
        assert [int(looks_[channel]) for channel in "rgb"] == graph.colours[row].tolist()
        assert [float(looks_[name]) for name in ("x", "y", "value")] == pytest.approx([*graph.positions[row], graph.sizes[row]], abs=0.006)
        assert constant_values(node, types) == given_values(graph.node_columns, row)
        for changes in graph.node_changes:
            items = [item for item in node.iterfind(f".//{SPACE}attvalue") if item.attrib["for"] == changes.name]
            shown: list[object] = [None] * (graph.rounds + 1)
            for item in items:
                low, high = float(item.attrib["start"]), float(item.attrib["end"])
                for number in range(graph.rounds + 1):
                    if low <= number <= high:
                        assert shown[number] is None
                        shown[number] = parsed(types[changes.name], item.attrib["value"])
            assert shown == values_at(changes, row, graph.rounds)
    types = declared(root, "edge")
    for row, edge in enumerate(edges):
        ends = graph.node_ids[graph.edge_source[row]], graph.node_ids[graph.edge_target[row]]
        assert (edge.attrib["source"], edge.attrib["target"]) == ends
        assert edge.attrib["kind"] == graph.edge_kinds[graph.edge_kind[row]]
        assert float(edge.attrib["weight"]) == pytest.approx(graph.edge_weight[row], rel=1e-5)
        assert constant_values(edge, types) == given_values(graph.edge_columns, row)
        if graph.edge_start is not None and graph.edge_end is not None:
            low, high = float(edge.get("start", -1)), float(edge.get("end", graph.rounds + 1))
            there = [number for number in range(graph.rounds + 1) if low <= number <= high]
            assert there == list(range(graph.edge_start[row], min(graph.edge_end[row], graph.rounds + 1)))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), static=st.booleans(), packed=st.booleans())
def test_no_reader_objects(graph: GexfGraph, static: bool, packed: bool, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: FBT001
    path = tmp_path_factory.mktemp("lint") / ("graph.gexf.gz" if packed else "graph.gexf")
    write_gexf(graph, path, static=static)
    assert lint_gexf(path) == []
    with gzip.open(path) if packed else path.open("rb") as file:
        SCHEMA.assertValid(etree.parse(file))
    assert nx.read_gexf(path).number_of_nodes() == len(graph.node_ids)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("graph", [toy_graph(), empty_graph(), market(800, 3000)], ids=["toy", "empty", "market"])
def test_files_keep_to_our_schema(graph: GexfGraph, static: bool, tmp_path: Path) -> None:  # noqa: FBT001
    write_gexf(graph, tmp_path / "graph.gexf", static=static)
    SCHEMA.assertValid(etree.parse(tmp_path / "graph.gexf"))
    assert lint_gexf(tmp_path / "graph.gexf") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('version="1.3"', 'version="1.2"'),
        ("<meta>", "<meta><title/>"),
        ('defaultedgetype="directed"', 'defaultedgetype="undirected"'),
        ('timeformat="double"', 'timeformat="integer"'),
        (' timerepresentation="interval"', ""),
        ('type="integer"', 'type="anyURI"'),
        ('title="equity" type="double"/>', 'title="equity" type="double"><default>0</default></attribute>'),
        ('id="equity"', 'id="Equity"'),
        ('<node id="fund"', "<node"),
        ('label="Fund"', 'label=""'),
        ('value="1000000.0" start="0"', 'value="1000000.0"'),
        ('end="1.999"', 'end="soon"'),
        ('b="178"', 'b="256"'),
        ('b="178"', 'b="178" a="1.0"'),
        ('<viz:size value="100.0"/>', '<viz:size value="100.5"/>'),
        ('<viz:size value="100.0"/>', ""),
        ('x="100.0"', 'x="5000"'),
        ('weight="1"', 'weight="0"'),
        ('weight="1"', 'weight="11"'),
        (' kind="margin"', ""),
        ('<edges count="2">', "<edges>"),
        ("<nodes", "<edges/><nodes"),
    ],
)
def test_our_schema_refuses(old: str, new: str, tmp_path: Path) -> None:
    write_gexf(toy_graph(), tmp_path / "toy.gexf")
    text = (tmp_path / "toy.gexf").read_text(encoding="utf-8")
    assert text.count(old) >= 1
    assert not SCHEMA.validate(etree.fromstring(text.replace(old, new, 1).encode()))


def test_networkx_reads_parallel_edges_looks_and_values_over_time(tmp_path: Path) -> None:
    graph = toy_graph()
    write_gexf(graph, tmp_path / "toy.gexf")
    read = nx.read_gexf(tmp_path / "toy.gexf")
    assert (type(read), read.number_of_nodes(), read.number_of_edges()) == (nx.MultiDiGraph, 2, 2)
    fund = read.nodes["fund"]
    assert fund["equity"] == [(1e6, 0.0, 1.999), (-2e5, 2.0, 3.0)]
    assert (fund["default_round"], fund["start"], fund["end"]) == (2, 0.0, 3.0)
    assert "default_round" not in read.nodes["EX"]
    assert fund["viz"]["size"] == 4.0
    assert [fund["viz"]["color"][channel] for channel in "rgb"] == [86, 180, 233]
    assert [fund["viz"]["position"][axis] for axis in "xy"] == [100.0, 0.0]
    assert sorted(data["usd"] for _, _, data in read.edges(data=True)) == [1e6, 3e6]


def test_the_static_twin_holds_the_last_values_and_no_time(tmp_path: Path) -> None:
    graph = market(300, 900)
    write_gexf(graph, tmp_path / "static.gexf", static=True)
    assert b"start=" not in (tmp_path / "static.gexf").read_bytes()
    read = nx.read_gexf(tmp_path / "static.gexf")
    last = [values_at(graph.node_changes[0], row, graph.rounds)[-1] for row in range(40)]
    assert [read.nodes[graph.node_ids[row]]["state"] for row in range(40)] == last


def test_a_column_past_32_bits_is_long(tmp_path: Path) -> None:
    for value, kind in ((2**31 - 1, "integer"), (2**31, "long"), (-(2**31), "integer"), (-(2**31) - 1, "long")):
        graph = replace(toy_graph(), node_columns=(GexfColumn("number", "integer", np.array([0, value])),))
        write_gexf(graph, tmp_path / "graph.gexf")
        assert f'title="number" type="{kind}"' in (tmp_path / "graph.gexf").read_text(encoding="utf-8")


def test_numbers_that_python_writes_otherwise_than_java(tmp_path: Path) -> None:
    values = np.array([math.inf, -math.inf, math.nan, 1e300, 5e-324, -0.0, 1e16, 123_456_789.123_456_78])
    size = len(values)
    ids = texts([str(row) for row in range(size)])
    graph = replace(
        empty_graph(),
        node_ids=ids,
        node_labels=ids,
        colours=np.zeros((size, 3), dtype=int),
        sizes=np.full(size, 4.0),
        positions=np.zeros((size, 2)),
        node_columns=(GexfColumn("constant", "double", values),),
        node_changes=(GexfChanges("changing", "double", np.arange(size), np.zeros(size, dtype=int), values),),
    )
    write_gexf(graph, tmp_path / "graph.gexf")
    assert lint_gexf(tmp_path / "graph.gexf") == []
    root = ET.parse(tmp_path / "graph.gexf").getroot()  # noqa: S314 - written two lines before
    for name in ("constant", "changing"):
        shown = [item.attrib["value"] for item in root.iter(f"{SPACE}attvalue") if item.attrib["for"] == name]
        assert shown[:2] == ["Infinity", "-Infinity"]
        assert [float(text).hex() for text in shown] == [value.hex() for value in values.tolist() if not math.isnan(value)]


# --- the file as bytes --------------------------------------------------------------------------------------------------------------


def test_bytes_depend_on_the_graph_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = market(500, 2000)
    for name in ("one.gexf", "one.gexf.gz"):
        write_gexf(graph, tmp_path / name)
    monkeypatch.setattr(gephi, "CHUNK_ROWS", 7)
    monkeypatch.setattr("time.time", lambda: 2e9)
    for name in ("two.gexf", "two.gexf.gz"):
        write_gexf(graph, tmp_path / name)
    plain = (tmp_path / "one.gexf").read_bytes()
    assert plain == (tmp_path / "two.gexf").read_bytes()
    assert gzip.decompress((tmp_path / "one.gexf.gz").read_bytes()) == plain
    assert gzip.decompress((tmp_path / "two.gexf.gz").read_bytes()) == plain


def test_packed_bytes_are_the_same_under_another_name_time_and_hash_seed(tmp_path: Path) -> None:
    code = "import sys; from graphs.gephi import *; from graphs.gexf import toy_graph; write_gexf(toy_graph(), sys.argv[1])"
    files = [tmp_path / "one.gexf.gz", tmp_path / "another.gexf.gz"]
    for seed, file in enumerate(files):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo" if seed else "UTC"}
        subprocess.run([sys.executable, "-c", code, str(file)], check=True, env=environment)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes()[4:8] == bytes(4)  # the time stamp of the header


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "graph.gexf"
    target.write_text("as it was", encoding="utf-8")

    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gephi, "_edge_lines", full)
    with pytest.raises(WriteError, match="No space left"):
        write_gexf(toy_graph(), target)
    with pytest.raises(CheckError):
        write_gexf(replace(toy_graph(), rounds=-1), target)
    assert [file.name for file in tmp_path.iterdir()] == ["graph.gexf"]
    assert target.read_text(encoding="utf-8") == "as it was"


def test_a_name_that_gephi_does_not_open_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"\.gexf"):
        write_gexf(toy_graph(), tmp_path / "graph.gz")


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def written(graph: GexfGraph) -> None:
    with open(os.devnull, "wb") as sink:  # noqa: PTH123
        gephi._write(sink, graph, static=False)


def test_memory_does_not_grow_with_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gephi, "CHUNK_ROWS", 2000)
    small, large = market(5_000, 5_000), market(50_000, 50_000)
    assert peak(lambda: written(large)) < 1.1 * peak(lambda: written(small))
    checking = peak(lambda: check_graph(large))
    assert checking < 40 * (50_000 + 50_000)  # bytes a row: keys, their sorted copy, and what a comparison needs


# --- the parts of a graph -----------------------------------------------------------------------------------------------------------


@given(
    events=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from([1.0, 2.0, math.nan])), max_size=20),
)
def test_events_become_the_changes_they_make(events: list[tuple[int, int, float]]) -> None:
    node, start, values = np.array([*events, (0, 0, 0.0)]).T[:, :-1]
    made = GexfChanges.from_events("x", "double", node=node.astype(int), start=start.astype(int), values=values)
    for number in range(4):
        latest: dict[int, float] = {moment: value for who, moment, value in events if who == number}
        current, expected = None, []
        for moment in range(6):
            current = latest.get(moment, current)
            expected.append(None if is_missing(current) else current)
        assert values_at(made, number, 5) == expected
    together = list(zip(made.node.tolist(), made.start.tolist(), made.values.tolist(), strict=True))
    assert all(a[:2] < b[:2] for a, b in pairwise(together))
    assert all(a[0] != b[0] or repr(a[2]) != repr(b[2]) for a, b in pairwise(together))


@given(values=st.lists(st.floats(), max_size=30), seed=st.integers(0, 99))
def test_sizes_follow_the_rank_and_nothing_else(values: list[float], seed: int) -> None:
    array_ = np.array(values, dtype=float)
    sizes = rank_sizes(array_)
    order = np.random.default_rng(seed).permutation(len(array_))
    assert rank_sizes(array_[order]).tolist() == sizes[order].tolist()
    filled = np.where(np.isnan(array_), -np.inf, array_)
    for i in range(len(filled)):
        assert all((sizes[i] < sizes[j]) == (filled[i] < filled[j]) for j in range(len(filled)))
    if len(set(filled.tolist())) > 1:
        assert (sizes.min(), sizes.max()) == (4.0, 100.0)
    else:
        assert set(sizes.tolist()) <= {4.0}


@given(usd=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 1e300)), max_size=30))
def test_weights_rise_with_the_amount_within_their_bounds(usd: list[float]) -> None:
    weights = log_weights(np.array(usd, dtype=float))
    assert ((weights >= 1.0) & (weights <= 10.0)).all()
    order = np.argsort(usd, kind="stable")
    assert (np.diff(weights[order]) >= 0.0).all()


def test_weights_of_a_lognormal_use_the_scale() -> None:
    weights = log_weights(np.random.default_rng(0).lognormal(10.0, 2.0, 1000))
    assert (weights.min(), weights.max()) == (1.0, 10.0)
    assert 3.0 < np.median(weights) < 8.0


def test_amounts_that_have_no_weight_are_all_named() -> None:
    with pytest.raises(CheckError) as caught:
        log_weights(np.array([1.0, -1.0, math.nan, math.inf]))
    assert [finding.row for finding in caught.value.findings] == [2, 3, 4]


@pytest.mark.parametrize("palette", [KIND_COLOURS, STATE_COLOURS])
def test_colours_of_a_palette_differ_in_brightness_or_hue_also_without_red_and_green(palette: dict[str, tuple[int, int, int]]) -> None:
    colours = palette_colours(list(palette), palette)
    # what is left to someone without red cones or without green cones: blue-yellow and light (Viénot, Brettel and Mollon 1999, linear RGB)
    linear = (colours / 255.0) ** 2.2
    without_red = [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]
    without_green = [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]
    for matrix in (without_red, without_green):
        seen = (linear @ np.array(matrix).T).clip(0.0, 1.0) ** (1 / 2.2) * 255.0
        distance = np.sqrt(np.square(seen[:, None] - seen[None]).sum(axis=2)) + 1e3 * np.eye(len(seen))
        assert distance.min() > 20.0


def test_a_name_without_a_colour_is_refused() -> None:
    with pytest.raises(GraphError, match="'bank'"):
        palette_colours(["trader", "bank"], KIND_COLOURS)


# --- the pair of tables -------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_the_tables_hold_the_last_values(graph: GexfGraph, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("csv")
    write_csv_pair(graph, folder / "nodes.csv", folder / "edges.csv")
    tables = []
    for name in ("nodes", "edges"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    nodes, edges = tables
    assert [row["Id"] for row in nodes] == graph.node_ids.tolist()
    assert [row["Label"] for row in nodes] == graph.node_labels.tolist()
    assert [row["Weight"] for row in edges] == [repr(weight) for weight in graph.edge_weight.tolist()]
    assert [(row["Source"], row["Target"]) for row in edges] == [
        (graph.node_ids[a], graph.node_ids[b]) for a, b in zip(graph.edge_source, graph.edge_target, strict=True)
    ]
    for rows, held in ((nodes, graph.node_columns), (edges, graph.edge_columns)):
        for number, row in enumerate(rows):
            read = {c.name: parsed(c.type, row[c.name]) for c in held if row[c.name]}
            assert read == given_values(held, number)
    for changes_ in graph.node_changes:
        for number, row in enumerate(nodes):
            read_last = parsed(changes_.type, row[changes_.name]) if row[changes_.name] else None
            assert read_last == values_at(changes_, number, graph.rounds)[-1]

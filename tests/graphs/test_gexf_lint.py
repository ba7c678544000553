"""Every rule of the readers finds the fault that it is about, and nothing in a file as it should be."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import networkx as nx
import numpy as np
import pytest

from graphs.errors import ReadError
from graphs.gephi import write_gexf
from graphs.gexf import GexfGraph, toy_graph
from graphs.gexf_lint import lint_gexf
from graphs.gexf_rules import RULES

if TYPE_CHECKING:
    from pathlib import Path

VALUE = '<attvalue for="equity" value="1000000.0" start="0" end="1.999"/>'
MARGIN = 'weight="10" kind="margin" start="0" end="1.999">'
COLUMN = '<attribute id="default_round" title="default_round" type="integer"/>'
STATIC = f'<attributes class="node" mode="static">\n{COLUMN}\n</attributes>\n'

FAULTS: list[tuple[str, str, str, int]] = [  # rule, what stands in the file, what is put there, number of the element
    ("declares_utf8", 'encoding="UTF-8"', 'encoding="ASCII"', 0),
    ("declares_utf8", ' encoding="UTF-8"', "", 0),
    ("well_formed", 'label="Fund"', 'label="F\x01nd"', 16),
    ("well_formed", 'label="Fund"', 'label="F&nd"', 16),
    ("known_version", 'version="1.3"', 'version="2.0"', 1),
    ("directed_only", ' defaultedgetype="directed"', "", 1),
    ("text_ids", 'idtype="string"', 'idtype="integer"', 1),
    ("plain_time", 'timeformat="double"', 'timeformat="integer"', 1),
    ("plain_time", ' timeformat="double"', "", 1),
    ("plain_time", 'timerepresentation="interval"', 'timerepresentation="timestamp"', 1),
    (
        "dynamic_block_first",
        '<attributes class="edge" mode="static">',
        '<attributes class="node" mode="dynamic"/><attributes class="edge">',
        3,
    ),
    ("dynamic_block_first", '<attributes class="edge" mode="static">', '<attributes class="node"/><attributes class="edge">', 3),
    ("no_dynamic_default", 'title="equity" type="double"/>', 'title="equity" type="double"><default>0</default></attribute>', 1),
    ("known_type", 'title="usd" type="double"', 'title="usd" type="anyURI"', 3),
    ("column_named_once", COLUMN, f'{COLUMN}<attribute id="Equity" title="Equity" type="double"/>', 2),
    ("column_named_once", COLUMN, f"{COLUMN}{COLUMN}", 2),
    ("column_not_reserved", COLUMN, f'{COLUMN}<attribute id="timeset" title="timeset" type="string"/>', 2),
    ("column_not_reserved", COLUMN, f'{COLUMN}<attribute id="Label" title="Label" type="string"/>', 2),
    ("column_readable", COLUMN, f'{COLUMN}<attribute id="1" title="1" type="string"/>', 2),
    ("column_readable", COLUMN, f'{COLUMN}<attribute id="a" title="loss" type="string"/>', 2),
    ("id_once", '<edge id="e1"', '<edge id="e0"', 2),
    ("id_on_one_line", '<edge id="e1"', '<edge id="e&#10;1"', 2),
    ("label_given", ' label="Fund"', "", 2),
    ("label_given", 'label="Fund"', 'label=" "', 2),
    ("column_declared", 'for="usd" value="1000000.0"', 'for="eur" value="1000000.0"', 2),
    ("value_parses", 'value="-200000.0"', 'value="-inf"', 2),
    ("value_parses", 'value="-200000.0"', 'value="nan"', 2),
    ("value_parses", 'value="-200000.0"', 'value="1_000"', 2),
    ("value_parses", 'for="default_round" value="2"', 'for="default_round" value="2.0"', 2),
    ("value_parses", 'for="default_round" value="2"', 'for="default_round" value="3000000000"', 2),
    ("value_parses", 'type="integer"', 'type="boolean"', 2),
    ("value_not_empty", VALUE, '<attvalue for="equity" value="" start="0" end="1.999"/>', 2),
    ("intervals_disjoint", 'start="0" end="1.999"/>', 'start="0" end="2"/>', 2),
    ("intervals_disjoint", 'start="0" end="1.999"/>', 'start="0"/>', 2),
    ("intervals_disjoint", 'value="-200000.0" start="2" end="3"', 'value="-200000.0" start="2" end="1"', 2),
    ("intervals_disjoint", 'value="-200000.0" start="2" end="3"', 'value="-200000.0"', 2),
    ("only_start_and_end", MARGIN, f'{MARGIN}<spells><spell start="0" end="1"/></spells>', 1),
    ("only_start_and_end", MARGIN, 'weight="10" kind="margin" intervals="<[0,1]>">'.replace("<[", "&lt;["), 1),
    ("only_start_and_end", VALUE, VALUE.replace('start="0" end="1.999"', 'timestamp="0" start="0" end="1.999"'), 2),
    ("same_timeline", 'label="Fund" start="0" end="3"', 'label="Fund" start="0" end="2"', 2),
    ("same_timeline", 'label="Fund" start="0" end="3"', 'label="Fund"', 2),
    ("edge_within_timeline", MARGIN, 'weight="10" kind="margin" start="0" end="4">', 1),
    ("edge_within_timeline", MARGIN, 'weight="10" kind="margin" start="2" end="1">', 1),
    ("edge_within_timeline", MARGIN, 'weight="10" kind="margin" start="2">', 1),
    ("colour_without_alpha", 'b="233"/>', 'b="233" a="1.0"/>', 2),
    ("colour_without_alpha", 'r="86" g="180" b="233"', 'hex="#56B4E9"', 2),
    ("colour_without_alpha", 'b="233"', 'b="256"', 2),
    ("colour_without_alpha", MARGIN, f'{MARGIN}<viz:color r="0" g="0" b="0" a="0.5"/>', 1),
    ("size_in_scale", '<viz:size value="4.0"/>', '<viz:size value="3.9"/>', 2),
    ("size_in_scale", '<viz:size value="4.0"/>', "", 2),
    ("position_within_bounds", 'x="100.0"', 'x="-5000"', 2),
    ("position_within_bounds", '<viz:position x="100.0" y="0.0"/>', "", 2),
    ("ends_exist", 'source="fund" target="EX" weight="1"', 'source="fund" target="ex" weight="1"', 2),
    ("ends_exist", 'source="fund" target="EX" weight="1"', 'target="EX" weight="1"', 2),
    ("parallel_by_kind", 'kind="collateral"', 'kind="margin"', 2),
    ("edge_directed", 'kind="collateral"', 'kind="collateral" type="undirected"', 2),
    ("weight_positive", 'weight="1"', 'weight="0"', 2),
    ("weight_positive", 'weight="1"', 'weight="-1"', 2),
    ("weight_positive", 'weight="1"', 'weight="1e-300"', 2),
    ("weight_positive", 'weight="1"', 'weight="NaN"', 2),
    ("weight_thin", 'weight="10"', 'weight="1234"', 1),
    ("lists_present", '<nodes count="2">', '<nodes count="3">', 0),
    ("sizes_span_scale", '<viz:size value="4.0"/>', '<viz:size value="5.0"/>', 0),
    ("sizes_span_scale", '<viz:size value="100.0"/>', '<viz:size value="99.0"/>', 0),
]


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "toy.gexf"
    write_gexf(toy_graph(), path)
    return path


def test_a_file_as_it_should_be_has_no_finding(toy: Path) -> None:
    assert lint_gexf(toy) == []
    write_gexf(toy_graph(), toy.with_name("static.gexf"), static=True)
    assert lint_gexf(toy.with_name("static.gexf")) == []


@pytest.mark.parametrize(("rule", "old", "new", "row"), FAULTS)
def test_a_rule_finds_the_element_that_breaks_it_and_no_other_rule_speaks(rule: str, old: str, new: str, row: int, toy: Path) -> None:
    text = toy.read_text(encoding="utf-8")
    assert old in text
    toy.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert {(finding.check, finding.row) for finding in lint_gexf(toy)} == {(rule, row)}


def test_a_node_that_takes_the_id_of_another_leaves_edges_without_an_end(toy: Path) -> None:
    toy.write_text(toy.read_text(encoding="utf-8").replace('<node id="EX"', '<node id="fund"'), encoding="utf-8")
    found = [(finding.check, finding.row) for finding in lint_gexf(toy)]
    assert found == [("id_once", 2), ("ends_exist", 1), ("ends_exist", 2)]


def test_lists_that_are_missing_are_missed(toy: Path) -> None:
    text = toy.read_text(encoding="utf-8")
    toy.write_text(text[: text.index("<edges")] + text[text.index("</edges>") + 8 :], encoding="utf-8")
    assert [(finding.check, finding.column) for finding in lint_gexf(toy)] == [("lists_present", "edges")]


def test_every_rule_has_a_file_that_breaks_it_and_a_reason() -> None:
    rules = {name: rule for group in RULES.values() for name, rule in group.items()}
    assert {fault[0] for fault in FAULTS} == {*rules, "declares_utf8", "well_formed"}
    for name, rule in rules.items():
        assert rule.__doc__, name


def test_blocks_in_the_wrong_order(toy: Path) -> None:
    text = toy.read_text(encoding="utf-8")
    assert STATIC in text
    swapped = text.replace(STATIC, "").replace(
        '<attributes class="node" mode="dynamic">', f'{STATIC}<attributes class="node" mode="dynamic">'
    )
    toy.write_text(swapped, encoding="utf-8")
    assert [(finding.check, finding.row) for finding in lint_gexf(toy)] == [("dynamic_block_first", 2)]


@pytest.mark.parametrize("number", ["1", "-1.5", "+2", "1e-05", "1E+16", ".5", "5.", "NaN", "Infinity", "-Infinity", "INF", "-INF"])
def test_numbers_that_java_reads_pass(number: str, toy: Path) -> None:
    toy.write_text(toy.read_text(encoding="utf-8").replace('value="-200000.0"', f'value="{number}"'), encoding="utf-8")
    assert lint_gexf(toy) == []


def test_weights_that_single_precision_holds_pass_and_others_do_not(toy: Path) -> None:
    text = toy.read_text(encoding="utf-8")
    for weight in (1e-44, 7.1e-46, 7.0e-46, 1e-45, 5e-324):
        toy.write_text(text.replace('weight="1"', f'weight="{weight!r}"'), encoding="utf-8")
        with np.errstate(under="ignore"):
            held = np.float32(weight) > 0
        assert (lint_gexf(toy) == []) == held


def test_what_networkx_writes_is_caught(tmp_path: Path) -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node("a", loss=1.5, viz={"color": {"r": 1, "g": 2, "b": 3}, "size": 4.0, "position": {"x": 0.0, "y": 0.0, "z": 0.0}})
    graph.add_edge("a", "a", kind="margin", weight=2)
    graph.add_edge("a", "a", kind="collateral", weight=3)
    nx.write_gexf(graph, tmp_path / "networkx.gexf")
    found = {finding.check for finding in lint_gexf(tmp_path / "networkx.gexf")}
    assert {"colour_without_alpha", "column_readable", "parallel_by_kind"} <= found


def test_a_packed_file_is_unpacked(toy: Path) -> None:
    packed = toy.with_name("toy.gexf.gz")
    packed.write_bytes(gzip.compress(toy.read_bytes().replace(b'weight="1"', b'weight="0"')))
    assert [finding.check for finding in lint_gexf(packed)] == ["weight_positive"]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"<gexf/>" * 1000, mtime=0)[:-20]], ids=["no gzip", "cut short"])
def test_a_file_that_cannot_be_unpacked_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.gexf.gz").write_bytes(content)
    with pytest.raises(ReadError, match="broken"):
        lint_gexf(tmp_path / "broken.gexf.gz")
    with pytest.raises(ReadError, match="absent"):
        lint_gexf(tmp_path / "absent.gexf")


def wide(rows: int) -> GexfGraph:
    ids = np.array([f"n{row}" for row in range(rows)], dtype=object)
    return GexfGraph(
        node_ids=ids,
        node_labels=ids,
        colours=np.zeros((rows, 3), dtype=int),
        sizes=np.full(rows, 4.0),
        positions=np.zeros((rows, 2)),
        edge_source=np.arange(rows),
        edge_target=np.zeros(rows, dtype=int),
        edge_kinds=("margin",),
        edge_kind=np.zeros(rows, dtype=int),
        edge_weight=np.ones(rows),
    )


def test_all_are_listed_up_to_a_limit_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wide.gexf"
    write_gexf(wide(50), path)
    path.write_bytes(path.read_bytes().replace(b'weight="1"', b'weight="0"'))
    assert [finding.row for finding in lint_gexf(path)] == list(range(1, 51))
    limited = lint_gexf(path, limit=3)
    assert [finding.row for finding in limited] == [1, 2, 3, 0]
    assert limited[-1].value == "47 more"


def test_a_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "wide.gexf"
    write_gexf(wide(4000), path)
    peaks = []
    for read in (lambda: lint_gexf(path), lambda: ET.parse(path)):  # noqa: S314 - written a line before
        tracemalloc.start()
        read()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 3

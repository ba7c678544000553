"""Graphs to export, drawn and made, and what a plain reading of a GEXF file finds in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]

from graphs import gephi
from graphs.gephi import log_weights, rank_sizes
from graphs.gexf import ILLEGAL, GexfChanges, GexfColumn, GexfGraph

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree import ElementTree as ET


ROOT = Path(gephi.__file__).resolve().parents[1]
SCHEMA = etree.RelaxNG(etree.parse(ROOT / "graphs" / "data" / "gexf.rng"))
SPACE = "{http://gexf.net/1.3}"


def texts(values: list[str]) -> np.ndarray[Any, Any]:
    return np.array([*values, None], dtype=object)[:-1]


def market(nodes: int, edges: int, *, rounds: int = 12, seed: int = 0) -> GexfGraph:
    """A graph of some size with every kind of column."""
    random = np.random.default_rng(seed)
    ids = texts([f"account {row}" for row in range(nodes)])
    events = random.integers(0, nodes, nodes // 2)
    pairs = np.unique(random.integers(0, nodes * nodes, edges))
    usd = random.lognormal(8.0, 3.0, len(pairs))
    return GexfGraph(
        node_ids=ids,
        node_labels=ids,
        colours=random.integers(0, 256, (nodes, 3)),
        sizes=rank_sizes(random.lognormal(size=nodes)),
        positions=random.uniform(-4700, 4700, (nodes, 2)),
        node_columns=(
            GexfColumn("exposure", "double", random.lognormal(10.0, 3.0, nodes)),
            GexfColumn("default_round", "integer", random.integers(0, rounds, nodes), missing=random.random(nodes) < 0.9),
            GexfColumn("hit", "boolean", random.random(nodes) < 0.5),
        ),
        node_changes=(
            GexfChanges.from_events(
                "state",
                "string",
                node=np.r_[np.arange(nodes), events],
                start=np.r_[np.zeros(nodes, int), random.integers(1, rounds + 1, len(events))],
                values=texts(["sound", "liquidated", "defaulted"])[random.integers(0, 3, nodes + len(events))],
            ),
        ),
        edge_source=pairs // nodes,
        edge_target=pairs % nodes,
        edge_kinds=("margin", "collateral"),
        edge_kind=random.integers(0, 2, len(pairs)),
        edge_weight=log_weights(usd),
        edge_columns=(GexfColumn("usd", "double", usd),),
        rounds=rounds,
    )


def empty_graph() -> GexfGraph:
    none, whole = np.zeros(0), np.zeros(0, dtype=int)
    return GexfGraph(
        node_ids=texts([]),
        node_labels=texts([]),
        colours=np.zeros((0, 3), dtype=int),
        sizes=none,
        positions=np.zeros((0, 2)),
        edge_source=whole,
        edge_target=whole,
        edge_kinds=(),
        edge_kind=whole,
        edge_weight=none,
    )


def is_line(text: str) -> bool:
    return bool(text.strip()) and not ILLEGAL.search(text) and not set(text) & set("\t\n\r")


ANY_TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("&<>\"'%s\t\n\r\u00a0\u2028\ufffd\U0001f600]]"), st.characters(codec="utf-8")), max_size=8
)
LEGAL = ANY_TEXT.filter(lambda text: not ILLEGAL.search(text))
LINE = LEGAL.filter(is_line)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "string": LEGAL,
    "double": st.floats(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
}
DTYPES = {"string": object, "double": np.float64, "integer": np.int64, "boolean": np.bool_}


def array(values: list[Any], kind: str) -> np.ndarray[Any, Any]:
    return texts(values) if kind == "string" else np.array(values, dtype=DTYPES[kind])


@st.composite
def columns(draw: st.DrawFn, prefix: str, rows: int) -> tuple[GexfColumn, ...]:
    made = []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(CELLS)), max_size=3))):
        values = array(draw(st.lists(CELLS[kind], min_size=rows, max_size=rows)), kind)
        missing = draw(st.none() | st.lists(st.booleans(), min_size=rows, max_size=rows).map(lambda flags: np.array(flags, dtype=bool)))
        made.append(GexfColumn(f"{prefix}_{number}", kind, values, missing))  # type: ignore[arg-type]
    return tuple(made)


@st.composite
def graphs(draw: st.DrawFn) -> GexfGraph:
    n, rounds = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    ids = draw(st.lists(LINE, min_size=n, max_size=n, unique=True))
    changes = []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(CELLS)), max_size=2))):
        times = sorted(draw(st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, rounds)))) if n else ())
        values = array(draw(st.lists(CELLS[kind], min_size=len(times), max_size=len(times))), kind)
        node, start = np.array(times, dtype=int).reshape(-1, 2).T
        changes.append(GexfChanges(f"c_{number}", kind, node, start, values))  # type: ignore[arg-type]
    kinds = draw(st.lists(LINE, min_size=1, max_size=3, unique=True))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, len(kinds) - 1))
    edges = draw(st.lists(ends, max_size=6, unique=True)) if n else []
    source, target, kind_of = np.array(edges, dtype=int).reshape(-1, 3).T
    m = len(edges)
    lives = [sorted(draw(st.sets(st.integers(0, rounds + 1), min_size=2, max_size=2))) for _ in range(m)]
    start, end = np.array(lives, dtype=int).reshape(-1, 2).T
    timed = draw(st.booleans())
    sizes = rank_sizes(np.array(draw(st.lists(st.floats(), min_size=n, max_size=n)), dtype=float))
    channel, place = st.integers(0, 255), st.floats(-4799, 4799)
    return GexfGraph(
        node_ids=texts(ids),
        node_labels=texts(draw(st.lists(LEGAL.filter(str.strip), min_size=n, max_size=n))),
        colours=np.array(draw(st.lists(st.tuples(channel, channel, channel), min_size=n, max_size=n)), dtype=int).reshape(n, 3),
        sizes=sizes,
        positions=np.array(draw(st.lists(st.tuples(place, place), min_size=n, max_size=n)), dtype=float).reshape(n, 2),
        node_columns=draw(columns("n", n)),
        node_changes=tuple(changes),
        edge_source=source,
        edge_target=target,
        edge_kinds=tuple(kinds),
        edge_kind=kind_of,
        edge_weight=np.array(draw(st.lists(st.floats(1e-37, 10.0), min_size=m, max_size=m)), dtype=float),
        edge_columns=draw(columns("e", m)),
        edge_start=start if timed else None,
        edge_end=end if timed else None,
        rounds=rounds,
        title=draw(LEGAL),
        date=draw(st.sampled_from(["", "2025-10-10"])),
    )


def is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def parsed(kind: str, text: str) -> object:
    """Read a value as its type says, numbers by their exact value."""
    reads: dict[str, Callable[[str], object]] = {"string": str, "double": float, "integer": int, "long": int}
    return {"true": True, "false": False}[text] if kind == "boolean" else reads[kind](text)


def declared(root: ET.Element, side: str) -> dict[str, str]:
    blocks = root.iterfind(f".//{SPACE}attributes[@class='{side}']")
    return {column.attrib["id"]: column.attrib["type"] for block in blocks for column in block}


def constant_values(element: ET.Element, types: dict[str, str]) -> dict[str, object]:
    items = element.iterfind(f".//{SPACE}attvalue")
    return {item.attrib["for"]: parsed(types[item.attrib["for"]], item.attrib["value"]) for item in items if "start" not in item.attrib}


def given_values(columns_: tuple[GexfColumn, ...], row: int) -> dict[str, object]:
    """What a row of columns holds, missing values left out."""
    held = {}
    for column in columns_:
        value = column.values[row : row + 1].tolist()[0]
        if not is_missing(value) and (column.missing is None or not column.missing[row]):
            held[column.name] = value
    return held


def values_at(changes: GexfChanges, node: int, rounds: int) -> list[object]:
    """Value of a node in each round, by the plainest reading of a list of changes."""
    current: object = None
    seen = []
    for number in range(rounds + 1):
        for row in range(len(changes.node)):
            if changes.node[row] == node and changes.start[row] == number:
                current = changes.values[row : row + 1].tolist()[0]
        seen.append(None if is_missing(current) else current)
    return seen

"""Networks for the tests of this directory: one that is sound, and random ones with every kind of cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from graphs.network import Network
from graphs.schema import NODES, TABLES, USD, Column

if TYPE_CHECKING:
    from collections.abc import Callable

NAN = float("nan")


def frames() -> dict[str, pd.DataFrame]:
    """Every table, a row or more each, with which every check is content."""

    def frame(columns: str, *rows: tuple[object, ...]) -> pd.DataFrame:
        return pd.DataFrame(list(rows), columns=columns.split())

    return {
        "trader": frame(
            "id role cash leverage_limit leverage_target",
            ("ann", "fund", 10.0, 5.0, 4.0),
            ("bob", "retail", 20.0, NAN, NAN),
            ("vault", "vault", 0.0, NAN, NAN),
        ),
        "asset": frame("id price", ("BTC", 100.0), ("ETH", 10.0)),
        "stablecoin": frame("id supply design", ("USDe", 50.0, "delta_neutral")),
        "exchange": frame("id vault backstop", ("Binance", "vault", 0.5), ("Bybit", None, NAN)),
        "market": frame(
            "exchange asset instrument price depth collateral_haircut",
            ("Binance", "BTC", "perp", 100.0, 1e6, 1.0),
            ("Binance", "BTC", "spot", 100.0, 1e6, 0.1),
            ("Bybit", "BTC", "perp", 101.0, 1e6, 1.0),
            ("Binance", "USDe", "spot", 1.0, 1e6, 0.2),
            ("Bybit", "ETH", "spot", 10.0, 1e6, 0.2),
        ),
        "margin_tier": frame(
            "exchange asset floor maintenance_rate max_leverage",
            ("Binance", "BTC", 0.0, 0.01, 50.0),
            ("Binance", "BTC", 1000.0, 0.02, 20.0),
            ("Bybit", "BTC", 0.0, 0.01, 100.0),
        ),
        "margin": frame(
            "owner asset exchange quantity entry_price mode isolated_margin order",
            ("ann", "BTC", "Binance", 3.0, 90.0, "cross", NAN, 1),
            ("ann", "BTC", "Binance", 1.0, 90.0, "isolated", 20.0, None),
            ("bob", "BTC", "Binance", -2.0, 95.0, "cross", NAN, None),
            ("USDe", "BTC", "Binance", -2.0, 95.0, None, NAN, None),
            ("bob", "ETH", "Bybit", -2.0, 9.0, "cross", NAN, None),
        ),
        "collateral": frame(
            "owner asset exchange quantity",
            ("ann", USD, "Binance", 100.0),
            ("bob", USD, "Binance", -1.0),
            ("bob", "USDe", "Binance", 300.0),
            ("USDe", "BTC", "Binance", 2.0),
            ("bob", USD, "Bybit", 100.0),
        ),
        "holding": frame("owner asset quantity", ("bob", "ETH", 3.0)),
        "backing": frame("stablecoin asset quantity custodian", ("USDe", USD, 20.0, None), ("USDe", "BTC", 0.3, "Binance")),
        "credit": frame("debtor creditor amount seniority", ("ann", "bob", 5.0, 1), ("ann", "bob", 5.0, 2), ("Bybit", "ann", 1.0, None)),
        "liquidity": frame(
            "trader asset exchange instrument share", ("bob", "BTC", "Binance", "perp", 0.6), ("ann", "BTC", "Binance", "perp", 0.4)
        ),
        "arbitrage": frame("trader asset capacity", ("bob", "BTC", 1000.0)),
    }


def sound(**changed: pd.DataFrame) -> Network:
    """The network of :func:`frames`, some of its tables exchanged."""
    return Network.from_frames(name="sound", as_of="2025-10-10T20:50:00Z", sources=("a test",), **(frames() | changed))


def put(kind: str, row: int, **cells: object) -> dict[str, pd.DataFrame]:
    """Change cells of a sound table; rows count from 1, a row behind the last is added as a copy of it."""
    frame = frames()[kind].astype(object)
    if row > len(frame):
        frame = pd.concat([frame, frame.iloc[[-1]]], ignore_index=True)
    for name, cell in cells.items():
        column = list(frame[name]) if name in frame else [None] * len(frame)
        column[row - 1] = cell
        frame[name] = pd.Series(column, dtype=object)
    return {kind: frame}


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n"), min_size=1, max_size=6
)


def _cell(column: Column, text: st.SearchStrategy[str], *, finite: bool) -> st.SearchStrategy[Any]:
    numbers = st.floats(allow_nan=not finite, allow_infinity=not finite)
    cells = {"string": text, "float": numbers, "int": st.integers(-(2**63), 2**63 - 1), "bool": st.booleans()}[column.dtype]
    return cells if column.required else st.none() | cells


@st.composite
def any_networks(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Network:
    """Tables with any cells of the right type, sensible or not, some of them dictionary-encoded."""
    tables = {}
    for kind in draw(st.sets(st.sampled_from(list(TABLES)), max_size=4)):
        columns = [column for column in TABLES[kind].columns if column.required or draw(st.booleans())]
        rows = draw(st.integers(0, 4))
        arrays = {}
        for column in columns:
            cells = _cell(column, ANY_TEXT, finite=False) | st.none()
            values = draw(st.lists(cells, min_size=rows, max_size=rows))
            types = {"string": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
            array = pa.array(values, types[column.dtype])
            arrays[column.name] = array.dictionary_encode() if column.dtype == "string" and draw(st.booleans()) else array
        tables[kind] = pa.table(arrays)
    header = draw(st.tuples(ANY_TEXT, st.sampled_from(["", "2025-10-10", "2025-10-10T20:50:00+00:00"]), st.lists(ANY_TEXT, max_size=2)))
    return Network(header[0], header[1], tuple(header[2]), tables)


@st.composite
def linked_networks(draw: Callable[[st.SearchStrategy[Any]], Any], text: st.SearchStrategy[str] = XML_TEXT) -> Network:
    """Networks whose ids and keys are unique and known, with any finite numbers."""
    ids = draw(st.lists(text.filter(lambda word: word != USD and "#" not in word), unique=True, min_size=4, max_size=8))
    kinds = [*NODES, *(draw(st.sampled_from(NODES)) for _ in ids[4:])]
    of_kind = {kind: [node for node, own in zip(ids, kinds, strict=True) if own == kind] for kind in NODES} | {USD: [USD]}
    tables = {}
    for kind, schema in TABLES.items():
        if schema.is_edge:
            row = st.fixed_dictionaries({column.name: _linked(column, of_kind, text) for column in schema.columns})
            rows = draw(st.lists(row, max_size=3, unique_by=_key_of(kind)))
        else:
            others = {column.name: _linked(column, of_kind, text) for column in schema.columns if column.name != "id"}
            rows = [{"id": node} | draw(st.fixed_dictionaries(others)) for node in of_kind[kind]]
        if rows:
            types = {"string": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
            tables[kind] = pa.table({c.name: pa.array([row[c.name] for row in rows], types[c.dtype]) for c in schema.columns})
    return Network(draw(text), "2025-10-10T20:50:00Z", tuple(draw(st.lists(text, max_size=2))), tables)


def _linked(column: Column, of_kind: dict[str, list[str]], text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    if column.refers:
        known = st.sampled_from([node for kind in column.refers for node in of_kind[kind]])
        return known if column.required else st.none() | known
    if column.choices:
        chosen = st.sampled_from(column.choices)
        return chosen if column.required else st.none() | chosen
    return _cell(column, text, finite=True)


def _key_of(kind: str) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    columns = [TABLES[kind].by_name[name] for name in TABLES[kind].key]
    return lambda row: tuple(column.default if row[column.name] is None else row[column.name] for column in columns)

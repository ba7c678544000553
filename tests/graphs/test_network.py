"""The network: what it takes, what it gives back, and that it cannot change."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.errors import CheckError
from graphs.network import Network
from graphs.schema import TABLES
from tests.graphs.samples import NAN, any_networks, frames, sound


def one(**frame: list[object]) -> Network:
    return Network.from_frames(name="one", trader=pd.DataFrame(frame))


def test_empty_cells_and_absent_columns_mean_the_default() -> None:
    net = one(id=["a", "b"], cash=[None, 2], role=[None, "fund"])
    assert net.numbers("trader", "cash").tolist() == [0.0, 2.0]
    assert net.strings("trader", "role").tolist() == ["retail", "fund"]
    assert net.numbers("trader", "external_debt").tolist() == [0.0, 0.0]
    assert np.isnan(net.numbers("trader", "leverage_limit")).all()
    assert net.count("exchange") == 0
    assert net.numbers("exchange", "outage").dtype == np.bool_
    assert net.strings("exchange", "vault").shape == (0,)


def test_an_empty_integer_reads_as_minus_one_and_an_empty_text_as_none() -> None:
    net = sound()
    assert net.numbers("margin", "order").tolist() == [1, -1, -1, -1, -1]
    assert net.numbers("margin", "order").dtype == np.int64
    assert net.strings("exchange", "vault").tolist() == ["vault", ""]
    assert net.frame("margin")["order"].isna().tolist() == [False, True, True, True, True]


@settings(max_examples=40)
@given(any_networks())
def test_frames_have_every_column_and_give_an_equal_network_back(net: Network) -> None:
    finite = all(
        pa.compute.all(pa.compute.is_finite(column)).as_py() is not False
        for table in net.tables.values()
        for column in table
        if column.type == pa.float64()
    )
    made = {kind: net.frame(kind) for kind in net.tables}
    assert all(list(frame.columns) == list(TABLES[kind].by_name) for kind, frame in made.items())
    back = Network.from_frames(name=net.name, as_of=net.as_of, sources=net.sources, **made)
    # A frame cannot tell NaN from an empty cell, so it is exact but for NaN.
    assert back.equals(net) or not finite


@settings(max_examples=40)
@given(any_networks(), st.lists(st.text(max_size=3), max_size=4))
def test_codes_are_places_in_the_vocabulary(net: Network, words: list[str]) -> None:
    for kind in net.tables:
        for column in TABLES[kind].columns:
            if column.dtype == "string":
                cells = net.strings(kind, column.name).tolist()
                vocabulary = [*words, *cells[:2]]
                expected = [vocabulary.index(cell) if cell in vocabulary else -1 for cell in cells]
                assert net.codes(kind, column.name, vocabulary).tolist() == expected
                assert net.codes(kind, column.name, pa.array(vocabulary, pa.string())).tolist() == expected


def test_codes_hold_over_chunks_with_dictionaries_of_their_own() -> None:
    parts = [pa.array(["a", "b", None]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()]
    table = pa.table({"id": pa.array(list("vwxyz")), "role": pa.chunked_array(parts)})
    net = Network("chunks", tables={"trader": table})
    assert net.codes("trader", "role", ["c", "retail", "a"]).tolist() == [2, -1, 1, 0, 2]
    assert net.strings("trader", "role").tolist() == ["a", "b", "retail", "c", "a"]


def test_encoded_columns_stay_encoded() -> None:
    net = sound(margin=frames()["margin"].astype({"asset": "category"}))
    assert pa.types.is_dictionary(net.column("margin", "asset").type)
    assert pa.types.is_dictionary(pickle.loads(pickle.dumps(net)).column("margin", "asset").type)  # noqa: S301 - our own bytes
    assert net.equals(sound())


def test_encoded_columns_of_any_origin_are_read() -> None:
    words = pa.array(["", "fund", None])
    role = pa.DictionaryArray.from_arrays(pa.array([1, 0, 2, None], pa.int8()), words)
    table = pa.table({"id": pa.array(list("abcd"), pa.large_string()), "role": role, "cash": pa.array([1, 2, 1, 2]).dictionary_encode()})
    net = Network("x", tables={"trader": table})
    assert net.strings("trader", "role").tolist() == ["fund", "retail", "retail", "retail"]
    assert net.column("trader", "role").null_count == 3
    assert net.numbers("trader", "cash").tolist() == [1.0, 2.0, 1.0, 2.0]
    assert net.column("trader", "id").type == pa.string()
    assert net.codes("trader", "role", pa.chunked_array([["x"], ["fund"]]).dictionary_encode()).tolist() == [1, -1, -1, -1]
    for wrong in (pa.array([1, 2, 1, 2]).dictionary_encode(), pa.array([True, False, True, False])):
        with pytest.raises(CheckError, match="column role"):
            Network("x", tables={"trader": table.set_column(1, "role", wrong)})


def test_a_network_cannot_be_changed() -> None:
    net = sound()
    with pytest.raises(FrozenInstanceError):
        net.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        net.tables["trader"] = net.tables["asset"]  # type: ignore[index]
    net.numbers("asset", "price")[:] = 0.0
    net.strings("asset", "id")[:] = ""
    assert net.equals(sound())


@settings(max_examples=40)
@given(any_networks())
def test_pickle_gives_an_equal_network(net: Network) -> None:
    assert pickle.loads(pickle.dumps(net)).equals(net)  # noqa: S301 - our own bytes


def test_equality_sees_every_cell() -> None:
    net = sound()
    assert not net.equals(Network("other", net.as_of, net.sources, dict(net.tables)))
    for kind in net.tables:
        frame = net.frame(kind)
        for name, column in TABLES[kind].by_name.items():
            changed = frame.copy()
            other = {"string": "other", "float": -17.5, "int": 17, "bool": not frame[name].iloc[0]}[column.dtype]
            changed[name] = [other, *frame[name].tolist()[1:]]
            assert not net.with_tables(**{kind: changed}).equals(net), (kind, name)
            assert net.with_tables(**{kind: frame}).equals(net)
        if len(frame) > 1:
            assert not net.with_tables(**{kind: frame.iloc[::-1]}).equals(net)
        assert not net.with_tables(**{kind: None}).equals(net)


def test_an_order_of_minus_one_is_not_an_empty_one() -> None:
    margin = frames()["margin"]
    assert not sound(margin=margin.assign(order=[1, -1, -1, -1, -1])).equals(sound())


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"id": ["a"], "csh": [1.0]}, "table trader, column csh: no such column; did you mean 'cash'?"),
        ({"id": ["a"], "colour": ["red"]}, "remove it, or use one of id, role, cash"),
        ({"id": [1]}, "column id: 1 is of type int64; write text"),
        ({"id": ["a", "b"], "cash": [1, "x"]}, "table trader, row 2, column cash: 'x'; write a number"),
        ({"id": ["a"], "cash": ["1"]}, "column cash: '1' is of type"),
        ({"id": ["a"], "cash": [[1]]}, "write a number"),
        ({"id": ["a"], "cash": [True]}, "write a number"),
        ({"id": ["a", "b"], "cash": [10**30, 1]}, "row 1, column cash"),
    ],
)
def test_what_is_no_table_of_the_schema_is_refused(frame: dict[str, list[object]], said: str) -> None:
    with pytest.raises(CheckError) as caught:
        one(**frame)
    assert said in str(caught.value)


def test_all_misfits_are_listed() -> None:
    orders = [1.5, 2.0, NAN, 3.25, 4.0]
    with pytest.raises(CheckError) as caught:
        sound(margin=frames()["margin"].assign(order=orders, quantity=pd.Series(["x", 1.0, None, {}, 2.0], dtype=object)))
    assert [(finding.row, finding.column) for finding in caught.value.findings] == [
        (1, "quantity"),
        (4, "quantity"),
        (1, "order"),
        (4, "order"),
    ]


def test_arrow_tables_are_held_to_the_schema_too() -> None:
    with pytest.raises(CheckError, match="did you mean 'cash'"):
        Network("x", tables={"trader": pa.table({"id": ["a"], "csh": [1.0]})})
    assert Network("x", tables={"asset": pa.table({"id": ["a", "b"]})}).column("asset", "price").null_count == 2


def test_unknown_tables_headers_and_indices_are_refused() -> None:
    with pytest.raises(CheckError, match="table tradr: no such table; did you mean 'trader'"):
        Network.from_frames(name="x", tradr=frames()["trader"])
    with pytest.raises(CheckError, match="call reset_index"):
        Network.from_frames(name="x", trader=frames()["trader"].set_index("id"))
    with pytest.raises(CheckError, match="ISO 8601"):
        Network("x", as_of="last Friday")
    with pytest.raises(CheckError, match="give the network a name"):
        Network("")
    with pytest.raises(CheckError, match="did you mean 'cash'"):
        sound().numbers("trader", "Cash")
    with pytest.raises(CheckError, match="table tradr"):
        sound().count("tradr")
    with pytest.raises(TypeError, match="strings"):
        sound().numbers("trader", "role")
    with pytest.raises(TypeError, match="numbers"):
        sound().strings("trader", "cash")


def test_a_row_without_its_required_cells_is_still_a_row() -> None:
    assert Network.from_frames(name="x", trader=pd.DataFrame({"cash": [1.0, 2.0]})).count("trader") == 2
    assert Network("x", tables={"trader": pa.table({"id": pa.array([None, ""])})}).count("trader") == 2

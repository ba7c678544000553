"""The catalogue of models: every card is complete and runs from files, readers name what is wrong, networks give their inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contagion.models.card import CatalogError
from contagion.models.catalog import cards, find_model, list_models, plain, run_model
from contagion.models.files import read_matrix, read_table
from contagion.models.fire_sales import deleverage
from contagion.models.from_network import holdings, liabilities
from graphs.errors import ReadError
from graphs.network import Network
from graphs.tables import write_network
from graphs.toys import interbank_ring

FILES = {
    "liabilities": "debtor,creditor,amount\nA,B,10\nB,C,5\nC,A,2\n",
    "exposures": "debtor,creditor,amount\nA,B,10\nB,C,5\nC,A,2\n",
    "adjacency": "source,target,weight\nA,B,10\nB,C,5\nC,A,2\n",
    "holdings": "owner,asset,value\nA,bond,100\nB,bond,50\nB,loan,50\n",
}
NODES = "node,external_assets,equity,shock,buffer,seeds,capital,out_sum,in_sum,note\n" + "".join(
    f"{name},{row}\n" for name, row in (("A", "1,4,1,4,1,10,3,2,x"), ("B", "8,4,0,4,0,20,2,3,y"), ("C", "8,4,0,4,0,5,1,1,z"))
)
COLUMNS = "asset,depth,shock\nbond,1000,0\nloan,,0.1\n"


def _write(place: Path, name: str, text: str) -> str:
    path = place / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _inputs(place: Path, shape: str, count: int) -> list[str]:
    nodes = NODES if shape != "holdings" else "\n".join(NODES.splitlines()[:3]) + "\n"
    texts = [*([FILES[shape]] if shape != "none" else []), nodes, COLUMNS.replace("loan,,", "loan,1e30,")]
    return [_write(place, f"{i}.csv", text) for i, text in enumerate(texts)][:count]


@pytest.mark.parametrize("name", sorted(cards()))
def test_every_model_runs_from_files(name: str, tmp_path: Path) -> None:
    card = find_model(name)
    assert card.equation
    assert card.source
    inputs = _inputs(tmp_path, card.shape, len(card.files))
    if card.files == ("HOLDINGS", "[ASSETS]"):
        inputs = [inputs[0], _write(tmp_path, "assets.csv", COLUMNS.replace("loan,,", "loan,1e30,"))]
    done = run_model(name, inputs)
    json.dumps([done.summary(), done.rows()], allow_nan=False)
    assert done.rows()
    assert done.summary()["model"] == name
    shuffled = [*inputs]
    lines = Path(inputs[0]).read_text(encoding="utf-8").splitlines()
    shuffled[0] = _write(tmp_path, "other.csv", "\n".join([lines[0], *lines[:0:-1]]) + "\n")
    if card.shape != "none":  # the order of rows in a list of edges does not matter
        assert run_model(name, shuffled).rows() == done.rows()


def test_the_list_says_what_a_reader_needs() -> None:
    rows = list_models()
    assert {row["name"] for row in rows} >= {
        "clearing",
        "debtrank",
        "threshold",
        "valuation",
        "cont_schaanning",
        "vulnerable_banks",
        "maximum_entropy",
    }
    assert all(row["equation"] and row["source"] and row["title"] for row in rows)
    json.dumps(rows, allow_nan=False)


def test_files_give_what_python_gives(tmp_path: Path) -> None:
    held = _write(tmp_path, "held.csv", ",marketable\n1,90\n2,70\n")
    banks = _write(tmp_path, "banks.csv", "bank,capital,illiquid,illiquid_shock\n2,4.5,20,0\n1,4,10,0.2\n")
    done = run_model("cont_schaanning", [held, banks], {"depth": "4472.135954999579", "leverage_limit": "33.3"})
    model = deleverage([[90], [70]], [4, 4.5], 4472.135954999579, illiquid=[10, 20], illiquid_shock=[0.2, 0], leverage_limit=33.3)
    rows = {row["node"]: row for row in done.rows()}
    assert [rows["1"]["capital"], rows["2"]["capital"]] == pytest.approx(model.capital)
    assert done.summary()["rounds"] == 3
    assert done.summary()["options"]["leverage_limit"] == "33.3"
    targeting = run_model("cont_schaanning", [held, banks], {"depth": "1e9", "leverage_limit": "own", "max_rounds": "20"})
    assert targeting.summary()["settled"] is True


def test_a_debtor_creditor_list_is_turned_round_for_exposures(tmp_path: Path) -> None:
    path = _write(tmp_path, "debts.csv", FILES["exposures"])
    owed, exposed = read_matrix(path, "liabilities"), read_matrix(path, "exposures")
    assert owed.rows == exposed.rows == ("A", "B", "C")
    assert owed.matrix.toarray().tolist() == [[0, 10, 0], [0, 0, 5], [2, 0, 0]]
    assert np.array_equal(exposed.matrix.toarray(), owed.matrix.toarray().T)
    back = _write(tmp_path, "claims.csv", "creditor,debtor,amount\nB,A,10\nC,B,5\nA,C,2\n")
    assert np.array_equal(read_matrix(back, "liabilities").matrix.toarray(), owed.matrix.toarray())
    plain_edges = _write(tmp_path, "edges.csv", "source,target\nB,A\n")
    assert read_matrix(plain_edges, "exposures", ["A", "B", "idle"]).matrix.toarray()[1, 0] == 1.0


def test_rectangles_with_and_without_names_and_parquet(tmp_path: Path) -> None:
    named = _write(tmp_path, "named.csv", ",b,a\na,1,0\nb,,2\n")
    found = read_matrix(named, "exposures")
    assert (found.rows, found.columns) == (("a", "b"), ("b", "a"))
    bare = _write(tmp_path, "bare.csv", "0,1\n2,0\n")
    assert read_matrix(bare, "liabilities").matrix.tolist() == [[0.0, 1.0], [2.0, 0.0]]
    assert read_matrix(bare, "liabilities", ["x", "y"]).rows == ("x", "y")
    pd.DataFrame({"debtor": ["A"], "creditor": ["B"], "amount": [0.1]}).to_parquet(tmp_path / "debts.parquet")
    assert read_matrix(tmp_path / "debts.parquet", "liabilities").matrix[0, 1] == 0.1
    table = read_table(_write(tmp_path, "t.csv", "id,equity,note\nNA,1e-3,x\n007,,y\n"))
    assert table.index.tolist() == ["NA", "007"]
    assert list(table.columns) == ["equity"]


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ("debtor,creditor,amount\nA,B,ten\n", "liabilities", ["amount", "row 1", "'ten'"]),
        ("debtor,creditor,amount\nA,,1\n", "liabilities", ["row 1", "without a name"]),
        (",a,b\na,0,1\n", "liabilities", ["1 rows", "2 columns"]),
        (",a,b\na,0,1\nc,0,1\n", "liabilities", ["b, c"]),
        (",a,b\na,0,1\na,0,1\n", "liabilities", ["a stands twice"]),
    ],
)
def test_bad_files_are_named(text: str, shape: Any, words: list[str], tmp_path: Path) -> None:  # noqa: ANN401 - a word
    path = _write(tmp_path, "bad.csv", text)
    with pytest.raises(ReadError) as caught:
        read_matrix(path, shape)
    assert all(word in str(caught.value) for word in ["bad.csv", *words]), caught.value


def test_bad_requests_are_named(tmp_path: Path) -> None:
    inputs = _inputs(tmp_path, "exposures", 2)
    for name, files, options, words in (
        ("debtrnk", inputs, {}, "did you mean debtrank"),
        ("debtrank", [], {}, "EXPOSURES NODES"),
        ("debtrank", [*inputs, inputs[0]], {}, "3 inputs"),
        ("debtrank", inputs, {"alpha": 1}, "no option alpha"),
        ("debtrank", inputs, {"variant": "cubic"}, "none of linear"),
        ("debtrank", inputs, {"a": "x"}, "no number"),
        ("debtrank", inputs, {"capped": "maybe"}, "neither yes nor no"),
        ("debtrank", inputs, {"shock": "A=x"}, "holds no number"),
        ("debtrank", inputs, {"shock": "Z=1"}, "names Z"),
        ("debtrank", inputs[:1], {}, "equity"),
        ("minimum_density", inputs[1:], {"draws": "2.5"}, "whole number"),
    ):
        with pytest.raises(CatalogError) as caught:
            run_model(name, files, options)
        assert words in str(caught.value), caught.value
    with pytest.raises(ReadError, match=r"missing\.csv"):
        run_model("debtrank", [inputs[0], str(tmp_path / "missing.csv")])


def test_a_network_gives_its_debts(tmp_path: Path) -> None:
    net = interbank_ring(n=3, amount=100.0, cash=30.0, external_debt=20.0)
    found = liabilities(net)
    assert found.matrix.rows == ("Bank1", "Bank2", "Bank3")
    assert found.matrix.matrix.toarray().tolist() == [[0, 100, 0], [0, 0, 100], [100, 0, 0]]
    assert found.vectors["external_assets"].tolist() == [30.0] * 3
    assert found.vectors["external_liabilities"].tolist() == [20.0] * 3
    assert found.vectors["equity"].tolist() == [10.0] * 3
    place = tmp_path / "ring"
    write_network(net, place)
    by_name, by_path = (
        run_model("debtrank", ["interbank_ring"], {"shock": "Bank2=1"}),
        run_model("debtrank", [str(place)], {"shock": "Bank2=1"}),
    )
    assert [row["distress"] for row in by_path.rows()] == [1.0, 1.0, 1.0]
    assert by_name.summary()["defaults"] == 4
    with pytest.raises(CatalogError, match="holding has no rows"):
        run_model("overlap", [str(place)])
    with pytest.raises(CatalogError, match="missing"):
        run_model("maximum_entropy", [_write(tmp_path, "x.csv", "id\na\n")])


def test_a_network_gives_its_holdings() -> None:
    net = Network.from_frames(
        name="funds",
        trader=pd.DataFrame({"id": ["F", "G"], "cash": [5.0, 0.0], "external_debt": [0.0, 150.0], "leverage_limit": [np.nan, 6.0]}),
        asset=pd.DataFrame({"id": ["A", "B"], "price": [10.0, 1.0]}),
        exchange=pd.DataFrame({"id": ["X", "Y"]}),
        market=pd.DataFrame({"exchange": ["X", "Y"], "asset": "A", "instrument": "spot", "price": 10.0, "depth": [100.0, 300.0]}),
        holding=pd.DataFrame({"owner": ["G", "F"], "asset": ["A", "B"], "quantity": [20.0, 7.0]}),
    )
    found = holdings(net)
    assert (found.matrix.rows, found.matrix.columns) == (("F", "G"), ("A", "B"))
    assert found.matrix.matrix.toarray().tolist() == [[0.0, 7.0], [200.0, 0.0]]
    assert found.vectors["capital"].tolist() == [12.0, 50.0]
    assert found.vectors["leverage_limit"].tolist() == [np.inf, 6.0]
    assert found.vectors["depth"] == pytest.approx([400.0 / -np.log(0.99), np.inf])


def test_plain_values_are_json() -> None:
    values = [
        np.float64(1.5),
        np.int64(2),
        np.bool_(1),
        np.nan,
        np.inf,
        None,
        "x",
        np.array([1.0, np.nan]),
        (1, [2.0]),
        {"a": np.float64(3)},
    ]
    assert plain(values) == [1.5, 2, True, None, None, None, "x", [1.0, None], [1, [2.0]], {"a": 3.0}]


@pytest.mark.parametrize("rule", ["eisenberg_noe", "rogers_veraart", "furfine", "linear_debtrank", "nonlinear_debtrank", "ex_ante"])
def test_every_rule_of_the_frame_values_claims(rule: str, tmp_path: Path) -> None:
    inputs = _inputs(tmp_path, "liabilities", 2)
    options = {"rule": rule, "alpha": 0.9, "beta": 0.8, "recovery": 0.4, "a": 1.0, "loss": "B=2"}
    done = run_model("valuation", inputs, options)
    assert all(0 <= row["value"] <= 1 for row in done.rows())
    assert all(row["equity"] <= row["book_equity"] + 1e-9 for row in done.rows())
    if rule == "eisenberg_noe":
        cleared = run_model("clearing", inputs, {"external_assets": "B=6"}).rows()
        owed = {"A": 10.0, "B": 5.0, "C": 2.0}
        assert [row["value"] * owed[row["node"]] for row in done.rows()] == pytest.approx([row["payments"] for row in cleared])

"""Files of matrices, edges and vectors: every dialect that means the same reads the same, and nothing is passed over in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion.models.card import CatalogError
from contagion.models.catalog import run_model
from contagion.models.files import read_matrix, read_table
from graphs.errors import GraphError, ReadError

if TYPE_CHECKING:
    from pathlib import Path

    from contagion.models.card import Shape

DEBTS = [[0.0, 1.5, 0.0], [0.0, 0.0, 2.0], [0.25, 0.0, 0.0]]
NAMES = ["a", "b", "c"]


def _write(place: Path, text: str, name: str = "file.csv", encoding: str = "utf-8") -> str:
    path = place / name
    path.write_bytes(text.encode(encoding))
    return str(path)


def _dense(path: str, shape: Shape, **names: list[str]) -> list[list[float]]:
    found = read_matrix(path, shape, **names).matrix
    dense: list[list[float]] = (found if isinstance(found, np.ndarray) else found.toarray()).tolist()
    return dense


@pytest.mark.parametrize(
    "text",
    [
        "debtor,creditor,amount\na,b,1.5\nb,c,2\nc,a,0.25\n",
        "amount;lender;borrower\r\n1.5;b;a\r\n2;c;b\r\n0.25;a;c\r\n",
        "Debtor , Creditor , Amount , country\n\na , b , 1.5,x\n\nb , c,2e0,y\nc,a,.25,z\n",
        "from\tto\tweight\na\tb\t1\nb\tc\t2\nc\ta\t0.25\na\tb\t0.5\n",
        ",a,b,c\na,,1.5,\nb,0,0,2\nc,0.25,0,0\n",
        "a,b,c\n0,1.5,0\n0,0,2\n0.25,0,0\n",
        "\ufeff0,1.5,0\n0,0,2\n0.25,0,0\n",
    ],
    ids=["debts", "semicolons", "spaces", "tabs", "matrix", "names_above", "numbers"],
)
def test_every_way_to_write_debts_reads_the_same(text: str, tmp_path: Path) -> None:
    path = _write(tmp_path, text)
    found = read_matrix(path, "liabilities")
    assert _dense(path, "liabilities") == DEBTS
    assert found.rows == found.columns
    assert list(found.rows) in (NAMES, [0, 1, 2])
    assert _dense(path, "liabilities", nodes=NAMES) == DEBTS


def test_parquet_with_its_index_with_numbers_as_names_and_with_categories(tmp_path: Path) -> None:
    path = tmp_path / "matrix.parquet"
    pd.DataFrame(DEBTS, index=NAMES, columns=NAMES).to_parquet(path)
    assert read_matrix(path, "exposures").rows == tuple(NAMES)
    assert _dense(str(path), "exposures") == DEBTS
    pd.DataFrame({"source": [7, 8], "target": [8, 7], "weight": [1, 2]}).to_parquet(path)
    assert read_matrix(path, "adjacency").rows == ("7", "8")
    pd.DataFrame({"owner": pd.Categorical(["f"]), "asset": ["x"], "value": [3.0]}).to_parquet(path)
    assert _dense(str(path), "holdings", columns=["w", "x"]) == [[0.0, 3.0]]
    pd.DataFrame({"bank": ["a", "b"], "equity": [1.0, None]}).to_parquet(path)
    assert np.array_equal(read_table(path)["equity"], [1.0, np.nan], equal_nan=True)


cells = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), st.floats(1e-300, 1e300, allow_subnormal=False), min_size=1
)


@given(cells=cells, order=st.randoms(use_true_random=False))
def test_a_list_of_edges_is_its_matrix_in_any_order(cells: dict[tuple[str, str], float], order: Any, tmp_path_factory: Any) -> None:  # noqa: ANN401
    rows = [f"{source},{target},{value!r}" for (source, target), value in cells.items()]
    order.shuffle(rows)
    path = _write(tmp_path_factory.getbasetemp(), "\n".join(["source,target,weight", *rows]), "drawn.csv")
    found = read_matrix(path, "adjacency")
    read = {(found.rows[i], found.columns[j]): float(found.matrix[i, j]) for i, j in zip(*found.matrix.nonzero(), strict=True)}
    assert read == cells
    assert list(found.rows) == sorted({name for ends in cells for name in ends})


def test_who_stands_only_in_the_table_has_no_edges(tmp_path: Path) -> None:
    text = ",a,b\na,0,1\nb,2,0\n"
    found = read_matrix(_write(tmp_path, text), "liabilities", ["idle", "b"])
    assert found.rows == found.columns == ("a", "b", "idle")
    assert _dense(_write(tmp_path, text), "liabilities", nodes=["idle"]) == [[0, 1, 0], [2, 0, 0], [0, 0, 0]]
    edges = _write(tmp_path, "owner,asset,value\nf,x,1\n")
    assert (read_matrix(edges, "holdings", ["g"], ["y"]).rows, read_matrix(edges, "holdings", ["g"], ["y"]).columns) == (
        ("g", "f"),
        ("y", "x"),
    )


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ("", "liabilities", ["is empty"]),
        ("debtor,creditor,amount\n", "liabilities", ["no entries"]),
        ("debtor,creditor,amount\na,b,1\na,b\n", "liabilities", ["row 2", "2 cells", "3"]),
        ("debtor,creditor,amount\na,b,\n", "liabilities", ["row 1", "column amount", "''"]),
        ("debtor,creditor,amount\na,b,x\nb,a,nan\n", "liabilities", ["row 1", "'x'", "row 2", "'nan'"]),
        ("debtor,creditor,usd\na,b,1\n", "liabilities", ["usd", "amount, value, weight or exposure"]),
        ("debtor,creditor,amount,value\na,b,1,2\n", "liabilities", ["amount and value", "leave one"]),
        ("owner,asset,value\na,b,1\n", "exposures", ["lists owner and asset", "reads exposures", "debtor,creditor"]),
        ("payer,payee,amount\na,b,1\n", "liabilities", ["row 1, column payee: 'b' is no number", "debtor,creditor,amount"]),
        ("0,1,2\n1,0,2\n", "liabilities", ["2 rows", "3 columns"]),
        ("debtor,creditor\nä,b\n", "liabilities", ["UTF-8"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, shape: Shape, words: list[str], tmp_path: Path) -> None:
    path = _write(tmp_path, text, encoding="latin-1")
    with pytest.raises(ReadError) as caught:
        read_matrix(path, shape)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in [path, *words]), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3,4\n", ["no header"]),
        ("bank,equity\n", ["no rows"]),
        ("bank,equity\na,1\na,2\n", ["a stands twice"]),
        ("bank,equity,Equity\na,1,2\n", ["equity stands twice"]),
        ("bank,equity,note\na,1,x\nb,five,y\n", ["row 2, column equity: 'five'"]),
        ("bank,equity\n,1\n", ["row 1", "without a name"]),
    ],
)
def test_tables_are_as_strict(text: str, words: list[str], tmp_path: Path) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ReadError) as caught:
        read_table(path, ["equity"])
    assert all(word in str(caught.value) for word in [path, *words]), caught.value


def test_numbers_without_names_need_a_table_of_their_size(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="2 rows without names, and the table beside it 3"):
        read_matrix(_write(tmp_path, "0,1\n2,0\n"), "liabilities", NAMES)
    assert _dense(_write(tmp_path, "1\n2\n"), "holdings") == [[1.0], [2.0]]


def test_columns_in_another_order_than_rows_belong_to_their_names(tmp_path: Path) -> None:
    banks = _write(tmp_path, "bank,external_assets\nb,0\na,3\n", "banks.csv")
    straight = run_model("clearing", [_write(tmp_path, ",a,b\na,0,5\nb,0,0\n", "one.csv"), banks]).rows()
    crossed = run_model("clearing", [_write(tmp_path, ",b,a\na,5,0\nb,0,0\n", "two.csv"), banks]).rows()
    assert straight == crossed
    assert {row["node"]: row["payments"] for row in crossed} == {"a": 3.0, "b": 0.0}


def test_models_name_nodes_and_files_in_what_they_refuse(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"minus\.csv: \[a, b\] = -1"):
        run_model("clearing", [_write(tmp_path, ",a,b\na,0,-1\nb,0,0\n", "minus.csv")], {"external_assets": "1"})
    own = _write(tmp_path, "debtor,creditor,amount\nzed,zed,1\n")
    for name in ("clearing", "valuation"):
        with pytest.raises(Exception, match="zed owes itself"):
            run_model(name, [own], {"external_assets": "1"})


def test_a_vector_that_replaces_what_a_model_computes_is_given_whole(tmp_path: Path) -> None:
    held = _write(tmp_path, "owner,asset,value\nf,x,90\ng,x,70\n")
    fixed = {"capital": "10", "depth": "1e4", "shock": "0.1"}
    with pytest.raises(CatalogError, match=r"debt_ratio .* of f is missing"):
        run_model("vulnerable_banks", [held], {**fixed, "debt_ratio": "g=2"})
    own = run_model("vulnerable_banks", [held], fixed).rows()
    assert run_model("vulnerable_banks", [held], {**fixed, "debt_ratio": "f=8,g=6"}).rows() == own


def test_equal_overlaps_still_give_as_many_pairs_as_asked_for(tmp_path: Path) -> None:
    held = _write(tmp_path, "owner,asset\n" + "".join(f"f{i},x\n" for i in range(9)))
    for top in (1, 5, 36):
        rows = run_model("overlap", [held], {"top": str(top)}).rows()
        assert len({(row["holder"], row["other"]) for row in rows}) == len(rows) == top
        assert all(row["holder"] < row["other"] for row in rows)

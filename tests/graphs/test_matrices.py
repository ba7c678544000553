"""Matrices from arrays, sparse matrices, frames and graphs; thin products that stand for square ones."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import coo_matrix, csc_array, csr_array, csr_matrix

from graphs.errors import GraphError
from graphs.factored import Factored
from graphs.matrices import MatrixError, bipartite, scaled, square, vector

CELLS = st.sampled_from([0.0, 0.0, 1.0, 2.5, 40.0])


def test_every_form_of_a_square_is_the_same_matrix() -> None:
    cells = np.array([[0.0, 2.0, 0.0], [0.0, 1.0, 3.0], [4.0, 0.0, 0.0]])
    names = ["a", "b", "c"]
    graph = nx.relabel_nodes(nx.from_numpy_array(cells, create_using=nx.DiGraph), dict(enumerate(names)))
    frame = pd.DataFrame(cells, index=names, columns=names)[["c", "a", "b"]]  # columns in another order
    for given_, labels in (
        (cells, (0, 1, 2)),
        (cells.tolist(), (0, 1, 2)),
        (csr_array(cells), (0, 1, 2)),
        (csc_array(cells), (0, 1, 2)),
        (coo_matrix(cells), (0, 1, 2)),
        (csr_matrix(cells), (0, 1, 2)),
        (graph, tuple(names)),
        (frame, tuple(names)),
    ):
        found = square(given_)
        assert found.rows == found.columns == labels
        assert np.array_equal(found.matrix if isinstance(found.matrix, np.ndarray) else found.matrix.toarray(), cells)
        again = square(found)
        assert again.rows == labels


def test_parallel_edges_and_entries_add_up_and_inputs_are_not_changed() -> None:
    graph = nx.MultiDiGraph()
    graph.add_weighted_edges_from([("a", "b", 1.0), ("a", "b", 2.0)])
    assert square(graph).matrix[0, 1] == 3.0
    twice = coo_matrix(([1.0, 2.0, 0.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    found = square(twice).matrix
    assert (found.nnz, found[0, 1], twice.nnz) == (1, 3.0, 3)
    own = csr_array(np.eye(2))
    square(own).matrix.data[:] = 5.0
    assert own.data.tolist() == [1.0, 1.0]
    dense = np.eye(2)
    square(dense).matrix[:] = 5.0
    assert dense[0, 0] == 1.0


def test_holders_of_a_bipartite_graph() -> None:
    told = nx.Graph()
    told.add_nodes_from(["x", "y"], bipartite=1)
    told.add_nodes_from(["poor", "rich"], bipartite=0)
    told.add_edge("x", "rich", weight=7.0)
    found = bipartite(told)
    assert (found.rows, found.columns) == (("poor", "rich"), ("x", "y"))
    assert found.matrix.toarray().tolist() == [[0.0, 0.0], [7.0, 0.0]]
    directed = bipartite(nx.DiGraph([("bank", "bond")]))
    assert (directed.rows, directed.columns, directed.matrix[0, 0]) == (("bank",), ("bond",), 1.0)
    assert bipartite([1.0, 2.0]).shape == (2, 1)


@pytest.mark.parametrize(
    ("read", "values", "words"),
    [
        (square, [[1, 2]], ["1 rows", "2 columns"]),
        (square, [[1, -2], [0, 0]], ["[0, 1]", "-2.0"]),
        (square, csr_array([[1.0, np.inf], [0, 0]]), ["[0, 1]", "inf"]),
        (square, [[1, 2], [3]], ["one length"]),
        (square, [["a"]], ["numbers"]),
        (square, np.ones(3), ["1 dimensions"]),
        (square, pd.DataFrame(np.eye(2), index=["a", "b"], columns=["a", "z"]), ["b, z"]),
        (square, pd.DataFrame(np.eye(2), index=["a", "a"], columns=["a", "b"]), ["a stands twice"]),
        (bipartite, nx.DiGraph([("a", "b"), ("b", "c")]), ["b", "bipartite"]),
        (bipartite, nx.Graph([("a", "b")]), ["undirected", "bipartite"]),
    ],
)
def test_bad_matrices_are_named(read: Any, values: Any, words: list[str]) -> None:  # noqa: ANN401 - whatever a caller gives
    with pytest.raises(MatrixError) as caught:
        read(values)
    assert all(word in str(caught.value) for word in words), caught.value
    assert isinstance(caught.value, GraphError)


def test_an_edge_against_the_grain_is_refused() -> None:
    graph = nx.DiGraph([("bond", "bank")])
    nx.set_node_attributes(graph, {"bank": 0, "bond": 1}, "bipartite")
    with pytest.raises(MatrixError, match="does not run from a holder"):
        bipartite(graph)


def test_vectors_follow_the_labels() -> None:
    assert vector(pd.Series({"b": 2.0, "a": 1.0}), ["a", "b"], what="x").tolist() == [1.0, 2.0]
    assert vector(3, ["a", "b"], what="x").tolist() == [3.0, 3.0]
    assert vector({"a": 1.0}, ["a", "b"], what="x", default=0.0).tolist() == [1.0, 0.0]
    for values, words in (
        ({"a": 1.0}, "without b"),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, "unknown c"),
        ([1.0], "shape"),
        ([1.0, -1.0], "b: -1.0"),
        ([1.0, np.nan], "b: nan"),
        ([1.0, np.inf], "b: inf"),
    ):
        with pytest.raises(MatrixError, match=words):
            vector(values, ["a", "b"], what="x")


@given(arrays(np.float64, (4, 3), elements=CELLS), arrays(np.float64, (4, 3), elements=CELLS), st.booleans(), st.integers(0, 20))
def test_a_product_of_thin_matrices_is_the_square_that_it_stands_for(left: Any, right: Any, hollow: bool, count: int) -> None:  # noqa: ANN401, FBT001 - drawn
    whole = left @ right.T
    if hollow:
        np.fill_diagonal(whole, 0.0)
    for both in (
        Factored(left, right, tuple("abcd"), hollow=hollow),
        Factored(csr_array(left), csr_array(right), tuple("abcd"), hollow=hollow),
    ):
        assert both.toarray() == pytest.approx(whole)
        assert both.diagonal() == pytest.approx(np.diagonal(whole))
        assert both.row_sums() == pytest.approx(whole.sum(axis=1), abs=1e-9)
        assert both.column_sums() == pytest.approx(whole.sum(axis=0), abs=1e-9)
        assert both.apply(np.eye(4)) == pytest.approx(whole, abs=1e-9)
        assert both.between(1, 2) == pytest.approx(whole[1, 2])
        top = both.top(count)
        assert top["value"].to_numpy() == pytest.approx(np.sort(whole[whole > 0])[::-1][:count])
        assert [whole["abcd".index(i), "abcd".index(j)] for i, j in zip(top["row"], top["column"], strict=True)] == pytest.approx(
            top["value"].tolist()
        )


def test_the_largest_entries_are_found_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphs.factored.BLOCK", 7)
    random = np.random.default_rng(0)
    left, right = random.random((9, 2)), random.random((9, 2))
    top = Factored(left, right, tuple(range(9))).top(11)
    whole = (left @ right.T).ravel()
    order = np.argsort(-whole, kind="stable")[:11]
    assert (9 * top["row"] + top["column"]).tolist() == order.tolist()
    with pytest.raises(MatrixError):
        Factored(left, right, tuple(range(9))).top(-1)


def test_scaling_leaves_the_input_alone() -> None:
    sparse = csr_array([[0.0, 2.0], [3.0, 0.0]])
    assert scaled(sparse, [10.0, 1.0], [1.0, 5.0]).toarray().tolist() == [[0.0, 100.0], [3.0, 0.0]]
    assert sparse.toarray().tolist() == [[0.0, 2.0], [3.0, 0.0]]

"""Centralities agree with NetworkX, permute with the nodes, and do not depend on the currency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from graphs.kernels import paths
from graphs.matrices import MatrixError
from graphs.structure import betweenness, centralities

if TYPE_CHECKING:
    import random


@st.composite
def graphs(draw: st.DrawFn) -> nx.DiGraph[int]:
    """Directed graphs with weights, self-loops and nodes without edges."""
    n = draw(st.integers(1, 9))
    edges = draw(st.dictionaries(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), st.sampled_from([0.5, 1.0, 7.0]), max_size=25))
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from((i, j, weight) for (i, j), weight in edges.items())
    return graph


def _values(found: dict[Any, float]) -> list[float]:
    return [found[node] for node in sorted(found)]


@settings(max_examples=50)
@given(graphs())
def test_as_networkx_has_them(graph: nx.DiGraph[int]) -> None:
    found = centralities(graph)
    assert found["in_degree"].tolist() == [degree for _, degree in graph.in_degree()]
    assert found["out_strength"].tolist() == pytest.approx([degree for _, degree in graph.out_degree(weight="weight")])
    assert found["pagerank"].tolist() == pytest.approx(_values(nx.pagerank(graph, tol=1e-13, max_iter=2000)), abs=1e-10)
    assert found["betweenness"].tolist() == pytest.approx(_values(nx.betweenness_centrality(graph)), abs=1e-12)
    root = max(abs(np.linalg.eigvals(nx.to_numpy_array(graph))))
    acyclic = nx.is_directed_acyclic_graph(graph)
    if not acyclic:
        katz = np.linalg.solve(np.eye(len(graph)) - 0.85 / root * nx.to_numpy_array(graph).T, np.ones(len(graph)))
        assert found["katz"].to_numpy() == pytest.approx(katz / np.linalg.norm(katz), abs=1e-5)
    assert (found["eigenvector"].max() == 0) == acyclic


@settings(max_examples=50)
@given(graphs())
def test_the_eigenvector_is_one(graph: nx.DiGraph[int]) -> None:
    vector = centralities(graph)["eigenvector"].to_numpy()
    if len(graph) > 1 and nx.is_strongly_connected(graph):
        matrix = nx.to_numpy_array(graph).T
        root = max(np.linalg.eigvals(matrix).real)
        assert matrix @ vector == pytest.approx(root * vector, abs=1e-8 * root)
        assert (vector > 0).all()
        assert np.linalg.norm(vector) == pytest.approx(1.0)


@settings(max_examples=40)
@given(graphs(), st.randoms(use_true_random=False))
def test_names_and_currency_do_not_matter(graph: nx.DiGraph[int], random: random.Random) -> None:
    matrix = nx.to_numpy_array(graph)
    order = list(range(len(graph)))
    random.shuffle(order)
    one, other = centralities(matrix), centralities(csr_array(1024.0 * matrix[np.ix_(order, order)]))
    for name in one.columns:
        scale = 1024.0 if "strength" in name else 1.0
        assert other[name].to_numpy() == pytest.approx(scale * one[name].to_numpy()[order], rel=1e-6, abs=1e-8), name


def test_a_large_graph_takes_the_sparse_path_and_agrees() -> None:
    graph = nx.gnp_random_graph(210, 0.03, seed=4, directed=True)
    for _, _, data in graph.edges(data=True):
        data["weight"] = 1.0 + len(data)
    found = centralities(graph)
    assert found["eigenvector"].tolist() == pytest.approx(_values(nx.eigenvector_centrality(graph, max_iter=5000, tol=1e-13)), abs=1e-8)
    assert found["betweenness"].tolist() == pytest.approx(_values(nx.betweenness_centrality(graph)), abs=1e-12)


def test_sampled_betweenness_is_seeded_and_near() -> None:
    graph = csr_array(nx.to_scipy_sparse_array(nx.gnp_random_graph(100, 0.05, seed=1, directed=True)))
    exact = betweenness(graph)
    sampled = betweenness(graph, pivots=60, seed=3)
    assert np.array_equal(sampled, betweenness(graph, pivots=60, seed=3))
    assert not np.array_equal(sampled, betweenness(graph, pivots=60, seed=4))
    assert np.corrcoef(exact, sampled)[0, 1] > 0.9
    assert np.mean([betweenness(graph, pivots=20, seed=seed) for seed in range(50)], axis=0) == pytest.approx(exact, abs=0.012)
    with pytest.raises(MatrixError, match="pivots"):
        betweenness(graph, pivots=0)


@settings(max_examples=20)
@given(graphs())
def test_the_compiled_kernel_is_its_plain_loop(graph: nx.DiGraph[int]) -> None:
    matrix = csr_array(nx.to_scipy_sparse_array(graph))
    starts, ends, sources = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), np.arange(len(graph))
    plain, compiled = np.zeros(len(graph)), np.zeros(len(graph))
    paths.betweenness_loop(starts, ends, sources, plain)
    paths._compiled()(starts, ends, sources, compiled)
    assert np.array_equal(plain, compiled)


def test_no_nodes_and_no_edges() -> None:
    assert centralities(np.zeros((0, 0))).empty
    found = centralities(np.zeros((3, 3)))
    assert found["pagerank"].tolist() == pytest.approx([1 / 3] * 3)
    assert found[["eigenvector", "betweenness", "in_degree"]].to_numpy().max() == 0

"""Maximum entropy, minimum density and the fitness ensemble: published matrices, margins met, few links, fair means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graphs.errors import GraphError
from graphs.reconstruct import MarginsError, fit_margins, fitness_ensemble, maximum_entropy, minimum_density

if TYPE_CHECKING:
    import random

# Anand, Craig and von Peter (2015), Quantitative Finance 15:4, p. 628: seven banks.
ASSETS, LIABILITIES = [7, 5, 3, 1, 3, 0, 1], [4, 5, 5, 0, 0, 2, 4]
EVEN = [
    [0, 2.53, 2.18, 0, 0, 0.74, 1.55],
    [1.72, 0, 1.6, 0, 0, 0.54, 1.14],
    [0.98, 1.06, 0, 0, 0, 0.31, 0.65],
    [0.25, 0.27, 0.23, 0, 0, 0.08, 0.17],
    [0.75, 0.81, 0.7, 0, 0, 0.24, 0.5],
    [0, 0, 0, 0, 0, 0, 0],
    [0.3, 0.32, 0.28, 0, 0, 0.09, 0],
]


@st.composite
def hidden(draw: st.DrawFn, *, most: int = 6) -> np.ndarray[Any, Any]:
    """Matrices with an empty diagonal, so that their margins have a solution."""
    n = draw(st.integers(2, most))
    cells = draw(arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.0, 10.0])))
    np.fill_diagonal(cells, 0.0)
    return np.asarray(cells)


def _graph(out: Any, into: Any) -> nx.DiGraph[str]:  # noqa: ANN401 - vectors
    graph: nx.DiGraph[str] = nx.DiGraph(name="banks")
    graph.add_nodes_from((name, {"out_sum": a, "in_sum": b, "country": "X"}) for name, a, b in zip("abcdefg", out, into, strict=False))
    return graph


def test_maximum_entropy_of_seven_banks() -> None:
    found = maximum_entropy(ASSETS, LIABILITIES)
    assert np.abs(found - EVEN).max() <= 0.005
    graph = maximum_entropy(_graph(ASSETS, LIABILITIES))
    assert nx.to_numpy_array(graph, nodelist=list("abcdefg")) == pytest.approx(found)
    assert graph.nodes["a"]["country"] == "X"
    assert graph.graph["name"] == "banks"


@given(hidden())
def test_maximum_entropy_is_the_most_even(cells: Any) -> None:  # noqa: ANN401 - an array
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    found = maximum_entropy(rows, columns)
    total = max(rows.sum(), 1.0)
    assert np.abs(found.sum(axis=1) - rows).max() <= 1e-9 * total
    assert np.abs(found.sum(axis=0) - columns).max() <= 1e-9 * total
    assert not np.diagonal(found).any()

    def entropy(matrix: Any) -> float:  # noqa: ANN401 - an array
        part = matrix[matrix > 0]
        return float(-(part * np.log(part)).sum())

    assert entropy(found) >= entropy(cells) - 1e-7 * total


def test_with_self_loops_it_is_the_outer_product() -> None:
    assert maximum_entropy([60.0, 40.0], [70.0, 30.0], self_loops=True) == pytest.approx(np.array([[42.0, 18.0], [28.0, 12.0]]))
    assert maximum_entropy([60.0, 40.0], [50.0, 30.0, 20.0]).shape == (2, 3)  # two sets of nodes
    assert fit_margins([60, 40], [70, 30], np.ones((2, 2)))[0, 0] == pytest.approx(42.0)


def test_minimum_density_of_seven_banks() -> None:
    # NetworkRiskMeasures' test of minimum density (set.seed(192)) prints a matrix with nine links for these margins; seven suffice.
    published = np.zeros((7, 7))
    for i, j, value in [(1, 0, 3), (6, 0, 1), (0, 1, 3), (2, 1, 2), (1, 2, 2), (4, 2, 3), (2, 5, 1), (3, 5, 1), (0, 6, 4)]:
        published[i, j] = value
    assert published.sum(axis=1).tolist() == ASSETS
    assert published.sum(axis=0).tolist() == LIABILITIES
    assert minimum_density(ASSETS, LIABILITIES).nnz == 7
    assert minimum_density(ASSETS, LIABILITIES, exact=True).nnz == 7


@given(hidden(most=9))
def test_minimum_density_meets_the_margins_with_few_links(cells: Any) -> None:  # noqa: ANN401 - an array
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    found = minimum_density(rows, columns, draws=5, seed=1)
    assert np.abs(found.sum(axis=1) - rows).max() <= 1e-9
    assert np.abs(found.sum(axis=0) - columns).max() <= 1e-9
    assert not found.diagonal().any()
    assert found.nnz == 0 or found.data.min() > 0
    # At least one for each sum, at most a tree and what the diagonal costs.
    assert found.nnz >= max((rows > 0).sum(), (columns > 0).sum())
    assert found.nnz <= max((rows > 0).sum() + (columns > 0).sum() + 1, 0)
    assert minimum_density(rows, columns, draws=10, seed=1).nnz <= found.nnz


@settings(max_examples=15)
@given(hidden(most=5))
def test_many_draws_come_near_the_exact_minimum(cells: Any) -> None:  # noqa: ANN401 - an array
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    exact = minimum_density(rows, columns, exact=True)
    assert np.abs(exact.sum(axis=1) - rows).max(initial=0.0) <= 1e-9
    assert exact.nnz <= minimum_density(rows, columns, draws=60).nnz <= exact.nnz + 1


def test_what_can_only_stand_on_the_diagonal_is_swapped_in() -> None:
    for seed in range(20):
        found = minimum_density([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], draws=1, seed=seed).toarray()
        assert found.sum(axis=0).tolist() == [1.0, 1.0, 1.0]
        assert not np.diagonal(found).any()


def test_minimum_density_of_a_graph() -> None:
    graph = minimum_density(_graph(ASSETS, LIABILITIES), weight="amount")
    assert graph.number_of_edges() == 7
    assert {node: sum(data["amount"] for _, _, data in graph.out_edges(node, data=True)) for node in graph} == dict(
        zip("abcdefg", ASSETS, strict=True)
    )


@given(hidden(), st.floats(0.1, 1.0), st.booleans())
def test_the_ensemble_has_the_links_and_means_that_are_asked_for(cells: Any, density: float, loops: bool) -> None:  # noqa: ANN401, FBT001 - drawn
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    if not rows.sum():
        with pytest.raises(MarginsError):
            fitness_ensemble(rows, columns, density=density)
        return
    drawn = fitness_ensemble(rows, columns, density=density, self_loops=loops)
    assert drawn.expected.sum(axis=1) == pytest.approx(rows, abs=1e-8)
    assert drawn.expected.sum(axis=0) == pytest.approx(columns, abs=1e-8)
    assert ((drawn.probability > 0) >= (drawn.expected > 0)).all()
    assert drawn.probability.max() <= 1
    used = (drawn.expected > 0).sum()
    if density * drawn.margins.allowed().sum() < used:
        assert drawn.links == pytest.approx(density * drawn.margins.allowed().sum(), rel=1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = drawn.probability / (1 - drawn.probability) / np.outer(rows, columns)
    inner = (drawn.probability > 1e-6) & (drawn.probability < 1 - 1e-6)
    assert np.ptp(np.log(odds[inner])) < 1e-5 if inner.any() else True


def test_draws_are_addressable_and_their_mean_is_the_expected_matrix() -> None:
    drawn = fitness_ensemble(ASSETS, LIABILITIES, density=0.4, draws=4000, seed=2)
    mean = sum(matrix.toarray() for matrix in drawn) / len(drawn)
    error = np.sqrt(
        np.divide(drawn.expected**2 * (1 - drawn.probability), drawn.probability, out=0 * mean, where=drawn.probability > 0) / len(drawn)
    )
    assert (np.abs(mean - drawn.expected) <= 5 * error + 1e-12).all()
    again = fitness_ensemble(ASSETS, LIABILITIES, density=0.4, draws=10, seed=2)
    assert np.array_equal(again.draw(7).toarray(), drawn.draw(7).toarray())
    assert not np.array_equal(again.draw(7).toarray(), again.draw(8).toarray())
    low, middle, high = drawn.interval(lambda matrix: matrix.nnz)
    assert low < drawn.links < high
    assert low <= middle <= high


def test_exact_draws_meet_the_margins_themselves() -> None:
    drawn = fitness_ensemble(_graph(ASSETS, LIABILITIES), density=0.8, draws=5, exact=True)
    for matrix in drawn:
        assert matrix.sum(axis=1) == pytest.approx(ASSETS, abs=1e-6)
        assert matrix.sum(axis=0) == pytest.approx(LIABILITIES, abs=1e-6)
    assert set(drawn.draw_networkx(0)) == set("abcdefg")
    with pytest.raises(MarginsError, match="ask for more links"):
        fitness_ensemble(ASSETS, LIABILITIES, links=2, draws=1, exact=True).draw(0)


@given(hidden(), st.randoms(use_true_random=False))
def test_names_and_currency_do_not_matter(cells: Any, random: random.Random) -> None:  # noqa: ANN401 - an array
    order = list(range(len(cells)))
    random.shuffle(order)
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    found = maximum_entropy(rows, columns)
    assert maximum_entropy(8 * rows[order], 8 * columns[order]) == pytest.approx(8 * found[np.ix_(order, order)], abs=1e-7)


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ([1, 2], [1, 1], ["3", "2", "totals"]),
        ([1, -2], [1, 1], ["row sum", "-2.0"]),
        ([3, 1], [3, 1], ["row and column sum of 0", "4"]),
        (_graph([1], [1]), [1], ["graph"]),
        (nx.DiGraph([("a", "b")]), None, ["a, b", "out_sum"]),
    ],
)
@pytest.mark.parametrize("method", [maximum_entropy, minimum_density])
def test_bad_margins_are_named(method: Any, rows: Any, columns: Any, words: list[str]) -> None:  # noqa: ANN401 - whatever a caller gives
    with pytest.raises(MarginsError) as caught:
        method(rows, columns)
    assert all(word in str(caught.value) for word in words), caught.value
    assert isinstance(caught.value, GraphError)


def test_bad_options_are_named() -> None:
    with pytest.raises(MarginsError, match="one of the two"):
        fitness_ensemble([1], [1], self_loops=True)
    with pytest.raises(MarginsError, match="at most"):
        fitness_ensemble([1, 1], [1, 1], links=9)
    with pytest.raises(MarginsError, match="draws"):
        minimum_density([1, 1], [1, 1], draws=0)
    with pytest.raises(MarginsError, match="count from 0"):
        fitness_ensemble([1, 1], [1, 1], links=1, draws=1).draw(1)
    with pytest.raises(MarginsError, match="level"):
        fitness_ensemble([1, 1], [1, 1], links=1, draws=1).interval(lambda matrix: matrix.nnz, level=1.0)

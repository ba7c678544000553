"""Impact measures, overlap, concentration: published numbers, definitions by brute force, what permutes and scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import expm
from scipy.sparse import csr_array

from graphs.matrices import MatrixError
from graphs.structure import (
    communicability,
    concentration,
    impact_diffusion,
    impact_fluidity,
    impact_matrix,
    impact_susceptibility,
    liquidity_weighted_overlap,
)

if TYPE_CHECKING:
    import random

# NetworkRiskMeasures tests/testthat/test_1_risk_com.R: row owes column, nodes A B C E F D, F owing itself; GPL package, facts only.
OWED = np.array(
    [
        [0, 5, 0, 0, 10, 2],
        [0, 0, 3, 0, 2, 0],
        [0, 0, 0, 4, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 2, 5, 5, 0],
        [0, 2, 2, 0, 0, 0],
    ],
    dtype=float,
)
BUFFER = [10.0, 2.0, 2.0, 1.0, 10.0, 4.0]
# The same package, help page and test_3_impacts.R: three banks a, b, c.
THREE, THREE_BUFFER = [[0, 1, 0], [10, 0, 3], [3, 2, 0]], [2, 5, 2]


def test_impact_matrix_of_six_nodes() -> None:
    expected = np.array(
        [
            [0, 1, 0, 0, 1, 0.5],
            [0, 0, 1, 0, 0.2, 0],
            [0, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 0.5, 0],
            [0, 1, 1, 0, 0, 0],
        ]
    )
    assert impact_matrix(OWED.T, BUFFER) == pytest.approx(expected, abs=1e-12)
    assert impact_matrix(csr_array(OWED.T), BUFFER).toarray() == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(impact_matrix(OWED.T, BUFFER, binary=True), expected == 1)
    sixth = communicability(impact_matrix(OWED.T, BUFFER, binary=True))
    assert sixth == pytest.approx(
        np.array(
            [
                [1, 1, 1, 5 / 6, 1, 0],
                [0, 1, 1, 0.5, 0, 0],
                [0, 0, 1, 1, 0, 0],
                [0, 0, 0, 1, 0, 0],
                [0, 0, 1, 1.5, 1, 0],
                [0, 1, 1.5, 2 / 3, 0, 1],
            ]
        ),
        abs=1e-9,
    )


def test_susceptibility_diffusion_and_fluidity_of_three_banks() -> None:
    assert impact_susceptibility(THREE, THREE_BUFFER) == pytest.approx([0, 1, 1.25])
    assert impact_fluidity(THREE, THREE_BUFFER) == pytest.approx(0.75)
    found = impact_diffusion(THREE, THREE_BUFFER)
    assert found["start"].to_numpy() == pytest.approx([1.25, 1, 0])
    assert found["intermediate"].to_numpy() == pytest.approx([0, 0.5, 0])
    assert found["total"].to_numpy() == pytest.approx([1.25, 1.5, 0])


def _by_definition(exposures: Any, buffer: Any, weights: Any, *, binary: bool) -> tuple[Any, Any, Any]:  # noqa: ANN401 - arrays
    """The formulas as written, n × n throughout."""
    with np.errstate(divide="ignore", invalid="ignore"):
        v = np.minimum(np.where(exposures > 0, exposures / buffer[:, None], 0.0).T, 1.0)
    v = (v >= 1 - 1e-12) * 1.0 if binary else v
    g = expm(v)
    np.fill_diagonal(g, 0.0)
    reached = (
        g.sum(axis=0) * weights if weights is not None else np.divide(g.sum(axis=0), v.sum(axis=0), out=0 * v[0], where=v.sum(axis=0) > 0)
    )
    start, passing = np.zeros(len(v)), np.zeros(len(v))
    for q in np.flatnonzero(v.sum(axis=1) > 0):
        without = v.copy()
        without[q] = 0.0
        h = expm(without)
        np.fill_diagonal(h, 0.0)
        fall = (g - h) @ (np.ones(len(v)) / v[q].sum() if weights is None else weights)
        start[q], passing[q] = fall[q], fall.sum() - fall[q]
    return reached, start, passing


@settings(max_examples=25)
@given(
    arrays(np.float64, (5, 5), elements=st.sampled_from([0.0, 0.0, 1.0, 3.0])),
    arrays(np.float64, 5, elements=st.sampled_from([0.0, 1.0, 2.0, 4.0])),
    st.sampled_from([None, np.arange(5.0)]),
    st.booleans(),
)
def test_impact_measures_are_their_definitions(exposures: Any, buffer: Any, weights: Any, binary: bool) -> None:  # noqa: ANN401, FBT001 - drawn
    reached, start, passing = _by_definition(exposures, buffer, weights, binary=binary)
    graph = nx.from_numpy_array(exposures, create_using=nx.DiGraph)
    for values in (exposures, csr_array(exposures), graph):
        assert impact_susceptibility(values, buffer, weights=weights, binary=binary) == pytest.approx(reached, rel=1e-9, abs=1e-9)
        found = impact_diffusion(values, buffer, weights=weights, binary=binary)
        assert found["start"].to_numpy() == pytest.approx(start, rel=1e-9, abs=1e-9)
        assert found["intermediate"].to_numpy() == pytest.approx(passing, rel=1e-9, abs=1e-9)


def test_an_exposure_that_equals_the_buffer_but_for_rounding_takes_it() -> None:
    assert impact_matrix([[0.0, 0.3], [0.0, 0.0]], [3 * 0.1, 1.0], binary=True)[1, 0] == 1.0


def test_a_long_chain_stays_sparse() -> None:
    n = 30_000
    chain = csr_array((np.ones(n - 1), (np.arange(1, n), np.arange(n - 1))), shape=(n, n))  # each is exposed to the one before
    reached = impact_susceptibility(chain, np.ones(n))
    assert reached[0] == 0
    assert reached[-1] == pytest.approx(np.e - 1)  # walks of every length, over one direct exposure


@given(arrays(np.float64, (4, 3), elements=st.sampled_from([0.0, 1.0, 20.0])), st.randoms(use_true_random=False))
def test_overlap_is_its_definition_and_permutes(held: Any, random: random.Random) -> None:  # noqa: ANN401 - an array
    depth = np.array([2.0, 50.0, np.inf])
    whole = held @ np.diag(1 / depth) @ held.T
    assert liquidity_weighted_overlap(held, depth).toarray() == pytest.approx(whole)
    order = list(range(4))
    random.shuffle(order)
    found = liquidity_weighted_overlap(csr_array(held[order]), depth, hollow=True).toarray()
    np.fill_diagonal(whole, 0.0)
    assert found == pytest.approx(whole[np.ix_(order, order)])


def test_concentration_by_hand() -> None:
    # Shares ½, ¼, ¼ have an index of 3/8; a column that nobody holds has none.
    table = concentration([[2.0, 0.0], [1.0, 0.0], [1.0, 0.0]], largest=[1, 2, 9])
    assert table.loc[0].tolist() == [4.0, 3.0, 0.375, 1 / 0.375, 0.5, 0.75, 1.0]
    assert table.loc[1, ["total", "count"]].tolist() == [0.0, 0.0]
    assert np.isnan(table.loc[1, "hhi"])
    rows = concentration(csr_array([[1.0, 3.0], [0.0, 5.0]]), by="rows")
    assert rows["hhi"].tolist() == [0.625, 1.0]
    with pytest.raises(MatrixError, match="columns"):
        concentration([1.0], by="cells")


@given(arrays(np.float64, st.integers(1, 8), elements=st.floats(0.01, 100)))
def test_concentration_lies_between_equal_and_single(values: Any) -> None:  # noqa: ANN401 - an array
    index = concentration(values)["hhi"].iloc[0]
    assert 1 / values.size - 1e-12 <= index <= 1 + 1e-12
    assert concentration(values * 8)["hhi"].iloc[0] == pytest.approx(index)

# ruff: noqa: ANN401 - matrices come as lists, as published
"""The threshold cascade: published cases, the analytic windows of Gai-Kapadia and Watts, ties, and a plain oracle."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.sparse import coo_array, csr_array
from scipy.stats import poisson

from contagion.models.errors import ModelError
from contagion.models.threshold import cascade
from graphs.matrices import MatrixError

CHAIN = [[0, 10, 0], [0, 0, 10], [0, 0, 0]]


def test_published_threshold_stress_of_three_banks() -> None:
    """carloscinelli/NetworkRiskMeasures 0.1.7, help-page matrix: stress by shocked node, further defaults, losses."""
    buffer = np.array([2.0, 5.0, 2.0])
    result = cascade([[0, 1, 0], [10, 0, 3], [3, 2, 0]], buffer, "each")
    stress = np.eye(3) + result.loss / buffer[:, None]
    np.testing.assert_allclose(stress, np.transpose([[1.5, 2.6, 2.5], [0.5, 1.6, 1.0], [0.0, 0.6, 1.0]]), atol=1e-12)
    assert (result.defaulted.sum(axis=0) - 1).tolist() == [2, 1, 0]
    np.testing.assert_allclose(result.loss.sum(axis=0), [19, 6, 3], atol=1e-12)
    weights = np.array([10, 100, 30]) / 140
    np.testing.assert_allclose(weights @ (np.minimum(stress, 1) - np.eye(3)), [13 / 14, 0.25, 3 / 7], atol=1e-12)


def test_furfine_on_the_three_bank_ring() -> None:
    """Inputs of paolobarucca/furfine Exercise1.m after a 10 % shock, R = 0: equities end at (-3, -3, -1)."""
    equity = np.array([-1.0, 1.0, 2.0])
    result = cascade(np.transpose([[0, 4, 0], [0, 0, 3], [2, 0, 0]]), equity, [])
    np.testing.assert_allclose(equity - result.loss, [-3, -3, -1])
    assert result.round.tolist() == [0, 1, 2]


def test_furfine_is_harsher_than_clearing() -> None:
    """CRAN systemicrisk, first example of default_clearing: default_cascade with R = 0 has all three banks fail, clearing two."""
    liabilities, assets, outside = np.where(np.eye(3), 0.0, 0.5), np.array([0.5, 0.625, 0.75]), np.array([1.5, 0.5, 0.5])
    buffer = assets + liabilities.sum(axis=0) - liabilities.sum(axis=1) - outside
    assert cascade(liabilities.T, buffer, []).defaulted.all()


def test_an_impact_of_one_is_a_fall_and_less_is_none() -> None:
    """Six banks of NetworkRiskMeasures tests/testthat/test_1_risk_com.R: one loss reaches a buffer where the capped impact is 1."""
    liabilities = np.zeros((6, 6))
    for i, j, amount in (
        (0, 1, 5),
        (0, 4, 10),
        (0, 5, 2),
        (1, 2, 3),
        (1, 4, 2),
        (2, 3, 4),
        (4, 2, 2),
        (4, 3, 5),
        (4, 4, 5),
        (5, 1, 2),
        (5, 2, 2),
    ):
        liabilities[i, j] = amount
    impact = np.array(
        [
            [0, 1, 0, 0, 1, 0.5],
            [0, 0, 1, 0, 0.2, 0],
            [0, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 0.5, 0],
            [0, 1, 1, 0, 0, 0],
        ]
    )
    result = cascade(liabilities.T, [10, 2, 2, 1, 10, 4], "each")
    off = ~np.eye(6, dtype=bool)
    assert ((result.round.T == 1) == (impact == 1.0))[off].all()


@pytest.mark.parametrize(("tie", "most", "window"), [("default", 5, (1.0037, 7.4771)), ("survive", 4, (1.0207, 5.7647))])
def test_the_windows_of_gai_and_kapadia_and_watts(tie: Any, most: int, window: tuple[float, float]) -> None:
    """Gai and Kapadia (2010), first-order condition: z·P(Poisson(z) ≤ j - 1) = 1, j debtors at most, capital 4 %, interbank assets 20 %.

    Watts (2002) at φ = 0.18 has the second window. In simulation one default brings down one other, on average, just at the edges.
    """

    def reproduction(z: float) -> float:
        return float(z * poisson.cdf(most - 1, z))

    edges = [brentq(lambda z: reproduction(z) - 1, 0.5, 2.0), brentq(lambda z: reproduction(z) - 1, 4.0, 9.0)]
    np.testing.assert_allclose(edges, window, atol=5e-5)
    rng = np.random.default_rng(2010)
    banks, seeds = 2_000, 600
    for z in (*edges, 3.0):
        exposures = poisson_network(rng, banks, z)
        start = np.zeros((banks, seeds), dtype=bool)
        start[rng.permutation(banks)[:seeds], np.arange(seeds)] = True
        # only the first round counts here: a node is immune once its buffer cannot be lost to one debtor
        first = (cascade(exposures, 0.04, start, tie=tie).round == 1).sum(axis=0)
        assert first.mean() == pytest.approx(reproduction(z), abs=4.5 * np.sqrt(first.var() / seeds + reproduction(z) / banks))


def poisson_network(rng: np.random.Generator, banks: int, z: float, assets: float = 0.2) -> csr_array:
    """Directed G(n, p) with z debtors a bank on average, interbank assets split equally over them."""
    count = rng.binomial(banks * (banks - 1), z / (banks - 1))
    cells = rng.integers(0, banks * banks, count)
    creditor, debtor = np.divmod(np.unique(cells), banks)
    keep = creditor != debtor
    creditor, debtor = creditor[keep], debtor[keep]
    amount = assets / np.bincount(creditor, minlength=banks)[creditor]
    return csr_array(coo_array((amount, (creditor, debtor)), shape=(banks, banks)))


SIMULATED = {  # frequency of a cascade over 5 %, and its extent: 1,000 banks, 1,000 networks each, by an independent loop
    ("survive", 0.5): (0.0, None),
    ("survive", 3.0): (0.779, 0.940),
    ("survive", 8.0): (0.0, None),
    ("default", 3.0): (0.885, 0.940),
    ("default", 8.0): (0.131, 0.9997),
}


@pytest.mark.parametrize(("tie", "z"), SIMULATED)
def test_frequency_and_extent_of_contagion(tie: Any, z: float) -> None:
    rng = np.random.default_rng(int(10 * z))
    runs, banks = 150, 1_000
    share = np.array(
        [cascade(poisson_network(rng, banks, z), 0.04, [int(rng.integers(banks))], tie=tie).defaulted.mean() for _ in range(runs)]
    )
    frequency, extent = SIMULATED[tie, z]
    large = share > 0.05
    spread = np.sqrt(max(frequency * (1 - frequency), 0.005) * (1 / runs + 1 / 1_000))
    assert large.mean() == pytest.approx(frequency, abs=3.5 * spread)
    if extent is not None:
        assert share[large].mean() == pytest.approx(extent, abs=0.03)


def test_ties_are_decided_with_a_relative_tolerance() -> None:
    """0.2/5 and 0.04 differ by a bit in binary."""
    exposures = np.zeros((6, 6))
    exposures[0, 1:] = 0.2 / 5
    for unit in (1.0, 3.0, 1e-9, 7e11):
        assert cascade(exposures * unit, 0.04 * unit, [1]).defaulted[0]
        assert not cascade(exposures * unit, 0.04 * unit, [1], tie="survive").defaulted[0]
        assert cascade(exposures * unit, 0.039999999 * unit, [1], tie="survive").defaulted[0]


def plain(exposures: np.ndarray, buffer: np.ndarray, seeds: np.ndarray, recovery: float, tie: str) -> np.ndarray:
    """Rounds of default, node by node (the oracle)."""
    rounds = np.where(seeds | (buffer < 0), 0, -1)
    now = 0
    while True:
        now += 1
        fallen, more = rounds >= 0, []
        for i in np.flatnonzero(~fallen):
            loss = sum((1 - recovery) * exposures[i, j] for j in np.flatnonzero(fallen))
            edge = buffer[i] * (1 - 1e-12) if tie == "default" else buffer[i] * (1 + 1e-12)
            if loss > 0 and (loss >= edge if tie == "default" else loss > edge):
                more.append(i)
        if not more:
            return rounds
        rounds[more] = now


@given(seed=st.integers(0, 1_000_000), tie=st.sampled_from(["default", "survive"]))
def test_rounds_are_those_of_plain_loops_for_every_input(seed: int, tie: Any) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    exposures = np.where(rng.random((n, n)) < 0.4, rng.integers(1, 5, (n, n)), 0.0)
    np.fill_diagonal(exposures, 0.0)
    buffer, recovery = rng.integers(-1, 8, n).astype(float), float(rng.choice([0.0, 0.25, 0.5]))
    seeds = rng.random((n, 3)) < 0.2
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from((int(i), int(j), float(exposures[i, j])) for i, j in np.argwhere(exposures))
    many = cascade(exposures, buffer, seeds, recovery=recovery, tie=tie)
    order = rng.permutation(n)
    for column in range(3):
        expected = plain(exposures, buffer, seeds[:, column], recovery, tie)
        assert many.round[:, column].tolist() == expected.tolist()
        for matrix in (csr_array(exposures), graph):
            one = cascade(matrix, buffer, seeds[:, column], recovery=recovery, tie=tie)
            assert one.round.tolist() == expected.tolist()
            assert one.residual == 0.0
        turned = cascade(exposures[np.ix_(order, order)] * 1e6, buffer[order] * 1e6, seeds[order, column], recovery=recovery, tie=tie)
        assert turned.round.tolist() == expected[order].tolist()


@pytest.mark.parametrize("length", [4, 150])
def test_a_long_chain_is_followed_to_its_end(length: int) -> None:
    """Long enough that a sparse cascade follows those that fall, with a fan that falls at once in its middle."""
    debtor = np.append(np.arange(length - 1), np.full(200, length // 2))
    creditor = np.append(np.arange(1, length), length + np.arange(200))
    exposures = csr_array((np.ones(debtor.size), (creditor, debtor)), shape=(length + 200,) * 2)
    sparse, dense = (cascade(matrix, 0.5, [0]) for matrix in (exposures, exposures.toarray()))
    assert sparse.round.tolist() == dense.round.tolist()
    assert sparse.round[:length].tolist() == list(range(length))
    assert (sparse.round[length:] == length // 2 + 1).all()
    assert sparse.loss.tolist() == dense.loss.tolist()


def test_seeds_may_be_positions_labels_masks_or_columns() -> None:
    for seeds in ([2], np.array([2]), {2}, [False, False, True], [0, 0, 1], (2,)):
        assert cascade(CHAIN, 5, seeds).round.tolist() == [2, 1, 0]
    graph = nx.DiGraph([("a", "b", {"weight": 10.0}), ("b", "c", {"weight": 10.0})])
    for named in (["c"], "c", {"c"}):
        assert cascade(graph, {"a": 5, "b": 5, "c": 5}, named).round.tolist() == [2, 1, 0]
    columns = cascade(CHAIN, 5, np.eye(3, dtype=int)[:, 1:])
    assert columns.round.T.tolist() == [[1, 0, -1], [2, 1, 0]]


def test_a_node_without_buffer_waits_for_a_loss() -> None:
    assert not cascade(CHAIN, 0, []).defaulted.any()
    assert cascade(CHAIN, 0, [1]).defaulted.tolist() == [True, True, False]
    assert cascade(CHAIN, [5, -1, 5], []).round.tolist() == [1, 0, -1]
    assert not cascade(CHAIN, [5, np.inf, 5], [2]).defaulted[0]


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([[0, -1], [0, 0]], 1, [0]), {}, r"exposures: \[0, 1\] = -1.0"),
        ((CHAIN, [1, 2], [0]), {}, "buffer has shape"),
        ((CHAIN, 5, [7]), {}, "seeds names 7"),
        ((CHAIN, 5, [True, False]), {}, "2 flags for 3 nodes"),
        ((CHAIN, 5, np.full((3, 2), 2)), {}, "seeds has shape"),
        ((CHAIN, 5, [0]), {"recovery": 1.5}, "recovery of 0: 1.5"),
        ((CHAIN, 5, [0]), {"tie": "maybe"}, "tie is 'maybe'"),
    ],
)
def test_what_has_no_meaning_is_refused_in_a_sentence(arguments: Any, options: Any, words: str) -> None:
    with pytest.raises((ModelError, MatrixError), match=words):
        cascade(*arguments, **options)

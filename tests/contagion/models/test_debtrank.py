# ruff: noqa: ANN401 - matrices come as lists, as published
"""DebtRank: published distress, plain iteration as oracle below, at and beyond criticality, and what every answer must satisfy."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array, random_array

from contagion.models.debtrank import DebtRank, debtrank, linear_response
from contagion.models.errors import ModelError
from graphs.matrices import MatrixError

TWO = [[0, 0], [50, 0]]
GLOBE = (  # lastch1ld/debtrank-globe, tests/test_debtrank.py, commit d09aa31: exposures, equity, shock, distress, value
    ([[0, 50, 0], [0, 0, 0], [0, 0, 0]], [100, 100, 100], [0, 0, 0.6], [0, 0, 0.6], 0.0),
    (TWO, [100, 100], [1, 0], [1, 0.5], 0.25),
    ([[0, 0], [500, 0]], [100, 100], [1, 0], [1, 1], 0.5),
    (TWO, [100, 100], [0.4, 0], [0.4, 0.2], 0.1),
)


@pytest.mark.parametrize("variant", ["linear", "single_hit"])
@pytest.mark.parametrize(("exposures", "equity", "shock", "distress", "value"), GLOBE)
def test_published_chains(*, variant: Any, exposures: Any, equity: Any, shock: Any, distress: Any, value: float) -> None:
    result = debtrank(exposures, equity, shock, variant=variant)
    np.testing.assert_allclose(result.distress, distress, atol=1e-12)
    assert result.value == pytest.approx(value, abs=1e-12)


NRM = [[0, 1, 0], [10, 0, 3], [3, 2, 0]]
NRM_STRESS = {  # carloscinelli/NetworkRiskMeasures 0.1.7, help-page matrix, abs.tol = 1e-14: uncapped stress by shocked node
    "linear": ([[1.5, 2.6, 2.5], [0.5, 2.6, 1.75], [0.5, 1.6, 2.75]], [13 / 14, 0.25, 0.75], [19, 12.5, 12.5], [2, 1, 1]),
    "single_hit": ([[1.5, 2.6, 2.5], [0.5, 2.6, 1.75], [0.3, 1.2, 2.05]], [13 / 14, 0.25, 103 / 140], [19, 12.5, 8.7], [2, 1, 1]),
}


@pytest.mark.parametrize("variant", NRM_STRESS)
def test_published_stress_of_three_banks_each_shocked_in_turn(variant: Any) -> None:
    stress, value, loss, defaults = NRM_STRESS[variant]
    result = debtrank(NRM, [2, 5, 2], "each", weights=[10, 100, 30], variant=variant, capped=False)
    np.testing.assert_allclose(result.distress, np.transpose(stress), atol=1e-9)
    np.testing.assert_allclose(result.value, value, atol=1e-9)
    np.testing.assert_allclose(result.loss, loss, atol=1e-9)
    assert (result.defaulted.sum(axis=0) - 1).tolist() == defaults
    capped = debtrank(NRM, [2, 5, 2], "each", weights=[10, 100, 30], variant=variant)
    np.testing.assert_allclose(capped.distress, np.minimum(np.transpose(stress), 1.0), atol=1e-9)
    np.testing.assert_allclose(capped.value, value, atol=1e-9)


def test_linear_debtrank_on_the_three_bank_ring() -> None:
    """Inputs of paolobarucca/debtrank Exercise4.m, verified by neva 0.3 per-bank valuation: equities (-3, -3, -1); a shock may exceed 1."""
    equity = np.array([1.0, 3.0, 3.0])
    result = debtrank(np.transpose([[0, 4, 0], [0, 0, 3], [2, 0, 0]]), equity, np.array([2.0, 2.0, 1.0]) / equity, capped=False)
    np.testing.assert_allclose(equity * (1 - result.distress), [-3, -3, -1], atol=1e-9)


def test_the_smallest_shock_that_reaches_a_loss() -> None:
    """Grigat and Caccioli (2017), two banks: u = loss·g/(gᵀg), g = (I - Wᵀ)⁻¹v; no cap binds, so the closed form is the answer."""
    shock = [0.06425871482570349, 0.06614867702645948]
    found = [0.10814783704325914, 0.08777824443511131]
    np.testing.assert_allclose(linear_response([[0, 0.5], [0.2, 0]], [1, 1], shock), found, atol=1e-12)
    np.testing.assert_allclose(debtrank([[0, 0.5], [0.2, 0]], [1, 1], shock).distress, found, atol=1e-12)
    assert np.dot([0.6, 0.4], found) == pytest.approx(0.1, abs=1e-12)
    gradient = linear_response(np.transpose([[0, 0.5], [0.2, 0]]), [1, 1], [0.6, 0.4])
    np.testing.assert_allclose(0.1 * gradient / (gradient @ gradient), shock, atol=1e-12)


def plain(gains: Any, shock: np.ndarray, a: float = 0.0) -> np.ndarray:
    """Distress by plain iteration (the oracle)."""
    h = np.minimum(shock, 1.0)
    for _ in range(400_000):
        now = np.minimum(1.0, shock + gains @ (h * np.exp(a * (h - 1.0))))
        if np.abs(now - h).max() < 1e-16:
            break
        h = now
    return h


def draw(seed: int, radius: float, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Gains of a spectral radius, and a shock that may be tiny."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 20)) if n is None else n
    gains = np.where(rng.random((n, n)) < rng.uniform(0.1, 0.6), rng.random((n, n)), 0.0)
    np.fill_diagonal(gains, 0.0)
    found = max(abs(np.linalg.eigvals(gains)))
    gains *= radius / found if found > 1e-3 else 1.0
    return gains, np.where(rng.random(n) < 0.4, rng.random(n) * 10.0 ** -rng.integers(0, 4), 0.0)


@pytest.mark.parametrize("radius", [0.3, 0.9, 0.9967, 1.0, 1.01, 1.5, 4.0])
@settings(max_examples=20)
@given(seed=st.integers(0, 1_000_000), a=st.sampled_from([0.0, 0.5, 3.0, 40.0]))
def test_it_is_what_plain_iteration_tends_to(radius: float, seed: int, a: float) -> None:
    gains, shock = draw(seed, radius)
    result = debtrank(gains, np.ones(shock.size), shock, variant="nonlinear", a=a)
    np.testing.assert_allclose(result.distress, plain(gains, shock, a), atol=3e-8 if a else 1e-9)  # a fold is flat for both
    assert result.residual <= 1e-12


@pytest.mark.parametrize(("n", "radius"), [(60, 0.9), (60, 1.3), (450, 0.99), (450, 1.5), (1_000, 0.95), (1_000, 1.2)])
@pytest.mark.parametrize("sparse", [False, True])
def test_larger_networks_by_every_solver(*, n: int, radius: float, sparse: bool) -> None:
    rng = np.random.default_rng(n)
    gains = csr_array(random_array((n, n), density=6 / n, rng=rng))
    gains.setdiag(0.0)
    gains.eliminate_zeros()
    vector = np.ones(n)
    for _ in range(300):
        vector = gains @ vector
        vector /= (found := vector.max())
    gains = csr_array(gains * (radius / found))
    shocks = np.where(rng.random((n, 3)) < [[0.3, 0.02, 0.005]], rng.random((n, 3)) * [[0.5, 0.1, 0.01]], 0.0)
    result = debtrank(gains if sparse else gains.toarray(), np.ones(n), shocks)
    for column in range(3):
        np.testing.assert_allclose(result.distress[:, column], plain(gains, shocks[:, column]), atol=1e-9)


def ring(n: int, gain: float) -> csr_array:
    return csr_array((np.full(n, gain), ((np.arange(n) + 1) % n, np.arange(n))), shape=(n, n))


@pytest.mark.parametrize("n", [3, 100, 2_000])
@pytest.mark.parametrize(("gain", "shock"), [(0.999, 1e-3), (1.0, 1e-9), (1.0, 0.3), (1.0001, 1e-7)])
def test_rings_where_plain_iteration_would_walk_for_ever(n: int, gain: float, shock: float) -> None:
    """One shock on a ring: below criticality a geometric series, at and beyond it everybody ends at 1."""
    start = np.zeros(n)
    start[0] = shock
    distress = debtrank(ring(n, gain), np.ones(n), start).distress
    if gain < 1.0:
        first = min(1.0, shock / (1.0 - gain**n))
        np.testing.assert_allclose(distress, first * gain ** np.arange(n), rtol=1e-9)
    else:
        np.testing.assert_allclose(distress, 1.0, rtol=1e-12)


def test_at_radius_two_a_tenth_ends_at_one() -> None:
    result = debtrank([[0, 2], [2, 0]], [1, 1], [0.1, 0])
    assert result.distress.tolist() == [1.0, 1.0]
    assert debtrank([[0, 2], [2, 0]], [1, 1], [0, 0]).distress.tolist() == [0.0, 0.0]  # the least solution, though (1, 1) is one too


def test_a_loop_beyond_criticality_that_nothing_reaches_stays_calm() -> None:
    gains = np.zeros((5, 5))
    gains[0, 1] = gains[1, 0] = 3.0  # a supercritical pair
    gains[3, 2], gains[4, 3], gains[2, 4] = 0.9, 0.9, 0.9
    calm = debtrank(gains, np.ones(5), [0, 0, 0.1, 0, 0]).distress
    np.testing.assert_allclose(calm, [0, 0, *(0.1 * 0.9 ** np.arange(3) / (1 - 0.9**3))], rtol=1e-12)
    gains[0, 4] = 1e-6
    assert debtrank(gains, np.ones(5), [0, 0, 0.1, 0, 0]).distress[:2].tolist() == [1.0, 1.0]


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1_000_000), radius=st.sampled_from([0.5, 0.99, 1.4]), variant=st.sampled_from(["linear", "single_hit", "nonlinear"])
)
def test_columns_inputs_orders_and_currencies_agree(seed: int, radius: float, variant: Any) -> None:
    gains, shock = draw(seed, radius)
    n, rng = shock.size, np.random.default_rng(seed)
    equity = rng.lognormal(0, 1, n)
    exposures, shocks = gains * equity[:, None], np.stack([shock, rng.random(n) * (rng.random(n) < 0.3), np.zeros(n)], axis=1)
    weights = rng.random(n) + 0.1
    many = debtrank(exposures, equity, shocks, weights=weights, variant=variant, a=1.0)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from((int(i), int(j), float(exposures[i, j])) for i, j in np.argwhere(exposures))
    order = rng.permutation(n)
    for column in range(3):
        first: DebtRank = debtrank(exposures, equity, shocks[:, column], weights=weights, variant=variant, a=1.0)
        np.testing.assert_allclose(many.distress[:, column], first.distress, atol=1e-11)
        assert np.asarray(many.value)[column] == pytest.approx(first.value, abs=1e-11)
        for other in (csr_array(exposures), csc_array(exposures), graph):
            again = debtrank(other, equity, shocks[:, column], weights=weights, variant=variant, a=1.0)
            np.testing.assert_allclose(again.distress, first.distress, atol=1e-11)
        turned = debtrank(
            exposures[np.ix_(order, order)], equity[order], shocks[order, column], weights=weights[order], variant=variant, a=1.0
        )
        np.testing.assert_allclose(turned.distress, first.distress[order], atol=1e-11)
        scaled = debtrank(exposures * 1e7, equity * 1e7, shocks[:, column], weights=weights, variant=variant, a=1.0)
        np.testing.assert_allclose(scaled.distress, first.distress, atol=1e-11)


@settings(max_examples=40)
@given(seed=st.integers(0, 1_000_000), radius=st.sampled_from([0.5, 1.0, 2.0]))
def test_more_shock_is_never_less_distress_and_variants_are_ordered(seed: int, radius: float) -> None:
    gains, shock = draw(seed, radius)
    ones = np.ones(shock.size)
    linear = debtrank(gains, ones, shock).distress
    assert (debtrank(gains, ones, shock * 1.2).distress >= linear - 1e-11).all()
    mild, milder = (debtrank(gains, ones, shock, variant="nonlinear", a=a).distress for a in (1.0, 4.0))
    assert (linear >= mild - 1e-10).all()
    assert (mild >= milder - 1e-10).all()
    assert (linear >= debtrank(gains, ones, shock, variant="single_hit").distress - 1e-11).all()


def test_single_hit_is_the_round_by_round_rule() -> None:
    """Battiston and others (2012), eqs. 1-2, in plain loops."""
    for seed in range(30):
        gains, shock = draw(seed, 1.2)
        h, state = shock.copy(), np.where(shock > 0, "D", "U")
        while (state == "D").any():
            now, was = h.copy(), state.copy()
            for i, j in np.argwhere(gains):
                now[i] += gains[i, j] * min(h[j], 1.0) if was[j] == "D" else 0.0
            state = np.where(was == "D", "I", np.where((was == "U") & (now > 0), "D", was))
            h = now
        np.testing.assert_allclose(debtrank(gains, np.ones(h.size), shock, variant="single_hit", capped=False).distress, h, atol=1e-12)


def test_the_closed_form_is_refused_at_criticality_and_agrees_below() -> None:
    gains, shock = draw(7, 0.5, 10)
    shock = shock * 0.01
    np.testing.assert_allclose(linear_response(gains, np.ones(10), shock), np.linalg.solve(np.eye(10) - gains, shock), rtol=1e-12)
    np.testing.assert_allclose(debtrank(gains, np.ones(10), shock).distress, linear_response(gains, np.ones(10), shock), rtol=1e-12)
    for critical in ([[0, 1], [1, 0]], [[0, 0.5], [3, 0]]):
        with pytest.raises(ModelError, match="spectral radius of exposures over equity is 1 or more"):
            linear_response(critical, [1, 1], [0.1, 0])


def test_a_node_without_equity_fails_with_its_first_loss_and_not_before() -> None:
    exposures = [[0, 0, 0], [10, 0, 0], [0, 10, 0]]
    calm = debtrank(exposures, [100, 0, 20], [0, 0, 0.5])
    assert calm.distress.tolist() == [0.0, 0.0, 0.5]
    hit = debtrank(exposures, [100, 0, 20], [0.01, 0, 0])
    assert hit.distress.tolist() == [0.01, 1.0, 0.5]
    assert hit.defaulted.tolist() == [False, True, False]


def test_each_is_every_node_in_turn() -> None:
    gains, _ = draw(3, 0.8, 9)
    each = debtrank(gains, np.ones(9), "each")
    np.testing.assert_allclose(each.distress, debtrank(gains, np.ones(9), np.eye(9)).distress)
    assert (np.diag(each.distress) == 1.0).all()
    with pytest.raises(ModelError, match="answers with 1,000,000 columns"):
        debtrank(csr_array((1_000_000, 1_000_000)), 1.0, "each")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([[0, -2], [0, 0]], [1, 1], [0, 0]), {}, r"exposures: \[0, 1\] = -2.0"),
        ((TWO, [1, -1], [0, 0]), {}, "equity of 1: -1.0"),
        ((TWO, [1, 1], [0, 0, 0]), {}, "shock has shape"),
        ((TWO, [1, 1], [[0, -1], [0, 0]]), {}, "row 0, column 1 is -1.0"),
        ((TWO, [1, 1], "all"), {}, "shock is 'all'"),
        ((TWO, [1, 1], [0, 0]), {"variant": "cubic"}, "variant is 'cubic'"),
        ((TWO, [1, 1], [0, 0]), {"a": -1.0}, "a is -1.0"),
        ((TWO, [1, 1], [0, 0]), {"weights": [0, 0]}, "weights sums to 0"),
    ],
)
def test_what_has_no_meaning_is_refused_in_a_sentence(arguments: Any, options: Any, words: str) -> None:
    with pytest.raises((ModelError, MatrixError), match=words):
        debtrank(*arguments, **options)

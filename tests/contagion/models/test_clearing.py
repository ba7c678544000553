# ruff: noqa: ANN401 - matrices come as lists, as published
"""Clearing: published vectors, the linear programme, plain iteration as oracle, and what every solution must satisfy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csc_array, csr_array, random_array, triu

from contagion.models.clearing import Clearing, clear
from contagion.models.errors import ModelError


@dataclass(frozen=True)
class Case:
    """A published clearing problem: row owes column."""

    source: str
    liabilities: Any
    assets: Any
    payments: Any
    defaulted: Any
    options: dict[str, Any] = field(default_factory=dict)
    equity: Any = None


THIRD = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
PLUTO = [[0, 3, 1], [0, 0, 2], [0, 0, 0]]
RING6 = np.roll(np.diag([2.0, 3.0, 2.0, 3.0, 2.0, 3.0]), 1, axis=1)
HALF = {"alpha": 0.5, "beta": 0.5}
CASES = (
    # its README prints 19.5455 for the first payment; the equity in its own Example.pdf says 24.5455
    Case(
        "siebenbrunner/NetworkValuation, Eisenberg and Noe 2001/Example.pdf, commit 34462a3",
        [[0, 20, 10], [5, 0, 24], [10, 0, 0]],
        [10, 10, 10],
        [270 / 11, 290 / 11, 10],
        [1, 1, 0],
        equity=[-60 / 11, -29 / 11, 30],
    ),
    Case(
        "CRAN systemicrisk 0.4.3, default_clearing, first example",
        THIRD,
        [0.5, 0.625, 0.75],
        [165 / 112, 159 / 112, 1.5],
        [1, 1, 0],
        {"external_liabilities": [1.5, 0.5, 0.5]},
    ),
    Case(
        "CRAN systemicrisk 0.4.3, default_clearing, second example",
        THIRD,
        [0.5, 0.625, 0.75],
        [0.502019961977186, 0.514704937827561, 0.565380613503237],
        [1, 1, 1],
        {"external_liabilities": [1.5, 0.5, 0.5], "alpha": 0.5, "beta": 0.7},
    ),
    Case(
        "siebenbrunner/NetworkValuation, Rogers and Veraart 2013/Example.pdf",
        [[0, 30, 0], [5, 0, 20], [10, 0, 0]],
        [10, 5, 5],
        [25, 25, 10],
        [1, 0, 0],
        equity=[-5, 5, 15],
    ),
    Case(
        "bertschi/FinNetValu test_rogers.jl GClearVecAlgo, commit db6c23f",
        [[0, 0.1, 0.7], [2, 0, 10.5], [0, 8.4, 0]],
        [1, 1, 1],
        [0.8, 9.5, 8.4],
        [0, 1, 0],
    ),
    Case("Eisenberg and Noe (2001), Appendix 2", [[0, 1], [1, 0]], [0, 0], [1, 1], [0, 0]),
    Case("Eisenberg and Noe (2001), Appendix 2, least", [[0, 1], [1, 0]], [0, 0], [0, 0], [0, 0], {"solution": "least"}),
    Case("Eisenberg and Noe (2001), Appendix 2, perturbed", [[0, 1], [1, 0]], [0.01, 0], [1, 1], [0, 0]),
    Case("the same, least", [[0, 1], [1, 0]], [0.01, 0], [1, 1], [0, 0], {"solution": "least"}),
    Case("Rogers and Veraart (2013), Example 3.3", [[0, 2.2], [2.2, 0]], [1, 1], [2.2, 2.2], [0, 0], HALF),
    Case("Rogers and Veraart (2013), Example 3.3, least", [[0, 2.2], [2.2, 0]], [1, 1], [1, 1], [1, 1], {**HALF, "solution": "least"}),
    Case("Rogers and Veraart (2013), Example 3.3 without costs", [[0, 2.2], [2.2, 0]], [1, 1], [2.2, 2.2], [0, 0], {"solution": "least"}),
    Case("the same in ninagad/Greatest-Clearing-Vector-Algorithm", [[0, 2], [2.2, 0]], [1, 1], [2, 2.2], [0, 0], HALF),
    Case("Rogers and Veraart (2013), section 5.1", RING6, [0, 0.8] * 3, [4 / 15, 8 / 15] * 3, [1] * 6, HALF),
    Case("lastch1ld/debtrank-globe test_eisenberg_noe.py, solvent", [[0, 100], [0, 0]], [150, 0], [100, 0], [0, 0]),
    Case("lastch1ld/debtrank-globe test_eisenberg_noe.py, insolvent", [[0, 100], [0, 0]], [40, 0], [40, 0], [1, 0]),
    Case("lastch1ld/debtrank-globe test_eisenberg_noe.py, mutual", [[0, 100], [100, 0]], [0, 0], [100, 100], [0, 0]),
    Case("Pluto.jl notebook, exercise 1", PLUTO, [10, 4, 3.8], [9, 6, 6], [0, 0, 0], {"external_liabilities": [5, 4, 6]}),
    Case("Pluto.jl notebook, exercise 1, shock 7", PLUTO, [3, 4, 3.8], [3, 5, 5.8], [1, 1, 1], {"external_liabilities": [5, 4, 6]}),
    # its closed form Σ 2^-i starts at i = 1, not 0: the loop ends at 1
    Case(
        "Besting, Hoefer and Huth (2026), arXiv:2602.16387, Example 1",
        [[0, 1, 1], [1, 0, 0], [0, 0, 0]],
        [1, 0, 0],
        [2, 1, 0],
        [0, 0, 0],
        {"solution": "least"},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.source[:60])
def test_published_clearing_vectors(case: Case) -> None:
    result = clear(case.liabilities, case.assets, **case.options)
    np.testing.assert_allclose(result.payments, case.payments, atol=1e-12)
    if case.options.get("solution") != "least" or any(case.assets):
        assert result.defaulted.tolist() == [bool(x) for x in case.defaulted]
    if case.equity is not None:
        np.testing.assert_allclose(result.equity, case.equity, atol=1e-12)
    assert result.residual <= 1e-12


def test_outside_creditors_pari_passu_or_senior() -> None:
    """Three banks after a 10 % shock (inputs of paolobarucca/eisenbergnoe Exercise1.m): the rank decides node 1's equity."""
    ring: Any = {"liabilities": [[0, 4, 0], [0, 0, 3], [2, 0, 0]], "external_assets": [18, 18, 9], "external_liabilities": [17, 18, 8]}
    equal, senior = clear(**ring), clear(**ring, seniority="external_senior")
    np.testing.assert_allclose(equal.equity, [-1, 17 / 21, 2], atol=1e-12)
    np.testing.assert_allclose(senior.equity, [-1, 0, 2], atol=1e-12)
    np.testing.assert_allclose(senior.interbank_payments, [3, 3, 2], atol=1e-12)
    assert senior.defaulted.tolist() == [True, False, False]  # an equity of exactly zero is solvent


def as_given(matrix: np.ndarray, how: str) -> Any:
    if how == "dense":
        return matrix
    if how == "graph":
        graph = nx.DiGraph()
        graph.add_nodes_from(range(len(matrix)))
        graph.add_weighted_edges_from((int(i), int(j), float(matrix[i, j])) for i, j in np.argwhere(matrix))
        return graph
    return {"csr": csr_array, "csc": csc_array, "frame": pd.DataFrame, "list": np.ndarray.tolist}[how](matrix)


@dataclass(frozen=True)
class Drawn:
    """A random clearing problem, all sorts of degenerate ones among them."""

    classes: list[np.ndarray]
    assets: np.ndarray
    external: np.ndarray
    alpha: float
    beta: float
    holdings: np.ndarray | None

    def solve(self, how: str = "dense", order: np.ndarray | None = None, unit: float = 1.0, **options: Any) -> Clearing:
        order = np.arange(self.assets.size) if order is None else order
        turn = np.ix_(order, order)
        return clear(
            [as_given(matrix[turn] * unit, how) for matrix in self.classes],
            self.assets[order] * unit,
            external_liabilities=self.external[order] * unit,
            alpha=self.alpha,
            beta=self.beta,
            holdings=None if self.holdings is None else as_given(self.holdings[turn], how),
            **options,
        )


def draw(seed: int, *, classes: int | None = None, shared: bool | None = None, costs: bool | None = None, n: int | None = None) -> Drawn:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9)) if n is None else n
    parts = [np.where(rng.random((n, n)) < 0.4, rng.lognormal(0, 1, (n, n)), 0.0) for _ in range(classes or int(rng.integers(1, 4)))]
    for part in parts:
        np.fill_diagonal(part, 0.0)
    assets, external = (np.where(rng.random(n) < 0.5, rng.lognormal(-0.5, 1, n), 0.0) for _ in range(2))
    alpha, beta = rng.uniform(0.3, 1.0, 2) if (rng.random() < 0.6 if costs is None else costs) else (1.0, 1.0)
    holdings = None
    if rng.random() < 0.5 if shared is None else shared:
        holdings = rng.random((n, n)) * (rng.random((n, n)) < 0.4)
        np.fill_diagonal(holdings, 0.0)
        holdings *= 0.8 / max(1.0, holdings.sum(axis=1).max())
    return Drawn(parts, assets, external, float(alpha), float(beta), holdings)


def plain(problem: Drawn, *, top: bool, senior: bool = False) -> np.ndarray:
    """Payments by plain iteration, node by node and class by class (the oracle)."""
    classes, n = list(problem.classes), problem.assets.size
    outside = [problem.external, *(np.zeros(n) for _ in classes[1:])]
    if senior:
        classes, outside = [np.zeros((n, n)), *classes], [problem.external, *(np.zeros(n) for _ in classes)]
    owed = [matrix.sum(axis=1) + out for matrix, out in zip(classes, outside, strict=True)]
    share = np.zeros((n, n)) if problem.holdings is None else problem.holdings
    paid = [amount.copy() if top else np.zeros(n) for amount in owed]
    worth = np.full(n, 1e3 if top else 0.0)
    for _ in range(300_000):
        now, value = [np.zeros(n) for _ in owed], np.zeros(n)
        for i in range(n):
            gets = share[:, i] @ worth
            for matrix, amount, pay in zip(classes, owed, paid, strict=True):
                gets += sum(matrix[j, i] / amount[j] * pay[j] for j in range(n) if matrix[j, i] > 0)
            has, all_owed = problem.assets[i] + gets, sum(amount[i] for amount in owed)
            solvent = has - all_owed >= -1e-12 * (has + all_owed)
            left = has if solvent else problem.alpha * problem.assets[i] + problem.beta * gets
            for k, amount in enumerate(owed):
                now[k][i] = amount[i] if solvent else min(amount[i], max(left, 0.0))
                left -= amount[i]
            value[i] = max(left, 0.0) if solvent else 0.0
        change = max(*(np.abs(a - b).max() for a, b in zip(now, paid, strict=True)), np.abs(value - worth).max())
        paid, worth = now, value
        if change < 1e-14:
            break
    return sum(paid)


@settings(max_examples=60)
@given(seed=st.integers(0, 1_000_000), senior=st.booleans(), top=st.booleans())
def test_it_is_what_plain_iteration_tends_to(*, seed: int, senior: bool, top: bool) -> None:
    problem = draw(seed, n=4)
    if not top and min(problem.alpha, problem.beta) < 1.0:
        return  # from below plain iteration may stop short of a solution: see the next tests
    result = problem.solve(solution="greatest" if top else "least", seniority="external_senior" if senior else "pari_passu")
    np.testing.assert_allclose(result.payments, plain(problem, top=top, senior=senior), atol=1e-8)


def is_solution(problem: Drawn, payments: np.ndarray) -> bool:
    """Whether payments of one class reproduce themselves."""
    matrix = problem.classes[0]
    owed = matrix.sum(axis=1) + problem.external
    gets = (matrix / np.where(owed > 0, owed, 1.0)[:, None]).T @ payments
    has = problem.assets + gets
    solvent = has - owed >= -1e-11 * (has + owed)
    return np.allclose(np.where(solvent, owed, problem.alpha * problem.assets + problem.beta * gets), payments, atol=1e-10)


@given(seed=st.integers(0, 1_000_000))
def test_greatest_and_least_are_solutions_and_in_that_order(seed: int) -> None:
    problem = draw(seed, classes=1, shared=False)
    most, least = problem.solve(), problem.solve(solution="least")
    assert is_solution(problem, most.payments)
    assert is_solution(problem, least.payments)
    assert (most.payments >= least.payments - 1e-10).all()
    assert (most.equity >= least.equity - 1e-10).all()


@given(seed=st.integers(0, 1_000_000))
def test_the_least_dominates_no_subset_of_solvent_nodes(seed: int) -> None:
    """By exhaustion: of all sets of solvent nodes, the least solution is below each that is consistent."""
    problem = draw(seed, n=4, classes=1, shared=False, costs=True)
    least, most = problem.solve(solution="least").payments, problem.solve().payments
    matrix = problem.classes[0]
    owed = matrix.sum(axis=1) + problem.external
    share = (matrix / np.where(owed > 0, owed, 1.0)[:, None]).T
    for mask in range(16):
        solvent = np.array([bool(mask >> i & 1) for i in range(4)])
        system = np.eye(4) - np.where(solvent[:, None], 0.0, problem.beta * share)
        payments = np.linalg.solve(system, np.where(solvent, owed, problem.alpha * problem.assets))
        if (payments >= -1e-12).all() and is_solution(problem, payments):
            assert (least <= payments + 1e-9).all()
            assert (most >= payments - 1e-9).all()


def test_from_below_a_node_with_just_enough_pays_in_full() -> None:
    """α = β = 1/2: plain iteration from zero tends to payments (1, 1), where node 0 has 1 + 1 against debts of 2 at last.

    So it pays 2, node 1 pays (1 + 2)/2, and that reproduces itself where (1, 1) does not.
    """
    liabilities, half = [[0, 2], [100, 0]], {"alpha": 0.5, "beta": 0.5}
    result = clear(liabilities, [1.0, 1.0], solution="least", **half)
    problem = Drawn([np.array(liabilities, dtype=float)], np.ones(2), np.zeros(2), 0.5, 0.5, None)
    assert not is_solution(problem, np.ones(2))
    assert is_solution(problem, result.payments)
    np.testing.assert_allclose(result.payments, [2.0, 1.5], rtol=1e-12)
    assert result.defaulted.tolist() == [False, True]


@pytest.mark.parametrize("seed", range(200))
def test_the_linear_programme_agrees(seed: int) -> None:
    """Eisenberg and Noe (2001), Lemma 4: the clearing vector maximises what is paid; by HiGHS."""
    problem = draw(seed, n=12, classes=1, shared=False, costs=False)
    matrix = problem.classes[0]
    owed = matrix.sum(axis=1) + problem.external
    share = matrix / np.where(owed > 0, owed, 1.0)[:, None]
    bounds = list(zip(np.zeros(owed.size), owed, strict=True))
    best = linprog(-np.ones(owed.size), A_ub=np.eye(owed.size) - share.T, b_ub=problem.assets, bounds=bounds)
    np.testing.assert_allclose(problem.solve().payments, best.x, rtol=1e-9, atol=1e-9)


@settings(max_examples=40)
@given(seed=st.integers(0, 1_000_000), how=st.sampled_from(["csr", "csc", "frame", "list", "graph"]), least=st.booleans())
def test_every_kind_of_input_and_every_order_of_nodes_gives_the_same(*, seed: int, how: str, least: bool) -> None:
    problem = draw(seed)
    options = {"solution": "least" if least else "greatest"}
    first = problem.solve(**options)
    np.testing.assert_allclose(problem.solve(how, **options).payments, first.payments, rtol=1e-12, atol=1e-12)
    order = np.random.default_rng(seed).permutation(problem.assets.size)
    turned = problem.solve(how, order, **options)
    np.testing.assert_allclose(turned.payments, first.payments[order], rtol=1e-10, atol=1e-12)
    assert (turned.defaulted == first.defaulted[order]).all()


@settings(max_examples=40)
@given(seed=st.integers(0, 1_000_000), unit=st.sampled_from([1e-6, 0.01, 1e3, 1e9]))
def test_another_currency_scales_the_answer(seed: int, unit: float) -> None:
    problem = draw(seed)
    first, scaled = problem.solve(), problem.solve(unit=unit)
    np.testing.assert_allclose(scaled.payments / unit, first.payments, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(scaled.equity / unit, first.equity, rtol=1e-9, atol=1e-10)


@given(seed=st.integers(0, 1_000_000))
def test_seniority_is_absolute_and_within_a_class_payments_are_pro_rata(seed: int) -> None:
    problem = draw(seed, shared=False, costs=False)
    result = problem.solve()
    owed = np.array([matrix.sum(axis=1) for matrix in problem.classes])
    owed[0] += problem.external
    for k in range(len(owed) - 1):
        assert (np.isclose(result.by_class[k], owed[k], atol=1e-9) | np.isclose(result.by_class[k + 1 :].sum(axis=0), 0.0, atol=1e-9)).all()
    np.testing.assert_allclose(result.payments, result.by_class.sum(axis=0), atol=1e-12)
    # what is paid is what is received, outside or inside: nothing is lost without default costs
    received = result.equity - problem.assets + owed.sum(axis=0)
    np.testing.assert_allclose(received.sum() + result.external_payments.sum(), result.payments.sum(), atol=1e-8)


def test_a_list_of_matrices_may_stand_for_liabilities_or_for_seniority() -> None:
    senior, junior = np.array([[0, 2.0], [0, 0]]), np.array([[0, 0], [3.0, 0]])
    one = clear([senior, junior], [1, 1])
    for other in (
        clear(senior + junior, [1, 1], seniority=[senior, junior]),
        clear(None, [1, 1], seniority=[senior, junior]),
        clear(np.array([senior, junior]), [1, 1]),
    ):
        assert other.payments.tolist() == one.payments.tolist()
    with pytest.raises(ModelError, match="do not add up"):
        clear(senior, [1, 1], seniority=[senior, junior])


def test_cross_holdings_pass_equity_on_but_no_losses_below_it() -> None:
    """Node 0 owns half of node 1, which is worth (10 - 4)⁺: 3 more for node 0. When 1 fails, its shares are worth nothing, not less."""
    liabilities, holdings = [[0, 6], [4, 0]], [[0, 0], [0.5, 0]]
    healthy = clear(liabilities, [0, 4], holdings=holdings)
    assert healthy.equity.tolist() == [1.0, 6.0]  # 4 + 6/2 - 6, 4 + 6 - 4
    apart = clear(liabilities, [0, 4])
    assert apart.equity.tolist() == [-2.0, 4.0]
    broke = clear([[0, 0], [4, 0]], [1, 1], holdings=holdings)
    assert broke.equity.tolist() == [2.0, -3.0]


@pytest.mark.parametrize("gap", [1e-6, 1e-9, 1e-11])
@pytest.mark.parametrize("solution", ["greatest", "least"])
def test_a_loop_that_passes_almost_everything_on_is_solved_and_not_cut_off(gap: float, solution: Any) -> None:
    """The loop leaks the part ``gap``: plain iteration needs 1/gap steps, and an early stop answers 1 instead of 1/1,000."""
    liabilities = [[0.0, 1.0, 0.0], [1.0, 0.0, gap], [0.0, 0.0, 0.0]]
    assets = gap * 1e-3
    paid = clear(liabilities, [assets, 0.0, 0.0], solution=solution).payments
    exact = assets / (1 - 1 / (1 + gap))  # p = assets + p/(1 + gap)
    np.testing.assert_allclose(paid[:2], [exact, exact], rtol=1e-3)


@pytest.mark.parametrize("solution", ["greatest", "least"])
@pytest.mark.parametrize(("n", "cyclic"), [(300, False), (300, True), (3_000, True), (3_000, False)])
def test_large_sparse_networks_meet_their_equations(*, n: int, cyclic: bool, solution: Any) -> None:
    rng = np.random.default_rng(n)
    matrix = csr_array(random_array((n, n), density=8 / n, rng=rng, data_sampler=lambda size: rng.lognormal(0, 1, size)))
    matrix.setdiag(0.0)
    matrix.eliminate_zeros()
    if not cyclic:
        matrix = csr_array(triu(matrix, k=1))
    assets, external = rng.lognormal(-1, 1, n), rng.lognormal(-3, 1, n)
    result = clear(matrix, assets, external_liabilities=external, alpha=0.9, beta=0.95, solution=solution)
    owed = np.asarray(matrix.sum(axis=1)).ravel() + external
    gets = csr_array(matrix.multiply((1 / owed)[:, None])).T @ result.payments
    by_rule = np.where(assets + gets >= owed, owed, 0.9 * assets + 0.95 * gets)
    np.testing.assert_allclose(result.payments, by_rule, atol=1e-11 * owed.max())
    assert 0.2 < result.defaulted.mean() < 1.0
    assert result.residual <= 1e-12

# ruff: noqa: ANN401 - matrices come as lists, as published
"""Step 3 alone: published clearing vectors, and what every solution must satisfy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from contagion.settings import Settings
from contagion.steps.credit import Debts, Recovery, clear_debts

TOLERANCE = 1e-9
"""Tolerance of the cases."""


def debts_of(liabilities: np.ndarray, seniority: np.ndarray | None = None) -> Debts:
    debtor, creditor = np.nonzero(liabilities)
    rank = np.ones(debtor.size, dtype=np.int64) if seniority is None else seniority[debtor, creditor].astype(np.int64)
    return Debts(debtor, creditor, liabilities[debtor, creditor].astype(float), rank)


def solve(
    liabilities: Any, assets: Any, external: Any = None, *, start: Any = None, seniority: np.ndarray | None = None, **settings: Any
) -> tuple[Recovery, np.ndarray]:
    """Solution, and what each node pays in all, external creditors included."""
    liabilities, assets = np.array(liabilities, dtype=float), np.array(assets, dtype=float)
    external = np.zeros(assets.size) if external is None else np.array(external, dtype=float)
    debts, none = debts_of(liabilities, seniority), np.full(assets.size, np.nan)
    initial = np.ones(assets.size) if start is None else np.array(start, dtype=float)
    result = clear_debts(assets - external, external, debts, none, initial, Settings(**settings))
    paid = np.bincount(debts.debtor, weights=debts.amount * result.value, minlength=assets.size)
    return result, paid + external * result.first_class(np.arange(assets.size))


@dataclass(frozen=True)
class Case:
    """A published clearing problem: row owes column."""

    source: str
    liabilities: Any
    assets: Any
    payments: Any
    external: Any = None
    settings: dict[str, float] = field(default_factory=dict)


THIRD = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
PLUTO = [[0, 3, 1], [0, 0, 2], [0, 0, 0]]
RING6 = np.roll(np.diag([2.0, 3.0, 2.0, 3.0, 2.0, 3.0]), 1, axis=1)
CASES = (
    Case(
        "siebenbrunner/NetworkValuation, Eisenberg and Noe 2001/Example.pdf, commit 34462a3 (its README misprints the first)",
        [[0, 20, 10], [5, 0, 24], [10, 0, 0]],
        [10, 10, 10],
        [270 / 11, 290 / 11, 10],
    ),
    Case(
        "CRAN systemicrisk 0.4.3, default_clearing, first example", THIRD, [0.5, 0.625, 0.75], [165 / 112, 159 / 112, 1.5], [1.5, 0.5, 0.5]
    ),
    Case(
        "CRAN systemicrisk 0.4.3, default_clearing, second example",
        THIRD,
        [0.5, 0.625, 0.75],
        [0.502019961977186, 0.514704937827561, 0.565380613503237],
        [1.5, 0.5, 0.5],
        {"alpha": 0.5, "beta": 0.7},
    ),
    Case(
        "siebenbrunner/NetworkValuation, Rogers and Veraart 2013/Example.pdf",
        [[0, 30, 0], [5, 0, 20], [10, 0, 0]],
        [10, 5, 5],
        [25, 25, 10],
    ),
    Case(
        "bertschi/FinNetValu test_rogers.jl GClearVecAlgo, commit db6c23f",
        [[0, 0.1, 0.7], [2, 0, 10.5], [0, 8.4, 0]],
        [1, 1, 1],
        [0.8, 9.5, 8.4],
    ),
    Case("Eisenberg and Noe (2001), Appendix 2: the greatest of t·(1, 1)", [[0, 1], [1, 0]], [0, 0], [1, 1]),
    Case("Eisenberg and Noe (2001), Appendix 2, perturbed", [[0, 1], [1, 0]], [0.01, 0], [1, 1]),
    Case(
        "Rogers and Veraart (2013), Example 3.3: the greatest, not (1, 1)",
        [[0, 2.2], [2.2, 0]],
        [1, 1],
        [2.2, 2.2],
        settings={"alpha": 0.5, "beta": 0.5},
    ),
    Case(
        "Rogers and Veraart (2013), Example 3.3 in ninagad/Greatest-Clearing-Vector-Algorithm",
        [[0, 2], [2.2, 0]],
        [1, 1],
        [2, 2.2],
        settings={"alpha": 0.5, "beta": 0.5},
    ),
    Case(
        "Rogers and Veraart (2013), section 5.1, closed form",
        RING6,
        [0, 0.8, 0, 0.8, 0, 0.8],
        [4 / 15, 8 / 15] * 3,
        settings={"alpha": 0.5, "beta": 0.5},
    ),
    Case("lastch1ld/debtrank-globe test_eisenberg_noe.py, solvent", [[0, 100], [0, 0]], [150, 0], [100, 0]),
    Case("lastch1ld/debtrank-globe test_eisenberg_noe.py, insolvent", [[0, 100], [0, 0]], [40, 0], [40, 0]),
    Case("lastch1ld/debtrank-globe test_eisenberg_noe.py, mutual: the greatest", [[0, 100], [100, 0]], [0, 0], [100, 100]),
    Case("Pluto.jl notebook Financial networks, exercise 1, no shock", PLUTO, [10, 4, 3.8], [9, 6, 6], [5, 4, 6]),
    Case("Pluto.jl notebook Financial networks, exercise 1, shock 7", PLUTO, [3, 4, 3.8], [3, 5, 5.8], [5, 4, 6]),
    Case("Besting, Hoefer and Huth (2026), arXiv:2602.16387, Example 1 (unique)", [[0, 1, 1], [1, 0, 0], [0, 0, 0]], [1, 0, 0], [2, 1, 0]),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.source[:60])
def test_published_clearing_vectors(case: Case) -> None:
    _, paid = solve(case.liabilities, case.assets, case.external, **case.settings)
    np.testing.assert_allclose(paid, case.payments, atol=TOLERANCE)


RING = {"liabilities": [[0, 4, 0], [0, 0, 3], [2, 0, 0]], "assets": [18.0, 18.0, 9.0], "external": [17.0, 18.0, 8.0]}
"""paolobarucca Exercise1/2/4.m: three banks, external assets down by 10 %; outputs verified by a fixed point and by neva 0.3."""


@pytest.mark.parametrize(("rule", "expected"), [("senior", [-1, 0, 2]), ("pari_passu", [-1, 17 / 21, 2])])
def test_external_debt_senior_or_pari_passu_gives_different_answers(rule: str, expected: list[float]) -> None:
    result, _ = solve(**RING, external_seniority=rule)
    np.testing.assert_allclose(result.equity, expected, atol=1e-6)


def test_furfine_and_linear_debtrank_on_the_same_ring() -> None:
    furfine, _ = solve(**RING, valuation="threshold", recovery=0.0)
    np.testing.assert_allclose(furfine.equity, [-3, -3, -1], atol=1e-6)
    linear, _ = solve(**RING, valuation="debtrank", start=[1.0, 3.0, 3.0])
    np.testing.assert_allclose(linear.equity, [-3, -3, -1], atol=1e-6)


NEVA_EQUITY = {  # Barucca et al. (2020), ring of Fig. 2, through marcobardoscia/neva; exact values
    ("clearing", 0.05): [0.5, 0.75, 0.85],
    ("clearing", 0.2): [-1.0, 0.0, 0.3473684210526313],
    ("clearing", 0.3): [-2.055737704918033, -0.5016393442622951, -0.008196721311475308],
    ("clearing", 0.5): [-4.182669789227166, -1.6440281030444965, -0.7201405152224825],
    ("debtrank", 0.05): [0.24285714285714732, 0.4857142857142911, 0.4714285714285755],
    ("debtrank", 0.1): [-0.45, 0.1, 0.2],
    ("debtrank", 0.2): [-1.5, -0.5, -0.1],
}


@pytest.mark.parametrize(("valuation", "shock"), NEVA_EQUITY)
def test_the_ring_of_barucca_and_others(valuation: str, shock: float) -> None:
    liabilities = [[0, 0, 0.5], [0.5, 0, 0], [0, 0.5, 0]]
    assets = np.array([10.0, 5.0, 3.0]) * (1 - shock)
    result, _ = solve(liabilities, assets, [9, 4, 2], valuation=valuation, start=[1.0, 1.0, 1.0])
    np.testing.assert_allclose(result.equity, NEVA_EQUITY[valuation, shock], atol=TOLERANCE)


def random_system(seed: int, count: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    liabilities = np.where(rng.random((count, count)) < 0.35, rng.lognormal(1.0, 1.0, (count, count)), 0.0)
    np.fill_diagonal(liabilities, 0.0)
    assets, external = rng.lognormal(1.0, 1.0, count), np.where(rng.random(count) < 0.5, rng.lognormal(0.5, 1.0, count), 0.0)
    return liabilities, assets, external


@pytest.mark.parametrize("seed", range(30))
def test_clearing_is_the_largest_feasible_payment(seed: int) -> None:
    """Eisenberg and Noe (2001), Lemma 4: the clearing vector maximises what is paid; by HiGHS."""
    liabilities, assets, external = random_system(seed)
    owed = liabilities.sum(axis=1) + external
    share = liabilities / np.where(owed > 0, owed, 1.0)[:, None]
    best = linprog(
        -np.ones(owed.size), A_ub=np.eye(owed.size) - share.T, b_ub=assets, bounds=list(zip(np.zeros(owed.size), owed, strict=True))
    )
    _, paid = solve(liabilities, assets, external)
    np.testing.assert_allclose(paid, best.x, rtol=1e-9, atol=1e-9)


def greatest(liabilities: np.ndarray, assets: np.ndarray, external: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Payments by plain iteration from above (Rogers and Veraart 2013, eq. 2.3)."""
    owed = liabilities.sum(axis=1) + external
    share = liabilities / np.where(owed > 0, owed, 1.0)[:, None]
    paid = owed.copy()
    for _ in range(20_000):
        got = share.T @ paid
        now = np.where(assets + got >= owed - 1e-13, owed, np.minimum(owed, alpha * assets + beta * got))
        if np.abs(now - paid).max() < 1e-15:
            break
        paid = now
    return paid


@pytest.mark.parametrize("seed", range(30))
def test_with_default_costs_it_is_the_greatest_solution(seed: int) -> None:
    liabilities, assets, external = random_system(seed)
    rng = np.random.default_rng(seed)
    alpha, beta = rng.uniform(0, 1, 2)
    _, paid = solve(liabilities, assets, external, alpha=float(alpha), beta=float(beta))
    np.testing.assert_allclose(paid, greatest(liabilities, assets, external, alpha, beta), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_paid_is_pro_rata_within_and_in_order_of_seniority(seed: int) -> None:
    liabilities, assets, external = random_system(seed)
    rng = np.random.default_rng(seed)
    rank = rng.integers(1, 4, liabilities.shape)
    result, _ = solve(liabilities, assets, external, seniority=rank)
    debts = debts_of(liabilities, rank)
    income = np.bincount(debts.creditor, weights=debts.amount * result.value, minlength=assets.size)
    for node in range(assets.size):
        value = {int(r): set(np.round(result.value[(debts.debtor == node) & (debts.seniority == r)], 12)) for r in (1, 2, 3)}
        assert all(len(part) <= 1 for part in value.values())
        ranked = [part.pop() for part in value.values() if part]
        assert ranked == sorted(ranked, reverse=True)
        mine = debts.debtor == node
        paid = (debts.amount * result.value)[mine].sum() + external[node] * result.first_class(np.array([node]))[0]
        owed = debts.amount[mine].sum() + external[node]
        assert paid == pytest.approx(min(owed, assets[node] + income[node]), rel=1e-9, abs=1e-9)
        if any(r > 0 for r in ranked[1:]):
            assert ranked[0] == 1.0


def active_set(exposure: np.ndarray, shock: np.ndarray) -> np.ndarray:
    """Linear DebtRank by its active set: h_U = (I - Λ_UU)⁻¹(h⁰_U + Λ_UD·1), h_D = 1."""
    down = np.zeros(shock.size, dtype=bool)
    while True:
        up = ~down
        h = np.ones(shock.size)
        h[up] = np.linalg.solve(np.eye(up.sum()) - exposure[np.ix_(up, up)], shock[up] + exposure[np.ix_(up, down)].sum(axis=1))
        more = shock + exposure @ np.minimum(h, 1.0) >= 1.0 - 1e-13
        if (more == down).all():
            return np.minimum(h, 1.0)
        down |= more


@pytest.mark.parametrize("seed", range(20))
def test_linear_debtrank_is_the_active_set_solution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 10
    liabilities = np.where(rng.random((count, count)) < 0.4, rng.lognormal(0.0, 1.0, (count, count)), 0.0)
    np.fill_diagonal(liabilities, 0.0)
    start = liabilities.sum(axis=0) * rng.uniform(1.1, 3.0, count) + 0.1
    exposure = liabilities.T / start[:, None]  # loss of a node's equity by the distress of a debtor
    shock = np.where(rng.random(count) < 0.3, rng.uniform(0.1, 1.0, count), 0.0)
    own = start + liabilities.sum(axis=1) - liabilities.sum(axis=0) - shock * start
    result, _ = solve(liabilities, own, valuation="debtrank", start=start)
    distress = 1 - np.clip(result.equity / start, 0.0, 1.0)
    np.testing.assert_allclose(distress, active_set(exposure, shock), atol=1e-10)


def test_nonlinear_debtrank_is_linear_without_nonlinearity_and_milder_with_it() -> None:
    liabilities, start = np.array([[0.0, 4.0], [2.0, 0.0]]), np.array([5.0, 6.0])
    own = start + liabilities.sum(axis=1) - liabilities.sum(axis=0) - np.array([2.0, 0.0])
    linear, same, mild = (
        solve(liabilities, own, start=start, **more)[0].equity
        for more in (
            {"valuation": "debtrank"},
            {"valuation": "nonlinear_debtrank"},
            {"valuation": "nonlinear_debtrank", "nonlinearity": 2.0},
        )
    )
    np.testing.assert_allclose(same, linear, atol=1e-12)
    assert (mild > linear).all()
    # h = x·e^{a(x - 1)} with the distress x of the debtor: each equity is what the other's value leaves
    value = 1 - (1 - mild / start) * np.exp(2.0 * ((1 - mild / start) - 1))
    np.testing.assert_allclose(mild, own - liabilities.sum(axis=1) + liabilities.T @ value, rtol=1e-10)


def test_threshold_pays_the_recovery_and_equality_is_no_default() -> None:
    liabilities = [[0, 10], [0, 0]]
    assert solve(liabilities, [10, 0], valuation="threshold")[0].value.tolist() == [1.0]
    assert solve(liabilities, [9.99, 0], valuation="threshold", recovery=0.4)[0].value.tolist() == [0.4]


def test_a_claim_on_a_named_node_has_the_value_it_is_given() -> None:
    debts = debts_of(np.array([[0.0, 10.0], [0.0, 0.0]]))
    result = clear_debts(np.array([100.0, 0.0]), np.zeros(2), debts, np.array([0.3, np.nan]), np.ones(2), Settings())
    assert result.equity.tolist() == [90.0, 3.0]


@pytest.mark.parametrize("gap", [1e-6, 1e-9, 1e-12])
def test_a_loop_that_passes_almost_everything_on_is_solved_and_not_cut_off(gap: float) -> None:
    """Near criticality plain iteration needs 1/gap steps; an early stop would answer too high."""
    liabilities = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, gap], [0.0, 0.0, 0.0]])
    result, paid = solve(liabilities, [0.0, 0.0, 0.0])
    # the second bank leaks gap/(1 + gap) of what it gets: only zero clears
    np.testing.assert_allclose(paid, [0.0, 0.0, 0.0], atol=1e-6)
    assert result.steps < 50


@given(seed=st.integers(0, 100_000), loss=st.floats(0, 5))
def test_losing_assets_makes_nobody_better_off(seed: int, loss: float) -> None:
    liabilities, assets, external = random_system(seed, 6)
    before, _ = solve(liabilities, assets, external, alpha=0.7, beta=0.8)
    after, _ = solve(liabilities, assets - np.array([loss, 0, 0, 0, 0, 0]), external, alpha=0.7, beta=0.8)
    assert (after.equity <= before.equity + 1e-9).all()


def test_no_debts_at_all() -> None:
    result, _ = solve(np.zeros((3, 3)), [1.0, -2.0, 0.0])
    assert result.equity.tolist() == [1.0, -2.0, 0.0]

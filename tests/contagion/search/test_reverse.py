"""The nearest joint shock: closed forms, a grid in two dimensions, and what is claimed of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contagion.runtime.plan import Plan
from contagion.search.descent import nearest_trigger
from contagion.search.drivers import Driver, drivers_of, pick_drivers
from contagion.search.joint import JointMoves
from contagion.search.reverse import certified_distance, reverse
from contagion.search.risk import Risk
from contagion.search.trial import Bench
from contagion.settings import Settings
from graphs.generate import random_network, shuffle_network
from graphs.toys import interbank_ring, one_book_ladder, two_exchange_stablecoin

LINEAR = Settings(impact="linear")
RISK = Risk(depth_correlation=0.0, peg_correlation=0.0)


@given(st.integers(2, 6), st.integers(0, 10_000))
@hypothesis_settings(max_examples=30, deadline=None)
def test_uncapped_linear_debtrank_has_the_closed_form(size: int, seed: int) -> None:
    """Least distance at which the loss c·(I - Λ)⁻¹·s reaches ℓ is ℓ/√(gᵀΣg), g = (I - Λ)⁻ᵀc (from Bardoscia et al. 2015, eq. 8)."""
    rng = np.random.default_rng(seed)
    leverage = rng.uniform(0, 0.9 / size, (size, size)) * (1 - np.eye(size))
    weights = rng.uniform(0.5, 2.0, size)
    root = np.tril(rng.uniform(0.1, 1.0, (size, size)))
    sensitivity = np.linalg.solve((np.eye(size) - leverage).T, weights)
    loss = 3.0

    def judge(y: np.ndarray) -> tuple[float, bool]:
        reached = float(weights @ np.linalg.solve(np.eye(size) - leverage, root @ y))
        return reached / loss, reached >= loss

    exact = loss / math.sqrt(sensitivity @ root @ root.T @ sensitivity)
    found = nearest_trigger(judge, root.T @ np.ones(size), root, reach=50 * exact, tolerance=0.0)
    assert found is not None
    assert found.trigger == pytest.approx(exact, rel=1e-9)
    assert found.safe == np.nextafter(found.trigger, 0.0)


def test_the_ladder_has_the_closed_form() -> None:
    """One price moves one book: the distance is that of s* = max over k < K of 1 - (L_{k+1} + κQ_k)/P₀.

    Condition (a) counts what closes beyond what the shock closes by itself, so a larger shock may meet it no more, and a
    window that lies between two points of the scan of a ray is missed.
    """
    met = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 7))
        quantities = rng.integers(1, 8, count).astype(float)
        levels = np.sort(rng.uniform(70.0, 98.0, count))[::-1]
        kappa = float(rng.uniform(0.3, 1.0))
        net = one_book_ladder(quantities=quantities.tolist(), liquidation_prices=levels.tolist(), kappa=kappa)
        fund = net.frame("exchange").assign(insurance_fund=1e4)  # the closed form is of condition (a) alone
        bench = Bench.of(net.with_tables(exchange=fund), LINEAR)
        driver = pick_drivers(drivers_of(bench.system, RISK), ["COIN"])[0]
        found = reverse(bench, [driver], risk=RISK, starts=1, tolerance=0.0, reach=9.0)
        if found.shocks:
            met += 1
            size = driver.size(found.shocks[0].trigger)
            assert min(abs(size - fall) for fall in _critical_falls(quantities, levels, kappa)) < 2e-12  # a breach has a tolerance of 1e-12
    assert met >= 2


def _critical_falls(quantities: np.ndarray, levels: np.ndarray, kappa: float) -> list[float]:
    before = np.concatenate([[0.0], np.cumsum(quantities)[:-1]])
    return np.maximum.accumulate(1.0 - (levels + kappa * before) / 100.0).tolist()


def test_a_grid_of_rays_in_two_dimensions_finds_nothing_nearer() -> None:
    bench = Bench.of(two_exchange_stablecoin())
    drivers = pick_drivers(drivers_of(bench.system, RISK), ["BTC", "depth:Thin"])
    joint = JointMoves.of(drivers, RISK)
    found = reverse(bench, drivers, risk=RISK, starts=3)

    def radius(angle: float) -> float:
        ray = joint.root @ np.array([math.cos(angle), math.sin(angle)])
        for step in np.arange(0.5, 9.0, 0.5):
            if bench.run(joint.shocks(step * ray)).system_wide:
                return float(step)
        return math.inf

    nearest = min(radius(angle) for angle in np.linspace(0, 2 * math.pi, 8, endpoint=False))
    assert found.shocks
    assert found.shocks[0].trigger <= nearest * 1.001
    assert bench.run(joint.shocks(found.shocks[0].moves)).system_wide
    least = found.shocks[0].moves * (found.shocks[0].safe / found.shocks[0].trigger)
    assert not bench.run(joint.shocks(least)).system_wide
    assert found.certified < found.shocks[0].trigger


@pytest.mark.parametrize("seed", range(6))
def test_nothing_triggers_within_the_certified_distance(seed: int) -> None:
    bench = Bench.of(random_network(seed=seed))
    joint = JointMoves.of(drivers_of(bench.system, Risk(), traders=0), Risk())
    certified = certified_distance(bench, joint, 6.0)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        y = rng.standard_normal(len(joint.drivers))
        moves = joint.root @ (certified * y / np.linalg.norm(y))
        assert np.sqrt(moves @ np.linalg.solve(joint.correlation, moves)) == pytest.approx(certified, abs=1e-9)
        assert not bench.run(joint.shocks(moves)).system_wide


def test_the_certified_distance_says_something() -> None:
    bench = Bench.of(one_book_ladder())
    found = reverse(bench, drivers_of(bench.system, RISK), risk=RISK, starts=2)
    assert 0.9 * found.shocks[0].trigger < found.certified <= found.shocks[0].trigger


def test_the_order_of_rows_and_the_number_of_workers_change_nothing() -> None:
    net = two_exchange_stablecoin()
    answers = []
    for shown, plan in ((net, Plan()), (shuffle_network(net, seed=3), Plan()), (net, Plan(workers=2))):
        bench = Bench.of(shown)
        drivers = pick_drivers(drivers_of(bench.system, RISK), ["BTC", "depth:Thin"])
        answers.append(reverse(bench, drivers, risk=RISK, starts=1, tolerance=1e-2, plan=plan).summary())
    assert answers[0] == answers[1] == answers[2]


def test_without_a_driver_that_moves_there_is_nothing() -> None:
    bench = Bench.of(interbank_ring())
    found = reverse(bench, drivers_of(bench.system, RISK), risk=RISK)
    assert found.shocks == ()
    assert found.tables()["shocks"].empty


def test_moves_are_written_as_shocks() -> None:
    drivers = (Driver("price", "BTC", "", 0.1), Driver("depth", "Deep", "", 0.5), Driver("price", "ETH", "", 0.1))
    joint = JointMoves.of(drivers, Risk())
    texts = [str(shock) for shock in joint.shocks(np.array([1.0, -2.0, -1.0]))]
    assert [text.split("=")[0] for text in texts] == ["BTC", "ETH"]  # depth does not grow
    values = [shock.value for shock in joint.shocks(np.array([1.0, -2.0, -1.0]))]
    assert values == pytest.approx([math.exp(-0.1) - 1, math.exp(0.1) - 1])

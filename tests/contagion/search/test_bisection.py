"""Closed forms of where a ladder triggers, and the bisections that find it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from contagion.search.bisection import FINEST, Isotone, bisect, intervals_between
from contagion.search.critical import critical
from contagion.search.drivers import Driver
from contagion.search.trial import Bench
from contagion.settings import Settings
from contagion.steps.margin_calls import TIE
from graphs.toys import one_book_ladder

FALL = Driver("price", "COIN", "", 0.04, 0.9)
LINEAR = Settings(impact="linear")
RATE = 0.01
"""Maintenance rate of the ladder."""


def test_bisect_keeps_what_the_test_says_at_either_end() -> None:
    low, high = bisect(lambda size: size < 0.3, 0.0, 1.0, 0.0)
    assert low < 0.3 <= high
    assert high - low <= FINEST


def test_a_scan_finds_every_interval_wider_than_its_sizes_are_apart() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        edges = np.sort(rng.uniform(0.05, 0.95, 4))
        if (np.diff(edges) < 0.02).any():
            continue
        sizes = np.linspace(0, 1, 101).tolist()
        found = intervals_between(sizes, lambda s, e=edges: bool(e[0] <= s < e[1] or e[2] <= s < e[3]), 0.0)  # type: ignore[misc]
        assert [value for one in found for value in (one.first, one.above)] == pytest.approx(edges, abs=1e-15)
        assert [value for one in found for value in (one.below, one.last)] == pytest.approx(edges, abs=1e-15)


def brute(steps: list[tuple[float, float]], size: float) -> float:
    return sum(height for at, height in steps if size >= at)


def test_the_difference_of_two_rising_steps_is_cut_into_the_same_intervals_as_by_brute_force() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        places = rng.uniform(0.01, 0.99, 10)
        closed = [(float(at), float(height)) for at, height in zip(places[:5], rng.uniform(0.02, 0.2, 5), strict=True)]
        # the benchmark closes the same accounts, later
        benchmark = [(at + float(delay), height) for (at, height), delay in zip(closed, rng.uniform(0, 0.3, 5), strict=True)]
        breaks = sorted({at for at, _ in closed + benchmark if at < 1})
        holds = [brute(closed, at) - brute(benchmark, at) >= 0.2 for at in (0.0, *breaks)]
        expected = [at for at, (before, after) in zip(breaks, pairwise(holds), strict=True) if before != after]
        found, complete = Isotone(lambda s, c=closed: brute(c, s), lambda s, b=benchmark: brute(b, s), 0.2).intervals(0.0, 1.0, 0.0)  # type: ignore[misc]
        assert complete
        edges = [edge for one in found for edge in (one.first, one.above) if not math.isnan(edge)]
        assert edges == pytest.approx(expected, abs=1e-15)


def test_cells_that_are_left_are_said_to_be_left() -> None:
    smooth = Isotone(lambda size: size, lambda size: 0.9 * size - 0.001, 0.05)
    assert smooth.intervals(0.0, 1.0, 1e-9)[1]
    assert not smooth.intervals(0.0, 1.0, 1e-9, most=4)[1]


def ladder(rng: np.random.Generator) -> tuple[list[float], list[float], float]:
    count = int(rng.integers(2, 8))
    prices = np.sort(rng.uniform(60.0, 90.0, count))[::-1]
    quantities = rng.uniform(1.0, 10.0, count)
    kappa = rng.uniform(0.1, 1.5) * (prices[0] - prices[-1]) / quantities.sum()
    return quantities.tolist(), prices.tolist(), float(kappa)


def ladder_edges(quantities: list[float], prices: list[float], kappa: float, price: float, threshold: float) -> list[tuple[float, bool]]:
    """Sizes at which condition (a) begins and ends: s*_K = max over k < K of 1 - (L_{k+1} + κQ_k)/P₀, and 1 - L_k/P₀ without feedback."""
    prices = [level * (1.0 - RATE) / (1.0 - RATE - TIE) for level in prices]  # equality within 1e-12 of notional is a breach too
    cumulative = np.concatenate([[0.0], np.cumsum(quantities)])
    steps = [1.0 - (level + kappa * before) / price for level, before in zip(prices, cumulative, strict=False)]
    critical_sizes = np.maximum.accumulate(steps)
    direct = 1.0 - np.array(prices) / price
    interest = 2.0 * cumulative[-1]
    edges, before = [], False
    for size in np.unique(np.concatenate([critical_sizes, direct])):
        closed, plain = cumulative[(critical_sizes <= size).sum()], cumulative[(direct <= size).sum()]
        holds = bool(closed - plain >= threshold * interest)
        if holds != before and 0 < size < FALL.limit:
            edges.append((float(size), holds))
            before = holds
    return edges


def test_the_ladder_triggers_where_its_closed_form_says_and_nowhere_else() -> None:
    rng, seen = np.random.default_rng(11), 0
    for _ in range(3):
        quantities, prices, kappa = ladder(rng)
        net = one_book_ladder(quantities=quantities, liquidation_prices=prices, kappa=kappa)
        expected = ladder_edges(quantities, prices, kappa, 100.0, 0.2)
        (row,) = critical(Bench.of(net, LINEAR), [FALL], conditions="a", tolerance=1e-13).rows
        assert row.claim.word == "exact"
        found = [edge for one in row.findings.intervals for edge in (one.first, one.above) if not math.isnan(edge)]
        assert found == pytest.approx([size for size, _ in expected], abs=1e-12)
        seen += len(expected)
    assert seen >= 4


@pytest.mark.slow
def test_the_critical_shock_of_two_hundred_ladders_is_their_closed_form() -> None:
    rng, seen = np.random.default_rng(12), 0
    for _ in range(200):
        quantities, prices, kappa = ladder(rng)
        net = one_book_ladder(quantities=quantities, liquidation_prices=prices, kappa=kappa)
        expected = ladder_edges(quantities, prices, kappa, 100.0, 0.2)
        driver = replace(FALL, limit=1.0001 * expected[0][0]) if expected else FALL
        (row,) = critical(Bench.of(net, LINEAR), [driver], conditions="a", tolerance=1e-13).rows
        assert row.claim.word == "exact"
        assert row.size == pytest.approx(expected[0][0] if expected else math.nan, abs=1e-12, nan_ok=True)
        seen += bool(expected)
    assert seen > 100

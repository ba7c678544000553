"""All breakpoints on a ray: against the closed form of the ladder, and against runs between and beside them."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.compile import compile_system
from contagion.search.breakpoints import Ray, enumerate_ray, obstacles_to
from contagion.search.trial import Bench
from contagion.settings import Settings
from contagion.shocks import Shock, parse_shock
from graphs.generate import random_network
from graphs.toys import one_book_ladder
from tests.contagion.engine.build import venue
from tests.contagion.search.counterexamples import hedged, long

BESIDE = 1e-9
"""Distance from an edge at which a run is asked on which side of it that is."""
LEDGER = 1e-11
"""What rounding margins to a ledger that also holds a million can move an edge."""


def enumerated(bench: Bench, coin: str, low: float, high: float, **options: int) -> Ray:
    return enumerate_ray(bench, lambda s: Shock(kind="price", target=coin, value=-s), low, high, **options)


def induced(bench: Bench, coin: str, s: float) -> float:
    return bench.run([Shock(kind="price", target=coin, value=-s)]).induced


def check_against_runs(bench: Bench, coin: str, ray: Ray, points: np.ndarray) -> None:
    """The pieces tile the ray, and condition (a) is what they say between and beside all edges."""
    assert all(a.high == b.low for a, b in zip(ray.pieces, ray.pieces[1:], strict=False))
    edges = [piece.high for piece in ray.pieces[:-1]]
    beside = [edge + side for edge in edges for side in (-BESIDE, BESIDE)]
    wide = (
        [s for s in beside if min(abs(s - edge) for edge in edges if edge != min(edges, key=lambda e: abs(s - e))) > 2 * BESIDE]
        if len(edges) > 1
        else beside
    )
    for s in [*points, *wide]:
        (piece, *_) = [piece for piece in ray.pieces if piece.low <= s <= piece.high]
        assert induced(bench, coin, s) == pytest.approx(piece.induced, abs=1e-9), s


@pytest.mark.parametrize("seed", range(8))
def test_random_two_sided_networks_agree_with_runs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(seed=seed, traders=10, exchanges=2, assets=2, rules="plain")
    bench = Bench.of(net, Settings(impact=("exponential", "linear")[seed % 2]))
    low, high = ((0.0, 0.25), (-0.2, 0.1))[seed // 4]
    ray = enumerated(bench, "coin-0", low, high)
    if not ray.complete:
        assert "reaches zero" in ray.reason
        high = ray.pieces[-1].high
    assert ray.pieces[0].low == low
    assert len(ray.pieces) > 3
    check_against_runs(bench, "coin-0", ray, rng.uniform(low, high, 10))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 112))
def test_more_random_two_sided_networks_agree_with_runs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(seed=seed, traders=int(rng.integers(5, 40)), exchanges=3, assets=3, rules=("plain", "longs")[seed % 2])
    bench = Bench.of(net, Settings(impact="exponential" if seed % 2 else ("exponential", "linear")[seed // 2 % 2]))
    ray = enumerated(bench, "coin-0", -0.2, 0.4)
    high = 0.4 if ray.complete else ray.pieces[-1].high
    check_against_runs(bench, "coin-0", ray, rng.uniform(-0.2, high, 100))


@pytest.mark.parametrize("seed", range(60))
def test_the_ladder_agrees_with_its_closed_form(seed: int) -> None:
    """Least fall that closes K longs or more: max over k < K of 1 - (L_{k+1} + κQ_k)/P₀."""
    rng = np.random.default_rng(seed)
    many = int(rng.integers(1, 12))
    sizes, prices = [*rng.uniform(0.5, 5.0, many)], [*np.sort(rng.uniform(70.0, 99.0, many))[::-1]]
    kappa = float(rng.uniform(0.05, 0.8))
    bench = Bench.of(one_book_ladder(quantities=sizes, liquidation_prices=prices, kappa=kappa), Settings(impact="linear"))
    accounts = bench.system.accounts
    quantities = accounts.quantity[accounts.quantity > 0]
    levels = -accounts.balance[accounts.quantity > 0] / quantities / 0.99  # as the ledger has them
    order = np.argsort(-levels)
    quantities, levels = quantities[order], levels[order]
    np.testing.assert_allclose(levels, prices, rtol=0, atol=1e-9)
    ray = enumerated(bench, "COIN", 0.0, 0.35)
    before = np.concatenate([[0.0], np.cumsum(quantities)[:-1]])
    thresholds = np.maximum.accumulate(1.0 - (levels + kappa * before) / 100.0)
    assert ray.complete
    total = quantities.sum()
    closed = 0.0
    for edge, size in zip(np.unique(thresholds), [quantities[thresholds <= s].sum() for s in np.unique(thresholds)], strict=True):
        (piece, *_) = [piece for piece in ray.pieces if piece.liquidated == pytest.approx(size / total / 2, abs=1e-9)]
        assert piece.low == pytest.approx(edge, abs=1e-13)
        assert size > closed
        closed = size


def test_the_set_that_triggers_is_not_a_half_line() -> None:
    """3 %: the shock closes A, whose sale closes B. From 6 % on the shock closes both, and feedback nothing."""
    bench = Bench.of(
        venue({"A": long(4.0, 98.0), "B": long(4.0, 94.5)}, depth=100.0, brackets=((0.0, 0.1, 8.0),)), Settings(impact="linear")
    )
    ray = enumerated(bench, "C", 0.0, 0.3)
    assert ray.complete
    ((first, last),) = ray.triggering
    assert first == pytest.approx(0.02, abs=LEDGER)
    assert last == pytest.approx(0.055, abs=LEDGER)


def test_covering_saves_an_account_from_a_larger_fall() -> None:
    bench = Bench.of(hedged(), Settings(impact="linear"))
    ray = enumerated(bench, "C", 0.0, 0.2)
    assert ray.complete
    check_against_runs(bench, "C", ray, np.linspace(0.0, 0.2, 41))
    by_fall = [induced(bench, "C", s) for s in (0.06, 0.12)]
    assert by_fall[0] > by_fall[1]


def test_rises_are_falls_with_the_sign_turned() -> None:
    bench = Bench.of(random_network(seed=4, traders=10, exchanges=2, assets=2, rules="plain"))
    up = enumerate_ray(bench, lambda s: Shock(kind="price", target="coin-0", value=s), 0.0, 0.2)
    down = enumerated(bench, "coin-0", -0.2, 0.0)
    assert up.complete
    assert down.complete
    assert len(up.pieces) > 2
    mirrored = [(-piece.high, -piece.low, piece.induced) for piece in reversed(down.pieces)]
    np.testing.assert_allclose([(piece.low, piece.high, piece.induced) for piece in up.pieces], mirrored, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "shock", [Shock(kind="price", target="COIN", exchange="Book", value=-0.1), Shock(kind="price", target="COIN", value=-0.1)]
)
def test_a_ray_is_a_change_of_one_price_everywhere(shock: Shock) -> None:
    ray = enumerate_ray(Bench.of(one_book_ladder()), lambda _: shock, 0.0, 0.2)
    assert not ray.complete
    assert "everywhere" in ray.reason


def test_too_many_patterns_are_not_passed_over_in_silence() -> None:
    bench = Bench.of(one_book_ladder(), Settings(impact="linear"))
    ray = enumerated(bench, "COIN", 0.0, 0.3, limit=2)
    assert not ray.complete
    assert ray.reason == "more than 2 patterns"
    assert ray.patterns == 2


def test_an_exchange_that_may_fail_ends_the_enumeration() -> None:
    net = venue({"A": (10.0, 100.0, 140.0), "B": long(1.0, 86.0)}, depth=100.0, brackets=((0.0, 0.1, 8.0),), equity=30.0)
    ray = enumerated(Bench.of(net, Settings(impact="linear")), "C", 0.0, 0.3)
    assert not ray.complete
    assert "fail" in ray.reason or "default" in ray.reason
    assert ray.pieces[-1].high < 0.13


@pytest.mark.parametrize("text", ["outage:Book", "sale:COIN@Book=10", "default:Long1"])
def test_other_shocks_are_obstacles(text: str) -> None:
    assert "is no price, peg or depth" in obstacles_to(compile_system(one_book_ladder()), Settings(), [parse_shock(text)])[0]


@pytest.mark.parametrize("seed", range(5))
def test_networks_with_every_rule_are_not_enumerated(seed: int) -> None:
    bench = Bench.of(random_network(seed=seed, traders=15))
    ray = enumerated(bench, "coin-0", 0.0, 0.1)
    assert not ray.complete
    assert ray.pieces == ()
    assert ray.patterns == 0

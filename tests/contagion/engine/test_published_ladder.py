"""The closed form of one book of longs: s*_K = max over k < K of 1 - (L_{k+1} + κ·Q_k)/P₀, against runs of the engine."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.cascade import run
from contagion.engine import Prepared, prepare, simulate
from contagion.journal import Flow
from contagion.scenario import Scenario, Shock
from contagion.settings import Settings
from graphs.toys import one_book_ladder

# derived_critical_shock_ladder: P₀ 100, κ 0.25, maintenance 1 %; "bisection agrees to 1e-15", tolerance 1e-12
QUANTITIES = (4.231763158945975, 2.533475523142073, 2.6338928216799946, 1.1811007756097807)
QUANTITIES += (3.061302244168568, 1.2157228095266257, 2.1432055203525664, 4.220011694981521)
LEVELS = (96.96689881766179, 96.88014465779092, 96.58976556095702, 96.36143839380972)
LEVELS += (95.30323546997778, 93.31930758222533, 89.69208024779807, 80.90423480213364)
CRITICAL = (0.03033101182338216,) * 5 + (0.032703087868880654, 0.06593605418933679, 0.1484564948450996)
TOLERANCE = 1e-12
LINEAR = Settings(impact="linear")


def closed(prepared: Prepared, shock: float) -> int:
    """Longs that are liquidated under a relative fall of the price."""
    stage = {"shocks": [Shock(kind="price", target="COIN", value=-shock)]}
    changed = Prepared(
        prepared.system, Scenario.model_validate({"stages": [stage]}), prepared.entering * 0 + ((np.empty(0, np.int64),) * 4,)
    )
    state = simulate(changed, settings=LINEAR).state
    return sum(len(who) for _, who, _ in state.journal.accounts[Flow.LIQUIDATION])


def closed_form(quantities: np.ndarray, levels: np.ndarray, kappa: float) -> np.ndarray:
    sold = np.concatenate([[0.0], np.cumsum(quantities)[:-1]])
    return np.maximum.accumulate(1.0 - (levels + kappa * sold) / 100.0)


def test_the_closed_form_of_the_published_case() -> None:
    np.testing.assert_allclose(closed_form(np.array(QUANTITIES), np.array(LEVELS), 0.25), CRITICAL, atol=TOLERANCE)


@pytest.mark.parametrize("wanted", range(1, 9))
def test_bisection_finds_the_critical_shock(wanted: int) -> None:
    prepared = prepare(one_book_ladder(quantities=QUANTITIES, liquidation_prices=LEVELS, kappa=0.25), Scenario.from_shocks(["COIN=-1%"]))
    low, high = 0.0, 0.2
    while high - low > 1e-14:
        middle = (low + high) / 2
        low, high = (low, middle) if closed(prepared, middle) >= wanted else (middle, high)
    assert high == pytest.approx(CRITICAL[wanted - 1], abs=TOLERANCE)


@pytest.mark.parametrize("block", range(10))
def test_runs_on_both_sides_of_the_critical_shock_of_random_books(block: int) -> None:
    """200 books: at s* + 1e-12 at least K longs fall, at s* - 1e-12 fewer do."""
    for seed in range(20 * block, 20 * block + 20):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, 9))
        quantities, levels = rng.uniform(1.0, 5.0, count), np.sort(rng.uniform(75.0, 99.0, count))[::-1]
        kappa = float(rng.uniform(0.05, 1.0))
        net = one_book_ladder(quantities=quantities.tolist(), liquidation_prices=levels.tolist(), kappa=kappa)
        prepared = prepare(net, Scenario.from_shocks(["COIN=-1%"]), check=False)
        critical = closed_form(quantities, levels, kappa)
        wanted = int(rng.integers(1, count + 1))
        assert closed(prepared, float(critical[wanted - 1]) + TOLERANCE) >= wanted, seed
        assert closed(prepared, float(critical[wanted - 1]) - 2 * TOLERANCE) < wanted, seed


def test_a_price_that_linear_impact_takes_to_zero_has_a_multiplier() -> None:
    net = one_book_ladder(quantities=[10.0, 60.0], liquidation_prices=[95.0, 93.0], kappa=2.0)
    found = run(net, Scenario.from_shocks(["COIN=-6%"]), settings=LINEAR)
    assert found.path("price").min() == 0.0
    assert found.verdict.multiplier is not None

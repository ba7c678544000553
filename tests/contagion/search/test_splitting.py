"""Splitting meets probabilities that are known, within the error that it states, and says so where it finds no way."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from contagion.compile import compile_system
from contagion.errors import RunError
from contagion.report.sample import lay_out_split
from contagion.runtime.plan import Plan
from contagion.search.draws import Draws
from contagion.search.drivers import Driver, drivers_of, pick_drivers
from contagion.search.estimates import mean, proportion
from contagion.search.risk import Risk
from contagion.search.splitting import Part, RareEvent, split
from contagion.search.subset import Subset, subset_simulation
from contagion.search.trial import Bench
from graphs.network import Network
from graphs.toys import interbank_ring, one_book_ladder, two_exchange_stablecoin

DIRECTION = np.full(12, 1.0 / math.sqrt(12))


def beyond(beta: float, seed: tuple[int, ...], *, size: int = 500) -> Subset:
    """A linear function of Gaussians: the probability is Φ(−β)."""
    return subset_simulation(lambda y: (bool(DIRECTION @ y >= beta), float(DIRECTION @ y)), 12, seed=seed, size=size)


def test_a_linear_limit_at_four_sigmas_is_met_within_the_stated_error() -> None:
    exact, held = float(stats.norm.sf(4.0)), 0
    for seed in range(4):
        found = np.array([beyond(4.0, (seed, replicate)).probability for replicate in range(8)])
        estimate = mean(found)
        held += estimate.low <= exact <= estimate.high
        assert found.std(ddof=1) / found.mean() / math.sqrt(8) < 0.35  # the relative error that 8 replicates state
    assert held >= 3


def test_the_estimate_is_unbiased() -> None:
    exact = float(stats.norm.sf(3.0))
    found = np.array([beyond(3.0, (7, replicate), size=100).probability for replicate in range(250)])
    assert abs(found.mean() - exact) < 4 * found.std(ddof=1) / math.sqrt(found.size)
    assert abs(found.mean() / exact - 1) < 0.25


def test_two_ways_into_the_event_are_both_found() -> None:
    """|y₁| ≥ 3.5, and the guide does not tell the two sides apart."""
    found = [subset_simulation(lambda y: (bool(abs(y[0]) >= 3.5), float(abs(y[0]))), 3, seed=(1, r)) for r in range(8)]
    estimate = mean(np.array([one.probability for one in found]))
    assert estimate.low <= 2 * stats.norm.sf(3.5) <= estimate.high
    sides = np.concatenate([np.sign(one.hits[:, 0]) for one in found])
    assert 0.2 < (sides > 0).mean() < 0.8


def test_a_guide_in_steps_is_climbed_and_a_flat_one_is_called_flat() -> None:
    steps = subset_simulation(lambda y: (bool(y[0] >= 3.0), math.floor(2 * float(y[0]))), 2, seed=(3,), size=1000)
    assert steps.state == "reached"
    assert 0.4 < steps.probability / stats.norm.sf(3.0) < 2.5
    flat = subset_simulation(lambda y: (bool(y[0] >= 6.0), 0.0), 2, seed=(3,), size=100)
    assert (flat.state, flat.probability, flat.runs, flat.levels) == ("flat", 0.0, 100, ())
    # Flat, but plain draws meet it: its share is known all the same.
    often = subset_simulation(lambda y: (bool(y[0] >= 1.8), 0.0), 2, seed=(3,), size=500)
    assert often.state == "reached"
    assert proportion(often.first_hits, 500).low < stats.norm.sf(1.8) < proportion(often.first_hits, 500).high
    assert often.probability == pytest.approx(often.first_hits / 500)


def test_levels_that_run_out_are_called_far() -> None:
    far = subset_simulation(lambda y: (False, float(y[0])), 1, seed=(3,), size=10)
    assert (far.state, far.probability) == ("far", 0.0)


def test_the_tail_of_student_t_is_met_through_its_mixing_variable() -> None:
    """One price, and the event that it falls by as many standard deviations as t with 4 degrees of freedom does in 2e-5."""
    system = compile_system(one_book_ladder())
    risk = Risk(jump_probability=0.0)
    law = Draws.of([Driver("price", "COIN", "", 0.01, 0.9)], risk, system)
    exact = 2e-5
    edge = stats.t(4).isf(exact) / math.sqrt(2.0)

    def guide(y: np.ndarray) -> tuple[bool, float]:
        sigmas = float(law.unfold(y[None]).sigmas[0, 0])
        return sigmas >= edge, sigmas

    found = np.array([subset_simulation(guide, law.dimension, seed=(2, r), size=250).probability for r in range(6)])
    estimate = mean(found)
    assert estimate.low <= exact <= estimate.high
    assert found.std(ddof=1) / found.mean() / math.sqrt(6) < 0.5


def ladder_law(volatility: float) -> tuple[Bench, Risk, Driver, float]:
    """The ladder, one price, and the exact probability that it is system-wide."""
    bench, risk = Bench.of(one_book_ladder()), Risk(volatility=volatility, jump_probability=0.0)
    coin = pick_drivers(drivers_of(bench.system, risk), ["COIN"])[0]
    low, high = 0.0, 0.5
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (low, middle) if bench.run([coin.shock(middle)]).system_wide else (middle, high)
    return bench, risk, coin, float(stats.t(risk.tail).sf(coin.sigmas(high) * math.sqrt(risk.tail / (risk.tail - 2))))


def test_the_ladder_is_met() -> None:
    bench, risk, coin, exact = ladder_law(0.012)
    assert 1e-3 < exact < 2e-2
    once = split(bench, [coin], risk=risk, size=40, replicates=4, seed=1)
    assert once.probability.low <= exact <= once.probability.high
    assert once.relative_error < 0.6
    assert once.fired()["d"] == 1.0
    assert once.levels()["share"].between(0, 1).all()


@pytest.mark.slow
def test_two_workers_split_the_same() -> None:
    bench, risk, coin, _ = ladder_law(0.012)
    once, twice = (split(bench, [coin], risk=risk, size=20, replicates=3, plan=Plan(workers=workers)) for workers in (1, 2))
    assert json.dumps(once.summary(), allow_nan=False) == json.dumps(twice.summary(), allow_nan=False)
    assert all(table.equals(twice.tables()[name]) for name, table in once.tables().items())


@pytest.mark.slow
def test_the_ladder_is_met_where_it_is_rare() -> None:
    bench, risk, coin, exact = ladder_law(0.002)
    assert exact < 2e-5
    found = split(bench, [coin], risk=risk, size=250, replicates=6)
    assert found.probability.low <= exact <= found.probability.high
    assert found.relative_error < 0.5


def debtor_to_exchange() -> Network:
    """A trader whose default alone brings its creditor, an exchange, down; and no market."""
    return Network.from_frames(
        name="debtor",
        trader=pd.DataFrame({"id": ["Debtor", "Other"], "role": ["fund", "fund"], "cash": [2000.0, 2000.0]}),
        exchange=pd.DataFrame({"id": ["Venue"], "equity": [100.0]}),
        credit=pd.DataFrame({"debtor": ["Debtor", "Venue"], "creditor": ["Venue", "Other"], "amount": [1000.0, 500.0]}),
    )


def test_a_rare_default_that_nothing_leads_up_to_is_met_all_the_same() -> None:
    """Only the default of Debtor without that of Venue is system-wide: its probability is known."""
    bench = Bench.of(debtor_to_exchange())
    risk = Risk(probabilities={"Debtor": 0.002, "Other": 0.003, "exchange": 0.001})
    drivers = [driver for driver in drivers_of(bench.system, risk) if driver.kind != "outage"]
    debtor, venue = risk.probability("trader", "Debtor"), risk.probability("exchange", "Venue")
    exact = debtor * (1 - venue)
    assert exact < 1e-5
    found = split(bench, drivers, risk=risk, size=100, replicates=3)
    assert [part.name for part in found.parts] == ["no rare event", "some rare event"]
    assert math.fsum(part.weight for part in found.parts) == 1.0
    assert found.probability.value == pytest.approx(exact, rel=0.35)
    assert found.probability.low <= exact <= found.probability.high
    assert found.events() == {"default:Debtor": 1.0}
    # Without a rare event nothing moves: the part is flat, which the claim says and the bound counts.
    assert found.parts[0].reached == 0
    assert "no rare event: 0 of 3 replicates reached it" in found.claim
    assert found.probability.high > proportion(0, 300).high * found.parts[0].weight


def test_parts_add_up_with_their_errors() -> None:
    def replicates(*values: float) -> tuple[dict[str, object], ...]:
        return tuple(
            {"probability": value, "state": "reached" if value else "flat", "size": 10, "runs": 10, "levels": [], "shares": []}
            for value in values
        )

    found = RareEvent("x", 0, 10, Risk(), (Part("a", 0.75, replicates(0.2, 0.4)), Part("b", 0.25, replicates(0.0, 0.0))))
    assert found.probability.value == pytest.approx(0.75 * 0.3)
    assert found.error == pytest.approx(0.75 * 0.1)
    assert found.relative_error == pytest.approx(1 / 3)
    reach = stats.t(1).ppf(0.975) * 0.075
    assert found.probability.high == pytest.approx(min(0.225 + reach + 0.25 * proportion(0, 20).high, 1.0))


def test_what_is_never_reached_is_bounded_by_plain_draws() -> None:
    bench = Bench.of(interbank_ring())  # without a market or an exchange no condition can hold
    risk = Risk()
    found = split(bench, drivers_of(bench.system, risk), risk=risk, size=10, replicates=2)
    assert found.probability.value == 0.0
    assert found.probability.high == pytest.approx(proportion(0, 20).high)
    assert math.isnan(found.relative_error)
    assert lay_out_split(found).text().startswith("Probability no system-wide cascade was reached")
    assert found.nearest() is None


def test_the_page_fits() -> None:
    bench = Bench.of(two_exchange_stablecoin())
    risk = Risk(volatility=0.2)
    found = split(bench, drivers_of(bench.system, risk), risk=risk, size=10, replicates=2)
    lines = lay_out_split(found).text().splitlines()
    assert lines[0].startswith("Probability")
    assert max(len(line) for line in lines) <= 100


def test_what_shows_no_error_is_refused() -> None:
    bench = Bench.of(one_book_ladder())
    drivers = drivers_of(bench.system, Risk())
    for wrong in ({"replicates": 1}, {"size": 9}):
        with pytest.raises(RunError, match="show no error of their own"):
            split(bench, drivers, risk=Risk(), **wrong)  # type: ignore[arg-type]

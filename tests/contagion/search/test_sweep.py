"""The severity curve: points against single runs, jumps and edges where closed forms put them, and a rule that is swept."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from contagion.errors import PolicyError, RunError, ScenarioError
from contagion.policy import Policy, apply_policy
from contagion.report.page import WIDTH
from contagion.report.sweep import lay_out_sweep
from contagion.runtime.ledger import Ledger
from contagion.runtime.plan import Plan
from contagion.search.drivers import Driver
from contagion.search.sweep import sweep, sweep_policy
from contagion.search.trial import Bench
from contagion.settings import Settings
from contagion.shocks import parse_shock
from graphs.toys import one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from pathlib import Path

    from contagion.search.policy_sweep import LeverCurve
    from contagion.search.severity import SeverityCurve
    from graphs.network import Network

FALL = Driver("price", "COIN", "", 0.04, 0.9)
LINEAR = Settings(impact="linear")


def funded(usd: float = 1e9) -> Network:
    """The ladder with a fund, so that no bad debt is too much."""
    net = one_book_ladder()
    return net.with_tables(exchange=net.frame("exchange").assign(insurance_fund=usd))


def text_of(answer: SeverityCurve | LeverCurve) -> str:
    text = lay_out_sweep(answer).text()
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    json.dumps(answer.summary(), allow_nan=False)
    return text


def test_every_point_is_the_run_of_its_size() -> None:
    bench = Bench.of(one_book_ladder(), LINEAR, [parse_shock("depth:*=0.8")])
    curve = sweep(bench, FALL, high=0.05, steps=6, resolution=0.01)
    assert [point.size for point in curve.points if not point.located] == pytest.approx([0, 0.01, 0.02, 0.03, 0.04, 0.05], abs=1e-15)
    for point in curve.points:
        assert point.trial == bench.run([FALL.shock(point.size)] if point.size else [])
    row = curve.frame.iloc[-1]
    assert row["liquidated_share"] - row["induced"] == row["without_feedback_share"]
    assert row["liquidated_share"] == pytest.approx(row["liquidated_usd"] / 3200.0)
    assert "depth:*=0.8" in text_of(curve)


def test_jumps_are_located_where_long_after_long_falls() -> None:
    """s*_1 = 3 %; from 3.5 %, 4.5 % on longs fall by themselves that feedback felled before."""
    curve = sweep(Bench.of(one_book_ladder(), LINEAR), FALL, high=0.05, steps=6, resolution=1e-7)
    assert [jump.high for jump in curve.jumps] == pytest.approx([0.03, 0.035, 0.045], abs=2e-7)
    for jump in curve.jumps:
        assert 0 < jump.high - jump.low <= 1e-7
        assert jump.after - jump.before == pytest.approx(jump.of)  # nothing else happens between these neighbours
    assert [round(jump.after - jump.before, 6) for jump in curve.jumps] == [0.25, -0.09375, -0.09375]
    assert "jumps between" in text_of(curve)


def test_edges_are_located_within_the_resolution_and_claimed_as_sampled() -> None:
    net = one_book_ladder(quantities=[7.0, 3.0], liquidation_prices=[91.0, 90.0], kappa=1.5, maintenance_rate=0.1)
    net = net.with_tables(exchange=net.frame("exchange").assign(insurance_fund=2.0))
    curve = sweep(Bench.of(net, LINEAR), FALL, low=0.07, high=0.13, steps=13, resolution=1e-6)
    assert curve.findings.claim.word == "sampled"
    first, second = curve.findings.intervals
    assert (first.first, first.above) == pytest.approx((0.09, 0.1), abs=2e-6)
    assert math.isnan(second.above)
    for one in (first, second):
        assert 0 < one.first - one.below <= 1e-6
    text = text_of(curve)
    assert "triggers from -9 % to -10 % and from -10.89 %" in " ".join(text.split())
    assert "13 sizes, 0.5 % apart" in text
    # from zero on, the envelope says what is safe as well
    safe = sweep(Bench.of(net, LINEAR), FALL, high=0.13, steps=7, resolution=1e-3).findings.claim
    assert (safe.word, safe.safe_for) == ("sampled", "abcd")
    assert 0.08 < safe.safe_up_to < 0.09


def test_what_can_be_proven_is_not_called_sampled() -> None:
    """With a fund that no loss exceeds only condition (a) can hold, and the ladder's longs fall in a known order."""
    bench = Bench.of(funded(), LINEAR)
    curve = sweep(bench, FALL, high=0.05, steps=3, resolution=1e-9)
    (one,) = curve.findings.intervals
    assert curve.findings.claim.word == "exact"
    assert (one.first, one.above) == pytest.approx((0.03, 0.035), abs=1e-8)
    assert "all sizes that trigger" in text_of(curve)
    # the interval lies between two sizes of the sweep, which alone would have missed it
    assert not any(point.trial.system_wide for point in curve.points if not point.located)
    quiet = sweep(bench, Driver("depth", "*", "", 0.5, 0.99), steps=3)
    assert not quiet.findings.intervals
    assert "nothing triggers" in text_of(quiet)


@pytest.mark.parametrize(
    ("driver", "given"), [(Driver("peg", "USDX", "Thin", 0.02, 0.9), "BTC=-11%"), (Driver("depth", "*", "", 0.5, 0.99), "BTC=-16.5%")]
)
def test_any_driver_can_be_swept(driver: Driver, given: str) -> None:
    bench = Bench.of(two_exchange_stablecoin(), given=[parse_shock(given)])
    curve = sweep(bench, driver, steps=5, resolution=1e-2)
    assert {point.trial.system_wide for point in curve.points} == {False, True}
    for one in curve.findings.intervals:
        assert bench.run([driver.shock(one.first)]).system_wide
        assert one.below == 0 or not bench.run([driver.shock(one.below)]).system_wide
    assert driver.key in text_of(curve)


def test_workers_and_a_ledger_change_nothing(tmp_path: Path) -> None:
    bench = Bench.of(one_book_ladder())
    alone = sweep(bench, FALL, high=0.06, steps=5, resolution=1e-3)
    with Ledger(tmp_path / "tasks.jsonl") as ledger:
        both = sweep(bench, FALL, high=0.06, steps=5, resolution=1e-3, plan=Plan(workers=2), ledger=ledger)
        again = sweep(bench, FALL, high=0.06, steps=5, resolution=1e-3, ledger=ledger)
    assert json.dumps(both.summary()) == json.dumps(alone.summary()) == json.dumps(again.summary())


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        (Driver("default", "Whale", "", 3.0), {}, "happens or not"),
        (FALL, {"low": 0.3, "high": 0.2}, "no range"),
        (FALL, {"high": 1.0}, "no range"),
        (FALL, {"steps": 1}, "too few"),
        (FALL, {"resolution": -1.0}, "no distance"),
    ],
)
def test_what_cannot_be_swept_is_refused(driver: Driver, options: dict[str, float], words: str) -> None:
    with pytest.raises(RunError, match=words):
        sweep(Bench.of(one_book_ladder()), driver, **options)  # type: ignore[arg-type]


# ---- over a rule


def test_each_value_of_a_rule_is_a_network_of_its_own() -> None:
    net, shocks = two_exchange_stablecoin(), [parse_shock("depeg:USDX@Thin=0.9")]
    values = np.linspace(0.0, 0.9, 4).tolist()
    curve = sweep_policy(net, shocks, "haircut:USDX", values)
    assert [point.value for point in curve.points] == values
    for point in curve.points:
        ruled, report = apply_policy(net, Policy.from_texts([f"haircut:USDX={point.value!r}"]))
        assert point.trial == Bench.of(ruled).run(shocks)
        assert point.adjustment == report
    assert curve.points[-1].restored_usd > 0
    assert "under depeg:USDX@Thin=0.9" in text_of(curve)
    added = sweep_policy(net, shocks, "haircut:USDX", values[-1:], restore="margin").points[0]
    assert added.adjustment.margin_added_usd == added.restored_usd > 0
    assert list(curve.tables()["lever"]["value"]) == values


def test_a_rule_is_swept_under_what_is_given_and_resumes_from_its_ledger(tmp_path: Path) -> None:
    net, shocks, given = one_book_ladder(), [parse_shock("COIN=-5%")], [parse_shock("depth:*=0.5")]
    told: list[tuple[int, int]] = []
    with Ledger(tmp_path / "tasks.jsonl") as ledger:
        first = sweep_policy(net, shocks, "fund", [1.0, 1e3], given=given, ledger=ledger, progress=lambda *done: told.append(done))
        assert len(ledger) == 2
        again = sweep_policy(net, shocks, "fund", [1.0, 1e3], given=given, ledger=ledger)
        assert len(ledger) == 2
    assert first == again
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert [point.trial.fired for point in first.points] == ["d", ""]
    assert first.points[0].trial == Bench.of(apply_policy(net, Policy.from_texts(["fund=1"]))[0], given=given).run(shocks)


def test_rules_and_shocks_that_do_not_fit_are_refused() -> None:
    net = one_book_ladder()
    with pytest.raises(PolicyError, match="haircut"):
        sweep_policy(net, [], "haircut:COIN", [0.1])
    with pytest.raises(PolicyError, match="1 to"):
        sweep_policy(net, [], "fund", [])
    with pytest.raises(ScenarioError):
        sweep_policy(net, [parse_shock("NOPE=-1%")], "fund", [1.0])

"""A sample meets known probabilities, its intervals hold, and where and how often the work is done changes no byte."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from contagion.errors import RunError
from contagion.report.sample import lay_out_sample
from contagion.runtime.ledger import Ledger
from contagion.runtime.plan import Plan
from contagion.search.draws import Draws
from contagion.search.drivers import drivers_of, pick_drivers
from contagion.search.estimates import distribution, mean, proportion, quantile, shortfall
from contagion.search.risk import Risk
from contagion.search.sample import LossSample, draw_block, run_draw, sample, watched_nodes
from contagion.search.trial import Bench, Trial, context_of
from contagion.settings import Settings, SystemWide
from contagion.shocks import parse_shock
from graphs.toys import interbank_ring, one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from pathlib import Path

    from graphs.network import Network

RISK = Risk()


def drawn(
    net: Network, n: int, *, risk: Risk = RISK, settings: Settings | None = None, keys: tuple[str, ...] = (), **more: object
) -> LossSample:
    bench = Bench.of(net, settings)
    return sample(bench, pick_drivers(drivers_of(bench.system, risk), keys), risk=risk, n=n, **more)  # type: ignore[arg-type]


def test_the_probability_is_that_of_the_closed_form() -> None:
    """Longs on one book, one price drawn: the run is system-wide beyond one fall of it, whose probability is that of t."""
    risk = Risk(jump_probability=0.0)
    bench = Bench.of(one_book_ladder())
    coin = pick_drivers(drivers_of(bench.system, risk), ["COIN"])[0]
    low, high = 0.0, 0.5
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if bench.run([coin.shock(middle)]).system_wide else (middle, high)
    exact = stats.t(risk.tail).sf(coin.sigmas(high) * math.sqrt(risk.tail / (risk.tail - 2)))
    found = sample(bench, [coin], risk=risk, n=250, seed=3)
    assert found.probability.low < exact < found.probability.high
    assert found.probability == proportion(int(found.draws["system_wide"].sum()), 250)
    # The same draw by draw: what triggers is what lies beyond the edge.
    law = Draws.of([coin], risk, bench.system)
    sigmas = law.unfold(law.normals(3, 0, 250)).sigmas[:, 0]
    assert (found.draws["system_wide"].to_numpy() == (sigmas >= coin.sigmas(high))).all()


def test_a_smaller_sample_is_the_beginning_of_a_larger_one() -> None:
    net = two_exchange_stablecoin()
    small, large = drawn(net, 20), drawn(net, 60)
    assert small.draws.equals(large.draws.head(20))
    assert not large.draws.equals(drawn(net, 60, seed=1).draws)


def test_policies_meet_the_same_draws() -> None:
    before, after = drawn(one_book_ladder(), 20), drawn(one_book_ladder(kappa=0.1), 20)
    assert (before.draws["moves"] == after.draws["moves"]).all()
    assert (after.draws["loss_usd"] <= before.draws["loss_usd"] + 1e-9).all()  # a deeper book, longs only
    assert after.draws["loss_usd"].sum() < before.draws["loss_usd"].sum()


def test_two_workers_and_a_resumed_run_give_the_same_bytes(tmp_path: Path) -> None:
    net = two_exchange_stablecoin()
    once = drawn(net, 120)
    with Ledger(tmp_path / "tasks.jsonl") as ledger:
        twice = drawn(net, 120, plan=Plan(workers=2), ledger=ledger)
        assert len(ledger) == 3
        told: list[tuple[int, int]] = []
        again = drawn(net, 120, ledger=ledger, progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 3)]
    for other in (twice, again):
        for name, table in once.tables().items():
            assert table.equals(other.tables()[name]), name
        assert json.dumps(once.summary()) == json.dumps(other.summary())


def test_a_small_change_of_its_peg_does_not_name_a_stablecoin() -> None:
    """USDX falls to 0.973 with BTC: a verdict with that threshold counts it, unless the draw took it half of the way itself."""
    settings = Settings(system_wide=SystemWide(depeg=0.98))
    bench = Bench.of(two_exchange_stablecoin(), settings)
    crash = [parse_shock("BTC=-30%"), parse_shock("depth:*=0.05")]
    small, large = parse_shock("depeg:USDX=0.999"), parse_shock("depeg:USDX=0.985")
    assert "c" in bench.run(crash).fired
    assert "c" not in bench.run([*crash, small]).fired
    assert "c" in Trial.of(run_draw(bench, [*crash, small])).fired
    assert "c" not in Trial.of(run_draw(bench, [*crash, large])).fired
    split = [parse_shock("depeg:USDX=0.994"), parse_shock("depeg:USDX@Thin=0.994")]
    assert "c" not in Trial.of(run_draw(bench, [*crash, *split])).fired  # the two multiply
    assert "c" in Trial.of(run_draw(bench, [*crash, split[1]])).fired
    plain = run_draw(bench, crash)
    assert len(plain.prepared.scenario.stages[0].shocks) == 2


def test_who_fails_is_counted_apart_from_whom_the_draw_defaults() -> None:
    """Banks in a ring, each of whose defaults brings all down."""
    risk = Risk(probabilities={"trader": 0.9999999999})  # 6 % a day
    net = interbank_ring(n=4)
    found = drawn(net, 100, risk=risk)
    bench = Bench.of(net)
    drivers = drivers_of(bench.system, risk)
    law = Draws.of(drivers, risk, bench.system)
    happens = law.unfold(law.normals(0, 0, 100)).happens
    assert [driver.target for driver in law.events] == found.nodes["node"].tolist()
    assert found.nodes["drawn"].tolist() == happens.sum(axis=0).tolist()
    expected = (happens.any(axis=1)[:, None] & ~happens).sum(axis=0)
    assert expected.min() > 0
    assert found.nodes["failed"].tolist() == found.nodes["defaulted"].tolist() == expected.tolist()
    assert (found.nodes["depegged"] == 0).all()


def test_a_block_says_who_is_liquidated_and_what_they_lose() -> None:
    bench = Bench.of(one_book_ladder())
    law = Draws.of(drivers_of(bench.system, RISK), RISK, bench.system)
    watched = watched_nodes(bench.system)
    context = context_of(bench, law=law.to_json(), seed=0, watched=watched)
    block = draw_block(bench.system, context, {"first": 15, "count": 1})
    cascade = bench.cascade(law.shocks(law.unfold(law.normals(0, 15, 1)), 0))
    nodes = cascade.nodes.set_index("node")
    for place, name in enumerate(watched):
        assert block["nodes"]["counts"][4][place] == (nodes["liquidated_usd"].get(name, 0.0) > 0)
        assert block["nodes"]["loss"][place] == pytest.approx(max(nodes["loss_usd"].get(name, 0.0), 0.0))


def test_nothing_less_than_a_draw_is_refused() -> None:
    with pytest.raises(RunError, match="draw at least 1"):
        drawn(one_book_ladder(), 0)


@pytest.mark.parametrize("net", [one_book_ladder(), two_exchange_stablecoin(), interbank_ring()], ids=lambda net: net.name)
def test_the_page_fits_and_begins_with_the_probability(net: Network) -> None:
    found = drawn(net, 30)
    lines = lay_out_sample(found).text().splitlines()
    assert lines[0].startswith("Probability")
    assert max(len(line) for line in lines) <= 100
    json.dumps(found.summary(), allow_nan=False)


# Estimates


def test_quantile_intervals_hold_their_level() -> None:
    rng = np.random.default_rng(1)
    covered = dict.fromkeys((500, 900, 990), 0)
    for _ in range(600):
        ranked = np.sort(rng.exponential(size=300))
        for level in covered:
            found = quantile(ranked, level)
            covered[level] += found.low <= -math.log1p(-level / 1000) <= found.high
    # Exact intervals hold at least 95 %; three standard deviations of 600 trials are 2.7 %.
    assert all(count / 600 > 0.923 for count in covered.values()), covered


def test_a_quantile_that_the_sample_cannot_bound_has_no_upper_bound() -> None:
    found = quantile(np.arange(1.0, 101.0), 999)
    assert found.value == 100.0
    assert math.isinf(found.high)
    assert quantile(np.arange(1.0, 3.0), 500).low == -math.inf


def test_shortfall_is_the_mean_of_the_worst_share_and_its_interval_holds() -> None:
    assert shortfall(np.arange(1.0, 11.0), 750).value == pytest.approx((10 + 9 + 0.5 * 8) / 2.5)
    rng, covered = np.random.default_rng(2), 0
    exact = -math.log(0.05) + 1.0  # of an exponential: the quantile, and its mean again
    for _ in range(300):
        found = shortfall(np.sort(rng.exponential(size=4000)), 950)
        covered += found.low <= exact <= found.high
    assert covered / 300 > 0.90


def test_a_mean_and_a_proportion_bound_what_they_estimate() -> None:
    rng, held, hit = np.random.default_rng(3), 0, 0
    for _ in range(400):
        held += abs(mean(rng.exponential(size=200)).value - 1.0) >= 0 and mean_covers(rng.exponential(size=200), 1.0)
        share = proportion(int(rng.binomial(50, 0.03)), 50)
        hit += share.low <= 0.03 <= share.high
    assert held / 400 > 0.90
    assert hit / 400 > 0.95 - 0.033
    assert proportion(0, 100).high == pytest.approx(1 - 0.025 ** (1 / 100))


def mean_covers(values: np.ndarray, exact: float) -> bool:
    found = mean(values)
    return found.low <= exact <= found.high


def test_no_bound_of_a_loss_is_below_nought_or_below_its_quantile() -> None:
    values = np.zeros(200)
    values[:5] = [1.0, 2.0, 3.0, 4.0, 1000.0]
    table = distribution(values, floor=0.0)
    assert (table["value_low"].dropna() >= 0).all()
    both = table.dropna(subset=["shortfall"])
    assert (both["shortfall"] >= both["value"]).all()
    assert (both["shortfall_low"] >= both["value_low"]).all()

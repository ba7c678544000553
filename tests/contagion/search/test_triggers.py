"""Minimal trigger sets are those of brute force over all subsets, whatever the rules, the order of rows and the workers."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from contagion.errors import RunError
from contagion.report.page import WIDTH
from contagion.report.triggers import lay_out_triggers
from contagion.runtime.ledger import Ledger
from contagion.runtime.plan import Plan
from contagion.runtime.tasks import Runtime
from contagion.search import triggers as triggers_module
from contagion.search.candidates import Candidate, candidates_of, conflicts_of, joint_sigmas
from contagion.search.drivers import Driver, drivers_of
from contagion.search.isotone import obstacles
from contagion.search.risk import Risk
from contagion.search.trial import Bench
from contagion.search.triggers import triggers
from contagion.search.verdicts import Glance, glance
from contagion.settings import Settings, SystemWide
from contagion.shocks import parse_shock
from graphs.generate import random_network, rename_network, shuffle_network
from graphs.toys import interbank_ring, one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contagion.search.trigger_sets import TriggerSets
    from graphs.network import Network

Sets = set[frozenset[str]]
ONLY_A = Settings(system_wide=SystemWide(bad_debt=1e9, induced_liquidation=0.05))


def brute_force(bench: Bench, candidates: Sequence[Candidate]) -> tuple[Sets, dict[frozenset[str], bool]]:
    """Minimal trigger sets by running everything, and every verdict."""
    verdicts: dict[frozenset[str], bool] = {}
    conflicts = conflicts_of([candidate.shock for candidate in candidates])
    for size in range(len(candidates) + 1):
        for places in itertools.combinations(range(len(candidates)), size):
            if not any(conflicts[one] >> other & 1 for one in places for other in places):
                chosen = [candidates[place] for place in places]
                verdicts[frozenset(one.label for one in chosen)] = bench.run([one.shock for one in chosen]).system_wide
    fired = [one for one, wide in verdicts.items() if wide]
    return {one for one in fired if not any(other < one for other in fired)}, verdicts


def labels(found: TriggerSets, claim: str = "") -> Sets:
    return {frozenset(member.label for member in one.members) for one in found.sets if claim in one.claim}


def mixed(seed: int, count: int, *, traders: int = 8) -> tuple[Bench, list[Candidate]]:
    """A network on which every rule may act, and some candidates of all kinds."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    bench = Bench.of(random_network(seed=seed, traders=traders, exchanges=2, assets=2, stablecoins=1))
    every = candidates_of(
        bench, Risk(), exchange=draw.choice(["default", "outage", "both"]), sigmas=draw.choice([0.3, 0.6, 1, 2, 3]), traders=6
    )
    return bench, draw.sample(every, min(count, len(every)))


def falling(seed: int, count: int, settings: Settings) -> tuple[Bench, list[Candidate]]:
    """A network on which a larger shock never closes less, and candidates that are such shocks."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    bench = Bench.of(random_network(seed=seed, traders=8, exchanges=2, assets=2, rules="longs"), settings)
    every = candidates_of(bench, Risk(), sigmas=draw.choice([0.3, 0.6, 1, 2, 3]), traders=20)
    every += tuple(Candidate(driver, 0.5) for driver in drivers_of(bench.system, Risk()) if driver.kind == "depth")
    plain = [one for one in every if not obstacles(bench.system, settings, [one.shock])]
    return bench, draw.sample(plain, min(count, len(plain)))


def ladder(*texts: tuple[str, float], bench: Bench | None = None) -> list[Candidate]:
    """Candidates of a network by key and size."""
    system = (bench or Bench.of(one_book_ladder())).system
    by_key = {driver.key: driver for driver in drivers_of(system, Risk())}
    return [Candidate(by_key[key], size) for key, size in texts]


# ---- one verdict


@pytest.mark.parametrize("seed", range(2))
def test_a_glance_says_what_a_whole_trial_says(seed: int) -> None:
    bench, candidates = mixed(seed, 4)
    skipped = 0
    for pair in itertools.combinations([one.shock for one in candidates], 2):
        if pair[0].key == pair[1].key:
            continue
        quick, trial = glance(bench, pair), bench.run(pair)
        assert quick.system_wide == trial.system_wide
        assert quick.severity <= trial.severity <= quick.severity_at_most
        assert quick.trial in {None, trial}
        assert not (quick.system_wide and quick.trial is None)
        assert Glance.from_json(quick.to_json()) == quick
        skipped += quick.trial is None
    assert skipped


def test_a_benchmark_is_run_where_the_verdict_hangs_on_it() -> None:
    """All is closed, and all of it by the shock itself: nothing is induced."""
    net = one_book_ladder(liquidation_prices=[99.0] * 5)
    exchange = net.frame("exchange").assign(insurance_fund=1e6)
    bench = Bench.of(net.with_tables(exchange=exchange))
    quick = glance(bench, [parse_shock("COIN=-2%")])
    assert quick.closed == pytest.approx(0.5)
    assert quick.trial is not None
    assert (quick.trial.induced, quick.system_wide) == (0.0, False)


# ---- against brute force


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_sets_are_those_of_brute_force(seed: int) -> None:
    bench, candidates = mixed(seed, 4, traders=6)
    expected, _ = brute_force(bench, candidates)
    found = triggers(bench, candidates, max_size=len(candidates))
    assert labels(found) == expected
    assert found.any_size
    assert {one.claim for one in found.sets} <= {"enumerated"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_sets_are_those_of_brute_force_on_more_networks(seed: int) -> None:
    bench, candidates = mixed(1000 + seed, 7, traders=10)
    expected, verdicts = brute_force(bench, candidates)
    for size in (1, 2, len(candidates)):
        found = triggers(bench, candidates, max_size=size)
        assert {one for one in expected if len(one) <= size} == {one for one in labels(found) if len(one) <= size}
        assert not found.any_size or labels(found) == expected
        for one, other, pair in found.pairs:
            key = frozenset({found.candidates[one].label, found.candidates[other].label})
            assert (pair is not None and pair.system_wide) == verdicts[key]


@pytest.mark.slow
def test_sets_of_a_network_of_fourteen_nodes_are_those_of_brute_force() -> None:
    bench = Bench.of(one_book_ladder(quantities=[1.0] * 11, liquidation_prices=[98.5 - 0.5 * k for k in range(11)], kappa=0.6))
    assert bench.system.nodes.count == 14
    candidates = candidates_of(bench, Risk(), sigmas=0.3, traders=10)
    expected, _ = brute_force(bench, candidates)
    found = triggers(bench, candidates, max_size=len(candidates))
    assert labels(found) == expected
    assert {len(one) for one in expected} == {2, 3, 4}


@pytest.mark.parametrize("seed", [2, 13])
def test_joint_generation_finds_what_brute_force_does(seed: int) -> None:
    bench, candidates = falling(seed, 4, ONLY_A)
    expected, _ = brute_force(bench, candidates)
    found = triggers(bench, candidates, max_size=1)
    assert found.generated
    assert found.any_size
    assert labels(found) == expected


@pytest.mark.slow
@pytest.mark.parametrize("settings", [ONLY_A, Settings()], ids=["a", "all"])
@pytest.mark.parametrize("seed", range(8))
def test_joint_generation_finds_what_brute_force_does_on_more_networks(seed: int, settings: Settings) -> None:
    """With bad debt among the conditions generation may not end, and says so; what it has found is right."""
    bench, candidates = falling(seed, 6, settings)
    expected, _ = brute_force(bench, candidates)
    found = triggers(bench, candidates, max_size=1)
    assert found.generated == found.any_size or len(candidates) <= 1
    assert labels(found) == expected if found.any_size else labels(found) <= expected
    assert {one for one in expected if len(one) <= 1} <= labels(found)


def test_generation_is_cut_short_without_a_wrong_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, candidates = falling(21, 4, ONLY_A)
    expected, _ = brute_force(bench, candidates)
    monkeypatch.setattr("contagion.search.generation.MOST", 6)
    found = triggers(bench, candidates, max_size=2)
    assert not found.generated
    assert {one for one in expected if len(one) <= 2} == {one for one in labels(found) if len(one) <= 2}
    assert labels(found) <= expected


# ---- where the order fails


def test_a_larger_set_may_do_less_and_is_no_trigger_set() -> None:
    """An outage stops the liquidations that the fall sets off; a default beside the fall adds nothing that is needed."""
    bench = Bench.of(one_book_ladder())
    fall, outage, default = candidates = ladder(("COIN", 0.05), ("outage:Book", 1.0), ("default:Long5", 1.0))
    wide = [bench.run([one.shock for one in chosen]).system_wide for chosen in ([fall], [fall, outage], [fall, default])]
    assert wide == [True, False, True]
    found = triggers(bench, candidates, max_size=3)
    assert labels(found) == {frozenset({fall.label})}


def test_the_networks_of_these_tests_break_the_order() -> None:
    broken = 0
    for seed in range(2):
        _, verdicts = brute_force(*mixed(seed, 4))
        broken += sum(not wide and any(verdicts[part] for part in verdicts if part < one) for one, wide in verdicts.items())
    assert broken


def test_two_sizes_of_one_driver_are_never_together() -> None:
    bench = Bench.of(one_book_ladder())
    candidates = ladder(("COIN", 0.019), ("COIN", 0.02), ("default:Long1", 1.0), ("outage:Book", 1.0))
    expected, verdicts = brute_force(bench, candidates)
    found = triggers(bench, candidates, max_size=4)
    assert labels(found) == expected
    assert len(expected) == 2
    assert len(verdicts) == 12  # of 16, the four with both falls are none


# ---- what is given


def test_what_is_given_may_trigger_by_itself() -> None:
    bench = Bench.of(one_book_ladder(), given=[parse_shock("COIN=-5%")])
    candidates = candidates_of(bench, Risk(), traders=2)
    assert all(one.driver.kind != "price" for one in candidates)
    found = triggers(bench, candidates, max_size=2)
    assert [one.members for one in found.sets] == [()]
    assert found.any_size
    assert "by itself" in lay_out_triggers(found).text()


def test_what_is_given_is_part_of_every_run() -> None:
    given = parse_shock("COIN=-2%")
    bench, plain = Bench.of(one_book_ladder(), given=[given]), Bench.of(one_book_ladder())
    candidates = candidates_of(bench, Risk(), traders=4)
    expected = {frozenset({one.label}) for one in candidates if plain.run([given, one.shock]).system_wide}
    assert expected
    assert labels(triggers(bench, candidates, max_size=1)) == expected


def test_errors_name_what_is_wrong() -> None:
    bench = Bench.of(one_book_ladder())
    fall = ladder(("COIN", 0.05))
    with pytest.raises(RunError, match="COIN -5 % is a candidate twice"):
        triggers(bench, [*fall, *fall])
    with pytest.raises(RunError, match="hits the same as the given COIN=-5%"):
        triggers(Bench.of(one_book_ladder(), given=[fall[0].shock]), fall)
    with pytest.raises(RunError, match="size of 1 or more"):
        triggers(bench, fall, max_size=0)
    for option, message in (({"sigmas": 0.0}, "no fall"), ({"peg": 1.0}, "no loss of a peg"), ({"traders": -1}, "0 or more")):
        with pytest.raises(RunError, match=message):
            candidates_of(bench, Risk(), **option)


# ---- greedy


def steps() -> tuple[Bench, list[Candidate]]:
    """A ladder so gentle that it takes three defaults to start the cascade; with an outage among them, nothing is isotone."""
    bench = Bench.of(one_book_ladder(quantities=[3.0] * 5, liquidation_prices=[97.0, 96.5, 96.0, 95.5, 95.0], kappa=0.5))
    every = candidates_of(bench, Risk(), exchange="outage", traders=7)
    return bench, [one for one in every if one.driver.target.startswith("Long") or one.driver.kind == "outage"]


def test_what_is_grown_is_minimal_and_says_greedy() -> None:
    bench, candidates = steps()
    expected, _ = brute_force(bench, candidates)
    assert {len(one) for one in expected} == {3}
    assert not any("outage:Book" in one for one in expected)
    found = triggers(bench, candidates, max_size=1, greedy=3)
    assert labels(found, "greedy")
    assert labels(found) == labels(found, "greedy") <= expected
    assert "greedy" in lay_out_triggers(found).text()
    assert "greedy" not in lay_out_triggers(triggers(bench, candidates, max_size=1)).text()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_what_is_grown_is_minimal_on_more_networks(seed: int) -> None:
    bench, candidates = mixed(seed, 6, traders=10)
    expected, _ = brute_force(bench, candidates)
    found = triggers(bench, candidates, max_size=1, greedy=4)
    assert labels(found, "enumerated") == {one for one in expected if len(one) == 1 or found.any_size}
    assert labels(found) <= expected


def test_sets_with_too_many_subsets_are_counted_but_not_printed() -> None:
    bench, candidates = steps()
    found = triggers(bench, candidates, max_size=1, greedy=3, largest=2)
    assert found.too_large
    assert not found.sets
    assert "too many subsets to run" in " ".join(lay_out_triggers(found).text().split())


# ---- the same answer


def answer(found: TriggerSets) -> list[object]:
    return [[sorted(member.label for member in one.members), one.trial.to_json(), one.sigmas, one.claim] for one in found.sets]


def test_no_order_of_rows_or_candidates_matters() -> None:
    net = random_network(seed=5, traders=8, exchanges=2, assets=2, stablecoins=1)
    bench, shuffled = Bench.of(net), Bench.of(shuffle_network(net, 3))
    found = triggers(bench, candidates_of(bench, Risk(), traders=1, sigmas=1.0))
    assert found.sets
    again = triggers(shuffled, candidates_of(shuffled, Risk(), traders=1, sigmas=1.0)[::-1])
    assert answer(again) == answer(found)
    assert again.summary() == found.summary()


def test_names_do_not_matter() -> None:
    net = random_network(seed=5, traders=8, exchanges=2, assets=2, stablecoins=1)
    ids = [str(name) for kind in ("trader", "asset", "stablecoin", "exchange") for name in net.node_ids(kind)]
    mapping = {name: f"n{(7 * place + 3) % 101:03}" for place, name in enumerate(ids)}
    bench, renamed = Bench.of(net), Bench.of(rename_network(net, mapping))
    risk = Risk()

    def named(one: Bench, names: dict[str, str]) -> set[tuple[frozenset[tuple[str, str]], str, float]]:
        found = triggers(one, candidates_of(one, risk, traders=1, sigmas=1.0))
        return {
            (
                frozenset((m.driver.kind, names.get(m.driver.target, m.driver.target)) for m in s.members),
                s.trial.fired,
                s.trial.bad_debt_usd,
            )
            for s in found.sets
        }

    assert named(bench, mapping) == named(renamed, {})


def test_one_worker_two_and_a_ledger_give_the_same_bytes(tmp_path: Path) -> None:
    bench, candidates = steps()
    once = triggers(bench, candidates, max_size=1, greedy=2)
    assert once.sets
    with Ledger(tmp_path / "tasks") as ledger:
        twice = triggers(bench, candidates, max_size=1, greedy=2, plan=Plan(workers=2), ledger=ledger)
        kept = len(ledger)
        resumed = triggers(bench, candidates, max_size=1, greedy=2, ledger=ledger)
        assert len(ledger) == kept > 0
    assert once == twice == resumed


# ---- what is printed


def test_sets_are_ranked_by_how_plausible_they_are() -> None:
    fall, rise = (Candidate(Driver("price", name, "", 0.04), -math.expm1(-0.12)) for name in ("BTC", "ETH"))
    default = Candidate(Driver("default", "fund", "", 3.6))
    risk = Risk(correlation=0.7)
    assert joint_sigmas([], risk) == 0.0
    assert joint_sigmas([fall], risk) == pytest.approx(3.0, abs=1e-12)
    assert joint_sigmas([fall, rise], risk) == pytest.approx(math.sqrt(2 * 9 / 1.7), abs=1e-12)
    assert joint_sigmas([fall, default], risk) == pytest.approx(math.hypot(3.0, 3.6), abs=1e-12)
    bench = Bench.of(one_book_ladder())
    sigmas = [one.sigmas for one in triggers(bench, candidates_of(bench, risk, sigmas=0.5)).sets]
    assert sigmas == sorted(sigmas)


@pytest.mark.parametrize("net", [one_book_ladder(), two_exchange_stablecoin(), interbank_ring()], ids=lambda net: str(net.name))
def test_the_page_fits_and_the_tables_hold_what_it_shows(net: Network) -> None:
    bench = Bench.of(net)
    found = triggers(bench, candidates_of(bench, Risk(), sigmas=0.5, traders=6))
    text = lay_out_triggers(found).text()
    assert max(map(len, text.splitlines())) <= WIDTH
    tables = found.tables()
    assert len(tables["sets"]) == len(found.sets)
    assert tables["members"].groupby("set").size().tolist() == [len(one.members) for one in found.sets]
    assert tables["sets"].columns.tolist()[:4] == ["set", "size", "members", "sigmas"]
    names, matrix = found.matrix()
    assert names == tables["candidates"]["candidate"].tolist()
    assert np.array_equal(matrix, matrix.T, equal_nan=True)
    pairs = {frozenset(one.members) for one in found.sets if len(one.members) == 2}
    assert {frozenset({found.candidates[i], found.candidates[j]}) for i, j, pair in found.pairs if pair and pair.system_wide} == pairs
    assert found.runs == len(tables["candidates"]) + 1 + (tables["pairs"]["by"] == "run").sum()


def test_a_certificate_that_a_run_contradicts_is_an_error() -> None:
    bench = Bench.of(one_book_ladder())
    candidates = ladder(("COIN", 0.02), ("default:Long1", 1.0), ("outage:Book", 1.0))
    search = triggers_module._Search(bench, candidates, Runtime(bench.system), None, 8)
    search.judge_alone()
    search.safe.append(0b111)
    search._run([0b11, 0b101, 0b110])
    with pytest.raises(RunError, match="the safe envelope certified this set"):
        search.verify()

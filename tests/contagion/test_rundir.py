"""Run directories, jobs, and the fixed point of a network left alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from contagion.errors import RunError
from contagion.fixed_point import at_rest
from contagion.job import Job, carry_out, full_options, hash_inputs, parse_settings
from contagion.rundir import read_job, verify_run, write_run
from contagion.scenario import Scenario
from graphs.catalog import list_networks, load_network
from graphs.files import WriteError
from graphs.generate import random_network
from graphs.tables import write_network

if TYPE_CHECKING:
    from pathlib import Path

    from graphs.network import Network


@pytest.fixture
def job() -> Job:
    return Job.of("two_exchange_stablecoin", shocks=["BTC=-10%"], policy=["haircut=10%"], settings=["withdrawal=2"])


def test_a_job_reads_back_as_it_was_written(job: Job, tmp_path: Path) -> None:
    write_run(carry_out(job), tmp_path / "out")
    again, versions = read_job(tmp_path / "out")
    assert again == job
    assert versions["numpy"]
    assert verify_run(tmp_path / "out").holds


def test_tables_of_a_run_read_back_equal(job: Job, tmp_path: Path) -> None:
    answer = carry_out(job)
    write_run(answer, tmp_path / "out")
    for name, table in answer.cascade.tables().items():
        read = pd.read_parquet(tmp_path / "out" / f"{name}.parquet")
        pd.testing.assert_frame_equal(read, table, check_dtype=False)


def test_a_verdict_in_the_manifest_is_that_of_the_run(job: Job, tmp_path: Path) -> None:
    answer = carry_out(job)
    write_run(answer, tmp_path / "out")
    claimed = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["claimed"]
    verdict = answer.cascade.verdict
    assert (claimed["system_wide"], claimed["reason"], claimed["rounds"]) == (verdict.system_wide, verdict.reason, verdict.rounds)
    assert [condition["fired"] for condition in claimed["conditions"]] == [condition.fired for condition in verdict.conditions]


def test_a_file_in_the_way_is_left_alone(job: Job, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(WriteError):
            write_run(carry_out(job), tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out").read_text() == "mine"


def test_hashes_see_each_table_and_nothing_else(tmp_path: Path) -> None:
    write_network(load_network("one_book_ladder"), tmp_path / "net")
    before = hash_inputs(str(tmp_path / "net"))
    assert before.keys() == {file.name for file in (tmp_path / "net").iterdir()}
    (tmp_path / "net" / "notes.txt").write_text("mine")
    assert hash_inputs(str(tmp_path / "net")) == before
    description = tmp_path / "net" / "network.toml"
    description.write_text(description.read_text() + "\n")
    after = hash_inputs(str(tmp_path / "net"))
    assert [name for name in before if before[name] != after[name]] == ["network.toml"]
    assert hash_inputs("one_book_ladder") == {}
    assert "open_interest.csv" in hash_inputs("oct2025")


def test_a_revised_shipped_table_is_named_by_verify(tmp_path: Path) -> None:
    job = Job.of("oct2025", options={"accounts": 1000}, shocks=["BTC=-1%"])
    write_run(carry_out(job.model_copy(update={"inputs": {**job.inputs, "prices.csv": "0" * 64}})), tmp_path / "out")
    with pytest.raises(RunError, match=r"'oct2025' is not what was run: prices.csv has changed"):
        verify_run(tmp_path / "out")


def test_a_run_of_a_directory_is_that_of_the_network(tmp_path: Path) -> None:
    write_network(load_network("one_book_ladder"), tmp_path / "net", format="parquet")
    read, built = (carry_out(Job.of(source, shocks=["COIN=-5%"])) for source in (str(tmp_path / "net"), "one_book_ladder"))
    pd.testing.assert_frame_equal(read.cascade.prices, built.cascade.prices)


def test_a_network_without_its_own_scenario_says_so() -> None:
    with pytest.raises(RunError, match="--shock"):
        Job.of("one_book_ladder")
    assert Job.of("oct2025", options={"accounts": 1000}).load_scenario().name == "oct2025"


def test_options_are_whole_so_that_a_default_may_change() -> None:
    assert full_options("oct2025", {"accounts": None, "seed": 3})["accounts"] > 0
    assert full_options("one_book_ladder", {"accounts": None, "seed": None}) == {}


@pytest.mark.parametrize("text", ["", "=", "impact", "impact=", "=linear", "impact=cubic", "nothing=1", "max_rounds=1.5", "max_rounds.x=1"])
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RunError, match=r"setting"):
        parse_settings([text])


def test_shipped_networks_rest() -> None:
    for entry in list_networks():
        rest = at_rest(load_network(entry["name"], **({"accounts": 1000} if entry["name"] == "oct2025" else {})))
        assert rest.rests, (entry["name"], rest)


@pytest.mark.parametrize("seed", range(8))
def test_who_is_in_breach_at_rest_is_who_breaches_first_in_a_run_without_a_shock(seed: int) -> None:
    """The engine itself, left alone, does something exactly where the inspection says that somebody would."""
    net = _strained(random_network(seed=seed))
    rest = at_rest(net)
    outcome = carry_out_alone(net)
    breached = sum(float(number.sum()) for when, number in outcome.state.journal.amounts["breached"] if when == 0)
    topped = sum(float(usd.sum()) for _, usd in outcome.state.journal.amounts["topped_up"])
    assert (breached + topped > 0) == bool(rest.breaches)
    assert all(breach.margin_balance <= breach.maintenance * (1 + 1e-9) + 1e-6 for breach in rest.breaches)


def _strained(net: Network) -> Network:
    """Longs that have lost part of their collateral, more of it the larger the seed."""
    margin = net.frame("margin")
    margin.loc[margin["quantity"] > 0, "entry_price"] *= 1.15
    return net.with_tables(margin=margin)


def carry_out_alone(net: Network):  # noqa: ANN201 the engine's outcome
    from contagion.engine import prepare, simulate
    from contagion.settings import Settings

    return simulate(prepare(net, Scenario(name="rest")), settings=Settings(max_rounds=1))

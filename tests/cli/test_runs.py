"""Commands on runs: run, verify, export, from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli
from graphs.gexf_lint import lint_gexf

ROOT = Path(__file__).resolve().parents[2]
LADDER = ("run", "one_book_ladder", "--shock", "COIN=-5%")
CLOCKED = """
name = "fall"
start = 2025-10-10T20:50:00Z

[clock]
round_seconds = 10
half_life = 100
duration = 200

[[stages]]
name = "news"
duration = 60
shocks = ["BTC=-12%"]

[[stages]]
name = "thin"
time = "20:51"
shocks = ["depth:*=0.3"]
"""


def contagion(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def said(*words: str | Path) -> Any:  # noqa: ANN401 what JSON holds
    result = contagion(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(*words: str | Path, status: int = 1) -> str:
    result = contagion(*words)
    assert result.exit_code == status
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert "Error: " in result.stderr
    return result.stderr


def files(place: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in place.iterdir()}


@pytest.fixture
def clocked(tmp_path: Path) -> Path:
    file = tmp_path / "fall.toml"
    file.write_text(CLOCKED)
    return file


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    assert contagion(*LADDER, "-o", tmp_path / "out").exit_code == 0
    return tmp_path / "out"


def test_run_prints_what_the_directory_keeps(tmp_path: Path) -> None:
    result = contagion(*LADDER, "--audit", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stdout == (tmp_path / "out" / "table.txt").read_text(encoding="utf-8")
    assert result.stdout.startswith("Verdict     System-wide: (d)")
    assert "audited in" in result.stdout
    assert "written to" in result.stderr
    assert "\x1b" not in result.stdout


def test_two_runs_give_the_same_bytes_whatever_the_hash_seed(tmp_path: Path, clocked: Path) -> None:
    words = [sys.executable, "-m", "cli", "run", "two_exchange_stablecoin", "--scenario", clocked.name, "--policy", "haircut=10%"]
    for seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run([*words, "-o", f"out{seed}"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    first, second = files(tmp_path / "out0"), files(tmp_path / "out4242")
    assert first == second
    assert {"run.json", "table.txt", "half_step.parquet", "adjustment.parquet", "graph_nodes.parquet"} <= first.keys()
    assert str(tmp_path).encode() not in first["run.json"] + first["table.txt"]


def test_json_says_the_same_as_the_manifest(tmp_path: Path) -> None:
    found = said(*LADDER, "-o", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "run.json").read_text())
    assert manifest["claimed"] == found["verdict"]
    assert list(manifest) == sorted(manifest)
    assert manifest["job"]["scenario"].startswith('name = "custom"')
    assert manifest["versions"].keys() >= {"python", "numpy", "pandas", "pyarrow", "contagion-graph"}


def test_a_clocked_answer_is_printed_with_half_the_step(clocked: Path) -> None:
    words = ("run", "two_exchange_stablecoin", "--scenario", clocked)
    both = said(*words)["half_step"]
    assert both["run"]
    assert both["round_seconds"] == 10
    off = [row for row in both["figures"] if not row["resolved"]]
    printed = contagion(*words).stdout
    assert ("UNRESOLVED" in printed) == bool(off)
    assert "10 s" in printed
    assert "5 s" in printed
    assert not said(*words, "--no-half-step")["half_step"]["run"]
    assert "left out as asked" in contagion(*words, "--no-half-step").stdout
    assert "half the step" not in contagion(*LADDER).stdout.lower()


def test_a_policy_is_reported_and_the_settings_are_taken(tmp_path: Path) -> None:
    found = said("run", "one_book_ladder", "--shock", "COIN=-5%", "--policy", "leverage_cap=10")
    assert found["policy"]["accounts"] == 4
    assert "Policy" in contagion("run", "one_book_ladder", "--shock", "COIN=-5%", "--policy", "leverage_cap=10").stdout
    words = ("--impact", "linear", "--max-rounds", "1", "--settings", "system_wide.bad_debt=2.5", "-o", tmp_path / "out")
    stopped = said(*LADDER, *words)
    assert stopped["verdict"]["reason"] == "max_rounds"
    assert "did not settle" in stopped["verdict"]["sentence"]
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["job"]["settings"]
    assert (settings["impact"], settings["max_rounds"], settings["system_wide"]["bad_debt"]) == ("linear", 1, 2.5)


def test_verify_repeats_a_run_byte_for_byte(ran: Path) -> None:
    found = said("verify", ran)
    assert found["holds"]
    assert {row["file"] for row in found["files"]} == files(ran).keys()
    assert {row["state"] for row in found["files"]} == {"ok"}


def test_verify_tells_each_file_that_is_not_the_same(ran: Path) -> None:
    (ran / "table.txt").write_text("another verdict")
    (ran / "rounds.parquet").unlink()
    (ran / "more.txt").write_text("mine")
    result = contagion("verify", ran, "--json")
    assert result.exit_code == 1
    states = {row["file"]: row["state"] for row in json.loads(result.stdout)["files"] if row["state"] != "ok"}
    assert states == {"table.txt": "different", "rounds.parquet": "missing", "more.txt": "unexpected"}
    assert "different" in contagion("verify", ran).stdout


def test_verify_names_other_versions(ran: Path) -> None:
    manifest = json.loads((ran / "run.json").read_text())
    manifest["versions"]["numpy"] = "0.1"
    (ran / "run.json").write_text(json.dumps(manifest))
    result = contagion("verify", ran)
    assert result.exit_code == 1
    assert "numpy 0.1 then" in result.stderr


def test_verify_names_an_input_that_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contagion("build", "one_book_ladder", "-o", "net", "--format", "csv")
    assert contagion("run", "net", "--shock", "COIN=-5%", "-o", "out").exit_code == 0
    assert contagion("verify", "out").exit_code == 0
    table = tmp_path / "net" / "market.csv"
    table.write_text(table.read_text().replace("200.0", "300.0"))
    message = refused("verify", "out")
    assert "market.csv has changed" in message
    table.unlink()
    assert "market.csv is gone" in refused("verify", "out")
    (tmp_path / "net").rename(tmp_path / "moved")
    assert "is not there" in refused("verify", "out")


def test_a_run_exports_as_what_gephi_opens(ran: Path, tmp_path: Path) -> None:
    for suffix in (".gexf", ".gexf.gz", ".graphml", ".json"):
        assert said("export", ran, "-o", tmp_path / f"x{suffix}")["kind"] == "run"
    assert not lint_gexf(tmp_path / "x.gexf")
    first = (tmp_path / "x.gexf").read_bytes()
    contagion("export", ran, "-o", tmp_path / "x.gexf")
    assert (tmp_path / "x.gexf").read_bytes() == first
    contagion("export", ran, "-o", tmp_path / "x.gexf", "--static")
    assert (tmp_path / "x.gexf").read_bytes() != first


def test_an_existing_out_is_refused_before_the_work_and_a_run_alone_is_replaced(ran: Path, tmp_path: Path) -> None:
    before = files(ran)
    assert "--overwrite" in refused(*LADDER, "-o", ran)
    assert files(ran) == before
    assert contagion("run", "one_book_ladder", "--shock", "COIN=-1%", "-o", ran, "--overwrite").exit_code == 0
    assert files(ran) != before
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    assert "no run that could be replaced" in refused(*LADDER, "-o", other, "--overwrite")
    assert files(other) == {"thesis.txt": b"mine"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "nowhere", "--shock", "BTC=-5%"), "is no shipped network and no directory"),
        (("run", "one_book_ladder", "--shock", "COIN"), "'COIN'"),
        (("run", "one_book_ladder", "--shock", "COIM=-5%"), "did you mean 'COIN'"),
        (("run", "one_book_ladder", "--shock", "default:Nobody"), "Nobody"),
        (("run", "one_book_ladder", "--scenario", "missing.toml"), "missing.toml"),
        (("run", "one_book_ladder", "--scenario", "oct2025"), "does not fit network one_book_ladder"),
        ((*LADDER, "--policy", "leverage_kap=5"), "leverage_cap"),
        ((*LADDER, "--policy", "missing.toml"), "missing.toml"),
        ((*LADDER, "--settings", "max_round=5"), "max_rounds"),
        ((*LADDER, "--settings", "max_rounds"), "name=value"),
        ((*LADDER, "--settings", "tie=safe", "--settings", "tie=breach"), "given twice"),
        ((*LADDER, "--max-rounds", "0"), "max_rounds"),
        (("run", "oct2025", "--accounts", "5"), "from 1,000"),
        (("verify", "nowhere"), "nowhere"),
        (("export", "nowhere", "-o", "x.gexf"), "nowhere"),
        (("export", "one_book_ladder", "-o", "x.foo"), ".graphml"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ("-o", "out") if words[0] == "run" else ()
    assert told in refused(*words, *out)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_shock_is_a_wrong_command_line() -> None:
    assert "--shock" in refused("run", "one_book_ladder", status=2)
    assert "exclude each other" in refused(*LADDER, "--scenario", "oct2025", status=2)


def test_verify_tells_what_is_no_run(tmp_path: Path) -> None:
    assert "run.json" in refused("verify", tmp_path)
    (tmp_path / "run.json").write_text("{")
    assert "is no JSON" in refused("verify", tmp_path)
    (tmp_path / "run.json").write_text('{"format": 99}')
    assert "99" in refused("verify", tmp_path)
    (tmp_path / "run.json").write_text('{"format": 1, "job": {"netwrok": "x"}, "versions": {}}')
    assert "netwrok" in refused("verify", tmp_path)


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_failure_or_an_interrupt_leaves_nothing_half_written(
    kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise kind

    monkeypatch.setattr("contagion.rundir.manifest", fail)
    result = contagion(*LADDER, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert not list(tmp_path.iterdir())

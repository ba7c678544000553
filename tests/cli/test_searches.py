"""The commands that search, end to end: what they print, write, resume and verify."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli

ROOT = Path(__file__).resolve().parents[2]
LADDER, PAIR = "one_book_ladder", "two_exchange_stablecoin"
SHOCK = ["--shock", "BTC=-16%", "--shock", "depth:*=0.05"]
SEARCHES = {
    "sweep": ["sweep", LADDER, "--asset", "COIN", "--to", "-10%", "--steps", "5"],
    "lever": ["sweep", PAIR, "--lever", "haircut:USDX", "--from", "5%", "--to", "50%", "--steps", "2", *SHOCK],
    "critical": ["critical", LADDER, "--driver", "COIN", "--driver", "default:Book"],
    "triggers": ["triggers", LADDER, "--max-size", "2", "--sigmas", "1"],
    "reverse": ["reverse", LADDER, "--driver", "COIN", "--starts", "1"],
    "sample": ["sample", LADDER, "-n", "20"],
    "rare": ["sample", LADDER, "--rare", "--size", "20", "--replicates", "2"],
    "rank": ["rank", PAIR, "-n", "5", "--traders", "2"],
    "compare": ["compare", PAIR, "leverage_cap=5", "--driver", "BTC", "-n", "5", *SHOCK],
    "prevent": ["compare", PAIR, "--prevent", "--lever", "leverage_cap=20..2", *SHOCK],
    "levels": ["levels", LADDER, "--asset", "COIN", "--steps", "10"],
}


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(arg) for arg in args])


def files(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir())}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_prints_what_its_directory_keeps_and_verifies(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(*SEARCHES[name], "--out", out)
    assert done.exit_code == 0, done.output
    assert done.stdout == (out / "table.txt").read_text(encoding="utf-8")
    assert max(map(len, done.stdout.splitlines())) <= 100
    kept = json.loads((out / "search.json").read_text(encoding="utf-8"))
    assert kept["question"]["search"] == name
    assert list(out.glob("*.csv"))
    assert not (tmp_path / "out.unfinished").exists()
    said = json.loads(run(*SEARCHES[name], "--json").stdout)
    assert said == kept["found"]
    checked = run("verify", out)
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("name", ["sweep", "critical", "triggers", "sample"])
def test_two_workers_write_the_bytes_of_one(name: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(*SEARCHES[name], "--out", one).exit_code == 0
    assert run(*SEARCHES[name], "--out", two, "--workers", "2").exit_code == 0
    assert files(one) == files(two)


def test_an_interrupt_loses_nothing_and_resume_gives_the_same_bytes(tmp_path: Path) -> None:
    command = ["sample", LADDER, "-n", "150", "--traders", "0"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(*command, "--out", whole).exit_code == 0
    process = subprocess.Popen([sys.executable, ROOT / "cli.py", *command, "--out", broken], cwd=tmp_path, stderr=subprocess.DEVNULL)
    ledger = tmp_path / "broken.unfinished" / "tasks.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not ledger.exists() or ledger.read_bytes().count(b"\n") < 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    done = ledger.read_bytes().count(b"\n") - 1
    assert done >= 1
    assert not broken.exists()
    refused = run(*command, "--out", broken)
    assert refused.exit_code == 1
    assert "--resume" in refused.stderr
    other = run("sample", LADDER, "-n", "151", "--traders", "0", "--out", broken, "--resume")
    assert other.exit_code == 1
    assert "question.arguments" in other.stderr
    assert run(*command, "--out", broken, "--resume").exit_code == 0
    assert files(whole) == files(broken)


def test_pictures_are_drawn(tmp_path: Path) -> None:
    for name, file in (("sweep", "curve.svg"), ("triggers", "pairs.png"), ("levels", "map.svg")):
        done = run(*SEARCHES[name], "--picture", tmp_path / file)
        assert done.exit_code == 0, done.output
        assert (tmp_path / file).stat().st_size > 1000


WRONG: list[tuple[list[str], int, str]] = [
    (["sweep", LADDER], 2, "name what moves"),
    (["sweep", LADDER, "--asset", "BTC"], 1, "is no driver of this network"),
    (["sweep", LADDER, "--asset", "COIN", "--to", "much"], 1, "is no change"),
    (["sweep", LADDER, "--driver", "default:Book"], 1, "happens or not"),
    (["critical", LADDER, "--driver", "COIM"], 1, "did you mean 'COIN'"),
    (["critical", LADDER, "--conditions", "x"], 1, "name some of"),
    (["critical", LADDER, "--risk", "none.toml"], 1, "none.toml"),
    (["critical", LADDER, "--given", "BTC=-5%"], 1, "BTC"),
    (["compare", PAIR], 2, "name one policy"),
    (["compare", PAIR, "leverage_cap=zero"], 1, "leverage_cap"),
    (["compare", PAIR, "--prevent", "--shock", "BTC=-1%"], 1, "nothing to prevent"),
    (["levels", LADDER, "--asset", "BTC"], 1, "BTC"),
    (["sample", LADDER, "-n", "0"], 2, "-n"),
    (["sample", LADDER, "--resume"], 1, "--out"),
    (["critical", LADDER, "--scheduler", "nowhere"], 1, "scheduler"),
    (["critical", "no_such_network"], 1, "no_such_network"),
]


@pytest.mark.parametrize(("command", "status", "said"), WRONG)
def test_a_wrong_question_is_one_sentence(command: list[str], status: int, said: str, tmp_path: Path) -> None:
    result: Any = run(*command, *(() if "--resume" in command else ("--out", tmp_path / "out")))
    assert result.exit_code == status
    assert said in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()

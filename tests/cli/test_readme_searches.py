"""README's tables of searches on `oct2025` at full size, against runs of parts of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from contagion.search.trial import Bench
from contagion.shocks import parse_shock
from graphs.catalog import load_network

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_rows_of_critical_shocks_are_those_of_a_fresh_run() -> None:
    done = CliRunner().invoke(cli.main, ["critical", "oct2025", "--driver", "ETH", "--driver", "default:HTX"])
    assert done.exit_code == 0, done.output
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("ETH ")]
    assert row in README


@pytest.mark.slow
def test_the_nearest_pair_is_as_near_as_it_says() -> None:
    bench = Bench.of(load_network("oct2025"))
    said = re.search(r"^ +([\d.]+) +[\d.]+ DOGE (-[\d.]+) % \+ XRP (-[\d.]+) %$", README, re.MULTILINE)
    assert said is not None
    trial = bench.run([parse_shock(f"DOGE={said[2]}%"), parse_shock(f"XRP={said[3]}%")])
    assert not trial.system_wide
    assert trial.severity == pytest.approx(float(said[1]), abs=0.006)

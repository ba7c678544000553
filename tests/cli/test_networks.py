"""Commands on a network alone: list, info, check, build, export."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import cli
from graphs.catalog import list_networks, load_network
from graphs.convert import read_graphml, read_node_link
from graphs.tables import read_network

if TYPE_CHECKING:
    from pathlib import Path

TOYS = [entry["name"] for entry in list_networks() if entry["name"] != "oct2025"]


def contagion(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def said(*words: str | Path) -> Any:  # noqa: ANN401 what JSON holds
    result = contagion(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*words: str | Path) -> str:
    result = contagion(*words)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    return result.stderr


@pytest.fixture
def written(tmp_path: Path) -> Path:
    place = tmp_path / "net"
    assert contagion("build", "two_exchange_stablecoin", "-o", place, "--format", "csv").exit_code == 0
    return place


def test_list_names_every_network_and_scenario() -> None:
    listed = said("list")
    assert {entry["name"] for entry in listed["networks"]} == {"oct2025", *TOYS}
    assert "oct2025" in {entry["scenario"] for entry in listed["scenarios"]}
    printed = contagion("list").stdout
    assert all(name in printed for name in ("oct2025", *TOYS))


@pytest.mark.parametrize("name", TOYS)
def test_info_counts_rows_and_one_side_of_open_interest(name: str) -> None:
    net, found = load_network(name), said("info", name)
    assert found["counts"] == {kind: net.count(kind) for kind in found["counts"]}
    assert sum(found["counts"].values()) == sum(net.count(kind) for kind in net.tables)
    prices = {}
    if net.count("market"):
        rows = net.frame("market").to_dict("records")
        prices = {(row["exchange"], row["asset"]): row["price"] for row in rows if row["instrument"] == "perp"}
    longs = 0.0
    if net.count("margin"):
        for row in net.frame("margin").to_dict("records"):
            longs += max(row["quantity"], 0.0) * prices.get((row["exchange"], row["asset"]), 0.0)
    # books take what no account does, so a side of the accounts is half of both where they do not balance
    assert found["open_interest"] <= longs * (1 + 1e-12)
    assert sum(row["open_interest"] for row in found["exchanges"]) == pytest.approx(found["open_interest"])
    assert sum(row["open_interest"] for row in found["assets"]) == pytest.approx(found["open_interest"])


def test_info_of_the_crisis_has_the_published_open_interest() -> None:
    found = said("info", "oct2025", "--accounts", "1000")
    assert found["open_interest"] == pytest.approx(217e9, rel=0.01)  # CoinDesk Research, before the crash
    by_exchange = {row["exchange"]: row["open_interest"] for row in found["exchanges"]}
    assert by_exchange["Hyperliquid"] == pytest.approx(14e9, rel=0.01)  # the same
    assert found["as_of"].startswith("2025-10-10")
    assert found["sources"]


@pytest.mark.parametrize("name", TOYS)
def test_a_sound_network_passes(name: str) -> None:
    found = said("check", name)
    assert found["sound"]
    assert not found["findings"] + found["in_breach"] + found["failed"]
    assert contagion("check", name).stdout.startswith("sound")


def test_check_lists_every_bad_row_and_fails(written: Path) -> None:
    table = written / "asset.csv"
    table.write_text(table.read_text().replace("100.0", "-5.0"))
    result = contagion("check", written)
    assert result.exit_code == 1
    assert "table asset, row 1, column price: -5.0" in result.stdout
    assert not result.stderr


def test_check_lists_accounts_in_breach_before_any_shock(written: Path) -> None:
    before = said("check", written)
    assert before["sound"]
    table = written / "margin.csv"
    header, first, *rest = table.read_text().splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert float(row["quantity"]) > 0
    row["entry_price"] = "1000000.0"
    table.write_text("\n".join([header, ",".join(row.values()), *rest]) + "\n")
    result = contagion("check", written, "--json")
    assert result.exit_code == 1
    [breach] = [entry for entry in json.loads(result.stdout)["in_breach"] if entry["owner"] == row["owner"]]
    assert breach["exchange"] == row["exchange"]
    assert breach["margin_balance"] <= breach["maintenance"]
    assert f"account of {row['owner']} at {row['exchange']}" in contagion("check", written).stdout


def test_check_adds_a_residual_where_it_is_asked_to(written: Path, tmp_path: Path) -> None:
    table = written / "margin.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *rows[:-1]]) + "\n")
    assert contagion("check", written).exit_code == 1
    place = tmp_path / "balanced"
    result = contagion("check", written, "--add-residual", "-o", place, "--json")
    added = json.loads(result.stdout)["added"]
    assert result.exit_code == 0, result.stdout
    assert added
    assert {row["trader"] for row in added} <= set(read_network(place).node_ids("trader"))
    assert contagion("check", place).exit_code == 0
    assert "added residual@" in contagion("check", written, "--add-residual", "-o", tmp_path / "again").stdout


def test_a_residual_needs_a_directory(written: Path) -> None:
    assert contagion("check", written, "--add-residual").exit_code == 2


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_build_writes_what_reads_back_equal(file_format: str, tmp_path: Path) -> None:
    rows = said("build", "delta_neutral_issuer", "-o", tmp_path / "net", "--format", file_format)
    net = load_network("delta_neutral_issuer")
    assert read_network(tmp_path / "net").equals(net)
    assert {row["table"]: row["rows"] for row in rows} == {kind: net.count(kind) for kind in net.tables}
    assert "is there already" in refused("build", "delta_neutral_issuer", "-o", tmp_path / "net")
    assert contagion("build", "one_book_ladder", "-o", tmp_path / "net", "--overwrite").exit_code == 0


def test_build_takes_size_and_seed(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        contagion("build", "oct2025", "--accounts", "1000", "--seed", seed, "-o", tmp_path / name)
    first, same, other = (read_network(tmp_path / name) for name in "abc")
    assert first.equals(same)
    assert not first.equals(other)


def test_export_of_a_network_is_whole_where_the_format_can_hold_it(tmp_path: Path) -> None:
    net = load_network("two_exchange_stablecoin")
    for suffix, read in ((".graphml", read_graphml), (".json", read_node_link)):
        assert contagion("export", "two_exchange_stablecoin", "-o", tmp_path / f"net{suffix}").exit_code == 0
        assert read(tmp_path / f"net{suffix}").count("margin") == net.count("margin")
    for suffix in (".gexf", ".gexf.gz"):
        assert contagion("export", "two_exchange_stablecoin", "-o", tmp_path / f"net{suffix}").exit_code == 0
        assert (tmp_path / f"net{suffix}").stat().st_size > 0


@pytest.mark.parametrize("command", ["info", "check", "export", "build"])
def test_what_is_no_network_is_told_in_a_sentence(command: str, tmp_path: Path) -> None:
    out = ["-o", str(tmp_path / "x.gexf")] if command in {"export", "build"} else []
    assert "did you mean 'one_book_ladder'" in refused(command, "one_book_lader", *out)
    (tmp_path / "file.txt").write_text("no network")
    assert "file.txt" in refused(command, tmp_path / "file.txt", *out)
    (tmp_path / "empty").mkdir()
    assert "network.toml" in refused(command, tmp_path / "empty", *out)
    assert not (tmp_path / "x.gexf").exists()


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_broken_table_is_told_with_file_row_and_column(command: str, written: Path) -> None:
    table = written / "asset.csv"
    table.write_text(table.read_text().replace("100.0", "much"))
    message = refused(command, written)
    assert "asset.csv, row 1, column price" in message
    assert "much" in message


def test_options_that_a_network_does_not_have_are_told(written: Path) -> None:
    assert "accounts" in refused("info", "one_book_ladder", "--accounts", "10")
    assert "seed" in refused("info", written, "--seed", "1")
    assert "from 1,000" in refused("info", "oct2025", "--accounts", "3")

"""The command model, from end to end: the list, files of each kind, a network, and what is refused in one sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import cli
from contagion.models.catalog import cards

if TYPE_CHECKING:
    from pathlib import Path

# A textbook chain: A owes B 10, B owes C 8; A has only 6 to pay with, so B gets 6 and, with 1 of its own, pays 7.
EDGES = "debtor,creditor,amount\nA,B,10\nB,C,8\n"
MATRIX = "owes,C,A,B\nA,0,,10\nB,8,,\nC,,,\n"
BANKS = "bank,external_assets\nA,6\nB,1\nC,0\n"


def model(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, ["model", *(str(word) for word in words)])


def said(*words: str | Path) -> Any:  # noqa: ANN401 what JSON holds
    result = model(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(*words: str | Path, status: int = 1) -> str:
    result = model(*words)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    return result.stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in (("edges.csv", EDGES), ("matrix.csv", MATRIX), ("banks.csv", BANKS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_list_has_every_model_with_its_equation_and_source() -> None:
    text = model("--list").stdout
    assert max(map(len, text.splitlines())) <= 100
    words = " ".join(text.split())
    for card in cards().values():
        assert f"{card.name} {card.title}" in words
        assert " ".join(card.equation.split()) in words
        assert " ".join(card.source.split()) in words
    assert [row["name"] for row in said("--list")] == list(cards())


def test_the_list_says_what_a_vector_and_an_option_take() -> None:
    rows = {row["name"]: row for row in said("--list")}
    assert rows["clearing"]["vectors"]["external_assets"].endswith("(NODES; needed)")
    assert rows["clearing"]["vectors"]["external_liabilities"].endswith("(NODES; 0 unless given)")
    assert rows["debtrank"]["options"]["variant"].endswith("(linear, or single_hit, or nonlinear)")
    assert rows["overlap"]["files"] == "HOLDINGS [ASSETS]"


@pytest.mark.parametrize("name", ["edges.csv", "matrix.csv"])
def test_an_edge_list_and_a_matrix_in_any_order_clear_alike(name: str, place: Path) -> None:
    done = said("clearing", place / name, place / "banks.csv")
    assert {row["node"]: row["payments"] for row in done["rows"]} == pytest.approx({"A": 6.0, "B": 7.0, "C": 0.0})
    assert done["defaults"] == 2
    assert done["source"].startswith("Eisenberg and Noe 2001")


def test_options_are_parameters_or_vectors(place: Path) -> None:
    costly = said("clearing", place / "edges.csv", place / "banks.csv", "--option", "alpha=0.5", "--option", "external_assets=B=3")
    assert costly["options"]["alpha"] == 0.5
    assert {row["node"]: row["payments"] for row in costly["rows"]} == pytest.approx({"A": 3.0, "B": 0.5 * 3 + 3, "C": 0.0})


def test_a_network_is_read_by_its_name_and_from_its_directory(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli.main, ["build", "interbank_ring", "-o", str(tmp_path / "ring")]).exit_code == 0
    by_name = said("debtrank", "interbank_ring", "--option", "shock=each")
    by_path = said("debtrank", tmp_path / "ring", "--option", "shock=each")
    assert by_name["rows"] == by_path["rows"]
    # Each bank holds 10 of equity against a claim of 100: the default of one takes all others with it.
    assert [(row["defaults"], row["value"]) for row in by_name["rows"]] == [(4, 0.75)] * 4
    (credit,) = (tmp_path / "ring").glob("credit.*")
    assert said("debtrank", credit, "--option", "equity=10", "--option", "shock=each")["rows"] == by_name["rows"]


def test_what_is_printed_has_the_figures_then_the_rows(place: Path) -> None:
    result = model("clearing", place / "edges.csv", place / "banks.csv")
    lines = result.stdout.splitlines()
    assert [line.split() for line in lines if line.startswith(("defaults", "paid"))] == [["defaults", "2"], ["paid", "13"]]
    head, *rows = [line.split() for line in lines[lines.index("") + 1 :]]
    assert head == ["node", "payments", "equity", "defaulted"]
    assert [(row[0], row[1], row[3]) for row in rows] == [("A", "6", "yes"), ("B", "7", "yes"), ("C", "0", "no")]
    assert result.stderr == ""


def test_without_a_shock_it_is_said_that_nothing_happens(place: Path) -> None:
    quiet = model("debtrank", place / "edges.csv", "--option", "equity=5")
    assert quiet.exit_code == 0
    assert "shock is zero" in quiet.stderr
    assert model("debtrank", place / "edges.csv", "--option", "equity=5", "--option", "shock=A=1").stderr == ""


def test_what_cannot_be_read_is_one_sentence(place: Path) -> None:
    edges, banks = place / "edges.csv", place / "banks.csv"
    bad = place / "bad.csv"
    bad.write_text(EDGES.replace("8", "eight"), encoding="utf-8")
    alike = place / "alike.csv"
    alike.write_text(BANKS.replace("external_assets", "external_asset"), encoding="utf-8")
    for words, expected in (
        (("clearnig", edges, banks), ["no model is called clearnig", "did you mean clearing?"]),
        (("clearing",), ["LIABILITIES NODES", "no input is given"]),
        (("clearing", edges), ["external_assets", "is missing"]),
        (("clearing", edges, banks, "--option", "gamma=1"), ["no option gamma", "alpha"]),
        (("clearing", bad, banks), ["bad.csv, row 2, column amount: 'eight' is no number"]),
        (("clearing", edges, alike), ["no column external_asset;", "did you mean external_assets?"]),
        (("clearing", place / "nothing.csv"), ["nothing.csv: is not there"]),
        (("clearing", "interbank_rng"), ["interbank_ring"]),
        (("overlap", edges), ["lists debtor and creditor", "reads holdings"]),
        (("maximum_entropy", "interbank_ring"), ["is not there"]),
    ):
        text = refused(*words)
        assert text.startswith("Error: ")
        assert text.count("\n") == 1
        assert all(part in text for part in expected), text


def test_a_wrong_command_line_is_status_two(place: Path) -> None:
    assert "--list" in refused(status=2)
    assert "--list" in refused("clearing", "--list", status=2)
    assert "NAME=VALUE" in refused("clearing", place / "edges.csv", "--option", "alpha", status=2)


def test_a_network_that_makes_no_sense_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "network.toml").write_text('format = 1\nname = "torn"\n', encoding="utf-8")
    (tmp_path / "trader.csv").write_text("id,cash\nA,5\n", encoding="utf-8")
    (tmp_path / "credit.csv").write_text("debtor,creditor,amount,seniority\nA,Nobody,5,1\n", encoding="utf-8")
    assert "column creditor: 'Nobody'" in refused("clearing", tmp_path)

"""The catalogue: every name builds a sound network, every directory is read, and a wrong name says what to do."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.catalog import list_networks, load_network
from graphs.checks import check_network
from graphs.errors import GraphError, ReadError, UnknownNetworkError
from graphs.generate import random_network
from graphs.tables import write_network
from graphs.toys import delta_neutral_issuer, interbank_ring, one_book_ladder, two_exchange_stablecoin

NAMES = [entry["name"] for entry in list_networks()]
SMALL = {"oct2025": {"accounts": 1_000}}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_builds_a_sound_network_of_that_name(name: str) -> None:
    net = load_network(name, **SMALL.get(name, {}))
    assert net.name == name
    assert net.sources
    assert check_network(net) == []


def test_an_entry_says_what_it_is_and_names_the_options_it_takes() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 5
    assert all(entry["description"] for entry in list_networks())
    options = {entry["name"]: entry["options"].split(", ") for entry in list_networks()}
    assert options["oct2025"][:2] == ["accounts", "seed"]
    for build in (one_book_ladder, two_exchange_stablecoin, delta_neutral_issuer, interbank_ring):
        defaults = {name: option.default for name, option in inspect.signature(build).parameters.items()}
        assert options[build.__name__] == list(defaults)
        assert load_network(build.__name__, **defaults).equals(build())


def test_options_reach_the_builder() -> None:
    assert load_network("interbank_ring", n=7).equals(interbank_ring(n=7))
    assert load_network("oct2025", accounts=1_000, seed=1).equals(load_network("oct2025", accounts=1_000, seed=1))
    assert not load_network("oct2025", accounts=1_000, seed=1).equals(load_network("oct2025", accounts=1_000, seed=2))


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_directory_is_read(form: str, *, as_text: bool, tmp_path: Path) -> None:
    net = random_network(seed=5)
    write_network(net, tmp_path / "mine", format=form)  # type: ignore[arg-type]
    path = tmp_path / "mine"
    assert load_network(str(path) if as_text else path).equals(net)


def test_a_shipped_name_comes_before_a_directory_and_a_path_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = one_book_ladder(kappa=1.0)
    write_network(mine, Path("one_book_ladder"))
    assert load_network("one_book_ladder").equals(one_book_ladder())
    for path in ("./one_book_ladder", Path("one_book_ladder")):
        assert load_network(path).equals(mine)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("oct205", "did you mean 'oct2025'?"),
        ("Interbank-Ring", "did you mean 'interbank_ring'?"),
        ("nothing/like/it", "use one of oct2025, .*, or a directory that holds network.toml"),
        ("", "use one of oct2025"),
    ],
)
def test_an_unknown_name_says_what_there_is(name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNetworkError, match=words) as error:
        load_network(name)
    assert repr(name) in str(error.value)


@given(name=st.text(min_size=1).filter(lambda text: text not in NAMES and "\0" not in text))
def test_any_text_is_a_directory_or_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(GraphError) as error:
        load_network(f"no-such-place/{name}")
    assert isinstance(error.value, UnknownNetworkError)


def test_options_that_do_not_fit_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(
        GraphError, match=re.escape("has no option 'm', use n, amount, cash, external_debt; no option 'cahs', did you mean 'cash'?")
    ):
        load_network("interbank_ring", m=3, cahs=1.0)
    write_network(interbank_ring(), tmp_path / "mine")
    with pytest.raises(GraphError, match="is a directory and has no option 'n'; leave it out"):
        load_network(tmp_path / "mine", n=3)


def test_a_directory_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"network\.toml"):
        load_network(tmp_path)

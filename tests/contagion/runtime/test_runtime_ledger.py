"""The ledger keeps what is finished, whatever ends the program, and refuses what it did not write."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion.errors import RunError
from contagion.runtime.ledger import Ledger, canonical, task_key

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [task_key("chores:odd", "0" * 64, "{}", f'{{"n":{n}}}') for n in range(5)]
VERSIONS = {"numpy": "2.4.0", "python": "3.11.7"}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "tasks.jsonl"
    with Ledger(path, versions=VERSIONS) as ledger:
        for n, key in enumerate(KEYS):
            ledger.record(key, f'{{"loss":{n / 3!r},"nan":NaN}}')
    return path


def kept(path: Path) -> list[str | None]:
    with Ledger(path, versions=VERSIONS) as ledger:
        return [ledger.result(key) for key in KEYS]


def test_what_is_recorded_comes_back_letter_for_letter(written: Path) -> None:
    assert kept(written) == [f'{{"loss":{n / 3!r},"nan":NaN}}' for n in range(5)]
    with Ledger(written, versions=VERSIONS) as ledger:
        assert len(ledger) == 5
        assert ledger.result("f" * 64) is None


def test_a_file_cut_anywhere_loses_at_most_the_line_that_is_cut(written: Path) -> None:
    whole, data = kept(written), written.read_bytes()
    for cut in range(len(data)):
        written.write_bytes(data[:cut])
        complete = max(0, data[:cut].count(b"\n") - 1)
        assert kept(written) == [*whole[:complete], *[None] * (5 - complete)], cut
        with Ledger(written, versions=VERSIONS) as ledger:
            for key, result in zip(KEYS, whole, strict=True):
                ledger.record(key, str(result))
        assert written.read_bytes() == data


def test_a_task_that_is_kept_is_not_kept_twice(written: Path) -> None:
    before = written.read_bytes()
    with Ledger(written, versions=VERSIONS) as ledger:
        ledger.record(KEYS[0], '{"loss":9}')
    assert written.read_bytes() == before


def test_each_line_is_on_disk_as_soon_as_it_is_recorded(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a") as ledger:
        ledger.record(KEYS[0], "{}")
        assert (tmp_path / "a").read_text().count("\n") == 2


def test_threads_may_share_a_ledger(tmp_path: Path) -> None:
    keys = [task_key("w", "", "{}", str(n)) for n in range(2000)]
    with Ledger(tmp_path / "a") as ledger, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: ledger.record(key, json.dumps({"key": key, "long": "x" * 500})), [*keys, *keys]))
    with Ledger(tmp_path / "a") as ledger:
        assert len(ledger) == 2000
        assert all(json.loads(str(ledger.result(key)))["key"] == key for key in keys)


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (1, "time,price", "line 1: is no JSON"),
        (1, '{"some":"JSON"}', "line 1: is no first line of a ledger"),
        (1, '{"ledger":2,"versions":{}}', "line 1: is no first line of a ledger"),
        (1, "[1]", "line 1: is no first line of a ledger"),
        (3, '{"key":"00", garbage', "line 3: is no JSON"),
        (3, "\x00\x00", "line 3: is no JSON"),
        (4, '{"some":"JSON"}', "line 4: holds no finished task"),
        (4, '{"key":"00","result":{}}', "line 4: holds no finished task"),
        (2, "", "line 2: is no JSON"),
    ],
)
def test_what_is_no_ledger_is_refused_by_file_and_line(written: Path, line: int, text: str, says: str) -> None:
    lines = written.read_text().split("\n")
    lines[line - 1] = text
    written.write_text("\n".join(lines))
    spoiled = written.read_bytes()
    with pytest.raises(RunError, match=says) as caught:
        kept(written)
    assert str(caught.value).startswith(f"{written}, line {line}: ")
    assert "\n" not in str(caught.value)
    assert written.read_bytes() == spoiled  # nothing of a foreign file is touched


def test_a_foreign_file_without_a_line_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"precious")
    with pytest.raises(RunError, match="line 1"):
        Ledger(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"precious"


def test_other_versions_are_refused_by_name(written: Path) -> None:
    with pytest.raises(RunError, match=r"other versions \(numpy 2\.4\.0 then, 2\.5\.0 now; scipy unknown then, 1\.17 now\)"):
        Ledger(written, versions=VERSIONS | {"numpy": "2.5.0", "scipy": "1.17"})


def test_a_place_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot be opened \(Is a directory\)"):
        Ledger(tmp_path)


def test_the_key_tells_apart_what_is_asked() -> None:
    asked = ("w:f", "0" * 64, '{"a":1}', '{"b":2}')
    others = [(*asked[:place], change, *asked[place + 1 :]) for place, change in enumerate(("w:g", "1" * 64, '{"a":2}', '{"b":3}'))]
    assert len({task_key(*asked), *(task_key(*other) for other in others)}) == 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_canonical_text_is_one_line_exact_and_blind_to_the_order_of_keys(value: object) -> None:
    def turned(inner: object) -> object:
        if isinstance(inner, dict):
            return {key: turned(inner[key]) for key in reversed(inner)}
        return [turned(one) for one in inner] if isinstance(inner, list) else inner

    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(turned(value)) == text
    assert text.isascii()
    assert "\n" not in text

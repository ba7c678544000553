"""The house is in order: nothing of one machine, nothing left open, no file of two ideas, and dependencies that are declared and locked."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 400
LONG: dict[str, str] = {}  # file → why it is one idea all the same
LARGEST = 1_000_000  # bytes
PYTHONS = ("3.11", "3.12", "3.13")

# Each pattern is written so that it does not match this file.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.])/(?:work|root|home|Users|tmp|opt)/\w",
    "a host of a package registry": r"(?:pypi|npmjs|debian|crates)\.(?:org|com|io)\b|python[h]osted|--(?:extra-)?index-[u]rl",
    "something left open": r"\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K|TB[D])\b|\bNotImplemented[E]rror|raise NotImplement[e]d",
    "a note that the reader does not have": r"\b(?:model|design|speed|stack)\.m[d]\b|\bshare[d]/",
    "an error that is swallowed": r"except(?: \w*Exception)?(?: as \w+)?:\s*(?:pass|continue|\.\.\.)\s*$",
    "a debugger": r"\bbreakpoint\(\)|\bpdb\.set_[t]race",
}


def _text(path: Path) -> str | None:
    """Text of a file, None for one that holds none."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str, source_files: list[Path]) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = []
    for path in source_files:
        name = path.relative_to(ROOT).as_posix()
        text = _text(path)
        if text is not None:
            found += [f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0].strip()}" for match in pattern.finditer(text)]
    assert not found, f"{what}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a path of one machine", "see /" + "root/x"),
        ("a host of a package registry", "pypi" + ".org"),
        ("something left open", "# TO" + "DO later"),
        ("a note that the reader does not have", "as in design" + ".md"),
        ("an error that is swallowed", "    except " + "ValueException as error:\n        pass\n"),
        ("a debugger", "breakpoint" + "()"),
    ],
)
def test_the_patterns_bite(what: str, text: str) -> None:
    assert re.search(FORBIDDEN[what], text, re.MULTILINE)
    assert FORBIDDEN.keys() >= {what}


def test_no_module_is_long_without_a_reason(source_files: list[Path]) -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len((_text(path) or "").splitlines()) for path in source_files if path.suffix == ".py"}
    long = {name: length for name, length in lengths.items() if length > MOST_LINES}
    assert long.keys() == LONG.keys(), f"over {MOST_LINES} lines: {long}; listed: {sorted(LONG)}"


def test_every_text_file_is_tidy(source_files: list[Path]) -> None:
    untidy = []
    for path in source_files:
        text = _text(path)
        if text and path.name != "LICENSE":
            bad = "\r" in text or not text.endswith("\n") or text.endswith("\n\n") or re.search(r"[ \t]+$", text, re.MULTILINE)
            untidy += [path.relative_to(ROOT).as_posix()] if bad else []
    assert not untidy, f"trailing space, carriage return, or no single newline at the end: {untidy}"


def test_no_file_is_large(source_files: list[Path]) -> None:
    large = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in source_files if path.stat().st_size > LARGEST}
    assert not large


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _third_party(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: Sequence[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        yield from {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"cli", "contagion", "graphs"}


def test_every_library_that_is_imported_is_declared(source_files: list[Path]) -> None:
    project = _project()
    extras = {name: extra for name, extra in project["optional-dependencies"].items() if name != "dev"}
    declared = {Requirement(line).name for line in [*project["dependencies"], *(line for extra in extras.values() for line in extra)]}
    modules = {path.relative_to(ROOT): path for path in source_files if path.suffix == ".py"}
    shipped = {name: path for name, path in modules.items() if name.parts[0] in {"cli.py", "contagion", "graphs"}}
    missing = {f"{name}: {library}" for name, path in shipped.items() for library in _third_party(path) if library not in declared}
    assert not missing


def _pins() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix("\\").strip()) for line in lines if re.match(r"\w", line)]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_meets_every_declared_range(python: str) -> None:
    project = _project()
    environment = {"python_version": python, "python_full_version": f"{python}.0"}  # the rest is this machine's
    pinned = {}
    for pin in _pins():
        if pin.marker is None or pin.marker.evaluate(environment):
            pinned[pin.name] = str(pin.specifier).removeprefix("==")
    for line in [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]:
        wanted = Requirement(line)
        assert wanted.name in pinned, f"{line} is not in requirements.lock"
        assert wanted.specifier.contains(pinned[wanted.name]), f"{line}, but requirements.lock has {pinned[wanted.name]}"


def test_every_pin_has_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[\w-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(_pins())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text

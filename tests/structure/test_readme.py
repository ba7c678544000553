"""Every command and every line of Python in README.md runs.

All blocks run in their order in one temporary directory, so a walk-through can use what an earlier one wrote:

- ```bash: run by bash as it stands; it must end well.
- ```console: the lines after `$ ` are run, and what each prints on stdout must match the lines below it (`...` stands for anything).
- ```python: run in one namespace for the whole file; a block of `>>>` lines is a doctest.
- A block after `<!-- ci: NAME -->` makes environments: `.ci/run` runs it whole, here only its `contagion` commands run.

Blocks in another language (toml, text) are read, not run.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    import pytest

    Shell = Callable[[str, Path], subprocess.CompletedProcess[str]]

README = Path(__file__).resolve().parents[2] / "README.md"
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=ticks)[ ]*$", re.MULTILINE | re.DOTALL)
MARKER = re.compile(r"<!-- ci: (?P<name>[\w-]+) -->\s*\Z")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
RUNNABLE = {"bash", "console", "python"}
ALIASES = {"sh", "shell", "zsh", "py", "pycon", "python3", ""}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its text, and the name by which `.ci/run` knows it."""

    line: int
    language: str
    body: str
    ci: str


def blocks(text: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(text):
        marker = MARKER.search(text, 0, match.start())
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(line, match["language"], match["body"], marker["name"] if marker else ""))
    return found


BLOCKS = blocks(README.read_text(encoding="utf-8"))


def _session(body: str) -> Iterator[tuple[str, str]]:
    """Command and expected output, one pair for each `$ ` of a console block; a trailing backslash continues a command."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        length = next((n for n, line in enumerate(lines, 1) if not line.rstrip().endswith("\\")), len(lines))
        yield "".join(lines[:length]), "".join(lines[length:])


def _run_commands(block: Block, shell: Shell, cwd: Path) -> str:
    """What went wrong in a block for the shell; empty when all is well."""
    if block.ci:
        steps = re.split(r"&&|\n", block.body.replace("\\\n", " "))
        pairs = [(step.strip().removeprefix(".venv/bin/"), "") for step in steps if step.strip().startswith(".venv/bin/contagion ")]
    else:
        pairs = list(_session(block.body)) if block.language == "console" else [(block.body, "")]
    if not pairs and not block.ci:
        return "no line begins with `$ `"
    for command, expected in pairs:
        done = shell(command, cwd)
        if done.returncode:
            return f"{command.strip()}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
        if expected and not doctest.OutputChecker().check_output(expected, done.stdout, FLAGS):
            return f"{command.strip()}\nprinted\n{done.stdout}instead of\n{expected}"
    return ""


def _run_python(block: Block, namespace: dict[str, Any]) -> str:
    """What went wrong in a block of Python; empty when all is well. An exception of a plain block is left to pytest."""
    report = io.StringIO()
    if ">>> " not in block.body:
        with contextlib.redirect_stdout(report):
            exec(compile("\n" * block.line + block.body, str(README), "exec"), namespace)  # noqa: S102 the README is ours
        return ""
    test = doctest.DocTestParser().get_doctest(block.body, namespace, "README", str(README), block.line)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    failed = runner.run(test, out=report.write, clear_globs=False).failed
    namespace.update(test.globs)
    return report.getvalue() if failed else ""


def test_every_block_of_the_readme_runs(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__readme__"}
    for block in BLOCKS:
        if block.language in RUNNABLE:
            wrong = _run_python(block, namespace) if block.language == "python" else _run_commands(block, shell, tmp_path)
            assert not wrong, f"README.md line {block.line}: {wrong}"


def test_every_block_says_its_language() -> None:
    unclear = [f"line {block.line}: ```{block.language}" for block in BLOCKS if block.language in ALIASES]
    assert not unclear, f"write bash, console, python, or the language of a file: {unclear}"


def test_the_two_commands_of_a_fresh_machine_are_marked() -> None:
    marked = {block.ci: block for block in BLOCKS if block.ci}
    assert set(marked) == {"setup-and-run", "setup-and-test"}
    for block in marked.values():
        assert block.language == "bash"
        assert len(block.body.replace("\\\n", " ").strip().splitlines()) == 1, f"line {block.line}: one command line, joined by &&"
    assert ".venv/bin/contagion run " in marked["setup-and-run"].body
    assert "-m pytest" in marked["setup-and-test"].body


def test_a_block_that_fails_is_told(shell: Shell, tmp_path: Path) -> None:
    shells = "```bash\ntrue\nfalse\n```\n```console\n$ echo a\nb\n```\n```console\n$ echo a \\\n  b\na ...\n```\n"
    bad, other, good, sums = blocks(f"{shells}```python\n>>> 1 + 1\n3\n```\n")
    assert [block.line for block in (bad, other, good, sums)] == [1, 5, 9, 14]
    assert "ended with 1" in _run_commands(bad, shell, tmp_path)
    assert "instead of" in _run_commands(other, shell, tmp_path)
    assert not _run_commands(good, shell, tmp_path)
    assert "Expected" in _run_python(sums, {})

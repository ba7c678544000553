"""The command line tells its own story: the README names every command, and every `--help` has an example that runs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    Shell = Callable[[str, Path], subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"graphs", "matplotlib", "networkx", "numba", "numpy", "pandas", "pyarrow", "pydantic", "rich", "scipy"}
COMMANDS = {name: command for name, command in cli.main.commands.items() if isinstance(command, cli.Command)}


def test_every_command_carries_examples() -> None:
    assert COMMANDS.keys() == cli.main.commands.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_the_command(name: str) -> None:
    assert re.search(rf"\bcontagion {name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_says_what_and_how(name: str) -> None:
    printed = CliRunner().invoke(cli.main, [name, "--help"]).output
    assert COMMANDS[name].examples
    for example in COMMANDS[name].examples:
        assert re.search(rf"^contagion {name}\b", example), f"an example of another command: {example}"
        assert f"\n  {example}\n" in printed
    for parameter in COMMANDS[name].params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{name} {parameter.opts} has no help"


def test_the_examples_run_in_the_order_of_the_commands(shell: Shell, tmp_path: Path) -> None:
    for command in (cli.main, *COMMANDS.values()):
        for example in command.examples:
            done = shell(example, tmp_path)
            assert done.returncode == 0, f"{example}\n{done.stdout}{done.stderr}"
            if "--json" in example:
                json.loads(done.stdout)


def test_the_overview_lists_every_command_and_shows_an_example(shell: Shell, tmp_path: Path) -> None:
    printed = shell("contagion --help", tmp_path).stdout
    assert cli.main.examples
    for example in cli.main.examples:
        assert example.startswith("contagion ")
        assert f"\n  {example}\n" in printed
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name}\b +\w", printed, re.MULTILINE), f"{command.name} has no line of its own"


def test_the_overview_loads_no_heavy_library() -> None:
    code = "import sys\nfrom cli import main\ntry:\n    main(['--help'])\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert not {name.split(".")[0] for name in loaded} & HEAVY
    ours = {name for name in loaded if name.startswith("contagion.")}
    assert all(name.startswith("contagion.commands") for name in ours), f"loads {ours}"


def test_no_command_catches_errors_itself() -> None:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "contagion" / "commands").glob("*.py"))]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    commands = [node for node in functions if any(ast.unparse(decorator).startswith("command(") for decorator in node.decorator_list)]
    assert len(commands) == len(COMMANDS)
    assert not [node.name for node in commands if any(isinstance(inner, ast.Try) for inner in ast.walk(node))]


def _failing_with(error: Exception) -> cli.Commands:
    def fail() -> None:
        raise error

    return cli.Commands("contagion", commands={"fail": cli.Command("fail", callback=fail, examples=())}, examples=())


def test_an_error_a_user_can_mend_is_one_sentence_and_status_1() -> None:
    from contagion.errors import ContagionError
    from graphs.errors import GraphError

    for error in (GraphError("a table is empty"), ContagionError("no such node"), FileNotFoundError(2, "No such file", "x.csv")):
        result = CliRunner().invoke(_failing_with(error), ["fail"])
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1


def test_a_fault_of_the_program_is_not_hidden() -> None:
    result = CliRunner().invoke(_failing_with(ZeroDivisionError("a fault")), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_wrong_command_line_is_status_2() -> None:
    for line in (["no-such-command"], ["list", "--no-such-option"]):
        assert CliRunner().invoke(cli.main, line).exit_code == 2


def test_the_version_warns_of_another_owner_of_our_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"contagion": [cli.DISTRIBUTION], "graphs": ["graphs-of-another", cli.DISTRIBUTION]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    result = CliRunner().invoke(cli.main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("contagion-graph ")
    assert "graphs-of-another" in result.stderr
    assert result.stderr.count("\n") == 1

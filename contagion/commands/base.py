"""What all commands share: the form of a command, its common options, and how results, notes and errors are printed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphs.network import Network


class Command(click.Command):
    """A command whose help ends in examples; a test runs them, in the order in which the commands are declared."""

    def __init__(self, *args: Any, examples: Sequence[str], **kwargs: Any) -> None:  # noqa: ANN401 handed on to click
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Commands(Command, click.Group):
    """The group of all commands, and the one place where an error that a user can mend becomes a sentence and exit status 1."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Name the commands in the order in which they are declared, which is that of the work."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 click's signature
        """Run the command that was asked for."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            if stop.args:
                note(str(stop))
            raise
        except BrokenPipeError:
            raise  # click ends quietly when the reader of a pipe has had enough
        except Exception as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error


def _sentence(error: Exception) -> str | None:
    """What to tell of an error that a user can mend; None for any other, which is a fault of this program."""
    from contagion.errors import ContagionError
    from graphs.errors import GraphError

    if isinstance(error, (ContagionError, GraphError)):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror or error}"
    return None


def command(name: str | None = None, *, examples: Sequence[str]) -> Callable[[Callable[..., None]], Command]:
    """Declare a command, with the examples that its help shows."""
    return click.command(name, cls=Command, examples=examples)


def show(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows as a table with numbers flush right."""
    if not rows:
        return
    names = list(rows[0])
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(row[name], int | float) for row in rows) for name in names]
    for line in cells:
        padded = (cell.rjust(width) if flush else cell.ljust(width) for cell, width, flush in zip(line, widths, right, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_json(value: object) -> None:
    """Print a document as JSON."""
    from contagion.report.summary import to_json

    click.echo(to_json(value))


def note(text: str) -> None:
    """Say something that is no result, on stderr."""
    click.echo(text, err=True)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what an earlier command wrote there.")
network_argument = click.argument("network", metavar="NET")


def size_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of the networks that are built to size."""
    seed = click.option("--seed", type=int, help="Seed of a shipped network that draws its accounts.")
    accounts = click.option("--accounts", type=int, help="Client accounts of a shipped network that is built to size.")
    return accounts(seed(command))


def load(network: str, accounts: int | None, seed: int | None) -> Network:
    """Load a shipped network, built to size, or a directory of tables."""
    from contagion.job import full_options
    from graphs.catalog import load_network

    return load_network(network, **full_options(network, {"accounts": accounts, "seed": seed}))

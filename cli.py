"""The command `contagion`: declarations only. A command's body is one call into the packages and one print.

Results go to stdout, notes and progress to stderr. Exit status: 0 done, 1 the input or the run failed (one plain sentence),
2 the command line itself was wrong. Nothing but click is imported before a command runs, so that `--help` is instant.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DISTRIBUTION: Final = "contagion-graph"
PACKAGES: Final = ("contagion", "graphs")


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


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 click's signature
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    try:
        installed = version(DISTRIBUTION)
    except PackageNotFoundError:
        installed = "(not installed)"
    click.echo(f"{DISTRIBUTION} {installed}")
    owners = packages_distributions()
    for package in PACKAGES:
        for other in sorted({*owners.get(package, ())} - {DISTRIBUTION}):
            click.echo(f"warning: the distribution {other} also installs a package named {package}; uninstall one of the two", err=True)
    ctx.exit()


def _show(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Print rows as JSON, or as a table with numbers flush right."""
    if as_json:
        import json

        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        return
    names = list(rows[0])
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(row[name], int | float) for row in rows) for name in names]
    for line in cells:
        padded = (cell.rjust(width) if flush else cell.ljust(width) for cell, width, flush in zip(line, widths, right, strict=True))
        click.echo("  ".join(padded).rstrip())


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, examples=["contagion list"])
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version and exit.")
def main() -> None:
    """Ask what a shock does to a network of traders, assets, stablecoins and exchanges."""


@main.command("list", examples=["contagion list", "contagion list --json"])
@json_option
def list_(*, as_json: bool) -> None:
    """List the networks that ship with this program."""
    from graphs.catalog import list_networks

    _show(list_networks(), as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())

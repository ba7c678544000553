"""The command `contagion`: it puts the families of commands together, and says its version.

Results go to stdout, notes and progress to stderr. Exit status: 0 done, 1 the input or the run failed (one plain sentence),
2 the command line itself was wrong. Nothing but click is imported before a command runs, so that `--help` is instant.
"""

from __future__ import annotations

import sys
from typing import Final

import click

from contagion.commands import models, networks, runs, searches
from contagion.commands.base import Command, Commands

__all__ = ["Command", "Commands", "main"]

DISTRIBUTION: Final = "contagion-graph"
PACKAGES: Final = ("contagion", "graphs")


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


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=["contagion run oct2025 --accounts 1000 --no-half-step"],
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version and exit.")
def main() -> None:
    """Ask what a shock does to a network of traders, assets, stablecoins and exchanges.

    NET is a network that is shipped, see `contagion list`, or a directory of tables.
    """


for declared in (
    networks.list_,
    networks.info,
    networks.check,
    networks.build,
    runs.run,
    searches.sweep,
    searches.critical,
    searches.triggers,
    searches.reverse,
    searches.sample,
    searches.rank,
    searches.compare,
    searches.levels,
    models.model,
    runs.export,
    runs.verify,
):
    main.add_command(declared)


if __name__ == "__main__":
    sys.exit(main())

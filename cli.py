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
    from collections.abc import Callable, Mapping, Sequence

    from contagion.job import Job
    from graphs.network import Network

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


def _show(rows: Sequence[Mapping[str, object]]) -> None:
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


def _print_json(value: object) -> None:
    from contagion.report.summary import to_json

    click.echo(to_json(value))


def _note(text: str) -> None:
    click.echo(text, err=True)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what an earlier command wrote there.")
network_argument = click.argument("network", metavar="NET")


def _size_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of the networks that are built to size."""
    seed = click.option("--seed", type=int, help="Seed of a shipped network that draws its accounts.")
    accounts = click.option("--accounts", type=int, help="Client accounts of a shipped network that is built to size.")
    return accounts(seed(command))


def _load(network: str, accounts: int | None, seed: int | None) -> Network:
    from contagion.job import full_options
    from graphs.catalog import load_network

    return load_network(network, **full_options(network, {"accounts": accounts, "seed": seed}))


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


@main.command("list", examples=["contagion list", "contagion list --json"])
@json_option
def list_(*, as_json: bool) -> None:
    """List the networks and the scenarios that are shipped."""
    from contagion.scenario import list_scenarios, load_scenario
    from graphs.catalog import list_networks

    networks = list_networks()
    scenarios = [{"scenario": name, "description": load_scenario(name).description} for name in list_scenarios()]
    if as_json:
        _print_json({"networks": networks, "scenarios": scenarios})
        return
    _show([{"network": entry["name"], "description": entry["description"]} for entry in networks])
    click.echo()
    _show(scenarios)


@main.command(examples=["contagion info one_book_ladder", "contagion info oct2025 --accounts 1000 --json"])
@network_argument
@_size_options
@json_option
def info(network: str, *, accounts: int | None, seed: int | None, as_json: bool) -> None:
    """Say what is in a network: nodes and edges by kind, open interest by exchange and coin, sources."""
    from contagion.report.overview import lay_out_overview, overview

    said = overview(_load(network, accounts, seed))
    if as_json:
        _print_json(said)
    else:
        lay_out_overview(said).show()


@main.command(examples=["contagion check one_book_ladder", "contagion check oct2025 --accounts 1000 --json"])
@network_argument
@_size_options
@click.option("--add-residual", is_flag=True, help="Add traders that take the missing side of open interest, and say how much.")
@click.option("-o", "--out", type=click.Path(), help="Directory for the network with the traders added.")
@overwrite_option
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    network: str,
    *,
    accounts: int | None,
    seed: int | None,
    add_residual: bool,
    out: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find what is wrong with a network, row by row, and who would act in it before any shock."""
    from contagion.inspection import inspect_network, lay_out_inspection

    if add_residual != (out is not None):
        raise click.UsageError("--add-residual and -o go together: name the directory for the network with the traders added")
    found = inspect_network(_load(network, accounts, seed), residual_to=out, overwrite=overwrite)
    if as_json:
        _print_json(found.summary())
    else:
        lay_out_inspection(found).show()
    ctx.exit(0 if found.sound else 1)


@main.command(
    examples=["contagion build two_exchange_stablecoin -o stablecoin/ --format csv", "contagion build oct2025 --accounts 1000 -o small/"]
)
@network_argument
@_size_options
@click.option("-o", "--out", required=True, type=click.Path(), help="Directory to make.")
@click.option("--format", "file_format", type=click.Choice(["csv", "parquet"]), default="parquet", show_default=True, help="Of the tables.")
@overwrite_option
@json_option
def build(network: str, *, accounts: int | None, seed: int | None, out: str, file_format: str, overwrite: bool, as_json: bool) -> None:
    """Write a network as a directory of tables, to look at and to edit."""
    from graphs.schema import TABLES
    from graphs.tables import write_network

    net = _load(network, accounts, seed)
    write_network(net, out, format=file_format, overwrite=overwrite)  # type: ignore[arg-type] # click has checked it
    rows = [{"table": kind, "rows": net.count(kind)} for kind in TABLES if net.count(kind)]
    if as_json:
        _print_json(rows)
    else:
        _show(rows)
    _note(f"written to {out}")


@main.command(
    examples=[
        "contagion run one_book_ladder --shock COIN=-5%",
        "contagion run two_exchange_stablecoin --shock BTC=-10% --policy haircut=20% --json",
        "contagion run oct2025 --accounts 1000 --shock BTC=-15% --shock depth:Binance=0.1 -o out/",
    ]
)
@network_argument
@click.option("--scenario", help="A shipped scenario, or a TOML file; by default the one named like the network.")
@click.option(
    "--shock", "shocks", multiple=True, help="Such as BTC=-15%, depth:Binance=0.1, depeg:USDe@Binance=0.65, default:HTX. Repeat it."
)
@click.option(
    "--policy", "policies", multiple=True, help="Rules in force from before the shock: a TOML file, or leverage_cap=20. Repeat it."
)
@_size_options
@click.option(
    "--settings", "settings", multiple=True, metavar="NAME=VALUE", help="Such as withdrawal=5 or system_wide.depeg=0.9. Repeat it."
)
@click.option("--impact", type=click.Choice(["exponential", "linear", "square_root"]), help="Form of the price impact.")
@click.option("--max-rounds", type=int, help="Stop there, and say so, if the run has not settled.")
@click.option("--audit", is_flag=True, help="Check the eight identities in every round.")
@click.option("--no-half-step", is_flag=True, help="Under a clock, do not run again at half the step.")
@click.option("-o", "--out", type=click.Path(), help="Directory for the run: manifest, tables, graph, what is printed.")
@overwrite_option
@json_option
def run(network: str, *, out: str | None, overwrite: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 click's values
    """Run a scenario on a network: is it system-wide, what triggered it, who loses what where."""
    from contagion.job import carry_out
    from contagion.report.progress import progress_bar
    from contagion.rundir import print_answer, refuse_existing, write_run

    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    answer = carry_out(_job(network, **options), watch=progress_bar)
    print_answer(answer, as_json=as_json)
    if out is not None:
        write_run(answer, out, overwrite=overwrite)
        _note(f"written to {out}")


def _job(
    network: str,
    *,
    scenario: str | None,
    shocks: Sequence[str],
    policies: Sequence[str],
    settings: Sequence[str],
    impact: str | None,
    max_rounds: int | None,
    accounts: int | None,
    seed: int | None,
    audit: bool,
    no_half_step: bool,
) -> Job:
    """Job of the options of `run`."""
    from contagion.job import Job, has_scenario

    if scenario is not None and shocks:
        raise click.UsageError("--scenario and --shock exclude each other: write the shock into the scenario's file, or leave one out")
    if scenario is None and not shocks and not has_scenario(network):
        raise click.UsageError(f"{network} has no scenario of its own: add --shock, for example --shock BTC=-15%, or --scenario")
    short = [f"{name}={value}" for name, value in (("impact", impact), ("max_rounds", max_rounds)) if value is not None]
    return Job.of(
        network,
        options={"accounts": accounts, "seed": seed},
        scenario=scenario,
        shocks=shocks,
        policy=policies,
        settings=[*settings, *short],
        audit=audit,
        half_step=not no_half_step,
    )


@main.command(examples=["contagion export out/ -o cascade.gexf", "contagion export interbank_ring -o ring.graphml"])
@click.argument("source", metavar="RUN_OR_NET")
@click.option("-o", "--out", required=True, type=click.Path(), help="File to write: .gexf, .gexf.gz, .graphml, .json or .csv.")
@click.option("--static", is_flag=True, help="Leave the timeline of rounds out of a GEXF file, for readers that know none.")
@click.option("--layout", type=click.Choice(["spring", "none"]), default="spring", show_default=True, help="Where the nodes are put.")
@_size_options
@json_option
def export(source: str, *, out: str, as_json: bool, accounts: int | None, seed: int | None, **how: Any) -> None:  # noqa: ANN401
    """Write a run as the graph that Gephi opens, or a network alone."""
    from contagion.export import export_graph

    said = export_graph(source, out, options={"accounts": accounts, "seed": seed}, **how)
    if as_json:
        _print_json(said)
    else:
        _show([{"kind": said["kind"], "file": file} for file in said["files"]])


@main.command(examples=["contagion verify out/"])
@click.argument("run_dir", metavar="RUN", type=click.Path())
@json_option
@click.pass_context
def verify(ctx: click.Context, run_dir: str, *, as_json: bool) -> None:
    """Repeat a run from its directory and compare every file, byte for byte."""
    from contagion.report.progress import progress_bar
    from contagion.rundir import verify_run

    found = verify_run(run_dir, watch=progress_bar)
    for change in found.changed_versions:
        _note(f"note: {change}")
    rows = [{"file": checked.file, "state": checked.state} for checked in found.files]
    if as_json:
        _print_json({"holds": found.holds, "files": rows, "changed_versions": list(found.changed_versions)})
    else:
        _show(rows)
    ctx.exit(0 if found.holds else 1)


if __name__ == "__main__":
    sys.exit(main())

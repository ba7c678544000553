"""Commands on runs: run, export, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contagion.commands.base import command, json_option, network_argument, note, overwrite_option, print_json, show, size_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.job import Job


@command(
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
@size_options
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
        note(f"written to {out}")


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


@command(examples=["contagion export out/ -o cascade.gexf", "contagion export interbank_ring -o ring.graphml"])
@click.argument("source", metavar="RUN_OR_NET")
@click.option("-o", "--out", required=True, type=click.Path(), help="File to write: .gexf, .gexf.gz, .graphml, .json or .csv.")
@click.option("--static", is_flag=True, help="Leave the timeline of rounds out of a GEXF file, for readers that know none.")
@click.option("--layout", type=click.Choice(["spring", "none"]), default="spring", show_default=True, help="Where the nodes are put.")
@size_options
@json_option
def export(source: str, *, out: str, as_json: bool, accounts: int | None, seed: int | None, **how: Any) -> None:  # noqa: ANN401
    """Write a run as the graph that Gephi opens, or a network alone."""
    from contagion.export import export_graph

    said = export_graph(source, out, options={"accounts": accounts, "seed": seed}, **how)
    if as_json:
        print_json(said)
    else:
        show([{"kind": said["kind"], "file": file} for file in said["files"]])


@command(examples=["contagion verify out/"])
@click.argument("directory", metavar="DIRECTORY", type=click.Path())
@json_option
@click.pass_context
def verify(ctx: click.Context, directory: str, *, as_json: bool) -> None:
    """Repeat a run or a search from its directory and compare every file, byte for byte."""
    from contagion.report.progress import progress_bar
    from contagion.verification import verify_directory

    found = verify_directory(directory, watch=progress_bar)
    for change in found.changed_versions:
        note(f"note: {change}")
    rows = [{"file": checked.file, "state": checked.state} for checked in found.files]
    if as_json:
        print_json({"holds": found.holds, "files": rows, "changed_versions": list(found.changed_versions)})
    else:
        show(rows)
    ctx.exit(0 if found.holds else 1)

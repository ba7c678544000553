"""Commands on networks: list, info, check, build."""

from __future__ import annotations

import click

from contagion.commands.base import command, json_option, load, network_argument, note, overwrite_option, print_json, show, size_options


@command("list", examples=["contagion list", "contagion list --json"])
@json_option
def list_(*, as_json: bool) -> None:
    """List the networks and the scenarios that are shipped."""
    from contagion.scenario import list_scenarios, load_scenario
    from graphs.catalog import list_networks

    networks = list_networks()
    scenarios = [{"scenario": name, "description": load_scenario(name).description} for name in list_scenarios()]
    if as_json:
        print_json({"networks": networks, "scenarios": scenarios})
        return
    show([{"network": entry["name"], "description": entry["description"]} for entry in networks])
    click.echo()
    show(scenarios)


@command(examples=["contagion info one_book_ladder", "contagion info oct2025 --accounts 1000 --json"])
@network_argument
@size_options
@json_option
def info(network: str, *, accounts: int | None, seed: int | None, as_json: bool) -> None:
    """Say what is in a network: nodes and edges by kind, open interest by exchange and coin, sources."""
    from contagion.report.overview import lay_out_overview, overview

    said = overview(load(network, accounts, seed))
    if as_json:
        print_json(said)
    else:
        lay_out_overview(said).show()


@command(examples=["contagion check one_book_ladder", "contagion check oct2025 --accounts 1000 --json"])
@network_argument
@size_options
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
    found = inspect_network(load(network, accounts, seed), residual_to=out, overwrite=overwrite)
    if as_json:
        print_json(found.summary())
    else:
        lay_out_inspection(found).show()
    ctx.exit(0 if found.sound else 1)


@command(
    examples=["contagion build two_exchange_stablecoin -o stablecoin/ --format csv", "contagion build oct2025 --accounts 1000 -o small/"]
)
@network_argument
@size_options
@click.option("-o", "--out", required=True, type=click.Path(), help="Directory to make.")
@click.option("--format", "file_format", type=click.Choice(["csv", "parquet"]), default="parquet", show_default=True, help="Of the tables.")
@overwrite_option
@json_option
def build(network: str, *, accounts: int | None, seed: int | None, out: str, file_format: str, overwrite: bool, as_json: bool) -> None:
    """Write a network as a directory of tables, to look at and to edit."""
    from graphs.schema import TABLES
    from graphs.tables import write_network

    net = load(network, accounts, seed)
    write_network(net, out, format=file_format, overwrite=overwrite)  # type: ignore[arg-type] # click has checked it
    rows = [{"table": kind, "rows": net.count(kind)} for kind in TABLES if net.count(kind)]
    if as_json:
        print_json(rows)
    else:
        show(rows)
    note(f"written to {out}")

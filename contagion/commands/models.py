"""The command for the classical models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from contagion.commands.base import command, json_option, note, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence


@command(
    examples=[
        "contagion model --list",
        "contagion model clearing interbank_ring",
        "contagion model clearing interbank_ring --option alpha=0.9",
        "contagion model debtrank interbank_ring --option shock=each --json",
    ]
)
@click.argument("name", required=False)
@click.argument("inputs", nargs=-1)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="A parameter or a vector of the model, such as alpha=0.5. Repeat it."
)
@click.option("--list", "listed", is_flag=True, help="List the models with their equations, sources and inputs.")
@json_option
def model(name: str | None, inputs: Sequence[str], *, options: Sequence[str], listed: bool, as_json: bool) -> None:
    """Run a classical model of the literature on matrices, edge lists or a network.

    INPUTS are CSV or Parquet files in the order that --list gives for the model, or one network. A matrix has names in its first line
    and first column. An edge list has a header: debtor,creditor,amount or owner,asset,value or source,target,weight. A table of NODES,
    HOLDERS or ASSETS has their names in its first column, and a column for each vector; a vector can be typed instead, for all or by
    name, such as --option equity=5 or --option shock=A=0.2,B=1.
    """
    from contagion.models.catalog import list_models, run_model
    from contagion.report.models import lay_out_list, lay_out_model

    if listed == (name is not None):
        raise click.UsageError("name a model and its inputs, or write --list")
    if name is None:
        print_json(list_models()) if as_json else lay_out_list(list_models()).show()
        return
    wrong = [text for text in options if "=" not in text]
    if wrong:
        raise click.UsageError(f"--option {wrong[0]}: write NAME=VALUE, such as alpha=0.5")
    found = run_model(name, inputs, dict(text.split("=", 1) for text in options))
    if as_json:
        print_json({**found.summary(), "rows": found.rows()})
    else:
        lay_out_model(found).show()
    for text in found.notes:
        note(text)

"""Clearing payments on the command line."""

from __future__ import annotations

from contagion.models.card import Card, Found, Inputs, Option, Vector
from contagion.models.from_network import liabilities


def run(inputs: Inputs) -> Found:
    """Clear all payments at once."""
    import pandas as pd

    from contagion.models.clearing import clear

    options = inputs.options
    result = clear(
        inputs.table,
        inputs.numbers("external_assets"),
        external_liabilities=inputs.numbers("external_liabilities"),
        alpha=options["alpha"],
        beta=options["beta"],
        seniority=options["seniority"],
        solution=options["solution"],
    )
    frame = pd.DataFrame({"node": inputs.labels, "payments": result.payments, "equity": result.equity, "defaulted": result.defaulted})
    figures = {
        "defaults": int(result.defaulted.sum()),
        "paid": float(result.payments.sum()),
        "residual": result.residual,
        "solves": result.solves,
    }
    return Found(figures, frame)


CARD = Card(
    name="clearing",
    title="Clearing payments",
    equation="a node that can pays all it owes; one that cannot pays alpha times its own assets and beta times what it receives, "
    "pro rata to what it owes; alpha = beta = 1 is Eisenberg and Noe",
    source="Eisenberg and Noe 2001; Rogers and Veraart 2013",
    shape="liabilities",
    run=run,
    vectors=(
        Vector("external_assets", "what a node owns outside the network"),
        Vector("external_liabilities", "what it owes outside", default=0.0),
    ),
    options=(
        Option("alpha", 1.0, "share of own assets left after default costs"),
        Option("beta", 1.0, "share of receipts left after default costs"),
        Option("seniority", "pari_passu", "rank of what is owed outside", ("pari_passu", "external_senior")),
        Option("solution", "greatest", "which fixed point, where there are several", ("greatest", "least")),
    ),
    from_network=liabilities,
)

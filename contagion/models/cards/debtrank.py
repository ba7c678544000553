"""DebtRank on the command line."""

from __future__ import annotations

import numpy as np

from contagion.models.card import Card, Found, Inputs, Option, Vector
from contagion.models.from_network import exposures


def run(inputs: Inputs) -> Found:
    """Spread distress from one shock, or from the default of each node in turn."""
    import pandas as pd

    from contagion.models.debtrank import debtrank

    shock, options = inputs.vectors["shock"], inputs.options
    result = debtrank(
        inputs.table,
        inputs.numbers("equity"),
        shock,
        weights=inputs.optional("weights"),
        variant=options["variant"],
        a=options["a"],
        capped=options["capped"],
    )
    figures = {"residual": result.residual, "solves": result.solves}
    if isinstance(shock, str):
        # Column j is the default of node j alone.
        frame = pd.DataFrame({"node": inputs.labels, "value": result.value, "loss": result.loss, "defaults": result.defaulted.sum(axis=0)})
        return Found({"most": inputs.labels[int(np.argmax(result.value))] if inputs.labels else None, **figures}, frame)
    frame = pd.DataFrame({"node": inputs.labels, "shock": shock, "distress": result.distress, "defaulted": result.defaulted})
    return Found({"value": result.value, "loss": result.loss, "defaults": int(result.defaulted.sum()), **figures}, frame)


CARD = Card(
    name="debtrank",
    title="DebtRank",
    equation="h_i = min(1, h_i(0) + sum over j of exposures_ij / equity_i * h_j): a node's distress is the shock plus what it loses "
    "on others in distress, over its equity; single_hit: each node passes distress on once; nonlinear: a claim loses h * exp(a (h - 1))",
    source="Battiston et al. 2012 (single_hit); Bardoscia et al. 2015 (linear), 2016 (nonlinear)",
    shape="exposures",
    run=run,
    vectors=(
        Vector("equity", "what a node can lose"),
        Vector(
            "shock", "distress at the start, 0 to 1, or each: the default of every node in turn", default=0.0, words=("each",), starts=True
        ),
        Vector("weights", "economic value of a node, its equity unless given", default=0.0, whole=True),
    ),
    options=(
        Option("variant", "linear", "which DebtRank", ("linear", "single_hit", "nonlinear")),
        Option("a", 0.0, "curvature of nonlinear"),
        Option("capped", default=True, doc="whether distress is cut at 1"),
    ),
    from_network=exposures,
)

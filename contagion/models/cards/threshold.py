"""Default cascades with a threshold on the command line."""

from __future__ import annotations

import numpy as np

from contagion.models.card import Card, Found, Inputs, Option, Vector, never
from contagion.models.from_network import exposures


def run(inputs: Inputs) -> Found:
    """Let defaults spread from seeds, or from each node in turn."""
    import pandas as pd

    from contagion.models.threshold import cascade

    seeds, options = inputs.vectors["seeds"], inputs.options
    start = seeds if isinstance(seeds, str) else seeds > 0
    result = cascade(inputs.table, inputs.numbers("buffer"), start, recovery=options["recovery"], tie=options["tie"])
    figures = {"rounds": result.rounds, "residual": result.residual, "solves": result.solves}
    if isinstance(seeds, str):
        defaults = result.defaulted.sum(axis=0)
        frame = pd.DataFrame({"node": inputs.labels, "defaults": defaults, "rounds": result.round.max(axis=0, initial=0)})
        return Found({"most": inputs.labels[int(np.argmax(defaults))] if inputs.labels else None, **figures}, frame)
    frame = pd.DataFrame({"node": inputs.labels, "defaulted": result.defaulted, "round": never(result.round), "loss": result.loss})
    return Found({"defaults": int(result.defaulted.sum()), **figures}, frame)


CARD = Card(
    name="threshold",
    title="Threshold cascade",
    equation="a node defaults when (1 - recovery) times its exposures to nodes in default reach its buffer, round by round",
    source="Furfine 2003; Gai and Kapadia 2010 (equal exposures 1/k); Watts 2002 (buffer a share of neighbours)",
    shape="exposures",
    run=run,
    vectors=(
        Vector("buffer", "loss that a node can bear"),
        Vector("seeds", "1 for a node in default at the start, or each: every node in turn", default=0.0, words=("each",), starts=True),
    ),
    options=(
        Option("recovery", 0.0, "share of a claim on a node in default that is paid"),
        Option("tie", "default", "what a loss equal to the buffer does", ("default", "survive")),
    ),
    from_network=exposures,
)

"""Measures of structure on the command line."""

from __future__ import annotations

import numpy as np

from contagion.models.card import Card, CatalogError, Found, Inputs, Option, Vector
from contagion.models.from_network import exposures, holdings


def run_impact(inputs: Inputs) -> Found:
    """Measure who can be reached by contagion, and who passes it on."""
    import pandas as pd

    from graphs.structure import impact_diffusion, impact_susceptibility

    buffer, binary = inputs.numbers("buffer"), inputs.options["binary"]
    reached = impact_susceptibility(inputs.table, buffer, binary=binary)
    frame = pd.DataFrame({"node": inputs.labels, "susceptibility": reached})
    if inputs.options["diffusion"]:
        passed = impact_diffusion(inputs.table, buffer, binary=binary)
        for name in passed.columns:
            frame[f"diffusion_{name}"] = passed[name].to_numpy()
    return Found({"fluidity": float(reached.mean()) if reached.size else 0.0}, frame)


def run_overlap(inputs: Inputs) -> Found:
    """List the closest pairs of portfolios."""
    import pandas as pd

    from graphs.structure import liquidity_weighted_overlap

    found = liquidity_weighted_overlap(inputs.table, inputs.numbers("depth"), hollow=True)
    most = inputs.options["top"]
    if most < 1:
        raise CatalogError(f"option top: {most} pairs; ask for at least 1")
    cells = found.top(2 * most)  # each pair stands twice, though of equal ones perhaps only one side is among the first
    place = {label: i for i, label in enumerate(inputs.labels)}
    pairs: dict[tuple[str, str], float] = {}
    for one, other, value in zip(cells["row"], cells["column"], cells["value"], strict=True):
        pairs.setdefault((one, other) if place[one] < place[other] else (other, one), value)
    rows = [(one, other, value) for (one, other), value in pairs.items()][:most]
    return Found({"total": float(found.row_sums().sum()) / 2.0}, pd.DataFrame(rows, columns=["holder", "other", "overlap"]))


def run_concentration(inputs: Inputs) -> Found:
    """Measure how few hold each asset."""
    from graphs.structure import concentration

    frame = concentration(inputs.table, by=inputs.options["by"])
    frame.insert(0, "node", frame.index)
    index = frame["hhi"].to_numpy(dtype=np.float64)
    return Found({"largest_hhi": float(np.nanmax(index)) if np.isfinite(index).any() else None}, frame.reset_index(drop=True))


def run_centrality(inputs: Inputs) -> Found:
    """Rank nodes by PageRank."""
    from graphs.structure import centralities

    frame = centralities(inputs.table, seed=inputs.options["seed"])
    frame.insert(0, "node", frame.index)
    order = np.argsort(-frame["pagerank"].to_numpy(), kind="stable")
    return Found({"nodes": len(frame), "edges": int(frame["out_degree"].sum())}, frame.iloc[order].reset_index(drop=True))


CARD = (
    Card(
        name="impact",
        title="Impact susceptibility, diffusion and fluidity",
        equation="V_ij = 1 where the default of i takes the whole buffer of j; susceptibility of j is the off-diagonal column sum "
        "of exp(V) over that of V; diffusion of q is their fall when q passes nothing on; fluidity is the mean susceptibility",
        source="Silva, Souza and Tabak 2015",
        shape="exposures",
        run=run_impact,
        vectors=(Vector("buffer", "loss that a node can bear"),),
        options=(
            Option("binary", default=True, doc="whether only impacts that take the whole buffer count"),
            Option("diffusion", default=True, doc="whether to compute diffusion, which costs one pass a node"),
        ),
        from_network=exposures,
    ),
    Card(
        name="overlap",
        title="Liquidity-weighted overlap",
        equation="overlap_ij = sum over assets of what i holds times what j holds over the asset's depth",
        source="Cont and Schaanning 2017",
        shape="holdings",
        run=run_overlap,
        vectors=(Vector("depth", "sale that would take the whole price at the initial slope", over="columns", default=1.0),),
        options=(Option("top", 20, "how many pairs to list"),),
        from_network=holdings,
    ),
    Card(
        name="concentration",
        title="Concentration",
        equation="Herfindahl index: the sum of squared shares; its reciprocal is the number of equal holders that are as concentrated",
        source="Herfindahl 1950; Hirschman 1945",
        shape="holdings",
        run=run_concentration,
        options=(Option("by", "columns", "who holds each asset, or what each portfolio is made of", ("columns", "rows")),),
        from_network=holdings,
    ),
    Card(
        name="centrality",
        title="Centralities",
        equation="degree, strength, PageRank, leading eigenvector, Katz, betweenness by hops",
        source="Brin and Page 1998; Bonacich 1987; Katz 1953; Freeman 1977",
        shape="adjacency",
        run=run_centrality,
        options=(Option("seed", 0, "draws the sources of betweenness beyond 2,000 nodes"),),
        from_network=exposures,
    ),
)

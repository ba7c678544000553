"""Looks: size, colour and place of each node of a graph, so that a reader finds exchanges, coins and the traders that were hit.

Traders and cohorts lie around the exchange where their accounts are, and have the colour of their final state. Coins lie
between the exchanges that list them. Exchanges and coins keep the colour of their kind unless they broke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from graphs.gephi import GREY, KIND_COLOURS, STATE_COLOURS, log_weights
from graphs.gexf import LARGEST, SMALLEST
from graphs.layout import MOST_ANCHORS, place_nodes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from contagion.arrays import Floats

RANGES: Final = {
    "exchange": (70.0, 100.0),
    "stablecoin": (40.0, 60.0),
    "asset": (40.0, 60.0),
    "cohort": (25.0, 50.0),
    "trader": (4.0, 36.0),
}
"""Sizes of the smallest and the largest node of each type."""
HARM_WEIGHT: Final = 10.0
"""How much more a USD that was lost or closed by force counts for the size of a node than one of exposure."""
SLATE: Final = (85, 85, 85)
"""Colour of an asset in a run: the orange of its kind is there that of the liquidated."""
BROKEN: Final = ("halted", "depegged", "defaulted")
"""Final states whose colour an exchange or a coin takes."""
PULLS: Final = ("account", "market", "backing", "credit", "vault")
"""Layers that draw nodes together. Positions do not: everybody has some in the same coins."""
CROWD, CLOSEST = 600, 0.13
"""Number of nodes from which a graph takes all the room; fewer lie closer, so that their sizes show, down to this part of it."""
LOOSE_PULLS: Final = ("margin", "holding", "liquidity", "arbitrage")
"""Layers that draw those together whom the others leave alone."""


def dress(nodes: pd.DataFrame, edges: pd.DataFrame, *, rounds: int, seed: int) -> None:
    """Add size, x, y and colour to the nodes and weight to the edges, in place."""
    nodes["size"] = _sizes(nodes)
    nodes["x"], nodes["y"] = _places(nodes, edges, seed).T
    nodes["colour"] = _colours(nodes, rounds)
    edges.insert(6, "weight", log_weights(edges["notional"].to_numpy()))


def _sizes(nodes: pd.DataFrame) -> Floats:
    """Size by the rank of a node among those of its type, over the whole range that readers leave alone."""
    harm = nodes["loss"].fillna(0.0).clip(lower=0.0) + nodes["liquidated_usd"] + nodes["adl_usd"]
    weight = (nodes["gross_notional"] + nodes["open_interest"] + HARM_WEIGHT * harm).to_numpy()
    sizes = np.empty(len(nodes))
    for kind, (small, large) in RANGES.items():
        rows = (nodes["node_type"] == kind).to_numpy()
        rank = np.searchsorted(np.sort(weight[rows]), weight[rows]) / max(int(rows.sum()) - 1, 1)
        sizes[rows] = small + (large - small) * rank**2
    low, high = sizes.min(initial=LARGEST), sizes.max(initial=SMALLEST)
    if low >= high:
        return np.full(len(sizes), SMALLEST)
    scaled = np.round(SMALLEST + (sizes - low) / (high - low) * (LARGEST - SMALLEST), 3)
    return np.asarray(np.clip(scaled, SMALLEST, LARGEST))


def _places(nodes: pd.DataFrame, edges: pd.DataFrame, seed: int) -> Floats:
    import pandas as pd

    index, layer = pd.Index(nodes["id"]), edges["layer"]
    source, target = index.get_indexer(edges["source"]), index.get_indexer(edges["target"])
    firm = layer.isin(PULLS).to_numpy()
    drawn = np.zeros(len(nodes), dtype=np.bool_)
    drawn[source[firm]] = drawn[target[firm]] = True
    pull = firm | (layer.isin(LOOSE_PULLS).to_numpy() & ~drawn[source])
    anchors = np.flatnonzero(nodes["node_type"].isin(["exchange", "asset", "stablecoin"]))[:MOST_ANCHORS]
    places = place_nodes(len(nodes), source[pull], target[pull], anchors=anchors, seed=seed)
    placed: Floats = np.round(places * float(np.clip(np.sqrt(len(nodes) / CROWD), CLOSEST, 1.0)), 2)
    return placed


def _colours(nodes: pd.DataFrame, rounds: int) -> NDArray[np.object_]:
    def code(colour: tuple[int, int, int]) -> str:
        return "#{:02x}{:02x}{:02x}".format(*colour)

    kinds = {**KIND_COLOURS, "cohort": KIND_COLOURS["trader"], **({"asset": SLATE} if rounds else {})}
    by_kind = nodes["node_type"].map({kind: code(colour) for kind, colour in kinds.items()}).to_numpy(dtype=object)
    if not rounds:
        return by_kind
    by_state = nodes["final_state"].map({state: code(colour) for state, colour in STATE_COLOURS.items()}).fillna(code(GREY))
    shows_state = nodes["node_type"].isin(["trader", "cohort"]) | nodes["final_state"].isin(BROKEN)
    return np.where(shows_state, by_state.to_numpy(dtype=object), by_kind)

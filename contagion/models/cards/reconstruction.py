"""Networks from row and column sums on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.models.card import Card, Found, Inputs, Option, Vector

if TYPE_CHECKING:
    import pandas as pd


def run_entropy(inputs: Inputs) -> Found:
    """Spread as evenly as the margins allow."""
    from graphs.reconstruct import maximum_entropy

    return _edges(inputs, maximum_entropy(inputs.numbers("out_sum"), inputs.numbers("in_sum"), self_loops=inputs.options["self_loops"]))


def run_density(inputs: Inputs) -> Found:
    """Use as few links as are found."""
    from graphs.reconstruct import minimum_density

    options = inputs.options
    return _edges(
        inputs,
        minimum_density(
            inputs.numbers("out_sum"),
            inputs.numbers("in_sum"),
            self_loops=options["self_loops"],
            draws=options["draws"],
            seed=options["seed"],
        ),
    )


def run_ensemble(inputs: Inputs) -> Found:
    """Draw networks; the table has each link's probability, mean weight and interval over the draws."""
    from graphs.reconstruct import fitness_ensemble

    options = inputs.options
    drawn = fitness_ensemble(
        inputs.numbers("out_sum"),
        inputs.numbers("in_sum"),
        density=options["density"],
        draws=options["draws"],
        seed=options["seed"],
        exact=options["exact"],
        self_loops=options["self_loops"],
    )
    links = drawn.interval(lambda matrix: matrix.nnz, level=options["level"])
    low, middle, high = drawn.interval(lambda matrix: matrix.toarray(), level=options["level"])
    found = _edges(inputs, drawn.expected)
    where = np.argwhere(drawn.expected > 0)
    for name, values in (("probability", drawn.probability), ("low", low), ("median", middle), ("high", high)):
        found.frame[name] = values[where[:, 0], where[:, 1]]
    return Found({**found.figures, "links": drawn.links, "links_interval": [float(value) for value in links]}, found.frame)


def _edges(inputs: Inputs, matrix: Any) -> Found:  # noqa: ANN401 - dense or sparse
    from scipy.sparse import coo_array

    cells = coo_array(matrix)
    order = np.lexsort((cells.col, cells.row))
    names = np.array([*inputs.labels, None], dtype=object)
    frame = _frame(names[cells.row[order]], names[cells.col[order]], cells.data[order])
    sums = np.asarray(matrix.sum(axis=1)).ravel(), np.asarray(matrix.sum(axis=0)).ravel()
    total = max(float(sums[0].sum()), np.finfo(np.float64).tiny)
    gap = max(float(np.abs(sums[i] - inputs.numbers(name)).max(initial=0.0)) for i, name in enumerate(("out_sum", "in_sum")))
    return Found({"links": len(frame), "total": float(sums[0].sum()), "residual": gap / total}, frame)


def _frame(sources: Any, targets: Any, weights: Any) -> pd.DataFrame:  # noqa: ANN401 - arrays
    import pandas as pd

    frame = pd.DataFrame({"source": sources, "target": targets, "weight": weights})
    return frame[frame["weight"] > 0].reset_index(drop=True)


SUMS = (Vector("out_sum", "sum of what leaves the node"), Vector("in_sum", "sum of what comes in"))
LOOPS = Option("self_loops", default=False, doc="whether a node may face itself")
SEED = Option("seed", 0, "stream of random numbers")

CARD = (
    Card(
        name="maximum_entropy",
        title="Maximum entropy",
        equation="of all matrices with these row and column sums the most even: x_ij = a_i b_j off the diagonal",
        source="Upper and Worms 2004; Deming and Stephan 1940",
        shape="none",
        run=run_entropy,
        vectors=SUMS,
        options=(LOOPS,),
    ),
    Card(
        name="minimum_density",
        title="Minimum density",
        equation="of all matrices with these row and column sums one with few links: the best of many random fills, "
        "an upper bound of the least",
        source="Anand, Craig and von Peter 2015",
        shape="none",
        run=run_density,
        vectors=SUMS,
        options=(LOOPS, Option("draws", 100, "random fills of which the sparsest is kept"), SEED),
    ),
    Card(
        name="fitness_ensemble",
        title="Fitness ensemble",
        equation="links with probability z r_i c_j / (1 + z r_i c_j), z set by the density; a link that is drawn weighs "
        "its mean over its probability",
        source="Cimini, Squartini, Garlaschelli and Gabrielli 2015",
        shape="none",
        run=run_ensemble,
        vectors=SUMS,
        options=(
            Option("density", 0.3, "expected share of the cells that are links"),
            Option("draws", 100, "how many networks"),
            SEED,
            Option("level", 0.9, "share of the draws between low and high"),
            Option("exact", default=False, doc="whether each draw meets the sums itself, and not only in the mean"),
            LOOPS,
        ),
    ),
)

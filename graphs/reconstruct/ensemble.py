"""An ensemble of networks with given strengths and density: the fitness model with density-corrected gravity weights.

Links are drawn one by one with p_ij = z·r_i·c_j/(1 + z·r_i·c_j), r and c the row and column sums, z such that the expected number of links
is as wanted (Cimini, Squartini, Garlaschelli and Gabrielli 2015). A link that is drawn carries w_ij = e_ij/p_ij, so that
the expected weight is e_ij. There e_ij = r_i·c_j/total, which misses the margins where a node cannot face itself; here e is the matrix of
maximum entropy, so that the expected row and column sums are the margins exactly, with or without a diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphs.reconstruct.entropy import entropy_matrix
from graphs.reconstruct.margins import read_margins
from graphs.reconstruct.scaling import MarginsError, fit_margins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import networkx as nx
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from graphs.matrices import Floats
    from graphs.reconstruct.margins import Margins

ATTEMPTS = 50
"""Redraws of a topology that has no room for exact margins."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks that can be drawn one by one, in any order.

    Attributes
    ----------
    margins
        Sums to be met.
    probability
        p_ij of each link.
    expected
        e_ij, the mean weight of each cell over all draws.
    draws
        How many there are.
    seed
        Draw i uses the stream (seed, i): it is the same whatever else is drawn.
    exact
        Whether each draw meets the margins itself, and not only in the mean.
    """

    margins: Margins
    probability: Floats
    expected: Floats
    draws: int
    seed: int
    exact: bool

    def __len__(self) -> int:
        """Number of draws."""
        return self.draws

    def __iter__(self) -> Iterator[csr_array[np.float64]]:
        """Yield the draws in order."""
        return (self.draw(number) for number in range(self.draws))

    def draw(self, number: int) -> csr_array[np.float64]:
        """Return one network as a sparse matrix.

        Raises
        ------
        MarginsError
            If exact margins are wanted and none of fifty topologies has room for them.
        """
        if not 0 <= number < self.draws:
            raise MarginsError(f"draw {number} of {self.draws}; count from 0")
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        for _ in range(ATTEMPTS):
            linked = random.random(self.probability.shape) < self.probability
            found = self._weights(linked)
            if found is not None:
                return found
        raise MarginsError(
            f"draw {number}: none of {ATTEMPTS} topologies has room for the exact margins; ask for more links, or for margins in the mean"
        )

    def draw_networkx(self, number: int, *, weight: str = "weight") -> nx.DiGraph[Any]:
        """Return one network as a directed graph with the nodes and attributes of the graph that came in."""
        return self.margins.to_networkx(self.draw(number), weight)

    def interval(self, statistic: Callable[[csr_array[np.float64]], Any], *, level: float = 0.9) -> tuple[Any, Any, Any]:
        """Return low, median and high of a statistic over the draws: the quantiles (1 ∓ level)/2 and ½, element by element.

        Parameters
        ----------
        statistic
            Function of one network's matrix; a number or an array.
        level
            Share of the draws between low and high.

        Raises
        ------
        MarginsError
            If the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise MarginsError(f"level is {level}; give a share between 0 and 1")
        values = np.array([statistic(matrix) for matrix in self], dtype=np.float64)
        low, middle, high = np.quantile(values, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
        return low, middle, high

    @cached_property
    def links(self) -> float:
        """Expected number of links."""
        return float(self.probability.sum())

    def _weights(self, linked: NDArray[np.bool_]) -> csr_array[np.float64] | None:
        from scipy.sparse import csr_array

        weights = np.divide(self.expected, self.probability, out=np.zeros_like(self.expected), where=linked & (self.probability > 0))
        if self.exact:
            try:
                weights = fit_margins(self.margins.rows, self.margins.columns, weights, tolerance=1e-9, max_rounds=2_000)
            except MarginsError:
                return None
        return csr_array(weights)


def fitness_ensemble(
    rows: Any,  # noqa: ANN401 - a graph or numbers
    columns: object = None,
    *,
    links: float | None = None,
    density: float | None = None,
    draws: int = 100,
    seed: int = 0,
    exact: bool = False,
    self_loops: bool = False,
    out: str = "out_sum",
    into: str = "in_sum",
) -> Ensemble:
    """Prepare draws of networks with given row and column sums and a given expected number of links.

    Parameters
    ----------
    rows, columns, self_loops, out, into
        As for :func:`graphs.reconstruct.maximum_entropy`.
    links, density
        Expected number of links, or its share of the cells that may be used by nodes with a sum; one of the two.
    draws, seed
        How many networks, and from which streams.
    exact
        Whether to scale each draw to its margins; a draw without room for them is drawn again. Otherwise they hold in the mean only.

    Returns
    -------
    Ensemble
        ``draw(i)``, iteration, ``draw_networkx(i)``, ``interval(statistic)``.

    Raises
    ------
    MarginsError
        If margins are wrong, both or none of ``links`` and ``density`` are given, or no z gives as many links.

    Notes
    -----
    O(rows × columns) memory and time a draw. Without ``exact`` a node with small sums often has no link in a draw and more than its sum in
    another, as in the original.

    References
    ----------
    Cimini, Squartini, Garlaschelli and Gabrielli (2015), Systemic risk analysis on reconstructed economic and financial networks,
    Scientific Reports 5, 15758.

    Examples
    --------
    >>> drawn = fitness_ensemble([7, 5, 3, 1], [4, 5, 5, 2], density=0.5, draws=20, seed=1)
    >>> round(drawn.links, 9), drawn.expected.sum(axis=1).round(9)
    (6.0, array([7., 5., 3., 1.]))
    """
    margins = read_margins(rows, columns, self_loops=self_loops, out=out, into=into)
    cells = margins.allowed()
    if (links is None) == (density is None):
        raise MarginsError("give the expected number of links or the density, one of the two")
    wanted = float(links) if links is not None else float(density or 0.0) * float(cells.sum())
    if draws < 0 or not 0 < wanted <= cells.sum():
        raise MarginsError(f"{wanted:g} links and {draws} draws; give more than 0 and at most {cells.sum():g} links, and at least 0 draws")
    expected = entropy_matrix(margins.rows, margins.columns, loops=margins.loops)
    return Ensemble(margins, _probabilities(margins, cells * (expected > 0), wanted), expected, draws, seed, exact)


def _probabilities(margins: Margins, cells: Floats, wanted: float) -> Floats:
    """p_ij with Σp as wanted; the sum rises with z, so a bracketed root of log z is safe."""
    from scipy.optimize import brentq

    scale = margins.total if margins.total > 0 else 1.0
    with np.errstate(divide="ignore"):
        fitness = np.add.outer(np.log(margins.rows / scale), np.log(margins.columns / scale))

    def chance(log_z: float) -> Floats:
        return np.where(cells > 0, 1.0 / (1.0 + np.exp(-np.clip(fitness + log_z, -700.0, 700.0))), 0.0)

    if wanted >= cells.sum() * (1 - 1e-12):
        return cells
    found = brentq(lambda log_z: float(chance(log_z).sum()) - wanted, -650.0, 650.0, xtol=1e-13, rtol=1e-14)
    return chance(float(found))

"""The threshold cascade: who defaults passes a fixed loss on, and who loses its buffer defaults.

Orientation: ``exposures[i, j]`` is what i loses, in USD, if j defaults, before recovery; ``buffer[i]`` is what i can lose, USD.
With R the recovery, D_0 the seeds and those whose buffer is negative, i joins D_{k+1} if its loss (1 - R) Σ_{j in D_k} exposures[i, j]
is positive and at least the buffer (``tie="default"``) or above it (``tie="survive"``). Losses within 1e-12 of the buffer,
relatively, are ties: 0.2/5 and 0.04 are one.

Uses under one name:

- Furfine (2003): exposures and capital in USD, R the recovery rate.
- Gai and Kapadia (2010, eqs. 1-2): interbank assets A_i split equally, ``exposures[i, j] = A_i/k_i`` for each of i's k_i debtors,
  ``buffer`` = K_i, R = 0.
- Watts (2002): ``exposures[i, j] = 1/k_i`` for each of i's k_i neighbours, ``buffer`` = φ.
- A signed equity after a shock as ``buffer`` and no seeds: who is insolvent starts the cascade.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from contagion.models.errors import ModelError
from contagion.models.portions import portions, seed_columns
from contagion.models.reading import read_square
from contagion.models.solvers import product
from graphs.matrices import vector

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats, Ints
    from graphs.matrices import Matrix

Tie = Literal["default", "survive", "safe"]

TIE = 1e-12

PULLS, FEW = 6, 10
"""Rounds by whole products before a single sparse cascade may follow those that fall, and the part of all nodes that is few."""


@dataclass(frozen=True, eq=False)
class ThresholdCascade:
    """Who defaults, and when; with many seeds a column each.

    Attributes
    ----------
    nodes
        Labels in the order of the rows.
    defaulted
        Whether each node defaults.
    round
        Round of its default: 0 for seeds and those insolvent from the start, -1 for never.
    loss
        What each node loses on its exposures to all that default, USD, after recovery, not cut at the buffer.
    rounds
        Rounds until nothing happened.
    residual
        Nodes whose state is not what the rule says of the final losses: 0.
    solves
        Linear systems: 0, as a cascade needs products only.
    """

    nodes: tuple[Any, ...]
    defaulted: Flags
    round: Ints
    loss: Floats
    rounds: int
    residual: float
    solves: int


def cascade(exposures: object, buffer: object, seeds: object, *, recovery: object = 0.0, tie: Tie = "default") -> ThresholdCascade:
    """Let seeds default, and all that follow.

    Parameters
    ----------
    exposures
        n × n, USD: what the row loses if the column defaults. Dense array, SciPy sparse matrix, frame or NetworkX graph with
        edges i → j of attribute ``weight``.
    buffer
        By node, USD. A node with a negative buffer defaults in round 0.
    seeds
        Who defaults in round 0: positions or labels, n flags, columns of flags for many cascades, or "each" for every node in turn.
    recovery
        Share from 0 to 1 of a claim on a defaulted debtor that is not lost: one number, or one by debtor.
    tie
        Whether a loss equal to the buffer means "default", or the node does "survive" ("safe" says the same).

    Returns
    -------
    ThresholdCascade
        Vectors for one set of seeds, columns for many.

    Raises
    ------
    MatrixError, ModelError
        If an input is not as above.

    Notes
    -----
    Losses only grow, so the cascade is the least solution that contains the seeds, whatever the order. Cost O(non-zeros × columns) a round;
    a single sparse cascade of many rounds reads only the exposures to those that fell last, where they are few.

    Examples
    --------
    A chain of three, each exposed to the next by 10 with a buffer of 5:

    >>> result = cascade([[0, 10, 0], [0, 0, 10], [0, 0, 0]], 5, [2])
    >>> result.defaulted.tolist(), result.round.tolist()
    ([True, True, True], [2, 1, 0])
    >>> cascade([[0, 10, 0], [0, 0, 10], [0, 0, 0]], 5, "each", recovery=0.6).defaulted.sum(axis=0).tolist()
    [1, 1, 1]
    """
    if tie not in {"default", "survive", "safe"}:
        raise ModelError(f"tie is {tie!r}; give 'default' or 'survive'")
    read = read_square(exposures, "exposures")
    limit = vector(buffer, read.rows, what="buffer", low=-np.inf, infinite=True)
    lost = 1.0 - vector(recovery, read.rows, what="recovery", high=1.0)
    start, single = seed_columns(seeds, read.rows)
    start = start | (limit < 0)[:, None]
    rule = _Rule(limit, ties_default=tie == "default")
    when = np.where(start, 0, -1).astype(np.int64)
    loss = np.zeros(start.shape)
    rounds = 0
    for some in portions(*start.shape):
        rounds = max(rounds, _spread(read.matrix, lost[:, None], rule, when[:, some], loss[:, some]))
    defaulted = when >= 0
    wrong = float((rule.falls(loss) & ~defaulted).sum())
    if single:
        defaulted, when, loss = defaulted[:, 0], when[:, 0], loss[:, 0]
    return ThresholdCascade(read.rows, defaulted, when, loss, rounds, wrong, 0)


class _Rule:
    """Who falls at which loss."""

    def __init__(self, limit: Floats, *, ties_default: bool) -> None:
        self.limit = limit * (1.0 - TIE if ties_default else 1.0 + TIE)
        self.ties_default = ties_default

    def falls(self, loss: Floats) -> Flags:
        """Whether nodes fall, by column."""
        limit = self.limit[:, None]
        return np.asarray((loss > 0) & (loss >= limit if self.ties_default else loss > limit))


def _spread(matrix: Matrix, lost: Floats, rule: _Rule, when: Ints, loss: Floats) -> int:
    """Fill ``when`` and ``loss``, and return the rounds."""
    now, pushed, follower = 0, False, _Follower(matrix, lost)
    fresh = when == 0
    while True:
        if now >= PULLS and follower.pays(fresh):
            loss[:, 0] += follower.losses(np.flatnonzero(fresh[:, 0]))
            pushed = True
        else:
            loss[:] = product(matrix, np.where(when >= 0, lost, 0.0))
            pushed = False
        fresh = rule.falls(loss) & (when < 0)
        if not fresh.any():
            break
        now += 1
        when[fresh] = now
    if pushed:  # summed once, in the order of the rows
        loss[:] = product(matrix, np.where(when >= 0, lost, 0.0))
    return now


class _Follower:
    """Losses on few debtors of a sparse matrix, in time proportional to what they owe; the matrix is turned when first needed."""

    def __init__(self, matrix: Matrix, lost: Floats) -> None:
        self.matrix, self.lost = matrix, lost[:, 0]
        self.by_debtor: Any = None

    def pays(self, fresh: Flags) -> bool:
        """Whether those that fell are few enough."""
        return fresh.shape[1] == 1 and not isinstance(self.matrix, np.ndarray) and FEW * int(fresh.sum()) < fresh.shape[0]

    def losses(self, debtors: Ints) -> Floats:
        """What every node loses on some debtors."""
        if self.by_debtor is None:
            from scipy.sparse import csc_array

            self.by_debtor = csc_array(self.matrix)
        part = self.by_debtor[:, debtors]
        weights = part.data * np.repeat(self.lost[debtors], np.diff(part.indptr))
        return np.asarray(np.bincount(part.indices, weights=weights, minlength=self.lost.size), dtype=np.float64)

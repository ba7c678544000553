"""Positions of one exchange, and which of them share an account.

Positions stand in the order of their strata, by size in each; where one stands in leverage, entry price, stop and collateral is
read off a Kronecker sequence, frac(shift + i · α_k), which spreads any run of positions i evenly over [0, 1) in every dimension
k. The seed draws the shifts, so that seeds differ in who has what, not in the distribution.

Accounts: grouped by band, side and size class (a factor of four), in random order inside, positions stand in blocks; in
some blocks, drawn by the seed, the positions on different coins are joined to the account of the first. Their number is such
that the accounts of the exchange come out exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from graphs.oct2025.facts import EXCHANGES, AssumptionError
from graphs.oct2025.strata import SIDES, position_lots, tail_index

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from graphs.oct2025.facts import Assumptions
    from graphs.oct2025.open_interest import OpenInterest
    from graphs.oct2025.strata import Strata
    from graphs.oct2025.tiers import Brackets

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

DIMENSIONS: Final = ("pool", "leverage", "coin", "isolated", "entry", "stop", "take_profit")
"""What the Kronecker sequence decides."""


def _kronecker(dimensions: int) -> Floats:
    """α_k = φ^{−k}, φ the root of φ^{d+1} = φ + 1 (Roberts 2018, generalised golden ratio)."""
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (dimensions + 1))
    return root ** -np.arange(1.0, dimensions + 1)


ALPHAS: Final = dict(zip(DIMENSIONS, _kronecker(len(DIMENSIONS)).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions of one exchange, in the order of its strata, smallest first in each.

    Attributes
    ----------
    asset, side, band
        Coin, sign and leverage band.
    quantity
        Signed units.
    notional, initial_margin
        USD at the start.
    shifts
        Of the Kronecker sequence, by dimension.
    """

    asset: Ints
    side: Ints
    band: Ints
    quantity: Floats
    notional: Floats
    initial_margin: Floats
    shifts: Floats

    def spread(self, dimension: str, rows: Ints | slice = slice(None)) -> Floats:
        """Place of positions in a dimension, evenly spread over [0, 1)."""
        place: Floats = (self.shifts[DIMENSIONS.index(dimension)] + np.arange(self.asset.size)[rows] * ALPHAS[dimension]) % 1.0
        return place


def build_positions(
    exchange: int, strata: Strata, interest: OpenInterest, brackets: Mapping[tuple[str, str], Brackets], *, seed: int
) -> Positions:
    """Cut the strata of an exchange into positions."""
    own = np.flatnonzero(strata.exchange == exchange)
    counts = strata.count[own]
    total = int(counts.sum())
    quantity, margin = np.empty(total), np.empty(total)
    start = np.cumsum(counts) - counts
    for first, count, s in zip(start.tolist(), counts.tolist(), own.tolist(), strict=True):
        asset = int(strata.asset[s])
        lots = position_lots(int(strata.lots[s]), count, float(strata.smallest[s]), float(strata.largest[s]), tail_index())
        rows = slice(first, first + count)
        quantity[rows] = lots * interest.lot[asset]
        margin[rows] = brackets[EXCHANGES[exchange], interest.assets[asset]].initial_margin(quantity[rows] * interest.prices[asset])
    stratum = np.repeat(np.arange(own.size), counts)
    asset_of, side_of = strata.asset[own][stratum], np.array(SIDES)[strata.side[own]][stratum]
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(exchange, 0)))
    return Positions(
        asset_of,
        side_of,
        strata.band[own][stratum],
        quantity * side_of,
        quantity * interest.prices[asset_of],
        margin,
        random.random(len(DIMENSIONS)),
    )


def join_accounts(exchange: int, positions: Positions, accounts: int, assumptions: Assumptions, *, seed: int) -> tuple[Ints, Ints]:
    """Join positions into a given number of accounts.

    Returns
    -------
    tuple
        Account of every position, and the leading (first) position of every account.

    Raises
    ------
    AssumptionError
        If even the largest portfolios leave more accounts than wanted.
    """
    pool = np.where(positions.spread("pool") < assumptions.number("portfolio.mixed"), len(SIDES), (1 - positions.side) // 2)
    group = positions.band * (len(SIDES) + 1) + pool
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(exchange, 1)))
    size = np.floor(np.log2(positions.notional) / 2).astype(np.int64)
    order = np.lexsort((random.random(group.size), -size, group))
    group, asset = group[order], positions.asset[order]
    wanted = order.size - accounts
    legs = max(2, round(assumptions.number("portfolio.legs")))
    most = int(positions.asset.max()) + 1
    while True:
        block, candidate = _candidates(group, asset, legs)
        if int(candidate.sum()) >= wanted:
            break
        if legs >= most:
            raise AssumptionError(
                f"{order.size} positions at {EXCHANGES[exchange]} cannot be joined into {accounts} accounts; lower portfolio.positions"
            )
        legs = min(2 * legs, most)
    joined = _choose(block, candidate, wanted, random)
    account = np.cumsum(~joined) - 1
    first = np.searchsorted(block, np.arange(int(block[-1]) + 1))
    account[joined] = account[first[block[joined]]]
    account_of = np.empty_like(account)
    account_of[order] = account
    return account_of, order[~joined]


def _candidates(group: Ints, asset: Ints, legs: int) -> tuple[Ints, Flags]:
    """Blocks of up to ``legs`` neighbours in a group, and the positions that may join the first of their block."""
    opens = np.flatnonzero(np.diff(group, prepend=-1))
    place = np.arange(group.size) - np.repeat(opens, np.diff(opens, append=group.size))
    first = place % legs == 0
    block = np.cumsum(first) - 1
    candidate = ~first
    for back in range(1, legs):
        same = (block[back:] == block[:-back]) & (asset[back:] == asset[:-back])
        candidate[back:] &= ~same
    return block, candidate


def _choose(block: Ints, candidate: Flags, wanted: int, random: np.random.Generator) -> Flags:
    """Draw blocks until they hold the candidates wanted; the last one gives only as many as are missing."""
    if wanted <= 0:
        return np.zeros(block.size, dtype=np.bool_)
    per_block = np.bincount(block, weights=candidate).astype(np.int64)
    drawn = random.permutation(per_block.size)
    running = np.cumsum(per_block[drawn])
    last = int(np.searchsorted(running, wanted))
    chosen = np.zeros(per_block.size, dtype=np.bool_)
    chosen[drawn[: last + 1]] = True
    joined = candidate & chosen[block]
    surplus = int(running[last]) - wanted
    if surplus:
        joined[np.flatnonzero(joined & (block == drawn[last]))[-surplus:]] = False
    return joined

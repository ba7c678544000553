"""Which accounts a vault can take over whole, one after the other, while its own margin balance holds.

The accounts come in the vault's order. Cost O(positions of the candidates): the vault's maintenance is kept up to date by
market, so one more account costs its own rows only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.kernels.compiled import compiled

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints


PAYS_FROM = 5_000
"""Candidates from which compiling the loop pays."""


def take_over_loop(
    candidates: Ints,
    margin: Floats,
    start: Ints,
    market: Ints,
    quantity: Floats,
    mark: Floats,
    tier_start: Ints,
    floor: Floats,
    rate: Floats,
    deduction: Floats,
    held: Floats,
    vault_margin: float,
) -> int:
    """Number of candidates taken, from the first; ``held`` (units by market) is the vault's and is left as it ends up.

    Stops at the first account after which the vault's margin balance would be below its maintenance margin.
    """
    needed = np.zeros(held.size)
    total = 0.0
    for v in range(held.size):
        notional = abs(held[v]) * mark[v]
        bracket = tier_start[v]
        if notional > 0.0 and bracket < tier_start[v + 1]:
            while bracket + 1 < tier_start[v + 1] and notional >= floor[bracket + 1]:
                bracket += 1
            needed[v] = notional * rate[bracket] - deduction[bracket]
            total += needed[v]
    for place in range(candidates.size):
        account = candidates[place]
        after = total
        for row in range(start[account], start[account + 1]):
            v = market[row]
            held[v] += quantity[row]
            notional = abs(held[v]) * mark[v]
            want = 0.0
            bracket = tier_start[v]
            if notional > 0.0 and bracket < tier_start[v + 1]:
                while bracket + 1 < tier_start[v + 1] and notional >= floor[bracket + 1]:
                    bracket += 1
                want = notional * rate[bracket] - deduction[bracket]
            after += want - needed[v]
            needed[v] = want
        if vault_margin + margin[account] < after:
            for row in range(start[account], start[account + 1]):
                held[market[row]] -= quantity[row]
            return place
        vault_margin += margin[account]
        total = after
    return candidates.size


def take_over(
    candidates: Ints,
    margin: Floats,
    start: Ints,
    market: Ints,
    quantity: Floats,
    mark: Floats,
    tiers: tuple[Ints, Floats, Floats, Floats],
    held: Floats,
    vault_margin: float,
) -> int:
    """Run the loop, compiled where there are many candidates."""
    kernel = compiled(take_over_loop) if candidates.size >= PAYS_FROM else take_over_loop
    return int(kernel(candidates, margin, start, market, quantity, mark, *tiers, held, vault_margin))

"""What an envelope answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats


@dataclass(frozen=True, slots=True)
class Envelope:
    """Bounds on everything that a set of shocks can do.

    Attributes
    ----------
    safe
        The run is surely not system-wide.
    safe_a
        It surely is not by condition (a), induced liquidation.
    induced
        Upper bound of condition (a), a share of open interest.
    exchanges
        Upper bound of condition (b), the number of exchanges that fail though the shock does not name them.
    peg
        Lower bound of condition (c), the lowest index price over peg of a stablecoin that the shock does not name.
    bad_debt
        Upper bound of condition (d), bad debt over all insurance funds.
    low, high
        Ends of the mid price of each market in any round from the shock on, USD.
    hit
        Accounts that may be liquidated, taken over, closed with their owner, or made to sell by another rule.
    failing
        Nodes that may default, those included that the shock names.
    bad_debt_usd
        Upper bound of bad debt by exchange, USD.
    passes
        Passes over the network until the bounds held.
    unknown
        What the envelope does not cover here; empty if the bounds hold. Nothing is called safe otherwise.
    complete
        Whether the bounds were followed to the end. An envelope may stop as soon as it can no longer answer safe; then its
        bounds are those so far and hold for nothing.
    """

    safe: bool
    safe_a: bool
    induced: float
    exchanges: int
    peg: float
    bad_debt: float
    low: Floats = field(repr=False)
    high: Floats = field(repr=False)
    hit: Flags = field(repr=False)
    failing: Flags = field(repr=False)
    bad_debt_usd: Floats = field(repr=False)
    passes: int
    unknown: tuple[str, ...]
    complete: bool

    @property
    def count(self) -> int:
        """Number of accounts that may be hit."""
        return int(self.hit.sum())

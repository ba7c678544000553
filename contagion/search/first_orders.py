"""The orders that start a cascade: what the shock forces nodes to trade before their own trades have moved a price.

They are the forced orders of the first round that has any: liquidations, the closing of a failed node's accounts, sales of a
leverage rule, coins sold against a debt, backing sold and hedges closed to pay redemptions. Later rounds see prices that these
orders have moved. Opposite orders in one book net, as they do when they execute; takeovers and auto-deleveraging send no order.
Without feedback nothing else would breach, so under full liquidation of a price shock this is all that the benchmark closes, net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.journal import Flow

if TYPE_CHECKING:
    from contagion.cascade import Cascade

FORCED_ORDERS: Final = (
    Flow.LIQUIDATION,
    Flow.DEFAULT_CLOSE,
    Flow.DELEVERAGE,
    Flow.COIN_SALE,
    Flow.HOLDING_SALE,
    Flow.BACKING_SALE,
    Flow.HEDGE,
)
"""Flows that reach a book and that nobody chose."""


@dataclass(frozen=True, slots=True)
class FirstOrders:
    """Forced orders of the first round that has any.

    Attributes
    ----------
    usd
        USD at P₀, the sum over books of the absolute net order: net sales, and after a rise net purchases.
    depth_usd
        1 % depth of the books that they hit, summed, USD at P₀, as it was in that round: the scenario's factor is in it.
    round
        When; -1 if nobody is forced to trade at all.
    """

    usd: float
    depth_usd: float
    round: int

    @property
    def over_depth(self) -> float:
        """Orders over 1 % depth: about the fall in percent that they make at once; NaN if there are none."""
        return self.usd / self.depth_usd if self.depth_usd > 0 else float("nan")


def first_orders(cascade: Cascade) -> FirstOrders:
    """Forced orders that start a cascade.

    Examples
    --------
    >>> from contagion.search.trial import Bench
    >>> from contagion.shocks import parse_shock
    >>> from graphs.toys import one_book_ladder
    >>> first_orders(Bench.of(one_book_ladder()).cascade([parse_shock("COIN=-3%")])).usd
    400.0
    """
    journal, price = cascade.outcome.state.journal, cascade.prepared.system.markets.price
    rounds = [when for kind in FORCED_ORDERS for when, units in journal.units[kind] if units.any()]
    if not rounds:
        return FirstOrders(0.0, 0.0, -1)
    first = min(rounds)
    net = np.zeros(price.size)
    for kind in FORCED_ORDERS:
        for (when, units), (_, longs) in zip(journal.units[kind], journal.longs[kind], strict=True):
            if when == first:
                net += 2.0 * longs - units
    depth = np.asarray(journal.series["depth"][first])
    hit = net != 0.0
    return FirstOrders(float((np.abs(net) * price)[hit].sum()), float((depth * price)[hit].sum()), first)

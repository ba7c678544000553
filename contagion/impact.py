"""Price impact of a net order, in three published forms.

``depth`` of a table is the USD that moves the mid price by 1 %; it is turned into units once, at the network's price.
Q is the net quantity bought, in units, negative when sold; D the depth in units, P the price before.

=============  ==========================================  ====================================
form           price after                                 cost of the net order, USD
=============  ==========================================  ====================================
exponential    P·e^{kQ}, k = -ln 0.99 / D                  P(e^{kQ} - 1)/k
linear         P + 0.01·P₀·Q/D, floor 0                    Q·(P + P')/2 above the floor
square_root    P + sign(Q)·0.01·P₀·√(|Q|/D), floor 0       Q·P + (2/3)·Q·(P' - P) above the floor
=============  ==========================================  ====================================

The exponential form adds log moves, so splitting an order changes nothing (Cont and Schaanning 2017 use it with a floor).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from contagion.settings import Impact


K_UNIT = -np.log(0.99)
"""Log move of one depth."""


@dataclass(frozen=True, slots=True)
class Fill:
    """What net orders did.

    Attributes
    ----------
    price
        Price after, a market each.
    average
        Volume-weighted price of the net order; the price before where nothing traded net.
    """

    price: Floats
    average: Floats


def execute(form: Impact, price: Floats, start: Floats, depth: Floats, net: Floats) -> Fill:
    """Execute net orders on books.

    Parameters
    ----------
    form
        Form of the impact.
    price, start
        Price before and price of the network, USD.
    depth
        Depth in units; ``inf`` moves nothing.
    net
        Units bought, negative when sold.

    Examples
    --------
    A sale of one depth lowers the price by 1 %.

    >>> one = np.ones(1)
    >>> execute("exponential", 100 * one, 100 * one, 5 * one, -5 * one).price
    array([99.])
    """
    if form == "exponential":
        k = K_UNIT / depth
        growth = np.expm1(k * net)
        after = price * (1.0 + growth)
        with np.errstate(divide="ignore", invalid="ignore"):
            average = np.where(k * net != 0.0, price * growth / (k * net), price)
        return Fill(after, average)
    power = 1.0 if form == "linear" else 0.5
    size = np.abs(net)
    move = 0.01 * start * (size / depth) ** power
    buy = net >= 0
    after = np.where(buy, price + move, np.maximum(price - move, 0.0))
    mean = 1.0 / (1.0 + power)  # the mean of the move over the order is this share of the last one
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(move > 0, np.minimum((price / move) ** (1.0 / power), 1.0), 1.0)  # share filled above the floor
    sold = reach * (price - mean * move * reach**power)
    return Fill(after, np.where(buy, price + mean * move, sold))


def quantity_to(form: Impact, price: Floats, start: Floats, depth: Floats, goal: Floats) -> Floats:
    """Units that must be bought (negative: sold) to move each price to ``goal``.

    Examples
    --------
    >>> one = np.ones(1)
    >>> float(quantity_to("linear", 100 * one, 100 * one, 5 * one, 99 * one)[0])
    -5.0
    """
    if form == "exponential":
        return np.asarray(np.log(goal / price) * (depth / K_UNIT))
    power = 1.0 if form == "linear" else 0.5
    move = (goal - price) / (0.01 * start)
    return np.asarray(np.sign(move) * depth * np.abs(move) ** (1.0 / power))

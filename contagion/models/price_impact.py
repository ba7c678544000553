"""What a sale does to a price when depth is stated as the sale, in currency, that would take the whole price at the initial slope.

That is the D of Cont and Schaanning (2017) and 1/l of Greenwood, Landier and Thesmar (2015). A depth that is
stated as the sale that moves the price by 1 % is a hundredth of it (linear) or −ln 0.99 of it (exponential without floor):
:func:`from_one_percent` converts. Prices are relative to those before the shock, floors too.

===========  ===========================================  ===========================================
impact       order in value, q at the prices of the round  order in units, q at the prices before the shock
===========  ===========================================  ===========================================
exponential  S ← S − (S − B)(1 − e^(−q/δ)), δ = (1 − B)D   the same with q in units
linear       S ← max(S − S·q/D, B)                        S ← max(S − q/D, B)
===========  ===========================================  ===========================================

The value form is Cont and Schaanning's; the unit form adds up: a sale in two parts does what it does whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from contagion.arrays import Floats

Form = Literal["exponential", "linear"]
Order = Literal["value", "units"]


@dataclass(frozen=True, slots=True)
class Market:
    """Prices and what moves them.

    Attributes
    ----------
    depth
        D of each asset; ``inf`` moves nothing.
    floor
        B, the price below which sales do not push, relative to the price before the shock.
    form, order
        Row and column of the table above.
    """

    depth: Floats
    floor: Floats
    form: Form
    order: Order

    def sell(self, price: Floats, sold: Floats) -> tuple[Floats, Floats]:
        """Execute sales.

        Parameters
        ----------
        price
            Relative price of each asset before.
        sold
            What is sold, valued at the prices before the shock.

        Returns
        -------
        fall, given_up
            Fall of the price relative to the price before the sale, and the part of that fall which the seller gives up on what it
            sells, if it sells along the way rather than at the mean of the two prices.
        """
        amount = sold * price if self.order == "value" else sold
        room = np.maximum(price - self.floor, 0.0)
        if self.form == "exponential":
            with np.errstate(divide="ignore", invalid="ignore"):
                x = np.where(amount > 0, amount / ((1.0 - self.floor) * self.depth), 0.0)
            drop, mean = room * -np.expm1(-x), _mean_of_exponential(x)
        else:
            step = amount / self.depth * (price if self.order == "value" else 1.0)
            drop = np.minimum(step, room)
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = np.where(step > 0, drop / step, 1.0)  # share sold before the floor
            mean = 1.0 - reach / 2.0
        with np.errstate(divide="ignore", invalid="ignore"):
            fall = np.where(price > 0, drop / price, 0.0)
        return fall, mean


def from_one_percent(depth: ArrayLike, *, impact: Form = "exponential") -> Floats:
    """Convert a depth stated as the sale that moves the price by 1 % into D.

    Examples
    --------
    >>> float(from_one_percent(1e6, impact="linear"))
    100000000.0
    """
    given = np.asarray(depth, dtype=np.float64)
    return np.asarray(given * 100.0 if impact == "linear" else given / -np.log(0.99))


def _mean_of_exponential(x: Floats) -> Floats:
    """(1 − (1 − e^−x)/x)/(1 − e^−x): mean over the sale of the fall so far, over the fall at its end."""
    small = x < 1e-4  # noqa: PLR2004 where the quotient loses digits and three terms have them all
    safe = np.where(small, 1.0, x)
    end = -np.expm1(-safe)
    return np.where(small, 0.5 + x / 12.0, (1.0 - end / safe) / end)

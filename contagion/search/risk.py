"""Risk: how likely each driver's move is, so that shocks of different kinds can be ranked by one measure.

Logarithms of factors (price, price over peg, depth) are jointly distributed over a horizon, with standard deviations σ√T
and a correlation ρ_ij = λ_i·λ_j of one common factor, unless a pair is stated; defaults and outages happen with a stated
probability p and count as Φ⁻¹(1 - p) standard deviations. What the network states (volatility by coin) is used; everything
else is an assumption that stands here and can be set by a TOML file. The defaults are orders of magnitude, not estimates.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from contagion.documents import read_toml, validate
from contagion.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.arrays import Floats
    from contagion.search.drivers import Driver

_LOADING: Final = {"price": "correlation", "peg": "peg_correlation", "depth": "depth_correlation"}


class Risk(BaseModel):
    """Assumptions on how drivers move over a horizon.

    Attributes
    ----------
    horizon_days
        Length T of the horizon.
    volatility, peg_volatility, venue_peg_volatility, depth_volatility
        Standard deviation of the logarithm a day: of an asset that states none, of a stablecoin that states none, of a
        stablecoin's price on one exchange alone, of an exchange's depth.
    correlation
        Of two assets' log prices.
    peg_correlation, depth_correlation
        Of two pegs, and of two depths; a peg and an asset have the geometric mean of both, and so on.
    pairs
        Correlations of single pairs of drivers by their keys, such as ``"BTC,ETH" = 0.9``.
    probabilities
        Probability over a year that an exchange fails (``exchange``), is out of service when it matters (``outage``), or a
        large trader defaults (``trader``); a node's own id overrides its kind.
    tail
        Degrees of freedom of the Student t that is sampled.
    jump_probability, jump_size
        Probability a horizon of a common jump, and its mean size in standard deviations (exponentially distributed).

    Examples
    --------
    >>> Risk(correlation=0.5).sigmas_of_probability(0.00135)
    3.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    horizon_days: float = Field(default=1.0, gt=0)
    volatility: float = Field(default=0.04, gt=0)
    peg_volatility: float = Field(default=0.005, gt=0)
    venue_peg_volatility: float = Field(default=0.02, gt=0)
    depth_volatility: float = Field(default=0.5, gt=0)
    correlation: float = Field(default=0.7, ge=0, lt=1)
    peg_correlation: float = Field(default=0.2, ge=0, lt=1)
    depth_correlation: float = Field(default=0.5, ge=0, lt=1)
    pairs: dict[str, float] = {}
    probabilities: dict[str, float] = {}
    tail: float = Field(default=4.0, gt=2)
    jump_probability: float = Field(default=0.01, ge=0, le=1)
    jump_size: float = Field(default=2.0, ge=0)

    @field_validator("pairs")
    @classmethod
    def _are_correlations(cls, pairs: dict[str, float]) -> dict[str, float]:
        for pair, value in pairs.items():
            if pair.count(",") != 1 or not -1 < value < 1:
                msg = f'{pair} = {value}: write two drivers and a correlation between -1 and 1, such as "BTC,ETH" = 0.9'
                raise ValueError(msg)
        return pairs

    @field_validator("probabilities")
    @classmethod
    def _are_probabilities(cls, probabilities: dict[str, float]) -> dict[str, float]:
        for name, value in probabilities.items():
            if not 0 < value < 1:
                msg = f"{name} = {value} is no probability over a year; write a number between 0 and 1"
                raise ValueError(msg)
        return probabilities

    @classmethod
    def from_toml(cls, path: Path | str) -> Risk:
        """Read a file.

        Raises
        ------
        RunError
            If it is not there, is no TOML, or an assumption is out of range.
        """
        path = Path(path)
        return validate(cls, read_toml(path, RunError), str(path), RunError)

    def probability(self, kind: str, name: str) -> float:
        """Probability over the horizon of what a binary driver does.

        Parameters
        ----------
        kind
            ``exchange``, ``outage`` or ``trader``.
        name
            The node.
        """
        yearly = self.probabilities.get(name, self.probabilities.get(kind, _YEARLY[kind]))
        return -math.expm1(math.log1p(-yearly) * self.horizon_days / _DAYS)

    @staticmethod
    def sigmas_of_probability(probability: float) -> float:
        """Standard deviations of a normal variable that is exceeded with this probability, to four digits."""
        from scipy.special import ndtri

        return round(float(-ndtri(probability)), 4)

    def correlations(self, drivers: Sequence[Driver]) -> Floats:
        """Correlation of drivers' falls, drivers × drivers, positive definite; binary drivers are independent of all.

        Raises
        ------
        RunError
            If the stated pairs name no driver, or make a matrix that no distribution has.
        """
        loading = np.array([math.sqrt(getattr(self, _LOADING[d.kind])) if d.kind in _LOADING else 0.0 for d in drivers])
        sign = np.array([-1.0 if d.rises else 1.0 for d in drivers])
        matrix = np.outer(loading * sign, loading * sign)
        np.fill_diagonal(matrix, 1.0)
        place = {driver.key: number for number, driver in enumerate(drivers)}
        for pair, value in self.pairs.items():
            one, other = (part.strip() for part in pair.split(","))
            if one in place and other in place:
                matrix[place[one], place[other]] = matrix[place[other], place[one]] = value
        if drivers and float(np.linalg.eigvalsh(matrix)[0]) <= _DEFINITE:
            raise RunError(
                "the stated correlations contradict each other (their matrix is not positive definite); lower the pairs that are stated"
            )
        return matrix


_YEARLY: Final = {"exchange": 0.02, "outage": 0.999, "trader": 0.05}
_DAYS: Final = 365.0
_DEFINITE: Final = 1e-10

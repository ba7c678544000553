"""Settings of a run: what is neither the network nor the shock.

The classical models of the literature are values of these (see ``contagion.models``): Eisenberg–Noe is the default
credit valuation, Rogers–Veraart sets ``alpha`` and ``beta`` below one, Furfine takes ``valuation="threshold"``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Impact = Literal["exponential", "linear", "square_root"]
Valuation = Literal["clearing", "threshold", "debtrank", "nonlinear_debtrank"]


class SystemWide(BaseModel):
    """Thresholds of a system-wide cascade, one for each of the four conditions.

    Attributes
    ----------
    induced_liquidation
        (a) share of initial open interest closed beyond what the same shock closes without feedback.
    exchange_default
        (b) number of exchanges that fail though the shock did not name them.
    depeg
        (c) final index price over peg below which a stablecoin that the shock did not name has broken.
    bad_debt
        (d) bad debt over the sum of all insurance funds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    induced_liquidation: float = Field(default=0.2, gt=0)
    exchange_default: int = Field(default=1, ge=1)
    depeg: float = Field(default=0.95, gt=0, le=1)
    bad_debt: float = Field(default=1.0, gt=0)


class Settings(BaseModel):
    """How a run is computed.

    Attributes
    ----------
    impact
        Form of the price impact of a net order.
    feedback
        False is the benchmark of the system-wide test: infinite depth, no arbitrage, no redemption, and claims fall
        only on nodes that the shock names.
    withdrawal
        Strength w of the withdrawal of quotes: depth is multiplied by exp(-w × largest absolute log move so far).
    tie
        Whether a margin balance equal to the maintenance margin is a breach.
    valuation
        What a claim on a debtor with equity E is worth: ``clearing`` its share of what is there, ``threshold``
        ``recovery`` once E < 0, ``debtrank`` E⁺/E(0), ``nonlinear_debtrank`` 1 - h·exp(a(h - 1)) with h = 1 - E⁺/E(0).
    alpha, beta
        Share of a defaulted debtor's own assets and of its claims that is left after default costs.
    recovery
        Value of a claim on a defaulted debtor under ``threshold``, and on any node that the shock defaults by name.
    nonlinearity
        The a of nonlinear DebtRank.
    external_seniority
        Whether external debt ranks with seniority 1 or before it.
    max_rounds
        A run that has not settled by then stops and says so.
    system_wide
        Thresholds of the verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    impact: Impact = "exponential"
    feedback: bool = True
    withdrawal: float = Field(default=0.0, ge=0)
    tie: Literal["breach", "safe"] = "breach"
    valuation: Valuation = "clearing"
    alpha: float = Field(default=1.0, ge=0, le=1)
    beta: float = Field(default=1.0, ge=0, le=1)
    recovery: float = Field(default=0.0, ge=0, le=1)
    nonlinearity: float = Field(default=0.0, ge=0)
    external_seniority: Literal["pari_passu", "senior"] = "pari_passu"
    max_rounds: int = Field(default=10_000, ge=1)
    system_wide: SystemWide = SystemWide()

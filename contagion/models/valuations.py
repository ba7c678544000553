"""Instances of the valuation frame: the classical models as rules for what a claim is worth.

Each is a function of (equity, sheets) that gives a number from 0 to 1 by debtor. All but :class:`ExAnte` also know the exact solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from contagion.models.clearing import clear
from contagion.models.debtrank import debtrank
from contagion.models.errors import ModelError
from contagion.models.threshold import cascade
from contagion.models.valuation import slack

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from contagion.models.sheets import BalanceSheets

Seniority = Literal["pari_passu", "external_senior"]


def _share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ModelError(f"{name} is {value!r}; give a share from 0 to 1")


def _debts(sheets: BalanceSheets, seniority: str) -> Floats:
    """The p̄ among which a defaulted debtor's assets are shared."""
    if seniority not in {"pari_passu", "external_senior"}:
        raise ModelError(f"seniority is {seniority!r}; give 'pari_passu' or 'external_senior'")
    return sheets.owed + (sheets.external_liabilities if seniority == "pari_passu" else 0.0)


def _ratio(above: Floats, below: Floats) -> Floats:
    """A share from 0 to 1; 1 where nothing is owed."""
    return np.clip(np.divide(above, below, out=np.ones_like(above), where=below > 0), 0.0, 1.0)


@dataclass(frozen=True)
class RogersVeraart:
    """Clearing with default costs (Rogers and Veraart 2013, eq. 2.3).

    Attributes
    ----------
    alpha, beta
        Shares of external assets and of claims that default leaves.
    seniority
        Whether outside creditors rank "pari_passu" or are paid first ("external_senior").
    """

    alpha: float = 1.0
    beta: float = 1.0
    seniority: Seniority = "pari_passu"

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        _share("alpha", self.alpha)
        _share("beta", self.beta)

    def __call__(self, equity: Floats, sheets: BalanceSheets) -> Floats:
        """Value a claim."""
        debts = _debts(sheets, self.seniority)
        own = sheets.external_assets
        income = equity + sheets.owed + sheets.external_liabilities - own
        ahead = sheets.owed + sheets.external_liabilities - debts
        left = np.where(own > 0, self.alpha * own, own) + self.beta * income - ahead
        return np.where(equity >= -slack(sheets), 1.0, _ratio(left, debts))

    def settle(self, sheets: BalanceSheets) -> tuple[Floats, int]:
        """Clear; a debt that a shock made of external assets joins the external liabilities, which only pari passu would dilute."""
        if (sheets.external_assets < 0).any():
            raise ModelError("external assets below zero have no rank in clearing; use exact=False, or enter them as external liabilities")
        found = clear(
            sheets.liabilities,
            sheets.external_assets,
            external_liabilities=sheets.external_liabilities,
            alpha=self.alpha,
            beta=self.beta,
            seniority=self.seniority,
        )
        return _ratio(found.by_class[-1], _debts(sheets, self.seniority)), found.solves


@dataclass(frozen=True)
class EisenbergNoe:
    """Clearing without default costs (Eisenberg and Noe 2001, eqs. 6-7).

    Attributes
    ----------
    seniority
        Whether outside creditors rank "pari_passu" or are paid first ("external_senior").
    """

    seniority: Seniority = "pari_passu"

    def __call__(self, equity: Floats, sheets: BalanceSheets) -> Floats:
        """Value a claim."""
        debts = _debts(sheets, self.seniority)
        return np.where(equity >= -slack(sheets), 1.0, _ratio(equity + debts, debts))

    def settle(self, sheets: BalanceSheets) -> tuple[Floats, int]:
        """Clear."""
        return RogersVeraart(seniority=self.seniority).settle(sheets)


@dataclass(frozen=True)
class Furfine:
    """A fixed recovery on whoever is insolvent (Furfine 2003).

    Attributes
    ----------
    recovery
        R, from 0 to 1.
    """

    recovery: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        _share("recovery", self.recovery)

    def __call__(self, equity: Floats, sheets: BalanceSheets) -> Floats:
        """Value a claim."""
        return np.where(equity >= -slack(sheets), 1.0, self.recovery)

    def settle(self, sheets: BalanceSheets) -> tuple[Floats, int]:
        """Let the cascade run: solvent at equity zero, so ties survive."""
        buffer = sheets.equity(np.ones(len(sheets.nodes)))
        buffer = np.where(np.abs(buffer) <= slack(sheets), 0.0, buffer)
        found = cascade(sheets.exposures, buffer + slack(sheets) * (buffer >= 0), [], recovery=self.recovery, tie="survive")
        return np.where(found.defaulted, self.recovery, 1.0), 0


@dataclass(frozen=True)
class NonlinearDebtRank:
    """DebtRank with slow onset (Bardoscia and others 2016): V = 1 - h·e^{a(h - 1)}, h the lost share of book equity.

    Attributes
    ----------
    a
        0 is linear.
    """

    a: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no rate."""
        if not (np.isfinite(self.a) and self.a >= 0):
            raise ModelError(f"a is {self.a!r}; give a finite number of at least zero")

    def __call__(self, equity: Floats, sheets: BalanceSheets) -> Floats:
        """Value a claim. A debtor without book equity is worth 1 until it is insolvent."""
        book = sheets.book_equity
        solvent = (equity >= -slack(sheets)).astype(np.float64)
        h = 1.0 - np.where(book > 0, np.clip(np.divide(equity, book, out=np.zeros_like(equity), where=book > 0), 0.0, 1.0), solvent)
        return 1.0 - h * np.exp(self.a * (h - 1.0))

    def settle(self, sheets: BalanceSheets) -> tuple[Floats, int]:
        """Spread distress from what the shock took of book equity; a gain protects nobody above book."""
        book = sheets.book_equity
        lost = book - sheets.equity(np.ones(book.size))
        lost = np.where(np.abs(lost) <= slack(sheets), 0.0, lost)
        if (lost < 0).any():
            raise ModelError("equity at face is above book equity; use exact=False, which values it")
        shock = np.where(book > 0, np.divide(lost, book, out=np.zeros_like(lost), where=book > 0), ((book < 0) | (lost > 0)) * 1.0)
        found = debtrank(sheets.exposures, np.maximum(book, 0.0), shock, weights=np.ones(book.size), variant="nonlinear", a=self.a)
        return 1.0 - found.distress * np.exp(self.a * (found.distress - 1.0)), found.solves


@dataclass(frozen=True)
class LinearDebtRank:
    """Claims lose value as their debtor loses equity (Bardoscia and others 2015): V = E⁺/M, M the book equity."""

    def __call__(self, equity: Floats, sheets: BalanceSheets) -> Floats:
        """Value a claim."""
        return NonlinearDebtRank()(equity, sheets)

    def settle(self, sheets: BalanceSheets) -> tuple[Floats, int]:
        """Spread distress."""
        return NonlinearDebtRank().settle(sheets)


@dataclass(frozen=True)
class ExAnte:
    """Expected payment at maturity when external assets are lognormal (Merton 1974; Barucca and others 2020, section 4).

    A debtor's external assets A become A·X at maturity T, ln X normal with variance s² = σ²T and mean one of X, all else as
    it is now. It defaults where E + A(X - 1) < 0, and then pays the share (1 + (E + A(X - 1))/p̄)⁺ of its debts, of which β is left:

        V = 1 - P(X < u) + β[(1 + (E - A)/p̄)(P(X < u) - P(X < l)) + (A/p̄)(E[X; X < u] - E[X; X < l])],

    u = 1 - E/A, l = (1 - (E + p̄)/A)⁺, P(X < x) = Φ((ln x + s²/2)/s), E[X; X < x] = Φ((ln x - s²/2)/s). As s → 0 it is Eisenberg and
    Noe's with β = 1, and Furfine's with β = 0.

    Attributes
    ----------
    volatility
        σ of external assets per year.
    maturity
        T in years.
    beta
        Share of what a defaulted debtor has that reaches creditors.
    seniority
        Whether outside creditors rank "pari_passu" or are paid first ("external_senior").
    """

    volatility: float
    maturity: float = 1.0
    beta: float = 1.0
    seniority: Seniority = "pari_passu"

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _share("beta", self.beta)
        if not (self.volatility > 0 and self.maturity > 0 and np.isfinite(self.volatility * self.maturity)):
            raise ModelError(f"volatility is {self.volatility!r} and maturity {self.maturity!r}; give finite numbers above zero")

    def __call__(self, equity: Floats, sheets: BalanceSheets) -> Floats:
        """Value a claim."""
        from scipy.special import ndtr

        s = self.volatility * np.sqrt(self.maturity)
        debts, own = _debts(sheets, self.seniority), sheets.external_assets
        sure = (own <= 0) | (debts <= 0)
        A, p = np.where(sure, 1.0, own), np.where(sure, 1.0, debts)
        high, low = np.maximum(1.0 - equity / A, 0.0), np.maximum(1.0 - (equity + p) / A, 0.0)
        with np.errstate(divide="ignore"):
            log_high, log_low = np.log(high), np.log(low)
        chance = ndtr(log_high / s + s / 2), ndtr(log_low / s + s / 2)
        mean = ndtr(log_high / s - s / 2), ndtr(log_low / s - s / 2)
        paid = (1.0 + (equity - A) / p) * (chance[0] - chance[1]) + A / p * (mean[0] - mean[1])
        value = np.clip(1.0 - chance[0] + self.beta * paid, 0.0, 1.0)
        known = np.where(equity >= -slack(sheets), 1.0, np.where(debts > 0, self.beta * _ratio(equity + debts, debts), 0.0))
        return np.where(sure, known, value)

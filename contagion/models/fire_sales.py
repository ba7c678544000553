"""Fire sales: banks above a limit of leverage sell what others hold too.

Symbols: Π (N × K) marketable holdings, entry [i, k] what bank i holds of asset k at market value before the shock; I illiquid
assets, C capital, S prices relative to those before the shock, D depth (see :mod:`contagion.models.price_impact`). Leverage of a
bank is assets over capital, λ_i = (Σ_k Π_ik + I_i + cash_i)/C_i. Currency is any, one for all; answers scale with it.

A round, from the state at its start (Cont and Schaanning 2017):

1. a bank with λ_i above its limit sells the share Γ_i = min(1, (assets_i − target_i·C_i − cash_i)/Σ_k Π_ik) of every holding; a
   bank without capital sells all;
2. prices fall by Ψ_k(q), q the sum of what is sold of k; what is kept loses Ψ_k, what is sold α·Ψ_k (α = ½: it sells at the mean
   of the two prices), so C_i falls by Σ_k (1 − (1 − α)Γ_i) Π_ik Ψ_k;
3. proceeds repay debt, at once or in the next round.

Each bank sells the same share of everything, so Π after any rounds is diag(ρ)·Π·diag(S): the matrix is never copied, and a round costs
three products with it. Greenwood, Landier and Thesmar's one linear round is :func:`vulnerable_banks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from contagion.errors import ContagionError
from contagion.models.price_impact import Form, Market, Order
from contagion.models.vulnerable import VulnerableBanks, vulnerable_banks
from graphs.matrices import bipartite, row_sums, scaled, vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.arrays import Flags, Floats, Ints
    from graphs.matrices import Labelled, Matrix

__all__ = ["Deleveraging", "FireSaleError", "Round", "VulnerableBanks", "deleverage", "vulnerable_banks"]

TIE = 1e-12
"""Relative distance to the limit, and share of holdings, that count as none."""


class FireSaleError(ContagionError):
    """A fire sale is not asked for as it should be."""


@dataclass(frozen=True, eq=False)
class Round:
    """State after a round; round 0 is that after the shock, before any sale.

    Attributes
    ----------
    sold
        Γ, share of its holdings that each bank sold in this round.
    fall
        Ψ, fall of each price in this round.
    price
        S, prices after.
    marketable, capital, leverage
        Holdings, capital (at least 0) and leverage of each bank after, ``inf`` without capital.
    defaulted
        Banks found in default at the end of this round.
    """

    sold: Floats
    fall: Floats
    price: Floats
    marketable: Floats
    capital: Floats
    leverage: Floats
    defaulted: Flags


@dataclass(frozen=True, eq=False)
class Deleveraging:
    """What a fire sale came to.

    Attributes
    ----------
    banks, assets
        Names, in the order of all arrays.
    path
        State after the shock and after each round of sales.
    capital, shortfall
        Capital at the end, at least 0, and what was lost beyond it.
    loss, shock_loss
        Capital lost in all and by the shock itself.
    price
        Prices at the end relative to those before the shock.
    kept
        ρ, share of its initial units that each bank still holds.
    leverage
        Assets over capital at the end, ``inf`` without capital.
    defaulted, default_round
        Banks without capital, or with leverage above ``default_leverage``, and after which round; -1 never.
    rounds
        Rounds with sales, each three products with the holdings.
    residual
        Largest share of its holdings that a bank would still sell: 0 when settled.
    settled, reason
        Whether no bank wants to sell any more, and why the iteration stopped.
    initial
        Holdings before the shock.
    """

    banks: tuple[Any, ...]
    assets: tuple[Any, ...]
    path: tuple[Round, ...]
    capital: Floats
    shortfall: Floats
    loss: Floats
    shock_loss: Floats
    price: Floats
    kept: Floats
    leverage: Floats
    defaulted: Flags
    default_round: Ints
    rounds: int
    residual: float
    settled: bool
    reason: str
    initial: Matrix

    @cached_property
    def holdings(self) -> Matrix:
        """Holdings at the end, at the prices of the end; dense or sparse as the input was."""
        return scaled(self.initial, self.kept, self.price)

    @property
    def sold(self) -> Floats:
        """Share of all units of each asset that was sold."""
        units = np.asarray(self.initial.T @ np.ones(len(self.banks)))
        left = np.asarray(self.initial.T @ self.kept)
        return np.asarray(np.divide(units - left, units, out=np.zeros_like(units), where=units > 0))

    @property
    def solves(self) -> int:
        """Rounds with sales: the model solves no linear system."""
        return self.rounds


def deleverage(
    holdings: object,
    capital: object,
    depth: object,
    shock: object = 0.0,
    *,
    illiquid: object = None,
    illiquid_shock: object = None,
    cash: object = None,
    leverage_limit: object = 100.0 / 3.0,
    leverage_target: object = None,
    default_leverage: object = np.inf,
    impact: Form = "exponential",
    floor: object = 0.5,
    order: Order = "value",
    execution: float | Literal["along"] = 0.5,
    proceeds: Literal["repay", "keep"] = "repay",
    max_rounds: int = 10_000,
) -> Deleveraging:
    """Let banks that are above a limit of leverage sell until none is.

    Parameters
    ----------
    holdings
        Π, banks × assets, at market value before the shock; array, sparse matrix, frame, or bipartite NetworkX graph with bank → asset
        edges whose ``weight`` is the value.
    capital
        C before the shock, one number a bank (array in the order of rows, or mapping by name); banks with 0 are insolvent from the start.
    depth
        D of each asset, or one number: the sale that would take the whole price at the initial slope; ``inf`` moves nothing.
    shock
        Fall of each asset's price, as a fraction of it; one number for all, or a mapping of those that fall.
    illiquid
        Assets that cannot be sold: one number a bank, or a matrix of banks × classes.
    illiquid_shock
        Fraction lost of each class, or of each bank's own where ``illiquid`` is one number a bank.
    cash
        Cash with which a bank repays before it sells; it counts as an asset.
    leverage_limit
        λ_max, assets over capital above which a bank sells: a number, one a bank, or ``"own"``, each bank's leverage before the shock
        (leverage targeting). 33.3 is the Basel III ratio of 3 %. A limit of 1 lets a bank always act that is above its target.
    leverage_target
        Leverage down to which it sells; 0.95 of the limit by default (the limit itself under ``"own"``).
    default_leverage
        Leverage above which a bank is in default, sells everything and does nothing else.
    impact, floor, order
        Form of the impact, price floor B relative to the price before the shock, and whether a sale is measured in value or in units: see
        :mod:`contagion.models.price_impact`.
    execution
        α, share of a round's fall that a seller bears on what it sells; ``"along"`` is what selling along the impact curve costs.
    proceeds
        ``"repay"``: they leave the balance sheet in the round of the sale; ``"keep"``: they are cash when leverage is looked at next, and
        repay then, as in simulations where sales settle a step later.
    max_rounds
        Rounds of sales; a run that is stopped by it says so.

    Returns
    -------
    Deleveraging
        Frozen, with the path of every round and the residual.

    Raises
    ------
    MatrixError
        If a matrix or vector is not of the right shape or has a number that is not finite or is out of bounds.
    FireSaleError
        If an option is none of those stated, or two of them contradict each other.

    Notes
    -----
    Cost O(stored entries) a round; nothing of banks × banks is made. The engine of this package does the same with ``order="units"``,
    ``floor=0`` and ``execution="along"``, to the lot, with two differences. It sells the same share of all that a bank holds, so where
    part of that has no market it sells less a round, and rests anywhere between target and limit. And it leaves to the creditors what a
    bank in default holds off exchange, where this model sells it. A price already below the floor is not pushed further.

    References
    ----------
    Cont and Schaanning (2017), Fire sales, indirect contagion and systemic stress testing, Norges Bank Working Paper 2/2017.

    Examples
    --------
    Two banks share one asset; the first loses 2 on its own loans (Cont and Schaanning's illustration).

    >>> done = deleverage([[90], [70]], [4, 4.5], 4472.14, illiquid=[10, 20], illiquid_shock=[0.2, 0], leverage_limit=33.3)
    >>> done.rounds, done.capital.round(4), done.price.round(6)
    (3, array([1.2222, 3.6122]), array([0.987317]))
    """
    read = bipartite(holdings)
    banks, assets = read.rows, read.columns
    market = _market(assets, depth, floor, impact, order)
    _require_execution(execution)
    if proceeds not in {"repay", "keep"} or max_rounds < 0:
        raise FireSaleError(f"proceeds is {proceeds!r} and max_rounds {max_rounds}; give 'repay' or 'keep', and at least 0 rounds")
    fall = vector(shock, assets, what="shock", low=-np.inf, high=1.0, default=0.0)
    own, lost = _illiquid(illiquid, illiquid_shock, read)
    money = np.zeros(len(banks)) if cash is None else vector(cash, banks, what="cash", default=0.0)
    equity = vector(capital, banks, what="capital", low=-np.inf)
    limit, target = _leverage(leverage_limit, leverage_target, banks, row_sums(read.matrix) + own + money, equity)
    ruin = vector(default_leverage, banks, what="default_leverage", low=1.0, infinite=True)

    shock_loss = np.asarray(read.matrix @ fall) + lost
    sale = _Sale(read.matrix, market, execution, proceeds, equity - shock_loss, own - lost, money, 1.0 - fall)
    return _run(sale, read, (limit, target, ruin), shock_loss, max_rounds=max_rounds)


def _run(sale: _Sale, read: Labelled, rules: tuple[Floats, Floats, Floats], shock_loss: Floats, *, max_rounds: int) -> Deleveraging:
    limit, target, ruin = rules
    equity = sale.equity + shock_loss
    default_round = np.full(equity.size, -1, dtype=np.int64)
    share, path = sale.decide(limit, target, ruin, default_round, 0), []
    path.append(sale.record(np.zeros(equity.size), np.zeros(sale.price.size), default_round >= 0))
    rounds = 0
    while share.max(initial=0.0) > TIE and rounds < max_rounds:
        rounds += 1
        fall = sale.execute(share)
        sold, share = share, sale.decide(limit, target, ruin, default_round, rounds)
        path.append(sale.record(sold, fall, default_round >= 0))
    residual = float(share.max(initial=0.0))
    settled = residual <= TIE
    left = sale.equity
    return Deleveraging(
        banks=read.rows,
        assets=read.columns,
        path=tuple(path),
        capital=np.maximum(left, 0.0),
        shortfall=np.maximum(-left, 0.0),
        loss=equity - left,
        shock_loss=shock_loss,
        price=sale.price.copy(),
        kept=sale.kept.copy(),
        leverage=sale.leverage(),
        defaulted=default_round >= 0,
        default_round=default_round,
        rounds=rounds,
        residual=0.0 if settled else residual,
        settled=settled,
        reason="no bank wants to sell" if settled else f"stopped after {max_rounds} rounds",
        initial=read.matrix,
    )


@dataclass(eq=False)
class _Sale:
    """Balance sheets in the course of a sale."""

    holdings: Matrix
    market: Market
    execution: float | Literal["along"]
    proceeds: str
    equity: Floats
    illiquid: Floats
    cash: Floats
    price: Floats

    def __post_init__(self) -> None:
        """Start with all units and value them."""
        self.cash, self.illiquid = self.cash.copy(), np.maximum(self.illiquid, 0.0)
        self.kept = np.ones(self.equity.size)
        self.marketable = self._value(self.price)

    def _value(self, price: Floats) -> Floats:
        return np.asarray(self.kept * np.asarray(self.holdings @ price))

    def assets(self) -> Floats:
        return np.asarray(self.marketable + self.illiquid + self.cash)

    def leverage(self) -> Floats:
        assets = self.assets()
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.equity > 0, assets / self.equity, np.where(assets > 0, np.inf, 0.0))

    def decide(self, limit: Floats, target: Floats, ruin: Floats, default_round: Ints, now: int) -> Floats:
        """Mark defaults, let the others repay with cash, and return the share that each bank sells."""
        assets = self.assets()
        dead = default_round >= 0
        solvent = self.equity > 0
        own = np.where(solvent, self.equity, 1.0)  # no capital is above every limit, even an infinite one
        fallen = ~dead & (assets > 0) & (~solvent | (assets > ruin * own * (1 + TIE)))
        default_round[fallen] = now
        acts = ~dead & ~fallen & solvent & (assets > limit * own * (1 + TIE))
        need = np.where(acts, np.maximum(assets - target * own, 0.0), 0.0)
        paid = np.minimum(need, self.cash)
        self.cash -= paid
        wanted = np.divide(need - paid, self.marketable, out=np.zeros_like(need), where=self.marketable > 0)
        return np.where((dead | fallen) & (self.marketable > 0), 1.0, np.minimum(wanted, 1.0))

    def execute(self, share: Floats) -> Floats:
        """Sell a share of each bank's holdings; returns the fall of each price."""
        fall, along = self.market.sell(self.price, np.asarray(self.holdings.T @ (self.kept * share)))
        bears = along if self.execution == "along" else np.full(fall.size, float(self.execution))
        of_kept, of_sold = self._value(self.price * fall), self._value(self.price * fall * bears)
        self.equity = self.equity - ((1.0 - share) * of_kept + share * of_sold)
        if self.proceeds == "keep":
            self.cash += share * (self.marketable - of_sold)
        self.kept = self.kept * (1.0 - share)
        self.price = self.price * (1.0 - fall)
        self.marketable = self._value(self.price)
        return fall

    def record(self, sold: Floats, fall: Floats, defaulted: Flags) -> Round:
        return Round(sold, fall, self.price, self.marketable, np.maximum(self.equity, 0.0), self.leverage(), defaulted.copy())


def _require_execution(execution: object) -> None:
    if execution != "along" and not (isinstance(execution, int | float) and 0 <= execution <= 1):
        raise FireSaleError(f"execution is {execution!r}; give a share from 0 to 1, or 'along'")


def _market(assets: Sequence[Any], depth: object, floor: object, impact: str, order: str) -> Market:
    if impact not in {"exponential", "linear"} or order not in {"value", "units"}:
        raise FireSaleError(f"impact is {impact!r} and order {order!r}; give 'exponential' or 'linear', and 'value' or 'units'")
    deep = vector(depth, assets, what="depth", infinite=True)
    if (deep <= 0).any():
        flat = ", ".join(str(assets[i]) for i in np.flatnonzero(deep <= 0)[:8])
        raise FireSaleError(f"depth of {flat} is 0, so any sale takes the price to the floor; give a number above 0, inf for no impact")
    return Market(deep, vector(floor, assets, what="floor", high=1 - 1e-9), "linear" if impact == "linear" else "exponential",
                  "units" if order == "units" else "value")  # fmt: skip


def _illiquid(illiquid: object, shock: object, read: Labelled) -> tuple[Floats, Floats]:
    """Return illiquid assets of each bank before the shock, and what the shock takes of them."""
    count = len(read.rows)
    if illiquid is None:
        if shock is not None:
            raise FireSaleError("illiquid_shock is given but illiquid is not; give both")
        return np.zeros(count), np.zeros(count)
    if isinstance(illiquid, dict) or np.ndim(illiquid) < 2:  # type: ignore[arg-type]  # noqa: PLR2004 one number a bank
        own = vector(illiquid, read.rows, what="illiquid", default=0.0)
        part = np.zeros(count) if shock is None else vector(shock, read.rows, what="illiquid_shock", high=1.0, default=0.0)
        return own, own * part
    classes = bipartite(illiquid, what="illiquid")
    if classes.shape[0] != count:
        raise FireSaleError(f"illiquid has {classes.shape[0]} rows for {count} banks; give one row a bank")
    part = np.zeros(classes.shape[1]) if shock is None else vector(shock, classes.columns, what="illiquid_shock", high=1.0, default=0.0)
    return row_sums(classes.matrix), np.asarray(classes.matrix @ part)


def _leverage(limit: object, target: object, banks: Sequence[Any], assets: Floats, equity: Floats) -> tuple[Floats, Floats]:
    if isinstance(limit, str):
        if limit != "own":
            raise FireSaleError(f"leverage_limit is {limit!r}; give numbers of at least 1, or 'own'")
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.where(equity > 0, np.maximum(assets / equity, 1.0), 1.0)
    else:
        most = vector(limit, banks, what="leverage_limit", low=1.0, infinite=True)
    if target is None:
        return most, most if isinstance(limit, str) else np.where(np.isinf(most), most, np.maximum(0.95 * most, 1.0))
    aim = vector(target, banks, what="leverage_target", low=1.0, infinite=True)
    return most, aim

"""Vulnerable banks: one linear round of leverage targeting and who it hits (Greenwood, Landier and Thesmar 2015).

Symbols, banks n, assets k: h_nk = a_n m_nk holdings, a_n total assets, e_n capital, b_n debt over capital, l_k = 1/D_k price impact
of a sale of one unit of currency, f_k the fall of asset k (positive here, negative there).

1. r_n = Σ_k m_nk f_k                         what the shock takes of each bank's assets
2. y_n = a_n b_n r_n                          what it sells to come back to b_n
3. g_k = l_k Σ_n m_nk y_n                      how far that pushes each price
4. Σ_k h_nk g_k                               what each bank loses by it

AV = Σ_nk h_nk g_k / Σ_n e_n, systemicness of n the same with only n selling, so that Σ_n S(n) = AV; direct vulnerability
of n is a_n r_n/e_n, indirect Σ_k h_nk g_k / e_n. All is linear in the shock: no bank is asked whether it has that much to sell
or to lose, unless ``capped``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphs.factored import Factored
from graphs.matrices import MatrixError, bipartite, column_sums, row_sums, scaled, vector

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from graphs.matrices import Matrix


@dataclass(frozen=True, eq=False)
class VulnerableBanks:
    """What one round of leverage targeting does.

    Attributes
    ----------
    banks, assets
        Names, in the order of all arrays.
    aggregate_vulnerability
        AV, share of all capital that the sales (not the shock itself) take.
    systemicness
        S(n), what n's own sales contribute to it.
    direct_vulnerability, indirect_vulnerability
        Share of a bank's capital that the shock takes, and that everybody's sales take; ``inf`` where there is no capital to lose.
    direct_loss, indirect_loss
        The same in currency.
    sales
        y, what each bank sells, in currency.
    fall
        g, how far the sales push each price.
    residual
        Relative distance between the sum of systemicness and AV: rounding only.
    solves
        0: the answer is a product of matrices.
    """

    banks: tuple[Any, ...]
    assets: tuple[Any, ...]
    aggregate_vulnerability: float
    systemicness: Floats
    direct_vulnerability: Floats
    indirect_vulnerability: Floats
    direct_loss: Floats
    indirect_loss: Floats
    sales: Floats
    fall: Floats
    residual: float
    holdings: Matrix
    depth: Floats
    capital: Floats
    solves: int = 0

    @cached_property
    def spillovers(self) -> Factored:
        """Who hits whom: entry [i, j] is what bank i loses because j sells, in currency; n × n is never stored."""
        return Factored(self.holdings, scaled(self.holdings, self._sold_share(), 1.0 / self.depth), self.banks)

    @cached_property
    def relative_spillovers(self) -> Factored:
        """Who hits whom relative to the victim's capital: entry [i, j] of :attr:`spillovers` over the capital of i."""
        with np.errstate(divide="ignore"):
            over = np.where(self.capital > 0, 1.0 / self.capital, 0.0)
        return Factored(scaled(self.holdings, over), self.spillovers.right, self.banks)

    @property
    def connectedness(self) -> Floats:
        """γ_n = Σ_k m_nk l_k Σ_m h_mk: what all banks lose per unit of currency that n sells."""
        total = row_sums(self.holdings)
        value = np.asarray(self.holdings @ (column_sums(self.holdings) / self.depth))
        return np.asarray(np.divide(value, total, out=np.zeros_like(value), where=total > 0))

    def _sold_share(self) -> Floats:
        total = row_sums(self.holdings)
        return np.divide(self.sales, total, out=np.zeros_like(total), where=total > 0)


def vulnerable_banks(
    holdings: object,
    capital: object,
    depth: object,
    shock: object,
    *,
    debt_ratio: object = None,
    capped: bool = False,
) -> VulnerableBanks:
    """Measure how vulnerable banks are to each other's sales after a shock, and who hits whom.

    Parameters
    ----------
    holdings
        h, banks × assets, what bank n holds of asset k in currency; all of its assets, also those that it does not mark to market (give
        these infinite depth). Array, sparse matrix, frame, or bipartite NetworkX graph with bank → asset edges.
    capital
        e, one number a bank.
    depth
        1/l_k: the sale that would take the whole price of k; Greenwood, Landier and Thesmar's 10 basis points per 10 billion is 1e13.
        ``inf`` moves nothing.
    shock
        f, fall of each asset as a fraction of its price: one number for all, one an asset, or a mapping of those that fall.
    debt_ratio
        b, debt over capital that each bank returns to; by default what it has, (a − e)/e. A bank without capital, or with more of it
        than assets, then sells nothing.
    capped
        Whether a bank sells at most what it has left, and only after a loss. A bank that the shock leaves without capital sells all. The
        published model has no cap.

    Returns
    -------
    VulnerableBanks
        Frozen, with the network of who hits whom in factored form.

    Raises
    ------
    MatrixError
        If a matrix or vector is not of the right shape or has a number that is not finite or is out of bounds.

    Notes
    -----
    Cost O(stored entries). A negative systemicness belongs to a bank that the shock lets gain and that buys.

    References
    ----------
    Greenwood, Landier and Thesmar (2015), Vulnerable banks, Journal of Financial Economics 115, 471-485.

    Examples
    --------
    Both banks hold the bond; only the second also holds the loan that falls.

    >>> found = vulnerable_banks([[100, 0], [50, 50]], [10, 10], [1000, float("inf")], [0.0, 0.02])
    >>> found.sales
    array([0., 9.])
    >>> found.spillovers.toarray()
    array([[0.   , 0.45 ],
           [0.   , 0.225]])
    >>> round(found.aggregate_vulnerability, 5), found.direct_vulnerability
    (0.03375, array([0. , 0.1]))
    """
    read = bipartite(holdings)
    matrix = read.matrix
    equity = vector(capital, read.rows, what="capital", low=-np.inf)
    deep = vector(depth, read.columns, what="depth", infinite=True)
    if (deep <= 0).any():
        raise MatrixError(f"depth of {read.columns[int(np.argmin(deep))]} is 0; give a number above 0, inf for no impact")
    fall = vector(shock, read.columns, what="shock", low=-np.inf, high=1.0, default=0.0)
    assets, direct = row_sums(matrix), np.asarray(matrix @ fall)
    solvent = equity > 0
    if debt_ratio is None:
        ratio = np.divide(np.maximum(assets - equity, 0.0), equity, out=np.zeros_like(assets), where=solvent)
    else:
        ratio = vector(debt_ratio, read.rows, what="debt_ratio")
    sales = ratio * direct
    if capped:
        sales = np.where(equity - direct > 0, np.clip(sales, 0.0, assets - direct), np.where(assets > 0, assets - direct, 0.0))
    share = np.divide(sales, assets, out=np.zeros_like(sales), where=assets > 0)
    pushed = np.asarray(matrix.T @ share) / deep
    indirect = np.asarray(matrix @ pushed)
    everybody = float(equity.sum())
    if everybody <= 0:
        raise MatrixError(f"capital sums to {everybody:g}, so no share of it can be lost; give banks with capital")
    systemic = share * np.asarray(matrix @ (column_sums(matrix) / deep)) / everybody
    total = float(indirect.sum()) / everybody
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = [np.where(solvent, loss / equity, np.where(loss > 0, np.inf, 0.0)) for loss in (direct, indirect)]
    return VulnerableBanks(
        banks=read.rows,
        assets=read.columns,
        aggregate_vulnerability=total,
        systemicness=systemic,
        direct_vulnerability=relative[0],
        indirect_vulnerability=relative[1],
        direct_loss=direct,
        indirect_loss=indirect,
        sales=sales,
        fall=pushed,
        residual=abs(float(systemic.sum()) - total) / max(abs(total), np.finfo(np.float64).tiny),
        holdings=matrix,
        depth=deep,
        capital=equity,
    )

"""Balance sheets of a network of debts: what the valuation frame starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.models.errors import ModelError
from graphs.matrices import column_sums, row_sums, square, vector

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from graphs.matrices import Matrix
    from graphs.network import Network


@dataclass(frozen=True, eq=False)
class BalanceSheets:
    """Who owes whom, and what everybody has and owes outside, USD.

    Attributes
    ----------
    nodes
        Labels in the order of the arrays.
    liabilities
        ``liabilities[i, j]`` is what i owes j; dense or ``csr_array``.
    external_assets, external_liabilities
        By node; assets may be negative after a shock.
    book_equity
        Equity before any shock, with every claim at face.

    Examples
    --------
    >>> sheets = BalanceSheets.of([[0, 10], [0, 0]], [15, 5])
    >>> sheets.book_equity.tolist(), sheets.after([8, 0]).external_assets.tolist()
    ([5.0, 15.0], [7.0, 5.0])
    """

    nodes: tuple[Any, ...]
    liabilities: Matrix
    external_assets: Floats
    external_liabilities: Floats
    book_equity: Floats

    @classmethod
    def of(
        cls, liabilities: object, external_assets: object, external_liabilities: object = 0.0, *, book_equity: object = None
    ) -> BalanceSheets:
        """Read them from arrays, sparse matrices, frames, graphs or mappings.

        Raises
        ------
        MatrixError, ModelError
            If a number is negative or not finite (external assets and book equity may be negative), labels disagree, or a node owes itself.
        """
        read = square(liabilities, what="liabilities")
        owing = np.flatnonzero(np.asarray(read.matrix.diagonal()))
        if owing.size:
            raise ModelError(f"liabilities: {read.rows[owing[0]]} owes itself; set the diagonal to zero")
        assets = vector(external_assets, read.rows, what="external_assets", low=-np.inf)
        outside = vector(external_liabilities, read.rows, what="external_liabilities")
        if book_equity is None:
            book = assets + column_sums(read.matrix) - row_sums(read.matrix) - outside
        else:
            book = vector(book_equity, read.rows, what="book_equity", low=-np.inf)
        return cls(read.rows, read.matrix, assets, outside, book)

    @classmethod
    def of_network(cls, net: Network) -> BalanceSheets:
        """Read traders and the credit between them: cash is the external asset, external debt the external liability.

        Raises
        ------
        ModelError
            If credit has more than one seniority, or runs to or from a node that is no trader.
        """
        from scipy.sparse import coo_array, csr_array

        nodes = [str(node) for node in net.node_ids("trader")]
        place = {node: position for position, node in enumerate(nodes)}
        pairs = list(zip(net.strings("credit", "debtor"), net.strings("credit", "creditor"), strict=True))
        odd = sorted({str(end) for pair in pairs for end in pair} - place.keys())
        if odd:
            raise ModelError(f"table credit names {', '.join(odd[:8])}, which is no trader; this frame values credit between traders")
        ranks = np.unique(net.numbers("credit", "seniority")) if pairs else np.zeros(0)
        if ranks.size > 1:
            raise ModelError(f"table credit, column seniority: {ranks.size} classes; this frame has one, so use clearing.clear for more")
        ends = np.array([(place[str(a)], place[str(b)]) for a, b in pairs], dtype=np.int64).reshape(-1, 2)
        amounts = np.asarray(net.numbers("credit", "amount"), dtype=np.float64)
        matrix = csr_array(coo_array((amounts, (ends[:, 0], ends[:, 1])), shape=(len(nodes),) * 2))
        sheets = cls.of(matrix, net.numbers("trader", "cash"), net.numbers("trader", "external_debt"))
        return replace(sheets, nodes=tuple(nodes))

    def after(self, loss: object) -> BalanceSheets:
        """The same after a loss of external assets by node, USD; book equity stays that of before.

        Raises
        ------
        MatrixError
            If there is not one finite number a node.
        """
        return replace(self, external_assets=self.external_assets - vector(loss, self.nodes, what="loss", low=-np.inf))

    @cached_property
    def owed(self) -> Floats:
        """What each node owes in the network."""
        return row_sums(self.liabilities)

    @cached_property
    def due(self) -> Floats:
        """What each node is owed in the network, at face."""
        return column_sums(self.liabilities)

    @cached_property
    def exposures(self) -> Matrix:
        """Claims by creditor and debtor: what the row loses if the column defaults."""
        if isinstance(self.liabilities, np.ndarray):
            return np.ascontiguousarray(self.liabilities.T)
        from scipy.sparse import csr_array

        return csr_array(self.liabilities.T)

    def equity(self, values: Floats) -> Floats:
        """Equity if a USD of claim on each debtor is worth so much (Barucca and others 2020, eq. 2)."""
        claims = np.asarray(self.exposures @ values, dtype=np.float64)
        return self.external_assets + claims - self.owed - self.external_liabilities

"""The inputs of the classical models out of a network of traders, assets, stablecoins and exchanges.

Everything is taken before any shock, in USD. What a node owns outside the network is its equity without its loans, as the engine values it
(cash, holdings and backing at index prices, positive equity of its accounts, less what an issuer owes its holders), plus its external debt;
where that is negative it is a liability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum
from contagion.models.card import CatalogError, NetworkInputs
from contagion.models.price_impact import from_one_percent
from graphs.matrices import Labelled, column_sums, row_sums

if TYPE_CHECKING:
    from contagion.arrays import Floats, Ints
    from contagion.system import System
    from graphs.network import Network


@dataclass(frozen=True)
class _Still:
    """A network at rest: compiled, with equity of nodes and prices of coins."""

    system: System
    equity: Floats
    price: Floats


def _at_rest(net: Network) -> _Still:
    from contagion.engine import prepare, simulate
    from contagion.scenario import Scenario
    from contagion.settings import Settings

    outcome = simulate(prepare(net, Scenario.from_shocks([])), settings=Settings(feedback=False, max_rounds=1))
    return _Still(outcome.state.system, outcome.initial.node_equity, np.asarray(outcome.state.coin_price))


def liabilities(net: Network) -> NetworkInputs:
    """Return who owes whom among the nodes of table ``credit``, with assets and debts outside it.

    Raises
    ------
    CatalogError
        If there is no credit, or more than one seniority, which one matrix cannot say.
    """
    debtor, creditor = (net.strings("credit", end) for end in ("debtor", "creditor"))
    if not debtor.size:
        raise CatalogError(f"network {net.name}: table credit has no rows, so nobody owes anybody; give a network with loans, or files")
    ranks = np.unique(net.numbers("credit", "seniority"))
    if ranks.size > 1:
        raise CatalogError(
            f"network {net.name}: credit has {ranks.size} seniorities; give a matrix for each to the model in Python, or merge them"
        )
    names = sorted({*debtor.tolist(), *creditor.tolist()})
    place = {name: i for i, name in enumerate(names)}
    ends = [np.array([place[name] for name in end], dtype=np.int64) for end in (debtor, creditor)]
    matrix = _sparse(net.numbers("credit", "amount"), ends[0], ends[1], (len(names), len(names)))
    still = _at_rest(net.with_tables(credit=None))
    node = still.system.nodes_of(names)
    debt = still.system.nodes.external_debt[node]
    own = still.equity[node] + debt
    equity = still.equity[node] + column_sums(matrix.matrix) - row_sums(matrix.matrix)
    return NetworkInputs(
        Labelled(matrix.matrix, tuple(names), tuple(names)),
        {
            "external_assets": np.maximum(own, 0.0),
            "external_liabilities": debt + np.maximum(-own, 0.0),
            "equity": np.maximum(equity, 0.0),
            "buffer": np.maximum(equity, 0.0),
        },
    )


def exposures(net: Network) -> NetworkInputs:
    """Return who is exposed to whom: the liabilities turned round."""
    found = liabilities(net)
    from scipy.sparse import csr_array

    return NetworkInputs(Labelled(csr_array(found.matrix.matrix.T), found.matrix.rows, found.matrix.rows), found.vectors)


def holdings(net: Network) -> NetworkInputs:
    """Return what traders hold off exchange, with their equity and leverage rules, and the depth of the coins' spot books.

    Raises
    ------
    CatalogError
        If there are no holdings.
    """
    still = _at_rest(net)
    system, claims = still.system, still.system.claims
    if not claims.holding_owner.size:
        raise CatalogError(
            f"network {net.name}: table holding has no rows, so there is nothing to sell; give a network with holdings, or files"
        )
    owners, row = np.unique(claims.holding_owner, return_inverse=True)
    coins, column = np.unique(claims.holding_coin, return_inverse=True)
    value = claims.holding_quantity * still.price[claims.holding_coin]
    books = np.flatnonzero(~system.markets.perp)
    depth = group_sum(system.markets.coin[books], (system.markets.depth * system.markets.price)[books], len(system.coins.names))
    limit, target = system.nodes.leverage_limit[owners], system.nodes.leverage_target[owners]
    limit = np.where(np.isnan(limit), np.inf, np.maximum(limit, 1.0))
    return NetworkInputs(
        Labelled(
            _sparse(value, row, column, (owners.size, coins.size)).matrix,
            tuple(system.nodes.name(int(node)) for node in owners),
            tuple(system.coins.names[coin] for coin in coins),
        ),
        {
            "capital": still.equity[owners],
            "leverage_limit": limit,
            "leverage_target": np.where(np.isnan(target), limit, np.maximum(target, 1.0)),
            "depth": np.where(depth[coins] > 0, from_one_percent(depth[coins]), np.inf),
        },
    )


def _sparse(value: Floats, row: Ints, column: Ints, shape: tuple[int, int]) -> Labelled:
    from scipy.sparse import coo_array, csr_array

    matrix = csr_array(coo_array((value.astype(np.float64), (row, column)), shape=shape))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return Labelled(matrix, tuple(range(shape[0])), tuple(range(shape[1])))

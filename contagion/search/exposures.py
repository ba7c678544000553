"""Exposures: the network as one weighted directed graph, i → j being USD of i that hang on j.

=====================  ======================  =====================================================================
from                   to                      USD
=====================  ======================  =====================================================================
owner of an account    its exchange            equity of the account, as far as it is positive
owner of an account    each coin               notional of the positions, both sides, and value of the collateral
holder                 each coin               value held off exchange
issuer                 each coin of backing    value; to the custodian as well, where an exchange keeps it
creditor               debtor                  amount of the claim
exchange               owner of an account     notional that it has to close if the owner fails
exchange               market maker            depth that it quotes there, for 1 % of the price
=====================  ======================  =====================================================================

All at the network's prices; parallel edges add up. A node that many are exposed to, or that such nodes are exposed to, is
central in the sense of :mod:`graphs.structure`. Arbitrageurs and vaults have no edge of their own beyond their accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from contagion.arrays import Floats, Ints
    from contagion.system import System


def exposures(system: System) -> csr_array:
    """Exposures of all nodes to all nodes, USD; costs O(rows of the network).

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from graphs.toys import interbank_ring
    >>> exposures(compile_system(interbank_ring(n=3, amount=5.0))).toarray()
    array([[0., 0., 5.],
           [5., 0., 0.],
           [0., 5., 0.]])
    """
    from scipy.sparse import coo_array, csr_array

    accounts, markets, nodes, claims = system.accounts, system.markets, system.nodes, system.claims
    price = system.coins.price
    position = np.repeat(np.arange(accounts.count), np.diff(accounts.start))
    deposit = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
    notional = accounts.quantity * markets.price[accounts.market]
    value = accounts.coin_quantity * markets.price[accounts.coin_market]
    equity = accounts.balance + group_sum(position, notional, accounts.count) + group_sum(deposit, value, accounts.count)
    held = claims.backing_quantity * price[claims.backing_coin]
    kept = claims.backing_custodian >= 0
    issuer = nodes.coin0 + claims.backing_issuer
    made = markets.exchange[claims.maker_market]
    depth = markets.depth[claims.maker_market] * markets.price[claims.maker_market] * claims.maker_share
    edges: list[tuple[Ints, Ints, Floats]] = [
        (accounts.owner, nodes.exchange0 + accounts.exchange, np.maximum(equity, 0.0)),
        (nodes.exchange0 + accounts.exchange[position], accounts.owner[position], np.abs(notional)),
        (accounts.owner[position], nodes.coin0 + markets.coin[accounts.market], np.abs(notional)),
        (accounts.owner[deposit], nodes.coin0 + markets.coin[accounts.coin_market], np.abs(value)),
        (claims.holding_owner, nodes.coin0 + claims.holding_coin, claims.holding_quantity * price[claims.holding_coin]),
        (issuer, nodes.coin0 + claims.backing_coin, held),
        (issuer[kept], nodes.exchange0 + claims.backing_custodian[kept], held[kept]),
        (claims.creditor, claims.debtor, claims.amount),
        (nodes.exchange0 + made, claims.maker, depth),
    ]
    source, target, usd = (np.concatenate(part) for part in zip(*edges, strict=True))
    graph = csr_array(coo_array((np.where(np.isfinite(usd), usd, 0.0), (source, target)), shape=(nodes.count, nodes.count)))
    graph.sum_duplicates()
    graph.eliminate_zeros()
    return graph

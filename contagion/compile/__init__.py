"""From a Network to a System: sort, index, round to lots and to the ledger.

Rows are put into one order that depends on their content alone, so shuffled tables compile to the same arrays.
Cost O(n log n) in the rows, all in arrays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from contagion.compile.accounts import compile_accounts
from contagion.compile.claims import compile_claims
from contagion.compile.markets import compile_markets
from contagion.compile.names import Names
from contagion.compile.nodes import compile_coins, compile_exchanges, compile_nodes
from contagion.grid import snap, step_for
from contagion.system import System
from graphs.checks import require_valid

if TYPE_CHECKING:
    from contagion.system import Claims, Coins, Exchanges, Nodes
    from graphs.network import Network

LEDGER_HEADROOM = 3
"""Doublings of all money of a network that sums stay exact for."""


def compile_system(net: Network, *, check: bool = True) -> System:
    """Compile a network.

    Parameters
    ----------
    net
        Network to compile.
    check
        Whether to run ``graphs.checks`` first; False only for a network that has just passed them.

    Raises
    ------
    CheckError
        If the network breaks its schema.

    Examples
    --------
    >>> from graphs.toys import one_book_ladder
    >>> system = compile_system(one_book_ladder())
    >>> system.market_name(0)[2]
    'perp'
    """
    if check:
        require_valid(net)
    names = Names.of(net)
    markets = compile_markets(net, names)
    coins = compile_coins(net, names, markets)
    claims = compile_claims(net, names, markets, coins)
    exchanges = compile_exchanges(net, names)
    nodes = compile_nodes(net, names)
    compiled = compile_accounts(net, names, markets, coins)
    quantum = _quantum(float(compiled.accounts.grid.sum()), nodes, coins, exchanges, claims)
    return System(
        name=net.name,
        as_of=net.as_of,
        nodes=replace(nodes, cash=snap(nodes.cash, quantum), external_debt=snap(nodes.external_debt, quantum)),
        coins=coins,
        exchanges=replace(
            exchanges,
            insurance_fund=snap(exchanges.insurance_fund, quantum),
            equity=snap(exchanges.equity, quantum),
            vault_account=compiled.vaults,
        ),
        markets=markets,
        accounts=compiled.on_ledger(quantum),
        claims=replace(claims, amount=snap(claims.amount, quantum)),
        quantum=quantum,
        residue=compiled.residue,
    )


def _quantum(gross: float, nodes: Nodes, coins: Coins, exchanges: Exchanges, claims: Claims) -> float:
    """Step of the ledger, USD: sums of all money of the network stay exact."""
    total = (
        gross
        + np.abs(nodes.cash).sum()
        + nodes.external_debt.sum()
        + exchanges.insurance_fund.sum()
        + np.abs(exchanges.equity).sum()
        + claims.amount.sum()
        + (claims.holding_quantity * coins.price[claims.holding_coin]).sum()
        + (claims.backing_quantity * coins.price[claims.backing_coin]).sum()
        + 2 * claims.arbitrage_capacity.sum()
    )
    return float(step_for(float(total), LEDGER_HEADROOM))

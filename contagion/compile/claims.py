"""Ownership and debt between nodes: holdings, backing, credit, liquidity, arbitrage, from tables to arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import snap
from contagion.system import Claims

if TYPE_CHECKING:
    from contagion.compile.names import Names
    from contagion.system import Coins, Markets
    from graphs.network import Network


def compile_claims(net: Network, names: Names, markets: Markets, coins: Coins) -> Claims:
    """Rows of the five tables, each in an order that its content fixes."""
    owner, held = net.codes("holding", "owner", names.node), net.codes("holding", "asset", names.coin)
    holding = np.lexsort((held, owner))

    issuer, coin = net.codes("backing", "stablecoin", names.coin), net.codes("backing", "asset", names.coin)
    custodian = net.codes("backing", "custodian", names.exchange)
    backing = np.lexsort((custodian, coin, issuer))
    backing = backing[coin[backing] >= 0]  # USD is cash of the issuer

    debtor, creditor = net.codes("credit", "debtor", names.node), net.codes("credit", "creditor", names.node)
    seniority = net.numbers("credit", "seniority")
    credit = np.lexsort((creditor, debtor, seniority))

    maker = net.codes("liquidity", "trader", names.node)
    quoted = net.codes("liquidity", "exchange", names.exchange) * len(names.coin) + net.codes("liquidity", "asset", names.coin)
    perp = net.codes("liquidity", "instrument", ["perp"]) == 0
    books = (markets.exchange * len(names.coin) + markets.coin) * 2 + markets.perp
    market = np.searchsorted(books, quoted * 2 + perp)
    liquidity = np.lexsort((maker, market))

    arbitrageur, arbitraged = net.codes("arbitrage", "trader", names.node), net.codes("arbitrage", "asset", names.coin)
    arbitrage = np.lexsort((arbitrageur, arbitraged))
    return Claims(
        holding_owner=owner[holding],
        holding_coin=held[holding],
        holding_quantity=snap(net.numbers("holding", "quantity"), coins.lot[held])[holding],
        backing_issuer=issuer[backing],
        backing_coin=coin[backing],
        backing_quantity=snap(net.numbers("backing", "quantity"), coins.lot[coin])[backing],
        backing_custodian=custodian[backing],
        debtor=debtor[credit],
        creditor=creditor[credit],
        amount=net.numbers("credit", "amount")[credit],
        seniority=seniority[credit],
        maker=maker[liquidity],
        maker_market=market[liquidity],
        maker_share=net.numbers("liquidity", "share")[liquidity],
        arbitrageur=arbitrageur[arbitrage],
        arbitrage_coin=arbitraged[arbitrage],
        arbitrage_capacity=net.numbers("arbitrage", "capacity")[arbitrage],
    )

"""Entries: the accounts of positions that enter under a clock.

The rows of a compiled network are fixed, so whoever will enter has empty rows from the start: a trader, a position of
quantity 0 and USD 0 of collateral for each account. Stages, entries and accounts are counted from 1 in their names,
``entrant:<stage>:<entry>:<account>``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contagion.errors import ScenarioError
from contagion.initial_margin import Names, brackets_of
from contagion.rows import with_rows
from graphs.schema import USD

if TYPE_CHECKING:
    from contagion.scenario import Scenario
    from graphs.network import Network

PREFIX = "entrant:"


class Opening(NamedTuple):
    """A position that an account opens when its stage comes.

    Attributes
    ----------
    owner, asset, exchange
        Whose, and in which market.
    notional
        USD, positive long.
    margin
        USD that the account brings.
    """

    owner: str
    asset: str
    exchange: str
    notional: float
    margin: float


def openings(net: Network, scenario: Scenario) -> tuple[tuple[Opening, ...], ...]:
    """What each stage opens.

    The notional of an entry is shared equally by its accounts. No account has more leverage than its bracket allows, so
    a cap on leverage binds those who enter later too.

    Raises
    ------
    ScenarioError
        If the network does not have a market that is entered.
    """
    scenario.check(net)
    names = Names.of(net)
    brackets = brackets_of(net, names)
    stages = []
    for place, stage in enumerate(scenario.stages, 1):
        found: list[Opening] = []
        for number, entry in enumerate(stage.enter, 1):
            size = entry.notional / entry.accounts
            cell = names.exchanges.index(entry.exchange) * len(names.coins) + names.coins.index(entry.asset)
            allowed = float(brackets.max_leverage(np.array([cell]), np.array([size]))[0])
            margin = size / min(entry.leverage, allowed)
            signed = size if entry.side == "long" else -size
            found += [
                Opening(f"{PREFIX}{place}:{number}:{account}", entry.asset, entry.exchange, signed, margin)
                for account in range(1, entry.accounts + 1)
            ]
        stages.append(tuple(found))
    return tuple(stages)


def entrants(net: Network, scenario: Scenario) -> Network:
    """Network with an empty account for everybody who enters; without entries the network itself.

    Raises
    ------
    ScenarioError
        If the network does not have a market that is entered, or has the entrants already.

    Examples
    --------
    >>> from contagion.scenario import Scenario
    >>> from graphs.toys import one_book_ladder
    >>> entry = {"asset": "COIN", "exchange": "Book", "side": "short", "notional": 100, "leverage": 5, "accounts": 2}
    >>> clock = {"round_seconds": 1, "duration": 60}
    >>> scenario = Scenario.model_validate({"clock": clock, "stages": [{"enter": [entry]}]})
    >>> entrants(one_book_ladder(), scenario).node_ids("trader")[-2:]
    ['entrant:1:1:1', 'entrant:1:1:2']
    >>> openings(one_book_ladder(), scenario)[0][1]
    Opening(owner='entrant:1:1:2', asset='COIN', exchange='Book', notional=-50.0, margin=10.0)
    """
    rows = [opening for stage in openings(net, scenario) for opening in stage]
    if not rows:
        return net
    owners = pa.array([row.owner for row in rows])
    taken = pc.is_in(net.column("trader", "id").cast(pa.string()), value_set=owners)
    if pc.any(taken).as_py():
        raise ScenarioError(
            f"network {net.name} has traders called {PREFIX}… already; rename them, or enter positions into the network without them"
        )
    assets, exchanges = pa.array([row.asset for row in rows]), pa.array([row.exchange for row in rows])
    zero = pa.array(np.zeros(len(rows)))
    books = zip(net.strings("market", "exchange"), net.strings("market", "asset"), net.strings("market", "instrument"), strict=True)
    prices = dict(zip(books, net.numbers("market", "price").tolist(), strict=True))
    entry = pa.array([prices[row.exchange, row.asset, "perp"] for row in rows])
    position = {"owner": owners, "asset": assets, "exchange": exchanges, "quantity": zero, "entry_price": entry}
    deposit = {"owner": owners, "asset": pa.array([USD] * len(rows)), "exchange": exchanges, "quantity": zero}
    more = {"trader": {"id": owners}, "margin": position, "collateral": deposit}
    return net.with_tables(**{kind: with_rows(net.tables.get(kind), columns) for kind, columns in more.items()})

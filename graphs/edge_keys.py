"""The keys that tell parallel edges apart in a multigraph.

``margin@Binance``, ``margin@Binance#isolated``, ``collateral@Binance``, ``market#spot``, ``margin_tier#2`` (second bracket
from below), ``holding``, ``backing`` or ``backing@Binance`` (custodian), ``credit#1`` (seniority),
``liquidity@Binance#perp``, ``arbitrage``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from graphs.schema import TABLES

if TYPE_CHECKING:
    from graphs.network import Network


def edge_keys(net: Network, kind: str) -> list[str]:
    """Key of every edge of a kind, in table order.

    Parameters
    ----------
    net
        The network.
    kind
        Which edges.

    Returns
    -------
    list
        One key a row; together with source and target it names the edge.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphs.network import Network
    >>> loans = pd.DataFrame({"debtor": ["a", "a"], "creditor": ["b", "b"], "amount": [5.0, 1.0], "seniority": [1, 2]})
    >>> edge_keys(Network.from_frames(name="loans", credit=loans), "credit")
    ['credit#1', 'credit#2']
    """
    if kind == "margin_tier":
        return [f"{kind}#{bracket}" for bracket in _bracket_numbers(net)]
    keys = [kind] * net.count(kind)
    columns = TABLES[kind].by_name
    for name in ("exchange", "custodian"):
        if name in columns and name != TABLES[kind].source:
            keys = [f"{key}@{venue}" if venue else key for key, venue in zip(keys, net.strings(kind, name), strict=True)]
    if kind == "margin":
        return [f"{key}#{mode}" if mode != "cross" else key for key, mode in zip(keys, net.strings(kind, "mode"), strict=True)]
    for name in ("instrument", "seniority"):
        if name in columns:
            values = net.strings(kind, name) if columns[name].dtype == "string" else net.numbers(kind, name)
            keys = [f"{key}#{value}" for key, value in zip(keys, values, strict=True)]
    return keys


def _bracket_numbers(net: Network) -> list[int]:
    """Number of each bracket in its schedule, from 1 by floor."""
    exchanges, assets = net.strings("margin_tier", "exchange"), net.strings("margin_tier", "asset")
    seen: dict[tuple[str, str], int] = defaultdict(int)
    numbers = [0] * len(exchanges)
    for row in np.argsort(net.numbers("margin_tier", "floor"), kind="stable").tolist():
        seen[exchanges[row], assets[row]] += 1
        numbers[row] = seen[exchanges[row], assets[row]]
    return numbers

"""Sorted ids of each kind: the vocabularies in which labels become indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from contagion.arrays import Ints
    from graphs.network import Network


@dataclass(frozen=True, slots=True)
class Names:
    """Sorted ids; ``coin`` is assets and then stablecoins, ``node`` traders, coins and then exchanges.

    A trader's place among the nodes is its place among the traders, so owners are looked up in ``node``.
    """

    trader: pa.StringArray
    asset: pa.StringArray
    stablecoin: pa.StringArray
    exchange: pa.StringArray
    coin: pa.StringArray
    node: pa.StringArray

    @classmethod
    def of(cls, net: Network) -> Names:
        """Sort the ids of a network."""
        trader, asset, stablecoin, exchange = (_sorted_ids(net, kind) for kind in ("trader", "asset", "stablecoin", "exchange"))
        coin = pa.concat_arrays([asset, stablecoin])
        return cls(trader, asset, stablecoin, exchange, coin, pa.concat_arrays([trader, coin, exchange]))


def _sorted_ids(net: Network, kind: str) -> pa.StringArray:
    ids = net.column(kind, "id").combine_chunks().cast(pa.string())
    return ids.take(pc.sort_indices(ids))


def rows_of(net: Network, kind: str, ids: pa.StringArray) -> Ints:
    """Row of the table of a node kind for each of its sorted ids."""
    rows = np.empty(len(ids), dtype=np.int64)
    rows[net.codes(kind, "id", ids)] = np.arange(len(ids))
    return rows

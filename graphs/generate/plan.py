"""Who is in a random network, and the streams that its draws come from.

Nodes are known by code until the tables are written. Owners: ordinary traders, then one maker an exchange (``longs``: one
short in all), then (``all``) one vault an exchange, then stablecoins; nodes: owners, then exchanges. Coins: assets, then stablecoins.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Rules = Literal["all", "plain", "longs"]
"""Which mechanisms a network may have."""

CLOSEST: Final = 0.03
"""Least distance of an account from breach, over its notional."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes, rules and streams.

    Attributes
    ----------
    seed
        What every stream is keyed by, next to its own label.
    ordinary, exchanges, assets, stablecoins
        How many nodes; ``ordinary`` are the traders without a task.
    rules
        Which mechanisms there are.
    """

    seed: int
    ordinary: int
    exchanges: int
    assets: int
    stablecoins: int
    rules: Rules

    @property
    def full(self) -> bool:
        """Whether every mechanism is there."""
        return self.rules == "all"

    @property
    def makers(self) -> int:
        """Traders that take the other side."""
        return 1 if self.rules == "longs" else self.exchanges

    @property
    def traders(self) -> int:
        """Rows of the trader table, and so the code of the first stablecoin as an owner."""
        return self.ordinary + self.makers + self.exchanges * self.full

    @property
    def coins(self) -> int:
        """Coins with a code; USD, where it is one, has the next."""
        return self.assets + self.stablecoins

    @property
    def owners(self) -> int:
        """Nodes that may have accounts, and so the code of the first exchange as a node."""
        return self.traders + self.stablecoins

    def maker(self, exchange: NDArray[np.int64]) -> NDArray[np.int64]:
        """Owner that takes the other side at each exchange."""
        return self.ordinary + np.minimum(exchange, self.makers - 1)

    def vault(self, exchange: NDArray[np.int64]) -> NDArray[np.int64]:
        """Owner that is the vault of each exchange."""
        return self.ordinary + self.makers + exchange

    @property
    def loose(self) -> int:
        """The asset that nobody arbitrages, -1 for none: only there may books differ in price."""
        return self.assets - 1 if self.full and self.assets > 1 else -1

    def stream(self, label: str) -> np.random.Generator:
        """One stream a purpose, so that a draw more here changes nothing there."""
        return stream(self.seed, label)

    def cycle(self, rng: np.random.Generator, values: Sequence[Any]) -> list[Any]:
        """One of the values for each exchange, each once before any comes again."""
        order = rng.permutation(len(values))
        return [values[order[number % len(values)]] for number in range(self.exchanges)]

    def names(self) -> Names:
        """Ids by code."""
        makers = _names("maker", self.makers) if self.rules != "longs" else pa.array(["short"])
        traders = [_names("trader", self.ordinary), makers, _names("vault", self.exchanges * self.full)]
        stablecoins, exchanges = _names("stable", self.stablecoins), _names("exchange", self.exchanges)
        owners = pa.concat_arrays([*traders, stablecoins])
        coins = pa.concat_arrays([_names("coin", self.assets), stablecoins, pa.array(["USD"])])
        return Names(owners, pa.concat_arrays([owners, exchanges]), coins, exchanges)


@dataclass(frozen=True, slots=True)
class Names:
    """Ids by code, USD the last of the coins."""

    owner: pa.Array
    node: pa.Array
    coin: pa.Array
    exchange: pa.Array


def stream(seed: int, label: str) -> np.random.Generator:
    """Build the generator of one purpose."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(label.encode()),))))


def sums(group: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sum of the values of each group, added in the order of the rows."""
    return np.asarray(np.bincount(group, weights=values, minlength=size), dtype=np.float64)


def chance(rng: np.random.Generator, probability: float, shape: int | tuple[int, ...]) -> NDArray[np.bool_]:
    """Draw what is true with a probability."""
    return np.asarray(rng.random(shape) < probability)


def coded(codes: NDArray[np.int64], words: pa.Array) -> pa.Array:
    """Text by its place in a vocabulary; -1 is an empty cell."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), words)


def table(columns: Mapping[str, Any]) -> pa.Table:
    """Arrow table of arrays and lists; NaN is an empty cell."""
    return pa.table({name: cells if isinstance(cells, pa.Array) else pa.array(cells, from_pandas=True) for name, cells in columns.items()})


def _names(prefix: str, count: int) -> pa.Array:
    """Ids that sort as their numbers do."""
    numbers = pc.utf8_lpad(pa.array(np.arange(count)).cast(pa.string()), len(str(max(count - 1, 0))), "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), numbers, "-")

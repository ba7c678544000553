"""Random networks: every rule on for property tests and benchmarks, or confined to a class of which more can be claimed.

A network is a fixed point until it is shocked: each account's margin balance exceeds its maintenance margin by at least
``CLOSEST`` of its notional, each node owns more than it owes, books of a coin that somebody arbitrages have one price,
and stablecoins trade at their peg, with more than that behind them. Positions are whole multiples of a power of two,
so that the open interest of every perp market sums to zero exactly, in any order. Cost O(n log n) in the traders.

Units: prices in USD a unit, quantities in units (negative is short), all else in USD or plain fractions.
"""

from graphs.generate.network import random_network
from graphs.generate.plan import CLOSEST, Rules
from graphs.generate.relabel import rename_network, shuffle_network

__all__ = ["CLOSEST", "Rules", "random_network", "rename_network", "shuffle_network"]

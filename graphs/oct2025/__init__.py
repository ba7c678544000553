"""The crisis of 10 October 2025: published aggregates, turned into accounts.

Assumed throughout: the market is that of 20:50 UTC; 24 perpetual futures stand for all, 21 of them for the altcoins;
seven venues, the last of which, Other, is whoever is not named; every contract is listed on every venue, linear, settled in
USD; one price a coin at the start. What no source gives is in ``graphs/data/oct2025/assumptions.csv``, row by row.
"""

from __future__ import annotations

from graphs.oct2025.builder import SizeError, build_oct2025
from graphs.oct2025.facts import AssumptionError, assumption_table, facts

__all__ = ["AssumptionError", "SizeError", "assumption_table", "build_oct2025", "facts"]

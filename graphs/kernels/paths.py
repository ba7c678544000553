"""Shares of shortest paths through each node, by hops (Brandes 2001), as a plain loop over a graph in CSR form."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PAYS_FROM = 3_000_000
"""Sources × (nodes + edges) from which loading the compiler repays itself."""


def betweenness_loop(starts: NDArray[np.int64], ends: NDArray[np.int64], sources: NDArray[np.int64], through: NDArray[np.float64]) -> None:
    """Add to ``through`` each node's share of the shortest paths from each source; cost O(sources × (nodes + edges)).

    ``starts`` is the CSR row pointer, ``ends`` the column indices. Endpoints do not count.
    """
    n = starts.size - 1
    queue = np.empty(n, dtype=np.int64)
    distance = np.empty(n, dtype=np.int64)
    paths = np.empty(n, dtype=np.float64)
    share = np.empty(n, dtype=np.float64)
    for source in sources:
        distance[:] = -1
        paths[:] = 0.0
        share[:] = 0.0
        queue[0] = source
        distance[source] = 0
        paths[source] = 1.0
        head = 0
        tail = 1
        while head < tail:
            node = queue[head]
            head += 1
            for edge in range(starts[node], starts[node + 1]):
                other = ends[edge]
                if distance[other] < 0:
                    distance[other] = distance[node] + 1
                    queue[tail] = other
                    tail += 1
                if distance[other] == distance[node] + 1:
                    paths[other] += paths[node]
        for place in range(tail - 1, 0, -1):
            node = queue[place]
            for edge in range(starts[node], starts[node + 1]):
                other = ends[edge]
                if distance[other] == distance[node] + 1:
                    share[node] += paths[node] / paths[other] * (1.0 + share[other])
            through[node] += share[node]


@cache
def _compiled() -> Any:  # noqa: ANN401 - numba's dispatcher has no type
    import numba

    return numba.njit(nogil=True, cache=True)(betweenness_loop)


def count_paths(starts: NDArray[np.int64], ends: NDArray[np.int64], sources: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of shortest paths through each node from the sources, compiled where that pays."""
    through = np.zeros(starts.size - 1)
    kernel: Callable[..., None] = _compiled() if sources.size * (starts.size + ends.size) >= PAYS_FROM else betweenness_loop
    kernel(starts, ends, sources, through)
    return through

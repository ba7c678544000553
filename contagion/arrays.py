"""Names of array types (floats are float64, integers signed of either width, flags booleans), and sets of indices."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.signedinteger[Any]]
Flags: TypeAlias = NDArray[np.bool_]


def distinct(*parts: Ints) -> Ints:
    """Indices that stand in any of the parts, each once, ascending.

    A sort, because the hash table of ``np.unique`` costs several times as much here.

    Examples
    --------
    >>> distinct(np.array([3, 1]), np.array([1]))
    array([1, 3])
    """
    some = [part for part in parts if part.size]
    if not some:
        return np.empty(0, dtype=np.int64)
    ranked = np.sort(np.concatenate(some))
    return np.asarray(ranked[np.append(True, ranked[1:] != ranked[:-1])])

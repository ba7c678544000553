"""Shocks of a model: one column, many, or every node in turn; taken in portions, so that work stays small beside the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from contagion.models.errors import ModelError
from graphs.matrices import vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from contagion.arrays import Flags, Floats

MOST_CELLS = 1 << 19
"""Numbers of a portion."""

MOST_BYTES = 1 << 31
"""Size of an answer for every node in turn."""


def shock_columns(shock: object, labels: Sequence[Any]) -> tuple[Floats, bool]:
    """Read initial distress as columns, and whether it was a single vector.

    Raises
    ------
    ModelError
        If shapes do not fit, a number is negative or not finite, or "each" would not fit in memory.
    """
    count = len(labels)
    if isinstance(shock, str):
        return each(shock, count, "shock", np.float64), False
    array = None if hasattr(shock, "keys") else np.asarray(shock, dtype=np.float64)
    if array is None or array.ndim < 2:  # noqa: PLR2004 a vector
        return vector(shock, labels, what="shock")[:, None], True
    if array.ndim != 2 or array.shape[0] != count:  # noqa: PLR2004 columns
        raise ModelError(f"shock has shape {array.shape}; give a vector of {count}, columns of {count}, or 'each'")
    bad = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        row, column = map(int, bad[0])
        raise ModelError(
            f"shock: row {labels[row]}, column {column} is {float(array[row, column])!r}; give finite numbers of at least zero"
        )
    return array, False


def seed_columns(seeds: object, labels: Sequence[Any]) -> tuple[Flags, bool]:
    """Read who is in default from the start as columns, and whether it was a single set.

    A vector of n flags, zeros and ones is a mask; any other vector lists nodes, by position or by label. A matrix has a
    mask in each column.

    Raises
    ------
    ModelError
        If shapes do not fit, a node is unknown, or "each" would not fit in memory.
    """
    count = len(labels)
    if isinstance(seeds, str) and seeds == "each":
        return each(seeds, count, "seeds", np.bool_), False
    if isinstance(seeds, set | frozenset):
        seeds = sorted(seeds, key=str)
    array = np.asarray(seeds) if not isinstance(seeds, str) else np.array([seeds])
    if array.ndim == 2:  # noqa: PLR2004 columns
        if array.shape[0] != count or not np.isin(array, (0, 1)).all():
            raise ModelError(f"seeds has shape {array.shape}; give {count} rows, with ones for those that fail and zeros for the others")
        return array.astype(np.bool_), False
    if array.ndim > 2:  # noqa: PLR2004 neither
        raise ModelError(f"seeds has {array.ndim} dimensions; give a list of nodes, a mask, columns of masks, or 'each'")
    array = np.atleast_1d(array)
    mask = np.zeros(count, dtype=np.bool_)
    if array.dtype == np.bool_ or (array.size == count and array.dtype.kind in "iuf" and np.isin(array, (0, 1)).all()):
        if array.size != count:
            raise ModelError(f"seeds has {array.size} flags for {count} nodes; give one each")
        mask[:] = array.astype(np.bool_)
        return mask[:, None], True
    if array.size:
        mask[_places(array.tolist(), labels)] = True
    return mask[:, None], True


def _places(nodes: list[Any], labels: Sequence[Any]) -> list[int]:
    place = {label: position for position, label in enumerate(labels)}
    unknown = [str(node) for node in nodes if node not in place]
    if unknown:
        raise ModelError(f"seeds names {', '.join(unknown[:8])}, which is no node; give positions from 0 to {len(labels) - 1}, or labels")
    return [place[node] for node in nodes]


def each(word: str, count: int, what: Literal["shock", "seeds"], dtype: type[np.float64 | np.bool_]) -> Any:  # noqa: ANN401 - as dtype
    """Identity matrix for the word "each"."""
    if word != "each":
        raise ModelError(f"{what} is {word!r}; give numbers, or 'each' for every node in turn")
    if 8 * count * count > MOST_BYTES:
        raise ModelError(f"{what} 'each' of {count:,} nodes answers with {count:,} columns; give columns for some of them at a time")
    return np.eye(count, dtype=dtype)


def portions(rows: int, columns: int) -> Iterator[slice]:
    """Slices of the columns, each of at most ``MOST_CELLS`` cells and at least one column."""
    width = max(1, MOST_CELLS // max(rows, 1))
    for first in range(0, columns, width):
        yield slice(first, min(first + width, columns))

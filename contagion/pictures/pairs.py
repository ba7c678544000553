"""Which nodes and shocks trigger alone, and which only together: a matrix with singles on the diagonal and pairs off it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.pictures.style import BLUE, GREY, INK, ORANGE, VERMILION, canvas

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from contagion.arrays import Floats, Ints

QUIET, ALONE, TOGETHER, FOLLOWS, RELIEVED, UNKNOWN = range(6)
"""What a cell can be: see :data:`MEANINGS`."""
MEANINGS: Final = (
    ("does not trigger", "#f1f2f3", ""),
    ("triggers alone", VERMILION, ""),
    ("triggers only together", BLUE, ""),
    ("triggers, as one of them alone does", "#f6cfa8", ""),
    ("does not, though one of them alone does", ORANGE, "xxxx"),
    ("not run", "#ffffff", "////"),
)
"""Words, colour and hatching of each kind of cell."""
CELL: Final = 0.22
"""Width of a cell, inches, where there is room."""
POINTS: Final = 72.0
"""Points in an inch."""
LARGEST: Final = 14.0
"""Largest side of the matrix, inches."""
NAMED: Final = 120
"""Most names that are written beside the matrix."""


def kinds_of(matrix: ArrayLike) -> Ints:
    """What each cell is.

    Parameters
    ----------
    matrix
        Square: 1 where the set triggers, 0 where it does not, NaN where it was not run; singles on the diagonal. Either
        triangle may hold a pair.

    Examples
    --------
    The second triggers alone, the first and third only together, and the first takes the edge off the second.

    >>> kinds_of([[0, 0, 1], [0, 1, 1], [1, 1, 0]]).tolist()
    [[0, 4, 2], [4, 1, 3], [2, 3, 0]]
    """
    values: Floats = np.array(matrix, dtype=np.float64)
    values = np.where(np.isnan(values), values.T, values)
    alone = np.nan_to_num(np.diag(values)) > 0
    single = alone[:, None] | alone[None, :]
    kinds = np.select([np.isnan(values), (values > 0) & single, values > 0, single], [UNKNOWN, FOLLOWS, TOGETHER, RELIEVED], QUIET)
    diagonal = np.diag_indices(len(values))
    kinds[diagonal] = np.select([np.isnan(values[diagonal]), alone], [UNKNOWN, ALONE], QUIET)
    return np.asarray(kinds)


def draw_pairs(
    labels: Sequence[str], matrix: ArrayLike, path: str | os.PathLike[str], *, title: str = "What triggers, alone and in pairs"
) -> None:
    """Draw which singles and pairs trigger.

    Parameters
    ----------
    labels
        Names of the candidates.
    matrix
        Square, as :func:`kinds_of` reads it.
    path
        SVG or PNG to write.

    Raises
    ------
    RunError
        If the file is no SVG or PNG, or matplotlib is not installed.
    """
    kinds = kinds_of(matrix)
    count = len(labels)
    side = min(max(CELL * count, 2.4), LARGEST)
    step = max(1, -(-count // NAMED))
    font = min(8.5, POINTS * side / max(count, 1) * 0.8 * step)
    margin = 0.2 + 0.6 * font / POINTS * max((len(label) for label in labels), default=0)
    legend = 0.2 * np.unique(kinds).size + 0.2
    width, height = max(margin + side + 0.25, 4.6), 0.45 + side + margin + legend
    with canvas(path, size=(width, height), title=title) as figure:
        axes = figure.add_axes((margin / width, (margin + legend) / height, side / width, side / height))
        _draw_cells(axes, kinds)
        places = range(0, count, step)
        axes.set_xticks([*places], [labels[place] for place in places], rotation=90, fontsize=font)
        axes.set_yticks([*places], [labels[place] for place in places], fontsize=font)
        axes.tick_params(length=0, pad=2)
        figure.text(0.15 / width, 1 - 0.24 / height, title, fontsize=11, fontweight="bold", va="center")
        _draw_legend(axes, kinds, (0.15 / width, 0.06 / height))


def _draw_cells(axes: Axes, kinds: Ints) -> None:
    """Cells by kind, one path each, so that files stay small and cells are shapes, not dots."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    count = len(kinds)
    square = np.array([[0.04, 0.04], [0.96, 0.04], [0.96, 0.96], [0.04, 0.96], [0.04, 0.04]])
    codes = [Outline.MOVETO, Outline.LINETO, Outline.LINETO, Outline.LINETO, Outline.CLOSEPOLY]
    for kind in np.unique(kinds).tolist():
        row, column = np.nonzero(kinds == kind)
        corners = np.stack([column, row], axis=1)[:, None, :] - 0.5 + square[None]
        outline = Outline(corners.reshape(-1, 2), np.tile(codes, row.size))
        axes.add_artist(PathPatch(outline, **_look(kind)))  # a patch would have its limits searched, which we know
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_legend(axes: Axes, kinds: Ints, corner: tuple[float, float]) -> None:
    """The kinds that occur, with their numbers: a pair counts once."""
    from matplotlib.patches import Patch

    once = kinds[np.tril_indices(len(kinds))]
    handles = [Patch(label=f"{MEANINGS[kind][0]}: {int((once == kind).sum()):,}", **_look(kind)) for kind in np.unique(kinds).tolist()]
    figure = axes.get_figure()
    if figure is not None and handles:
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=corner, fontsize=8, handlelength=1.4, borderaxespad=0.0)


def _look(kind: int) -> dict[str, Any]:
    _, colour, hatch = MEANINGS[kind]
    return {"facecolor": colour, "edgecolor": INK if hatch and kind == RELIEVED else GREY, "linewidth": 0.25, "hatch": hatch}

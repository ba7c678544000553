"""A curve in a terminal: braille dots, two across and four down in a cell, beside a scale and over an axis.

The same numbers give the same characters. What is not a number is left out; what is beyond the scale lies on its edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.report.page import WIDTH, three

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from contagion.arrays import Flags, Floats, Ints
    from contagion.report.page import Segment

SCALE: Final = 9
"""Columns of the scale on the left, its axis among them."""
LEAST_HEIGHT: Final = 2
LEAST_ROOM: Final = 10
_BLANK: Final = 0x2800
_BITS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bit of each dot of a cell, by row and column."""
_ACROSS, _MARK, _SHADE = "┄", "┊", "▒"


@dataclass(frozen=True, slots=True)
class _Plane:
    """Cells of the chart and the values at their outer edges."""

    rows: int
    columns: int
    left: float
    right: float
    low: float
    high: float

    def column(self, value: float) -> int:
        """Column of a place on the axis."""
        return round((value - self.left) / (self.right - self.left) * (self.columns - 1))

    def row(self, value: float) -> int:
        """Row of a value, from the top."""
        return round((self.high - value) / (self.high - self.low) * (self.rows - 1))

    def holds(self, value: float) -> bool:
        """Whether a place lies on the axis."""
        return self.left <= value <= self.right


def curve(
    x: ArrayLike,
    y: ArrayLike,
    *,
    height: int = 12,
    width: int = WIDTH,
    marks: Sequence[tuple[float, str]] = (),
    threshold: float | None = None,
    shaded: Sequence[tuple[float, float]] = (),
    top: float | None = None,
    x_text: Callable[[float], str] = three,
    y_text: Callable[[float], str] = three,
    style: str = "cyan",
) -> list[list[Segment]]:
    """Lines of a chart, for the ``lines`` of a page.

    Parameters
    ----------
    x, y
        Points, joined in the order of x.
    height, width
        Rows of the curve, and columns in all.
    marks
        Places on the axis and what is written above them; a text that would cover another is left out.
    threshold
        Value at which a dashed line goes across.
    shaded
        Intervals of the axis that are filled under the curve, such as those that trigger.
    top
        Value at the upper edge; the largest that is finite if None.
    x_text, y_text
        How values are written.
    style
        Of the curve.

    Raises
    ------
    ValueError
        If there are not as many y as x, or the chart has no room.

    Examples
    --------
    >>> from contagion.report.page import Page
    >>> print(Page(curve([0, 1, 2, 3], [0, 0, 1, 1], height=2, width=24)).text(), end="")
       1.00 ┤       ⢀⠤⠊⠉⠉⠉⠉⠉
       0.00 ┤⣀⣀⣀⣀⣀⡠⠒⠁
            └───────────────
             0.00 1.50  3.00
    """
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if across.shape != up.shape or across.ndim != 1:
        raise ValueError(f"a curve needs as many y as x, not {up.size} and {across.size}")
    if height < LEAST_HEIGHT or width < SCALE + LEAST_ROOM:
        raise ValueError(f"a chart of {height} × {width} has no room; give at least {LEAST_HEIGHT} rows and {SCALE + LEAST_ROOM} columns")
    order = np.argsort(across, kind="stable")
    kept = order[np.isfinite(across[order]) & ~np.isnan(up[order])]
    across, up = across[kept], up[kept]
    plane = _plane(across, up, threshold, top, (height, width - SCALE))
    cells = _cells(across, np.clip(up, plane.low, plane.high), plane)
    marked = {plane.column(place) for place, _ in marks if plane.holds(place)}
    labels = _labels(plane, threshold, y_text)
    ruled = plane.row(threshold) if threshold is not None and plane.low <= threshold <= plane.high else -1
    lines = [_captions(marks, plane)] if marked else []
    for row, line in enumerate(cells):
        scale = (f"{labels.get(row, ''):>{SCALE - 2}} {'┤' if row in labels else '│'}"[-SCALE:], "dim")
        lines.append(_merged([scale, *_line(line, marked, style, ruled=row == ruled)]))
    if shaded:
        filled = _filled(shaded, plane)
        strip = [(_SHADE, "red") if inside else (" ", "") for inside in filled]
        lines.append(_merged([(" " * (SCALE - 1) + "│", "dim"), *strip]))
    lines.append([(" " * (SCALE - 1) + "└" + "─" * plane.columns, "dim")])
    lines.append([(_foot(plane, x_text), "dim")])
    return lines


def _plane(across: Floats, up: Floats, threshold: float | None, top: float | None, room: tuple[int, int]) -> _Plane:
    """Scales that hold zero or the smallest value, the threshold, and the largest finite value or the top."""
    finite = up[np.isfinite(up)]
    low = min(0.0, float(finite.min(initial=0.0)))
    high = float(finite.max(initial=low)) if top is None else top
    if threshold is not None and top is None:
        high = max(high, threshold)
    if high <= low:
        high = low + 1.0
    left, right = (float(across[0]), float(across[-1])) if across.size else (0.0, 1.0)
    if right <= left:
        left, right = left - 0.5, right + 0.5
    return _Plane(*room, left, right, low, high)


def _cells(across: Floats, up: Floats, plane: _Plane) -> Ints:
    """Braille cells of the line through the points, as code points above the blank one."""
    dots = np.zeros((4 * plane.rows, 2 * plane.columns), dtype=np.int64)
    if across.size:
        count = 2 * plane.columns
        places = np.linspace(plane.left, plane.right, count)
        inside = (places >= across[0]) & (places <= across[-1])
        if across.size == 1:
            inside[:] = False
            inside[count // 2] = True
        depth = np.rint((plane.high - np.interp(places, across, up)) / (plane.high - plane.low) * (4 * plane.rows - 1)).astype(np.int64)
        before = 0
        for place in np.flatnonzero(inside):
            here = int(depth[place])
            last = int(depth[before]) if inside[before] and before == place - 1 else here
            # a steep step is drawn down to the dot beside the one before
            low, high = (here, max(last - 1, here)) if here <= last else (min(last + 1, here), here)
            dots[low : high + 1, place] = 1
            before = int(place)
    return np.asarray((dots.reshape(plane.rows, 4, plane.columns, 2) * _BITS[None, :, None, :]).sum(axis=(1, 3)))


def _line(cells: Ints, marked: set[int], style: str, *, ruled: bool) -> list[Segment]:
    """One row: the curve over the marks over the threshold."""
    result: list[Segment] = []
    for column, cell in enumerate(cells.tolist()):
        if cell:
            result.append((chr(_BLANK + cell), style))
        elif column in marked:
            result.append((_MARK, "yellow"))
        else:
            result.append((_ACROSS, "dim") if ruled else (" ", ""))
    return result


def _labels(plane: _Plane, threshold: float | None, text: Callable[[float], str]) -> dict[int, str]:
    """What the scale says, by row: its ends, its middle, and the threshold, which goes before what is beside it."""
    middle = (plane.low + plane.high) / 2
    labels = {plane.row(value): text(value) for value in (middle, plane.high, plane.low)}
    if threshold is not None and plane.low <= threshold <= plane.high:
        at = plane.row(threshold)
        for beside in (at - 1, at + 1):
            if 0 < beside < plane.rows - 1:
                labels.pop(beside, None)
        labels[at] = text(threshold)
    return labels


def _captions(marks: Sequence[tuple[float, str]], plane: _Plane) -> list[Segment]:
    """Texts over their marks, from the left, each with a blank before the next; those without room are left out."""
    line = [" "] * plane.columns
    free = 0
    for place, text in sorted(marks):
        if not plane.holds(place) or len(text) > plane.columns:
            continue
        first = min(max(plane.column(place) - len(text) // 2, 0), plane.columns - len(text))
        if first >= free:
            line[first : first + len(text)] = text
            free = first + len(text) + 1
    return [(" " * SCALE + "".join(line).rstrip(), "yellow")]


def _filled(shaded: Sequence[tuple[float, float]], plane: _Plane) -> Flags:
    """Columns that lie in any of the intervals; one of no width fills one column."""
    filled = np.zeros(plane.columns, dtype=np.bool_)
    for first, last in shaded:
        if last >= plane.left and first <= plane.right:
            filled[plane.column(max(first, plane.left)) : plane.column(min(last, plane.right)) + 1] = True
    return filled


def _foot(plane: _Plane, text: Callable[[float], str]) -> str:
    """Values under the axis: ends, and quarters where there is room."""
    line = [" "] * plane.columns
    values = [plane.left + (plane.right - plane.left) * part for part in (0.0, 1.0, 0.5, 0.25, 0.75)]
    taken = np.zeros(plane.columns, dtype=np.bool_)
    for value in values:
        words = text(value)
        first = min(max(plane.column(value) - len(words) // 2, 0), max(plane.columns - len(words), 0))
        around = slice(max(first - 1, 0), first + len(words) + 1)
        if len(words) <= plane.columns and not taken[around].any():
            line[first : first + len(words)] = words
            taken[first : first + len(words)] = True
    return (" " * SCALE + "".join(line)).rstrip()


def _merged(line: list[Segment]) -> list[Segment]:
    """Neighbours of one style as one segment, without blanks at the end."""
    result: list[Segment] = []
    for text, style in line:
        if result and result[-1][1] == style:
            result[-1] = (result[-1][0] + text, style)
        else:
            result.append((text, style))
    while result and not result[-1][0].strip():
        result.pop()
    return result

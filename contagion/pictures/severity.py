"""The severity curve of a sweep: how near each condition of a system-wide cascade comes to its threshold as a shock grows.

Values over their thresholds are linear up to 1 and logarithmic above, so that a fund exceeded a hundredfold leaves room for
what happens around the threshold. The strip shows where the runs trigger; between a run that does and one that does not it is
hatched, because nobody ran the sizes between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.pictures.style import GREY, INK, SERIES, VERMILION, canvas, in_percent
from contagion.settings import SystemWide

if TYPE_CHECKING:
    import os

    import pandas as pd
    from matplotlib.axes import Axes

    from contagion.arrays import Flags, Floats

CONDITIONS: Final = (
    ("induced", "(a) liquidations by feedback"),
    ("exchanges", "(b) exchanges failed"),
    ("peg", "(c) distance from the peg"),
    ("bad_debt", "(d) bad debt over funds"),
)
LEAST_JUMP: Final = 0.25
"""Smallest step between neighbours, over the threshold, that is marked as a jump."""
STEEP: Final = 3.0
"""How many times as large as the steps beside it a jump is."""
TOP: Final = 100.0
"""Multiple of a threshold at which the scale ends; what is beyond lies on its edge."""


def draw_severity(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    title: str,
    x_label: str,
    thresholds: SystemWide | None = None,
    percent: bool = True,
) -> None:
    """Draw a severity curve.

    Parameters
    ----------
    frame
        A row for each run: ``severity`` (size of the shock), ``system_wide``, and the values ``induced``, ``exchanges``,
        ``peg``, ``bad_debt`` of the conditions; also ``liquidated_share`` of open interest, if it is there. Further columns
        are left alone.
    path
        SVG or PNG to write.
    title, x_label
        Of the picture and of its horizontal axis.
    thresholds
        Of the four conditions; the default ones if None.
    percent
        Whether sizes are fractions, to be labelled in percent.

    Raises
    ------
    RunError
        If the file is no SVG or PNG, or matplotlib is not installed.
    """
    frame = frame.sort_values("severity", kind="stable")
    x, values = frame["severity"].to_numpy(dtype=np.float64), over_threshold(frame, thresholds or SystemWide())
    wide = frame["system_wide"].to_numpy(dtype=np.bool_)
    with canvas(path, size=(8.2, 5.2), title=title) as figure:
        grid = figure.add_gridspec(3, 1, height_ratios=(3.2, 0.16, 1.1), left=0.1, right=0.97, top=0.91, bottom=0.1, hspace=0.16)
        top = figure.add_subplot(grid[0])
        strip, bottom = figure.add_subplot(grid[1], sharex=top), figure.add_subplot(grid[2], sharex=top)
        _draw_conditions(top, x, values)
        for first, last in runs_of(wide):
            top.axvspan(x[first], x[last], facecolor=VERMILION, alpha=0.08, linewidth=0, zorder=0)
        _draw_strip(strip, x, wide)
        _draw_share(bottom, x, frame)
        top.set_title(title)
        for axes in (top, strip):
            axes.tick_params(labelbottom=False)
        bottom.set_xlabel(x_label)
        if percent:
            in_percent(bottom)
        if x.size > 1:
            bottom.set_xlim(x[0], x[-1])


def over_threshold(frame: pd.DataFrame, thresholds: SystemWide) -> dict[str, Floats]:
    """Each condition's value on a scale on which 0 is rest and 1 its threshold, by its column.

    Examples
    --------
    >>> import pandas as pd
    >>> row = pd.DataFrame({"induced": [0.1], "exchanges": [2], "peg": [0.9], "bad_debt": [0.5]})
    >>> {name: round(float(value[0]), 9) for name, value in over_threshold(row, SystemWide()).items()}
    {'induced': 0.5, 'exchanges': 2.0, 'peg': 2.0, 'bad_debt': 0.5}
    """
    column = {name: frame[name].to_numpy(dtype=np.float64) for name, _ in CONDITIONS}
    gap = 1.0 - thresholds.depeg
    peg = (1.0 - column["peg"]) / gap if gap > 0 else np.where(column["peg"] < 1.0, np.inf, 0.0)
    return {
        "induced": column["induced"] / thresholds.induced_liquidation,
        "exchanges": column["exchanges"] / thresholds.exchange_default,
        "peg": peg,
        "bad_debt": column["bad_debt"] / thresholds.bad_debt,
    }


def jumps(values: Floats, *, least: float = LEAST_JUMP) -> list[int]:
    """Places after which a curve jumps: the step is at least ``least``, and three times those beside it.

    Examples
    --------
    >>> jumps(np.array([0.0, 0.1, 0.2, 1.2, 1.3])), jumps(np.array([0.0, 0.5, 1.0, 1.5]))
    ([2], [])
    """
    step = np.abs(np.diff(np.clip(np.nan_to_num(values, nan=0.0), -TOP, TOP)))
    padded = np.concatenate([[0.0], step, [0.0]])
    beside = np.maximum(padded[:-2], padded[2:])
    return [int(place) for place in np.flatnonzero((step >= least) & (step >= STEEP * beside))]


def runs_of(flags: Flags) -> list[tuple[int, int]]:
    """First and last place of each run of true flags.

    Examples
    --------
    >>> runs_of(np.array([False, True, True, False, True]))
    [(1, 2), (4, 4)]
    """
    edge = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edge == 1).tolist(), (np.flatnonzero(edge == -1) - 1).tolist(), strict=True))


def _draw_conditions(axes: Axes, x: Floats, values: dict[str, Floats]) -> None:
    highest = 1.0
    for (name, words), (colour, dashes, _) in zip(CONDITIONS, SERIES, strict=False):
        y = np.clip(np.nan_to_num(values[name], nan=0.0, posinf=TOP), 0.0, TOP)
        highest = max(highest, float(y.max(initial=0.0)))
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.6, label=words, zorder=3)
        for place in jumps(values[name]):
            axes.plot(x[place : place + 2], y[place : place + 2], color=colour, linestyle="", marker="o", markersize=3.6, zorder=4)
    axes.axhline(1.0, color=INK, linewidth=0.9, zorder=2)
    axes.annotate(
        "threshold", (1.0, 1.0), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", fontsize=8, color=INK
    )
    axes.set_yscale("symlog", linthresh=1.0, linscale=1.6)
    axes.set_ylim(-0.02, 1.25 * highest)
    _label_multiples(axes, highest)
    axes.set_ylabel("value over its threshold")
    axes.legend(loc="upper left", fontsize=8, handlelength=3.2)


def _label_multiples(axes: Axes, highest: float) -> None:
    """Ticks in plain multiples of the threshold."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    steps = [0.0, 0.25, 0.5, 0.75, 1.0, *(step for step in (2.0, 5.0, 10.0, 20.0, 50.0, TOP) if step <= 1.25 * highest)]
    axes.yaxis.set_major_locator(FixedLocator(steps))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{'≥ ' if value >= TOP else ''}{value:g}×"))


def _draw_strip(axes: Axes, x: Floats, wide: Flags) -> None:
    """Where runs trigger: filled between runs that do, hatched where the answer changes between two runs."""
    style: dict[str, Any] = {"ymin": 0.0, "ymax": 1.0, "linewidth": 0.0}
    for first, last in runs_of(wide):
        axes.axvspan(x[first], x[last], facecolor=VERMILION, **style)
        axes.axvline(x[first], color=VERMILION, linewidth=1.2)  # a single run has no width
        for inside, outside in ((first, first - 1), (last, last + 1)):
            if 0 <= outside < x.size:
                low, high = sorted((x[inside], x[outside]))
                axes.axvspan(low, high, facecolor="none", edgecolor=VERMILION, hatch="//////", **style)
    axes.set_yticks([])
    axes.tick_params(bottom=False)
    axes.set_ylabel("system-wide", rotation=0, ha="right", va="center", labelpad=3, fontsize=8)
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, edgecolor=GREY)


def _draw_share(axes: Axes, x: Floats, frame: pd.DataFrame) -> None:
    name, words = ("liquidated_share", "liquidated") if "liquidated_share" in frame else ("induced", "by feedback")
    y = 100 * frame[name].to_numpy(dtype=np.float64)
    axes.fill_between(x, 0.0, y, color=SERIES[5][0], alpha=0.45, linewidth=0)
    axes.plot(x, y, color=INK, linewidth=1.1)
    axes.set_ylim(bottom=0.0, top=max(1.0, 1.1 * float(np.nanmax(y, initial=0.0))))
    axes.set_ylabel(f"{words},\n% of open interest")

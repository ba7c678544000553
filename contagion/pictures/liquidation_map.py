"""The liquidation map as traders know it: USD liquidated at each price, stacked by exchange, over the local multiplier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.pictures.style import INK, PALE, SERIES, VERMILION, canvas, in_dollars, in_percent
from contagion.report.page import quote, usd

if TYPE_CHECKING:
    import os

    import pandas as pd
    from matplotlib.axes import Axes

    from contagion.arrays import Floats
    from contagion.search.levels import LiquidationMap

REST: Final = "the rest"
HIGHEST: Final = 10.0
"""Multiplier at which the scale ends."""


def draw_liquidation_map(found: LiquidationMap, path: str | os.PathLike[str], *, title: str = "") -> None:
    """Draw a liquidation map.

    Parameters
    ----------
    found
        What ``contagion.search.levels.levels`` found.
    path
        SVG or PNG to write.
    title
        Instead of the one that says what is shown.

    Raises
    ------
    RunError
        If the file is no SVG or PNG, or matplotlib is not installed.
    """
    title = title or f"{found.asset} on {found.network}: liquidated at each price, today {quote(found.price)}"
    low, high = found.edges[:-1] - 1.0, found.edges[1:] - 1.0
    with canvas(path, size=(9.0, 5.8), title=title) as figure:
        grid = figure.add_gridspec(2, 1, height_ratios=(3.0, 1.0), left=0.09, right=0.97, top=0.815, bottom=0.09, hspace=0.1)
        bars = figure.add_subplot(grid[0])
        line = figure.add_subplot(grid[1], sharex=bars)
        _draw_bars(bars, found, low, high)
        if bars.containers:
            figure.legend(loc="upper left", bbox_to_anchor=(0.015, 0.945), fontsize=7.8, ncols=4, handlelength=1.6, columnspacing=1.4)
        _draw_multiplier(line, found.path, low, high)
        for axes in (bars, line):
            axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=4)
        figure.text(0.02, 0.965, title, fontsize=11, fontweight="bold", va="center")
        _price_axis(bars, found.price)
        bars.set_xlim(float(low[0]), float(high[-1]))
        bars.tick_params(labelbottom=False)
        line.set_xlabel(f"move of {found.asset} from today, everything else unchanged")
        in_percent(line, signed=True)


def _draw_bars(axes: Axes, found: LiquidationMap, low: Floats, high: Floats) -> None:
    """Bars stacked by exchange, the largest at the foot."""
    cells = found.frame.assign(usd=found.frame["notional_usd"] + found.frame["coins_usd"])
    table = cells.pivot_table(index="low", columns="exchange", values="usd", aggfunc="sum", sort=True)
    totals = table.sum()
    ranked = sorted((str(name) for name in table.columns if totals[name] > 0), key=lambda name: (-totals[name], name))
    stacks = [(name, table[name].to_numpy(), SERIES[place]) for place, name in enumerate(ranked[: len(SERIES)])]
    if len(ranked) > len(SERIES):
        stacks.append((REST, table[ranked[len(SERIES) :]].to_numpy().sum(axis=1), (PALE, "-", "")))
    foot = np.zeros(low.size)
    for name, values, (colour, _, hatch) in stacks:
        label = f"{name} {usd(float(values.sum()))}"
        axes.bar(
            low, values, high - low, foot, align="edge", color=colour, hatch=hatch, edgecolor="white", linewidth=0.4, label=label, zorder=3
        )
        foot += values
    axes.set_ylim(0.0, max(1.15 * float(foot.max(initial=0.0)), 1e-9))
    below, above = float(foot[low < 0].sum()), float(foot[low >= 0].sum())
    for words, place, side in ((f"{usd(below)} if it falls", 0.01, "left"), (f"{usd(above)} if it rises", 0.99, "right")):
        axes.annotate(words, (place, 0.98), xycoords="axes fraction", ha=side, va="top", fontsize=8.5, zorder=5)
    in_dollars(axes)
    axes.set_ylabel("USD at today's prices")


def _draw_multiplier(axes: Axes, path: pd.DataFrame, low: Floats, high: Floats) -> None:
    """Local multiplier as steps; levels that feed themselves are filled to the top."""
    feedback, value = path["kappa_rho"].to_numpy(), path["multiplier"].to_numpy()
    loops = feedback >= 1
    shown = np.where(loops, np.nan, np.minimum(value, HIGHEST))
    axes.stairs(shown, np.append(low, high[-1]), baseline=1.0, color=INK, linewidth=1.2, zorder=3)
    for first, last in zip(low[loops], high[loops], strict=True):
        axes.axvspan(float(first), float(last), facecolor=VERMILION, alpha=0.85, linewidth=0, zorder=2)
    axes.axhline(1.0, color=PALE, linewidth=0.8, zorder=1)
    rest = shown[~loops]
    axes.set_ylim(min(0.98, 0.98 * float(rest.min(initial=1.0))), max(1.2, 1.08 * float(rest.max(initial=1.0))))
    axes.set_ylabel("1/(1 − κρ)")
    if loops.any():
        axes.annotate(
            "∞: feeds itself", (0.99, 0.93), xycoords="axes fraction", ha="right", va="top", fontsize=8, color=VERMILION, zorder=5
        )


def _price_axis(axes: Axes, price: float) -> None:
    """The same moves as prices, on top."""
    from matplotlib.ticker import FuncFormatter

    top = axes.secondary_xaxis("top")
    top.xaxis.set_major_formatter(FuncFormatter(lambda move, _: quote(price * (1.0 + move))))
    top.tick_params(labelsize=8)
    top.spines["top"].set_visible(False)

"""Draw a run as one SVG: its network on the left; on the right prices, stages and what was closed, round by round.

From the top of a checkout, in an environment with the extra ``plot``::

    contagion run oct2025 -o out/
    python tests/pictures/draw.py out/ tests/pictures/oct2025.svg

The picture holds what the run's tables hold and nothing else: positions, sizes and states of nodes are those of
``graph_nodes.parquet``, which ``contagion export`` writes too. Colours are those of Okabe and Ito, told apart by the colour-blind
and, with the line styles, in grey print. The same run gives the same bytes.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import Stroke

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "contagion",
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "path.simplify": False,
}
INK, PALE = "#222222", "#c8ccd0"
BLUE, ORANGE, VERMILION, SKY, PURPLE, GREEN, YELLOW = "#0072b2", "#e69f00", "#d55e00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442"
STATES: Final = {
    "sound": ("lost less than half", "#b4b8bc"),
    "shocked": ("named by the shock", PURPLE),
    "stressed": ("lost half, or stopped out", YELLOW),
    "deleveraged": ("deleveraged", SKY),
    "liquidated": ("liquidated", ORANGE),
    "defaulted": ("failed", VERMILION),
}
"""What each final state of a trader means, and its colour, the gravest last and on top."""
BROKEN: Final = frozenset({"halted", "depegged", "defaulted"})
LINES: Final = ((BLUE, "-"), (VERMILION, "--"), (PURPLE, "-."), (INK, ":"))
FLOWS: Final = (("liquidated_usd", "liquidated", ORANGE), ("stopped_usd", "stop orders", PALE), ("adl_usd", "deleveraged (ADL)", SKY))
NAMED_COINS: Final = 8
EDGES: Final = 500
"""Most edges of traders that are drawn, the heaviest."""
TIED: Final = "\u00a0"
"""Joins words that a line may not break between."""
STEP, RINGED = 4.0, 3
"""Sizes of traders are drawn in steps, the larger ones with a dark ring."""
UNITS: Final = (("1e9", 1e9, "billion USD"), ("1e6", 1e6, "million USD"), ("1", 1.0, "USD"))
_COORDINATE: Final = re.compile(r"(?<=[\s\"(,LM-])(\d+\.\d)\d+")


def draw(run: Path, target: Path) -> None:
    """Draw the run of a directory into a file."""
    tables = {
        name: pd.read_parquet(run / f"{name}.parquet")
        for name in ("graph_nodes", "graph_edges", "prices", "rounds", "events", "markets", "coins")
    }
    manifest = json.loads((run / "run.json").read_text(encoding="utf-8"))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.6, 6.9))
        grid = figure.add_gridspec(
            2, 2, width_ratios=(1, 1.02), height_ratios=(1.35, 1), left=0.01, right=0.985, top=0.845, bottom=0.145, hspace=0.16, wspace=0.09
        )
        network, prices, closed = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
        _draw_network(network, tables["graph_nodes"], tables["graph_edges"])
        hours = _clock(tables["rounds"])
        coins = tables["coins"]
        _draw_prices(prices, tables["prices"], tables["markets"], coins.loc[coins["kind"] == "stablecoin", "coin"], hours)
        _draw_closed(closed, tables["rounds"], hours)
        stages = _draw_stages((prices, closed), tables["events"], hours)
        figure.text(0.012, 0.965, _title(manifest), fontsize=13, fontweight="bold", va="center", color=INK)
        figure.text(
            0.012, 0.925, textwrap.shorten(manifest["claimed"]["sentence"], 165, placeholder=" …"), fontsize=9.5, va="center", color=INK
        )
        lines = textwrap.wrap(stages, 104, break_long_words=False)
        figure.text(0.507, 0.012, "\n".join(line.replace(TIED, " ") for line in lines), fontsize=7.5, va="bottom", color=INK)
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            facecolor="white",
            metadata={"Date": None, "Creator": None, "Title": _title(manifest), "Description": manifest["claimed"]["sentence"]},
        )
    # a tenth of a point cannot be seen; a reader's machine may lack the font that the text was measured with
    text = _COORDINATE.sub(r"\1", buffer.getvalue()).replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, Arial, sans-serif")
    text = "\n".join(line.rstrip() for line in text.splitlines())
    target.write_text(text + "\n", encoding="utf-8", newline="\n")


def _title(manifest: dict[str, Any]) -> str:
    job = manifest["job"]
    options = ", ".join(f"{value:,} {name}" if name == "accounts" else f"{name} {value}" for name, value in job["options"].items())
    return f"{job['network']}{f' ({options})' if options else ''}: {manifest['claimed']['rounds']} rounds"


def _draw_network(axes: Axes, nodes: pd.DataFrame, edges: pd.DataFrame) -> None:
    """Nodes at their places: exchanges as squares, coins as dark discs, traders by what became of them."""
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    place = nodes.set_index("id")[["x", "y"]]
    ties = edges[edges["source"].isin(place.index) & edges["target"].isin(place.index)]
    listed = ties[ties["layer"] == "market"].drop_duplicates(["source", "target"])
    positions = ties[ties["layer"] == "margin"].nlargest(EDGES, "notional", keep="first")
    for rows, colour, width in ((positions, "#dfe3e6", 0.35), (listed, "#9fb4c4", 0.5)):
        _stroke(axes, place.loc[rows["source"]].to_numpy(), place.loc[rows["target"]].to_numpy(), colour=colour, width=width, over=1)
    people = nodes[nodes["node_type"].isin(["trader", "cohort"])]
    handles = []
    for state, (words, colour) in STATES.items():
        group = people[people["final_state"] == state]
        if group.empty:
            continue
        number = int(group["members"].sum())
        handles.append(
            Line2D([], [], marker="o", linestyle="", color=colour, markeredgecolor=INK, markeredgewidth=0.3, label=f"{words}: {number:,}")
        )
        for size, dots in group.groupby(np.ceil(group["size"] / STEP)):
            points = dots[["x", "y"]].to_numpy()
            ends = points + np.array([0.01, 0.0])
            width = 0.18 * STEP * float(size)
            if size >= RINGED:
                _stroke(axes, points, ends, colour=INK, width=width + 0.7, over=3)
            _stroke(axes, points, ends, colour=colour, width=width, over=3)
    for kind, marker, colour in (("exchange", "s", BLUE), ("stablecoin", "D", GREEN), ("asset", "o", INK)):
        group = nodes[nodes["node_type"] == kind]
        broken = group["final_state"].isin(BROKEN)
        face = np.where(broken, VERMILION, colour)
        axes.scatter(
            group["x"],
            group["y"],
            s=(0.17 * group["size"]) ** 2,
            marker=marker,
            c=face,
            edgecolors="white",
            linewidths=0.8,
            zorder=5,
        )
    for row in _named(nodes).itertuples():
        style = {"fontsize": 9.5, "fontweight": "bold"} if row.node_type == "exchange" else {"fontsize": 7.5}
        failed = " ✗" if row.final_state in BROKEN else ""
        offset = (row.size * 0.085 + 2.5, 0)
        # once as a white outline, which is drawn, and once as text, which can be searched
        for halo in ([Stroke(linewidth=2.2, foreground="white")], []):
            axes.annotate(
                f"{row.label}{failed}",
                (row.x, row.y),
                offset,
                textcoords="offset points",
                va="center",
                color=INK,
                zorder=6,
                path_effects=halo,
                **style,
            )
    signs = [
        Line2D([], [], marker="s", linestyle="", color=BLUE, label="exchange"),
        Line2D([], [], marker="o", linestyle="", color=INK, label="coin"),
        Line2D([], [], marker="D", linestyle="", color=GREEN, label="stablecoin"),
    ]
    if nodes["final_state"].isin(BROKEN).any():
        signs.append(Line2D([], [], marker="s", linestyle="", color=VERMILION, label="failed, off its peg or halted ✗"))
    axes.legend(
        handles=[*signs, *handles],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=4,
        frameon=False,
        fontsize=7.8,
        handletextpad=0.1,
        columnspacing=1.2,
    )
    axes.set_title("The network, and what became of its traders", color=INK)


def _named(nodes: pd.DataFrame) -> pd.DataFrame:
    """Nodes that are named: exchanges, stablecoins and the largest coins."""
    coins = nodes[nodes["node_type"] == "asset"].nlargest(NAMED_COINS, "size", keep="first")
    return pd.concat([coins, nodes[nodes["node_type"].isin(["exchange", "stablecoin"])]])


def _stroke(axes: Axes, start: np.ndarray, end: np.ndarray, *, colour: str, width: float, over: int) -> None:
    """Many segments as one path, which is a tenth of the file that as many marks would be; a short one is a dot."""
    if not len(start):
        return
    points = np.stack([start, end], axis=1).reshape(-1, 2)
    outline = Outline(points, np.tile([Outline.MOVETO, Outline.LINETO], len(start)))
    outline.should_simplify = False
    axes.add_patch(PathPatch(outline, facecolor="none", edgecolor=colour, linewidth=width, capstyle="round", zorder=over))
    axes.update_datalim(points)
    axes.autoscale_view()


def _clock(rounds: pd.DataFrame) -> pd.Series[Any]:
    """Where each round lies on the axis: its time of day, or its number where there is no clock."""
    if not len(rounds) or not rounds["time"].iloc[0][:1].isdigit() or "T" not in rounds["time"].iloc[0]:
        return pd.Series(rounds["round"].to_numpy(dtype=float))
    return pd.Series(pd.to_datetime(rounds["time"]).dt.tz_localize(None).to_numpy())


def _draw_prices(axes: Axes, prices: pd.DataFrame, markets: pd.DataFrame, stablecoins: pd.Series[str], hours: pd.Series[Any]) -> None:
    """Prices over their start: the mean over exchanges as a line, all exchanges as a band; a stablecoin where it fell most."""
    paths = prices[prices["round"] < len(hours)].merge(
        markets[["exchange", "asset", "instrument", "price_start"]], on=["exchange", "asset", "instrument"]
    )
    paths["level"] = 100 * paths["price"] / paths["price_start"]
    perps = paths[paths["instrument"] == "perp"]
    interest = markets[markets["instrument"] == "perp"].groupby("asset")["open_interest_start_usd"].sum()
    largest = interest.sort_values(ascending=False, kind="stable").index[:3].tolist()
    for coin, (colour, dashes) in zip(largest, LINES, strict=False):
        level = perps[perps["asset"] == coin].pivot_table(index="round", columns="exchange", values="level")
        axes.fill_between(hours, level.min(axis=1).to_numpy(), level.max(axis=1).to_numpy(), color=colour, alpha=0.16, linewidth=0)
        axes.plot(hours, level.mean(axis=1).to_numpy(), color=colour, linestyle=dashes, linewidth=1.5, label=coin)
    spots = markets[(markets["instrument"] == "spot") & markets["asset"].isin(stablecoins)]
    for row in spots.assign(fall=spots["price_low"] / spots["price_start"]).nsmallest(1, "fall", keep="first").itertuples():
        own = paths[(paths["asset"] == row.asset) & (paths["exchange"] == row.exchange) & (paths["instrument"] == "spot")].sort_values(
            "round"
        )
        axes.plot(hours, own["level"].to_numpy(), color=INK, linestyle=":", linewidth=1.4, label=f"{row.asset} on {row.exchange}")
    axes.set_ylabel("price, start = 100")
    if axes.lines:
        axes.legend(loc="lower left", frameon=False, fontsize=8, ncols=2, handlelength=2.6)
    axes.set_title("Prices: line, mean over exchanges; band, lowest and highest exchange", color=INK, pad=20)
    axes.tick_params(labelbottom=False)


def _draw_closed(axes: Axes, rounds: pd.DataFrame, hours: pd.Series[Any]) -> None:
    """USD closed in each round by kind, stacked."""
    columns = [name for name, *_ in FLOWS]
    most = float(rounds[columns].sum(axis=1).max()) if len(rounds) else 0.0
    _, scale, unit = next((entry for entry in UNITS if most >= entry[1]), UNITS[-1])
    stack = [rounds[name].to_numpy() / scale for name in columns]
    axes.stackplot(
        hours,
        *stack,
        colors=[colour for *_, colour in FLOWS],
        labels=[words for _, words, _ in FLOWS],
        step="post",
        linewidth=0.3,
        edgecolor=INK,
    )
    axes.legend(loc="upper right", frameon=False, fontsize=8)
    axes.set_ylabel(f"{unit} a round")
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.set_title("Closed against the will of its owner, or by a stop order", color=INK)
    if np.issubdtype(hours.dtype, np.datetime64):
        axes.xaxis.set_major_formatter(mpl.dates.DateFormatter("%H:%M"))
        axes.set_xlabel("time of day, UTC", labelpad=1)
    else:
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("round", labelpad=1)


def _draw_stages(panels: Sequence[Axes], events: pd.DataFrame, hours: pd.Series[Any]) -> str:
    """Number the stages over the panels; the text that says which is which."""
    words: list[str] = []
    last = (-np.inf, 0)
    for number, row in enumerate(events[events["event"] == "stage"].itertuples(), 1):
        for axes in panels:
            axes.axvline(hours[row.round], color=INK, linewidth=0.5, linestyle=(0, (1, 2)), zorder=0)
        level = (
            last[1] + 1 if row.round - last[0] < 0.025 * len(hours) else 0
        )  # names of stages that come close together would cover each other
        last = (row.round, level % 2)
        panels[0].annotate(
            str(number),
            (hours[row.round], 1.0),
            (0, 2 + 8 * (level % 2)),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=INK,
        )
        words.append(f"{number} {row.detail or 'shock'}".replace(" ", TIED))
    panels[0].set_xlim(panels[1].get_xlim())
    return "Stages: " + " · ".join(words)


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description="Draw a run directory as an SVG.")
    parser.add_argument("run", type=Path, help="directory that `contagion run -o` has written")
    parser.add_argument("picture", type=Path, help="SVG to write")
    options = parser.parse_args()
    draw(options.run, options.picture)


if __name__ == "__main__":
    main()

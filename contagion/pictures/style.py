"""How pictures look, and how they are written.

Colours are those of Okabe and Ito (2008), which the colour-blind tell apart; every picture says the same by line style, hatching
or position as well, so that it reads in grey print. Files are staged, and the same data give the same bytes.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contagion.errors import RunError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, VERMILION, SKY = "#0072b2", "#e69f00", "#d55e00", "#56b4e9"
PURPLE, GREEN, YELLOW = "#cc79a7", "#009e73", "#f0e442"
INK, GREY, PALE = "#222222", "#8a9096", "#c8ccd0"
SERIES: Final = (
    (BLUE, "-", ""),
    (VERMILION, "--", "//"),
    (GREEN, "-.", "\\\\"),
    (ORANGE, ":", ".."),
    (PURPLE, (0, (5, 1, 1, 1, 1, 1)), "xx"),
    (SKY, (0, (1, 1)), "--"),
    (YELLOW, (0, (8, 2)), "++"),
)
"""Colour, line style and hatching of one series after the other."""
SUFFIXES: Final = (".svg", ".png")
DOTS: Final = 160
"""Dots per inch of a PNG."""
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "contagion",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "path.simplify": False,
}
_COORDINATE: Final = re.compile(r"(?<=[\s\"(,LM-])(\d+\.\d\d)\d+")


@contextmanager
def canvas(path: str | os.PathLike[str], *, size: tuple[float, float], title: str) -> Iterator[Figure]:
    """Give a figure to draw on; when the block ends without an error it is written to ``path``.

    Parameters
    ----------
    path
        File to write, an SVG or a PNG by its suffix.
    size
        Width and height in inches.
    title
        Of the document; what the picture shows as its title is drawn by the block.

    Yields
    ------
    Figure
        The figure to draw on.

    Raises
    ------
    RunError
        If the suffix is another one, or matplotlib is not installed.
    WriteError
        If the file cannot be written there.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise RunError(f"{path}: a picture is an SVG or a PNG; let its name end in .svg or .png")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise RunError("pictures need matplotlib, which is not installed; run: pip install 'contagion-graph[plot]'") from None
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, facecolor="white")
        yield figure
        content = _svg(figure, title) if suffix == ".svg" else _png(figure, title)
    from graphs.files import staged_file

    with staged_file(path) as stage:
        stage.write_bytes(content)


def _svg(figure: Figure, title: str) -> bytes:
    """The figure as SVG without a date; a hundredth of a point cannot be seen, nor can a reader be without the font."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = _COORDINATE.sub(r"\1", buffer.getvalue()).replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, Arial, sans-serif")
    return ("\n".join(line.rstrip() for line in text.splitlines()) + "\n").encode("utf-8")


def _png(figure: Figure, title: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None, "Title": title})
    return buffer.getvalue()


def in_percent(axes: Axes, *, signed: bool = False) -> None:
    """Label the horizontal axis, whose values are fractions, in percent."""
    from matplotlib.ticker import FuncFormatter

    def label(value: float, _place: int) -> str:
        return f"{100 * value:{'+' if signed and round(value, 9) else ''}g} %"

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: label(round(value, 9) + 0.0, place)))


def in_dollars(axes: Axes) -> None:
    """Label the vertical axis in USD with the suffixes of the tables."""
    from matplotlib.ticker import FuncFormatter

    from contagion.report.page import usd

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: usd(value)))

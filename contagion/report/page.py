"""Pages: lines of styled text that are plain wherever they are not seen on a terminal.

A page is at most 100 columns wide: cells that do not fit are cut, with an ellipsis. Amounts are US dollars with the
suffixes k, M, B and T; shares are in percent.
"""

from __future__ import annotations

import math
import sys
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 100
LABEL: Final = 12
"""Columns of the label that a paragraph hangs from."""
NO_BREAK: Final = "\N{NO-BREAK SPACE}"

_SUFFIXES: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))

Segment = tuple[str, str]
"""Text and its style, empty for none."""


@dataclass(slots=True)
class Page:
    """Lines of segments.

    Examples
    --------
    >>> page = Page()
    >>> page.table((("exchange", 9), ("liquidated", -10)), [[("Bybit", ""), ("4.65B", "bold")]])
    >>> print(page.text(), end="")
    exchange  liquidated
    Bybit          4.65B
    """

    lines: list[list[Segment]] = field(default_factory=list)

    def add(self, *segments: Segment) -> None:
        """Add a line; no segment is an empty one."""
        self.lines.append([segment for segment in segments if segment[0]])

    def paragraph(self, label: str, text: str, style: str = "") -> None:
        """Add text that hangs from a label, broken between words but not at a no-break space."""
        broken = textwrap.wrap(text, WIDTH - LABEL, break_on_hyphens=False) or [""]
        for number, line in enumerate(broken):
            self.add((f"{'' if number else label:{LABEL}}", "bold"), (line.replace(NO_BREAK, " "), style))

    def table(self, columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[Segment]], *, span: bool = False) -> None:
        """Add a table: a column is its head and its width, negative for flush right; nothing is added where no row is.

        With ``span`` a row whose other cells are all empty is a heading, and its first cell may be as long as the line.
        """
        if not rows:
            return
        head = [(name, "dim") for name, _ in columns]
        for row in (head, *rows):
            if span and not any(text for text, _ in row[1:]):
                self.add((fit(row[0][0], WIDTH).rstrip(), row[0][1]))
                continue
            cells: list[Segment] = []
            for (text, style), (_, width) in zip(row, columns, strict=True):
                cells.append((fit(text, width), style))
                cells.append((" ", ""))
            self.add(*_stripped(cells))

    def text(self) -> str:
        """All lines without styles."""
        return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in self.lines)

    def show(self, stream: TextIO | None = None) -> None:
        """Print, in colours where a terminal shows them."""
        stream = stream or sys.stdout
        if not stream.isatty():
            stream.write(self.text())
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(file=stream, highlight=False, soft_wrap=True)
        for line in self.lines:
            console.print(Text.assemble(*(segment if segment[1] else segment[0] for segment in line)))


def _stripped(cells: list[Segment]) -> list[Segment]:
    """Leave out what is blank at the end of a line."""
    while cells and not cells[-1][0].strip():
        cells.pop()
    if cells:
        cells[-1] = (cells[-1][0].rstrip(), cells[-1][1])
    return cells


def fit(text: str, width: int) -> str:
    """Text in so many columns, cut if need be; a negative width is flush right.

    Examples
    --------
    >>> fit("Hyperliquid", 6), fit("OKX", -5)
    ('Hyper…', '  OKX')
    """
    size = abs(width)
    if len(text) > size:
        text = text[: size - 1] + "…"
    return text.rjust(size) if width < 0 else text.ljust(size)


def whole(text: str) -> str:
    """Text that a paragraph does not break."""
    return text.replace(" ", NO_BREAK)


def usd(amount: float | None) -> str:
    """Dollars in three digits.

    Examples
    --------
    >>> usd(2.103e9), usd(-41_500.0), usd(0.0), usd(None)
    ('2.10B', '-41.5k', '0', '–')
    """
    if amount is None or math.isnan(amount):
        return "–"
    if math.isinf(amount):
        return "∞" if amount > 0 else "-∞"
    size = abs(amount)
    for unit, suffix in _SUFFIXES:
        if float(f"{size:.3g}") >= unit:
            return f"{'-' if amount < 0 else ''}{three(size / unit)}{suffix}"
    return "0" if float(f"{size:.3g}") == 0 else three(amount)


def three(value: float) -> str:
    """A number in three digits, without an exponent for what is not tiny.

    Examples
    --------
    >>> three(4.6512), three(46.512), three(465.12), three(46512.0)
    ('4.65', '46.5', '465', '46,512')
    """
    size = float(f"{abs(value):.3g}")
    if size >= 100:  # noqa: PLR2004 - three digits are full
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"  # noqa: PLR2004


def quote(price: float | None) -> str:
    """A price in five digits.

    Examples
    --------
    >>> quote(109896.2), quote(4122.46), quote(0.0052589)
    ('109,896', '4,122.5', '0.0052589')
    """
    if price is None or not math.isfinite(price):
        return "–"
    if abs(price) >= 10_000:  # noqa: PLR2004 - five digits are full
        return f"{price:,.0f}"
    if abs(price) >= 1:
        digits = 4 - int(math.log10(abs(price)))
        return f"{price:,.{digits}f}"
    return f"{price:.5g}"


def percent(share: float | None, *, sign: bool = False) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.1234), percent(-0.5), percent(0.5, sign=True), percent(0.0004)
    ('12.3 %', '-50.0 %', '+50.0 %', '0.0 %')
    """
    if share is None or math.isnan(share):
        return "–"
    if math.isinf(share):
        return "∞"
    text = f"{100 * share:{'+' if sign else ''}.1f}"
    return f"{'0.0' if float(text) == 0 else text} %"


def moment(time: str, when: int) -> str:
    """When a round is: the time of day where there is one, else the round.

    Examples
    --------
    >>> moment("2025-10-10T21:01:30Z", 23), moment("90 s", 3), moment("", 3)
    ('21:01:30', '90 s', 'round 3')
    """
    if "T" in time:
        return time.partition("T")[2].removesuffix("Z").partition("+")[0]
    return time or f"round {when}"

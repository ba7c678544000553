"""What is printed of the classical models: the list of them, and the figures and the table of one that was run."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.report.page import WIDTH, Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contagion.models.catalog import ModelResult

WIDEST_CELL = 40
DIGITS = 6
LARGE = 1e6
"""From here on a number is written in full, and not in six digits."""


def lay_out_list(models: Sequence[Mapping[str, Any]]) -> Page:
    """Lay out :func:`contagion.models.catalog.list_models`: each with its equation, source and inputs."""
    page = Page()
    for number, card in enumerate(models):
        if number:
            page.add()
        page.add((str(card["name"]), "bold"), (f"  {card['title']}", ""))
        page.paragraph("  equation", str(card["equation"]))
        page.paragraph("  source", str(card["source"]))
        page.paragraph("  inputs", f"{card['files']}{', or a network' if card['network'] else ''}")
        if card["matrix"]:
            page.paragraph("  matrix", str(card["matrix"]))
        for label, docs in (("  vectors", card["vectors"]), ("  options", card["options"])):
            for place, (name, doc) in enumerate(docs.items()):
                page.paragraph("" if place else label, f"{name}: {doc}", "dim")
    return page


def lay_out_model(found: ModelResult) -> Page:
    """Lay out the figures of a model that was run, and its table."""
    page = Page()
    figures = {name.replace("_", " "): _lines(value) for name, value in found.found.figures.items()}
    figures = {"model": [found.card.title], "source": [found.card.source], **figures}
    label = max(map(len, figures)) + 2
    for name, lines in figures.items():
        broken = [part for line in lines for part in textwrap.wrap(line, WIDTH - label, break_on_hyphens=False)] or ["none"]
        for place, line in enumerate(broken):
            page.add((f"{'' if place else name:{label}}", "bold"), (line, ""))
    page.add()
    frame = found.frame
    columns, cells = [], []
    for name in frame.columns:
        values = frame[name].tolist()
        texts = [_cell(value) for value in values]
        width = min(max(len(text) for text in (str(name), *texts)), WIDEST_CELL)
        flush = all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)
        columns.append((str(name), -width if flush else width))
        cells.append([(text, "") for text in texts])
    # A page puts one space between columns; a second one is easier to read where there is room.
    gap = 1 if sum(abs(width) + 2 for _, width in columns) - 2 <= WIDTH else 0
    page.table([(name, width - gap if width < 0 else width + gap) for name, width in columns], list(zip(*cells, strict=True)))
    return page


def _lines(value: object) -> list[str]:
    """Return a figure in lines: texts have one each."""
    if isinstance(value, dict):
        return [", ".join(f"{name} {_cell(one)}" for name, one in value.items())]
    if isinstance(value, list | tuple):
        if all(isinstance(one, str) for one in value):
            return list(value)
        return [", ".join(_cell(one) for one in value)]
    return [_cell(value)]


def _cell(value: object) -> str:
    """Return a value in few characters.

    Examples
    --------
    >>> [_cell(value) for value in (True, None, 3, 0.1 + 0.2, 12345678.9, float("inf"), "A")]
    ['yes', '–', '3', '0.3', '12,345,679', '∞', 'A']
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.{DIGITS}g}"
    return str(value)

"""The real day in the printed table: one line a figure, a miss printed as one."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from contagion.report.facts import COUNTERS, ONE_NUMBER, label, source_name
from contagion.report.page import percent, three, usd, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.report.page import Page, Segment

    Json = dict[str, Any]

_STATUS: Final = ("fitted", "predicted", "imposed")
_MEANING: Final = {
    "fitted": "the shipped scenario was chosen to meet these",
    "predicted": "nothing was tuned to these",
    "imposed": "the scenario states these, or the sale that makes them",
}
_COLUMNS: Final = (("the day", 36), ("run", -9), ("½ step", -9), ("fact", -8), ("range of sources", -18), ("", 5), ("source", 8))


def add_facts(page: Page, facts: Sequence[Json]) -> None:
    """Add the facts by status, with the tally of hits and the sources by number."""
    if not facts:
        return
    numbers = _numbers(facts)
    ordered = sorted(facts, key=lambda fact: _STATUS.index(fact["status"]))
    page.add()
    rows: list[list[Segment]] = []
    for status, group in groupby(ordered, key=lambda fact: fact["status"]):
        members = list(group)
        hits = sum(fact["hit"] for fact in members)
        rows.append([(f"{status.upper()}  {hits} of {len(members)} in range; {_MEANING[status]}", "bold"), *[("", "")] * 6])
        rows += [_row(fact, numbers) for fact in members]
    page.table(_COLUMNS, rows, span=True)
    page.add()
    page.paragraph("", f"ok: within the range of its sources, or within {ONE_NUMBER:.0%} where all give one. ~ unresolved in time.", "dim")
    page.paragraph("Sources", " · ".join(whole(f"[{number}] {name}") for name, number in numbers.items()), "dim")
    page.paragraph("", "A the publisher's own figure or data recomputed, B a named secondary source, C weak; all: --json.", "dim")
    page.paragraph("Counters", COUNTERS, "dim")


def _numbers(facts: Sequence[Json]) -> dict[str, int]:
    """Sources by their short name, numbered as they come."""
    names = dict.fromkeys(source_name(fact["source"]) for fact in sorted(facts, key=lambda fact: _STATUS.index(fact["status"])))
    return {name: number for number, name in enumerate(names, start=1)}


def _row(fact: Json, numbers: dict[str, int]) -> list[Segment]:
    unit = fact["unit"]
    span = f"{show(fact['low'], unit)} … {show(fact['high'], unit)}" if fact["low"] != fact["high"] else ""
    half = "" if _missing(fact["half_step"]) else show(fact["half_step"], unit)
    mark = ("ok", "green") if fact["hit"] else ("miss", "bold red")
    return [
        (f"  {label(fact['key'])}", ""),
        (show(fact["measured"], unit), "bold"),
        (half + ("" if fact["resolved"] else "~"), "" if fact["resolved"] else "yellow"),
        (show(fact["value"], unit), ""),
        (span, "dim"),
        mark,
        (f"{fact['grade']} [{numbers[source_name(fact['source'])]}]", "dim"),
    ]


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def show(value: float | None, unit: str) -> str:
    """A figure in its unit.

    Examples
    --------
    >>> show(-0.1267, "share of price"), show(19.13e9, "USD"), show(16.0, "minutes"), show(0.65, "USD"), show(None, "USD")
    ('-12.7 %', '19.1B', '16 min', '0.650', 'none')
    """
    if value is None or math.isnan(value):
        return "none"
    if unit.startswith("share"):
        return percent(value)
    if unit in {"minutes", "seconds"}:
        return f"{value:.0f} {'min' if unit == 'minutes' else 's'}"
    if unit == "exchanges" or not value:
        return f"{value:.0f}"
    if unit == "USD" and 0 < abs(value) < 10:  # noqa: PLR2004 - the price of a stablecoin, not an amount
        return f"{value:.3f}"
    return usd(value) if abs(value) >= 1e3 else three(value)  # noqa: PLR2004 - suffixes begin there

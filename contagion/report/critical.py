"""The table of critical shocks: what triggers first, by how many standard deviations, and how surely; then what does not trigger."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from contagion.report.page import Page, percent, three, usd, whole
from contagion.search.claims import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contagion.report.page import Segment
    from contagion.search.critical import CriticalShock, CriticalShocks

MOST_ROWS: Final = 40
"""Drivers that trigger and have a line of their own."""
BAD, GOOD, QUIET, HEAD = "bold red", "green", "dim", "bold"
CLAIM_STYLE: Final = {"exact": "green", "enumerated": "green", "bracket": "yellow", "sampled": ""}
NAMES: Final = {"a": "liquidations", "b": "an exchange", "c": "a peg", "d": "bad debt"}
_MEANING: Final = {
    "exact": "exact: no smaller shock of the driver triggers, which was proven; or it happens or not, and was run",
    "enumerated": "enumerated: no smaller shock of the driver triggers; every size at which anything changes was visited",
    "bracket": "bracket: nothing up to “safe to” triggers, which the envelope proves; the critical size does, and was run",
    "sampled": "sampled: sizes were run, and those between may do otherwise",
}


def lay_out_critical(answer: CriticalShocks) -> Page:
    """Page of critical shocks.

    Examples
    --------
    >>> from contagion.search.critical import critical
    >>> from contagion.search.drivers import drivers_of
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> page = lay_out_critical(critical(bench, drivers_of(bench.system, Risk(), traders=0)))
    >>> print(page.text().splitlines()[0])
    Critical    COIN alone makes one_book_ladder system-wide, at -3.002 % (0.76 σ); 4 others do not
    """
    page = Page()
    _headline(page, answer)
    shown = answer.triggering[:MOST_ROWS]
    if shown:
        page.add()
        page.table(_COLUMNS, [_line(row) for row in shown])
        if len(answer.triggering) > MOST_ROWS:
            page.add((f"… and {len(answer.triggering) - MOST_ROWS:,} less plausible ones, in the tables of --out", QUIET))
        _intervals(page, shown)
    _quiet(page, [row for row in answer.rows if row not in set(answer.triggering)])
    _notes(page, answer)
    return page


_COLUMNS: Final = (
    ("driver", 23),
    ("critical", -12),
    ("σ", -6),
    ("by", 4),
    ("claim", 10),
    ("safe to", -11),
    ("forced", -8),
    ("÷ depth", -7),
    ("rounds", -6),
)


def _headline(page: Page, answer: CriticalShocks) -> None:
    total, some = len(answer.rows), len(answer.triggering)
    if not some:
        page.paragraph("Critical", f"none of {total:,} drivers was found to make {answer.network} system-wide alone", GOOD)
    else:
        first = answer.triggering[0]
        at = f"at {first.words}" if not first.driver.binary else "by happening"
        nearest = whole(f"{at} ({three(first.sigmas)} σ)")
        if some == 1:
            text = f"{first.driver.key} alone makes {answer.network} system-wide, {nearest}; {total - 1:,} others do not"
        else:
            text = f"{some:,} of {total:,} drivers make {answer.network} system-wide alone; most plausibly {first.driver.key}, {nearest}"
        page.paragraph("Critical", text, BAD)
    if answer.given:
        page.paragraph("Given", " and ".join(whole(shock) for shock in answer.given) + ", in every run")
    if answer.conditions != "".join(NAMES):
        page.paragraph("Conditions", " or ".join(whole(f"({letter}) {NAMES[letter]}") for letter in answer.conditions) + " alone counts")


def _line(row: CriticalShock) -> list[Segment]:
    driver, claim = row.driver, row.claim
    letters = "" if claim.safe_for in {"", "abcd"} else f" ({claim.safe_for})"
    return [
        (driver.key, HEAD),
        (row.words + ("*" if _bounded(row) else ""), BAD),
        (three(row.sigmas), ""),
        (row.fired, ""),
        (claim.word, CLAIM_STYLE[claim.word]),
        (driver.words(claim.safe_up_to) + letters if claim.safe_up_to else "·", "" if claim.safe_up_to else QUIET),
        (usd(row.forced_usd) if row.forced_usd else "·", "" if row.forced_usd else QUIET),
        (f"{three(row.over_depth)}×" if row.forced_usd else "·", "" if row.forced_usd else QUIET),
        (f"{row.trial.rounds:,}" if row.trial else "", ""),
    ]


def _intervals(page: Page, rows: Iterable[CriticalShock]) -> None:
    """Rows whose larger shocks do less: all their intervals."""
    for row in rows:
        if _bounded(row):
            text = " and ".join(whole(words_of(row.driver, one)) for one in row.findings.intervals)
            page.paragraph("", f"* {row.driver.key} triggers {text}: a larger shock may do less", "yellow")


def _bounded(row: CriticalShock) -> bool:
    """Whether a larger shock than one that triggers was found that does not."""
    return not row.driver.binary and not math.isnan(row.findings.intervals[0].above)


def _quiet(page: Page, rows: list[CriticalShock]) -> None:
    """What does not trigger, by kind."""
    if not rows:
        return
    groups: dict[tuple[str, bool, float], list[CriticalShock]] = {}
    for row in rows:
        groups.setdefault((row.driver.kind, row.driver.rises, row.driver.limit), []).append(row)
    columns = (("does not trigger", 23), ("drivers", -12), ("up to", -11), ("proven", -8), ("sampled", -8), ("sure up to, at least", -21))
    cells = []
    for (kind, rises, limit), group in groups.items():
        first = group[0].driver
        sampled = [row for row in group if row.claim.word == "sampled"]
        least = min((row.claim.safe_up_to for row in sampled), default=0.0)
        cells.append(
            [
                (f"{kind} up" if rises else kind, HEAD),
                (f"{len(group):,}", ""),
                ("" if first.binary else first.words(limit), ""),
                (_count(len(group) - len(sampled)), GOOD),
                (_count(len(sampled)), ""),
                (first.words(least) if least else "·", "" if least else QUIET),
            ]
        )
    page.add()
    page.table(columns, cells)


def _count(number: int) -> str:
    return f"{number:,}" if number else "·"


def _notes(page: Page, answer: CriticalShocks) -> None:
    """What the columns and the claims mean."""
    page.add()
    if answer.triggering:
        forced = "forced: the first orders that the shock forces on anybody, net, before any order has moved a price"
        page.paragraph("", f"{forced}; ÷ depth: over the 1 % depth of the books they hit", QUIET)
    words = {row.claim.word for row in answer.rows}
    for word, meaning in _MEANING.items():
        if word in words:
            page.paragraph("", meaning, QUIET)
    scanned = [row for row in answer.rows if row.claim.sizes]
    if scanned:
        low, high = min(row.claim.ratio for row in scanned), max(row.claim.ratio for row in scanned)
        apart = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
        tolerance = percent(max(row.claim.tolerance for row in scanned))
        text = f"scan: {max(row.claim.sizes for row in scanned)} sizes a driver, each {apart} × the last in σ; edges within {tolerance}"
        page.paragraph("", f"{text} of their size; what triggers only between two sizes is missed", QUIET)
    runs, cut = sum(row.runs for row in answer.rows), sum(row.truncated for row in answer.rows)
    text = f"{runs:,} runs" + (f", of which {cut:,} stopped at the limit of rounds and did not settle" if cut else "")
    page.paragraph("", text, "yellow" if cut else QUIET)

"""A severity curve in the terminal: the verdict, the curve of how near it comes, where it jumps, and a table of the sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contagion.report.chart import curve
from contagion.report.page import Page, percent, three, usd, whole
from contagion.search.claims import words_of
from contagion.search.policy_sweep import LeverCurve
from contagion.search.ray import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.report.page import Segment
    from contagion.search.policy_sweep import LeverPoint
    from contagion.search.severity import Point, SeverityCurve

MOST_ROWS: Final = 21
"""Sizes in the table, the edges of intervals and of jumps beside them."""
TOP: Final = 3.0
"""Multiple of a threshold at which the curve ends."""
BAD, GOOD, QUIET, HEAD = "bold red", "green", "dim", "bold"


def lay_out_sweep(answer: SeverityCurve | LeverCurve) -> Page:
    """Page of a severity curve, or of a sweep over a rule.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> from contagion.search.sweep import sweep
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> answer = sweep(Bench.of(one_book_ladder()), Driver("price", "COIN", "", 0.04, 0.9), high=0.1, steps=3)
    >>> print(lay_out_sweep(answer).text().splitlines()[0])
    Sweep       COIN on one_book_ladder from 0 to -10 %: triggers from -3.008 %
    """
    page = Page()
    if isinstance(answer, LeverCurve):
        _lay_out_lever(page, answer)
        return page
    _headline(page, answer)
    page.add()
    _chart(page, answer)
    page.add()
    _table(page, answer)
    return page


def _headline(page: Page, answer: SeverityCurve) -> None:
    driver, found = answer.driver, answer.findings
    ends = f"from {_words(answer, answer.points[0].size)} to {_words(answer, answer.points[-1].size).removeprefix('to ')}"
    text = f"{driver.key} on {answer.network} {ends}"
    if found.intervals:
        page.paragraph("Sweep", f"{text}: triggers {' and '.join(whole(words_of(driver, one)) for one in found.intervals)}", BAD)
    else:
        page.paragraph("Sweep", f"{text}: nothing triggers", GOOD)
    if answer.given:
        page.paragraph("Given", " and ".join(whole(shock) for shock in answer.given) + ", in every run")
    for number, jump in enumerate(answer.jumps):
        name = "jumps" if abs(jump.after - jump.before) >= abs(jump.of) / 2 else "is steep, without a jump of its size,"
        where = f"{_words(answer, jump.low)} and {_words(answer, jump.high)}"
        change = f"{percent(jump.before)} to {percent(jump.after)} of open interest"
        page.paragraph("" if number else "Jumps", f"induced liquidation {name} between {whole(where)}: {whole(change)}")
    page.paragraph("Claim", f"{found.claim.word}: {_claim(answer)}", QUIET)


def _claim(answer: SeverityCurve) -> str:
    apart = f"edges and jumps located within {three(100 * answer.resolution)} % of the price, peg or depth"
    claim = answer.findings.claim
    if claim.word == "bracket":
        return f"surely nothing triggers, which the envelope proves; {apart}"
    if claim.word != "sampled":
        return f"these are all sizes that trigger, which was proven; {apart}"
    text = f"{claim.resolution}; {apart}; what triggers only between two of them is missed"
    if claim.safe_up_to:
        what = "nothing triggers" if claim.safe_for == CONDITIONS else "induced liquidation triggers nothing"
        text += f"; surely {what} up to {whole(answer.driver.words(claim.safe_up_to).removeprefix('to '))}"
    return text


def _words(answer: SeverityCurve, size: float) -> str:
    return answer.driver.words(size) if size else "0"


def _chart(page: Page, answer: SeverityCurve) -> None:
    """How near the nearest of the four conditions comes to its threshold."""
    page.add(("how near the nearest condition is: 1 is its threshold", QUIET), (", ▒ triggers" if answer.findings.intervals else "", "red"))
    largest = max(point.trial.severity for point in answer.points)
    page.lines += curve(
        [point.size for point in answer.points],
        [point.trial.severity for point in answer.points],
        height=10,
        threshold=1.0,
        top=min(max(largest * 1.05, 1.2), TOP),
        marks=[(one.first, answer.driver.words(one.first)) for one in answer.findings.intervals if one.first > answer.points[0].size],
        shaded=[(one.first, one.last) for one in answer.findings.intervals],
        x_text=lambda size: _words(answer, size),
    )


_COLUMNS: Final = (
    ("size", -11),
    ("σ", -6),
    ("by", 4),
    ("liquidated", -10),
    ("induced", -8),
    ("fails", -5),
    ("peg", -6),
    ("debt/funds", -10),
    ("bad debt", -9),
    ("loss", -9),
    ("rounds", -6),
)


def _table(page: Page, answer: SeverityCurve) -> None:
    """Sizes of the sweep, thinned where they are many, with those at which something changes."""
    grid = [point for point in answer.points if not point.located]
    every = -(-len(grid) // MOST_ROWS)
    kept = {point.size for point in grid[::every]} | {grid[-1].size}
    kept |= {one.first for one in answer.findings.intervals} | {one.high for one in answer.jumps}
    page.table(_COLUMNS, [_line(answer, point) for point in answer.points if point.size in kept])
    if any(not point.trial.settled for point in answer.points):
        page.add(("† did not settle: what had happened by then", "yellow"))


def _line(answer: SeverityCurve, point: Point) -> Sequence[Segment]:
    trial = point.trial
    style = QUIET if trial.severity == 0 else ""
    return [
        (_words(answer, point.size), BAD if trial.system_wide else HEAD),
        (three(answer.driver.sigmas(point.size)) if point.size else "0", style),
        (trial.fired, BAD),
        (percent(point.liquidated_share), style),
        (percent(trial.induced), style),
        (f"{trial.exchanges}", style),
        (f"{trial.peg:.3f}", style),
        (three(trial.bad_debt) if trial.bad_debt < float("inf") else "∞", style),
        (usd(trial.bad_debt_usd), style),
        (usd(trial.loss), style),
        (f"{trial.rounds:,}{'' if trial.settled else '†'}", style),
    ]


_LEVER: Final = (
    ("value", -10),
    ("by", 4),
    ("liquidated", -10),
    ("induced", -8),
    ("fails", -5),
    ("peg", -6),
    ("debt/funds", -10),
    ("bad debt", -9),
    ("loss", -9),
    ("restored", -9),
    ("accounts", -8),
)


def _lay_out_lever(page: Page, answer: LeverCurve) -> None:
    """A shock under each value of a rule."""
    wide = [point for point in answer.points if point.trial.system_wide]
    shocks = " and ".join(whole(shock) for shock in answer.shocks)
    text = f"{answer.lever} on {answer.network} under {shocks}: system-wide at {len(wide)} of {len(answer.points)} values"
    page.paragraph("Sweep", text, BAD if wide else GOOD)
    how = "positions cut on both sides" if answer.restore == "scale" else "cash added"
    page.paragraph("Restored", f"before the shock, so that nobody is short of initial margin under the rule: {how}, USD, and accounts")
    page.paragraph("Claim", f"sampled: {len(answer.points)} values were run; what lies between two is not known", QUIET)
    page.add()
    if len(answer.points) > 1:
        page.add(("how near the nearest condition is: 1 is its threshold", QUIET))
        largest = max(point.trial.severity for point in answer.points)
        page.lines += curve(
            [point.value for point in answer.points],
            [point.trial.severity for point in answer.points],
            height=8,
            threshold=1.0,
            top=min(max(largest * 1.05, 1.2), TOP),
        )
        page.add()
    page.table(_LEVER, [_lever_line(point) for point in answer.points])


def _lever_line(point: LeverPoint) -> Sequence[Segment]:
    trial = point.trial
    return [
        (f"{point.value:.4g}", BAD if trial.system_wide else HEAD),
        (trial.fired, BAD),
        (usd(trial.liquidated), ""),
        (percent(trial.induced), ""),
        (f"{trial.exchanges}", ""),
        (f"{trial.peg:.3f}", ""),
        (three(trial.bad_debt) if trial.bad_debt < float("inf") else "∞", ""),
        (usd(trial.bad_debt_usd), ""),
        (usd(trial.loss), ""),
        (usd(point.restored_usd), "yellow" if point.restored_usd else QUIET),
        (f"{point.adjustment.accounts:,}", ""),
    ]

"""The table of minimal trigger sets: the most plausible first, each with what it does and how sure it is complete.

σ is how far out a set is: the Mahalanobis distance of its members. Where nothing triggers, the nearest misses are shown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from contagion.report.page import NO_BREAK, WIDTH, Page, percent, three, usd

if TYPE_CHECKING:
    from contagion.report.page import Segment
    from contagion.search.trigger_sets import TriggerSet, TriggerSets

MOST_SETS: Final = 20
MOST_MISSES: Final = 8
MOST_MEMBERS: Final = 6
LEAST_SHOWN: Final = 0.005
"""Severity below which a miss is none."""
BAD, GOOD, WARN, QUIET, HEAD = "bold red", "green", "yellow", "dim", "bold"
_COLUMNS: Final = (("σ", -6), ("fired", 5), ("induced", -8), ("bad debt", -8), ("loss", -7), ("claim", 10))
_LABEL: Final = WIDTH - sum(abs(width) + 1 for _, width in _COLUMNS)


def lay_out_triggers(found: TriggerSets) -> Page:
    """Page of trigger sets.

    Examples
    --------
    >>> from contagion.search.candidates import candidates_of
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from contagion.search.triggers import triggers
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> page = lay_out_triggers(triggers(bench, candidates_of(bench, Risk(), sigmas=1.0, traders=1)))
    >>> print(page.text().splitlines()[0])
    Triggers    1 minimal set, the most plausible at 1.00 σ: COIN -3.921 %
    """
    page = Page()
    _verdict(page, found)
    page.paragraph("Candidates", _candidates(found))
    page.paragraph("Claim", _claim(found), QUIET)
    if found.unsettled:
        text = f"{_count(found.unsettled, 'run')} reached the largest number of rounds without a trigger, and count as none"
        page.paragraph("", text, WARN)
    if found.too_large:
        sizes = f"{found.too_large[0]} to {found.too_large[-1]}" if len({*found.too_large}) > 1 else str(found.too_large[0])
        text = f"left out: {_count(len(found.too_large), 'larger set')} found to trigger, of {sizes} candidates: too many subsets to run"
        page.paragraph("", text, WARN)
    if found.sets:
        _members(page, found)
        _sets(page, found)
    else:
        _misses(page, found)
    return page


def _verdict(page: Page, found: TriggerSets) -> None:
    if not found.sets:
        page.paragraph("Triggers", f"none among {_reach(found)}: nothing starts a system-wide cascade", GOOD)
        return
    first = found.sets[0]
    if not first.members:
        page.paragraph("Triggers", "what is given starts a system-wide cascade by itself, without any candidate", BAD)
        return
    text = f"{_count(len(found.sets), 'minimal set')}, the most plausible at {three(first.sigmas)} σ: {first.label}"
    page.paragraph("Triggers", text, BAD)


def _reach(found: TriggerSets) -> str:
    """What was looked through."""
    if found.any_size:
        return "sets of any size"
    return "single candidates" if found.max_size == 1 else f"sets of up to {found.max_size} candidates"


def _candidates(found: TriggerSets) -> str:
    kinds = Counter(str(one.driver.kind) for one in found.candidates)
    words = {"price": "asset", "peg": "stablecoin", "default": "default", "outage": "outage", "depth": "loss of depth"}
    parts = [_count(kinds[kind], words[kind]) for kind in words if kinds[kind]]
    alone = sum(one.system_wide for one in found.alone)
    return f"{', '.join(parts) or 'none'}; {alone:,} of them trigger{'s' if alone == 1 else ''} alone"


def _claim(found: TriggerSets) -> str:
    """What is sure, and what it rests on."""
    made = f"{found.runs:,} runs"
    if found.certified:
        made += f", {_count(found.certified, 'more set')} certified by the safe envelope"
    how = "joint generation" if found.generated else "all sets"
    text = f"enumerated: complete for {_reach(found)} ({how}: {made})"
    greedy = sum(one.claim == "greedy" for one in found.sets)
    if greedy:
        text += f"; greedy: {_count(greedy, 'larger set')} found by growing, there may be others"
    elif not found.any_size:
        text += "; nothing is said of larger sets"
    return f"{text}. Every proper subset of a printed set was run." if found.sets else f"{text}."


def _members(page: Page, found: TriggerSets) -> None:
    """Who is in most sets."""
    counts = Counter(member.label for one in found.sets for member in one.members)
    often = [(label, number) for label, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if number > 1]
    if often:
        parts = [f"{label} in {number:,}".replace(" ", NO_BREAK) for label, number in often[:MOST_MEMBERS]]
        more = f", {len(often) - MOST_MEMBERS:,} more in 2 or more" if len(often) > MOST_MEMBERS else ""
        page.paragraph("Often", ", ".join(parts) + more)


def _sets(page: Page, found: TriggerSets) -> None:
    page.add()
    rows: list[list[Segment]] = []
    for one in found.sets[:MOST_SETS]:
        rows += _row(one)
    page.table((*_COLUMNS, ("together", _LABEL)), rows)
    rest = len(found.sets) - MOST_SETS
    if rest > 0:
        page.add((f"and {rest:,} more, less plausible", QUIET))


def _row(one: TriggerSet) -> list[list[Segment]]:
    """A set; its members go on below it where they do not fit."""
    trial = one.trial
    lines = _lines([member.label for member in one.members] or ["(what is given)"])
    first: list[Segment] = [
        (three(one.sigmas), HEAD),
        (trial.fired, BAD),
        (percent(trial.induced), ""),
        (usd(trial.bad_debt_usd), ""),
        (usd(trial.loss), ""),
        (one.claim, "" if one.claim == "enumerated" else WARN),
        (lines[0], HEAD),
    ]
    return [first, *([*[("", "")] * len(_COLUMNS), (line, HEAD)] for line in lines[1:])]


def _lines(labels: list[str]) -> list[str]:
    """Labels joined, as many on a line as fit."""
    lines = [labels[0]]
    for label in labels[1:]:
        if len(lines[-1]) + len(label) + 5 <= _LABEL:
            lines[-1] += f" + {label}"
        else:
            lines[-1] += " +"
            lines.append(label)
    return lines


def _misses(page: Page, found: TriggerSets) -> None:
    """The sets that came nearest: severity is the largest condition over its threshold."""
    near = [miss for miss in found.misses[:MOST_MISSES] if miss.severity >= LEAST_SHOWN]
    if not near:
        return
    page.add()
    rows: list[list[Segment]] = [[(three(miss.severity), HEAD), (three(miss.sigmas), ""), (miss.label, "")] for miss in near]
    page.table((("severity", -8), ("σ", -6), ("nearest misses: severity 1 would trigger", WIDTH - 16)), rows)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

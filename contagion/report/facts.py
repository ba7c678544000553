"""The real day beside a run: each published figure with the range of its sources, and what the run has for it.

A figure is *fitted* (the shipped scenario was chosen to meet it), *predicted*, or *imposed* (the scenario states it). It is
``ok`` where the run falls into the range of its sources, and a ``miss`` otherwise; where all sources give one number, into a
tenth of it. Dollars are those of the trade. Forced closes, takeovers by a vault among them, are liquidations; auto-deleveraging
and stops are counted apart. Public counters see other things: one order a second and symbol at Binance, the fills of a vault
that unwinds what it took over at Hyperliquid, one side of a pair.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from contagion.report.day import MEASURES, Day
from contagion.resolution import agrees

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from contagion.cascade import Cascade
    from contagion.job import Answer

COUNTERS: Final = (
    "Counted here: forced closes and takeovers by a vault, in dollars of the trade; ADL and stops apart. Public counters see other "
    "things: Binance shows one order a second and symbol, Hyperliquid's fills hold those of its vaults."
)
ONE_NUMBER: Final = 0.1
"""Tolerance where all sources give one number."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the real day beside that of a run; NaN where the run has none.

    Attributes
    ----------
    key, what, unit
        Which figure.
    measured, half_step
        Of the run, and of the run at half its step.
    value, low, high
        Of the day, and the range over its sources.
    hit
        Whether the run falls into that range.
    resolved
        Whether half the step says the same.
    status, grade, source, note
        Fitted, predicted or imposed; from A, the publisher's own figure, to C, weak; where it stands.
    """

    key: str
    what: str
    unit: str
    measured: float
    half_step: float
    value: float
    low: float
    high: float
    hit: bool
    resolved: bool
    status: str
    grade: str
    source: str
    note: str


def compare(answer: Answer) -> tuple[Fact, ...]:
    """Every fact of the day beside the run; none if the job is not that day, see :class:`contagion.job.Job`."""
    if not answer.job.day:
        return ()
    from graphs.oct2025 import facts

    measured = measure(answer.cascade)
    half = {} if answer.half is None else measure(answer.half)
    return tuple(_fact(row, measured[row["key"]], half.get(row["key"])) for row in facts().to_dict("records"))


def measure(cascade: Cascade) -> dict[str, float]:
    """What a run has for each figure of the day, by its key."""
    from graphs.oct2025 import facts

    day = Day(cascade)
    return {key: _measured(day, key) for key in facts()["key"]}


def _measured(day: Day, key: str) -> float:
    for pattern, _, function in MEASURES:
        match = re.fullmatch(pattern, key)
        if match:
            return float(function(day, *match.groups()))
    return float("nan")


def label(key: str) -> str:
    """Short words for a figure, the key itself where there is no measure.

    Examples
    --------
    >>> label("fall.BTC@Binance")
    'fall of BTC, Binance'
    """
    for pattern, words, _ in MEASURES:
        match = re.fullmatch(pattern, key)
        if match:
            return words.format(*match.groups())
    return key


def is_measured(key: str) -> bool:
    """Whether there is a measure for a key."""
    return any(re.fullmatch(pattern, key) for pattern, _, _ in MEASURES)


def in_range(measured: float, low: float, high: float) -> bool:
    """Whether a value lies in a range, to the three digits that are printed, or within a tenth of it where it is one number.

    Examples
    --------
    >>> in_range(2.2, 2.1, 2.1), in_range(2.2, 1.0, 2.1), in_range(0.0, 0.0, 0.0), in_range(float("nan"), 0, 1)
    (True, False, True, False)
    """
    slack = ONE_NUMBER * abs(low) if low == high else 0.0
    printed = float(f"{measured:.3g}")
    return low - slack <= printed <= high + slack


def _fact(row: Mapping[Hashable, Any], measured: float, half: float | None) -> Fact:
    return Fact(
        **{str(name): value for name, value in row.items() if name != "note"},
        measured=measured,
        half_step=float("nan") if half is None else half,
        hit=in_range(measured, row["low"], row["high"]),
        resolved=half is None or agrees(measured, half, passed_over=_NEGLIGIBLE.get(row["unit"], 0.0)),
        note=row["note"] if isinstance(row["note"], str) else "",
    )


_NEGLIGIBLE: Final = {"USD": 1e6, "share": 1e-3, "share of price": 1e-3, "minutes": 1.0}
"""Difference at half the step that is passed over, by unit."""


def frame(facts: Sequence[Fact]) -> pd.DataFrame:
    """One row a fact."""
    import pandas as pd

    return pd.DataFrame([asdict(fact) for fact in facts])


def tally(facts: Sequence[Fact]) -> dict[str, tuple[int, int]]:
    """Hits and figures by status."""
    return {
        status: (sum(fact.hit for fact in facts if fact.status == status), sum(fact.status == status for fact in facts))
        for status in ("fitted", "predicted", "imposed")
    }


def source_name(source: str) -> str:
    """Publisher of a source, short: its host, and the owner of a repository.

    Examples
    --------
    >>> source_name("https://github.com/lzjackm/hlp-cascade-handoff data/vault_pnl_snapshots.csv")
    'github.com/lzjackm'
    >>> source_name("https://www.binance.bh/en-AE/square/post/30850840862433 (CoinGlass)")
    'binance.bh (CoinGlass)'
    """
    match = re.match(r"https?://(?:www\.)?(?P<host>[^/\s]+)(?:/(?P<owner>[^/\s]+))?", source)
    if match is None:
        return source
    host = f"github.com/{match['owner']}" if match["host"] == "github.com" else match["host"]
    publisher = re.search(r"\((?P<name>[^()]*)\)$", source)
    named = publisher is not None and not publisher["name"].endswith((".xlsx", ".csv", ".json"))
    return f"{host} ({publisher['name']})" if publisher is not None and named else host

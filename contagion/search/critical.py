"""Critical shocks: for each single driver the smallest shock that makes the run system-wide, the most plausible first.

Each driver moves alone, on top of what the bench is given. Where a larger shock can do less there is no threshold: a row has
intervals of sizes that trigger, and its size is the smallest that does. Every row says what it claims,
see :mod:`contagion.search.claims`; nothing that is not proven is called exact.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from contagion.errors import RunError
from contagion.runtime.tasks import run_tasks
from contagion.search.claims import Findings, words_of
from contagion.search.drivers import Driver
from contagion.search.findings import findings_on
from contagion.search.first_orders import first_orders
from contagion.search.ray import CONDITIONS, Ray, scan_ratio, scan_sizes
from contagion.search.trial import Trial, bench_of, context_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.claims import Claim
    from contagion.search.trial import Bench
    from contagion.system import System

TOLERANCE: Final = 1e-3
"""Distance to which an edge is bisected, relative to its size."""
SCAN: Final = 16
"""Sizes of a scan, zero not among them."""
_LEAST_SCAN: Final = 2


@dataclass(frozen=True, slots=True)
class CriticalShock:
    """One driver's row.

    Attributes
    ----------
    driver
        What moves.
    findings
        Sizes that trigger, and the claim.
    fired
        Letters of the conditions that hold at the smallest of them, of those asked for; empty if none triggers.
    trial
        The run there, None if none triggers.
    forced_usd
        USD of the first forced orders in that run, net in each book, at P₀: what has to be sold (after a rise bought) before
        any order has moved a price, and all that it takes to start the cascade. See :mod:`contagion.search.first_orders`.
    depth_usd
        USD that move the books which these orders hit by 1 %, summed, with the driver's own factor on depth.
    runs
        Runs of the engine that the row took.
    truncated
        How many of the sizes that were judged stopped at the limit of rounds, short of a fixed point.
    """

    driver: Driver
    findings: Findings
    fired: str
    trial: Trial | None
    forced_usd: float
    depth_usd: float
    runs: int
    truncated: int

    @property
    def size(self) -> float:
        """The smallest size known to trigger, NaN if none is."""
        return self.findings.size

    @property
    def sigmas(self) -> float:
        """Standard deviations of it, NaN if none triggers."""
        if math.isnan(self.size):
            return math.nan
        return self.driver.sigmas(self.size)

    @property
    def claim(self) -> Claim:
        """What the row claims."""
        return self.findings.claim

    @property
    def over_depth(self) -> float:
        """Forced orders over 1 % depth: about the percent by which they alone move their books; NaN without any."""
        return self.forced_usd / self.depth_usd if self.depth_usd > 0 else math.nan

    @property
    def words(self) -> str:
        """The critical size, or how far it was looked for."""
        driver = self.driver
        if not math.isnan(self.size):
            return driver.words(self.size) if self.size > 0 or driver.binary else "at once"
        return "no" if driver.binary else f"none to {driver.words(driver.limit).removeprefix('to ')}"


@dataclass(frozen=True)
class CriticalShocks:
    """All drivers' rows.

    Attributes
    ----------
    network
        Its name.
    rows
        Those that trigger by standard deviations, then by key; after them those that do not, as they were given.
    conditions
        Letters of the conditions that were asked for.
    given
        Shocks that are part of every run, as texts.
    """

    network: str
    rows: tuple[CriticalShock, ...]
    conditions: str
    given: tuple[str, ...]

    @property
    def triggering(self) -> tuple[CriticalShock, ...]:
        """Rows with a size that triggers."""
        return tuple(row for row in self.rows if not math.isnan(row.size))

    def tables(self) -> dict[str, pd.DataFrame]:
        """``critical``, a row a driver, and ``intervals``, a row an interval of sizes that trigger."""
        import pandas as pd

        return {
            "critical": pd.DataFrame([_line(row) for row in self.rows], columns=list(_COLUMNS)),
            "intervals": pd.DataFrame(
                [_stretch(row, number) for row in self.rows for number in range(len(row.findings.intervals))], columns=list(_STRETCH)
            ),
        }

    def summary(self) -> dict[str, Any]:
        """A document of the rows with their intervals and claims; None for what is not there."""
        return {
            "network": self.network,
            "conditions": self.conditions,
            "given": list(self.given),
            "drivers": len(self.rows),
            "triggering": len(self.triggering),
            "rows": [
                {
                    **_known(_line(row)),
                    "claim_words": row.claim.resolution,
                    "intervals": [_known(asdict(interval)) for interval in row.findings.intervals],
                }
                for row in self.rows
            ],
        }


_COLUMNS: Final = (
    "driver", "kind", "target", "exchange", "shock", "size", "sigmas", "not_at", "triggers_by", "claim", "safe_up_to", "safe_for",
    "tolerance", "forced_usd", "depth_usd", "forced_over_depth", "rounds", "settled", "liquidated_usd", "loss_usd", "bad_debt_usd",
    "intervals", "scan_sizes", "scan_ratio", "limit", "runs", "truncated",
)  # fmt: skip
_STRETCH: Final = ("driver", "interval", "from_size", "to_size", "not_below", "not_above", "words", "claim")


def _line(row: CriticalShock) -> dict[str, Any]:
    driver, claim, trial = row.driver, row.claim, row.trial
    found = row.findings.intervals
    cells = (
        driver.key, driver.kind, driver.target, driver.exchange, row.words, row.size, row.sigmas, found[0].below if found else math.nan,
        row.fired, claim.word, claim.safe_up_to, claim.safe_for, claim.tolerance, row.forced_usd, row.depth_usd, row.over_depth,
        trial.rounds if trial else math.nan, trial.settled if trial else None, trial.liquidated if trial else math.nan,
        trial.loss if trial else math.nan, trial.bad_debt_usd if trial else math.nan, len(found), claim.sizes, claim.ratio, driver.limit,
        row.runs, row.truncated,
    )  # fmt: skip
    return dict(zip(_COLUMNS, cells, strict=True))


def _stretch(row: CriticalShock, number: int) -> dict[str, Any]:
    one = row.findings.intervals[number]
    # what lies above the smallest size was scanned, whatever is known of that size
    word = row.claim.word if number == 0 or not row.claim.sizes else "sampled"
    cells = (row.driver.key, number + 1, one.first, one.last, one.below, one.above, words_of(row.driver, one), word)
    return dict(zip(_STRETCH, cells, strict=True))


def _known(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(cell, float) and not math.isfinite(cell) else cell for name, cell in document.items()}


def critical(
    bench: Bench,
    drivers: Sequence[Driver],
    *,
    tolerance: float = TOLERANCE,
    scan: int = SCAN,
    conditions: str = CONDITIONS,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> CriticalShocks:
    """The smallest shock of each driver that triggers.

    Parameters
    ----------
    drivers
        Each is one task; those that hit what the bench's given shocks hit already are left out.
    tolerance
        To which edges are bisected, relative to their size; zero goes as far as floats tell sizes apart.
    scan
        Sizes that are run where nothing stronger than a scan applies, between half a standard deviation and the driver's limit.
    conditions
        Letters of the conditions that count as a trigger.

    Raises
    ------
    RunError
        If an option has no meaning.

    Notes
    -----
    A binary driver costs one run, a continuous one about log₂(scan) + 7 envelopes, up to ``scan`` runs above what these call
    safe, and log₂(1/tolerance) runs an edge.

    Examples
    --------
    >>> from contagion.search.drivers import drivers_of
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> answer = critical(bench, drivers_of(bench.system, Risk(), traders=0), scan=6)
    >>> [(row.driver.key, row.words, row.fired, row.claim.word) for row in answer.triggering]
    [('COIN', '-3.002 %', 'ad', 'exact')]
    """
    letters = _checked(tolerance, scan, conditions)
    taken = {shock.key for shock in bench.given}
    asked = [driver for driver in drivers if driver.shock(driver.limit).key not in taken]
    # the longest tasks first: those that move much, and the single runs last
    order = sorted(asked, key=lambda driver: (driver.binary, -driver.usd, driver.key))
    answers = run_tasks(
        "contagion.search.critical:critical_of",
        [asdict(driver) for driver in order],
        system=bench.system,
        context=context_of(bench, tolerance=tolerance, scan=scan, conditions=letters),
        plan=plan,
        ledger=ledger,
        progress=progress,
    )
    by_key = {driver.key: _row(driver, answer) for driver, answer in zip(order, answers, strict=True)}
    return CriticalShocks(bench.system.name, _ranked(by_key[driver.key] for driver in asked), letters, tuple(map(str, bench.given)))


def _checked(tolerance: float, scan: int, conditions: str) -> str:
    """Letters of the conditions in order."""
    if not 0 <= tolerance < 1:
        raise RunError(f"tolerance {tolerance:g}: is no relative distance; give a number from 0 to below 1, such as {TOLERANCE:g}")
    if scan < _LEAST_SCAN:
        raise RunError(f"scan {scan}: is too few sizes; give {_LEAST_SCAN} or more")
    letters = "".join(letter for letter in CONDITIONS if letter in conditions)
    if not conditions or set(conditions) - set(CONDITIONS):
        raise RunError(f"conditions {conditions!r}: name some of a (liquidations), b (exchanges), c (pegs), d (bad debt), such as abcd")
    return letters


def critical_of(system: System, context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """One driver's row: the task of a worker."""
    driver = Driver(**item)
    ray = Ray(bench_of(system, context), driver, context["conditions"])
    scan = int(context["scan"])
    if driver.binary:
        found = findings_on(ray, (1.0,), context["tolerance"])
    else:
        found = findings_on(ray, scan_sizes(driver, scan), context["tolerance"], ratio=scan_ratio(driver, scan))
    answer: dict[str, Any] = {"findings": found.to_json(), "fired": "", "trial": None, "forced_usd": None, "depth_usd": None}
    if found.intervals:
        cascade = ray.cascade(found.size)
        first, trial = first_orders(cascade), Trial.of(cascade)
        answer |= {
            "fired": "".join(letter for letter in trial.fired if letter in ray.conditions),
            "trial": trial.to_json(),
            "forced_usd": first.usd,
            "depth_usd": first.depth_usd,
        }
    return answer | {"runs": ray.runs, "truncated": ray.truncated}


def _row(driver: Driver, answer: Mapping[str, Any]) -> CriticalShock:
    trial = answer["trial"]
    return CriticalShock(
        driver=driver,
        findings=Findings.from_json(answer["findings"]),
        fired=answer["fired"],
        trial=None if trial is None else Trial.from_json(trial),
        forced_usd=math.nan if answer["forced_usd"] is None else answer["forced_usd"],
        depth_usd=math.nan if answer["depth_usd"] is None else answer["depth_usd"],
        runs=answer["runs"],
        truncated=answer["truncated"],
    )


def _ranked(rows: Iterable[CriticalShock]) -> tuple[CriticalShock, ...]:
    """The most plausible first; what does not trigger last, in the order given."""
    found = list(rows)
    some = sorted((row for row in found if not math.isnan(row.size)), key=lambda row: (row.sigmas, row.driver.key))
    return (*some, *(row for row in found if math.isnan(row.size)))

"""The severity curve of one driver: what runs at evenly spaced sizes do, where that jumps, and which sizes trigger.

A jump is located by bisection of the induced share, an edge between sizes that trigger and sizes that do not by bisection of the
verdict; both to a stated distance, far finer than the sizes are apart.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from contagion.errors import RunError
from contagion.runtime.tasks import Runtime
from contagion.search.bisection import FINEST, Interval, bisect
from contagion.search.claims import Claim, Findings
from contagion.search.drivers import Driver
from contagion.search.findings import prove_whole
from contagion.search.guard import Guard
from contagion.search.policy_sweep import sweep_policy
from contagion.search.ray import CONDITIONS, Ray
from contagion.search.severity import Jump, Point, SeverityCurve
from contagion.search.trial import Trial, bench_of, context_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.trial import Bench
    from contagion.system import System

__all__ = ["Jump", "Point", "SeverityCurve", "sweep", "sweep_policy"]

STEPS: Final = 41
RESOLUTION: Final = 1e-4
"""Distance of sizes to which jumps and edges are located, a fraction of the price, peg or depth."""
LEAST_JUMP: Final = 0.05
"""Smallest change of the induced share between neighbours that is looked into."""
MOST_JUMPS: Final = 5


def sweep(
    bench: Bench,
    driver: Driver,
    *,
    low: float = 0.0,
    high: float | None = None,
    steps: int = STEPS,
    resolution: float = RESOLUTION,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> SeverityCurve:
    """Run a driver at evenly spaced sizes, and locate what happens between them.

    Parameters
    ----------
    low, high
        Smallest and largest size, fractions lost; the driver's limit if None. Size zero is the network left alone.
    steps
        Sizes, both ends among them; each is a task.
    resolution
        Distance of sizes to which jumps and edges are located; zero goes as far as floats tell sizes apart.

    Raises
    ------
    RunError
        If the driver happens or not, or an option has no meaning.

    Notes
    -----
    Costs ``steps`` trials, and log₂(step/resolution) for each jump and edge. Jumps are looked for where the induced share
    changes most between neighbours, at least by a twentieth; what jumps and returns between two neighbours is not seen, and
    the intervals are claimed as ``sampled`` then, unless the sweep begins at zero and a proof is to be had,
    see :mod:`contagion.search.findings`.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> curve = sweep(Bench.of(one_book_ladder()), Driver("price", "COIN", "", 0.04, 0.9), high=0.08, steps=5)
    >>> [(round(jump.high, 3), round(jump.after - jump.before, 3)) for jump in curve.jumps]
    [(0.03, 0.25), (0.045, -0.094), (0.07, -0.062)]
    """
    top = driver.limit if high is None else high
    _check(driver, low, top, steps, resolution)
    sizes = [low + (top - low) * place / (steps - 1) for place in range(steps - 1)] + [top]
    step = (top - low) / (steps - 1)
    named = asdict(driver)
    context = context_of(bench, driver=named)
    with Runtime(bench.system, plan=plan, ledger=ledger) as runtime:
        answers = runtime.run(f"{__name__}:point_at", [{"size": size} for size in sizes], context=context, progress=progress)
        points = [_point(answer) for answer in answers]
        items = [
            {"task": "edge", "low": one.size, "high": other.size, "resolution": resolution}
            for one, other in pairwise(points)
            if one.trial.system_wide != other.trial.system_wide
        ]
        items += [{"task": "jump", "low": one.size, "high": other.size, "resolution": resolution} for one, other in _steepest(points)]
        if low == 0:
            items.append({"task": "proof", "sizes": sizes, "resolution": resolution})
        answers = runtime.run(f"{__name__}:locate", items, context=context, progress=progress)
    return _curve(bench, driver, points, list(zip(items, answers, strict=True)), step=step, resolution=resolution)


def _check(driver: Driver, low: float, high: float, steps: int, resolution: float) -> None:
    if driver.binary:
        raise RunError(f"{driver.key} happens or not and has no size to sweep over; run it, or ask for critical shocks")
    most = math.inf if driver.rises else 1.0
    if not 0 <= low < high < most:
        bound = "" if driver.rises else " and below 1"
        raise RunError(f"{driver.key} from {low:g} to {high:g}: is no range of sizes; give fractions, at least 0, rising{bound}")
    if steps < _LEAST_STEPS:
        raise RunError(f"steps {steps}: is too few; give {_LEAST_STEPS} or more")
    if not 0 <= resolution < 1:
        raise RunError(f"resolution {resolution:g}: is no distance of sizes; give a number from 0 to below 1, such as {RESOLUTION:g}")


_LEAST_STEPS: Final = 2


def _steepest(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Neighbours between which the induced share changes most."""
    pairs = [(abs(other.trial.induced - one.trial.induced), one, other) for one, other in pairwise(points)]
    steep = sorted((pair for pair in pairs if pair[0] >= LEAST_JUMP), key=lambda pair: (-pair[0], pair[1].size))
    return [(one, other) for _, one, other in steep[:MOST_JUMPS]]


def point_at(system: System, context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """One run: the task of a worker."""
    return _run(_ray(system, context), item["size"])


def _ray(system: System, context: Mapping[str, Any]) -> Ray:
    return Ray(bench_of(system, context), Driver(**context["driver"]), CONDITIONS)


def _run(ray: Ray, size: float) -> dict[str, Any]:
    trial = Trial.of(ray.cascade(size))
    return {"size": size, "trial": trial.to_json(), "liquidated_share": trial.liquidated / ray.interest if ray.interest > 0 else 0.0}


def locate(system: System, context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Bisect an edge or a jump, or prove all intervals: the task of a worker."""
    ray, resolution = _ray(system, context), item["resolution"]
    if item["task"] == "proof":
        found = prove_whole(ray, item["sizes"][-1], resolution)
        size, letters = (0.0, "") if found else Guard(ray).safe_up_to(item["sizes"])
        return {"findings": None if found is None else found.to_json(), "safe_up_to": size, "safe_for": letters}
    if item["task"] == "edge":
        ends = bisect(ray.triggers, item["low"], item["high"], 0.0, finest=max(resolution, FINEST))
    else:
        ends = _larger_half(ray, item["low"], item["high"], resolution)
    return {"points": [_run(ray, size) for size in ends]}


def _larger_half(ray: Ray, low: float, high: float, resolution: float) -> tuple[float, float]:
    """Narrow two sizes to the half over which the induced share changes more, again and again."""
    share: dict[float, float] = {}

    def induced(size: float) -> float:
        if size not in share:
            share[size] = ray.closed(size) - ray.benchmark(size)
        return share[size]

    while high - low > max(resolution, FINEST):
        middle = low + (high - low) / 2
        if not low < middle < high:
            break
        if abs(induced(middle) - induced(low)) >= abs(induced(high) - induced(middle)):
            high = middle
        else:
            low = middle
    return low, high


def _point(answer: Mapping[str, Any], *, located: bool = False) -> Point:
    return Point(answer["size"], Trial.from_json(answer["trial"]), answer["liquidated_share"], located)


def _curve(
    bench: Bench,
    driver: Driver,
    points: list[Point],
    located: list[tuple[dict[str, Any], dict[str, Any]]],
    *,
    step: float,
    resolution: float,
) -> SeverityCurve:
    """Put grid and bisections together."""
    by_size = {point.size: point for point in points}
    jumps: list[Jump] = []
    edges: dict[float, tuple[float, float]] = {}
    proof: Findings | None = None
    claim = Claim("sampled", tolerance=resolution, step=step, sizes=len(points))
    for item, answer in located:
        if item["task"] == "proof":
            proof = None if answer["findings"] is None else Findings.from_json(answer["findings"])
            claim = replace(claim, safe_up_to=answer["safe_up_to"], safe_for=answer["safe_for"])
            continue
        one, other = (_point(found, located=True) for found in answer["points"])
        for point in (one, other):
            by_size.setdefault(point.size, point)
        if item["task"] == "edge":
            edges[item["low"]] = (one.size, other.size)
        else:
            of = by_size[item["high"]].trial.induced - by_size[item["low"]].trial.induced
            jumps.append(Jump(one.size, other.size, one.trial.induced, other.trial.induced, of))
    if claim.safe_for == CONDITIONS and claim.safe_up_to >= points[-1].size:
        claim = replace(claim, word="bracket")
    return SeverityCurve(
        network=bench.system.name,
        driver=driver,
        points=tuple(sorted(by_size.values(), key=lambda point: point.size)),
        jumps=tuple(sorted(jumps, key=lambda jump: jump.low)),
        findings=proof or Findings(_intervals(points, edges), claim),
        step=step,
        resolution=resolution,
        thresholds=bench.settings.system_wide,
        given=tuple(map(str, bench.given)),
    )


def _intervals(points: Sequence[Point], edges: Mapping[float, tuple[float, float]]) -> tuple[Interval, ...]:
    """Intervals of neighbouring sizes that trigger, between located edges."""
    found: list[Interval] = []
    first = below = math.nan
    before = False
    for place, point in enumerate(points):
        if point.trial.system_wide and not before:
            below, first = (math.nan, point.size) if place == 0 else edges[points[place - 1].size]
        elif before and not point.trial.system_wide:
            last, above = edges[points[place - 1].size]
            found.append(Interval(first, last, below, above))
        before = point.trial.system_wide
    if before:
        found.append(Interval(first, points[-1].size, below, math.nan))
    return tuple(found)

"""Splitting: the probability of a system-wide cascade where it is too rare for plain draws.

Subset simulation (:mod:`contagion.search.subset`) in the coordinates of the draws (:mod:`contagion.search.draws`), guided by
a run's severity and, where that is nought, by its loss. The event is the verdict itself.

A default or an outage that is rare gives no such guide: nothing leads up to it. So the law of total probability splits the
draws first: P = P(none)·P(cascade | none) + P(some)·P(cascade | some), by whether a rare event happens at all, the weights
being exact. Numbers are keyed by seed, part, replicate, level and chain.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.errors import RunError
from contagion.measures import conditions_of, gross_loss
from contagion.runtime.tasks import run_tasks
from contagion.search.draws import Draws
from contagion.search.estimates import CONFIDENCE, Estimate, proportion
from contagion.search.sample import drawn_pegs, rows, run_draw, told
from contagion.search.subset import subset_simulation
from contagion.search.trial import bench_of, context_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from contagion.arrays import Floats
    from contagion.cascade import Cascade
    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.drivers import Driver
    from contagion.search.risk import Risk
    from contagion.search.trial import Bench
    from contagion.shocks import Shock
    from contagion.system import System

SIZE: Final = 500
"""Draws a level."""
REPLICATES: Final = 8
"""Independent replicates."""
FLAT, FAR = "flat", "far"
_WORDS: Final = {FLAT: "severity and loss gave no direction any more", FAR: "the levels ran out before the event"}
_WHOLE: Final = "all draws"
_NOISE: Final = 1e-9
"""Severity below which nothing is induced but rounding."""


@dataclass(frozen=True)
class Part:
    """One part of the law.

    Attributes
    ----------
    name
        What its draws have in common.
    weight
        Its probability, exact.
    replicates
        What each replicate found: ``probability``, ``state``, ``levels``, ``shares``, ``accepted``, ``first_hits``, ``runs``,
        ``fired``, ``events`` and ``nearest``.
    """

    name: str
    weight: float
    replicates: tuple[dict[str, Any], ...]

    @property
    def estimates(self) -> Floats:
        """Estimate of each replicate."""
        return np.array([replicate["probability"] for replicate in self.replicates])

    @property
    def variance(self) -> float:
        """Of the mean estimate: that of the replicates' spread, and at least what their levels have if draws were independent.

        A level that a share s of N draws reached adds (1 - s)/(s·N) to the square of the relative error (Au and Beck 2001,
        eq. 28 without correlation). Few replicates may agree by chance; they are not surer for it.
        """
        count = len(self.replicates)
        spread = float(self.estimates.var(ddof=1))
        least = [
            replicate["probability"] ** 2
            * math.fsum((1 - share) / (share * replicate["size"]) for share in replicate["shares"] if share > 0)
            for replicate in self.replicates
        ]
        return max(spread, math.fsum(least) / count) / count

    @property
    def reached(self) -> int:
        """Replicates that reached the event."""
        return sum(replicate["state"] == "reached" for replicate in self.replicates)

    @property
    def unseen(self) -> float:
        """Bound on what may have been missed where no replicate reached the event: that of its plain draws."""
        if self.reached:
            return 0.0
        return proportion(0, sum(replicate["size"] for replicate in self.replicates)).high

    @property
    def why(self) -> str:
        """What kept replicates from the event, in words; empty where nothing did."""
        states = sorted({replicate["state"] for replicate in self.replicates} - {"reached"})
        return "; ".join(_WORDS[state] for state in states)


@dataclass(frozen=True)
class RareEvent:
    """Probability of a system-wide cascade by splitting.

    Attributes
    ----------
    network, seed, size, risk
        Of which network, keyed by what, with how many draws a level, and under which assumptions.
    parts
        Of the law.
    """

    network: str
    seed: int
    size: int
    risk: Risk
    parts: tuple[Part, ...]

    @property
    def error(self) -> float:
        """Standard error of the probability."""
        return math.sqrt(math.fsum(part.weight**2 * part.variance for part in self.parts))

    @property
    def relative_error(self) -> float:
        """Standard error over the estimate; NaN where the event was not reached."""
        return self.error / self.probability.value if self.probability.value > 0 else math.nan

    @property
    def probability(self) -> Estimate:
        """Estimate with its interval: Student's t over the replicates, and above it what a part that met nothing may hide."""
        from scipy.special import stdtrit

        value = math.fsum(part.weight * float(part.estimates.mean()) for part in self.parts)
        reach = float(stdtrit(len(self.parts[0].replicates) - 1, (1 + CONFIDENCE) / 2)) * self.error
        unseen = math.fsum(part.weight * part.unseen for part in self.parts)
        return Estimate(value, max(value - reach, 0.0), min(value + reach + unseen, 1.0))

    @property
    def runs(self) -> int:
        """Trials that were run."""
        return sum(replicate["runs"] for part in self.parts for replicate in part.replicates)

    @property
    def claim(self) -> str:
        """What the figure may claim."""
        missed = [
            f"{part.name}: {part.reached} of {len(part.replicates)} replicates reached it, {part.why}" for part in self.parts if part.why
        ]
        how = f"sampled, splitting, {len(self.parts[0].replicates)} replicates of {self.size:,} draws a level, {self.runs:,} runs"
        return "; ".join([how, *missed])

    def frame(self) -> pd.DataFrame:
        """A row a part and replicate: probability, state, levels taken, runs, how the nearest draw of the event came about."""
        import pandas as pd

        found = [
            {
                "part": part.name,
                "weight": part.weight,
                "replicate": number,
                "probability": replicate["probability"],
                "state": replicate["state"],
                "levels": len(replicate["levels"]),
                "accepted": float(np.mean(replicate["accepted"])) if replicate["accepted"] else math.nan,
                "runs": replicate["runs"],
                "distance": math.nan if replicate["distance"] is None else replicate["distance"],
                "nearest": replicate["nearest"],
            }
            for part in self.parts
            for number, replicate in enumerate(part.replicates)
        ]
        return pd.DataFrame(found)

    def levels(self) -> pd.DataFrame:
        """A row a part, replicate and level: the guide there, and the share that reached beyond it from the one before."""
        import pandas as pd

        found = [
            (part.name, number, place, level, share)
            for part in self.parts
            for number, replicate in enumerate(part.replicates)
            for place, (level, share) in enumerate(zip([*replicate["levels"], math.nan], replicate["shares"], strict=False))
        ]
        return pd.DataFrame(found, columns=["part", "replicate", "level", "guide", "share"])

    def fired(self) -> dict[str, float]:
        """Share of the draws in the event in which each condition of the verdict holds, parts by their probability."""
        return self._shares("fired")

    def events(self) -> dict[str, float]:
        """Share of the draws in the event in which each rare default or outage happens, the most frequent first."""
        return self._shares("events")

    def _shares(self, name: str) -> dict[str, float]:
        total: dict[str, float] = {}
        weight = 0.0
        for part in self.parts:
            for replicate in part.replicates:
                hits = replicate["hits"]
                weight += part.weight * replicate["probability"]
                for key, count in replicate[name].items():
                    total[key] = total.get(key, 0.0) + part.weight * replicate["probability"] * count / hits
        return {key: share / weight for key, share in sorted(total.items(), key=lambda item: (-item[1], item[0]))}

    def nearest(self) -> dict[str, Any] | None:
        """The draw of the event nearest to the middle of the law, of the part that contributes most: ``distance`` and ``moves``."""
        part = max(self.parts, key=lambda part: part.weight * float(part.estimates.mean()))
        found = [(replicate["distance"], replicate["nearest"]) for replicate in part.replicates if replicate["state"] == "reached"]
        return {"distance": min(found)[0], "moves": min(found)[1]} if found else None

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables: replicates, levels."""
        return {"replicates": self.frame(), "levels": self.levels()}

    def summary(self) -> dict[str, Any]:
        """What is told, as JSON can hold it."""
        relative = self.relative_error
        return {
            "network": self.network,
            "seed": self.seed,
            "risk": self.risk.model_dump(mode="json"),
            "claim": self.claim,
            "system_wide": told(self.probability),
            "relative_error": None if math.isnan(relative) else relative,
            "runs": self.runs,
            "fired": self.fired(),
            "events": self.events(),
            "nearest": self.nearest(),
            "parts": [{"name": part.name, "weight": part.weight, "reached": part.reached, "why": part.why} for part in self.parts],
            "replicates": rows(self.frame()),
        }


def split(
    bench: Bench,
    drivers: Sequence[Driver],
    *,
    risk: Risk,
    size: int = SIZE,
    replicates: int = REPLICATES,
    seed: int = 0,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> RareEvent:
    """Estimate how likely a system-wide cascade is, however rare.

    Parameters
    ----------
    drivers, risk
        As for :func:`contagion.search.sample.sample`.
    size
        Draws a level.
    replicates
        Independent replicates, at least 2.
    seed
        Keys the numbers.

    Raises
    ------
    RunError
        If there is nothing to draw, or too few draws or replicates.

    Notes
    -----
    Costs about 2 · size · (1 + log₁₀ 1/P) · replicates runs of the engine for each part. A task is a replicate.

    Examples
    --------
    >>> from contagion.search.drivers import drivers_of, pick_drivers
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> found = split(bench, pick_drivers(drivers_of(bench.system, Risk()), ["COIN"]), risk=Risk(), size=20, replicates=2)
    >>> found.parts[0].name, 0 < found.probability.value < 1
    ('all draws', True)
    """
    least = 2
    if replicates < least or size < math.ceil(1 / 0.1):
        raise RunError(f"{replicates} replicates of {size} draws show no error of their own; take at least {least} of 10")
    law = Draws.of(drivers, risk, bench.system)
    chance = law.chance
    parts: list[tuple[str, float, bool | None]] = [(_WHOLE, 1.0, None)]
    if chance > 0:
        parts = [("no rare event", 1.0 - chance, False), ("some rare event", chance, True)]
    items = [{"rare": rare, "replicate": number} for _, _, rare in parts for number in range(replicates)]
    context = context_of(bench, law=law.to_json(), seed=seed, size=size)
    work = f"{__name__}:replicate"
    found = run_tasks(work, items, system=bench.system, context=context, plan=plan, ledger=ledger, progress=progress)
    cut = [tuple(found[place * replicates : (place + 1) * replicates]) for place in range(len(parts))]
    told_parts = tuple(Part(name, weight, mine) for (name, weight, _), mine in zip(parts, cut, strict=True))
    return RareEvent(bench.system.name, seed, size, risk, told_parts)


def replicate(system: System, context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """One replicate of one part of the law: the task of :func:`split`."""
    bench, law = bench_of(system, context), Draws.from_json(context["law"], system)
    rare: bool | None = item["rare"]
    seen: dict[bytes, str] = {}

    def guide(point: Floats) -> tuple[bool, float]:
        shocks = law.shocks(law.unfold(point[None], rare=rare), 0)
        cascade = run_draw(bench, shocks)
        fired = "".join(condition.key for condition in conditions_of(cascade) if condition.fired)
        if fired:
            seen[point.tobytes()] = fired
        return bool(fired), nearness(cascade, shocks)

    key = (context["seed"], 1 + bool(rare), item["replicate"])
    found = subset_simulation(guide, law.dimension, seed=key, size=context["size"])
    moves = law.unfold(found.hits, rare=rare) if len(found.hits) else None
    distances = np.sqrt((found.hits**2).sum(axis=1))
    best = int(np.argmin(distances)) if moves is not None else -1
    happening = moves.happens.sum(axis=0) * law.rare if moves is not None else np.zeros(len(law.events))
    return {
        "probability": found.probability,
        "state": found.state,
        "levels": list(found.levels),
        "shares": list(found.shares),
        "accepted": list(found.accepted),
        "first_hits": found.first_hits,
        "size": context["size"],
        "runs": found.runs,
        "hits": len(found.hits),
        "fired": dict(sorted(Counter("".join(seen[point.tobytes()] for point in found.hits)).items())),
        "events": {law.events[place].key: int(happening[place]) for place in np.flatnonzero(happening)},
        "distance": float(distances[best]) if moves is not None else None,
        "nearest": law.words(moves, best) if moves is not None else "",
    }


def nearness(cascade: Cascade, shocks: Sequence[Shock]) -> float:
    """How near a run came, as :class:`contagion.search.trial.Trial` measures severity, but of a peg only what the run added to the draw.

    Where nothing is induced there is no severity, and loss shows the direction: the value then is negative and rises with it.
    """
    found = 0.0
    for condition in conditions_of(cascade):
        if condition.key != "c":
            found = max(found, min(condition.value / condition.threshold, 10.0))
    threshold = cascade.settings.system_wide.depeg
    drawn, coins = drawn_pegs(shocks), cascade.prepared.system.coins
    named = {shock.target for shock in cascade.prepared.scenario.stages[0].shocks}
    ratio = cascade.outcome.state.coin_price / coins.peg
    for coin in np.flatnonzero(np.isfinite(coins.peg)):
        start = min(drawn.get(coins.names[coin], 1.0), float(coins.price[coin] / coins.peg[coin]))
        if coins.names[coin] not in named and start > threshold:
            found = max(found, (start - float(ratio[coin])) / (start - threshold))
    return found if found > _NOISE else -1.0 / (1.0 + math.log1p(gross_loss(cascade.outcome)))

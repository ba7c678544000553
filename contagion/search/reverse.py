"""Reverse stress test: the most plausible joint shock of all continuous drivers that triggers a system-wide cascade.

Plausible is what has a small Mahalanobis distance √(zᵀC⁻¹z), z the falls in standard deviations and C their correlation
(Breuer, Jandačka, Rheinberger and Summer 2009). The distance is minimised from several starts: every driver's own fall with
what it makes likely of the others, the most severe of them first, and the fall of everything at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.runtime.tasks import Runtime
from contagion.search.descent import nearest_trigger
from contagion.search.drivers import Driver
from contagion.search.envelope import Bounds
from contagion.search.joint import JointMoves
from contagion.search.trial import bench_of, context_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from contagion.arrays import Floats
    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.risk import Risk
    from contagion.search.trial import Bench, Trial
    from contagion.system import System

REACH: Final = 12.0
"""Largest Mahalanobis distance that is asked for."""
STARTS: Final = 6
SAME: Final = 0.9
"""Cosine of the angle from which two directions count as one."""
_LOOK: Final = 0.5
"""Share of the reach at which starts are compared."""
_CERTIFIED: Final = 0.01
"""Relative width to which the certified distance is bisected."""
_SHOWN: Final = 0.1
"""Move, in standard deviations, below which a driver is no part of a printed shock."""


@dataclass(frozen=True, slots=True)
class JointShock:
    """A shock that triggers, at a local minimum of the distance.

    Attributes
    ----------
    moves
        Falls by driver, in standard deviations; negative is a rise.
    trigger, safe
        Mahalanobis distances on its ray of two runs, next to each other at the tolerance: the first triggers, the second
        does not.
    trial
        The run at ``trigger``.
    start
        Where the search began.
    runs
        Runs that it took.
    """

    moves: Floats
    trigger: float
    safe: float
    trial: Trial
    start: str
    runs: int


@dataclass(frozen=True, slots=True)
class ReverseStress:
    """What was found.

    Attributes
    ----------
    joint
        The drivers and their correlation.
    shocks
        Distinct directions, the nearest first. The first is the least that was found, not a proven minimum.
    reach
        How far was looked.
    starts
        From how many starts; ``silent`` of them met no trigger on their ray.
    certified
        Distance within which no joint shock whatever triggers, by the safe envelope; 0 where that says nothing.
    """

    joint: JointMoves
    shocks: tuple[JointShock, ...]
    reach: float
    starts: int
    silent: int
    certified: float

    @property
    def runs(self) -> int:
        """Runs that all starts took."""
        return sum(shock.runs for shock in self.shocks)

    def parts(self, shock: JointShock) -> list[tuple[Driver, float]]:
        """What a shock is made of, the largest move first; what the nearest trigger does not need is near zero and left out."""
        order = np.argsort(-np.abs(shock.moves), kind="stable")
        chosen = [(self.joint.drivers[place], float(shock.moves[place])) for place in order]
        return [(driver, z) for driver, z in chosen if abs(z) >= _SHOWN and (z > 0 or driver.kind == "price")]

    def tables(self) -> dict[str, pd.DataFrame]:
        """``shocks``, one row a direction, and ``moves``, one row a direction and driver."""
        import pandas as pd

        shocks = [
            {
                "direction": number,
                "trigger_distance": shock.trigger,
                "safe_distance": shock.safe,
                "claim": "bracket on its ray, sampled over directions",
                "conditions": shock.trial.fired,
                "induced_share": shock.trial.induced,
                "bad_debt_usd": shock.trial.bad_debt_usd,
                "loss_usd": shock.trial.loss,
                "start": shock.start,
                "shock": " ".join(str(part) for part in self.joint.shocks(shock.moves)),
            }
            for number, shock in enumerate(self.shocks, 1)
        ]
        moves = [
            {"direction": number, "driver": driver.key, "sigmas": z, "size": _size(driver, z)}
            for number, shock in enumerate(self.shocks, 1)
            for driver, z in zip(self.joint.drivers, shock.moves.tolist(), strict=True)
        ]
        return {
            "shocks": pd.DataFrame(shocks, columns=list(shocks[0]) if shocks else ["direction"]),
            "moves": pd.DataFrame(moves, columns=["direction", "driver", "sigmas", "size"]),
        }

    def summary(self) -> dict[str, Any]:
        """A document of what was found."""
        return {
            "shocks": [
                {
                    "trigger_distance": shock.trigger,
                    "safe_distance": shock.safe,
                    "claim": {"on_its_ray": "bracket", "over_directions": "sampled"},
                    "moves": {driver.key: z for driver, z in self.parts(shock)},
                    "shock": [str(part) for part in self.joint.shocks(shock.moves)],
                    "start": shock.start,
                    "trial": shock.trial.to_json(),
                }
                for shock in self.shocks
            ],
            "certified_distance": self.certified,
            "reach": self.reach,
            "starts": self.starts,
            "starts_without_trigger": self.silent,
            "runs": self.runs,
        }


def _size(driver: Driver, sigmas: float) -> float:
    """Fraction that is lost; negative is a rise."""
    return driver.size(sigmas) if sigmas >= 0 else -float(np.expm1(-sigmas * driver.sigma))


def reverse(
    bench: Bench,
    drivers: Sequence[Driver],
    *,
    risk: Risk,
    starts: int = STARTS,
    reach: float = REACH,
    tolerance: float = 1e-6,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> ReverseStress:
    """Search for the most plausible joint shocks.

    Parameters
    ----------
    drivers
        What may move; those that are binary are left out.
    risk
        How likely moves are.
    starts
        From how many starts a nearest trigger is sought.
    reach
        Largest distance that is asked for.
    tolerance
        Relative width of the bracket on each ray; 0 narrows it to adjacent numbers.

    Notes
    -----
    Costs a run for each driver, then for each start some 20 runs and two for each driver and size of turn.

    Examples
    --------
    >>> from contagion.search.drivers import drivers_of
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> bench, risk = Bench.of(one_book_ladder()), Risk()
    >>> found = reverse(bench, drivers_of(bench.system, risk), risk=risk, starts=1)
    >>> [driver.key for driver, z in found.parts(found.shocks[0])]
    ['COIN', 'depth:Book']
    """
    joint = JointMoves.of(drivers, risk)
    context = context_of(bench, risk=risk.model_dump(mode="json"), drivers=[_written(driver) for driver in joint.drivers])
    with Runtime(bench.system, plan=plan, ledger=ledger) as runtime:
        looks = [{"start": name, "y": y.tolist()} for name, y in _starts(joint, reach)]
        looked = runtime.run("contagion.search.reverse:look", looks, context=context, progress=progress)
        order = sorted(range(len(looks)), key=lambda place: (-looked[place]["severity"], place))[:starts]
        items = [{**looks[place], "reach": reach, "tolerance": tolerance} for place in sorted(order)]
        found = runtime.run("contagion.search.reverse:descend", items, context=context, progress=progress)
    shocks = [_joint_shock(item["start"], answer) for item, answer in zip(items, found, strict=True) if answer["moves"]]
    shocks.sort(key=lambda shock: (shock.trigger, shock.start))
    certified = certified_distance(bench, joint, reach)
    return ReverseStress(joint, _distinct(joint, shocks), reach, len(items), len(items) - len(shocks), certified)


def certified_distance(bench: Bench, joint: JointMoves, reach: float) -> float:
    """Mahalanobis distance within which no joint shock triggers, by the safe envelope; 0 where it says nothing.

    Within distance R no driver moves by more than R standard deviations, so an envelope of all moves of that size, each of
    which may or may not happen, holds for every such shock. Bisected to a hundredth; costs some ten envelopes.
    """
    bounds = Bounds(bench.system, bench.settings)
    sizes = np.ones(len(joint.drivers))

    def safe(radius: float) -> bool:
        possible = [*joint.shocks(radius * sizes), *joint.shocks(-radius * sizes)]
        return bounds.envelope_of_any(possible, given=bench.given).safe

    low, high = 0.0, reach
    if not joint.drivers or safe(high):
        return high if joint.drivers else 0.0
    while high - low > _CERTIFIED * max(low, _CERTIFIED):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if safe(middle) else (low, middle)
    return low


def _starts(joint: JointMoves, reach: float) -> list[tuple[str, Floats]]:
    """Starts by name in whitened coordinates, at the distance at which they are compared."""
    found = [("everything", np.linalg.solve(joint.root, np.ones(len(joint.drivers))))] if len(joint.drivers) > 1 else []
    found += [(driver.key, row) for driver, row in zip(joint.drivers, joint.root, strict=True)]
    return [(name, _LOOK * reach * y / np.linalg.norm(y)) for name, y in found]


def look(system: System, context: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Task: how severe a start is."""
    bench, joint = bench_of(system, context), _joint_of(context)
    return {"severity": bench.run(joint.shocks(joint.root @ np.array(item["y"]))).severity}


def descend(system: System, context: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Task: the nearest trigger from a start."""
    bench, joint = bench_of(system, context), _joint_of(context)

    def judge(y: Floats) -> tuple[float, bool]:
        trial = bench.run(joint.shocks(joint.root @ y))
        return trial.severity, trial.system_wide

    found = nearest_trigger(judge, np.array(item["y"]), joint.root, reach=item["reach"], tolerance=item["tolerance"])
    if found is None:
        return {"moves": []}
    moves = joint.root @ (found.trigger * found.direction)
    trial = bench.run(joint.shocks(moves))
    return {"moves": moves.tolist(), "safe": found.safe, "trigger": found.trigger, "runs": found.runs, "trial": trial.to_json()}


def _joint_shock(start: str, answer: Mapping[str, Any]) -> JointShock:
    from contagion.search.trial import Trial

    moves = np.array(answer["moves"])
    return JointShock(moves, answer["trigger"], answer["safe"], Trial.from_json(answer["trial"]), start, answer["runs"])


def _distinct(joint: JointMoves, shocks: Sequence[JointShock]) -> tuple[JointShock, ...]:
    """Of shocks in nearly the same direction, the nearest."""
    kept: list[JointShock] = []
    for shock in shocks:
        here = np.linalg.solve(joint.root, shock.moves) / shock.trigger
        if all(here @ (np.linalg.solve(joint.root, other.moves) / other.trigger) < SAME for other in kept):
            kept.append(shock)
    return tuple(kept)


def _written(driver: Driver) -> dict[str, Any]:
    return {name: getattr(driver, name) for name in Driver.__slots__}


def _joint_of(context: Mapping[str, Any]) -> JointMoves:
    from contagion.search.risk import Risk

    return JointMoves.of([Driver(**written) for written in context["drivers"]], Risk.model_validate(context["risk"]))

"""What workers do for trigger sets: judge a block of sets, grow a set until it triggers, weigh a set and all its subsets.

Candidates are numbers into the ``shocks`` of the context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from contagion.search.candidates import shocks_from
from contagion.search.generation import ROUNDING
from contagion.search.trial import bench_of
from contagion.search.verdicts import Glance, glance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from contagion.search.envelope import Bounds
    from contagion.search.trial import Bench
    from contagion.shocks import Shock
    from contagion.system import System

LEAST: Final = 2
"""Sets of a block that are run when they cannot be called safe together; larger blocks are halved first."""


@dataclass(slots=True)
class _Table:
    """The candidates on their bench."""

    bench: Bench
    shocks: list[Shock]
    _bounds: Bounds | None = None

    @classmethod
    def of(cls, system: System, context: Mapping[str, Any]) -> _Table:
        return cls(bench_of(system, context), shocks_from(context["shocks"]))

    @property
    def bounds(self) -> Bounds:
        """Envelopes of the network, prepared when they are first asked for."""
        if self._bounds is None:
            from contagion.search.envelope import Bounds

            self._bounds = Bounds(self.bench.system, self.bench.settings)
        return self._bounds

    def run(self, places: Sequence[int], *, whole: bool = False) -> Glance:
        return glance(self.bench, [self.shocks[place] for place in places], whole=whole)

    def is_safe(self, places: Sequence[int]) -> bool:
        """Whether the envelope calls every subset safe."""
        return self.bounds.envelope_of_any([self.shocks[place] for place in places], given=self.bench.given).safe


def judge_alone(system: System, context: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Run one candidate, or none, whole; and say whether the envelope calls it safe, so that it may call larger sets safe too."""
    table = _Table.of(system, context)
    return {"glance": table.run(item["set"], whole=True).to_json(), "bounded": table.is_safe(item["set"])}


def judge_block(system: System, context: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Judge the sets that a prefix makes with each candidate of a block.

    Returns ``runs``, the candidates whose sets were run with what came out, and ``safe``, parts of the block such that
    every subset of prefix and part is safe by the envelope. Without ``certify`` all are run.
    """
    table, prefix = _Table.of(system, context), item["prefix"]
    runs: dict[int, Glance] = {}
    safe: list[list[int]] = []

    def settle(part: list[int]) -> None:
        if item["certify"] and table.is_safe([*prefix, *part]):
            safe.append(part)
        elif item["certify"] and len(part) > LEAST:
            settle(part[: len(part) // 2])
            settle(part[len(part) // 2 :])
        else:
            runs.update({place: table.run([*prefix, place]) for place in part})

    settle(item["block"])
    return {"runs": [[place, one.to_json()] for place, one in runs.items()], "safe": safe}


def weigh(system: System, context: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Certify a set with all its subsets, on a network on which whatever closes in a subset also closes in the set.

    Either the envelope calls them safe; or it bounds (b) to (d) for all of them, ``calm``, and the set, which is run, closes too
    little for (a) even if the benchmark of a subset closed nothing.
    """
    table = _Table.of(system, context)
    bench, shocks = table.bench, [table.shocks[place] for place in item["set"]]
    bound = table.bounds.envelope_of_any(shocks, given=bench.given, full=True)
    if bound.safe:
        return {"safe": True, "calm": True, "glance": None}
    limits = bench.settings.system_wide
    calm = bound.complete and not bound.unknown and bound.exchanges < limits.exchange_default
    calm = calm and bound.peg >= limits.depeg and bound.bad_debt <= limits.bad_debt
    found = table.run(item["set"], whole=True)
    safe = calm and found.closed < limits.induced_liquidation - ROUNDING
    return {"safe": safe, "calm": calm, "glance": found.to_json()}


def grow(system: System, context: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Add candidates to a seed in a given order until it triggers, then take out what is not needed, the seed last.

    A candidate that makes a set less severe is passed over, as more may do less. Returns the set, or none if it never triggers;
    with any one candidate less it does not. Costs a run for each candidate that is tried, and about two for each that stays.
    """
    table = _Table.of(system, context)
    known: dict[tuple[int, ...], Glance] = {}

    def run(places: Sequence[int]) -> Glance:
        key = tuple(sorted(places))
        if key not in known:
            known[key] = table.run(key)
        return known[key]

    current: list[int] = [*item["seed"]]
    for place in item["order"]:
        before, after = run(current), run([*current, place])
        if after.system_wide:
            found = _reduced([place, *current[::-1]], lambda places: run(places).system_wide)
            return {"set": sorted(found), "runs": len(known)}
        if (after.severity, after.closed) >= (before.severity, before.closed):
            current.append(place)
    return {"set": None, "runs": len(known)}


def _reduced(places: list[int], triggers: Callable[[Sequence[int]], bool]) -> list[int]:
    """Take out candidates, the first ones first, until none can go."""
    current, before = list(places), 0
    while len(current) != before:
        before = len(current)
        for one in list(current):
            less = [other for other in current if other != one]
            if triggers(less):
                current = less
    return current

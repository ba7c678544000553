"""Minimal trigger sets: what starts a system-wide cascade together, while no part of it does.

A larger set may do less than a smaller one, so nothing is inferred from one set about another, but for two things: a set that
holds a trigger is not minimal, and what the safe envelope certifies holds for every subset. Sets are judged by size:
those of size k that hold no trigger and are not certified are run, in blocks that share all members but the last. On isotone
networks minimal sets of any size are generated jointly with maximal safe ones (see :mod:`contagion.search.generation`).
Beyond the size to which the search is complete, sets are grown greedily.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from contagion.errors import RunError
from contagion.runtime.tasks import Runtime
from contagion.search.candidates import conflicts_of, joint_sigmas
from contagion.search.generation import Runs, generate
from contagion.search.risk import Risk
from contagion.search.subsets import mask_of, maximal, members, minimal, open_sets, subsets, unexplored
from contagion.search.trial import context_of
from contagion.search.trigger_sets import Miss, TriggerSet, TriggerSets
from contagion.search.verdicts import Glance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.candidates import Candidate
    from contagion.search.trial import Bench
    from contagion.search.trigger_sets import Claim

MAX_SIZE: Final = 2
LARGEST_VERIFIED: Final = 10
"""Members of a grown set up to which all its proper subsets are run, unless another number is asked for."""
BLOCK: Final = 16
"""Sets that a task judges."""
MISSES: Final = 10
"""Sets that came nearest and are told of."""
_FEW: Final = 400
"""Sets up to which it is asked whether nothing of any size is left."""


def triggers(
    bench: Bench,
    candidates: Sequence[Candidate],
    *,
    max_size: int = MAX_SIZE,
    greedy: int = 0,
    largest: int = LARGEST_VERIFIED,
    risk: Risk | None = None,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> TriggerSets:
    """Find the minimal trigger sets among candidates.

    Parameters
    ----------
    bench
        The network, with what is given in every run; if that triggers by itself, the empty set is the answer.
    candidates
        What sets are made of. Two that hit the same are never in one set.
    max_size
        The search is complete over sets of at most so many candidates.
    greedy
        From how many of the most severe sets larger ones are grown.
    largest
        Members of a grown set up to which it is verified, by running each of its up to 2^largest subsets; larger ones are counted
        and left out.
    risk
        By which sets are ranked.
    plan, ledger, progress
        As for :func:`contagion.runtime.tasks.run_tasks`; progress is told of each size anew.

    Raises
    ------
    RunError
        If two candidates are the same, one of them hits what is given, or a size has no meaning.

    Notes
    -----
    Costs one run for each set of at most ``max_size`` of n candidates that holds no trigger, O(n^max_size), less what the
    envelope certifies, which is asked only about sets all of whose members it calls safe alone. Most sets need no benchmark,
    see :mod:`contagion.search.verdicts`.

    Examples
    --------
    >>> from contagion.search.candidates import candidates_of
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> found = triggers(bench, candidates_of(bench, Risk(), sigmas=0.5, traders=2))
    >>> [one.label for one in found.sets]
    ['COIN -1.98 % + default:Long1']
    """
    if max_size < 1 or greedy < 0:
        raise RunError(f"sets of at most {max_size} candidates, grown from {greedy}: give a size of 1 or more, and 0 or more to grow from")
    search = _Search(bench, candidates, Runtime(bench.system, plan=plan, ledger=ledger), progress, max(largest, max_size))
    with search.runtime:
        search.judge_alone()
        search.generate()
        search.judge_sizes(max_size)
        search.grow(greedy)
        search.verify()
    return search.answer(risk or Risk())


class _Search:
    """The search: candidates in the order of what they do alone, the most severe first, and what is known of their sets.

    Attributes
    ----------
    known
        What came out, by set.
    found
        Minimal trigger sets.
    safe
        Sets of which every subset is certified by the envelope.
    """

    def __init__(self, bench: Bench, candidates: Sequence[Candidate], runtime: Runtime, progress: Progress | None, largest: int) -> None:
        self.bench, self.runtime, self.progress, self.largest = bench, runtime, progress, largest
        _check(bench, candidates)
        self.known: dict[int, Glance] = {}
        self.bounded = 0
        self.found: list[int] = []
        self.safe: list[int] = []
        self.certified = self.grown_runs = self.size = 0
        self.too_large: list[int] = []
        self.exhausted = self.generated = False
        self._arrange(sorted(candidates, key=lambda one: (one.driver.key, one.size)))

    def _arrange(self, candidates: Sequence[Candidate]) -> None:
        """Give candidates their numbers."""
        self.candidates = tuple(candidates)
        shocks = [candidate.shock for candidate in self.candidates]
        self.conflicts = conflicts_of(shocks)
        self.context = context_of(self.bench, shocks=[shock.model_dump(exclude_defaults=True) for shock in shocks])

    def _ask(self, work: str, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        if not items:
            return []
        return self.runtime.run(f"contagion.search.trigger_tasks:{work}", items, context=self.context, progress=self.progress)

    def judge_alone(self) -> None:
        """Run what is given and each candidate alone, and put the candidates into order."""
        count = len(self.candidates)
        answers = self._ask("judge_alone", [{"set": []}, *({"set": [place]} for place in range(count))])
        glances = [Glance.from_json(answer["glance"]) for answer in answers]
        severe = sorted(
            range(count), key=lambda at: (-glances[at + 1].severity, -glances[at + 1].closed, -self.candidates[at].driver.usd, at)
        )
        bounded = [answers[at + 1]["bounded"] for at in severe]
        self._arrange([self.candidates[at] for at in severe])
        self.bounded = mask_of([place for place, is_bounded in enumerate(bounded) if is_bounded])
        self.known = {0: glances[0]} | {1 << place: glances[at + 1] for place, at in enumerate(severe)}
        self.found = [mask for mask in (0, *(1 << place for place in range(count))) if self.known[mask].system_wide]
        self.found = [0] if 0 in self.found else self.found
        self.size = 1
        self.exhausted = 0 in self.found

    def generate(self) -> None:
        """On an isotone network, generate the trigger sets of all sizes; where that does not end, what was found is kept."""
        from contagion.search.isotone import obstacles

        shocks = [*self.bench.given, *(candidate.shock for candidate in self.candidates)]
        if self.exhausted or obstacles(self.bench.system, self.bench.settings, shocks):
            return

        def weigh(mask: int) -> dict[str, Any]:
            return self._ask("weigh", [{"set": [*members(mask)]}])[0]

        threshold = self.bench.settings.system_wide.induced_liquidation
        runs = Runs(len(self.candidates), weigh, self.known, self.conflicts, threshold)
        made = generate(len(self.candidates), runs, known=self.found, conflicts=self._clashes())
        self.found, self.safe = made.triggers, maximal([*self.safe, *made.safe])
        self.generated = self.exhausted = made.complete

    def judge_sizes(self, max_size: int) -> None:
        """Judge all sets of two, three, … candidates."""
        while self.size < max_size and not self.exhausted:
            size = self.size + 1
            blocks, covered = [], 0
            for prefix, block, certified in open_sets(len(self.candidates), size, self.found, self.safe, self.conflicts):
                covered += certified
                blocks += self._blocks(prefix, block)
            self.certified += covered
            self._judge(blocks)
            self.size = size
            self.exhausted = not blocks and not covered
        self.exhausted = self.exhausted or self._nothing_left()

    def _blocks(self, prefix: tuple[int, ...], block: Sequence[int]) -> list[dict[str, Any]]:
        """Tasks that judge a prefix with each of a block; the envelope is asked where it called every member safe alone."""
        bounded = self.bounded if mask_of(prefix) & ~self.bounded == 0 else 0
        parts = {certify: [place for place in block if bool(bounded >> place & 1) is certify] for certify in (True, False)}
        return [
            {"prefix": [*prefix], "block": part[start : start + BLOCK], "certify": certify}
            for certify, part in parts.items()
            for start in range(0, len(part), BLOCK)
        ]

    def _judge(self, blocks: Sequence[Mapping[str, Any]]) -> None:
        for item, answer in zip(blocks, self._ask("judge_block", blocks), strict=True):
            prefix = mask_of(item["prefix"])
            for place, document in answer["runs"]:
                mask = prefix | 1 << place
                self.known[mask] = glance = Glance.from_json(document)
                if glance.system_wide:
                    self.found.append(mask)
            self.safe += [prefix | mask_of(part) for part in answer["safe"]]
            self.certified += sum(len(part) for part in answer["safe"])
        self.safe = maximal(self.safe)

    def _nothing_left(self) -> bool:
        """Whether every set of any size holds a trigger or a conflict, or is known not to trigger with all its subsets."""
        calm = [mask for mask, glance in self.known.items() if mask.bit_count() <= self.size and not glance.system_wide]
        if len(calm) + len(self.safe) + len(self.found) > _FEW:
            return False
        return unexplored(len(self.candidates), [*self.found, *self._clashes()], maximal([*self.safe, *calm])) is None

    def _clashes(self) -> list[int]:
        """Pairs of candidates that cannot come together."""
        return [1 << one | 1 << other for one, hits in enumerate(self.conflicts) for other in members(hits) if one < other]

    def grow(self, starts: int) -> None:
        """Grow sets from the most severe ones, and verify what is found by running every proper subset, the smaller first."""
        if not starts or self.exhausted:
            return
        calm = sorted(
            (mask for mask, glance in self.known.items() if not glance.system_wide and mask.bit_count() == self.size),
            key=lambda mask: (-self.known[mask].severity, -self.known[mask].closed, mask),
        )
        items = [{"seed": [*members(seed)], "order": self._order(seed)} for seed in calm[:starts]]
        grown = []
        for answer in self._ask("grow", [item for item in items if item["order"]]):
            self.grown_runs += answer["runs"]
            if answer["set"] is not None:
                grown.append(mask_of(answer["set"]))
        grown = sorted(set(grown))
        self.too_large += [mask.bit_count() for mask in grown if mask.bit_count() > self.largest]
        grown = [mask for mask in grown if mask.bit_count() <= self.largest]
        for size in range(self.size + 1, self.largest + 1):
            open_still = [mask for mask in grown if not any(one & mask == one for one in self.found)]
            parts = {part for mask in open_still for part in (*subsets(mask), mask) if part.bit_count() == size}
            self._run(sorted(parts - self.known.keys()))

    def _order(self, seed: int) -> list[int]:
        """Candidates that may be added to a seed one after the other without completing a known trigger or a conflict."""
        mask, order = seed, []
        for place in range(len(self.candidates)):
            larger = mask | 1 << place
            clash = any(self.conflicts[place] >> one & 1 for one in members(mask))
            if larger != mask and not clash and not any(one & larger == one for one in self.found):
                mask = larger
                order.append(place)
        return order

    def _run(self, masks: Sequence[int]) -> None:
        """Run sets; none of them holds a known trigger of smaller size."""
        split = [(members(mask)[:-1], members(mask)[-1]) for mask in masks]
        self._judge([{"prefix": [*prefix], "block": [last], "certify": False} for prefix, last in split])

    def verify(self) -> None:
        """Run every proper subset of each trigger set that has not been run, the smaller first, and keep the minimal sets.

        Raises
        ------
        RunError
            If a set triggers that the envelope has certified.
        """
        self.found = minimal(self.found)
        self.too_large += [mask.bit_count() for mask in self.found if mask.bit_count() > self.largest]
        self.found = [mask for mask in self.found if mask.bit_count() <= self.largest]
        for size in range(self.largest):
            parts = {part for mask in self.found for part in subsets(mask) if part.bit_count() == size}
            self._run(sorted(parts - self.known.keys()))
            self.found = minimal(self.found)
        for mask in self.found:
            if any(safe & mask == mask for safe in self.safe):
                names = " + ".join(candidate.label for candidate in self._chosen(mask))
                raise RunError(f"{names}: the safe envelope certified this set, and its run is system-wide; one of the two is wrong")

    def answer(self, risk: Risk) -> TriggerSets:
        """All that is known, the most plausible set first."""
        sets = []
        for mask in self.found:
            chosen = self._chosen(mask)
            trial = self.known[mask].trial
            if trial is not None:  # a trigger is always run whole
                claim: Claim = "enumerated" if self.exhausted or len(chosen) <= self.size else "greedy"
                sets.append(TriggerSet(chosen, trial, joint_sigmas(chosen, risk), claim))
        return TriggerSets(
            candidates=self.candidates,
            sets=tuple(sorted(sets, key=lambda one: (one.sigmas, len(one.members), one.label))),
            max_size=self.size,
            any_size=self.exhausted,
            alone=tuple(self.known[1 << place] for place in range(len(self.candidates))),
            pairs=tuple(self._pairs()),
            misses=tuple(self._misses(risk)),
            runs=len(self.known) + self.grown_runs,
            certified=self.certified,
            unsettled=sum(glance.reason == "max_rounds" for glance in self.known.values()),
            generated=self.generated,
            too_large=tuple(sorted(self.too_large)),
        )

    def _chosen(self, mask: int) -> tuple[Candidate, ...]:
        """Candidates of a set, by key."""
        return tuple(sorted((self.candidates[place] for place in members(mask)), key=lambda one: (one.driver.key, one.size)))

    def _misses(self, risk: Risk) -> Iterator[Miss]:
        """The most severe sets that do not trigger, of equal ones the smaller first."""
        calm = [(mask, glance) for mask, glance in self.known.items() if mask and not glance.system_wide]
        near = sorted(calm, key=lambda item: (-item[1].severity, item[0].bit_count(), -item[1].severity_at_most, item[0]))
        for mask, glance in near[:MISSES]:
            chosen = self._chosen(mask)
            yield Miss(chosen, glance.severity, joint_sigmas(chosen, risk))

    def _pairs(self) -> Iterator[tuple[int, int, Glance | None]]:
        """What pairs do, as far as it is known."""
        for one in range(len(self.candidates)):
            for other in range(one + 1, len(self.candidates)):
                mask = 1 << one | 1 << other
                if mask in self.known:
                    yield one, other, self.known[mask]
                elif any(safe & mask == mask for safe in self.safe):
                    yield one, other, None


def _check(bench: Bench, candidates: Sequence[Candidate]) -> None:
    """Refuse what makes no sets."""
    given = {shock.key: shock for shock in bench.given}
    seen = set()
    for candidate in candidates:
        if candidate.shock.key in given:
            raise RunError(f"{candidate.label} hits the same as the given {given[candidate.shock.key]}; leave one of them out")
        if candidate in seen:
            raise RunError(f"{candidate.label} is a candidate twice; leave one of them out")
        seen.add(candidate)

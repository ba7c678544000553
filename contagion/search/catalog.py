"""The searches by name: how each is carried out at a desk, and how its answer is printed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from contagion.policy import load_policy
from contagion.shocks import parse_shock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from contagion.report.page import Page
    from contagion.search.question import Answer, Desk


@dataclass(frozen=True, slots=True)
class Search:
    """One search.

    Attributes
    ----------
    carry_out
        Answers at a desk, with the question's arguments.
    page
        ``module:function`` that lays the answer out.
    """

    carry_out: Callable[[Desk], Answer]
    page: str

    def lay_out(self, answer: Answer) -> Page:
        """The page of an answer."""
        module, _, function = self.page.partition(":")
        laid: Page = getattr(import_module(module), function)(answer)
        return laid


def _sweep(desk: Desk) -> Answer:
    from contagion.search.sweep import sweep

    asked = dict(desk.question.arguments)
    (driver,) = desk.drivers([asked.pop("driver")])
    with desk.watch("sweep") as progress:
        return sweep(desk.bench, driver, **asked, **desk.means(progress))


def _lever(desk: Desk) -> Answer:
    from contagion.search.policy_sweep import sweep_policy

    asked, bench = desk.question.arguments, desk.bench
    shocks = _shocks(asked["shocks"])
    where: dict[str, Any] = {"settings": bench.settings, "given": bench.given, "ledger": desk.ledger}
    with desk.watch("sweep") as progress:
        return sweep_policy(desk.net, shocks, asked["lever"], asked["values"], progress=progress, **where)


def _critical(desk: Desk) -> Answer:
    from contagion.search.critical import critical

    asked = dict(desk.question.arguments)
    drivers = desk.drivers(asked.pop("drivers", ()), rises=asked.pop("rises", False))
    with desk.watch("critical shocks") as progress:
        return critical(desk.bench, drivers, **asked, **desk.means(progress))


def _triggers(desk: Desk) -> Answer:
    from contagion.search.candidates import candidates_of
    from contagion.search.triggers import triggers

    asked = dict(desk.question.arguments)
    of = {name: asked.pop(name) for name in ("exchange", "sigmas", "peg") if name in asked}
    risk = desk.question.risk
    candidates = candidates_of(desk.bench, risk, traders=desk.question.traders, **of)
    with desk.watch("trigger sets") as progress:
        return triggers(desk.bench, candidates, risk=risk, **asked, **desk.means(progress))


def _reverse(desk: Desk) -> Answer:
    from contagion.search.reverse import reverse

    asked = dict(desk.question.arguments)
    drivers = desk.drivers(asked.pop("drivers", ()))
    with desk.watch("joint shocks") as progress:
        return reverse(desk.bench, drivers, risk=desk.question.risk, **asked, **desk.means(progress))


def _sample(desk: Desk) -> Answer:
    from contagion.search.sample import sample
    from contagion.search.splitting import split

    asked = dict(desk.question.arguments)
    drivers, risk = desk.drivers(asked.pop("drivers", ())), desk.question.risk
    with desk.watch(desk.question.search) as progress:
        if desk.question.search == "rare":
            return split(desk.bench, drivers, risk=risk, **asked, **desk.means(progress))
        return sample(desk.bench, drivers, risk=risk, traders=desk.question.traders, **asked, **desk.means(progress))


def _rank(desk: Desk) -> Answer:
    from contagion.search.rank import rank

    question = desk.question
    with desk.watch("nodes") as progress:
        return rank(desk.bench, risk=question.risk, traders=question.traders, **question.arguments, **desk.means(progress))


def _compare(desk: Desk) -> Answer:
    from contagion.search.compare import compare

    asked = dict(desk.question.arguments)
    policies = [load_policy(texts).model_copy(update={"name": name}) for name, texts in asked.pop("policies").items()]
    shocks, question, bench = _shocks(asked.pop("shocks", ())), desk.question, desk.bench
    where: Mapping[str, Any] = {"plan": desk.plan, "ledger": desk.ledger, "watch": desk.watch}
    return compare(
        desk.net,
        policies,
        risk=question.risk,
        settings=bench.settings,
        given=bench.given,
        shocks=shocks,
        traders=question.traders,
        **asked,
        **where,
    )


def _prevent(desk: Desk) -> Answer:
    from contagion.search.prevent import parse_lever, prevent

    asked = desk.question.arguments
    levers = [parse_lever(text) for text in asked.get("levers", ())]
    with desk.watch("levers") as progress:
        bench = desk.bench
        return prevent(desk.net, _shocks(asked["shocks"]), levers=levers, settings=bench.settings, given=bench.given, progress=progress)


def _levels(desk: Desk) -> Answer:
    from contagion.search.levels import levels

    return levels(desk.bench.system, settings=desk.bench.settings, **desk.question.arguments)


def _shocks(texts: Sequence[str]) -> list[Any]:
    return [parse_shock(text) for text in texts]


SEARCHES: Final[dict[str, Search]] = {
    "sweep": Search(_sweep, "contagion.report.sweep:lay_out_sweep"),
    "lever": Search(_lever, "contagion.report.sweep:lay_out_sweep"),
    "critical": Search(_critical, "contagion.report.critical:lay_out_critical"),
    "triggers": Search(_triggers, "contagion.report.triggers:lay_out_triggers"),
    "reverse": Search(_reverse, "contagion.report.reverse:lay_out_reverse"),
    "sample": Search(_sample, "contagion.report.sample:lay_out_sample"),
    "rare": Search(_sample, "contagion.report.sample:lay_out_split"),
    "rank": Search(_rank, "contagion.report.rank:lay_out_rank"),
    "compare": Search(_compare, "contagion.report.compare:lay_out_compare"),
    "prevent": Search(_prevent, "contagion.report.compare:lay_out_prevent"),
    "levels": Search(_levels, "contagion.report.levels:lay_out_levels"),
}

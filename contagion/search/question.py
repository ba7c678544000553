"""A question to the search: everything that decides its answer, so that the same question gives the same bytes.

Like a job it names its network as a person does, and holds policy and assumptions whole, so that it can be asked again
when their files are gone. How the work is spread over workers is no part of it.
"""

from __future__ import annotations

import tomllib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

from contagion.job import full_options, hash_inputs, parse_settings
from contagion.policy import Policy, apply_policy, load_policy
from contagion.search.drivers import LARGE_TRADERS, drivers_of, pick_drivers
from contagion.search.risk import Risk
from contagion.search.trial import Bench
from contagion.settings import Settings
from contagion.shocks import parse_shock
from graphs.catalog import load_network
from graphs.checks import require_valid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from contagion.policy import AdjustmentReport
    from contagion.report.page import Page
    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.drivers import Driver
    from graphs.network import Network

    Watch = Callable[[str], AbstractContextManager[Progress | None]]


class Answer(Protocol):
    """What every search gives."""

    def tables(self) -> dict[str, pd.DataFrame]:
        """Its tables by name."""

    def summary(self) -> dict[str, Any]:
        """A document of what was found, with what it claims."""


class Question(BaseModel):
    """What is asked of which network.

    Attributes
    ----------
    search
        Name of the search, see :mod:`contagion.search.catalog`.
    network, options, inputs
        As of a :class:`contagion.job.Job`.
    settings
        Of every run.
    given
        Shocks that are part of every run.
    policy
        Text of its file; no text is no policy.
    risk
        What is assumed of how drivers move.
    traders
        How many traders count as large.
    arguments
        Of the search itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: str
    network: str
    options: dict[str, int] = {}
    inputs: dict[str, str] = {}
    settings: Settings = Settings()
    given: tuple[str, ...] = ()
    policy: str = ""
    risk: Risk = Risk()
    traders: int = LARGE_TRADERS
    arguments: dict[str, Any] = {}

    @classmethod
    def of(
        cls,
        search: str,
        network: str,
        *,
        options: Mapping[str, int | None] | None = None,
        settings: Sequence[str] = (),
        given: Sequence[str] = (),
        policy: Sequence[str] = (),
        risk: str | None = None,
        traders: int = LARGE_TRADERS,
        arguments: Mapping[str, Any] | None = None,
    ) -> Question:
        """Question from what was typed.

        Parameters
        ----------
        risk
            A TOML file.

        Raises
        ------
        ScenarioError, PolicyError, RunError, GraphError
            If any of it is not what it should be.
        """
        return cls(
            search=search,
            network=network,
            options=full_options(network, options or {}),
            inputs=hash_inputs(network),
            settings=parse_settings(settings),
            given=tuple(str(parse_shock(text)) for text in given),
            policy=load_policy(policy).to_toml() if policy else "",
            risk=Risk() if risk is None else Risk.from_toml(risk),
            traders=traders,
            arguments=dict(arguments or {}),
        )


def _silent(_what: str) -> AbstractContextManager[Progress | None]:
    return nullcontext()


@dataclass(frozen=True)
class Desk:
    """Where a search works: the network under its policy, compiled, and the means.

    Attributes
    ----------
    net
        The network, under the policy.
    adjustment
        What it took to bring the policy into force, None without one.
    plan, ledger
        Where tasks are done, and where those that are finished are kept.
    watch
        Opens a view on one part of the work.
    """

    question: Question
    net: Network
    adjustment: AdjustmentReport | None
    bench: Bench
    plan: Plan
    ledger: Ledger | None
    watch: Watch

    def drivers(self, keys: Sequence[str] = (), *, rises: bool = False) -> tuple[Driver, ...]:
        """The network's drivers of these keys, all of them where none is given.

        Raises
        ------
        RunError
            If a key is no driver.
        """
        question = self.question
        wanted = rises or any(key.endswith(" up") for key in keys)
        return pick_drivers(drivers_of(self.bench.system, question.risk, traders=question.traders, rises=wanted), keys)

    def means(self, progress: Progress | None) -> dict[str, Any]:
        """What every search takes beside its own arguments."""
        return {"plan": self.plan, "ledger": self.ledger, "progress": progress}


@dataclass(frozen=True)
class Found:
    """A question answered."""

    question: Question
    answer: Answer
    page: Page


def ask(question: Question, *, plan: Plan | None = None, ledger: Ledger | None = None, watch: Watch = _silent) -> Found:
    """Load the network, bring the policy into force, compile, search, and lay out what was found.

    Raises
    ------
    GraphError, ContagionError
        If the network or the question is wrong, or the work cannot be done where the plan says.
    """
    from contagion.runtime.plan import Plan
    from contagion.search.catalog import SEARCHES

    with watch(f"network {question.network}"):
        net = load_network(question.network, **question.options)
        adjustment = None
        if question.policy:
            require_valid(net)
            net, adjustment = apply_policy(net, Policy.model_validate(tomllib.loads(question.policy)))
    with watch("accounts"):
        bench = Bench.of(net, question.settings, [parse_shock(text) for text in question.given])
    desk = Desk(question, net, adjustment, bench, plan or Plan(), ledger, watch)
    search = SEARCHES[question.search]
    answer = search.carry_out(desk)
    return Found(question, answer, search.lay_out(answer))

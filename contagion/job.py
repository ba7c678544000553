"""A job: everything that decides a run, so that the same job gives the same bytes; and its answer.

A job names its network as a person does, by a shipped name or a directory. Scenario and policy are held as the text of
their files, whole, so that a job can be repeated when those files are gone.
"""

from __future__ import annotations

import json
import tomllib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from contagion.cascade import Cascade
from contagion.documents import validate
from contagion.engine import prepare, simulate
from contagion.errors import RunError, ScenarioError
from contagion.policy import AdjustmentReport, Policy, apply_policy, load_policy
from contagion.resolution import Resolution, halved, resolution
from contagion.scenario import Scenario, list_scenarios, load_scenario
from contagion.settings import Settings
from graphs.catalog import default_options, load_network
from graphs.checks import require_valid
from graphs.tables import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from contagion.engine import Progress
    from graphs.network import Network

    Watch = Callable[[str], AbstractContextManager[Progress | None]]
    """Opens a view on one part of the work, by what it is called."""

DAY = "oct2025"
"""Network and scenario of the day that is shipped with its facts."""
_AT_ONCE = 1 << 20


class Job(BaseModel):
    """What to run.

    Attributes
    ----------
    network
        A shipped network's name, or a directory.
    options
        Of a shipped network, with the defaults of those that set its size and its seed.
    inputs
        SHA-256 of each file that the network is read or built from.
    scenario, policy
        Text of their files; no text is no policy.
    settings
        How it is computed.
    audit
        Whether the identities are checked in every round.
    half_step
        Whether a scenario with a clock is run again at half the step.
    day
        Whether it is the shipped day itself, under the rules of that day, and may be compared with what is known of it. It is
        settled when the job is made, so that a repetition says the same when the shipped day has been revised.

    Examples
    --------
    >>> job = Job.of("one_book_ladder", shocks=["COIN=-5%"])
    >>> carry_out(job).cascade.verdict.system_wide
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    options: dict[str, int] = {}
    inputs: dict[str, str] = {}
    scenario: str
    policy: str = ""
    settings: Settings = Settings()
    audit: bool = False
    half_step: bool = True
    day: bool = False

    @classmethod
    def of(
        cls,
        network: str,
        *,
        options: Mapping[str, int | None] | None = None,
        scenario: str | None = None,
        shocks: Sequence[str] = (),
        policy: Sequence[str] = (),
        settings: Sequence[str] = (),
        audit: bool = False,
        half_step: bool = True,
    ) -> Job:
        """Job from what was typed.

        Parameters
        ----------
        options
            Of a shipped network; None is its default.
        scenario
            A shipped scenario's name, or a file; None is that of the network's own name.
        shocks
            Instead of a scenario.
        policy
            A file, or edits.
        settings
            Texts such as ``max_rounds=100`` or ``system_wide.depeg=0.9``.

        Raises
        ------
        ScenarioError, PolicyError, RunError, GraphError
            If any of it is not what it should be.
        """
        chosen = Scenario.from_shocks(shocks) if shocks else load_scenario(_scenario_of(network) if scenario is None else scenario)
        return cls(
            network=network,
            options=full_options(network, options or {}),
            inputs=hash_inputs(network),
            scenario=chosen.to_toml(),
            policy=load_policy(policy).to_toml() if policy else "",
            settings=parse_settings(settings),
            audit=audit,
            half_step=half_step and chosen.clock is not None,
            day=network == DAY and not shocks and not policy and chosen == load_scenario(DAY),
        )

    def load_scenario(self) -> Scenario:
        """The scenario of the text."""
        return validate(Scenario, tomllib.loads(self.scenario), "scenario", ScenarioError)


@dataclass(frozen=True)
class Answer:
    """A job carried out.

    Attributes
    ----------
    cascade
        The run and its benchmark.
    net
        The network, under the policy.
    adjustment
        What it took to bring the policy into force, None without one.
    half
        The same at half the step, None where it was not run.
    resolution
        Both compared.
    """

    job: Job
    cascade: Cascade
    net: Network
    adjustment: AdjustmentReport | None
    half: Cascade | None
    resolution: Resolution | None


def _silent(_what: str) -> AbstractContextManager[Progress | None]:
    return nullcontext()


def carry_out(job: Job, *, watch: Watch = _silent) -> Answer:
    """Load the network, bring the policy into force, run, run the benchmark, and run again at half the step.

    Raises
    ------
    GraphError, ContagionError
        If the network, the scenario, the policy or the run is wrong.
    """
    scenario, settings = job.load_scenario(), job.settings
    with watch(f"network {job.network}"):
        net = load_network(job.network, **job.options)
    scenario.check(net)
    net, adjustment = _reformed(net, job.policy)
    with watch("accounts"):
        prepared = prepare(net, scenario)
    with watch("cascade") as progress:
        outcome = simulate(prepared, settings=settings, audit=job.audit, progress=progress)
    with watch("without feedback") as progress:
        benchmark = simulate(prepared, settings=settings.model_copy(update={"feedback": False}), progress=progress)
    cascade = Cascade(prepared, settings, outcome, benchmark)
    half = None
    if job.half_step and scenario.clock is not None:
        shorter = replace(prepared, scenario=halved(scenario))
        with watch("half the step") as progress:
            half = Cascade(shorter, settings, simulate(shorter, settings=settings, progress=progress), benchmark)
    return Answer(job, cascade, net, adjustment, half, None if half is None else resolution(cascade, half))


def _reformed(net: Network, policy: str) -> tuple[Network, AdjustmentReport | None]:
    if not policy:
        return net, None
    require_valid(net)
    return apply_policy(net, Policy.model_validate(tomllib.loads(policy)))


def _scenario_of(network: str) -> str:
    known = list_scenarios()
    if network in known:
        return network
    raise RunError(
        f"network {network!r} has no scenario of its own; add --shock, such as --shock BTC=-15%, or --scenario with one of {known}"
    )


def has_scenario(network: str) -> bool:
    """Whether a scenario of the network's own name is shipped."""
    return network in list_scenarios()


def full_options(network: str, options: Mapping[str, int | None]) -> dict[str, int]:
    """Options that were given and, for a shipped network, the size and the seed that it takes when they were not.

    Examples
    --------
    >>> full_options("oct2025", {"accounts": 1000})
    {'accounts': 1000, 'seed': 20251010}
    """
    defaults = {name: value for name, value in default_options(network).items() if name in {"accounts", "seed"}}
    return defaults | {name: value for name, value in options.items() if value is not None}


def hash_inputs(network: str) -> dict[str, str]:
    """SHA-256 of each file that a network is read or built from, by name; none where it is built from code alone."""
    shipped = bool(default_options(network))
    directory = Path(str(files("graphs"))) / "data" / network if shipped else Path(network)
    if not (directory.is_dir() and (shipped or (directory / DESCRIPTION).is_file())):
        return {}
    found = sorted(file for file in directory.iterdir() if file.suffix in {".csv", ".parquet"} or file.name == DESCRIPTION)
    return {file.name: _hash(file) for file in found if file.is_file() and not file.name.startswith(".")}


def _hash(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as stream:
        while part := stream.read(_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def parse_settings(texts: Sequence[str]) -> Settings:
    """Settings from texts such as ``impact=linear``.

    Raises
    ------
    RunError
        If a text is no setting, or its value is out of range; all of them are listed.

    Examples
    --------
    >>> parse_settings(["impact=linear", "system_wide.depeg=0.9"]).system_wide.depeg
    0.9
    """
    data: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and key.strip() and value.strip()):
            raise RunError(f"setting {text!r}: write name=value, for example max_rounds=100")
        *above, name = key.strip().split(".")
        place: Any = data
        for part in above:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict) or name in place:
            raise RunError(f"setting {text!r}: {key.strip()} is given twice; keep one of them")
        place[name] = _literal(value.strip())
    return validate(Settings, data, "settings", RunError)


def _literal(value: str) -> object:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value

"""Scenarios: what happens to a network, in stages.

A stage comes at its round (rounds count from 0) or, under a clock, at its time (seconds from the start); a stage with
neither comes when the one before has settled, the first at once. Without a clock a shock lands whole. Under a clock it
is a path of the stage's duration, piecewise linear in the log of the price, and a stage may let new positions enter.

As a file (times may also be clock strings where the scenario has a start)::

    name = "two legs"
    start = 2025-10-10T20:50:00Z

    [clock]
    round_seconds = 10
    half_life = 600
    duration = 7200

    [[stages]]
    name = "tariff"
    duration = 1500
    shocks = ["BTC=-6%", "depth:*=0.1"]

    [[stages]]
    time = "21:36"
    shocks = [{ kind = "sale", target = "USDe", exchange = "Binance", value = 75e6 }]
    enter = [{ asset = "BTC", exchange = "Bybit", side = "short", notional = 1e8, leverage = 20, accounts = 100 }]
"""

from __future__ import annotations

from datetime import datetime, time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from contagion.documents import read_toml, remedy_for, to_toml, validate
from contagion.errors import ScenarioError
from contagion.misfits import misfits
from contagion.shocks import Shock, ShockLike, format_shock, parse_shock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graphs.network import Network

__all__ = ["Clock", "Entry", "Scenario", "Shock", "Stage", "format_shock", "list_scenarios", "load_scenario", "parse_shock"]

_DAY = 86_400
_TIME_SCHEMA: dict[str, JsonValue] = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}, {"type": "null"}]}
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Entry(BaseModel):
    """New positions that enter a perpetual market against its book, under a clock.

    Attributes
    ----------
    asset, exchange, side
        Which market, and long or short.
    notional
        USD over all accounts together, shared equally.
    leverage
        Notional over margin; no more than the market's bracket allows is ever used.
    accounts
        How many accounts enter.
    """

    model_config = _STRICT

    asset: str = Field(min_length=1)
    exchange: str = Field(min_length=1)
    side: Literal["long", "short"]
    notional: float = Field(gt=0)
    leverage: float = Field(ge=1)
    accounts: int = Field(default=1, ge=1)


class Stage(BaseModel):
    """Shocks that come together.

    Attributes
    ----------
    name
        What it is called, for reports.
    round
        Round at which it comes, without a clock.
    time
        Seconds from the start at which it comes, with a clock.
    duration
        Seconds over which its shocks build up, with a clock; 0 is at once.
    shocks
        What happens.
    enter
        Positions that enter, with a clock.
    """

    model_config = _STRICT

    name: str = ""
    round: int | None = Field(default=None, ge=0)
    time: float | None = Field(default=None, ge=0, json_schema_extra=_TIME_SCHEMA)
    duration: float = Field(default=0.0, ge=0)
    shocks: tuple[ShockLike, ...] = ()
    enter: tuple[Entry, ...] = ()

    @field_validator("shocks")
    @classmethod
    def _once(cls, shocks: tuple[Shock, ...]) -> tuple[Shock, ...]:
        first: dict[tuple[str, str, str, str], Shock] = {}
        for shock in shocks:
            if shock.key in first:
                msg = f"{first[shock.key]} and {shock} hit the same in one stage; keep one of them, or put the second into a later stage"
                raise ValueError(msg)
            first[shock.key] = shock
        return shocks


class Clock(BaseModel):
    """Time in a scenario.

    Attributes
    ----------
    round_seconds
        Length of a round.
    half_life
        Seconds in which half of an impact decays; None is never.
    duration
        Seconds after which the run ends.
    """

    model_config = _STRICT

    round_seconds: float = Field(gt=0)
    half_life: float | None = Field(default=None, gt=0)
    duration: float = Field(gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Clock:
        if self.duration < self.round_seconds:
            msg = f"a duration of {self.duration:g} s holds no round of {self.round_seconds:g} s; make the duration longer"
            raise ValueError(msg)
        return self


class Scenario(BaseModel):
    """What happens to a network.

    Attributes
    ----------
    name, description
        What it is called, and what it is about.
    start
        Clock time of round 0 in ISO 8601, for display; empty if none.
    clock
        Length of a round and decay of impact; None: a round is a step of the fixed-point iteration.
    stages
        What happens, in order; none is the network left alone.

    Examples
    --------
    >>> scenario = Scenario.from_shocks(["BTC=-15%", "depth:Binance=0.1"])
    >>> print(scenario.to_toml(), end="")
    name = "custom"
    <BLANKLINE>
    [[stages]]
    shocks = ["BTC=-15%", "depth:Binance=0.1"]
    """

    model_config = _STRICT

    name: str = Field(default="custom", min_length=1)
    description: str = ""
    start: str = ""
    clock: Clock | None = None
    stages: tuple[Stage, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _clock_strings(cls, data: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        """Times of day become seconds from the start."""
        if not isinstance(data, dict):
            return data
        data, wrong = dict(data), []
        start = data.get("start", "")
        if isinstance(start, datetime):
            start = data["start"] = start.isoformat().replace("+00:00", "Z")
        stages = data.get("stages", ())
        if not isinstance(stages, list | tuple):
            return data
        stages = list(stages)
        for place, stage in enumerate(stages):
            at = stage.get("time") if isinstance(stage, dict) else None
            if isinstance(at, time | str):
                try:
                    stages[place] = {**stage, "time": _seconds_after(start, at)}
                except ValueError as reason:
                    wrong.append(f"stages[{place}].time: {reason}")
        if wrong:
            raise ValueError("\n".join(wrong))
        return {**data, "stages": stages}

    @field_validator("start")
    @classmethod
    def _is_time(cls, start: str) -> str:
        if start:
            _moment(start)
        return start

    @model_validator(mode="after")
    def _in_order(self) -> Scenario:
        wrong = []
        latest_round, latest_time = 0, 0.0
        for place, stage in enumerate(self.stages):
            here = f"stages[{place}]"
            if self.clock is None:
                wrong += [f"{here}.{what}" for what in _only_clocked(stage)]
            elif stage.round is not None:
                wrong.append(f"{here}.round: rounds of a clock may be shortened; give the stage's time in seconds instead")
            elif (stage.time or 0.0) + stage.duration > self.clock.duration:
                wrong.append(f"{here}: ends after the clock stops at {self.clock.duration:g} s; let the clock run longer")
            if stage.round is not None and stage.round < latest_round:
                wrong.append(f"{here}.round: {stage.round} comes before round {latest_round} of an earlier stage; put the stages in order")
            if stage.time is not None and stage.time < latest_time:
                wrong.append(f"{here}.time: {stage.time:g} s comes before {latest_time:g} s of an earlier stage; put the stages in order")
            latest_round = max(latest_round, stage.round or 0)
            latest_time = max(latest_time, stage.time or 0.0)
        names = [stage.name for stage in self.stages if stage.name]
        twice = sorted({name for name in names if names.count(name) > 1})
        wrong += [f"stages: the name {name} stands twice; give each stage its own" for name in twice]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @classmethod
    def from_shocks(cls, shocks: Iterable[str | Shock], *, name: str = "custom") -> Scenario:
        """One stage with these shocks.

        Raises
        ------
        ScenarioError
            If a text is no shock, or two hit the same.
        """
        parsed = [shock if isinstance(shock, Shock) else parse_shock(shock) for shock in shocks]
        return validate(cls, {"name": name, "stages": [{"shocks": parsed}]}, f"scenario {name}", ScenarioError)

    @classmethod
    def from_toml(cls, path: Path | str) -> Scenario:
        """Read a file; without a name in it, the scenario is called as the file.

        Raises
        ------
        ScenarioError
            If the file is not there, is no TOML, or is no scenario; every error is listed with its path.
        """
        path = Path(path)
        data = read_toml(path, ScenarioError)
        return validate(cls, {"name": path.stem, **data}, str(path), ScenarioError)

    def to_toml(self) -> str:
        """Text of a file that reads back equal."""
        data = {"name": self.name, **self.model_dump(exclude_defaults=True)}
        for written, stage in zip(data.get("stages", ()), self.stages, strict=True):
            if stage.shocks:
                written["shocks"] = [format_shock(shock) for shock in stage.shocks]
        return to_toml(data)

    def check(self, net: Network) -> None:
        """Refuse what the network does not have.

        Raises
        ------
        ScenarioError
            If a shock or an entry names an unknown node, a node of the wrong kind, a market or a claim that is not
            there; all of them are listed, with the close matches.
        """
        wrong = misfits(self, net)
        if wrong:
            head = f"scenario {self.name} does not fit network {net.name}: "
            raise ScenarioError(head + (wrong[0] if len(wrong) == 1 else "\n" + "\n".join(f"  {line}" for line in wrong)))

    def named_nodes(self, net: Network) -> frozenset[str]:
        """Nodes whose fall the shock itself names, so that it does not count as a cascade.

        They are the traders, stablecoins and exchanges that a shock defaults, and the stablecoins that a shock pushes
        down: a price shock below 0, a depeg below 1, a sale. An outage or a loss names nobody as failing.
        """
        stablecoins = set(net.node_ids("stablecoin"))
        shocks = [shock for stage in self.stages for shock in stage.shocks]
        defaulting = {shock.target for shock in shocks if shock.kind == "default"}
        return frozenset(defaulting | {shock.target for shock in shocks if shock.target in stablecoins and _pushes_down(shock)})


def _pushes_down(shock: Shock) -> bool:
    return (
        (shock.kind == "price" and shock.value < 0)
        or (shock.kind == "depeg" and shock.value < 1)
        or (shock.kind == "sale" and shock.value > 0)
    )


def _only_clocked(stage: Stage) -> list[str]:
    """What a stage says that needs a clock."""
    remedy = "needs a clock; add a [clock] table"
    wrong = []
    if stage.time is not None:
        wrong.append(f"time: {remedy}, or give the stage's round")
    if stage.duration:
        wrong.append(f"duration: {remedy}, or leave it out")
    if stage.enter:
        wrong.append(f"enter: {remedy}")
    return wrong


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no time; write it in ISO 8601, as 2025-10-10T20:50:00Z"
        raise ValueError(msg) from None


def _seconds_after(start: object, at: time | str) -> float:
    """Seconds from the start to the next time that a clock shows ``at``."""
    if isinstance(at, str):
        try:
            at = time.fromisoformat(at)
        except ValueError:
            msg = f"{at!r} is no time; write seconds, or a time of day such as 21:15"
            raise ValueError(msg) from None
    if not isinstance(start, str) or not start:
        msg = f"the time of day {at.isoformat('auto')} needs the scenario's start; add it, or write seconds"
        raise ValueError(msg)
    begin = _moment(start)
    same_day = datetime.combine(begin.date(), at, tzinfo=begin.tzinfo if at.tzinfo is None else at.tzinfo)
    if begin.tzinfo is None:
        same_day = same_day.replace(tzinfo=None)
    return (same_day - begin).total_seconds() % _DAY


def _shipped() -> dict[str, Path]:
    folder = resources.files("contagion") / "data"
    if not folder.is_dir():
        return {}
    # a wheel is unpacked when it is installed, so what it holds are files
    return {Path(str(file)).stem: Path(str(file)) for file in folder.iterdir() if file.name.endswith(".toml")}


def list_scenarios() -> list[str]:
    """Names of the shipped scenarios."""
    return sorted(_shipped())


def load_scenario(source: Path | str) -> Scenario:
    """Load a shipped scenario by its name, or one from a file.

    Raises
    ------
    ScenarioError
        If nothing bears that name, or the file is no scenario.
    """
    shipped = _shipped()
    if isinstance(source, str) and source in shipped:
        return Scenario.from_toml(shipped[source])
    path = Path(source)
    if path.suffix == ".toml" or path.is_file():
        return Scenario.from_toml(path)
    known: Sequence[str] = sorted(shipped)
    raise ScenarioError(f"scenario {source}: no shipped scenario and no file bears that name; {remedy_for(str(source), known)}")

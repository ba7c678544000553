"""Prevention: the mildest change of each lever that makes a named trigger harmless, and which of them costs least.

A lever is a rule that a policy can set, from mild to harsh. Its values are scanned, then bisected between the harshest
that still triggers before the first harmless one and that; both are run. Under another value in between the trigger may
act again, because a reform need not act in one direction only, so what is found is sampled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.compile import compile_system
from contagion.errors import ContagionError, PolicyError
from contagion.notation import parse_number, write_name
from contagion.policy import Policy, apply_policy
from contagion.search.trial import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from contagion.restoration import Restore
    from contagion.search.trial import Trial
    from contagion.settings import Settings
    from contagion.shocks import Shock
    from graphs.network import Network

_SCAN: Final = 8
_NARROW: Final = 0.02
"""Share of a lever's range to which its mildest value is bisected."""
_BAND: Final = (0.5, 0.02)
_FUND: Final = (1.0, 1024.0)
_WORDS: Final = ("liquidation=target", "liquidation=tier", "mark_oracle=median", "collateral_oracle=median", "collateral_oracle=index")
"""Rules without a measure, each tried as it is."""


@dataclass(frozen=True, slots=True)
class Lever:
    """What can be turned from mild to harsh.

    Attributes
    ----------
    rule
        Text before the equals sign of an edit; of a lever without a measure, the whole edit.
    mild, harsh
        Ends of its range; NaN for one without a measure.
    logarithmic
        Whether it is turned by factors.
    prefix
        What stands before the number, ``x`` for a factor on what is there.
    """

    rule: str
    mild: float = math.nan
    harsh: float = math.nan
    logarithmic: bool = False
    prefix: str = ""

    @property
    def measured(self) -> bool:
        """Whether it has a range."""
        return not math.isnan(self.mild)

    def edit(self, turn: float) -> str:
        """The edit of a turn between 0, the mild end, and 1.

        Examples
        --------
        >>> Lever("leverage_cap", 100.0, 1.0, logarithmic=True).edit(0.5), Lever("haircut:USDe", 0.0, 1.0).edit(0.25)
        ('leverage_cap=10', 'haircut:USDe=0.25')
        """
        if not self.measured:
            return self.rule
        value = self.mild * (self.harsh / self.mild) ** turn if self.logarithmic else self.mild + (self.harsh - self.mild) * turn
        return f"{self.rule}={self.prefix}{value:.4g}"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a lever can do about the trigger.

    Attributes
    ----------
    edit
        The mildest edit found under which the trigger is harmless; empty if there is none.
    fails
        The edit next to it, milder, under which it still acts; empty if the mild end is harmless.
    cost_usd
        What it takes from somebody: positions cut on both sides, margin added, and money for funds, USD.
    trial
        The trigger under ``edit``, or under the harshest value.
    runs
        Values tried.
    refused
        Why it could not be tried; empty if it could.
    """

    lever: Lever
    edit: str
    fails: str
    cost_usd: float
    trial: Trial | None
    runs: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Prevention:
    """Remedies against a trigger, the cheapest first, then those that do not help."""

    shocks: tuple[Shock, ...]
    base: Trial
    remedies: tuple[Remedy, ...]

    @property
    def cheapest(self) -> Remedy | None:
        """The remedy that costs least, None if none helps."""
        return self.remedies[0] if self.remedies and self.remedies[0].edit else None

    def tables(self) -> dict[str, pd.DataFrame]:
        """``remedies``, one row a lever."""
        import pandas as pd

        rows = [
            {
                "lever": remedy.lever.rule,
                "mildest_harmless": remedy.edit,
                "still_triggers": remedy.fails,
                "cost_usd": remedy.cost_usd,
                "conditions": "" if remedy.trial is None else remedy.trial.fired,
                "claim": "sampled",
                "runs": remedy.runs,
                "refused": remedy.refused,
            }
            for remedy in self.remedies
        ]
        return {"remedies": pd.DataFrame(rows)}

    def summary(self) -> dict[str, Any]:
        """A document of what was found."""
        return {
            "trigger": [str(shock) for shock in self.shocks],
            "base": self.base.to_json(),
            "remedies": self.tables()["remedies"].to_dict("records"),
            "claim": "sampled",
        }


def usual_levers(net: Network) -> tuple[Lever, ...]:
    """Levers that a network has: leverage caps, haircuts of what is accepted, funds, price bands, oracles, partial liquidation."""
    leverage = net.numbers("margin_tier", "max_leverage")
    levers = [Lever("leverage_cap", float(leverage.max()), 1.0, logarithmic=True)] if leverage.size else []
    haircut, coin = net.numbers("market", "collateral_haircut"), net.strings("market", "asset")
    accepted = haircut < 1
    if accepted.any():
        levers.append(Lever("haircut", float(haircut[accepted].min()), 1.0))
    for name in sorted(set(coin[accepted]) & set(net.node_ids("stablecoin"))):
        levers.append(Lever(f"haircut:{write_name(name)}", float(haircut[accepted & (coin == name)].min()), 1.0))  # noqa: PERF401
    if float(net.numbers("exchange", "insurance_fund").sum()) > 0:
        levers.append(Lever("fund", *_FUND, logarithmic=True, prefix="x"))
    if net.count("market"):
        levers.append(Lever("price_band", *_BAND, logarithmic=True))
    return (*levers, *(Lever(text) for text in _WORDS if net.count("exchange")))


def parse_lever(text: str) -> Lever:
    """Lever from text: an edit is tried as it is, a rule with a range is turned over it.

    Raises
    ------
    PolicyError
        If the range is none.

    Examples
    --------
    >>> parse_lever("leverage_cap=50..5").harsh, parse_lever("liquidation=target").measured
    (5.0, False)
    """
    rule, _, value = text.partition("=")
    if ".." not in value:
        return Lever(text)
    prefix = "x" if value.strip().startswith("x") else ""
    ends = [parse_number(part.strip().removeprefix("x")) for part in value.split("..", 1)]
    if None in ends or ends[0] == ends[1]:
        raise PolicyError(f"lever {text!r}: is no range; write rule=mild..harsh, for example leverage_cap=50..5")
    mild, harsh = float(ends[0] or 0.0), float(ends[1] or 0.0)
    return Lever(rule.strip(), mild, harsh, mild > 0 and harsh > 0, prefix)


def prevent(
    net: Network,
    shocks: Sequence[Shock],
    *,
    levers: Sequence[Lever] = (),
    settings: Settings | None = None,
    given: Sequence[Shock] = (),
    restore: Restore = "scale",
    progress: Callable[[int, int], None] | None = None,
) -> Prevention:
    """Turn each lever until a trigger is harmless.

    Parameters
    ----------
    shocks
        The trigger.
    levers
        What may be turned; none is :func:`usual_levers`.
    restore
        How accounts that a reform leaves short are restored.

    Raises
    ------
    ContagionError
        If the shocks do not trigger, so that there is nothing to prevent.

    Notes
    -----
    Costs up to 14 reforms for each lever with a range, each a compilation and two runs.
    """
    bench = Bench.of(net, settings, given)
    bench.scenario(shocks).check(net)
    base = bench.run(shocks)
    if not base.system_wide:
        raise ContagionError(f"{' '.join(map(str, shocks))}: is not system-wide on network {net.name}, so there is nothing to prevent")
    chosen = tuple(levers) or usual_levers(net)

    def reform(edit: str) -> tuple[Trial, float]:
        policy = Policy.from_texts([edit]).model_copy(update={"restore": restore})
        reformed, report = apply_policy(net, policy)
        funds = float(reformed.numbers("exchange", "insurance_fund").sum() - net.numbers("exchange", "insurance_fund").sum())
        cost = report.positions_cut_usd + report.counterparties_cut_usd + report.margin_added_usd + max(funds, 0.0)
        return Bench(compile_system(reformed, check=False), bench.settings, given).run(shocks), cost

    remedies = []
    for number, lever in enumerate(chosen):
        remedies.append(_turn(lever, reform))
        if progress is not None:
            progress(number + 1, len(chosen))
    remedies.sort(key=lambda remedy: (not remedy.edit, remedy.cost_usd, remedy.lever.rule))
    return Prevention(tuple(shocks), base, tuple(remedies))


def _turn(lever: Lever, reform: Callable[[str], tuple[Trial, float]]) -> Remedy:
    """The mildest harmless value of one lever."""
    tried: dict[float, tuple[Trial, float]] = {}

    def harmless(turn: float) -> bool:
        tried[turn] = reform(lever.edit(turn))
        return not tried[turn][0].system_wide

    try:
        acts, found = None, None
        for turn in np.linspace(0.0, 1.0, _SCAN + 1).tolist() if lever.measured else [1.0]:
            if harmless(turn):
                found = turn
                break
            acts = turn
        while found is not None and acts is not None and found - acts > _NARROW:
            middle = 0.5 * (acts + found)
            acts, found = (acts, middle) if harmless(middle) else (middle, found)
    except PolicyError as error:
        return Remedy(lever, "", "", math.nan, None, len(tried), str(error))
    if found is None:
        return Remedy(lever, "", lever.edit(1.0), math.nan, tried[1.0][0], len(tried))
    fails = "" if acts is None else lever.edit(acts)
    return Remedy(lever, lever.edit(found), fails, tried[found][1], tried[found][0], len(tried))

"""Comparison of policies: what each does to critical shocks, to losses over one sample of shocks, and to who bears them.

Every policy meets the same draws (common random numbers), so differences are taken draw by draw and their intervals are
those of paired differences. Policies hold from before the shock: what it takes to bring them into force stands beside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.errors import RunError
from contagion.policy import Policy, apply_policy
from contagion.search.critical import critical
from contagion.search.drivers import drivers_of, pick_drivers
from contagion.search.estimates import mean
from contagion.search.sample import sample
from contagion.search.trial import Bench, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from contagion.arrays import Floats
    from contagion.cascade import Cascade
    from contagion.policy import AdjustmentReport
    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.critical import CriticalShocks
    from contagion.search.estimates import Estimate
    from contagion.search.risk import Risk
    from contagion.search.sample import LossSample
    from contagion.settings import Settings
    from contagion.shocks import Shock
    from graphs.network import Network

TODAY: Final = "as it is"
"""Name of the network without a policy."""
SAMPLED: Final = 200
"""Draws, unless another number is asked for."""
BEARERS: Final = ("retail", "fund", "market_maker", "vault", "lender", "protocol", "exchange", "stablecoin")
"""Who can bear a loss: traders by role, exchanges with their funds, issuers."""


@dataclass(frozen=True)
class Reform:
    """The network under one policy.

    Attributes
    ----------
    name
        The policy's name; ``as it is`` without one.
    adjustment
        What it took to bring it into force, None without one.
    critical, losses
        Critical shocks of the drivers, and the sample of shocks.
    trial, bearers
        The named shock, and the USD that it costs each kind of bearer (their falls of equity); None and empty without one.
    """

    name: str
    adjustment: AdjustmentReport | None
    critical: CriticalShocks
    losses: LossSample
    trial: Trial | None
    bearers: dict[str, float]

    @property
    def cost_usd(self) -> float:
        """USD of positions cut on both sides, and of margin added, to bring it into force."""
        report = self.adjustment
        return 0.0 if report is None else report.positions_cut_usd + report.counterparties_cut_usd + report.margin_added_usd


@dataclass(frozen=True)
class Comparison:
    """Policies beside the network as it is, which comes first."""

    reforms: tuple[Reform, ...]
    shocks: tuple[Shock, ...]

    def difference(self, reform: Reform, column: str = "loss_usd") -> Estimate:
        """Mean of the paired differences to the network as it is, USD a draw; below zero is better."""
        base = self.reforms[0].losses.draws[column].to_numpy(dtype=np.float64)
        return mean(reform.losses.draws[column].to_numpy(dtype=np.float64) - base)

    def tables(self) -> dict[str, pd.DataFrame]:
        """``policies``, ``critical`` (a row a driver and policy), ``bearers`` (a row a policy and bearer)."""
        import pandas as pd

        return {
            "policies": pd.DataFrame(self._policies()),
            "critical": pd.DataFrame(self._critical()),
            "bearers": pd.DataFrame(self._bearers()),
        }

    def summary(self) -> dict[str, Any]:
        """A document of all tables."""
        return {
            "shock": [str(shock) for shock in self.shocks],
            "claim": f"losses sampled, {self.reforms[0].losses.n:,} common draws, 95 % intervals of paired differences",
            "policies": self._policies(),
            "critical": self._critical(),
            "bearers": self._bearers(),
        }

    def _policies(self) -> list[dict[str, Any]]:
        rows = []
        for reform in self.reforms:
            chance, change = reform.losses.probability, self.difference(reform)
            loss = reform.losses.draws["loss_usd"].to_numpy(dtype=np.float64)
            trial = reform.trial
            rows.append(
                {
                    "policy": reform.name,
                    "cost_usd": reform.cost_usd,
                    "accounts_restored": 0 if reform.adjustment is None else reform.adjustment.accounts,
                    "mean_loss_usd": float(loss.mean()),
                    "loss_95_usd": float(np.quantile(loss, 0.95)),
                    "change_usd": change.value,
                    "change_low_usd": change.low,
                    "change_high_usd": change.high,
                    "probability": chance.value,
                    "probability_low": chance.low,
                    "probability_high": chance.high,
                    "triggering_drivers": len(reform.critical.triggering),
                    "shock_conditions": "" if trial is None else trial.fired,
                    "shock_loss_usd": math.nan if trial is None else trial.loss,
                    "shock_liquidated_usd": math.nan if trial is None else trial.liquidated,
                    "shock_bad_debt_usd": math.nan if trial is None else trial.bad_debt_usd,
                }
            )
        return rows

    def _critical(self) -> list[dict[str, Any]]:
        return [
            {
                "driver": row.driver.key,
                "policy": reform.name,
                "shock": row.words,
                "size": row.size,
                "sigmas": row.sigmas,
                "triggers_by": row.fired,
                "claim": row.claim.word,
            }
            for reform in self.reforms
            for row in sorted(reform.critical.rows, key=lambda row: row.driver.key)
        ]

    def _bearers(self) -> list[dict[str, Any]]:
        return [{"policy": reform.name, "bearer": who, "loss_usd": usd} for reform in self.reforms for who, usd in reform.bearers.items()]


def compare(
    net: Network,
    policies: Sequence[Policy],
    *,
    risk: Risk,
    settings: Settings | None = None,
    given: Sequence[Shock] = (),
    shocks: Sequence[Shock] = (),
    keys: Sequence[str] = (),
    traders: int = 0,
    n: int = SAMPLED,
    seed: int = 0,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    watch: Callable[[str], Any] | None = None,
) -> Comparison:
    """Compare policies on a network.

    Parameters
    ----------
    shocks
        A named shock whose cost is split over its bearers; none leaves that out.
    keys
        Drivers whose critical shock is sought; none is all.
    traders
        How many large traders are drivers.
    n, seed
        Of the sample.

    Raises
    ------
    RunError
        If no policy is given, or two bear one name.
    PolicyError
        If one does not fit the network.

    Notes
    -----
    Costs, for each policy and for the network as it is, a compilation, the critical shocks of the drivers and 2n runs.
    """
    from contextlib import nullcontext

    names = [TODAY, *(policy.name for policy in policies)]
    if not policies or len(set(names)) < len(names):
        raise RunError("compare takes one policy or more, each with a name of its own; name a TOML file, or edits such as leverage_cap=20")
    reforms = []
    for name, policy in zip(names, (None, *policies), strict=True):
        reformed, adjustment = (net, None) if policy is None else apply_policy(net, policy)
        bench = Bench.of(reformed, settings, given)
        drivers = pick_drivers(drivers_of(bench.system, risk, traders=traders), keys)
        with (watch or (lambda _: nullcontext()))(f"{name}: critical shocks") as progress:
            found = critical(bench, drivers, plan=plan, ledger=ledger, progress=progress)
        with (watch or (lambda _: nullcontext()))(f"{name}: sample") as progress:
            losses = sample(
                bench, drivers_of(bench.system, risk, traders=traders), risk=risk, n=n, seed=seed, **_means(plan, ledger, progress)
            )
        trial, bearers = None, dict[str, float]()
        if shocks:
            bench.scenario(shocks).check(reformed)
            cascade = bench.cascade(shocks)
            trial, bearers = Trial.of(cascade), borne(reformed, cascade)
        reforms.append(Reform(name, adjustment, found, losses, trial, bearers))
    return Comparison(tuple(reforms), tuple(shocks))


def _means(plan: Plan | None, ledger: Ledger | None, progress: Progress | None) -> dict[str, Any]:
    return {"plan": plan, "ledger": ledger, "progress": progress}


def borne(net: Network, cascade: Cascade) -> dict[str, float]:
    """USD that equities fell by, summed by kind of bearer, gains of others not set off.

    Examples
    --------
    >>> from contagion.cascade import run
    >>> from contagion.scenario import Scenario
    >>> from graphs.toys import one_book_ladder
    >>> net = one_book_ladder()
    >>> sorted(borne(net, run(net, Scenario.from_shocks(["COIN=-5%"]))))
    ['exchange', 'retail']
    """
    nodes = cascade.prepared.system.nodes
    fall: Floats = np.maximum(cascade.outcome.initial.node_equity - cascade.outcome.state.node_equity, 0.0)
    order = np.argsort(net.strings("trader", "id").astype(str), kind="stable")
    role = net.strings("trader", "role")[order]
    found = {who: float(fall[: nodes.traders][role == who].sum()) for who in BEARERS[:6]}
    found |= {"exchange": float(fall[nodes.exchange0 :].sum()), "stablecoin": float(fall[nodes.stable0 : nodes.exchange0].sum())}
    return {who: usd for who, usd in found.items() if usd > 0}

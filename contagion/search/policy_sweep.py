"""One shock under a rule that is swept: what a larger haircut, a lower cap of leverage or a larger fund would have done.

Each value is a policy in force from before the shock, so that every point is another network: accounts that the rule leaves short of
initial margin are restored first, and what that took is part of the point. Otherwise a reform would look harmful because it
liquidates before anything has happened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from contagion.errors import PolicyError
from contagion.notation import format_number
from contagion.policy import Policy, apply_policy
from contagion.runtime.tasks import run_tasks
from contagion.search.trial import Bench, Trial, bench_of, context_of
from contagion.shocks import Shock

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from contagion.restoration import AdjustmentReport, Restore
    from contagion.runtime.ledger import Ledger
    from contagion.runtime.tasks import Progress
    from contagion.settings import Settings
    from contagion.system import System
    from graphs.network import Network

MOST_VALUES: Final = 1_000


@dataclass(frozen=True, slots=True)
class LeverPoint:
    """The shock under one value of the rule.

    Attributes
    ----------
    value
        Of the rule.
    trial
        What came of the shock.
    adjustment
        What it took to bring the rule into force.
    """

    value: float
    trial: Trial
    adjustment: AdjustmentReport

    @property
    def restored_usd(self) -> float:
        """USD of positions cut on both sides, or of cash added, so that nobody was short of initial margin."""
        report = self.adjustment
        return report.positions_cut_usd + report.counterparties_cut_usd + report.margin_added_usd


@dataclass(frozen=True)
class LeverCurve:
    """A shock under every value of a rule.

    Attributes
    ----------
    network
        Its name.
    lever
        The rule and where it holds, such as ``haircut:USDe``.
    shocks
        What happens, as texts.
    restore
        How accounts are restored.
    points
        In the order of the values.
    """

    network: str
    lever: str
    shocks: tuple[str, ...]
    restore: Restore
    points: tuple[LeverPoint, ...]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a value: the verdict, the values of the conditions, amounts, and what was restored."""
        import pandas as pd

        rows = []
        for point in self.points:
            trial, report = point.trial, point.adjustment
            rows.append(
                {
                    "severity": point.value,
                    "system_wide": trial.system_wide,
                    "triggers_by": trial.fired,
                    "induced": trial.induced,
                    "exchanges": trial.exchanges,
                    "peg": trial.peg,
                    "bad_debt": trial.bad_debt,
                    "liquidated_usd": trial.liquidated,
                    "bad_debt_usd": trial.bad_debt_usd,
                    "loss_usd": trial.loss,
                    "rounds": trial.rounds,
                    "settled": trial.settled,
                    "restored_accounts": report.accounts,
                    "positions_cut_usd": report.positions_cut_usd,
                    "counterparties_cut_usd": report.counterparties_cut_usd,
                    "margin_added_usd": report.margin_added_usd,
                }
            )
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, pd.DataFrame]:
        """``lever``, a row a value."""
        return {"lever": self.frame.rename(columns={"severity": "value"})}

    def summary(self) -> dict[str, Any]:
        """A document of the points; None for what is not there."""
        rows = self.tables()["lever"].to_dict("records")
        return {
            "network": self.network,
            "lever": self.lever,
            "shocks": list(self.shocks),
            "restore": self.restore,
            "claim": "sampled",
            "claim_words": f"{len(self.points)} values of the rule were run; what lies between two is not known",
            "points": [
                {str(name): None if isinstance(cell, float) and not math.isfinite(cell) else cell for name, cell in row.items()}
                for row in rows
            ],
        }


def sweep_policy(
    net: Network,
    shocks: Sequence[Shock],
    lever: str,
    values: Sequence[float],
    *,
    restore: Restore = "scale",
    settings: Settings | None = None,
    given: Sequence[Shock] = (),
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> LeverCurve:
    """Run one set of shocks under each value of a rule.

    Parameters
    ----------
    net
        Network before the rule.
    shocks
        They land at once.
    lever
        A rule that holds a number and where, without a value: ``haircut:USDe``, ``leverage_cap``, ``fund:Binance``.
    values
        Of the rule, in this order.
    restore
        How accounts that it leaves short are restored: ``scale`` cuts positions, ``margin`` adds cash.
    given
        Shocks that land with them.

    Raises
    ------
    PolicyError, ScenarioError
        If the rule cannot have a value, or the network lacks what is named.

    Notes
    -----
    Each value costs an edit of the network, its compilation, and a trial, one after the other in this process. No value between
    two is known: a rule may help and then harm.

    Examples
    --------
    >>> from contagion.shocks import parse_shock
    >>> from graphs.toys import two_exchange_stablecoin
    >>> curve = sweep_policy(two_exchange_stablecoin(), [parse_shock("BTC=-10%")], "haircut:USDX", [0.05, 0.3])
    >>> [(point.value, round(point.restored_usd)) for point in curve.points]
    [(0.05, 0), (0.3, 0)]
    """
    if not 0 < len(values) <= MOST_VALUES:
        raise PolicyError(f"{lever}: {len(values)} values cannot be swept; give 1 to {MOST_VALUES:,}")
    points: list[LeverPoint] = []
    documents = [shock.model_dump(exclude_defaults=True) for shock in shocks]
    if progress is not None:
        progress(0, len(values))
    for value in values:
        edit = f"{lever}={format_number(value)}"
        ruled, report = apply_policy(net, Policy.from_texts([edit, f"restore={restore}"], name=edit))
        bench = Bench.of(ruled, settings, given)
        bench.scenario(shocks).check(ruled)
        (answer,) = run_tasks(
            f"{__name__}:trial_of", [{"shocks": documents}], system=bench.system, context=context_of(bench, policy=edit), ledger=ledger
        )
        points.append(LeverPoint(float(value), Trial.from_json(answer), report))
        if progress is not None:
            progress(len(points), len(values))
    return LeverCurve(net.name, lever, tuple(map(str, (*given, *shocks))), restore, tuple(points))


def trial_of(system: System, context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """One trial: the task of a worker."""
    return bench_of(system, context).run([Shock.model_validate(shock) for shock in item["shocks"]]).to_json()

"""The ranking of nodes: what each one's fall does, how often it falls, and how central it is in the graph of exposures.

*Impact* runs the fall of a node alone: the default of an exchange or one of the largest traders, the default of a
stablecoin that loses a tenth of its peg, a fall of an asset by three standard deviations. It is measured by the loss of the
others. *Vulnerability* counts over one sample of joint shocks how often a node fails that the draw did not default (assets
do not fail). *Centrality* knows the exposures before any shock and no rule of any exchange. Where the ranks disagree, the
rules of the market matter and not the map alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.measures import gross_loss
from contagion.runtime.tasks import run_tasks
from contagion.search.drivers import LARGE_TRADERS, drivers_of
from contagion.search.exposures import exposures
from contagion.search.sample import finite, rows, sample, watched_nodes
from contagion.search.trial import Trial, bench_of, context_of
from contagion.search.vulnerability import kind_of
from contagion.shocks import Shock
from graphs.structure import centralities

if TYPE_CHECKING:
    import pandas as pd

    from contagion.arrays import Floats
    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.risk import Risk
    from contagion.search.sample import LossSample
    from contagion.search.trial import Bench
    from contagion.system import System

SIGMAS: Final = 3.0
"""Standard deviations by which an asset falls."""
PEG: Final = 0.9
"""Price over peg of a stablecoin that defaults."""
CENTRALITIES: Final = ("in_strength", "pagerank", "eigenvector", "katz", "betweenness")
"""Measures of the structure that are told."""
MAP: Final = "in_strength"
"""The one beside which ranks are read: what others have at stake with a node, in USD."""
_LEAST: Final = 3


@dataclass(frozen=True)
class NodeRanking:
    """Impact, vulnerability and centrality of the nodes that matter.

    Attributes
    ----------
    network, risk, runs
        Of which network, under which assumptions, and how many shocks were run for impact.
    nodes
        A row a node, those of the largest impact first: ``impact_usd`` (loss of the others), ``amplification``, verdict, failures over
        the sample, centralities, and ranks from 1 (equal ones share the mean): ``impact_rank``, ``vulnerability_rank``, a rank for
        each centrality, and ``gap`` = rank by exposure less rank by impact, positive where the map makes too little of a node.
    sampled
        The sample behind vulnerability.
    """

    network: str
    risk: Risk
    runs: int
    nodes: pd.DataFrame
    sampled: LossSample

    def agreement(self) -> pd.DataFrame:
        """Spearman's rank correlation of impact and vulnerability with each centrality, and with each other; NaN where one is constant."""
        import pandas as pd

        table = self.nodes
        found = [
            (name, spearman(table["impact_rank"], table[f"{name}_rank"]), spearman(table["vulnerability_rank"], table[f"{name}_rank"]))
            for name in CENTRALITIES
        ]
        with_each_other = spearman(table["impact_rank"], table["vulnerability_rank"])
        found.append(("vulnerability", with_each_other, float("nan")))
        return pd.DataFrame(found, columns=["measure", "with_impact", "with_vulnerability"])

    def disagreements(self, count: int = 3) -> pd.DataFrame:
        """Nodes whose ranks by impact and by exposure are furthest apart, as a ratio: a place counts for more at the top."""
        table = self.nodes.assign(apart=np.abs(np.log(self.nodes[f"{MAP}_rank"] / self.nodes["impact_rank"])))
        return table[table["apart"] > 0].sort_values(["apart", "impact_rank", "node"], ascending=[False, True, True]).head(count)

    @property
    def claim(self) -> str:
        """What the figures may claim."""
        return f"impact: {self.runs} single runs; vulnerability: {self.sampled.claim}; centrality: exact on the graph of exposures"

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables: nodes, agreement."""
        return {"nodes": self.nodes, "agreement": self.agreement()}

    def summary(self) -> dict[str, Any]:
        """What is told, as JSON can hold it."""
        return {
            "network": self.network,
            "risk": self.risk.model_dump(mode="json"),
            "draws": self.sampled.n,
            "seed": self.sampled.seed,
            "claim": self.claim,
            "nodes": rows(self.nodes),
            "agreement": rows(self.agreement()),
            "disagreements": [finite(name) for name in self.disagreements()["node"]],
        }


def rank(
    bench: Bench,
    *,
    risk: Risk,
    traders: int = LARGE_TRADERS,
    n: int = 1000,
    seed: int = 0,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> NodeRanking:
    """Rank exchanges, stablecoins, assets and the largest traders.

    Parameters
    ----------
    risk
        How drivers move.
    traders
        How many of the largest traders are ranked.
    n, seed
        Draws of the sample for vulnerability, and what keys them.

    Notes
    -----
    Costs two runs of the engine a node and a draw, and the centralities of the whole network (seconds for 100,000 nodes; betweenness is
    sampled beyond 2,000).

    Examples
    --------
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import interbank_ring
    >>> found = rank(Bench.of(interbank_ring(n=4)), risk=Risk(), n=20)
    >>> found.nodes["node"].tolist(), found.nodes["impact_rank"].tolist()
    (['Bank1', 'Bank2', 'Bank3', 'Bank4'], [2.5, 2.5, 2.5, 2.5])
    """
    system = bench.system
    drivers = drivers_of(system, risk, traders=traders)
    names = [*watched_nodes(system, traders), *system.coins.names[: system.nodes.assets]]
    falls = {driver.target: driver.shock(driver.size(SIGMAS)) for driver in drivers if driver.kind == "price"}
    pegged = set(system.coins.names[system.nodes.assets :])
    shocks = {name: [falls.get(name) or Shock(kind="default", target=name, value=1.0)] for name in names}
    for name in pegged & shocks.keys():
        shocks[name].append(Shock(kind="depeg", target=name, value=PEG))
    items = [{"node": name, "shocks": [shock.model_dump() for shock in stage]} for name, stage in shocks.items()]

    def both(done: int, _total: int) -> None:
        if progress is not None:
            progress(done, len(items) + n)

    def then(done: int, total: int) -> None:
        if progress is not None:
            progress(len(items) + n * done // total, len(items) + n)

    falling = run_tasks(f"{__name__}:fall", items, system=system, context=context_of(bench), plan=plan, ledger=ledger, progress=both)
    sampled = sample(bench, drivers, risk=risk, n=n, seed=seed, traders=traders, plan=plan, ledger=ledger, progress=then)
    nodes = _table(system, falling, sampled, seed)
    return NodeRanking(system.name, risk, len(items), nodes, sampled)


def fall(system: System, context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Let one node fall: a task of :func:`rank`."""
    bench = bench_of(system, context)
    shocks = [Shock.model_validate(shock) for shock in item["shocks"]]
    cascade = bench.cascade(shocks)
    outcome, plain = cascade.outcome, cascade.benchmark
    node = system.node(item["node"])
    trial = Trial.of(cascade)
    state = outcome.state
    lost = float(max(outcome.initial.node_equity[node] - state.node_equity[node], 0.0))
    loss, without = gross_loss(outcome), gross_loss(plain)
    down = (state.node_default >= 0) & ~state.named
    return {
        "node": item["node"],
        "shocks": ", ".join(str(shock) for shock in shocks),
        "impact_usd": loss - lost,
        "own_loss_usd": lost,
        "amplification": loss / without if without > 0 else None,
        "system_wide": trial.system_wide,
        "fired": trial.fired,
        "severity": trial.severity,
        "defaults": int(down.sum()),
        "liquidated_usd": trial.liquidated,
        "settled": trial.settled,
    }


def _table(system: System, falling: list[dict[str, Any]], sampled: LossSample, seed: int) -> pd.DataFrame:
    """All measures and ranks, the largest impact first."""
    import pandas as pd

    table = pd.DataFrame(falling)
    table["amplification"] = table["amplification"].astype(np.float64)
    places = system.nodes_of(table["node"].tolist())
    table.insert(1, "kind", [kind_of(system, node) for node in places.tolist()])
    seen = sampled.nodes[["node", "drawn", "failed", "liquidated", "probability", "probability_low", "probability_high", "mean_loss_share"]]
    table = table.merge(seen, on="node", how="left", validate="one_to_one")
    central = centralities(exposures(system), seed=seed)
    for name in CENTRALITIES:
        table[name] = central[name].to_numpy(dtype=np.float64)[places]
    table["impact_rank"] = ranks(table["impact_usd"].to_numpy())
    # Of those that fail equally often, the one that loses more of its equity is the more vulnerable.
    failed, share = table["probability"].to_numpy(), table["mean_loss_share"].fillna(-1.0).to_numpy()
    step = np.unique(failed[~np.isnan(failed)])
    gap = float(np.diff(step).min()) if step.size > 1 else 1.0
    scale = 1.0 + float(np.abs(share).max(initial=0.0))
    table["vulnerability_rank"] = ranks(np.asarray(failed + gap * 0.5 * share / scale, dtype=np.float64))
    for name in CENTRALITIES:
        table[f"{name}_rank"] = ranks(table[name].to_numpy())
    table["gap"] = table[f"{MAP}_rank"] - table["impact_rank"]
    return table.sort_values(["impact_usd", "node"], ascending=[False, True], ignore_index=True)


def ranks(values: Floats) -> Floats:
    """Ranks from 1 for the largest; equal ones share the mean; NaN has none. Values that agree to twelve digits are equal.

    Examples
    --------
    >>> ranks(np.array([5.0, 9.0, 5.0, np.nan, 1.0]))
    array([2.5, 1. , 2.5, nan, 4. ])
    """
    from scipy.stats import rankdata

    found = np.full(values.size, np.nan)
    there = ~np.isnan(values)
    found[there] = rankdata([-float(f"{value:.12g}") for value in values[there]])
    return found


def spearman(one: pd.Series[float], other: pd.Series[float]) -> float:
    """Rank correlation over the rows that have both; NaN where there are fewer than three or one is constant.

    Examples
    --------
    >>> import pandas as pd
    >>> spearman(pd.Series([1.0, 2.0, 3.0, None]), pd.Series([30.0, 20.0, 10.0, 40.0]))
    -1.0
    """
    both = one.notna() & other.notna()
    x, y = (ranks(np.asarray(series[both], dtype=np.float64)) for series in (one, other))
    if x.size < _LEAST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return round(float(np.corrcoef(x, y)[0, 1]), 12)

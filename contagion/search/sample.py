"""The sample: random joint shocks, the distribution of what they cost, and how likely a system-wide cascade is.

Draw i is the same whatever the network, its policy, or the workers (see :mod:`contagion.search.draws`), so samples of one
seed compare draw by draw. A stablecoin counts as named by the shock only in draws that by themselves take it, somewhere, more
than half of the way to the verdict's threshold (c): else the small change that every other draw makes would excuse any
cascade that breaks it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.errors import RunError
from contagion.runtime.tasks import run_tasks
from contagion.search.draws import Draws
from contagion.search.drivers import LARGE_TRADERS, large_traders
from contagion.search.estimates import Estimate, distribution, proportion
from contagion.search.trial import Trial, bench_of, context_of
from contagion.search.vulnerability import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from contagion.cascade import Cascade
    from contagion.runtime.ledger import Ledger
    from contagion.runtime.plan import Plan
    from contagion.runtime.tasks import Progress
    from contagion.search.drivers import Driver
    from contagion.search.risk import Risk
    from contagion.search.trial import Bench
    from contagion.shocks import Shock
    from contagion.system import System

BLOCK: Final = 50
"""Draws that a task makes."""
NAMING: Final = 0.5
"""Part of the way to the threshold of a peg beyond which a draw names the stablecoin."""
CONDITIONS: Final = ("a", "b", "c", "d")
MEASURES: Final = {
    "loss_usd": "loss",
    "feedback_loss_usd": "loss by feedback",
    "liquidated_usd": "liquidated",
    "bad_debt_usd": "bad debt",
}
"""Columns of the draws whose distribution is told, and what they are called."""
_RENAMED: Final = {"loss": "loss_usd", "loss_without_feedback": "loss_without_feedback_usd", "liquidated": "liquidated_usd"}


@dataclass(frozen=True)
class LossSample:
    """What came of a sample.

    Attributes
    ----------
    network, seed, drivers, risk
        Of which network, keyed by what, over how many drivers, and under which assumptions.
    draws
        A row a draw: ``draw``, the verdict's columns, ``loss_usd`` and what else is USD, ``jump_sigmas``, ``moves`` in words.
    nodes
        A row a watched node, see :class:`contagion.search.vulnerability.Watch`.
    """

    network: str
    seed: int
    drivers: int
    risk: Risk
    draws: pd.DataFrame
    nodes: pd.DataFrame

    @property
    def n(self) -> int:
        """Number of draws."""
        return len(self.draws)

    @property
    def probability(self) -> Estimate:
        """Of a system-wide cascade over the horizon."""
        return proportion(int(self.draws["system_wide"].sum()), self.n)

    @property
    def by_condition(self) -> dict[str, Estimate]:
        """Probability that each condition of the verdict holds."""
        fired = self.draws["fired"]
        return {key: proportion(int(fired.str.contains(key, regex=False).sum()), self.n) for key in CONDITIONS}

    @property
    def unsettled(self) -> int:
        """Draws whose run was cut off before its fixed point."""
        return int((~self.draws["settled"]).sum())

    @property
    def claim(self) -> str:
        """What the figures may claim."""
        return f"sampled, {self.n:,} draws, 95 % intervals"

    def percentiles(self) -> pd.DataFrame:
        """Distribution of each measure: statistic, value and expected shortfall with their intervals, USD."""
        import pandas as pd

        tables = []
        for column in MEASURES:
            floor = -math.inf if column == "feedback_loss_usd" else 0.0
            table = distribution(self.draws[column].to_numpy(dtype=np.float64), floor=floor)
            table.insert(0, "measure", column)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def worst(self, count: int = 5) -> pd.DataFrame:
        """The draws that cost most, the worst first, equal ones by their number."""
        return self.draws.sort_values(["loss_usd", "draw"], ascending=[False, True]).head(count)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables: draws, percentiles, nodes."""
        return {"draws": self.draws, "percentiles": self.percentiles(), "nodes": self.nodes}

    def summary(self) -> dict[str, Any]:
        """What is told, as JSON can hold it."""
        return {
            "network": self.network,
            "seed": self.seed,
            "draws": self.n,
            "drivers": self.drivers,
            "risk": self.risk.model_dump(mode="json"),
            "claim": self.claim,
            "unsettled": self.unsettled,
            "system_wide": told(self.probability),
            "conditions": {key: told(value) for key, value in self.by_condition.items()},
            "percentiles": rows(self.percentiles()),
            "nodes": rows(self.nodes),
            "worst": rows(self.worst()),
        }


def sample(
    bench: Bench,
    drivers: Sequence[Driver],
    *,
    risk: Risk,
    n: int = 10_000,
    seed: int = 0,
    traders: int = LARGE_TRADERS,
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> LossSample:
    """Draw joint shocks and run each.

    Parameters
    ----------
    drivers
        What is drawn; see :class:`contagion.search.draws.Draws` for what becomes of twins.
    risk
        How they move.
    n
        Number of draws. Draws of a smaller sample are the first of a larger one.
    seed
        Keys the draws.
    traders
        How many of the largest traders are watched, beside all exchanges and stablecoins.

    Raises
    ------
    RunError
        If there is nothing to draw.

    Notes
    -----
    Costs two runs of the engine a draw.

    Examples
    --------
    >>> from contagion.search.drivers import drivers_of
    >>> from contagion.search.risk import Risk
    >>> from contagion.search.trial import Bench
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder())
    >>> found = sample(bench, drivers_of(bench.system, Risk()), risk=Risk(), n=20)
    >>> found.n, found.probability.low < found.probability.value < found.probability.high
    (20, True)
    """
    import pandas as pd

    if n < 1:
        raise RunError(f"a sample of {n} draws says nothing; draw at least 1")
    system = bench.system
    draws = Draws.of(drivers, risk, system)
    watched = watched_nodes(system, traders)
    items = [{"first": first, "count": min(BLOCK, n - first)} for first in range(0, n, BLOCK)]
    context = context_of(bench, law=draws.to_json(), seed=seed, watched=watched)
    blocks = run_tasks(f"{__name__}:draw_block", items, system=system, context=context, plan=plan, ledger=ledger, progress=progress)
    columns = {name: [value for block in blocks for value in block["draws"][name]] for name in blocks[0]["draws"]}
    table = pd.DataFrame({"draw": np.arange(n), **{_RENAMED.get(name, name): values for name, values in columns.items()}})
    table["feedback_loss_usd"] = table["loss_usd"] - table["loss_without_feedback_usd"]
    watch = Watch.of(system, watched)
    watch.add(block["nodes"] for block in blocks)
    nodes = watch.frame(n, bench.cascade(()).outcome.initial.node_equity)
    return LossSample(system.name, seed, len(draws.joint.drivers) + len(draws.events), risk, table, nodes)


def draw_block(system: System, context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Run the draws from ``first`` on, ``count`` of them: the task of :func:`sample`."""
    bench, law = bench_of(system, context), Draws.from_json(context["law"], system)
    moves = law.unfold(law.normals(context["seed"], item["first"], item["count"]))
    watch = Watch.of(system, context["watched"])
    found = []
    for row in range(item["count"]):
        cascade = run_draw(bench, law.shocks(moves, row))
        watch.see(cascade)
        found.append({**Trial.of(cascade).to_json(), "jump_sigmas": float(moves.jump[row]), "moves": law.words(moves, row)})
    return {"draws": {name: [row[name] for row in found] for name in found[0]}, "nodes": watch.to_json()}


def run_draw(bench: Bench, shocks: Sequence[Shock]) -> Cascade:
    """Run a draw; the scenario of the result holds only those of its shocks that name whom they hit."""
    cascade = bench.cascade(shocks)
    factor = drawn_pegs(shocks)
    limit = 1.0 - NAMING * (1.0 - bench.settings.system_wide.depeg)
    naming = [shock for shock in shocks if shock.kind != "depeg" or factor[shock.target] < limit]
    if len(naming) == len(shocks):
        return cascade
    return replace(cascade, prepared=replace(cascade.prepared, scenario=bench.scenario(naming)))


def drawn_pegs(shocks: Sequence[Shock]) -> dict[str, float]:
    """Price over peg to which a draw takes each stablecoin that it hits, where it takes it lowest.

    Examples
    --------
    >>> from contagion.shocks import parse_shock
    >>> drawn_pegs([parse_shock("depeg:USDe=0.9"), parse_shock("depeg:USDe@OKX=0.8"), parse_shock("depeg:USDe@HTX=0.5")])
    {'USDe': 0.45}
    """
    everywhere: dict[str, float] = {}
    lowest: dict[str, float] = {}
    for shock in shocks:
        if shock.kind == "depeg" and not shock.exchange:
            everywhere[shock.target] = shock.value
        if shock.kind == "depeg":
            lowest[shock.target] = min(shock.value if shock.exchange else 1.0, lowest.get(shock.target, 1.0))
    return {coin: value * everywhere.get(coin, 1.0) for coin, value in lowest.items()}


def watched_nodes(system: System, traders: int = LARGE_TRADERS) -> list[str]:
    """Exchanges, stablecoins and the largest traders of a network.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from graphs.toys import two_exchange_stablecoin
    >>> watched_nodes(compile_system(two_exchange_stablecoin()), traders=1)
    ['Deep', 'Thin', 'USDX', 'Short']
    """
    nodes = system.nodes
    coins = system.coins.names[nodes.assets : nodes.assets + nodes.stablecoins]
    return [*system.exchanges.names, *coins, *(name for name, _ in large_traders(system, traders))]


def told(estimate: Estimate) -> dict[str, float | None]:
    """An estimate as JSON can hold it."""
    return {name: finite(getattr(estimate, name)) for name in ("value", "low", "high")}


def finite(value: Any) -> Any:  # noqa: ANN401 - any cell
    """A cell as JSON can hold it: None for what is no number."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as JSON can hold them."""
    return [{str(name): finite(value) for name, value in row.items()} for row in table.to_dict("records")]

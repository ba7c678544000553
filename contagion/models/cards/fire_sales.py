"""Deleveraging and vulnerable banks on the command line."""

from __future__ import annotations

import numpy as np

from contagion.models.card import Card, Found, Inputs, Option, Vector, never
from contagion.models.from_network import holdings


def run_deleveraging(inputs: Inputs) -> Found:
    """Let banks above their limit sell until none is."""
    import pandas as pd

    from contagion.models.fire_sales import deleverage

    options = inputs.options
    target = inputs.optional("leverage_target")
    limit: object = inputs.vectors["leverage_limit"]
    done = deleverage(
        inputs.table,
        inputs.numbers("capital"),
        inputs.numbers("depth"),
        inputs.numbers("shock"),
        illiquid=inputs.optional("illiquid"),
        illiquid_shock=inputs.optional("illiquid_shock"),
        cash=inputs.numbers("cash"),
        leverage_limit=limit,
        leverage_target=target,
        default_leverage=inputs.numbers("default_leverage"),
        impact=options["impact"],
        floor=options["floor"],
        order=options["order"],
        execution=options["execution"],
        proceeds=options["proceeds"],
        max_rounds=options["max_rounds"],
    )
    figures = {
        "rounds": done.rounds,
        "settled": done.settled,
        "residual": done.residual,
        "defaults": int(done.defaulted.sum()),
        "loss": float(done.loss.sum()),
        "shock_loss": float(done.shock_loss.sum()),
        "price": dict(zip(map(str, done.assets), done.price.tolist(), strict=True))
        if len(done.assets) <= MOST_PRICES
        else float(done.price.min()),
    }
    frame = pd.DataFrame(
        {
            "node": done.banks,
            "capital": done.capital,
            "loss": done.loss,
            "sold": 1.0 - done.kept,
            "leverage": done.leverage,
            "defaulted": done.defaulted,
            "default_round": never(done.default_round),
        }
    )
    return Found(figures, frame)


def run_vulnerable(inputs: Inputs) -> Found:
    """Measure one round of leverage targeting."""
    import pandas as pd

    from contagion.models.fire_sales import vulnerable_banks

    done = vulnerable_banks(
        inputs.table,
        inputs.numbers("capital"),
        inputs.numbers("depth"),
        inputs.numbers("shock"),
        debt_ratio=inputs.optional("debt_ratio"),
        capped=inputs.options["capped"],
    )
    worst = done.spillovers.top(inputs.options["top"])
    figures = {
        "aggregate_vulnerability": done.aggregate_vulnerability,
        "residual": done.residual,
        "hits": [f"{row.column} -> {row.row}: {row.value:.6g}" for row in worst.itertuples(index=False)],
    }
    frame = pd.DataFrame(
        {
            "node": done.banks,
            "systemicness": done.systemicness,
            "direct_vulnerability": done.direct_vulnerability,
            "indirect_vulnerability": done.indirect_vulnerability,
            "sales": done.sales,
            "indirect_loss": done.indirect_loss,
        }
    )
    return Found(figures, frame)


MOST_PRICES = 20
"""Assets up to which a summary gives the price of each, and not only the lowest."""

CAPITAL = Vector("capital", "assets less debt")
DEPTH = Vector("depth", "sale that would take the whole price at the initial slope: 100 times what moves it 1 %", over="columns")
SHOCK = Vector("shock", "fall of the asset's price, as a fraction", over="columns", default=0.0, starts=True)

CARD = (
    Card(
        name="cont_schaanning",
        title="Deleveraging",
        equation="a bank with assets over capital above its limit sells the share min(1, (assets - target * capital) / holdings) of "
        "everything; prices fall by (1 - B/S)(1 - exp(-q/delta)), delta = (1 - B) depth; proceeds repay debt; until no bank is above",
        source="Cont and Schaanning 2017",
        shape="holdings",
        run=run_deleveraging,
        vectors=(
            CAPITAL,
            Vector("illiquid", "assets that it cannot sell", default=0.0),
            Vector("illiquid_shock", "fraction of these that the shock takes", default=0.0, starts=True),
            Vector("cash", "repays before it sells", default=0.0),
            Vector("leverage_limit", "sells above; or own: its leverage before the shock", default=100.0 / 3.0, words=("own",)),
            Vector("leverage_target", "sells down to; 0.95 of the limit unless given", default=1.0, whole=True),
            Vector("default_leverage", "in default above", default=np.inf),
            DEPTH,
            SHOCK,
        ),
        options=(
            Option("impact", "exponential", "form of the price impact", ("exponential", "linear")),
            Option("floor", 0.5, "price below which sales do not push, of the price before"),
            Option("order", "value", "whether a sale moves prices by its value or its units", ("value", "units")),
            Option("execution", 0.5, "share of a round's fall that a seller bears"),
            Option("proceeds", "repay", "what proceeds do at once", ("repay", "keep")),
            Option("max_rounds", 10_000, "stop there, and say so"),
        ),
        from_network=holdings,
    ),
    Card(
        name="vulnerable_banks",
        title="Vulnerable banks",
        equation="a bank sells debt/capital times what the shock takes of its assets, pro rata; each price falls by sales/depth; what all "
        "lose by it over all capital is the aggregate vulnerability",
        source="Greenwood, Landier and Thesmar 2015",
        shape="holdings",
        run=run_vulnerable,
        vectors=(
            CAPITAL,
            Vector("debt_ratio", "debt over capital that it returns to; its own unless given", default=0.0, whole=True),
            DEPTH,
            SHOCK,
        ),
        options=(
            Option("capped", default=False, doc="whether a bank sells at most what it has"),
            Option("top", 10, "how many of the largest hits between two banks to list"),
        ),
        from_network=holdings,
    ),
)

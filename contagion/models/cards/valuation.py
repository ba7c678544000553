"""The valuation frame on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contagion.models.card import Card, Found, Inputs, Option, Vector
from contagion.models.from_network import liabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _rule(options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - one of several instances of the frame
    from contagion.models import valuations

    seniority = options["seniority"]
    rules: dict[str, Callable[[], Any]] = {
        "eisenberg_noe": lambda: valuations.EisenbergNoe(seniority),
        "rogers_veraart": lambda: valuations.RogersVeraart(options["alpha"], options["beta"], seniority),
        "furfine": lambda: valuations.Furfine(options["recovery"]),
        "linear_debtrank": valuations.LinearDebtRank,
        "nonlinear_debtrank": lambda: valuations.NonlinearDebtRank(options["a"]),
        "ex_ante": lambda: valuations.ExAnte(options["volatility"], options["maturity"], options["beta"], seniority),
    }
    return rules[options["rule"]]()


def run(inputs: Inputs) -> Found:
    """Value every claim by one rule after a loss of external assets."""
    import pandas as pd

    from contagion.models.sheets import BalanceSheets
    from contagion.models.valuation import solve

    sheets = BalanceSheets.of(inputs.table, inputs.numbers("external_assets"), inputs.numbers("external_liabilities"))
    after = sheets.after(inputs.numbers("loss"))
    result = solve(after, _rule(inputs.options))
    frame = pd.DataFrame(
        {
            "node": inputs.labels,
            "book_equity": sheets.book_equity,
            "equity": result.equity,
            "value": result.values,  # noqa: PD011 a solution, not a frame
            "defaulted": result.defaulted,
        }
    )
    figures = {
        "defaults": int(result.defaulted.sum()),
        "loss": float((sheets.book_equity - result.equity).sum()),
        "residual": result.residual,
        "rounds": result.rounds,
        "solves": result.solves,
    }
    return Found(figures, frame)


RULES = ("eisenberg_noe", "rogers_veraart", "furfine", "linear_debtrank", "nonlinear_debtrank", "ex_ante")

CARD = Card(
    name="valuation",
    title="Network valuation (NEVA)",
    equation="equity_i = external assets - external liabilities + sum over j of what j owes i times V_j(equity_j) - what i owes; "
    "V is the rule, and the greatest solution is meant",
    source="Barucca et al. 2020",
    shape="liabilities",
    run=run,
    vectors=(
        Vector("external_assets", "what a node owns outside the network, before the loss"),
        Vector("external_liabilities", "what it owes outside", default=0.0),
        Vector("loss", "what the shock takes of its external assets", default=0.0, starts=True),
    ),
    options=(
        Option("rule", "eisenberg_noe", "what a claim is worth given its debtor's equity", RULES),
        Option("alpha", 1.0, "rogers_veraart: share of external assets that default leaves"),
        Option("beta", 1.0, "rogers_veraart: share of claims that default leaves; ex_ante: of everything"),
        Option("recovery", 0.0, "furfine: share of a claim on an insolvent debtor that is paid"),
        Option("a", 0.0, "nonlinear_debtrank: curvature"),
        Option("volatility", 0.2, "ex_ante: of external assets, a year"),
        Option("maturity", 1.0, "ex_ante: years until debts fall due"),
        Option("seniority", "pari_passu", "rank of what is owed outside", ("pari_passu", "external_senior")),
    ),
    from_network=liabilities,
)

"""Headline figures of a cascade: the few numbers by which two runs are compared.

Dollars are those of the trade, see :mod:`contagion.record`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from contagion.journal import FORCED, Flow
from contagion.record import Record

if TYPE_CHECKING:
    from contagion.cascade import Cascade

LARGEST_MARKETS = 3
"""Coins whose fall is a headline, by open interest."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit: ``usd``, ``share``, or ``count``."""

    key: str
    what: str
    value: float
    unit: Literal["usd", "share", "count"]


def headline(cascade: Cascade) -> tuple[Figure, ...]:
    """Figures in the order in which they are read.

    Examples
    --------
    >>> from contagion.cascade import run
    >>> from contagion.scenario import Scenario
    >>> from graphs.toys import one_book_ladder
    >>> [figure.key for figure in headline(run(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"])))][:3]
    ['system_wide', 'induced', 'liquidated']
    """
    record, verdict = Record(cascade), cascade.verdict
    forced, exchanges = record.usd(*FORCED), cascade.exchanges
    figures = [
        Figure("system_wide", "conditions that hold", sum(condition.fired for condition in verdict.conditions), "count"),
        Figure("induced", "induced liquidation", verdict.conditions[0].value, "share"),
        Figure("liquidated", "liquidated", float(forced.sum()), "usd"),
        *(
            Figure(f"liquidated.{name}", f"liquidated, {name}", amount, "usd")
            for name, amount in zip(record.system.exchanges.names, record.by_exchange(forced).tolist(), strict=True)
            if len(record.system.exchanges.names) > 1
        ),
        Figure("adl", "auto-deleveraged", float(record.usd(Flow.ADL).sum()), "usd"),
        Figure("bad_debt", "bad debt", verdict.bad_debt, "usd"),
        Figure("funds_used", "funds used", float((exchanges["fund_start_usd"] - exchanges["fund_end_usd"]).sum()), "usd"),
        Figure("interest_end", "open interest, end", float(record.interest(end=True).sum()), "usd"),
        Figure("loss", "loss", verdict.loss, "usd"),
        Figure("exchange_defaults", "exchanges in default", float((cascade.outcome.state.exchange_default >= 0).sum()), "count"),
    ]
    return (*figures, *_falls(record), *_pegs(cascade))


def _falls(record: Record) -> list[Figure]:
    """Deepest fall of the largest coins on any book."""
    interest = record.by_coin(record.interest())
    names = np.array(record.system.coins.names)
    largest = np.lexsort((names, -interest))[:LARGEST_MARKETS]
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = record.path.min(axis=0) / record.start - 1.0 if record.start.size else record.start
    figures = []
    for coin in largest[interest[largest] > 0]:
        deepest = float(np.nanmin(fall[record.system.markets.coin == coin]))
        figures.append(Figure(f"fall.{names[coin]}", f"fall of {names[coin]}", deepest, "share"))
    return figures


def _pegs(cascade: Cascade) -> list[Figure]:
    coins = cascade.coins[cascade.coins["peg"].notna()]
    rows = coins[["coin", "price_low", "peg"]].to_dict("records")
    return [
        Figure(f"depeg.{row['coin']}", f"{row['coin']} off its peg", float(row["price_low"] / row["peg"] - 1.0), "share") for row in rows
    ]

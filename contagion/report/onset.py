"""Onset: from which round on each condition of a system-wide cascade held until the end.

The conditions are judged at the fixed point, so a peg that broke and came back has no onset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.cascade import closed_usd
from contagion.journal import FORCED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contagion.cascade import Cascade
    from contagion.measures import Condition
    from contagion.record import Record

    Flags = NDArray[np.bool_]


def onset(record: Record, condition: Condition) -> int | None:
    """Round from which on a condition held, None if it does not hold at the end.

    Examples
    --------
    >>> from contagion.cascade import run
    >>> from contagion.record import Record
    >>> from contagion.scenario import Scenario
    >>> from graphs.toys import one_book_ladder
    >>> cascade = run(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"]))
    >>> [onset(Record(cascade), condition) for condition in cascade.verdict.conditions]
    [None, None, None, 0]
    """
    if not condition.fired:
        return None
    held = {"a": _induced, "b": _defaulted, "c": _off_peg, "d": _indebted}[condition.key](record, condition)
    broken = np.flatnonzero(~held)
    return int(broken[-1]) + 1 if broken.size else 0


def _induced(record: Record, condition: Condition) -> Flags:
    """Liquidated so far, less all that the benchmark liquidates, at the network's prices."""
    cascade, start = record.cascade, record.start
    by_round = np.zeros(record.rounds)
    for kind in FORCED:
        for when, units in cascade.outcome.state.journal.units[kind]:
            by_round[when] += float((units * start).sum())
    total, plain = float(cascade.open_interest().sum()), float(closed_usd(cascade.benchmark, *FORCED).sum())
    # the verdict sums in another order, so what is reached at the very end may fall short of it by a rounding
    return np.asarray(by_round.cumsum() - plain >= condition.threshold * total * (1 - 1e-12))


def _defaulted(record: Record, condition: Condition) -> Flags:
    cascade = record.cascade
    state, first = cascade.outcome.state, cascade.prepared.system.nodes.exchange0
    failed = np.sort(state.exchange_default[(state.exchange_default >= 0) & ~state.named[first:]])
    return np.asarray(np.arange(record.rounds) >= failed[int(condition.threshold) - 1])


def _off_peg(record: Record, condition: Condition) -> Flags:
    """Any of those that end below the threshold was below it."""
    coins = record.system.coins
    broken = [coins.names.index(name) for name in condition.who]
    ratio = record.cascade.path("coin_price")[:, broken] / coins.peg[broken]
    return np.asarray((ratio < condition.threshold)[: record.rounds].any(axis=1))


def _indebted(record: Record, condition: Condition) -> Flags:
    funds = float(record.system.exchanges.insurance_fund.sum())
    debt = record.amount_by_round("bad_debt", "adl_deficit").cumsum()
    return np.asarray(debt > condition.threshold * funds * (1 - 1e-12))


def first_onset(cascade: Cascade, record: Record) -> tuple[Condition, int] | None:
    """The condition that held first, and from which round on; None if none does."""
    found = [(when, condition.key, condition) for condition in cascade.verdict.conditions if (when := onset(record, condition)) is not None]
    return None if not found else (min(found)[2], min(found)[0])

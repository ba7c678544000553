"""The summary of an answer: what the printed table, the JSON output and the run directory say, each of them from here.

A plain mapping of names to texts, numbers, lists and mappings; dollars of closes are those of the trade.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contagion.journal import FORCED, Flow
from contagion.record import Record
from contagion.report.facts import compare
from contagion.report.onset import first_onset, onset
from contagion.shocks import format_shock

if TYPE_CHECKING:
    from contagion.cascade import Cascade
    from contagion.job import Answer

REASONS: Final = {
    "settled": "settled: nothing moves any more",
    "clock": "the clock ran out",
    "waiting": "orders wait in closed markets",
    "max_rounds": "the round limit was reached before it settled",
}

Json = dict[str, Any]


def summarise(answer: Answer) -> Json:
    """Everything that is said about an answer.

    Examples
    --------
    >>> from contagion.job import Job, carry_out
    >>> said = summarise(carry_out(Job.of("interbank_ring", shocks=["loss:Bank1=10"])))
    >>> said["run"]["reason"], said["stablecoins"]
    ('settled', [])
    """
    cascade, record = answer.cascade, Record(answer.cascade)
    return {
        "run": _run(answer, record),
        "verdict": claimed(answer),
        "trigger": _trigger(cascade, record),
        "policy": _policy(answer),
        "exchanges": _exchanges(record),
        "assets": _assets(record),
        "stablecoins": _stablecoins(record),
        "defaults": _defaults(cascade),
        "losses": _losses(cascade),
        "half_step": half_step(answer),
        "facts": [asdict(fact) for fact in compare(answer)],
    }


def claimed(answer: Answer) -> Json:
    """What the answer claims: the verdict, and how the run came to its end."""
    verdict, record = answer.cascade.verdict, Record(answer.cascade)
    multiplier = verdict.multiplier
    return {
        "sentence": verdict.sentence,
        "system_wide": verdict.system_wide,
        "settled": verdict.settled,
        "reason": verdict.reason,
        "rounds": verdict.rounds,
        "residual": verdict.residual,
        "conditions": [{**asdict(condition), "onset": _when(answer.cascade, onset(record, condition))} for condition in verdict.conditions],
        "loss": verdict.loss,
        "loss_without_feedback": verdict.loss_without_feedback,
        "amplification": verdict.amplification,
        "nodes_reached": verdict.nodes_reached,
        "nodes": record.system.nodes.count,
        "exchanges_reached": verdict.exchanges_reached,
        "bad_debt": verdict.bad_debt,
        "multiplier": None if multiplier is None else {**asdict(multiplier), "when": _when(answer.cascade, multiplier.round)},
        "audit": _audit(answer.cascade),
    }


def _audit(cascade: Cascade) -> Json | None:
    """Largest relative residual of each identity, None where they were not checked."""
    audit = cascade.outcome.audit
    return None if audit is None else {"rounds": int(audit.rounds), "worst": {name: float(worst) for name, worst in audit.worst.items()}}


def half_step(answer: Answer) -> Json:
    """What half the step says."""
    found = answer.resolution
    if found is None:
        clock = answer.cascade.prepared.scenario.clock
        return {"run": False, "why": "left out as asked" if clock else "there is no clock, so the step has no length"}
    rows = found.frame().to_dict("records")
    wide = None if answer.half is None else answer.half.verdict.system_wide
    return {"run": True, "resolved": found.resolved, "system_wide": wide, "round_seconds": found.round_seconds, "figures": rows}


def _run(answer: Answer, record: Record) -> Json:
    scenario, system, job = answer.cascade.prepared.scenario, record.system, answer.job
    return {
        "network": job.network,
        "options": dict(job.options),
        "as_of": answer.net.as_of,
        "scenario": scenario.name,
        "policy": bool(job.policy),
        "accounts": int(system.accounts.count),
        "traders": int(system.nodes.traders),
        "open_interest": float(record.interest().sum()),
        "open_interest_end": float(record.interest(end=True).sum()),
        "round_seconds": scenario.clock.round_seconds if scenario.clock else None,
        "end": answer.cascade.time_of(record.rounds),
        "reason": answer.cascade.outcome.reason,
        "why": REASONS[answer.cascade.outcome.reason],
    }


def _when(cascade: Cascade, when: int | None) -> Json | None:
    return None if when is None else {"round": int(when), "time": cascade.time_of(int(when))}


def _trigger(cascade: Cascade, record: Record) -> Json:
    scenario, events = cascade.prepared.scenario, cascade.events
    came = [{"round": int(row["round"]), "time": row["time"]} for row in events[events["event"] == "stage"].to_dict("records")]
    stages = [
        {
            "name": stage.name or f"stage {place + 1}",
            "shocks": [format_shock(shock) for shock in stage.shocks],
            "entries": len(stage.enter),
            "when": came[place] if place < len(came) else None,
        }
        for place, stage in enumerate(scenario.stages)
    ]
    first = first_onset(cascade, record)
    liquidated = np.flatnonzero(record.usd_by_round(*FORCED) > 0)
    return {
        "stages": stages,
        "first": None if first is None else {"key": first[0].key, "name": first[0].name, **(_when(cascade, first[1]) or {})},
        "first_liquidation": _when(cascade, int(liquidated[0])) if liquidated.size else None,
    }


def _policy(answer: Answer) -> Json | None:
    adjustment = answer.adjustment
    if adjustment is None:
        return None
    return {
        "text": answer.job.policy,
        "restore": adjustment.restore,
        "accounts": adjustment.accounts,
        "positions_cut_usd": adjustment.positions_cut_usd,
        "counterparties_cut_usd": adjustment.counterparties_cut_usd,
        "margin_added_usd": adjustment.margin_added_usd,
        "exchanges": adjustment.frame().to_dict("records"),
    }


def _exchanges(record: Record) -> list[Json]:
    """One row an exchange, the largest open interest first."""
    table = record.cascade.exchanges
    columns = {
        "interest_start": record.by_exchange(record.interest()),
        "interest_end": record.by_exchange(record.interest(end=True)),
        "liquidated": record.by_exchange(record.usd(*FORCED)),
        "liquidated_long": record.by_exchange(record.longs(*FORCED)),
        "adl": record.by_exchange(record.usd(Flow.ADL)),
        "stopped": record.by_exchange(record.usd(Flow.STOP)),
        "bad_debt": table["bad_debt_usd"].to_numpy(float),
        "fund_start": table["fund_start_usd"].to_numpy(float),
        "fund_end": table["fund_end_usd"].to_numpy(float),
        "house_paid": table["house_paid_usd"].to_numpy(float),
        "socialised": table["socialised_usd"].to_numpy(float),
    }
    rows = [
        {
            "exchange": name,
            **{column: float(values[place]) for column, values in columns.items()},
            "default": _when(record.cascade, _maybe(record.cascade.outcome.state.exchange_default[place])),
        }
        for place, name in enumerate(record.system.exchanges.names)
    ]
    return sorted(rows, key=lambda row: (-row["interest_start"], row["exchange"]))


def _maybe(when: int) -> int | None:
    return None if when < 0 else int(when)


def _assets(record: Record) -> list[Json]:
    """One row a coin that is no stablecoin, the most liquidated first: prices on the book that fell deepest."""
    system, path = record.system, record.path
    if not record.start.size:
        return []
    liquidated, longs = record.by_coin(record.usd(*FORCED)), record.by_coin(record.longs(*FORCED))
    interest, fall = record.by_coin(record.interest()), path.min(axis=0) / record.start
    rows = []
    for coin in range(system.nodes.assets):
        books = np.flatnonzero(system.markets.coin == coin)
        if not books.size:
            continue
        worst = int(books[np.argmin(fall[books])])
        exchange, _, instrument = system.market_name(worst)
        rows.append(
            {
                "asset": system.coins.names[coin],
                "liquidated": float(liquidated[coin]),
                "liquidated_long": float(longs[coin]),
                "interest_start": float(interest[coin]),
                "exchange": exchange,
                "instrument": instrument,
                "start": float(record.start[worst]),
                "low": float(path[:, worst].min()),
                "end": float(path[-1, worst]),
                "low_at": _when(record.cascade, int(path[:, worst].argmin())),
            }
        )
    return sorted(rows, key=lambda row: (-row["liquidated"], -row["interest_start"], row["low"] / row["start"], row["asset"]))


def _stablecoins(record: Record) -> list[Json]:
    """One row a stablecoin, the lowest index first: its index, and the book that fell deepest."""
    system, path, state = record.system, record.path, record.cascade.outcome.state
    index = record.cascade.path("coin_price")
    rows = []
    for coin in range(system.nodes.assets, system.nodes.assets + system.nodes.stablecoins):
        books = np.flatnonzero(system.markets.coin == coin)
        venue = None
        if books.size:
            worst = int(books[np.argmin(path[:, books].min(axis=0))])
            low = int(path[:, worst].argmin())
            exchange, _, instrument = system.market_name(worst)
            at = {"exchange": exchange, "instrument": instrument, "low": float(path[low, worst]), "when": _when(record.cascade, low)}
            venue = {**at, "end": float(path[-1, worst])}
        low = int(index[:, coin].argmin())
        rows.append(
            {
                "coin": system.coins.names[coin],
                "peg": float(system.coins.peg[coin]),
                "index_low": float(index[low, coin]),
                "index_low_at": _when(record.cascade, low),
                "index_end": float(index[-1, coin]),
                "lowest": venue,
                "supply_start": float(system.coins.supply[coin]),
                "supply_end": float(state.supply[coin]),
                "redemption_value": float(state.redemption_value[coin]),
            }
        )
    return sorted(rows, key=lambda row: (row["index_low"] / row["peg"], row["coin"]))


def _defaults(cascade: Cascade) -> list[Json]:
    """Nodes that defaulted, in order of time; those that the shock named are marked."""
    events = cascade.events
    about = cascade.nodes[["node", "kind", "named_by_shock"]]
    found = events[events["event"] == "default"][["round", "time", "node"]].merge(about, on="node").sort_values(["round", "node"])
    return [{str(name): value for name, value in row.items()} for row in found.to_dict("records")]


def _losses(cascade: Cascade) -> list[Json]:
    """The ten largest losses."""
    table = cascade.nodes.sort_values(["loss_usd", "node"], ascending=[False, True]).head(10)
    table = table[table["loss_usd"] > 0]
    return [
        {"node": row["node"], "kind": row["kind"], "loss": row["loss_usd"], "start": row["equity_start_usd"]}
        for row in table.to_dict("records")
    ]


def finite(value: object) -> object:
    """The same with None for every number that JSON does not know.

    Examples
    --------
    >>> finite({"a": [float("nan"), 1.5]})
    {'a': [None, 1.5]}
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def to_json(said: object) -> str:
    """JSON text with keys in order, so that it is the same whatever the order of the work."""
    import json

    return json.dumps(finite(said), indent=2, ensure_ascii=False, sort_keys=True, allow_nan=False)

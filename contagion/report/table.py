"""The table of ten seconds: verdict, trigger, who lost what where, prices, stablecoins, and the real day beside it.

It is laid out from a summary alone, see :mod:`contagion.report.summary`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from contagion.report.day_table import add_facts
from contagion.report.page import LABEL, Page, fit, moment, percent, quote, three, usd, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.report.page import Segment

    Json = dict[str, Any]

MOST_ROWS: Final = 12
MOST_ASSETS: Final = 8
MOST_STAGES: Final = 6
BAD, GOOD, WARN, QUIET, HEAD = "bold red", "green", "yellow", "dim", "bold"


def lay_out(said: Json) -> Page:
    """Page of a summary."""
    page = Page()
    _verdict(page, said)
    _why(page, said)
    _exchanges(page, said["exchanges"])
    _assets(page, said["assets"])
    _stablecoins(page, said["stablecoins"])
    _defaults(page, said)
    _half_step(page, said["half_step"])
    add_facts(page, said["facts"])
    return page


def _verdict(page: Page, said: Json) -> None:
    verdict, half = said["verdict"], said["half_step"]
    page.paragraph("Verdict", verdict["sentence"], BAD if verdict["system_wide"] else GOOD)
    if half["run"] and not half["resolved"]:
        off = sum(not row["resolved"] for row in half["figures"])
        text = f"{off} of {len(half['figures'])} figures differ by over 10 %, see below."
        if half["system_wide"] != verdict["system_wide"]:
            text = f"the run is {'' if half['system_wide'] else 'not '}system-wide, and {text}"
        page.paragraph("", f"UNRESOLVED in time: at half the step {text}", WARN)
    page.paragraph("Run", _run_line(said))
    if said["policy"]:
        page.paragraph("Policy", _policy_line(said["policy"]))


def _run_line(said: Json) -> str:
    run, verdict = said["run"], said["verdict"]
    options = ", ".join(f"{name} {value}" if name == "seed" else f"{value:,} {name}" for name, value in run["options"].items())
    parts = [run["network"] + (f" ({options})" if options else f" ({run['traders']:,} traders)"), f"scenario {run['scenario']}"]
    step = f" of {run['round_seconds']:g} s" if run["round_seconds"] else ""
    parts.append(f"{verdict['rounds']:,} rounds{step}: {run['why']}; residual {verdict['residual']:.1e}")
    if verdict["audit"]:
        worst = max(verdict["audit"]["worst"].values(), default=0.0)
        parts.append(f"audited in {verdict['audit']['rounds']:,} rounds, largest residual {worst:.0e}")
    return " · ".join(parts)


def _policy_line(policy: Json) -> str:
    restored = f"{policy['accounts']:,} accounts brought back to initial margin"
    if policy["restore"] == "margin":
        return f"in force from before the shock; {restored} by {usd(policy['margin_added_usd'])} of cash"
    cut, other = usd(policy["positions_cut_usd"]), usd(policy["counterparties_cut_usd"])
    return f"in force from before the shock; {restored}: {cut} of positions cut, and {other} on the other side"


def _why(page: Page, said: Json) -> None:
    trigger, verdict = said["trigger"], said["verdict"]
    first = trigger["first"]
    page.paragraph("Trigger", _stages(trigger["stages"], None if first is None else first["round"]))
    if first:
        page.paragraph("First", f"({first['key']}) {first['name']}: holds from {_at(first)} on")
    for number, pair in enumerate((verdict["conditions"][:2], verdict["conditions"][2:])):
        line = [cell for condition in pair for cell in _condition(condition)]
        page.add(("" if number else "Conditions", "bold"), (" " * (LABEL - (0 if number else len("Conditions"))), ""), *line)
    multiplier = verdict["multiplier"]
    if multiplier:
        place = " ".join(multiplier["market"])
        feedback = multiplier["feedback"]
        text = f"κρ = {three(feedback)} ≥ 1, a move feeds itself" if feedback >= 1 else f"1/(1 − κρ) = {three(multiplier['value'])}"
        page.paragraph("Multiplier", f"highest local {text}: {place}, {_at(multiplier['when'])}")
    amplified = "" if _missing(verdict["amplification"]) else f", {verdict['amplification']:.2f}× that without feedback"
    where = _count(verdict["exchanges_reached"], "exchange")
    reach = f"{verdict['nodes_reached']:,} of {verdict['nodes']:,} nodes reached, liquidations on {where}"
    page.paragraph("Loss", f"{usd(verdict['loss'])}{amplified} · bad debt {usd(verdict['bad_debt'])} · {reach}")


def _stages(stages: Sequence[Json], onset: int | None) -> str:
    """Stages up to the round in which the first condition began to hold, or the first few."""
    if not stages:
        return "none: the network left alone"
    if len(stages) == 1:
        return ", ".join(stages[0]["shocks"])
    came = [stage for stage in stages if stage["when"] is not None]
    before = [stage for stage in came if onset is None or stage["when"]["round"] <= onset][:MOST_STAGES]
    shown = [whole(f"{stage['name']} {_at(stage['when']).removesuffix(':00')}") for stage in before]
    later = len(stages) - len(before)
    return " → ".join(shown) + (f" → {_count(later, 'more stage')}" if later else "")


def _condition(condition: Json) -> list[Segment]:
    """Value and threshold in a column of their own."""
    key, value, threshold = condition["key"], condition["value"], condition["threshold"]
    words, shown, limit = {
        "a": ("induced liquidation", percent(value), f"≥ {threshold:.0%}"),
        "b": ("exchanges failed", f"{value:.0f}", f"≥ {threshold:.0f}"),
        "c": ("lowest peg", f"{value:.3f}", f"< {threshold:.2f}"),
        "d": ("bad debt over funds", "∞" if math.isinf(value) else f"{value:.2f}", f"> {threshold:.0f}"),
    }[key]
    held = condition["fired"]
    return [(f"({key}) {words:20}{shown:>7} {limit:6}", HEAD if held else ""), (fit("HOLDS" if held else "", 6), BAD)]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _at(when: Json) -> str:
    return moment(when["time"], when["round"])


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def _amount(value: float, style: str = "") -> Segment:
    """Dollars, nothing standing for zero."""
    return (usd(value), style) if value else ("·", QUIET)


def _share(part: float, whole: float) -> str:
    return percent(part / whole) if whole else ""


def _exchanges(page: Page, rows: Sequence[Json]) -> None:
    columns = (
        ("USD", 13),
        ("OI start", -8),
        ("OI end", -9),
        ("liquidated", -10),
        ("longs", -8),
        ("ADL", -7),
        ("stops", -7),
        ("bad debt", -8),
        ("fund before → after", -19),
    )
    traded = [row for row in rows if row["interest_start"] or row["liquidated"] or row["bad_debt"] or row["default"]]
    cells = [_exchange(row) for row in traded[:MOST_ROWS]]
    if len(traded) > 1:
        names = ("interest_start", "interest_end", "liquidated", "liquidated_long", "adl", "stopped", "bad_debt", "fund_start", "fund_end")
        total = {name: sum(row[name] for row in rows) for name in names}
        more = len(traded) - MOST_ROWS
        cells.append(_exchange({"exchange": f"all {len(traded)}" if more > 0 else "all", "default": None, **total}, style=HEAD))
    _section(page, columns, cells)


def _exchange(row: Json, style: str = "") -> list[Segment]:
    change = row["interest_end"] / row["interest_start"] - 1.0 if row["interest_start"] else float("nan")
    fund = f"{usd(row['fund_start'])} → {usd(row['fund_end'])}" if row["fund_start"] or row["fund_end"] else "no fund"
    name = f"{row['exchange']} ✗" if row["default"] else row["exchange"]
    return [
        (name, BAD if row["default"] else style or HEAD),
        _amount(row["interest_start"], style),
        ("" if _missing(change) else percent(change, sign=True), style),
        _amount(row["liquidated"], style or HEAD),
        (_share(row["liquidated_long"], row["liquidated"]), style),
        _amount(row["adl"], style),
        _amount(row["stopped"], style),
        _amount(row["bad_debt"], style),
        (fund, WARN if row["fund_end"] < row["fund_start"] else style),
    ]


def _section(page: Page, columns: Sequence[tuple[str, int]], cells: Sequence[Sequence[Segment]]) -> None:
    if cells:
        page.add()
        page.table(columns, cells)


def _assets(page: Page, rows: Sequence[Json]) -> None:
    columns = (
        ("asset", 13),
        ("liquidated", -10),
        ("longs", -8),
        ("price start", -11),
        ("low", -9),
        ("end", -9),
        ("fall", -8),
        ("lowest at", 25),
    )
    shown = [row for row in rows if row["liquidated"] or row["low"] < row["start"] or row["end"] != row["start"]][:MOST_ASSETS]
    cells = [
        [
            (row["asset"], HEAD),
            _amount(row["liquidated"], HEAD),
            (_share(row["liquidated_long"], row["liquidated"]), ""),
            (quote(row["start"]), ""),
            (quote(row["low"]), ""),
            (quote(row["end"]), ""),
            (percent(row["low"] / row["start"] - 1.0), BAD if row["low"] < row["start"] / 2 else ""),
            (f"{row['exchange']} {row['instrument']} {_at(row['low_at'])}", QUIET),
        ]
        for row in shown
    ]
    if cells and len(rows) > len(shown):
        rest = sum(row["liquidated"] for row in rows) - sum(row["liquidated"] for row in shown)
        cells.append([(f"{len(rows) - len(shown)} more", QUIET), _amount(rest, QUIET), *[("", "")] * 6])
    _section(page, columns, cells)


def _stablecoins(page: Page, rows: Sequence[Json]) -> None:
    columns = (
        ("stablecoin", 13),
        ("index low", -10),
        ("end", -8),
        ("lowest book", -11),
        ("at", 28),
        ("supply before → after", -24),
    )
    cells = []
    for row in rows[:MOST_ASSETS]:
        lowest = row["lowest"]
        place = "" if lowest is None else f"{lowest['exchange']} {lowest['instrument']} {_at(lowest['when'])}"
        broken = row["index_end"] < 0.95 * row["peg"]
        cells.append(
            [
                (row["coin"], HEAD),
                (f"{row['index_low']:.4f}", ""),
                (f"{row['index_end']:.4f}", BAD if broken else ""),
                ("" if lowest is None else f"{lowest['low']:.4f}", WARN),
                (place, QUIET),
                (f"{usd(row['supply_start'])} → {usd(row['supply_end'])}", ""),
            ]
        )
    _section(page, columns, cells)


def _defaults(page: Page, said: Json) -> None:
    """Who failed; and, where nothing trades, who lost most."""
    page.add()
    fallen = said["defaults"]
    counts = {kind: sum(row["kind"] == kind for row in fallen) for kind in ("exchange", "stablecoin", "trader")}
    some = [f"{count:,} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
    if not fallen:
        page.paragraph("Defaults", "none")
    else:
        order = sorted(fallen, key=lambda row: (row["kind"] == "trader", row["round"], row["node"]))
        names = [f"{row['node']} {_at(row)}{' (named by the shock)' if row['named_by_shock'] else ''}" for row in order[:6]]
        more = f", and {len(order) - 6:,} more" if len(order) > 6 else ""  # noqa: PLR2004
        page.paragraph("Defaults", f"{' and '.join(some)}: {', '.join(names)}{more}", BAD)
    if not said["assets"] and said["losses"]:
        listed = [f"{row['node']} {usd(row['loss'])} of {usd(row['start'])}" for row in said["losses"][:6]]
        page.paragraph("Losses", ", ".join(listed))


def _half_step(page: Page, half: Json) -> None:
    if not half["run"]:
        if "asked" in half["why"]:
            page.paragraph("Half step", "left out as asked: how far the step decides the figures is not known", WARN)
        return
    full = half["round_seconds"]
    columns = (("step", 22), (f"{full:g} s", -7), (f"{full / 2:g} s", -7), ("", -9), ("", 1))
    cells = [_compared(row) for row in half["figures"] if row["value"] or row["half_step"]]
    left, right = cells[: (len(cells) + 1) // 2], cells[(len(cells) + 1) // 2 :]
    right += [[("", "")] * len(columns)] * (len(left) - len(right))
    page.add()
    page.table((*columns, *columns), [[*one, *other] for one, other in zip(left, right, strict=True)])
    page.paragraph("", "~ unresolved: differs by more than a tenth at half the step", QUIET)


def _compared(row: Json) -> list[Segment]:
    value, half, counted = row["value"], row["half_step"], row["unit"] == "count"
    change = f"{half - value:+.0f}" if counted else percent(_relative(value, half), sign=True)
    style = "" if row["resolved"] else WARN
    return [
        (row["what"], style),
        (_shown(value, row["unit"]), style),
        (_shown(half, row["unit"]), style),
        (change, style or QUIET),
        ("" if row["resolved"] else "~", WARN),
    ]


def _relative(value: float, other: float) -> float:
    return other / value - 1.0 if value else float("nan")


def _shown(value: float, unit: str) -> str:
    if unit == "count":
        return f"{value:.0f}"
    return usd(value) if unit == "usd" else percent(value)

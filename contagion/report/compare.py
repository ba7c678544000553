"""What is printed of a comparison of policies, and of what would have prevented a trigger."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from contagion.report.page import Page, percent, usd, whole

if TYPE_CHECKING:
    from contagion.search.compare import Comparison, Reform
    from contagion.search.prevent import Prevention, Remedy

_ROWS = 12
"""Most drivers whose critical shocks are printed; the tables have all."""
_WIDE = 16


def lay_out_compare(answer: Comparison) -> Page:
    """Lay out what :func:`contagion.search.compare.compare` found."""
    page = Page()
    losses = answer.reforms[0].losses
    page.paragraph("Losses", f"sampled: {losses.n:,} draws, the same for all policies (seed {losses.seed}); 95 % intervals")
    _losses(page, answer)
    page.add()
    _critical(page, answer)
    if answer.shocks:
        page.add()
        _bearers(page, answer)
    return page


def _losses(page: Page, answer: Comparison) -> None:
    columns = (("policy", 28), ("cost", -7), ("mean loss", -9), ("95 %", -7), ("change, interval", -24), ("system-wide", -18))
    rows = []
    for reform in answer.reforms:
        loss, chance, change = reform.losses.draws["loss_usd"], reform.losses.probability, answer.difference(reform)
        base = reform is answer.reforms[0]
        rows.append(
            [
                (reform.name, "bold"),
                ("" if base else usd(reform.cost_usd), ""),
                (usd(float(loss.mean())), ""),
                (usd(float(loss.quantile(0.95))), ""),
                ("" if base else f"{usd(change.value)} ({usd(change.low)} … {usd(change.high)})", ""),
                (f"{percent(chance.value)} (≤ {percent(chance.high)})", ""),
            ]
        )
    page.table(columns, rows)


def _critical(page: Page, answer: Comparison) -> None:
    """A driver a line, a policy a column, the drivers that trigger under any policy first."""
    by_driver = [{row.driver.key: row for row in reform.critical.rows} for reform in answer.reforms]
    keys = [row.driver.key for row in answer.reforms[0].critical.rows]
    moved = [key for key in keys if any(key in rows and not math.isnan(rows[key].size) for rows in by_driver)]
    width = min(_WIDE, 76 // len(answer.reforms))
    columns = (("critical shock", 22), *((reform.name, -width) for reform in answer.reforms))
    rows = [[(key, ""), *((_shock(rows.get(key)), "") for rows in by_driver)] for key in moved[:_ROWS]]
    page.table(columns, rows)
    quiet = len(keys) - len(moved)
    if len(moved) > _ROWS:
        page.add((f"… and {len(moved) - _ROWS} more that trigger", "dim"))
    page.add((f"{quiet} of {len(keys)} drivers trigger under none of these policies", "dim"))


def _shock(row: object) -> str:
    from contagion.search.critical import CriticalShock

    if not isinstance(row, CriticalShock):
        return "–"
    return f"{row.words}" if not math.isnan(row.size) else "none"


def _bearers(page: Page, answer: Comparison) -> None:
    page.paragraph("Shock", " ".join(whole(str(shock)) for shock in answer.shocks), "bold")
    who = sorted(
        {bearer for reform in answer.reforms for bearer in reform.bearers}, key=lambda name: (-answer.reforms[0].bearers.get(name, 0), name)
    )
    width = min(_WIDE, 76 // len(answer.reforms))
    columns = (("borne by", 22), *((reform.name, -width) for reform in answer.reforms))
    rows = [[("verdict", ""), *((_verdict(reform), "") for reform in answer.reforms)]]
    rows += [[(name, ""), *((usd(reform.bearers.get(name, 0.0)), "") for reform in answer.reforms)] for name in who]
    page.table(columns, rows)


def _verdict(reform: Reform) -> str:
    if reform.trial is None:
        return "–"
    return f"system-wide ({reform.trial.fired})" if reform.trial.system_wide else "no"


def lay_out_prevent(answer: Prevention) -> Page:
    """Lay out what :func:`contagion.search.prevent.prevent` found."""
    page = Page()
    page.paragraph("Trigger", f"{' '.join(whole(str(shock)) for shock in answer.shocks)}: system-wide by {', '.join(answer.base.fired)}")
    best = answer.cheapest
    if best is None:
        page.paragraph("Cheapest", "none of these levers makes it harmless, over its whole range", "bold")
    else:
        page.paragraph("Cheapest", f"{best.edit}, at {usd(best.cost_usd)}", "bold")
    page.paragraph("Claim", "sampled: both values of a lever were run; between other values it may act again")
    page.add()
    columns = (("lever", 24), ("harmless at", 24), ("acts still at", 24), ("cost", -8), ("runs", -5))
    page.table(columns, [_remedy(remedy) for remedy in answer.remedies])
    return page


def _remedy(remedy: Remedy) -> list[tuple[str, str]]:
    harmless = remedy.edit or ("cannot be tried" if remedy.refused else "nowhere")
    return [
        (remedy.lever.rule, ""),
        (harmless, "bold" if remedy.edit else ""),
        (remedy.fails, ""),
        (usd(remedy.cost_usd), ""),
        (str(remedy.runs), ""),
    ]

"""What is printed of a sample and of splitting: how likely a system-wide cascade is first, then what it costs, and whom."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from contagion.report.page import Page, percent, three, usd, whole
from contagion.search.sample import MEASURES

if TYPE_CHECKING:
    import pandas as pd

    from contagion.report.page import Segment
    from contagion.search.estimates import Estimate
    from contagion.search.risk import Risk
    from contagion.search.sample import LossSample
    from contagion.search.splitting import RareEvent

CONDITIONS: Final = {
    "a": "induced liquidation",
    "b": "an exchange fails",
    "c": "a stablecoin breaks",
    "d": "bad debt over funds",
}
_MOST_NODES: Final = 12
_WORST: Final = 5
_SMALL: Final = 1e-3
_BEYOND: Final = 1e15


def lay_out_sample(found: LossSample) -> Page:
    """Lay out what :func:`contagion.search.sample.sample` found."""
    page = Page()
    chance = found.probability
    style = "bold red" if chance.value > 0 else "green"
    hits = int(found.draws["system_wide"].sum())
    said = f"a system-wide cascade in {hits:,} of {found.n:,} draws of {_horizon(found.risk)}: {_estimate(chance)}"
    page.paragraph("Probability", said, style)
    held = [whole(f"({key}) {CONDITIONS[key]} {chances(value.value)}") for key, value in found.by_condition.items()]
    page.paragraph("Conditions", " · ".join(held))
    page.paragraph("Claim", found.claim)
    page.paragraph("Law", _law(found.risk, found.drivers, found.seed))
    if found.unsettled:
        page.paragraph("Unsettled", f"{found.unsettled:,} runs were cut off: their figures are what had happened by then", "yellow")
    _distribution(page, found)
    _nodes(page, found.nodes)
    _worst(page, found)
    return page


def lay_out_split(found: RareEvent) -> Page:
    """Lay out what :func:`contagion.search.splitting.split` found."""
    page = Page()
    chance = found.probability
    if chance.value > 0:
        error = whole(percent(found.relative_error))
        said = f"a system-wide cascade within {_horizon(found.risk)}: {_estimate(chance)}; relative error {error}"
    else:
        said = f"no system-wide cascade was reached within {_horizon(found.risk)}; the probability is at most {chances(chance.high)}"
    page.paragraph("Probability", said, "bold red" if chance.value > 0 else "green")
    page.paragraph("Claim", found.claim, "" if all(part.reached == len(part.replicates) for part in found.parts) else "yellow")
    if chance.value > 0:
        page.paragraph("Conditions", " · ".join(whole(f"({key}) {CONDITIONS[key]} in {share:.0%}") for key, share in found.fired().items()))
        often = [(key, share) for key, share in found.events().items() if share >= 0.005]  # noqa: PLR2004 - half a percent
        events = [whole(f"{key} in {share:.0%}") for key, share in often[:_WORST]]
        if events:
            page.paragraph("Events", " · ".join(events))
    nearest = found.nearest()
    if nearest:
        page.paragraph("Nearest", f"the likeliest draw met: {nearest['moves']}")
    cells: list[list[Segment]] = []
    for part in found.parts:
        mean = float(part.estimates.mean())
        cells.append(
            [
                (part.name, ""),
                (chances(part.weight), ""),
                (chances(mean) if part.reached else f"≤ {chances(part.unseen)}", "bold"),
                (f"{chances(float(part.estimates.min()))} to {chances(float(part.estimates.max()))}", ""),
                (f"{part.reached} of {len(part.replicates)}", ""),
                (f"{sum(len(replicate['levels']) for replicate in part.replicates) / len(part.replicates):.1f}", ""),
                (f"{sum(replicate['runs'] for replicate in part.replicates):,}", ""),
            ]
        )
    page.add()
    columns = (("draws with", 16), ("weight", -9), ("cascade", -11), ("replicates", -24), ("reached", -8), ("levels", -7), ("runs", -9))
    page.table(columns, cells)
    return page


def _horizon(risk: Risk) -> str:
    return "one day" if risk.horizon_days == 1 else f"{risk.horizon_days:g} days"


def _law(risk: Risk, drivers: int, seed: int) -> str:
    jump = f", a common jump with probability {chances(risk.jump_probability)}" if risk.jump_probability > 0 else ""
    return f"{drivers:,} drivers, Student t with {risk.tail:g} degrees of freedom{jump}; seed {seed}"


def chances(probability: float) -> str:
    """A probability: in percent, or as a power of ten where it is small.

    Examples
    --------
    >>> chances(0.1234), chances(0.0), chances(3.17e-5), chances(float("inf"))
    ('12.34 %', '0', '3.2e-05', '–')
    """
    if not math.isfinite(probability):
        return "–"
    if probability == 0:
        return "0"
    return f"{probability:.1e}" if probability < _SMALL else f"{100 * probability:.4g} %"


def _estimate(estimate: Estimate) -> str:
    if estimate.value == 0:
        return f"at most {chances(estimate.high)} (95 %)"
    return f"{chances(estimate.value)} ({chances(estimate.low)} to {chances(estimate.high)}, 95 %)"


def _distribution(page: Page, found: LossSample) -> None:
    """Quantiles of each measure beside each other, those of loss with their interval and expected shortfall."""
    table = found.percentiles()
    by_measure = {name: rows.set_index("statistic") for name, rows in table.groupby("measure")}
    loss = by_measure["loss_usd"]
    cells: list[list[Segment]] = []
    for statistic in loss.index:
        row = loss.loc[statistic]
        cells.append(
            [
                (str(statistic), ""),
                (_amount(row["value"]), "bold"),
                (_range(row["value_low"], row["value_high"]), ""),
                (_amount(row["shortfall"]), ""),
                (_range(row["shortfall_low"], row["shortfall_high"]), ""),
                *((_amount(by_measure[name].loc[statistic, "value"]), "") for name in MEASURES if name != "loss_usd"),
            ]
        )
    page.add()
    columns = (
        ("USD", 7),
        ("loss", -6),
        ("95 % interval", -15),
        ("shortfall", -9),
        ("95 % interval", -15),
        *((name, -max(len(name), 6)) for key, name in MEASURES.items() if key != "loss_usd"),
    )
    page.table(columns, cells)


def _amount(amount: float) -> str:
    """Dollars; what is less than half a cent is nothing, and what no suffix holds is a power of ten.

    Examples
    --------
    >>> _amount(-1e-9), _amount(2.5e9), _amount(5.4e21)
    ('0', '2.50B', '5e+21')
    """
    if math.isfinite(amount) and abs(amount) >= _BEYOND:
        return f"{amount:.0e}"
    return usd(0.0 if abs(amount) < 0.005 else amount)  # noqa: PLR2004


def _range(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"{_amount(low)} – {_amount(high)}"


def _nodes(page: Page, nodes: pd.DataFrame) -> None:
    """Who fails, and how often; of those that never do, none."""
    hit = nodes[nodes["failed"] > 0].sort_values(["failed", "node"], ascending=[False, True])
    page.add()
    if hit.empty:
        page.paragraph(
            "Failures", f"none of {len(nodes):,} exchanges, stablecoins and large traders, but where a draw defaulted it", "green"
        )
        return
    columns = (
        ("fails in", 24),
        ("kind", 11),
        ("draws", -8),
        ("probability", -11),
        ("95 % interval", -21),
        ("default", -8),
        ("peg", -6),
    )
    cells: list[list[Segment]] = [
        [
            (row["node"], "bold"),
            (row["kind"], ""),
            (f"{row['failed']:,}", ""),
            (chances(row["probability"]), ""),
            (f"{chances(row['probability_low'])} – {chances(row['probability_high'])}", ""),
            (f"{row['defaulted']:,}" if row["defaulted"] else "·", ""),
            (f"{row['depegged']:,}" if row["depegged"] else "·", ""),
        ]
        for row in hit.head(_MOST_NODES).to_dict("records")
    ]
    page.table(columns, cells)
    if len(hit) > _MOST_NODES:
        page.add((f"and {len(hit) - _MOST_NODES:,} more", "dim"))


def _worst(page: Page, found: LossSample) -> None:
    """The draws that cost most, with their largest moves."""
    cells: list[list[Segment]] = [
        [
            (f"{row['draw']:,}", ""),
            (_amount(row["loss_usd"]), "bold"),
            (row["fired"] or "–", "red" if row["system_wide"] else ""),
            (_amplified(row["loss_usd"], row["loss_without_feedback_usd"]), ""),
            (row["moves"], ""),
        ]
        for row in found.worst(_WORST).to_dict("records")
        if row["loss_usd"] > 0
    ]
    if cells:
        page.add()
    page.table((("worst draw", -10), ("loss", -7), ("holds", 5), ("×", -6), ("largest moves", 68)), cells)


def _amplified(loss: float, without: float) -> str:
    if without <= 0:
        return "–"
    return three(loss / without) if loss < 1000 * without else f"{loss / without:.0e}"

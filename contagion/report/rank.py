"""What is printed of a ranking: whom the others lose most by, who fails most often, and where the map of exposures misleads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from contagion.report.page import Page, usd, whole
from contagion.report.sample import chances

if TYPE_CHECKING:
    from contagion.report.page import Segment
    from contagion.search.rank import NodeRanking

MOST: Final = 25
"""Nodes that are printed; the tables have all."""
_NAMES: Final = {"in_strength": "exposure"}
_APART: Final = 2
"""Places from which two ranks disagree."""


def lay_out_rank(found: NodeRanking, *, most: int = MOST) -> Page:
    """Lay out what :func:`contagion.search.rank.rank` found."""
    page = Page()
    table = found.nodes
    if table.empty:
        page.paragraph("Impact", "there is no exchange, coin or trader with positions or debts to rank")
        return page
    first = table.iloc[0]
    wide = [str(name) for name in table.loc[table["system_wide"], "node"]]
    page.paragraph("Impact", f"the others lose most by {first['node']}: {usd(first['impact_usd'])}", "bold")
    triggers = ", ".join(whole(name) for name in wide[:8]) + (f" and {len(wide) - 8} more" if len(wide) > 8 else "")  # noqa: PLR2004
    page.paragraph("System-wide", f"alone: {triggers}" if wide else "nobody's fall alone", "bold red" if wide else "green")
    apart = found.disagreements()
    said = [
        whole(f"{row['node']} ranks {_place(row['impact_rank'])} by impact and {_place(row['in_strength_rank'])} by exposure")
        for row in apart.to_dict("records")
        if abs(row["gap"]) >= _APART
    ]
    if said:
        page.paragraph("Disagree", "; ".join(said), "yellow")
    agreement = found.agreement()
    for label, what, column in (("Agreement", "impact", "with_impact"), ("", "vulnerability", "with_vulnerability")):
        rho = [(row["measure"], row[column]) for row in agreement.to_dict("records")]
        words = " · ".join(whole(f"{_NAMES.get(name, name)} {value:.2f}") for name, value in rho if not math.isnan(value))
        if words:
            page.paragraph(label, f"rank correlation of {what} with {words}")
    page.paragraph("Claim", found.claim)
    cells: list[list[Segment]] = [
        [
            (row["node"], "bold"),
            (row["kind"], ""),
            (usd(row["impact_usd"]), "bold"),
            (row["fired"] or "·", "bold red" if row["system_wide"] else "dim"),
            (f"{row['defaults']:,}" if row["defaults"] else "·", ""),
            ("–" if math.isnan(row["probability"]) else chances(row["probability"]), ""),
            ("–" if math.isnan(row["probability"]) else f"{row['liquidated'] / found.sampled.n:.0%}", ""),
            (_place(row["impact_rank"]), ""),
            (_place(row["vulnerability_rank"]), ""),
            (_place(row["in_strength_rank"]), ""),
            (_place(row["pagerank_rank"]), ""),
            (_place(row["betweenness_rank"]), ""),
            (f"{row['gap']:+g}" if row["gap"] else "0", "yellow" if abs(row["gap"]) >= len(table) / 4 else ""),
        ]
        for row in table.head(most).to_dict("records")
    ]
    page.add()
    columns = (
        ("node", 20),
        ("kind", 10),
        ("impact", -7),
        ("holds", 5),
        ("falls", -5),
        ("fails", -7),
        ("liq.", -5),
        ("imp.", -4),
        ("vuln.", -5),
        ("expo.", -5),
        ("page", -5),
        ("betw.", -5),
        ("gap", -5),
    )
    page.table(columns, cells)
    if len(table) > most:
        page.add((f"and {len(table) - most:,} more", "dim"))
    page.add()
    note = "falls: defaults that it causes; fails, liq.: how often it fails or is liquidated; then ranks"
    page.add((note, "dim"))
    return page


def _place(rank: float) -> str:
    """A rank; equal ones share half places.

    Examples
    --------
    >>> _place(3.0), _place(2.5), _place(float("nan"))
    ('3', '2.5', '–')
    """
    return "–" if math.isnan(rank) else f"{rank:g}"

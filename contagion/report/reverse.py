"""What is printed of a reverse stress test: the nearest joint shock first, each direction with its parts and its claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.report.page import Page, percent, usd, whole

if TYPE_CHECKING:
    from contagion.search.drivers import Driver
    from contagion.search.reverse import ReverseStress

_PARTS = 6
"""Largest parts of a shock that are printed; the tables have all."""


def lay_out_reverse(answer: ReverseStress) -> Page:
    """Lay out what :func:`contagion.search.reverse.reverse` found."""
    page = Page()
    _nearest(page, answer)
    columns = (
        ("direction", 9),
        ("σ, safe", -11),
        ("σ, triggers", -11),
        ("fires", 5),
        ("induced", -8),
        ("bad debt", -8),
        ("loss", -7),
        ("largest parts", 32),
    )
    rows = []
    for number, shock in enumerate(answer.shocks, 1):
        parts = answer.parts(shock)
        said = ", ".join(_part(driver, z) for driver, z in parts[:3]) + (f" +{len(parts) - 3}" if len(parts) > 3 else "")  # noqa: PLR2004
        rows.append(
            [
                (str(number), ""),
                (f"{shock.safe:.6g}", ""),
                (f"{shock.trigger:.6g}", "bold"),
                (shock.trial.fired, ""),
                (percent(shock.trial.induced), ""),
                (usd(shock.trial.bad_debt_usd), ""),
                (usd(shock.trial.loss), ""),
                (said, ""),
            ]
        )
    if rows:
        page.add()
    page.table(columns, rows)
    return page


def _nearest(page: Page, answer: ReverseStress) -> None:
    """The first lines: what triggers, and how sure that is."""
    if not answer.shocks:
        page.paragraph("Nearest", f"No joint shock within {answer.reach:g} σ was found to trigger, from {answer.starts} starts.", "bold")
    else:
        shock = answer.shocks[0]
        parts = answer.parts(shock)
        more = f" and {len(parts) - _PARTS} smaller moves" if len(parts) > _PARTS else ""
        said = ", ".join(whole(_part(driver, z)) for driver, z in parts[:_PARTS])
        page.paragraph("Nearest", f"{shock.trigger:.4g} σ: {said}{more}", "bold")
        page.paragraph(
            "Claim",
            f"bracket on its ray: {shock.safe:.6g} σ does not trigger, {shock.trigger:.6g} σ does, both were run. Over directions it is "
            f"sampled: the nearest of {answer.starts} starts ({answer.runs:,} runs), a local minimum.",
        )
    if answer.certified > 0:
        page.paragraph("Certified", f"no joint shock within {answer.certified:.3g} σ triggers, whatever its direction (safe envelope).")
    if answer.silent and answer.shocks:
        page.paragraph("Starts", f"{answer.silent} of {answer.starts} met no trigger within {answer.reach:g} σ on their ray.")


def _part(driver: Driver, sigmas: float) -> str:
    """A driver's move in words.

    Examples
    --------
    >>> from contagion.search.drivers import Driver
    >>> _part(Driver("price", "BTC", "", 0.03), 2.0), _part(Driver("price", "BTC", "", 0.03), -2.0)
    ('BTC -5.8 %', 'BTC +6.2 %')
    """
    if sigmas < 0:
        return f"{driver.target} {percent(float(np.expm1(-sigmas * driver.sigma)), sign=True)}"
    if driver.kind == "price":
        return f"{driver.key} {percent(-driver.size(sigmas), sign=True)}"
    return f"{driver.key} {driver.words(float(f'{driver.size(sigmas):.3g}'))}"

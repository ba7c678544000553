"""The inspection of a network: what its checks find, and who would act in it before any shock.

A residual trader that takes the missing side of open interest is added where that is asked for, and reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contagion.fixed_point import at_rest
from contagion.report.page import Page, usd
from graphs.checks import add_residuals, check_network
from graphs.tables import write_network

if TYPE_CHECKING:
    import os

    from contagion.fixed_point import Rest
    from graphs.errors import Finding
    from graphs.network import Network


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is wrong with a network.

    Attributes
    ----------
    name
        Of the network.
    findings
        Every bad row.
    rest
        Whether it rests without a shock; None where the findings forbid to run it.
    added
        One row a market to which a residual trader was added.
    """

    name: str
    findings: tuple[Finding, ...]
    rest: Rest | None
    added: tuple[dict[str, Any], ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings and self.rest is not None and self.rest.rests

    def summary(self) -> dict[str, Any]:
        """The same as a plain mapping."""
        fields = ("check", "table", "row", "column", "value", "remedy")
        breaches = () if self.rest is None else self.rest.breaches
        return {
            "network": self.name,
            "sound": self.sound,
            "findings": [{name: getattr(finding, name) for name in fields} for finding in self.findings],
            "in_breach": [{name: getattr(breach, name) for name in breach.__slots__} for breach in breaches],
            "failed": [] if self.rest is None else list(self.rest.failed),
            "accounts": None if self.rest is None else self.rest.accounts,
            "added": list(self.added),
        }


def inspect_network(net: Network, *, residual_to: str | os.PathLike[str] | None = None, overwrite: bool = False) -> Inspection:
    """Check a network, and value it without a shock.

    Parameters
    ----------
    residual_to
        Directory for the network with residual traders added, which is then the one that is inspected; None adds none.
    overwrite
        Whether a network that is there already may be replaced.

    Raises
    ------
    CheckError
        If residual traders are asked for and the network has any other fault.

    Examples
    --------
    >>> from graphs.toys import one_book_ladder
    >>> inspect_network(one_book_ladder()).sound
    True
    """
    added: tuple[dict[str, Any], ...] = ()
    if residual_to is not None:
        net, report = add_residuals(net)
        write_network(net, residual_to, overwrite=overwrite)
        added = tuple({str(name): value for name, value in row.items()} for row in report.to_dict("records"))
    findings = tuple(check_network(net))
    return Inspection(net.name, findings, None if findings else at_rest(net), added)


def lay_out_inspection(found: Inspection) -> Page:
    """Page of an inspection: one line for each thing that is wrong, or that nothing is."""
    page = Page()
    for row in found.added:
        page.add(
            (f"added {row['trader']}: {row['quantity']:+,g} {row['asset']}, {usd(row['notional'])} USD, on {usd(row['collateral'])}", "")
        )
    for finding in found.findings:
        page.add((str(finding), "red"))
    if found.rest is None:
        page.add((f"{len(found.findings):,} found; whether the network rests without a shock can be seen once they are mended", "bold"))
        return page
    for breach in found.rest.breaches:
        page.add((str(breach), "red"))
    for node in found.rest.failed:
        page.add((f"node {node}: its equity is below zero before any shock; add cash, or cut its debts", "red"))
    if found.sound:
        page.add((f"sound: no finding, and none of {found.rest.accounts:,} accounts is in breach before a shock", "green"))
    return page

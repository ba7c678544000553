"""Misfits: what a scenario names that a network does not have.

A shock that hits nothing would pass for a network that withstands it, so a name, a kind of node, a market or a claim
that is not there is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from contagion.documents import remedy_for
from contagion.shocks import EVERYWHERE
from graphs.schema import NODES, USD

if TYPE_CHECKING:
    from contagion.scenario import Entry, Scenario
    from contagion.shocks import Shock
    from graphs.network import Network

COINS: Final = ("asset", "stablecoin")
PARTIES: Final = ("trader", "stablecoin", "exchange")
TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "price": COINS,
    "depeg": COINS,
    "depth": (*COINS, "exchange"),
    "default": PARTIES,
    "loss": PARTIES,
    "outage": ("exchange",),
    "halt": COINS,
    "transfers": ("exchange",),
    "arbitrage": ("exchange",),
    "redemption": ("stablecoin",),
    "writeoff": NODES,
    "sale": COINS,
}
"""Kinds of node that a kind of shock may hit."""

_MOST_CANDIDATES = 10_000


@dataclass(frozen=True, slots=True)
class _Directory:
    """Which names a network has."""

    net: Network
    kind_of: dict[str, str]
    markets: frozenset[tuple[str, str]]
    perps: frozenset[tuple[str, str]]

    def kind(self, name: str, kinds: tuple[str, ...]) -> str:
        """Problem with a name that should be a node of one of these kinds; empty if there is none."""
        found = self.kind_of.get(name) or self._big(name)
        if found in kinds:
            return ""
        wanted = " or ".join(kinds)
        if name == USD:
            return f"{USD} is the unit of account and cannot be shocked; name a node of kind {wanted}"
        if found:
            return f"{name} is a node of kind {found}; name one of kind {wanted}"
        candidates = [known for known, kind in self.kind_of.items() if kind in kinds]
        if "trader" in kinds and self.net.count("trader") <= _MOST_CANDIDATES:
            candidates += self.net.node_ids("trader")
        return f"{name} is no {wanted} of the network; {remedy_for(name, sorted(candidates))}"

    def market(self, coin: str, exchange: str, *, perp: bool = False) -> str:
        """Problem with a book that should be there; empty if there is none."""
        books = self.perps if perp else self.markets
        if (exchange, coin) in books:
            return ""
        elsewhere = sorted(other for other, traded in books if traded == coin)
        remedy = f"it trades at {', '.join(elsewhere)}" if elsewhere else "it trades nowhere"
        return f"{exchange} has no {'perp ' if perp else ''}market of {coin}; {remedy}"

    def _big(self, name: str) -> str:
        """Traders can be ten million: ask for the one name instead of listing all."""
        if not self.net.count("trader"):
            return ""
        return "trader" if pc.any(pc.equal(_plain(self.net.column("trader", "id")), name)).as_py() else ""


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _directory(net: Network) -> _Directory:
    kind_of = {name: kind for kind in NODES if kind != "trader" for name in net.node_ids(kind)}
    books: list[tuple[str, str, str]] = []
    if net.count("market"):
        columns = (net.strings("market", column) for column in ("exchange", "asset", "instrument"))
        books = list(zip(*columns, strict=True))
    return _Directory(
        net,
        kind_of,
        frozenset((exchange, coin) for exchange, coin, _ in books),
        frozenset((exchange, coin) for exchange, coin, instrument in books if instrument == "perp"),
    )


def misfits(scenario: Scenario, net: Network) -> list[str]:
    """Everything that a scenario names and a network does not have, one sentence each, with its path."""
    known = _directory(net)
    wrong = []
    for place, stage in enumerate(scenario.stages):
        for row, shock in enumerate(stage.shocks):
            wrong += [f"stages[{place}].shocks[{row}] {shock}: {problem}" for problem in _of_shock(shock, known)]
        for row, entry in enumerate(stage.enter):
            wrong += [f"stages[{place}].enter[{row}]: {problem}" for problem in _of_entry(entry, known)]
    return wrong


def _of_shock(shock: Shock, known: _Directory) -> list[str]:
    if shock.target == EVERYWHERE:
        return []
    problems = [known.kind(shock.target, TARGETS[shock.kind])]
    if shock.exchange:
        problems.append(known.kind(shock.exchange, ("exchange",)))
        if shock.kind == "depth" and known.kind_of.get(shock.target) == "exchange":
            problems.append(f"{shock.target} is an exchange already; write depth:{shock.target}, or name a coin before @{shock.exchange}")
    if shock.creditor:
        problems.append(known.kind(shock.creditor, NODES))
    problems = [problem for problem in problems if problem]
    if problems:
        return problems
    if shock.exchange:
        problems = [known.market(shock.target, shock.exchange)]
    if shock.kind == "writeoff":
        problems = [_claim(shock, known.net)]
    return [problem for problem in problems if problem]


def _of_entry(entry: Entry, known: _Directory) -> list[str]:
    problems = [known.kind(entry.asset, COINS), known.kind(entry.exchange, ("exchange",))]
    problems = [problem for problem in problems if problem] or [known.market(entry.asset, entry.exchange, perp=True)]
    return [problem for problem in problems if problem]


def _claim(shock: Shock, net: Network) -> str:
    """Problem with a claim that should be there; empty if there is none."""
    if net.count("credit"):
        found = pc.equal(_plain(net.column("credit", "debtor")), shock.target)
        if shock.creditor:
            found = pc.and_(found, pc.equal(_plain(net.column("credit", "creditor")), shock.creditor))
        if pc.any(found).as_py():
            return ""
    whom = f" to {shock.creditor}" if shock.creditor else ""
    return f"{shock.target} owes nothing{whom}; name a debtor and creditor of table credit"

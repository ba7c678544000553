"""A Cascade: what a run did, as tables with labels.

Raw totals come from the journal; USD of closed positions is units × the network's price (P₀), so that exchanges and rounds
add up whatever the price did. Open interest is gross: the sum of |quantity| over accounts, both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.engine import Outcome, prepare, simulate
from contagion.grid import group_sum
from contagion.journal import FORCED, Flow
from contagion.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from contagion.arrays import Floats, Ints
    from contagion.engine import Prepared, Progress
    from contagion.measures import Verdict
    from contagion.scenario import Scenario
    from graphs.network import Network


@dataclass(frozen=True)
class Cascade:
    """A run and its benchmark without feedback.

    Attributes
    ----------
    prepared
        Compiled network and scenario.
    settings
        Settings of the run.
    outcome
        The run.
    benchmark
        The same scenario with infinite depth and no feedback.
    """

    prepared: Prepared
    settings: Settings
    outcome: Outcome
    benchmark: Outcome

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the run was system-wide, and by which conditions."""
        from contagion.measures import judge

        return judge(self)

    def liquidated(self, outcome: Outcome | None = None) -> Floats:
        """USD at P₀ of forced closes by market."""
        return closed_usd(outcome or self.outcome, *FORCED)

    def closed(self, *kinds: Flow) -> Floats:
        """USD at P₀ closed by kinds of flow, by market."""
        return closed_usd(self.outcome, *kinds)

    def open_interest(self, *, end: bool = False) -> Floats:
        """Gross open interest by market at P₀, USD, at the start or the end; spot debts count too."""
        system, state = self.prepared.system, self.outcome.state
        quantity = state.quantity if end else system.accounts.quantity
        return group_sum(system.accounts.market, np.abs(quantity), system.markets.count) * system.markets.price

    def path(self, name: str) -> Floats:
        """A series of the journal as rounds × index; the last row is the end."""
        return np.array(self.outcome.state.journal.series[name])

    def amount(self, name: str) -> Floats:
        """Total of an amount of the journal by exchange, USD."""
        return self.outcome.state.journal.total(name, self.prepared.system.nodes.exchanges)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables of the run by name: rounds, prices, markets, exchanges, coins, nodes, events."""
        return {
            "rounds": self.rounds,
            "markets": self.markets,
            "exchanges": self.exchanges,
            "coins": self.coins,
            "nodes": self.nodes,
            "events": self.events,
            "prices": self.prices,
        }

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """One row a round: USD closed, ADL, bad debt, fund use, defaults, largest fall of a price since the start."""
        import pandas as pd

        count, journal = self.outcome.rounds, self.outcome.state.journal
        start = self.prepared.system.markets.price
        table = pd.DataFrame({"round": np.arange(count)})
        table["time"] = [self.time_of(r) for r in range(count)]
        for name, kinds in (
            ("liquidated_usd", FORCED),
            ("adl_usd", (Flow.ADL,)),
            ("stopped_usd", (Flow.STOP,)),
            ("entered_usd", (Flow.ENTRY,)),
            ("arbitrage_usd", (Flow.ARBITRAGE,)),
        ):
            table[name] = self._by_round([(when, float((units * start).sum())) for kind in kinds for when, units in journal.units[kind]])
        for name in ("bad_debt", "fund_used", "house_paid", "topped_up"):
            table[f"{name}_usd"] = self._by_round([(when, float(usd.sum())) for when, usd in journal.amounts[name]])
        table["breached"] = self._by_round([(when, float(number.sum())) for when, number in journal.amounts["breached"]]).astype(np.int64)
        table["defaults"] = self._by_round([(event[0], 1.0) for event in journal.events if event[1] == "default"]).astype(np.int64)
        path = self.path("price")[:count]
        table["largest_fall"] = 1.0 - (path / start).min(axis=1) if start.size else 0.0
        return table

    def _by_round(self, items: list[tuple[int, float]]) -> Floats:
        result = np.zeros(self.outcome.rounds)
        for when, usd in items:
            result[when] += usd
        return result

    def time_of(self, when: int) -> str:
        """Clock time of a round's start in ISO 8601, or seconds from the start, or nothing without a clock."""
        clock, start = self.prepared.scenario.clock, self.prepared.scenario.start
        if clock is None:
            return ""
        seconds = when * clock.round_seconds
        if not start:
            return f"{seconds:g} s"
        from datetime import datetime, timedelta

        return (datetime.fromisoformat(start) + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")

    @cached_property
    def prices(self) -> pd.DataFrame:
        """Price and mark of every market at the start of every round, and at the end."""
        import pandas as pd

        names = self._market_names()
        price, mark = self.path("price"), self.path("mark")
        count = len(price)
        table = pd.DataFrame({"round": np.repeat(np.arange(count), len(names[0]))})
        for column, values in zip(("exchange", "asset", "instrument"), names, strict=True):
            table[column] = values * count
        table["price"], table["mark"] = price.ravel(), mark.ravel()
        return table

    def _market_names(self) -> tuple[list[str], list[str], list[str]]:
        system = self.prepared.system
        rows = [system.market_name(market) for market in range(system.markets.count)]
        exchange, coin, instrument = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
        return exchange, coin, instrument

    @cached_property
    def markets(self) -> pd.DataFrame:
        """One row a market: prices, open interest, USD closed by kind, share of longs in what was liquidated."""
        import pandas as pd

        system, journal = self.prepared.system, self.outcome.state.journal
        exchange, coin, instrument = self._market_names()
        path, start = self.path("price"), system.markets.price
        table = pd.DataFrame({"exchange": exchange, "asset": coin, "instrument": instrument, "price_start": start})
        table["price_low"] = path.min(axis=0) if start.size else []
        table["price_end"] = path[-1] if start.size else []
        table["low_round"] = path.argmin(axis=0) if start.size else []
        table["open_interest_start_usd"], table["open_interest_end_usd"] = self.open_interest(), self.open_interest(end=True)
        table["liquidated_usd"] = self.liquidated()
        longs = sum((part for kind in FORCED for _, part in journal.longs[kind]), np.zeros(start.size)) * start
        table["liquidated_long_usd"] = longs
        for name, kinds in _KINDS.items():
            table[name] = self.closed(*kinds)
        return table

    @cached_property
    def exchanges(self) -> pd.DataFrame:
        """One row an exchange: USD liquidated, taken over and deleveraged, shortfalls and who paid them, default."""
        import pandas as pd

        system, state = self.prepared.system, self.outcome.state
        count = system.nodes.exchanges
        by = system.markets.exchange
        table = pd.DataFrame({"exchange": list(system.exchanges.names)})
        start, end = self.open_interest(), self.open_interest(end=True)
        table["open_interest_start_usd"], table["open_interest_end_usd"] = group_sum(by, start, count), group_sum(by, end, count)
        table["liquidated_usd"] = group_sum(by, self.liquidated(), count)
        for name, kinds in _KINDS.items():
            table[name] = group_sum(by, self.closed(*kinds), count)
        table["bad_debt_usd"] = self.amount("bad_debt") + self.amount("adl_deficit")
        table["fund_start_usd"], table["fund_end_usd"] = system.exchanges.insurance_fund, state.fund
        table["fund_used_usd"], table["fees_usd"] = self.amount("fund_used"), self.amount("fees")
        table["adl_taken_usd"], table["socialised_usd"] = self.amount("adl_taken"), self.amount("socialised")
        table["house_paid_usd"] = self.amount("house_paid")
        table["topped_up_usd"] = self.amount("topped_up")
        table["breached_accounts"] = self.amount("breached").astype(np.int64)
        table["default_round"] = _maybe(state.exchange_default)
        table["recovery"] = state.recovery[system.nodes.exchange0 :]
        vault = system.exchanges.vault_account
        table["vault_profit_usd"] = np.where(vault >= 0, state.equity[vault] - self._start_equity[vault], np.nan) if count else []
        return table

    @cached_property
    def _start_equity(self) -> Floats:
        """Equity of accounts before the shock."""
        return self.outcome.initial.equity

    @cached_property
    def coins(self) -> pd.DataFrame:
        """One row a coin: index price, supply, redemption value."""
        import pandas as pd

        system, state = self.prepared.system, self.outcome.state
        nodes, path = system.nodes, self.path("coin_price")
        table = pd.DataFrame({"coin": list(system.coins.names)})
        table["kind"] = ["asset"] * nodes.assets + ["stablecoin"] * nodes.stablecoins
        table["price_start"], table["price_low"], table["price_end"] = path[0], path.min(axis=0), path[-1]
        table["low_round"] = path.argmin(axis=0)
        table["peg"], table["supply_start"], table["supply_end"] = system.coins.peg, system.coins.supply, state.supply
        table["redemption_value"] = state.redemption_value
        table["default_round"] = _maybe(state.node_default[nodes.coin0 : nodes.exchange0])
        return table

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """One row a node that the run touched: equity before and after, USD closed, default. Traders left alone are left out."""
        import pandas as pd

        system, state = self.prepared.system, self.outcome.state
        nodes = system.nodes
        start, end = self.outcome.initial.node_equity, state.node_equity
        closed = {name: self._node_usd(kinds) for name, kinds in _NODE_KINDS.items()}
        touched = (np.abs(end - start) > 16 * system.quantum) | (state.node_default >= 0)
        for usd in closed.values():
            touched |= usd > 0
        touched[nodes.coin0 :] = True
        rows = np.flatnonzero(touched)
        kinds = np.repeat(["trader", "asset", "stablecoin", "exchange"], [nodes.traders, nodes.assets, nodes.stablecoins, nodes.exchanges])
        table = pd.DataFrame({"node": nodes.ids.take(rows).to_pylist(), "kind": kinds[rows]})
        table["equity_start_usd"], table["equity_end_usd"] = start[rows], end[rows]
        table["loss_usd"] = start[rows] - end[rows]
        for name, usd in closed.items():
            table[name] = usd[rows]
        table["default_round"] = _maybe(state.node_default[rows])
        table["named_by_shock"] = state.named[rows]
        table["recovery"] = state.recovery[rows]
        return table

    def _node_usd(self, kinds: tuple[Flow, ...]) -> Floats:
        """USD at the price of the trade by node."""
        system, journal = self.prepared.system, self.outcome.state.journal
        total = np.zeros(system.nodes.count)
        for kind in kinds:
            for _, accounts, usd in journal.accounts[kind]:
                total += group_sum(system.accounts.owner[accounts], usd, total.size)
        return total

    @cached_property
    def events(self) -> pd.DataFrame:
        """Stages, defaults, settlements, halts and redemptions, in order."""
        import pandas as pd

        system = self.prepared.system
        nodes, exchanges, coins = system.nodes, system.exchanges.names, system.coins.names
        rows: list[dict[str, Any]] = [
            {
                "round": when,
                "time": self.time_of(when),
                "event": event,
                "node": nodes.name(node) if node >= 0 else "",
                "exchange": exchanges[exchange] if exchange >= 0 else "",
                "coin": coins[coin] if coin >= 0 else "",
                "usd": usd,
                "detail": detail,
            }
            for when, event, node, exchange, coin, usd, detail in self.outcome.state.journal.events
        ]
        return pd.DataFrame(rows, columns=["round", "time", "event", "node", "exchange", "coin", "usd", "detail"])


_KINDS: dict[str, tuple[Flow, ...]] = {
    "taken_over_usd": (Flow.TAKEOVER,),
    "default_closed_usd": (Flow.DEFAULT_CLOSE,),
    "adl_usd": (Flow.ADL,),
    "stopped_usd": (Flow.STOP,),
    "deleveraged_usd": (Flow.DELEVERAGE,),
    "hedges_closed_usd": (Flow.HEDGE,),
    "vault_unwound_usd": (Flow.VAULT,),
    "entered_usd": (Flow.ENTRY,),
    "settled_usd": (Flow.SETTLEMENT,),
    "coins_sold_usd": (Flow.COIN_SALE, Flow.HOLDING_SALE, Flow.BACKING_SALE, Flow.IMPOSED),
    "redeemed_usd": (Flow.REDEMPTION,),
    "arbitrage_usd": (Flow.ARBITRAGE,),
}

_NODE_KINDS: dict[str, tuple[Flow, ...]] = {
    "liquidated_usd": FORCED,
    "adl_usd": (Flow.ADL, Flow.ADL_WINNER),
    "stopped_usd": (Flow.STOP, Flow.DELEVERAGE, Flow.HEDGE),
}


def closed_usd(outcome: Outcome, *kinds: Flow) -> Floats:
    """USD at P₀ closed by kinds of flow, by market."""
    markets = outcome.state.system.markets
    units = sum((outcome.state.journal.total_units(kind, markets.count) for kind in kinds), np.zeros(markets.count))
    return np.asarray(units * markets.price)


def _maybe(rounds: Ints) -> pd.Series[int]:
    """Rounds as whole numbers with a gap where there was none."""
    import pandas as pd

    return pd.Series(np.where(rounds < 0, 0, rounds), dtype="Int64").mask(pd.Series(rounds < 0))


def run(
    net: Network,
    scenario: Scenario,
    *,
    settings: Settings | None = None,
    audit: bool = False,
    progress: Progress | None = None,
    check: bool = True,
) -> Cascade:
    """Run a scenario on a network, with its benchmark without feedback.

    Parameters
    ----------
    audit
        Whether to check the eight identities in every round.
    progress
        Told about every round of the run itself.
    check
        Whether to check the network first.

    Raises
    ------
    CheckError, ScenarioError, AuditError
        If the network, the scenario, or the run is wrong.

    Examples
    --------
    >>> from contagion.scenario import Scenario
    >>> from graphs.toys import one_book_ladder
    >>> cascade = run(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"]))
    >>> cascade.verdict.system_wide
    True
    """
    settings = settings or Settings()
    prepared = prepare(net, scenario, check=check)
    outcome = simulate(prepared, settings=settings, audit=audit, progress=progress)
    benchmark = simulate(prepared, settings=settings.model_copy(update={"feedback": False}))
    return Cascade(prepared, settings, outcome, benchmark)

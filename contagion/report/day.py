"""A day of a market: how each figure that was published of it is measured in a run.

Minutes count from the scenario's start; what happens in a round is timed at its start. A fall is that of the spot book where
there is one, as the published falls are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.journal import FORCED, Flow
from contagion.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from contagion.cascade import Cascade

    Floats = NDArray[np.float64]

NAN: Final = float("nan")
BROKEN: Final = 0.95
"""Price over peg below which a stablecoin has broken on a book."""

DEPEG_MINUTE: Final = 46.0
"""21:36 UTC, when the published shares of before and after are split."""

WINDOW: Final = (25.0, 37.0)
"""21:15 to 21:27 UTC, the window of the published fills."""


@dataclass(frozen=True)
class Day:
    """A run as a day."""

    cascade: Cascade

    @cached_property
    def record(self) -> Record:
        """The run by label."""
        return Record(self.cascade)

    @cached_property
    def minutes(self) -> Floats:
        """Minutes from the start at which each round begins, and the end."""
        return np.asarray(np.arange(self.record.rounds + 1) * (self.record.round_seconds / 60.0))

    def book(self, coin: str, exchange: str) -> int:
        """Market of a coin, spot where there is one; -1 where there is none."""
        found = np.flatnonzero(self.record.where(exchange=exchange, coin=coin))
        spot = found[~self.record.system.markets.perp[found]]
        return int(spot[0] if spot.size else found[0]) if found.size else -1

    def path(self, coin: str, exchange: str) -> Floats:
        """Price of a coin on its book at the start of each round."""
        market = self.book(coin, exchange)
        return np.asarray(self.record.path[:, market]) if market >= 0 else np.full(self.record.rounds + 1, NAN)

    def fall(self, coin: str, exchange: str) -> float:
        """From the network's price to the low."""
        market = self.book(coin, exchange)
        return float(self.path(coin, exchange).min() / self.record.start[market] - 1.0) if market >= 0 else NAN

    def median_fall(self, exchange: str) -> float:
        """Median over the spot books of altcoins, the coins of that class in the shipped table."""
        from graphs.oct2025.facts import asset_class, perp_assets

        falls = [self.fall(coin, exchange) for coin in perp_assets() if asset_class(coin) == "alt"]
        return float(np.nanmedian(falls)) if np.isfinite(falls).any() else NAN

    def low(self, coin: str, exchange: str) -> float:
        """Lowest price."""
        return float(self.path(coin, exchange).min())

    def low_minute(self, coin: str, exchange: str) -> float:
        """When the price was lowest."""
        path = self.path(coin, exchange)
        return float(self.minutes[int(path.argmin())]) if np.isfinite(path).all() else NAN

    def break_minute(self, coin: str, exchange: str) -> float:
        """When a stablecoin's book first broke."""
        below = np.flatnonzero(self.path(coin, exchange) < BROKEN)
        return float(self.minutes[below[0]]) if below.size else NAN

    def order(self) -> float:
        """Minutes from the low of BTC to the break of USDe, on Binance."""
        return self.break_minute("USDe", "Binance") - self.low_minute("BTC", "Binance")

    def liquidated(self, *, exchange: str = "", coin: str = "", without: str = "") -> Floats:
        """Dollars liquidated in each round."""
        where = self.record.where(exchange=exchange, coin=coin)
        if without:
            where &= ~self.record.where(exchange=without)
        return self.record.usd_by_round(*FORCED, where=where)

    def label(self, name: str) -> float:
        """Dollars liquidated at an exchange, or of a coin."""
        known = self.record.system
        if name in known.exchanges.names:
            return float(self.liquidated(exchange=name).sum())
        return float(self.liquidated(coin=name).sum()) if name in known.coins.names else NAN

    def window(self, exchange: str) -> float:
        """Dollars liquidated in the window of published fills."""
        within = (self.minutes[:-1] >= WINDOW[0]) & (self.minutes[:-1] < WINDOW[1])
        return float(self.liquidated(exchange=exchange)[within].sum())

    def by_minute(self) -> Floats:
        """Dollars liquidated in each minute outside Hyperliquid, whose fills the published minutes do not hold; empty for longer rounds."""
        if not self.record.round_seconds <= 60:  # noqa: PLR2004 - a minute
            return np.empty(0)
        minute = np.floor(self.minutes[:-1] + 1e-9).astype(np.int64)
        return np.asarray(np.bincount(minute, weights=self.liquidated(without="Hyperliquid")), dtype=np.float64)

    def peak_minute(self) -> float:
        """Which minute had most liquidations."""
        usd = self.by_minute()
        return float(usd.argmax()) if usd.any() else NAN

    def peak_usd(self) -> float:
        """Liquidations of that minute."""
        return float(self.by_minute().max(initial=0.0))

    def share_before(self, exchange: str) -> float:
        """Share of liquidations before the depeg."""
        usd = self.liquidated(exchange=exchange)
        return float(usd[self.minutes[:-1] < DEPEG_MINUTE].sum() / usd.sum()) if usd.any() else NAN

    def long_share(self) -> float:
        """Share of longs in what was liquidated."""
        total = float(self.record.usd(*FORCED).sum())
        return float(self.record.longs(*FORCED).sum()) / total if total else NAN

    def largest(self) -> float:
        """Largest liquidation of one account in one round."""
        accounts = self.cascade.outcome.state.journal.accounts
        return max((float(usd.max()) for kind in FORCED for _, _, usd in accounts[kind]), default=0.0)

    def interest_change(self, *, exchange: str = "", coin: str = "", usd: bool = True) -> float:
        """Relative change of open interest, in dollars or in coins."""
        where = self.record.where(exchange=exchange, coin=coin, perp=True)
        before = float(self.record.interest(usd=usd)[where].sum())
        return float(self.record.interest(end=True, usd=usd)[where].sum()) / before - 1.0 if before else NAN

    def of_exchange(self, column: str, exchange: str) -> float:
        """A cell of the table of exchanges."""
        table = self.cascade.exchanges
        cells = table.loc[table["exchange"] == exchange, column].to_numpy(dtype=np.float64)
        return float(cells[0]) if cells.size else NAN

    def fund_used(self, exchange: str) -> float:
        """Net use of an insurance fund."""
        return self.of_exchange("fund_start_usd", exchange) - self.of_exchange("fund_end_usd", exchange)

    def adl(self, exchange: str) -> float:
        """Dollars closed by auto-deleveraging."""
        return float(self.record.usd(Flow.ADL)[self.record.where(exchange=exchange)].sum())

    def adl_share(self, exchange: str) -> float:
        """Of these over the dollars liquidated."""
        usd = float(self.liquidated(exchange=exchange).sum())
        return self.adl(exchange) / usd if usd else NAN

    def adl_delay(self, exchange: str) -> float:
        """Seconds from the first liquidation to the first auto-deleveraging."""
        where = self.record.where(exchange=exchange)
        first = [np.flatnonzero(self.record.usd_by_round(*kinds, where=where)) for kinds in (FORCED, (Flow.ADL,))]
        return float(first[1][0] - first[0][0]) * self.record.round_seconds if all(found.size for found in first) else NAN

    def adl_of_vault(self, exchange: str) -> float:
        """Share of auto-deleveraging whose bankrupt side is the exchange's vault."""
        system = self.record.system
        if exchange not in system.exchanges.names:
            return NAN
        place = system.exchanges.names.index(exchange)
        hits = [
            (account[here], usd[here])
            for _, account, usd in self.cascade.outcome.state.journal.accounts[Flow.ADL]
            if (here := system.accounts.exchange[account] == place).any()
        ]
        total = sum(float(usd.sum()) for _, usd in hits)
        vault = system.exchanges.vault_account[place]
        return sum(float(usd[account == vault].sum()) for account, usd in hits) / total if total else NAN

    def profit(self, prefix: str) -> float:
        """Change of equity of all traders whose name begins so."""
        nodes, outcome = self.record.system.nodes, self.cascade.outcome
        names = nodes.ids.slice(0, nodes.traders)
        import pyarrow.compute as pc

        rows = np.flatnonzero(pc.starts_with(names, prefix).to_numpy(zero_copy_only=False))
        return float((outcome.state.node_equity - outcome.initial.node_equity)[rows].sum()) if rows.size else NAN

    def defaults(self) -> float:
        """Exchanges that defaulted."""
        return float((self.cascade.outcome.state.exchange_default >= 0).sum())

    def supply(self, coin: str) -> float:
        """Supply of a stablecoin at the end."""
        names = self.record.system.coins.names
        return float(self.cascade.outcome.state.supply[names.index(coin)]) if coin in names else NAN

    def sold(self, coin: str, exchange: str) -> float:
        """What the scenario sells into a book, at the network's price."""
        market = self.book(coin, exchange)
        units = self.cascade.outcome.state.journal.total_units(Flow.IMPOSED, self.record.start.size)
        return float(units[market] * self.record.start[market]) if market >= 0 else NAN

    def thinnest(self, coin: str, exchange: str) -> float:
        """Lowest depth of a book over that of fifteen minutes before."""
        market = self.book(coin, exchange)
        if market < 0:
            return NAN
        depth = self.cascade.path("depth")[:, market]
        back = max(1, round(15 * 60 / self.record.round_seconds))
        low = int(depth.argmin())
        return float(depth[low] / depth[max(0, low - back)])

    def shut_minute(self, kind: str, exchange: str) -> float:
        """When the scenario shuts transfers at an exchange."""
        for stage in self.cascade.prepared.scenario.stages:
            if stage.time is not None and any((s.kind, s.target, s.value) == (kind, exchange, 0.0) for s in stage.shocks):
                return stage.time / 60.0
        return NAN


MEASURES: Final[tuple[tuple[str, str, Callable[..., float]], ...]] = (
    (r"fall\.altcoin_median@(.+)", "median fall of an altcoin, {0}", Day.median_fall),
    (r"fall\.(.+)@(.+)", "fall of {0}, {1}", Day.fall),
    (r"low\.(.+)@(.+)", "low of {0}, {1}", Day.low),
    (r"order\.btc_low_before_depeg", "BTC's low to USDe's break, Binance", Day.order),
    (r"time\.btc_low", "BTC's low, after the start", lambda day: day.low_minute("BTC", "Binance")),
    (r"time\.peak_minute", "minute of most liquidations", Day.peak_minute),
    (r"time\.depeg_start", "USDe breaks after the start", lambda day: day.break_minute("USDe", "Binance")),
    (r"liquidated\.before_depeg_share@(.+)", "liquidated before 21:36, {0}", Day.share_before),
    (r"liquidated\.total", "liquidated", lambda day: day.liquidated().sum()),
    (r"liquidated\.(.+)_window", "in 21:15–21:27, {0}", Day.window),
    (r"liquidated\.long_share", "longs in what was liquidated", Day.long_share),
    (r"liquidated\.peak_minute", "liquidated in the peak minute", Day.peak_usd),
    (r"liquidated\.largest", "largest single liquidation", Day.largest),
    (r"liquidated\.(.+)", "liquidated, {0}", Day.label),
    (r"oi_change\.total", "OI change", Day.interest_change),
    (r"oi_change\.(.+)_coins", "OI change, {0} in coins", lambda day, coin: day.interest_change(coin=coin, usd=False)),
    (
        r"oi_change\.(.+)@(.+)",
        "OI change, {0} at {1}",
        lambda day, coin, exchange: day.interest_change(coin=coin, exchange=exchange),
    ),
    (r"oi_change\.(.+)", "OI change, {0}", lambda day, exchange: day.interest_change(exchange=exchange)),
    (r"fund_used\.(.+)", "insurance fund used, {0}", Day.fund_used),
    (r"adl\.share_of_liquidations@(.+)", "ADL / liquidated, {0}", Day.adl_share),
    (r"adl\.first_after_first_liquidation@(.+)", "liquidation to ADL, {0}", Day.adl_delay),
    (r"adl\.vault_share@(.+)", "vault's share of ADL, {0}", Day.adl_of_vault),
    (r"adl\.(.+)", "ADL, {0}", Day.adl),
    (r"hlp\.pnl", "profit of the HLP vaults", lambda day: day.profit("HLP ")),
    (r"bad_debt\.(.+)", "bad debt, {0}", lambda day, exchange: day.of_exchange("bad_debt_usd", exchange)),
    (r"defaults\.exchanges", "exchanges that defaulted", Day.defaults),
    (r"supply\.(.+)", "supply of {0} at the end", Day.supply),
    (r"sale\.(.+)@(.+)", "{0} sold, {1}", Day.sold),
    (r"depth\.(.+)@(.+)", "depth of {0} left, {1}", Day.thinnest),
    (r"outage\.(transfers)@(.+)", "{0} shut, {1}", Day.shut_minute),
)
"""Measures by the pattern of their key, with a short label; the first that matches counts."""

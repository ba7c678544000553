"""Drivers: the dimensions along which a network can be shocked, each with a size, a shock of that size, and how rare it is.

The size of a continuous driver is the fraction s that is lost of a price, of a peg or of depth: the factor is 1 - s (for a
rise, 1 + s). In standard deviations a size is -ln(1 - s)/σ. A binary driver happens (s = 1) or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from contagion.documents import remedy_for
from contagion.errors import RunError
from contagion.grid import group_sum
from contagion.notation import write_name
from contagion.shocks import EVERYWHERE, Shock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contagion.arrays import Floats, Ints
    from contagion.search.risk import Risk
    from contagion.system import System

Kind = Literal["price", "peg", "depth", "default", "outage"]
LARGE_TRADERS: Final = 100
"""Traders whose default is a driver, unless another number is asked for."""


@dataclass(frozen=True, slots=True)
class Driver:
    """One dimension of shocks.

    Attributes
    ----------
    kind
        What moves.
    target, exchange
        Whose; on one exchange, or everywhere if that is empty.
    sigma
        Standard deviation of the logarithm of the factor over the horizon; of a binary driver the number of standard
        deviations that it counts as.
    limit
        Largest size that is asked for.
    rises
        Whether the price rises by s instead of falling.
    usd
        What it is large by: USD of positions and debts of a trader, of open interest of a coin or an exchange.
    """

    kind: Kind
    target: str
    exchange: str
    sigma: float
    limit: float = 1.0
    rises: bool = False
    usd: float = 0.0

    @property
    def binary(self) -> bool:
        """Whether it happens or not."""
        return self.kind in {"default", "outage"}

    @property
    def key(self) -> str:
        """Its name, unique in a network.

        Examples
        --------
        >>> Driver("peg", "USDe", "Binance", 0.02).key, Driver("price", "BTC", "", 0.03).key
        ('peg:USDe@Binance', 'BTC')
        """
        name = write_name(self.target) + (f"@{write_name(self.exchange)}" if self.exchange else "")
        if self.kind == "price":
            return f"{name} up" if self.rises else name
        return f"{self.kind}:{name}"

    def shock(self, size: float = 1.0) -> Shock:
        """The shock of this size.

        Examples
        --------
        >>> str(Driver("price", "BTC", "", 0.03).shock(0.15)), str(Driver("depth", "*", "", 0.5).shock(0.9))
        ('BTC=-15%', 'depth:*=0.09999999999999998')
        """
        if self.binary:
            return Shock(kind="default" if self.kind == "default" else "outage", target=self.target, value=1.0)
        if self.kind == "price":
            return Shock(kind="price", target=self.target, exchange=self.exchange, value=size if self.rises else -size)
        kind: Literal["depeg", "depth"] = "depeg" if self.kind == "peg" else "depth"
        return Shock(kind=kind, target=self.target, exchange=self.exchange, value=1.0 - size)

    def sigmas(self, size: float = 1.0) -> float:
        """Standard deviations of a move of this size."""
        if self.binary:
            return self.sigma
        return (math.log1p(size) if self.rises else -math.log1p(-size)) / self.sigma

    def size(self, sigmas: float) -> float:
        """Size of a move of so many standard deviations, at least 0 and at most the limit."""
        if self.binary:
            return 1.0
        move = max(sigmas, 0.0) * self.sigma
        return min(math.expm1(move) if self.rises else -math.expm1(-move), self.limit)

    def words(self, size: float = 1.0) -> str:
        """The size as it is printed.

        Examples
        --------
        >>> Driver("price", "BTC", "", 0.03).words(0.1523), Driver("depth", "*", "", 0.5).words(0.9)
        ('-15.23 %', '× 0.1')
        """
        if self.binary:
            return self.kind
        if self.kind == "price":
            return f"{'+' if self.rises else '-'}{100 * size:.4g} %"
        return f"{'to ' if self.kind == 'peg' else '× '}{1 - size:.4g}"


def drivers_of(system: System, risk: Risk, *, traders: int = LARGE_TRADERS, rises: bool = False) -> tuple[Driver, ...]:
    """All drivers of a network.

    They are each asset's price, each stablecoin's peg everywhere and on each exchange that quotes it, each exchange's
    default, outage and depth, depth everywhere, and each large trader's default.

    Parameters
    ----------
    traders
        How many traders count as large; they are those with the most USD in positions and debts, equal ones by name.
    rises
        Whether rising prices of assets are drivers too.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from contagion.search.risk import Risk
    >>> from graphs.toys import one_book_ladder
    >>> [driver.key for driver in drivers_of(compile_system(one_book_ladder()), Risk(), traders=1)]
    ['COIN', 'default:Book', 'outage:Book', 'depth:Book', 'depth:*', 'default:Whale']
    """
    nodes, coins, markets, names = system.nodes, system.coins, system.markets, system.exchanges.names
    root = math.sqrt(risk.horizon_days)
    by_market = open_interest(system)
    by_coin = group_sum(markets.coin, by_market, len(coins.names))
    by_exchange = group_sum(markets.exchange, by_market, nodes.exchanges)
    found: list[Driver] = []
    for coin in range(nodes.assets):
        sigma = (float(coins.volatility[coin]) or risk.volatility) * root
        falls = Driver("price", coins.names[coin], "", sigma, FALL, usd=float(by_coin[coin]))
        found += [falls, replace(falls, rises=True)] if rises else [falls]
    for coin in range(nodes.assets, nodes.assets + nodes.stablecoins):
        name, usd = coins.names[coin], float(by_coin[coin])
        found.append(Driver("peg", name, "", (float(coins.volatility[coin]) or risk.peg_volatility) * root, FALL, usd=usd))
        for exchange in np.unique(markets.exchange[markets.coin == coin]):
            found.append(Driver("peg", name, names[exchange], risk.venue_peg_volatility * root, FALL, usd=usd))
    for exchange, name in enumerate(names):
        usd = float(by_exchange[exchange])
        found.append(Driver("default", name, "", risk.sigmas_of_probability(risk.probability("exchange", name)), usd=usd))
        found.append(Driver("outage", name, "", risk.sigmas_of_probability(risk.probability("outage", name)), usd=usd))
        found.append(Driver("depth", name, "", risk.depth_volatility * root, DEPTH, usd=usd))
    if names:
        found.append(Driver("depth", EVERYWHERE, "", risk.depth_volatility * root, DEPTH, usd=float(by_market.sum())))
    for name, usd in large_traders(system, traders):
        found.append(Driver("default", name, "", risk.sigmas_of_probability(risk.probability("trader", name)), usd=usd))
    return tuple(found)


FALL: Final = 0.9
"""Largest fall of a price or a peg that is asked for."""
DEPTH: Final = 0.99
"""Largest loss of depth: a book keeps a hundredth of it whatever happens."""


def open_interest(system: System) -> Floats:
    """USD of positions by market, both sides, at the network's prices."""
    accounts, markets = system.accounts, system.markets
    return group_sum(accounts.market, np.abs(accounts.quantity), markets.count) * markets.price


def large_traders(system: System, count: int) -> list[tuple[str, float]]:
    """Id and USD of positions and debts of the largest traders, the largest first, equal ones by id."""
    accounts, nodes = system.accounts, system.nodes
    rows = np.repeat(accounts.owner, np.diff(accounts.start))
    usd = group_sum(rows, np.abs(accounts.quantity) * system.markets.price[accounts.market], nodes.count)
    usd += group_sum(system.claims.debtor, system.claims.amount, nodes.count)
    large = usd[: nodes.traders]
    some: Ints = np.flatnonzero(large > 0)
    order = some[np.argsort(-large[some], kind="stable")][:count]
    return [(nodes.name(int(node)), float(large[node])) for node in order]


def pick_drivers(drivers: Sequence[Driver], keys: Sequence[str]) -> tuple[Driver, ...]:
    """The drivers of these keys; all of them where no key is given.

    Raises
    ------
    RunError
        If a key is none of them.
    """
    if not keys:
        return tuple(drivers)
    by_key = {driver.key: driver for driver in drivers}
    for key in keys:
        if key not in by_key:
            raise RunError(f"{key} is no driver of this network; {remedy_for(key, list(by_key))}")
    return tuple(by_key[key] for key in keys)

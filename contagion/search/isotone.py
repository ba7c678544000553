"""Where a larger shock never does less, and why it may elsewhere.

A shock is larger if prices fall further, books are thinner, more is sold from outside, or more traders without shorts default. On
an isotone network a larger shock ends with prices no higher and no fewer accounts liquidated. What its benchmark without
feedback closes rises too, so that condition (a), which is their difference, is *not* a threshold even there: a shock that
liquidates everybody at once leaves feedback nothing to add. See :class:`contagion.search.bisection.Isotone`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.grid import group_sum
from contagion.impact import K_UNIT
from contagion.search import features
from contagion.search.envelope.onset import Onset
from contagion.steps.execution import DEPTH_FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from contagion.arrays import Floats
    from contagion.search.features import Liable
    from contagion.settings import Settings
    from contagion.shocks import Shock
    from contagion.system import System


def obstacles(system: System, settings: Settings, shocks: Iterable[Shock] = ()) -> tuple[str, ...]:
    """Every feature for which a larger shock may do less, in words; empty on an isotone network.

    Parameters
    ----------
    shocks
        The largest shocks that are asked about: the answer holds for them and all smaller ones.

    Notes
    -----
    Without an obstacle all orders are sales by accounts that are closed whole, once. Marks are non-decreasing functions of mids, log
    mids (mids under linear impact) fall by k·Q whatever the order and the rounds in which Q is sold, and health is non-decreasing in
    marks. So the run is the iteration from below to the least fixed point of a non-decreasing map, which rises with the shock
    (Tarski). Each obstacle breaks one of these steps. Among them are some that are easily missed: square-root impact and the
    withdrawal of quotes make the same sales move a price farther in two rounds than in one; stops close a position that then
    is not there to be liquidated; an exchange that fails settles accounts without a trade.

    The test of each is one-sided: an obstacle that is listed may do no harm. Cost O(rows of the network).

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from contagion.settings import Settings
    >>> from contagion.shocks import parse_shock
    >>> from graphs.toys import one_book_ladder
    >>> system = compile_system(one_book_ladder())
    >>> obstacles(system, Settings(), [parse_shock("COIN=-20%")])
    ()
    >>> obstacles(system, Settings(impact="square_root"), [parse_shock("COIN=+20%")])[1]
    'the shock COIN=20% is no fall of a price, loss of depth, sale, or default of a trader without shorts'
    """
    from contagion.engine import open_system

    shocks = tuple(shocks)
    state = open_system(system, settings).state
    onset = Onset.of(system, state.coin_price, (), shocks)
    marks = np.maximum(state.books.mark, state.books.price)
    liable = features.Liable(system, np.zeros(system.markets.count), marks)
    return (*_settings(settings), *_shocks(system, shocks), *_accounts(liable), *_network(system), *_outliers(system, settings, onset))


def _settings(settings: Settings) -> Iterator[str]:
    if settings.impact == "square_root":
        yield "square-root impact moves a price farther if the same sales come in more rounds"
    if settings.withdrawal > 0:
        yield "quotes are withdrawn as prices move, so that the same sales move a price farther if they come later"


def _shocks(system: System, shocks: Iterable[Shock]) -> Iterator[str]:
    """Shocks outside the order."""
    for shock in shocks:
        if not _falls(system, shock):
            yield f"the shock {shock} is no fall of a price, loss of depth, sale, or default of a trader without shorts"


def _falls(system: System, shock: Shock) -> bool:
    markets, nodes = system.markets, system.nodes
    if shock.kind == "price":
        return shock.value <= 0
    if shock.kind == "depeg":
        coin = system.node(shock.target) - nodes.coin0
        here = markets.coin == coin
        if shock.exchange:
            here = here & (markets.exchange == system.node(shock.exchange) - nodes.exchange0)
        peg = system.coins.peg[coin]
        return shock.value <= 1 and (not np.isfinite(peg) or bool((shock.value * peg <= markets.price[here]).all()))
    if shock.kind == "depth":
        return shock.value <= 1
    if shock.kind == "sale":
        return shock.value >= 0
    if shock.kind == "default":
        node = system.node(shock.target)
        accounts = system.accounts
        rows = np.repeat(accounts.owner == node, np.diff(accounts.start))
        coins = np.repeat(accounts.owner == node, np.diff(accounts.coin_start))
        sells_coins = bool((accounts.coin_quantity[coins] > 0).any())
        return node < nodes.coin0 and not sells_coins and not bool((accounts.quantity[rows] < 0).any())
    return False


def _accounts(liable: Liable) -> Iterator[str]:
    short = liable.short()
    if short.size:
        yield f"short positions may be closed, which raises prices: {features.owners_named(liable.system, short)}"
    yield from features.partial_liquidation(liable)
    yield from features.backstops(liable)
    yield from features.loss_rules(liable)
    yield from features.top_ups(liable)
    yield from features.coin_sales(liable)
    yield from _flat_brackets(liable)


def _flat_brackets(liable: Liable) -> Iterator[str]:
    """Where a flat bracket begins, a lower price lowers the maintenance margin at a stroke."""
    system = liable.system
    markets, accounts = system.markets, system.accounts
    flat = ~system.exchanges.marginal[markets.exchange] & (np.diff(markets.tier_start) > 1)
    rows = np.flatnonzero(liable.flags[liable.position] & (accounts.quantity > 0))
    rows = rows[flat[accounts.market[rows]]]
    if rows.size:
        where = np.zeros(len(system.exchanges.names), dtype=np.bool_)
        where[markets.exchange[accounts.market[rows]]] = True
        yield f"flat maintenance brackets at {features.exchanges_named(system, where)}"


def _network(system: System) -> Iterator[str]:
    yield from features.voluntary_stops(system)
    yield from features.credit(system)
    yield from features.leverage_rules(system)
    yield from features.arbitrageurs(system)
    yield from features.redemptions(system)
    yield from features.makers(system)


def lowest_prices(system: System, settings: Settings, onset: Onset) -> Floats:
    """Price of each market after every long position has been sold into its thinnest book, USD."""
    markets, accounts = system.markets, system.accounts
    units = group_sum(accounts.market, np.maximum(accounts.quantity, 0.0), markets.count) + onset.sold
    depth = markets.depth * np.maximum(onset.depth_low, DEPTH_FLOOR)
    if settings.impact == "exponential":
        return np.asarray(onset.low * np.exp(-K_UNIT * units / depth))
    return np.maximum(onset.low - 0.01 * markets.price * units / depth, 0.0)


def _outliers(system: System, settings: Settings, onset: Onset) -> Iterator[str]:
    """Indices from which a source may be left out: its price, as far as others can fall, is outside the tolerance."""
    markets, exchanges = system.markets, system.exchanges
    tolerances = [float(exchanges.outlier[x]) for x in range(len(exchanges.names)) if exchanges.mark_oracle[x] == "index"]
    if not tolerances:
        return
    low, tolerance = lowest_prices(system, settings, onset), min(tolerances)
    for coin in range(len(system.coins.names)):
        for perp in (False, True):
            rows = np.flatnonzero((markets.coin == coin) & (markets.perp == perp) & (markets.weight > 0))
            if rows.size > 1 and (
                onset.high[rows].max() > (1 + tolerance) * low[rows].min() or low[rows].min() < (1 - tolerance) * onset.high[rows].max()
            ):
                yield f"the index of {system.coins.names[coin]} may leave a source out (outlier rule)"
                break

"""Toy networks: the smallest markets in which each mechanism of a cascade can be seen and computed by hand.

Every toy is a fixed point until it is shocked: no account is in breach, no book has a gap to another, no coin trades
under what it can be redeemed for. Orientation and units are those of :mod:`graphs.schema`: prices in USD a unit,
quantities in units (negative is short), depth in USD that moves a mid price by 1 %, rates as plain fractions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graphs.errors import GraphError
from graphs.network import Network
from graphs.schema import USD

if TYPE_CHECKING:
    from collections.abc import Sequence

PERCENT = 0.01
"""The move that a depth is quoted for."""

BOOK = "exchange asset instrument price depth collateral_haircut"
BRACKET = "exchange asset floor maintenance_rate max_leverage"
POSITION = "owner asset exchange quantity entry_price"
DEPOSIT = "owner asset exchange quantity"
RESERVE = "stablecoin asset quantity custodian"
CAPACITY = "trader asset capacity"


def one_book_ladder(
    *,
    price: float = 100.0,
    quantities: Sequence[float] = (4.0, 3.0, 3.0, 2.0, 4.0),
    liquidation_prices: Sequence[float] = (97.0, 96.5, 95.5, 93.0, 85.0),
    maintenance_rate: float = 0.01,
    kappa: float = 0.5,
    depth: float | None = None,
    exchange: str = "Book",
) -> Network:
    """Build one perpetual exchange with a ladder of longs against one well-capitalised short.

    Nobody else pays for a loss: the house is large and there is no fund, no deleveraging and no credit, so the only
    mechanism is that a liquidation moves the price towards the next one.

    Parameters
    ----------
    price
        Price P₀ of the coin, at which every position was opened.
    quantities
        Units of each long, the first falling first when ``liquidation_prices`` fall.
    liquidation_prices
        Price at which each long is in breach, below P₀.
    maintenance_rate
        Maintenance margin over notional, at any size.
    kappa
        Fall of the price in USD for each unit sold, under linear impact.
    depth
        Depth of the book in USD, in place of ``kappa``, which it fixes at 0.01·P₀²/depth.
    exchange
        Name of the exchange.

    Returns
    -------
    Network
        Traders ``Long1``, ``Long2``, … and ``Whale``, one coin ``COIN``, one exchange.

    Raises
    ------
    GraphError
        If there is no long, a long has no liquidation price of its own between 0 and P₀, or a number has no meaning.

    Notes
    -----
    For linear impact and liquidation prices L₁ ≥ L₂ ≥ … with cumulative sizes Q_k, the least relative shock that
    liquidates at least K longs is s*_K = max over 0 ≤ k < K of 1 − (L_{k+1} + κ Q_k)/P₀.

    Examples
    --------
    >>> net = one_book_ladder(quantities=[1.0, 2.0], liquidation_prices=[95.0, 90.0], kappa=0.25)
    >>> net.node_ids("trader")
    ['Long1', 'Long2', 'Whale']
    >>> net.numbers("margin", "quantity")
    array([ 1.,  2., -3.])
    >>> net.numbers("market", "depth")
    array([400.])
    """
    _need_positive(price=price, kappa=kappa, **({} if depth is None else {"depth": depth}))
    if not 0 <= maintenance_rate < 1:
        raise GraphError(f"one_book_ladder: maintenance_rate is {maintenance_rate}; give a fraction from 0 to below 1")
    counts = f"{len(quantities)} quantities and {len(liquidation_prices)} liquidation prices"
    if not quantities or len(quantities) != len(liquidation_prices):
        raise GraphError(f"one_book_ladder: {counts}; give at least one, and as many of each")
    steps = [*zip(quantities, liquidation_prices, strict=True)]
    bad = [str(number) for number, (size, level) in enumerate(steps, 1) if not (0 < size < math.inf and 0 < level < price)]
    if bad:
        raise GraphError(
            f"one_book_ladder: long {', '.join(bad)} has no size above 0 or no liquidation price between 0 and {price:g};"
            " change it or leave it out"
        )
    total = math.fsum(quantities)
    longs = [f"Long{number}" for number in range(1, len(steps) + 1)]
    # In breach at L exactly: U + q (L − P₀) = rate · q · L.
    margins = [size * (price - level * (1 - maintenance_rate)) for size, level in steps]
    max_leverage = min(100.0, max(1.0, 0.5 / maintenance_rate)) if maintenance_rate else 100.0
    return Network(
        name="one_book_ladder",
        sources=("made up: one book of longs with a closed form",),
        tables={
            "trader": _table("id role", *((owner, "retail") for owner in longs), ("Whale", "fund")),
            "asset": _table("id price", ("COIN", price)),
            "exchange": _table("id equity loss_rule", (exchange, 10 * total * price, "none")),
            "market": _table(BOOK, (exchange, "COIN", "perp", price, PERCENT * price * price / kappa if depth is None else depth, 1.0)),
            "margin_tier": _table(BRACKET, (exchange, "COIN", 0.0, maintenance_rate, max_leverage)),
            "margin": _table(
                POSITION,
                *((owner, "COIN", exchange, size, price) for owner, size in zip(longs, quantities, strict=True)),
                ("Whale", "COIN", exchange, -total, price),
            ),
            "collateral": _table(
                DEPOSIT,
                *((owner, USD, exchange, usd) for owner, usd in zip(longs, margins, strict=True)),
                ("Whale", USD, exchange, 10 * total * price),
            ),
        },
    )


def two_exchange_stablecoin(
    *,
    price: float = 100.0,
    leverage: float = 8.0,
    haircut: float = 0.05,
    depth: float = 20_000.0,
    thin_depth: float = 2_000.0,
    arbitrage: float = 5_000.0,
    redemption_capacity: float = 2_000.0,
) -> Network:
    """Build two exchanges that take one stablecoin as margin, one of which prices it off its own thin book.

    ``Deep`` values margin by the index over exchanges, ``Thin`` by its own book. A sale of the coin on ``Thin`` is a
    margin call there; what is liquidated pushes BTC down on both exchanges and puts more of the coin on the thin
    book. Against it work an arbitrageur and redemption, whose issuer in turn sells BTC on its custodian's book.

    Parameters
    ----------
    price
        Price of BTC.
    leverage
        Notional of the most levered long over its collateral; the others have a half and a third of it.
    haircut
        Share of the stablecoin that is no margin, on both exchanges.
    depth, thin_depth
        Depth of each book in USD, on ``Deep`` and on ``Thin``.
    arbitrage
        Most that the arbitrageur buys of each coin during a cascade, USD.
    redemption_capacity
        Most that is redeemed in a round, USD.

    Returns
    -------
    Network
        Exchanges ``Deep`` and ``Thin``, coins ``BTC`` and ``USDX``, six longs, ``Short``, ``Arbitrageur``.

    Raises
    ------
    GraphError
        If a number has no meaning, or the most levered long would be in breach from the start.

    Examples
    --------
    >>> net = two_exchange_stablecoin()
    >>> dict(zip(net.node_ids("exchange"), net.strings("exchange", "collateral_oracle"), strict=True))
    {'Deep': 'index', 'Thin': 'internal'}
    >>> float(net.numbers("margin", "quantity").sum())
    0.0
    """
    _need_positive(price=price, leverage=leverage, depth=depth, thin_depth=thin_depth, redemption_capacity=redemption_capacity)
    rate = 0.01
    if not 0 <= haircut < 1 or arbitrage < 0:
        raise GraphError(
            f"two_exchange_stablecoin: haircut is {haircut} and arbitrage {arbitrage}; give a fraction from 0 to below 1, and 0 USD or more"
        )
    if (1 - haircut) / leverage <= rate:
        raise GraphError(
            f"two_exchange_stablecoin: at leverage {leverage:g} and haircut {haircut:g} a long is in breach from the start;"
            f" keep the leverage under {(1 - haircut) / rate:g}"
        )
    venues = {"Deep": (depth, "index"), "Thin": (thin_depth, "internal")}
    sizes = {"High": (40.0, leverage), "Middle": (40.0, leverage / 2), "Low": (20.0, leverage / 3)}
    longs = [(f"{level}{venue}", venue, size, size * price / ratio) for venue in venues for level, (size, ratio) in sizes.items()]
    total = math.fsum(size for size, _ in sizes.values())
    supply = 2 * math.fsum(stored for *_, stored in longs)
    return Network(
        name="two_exchange_stablecoin",
        sources=("made up: a stablecoin as margin on a deep and on a thin exchange",),
        tables={
            "trader": _table(
                "id role cash",
                *((owner, "retail", 0.0) for owner, *_ in longs),
                ("Short", "fund", 0.0),
                ("Arbitrageur", "market_maker", 2 * arbitrage),
            ),
            "asset": _table("id price", ("BTC", price)),
            "stablecoin": _table(
                "id supply design redemption_fee redemption_capacity", ("USDX", supply, "overcollateralised", 0.001, redemption_capacity)
            ),
            "exchange": _table(
                "id insurance_fund equity mark_oracle collateral_oracle",
                *((venue, 200.0, 1_000.0, "index", oracle) for venue, (_, oracle) in venues.items()),
            ),
            "market": _table(
                BOOK,
                *(
                    (venue, coin, instrument, quote, usd, cut)
                    for venue, (usd, _) in venues.items()
                    for coin, instrument, quote, cut in (
                        ("BTC", "spot", price, 1.0),
                        ("BTC", "perp", price, 1.0),
                        ("USDX", "spot", 1.0, haircut),
                    )
                ),
            ),
            "margin_tier": _table(BRACKET, *((venue, "BTC", 0.0, rate, 0.5 / rate) for venue in venues)),
            "margin": _table(
                POSITION,
                *((owner, "BTC", venue, size, price) for owner, venue, size, _ in longs),
                *(("Short", "BTC", venue, -total, price) for venue in venues),
            ),
            "collateral": _table(
                DEPOSIT,
                *((owner, "USDX", venue, stored) for owner, venue, _, stored in longs),
                *(("Short", USD, venue, 2 * total * price) for venue in venues),
            ),
            "backing": _table(RESERVE, ("USDX", USD, 0.3 * supply, None), ("USDX", "BTC", 0.8 * supply / price, "Deep")),
            "arbitrage": _table(CAPACITY, ("Arbitrageur", "BTC", arbitrage), ("Arbitrageur", "USDX", arbitrage)),
        },
    )


def delta_neutral_issuer(
    *,
    price: float = 100.0,
    units: float = 100.0,
    levered: float = 40.0,
    leverage: float = 10.0,
    depth: float = 1_000_000.0,
    surplus: float = 0.0,
) -> Network:
    """Build an issuer whose coin is backed by spot units and as many short perpetual contracts.

    What the spot loses the hedge earns, until the exchange deleverages the hedge: then every contract that is closed
    at the bankruptcy price of a long costs its distance to the mark, and leaves a unit of spot without a hedge.

    Parameters
    ----------
    price
        Price of the coin, at which all positions were opened.
    units
        Spot units in backing, and contracts that the issuer is short.
    levered
        Contracts of the levered long; another long, without leverage, holds the rest.
    leverage
        Notional of the levered long over its collateral, so that its bankruptcy price is price·(1 − 1/leverage).
    depth
        Depth of each book in USD.
    surplus
        USD that the issuer keeps beyond what covers its supply: what it can lose and still be solvent.

    Returns
    -------
    Network
        Issuer ``USDN``, asset ``COIN``, exchange ``Venue``, traders ``Levered``, ``Unlevered``, ``Arbitrageur``. Backing
        and the issuer's account are worth its supply at the peg, and the surplus.

    Raises
    ------
    GraphError
        If a number has no meaning, or the levered long holds more than there is.

    Examples
    --------
    >>> net = delta_neutral_issuer()
    >>> dict(zip(net.strings("margin", "owner"), net.numbers("margin", "quantity").tolist(), strict=True))
    {'Levered': 40.0, 'Unlevered': 60.0, 'USDN': -100.0}
    >>> net.numbers("stablecoin", "supply")
    array([11000.])
    """
    _need_positive(price=price, units=units, levered=levered, depth=depth)
    rate, margin = 0.005, 0.1 * units * price
    if not 0 <= surplus < math.inf:
        raise GraphError(f"delta_neutral_issuer: surplus is {surplus}; give 0 USD or more")
    if levered >= units or not 1 <= leverage < 1 / rate:
        raise GraphError(
            f"delta_neutral_issuer: the levered long has {levered:g} of {units:g} contracts at leverage {leverage:g};"
            f" give it fewer than all, at a leverage from 1 to below {1 / rate:g}"
        )
    return Network(
        name="delta_neutral_issuer",
        sources=("made up: spot backing hedged with short perpetuals",),
        tables={
            "trader": _table(
                "id role cash", ("Levered", "retail", 0.0), ("Unlevered", "fund", 0.0), ("Arbitrageur", "market_maker", margin)
            ),
            "asset": _table("id price", ("COIN", price)),
            "stablecoin": _table(
                "id supply design redemption_fee redemption_capacity", ("USDN", units * price + margin, "delta_neutral", 0.001, margin)
            ),
            "exchange": _table("id equity loss_rule adl_form adl_price", ("Venue", units * price, "adl", "position", "bankruptcy")),
            "market": _table(
                BOOK,
                ("Venue", "COIN", "spot", price, depth, 1.0),
                ("Venue", "COIN", "perp", price, depth, 1.0),
                ("Venue", "USDN", "spot", 1.0, depth, 1.0),
            ),
            "margin_tier": _table(BRACKET, ("Venue", "COIN", 0.0, rate, 0.5 / rate)),
            "margin": _table(
                POSITION,
                ("Levered", "COIN", "Venue", levered, price),
                ("Unlevered", "COIN", "Venue", units - levered, price),
                ("USDN", "COIN", "Venue", -units, price),
            ),
            "collateral": _table(
                DEPOSIT,
                ("Levered", USD, "Venue", levered * price / leverage),
                ("Unlevered", USD, "Venue", 1.5 * (units - levered) * price),
                ("USDN", USD, "Venue", margin),
            ),
            "backing": _table(RESERVE, ("USDN", "COIN", units, "Venue"), *([("USDN", USD, surplus, None)] if surplus else [])),
            "arbitrage": _table(CAPACITY, ("Arbitrageur", "COIN", margin), ("Arbitrageur", "USDN", margin)),
        },
    )


def interbank_ring(*, n: int = 4, amount: float = 100.0, cash: float = 30.0, external_debt: float = 20.0) -> Network:
    """Build a ring of banks without any market: each owes the next, and all owe outside creditors.

    Parameters
    ----------
    n
        How many banks.
    amount
        What each owes the next, USD, with seniority 1.
    cash, external_debt
        What each has, and owes outside, USD.

    Returns
    -------
    Network
        Traders ``Bank1`` to ``Bank<n>``; ``Bank1`` owes ``Bank2``, the last owes ``Bank1``. Each has cash − external_debt of equity.

    Raises
    ------
    GraphError
        If there are fewer than two banks, or a number has no meaning.

    Examples
    --------
    >>> net = interbank_ring(n=3)
    >>> [*zip(net.strings("credit", "debtor"), net.strings("credit", "creditor"), strict=True)]
    [('Bank1', 'Bank2'), ('Bank2', 'Bank3'), ('Bank3', 'Bank1')]
    """
    if n < 2:  # noqa: PLR2004 a ring of one owes itself
        raise GraphError(f"interbank_ring: n is {n}; a ring needs at least 2 banks")
    _need_positive(amount=amount)
    if not 0 <= external_debt <= cash:
        raise GraphError(f"interbank_ring: external debt {external_debt:g}, cash {cash:g}; give no bank less cash than external debt")
    banks = [f"Bank{number}" for number in range(1, n + 1)]
    return Network(
        name="interbank_ring",
        sources=("made up: banks in a ring of credit",),
        tables={
            "trader": _table("id role cash external_debt", *((bank, "lender", cash, external_debt) for bank in banks)),
            "credit": _table(
                "debtor creditor amount seniority",
                *((debtor, creditor, amount, 1) for debtor, creditor in zip(banks, banks[1:] + banks[:1], strict=True)),
            ),
        },
    )


def _table(columns: str, *rows: Sequence[Any]) -> pa.Table:
    names = columns.split()
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _need_positive(**numbers: float) -> None:
    bad = [f"{name} = {value}" for name, value in numbers.items() if not (value > 0 and math.isfinite(value))]
    if bad:
        raise GraphError(f"{', '.join(bad)}: give a finite number above 0")

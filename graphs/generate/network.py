"""The random network: its venues and their rules, and all tables put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa

from graphs.errors import GraphError
from graphs.generate.balances import Sheet, draw_holdings, draw_loans, holding_table, issuer_tables, loan_table, trader_columns
from graphs.generate.books import NOTIONAL, Books, draw_books
from graphs.generate.plan import Names, Plan, Rules, chance, coded, sums, table
from graphs.generate.positions import collateral_table, draw_deposits, draw_positions, margin_table
from graphs.network import Network
from graphs.schema import EXCHANGE, TRADER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

GAP = 0.004
"""Largest distance of a book from the asset's price, where nobody arbitrages it away."""
ROLES = TRADER.by_name["role"].choices


def random_network(
    *, seed: int, traders: int = 60, exchanges: int = 3, assets: int = 4, stablecoins: int = 2, rules: Rules = "all"
) -> Network:
    """Draw a random network that is sound, balanced and at rest.

    Parameters
    ----------
    seed
        What all draws are keyed by: the same arguments give the same bytes.
    traders
        Ordinary traders; market makers and vaults, one of each an exchange, or one rich short, come on top.
    exchanges, assets, stablecoins
        How many nodes of the other kinds. Only ``all`` has stablecoins.
    rules
        ``all``: every mechanism; with four exchanges each rule takes all of its values, with fewer it does over a few seeds.
        ``plain``: long and short, USD as margin, full liquidation, houses that never fail, no other mechanism.
        ``longs``: as plain, longs only against one short that nothing can liquidate, so that a larger shock never does less.

    Returns
    -------
    Network
        Called ``random-<rules>-<seed>``.

    Raises
    ------
    GraphError
        If there are too few nodes of a kind, or no such rules.

    Notes
    -----
    About half of the accounts are within 10 % of breach, four fifths within 20 %. One trader in ten is its neighbour's double,
    so that deleveraging meets equal scores. ``longs`` has marginal brackets only: where a flat bracket begins, a lower price
    lowers the maintenance margin at a stroke, and a larger shock can do less.

    Examples
    --------
    >>> net = random_network(seed=1, traders=10)
    >>> net.count("trader"), net.count("exchange"), net.count("stablecoin")
    (16, 3, 2)
    >>> net.equals(random_network(seed=1, traders=10))
    True
    """
    if rules not in get_args(Rules):
        raise GraphError(f"random_network: rules are {rules!r}; use one of {', '.join(get_args(Rules))}")
    sizes = {
        "seed": (seed, 0),
        "traders": (traders, 1),
        "exchanges": (exchanges, 1),
        "assets": (assets, 1),
        "stablecoins": (stablecoins, 0),
    }
    for name, (count, least) in sizes.items():
        if count < least:
            raise GraphError(f"random_network: {name} is {count}; make it at least {least}")
    plan = Plan(seed, traders, exchanges, assets, stablecoins if rules == "all" else 0, rules)
    names = plan.names()
    books = draw_books(plan)
    positions = draw_positions(plan, books)
    sheet = Sheet(plan, books, positions, draw_deposits(plan, books, positions), draw_holdings(plan, books), draw_loans(plan))
    tables = {
        "trader": _trader_table(sheet, names),
        "asset": _asset_table(sheet, names),
        "exchange": _exchange_table(sheet, names),
        "market": _market_table(sheet, names),
        "margin_tier": _tier_table(books, names),
        "margin": margin_table(names, books, positions),
        "collateral": collateral_table(names, sheet.deposits),
        "holding": holding_table(names, sheet.holdings),
        "credit": loan_table(names, sheet.loans),
    }
    if plan.stablecoins:
        tables |= issuer_tables(sheet, names)
    if plan.full:
        tables["liquidity"] = _liquidity_table(sheet, names)
        tables["arbitrage"] = _arbitrage_table(sheet, names)
    return Network(
        name=f"random-{rules}-{seed}",
        sources=("made up: a random network",),
        tables={kind: data for kind, data in tables.items() if data.num_rows},
    )


def _trader_table(sheet: Sheet, names: Names) -> pa.Table:
    plan = sheet.plan
    rng = plan.stream("roles")
    common = [ROLES.index(role) for role in ("retail", "retail", "retail", "fund", "fund", "lender", "protocol")]
    role = np.full(plan.traders, ROLES.index("vault"))
    role[: plan.ordinary] = rng.choice(common, plan.ordinary)
    role[plan.ordinary : plan.ordinary + plan.makers] = ROLES.index("fund" if plan.rules == "longs" else "market_maker")
    return table({"id": names.owner[: plan.traders], "role": coded(role, pa.array(ROLES)), **trader_columns(sheet)})


def _asset_table(sheet: Sheet, names: Names) -> pa.Table:
    plan, books = sheet.plan, sheet.books
    volatility = plan.stream("volatility").uniform(0.02, 0.12, plan.assets)
    return table({"id": names.coin[: plan.assets], "price": books.price[: plan.assets], "volatility": volatility})


def _exchange_table(sheet: Sheet, names: Names) -> pa.Table:
    plan = sheet.plan
    rng = plan.stream("rules")
    many = plan.exchanges
    open_interest = sheet.open_interest()
    columns: dict[str, Any] = {
        "id": names.exchange,
        "insurance_fund": open_interest * 10.0 ** rng.uniform(-5.0, -2.5, many),
        "equity": 100.0 * open_interest,
        "loss_rule": ["none"] * many,
        "tier_form": ["marginal" if marginal else "flat" for marginal in sheet.books.marginal],
        "outlier": [10.0] * many,  # no book is ever that far off
    }
    if plan.rules == "longs":
        columns["mark_oracle"] = plan.cycle(rng, EXCHANGE.by_name["mark_oracle"].choices)
    if not plan.full:
        return table(columns)
    columns["equity"] = open_interest * 10.0 ** rng.uniform(-4.0, -1.5, many) + 1.2 * sheet.owed()[plan.owners :]
    columns["vault"] = names.owner[plan.ordinary + plan.makers : plan.traders]
    for name in ("liquidation", "loss_rule", "adl_form", "adl_rank", "adl_price", "mark_oracle", "collateral_oracle"):
        columns[name] = plan.cycle(rng, EXCHANGE.by_name[name].choices)
    values: dict[str, list[Any]] = {
        "slice_fraction": [0.1, 0.25, 0.5, 1.0],
        "slice_above": [0.0, NOTIONAL, 4 * NOTIONAL],
        "target_ratio": [1.0, 1.2, 1.5],
        "backstop": [2 / 3, np.nan, 0.9, np.nan],
        "vault_unwind": [0.0, 0.25, 1.0],
        "liquidation_fee": [0.0, 0.005, 0.0125],
        "outlier": [0.05, 0.02, 10.0],
        "redemption_weight": [0.0, 0.5, 1.0],
        "halt_rounds": [1, 3],
        "transfers_open": [True] * 5 + [False],
        "arbitrage_open": [True] * 5 + [False],
        "outage": [False] * 23 + [True],
        "throughput": [np.nan, 1_000.0],
    }
    return table(columns | {name: plan.cycle(rng, choices) for name, choices in values.items()})


def _market_table(sheet: Sheet, names: Names) -> pa.Table:
    """Write the books. A book's depth is a part of what is exposed to it, so that some cascades run away and some do not."""
    plan, books, positions, deposits = sheet.plan, sheet.books, sheet.positions, sheet.deposits
    rng = plan.stream("markets")
    cells = plan.exchanges * plan.coins
    in_coins = deposits.coin < plan.coins
    exposed = sums(positions.exchange * plan.coins + positions.coin, positions.notional(books) / 2, cells)
    exposed += sums((deposits.exchange * plan.coins + deposits.coin)[in_coins], deposits.value(books)[in_coins], cells)
    exposed = exposed.reshape(plan.exchanges, plan.coins) + NOTIONAL
    parts = []
    for instrument, here in enumerate((books.perp, books.spot)):
        exchange, coin = np.nonzero(here)
        first = np.argmax(here, axis=0)[coin] == exchange  # so that the index has some weight
        gap = np.where((coin == plan.loose) & plan.full, rng.uniform(-GAP, GAP, len(coin)), 0.0)
        depth = exposed[exchange, coin] * 10.0 ** rng.uniform(-2.0, -0.5, len(coin))
        weight = np.where(chance(rng, 0.15, len(coin)) & ~first & plan.full, 0.0, rng.uniform(0.5, 2.0, len(coin)))
        band = np.where(chance(rng, 0.3, len(coin)) & plan.full, rng.uniform(0.05, 0.3, len(coin)), np.nan)
        parts.append((exchange, coin, np.full(len(coin), instrument), books.price[coin] * (1 + gap), depth, weight, band))
    exchange, coin, instruments, price, depth, weight, band = (np.concatenate(column) for column in zip(*parts, strict=True))
    return table(
        {
            "exchange": coded(exchange, names.exchange),
            "asset": coded(coin, names.coin),
            "instrument": coded(instruments, pa.array(["perp", "spot"])),
            "price": price,
            "depth": depth,
            "collateral_haircut": books.haircut[exchange, coin],
            "index_weight": weight,
            "price_band": band,
        }
    )


def _tier_table(books: Books, names: Names) -> pa.Table:
    exchange, coin, bracket = np.nonzero(np.isfinite(books.floor) & (books.perp | books.spot)[..., None])
    columns = {"floor": books.floor, "maintenance_rate": books.rate, "max_leverage": books.leverage}
    return table(
        {"exchange": coded(exchange, names.exchange), "asset": coded(coin, names.coin)}
        | {name: values[exchange, coin, bracket] for name, values in columns.items()}
    )


def _liquidity_table(sheet: Sheet, names: Names) -> pa.Table:
    """Each book is quoted by its exchange's maker, the next exchange's, and some trader; the rest of its depth is nobody's."""
    plan, books = sheet.plan, sheet.books
    rng = plan.stream("liquidity")
    parts = []
    for instrument, here in (("perp", books.perp), ("spot", books.spot)):
        exchange, coin = np.nonzero(here)
        next_door = (exchange + 1) % plan.exchanges
        for maker, most, there in (
            (plan.maker(exchange), 0.6, np.full(len(coin), fill_value=True)),
            (plan.maker(next_door), 0.25, next_door != exchange),
            (rng.integers(plan.ordinary, size=len(coin)), 0.1, chance(rng, 0.3, len(coin))),
        ):
            share = most * rng.uniform(0.3, 1.0, len(coin))
            parts.append((maker[there], coin[there], exchange[there], np.full(int(there.sum()), instrument == "spot"), share[there]))
    maker, coin, exchange, spot, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    return table(
        {
            "trader": coded(maker, names.owner),
            "asset": coded(coin, names.coin),
            "exchange": coded(exchange, names.exchange),
            "instrument": coded(spot.astype(np.int64), pa.array(["perp", "spot"])),
            "share": share,
        }
    )


def _arbitrage_table(sheet: Sheet, names: Names) -> pa.Table:
    """One maker moves the gaps of each coin but one, and a trader beside it those of every other coin."""
    plan = sheet.plan
    rng = plan.stream("arbitrage")
    coin = np.flatnonzero(np.arange(plan.coins) != plan.loose)
    trader = np.concatenate([plan.maker(coin % plan.exchanges), rng.integers(plan.ordinary, size=len(coin[::2]))])
    coin = np.concatenate([coin, coin[::2]])
    capacity = sheet.open_interest().sum() * 10.0 ** rng.uniform(-3.0, -1.0, len(coin))
    return table({"trader": coded(trader, names.owner), "asset": coded(coin, names.coin), "capacity": capacity})

"""The one schema of a network: node kinds, edge kinds, their columns, units and defaults.

Checks, readers, documentation and exports all read it from here. Orientation: an edge runs from the party that
bears the exposure to what it is exposed to, as each table's ``source`` and ``target`` say. Money is USD, quantities
are units of the coin (signed where a position can be short), fractions are plain numbers (0.05 is 5 %).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Dtype = Literal["string", "float", "int", "bool"]

USD: Final = "USD"
"""The settlement currency: a coin that always costs one USD and needs no row of its own."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name, dtype, unit, doc
        What it is called, holds and means.
    default
        Value of an absent column or an empty cell; ``None`` together with ``required=False`` means "empty = none".
    required
        The column must be there and no cell may be empty.
    choices
        Allowed values of a string column; empty allows any.
    low, high
        Closed bounds of a number, or None.
    open_low
        Whether ``low`` itself is refused.
    refers
        Node kinds that a reference may point to; empty for a column that is no reference. The word ``USD`` in it
        allows the settlement currency.
    """

    name: str
    dtype: Dtype
    doc: str
    unit: str = ""
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    refers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: one kind of node or one kind of edge.

    Attributes
    ----------
    kind, doc, columns
        Name, meaning and columns, in the order in which they are written.
    key
        Columns that together identify a row; no two rows may share them.
    source, target
        For an edge kind, the columns that hold its two ends; empty for a node kind.
    """

    kind: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    source: str = ""
    target: str = ""
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the columns by name."""
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def is_edge(self) -> bool:
        """Whether rows of this table are edges."""
        return bool(self.source)


COINS: Final = ("asset", "stablecoin")
OWNERS: Final = ("trader", "stablecoin")
NODES: Final = ("trader", "asset", "stablecoin", "exchange")


def _id() -> Column:
    return Column("id", "string", "name of the node, unique over all four kinds", required=True)


def _ref(name: str, doc: str, *kinds: str) -> Column:
    return Column(name, "string", doc, required=True, refers=kinds)


def _flag(name: str, doc: str, *, default: bool) -> Column:
    return Column(name, "bool", doc, default=default)


TRADER = Table(
    "trader",
    "anyone with accounts",
    (
        _id(),
        Column(
            "role",
            "string",
            "what it does in the market",
            default="retail",
            choices=("retail", "fund", "market_maker", "vault", "lender", "protocol"),
        ),
        Column("cash", "float", "cash off exchange", "USD", default=0.0),
        Column("external_debt", "float", "debt to creditors outside the network", "USD", default=0.0, low=0.0),
        Column("top_up", "float", "share of starting cash it will send to margin calls", default=0.0, low=0.0, high=1.0),
        Column("leverage_limit", "float", "sells down when exposure over equity is above; empty = never", low=0.0, open_low=True),
        Column("leverage_target", "float", "leverage it sells down to; empty = the limit", low=0.0, open_low=True),
    ),
    key=("id",),
)

ASSET = Table(
    "asset",
    "a coin with a price",
    (
        _id(),
        Column("price", "float", "price where no market quotes it", "USD", required=True, low=0.0, open_low=True),
        Column("volatility", "float", "standard deviation of the log price", "per day", default=0.0, low=0.0),
    ),
    key=("id",),
)

STABLECOIN = Table(
    "stablecoin",
    "an asset with a peg and an issuer; may hold margin and collateral edges of its own",
    (
        _id(),
        Column("price", "float", "price where no market quotes it", "USD", default=1.0, low=0.0, open_low=True),
        Column("volatility", "float", "standard deviation of the log price", "per day", default=0.0, low=0.0),
        Column("peg", "float", "promised value of a unit", "USD", default=1.0, low=0.0, open_low=True),
        Column("supply", "float", "units in circulation", "units", default=0.0, low=0.0),
        Column(
            "design",
            "string",
            "how it is backed",
            default="fiat",
            choices=("fiat", "overcollateralised", "delta_neutral", "algorithmic"),
        ),
        Column("redemption_fee", "float", "fraction kept at redemption", default=0.0, low=0.0, high=1.0),
        Column("redemption_capacity", "float", "most that is redeemed in a round", "USD a round", default=0.0, low=0.0),
        _flag("redemption_open", "whether coins can be redeemed", default=True),
    ),
    key=("id",),
)

EXCHANGE = Table(
    "exchange",
    "a venue: margin engine, insurance fund, house, and its rules",
    (
        _id(),
        Column("insurance_fund", "float", "pays shortfalls first", "USD", default=0.0, low=0.0),
        Column("equity", "float", "of the house, pays after the loss rule", "USD", default=0.0),
        Column("vault", "string", "trader that takes accounts over; empty = none", refers=("trader",)),
        Column(
            "liquidation",
            "string",
            "how much of a breached account is closed",
            default="full",
            choices=("full", "slice", "target", "tier"),
        ),
        Column("slice_fraction", "float", "share closed a round under `slice`", default=0.2, low=0.0, high=1.0, open_low=True),
        Column("slice_above", "float", "notional of a position above which `slice` slices", "USD", default=0.0, low=0.0),
        Column("target_ratio", "float", "margin balance over maintenance that `target` restores", default=1.0, low=1.0),
        Column(
            "backstop",
            "float",
            "the vault takes an account whose margin balance is below this share of maintenance; empty = never",
            low=0.0,
            high=1.0,
        ),
        Column("vault_unwind", "float", "share of each quantity taken over that the vault closes a round", default=0.0, low=0.0, high=1.0),
        Column("liquidation_fee", "float", "fraction of the notional closed, to the insurance fund", default=0.0, low=0.0, high=1.0),
        Column("loss_rule", "string", "who pays after the fund", default="adl", choices=("adl", "socialise", "none")),
        Column("adl_form", "string", "auto-deleveraging closes positions or takes cash", default="position", choices=("position", "cash")),
        Column(
            "adl_rank",
            "string",
            "score that ranks the winners, highest first",
            default="profit_leverage",
            choices=("profit_leverage", "mark_leverage", "profit_equity", "size"),
        ),
        Column("adl_price", "string", "price of an ADL close", default="bankruptcy", choices=("bankruptcy", "mark", "previous_mark")),
        Column("tier_form", "string", "how brackets make a maintenance margin", default="marginal", choices=("marginal", "flat")),
        Column("mark_oracle", "string", "source of marks", default="internal", choices=("internal", "index", "median")),
        Column(
            "collateral_oracle", "string", "source of the collateral index", default="internal", choices=("internal", "index", "median")
        ),
        Column("outlier", "float", "distance from the median beyond which a source does not count; 10 is never", default=0.05, low=0.0),
        Column("redemption_weight", "float", "share of the redemption value in the index of a stablecoin", default=0.0, low=0.0, high=1.0),
        Column("halt_rounds", "int", "rounds that a market stops beyond its price band", "rounds", default=1, low=1),
        _flag("transfers_open", "deposits and withdrawals work", default=True),
        _flag("arbitrage_open", "arbitrageurs can trade here", default=True),
        _flag("outage", "orders, transfers and arbitrage stopped, marks frozen", default=False),
        Column(
            "throughput",
            "float",
            "most that is closed in a second, under a clock; empty = no limit",
            "USD a second",
            low=0.0,
            open_low=True,
        ),
    ),
    key=("id",),
)

MARGIN = Table(
    "margin",
    "a position: trader or stablecoin → asset, at an exchange; linear, settled in USD",
    (
        _ref("owner", "who holds it", *OWNERS),
        _ref("asset", "what it is on", *COINS),
        _ref("exchange", "where", "exchange"),
        Column("quantity", "float", "signed size", "units", required=True),
        Column("entry_price", "float", "price at which it was opened", "USD", required=True, low=0.0, open_low=True),
        Column("mode", "string", "shares the account's margin or has its own", default="cross", choices=("cross", "isolated")),
        Column("isolated_margin", "float", "margin of an isolated position", "USD", default=0.0, low=0.0),
        Column("stop_price", "float", "voluntary close against the owner; empty = none", "USD", low=0.0, open_low=True),
        Column("take_profit", "float", "voluntary close in favour of the owner; empty = none", "USD", low=0.0, open_low=True),
        Column("order", "int", "place in the queue among equal ADL scores, lowest first; empty = shared pro rata", low=0),
    ),
    key=("owner", "asset", "exchange", "mode"),
    source="owner",
    target="asset",
)

COLLATERAL = Table(
    "collateral",
    "margin deposited: trader or stablecoin → coin, at an exchange; a negative quantity of USD is a USD debt",
    (
        _ref("owner", "whose", *OWNERS),
        _ref("asset", "coin, or USD for cash", *COINS, USD),
        _ref("exchange", "where", "exchange"),
        Column("quantity", "float", "how much; negative only for USD", "units", required=True),
    ),
    key=("owner", "asset", "exchange"),
    source="owner",
    target="asset",
)

MARKET = Table(
    "market",
    "a book: exchange → coin",
    (
        _ref("exchange", "where", "exchange"),
        _ref("asset", "coin traded against USD", *COINS),
        Column("instrument", "string", "spot or perpetual future", required=True, choices=("spot", "perp")),
        Column("price", "float", "mid price", "USD", required=True, low=0.0, open_low=True),
        Column("depth", "float", "amount that moves the mid price by 1 %, one side", "USD", required=True, low=0.0, open_low=True),
        Column(
            "collateral_haircut", "float", "share of the coin's value that is no margin; 1 = not accepted", default=1.0, low=0.0, high=1.0
        ),
        Column("index_weight", "float", "weight in the index over exchanges", default=1.0, low=0.0),
        Column("price_band", "float", "move beyond which the market stops; empty = none", low=0.0, open_low=True),
    ),
    key=("exchange", "asset", "instrument"),
    source="exchange",
    target="asset",
)

MARGIN_TIER = Table(
    "margin_tier",
    "a bracket of the maintenance schedule: exchange → asset",
    (
        _ref("exchange", "where", "exchange"),
        _ref("asset", "of which contract", *COINS),
        Column("floor", "float", "notional from which the bracket holds", "USD", required=True, low=0.0),
        Column("maintenance_rate", "float", "maintenance margin over notional", required=True, low=0.0, high=1.0),
        Column("max_leverage", "float", "largest initial leverage", required=True, low=1.0),
    ),
    key=("exchange", "asset", "floor"),
    source="exchange",
    target="asset",
)

HOLDING = Table(
    "holding",
    "coins off exchange: trader → coin",
    (
        _ref("owner", "whose", "trader"),
        _ref("asset", "coin", *COINS),
        Column("quantity", "float", "how much", "units", required=True, low=0.0),
    ),
    key=("owner", "asset"),
    source="owner",
    target="asset",
)

BACKING = Table(
    "backing",
    "what stands behind a stablecoin: stablecoin → coin, or USD for cash",
    (
        _ref("stablecoin", "backed coin", "stablecoin"),
        _ref("asset", "coin, or USD for cash", *COINS, USD),
        Column("quantity", "float", "how much", "units", required=True, low=0.0),
        Column("custodian", "string", "exchange on whose spot book it is sold; empty = by depth over all", refers=("exchange",)),
    ),
    key=("stablecoin", "asset", "custodian"),
    source="stablecoin",
    target="asset",
)

CREDIT = Table(
    "credit",
    "a loan: debtor → creditor, any two nodes",
    (
        _ref("debtor", "who owes", *NODES),
        _ref("creditor", "whom", *NODES),
        Column("amount", "float", "owed", "USD", required=True, low=0.0),
        Column("seniority", "int", "rank of payment, 1 first", default=1, low=1),
    ),
    key=("debtor", "creditor", "seniority"),
    source="debtor",
    target="creditor",
)

LIQUIDITY = Table(
    "liquidity",
    "who quotes a book: trader → asset, at an exchange",
    (
        _ref("trader", "maker", "trader"),
        _ref("asset", "coin", *COINS),
        _ref("exchange", "where", "exchange"),
        Column("instrument", "string", "which of the two books", default="perp", choices=("spot", "perp")),
        Column("share", "float", "of that market's depth", required=True, low=0.0, high=1.0),
    ),
    key=("trader", "asset", "exchange", "instrument"),
    source="trader",
    target="asset",
)

ARBITRAGE = Table(
    "arbitrage",
    "who moves gaps between books: trader → asset; spent inside a cascade, never refilled",
    (
        _ref("trader", "arbitrageur", "trader"),
        _ref("asset", "coin", *COINS),
        Column("capacity", "float", "most it buys during a cascade", "USD", required=True, low=0.0),
    ),
    key=("trader", "asset"),
    source="trader",
    target="asset",
)

TABLES: Final[dict[str, Table]] = {
    table.kind: table
    for table in (
        TRADER,
        ASSET,
        STABLECOIN,
        EXCHANGE,
        MARKET,
        MARGIN_TIER,
        MARGIN,
        COLLATERAL,
        HOLDING,
        BACKING,
        CREDIT,
        LIQUIDITY,
        ARBITRAGE,
    )
}
"""Every table by its kind: nodes first, then edges, in the order in which files are written."""

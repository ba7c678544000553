"""The smallest networks known on which a larger shock does less, one for each feature that breaks the order.

On all books a unit sold lowers a price of 100 USD by one (linear impact), maintenance is 10 % of notional, and the level of an
account is the price at which it breaches: U = q·(100 - 0.9·level). Two longs carry most cases, A (10 units, level 95.56) and B (2
units, level 94): a fall of 5 % closes A alone, whose sale closes B at 84; a fall of 7 % closes both together at 87.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from contagion.settings import Settings
from graphs.network import Network
from graphs.schema import USD
from tests.contagion.engine.build import frame, isolated, venue

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphs.network import Network as Net

THIN = 100.0
"""Depth, USD, at which a unit moves a price of 100 USD by one."""
TENTH = ((0.0, 0.1, 8.0),)
MARKET = "exchange asset instrument price depth collateral_haircut"
POSITION = "owner asset exchange quantity entry_price"
DEPOSIT = "owner asset exchange quantity"
TIER = "exchange asset floor maintenance_rate max_leverage"


@dataclass(frozen=True)
class Case:
    """A network and two shocks, the second the larger, which closes less.

    Attributes
    ----------
    feature
        What breaks the order.
    word
        What the obstacle's sentence holds.
    build
        Builds the network.
    small, large
        The two shocks.
    spared
        Owners whom only the small one closes; empty where it closes more of the same accounts.
    settings
        Of the runs.
    """

    feature: str
    word: str
    build: Callable[[], Net]
    small: tuple[str, ...]
    large: tuple[str, ...]
    spared: frozenset[str]
    settings: Settings = field(default_factory=lambda: Settings(impact="linear"))


def long(units: float, level: float) -> tuple[float, float, float]:
    """Units, entry price and USD of a long that breaches at a level."""
    return units, 100.0, units * (100.0 - 0.9 * level)


A = (10.0, 100.0, 140.0)
B = (2.0, 100.0, 30.8)


def _second_coin(rows: list[tuple[str, float]], deposits: list[tuple[str, float]], **tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tables that add a perpetual on coin D: units by owner, ``Rest`` on the other side, and USD by new owners."""
    total = sum(units for _, units in rows)
    return {
        "asset": frame("id price", ("C", 100.0), ("D", 100.0)),
        "market": frame(MARKET, ("X", "C", "perp", 100.0, THIN, 1.0), ("X", "D", "perp", 100.0, THIN, 1.0)),
        "margin_tier": frame(TIER, ("X", "C", *TENTH[0]), ("X", "D", *TENTH[0])),
        "more_margin": frame(POSITION, *((owner, "D", "X", units, 100.0) for owner, units in [*rows, ("Rest", -total)])),
        **({"more_trader": frame("id", *((owner,) for owner, _ in deposits))} if deposits else {}),
        **({"more_collateral": frame(DEPOSIT, *((owner, USD, "X", usd) for owner, usd in deposits))} if deposits else {}),
        **tables,
    }


def hedged() -> Net:
    """K sells D with its C, and closes V. At 7 % H covers its short of D in the same round."""
    usd = {"K": (2.0, 100.0, 68.5), "H": (2.0, 100.0, 72.5)}
    return venue(usd, depth=THIN, tables=_second_coin([("K", 4.0), ("H", -4.0), ("V", 1.0)], [("V", long(1.0, 97.0)[2])]))


def flat() -> Net:
    """At 5 % a notional of 950 needs 10 %, at 6.5 % one of 935 needs 8 %."""
    brackets = ((0.0, 0.08, 10.0), (940.0, 0.1, 8.0))
    return venue({"A": (10.0, 100.0, 142.0)}, depth=THIN, tier_form="flat", brackets=brackets)


def partial() -> Net:
    """Down to the bracket below is 10 USD of notional at 5 %, 1 USD at 5.9 %."""
    brackets = ((0.0, 0.08, 10.0), (940.0, 0.1, 8.0))
    return venue({"A": (10.0, 100.0, 140.0)}, depth=THIN, tier_form="flat", brackets=brackets, liquidation="tier")


def vault() -> Net:
    """At 7 % the vault takes A off book."""
    accounts = {"A": (10.0, 100.0, 130.0), "B": (2.0, 100.0, 34.0), "V": (0.0, 0.0, 1e5)}
    return venue(accounts, depth=THIN, brackets=TENTH, vault="V", backstop=2 / 3)


def deleveraging() -> Net:
    """At 14.5 % A is bankrupt and closes against the winner, at 5 % its sale closes B."""
    return venue({"A": A, "B": long(1.0, 85.3)}, depth=THIN, brackets=TENTH, loss_rule="adl", adl_form="position")


def house() -> Net:
    """At 13 % A's debt fails the exchange, which settles B without a liquidation."""
    return venue({"A": A, "B": long(1.0, 86.0)}, depth=THIN, brackets=TENTH, equity=30.0)


def purse() -> Net:
    """At 6 % the purse saves the first account of T, at 5 % both are short at once and half a purse saves neither."""
    brackets = ((0.0, 0.1, 2.0),)
    net = venue({"A": A, "T": long(1.0, 94.5)}, depth=THIN, brackets=brackets)
    net = isolated(net, "T", 1.0, 100.0, long(1.0, 93.5)[2])
    traders = net.frame("trader")
    traders["cash"] = (traders["id"] == "T") * 10.5
    traders["top_up"] = (traders["id"] == "T") * 1.0
    return net.with_tables(trader=traders)


def coins() -> Net:
    """Where B closes at 84 it owes 6 USD and sells its coins, which closes V."""
    tables = _second_coin([("V", 1.0)], [("V", long(1.0, 97.0)[2])])
    tables["market"] = frame(MARKET, ("X", "C", "perp", 100.0, THIN, 1.0), ("X", "D", "perp", 100.0, 1.0, 0.0))
    tables["more_collateral"] = pd.concat([tables["more_collateral"], frame(DEPOSIT, ("B", "D", "X", 0.048))], ignore_index=True)
    return venue({"A": A, "B": (2.0, 100.0, B[2] - 4.8)}, depth=THIN, brackets=TENTH, tables=tables)


def indebted(**columns: float) -> Net:
    """Where B closes at 84 nothing is left to pay its owner's debt, so that the owner's other account is closed too."""
    tables = _second_coin([], [])
    tables["more_margin"] = frame("owner asset exchange quantity entry_price", ("Rest", "D", "X", -1.0, 100.0))
    net = venue({"A": A, "B": B}, depth=THIN, brackets=TENTH, tables=tables)
    position = frame("owner asset exchange quantity entry_price mode isolated_margin", ("B", "D", "X", 1.0, 100.0, "isolated", 50.0))
    rows = pd.concat([net.frame("margin")[[*POSITION.split(), "mode"]], position], ignore_index=True)
    traders = net.frame("trader")
    for column, value in columns.items():
        traders[column] = (traders["id"] == "B") * value
    return net.with_tables(margin=rows, trader=traders)


def lender() -> Net:
    """The same, with the debt owed to a node of the network."""
    return indebted().with_tables(credit=frame("debtor creditor amount seniority", ("B", "Rest", 52.0, 1)))


def maker() -> Net:
    """The same, without a debt: B quotes most of the book, whose loss it cannot bear where its account is lost."""
    return indebted().with_tables(liquidity=frame("trader asset exchange instrument share", ("B", "C", "X", "perp", 0.72)))


def redemption() -> Net:
    """A falls, then B, then V. Where S is below its peg it is redeemed: its issuer sells backing and buys back its hedge, with B's sale."""
    tables = {
        "stablecoin": frame("id price peg supply redemption_capacity", ("S", 1.0, 1.0, 1000.0, 1e6)),
        "market": frame(
            MARKET, ("X", "C", "perp", 100.0, THIN, 1.0), ("X", "C", "spot", 100.0, 1e9, 1.0), ("X", "S", "spot", 1.0, 40.0, 1.0)
        ),
        "backing": frame("stablecoin asset quantity", ("S", "C", 10.0)),
        "arbitrage": frame("trader asset capacity", ("Rest", "S", 1e5)),
        "more_trader": frame("id", ("Other",)),
        "more_margin": frame(POSITION, ("S", "C", "X", -10.0, 100.0), ("Other", "C", "X", 10.0, 100.0)),
        "more_collateral": frame(DEPOSIT, ("S", USD, "X", 1000.0), ("Other", USD, "X", 1e6)),
    }
    return venue({"A": A, "B": B, "V": long(1.0, 83.5)}, depth=THIN, brackets=TENTH, tables=tables)


def stop() -> Net:
    """At 6 % S sells at its stop and stands, at 4 % A's sale takes the mark past the stop and the level at once."""
    net = venue({"A": long(10.0, 96.5), "S": long(1.0, 93.0)}, depth=THIN, brackets=TENTH)
    rows = net.frame("margin")
    rows["stop_price"] = rows["stop_price"].where(rows["owner"] != "S", 94.5)
    return net.with_tables(margin=rows)


def leverage() -> Net:
    """At 6 % L sells down before A's sale comes, at 4 % A's sale closes it."""
    net = venue({"A": long(10.0, 96.5), "L": long(1.0, 88.0)}, depth=THIN, brackets=TENTH)
    traders = net.frame("trader")
    traders["leverage_limit"] = (traders["id"] == "L").map({True: 6.2, False: float("nan")})
    traders["leverage_target"] = (traders["id"] == "L").map({True: 1.0, False: float("nan")})
    return net.with_tables(trader=traders)


def square_root() -> Net:
    """Two sales in two rounds move the price farther than both in one, and reach V."""
    return venue({"A": (10.0, 100.0, 140.0), "B": long(10.0, 94.0), "V": long(1.0, 88.8)}, depth=THIN, brackets=TENTH)


def withdrawal() -> Net:
    """The second of two sales meets fewer quotes, and reaches V."""
    return venue({"A": (4.0, 100.0, 56.0), "B": long(4.0, 94.0), "V": long(1.0, 83.0)}, depth=THIN, brackets=TENTH)


def venues(positions: dict[str, list[tuple[str, tuple[float, float, float]]]], desk: float, **rules: object) -> Net:
    """Exchanges with a book of C each, longs by exchange, ``Rest`` on the other side everywhere."""
    names = list(positions)
    longs = [(owner, "C", x, units, entry, usd) for x, rows in positions.items() for owner, (units, entry, usd) in rows]
    rest = [("Rest", "C", x, -sum(row[3] for row in longs if row[2] == x), 100.0) for x in names if positions[x]]
    tables = {
        "trader": frame("id", *((row[0],) for row in longs), ("Rest",), ("Desk",)),
        "asset": frame("id price", ("C", 100.0)),
        "exchange": pd.DataFrame([{"id": x, "equity": 1e6, "loss_rule": "none"} | rules for x in names]),
        "market": frame(MARKET, *((x, "C", "perp", 100.0, THIN, 1.0) for x in names)),
        "margin_tier": frame(TIER, *((x, "C", *TENTH[0]) for x in names)),
        "margin": frame(POSITION, *(row[:5] for row in longs), *rest),
        "collateral": frame(DEPOSIT, *((row[0], USD, row[2], row[5]) for row in longs), *(("Rest", USD, row[2], 1e6) for row in rest)),
    }
    if desk:
        tables["arbitrage"] = frame("trader asset capacity", ("Desk", "C", desk))
    return Network.from_frames(name="venues", **tables)


def arbitrage() -> Net:
    """At 5 % arbitrage carries A's sale to Y, where E's comes on top and closes V. At 7 % both fall alike and nothing is carried."""
    return venues({"X": [("A", A)], "Y": [("E", long(10.0, 93.5)), ("V", long(1.0, 82.0))]}, desk=360.0)


def outlier() -> Net:
    """At 5 % X is 4 % below the others and counts, which closes V. At 5.5 % it is 8 % below and is left out."""
    return venues(
        {"X": [("A", long(4.0, 95.5)), ("B", long(4.0, 94.8)), ("V", long(1.0, 94.0))], "Y": [], "Z": []}, desk=0.0, mark_oracle="index"
    )


CASES = (
    Case("two-sided books", "short positions", hedged, ("C=-5%",), ("C=-7%",), frozenset({"V"})),
    Case("flat brackets", "flat maintenance brackets", flat, ("C=-5%",), ("C=-6.5%",), frozenset({"A"})),
    Case("partial liquidation", "partial liquidation", partial, ("C=-5%",), ("C=-5.9%",), frozenset()),
    Case("backstop", "vault", vault, ("C=-5%",), ("C=-7%",), frozenset({"B"})),
    Case("auto-deleveraging", "auto-deleveraging", deleveraging, ("C=-5%",), ("C=-14.5%",), frozenset({"A", "B"})),
    Case("failing house", "exchange fails", house, ("C=-5%",), ("C=-13%",), frozenset({"B"})),
    Case("top-up", "margin calls", purse, ("C=-5%",), ("C=-6%",), frozenset()),
    Case("coins", "coins posted as margin", coins, ("C=-5%",), ("C=-7%",), frozenset({"V"})),
    Case("external debt", "may default", lambda: indebted(external_debt=52.0), ("C=-5%",), ("C=-7%",), frozenset()),
    Case("credit", "owe each other", lender, ("C=-5%",), ("C=-7%",), frozenset()),
    Case("makers", "makers default", maker, ("C=-5%",), ("C=-7%",), frozenset()),
    Case("redemption", "redemption", redemption, ("C=-5%",), ("C=-5%", "S=-10%"), frozenset({"V"})),
    Case("stops", "stop prices", stop, ("C=-4%",), ("C=-6%",), frozenset({"S"})),
    Case("leverage rule", "leverage target", leverage, ("C=-4%",), ("C=-6%",), frozenset({"L"})),
    Case("arbitrage", "arbitrage", arbitrage, ("C=-5%",), ("C=-7%",), frozenset({"V"})),
    Case("outlier rule", "outlier", outlier, ("C=-5%",), ("C=-5.5%",), frozenset({"V"})),
    Case("square-root impact", "square-root", square_root, ("C=-5%",), ("C=-6.5%",), frozenset({"V"}), Settings(impact="square_root")),
    Case("withdrawal of quotes", "withdrawn", withdrawal, ("C=-5%",), ("C=-7%",), frozenset({"V"}), Settings(withdrawal=10.0)),
)
"""Every feature for which such a network is known."""

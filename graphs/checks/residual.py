"""The missing side of open interest, added on request: one residual trader an exchange.

Partial data show positions whose counterparties nobody publishes. A residual trader takes the other side of every
perp market of its exchange that does not balance, at that market's price, so that it starts without profit or loss.
It posts USD against all of it: at the highest price that any exchange has for the asset, notional over ``leverage``
or 1.1 times the initial margin of its bracket, whichever is more, plus what it would lose if it were marked at the
least favourable of these prices. That exceeds maintenance whichever market sets the mark.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from graphs.checks.markets import BALANCED, imbalances
from graphs.checks.runner import check_network
from graphs.checks.view import View
from graphs.columns import TYPES
from graphs.errors import CheckError, GraphError
from graphs.schema import TABLES, USD

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from graphs.network import Network

MARGIN_BUFFER = 1.1
"""Collateral of a residual trader over the initial margin of its brackets, at least."""

_REPORT = dict.fromkeys(("exchange", "asset", "trader"), "str") | dict.fromkeys(
    ("quantity", "gross", "price", "notional", "collateral"), "float64"
)


def add_residuals(net: Network, *, leverage: float = 1.0) -> tuple[Network, pd.DataFrame]:
    """Add a trader at each exchange that takes the other side of its unbalanced perp markets.

    Parameters
    ----------
    net
        A network that is sound but for what it lacks.
    leverage
        Of the residual traders, at most; the default posts the whole notional, so that a long one never fails and
        a short one only where the price doubles.

    Returns
    -------
    net : Network
        With traders such as ``residual@Binance``, their margin edges and their USD.
    report : pandas.DataFrame
        One row a market that was not in balance: ``exchange``, ``asset``, ``trader``, the signed ``quantity`` added,
        the ``gross`` quantity before, ``price``, ``notional`` and ``collateral`` in USD. It is empty if nothing was added.

    Raises
    ------
    CheckError
        If the network has any other fault.

    Examples
    --------
    >>> from graphs.network import Network
    >>> import pandas as pd
    >>> net = Network.from_frames(
    ...     name="one long",
    ...     trader=pd.DataFrame({"id": ["a"]}),
    ...     asset=pd.DataFrame({"id": ["BTC"], "price": [100.0]}),
    ...     exchange=pd.DataFrame({"id": ["X"]}),
    ...     market=pd.DataFrame({"exchange": ["X"], "asset": ["BTC"], "instrument": ["perp"], "price": [100.0], "depth": [1e6]}),
    ...     margin=pd.DataFrame({"owner": ["a"], "asset": ["BTC"], "exchange": ["X"], "quantity": [3.0], "entry_price": [90.0]}),
    ... )
    >>> balanced, report = add_residuals(net)
    >>> report[["trader", "quantity", "collateral"]].values.tolist()
    [['residual@X', -3.0, 300.0]]
    """
    import pandas as pd

    if not leverage > 0:
        raise GraphError(f"leverage is {leverage}; make it a number above 0")
    _require_sound(net)
    view = View(net)
    rows = _missing_sides(view, leverage)
    report = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in _REPORT.items()})
    if not rows:
        return net, report
    traders = list(dict.fromkeys((row["trader"], row["exchange"]) for row in rows))
    posted = {trader: math.fsum(row["collateral"] for row in rows if row["trader"] == trader) for trader, _ in traders}
    added = {
        "trader": [{"id": trader, "role": "market_maker"} for trader, _ in traders],
        "margin": [
            {"owner": row["trader"], "entry_price": row["price"], **{name: row[name] for name in ("asset", "exchange", "quantity")}}
            for row in rows
        ],
        "collateral": [{"owner": trader, "asset": USD, "exchange": exchange, "quantity": posted[trader]} for trader, exchange in traders],
    }
    return net.with_tables(**{kind: _appended(net, kind, new) for kind, new in added.items()}), report


def _require_sound(net: Network) -> None:
    found = [finding for finding in check_network(net, complete=False) if finding.check != "empty_table"]
    if found:
        raise CheckError(found)


def _missing_sides(view: View, leverage: float) -> list[dict[str, Any]]:
    """One row a market that does not balance, in the order of the market table."""
    markets, at, net, gross = imbalances(view)
    off = np.flatnonzero(np.abs(net) > BALANCED * gross)
    if not len(off):
        return []
    perps = view.is_word("market", "instrument", "perp")
    pairs, price, coins = view.pairs("market"), view.net.numbers("market", "price"), view.codes("market", "asset")
    row_of = {int(pair): row for row, pair in enumerate(pairs.tolist()) if perps[row]}
    taken = set(view.ids.to_pylist())
    names: dict[str, str] = {}
    exchanges, assets = view.net.strings("market", "exchange"), view.net.strings("market", "asset")
    exact = _exact_sums(at, view.net.numbers("margin", "quantity"), off)
    rows = []
    for market, missing in sorted(zip(off.tolist(), exact, strict=True), key=lambda item: row_of[int(markets[item[0]])]):
        row = row_of[int(markets[market])]
        prices = price[coins == coins[row]]
        high, against = float(prices.max()), float(price[row] - prices.min() if missing < 0 else prices.max() - price[row])
        size = abs(missing)
        initial = _initial_margin(view, int(markets[market]), size * high)
        if exchanges[row] not in names:
            names[exchanges[row]] = _fresh(f"residual@{exchanges[row]}", taken)
        rows.append(
            {
                "exchange": exchanges[row],
                "asset": assets[row],
                "trader": names[exchanges[row]],
                "quantity": -missing,
                "gross": float(gross[market]),
                "price": float(price[row]),
                "notional": size * float(price[row]),
                "collateral": max(size * high / leverage, MARGIN_BUFFER * initial) + size * against,
            }
        )
    return rows


def _exact_sums(at: NDArray[np.int64], quantity: NDArray[np.float64], markets: NDArray[np.int64]) -> list[float]:
    """Correctly rounded sums, which no order of rows changes."""
    return [math.fsum(quantity[at == market].tolist()) for market in markets.tolist()]


def _initial_margin(view: View, pair: int, notional: float) -> float:
    """Initial margin of a position by the market's brackets; where it has none, what makes the collateral its notional."""
    rows = np.flatnonzero(view.pairs("margin_tier") == pair)
    floors = view.net.numbers("margin_tier", "floor")[rows]
    within = np.flatnonzero(floors <= notional)
    if not len(within):
        return notional / MARGIN_BUFFER
    return notional / float(view.net.numbers("margin_tier", "max_leverage")[rows][within[np.argmax(floors[within])]])


def _fresh(name: str, taken: set[str]) -> str:
    fresh, number = name, 2
    while fresh in taken:
        fresh, number = f"{name}.{number}", number + 1
    taken.add(fresh)
    return fresh


def _appended(net: Network, kind: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Add rows below a table, in the encoding of its columns."""
    old = net.tables.get(kind)
    types = {column.name: TYPES[column.dtype] for column in TABLES[kind].columns if column.name in rows[0]}
    if old is not None:
        types |= {field.name: field.type for field in old.schema}
    absent = {name: pa.nulls(len(rows), dtype) for name, dtype in types.items()}
    new = pa.table(absent | {name: pa.array([row[name] for row in rows]).cast(types[name]) for name in rows[0]})
    return new if old is None else pa.concat_tables([old, new], promote_options="default")

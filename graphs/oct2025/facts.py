"""What is known of the day, and what is assumed: small tables, each row with its source.

The tables lie beside the package in ``graphs/data/oct2025``. Grades: A the publisher's own figure or data recomputed,
B a named secondary source, C weak or inconsistent. What no source gives stands in ``assumptions.csv`` and nowhere else:
a value, a range that is plausible, and why.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from graphs.columns import did_you_mean
from graphs.errors import GraphError

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]

EXCHANGES: Final = ("Hyperliquid", "Binance", "Bybit", "OKX", "HTX", "Gate", "Other")
"""The venues with open interest; Other stands for Bitget, MEXC, decentralised exchanges and the rest of the market."""

ANY: Final = "*"
"""Exchange of an assumption that holds wherever none is named."""


class AssumptionError(GraphError):
    """An assumption that is asked for or overridden does not exist or makes no sense."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A row of the table of assumptions: NaN bounds where the value is a word."""

    name: str
    value: float | str
    low: float
    high: float
    unit: str
    why: str


@cache
def read_rows(table: str) -> tuple[Row, ...]:
    """Rows of a table of facts, as text."""
    text = (files("graphs") / "data" / "oct2025" / f"{table}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


class Assumptions(Mapping[str, Assumption]):
    """The table of assumptions by name, with single values replaced.

    Parameters
    ----------
    overrides
        Values by name: numbers for numbers, words for words.

    Raises
    ------
    AssumptionError
        If a name is not in the table, or a value is of the wrong kind; all of them are listed.

    Examples
    --------
    >>> Assumptions({"oi.Bybit": 25e9}).number("oi.Bybit")
    25000000000.0
    >>> Assumptions().text("liquidation.Bybit")
    'tier'
    """

    def __init__(self, overrides: Mapping[str, float | str] | None = None) -> None:
        self._rows = {row["name"]: _assumption(row) for row in read_rows("assumptions")}
        bad = []
        for name, value in (overrides or {}).items():
            wrong = self._wrong(name, value)
            if wrong:
                bad.append(wrong)
            else:
                self._rows[name] = replace(self._rows[name], value=value if isinstance(value, str) else float(value))
        if bad:
            raise AssumptionError("; ".join(bad))

    def _wrong(self, name: str, value: float | str) -> str:
        row = self._rows.get(name)
        if row is None:
            return f"assumption {name!r}: no such row in assumptions.csv; {did_you_mean(name, self._rows, 'see its column name')}"
        if isinstance(row.value, str) != isinstance(value, str):
            return f"assumption {name!r}: {value!r} is not {'a word' if isinstance(row.value, str) else 'a number'}, as {row.value!r} is"
        if not isinstance(value, str) and not math.isfinite(value):
            return f"assumption {name!r}: {value!r} is not finite; give a number"
        return ""

    def __getitem__(self, name: str) -> Assumption:
        """Row of a name."""
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of the table."""
        return iter(self._rows)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._rows)

    def value(self, name: str) -> float | str:
        """Value of a name, or of the same name with ``*`` for its last part."""
        if name not in self:
            general = f"{name.rpartition('.')[0]}.{ANY}"
            if general not in self:
                raise AssumptionError(f"assumption {name!r}: neither it nor {general!r} is in assumptions.csv; add a row")
            name = general
        return self[name].value

    def number(self, name: str) -> float:
        """Value of a name as a number."""
        value = self.value(name)
        if isinstance(value, str):
            raise AssumptionError(f"assumption {name!r}: {value!r} is not a number; give one")
        return value

    def text(self, name: str) -> str:
        """Value of a name as a word."""
        return str(self.value(name))

    def under(self, prefix: str) -> dict[str, float]:
        """Numbers of all names that begin with ``prefix`` and a dot, by the rest of the name."""
        start = f"{prefix}."
        return {name.removeprefix(start): self.number(name) for name in self if name.startswith(start)}


def _assumption(row: Row) -> Assumption:
    value: float | str
    try:
        value = float(row["value"])
    except ValueError:
        value = row["value"]
    low, high = (float(row[bound] or "nan") for bound in ("low", "high"))
    return Assumption(row["name"], value, low, high, row["unit"], row["why"])


def facts() -> pd.DataFrame:
    """Figures of the real day to print beside a run.

    Returns
    -------
    pandas.DataFrame
        Columns key, what, value, low, high, unit, source, grade, status, note. ``low`` and ``high`` are the range
        over sources. Status is ``fitted`` (the shipped scenario was chosen to meet it), ``predicted`` (printed beside
        the run, not tuned to) or ``imposed`` (the scenario states it).

    Notes
    -----
    Falls from start to low of coins but BTC rest on starts that are assumed (``start_beta``): their notes say so.

    Examples
    --------
    >>> table = facts().set_index("key")
    >>> float(table.loc["adl.Hyperliquid", "value"])
    2103000000.0
    """
    import pandas as pd

    table = pd.DataFrame(read_rows("targets"))
    return table.astype(dict.fromkeys(("value", "low", "high"), float))


def assumption_table(overrides: Mapping[str, float | str] | None = None) -> pd.DataFrame:
    """Tabulate every assumption: name, value, low, high, unit, why."""
    import pandas as pd

    rows = Assumptions(overrides).values()
    return pd.DataFrame([{field: getattr(row, field) for field in ("name", "value", "low", "high", "unit", "why")} for row in rows])


def sources() -> tuple[str, ...]:
    """Every source of the tables that the builder reads, once, in alphabetical order."""
    tables = ("prices", "open_interest", "hyperliquid_liquidations", "distributions", "depth", "margin_tiers", "rules", "balances")
    return tuple(sorted({row["source"] for table in tables for row in read_rows(table)}))


def asset_class(asset: str) -> str:
    """Class of a coin in the assumptions: BTC, ETH, SOL, alt, stablecoin or wrapped."""
    return _classes()[asset]


@cache
def _classes() -> dict[str, str]:
    return {row["asset"]: row["class"] for row in read_rows("prices")}


def perp_assets() -> tuple[str, ...]:
    """Coins with perpetual futures, in the order of the price table."""
    return tuple(asset for asset, group in _classes().items() if group not in {"stablecoin", "wrapped"})


WRAPPED: Final = {"WBETH": "ETH", "BNSOL": "SOL"}
"""Staked coins at Binance by what they stand for."""


def start_prices(assumptions: Assumptions) -> dict[str, float]:
    """Price of every coin at the start.

    BTC has a published price of 20:30 UTC. The others have a high and a low of the day: they are taken to have fallen from the
    high by ``start_beta`` times what BTC had fallen. Wrapped coins stand in their published ratio to what they wrap.
    """
    rows = {row["asset"]: row for row in read_rows("prices")}
    fall = 1 - float(rows["BTC"]["start"]) / float(rows["BTC"]["high"])
    prices: dict[str, float] = {}
    for asset, row in rows.items():
        if row["start"]:
            prices[asset] = float(row["start"])
        elif row["ratio"]:
            prices[asset] = float(row["ratio"]) * prices[WRAPPED[asset]]
        elif row["high"]:
            prices[asset] = float(row["high"]) * (1 - assumptions.number(f"start_beta.{row['class']}") * fall)
        else:
            prices[asset] = assumptions.number(f"start_price.{asset}")
    return prices


def balance(name: str) -> float:
    """Published balance or share."""
    return float(_values("balances")[name])


def distribution(name: str) -> Row:
    """Row of the published distributions."""
    return next(row for row in read_rows("distributions") if row["name"] == name)


@cache
def _values(table: str) -> dict[str, str]:
    return {row["name"]: row["value"] for row in read_rows(table)}

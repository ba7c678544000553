"""Edits: one change of the rules of exchanges, and the text that an analyst types for it.

An edit is ``rule[:target[@exchange]]=value``; the target is an exchange or, for rules of markets and brackets, a coin.
Without a target it holds everywhere. A value is a number or a percentage, ``on`` or ``off``, a word of the rule, ``none``
where the rule may be empty, or ``x`` and a factor on what is there. Names are quoted as in :mod:`contagion.shocks`.

=====================  ==============================================  =============================================
rule                   example                                         edits
=====================  ==============================================  =============================================
leverage_cap           ``leverage_cap=20``, ``leverage_cap:DOGE=10``   largest leverage of a bracket, down to the cap
haircut                ``haircut:USDe=30%``, ``haircut:X@Binance=1``   collateral haircut; without an exchange only
                                                                       where the coin is accepted
price_band             ``price_band=10%``, ``price_band:BTC=none``     move beyond which a market stops
index_weight           ``index_weight:USDe@Binance=0.5``               weight of a market in the index
fund                   ``fund=x2``, ``fund:Binance=2e9``               insurance fund
a column of exchanges  ``liquidation=target``, ``halt_rounds=5``,      that column
                       ``mark_oracle=median``, ``backstop=none``
=====================  ==============================================  =============================================
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictBool, ValidationError, field_validator, model_validator

from contagion.documents import remedy_for
from contagion.errors import PolicyError
from contagion.notation import NAME, format_number, parse_number, read_name, write_name
from graphs.schema import EXCHANGE, TABLES, Column

Value = StrictBool | float | str | None
"""What a rule can be set to; None is none."""


class Rule(NamedTuple):
    """Which column of which table a rule is."""

    table: str
    column: str

    @property
    def schema(self) -> Column:
        """The column."""
        return TABLES[self.table].by_name[self.column]


ALIASES: Final = {"fund": "insurance_fund", "collateral_haircut": "haircut"}
RULES: Final[dict[str, Rule]] = {
    "leverage_cap": Rule("margin_tier", "max_leverage"),
    "haircut": Rule("market", "collateral_haircut"),
    "price_band": Rule("market", "price_band"),
    "index_weight": Rule("market", "index_weight"),
    **{column.name: Rule("exchange", column.name) for column in EXCHANGE.columns if column.name != "id"},
}
"""Every rule by its name."""

_TEXT = re.compile(rf"(?P<rule>\w+)\s*(?::\s*(?P<target>{NAME})\s*)?(?:@\s*(?P<exchange>{NAME})\s*)?=\s*(?P<value>.*)", re.DOTALL)
_FORM = "write rule[:target[@exchange]]=value, for example leverage_cap=20 or haircut:USDe=30%"


class Edit(BaseModel):
    """A change of one rule.

    Attributes
    ----------
    rule
        Name of the rule.
    target, exchange
        Where it changes: an exchange, or a coin and perhaps an exchange; empty is everywhere.
    value
        New value, None for none; with ``factor`` the factor on the old one.
    factor
        Whether ``value`` multiplies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rule: str
    target: str = ""
    exchange: str = ""
    value: Value
    factor: bool = False

    @field_validator("rule")
    @classmethod
    def _known(cls, rule: str) -> str:
        rule = ALIASES.get(rule, rule)
        if rule not in RULES:
            msg = f"{rule} is no rule; {remedy_for(rule, sorted({*RULES, *ALIASES}))}"
            raise ValueError(msg)
        return rule

    @model_validator(mode="after")
    def _fits(self) -> Edit:
        wrong = []
        if self.exchange and not self.target:
            wrong.append(f"names an exchange but no coin; write {self.rule}:{self.exchange}")
        elif self.exchange and RULES[self.rule].table == "exchange":
            wrong.append(f"{self.rule} is a rule of exchanges, not of coins; write {self.rule}:{self.exchange}")
        wrong += [problem for problem in [self._problem()] if problem]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _problem(self) -> str:
        """What is wrong with the value; empty if nothing is."""
        column, value = RULES[self.rule].schema, self.value
        number = value if isinstance(value, float) else None
        if self.factor:
            return self._factor_problem(column, number)
        right, remedy = True, ""
        if value is None:
            right, remedy = column.default is None and not column.required, "write a value"
        elif column.dtype == "bool":
            right, remedy = isinstance(value, bool), "write on or off"
        elif column.dtype == "string":
            right = isinstance(value, str) and bool(value) and (not column.choices or value in column.choices)
            remedy = remedy_for(str(value), column.choices)
        else:
            right, remedy = number is not None and in_range(column, number), _range(column)
        return "" if right else f"{_shown(value)} is no {self.rule}; {remedy}"

    def _factor_problem(self, column: Column, number: float | None) -> str:
        if column.dtype not in {"float", "int"} or number is None:
            return f"{self.rule} holds no number to multiply; write a value"
        if self.rule == "leverage_cap":
            return "" if 0 < number <= 1 else f"x{format_number(number)} is no cap; write a factor above 0, at most 1"
        return "" if number > 0 else f"x{format_number(number)} is no factor; write one above 0"

    @property
    def key(self) -> tuple[str, str, str]:
        """What it changes; two edits of one policy may not share it."""
        return (self.rule, self.target, self.exchange)

    def __str__(self) -> str:
        """The text that parses to this edit."""
        text = self.rule
        if self.target:
            text += f":{write_name(self.target)}"
        if self.exchange:
            text += f"@{write_name(self.exchange)}"
        word = _shown(self.value)
        if isinstance(self.value, str) and not RULES[self.rule].schema.choices:
            word = json.dumps(word) if word == "none" else write_name(word)
        return f"{text}={'x' if self.factor else ''}{word}"


def _shown(value: Value) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return format_number(value)
    return "none" if value is None else value


def _range(column: Column) -> str:
    low = "" if column.low is None else f" {'above' if column.open_low else 'from'} {column.low:g}"
    high = "" if column.high is None else f" up to {column.high:g}"
    return f"write a {'whole number' if column.dtype == 'int' else 'number'}{low}{high}"


def in_range(column: Column, value: float) -> bool:
    """Whether a column may hold a number."""
    below = column.low is not None and (value < column.low or (column.open_low and value == column.low))
    above = column.high is not None and value > column.high
    return not (below or above or (column.dtype == "int" and not value.is_integer()))


def parse_edit(text: str) -> Edit:
    """Read an edit from its text.

    Raises
    ------
    PolicyError
        With the text, what is wrong with it and what to write.

    Examples
    --------
    >>> parse_edit("haircut:USDe@Binance=30%")
    Edit(rule='haircut', target='USDe', exchange='Binance', value=0.3, factor=False)
    >>> str(parse_edit("fund=x2"))
    'insurance_fund=x2'
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise PolicyError(f"policy '{text}': it does not read as an edit; {_FORM}")
    try:
        names = {part: "" if found[part] is None else read_name(found[part]) for part in ("target", "exchange")}
        value, factor = _read_value(ALIASES.get(found["rule"], found["rule"]), found["value"].strip())
        return Edit.model_validate({"rule": found["rule"], **names, "value": value, "factor": factor})
    except ValidationError as reason:
        problems = "; ".join(str(item["msg"]).removeprefix("Value error, ") for item in reason.errors(include_url=False))
        raise PolicyError(f"policy '{text}': {problems}") from None
    except ValueError as reason:
        raise PolicyError(f"policy '{text}': {reason}") from None


def _read_value(rule: str, word: str) -> tuple[bool | float | str | None, bool]:
    """Value as the rule's column holds it, and whether it is a factor; what does not fit is left as text."""
    if not word:
        msg = f"{rule} needs a value; {_FORM}"
        raise ValueError(msg)
    if rule not in RULES:
        return word, False
    column = RULES[rule].schema
    if word == "none" and word not in column.choices:
        return None, False
    if column.dtype == "bool":
        return {"on": True, "off": False}.get(word, word), False
    if column.dtype == "string":
        return (word if column.choices else read_name(word)), False
    factor = parse_number(word[1:]) if word.startswith("x") else None
    if factor is not None:
        return factor, True
    number = parse_number(word)
    return (word if number is None else number), False


def _from_text(value: Any) -> Any:  # noqa: ANN401 - whatever a file holds
    """Texts become edits; their errors become pydantic's, so that all of a file are listed."""
    if not isinstance(value, str):
        return value
    try:
        return parse_edit(value)
    except PolicyError as reason:
        raise ValueError(str(reason)) from None


EditLike = Annotated[Edit, BeforeValidator(_from_text, json_schema_input_type=Edit | str)]
"""An edit in a file: a table, or its text."""

"""Shocks: one thing that happens to the network from outside, and the text that an analyst types for it.

A text is ``[kind:]target[->creditor][@exchange][=value]``. Without a kind it is a price shock. A value is a number, plain
or scientific, where it makes sense also in percent, or ``on`` and ``off``. A name that holds one of ``@ = " ->`` or begins
or ends with a space stands in double quotes with JSON's escapes; a coin with a colon in its name is written
``price:xyz:GOLD=-5%``.

==================  =======================================  ==========================================
kind                example                                  value
==================  =======================================  ==========================================
price               ``BTC=-15%``, ``BTC@Binance=-15%``       relative change of price, above -100 %
depeg               ``depeg:USDe@Binance=0.65``              new price over peg (no peg: network price)
depth               ``depth:Binance=0.1``, ``depth:*=0.5``   factor on the network's depth; 1 restores
default             ``default:HTX``                          none
loss                ``loss:fund-1=1e6``                      USD lost from its cash
outage, halt        ``outage:Binance``, ``halt:BTC=off``     on (if not given) or off
transfers,          ``transfers:Binance=off``                on is open, off is shut
arbitrage,
redemption
writeoff            ``writeoff:A->B=50%``                    fraction of the claim; no creditor: of all
sale                ``sale:USDe@Binance=75e6``               USD sold by outside holders into that book
==================  =======================================  ==========================================
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from contagion.documents import remedy_for
from contagion.errors import ScenarioError
from contagion.notation import NAME, format_number, format_percent, parse_number, read_name, write_name

ShockKind = Literal[
    "price", "depeg", "depth", "default", "loss", "outage", "halt", "transfers", "arbitrage", "redemption", "writeoff", "sale"
]
KINDS: Final[tuple[str, ...]] = get_args(ShockKind)
EVERYWHERE: Final = "*"
"""Target of a depth shock that touches every book."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a kind of shock is written.

    Attributes
    ----------
    example
        A text that is right.
    unit
        ``change`` (percent or fraction, never bare beyond ±100 %), ``fraction`` (percent allowed), ``usd``, ``switch``, ``none``.
    low, high
        Bounds of the value; ``open_low`` refuses ``low`` itself.
    at
        Whether an exchange may, must or must not be named.
    default
        Value when none is given; NaN if one must be given.
    bounds
        The bounds in words, with what to do instead.
    """

    example: str
    unit: Literal["change", "fraction", "usd", "switch", "none"]
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    at: Literal["may", "must", "never"] = "never"
    default: float = math.nan
    bounds: str = ""


_HUNDRED = 100
_SWITCH_BOUNDS = "is neither on nor off; write on or off"
GRAMMAR: Final[dict[str, Grammar]] = {
    "price": Grammar(
        "BTC=-15%", "change", low=-1, open_low=True, at="may", bounds="would leave no price; write a fall smaller than 100 %, such as -15%"
    ),
    "depeg": Grammar(
        "depeg:USDe@Binance=0.65",
        "fraction",
        low=0,
        high=10,
        open_low=True,
        at="may",
        bounds="is no price over peg; write a fraction above 0 and at most 10, such as 0.65 or 65%",
    ),
    "depth": Grammar(
        "depth:Binance=0.1",
        "fraction",
        low=0,
        open_low=True,
        at="may",
        bounds="is no depth; write a factor above 0, such as 0.01, or halt the market",
    ),
    "default": Grammar("default:HTX", "none", low=1, high=1, default=1, bounds="is no value of a default; leave the value out"),
    "loss": Grammar("loss:HTX=1e6", "usd", low=0, bounds="is no loss; write a positive number of USD"),
    "outage": Grammar("outage:Binance", "switch", default=1, bounds=_SWITCH_BOUNDS),
    "halt": Grammar("halt:BTC@Binance", "switch", at="may", default=1, bounds=_SWITCH_BOUNDS),
    "transfers": Grammar("transfers:Binance=off", "switch", bounds=_SWITCH_BOUNDS),
    "arbitrage": Grammar("arbitrage:Binance=off", "switch", bounds=_SWITCH_BOUNDS),
    "redemption": Grammar("redemption:USDe=off", "switch", bounds=_SWITCH_BOUNDS),
    "writeoff": Grammar("writeoff:A->B=50%", "fraction", low=0, high=1, bounds="is no share of a claim; write 0 to 100 %, such as 50%"),
    "sale": Grammar("sale:USDe@Binance=75e6", "usd", at="must"),
}


class Shock(BaseModel):
    """One thing that happens to the network from outside.

    Attributes
    ----------
    kind
        What happens; the table above says what each kind means.
    target
        Whom or what it hits.
    exchange
        Where; empty is everywhere.
    creditor
        Whose claim is written off; empty is everybody's.
    value
        How much, as a fraction (never percent), in USD, or 1 and 0 for on and off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ShockKind
    target: str = Field(min_length=1)
    exchange: str = ""
    creditor: str = ""
    value: float

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        """A default, an outage and a halt need no value."""
        if isinstance(data, dict) and "value" not in data:
            grammar = GRAMMAR.get(str(data.get("kind")))
            if grammar is not None and not math.isnan(grammar.default):
                return {**data, "value": grammar.default}
        return data

    @model_validator(mode="after")
    def _fits(self) -> Shock:
        grammar, wrong = GRAMMAR[self.kind], []
        if self.exchange and grammar.at == "never":
            wrong.append(f"{self.kind} takes no exchange; leave @{self.exchange} out")
        if not self.exchange and grammar.at == "must":
            wrong.append(f"{self.kind} needs the exchange in whose book it falls; write for example {grammar.example}")
        if self.creditor and self.kind != "writeoff":
            wrong.append(f"{self.kind} takes no creditor; leave ->{self.creditor} out")
        if self.target == EVERYWHERE and (self.kind != "depth" or self.exchange):
            remedy = f"write depth:{self.exchange}" if self.kind == "depth" else "name the target"
            wrong.append(f"{EVERYWHERE} stands for all books and only in depth:*=0.1; {remedy}")
        if _outside(self.value, grammar):
            shown = format_percent(self.value) if grammar.unit == "change" else format_number(self.value)
            wrong.append(f"{shown} {grammar.bounds}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it hits; two shocks of one stage may not share it."""
        return (self.kind, self.target, self.exchange, self.creditor)

    def __str__(self) -> str:
        """The text that parses to this shock."""
        return format_shock(self)


def _outside(value: float, grammar: Grammar) -> bool:
    if grammar.unit == "switch":
        return value not in {0.0, 1.0}
    return value < grammar.low or value > grammar.high or (grammar.open_low and value == grammar.low)


_TEXT = re.compile(
    rf"(?:(?P<kind>\w+)\s*:)?\s*(?P<target>{NAME})\s*(?:->\s*(?P<creditor>{NAME})\s*)?(?:@\s*(?P<exchange>{NAME})\s*)?(?:=\s*(?P<value>[^=]*))?",
    re.DOTALL,
)
_FORM = "write [kind:]target[@exchange]=value, for example BTC=-15% or depth:Binance=0.1"


def parse_shock(text: str) -> Shock:
    """Read a shock from its text.

    Raises
    ------
    ScenarioError
        With the text, what is wrong with it and an example.

    Examples
    --------
    >>> parse_shock("BTC@Binance=-15%").value
    -0.15
    >>> parse_shock("sale:USDe@Binance=75e6")
    Shock(kind='sale', target='USDe', exchange='Binance', creditor='', value=75000000.0)
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise _refused(text, f"it does not read as a shock; {_FORM}")
    kind = found["kind"] or "price"
    if kind not in GRAMMAR:
        raise _refused(text, f"{kind} is no kind of shock; {remedy_for(kind, KINDS)} (a coin {kind}:… is written price:{kind}:…=-15%)")
    if found["creditor"] is not None and kind != "writeoff":
        raise _refused(text, "-> stands only in a writeoff; put a name that holds it in double quotes")
    try:
        names = {part: "" if found[part] is None else read_name(found[part]) for part in ("target", "creditor", "exchange")}
    except ValueError as reason:
        raise _refused(text, str(reason)) from None
    fields = {**names, "kind": kind, "value": _value(text, kind, found["value"])}
    try:
        return Shock.model_validate(fields)
    except ValidationError as reason:
        problems = "; ".join(str(item["msg"]).removeprefix("Value error, ") for item in reason.errors(include_url=False))
        raise _refused(text, problems) from None


def _refused(text: str, reason: str) -> ScenarioError:
    return ScenarioError(f"shock '{text}': {reason}")


def _value(text: str, kind: str, value: str | None) -> float:
    """The number behind the equals sign."""
    grammar = GRAMMAR[kind]
    if value is None or not value.strip():
        if value is None and not math.isnan(grammar.default):
            return grammar.default
        raise _refused(text, f"{kind} needs a value; write for example {grammar.example}")
    word = value.strip()
    if grammar.unit in {"switch", "none"} and word in {"on", "off"}:
        return float(word == "on")
    number = parse_number(word)
    if number is None:
        raise _refused(text, f"{word} is not a number; write for example {grammar.example}")
    percent = word.endswith("%")
    if percent and grammar.unit not in {"change", "fraction"}:
        raise _refused(text, f"{kind} takes no percentage; write for example {grammar.example}")
    if not percent and grammar.unit == "change" and abs(number) > 1:
        meant = format_percent(number / _HUNDRED if abs(number) <= _HUNDRED else number)
        raise _refused(text, f"{word} is a change of {format_percent(number)}; write the percent sign, such as {meant}, if that is meant")
    return number


def format_shock(shock: Shock) -> str:
    """Write a shock as its text; ``parse_shock`` reads back the same shock.

    Examples
    --------
    >>> format_shock(Shock(kind="writeoff", target="A", creditor="B", value=0.5))
    'writeoff:A->B=50%'
    >>> format_shock(Shock(kind="outage", target="Binance", value=1))
    'outage:Binance'
    """
    grammar = GRAMMAR[shock.kind]
    target = write_name(shock.target)
    text = target if shock.kind == "price" and (":" not in target or target.startswith('"')) else f"{shock.kind}:{target}"
    if shock.creditor:
        text += f"->{write_name(shock.creditor)}"
    if shock.exchange:
        text += f"@{write_name(shock.exchange)}"
    if shock.value == grammar.default:
        return text
    if grammar.unit == "switch":
        return f"{text}={'on' if shock.value else 'off'}"
    return f"{text}={format_percent(shock.value) if shock.kind in {'price', 'writeoff'} else format_number(shock.value)}"


def _from_text(value: Any) -> Any:  # noqa: ANN401 - whatever a file holds
    """Texts become shocks; their errors become pydantic's, so that all of a file are listed."""
    if not isinstance(value, str):
        return value
    try:
        return parse_shock(value)
    except ScenarioError as reason:
        raise ValueError(str(reason)) from None


ShockLike = Annotated[Shock, BeforeValidator(_from_text, json_schema_input_type=Shock | str)]
"""A shock in a file: a table, or its text."""

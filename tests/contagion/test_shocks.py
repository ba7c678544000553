"""A shock and its text are the same thing, and what is no shock is refused with a remedy."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contagion.errors import ScenarioError
from contagion.shocks import GRAMMAR, KINDS, Shock, ShockLike, format_shock, parse_shock

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["BTC", "a@b", "x=y", 'say "hi"', "A->B", "xyz:GOLD", "depth:BTC", " edge ", "entrant:1:2:3", "line\nbreak", "back\\slash", "10%", "on"]
)


def _values(kind: str) -> st.SearchStrategy[float]:
    grammar = GRAMMAR[kind]
    if grammar.unit == "switch":
        return st.sampled_from([0.0, 1.0])
    low, high = max(grammar.low, -1e300), min(grammar.high, 1e300)
    return st.floats(low, high, exclude_min=grammar.open_low)


@st.composite
def shocks(draw: st.DrawFn) -> Shock:
    kind = draw(st.sampled_from(KINDS))
    target = draw(NAMES.filter(lambda name: name != "*"))
    exchange = draw(NAMES) if GRAMMAR[kind].at == "must" or (GRAMMAR[kind].at == "may" and draw(st.booleans())) else ""
    creditor = draw(NAMES) if kind == "writeoff" and draw(st.booleans()) else ""
    return Shock(kind=kind, target=target, exchange=exchange, creditor=creditor, value=draw(_values(kind)))  # type: ignore[arg-type]


@given(shocks())
def test_a_shock_is_read_back_from_its_text_exactly(shock: Shock) -> None:
    assert parse_shock(format_shock(shock)) == shock


@given(st.integers(-99_999, 10**9), st.integers(-12, 3))
def test_a_percentage_is_the_float_nearest_to_the_decimal(digits: int, exponent: int) -> None:
    number = Decimal(digits).scaleb(exponent)
    if -100 < number < 10**8:
        assert parse_shock(f"BTC={number}%").value == float(number / 100)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("BTC=-15%", ("price", "BTC", "", "", -0.15)),
        (" BTC @ Binance = -0.15 ", ("price", "BTC", "Binance", "", -0.15)),
        ("BTC=+1500%", ("price", "BTC", "", "", 15.0)),
        ("depth:Binance=0.1", ("depth", "Binance", "", "", 0.1)),
        ("depth:BTC@Binance=10%", ("depth", "BTC", "Binance", "", 0.1)),
        ("depth:*=.5", ("depth", "*", "", "", 0.5)),
        ("depeg:USDe@Binance=0.65", ("depeg", "USDe", "Binance", "", 0.65)),
        ("default:HTX", ("default", "HTX", "", "", 1.0)),
        ("loss:NODE=1e6", ("loss", "NODE", "", "", 1e6)),
        ("outage:Binance", ("outage", "Binance", "", "", 1.0)),
        ("outage:Binance=off", ("outage", "Binance", "", "", 0.0)),
        ("halt:BTC@Binance=off", ("halt", "BTC", "Binance", "", 0.0)),
        ("transfers:Binance=off", ("transfers", "Binance", "", "", 0.0)),
        ("arbitrage:Binance=on", ("arbitrage", "Binance", "", "", 1.0)),
        ("redemption:USDe=off", ("redemption", "USDe", "", "", 0.0)),
        ("writeoff:A->B=50%", ("writeoff", "A", "", "B", 0.5)),
        ("writeoff:A=1", ("writeoff", "A", "", "", 1.0)),
        ("sale:USDe@Binance=75e6", ("sale", "USDe", "Binance", "", 75e6)),
        ("sale:USDe@Binance=-1_000", ("sale", "USDe", "Binance", "", -1000.0)),
        ("price:xyz:GOLD=-5%", ("price", "xyz:GOLD", "", "", -0.05)),
        ('"a@b"@"c=d"=5%', ("price", "a@b", "c=d", "", 0.05)),
    ],
)
def test_what_an_analyst_types(text: str, fields: tuple[str, str, str, str, float]) -> None:
    shock = parse_shock(text)
    assert (shock.kind, shock.target, shock.exchange, shock.creditor, shock.value) == fields


@pytest.mark.parametrize(
    ("text", "why", "remedy"),
    [
        ("", "does not read", "BTC=-15%"),
        ("BTC", "needs a value", "BTC=-15%"),
        ("BTC=", "needs a value", "BTC=-15%"),
        ("BTC=x", "x is not a number", "BTC=-15%"),
        ("BTC=nan", "nan is not a number", "BTC=-15%"),
        ("BTC=-1e999", "not a number", "BTC=-15%"),
        ("BTC==5", "does not read", "BTC=-15%"),
        ("BTC=-100%", "would leave no price", "smaller than 100 %"),
        ("BTC=-15", "a change of -1500%", "such as -15%"),
        ("BTC=100000", "a change of 10000000%", "percent sign"),
        ("USD@Binance@OKX=1%", "does not read", "BTC=-15%"),
        ("dpeth:Binance=0.1", "dpeth is no kind", "'depth'"),
        ("xyz:GOLD=-5%", "xyz is no kind", "price:xyz:"),
        ("depth:Binance=0", "0 is no depth", "factor above 0"),
        ("depth:*@Binance=0.1", "all books", "depth:Binance"),
        ("*=5%", "all books", "name the target"),
        ("depeg:USDe=65", "65 is no price over peg", "65%"),
        ("depeg:USDe=0", "0 is no price over peg", "0.65"),
        ("default:HTX@Binance", "takes no exchange", "leave @Binance out"),
        ("default:HTX=off", "no value of a default", "leave the value out"),
        ("loss:A=-5", "-5 is no loss", "positive"),
        ("loss:A=5%", "takes no percentage", "loss:HTX=1e6"),
        ("outage:Binance=2", "2 is neither", "on or off"),
        ("transfers:Binance", "needs a value", "transfers:Binance=off"),
        ("sale:USDe=75e6", "needs the exchange", "sale:USDe@Binance"),
        ("writeoff:A->B=150%", "1.5 is no share", "50%"),
        ("A->B=5%", "only in a writeoff", "double quotes"),
        ('""=5%', "a name is empty", "id of a node"),
        (r'"\x"=1%', "not quoted as JSON", "escape"),
    ],
)
def test_what_is_no_shock_is_refused_with_the_text_the_reason_and_a_remedy(text: str, why: str, remedy: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_shock(text)
    message = str(caught.value)
    assert message.startswith(f"shock '{text}': ")
    assert why in message
    assert remedy in message
    assert "\n" not in message


@given(st.text(max_size=20))
def test_any_text_is_a_shock_or_a_scenario_error(text: str) -> None:
    try:
        shock = parse_shock(text)
    except ScenarioError:
        return
    assert parse_shock(str(shock)) == shock


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_each_kind_parses_to_that_kind(kind: str) -> None:
    assert parse_shock(GRAMMAR[kind].example).kind == kind


def test_a_shock_in_a_file_is_a_text_or_a_table() -> None:
    reader: TypeAdapter[Shock] = TypeAdapter(ShockLike)
    table = {"kind": "outage", "target": "Binance"}
    assert reader.validate_python("outage:Binance") == reader.validate_python(table) == Shock(kind="outage", target="Binance", value=1)
    offered = reader.json_schema()["anyOf"]
    assert {"type": "string"} in offered
    assert len(offered) == 2


def test_a_shock_cannot_be_changed_and_knows_no_other_field() -> None:
    shock = parse_shock("BTC=-15%")
    with pytest.raises(ValidationError, match="frozen"):
        shock.value = 0.0
    with pytest.raises(ValidationError, match="Extra"):
        Shock.model_validate({"kind": "price", "target": "BTC", "value": -0.1, "size": 1})
    with pytest.raises(ValidationError, match="finite"):
        Shock(kind="price", target="BTC", value=float("nan"))

"""Scenarios: files read back equal, every error is listed, names are checked against the network, entrants have rows."""

from __future__ import annotations

import inspect
import math
import textwrap
import tomllib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion import scenario as scenario_module
from contagion.documents import to_toml
from contagion.entries import entrants, openings
from contagion.errors import ScenarioError
from contagion.policy import Policy, apply_policy
from contagion.scenario import Clock, Entry, Scenario, Stage, list_scenarios, load_scenario, parse_shock
from graphs.checks import check_network
from graphs.toys import delta_neutral_issuer, interbank_ring, one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from pathlib import Path

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
SIZES = st.floats(1e-3, 1e12)


def _read(text: str, folder: Path) -> Scenario:
    path = folder / "day.toml"
    path.write_text(text, encoding="utf-8", newline="")
    return Scenario.from_toml(path)


def _from_text(text: str) -> Scenario:
    return Scenario.model_validate(tomllib.loads(text))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    clocked = draw(st.booleans())
    clock = Clock(round_seconds=draw(st.floats(0.1, 100)), half_life=draw(st.none() | SIZES), duration=1e6) if clocked else None
    count = draw(st.integers(0, 3))
    whens = sorted(draw(st.lists(st.floats(0, 1e5) if clocked else st.integers(0, 50), min_size=count, max_size=count)))
    stages = []
    for when in whens:
        settled = draw(st.booleans())
        entries = st.builds(
            Entry,
            asset=WORDS,
            exchange=WORDS,
            side=st.sampled_from(["long", "short"]),
            notional=SIZES,
            leverage=st.floats(1, 200),
            accounts=st.integers(1, 9),
        )
        stages.append(
            Stage(
                round=None if settled or clocked else int(when),
                time=float(when) if clocked and not settled else None,
                duration=draw(st.floats(0, 1e5)) if clocked else 0.0,
                shocks=tuple(parse_shock(text) for text in draw(st.lists(st.sampled_from(TEXTS), unique=True, max_size=3))),
                enter=tuple(draw(st.lists(entries, max_size=2))) if clocked else (),
            )
        )
    return Scenario(
        name=draw(WORDS), description=draw(st.just("") | WORDS), start="2025-10-10T20:50:00Z", clock=clock, stages=tuple(stages)
    )


TEXTS = [
    "BTC=-15%",
    "depth:*=0.1",
    "depeg:USDe@Binance=0.65",
    "default:HTX",
    'loss:"a@b"=1e6',
    "writeoff:A->B=33.3%",
    "sale:USDe@Binance=7.5e7",
]


@given(scenarios())
def test_a_scenario_is_read_back_from_its_file_exactly(scenario: Scenario) -> None:
    assert _from_text(scenario.to_toml()) == scenario


@given(
    st.recursive(
        st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
        lambda inner: st.lists(st.booleans() | WORDS, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: {"top": value, "rows": [{"a": 1}, {"a": value}]})
)
def test_what_is_written_is_what_toml_reads(document: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(document)) == document


def test_the_example_of_the_module_is_a_scenario(tmp_path: Path) -> None:
    example = textwrap.dedent(inspect.getdoc(scenario_module).split("::\n\n")[1])  # type: ignore[union-attr]
    scenario = _read(example, tmp_path)
    assert scenario.start == "2025-10-10T20:50:00Z"
    assert scenario.stages[1].time == 46 * 60
    assert scenario.stages[1].shocks == (parse_shock("sale:USDe@Binance=75e6"),)
    assert [entry.accounts for entry in scenario.stages[1].enter] == [100]


@pytest.mark.parametrize(
    ("start", "time", "seconds"),
    [
        ('"2025-10-10T20:50:00Z"', '"21:15"', 1500),
        ("2025-10-10T20:50:00Z", "21:15:03", 1503),
        ('"2025-10-10T20:50"', '"20:50"', 0),
        ('"2025-10-10T23:50:00Z"', '"00:10"', 1200),
        ('"2025-10-10T20:50:00+02:00"', '"21:15"', 1500),
        ('"2025-10-10T20:50:00+02:00"', '"19:15Z"', 1500),
        ('"2025-10-10T20:50:00Z"', "90.5", 90.5),
    ],
)
def test_a_time_of_day_is_seconds_from_the_start(start: str, time: str, seconds: float, tmp_path: Path) -> None:
    text = f"start = {start}\n[clock]\nround_seconds = 1\nduration = 86400\n[[stages]]\ntime = {time}\n"
    assert _read(text, tmp_path).stages[0].time == seconds


def test_every_error_of_a_file_is_listed_with_its_path(tmp_path: Path) -> None:
    text = """
        nam = "x"
        start = "yesterday"
        [clock]
        round_seconds = -1
        [[stages]]
        shocks = ["BTC=-150%", "dpeth:X=1", { kind = "price", target = "BTC", value = -0.1, exchnge = "x" }, 5]
        rounds = 3
        enter = [{ asset = "BTC", exchange = "B", side = "lnog", notional = 0, leverage = 0.5 }]
    """
    with pytest.raises(ScenarioError) as caught:
        _read(text, tmp_path)
    head, *lines = str(caught.value).splitlines()
    assert head == f"{tmp_path / 'day.toml'}: {len(lines)} errors"
    expected = {
        "nam": "'name'",
        "start": "ISO 8601",
        "clock.round_seconds": "greater than 0, but it is -1",
        "clock.duration": "is missing",
        "stages[0].shocks[0]": "smaller than 100 %",
        "stages[0].shocks[1]": "'depth'",
        "stages[0].shocks[2].exchnge": "'exchange'",
        "stages[0].shocks[3]": "but it is 5",
        "stages[0].rounds": "'round'",
        "stages[0].enter[0].side": "'lnog'",
        "stages[0].enter[0].notional": "greater than 0",
        "stages[0].enter[0].leverage": "greater than or equal to 1",
    }
    found = dict(line.strip().split(": ", 1) for line in lines)
    assert found.keys() == expected.keys()
    assert all(part in found[path] for path, part in expected.items())


CLOCK = "[clock]\nround_seconds = 1\nduration = 60\n"
ENTRY = '{ asset = "A", exchange = "B", side = "long", notional = 1, leverage = 2 }'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[stages]]\ntime = 3", "stages[0].time: needs a clock"),
        ("[[stages]]\nduration = 3", "stages[0].duration: needs a clock"),
        (f"[[stages]]\nenter = [{ENTRY}]", "stages[0].enter: needs a clock"),
        (f"{CLOCK}[[stages]]\nround = 3", "stages[0].round: rounds of a clock may be shortened; give the stage's time"),
        (f"{CLOCK}[[stages]]\ntime = 50\nduration = 11", "stages[0]: ends after the clock stops at 60 s"),
        ("[[stages]]\nround = 5\n[[stages]]\n[[stages]]\nround = 4", "stages[2].round: 4 comes before round 5"),
        (f"{CLOCK}[[stages]]\ntime = 5\n[[stages]]\ntime = 4", "stages[1].time: 4 s comes before 5 s"),
        ('[[stages]]\nname = "a"\n[[stages]]\nname = "a"', "the name a stands twice"),
        ('[[stages]]\nshocks = ["BTC=-5%", "BTC=-0.06"]', "BTC=-5% and BTC=-6% hit the same in one stage"),
        ("[clock]\nround_seconds = 9\nduration = 8", "a duration of 8 s holds no round of 9 s"),
        (f'{CLOCK}[[stages]]\ntime = "21:15"', "stages[0].time: the time of day 21:15:00 needs the scenario's start"),
        (f'start = "2025-10-10"\n{CLOCK}[[stages]]\ntime = "2x"', "'2x' is no time; write seconds"),
        ("[[stages]]\nround = -1", "stages[0].round: input should be greater than or equal to 0"),
        ("x = [", "is not TOML"),
        ("stages = 3", "stages: input should be a valid tuple"),
    ],
)
def test_what_does_not_fit_together_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        _read(text, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "day.toml"))
    assert message in str(caught.value)


def test_a_stage_may_wait_until_the_one_before_has_settled() -> None:
    scenario = _from_text('[[stages]]\nround = 5\n[[stages]]\nshocks = ["BTC=1%"]\n[[stages]]\nround = 5\n')
    assert [stage.round for stage in scenario.stages] == [5, None, 5]


def test_shocks_of_a_command_line_are_one_stage_called_custom() -> None:
    scenario = Scenario.from_shocks(["BTC=-15%", "depth:Binance=0.1"])
    assert scenario.name == "custom"
    assert [str(shock) for stage in scenario.stages for shock in stage.shocks] == ["BTC=-15%", "depth:Binance=0.1"]
    with pytest.raises(ScenarioError, match="hit the same"):
        Scenario.from_shocks(["BTC=-15%", "BTC=-14%"])


def test_a_scenario_without_a_name_is_called_as_its_file(tmp_path: Path) -> None:
    assert _read('[[stages]]\nshocks = ["BTC=-5%"]\n', tmp_path).name == "day"


def test_every_shipped_scenario_loads_by_its_name() -> None:
    for name in list_scenarios():
        scenario = load_scenario(name)
        assert scenario.name == name
        assert _from_text(scenario.to_toml()) == scenario


def test_a_scenario_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no shipped scenario and no file bears that name"):
        load_scenario("nowhere")
    with pytest.raises(ScenarioError, match=r"nowhere\.toml: cannot be read \(No such file"):
        load_scenario(tmp_path / "nowhere.toml")


def test_the_schema_offers_texts_and_tables() -> None:
    schema = Scenario.model_json_schema()
    items = schema["$defs"]["Stage"]["properties"]["shocks"]["items"]["anyOf"]
    assert {"type": "string"} in items
    assert {"type": "string"} in schema["$defs"]["Stage"]["properties"]["time"]["anyOf"]


@pytest.mark.parametrize(
    "text",
    [
        "BTC=-5%",
        "BTC@Thin=-5%",
        "USDX=-5%",
        "depeg:USDX@Thin=0.9",
        "depth:*=0.5",
        "depth:Thin=0.5",
        "depth:BTC=0.5",
        "depth:USDX@Thin=0.5",
        "default:Short",
        "default:Thin",
        "default:USDX",
        "loss:Short=5",
        "outage:Thin",
        "halt:BTC@Thin",
        "transfers:Thin=off",
        "arbitrage:Thin=off",
        "redemption:USDX=off",
        "sale:USDX@Thin=5",
    ],
)
def test_what_a_network_has_passes(text: str) -> None:
    Scenario.from_shocks([text]).check(two_exchange_stablecoin())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("BTD=-5%", "BTD is no asset or stablecoin of the network; did you mean 'BTC'?"),
        ("BTC@thin=-5%", "thin is no exchange of the network; did you mean 'Thin'?"),
        ("Thin=-5%", "Thin is a node of kind exchange; name one of kind asset or stablecoin"),
        ("USD=-5%", "USD is the unit of account"),
        ("depth:Nowhere=0.5", "Nowhere is no asset or stablecoin or exchange"),
        ("depth:Thin@Deep=0.5", "Thin is an exchange already"),
        ("default:BTC", "BTC is a node of kind asset"),
        ("default:Nobody", "Nobody is no trader or stablecoin or exchange"),
        ("outage:BTC", "BTC is a node of kind asset; name one of kind exchange"),
        ("redemption:BTC=off", "BTC is a node of kind asset; name one of kind stablecoin"),
        ("writeoff:Thin->Deep=50%", "Thin owes nothing to Deep"),
        ("writeoff:Thin=50%", "Thin owes nothing; name"),
    ],
)
def test_what_a_network_does_not_have_is_named_with_its_path(text: str, why: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_shocks([text]).check(two_exchange_stablecoin())
    assert str(caught.value).startswith("scenario custom does not fit network two_exchange_stablecoin: stages[0].shocks[0] ")
    assert why in str(caught.value)


def test_a_market_that_is_not_there_is_named_with_those_that_are() -> None:
    net = delta_neutral_issuer()
    (coin,), (stable,), (venue,) = net.node_ids("asset"), net.node_ids("stablecoin"), net.node_ids("exchange")
    kept = net.with_tables(market=net.tables["market"].slice(0, 0))
    with pytest.raises(ScenarioError, match=f"{venue} has no market of {stable}; it trades nowhere"):
        Scenario.from_shocks([f"sale:{stable}@{venue}=5"]).check(kept)
    Scenario.from_shocks([f"{coin}@{venue}=-5%"]).check(net)


def test_all_misfits_are_listed() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_shocks(["AAA=-5%", "BTC=-5%", "sale:BBB@CCC=5"]).check(two_exchange_stablecoin())
    lines = str(caught.value).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["stages[0].shocks[0]", "stages[0].shocks[2]", "stages[0].shocks[2]"]


def test_claims_that_are_there_can_be_written_off() -> None:
    net = interbank_ring()
    debtor, creditor = net.strings("credit", "debtor")[0], net.strings("credit", "creditor")[0]
    Scenario.from_shocks([f"writeoff:{debtor}->{creditor}=50%", f"writeoff:{debtor}=50%"]).check(net)
    with pytest.raises(ScenarioError, match=f"{debtor} owes nothing to {debtor}"):
        Scenario.from_shocks([f"writeoff:{debtor}->{debtor}=50%"]).check(net)


@pytest.mark.parametrize(
    ("shock", "named"),
    [
        ("default:Thin", {"Thin"}),
        ("outage:Thin", set()),
        ("loss:Thin=1e9", set()),
        ("depth:USDX=0.1", set()),
        ("redemption:USDX=off", set()),
        ("depeg:USDX=0.9", {"USDX"}),
        ("depeg:USDX@Thin=1", set()),
        ("USDX=-10%", {"USDX"}),
        ("USDX=10%", set()),
        ("sale:USDX@Thin=5", {"USDX"}),
        ("sale:USDX@Thin=-5", set()),
        ("BTC=-10%", set()),
        ("sale:BTC@Thin=5", set()),
    ],
)
def test_a_shock_names_what_it_defaults_or_pushes_off_its_peg(shock: str, named: set[str]) -> None:
    assert Scenario.from_shocks([shock]).named_nodes(two_exchange_stablecoin()) == named


def _entering(**changes: object) -> Scenario:
    entry = {"asset": "COIN", "exchange": "Book", "side": "short", "notional": 900.0, "leverage": 5.0, "accounts": 3} | changes
    return Scenario.model_validate({"clock": {"round_seconds": 1, "duration": 9}, "stages": [{}, {"time": 3, "enter": [entry, entry]}]})


def test_entrants_have_empty_accounts_in_a_valid_network() -> None:
    net = one_book_ladder()
    wider = entrants(net, _entering())
    assert not check_network(wider)
    assert wider.count("trader") == net.count("trader") + 6
    assert wider.node_ids("trader")[-6:] == [f"entrant:2:{entry}:{account}" for entry in (1, 2) for account in (1, 2, 3)]
    assert np.all(wider.numbers("margin", "quantity")[-6:] == 0)
    assert np.all(wider.numbers("margin", "entry_price")[-6:] == 100)
    assert np.all(wider.numbers("collateral", "quantity")[-6:] == 0)
    kept = {kind: wider.tables[kind].slice(0, net.count(kind)) for kind in ("trader", "margin", "collateral")}
    assert wider.with_tables(**kept).equals(net)


def test_a_network_nobody_enters_is_left_alone() -> None:
    net = one_book_ladder()
    assert entrants(net, Scenario.from_shocks(["COIN=-1%"])) is net


def test_the_openings_of_a_stage_are_those_rows_and_sum_to_its_notional() -> None:
    net, scenario = one_book_ladder(), _entering()
    none, found = openings(net, scenario)
    assert none == ()
    assert [row.owner for row in found] == entrants(net, scenario).node_ids("trader")[-6:]
    assert math.isclose(sum(row.notional for row in found), -1800)
    assert all(math.isclose(row.margin, 300 / 5) for row in found)
    assert openings(net, _entering(side="long"))[1][0].notional == 300


def test_a_cap_on_leverage_binds_those_who_enter_later() -> None:
    capped, _ = apply_policy(one_book_ladder(), Policy.from_texts(["leverage_cap=2"]))
    assert openings(capped, _entering())[1][0].margin == 150


def test_entering_twice_or_nowhere_is_refused() -> None:
    net = entrants(one_book_ladder(), _entering())
    with pytest.raises(ScenarioError, match=r"has traders called entrant:"):
        entrants(net, _entering())
    with pytest.raises(ScenarioError, match="COINS is no asset or stablecoin of the network; did you mean 'COIN'"):
        entrants(one_book_ladder(), _entering(asset="COINS"))
    spot_only = one_book_ladder()
    market = spot_only.frame("market").assign(instrument="spot")
    with pytest.raises(ScenarioError, match="Book has no perp market of COIN"):
        entrants(spot_only.with_tables(market=market), _entering())

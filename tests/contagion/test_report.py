"""What is said of a run: the table of ten seconds, onsets, resolution in time, and the comparison with the real day."""

from __future__ import annotations

import io
import json
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pytest

from contagion.cascade import run
from contagion.headline import headline
from contagion.job import Answer, Job, carry_out
from contagion.journal import FORCED, Flow
from contagion.record import Record
from contagion.report import page, progress
from contagion.report.facts import compare, in_range, is_measured, label
from contagion.report.onset import onset
from contagion.report.page import Page
from contagion.report.summary import summarise, to_json
from contagion.report.table import lay_out
from contagion.resolution import agrees, halved
from contagion.scenario import Clock, Scenario, Shock, Stage
from contagion.settings import Settings
from graphs.generate import random_network
from graphs.oct2025 import facts
from graphs.toys import interbank_ring, one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from contagion.cascade import Cascade
    from graphs.network import Network


@pytest.fixture(scope="module")
def day() -> Answer:
    """The shipped day in its smallest size."""
    return carry_out(Job.of("oct2025", options={"accounts": 1000}))


def answer_to(net: Network, scenario: Scenario) -> Answer:
    job = Job(network=net.name, scenario=scenario.to_toml(), half_step=False)
    return Answer(job, run(net, scenario, settings=Settings(max_rounds=100)), net, None, None, None)


def falling(**clock: float) -> Scenario:
    stage = Stage(name="news", duration=60, shocks=(Shock(kind="price", target="BTC", value=-0.12),))
    return Scenario(name="fall", clock=Clock(**clock), stages=(stage,))


def test_every_fact_of_the_day_is_measured(day: Answer) -> None:
    keys = facts()["key"]
    assert all(is_measured(key) for key in keys)
    assert all(label(key) != key and len(label(key)) <= 34 for key in keys)  # else the table would cut it
    compared = compare(day)
    assert [fact.key for fact in compared] == keys.tolist()
    assert all(math.isfinite(fact.value) for fact in compared)


def test_measures_agree_with_the_tables_of_the_run(day: Answer) -> None:
    measured = {fact.key: fact.measured for fact in compare(day)}
    cascade = day.cascade
    prices = cascade.prices.set_index(["exchange", "asset", "instrument", "round"])["price"].sort_index()
    start = cascade.markets.set_index(["exchange", "asset", "instrument"])["price_start"].sort_index()
    for coin in ("BTC", "ETH", "SOL"):
        spot = ("Binance", coin, "spot")
        assert measured[f"fall.{coin}@Binance"] == pytest.approx(prices[spot].min() / start[spot] - 1)
    assert measured["low.USDe@Binance"] == prices["Binance", "USDe", "spot"].min()
    low = prices["Binance", "BTC", "spot"].idxmin()
    broken = prices["Binance", "USDe", "spot"]
    assert measured["time.btc_low"] == low / 2  # rounds of thirty seconds
    breaks = broken[broken < 0.95].index
    order = (breaks[0] - low) / 2 if len(breaks) else math.nan
    assert measured["order.btc_low_before_depeg"] == pytest.approx(order, nan_ok=True)
    exchanges = cascade.exchanges.set_index("exchange")
    used = exchanges.loc["Binance", "fund_start_usd"] - exchanges.loc["Binance", "fund_end_usd"]
    assert measured["fund_used.Binance"] == pytest.approx(used)
    assert measured["bad_debt.Hyperliquid"] == exchanges.loc["Hyperliquid", "bad_debt_usd"]
    assert measured["supply.USDe"] == cascade.coins.set_index("coin").loc["USDe", "supply_end"]
    assert measured["outage.transfers@Binance"] == 28  # 21:18 in the tape
    total = sum(measured[f"liquidated.{name}"] for name in ("Hyperliquid", "Binance", "Bybit", "OKX", "HTX", "Gate"))
    assert total < measured["liquidated.total"] == pytest.approx(float(Record(cascade).usd_by_round(*FORCED).sum()))


def test_dollars_are_those_of_the_trade() -> None:
    """What longs fetch on one book lies between its prices before and after the order."""
    cascade = run(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"]))
    record, journal = Record(cascade), cascade.outcome.state.journal
    seen = 0
    for when, usd in journal.usd[Flow.LIQUIDATION]:
        units = next(part for at, part in journal.units[Flow.LIQUIDATION] if at == when)
        before, after = record.path[when], record.path[when + 1]
        assert (units * after < usd).all()
        assert (usd < units * before).all()
        seen += 1
    assert seen > 1
    assert record.usd(Flow.LIQUIDATION).sum() < cascade.liquidated().sum()
    assert record.longs(Flow.LIQUIDATION) == pytest.approx(record.usd(Flow.LIQUIDATION))


def test_each_fact_is_printed_with_its_range_source_and_mark(day: Answer) -> None:
    compared, printed = compare(day), lay_out(summarise(day)).text()
    lines = {line[:36].strip(): line for line in printed.splitlines() if re.search(r"[ABC] \[\d+\]$", line)}
    assert len(lines) == len(compared)
    for fact in compared:
        line = lines[label(fact.key)]
        assert re.search(r"\b(ok|miss)\b", line[36:]).group() == ("ok" if fact.hit else "miss")  # type: ignore[union-attr]
        assert ("~" in line) == (not fact.resolved)
        assert f" {fact.grade} [" in line
    for status in ("fitted", "predicted", "imposed"):
        own = [fact for fact in compared if fact.status == status]
        assert f"{status.upper()}  {sum(fact.hit for fact in own)} of {len(own)} in range" in printed


def test_a_miss_is_no_hit_at_half_the_printed_digits() -> None:
    assert in_range(0.9971, 0.92, 0.997)  # published in three digits
    assert not in_range(0.9979, 0.92, 0.997)
    assert in_range(2.31e9, 2.103e9, 2.103e9)
    assert not in_range(2.4e9, 2.103e9, 2.103e9)
    assert not in_range(float("nan"), 0.0, 1.0)


def test_only_the_day_itself_is_compared_with_the_day() -> None:
    other = carry_out(Job.of("oct2025", options={"accounts": 1000}, shocks=["BTC=-1%"]))
    assert not compare(other)
    reformed = carry_out(Job.of("oct2025", options={"accounts": 1000}, policy=["fund=x2"], half_step=False))
    assert not compare(reformed)


def test_half_the_step_is_an_independent_run_of_half_the_step() -> None:
    net = two_exchange_stablecoin()
    full = falling(round_seconds=10, half_life=100, duration=200)
    text = full.to_toml()
    answer = carry_out(Job(network=net.name, scenario=text))
    other = run(net, falling(round_seconds=5, half_life=100, duration=200))
    assert answer.resolution is not None
    expected = {figure.key: figure.value for figure in headline(other)}
    for comparison in answer.resolution.comparisons:
        if comparison.figure.key not in {"system_wide", "induced"}:  # of the benchmark at the full step
            assert comparison.half == expected[comparison.figure.key]
    assert halved(full).clock == Clock(round_seconds=5, half_life=100, duration=200)
    assert halved(Scenario.from_shocks(["BTC=-1%"])).clock is None


def test_agreement_is_symmetric_and_takes_a_tenth() -> None:
    rng = np.random.default_rng(7)
    for one, other in rng.normal(size=(200, 2)):
        assert agrees(one, other) == agrees(other, one) == (abs(one - other) <= 0.1 * max(abs(one), abs(other)))


def _insured(net: Network) -> Network:
    exchange = net.frame("exchange")
    exchange["insurance_fund"] = 40.0
    return net.with_tables(exchange=exchange)


@pytest.mark.parametrize("shock", [-0.05, -0.1, -0.2, -0.3])
def test_a_condition_holds_in_a_run_cut_off_after_its_onset_and_not_before(shock: float) -> None:
    """The onset is proved by runs that stop after each round."""
    net, scenario = _insured(one_book_ladder()), Scenario.from_shocks([Shock(kind="price", target="COIN", value=shock)])
    settings = Settings.model_validate({"system_wide": {"induced_liquidation": 0.05}})
    whole = run(net, scenario, settings=settings)
    for place in (0, 3):
        found = onset(Record(whole), whole.verdict.conditions[place])
        for rounds in range(1, whole.outcome.rounds + 1):
            cut = run(net, scenario, settings=settings.model_copy(update={"max_rounds": rounds}))
            holds = found is not None and rounds > found
            assert cut.verdict.conditions[place].fired == holds


def _checked(said: dict[str, object]) -> str:
    text = lay_out(said).text()
    assert max(map(len, text.splitlines())) <= page.WIDTH
    json.loads(to_json(said), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return text


@pytest.mark.parametrize("seed", range(6))
def test_any_network_fits_the_page_and_makes_json(seed: int) -> None:
    net = random_network(seed=seed)
    coin = net.node_ids("asset")[0]
    said = summarise(answer_to(net, Scenario.from_shocks([Shock(kind="price", target=coin, value=-0.3)])))
    assert _checked(said).startswith("Verdict")


def test_long_names_are_cut_and_odd_ones_do_no_harm() -> None:
    net = interbank_ring()
    names = {name: f"[bold red]{name} " + "x" * 200 for name in net.node_ids("trader")}

    def renamed(kind: str, *columns: str) -> object:
        frame = net.frame(kind)
        for column in columns:
            frame[column] = frame[column].astype(str).map(names)
        return frame

    odd = net.with_tables(trader=renamed("trader", "id"), credit=renamed("credit", "debtor", "creditor"))
    said = summarise(answer_to(odd, Scenario.from_shocks([Shock(kind="default", target=names["Bank1"], value=1.0)])))
    assert "[bold red]Bank1" in _checked(said)


def test_a_network_without_markets_names_the_losers() -> None:
    text = _checked(summarise(answer_to(interbank_ring(), Scenario.from_shocks(["loss:Bank1=50"]))))
    assert "Losses      Bank1 50.0" in text
    assert "3 traders: Bank1" in text
    assert "liquidated" not in text.split("Loss ")[1]


def test_the_table_says_what_the_cascade_knows() -> None:
    cascade: Cascade = run(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"]))
    said = summarise(Answer(Job.of("one_book_ladder", shocks=["COIN=-5%"]), cascade, one_book_ladder(), None, None, None))
    assert said["verdict"]["sentence"] == cascade.verdict.sentence
    [asset] = said["assets"]
    assert (asset["low"], asset["end"]) == (cascade.markets["price_low"].min(), cascade.markets["price_end"].iloc[0])
    [exchange] = said["exchanges"]
    assert exchange["liquidated"] == pytest.approx(asset["liquidated"])
    sides = cascade.open_interest().sum()
    assert exchange["interest_start"] == sides / 2
    assert said["trigger"]["first"]["key"] == "d"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_come_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    words = Page()
    words.add(("[odd] miss", "red"), (" plain", ""))
    shown, plain, asked = _Terminal(), io.StringIO(), _Terminal()
    words.show(shown)
    words.show(plain)
    monkeypatch.setenv("NO_COLOR", "1")
    words.show(asked)
    assert "\x1b[31m[odd] miss\x1b[0m plain" in shown.getvalue()
    assert plain.getvalue() == "[odd] miss plain\n"
    assert "\x1b[31m" not in asked.getvalue()


def test_a_bar_comes_late_on_a_terminal_and_never_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for patience, comes in ((0.0, True), (3600.0, False)):
        monkeypatch.setattr(progress, "PATIENCE", patience)
        terminal = _Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        with progress.progress_bar("cascade") as tell:
            assert tell is not None
            tell(1, 2)
        assert ("cascade" in terminal.getvalue()) == comes
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with progress.progress_bar("cascade") as tell:
        assert tell is None


def test_profit_of_the_vaults_is_that_of_the_nodes(day: Answer) -> None:
    table = day.cascade.nodes
    own = table[table["node"].str.startswith("HLP ")]
    measured = {fact.key: fact.measured for fact in compare(day)}["hlp.pnl"]
    assert measured == pytest.approx(-float(own["loss_usd"].sum()))
    assert pc.sum(pc.starts_with(day.cascade.prepared.system.nodes.ids, "HLP ")).as_py() == 3

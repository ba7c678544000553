"""The safe envelope: nothing that a run does lies outside, and it is not so wide as to be worthless."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contagion.compile import compile_system
from contagion.journal import FORCED
from contagion.kernels.corner import health_arrays, health_loop, worth_arrays, worth_loop
from contagion.measures import conditions_of
from contagion.search.envelope import Bounds, bounds, envelope, envelope_of_any
from contagion.search.envelope.books import price_box
from contagion.search.trial import Bench
from contagion.settings import Settings
from contagion.shocks import parse_shock
from graphs.catalog import load_network
from graphs.generate import random_network
from graphs.network import Network
from graphs.schema import USD
from tests.contagion.engine.build import frame, venue
from tests.contagion.search.counterexamples import TENTH, THIN, long
from tests.contagion.search.shock_draws import draw_shocks

if TYPE_CHECKING:
    from contagion.cascade import Cascade
    from contagion.search.envelope import Envelope
    from contagion.search.envelope.books import Desk, Trading
    from contagion.search.envelope.frame import Ends, Frame

VALUATIONS = ("clearing", "threshold", "debtrank", "nonlinear_debtrank")


def check_inside(found: Envelope, cascade: Cascade) -> None:
    """Everything that a run did is within the bounds."""
    conditions, state = conditions_of(cascade), cascade.outcome.state
    assert not (found.safe and any(condition.fired for condition in conditions)), conditions
    assert not (found.safe_a and conditions[0].fired)
    if found.unknown:
        assert not found.safe_a
        return
    assert found.complete
    prices = np.array(state.journal.series["price"])
    assert (prices >= found.low).all()
    assert (prices <= found.high).all()
    closed = {int(account) for kind in FORCED for _, who, _ in state.journal.accounts[kind] for account in who}
    assert found.hit[sorted(closed)].all()
    assert found.failing[state.node_default >= 0].all()
    count = state.system.nodes.exchanges
    debt = state.journal.total("bad_debt", count) + state.journal.total("adl_deficit", count)
    assert (debt <= found.bad_debt_usd + 1e-6).all()
    induced, exchanges, peg, ratio = (condition.value for condition in conditions)
    assert induced <= found.induced + 1e-12
    assert exchanges <= found.exchanges
    assert peg >= found.peg - 1e-12
    assert ratio <= found.bad_debt + 1e-12


def settings_of(seed: int) -> Settings:
    rng = np.random.default_rng(seed)
    return Settings(
        impact=("exponential", "linear")[rng.integers(2)],
        withdrawal=(0.0, 0.0, 2.0)[rng.integers(3)],
        tie=("breach", "safe")[rng.integers(2)],
        valuation=VALUATIONS[rng.integers(4)],
        alpha=0.8,
        recovery=0.3,
        max_rounds=2_000,
    )


@cache
def benches(seed: int, rules: str) -> tuple[Network, Bench, Bounds]:
    rng = np.random.default_rng(seed)
    sizes = {"traders": int(rng.integers(5, 40)), "exchanges": int(rng.integers(1, 4)), "assets": int(rng.integers(1, 4))}
    net = random_network(seed=seed, stablecoins=int(rng.integers(0, 3)), rules=rules, **sizes)
    bench = Bench.of(net, settings_of(seed))
    return net, bench, Bounds(bench.system, bench.settings)


def check_seed(seed: int, rules: str, times: int) -> None:
    net, bench, limits = benches(seed, rules)
    rng = np.random.default_rng(seed + 1)
    for _ in range(times):
        shocks = draw_shocks(net, rng)
        whole = limits.envelope(shocks, full=True)
        cascade = bench.cascade(shocks)
        check_inside(whole, cascade)
        assert limits.envelope(shocks).safe == whole.safe
        closed = float(cascade.liquidated(cascade.benchmark).sum())
        check_inside(limits.envelope(shocks, closed_without_feedback=closed, full=True), cascade)
        any_of = limits.envelope_of_any(shocks, full=True)
        check_inside(any_of, cascade)
        check_inside(any_of, bench.cascade([shock for shock in shocks if rng.random() < 0.5]))


@pytest.mark.parametrize("rules", ["longs", "plain", "all"])
@pytest.mark.parametrize("seed", range(8))
def test_runs_stay_inside(seed: int, rules: str) -> None:
    check_seed(seed, rules, times=2)


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["longs", "plain", "all"])
@pytest.mark.parametrize("seed", range(500, 520))
def test_many_more_runs_stay_inside(seed: int, rules: str) -> None:
    check_seed(seed, rules, times=4)


@hypothesis_settings(max_examples=25)
@given(seed=st.integers(0, 9), draw=st.integers(0, 10_000), chosen=st.lists(st.booleans(), min_size=4, max_size=4))
def test_an_envelope_of_any_holds_for_every_subset(seed: int, draw: int, chosen: list[bool]) -> None:
    net, bench, limits = benches(seed, "all")
    shocks = draw_shocks(net, np.random.default_rng(draw), most=4)
    subset = [shock for shock, there in zip(shocks, chosen, strict=False) if there]
    check_inside(limits.envelope_of_any(shocks, full=True), bench.cascade(subset))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_an_envelope_of_any_holds_for_shocks_in_part(part: float) -> None:
    net, bench, limits = benches(3, "plain")
    coin, exchange = net.node_ids("asset")[0], net.node_ids("exchange")[0]
    found = limits.envelope_of_any([parse_shock(f"{coin}=-8%"), parse_shock(f"depth:{exchange}=0.2")], full=True)
    check_inside(found, bench.cascade([parse_shock(f"{coin}={-8 * part}%"), parse_shock(f"depth:{exchange}={1 - 0.8 * part}")]))


@pytest.mark.parametrize(("rules", "least"), [("longs", 0.9), ("plain", 0.9), ("all", 0.6)])
def test_most_of_what_is_safe_is_called_safe(rules: str, least: float) -> None:
    calm = certified = 0
    for seed in range(12):
        net, bench, limits = benches(seed, rules)
        rng = np.random.default_rng(seed + 2)
        for _ in range(2):
            shocks = draw_shocks(net, rng, most=1)
            if not bench.run(shocks).system_wide:
                calm += 1
                certified += limits.envelope(shocks).safe
    assert calm > 15
    assert certified >= least * calm


def hedged_network(rng: np.random.Generator) -> Network:
    """One exchange, two coins, small accounts that are long, short or both, and one rich account that takes the other side."""
    rows, deposits = [], []
    for number in range(int(rng.integers(4, 14))):
        c, d = (float(units) for units in rng.integers(-6, 9, 2))
        if rng.random() < 0.5:
            d = -c
        if not c and not d:
            continue
        gross = 100 * (abs(c) + abs(d))
        rows += [(f"T{number}", coin, "X", units, 100.0) for coin, units in (("C", c), ("D", d)) if units]
        deposits.append((f"T{number}", USD, "X", gross * (0.1 + rng.uniform(0.005, 0.12))))
    for coin in "CD":
        rest = -sum(row[3] for row in rows if row[1] == coin)
        rows += [("Rest", coin, "X", rest, 100.0)] if rest else []
    book = "exchange asset instrument price depth"
    return Network.from_frames(
        name="hedged",
        trader=frame("id", *((row[0],) for row in deposits), ("Rest",)),
        asset=frame("id price", ("C", 100.0), ("D", 100.0)),
        exchange=pd.DataFrame([{"id": "X", "equity": 1e7, "loss_rule": "none"}]),
        market=frame(book, *(("X", coin, "perp", 100.0, float(10 ** rng.uniform(1.5, 2.5))) for coin in "CD")),
        margin_tier=frame("exchange asset floor maintenance_rate max_leverage", *(("X", coin, 0.0, 0.1, 8.0) for coin in "CD")),
        margin=frame("owner asset exchange quantity entry_price", *rows),
        collateral=frame("owner asset exchange quantity", *deposits, ("Rest", USD, "X", 1e7)),
    )


def longs_alone(frame: Frame, trade: Trading, ties: list[Desk], orders: Ends) -> Ends:
    """The envelope that forgets that a closed short buys."""
    return price_box(frame, trade, ties, (orders[0], np.zeros_like(orders[1])))


def check_hedged(monkeypatch: pytest.MonkeyPatch, wanted: int, seed: int) -> int:
    """Ask of systems that trigger by (a); the answer is how many of them an envelope of the longs alone calls safe."""
    rng = np.random.default_rng(seed)
    met = missed = 0
    while met < wanted:
        bench = Bench(compile_system(hedged_network(rng), check=False))
        falls = [[parse_shock(f"C=-{fall:.3f}%")] for fall in np.sort(rng.uniform(1.0, 15.0, 3))]
        shocks = next((shocks for shocks in falls if "a" in bench.run(shocks).fired), None)
        if shocks is None:
            continue
        met += 1
        assert not Bounds(bench.system).envelope(shocks).safe_a
        with monkeypatch.context() as patch:
            patch.setattr(bounds, "price_box", longs_alone)
            missed += Bounds(bench.system).envelope(shocks).safe_a
    return missed


def test_no_triggering_system_with_hedged_accounts_is_called_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_hedged(monkeypatch, 40, seed=1) > 0


@pytest.mark.slow
def test_none_of_a_thousand_triggering_systems_is_called_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_hedged(monkeypatch, 1_000, seed=2) > 5


def test_bounds_of_a_book_are_what_its_formula_says() -> None:
    """A sells 10 units at 1 USD each; B, level 84, stands at 85 less what is left to sell."""
    net = venue({"A": (10.0, 100.0, 140.0), "B": long(1.0, 84.0)}, depth=THIN, brackets=TENTH)
    found = envelope(compile_system(net), Settings(impact="linear"), [parse_shock("C=-5%")], full=True)
    assert found.low[0] == pytest.approx(85.0, rel=1e-8)
    assert found.high[0] == pytest.approx(95.0, rel=1e-8)
    assert found.count == 1
    found = envelope(compile_system(net), Settings(impact="linear"), [parse_shock("C=-6.5%")], full=True)
    assert found.low[0] == pytest.approx(100 - 6.5 - 10 - 1, rel=1e-8)


def test_a_run_without_a_shock_is_safe_and_nobody_is_hit() -> None:
    for seed in range(4):
        _, _, limits = benches(seed, "plain")
        found = limits.envelope([])
        assert found.safe
        assert found.count == 0


def test_where_winners_may_pay_nothing_is_safe() -> None:
    net = venue({"A": (10.0, 100.0, 140.0)}, depth=THIN, brackets=TENTH, loss_rule="adl", insurance_fund=0.0)
    found = envelope(compile_system(net), shocks=[parse_shock("C=-15%")])
    assert not found.safe
    assert not found.safe_a
    assert "X may exceed its insurance fund" in found.unknown[0]


@pytest.mark.parametrize(("options", "word"), [({"impact": "square_root"}, "square-root"), ({"feedback": False}, "without feedback")])
def test_settings_that_are_not_covered_say_so(options: dict[str, object], word: str) -> None:
    found = envelope(compile_system(venue({"A": (1.0, 100.0, 90.0)})), Settings(**options), [])
    assert word in found.unknown[0]
    assert not found.safe


def test_a_named_stablecoin_is_excused_only_where_its_shock_happens() -> None:
    system = compile_system(load_network("two_exchange_stablecoin"))
    coin = system.coins.names[system.nodes.assets]
    shock = parse_shock(f"depeg:{coin}=0.9")
    assert envelope(system, shocks=[shock], full=True).peg == 1.0
    any_of = envelope_of_any(system, shocks=[shock, parse_shock("depth:*=0.9")], full=True)
    assert any_of.peg == pytest.approx(1.0, abs=1e-6)  # without its shock it is not moved


@pytest.mark.parametrize("seed", range(6))
def test_both_twins_of_the_kernels_agree(seed: int) -> None:
    system = compile_system(random_network(seed=seed, traders=60))
    accounts, markets = system.accounts, system.markets
    rng = np.random.default_rng(seed)
    low = markets.price * rng.uniform(0.5, 1.1, markets.count)
    high = low * rng.uniform(1.0, 1.5, markets.count)
    counted, fee, jumps = low * 0.8, rng.uniform(0, 0.01, markets.count), rng.random(markets.count) < 0.7
    chosen = np.flatnonzero(rng.random(accounts.count) < 0.7)
    arrays = (accounts.balance, accounts.start, accounts.market, accounts.quantity)
    coins = (accounts.coin_start, accounts.coin_market, accounts.coin_quantity)
    tiers = (markets.tier_start, markets.floor, markets.rate, markets.deduction)
    one, two = np.empty((2, chosen.size)), np.empty((2, chosen.size))
    health_loop(chosen, *arrays, *coins, low, high, counted, jumps, *tiers, *one)
    health_arrays(chosen, accounts, markets, low, high, counted, jumps, *two)
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-6)
    one, two = np.empty((3, chosen.size)), np.empty((3, chosen.size))
    worth_loop(chosen, *arrays, *coins, low, high, counted, fee, *one)
    worth_arrays(chosen, accounts, low, high, counted, fee, *two)
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-6)


def test_the_corner_is_the_least_health_in_the_box() -> None:
    """Also in flat form, where maintenance jumps inside the box."""
    net = venue({"A": (10.0, 100.0, 500.0), "S": (-5.0, 100.0, 400.0)}, tier_form="flat", brackets=((0.0, 0.05, 10.0), (900.0, 0.2, 4.0)))
    system = compile_system(net)
    chosen = np.arange(system.accounts.count)
    health, size = np.empty(chosen.size), np.empty(chosen.size)
    box = np.array([80.0]), np.array([130.0])
    health_arrays(chosen, system.accounts, system.markets, *box, np.zeros(1), np.ones(1, dtype=np.bool_), health, size)
    grid = np.unique(np.concatenate([np.linspace(80.0, 130.0, 501), [90.0]]))
    least = np.full(chosen.size, np.inf)
    for price in grid:
        units = np.bincount(np.repeat(chosen, np.diff(system.accounts.start)), weights=system.accounts.quantity)
        notional = np.abs(units) * price
        rate = np.where(notional >= 900.0, 0.2, 0.05)
        least = np.minimum(least, system.accounts.balance + units * price - notional * rate)
    np.testing.assert_allclose(health, least, rtol=1e-12)


@pytest.mark.slow
def test_the_crash_network_is_certified_where_nothing_happens() -> None:
    system = compile_system(load_network("oct2025"))
    limits = Bounds(system)
    for text in ("BTC=-3%", "default:HTX", "outage:Binance", "depth:Binance=0.1", "depeg:USDe@Binance=0.9"):
        assert limits.envelope([parse_shock(text)]).safe, text
    assert not limits.envelope([parse_shock("BTC=-40%")]).safe

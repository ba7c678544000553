"""The shipped day on the shipped network: what the record of 10 October 2025 says of order, place and survival.

Levels are not tested here: they move with seed, size and step, and the report prints them beside the facts.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from contagion.cascade import Cascade
from contagion.engine import prepare, simulate
from contagion.scenario import load_scenario
from contagion.settings import Settings
from graphs.oct2025 import assumption_table, build_oct2025
from graphs.oct2025.facts import read_rows

if TYPE_CHECKING:
    from contagion.scenario import Scenario
    from graphs.network import Network

SEEDS: Final = (20251010, 7)


@pytest.fixture(scope="module")
def tape() -> Scenario:
    return load_scenario("oct2025")


@pytest.fixture(scope="module")
def market() -> Network:
    return build_oct2025(accounts=10_000, seed=SEEDS[0])


def ran(net: Network, tape: Scenario, *, audit: bool = False) -> Cascade:
    """Run without the benchmark, which no test here reads."""
    prepared = prepare(net, tape, check=False)
    outcome = simulate(prepared, audit=audit)
    return Cascade(prepared, Settings(), outcome, outcome)


@pytest.fixture(scope="module", params=SEEDS)
def day(request: pytest.FixtureRequest, tape: Scenario, market: Network) -> Cascade:
    net = market if request.param == SEEDS[0] else build_oct2025(accounts=10_000, seed=request.param)
    return ran(net, tape)


def lowest(day: Cascade, coin: str, exchange: str) -> tuple[int, float]:
    """Round and price over start of a spot book at its low."""
    table = day.markets
    book = table[(table["asset"] == coin) & (table["exchange"] == exchange) & (table["instrument"] == "spot")].iloc[0]
    return int(book["low_round"]), float(book["price_low"] / book["price_start"])


def test_the_tape_fits_the_network_and_starts_with_it(tape: Scenario, market: Network) -> None:
    tape.check(market)
    assert datetime.fromisoformat(tape.start) == datetime.fromisoformat(market.as_of)


def test_the_tape_names_every_coin_with_a_perpetual(tape: Scenario, market: Network) -> None:
    perpetual = {coin for coin, kind in market.frame("market")[["asset", "instrument"]].itertuples(index=False) if kind == "perp"}
    for name in ("tariff", "panic"):
        falls = [stage for stage in tape.stages if stage.name == name]
        assert perpetual <= {shock.target for stage in falls for shock in stage.shocks if shock.kind == "price" and shock.value < 0}


def test_the_tape_reads_back_as_it_was_written(tape: Scenario, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("tape") / "oct2025.toml"
    file.write_text(tape.to_toml(), encoding="utf-8")
    assert load_scenario(file) == tape


def test_the_round_divides_what_the_tape_times(tape: Scenario) -> None:
    assert tape.clock is not None
    times = [stage.time for stage in tape.stages if stage.time is not None]
    assert len(times) == len(tape.stages)
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert not any((time + stage.duration) % tape.clock.round_seconds for time, stage in zip(times, tape.stages, strict=True))


def test_every_assumption_lies_in_its_range() -> None:
    table = assumption_table()
    numbers = table[[isinstance(value, float) for value in table["value"]]]
    value = numbers["value"].astype(float)
    assert len(numbers) > 100
    outside = numbers[(value < numbers["low"]) | (value > numbers["high"])]
    assert not list(outside["name"])


def test_open_interest_at_the_start_is_the_published_total(day: Cascade) -> None:
    published = next(float(row["value"]) for row in read_rows("open_interest") if row["scope"] == "total")
    both_sides = float(day.open_interest()[day.prepared.system.markets.perp].sum())
    assert both_sides / 2 == pytest.approx(published, rel=1e-9)


def test_bitcoin_is_lowest_before_usde_is(day: Cascade) -> None:
    bitcoin_round, bitcoin = lowest(day, "BTC", "Binance")
    usde_round, _ = lowest(day, "USDe", "Binance")
    assert bitcoin < 0.95
    assert bitcoin_round < usde_round


def test_usde_breaks_at_binance_and_nowhere_else(day: Cascade) -> None:
    assert lowest(day, "USDe", "Binance")[1] < 0.8
    assert lowest(day, "USDe", "Bybit")[1] > 0.9
    assert lowest(day, "USDe", "Other")[1] > 0.9


def test_usde_holds_without_the_sale(market: Network, tape: Scenario) -> None:
    stages = tuple(
        stage.model_copy(update={"shocks": tuple(shock for shock in stage.shocks if (shock.kind, shock.target) != ("sale", "USDe"))})
        for stage in tape.stages
    )
    assert stages != tape.stages
    held = ran(market, tape.model_copy(update={"stages": stages}))
    assert lowest(held, "USDe", "Binance")[1] > 0.9


def test_no_exchange_and_no_issuer_defaults(day: Cascade) -> None:
    system, state = day.prepared.system, day.outcome.state
    assert not (state.exchange_default >= 0).any()
    assert state.node_default[system.node("USDe")] < 0


def test_auto_deleveraging_stays_at_hyperliquid(day: Cascade) -> None:
    table = day.exchanges.set_index("exchange")["adl_usd"]
    assert table["Hyperliquid"] > 0
    assert table["Binance"] == 0


def test_most_that_is_liquidated_is_long(day: Cascade) -> None:
    table = day.markets
    assert table["liquidated_long_usd"].sum() > 0.5 * table["liquidated_usd"].sum()


def test_the_eight_identities_hold_all_day(tape: Scenario) -> None:
    audit = ran(build_oct2025(accounts=5_000), tape, audit=True).outcome.audit
    assert audit is not None
    assert tape.clock is not None
    assert audit.rounds >= tape.clock.duration / tape.clock.round_seconds
    assert audit.worst
    assert max(audit.worst.values()) <= 1e-9


def test_prices_stay_positive_numbers(day: Cascade) -> None:
    path = day.path("price")
    assert np.isfinite(path).all()
    assert (path > 0).all()

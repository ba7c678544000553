"""The liquidation map: breach prices against the engine, sums that add up, and the multiplier of a run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from contagion.compile import compile_system
from contagion.engine import Prepared, simulate
from contagion.errors import RunError
from contagion.journal import Flow
from contagion.measures import highest_multiplier
from contagion.report.levels import bar, lay_out_levels
from contagion.report.page import WIDTH
from contagion.scenario import Scenario, Stage
from contagion.search.breach_prices import opening_state
from contagion.search.levels import levels
from contagion.settings import Settings
from contagion.shocks import Shock
from contagion.steps.margin_calls import breached_accounts
from contagion.steps.prices import set_prices
from contagion.steps.revalue import revalue_accounts
from contagion.steps.shock import advance_ramps, apply_stage
from graphs.generate import random_network
from graphs.network import Network
from graphs.schema import USD
from graphs.toys import one_book_ladder

if TYPE_CHECKING:
    from contagion.system import System
    from graphs.generate import Rules

NEAR = 1e-12
"""Averages over exchanges round by themselves, so a run agrees from this relative distance on."""


def frame(columns: str, *rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=columns.split())


def venue(
    accounts: dict[str, tuple[float, float]],
    *,
    form: str = "marginal",
    depth: float = 1e9,
    tiers: tuple[tuple[float, float], ...] = ((0.0, 0.01),),
) -> Network:
    """One exchange at a price of 100: quantity of C and USD of each account, a rich trader on the other side."""
    everybody = accounts | {"Rest": (-sum(quantity for quantity, _ in accounts.values()), 1e9)}
    return Network.from_frames(
        name="small",
        trader=frame("id", *((name,) for name in everybody)),
        asset=frame("id price", ("C", 100.0), ("D", 10.0)),
        exchange=frame("id equity loss_rule tier_form", ("X", 1e9, "none", form)),
        market=frame(
            "exchange asset instrument price depth collateral_haircut",
            ("X", "C", "perp", 100.0, depth, 1.0),
            ("X", "D", "spot", 10.0, depth, 0.1),
        ),
        margin_tier=frame(
            "exchange asset floor maintenance_rate max_leverage", *(("X", "C", floor, rate, 1 / rate) for floor, rate in tiers)
        ),
        margin=frame("owner asset exchange quantity entry_price", *((name, "C", "X", q, 100.0) for name, (q, _) in everybody.items() if q)),
        collateral=frame("owner asset exchange quantity", *((name, USD, "X", usd) for name, (_, usd) in everybody.items())),
    )


def in_breach(system: System, asset: str, factor: float, settings: Settings) -> set[int]:
    """Accounts that the engine finds in breach after this price shock and nothing else."""
    state = opening_state(system, settings)
    apply_stage(state, Stage(shocks=(Shock(kind="price", target=asset, value=factor - 1.0),)), 1)
    advance_ramps(state)
    set_prices(state)
    revalue_accounts(state)
    return set(breached_accounts(state).tolist())


@pytest.mark.parametrize("rules", ["all", "plain", "longs"])
@pytest.mark.parametrize("tie", ["breach", "safe"])
def test_the_engine_finds_a_breach_just_beyond_each_level_and_none_just_before(rules: Rules, tie: str) -> None:
    settings, tried = Settings.model_validate({"tie": tie}), 0
    for seed in range(3):
        system = compile_system(random_network(seed=seed, traders=30, rules=rules))
        for asset in system.coins.names[:: 2 if rules == "all" else 1]:
            table = levels(system, asset, settings=settings).accounts
            for column, outward in (("fall", -1), ("rise", 1)):
                some = table[np.isfinite(table[column])]
                for row in some.iloc[:: max(len(some) // 4, 1)].itertuples():
                    factor = getattr(row, column)
                    assert row.account in in_breach(system, asset, factor * (1 + outward * NEAR), settings)
                    assert row.account not in in_breach(system, asset, factor * (1 - outward * NEAR), settings)
                    tried += 1
    assert tried > 30


@pytest.mark.parametrize("rules", ["all", "plain"])
def test_levels_are_the_first_breach_on_the_way(rules: Rules) -> None:
    """At any price all that breach have passed their level; where health is concave in the price, all that passed it breach."""
    checked = 0
    for seed in range(6):
        system = compile_system(random_network(seed=seed, traders=40, rules=rules))
        asset = system.coins.names[seed % len(system.coins.names)]
        table = levels(system, asset).accounts.set_index("account")
        marginal = system.exchanges.marginal[system.accounts.exchange[table.index]]
        for factor in (0.03, 0.2, 0.45, 0.6, 0.71, 0.83, 0.9, 0.96, 0.99, 1.003, 1.02, 1.07, 1.13, 1.3, 1.9, 4.0, 60.0):
            found = in_breach(system, asset, factor, Settings())
            passed = (table["fall"] >= factor) if factor < 1 else (table["rise"] <= factor)
            assert found <= set(table.index[passed])
            assert set(table.index[passed & marginal]) <= found
            checked += int((passed & marginal).sum())
    assert checked > 100


def test_a_run_without_feedback_liquidates_what_the_map_says() -> None:
    """Accounts and USD of all levels down to a price are those of a run to that price, on plain networks."""
    for seed in range(4):
        system = compile_system(random_network(seed=seed, traders=50, rules="plain"))
        asset = system.coins.names[0]
        for move in (-0.2, -0.1, 0.2):
            found = levels(system, asset, lowest=min(move, 0), highest=max(move, 0), steps=10)
            scenario = Scenario.from_shocks([f"{asset}={move:+.0%}"])
            stage = tuple((np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)) for _ in scenario.stages)
            outcome = simulate(Prepared(system, scenario, stage), settings=Settings(feedback=False, max_rounds=1))
            journal = outcome.state.journal
            hit = {int(account) for _, who, _ in journal.accounts[Flow.LIQUIDATION] for account in who}
            inside = found.accounts[(found.accounts["fall"] >= 1 + move) if move < 0 else (found.accounts["rise"] <= 1 + move)]
            assert hit == set(inside["account"])
            assert len(hit) == found.path["accounts"].sum()
            assert hit
            usd = sum((units for _, units in journal.units[Flow.LIQUIDATION]), np.zeros(system.markets.count)) * system.markets.price
            own = system.markets.coin == system.coins.names.index(asset)
            assert usd[own].sum() == pytest.approx(found.frame["notional_usd"].sum(), rel=1e-12)
            assert usd[~own].sum() == pytest.approx(found.frame["other_usd"].sum(), rel=1e-12)
            closed = found.others[["longs_usd", "shorts_usd"]].to_numpy().sum()
            assert closed == pytest.approx(usd[~own].sum(), rel=1e-12)


def test_the_multiplier_of_a_level_is_that_of_a_run_to_its_edge() -> None:
    net = one_book_ladder()
    net = net.with_tables(market=net.frame("market").assign(depth=1e7))  # so deep that one round is all
    found = levels(net, "COIN", lowest=-0.04, highest=0.0, steps=1).path.iloc[0]
    system = compile_system(net)
    empty = np.empty(0, dtype=np.int64)
    outcome = simulate(Prepared(system, Scenario.from_shocks(["COIN=-4%"]), ((empty, empty, np.empty(0), np.empty(0)),)))
    run = highest_multiplier(outcome)
    assert run is not None
    assert run.round == 0
    assert found["kappa_rho"] == pytest.approx(run.feedback, rel=1e-12)
    assert found["multiplier"] == pytest.approx(run.value, rel=1e-12)
    assert found["kappa_rho"] > 0


def test_the_multiplier_by_hand() -> None:
    """A long of 1,000 units at a level of 4 %, on a depth of 1 M USD: κρ = -ln 0.99 · 100,000 / 1e6 / -ln 0.96."""
    net = venue({"Long": (1000.0, 4000.0), "Short": (-1000.0, 4000.0)}, depth=1e6, tiers=((0.0, 0.005),))
    path = levels(net, "C", lowest=-0.04, highest=0.04, steps=2).path
    expected = -np.log(0.99) * 0.1 / np.abs(np.log([0.96, 1.04]))
    assert path["kappa_rho"].to_numpy() == pytest.approx(expected, rel=1e-12)
    assert path["multiplier"].to_numpy() == pytest.approx(1 / (1 - expected), rel=1e-12)
    thin = levels(net.with_tables(market=net.frame("market").assign(depth=1e4)), "C", lowest=-0.04, highest=0.0, steps=1)
    assert np.isinf(thin.path["multiplier"][0])
    assert thin.summary()["below"]["highest"]["multiplier"] is None
    assert thin.summary()["below"]["feeds_itself_from"] == pytest.approx(-0.04)


def test_withdrawn_quotes_make_far_levels_thinner() -> None:
    net = venue({"Long": (1000.0, 20000.0)}, depth=1e6)
    calm, hasty = (levels(net, "C", lowest=-0.3, highest=0, steps=3, settings=Settings(withdrawal=w)).path for w in (0.0, 5.0))
    assert hasty["depth_usd"].to_numpy() == pytest.approx(calm["depth_usd"].to_numpy() * np.exp(5 * np.log([0.8, 0.9, 1.0])))


def test_a_flat_bracket_liquidates_a_long_on_the_way_up() -> None:
    """500 units at 100 are 50,000; from 60,000 on the rate is 50 %, which a margin of 5,000 + 10,000 does not meet."""
    table = levels(venue({"Long": (500.0, 5000.0)}, form="flat", tiers=((0.0, 0.01), (60_000.0, 0.5))), "C").accounts.set_index("owner")
    assert table["rise"]["Long"] == pytest.approx(1.2, rel=1e-14)
    assert table["fall"]["Long"] == pytest.approx(45_000 / 0.99 / 50_000, rel=1e-11)
    smooth = levels(venue({"Long": (500.0, 5000.0)}, tiers=((0.0, 0.01), (60_000.0, 0.5))), "C").accounts.set_index("owner")
    assert np.isnan(smooth["rise"]["Long"])


def test_an_account_that_a_flat_bracket_lets_come_back_counts_where_it_breached_first() -> None:
    """10 % from 48,000 on: health is zero at 44,000 / 45,000 of the price, and positive again below 0.96 of it."""
    net = venue({"Long": (500.0, 6000.0)}, form="flat", tiers=((0.0, 0.01), (48_000.0, 0.1)))
    system = compile_system(net)
    table = levels(system, "C").accounts.set_index("owner")
    assert table["fall"]["Long"] == pytest.approx(44 / 45, rel=1e-11)
    account = table["account"]["Long"]
    breached = [account in in_breach(system, "C", factor, Settings()) for factor in (0.98, 0.977, 0.961, 0.959, 0.9, 0.88)]
    assert breached == [False, True, True, False, False, True]


def test_coins_are_sold_against_the_debt_that_positions_leave() -> None:
    """A long of 10 C with 20 D (200 USD, haircut 10 %) as margin: breach where 1000x - 1000 + 180 = 10x, so it owes 171.7 USD."""
    net = venue({"Long": (10.0, 0.0)})
    coins = pd.concat([net.frame("collateral"), frame("owner asset exchange quantity", ("Long", "D", "X", 20.0))], ignore_index=True)
    net = net.with_tables(collateral=coins[coins["quantity"] > 0])
    found = levels(net, "C", lowest=-0.5, highest=0, steps=1)
    level = 820 / 990
    assert found.accounts.set_index("owner")["fall"]["Long"] == pytest.approx(level, rel=1e-11)
    assert found.frame["other_usd"].sum() == pytest.approx(1000 * (1 - level), rel=1e-9)
    by_collateral = levels(net, "D", lowest=-0.95, highest=0, steps=1)
    factor = 10 / 180
    assert by_collateral.accounts.set_index("owner")["fall"]["Long"] == pytest.approx(factor, rel=1e-9)
    assert by_collateral.frame.groupby("side")["accounts"].sum().to_dict() == {"coins": 1, "long": 0, "short": 0}
    assert by_collateral.frame["other_usd"].sum() == pytest.approx(1000.0)
    assert by_collateral.frame["coins_usd"].sum() == pytest.approx(0.0, abs=1e-6)  # at the mark its position leaves no debt


def test_levels_exchanges_and_sides_add_up() -> None:
    for seed in range(4):
        found = levels(random_network(seed=seed, traders=60), "coin-0", lowest=-0.3, highest=0.6, steps=31)
        table, path, counts = found.frame, found.path, found.summary()["accounts"]
        falls, rises = found.accounts["fall"] >= 0.7, found.accounts["rise"] <= 1.6
        assert len(path) == 31
        assert found.edges[[0, -1]].tolist() == [0.7, 1.6]
        assert 1.0 in found.edges
        assert table["accounts"].sum() == path["accounts"].sum() == falls.sum() + rises.sum()
        assert table["notional_usd"].sum() == pytest.approx(
            found.accounts["notional_usd"][falls].sum() + found.accounts["notional_usd"][rises].sum()
        )
        assert (table["notional_usd"] + table["coins_usd"]).sum() == pytest.approx(path["liquidated_usd"].sum())
        assert path["cumulative_usd"].iloc[[0, -1]].sum() == pytest.approx(path["liquidated_usd"].sum())
        ends = table[table["change"].isin([table["change"].min(), table["change"].max()])]
        assert ends["cumulative_accounts"].sum() == table["accounts"].sum()
        assert ends["cumulative_notional_usd"].sum() == pytest.approx(table["notional_usd"].sum())
        assert counts["exposed"] == counts["in_breach"] + counts["on_the_map"] + counts["beyond"] + counts["never"]
        assert counts["on_the_map"] == (falls | rises).sum() > 0


def test_the_order_of_rows_and_names_does_not_matter() -> None:
    net = random_network(seed=5, traders=40)
    rng = np.random.default_rng(0)
    kinds = ("trader", "exchange", "market", "margin", "collateral", "margin_tier", "asset")
    shuffled = net.with_tables(**{kind: net.frame(kind).iloc[rng.permutation(net.count(kind))].reset_index(drop=True) for kind in kinds})
    one, two = levels(net, "coin-0"), levels(shuffled, "coin-0")
    pd.testing.assert_frame_equal(one.frame, two.frame, check_exact=True)
    pd.testing.assert_frame_equal(one.path, two.path, check_exact=True)
    pd.testing.assert_frame_equal(one.accounts, two.accounts, check_exact=True)


def test_frozen_marks_liquidate_nobody() -> None:
    net = venue({"Long": (1000.0, 4000.0)})
    dark = net.with_tables(exchange=net.frame("exchange").assign(outage=True))
    assert levels(net, "C").path["accounts"].sum() == 1
    assert levels(dark, "C").accounts.empty


def test_accounts_in_breach_already_are_counted_apart() -> None:
    found = levels(venue({"Short": (-10.0, 100.0), "Broke": (1000.0, 500.0)}), "C")
    assert found.in_breach == 1
    assert "Broke" not in set(found.accounts["owner"])
    assert found.summary()["accounts"]["exposed"] == 3


def test_the_page_fits_and_the_summary_is_a_document() -> None:
    found = levels(random_network(seed=2, traders=80, exchanges=8), "coin-1")
    text = lay_out_levels(found).text()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "the rest" in text
    assert "today" in text
    moves = [float(line.split("%")[0]) for line in text.splitlines() if re.match(r" *[+-]\d", line)]
    assert len(moves) > 10
    assert moves == sorted(moves, reverse=True)
    assert json.loads(json.dumps(found.summary(), allow_nan=False))["asset"] == "coin-1"
    assert bar(1.0, 7) == "█" * 7


def test_a_map_without_liquidations_says_so() -> None:
    text = lay_out_levels(levels(venue({"Long": (1.0, 1000.0)}), "C", highest=0.2, lowest=-0.1)).text()
    assert "nobody is liquidated down to -10.0 %" in text
    assert "nobody is liquidated up to +20.0 %" in text


@pytest.mark.parametrize(
    ("asset", "options", "words"),
    [
        ("BTG", {}, "BTG: no exchange of .* lists such a coin; known are COIN"),
        ("COYN", {}, "did you mean 'COIN'?"),
        ("COIN", {"lowest": -1.0}, "no level lies between -100% and"),
        ("COIN", {"lowest": 0.1}, "give a range that holds 0 %"),
        ("COIN", {"steps": 1}, "1 levels are too few; give at least 2"),
    ],
)
def test_errors_say_what_to_do(asset: str, options: dict[str, float], words: str) -> None:
    with pytest.raises(RunError, match=words):
        levels(one_book_ladder(), asset, **options)

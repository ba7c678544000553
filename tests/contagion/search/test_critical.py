"""Critical shocks: proofs that hold, intervals where the order fails, and the same bytes however the work is spread."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from contagion.compile import compile_system
from contagion.errors import RunError
from contagion.report.critical import lay_out_critical
from contagion.report.page import WIDTH
from contagion.runtime.ledger import Ledger
from contagion.runtime.plan import Plan
from contagion.search.bisection import Interval
from contagion.search.claims import Claim, Findings
from contagion.search.critical import critical
from contagion.search.drivers import Driver, drivers_of, pick_drivers
from contagion.search.first_orders import first_orders
from contagion.search.guard import Guard
from contagion.search.ray import Ray, scan_ratio, scan_sizes
from contagion.search.risk import Risk
from contagion.search.trial import Bench
from contagion.settings import Settings, SystemWide
from contagion.shocks import parse_shock
from graphs.generate import random_network
from graphs.network import Network
from graphs.toys import delta_neutral_issuer, interbank_ring, one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from pathlib import Path

    from contagion.search.critical import CriticalShocks

FALL = Driver("price", "COIN", "", 0.04, 0.9)
LINEAR = Settings(impact="linear")


def frame(columns: str, *rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=columns.split())


def with_fund(net: Network, usd: float) -> Network:
    return net.with_tables(exchange=net.frame("exchange").assign(insurance_fund=usd))


def all_drivers(bench: Bench, traders: int = 5) -> tuple[Driver, ...]:
    return drivers_of(bench.system, Risk(), traders=traders, rises=True)


def test_condition_a_is_no_threshold_even_where_more_never_does_less() -> None:
    """At -3.5 % the second long falls by itself, and feedback has less to add."""
    (row,) = critical(Bench.of(one_book_ladder(), LINEAR), [FALL], conditions="a", tolerance=1e-13).rows
    (one,) = row.findings.intervals
    assert (one.first, one.above) == pytest.approx((0.03, 0.035), abs=1e-11)
    assert row.claim.word == "exact"
    assert "*" in lay_out_critical(critical(Bench.of(one_book_ladder(), LINEAR), [FALL], conditions="a")).text()


# ---- credit


def ring(claim: float, equity: float, due: float) -> Network:
    """Three exchanges in a ring of credit; the first lends to a fund whose only asset is a coin, out of what a saver lends it."""
    names = ["X1", "X2", "X3"]
    around = [(debtor, creditor, due, 1) for debtor, creditor in zip(names, names[1:] + names[:1], strict=True)]
    return Network.from_frames(
        name="ring",
        trader=frame("id cash", ("Fund", 0.0), ("Saver", 0.0)),
        asset=frame("id price", ("COIN", 100.0)),
        exchange=frame("id equity insurance_fund loss_rule", *((name, equity, 0.0, "none") for name in names)),
        holding=frame("owner asset quantity", ("Fund", "COIN", 1.0)),
        credit=frame("debtor creditor amount seniority", ("Fund", "X1", claim, 1), ("X1", "Saver", claim, 1), *around),
    )


@pytest.mark.parametrize("fail", [1, 2, 3])
def test_the_ring_fails_where_its_closed_form_says(fail: int) -> None:
    """A loss of L at X1 fails k exchanges from L = e + (k - 1)·e·(a + D)/a on: each pays a/(a + D) of what it lacks to the next."""
    claim, equity, due = 60.0, 10.0, 100.0
    loss = equity + (fail - 1) * equity * (due + claim) / due
    expected = (100.0 - claim + loss) / 100.0
    settings = Settings(system_wide=SystemWide(exchange_default=fail))
    bench = Bench.of(ring(claim, equity, due), settings)
    (row,) = critical(bench, [FALL], tolerance=1e-9, scan=12).rows
    assert row.size == pytest.approx(expected, rel=1e-8)
    assert row.fired == "b"
    assert row.claim.word == "bracket"
    assert 0 < row.claim.safe_up_to <= expected
    assert row.forced_usd == 0.0  # nobody sells anything


def test_a_ring_of_banks_alone_is_no_market_and_triggers_nothing() -> None:
    bench = Bench.of(interbank_ring())
    answer = critical(bench, all_drivers(bench))
    assert not answer.triggering
    assert {row.claim.word for row in answer.rows} == {"exact"}
    assert "none of 4 drivers" in lay_out_critical(answer).text()


# ---- where the order fails


def test_a_larger_shock_does_less_and_the_row_has_intervals() -> None:
    """Falling by 9 % the small long is closed after the large one, below its bankruptcy price; by 10 % with it, at a better price."""
    net = with_fund(one_book_ladder(quantities=[7.0, 3.0], liquidation_prices=[91.0, 90.0], kappa=1.5, maintenance_rate=0.1), 2.0)
    bench = Bench.of(net, LINEAR)
    ray = Ray(bench, FALL, "d")
    assert [ray.triggers(size) for size in (0.08, 0.095, 0.102, 0.13)] == [False, True, False, True]
    answer = critical(bench, [FALL], conditions="d", scan=96, tolerance=1e-6)
    (row,) = answer.rows
    first, second = row.findings.intervals
    assert (first.first, first.above) == pytest.approx((0.09, 0.1), rel=1e-5)
    assert math.isnan(second.above)
    assert row.size == first.first
    assert row.claim.word in {"bracket", "sampled"}  # bad debt is never bisected to an exact claim
    for size in np.linspace(0.085, 0.12, 30):
        assert ray.triggers(float(size)) == any(one.first <= size <= one.last for one in (first, second)), size
    text = lay_out_critical(answer).text()
    assert "from -9" in text
    assert "may do less" in text


def test_nothing_that_depends_on_bad_debt_alone_is_exact() -> None:
    for conditions in ("d", "b", "bd", "bcd"):
        (row,) = critical(Bench.of(one_book_ladder(), LINEAR), [FALL], conditions=conditions).rows
        assert row.claim.word in {"bracket", "sampled"}, conditions


def hedged(seed: int) -> Network:
    """Accounts long or short of two coins, each with its own margin, on one exchange that closes them whole."""
    rng = np.random.default_rng(seed)
    accounts = {f"T{place}": (float(rng.integers(-3, 8)), float(rng.integers(-6, 4)), float(rng.integers(30, 150))) for place in range(4)}
    rest = (-sum(row[0] for row in accounts.values()), -sum(row[1] for row in accounts.values()), 1e6)
    rows = accounts | {"Rest": rest}
    positions = [(owner, coin, "X", size, 100.0) for owner, row in rows.items() for coin, size in zip("AB", row[:2], strict=True) if size]
    return Network.from_frames(
        name="hedged",
        trader=frame("id", *((owner,) for owner in rows)),
        asset=frame("id price", ("A", 100.0), ("B", 100.0)),
        exchange=frame("id equity insurance_fund loss_rule", ("X", 1e9, 1e9, "none")),
        market=frame(
            "exchange asset instrument price depth collateral_haircut", *(("X", coin, "perp", 100.0, 100.0, 1.0) for coin in "AB")
        ),
        margin_tier=frame("exchange asset floor maintenance_rate max_leverage", *(("X", coin, 0.0, 0.01, 50.0) for coin in "AB")),
        margin=frame("owner asset exchange quantity entry_price", *positions),
        collateral=frame("owner asset exchange quantity", *((owner, "USD", "X", row[2]) for owner, row in rows.items())),
    )


@pytest.mark.parametrize("seed", [1, 15])
def test_every_breakpoint_of_a_book_with_two_sides_is_visited(seed: int) -> None:
    bench = Bench.of(hedged(seed))
    driver = Driver("price", "A", "", 0.04, 0.6)
    for conditions in ("a", "abcd"):  # the fund is so large that no other condition can hold
        (row,) = critical(bench, [driver], conditions=conditions).rows
        assert row.claim.word == "enumerated"
        assert row.findings.intervals
    ray = Ray(bench, driver)
    for size in np.linspace(0.01, 0.6, 60):
        inside = any(one.first <= size <= one.last for one in row.findings.intervals)
        assert ray.triggers(float(size)) == inside, size


# ---- what is claimed holds


@pytest.fixture(scope="module", params=["two_exchange_stablecoin", "delta_neutral_issuer", "random_network"])
def judged(request: pytest.FixtureRequest) -> tuple[Bench, CriticalShocks]:
    name = request.param
    toys = {"two_exchange_stablecoin": two_exchange_stablecoin, "delta_neutral_issuer": delta_neutral_issuer}
    bench = Bench.of(toys[name]() if name in toys else random_network(seed=4))
    drivers = all_drivers(bench, traders=3)
    return bench, critical(bench, drivers if name in toys else drivers[::5], scan=6, tolerance=2e-2)


def test_every_row_says_what_runs_say(judged: tuple[Bench, CriticalShocks]) -> None:
    bench, answer = judged
    assert answer.triggering
    for row in answer.rows:
        driver = row.driver
        for one in row.findings.intervals:
            assert bench.run([driver.shock(one.first)]).system_wide
            assert bench.run([driver.shock(one.last)]).system_wide
            for edge, inside in ((one.below, one.first), (one.above, one.last)):
                if edge > 0:
                    assert not bench.run([driver.shock(edge)]).system_wide
                    assert abs(edge - inside) <= 2e-2 * max(edge, inside) * (1 + 1e-9)
        if row.trial is not None and row.size > 0:
            assert row.trial == bench.run([driver.shock(row.size)])
            assert row.fired == row.trial.fired
        if driver.binary and not row.findings.intervals:
            assert not bench.run([driver.shock()]).system_wide


def test_nothing_triggers_at_a_size_that_is_called_safe(judged: tuple[Bench, CriticalShocks]) -> None:
    bench, answer = judged
    tried: set[str] = set()
    for row in answer.rows:
        claim = row.claim
        if not claim.safe_up_to or row.driver.binary:
            continue
        assert not claim.safe_up_to > row.size or claim.safe_for == "a"
        for share in (1.0, 0.6, 0.25):
            trial = bench.run([row.driver.shock(claim.safe_up_to * share)])
            assert not set(trial.fired) & set(claim.safe_for), (row.driver.key, share)
            tried.add(row.driver.key)
    if answer.network == "delta_neutral_issuer":  # its winners pay, of which the envelope says nothing
        assert not tried
    else:
        assert len(tried) >= 3


def test_ranks_are_by_standard_deviations_and_rows_without_a_trigger_come_last(judged: tuple[Bench, CriticalShocks]) -> None:
    _, answer = judged
    sigmas = [row.sigmas for row in answer.triggering]
    assert sigmas == sorted(sigmas)
    assert [math.isnan(row.size) for row in answer.rows] == [False] * len(sigmas) + [True] * (len(answer.rows) - len(sigmas))
    for row in answer.triggering:
        assert row.sigmas == row.driver.sigmas(row.size)


def test_pages_are_narrow_and_tables_whole(judged: tuple[Bench, CriticalShocks]) -> None:
    _, answer = judged
    text = lay_out_critical(answer).text()
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    tables = answer.tables()
    assert list(tables["critical"]["driver"]) == [row.driver.key for row in answer.rows]
    assert len(tables["intervals"]) == sum(len(row.findings.intervals) for row in answer.rows)
    json.dumps(answer.summary(), allow_nan=False)


# ---- where the work is done, and in which order rows stand


def test_workers_ledger_and_order_of_rows_change_nothing(tmp_path: Path) -> None:
    net = two_exchange_stablecoin()
    bench = Bench.of(net)
    drivers = all_drivers(bench, traders=2)
    options = {"scan": 4, "tolerance": 0.05}
    alone = critical(bench, drivers, **options)  # type: ignore[arg-type]
    said = json.dumps(alone.summary())
    with Ledger(tmp_path / "tasks.jsonl") as ledger:
        both = critical(bench, drivers, plan=Plan(workers=2), ledger=ledger, **options)  # type: ignore[arg-type]
        assert json.dumps(both.summary()) == said
        again = critical(bench, drivers, ledger=ledger, **options)  # type: ignore[arg-type]
        assert len(ledger) == len(drivers)
    assert json.dumps(again.summary()) == said
    tables = {kind: table.take(list(range(len(table)))[::-1]) for kind, table in net.tables.items()}
    turned = Network(name=net.name, as_of=net.as_of, sources=net.sources, tables=tables)
    other = Bench.of(turned)
    assert json.dumps(critical(other, all_drivers(other, traders=2), **options).summary()) == said  # type: ignore[arg-type]


# ---- given shocks, forced orders, options


def test_given_shocks_bring_the_threshold_nearer_and_take_their_driver_out() -> None:
    net = one_book_ladder()
    thin = Bench.of(net, given=[parse_shock("depth:*=0.5")])
    drivers = drivers_of(thin.system, Risk(), traders=0)
    rows = {row.driver.key: row for row in critical(thin, drivers).rows}
    assert "depth:*" not in rows
    assert rows["COIN"].forced_usd == 400.0
    assert rows["COIN"].over_depth == 2 * critical(Bench.of(net), [FALL]).rows[0].over_depth
    falling = Bench.of(net, given=[parse_shock("COIN=-2.9%")])
    (row,) = [row for row in critical(falling, drivers).rows if row.driver.key == "default:Book"]
    assert not row.findings.intervals


def test_what_is_given_may_trigger_by_itself() -> None:
    bench = Bench.of(one_book_ladder(), given=[parse_shock("COIN=-3%")])
    answer = critical(bench, drivers_of(bench.system, Risk(), traders=1))
    at_once = next(row for row in answer.rows if row.driver.key == "depth:*")
    assert (at_once.size, at_once.sigmas, at_once.words) == (0.0, 0.0, "at once")
    assert answer.rows[0].size == 0.0


def test_first_orders_are_net_in_a_book_and_over_its_depth_then() -> None:
    bench = Bench.of(one_book_ladder(), LINEAR)
    first = first_orders(bench.cascade([parse_shock("COIN=-3.6%"), parse_shock("depth:Book=0.5")]))
    assert (first.usd, first.depth_usd, first.over_depth, first.round) == (700.0, 100.0, 7.0, 0)
    nothing = first_orders(bench.cascade([parse_shock("COIN=-1%")]))
    assert (nothing.usd, nothing.round) == (0.0, -1)
    assert math.isnan(nothing.over_depth)
    # a default closes its accounts a round later, and a short that buys counts as much as a long that sells
    whale = first_orders(bench.cascade([parse_shock("default:Whale")]))
    assert (whale.usd, whale.round) == (1600.0, 1)


REFUSED = {"tolerance": (1.0, "relative distance"), "scan": (1, "too few"), "conditions": ("x", "name some of")}


@pytest.mark.parametrize("option", REFUSED)
def test_options_without_a_meaning_are_refused(option: str) -> None:
    value, words = REFUSED[option]
    with pytest.raises(RunError, match=words):
        critical(Bench.of(one_book_ladder()), [FALL], **{option: value})  # type: ignore[arg-type]


def test_scans_run_from_half_a_sigma_to_the_limit_in_even_ratios() -> None:
    others = [Driver("peg", "C", "", 0.001, 0.9), Driver("price", "C", "", 0.05, 0.9, rises=True), Driver("depth", "*", "", 9.0, 0.99)]
    for driver in (FALL, *others):
        sizes = scan_sizes(driver, 16)
        assert sizes[0] == 0
        assert sizes[-1] == driver.limit
        assert len(sizes) == 17
        moves = [driver.sigmas(size) for size in sizes[1:]]
        assert [after / before for before, after in pairwise(moves)] == pytest.approx([scan_ratio(driver, 16)] * 15)
        assert moves[0] <= 0.5 * (1 + 1e-12)


def test_findings_go_through_json() -> None:
    found = Findings((Interval(0.1, 0.9, 0.09, math.nan),), Claim("bracket", 0.05, "abcd", 1e-3, ratio=1.4, sizes=17))
    text = json.dumps(found.to_json(), allow_nan=False)
    assert repr(Findings.from_json(json.loads(text))) == repr(found)


def test_a_guard_that_can_say_nothing_says_nothing() -> None:
    ray = Ray(Bench.of(one_book_ladder(), Settings(impact="square_root")), FALL)
    assert Guard(ray).safe_up_to(scan_sizes(FALL, 4)) == (0.0, "")
    (row,) = critical(ray.bench, [FALL], scan=4).rows
    assert row.claim.word == "sampled"


def test_drivers_are_picked_by_key() -> None:
    system = compile_system(one_book_ladder())
    (picked,) = pick_drivers(drivers_of(system, Risk()), ["depth:*"])
    (row,) = critical(Bench(system), [picked]).rows
    assert row.words == "none to × 0.01"
    assert row.claim.safe_up_to == picked.limit

"""Published and derived cases of liquidation, insurance fund and auto-deleveraging, through whole runs."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.compile import compile_system
from contagion.journal import Flow
from contagion.settings import Settings
from contagion.state import Status, initial_state
from contagion.steps.prices import set_prices
from contagion.steps.ranking import scores
from contagion.steps.revalue import issuer_assets, revalue_accounts
from graphs.toys import delta_neutral_issuer
from tests.contagion.engine.build import DEEP, Run, frame, run, stages, venue

TOLERANCE = 1e-6
"""Tolerance of the cases of FLOX-Foundation/flox tests/test_liquidation_engine.cpp (MIT), commit d2dc5ec, re-run through lrvx 0.11.0."""

FLOX = [(0.0, 0.005, 100.0)]


def fall(accounts: dict[str, tuple[float, float, float]], mark: float, *, start: float = 100.0, **more: object) -> Run:
    """Flox puts the mark at a price at once; here the coin falls to it on a book that nothing moves."""
    rules: dict[str, object] = {"brackets": FLOX, "tier_form": "flat", "adl_form": "cash", "adl_rank": "profit_equity", **more}
    return run(venue(accounts, price=start, **rules), [f"depeg:C={mark / start!r}"])


def absorbed(done: Run) -> dict[str, float]:
    """USD that each winner lost to auto-deleveraging."""
    found: dict[str, float] = {}
    accounts = done.state.system.accounts
    for _, who, usd in done.state.journal.accounts[Flow.ADL_WINNER]:
        for account, part in zip(who, usd, strict=True):
            name = done.state.system.nodes.name(accounts.owner[account])
            found[name] = found.get(name, 0.0) + float(part)
    return found


def test_a_healthy_account_is_left_alone() -> None:
    done = fall({"1": (1.0, 100.0, 50.0)}, 99.0)
    assert not done.hit(Flow.LIQUIDATION)


def test_an_underwater_long_is_closed_whole() -> None:
    done = fall({"1": (10.0, 100.0, 10.0)}, 80.0)
    assert done.hit(Flow.LIQUIDATION) == {"1"}
    assert done.total("bad_debt") == pytest.approx(200.0 - 10.0, abs=TOLERANCE)  # profit of -200 against 10
    state = initial_state(compile_system(venue({"1": (10.0, 100.0, 10.0)}, brackets=FLOX)), Settings())
    state.books.mark[:] = 80.0
    revalue_accounts(state)
    assert state.maintenance[done.account("1")] == pytest.approx(4.0, abs=TOLERANCE)


def test_deleveraging_takes_the_larger_profit_ratio() -> None:
    done = fall({"1": (10.0, 100.0, 50.0), "2": (-5.0, 100.0, 100.0), "3": (-10.0, 100.0, 100.0)}, 40.0, loss_rule="adl")
    assert done.hit(Flow.LIQUIDATION) == {"1"}
    assert done.total("bad_debt") == pytest.approx(550.0, abs=TOLERANCE)
    assert absorbed(done) == pytest.approx({"3": 550.0}, abs=TOLERANCE)
    assert done.equity("3") - 100.0 == pytest.approx(50.0, abs=TOLERANCE)  # profit that the winner keeps


TWINS = {"1": (10.0, 100.0, 50.0), "3": (-10.0, 100.0, 100.0), "2": (-10.0, 100.0, 100.0)}


def test_a_tie_goes_to_the_lower_order() -> None:
    place = {"1": 3, "2": 1, "3": 2}
    net = venue(TWINS, brackets=FLOX, loss_rule="adl", adl_form="cash", adl_rank="profit_equity")
    margin = net.frame("margin")
    margin["order"] = [place.get(owner) for owner in margin["owner"]]
    done = run(net.with_tables(margin=margin), ["C=-60%"])
    assert absorbed(done) == pytest.approx({"2": 550.0}, abs=TOLERANCE)


def test_a_tie_without_an_order_is_shared_pro_rata() -> None:
    done = fall(TWINS, 40.0, loss_rule="adl")
    assert absorbed(done) == pytest.approx({"2": 275.0, "3": 275.0}, abs=TOLERANCE)


def test_deleveraging_goes_on_to_the_next_in_rank() -> None:
    done = fall({"1": (5.0, 100.0, 50.0), "2": (-1.0, 100.0, 10.0), "3": (-5.0, 100.0, 100.0)}, 40.0, loss_rule="adl")
    assert done.total("bad_debt") == pytest.approx(250.0, abs=TOLERANCE)
    assert absorbed(done) == pytest.approx({"2": 60.0, "3": 190.0}, abs=TOLERANCE)


def test_deleveraging_by_size() -> None:
    # flox names no price before the fall; from 95 nobody is in breach at the start
    accounts = {"1": (2.0, 100.0, 20.0), "2": (-3.0, 100.0, 30.0), "3": (-10.0, 50.0, 500.0)}
    done = fall(accounts, 40.0, start=95.0, loss_rule="adl", adl_rank="size")
    assert done.total("bad_debt") == pytest.approx(100.0, abs=TOLERANCE)
    assert absorbed(done) == pytest.approx({"3": 100.0}, abs=TOLERANCE)


def test_without_deleveraging_the_deficit_stays_unpaid_by_winners() -> None:
    done = fall({"1": (10.0, 100.0, 50.0), "2": (-5.0, 100.0, 100.0)}, 40.0)
    assert done.total("house_paid") == pytest.approx(550.0, abs=TOLERANCE)
    assert not absorbed(done)
    assert (done.quantity("1"), done.quantity("2")) == (0.0, -5.0)


def test_zero_equity_and_the_floor_of_a_bracket() -> None:
    # flox has the mark at 99 from the start; from 110 neither account is in breach before
    accounts, brackets = {"1": (1.0, 100.0, 1.0), "2": (1000.0, 100.0, 1000.0)}, [(0.0, 0.005, 100.0), (5e4, 0.05, 10.0)]
    done = fall(accounts, 99.0, start=110.0, brackets=brackets)
    assert done.hit(Flow.LIQUIDATION) == {"1", "2"}
    state = initial_state(compile_system(venue(accounts, price=110.0, brackets=brackets, tier_form="flat")), Settings())
    state.books.mark[:] = 99.0
    revalue_accounts(state)
    assert [state.maintenance[done.account(name)] for name in accounts] == pytest.approx([0.495, 4950.0], abs=TOLERANCE)


@pytest.mark.parametrize(
    "rules", [{"loss_rule": "adl", "adl_form": "position"}, {"loss_rule": "adl", "adl_form": "cash"}, {"loss_rule": "socialise"}]
)
def test_a_winner_can_only_be_paid_what_the_loser_had(rules: dict[str, str]) -> None:
    # OKX on its clawback of July 2018 (copy at vidyoda.com/6023), read as linear contracts in USD: 10 long and 10 short at 1
    # with a margin of 1 each, no fund, price 0.1: 9 due, 1 there, 8 short
    done = run(venue({"L": (10.0, 1.0, 1.0), "S": (-10.0, 1.0, 1.0)}, price=1.0, **rules), ["C=-90%"])
    assert done.equity("S") - 1.0 == pytest.approx(1.0, abs=1e-9)
    assert done.equity("L") == pytest.approx(0.0, abs=1e-9)
    assert done.house() == pytest.approx(1e6, abs=1e-9)


def test_the_shortfall_of_the_clawback_without_any_rule() -> None:
    done = run(venue({"L": (10.0, 1.0, 1.0), "S": (-10.0, 1.0, 1.0)}, price=1.0), ["C=-90%"])
    assert done.total("bad_debt") == pytest.approx(8.0, abs=1e-9)
    assert done.equity("S") - 1.0 == pytest.approx(9.0, abs=1e-9)


def test_leverage_mass_of_p5_winners() -> None:
    # Chitra (2025), arXiv:2512.01112v1: sum of notional over equity, 49.59 at step 1 and 3.504 at step 2, printed to 2e-4 (2e-3 in
    # sum, as each equity is printed to four places). Hyperliquid's score is (mark/entry)·(notional/equity), the entry is 1.
    quantity = {"A": 1.0, "B": 1.0, "C": -4.0, "D": 1.0, "E": -1.0}
    for mark, equity, mass in (
        (1.4, {"A": 1.93333, "B": 0.6, "C": 2.93333, "D": 0.03860, "E": 0.16768}, 49.59),
        (1.3, {"A": 1.2613, "C": 5.6214, "E": 0.8397}, 3.504),
    ):
        held = {name: (quantity[name], 1.0, usd - quantity[name] * (mark - 1.0)) for name, usd in equity.items()}
        state = initial_state(compile_system(venue(held, price=mark, adl_rank="mark_leverage"), check=False), Settings())
        set_prices(state)
        revalue_accounts(state)
        names = state.system.nodes
        owner = state.system.accounts.owner[state.position_account]
        rows = np.array([row for row in range(owner.size) if names.name(owner[row]) in held])
        assert scores(state, rows).sum() / mark == pytest.approx(mass, rel=3e-4)


@pytest.mark.parametrize(
    ("rank", "expected"),
    # at a mark of 80: A, B, C are short 1 at 100, 4 at 90, 9 at 120 with an equity of 50, 50, 2360
    [
        ("profit_leverage", [20 / 100 * 80 / 50, 40 / 360 * 320 / 50, 360 / 1080 * 720 / 2360]),
        ("mark_leverage", [80 / 100 * 80 / 50, 80 / 90 * 320 / 50, 80 / 120 * 720 / 2360]),
        ("profit_equity", [20 / 50, 40 / 50, 360 / 2360]),
        ("size", [1.0, 4.0, 9.0]),
    ],
)
def test_scores_by_hand(rank: str, expected: list[float]) -> None:
    accounts = {"A": (-1.0, 100.0, 30.0), "B": (-4.0, 90.0, 10.0), "O": (-9.0, 120.0, 2000.0)}
    state = initial_state(compile_system(venue(accounts, price=80.0, depth=1e6, adl_rank=rank), check=False), Settings())
    set_prices(state)
    revalue_accounts(state)
    owner = state.system.accounts.owner[state.position_account]
    rows = np.array([np.flatnonzero(owner == state.system.node(name))[0] for name in accounts])
    assert scores(state, rows) == pytest.approx(expected, rel=1e-9)


def test_a_delta_neutral_issuer_loses_its_hedge() -> None:
    # derived: 100 spot units hedged by 100 shorts at 100; 40 are deleveraged at 90 while the mark is 80, then the price is 70;
    # loss against the mark 40·10 = 400, delta left 40, further loss 40·10 = 400; exact
    net = delta_neutral_issuer(units=100.0, levered=40.0, leverage=10.0, depth=DEEP)
    coins = net.frame("stablecoin")
    coins["supply"] = 10_000.0  # of 11,000 behind it, so that the loss does not bankrupt the issuer and end the case
    net = net.with_tables(stablecoin=coins)
    first = run(net, ["COIN=-20%"])
    assert first.quantity("USDN", "COIN", "Venue") == -60.0
    coin = first.coin("USDN")
    assert 11000.0 - issuer_assets(first.state)[coin] == pytest.approx(400.0, abs=1e-9)
    assert first.state.backing.sum() + first.quantity("USDN", "COIN", "Venue") == 40.0
    both = run(net, stages(["COIN=-20%"], ["COIN=-12.5%"]))
    assert 11000.0 - issuer_assets(both.state)[coin] == pytest.approx(800.0, abs=1e-9)


def test_deleveraging_at_mark_costs_the_house_and_leaves_winners_alone() -> None:
    accounts = {"L": (10.0, 100.0, 50.0), "S": (-10.0, 100.0, 500.0), "Flat": (0.0, 0.0, 77.0)}
    done = run(venue(accounts, loss_rule="adl", adl_price="mark"), ["C=-20%"])
    assert (done.quantity("L"), done.quantity("S")) == (0.0, 0.0)
    assert done.equity("S") == pytest.approx(500.0 + 200.0, abs=1e-9)
    assert done.total("house_paid") == pytest.approx(150.0, abs=1e-9)
    assert done.equity("Flat") == 77.0
    assert done.status("L") is Status.CLOSED


def test_deleveraging_at_bankruptcy_price_takes_exactly_the_distance_to_the_mark() -> None:
    accounts = {"L": (10.0, 100.0, 50.0), "S": (-8.0, 100.0, 500.0), "T": (-2.0, 100.0, 20000.0), "Flat": (0.0, 0.0, 77.0)}
    done = run(venue(accounts, loss_rule="adl"), ["C=-20%"])
    # p_b = 95, mark 80: each winner loses 15 a unit that is closed
    assert done.equity("S") == pytest.approx(500.0 + 8 * 20 - 8 * 15, abs=1e-9)
    assert done.equity("T") == pytest.approx(20000.0 + 2 * 20 - 2 * 15, abs=1e-9)
    assert done.equity("L") == pytest.approx(0.0, abs=1e-9)
    assert done.equity("Flat") == 77.0
    assert done.house() == 1e6


def test_deleveraging_at_the_previous_mark_pays_the_difference_to_the_house_or_winner() -> None:
    # marks 96 (round 0: margin above maintenance), then 90: the close is at 96, the long still owes nothing
    accounts = {"L": (10.0, 100.0, 60.0), "S": (-10.0, 100.0, 500.0)}
    done = run(venue(accounts, loss_rule="adl", adl_price="previous_mark"), stages(["C=-4%"], ["depeg:C=0.9"], rounds=[0, 1]))
    assert done.quantity("S") == 0.0
    assert done.equity("S") == pytest.approx(500.0 + 10 * 4, abs=1e-9)
    assert done.balance("L") == pytest.approx(60.0 - 10 * 4, abs=1e-9)


def test_the_fund_keeps_an_account_from_deleveraging_and_smallest_deficits_are_covered_first() -> None:
    accounts = {"Big": (10.0, 100.0, 50.0), "Small": (1.0, 100.0, 10.0), "S": (-11.0, 100.0, 5000.0)}
    done = run(venue(accounts, loss_rule="adl", insurance_fund=20.0), ["C=-20%"])
    assert done.hit(Flow.ADL) == {"Big"}  # deficits 10 and 150
    assert done.hit(Flow.LIQUIDATION) == {"Small"}
    assert done.fund() == pytest.approx(10.0, abs=1e-6)


def test_what_finds_no_winner_goes_to_the_book_in_the_next_round() -> None:
    # the only short entered at 70 and has no profit at 80
    accounts = {"L": (10.0, 100.0, 350.0), "S": (-10.0, 70.0, 5000.0)}
    done = run(venue(accounts, price=90.0, loss_rule="adl"), [f"depeg:C={64 / 90!r}"])
    assert done.hit(Flow.ADL) | done.hit(Flow.LIQUIDATION) == {"L"}
    accounts = {"L": (10.0, 100.0, 150.0), "S": (-4.0, 100.0, 5000.0), "T": (-6.0, 70.0, 5000.0)}
    done = run(venue(accounts, price=90.0, loss_rule="adl"), [f"depeg:C={80 / 90!r}"])
    assert done.quantity("S") == 0.0
    assert done.quantity("T") == -6.0
    assert done.units(Flow.LIQUIDATION) == 6.0
    assert done.when(Flow.LIQUIDATION)[0] == done.when(Flow.ADL)[0] + 1


def test_scores_use_the_markets_of_the_bankrupt_only() -> None:
    rest = frame("exchange asset instrument price depth", ("X", "D", "perp", 10.0, DEEP))
    net = venue(
        {"L": (10.0, 100.0, 50.0), "S": (-10.0, 100.0, 500.0), "O": (0.0, 0.0, 500.0)},
        loss_rule="adl",
        tables={
            "asset": frame("id price", ("C", 100.0), ("D", 10.0)),
            "more_market": rest,
            "more_margin_tier": frame("exchange asset floor maintenance_rate max_leverage", ("X", "D", 0.0, 0.01, 50.0)),
            "more_margin": frame(
                "owner asset exchange quantity entry_price", ("O", "D", "X", -100.0, 10.0), ("Rest", "D", "X", 100.0, 10.0)
            ),
        },
    )
    done = run(net, ["C=-20%", "D=-20%"])
    assert done.hit(Flow.ADL_WINNER) == {"S"}
    assert done.quantity("O", "D") == -100.0


def test_a_bankrupt_loan_has_nobody_to_deleverage_and_goes_to_the_book() -> None:
    # 10 D are lent against 150 USD where D has no perpetual
    net = venue(
        {"Lent": (0.0, 0.0, 250.0)},
        loss_rule="adl",
        tables={
            "more_asset": frame("id price", ("D", 10.0)),
            "more_market": frame("exchange asset instrument price depth", ("X", "D", "spot", 10.0, 1e6)),
            "more_margin_tier": frame("exchange asset floor maintenance_rate max_leverage", ("X", "D", 0.0, 0.05, 5.0)),
            "more_margin": frame("owner asset exchange quantity entry_price", ("Lent", "D", "X", -10.0, 10.0)),
        },
    )
    done = run(net, ["D=+300%"])
    # 350 of cash in all, the loan costs 400 and a little to buy back
    assert done.when(Flow.LIQUIDATION) == [1]
    assert (done.quantity("Lent", "D"), done.balance("Lent")) == (0.0, 0.0)
    assert done.total("house_paid") == pytest.approx(50.0, rel=1e-2)


def test_doubles_stay_equal_after_they_were_deleveraged_once() -> None:
    """A third of a step of the ledger cannot be shared; it must not decide who pays the next shortfall alone."""
    accounts = {
        "A": (1.0, 100.0, 19.1),
        "B": (1.0, 100.0, 32.3),
        "S": (-1.0, 100.0, 500.0),
        "T": (-1.0, 100.0, 500.0),
        "U": (-1.0, 100.0, 500.0),
    }
    net = venue(accounts, loss_rule="adl", adl_form="cash")
    done = run(net, stages(["C=-30%"], [f"depeg:C={1 / 3!r}"]))
    assert [len(who) for _, who, _ in done.state.journal.accounts[Flow.ADL_WINNER]] == [3, 3]
    assert done.equity("S") == pytest.approx(done.equity("T"), abs=1e-6)
    assert done.equity("S") == pytest.approx(done.equity("U"), abs=1e-6)

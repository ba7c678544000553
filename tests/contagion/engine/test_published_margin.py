"""Published margin numbers, through a network and the engine's valuation: each constant stands with its source."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from contagion.compile import compile_system
from contagion.kernels.valuate import maintenance_of
from contagion.settings import Settings
from contagion.state import initial_state
from contagion.steps.adl import bankruptcy_prices
from contagion.steps.prices import set_prices
from contagion.steps.revalue import revalue_accounts
from graphs.network import Network
from graphs.schema import USD
from tests.contagion.engine.build import DEEP, frame, run, venue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contagion.state import State
    from contagion.system import System

# Binance USD-M brackets for BTCUSDT in 2021 (gist highfestiva/b71e76f51eed84d56c1be8ebbcc286b5) with the maintenance amounts of
# Binance FAQ b3c689c1f50a44cabb3a84e663b81d93; exact.
BTC_FLOORS = (0.0, 5e4, 2.5e5, 1e6, 1e7, 2e7, 5e7, 1e8, 2e8, 3e8)
BTC_RATES = (0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25, 0.5)
BTC_AMOUNTS = (0.0, 50.0, 1300.0, 16300.0, 266300.0, 1266300.0, 2516300.0, 5016300.0, 25016300.0, 100016300.0)
BTC_BRACKETS = [(floor, rate, max(1.0, 0.5 / rate)) for floor, rate in zip(BTC_FLOORS, BTC_RATES, strict=True)]
# only the bracket of the published row is known (10 %, amount 135,365): 5 % up to the floor that gives this amount
ETH_BRACKETS = [(0.0, 0.05, 10.0), (2_707_300.0, 0.1, 5.0)]


@cache
def system_of(net: Network) -> System:
    return compile_system(net, check=False)


def valued(net: Network, **marks: float) -> State:
    """State of a network at rest, or with some coins marked elsewhere."""
    state = initial_state(system_of(net), Settings())
    set_prices(state)
    names = state.system.coins.names
    for coin, mark in marks.items():
        state.books.mark[state.system.markets.coin == names.index(coin)] = mark
        state.books.index[state.system.markets.coin == names.index(coin)] = mark
    revalue_accounts(state)
    return state


def account_of(state: State, owner: str) -> int:
    return int(np.flatnonzero(state.system.accounts.owner == state.system.node(owner))[0])


def health(net: Network, owner: str, **marks: float) -> float:
    """Margin balance less maintenance margin."""
    state = valued(net, **marks)
    account = account_of(state, owner)
    return float(state.margin[account] - state.maintenance[account])


def root(net: Network, owner: str, coin: str, low: float, high: float, **marks: float) -> float:
    """Mark of a coin at which an account is in breach."""
    sign = health(net, owner, **marks, **{coin: high}) > 0
    for _ in range(60):
        middle = (low + high) / 2
        if (health(net, owner, **marks, **{coin: middle}) > 0) == sign:
            high = middle
        else:
            low = middle
    return high


def two_coins(positions: Mapping[str, tuple[float, float]], wallet: float) -> Network:
    """The account ``A`` on Binance's BTC and ETH contracts, against ``Rest``."""
    prices = {"BTC": 31967.27, "ETH": 1335.18}
    brackets = {"BTC": BTC_BRACKETS, "ETH": ETH_BRACKETS}
    rows = [(owner, coin, "X", sign * q, entry) for coin, (q, entry) in positions.items() for owner, sign in (("A", 1), ("Rest", -1))]
    return Network.from_frames(
        name="binance",
        trader=frame("id", ("A",), ("Rest",)),
        asset=frame("id price", *prices.items()),
        exchange=frame("id equity loss_rule", ("X", 1e9, "none")),
        market=frame("exchange asset instrument price depth", *(("X", coin, "perp", price, DEEP) for coin, price in prices.items())),
        margin_tier=frame(
            "exchange asset floor maintenance_rate max_leverage", *(("X", coin, *row) for coin, part in brackets.items() for row in part)
        ),
        margin=frame("owner asset exchange quantity entry_price", *rows),
        collateral=frame("owner asset exchange quantity", ("A", USD, "X", wallet), ("Rest", USD, "X", 1e9)),
    )


def test_maintenance_amounts_follow_from_the_brackets() -> None:
    markets = compile_system(venue({"A": (1.0, 100.0, 50.0)}, brackets=BTC_BRACKETS)).markets
    assert markets.deduction.tolist() == pytest.approx(list(BTC_AMOUNTS), abs=1e-6)  # tolerance of the case


def test_the_flat_form_has_no_maintenance_amounts() -> None:
    flat = compile_system(venue({"A": (1.0, 100.0, 50.0)}, brackets=BTC_BRACKETS, tier_form="flat"))
    assert not flat.markets.deduction.any()
    assert maintenance_of(np.array([0]), np.array([250_000.0]), flat.markets).tolist() == [2500.0]


def test_the_marginal_form_is_continuous_where_a_bracket_begins() -> None:
    markets = compile_system(venue({"A": (1.0, 100.0, 50.0)}, brackets=BTC_BRACKETS)).markets
    floors = np.array(BTC_FLOORS[1:])
    below, at = (maintenance_of(np.zeros(9, dtype=np.int64), floors * share, markets) for share in (1 - 1e-12, 1.0))
    np.testing.assert_allclose(at, below, rtol=1e-9)


WALLET = 1_535_443.01


@pytest.mark.parametrize(
    ("positions", "coin", "expected"),
    [
        # freqtrade tests, test_liquidation_price "From calc example", after Binance FAQ b3c689c1f50a44cabb3a84e663b81d93
        ({"ETH": (3683.979, 1456.84)}, "ETH", 1114.78),
        ({"BTC": (109.488, 32481.98)}, "BTC", 18778.73),
        ({"ETH": (3683.979, 1456.84), "BTC": (109.488, 32481.98)}, "ETH", 1153.26),
        ({"ETH": (3683.979, 1456.84), "BTC": (109.488, 32481.98)}, "BTC", 26316.89),
    ],
)
def test_binance_liquidation_prices(positions: dict[str, tuple[float, float]], coin: str, expected: float) -> None:
    net = two_coins(positions, WALLET)
    assert root(net, "A", coin, 0.6 * expected, 1.2 * expected) == pytest.approx(expected, abs=0.011)  # tolerance of the case


@pytest.mark.parametrize(
    ("coin", "quantity", "entry", "maintenance", "profit"),
    [("BTC", 109.488, 32481.98, 71200.81144, -56354.57), ("ETH", 3683.979, 1456.84, 356512.508, -448192.89)],
)
def test_binance_maintenance_and_profit_at_the_marks(coin: str, quantity: float, entry: float, maintenance: float, profit: float) -> None:
    state = valued(two_coins({coin: (quantity, entry)}, WALLET))  # the same source
    account = account_of(state, "A")
    assert state.maintenance[account] == pytest.approx(maintenance, abs=0.011)
    assert state.equity[account] - WALLET == pytest.approx(profit, abs=0.011)


def bankruptcy_price(net: Network, owner: str, **marks: float) -> float:
    state = valued(net, **marks)
    account = np.array([account_of(state, owner)])
    rows = state.rows_of(account)
    return float(bankruptcy_prices(state, rows, np.repeat(account, rows.size))[0])


def test_bybit_linear_bankruptcy_price() -> None:
    net = venue({"A": (100.0, 500.0, 1100.0)}, price=500.0)  # Bybit help 900000031623, copy at wuyelx.com/6291
    assert bankruptcy_price(net, "A") == pytest.approx(489.0, abs=1e-5)
    assert bankruptcy_price(net, "A", C=480.0) == pytest.approx(489.0, abs=1e-5)


def test_bybit_inverse_bankruptcy_price_as_a_linear_long_with_coin_margin() -> None:
    # Bybit help 900000031623: 5,000 BTCUSD long at 7,890.08 with 50x is bankrupt at 7,735.372549. An inverse long of N USD
    # is worth N·P/E - N, which is a linear long of N/E units, and its margin is N/(50·E) coins.
    entry, usd = 7890.08, 5000.0
    coin = usd / entry
    net = venue(
        {"A": (coin, entry, 0.0)},
        price=entry,
        depth=1e6,  # a lot of coins is a part of the depth
        tables={
            "more_market": frame("exchange asset instrument price depth collateral_haircut", ("X", "C", "spot", entry, 1e6, 0.0)),
            "more_collateral": frame("owner asset exchange quantity", ("A", "C", "X", coin / 50)),
        },
    )
    low, high = 7000.0, entry
    for _ in range(60):
        middle = (low + high) / 2
        state = valued(net, C=middle)
        low, high = (low, middle) if state.equity[account_of(state, "A")] > 0 else (middle, high)
    assert high == pytest.approx(7735.372549, abs=1e-5)


def zec(**accounts: tuple[float, float, float]) -> Network:
    # Hyperliquid docs /trading/margin-tiers: ZEC 5 % below 20M USD, 10 % above
    return venue(accounts, brackets=[(0.0, 0.05, 10.0), (2e7, 0.1, 5.0)], depth=1e6)


def test_hyperliquid_tier_deduction() -> None:
    markets = compile_system(zec(A=(1.0, 100.0, 50.0))).markets
    assert markets.deduction.tolist() == pytest.approx([0.0, 1e6], abs=1e-9)
    assert maintenance_of(np.array([0]), np.array([3e7]), markets).tolist() == pytest.approx([2e6], abs=1e-9)


def test_at_hyperliquids_liquidation_price_equity_is_the_maintenance_margin() -> None:
    # docs /trading/liquidations: px - side·margin_available/size/(1 - l·side), l the maintenance rate of the bracket
    rng = np.random.default_rng(5)
    for _ in range(40):
        size, side, usd = float(rng.uniform(1, 1000)), int(rng.choice([-1, 1])), 0.0
        usd = size * 100 * float(rng.uniform(0.06, 0.5))
        net = zec(A=(side * size, 100.0, usd))
        price = 100.0 - side * health(net, "A") / size / (1 - 0.05 * side)
        assert health(net, "A", C=price) == pytest.approx(0.0, abs=1e-9 * size * 100)


# Chitra (2025), arXiv:2512.01112v1, running example P5 (sections 2.1, 2.2, A.1, A.2): quantity (signed), collateral,
# funding of steps 1 and 2; every printed number is good to 2e-4.
P5 = {"A": (1.0, 2.0), "B": (1.0, 2 / 3), "C": (-4.0, 8 / 3), "D": (1.0, 2 / 19), "E": (-1.0, 10 / 99)}
FUNDING = {
    1.4: {"A": -0.4667, "B": -0.4667, "C": 1.8667, "D": -0.4667, "E": 0.4667},
    1.3: {"A": -0.572 - 0.4667, "B": -0.572 - 0.4667, "C": 2.288 + 1.8667, "D": -0.572 - 0.4667, "E": 0.572 + 0.4667},
}
EQUITY = {
    1.4: {"A": 1.9333, "B": 0.6, "C": 2.9334, "D": 0.0386, "E": 0.1677},
    1.3: {"A": 1.2613, "B": -0.072, "C": 5.6214, "D": -0.6334, "E": 0.8397},
}


def p5(mark: float | None = None) -> Network:
    """P5 at entry 1, with the funding up to a mark in the accounts' cash."""
    paid = FUNDING.get(mark or 1.0, dict.fromkeys(P5, 0.0))
    return venue({name: (q, 1.0, usd + paid[name]) for name, (q, usd) in P5.items()}, price=1.0, brackets=[(0.0, 0.1, 10.0)])


@pytest.mark.parametrize("mark", [1.4, 1.3])
def test_equities_of_p5(mark: float) -> None:
    state = valued(p5(mark), C=mark)
    for name, expected in EQUITY[mark].items():
        assert state.equity[account_of(state, name)] == pytest.approx(expected, abs=2e-4)


def test_maintenance_and_breach_of_p5() -> None:
    state = valued(p5(1.4), C=1.4)
    needed = {name: float(state.maintenance[account_of(state, name)]) for name in P5}
    assert needed == pytest.approx({"A": 0.14, "B": 0.14, "C": 0.56, "D": 0.14, "E": 0.14}, abs=2e-4)
    short = {name for name in P5 if state.margin[account_of(state, name)] <= state.maintenance[account_of(state, name)]}
    assert short == {"D"}


@pytest.mark.parametrize(("name", "expected"), [("A", -1.0), ("B", 1 / 3), ("C", 5 / 3), ("D", 0.8947), ("E", 1.101)])
def test_bankruptcy_prices_of_p5(name: str, expected: float) -> None:
    assert bankruptcy_price(p5(), name) == pytest.approx(expected, abs=2e-4)  # A's is printed as 0, the floor of a price


@pytest.mark.parametrize(("name", "expected"), [("B", 0.3704), ("C", 1.5152), ("D", 0.9942), ("E", 1.0010)])
def test_liquidation_prices_of_p5(name: str, expected: float) -> None:
    side = np.sign(P5[name][0])
    assert root(p5(), name, "C", 0.3 if side > 0 else 3.0, 1.0 if side > 0 else 0.9) == pytest.approx(expected, abs=2e-4)


def test_binances_index_with_its_outlier_rule_is_not_monotone() -> None:
    # Binance FAQ 547ba48141474ab3bddc5d7898f97928 (2020-10-29): one source more than 5 % off the median has weight 0
    found = []
    for last in (96.0, 94.0):
        shape = [("W", 100.0), ("X", 100.0), ("Y", 100.0), ("Z", 100.0)]
        net = Network.from_frames(
            name="index",
            asset=frame("id price", ("C", 100.0)),
            exchange=frame("id mark_oracle outlier", *((name, "index", 0.05) for name, _ in shape)),
            market=frame("exchange asset instrument price depth", *((name, "C", "perp", price, 1e6) for name, price in shape)),
        )
        done = run(net, [f"depeg:C@Z={last / 100}"])
        found.append(done.state.books.mark[done.market("C", "W")])
    assert found == pytest.approx([99.0, 100.0], abs=1e-9)

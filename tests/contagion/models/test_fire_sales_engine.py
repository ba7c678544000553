"""The engine, set as the models say, gives what the models give: Cont-Schaanning, one perpetual exchange, Greenwood-Landier-Thesmar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from contagion.cascade import run
from contagion.models.fire_sales import deleverage, vulnerable_banks
from contagion.models.price_impact import from_one_percent
from contagion.scenario import Scenario
from contagion.settings import Settings
from graphs.network import Network

PRICE, DEPTH = np.array([100.0, 50.0, 2.0]), np.array([6000.0, 10000.0, 400.0])  # USD, and USD that moves it 1 %
LIKE_ENGINE: dict[str, Any] = {"floor": 0.0, "order": "units", "execution": "along"}


def _banks(units: Any, leverage: Any, limit: Any, target: Any) -> tuple[Network, Any, Any]:  # noqa: ANN401 - arrays
    """Banks that hold coins and owe outside what their capital does not pay; values held and capital."""
    value = units * PRICE
    capital = value.sum(axis=1) / leverage
    names, coins = [f"Bank{i}" for i in range(len(units))], ["A", "B", "C"]
    rows = [(names[i], coins[k], units[i, k]) for i, k in np.argwhere(units > 0)]
    net = Network.from_frames(
        name="banks",
        trader=pd.DataFrame(
            {"id": names, "external_debt": value.sum(axis=1) - capital, "leverage_limit": limit, "leverage_target": target}
        ),
        asset=pd.DataFrame({"id": coins, "price": PRICE}),
        exchange=pd.DataFrame({"id": ["X"]}),
        market=pd.DataFrame({"exchange": "X", "asset": coins, "instrument": "spot", "price": PRICE, "depth": DEPTH}),
        holding=pd.DataFrame(rows, columns=["owner", "asset", "quantity"]),
    )
    return net, value, capital


@pytest.mark.parametrize("impact", ["exponential", "linear"])
@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize("shock", ["loss", "price"])
def test_leverage_rule_of_cont_and_schaanning(impact: Any, assets: int, shock: str) -> None:  # noqa: ANN401 - a word
    random = np.random.default_rng(assets)
    units = random.integers(20, 200, (4, 3)) * (np.arange(3) < assets) * 1.0
    leverage = np.array([12.0, 20.0, 8.0, 15.0])
    limit = leverage * 1.02
    net, value, capital = _banks(units, leverage, limit, limit * 0.95)
    lost = np.array([0.2 * capital[0], 0, 0, 0]) if shock == "loss" else np.zeros(4)
    fall = [0.0, 0.0, 0.0] if shock == "loss" else [0.01, 0.0, 0.0]
    done = run(
        net, Scenario.from_shocks([f"loss:Bank0={lost[0]}" if shock == "loss" else "A=-1%"]), settings=Settings(impact=impact), audit=True
    )
    model = deleverage(
        value, capital - lost, from_one_percent(DEPTH, impact=impact), fall, leverage_limit=limit, leverage_target=limit * 0.95,
        impact=impact, **LIKE_ENGINE,
    )  # fmt: skip
    assert model.rounds >= 2
    assert not model.defaulted.any()
    assert done.coins["price_end"].to_numpy() / PRICE == pytest.approx(model.price, rel=1e-10)
    assert done.outcome.state.node_equity[:4] == pytest.approx(model.capital, rel=1e-9)


@pytest.mark.parametrize("impact", ["exponential", "linear"])
def test_one_perpetual_exchange(impact: Any) -> None:  # noqa: ANN401 - a word
    # Longs with a leverage rule on one book: exposure is notional, capital the account's equity. The short has no rule.
    units, leverage = np.array([57.0, 21.0, 40.0]), np.array([10.0, 15.0, 6.0])
    margin, limit = units * 100.0 / leverage, leverage * 1.03
    longs = ["Long0", "Long1", "Long2"]
    net = Network.from_frames(
        name="perp",
        trader=pd.DataFrame({"id": [*longs, "Short"], "leverage_limit": [*limit, np.nan], "leverage_target": [*0.95 * limit, np.nan]}),
        asset=pd.DataFrame({"id": ["A"], "price": [100.0]}),
        exchange=pd.DataFrame({"id": ["X"], "equity": [1e9]}),
        market=pd.DataFrame({"exchange": ["X"], "asset": "A", "instrument": "perp", "price": 100.0, "depth": 2000.0}),
        margin_tier=pd.DataFrame({"exchange": ["X"], "asset": "A", "floor": 0.0, "maintenance_rate": 1e-6, "max_leverage": 100.0}),
        margin=pd.DataFrame(
            {"owner": [*longs, "Short"], "asset": "A", "exchange": "X", "quantity": [*units, -units.sum()], "entry_price": 100.0}
        ),
        collateral=pd.DataFrame({"owner": [*longs, "Short"], "asset": "USD", "exchange": "X", "quantity": [*margin, 1e6]}),
    )
    done = run(net, Scenario.from_shocks(["A=-1%"]), settings=Settings(impact=impact), audit=True)
    depth = from_one_percent(2000.0, impact=impact)
    model = deleverage(100.0 * units, margin, depth, 0.01, leverage_limit=limit, leverage_target=0.95 * limit, impact=impact, **LIKE_ENGINE)
    assert model.rounds >= 2
    assert done.markets["price_end"].to_numpy() / 100.0 == pytest.approx(model.price, rel=1e-8)
    assert done.outcome.state.quantity[:3] / units == pytest.approx(model.kept, rel=1e-7)
    assert done.outcome.state.node_equity[:3] == pytest.approx(model.capital, rel=1e-7)


def test_one_round_of_greenwood_landier_and_thesmar() -> None:
    # Under one fall of everything. Two differences, exact here: the model states the fall of a price relative to the shocked one, the
    # engine moves units at the price before; and the model charges a seller the whole fall on what it sells, where the engine's seller
    # gets half.
    units = np.random.default_rng(3).integers(20, 200, (4, 3)) * 1.0
    fall, leverage = 0.01, np.array([12.0, 20.0, 8.0, 15.0])
    net, value, capital = _banks(units, leverage, leverage * (1 + 1e-9), leverage)
    done = run(net, Scenario.from_shocks([f"{coin}=-1%" for coin in "ABC"]), settings=Settings(impact="linear", max_rounds=1))
    model = vulnerable_banks(value, capital, from_one_percent(DEPTH, impact="linear"), fall)
    price = done.coins["price_end"].to_numpy() / PRICE
    assert (1 - fall - price) * (1 - fall) == pytest.approx(model.fall, rel=1e-9)
    pushed = 1 - price / (1 - fall)
    share = model.sales / (value.sum(axis=1) * (1 - fall))
    left = capital - model.direct_loss - value @ pushed * (1 - fall) * (1 - share / 2)
    assert done.outcome.state.node_equity[:4] == pytest.approx(left, rel=1e-9)
    assert done.outcome.reason == "max_rounds"

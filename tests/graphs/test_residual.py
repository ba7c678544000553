"""Residual traders: they take exactly the missing side, are safe, and are reported."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.checks import add_residuals, check_network
from graphs.errors import CheckError, GraphError
from tests.graphs.samples import frames, put, sound

if TYPE_CHECKING:
    from graphs.network import Network


def unbalanced() -> Network:
    margin = frames()["margin"].assign(quantity=[3.0, 1.0, -2.0, -0.5, -2.0])
    extra = pd.DataFrame({"owner": ["ann"], "asset": ["BTC"], "exchange": ["Bybit"], "quantity": [-7.0], "entry_price": [90.0]})
    return sound(margin=pd.concat([margin, extra], ignore_index=True))


def test_residual_traders_take_the_missing_side_and_are_reported() -> None:
    net = unbalanced()
    balanced, report = add_residuals(net)
    assert check_network(balanced) == []
    assert report["trader"].tolist() == ["residual@Binance", "residual@Bybit"]
    assert report["quantity"].tolist() == [-1.5, 7.0]
    assert report["gross"].tolist() == [6.5, 7.0]
    assert report["notional"].tolist() == [150.0, 707.0]
    # At 101, the highest price: the whole notional, and a dollar a coin that a mark at the other exchange would cost.
    assert report["collateral"].tolist() == [1.5 * 101 + 1.5, 7 * 101 + 7]
    assert balanced.node_ids("trader")[-2:] == ["residual@Binance", "residual@Bybit"]
    for kind in net.tables:
        grown = balanced.tables[kind].slice(0, net.count(kind))
        assert net.with_tables(**{kind: grown}).equals(net)
    assert {kind: balanced.count(kind) - net.count(kind) for kind in net.tables if balanced.count(kind) > net.count(kind)} == {
        "trader": 2,
        "margin": 2,
        "collateral": 2,
    }


def test_a_balanced_network_gets_nothing() -> None:
    net, report = add_residuals(sound())
    assert net.equals(sound())
    assert report.empty
    assert list(report) == ["exchange", "asset", "trader", "quantity", "gross", "price", "notional", "collateral"]


def test_residual_traders_never_take_a_name_that_is_there() -> None:
    taken = pd.concat([frames()["trader"], pd.DataFrame({"id": ["residual@Bybit"]})], ignore_index=True)
    balanced, report = add_residuals(unbalanced().with_tables(trader=taken))
    assert report["trader"].tolist() == ["residual@Binance", "residual@Bybit.2"]
    assert check_network(balanced) == []


def test_residuals_are_not_added_to_a_network_with_other_faults() -> None:
    with pytest.raises(CheckError, match="did you mean 'bob'"):
        add_residuals(sound(**put("margin", 3, owner="bbob")))
    with pytest.raises(GraphError, match="leverage is 0"):
        add_residuals(unbalanced(), leverage=0.0)


@settings(max_examples=40)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12),
    st.floats(0.5, 200.0),
    st.floats(1.0, 100.0),
    st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)),
)
def test_residual_traders_are_above_maintenance_at_every_exchange_price(
    quantities: list[float], leverage: float, top: float, prices: tuple[float, float]
) -> None:
    owners = [f"t{number}" for number in range(len(quantities))]
    net = sound(
        trader=pd.DataFrame({"id": [*owners, "vault"]}),
        market=frames()["market"].iloc[:3].assign(price=[prices[0], prices[0], prices[1]]),
        margin_tier=pd.DataFrame(
            {
                "exchange": "Binance",
                "asset": "BTC",
                "floor": [0.0, 1e4, 1e5],
                "maintenance_rate": [0.5 / top, 0.7 / top, 1 / top],
                "max_leverage": [top, top, top],
            }
        ),
        margin=pd.DataFrame({"owner": owners, "asset": "BTC", "exchange": "Binance", "quantity": quantities, "entry_price": 1.0}),
    ).with_tables(collateral=None, liquidity=None, holding=None, credit=None, arbitrage=None, backing=None)
    balanced, report = add_residuals(net, leverage=leverage)
    assert check_network(balanced) == []
    if report.empty:
        assert abs(math.fsum(quantities)) <= 1e-8 * math.fsum(map(abs, quantities))
        return
    (row,) = report.to_dict("records")
    assert row["quantity"] == -math.fsum(quantities)
    assert balanced.numbers("collateral", "quantity").tolist() == [row["collateral"]]
    for mark in prices:
        margin_balance = row["collateral"] + row["quantity"] * (mark - row["price"])
        assert margin_balance > abs(row["quantity"]) * mark / top


def test_one_trader_takes_all_that_is_missing_at_an_exchange() -> None:
    base = frames()
    eth = pd.DataFrame({"exchange": ["Binance"], "asset": ["ETH"], "instrument": ["perp"], "price": [10.0], "depth": [1e6]})
    tiers = pd.DataFrame({"exchange": ["Binance"], "asset": ["ETH"], "floor": [0.0], "maintenance_rate": [0.1], "max_leverage": [5.0]})
    longs = pd.DataFrame({"owner": ["ann", "bob"], "asset": "ETH", "exchange": "Binance", "quantity": [4.0, 2.0], "entry_price": 10.0})
    net = sound(
        market=pd.concat([base["market"], eth], ignore_index=True),
        margin_tier=pd.concat([base["margin_tier"], tiers], ignore_index=True),
        margin=pd.concat([base["margin"].assign(quantity=[3.5, 1.0, -2.0, -2.0, -2.0]), longs], ignore_index=True),
    )
    balanced, report = add_residuals(net, leverage=10.0)
    assert check_network(balanced) == []
    assert report[["trader", "asset", "quantity"]].to_numpy().tolist() == [
        ["residual@Binance", "BTC", -0.5],
        ["residual@Binance", "ETH", -6.0],
    ]
    # BTC at 101, the price at Bybit: a tenth of 50.5, and 0.5 for the gap. ETH: 1.1 times the fifth that its bracket asks.
    assert report["collateral"].tolist() == pytest.approx([5.05 + 0.5, 1.1 * 60 / 5])
    assert balanced.count("trader") == net.count("trader") + 1
    assert balanced.numbers("collateral", "quantity")[-1] == math.fsum(report["collateral"])

"""The market of 10 October 2025: margins met to the lot, size and seed change who has what and nothing else, nobody starts in breach."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphs
from graphs.checks import check_network
from graphs.oct2025 import AssumptionError, SizeError, assumption_table, build_oct2025, facts
from graphs.oct2025.facts import Assumptions
from graphs.oct2025.strata import apportion, position_lots

if TYPE_CHECKING:
    from graphs.errors import GraphError
    from graphs.network import Network

DATA = Path(graphs.__file__).parent / "data" / "oct2025"
ALPHA = 0.78  # Hill index of 19,337 deleveraged winners at Hyperliquid, 10 October 2025


@pytest.fixture(scope="module")
def small() -> Network:
    return build_oct2025(accounts=1_000)


@pytest.fixture(scope="module")
def middle() -> Network:
    return build_oct2025(accounts=60_000)


def positions(net: Network) -> pd.DataFrame:
    frame = net.frame("margin")
    price = net.frame("market").query("instrument == 'perp'").set_index(["exchange", "asset"])["price"]
    frame["price"] = price.reindex(pd.MultiIndex.from_frame(frame[["exchange", "asset"]])).to_numpy()
    frame["notional"] = frame["quantity"].abs() * frame["price"]
    frame["account"] = frame["owner"] + "|" + frame["exchange"] + np.where(frame["mode"] == "isolated", "|" + frame["asset"], "")
    return frame


def accounts_of(net: Network) -> pd.DataFrame:
    """Value every account from the tables alone, by the formulas of the model and in plain loops over contracts."""
    held, tiers, coins = positions(net), net.frame("margin_tier"), net.frame("collateral")
    held["maintenance"], held["initial"] = np.nan, np.nan
    for (exchange, asset), table in tiers.groupby(["exchange", "asset"]):
        rows = held.index[(held["exchange"] == exchange) & (held["asset"] == asset)]
        floor, rate, most = (table[name].to_numpy() for name in ("floor", "maintenance_rate", "max_leverage"))
        deduction = [0.0]
        for n in range(1, floor.size):
            deduction.append(floor[n] * (rate[n] - rate[n - 1]) + deduction[-1])
        notional = held.loc[rows, "notional"].to_numpy()
        bracket = (notional[:, None] >= floor[None, :]).sum(axis=1) - 1
        held.loc[rows, "maintenance"] = notional * rate[bracket] - np.array(deduction)[bracket]
        held.loc[rows, "initial"] = notional / most[bracket]
    held["profit"] = held["quantity"] * (held["price"] - held["entry_price"])
    spot = net.frame("market").query("instrument == 'spot'").set_index(["exchange", "asset"])
    at = pd.MultiIndex.from_frame(coins[["exchange", "asset"]])
    usd = coins["asset"] == "USD"
    price = np.where(usd, 1.0, spot["price"].reindex(at).to_numpy())
    haircut = np.where(usd, 0.0, spot["collateral_haircut"].reindex(at).to_numpy())
    coins["account"] = coins["owner"] + "|" + coins["exchange"]
    coins["value"], coins["margin"] = coins["quantity"] * price, coins["quantity"] * price * (1 - haircut)
    held["own"] = held["isolated_margin"]
    table = held.groupby("account")[["notional", "maintenance", "initial", "profit", "own"]].sum()
    table = table.join(coins.groupby("account")[["value", "margin"]].sum()).fillna({"value": 0.0, "margin": 0.0})
    table["equity"] = table["value"] + table["own"] + table["profit"]
    table["balance"] = table["margin"] + table["own"] + table["profit"]
    table["exchange"] = [name.split("|")[1] for name in table.index]
    return table


def cells(net: Network, side: int) -> dict[tuple[str, str], float]:
    frame = net.frame("margin")
    frame = frame[np.sign(frame["quantity"]) == side]
    return {key: math.fsum(part.abs()) for key, part in frame.groupby(["exchange", "asset"])["quantity"]}


def test_open_interest_is_the_same_at_every_size_and_seed(small: Network, middle: Network) -> None:
    other = build_oct2025(accounts=7_321, seed=1)
    reference = cells(small, 1)
    assert len(reference) == 7 * 24
    assert cells(small, -1) == reference
    for net in (middle, other):
        assert cells(net, 1) == reference
        assert cells(net, -1) == reference


def test_sums_are_exact_in_any_order(middle: Network) -> None:
    frame = middle.frame("margin")
    backwards = frame.iloc[::-1].groupby(["exchange", "asset"])["quantity"].sum()
    assert (frame.groupby(["exchange", "asset"])["quantity"].sum() == 0.0).all()
    assert (backwards == 0.0).all()


def test_published_open_interest(small: Network) -> None:
    held = positions(small).query("quantity > 0")
    by_exchange, total = held.groupby("exchange")["notional"].sum(), held["notional"].sum()
    assert total == pytest.approx(217e9, rel=1e-9)  # CoinDesk Data, all perpetuals
    assert by_exchange["Hyperliquid"] == pytest.approx(14e9, rel=1e-9)  # CoinDesk Data
    binance = held[(held["exchange"] == "Binance") & (held["asset"] == "BTC")]
    assert binance["notional"].sum() == pytest.approx(16e9, rel=1e-9)  # CoinDesk
    # 560,000 coins are published with CME, which is no perpetual exchange.
    coins = held.loc[held["asset"] == "BTC", "quantity"].sum()
    assert coins + Assumptions().number("cme.BTC") == pytest.approx(560_000, rel=1e-9)
    # "More than one third in altcoins" at Hyperliquid (The Block).
    own = held[held["exchange"] == "Hyperliquid"]
    assert own.loc[~own["asset"].isin(["BTC", "ETH", "SOL"]), "notional"].sum() > 14e9 / 3


def test_number_of_client_accounts(small: Network, middle: Network) -> None:
    for net, wanted in ((small, 1_000), (middle, 60_000)):
        ids = pd.Series(net.node_ids("trader"))
        clients = ids[ids.str.contains(r"-\d{8}$")]
        assert len(clients) == wanted
        # Each has an account, and each account of a client is at one exchange.
        held = net.frame("margin")
        held = held[held["owner"].isin(set(clients))]
        assert held["owner"].nunique() == wanted
        assert len(held[["owner", "exchange"]].drop_duplicates()) == wanted
        assert not held.duplicated(["owner", "asset"]).any()


def test_same_seed_same_bytes(small: Network) -> None:
    assert build_oct2025(accounts=1_000).equals(small)
    other = build_oct2025(accounts=1_000, seed=7)
    assert not other.equals(small)


@pytest.mark.parametrize("accounts", [1_000, 2_500, 10_000])
def test_nobody_starts_in_breach(accounts: int) -> None:
    net = build_oct2025(accounts=accounts, seed=accounts)
    assert check_network(net) == []
    table = accounts_of(net)
    assert (table["balance"] > table["maintenance"]).all()
    assert (table["balance"] >= table["initial"]).all()
    assert (table["equity"] > 0).all()
    assert (net.frame("collateral")["quantity"] >= 0).all()


@pytest.mark.parametrize("fixture", ["small", "middle"])
def test_leverage_of_hyperliquid_is_as_published(fixture: str, request: pytest.FixtureRequest) -> None:
    table = accounts_of(request.getfixturevalue(fixture)).query("exchange == 'Hyperliquid'")
    leverage = table["notional"] / table["equity"]
    share = table["notional"].groupby(pd.cut(leverage, [0, 3, 7, np.inf]), observed=False).sum() / table["notional"].sum()
    # 15 December 2025, both sides: 36, 49 and 15 %.
    assert share.to_numpy() == pytest.approx([0.36, 0.49, 0.15], abs=0.01)


def test_published_brackets_are_kept_where_accounts_are_people(small: Network, middle: Network) -> None:
    with (DATA / "margin_tiers.csv").open(encoding="utf-8") as file:
        published = {
            (row["exchange"], row["asset"], float(row["floor"])): (float(row["maintenance_rate"]), float(row["max_leverage"]))
            for row in csv.DictReader(file)
        }
    rows = {
        (row.exchange, row.asset, row.floor): (row.maintenance_rate, row.max_leverage) for row in middle.frame("margin_tier").itertuples()
    }
    assert all(rows[key] == value for key, value in published.items())
    # With few accounts the floors are larger by a power of two, the rates are not touched.
    few, many = (net.frame("margin_tier") for net in (small, middle))
    assert (few["maintenance_rate"] == many["maintenance_rate"]).all()
    scale = few["floor"][many["floor"] > 0] / many["floor"][many["floor"] > 0]
    assert (np.log2(scale) % 1 == 0).all()
    assert scale.max() > 1


@given(st.integers(1, 400), st.floats(1e-6, 0.9), st.integers(0, 10**12))
def test_sizes_of_a_stratum_follow_the_law_and_sum_to_the_lot(count: int, ratio: float, extra: int) -> None:
    lots = position_lots(count + extra, count, ratio, 1.0, ALPHA)
    assert lots.sum() == count + extra
    assert lots.min() >= 1
    assert (np.diff(lots) >= -1).all()  # smallest first; rounding in the running sum can turn neighbours by one


def test_sizes_have_the_tail_index_that_is_published() -> None:
    # Where the law is cut far above the sizes looked at, P(X > x) falls as x^-α.
    lots = position_lots(10**13, 200_000, 1.0, 1e9, ALPHA).astype(float)
    large, larger = np.quantile(lots, [0.5, 0.99])
    slope = math.log((lots > larger).mean() / (lots > large).mean()) / math.log(larger / large)
    assert -slope == pytest.approx(ALPHA, abs=0.01)


@given(st.integers(0, 10**6), st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=30))
def test_apportioned_numbers_are_within_one_of_their_share(total: int, weights: list[float]) -> None:
    shares = np.array(weights) / sum(weights) * total
    parts = apportion(total, np.array(weights))
    assert parts.sum() == total
    assert (np.abs(parts - shares) < 1 + 1e-6).all()


def test_collateral_of_binance(middle: Network) -> None:
    coins, market = middle.frame("collateral"), middle.frame("market")
    clients = coins[coins["owner"].str.startswith("Binance-")]
    price = market.query("exchange == 'Binance' and instrument == 'spot'").set_index("asset")["price"]
    value = (clients["quantity"] * clients["asset"].map(price).fillna(1.0)).groupby(clients["asset"]).sum()
    table = accounts_of(middle)
    margin = table.loc[table.index.str.startswith("Binance-"), "equity"].sum()
    for coin in ("USDe", "WBETH", "BNSOL", "BTC", "ETH", "SOL"):
        assert value[coin] / margin == pytest.approx(Assumptions().number(f"collateral.Binance.{coin}"), rel=1e-3)
    books = market[market["asset"].isin(["WBETH", "BNSOL"])]
    assert set(zip(books["exchange"], books["instrument"], strict=True)) == {("Binance", "spot")}
    rules = middle.frame("exchange").set_index("id")
    assert rules.loc["Binance", "collateral_oracle"] == "internal"
    assert rules.loc["Binance", "insurance_fund"] == 1.23e9  # Binance, before the day


def test_hyperliquid_is_as_published(middle: Network) -> None:
    rules = middle.frame("exchange").set_index("id").loc["Hyperliquid"]
    assert rules["backstop"] == pytest.approx(2 / 3)
    assert (rules["liquidation"], rules["slice_fraction"], rules["slice_above"]) == ("slice", 0.2, 100_000)
    assert (rules["loss_rule"], rules["adl_form"], rules["adl_price"]) == ("adl", "position", "previous_mark")
    coins = middle.frame("collateral").set_index("owner")
    # Liquidator and Liquidator 2 before the day: 599,991.58 and 7,500,000.00 USD.
    assert coins.loc[rules["vault"], "quantity"] == pytest.approx(8_099_991.58)
    tiers = middle.frame("margin_tier").query("exchange == 'Hyperliquid'")
    first = tiers.groupby("asset").first()
    assert (first["maintenance_rate"] * 2 * first["max_leverage"]).to_numpy() == pytest.approx(np.ones(24), rel=1e-8)


def test_issuer_is_solvent_and_hedged(middle: Network) -> None:
    coin = middle.frame("stablecoin").set_index("id").loc["USDe"]
    assert (coin["supply"], coin["design"]) == (14.8e9, "delta_neutral")
    price = middle.frame("asset").set_index("id")["price"]
    backing, posted = (middle.frame(kind) for kind in ("backing", "collateral"))
    posted = posted[posted["owner"] == "USDe"]
    spot = pd.concat([backing[["asset", "quantity"]], posted[["asset", "quantity"]]])
    usd = spot["asset"] == "USD"
    assert spot.loc[usd, "quantity"].sum() == pytest.approx(5.0e9 + 0.004 * 14.8e9)
    held = spot[~usd].groupby("asset")["quantity"].sum()
    short = middle.frame("margin").query("owner == 'USDe'").groupby("asset")["quantity"].sum()
    assert (held + short == 0.0).all()
    assert spot.loc[usd, "quantity"].sum() + (held * price).sum() == pytest.approx(14.8e9 * 1.004, rel=1e-6)
    holders = middle.frame("holding").query("asset == 'USDe'")["quantity"].sum()
    collateral = middle.frame("collateral").query("asset == 'USDe'")["quantity"].sum()
    assert holders + collateral == pytest.approx(14.8e9, rel=1e-12)


def test_stops_are_stronger_in_altcoins_and_lie_on_the_right_side(middle: Network) -> None:
    held = positions(middle)
    held = held[held["owner"].str.contains(r"-(?:low|mid|high)-\d")]
    longs = held[held["quantity"] > 0]
    alt = ~longs["asset"].isin(["BTC", "ETH", "SOL"])
    share = longs["notional"].where(longs["stop_price"].notna(), 0.0).groupby(alt).sum() / longs["notional"].groupby(alt).sum()
    btc = longs[longs["asset"] == "BTC"]
    assert share[True] > share[False] > btc.loc[btc["stop_price"].notna(), "notional"].sum() / btc["notional"].sum() > 0.05
    stops, profits = held[held["stop_price"].notna()], held[held["take_profit"].notna()]
    assert (np.sign(stops["stop_price"] - stops["price"]) == -np.sign(stops["quantity"])).all()
    assert (np.sign(profits["take_profit"] - profits["price"]) == np.sign(profits["quantity"])).all()
    # A stop closes before the margin is gone.
    table = accounts_of(middle)
    leverage = (table["notional"] / table["equity"]).reindex(stops["account"]).to_numpy()
    assert ((stops["stop_price"] / stops["price"] - 1).abs() * leverage < 1).all()


def test_seed_and_size_leave_the_distributions_alone(middle: Network) -> None:
    def summary(net: Network) -> np.ndarray[Any, Any]:
        table = accounts_of(net)
        table = table[table.index.str.contains(r"-\d{8}\|")]
        leverage = table["notional"] / table["equity"]
        bins = pd.cut(leverage, [0, 1.2, 2, 3, 5, 7, 12, np.inf])
        return (table["notional"].groupby(bins, observed=False).sum() / table["notional"].sum()).to_numpy()

    # Free draws with this tail would differ by tens of per cent of the total.
    assert summary(build_oct2025(accounts=60_000, seed=1)) == pytest.approx(summary(middle), abs=0.02)
    assert summary(build_oct2025(accounts=6_000)) == pytest.approx(summary(middle), abs=0.04)


def test_tables_of_facts_are_complete() -> None:
    table = facts()
    assert list(table.columns) == ["key", "what", "value", "low", "high", "unit", "source", "grade", "status", "note"]
    assert table["key"].is_unique
    assert set(table["status"]) == {"fitted", "predicted", "imposed"}
    assert set(table["grade"]) <= {"A", "B", "C"}
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert not (table[["what", "unit", "source"]] == "").any().any()
    for path in sorted(DATA.glob("*.csv")):
        rows = pd.read_csv(path, keep_default_na=False, dtype=str)
        assert len(rows), path.name
        if path.name != "assumptions.csv":
            assert (rows["source"] != "").all(), path.name
            assert set(rows["grade"]) <= {"A", "B", "C", "-"}, path.name


def test_targets_agree_with_the_prices_that_the_network_starts_from(small: Network) -> None:
    start = small.frame("asset").set_index("id")["price"]
    table = facts().set_index("key")["value"]
    # Lows of the day on Binance spot.
    for asset, low in (("BTC", 102_000), ("ETH", 3_435), ("SOL", 168.79)):
        assert table[f"fall.{asset}@Binance"] == pytest.approx(low / start[asset] - 1, abs=1e-4)
    lows = pd.read_csv(DATA / "prices.csv").query("asset == 'XRP' or `class` == 'alt'").dropna(subset=["low"])
    fall = (lows["low"] / start[lows["asset"]].to_numpy() - 1).median()
    assert fall == pytest.approx(table["fall.altcoin_median@Binance"], abs=0.01)


def test_every_assumption_has_a_reason_and_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    table = assumption_table()
    assert (table["why"].str.len() > 5).all()
    numbers = table[table["value"].map(lambda value: not isinstance(value, str))]
    assert (numbers["low"] <= numbers["value"]).all()
    assert (numbers["value"] <= numbers["high"]).all()
    read: set[str] = set()
    get = Assumptions.__getitem__

    def spy(self: Assumptions, name: str) -> Any:  # noqa: ANN401 - as the method it stands for
        read.add(name)
        return get(self, name)

    monkeypatch.setattr(Assumptions, "__getitem__", spy)
    build_oct2025(accounts=1_000)
    assert set(table["name"]) - read == set()


def test_an_assumption_can_be_replaced() -> None:
    net = build_oct2025(accounts=1_000, assumptions={"oi.Bybit": 20e9, "liquidation.OKX": "full", "depth.WBETH": 5e6})
    held = positions(net).query("quantity > 0").groupby("exchange")["notional"].sum()
    assert held["Bybit"] == pytest.approx(20e9, rel=1e-9)
    assert held.sum() == pytest.approx(217e9, rel=1e-9)
    assert net.frame("exchange").set_index("id").loc["OKX", "liquidation"] == "full"
    assert net.frame("market").query("asset == 'WBETH'")["depth"].tolist() == [5e6]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"accounts": 999}, SizeError, ["999", "1,000", "10,000,000"]),
        ({"accounts": 10_000_001}, SizeError, ["10000001"]),
        ({"accounts": 2e3}, SizeError, ["2000.0", "whole number"]),
        ({"seed": -1}, SizeError, ["-1", "at least 0"]),
        ({"assumptions": {"oi.Bybitt": 1.0, "depth_spot": "deep"}}, AssumptionError, ["oi.Bybitt", "oi.Bybit", "depth_spot", "'deep'"]),
        ({"assumptions": {"liquidation.OKX": 1.0}}, AssumptionError, ["liquidation.OKX", "not a word"]),
        ({"assumptions": {"depth_spot": math.nan}}, AssumptionError, ["depth_spot", "finite"]),
        ({"assumptions": {"oi.Binance": 200e9}}, AssumptionError, ["exchanges", "lower an oi assumption"]),
        ({"assumptions": {"makers.short_share": 1.0}}, AssumptionError, ["short more", "makers.short_share"]),
        ({"assumptions": {"leverage.long_high": 0.5}}, AssumptionError, ["short side", "leverage"]),
        ({"assumptions": {"portfolio.positions": 1.0}}, AssumptionError, ["1000 positions", "portfolio.positions"]),
        ({"assumptions": {"tiers_like.WIF": "LTC"}}, AssumptionError, ["tiers_like.WIF", "LTC"]),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, Any], error: type[GraphError], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        build_oct2025(**({"accounts": 1_000} | options))
    assert all(word in str(caught.value) for word in words)


@pytest.mark.slow
def test_a_million_accounts() -> None:
    net = build_oct2025(accounts=1_000_000)
    assert cells(net, 1) == cells(build_oct2025(accounts=1_000), 1)
    assert (net.frame("margin").groupby(["exchange", "asset"])["quantity"].sum() == 0.0).all()

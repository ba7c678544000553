"""Checks: a sound network passes, each way of being wrong is found where it is, all of it, and nothing is repaired."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.checks import CHECKS, check_network, ids, require_valid
from graphs.checks.view import _first_positions, repeated
from graphs.errors import CheckError, GraphError
from graphs.network import Network
from graphs.schema import TABLES, USD
from tests.graphs.samples import NAN, any_networks, frames, linked_networks, put, sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

INF = float("inf")


def drop(kind: str, *rows: int) -> dict[str, pd.DataFrame]:
    return {kind: frames()[kind].drop(index=[row - 1 for row in rows])}


def without(kind: str) -> Network:
    return sound().with_tables(**{kind: None})


def infinite(kind: str, column: str, *cells: float) -> Network:
    """Arrow keeps NaN apart from an empty cell; pandas does not."""
    net = sound()
    table = net.tables[kind]
    return net.with_tables(**{kind: table.set_column(table.column_names.index(column), column, pa.array(cells, pa.float64()))})


def tier(row: int, **cells: object) -> Network:
    return sound(**put("margin_tier", row, **cells))


def empty(kind: str) -> Network:
    return sound(**{kind: frames()[kind].iloc[:0]})


# name of the check: networks, and the (table, row, column, value, remedy) that it must find; the last two are parts of the text
CASES: dict[str, list[tuple[Callable[[], Network], list[tuple[str, int, str, str, str]]]]] = {
    "empty_table": [(lambda: empty("arbitrage"), [("arbitrage", 0, "", "no rows", "remove the table")])],
    "missing_cell": [
        (lambda: sound(**put("margin", 2, quantity=None)), [("margin", 2, "quantity", "empty", "write it: signed size")]),
        (lambda: sound(**put("trader", 3, id="")), [("trader", 3, "id", "empty", "write it")]),
        (lambda: sound(asset=frames()["asset"][["id"]]), [("asset", 0, "price", "empty in every row", "add the column")]),
    ],
    "not_finite": [
        (
            lambda: infinite("margin", "quantity", NAN, 1.0, INF, -2.0, -INF),
            [("margin", row, "quantity", value, "write a finite number") for row, value in ((1, "nan"), (3, "inf"), (5, "-inf"))],
        ),
        (lambda: infinite("trader", "cash", 1.0, NAN, 0.0), [("trader", 2, "cash", "nan", "or leave the cell empty")]),
    ],
    "out_of_bounds": [
        (lambda: sound(**put("market", 2, depth=-5.0)), [("market", 2, "depth", "-5.0", "write a number above 0")]),
        (lambda: sound(**put("market", 2, depth=0.0)), [("market", 2, "depth", "0.0", "write a number above 0")]),
        (
            lambda: sound(**put("market", 5, collateral_haircut=1.2)),
            [("market", 5, "collateral_haircut", "1.2", "of at least 0 and at most 1")],
        ),
        (
            lambda: sound(**put("market", 1, collateral_haircut=-0.1)),
            [("market", 1, "collateral_haircut", "-0.1", "of at least 0 and at most 1")],
        ),
        (lambda: sound(**put("margin", 3, entry_price=0.0)), [("margin", 3, "entry_price", "0.0", "above 0")]),
        (lambda: sound(**put("credit", 1, seniority=0)), [("credit", 1, "seniority", "0", "of at least 1")]),
        (lambda: sound(**put("margin", 1, order=-1)), [("margin", 1, "order", "-1", "of at least 0")]),
        (lambda: sound(**put("backing", 2, quantity=-1.0)), [("backing", 2, "quantity", "-1.0", "of at least 0")]),
    ],
    "unknown_choice": [
        (lambda: sound(**put("market", 1, instrument="swap")), [("market", 1, "instrument", "'swap'", "use one of spot, perp")]),
        (lambda: sound(**put("trader", 2, role="Fund")), [("trader", 2, "role", "'Fund'", "did you mean 'fund'?")]),
    ],
    "reserved_id": [(lambda: sound(**put("asset", 2, id=USD)), [("asset", 2, "id", "'USD'", "remove the row")])],
    "duplicate_id": [
        (lambda: sound(**put("trader", 4, id="ann")), [("trader", 4, "id", "'ann'", "row 1 of table trader has the id too")]),
        (lambda: sound(**put("stablecoin", 1, id="Bybit")), [("exchange", 2, "id", "'Bybit'", "row 1 of table stablecoin has the id too")]),
    ],
    "unknown_id": [
        (lambda: sound(**put("margin", 3, owner="bbob")), [("margin", 3, "owner", "'bbob'", "did you mean 'bob'?")]),
        (
            lambda: sound(**put("collateral", 2, exchange="binance")),
            [("collateral", 2, "exchange", "'binance'", "did you mean 'Binance'?")],
        ),
        (lambda: sound(**put("margin", 3, owner="Zed")), [("margin", 3, "owner", "'Zed'", "add it to table trader or stablecoin")]),
        (
            lambda: sound(**put("margin", 3, owner="Bybit")),
            [("margin", 3, "owner", "'Bybit'", "name a trader or stablecoin: that is an exchange")],
        ),
        (lambda: sound(**put("exchange", 2, vault="BTC")), [("exchange", 2, "vault", "'BTC'", "name a trader: that is an asset")]),
        (lambda: sound(**put("holding", 1, asset=USD)), [("holding", 1, "asset", "'USD'", "cash of a trader")]),
        (lambda: sound(**put("margin", 3, asset=USD)), [("margin", 3, "asset", "'USD'", "name an asset or stablecoin")]),
        (lambda: sound(**put("backing", 2, custodian="Binanc")), [("backing", 2, "custodian", "'Binanc'", "did you mean 'Binance'?")]),
        (lambda: without("trader"), [("arbitrage", 0, "trader", "the network has no trader", "add the table trader")]),
    ],
    "duplicate_key": [
        (
            lambda: sound(**put("margin", 6)),
            [("margin", 6, "owner", "'bob', 'ETH', 'Bybit', 'cross'", "row 5 has the same owner, asset, exchange, mode")],
        ),
        (lambda: sound(**put("margin", 4, owner="ann", mode="isolated")), [("margin", 4, "owner", "'ann'", "row 2 has")]),
        (lambda: sound(**put("margin_tier", 2, floor=0.0)), [("margin_tier", 2, "exchange", "'Binance', 'BTC', 0.0", "row 1 has")]),
        (lambda: sound(**put("credit", 2, seniority=1)), [("credit", 2, "debtor", "'ann', 'bob', 1", "row 1 has")]),
    ],
    "self_edge": [
        (lambda: sound(**put("credit", 1, creditor="ann")), [("credit", 1, "creditor", "'ann'", "two different nodes")]),
        (lambda: sound(**put("backing", 1, asset="USDe")), [("backing", 1, "asset", "'USDe'", "back the coin with another")]),
    ],
    "missing_market": [
        (lambda: sound(**drop("market", 5)), [("margin", 5, "exchange", "no market of ETH at Bybit", "add the market")]),
        (lambda: sound(**drop("market", 4)), [("collateral", 3, "exchange", "no market of USDe at Binance", "add the market")]),
        (lambda: sound(**drop("market", 2)), [("backing", 2, "custodian", "no spot market of BTC at Binance", "add the market")]),
        (
            lambda: sound(**put("liquidity", 2, exchange="Bybit", instrument="spot")),
            [("liquidity", 2, "exchange", "no spot market of BTC at Bybit", "add the market")],
        ),
    ],
    "missing_tiers": [
        (lambda: sound(**drop("margin_tier", 1, 2)), [("market", 1, "asset", "no maintenance brackets of BTC at Binance", "from floor 0")]),
    ],
    "unbalanced": [
        (
            lambda: sound(**put("margin", 1, quantity=3.5)),
            [("margin", 0, "quantity", "perp of BTC at Binance sums to 0.5, of 8.5 in all", "residual")],
        ),
    ],
    "shares_above_one": [
        (
            lambda: sound(**put("liquidity", 2, share=0.41)),
            [("liquidity", row, "share", "of 1.01 in all, on the perp market of BTC at Binance", "at most 1") for row in (1, 2)],
        ),
    ],
    "index_without_weight": [
        (
            lambda: sound(market=frames()["market"].assign(index_weight=[0.0, 1.0, 0.0, 1.0, 1.0])),
            [("market", row, "index_weight", "0.0", "give one perp market") for row in (1, 3)],
        ),
    ],
    "negative_collateral": [
        (lambda: sound(**put("collateral", 3, quantity=-1.0)), [("collateral", 3, "quantity", "-1.0", "only USD can be owed")])
    ],
    "isolated_margin_of_cross": [
        (lambda: sound(**put("margin", 4, isolated_margin=5.0)), [("margin", 4, "isolated_margin", "5.0", "set mode")])
    ],
    "leverage_target_above_limit": [
        (lambda: sound(**put("trader", 1, leverage_target=6.0)), [("trader", 1, "leverage_target", "6.0", "at most")])
    ],
    "backstop_without_vault": [(lambda: sound(**put("exchange", 1, vault=None)), [("exchange", 1, "backstop", "0.5", "name the vault")])],
    "bracket_gap": [(lambda: tier(1, floor=10.0), [("margin_tier", 1, "floor", "10.0", "begin the schedule at floor 0")])],
    "bracket_rate_falls": [
        (lambda: tier(2, maintenance_rate=0.005), [("margin_tier", 2, "maintenance_rate", "0.005", "at least that of")])
    ],
    "bracket_leverage_rises": [(lambda: tier(1, max_leverage=10.0), [("margin_tier", 2, "max_leverage", "20.0", "at most that of")])],
    "initial_below_maintenance": [
        (lambda: tier(3, max_leverage=101.0), [("margin_tier", 3, "max_leverage", "101.0", "at most 1 / maintenance")])
    ],
}


def test_a_sound_network_has_no_findings() -> None:
    assert check_network(sound()) == []
    require_valid(sound())


def test_every_check_has_a_case() -> None:
    assert set(CASES) == set(CHECKS)


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    for make, expected in CASES[name]:
        net = make()
        found = [finding for finding in check_network(net) if finding.check == name]
        if name == "unknown_id" and net.count("trader") == 0:
            found = [finding for finding in found if finding.table == "arbitrage"]
        assert [(finding.table, finding.row, finding.column) for finding in found] == [place[:3] for place in expected]
        for finding, (*_, value, remedy) in zip(found, expected, strict=True):
            assert value in finding.value
            assert remedy in finding.remedy
        with pytest.raises(CheckError):
            require_valid(net)
        assert check_network(net, only=[name], complete=False) == ([] if CHECKS[name].whole else check_network(net, only=[name]))


def test_an_unknown_name_of_a_check_is_refused() -> None:
    with pytest.raises(GraphError, match="no check 'unbalancd'; did you mean 'unbalanced'"):
        check_network(sound(), only=["unbalancd"])


def test_only_what_a_run_needs_is_left_out_of_an_incomplete_network() -> None:
    assert {name for name, check in CHECKS.items() if check.whole} == {"missing_market", "missing_tiers", "unbalanced"}


def test_every_bad_row_is_listed() -> None:
    wrong = frames()["margin"].assign(owner=["x", "ann", "y", "z", "x"], entry_price=[0.0, 1.0, -1.0, 1.0, 0.0])
    found = check_network(sound(margin=wrong))
    assert [finding.row for finding in found if finding.check == "unknown_id"] == [1, 3, 4, 5]
    assert [finding.row for finding in found if finding.check == "out_of_bounds"] == [1, 3, 5]
    with pytest.raises(CheckError, match=rf"and {len(found) - 1} more") as caught:
        require_valid(sound(margin=wrong))
    assert list(caught.value.findings) == found


def test_a_finding_reads_as_a_sentence() -> None:
    (finding,) = check_network(sound(**put("collateral", 1, asset="BTCC")), only=["unknown_id"])
    assert str(finding) == "table collateral, row 1, column asset: 'BTCC'; did you mean 'BTC'?"


@settings(max_examples=40)
@given(any_networks())
def test_checks_answer_whatever_the_cells(net: Network) -> None:
    for finding in check_network(net):
        assert finding.check in CHECKS
        assert finding.table in net.tables
        assert finding.row <= net.count(finding.table)
        assert finding.column in {"", *TABLES[finding.table].by_name}
        assert finding.value
        assert finding.remedy


@settings(max_examples=40)
@given(linked_networks())
def test_linked_networks_are_linked(net: Network) -> None:
    only = ["missing_cell", "reserved_id", "duplicate_id", "unknown_id", "duplicate_key"]
    assert check_network(net, only=only) == []


@settings(max_examples=40)
@given(any_networks(), st.randoms())
def test_the_order_of_rows_does_not_matter(net: Network, random: Random) -> None:
    def count(network: Network) -> dict[tuple[str, str, str], int]:
        counts: dict[tuple[str, str, str], int] = {}
        for finding in check_network(network):
            place = (finding.check, finding.table, finding.column)
            counts[place] = counts.get(place, 0) + 1
        return counts

    orders = {kind: pa.array(random.sample(range(table.num_rows), table.num_rows), pa.int64()) for kind, table in net.tables.items()}
    shuffled = {kind: table.take(orders[kind]) for kind, table in net.tables.items()}
    assert count(net.with_tables(**shuffled)) == count(net)


@given(st.lists(st.integers(0, 6), max_size=20))
def test_repeated_keys_are_those_an_earlier_row_has(keys: list[int]) -> None:
    rows, first = repeated(np.array(keys, dtype=np.int64))
    assert [(row, keys.index(key)) for row, key in enumerate(keys) if keys.index(key) != row] == list(
        zip(rows.tolist(), first.tolist(), strict=True)
    )


@given(st.lists(st.none() | st.sampled_from("abcdef"), max_size=12), st.integers(1, 12))
def test_words_are_found_at_their_first_place_among_the_known(words: list[str | None], known: int) -> None:
    known = min(known, len(words) + 1)
    words.insert(known - 1, USD)
    found = _first_positions(pa.chunked_array([pa.array(words[:3], pa.string()), pa.array(words[3:], pa.string())]), known)
    assert found.tolist() == [words[:known].index(word) if word and word in words[:known] else -1 for word in words]


@pytest.mark.parametrize("largest", [2**62, 10])
def test_keys_of_more_columns_than_one_number_holds_are_told_apart(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    monkeypatch.setattr(ids, "_LARGEST_KEY", largest)
    floors = np.arange(3000) / 7
    tiers = pd.DataFrame({"exchange": "Binance", "asset": "BTC", "floor": floors, "maintenance_rate": 0.01, "max_leverage": 50.0})
    tiers.loc[2999, "floor"] = floors[17]
    (finding,) = check_network(sound(margin_tier=tiers), only=["duplicate_key"])
    assert (finding.row, finding.remedy) == (3000, "merge the two, or remove one: row 18 has the same exchange, asset, floor")


def test_a_suggestion_is_found_among_many() -> None:
    accounts = [f"account{number}" for number in range(20_000)]
    net = Network.from_frames(
        name="many",
        trader=pd.DataFrame({"id": [*accounts, "lender"]}),
        credit=pd.DataFrame({"debtor": ["account7", "Lender"], "creditor": ["lendr", "account8"], "amount": [1.0, 2.0]}),
    )
    assert [finding.remedy for finding in check_network(net)] == ["did you mean 'lender'?"] * 2


def many(rows: int) -> Network:
    """One market, half of the accounts long and half short."""
    random = np.random.default_rng(5)
    quantity = random.integers(1, 1000, rows // 2) / 8
    owners = pa.array(np.char.add("t", np.arange(rows).astype(str)))
    one = pa.array(np.zeros(rows, dtype=np.int32))
    word = {"asset": "BTC", "exchange": "Binance"}
    encoded = {name: pa.DictionaryArray.from_arrays(one, [value]) for name, value in word.items()}
    margin = pa.table({"owner": owners, **encoded, "quantity": np.concatenate([quantity, -quantity]), "entry_price": np.full(rows, 100.0)})
    net = sound().with_tables(collateral=None, holding=None, backing=None, credit=None, liquidity=None, arbitrage=None)
    return net.with_tables(trader=pa.table({"id": [*owners.to_pylist(), "vault"]}), margin=margin)


@pytest.mark.parametrize(("rows", "seconds"), [(300_000, 10.0), pytest.param(10_000_000, 60.0, marks=pytest.mark.slow)])
def test_many_rows_are_checked_in_seconds(rows: int, seconds: float) -> None:
    net = many(rows)
    start = time.perf_counter()
    assert check_network(net) == []
    assert time.perf_counter() - start < seconds

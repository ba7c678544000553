"""Random networks: sound, balanced, at rest, the same for the same seed, and with every rule somewhere."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.checks import check_network
from graphs.errors import GraphError
from graphs.generate import CLOSEST, random_network, rename_network, shuffle_network
from graphs.generate.network import GAP
from graphs.schema import EXCHANGE, NODES, TABLES, USD
from tests.graphs.ledger import Ledger, rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from graphs.network import Network

RULES = ("all", "plain", "longs")


def networks(*rules: str) -> st.SearchStrategy[Network]:
    return st.builds(
        random_network,
        seed=st.integers(0, 2**64),
        traders=st.integers(1, 40),
        exchanges=st.integers(1, 5),
        assets=st.integers(1, 4),
        stablecoins=st.integers(0, 5),
        rules=st.sampled_from(rules or RULES),
    )


def digest(net: Network) -> str:
    """Hash of every table as it is stored, column types and encodings included."""
    sink = pa.BufferOutputStream()
    for table in net.tables.values():
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return hashlib.sha256(net.name.encode() + sink.getvalue()).hexdigest()


@given(net=networks())
def test_it_is_sound(net: Network) -> None:
    assert check_network(net) == []
    assert all(table.num_rows for table in net.tables.values())


@given(net=networks(), seed=st.integers(0, 2**32))
def test_open_interest_balances_exactly_in_any_order(net: Network, seed: int) -> None:
    perps = {(exchange, coin) for exchange, coin, instrument in rows(net, "market", "exchange asset instrument") if instrument == "perp"}
    sizes: dict[tuple[str, str], list[float]] = {key: [] for key in perps}
    for exchange, coin, quantity in rows(shuffle_network(net, seed), "margin", "exchange asset quantity"):
        if (exchange, coin) in perps:
            sizes[exchange, coin].append(quantity)
    assert any(sizes.values())
    for quantities in sizes.values():
        assert sum(quantities) == 0.0
        assert np.sum(quantities) == 0.0


@given(net=networks())
def test_no_account_is_near_breach(net: Network) -> None:
    ledger = Ledger(net)
    for account in ledger.accounts.values():
        # What a book may be off the price of its coin moves each leg and each coin by that much.
        gaps = GAP * (ledger.notional(account) + sum(quantity * ledger.mark(account.exchange, coin) for coin, quantity in account.coins))
        assert ledger.slack(account) >= CLOSEST * ledger.notional(account) * (1 - 1e-9) - 1.1 * gaps
        assert ledger.slack(account) >= 0.01 * ledger.notional(account)
        assert ledger.equity(account) >= 0


def wealth(net: Network, ledger: Ledger, price: Mapping[str, float]) -> dict[str, float]:
    """What each node has, before its debts to others of the network and what an issuer has in circulation."""
    equity = dict.fromkeys((name for kind in NODES for name in net.node_ids(kind)), 0.0)
    for account in ledger.accounts.values():
        equity[account.owner] += ledger.equity(account)
    for kind in ("holding", "backing"):
        for owner, coin, quantity in rows(net, kind, f"{TABLES[kind].source} asset quantity"):
            equity[owner] += quantity * price[coin]
    for trader, cash, debt in rows(net, "trader", "id cash external_debt"):
        equity[trader] += cash - debt
    for exchange, fund, house in rows(net, "exchange", "id insurance_fund equity"):
        equity[exchange] += fund + house
    for creditor, amount in rows(net, "credit", "creditor amount"):
        equity[creditor] += amount
    return equity


@given(net=networks("all"))
def test_every_node_owns_more_than_it_owes_and_none_is_above_its_leverage(net: Network) -> None:
    ledger = Ledger(net)
    price = {USD: 1.0} | {coin: worth for kind in ("asset", "stablecoin") for coin, worth in rows(net, kind, "id price")}
    owned, owed = wealth(net, ledger, price), Counter[str]()
    for debtor, amount in rows(net, "credit", "debtor amount"):
        owed[debtor] += amount
    for issuer, supply, peg in rows(net, "stablecoin", "id supply peg"):
        owed[issuer] += supply * peg  # so that it is redeemed at the peg
    assert all(worth >= owed[name] * 1.01 for name, worth in owned.items())

    at_risk = Counter[str]()
    for account in ledger.accounts.values():
        at_risk[account.owner] += ledger.notional(account) + sum(quantity * price[coin] for coin, quantity in account.coins)
    for trader, limit, target in rows(net, "trader", "id leverage_limit leverage_target"):
        assert math.isnan(limit) or at_risk[trader] < limit * (owned[trader] - owed[trader])
        assert math.isnan(target) or target <= limit


@given(net=networks("all"))
def test_nothing_trades_before_a_shock(net: Network) -> None:
    arbitraged = {coin for (coin,) in rows(net, "arbitrage", "asset")}
    pegs = dict(rows(net, "stablecoin", "id peg"))
    price = {coin: worth for kind in ("asset", "stablecoin") for coin, worth in rows(net, kind, "id price")}
    for coin, quote in rows(net, "market", "asset price"):
        assert quote == price[coin] or (coin not in arbitraged and abs(quote / price[coin] - 1) <= GAP * 1.001)
        assert coin not in pegs or quote == pegs[coin]
    for coin, quantity, stop, target in rows(net, "margin", "asset quantity stop_price take_profit"):
        way = math.copysign(1.0, quantity)
        assert math.isnan(stop) or way * (price[coin] - stop) > GAP * price[coin]
        assert math.isnan(target) or way * (target - price[coin]) > GAP * price[coin]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_a_shock_of_a_tenth_or_a_fifth_breaches_many_accounts(rules: str, seed: int) -> None:
    net = random_network(seed=seed, traders=300, rules=rules)  # type: ignore[arg-type]
    hit = []
    for size in (0.1, 0.2):
        ledger = Ledger(net, dict.fromkeys(net.node_ids("asset"), 1 - size))
        longs = [
            account
            for account in ledger.accounts.values()
            if sum(quantity * ledger.mark(account.exchange, coin) for coin, quantity, _ in account.positions) > 0
        ]
        hit.append(sum(ledger.slack(account) <= 0 for account in longs) / len(longs))
    assert hit[0] > 0.2
    assert hit[1] > 0.4


def is_used(net: Network, kind: str, name: str) -> bool:
    """Whether a column has a cell that means something else than its default."""
    column = TABLES[kind].by_name[name]
    if column.dtype == "string":
        return bool(set(net.strings(kind, name)) - {column.default or ""})
    cells = net.numbers(kind, name)
    if column.default is None:
        return bool((cells != -1).any() if column.dtype == "int" else (~np.isnan(cells)).any())
    return bool((cells != column.default).any())


def test_every_column_is_used_over_a_few_seeds() -> None:
    nets = [random_network(seed=seed, exchanges=4) for seed in range(8)]
    for kind, table in TABLES.items():
        assert all(net.count(kind) for net in nets), kind
        for column in table.columns:
            assert any(is_used(net, kind, column.name) for net in nets), f"{kind}.{column.name}"


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_four_exchanges_take_every_value_of_every_rule(seed: int) -> None:
    net = random_network(seed=seed, exchanges=4, stablecoins=4)
    for column in EXCHANGE.columns:
        assert set(net.strings("exchange", column.name)) >= set(column.choices) if column.choices else True, column.name
    assert set(net.strings("stablecoin", "design")) == set(TABLES["stablecoin"].by_name["design"].choices)


def test_three_exchanges_take_every_value_over_a_few_seeds() -> None:
    nets = [random_network(seed=seed) for seed in range(12)]
    for column in EXCHANGE.columns:
        assert {value for net in nets for value in net.strings("exchange", column.name)} >= set(column.choices) if column.choices else True
    for name in ("transfers_open", "arbitrage_open"):
        assert {bool(value) for net in nets for value in net.numbers("exchange", name)} == {True, False}


def test_every_mechanism_has_something_to_work_on() -> None:
    loans_of_coins = double_isolated = debts_in_usd = shares_of_makers = 0
    debtors, creditors, seniorities, brackets = set(), set(), set(), set()
    for seed in range(6):
        net = random_network(seed=seed)
        kind_of = {name: kind for kind in NODES for name in net.node_ids(kind)}
        perps = {
            (exchange, coin) for exchange, coin, instrument in rows(net, "market", "exchange asset instrument") if instrument == "perp"
        }
        margin = [*rows(net, "margin", "owner exchange asset quantity mode")]
        hedges = [quantity for owner, *_, quantity, _ in margin if kind_of[owner] == "stablecoin"]
        assert hedges
        assert max(hedges) < 0
        loans_of_coins += sum((exchange, coin) not in perps and quantity < 0 for _, exchange, coin, quantity, _ in margin)
        modes = Counter(row[:3] for row in margin)
        double_isolated += sum(count > 1 for count in modes.values())
        debts_in_usd += sum(quantity < 0 for (quantity,) in rows(net, "collateral", "quantity"))
        debtors |= {kind_of[name] for name in net.strings("credit", "debtor")}
        creditors |= {kind_of[name] for name in net.strings("credit", "creditor")}
        seniorities |= set(net.numbers("credit", "seniority").tolist())
        brackets |= set(Counter(rows(net, "margin_tier", "exchange asset")).values())
        deposits = {(owner, exchange): quantity for owner, exchange, quantity in rows(net, "collateral", "owner exchange quantity")}
        assert all(deposits[vault, exchange] > 0 for exchange, vault in rows(net, "exchange", "id vault"))
        shares_of_makers += net.count("liquidity")
    assert debtors == creditors == {"trader", "stablecoin", "exchange"}
    assert seniorities == brackets == {1, 2, 3}
    assert min(loans_of_coins, double_isolated, debts_in_usd, shares_of_makers) > 0


def test_some_traders_are_doubles_so_that_scores_are_equal() -> None:
    net = random_network(seed=2, traders=200)
    held: dict[str, list[tuple[object, ...]]] = {}
    for owner, *position in rows(net, "margin", "owner exchange asset mode quantity entry_price isolated_margin order"):
        held.setdefault(owner, []).append(tuple(position))
    assert max(Counter(map(tuple, held.values())).values()) > 1


@given(net=networks("longs"))
def test_longs_are_of_the_class_in_which_more_is_never_less(net: Network) -> None:
    assert not {"stablecoin", "holding", "backing", "credit", "liquidity", "arbitrage"} & net.tables.keys()
    assert {owner for owner, quantity in rows(net, "margin", "owner quantity") if quantity < 0} == {"short"}
    assert set(net.strings("collateral", "asset")) == {USD}
    assert set(net.strings("exchange", "liquidation")) == {"full"}
    assert set(net.strings("exchange", "loss_rule")) == {"none"}
    assert set(net.strings("exchange", "tier_form")) == {"marginal"}
    assert set(net.strings("exchange", "vault")) == {""}
    for name in ("top_up", "external_debt"):
        assert not net.numbers("trader", name).any()
    assert np.isnan(net.numbers("trader", "leverage_limit")).all()
    # Its own notional is the most that the short can lose on a rise to twice the price; on a fall it gains.
    ledger = Ledger(net, dict.fromkeys(net.node_ids("asset"), 2.0))
    assert all(ledger.slack(account) > 0 for account in ledger.accounts.values() if account.owner == "short")
    house = dict(rows(net, "exchange", "id equity"))
    for account in ledger.accounts.values():
        assert ledger.notional(account) < house[account.exchange]


@given(net=networks("plain"))
def test_plain_has_both_sides_and_nothing_else(net: Network) -> None:
    assert not {"stablecoin", "holding", "backing", "credit", "liquidity", "arbitrage"} & net.tables.keys()
    assert set(net.strings("collateral", "asset")) == {USD}
    assert set(net.strings("market", "instrument")) == {"perp"}
    assert {math.copysign(1.0, quantity) for (quantity,) in rows(net, "margin", "quantity")} == {-1.0, 1.0}


def test_the_same_seed_gives_the_same_bytes_in_another_process(root: Path) -> None:
    code = "from tests.graphs.test_generate import digest, random_network; print(digest(random_network(seed=7)))"
    found = {digest(random_network(seed=7))}
    for salt in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={"PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_other_seeds_and_rules_give_other_networks() -> None:
    nets = [random_network(seed=seed, rules=rules) for seed in range(3) for rules in RULES]  # type: ignore[arg-type]
    assert len({hashlib.sha256(net.numbers("margin", "quantity").tobytes()).hexdigest() for net in nets}) == len(nets)


@pytest.mark.slow
def test_a_million_traders_are_balanced_and_sound() -> None:
    net = random_network(seed=1, traders=1_000_000)
    assert net.count("margin") > 1_000_000
    assert check_network(net) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rules": "some"}, "use one of all, plain, longs"),
        ({"traders": 0}, "traders is 0; make it at least 1"),
        ({"exchanges": 0}, "exchanges is 0"),
        ({"assets": 0}, "assets is 0"),
        ({"stablecoins": -1}, "stablecoins is -1; make it at least 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_sizes_that_make_no_network_are_refused(options: Mapping[str, object], words: str) -> None:
    with pytest.raises(GraphError, match=words):
        random_network(**{"seed": 1, **options})  # type: ignore[arg-type]


def cells(net: Network) -> dict[str, Counter[tuple[object, ...]]]:
    """Rows of each table without their order; NaN equals itself as text."""
    return {kind: Counter(tuple(map(repr, row)) for row in rows(net, kind, " ".join(TABLES[kind].by_name))) for kind in net.tables}


@given(net=networks(), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_a_shuffle_moves_rows_and_changes_none(net: Network, seed: int) -> None:
    shuffled = shuffle_network(net, seed)
    assert cells(shuffled) == cells(net)
    assert digest(shuffled) == digest(shuffle_network(net, seed))


def test_a_shuffle_moves_the_rows_of_every_table() -> None:
    net = random_network(seed=3)
    shuffled = shuffle_network(net, 4)
    for kind, table in net.tables.items():
        names = " ".join(TABLES[kind].by_name)
        assert table.num_rows < 6 or list(map(repr, rows(net, kind, names))) != list(map(repr, rows(shuffled, kind, names))), kind


@given(net=networks(), salt=st.integers(0, 99))
@settings(max_examples=30)
def test_renaming_reaches_every_cell_and_can_be_undone(net: Network, salt: int) -> None:
    ids = [name for kind in NODES for name in net.node_ids(kind)]
    order = np.random.default_rng(salt).permutation(len(ids))
    mapping = {name: f"n{number}" for name, number in zip(ids, order, strict=True)}
    renamed = rename_network(net, mapping)
    assert check_network(renamed) == []
    for kind, table in net.tables.items():
        for name in table.column_names:
            column = TABLES[kind].by_name[name]
            if column.dtype != "string":
                assert renamed.tables[kind][name].equals(table[name])
            elif name == "id" or column.refers:
                assert list(renamed.strings(kind, name)) == [mapping.get(word, word) for word in net.strings(kind, name)]
            else:
                assert list(renamed.strings(kind, name)) == list(net.strings(kind, name))
    assert rename_network(renamed, {new: old for old, new in mapping.items()}).equals(net)
    assert shuffle_network(renamed, salt).equals(rename_network(shuffle_network(net, salt), mapping))


def test_two_names_can_be_exchanged() -> None:
    net = random_network(seed=1)
    swapped = rename_network(net, {"coin-0": "coin-1", "coin-1": "coin-0"})
    assert swapped.node_ids("asset")[:2] == ["coin-1", "coin-0"]
    assert not swapped.equals(net)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"nobody": "a", "noone": "b"}, "no node is called 'nobody', 'noone'"),
        ({"coin-0": "exchange-0"}, "'exchange-0' would stand for two nodes"),
        ({"coin-0": "a", "coin-1": "a"}, "'a' would stand for two"),
        ({"coin-0": USD}, "'USD' would stand for two nodes, for none or for the settlement currency"),
        ({"coin-0": ""}, "'' would"),
    ],
)
def test_names_that_would_be_lost_or_shared_are_refused(mapping: dict[str, str], words: str) -> None:
    with pytest.raises(GraphError, match=words):
        rename_network(random_network(seed=1), mapping)

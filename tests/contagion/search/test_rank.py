"""The ranking agrees with single runs, with exposures computed by hand, and with itself."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from contagion.compile import compile_system
from contagion.report.rank import lay_out_rank
from contagion.runtime.plan import Plan
from contagion.search.drivers import drivers_of
from contagion.search.exposures import exposures
from contagion.search.rank import CENTRALITIES, SIGMAS, rank, ranks, spearman
from contagion.search.risk import Risk
from contagion.search.sample import sample
from contagion.search.trial import Bench
from contagion.shocks import parse_shock
from graphs.generate import random_network, shuffle_network
from graphs.toys import delta_neutral_issuer, interbank_ring, one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from graphs.network import Network

RISK = Risk()
TOYS = [one_book_ladder(), two_exchange_stablecoin(), delta_neutral_issuer(), interbank_ring()]


def weights(net: Network) -> pd.DataFrame:
    system = compile_system(net)
    names = system.nodes.ids.to_pylist()
    return pd.DataFrame(exposures(system).toarray(), index=names, columns=names)


def test_a_book_of_longs_is_a_star_by_hand() -> None:
    quantities, levels = [1.0, 2.0], [95.0, 90.0]
    found = weights(one_book_ladder(quantities=quantities, liquidation_prices=levels, kappa=0.25))
    # In breach at L exactly: margin is q (P₀ − L (1 − rate)), all of it USD.
    for name, size, level in zip(["Long1", "Long2"], quantities, levels, strict=True):
        assert found.loc[name, "Book"] == pytest.approx(size * (100.0 - level * 0.99))
        assert found.loc[name, "COIN"] == found.loc["Book", name] == pytest.approx(100.0 * size)
    assert found.loc["Book", "Whale"] == pytest.approx(300.0)
    assert found.loc["Whale", "Book"] == pytest.approx(3000.0)
    assert found.loc["COIN"].sum() == 0.0
    assert np.count_nonzero(found.to_numpy()) == 9


def test_creditors_are_exposed_to_debtors_and_holders_to_coins() -> None:
    ring = weights(interbank_ring(n=3, amount=7.0))
    credit = interbank_ring(n=3, amount=7.0).frame("credit")
    for debtor, creditor in zip(credit["debtor"], credit["creditor"], strict=True):
        assert ring.loc[creditor, debtor] == 7.0
    net = two_exchange_stablecoin()
    found = weights(net)
    backing = net.frame("backing").query("asset != 'USD'").iloc[0]
    price = net.frame("asset").set_index("id")["price"][backing["asset"]]
    assert found.loc[backing["stablecoin"], backing["asset"]] == pytest.approx(backing["quantity"] * price)
    assert found.loc[backing["stablecoin"], backing["custodian"]] == pytest.approx(backing["quantity"] * price)


@pytest.mark.parametrize("seed", range(3))
def test_exposures_are_finite_not_negative_and_free_of_row_order(seed: int) -> None:
    net = random_network(seed=seed)
    found = weights(net)
    assert np.isfinite(found.to_numpy()).all()
    assert (found.to_numpy() >= 0).all()
    assert np.allclose(found, weights(shuffle_network(net, seed=5)), rtol=1e-12, atol=1e-6)
    held = net.frame("holding")
    assert (found.to_numpy() > 0).sum() > len(held)


def test_impact_is_what_the_others_lose_in_a_run_of_its_own() -> None:
    bench = Bench.of(two_exchange_stablecoin())
    table = rank(bench, risk=RISK, n=10).nodes.set_index("node")
    fall = 1.0 - math.exp(-SIGMAS * RISK.volatility)
    for name, stage in {
        "Thin": ["default:Thin"],
        "HighDeep": ["default:HighDeep"],
        "USDX": ["default:USDX", "depeg:USDX=0.9"],
        "BTC": [f"BTC=-{100 * fall!r}%"],
    }.items():
        outcome = bench.cascade([parse_shock(text) for text in stage]).outcome
        lost = np.maximum(outcome.initial.node_equity - outcome.state.node_equity, 0.0)
        lost[bench.system.node(name)] = 0.0
        assert table.loc[name, "impact_usd"] == pytest.approx(lost.sum(), rel=1e-9), name
    assert table.loc["BTC", "kind"] == "asset"
    assert math.isnan(table.loc["BTC", "probability"])


def test_vulnerability_is_that_of_the_sample() -> None:
    bench = Bench.of(two_exchange_stablecoin())
    found = rank(bench, risk=RISK, n=40, seed=2, traders=3)
    sampled = sample(bench, drivers_of(bench.system, RISK, traders=3), risk=RISK, n=40, seed=2, traders=3).nodes.set_index("node")
    table = found.nodes.set_index("node")
    assert len(table) == 2 + 1 + 3 + 1
    for column in ("failed", "liquidated", "probability_high"):
        assert (table.loc[sampled.index, column] == sampled[column]).all()
    # By failures first, then by the share of equity that it loses.
    order = table.loc[sampled.index].sort_values("vulnerability_rank")
    pairs = list(zip(order["failed"], order["mean_loss_share"], strict=True))
    assert pairs == sorted(pairs, reverse=True)


@pytest.mark.slow
def test_two_workers_rank_the_same() -> None:
    bench = Bench.of(delta_neutral_issuer())
    once, twice = rank(bench, risk=RISK, n=60), rank(bench, risk=RISK, n=60, plan=Plan(workers=2))
    assert json.dumps(once.summary(), allow_nan=False) == json.dumps(twice.summary(), allow_nan=False)
    assert once.nodes.equals(twice.nodes)


def test_progress_goes_up_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    rank(Bench.of(interbank_ring(n=3)), risk=RISK, n=70, progress=lambda done, total: told.append((done, total)))
    done = [one for one, _ in told]
    assert done == sorted(done)
    assert told[-1] == (73, 73)


def test_equal_nodes_share_every_rank() -> None:
    table = rank(Bench.of(interbank_ring(n=5)), risk=RISK, n=10).nodes
    for name in ("impact", *CENTRALITIES):
        assert (table[f"{name}_rank"] == 3.0).all(), name
    assert (table["gap"] == 0).all()


def test_the_map_and_the_rules_disagree_where_they_should() -> None:
    """The short of the ladder has the largest position after the exchange, and nobody loses by its default."""
    found = rank(Bench.of(one_book_ladder()), risk=RISK, n=10)
    assert found.disagreements(1)["node"].tolist() == ["Whale"]
    whale = found.nodes.set_index("node").loc["Whale"]
    assert whale["in_strength_rank"] < whale["impact_rank"]
    assert "Whale ranks 8 by impact and 3 by exposure" in lay_out_rank(found).text()


def test_rank_correlation_is_that_of_the_library() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 6, 40).astype(float), rng.integers(0, 6, 40).astype(float)
    assert spearman(pd.Series(one), pd.Series(other)) == pytest.approx(stats.spearmanr(one, other).statistic)
    assert math.isnan(spearman(pd.Series([1.0, 1.0, 1.0]), pd.Series([1.0, 2.0, 3.0])))
    assert ranks(np.array([1.0, 1.0 + 1e-15])).tolist() == [1.5, 1.5]


@pytest.mark.parametrize("net", TOYS, ids=lambda net: net.name)
def test_the_page_fits_and_begins_with_the_largest_impact(net: Network) -> None:
    found = rank(Bench.of(net), risk=RISK, n=10)
    text = lay_out_rank(found).text()
    assert text.startswith(f"Impact      the others lose most by {found.nodes['node'][0]}")
    assert max(len(line) for line in text.splitlines()) <= 100
    assert set(found.tables()) == {"nodes", "agreement"}
    json.dumps(found.summary(), allow_nan=False)

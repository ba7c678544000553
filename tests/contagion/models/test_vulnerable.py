"""Vulnerable banks: the matrix formula of the paper, its decompositions, and who hits whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from contagion.models.fire_sales import vulnerable_banks
from graphs.matrices import MatrixError

if TYPE_CHECKING:
    import random


@st.composite
def systems(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """Holdings, capital (some bank has some), depth, shock."""
    banks, assets = draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    cells = st.sampled_from([0.0, 0.0, 1.0, 20.0, 90.0])
    held = np.array(draw(st.lists(cells, min_size=banks * assets, max_size=banks * assets))).reshape(banks, assets)
    capital = np.array([5.0, *draw(st.lists(st.sampled_from([0.0, 1.0, 4.0]), min_size=banks - 1, max_size=banks - 1))])
    depth = np.array(draw(st.lists(st.sampled_from([100.0, 1e4, np.inf]), min_size=assets, max_size=assets)))
    shock = np.array(draw(st.lists(st.sampled_from([0.0, 0.01, 0.2, -0.05]), min_size=assets, max_size=assets)))
    return held, capital, depth, shock


@given(systems())
def test_aggregate_vulnerability_is_the_papers_matrix_formula(system: Any) -> None:  # noqa: ANN401 - arrays
    # Greenwood, Landier and Thesmar (2015): AV = 1'A M L M'A B M F / E.
    held, capital, depth, shock = system
    assets = held.sum(axis=1)
    weights = np.divide(held, assets[:, None], out=np.zeros_like(held), where=assets[:, None] > 0)
    ratio = np.divide(np.maximum(assets - capital, 0), capital, out=np.zeros_like(assets), where=capital > 0)
    losses = np.diag(assets) @ weights @ np.diag(1 / depth) @ weights.T @ np.diag(assets) @ np.diag(ratio) @ weights @ shock
    found = vulnerable_banks(held, capital, depth, shock)
    assert found.indirect_loss == pytest.approx(losses, rel=1e-9, abs=1e-9)
    assert found.aggregate_vulnerability == pytest.approx(losses.sum() / capital.sum(), rel=1e-9, abs=1e-12)
    assert found.systemicness.sum() == pytest.approx(found.aggregate_vulnerability, rel=1e-9, abs=1e-12)
    # S(n) = γ(n)·(a_n/E)·b_n·r_n
    returns = weights @ shock
    assert found.systemicness == pytest.approx(found.connectedness * assets / capital.sum() * ratio * returns, rel=1e-9, abs=1e-12)


@given(systems())
def test_who_hits_whom_adds_up(system: Any) -> None:  # noqa: ANN401 - arrays
    held, capital, depth, shock = system
    found = vulnerable_banks(csr_array(held), capital, depth, shock)
    hits = found.spillovers.toarray()
    assert found.spillovers.row_sums() == pytest.approx(hits.sum(axis=1), rel=1e-9, abs=1e-9)
    assert hits.sum(axis=1) == pytest.approx(found.indirect_loss, rel=1e-9, abs=1e-9)
    assert hits.sum(axis=0) / capital.sum() == pytest.approx(found.systemicness, rel=1e-9, abs=1e-12)
    relative = found.relative_spillovers.toarray().sum(axis=1)
    assert relative[capital > 0] == pytest.approx(found.indirect_vulnerability[capital > 0], rel=1e-9, abs=1e-9)
    top = found.spillovers.top(3)["value"].to_numpy()
    assert top == pytest.approx(np.sort(hits[hits > 0])[::-1][:3], rel=1e-9)


@given(systems(), st.randoms(use_true_random=False))
def test_names_currency_and_form_do_not_matter(system: Any, random: random.Random) -> None:  # noqa: ANN401 - arrays
    held, capital, depth, shock = system
    one = vulnerable_banks(held, capital, depth, shock)
    rows, columns = list(range(held.shape[0])), list(range(held.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    other = vulnerable_banks(csr_array(8.0 * held[np.ix_(rows, columns)]), 8.0 * capital[rows], 8.0 * depth[columns], shock[columns])
    assert other.aggregate_vulnerability == pytest.approx(one.aggregate_vulnerability, rel=1e-9, abs=1e-12)
    assert other.systemicness == pytest.approx(one.systemicness[rows], rel=1e-9, abs=1e-12)
    assert other.sales == pytest.approx(8.0 * one.sales[rows], rel=1e-9, abs=1e-9)


def test_a_small_example_by_hand() -> None:
    # Assets 100 and 100, capital 10 and 20, one common bond; the second bank's loan falls by 10 %: it loses 5 of 20, owes 80, b = 4, so it
    # sells 20: 10 of the bond. The bond falls by 10/1000 = 1 %: the first loses 1, the second 0.5.
    found = vulnerable_banks([[100, 0], [50, 50]], [10, 20], [1000, np.inf], [0, 0.1])
    assert found.sales.tolist() == [0.0, 20.0]
    assert found.fall == pytest.approx([0.01, 0.0])
    assert found.indirect_loss == pytest.approx([1.0, 0.5])
    assert found.aggregate_vulnerability == pytest.approx(1.5 / 30)
    assert found.direct_vulnerability == pytest.approx([0.0, 0.25])
    assert found.indirect_vulnerability == pytest.approx([0.1, 0.025])
    graph = found.spillovers.to_networkx(1)
    assert list(graph.edges(data="weight")) == [(0, 1, pytest.approx(1.0))]  # 0 loses 1 because 1 sells
    half = vulnerable_banks([[100, 0], [50, 50]], [10, 20], [1000, np.inf], [0, 0.1], debt_ratio=2.0)
    assert half.aggregate_vulnerability == pytest.approx(1.5 / 30 / 2)


def test_nobody_sells_more_than_it_has_when_capped() -> None:
    free = vulnerable_banks([[100.0]], [2.0], 1000.0, 0.05)
    capped = vulnerable_banks([[100.0]], [2.0], 1000.0, 0.05, capped=True)
    assert free.sales == pytest.approx([245.0])
    assert capped.sales == pytest.approx([95.0])


def test_graph_and_matrix_agree() -> None:
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("A", "bond", 100.0), ("B", "bond", 50.0), ("B", "loan", 50.0)])
    found = vulnerable_banks(graph, {"A": 10, "B": 20}, {"bond": 1000, "loan": np.inf}, {"loan": 0.1})
    assert found.banks == ("A", "B")
    assert found.aggregate_vulnerability == pytest.approx(0.05)


def test_bad_input_is_named() -> None:
    with pytest.raises(MatrixError, match="capital sums to 0"):
        vulnerable_banks([[1.0]], [0.0], 1.0, 0.1)
    with pytest.raises(MatrixError, match="depth of 0 is 0"):
        vulnerable_banks([[1.0]], [1.0], 0.0, 0.1)
    with pytest.raises(MatrixError, match="unknown stock"):
        vulnerable_banks([[1.0]], [1.0], 1.0, {"stock": 0.1})


def test_many_banks_never_make_a_square() -> None:
    random = np.random.default_rng(2)
    banks, assets, cells = 20_000, 500, 60_000
    held = csr_array(
        (random.lognormal(size=cells), (random.integers(0, banks, cells), random.integers(0, assets, cells))), shape=(banks, assets)
    )
    found = vulnerable_banks(held, np.asarray(held.sum(axis=1)).ravel() / 20 + 1e-9, 1e6, 0.02)  # banks × banks would be 3 GB
    assert found.residual < 1e-12
    assert found.spillovers.row_sums() == pytest.approx(found.indirect_loss, rel=1e-9)

"""A picture of a graph: neighbours lie together, anchors apart, and the same graph gives the same picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from graphs import layout
from graphs.errors import GraphError
from graphs.gexf import FARTHEST
from graphs.layout import CLEARANCE, RADIUS, place_nodes

Array = np.ndarray[Any, Any]


def planted(nodes: int, edges: int, communities: int, *, seed: int = 0) -> tuple[Array, Array, Array]:
    """A graph whose edges stay within a community nine times in ten."""
    random = np.random.default_rng(seed)
    home = np.sort(random.integers(0, communities, nodes))
    source = random.integers(0, nodes, edges)
    low, high = np.searchsorted(home, home[source]), np.searchsorted(home, home[source], side="right")
    inside = low + (random.random(edges) * (high - low)).astype(int)
    return source, np.where(random.random(edges) < 0.9, inside, random.integers(0, nodes, edges)), home


def market(*, traders: int = 3000, exchanges: int = 8, coins: int = 30, lonely: int = 60) -> tuple[int, Array, Array]:
    """Traders linked with one exchange and one coin each, both with a heavy head; the last traders have no edge."""
    random = np.random.default_rng(1)
    trader = np.arange(traders - lonely) + exchanges + coins

    def some(count: int) -> Array:
        share = 1.0 / np.arange(1, count + 1)
        return random.choice(count, len(trader), p=share / share.sum())

    return exchanges + coins + traders, np.r_[trader, trader], np.r_[some(exchanges), exchanges + some(coins)]


def lengths(vectors: Array) -> Array:
    return np.hypot(vectors[:, 0], vectors[:, 1])


def test_neighbours_lie_together() -> None:
    source, target, home = planted(4000, 20_000, 12)
    places = place_nodes(4000, source, target)
    random = np.random.default_rng(0)
    pairs = random.integers(0, 4000, (2, 20_000))
    ratio = np.median(lengths(places[source] - places[target])) / np.median(lengths(places[pairs[0]] - places[pairs[1]]))
    assert ratio < 0.35  # 1 for random places; a force-directed layout of the same kind of graph reaches about 0.3
    centres = np.array([places[home == number].mean(axis=0) for number in range(12)])
    nearest = np.argmin(np.square(places[:, None] - centres[None]).sum(axis=2), axis=1)
    assert (nearest == home).mean() > 0.7  # 1 in 12 by chance


@pytest.mark.parametrize("shape", ["communities", "market", "tree"])
def test_no_region_is_crowded(shape: str) -> None:
    child = np.arange(1, 2000)
    count, source, target = {
        "communities": (4000, *planted(4000, 20_000, 12)[:2]),
        "market": market(lonely=0),
        "tree": (2000, child, child // 2),
    }[shape]
    places = place_nodes(count, source, target)
    nearest = np.asarray(KDTree(places).query(places, k=2)[0])[:, 1]
    assert np.median(nearest) > 0.25 * RADIUS * np.sqrt(np.pi / count)  # the side of a node's fair share of the area
    assert np.median(lengths(places)) > 0.4 * RADIUS


def test_a_crowd_is_parted_without_a_drift() -> None:
    random = np.random.default_rng(0)
    places = (0.1 * random.standard_normal((200, 2))).astype(np.float32)
    loose = np.ones((200, 1), dtype=np.float32)
    middle, spread = places.mean(axis=0), lengths(places).mean()
    for _ in range(50):
        layout._part(places, loose, random)
    assert lengths(places).mean() > 10 * spread
    assert np.allclose(places.mean(axis=0), middle, atol=1e-4)
    held = places.copy()
    layout._part(places, 0 * loose, random)
    assert np.array_equal(places, held)


def test_a_close_pair_is_parted_along_its_line_and_no_other_node_moves() -> None:
    far = np.array([[10.0 * row, 7.0 * row * row] for row in range(1, 9)])
    places = np.r_[[[0.0, 0.0], [0.1, 0.0]], far].astype(np.float32)
    random = np.random.default_rng(0)
    for _ in range(60):
        layout._part(places, np.ones((10, 1), dtype=np.float32), random)
    assert np.array_equal(places[2:], far.astype(np.float32))
    assert places[0, 0] < 0.0
    assert places[1, 0] - places[0, 0] > 1.0
    assert not places[:2, 1].any()


def test_anchors_end_apart_and_nothing_lies_on_them() -> None:
    count, source, target = market()
    anchors = np.arange(38)
    places = place_nodes(count, source, target, anchors=anchors)
    apart = np.asarray(KDTree(places[anchors]).query(places[anchors], k=2)[0])[:, 1].min()
    free = place_nodes(count, source, target)
    without = np.asarray(KDTree(free[anchors]).query(free[anchors], k=2)[0])[:, 1].min()
    assert apart > 600.0 > without
    near = np.asarray(KDTree(places[anchors]).query(places[38:])[0])
    assert near.min() > 0.8 * CLEARANCE
    assert (lengths(places) <= RADIUS * (1 + 1e-12)).all()


def test_what_hangs_on_an_anchor_settles_around_it() -> None:
    count, source, target = market()
    places = place_nodes(count, source, target, anchors=np.arange(38))
    random = np.random.default_rng(0).permutation(target)
    assert lengths(places[source] - places[target]).mean() < 0.8 * lengths(places[source] - places[random]).mean()


def test_a_star_is_a_disc_around_its_anchor() -> None:
    leaves = np.arange(1, 2000)
    places = place_nodes(2000, leaves, np.zeros(1999, dtype=int), anchors=np.array([0]))
    around = places[1:] - places[0]
    assert lengths(around).min() > 0.8 * CLEARANCE
    assert np.abs(around.mean(axis=0)).max() < 0.1 * lengths(around).mean()


def test_nodes_without_edges_lie_in_a_ring_around_the_others() -> None:
    count, source, target = market()
    reach = lengths(place_nodes(count, source, target))
    lonely = np.arange(count - 60, count)
    assert reach[lonely].min() > reach[: count - 60].max()
    reach = lengths(place_nodes(500, np.array([3, 3]), np.array([3, 3])))  # a loop is no link
    assert np.quantile(reach, 0.25) == pytest.approx(0.5 * RADIUS, rel=0.1)  # an even disc


def test_the_same_graph_gives_the_same_picture() -> None:
    source, target, _ = planted(500, 1500, 5)
    once = place_nodes(500, source, target, anchors=np.array([1, 2, 3]), seed=4)
    assert np.array_equal(once, place_nodes(500, source, target, anchors=np.array([1, 2, 3]), seed=4))
    order = np.random.default_rng(0).permutation(1500)
    turned = place_nodes(500, np.r_[target[order], source], np.r_[source[order], target], anchors=np.array([3, 1, 2]), seed=4)
    assert np.array_equal(once, turned)
    assert not np.allclose(once, place_nodes(500, source, target, anchors=np.array([1, 2, 3]), seed=5))


@settings(max_examples=60)
@given(data=st.data(), count=st.integers(0, 12), edges=st.integers(0, 15))
def test_every_graph_gets_a_picture_that_readers_leave_alone(data: st.DataObject, count: int, edges: int) -> None:
    node = st.integers(0, max(count - 1, 0))
    ends = np.array(data.draw(st.lists(st.tuples(node, node), min_size=edges, max_size=edges)) if count else [], dtype=int).reshape(-1, 2)
    anchors = np.array(data.draw(st.lists(node, max_size=4)) if count else [], dtype=int)
    places = place_nodes(count, ends[:, 0], ends[:, 1], anchors=anchors, steps=10)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
    assert (np.abs(places) < FARTHEST).all()
    assert count == 0 or np.abs(places.mean(axis=0)).max() < 1e-6
    held = places[np.unique(anchors)]
    assert len(held) < 2 or np.asarray(KDTree(held).query(held, k=2)[0])[:, 1].min() > 100.0


@pytest.mark.parametrize(
    ("source", "target", "anchors", "message"),
    [
        ([0, 5], [1, 1], [], "source: no node 5"),
        ([0], [-1], [], "target: no node -1"),
        ([0], [1], [3], "anchors: no node 3"),
        ([0, 1], [1], [], "2 sources and 1 targets"),
    ],
)
def test_edges_that_lead_nowhere_are_refused(source: list[int], target: list[int], anchors: list[int], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        place_nodes(3, np.array(source), np.array(target), anchors=np.array(anchors, dtype=int))


def test_too_many_anchors_are_refused() -> None:
    none = np.zeros(0, dtype=int)
    with pytest.raises(GraphError, match="at most 2000"):
        place_nodes(3000, none, none, anchors=np.arange(2001))

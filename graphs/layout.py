"""Places for nodes: a picture of a graph in which neighbours lie together and no region is crowded.

A force model on sparse arrays. Every node is drawn to the mean place of its neighbours and, weakly, to the centre, and pushed off all
others with a force 1/d. The sum over all others is estimated from one random other node a step (negative sampling), so a step costs
O(nodes + edges); with a pull g·r to the centre that force settles at an even density, here one node a unit of area. Nodes that come
closer than that are pushed apart in pairs. A few steps of heat diffusion give the start: they find the communities that forces alone
would take hundreds of steps to sort out.

Nodes that a reader looks for first (exchanges, coins) can be *anchors*: when the free picture stands, each is moved to the nearest
point of an even pattern, held there, and the others settle around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from graphs.errors import GraphError

if TYPE_CHECKING:
    import scipy.sparse as sp

    from graphs.gexf import Array

RADIUS: Final = 4700.0
"""Radius of the picture, within the bound that :mod:`graphs.gexf` sets."""
ANCHOR_RADIUS: Final = 0.8
"""Part of the radius of the connected nodes within which anchors lie."""
CLEARANCE: Final = 150.0
"""How close another node comes to an anchor, unless anchors are so many that a quarter of their distance is less."""
MOST_ANCHORS: Final = 2000
WARM_STEPS: Final = 20
GRAVITY: Final = 0.15
NEAR: Final = 1.5
"""Distance below which two nodes are pushed apart, in units of one node each area of 1."""

_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))


def place_nodes(count: int, source: Array, target: Array, *, anchors: Array | None = None, seed: int = 0, steps: int = 60) -> Array:
    """Give each node a place.

    Parameters
    ----------
    count
        Number of nodes.
    source, target
        Ends of the edges, as indices of nodes. Direction, repetition and order of edges do not matter.
    anchors
        Indices of the nodes to be spread evenly and kept clear of others, at most 2,000.
    seed
        Of the random start and the sampling. The same arguments give the same places; another order of nodes gives another picture.
    steps
        More of them sort a large graph out further.

    Returns
    -------
    Array
        x and y of each node, centred on the origin and within 4,700 of it. Nodes without edges lie in a ring around the others.

    Raises
    ------
    GraphError
        If an index is out of range, source and target differ in length, or there are too many anchors.

    Examples
    --------
    >>> import numpy as np
    >>> place_nodes(3, np.array([0]), np.array([1])).shape
    (3, 2)
    """
    held = np.unique(np.asarray([] if anchors is None else anchors, dtype=np.int64))
    _check(count, source, target, held)
    graph = _adjacency(count, source, target)
    linked = np.diff(graph.indptr) > 0
    linked[held] = True
    inner, alone = np.flatnonzero(linked), np.flatnonzero(~linked)
    places = np.zeros((count, 2))
    core = RADIUS
    if len(alone):
        core *= float(np.clip(np.sqrt(len(inner) / count), 0.7, 0.93)) if len(inner) else 0.0
        places[alone] = _sunflower(len(alone), core * 1.04, RADIUS)
    if len(inner):
        places[inner] = _connected(graph[inner][:, inner], np.searchsorted(inner, held), core, seed=seed, steps=steps)
    # readers move the centroid to the origin, and cut off what is then too far out
    places -= places.mean(axis=0) if count else 0.0
    return places * min(1.0, RADIUS / max(float(np.hypot(*places.T).max(initial=0.0)), 1e-12))


def _check(count: int, source: Array, target: Array, held: Array) -> None:
    if source.shape != target.shape:
        raise GraphError(f"{source.size} sources and {target.size} targets; give one of each for every edge")
    for name, index in (("source", source), ("target", target), ("anchors", held)):
        bad = np.unique(index[(index < 0) | (index >= count)])
        if len(bad):
            raise GraphError(f"{name}: no node {', '.join(map(str, bad.tolist()))}; give indices from 0 to {count - 1}")
    if len(held) > MOST_ANCHORS:
        raise GraphError(f"{len(held)} anchors cannot all be readable; choose at most {MOST_ANCHORS}")


def _adjacency(count: int, source: Array, target: Array) -> sp.csr_array[Any, tuple[int, int]]:
    import scipy.sparse as sp

    differ = source != target
    ends = np.concatenate([source[differ], target[differ]]), np.concatenate([target[differ], source[differ]])
    graph = sp.csr_array(sp.coo_array((np.ones(len(ends[0]), dtype=np.float32), ends), shape=(count, count)))
    graph.sum_duplicates()
    graph.data[:] = 1.0  # with weights, a sum would depend on the order of parallel edges
    return graph


def _connected(graph: sp.csr_array[Any, tuple[int, int]], held: Array, core: float, *, seed: int, steps: int) -> Array:
    """Places within a circle of radius ``core``, in the units of the picture."""
    count = graph.shape[0]
    random = np.random.default_rng(seed)
    places = _even_disc(_diffuse(graph, random))
    _settle(graph, places, np.ones(count, dtype=bool), random, steps)
    unit = np.sqrt(count / np.pi)
    free = np.ones(count, dtype=bool)
    gap = np.inf
    if len(held):
        spots = _sunflower(len(held), 0.0, ANCHOR_RADIUS * unit)
        places[held], gap = _spread(places[held], spots)
        free[held] = False
        _settle(graph, places, free, random, steps // 2)
    final = places.astype(np.float64)
    if not len(held):
        final -= np.median(final, axis=0)
    reach = np.hypot(*final.T)
    edge = max(float(np.quantile(reach, 0.99)), ANCHOR_RADIUS * unit if len(held) else 0.0) or 1.0
    # what lies beyond the edge is drawn in smoothly, so that a few stragglers do not shrink the picture
    beyond = np.maximum(reach / edge, 1.0)
    shrink = np.where(beyond > 1.0, (0.9 + 0.1 * (1.0 - np.exp(-9.0 * (beyond - 1.0)))) / beyond, 0.9)
    final *= (shrink * core / edge)[:, None]
    if len(held):
        _clear(final, held, free, min(CLEARANCE, 0.25 * gap * 0.9 * core / edge))
    return final


def _diffuse(graph: sp.csr_array[Any, tuple[int, int]], random: np.random.Generator) -> Array:
    """Random numbers spread along the edges for a while: nodes of one community end with like values."""
    degree = np.diff(graph.indptr).astype(np.float32)
    weight = ((degree + 1.0) / (degree + 1.0).sum())[:, None]
    half = np.where(degree > 0.0, 0.5 / np.maximum(degree, 1.0), 0.0)[:, None].astype(np.float32)
    stay = np.where(degree > 0.0, 0.5, 1.0)[:, None].astype(np.float32)
    x = random.standard_normal((len(degree), 2)).astype(np.float32)
    for _ in range(WARM_STEPS):
        x = stay * x + half * (graph @ x)
        x -= (weight * x).sum(axis=0)
        first, second = x.T
        spread = float((weight[:, 0] * first * first).sum()) or 1.0
        x[:, 1] -= first * np.float32((weight[:, 0] * first * second).sum() / spread)
        size = np.sqrt((weight * x * x).sum(axis=0))
        x /= np.where(size > 0.0, size, 1.0)
    return x


def _even_disc(places: Array) -> Array:
    """Keep each direction from the middle and turn distance into an even density of one node a unit of area."""
    centred = places - np.median(places, axis=0)
    reach = np.hypot(*centred.T)
    rank = np.empty(len(reach))
    rank[np.argsort(reach, kind="stable")] = np.arange(len(reach)) + 0.5
    even: Array = (centred * (np.sqrt(rank / np.pi) / np.maximum(reach, 1e-12))[:, None]).astype(np.float32)
    return even


def _settle(graph: sp.csr_array[Any, tuple[int, int]], places: Array, free: Array, random: np.random.Generator, steps: int) -> None:
    """Move the free nodes by the forces, in place, in ever smaller steps."""
    count = len(places)
    degree = np.diff(graph.indptr)[:, None]
    mean = (1.0 / np.maximum(degree, 1)).astype(np.float32)
    drawn = (degree > 0) & free[:, None]
    loose = free[:, None].astype(np.float32)
    unit = np.sqrt(count / np.pi)
    for step in range(steps):
        heat = 1.0 - step / steps
        away = places - places[random.permutation(count)]
        push = np.float32(GRAVITY * count / np.pi) / (_square(away) + np.float32(1.0))
        force = away * push[:, None]
        force += np.where(drawn, (graph @ places) * mean - places, np.float32(0.0))
        force -= np.float32(GRAVITY) * places
        force *= np.float32(0.5 * heat + 0.02) * loose
        length = np.sqrt(_square(force))
        longest = np.float32(0.1 * unit * heat + 0.5)
        places += force * np.minimum(np.float32(1.0), longest / np.maximum(length, np.float32(1e-9)))[:, None]
        _part(places, loose, random)


def _part(places: Array, loose: Array, random: np.random.Generator) -> None:
    """Push apart pairs that lie closer than ``NEAR``; pairs are found by sorting nodes into the cells of a grid at a random offset."""
    cell = np.floor((places + random.random(2, dtype=np.float32) * np.float32(NEAR)) / np.float32(NEAR)).astype(np.int64)
    order = np.argsort(cell[:, 0] * 1_000_003 + cell[:, 1], kind="stable")
    shift = int(random.integers(1, 4))
    row = places[order]
    away = row - np.roll(row, shift, axis=0)
    distance = np.sqrt(_square(away))
    away *= (np.maximum(np.float32(NEAR) - distance, np.float32(0.0)) * np.float32(0.25) / (distance + np.float32(1e-3)))[:, None]
    row += (away - np.roll(away, -shift, axis=0)) * loose[order]
    places[order] = row


def _square(vectors: Array) -> Array:
    squares: Array = vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1]
    return squares


def _sunflower(count: int, inner: float, outer: float) -> Array:
    """Spread points evenly over a ring, or over a disc when ``inner`` is 0."""
    k = np.arange(count)
    share = (k + 0.5) / count if count > 1 or inner > 0.0 else np.zeros(count)
    reach = np.sqrt(inner**2 + (outer**2 - inner**2) * share)
    return np.column_stack([reach * np.cos(k * _GOLDEN), reach * np.sin(k * _GOLDEN)])


def _spread(places: Array, spots: Array) -> tuple[Array, float]:
    """Match places to spots so that they move least together; say also how far apart the nearest two spots are."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial import KDTree

    even = _even_disc(places) * (np.hypot(*spots.T).max() / max(np.sqrt(len(spots) / np.pi), 1e-12))
    cost = np.square(even[:, None, :] - spots[None, :, :]).sum(axis=2)
    matched = spots[linear_sum_assignment(cost)[1]]
    gap = float(np.asarray(KDTree(spots).query(spots, k=2)[0])[:, 1].min()) if len(spots) > 1 else np.inf
    return matched, gap


def _clear(places: Array, held: Array, free: Array, distance: float) -> None:
    """Move every free node to at least that distance from the nearest anchor, in place, without heaping them up there."""
    from scipy.spatial import KDTree

    rows = np.flatnonzero(free)
    near, which = map(np.asarray, KDTree(places[held]).query(places[rows]))
    inside = near < 2.0 * distance
    rows, near, centre = rows[inside], near[inside], places[held][which[inside]]
    away = places[rows] - centre
    on_top = near < 1e-9 * RADIUS  # no direction of its own: it gets one by its row
    away[on_top] = np.column_stack([np.cos(rows[on_top] * _GOLDEN), np.sin(rows[on_top] * _GOLDEN)])
    length = np.where(on_top, 1.0, near)
    places[rows] = centre + away * ((distance + 0.5 * np.where(on_top, 0.0, near)) / length)[:, None]

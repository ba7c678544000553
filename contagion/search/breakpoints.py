"""All breakpoints on a ray of one price: the full set of falls that trigger condition (a), also where more may do less.

Let a coin fall by s on every book. As long as the same accounts are closed in the same rounds (one *pattern*), every mid, and
with it every mark, is affine in s in every round: exponential impact gives P₀(1 - s)·e^{-kQ}, linear impact P₀(1 - s) - κQ. Health is then
affine in s inside a bracket, so a run tells up to which s, above and below, its own pattern holds. Runs are made until the
patterns cover the ray. Inside a pattern condition (a) is constant.

Applies to full liquidation with no other mechanism that trades or that reprices (``obstacles_to`` lists what stands against it);
short positions and hedged accounts are welcome, and that is what it is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.search import features
from contagion.search.pattern import Exposed, Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from contagion.search.features import Liable
    from contagion.search.trial import Bench
    from contagion.settings import Settings
    from contagion.shocks import Shock
    from contagion.system import System

RESOLUTION: Final = 1e-11
"""Gaps between patterns up to this width are not entered: the engine's own tie rule, 1e-12 of notional, decides there."""
LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Falls of one pattern.

    Attributes
    ----------
    low, high
        Its ends; whether an end itself belongs to it is the tie rule's business.
    induced
        Condition (a): share of open interest that feedback closed.
    liquidated
        Share that is closed in all.
    rounds
        Rounds until the run settles.
    """

    low: float
    high: float
    induced: float
    liquidated: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Ray:
    """A ray, cut into patterns.

    Attributes
    ----------
    pieces
        In order from the low end on, neighbours with the same liquidation joined.
    triggering
        Intervals of s on which condition (a) holds.
    patterns
        Patterns visited: at most as many runs were made.
    reason
        Why the ray is not covered, empty if it is; then nothing is enumerated beyond ``pieces``.
    """

    pieces: tuple[Piece, ...]
    triggering: tuple[tuple[float, float], ...]
    patterns: int
    reason: str

    @property
    def complete(self) -> bool:
        """Whether every breakpoint was visited."""
        return not self.reason


def obstacles_to(system: System, settings: Settings, shocks: Iterable[Shock] = ()) -> tuple[str, ...]:
    """Why breakpoints on rays of this network cannot be enumerated, in words; empty if they can.

    Parameters
    ----------
    shocks
        The shock at the far end of the ray, and what is given.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from contagion.settings import Settings
    >>> from graphs.toys import one_book_ladder
    >>> system = compile_system(one_book_ladder())
    >>> obstacles_to(system, Settings(impact="linear"))
    ()
    >>> obstacles_to(system, Settings(impact="square_root"))
    ('square-root impact is not affine in what is sold',)
    """
    markets = system.markets
    liable = features.Liable(system, np.zeros(markets.count), np.full(markets.count, np.inf))
    return (*_settings(settings), *_shocks(system, tuple(shocks)), *_accounts(liable), *_network(system, settings))


def _settings(settings: Settings) -> Iterator[str]:
    if settings.impact == "square_root":
        yield "square-root impact is not affine in what is sold"
    if settings.withdrawal > 0:
        yield "depth depends on the move where quotes are withdrawn"
    if not settings.feedback:
        yield "without feedback there is nothing to enumerate"


def _shocks(system: System, shocks: tuple[Shock, ...]) -> Iterator[str]:
    for shock in shocks:
        if shock.kind not in {"price", "depeg", "depth"}:
            yield f"the shock {shock} is no price, peg or depth"
        elif shock.kind == "depeg" and not np.isfinite(system.coins.peg[system.node(shock.target) - system.nodes.coin0]):
            yield f"the shock {shock} sets a price"


def _accounts(liable: Liable) -> Iterator[str]:
    yield from features.partial_liquidation(liable)
    yield from features.backstops(liable)
    yield from features.top_ups(liable)
    yield from features.coin_sales(liable)


def _network(system: System, settings: Settings) -> Iterator[str]:
    yield from features.voluntary_stops(system)
    yield from features.credit(system)
    yield from features.leverage_rules(system)
    yield from features.arbitrageurs(system)
    yield from features.redemptions(system)
    yield from features.makers(system)
    exchanges, markets = system.exchanges, system.markets
    if np.isfinite(markets.band).any():
        yield "markets stop beyond a price band"
    if exchanges.outage.any():
        yield f"outage at {features.exchanges_named(system, exchanges.outage)}"
    rules = np.array([rule != "none" for rule in exchanges.loss_rule], dtype=np.bool_)
    if rules.any():
        yield f"losses may fall on winners (auto-deleveraging) at {features.exchanges_named(system, rules)}"
    if settings.impact == "linear":
        where = np.array([rule != "internal" for rule in exchanges.mark_oracle], dtype=np.bool_)
        if where.any():
            yield f"under linear impact an oracle over several books is not affine: {features.exchanges_named(system, where)}"


def enumerate_ray(bench: Bench, shock_at: Callable[[float], Shock], low: float, high: float, *, limit: int = LIMIT) -> Ray:
    """Visit every pattern between two falls of one coin's price.

    Parameters
    ----------
    bench
        The network, its settings and what is given.
    shock_at
        The shock of a size s: the relative change -s of one coin's price everywhere, or +s at every size, a rise.
    low, high
        Ends of the ray.
    limit
        Patterns at most; the ray is reported as not covered if there are more.

    Returns
    -------
    Ray
        Not covered, with the reason, where the network has what ``obstacles_to`` names, where an exchange may fail, where a price
        reaches zero, or where there are more patterns than ``limit``.

    Notes
    -----
    Each run is checked against its own pattern: an account is closed in the round in which its computed health says so. Costs one
    run a pattern, and O(rounds × exposed accounts × brackets) to find its ends.

    Examples
    --------
    The least fall that starts the ladder's cascade is 1 - (L₁ + 0)/P₀ = 3 %.

    >>> from contagion.search.trial import Bench
    >>> from contagion.settings import Settings
    >>> from contagion.shocks import Shock
    >>> from graphs.toys import one_book_ladder
    >>> bench = Bench.of(one_book_ladder(), Settings(impact="linear"))
    >>> ray = enumerate_ray(bench, lambda s: Shock(kind="price", target="COIN", value=-s), 0.0, 0.2)
    >>> ray.complete, [round(piece.high, 9) for piece in ray.pieces][:2]
    (True, [0.03, 0.035])
    """
    stands = obstacles_to(bench.system, bench.settings, (*bench.given, shock_at(high)))
    sign = _direction(shock_at, low, high)
    if not sign:
        stands = (*stands, "the shocks are no change of one coin's price everywhere by the size asked for")
    if stands:
        return Ray((), (), 0, "; ".join(stands))
    exposed = Exposed.of(bench.system, bench.system.node(shock_at(high).target) - bench.system.nodes.coin0)
    found: list[Piece] = []
    gaps = [(low, high)]
    patterns, reason = 0, ""
    while gaps and not reason:
        start, end = gaps.pop()
        if end - start <= 2 * RESOLUTION:
            continue
        if patterns >= limit:
            reason = f"more than {limit} patterns"
            break
        at = min(start + RESOLUTION, end)
        patterns += 1
        pattern = Pattern.at(bench, shock_at(at), sign * at, exposed)
        reason = pattern.reason
        if reason:
            break
        ends = sorted((sign * start, sign * end))
        first, last, reason = pattern.ends(*ends)
        if reason:
            break
        bottom, top = sorted((sign * first, sign * last))
        found.append(Piece(bottom, top, pattern.induced, pattern.liquidated, pattern.outcome.rounds))
        gaps += [(top, end), (start, bottom)]  # what lies below is entered first
    pieces = _joined(sorted(found, key=lambda piece: piece.low), low, high, complete=not reason)
    threshold = bench.settings.system_wide.induced_liquidation
    return Ray(pieces, _triggering(pieces, threshold), patterns, reason)


def _direction(shock_at: Callable[[float], Shock], low: float, high: float) -> int:
    """1 if sizes are falls, -1 if they are rises, 0 if they are neither."""
    ends = [(size, shock_at(size)) for size in (low, high)]
    if any(shock.kind != "price" or shock.exchange for _, shock in ends):
        return 0
    falls, rises = (all(shock.value == sign * size for size, shock in ends) for sign in (-1, 1))
    return 1 if falls else -1 if rises else 0


def _joined(pieces: list[Piece], low: float, high: float, *, complete: bool) -> tuple[Piece, ...]:
    """Pieces from the low end on without the slivers between them, as far as they reach; neighbours with the same answer made one."""
    result: list[Piece] = []
    for piece in pieces:
        reached = result[-1].high if result else low
        if piece.low - reached > 4 * RESOLUTION:
            break
        if result and (result[-1].induced, result[-1].liquidated) == (piece.induced, piece.liquidated):
            start, rounds = result[-1].low, max(result.pop().rounds, piece.rounds)
        else:
            start, rounds = reached, piece.rounds
        result.append(Piece(start, max(piece.high, reached), piece.induced, piece.liquidated, rounds))
    if complete and result:
        result[-1] = replace(result[-1], high=high)
    return tuple(result)


def _triggering(pieces: tuple[Piece, ...], threshold: float) -> tuple[tuple[float, float], ...]:
    found: list[tuple[float, float]] = []
    for piece in pieces:
        if piece.induced < threshold or math.isnan(piece.induced):
            continue
        if found and found[-1][1] >= piece.low:
            found[-1] = (found[-1][0], piece.high)
        else:
            found.append((piece.low, piece.high))
    return tuple(found)

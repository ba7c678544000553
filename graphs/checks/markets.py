"""Checks of markets: that the edges which need one find it, that open interest balances, that shares and weights add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphs.checks.view import View, check, positions
from graphs.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BALANCED = 1e-9
"""What the signed quantities of a perp market may sum to, over their gross sum."""
SHARES = 1e-9
"""By how much shares may exceed one in sum."""


def _without_market(
    view: View, kind: str, pairs: NDArray[np.int64], markets: NDArray[np.int64], what: str, *, column: str = "exchange"
) -> Iterator[Finding]:
    bad = (pairs >= 0) & (positions(pairs, markets) < 0)
    remedy = f"add the market, or move the {kind} edge"
    for row in np.flatnonzero(bad).tolist():
        yield Finding("missing_market", kind, row + 1, column, f"no {what} of {view.pair_name(pairs[row])}", remedy)


@check(whole=True)
def missing_market(view: View) -> Iterator[Finding]:
    """An exchange without a market that an edge needs."""
    spot, perp = view.market_pairs("spot"), view.market_pairs("perp")
    either = np.union1d(spot, perp)
    yield from _without_market(view, "margin", view.pairs("margin"), either, "market")
    coins = view.pairs("collateral")
    coins[view.codes("collateral", "asset") == view.nodes] = -1
    yield from _without_market(view, "collateral", coins, either, "market")
    sold = view.pairs("backing", exchange="custodian")
    sold[view.codes("backing", "asset") == view.nodes] = -1
    yield from _without_market(view, "backing", sold, spot, "spot market", column="custodian")
    for instrument, markets in (("spot", spot), ("perp", perp)):
        quoted = np.where(view.is_word("liquidity", "instrument", instrument), view.pairs("liquidity"), -1)
        yield from _without_market(view, "liquidity", quoted, markets, f"{instrument} market")


@check(whole=True)
def missing_tiers(view: View) -> Iterator[Finding]:
    """A perp market with positions and no maintenance brackets."""
    used = positions(view.pairs("market"), np.unique(view.pairs("margin"))) >= 0
    covered = positions(view.pairs("market"), np.unique(view.pairs("margin_tier"))) >= 0
    pairs = view.pairs("market")
    bad = (pairs >= 0) & used & ~covered & view.is_word("market", "instrument", "perp")
    for row in np.flatnonzero(bad).tolist():
        value = f"no maintenance brackets of {view.pair_name(pairs[row])}"
        yield Finding("missing_tiers", "market", row + 1, "asset", value, "add them to table margin_tier, the first from floor 0")


def imbalances(view: View) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Net and gross quantity of every perp market.

    Returns
    -------
    tuple
        Pairs of the perp markets, sorted; position of each margin row in them, -1 for a row on no perp market;
        signed sums; sums of sizes.
    """
    markets = view.market_pairs("perp")
    markets = markets[markets >= 0]
    at = positions(view.pairs("margin"), markets)
    quantity = view.net.numbers("margin", "quantity")
    return markets, at, _sums(at, quantity, len(markets)), _sums(at, np.abs(quantity), len(markets))


def _sums(at: NDArray[np.int64], values: NDArray[np.float64], markets: int) -> NDArray[np.float64]:
    """Sum of the values of each market; rows on none fall into a bin of their own."""
    return np.asarray(np.bincount(at + 1, weights=values, minlength=markets + 1)[1:], dtype=np.float64)


@check(whole=True)
def unbalanced(view: View) -> Iterator[Finding]:
    """A perp market whose signed quantities do not sum to zero."""
    markets, _, net, gross = imbalances(view)
    for market in np.flatnonzero(np.abs(net) > BALANCED * gross).tolist():
        value = f"perp of {view.pair_name(markets[market])} sums to {net[market]:.6g}, of {gross[market]:.6g} in all"
        yield Finding("unbalanced", "margin", 0, "quantity", value, "add the other side, or ask the loader for residual traders")


@check()
def shares_above_one(view: View) -> Iterator[Finding]:
    """Makers of one market who quote more than all of its depth."""
    pairs, shares = view.pairs("liquidity"), view.net.numbers("liquidity", "share")
    for instrument in ("spot", "perp"):
        rows = np.flatnonzero((pairs >= 0) & view.is_word("liquidity", "instrument", instrument))
        markets, at = np.unique(pairs[rows], return_inverse=True)
        total = np.bincount(at, weights=shares[rows], minlength=len(markets))
        for row, market in zip(rows.tolist(), at.tolist(), strict=True):
            if total[market] > 1 + SHARES:
                value = f"{shares[row]:g} of {total[market]:.6g} in all, on the {instrument} market of {view.pair_name(markets[market])}"
                yield Finding("shares_above_one", "liquidity", row + 1, "share", value, "make the shares of a market sum to at most 1")


@check()
def index_without_weight(view: View) -> Iterator[Finding]:
    """An asset whose markets of one instrument all weigh nothing in its index."""
    weights, coins = view.net.numbers("market", "index_weight"), view.codes("market", "asset")
    for instrument in ("spot", "perp"):
        rows = np.flatnonzero((coins >= 0) & view.is_word("market", "instrument", instrument))
        assets, at = np.unique(coins[rows], return_inverse=True)
        total = np.bincount(at, weights=np.abs(weights[rows]), minlength=len(assets))
        bad = np.zeros(len(coins), dtype=np.bool_)
        bad[rows] = total[at] == 0
        yield from view.report(
            "index_without_weight", "market", "index_weight", bad, f"give one {instrument} market of the asset a weight above 0"
        )

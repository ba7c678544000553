"""Timeline: what changes in which round on a graph: states, prices, insurance funds, and the USD closed by force so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.gephi.states import COIN, EXCHANGE, HOLDER, holder_changes
from contagion.grid import group_sum
from contagion.journal import FORCED, Flow
from contagion.state import NEVER

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from contagion.arrays import Ints
    from contagion.cascade import Cascade
    from contagion.gephi.nodes import Portrait

    Changes = tuple[Ints, Ints, NDArray[Any]]
    """Rows of the node table, rounds, and the values taken then."""


def state_table(cascade: Cascade, portrait: Portrait) -> pd.DataFrame:
    """One row for each node and round in which something of it changes."""
    import pandas as pd

    nodes, rounds = cascade.prepared.system.nodes, cascade.outcome.rounds
    place, count = portrait.place, len(portrait.frame)
    coins, exchanges = place[nodes.coin0 : nodes.exchange0], place[nodes.exchange0 :]
    columns: dict[str, list[Changes]] = {
        "state": [
            _holder_states(portrait, nodes.traders),
            _path_changes(coins, np.array(COIN, dtype=object)[portrait.coins]),
            _path_changes(exchanges, np.array(EXCHANGE, dtype=object)[portrait.exchanges]),
        ],
        "price": [_path_changes(coins, cascade.path("coin_price"))],
        "fund": [_path_changes(exchanges, cascade.path("fund"))],
        "closed_usd": [_closed(cascade, place, count)],
    }
    joined = {name: tuple(np.concatenate(part) for part in zip(*parts, strict=True)) for name, parts in columns.items()}
    keys = np.unique(np.concatenate([row * (rounds + 1) + when for row, when, _ in joined.values()]))
    row, when = np.divmod(keys, rounds + 1)
    frame = pd.DataFrame({"node": portrait.frame["id"].to_numpy(dtype=object)[row], "round": when})
    for name, (node, begin, values) in joined.items():
        column = np.full(keys.size, "", dtype=object) if name == "state" else np.full(keys.size, np.nan)
        column[np.searchsorted(keys, node * (rounds + 1) + begin)] = values
        frame[name] = column
    return frame


def _path_changes(rows: Ints, path: NDArray[Any]) -> Changes:
    """Where a path, rounds × nodes, takes another value than in the round before."""
    new = np.ones(path.shape, dtype=np.bool_)
    new[1:] = path[1:] != path[:-1]
    when, which = np.nonzero(new)
    return rows[which], when, path[when, which]


def _holder_states(portrait: Portrait, traders: int) -> Changes:
    names, frame = np.array(HOLDER, dtype=object), portrait.frame
    cohort = (frame["node_type"] == "cohort").to_numpy()
    shown = np.flatnonzero(~cohort[portrait.place[:traders]])
    node, when, level = holder_changes(portrait.first[:, shown])
    merged = np.flatnonzero(cohort)
    turned = portrait.turned[merged]
    later, soon = merged[turned > 0], merged[turned != NEVER]
    rows = np.concatenate([portrait.place[shown[node]], later, soon])
    begin = np.concatenate([when, np.zeros(later.size, dtype=np.int64), portrait.turned[soon]])
    sound = np.full(later.size, HOLDER[0], dtype=object)
    return rows, begin, np.concatenate([names[level], sound, frame["final_state"].to_numpy(dtype=object)[soon]])


def _closed(cascade: Cascade, place: Ints, count: int) -> Changes:
    """USD closed by force so far: of traders what hit them, of coins and exchanges what was closed on their markets."""
    system, journal = cascade.prepared.system, cascade.outcome.state.journal
    nodes, markets = system.nodes, system.markets
    total = np.zeros((cascade.outcome.rounds + 1, count))
    traders = np.arange(nodes.count) < nodes.traders
    for kind in (*FORCED, Flow.ADL):
        for when, accounts, usd in journal.accounts.get(kind, []):
            owner = system.accounts.owner[accounts]
            own = traders[owner]
            total[when] += group_sum(place[owner[own]], usd[own], count)
        for when, units in journal.units.get(kind, []):
            usd = units * markets.price
            total[when] += group_sum(place[markets.coin + nodes.coin0], usd, count)
            total[when] += group_sum(place[markets.exchange + nodes.exchange0], usd, count)
    return _path_changes(np.arange(count), np.cumsum(total, axis=0))

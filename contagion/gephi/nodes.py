"""A portrait of a run: which of its nodes a graph shows one by one, and which it merges, so that a million accounts fit a picture.

Every exchange, asset and stablecoin stays. So do the traders that matter most, by loss, default, USD closed and exposure;
the others are merged into cohorts of like ones (main exchange × side × final state; without side, then without exchange,
where that makes too many). What is merged is added up, so that no notional and no equity is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from contagion.gephi.states import COIN, EXCHANGE, HOLDER, coin_levels, exchange_levels, final_levels, holder_rounds
from contagion.grid import group_sum
from contagion.journal import FORCED, Flow
from contagion.state import NEVER
from graphs.schema import TRADER

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from contagion.arrays import Floats, Ints
    from contagion.cascade import Cascade
    from contagion.system import System
    from graphs.network import Network

    Texts = NDArray[np.object_]

SIDES: Final = ("long", "short", "hedged", "flat")
HEDGED: Final = 0.1
"""Net over gross notional up to which a trader is hedged rather than long or short."""
LONGEST_LABEL: Final = 25
"""Characters after which readers cut a label off."""
OFF_EXCHANGE: Final = "off exchange"

_COHORT_SHARE = 4
"""Cohorts take at most one of so many places for traders; where like ones make more of them, they are merged further."""
_ROLES = TRADER.by_name["role"].choices
_WORDS = {"long": "longs", "short": "shorts", "hedged": "hedged", "flat": "flat", "": "traders"}


@dataclass(frozen=True, slots=True)
class Portrait:
    """Who is shown.

    Attributes
    ----------
    frame
        The nodes, a row each: exchanges, stablecoins, assets, traders by weight, cohorts.
    place
        Row of the frame that shows each node of the system.
    first
        Round in which each node of the system reached each state of ``HOLDER``.
    coins, exchanges
        Levels of coins and of exchanges, rounds × coins and rounds × exchanges.
    turned
        Round in which each row came into its final state, NEVER if it was in it from the start; for a cohort the round by
        which half of its members had.
    """

    frame: pd.DataFrame
    place: Ints
    first: Ints
    coins: Ints
    exchanges: Ints
    turned: Ints


@dataclass(frozen=True, slots=True)
class _Traits:
    """What traders are compared and merged by: gross notional and all exposure in USD, main exchange, side, final level."""

    gross: Floats
    exposure: Floats
    exchange: Ints
    side: Ints
    level: Ints


def paint_portrait(cascade: Cascade, *, max_nodes: int, net: Network | None) -> Portrait:
    """Choose who is shown, and measure them."""
    first = holder_rounds(cascade)
    traits = _traits(cascade, final_levels(first))
    rows, keys, place = _choose(cascade, traits, max_nodes)
    frame = _frame(cascade, traits, rows, keys, place)
    frame.insert(3, "role", _roles(cascade.prepared.system, net, place, len(frame)))
    coins, exchanges = coin_levels(cascade, first), exchange_levels(cascade, first)
    turned = _add_states(cascade, frame, place, first, (coins, exchanges))
    return Portrait(frame, place, first, coins, exchanges, turned)


def short_label(name: str) -> str:
    """Name on one line of at most 25 characters, cut in the middle, where names of accounts differ least.

    Examples
    --------
    >>> short_label("Binance-directional-00000017")
    'Binance-dire…nal-00000017'
    """
    line = " ".join(name.split()) or "?"
    half = (LONGEST_LABEL - 1) // 2
    return line if len(line) <= LONGEST_LABEL else f"{line[:half]}…{line[-half:]}"


def node_usd(cascade: Cascade, *kinds: Flow) -> Floats:
    """USD at the price of the trade by which flows of these kinds hit the accounts of each node."""
    system = cascade.prepared.system
    total = np.zeros(system.nodes.count)
    for kind in kinds:
        for _, accounts, usd in cascade.outcome.state.journal.accounts.get(kind, []):
            total += group_sum(system.accounts.owner[accounts], usd, total.size)
    return total


def _traits(cascade: Cascade, level: Ints) -> _Traits:
    system, state = cascade.prepared.system, cascade.outcome.state
    accounts, claims, count = system.accounts, system.claims, system.nodes.count
    account, price = state.position_account, system.markets.price[accounts.market]
    # who entered later has a side by what it opened
    usd = np.where(accounts.quantity == 0.0, state.quantity, accounts.quantity) * price
    net = group_sum(accounts.owner[account], usd, count)
    size = group_sum(accounts.owner[account], np.abs(usd), count)
    by_account = group_sum(account, np.abs(accounts.quantity) * price, accounts.count)
    gross = group_sum(accounts.owner, by_account, count)
    exposure = gross.copy()
    for node, amount in (
        (claims.holding_owner, claims.holding_quantity * system.coins.price[claims.holding_coin]),
        (claims.debtor, claims.amount),
        (claims.creditor, claims.amount),
        (claims.maker, claims.maker_share * (system.markets.depth * system.markets.price)[claims.maker_market]),
        (claims.arbitrageur, claims.arbitrage_capacity),
    ):
        exposure += group_sum(node, amount, count)
    exchange = np.full(count, system.nodes.exchanges)
    order = np.lexsort((-accounts.exchange, by_account, accounts.owner))
    exchange[accounts.owner[order]] = accounts.exchange[order]  # the largest of an owner comes last, and stays
    side = np.where(net > 0.0, SIDES.index("long"), SIDES.index("short"))
    side[np.abs(net) <= HEDGED * size] = SIDES.index("hedged")
    side[size == 0.0] = SIDES.index("flat")
    return _Traits(gross, exposure, exchange, side, level)


def _choose(cascade: Cascade, traits: _Traits, max_nodes: int) -> tuple[Ints, Ints, Ints]:
    """Nodes of the system that have a row of their own, keys of the cohorts below them, and everybody's row."""
    nodes = cascade.prepared.system.nodes
    venues = np.concatenate([np.arange(nodes.exchange0, nodes.count), np.arange(nodes.stable0, nodes.exchange0)])
    venues = np.concatenate([venues, np.arange(nodes.coin0, nodes.stable0)])
    room, keys = max(max_nodes - venues.size, 0), np.zeros(nodes.traders, dtype=np.int64)
    order = _by_weight(cascade, traits)
    if order.size > room:
        keys, cohorts = _cohort_keys(traits, nodes.traders, nodes.exchanges, room)
        room = max(room - cohorts, 0)
    rest = order[room:]
    _, group, size = np.unique(keys[rest], return_inverse=True, return_counts=True)
    single = size[group] == 1  # a cohort of one is that trader
    rows = np.concatenate([venues, order[:room], rest[single]])
    codes, group = np.unique(keys[rest[~single]], return_inverse=True)
    place = np.empty(nodes.count, dtype=np.int64)
    place[rows] = np.arange(rows.size)
    place[rest[~single]] = rows.size + group
    return rows, codes, place


def _by_weight(cascade: Cascade, traits: _Traits) -> Ints:
    """Traders, the weightiest first: vaults and whom the shock defaults by name, then by shares in loss, closes and exposure."""
    system, state = cascade.prepared.system, cascade.outcome.state
    count = system.nodes.traders
    loss = np.maximum(cascade.outcome.initial.node_equity - state.node_equity, 0.0)
    score = np.zeros(count)
    for measure in (loss, loss * (state.node_default >= 0), node_usd(cascade, *FORCED, Flow.ADL), traits.exposure):
        total = measure[:count].sum()
        score += measure[:count] / total if total > 0.0 else 0.0
    ahead = state.named[:count].copy()
    vault = system.exchanges.vault_account
    ahead[system.accounts.owner[vault[vault >= 0]]] = True
    return np.lexsort((np.arange(count), -score, ~ahead))


def _cohort_keys(traits: _Traits, traders: int, exchanges: int, room: int) -> tuple[Ints, int]:
    """Key of the cohort that each trader would be in, and the number of cohorts."""
    exchange, side, level = traits.exchange[:traders], traits.side[:traders], traits.level[:traders]
    any_exchange, any_side = np.full(traders, exchanges + 1), np.full(traders, len(SIDES))
    for where, way in ((exchange, side), (exchange, any_side), (any_exchange, any_side)):
        keys = (where * (len(SIDES) + 1) + way) * len(HOLDER) + level
        count = np.unique(keys).size
        if count <= room // _COHORT_SHARE:
            break
    return keys, count


def _frame(cascade: Cascade, traits: _Traits, rows: Ints, keys: Ints, place: Ints) -> pd.DataFrame:
    import pandas as pd

    system = cascade.prepared.system
    nodes, count = system.nodes, rows.size + keys.size
    kinds = np.repeat(["trader", "asset", "stablecoin", "exchange"], [nodes.traders, nodes.assets, nodes.stablecoins, nodes.exchanges])
    venues = np.array([*system.exchanges.names, OFF_EXCHANGE, ""], dtype=object)
    sides = np.array([*SIDES, ""], dtype=object)
    other, level = np.divmod(keys, len(HOLDER))
    where, way = np.divmod(other, len(SIDES) + 1)
    members = np.bincount(place, minlength=count)
    own = rows < nodes.traders  # exchange and side say nothing of a coin or an exchange
    names = nodes.ids.take(rows).to_pylist()
    cohorts = _cohort_names(venues[where], sides[way], level, nodes.ids)
    labels = [f"{_compact(n)} {x} {_WORDS[side]}" for n, x, side in zip(members[rows.size :], venues[where], sides[way], strict=True)]
    frame = pd.DataFrame({"id": [*names, *cohorts], "label": [short_label(name) for name in [*names, *labels]]}, dtype="str")
    frame["node_type"] = [*kinds[rows], *["cohort"] * keys.size]
    frame["exchange"] = np.concatenate([np.where(own, venues[traits.exchange[rows]], ""), venues[where]])
    frame["side"] = np.concatenate([np.where(own, sides[traits.side[rows]], ""), sides[way]])
    frame["members"] = members
    start, end = cascade.outcome.initial.node_equity, cascade.outcome.state.node_equity
    for name, values in (("equity_initial", start), ("equity_final", end), ("loss", start - end)):
        frame[name] = pd.Series(group_sum(place, values, count)).mask(frame["node_type"] == "asset")
    frame["gross_notional"] = group_sum(place, traits.gross, count)
    frame["open_interest"] = _over_markets(system, np.zeros(nodes.count), cascade.open_interest(), place)
    for name, flows, market_flows in (
        ("liquidated_usd", FORCED, FORCED),
        ("adl_usd", (Flow.ADL, Flow.ADL_WINNER), (Flow.ADL,)),
        ("stopped_usd", (Flow.STOP,), (Flow.STOP,)),
    ):
        frame[name] = _over_markets(system, node_usd(cascade, *flows), cascade.closed(*market_flows), place)
    return frame


def _cohort_names(exchanges: Texts, sides: Texts, levels: Ints, ids: pa.StringArray) -> list[str]:
    import pyarrow.compute as pc

    names, taken = [], set(ids.filter(pc.starts_with(ids, "cohort:")).to_pylist())
    for exchange, side, level in zip(exchanges, sides, levels.tolist(), strict=True):
        name = ":".join(part for part in ("cohort", exchange, side, HOLDER[level]) if part)
        while name in taken:
            name += "'"
        names.append(name)
    return names


def _over_markets(system: System, by_node: Floats, by_market: Floats, place: Ints) -> Floats:
    """Amount by row: of traders what hit them, of coins and exchanges what happened on their markets."""
    nodes, markets = system.nodes, system.markets
    amount = by_node.copy()
    amount[nodes.coin0 : nodes.exchange0] = group_sum(markets.coin, by_market, nodes.assets + nodes.stablecoins)
    amount[nodes.exchange0 :] = group_sum(markets.exchange, by_market, nodes.exchanges)
    return group_sum(place, amount, int(place.max(initial=-1)) + 1)


def _compact(number: int) -> str:
    """Number in at most four characters or so.

    Examples
    --------
    >>> [_compact(number) for number in (7, 999, 1234, 56789, 3_400_000)]
    ['7', '999', '1.2k', '57k', '3.4M']
    """
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:.{number < 10 * size:d}f}{unit}"
    return str(number)


def _roles(system: System, net: Network | None, place: Ints, count: int) -> Texts:
    """Role of traders, design of stablecoins; a cohort of different ones is mixed. Without the network, what the system tells."""
    nodes = system.nodes
    words = np.array([*_ROLES, ""], dtype=object)
    code = np.full(nodes.traders, len(_ROLES))
    if net is None or not net.count("trader"):
        code[system.claims.maker[system.claims.maker < nodes.traders]] = _ROLES.index("market_maker")
        vault = system.exchanges.vault_account
        code[system.accounts.owner[vault[vault >= 0]]] = _ROLES.index("vault")
    else:
        known = net.codes("trader", "id", nodes.ids.slice(0, nodes.traders))
        code[known] = net.codes("trader", "role", _ROLES)
    low, high = np.full(count, len(_ROLES)), np.zeros(count, dtype=np.int64)
    np.minimum.at(low, place[: nodes.traders], code)
    np.maximum.at(high, place[: nodes.traders], code)
    roles = np.where(low >= high, words[low], "mixed")
    venues = nodes.count - nodes.traders
    roles[:venues] = ""
    if net is not None and net.count("stablecoin"):
        stable = nodes.ids.slice(nodes.stable0, nodes.stablecoins)
        roles[place[nodes.stable0 + net.codes("stablecoin", "id", stable)]] = net.strings("stablecoin", "design")
    return np.asarray(roles)


def _add_states(cascade: Cascade, frame: pd.DataFrame, place: Ints, first: Ints, paths: tuple[Ints, Ints]) -> Ints:
    """Put final states and their rounds into the frame; ``paths`` are the levels of coins and of exchanges."""
    state, nodes = cascade.outcome.state, cascade.prepared.system.nodes
    count, traders = len(frame), nodes.traders
    level = final_levels(first)[:traders]
    final, turned = np.empty(count, dtype=object), np.full(count, NEVER)
    final[place[:traders]] = np.array(HOLDER, dtype=object)[level]
    for begin, names, path in ((nodes.coin0, COIN, paths[0]), (nodes.exchange0, EXCHANGE, paths[1])):
        rows = place[begin : begin + path.shape[1]]
        final[rows] = np.array(names, dtype=object)[path[-1]]
        other = path[::-1] != path[-1]
        turned[rows] = np.where(other.any(axis=0), len(path) - other.argmax(axis=0), np.where(path[-1] > 0, 0, NEVER))
    # the middle member of a cohort; a trader is the middle of itself
    when = np.where(level > 0, first[level, np.arange(traders)], NEVER)
    order = np.lexsort((when, place[:traders]))
    members = np.bincount(place[:traders], minlength=count)
    some = np.flatnonzero(members)
    turned[some] = when[order[(np.cumsum(members) - members + (members + 1) // 2 - 1)[some]]]
    frame["final_state"] = final
    frame["state_round"] = _maybe(turned, turned != NEVER)
    frame["state_time"] = [cascade.time_of(int(when)) if when != NEVER else "" for when in turned]
    failed = np.full(count, -1)
    alone = members[place] <= 1
    failed[place[alone]] = state.node_default[alone]
    failed = np.where((members > 1) & (final == "defaulted"), turned, failed)
    frame["default_round"] = _maybe(failed, failed >= 0)
    shocked = np.zeros(count, dtype=np.bool_)
    shocked[place[first[HOLDER.index("shocked")] != NEVER]] = True
    frame["shocked"] = shocked
    return turned


def _maybe(rounds: Ints, some: NDArray[np.bool_]) -> pd.Series[int]:
    """Rounds as whole numbers with a gap where there was none."""
    import pandas as pd

    return pd.Series(np.where(some, rounds, 0), dtype="Int64").mask(pd.Series(~some))

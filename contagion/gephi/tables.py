"""A run, or a network alone, as a graph of bounded size, in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contagion.gephi.edges import edge_table
from contagion.gephi.looks import dress
from contagion.gephi.nodes import paint_portrait
from contagion.gephi.timeline import state_table

if TYPE_CHECKING:
    import pandas as pd

    from contagion.cascade import Cascade
    from graphs.network import Network

TABLES: Final = ("graph_nodes", "graph_edges", "graph_states", "graph_about")
"""Names of the tables; the last is one row about the whole."""
MAX_NODES: Final = 2000


def graph_tables(cascade: Cascade, *, max_nodes: int = MAX_NODES, seed: int = 0, net: Network | None = None) -> dict[str, pd.DataFrame]:
    """Tables of a run as a graph.

    Parameters
    ----------
    cascade
        The run.
    max_nodes
        Most nodes that are shown. Exchanges, assets and stablecoins all are, then the traders that matter most; the others are
        merged into cohorts, with the sums of their notionals and equities. There are more nodes only where exchanges, coins and
        a cohort for each final state need more.
    seed
        Of the layout.
    net
        The network of the run, where roles of traders and designs of stablecoins are to be shown.

    Returns
    -------
    dict
        ``graph_nodes``, ``graph_edges``, ``graph_states`` (what changes in which round; empty is no change) and ``graph_about``.

    Examples
    --------
    >>> from contagion.cascade import run
    >>> from contagion.scenario import Scenario
    >>> from graphs.toys import one_book_ladder
    >>> tables = graph_tables(run(one_book_ladder(), Scenario.from_shocks(["COIN=-5%"])))
    >>> tables["graph_nodes"].groupby("node_type").size().to_dict()
    {'asset': 1, 'exchange': 1, 'trader': 6}
    """
    portrait = paint_portrait(cascade, max_nodes=max_nodes, net=net)
    nodes = portrait.frame
    edges = edge_table(cascade, portrait.place, nodes["id"].to_numpy(dtype=object))
    dress(nodes, edges, rounds=cascade.outcome.rounds, seed=seed)
    made = (nodes, edges, state_table(cascade, portrait), _about(cascade))
    return {name: _with_texts(table) for name, table in zip(TABLES, made, strict=True)}


def network_graph(net: Network, *, max_nodes: int = MAX_NODES, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Tables of a network alone, in the form of :func:`graph_tables`: no round, every node sound.

    Parameters
    ----------
    net
        The network.
    max_nodes, seed
        As for :func:`graph_tables`.

    Returns
    -------
    dict
        The tables.

    Raises
    ------
    CheckError
        If the network breaks the rules of its schema.

    Examples
    --------
    >>> from graphs.toys import interbank_ring
    >>> network_graph(interbank_ring(n=3))["graph_edges"][["source", "target", "kind"]].values.tolist()
    [['Bank1', 'Bank2', 'credit#1'], ['Bank2', 'Bank3', 'credit#1'], ['Bank3', 'Bank1', 'credit#1']]
    """
    return graph_tables(_at_rest(net), max_nodes=max_nodes, seed=seed, net=net)


def _at_rest(net: Network) -> Cascade:
    """A run of no rounds: what its first round starts from."""
    from contagion.cascade import Cascade
    from contagion.engine import Outcome, prepare, simulate
    from contagion.scenario import Scenario
    from contagion.settings import Settings
    from contagion.state import initial_state

    prepared, settings = prepare(net, Scenario()), Settings(max_rounds=1)
    first = simulate(prepared, settings=settings)
    state = initial_state(first.state.system, settings)
    state.equity, state.node_equity = first.initial.equity, first.initial.node_equity
    for name, series in first.state.journal.series.items():
        state.journal.series[name] = series[:1]
    rest = Outcome(first.initial, state, "settled", 0, 0.0, None)
    return Cascade(prepared, settings, rest, rest)


def _about(cascade: Cascade) -> pd.DataFrame:
    import pandas as pd

    prepared, rounds = cascade.prepared, cascade.outcome.rounds
    name, scenario = prepared.system.name, prepared.scenario
    if not rounds:
        title, text = name, f"as of {prepared.system.as_of}" if prepared.system.as_of else ""
    else:
        title = f"{name} under {scenario.name}"
        last = cascade.time_of(rounds)
        when = f", {cascade.time_of(0)} to {last}, {scenario.clock.round_seconds:g} s each" if scenario.clock else ""
        text = f"rounds 0 to {rounds}{when}. {cascade.verdict.sentence}"
    return pd.DataFrame({"title": [title], "description": [text], "rounds": [rounds]})


def _with_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Give columns of objects the type of text, also where there is no row to tell it by."""
    return table.astype(dict.fromkeys(table.columns[table.dtypes == "object"], "str"))

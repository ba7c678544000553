"""Gephi: a run, or a network alone, as a graph of bounded size, in tables and in the files of graph programs.

:func:`graph_tables` makes the tables, which a run directory keeps as Parquet; :func:`write_graph` turns them into a file.
Rounds are a timeline from 0 to the end of the run: states, prices, insurance funds and the USD closed so far change along
it, and an edge goes when what it stands for has been closed. Everything is a function of the run and the seed alone.

=============  ==============================================================================================
table          rows
=============  ==============================================================================================
graph_nodes    exchanges, stablecoins, assets, traders by weight, cohorts of like traders
graph_edges    exposures by source, target and ``kind`` (``margin@Binance#long``); ``layer`` is the kind of the schema
graph_states   what changes at a node in a round; an empty cell is no change
graph_about    one: title, description, number of the last round
=============  ==============================================================================================
"""

from contagion.gephi.files import SUFFIXES, write_graph
from contagion.gephi.tables import MAX_NODES, TABLES, graph_tables, network_graph

__all__ = ["MAX_NODES", "SUFFIXES", "TABLES", "graph_tables", "network_graph", "write_graph"]

"""The same network with its rows in another order, or with other names.

No answer may depend on either, which tests show; who publishes a snapshot of accounts can hide whose they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from graphs.errors import GraphError
from graphs.generate.plan import stream
from graphs.schema import NODES, TABLES, USD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphs.network import Network


def shuffle_network(net: Network, seed: int) -> Network:
    """Return the network with the rows of every table in another order.

    Parameters
    ----------
    net
        Any network.
    seed
        What the orders are drawn from.

    Returns
    -------
    Network
        The same rows.

    Examples
    --------
    >>> from graphs.toys import interbank_ring
    >>> shuffle_network(interbank_ring(), 1).node_ids("trader")
    ['Bank3', 'Bank1', 'Bank4', 'Bank2']
    """
    return net.with_tables(
        **{kind: data.take(pa.array(stream(seed, kind).permutation(data.num_rows))) for kind, data in net.tables.items()}
    )


def rename_network(net: Network, mapping: Mapping[str, str]) -> Network:
    """Return the network with other ids, wherever they stand.

    Parameters
    ----------
    net
        Any network whose ids are unique.
    mapping
        New id by old id; a node that is not in it keeps its own.

    Returns
    -------
    Network
        The same rows in the same order.

    Raises
    ------
    GraphError
        If an old id is no node's, or a new one is another node's, empty, or that of the settlement currency.

    Examples
    --------
    >>> from graphs.toys import interbank_ring
    >>> rename_network(interbank_ring(), {"Bank1": "A"}).strings("credit", "creditor")
    array(['Bank2', 'Bank3', 'Bank4', 'A'], dtype=object)
    """
    ids = [name for kind in NODES for name in net.node_ids(kind)]
    unknown = mapping.keys() - set(ids)
    if unknown:
        raise GraphError(f"rename: no node is called {_listed(unknown)}; take it out of the mapping")
    taken = {"", USD}
    refused: set[str] = set()
    for name in ids:
        new = mapping.get(name, name)
        (refused if new in taken else taken).add(new)
    if refused:
        raise GraphError(f"rename: {_listed(refused)} would stand for two nodes, for none or for the settlement currency; choose other ids")
    return net.with_tables(**{kind: _renamed(kind, data, mapping) for kind, data in net.tables.items()})


def _listed(names: set[str]) -> str:
    return ", ".join(map(repr, sorted(names)))


def _renamed(kind: str, data: pa.Table, mapping: Mapping[str, str]) -> pa.Table:
    columns = {}
    for name in data.column_names:
        columns[name] = data[name]
        if name == "id" or TABLES[kind].by_name[name].refers:
            cells = data[name].combine_chunks()
            cells = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
            words = pa.array([mapping.get(word, word) for word in cells.dictionary.to_pylist()], pa.string())
            columns[name] = pa.DictionaryArray.from_arrays(cells.indices, words)
    return pa.table(columns)

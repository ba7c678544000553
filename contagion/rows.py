"""Rows: putting columns and rows into the Arrow tables of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping


def with_column(table: pa.Table, name: str, cells: pa.Array) -> pa.Table:
    """Table with a column replaced, or added where it was left to its default.

    Examples
    --------
    >>> with_column(pa.table({"id": ["A"]}), "cash", pa.array([1.0])).column_names
    ['id', 'cash']
    """
    place = table.schema.get_field_index(name)
    return table.append_column(name, cells) if place < 0 else table.set_column(place, name, cells)


def with_rows(table: pa.Table | None, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Table with more rows; cells of columns that they lack are empty.

    Examples
    --------
    >>> with_rows(pa.table({"id": ["A"], "cash": [1.0]}), {"id": pa.array(["B"])})["cash"].to_pylist()
    [1.0, None]
    """
    more = pa.table(dict(columns))
    if table is None:
        return more
    for place, column in enumerate(more.schema):
        known = table.schema.get_field_index(column.name) >= 0
        if known and pa.types.is_dictionary(table.schema.field(column.name).type):
            more = more.set_column(place, column.name, more[column.name].dictionary_encode())
    return pa.concat_tables([table, more], promote_options="default")

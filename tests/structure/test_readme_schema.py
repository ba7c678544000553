"""README's list of tables is that of the schema: every table, every column in its order, which must be there, and its unit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphs.schema import TABLES, Column, Table

README = Path(__file__).resolve().parents[2] / "README.md"


def _cell(column: Column) -> str:
    name = f"**`{column.name}`**" if column.required else f"`{column.name}`"
    unit = f" ({column.unit})" if column.unit else ""
    return name + unit


def _row(table: Table) -> str:
    return f"| `{table.kind}` | {table.doc} | {', '.join(map(_cell, table.columns))} |"


@pytest.mark.parametrize("kind", TABLES)
def test_the_readme_has_the_row_of_the_table(kind: str) -> None:
    assert _row(TABLES[kind]) in README.read_text(encoding="utf-8").splitlines(), f"put this row into README.md:\n{_row(TABLES[kind])}"


def test_the_readme_has_no_table_that_the_schema_lacks() -> None:
    after = README.read_text(encoding="utf-8").partition("| table | what it holds | columns |")[2]
    rows = re.match(r"\n\|[ -|]+\n((?:\|.*\n)+)", after)
    assert rows is not None
    assert re.findall(r"^\| `(\w+)` \|", rows[1], re.MULTILINE) == list(TABLES)

"""A network as a directory: ``network.toml`` and one table a kind, ``margin.csv`` or ``margin.parquet``.

The description bears ``format``, ``name``, ``as_of`` and ``sources``. In a CSV table (UTF-8, commas, a header) an
empty cell is an empty cell of the network and floats are written with the fewest digits that read back as the same
number. Parquet tables are read one row group at a time with their text columns dictionary-encoded, so that the peak
of memory is the size of the arrays and one row group. Files that are no tables may lie beside; nothing else is let pass.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from graphs.columns import TEXT, TYPES, WORDS, close_matches, conform_table, did_you_mean, unknown_columns
from graphs.errors import CheckError, Finding, ReadError
from graphs.files import WriteError, one_line, staged_directory
from graphs.network import Network
from graphs.schema import TABLES

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow.parquet as pq

DESCRIPTION = "network.toml"
FORMAT = 1
ROWS_A_GROUP = 1 << 19
"""Rows of a Parquet row group: what is held twice while a table is read."""

_SUFFIXES = (".csv", ".parquet")
_OTHER_TABLES = (".arrow", ".feather", ".gz", ".json", ".tsv", ".xls", ".xlsx", ".zip")
_TRUE, _FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
_CELLS = {
    "float": re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)\s*", re.ASCII | re.IGNORECASE),
    "int": re.compile(r"\s*-?\d{1,18}\s*", re.ASCII),
    "bool": re.compile("|".join(_TRUE + _FALSE)),
}
_SHOWN = 100
_LONGEST_NAME = 200


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read a network from a directory that :func:`write_network` or a person has written.

    Parameters
    ----------
    path
        The directory.

    Returns
    -------
    Network
        As it stands there; whether it makes sense is for :func:`graphs.checks.check_network` to say.

    Raises
    ------
    ReadError
        If there is no such directory, a file in it is not the table that its name says, a kind is there twice or is
        unknown, or a cell is not of its column's type; the message names file, row, column, value and remedy.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise ReadError(f"{path}: is no directory; name the directory that holds {DESCRIPTION}")
    header = _read_description(directory / DESCRIPTION)
    tables = {}
    for kind, file in sorted(_find_tables(directory).items()):
        try:
            tables[kind] = _read_parquet(kind, file) if file.suffix == ".parquet" else _read_csv(kind, file)
        except OSError as error:
            raise ReadError(f"{file}: cannot be read, {error.strerror or error}; write it again, or see to its rights") from error
    return _described(header, directory / DESCRIPTION, tables)


def write_network(
    net: Network,
    path: str | os.PathLike[str],
    *,
    format: Literal["csv", "parquet"] = "csv",  # noqa: A002 - the word of the field
    overwrite: bool = False,
) -> None:
    """Write a network to a directory, whole or not at all.

    Parameters
    ----------
    net
        The network; reading it back gives an equal one.
    path
        The directory to make.
    format
        Of the tables.
    overwrite
        Whether a network that is there already may be replaced. Files beside its tables are kept.

    Raises
    ------
    WriteError
        If there is something of that name that may not be replaced, or no room.
    """
    if format not in {"csv", "parquet"}:
        raise WriteError(f"{format!r} is no format of tables; use 'csv' or 'parquet'")
    old = Path(path).resolve()
    if overwrite and old.is_dir() and any(old.iterdir()) and not (old / DESCRIPTION).is_file():
        raise WriteError(f"{path}: has no {DESCRIPTION}, so it is no network that could be replaced; choose another name")
    with staged_directory(path, overwrite=overwrite) as stage:
        (stage / DESCRIPTION).write_text(_description(net), encoding="utf-8", newline="\n")
        for kind, table in net.tables.items():
            if format == "parquet":
                _write_parquet(table, stage / f"{kind}.parquet")
            else:
                _write_csv(table, stage / f"{kind}.csv")
        if old.is_dir():
            _keep_others(old, stage)


def _keep_others(old: Path, stage: Path) -> None:
    tables = {f"{kind}{suffix}" for kind in TABLES for suffix in _SUFFIXES} | {DESCRIPTION}
    for entry in old.iterdir():
        if entry.name in tables and entry.is_file():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, stage / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, stage / entry.name, follow_symlinks=False)


def _description(net: Network) -> str:
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

    sources = "".join(f"    {text(source)},\n" for source in net.sources)
    listed = f"[\n{sources}]" if sources else "[]"
    return f"format = {FORMAT}\nname = {text(net.name)}\nas_of = {text(net.as_of)}\nsources = {listed}\n"


def _read_description(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            header = tomllib.load(stream)
    except FileNotFoundError:
        raise ReadError(f"{file}: is not there; a network's directory holds one with name, as_of and sources") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReadError(f"{file}: is no TOML, {error}; write lines such as name = 'my network'") from error
    except OSError as error:
        raise ReadError(f"{file}: cannot be read, {error.strerror}; see to its rights") from error
    known = ("format", "name", "as_of", "sources")
    for key in header:
        if key not in known:
            remedy = did_you_mean(key, known, f"remove it, or use one of {', '.join(known)}")
            raise ReadError(f"{file}, key {key}: no such key; {remedy}")
    if header.get("format", FORMAT) != FORMAT:
        raise ReadError(f"{file}, key format: {header['format']!r} is unknown here, which reads format {FORMAT}; use a newer version")
    if isinstance(header.get("as_of"), (date, datetime)):
        header["as_of"] = header["as_of"].isoformat()
    sources = header.get("sources", [])
    for key, right, wanted in (
        ("name", isinstance(header.get("name"), str), "text"),
        ("as_of", isinstance(header.get("as_of", ""), str), "a time in ISO 8601"),
        ("sources", isinstance(sources, list) and all(isinstance(source, str) for source in sources), "a list of texts"),
    ):
        if not right:
            raise ReadError(f"{file}, key {key}: {header.get(key)!r}; write {wanted}")
    return header


def _described(header: dict[str, Any], file: Path, tables: dict[str, pa.Table]) -> Network:
    try:
        return Network(header["name"], header.get("as_of", ""), tuple(header.get("sources", ())), tables)
    except CheckError as error:
        raise ReadError(_sentence(file, error.findings)) from error


def _find_tables(directory: Path) -> dict[str, Path]:
    """Find one file a kind; what looks like a table and is none of the schema's is an error."""
    tables: dict[str, Path] = {}
    for file in sorted(directory.iterdir()):
        kind, suffix = file.name.split(".", 1)[0], file.suffix
        if file.name.startswith("."):
            continue
        if file.stem in TABLES and suffix in _SUFFIXES:
            if file.stem in tables:
                raise ReadError(f"{file}: the table is there as {tables[file.stem].name} too; remove one of the two")
            if file.is_dir():
                raise ReadError(f"{file}: is a directory; a table is a file")
            tables[file.stem] = file
        elif suffix.lower() in _SUFFIXES:
            meant = [f"{known}{suffix.lower()}" for known in close_matches(file.stem, TABLES)]
            remedy = f"did you mean {' or '.join(meant)}?" if meant else f"move it elsewhere, or name it after one of {', '.join(TABLES)}"
            raise ReadError(f"{file}: no such table; {remedy}")
        elif kind in TABLES and suffix.lower() in _OTHER_TABLES:
            raise ReadError(f"{file}: is not read; save the table as {kind}.csv or {kind}.parquet")
    return tables


def _read_parquet(kind: str, file: Path) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
        _refuse(file, unknown_columns(kind, names))
        _refuse_missing(kind, file, names)
        known = TABLES[kind].by_name
        words = [name for name in names if known[name].dtype == "string" and name != "id"]
        with pq.ParquetFile(file, read_dictionary=words, pre_buffer=False) as parquet:
            return _row_groups(kind, file, parquet)
    except pa.ArrowException as error:
        raise ReadError(f"{file}: is no Parquet table, {one_line(error)}; write it again, or as {kind}.csv") from error


def _row_groups(kind: str, file: Path, parquet: pq.ParquetFile) -> pa.Table:
    """Read and conform one row group after the other, so that only one is held twice."""
    groups, first = [], 1
    for number in range(parquet.num_row_groups):
        group, found = conform_table(kind, parquet.read_row_group(number), first_row=first)
        _refuse(file, found)
        groups.append(group)
        first += group.num_rows
    if not groups:
        groups = [conform_table(kind, parquet.schema_arrow.empty_table())[0]]
    # A group without a cell in a column does not have the column.
    return pa.concat_tables(groups, promote_options="default")


def _read_csv(kind: str, file: Path) -> pa.Table:
    from pyarrow import csv as arrow_csv

    names, rows = _read_header(file)
    _refuse(file, unknown_columns(kind, names))
    _refuse_missing(kind, file, names)
    known = TABLES[kind].by_name
    types = {name: TEXT if known[name].dtype == "string" and name != "id" else TYPES[known[name].dtype] for name in names}
    if not rows:
        return pa.schema(types.items()).empty_table()
    try:
        return arrow_csv.read_csv(
            file,
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                true_values=_TRUE,
                false_values=_FALSE,
            ),
        )
    except pa.ArrowInvalid as error:
        try:
            _refuse(file, list(_misfits(kind, file, names)))
        except UnicodeDecodeError:
            raise ReadError(f"{file}, line {_undecodable(file)}: is no text in UTF-8; save the table as CSV in UTF-8") from error
        except csv.Error as broken:
            raise ReadError(f"{file}: is no CSV table, {broken}; write it again") from error
        raise ReadError(f"{file}: is no CSV table, {one_line(error)}; write it again") from error


def _read_header(file: Path) -> tuple[list[str], bool]:
    """Column names, and whether any row follows."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            line = stream.readline(1 << 16)
            names = next(csv.reader([line]), [])
            rows = any(following.strip() for following in stream)
    except UnicodeDecodeError as error:
        raise ReadError(f"{file}, line {_undecodable(file)}: is no text in UTF-8; save the table as CSV in UTF-8") from error
    if not names:
        raise ReadError(f"{file}: has no header; write the names of the columns in the first line")
    if not all(name.isprintable() and len(name) < _LONGEST_NAME for name in names):
        raise ReadError(f"{file}: is no CSV table, its first line holds no names of columns; write them there, with commas between")
    return names, rows


def _undecodable(file: Path) -> int:
    """Return the number of the first line that is no UTF-8."""
    with file.open("rb") as stream:
        return next(number for number, line in enumerate(stream, 1) if line.decode(errors="ignore").encode() != line)


def _misfits(kind: str, file: Path, names: Sequence[str]) -> Iterator[Finding]:
    """Find every ragged row and every cell that is not of its column's type; only called when there is one."""
    known = TABLES[kind].by_name
    patterns = [(name, known[name].dtype, _CELLS.get(known[name].dtype)) for name in names]
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        next(reader)
        for row, cells in enumerate((cells for cells in reader if cells), 1):
            if len(cells) != len(names):
                remedy = f"write {len(names)}, as in the header, and quote a cell that has a comma in it"
                yield Finding("ragged_row", kind, row, "", f"{len(cells)} cells", remedy)
                continue
            for (name, dtype, pattern), cell in zip(patterns, cells, strict=True):
                if pattern and cell and not pattern.fullmatch(cell):
                    yield Finding("wrong_type", kind, row, name, repr(cell), f"write {WORDS[dtype]}")


def _refuse_missing(kind: str, file: Path, names: Sequence[str]) -> None:
    missing = [column.name for column in TABLES[kind].columns if column.required and column.name not in names]
    if missing:
        raise ReadError(f"{file}: has no column {', '.join(missing)}; add it, table {kind} needs {'it' if len(missing) == 1 else 'them'}")


def _refuse(file: Path, found: Sequence[Finding]) -> None:
    if found:
        raise ReadError(_sentence(file, found))


def _sentence(file: Path, found: Sequence[Finding]) -> str:
    """One sentence on all that is wrong with a file: the first place in full, then every other."""

    def place(finding: Finding) -> str:
        row = f"row {finding.row}" if finding.row else ""
        column = f"column {finding.column}" if finding.column else ""
        return ", ".join(filter(None, (row, column))) + f": {finding.value}"

    others = [place(finding) for finding in found[1:]]
    more = f"; {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    also = f" (also {'; '.join(others[:_SHOWN])}{more})" if others else ""
    return f"{file}, {place(found[0])}; {found[0].remedy}{also}"


def _write_parquet(table: pa.Table, file: Path) -> None:
    import pyarrow.parquet as pq

    # A dictionary goes into every row group whole, so each group is given its own words as text: the file's encoder
    # keeps only those that stand in it.
    schema = pa.schema([(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in table.schema])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, max(table.num_rows, 1), ROWS_A_GROUP):
            writer.write_table(table.slice(start, ROWS_A_GROUP).cast(schema), row_group_size=ROWS_A_GROUP)


def _write_csv(table: pa.Table, file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        # The writer sees no need to quote a carriage return, at which the reader would end the row.
        quoting: Literal[0, 1] = csv.QUOTE_ALL if _has_carriage_return(table) else csv.QUOTE_MINIMAL
        writer = csv.writer(stream, lineterminator="\n", quoting=quoting)
        writer.writerow(table.column_names)
        for batch in table.to_batches(max_chunksize=1 << 16):
            writer.writerows(zip(*(_cells(column) for column in batch.columns), strict=True))


def _has_carriage_return(table: pa.Table) -> bool:
    texts = (column.cast(pa.string()) for column in table.columns if column.type == pa.string() or pa.types.is_dictionary(column.type))
    return any(pc.any(pc.match_substring(text, "\r")).as_py() for text in texts)


def _cells(column: pa.Array) -> Iterable[Any]:
    """Python values: the writer spells floats by ``repr`` and None as an empty cell."""
    if pa.types.is_boolean(column.type):
        return (None if cell is None else "true" if cell else "false" for cell in column.to_pylist())
    cells: list[Any] = column.to_pylist()
    return cells

"""Networks as directories: exact round trips, whole or nothing, and a sentence for what is no table."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphs import tables
from graphs.errors import ReadError
from graphs.files import WriteError, staged_file
from graphs.network import Network
from graphs.schema import TABLES
from graphs.tables import read_network, write_network
from tests.graphs.samples import any_networks, frames, sound

if TYPE_CHECKING:
    from typing import Literal

    Format = Literal["csv", "parquet"]

HEADER = "owner,asset,exchange,quantity,entry_price"


def sources(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


@settings(max_examples=60)
@example(Network("0", tables={"asset": pa.table({"id": ["\r", "0\r", "\0"], "price": [0.0, 1.0, 2.0]})}), "csv")
@given(any_networks(), st.sampled_from(["csv", "parquet"]))
def test_a_round_trip_is_exact(net: Network, form: Format) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_network(net, Path(directory) / "net", format=form)
        back = read_network(Path(directory) / "net")
        assert back.equals(net)
        assert set(back.tables) == set(net.tables)
        write_network(back, Path(directory) / "again", format=form)
        assert form == "parquet" or sources(Path(directory) / "again") == sources(Path(directory) / "net")


def test_every_float_survives_a_csv(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2**64, 50_000, dtype=np.uint64)
    cash = np.concatenate([bits.view(np.float64), [5e-324, -0.0, 0.1 + 0.2, 1e16, 1.7976931348623157e308]])
    ids = [f"t{n}" for n in range(len(cash))]
    net = Network("floats", tables={"trader": pa.table({"id": ids, "cash": cash})})
    write_network(net, tmp_path / "net")
    assert read_network(tmp_path / "net").equals(net)


def test_the_description_is_toml(tmp_path: Path) -> None:
    net = Network('a "name"\n\x7f\\ü', "2025-10-10", ("one", "two, \x01"))
    write_network(net, tmp_path / "net")
    assert tomllib.loads((tmp_path / "net" / "network.toml").read_text(encoding="utf-8")) == {
        "format": 1,
        "name": net.name,
        "as_of": net.as_of,
        "sources": list(net.sources),
    }


def test_a_hand_written_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "network.toml").write_text('name = "mine"\nas_of = 2025-10-10T20:50:00Z\n')
    (tmp_path / "trader.csv").write_text('\ufeffcash,id\r\n\r\n 1e3 ,ann\r\n,"bob, ""b"""\r\n', encoding="utf-8", newline="")
    (tmp_path / "exchange.csv").write_text("id,outage,halt_rounds\nX,TRUE,2\nY,0,\n")
    (tmp_path / "README.md").write_text("a note")
    (tmp_path / ".margin.csv.swp").write_text("what an editor leaves")
    net = read_network(tmp_path)
    assert (net.name, net.as_of) == ("mine", "2025-10-10T20:50:00+00:00")
    assert net.node_ids("trader") == ["ann", 'bob, "b"']
    assert net.numbers("trader", "cash").tolist() == [1000.0, 0.0]
    assert net.numbers("exchange", "outage").tolist() == [True, False]
    assert net.numbers("exchange", "halt_rounds").tolist() == [2, 1]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_encoded_text_is_read_as_encoded(tmp_path: Path, form: Format) -> None:
    write_network(sound(), tmp_path / "net", format=form)
    net = read_network(tmp_path / "net")
    assert all(pa.types.is_dictionary(net.column("margin", name).type) for name in ("owner", "asset", "exchange", "mode"))
    assert net.equals(sound())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            f"{HEADER}\na,b,c,1,1\na,b,c,x,1\na,b,c,2,0x1\n",
            "margin.csv, row 2, column quantity: 'x'; write a number (also row 3, column entry_price: '0x1')",
        ),
        (
            f"{HEADER}\na,b,c,1\n\na,b,c,1,1,1\n",
            "row 1: 4 cells; write 5, as in the header, and quote a cell that has a comma in it (also row 2: 6 cells)",
        ),
        (f"{HEADER},order\na,b,c,1,1,1.5\n", "row 1, column order: '1.5'; write a whole number"),
        (f'{HEADER}\n"a,b,c,1,1\n', "row 1: 1 cells"),
        (HEADER.replace("owner", "Owner"), "column Owner: no such column; did you mean 'owner'?"),
        (HEADER.replace(",", ";"), "no such column"),
        (f"{HEADER},owner\n", "column owner: the column is there more than once; keep one of them"),
        ("owner,asset,quantity\n", "has no column exchange, entry_price; add it, table margin needs them"),
        ("", "has no header"),
        ("\n\n", "has no header"),
        (f'{HEADER}\n"{"a" * 200_000}\n', "is no CSV table, field larger than field limit"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "line 1: is no text in UTF-8"),
        (b"PK\x03\x04\x00\x00\n1", "its first line holds no names of columns"),
        (HEADER.encode() + b"\na,b,\xe9,1,1\n", "line 2: is no text in UTF-8"),
        (HEADER.encode() + b"\na,b,c,1,1\na,b,\xe9,1,1\n", "line 3: is no text in UTF-8"),
        (HEADER.encode() + 3000 * b"\na,b,c,1,1" + b"\na,b,\xe9,1,1\n", "line 3002: is no text in UTF-8"),
    ],
)
def test_a_csv_that_is_no_table_is_refused(tmp_path: Path, body: str | bytes, said: str) -> None:
    write_network(Network("x"), tmp_path / "net")
    file = tmp_path / "net" / "margin.csv"
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    with pytest.raises(ReadError) as caught:
        read_network(tmp_path / "net")
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parquet_that_is_no_table_is_refused(tmp_path: Path) -> None:
    write_network(Network("x"), tmp_path / "net")
    file = tmp_path / "net" / "trader.parquet"
    for content, said in (
        (b"", "is no Parquet table"),
        (b"PAR1 and so on PAR1", "is no Parquet table"),
        (pa.table({"id": ["a"], "csh": [1.0]}), "did you mean 'cash'"),
        (pa.table({"cash": [1.0]}), "has no column id"),
        (pa.table({"id": ["a", "b"], "cash": ["1", "2"]}), "column cash: '1' is of type string; write a number"),
        (pa.table({"id": ["a"], "cash": [2**53 + 1]}), "row 1, column cash: 9007199254740993"),
    ):
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            pq.write_table(content, file)
        with pytest.raises(ReadError) as caught:
            read_network(tmp_path / "net")
        assert str(file) in str(caught.value)
        assert said in str(caught.value)
    write_network(sound(), tmp_path / "torn", format="parquet")
    torn = tmp_path / "torn" / "margin.parquet"
    whole = torn.read_bytes()
    torn.write_bytes(b"PAR1" + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    with pytest.raises(ReadError, match="write it again"):
        read_network(tmp_path / "torn")


def test_rows_are_counted_over_row_groups(tmp_path: Path) -> None:
    write_network(Network("x"), tmp_path / "net")
    exchange = pa.table({"id": list("abcde"), "halt_rounds": [1.0, 1.0, 1.0, 1.5, 1.0]})
    pq.write_table(exchange, tmp_path / "net" / "exchange.parquet", row_group_size=2)
    with pytest.raises(ReadError, match=r"row 4, column halt_rounds: 1\.5; write a whole number"):
        read_network(tmp_path / "net")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trdaer.csv", "no such table; did you mean trader.csv?"),
        ("notes.parquet", "no such table; move it elsewhere, or name it after one of trader, asset"),
        ("margin.CSV", "no such table; did you mean margin.csv?"),
        ("margin.parquet", "the table is there as margin.csv too; remove one of the two"),
        ("margin.csv.gz", "is not read; save the table as margin.csv or margin.parquet"),
        ("credit.xlsx", "is not read; save the table as credit.csv or credit.parquet"),
    ],
)
def test_stray_tables_are_refused(tmp_path: Path, name: str, said: str) -> None:
    write_network(sound().with_tables(credit=None), tmp_path / "net")
    (tmp_path / "net" / name).write_bytes(b"")
    with pytest.raises(ReadError) as caught:
        read_network(tmp_path / "net")
    assert f"{tmp_path / 'net' / name}: {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"name = ", "is no TOML"),
        (b"\xff", "is no TOML"),
        (b"", "key name: None; write text"),
        (b"name = 1", "key name: 1; write text"),
        (b'name = "x"\nsource = ["a"]', "key source: no such key; did you mean 'sources'?"),
        (b'name = "x"\nsources = "a"', "key sources: 'a'; write a list of texts"),
        (b'name = "x"\nas_of = "Friday"', "column as_of: 'Friday'; write it in ISO 8601"),
        (b'name = "x"\nformat = 2', "key format: 2 is unknown here"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    (tmp_path / "network.toml").write_bytes(body)
    with pytest.raises(ReadError) as caught:
        read_network(tmp_path)
    assert str(tmp_path / "network.toml") in str(caught.value)
    assert said in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="is no directory"):
        read_network(tmp_path / "nowhere")
    with pytest.raises(ReadError, match=r"network\.toml: is not there"):
        read_network(tmp_path)
    write_network(Network("x"), tmp_path / "net")
    (tmp_path / "net" / "network.toml").rename(tmp_path / "kept")
    (tmp_path / "net" / "network.toml").mkdir()
    with pytest.raises(ReadError, match=r"network\.toml: cannot be read"):
        read_network(tmp_path / "net")
    (tmp_path / "net" / "network.toml").rmdir()
    (tmp_path / "kept").rename(tmp_path / "net" / "network.toml")
    (tmp_path / "net" / "margin.csv").mkdir()
    with pytest.raises(ReadError, match=r"margin\.csv: is a directory; a table is a file"):
        read_network(tmp_path / "net")


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    write_network(sound(), tmp_path / "net")
    before = sources(tmp_path)
    with pytest.raises(WriteError, match="is there already"):
        write_network(Network("x"), tmp_path / "net")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(WriteError, match=r"has no network\.toml"):
        write_network(sound(), tmp_path / "home", overwrite=True)
    with pytest.raises(WriteError, match="is a file; name a directory"):
        write_network(sound(), tmp_path / "home" / "letter.txt", overwrite=True)
    with pytest.raises(WriteError, match="cannot be written"):
        write_network(sound(), tmp_path / "home" / "letter.txt" / "net")
    with pytest.raises(WriteError, match="no format"):
        write_network(sound(), tmp_path / "other", format="xlsx")  # type: ignore[arg-type]
    assert sources(tmp_path) == before | {"home/letter.txt": b"dear"}


def test_overwriting_replaces_the_tables_and_keeps_the_rest(tmp_path: Path) -> None:
    write_network(sound(), tmp_path / "net")
    (tmp_path / "net" / "notes").mkdir()
    (tmp_path / "net" / "notes" / "a.md").write_text("kept")
    (tmp_path / "net" / "link").symlink_to("notes")
    write_network(sound().with_tables(credit=None), tmp_path / "net", format="parquet", overwrite=True)
    assert (tmp_path / "net" / "link").is_symlink()
    assert read_network(tmp_path / "net").equals(sound().with_tables(credit=None))
    assert not list((tmp_path / "net").glob("*.csv"))
    assert (tmp_path / "net" / "notes" / "a.md").read_text() == "kept"
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_failure_loses_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    write_network(sound(), tmp_path / "net")
    before = sources(tmp_path)
    if moves:
        real, done = Path.rename, []

        def rename(self: Path, target: Path) -> Path:
            done.append(target)
            if len(done) == moves:
                raise OSError(28, "No space left on device")
            return real(self, target)

        monkeypatch.setattr(Path, "rename", rename)
    else:

        def full(_table: pa.Table, file: Path) -> None:
            file.write_text("half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(tables, "_write_csv", full)
    with pytest.raises(WriteError, match="cannot be written, No space left on device"):
        write_network(Network("x", tables={"asset": pa.table({"id": ["a"], "price": [1.0]})}), tmp_path / "net", overwrite=True)
    assert sources(tmp_path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


def test_a_staged_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "out.txt"

    def fail() -> None:
        with staged_file(file) as stage:
            stage.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(file.parent.iterdir())
    with staged_file(file) as stage:
        stage.write_text("whole")
    with pytest.raises(WriteError, match="is there already"), staged_file(file, overwrite=False):
        pass
    with pytest.raises(WriteError, match="is a directory"), staged_file(tmp_path):
        pass
    assert [entry.name for entry in file.parent.iterdir()] == ["out.txt"]
    assert file.read_text() == "whole"


def many_positions(rows: int) -> Network:
    random = np.random.default_rng(3)
    owners = random.integers(0, rows // 2, rows)
    words = {"asset": ["BTC", "ETH", "SOL"], "exchange": ["Binance", "Bybit"]}
    codes = {name: pa.array(random.integers(0, len(choices), rows), pa.int32()) for name, choices in words.items()}
    encoded = {name: pa.DictionaryArray.from_arrays(codes[name], choices) for name, choices in words.items()}
    owner = pa.array(np.char.add("trader", owners.astype(str)))
    return Network(
        "many",
        tables={
            "margin": pa.table({"owner": owner, **encoded, "quantity": random.normal(size=rows), "entry_price": random.random(rows) + 1})
        },
    )


READ = """
import sys
import pyarrow as pa
from graphs.tables import read_network
net = read_network(sys.argv[1])
print(net.count("margin"), pa.default_memory_pool().max_memory() / net.tables["margin"].nbytes)
"""


@pytest.mark.parametrize("rows", [400_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_parquet_is_read_in_the_memory_of_its_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, rows: int) -> None:
    monkeypatch.setattr(tables, "ROWS_A_GROUP", rows // 20)
    write_network(many_positions(rows), tmp_path / "net", format="parquet")
    # A process of its own, so that the pool has seen nothing else.
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path / "net")], cwd=root, capture_output=True, text=True, check=True)
    count, peak = done.stdout.split()
    assert int(count) == rows
    assert float(peak) < 1.5, f"{peak} times the arrays"


def test_a_table_read_from_row_groups_lacks_no_column(tmp_path: Path) -> None:
    # A column without a cell in the first group and with one in the second.
    exchange = pd.DataFrame({"id": ["a", "b"], "vault": [None, "v"], "halt_rounds": [None, 3]})
    net = Network.from_frames(name="x", exchange=exchange)
    write_network(net, tmp_path / "net")
    (tmp_path / "net" / "exchange.csv").unlink()
    pq.write_table(net.tables["exchange"], tmp_path / "net" / "exchange.parquet", row_group_size=1)
    assert read_network(tmp_path / "net").equals(net)


def test_a_parquet_without_row_groups_is_an_empty_table(tmp_path: Path) -> None:
    write_network(Network("x"), tmp_path / "net")
    with pq.ParquetWriter(tmp_path / "net" / "asset.parquet", pa.schema([("id", pa.string()), ("price", pa.float64())])):
        pass
    net = read_network(tmp_path / "net")
    assert net.count("asset") == 0
    assert "asset" in net.tables


def test_every_kind_of_the_schema_is_written(tmp_path: Path) -> None:
    write_network(sound(), tmp_path / "net")
    assert {file.stem for file in (tmp_path / "net").glob("*.csv")} == set(TABLES) == set(frames())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_chunks_with_dictionaries_of_their_own_are_written(tmp_path: Path, form: Format) -> None:
    parts = [pa.array(words).dictionary_encode() for words in (["fund", "retail", None], ["vault", "fund"])]
    net = Network("x", tables={"trader": pa.table({"id": list("abcde"), "role": pa.chunked_array(parts)})})
    write_network(net, tmp_path / "net", format=form)
    assert read_network(tmp_path / "net").strings("trader", "role").tolist() == ["fund", "retail", "retail", "vault", "fund"]

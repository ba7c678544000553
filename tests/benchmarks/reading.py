"""Reading margin edges from Parquet: the peak of memory over the size of the arrays that stay."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Row, agree, child, megabytes, peak_memory, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_SHARE = 1.5
"""Peak that is asked for, over the arrays."""


def rows(*, smoke: bool) -> Iterator[Row]:
    """Write here and read in a process of its own, so that the one's memory is not counted as the other's."""
    edges = 20_000 if smoke else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        net = Path(folder) / "net"
        units, arrays = _write(net, edges)
        read = child(__spec__.name, str(net))
    agree(read["edges"] == edges, f"reading: {read['edges']:,} edges came back of {edges:,}")
    agree(read["units"] == units, "reading: the quantities that came back do not add up to those that were written")
    share = read["peak"] / arrays
    work = f"read {edges:,} margin edges from Parquet ({seconds(read['seconds'])}): peak over arrays"
    asked, met = ("", None) if smoke else (f"at most {LARGEST_SHARE:g}", share <= LARGEST_SHARE)
    yield Row(work, megabytes(arrays), megabytes(read["peak"]), f"{share:.2f}", asked, met)


def _write(path: Path, edges: int) -> tuple[float, int]:
    """Write a network of nothing but margin edges, two an owner; returns the sum of its quantities and the bytes of its arrays."""
    import numpy as np
    import pyarrow as pa

    from graphs.network import Network
    from graphs.tables import write_network

    rng = np.random.default_rng(1)
    owners = pa.array([f"trader-{number:07d}" for number in range(edges // 2)])

    def coded(codes: object, words: pa.Array) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes, type=pa.int32()), words)

    quantity = np.rint(rng.lognormal(0.0, 2.0, edges) * 1024) / 1024
    columns = {
        "owner": coded(np.arange(edges) // 2, owners),
        "asset": coded(rng.integers(40, size=edges), pa.array([f"coin-{number}" for number in range(40)])),
        "exchange": coded(rng.integers(8, size=edges), pa.array([f"exchange-{number}" for number in range(8)])),
        "quantity": quantity,
        "entry_price": rng.lognormal(3.0, 2.0, edges),
        "mode": coded(np.zeros(edges, dtype=np.int32), pa.array(["cross"])),
    }
    table = pa.table(columns)
    write_network(Network("edges", "", (), {"margin": table}), path, format="parquet")
    return float(quantity.sum()), int(table.nbytes)


def _read(path: str) -> None:
    """Read it, and say how much memory that took beyond what the libraries take."""
    import time

    import pyarrow.parquet  # noqa: F401 - a library is no part of the reading

    from graphs.tables import read_network

    before, began = peak_memory(), time.perf_counter()
    net = read_network(path)
    taken, peak = time.perf_counter() - began, peak_memory() - before
    table = net.tables["margin"]
    answer = {"seconds": taken, "peak": peak, "edges": table.num_rows}
    sys.stdout.write(json.dumps(answer | {"units": float(net.numbers("margin", "quantity").sum())}) + "\n")


if __name__ == "__main__":
    _read(sys.argv[1])

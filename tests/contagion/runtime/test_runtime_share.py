"""A system mapped from its directory is the system: the same bits in, the same bits out of the engine, and nothing writes to it."""

from __future__ import annotations

import json
import time
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from contagion.compile import compile_system
from contagion.engine import Prepared, prepare, simulate
from contagion.errors import RunError
from contagion.runtime.share import ARRAYS, HEADER, open_system, system_digest, write_system
from contagion.scenario import Scenario
from contagion.settings import Impact, Settings
from graphs.files import WriteError
from graphs.generate import random_network
from graphs.network import Network
from graphs.toys import interbank_ring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contagion.system import System


def leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every array and plain value within, under its path."""
    if isinstance(value, np.ndarray):
        yield name, (value.dtype.str, value.shape, value.tobytes())
    elif isinstance(value, (pa.Array, pa.ChunkedArray)):
        yield name, value.to_pylist()
    elif is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}[{key}]")
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{name}[{place}]")
    elif hasattr(value, "__dict__"):
        yield from leaves(vars(value), name)
    else:
        yield name, value if value == value else "nan"  # noqa: PLR0124 NaN is no equal of itself


def arrays_of(system: System) -> dict[str, np.ndarray[Any, Any]]:
    found = {}
    for field in fields(system):
        part = getattr(system, field.name)
        for inner in fields(part) if is_dataclass(part) else ():
            found[f"{field.name}.{inner.name}"] = getattr(part, inner.name)
    return {name: value for name, value in [*found.items(), ("residue", system.residue)] if isinstance(value, np.ndarray)}


@pytest.fixture(scope="module")
def system() -> System:
    return compile_system(random_network(seed=3))


def test_what_is_opened_is_what_was_written(system: System, tmp_path: Path) -> None:
    digest = write_system(system, tmp_path / "shared")
    again = open_system(tmp_path / "shared", digest=digest)
    assert dict(leaves(again)) == dict(leaves(system))
    assert type(again.nodes.ids) is type(system.nodes.ids)
    assert digest == system_digest(system) == system_digest(again)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shared"]
    assert all(start % 64 == 0 for start in (array.ctypes.data for array in arrays_of(again).values()))


def test_nothing_can_be_written_to(system: System, tmp_path: Path) -> None:
    write_system(system, tmp_path / "shared")
    arrays = arrays_of(open_system(tmp_path / "shared"))
    assert len(arrays) > 60
    assert not [name for name, array in arrays.items() if array.flags.writeable]


@pytest.mark.parametrize("seed", range(6))
def test_the_engine_gives_the_same_bits_and_leaves_the_network_alone(seed: int, tmp_path: Path) -> None:
    net = random_network(seed=seed)
    coins, stables, exchanges = (net.node_ids(kind) for kind in ("asset", "stablecoin", "exchange"))
    shocks = [f"{coin}=-{5 + 3 * place}%" for place, coin in enumerate(coins)]
    shocks += [f"depeg:{stables[0]}=0.93", f"depth:{exchanges[1]}=0.4", f"loss:{net.node_ids('trader')[seed]}=1e5"]
    shocks += [f"default:{exchanges[0]}"] if seed % 3 == 0 else []
    impact = (*get_args(Impact),)[seed % 3]
    settings = Settings(impact=impact, withdrawal=float(seed % 2), max_rounds=200)
    here = prepare(net, Scenario.from_shocks(shocks))
    before = write_system(here.system, tmp_path / "shared")
    there = Prepared(open_system(tmp_path / "shared"), here.scenario, here.entering)
    one, two = (simulate(prepared, settings=settings) for prepared in (here, there))
    assert one.rounds > 1
    assert dict(leaves(one)) == dict(leaves(two))
    assert system_digest(here.system) == before  # its own arrays could be written to


@pytest.mark.slow
def test_compiled_kernels_give_the_same_bits_too(tmp_path: Path) -> None:
    from graphs.catalog import load_network

    here = prepare(load_network("oct2025", accounts=100_000), Scenario.from_shocks(["BTC=-12%"]))
    before = write_system(here.system, tmp_path / "shared")
    there = Prepared(open_system(tmp_path / "shared"), here.scenario, here.entering)
    one, two = (simulate(prepared) for prepared in (here, there))
    assert one.rounds > 1
    assert dict(leaves(one)) == dict(leaves(two))
    assert system_digest(here.system) == before


def test_the_digest_knows_content_and_not_the_order_of_rows() -> None:
    net = random_network(seed=5)
    digest = system_digest(compile_system(net))
    shuffled = net.with_tables(**{kind: table.take(np.arange(table.num_rows)[::-1]) for kind, table in net.tables.items()})
    assert system_digest(compile_system(shuffled)) == digest
    cash = net.frame("trader")
    cash.loc[0, "cash"] += 1.0
    others = [
        net.with_tables(trader=cash),
        Network("another", net.as_of, net.sources, dict(net.tables)),
        random_network(seed=6),
    ]
    assert len({digest, *(system_digest(compile_system(other)) for other in others)}) == 4


def test_ids_count_where_one_ends_and_the_next_begins() -> None:
    def named(one: str, two: str) -> str:
        net = interbank_ring(n=3)
        rename = {"Bank1": one, "Bank2": two}
        frames = {kind: net.frame(kind).replace(rename) for kind in net.tables}
        return system_digest(compile_system(Network.from_frames(name="ring", **frames)))

    assert named("ab", "c") != named("a", "bc")


def test_a_network_without_some_kinds_of_rows(tmp_path: Path) -> None:
    system = compile_system(interbank_ring(n=3))
    assert not system.accounts.count
    write_system(system, tmp_path / "shared")
    assert dict(leaves(open_system(tmp_path / "shared"))) == dict(leaves(system))


def test_opening_costs_nothing_that_grows(tmp_path: Path) -> None:
    many = compile_system(interbank_ring(n=50_000))
    write_system(many, tmp_path / "shared")
    open_system(tmp_path / "shared")

    def seconds() -> float:
        start = time.perf_counter()
        open_system(tmp_path / "shared")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.05


def test_a_directory_is_replaced_only_when_asked(system: System, tmp_path: Path) -> None:
    ring = compile_system(interbank_ring(n=3))
    write_system(system, tmp_path / "shared")
    with pytest.raises(WriteError, match="is there already"):
        write_system(ring, tmp_path / "shared")
    digest = write_system(ring, tmp_path / "shared", overwrite=True)
    assert open_system(tmp_path / "shared", digest=digest).name == ring.name


def spoil(path: Path, what: str) -> None:
    header = json.loads((path / HEADER).read_text())
    match what:
        case "no header":
            (path / HEADER).unlink()
        case "no JSON":
            (path / HEADER).write_text("{")
        case "other format":
            (path / HEADER).write_text(json.dumps(header | {"format": 99}))
        case "a field more":
            (path / HEADER).write_text(json.dumps(header | {"values": header["values"] | {"coins.colour": "red"}}))
        case "cut short":
            (path / ARRAYS).write_bytes((path / ARRAYS).read_bytes()[:-64])
        case "empty":
            (path / ARRAYS).write_bytes(b"")
        case "no ids":
            (path / "nodes.ids.arrow").write_bytes(b"ARROW1")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("no header", r"system\.json: cannot be read \(No such file"),
        ("no JSON", r"system\.json: cannot be read \(Expecting"),
        ("other format", "key format: 99 is unknown"),
        ("a field more", "differs in coins.colour; write the system again"),
        ("cut short", r"arrays\.bin: has \d+ bytes instead of \d+"),
        ("empty", r"arrays\.bin: cannot be mapped"),
        ("no ids", r"nodes\.ids\.arrow: cannot be mapped"),
    ],
)
def test_what_is_wrong_with_a_directory_is_said(system: System, tmp_path: Path, what: str, says: str) -> None:
    write_system(system, tmp_path / "shared")
    spoil(tmp_path / "shared", what)
    with pytest.raises(RunError, match=says):
        open_system(tmp_path / "shared")


def test_another_system_than_the_one_asked_for_is_refused(system: System, tmp_path: Path) -> None:
    write_system(system, tmp_path / "shared")
    with pytest.raises(RunError, match="remove the directory"):
        open_system(tmp_path / "shared", digest="0" * 64)

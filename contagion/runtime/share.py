"""A compiled network as a directory that many processes map into memory.

``arrays.bin`` holds all arrays one after the other, ``<name>.arrow`` a column of text, ``system.json`` the rest and where
each array begins. Opening reads only the last; pages of the others come when they are used, and one copy of them serves
all processes of a machine. The arrays are read-only.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from contagion.errors import RunError
from contagion.system import Accounts, Claims, Coins, Exchanges, Markets, Nodes, System
from graphs.files import one_line, staged_directory

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

HEADER: Final = "system.json"
ARRAYS: Final = "arrays.bin"
FORMAT: Final = 1
ALIGNMENT: Final = 64
"""Bytes at whose multiples arrays begin: a cache line, and enough for any vector instruction."""
_PARTS: Final[dict[str, type]] = {
    "nodes": Nodes,
    "coins": Coins,
    "exchanges": Exchanges,
    "markets": Markets,
    "accounts": Accounts,
    "claims": Claims,
}
_PLAIN: Final = (str, int, float)


def system_digest(system: System) -> str:
    """SHA-256 over everything that a system holds, in hexadecimal.

    Networks that differ only in the order of their rows compile to the same arrays, so to the same digest.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from graphs.toys import interbank_ring
    >>> three, four = (compile_system(interbank_ring(n=n)) for n in (3, 4))
    >>> system_digest(three) == system_digest(four)
    False
    """
    return _Contents.of(system).digest()


def write_system(system: System, directory: str | os.PathLike[str], *, overwrite: bool = False) -> str:
    """Write a system to a directory, whole or not at all.

    Parameters
    ----------
    system
        What to write.
    directory
        The directory to make.
    overwrite
        Whether a directory that is there already may be replaced.

    Returns
    -------
    str
        The digest of the system, which the directory holds too.

    Raises
    ------
    WriteError
        If it may not, or there is no room.
    """
    contents = _Contents.of(system)
    digest = contents.digest()
    offsets, size = _lay_out(contents.arrays)
    header = contents.described() | {"digest": digest, "offsets": offsets, "bytes": size}
    with staged_directory(directory, overwrite=overwrite) as stage:
        with (stage / ARRAYS).open("wb") as file:
            for name, array in contents.arrays.items():
                file.seek(offsets[name])
                file.write(_bytes(array))
            file.truncate(size)
        for name, text in contents.texts.items():
            table = pa.table({name: text})
            with pa.OSFile(str(stage / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        (stage / HEADER).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8", newline="\n")
    return digest


def open_system(directory: str | os.PathLike[str], *, digest: str = "") -> System:
    """Map a system that was written to a directory into memory.

    Parameters
    ----------
    directory
        Where it was written. It must stay there as long as the system is used.
    digest
        What the system's digest must be; empty takes any.

    Returns
    -------
    System
        Its arrays are views of the file and cannot be written to.

    Raises
    ------
    RunError
        If the directory holds no system, another one, or not all of it.
    """
    path = Path(directory)
    header = _read_header(path)
    if digest and header["digest"] != digest:
        raise RunError(
            f"{path}: holds the system {header['digest'][:12]}…, not {digest[:12]}…; remove the directory, and it is written again"
        )
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in header["values"].items()}
    found = values | _map_arrays(path, header) | {name: _map_text(path, name) for name in header["texts"]}
    return _assemble(path, found)


@dataclass(frozen=True, slots=True)
class _Contents:
    """The fields of a system by ``part.field``: plain values, arrays, columns of text."""

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    texts: dict[str, pa.Array]

    @classmethod
    def of(cls, system: System) -> _Contents:
        """Take a system apart."""
        contents = cls({}, {}, {})
        for field in fields(system):
            value = getattr(system, field.name)
            if field.name in _PARTS:
                for inner in fields(value):
                    contents._add(f"{field.name}.{inner.name}", getattr(value, inner.name))
            else:
                contents._add(field.name, value)
        return contents

    def _add(self, name: str, value: object) -> None:
        if isinstance(value, np.ndarray):
            self.arrays[name] = np.ascontiguousarray(value)
        elif isinstance(value, (pa.Array, pa.ChunkedArray)):
            whole = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
            self.texts[name] = whole if whole.type == pa.string() else whole.cast(pa.string())
        elif isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(isinstance(item, _PLAIN) for item in value)):
            self.values[name] = value
        else:
            message = f"{name}: {type(value).__name__} is neither an array, text nor a plain value"
            raise TypeError(message)

    def described(self) -> dict[str, Any]:
        """Values, and of what kind the arrays are."""
        kinds = {name: [array.dtype.str, list(array.shape)] for name, array in self.arrays.items()}
        return {"format": FORMAT, "values": self.values, "arrays": kinds, "texts": list(self.texts)}

    def digest(self) -> str:
        """SHA-256 of all of it."""
        sha = hashlib.sha256(json.dumps(self.described()).encode())
        for array in self.arrays.values():
            sha.update(_bytes(array))
        for text in self.texts.values():
            _, ends, letters = text.buffers()
            places = np.frombuffer(ends, np.int32)[text.offset : text.offset + len(text) + 1] if len(text) else np.zeros(1, np.int32)
            sha.update(_bytes(places - places[0]))
            sha.update(memoryview(letters)[places[0] : places[-1]] if letters is not None else b"")
        return sha.hexdigest()


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _lay_out(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, int], int]:
    """Where each array begins, and the size of the file; never empty, since nothing can be mapped then."""
    offsets, end = {}, 0
    for name, array in arrays.items():
        offsets[name] = end
        end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    return offsets, max(end, ALIGNMENT)


def _read_header(path: Path) -> dict[str, Any]:
    file = path / HEADER
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        reason = one_line(error) if not isinstance(error, OSError) else error.strerror or one_line(error)
        raise RunError(f"{file}: cannot be read ({reason}); name a directory that write_system has written") from None
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        raise RunError(f"{file}, key format: {found!r} is unknown here, which reads format {FORMAT}; write the system again")
    return dict(header)


def _map_arrays(path: Path, header: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    file = path / ARRAYS
    try:
        with file.open("rb") as handle:
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: cannot be mapped ({one_line(error)}); write the system again") from None
    if len(mapped) != header["bytes"]:
        raise RunError(f"{file}: has {len(mapped)} bytes instead of {header['bytes']}; write the system again")
    return {
        name: np.ndarray(tuple(shape), np.dtype(kind), buffer=mapped, offset=header["offsets"][name])
        for name, (kind, shape) in header["arrays"].items()
    }


def _map_text(path: Path, name: str) -> pa.Array:
    file = path / f"{name}.arrow"
    try:
        column = pa.ipc.open_file(pa.memory_map(str(file))).read_all()[name]
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise RunError(f"{file}: cannot be mapped ({one_line(error)}); write the system again") from None
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _assemble(path: Path, found: Mapping[str, Any]) -> System:
    """Put a system together, if the fields are those of this version."""
    names = {field.name for field in fields(System)} - _PARTS.keys()
    expected = names | {f"{part}.{field.name}" for part, kind in _PARTS.items() for field in fields(kind)}
    if found.keys() != expected:
        wrong = ", ".join(sorted(found.keys() ^ expected))
        raise RunError(f"{path}: was written by another version, which differs in {wrong}; write the system again")
    parts = {part: kind(**{field.name: found[f"{part}.{field.name}"] for field in fields(kind)}) for part, kind in _PARTS.items()}
    return System(**parts, **{name: found[name] for name in names})

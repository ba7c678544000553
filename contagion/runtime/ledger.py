"""The ledger of a run: which tasks are finished, and what came of them.

A file of JSON lines. The first names the format and the versions that compute; every other holds one finished task, under
the SHA-256 of what was asked. A line is written when its task is finished, by one call, so whatever stops the program costs
at most the line being written: a last line without its end is dropped when the ledger is opened again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from contagion.errors import RunError
from graphs.files import one_line

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType
    from typing import BinaryIO, Self

FORMAT: Final = 1
_HEX: Final = 64
_BEFORE, _BETWEEN, _AFTER = '{"key":"', '","result":', "}"


def canonical(value: object) -> str:
    """JSON text of a value, the same for equal values: keys sorted, no blanks, floats by repr.

    Raises
    ------
    TypeError, ValueError
        If the value is no JSON.

    Examples
    --------
    >>> canonical({"b": 0.1, "a": [1, None]})
    '{"a":[1,null],"b":0.1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def task_key(work: str, system: str, context: str, item: str) -> str:
    """SHA-256 of what is asked: the function, the digest of the system, and the canonical texts of context and item."""
    return hashlib.sha256(f'[{json.dumps(work)},"{system}",{context},{item}]'.encode()).hexdigest()


class Ledger:
    """Finished tasks in a file, which is made if it is not there.

    Threads of one process may share a ledger; two processes may not.

    Parameters
    ----------
    path
        The file.
    versions
        What decides the results beside the tasks; a ledger that was begun with others is refused.

    Raises
    ------
    RunError
        If the file cannot be read or written, is no ledger, has a garbled line, or was begun with other versions.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with Ledger(f"{directory}/tasks.jsonl") as ledger:
    ...         ledger.record("0" * 64, '{"loss":1.5}')
    ...     with Ledger(f"{directory}/tasks.jsonl") as ledger:
    ...         len(ledger), ledger.result("0" * 64)
    (1, '{"loss":1.5}')
    """

    def __init__(self, path: str | os.PathLike[str], *, versions: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self._results: dict[str, str] = {}
        self._lock = Lock()
        head = canonical({"ledger": FORMAT, "versions": dict(versions or {})})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be opened ({error.strerror or error}); choose another place") from None
        try:
            self._open(head)
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        """Number of finished tasks."""
        return len(self._results)

    def __enter__(self) -> Self:
        """Give the ledger itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()

    def result(self, key: str) -> str | None:
        """JSON text of a finished task, None if it is not finished."""
        return self._results.get(key)

    def record(self, key: str, result: str) -> None:
        """Keep a finished task: ``result`` is JSON text on one line. What is kept already stays.

        Raises
        ------
        RunError
            If there is no room.
        """
        with self._lock:
            if key not in self._results:
                self._write(f"{_BEFORE}{key}{_BETWEEN}{result}{_AFTER}")
                self._results[key] = result

    def close(self) -> None:
        """Close the file; what is finished can still be asked for."""
        self._file.close()

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode()
        try:
            reason = "" if self._file.write(data) == len(data) else "no space left"
        except OSError as error:
            reason = str(error.strerror or error)
        if reason:
            raise RunError(f"{self.path}: cannot be written ({reason}); make room, and resume")

    def _open(self, head: str) -> None:
        """Read what is there, drop a torn end, and begin an empty file."""
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data) and not (whole or head.encode().startswith(data)):
            raise self._wrong(1, "is no first line of a ledger")
        lines = data[:whole].split(b"\n")[:-1]
        for number, line in enumerate(lines, 1):
            self._read(number, line, head)
        if whole < len(data):
            self._file.truncate(whole)
        if not lines:
            self._write(head)

    def _read(self, number: int, line: bytes, head: str) -> None:
        try:
            text = line.decode()
            entry = json.loads(text)
        except ValueError as error:
            raise self._wrong(number, f"is no JSON ({one_line(error)})") from None
        if number == 1:
            self._compare(entry, head)
            return
        start = len(_BEFORE) + _HEX
        if not (isinstance(entry, dict) and list(entry) == ["key", "result"] and text.startswith(_BETWEEN, start)):
            raise self._wrong(number, "holds no finished task")
        self._results[str(entry["key"])] = text[start + len(_BETWEEN) : -len(_AFTER)]

    def _compare(self, entry: object, head: str) -> None:
        if not isinstance(entry, dict) or entry.get("ledger") != FORMAT:
            raise self._wrong(1, "is no first line of a ledger")
        then, now = dict(entry.get("versions", {})), json.loads(head)["versions"]
        changed = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
        if changed:
            what = "; ".join(f"{name} {then.get(name, 'unknown')} then, {now.get(name, 'unknown')} now" for name in changed)
            raise self._wrong(1, f"was begun with other versions ({what})")

    def _wrong(self, number: int, what: str) -> RunError:
        return RunError(f"{self.path}, line {number}: {what}; name another ledger, or remove this one and begin anew")

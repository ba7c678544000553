"""What a worker does: a block of tasks on one network, which it maps into memory once.

A task is a call ``function(system, context, item)``. Context, item and result pass through JSON text, wherever the call is
made, so a task sees and leaves the same in this process and in another.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contagion.errors import ContagionError, RunError
from contagion.runtime.share import open_system
from graphs.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    from contagion.system import System

    Work = Callable[[System, dict[str, Any], dict[str, Any]], dict[str, Any]]

_SHOWN: Final = 200
"""Letters of an item that a message shows."""
_DISTRIBUTIONS: Final = ("contagion-graph", "numpy", "scipy", "numba")


@dataclass(frozen=True, slots=True)
class Block:
    """Tasks to be done one after the other.

    Attributes
    ----------
    directory, digest
        Where the system is, and which it must be.
    stop
        File whose appearance asks to leave off after the task under way.
    versions
        What the worker must have, so that it computes the same.
    work
        ``module:function``.
    context, items
        JSON texts.
    """

    directory: str
    digest: str
    stop: str
    versions: tuple[str, ...]
    work: str
    context: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a block: results of its first tasks as JSON texts, seconds taken, and the error at which it ended."""

    results: tuple[str, ...]
    seconds: float
    error: bytes | None


def find_work(work: str) -> Work:
    """Function that ``module:function`` names.

    Raises
    ------
    RunError
        If there is none.

    Examples
    --------
    >>> find_work("math:floor").__name__
    'floor'
    """
    module, _, name = work.partition(":")
    try:
        function: Work = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RunError(f"work {work!r}: is not found on {socket.gethostname()} ({error}); write it as module:function") from None
    return function


def perform(function: Work, system: System, work: str, context: str, item: str) -> str:
    """Do one task and give its result as JSON text.

    Raises
    ------
    RunError
        If the result is no JSON.
    Exception
        What the task itself raises, with the item named.
    """
    try:
        result = function(system, json.loads(context), json.loads(item))
    except Exception as error:
        _name_task(error, work, item)
        raise
    try:
        text = json.dumps(result, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise _no_json(work, item, str(error)) from None
    if not text.startswith("{"):
        raise _no_json(work, item, f"it is of type {type(result).__name__}")
    return text


def carry_out(block: Block) -> Report:
    """Do the tasks of a block, in order, until one fails or it is asked to stop.

    Raises
    ------
    RunError
        If this worker lacks the network, the function, or the versions.
    """
    mine = versions()
    if mine != block.versions:
        wrong = ", ".join(f"{here} instead of {there}" for here, there in zip(mine, block.versions, strict=True) if here != there)
        raise RunError(f"the worker on {socket.gethostname()} has {wrong}, so its results could differ; install the same versions there")
    function, system = find_work(block.work), _opened(block.directory, block.digest)
    results: list[str] = []
    failure: bytes | None = None
    start = time.perf_counter()
    for item in block.items:
        if os.path.exists(block.stop):  # noqa: PTH110 asked once a task, so by the cheapest call
            break
        try:
            results.append(perform(function, system, block.work, block.context, item))
        except Exception as error:  # noqa: BLE001 whatever a task raises is raised again where the tasks came from
            failure = _packed(error)
            break
    return Report(tuple(results), time.perf_counter() - start, failure)


def unpacked(error: bytes) -> Exception:
    """Error at which a block ended, as it was raised."""
    kind, args, state, text = pickle.loads(error)  # noqa: S301 our own worker has written it
    if kind is None:
        return RunError(text)
    again: Exception = kind.__new__(kind, *args)
    again.args = args
    again.__dict__.update(state)
    return again


@lru_cache(maxsize=1)
def versions() -> tuple[str, ...]:
    """Name and version of each distribution that decides the results."""
    return tuple(f"{name} {_version(name)}" for name in _DISTRIBUTIONS)


def brief(item: str) -> str:
    """Item as a message shows it."""
    return item if len(item) <= _SHOWN else f"{item[:_SHOWN]}…"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of a checkout"


@lru_cache(maxsize=2)
def _opened(directory: str, digest: str) -> System:
    if not Path(directory).is_dir():
        host = socket.gethostname()
        raise RunError(f"{directory}: is not there on {host}; give the plan a directory that every machine of the cluster can read")
    return open_system(directory, digest=digest)


def _no_json(work: str, item: str, reason: str) -> RunError:
    return RunError(
        f"task {brief(item)} of {work}: its result is no JSON object, {reason}; return a dict of text, numbers, lists and dicts"
    )


def _name_task(error: Exception, work: str, item: str) -> None:
    """Say which task an error is of: in its message if it is one of ours, else in a note."""
    if isinstance(error, (ContagionError, GraphError)):
        error.args = (f"task {brief(item)}: {error}",)
    else:
        error.add_note(f"in the task {brief(item)} of {work}")


def _packed(error: Exception) -> bytes:
    """Class, arguments and attributes of an error; its text alone if it cannot be made again from them.

    Not the error itself, because an error whose constructor makes its message of something else comes back wrong.
    """
    text = f"{type(error).__name__}: {error}"
    notes = "; ".join(getattr(error, "__notes__", ()))
    plain = pickle.dumps((None, (), {}, f"{text} ({notes})" if notes else text))
    try:
        packed = pickle.dumps((type(error), error.args, error.__dict__, text))
        again = unpacked(packed)
    except Exception:  # noqa: BLE001 an error of any library may refuse to be copied, in any way
        return plain
    return packed if type(again) is type(error) and str(again) == str(error) else plain

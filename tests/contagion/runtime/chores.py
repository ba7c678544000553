"""Tasks for the tests of the runtime. Each leaves a line in ``context["log"]`` when it is done, so that a test can count."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.errors import ScenarioError
from graphs.errors import CheckError, Finding

if TYPE_CHECKING:
    from contagion.system import System

    Document = dict[str, Any]


def shock(system: System, context: Document, item: Document) -> Document:
    """Run the engine: a price shock of the item's size to the context's coin, told to the last bit."""
    from contagion.engine import Prepared, simulate
    from contagion.scenario import Scenario

    nobody = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))
    outcome = simulate(Prepared(system, Scenario.from_shocks([f"{context['coin']}={item['size']!r}"]), (nobody,)))
    _leave(context, item)
    return {"rounds": outcome.rounds, "price": outcome.state.books.price.tolist(), "equity": outcome.state.node_equity.tolist()}


def odd(_system: System, context: Document, item: Document) -> Document:
    """Numbers that only an exact text carries, and keys out of order."""
    _leave(context, item)
    n = item["n"]
    return {"z": [0.1 * n, 1 / 3, -0.0, float("nan"), float("inf")], "a": {"n": n, "text": "é"}, "seen": sorted(item), "m": {1: (n,)}}


def slow(_system: System, context: Document, item: Document) -> Document:
    """Take some time."""
    time.sleep(context["seconds"])
    _leave(context, item)
    return {"n": item["n"]}


def mortal(_system: System, context: Document, item: Document) -> Document:
    """Kill the process that it is done in, the first time that the context's item comes."""
    time.sleep(0.005)
    if item["n"] == context["dies_at"]:
        mark = Path(context["mark"])
        if context.get("always") or not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    _leave(context, item)
    return {"n": item["n"], "third": item["n"] / 3}


def refuse(_system: System, context: Document, item: Document) -> Document:
    """Fail at the context's item, in the context's way."""
    if item["n"] == context["at"]:
        match context["how"]:
            case "scenario":
                raise ScenarioError("no such coin")
            case "check":
                raise CheckError([Finding("unknown_id", "margin", 3, "asset", "'XYZ'", "name an asset")])
            case "key":
                raise KeyError("n")
            case "stubborn":
                raise StubbornError(1, 2)
            case "object":
                return {"n": object()}
            case "list":
                return [item["n"]]
            case "interrupt":
                raise KeyboardInterrupt
    _leave(context, item)
    return {"n": item["n"]}


class StubbornError(Exception):
    """An error that cannot be pickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.handle = lambda: None


def meddle(system: System, context: Document, item: Document) -> Document:
    """Write to what it was given."""
    if item["n"] == 0:
        system.accounts.balance[0] = 1.0
    context["seen"] = context.get("seen", 0) + 1
    return {"seen": context["seen"]}


def threads(_system: System, _context: Document, item: Document) -> Document:
    """Threads that libraries may use where this is done."""
    return {"n": item["n"], "threads": os.environ.get("OMP_NUM_THREADS", "")}


def _leave(context: Document, item: Document) -> None:
    """Add the item to the log by one write, so that processes do not mix."""
    if "log" in context:
        with Path(context["log"]).open("ab", buffering=0) as log:
            log.write(f"{item}\n".encode())

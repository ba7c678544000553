"""The same bytes from one process, several, and a Dask cluster; the same errors; nothing done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contagion.compile import compile_system
from contagion.errors import RunError, ScenarioError
from contagion.runtime.ledger import Ledger
from contagion.runtime.plan import Plan
from contagion.runtime.processes import thread_limits
from contagion.runtime.tasks import Runtime, run_tasks
from graphs.errors import CheckError
from graphs.generate import random_network
from tests.contagion.runtime import chores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contagion.system import System

WORK = "tests.contagion.runtime.chores"
NUMBERS = [{"n": n} for n in (*range(40), 7, 7)]
SHOCKS = [{"size": -0.01 * n} for n in range(1, 21)]


@pytest.fixture(scope="module")
def system() -> System:
    return compile_system(random_network(seed=11))


@pytest.fixture(scope="module")
def two(system: System) -> Iterator[Runtime]:
    with Runtime(system, plan=Plan(workers=2)) as runtime:
        yield runtime


def text(results: list[dict[str, Any]]) -> str:
    return json.dumps(results)


def test_several_processes_give_the_bytes_of_one(system: System, two: Runtime) -> None:
    coin = system.coins.names[0]
    for work, items in (("shock", SHOCKS), ("odd", NUMBERS)):
        alone = run_tasks(f"{WORK}:{work}", items, system=system, context={"coin": coin})
        assert text(two.run(f"{WORK}:{work}", items, context={"coin": coin})) == text(alone)
        assert len({json.dumps(result) for result in alone}) == len({json.dumps(item) for item in items})


def test_eight_processes_do_and_a_given_directory_is_known_again(system: System, tmp_path: Path) -> None:
    alone = text(run_tasks(f"{WORK}:odd", NUMBERS, system=system, context={}))
    kept: dict[int, dict[str, int]] = {}
    for workers in (8, 2):
        plan = Plan(workers=workers, directory=str(tmp_path / "shared"))
        assert text(run_tasks(f"{WORK}:odd", NUMBERS, system=system, context={}, plan=plan)) == alone
        (directory,) = (tmp_path / "shared").iterdir()
        kept[workers] = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert kept[8] == kept[2]


@pytest.mark.slow
def test_a_local_cluster_does(system: System) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    coin = {"coin": system.coins.names[0]}
    alone = run_tasks(f"{WORK}:shock", SHOCKS, system=system, context=coin)
    assert text(run_tasks(f"{WORK}:shock", SHOCKS, system=system, context=coin, plan=Plan(scheduler="local"))) == text(alone)


def test_results_stand_in_the_order_of_items_and_equal_items_are_done_once(system: System, two: Runtime, tmp_path: Path) -> None:
    for runtime in (Runtime(system), two):
        log = tmp_path / f"log{id(runtime)}"
        results = runtime.run(f"{WORK}:odd", NUMBERS, context={"log": str(log)})
        assert [result["a"]["n"] for result in results] == [item["n"] for item in NUMBERS]
        assert len(log.read_text().splitlines()) == 40
        assert results[7] == results[-1]
        assert results[7] is not results[-1]


def test_what_went_through_json_is_json_everywhere(system: System) -> None:
    (result,) = run_tasks(f"{WORK}:odd", [{"n": 3, "k": 0}], system=system, context={})
    assert list(result) == ["z", "a", "seen", "m"]
    assert result["m"] == {"1": [3]}
    assert repr(result["z"]) == "[0.30000000000000004, 0.3333333333333333, -0.0, nan, inf]"
    assert result["seen"] == ["k", "n"]


def test_a_task_cannot_hand_anything_to_the_next(system: System, two: Runtime) -> None:
    items = [{"n": n} for n in range(1, 9)]
    for runtime in (Runtime(system), two):
        assert runtime.run(f"{WORK}:meddle", items, context={}) == [{"seen": 1}] * 8


def test_a_worker_cannot_write_to_the_network(two: Runtime) -> None:
    with pytest.raises(ValueError, match="read-only"):
        two.run(f"{WORK}:meddle", [{"n": 0}], context={})


def test_a_ledger_answers_for_what_is_finished(system: System, two: Runtime, tmp_path: Path) -> None:
    context = {"log": str(tmp_path / "log")}
    for half in (NUMBERS[:20], NUMBERS):
        with Ledger(tmp_path / "ledger") as ledger, Runtime(system, ledger=ledger) as runtime:
            last = runtime.run(f"{WORK}:odd", half, context=context)
    done = Path(context["log"]).read_text().splitlines()
    assert len(done) == len(set(done)) == 40
    assert text(last) == text(two.run(f"{WORK}:odd", NUMBERS, context={"log": str(tmp_path / "other")}))


@pytest.mark.parametrize("change", ["work", "context", "system"])
def test_a_ledger_does_not_answer_for_another_question(system: System, tmp_path: Path, change: str) -> None:
    asked = {"work": f"{WORK}:odd", "context": {"log": str(tmp_path / "log")}, "system": system}
    other = asked | {"work": f"{WORK}:refuse"} if change == "work" else asked
    other = asked | {"context": {"log": str(tmp_path / "log"), "more": 1}} if change == "context" else other
    other = asked | {"system": compile_system(random_network(seed=12))} if change == "system" else other
    if change == "work":
        asked["context"]["at"] = -1
    with Ledger(tmp_path / "ledger") as ledger:
        for question in (asked, other):
            run_tasks(items=NUMBERS, ledger=ledger, **question)
        assert len(ledger) == 80
    assert len((tmp_path / "log").read_text().splitlines()) == 80


def test_progress_counts_every_item_from_what_is_finished(system: System, two: Runtime, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        run_tasks(f"{WORK}:odd", NUMBERS[:10], system=system, context={}, ledger=ledger)
        told: list[tuple[int, int]] = []
        run_tasks(f"{WORK}:odd", NUMBERS, system=system, context={}, ledger=ledger, progress=lambda *now: told.append(now))
    assert told[0] == (12, 42)  # of which two are copies
    assert told[-1] == (42, 42)
    assert len(told) == 31
    told.clear()
    two.run(f"{WORK}:odd", NUMBERS, context={}, progress=lambda *now: told.append(now))
    assert told[0] == (0, 42)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) == 41


def test_nothing_is_started_for_nothing(system: System, tmp_path: Path) -> None:
    assert run_tasks(f"{WORK}:odd", [], system=system, context={}, plan=Plan(scheduler="tcp://127.0.0.1:1")) == []
    with Ledger(tmp_path / "ledger") as ledger:
        plans = (Plan(), Plan(scheduler="tcp://127.0.0.1:1"))
        first, second = (run_tasks(f"{WORK}:odd", NUMBERS, system=system, context={}, plan=plan, ledger=ledger) for plan in plans)
    assert text(first) == text(second)


@pytest.mark.parametrize(
    ("workers", "how", "kind", "says"),
    [
        (1, "scenario", ScenarioError, r'^task {"n":30}: no such coin$'),
        (1, "check", CheckError, r'^task {"n":30}: table margin, row 3, column asset: \'XYZ\'; name an asset$'),
        (1, "key", KeyError, "^'n'\nin the task"),
        (1, "object", RunError, r'^task {"n":30} of .*:refuse: its result is no JSON object, Object of type object'),
        (1, "list", RunError, r'^task {"n":30} of .*:refuse: its result is no JSON object, it is of type list; return'),
        (2, "check", CheckError, r'^task {"n":30}: table margin, row 3, column asset: \'XYZ\'; name an asset$'),
        (2, "key", KeyError, "^'n'\nin the task"),
    ],
)
def test_an_error_comes_back_as_itself_with_its_item(
    *, system: System, two: Runtime, tmp_path: Path, workers: int, how: str, kind: type[Exception], says: str
) -> None:
    context = {"at": 30, "how": how, "log": str(tmp_path / "log")}
    with Ledger(tmp_path / "ledger") as ledger:
        runtime = Runtime(system, ledger=ledger)
        if workers > 1:
            runtime, two.ledger = two, ledger
        with pytest.raises(kind, match=says) as caught:
            runtime.run(f"{WORK}:refuse", NUMBERS, context=context)
        two.ledger = None
        assert type(caught.value) is kind
        if how == "check":
            assert caught.value.findings[0].row == 3
        if how == "key":
            assert caught.value.__notes__ == [f'in the task {{"n":30}} of {WORK}:refuse']
        assert len(ledger) == len((tmp_path / "log").read_text().splitlines()) >= (30 if workers == 1 else 1)


def test_an_error_that_cannot_travel_is_told(system: System, two: Runtime) -> None:
    context = {"at": 5, "how": "stubborn"}
    with pytest.raises(chores.StubbornError, match="1 and 2"):
        run_tasks(f"{WORK}:refuse", NUMBERS, system=system, context=context)
    with pytest.raises(RunError, match=r'StubbornError: 1 and 2 \(in the task {"n":5} of'):
        two.run(f"{WORK}:refuse", NUMBERS, context=context)


@pytest.mark.parametrize(
    ("work", "items", "says"),
    [
        ("nowhere.at_all:f", NUMBERS, r"work 'nowhere\.at_all:f': is not found"),
        (f"{WORK}:absent", NUMBERS, "is not found"),
        ("odd", NUMBERS, "write it as module:function"),
        (f"{WORK}:odd", [{"n": 1}, {"n": {1, 2}}], r"^item 2: is no JSON \(Object of type set"),
    ],
)
def test_what_cannot_be_asked(system: System, work: str, items: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(RunError, match=says):
        run_tasks(work, items, system=system, context={})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"workers": 0}, "workers 0: is no number of processes"),
        ({"scheduler": "localhost"}, "scheduler 'localhost': is no address"),
        ({"scheduler": "tcp://a:1", "workers": 2}, "leave one of the two out"),
    ],
)
def test_plans_that_cannot_be_meant(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(RunError, match=says):
        Plan(**fields)


def test_workers_share_the_cores(two: Runtime) -> None:
    for workers in (2, 64):
        (limit,) = set(thread_limits(workers).values())
        assert int(limit) * workers <= max(workers, _cores())
    found = two.run(f"{WORK}:threads", NUMBERS, context={})
    assert {result["threads"] for result in found} == {str(max(1, _cores() // 2))}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def test_dask_that_is_not_installed_is_asked_for(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RunError, match=r"needs Dask .* pip install 'contagion-graph\[dask\]'"):
        run_tasks(f"{WORK}:odd", NUMBERS, system=system, context={}, plan=Plan(scheduler="local"))


def test_a_plain_run_loads_neither_dask_nor_loky() -> None:
    code = (
        "import sys, contagion.runtime.tasks as t; from contagion.compile import compile_system; from graphs.toys import interbank_ring\n"
        "t.run_tasks('contagion.runtime.tasks:describe', [{'node': 0}], system=compile_system(interbank_ring(n=3)), context={})\n"
        "print(sorted({'distributed', 'loky', 'dask', 'numba', 'multiprocessing'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Workers that die, clusters that lose one, and runs that are interrupted: the same bytes, and nothing finished is done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contagion.compile import compile_system
from contagion.errors import RunError
from contagion.runtime.ledger import Ledger
from contagion.runtime.plan import Plan
from contagion.runtime.tasks import Runtime, run_tasks
from graphs.toys import interbank_ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import LocalCluster

    from contagion.system import System

CHORES = "tests.contagion.runtime.chores"
ITEMS = [{"n": n} for n in range(100)]
LOOPBACK: dict[str, Any] = {
    "threads_per_worker": 1,
    "host": "127.0.0.1",
    "dashboard_address": None,
    "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
    "silence_logs": "CRITICAL",
}
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


@pytest.fixture(scope="module")
def system() -> System:
    return compile_system(interbank_ring(n=4))


@pytest.fixture
def context(tmp_path: Path) -> dict[str, Any]:
    return {"dies_at": 50, "mark": str(tmp_path / "mark"), "log": str(tmp_path / "log")}


@pytest.fixture
def undisturbed(system: System) -> Callable[[dict[str, Any]], str]:
    """Text of the results where nothing dies and nobody else is there."""

    def results(context: dict[str, Any]) -> str:
        calm = context | {"dies_at": -1}
        return json.dumps(run_tasks(f"{CHORES}:mortal", ITEMS, system=system, context={name: calm[name] for name in ("dies_at", "mark")}))

    return results


def children() -> set[int]:
    """Processes below this one that do work; a tracker of shared memory stays as long as its parent."""
    found = subprocess.run(["ps", "-wweo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    rows = [line.split(maxsplit=3) for line in found.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}
    idle = {int(pid) for pid, _, state, args in rows if state.startswith("Z") or "resource_tracker" in args or args.startswith("ps ")}

    def is_ours(pid: int) -> bool:
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        return pid == os.getpid()

    return {pid for pid in parents if pid != os.getpid() and is_ours(pid)} - idle


@needs_kill
def test_a_pool_that_loses_a_process_half_way(
    system: System, context: dict[str, Any], undisturbed: Callable[[dict[str, Any]], str], tmp_path: Path
) -> None:
    before = children()
    with Ledger(tmp_path / "ledger") as ledger:
        results = run_tasks(f"{CHORES}:mortal", ITEMS, system=system, context=context, plan=Plan(workers=2), ledger=ledger)
        assert len(ledger) == 100
    assert Path(context["mark"]).exists()
    assert json.dumps(results) == undisturbed(context)
    assert children() == before


@needs_kill
def test_a_task_that_kills_every_process_is_given_up(system: System, context: dict[str, Any], tmp_path: Path) -> None:
    before = children()
    items = [*ITEMS[40:51], *ITEMS[:5]]
    with (
        Ledger(tmp_path / "ledger") as ledger,
        pytest.raises(RunError, match=r'died 3 times in a row with .*{"n":50}.* under way') as caught,
    ):
        run_tasks(f"{CHORES}:mortal", items, system=system, context=context | {"always": True}, plan=Plan(workers=2), ledger=ledger)
    assert "\n" not in str(caught.value)
    assert children() == before


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A cluster of two worker processes that is not ours: it stands at an address."""
    distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")
    with distributed.LocalCluster(n_workers=2, processes=True, **LOOPBACK) as cluster:
        yield cluster


@needs_kill
def test_a_cluster_that_loses_a_worker_half_way(
    system: System, context: dict[str, Any], undisturbed: Callable[[dict[str, Any]], str], cluster: LocalCluster
) -> None:
    plan = Plan(scheduler=cluster.scheduler_address)
    results = run_tasks(f"{CHORES}:mortal", ITEMS, system=system, context=context, plan=plan)
    assert Path(context["mark"]).exists()
    assert json.dumps(results) == undisturbed(context)


def test_a_cluster_without_workers_is_waited_for_only_a_while(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")
    monkeypatch.setattr("contagion.runtime.cluster._ARRIVAL", 1.0)
    monkeypatch.setattr("contagion.runtime.dispatch.LOOK", 0.2)
    with distributed.LocalCluster(n_workers=1, processes=False, protocol="tcp", **LOOPBACK) as here:

        def leave(done: int, _total: int) -> None:
            if done == 10:
                here.scale(0)

        plan = Plan(scheduler=here.scheduler_address)
        with pytest.raises(RunError, match=r"has lost all its workers; start some with `dask worker tcp://127.*`, then resume"):
            run_tasks(f"{CHORES}:slow", ITEMS, system=system, context={"seconds": 0.02}, plan=plan, progress=leave)
        with pytest.raises(RunError, match="has no workers; start some"):
            run_tasks(f"{CHORES}:slow", ITEMS, system=system, context={"seconds": 0.02}, plan=plan)


def test_an_error_in_a_cluster_comes_back_as_itself(system: System, cluster: LocalCluster) -> None:
    from contagion.errors import ScenarioError

    plan = Plan(scheduler=cluster.scheduler_address)
    with pytest.raises(ScenarioError, match=r'^task {"n":5}: no such coin$'):
        run_tasks(f"{CHORES}:refuse", ITEMS, system=system, context={"at": 5, "how": "scenario"}, plan=plan)


def test_a_worker_that_cannot_see_the_network_says_so(
    system: System, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Runtime, "_shared_directory", lambda _: tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"elsewhere: is not there on .*; give the plan a directory that every machine"):
        run_tasks(f"{CHORES}:odd", ITEMS, system=system, context={}, plan=Plan(scheduler=cluster.scheduler_address))


def test_a_worker_with_other_versions_is_refused(system: System, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from contagion.runtime import tasks, worker

    mine = worker.versions()
    monkeypatch.setattr(tasks, "versions", lambda: (mine[0], "numpy 1.0", *mine[2:]))
    with pytest.raises(RunError, match=r"has numpy [\d.]+ instead of numpy 1\.0, so its results could differ"):
        run_tasks(f"{CHORES}:odd", ITEMS, system=system, context={}, plan=Plan(scheduler=cluster.scheduler_address))


def test_a_scheduler_that_is_not_there(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    monkeypatch.setattr("contagion.runtime.cluster._ANSWER", 0.3)
    with pytest.raises(RunError, match=r"scheduler tcp://127\.0\.0\.1:9: does not answer .*; start one with `dask scheduler`"):
        run_tasks(f"{CHORES}:odd", ITEMS, system=system, context={}, plan=Plan(scheduler="tcp://127.0.0.1:9"))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_loses_nothing_that_was_finished(system: System, tmp_path: Path, workers: int) -> None:
    before = children()
    items, context = ITEMS[:40], {"seconds": 0.02, "log": str(tmp_path / "log")}
    plan = Plan(workers=workers)

    def interrupt(done: int, _total: int) -> None:
        if done == 11:
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()

    with Ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(KeyboardInterrupt, match=r"stopped after \d+ of 40 tasks; what is finished is in .*ledger"):
            run_tasks(f"{CHORES}:slow", items, system=system, context=context, plan=plan, ledger=ledger, progress=interrupt)
        finished = Counter((tmp_path / "log").read_text().splitlines())
        assert children() == before
        # Alone, the task under way when the signal came may be done and not recorded.
        assert 11 <= len(ledger) < 40
        assert sum(finished.values()) - len(ledger) in ({0, 1} if workers == 1 else {0})
    with Ledger(tmp_path / "ledger") as ledger:
        resumed = run_tasks(f"{CHORES}:slow", items, system=system, context=context, plan=plan, ledger=ledger)
    log = Counter((tmp_path / "log").read_text().splitlines())
    assert len(log) == 40
    assert sum(log.values()) <= 40 + (workers == 1)
    fresh = run_tasks(f"{CHORES}:odd", items, system=system, context={})
    assert [result["n"] for result in resumed] == [result["a"]["n"] for result in fresh]


@needs_kill
@pytest.mark.slow
def test_a_program_that_is_killed_goes_on_where_it_was(system: System, tmp_path: Path, root: Path) -> None:
    """Kill the whole program half-way; its workers leave by themselves, and the next run has the same bytes."""
    context = {"log": str(tmp_path / "log"), "dies_at": -1, "mark": ""}
    code = (
        "from contagion.compile import compile_system; from contagion.runtime.ledger import Ledger\n"
        "from contagion.runtime.plan import Plan; from contagion.runtime.tasks import run_tasks; from graphs.toys import interbank_ring\n"
        f"items, ledger = [{{'n': n}} for n in range(100_000)], Ledger({str(tmp_path / 'ledger')!r})\n"
        f"system, context, plan = compile_system(interbank_ring(n=4)), {context!r}, Plan(workers=2)\n"
        f"run_tasks('{CHORES}:mortal', items, system=system, context=context, plan=plan, ledger=ledger)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path)}
    program = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=tmp_path, start_new_session=True)
    log, deadline = tmp_path / "log", time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and log.read_bytes().count(b"\n") > 300):
        time.sleep(0.02)
    program.kill()
    program.wait()
    with Ledger(tmp_path / "ledger") as ledger:
        kept = len(ledger)
        assert kept >= 20
        items = [{"n": n} for n in range(kept + 50)]
        resumed = run_tasks(f"{CHORES}:mortal", items, system=system, context=context, ledger=ledger)
    assert resumed == run_tasks(f"{CHORES}:mortal", items, system=system, context={"dies_at": -1, "mark": ""})
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (alive := _of_session(program.pid)):
        time.sleep(0.1)
    assert not alive


def _of_session(session: int) -> list[str]:
    found = subprocess.run(["ps", "-wweo", "sid=,stat=,args="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    rows = [line.split(maxsplit=2) for line in found.splitlines()]
    return [args for sid, state, args in rows if sid == str(session) and not state.startswith("Z")]

"""Tasks: thousands of calls of one function on one compiled network, each with an item of its own.

What comes back depends on function, network, context and items alone: not on where and in which order the tasks were done,
nor on whether some of them were finished before an interrupt.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contagion.errors import RunError
from contagion.runtime.ledger import canonical, task_key
from contagion.runtime.plan import Plan
from contagion.runtime.share import HEADER, system_digest, write_system
from contagion.runtime.worker import Block, find_work, perform, versions
from graphs.files import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from contagion.runtime.dispatch import Crew
    from contagion.runtime.ledger import Ledger
    from contagion.system import System

    Progress = Callable[[int, int], None]
    """Called with the tasks done and the tasks there are: at the start, then after each."""


def run_tasks(
    work: str,
    items: Sequence[Mapping[str, Any]],
    *,
    system: System,
    context: Mapping[str, Any],
    plan: Plan | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Call a function once for each item.

    Parameters
    ----------
    work
        ``module:function``. It is called as ``function(system, context, item)``, must depend on nothing else and change
        neither, and returns a dict that JSON can hold.
    items
        What differs from task to task, as JSON. Of equal items one is done.
    system
        The network.
    context
        What all tasks share, as JSON.
    plan
        Where the tasks are done; nothing means in this process.
    ledger
        Keeps finished tasks; those that it has are not done again.
    progress
        Told about every task.

    Returns
    -------
    list
        What the function returned, in the order of the items, each having gone through JSON text.

    Raises
    ------
    RunError
        If an item or a result is no JSON, or workers are missing or lost for good.
    KeyboardInterrupt
        If it was interrupted. What was finished is in the ledger, and the workers are stopped.
    Exception
        What a task raises; errors of this package name the item in their message, others in a note.

    See Also
    --------
    Runtime : several such lists of tasks on the same workers.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from graphs.toys import interbank_ring
    >>> system = compile_system(interbank_ring(n=3))
    >>> run_tasks("contagion.runtime.tasks:describe", [{"node": 0}, {"node": 2}], system=system, context={})
    [{'node': 0, 'name': 'Bank1'}, {'node': 2, 'name': 'Bank3'}]
    """
    with Runtime(system, plan=plan, ledger=ledger) as runtime:
        return runtime.run(work, items, context=context, progress=progress)


class Runtime:
    """Workers that hold one network, for one list of tasks after another.

    Workers start with the first task and stop when the runtime is closed, or when something stops a list of tasks.

    Parameters
    ----------
    system, plan, ledger
        As for :func:`run_tasks`.
    """

    def __init__(self, system: System, *, plan: Plan | None = None, ledger: Ledger | None = None) -> None:
        self.system, self.plan, self.ledger = system, plan or Plan(), ledger
        self._digest = ""
        self._crew: Crew | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Give the runtime itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the workers."""
        self.close()

    def run(
        self, work: str, items: Sequence[Mapping[str, Any]], *, context: Mapping[str, Any], progress: Progress | None = None
    ) -> list[dict[str, Any]]:
        """Do tasks as :func:`run_tasks` does, with the same errors."""
        shared = _text(context, "the context")
        texts = [_text(item, f"item {number}") for number, item in enumerate(items, 1)]
        job = _Job(work, shared, texts, self, progress)
        try:
            if job.pending and self.plan.is_serial:
                self._run_here(job)
            elif job.pending:
                self._run_there(job)
        except KeyboardInterrupt:
            self.close()
            kept = f"; what is finished is in {self.ledger.path}" if self.ledger is not None else ""
            raise KeyboardInterrupt(f"stopped after {job.done} of {len(texts)} tasks{kept}") from None
        except BaseException:
            self.close()
            raise
        return [json.loads(job.results[text]) for text in texts]

    def close(self) -> None:
        """Stop the workers and remove what was put on this machine for them; the next tasks start them again."""
        try:
            if self._crew is not None:
                self._crew.close()
        finally:
            self._crew = None
            if self._scratch is not None:
                self._scratch.cleanup()
            self._scratch = None

    def digest(self) -> str:
        """Digest of the network, computed when it is first asked for."""
        self._digest = self._digest or system_digest(self.system)
        return self._digest

    def _run_here(self, job: _Job) -> None:
        function = find_work(job.work)
        for place, item in enumerate(job.pending):
            job.record(place, perform(function, self.system, job.work, job.context, item))

    def _run_there(self, job: _Job) -> None:
        from contagion.runtime.dispatch import Dispatch

        find_work(job.work)
        crew, directory = self._workers()
        stop = directory.parent / f".stop-{uuid.uuid4().hex}"
        block = Block(str(directory), self.digest(), str(stop), versions(), job.work, job.context, ())
        try:
            Dispatch(crew, block, job.pending, job.record).run()
        finally:
            self._remove(stop)

    def _remove(self, stop: Path) -> None:
        """Take the sign to stop away, once nobody is left that it is meant for."""
        if stop.exists():
            self.close()
            stop.unlink(missing_ok=True)

    def _workers(self) -> tuple[Crew, Path]:
        directory = self._shared_directory()
        if self._crew is None:
            if self.plan.scheduler:
                from contagion.runtime.cluster import Cluster

                self._crew = Cluster(self.plan)
            else:
                from contagion.runtime.processes import Processes

                self._crew = Processes(self.plan.workers)
        return self._crew, directory

    def _shared_directory(self) -> Path:
        """Directory of the network, which is written if it is not there."""
        if self.plan.directory:
            base = Path(self.plan.directory).resolve()
        else:
            self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="contagion-", ignore_cleanup_errors=True)
            base = Path(self._scratch.name)
        directory = base / f"system-{self.digest()[:16]}"
        if not (directory / HEADER).exists():
            try:
                write_system(self.system, directory)
            except WriteError:
                if not (directory / HEADER).exists():  # else another run has just written the same
                    raise
        return directory


class _Job:
    """One list of tasks: what is asked, what is finished, and what is not.

    ``pending`` and ``results`` are by the JSON text of an item.
    """

    def __init__(self, work: str, context: str, texts: Sequence[str], runtime: Runtime, progress: Progress | None) -> None:
        self.work, self.context, self._ledger, self._progress = work, context, runtime.ledger, progress
        self._copies: dict[str, int] = {}
        for text in texts:
            self._copies[text] = self._copies.get(text, 0) + 1
        self._total = len(texts)
        self._keys: dict[str, str] = {}
        self.results: dict[str, str] = {}
        if self._ledger is not None:
            digest = runtime.digest()
            self._keys = {text: task_key(work, digest, context, text) for text in self._copies}
            kept = {text: self._ledger.result(key) for text, key in self._keys.items()}
            self.results = {text: result for text, result in kept.items() if result is not None}
        self.pending = [text for text in self._copies if text not in self.results]
        self.done = sum(self._copies[text] for text in self.results)
        self._tell()

    def record(self, place: int, result: str) -> None:
        """Keep the result of a pending task; of two only the first."""
        text = self.pending[place]
        if text in self.results:
            return
        if self._ledger is not None:
            self._ledger.record(self._keys[text], result)
        self.results[text] = result
        self.done += self._copies[text]
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.done, self._total)


def describe(system: System, _context: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Name of a node, the smallest task there is.

    Examples
    --------
    >>> from contagion.compile import compile_system
    >>> from graphs.toys import interbank_ring
    >>> describe(compile_system(interbank_ring(n=3)), {}, {"node": 1})
    {'node': 1, 'name': 'Bank2'}
    """
    return {"node": item["node"], "name": system.nodes.name(item["node"])}


def _text(value: Mapping[str, Any], what: str) -> str:
    try:
        return canonical(dict(value))
    except (TypeError, ValueError) as error:
        raise RunError(f"{what}: is no JSON ({error}); use text, numbers, lists and dicts") from None

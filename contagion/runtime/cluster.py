"""Workers that are a Dask cluster: one that stands at an address, or one that is started here.

Blocks carry the path of the network, never the network. Dask itself repeats what a lost worker had under way.
"""

from __future__ import annotations

import logging
import tempfile
import time
from concurrent.futures import CancelledError
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from contagion.errors import RunError
from contagion.runtime.plan import LOCAL
from contagion.runtime.processes import thread_limits
from contagion.runtime.worker import carry_out
from graphs.files import one_line

if TYPE_CHECKING:
    from concurrent.futures import Future

    from contagion.runtime.plan import Plan
    from contagion.runtime.worker import Block, Report

_ANSWER: Final = 10.0
"""Seconds in which a scheduler answers."""
_ARRIVAL: Final = 60.0
"""Seconds in which a first worker comes, and in which another comes when all are lost."""
_RECOUNT: Final = 1.0
"""Seconds after which workers are counted again."""


class Cluster:
    """A Dask cluster.

    Parameters
    ----------
    plan
        Which.

    Raises
    ------
    RunError
        If Dask is not installed, no scheduler answers, or it has no workers.
    """

    def __init__(self, plan: Plan) -> None:
        self._address = plan.scheduler
        self._leave = ExitStack()
        try:
            self._connect(plan)
        except BaseException:
            self.close()
            raise

    def _connect(self, plan: Plan) -> None:
        try:
            from distributed import Client, LocalCluster
        except ModuleNotFoundError as error:
            raise RunError(
                f"scheduler {plan.scheduler}: needs Dask ({error}); install it with pip install 'contagion-graph[dask]', "
                "or use --workers, which needs nothing more"
            ) from None
        log = logging.getLogger("distributed.client")
        self._leave.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL)  # what goes wrong is said by our own errors, in a sentence
        target: Any = plan.scheduler
        if plan.scheduler == LOCAL:
            scratch = self._leave.enter_context(tempfile.TemporaryDirectory(prefix="contagion-dask-", ignore_cleanup_errors=True))
            try:
                target = LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=plan.workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # it serves its health there all the same
                    silence_logs=logging.CRITICAL,
                    local_directory=scratch,
                    env=thread_limits(plan.workers),
                )
            except (OSError, RuntimeError, TimeoutError) as error:
                raise RunError(f"scheduler {LOCAL}: cannot be started ({one_line(error)}); use --workers without it") from error
            self._leave.callback(target.close)
        try:
            self._client = Client(target, timeout=_ANSWER, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TimeoutError) as error:
            raise RunError(
                f"scheduler {self._address}: does not answer ({one_line(error)}); start one with `dask scheduler`, or mend the address"
            ) from None
        self._leave.callback(self._client.close)
        try:
            self._client.wait_for_workers(1, timeout=_ARRIVAL)
        except TimeoutError:
            raise RunError(f"scheduler {self._address}: has no workers; start some with `dask worker {self._address}`") from None
        self._pool = self._client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        self._seen = self._counted = time.monotonic()
        self._count()

    @property
    def size(self) -> int:
        """Threads of all workers that are there now."""
        if time.monotonic() - self._counted > _RECOUNT:
            self._count()
        return max(1, self._size)

    def submit(self, block: Block) -> Future[Report]:
        """Send a block to whichever worker the scheduler chooses."""
        future: Future[Report] = self._pool.submit(carry_out, block)
        return future

    def finished(self) -> None:
        """Take note that a block came back, of which nothing follows here."""

    def check(self) -> None:
        """Wait for workers to come back, which the scheduler would do for ever, only for a while.

        Raises
        ------
        RunError
            If there has been none for too long, or the scheduler is gone.
        """
        self._count()
        if time.monotonic() - self._seen > _ARRIVAL:
            raise RunError(
                f"scheduler {self._address}: has lost all its workers; start some with `dask worker {self._address}`, then resume"
            )

    def _count(self) -> None:
        try:
            self._size = sum(self._client.nthreads().values())  # type: ignore[no-untyped-call]
        except (OSError, RuntimeError) as error:
            raise self._gone() from error
        self._counted = time.monotonic()
        self._seen = self._counted if self._size else self._seen

    def recover(self, reason: BaseException, tasks: str) -> None:
        """Say why a block is lost for good, as the scheduler has repeated it already.

        Raises
        ------
        RunError
            Always.
        """
        if isinstance(reason, CancelledError):
            raise self._gone() from reason
        raise RunError(
            f"scheduler {self._address}: workers died one after the other with {tasks} under way, perhaps for want of memory; "
            "give them more, then resume"
        ) from reason

    def close(self) -> None:
        """Cancel what is under way, leave the cluster, and stop it if it was started here."""
        self._leave.close()

    def _gone(self) -> RunError:
        return RunError(f"scheduler {self._address}: is gone, or has lost this program; start it again, then resume")

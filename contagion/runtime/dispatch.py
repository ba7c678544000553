"""How tasks go to workers and their results come back: in blocks, as many at a time as keep all workers busy.

A block is sized by what the tasks before it took, so that sending it costs little beside the work. The size, and which
worker does it, decide nothing about the results.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, wait
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from contagion.runtime.worker import brief, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from contagion.runtime.worker import Block, Report

BLOCK_SECONDS: Final = 0.25
"""Work that a block should hold."""
AHEAD: Final = 2
"""Blocks for each worker, the one under way included, so that none waits for the next."""
GRACE: Final = 2.0
"""Seconds in which blocks may hand in what they have finished when the run is stopped."""
LOOK: Final = 2.0
"""Seconds without a block after which the workers are looked at."""
_NAMED: Final = 3
"""Tasks under way that a message names."""


class Crew(Protocol):
    """Workers of some kind."""

    @property
    def size(self) -> int:
        """How many there are now."""

    def submit(self, block: Block) -> Future[Report]:
        """Send a block."""

    def finished(self) -> None:
        """Take note that a block came back."""

    def check(self) -> None:
        """Raise a RunError if there is nobody left who could bring the blocks that are under way."""

    def recover(self, reason: BaseException, tasks: str) -> None:
        """Be ready again after workers were lost, or raise a RunError that says why not."""

    def close(self) -> None:
        """Stop all workers, at once."""


class Dispatch:
    """Tasks on their way.

    Parameters
    ----------
    crew
        Who does them.
    template
        The block without its items.
    items
        JSON texts, all different.
    record
        Called in this thread for each result as it comes, with the place of its item and its JSON text.
    """

    def __init__(self, crew: Crew, template: Block, items: Sequence[str], record: Callable[[int, str], None]) -> None:
        self._crew, self._template, self._items, self._record = crew, template, items, record
        self._waiting = deque(range(len(items)))
        self._flying: dict[Future[Report], tuple[int, ...]] = {}
        self._done = 0
        self._seconds = 0.0

    def run(self) -> None:
        """Do all tasks.

        Whatever stops it before the end, what workers have finished by then is recorded.

        Raises
        ------
        RunError
            If workers are lost for good.
        Exception
            What a task raises; of several, that of the first item.
        """
        try:
            while self._waiting or self._flying:
                self._fill()
                ready, _ = wait(self._flying, timeout=LOOK, return_when=FIRST_COMPLETED)
                if ready:
                    self._take(ready)
                else:
                    self._crew.check()
        except BaseException:
            self._hand_in()
            raise

    def _fill(self) -> None:
        try:
            while self._waiting and len(self._flying) < AHEAD * self._crew.size:
                size = self._block_size()
                places = tuple(self._waiting.popleft() for _ in range(min(size, len(self._waiting))))
                try:
                    future = self._crew.submit(replace(self._template, items=tuple(self._items[place] for place in places)))
                except BaseException:
                    self._waiting.extendleft(reversed(places))
                    raise
                self._flying[future] = places
        except BrokenExecutor:
            if not self._flying:  # else those under way tell
                self._crew.recover(BrokenExecutor(), "no task")

    def _block_size(self) -> int:
        """As many tasks as a block should hold, fewer near the end, so that all workers end together."""
        if not self._done:
            return 1
        worth = BLOCK_SECONDS * self._done / max(self._seconds, 1e-9)
        return max(1, int(min(worth, len(self._waiting) / (AHEAD * self._crew.size))))

    def _take(self, ready: set[Future[Report]]) -> None:
        """Record what came back; then raise the first error, or send again what was lost."""
        errors: dict[int, Exception] = {}
        lost: BaseException | None = None
        names: list[str] = []
        for future in sorted(ready, key=self._flying.__getitem__):
            places = self._flying[future]
            try:
                report = future.result()
            except (BrokenExecutor, CancelledError) as error:
                lost = error
                names += [brief(self._items[place]) for place in places]
                self._waiting.extendleft(reversed(places))
            except Exception as error:  # noqa: BLE001 raised below, when all that came back is recorded
                errors[places[0]] = error
            else:
                self._keep(places, report)
                if report.error is not None:
                    errors[places[len(report.results)]] = unpacked(report.error)
            del self._flying[future]  # last, so that an interrupt on the way records it once more
        if errors:
            raise errors[min(errors)]
        if lost is not None:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            self._crew.recover(lost, f"{', '.join(names[:_NAMED])}{more}")

    def _keep(self, places: tuple[int, ...], report: Report) -> None:
        self._crew.finished()
        self._seconds += report.seconds
        self._done += len(report.results)
        for place, result in zip(places, report.results, strict=False):
            self._record(place, result)
        if report.error is None:
            self._waiting.extendleft(reversed(places[len(report.results) :]))

    def _hand_in(self) -> None:
        """Ask blocks to leave off, and record what they have finished within the time of grace."""
        Path(self._template.stop).touch()
        kept = [future for future in self._flying if not future.cancel()]
        done, _ = wait(kept, timeout=GRACE)
        for future in sorted(done, key=self._flying.__getitem__):
            if not future.cancelled() and future.exception() is None:
                self._keep(self._flying[future], future.result())

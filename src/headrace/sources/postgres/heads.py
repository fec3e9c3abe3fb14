"""Makes the stream reach what `head()` promised, also at a source where nothing more happens."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog

from headrace.errors import SourceError
from headrace.sources.postgres.problems import Broken

_PATIENCE_S = 0.03
_NUDGE_AT_MOST_EVERY_S = 1.0
_log = structlog.get_logger(__name__)


class Heads:
    """The WAL positions that somebody waits for.

    The server tells by itself how far it has read the WAL, but it reads only what is on disk: an asynchronous commit
    stays unseen until something flushes it, and a head just behind a page's header is met by no record. Then a
    message is committed, at most once a second, and comes back through the stream.
    """

    def __init__(self, nudge: Callable[[], Awaitable[None]], poke: Callable[[], None]) -> None:
        self._nudge = nudge
        self._poke = poke
        self._wanted: list[int] = []
        self._reached = 0
        self._nudged_for = 0
        self._nudged_at = -_NUDGE_AT_MOST_EVERY_S
        self._task: asyncio.Task[None] | None = None
        self.streaming = asyncio.Event()
        """Set while the stream is open: a nudge is of no use before."""

    def want(self, lsn: int) -> None:
        """The stream is to tell as soon as it has seen everything up to `lsn`."""
        if lsn <= self._reached:
            return
        heapq.heappush(self._wanted, lsn)
        self._poke()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._see_to_it(), name="postgres head")

    def due(self, frontier: int) -> bool:
        """Whether somebody waits for a position that the stream has seen, but not told yet."""
        return bool(self._wanted) and self._wanted[0] <= frontier

    def told(self, frontier: int) -> None:
        """The consumer has been given this frontier."""
        self._reached = max(self._reached, frontier)
        while self._wanted and self._wanted[0] <= self._reached:
            heapq.heappop(self._wanted)

    async def _see_to_it(self) -> None:
        while self._wanted and max(self._wanted) > self._nudged_for:
            await self.streaming.wait()
            stood_at = self._reached
            await asyncio.sleep(_PATIENCE_S)
            if not self._wanted or self._reached != stood_at:
                continue
            await asyncio.sleep(max(0.0, self._nudged_at + _NUDGE_AT_MOST_EVERY_S - monotonic()))
            if not self._wanted or not self.streaming.is_set():
                continue
            target = max(self._wanted)
            self._nudged_at = monotonic()
            try:
                await self._nudge()
            except (Broken, SourceError) as problem:
                _log.warning("a head could not be hurried", reason=str(problem))
                continue
            self._nudged_for = target

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

"""Brings the log to disk for everybody who waits for it, one sync at a time."""

from __future__ import annotations

import asyncio

from headrace.log import Log


class Syncing:
    """Callers that come while a sync is under way share the next one: theirs must begin after they came."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._current: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Returns when everything appended before the call is on disk. Raises what the log raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._sync(self._current), name="sync")
        await asyncio.shield(self._next)

    async def _sync(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        self._current, self._next = self._next, None
        await self._log.sync()

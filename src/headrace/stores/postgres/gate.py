"""Who reads goes through freely; who must be alone closes the gate and waits for those inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Gate:
    """For the tasks of one event loop."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    async def enter(self) -> None:
        """Waits while it is closed. Each time needs a `leave`."""
        await self._open.wait()
        self._inside += 1
        self._empty.clear()

    def leave(self) -> None:
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    @asynccontextmanager
    async def closed(self, patience_s: float) -> AsyncGenerator[bool]:
        """Nobody comes in meanwhile; whether everybody had left in time. To be closed by one at a time."""
        self._open.clear()
        try:
            try:
                async with asyncio.timeout(patience_s):
                    await self._empty.wait()
            except TimeoutError:
                yield False
            else:
                yield True
        finally:
            self._open.set()

"""Units of a copy read side by side, and given in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar

U = TypeVar("U")
P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)


class Reader(Protocol[U, P_co]):
    """One of those that read; each has a connection of its own."""

    async def next(self) -> U | None:
        """The next unit of all; None when there are no more. Not asked of two readers at once."""
        ...

    def read(self, unit: U) -> AsyncGenerator[tuple[P_co, bool]]:
        """A unit in parts, and whether each is its last one."""
        ...


async def abreast(readers: Sequence[Reader[U, P]], ahead: int, parts: int) -> AsyncGenerator[tuple[U, P, bool]]:
    """The units' parts in the units' order. `ahead`: so many units may be begun and not yet given; `parts`: so many
    parts of each wait at most. What a reader raises is raised in its place."""
    order = asyncio.Queue[tuple[U, asyncio.Queue[tuple[P, bool] | Exception]] | Exception | None]()
    room, turn = asyncio.Semaphore(ahead), asyncio.Lock()

    async def read(reader: Reader[U, P]) -> None:
        while True:
            await room.acquire()
            async with turn:
                try:
                    unit = await reader.next()
                except Exception as problem:  # noqa: BLE001 - raised where the parts are taken
                    order.put_nowait(problem)
                    return
                if unit is None:
                    order.put_nowait(None)
                    return
                waiting = asyncio.Queue[tuple[P, bool] | Exception](parts)
                order.put_nowait((unit, waiting))
            try:
                async with aclosing(reader.read(unit)) as found:
                    async for part in found:
                        await waiting.put(part)
            except Exception as problem:  # noqa: BLE001 - as above
                await waiting.put(problem)
                return

    tasks = [asyncio.create_task(read(reader), name="copy") for reader in readers]
    try:
        while (following := await order.get()) is not None:
            if isinstance(following, Exception):
                raise following
            unit, waiting = following
            end = False
            while not end:
                part = await waiting.get()
                if isinstance(part, Exception):
                    raise part
                given, end = part
                yield unit, given, end
            room.release()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""A stream that has ended does not count as being read, however it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import AsyncGeneratorType
from typing import cast

from headrace.sources.flowing import finish, flowing


class Reading:
    """A stream that takes its time to give, and to end."""

    def __init__(self) -> None:
        self.gives, self.ends = asyncio.Event(), asyncio.Event()
        self.ended = False
        self.stream = cast("AsyncGeneratorType[int, None]", self._stream())

    async def _stream(self) -> AsyncGenerator[int]:
        try:
            while True:
                await self.gives.wait()
                yield 1
        finally:
            try:
                await self.ends.wait()
            finally:
                self.ended = True


async def test_it_flows_while_somebody_waits_inside() -> None:
    reading = Reading()
    assert not flowing(reading.stream)
    waiting = asyncio.ensure_future(anext(reading.stream))
    await asyncio.sleep(0)
    assert flowing(reading.stream)
    await finish(reading.stream)  # not under whoever is inside
    assert not waiting.done()

    reading.gives.set()
    assert await waiting == 1
    assert not flowing(reading.stream)

    reading.ends.set()
    await finish(reading.stream)
    assert reading.ended
    assert not flowing(reading.stream)
    await finish(reading.stream)


async def test_one_whose_end_was_cancelled_flows_no_more() -> None:
    reading = Reading()
    reading.gives.set()
    await anext(reading.stream)
    ending = asyncio.create_task(reading.stream.aclose())
    await asyncio.sleep(0)
    assert flowing(reading.stream)
    ending.cancel()
    await asyncio.wait((ending,))

    assert ending.cancelled()
    assert reading.ended
    assert not flowing(reading.stream)
    await finish(reading.stream)

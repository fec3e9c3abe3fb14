"""Long work of the event loop gives way to those who wait for an answer. Pure but for the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from time import monotonic
from typing import Final

STINT_S: Final = 0.003
"""So long work goes on before others have a turn."""
ASIDE_S: Final = 0.006
"""So long it then stands aside for those who wait, at most: with somebody waiting all the time a third is left to it.
"""
ASKING_S: Final = 1.0
"""Who has not been answered by then waits for something else than the loop."""


class Courtesy:
    """Whoever asks is one of many short steps with the server in between: each would wait for all of the work's."""

    def __init__(self) -> None:
        self._asking: dict[int, float] = {}
        self._numbers = count()
        self._free = asyncio.Event()
        """Nobody asks."""

    @contextmanager
    def asking(self) -> Generator[None]:
        """Inside, somebody waits for an answer."""
        number = next(self._numbers)
        self._asking[number] = monotonic()
        self._free.clear()
        try:
            yield
        finally:
            del self._asking[number]
            if not self._asking:
                self._free.set()

    @property
    def asked(self) -> bool:
        since = monotonic() - ASKING_S
        return any(began > since for began in self._asking.values())

    async def answered(self) -> None:
        """Waits until those who ask have their answers, a short time at most."""
        if self.asked:
            with suppress(TimeoutError):
                async with asyncio.timeout(ASIDE_S):
                    await self._free.wait()

    def work(self, *, background: bool) -> Stint:
        """Work that begins now. In the `background` it stands aside; otherwise it takes turns."""
        return Stint(self, background=background)


class Stint:
    """Some work, between whose parts `pause` is called."""

    def __init__(self, courtesy: Courtesy, *, background: bool) -> None:
        self._courtesy = courtesy
        self._background = background
        self._since = monotonic()

    async def pause(self) -> None:
        """Does nothing until the work has gone on for long enough."""
        if monotonic() - self._since < STINT_S:
            return
        await asyncio.sleep(0)
        if self._background:
            await self._courtesy.answered()
        self._since = monotonic()

"""The newest appends of a source in memory, and the wake-up of those who follow it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from headrace.log import Append

TAIL_CHANGES = 20_000
"""Bounds what a tail keeps; a reader that is further behind reads the table."""


class Tail:
    """Appends in order, bounded by their number of changes."""

    def __init__(self, head: int) -> None:
        self.head = head
        self._appends: deque[Append] = deque()
        self._changes = 0
        self._waiting: set[asyncio.Event] = set()

    def push(self, append: Append) -> None:
        self._appends.append(append)
        self._changes += len(append.changes)
        while self._changes > TAIL_CHANGES and len(self._appends) > 1:
            self._changes -= len(self._appends.popleft().changes)
        self.head = append.number
        for event in self._waiting:
            event.set()

    def after(self, number: int, limit: int) -> Sequence[Append] | None:
        """The appends behind `number`, about `limit` changes; None when the tail does not reach back so far."""
        if not self._appends or self._appends[0].number > number + 1:
            return None
        taken: list[Append] = []
        changes = 0
        skip = number + 1 - self._appends[0].number
        for i in range(skip, len(self._appends)):
            taken.append(self._appends[i])
            changes += len(self._appends[i].changes)
            if changes >= limit:
                break
        return taken

    async def wait(self, number: int) -> None:
        """Returns when there is an append behind `number`."""
        if self.head > number:
            return
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while self.head <= number:
                event.clear()
                await event.wait()
        finally:
            self._waiting.discard(event)

"""The newest appends of a source in memory, and the wake-up of those who follow it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from headrace.change import Change
from headrace.log import Append, Logged

TAIL_CHANGES, TAIL_BYTES = 20_000, 64 * 1024 * 1024
"""Bound what a tail keeps, documents being much larger than rows; a reader that is further behind reads the table."""


Part = tuple[str, int, int, Sequence[Change]]
"""What an append wrote to one partition: topic, partition, first offset, changes."""


class Tail:
    """Appends in order, bounded by their number of changes and their size; with each, its parts."""

    def __init__(self, head: int) -> None:
        self.head = head
        self._appends: deque[Append] = deque()
        self._parts: deque[Sequence[Part]] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._changes = 0
        self._waiting: set[asyncio.Event] = set()

    def push(self, append: Append, parts: Sequence[Part], size: int) -> None:
        """`size`: bytes of the changes, not packed."""
        self._appends.append(append)
        self._parts.append(parts)
        self._sizes.append(size)
        self._changes += len(append.changes)
        self._bytes += size
        while (self._changes > TAIL_CHANGES or self._bytes > TAIL_BYTES) and len(self._appends) > 1:
            self._changes -= len(self._appends.popleft().changes)
            self._parts.popleft()
            self._bytes -= self._sizes.popleft()
        self.head = append.number
        for event in self._waiting:
            event.set()

    def after(self, number: int, limit: int, most: int) -> Sequence[Append] | None:
        """The appends behind `number`, about `limit` changes or `most` bytes; None when the tail does not reach back so
        far."""
        if not self._appends or self._appends[0].number > number + 1:
            return None
        taken: list[Append] = []
        changes = size = 0
        skip = number + 1 - self._appends[0].number
        for i in range(skip, len(self._appends)):
            taken.append(self._appends[i])
            changes += len(self._appends[i].changes)
            size += self._sizes[i]
            if changes >= limit or size >= most:
                break
        return taken

    def logged(self, topic: str, partition: int, offset: int, limit: int) -> list[Logged] | None:
        """At most `limit` changes of a partition from an offset on; None when the tail does not reach back so far."""
        behind: list[tuple[int, Sequence[Change]]] = []
        for parts in reversed(self._parts):  # who follows is near the end
            behind += [(first, changes) for t, p, first, changes in parts if (t, p) == (topic, partition)]
            if behind and behind[-1][0] <= offset:
                break
        else:
            return None
        found: list[Logged] = []
        for first, changes in reversed(behind):
            start = max(first, offset)
            some = changes[start - first : start - first + limit - len(found)]
            found += [Logged(topic, partition, n, change) for n, change in enumerate(some, start)]
        return found

    def forget(self) -> None:
        """What the table no longer holds must not be read here either."""
        self._appends.clear()
        self._parts.clear()
        self._sizes.clear()
        self._changes = self._bytes = 0

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

"""A log in memory that a source can be driven against: it keeps what was appended, and loses the end in a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from headrace.change import START, Change, Op, Position, Row
from headrace.sources import Captured, Rejected, Resume, Source

Table = dict[Row, Row]


class MemoryState:
    """Implements `headrace.sources.State`."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {k: self.values[k] for k in keys if k in self.values}

    async def scan(self, prefix: str) -> dict[str, bytes]:
        return {k: v for k, v in self.values.items() if k.startswith(prefix)}


class MemoryLog:
    """Appends whole `Captured`s and checks what the port promises of them."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.changes: list[Change] = []
        self.rejected: list[Rejected] = []
        self.steps: list[Captured] = []
        self.position = START
        self.committed_at = 0
        self.frontier = START

    @property
    def resume(self) -> Resume:
        return Resume(self.position, self.state, self, self.committed_at)

    async def partitions(self, topic: str) -> tuple[Sequence[int], bool]:
        """Of `headrace.sources.Known`."""
        return ([0] if self.of(topic) else []), True

    async def known(self, topic: str, partition: int) -> AsyncGenerator[Sequence[Change]]:
        found = self.of(topic)
        for i in range(0, len(found), 1000):
            await asyncio.sleep(0)
            yield found[i : i + 1000]

    def append(self, captured: Captured) -> None:
        for change in captured.changes:
            assert change.position > self.position, f"{change} after {self.position}"
            assert change.position > self.frontier, f"{change} after the frontier {self.frontier}"
            self.position, self.committed_at = change.position, change.committed_at
        self.frontier = max(self.frontier, captured.frontier)
        self.changes.extend(captured.changes)
        self.rejected.extend(captured.rejected)
        self.steps.append(captured)
        for key, value in captured.state.items():
            if value is None:
                self.state.values.pop(key, None)
            else:
                self.state.values[key] = value

    def crashed(self, steps: int) -> MemoryLog:
        """What is left when only the first steps had reached the disk."""
        left = MemoryLog()
        for captured in self.steps[:steps]:
            left.append(captured)
        # What a source gave without changes or state is not in a log.
        left.frontier = START
        return left

    def table(self, topic: str) -> Table:
        """The rows that the log's changes of a topic amount to."""
        rows: Table = {}
        for c in self.of(topic):
            if c.op is Op.TRUNCATE:
                rows.clear()
            elif c.op is Op.DELETE:
                rows.pop(c.key, None)
            else:
                assert c.after is not None
                rows[c.key] = c.after
        return rows

    def of(self, topic: str) -> list[Change]:
        return [c for c in self.changes if c.schema.topic == topic]


async def run(source: Source, log: MemoryLog, until: Callable[[MemoryLog], bool], *, acknowledge: bool = True) -> None:
    """Appends what the source gives until `until` holds after an append."""
    async with asyncio.timeout(60), aclosing(source.stream(log.resume)) as steps:
        async for captured in steps:
            log.append(captured)
            if acknowledge:
                await source.ack(captured.frontier)
            if until(log):
                return


async def catch_up(source: Source, log: MemoryLog, *, acknowledge: bool = True) -> Position:
    """Appends until everything committed before the call is there."""
    head = await source.head()
    await run(source, log, lambda now: now.frontier >= head, acknowledge=acknowledge)
    return head


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(90):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.002)

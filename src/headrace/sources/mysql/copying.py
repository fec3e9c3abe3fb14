"""Copies tables into the log: all of them at the first start, others later, each as of one point of the binary log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from headrace.change import START, Position
from headrace.sources import Captured, SnapshotProgress
from headrace.sources.mysql.progress import CAPTURE, COPIED, PLACE, Capture, Copied, Place
from headrace.sources.mysql.setup import Found
from headrace.sources.mysql.shapes import Shapes
from headrace.sources.mysql.snapshot import Chunk, Copy, Progress, truncates


class Copying:
    """`copy.point`: the copied rows stand at it; what commits later comes by the stream. Call `close` at the end."""

    def __init__(self, copy: Copy, tables: Sequence[Found], shapes: Shapes) -> None:
        self.copy = copy
        self.tables = tuple(tables)
        self._shapes = shapes
        self._progress = Progress(sum(t.rows for t in tables))

    @property
    def progress(self) -> SnapshotProgress:
        return self._progress.now

    async def first_run(
        self, opened: Capture, done: Capture, place: Place, emptied: bool, batch_rows: int, batch_bytes: int
    ) -> AsyncGenerator[Captured]:
        """The first copy: the frontier stays at the start until it is complete. How far it is stands in the state."""
        changes = truncates(self.copy, self._shapes, self.tables) if emptied else []
        state = {CAPTURE: opened.encode(), PLACE: place.encode(), COPIED: Copied().encode()}
        yield Captured(START, changes, dict(state))
        async with aclosing(self._rows(batch_rows, batch_bytes)) as steps:
            async for chunk, copied in steps:
                yield Captured(START, chunk.changes, {COPIED: copied.encode()}, chunk.rejected)
        end = self.copy.moments.at(self.copy.point)
        yield Captured(end, state={CAPTURE: done.encode(), COPIED: None})

    async def added_run(
        self, done: Capture, place: Place, batch_rows: int, batch_bytes: int, frontier: Position
    ) -> AsyncGenerator[Captured]:
        """Tables copied later: given where the stream has reached the point."""
        yield Captured(frontier, truncates(self.copy, self._shapes, self.tables), {PLACE: place.encode()})
        async with aclosing(self._rows(batch_rows, batch_bytes)) as steps:
            async for chunk, _ in steps:
                yield Captured(frontier, chunk.changes, {}, chunk.rejected)
        yield Captured(self.copy.moments.at(self.copy.point), state={CAPTURE: done.encode()})

    async def _rows(self, batch_rows: int, batch_bytes: int) -> AsyncGenerator[tuple[Chunk, Copied]]:
        """With each chunk how far the copy is when it has been given."""
        whole: tuple[str, ...] = ()
        done = 0
        tables = [(t, self._shapes.catalogued(t.catalogued)) for t in self.tables]
        async with aclosing(self.copy.chunks(tables, batch_rows, batch_bytes)) as chunks:
            async for chunk in chunks:
                count = len(chunk.changes) + len(chunk.rejected)
                done += count
                self._progress.done += count
                if count:
                    yield chunk, Copied(whole, chunk.table, chunk.keys, done)
                if chunk.end:
                    whole, done = (*whole, chunk.table), 0

    def interrupt(self) -> None:
        self.copy.interrupt()

    async def close(self) -> None:
        await self.copy.close()

"""Copies tables into the log: all of them at the first start, added ones later, each as of one point of the WAL."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from headrace.change import START, Position
from headrace.sources import Captured, SnapshotProgress
from headrace.sources.postgres import setup
from headrace.sources.postgres.assemble import Note
from headrace.sources.postgres.kept import Kept
from headrace.sources.postgres.plan import Plan
from headrace.sources.postgres.progress import CAPTURE
from headrace.sources.postgres.replication import Replication
from headrace.sources.postgres.setup import Connection
from headrace.sources.postgres.snapshot import Copy, Progress, copied, truncates


class Copying:
    """`point`: the copied rows stand at it; what commits later comes by the stream. Call `close` at the end."""

    def __init__(self, plan: Plan, copy: Copy, point: int, kept: Kept) -> None:
        self.point = point
        self._plan = plan
        self._copy = copy
        self._kept = kept
        self._progress = Progress(sum(d.found.rows for d, _ in plan.to_copy))

    @classmethod
    async def first(
        cls, plan: Plan, kept: Kept, replication: Replication, connection: Connection, conninfo: str, shown: str
    ) -> Copying:
        """Creates the slot; one that an interrupted start left behind is dropped before. A slot of somebody else stays:
        it holds what comes after a point of now."""
        if plan.slot_there:
            return await cls.added(plan, kept, conninfo, shown)
        await setup.drop_slot(connection, plan.slot)
        slot = await replication.create_slot(plan.slot)
        copy = await Copy.open(
            conninfo, shown, [d.found for d, _ in plan.to_copy], slot.snapshot, slot.consistent_point
        )
        return cls(plan, copy, slot.consistent_point, kept)

    @classmethod
    async def added(cls, plan: Plan, kept: Kept, conninfo: str, shown: str) -> Copying:
        """A temporary slot tells a point of the WAL and a snapshot that belongs to it; then it is gone."""
        aside = await Replication.connect(conninfo, shown)
        try:
            slot = await aside.create_slot(f"{plan.slot[:58]}_tmp", temporary=True)
            copy = await Copy.open(
                conninfo, shown, [d.found for d, _ in plan.to_copy], slot.snapshot, slot.consistent_point
            )
        finally:
            await aside.close()
        return cls(plan, copy, slot.consistent_point, kept)

    @property
    def progress(self) -> SnapshotProgress:
        return self._progress.now

    @property
    def tables(self) -> frozenset[int]:
        return frozenset(d.found.oid for d, _ in self._plan.to_copy)

    async def first_run(self, batch_rows: int, batch_bytes: int) -> AsyncGenerator[Captured]:
        """The first copy: the frontier stays at the start until it is complete."""
        opened = self._plan.captured(self.point, done=False)
        yield await self._emptying({CAPTURE: opened.encode()}, START)
        async with aclosing(self._rows(batch_rows, batch_bytes, START)) as steps:
            async for captured in steps:
                yield captured
        done = self._plan.captured(self.point, done=True)
        yield Captured(Position(self.point), state={CAPTURE: done.encode()})

    async def added_run(self, batch_rows: int, batch_bytes: int, frontier: Position) -> AsyncGenerator[Captured]:
        """Added tables: given where the stream has reached `point`."""
        yield await self._emptying({}, frontier)
        async with aclosing(self._rows(batch_rows, batch_bytes, frontier)) as steps:
            async for captured in steps:
                yield captured
        assert self._plan.capture is not None
        done = self._plan.captured(self._plan.capture.point, done=True)
        yield Captured(Position(self.point), state={CAPTURE: done.encode()})

    async def _emptying(self, state: dict[str, bytes | None], frontier: Position) -> Captured:
        if not self._plan.emptied:
            return Captured(frontier, state=state)
        shapes = [shape for _, shape in self._plan.to_copy]
        changes = truncates(shapes, self._copy.numbering)
        notes = [Note(i, s) for i, s in enumerate(shapes) if s.schema.table in self._kept.tables]
        return Captured(frontier, changes, {**await self._kept.settle(changes, notes), **state})

    async def _rows(self, batch_rows: int, batch_bytes: int, frontier: Position) -> AsyncGenerator[Captured]:
        work = copied(self._copy, self._plan.to_copy, batch_rows, batch_bytes, self._progress)
        async with aclosing(work) as chunks:
            async for chunk in chunks:
                self._kept.tables.update(n.shape.schema.table for n in chunk.notes)
                state = await self._kept.settle(chunk.changes, chunk.notes)
                yield Captured(frontier, chunk.changes, state, chunk.rejected)

    async def close(self) -> None:
        await self._copy.close()

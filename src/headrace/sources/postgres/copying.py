"""The first copy into the log, as of one point of the WAL; how far it is stands with the rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from secrets import token_hex

from headrace.change import START, Position
from headrace.sources import Captured, SnapshotProgress
from headrace.sources.postgres import setup
from headrace.sources.postgres.assemble import Note
from headrace.sources.postgres.kept import Kept
from headrace.sources.postgres.plan import Plan
from headrace.sources.postgres.problems import copy_again
from headrace.sources.postgres.progress import CAPTURE, COPIED, Copied
from headrace.sources.postgres.replication import Replication
from headrace.sources.postgres.setup import Connection
from headrace.sources.postgres.snapshot import Copy, Part, Progress, truncates


class Copying:
    """`point`: the copied rows stand at it; what commits later comes by the stream. Call `close` at the end.

    An interrupted one is not begun again: the slot stands at `point`, so the stream tells what happened since to the
    rows that were copied, and the others are read beside it.
    """

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
        """Creates the slot, unless somebody else did; one that an interrupted start left behind is dropped before.

        A slot may have looked at the catalog while it was made, before it knew of all that was changed there (a new
        file after a TRUNCATE), and keeps what it saw until the catalog changes again: "could not map filenode" then
        ends its stream, every time. So the catalog is changed, and the rows are read as of a second slot's point: when
        that one is ready, all has ended that had begun before the change, and nothing older is decoded.
        """
        if not plan.slot_there:
            await setup.drop_slot(connection, plan.slot)
            await replication.create_slot(plan.slot)
        await setup.change_catalog(connection, shown)
        slot = await replication.create_snapshot(f"{plan.slot[:50]}_{token_hex(4)}")
        copy = await Copy.open(
            conninfo, shown, [d.found for d, _ in plan.to_copy], slot.snapshot, slot.consistent_point
        )
        try:
            await replication.drop_slot(slot.name)
            # The slots may have waited long since the tables were looked at.
            if (altered := await plan.altered(copy.session)) is not None:
                raise copy_again(shown, f"{altered} was altered meanwhile")
        except BaseException:
            await copy.close()
            raise
        return cls(plan, copy, slot.consistent_point, kept)

    @property
    def progress(self) -> SnapshotProgress:
        return self._progress.now

    async def run(self, batch_rows: int, batch_bytes: int) -> AsyncGenerator[Captured]:
        """The frontier stays at the start until all is copied."""
        opened = self._plan.captured(self.point, done=False)
        yield await self._emptying({CAPTURE: opened.encode(), COPIED: Copied().encode()})
        copied = Copied()
        units = await self._copy.units(self._plan.to_copy, batch_rows)
        async with aclosing(self._copy.parts(units, batch_rows, batch_bytes)) as parts:
            async for part in parts:
                copied = _after(copied, part) if part.end else copied
                yield await self._given(part, copied)
        done = self._plan.captured(self.point, done=True)
        yield Captured(Position(self.point), state={CAPTURE: done.encode(), COPIED: None})

    async def _given(self, part: Part, copied: Copied) -> Captured:
        chunk = part.chunk
        self._progress.done += len(chunk.changes) + len(chunk.rejected)
        self._kept.tables.update(n.shape.schema.table for n in chunk.notes)
        state = await self._kept.settle(chunk.changes, chunk.notes)
        if part.end:
            state[COPIED] = copied.encode()
        return Captured(START, chunk.changes, state, chunk.rejected)

    async def _emptying(self, state: dict[str, bytes | None]) -> Captured:
        if not self._plan.emptied:
            return Captured(START, state=state)
        shapes = [shape for _, shape in self._plan.to_copy]
        changes = truncates(shapes, self._copy.numbering)
        notes = [Note(i, s) for i, s in enumerate(shapes) if s.schema.table in self._kept.tables]
        return Captured(START, changes, {**await self._kept.settle(changes, notes), **state})

    async def close(self) -> None:
        await self._copy.close()


def _after(copied: Copied, part: Part) -> Copied:
    unit = part.unit
    if unit.last:
        return Copied((*copied.tables, unit.table.found.oid))
    relation, page = (unit.oid + 1, 0) if unit.end is None else (unit.oid, unit.end)
    return Copied(copied.tables, unit.table.found.oid, relation, unit.file, page)

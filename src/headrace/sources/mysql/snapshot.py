"""Copies of tables, as their rows stood at one point of the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from headrace.change import Change, Op, Position, Row, Schema
from headrace.clock import now_us
from headrace.sources import Rejected, SnapshotProgress
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.cutting import Cutter, Unit
from headrace.sources.mysql.opening import open_together
from headrace.sources.mysql.positions import Moments
from headrace.sources.mysql.problems import copy_again, query_failed, rejected_row
from headrace.sources.mysql.result import Failed, ResultReader
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import Found
from headrace.sources.mysql.shapes import Shapes, picker
from headrace.sources.snapshots.abreast import abreast
from headrace.sources.snapshots.jobs import Keys

_DEFINITION_CHANGED = frozenset({1412, 1146, 1054, 1305})
_AHEAD = 3
_PARTS = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some copied rows of a table. `keys`: up to where; without columns where the table has no order to go on in.
    `end`: the table's last ones."""

    table: str
    changes: list[Change]
    rejected: list[Rejected]
    keys: Keys
    end: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of a unit. `last`: the last one's key, as it is ordered."""

    rows: list[Row]
    bad: dict[int, ValueError]
    last: tuple[bytes, ...]


class Copy:
    """Reads tables in transactions that see one snapshot. `point`: where it stands in the log; `at`: when it was taken,
    microseconds since the epoch. Call `close` at the end."""

    def __init__(self, sessions: Sequence[Session], shown: str, point: int, at: int, moments: Moments) -> None:
        self._sessions = sessions
        self._shown = shown
        self.point = point
        self.at = at
        self.moments = moments

    @classmethod
    async def open(cls, address: Address, tables: Sequence[str], mariadb: bool, moments: Moments) -> Copy:
        """Raises Broken or SourceError. When this returns, no DDL can change the tables under the copy; it waits, as
        for any reader."""
        try:
            sessions, point, at = await asyncio.to_thread(open_together, address, tables, mariadb)
        except Failed as failed:
            raise _failed(address.shown, failed) from None
        return cls(sessions, address.shown, point, at, moments)

    async def chunks(
        self, tables: Sequence[tuple[Found, Schema]], batch_rows: int, batch_bytes: int
    ) -> AsyncGenerator[Chunk]:
        """The rows of some tables in order, at most about `batch_rows` or `batch_bytes` at a time; each table has an
        end. Raises Broken or SourceError."""
        cutter = Cutter(tables)
        readers = [_Reader(session, cutter, batch_rows, batch_bytes) for session in self._sessions]
        try:
            async with aclosing(abreast(readers, _AHEAD, _PARTS)) as parts:
                async for unit, part, end in parts:
                    yield self._chunk(unit, part, end and unit.last)
                    # A copy must not starve what else the loop has to do.
                    await asyncio.sleep(0)
        except Failed as failed:
            raise _failed(self._shown, failed) from None

    def _chunk(self, unit: Unit, part: _Part, end: bool) -> Chunk:
        schema, point, at = unit.schema, self.point, self.at
        key = picker(tuple(schema.index(name) for name in schema.key))
        first = self.moments.many(len(part.rows))
        changes = [
            Change(schema, Op.READ, Position(point, n), at, 0, key(row), None, row)
            for n, row in enumerate(part.rows, first)
            if row
        ]
        rejected = [rejected_row(schema.topic, Position(point, first + i), at, why) for i, why in part.bad.items()]
        keys = Keys(tuple(c.name for c in unit.order), part.last) if unit.order else Keys()
        return Chunk(unit.table.table, changes, rejected, keys, end)

    def interrupt(self) -> None:
        """Ends what waits for the server."""
        for session in self._sessions:
            session.interrupt()

    async def close(self) -> None:
        for session in self._sessions:
            await asyncio.to_thread(session.close)


class _Reader:
    """One session's part of a copy: see `abreast.Reader`. Raises Failed."""

    def __init__(self, session: Session, cutter: Cutter, batch_rows: int, batch_bytes: int) -> None:
        self._session, self._cutter = session, cutter
        self._rows, self._bytes = batch_rows, batch_bytes

    async def next(self) -> Unit | None:
        return await asyncio.to_thread(self._cutter.next, self._session)

    async def read(self, unit: Unit) -> AsyncGenerator[tuple[_Part, bool]]:
        session, result = self._session, ResultReader(unit.read, self._rows)
        try:
            await asyncio.to_thread(session.select, unit.query)
            while not result.ended:
                result.feed(await asyncio.to_thread(session.block))
                while result.full or result.size >= self._bytes:
                    yield _part(unit, result), False
                    result.feed(b"")
        except BaseException:
            session.interrupt()
            raise
        session.selected()
        yield _part(unit, result), True


def _part(unit: Unit, result: ResultReader) -> _Part:
    last = result.cells(len(unit.table.columns), len(unit.order)) if result.rows else ()
    return _Part(*result.take(), tuple(cell or b"" for cell in last))


def _failed(shown: str, failed: Failed) -> Exception:
    if failed.code in _DEFINITION_CHANGED:
        return copy_again(shown, failed.text)
    return query_failed(shown, "copy tables", failed.code, failed.text)


class Progress:
    """Counts rows against what the server's statistics expect."""

    def __init__(self, expected: int) -> None:
        self.done = 0
        self._expected = expected
        self._started_at = now_us()

    @property
    def now(self) -> SnapshotProgress:
        return SnapshotProgress(self.done, max(self._expected, self.done), self._started_at)


def truncates(copy: Copy, shapes: Shapes, tables: Sequence[Found]) -> list[Change]:
    """Empties tables before they are copied again: what an earlier copy gave may be gone at the source."""
    return [
        Change(schema, Op.TRUNCATE, copy.moments.at(copy.point), copy.at, 0, (), None, None)
        for schema in (shapes.catalogued(t.catalogued) for t in tables)
    ]

"""The first copy of tables, as their rows stood at one point of the WAL: ranges of pages, read side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, Error, errors, sql

from headrace.change import Change, Op, Position
from headrace.clock import now_us
from headrace.sources import SnapshotProgress
from headrace.sources.postgres.copyout import copy_out
from headrace.sources.postgres.problems import connect_failed, copy_again
from headrace.sources.postgres.reading import Chunk, given_at, read_rows
from headrace.sources.postgres.setup import (
    SQL,
    Connection,
    Described,
    Found,
    Heap,
    condition,
    heaps,
    lock,
    rewritten_since,
    where,
)
from headrace.sources.postgres.shapes import Shape
from headrace.sources.snapshots.abreast import abreast

CONNECTIONS = 2
"""The server makes lines of rows faster than we read them; a second reader hides the pauses between ranges."""
_AHEAD = CONNECTIONS + 2
_PARTS = 2
_ROWS_A_PAGE = 60.0
"""Of a table without statistics."""


class Numbering:
    """Positions of a copy at consistent point P: (P - 1, 1), (P - 1, 2), ... before everything that is streamed."""

    def __init__(self, consistent_point: int, committed_at: int, minor: int = 0) -> None:
        self.major = consistent_point - 1
        self.minor = minor
        self.committed_at = committed_at

    def take(self, count: int) -> int:
        """The minor before the first of `count` positions, which are taken now."""
        before, self.minor = self.minor, self.minor + count
        return before


@dataclass(frozen=True, slots=True)
class Unit:
    """Pages `first` up to before `end` (None: all further ones) of one relation of a table; all rows, when `whole`."""

    table: Described
    shape: Shape
    schema: str
    name: str
    oid: int
    file: int
    whole: bool
    first: int
    end: int | None
    last: bool
    """The table's last unit."""

    @property
    def query(self) -> sql.Composed:
        columns = sql.SQL(", ").join(sql.Identifier(c.name) for c in self.table.relation.columns)
        only = sql.SQL("" if self.whole and self.table.found.kind == "p" else "only ")
        conditions: list[sql.Composable] = [] if self.table.filter is None else [condition(self.table.filter)]
        if not self.whole:
            conditions.append(sql.SQL("ctid >= {}::pg_catalog.tid").format(sql.Literal(f"({self.first},0)")))
        if not self.whole and self.end is not None:
            conditions.append(sql.SQL("ctid < {}::pg_catalog.tid").format(sql.Literal(f"({self.end},0)")))
        return sql.SQL("copy (select {} from {}{}{}) to stdout").format(
            columns, only, sql.Identifier(self.schema, self.name), where(conditions)
        )


def units_of(table: Described, shape: Shape, found: Sequence[Heap], rows: int) -> Iterator[Unit]:
    """Parts of a table of about `rows` rows each; a table with a partition that has no pages (a foreign one) is one."""
    if not found or not all(r.paged for r in found):
        relation = table.found
        yield Unit(table, shape, relation.schema, relation.name, relation.oid, 0, True, 0, None, True)
        return
    for n, r in enumerate(found):
        step = max(1, round(rows / (r.rows_a_page or _ROWS_A_PAGE)))
        firsts = range(0, max(r.pages, 1), step)
        for first in firsts:
            end = None if first == firsts[-1] else first + step
            last = end is None and n == len(found) - 1
            yield Unit(table, shape, r.schema, r.name, r.oid, r.file, False, first, end, last)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a unit; `end`: the last ones."""

    unit: Unit
    chunk: Chunk
    end: bool


class Copy:
    """Reads tables in repeatable-read transactions that see one exported snapshot. Call `close` at the end."""

    def __init__(self, connections: Sequence[AsyncConnection[Any]], point: int, committed_at: int) -> None:
        self._connections = connections
        self.numbering = Numbering(point, committed_at)

    @classmethod
    async def open(cls, conninfo: str, shown: str, tables: Sequence[Found], snapshot: str, point: int) -> Copy:
        """Takes the snapshot over: its exporter may go on from here. Raises Broken or SourceError.

        TRUNCATE and what rewrites a table are not bound to snapshots: done between ours and the reading, they would
        show it the table as it is after them. So the tables are locked against it first (for readers and writers
        nothing changes), and when one was rewritten already, all starts again.
        """
        connections: list[AsyncConnection[Any]] = []
        try:
            for n in range(CONNECTIONS):
                connections.append(await _connect(conninfo, shown))
                await connections[-1].execute("begin isolation level repeatable read read only")
                await connections[-1].execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))
                try:
                    await lock(connections[-1], tables, wait=n == 0)
                except errors.LockNotAvailable:
                    # A TRUNCATE waits for the first one's locks and would be waited for by this one: no server sees
                    # that circle, for the two are one only here. The first one reads alone.
                    await connections.pop().close()
            if (rewritten := await rewritten_since(connections[0], tables)) is not None:
                raise copy_again(shown, f"{rewritten} truncated or rewritten meanwhile")
            row = await (await connections[0].execute(SQL["snapshot_time"])).fetchone()
            assert row is not None
            return cls(connections, point, row[0])
        except Error as problem:
            # The exporter's connection broke, a table was dropped, or the lock met a deadlock.
            await _close(connections)
            raise copy_again(shown, str(problem)) from None
        except BaseException:
            await _close(connections)
            raise

    @property
    def session(self) -> Connection:
        """Sees the snapshot and holds the locks: whoever else asks for a table may wait behind a TRUNCATE that waits
        for the end of the copy."""
        return self._connections[0]

    async def units(self, tables: Sequence[tuple[Described, Shape]], rows: int) -> Sequence[Unit]:
        found = await heaps(self._connections[0], [d.found.oid for d, _ in tables])
        return [u for d, s in tables for u in units_of(d, s, found[d.found.oid], rows)]

    async def parts(self, units: Sequence[Unit], batch_rows: int, batch_bytes: int) -> AsyncGenerator[Part]:
        """The units' rows in order, at most about `batch_rows` or `batch_bytes` at a time; each unit has an end."""
        following = iter(units)
        readers = [_Reader(c, following, batch_rows, batch_bytes) for c in self._connections]
        async with aclosing(abreast(readers, _AHEAD, _PARTS)) as found:
            async for unit, lines, end in found:
                rows = read_rows(unit.shape, lines)
                before = self.numbering.take(len(lines))
                chunk = given_at(rows, self.numbering.major, before, self.numbering.committed_at, frozenset())
                yield Part(unit, chunk, end)
                # A copy must not starve what else the loop has to do.
                await asyncio.sleep(0)

    async def close(self) -> None:
        await _close(self._connections)


async def _connect(conninfo: str, shown: str) -> AsyncConnection[Any]:
    try:
        return await AsyncConnection.connect(conninfo, autocommit=True)
    except Error as problem:
        raise connect_failed(shown, problem) from None


async def _close(connections: Sequence[AsyncConnection[Any]]) -> None:
    for connection in connections:
        await connection.close()


class _Reader:
    """One connection's part of a copy: see `abreast.Reader`."""

    def __init__(
        self, connection: AsyncConnection[Any], units: Iterator[Unit], batch_rows: int, batch_bytes: int
    ) -> None:
        self._connection, self._units = connection, units
        self._rows, self._bytes = batch_rows, batch_bytes

    async def next(self) -> Unit | None:
        return next(self._units, None)

    def read(self, unit: Unit) -> AsyncGenerator[tuple[list[bytes], bool]]:
        return _lines(self._connection, unit, self._rows, self._bytes)


async def _lines(
    connection: AsyncConnection[Any], unit: Unit, batch_rows: int, batch_bytes: int
) -> AsyncGenerator[tuple[list[bytes], bool]]:
    """A unit's lines in parts; the last one, perhaps empty, ends it."""
    held: list[bytes] = []
    size = 0
    async with aclosing(copy_out(connection, unit.query)) as blocks:
        async for block in blocks:
            for line in block:
                if len(held) >= batch_rows or size >= batch_bytes:
                    yield held, False
                    held, size = [], 0
                held.append(line)
                size += len(line)
    yield held, True


class Progress:
    """Counts rows against what the planner's statistics expect."""

    def __init__(self, expected: int) -> None:
        self.done = 0
        self._expected = expected
        self._started_at = now_us()

    @property
    def now(self) -> SnapshotProgress:
        return SnapshotProgress(self.done, max(self._expected, self.done), self._started_at)


def truncates(tables: Sequence[Shape], numbering: Numbering) -> list[Change]:
    """Empties tables before they are copied again: what an interrupted copy gave may be gone at the source."""
    before = numbering.take(len(tables))
    return [
        Change(shape.schema, Op.TRUNCATE, Position(numbering.major, n), numbering.committed_at, 0, (), None, None)
        for n, shape in enumerate(tables, before + 1)
    ]

"""The first copy of tables, as their rows stood at one point of the WAL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, LiteralString, cast

from psycopg import AsyncConnection, Error, sql

from headrace.change import Change, Op, Position, Row
from headrace.clock import now_us
from headrace.errors import BadInput
from headrace.sources import Rejected, SnapshotProgress
from headrace.sources.postgres.assemble import Note
from headrace.sources.postgres.problems import connect_failed, copy_again
from headrace.sources.postgres.setup import SQL, Described, Found, lock, rewritten_since
from headrace.sources.postgres.shapes import Shape

_ESCAPES = {
    ord("b"): b"\b",
    ord("f"): b"\f",
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
    ord("v"): b"\v",
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some copied rows. `notes` as the stream makes them, for rows that may have large values."""

    changes: list[Change]
    notes: list[Note]
    rejected: list[Rejected]


class Numbering:
    """Positions of a copy at consistent point P: (P - 1, 1), (P - 1, 2), ... before everything that is streamed."""

    def __init__(self, consistent_point: int, committed_at: int) -> None:
        self.major = consistent_point - 1
        self.minor = 0
        self.committed_at = committed_at

    def next(self) -> Position:
        self.minor += 1
        return Position(self.major, self.minor)


class Copy:
    """Reads tables in one repeatable-read transaction that sees an exported snapshot. Call `close` at the end."""

    def __init__(self, connection: AsyncConnection[Any], point: int, committed_at: int) -> None:
        self._connection = connection
        self.numbering = Numbering(point, committed_at)

    @classmethod
    async def open(cls, conninfo: str, shown: str, tables: Sequence[Found], snapshot: str, point: int) -> Copy:
        """Takes the snapshot over: its exporter may go on from here. Raises Broken or SourceError.

        TRUNCATE and what rewrites a table are not bound to snapshots: done between ours and the reading, they would
        show it the table as it is after them. So the tables are locked against it first (for readers and writers
        nothing changes), and when one was rewritten already, all starts again.
        """
        try:
            connection = await AsyncConnection.connect(conninfo, autocommit=True)
        except Error as problem:
            raise connect_failed(shown, problem) from None
        try:
            await connection.execute("begin isolation level repeatable read read only")
            await connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))
            await lock(connection, tables)
            if (rewritten := await rewritten_since(connection, tables)) is not None:
                raise copy_again(shown, f"{rewritten} truncated or rewritten meanwhile")
            row = await (await connection.execute(SQL["snapshot_time"])).fetchone()
            assert row is not None
            return cls(connection, point, row[0])
        except Error as problem:
            # The exporter's connection broke, a table was dropped, or the lock met a deadlock.
            await connection.close()
            raise copy_again(shown, str(problem)) from None
        except BaseException:
            await connection.close()
            raise

    async def rows(
        self, table: Described, shape: Shape, batch_rows: int, batch_bytes: int, progress: Progress
    ) -> AsyncGenerator[Chunk]:
        """The rows of one table, at most `batch_rows` or about `batch_bytes` at a time."""
        columns = sql.SQL(", ").join(sql.Identifier(c.name) for c in table.relation.columns)
        only = sql.SQL("") if table.found.kind == "p" else sql.SQL("only ")
        # The condition is the server's own text of the publication's row filter.
        where = sql.SQL("") if table.filter is None else sql.SQL(cast("LiteralString", f" where {table.filter}"))
        query = sql.SQL("copy (select {} from {}{}{}) to stdout").format(
            columns, only, sql.Identifier(table.found.schema, table.found.name), where
        )
        builder = _Builder(shape, self.numbering)
        async with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            async for block in copy:
                builder.add(bytes(block))
                if builder.rows >= batch_rows or builder.bytes >= batch_bytes:
                    progress.done += builder.rows
                    yield builder.take()
        if builder.rows:
            progress.done += builder.rows
            yield builder.take()

    async def close(self) -> None:
        await self._connection.close()


class Progress:
    """Counts rows against what the planner's statistics expect."""

    def __init__(self, expected: int) -> None:
        self.done = 0
        self._expected = expected
        self._started_at = now_us()

    @property
    def now(self) -> SnapshotProgress:
        return SnapshotProgress(self.done, max(self._expected, self.done), self._started_at)


class _Builder:
    """Makes changes of COPY's text lines."""

    def __init__(self, shape: Shape, numbering: Numbering) -> None:
        self._shape = shape
        self._numbering = numbering
        self._start()

    def _start(self) -> None:
        self._changes: list[Change] = []
        self._notes: list[Note] = []
        self._rejected: list[Rejected] = []
        self.rows = 0
        self.bytes = 0

    def add(self, line: bytes) -> None:
        shape, position = self._shape, self._numbering.next()
        self.rows += 1
        self.bytes += len(line)
        try:
            row = read_line(line, shape)
        except ValueError as problem:
            self._reject(position, problem)
            return
        if len(line) > shape.small:
            self._notes.append(Note(len(self._changes), shape, large=True))
        at = self._numbering.committed_at
        self._changes.append(Change(shape.schema, Op.READ, position, at, 0, shape.key(row), None, row))

    def _reject(self, position: Position, problem: ValueError) -> None:
        error = BadInput(
            step=f"read a row of {self._shape.schema.topic}",
            expected="values that their types allow, as UTF-8 text",
            got=str(problem),
            remedy="Correct the row at the source: its next change is captured.",
        )
        at = self._numbering.committed_at
        self._rejected.append(Rejected(self._shape.schema.topic, "", position, at, error))

    def take(self) -> Chunk:
        chunk = Chunk(self._changes, self._notes, self._rejected)
        self._start()
        return chunk


def read_line(line: bytes, shape: Shape) -> Row:
    """One line of COPY's text format. Raises ValueError."""
    fields = line[:-1].split(b"\t") if shape.readers else []
    if b"\\" in line:
        return tuple(
            [None if f == b"\\N" else read(unescape(f)) for read, f in zip(shape.readers, fields, strict=True)]
        )
    return tuple([read(f) for read, f in zip(shape.readers, fields, strict=True)])


def unescape(field: bytes) -> bytes:
    """A field of COPY's text format as it was written."""
    if b"\\" not in field:
        return field
    head, *rest = field.split(b"\\")
    out = [head]
    literal = False
    for part in rest:
        if literal:
            out.append(part)
            literal = False
        elif not part:
            out.append(b"\\")
            literal = True
        else:
            out.append(_ESCAPES.get(part[0], part[:1]) + part[1:])
    return b"".join(out)


def truncates(tables: Sequence[Shape], numbering: Numbering) -> list[Change]:
    """Empties tables before they are copied again: what an interrupted copy gave may be gone at the source."""
    return [
        Change(shape.schema, Op.TRUNCATE, numbering.next(), numbering.committed_at, 0, (), None, None)
        for shape in tables
    ]


async def copied(
    copy: Copy, tables: Sequence[tuple[Described, Shape]], batch_rows: int, batch_bytes: int, progress: Progress
) -> AsyncGenerator[Chunk]:
    """All tables one after another."""
    for table, shape in tables:
        async with aclosing(copy.rows(table, shape, batch_rows, batch_bytes, progress)) as chunks:
            async for chunk in chunks:
                yield chunk
                # A copy must not starve what else the loop has to do.
                await asyncio.sleep(0)

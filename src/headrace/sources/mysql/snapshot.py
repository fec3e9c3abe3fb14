"""Copies of tables, as their rows stood at one point of the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from headrace.change import Change, Op, Row, Schema
from headrace.clock import now_us
from headrace.errors import BadInput
from headrace.sources import Rejected, SnapshotProgress
from headrace.sources.mysql import positions, setup
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.keys import KeyColumn
from headrace.sources.mysql.positions import Moments
from headrace.sources.mysql.problems import copy_again, query_failed
from headrace.sources.mysql.session import Cells, Failed, Session
from headrace.sources.mysql.setup import SQL, Found, quoted, quoted_name
from headrace.sources.mysql.shapes import Shapes, picker
from headrace.sources.snapshots.jobs import Keys

_DEFINITION_CHANGED = frozenset({1412, 1146, 1054, 1305})
_NO_LOCK = frozenset({1227, 1044, 1045})


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some copied rows. `keys`: up to where; without columns where the table has no order to go on in."""

    changes: list[Change]
    rejected: list[Rejected]
    keys: Keys


class Copy:
    """Reads tables in one transaction. `point`: where its snapshot stands in the log; `at`: when it was taken,
    microseconds since the epoch. Call `close` at the end."""

    def __init__(self, session: Session, shown: str, point: int, at: int, moments: Moments) -> None:
        self._session = session
        self._shown = shown
        self.point = point
        self.at = at
        self.moments = moments

    @classmethod
    async def open(cls, address: Address, tables: Sequence[str], mariadb: bool, moments: Moments) -> Copy:
        """Raises Broken or SourceError. When this returns, no DDL can change the tables under the copy; it waits, as
        for any reader."""
        session, point, at = await asyncio.to_thread(_open, address, tables, mariadb)
        return cls(session, address.shown, point, at, moments)

    async def rows(
        self, table: Found, schema: Schema, batch_rows: int, batch_bytes: int, progress: Progress
    ) -> AsyncGenerator[Chunk]:
        """The rows of one table, some at a time: the next are read while these are made into changes."""
        count = min(batch_rows, 1000)
        try:
            names = await asyncio.to_thread(setup.key_order, self._session, table.table)
            builder = _Builder(table, schema, self, names)
            await asyncio.to_thread(self._session.select, _select(table, names))
            reading = asyncio.create_task(asyncio.to_thread(self._session.fetch, count))
            while rows := await reading:
                reading = asyncio.create_task(asyncio.to_thread(self._session.fetch, count))
                try:
                    for row in rows:
                        builder.add(row)
                    if builder.rows >= batch_rows or builder.bytes >= batch_bytes:
                        progress.done += builder.rows
                        yield builder.take()
                except BaseException:
                    self._session.interrupt()
                    await asyncio.gather(reading, return_exceptions=True)
                    raise
        except Failed as failed:
            raise _failed(self._shown, failed) from None
        if builder.rows:
            progress.done += builder.rows
            yield builder.take()

    def interrupt(self) -> None:
        """Ends what waits for the server."""
        self._session.interrupt()

    async def close(self) -> None:
        await asyncio.to_thread(self._session.close)


def _select(table: Found, order: Sequence[str]) -> str:
    """In the order of the primary key, which is the one in which the rows stand."""
    if not order:
        return f"SELECT {select_list(table)} FROM {quoted(table.table)}"
    keys = key_columns(table, order)
    columns = ", ".join([select_list(table), *(c.ordered for c in keys)])
    names = ", ".join(c.quoted for c in keys)
    return f"SELECT {columns} FROM {quoted(table.table)} FORCE INDEX (PRIMARY) ORDER BY {names}"


def key_columns(table: Found, names: Sequence[str]) -> tuple[KeyColumn, ...]:
    types = {c.name: c.type for c in table.columns}
    return tuple(KeyColumn(name, types[name]) for name in names)


def select_list(table: Found) -> str:
    """Its columns, so that their text is what their types read."""
    return ", ".join(t.expression.format(quoted_name(c.name)) for c, t in zip(table.columns, table.types, strict=True))


def _failed(shown: str, failed: Failed) -> Exception:
    if failed.code in _DEFINITION_CHANGED:
        return copy_again(shown, failed.text)
    return query_failed(shown, "copy tables", failed.code, failed.text)


def _open(address: Address, tables: Sequence[str], mariadb: bool) -> tuple[Session, int, int]:
    session = Session.open(address, read_timeout_s=None)
    try:
        session.rows(SQL["repeatable"])
        point = begin(session) if mariadb else _begin_locked(session, address, tables)
        for table in tables:
            # From here on DDL waits for us: done between the snapshot and the reading it would spoil the copy.
            session.rows(f"SELECT 1 FROM {quoted(table)} LIMIT 1")
        ((now,),) = session.rows(SQL["now"])
        return session, point, int(now or now_us())
    except Failed as failed:
        session.close()
        raise _failed(address.shown, failed) from None
    except BaseException:
        session.close()
        raise


def begin(session: Session) -> int:
    """MariaDB: the snapshot tells its place."""
    session.rows(SQL["begin"].removesuffix(", READ ONLY"))
    found = {row["variable_name"].lower(): row["value"] for row in session.named(SQL["snapshot_point"])}
    return positions.major(positions.number_of(found["binlog_snapshot_file"]), int(found["binlog_snapshot_position"]))


def _begin_locked(session: Session, address: Address, tables: Sequence[str]) -> int:
    """MySQL: while another session holds a lock nothing commits, so the snapshot and the log's end belong together."""
    other = Session.open(address)
    try:
        try:
            other.rows(SQL["lock_all"])
        except Failed as failed:
            if failed.code not in _NO_LOCK:
                raise
            # Managed services do not grant it: the tables alone will do.
            other.rows("LOCK TABLES " + ", ".join(f"{quoted(t)} READ" for t in tables))
        session.rows(SQL["begin"])
        return setup.head(other, address.shown).major
    finally:
        other.close()


class Progress:
    """Counts rows against what the server's statistics expect."""

    def __init__(self, expected: int) -> None:
        self.done = 0
        self._expected = expected
        self._started_at = now_us()

    @property
    def now(self) -> SnapshotProgress:
        return SnapshotProgress(self.done, max(self._expected, self.done), self._started_at)


class _Builder:
    """Makes changes of rows as text."""

    def __init__(self, table: Found, schema: Schema, copy: Copy, order: tuple[str, ...]) -> None:
        self._columns = len(table.columns)
        self._order = order
        self._last: Cells = ()
        self._schema = schema
        self._copy = copy
        self._readers = tuple(t.read for t in table.types)
        self._key = picker(tuple(schema.index(name) for name in schema.key))
        self._start()

    def _start(self) -> None:
        self._changes: list[Change] = []
        self._rejected: list[Rejected] = []
        self.rows = 0
        self.bytes = 0

    def add(self, cells: Cells) -> None:
        copy = self._copy
        position = copy.moments.at(copy.point)
        self.rows += 1
        self._last = cells
        try:
            row: Row = tuple([None if c is None else read(c) for read, c in zip(self._readers, cells, strict=False)])
        except ValueError as problem:
            error = BadInput(
                step=f"read a row of {self._schema.topic}",
                expected="values that their types allow",
                got=str(problem),
                remedy="Correct the row at the source: its next change is captured.",
            )
            self._rejected.append(Rejected(self._schema.topic, "", position, copy.at, error))
            return
        self.bytes += sum([len(c) for c in cells if c is not None])
        self._changes.append(Change(self._schema, Op.READ, position, copy.at, 0, self._key(row), None, row))

    def take(self) -> Chunk:
        last = tuple(cell or b"" for cell in self._last[self._columns :])
        chunk = Chunk(self._changes, self._rejected, Keys(self._order, last) if self._order else Keys())
        self._start()
        return chunk


def truncates(copy: Copy, shapes: Shapes, tables: Sequence[Found]) -> list[Change]:
    """Empties tables before they are copied again: what an earlier copy gave may be gone at the source."""
    return [
        Change(schema, Op.TRUNCATE, copy.moments.at(copy.point), copy.at, 0, (), None, None)
        for schema in (shapes.catalogued(t.catalogued) for t in tables)
    ]

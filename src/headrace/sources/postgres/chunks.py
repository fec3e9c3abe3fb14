"""Chunks of a table for a snapshot beside the stream: each read in a transaction of its own, which knows what it shows.

The table is locked against DDL and TRUNCATE first (readers and writers are not disturbed) and until the chunk's high
watermark is committed: so neither can stand between the read and the watermark.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection, Error, sql
from psycopg.pq import TransactionStatus

from headrace.change import Row, value_text
from headrace.sources.postgres.copyout import copy_out
from headrace.sources.postgres.deadline import deadline
from headrace.sources.postgres.lines import fields, unescape
from headrace.sources.postgres.problems import connect_failed
from headrace.sources.postgres.reading import Rows, read_rows
from headrace.sources.postgres.setup import (
    SQL,
    Connection,
    Described,
    Found,
    Heap,
    condition,
    describe,
    heaps,
    lock,
    members,
    types,
    visible,
    where,
)
from headrace.sources.postgres.shapes import Shape, Shapes
from headrace.sources.postgres.watermarks import Visible
from headrace.sources.snapshots.jobs import Job, Keys, Pages

_FIRST_ROWS = 500
_OWED_AT_ONCE = 500
_ROWS_A_PAGE = 60.0
_MOST_PAGES = 4096


class Gone(Exception):
    """The table is not there any more, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows as `visible` shows them. `job`: how it stands once they are given. `paid`: keys that were owed until now."""

    rows: Rows
    visible: Visible
    job: Job
    paid: frozenset[tuple[bytes, ...]] = frozenset()


@dataclass(frozen=True, slots=True)
class Vanished:
    """Keys that no row has, as `visible` shows it. `last`: there are no more; `note`: what was not compared."""

    job: Job
    shape: Shape
    visible: Visible
    keys: list[Row]
    last: bool
    note: str | None


@dataclass(frozen=True, slots=True)
class Locked:
    """A transaction in which a table stays as it is, and its snapshot shows `visible`."""

    connection: AsyncConnection[Any]
    table: Found
    shape: Shape
    order: tuple[str, ...]
    """The key's columns as their index has them."""
    filter: str | None
    visible: Visible


class Chunks:
    """One connection that reads chunk after chunk. `rows`, `size`: what a chunk has at most, about (bytes)."""

    def __init__(self, conninfo: str, shown: str, publication: str, shapes: Shapes, rows: int, size: int) -> None:
        self._conninfo = conninfo
        self._publication = publication
        self._shown = shown
        self._shapes = shapes
        self._most_rows, self._most_bytes = rows, size
        self._limit = min(rows, _FIRST_ROWS)
        self._step = 0
        self._connection: AsyncConnection[Any] | None = None
        self._known: tuple[Described, Shape, tuple[str, ...]] | None = None

    async def connection(self) -> AsyncConnection[Any]:
        """Raises Broken or SourceError."""
        if self._connection is None or self._connection.closed:
            try:
                self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
            except Error as problem:
                raise connect_failed(self._shown, problem) from None
        return self._connection

    @contextlib.asynccontextmanager
    async def read(self, job: Job, *, owed: bool) -> AsyncGenerator[Chunk]:
        """The job's next chunk, or one of owed rows; the table stays locked inside.

        Raises Gone, Broken or SourceError, and psycopg.Error.
        """
        async with self.locked(job.oid) as at:
            if owed:
                yield await self._owed(at, job)
            elif (job.pages is not None or not at.shape.keyed) and (chunk := await self._paged(at, job)) is not None:
                yield chunk
            elif at.shape.keyed:
                yield await self._keyed(at, msgspec.structs.replace(job, pages=None))
            else:
                raise Gone("it has a partition without pages, such as a foreign table, and no key to read it by")

    @contextlib.asynccontextmanager
    async def vanished(
        self, job: Job, keys: Sequence[Row], *, last: bool, note: str | None
    ) -> AsyncGenerator[Vanished]:
        """Those of some keys that no row has; the table stays locked inside. Raises as `read` does."""
        async with self.locked(job.oid) as at:
            yield Vanished(job, at.shape, at.visible, await self._gone(at, job, keys), last, note)

    async def gone(self, job: Job, keys: Sequence[Row]) -> list[Row]:
        """Those of some keys within the job's range that no row has at the moment."""
        async with self.locked(job.oid) as at:
            return await self._gone(at, job, keys)

    async def _gone(self, at: Locked, job: Job, keys: Sequence[Row]) -> list[Row]:
        """Asks the server: only it knows which values are equal, and their order."""
        if not keys:
            return []
        if not at.shape.keyed:
            raise Gone("it lost its key meanwhile")
        columns = at.shape.schema.key
        args = {"table": at.table.oid, "columns": list(columns)}
        types = dict(await (await at.connection.execute(SQL["key_types"], args)).fetchall())
        names = [sql.Identifier(c) for c in columns]
        arrays = [sql.Literal([value_text(k[i]) for k in keys]) for i in range(len(columns))]
        # The branch without rows gives the columns' collations to the other.
        query = sql.SQL(
            "select k.place from (select 0::int8 as place, {names} from {table} where false"
            " union all select place, {casts} from unnest({arrays}) with ordinality u({names}, place)) k"
            " where not exists (select from {table} t where {equal}{filter}){range}"
        ).format(
            names=sql.SQL(", ").join(names),
            table=_from(at.table),
            casts=sql.SQL(", ").join(sql.SQL("{}::" + types[c]).format(sql.Identifier(c)) for c in columns),
            arrays=sql.SQL(", ").join(sql.SQL("{}::pg_catalog.text[]").format(a) for a in arrays),
            equal=sql.SQL(" and ").join(sql.SQL("t.{0} = k.{0}").format(n) for n in names),
            filter=sql.SQL("") if at.filter is None else sql.SQL(" and ") + condition(at.filter),
            range=sql.SQL("").join(sql.SQL(" and {}").format(c) for c in key_range(job, columns)),
        )
        return [keys[place - 1] for (place,) in await (await at.connection.execute(query)).fetchall()]

    @contextlib.asynccontextmanager
    async def locked(self, oid: int) -> AsyncGenerator[Locked]:
        """A transaction in which the table stays as it is."""
        connection = await self.connection()
        try:
            while True:
                table = await _table(connection, oid)
                await connection.execute("begin isolation level repeatable read read only")
                await lock(connection, [table])
                seen = await visible(connection)
                if await _table(connection, oid) == table:  # it was not renamed before it was locked
                    break
                await connection.execute("rollback")
            yield Locked(connection, table, *await self._shape(connection, table), seen)
        finally:
            if not connection.closed:
                if connection.info.transaction_status is TransactionStatus.ACTIVE:
                    await connection.close()  # in the middle of a copy
                elif connection.info.transaction_status is not TransactionStatus.IDLE:
                    await connection.execute("rollback")

    async def _shape(self, connection: Connection, table: Found) -> tuple[Shape, tuple[str, ...], str | None]:
        tables = await describe(connection, [table], await members(connection, self._publication, table.oid))
        if not tables:
            raise Gone("it is not published any more")
        (described,) = tables
        if self._known is not None and self._known[0] == described:
            return self._known[1], self._known[2], described.filter
        self._shapes.know(table.oid, described.primary_key, hidden=described.hidden)
        missing = self._shapes.missing([described.relation])
        if missing:
            self._shapes.learn(missing, await types(connection, missing))
        shape = self._shapes.of(described.relation)
        row = await (await connection.execute(SQL["key_order"], {"table": table.oid})).fetchone()
        order = tuple(row[0]) if row and row[0] else ()
        if set(order) != set(shape.schema.key):
            order = shape.schema.key
        self._known = described, shape, order
        return shape, order, described.filter

    async def _keyed(self, at: Locked, job: Job) -> Chunk:
        order = at.order
        keys = job.keys if job.keys.columns == order else Keys(order)  # another key since: from the start
        conditions = [*key_range(job, at.shape.schema.key)]
        if keys.last is not None:
            conditions.append(_compare(order, ">", [v.decode() for v in keys.last]))
        asked = self._limit
        query = _copy(at, _from(at.table), conditions, order=order, limit=asked)
        lines, total = await self._lines(at.connection, query)
        self._adapt(lines)
        if lines:
            keys = Keys(order, _fields_of(lines[-1], at.shape, order))
        end = total < asked and total == len(lines)
        done = job.done + len(lines)
        job = msgspec.structs.replace(job, keys=keys, chunk=job.chunk + 1, done=done, exhausted=end)
        return Chunk(read_rows(at.shape, lines), at.visible, job)

    def _adapt(self, lines: Sequence[bytes]) -> None:
        """As many rows as have room; more only step by step."""
        if lines:
            each = max(1, sum(map(len, lines)) // len(lines))
            self._limit = max(1, min(self._most_rows, self._limit * 4, self._most_bytes // each))

    async def _lines(
        self, connection: AsyncConnection[Any], query: sql.Composed, *, all: bool = False
    ) -> tuple[list[bytes], int]:
        """The first lines up to the bound of bytes (one at least), and how many there were in all."""
        kept: list[bytes] = []
        size = total = 0
        async for block in copy_out(connection, query):
            total += len(block)
            for line in block:
                if kept and size >= self._most_bytes and not all:
                    break
                kept.append(line)
                size += len(line)
        return kept, total

    async def _paged(self, at: Locked, job: Job) -> Chunk | None:
        """Some pages; None when not all of the table has pages. Rows that were moved to pages already read were changed
        since, so the stream has told them."""
        found = (await heaps(at.connection, [job.oid]))[job.oid]
        if not all(h.paged for h in found):
            return None
        pages = job.pages or Pages()
        heap = next((h for h in found if h.oid >= pages.relation), None)
        if heap is None:
            return Chunk(read_rows(at.shape, []), at.visible, msgspec.structs.replace(job, exhausted=True))
        start = pages.page if (heap.oid, heap.file) == (pages.relation, pages.file) else 0
        lines, end = await self._some_pages(at, heap, start)
        after = Pages(heap.oid, heap.file, end) if end < heap.pages else Pages(heap.oid + 1)
        last = end >= heap.pages and heap is found[-1]
        done = job.done + len(lines)
        job = msgspec.structs.replace(job, pages=after, chunk=job.chunk + 1, done=done, exhausted=last)
        return Chunk(read_rows(at.shape, lines), at.visible, job)

    async def _some_pages(self, at: Locked, heap: Heap, start: int) -> tuple[list[bytes], int]:
        """Lines from page `start` on, and the page after them. Statistics are where the number of pages begins; then
        what was found counts: pages may be full of dead rows, and each chunk costs a way through the stream."""
        step = self._step or max(1, round(self._most_rows / (heap.rows_a_page or _ROWS_A_PAGE)))
        table = sql.SQL("only {}").format(sql.Identifier(heap.schema, heap.name))
        while True:
            conditions = [
                sql.SQL("ctid >= {}::pg_catalog.tid").format(sql.Literal(f"({start},0)")),
                sql.SQL("ctid < {}::pg_catalog.tid").format(sql.Literal(f"({start + step},0)")),
            ]
            lines, total = await self._lines(at.connection, _copy(at, table, conditions), all=step == 1)
            if total == len(lines) and (total <= 2 * self._most_rows or step == 1):
                self._step = min(step * 2, _MOST_PAGES) if total <= self._most_rows // 2 else step
                return lines, start + step
            step = max(1, min(step // 8, step * self._most_rows // total))  # no room for all: fewer pages

    async def _owed(self, at: Locked, job: Job) -> Chunk:
        """Rows by their keys. One that is not there any more needs nothing: the stream has told its end."""
        columns = at.shape.schema.key
        now = [k for k in job.owed[:_OWED_AT_ONCE] if len(k) == len(columns)]  # those of another key are told as such
        later = job.owed[_OWED_AT_ONCE:]
        lines: list[bytes] = []
        while now:
            condition = sql.SQL("{} in ({})").format(_columns(columns), sql.SQL(", ").join(map(_written, now)))
            lines, total = await self._lines(at.connection, _copy(at, _from(at.table), [condition]))
            if total == len(lines):
                break
            half = (len(now) + 1) // 2
            now, later = now[:half], (*now[half:], *later)
        paid = frozenset(job.owed) - frozenset(later)
        return Chunk(read_rows(at.shape, lines), at.visible, msgspec.structs.replace(job, chunk=job.chunk + 1), paid)

    def deadline(self, seconds: float) -> contextlib.AbstractContextManager[None]:
        """See `headrace.sources.postgres.deadline`: of the connection that there is."""
        return contextlib.nullcontext() if self._connection is None else deadline(self._connection, seconds)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


async def _table(connection: Connection, oid: int) -> Found:
    row = await (await connection.execute(SQL["table"], {"table": oid})).fetchone()
    if row is None:
        raise Gone("it was dropped")
    schema, name, kind, identity = row
    return Found(oid, schema, name, kind, identity, 0, (), None)


def _columns(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(", ").join(sql.Identifier(c) for c in columns))


def _row(values: Sequence[str]) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(", ").join(sql.Literal(v) for v in values))


def _written(key: Sequence[bytes]) -> sql.Composed:
    return _row([v.decode() for v in key])


def _compare(columns: Sequence[str], operator: Literal[">", ">=", "<="], values: Sequence[str]) -> sql.Composed:
    """A comparison of rows, with the columns' own types and collations: as their index has them."""
    return sql.SQL("{} " + operator + " {}").format(_columns(columns[: len(values)]), _row(values))


def key_range(job: Job, columns: Sequence[str]) -> list[sql.Composed]:
    """The conditions on the key columns that the job's bounds make."""
    at_least = [] if job.first is None else [_compare(columns, ">=", job.first)]
    at_most = [] if job.last is None else [_compare(columns, "<=", job.last)]
    return [*at_least, *at_most]


def _from(table: Found) -> sql.Composed:
    only = sql.SQL("" if table.kind == "p" else "only ")
    return sql.SQL("{}{}").format(only, sql.Identifier(table.schema, table.name))


def _copy(
    at: Locked,
    table: sql.Composed,
    conditions: Sequence[sql.Composed],
    *,
    order: Sequence[str] = (),
    limit: int | None = None,
) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier(c.name) for c in at.shape.relation.columns)
    published = [] if at.filter is None else [condition(at.filter)]
    query = sql.SQL("select {} from {}").format(columns, table) + where([*published, *conditions])
    if order:
        query += sql.SQL(" order by {}").format(sql.SQL(", ").join(sql.Identifier(c) for c in order))
    if limit is not None:
        query += sql.SQL(" limit {}").format(sql.Literal(limit))
    return sql.SQL("copy ({}) to stdout").format(query)


def _fields_of(line: bytes, shape: Shape, columns: Sequence[str]) -> tuple[bytes, ...]:
    written = fields(line, len(shape.readers))
    return tuple(unescape(written[shape.schema.index(c)]) for c in columns)


def key_fields(key: Row) -> tuple[bytes, ...]:
    """A key as the server reads it."""
    return tuple(value_text(v).encode() for v in key)


async def check_bounds(
    connection: Connection, table: Described, columns: Sequence[str], bounds: Sequence[tuple[str, ...]]
) -> None:
    """Raises psycopg.Error for values that the columns cannot hold."""
    for bound in bounds:
        where = _compare(columns, "<=", bound)
        await connection.execute(sql.SQL("select from {} where {} limit 0").format(_from(table.found), where))

"""Tables as they stand at one place of the log, read beside the stream: each view is a transaction whose snapshot tells
its place, so nothing is written at the source.

MariaDB tells the place of a snapshot. In MySQL the snapshot is taken while the one table is locked for reading: nobody
writes to it in that moment, and what was committed to it is visible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from headrace.change import Row
from headrace.clock import now_us
from headrace.sources.mysql import setup
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.cutting import key_columns, select_list
from headrace.sources.mysql.keys import KeyColumn, compare, one_of
from headrace.sources.mysql.opening import begin
from headrace.sources.mysql.problems import copy_again, query_failed
from headrace.sources.mysql.result import Cells, Failed, ResultReader, RowReader, compile_row
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import SQL, Found, quoted
from headrace.sources.mysql.shapes import picker
from headrace.sources.snapshots.jobs import Job, Keys

_FIRST_ROWS = 100
_LEAST_ROWS = 2
_DEFINITION_CHANGED = frozenset({1412, 1054})
_NOT_THERE = frozenset({1146, 1049})
_OTHER_CHARACTERS = frozenset({1267, 1270, 1271, 3854, 3988})
_KEYS_AT_ONCE = 500
_NO_PRIVILEGE = frozenset({1044, 1142, 1227})

T = TypeVar("T")
Catalog = Callable[[str], Awaitable[tuple[Found, tuple[str, ...]] | None]]
"""A table as it is, and its primary key in the index's order."""


class Gone(Exception):
    """The table is not there, or cannot be read."""


@dataclass(frozen=True, slots=True)
class View:
    """A table as of `point`, a place in the log; `at`: when, microseconds since the epoch. `key` as the schema has it,
    `order`: the same columns as they are read."""

    point: int
    at: int
    found: Found
    key: tuple[KeyColumn, ...]
    order: tuple[KeyColumn, ...]
    read: RowReader


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of a view with their keys. `bad`: those that cannot be read stand as empty rows. `job`: how it stands once
    they are given."""

    view: View
    rows: list[Row]
    keys: list[Row]
    bad: Mapping[int, ValueError]
    job: Job


class Views:
    """One session at the server, one view at a time. `rows`, `size`: what a chunk has at most, about (bytes)."""

    def __init__(self, address: Address, mariadb: bool, catalog: Catalog, rows: int, size: int) -> None:
        self._address = address
        self._mariadb = mariadb
        self._catalog = catalog
        self._most_rows, self._most_bytes = max(rows, _LEAST_ROWS), size
        self._limit = min(self._most_rows, _FIRST_ROWS)
        self._session: Session | None = None
        self._locking: Session | None = None
        self._closed = False

    async def open(self, table: str) -> View:
        """Until `end` no DDL can change the table; it waits, as for any reader. Raises Gone, Broken, SourceError."""
        point, at = await self._ask(lambda session: self._begin(session, table))
        try:
            return await self._described(table, point, at)
        except BaseException:
            self._drop()
            raise

    async def _described(self, table: str, point: int, at: int) -> View:
        there = await self._catalog(table)
        if there is None:
            raise Gone("it is not there")
        found, order = there
        if found.refused is not None:
            raise Gone(f"it cannot be captured: {found.refused[1]}")
        read = compile_row([t.read for t in found.types])
        return View(point, at, found, key_columns(found, found.key), key_columns(found, order or found.key), read)

    async def end(self) -> None:
        """Raises Broken, SourceError."""
        if self._session is not None:
            await self._ask(lambda session: session.rows(SQL["rollback"]))

    async def chunk(self, view: View, job: Job) -> Chunk:
        """The job's next rows. Raises Gone, Broken, SourceError."""
        return await self._ask(lambda session: self._chunk(session, view, job))

    async def gone(self, view: View, job: Job, keys: Sequence[Row]) -> list[Row]:
        """Those of some keys within the job's range that no row has. Raises Gone, Broken, SourceError."""
        return await self._ask(lambda session: _gone(session, view, job, keys)) if keys else []

    async def _ask(self, work: Callable[[Session], T]) -> T:
        try:
            return await asyncio.to_thread(self._work, work)
        except Failed as failed:
            shown = self._address.shown
            if failed.code in _NOT_THERE:
                raise Gone(failed.text) from None
            if failed.code in _DEFINITION_CHANGED:
                raise copy_again(shown, failed.text) from None
            raise query_failed(shown, "read tables again", failed.code, failed.text) from None

    def _work(self, work: Callable[[Session], T]) -> T:
        try:
            return work(self._opened())
        except BaseException:
            self._drop()
            raise

    def _opened(self) -> Session:
        if self._closed:
            raise Failed(0, "closing")
        if self._session is None:
            self._session = Session.open(self._address)
            if self._closed:  # meanwhile: `_work` drops it
                raise Failed(0, "closing")
            self._session.rows(SQL["repeatable"])
        return self._session

    def _begin(self, session: Session, table: str) -> tuple[int, int]:
        point = begin(session) if self._mariadb else self._begin_locked(session, table)
        # From here on DDL waits for us.
        session.rows(SQL["touch"].format(quoted(table)))
        ((now,),) = session.rows(SQL["now"])
        return point, int(now or now_us())

    def _begin_locked(self, session: Session, table: str) -> int:
        if self._locking is None:
            self._locking = Session.open(self._address)
            self._locking.rows(SQL["lock_briefly"])
        try:
            self._locking.rows(SQL["lock_one"].format(quoted(table)))
        except Failed as failed:
            if failed.code not in _NO_PRIVILEGE:
                raise
            self._locking.rows(SQL["lock_all"])
        try:
            session.rows(SQL["begin"])
            return setup.head(self._locking, self._address.shown).major
        finally:
            self._locking.rows(SQL["unlock"])

    def _chunk(self, session: Session, view: View, job: Job) -> Chunk:
        names = tuple(c.name for c in view.order)
        keys = job.keys if job.keys.columns == names else Keys(names)  # another key since: from the start
        conditions = key_range(job, view.key)
        if keys.last is not None:
            literals = [c.cell(v) for c, v in zip(view.order, keys.last, strict=True)]
            conditions.append(compare([c.quoted for c in view.order], ">", literals))
        taken = _take(session, _select(view, conditions, self._limit), view, self._most_bytes)
        count = len(taken.rows)
        end = taken.total < self._limit and taken.total == count
        if count:
            keys = Keys(names, taken.last)
            self._adapt(max(1, taken.size // count))
        job = msgspec.structs.replace(job, keys=keys, chunk=job.chunk + 1, done=job.done + count, exhausted=end)
        return _chunk(view, taken, job)

    def _adapt(self, each: int) -> None:
        """As many rows as have room; more only step by step."""
        self._limit = max(_LEAST_ROWS, min(self._most_rows, self._limit * 4, self._most_bytes // each))

    def interrupt(self) -> None:
        """Ends what waits for the server, for good."""
        self._closed = True
        for session in (self._session, self._locking):
            if session is not None:
                session.interrupt()

    async def release(self) -> None:
        """Until it is needed again, no session is open."""
        await asyncio.to_thread(self._drop)

    async def close(self) -> None:
        self.interrupt()
        await self.release()

    def _drop(self) -> None:
        session, locking, self._session, self._locking = self._session, self._locking, None, None
        for each in (session, locking):
            if each is not None:
                each.close()


def _select(view: View, conditions: Sequence[str], limit: int) -> str:
    columns = ", ".join([select_list(view.found), *(c.ordered for c in view.order)])
    where = f" WHERE {' AND '.join(f'({c})' for c in conditions)}" if conditions else ""
    order = ", ".join(c.quoted for c in view.order)
    return (
        f"SELECT {columns} FROM {quoted(view.found.table)} FORCE INDEX (PRIMARY){where} ORDER BY {order} LIMIT {limit}"
    )


@dataclass(frozen=True, slots=True)
class _Taken:
    """The first rows of a result, of `size` bytes; `last`: the last one's key, as it is ordered; `total`: how many
    there were in all."""

    rows: list[Row]
    bad: Mapping[int, ValueError]
    last: tuple[bytes, ...]
    size: int
    total: int


def _take(session: Session, statement: str, view: View, most_bytes: int) -> _Taken:
    """Up to so many bytes about (one row at least)."""
    result = ResultReader(view.read)
    session.select(statement)
    while not result.ended and result.size < most_bytes:
        result.feed(session.block())
    last = result.cells(len(view.found.columns), len(view.order)) if result.rows else ()
    size = result.size
    rows, bad = result.take()
    total = len(rows)
    while not result.ended:
        result.feed(session.block())
        total += len(result.take()[0])
    session.selected()
    return _Taken(rows, bad, tuple(cell or b"" for cell in last), size, total)


def _chunk(view: View, taken: _Taken, job: Job) -> Chunk:
    names = [c.name for c in view.found.columns]
    key_of = picker(tuple(names.index(name) for name in view.found.key))
    return Chunk(view, taken.rows, [key_of(row) if row else () for row in taken.rows], taken.bad, job)


def _gone(session: Session, view: View, job: Job, keys: Sequence[Row]) -> list[Row]:
    """What is there is compared as changes have it: a key that only its collation calls equal is another one."""
    types = {c.name: t for c, t in zip(view.found.columns, view.found.types, strict=True)}
    readers = [types[c.name].read for c in view.key]
    columns = ", ".join(types[c.name].expression.format(c.quoted) for c in view.key)
    there: set[Row] = set()
    for at in range(0, len(keys), _KEYS_AT_ONCE):
        for row in _there(session, view, columns, keys[at : at + _KEYS_AT_ONCE]):
            there.add(tuple([None if cell is None else read(cell) for read, cell in zip(readers, row, strict=True)]))
    missing = [key for key in keys if key not in there]
    return _within(session, view, job, missing) if missing and (job.first or job.last) else missing


def _there(session: Session, view: View, columns: str, keys: Sequence[Row]) -> list[Cells]:
    query = f"SELECT {columns} FROM {quoted(view.found.table)} WHERE "
    try:
        return session.rows(query + one_of(view.key, keys))
    except Failed as failed:
        if failed.code not in _OTHER_CHARACTERS:
            raise
        return session.rows(query + one_of(view.key, keys, wide=True))


def _within(session: Session, view: View, job: Job, keys: Sequence[Row]) -> list[Row]:
    """Those in the job's range. The branch without rows gives the columns' collations to the others."""
    names = ", ".join(c.quoted for c in view.key)
    branches = [f"SELECT 0 AS place, {names} FROM {quoted(view.found.table)} WHERE FALSE"]
    for place, key in enumerate(keys):
        values = ", ".join(c.typed(c.value(v)) for c, v in zip(view.key, key, strict=True))
        branches.append(f"SELECT {place}, {values}")
    where = " AND ".join(f"({c})" for c in key_range(job, view.key))
    rows = session.rows(f"SELECT place FROM ({' UNION ALL '.join(branches)}) k WHERE {where}")
    return [keys[int(place or b"0")] for (place,) in rows]


def key_range(job: Job, key: Sequence[KeyColumn]) -> list[str]:
    """The conditions that the job's bounds make. Raises ValueError."""
    names = [c.quoted for c in key]
    bounds: list[str] = []
    if job.first is not None:
        bounds.append(compare(names, ">=", [c.bound(text) for c, text in zip(key, job.first, strict=False)]))
    if job.last is not None:
        bounds.append(compare(names, "<=", [c.bound(text) for c, text in zip(key, job.last, strict=False)]))
    return bounds

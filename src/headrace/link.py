"""Several statements in one round trip to PostgreSQL, on a psycopg connection.

psycopg's own pipeline sends every statement by itself and makes a cursor for each, which costs the client more than a
short statement costs the server. Here statements are queued without waiting and go out together when an answer is
wanted; parameters and values are converted by psycopg as always.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from psycopg import AsyncConnection, Error, OperationalError, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

_PLACEHOLDER = re.compile(rb"%(?:%|\((?P<name>\w+)\)(?P<format>[sbt]))")
_FORMATS = {b"s": PyFormat.AUTO, b"b": PyFormat.BINARY, b"t": PyFormat.TEXT}
_KEPT = 200
"""So many statements are prepared on a connection; others are planned each time."""


@dataclass(frozen=True, slots=True)
class _Converted:
    """A statement with `$1`, `$2`, ... for its named parameters, and in which order they go."""

    sql: bytes
    names: Sequence[str]
    formats: Sequence[PyFormat]


@lru_cache(maxsize=1000)
def _converted(statement: bytes) -> _Converted:
    names: list[str] = []
    formats: list[PyFormat] = []

    def numbered(match: re.Match[bytes]) -> bytes:
        if match["name"] is None:
            return b"%"
        name = match["name"].decode()
        if name not in names:
            names.append(name)
            formats.append(_FORMATS[match["format"]])
        return b"$%d" % (names.index(name) + 1)

    return _Converted(_PLACEHOLDER.sub(numbered, statement), tuple(names), tuple(formats))


class Answer:
    """What one statement came to; asking for its rows sends everything that is queued, and waits."""

    __slots__ = ("_link", "prepares", "problem", "result")

    def __init__(self, link: Link, prepares: tuple[bytes, tuple[int, ...]] | None = None) -> None:
        self._link = link
        self.problem: Error | None = None
        self.prepares = prepares
        self.result: PGresult | None = None

    async def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows. Raises psycopg.Error."""
        if self.result is None or self.problem is not None:
            await self._link.settle()  # so an error is told once, also where it has come before it was looked for
        if self.problem is not None:
            raise self.problem
        assert self.result is not None
        return self._link.rows(self.result)

    async def fetchone(self) -> tuple[Any, ...] | None:
        """The first row. Raises psycopg.Error."""
        rows = await self.fetchall()
        return rows[0] if rows else None


class Link:
    """Used by one task at a time, between `open` and `close`; in between nobody else may use the connection."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._converter = Transformer.from_context(connection)
        self._prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._numbers = itertools.count(1)
        self._sent: deque[Answer | None] = deque()
        """What is awaited, in order; None stands for a synchronisation point."""
        self._loop = asyncio.get_running_loop()
        self._watched = self._writing = -1
        self._waiter: asyncio.Future[None] | None = None
        self._wanted: Answer | None = None
        self._problem: Error | None = None

    def open(self) -> None:
        """From here on the connection is ours."""
        self._pg.enter_pipeline_mode()

    @property
    def busy(self) -> bool:
        """Something was sent, or queued, whose answer is still to come."""
        return bool(self._sent)

    async def close(self) -> None:
        """Gives the connection back; one with unfinished work, which a cancelled task leaves, is closed."""
        self._unwatch()
        if self._sent:
            self._sent.clear()
            await self._connection.close()
        elif self._pg.status == 0:
            self._pg.exit_pipeline_mode()

    async def execute(self, statement: bytes, args: Mapping[str, Any] | None = None, *, binary: bool = False) -> Answer:
        """Queues a statement. What is wrong with it is told when answers are taken."""
        converted = _converted(statement)
        params: Sequence[Any] = ()
        types: tuple[int, ...] = ()
        formats: Sequence[Format] | None = None
        if converted.names:
            assert args is not None
            params = self._converter.dump_sequence([args[n] for n in converted.names], converted.formats)
            types, formats = self._converter.types or (), self._converter.formats
        answer = Answer(self)
        result_format = Format.BINARY if binary else Format.TEXT
        name = self._prepare(converted.sql, types)
        if name is None:
            self._pg.send_query_params(converted.sql, params, types, formats, result_format)
        else:
            self._pg.send_query_prepared(name, params, formats, result_format)
        self._sent.append(answer)
        self._flush()  # the server works on it while the next one is made
        return answer

    def _prepare(self, sql: bytes, types: tuple[int, ...]) -> bytes | None:
        key = (sql, types)
        name = self._prepared.get(key)
        if name is None and len(self._prepared) < _KEPT:
            name = b"headrace_%d" % next(self._numbers)
            self._pg.send_prepare(name, sql, types)
            self._prepared[key] = name
            self._sent.append(Answer(self, key))
        return name

    async def settle(self) -> None:
        """Sends what is queued and takes every answer. Raises the first psycopg.Error among them."""
        self.send()
        while self._sent:
            self._waiter = self._loop.create_future()
            self._watch()
            await self._waiter
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    async def upto(self, answer: Answer) -> None:
        """Waits for one answer, while what is queued behind it goes on. An error is told where its answer is taken."""
        self.send()
        self._wanted = answer
        try:
            while self._sent and answer.result is None and answer.problem is None:
                self._waiter = self._loop.create_future()
                self._watch()
                await self._waiter
        finally:
            self._wanted = None

    def send(self) -> None:
        """Sends what is queued, without waiting."""
        if self._sent and self._sent[-1] is not None:
            self._pg.pipeline_sync()
            self._sent.append(None)
            self._flush()

    def _flush(self) -> None:
        if self._pg.flush() and self._writing < 0:  # the kernel's buffer is full
            self._writing = self._pg.socket
            self._loop.add_writer(self._writing, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._writing)
        self._writing = -1
        try:
            self._flush()
        except Error as problem:
            self._broken(problem)

    def _watch(self) -> None:
        if self._watched < 0:
            self._watched = self._pg.socket
            self._loop.add_reader(self._watched, self._readable)

    def _unwatch(self) -> None:
        if self._watched >= 0:
            self._loop.remove_reader(self._watched)
        if self._writing >= 0:
            self._loop.remove_writer(self._writing)
        self._watched = self._writing = -1

    def _readable(self) -> None:
        awaited = bool(self._sent)
        try:
            self._pg.consume_input()
            self._take()
        except Error as problem:
            self._broken(problem)
        if not self._sent or (self._wanted is not None and self._wanted.result is not None):
            self._wake()
        if self._sent or not awaited:
            self._watch_again()

    def _watch_again(self) -> None:
        """uvloop looks no more at a socket on which it has met an error, also where there is more to be read: the last
        words of a server that has ended before it read all of ours."""
        if self._watched >= 0:
            self._loop.remove_reader(self._watched)
            self._loop.add_reader(self._watched, self._readable)

    def _take(self) -> None:
        while self._sent and not self._pg.is_busy():
            result = self._pg.get_result()
            if result is None:  # stands between the answers of two statements
                if self._pg.status != 0:
                    raise OperationalError("the server closed the connection")
                continue
            answer = self._sent.popleft()
            if (answer is None) != (result.status == ExecStatus.PIPELINE_SYNC):
                raise OperationalError(f"an answer out of step: {ExecStatus(result.status).name}")
            if answer is not None:
                self._answered(answer, result)

    def _answered(self, answer: Answer, result: PGresult) -> None:
        answer.result = result
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return
        if answer.prepares:
            self._prepared.pop(answer.prepares, None)
        if self._problem is None and result.status == ExecStatus.FATAL_ERROR:
            self._problem = errors.error_from_result(result, encoding="utf-8")
        answer.problem = self._problem  # what follows an error is skipped

    def _broken(self, problem: Error) -> None:
        self._problem = self._problem or problem
        for answer in self._sent:
            if answer is not None:
                answer.problem = self._problem
        self._sent.clear()
        self._unwatch()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def rows(self, result: PGresult) -> list[tuple[Any, ...]]:
        """A statement's rows as psycopg converts them."""
        self._converter.set_pgresult(result)
        return self._converter.load_rows(0, result.ntuples, tuple)


class LinkedConnection(AsyncConnection[Any]):
    """A connection with its link."""

    @cached_property
    def link(self) -> Link:
        return Link(self)

    @asynccontextmanager
    async def linked(self) -> AsyncGenerator[Link]:
        """The link, open. What was queued before an error is let run out."""
        self.link.open()
        try:
            yield self.link
        except Exception:
            with suppress(Error):
                await self.link.settle()
            raise
        finally:
            await self.link.close()

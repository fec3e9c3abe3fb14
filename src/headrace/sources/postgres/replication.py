"""A replication connection: the one place that knows how psycopg lets COPY_BOTH through.

psycopg has no replication cursor, but its libpq layer hands out what is needed: `START_REPLICATION` leaves the
connection in COPY_BOTH, then `get_copy_data` never waits and `put_copy_data` sends status. Nothing here sleeps,
polls or hops threads between data on the socket and the sink that takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from struct import Struct
from time import monotonic
from typing import Any, LiteralString, Protocol, cast

from psycopg import AsyncConnection, AsyncCursor, Error, OperationalError, errors, sql

from headrace.clock import now_us
from headrace.sources.postgres.deadline import deadline, interrupt
from headrace.sources.postgres.pgoutput import EPOCH_US
from headrace.sources.postgres.problems import connect_failed, silent

STATUS_EVERY_S = 10.0
ACK_AT_MOST_EVERY_S = 0.1
ASK_AFTER_S = 20.0
GIVE_UP_AFTER_S = 40.0

_FAILOVER_SLOTS = 170000
_DATA, _KEEPALIVE = b"wk"
_keepalive = Struct(">xQqB").unpack_from
_status = Struct(">cQQQqB").pack
_HEADER = 25
_AT_ONCE_BYTES = 256 * 1024
"""Of messages are read before any of them is looked at."""

Params = dict[str, str | None]


class Sink(Protocol):
    """Takes what the server sends."""

    @property
    def ready(self) -> bool:
        """It takes more: nothing that it took must be dealt with before."""
        ...

    def feed_all(self, messages: Iterator[bytes]) -> bool:
        """pgoutput messages; True asks to pause the reading, and those not taken yet are given again."""
        ...

    def keepalive(self, end: int) -> None:
        """Every transaction whose commit record starts before `end` has been sent."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Which cluster this is; `flushed` is the end of its WAL on disk."""

    system: str
    timeline: int
    flushed: int


@dataclass(frozen=True, slots=True)
class SnapshotSlot:
    """`snapshot` shows all transactions that committed before `consistent_point`, and no other."""

    name: str
    consistent_point: int
    snapshot: str


def parse_lsn(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def format_lsn(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


class Replication:
    """One connection of the walsender kind. Call `close` at the end."""

    def __init__(self, connection: AsyncConnection[Any], shown: str) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._shown = shown
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watched: int | None = None
        self._flushed = 0
        self._received = 0
        self._sent_at = 0.0
        self._quiet_s = 0.0
        self._started = False
        self._messages: Iterator[bytes] = iter(())
        self._keepalive: bytes | None = None
        self._over = False
        self._problem: Exception | None = None

    @classmethod
    async def connect(cls, conninfo: str, shown: str) -> Replication:
        """Raises Broken or SourceError."""
        try:
            connection = await AsyncConnection.connect(conninfo, replication="database", autocommit=True)
        except Error as problem:
            raise connect_failed(shown, problem) from None
        return cls(connection, shown)

    @property
    def server_version(self) -> int:
        return self._connection.info.server_version

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """See `headrace.sources.postgres.deadline`."""
        return deadline(self._connection, seconds)

    async def identify(self) -> Identity:
        row = await (await self._connection.execute("IDENTIFY_SYSTEM")).fetchone()
        assert row is not None
        return Identity(str(row[0]), int(row[1]), parse_lsn(row[2]))

    async def timeline_history(self, timeline: int) -> str:
        """The history file of a timeline: from which timeline it branched, and where."""
        row = await (await self._execute(f"TIMELINE_HISTORY {timeline}")).fetchone()
        assert row is not None
        return row[1] if isinstance(row[1], str) else bytes(row[1]).decode()

    async def create_slot(self, name: str) -> None:
        """One that stays; where the server can, one that standbys may keep in step with (`failover`)."""
        failover = ", FAILOVER" if self.server_version >= _FAILOVER_SLOTS else ""
        await self._execute(f"CREATE_REPLICATION_SLOT {_quoted(name)} LOGICAL pgoutput (SNAPSHOT 'nothing'{failover})")

    async def create_snapshot(self, name: str) -> SnapshotSlot:
        """A slot that ends with this connection, and its snapshot, which lives until this connection's next command."""
        query = f"CREATE_REPLICATION_SLOT {_quoted(name)} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')"
        row = await (await self._execute(query)).fetchone()
        assert row is not None
        return SnapshotSlot(row[0], parse_lsn(row[1]), row[2])

    async def drop_slot(self, name: str) -> None:
        await self._execute(f"DROP_REPLICATION_SLOT {_quoted(name)}")

    async def start(self, slot: str, publication: str, lsn: int, flushed: int) -> None:
        """Begins to stream what committed at or after `lsn`; `flushed` was acknowledged before (0 for nothing).

        Raises psycopg.Error as the server answers.
        """
        version = "4" if self.server_version >= 160000 else "3"
        publications = _literal(_quoted(publication))
        await self._execute(
            f"START_REPLICATION SLOT {_quoted(slot)} LOGICAL {format_lsn(lsn)} "
            f"(proto_version '{version}', publication_names {publications}, messages 'true', streaming 'on')"
        )
        self._received, self._flushed = lsn, flushed
        self._started = True
        self._schedule(STATUS_EVERY_S)

    @contextmanager
    def ahead(self, sink: Sink) -> Generator[None]:
        """While others wait (for the log to be written) what `drain` does is done, once, if the sink is ready; what it
        raises comes from the next `drain`."""

        def drain() -> None:
            try:
                if sink.ready:
                    self._drain(sink)
            except Exception as problem:  # noqa: BLE001 - raised by the next one
                self._problem = problem

        handle = self._loop.call_soon(drain)
        try:
            yield
        finally:
            handle.cancel()

    def drain(self, sink: Sink) -> None:
        """Hands over everything that can be read without waiting, until the sink asks to pause.

        Raises psycopg.Error when the server ended the stream or the connection broke, and what the sink raises.
        """
        if self._problem is not None:
            raise self._problem
        self._drain(sink)

    def _drain(self, sink: Sink) -> None:
        while not sink.feed_all(self._messages):
            if (keepalive := self._keepalive) is not None:
                self._keepalive = None
                self._alive(sink, keepalive)
            elif self._over:
                self._ended()
            elif not self._collect():
                return

    def _collect(self) -> bool:
        """Takes messages that are there, up to a keepalive, which counts only behind them; False when nothing is."""
        take, messages, size = self._pg.get_copy_data, list[bytes](), 0
        waited = False
        while size < _AT_ONCE_BYTES:
            length, data = take(1)
            if length == 0:
                if messages or waited:
                    break
                self._pg.consume_input()
                waited = True
            elif length < 0:
                self._over = True
                break
            elif (kind := data[0]) == _DATA:
                messages.append(bytes(data[_HEADER:]))
                size += length
            elif kind == _KEEPALIVE:
                self._keepalive = bytes(data)
                break
        self._messages = iter(messages)
        return bool(messages) or self._keepalive is not None or self._over

    def _alive(self, sink: Sink, message: bytes) -> None:
        end, _, reply = _keepalive(message)
        self._received = max(self._received, end)
        sink.keepalive(end)
        if reply:
            self.send_status()

    def _ended(self) -> None:
        result = self._pg.get_result()
        if result is not None and (problem := _error_of(result)) is not None:
            raise problem
        raise OperationalError("the server ended the stream")

    async def wait(self, timeout_s: float | None) -> None:
        """Returns when there is something to read, when poked, or after `timeout_s`. Raises Broken for a dead peer."""
        if self._quiet_s > GIVE_UP_AFTER_S:
            raise silent(self._shown, self._quiet_s)
        if self._quiet_s > ASK_AFTER_S:
            self.send_status(reply=True)
        began = monotonic()
        limit = ASK_AFTER_S / 2 if timeout_s is None else min(timeout_s, ASK_AFTER_S / 2)
        waiter = self._waiter = self._loop.create_future()
        self._watched = self._pg.socket
        self._loop.add_reader(self._watched, self._readable)
        timer = self._loop.call_later(limit, self.poke)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
            self._quiet_s = self._quiet_s + monotonic() - began if self._unwatch() else 0.0

    def poke(self) -> None:
        """Ends the wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _readable(self) -> None:
        # The socket stays readable until it is read: watching on would turn the loop meanwhile.
        self._unwatch()
        self.poke()

    def _unwatch(self) -> bool:
        """Stops watching the socket; False when nothing watched it (any more)."""
        watched, self._watched = self._watched, None
        return watched is not None and self._loop.remove_reader(watched)

    def acknowledge(self, lsn: int) -> None:
        """The server may forget transactions that committed before `lsn`; sent soon, not at once."""
        if lsn <= self._flushed:
            return
        self._flushed = lsn
        if self._started:
            self._schedule(max(0.0, self._sent_at + ACK_AT_MOST_EVERY_S - monotonic()))

    def received(self, lsn: int) -> None:
        """Every message up to `lsn` was taken over."""
        self._received = max(self._received, lsn)

    def send_status(self, *, reply: bool = False) -> None:
        """Tells how far we are; with `reply` the server answers at once with how far it is."""
        if not self._started or self._connection.closed:
            return
        received = max(self._received, self._flushed)
        message = _status(b"r", received, self._flushed, self._flushed, now_us() - EPOCH_US, reply)
        try:
            self._pg.put_copy_data(message)
            self._pg.flush()
        except Error:
            # The reading side meets the broken connection too, and says so where it can be handled.
            self.poke()
            return
        self._sent_at = monotonic()
        self._unschedule()
        self._schedule(STATUS_EVERY_S)

    async def _execute(self, query: str) -> AsyncCursor[Any]:
        # Commands of the replication protocol take no parameters; every name in them went through _quoted.
        return await self._connection.execute(sql.SQL(cast("LiteralString", query)))

    def _schedule(self, delay_s: float) -> None:
        due = self._loop.time() + delay_s
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._tick)

    def _unschedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self.send_status()

    async def interrupt(self) -> None:
        """Ends a wait or a command that runs (a slot is created only when old transactions have ended)."""
        if self._started:
            self.poke()
        elif not self._connection.closed:
            await interrupt(self._connection)

    async def close(self) -> None:
        """Ends the connection without waiting for the server."""
        self._started = False
        self._unwatch()
        self.poke()
        self._unschedule()
        await self._connection.close()


def _error_of(result: object) -> Error | None:
    make = cast("Callable[[object], Error]", errors.error_from_result)
    problem = make(result)
    return problem if problem.diag.message_primary else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

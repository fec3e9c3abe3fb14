"""A PostgreSQL in memory, as far as a source sees it: tables, transactions in a WAL, a catalog, slots, and pgoutput.

`connect` stands in for `psycopg.AsyncConnection.connect`. The messages are those of the protocol, byte for byte: what
decodes and assembles them is the real code. It does what the real server does and a simple fake would not: large values
that an update leaves are not sent, transactions come in parts before their commit or as a whole after a restart,
shapes are told once and again after they changed, what was confirmed is never sent again, and a commit may be in the
WAL before others see it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from struct import pack, unpack
from sys import maxsize
from typing import Any

from psycopg import OperationalError, sql
from psycopg.pq import TransactionStatus

from headrace.sources.postgres.pgoutput import EPOCH_US
from headrace.sources.postgres.replication import format_lsn, parse_lsn
from headrace.sources.postgres.setup import SQL
from headrace.sources.postgres.values import INT4, TEXT

Cell = int | str | None
LARGE = 2000
"""Longer texts are stored out of line."""
_NAMES = {SQL[name]: name for name in (
    "server", "may_replicate", "tables", "columns", "numbers", "types", "publication", "members", "listed", "slot",
    "release_slot", "drop_slot", "retained", "snapshot_time", "rewritten", "head", "nudge", "heaps", "mark", "visible",
    "table", "key_types", "key_order", "writers", "signs",
)}  # fmt: skip
_VERSION = 180000
_ROWS_A_PAGE = 3
_TIMELINE = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns: number, name, type. The first is the key."""

    oid: int
    name: str
    columns: tuple[tuple[int, str, int], ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a transaction. `old`: the row before, for updates and deletes; both without for a truncate."""

    subtransaction: int
    shape: Shape
    old: tuple[Cell, ...] | None = None
    new: tuple[Cell, ...] | None = None


@dataclass(slots=True)
class Transaction:
    """`events` as far as it has come; of `undone` subtransactions (with the place of that in the WAL) none counts.
    `message`: what it writes into the WAL besides."""

    xid: int
    message: str = ""
    events: list[Event] = field(default_factory=list[Event])
    undone: dict[int, int] = field(default_factory=dict[int, int])
    commit: int = 0
    end: int = 0

    @property
    def done(self) -> list[Event]:
        return [e for e in self.events if e.subtransaction not in self.undone]


@dataclass(frozen=True, slots=True)
class Record:
    """One place of the WAL: `part` (up to event `upto`), `undo`, `commit`, `abort`, or `shape` (a table's changed)."""

    lsn: int
    kind: str
    transaction: Transaction | None = None
    upto: int = 0
    subtransaction: int = 0
    oid: int = 0


@dataclass(slots=True)
class Slot:
    confirmed: int
    reader: Wire | None = None


@dataclass(slots=True)
class Table:
    """`pages`: where each row stands, by key; a changed one goes behind all others. `file`: another once emptied."""

    shape: Shape
    rows: dict[int, tuple[Cell, ...]] = field(default_factory=dict[int, "tuple[Cell, ...]"])
    pages: dict[int, int] = field(default_factory=dict[int, int])
    file: int = 1
    written: int = 0

    def copy(self) -> Table:
        return Table(self.shape, dict(self.rows), dict(self.pages), self.file, self.written)

    def apply(self, event: Event) -> None:
        if event.old is None and event.new is None:
            self.rows.clear()
            self.pages.clear()
            self.file, self.written = self.file + 1, 0
        if event.old is not None:
            self._remove(event.old)
        if event.new is not None:
            self._put(event.new)

    def take_back(self, event: Event) -> None:
        if event.new is not None:
            self._remove(event.new)
        if event.old is not None:
            self._put(event.old)

    def _remove(self, row: tuple[Cell, ...]) -> None:
        self.rows.pop(int(row[0] or 0))
        self.pages.pop(int(row[0] or 0))

    def _put(self, row: tuple[Cell, ...]) -> None:
        self.rows[int(row[0] or 0)] = row
        self.pages[int(row[0] or 0)] = self.written // _ROWS_A_PAGE
        self.written += 1


class Server:
    """`fault()` is asked at every statement and message: whether the connection breaks there."""

    def __init__(self, fault: Callable[[], bool]) -> None:
        self.fault = fault
        self.tables: dict[int, Table] = {}
        self.slots: dict[str, Slot] = {}
        self.publication: dict[int, int] | None = None
        self.wal: list[Record] = []
        self.open: dict[int, Transaction] = {}
        self.unseen: dict[int, Transaction] = {}
        """Their commits stand in the WAL, and others do not see them yet."""
        self.snapshots: dict[str, dict[int, Table]] = {}
        self.sessions: set[Session] = set()
        self._lsn = 0x1000000
        self._number = 700
        self._oids = itertools.count(16384)

    # ---- what applications do ----------------------------------------------------------------------------------------

    def create(self, name: str) -> int:
        oid = next(self._oids)
        columns = ((1, "id", INT4), (2, "n", INT4), (3, "big", TEXT))
        self.tables[oid] = Table(Shape(oid, name, columns))
        return oid

    def begin(self) -> Transaction:
        made = Transaction(self.next_number())
        self.open[made.xid] = made
        return made

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def sent(self, transaction: Transaction) -> None:
        """What it has written so far is sent before its commit."""
        self._write(Record(self._advance(), "part", transaction, upto=len(transaction.events)))

    def undo(self, transaction: Transaction, subtransaction: int) -> None:
        transaction.undone[subtransaction] = self._advance()
        self._write(Record(self._lsn, "undo", transaction, subtransaction=subtransaction))

    def abort(self, transaction: Transaction) -> None:
        del self.open[transaction.xid]
        self._write(Record(self._advance(), "abort", transaction))

    def commit(self, transaction: Transaction, *, unseen: bool = False) -> None:
        del self.open[transaction.xid]
        if unseen:
            self.unseen[transaction.xid] = transaction
        for event in transaction.done:
            self.tables[event.shape.oid].apply(event)
        transaction.commit = self._advance()
        transaction.end = self._lsn = transaction.commit + 48
        self._write(Record(transaction.commit, "commit", transaction))

    def alter(self, oid: int, columns: tuple[tuple[int, str, int], ...]) -> None:
        """A rename, a drop or an add, in a transaction of its own; an added column is null."""
        table = self.tables[oid]
        before = {number: i for i, (number, _, _) in enumerate(table.shape.columns)}
        table.shape = Shape(oid, table.shape.name, columns)
        table.rows = {
            key: tuple(row[before[number]] if number in before else None for number, _, _ in columns)
            for key, row in table.rows.items()
        }
        self._write(Record(self._advance(), "shape", oid=oid))

    def publish(self, members: dict[int, int]) -> None:
        self.publication = members

    def locked(self, oid: int) -> bool:
        """Whether a session reads the table: it cannot be altered or emptied then."""
        return any(oid in session.locks for session in self.sessions)

    def exclusive(self, name: str) -> bool:
        """Whether a transaction that has not released its locks emptied the table."""
        events = [e for t in (*self.open.values(), *self.unseen.values()) for e in t.events]
        return any(e.shape.name == name and e.old is None and e.new is None for e in events)

    def seen(self) -> dict[int, Table]:
        """The tables as a snapshot of now shows them. Whoever reads one has it locked: it was not emptied by those."""
        tables = {oid: table.copy() for oid, table in self.tables.items()}
        for transaction in self.unseen.values():
            for event in reversed(transaction.done):
                if not self.exclusive(event.shape.name):
                    tables[event.shape.oid].take_back(event)
        return tables

    @property
    def head(self) -> int:
        return self._lsn

    def _advance(self) -> int:
        self._lsn += 40
        return self._lsn

    def _write(self, record: Record) -> None:
        self._lsn = max(self._lsn, record.lsn + 8)
        self.wal.append(record)
        for slot in self.slots.values():
            if slot.reader is not None:
                slot.reader.wake()

    # ---- connections -------------------------------------------------------------------------------------------------

    async def connect(self, conninfo: str, *, autocommit: bool = False, replication: str = "") -> Session:
        await asyncio.sleep(0)
        if self.fault():
            raise OperationalError("connection refused")
        return Session(self)

    def snapshot(self) -> tuple[str, int]:
        """Of all that has committed: its name, and the point from which on commits are streamed."""
        name = f"snapshot-{self.next_number()}"
        self.snapshots[name] = {oid: t.copy() for oid, t in self.tables.items()}
        return name, self._advance()


class Cursor:
    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self._rows = list(rows)

    async def fetchone(self) -> Sequence[Any] | None:
        return self._rows[0] if self._rows else None

    async def fetchall(self) -> Sequence[Sequence[Any]]:
        return self._rows


class Info:
    server_version = _VERSION
    transaction_status = TransactionStatus.IDLE


class Session:
    """A connection, of either kind. Statements are told apart by name, or by their first words."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.closed = False
        self.info = Info()
        self.lock = asyncio.Lock()
        self.pgconn = Wire(self)
        self.temporary: list[str] = []
        self.snapshot: dict[int, Table] | None = None
        self.locks: set[int] = set()
        server.sessions.add(self)

    async def execute(self, query: bytes | str | sql.Composable, params: dict[str, Any] | None = None) -> Cursor:
        await asyncio.sleep(0)
        self.fail()
        if isinstance(query, bytes):
            name = _NAMES[query]
            return Cursor(getattr(self, f"_{name}")(**(params or {})))
        text = query if isinstance(query, str) else query.as_string(None)
        if text.startswith("lock table"):
            await self._lock(re.findall(r'"public"\."(\w+)"', text))
            return Cursor([])
        return Cursor(self._command(text))

    async def _lock(self, names: list[str]) -> None:
        while any(self.server.exclusive(name) for name in names):
            await asyncio.sleep(0.01)
            self.fail()
        self.locks |= {oid for oid, t in self.server.tables.items() if t.shape.name in names}

    def fail(self) -> None:
        if self.closed or self.server.fault():
            self.drop()
            raise OperationalError("server closed the connection unexpectedly")

    def _command(self, text: str) -> list[Sequence[Any]]:
        server = self.server
        if text == "IDENTIFY_SYSTEM":
            return [("4711", _TIMELINE, format_lsn(server.head))]
        if made := re.match(r'CREATE_REPLICATION_SLOT "(\w+)" (TEMPORARY )?LOGICAL', text):
            snapshot, point = server.snapshot()
            server.slots[made[1]] = Slot(point)
            if made[2]:
                self.temporary.append(made[1])
            return [(made[1], format_lsn(point), snapshot)]
        if started := re.match(r'START_REPLICATION SLOT "(\w+)" LOGICAL (\S+)', text):
            self.pgconn.start(started[1], parse_lsn(started[2]))
            return []
        if taken := re.match(r"set transaction snapshot '(.*)'", text):
            self.snapshot = server.snapshots[taken[1]]
            return []
        if text.startswith(("create publication", "alter publication")):
            named = set(re.findall(r'"public"\."(\w+)"', text))
            now = server.publication or {}
            server.publish(
                {o: now.get(o) or server.next_number() for o, t in server.tables.items() if t.shape.name in named}
            )
            return []
        if text.startswith("select k.place"):
            return self._gone(text)
        assert text.startswith(("begin", "rollback")), text
        self.snapshot = None
        self.locks.clear()
        self.info.transaction_status = TransactionStatus.INTRANS if text[0] == "b" else TransactionStatus.IDLE
        return []

    def _shown(self) -> dict[int, Table]:
        """What the session's transaction sees; its first statement decides that."""
        if self.snapshot is None:
            self.snapshot = self.server.seen()
        return self.snapshot

    def _gone(self, text: str) -> list[Sequence[Any]]:
        """Which of some keys no row has."""
        table, keys = re.search(r'from only "public"\."(\w+)" where false', text), re.search(r"unnest\((.*?)::", text)
        assert table, text
        assert keys, text
        rows = next(t.rows for t in self._shown().values() if t.shape.name == table[1])
        asked = [int(key) for key in re.findall(r"-?\d+", keys[1])]
        within = _condition(text.partition("where not exists")[2])
        return [(place,) for place, key in enumerate(asked, 1) if key not in rows and within(key, 0)]

    # ---- the named statements ----------------------------------------------------------------------------------------

    def _server(self) -> list[Sequence[Any]]:
        return [("logical", False, _VERSION, "UTF8")]

    def _may_replicate(self) -> list[Sequence[Any]]:
        return [(True,)]

    def _tables(self) -> list[Sequence[Any]]:
        return [
            (oid, "public", t.shape.name, "r", "p", "d", float(len(t.rows)), [], True, True, False, None, True)
            for oid, t in self.server.tables.items()
        ]

    def _columns(self, tables: list[int]) -> list[Sequence[Any]]:
        return [
            (oid, number, name, kind, number == 1, number == 1, False, False)
            for oid in tables
            for number, name, kind in self.server.tables[oid].shape.columns
        ]

    def _numbers(self, publication: str, table: int) -> list[Sequence[Any]]:
        return [(name, number) for number, name, _ in self.server.tables[table].shape.columns]

    def _types(self, types: list[int]) -> list[Sequence[Any]]:
        return [(oid, "int4" if oid == INT4 else "text", oid, 4 if oid == INT4 else -1) for oid in types]

    def _publication(self, name: str) -> list[Sequence[Any]]:
        return [] if self.server.publication is None else [(True, True, True, True)]

    def _members(self, name: str, table: int | None) -> list[Sequence[Any]]:
        tables = self.server.tables
        return [
            (oid, None, None, since, f"public.{tables[oid].shape.name}")
            for oid, since in (self.server.publication or {}).items()
            if table is None or oid == table
        ]

    def _listed(self, name: str) -> list[Sequence[Any]]:
        return [(oid,) for oid in self.server.publication or {}]

    def _slot(self, name: str) -> list[Sequence[Any]]:
        slot = self.server.slots.get(name)
        return [] if slot is None else [(True, True, slot.reader is not None, "reserved", format_lsn(slot.confirmed))]

    def _release_slot(self, name: str) -> list[Sequence[Any]]:
        slot = self.server.slots.get(name)
        if slot is not None and slot.reader is not None:
            slot.reader.session.drop()
        return []

    def _drop_slot(self, name: str) -> list[Sequence[Any]]:
        self._release_slot(name)
        self.server.slots.pop(name, None)
        return []

    def _retained(self, name: str) -> list[Sequence[Any]]:
        slot = self.server.slots.get(name)
        kept = 0 if slot is None else self.server.head - slot.confirmed
        return [] if slot is None else [(kept, kept, "reserved", None, None, None)]

    def _snapshot_time(self) -> list[Sequence[Any]]:
        return [(EPOCH_US,)]

    def _rewritten(self, tables: list[int]) -> list[Sequence[Any]]:
        return []

    def _head(self) -> list[Sequence[Any]]:
        return [(format_lsn(self.server.head),)]

    def _nudge(self) -> list[Sequence[Any]]:
        self.server.commit(self.server.begin())
        return [("0/0",)]

    def _mark(self, content: str) -> list[Sequence[Any]]:
        made = self.server.begin()
        made.message = content
        self.server.commit(made)
        return [("0/0",)]

    def _visible(self) -> list[Sequence[Any]]:
        self._shown()
        running = sorted([*self.server.open, *self.server.unseen])
        limit = self.server.next_number()
        return [(f"{min([*running, limit])}:{limit}:{','.join(map(str, running))}", EPOCH_US)]

    def _heaps(self, tables: list[int]) -> list[Sequence[Any]]:
        shown = self._shown()
        return [
            (oid, oid, "public", t.shape.name, True, max(t.pages.values(), default=-1) + 1, t.file, float(_ROWS_A_PAGE))
            for oid, t in sorted(shown.items())
            if oid in tables
        ]

    def _table(self, table: int) -> list[Sequence[Any]]:
        return [("public", self.server.tables[table].shape.name, "r", "d")]

    def _key_types(self, table: int, columns: list[str]) -> list[Sequence[Any]]:
        return [("id", "integer")]

    def _key_order(self, table: int) -> list[Sequence[Any]]:
        return [(["id"],)]

    def _writers(self, table: int, idle: bool) -> list[Sequence[Any]]:
        holding = [*(self.server.open.values() if idle else ()), *self.server.unseen.values()]
        return [(f"1/{t.xid}",) for t in holding if any(e.shape.oid == table for e in t.events)]

    def _signs(self) -> list[Sequence[Any]]:
        return [(repr([t.shape for t in self.server.tables.values()]),)]

    # ---- COPY --------------------------------------------------------------------------------------------------------

    async def lines(self, text: str) -> AsyncIterator[bytes]:
        found = _COPY.fullmatch(text)
        assert found, text
        table = next(t for t in self._shown().values() if t.shape.name == found["table"])
        at = {name: i for i, (_, name, _) in enumerate(table.shape.columns)}
        wanted = [at[name] for name in re.findall(r'"(\w+)"', found["columns"])]
        holds = _condition(found["where"] or "")
        keys = [key for key in table.rows if holds(key, table.pages[key])]
        if found["order"]:
            keys = sorted(keys)[: int(found["limit"])]
        for key in keys:
            await asyncio.sleep(0)
            self.fail()
            row = table.rows[key]
            yield b"\t".join(b"\\N" if row[i] is None else str(row[i]).encode() for i in wanted) + b"\n"

    # ---- its end -----------------------------------------------------------------------------------------------------

    async def cancel_safe(self, timeout: float = 0) -> None:
        await asyncio.sleep(0)

    def drop(self) -> None:
        """Breaks."""
        self.closed = True
        self.locks.clear()
        for name in self.temporary:
            self.server.slots.pop(name, None)
        self.temporary.clear()
        self.pgconn.end()

    async def close(self) -> None:
        self.drop()
        self.pgconn.release()
        self.server.sessions.discard(self)


_COPY = re.compile(
    r'copy \(select (?P<columns>.*?) from only "public"\."(?P<table>\w+)"(?: where (?P<where>.*?))?'
    r'(?P<order> order by "id" limit (?P<limit>\d+))?\) to stdout'
)


async def copy_out(connection: Session, query: sql.Composed) -> AsyncGenerator[list[bytes]]:
    """Stands in for `headrace.sources.postgres.copyout.copy_out`."""
    connection.info.transaction_status = TransactionStatus.ACTIVE
    async for line in connection.lines(query.as_string(None)):
        yield [line]
    connection.info.transaction_status = TransactionStatus.INTRANS


def _condition(text: str) -> Callable[[int, int], bool]:
    """Whether a row of a key, on a page, meets what a statement says of `ctid` and `id`."""
    pages = {operator: int(page) for operator, page in re.findall(r"ctid (>=|<) '\((\d+),0\)'", text)}
    bounds = {operator: int(key) for operator, key in re.findall(r"\(\"id\"\) (>=|>|<=) \('(-?\d+)'\)", text)}
    listed = re.search(r'\("id"\) in \((.*)\)', text)
    keys = {int(key) for key in re.findall(r"\('(-?\d+)'\)", listed[1])} if listed else None

    def holds(key: int, page: int) -> bool:
        return (
            pages.get(">=", 0) <= page < pages.get("<", maxsize)
            and bounds.get(">", -maxsize) < key
            and bounds.get(">=", -maxsize) <= key <= bounds.get("<=", maxsize)
            and (keys is None or key in keys)
        )

    return holds


class Wire:
    """The sending side of a stream, with libpq's face."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._slot: Slot | None = None
        self._at = 0
        self._from = 0
        self._out: deque[bytes] = deque()
        self._told: dict[int, Shape] = {}
        self._parts: dict[int, _Parts] = {}
        self._event: int | None = None

    @property
    def socket(self) -> int:
        if self._event is None:
            self._event = os.eventfd(1, os.EFD_NONBLOCK)
        return self._event

    def start(self, slot: str, lsn: int) -> None:
        self._slot = self.session.server.slots[slot]
        assert self._slot.reader is None
        self._slot.reader = self
        self._from = max(lsn, self._slot.confirmed)
        # Decoding begins where the oldest transaction began that was open then: here, at the beginning.
        self._at = 0

    def wake(self) -> None:
        if self._event is not None:
            os.eventfd_write(self._event, 1)

    def end(self) -> None:
        if self._slot is not None and self._slot.reader is self:
            self._slot.reader = None
        self.wake()

    def release(self) -> None:
        if self._event is not None:
            os.close(self._event)
            self._event = None

    # ---- libpq -------------------------------------------------------------------------------------------------------

    def get_copy_data(self, block: int) -> tuple[int, bytes]:
        if self.session.closed or self.session.server.fault():
            self.session.drop()
            return -1, b""
        while not self._out and self._at < len(self.session.server.wal):
            record = self.session.server.wal[self._at]
            self._at += 1
            self._out.extend(self._messages(record))
        if not self._out:
            return 0, b""
        message = self._out.popleft()
        return len(message), message

    def consume_input(self) -> None:
        if self._event is not None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._event)

    def get_result(self) -> None:
        return None

    def put_copy_data(self, message: bytes) -> None:
        kind, _, flushed, _, _, reply = unpack(">cQQQqB", message)
        assert kind == b"r"
        if self.session.closed:
            raise OperationalError("no connection")
        assert self._slot is not None
        self._slot.confirmed = max(self._slot.confirmed, flushed)
        if reply:
            self._out.append(self._keepalive())
            self.wake()

    def flush(self) -> int:
        return 0

    # ---- pgoutput ----------------------------------------------------------------------------------------------------

    def _keepalive(self) -> bytes:
        """Up to where the WAL was read: what is queued comes before it."""
        wal = self.session.server.wal
        end = self.session.server.head if self._at >= len(wal) else wal[self._at].lsn
        return b"k" + pack(">QqB", end, 0, 0)

    def _data(self, lsn: int, message: bytes) -> bytes:
        return b"w" + pack(">QQq", lsn, lsn, 0) + message

    def _messages(self, record: Record) -> Iterator[bytes]:
        for message in self._of(record):
            yield self._data(record.lsn, message)
        if record.kind == "commit" and record.lsn < self._from:
            return
        if record.lsn % 3 == 0 and self._at >= len(self.session.server.wal):
            yield self._keepalive()

    def _of(self, record: Record) -> Iterator[bytes]:
        if record.kind == "shape":
            self._told.pop(record.oid, None)
            for parts in self._parts.values():
                parts.told.pop(record.oid, None)
            return
        transaction = record.transaction
        assert transaction is not None
        parts = self._parts.get(transaction.xid)
        match record.kind:
            case "part" if record.lsn >= self._from:
                # What the transaction wrote before the start of decoding is not sent in parts, nor what follows then.
                parts = parts or _Parts()
                for message in self._part(transaction, parts, record.upto, record.lsn):
                    self._parts[transaction.xid] = parts
                    yield message
            case "undo" if parts is not None:
                yield b"A" + pack(">II", transaction.xid, record.subtransaction)
                parts.told.clear()
            case "abort" if parts is not None:
                yield b"A" + pack(">II", transaction.xid, transaction.xid)
                del self._parts[transaction.xid]
            case "commit" if parts is not None:
                yield from self._part(transaction, parts, len(transaction.events), record.lsn)
                yield b"c" + pack(">IBQQq", transaction.xid, 0, transaction.commit, transaction.end, 0)
                self._told.update(parts.told)
                del self._parts[transaction.xid]
            case "commit" if record.lsn >= self._from:
                yield b"B" + pack(">QqI", transaction.commit, 0, transaction.xid)
                if content := transaction.message.encode():
                    yield b"M\x01" + pack(">Q", record.lsn) + b"headrace\0" + pack(">I", len(content)) + content
                for event in transaction.done:
                    yield from self._row(event, self._told, b"")
                yield b"C" + pack(">BQQq", 0, transaction.commit, transaction.end, 0)
            case _:
                pass

    def _part(self, transaction: Transaction, parts: _Parts, upto: int, lsn: int) -> Iterator[bytes]:
        """What was undone by then is left out; what is undone later was sent."""
        undone = {subtransaction for subtransaction, at in transaction.undone.items() if at < lsn}
        events = [e for e in transaction.events[parts.sent : upto] if e.subtransaction not in undone]
        first, parts.sent = parts.sent == 0, upto
        if not events:
            return
        yield b"S" + pack(">IB", transaction.xid, first)
        for event in events:
            yield from self._row(event, parts.told, pack(">I", event.subtransaction))
        yield b"E"

    def _row(self, event: Event, told: dict[int, Shape], xid: bytes) -> Iterator[bytes]:
        shape = event.shape
        if shape.oid not in (self.session.server.publication or {}):
            return
        if told.get(shape.oid) != shape:
            told[shape.oid] = shape
            yield b"R" + xid + _relation(shape)
        table = pack(">I", shape.oid)
        if event.old is None and event.new is None:
            yield b"T" + xid + pack(">IB", 1, 0) + table
        elif event.old is None:
            assert event.new is not None
            yield b"I" + xid + table + b"N" + _tuple(event.new)
        elif event.new is None:
            yield b"D" + xid + table + b"K" + _tuple(_key_only(event.old))
        else:
            key = b"K" + _tuple(_key_only(event.old)) if event.old[0] != event.new[0] else b""
            yield b"U" + xid + table + key + b"N" + _tuple(event.new, event.old)


@dataclass(slots=True)
class _Parts:
    """What was sent of a transaction in progress."""

    sent: int = 0
    told: dict[int, Shape] = field(default_factory=dict[int, Shape])


def _relation(shape: Shape) -> bytes:
    columns = b"".join(
        pack(">B", number == 1) + name.encode() + b"\0" + pack(">Ii", kind, -1) for number, name, kind in shape.columns
    )
    head = pack(">I", shape.oid) + b"public\0" + shape.name.encode() + b"\0d"
    return head + pack(">h", len(shape.columns)) + columns


def _key_only(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
    return (row[0], *[None] * (len(row) - 1))


def _tuple(row: tuple[Cell, ...], old: tuple[Cell, ...] | None = None) -> bytes:
    out = [pack(">h", len(row))]
    for i, cell in enumerate(row):
        if cell is None:
            out.append(b"n")
        elif old is not None and isinstance(cell, str) and len(cell) > LARGE and old[i] == cell:
            out.append(b"u")
        else:
            text = str(cell).encode()
            out.append(b"t" + pack(">i", len(text)) + text)
    return b"".join(out)

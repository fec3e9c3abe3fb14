"""A PostgreSQL in memory, as far as a source sees it: tables, transactions in a WAL, slots. `postgres_sessions` has its
connections, `postgres_wire` what it sends.

It does what the real server does and a simple fake would not: large values that an update leaves are not sent,
transactions come in parts before their commit or as a whole after a restart, shapes are told once and again after they
changed, what was confirmed is never sent again, and a commit may be in the WAL before others see it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from headrace.sources.postgres.values import INT4, TEXT

Cell = int | str | None
LARGE = 2000
"""Longer texts are stored out of line."""
ROWS_A_PAGE = 3


class Reader(Protocol):
    """Who is sent a slot's changes."""

    def wake(self) -> None: ...
    def cut(self) -> None: ...


class Reading(Protocol):
    """A session, as the server sees it."""

    closed: bool
    locks: set[int]


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
    reader: Reader | None = None


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
        self.pages[int(row[0] or 0)] = self.written // ROWS_A_PAGE
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
        self.sessions: set[Reading] = set()
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

    def snapshot(self) -> tuple[str, int]:
        """Of all that has committed: its name, and the point from which on commits are streamed."""
        name = f"snapshot-{self.next_number()}"
        self.snapshots[name] = {oid: t.copy() for oid, t in self.tables.items()}
        return name, self._advance()

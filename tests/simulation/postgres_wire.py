"""What the PostgreSQL in memory sends of its WAL: pgoutput, byte for byte, so that what decodes and assembles it is the
real code."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import pack, unpack
from typing import Protocol

from psycopg import OperationalError

from tests.simulation.postgres_model import LARGE, Cell, Event, Record, Server, Shape, Slot, Transaction


class Connected(Protocol):
    """The session that it is sent in."""

    server: Server
    closed: bool

    def drop(self) -> None: ...


class Wire:
    """The sending side of a stream, with libpq's face."""

    def __init__(self, session: Connected) -> None:
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

    def cut(self) -> None:
        """Ends the session that it is sent in."""
        self.session.drop()

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

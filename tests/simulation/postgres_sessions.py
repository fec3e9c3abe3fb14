"""Connections to the PostgreSQL in memory. `connecting` stands in for `psycopg.AsyncConnection.connect`, `copy_out` for
the real one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from sys import maxsize
from typing import Any

from psycopg import OperationalError, sql
from psycopg.pq import TransactionStatus

from headrace.sources.postgres.pgoutput import EPOCH_US
from headrace.sources.postgres.replication import format_lsn, parse_lsn
from headrace.sources.postgres.setup import SQL
from headrace.sources.postgres.values import INT4
from tests.simulation.postgres_model import ROWS_A_PAGE, Server, Slot, Table
from tests.simulation.postgres_wire import Wire

_NAMES = {SQL[name]: name for name in (
    "server", "may_replicate", "tables", "columns", "numbers", "types", "publication", "members", "listed", "slot",
    "release_slot", "drop_slot", "retained", "snapshot_time", "rewritten", "head", "nudge", "heaps", "mark", "visible",
    "table", "key_types", "key_order", "writers", "signs", "change_catalog",
)}  # fmt: skip
_VERSION = 180000
_TIMELINE = 1


def connecting(server: Server) -> Callable[..., Any]:
    async def connect(conninfo: str, *, autocommit: bool = False, replication: str = "") -> Session:
        await asyncio.sleep(0)
        if server.fault():
            raise OperationalError("connection refused")
        return Session(server)

    return connect


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
        if dropped := re.match(r'DROP_REPLICATION_SLOT "(\w+)"', text):
            self._drop_slot(dropped[1])
            return []
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

    def _change_catalog(self) -> list[Sequence[Any]]:
        self.server.commit(self.server.begin())
        return [(1,)]

    def _release_slot(self, name: str) -> list[Sequence[Any]]:
        slot = self.server.slots.get(name)
        if slot is not None and slot.reader is not None:
            slot.reader.cut()
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
            (oid, oid, "public", t.shape.name, True, max(t.pages.values(), default=-1) + 1, t.file, float(ROWS_A_PAGE))
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

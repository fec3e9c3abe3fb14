"""A load of every kind of change, on tables whose rows say who they are (`uid`) and how often they changed (`n`)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString, cast

import psycopg

ROWS = 250
TABLES = ("accounts", "pairs", "parts", "notes", "files")
KEYS = {"accounts": ("id",), "pairs": ("a", "b"), "parts": ("id",), "notes": ("uid", "n", "text"), "files": ("id",)}
"""The columns of each key; `notes` has none but the whole row."""
_DDL = (
    "create sequence uids",
    "create table accounts (id int primary key, uid bigint not null default nextval('uids'), n int not null default 0,"
    " big text)",
    "create table pairs (a text, b int, uid bigint not null default nextval('uids'), n int not null default 0,"
    " doc jsonb, primary key (a, b))",
    "create table parts (id int primary key, uid bigint not null default nextval('uids'), n int not null default 0,"
    " note text) partition by range (id)",
    "create table parts_1 partition of parts for values from (minvalue) to (150)",
    "create table parts_2 partition of parts for values from (150) to (300)",
    "create table parts_3 partition of parts for values from (300) to (maxvalue)",
    "create table notes (uid bigint not null default nextval('uids'), n int not null default 0, text text)",
    "alter table notes replica identity full",
    "create table files (id uuid primary key, uid bigint not null default nextval('uids'), n int not null default 0,"
    " raw bytea, tags text[], memo text)",
    "alter table accounts alter big set storage external",
    "alter table pairs alter doc set storage external",
    "alter table files alter raw set storage external, alter tags set storage external",
)
_CLASHES = (psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation, psycopg.errors.SerializationFailure)
"""The last: a row that the other writer has just moved to another partition."""


class CountedRows:
    """Writers beside each other. `still` holds them between transactions; they rest `slower` times as long as usual."""

    def __init__(self, dsn: str, seed: int, writers: int = 2) -> None:
        self.dsn = dsn
        self._dice = [random.Random(1000 * seed + n) for n in range(writers)]
        self._go = asyncio.Event()
        self._none = asyncio.Event()
        self._at_work = 0
        self._ending = False
        self.slower = 1
        self.committed = 0

    async def prepare(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as c:
            for statement in _DDL:
                await c.execute(statement.encode())
            writer = _Writer(c, self._dice[0])
            async with c.transaction():
                for n in range(ROWS):
                    await writer.fill(n)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        self._go.set()
        async with asyncio.TaskGroup() as tasks:
            for dice in self._dice:
                tasks.create_task(self._write(dice))
            try:
                yield
            finally:
                self._ending = True
                self._go.set()

    @asynccontextmanager
    async def still(self) -> AsyncGenerator[None]:
        """No transaction is open inside."""
        self._go.clear()
        if self._at_work:
            self._none.clear()
            await self._none.wait()
        try:
            yield
        finally:
            self._go.set()

    async def _write(self, dice: random.Random) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            writer = _Writer(connection, dice)
            while not self._ending:
                while not self._go.is_set():  # it may be held again before a wake-up arrives
                    await self._go.wait()
                self._at_work += 1
                try:
                    self.committed += await self._transaction(connection, writer, dice)
                finally:
                    self._at_work -= 1
                    if not self._at_work:
                        self._none.set()
                await asyncio.sleep(self.slower * dice.choice([0.002, 0.005, 0.03]))

    async def _transaction(self, connection: psycopg.AsyncConnection, writer: _Writer, dice: random.Random) -> bool:
        try:
            for _ in range(dice.choice([1, 1, 2, 6])):
                await writer.something()
        except _CLASHES:
            await connection.rollback()
            return False
        kept = dice.random() < 0.92
        await (connection.commit() if kept else connection.rollback())
        return kept


class _Writer:
    def __init__(self, connection: psycopg.AsyncConnection, dice: random.Random) -> None:
        self._connection = connection
        self._dice = dice

    async def _run(self, statement: str, *values: object) -> None:
        await self._connection.execute(cast("LiteralString", statement), values or None)

    async def something(self) -> None:
        kinds: Sequence[Callable[[], object]] = (
            self._insert, self._insert, self._update, self._update, self._update, self._update_many, self._delete,
            self._rekey, self._rekey, self._swap, self._replace, self._grow, self._undo,
        )  # fmt: skip
        chosen = self._dice.choice(kinds) if self._dice.random() > 0.01 else self._truncate
        await cast("Callable[[], asyncio.Future[None]]", chosen)()

    def _key(self) -> int:
        return self._dice.randrange(int(1.5 * ROWS))

    def _where(self, table: str, key: int) -> str:
        return {
            "accounts": f"id = {key}", "parts": f"id = {key}", "notes": f"text = 'note {key}'",
            "pairs": f"(a, b) = ('a{key % 7}', {key})", "files": f"id = md5('{key}')::uuid",
        }[table]  # fmt: skip

    async def fill(self, key: int) -> None:
        for table in TABLES:
            await self._add(table, key)

    async def _add(self, table: str, key: int) -> None:
        large = f"(select string_agg(md5(random()::text), '') from generate_series(1, {self._dice.choice([1, 9, 99])}))"
        columns, row = {
            "accounts": ("id, big", f"{key}, {large}"),
            "pairs": ("a, b, doc", f"'a{key % 7}', {key}, jsonb_build_object('text', {large}, 'key', {key})"),
            "parts": ("id, note", f"{key}, {large}"),
            "notes": ("text", f"'note {key}'"),
            "files": ("id, raw, tags, memo", f"md5('{key}')::uuid, {large}::bytea, array[{large}, null, ''], null"),
        }[table]
        await self._run(f"insert into {table} ({columns}) values ({row}) on conflict do nothing")

    async def _insert(self) -> None:
        await self._add(self._dice.choice(TABLES), self._key())

    async def _update(self) -> None:
        """Large values stay as they are."""
        table = self._dice.choice(TABLES)
        await self._run(f"update {table} set n = n + 1 where {self._where(table, self._key())}")

    async def _update_many(self) -> None:
        table = self._dice.choice(("accounts", "parts"))
        key = self._key()
        await self._run(f"update {table} set n = n + 1 where id between {key} and {key + 20}")

    async def _grow(self) -> None:
        key = self._key()
        large = (
            f"(select string_agg(md5(random()::text), '') from generate_series(1, {self._dice.choice([1, 99, 400])}))"
        )
        await self._run(f"update accounts set big = {large}, n = n + 1 where id = {key}")
        await self._run(f"update files set memo = {large}, n = n + 1 where id = md5('{key}')::uuid")

    async def _delete(self) -> None:
        table = self._dice.choice(TABLES)
        await self._run(f"delete from {table} where {self._where(table, self._key())}")

    async def _rekey(self) -> None:
        """Rows of `parts` move between partitions by it; large values go along unsaid."""
        old, new = self._key(), self._key()
        table, change = self._dice.choice((
            ("accounts", f"id = {new}"), ("parts", f"id = {new}"), ("pairs", f"a = 'a{new % 7}', b = {new}"),
            ("files", f"id = md5('{new}')::uuid"), ("notes", f"text = 'note {new}'"),
        ))  # fmt: skip
        free = f"not exists (select from {table} where {self._where(table, new)})"
        await self._run(f"update {table} set {change}, n = n + 1 where {self._where(table, old)} and {free}")

    async def _swap(self) -> None:
        a, b = self._key(), self._key()
        for before, after in ((a, -1), (b, a), (-1, b)):
            await self._run(f"update accounts set id = {after}, n = n + 1 where id = {before}")

    async def _replace(self) -> None:
        """The same key again in one transaction is another row."""
        table, key = self._dice.choice(TABLES), self._key()
        await self._run(f"delete from {table} where {self._where(table, key)}")
        await self._add(table, key)

    async def _undo(self) -> None:
        """Enough for the server to send it before the transaction ends."""
        await self._run("savepoint s")
        await self._run("update accounts set n = n + 1, big = repeat(md5(big), 400) where id % 20 = 0")
        await self._run("insert into parts (id, note) select 1000 + g, 'undone' from generate_series(1, 50) g")
        await self._run("rollback to savepoint s")

    async def _truncate(self) -> None:
        await self._run("truncate notes, pairs")
        for _ in range(20):
            key = self._key()
            await self._add("notes", key)
            await self._add("pairs", key)

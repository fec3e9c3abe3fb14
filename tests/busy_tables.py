"""Tables with keys of every kind, and writers that never stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg

from tests.captured_database import CapturedDatabase
from tests.crashing import interrupted
from tests.streamed import source_of

CLASHES = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
    psycopg.errors.QueryCanceled,
)
TABLES = {
    "plain": ("id int primary key, n int, v text", ("id",)),
    "composite": ("b text, a int, n int, v text, primary key (a, b)", ("b", "a")),
    "texts": ("id text {collation} primary key, n int, v text", ("id",)),
    "uuids": ("id uuid primary key, n int, v text", ("id",)),
    "parts": ("id int primary key, n int, v text", ("id",)),
    "whole": ("id int, n int, v text", ("id", "n", "v")),
}
"""Columns and key of tables with keys of every kind; `parts` has partitions, `whole` no key but the whole row."""


async def make(database: CapturedDatabase, rows: int) -> None:
    icu = await database.query("select from pg_collation where collname = 'de-x-icu'")
    for table, (columns, _) in TABLES.items():
        partitioned = " partition by range (id)" if table == "parts" else ""
        columns = columns.format(collation='collate "de-x-icu"' if icu else "")
        await database.sql(f"create table {table} ({columns}){partitioned}")
    await database.sql(
        "alter table whole replica identity full",
        "create table parts_1 partition of parts for values from (minvalue) to (500)",
        "create table parts_2 (v text, id int not null primary key, n int)",
        "alter table parts attach partition parts_2 for values from (500) to (maxvalue)",
    )
    for table in TABLES:
        await database.sql(f"insert into {table} (id, n, v) select g, 0, 'v' from generate_series(1, {rows}) g".replace(
            "(id, n, v) select g,", "(a, b, n, v) select g % 9, 'b' || g," if table == "composite"
            else "(id, n, v) select md5(g::text)::uuid," if table == "uuids"
            else "(id, n, v) select (case g % 3 when 0 then 'Ä' when 1 then 'a' else 'Z' end) || g," if table == "texts"
            else "(id, n, v) select g,"))  # fmt: skip


async def rows(database: CapturedDatabase, table: str = "t", count: int = 1000) -> None:
    await database.sql(
        f"create table {table}(id int primary key, n int)",
        f"insert into {table} select g, 0 from generate_series(1, {count}) g",
    )


async def write(database: CapturedDatabase, seed: int, stop: asyncio.Event, *, late: bool = False) -> None:
    """Inserts, updates, deletes and re-keys, at times in long transactions, at times undone or truncated."""
    rng = random.Random(seed)
    async with await psycopg.AsyncConnection.connect(database.dsn) as c:
        await c.execute(f"set synchronous_commit = {'remote_apply' if late else 'local'}".encode())
        await c.commit()
        while not stop.is_set():
            try:
                for _ in range(rng.choice([1, 1, 3, 30])):
                    table = rng.choice(list(TABLES))
                    i = rng.randrange(1, 1200)
                    key = {
                        "composite": f"a = {i % 9} and b = 'b{i}'",
                        "uuids": f"id = md5('{i}')::uuid",
                        "texts": f"id in ('Ä{i}', 'a{i}', 'Z{i}')",
                    }.get(table, f"id = {i}")
                    columns, values = {
                        "composite": ("a, b", f"{i % 9}, 'b{i}'"),
                        "uuids": ("id", f"md5('{i}')::uuid"),
                        "texts": ("id", f"'Z{i}'"),
                    }.get(table, ("id", str(i)))
                    other = {
                        "composite": "b = b || 'x'",
                        "uuids": "id = gen_random_uuid()",
                        "texts": "id = 'q' || id",
                    }.get(table, "id = 2000 + id")
                    match rng.randrange(8):
                        case 0:
                            statement = f"delete from {table} where {key}"
                        case 1 | 2:
                            statement = f"insert into {table} ({columns}, n, v) values ({values}, 1, 'new') on conflict do nothing"  # noqa: E501
                        case 3:
                            statement = f"update {table} set {other} where {key}"
                        case 4 if table == "plain" and rng.random() < 0.05:
                            statement = f"truncate {table}"
                        case _:
                            statement = f"update {table} set n = n + 1, v = '{rng.random()}' where {key}"
                    await c.execute(statement.encode())
                await (c.commit() if rng.random() < 0.85 else c.rollback())
            except CLASHES:
                await c.rollback()
            await asyncio.sleep(rng.choice([0, 0, 0.003]))


async def show(database: CapturedDatabase, seed: int, stop: asyncio.Event) -> None:
    """Lets commits be seen, which wait for a standby that is not there, after some time."""
    rng = random.Random(seed)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as c:
        while not stop.is_set():
            await asyncio.sleep(rng.choice([0.002, 0.02, 0.1]))
            await c.execute("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")


@asynccontextmanager
async def writing(database: CapturedDatabase, seed: int, *, late: bool = False) -> AsyncGenerator[None]:
    """`late`: what is committed is in the stream some time before others see it."""
    stop, shown = asyncio.Event(), asyncio.Event()
    writers = [asyncio.create_task(write(database, 100 * seed + n, stop, late=late)) for n in range(2)]
    showing = asyncio.create_task(show(database, seed, shown)) if late else None
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*writers)
        shown.set()
        if showing is not None:
            await showing


async def check(database: CapturedDatabase) -> None:
    """The log amounts to the tables as they are."""
    for table, (_, key) in TABLES.items():
        assert database.log.table(f"pg.public.{table}") == await database.table(table, *key), table


async def interrupted_asking(database: CapturedDatabase, rng: random.Random) -> None:
    """As `interrupted`, asking for a snapshot unless there is one."""
    source = source_of(database, batch_rows=rng.choice([7, 60, 4000]))

    async def ask() -> None:
        if not source.snapshots:
            await source.snapshot_again("public.*", None, None)

    await interrupted(database, source, rng, steps=(2, 40), seconds=(0.3, 1.0), ask=ask)

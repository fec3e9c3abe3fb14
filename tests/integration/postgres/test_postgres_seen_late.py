"""Commits that stand in the stream before anybody sees them: nothing that is read beside it takes their rows back."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

import psycopg
import pytest

from headrace.sources.postgres import source as postgres_source
from tests.busy_tables import check, interrupted_asking, make, rows, writing
from tests.captured_database import CapturedDatabase
from tests.memory_log import eventually
from tests.servers import PostgresApart
from tests.streamed import ended, source_of, streaming


async def waits_for_nobody(database: CapturedDatabase) -> None:
    """Commits wait for a standby that is not there, in sessions that want it."""
    await database.sql(
        "alter system set synchronous_commit = 'local'",
        "alter system set synchronous_standby_names = 'nobody'",
        "select pg_reload_conf()",
    )


async def test_a_commit_that_others_cannot_see_yet_is_not_undone(postgres_apart: PostgresApart) -> None:
    # given a commit that is in the WAL, and so in the stream, while it waits for a standby that never answers
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await rows(database)
    async with streaming(database, batch_rows=100) as source:
        await database.sql("alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
        async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as other:
            waiting = asyncio.create_task(other.execute("update t set n = 9 where id = 500"))
            await eventually(lambda: database.log.table("pg.public.t")[500,] == (500, 9))
            plain = await psycopg.AsyncConnection.connect(database.dsn, autocommit=True)
            row = await (await plain.execute("select n from t where id = 500")).fetchone()
            assert row == (0,)

            # when the table is read again
            (job,) = await source.snapshot_again("public.t", None, None)
            await asyncio.sleep(0.3)

            # then the row does not go back, neither before nor after the commit is seen
            assert database.log.table("pg.public.t")[500,] == (500, 9)
            await plain.execute("alter system reset synchronous_standby_names")
            await plain.execute("select pg_reload_conf()")
            await waiting
            await plain.close()
            await ended(source, job.id)
    assert [c.after for c in database.log.of("pg.public.t") if c.key == (500,)] == [(500, 0), (500, 9), (500, 9)]
    await database.close()


async def test_a_commit_that_is_seen_while_chunks_wait_is_not_undone_by_them(
    postgres_apart: PostgresApart, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a source that looks at the catalog often, and a log that can be kept waiting
    monkeypatch.setattr(postgres_source, "LOOK_EVERY_S", 0.02)
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await rows(database)
    await database.capture()
    await waits_for_nobody(database)
    source = source_of(database, batch_rows=20)
    goes_on = asyncio.Event()

    def written() -> int:
        return sum(c.after == (*c.key, 9) for c in database.log.of("pg.public.t"))

    async def read() -> None:
        async with aclosing(source.stream(database.log.resume)) as steps:
            async for captured in steps:
                database.log.append(captured)
                if written() == 1000:
                    await goes_on.wait()

    reading = asyncio.create_task(read())
    head = await source.head()
    await eventually(lambda: database.log.frontier >= head)

    # when a table is read again, and a commit is in the stream that nobody sees yet
    before = len(database.log.changes)
    await source.snapshot_again("public.t", None, None)
    await eventually(lambda: len(database.log.changes) > before)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as other:
        await other.execute("set synchronous_commit = 'remote_apply'")
        waiting = asyncio.create_task(other.execute("update t set n = 9"))
        await eventually(lambda: written() == 1000)

        # and everybody sees it while the log waits, with chunks behind it that were read before that
        await asyncio.sleep(0.2)
        await database.sql("alter system reset all", "select pg_reload_conf()")
        await waiting
        await asyncio.sleep(0.2)
        goes_on.set()
        await ended(source)

    # then no row goes back
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await source.close()
    assert database.log.table("pg.public.t") == await database.table("t", "id")
    await database.close()


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_read_beside_commits_that_are_seen_late_changes_nothing(
    postgres_apart: PostgresApart, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # given writers whose commits others see some time after the stream
    monkeypatch.setattr(postgres_source, "LOOK_EVERY_S", 0.02)
    rng = random.Random(seed)
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await make(database, 1000)
    await database.capture()
    await waits_for_nobody(database)

    # when all tables are read again by a source that dies again and again, and that waits for its log now and then
    async with writing(database, seed, late=True):
        for _ in range(10):
            await interrupted_asking(database, rng)

    # then the log amounts to the tables
    async with streaming(database) as source:
        await eventually(lambda: all(j.ended_at for j in source.snapshots))
    await check(database)
    await database.close()

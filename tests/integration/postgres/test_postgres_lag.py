"""WAL that a server keeps for a consumer that does not keep up: watched, told, and never more than may be kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import psycopg
import pytest

from headrace.change import Op
from headrace.errors import SourceError
from headrace.sources import Captured, Retained, SourceSettings
from headrace.sources.postgres import source as source_module
from headrace.sources.postgres.source import PostgresSource
from tests.captured_database import NAME, CapturedDatabase
from tests.memory_log import MemoryLog, catch_up, eventually, run
from tests.servers import PostgresApart

MB = 1024 * 1024


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch, postgres_apart: PostgresApart) -> PostgresApart:
    """A server whose WAL nobody else keeps, looked at often."""
    monkeypatch.setattr(source_module, "WATCH_EVERY_S", 0.1)
    return postgres_apart


async def written(database: CapturedDatabase, megabytes: int) -> None:
    """WAL of nothing that is captured, and what lets a slot move past it."""
    for _ in range(megabytes // 4):
        await database.sql("select pg_logical_emit_message(false, 'x', repeat('x', 4000000))")
    await database.sql("checkpoint")


async def slots(database: CapturedDatabase) -> list[tuple[object, ...]]:
    return await database.query("select slot_name::text from pg_replication_slots")


def source_of(database: CapturedDatabase, **options: str) -> PostgresSource:
    return PostgresSource(SourceSettings(NAME, database.dsn, database.id, options=options))


async def prepared(own_server: PostgresApart) -> CapturedDatabase:
    database = await CapturedDatabase.connect(own_server.dsn())
    await database.sql(
        "create table t(id int primary key, n int, big text)", "alter table t alter big set storage external",
        "insert into t select g, 0, repeat(md5(g::text), 300) from generate_series(1, 30) g",
    )  # fmt: skip
    await database.capture()
    return database


async def to_the_end(steps: AsyncIterator[Captured], log: MemoryLog) -> None:
    async for captured in steps:
        log.append(captured)


def seen(source: PostgresSource) -> Retained:
    assert source.retained is not None
    return source.retained


async def test_what_is_kept_is_told_with_what_to_do(own_server: PostgresApart) -> None:
    database = await prepared(own_server)
    source = source_of(database, max_retained="60MB")
    async with aclosing(source.stream(database.log.resume)) as steps:
        await anext(steps)  # and nothing more is asked for
        await eventually(lambda: source.retained is not None)
        assert seen(source).advice == ""
        await written(database, 44)
        await eventually(lambda: bool(seen(source).advice))
        assert seen(source).bytes > 30 * MB
        assert (seen(source).limit, seen(source).policy, seen(source).status) == (60 * MB, "warn", "reserved")
        assert "more slowly" in seen(source).advice
        await written(database, 44)
        await eventually(lambda: seen(source).bytes > 60 * MB)
    await source.close()

    # then nothing was done about it, and it goes on
    assert await slots(database) == [(database.slot,)]
    await database.sql("update t set n = 1")
    await database.capture()
    assert database.log.table("pg.public.t") == await database.table("t", "id")
    await database.close()


async def test_an_open_transaction_is_named_as_what_keeps_it(own_server: PostgresApart) -> None:
    database = await prepared(own_server)
    source = source_of(database, max_retained="60MB")
    streaming = asyncio.create_task(run(source, database.log, lambda _: False))
    async with await psycopg.AsyncConnection.connect(database.dsn) as holder:
        await holder.execute("update t set n = 2 where id = 1")
        pid = holder.info.backend_pid

        async def named() -> bool:
            await written(database, 8)
            return source.retained is not None and f"process {pid}" in source.retained.advice

        await eventually(named)
    await source.close()
    await asyncio.gather(streaming, return_exceptions=True)
    await database.close()


async def test_snapshots_wait_while_much_is_kept(own_server: PostgresApart) -> None:
    # given WAL that an open transaction keeps, and a snapshot that is asked for meanwhile
    database = await prepared(own_server)
    source = source_of(database, max_retained="20MB", on_lag="pause")
    streaming = asyncio.create_task(run(source, database.log, lambda _: False))
    async with await psycopg.AsyncConnection.connect(database.dsn) as other:
        await other.execute("insert into t values (100, 0, 'open')")

        async def much() -> bool:
            await written(database, 8)
            return source.retained is not None and source.retained.bytes > 20 * MB

        await eventually(much)
        assert "Snapshots wait" in seen(source).advice
        (job,) = await source.snapshot_again("public.t", None, None)

        # then it waits, and the stream goes on
        for n in range(5):
            await database.sql(f"update t set n = {n} where id = 1")
            head = await source.head()
            await eventually(lambda head=head: database.log.frontier >= head)
        assert [(j.id, j.chunk, j.ended_at) for j in source.snapshots] == [(job.id, 0, None)]
        await other.commit()

    # and it is done once there is less
    async def done() -> bool:
        await database.sql("update t set n = n + 1 where id = 1", "checkpoint")
        return source.snapshots[0].ended_at is not None

    await eventually(done)
    assert source.snapshots[0].done == 31
    head = await source.head()
    await eventually(lambda: database.log.frontier >= head)
    await source.close()
    await asyncio.gather(streaming, return_exceptions=True)
    assert database.log.table("pg.public.t") == await database.table("t", "id")
    await database.close()


async def test_a_consumer_that_stands_still_stops_and_frees_the_disk(own_server: PostgresApart) -> None:
    database = await prepared(own_server)
    source = source_of(database, max_retained="20MB", on_lag="stop")
    async with aclosing(source.stream(database.log.resume)) as steps:
        database.log.append(await anext(steps))
        await written(database, 32)

        async def gone() -> bool:
            return not await slots(database)

        await eventually(gone)
        with pytest.raises(SourceError) as caught:
            await to_the_end(steps, database.log)
    assert "max_retained" in caught.value.expected
    assert "dropped" in caught.value.got
    assert "resnapshot" in caught.value.remedy
    # and it stays so, after a restart too
    with pytest.raises(SourceError):
        await asyncio.wait_for(run(source, database.log, lambda _: False), 10)
    await source.close()
    again = source_of(database, max_retained="20MB", on_lag="stop")
    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(run(again, database.log, lambda _: False), 10)
    assert "no such slot" in caught.value.got
    await again.close()
    await database.close()


@pytest.mark.parametrize("crashes", [False, True])
async def test_a_consumer_that_stands_still_copies_afresh(own_server: PostgresApart, *, crashes: bool) -> None:
    # given a consumer that asks for nothing while rows change and go
    database = await prepared(own_server)
    source = source_of(database, max_retained="20MB", on_lag="resnapshot")
    log = database.log
    async with aclosing(source.stream(log.resume)) as steps:
        log.append(await anext(steps))
        await database.sql(
            "update t set n = 1", "delete from t where id <= 5", "update t set id = id + 100 where id = 9"
        )
        await written(database, 32)

        async def gone() -> bool:
            return not await slots(database)

        await eventually(gone)
        # when it goes on, or crashes before and starts again
        if not crashes:
            async for captured in steps:
                log.append(captured)
                await source.ack(captured.frontier)
                if any(c.op is Op.READ and c.key == (30,) for c in captured.changes):
                    break
    await source.close()
    again = source_of(database, max_retained="2GB", on_lag="resnapshot")
    await database.sql("update t set n = 7 where id = 20")
    await catch_up(again, log)
    await again.close()

    # then the log amounts to the table
    assert log.table("pg.public.t") == await database.table("t", "id")
    assert any(c.op is Op.TRUNCATE for c in log.changes)
    await database.sql("update t set n = 8")
    await database.capture()
    assert log.table("pg.public.t") == await database.table("t", "id")
    await database.close()


async def test_an_idle_table_beside_a_busy_one_keeps_little(own_server: PostgresApart) -> None:
    database = await prepared(own_server)
    source = source_of(database)
    streaming = asyncio.create_task(run(source, database.log, lambda _: False))
    most = 0
    for _ in range(25):
        await written(database, 8)
        (kept,), *_ = await database.query(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::int8 from pg_replication_slots"
        )
        most = max(most, int(str(kept)))
        await asyncio.sleep(0.15)
    assert most < 64 * MB
    await source.close()
    await asyncio.gather(streaming, return_exceptions=True)
    await database.close()

"""A PostgreSQL source through crashes, lost connections and refusals: exactly on, or an error that names itself."""

from __future__ import annotations

import asyncio
import random

import psycopg
import pytest

from headrace.change import Op
from headrace.errors import ConfigError, SourceError
from headrace.sources.postgres import source as source_module
from tests.captured_database import CapturedDatabase, failure
from tests.crashing import interrupted
from tests.memory_log import catch_up, eventually, run
from tests.servers import SETTINGS, PostgresApart, free_port
from tests.streamed import ends_when_closed, finds_nobody


async def write(database: CapturedDatabase, rng: random.Random, stop: asyncio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(database.dsn) as c:
        while not stop.is_set():
            i = rng.randrange(1, 60)
            try:
                for _ in range(rng.choice([1, 1, 3, 20])):
                    match rng.randrange(7):
                        case 0:
                            await c.execute("delete from acc where id = %s", [i])
                        case 1:
                            await c.execute("insert into acc values (%s, 0, repeat(md5(random()::text), 300))", [i])
                        case 2:
                            await c.execute("update acc set id = -id where id = %s", [i])
                        case 3 if rng.random() < 0.1:
                            await c.execute("truncate acc")
                        case 4:
                            await c.execute("update acc set big = md5(random()::text) where id = %s", [i])
                        case _:
                            await c.execute("update acc set n = n + 1 where id between %s and %s", [i, i + 3])
                await (c.commit() if rng.random() < 0.9 else c.rollback())
            except psycopg.errors.UniqueViolation:
                await c.rollback()
            await asyncio.sleep(rng.choice([0, 0.002, 0.01]))


@pytest.mark.parametrize("seed", range(6))
async def test_a_crash_at_any_point_loses_and_repeats_nothing(database: CapturedDatabase, seed: int) -> None:
    # given a table with values out of line and a writer that never stops
    rng = random.Random(seed)
    await database.sql(
        "create table acc(id int primary key, n int, big text)", "alter table acc alter big set storage external",
        "insert into acc select g, 0, repeat(md5(g::text), 300) from generate_series(1, 50) g",
    )  # fmt: skip
    stop = asyncio.Event()
    writer = asyncio.create_task(write(database, random.Random(seed + 1000), stop))

    # when the source crashes again and again, with and without the last steps on disk
    for _ in range(8):
        await interrupted(database, database.source(batch_rows=rng.choice([1, 7, 50, 4000])), rng)
    stop.set()
    await writer

    # then the log amounts to the table (the log itself checks that positions only grow)
    log = await database.capture()
    assert log.table("pg.public.acc") == await database.table("acc", "id")
    kept = {int(k.removeprefix("v:public.acc:")) for k in await log.state.scan("v:")}
    large = {k[0] for k, row in log.table("pg.public.acc").items() if len(str(row[2])) > 2000}
    assert kept >= large


async def test_what_the_log_has_not_on_disk_is_given_again(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    await database.capture()
    durable = database.log
    kept = len(durable.steps)
    await database.sql("insert into t values (1)")
    await run(database.source(), durable, lambda log: len(log.changes) == 1, acknowledge=False)
    lost = durable.changes

    database.log = durable.crashed(kept)
    log = await database.capture()

    assert log.changes == lost


async def test_a_lost_connection_is_opened_again(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    source = database.source()
    done = asyncio.create_task(run(source, database.log, lambda log: len(log.table("pg.public.t")) == 40))
    for i in range(40):
        await database.sql(f"insert into t values ({i})")
        if i % 10 == 5:
            await database.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'headrace' and datname = current_database()"
            )
        await asyncio.sleep(0.01)
    await done

    # A first copy that was cut short goes on in chunks, which may show rows that the stream has told.
    told = [c.key for c in database.log.changes if c.op is Op.CREATE]
    assert len(set(told)) == len(told)
    assert sorted(database.log.table("pg.public.t")) == [(i,) for i in range(40)]


async def test_a_server_that_restarts_is_met_again(postgres_apart: PostgresApart) -> None:
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await database.sql("create table t(id int primary key)", "insert into t values (1)")
    source = database.source()
    done = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 2))
    await eventually(lambda: bool(database.log.changes))

    postgres_apart.kill()
    await eventually(lambda: source.problem is not None)
    problem = source.problem
    with pytest.raises(SourceError):
        await source.head()
    postgres_apart.start()
    database.connection = await psycopg.AsyncConnection.connect(postgres_apart.dsn(), autocommit=True)
    await database.sql("insert into t values (2)")
    await done

    assert isinstance(problem, SourceError)
    assert source.problem is None
    assert [c.key for c in database.log.changes] == [(1,), (2,)]
    await source.head()
    await database.close()


async def test_nobody_listens_is_a_problem_until_somebody_does(database: CapturedDatabase) -> None:
    source = database.source(url=f"postgresql://me:geheim@127.0.0.1:{free_port()}/x")
    await finds_nobody(source, database.log, "geheim")


async def test_a_wrong_password_is_told_without_it(debian_postgres: PostgresApart) -> None:
    database = await CapturedDatabase.connect(debian_postgres.dsn())
    url = f"postgresql://postgres:geheim@127.0.0.1:{debian_postgres.port}/postgres?sslpassword=geheim"

    error = await failure(database, url=url)

    assert "password authentication failed" in error.got
    assert "password" in error.remedy
    assert "geheim" not in repr(error.args) + error.step + database.source(url=url).address
    await database.close()


async def test_a_url_that_cannot_be_read_is_not_repeated(database: CapturedDatabase) -> None:
    with pytest.raises(ConfigError) as caught:
        database.source(url="postgresql://me:geheim@[::1/x")

    assert "heim" not in str(caught.value)


async def test_a_database_or_table_that_is_not_there(database: CapturedDatabase) -> None:
    none = await failure(database)
    assert none.expected == "at least one table that matches public.*"
    assert "tables" in none.remedy

    missing = await failure(database, url=database.dsn.replace("test_", "no_such_", 1))
    assert "does not exist" in missing.got


async def test_a_user_without_privileges(debian_postgres: PostgresApart) -> None:
    database = await CapturedDatabase.connect(debian_postgres.dsn())
    await database.sql(
        "create table t(id int primary key)", "drop role if exists plain", "create role plain login password 'geheim'"
    )
    url = f"postgresql://plain:geheim@127.0.0.1:{debian_postgres.port}/postgres"

    refused = await failure(database, url=url)
    assert "REPLICATION" in refused.remedy or "REPLICATION" in refused.expected
    await database.sql("alter role plain replication")
    not_owner = await failure(database, url=url)
    assert "CREATE" in not_owner.remedy

    await database.sql("drop role plain", "drop table t")
    await database.close()


async def test_a_server_without_logical_wal(postgres_apart: PostgresApart, monkeypatch: pytest.MonkeyPatch) -> None:
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await database.sql("create table t(id int primary key)")
    postgres_apart.stop()
    monkeypatch.setitem(SETTINGS, "wal_level", "replica")
    postgres_apart.start()

    error = await failure(database)

    assert error.got == "wal_level = replica"
    assert "wal_level = 'logical'" in error.remedy
    await database.close()


async def test_an_idle_slot_moves_on_and_head_is_reached(database: CapturedDatabase) -> None:
    # given a captured table that nobody touches, beside a busy one
    await database.sql("create table idle(id int primary key)", "create schema busy", "create table busy.t(v text)")
    source = database.source()
    await catch_up(source, database.log)

    async def flushed() -> int:
        rows = await database.query(
            f"select confirmed_flush_lsn - '0/0'::pg_lsn from pg_replication_slots where slot_name = '{database.slot}'"
        )
        return int(str(rows[0][0]))

    streaming = asyncio.create_task(run(source, database.log, lambda _: False))
    before = await flushed()
    steps = len(database.log.steps)
    began = asyncio.get_running_loop().time()

    async def moved() -> bool:
        await database.sql("insert into busy.t select repeat('x', 1000) from generate_series(1, 600)")
        return await flushed() >= before + 16_000_000

    await eventually(moved)
    head = await source.head()
    await eventually(lambda: database.log.frontier >= head)
    took = asyncio.get_running_loop().time() - began

    # then its frontier and its slot follow, in few steps
    assert not database.log.changes
    assert len(database.log.steps) - steps <= 20 * took + 10
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    await database.sql("insert into idle values (1)")
    assert [c.key for c in (await database.capture()).changes] == [(1,)]


async def test_head_is_reached_past_a_commit_that_is_not_flushed(database: CapturedDatabase) -> None:
    await database.sql(
        "create table t(id int primary key)", "create table other(id int)", "set synchronous_commit = off"
    )
    source = database.source(tables=("t",))
    await catch_up(source, database.log)
    task = asyncio.create_task(run(source, database.log, lambda _: False))
    for i in range(5):
        await database.sql(f"insert into other values ({i})", f"insert into t values ({i})")
        head = await source.head()
        await eventually(lambda head=head: database.log.frontier >= head)
        assert len(database.log.changes) == i + 1
        assert database.log.position < head

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_closing_ends_the_stream(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    source = database.source()
    await ends_when_closed(source, database.log)

    async def gone() -> bool:
        return not await database.query(
            "select 1 from pg_stat_activity where application_name = 'headrace' and datname = current_database()"
        )

    await eventually(gone)
    assert not await source.retry("pg.public.t", "1")


async def test_a_head_of_a_new_start_lies_beyond_what_an_earlier_one_told(database: CapturedDatabase) -> None:
    # given a source that told all there is, and a table that the next start has in its configuration
    await database.sql("create table t(id int primary key)", "create table later(id int primary key)")
    await database.sql("insert into later values (1)")
    await database.capture(tables=("public.t",))
    told = database.log.frontier

    # when its head is asked for before it streams
    source = database.source(tables=("public.*",))
    head = await source.head()

    # then who waits for that waits for the table's rows
    assert head > told
    await run(source, database.log, lambda log: log.frontier >= head)
    assert list(database.log.table("pg.public.later")) == [(1,)]


async def test_closing_does_not_wait_for_a_stream_whose_own_closing_was_cancelled(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_CLOSING_S", 1_000_000)
    await database.sql("create table t(id int primary key)")
    source = database.source()
    stream = source.stream(database.log.resume)
    await anext(stream)

    # when whoever reads it is cancelled in the middle of ending it
    ending = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    assert not ending.done()
    ending.cancel()
    await asyncio.wait((ending,))
    assert ending.cancelled()

    # then nothing is waited for, however often it is closed
    async with asyncio.timeout(60):
        await source.close()
        await source.close()

"""Tables that are read beside the stream: asked for, added while it runs, or left over by a first copy."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from dataclasses import replace

import psycopg
import pytest

from headrace.change import START, Op
from headrace.errors import BadRequest, NotFound
from headrace.sources import SnapshotState
from headrace.sources.postgres import incremental
from headrace.sources.postgres import source as postgres_source
from headrace.sources.postgres.setup import SQL
from tests.busy_tables import TABLES, check, interrupted_asking, make, rows, writing
from tests.captured_database import CapturedDatabase
from tests.crashing import killed_while_copying
from tests.memory_log import MemoryLog, catch_up, eventually
from tests.streamed import again, ended, source_of, streaming


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_source, "LOOK_EVERY_S", 0.1)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_read_again_beside_writers_changes_nothing(database: CapturedDatabase, seed: int) -> None:
    # given captured tables and writers that never stop
    await make(database, 1000)
    async with streaming(database, batch_rows=70) as source, writing(database, seed):
        before = len(database.log.changes)

        # when all are read again
        await again(source, "public.*")

    # then nothing went back in time or was lost; rows that the stream told of meanwhile were left out
    await check(database)
    reads = [c for c in database.log.changes[before:] if c.op is Op.READ]
    assert {c.schema.table for c in reads} >= {f"public.{t}" for t in TABLES if t != "plain"}
    assert len({c.position.major for c in reads}) > 40


@pytest.mark.parametrize("seed", range(6))
async def test_kills_at_any_point_of_a_snapshot_beside_the_stream(database: CapturedDatabase, seed: int) -> None:
    # given tables that are read again, and writers
    rng = random.Random(seed)
    await make(database, 1000)
    await database.capture()

    # when the source dies again and again, with and without its last steps on disk
    async with writing(database, seed):
        for _ in range(10):
            await interrupted_asking(database, rng)
        async with streaming(database, batch_rows=500) as source:
            if not source.snapshots:
                await source.snapshot_again("public.*", None, None)
            await eventually(lambda: all(j.ended_at for j in source.snapshots))
            assert {j.state for j in source.snapshots} == {SnapshotState.DONE}

    # then the log amounts to the tables (the log itself checks that positions only grow)
    await database.capture()
    await check(database)


async def test_a_snapshot_repairs_what_differs(database: CapturedDatabase) -> None:
    # given a log that lost rows, and the last changes of others
    await rows(database)
    await database.capture()
    await database.sql("delete from t where id > 900", "update t set n = 7 where id < 5")
    await database.capture()
    damaged = MemoryLog()
    for captured in database.log.steps:
        kept = [c for c in captured.changes if c.op is Op.READ and int(str(c.key[0])) % 10]
        damaged.append(replace(captured, changes=kept))
    damaged.position, damaged.committed_at = database.log.position, database.log.committed_at
    damaged.frontier = START
    database.log = damaged

    # when first a part of the table is read again, then all of it
    async with streaming(database, batch_rows=100) as source:
        (part,) = await again(source, "public.t", "3", "950")
        after_part = database.log.table("pg.public.t")
        (whole,) = await again(source, "t")

    # then the part is right within its bounds, and the whole everywhere
    table = await database.table("t", "id")
    assert {k: r for k, r in after_part.items() if k[0] in range(3, 951)} == {
        k: r for k, r in table.items() if k[0] in range(3, 951)
    }
    assert (after_part[1,], after_part[951,]) == ((1, 0), (951, 0))
    assert database.log.table("pg.public.t") == table
    assert (part.deleted, whole.deleted) == (45, 45)
    assert (part.note, part.problem) == (None, None)


async def test_a_range_of_a_key_of_several_columns(database: CapturedDatabase) -> None:
    await database.sql(
        "create table t(a int, b text, n int, primary key (b, a))",
        "insert into t select g % 5, chr(97 + g / 5), 0 from generate_series(0, 49) g",
    )
    async with streaming(database) as source:
        before = len(database.log.changes)
        await again(source, "public.t", "2,c", "3")

        # a bound may name the first columns only; they count in the order in which keys are written
        read = [c.key for c in database.log.changes[before:]]
        assert read
        assert {k for k in read if k[0] == 2} == {(2, chr(n)) for n in range(ord("c"), ord("j") + 1)}
        assert {k for k in read if k[0] == 3} == {(3, chr(n)) for n in range(ord("a"), ord("j") + 1)}
        assert {k[0] for k in read} == {2, 3}


async def test_pages_that_are_full_of_dead_rows_cost_few_chunks(database: CapturedDatabase) -> None:
    # given a table that only its pages tell how to read, of which all but a few rows were deleted
    await database.sql(
        "create table heap(id int, v text) with (autovacuum_enabled = off)", "alter table heap replica identity full",
        "insert into heap select g, repeat('x', 100) from generate_series(1, 30000) g",
        "delete from heap where id % 1000 <> 0",
    )  # fmt: skip
    async with streaming(database, batch_rows=20) as source:
        (job,) = await again(source, "public.heap")
    ((pages,),) = await database.query("select pg_relation_size('heap') / 8192")

    assert isinstance(pages, int)
    assert pages > 400
    assert job.done == 30
    assert job.chunk < 40


async def test_what_is_expected_of_a_table_is_what_statistics_say_when_it_is_read(database: CapturedDatabase) -> None:
    await database.sql("create table t (id int primary key)")

    async with streaming(database) as source:
        await database.sql("insert into t select generate_series(1, 5000)")
        await database.sql("analyze t")
        [job] = await again(source, "public.t")
        [part] = await again(source, "public.t", "10", "19")

    assert (job.done, part.done) == (5000, 10)
    assert job.total is not None
    assert 4900 <= job.total <= 5100
    assert part.total is None


async def test_what_cannot_be_read_again_is_told(database: CapturedDatabase) -> None:
    await rows(database)
    await database.sql("create table heap(v text)", "alter table heap replica identity full")
    async with streaming(database) as source:
        with pytest.raises(NotFound) as none:
            await source.snapshot_again("public.nothing", None, None)
        with pytest.raises(BadRequest) as many:
            await source.snapshot_again("public.*", "1", None)
        with pytest.raises(BadRequest) as other:
            await source.snapshot_again("public.t", "one", None)
        with pytest.raises(BadRequest) as keyless:
            await source.snapshot_again("public.heap", "1", None)
        with pytest.raises(NotFound):
            await source.cancel_snapshot("99")

    assert "public.t" in none.value.expected
    assert "one table" in many.value.expected
    assert "invalid input syntax" in other.value.got
    assert "none" in keyless.value.expected


async def test_a_snapshot_can_be_cancelled(database: CapturedDatabase) -> None:
    # given one that cannot go on, because the table is locked
    await rows(database)
    async with (
        streaming(database) as source,
        await psycopg.AsyncConnection.connect(database.dsn) as other,
    ):
        await other.execute("lock table t in access exclusive mode")
        (job,) = await source.snapshot_again("public.t", None, None)

        # when it is cancelled, and the table free again
        cancelled = await source.cancel_snapshot(job.id)
        await other.rollback()

        # then it has ended, and another one goes through
        assert cancelled.state is SnapshotState.CANCELLED
        await again(source, "public.t")
    assert database.log.table("pg.public.t") == await database.table("t", "id")


async def test_a_table_is_captured_while_it_runs_once_it_can_be(database: CapturedDatabase) -> None:
    # given a source that streams, and a table without a key
    await rows(database)
    await database.sql("create table heap(id int, n int)", "insert into heap values (1, 0)")
    async with streaming(database, batch_rows=100) as source:
        assert [r.topic for r in database.log.rejected] == ["pg.public.heap"]

        # when a table is created, and written to while it is read, and the other one gets a key
        async with await psycopg.AsyncConnection.connect(database.dsn) as other:
            await rows(database, "later", 2000)
            await other.execute("update later set n = 1 where id = 1")  # a transaction that was there before
            await eventually(lambda: any(j.table == "public.later" for j in source.snapshots))
            await database.sql("update later set n = n + 1 where id % 7 = 0", "delete from later where id = 2000")
            await database.sql("update t set n = 5 where id = 1")
            await eventually(lambda: (1,) in database.log.table("pg.public.t"))
            await other.commit()
        await database.sql("alter table heap add primary key (id)")
        await eventually(lambda: len([j for j in source.snapshots if j.ended_at]) == 2)
        await database.sql("update heap set n = 1", "insert into later values (2001, 0)")

    # then both are there without a restart, and the refusal is settled
    log = database.log
    assert log.table("pg.public.later") == await database.table("later", "id")
    assert log.table("pg.public.heap") == await database.table("heap", "id")
    assert ("pg.public.heap", "") in [s for step in log.steps for s in step.settled]
    # and nothing is read again at the next start
    read = len([c for c in log.changes if c.op is Op.READ])
    await database.capture()
    assert len([c for c in database.log.changes if c.op is Op.READ]) == read


async def test_a_transaction_older_than_its_table_in_the_publication_need_not_come_again(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a transaction that wrote to a table before it was published, and committed when it was: the server tells it
    # to the connection that has told others of that table, and not to a new one, which goes by how it was then
    await rows(database)
    monkeypatch.setattr(incremental, "_WRITERS_EVERY_S", 2.0)
    async with streaming(database) as source:
        async with await psycopg.AsyncConnection.connect(database.dsn) as other:
            await rows(database, "later", 10)
            await other.execute("update later set n = 1 where id = 1")
            await eventually(lambda: any(j.table == "public.later" for j in source.snapshots))
            await database.sql("update later set n = 2 where id = 2")
            await eventually(lambda: (2,) in database.log.table("pg.public.later"))
            await other.commit()
        await eventually(lambda: (1,) in database.log.table("pg.public.later"))
        assert [j.state for j in source.snapshots] == [SnapshotState.WAITING]

        # when it connects again, then there is no talk of a backup
        await database.sql("create table third(id int primary key, n int)", "insert into third values (1, 0)")
        await eventually(lambda: len(source.snapshots) == 2 or source.problem is not None)
        assert source.problem is None

    # nor when it starts again
    async with streaming(database) as source:
        await eventually(lambda: all(j.ended_at for j in source.snapshots))
        await database.sql("update later set n = 3 where id = 3")
    for table in ("later", "third"):
        assert database.log.table(f"pg.public.{table}") == await database.table(table, "id")


@pytest.mark.parametrize("seed", range(4))
async def test_kills_at_any_point_of_a_first_copy(database: CapturedDatabase, seed: int) -> None:
    # given tables that were never captured, and writers
    rng = random.Random(seed)
    await make(database, 1000)
    async with writing(database, seed):
        # when the source dies again and again while it copies
        for _ in range(8):
            await killed_while_copying(database, rng)

        # then it goes on each time: what was copied whole is not copied again
        async with streaming(database, batch_rows=500) as source:
            await eventually(lambda: all(j.ended_at for j in source.snapshots))
            assert {j.state for j in source.snapshots} <= {SnapshotState.DONE}
    await database.capture()
    await check(database)
    truncates = [c for c in database.log.changes if c.op is Op.TRUNCATE and c.schema.table != "public.plain"]
    assert not truncates


async def test_a_first_copy_that_was_interrupted_promises_nothing_before_its_end(database: CapturedDatabase) -> None:
    # given a copy that ended after one of three tables
    for table in ("a", "b", "c"):
        await rows(database, table)
    source = source_of(database, batch_rows=100)
    async with aclosing(source.stream(database.log.resume)) as steps:
        async for captured in steps:
            database.log.append(captured)
            if len(database.log.of("pg.public.a")) == 1000:
                break
    await source.close()
    await database.sql("update a set n = 1", "delete from a where id = 7", "update b set id = -id where id < 10")

    # when it goes on
    again = source_of(database, batch_rows=100)
    head = await again.head()
    await catch_up(again, database.log)
    await again.close()

    # then the frontier came with the last row, and the first table was not read again
    assert database.log.frontier >= head
    for table in ("a", "b", "c"):
        assert database.log.table(f"pg.public.{table}") == await database.table(table, "id")
    assert len([c for c in database.log.of("pg.public.a") if c.op is Op.READ]) == 1000
    for step in database.log.steps:
        if any(c.op is Op.READ for c in step.changes):
            assert step.frontier == START


async def test_the_table_changes_its_form_while_it_is_read(database: CapturedDatabase) -> None:
    # given a table that is read in small chunks
    await database.sql(
        "create table t(id int primary key, a int, b text)",
        "insert into t select g, g, 'x' from generate_series(1, 3000) g",
    )
    async with streaming(database, batch_rows=50) as source:
        (job,) = await source.snapshot_again("public.t", None, None)

        # when columns come, go and change their names and types meanwhile, and it is emptied and filled again
        for statement in (
            "alter table t add column c int default 5", "update t set c = 6 where id < 100",
            "alter table t drop column a", "alter table t rename column b to d",
            "alter table t alter column c type text", "delete from t where id = 3",
            "begin; truncate t; insert into t select g, 'y', 'z' from generate_series(500, 2500) g; commit",
            "update t set d = 'w' where id = 600",
        ):  # fmt: skip
            await database.sql(statement)
            await asyncio.sleep(0.03)
        (done,) = await ended(source, job.id)
        assert done.state is SnapshotState.DONE, done
        await again(source, "public.t")

    # then the log has it as it is
    assert database.log.table("pg.public.t") == await database.table("t", "id")


async def test_a_table_that_is_dropped_while_it_is_read(database: CapturedDatabase) -> None:
    await rows(database)
    await rows(database, "u")
    async with streaming(database, batch_rows=20) as source:
        await source.snapshot_again("public.t", None, None)
        await database.sql("drop table t")
        await database.sql("create table t(id int primary key, w text)", "insert into t values (1, 'new')")
        await eventually(lambda: len([j for j in source.snapshots if j.ended_at]) >= 2)
        await again(source, "public.u")

    states = {(j.reason, j.state) for j in source.snapshots}
    assert ("added", SnapshotState.DONE) in states
    assert database.log.table("pg.public.t") == {(1,): (1, "new")}


async def test_large_values_that_an_update_leaves_out_before_their_row_was_read(database: CapturedDatabase) -> None:
    # given rows with values out of line in a table that is added while it runs
    await rows(database)
    async with streaming(database, batch_rows=20) as source:
        await database.sql(
            "create table docs(id int primary key, n int, v text)", "alter table docs alter v set storage external",
            "insert into docs select g, 0, repeat(md5(g::text), 300) from generate_series(1, 400) g",
        )  # fmt: skip
        await eventually(lambda: any(j.table == "public.docs" for j in source.snapshots))

        # when updates leave them out, with and without a new key, before and after the rows were read
        for i in range(1, 400, 3):
            await database.sql(f"update docs set n = n + 1 where id = {401 - i}")
            if i % 5 == 0:
                await database.sql(f"update docs set id = -id where id = {401 - i}")
        await ended(source)
        await database.sql("update docs set n = n + 1")

    # then no row lacks its value
    assert database.log.table("pg.public.docs") == await database.table("docs", "id")


async def test_rows_that_change_all_the_time_are_made_whole_where_the_stream_is_behind(
    database: CapturedDatabase,
) -> None:
    # given a table with values out of line that was added while the source ran
    await rows(database)
    await database.capture()
    source = source_of(database, batch_rows=10)
    async with aclosing(source.stream(database.log.resume)) as steps:
        await database.sql(
            "create table docs(id int primary key, n int, v text)", "alter table docs alter v set storage external",
            "insert into docs select g, 0, repeat(md5(g::text), 300) from generate_series(1, 10) g",
        )  # fmt: skip
        async for captured in steps:
            database.log.append(captured)
            if source.snapshots:
                break

        # when all of its rows change again and again without those values, and the stream is one change behind
        for i in range(1, 30):
            await database.sql("update docs set n = n + 1", f"update t set n = {i} where id = 1")
            await asyncio.sleep(0.1)  # for what reads beside the stream
            while i > 1 and database.log.table("pg.public.t")[1,] != (1, i - 1):
                database.log.append(await anext(steps))
            if source.snapshots[0].ended_at is not None:
                break

        # then the snapshot comes to its end all the same
        assert source.snapshots[0].state is SnapshotState.DONE, source.snapshots
    await source.close()
    await database.capture()
    assert database.log.table("pg.public.docs") == await database.table("docs", "id")


async def test_watermarks_that_a_server_sends_in_parts_are_met(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a server with little memory, large values on their way, and watermarks that commit a moment later
    await rows(database)
    await database.sql(
        "create table large(id int primary key, v text)", "alter table large alter v set storage external"
    )
    slowly = "select pg_logical_emit_message(true, 'headrace', %(content)s), pg_sleep(0.02)"
    monkeypatch.setattr(incremental, "SQL", {**SQL, "mark": slowly})
    url = database.dsn + ("&" if "?" in database.dsn else "?") + "options=-c%20logical_decoding_work_mem%3D64kB"
    ending = asyncio.Event()

    async def fill() -> None:
        while not ending.is_set():
            await database.sql(
                "insert into large values (1, repeat('large', 100000)) on conflict (id) do update set v = excluded.v"
            )

    # when a table is read again: the server sends all that it has of others while it is in the middle of a large value
    async with streaming(database, batch_rows=200, url=url) as source:
        filling = asyncio.create_task(fill())
        try:
            await again(source, "public.t")
        finally:
            ending.set()
            await filling

    # then it comes to its end
    assert source.snapshots[0].state is SnapshotState.DONE

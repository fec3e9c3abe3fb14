"""A PostgreSQL that no longer has what was read, or whose slot another holds: an error that names itself, never a
silent resume."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import psycopg
import pytest

from headrace.change import Position
from headrace.errors import SourceError
from headrace.sources.postgres import setup
from headrace.sources.postgres.progress import CAPTURE
from tests.captured_database import CapturedDatabase, failure
from tests.memory_log import MemoryLog, catch_up, eventually, run
from tests.servers import PostgresApart
from tests.streamed import streaming


async def prepared(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    await database.capture()
    await database.sql("insert into t values (1)")
    await database.capture()
    await eventually(lambda: free(database))


async def held(database: CapturedDatabase) -> bool:
    query = f"select 1 from pg_replication_slots where slot_name = '{database.slot}' and active"
    return bool(await database.query(query))


async def free(database: CapturedDatabase) -> bool:
    return not await held(database)


async def test_a_dropped_slot_is_an_error(database: CapturedDatabase) -> None:
    await prepared(database)
    await database.sql(f"select pg_drop_replication_slot('{database.slot}')", "insert into t values (2)")

    error = await failure(database)

    assert database.slot in error.expected
    assert "no such slot" in error.got
    assert "new name" in error.remedy
    assert len(database.log.changes) == 1


async def test_a_slot_dropped_under_the_stream_is_an_error(database: CapturedDatabase) -> None:
    await prepared(database)
    source = database.source()
    task = asyncio.create_task(run(source, database.log, lambda _: False))
    await database.sql("insert into t values (2)")
    await eventually(lambda: len(database.log.changes) == 2)
    async with asyncio.timeout(20):
        while await database.query(f"select 1 from pg_replication_slots where slot_name = '{database.slot}'"):
            await database.sql(
                f"select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{database.slot}'"
            )
            try:
                await database.sql(f"select pg_drop_replication_slot('{database.slot}')")
            except psycopg.errors.ObjectInUse:
                await asyncio.sleep(0.005)

        with pytest.raises(SourceError) as caught:
            await task

    assert "no such slot" in caught.value.got


async def test_a_slot_that_was_made_again_is_an_error(database: CapturedDatabase) -> None:
    await prepared(database)
    await database.sql(
        f"select pg_drop_replication_slot('{database.slot}')", "insert into t values (2)",
        f"select pg_create_logical_replication_slot('{database.slot}', 'pgoutput')",
    )  # fmt: skip

    error = await failure(database)

    assert "recreated or moved on" in error.got


async def test_a_slot_that_was_advanced_is_an_error(database: CapturedDatabase) -> None:
    await prepared(database)
    await database.sql("insert into t values (2)")
    await database.sql(f"select pg_replication_slot_advance('{database.slot}', pg_current_wal_lsn())")

    assert "recreated or moved on" in (await failure(database)).got


async def test_a_dropped_publication_is_an_error(database: CapturedDatabase) -> None:
    await prepared(database)
    await database.sql(f"drop publication {database.slot}")

    assert "no publication" in (await failure(database)).got


async def test_another_cluster_or_one_that_went_back_is_an_error(database: CapturedDatabase) -> None:
    await prepared(database)
    log = database.log
    ahead = MemoryLog()
    ahead.state.values.update(log.state.values)
    ahead.position = Position(log.position.major + (1 << 40), 1)
    database.log = ahead
    assert "restored from a backup" in (await failure(database)).got

    stateless = MemoryLog()
    stateless.position = log.position
    database.log = stateless
    assert "no state" in (await failure(database)).got

    other = MemoryLog()
    other.position = log.position
    other.state.values.update(log.state.values)
    (system,), *_ = await database.query("select system_identifier::text from pg_control_system()")
    other.state.values[CAPTURE] = log.state.values[CAPTURE].replace(str(system).encode(), b"1" * len(str(system)))
    database.log = other
    assert "another cluster" in (await failure(database)).got


async def test_a_server_restored_from_a_backup_is_an_error(postgres_apart: PostgresApart) -> None:
    # given a copy of the server's files from before the last changes, which were captured
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await prepared(database)
    await database.connection.close()
    data, backup = postgres_apart.directory / "data", postgres_apart.directory / "backup"
    postgres_apart.stop()
    await asyncio.to_thread(subprocess.run, ["cp", "-a", data, backup], check=True)
    postgres_apart.start()
    database.connection = await psycopg.AsyncConnection.connect(postgres_apart.dsn(), autocommit=True)
    await database.sql("insert into t select generate_series(100, 20000)")
    source = database.source()
    await catch_up(source, database.log)
    reading = asyncio.create_task(run(source, database.log, lambda _: False))

    # when that takes their place while Headrace reads
    await database.connection.close()
    postgres_apart.stop()
    shutil.rmtree(data)
    backup.rename(data)
    postgres_apart.start()

    # then what was captured since is missed, by the running Headrace and by one that starts
    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(reading, 30)
    again = await failure(database)
    for error in (caught.value, again):
        assert "restored from a backup" in error.got
        assert "new name" in error.remedy
    await source.close()


@pytest.mark.parametrize("same", [False, True])
async def test_a_server_set_back_that_has_written_past_our_position_is_an_error(
    postgres_apart: PostgresApart, same: bool
) -> None:
    # given a copy of the server's files from before the last changes, which were captured
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await prepared(database)
    await database.connection.close()
    data, backup = postgres_apart.directory / "data", postgres_apart.directory / "backup"
    postgres_apart.stop()
    await asyncio.to_thread(subprocess.run, ["cp", "-a", data, backup], check=True)

    async def write(first: int) -> None:
        database.connection = await psycopg.AsyncConnection.connect(postgres_apart.dsn(), autocommit=True)
        await database.sql(*(f"insert into t values ({i})" for i in range(first, first + 20)))
        await database.connection.close()

    postgres_apart.start()
    await write(100)
    await database.capture()

    # when that takes their place, and as many other changes (or many more) are made before anybody looks
    postgres_apart.stop()
    shutil.rmtree(data)
    backup.rename(data)
    postgres_apart.start()
    await write(200)
    if not same:
        for i in range(300, 900, 20):
            await write(i)

    # then what was captured is missed, also by one that starts again
    for _ in range(2):
        error = await failure(database)
        assert "restored from a backup" in error.got
        assert "new name" in error.remedy
    assert not {(i,) for i in range(200, 900)} & {c.key for c in database.log.changes}


async def test_an_acknowledgement_that_arrives_late_is_no_lost_transaction(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a slot that was told to forget the last transaction, which a look just before did not show
    await database.sql("create table t(id int primary key)")
    await database.capture()
    async with streaming(database):
        await database.sql("insert into t values (1)")
        await eventually(lambda: len(database.log.changes) == 1)

        async def acknowledged() -> bool:
            query = f"select confirmed_flush_lsn - '0/0' > {database.log.position.major} from pg_replication_slots"
            return (await database.query(f"{query} where slot_name = '{database.slot}'"))[0] == (True,)

        await eventually(acknowledged)

    async def stale(*_: object, **__: object) -> int:
        return 0

    monkeypatch.setattr(setup, "check_slot", stale)
    await database.sql("insert into t values (2)")
    await database.capture()

    assert [c.key for c in database.log.changes] == [(1,), (2,)]


async def test_a_server_that_crashed_sends_the_last_transaction_again(postgres_apart: PostgresApart) -> None:
    # given a server that had not stored yet what was acknowledged
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await prepared(database)
    for i in range(100, 110):
        await database.sql(f"insert into t values ({i})")
        await database.capture()
    given = len(database.log.changes)
    await database.connection.close()
    postgres_apart.kill()
    postgres_apart.start()

    # then it is known again, and nothing comes twice
    database.connection = await psycopg.AsyncConnection.connect(postgres_apart.dsn(), autocommit=True)
    await database.sql("insert into t values (200)")
    await database.capture()
    assert [c.key for c in database.log.changes[given:]] == [(200,)]
    assert database.log.table("pg.public.t") == await database.table("t", "id")
    await database.close()


async def test_a_slot_lost_to_its_size_limit_is_an_error(postgres_apart: PostgresApart) -> None:
    database = await CapturedDatabase.connect(postgres_apart.dsn())
    await prepared(database)
    await database.sql(
        "alter system set max_slot_wal_keep_size = '1MB'", "alter system set min_wal_size = '32MB'",
        "alter system set max_wal_size = '32MB'", "select pg_reload_conf()",
    )  # fmt: skip
    for _ in range(6):
        await database.sql("select pg_logical_emit_message(false, 'x', repeat('x', 4000000))", "select pg_switch_wal()")
    await database.sql("checkpoint")

    error = await failure(database)

    assert "lost" in error.got
    assert "no such slot" not in error.got
    await database.close()


async def test_a_zombie_that_holds_the_slot_is_waited_for(database: CapturedDatabase) -> None:
    await prepared(database)
    zombie = database.source()
    other = MemoryLog()
    other.state.values.update(database.log.state.values)
    other.position = database.log.position
    holding = asyncio.create_task(run(zombie, other, lambda _: False, acknowledge=False))
    await eventually(lambda: held(database))

    source = database.source()
    done = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 2))
    await eventually(lambda: source.problem is not None)
    problem = source.problem
    assert problem is not None
    await zombie.close()
    await holding
    await database.sql("insert into t values (2)")
    await done

    assert "active" in problem.got
    assert "slot" in problem.expected
    assert source.problem is None

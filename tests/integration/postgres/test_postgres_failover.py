"""A primary that is lost, and its standby that takes over: with the slot kept in step, and without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from headrace.errors import SourceError
from headrace.sources.postgres import source as source_module
from headrace.stores.embedded import binaries
from tests.captured_database import CapturedDatabase
from tests.memory_log import run
from tests.servers import PostgresApart
from tests.standby import PHYSICAL_SLOT, Standby


@pytest.fixture
def primary() -> Iterator[PostgresApart]:
    server = PostgresApart(binaries.readable_by_all(binaries.find()).bin, "nobody")
    yield server
    server.remove()


@pytest.fixture
def standby(primary: PostgresApart) -> Iterator[Standby]:
    server = Standby(primary, binaries.readable_by_all(binaries.find()).bin, "nobody")
    yield server
    server.remove()


async def captured(primary: PostgresApart) -> CapturedDatabase:
    database = await CapturedDatabase.connect(primary.dsn())
    await database.sql(
        "create table t(id int primary key, v text, big text)", "alter table t alter big set storage external",
        "insert into t select g, 'copied', repeat(md5(g::text), 200) from generate_series(1, 20) g",
    )  # fmt: skip
    await database.capture()
    return database


async def in_step(database: CapturedDatabase, standby: Standby) -> None:
    """Streams until the standby has the slot for good: it takes it over once the slot has moved past its own start."""
    source = database.source()
    streaming = asyncio.create_task(run(source, database.log, lambda _: False))
    await asyncio.to_thread(standby.synchronise_slot, database.slot)
    await source.close()
    await streaming


@pytest.fixture(autouse=True)
def slots_move_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "RECORD_EVERY_S", 0.05)


async def test_headrace_goes_on_at_the_promoted_standby_without_loss(primary: PostgresApart, standby: Standby) -> None:
    # given a slot that the standby keeps in step with, and the primary that waits for it
    database = await captured(primary)
    await database.sql(f"alter system set synchronized_standby_slots = '{PHYSICAL_SLOT}'", "select pg_reload_conf()")
    assert await database.query(f"select failover from pg_replication_slots where slot_name = '{database.slot}'") == [
        (True,)
    ]
    await database.sql("update t set v = 'before' where id <= 10")
    await database.capture()
    await in_step(database, standby)
    given = len(database.log.changes)

    # when changes are captured that the slot on the standby does not know of, others are not, and the primary is gone
    await database.sql("update t set v = 'captured' where id <= 5")
    await database.capture()
    await database.sql("delete from t where id = 20", "update t set id = id + 100 where id = 1")
    standby.catch_up()
    await database.connection.close()
    primary.kill()
    standby.promote()
    database.dsn = standby.dsn()
    database.connection = await psycopg.AsyncConnection.connect(standby.dsn(), autocommit=True)
    await database.sql("insert into t values (50, 'after', '')", "update t set v = 'after' where id = 2")

    # then nothing is missing and nothing comes twice
    log = await database.capture()
    assert log.table("pg.public.t") == await database.table("t", "id")
    assert [(c.op.value, c.key) for c in log.changes[given:]] == [
        *(("u", (i,)) for i in range(1, 6)),
        ("d", (20,)), ("d", (1,)), ("c", (101,)), ("c", (50,)), ("u", (2,)),
    ]  # fmt: skip
    await database.close()
    primary.start()


async def test_a_slot_that_was_not_kept_in_step_is_an_error_that_says_so(
    primary: PostgresApart, standby: Standby
) -> None:
    database = await captured(primary)
    standby.catch_up()
    await database.connection.close()
    primary.kill()
    standby.promote()
    database.dsn = standby.dsn()
    database.connection = await psycopg.AsyncConnection.connect(standby.dsn(), autocommit=True)
    await database.sql("insert into t values (50, 'after', '')")

    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(run(database.source(), database.log, lambda _: False), 10)

    assert database.slot in caught.value.expected
    assert "promoted" in caught.value.got
    assert "not kept in step" in caught.value.got
    assert "Changes may be missing" in caught.value.remedy
    await database.close()
    primary.start()


async def test_what_the_standby_never_got_is_an_error_that_says_so(primary: PostgresApart, standby: Standby) -> None:
    # given a standby that stopped receiving before the last changes, which were captured
    database = await captured(primary)
    await in_step(database, standby)
    standby.stop()
    await database.sql("update t set v = 'captured'")
    await database.capture()
    await database.connection.close()
    primary.kill()
    standby.start()
    standby.promote()
    database.dsn = standby.dsn()
    database.connection = await psycopg.AsyncConnection.connect(standby.dsn(), autocommit=True)

    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(run(database.source(), database.log, lambda _: False), 10)

    assert "timeline 2, which branched off before our position" in caught.value.got
    await database.close()
    primary.start()

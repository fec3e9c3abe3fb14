"""Rows that a session of MariaDB wrote into the binary log without all of their values, or as a statement."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from headrace.change import Op
from headrace.sources import SnapshotState
from headrace.sources.mysql import incremental
from headrace.sources.mysql.beside import UNTOLD
from tests.captured_mariadb import CapturedMariadb
from tests.memory_log import catch_up, eventually
from tests.servers import MariadbApart
from tests.streamed import again, ended, streaming

COLUMNS = "id int primary key, a int default 7, big longtext"


@pytest_asyncio.fixture
async def database(mariadb: MariadbApart) -> AsyncIterator[CapturedMariadb]:
    made = CapturedMariadb(mariadb)
    made.sql(
        f"create table t({COLUMNS})", "insert into t select seq, seq, repeat('x', 50) from seq_1_to_1000",
        "create table other(id int primary key)",
    )  # fmt: skip
    yield made
    await made.close()


def letters(database: CapturedMariadb) -> list[str]:
    return [r.topic for r in database.log.rejected if r.key == UNTOLD]


def settled(database: CapturedMariadb) -> list[tuple[str, str]]:
    return [letter for step in database.log.steps for letter in step.settled]


async def right(database: CapturedMariadb, table: str = "t") -> None:
    """Waits until the log has the rows that the table has."""
    expected = await database.copied(table)
    await eventually(lambda: database.rows(table) == expected)


@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        ("binlog_row_image = 'MINIMAL'", "update t set a = 2 where id = 500"),
        ("binlog_row_image = 'MINIMAL'", "insert into t(id) values (2000)"),
        ("binlog_row_image = 'MINIMAL'", "update t set id = 2000 where id = 1"),
        ("binlog_row_image = 'MINIMAL'", "update t set a = -a where id between 400 and 600"),
        ("binlog_row_image = 'NOBLOB'", "update t set a = 2 where id = 1"),
        ("binlog_format = 'STATEMENT'", "insert into t(id) values (2000)"),
        ("binlog_format = 'STATEMENT'", "delete from t where id % 3 = 0"),
        ("binlog_format = 'STATEMENT'", "update t set id = id + 5000, a = 0 where id < 10"),
        ("binlog_format = 'STATEMENT'", "insert into other select id from t"),
    ],
)
async def test_what_the_log_does_not_tell_is_read(database: CapturedMariadb, setting: str, statement: str) -> None:
    async with streaming(database) as source:
        # when a session writes rows that the log has not whole, between others
        database.sql("insert into other values (-1)", f"set session {setting}", statement)
        database.sql("set session binlog_row_image = 'FULL'", "set session binlog_format = 'ROW'")
        database.sql("insert into other values (-2)", "insert into t values (3000, 1, 'after')")

        # then the rest goes on, and what was not told comes: each row in the end as it is
        await right(database, "other")
        await right(database)
        jobs = await ended(source)
        assert {j.state for j in jobs} == {SnapshotState.DONE}

        # and it was told, until it was in order again
        assert set(letters(database)) <= {database.topic("t"), database.topic("other")}
        assert letters(database)
        await eventually(lambda: set(letters(database)) == {topic for topic, _ in settled(database)})


async def test_only_the_keys_that_the_log_names_are_read(database: CapturedMariadb) -> None:
    async with streaming(database):
        before = len(database.log.of(database.topic("t")))
        database.sql("set session binlog_row_image = 'MINIMAL'", "update t set a = -1 where id in (10, 12)")
        await right(database)

    told = database.log.of(database.topic("t"))[before:]
    assert [(c.op, c.key) for c in told] == [(Op.READ, (10,)), (Op.READ, (11,)), (Op.READ, (12,))]


async def test_a_row_that_is_keyed_by_text(database: CapturedMariadb) -> None:
    database.sql("create table texts(id varchar(20) primary key, a int, b int)")
    database.sql("insert into texts values ('p', 1, 1), ('q', 2, 2)")
    async with streaming(database):
        database.sql("set session binlog_row_image = 'MINIMAL'")
        database.transaction("update texts set id = 'r' where id = 'q'", "update texts set a = 9 where id = 'p'")
        await right(database, "texts")

        # then the key that is no more is deleted at once
        assert [c.key for c in database.log.of(database.topic("texts")) if c.op is Op.DELETE] == [("q",)]


async def test_load_data_as_a_statement(database: CapturedMariadb) -> None:
    rows = database.server.directory / f"{database.id}.txt"
    rows.write_text("".join(f"{i}\t{i}\tloaded\n" for i in range(2000, 2010)))
    rows.chmod(0o644)
    async with streaming(database):
        database.sql("set session binlog_format = 'STATEMENT'", f"load data infile '{rows}' into table t")
        await right(database)
        assert database.rows("t")[(2009,)] == (2009, 2009, "loaded")


async def test_a_prepared_transaction(database: CapturedMariadb) -> None:
    # given one that is prepared with rows that the log has not whole: what it did shows when it is committed
    name = f"'{database.id}'"
    async with streaming(database):
        database.prepare(name, "set session binlog_row_image = 'MINIMAL'", "update t set a = -5 where id = 77")
        database.sql("insert into other values (1)")
        await right(database, "other")
        assert not letters(database)
        database.sql(f"xa commit {name}")
        await right(database)
        assert database.rows("t")[(77,)][1] == -5


async def test_a_crash_at_every_step_forgets_nothing(database: CapturedMariadb) -> None:
    database.sql("delete from t where id > 60")
    await database.capture()
    copied = len(database.log.steps)
    database.sql("set session binlog_row_image = 'MINIMAL'", "update t set a = -1 where id in (10, 50)")
    database.transaction(
        *(f"update t set big = 'y' where id = {n}" for n in range(20, 24)), "delete from t where id between 1 and 9"
    )
    async with streaming(database, batch_rows=4):
        await right(database)
    whole, expected = database.log, database.rows("t")

    # when only so many steps have reached the disk
    for steps in range(copied, len(whole.steps)):
        database.log = whole.crashed(steps)
        async with streaming(database, batch_rows=4):
            await eventually(lambda: database.rows("t") == expected)


async def test_writes_that_go_on_while_rows_are_read(
    database: CapturedMariadb, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a session whose rows always lack values
    monkeypatch.setattr(incremental, "VIEW_S", 0.01)
    async with streaming(database, batch_rows=100) as source:
        database.sql("set session binlog_row_image = 'MINIMAL'")
        for n in range(1, 60):
            database.sql(f"update t set a = {-n} where id % 60 = {n}", f"delete from t where id = {600 + n}")
            if n % 20 == 0:
                await again(source, "t")
        await right(database)
        await eventually(lambda: all(j.ended_at is not None for j in source.snapshots))
        await right(database)


async def test_a_table_whose_columns_the_log_does_not_name(mariadb_apart: MariadbApart) -> None:
    # given a server that stops to tell the columns' names, and a table that is altered then
    database = CapturedMariadb(mariadb_apart)
    database.sql("create table t(id int primary key, a int)", "create table other(id int primary key)")
    source = database.source()
    await catch_up(source, database.log)
    await source.close()
    database.sql("insert into t values (1, 1)")
    mariadb_apart.sql("set global binlog_row_metadata = 'NO_LOG'")
    database.sql("alter table t add column b int", "insert into t values (2, 2, 2)", "alter table t drop column b")
    database.sql("insert into other values (1)")
    mariadb_apart.sql("set global binlog_row_metadata = 'FULL'")

    # then that table is left out until it can be read, and the other goes on
    await database.capture()
    assert database.rows("other") == {(1,): (1,)}
    assert ["binlog_row_metadata" in r.error.got for r in database.log.rejected] == [True]
    await database.capture()
    await right(database)
    await database.close()

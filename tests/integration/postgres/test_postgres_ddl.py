"""DDL at the source, with Headrace down or beside it: each row is read in the shape of its time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from headrace.change import Change, Op
from headrace.errors import SourceError
from headrace.sources.postgres import source as source_module
from tests.captured_database import CapturedDatabase
from tests.memory_log import eventually, run
from tests.streamed import streaming


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LOOK_EVERY_S", 0.1)


def shown(changes: Sequence[Change]) -> list[tuple[str, str, object]]:
    return [(c.op.value, " ".join(c.name for c in c.schema.columns), c.after or c.key) for c in changes]


MOVES = (
    "create type mood as enum ('glad', 'sad')",
    "insert into t values (1, 'one')",
    "alter table t add column n int", "update t set n = 1",
    "alter table t add column m mood default 'sad'", "insert into t values (2, 'two', 2, 'glad')",
    "alter table t rename v to w", "update t set w = 'w' where id = 1",
    "alter table t rename n to v", "update t set v = 9 where id = 1",
    "alter table t alter v type numeric(6,2)", "update t set v = 1.5 where id = 1",
    "alter table t alter v type bool using v > 1", "update t set w = 'bool' where id = 1",
    "alter table t drop column w", "update t set v = false where id = 1",
    "alter table t add column w int[]", "update t set w = '{1,null}' where id = 1",
    "alter type mood add value 'new'", "update t set m = 'new' where id = 1",
    "alter table t rename id to key", "update t set v = true where key = 2",
    "alter table t alter key type bigint", "delete from t where key = 2",
)  # fmt: skip
MOVED = [
    ("c", "id v", (1, "one")),
    ("u", "id v n", (1, "one", 1)),
    ("c", "id v n m", (2, "two", 2, "glad")),
    ("u", "id w n m", (1, "w", 1, "sad")),
    ("u", "id w v m", (1, "w", 9, "sad")),
    ("u", "id w v m", (1, "w", "1.50", "sad")),
    ("u", "id w v m", (1, "bool", True, "sad")),
    ("u", "id v m", (1, False, "sad")),
    ("u", "id v m w", (1, False, "sad", "{1,NULL}")),
    ("u", "id v m w", (1, False, "new", "{1,NULL}")),
    ("u", "key v m w", (2, True, "glad", None)),
    ("d", "key v m w", (2,)),
]


@pytest.mark.parametrize("down", [True, False], ids=["down", "beside"])
async def test_rows_far_behind_are_read_in_the_shape_of_their_time(database: CapturedDatabase, *, down: bool) -> None:
    # given a table that changes its form again and again, with a row between
    await database.sql("create table t(id int primary key, v text)")
    await database.capture()
    if down:
        await database.sql(*MOVES)
        log = await database.capture()
    else:
        source = database.source(batch_rows=1)
        task = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == len(MOVED)))
        await database.sql(*MOVES)
        await task
        await source.close()
        log = database.log

    assert shown(log.changes) == MOVED
    assert [c.schema.columns[2].type for c in log.changes[4:7]] == ["int4", "numeric", "bool"]
    assert log.changes[-1].schema.columns[0].type == "int8"


@pytest.mark.parametrize("down", [True, False], ids=["down", "beside"])
async def test_a_table_that_is_dropped_and_made_anew_far_behind(database: CapturedDatabase, *, down: bool) -> None:
    # given rows of a table, which then goes, with their type, and another of its name with other columns comes
    large = "x" * 9000
    await database.sql(
        "create type mood as enum ('glad')", "create table t(id int primary key, m mood, v text)",
        "alter table t alter v set storage external", f"insert into t values (1, 'glad', '{large}')",
    )  # fmt: skip
    await database.capture()
    source = database.source()
    task = None if down else asyncio.create_task(run(source, database.log, lambda _: False))
    await database.sql("insert into t values (2, 'glad', 'old')")
    if task is not None:  # it reads on, rather than that it starts in the moment in which there is no table
        await eventually(lambda: any(c.after == (2, "glad", "old") for c in database.log.changes))
    await database.sql(
        "update t set m = null where id = 1",
        "alter table t rename v to w", "update t set m = 'glad' where id = 1", "delete from t where id = 2",
        "drop table t", "drop type mood",
        "create table t(code text primary key, n int)", "insert into t values ('a', 1)",
    )  # fmt: skip
    if task is None:
        await interrupted(database)
    else:
        await eventually(lambda: any(c.after == ("a", 1) for c in database.log.changes))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close()
    await database.sql("insert into t values ('b', 2)", "update t set n = 3 where code = 'a'")

    # then all that was done to the old one is told, in its shape, and the log amounts to the new one
    log = await database.capture()
    old = [c for c in log.changes if c.schema.key == ("id",) and c.op is not Op.TRUNCATE]
    assert shown(old) == [
        ("r", "id m v", (1, "glad", large)), ("c", "id m v", (2, "glad", "old")), ("u", "id m v", (1, None, large)),
        ("u", "id m w", (1, "glad", large)), ("d", "id m w", (2,)),
    ]  # fmt: skip
    assert log.table("pg.public.t") == await database.table("t", "code") == {("a",): ("a", 3), ("b",): ("b", 2)}


async def interrupted(database: CapturedDatabase) -> None:
    """A start that ends before it reads anything: what it found in the catalog is in the log."""
    source = database.source()
    await run(source, database.log, lambda _: True)
    await source.close()


async def test_a_table_that_is_renamed_and_its_name_taken(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key, v text)", "insert into t values (1, 'a')")
    await database.capture()
    await database.sql(
        "update t set v = 'b'", "alter table t rename to s", "update s set v = 'c'",
        "create table t(id int primary key, w int)", "insert into t values (1, 7)",
    )  # fmt: skip
    await database.capture()
    await database.sql("update s set v = 'd'", "update t set w = 8")

    log = await database.capture()

    assert log.table("pg.public.t") == await database.table("t", "id") == {(1,): (1, 8)}
    assert log.table("pg.public.s") == await database.table("s", "id") == {(1,): (1, "d")}


async def test_generated_columns_that_come_and_go(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key, n int)", "insert into t values (1, 1)")
    await database.capture()
    await database.sql(
        "alter table t add column d int generated always as (n * 2) stored", "update t set n = 2",
        "alter table t alter d drop expression", "update t set n = 3, d = 5",
        "alter table t drop column d", "update t set n = 4",
    )  # fmt: skip

    log = await database.capture()

    columns = [tuple(c.name for c in x.schema.columns) for x in log.changes]
    stored = await database.query("select current_setting('server_version_num')::int >= 180000")
    generated = ("id", "n", "d") if stored == [(True,)] else ("id", "n")
    assert columns == [("id", "n"), generated, ("id", "n", "d"), ("id", "n")]
    assert [c.after for c in log.changes[1:]] == [(1, 2, 4)[: len(generated)], (1, 3, 5), (1, 4)]


async def test_every_partition_of_ddl_on_a_partitioned_table(database: CapturedDatabase) -> None:
    await database.sql(
        "create table p(id int primary key, v text) partition by range (id)",
        "create table p1 partition of p for values from (0) to (10)", "insert into p values (1, 'a')",
    )  # fmt: skip
    await database.capture()
    await database.sql(
        "alter table p add column n int", "create table p2 (n int, v text, id int not null)",
        "alter table p attach partition p2 for values from (10) to (20)", "insert into p values (11, 'b', 2)",
        "update p set id = 12 where id = 11", "update p set n = 3, id = id + 10 where id = 1",
        "alter table p detach partition p1", "insert into p values (13, 'c', 4)",
    )  # fmt: skip

    with_conflict = [c for c in (await database.capture()).changes if c.op is Op.CREATE]

    assert with_conflict
    assert database.log.table("pg.public.p") == await database.table("p", "id")


@pytest.mark.parametrize("ours", [True, False], ids=["our publication", "somebody else's"])
async def test_a_start_in_the_moment_without_any_table_waits_for_one(database: CapturedDatabase, *, ours: bool) -> None:
    # given a source whose only table was captured, and is gone
    settings = {} if ours else {"publication": "theirs"}
    await database.sql("create table t(id int primary key, v text)", "insert into t values (1, 'a')")
    if not ours:
        await database.sql("create publication theirs for table t")
    await database.capture(**settings)
    await database.sql("drop table t", "create schema other", "create table other.t(id int primary key)")

    # when it starts without one, and again
    for _ in range(2):
        await database.capture(**settings)

    # then it reads on when there is one, in the same run or the next
    log = database.log
    async with streaming(database, **settings):
        await database.sql("create table t(code text primary key)", "insert into t values ('b')")
        if not ours:
            await database.sql("alter publication theirs add table t")
        await eventually(lambda: any(c.after == ("b",) for c in log.changes))
        await database.sql("insert into t values ('c')")
    assert log.table("pg.public.t") == await database.table("t", "code") == {("b",): ("b",), ("c",): ("c",)}
    await database.sql("drop table t")
    await database.capture(**settings)
    await database.sql("create table t(id int primary key)", "insert into t values (9)")
    if not ours:
        await database.sql("alter publication theirs add table t")
    assert (await database.capture(**settings)).table("pg.public.t") == {(9,): (9,)}

    # and patterns that none has ever matched are a mistake
    with pytest.raises(SourceError, match="at least one table that matches"):
        await database.capture(**settings, tables=("public.s",))

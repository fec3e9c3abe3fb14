"""Publications and slots that somebody else made: used as they are, and what they are changed to in mid-stream."""

from __future__ import annotations

import asyncio

import pytest

from headrace.change import Op
from headrace.errors import ConfigError, SourceError
from headrace.sources import Source, SourceSettings
from headrace.sources.postgres import open as open_source
from headrace.sources.postgres import source as source_module
from tests.captured_database import NAME, CapturedDatabase
from tests.memory_log import MemoryLog, catch_up, eventually, run
from tests.servers import FreshDatabases, PostgresApart


def settings(database: CapturedDatabase, *, url: str = "", **options: str) -> SourceSettings:
    return SourceSettings(NAME, url or database.dsn, database.id, options=options)


async def caught_up(database: CapturedDatabase, **options: str) -> MemoryLog:
    source = open_source(settings(database, **options))
    try:
        await catch_up(source, database.log)
    finally:
        await source.close()
    return database.log


async def failure(database: CapturedDatabase, **options: str) -> SourceError:
    source = open_source(settings(database, **options))
    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(run(source, database.log, lambda _: False), 10)
    await source.close()
    return caught.value


async def test_a_publication_is_used_as_it_is(database: CapturedDatabase) -> None:
    # given a publication with a column list and a row filter, and a table that it has not
    await database.sql(
        "create table t(id int primary key, v text, secret text)",
        "create table part(id int primary key, region text not null, big text)",
        "alter table part replica identity full", "create table other(id int primary key)",
        "insert into t values (1, 'a', 'hidden')", "insert into other values (1)",
        "insert into part values (1, 'eu', 'x'), (2, 'us', 'x')",
        "create publication theirs for table t (id, v), part where (region = 'eu')",
    )  # fmt: skip
    before = await database.query("select * from pg_publication")

    await caught_up(database, publication="theirs")
    await database.sql(
        "insert into t values (2, 'b', 'hidden')", "update t set secret = 'changed'",
        "update t set v = 'c' where id = 1",
        "insert into part values (3, 'eu', 'y'), (4, 'us', 'y')",
        "update part set region = 'us' where id = 1", "update part set region = 'eu' where id = 2",
        "insert into other values (2)",
    )  # fmt: skip
    log = await caught_up(database, publication="theirs")

    # then what it leaves out is in neither copy nor stream
    assert log.table("pg.public.t") == {(1,): (1, "c"), (2,): (2, "b")}
    assert [c.name for c in log.of("pg.public.t")[0].schema.columns] == ["id", "v"]
    assert log.table("pg.public.part") == {(2,): (2, "eu", "x"), (3,): (3, "eu", "y")}
    assert {c.schema.table for c in log.changes} == {"public.t", "public.part"}
    assert await database.query("select * from pg_publication") == before


async def test_a_publication_may_stand_in_the_url(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)", "create publication theirs for table t")
    url = database.dsn + ("&" if "?" in database.dsn else "?") + "publication=theirs"

    await caught_up(database, url=url)
    await database.sql("insert into t values (1)")
    log = await caught_up(database, url=url)

    assert log.table("pg.public.t") == {(1,): (1,)}
    assert await database.query("select pubname from pg_publication") == [("theirs",)]


async def test_a_publication_that_cannot_be_used_is_told(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    missing = await failure(database, publication="theirs")
    assert "theirs" in missing.expected
    assert "CREATE PUBLICATION" in missing.remedy

    await database.sql("create publication theirs for table t with (publish = 'insert, truncate')")
    partly = await failure(database, publication="theirs")
    assert "without update, delete" in partly.got
    assert "ALTER PUBLICATION theirs" in partly.remedy


@pytest.mark.parametrize(
    "options", [{"on_lag": "panic"}, {"max_retained": "much"}, {"max_retained": "0GB"}, {"slot": "My Slot"}]
)
def test_options_that_cannot_be_read_are_told(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(SourceSettings(NAME, "postgresql://h/x", "id", options=options))

    assert next(iter(options)) in caught.value.step


async def test_a_filter_brings_rows_in_whose_large_values_are_not_sent(database: CapturedDatabase) -> None:
    # given a filter on the key, so that the old row has nothing but the key
    await database.sql(
        "create table t(id int, region int, n int, big text, primary key (id, region))",
        "alter table t alter big set storage external",
        "insert into t select g, mod(g, 2), 0, repeat(md5(g::text), 300) from generate_series(1, 4) g",
        "create publication theirs for table t where (region = 0)",
    )  # fmt: skip
    await caught_up(database, publication="theirs")
    await database.sql("update t set n = 1")
    log = await caught_up(database, publication="theirs")
    assert {k: r[2] for k, r in log.table("pg.public.t").items()} == {(2, 0): 1, (4, 0): 1}

    # when an update brings a row in without its large value, which was never seen
    await database.sql("update t set region = 0 where id = 1")
    error = await failure(database, publication="theirs")

    # then it is not made up
    assert "column big" in error.expected
    assert "REPLICA IDENTITY FULL" in error.remedy


async def streaming(source: Source, log: MemoryLog) -> asyncio.Task[None]:
    task = asyncio.create_task(run(source, log, lambda _: False))
    await eventually(lambda: any(s.state.get("capture") for s in log.steps))
    return task


@pytest.mark.parametrize("speaks", [True, False], ids=["with a row", "silently"])
async def test_a_table_comes_to_a_publication_and_leaves_it_in_mid_stream(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch, *, speaks: bool
) -> None:
    # given a stream of one table (and looks at the publication that are seldom, or often)
    monkeypatch.setattr(source_module, "WATCH_EVERY_S", 3600.0 if speaks else 0.05)
    await database.sql(
        "create table t(id int primary key, v text)", "create table late(id int primary key, v text)",
        "insert into t values (1, 'a')", "insert into late values (1, 'a'), (2, 'a')",
        "create publication theirs for table t",
    )  # fmt: skip
    source = open_source(settings(database, publication="theirs"))
    log = database.log
    task = await streaming(source, log)

    # when another comes
    await database.sql("alter publication theirs add table late")
    if speaks:
        await database.sql("update late set v = 'b' where id = 1")
    await eventually(lambda: len(log.table("pg.public.late")) == 2)
    await database.sql("update late set v = 'c' where id = 2", "update t set v = 'c'")
    await eventually(lambda: log.table("pg.public.t") == {(1,): (1, "c")})
    assert log.table("pg.public.late") == await database.table("late", "id")

    # and leaves, is changed meanwhile, and comes back: what was missed is copied
    await database.sql("alter publication theirs drop table late", "update late set v = 'missed' where id = 1")
    await database.sql("delete from late where id = 2", "update t set v = 'd'")
    await eventually(lambda: log.table("pg.public.t") == {(1,): (1, "d")})
    assert log.table("pg.public.late")[(2,)] == (2, "c")
    await database.sql("alter publication theirs add table late")
    if speaks:
        await database.sql("insert into late values (3, 'new')")
    expected = await database.table("late", "id")
    await eventually(lambda: log.table("pg.public.late") == expected)

    # and no table was copied more often than that
    assert [c.op for c in log.of("pg.public.t") if c.op is Op.READ] == [Op.READ]
    assert len([c for c in log.of("pg.public.late") if c.op is Op.TRUNCATE]) == 2
    await source.close()
    await task


async def test_a_table_that_was_away_while_headrace_was_down_is_copied_again(database: CapturedDatabase) -> None:
    await database.sql(
        "create table t(id int primary key, v text)", "create table u(id int primary key)",
        "insert into t values (1, 'a')", "create publication theirs for table t, u",
    )  # fmt: skip
    await caught_up(database, publication="theirs")
    await database.sql(
        "alter publication theirs drop table t", "update t set v = 'missed'", "alter publication theirs add table t",
        "insert into u values (1)",
    )  # fmt: skip

    log = await caught_up(database, publication="theirs")

    assert log.table("pg.public.t") == {(1,): (1, "missed")}
    assert log.table("pg.public.u") == {(1,): (1,)}


async def test_other_columns_and_filters_in_mid_stream_are_copied_anew(database: CapturedDatabase) -> None:
    await database.sql(
        "create table t(id int primary key, v text, w text)", "insert into t values (1, 'a', 'x'), (2, 'b', 'y')",
        "create publication theirs for table t (id, v) where (id < 2)",
    )  # fmt: skip
    source = open_source(settings(database, publication="theirs"))
    log = database.log
    task = await streaming(source, log)
    await eventually(lambda: log.table("pg.public.t") == {(1,): (1, "a")})

    await database.sql("alter publication theirs set table t", "update t set v = 'c' where id = 1")

    await eventually(lambda: log.table("pg.public.t") == {(1,): (1, "c", "x"), (2,): (2, "b", "y")})
    await source.close()
    await task


async def test_tables_of_a_schema_and_of_everything(database: CapturedDatabase) -> None:
    await database.sql(
        "create schema shop", "create table shop.a(id int primary key)", "insert into shop.a values (1)",
        "create table mine(id int primary key)", "create table other(id int primary key)",
        "create publication shop for tables in schema shop", "create publication all_of_it for all tables",
    )  # fmt: skip
    source = open_source(
        SourceSettings(NAME, database.dsn, database.id, tables=("shop.*",), options={"publication": "shop"})
    )
    task = await streaming(source, database.log)
    await database.sql(
        "create table shop.b(id int primary key)", "insert into shop.b values (1)", "insert into mine values (1)"
    )
    await eventually(lambda: database.log.table("pg.shop.b") == {(1,): (1,)})
    await source.close()
    await task
    assert {c.schema.table for c in database.log.changes} == {"shop.a", "shop.b"}

    everything = await CapturedDatabase.connect(database.dsn)
    chosen = SourceSettings(NAME, database.dsn, everything.id, tables=("mine",), options={"publication": "all_of_it"})
    source = open_source(chosen)
    task = await streaming(source, everything.log)
    await database.sql("insert into other values (1)", "insert into mine values (2)")
    await eventually(lambda: len(everything.log.table("pg.public.mine")) == 2)
    await source.close()
    await task
    assert {c.schema.table for c in everything.log.changes} == {"public.mine"}
    await everything.close()


async def test_partitions_that_are_published_as_themselves(database: CapturedDatabase) -> None:
    await database.sql(
        "create table p(id int primary key, v text) partition by range (id)",
        "create table p1 partition of p for values from (0) to (100)",
        "create table p2 partition of p for values from (100) to (200)",
        "insert into p values (1, 'a'), (101, 'b')", "create publication theirs for table p",
    )  # fmt: skip
    await caught_up(database, publication="theirs")
    await database.sql("update p set v = 'c'", "update p set id = id + 110 where id = 1")

    log = await caught_up(database, publication="theirs")

    assert log.table("pg.public.p1") == {}
    assert log.table("pg.public.p2") == {(101,): (101, "c"), (111,): (111, "c")}
    assert {c.schema.table for c in log.changes} == {"public.p1", "public.p2"}


async def test_a_slot_that_somebody_else_made(database: CapturedDatabase) -> None:
    # given a publication and a slot, and changes since
    name = f"theirs_{database.id}"
    await database.sql(
        "create table t(id int primary key, v text)", "create publication theirs for table t",
        f"select pg_create_logical_replication_slot('{name}', 'pgoutput')",
        "insert into t values (1, 'a'), (2, 'b')", "update t set v = 'c' where id = 1",
    )  # fmt: skip
    missing = await failure(database, publication="theirs", slot="no_such_slot")
    assert "no such slot" in missing.got

    log = await caught_up(database, publication="theirs", slot=name)
    await database.sql("delete from t where id = 2", "insert into t values (3, 'd')")
    await caught_up(database, publication="theirs", slot=name)

    assert log.table("pg.public.t") == await database.table("t", "id")
    assert [c.op for c in log.changes] == [Op.READ, Op.READ, Op.DELETE, Op.CREATE]
    (slots,) = await database.query(
        "select array_agg(slot_name::text) from pg_replication_slots where database = current_database()"
    )
    assert slots == ([name],)


@pytest.mark.parametrize(
    "restriction",
    ["alter role {} set default_transaction_read_only = on", "revoke execute on function lo_create from public"],
)
async def test_a_role_that_may_write_nothing(
    debian_postgres: PostgresApart, fresh_database: FreshDatabases, restriction: str
) -> None:
    """Not even the large object that a slot of ours begins with."""
    database = await CapturedDatabase.connect(await fresh_database(debian_postgres))
    role = f"reader_{database.id}"
    await database.sql(
        "create table t(id int primary key)", "insert into t values (1)", "create publication theirs for table t",
        f"create role {role} login replication password 'geheim'", f"grant select on t to {role}",
        restriction.format(role),
    )  # fmt: skip
    try:
        url = database.dsn.replace(f"postgres:{debian_postgres.password}@", f"{role}:geheim@")
        await caught_up(database, url=url, publication="theirs")
        await database.sql("insert into t values (2)")
        log = await caught_up(database, url=url, publication="theirs")

        assert log.table("pg.public.t") == {(1,): (1,), (2,): (2,)}
        assert [c.op for c in log.changes] == [Op.READ, Op.CREATE]
    finally:
        await database.sql(f"drop owned by {role}", f"drop role {role}")
        await database.close()


async def test_an_interrupted_first_copy_leaves_the_slot_of_somebody_else(database: CapturedDatabase) -> None:
    name = f"theirs_{database.id}"
    await database.sql(
        "create table t(id int primary key)", "insert into t select generate_series(1, 50)",
        f"select pg_create_logical_replication_slot('{name}', 'pgoutput')",
    )  # fmt: skip
    (before,) = await database.query(f"select restart_lsn from pg_replication_slots where slot_name = '{name}'")
    source = open_source(SourceSettings(NAME, database.dsn, database.id, batch_rows=10, options={"slot": name}))
    await run(source, database.log, lambda log: len(log.changes) >= 20)
    await source.close()
    assert await database.query(f"select restart_lsn from pg_replication_slots where slot_name = '{name}'") == [before]
    await database.sql("delete from t where id <= 5")

    log = await caught_up(database, slot=name)

    assert log.table("pg.public.t") == await database.table("t", "id")

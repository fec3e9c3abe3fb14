"""What a PostgreSQL source streams: order, keys, large values, DDL, huge and undone transactions."""

from __future__ import annotations

import pytest

from headrace.change import Change, Op
from headrace.errors import SourceError
from tests.captured_database import CapturedDatabase
from tests.memory_log import MemoryLog, catch_up, run


def told(changes: list[Change]) -> list[tuple[str, tuple[object, ...], object]]:
    return [(c.op.value, c.key, c.after) for c in changes]


async def test_a_changed_key_is_a_delete_and_a_create(database: CapturedDatabase) -> None:
    await database.sql("create table t(a int, b text, v int, primary key (a, b))", "insert into t values (1, 'x', 7)")
    await database.capture()
    await database.transaction("update t set b = 'y'", "update t set v = 8")

    log = await database.capture()

    assert told(log.changes[1:]) == [
        ("d", (1, "x"), None),
        ("c", (1, "y"), (1, "y", 7)),
        ("u", (1, "y"), (1, "y", 8)),
    ]
    assert [c.position.minor for c in log.changes[1:]] == [1, 2, 3]
    assert len({(c.position.major, c.committed_at, c.transaction) for c in log.changes[1:]}) == 1
    assert log.changes[1].before == (1, "x", None)


async def test_two_keys_swapped_in_one_transaction(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key, v text)", "insert into t values (1, 'one'), (2, 'two')")
    await database.capture()
    await database.transaction(
        "update t set id = -1 where id = 1", "update t set id = 1 where id = 2", "update t set id = 2 where id = -1"
    )

    log = await database.capture()

    assert log.table("pg.public.t") == {(1,): (1, "two"), (2,): (2, "one")}


async def test_positions_are_within_what_a_client_reads_after_its_commit(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    await database.capture()
    (before,), *_ = await database.query("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    await database.sql("insert into t values (1)")
    (after,), *_ = await database.query("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    (written_at,), *_ = await database.query("select (extract(epoch from now()) * 1000000)::int8")

    log = await database.capture()

    change = log.changes[-1]
    assert int(str(before)) <= change.position.major < int(str(after))
    assert abs(change.committed_at - int(str(written_at))) < 5_000_000
    assert change.transaction > 0


async def test_truncate_of_several_tables_then_inserts(database: CapturedDatabase) -> None:
    await database.sql(
        "create table a(id int primary key)", "create table b(id int primary key)",
        "insert into a values (1), (2)", "insert into b values (1)",
    )  # fmt: skip
    await database.capture()
    await database.transaction("insert into a values (3)", "truncate a, b", "insert into a values (4)")

    log = await database.capture()

    assert [(c.op.value, c.schema.table) for c in log.changes[3:]] == [
        ("c", "public.a"), ("t", "public.a"), ("t", "public.b"), ("c", "public.a"),
    ]  # fmt: skip
    assert log.table("pg.public.a") == {(4,): (4,)}
    assert log.table("pg.public.b") == {}


async def test_what_is_undone_is_never_seen(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    await database.capture()
    await database.sql("begin", "insert into t values (1)", "rollback")
    await database.transaction(
        "insert into t values (2)",
        "savepoint s",
        "insert into t values (3)",
        "rollback to s",
        "insert into t values (4)",
    )

    log = await database.capture()

    assert [c.key for c in log.changes] == [(2,), (4,)]
    assert [c.position.minor for c in log.changes] == [1, 2]


async def test_a_huge_transaction_comes_in_parts_before_its_frontier(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key, v text)")
    await database.capture()
    done = len(database.log.steps)
    await database.transaction(
        "insert into t select g, 'x' from generate_series(1, 2500) g", "update t set v = 'y' where id <= 100"
    )
    await database.sql("insert into t values (9999, 'z')")

    log = await database.capture(batch_rows=1000)

    steps = [s for s in log.steps[done:] if s.changes]
    major = steps[0].changes[0].position.major
    assert [len(s.changes) for s in steps[:2]] == [1000, 1000]
    assert all(s.frontier.major <= major for s in steps[:2])
    assert steps[-1].frontier > log.position
    assert [c.position.minor for c in log.changes] == [*range(1, 2601), 1]
    assert log.table("pg.public.t") == await database.table("t", "id")


async def test_a_stop_in_the_middle_of_a_huge_transaction_goes_on_there(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key, v text)")
    await database.capture()
    await database.sql(
        "insert into t select g, 'x' from generate_series(1, 1000) g", "update t set v = 'y' where id = 7"
    )

    await run(database.source(batch_rows=100), database.log, lambda log: len(log.changes) >= 300)
    assert len(database.log.changes) == 300
    log = await database.capture(batch_rows=64)

    assert [c.key for c in log.changes] == [*((i,) for i in range(1, 1001)), (7,)]


async def test_ddl_in_mid_stream_makes_new_schemas(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key, v text)", "insert into t values (1, 'a')")
    await database.capture()
    await database.sql(
        "update t set v = 'b'",
        "alter table t add column n int default 7", "update t set v = 'c'",
        "alter table t rename v to w", "update t set w = 'd'",
        "alter table t drop column n", "update t set w = 'e'",
        "alter table t alter w type varchar(10)", "update t set w = 'f'",
        "create type mood as enum ('glad')", "alter table t add m mood", "update t set m = 'glad'",
        "alter type mood add value 'sad'", "update t set m = 'sad'",
        "create domain score as int", "alter table t add s score", "update t set s = 5",
    )  # fmt: skip

    log = await database.capture()

    assert [(tuple(c.name for c in x.schema.columns), x.after) for x in log.changes[1:]] == [
        (("id", "v"), (1, "b")),
        (("id", "v", "n"), (1, "c", 7)),
        (("id", "w", "n"), (1, "d", 7)),
        (("id", "w"), (1, "e")),
        (("id", "w"), (1, "f")),
        (("id", "w", "m"), (1, "f", "glad")),
        (("id", "w", "m"), (1, "f", "sad")),
        (("id", "w", "m", "s"), (1, "f", "sad", 5)),
    ]
    types = [tuple(c.type for c in x.schema.columns) for x in log.changes[1:]]
    assert types[3:6] == [("int4", "text"), ("int4", "varchar"), ("int4", "varchar", "mood")]
    assert types[-1] == ("int4", "varchar", "mood", "int4")
    assert log.changes[6].schema is log.changes[7].schema


async def test_replica_identity_full_and_index(database: CapturedDatabase) -> None:
    await database.sql(
        "create table whole(id int primary key, v text)", "alter table whole replica identity full",
        "create table byindex(id int, code text not null unique, v int)",
        "alter table byindex replica identity using index byindex_code_key",
        "insert into whole values (1, 'a')", "insert into byindex values (1, 'x', 0)",
    )  # fmt: skip
    await database.capture()
    await database.sql(
        "update whole set v = 'b'", "update whole set id = 2", "delete from whole",
        "update byindex set v = 1", "update byindex set code = 'y'", "delete from byindex",
    )  # fmt: skip

    log = await database.capture()

    assert [(c.op.value, c.key, c.before, c.after) for c in log.of("pg.public.whole")[1:]] == [
        ("u", (1,), (1, "a"), (1, "b")),
        ("d", (1,), (1, "b"), None),
        ("c", (2,), None, (2, "b")),
        ("d", (2,), (2, "b"), None),
    ]
    assert [(c.op.value, c.key) for c in log.of("pg.public.byindex")] == [
        ("r", ("x",)), ("u", ("x",)), ("d", ("x",)), ("c", ("y",)), ("d", ("y",)),
    ]  # fmt: skip


BIG = {
    "text": "repeat(md5('{0}'), 1600)",
    "jsonb": "(select jsonb_object_agg(md5(g || '{0}'), g) from generate_series(1, 1500) g)",
    "bytea": "decode(repeat(md5('{0}'), 1600), 'hex')",
    "int[]": "(select array_agg((g * 7919) % 100003 + length('{0}')) from generate_series(1, 9000) g)",
}


def big(kind: str, seed: str) -> str:
    return BIG[kind].format(seed)


@pytest.fixture(params=list(BIG))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def toasted(database: CapturedDatabase, kind: str) -> None:
    """Rows 1 to 3 with a value of about 50 kB that is stored out of line."""
    await database.sql(
        f"create table t(id int primary key, n int, v {kind}, small text)", "alter table t alter v set storage external"
    )
    for i in (1, 2, 3):
        await database.sql(f"insert into t values ({i}, 0, {big(kind, str(i))}, 'some text')")


async def same(database: CapturedDatabase, log: MemoryLog) -> None:
    assert log.table("pg.public.t") == await database.table("t", "id")


async def test_an_unchanged_large_value_is_complete(database: CapturedDatabase, kind: str) -> None:
    await toasted(database, kind)
    await database.capture()

    # after a restart
    await database.sql("update t set n = 1")
    await same(database, await database.capture())
    # in the same batch, after a change of the value, in several transactions and in one
    await database.sql(f"update t set v = {big(kind, 'new')} where id = 1", "update t set n = 2")
    await database.transaction(
        f"insert into t values (4, 0, {big(kind, '4')}, '')", "update t set n = 3", "update t set n = 4 where id = 4"
    )
    await same(database, await database.capture())
    # with a change of the key, and two keys swapped
    await database.sql("update t set id = 10 where id = 1")
    await database.transaction(
        "update t set id = -2 where id = 2", "update t set id = 2 where id = 3", "update t set id = 3 where id = -2"
    )
    await same(database, await database.capture())
    await database.sql("update t set n = 5")
    await same(database, await database.capture())
    # in later batches of one stream
    source = database.source(batch_rows=1)
    for i in range(3):
        await database.sql(f"update t set n = {10 + i}")
        await catch_up(source, database.log)
    await same(database, database.log)


async def test_nothing_is_kept_of_rows_that_are_gone_or_small(database: CapturedDatabase) -> None:
    await toasted(database, "text")
    await database.capture()
    assert len(await database.log.state.scan("v:public.t:")) == 3

    await database.sql("delete from t where id = 1", "update t set v = 'small' where id = 2")
    await database.capture()
    assert sorted(await database.log.state.scan("v:")) == ["v:public.t:3"]
    await database.sql("update t set n = 6 where id = 2", "insert into t values (1, 0, 'x', '')", "update t set n = 7")
    await same(database, await database.capture())

    await database.transaction(
        f"insert into t values (5, 0, {big('text', '5')}, '')", "truncate t",
        f"insert into t values (3, 0, {big('text', 'again')}, '')", "update t set n = 8",
    )  # fmt: skip
    await same(database, await database.capture())
    assert sorted(await database.log.state.scan("v:")) == ["v:public.t:3"]
    await database.sql("update t set n = 9")
    await same(database, await database.capture())


async def test_a_small_value_out_of_line_beside_a_large_one(database: CapturedDatabase) -> None:
    # given a row whose own large column pushes small ones out of line, and is then emptied
    await database.sql(
        "create table t(id int primary key, n int, a text, b text)",
        "alter table t alter a set storage external", "alter table t alter b set storage external",
        "insert into t select 1, 0, repeat('a', 300), repeat('b', 1900)",
    )  # fmt: skip
    await database.capture()

    for change in ("b = 'x'", "n = 1", "b = repeat('c', 1950)", "n = 2", "b = null", "n = 3"):
        await database.sql(f"update t set {change}")
        await same(database, await database.capture())


async def test_a_value_that_looks_like_a_placeholder_is_a_value(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key, n int, v text)")
    await database.sql(
        *(
            f"insert into t values ({i}, 0, '{v}')"
            for i, v in enumerate(["u", "\\N", "__debezium_unavailable_value", "unchanged"])
        )
    )
    await database.capture()
    await database.sql("update t set n = 1")

    await same(database, await database.capture())


async def test_a_large_value_that_was_never_captured_is_an_error(database: CapturedDatabase) -> None:
    # given a value that is lost from the state, as after a change from FULL to DEFAULT
    await toasted(database, "text")
    await database.sql("alter table t replica identity full")
    await database.capture()
    await database.sql("alter table t replica identity default", "update t set n = 1")

    with pytest.raises(SourceError) as caught:
        await database.capture()

    assert caught.value.step == "complete a row of public.t"
    assert "column v" in caught.value.expected
    assert "REPLICA IDENTITY FULL" in caught.value.remedy


async def test_a_renamed_column_keeps_its_large_values(database: CapturedDatabase, kind: str) -> None:
    await toasted(database, kind)
    await database.sql("alter table t add w text", "update t set w = repeat(md5(id::text), 200)")
    await database.sql("alter table t alter w set storage external")
    await database.capture()

    # in mid-stream, over a restart, with columns that come and go, and with names that change places
    await database.sql("alter table t rename v to v2", "update t set n = 1")
    await same(database, await database.capture())
    await database.sql("alter table t rename v2 to v3", "alter table t drop small", "alter table t add extra text")
    await database.sql("update t set n = 2", f"update t set v3 = {big(kind, 'new')} where id = 1")
    await same(database, await database.capture())
    await database.sql(
        "alter table t rename w to x", "alter table t rename v3 to w", "alter table t rename x to v3",
        "update t set n = 3",
    )  # fmt: skip
    await same(database, await database.capture())
    await database.sql(
        "alter table t drop v3", "alter table t rename w to v3", "update t set n = 4",
        f"alter table t add w {kind}", f"update t set w = {big(kind, 'w')} where id = 2", "update t set n = 5",
    )  # fmt: skip
    await same(database, await database.capture())
    await database.transaction("alter table t rename v3 to v", "update t set n = 6", "update t set id = id + 10")
    await same(database, await database.capture())


async def test_a_large_value_written_again_by_a_change_of_its_type_is_not_the_one_kept(
    database: CapturedDatabase,
) -> None:
    # given a value that the server writes in another form without sending it
    await database.sql(
        "create table t(id int primary key, n int, v text)", f"insert into t select 1, 0, {big('jsonb', 'x')}::text"
    )
    await database.capture()
    await database.sql("alter table t alter v type json using v::json", "update t set n = 1")

    with pytest.raises(SourceError) as caught:
        await database.capture()

    assert "column v" in caught.value.expected


async def test_full_identity_keeps_nothing(database: CapturedDatabase) -> None:
    await toasted(database, "text")
    await database.sql("alter table t replica identity full")
    await database.capture()
    await database.sql("update t set n = 1", "update t set id = id + 10")

    await same(database, await database.capture())
    assert not await database.log.state.scan("v:")


async def test_messages_of_applications_pass_by(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")
    await database.capture()
    await database.transaction("select pg_logical_emit_message(true, 'outbox', 'hello')", "insert into t values (1)")
    await database.sql("select pg_logical_emit_message(false, 'outbox', 'hello')")

    log = await database.capture()

    assert [c.op for c in log.changes] == [Op.CREATE]

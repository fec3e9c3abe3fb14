"""The first copy of a PostgreSQL source and its hand-over to the stream, on 18 and on Debian's version."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import psycopg
import pytest

from headrace.change import START, Op
from headrace.sources.postgres import setup, snapshot
from headrace.sources.postgres.progress import CAPTURE
from tests.captured_database import CapturedDatabase
from tests.memory_log import MemoryLog, catch_up, eventually, run

TYPES = [
    "numeric 'NaN'", "numeric 'Infinity'", "numeric '-Infinity'", "numeric '1.500'", "1e400::numeric",
    "('0.' || repeat('12', 500))::numeric", "date '0044-03-15 BC'", "date 'infinity'", "date '2024-02-29'",
    "timestamptz '2024-02-29 23:59:59.999999+05:45'", "timestamp '-infinity'", "timetz '24:00:00+02'",
    "time '24:00:00'", "interval '1 mon -2 days 03:04:05.6'", "'null'::jsonb", "NULL::jsonb",
    "'{\"a\": 9007199254740993, \"b\": [1.10, null]}'::jsonb", "'{\"a\" :  1}'::json", "9223372036854775807::int8",
    "(-9223372036854775808)::int8", "array[[1,null],[3,4]]::int[]", "array['a,b','\"q\"',null,'','NULL']::text[]",
    "int4range(1,5)", "tstzrange('2020-01-01','infinity')", "'\\x00ff10'::bytea", "''::bytea", "''::text",
    "'{[1,3),[5,8)}'::int4multirange",
    "uuid '00000000-0000-0000-0000-000000000001'", "inet '10.1.2.3/8'", "cidr '10.0.0.0/8'",
    "macaddr '08:00:2b:01:02:03'", "float8 'NaN'", "float8 '-0'", "float8 '-Infinity'", "0.1::float8", "0.1::float4",
    "1e300::float8", "varbit '1010'", "point(1.5,-2)", "money '12.34'", "'b'::mood", "row(1,'x y')::pair",
    "'x@y.z'::addr", "7::small", "repeat('x',50000)", "E'U+2028 \\u2028 \\U0001F600'::text",
    "E'tab\\t nl\\n cr\\r back\\\\ \\\\N \\b\\f\\v'::text", "'\\N'::text", "tsvector 'a:1 b:2'", "true", "false",
    "'t'::\"char\"", "name 'n'", "'ab  '::bpchar", "'ab'::varchar(9)", "int2 '-32768'", "oid '4294967295'",
    "'pg_catalog.pg_class'::regclass", "'information_schema.tables'::regclass",
    "'pg_catalog.now()'::regprocedure", "array[0.1::float8, 'NaN']",
    "array['\\x00ff'::bytea]",
]  # fmt: skip
"""Values whose text depends on settings, or that are easily mangled."""


async def test_a_copied_value_equals_the_streamed_one(database: CapturedDatabase) -> None:
    # given one row of everything, written under other settings than ours
    await database.sql(
        "create type mood as enum('a','b')", "create type pair as (n int, t text)",
        "create domain addr as text check (value like '%@%')", "create domain small as int",
        "set timezone = 'Asia/Kathmandu'", "set datestyle = 'German'", "set intervalstyle = 'iso_8601'",
    )  # fmt: skip
    columns = ", ".join(f"{value} as c{i}" for i, value in enumerate(TYPES))
    await database.sql(f"create table kinds as select 1 as id, {columns}", "alter table kinds add primary key (id)")
    await database.capture()

    # when the same is inserted, and the first row is updated, while it streams
    await database.sql(f"insert into kinds select 2, {columns}", "update kinds set c0 = c0 where id = 1")
    log = await database.capture()

    # then all are equal, and Python's own values where the contract says so
    rows = log.table("pg.public.kinds")
    assert [c.op for c in log.of("pg.public.kinds")] == [Op.READ, Op.CREATE, Op.UPDATE]
    assert rows[(1,)][1:] == rows[(2,)][1:]
    assert repr(rows[(1,)][1:]) == repr(rows[(2,)][1:])
    assert rows == await database.table("kinds", "id")
    schema = log.changes[-1].schema
    assert {log.changes[0].schema, schema} == {schema}
    found = dict(zip(TYPES, rows[(1,)][1:], strict=True))
    assert found["timestamptz '2024-02-29 23:59:59.999999+05:45'"] == "2024-02-29 18:14:59.999999+00"
    assert found["date '0044-03-15 BC'"] == "0044-03-15 BC"
    assert found["'\\x00ff10'::bytea"] == b"\x00\xff\x10"
    assert found["7::small"] == 7
    assert found["float8 'NaN'"] == "NaN"
    assert found["'null'::jsonb"] == "null"
    assert found["NULL::jsonb"] is None
    assert found["'\\N'::text"] == "\\N"
    types = {c.name: c.type for c in schema.columns}
    assert (types["id"], types[f"c{TYPES.index('7::small')}"]) == ("int4", "int4")
    assert types[f"c{TYPES.index('array[[1,null],[3,4]]::int[]')}"] == "int4[]"


async def test_settings_of_the_database_and_of_writers_change_no_value(database: CapturedDatabase) -> None:
    # given a database that has every session show values its own way
    ((name,),) = await database.query("select quote_ident(current_database())")
    settings = {
        "timezone": "'Australia/Lord_Howe'", "datestyle": "'SQL, DMY'", "intervalstyle": "'sql_standard'",
        "extra_float_digits": "-3", "bytea_output": "'escape'", "search_path": "''", "xmloption": "'document'",
    }  # fmt: skip
    await database.sql(
        "create table public.t(id int primary key, at timestamptz, day date, took interval, x float8, raw bytea)",
        *(f"alter database {name} set {setting} = {value}" for setting, value in settings.items()),
    )
    row = "timestamptz '2024-07-01 12:00+00', date '2024-02-03', interval '1 day 2 hours', 0.1::float8 + 0.2, '\\x5c00'"
    await database.sql(f"insert into public.t select 1, {row}")
    await database.capture()

    # when rows are written under other settings still
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as writer:
        for n, zone in enumerate(("UTC", "America/New_York", "+05:45"), 2):
            await writer.execute(f"set timezone = '{zone}'".encode())
            await writer.execute(f"insert into public.t select {n}, {row}".encode())

    log = await database.capture()

    expected = ("2024-07-01 12:00:00+00", "2024-02-03", "1 day 02:00:00", 0.30000000000000004, b"\\\0")
    assert {row[1:] for row in log.table("pg.public.t").values()} == {expected}
    assert len(log.table("pg.public.t")) == 4


async def test_nothing_is_lost_or_twice_between_copy_and_stream(database: CapturedDatabase) -> None:
    # given writers that never stop, one of them in long transactions
    await database.sql(
        "create table acc(id int primary key, n int, v text)",
        "insert into acc select g, 0, 'start' from generate_series(1, 3000) g",
    )
    stop = asyncio.Event()

    async def disturb(c: psycopg.AsyncConnection, rng: random.Random) -> None:
        i = rng.randrange(1, 4000)
        match rng.randrange(4):
            case 0:
                await c.execute("delete from acc where id = %s", [i])
            case 1:
                await c.execute("insert into acc values (%s, 0, 'new') on conflict do nothing", [i])
            case _:
                await c.execute("update acc set n = n + 1, v = %s where id = %s", [str(rng.random()), i])

    async def write(seed: int) -> None:
        rng = random.Random(seed)
        async with await psycopg.AsyncConnection.connect(database.dsn) as c:
            while not stop.is_set():
                try:
                    for _ in range(rng.choice([1, 1, 1, 30])):
                        await disturb(c, rng)
                    await (c.commit() if rng.random() < 0.8 else c.rollback())
                except psycopg.errors.DeadlockDetected:
                    await c.rollback()
                await asyncio.sleep(0)

    writers = [asyncio.create_task(write(seed)) for seed in range(3)]
    await asyncio.sleep(0.2)

    # when the source starts, and copies in small steps
    source = database.source(batch_rows=100)
    await run(source, database.log, lambda log: len(log.steps) > 60)
    stop.set()
    await asyncio.gather(*writers)
    await catch_up(source, database.log)

    # then the log amounts to the table, each change once: every update is one more than the one before
    assert database.log.table("pg.public.acc") == await database.table("acc", "id")
    counted: dict[object, int] = {}
    for change in database.log.of("pg.public.acc"):
        if change.op is Op.UPDATE:
            assert change.after is not None
            assert change.after[1] == counted[change.key] + 1
        if change.after is not None:
            counted[change.key] = int(str(change.after[1]))
    reads = [c for c in database.log.changes if c.op is Op.READ]
    streamed = [c for c in database.log.changes if c.op is not Op.READ]
    assert reads
    assert max(c.position for c in reads) < min(c.position for c in streamed)


async def test_the_frontier_stays_at_the_start_until_the_copy_is_whole(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)", "insert into t select generate_series(1, 1000)")
    source = database.source(batch_rows=100)

    await catch_up(source, database.log)

    copied = [s for s in database.log.steps if any(c.op is Op.READ for c in s.changes)]
    assert sum(len(s.changes) for s in copied) == 1000
    assert max(len(s.changes) for s in copied) == 100
    assert {s.frontier for s in copied} == {START}
    assert source.snapshot is None


async def test_progress_is_told_while_it_copies(database: CapturedDatabase) -> None:
    await database.sql(
        "create table t(id int primary key)", "insert into t select generate_series(1, 1000)", "analyze t"
    )
    source = database.source(batch_rows=100)

    async with aclosing(source.stream(database.log.resume)) as steps:
        seen = [source.snapshot async for captured in _until_copied(steps, 500, database.log) if captured]

    last = seen[-1]
    assert last is not None
    assert (last.done, last.total) == (len(database.log.changes), 1000)


async def _until_copied(steps: AsyncIterator[object], rows: int, log: MemoryLog) -> AsyncIterator[object]:
    async for captured in steps:
        log.append(captured)  # pyright: ignore[reportArgumentType]
        yield captured
        if len(log.changes) >= rows:
            return


async def test_an_interrupted_copy_goes_on_where_it_was(database: CapturedDatabase) -> None:
    # given a copy that ended in the middle of the second table
    await database.sql(
        "create table a(id int primary key, big text)", "create table b(id int primary key)",
        "insert into a select g, repeat(md5(g::text), 500) from generate_series(1, 40) g",
        "insert into b select generate_series(1, 40)",
    )  # fmt: skip
    await run(database.source(batch_rows=10), database.log, lambda log: len(log.changes) >= 50, acknowledge=False)
    given = len(database.log.changes)

    # when rows that were copied are deleted and re-keyed before the next start
    await database.sql(
        "delete from a where id <= 5", "update a set id = id + 100 where id > 30", "delete from b where id = 1"
    )
    log = await database.capture(batch_rows=10)
    await database.sql("update a set id = id + 1000 where id = 10")
    await database.capture()

    # then the log amounts to the tables as they are, and what was whole was not read again
    assert log.table("pg.public.a") == await database.table("a", "id")
    assert log.table("pg.public.b") == await database.table("b", "id")
    assert not [c for c in log.changes if c.op is Op.TRUNCATE]
    assert {c.schema.table for c in log.changes[given:] if c.op is Op.READ} == {"public.b"}
    assert [c.key for c in log.changes[given:] if c.op is Op.DELETE and c.schema.table == "public.a"]
    kept = {k for k in log.state.values if k.startswith("v:")}
    assert len(kept) == len(await database.table("a", "id"))


async def test_empty_tables_are_copied_once(database: CapturedDatabase) -> None:
    await database.sql("create table t(id int primary key)")

    await database.capture()
    capture = database.log.state.values[CAPTURE]
    await database.sql("insert into t values (1)")
    log = await database.capture()

    assert log.position > START
    assert log.state.values[CAPTURE] == capture
    assert [c.op for c in log.changes] == [Op.CREATE]


async def test_a_table_that_comes_later_is_copied_where_the_stream_stands(database: CapturedDatabase) -> None:
    # given a captured table with a backlog, and a new one with rows
    await database.sql("create table old(id int primary key, v int)", "insert into old values (1, 0)")
    await database.capture()
    await database.sql("create table new(id int primary key, v int)", "insert into new values (1, 0), (2, 0)")
    await database.sql(*(f"update old set v = {i}" for i in range(20)))

    # when the source starts again, and both change while it copies
    source = database.source()
    head = await source.head()
    async with aclosing(source.stream(database.log.resume)) as steps:
        async for captured in steps:
            database.log.append(captured)
            if any(c.op is Op.TRUNCATE for c in captured.changes):
                await database.transaction("update new set v = v + 1", "update old set v = 99")
            if database.log.frontier >= head:
                break
    await catch_up(source, database.log)
    await source.close()

    # then the new one was emptied and read beside the stream, which tells the newest of each row
    log = database.log
    told = [c for c in log.of("pg.public.new") if c.op is not Op.READ]
    assert [c.op for c in told] == [Op.TRUNCATE, Op.UPDATE, Op.UPDATE]
    assert log.of("pg.public.new")[0].op is Op.TRUNCATE
    assert log.table("pg.public.new") == await database.table("new", "id")
    assert log.table("pg.public.old") == await database.table("old", "id")

    # and once is enough; a table that was dropped and made again is another one
    await database.sql(
        "drop table old", "create table old(id int primary key, w text)", "insert into old values (5, 'x')"
    )
    read = len([c for c in log.of("pg.public.new") if c.op is Op.READ])
    again = await database.capture()
    assert len([c for c in again.of("pg.public.new") if c.op is Op.READ]) == read
    assert again.table("pg.public.old") == {(5,): (5, "x")}


async def test_a_late_copy_that_is_interrupted_starts_again(database: CapturedDatabase) -> None:
    await database.sql("create table old(id int primary key)")
    await database.capture()
    await database.sql("create table new(id int primary key)", "insert into new select generate_series(1, 50)")
    await run(database.source(batch_rows=10), database.log, lambda log: len(log.changes) >= 20)
    await database.sql("delete from new where id < 10")

    log = await database.capture(batch_rows=10)

    assert log.table("pg.public.new") == await database.table("new", "id")


async def test_a_table_that_cannot_be_captured_is_left_out_and_keeps_working(database: CapturedDatabase) -> None:
    await database.sql(
        "create table heap(v text)", "insert into heap values ('same'), ('same')",
        "create table quiet(id int primary key)", "alter table quiet replica identity nothing",
        "create unlogged table fast(id int primary key)",
        "create table lazy(id int primary key deferrable)",
        "create table fine(id int primary key)",
        "create table whole(v text)", "alter table whole replica identity full",
    )  # fmt: skip

    source = database.source()
    await catch_up(source, database.log)
    await database.sql("update heap set v = 'other'", "delete from heap", "update quiet set id = 1", "delete from lazy")
    await database.sql(
        "insert into fine values (1)", "insert into whole values ('a'), ('b')", "update whole set v = 'c' where v = 'a'"
    )
    await catch_up(source, database.log)

    assert [(r.topic, r.key) for r in database.log.rejected[:4]] == [
        ("pg.public.fast", ""), ("pg.public.heap", ""), ("pg.public.lazy", ""), ("pg.public.quiet", ""),
    ]  # fmt: skip
    heap = database.log.rejected[1].error
    assert heap.step == "capture the table public.heap"
    assert "replica identity" in heap.expected
    assert "UPDATE and DELETE" in heap.got
    assert "ALTER TABLE" in heap.remedy
    assert {c.schema.table for c in database.log.changes} == {"public.fine", "public.whole"}
    assert set(database.log.table("pg.public.whole")) == {("c",), ("b",)}

    # and when it is mended, the next start takes it in
    await source.close()
    await database.sql("alter table heap add id int primary key", "insert into heap values ('x', 1)")
    log = await database.capture()
    assert log.table("pg.public.heap") == {(1,): ("x", 1)}
    assert ("pg.public.heap", "") in [s for step in log.steps for s in step.settled]


async def test_partitions_are_captured_as_their_root(database: CapturedDatabase) -> None:
    await database.sql(
        "create table part(id int, d date, primary key(id, d)) partition by range (d)",
        "create table part1 partition of part for values from ('2024-01-01') to ('2025-01-01')",
        "create table part2 partition of part for values from ('2025-01-01') to ('2026-01-01')",
        "insert into part select g, date '2024-01-01' + g from generate_series(1, 500) g",
    )
    await database.capture()
    await database.sql(
        "update part set d = d + 200 where d < '2024-12-01'",
        "delete from part2 where id % 7 = 0",
        "create table part3 partition of part for values from ('2026-01-01') to ('2027-01-01')",
        "insert into part values (1, '2026-05-05')",
    )

    log = await database.capture()

    assert {c.schema.table for c in log.changes} == {"public.part"}
    assert log.table("pg.public.part") == await database.table("part", "id", "d")


async def test_patterns_choose_tables(database: CapturedDatabase) -> None:
    await database.sql("create schema shop", "create schema other")
    for table in ("shop.orders", "shop.order_lines", "shop.users", "other.orders", "public.orders"):
        await database.sql(f"create table {table}(id int primary key)", f"insert into {table} values (1)")

    log = await database.capture(tables=("shop.order*", "orders"))

    assert {c.schema.table for c in log.changes} == {"shop.orders", "shop.order_lines", "public.orders"}


async def test_names_that_need_quotes(database: CapturedDatabase) -> None:
    await database.sql(
        'create schema "My Shop"', 'create table "My Shop"."A ""b"" é" ("Key %" text primary key, "select" int)'
    )
    await database.sql('insert into "My Shop"."A ""b"" é" values (\'a/b,c\', 1)')
    await database.capture(tables=("My Shop.*",))
    await database.sql(
        'update "My Shop"."A ""b"" é" set "select" = 2', 'insert into "My Shop"."A ""b"" é" values (\'x\', 3)'
    )

    log = await database.capture(tables=("My Shop.*",))

    assert log.table('pg.My Shop.A "b" é') == {("a/b,c",): ("a/b,c", 2), ("x",): ("x", 3)}


async def test_generated_columns_are_the_same_copied_and_streamed(database: CapturedDatabase) -> None:
    await database.sql(
        "create table g(id int primary key, n int, double int generated always as (n * 2) stored)",
        "insert into g values (1, 5)",
    )
    await database.capture()
    await database.sql("insert into g values (2, 5)", "update g set n = 6")

    log = await database.capture()

    shapes = {c.schema for c in log.changes}
    assert len(shapes) == 1
    stored = database.connection.info.server_version >= 180000
    assert log.table("pg.public.g") == (
        {(1,): (1, 6, 12), (2,): (2, 6, 12)} if stored else {(1,): (1, 6), (2,): (2, 6)}
    )


async def test_a_truncate_between_the_snapshot_and_the_reading_starts_the_copy_again(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a truncate that commits when the snapshot is there and the table not locked yet, then a new row
    await database.sql(
        "create table t(id int primary key, n int, v text)", "alter table t alter v set storage external",
        "insert into t select g, 0, repeat('x', 9000) from generate_series(1, 9) g",
    )  # fmt: skip
    locked = setup.lock
    times: list[int] = []

    async def late(connection: setup.Connection, tables: Sequence[setup.Found], *, wait: bool) -> None:
        times.append(len(tables))
        if len(times) == 1:
            await database.sql("update t set n = 1 where id = 1", "truncate t", "insert into t values (10, 0, 'y')")
        await locked(connection, tables, wait=wait)

    monkeypatch.setattr(snapshot, "lock", late)

    # when it is copied
    log = await database.capture()

    # then a second snapshot was taken, and nothing is missing
    assert times == [1] * 2 * snapshot.CONNECTIONS
    assert log.table("pg.public.t") == {(10,): (10, 0, "y")}


@pytest.mark.parametrize("change", ["truncate t", "alter table t add y int not null default 7"])
async def test_a_table_that_is_changed_while_the_slot_is_made_is_followed(
    database: CapturedDatabase, change: str
) -> None:
    """Such a slot looks at the catalog when the third transaction writes, and does not know of the change yet."""
    await database.sql("create table t(id int primary key, x text)", "insert into t values (1, 'first')")
    async with (
        await psycopg.AsyncConnection.connect(database.dsn) as first,
        await psycopg.AsyncConnection.connect(database.dsn) as second,
        await psycopg.AsyncConnection.connect(database.dsn) as third,
    ):
        # given a slot that waits for a transaction, and a table that gets another file, or column, beside a second one
        await first.execute("select pg_current_xact_id()")
        source = database.source()
        caught = asyncio.create_task(catch_up(source, database.log))
        await _waited_for(database, first)
        await second.execute("select pg_current_xact_id()")
        await database.sql(change)

        # when the one that was there ends, the table is written to, and then the slot is there
        await first.commit()
        await _waited_for(database, second)
        await third.execute("insert into t (id, x) values (2, 'copied')")
        await second.commit()
        await eventually(lambda: _has_a_slot(database))
        await third.commit()
        await caught
    await source.close()

    # then it is captured, also what comes later, by the slot alone
    await database.sql("insert into t (id, x) values (3, 'streamed')")
    log = await database.capture()
    assert log.table("pg.public.t") == await database.table("t", "id")
    assert [(c.op, c.key) for c in log.changes][-2:] == [(Op.READ, (2,)), (Op.CREATE, (3,))]


async def _waited_for(database: CapturedDatabase, connection: psycopg.AsyncConnection) -> None:
    """By the walsender that makes a slot."""
    query = (
        "select from pg_locks w join pg_locks h on h.locktype = 'transactionid' and h.transactionid = w.transactionid"
        " join pg_stat_activity a on a.pid = w.pid"
        f" where not w.granted and h.granted and h.pid = {connection.info.backend_pid}"
        " and a.backend_type = 'walsender'"
    )

    async def waits() -> bool:
        return bool(await database.query(query))

    await eventually(waits)


async def _has_a_slot(database: CapturedDatabase) -> bool:
    """That knows from where on it can decode."""
    query = f"select from pg_replication_slots where slot_name = '{database.slot}' and confirmed_flush_lsn is not null"
    return bool(await database.query(query))


async def test_a_truncate_that_waits_for_the_copy_is_not_waited_for_by_it(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a truncate that comes when one of the copy's sessions has its locks, and the other does not
    await database.sql("create table t(id int primary key)", "insert into t select generate_series(1, 100)")
    await database.sql("create table u(id int primary key)", "insert into u select generate_series(1, 100)")
    locked = setup.lock
    truncates: list[asyncio.Task[None]] = []

    async def late(connection: setup.Connection, tables: Sequence[setup.Found], *, wait: bool) -> None:
        if not wait and not truncates:
            truncates.append(asyncio.create_task(database.sql("truncate t")))
            await waiting(database)
        await locked(connection, tables, wait=wait)

    monkeypatch.setattr(snapshot, "lock", late)

    # then the copy is not begun again, and both come to their end
    log = await database.capture()
    await truncates[0]
    assert len(log.of("pg.public.t")) >= 100
    await database.capture()
    assert log.table("pg.public.t") == {}
    assert len(log.table("pg.public.u")) == 100
    assert [c.op for c in log.of("pg.public.t")] == [*[Op.READ] * 100, Op.TRUNCATE]


@pytest.mark.parametrize("statement", ["truncate t", "alter table t add column w int default 7"])
async def test_what_waits_for_a_copy_in_progress_does_not_hold_it_up(
    database: CapturedDatabase, statement: str
) -> None:
    # given a copy that has begun, then a statement that waits for its end
    await database.sql(
        "create table t(id int primary key, v text, s text)", "alter table t alter v set storage external",
        "insert into t select g, repeat('x', 9000), 'y' from generate_series(1, 3000) g",
    )  # fmt: skip
    source = database.source(batch_rows=100)
    asked: list[asyncio.Task[None]] = []
    async with asyncio.timeout(60), aclosing(source.stream(database.log.resume)) as steps:
        async for captured in steps:
            database.log.append(captured)
            if database.log.changes and not asked:
                asked.append(asyncio.create_task(database.sql(statement)))
                await waiting(database)
            if captured.frontier > START:
                break
    await source.close()
    assert len(database.log.changes) == 3000

    # then it is done behind it
    await asked[0]
    await database.sql("insert into t(id) values (0)")
    log = await database.capture()
    assert log.table("pg.public.t").keys() == (await database.table("t", "id")).keys()


async def waiting(database: CapturedDatabase) -> None:
    """Returns when a statement waits for a lock."""
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as other:

        async def somebody() -> bool:
            return bool(
                (await other.execute("select from pg_locks where not granted and locktype = 'relation'")).rowcount
            )

        await eventually(somebody)

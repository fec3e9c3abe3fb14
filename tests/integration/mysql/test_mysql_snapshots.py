"""Tables of a MariaDB that are read beside the stream: asked for, added while it runs, or left over by a first copy."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pymysql
import pytest

from headrace.change import START, Op
from headrace.errors import BadRequest, NotFound
from headrace.sources import SnapshotState
from headrace.sources.mysql import plan
from tests.captured_mariadb import CapturedMariadb
from tests.crashing import interrupted, killed_while_copying
from tests.memory_log import MemoryLog, catch_up, eventually
from tests.servers import MariadbApart
from tests.streamed import again, ended, source_of, streaming

TABLES = {
    "plain": "id int primary key, n int, v text",
    "composite": "b varchar(20), a int, n int, v text, primary key (a, b)",
    "texts": "id varchar(60) character set latin1 collate latin1_german2_ci primary key, n int, v text",
    "uuids": "id uuid primary key, n int, v text",
    "parts": "id int primary key, n int, v text",
}
"""Columns of tables with keys of every kind; `parts` has partitions."""
_ID = {
    "composite": ("a, b", "{0} % 9, concat('b', {0})"),
    "texts": ("id", "concat(elt({0} % 3 + 1, 'Ä', 'a', 'Z'), {0})"),
    "uuids": ("id", "insert(insert(md5({0}), 13, 1, '4'), 17, 1, 'a')"),
}
"""Key columns, and their values for a number."""
_OTHER = {"composite": "b = concat(b, 'x')", "texts": "id = concat('q', id)", "uuids": "id = uuid()"}


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table that is added counts as one that is too large to wait for."""
    monkeypatch.setattr(plan, "COPIED_AT_ONCE_BYTES", -1)


def make(database: CapturedMariadb, rows: int) -> None:
    for table, columns in TABLES.items():
        parts = " partition by range (id) (partition a values less than (500), partition b values less than maxvalue)"
        database.sql(f"create table {table} ({columns}){parts if table == 'parts' else ''}")
        names, values = _ID.get(table, ("id", "{0}"))
        database.sql(f"insert into {table} ({names}, n, v) select {values.format('seq')}, 0, 'v' from seq_1_to_{rows}")


def write(database: CapturedMariadb, seed: int, done: Callable[[], bool]) -> None:
    """Inserts, updates, deletes and re-keys, at times in long transactions, at times undone or truncated."""
    rng = random.Random(seed)
    with database.server.connect(database.database) as c, c.cursor() as cursor:
        cursor.execute("set innodb_lock_wait_timeout = 1, lock_wait_timeout = 2")
        while not done():
            try:
                c.begin()
                for _ in range(rng.choice([1, 1, 3, 30])):
                    cursor.execute(_statement(rng))
                (c.commit if rng.random() < 0.85 else c.rollback)()
                if rng.random() < 0.01:
                    cursor.execute("truncate plain")
            except (pymysql.IntegrityError, pymysql.OperationalError):
                c.rollback()
            cursor.execute(f"do sleep({rng.choice([0, 0, 0.003])})")


def _statement(rng: random.Random) -> str:
    table = rng.choice(list(TABLES))
    i = rng.randrange(1, 1200)
    names, values = _ID.get(table, ("id", "{0}"))
    values = values.format(i)
    key = f"({names}) = ({values})" if "," in names else f"{names} = {values}"
    match rng.randrange(8):
        case 0:
            return f"delete from {table} where {key}"
        case 1 | 2:
            return f"insert ignore into {table} ({names}, n, v) values ({values}, 1, 'new')"
        case 3:
            return f"update {table} set {_OTHER.get(table, 'id = 2000 + id')} where {key}"
        case _:
            return f"update {table} set n = n + 1, v = '{rng.random()}' where {key}"


@asynccontextmanager
async def writing(database: CapturedMariadb, seed: int) -> AsyncGenerator[None]:
    stop = asyncio.Event()
    writers = [asyncio.create_task(asyncio.to_thread(write, database, 100 * seed + n, stop.is_set)) for n in range(2)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*writers)


async def check(database: CapturedMariadb) -> None:
    """The log amounts to the tables as they are."""
    for table in TABLES:
        assert database.rows(table) == await database.copied(table), table


async def interrupted_asking(database: CapturedMariadb, rng: random.Random) -> None:
    """As `interrupted`, asking for a snapshot unless there is one."""
    source = source_of(database, batch_rows=rng.choice([7, 60, 4000]))

    async def ask() -> None:
        if not source.snapshots and database.log.frontier > START:
            await source.snapshot_again("*", None, None)

    await interrupted(database, source, rng, steps=(2, 40), seconds=(0.3, 1.0), ask=ask)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_read_again_beside_writers_changes_nothing(database: CapturedMariadb, seed: int) -> None:
    # given captured tables and writers that never stop
    make(database, 1000)
    async with streaming(database, batch_rows=70) as source, writing(database, seed):
        before = len(database.log.changes)

        # when all are read again
        await again(source, "*")

    # then nothing went back in time or was lost; rows that the stream told of meanwhile were left out
    await check(database)
    reads = [c for c in database.log.changes[before:] if c.op is Op.READ]
    assert {c.schema.table.partition(".")[2] for c in reads} >= set(TABLES) - {"plain"}
    assert len({c.position.major for c in reads}) >= len(TABLES)


@pytest.mark.parametrize("seed", range(3))
async def test_kills_at_any_point_of_a_snapshot_beside_the_stream(database: CapturedMariadb, seed: int) -> None:
    # given tables that are read again, and writers
    rng = random.Random(seed)
    make(database, 1000)
    await database.capture()

    # when the source dies again and again, with and without its last steps on disk
    async with writing(database, seed):
        for _ in range(10):
            await interrupted_asking(database, rng)
        async with streaming(database, batch_rows=500) as source:
            if not source.snapshots:
                await source.snapshot_again("*", None, None)
            await eventually(lambda: all(j.ended_at for j in source.snapshots))
            assert {j.state for j in source.snapshots} == {SnapshotState.DONE}

    # then the log amounts to the tables (the log itself checks that positions only grow)
    await database.capture()
    await check(database)


def rows(database: CapturedMariadb, table: str = "t", count: int = 1000) -> None:
    database.sql(
        f"create table {table}(id int primary key, n int)", f"insert into {table} select seq, 0 from seq_1_to_{count}"
    )


async def test_a_snapshot_repairs_what_differs(database: CapturedMariadb) -> None:
    # given a log that lost rows, and the last changes of others
    rows(database)
    await database.capture()
    database.sql("delete from t where id > 900", "update t set n = 7 where id < 5")
    await database.capture()
    damaged = MemoryLog()
    for captured in database.log.steps:
        kept = [c for c in captured.changes if c.op is Op.READ and int(str(c.key[0])) % 10]
        damaged.append(replace(captured, changes=kept))
    damaged.position, damaged.frontier = database.log.position, START
    database.log = damaged

    # when first a part of the table is read again, then all of it
    async with streaming(database, batch_rows=100) as source:
        (part,) = await again(source, f"{database.database}.t", "3", "950")
        after_part = database.rows("t")
        (whole,) = await again(source, "t")

    # then the part is right within its bounds, and the whole everywhere
    table = await database.copied("t")
    assert {k: r for k, r in after_part.items() if k[0] in range(3, 951)} == {
        k: r for k, r in table.items() if k[0] in range(3, 951)
    }
    assert (after_part[1,], after_part[951,]) == ((1, 0), (951, 0))
    assert database.rows("t") == table
    assert (part.deleted, whole.deleted) == (45, 45)
    assert (part.note, part.problem) == (None, None)


async def test_keys_of_every_type_are_read_in_chunks_and_compared(database: CapturedMariadb) -> None:
    # given a table for each type that a key may have, with values whose order is not that of their text
    kinds = {
        "bigint unsigned": "18446744073709551615 - seq", "decimal(20,5)": "seq * 1.00001 - 20",
        "double": "seq / 7 - 3", "float": "seq / 7 - 3", "bit(40)": "seq * 3000000", "year": "1950 + seq",
        "date": "'1999-12-01' + interval seq day",
        "datetime(3)": "'1999-12-01' + interval seq * 70001 second", "timestamp(6)": "'1999-12-01' + interval seq hour",
        "time(2)": "sec_to_time(cast(seq as signed) * 9000 - 200000)", "varbinary(9)": "unhex(hex(seq * 77777))",
        "binary(4)": "unhex(hex(seq * 7777))",
        "varchar(9) character set utf16": "concat('ä', char(120 - seq using ascii), seq)",
        "char(9) character set cp1251": "concat('Ж', seq)",
        "varchar(9) collate utf8mb4_bin": "concat(char(60 + seq), ' ')",
        "inet6": "concat('2001:db8::', seq)", "inet4": "concat('10.0.', seq % 7, '.', seq)",
        "uuid": "insert(insert(md5(seq), 13, 1, '4'), 17, 1, 'a')",
        "enum('" + "','".join(f"{90 - n}x" for n in range(60)) + "')": "seq",
        "set('z','y','x','w','v','u')": "seq",
    }  # fmt: skip
    for n, (kind, value) in enumerate(kinds.items()):
        database.sql(
            f"create table t{n}(id {kind}, a int, n int, primary key (a, id))",
            f"insert into t{n} select {value}, seq % 2, 0 from seq_1_to_60",
        )

    # when each is read again in small chunks, after some rows went without the log's knowing
    async with streaming(database, batch_rows=7) as source:
        database.sql("set sql_log_bin = 0", *(f"delete from t{n} where a = 1 limit 2" for n in range(len(kinds))))
        database.sql(*(f"update t{n} set n = 5 where a = 0" for n in range(len(kinds))), "set sql_log_bin = 1")
        jobs = await again(source, "*")

    # then each row came once, and what was gone is gone
    for n, kind in enumerate(kinds):
        assert database.rows(f"t{n}") == await database.copied(f"t{n}"), kind
    assert {j.table.rpartition(".")[2]: (j.done, j.deleted) for j in jobs} == {
        f"t{n}": (58, 2) for n in range(len(kinds))
    }


async def test_keys_that_a_column_can_no_longer_hold_are_gone(database: CapturedMariadb) -> None:
    database.sql(
        "create table t(id varchar(9) collate utf8mb4_bin primary key)", "insert into t values ('a'), ('ä'), ('Ж')"
    )
    async with streaming(database) as source:
        await asyncio.to_thread(
            database.sql, "set sql_log_bin = 0", "delete from t where id = 'Ж'",
            "alter table t modify id varchar(9) character set latin1", "set sql_log_bin = 1",
        )  # fmt: skip
        (job,) = await again(source, "t")

    assert database.rows("t") == {("a",): ("a",), ("ä",): ("ä",)}
    assert job.deleted == 1


async def test_a_range_of_a_key_of_several_columns(database: CapturedMariadb) -> None:
    # given a key whose index has its columns in another order than the table
    database.sql(
        "create table t(a int, b varchar(5), n int, primary key (b, a))",
        "insert into t select seq % 5, char(97 + seq div 5), 0 from seq_0_to_49",
    )
    async with streaming(database) as source:
        before = len(database.log.changes)
        await again(source, "t", "2,c", "3")

        # a bound may name the first columns only; they count in the order in which keys are written
        read = [c.key for c in database.log.changes[before:]]
        assert {k for k in read if k[0] == 2} == {(2, chr(n)) for n in range(ord("c"), ord("j") + 1)}
        assert {k for k in read if k[0] == 3} == {(3, chr(n)) for n in range(ord("a"), ord("j") + 1)}
        assert {k[0] for k in read} == {2, 3}


@pytest.mark.parametrize(
    ("kind", "values", "first", "last", "gone"),
    [
        ("varchar(9) character set latin1", ("a", "B", "c", "D"), "b", "C", ["B", "c"]),
        ("time", ("-100:00:00", "-09:00:00", "08:00:00", "300:00:00"), "-10:00:00", "200:00:00",
         ["-09:00:00", "08:00:00"]),
        ("varbinary(9)", ("a", "b", "c", "d"), "\\x62", "\\x63", [b"b", b"c"]),
        ("decimal(9,2)", ("-20", "-3", "4", "100"), "-3.5", "50", ["-3.00", "4.00"]),
    ],
)  # fmt: skip
async def test_rows_that_are_gone_are_looked_for_within_the_range(
    database: CapturedMariadb, kind: str, values: tuple[str, ...], first: str, last: str, gone: list[object]
) -> None:
    database.sql(f"create table t(id {kind} primary key)", *(f"insert into t values ('{v}')" for v in values))
    async with streaming(database) as source:
        database.sql("set sql_log_bin = 0", "delete from t", "set sql_log_bin = 1")
        (job,) = await again(source, "t", first, last)

        deleted = [c.key[0] for c in database.log.changes if c.op is Op.DELETE]
        assert sorted(deleted, key=str) == sorted(gone, key=str)
        assert job.deleted == 2


async def test_what_cannot_be_read_again_is_told(database: CapturedMariadb) -> None:
    rows(database)
    database.sql("create table e(id enum('b','a') primary key)", "create table d(id date primary key)")
    async with streaming(database) as source:
        with pytest.raises(NotFound) as none:
            await source.snapshot_again("nothing", None, None)
        for table, first, told in (
            ("*", "1", "one table"), ("t", "one", "id, of type int"), ("t", "1,2", "values of the key (id)"),
            ("d", "someday", "id, of type date"), ("e", "a", "id, of type enum"),
        ):  # fmt: skip
            with pytest.raises(BadRequest) as bad:
                await source.snapshot_again(table, first, None)
            assert told in bad.value.expected
        with pytest.raises(NotFound):
            await source.cancel_snapshot("99")

    assert f"{database.database}.t" in none.value.expected


async def test_a_snapshot_can_be_cancelled(database: CapturedMariadb) -> None:
    # given one that cannot go on, because the table is locked
    rows(database)
    async with streaming(database) as source:
        with database.server.connect(database.database) as other:
            other.cursor().execute("lock tables t write")
            (job,) = await source.snapshot_again("t", None, None)

            # when it is cancelled, and the table free again
            cancelled = await source.cancel_snapshot(job.id)
            other.cursor().execute("unlock tables")

        # then it has ended, and another one goes through
        assert cancelled.state is SnapshotState.CANCELLED
        await again(source, "t")
    assert database.rows("t") == await database.copied("t")


async def test_a_view_tells_its_place_whatever_the_log_holds_last(
    database: CapturedMariadb, mariadb: MariadbApart
) -> None:
    # given a server on which nothing happens after the log's last event
    rows(database)
    database.sql("create table m(id int) engine = myisam")
    async with streaming(database) as source:
        for last in (
            ("flush binary logs",), ("alter table t add x int",), ("insert into m values (1)",), ("truncate t",),
            ("begin", "insert into m values (1)", "insert into t values (1, 0, 0)", "rollback"), ("analyze table t",),
            ("update t set n = 1",), ("flush binary logs", "flush binary logs"),
        ):  # fmt: skip
            database.sql(*last)

            # then a snapshot does not wait for more
            await again(source, "t")
        database.prepare(f"'{database.id}'", "insert into t values (7, 7, 7)")
        await again(source, "t")
        database.sql(f"xa commit '{database.id}'")
        await again(source, "t")
    assert database.rows("t") == await database.copied("t")


# ---- tables that come later, and first copies that were interrupted --------------------------------------------------


async def test_large_tables_that_are_added_are_read_beside_the_stream(
    database: CapturedMariadb, nothing_is_small: None
) -> None:
    # given a captured table, and one that was captured before, has changed since, and is taken in again
    rows(database)
    rows(database, "later", 3000)
    await database.capture()
    await database.capture(tables=("t",))
    database.sql("delete from later where id > 2000", "update later set n = 1 where id < 10")

    # when it is, and rows of both change meanwhile; and it dies in the middle
    source = source_of(database, batch_rows=50)
    async with aclosing(source.stream(database.log.resume)) as steps:
        async for captured in steps:
            database.log.append(captured)
            if sum(c.op is Op.READ for c in captured.changes) and any(j.done > 500 for j in source.snapshots):
                break
    await source.close()
    database.sql("delete from later where id in (3, 1500)", "update later set id = -id where id in (7, 1700)")
    async with streaming(database, batch_rows=50) as source:
        database.sql("update t set n = n + 1 where id < 5", "update later set n = 9 where id % 100 = 0")
        (job,) = await ended(source)

    # then both are as they are at the source, and nothing was read twice
    assert (job.reason, job.state) == ("added", SnapshotState.DONE)
    for table in ("t", "later"):
        assert database.rows(table) == await database.copied(table)
    topic = database.log.of(database.topic("later"))
    last = max(i for i, c in enumerate(topic) if c.op is Op.TRUNCATE)
    reads = [c.key for c in topic[last:] if c.op is Op.READ]
    assert len(reads) == len(set(reads))


async def test_a_large_table_that_takes_anothers_place_is_read_beside_the_stream(
    database: CapturedMariadb, nothing_is_small: None
) -> None:
    rows(database)
    rows(database, "u")
    async with streaming(database, batch_rows=50) as source:
        # when an online schema change swaps it in, as gh-ost does, while another table goes on
        await asyncio.to_thread(  # it waits for whoever reads the table in this very moment
            database.sql,
            "create table _t_gho like t", "alter table _t_gho add w varchar(5) default 'w'",
            "insert into _t_gho(id, n) select id, n + 1 from t where id > 3", "rename table t to _t_del, _t_gho to t",
            "insert into t values (2001, 5, 'x')", "update u set n = 3 where id = 1", "delete from t where id = 900",
        )  # fmt: skip
        # then both are read; the one that was swapped in may have been noticed under its first name too
        names = {f"{database.database}.t", f"{database.database}._t_del"}
        await eventually(lambda: names <= {j.table for j in source.snapshots if j.state is SnapshotState.DONE})

    for table in ("t", "u", "_t_del"):
        assert database.rows(table) == await database.copied(table)


async def test_tables_that_change_while_they_are_read(database: CapturedMariadb) -> None:
    # given a table that is read in small chunks
    database.sql(
        "create table t(id int primary key, a int, b text)", "insert into t select seq, seq, 'x' from seq_1_to_3000"
    )
    rows(database, "dropped")
    async with streaming(database, batch_rows=50) as source:
        (job,) = await source.snapshot_again("t", None, None)

        # when columns come, go and change their names, types and key meanwhile, and it is emptied and filled again
        for statement in (
            "alter table t add c int default 5", "update t set c = 6 where id < 100", "alter table t drop a",
            "alter table t change b d longtext", "alter table t modify c varchar(9)", "delete from t where id = 3",
            "truncate t", "insert into t select seq, 'y', 'z' from seq_500_to_2500",
            "update t set d = 'w' where id = 600",
        ):  # fmt: skip
            await asyncio.to_thread(database.sql, statement)
        (done,) = await ended(source, job.id)
        assert done.state is SnapshotState.DONE, done
        await again(source, "t")

        # and one that is dropped is told as such
        (other,) = await source.snapshot_again("dropped", None, None)
        await asyncio.to_thread(database.sql, "drop table dropped")
        (gone,) = await ended(source, other.id)
        await again(source, "t")

    assert database.rows("t") == await database.copied("t")
    assert gone.state in (SnapshotState.FAILED, SnapshotState.DONE)
    assert gone.state is SnapshotState.DONE or gone.problem


@pytest.mark.parametrize("seed", range(2))
async def test_kills_at_any_point_of_a_first_copy(database: CapturedMariadb, seed: int) -> None:
    # given tables that were never captured, and writers
    rng = random.Random(seed)
    make(database, 1000)
    async with writing(database, seed):
        # when the source dies again and again while it copies
        for _ in range(8):
            await killed_while_copying(database, rng)

        # then it goes on each time
        async with streaming(database, batch_rows=500) as source:
            await eventually(lambda: all(j.ended_at for j in source.snapshots))
            assert {j.state for j in source.snapshots} <= {SnapshotState.DONE}
    await database.capture()
    await check(database)


async def test_a_first_copy_that_was_interrupted_promises_nothing_before_its_end(database: CapturedMariadb) -> None:
    # given a copy that ended after one of three tables
    for table in ("a", "b", "c"):
        rows(database, table)
    source = source_of(database, batch_rows=100)
    async with aclosing(source.stream(database.log.resume)) as steps:
        async for captured in steps:
            database.log.append(captured)
            if len(database.log.of(database.topic("b"))) == 300:
                break
    await source.close()
    database.sql("update a set n = 1", "delete from a where id = 7", "update b set id = -id where id in (5, 500)")

    # when it goes on
    again = source_of(database, batch_rows=100)
    head = await again.head()
    await catch_up(again, database.log)
    await again.close()

    # then the frontier came with the last row, and what was copied was not read again
    assert database.log.frontier >= head
    for table in ("a", "b", "c"):
        assert database.rows(table) == await database.copied(table)
    for table in ("a", "b", "c"):
        read = [c.key for c in database.log.of(database.topic(table)) if c.op is Op.READ and c.key != (-500,)]
        assert len(read) == len(set(read))
    for step in database.log.steps:
        if any(c.op is Op.READ for c in step.changes):
            assert step.frontier == START


async def test_a_first_copy_whose_log_was_purged_meanwhile_begins_again(mariadb_apart: MariadbApart) -> None:
    database = CapturedMariadb(mariadb_apart)
    rows(database)
    source = source_of(database, batch_rows=100)
    async with aclosing(source.stream(database.log.resume)) as steps:
        async for captured in steps:
            database.log.append(captured)
            if len(database.log.changes) >= 300:
                break
    await source.close()
    database.sql("delete from t where id = 5", "flush binary logs")
    (last,) = [row[0] for row in database.query("show master status")]

    def purged() -> bool:
        database.sql(f"purge binary logs to '{last}'")
        return [row[0] for row in database.query("show binary logs")] == [last]

    await eventually(purged)
    await database.capture()

    assert database.rows("t") == await database.copied("t")
    await database.close()


async def test_a_commit_that_others_cannot_see_yet_is_not_undone(mariadb_apart: MariadbApart) -> None:
    # given a commit that is in the log, and so in the stream, while it waits for a replica that never answers
    database = CapturedMariadb(mariadb_apart)
    rows(database)
    async with streaming(database, batch_rows=100) as source:
        mariadb_apart.sql(
            "set global rpl_semi_sync_master_timeout = 600000",
            "set global rpl_semi_sync_master_wait_point = AFTER_SYNC", "set global rpl_semi_sync_master_enabled = ON",
        )  # fmt: skip
        waiting = asyncio.create_task(asyncio.to_thread(database.sql, "update t set n = 9 where id = 500"))
        await eventually(lambda: database.rows("t")[500,] == (500, 9))
        with mariadb_apart.connect(database.database) as plain, plain.cursor() as cursor:
            cursor.execute("select n from t where id = 500")
            assert cursor.fetchone() == (0,)

        # when the table is read again
        (job,) = await source.snapshot_again("t", None, None)
        await asyncio.sleep(0.3)

        # then the row does not go back, neither before nor after the commit is seen
        assert database.rows("t")[500,] == (500, 9)
        assert not waiting.done()
        mariadb_apart.sql("set global rpl_semi_sync_master_enabled = OFF")
        await waiting
        await ended(source, job.id)
    changes = database.log.of(database.topic("t"))
    assert [c.after for c in changes if c.key == (500,)] == [(500, 0), (500, 9), (500, 9)]
    await database.close()


@pytest.mark.parametrize("crash", [True, False])
async def test_a_snapshot_goes_on_when_the_server_has_restarted(mariadb_apart: MariadbApart, crash: bool) -> None:
    # given a snapshot that runs when its server ends, and nothing that is written after
    mariadb_apart.sql("set global innodb_flush_log_at_trx_commit = 1")  # what is in the log is to survive a crash
    database = CapturedMariadb(mariadb_apart)
    rows(database, count=20_000)
    async with streaming(database, batch_rows=100) as source:
        database.sql("update t set n = 3 where id = 9")
        (job,) = await source.snapshot_again("t", None, None)
        await eventually(lambda: source.snapshots[-1].done > 300)
        (mariadb_apart.kill if crash else mariadb_apart.stop)()
        await eventually(lambda: source.problem is not None)
        mariadb_apart.start()

        # then it goes on where it was
        (done,) = await ended(source, job.id)
        assert done.state is SnapshotState.DONE
        assert done.done == 20_000
    assert database.rows("t") == await database.copied("t")
    database.connection = mariadb_apart.connect(database.database)
    await database.close()

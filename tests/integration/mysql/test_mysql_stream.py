"""What a MariaDB source gives out of the binary log: transactions, DDL, tables that come and go."""

from __future__ import annotations

import asyncio

import pytest

from headrace.change import Op
from tests.captured_mariadb import CapturedMariadb
from tests.memory_log import catch_up, eventually, run
from tests.servers import MariadbApart


async def test_transactions_come_whole_and_numbered(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, n int)", "create table other(id int primary key)")
    await database.capture(tables=("t",))
    database.transaction(
        "insert into t values (1, 0), (2, 0)", "insert into other values (1)", "update t set n = n + 1",
        "update t set id = id + 10 where id = 2",
    )  # fmt: skip
    database.transaction("delete from t where id = 1", "insert into t values (1, 5)")
    await database.capture(tables=("t",))

    changes = database.log.changes
    assert [(c.op.value, c.key, c.after) for c in changes] == [
        ("c", (1,), (1, 0)), ("c", (2,), (2, 0)), ("u", (1,), (1, 1)), ("u", (2,), (2, 1)),
        ("d", (2,), None), ("c", (12,), (12, 1)), ("d", (1,), None), ("c", (1,), (1, 5)),
    ]  # fmt: skip
    assert len({c.position.major for c in changes}) == 2
    assert [c.before for c in changes[2:5]] == [(1, 0), (2, 0), (2, 1)]
    assert len({c.transaction for c in changes}) == 2


async def test_two_keys_swapped_in_one_transaction(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, v text)", "insert into t values (1, 'a'), (2, 'b')")
    await database.capture()
    database.transaction(*(f"update t set id = {b} where id = {a}" for a, b in ((1, 3), (2, 1), (3, 2))))
    await database.capture()

    assert database.rows("t") == {(1,): (1, "b"), (2,): (2, "a")}


async def test_what_is_rolled_back_is_not_given(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)", "create table m(id int) engine = myisam")
    await database.capture()
    database.connection.begin()
    database.sql("insert into t values (1)")
    database.connection.rollback()
    # a table that cannot roll back puts the whole transaction, and its end, into the log
    database.connection.begin()
    database.sql("insert into t values (2)", "insert into m values (1)", "insert into t values (3)")
    database.connection.rollback()
    database.connection.begin()
    database.sql(
        "insert into t values (4)", "savepoint a", "insert into t values (5)", "insert into m values (1)",
        "rollback to savepoint a", "insert into t values (6)",
    )  # fmt: skip
    database.connection.commit()
    database.sql("insert into t values (7)")
    await database.capture()

    assert sorted(database.rows("t")) == [(4,), (6,), (7,)]
    assert database.rows("t") == await database.copied("t")


async def test_prepared_transactions_count_when_they_are_committed(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, n int)")
    await database.capture()
    name = database.id
    for which, i in (("a", 1), ("b", 2), ("c", 3)):
        database.prepare(
            f"'{name}{which}', 'x'", f"insert into t values ({i}, 0)", f"update t set n = 1 where id = {i}"
        )
        await database.capture()
        assert not database.log.changes
    database.sql("insert into t values (4, 4)")
    await database.capture()
    database.sql(f"xa commit '{name}a', 'x'", f"xa rollback '{name}b', 'x'")
    await database.capture()
    database.sql(f"xa commit '{name}c', 'x'")
    database.sql(f"xa start '{name}d'", "insert into t values (5, 5)", f"xa end '{name}d'")
    database.sql(f"xa commit '{name}d' one phase")
    await database.capture()

    assert [c.key for c in database.log.changes] == [(4,), (1,), (1,), (3,), (3,), (5,)]
    assert database.rows("t") == await database.copied("t")
    assert not await database.log.state.scan("xa:")


async def test_a_transaction_prepared_before_the_first_copy_is_not_lost(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    name = database.id
    database.prepare(f"'{name}'", "insert into t values (1)")
    await database.capture()
    database.sql(f"xa commit '{name}'")
    await database.capture()

    assert sorted(database.rows("t")) == [(1,)]


async def test_truncates_and_drops_empty_what_they_name(database: CapturedMariadb) -> None:
    database.sql(
        "create table a(id int primary key)", "create table b(id int primary key)",
        "create table `c``d`(id int primary key)",
        "insert into a values (1)", "insert into b values (1)", "insert into `c``d` values (1)",
    )  # fmt: skip
    await database.capture()
    database.sql("truncate a", "insert into a values (2)", f"truncate table `{database.database}` . `c``d`")
    database.sql("drop table b", "create table b(id int primary key, v text)", "insert into b values (3, 'x')")
    await database.capture()

    assert database.rows("a") == {(2,): (2,)}
    assert database.rows("b") == {(3,): (3, "x")}
    assert database.rows("c`d") == {}
    assert [c.op for c in database.log.of(database.topic("a"))] == [Op.READ, Op.TRUNCATE, Op.CREATE]


async def test_columns_change_in_mid_stream(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, a int)", "insert into t values (1, 1)")
    await database.capture()
    # when nothing reads while one change of columns follows another
    database.sql(
        "insert into t values (2, 2)",
        "alter table t add b varchar(5) default 'd' first", "insert into t values ('x', 3, 3)",
        "alter table t drop a", "insert into t values ('y', 4)",
        "alter table t change b c longtext", "insert into t values ('z', 5)",
        "alter table t modify c enum('d','x','y','z','yy')", "insert into t values ('yy', 6)",
        "alter table t add u uuid", "insert into t values ('z', 7, '123e4567-e89b-12d3-a456-426614174000')",
    )  # fmt: skip
    log = await database.capture()

    rows = [(tuple((x.name, x.type) for x in c.schema.columns), c.after) for c in log.changes[1:]]
    assert rows == [
        ((("id", "int"), ("a", "int")), (2, 2)),
        ((("b", "varchar"), ("id", "int"), ("a", "int")), ("x", 3, 3)),
        ((("b", "varchar"), ("id", "int")), ("y", 4)),
        ((("c", "longtext"), ("id", "int")), ("z", 5)),
        ((("c", "enum"), ("id", "int")), ("yy", 6)),
        ((("c", "enum"), ("id", "int"), ("u", "uuid")), ("z", 7, "123e4567-e89b-12d3-a456-426614174000")),
    ]
    assert [c.key for c in log.changes] == [(i,) for i in range(1, 8)]


async def test_tables_swapped_by_renames_as_an_online_schema_change_does(database: CapturedMariadb) -> None:
    # given a captured table, and a source that follows it
    database.sql("create table t(id int primary key, v int)", "insert into t select seq, seq from seq_1_to_100")
    source = database.source(tables=("t",))
    await catch_up(source, database.log)
    streaming = asyncio.create_task(run(source, database.log, lambda _: False))

    # when another takes its place, while rows are written
    database.sql(
        "create table _t_gho like t", "alter table _t_gho add w varchar(5) default 'w'",
        "insert into t values (101, 101)", "insert into _t_gho(id, v) select id, v from t",
        "update _t_gho set v = -v where id <= 50", "delete from _t_gho where id = 100",
        "rename table t to _t_del, _t_gho to t",
        "insert into t values (102, 102, 'x')", "update t set v = 0 where id = 60",
        "insert into _t_del values (500, 0)",
    )  # fmt: skip
    head = await source.head()
    await eventually(lambda: database.log.frontier >= head)
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    await source.close()

    # then the topic is what the table is now, also after a restart
    assert database.rows("t") == await database.copied("t")
    assert database.rows("t")[(1,)] == (1, -1, "w")
    database.sql("delete from t where id = 1")
    await database.capture(tables=("t",))
    assert database.rows("t") == await database.copied("t")


@pytest.mark.parametrize("tables", [("*",), ("t", "u"), ("t",)])
async def test_renames_in_one_statement_and_by_alter(database: CapturedMariadb, tables: tuple[str, ...]) -> None:
    database.sql(
        "create table t(id int primary key, v text)", "create table u(id int primary key, v text)",
        "insert into t values (1, 't')", "insert into u values (2, 'u')",
    )  # fmt: skip
    await database.capture(tables=tables)
    database.sql("rename table t to x, u to t, x to u", "insert into t values (3, 'new t')")
    await database.capture(tables=tables)
    assert database.rows("t") == {(2,): (2, "u"), (3,): (3, "new t")}

    database.sql(
        "alter table u rename to w", "alter table t rename as u, add z int", "insert into u values (4, 'z', 4)"
    )
    await database.capture(tables=tables)
    assert database.rows("t") == {}
    if "u" in tables:
        assert database.rows("u") == await database.copied("u")
    if tables == ("*",):
        assert database.rows("w") == {(1,): (1, "t")}


async def test_new_tables_are_followed_from_their_first_row(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    await database.capture()
    database.sql(
        "create table a(id int primary key)", "insert into a values (1)",
        "create table b(primary key (id)) select 5 as id", "create table if not exists a(id int primary key)",
        "create table c like a", "insert into c values (3)", "create or replace table a(id int primary key)",
        "insert into a values (9)", "create temporary table tmp(id int primary key)", "insert into tmp values (1)",
        "drop temporary table tmp",
    )  # fmt: skip
    await database.capture()

    for table, ids in {"a": [9], "b": [5], "c": [3]}.items():
        assert [k[0] for k in database.rows(table)] == ids
    assert {c.schema.table.partition(".")[2] for c in database.log.changes} == {"a", "b", "c"}
    assert not database.log.rejected


async def test_rows_that_go_with_a_partition(database: CapturedMariadb) -> None:
    database.sql(
        "create table t(id int primary key) partition by range(id) "
        "(partition a values less than (10), partition b values less than (20), partition c values less than (30))",
        "insert into t values (1), (11), (21)", "create table x(id int primary key)", "insert into x values (12)",
    )  # fmt: skip
    await database.capture()
    database.sql("alter table t truncate partition a")
    await database.capture()
    assert sorted(database.rows("t")) == [(11,), (21,)]
    database.sql("alter table t exchange partition b with table x", "alter table t drop partition c")
    await database.capture()

    assert sorted(database.rows("t")) == [(12,)]
    assert sorted(database.rows("x")) == [(11,)]


async def test_a_table_loses_its_key_and_gets_it_back(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, v int)", "insert into t values (1, 1)")
    await database.capture()
    database.sql("alter table t drop primary key", "insert into t values (2, 2)")
    await database.capture()
    assert [r.error.expected for r in database.log.rejected] == ["a primary key"]

    database.sql("alter table t add primary key (id)", "insert into t values (3, 3)")
    await database.capture()
    assert database.rows("t") == await database.copied("t")


async def test_tables_come_into_and_go_out_of_the_configuration(database: CapturedMariadb) -> None:
    database.sql("create table a(id int primary key)", "create table b(id int primary key)", "insert into b values (1)")
    await database.capture(tables=("a",))
    database.sql("insert into a values (1)", "insert into b values (2)")
    await database.capture(tables=("a", "b"))
    database.sql("insert into b values (3)")
    await database.capture(tables=("a", "b"))
    assert sorted(database.rows("b")) == [(1,), (2,), (3,)]

    database.sql("delete from b where id = 1")
    await database.capture(tables=("a",))
    database.sql("insert into a values (2)", "insert into b values (4)")
    await database.capture(tables=("b", "a"))
    assert sorted(database.rows("b")) == [(2,), (3,), (4,)]
    assert sorted(database.rows("a")) == [(1,), (2,)]


async def test_a_huge_transaction_comes_in_parts_that_add_up(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, v int)", "create table u(id int primary key)")
    await database.capture()
    database.transaction(
        "insert into t select seq, 0 from seq_1_to_20000", "insert into u select seq from seq_1_to_1000",
        "update t set v = 1", "delete from t where id % 2 = 0",
    )  # fmt: skip
    source = database.source(batch_rows=1000)
    before = len(database.log.steps)
    await run(source, database.log, lambda log: len(log.changes) >= 7000)
    await source.close()
    assert database.log.steps[-1].frontier < database.log.position
    # when it stops in the middle, and goes on without one of the tables
    await database.capture(tables=("t",), batch_rows=700)

    assert max(len(s.changes) for s in database.log.steps) < 6000
    assert len(database.log.steps) - before > 10
    assert len({c.position for c in database.log.changes}) == len(database.log.changes)
    assert database.rows("t") == await database.copied("t")


async def test_rotated_logs_are_followed(mariadb: MariadbApart, database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    source = database.source()
    await catch_up(source, database.log)
    streaming = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 30))
    for i in range(30):
        database.sql(f"insert into t values ({i})")
        if i % 7 == 3:
            mariadb.sql("flush binary logs")
        if i % 10 == 5:
            await asyncio.sleep(0.05)
    await streaming
    mariadb.sql("flush binary logs")
    head = await source.head()
    await run(source, database.log, lambda log: log.frontier >= head)

    assert [c.key for c in database.log.changes] == [(i,) for i in range(30)]


async def test_another_checksum_setting_in_mid_stream(mariadb: MariadbApart, database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    await database.capture()
    try:
        database.sql("insert into t values (1)")
        mariadb.sql("set global binlog_checksum = NONE")
        database.sql("insert into t values (2)")
        mariadb.sql("set global binlog_checksum = CRC32")
        database.sql("insert into t values (3)")
    finally:
        mariadb.sql("set global binlog_checksum = CRC32")
    await database.capture()

    assert sorted(database.rows("t")) == [(1,), (2,), (3,)]


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
async def test_rows_without_all_columns_whose_values_are_known(database: CapturedMariadb, image: str) -> None:
    # given a session that writes only some columns of a row into the log
    database.sql(
        "create table t(id int primary key, a int, big longtext)", "insert into t select seq, seq, 'x' from seq_1_to_9"
    )
    await database.capture()
    database.sql(f"set session binlog_row_image = '{image}'")

    # when nothing is missing of the new rows: they are inserted or updated whole, or gone
    database.sql(
        "delete from t where id = 1", "insert into t values (10, 10, 'new')", "replace into t values (2, 2, 'other')",
        "update t set id = 33, a = 3, big = 'y' where id = 3",
    )  # fmt: skip
    await database.capture()

    # then they are exact
    assert database.rows("t") == await database.copied("t")
    assert database.rows("t")[(33,)] == (33, 3, "y")


async def test_gaps_in_the_gtids_and_several_domains(database: CapturedMariadb) -> None:
    # given sequence numbers that leave some out, as a failover or an ignored transaction does, and a second domain
    database.sql("create table t(id int primary key)")
    await database.capture()
    ((now,),) = database.query("select @@gtid_current_pos")
    last = max(int(gtid.rpartition("-")[2]) for gtid in str(now).split(","))
    for n in range(1, 4):
        database.sql(f"set gtid_seq_no = {last + 1000 * n}", f"insert into t values ({n})")
        await database.capture()
    database.sql("set gtid_domain_id = 7", "insert into t values (4)", "set gtid_domain_id = 0")
    await database.capture()
    database.sql("insert into t values (5)")
    await database.capture()

    # then each transaction came once, in the log's order
    assert [c.key for c in database.log.changes] == [(n,) for n in range(1, 6)]


async def test_a_table_that_becomes_one_whose_rows_the_engine_changes(database: CapturedMariadb) -> None:
    # given two captured tables
    database.sql(
        "create table parent(id int primary key)", "insert into parent values (1), (2)",
        "create table child(id int primary key, p int)", "insert into child values (1, 1)",
    )  # fmt: skip
    await database.capture()

    # when one gets a foreign key whose effect on rows no binary log tells
    database.sql(
        "alter table child add constraint goes_with foreign key (p) references parent(id) on delete set null",
        "delete from parent where id = 1", "insert into parent values (3)", "insert into child values (2, 2)",
    )  # fmt: skip
    await database.capture()

    # then it is refused by name, with what to do, and the other one goes on
    (letter,) = database.log.rejected
    assert letter.topic == database.topic("child")
    assert "goes_with" in letter.error.got
    assert f"ALTER TABLE `{database.database}`.`child` DROP FOREIGN KEY `goes_with`" in letter.error.remedy
    assert database.rows("child") == {}
    assert database.rows("parent") == await database.copied("parent")

    # and without it, it is copied again
    database.sql("alter table child drop foreign key goes_with", "insert into child values (3, 3)")
    await database.capture()
    assert database.rows("child") == await database.copied("child") == {(1,): (1, None), (2,): (2, 2), (3,): (3, 3)}


async def test_hidden_columns_of_an_index_do_not_show(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, v text, unique (v))", "insert into t values (1, 'a')")
    await database.capture()
    database.sql("insert into t values (2, 'b')", "update t set v = 'c' where id = 1")
    await database.capture()

    assert database.rows("t") == {(1,): (1, "c"), (2,): (2, "b")}
    assert len({c.schema for c in database.log.changes}) == 1

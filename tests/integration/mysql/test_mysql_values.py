"""Every type of a MariaDB: a copied value equals the same value out of the binary log, to the digit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio

from headrace.change import Op, Row, Value
from tests.captured_mariadb import CapturedMariadb
from tests.servers import MariadbApart

# type of the column: what is written (SQL) and what is captured
CASES: dict[str, list[tuple[str, Value]]] = {
    "tinyint": [("-128", -128), ("127", 127), ("null", None)],
    "tinyint unsigned": [("255", 255)],
    "tinyint(1)": [("true", 1)],
    "smallint": [("-32768", -32768)],
    "smallint unsigned": [("65535", 65535)],
    "mediumint": [("-8388608", -8388608), ("8388607", 8388607)],
    "mediumint unsigned": [("16777215", 16777215)],
    "int": [("-2147483648", -2147483648)],
    "int unsigned": [("4294967295", 4294967295)],
    "int(8) zerofill": [("42", 42)],
    "bigint": [("-9223372036854775808", -(2**63)), ("9007199254740993", 9007199254740993)],
    "bigint unsigned": [("18446744073709551615", 2**64 - 1)],
    "float": [("0.1", 0.1), ("-16777217", -16777216.0), ("3.4e38", 3.4e38), ("1e-40", 1e-40),
              ("123456.789", 123456.79)],
    "float(7,2)": [("1234.56", 1234.56)],
    "double": [("0.1", 0.1), ("1.7976931348623157e308", 1.7976931348623157e308), ("5e-324", 5e-324)],
    "double(10,3)": [("1234.567", 1234.567)],
    "double unsigned": [("2.5", 2.5)],
    "decimal(10,2)": [("0", "0.00"), ("-1.5", "-1.50"), ("99999999.99", "99999999.99"), ("-0.01", "-0.01")],
    "decimal(65,30)": [
        ("12345678901234567890123456789012345.123456789012345678901234567891",
         "12345678901234567890123456789012345.123456789012345678901234567891"),
        ("-0.000000000000000000000000000001", "-0.000000000000000000000000000001"),
    ],
    "decimal(5,0)": [("-12345", "-12345")],
    "decimal(9,9)": [("0.123456789", "0.123456789")],
    "decimal(8,2) unsigned zerofill": [("1.5", "1.50"), ("0", "0.00")],
    "bit(1)": [("b'1'", 1)],
    "bit(12)": [("b'101000000001'", 0b101000000001)],
    "bit(64)": [("b'" + "1" * 64 + "'", 2**64 - 1)],
    "date": [("'0000-00-00'", "0000-00-00"), ("'2024-02-29'", "2024-02-29"), ("'2024-00-00'", "2024-00-00"),
             ("'9999-12-31'", "9999-12-31")],
    "datetime": [("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"), ("'2024-03-31 02:30:00'", "2024-03-31 02:30:00")],
    "datetime(3)": [("'1000-01-01 00:00:00.007'", "1000-01-01 00:00:00.007")],
    "datetime(6)": [("'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999")],
    "timestamp null": [("'2024-03-31 02:30:00'", "2024-03-31 00:30:00"), ("'0000-00-00'", "0000-00-00 00:00:00")],
    "timestamp(1) null": [("'2024-01-01 12:00:00.9'", "2024-01-01 10:00:00.9")],
    "timestamp(6) null": [("'2038-01-19 03:00:00.000001'", "2038-01-19 01:00:00.000001")],
    "time": [("'838:59:59'", "838:59:59"), ("'-838:59:59'", "-838:59:59"), ("'00:00:00'", "00:00:00")],
    "time(2)": [("'-00:00:00.01'", "-00:00:00.01"), ("'12:34:56.99'", "12:34:56.99"),
                ("'-100:00:00'", "-100:00:00.00")],
    "time(4)": [("'-1:02:03.0004'", "-01:02:03.0004")],
    "time(6)": [("'-838:59:58.999999'", "-838:59:58.999999"), ("'838:59:59.5'", "838:59:59.500000")],
    "year": [("2155", 2155), ("1901", 1901), ("0", 0)],
    "char(5)": [("'a  '", "a"), ("''", ""), ("'äöü€😀'", "äöü€😀")],
    "char(200)": [("repeat('ä', 200)", "ä" * 200)],
    "varchar(10)": [("'a  '", "a  "), ("'\\0\\'\\\\'", "\0'\\")],
    "varchar(300)": [("repeat('€', 300)", "€" * 300)],
    "varchar(10) character set latin1": [("'ä€\x81'", "ä€\x81")],
    "varchar(10) character set cp1251": [("'Жук'", "Жук")],
    "varchar(10) character set koi8r": [("'Жук'", "Жук")],
    "varchar(10) character set utf16": [("'ä😀'", "ä😀")],
    "varchar(10) character set ucs2": [("'Ж'", "Ж")],
    "char(10) character set utf32": [("'ä😀'", "ä😀")],
    "char(10) character set ascii": [("'abc'", "abc")],
    "tinytext": [("'ä'", "ä")],
    "text": [("repeat('x', 60000)", "x" * 60000)],
    "mediumtext character set latin2": [("repeat('ł', 70000)", "ł" * 70000)],
    "longtext": [("'ä'", "ä")],
    "json": [("'{\"a\": [1, null]}'", '{"a": [1, null]}')],
    "binary(4)": [("x'00ff0000'", b"\x00\xff\x00\x00"), ("x''", b"\0\0\0\0")],
    "varbinary(300)": [("x'00ff0000'", b"\x00\xff\x00\x00")],
    "tinyblob": [("x'ff00'", b"\xff\x00")],
    "blob": [("repeat(x'fe', 300)", b"\xfe" * 300)],
    "mediumblob": [("repeat(x'fe', 70000)", b"\xfe" * 70000)],
    "longblob": [("x''", b"")],
    "enum('a','ä,b','''')": [("'ä,b'", "ä,b"), ("''''", "'"), ("'no such'", "")],
    "enum('ä','ö') character set latin1": [("'ö'", "ö")],
    "set('a','b','ö')": [("'ö,a'", "a,ö"), ("''", "")],
    "set('ä','b') character set latin1": [("'b,ä'", "ä,b")],
    "uuid": [("'123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
             ("'00000000-0000-0000-0000-000000000000'", "00000000-0000-0000-0000-000000000000"),
             ("'018f4e0c-7a1b-7c3d-9e5f-000102030400'", "018f4e0c-7a1b-7c3d-9e5f-000102030400")],
    "inet6": [("'::1'", "::1"), ("'2001:db8::ff00:0'", "2001:db8::ff00:0"), ("'::ffff:1.2.3.4'", "::ffff:1.2.3.4"),
              ("'::1.2.3.4'", "::1.2.3.4"), ("'::'", "::"), ("'1:0:0:2:0:0:0:3'", "1:0:0:2::3")],
    "inet4": [("'1.2.3.0'", "1.2.3.0"), ("'0.0.0.0'", "0.0.0.0")],
    "point": [("point(1, 2)", bytes(4) + bytes.fromhex("0101000000000000000000f03f0000000000000040"))],
    "int generated always as (id * 2) virtual": [("default", 2)],
    "int generated always as (id + 1) stored": [("default", 2)],
    "int invisible": [("5", 5)],
}  # fmt: skip


@pytest_asyncio.fixture
async def database(mariadb: MariadbApart) -> AsyncIterator[CapturedMariadb]:
    made = CapturedMariadb(mariadb)
    made.sql("set time_zone = '+02:00', sql_mode = ''")
    yield made
    await made.close()


async def test_each_type_copied_and_streamed(database: CapturedMariadb) -> None:
    # given a table for each type, with a row of each value before the copy
    for n, (kind, cases) in enumerate(CASES.items()):
        database.sql(f"create table t{n}(id int primary key, v {kind})")
        for i, (sql, _) in enumerate(cases):
            database.sql(f"insert into t{n}(id, v) values ({i + 1}, {sql})")
    await database.capture()

    # when the same rows are written again, and updated
    for n, cases in enumerate(CASES.values()):
        for i, (sql, _) in enumerate(cases):
            if sql != "default":
                database.sql(f"insert into t{n}(id, v) values ({i + 1001}, {sql})")
        database.sql(f"update t{n} set id = id + 5000 where id > 1000")
    await database.capture()

    # then both are the value as the server means it, of the same type in the schema
    wrong: list[Any] = []
    for n, (kind, cases) in enumerate(CASES.items()):
        rows = database.rows(f"t{n}")
        schemas = {c.schema for c in database.log.of(database.topic(f"t{n}"))}
        for i, (sql, expected) in enumerate(cases):
            copied, streamed = rows[(i + 1,)][1], rows.get((i + 6001,), (0, copied_of(rows, i)))[1]
            if not (same(copied, expected) and same(streamed, expected)):
                wrong.append((kind, sql, expected, copied, streamed))
        if len(schemas) != 1:
            wrong.append((kind, [s.columns for s in schemas]))
    assert not wrong


def copied_of(rows: dict[Row, Row], i: int) -> Value:
    return rows[(i + 1,)][1]


def same(a: Value, b: Value) -> bool:
    return type(a) is type(b) and repr(a) == repr(b)


async def test_what_cannot_be_carried_is_refused_by_column(database: CapturedMariadb) -> None:
    database.sql(
        "create table good(id int primary key)",
        "create table chinese(id int primary key, v varchar(10) character set gbk)",
        "create table packed(id int primary key, v blob compressed)",
        "create table old(id int primary key) engine = myisam",
        "create table keyless(v int)",
        "create table parent(id int primary key)",
        "create table child(id int primary key, p int, constraint of_p foreign key(p) references parent(id) "
        "on delete cascade)",
        "create table renumbered(id int primary key, p int, constraint by_p foreign key(p) references parent(id) "
        "on update cascade)",
        "create table held(id int primary key, p int, foreign key(p) references parent(id) on delete restrict)",
        "create table versioned(id int primary key) with system versioning",
    )
    log = await database.capture()
    database.sql(
        "insert into chinese values (1, 'a')", "insert into keyless values (1)", "insert into good values (1)",
        "insert into old values (1)", "insert into versioned values (1)", "insert into parent values (1)",
        "insert into child values (1, 1)", "delete from parent", "insert into parent values (2)",
        "insert into held values (1, 2)",
    )  # fmt: skip
    await database.capture()

    told = {r.topic.rpartition(".")[2]: r.error for r in log.rejected}
    assert set(told) == {"chinese", "packed", "old", "keyless", "child", "renumbered", "versioned"}
    assert "v in gbk" in told["chinese"].got
    assert "v of type blob" in told["packed"].got
    assert "InnoDB" in told["old"].remedy
    assert "PRIMARY KEY" in told["keyless"].remedy
    for table, constraint in (("child", "of_p"), ("renumbered", "by_p")):
        assert "not in the binary log" in told[table].got
        assert constraint in told[table].got
        assert f"`{table}` DROP FOREIGN KEY `{constraint}`" in told[table].remedy
    assert [c.schema.table.rpartition(".")[2] for c in log.changes] == ["good", "parent", "parent", "parent", "held"]


async def test_a_refused_table_is_taken_when_it_is_mended(database: CapturedMariadb) -> None:
    database.sql("create table t(id int, v int)", "create table u(id int primary key)", "insert into t values (1, 2)")
    await database.capture()
    database.sql("alter table t add primary key (id)")
    await database.capture()

    assert database.rows("t") == {(1,): (1, 2)}
    assert (database.topic("t"), "") in [s for step in database.log.steps for s in step.settled]


@pytest.mark.parametrize("compressed", ["ON", "OFF"])
async def test_large_rows_and_many(mariadb: MariadbApart, database: CapturedMariadb, compressed: str) -> None:
    database.sql("create table t(id int primary key, v longblob)")
    await database.capture()
    mariadb.sql(f"set global log_bin_compress = {compressed}")
    try:
        database.sql(
            "insert into t select seq, repeat(char(seq % 256), 1000) from seq_1_to_3000",
            "insert into t values (0, repeat('x', 15000000))",
            "update t set v = concat(v, v) where id = 0",
        )
        await database.capture(batch_rows=500)
    finally:
        mariadb.sql("set global log_bin_compress = OFF")

    rows = database.rows("t")
    assert len(rows) == 3001
    assert cast("bytes", rows[(0,)][1]) == b"x" * 30_000_000
    assert rows[(300,)][1] == b"\x2c" * 1000
    assert all(c.op in (Op.CREATE, Op.UPDATE) for c in database.log.changes)

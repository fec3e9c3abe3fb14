"""A MariaDB's first copy by several sessions: they see one snapshot, and cut tables into ranges of their keys."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import closing

import pytest

from headrace.change import START, Op, Row
from headrace.sources.mysql import cutting, opening, setup
from headrace.sources.mysql.address import Address, parse
from headrace.sources.mysql.cutting import Cutter, Unit
from headrace.sources.mysql.result import Cells, Failed, ResultReader
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.shapes import Shapes
from tests.captured_mariadb import CapturedMariadb
from tests.memory_log import run

KEYS = {
    "tinyint": "cast(seq as signed) - 128", "bigint unsigned": "18446744073709551000 + seq", "bit(12)": "seq",
    "decimal(20, 4)": "if(seq % 2, seq, -seq) / 7", "float": "seq / 7", "double": "-seq / 3",
    "date": "'2026-01-01' + interval seq day", "datetime(6)": "'2026-01-01' + interval seq * 997 microsecond",
    "timestamp(3)": "timestamp'2026-01-01 00:00:00' + interval seq hour",
    "time(1)": "sec_to_time(cast(seq as signed) * 7 - 500)", "year": "1900 + seq",
    "char(9)": "concat(elt(seq % 4 + 1, 'ä', 'a', 'Z', '\\''), seq)",
    "varchar(40) character set latin1 collate latin1_german2_ci": "concat(elt(seq % 3 + 1, 'Ä', 'a', 'Z'), seq)",
    "varchar(40) collate utf8mb4_bin": "concat(elt(seq % 3 + 1, 'Ä', '😀', '\\\\'), seq)",
    "varbinary(9)": "unhex(right(md5(seq), 16))", "uuid": "insert(insert(md5(seq), 13, 1, '4'), 17, 1, 'a')",
    "inet6": "concat('::', hex(seq))", "enum('c', 'b', 'a')": "elt(seq, 'c', 'b', 'a')",
    "set('z', 'y', 'x', 'w', 'v', 'u', 't')": "seq",
}  # fmt: skip
"""A key's type, and its values for a number from 1 to 120 (of the enum: 3)."""


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "_ROWS", 7)
    monkeypatch.setattr(cutting, "_FEWEST", 7)


def address(database: CapturedMariadb, user: str = "", password: str = "") -> Address:
    url = database.server.url(database.database, user, password) if user else database.server.url(database.database)
    return parse(url)


def cut(session: Session, database: CapturedMariadb, *tables: str) -> list[Unit]:
    known = setup.charsets(session, mariadb=True)
    names = [f"{database.database}.{t}" for t in tables]
    found = {t.table: t for t in setup.look(session, names, known, setup.head(session, "it"))}
    shapes = Shapes("my", known)
    cutter = Cutter([(found[n], shapes.catalogued(found[n].catalogued)) for n in names])
    units: list[Unit] = []
    while (unit := cutter.next(session)) is not None:
        units.append(unit)
    return units


def read(session: Session, unit: Unit) -> list[Row]:
    result = ResultReader(unit.read)
    session.select(unit.query)
    while not result.ended:
        result.feed(session.block())
    session.selected()
    return result.rows


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("kind", KEYS)
def test_units_are_the_table_in_its_order(database: CapturedMariadb, kind: str) -> None:
    rows = 3 if kind.startswith("enum") else 120
    database.sql(
        f"create table t (k {kind} not null, n int not null, v text, primary key (k))",
        f"create table both_ (k {kind} not null, n int not null, v text, primary key (k, n))",
        f"insert into t select {KEYS[kind]}, seq, if(seq % 5, 'v', null) from seq_1_to_{rows}",
        f"insert into both_ select t.k, seq, v from t, seq_1_to_{3 if rows == 120 else 9}",
        "analyze table t, both_",
    )
    with closing(Session.open(address(database))) as session:
        for table in ("t", "both_"):
            units = cut(session, database, table)
            assert len(units) > (3 if table == "both_" or rows == 120 else 0)
            assert [u.last for u in units] == [False] * (len(units) - 1) + [True]
            got = [read(session, unit) for unit in units]
            assert all(len(part) == 7 for part in got[:-1])
            whole = Unit(units[0].table, units[0].schema, units[0].read, units[0].order, None, None)
            assert [row for part in got for row in part] == read(session, whole)
            assert database.query(f"select count(*) from {table}") == [(sum(map(len, got)),)]


@pytest.mark.usefixtures("small_units")
def test_tables_without_rows_or_without_an_order(database: CapturedMariadb) -> None:
    database.sql(
        "create table empty (id int primary key)",
        "create table beginnings (k varchar(200), primary key (k(3)))",
        "insert into beginnings select concat(seq, 'x') from seq_100_to_150",
        "create table seven (id int primary key)",
        "insert into seven select seq from seq_1_to_7",
        "analyze table empty, beginnings, seven",
    )
    with closing(Session.open(address(database))) as session:
        units = cut(session, database, "empty", "beginnings", "seven", "empty")
        counts = [(u.table.table.partition(".")[2], len(read(session, u)), u.last) for u in units]
    assert counts == [
        ("empty", 0, True), ("beginnings", 51, True), ("seven", 7, False), ("seven", 0, True), ("empty", 0, True),
    ]  # fmt: skip


class Moving:
    """Moves amounts between the rows of a table, one commit after another; `pause_s` between them."""

    def __init__(self, database: CapturedMariadb, pause_s: float = 0.0) -> None:
        self._database, self._pause_s = database, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.moved = 0

    def _run(self) -> None:
        with self._database.server.connect(self._database.database) as c, c.cursor() as cursor:
            while not self._stop.is_set():
                c.begin()
                cursor.execute(f"update acc set n = n - 1 where id = {self.moved % 50 + 1}")
                cursor.execute(f"update acc set n = n + 1 where id = {self.moved * 7 % 50 + 1}")
                c.commit()
                self.moved += 1
                time.sleep(self._pause_s)

    def __enter__(self) -> Moving:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def accounts(database: CapturedMariadb) -> None:
    database.sql("create table acc (id int primary key, n int)", "insert into acc select seq, 10 from seq_1_to_50")


def shown(session: Session) -> Sequence[Cells]:
    return session.rows("select id, n from acc order by id")


def test_sessions_see_one_snapshot_while_others_commit(database: CapturedMariadb) -> None:
    accounts(database)
    met = 0
    with Moving(database, pause_s=0.001) as moving:
        for _ in range(10):
            sessions, point, _ = opening.open_together(address(database), [f"{database.database}.acc"], mariadb=True)
            before = moving.moved
            while moving.moved < before + 5:
                time.sleep(0.001)
            views = [shown(s) for s in sessions]
            met += len(sessions) == opening.CONNECTIONS
            for session in sessions:
                session.close()
            assert point > 0
            assert all(view == views[0] for view in views)
            assert sum(int(n or b"") for _, n in views[0]) == 500
    assert met


def test_snapshots_that_do_not_meet_leave_one(database: CapturedMariadb, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts(database)
    monkeypatch.setattr(opening, "_MEET_S", 0.2)
    begin = opening.begin

    def disturbed(session: Session) -> int:
        database.sql("update acc set n = n + 1 where id = 1")
        return begin(session)

    monkeypatch.setattr(opening, "begin", disturbed)
    sessions, point, _ = opening.open_together(address(database), [f"{database.database}.acc"], mariadb=True)
    assert len(sessions) == 1
    assert point == setup.head(sessions[0], "it").major
    assert shown(sessions[0]) == [tuple(str(v).encode() for v in row) for row in database.query("select * from acc")]
    sessions[0].close()


def test_ddl_that_waits_for_the_first_leaves_one(database: CapturedMariadb, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts(database)
    altering: list[threading.Thread] = []
    rows = Session.rows

    def alter() -> None:
        with database.server.connect(database.database) as c, c.cursor() as cursor:
            cursor.execute("alter table acc add column more int")

    def watched(session: Session, statement: str, *values: str | int) -> list[Cells]:
        # Between the first session's hold on the table and the second's.
        if statement == setup.SQL["lock_briefly"]:
            altering.append(threading.Thread(target=alter))
            altering[0].start()
            waits = "select 1 from information_schema.processlist where state like 'Waiting for table metadata%'"
            while not database.query(waits):
                time.sleep(0.01)
        return rows(session, statement, *values)

    monkeypatch.setattr(Session, "rows", watched)
    sessions, _, _ = opening.open_together(address(database), [f"{database.database}.acc"], mariadb=True)
    assert len(sessions) == 1
    assert len(shown(sessions[0])) == 50
    sessions[0].close()
    altering[0].join()


@pytest.mark.usefixtures("small_units")
async def test_a_copy_by_several_sessions_while_others_write(database: CapturedMariadb) -> None:
    accounts(database)
    database.sql("create table other (id int primary key, v text)")
    database.sql("insert into other select seq, repeat('o', seq) from seq_1_to_300", "analyze table other, acc")
    with Moving(database, pause_s=0.001):
        source = database.source(batch_rows=3)
        await run(source, database.log, lambda log: log.frontier > START)
        await source.close()
    await database.capture()

    assert database.rows("acc") == {(i,): (i, n) for i, n in database.query("select id, n from acc")}
    assert len(database.rows("other")) == 300
    copied = [c.key for c in database.log.changes if c.op is Op.READ and c.schema.table.endswith("other")]
    assert copied == [(n,) for n in range(1, 301)]


async def test_a_user_with_few_connections_copies_with_one(database: CapturedMariadb) -> None:
    # given a user whose fourth connection the server refuses (the stream, statements, a first copy)
    accounts(database)
    user, password = f"few_{database.id}", "Few-1"
    database.server.sql(
        f"create user '{user}'@'%' identified by '{password}' with max_user_connections 3",
        f"grant select on {database.database}.* to '{user}'@'%'",
        f"grant replication slave, replication client, binlog monitor on *.* to '{user}'@'%'",
    )
    try:
        source = database.source(url=database.server.url(database.database, user, password))
        await asyncio.wait_for(run(source, database.log, lambda log: log.frontier > START), 60)
        await source.close()
        assert len(database.rows("acc")) == 50
    finally:
        database.server.sql(f"drop user '{user}'@'%'")


async def test_a_file_that_the_log_begins_before_the_copy(
    database: CapturedMariadb, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(database)
    begin = opening.begin

    def later(session: Session) -> int:
        if not flushed:
            flushed.append("it")
            database.sql("flush binary logs")
        return begin(session)

    flushed: list[str] = []
    monkeypatch.setattr(opening, "begin", later)
    await database.capture()
    database.sql("update acc set n = 11 where id = 1")
    await database.capture()
    assert database.rows("acc")[(1,)] == (1, 11)
    assert flushed


def test_a_session_is_of_use_after_its_rows_were_read(database: CapturedMariadb) -> None:
    accounts(database)
    with closing(Session.open(address(database))) as session:
        (unit,) = cut(session, database, "acc")
        assert len(read(session, unit)) == 50
        assert session.rows("select 1") == [(b"1",)]
        with pytest.raises(Failed, match="doesn't exist"):
            session.select("select 1 from nothing")
        assert len(read(session, unit)) == 50


@pytest.mark.parametrize("behind", ["tables", "columns", "cascades"])
def test_a_table_that_goes_while_it_is_looked_at_is_left_out(
    database: CapturedMariadb, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    # given a table that an online schema change takes away in the moment behind a statement
    database.sql("create table t(id int primary key)", "create table _t_gho(id int primary key)")
    plain = Session.rows

    def rows(session: Session, statement: str, *values: str | int) -> list[Cells]:
        found = plain(session, statement, *values)
        if statement == setup.SQL[behind]:
            database.sql("drop table if exists _t_gho")
        return found

    monkeypatch.setattr(Session, "rows", rows)
    with closing(Session.open(address(database))) as session:
        known, at = setup.charsets(session, mariadb=True), setup.head(session, "it")
        # when they are looked at
        found = setup.look(session, [f"{database.database}.{t}" for t in ("t", "_t_gho")], known, at)
    # then it is as if it had never been, and the other is there
    assert [(f.table, f.refused) for f in found] == [(f"{database.database}.t", None)]

"""A MariaDB source through crashes, lost connections and lost logs: exactly on, or an error that names itself."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
from collections.abc import Callable

import pymysql
import pytest

from headrace.change import Position
from headrace.errors import ConfigError, SourceError
from headrace.sources.mysql.progress import CAPTURE, PLACE
from tests.captured_mariadb import CapturedMariadb
from tests.crashing import interrupted
from tests.memory_log import MemoryLog, catch_up, eventually, run
from tests.servers import MariadbApart, free_port
from tests.streamed import ends_when_closed, finds_nobody


async def failure(database: CapturedMariadb, **settings: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(run(database.source(**settings), database.log, lambda _: False), 10)  # pyright: ignore[reportArgumentType]
    return caught.value


def write(database: CapturedMariadb, rng: random.Random, done: Callable[[], bool]) -> None:
    """What an application does, and its operator: rows, keys, truncates, renames, columns, new files of the log."""
    with database.server.connect(database.database) as c, c.cursor() as cursor:
        cursor.execute("set innodb_lock_wait_timeout = 1, lock_wait_timeout = 1")
        while not done():
            i = rng.randrange(1, 60)
            try:
                c.begin()
                for _ in range(rng.choice([1, 1, 3, 20])):
                    cursor.execute(_statement(rng, i))
                (c.commit if rng.random() < 0.9 else c.rollback)()
                if rng.random() < 0.02:
                    cursor.execute(rng.choice(_CHANGES))
            except (pymysql.IntegrityError, pymysql.OperationalError):
                c.rollback()
            cursor.execute(f"do sleep({rng.choice([0, 0.002, 0.01])})")


_CHANGES = (
    "truncate acc", "flush binary logs", "alter table acc add if not exists x int default 7",
    "alter table acc drop if exists x", "rename table acc to old, spare to acc, old to spare",
    "create or replace table made(id int primary key) select 1 as id",
)  # fmt: skip


def _statement(rng: random.Random, i: int) -> str:
    match rng.randrange(7):
        case 0:
            return f"delete from acc where id = {i}"
        case 1:
            return f"insert into acc(id, n, big) values ({i}, 0, repeat(sha2(rand(), 256), 150))"
        case 2:
            return f"update acc set id = -id where id = {i}"
        case 3:
            return f"update spare set n = n + 1 where id between {i} and {i + 9}"
        case 4:
            return f"update acc set big = sha2(rand(), 256) where id = {i}"
        case _:
            return f"update acc set n = n + 1 where id between {i} and {i + 3}"


@pytest.mark.parametrize("seed", range(6))
async def test_a_crash_at_any_point_loses_and_repeats_nothing(database: CapturedMariadb, seed: int) -> None:
    # given two tables that take each other's place, and a writer that never stops
    rng = random.Random(seed)
    database.sql(
        "create table acc(id int primary key, n int, big longtext)",
        "insert into acc select seq, 0, repeat(sha2(seq, 256), 150) from seq_1_to_50", "create table spare like acc",
        "insert into spare select * from acc where id < 20",
    )  # fmt: skip
    stop = asyncio.Event()
    writer = asyncio.create_task(asyncio.to_thread(write, database, random.Random(seed + 1000), stop.is_set))

    # when the source crashes again and again, with and without the last steps on disk
    for _ in range(8):
        await interrupted(database, database.source(batch_rows=rng.choice([1, 7, 50, 4000])), rng, pauses=[0])
    stop.set()
    await writer

    # then the log amounts to the tables (the log itself checks that positions only grow)
    await database.capture()
    for table in ("acc", "spare"):
        now, expected = database.rows(table), await database.copied(table)
        assert {key: row[:3] for key, row in now.items()} == {key: row[:3] for key, row in expected.items()}


async def test_tables_come_and_go_while_rows_are_written(database: CapturedMariadb) -> None:
    database.sql("create table a(id int primary key auto_increment, n int)", "create table b like a")
    stop = asyncio.Event()

    def writes() -> None:
        with database.server.connect(database.database) as c, c.cursor() as cursor:
            while not stop.is_set():
                for table in "ab":
                    cursor.execute(f"insert into {table}(n) values (1), (2)")
                    cursor.execute(f"update {table} set n = n + 1 order by id desc limit 3")

    writer = asyncio.create_task(asyncio.to_thread(writes))
    for n in range(12):
        await database.capture(tables=("a", "b") if n % 2 else ("a",))
    stop.set()
    await writer
    await database.capture()

    for table in "ab":
        assert database.rows(table) == await database.copied(table)


async def test_what_the_log_has_not_on_disk_is_given_again(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    await database.capture()
    durable = database.log
    kept = len(durable.steps)
    database.sql("insert into t values (1)")
    await run(database.source(), durable, lambda log: len(log.changes) == 1, acknowledge=False)
    lost = durable.changes

    database.log = durable.crashed(kept)
    log = await database.capture()

    assert log.changes == lost


async def test_a_copy_that_was_cut_short_goes_on(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)", "insert into t select seq from seq_1_to_5000")
    source = database.source(batch_rows=1000)
    await run(source, database.log, lambda log: len(log.changes) >= 2000)
    await source.close()
    database.sql("delete from t where id <= 1000", "update t set id = -id where id = 1500")
    await database.capture()

    assert database.rows("t") == await database.copied("t")


async def test_a_lost_connection_is_opened_again(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    source = database.source()
    done = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 40))
    for i in range(40):
        database.sql(f"insert into t values ({i})")
        if i % 10 == 5:
            for (thread,) in database.query(
                "select id from information_schema.processlist where command = 'Binlog Dump'"
            ):
                with contextlib.suppress(pymysql.MySQLError):
                    database.sql(f"kill {thread}")
        await asyncio.sleep(0.02)
    await done

    assert [c.key for c in database.log.changes] == [(i,) for i in range(40)]


@pytest.mark.parametrize("crash", [True, False])
async def test_a_server_that_restarts_is_met_again(mariadb_apart: MariadbApart, crash: bool) -> None:
    database = CapturedMariadb(mariadb_apart)
    database.sql("create table t(id int primary key)", "insert into t values (1)")
    source = database.source()
    done = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 2))
    await eventually(lambda: bool(database.log.changes))

    (mariadb_apart.kill if crash else mariadb_apart.stop)()
    await eventually(lambda: source.problem is not None)
    problem = source.problem
    with pytest.raises(SourceError):
        await source.head()
    mariadb_apart.start()
    database.connection = mariadb_apart.connect(database.database)
    database.sql("insert into t values (2)")
    await done

    assert isinstance(problem, SourceError)
    assert source.problem is None
    assert [c.key for c in database.log.changes] == [(1,), (2,)]
    await source.head()
    await database.close()


async def test_nobody_listens_is_a_problem_until_somebody_does(database: CapturedMariadb) -> None:
    source = database.source(url=f"mysql://me:geheim@127.0.0.1:{free_port()}/x")
    await finds_nobody(source, database.log, "geheim")


async def test_a_wrong_password_is_told_without_it(database: CapturedMariadb) -> None:
    url = database.server.url(database.database, password="geheim", query="?password=geheim")
    error = await failure(database, url=url)

    assert "Access denied" in error.got
    assert "password" in error.remedy
    assert "geheim" not in str(error) + database.source(url=url).address


@pytest.mark.parametrize(
    "url", ["mysql://me:geheim@[::1/x", "mysql://me:geheim@h:port/x", "mysql://me:geheim@h/x?sll=required",
            "mysql://me:geheim@h/x?ssl=sometimes", "mysql://"],
)  # fmt: skip
async def test_a_url_that_cannot_be_read_is_not_repeated(database: CapturedMariadb, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        database.source(url=url)

    assert "heim" not in str(caught.value)


async def test_a_database_or_table_that_is_not_there(database: CapturedMariadb) -> None:
    none = await failure(database)
    assert none.expected == f"at least one table that matches {database.database}.*"
    assert "tables" in none.remedy

    missing = await failure(database, url=database.server.url("no_such"))
    assert "Unknown database" in missing.got


async def test_a_user_without_privileges(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)", "insert into t values (1)", "create table u(id int primary key)")
    server, name = database.server, f"u{database.id}"
    server.sql(f"create user {name} identified by 'geheim'", f"grant select on {database.database}.t to {name}")
    url = server.url(database.database, name, "geheim")

    refused = await failure(database, url=url)
    assert "REPLICATION CLIENT" in refused.remedy
    server.sql(f"grant replication client on *.* to {name}")
    refused = await failure(database, url=url)
    assert "REPLICATION SLAVE" in refused.remedy
    server.sql(f"grant replication slave on *.* to {name}", f"grant insert on {database.database}.u to {name}")
    database.sql("insert into t values (2)")
    await database.capture(url=url)

    # then what may be read is captured, with no more privileges than these
    assert sorted(database.rows("t")) == [(1,), (2,)]
    assert [r.error.got for r in database.log.rejected] == ["no SELECT"]
    server.sql(f"drop user {name}")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("binlog_format", "MIXED"), ("binlog_row_image", "MINIMAL"), ("binlog_row_metadata", "NO_LOG")],
)
async def test_a_log_that_lacks_what_is_needed(mariadb_apart: MariadbApart, setting: str, value: str) -> None:
    database = CapturedMariadb(mariadb_apart)
    database.sql("create table t(id int primary key)")
    mariadb_apart.sql(f"set global {setting} = '{value}'")

    error = await failure(database)

    assert error.got == f"{setting} = {value}"
    assert f"SET GLOBAL {setting}" in error.remedy
    await database.close()


async def test_a_server_without_a_log_and_one_that_leaves_databases_out(mariadb_apart: MariadbApart) -> None:
    database = CapturedMariadb(mariadb_apart)
    database.sql("create table t(id int primary key)")
    mariadb_apart.stop()
    mariadb_apart.configure(binlog_ignore_db=database.database)
    mariadb_apart.start()
    database.log = MemoryLog()
    await database.capture()
    assert ["binlog_ignore_db" in r.error.got for r in database.log.rejected] == [True]

    mariadb_apart.stop()
    mariadb_apart.configure(skip_log_bin="1")
    mariadb_apart.start()
    error = await failure(database)
    assert error.got == "log_bin = OFF"
    database.connection = mariadb_apart.connect(database.database)
    await database.close()


# ---- logs that are lost ----------------------------------------------------------------------------------------------


async def prepared(server: MariadbApart) -> CapturedMariadb:
    database = CapturedMariadb(server)
    database.sql("create table t(id int primary key)")
    await database.capture()
    database.sql("insert into t values (1)")
    await database.capture()
    return database


async def purged(database: CapturedMariadb, last: str) -> bool:
    """A file that is being read is not purged, nor one that a recovery may still need."""
    database.sql(f"purge binary logs to '{last}'")
    return [row[0] for row in database.query("show binary logs")] == [last]


async def test_a_purged_log_is_an_error(mariadb_apart: MariadbApart) -> None:
    database = await prepared(mariadb_apart)
    database.sql("insert into t values (2)", "flush binary logs", "insert into t values (3)", "flush binary logs")
    (last,) = [row[0] for row in database.query("show master status")]
    await eventually(lambda: purged(database, last))

    error = await failure(database)

    assert "mariadb-bin.000001:" in error.expected
    assert f"begins with {last}" in error.got
    assert "new name" in error.remedy
    assert [c.key for c in database.log.changes] == [(1,)]
    await database.close()


@pytest.mark.parametrize("more", [0, 50])
async def test_a_reset_log_is_an_error(mariadb_apart: MariadbApart, more: int) -> None:
    database = await prepared(mariadb_apart)
    await asyncio.sleep(1.1)  # a file is known by the second in which it was begun
    database.sql("reset master", "insert into t values (2)")
    for i in range(more):
        database.sql(f"insert into t values ({i + 10})")

    error = await failure(database)

    assert "reset" in error.got
    assert [c.key for c in database.log.changes] == [(1,)]
    await database.close()


@pytest.mark.parametrize("more", [1, 100])
async def test_a_log_that_is_reset_under_its_reader_is_an_error(mariadb_apart: MariadbApart, more: int) -> None:
    database = await prepared(mariadb_apart)
    source = database.source()
    task = asyncio.create_task(run(source, database.log, lambda _: False))
    database.sql("insert into t values (2)")
    await eventually(lambda: len(database.log.changes) == 2)
    await asyncio.sleep(1.1)
    database.sql("reset master")
    for i in range(more):
        database.sql(f"insert into t values ({i + 10})")

    async def probe() -> None:
        while True:
            with contextlib.suppress(SourceError):
                await source.head()
            await asyncio.sleep(0.1)

    probing = asyncio.create_task(probe())
    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(task, 10)
    probing.cancel()

    assert "reset" in caught.value.got
    assert len(database.log.changes) == 2
    await database.close()


async def test_another_server_or_one_that_went_back_is_an_error(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    await database.capture()
    database.sql("insert into t values (1)")
    await database.capture()
    log = database.log
    ahead = MemoryLog()
    ahead.state.values.update(log.state.values)
    ahead.position = Position(log.position.major + (1 << 40), 1)
    database.log = ahead
    assert "no state" in (await failure(database)).got

    stateless = MemoryLog()
    stateless.position = log.position
    database.log = stateless
    assert "no state" in (await failure(database)).got

    for key, old, new, told in (
        (CAPTURE, b"mariadb-bin", b"another-bin", "another server"),
        (PLACE, b"\xa6server\x65", b"\xa6server\x66", "another server"),
    ):
        other = MemoryLog()
        other.position = log.position
        other.state.values.update(log.state.values)
        assert old in other.state.values[key]
        other.state.values[key] = log.state.values[key].replace(old, new)
        database.log = other
        assert told in (await failure(database)).got


async def test_two_readers_of_one_id_do_not_mix(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    await database.capture()
    first, second = database.source(), database.source()
    other = MemoryLog()
    other.state.values.update(database.log.state.values)
    a = asyncio.create_task(run(first, other, lambda log: len(log.changes) == 2))
    await asyncio.sleep(0.3)
    b = asyncio.create_task(run(second, database.log, lambda log: len(log.changes) == 2))
    await asyncio.sleep(0.3)
    database.sql("insert into t values (1)", "insert into t values (2)")
    await b
    await first.close()
    await asyncio.gather(a, return_exceptions=True)

    assert [c.key for c in database.log.changes] == [(1,), (2,)]


# ---- heads, ends, TLS ------------------------------------------------------------------------------------------------


async def test_an_idle_table_moves_on_and_head_is_reached(database: CapturedMariadb) -> None:
    # given a captured table that nobody touches, beside a busy one
    database.sql("create table idle(id int primary key)", "create table busy(v longtext)")
    source = database.source(tables=("idle",))
    await catch_up(source, database.log)
    streaming = asyncio.create_task(run(source, database.log, lambda _: False))
    steps = len(database.log.steps)
    began = asyncio.get_running_loop().time()
    for _ in range(40):
        database.sql("insert into busy select repeat('x', 1000) from seq_1_to_600")
        head = await source.head()
        await eventually(lambda head=head: database.log.frontier >= head)
    took = asyncio.get_running_loop().time() - began

    # then its frontier and the place of a restart follow, in few steps
    assert not database.log.changes
    assert len(database.log.steps) - steps <= 20 * took + 60
    assert any(PLACE in s.state for s in database.log.steps[steps:])
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    database.sql("insert into idle values (1)")
    assert [c.key for c in (await database.capture(tables=("idle",))).changes] == [(1,)]


async def test_a_head_of_a_new_start_lies_beyond_what_an_earlier_one_told(database: CapturedMariadb) -> None:
    # given a source that told all there is, and a table that the next start has in its configuration
    database.sql("create table t(id int primary key)", "create table later(id int primary key)")
    database.sql("insert into later values (1)")
    await database.capture(tables=("t",))
    told = database.log.frontier

    # when its head is asked for before it streams
    source = database.source()
    head = await source.head()

    # then who waits for that waits for the table's rows
    assert head > told
    await run(source, database.log, lambda log: log.frontier >= head)
    assert list(database.rows("later")) == [(1,)]


async def test_closing_ends_the_stream(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    source = database.source()
    await ends_when_closed(source, database.log)

    async def gone() -> bool:
        return not database.query(
            "select 1 from information_schema.processlist where db = database() and id <> connection_id()"
        )

    await eventually(gone)
    assert not await source.retry(database.topic("t"), "1")


def certificates(server: MariadbApart) -> str:
    """A certificate authority of its own and a certificate for 127.0.0.1; the authority's file."""
    home = server.directory
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=server -addext subjectAltName=IP:127.0.0.1 -keyout s.key -out s.csr",
        "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out s.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=home, check=True, capture_output=True)
    (home / "s.key").chmod(0o644)
    server.stop()
    server.configure(ssl_ca=str(home / "ca.pem"), ssl_cert=str(home / "s.pem"), ssl_key=str(home / "s.key"))
    server.start()
    return str(home / "ca.pem")


async def test_tls_as_the_address_asks_for_it(mariadb_apart: MariadbApart) -> None:
    database = CapturedMariadb(mariadb_apart)
    database.sql("create table t(id int primary key)")
    plain = await failure(database, url=mariadb_apart.url(database.database, query="?ssl=required"))
    assert "SSL" in plain.got
    assert "ssl" in plain.remedy

    ca = certificates(mariadb_apart)
    database.connection = mariadb_apart.connect(database.database)
    mariadb_apart.sql("alter user headrace require ssl")
    for i, query in enumerate((f"?ssl_ca={ca}", "?ssl=required", "", f"?ssl=verify-ca&ssl_ca={ca}")):
        database.sql(f"insert into t values ({i})", f"update t set id = {i} + 100 where id = {i}")
        await database.capture(url=mariadb_apart.url(database.database, query=query))
        assert len(database.rows("t")) == i + 1
    unknown = await failure(database, url=mariadb_apart.url(database.database, query="?ssl=verify-identity"))
    assert "certificate" in unknown.got.lower()
    await database.close()

"""The way between Headrace and a MariaDB source: networks that fail in every manner, in the copy and in the stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pymysql
import pytest
import pytest_asyncio

from headrace.change import START, Op, Row
from headrace.errors import SourceError
from headrace.sources.mysql import replication, session
from tests.captured_mariadb import CapturedMariadb
from tests.memory_log import eventually, run
from tests.proxy import Proxy
from tests.servers import MariadbApart


@pytest_asyncio.fixture
async def proxy(mariadb: MariadbApart) -> AsyncIterator[Proxy]:
    async with Proxy(mariadb.host, mariadb.port) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent peer counts as dead after seconds instead of a minute."""
    monkeypatch.setattr(replication, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(replication, "GIVE_UP_AFTER_S", 1.0)
    monkeypatch.setattr(session, "READ_TIMEOUT_S", 3)


def through(database: CapturedMariadb, proxy: Proxy) -> str:
    url = database.server.url(database.database, query="?connect_timeout=2")
    passed = url.replace(f":{database.server.port}/", f":{proxy.port}/")
    assert passed != url
    return passed


async def test_a_connection_that_is_half_open_is_noticed_and_replaced(
    database: CapturedMariadb, proxy: Proxy, impatient: None
) -> None:
    # given a stream through a network that then swallows everything
    database.sql("create table t(id int primary key)")
    source = database.source(url=through(database, proxy))
    task = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 2))
    await eventually(lambda: database.log.frontier > START)
    database.sql("insert into t values (1)")
    await eventually(lambda: len(database.log.changes) == 1)
    proxy.swallow()
    database.sql("insert into t values (2)")

    # then that is noticed, and told
    await eventually(lambda: source.problem is not None)
    assert isinstance(source.problem, SourceError)

    # and when the network is there again, nothing is missing
    proxy.cut()
    proxy.flow()
    await task
    assert source.problem is None
    assert [c.key for c in database.log.changes] == [(1,), (2,)]


async def test_a_network_that_falls_silent_in_the_middle_of_a_copy(
    database: CapturedMariadb, proxy: Proxy, impatient: None
) -> None:
    # given a copy that is half done when nothing comes through any more
    database.sql(
        "create table t(id int primary key, v text)", "insert into t select seq, repeat('x', 1000) from seq_1_to_20000"
    )
    source = database.source(url=through(database, proxy), batch_rows=500)

    silenced = asyncio.Event()

    def silence(log: object) -> bool:
        if database.log.changes and not silenced.is_set():
            silenced.set()
            proxy.swallow()
        return False

    task = asyncio.create_task(run(source, database.log, silence))

    # then that is told, and when the network is there again, the copy goes on
    await eventually(silenced.is_set)
    await eventually(lambda: source.problem is not None)
    proxy.cut()
    proxy.flow()
    await eventually(lambda: len(database.rows("t")) == 20000 and source.problem is None)
    await source.close()
    await task
    assert database.rows("t") == await database.copied("t")


@pytest.mark.parametrize("fault", ["cut", "half_close"])
async def test_a_connection_that_ends_in_the_middle_of_a_copy(
    database: CapturedMariadb, proxy: Proxy, fault: str
) -> None:
    database.sql(
        "create table t(id int primary key, v text)", "insert into t select seq, repeat('x', 1000) from seq_1_to_20000"
    )
    source = database.source(url=through(database, proxy), batch_rows=500)
    times = 0

    def now_and_then(log: object) -> bool:
        nonlocal times
        if times < 3 and len(database.log.table(database.topic("t"))) > 3000 * (times + 1):
            times += 1
            getattr(proxy, fault)()
        return False

    task = asyncio.create_task(run(source, database.log, now_and_then))
    await eventually(lambda: times == 3 and len(database.rows("t")) == 20000)
    await source.close()
    await task

    assert database.rows("t") == await database.copied("t")


def write(database: CapturedMariadb, rng: random.Random, done: Callable[[], bool]) -> None:
    with database.server.connect(database.database) as c, c.cursor() as cursor:
        cursor.execute("set innodb_lock_wait_timeout = 2, lock_wait_timeout = 2")
        while not done():
            i = rng.randrange(1, 200)
            try:
                c.begin()
                for _ in range(rng.choice([1, 3, 40])):
                    match rng.randrange(6):
                        case 0:
                            cursor.execute(f"delete from acc where id = {i}")
                        case 1:
                            cursor.execute(
                                f"insert ignore into acc values ({i}, 0, repeat(sha2({rng.random()}, 256), 150))"
                            )
                        case 2:
                            cursor.execute(f"update ignore acc set id = -id where id = {i}")
                        case _:
                            cursor.execute(f"update acc set n = n + 1 where id between {i} and {i + 5}")
                (c.commit if rng.random() < 0.9 else c.rollback)()
                if rng.random() < 0.02:
                    cursor.execute(rng.choice(["truncate acc", "flush binary logs"]))
            except pymysql.OperationalError:  # a lock that the copy holds
                c.rollback()
            cursor.execute(f"do sleep({rng.choice([0, 0.005])})")


@pytest.mark.parametrize("seed", range(3))
async def test_random_faults_lose_and_repeat_nothing(
    database: CapturedMariadb, proxy: Proxy, impatient: None, seed: int
) -> None:
    # given a writer that never stops, and a network that fails every moment, from the first copy on
    rng = random.Random(seed)
    database.sql(
        "create table acc(id int primary key, n int, big longtext)",
        "insert into acc select seq, 0, repeat(sha2(seq, 256), 150) from seq_1_to_150",
    )
    source = database.source(url=through(database, proxy), batch_rows=rng.choice([7, 100, 4000]))
    stop = asyncio.Event()
    writer = asyncio.create_task(asyncio.to_thread(write, database, random.Random(seed + 100), stop.is_set))
    task = asyncio.create_task(run(source, database.log, lambda _: False))
    for _ in range(25):
        await asyncio.sleep(rng.uniform(0, 0.15))
        await proxy.random_fault(rng)()
    stop.set()
    await writer

    # when it is over
    expected = await database.copied("acc")
    await eventually(lambda: database.rows("acc") == expected)

    # then the log amounts to the table (the log itself checks that positions only grow), and nothing came twice
    await eventually(lambda: source.problem is None)
    assert proxy.accepted > 5
    await source.close()
    await task
    assert_told_once(database)


def assert_told_once(database: CapturedMariadb) -> None:
    """A row's changes follow one another: each one begins with what the one before left. Only of rows that a copy has
    not come to yet the first change may be any."""
    changes = database.log.of(database.topic("acc"))
    copied = max(i for i, c in enumerate(changes) if c.op is Op.READ)
    rows: dict[Row, Row | None] = {}
    whole = False
    for i, c in enumerate(changes):
        whole = whole or i > copied
        if c.op is Op.TRUNCATE:
            rows.clear()
            whole = True
        elif c.op is Op.READ:
            assert rows.get(c.key, c.after) == c.after
        elif whole or c.key in rows:
            assert rows.get(c.key) == c.before
        rows[c.key] = c.after

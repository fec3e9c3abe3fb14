"""The way between Headrace and a PostgreSQL source: networks that fail in every manner, TLS, SCRAM, and a socket."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import pytest_asyncio

from headrace.change import START
from headrace.errors import SourceError
from headrace.sources import SourceSettings
from headrace.sources.postgres import beside, doctor, replication
from headrace.sources.postgres import client as client_module
from headrace.sources.postgres import source as source_module
from headrace.sources.postgres.address import parse
from headrace.sources.postgres.setup import Connection, Heap, heaps
from tests.captured_database import NAME, CapturedDatabase
from tests.memory_log import catch_up, eventually, run
from tests.proxy import Proxy
from tests.servers import FreshDatabases, PostgresApart, debian_programs, missing


@pytest_asyncio.fixture
async def database(debian_postgres: PostgresApart, fresh_database: FreshDatabases) -> AsyncIterator[CapturedDatabase]:
    made = await CapturedDatabase.connect(await fresh_database(debian_postgres))
    yield made
    await made.close()


@pytest_asyncio.fixture
async def proxy(debian_postgres: PostgresApart) -> AsyncIterator[Proxy]:
    async with Proxy(debian_postgres.host, debian_postgres.port) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent peer counts as dead after a second instead of a minute."""
    monkeypatch.setattr(replication, "ASK_AFTER_S", 0.3)
    monkeypatch.setattr(replication, "GIVE_UP_AFTER_S", 0.8)
    monkeypatch.setattr(client_module, "ANSWER_S", 1.0)
    monkeypatch.setattr(source_module, "PLAN_S", 2.0)
    monkeypatch.setattr(source_module, "WATCH_EVERY_S", 0.5)


def through(database: CapturedDatabase, server: PostgresApart, proxy: Proxy, *, limit_s: int = 1) -> str:
    url = database.dsn.replace(f":{server.port}/", f":{proxy.port}/")
    assert url != database.dsn
    return f"{url}?connect_timeout={max(2, limit_s)}&tcp_user_timeout=1000"


@pytest.mark.parametrize("in_stream", [True, False])
async def test_a_connection_that_is_half_open_is_noticed_and_replaced(
    database: CapturedDatabase, debian_postgres: PostgresApart, proxy: Proxy, impatient: None, *, in_stream: bool
) -> None:
    # given a stream through a network that then swallows everything
    await database.sql("create table t(id int primary key)")
    source = database.source(url=through(database, debian_postgres, proxy))
    task = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 2))
    if in_stream:
        await eventually(lambda: database.log.frontier > START)
    await database.sql("insert into t values (1)")
    await eventually(lambda: len(database.log.changes) == 1)
    proxy.swallow()
    await database.sql("insert into t values (2)")

    # then that is noticed, and told
    await eventually(lambda: source.problem is not None)
    problem = source.problem
    with pytest.raises(SourceError):
        await source.head()

    # and when the network is there again, nothing is missing
    proxy.cut()
    proxy.flow()
    await task
    assert problem is not None
    assert source.problem is None
    assert [c.key for c in database.log.changes] == [(1,), (2,)]
    await source.close()


async def test_a_network_that_falls_silent_while_a_source_looks_at_what_was_added(
    database: CapturedDatabase,
    debian_postgres: PostgresApart,
    proxy: Proxy,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a network that swallows everything from one question on, between the copy and the stream
    asked = 0

    async def swallowed(connection: Connection, tables: Sequence[int]) -> dict[int, list[Heap]]:
        nonlocal asked
        asked += 1
        if asked == 1:
            proxy.swallow()
        return await heaps(connection, tables)

    monkeypatch.setattr(beside, "heaps", swallowed)
    monkeypatch.setattr(beside, "ANSWER_S", 1.0)
    await database.sql("create table t(id int primary key)", "insert into t values (1)")
    source = database.source(url=through(database, debian_postgres, proxy))
    task = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 2))

    # then it is noticed, and nothing is missing when the network is there again
    await eventually(lambda: source.problem is not None)
    await database.sql("insert into t values (2)")
    proxy.cut()
    proxy.flow()
    await task
    assert [c.key for c in database.log.changes] == [(1,), (2,)]
    await source.close()


@pytest.mark.parametrize("fault", ["cut", "half_close"])
async def test_a_connection_that_ends_in_the_middle_of_a_copy(
    database: CapturedDatabase, debian_postgres: PostgresApart, proxy: Proxy, fault: str
) -> None:
    await database.sql(
        "create table t(id int primary key, v text)",
        "insert into t select g, repeat('x', 1000) from generate_series(1, 20000) g",
    )
    source = database.source(url=through(database, debian_postgres, proxy), batch_rows=500)
    times = 0

    def now_and_then(log: object) -> bool:
        nonlocal times
        if times < 3 and len(database.log.changes) > 3000 * (times + 1):
            times += 1
            getattr(proxy, fault)()
        return False

    task = asyncio.create_task(run(source, database.log, now_and_then))
    await eventually(lambda: times == 3 and len(database.log.table("pg.public.t")) == 20000)
    await source.close()
    await task

    assert database.log.table("pg.public.t") == await database.table("t", "id")


async def write(database: CapturedDatabase, rng: random.Random, stop: asyncio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(database.dsn) as c:
        while not stop.is_set():
            i = rng.randrange(1, 200)
            for _ in range(rng.choice([1, 3, 40])):
                match rng.randrange(5):
                    case 0:
                        await c.execute("delete from acc where id = %s", [i])
                    case 1:
                        await c.execute(
                            "insert into acc values (%s, 0, repeat(md5(random()::text), 300)) on conflict do nothing",
                            [i],
                        )
                    case 2 if rng.random() < 0.05:
                        await c.execute("truncate acc")
                    case _:
                        await c.execute("update acc set n = n + 1 where id between %s and %s", [i, i + 5])
            await (c.commit() if rng.random() < 0.9 else c.rollback())
            await asyncio.sleep(rng.choice([0, 0.005]))


@pytest.mark.parametrize("seed", range(6))
async def test_random_faults_lose_and_repeat_nothing(
    database: CapturedDatabase, debian_postgres: PostgresApart, proxy: Proxy, impatient: None, seed: int
) -> None:
    # given a writer that never stops, and a network that fails every moment, from the first copy on
    rng = random.Random(seed)
    await database.sql(
        "create table acc(id int primary key, n int, big text)", "alter table acc alter big set storage external",
        "insert into acc select g, 0, repeat(md5(g::text), 300) from generate_series(1, 150) g",
    )  # fmt: skip
    soon = quote("-c logical_decoding_work_mem=64kB", safe="")
    url = through(database, debian_postgres, proxy) + f"&options={soon}"
    source = database.source(url=url, batch_rows=rng.choice([7, 100, 4000]))
    stop = asyncio.Event()
    writer = asyncio.create_task(write(database, random.Random(seed + 100), stop))
    task = asyncio.create_task(run(source, database.log, lambda _: False))
    for _ in range(25):
        await asyncio.sleep(rng.uniform(0, 0.15))
        await proxy.random_fault(rng)()
    stop.set()
    await writer

    # when it is over
    expected = await database.table("acc", "id")
    await eventually(lambda: database.log.table("pg.public.acc") == expected)

    # then the log amounts to the table (the log itself checks that positions only grow)
    await eventually(lambda: source.problem is None)
    assert proxy.accepted > 5
    await source.close()
    await task


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of one's own, and a server certificate for 127.0.0.1 that it signed."""

    root: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, host: str) -> Authority:
        folder.mkdir()
        made = cls(folder / "root.crt", folder / "server.crt", folder / "server.key")
        names = folder / "names"
        names.write_text(f"subjectAltName={host}\n")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _openssl("req", "-x509", *curve, "-keyout", folder / "root.key", "-out", made.root, "-subj", "/CN=Test root")
        _openssl("req", *curve, "-keyout", made.key, "-out", folder / "request", "-subj", "/CN=server")
        _openssl(
            "x509", "-req", "-in", folder / "request", "-CA", made.root, "-CAkey", folder / "root.key",
            "-CAcreateserial", "-out", made.certificate, "-extfile", names,
        )  # fmt: skip
        return made


def _openssl(*arguments: str | Path) -> None:
    try:
        subprocess.run(["openssl", *arguments], capture_output=True, check=True)
    except FileNotFoundError:
        missing("openssl is not installed (apt-get install openssl)")


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[PostgresApart, Path]]:
    """A server that takes nothing but TLS over TCP, and SCRAM everywhere; and the root that vouches for it."""
    server = PostgresApart(debian_programs(), "postgres")
    try:
        authority = Authority.make(tmp_path / "authority", "IP:127.0.0.1")
        data = server.directory / "data"
        for name, file in (("server.crt", authority.certificate), ("server.key", authority.key)):
            server.install(data / name, file.read_bytes())
        rules = (
            "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all all all reject\n"
        )
        server.install(data / "pg_hba.conf", rules.encode())
        with psycopg.connect(server.dsn(), autocommit=True) as c:
            c.execute("alter system set ssl = on")
            c.execute("select pg_reload_conf()")
        yield server, authority.root
    finally:
        server.remove()


async def captured(server: PostgresApart, url: str) -> CapturedDatabase:
    database = await CapturedDatabase.connect(server.dsn(tcp=False))
    await database.sql("create table t(id int primary key)", "insert into t values (1)")
    await database.capture(url=url)
    await database.sql("insert into t values (2)")
    source = database.source(url=url)
    await catch_up(source, database.log)
    await source.close()
    assert database.log.table("pg.public.t") == {(1,): (1,), (2,): (2,)}
    return database


async def refused(database: CapturedDatabase, url: str) -> str:
    source = database.source(url=url)
    task = asyncio.create_task(run(source, database.log, lambda _: False))
    await asyncio.wait([task], timeout=3)
    said = str(task.exception() if task.done() else source.problem)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await source.close()
    return said


async def test_tls_that_is_verified_in_full_with_scram(secured: tuple[PostgresApart, Path], tmp_path: Path) -> None:
    server, root = secured
    await eventually(lambda: _speaks_tls(server))
    url = f"{server.dsn()}?sslmode=verify-full&sslrootcert={quote(str(root), safe='')}"
    database = await captured(server, url)

    found = {f.check: f for f in await doctor.check(SourceSettings(NAME, url, database.id))}
    assert found["encryption"].got == "TLSv1.3, verify-full"
    unverified = {f.check: f for f in await doctor.check(SourceSettings(NAME, server.dsn(), database.id))}
    assert "verify-full" in unverified["encryption"].remedy

    # and what is not that server, not encrypted, or not that user is refused
    other = Authority.make(tmp_path / "other", "IP:127.0.0.1")
    wrong_root = url.replace(quote(str(root), safe=""), quote(str(other.root), safe=""))
    assert "certificate verify failed" in await refused(database, wrong_root)
    wrong_name = url.replace("127.0.0.1", "localhost")
    assert "does not match host name" in await refused(database, wrong_name)
    plain = server.dsn() + "?sslmode=disable"
    assert "pg_hba.conf" in await refused(database, plain)
    said = await refused(database, url.replace(server.password, "geheim"))
    assert "password authentication failed" in said
    assert "geheim" not in said
    await database.close()


async def _speaks_tls(server: PostgresApart) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(server.dsn() + "?sslmode=require"):
            return True
    except psycopg.OperationalError:
        return False


async def test_the_server_ends_sessions_of_a_machine_that_is_gone(debian_postgres: PostgresApart) -> None:
    """What they have locked would hold up the application until the system's two hours are over."""
    query = "select current_setting('tcp_keepalives_' || s) from unnest('{idle,interval,count}'::text[]) s"
    async with await psycopg.AsyncConnection.connect(parse(debian_postgres.dsn()).conninfo()) as connection:
        found = await (await connection.execute(query)).fetchall()

    assert [int(seconds) for (seconds,) in found] == [20, 10, 3]


async def test_a_socket_with_scram(secured: tuple[PostgresApart, Path]) -> None:
    server, _ = secured
    database = await captured(server, server.dsn(tcp=False))

    found = {f.check: f for f in await doctor.check(SourceSettings(NAME, server.dsn(tcp=False), database.id))}
    assert found["encryption"].got == "none, on this machine"
    await database.close()

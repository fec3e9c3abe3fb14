# ruff: noqa: ASYNC221, ASYNC240 - what these tests look at are files and processes
"""The embedded PostgreSQL: what a start gives, and the ways in."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
import uvloop

from headrace.stores.embedded.errors import (
    DataDirectoryUnusable,
    PostgresFailed,
)
from headrace.stores.embedded.home import Home
from headrace.stores.embedded.process import running_in
from headrace.stores.embedded_postgres import EmbeddedPostgres
from tests.embedded import ask, ended, numbers, running, until, write


# ---- a first start
async def test_it_starts_in_a_new_directory_with_what_headrace_needs(data: Path) -> None:
    told: list[str] = []

    server = await EmbeddedPostgres.start(data, progress=told.append)
    try:
        (settings,) = await ask(
            server.dsn("postgres"),
            b"select current_setting('wal_level'), current_setting('synchronous_commit'), current_setting('fsync'),"
            b" current_setting('jit'), current_setting('TimeZone'), current_setting('server_encoding'),"
            b" current_setting('wal_writer_delay'), current_setting('max_replication_slots'),"
            b" current_setting('listen_addresses')",
        )
        (locale,) = await ask(
            server.dsn("postgres"),
            b"select datlocprovider::text, datlocale from pg_database where datname = 'postgres'",
        )
        await ask(server.dsn("postgres"), b"create extension vector; select '[1,2]'::halfvec(2)::text")

        assert settings == ("logical", "on", "on", "off", "UTC", "UTF8", "10ms", "16", "")
        assert locale == ("b", "C.UTF-8")
        assert server.version.split(".")[0] == "18"
        assert server.port is None
        assert (server.bin / "psql").is_file()
        assert told[0] == f"Creating a PostgreSQL cluster in {data}"
        assert "is ready after" in told[-1]
    finally:
        await server.stop()
    assert ended(server.pid)
    assert running_in(data / "cluster") == []


async def test_what_was_committed_is_there_at_the_next_start(data: Path) -> None:
    async with running(data) as server:
        await write(server, 1)
    async with running(data) as server:
        await write(server, 2)
        assert await numbers(server) == [1, 2]


async def test_databases_are_made_once_whatever_their_name(made: Path) -> None:
    names = ["airline", 'a "strange" name/é?x=1']

    async with running(made) as server:
        for name in names:
            await asyncio.gather(*(server.ensure_database(name) for _ in range(3)))
        for name in names:
            assert await ask(server.dsn(name), b"select current_database()") == [(name,)]


async def test_given_settings_go_before_its_own_and_unknown_ones_are_told(made: Path) -> None:
    server = await EmbeddedPostgres.start(made, settings={"work_mem": "7MB", "jit": "on"})
    assert await ask(server.dsn("postgres"), b"select current_setting('work_mem'), current_setting('jit')") == [
        ("7MB", "on")
    ]
    await server.stop()

    with pytest.raises(PostgresFailed) as raised:
        await EmbeddedPostgres.start(made, settings={"wrok_mem": "7MB"})

    assert "wrok_mem" in raised.value.got
    assert raised.value.remedy == "Correct the setting."
    async with running(made):  # the failed start left neither lock nor process
        pass


async def test_it_works_under_uvloop(made: Path) -> None:
    def in_thread_free_loop() -> list[object]:
        async def story() -> list[object]:
            async with running(made) as server:
                await write(server, 3)
                os.kill(server.pid, signal.SIGKILL)
                assert await server.wait_dead()
            async with running(made) as server:
                return await numbers(server)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(story())

    assert await asyncio.to_thread(in_thread_free_loop) == [3]


async def test_an_interrupted_first_start_leaves_nothing_in_the_way(data: Path) -> None:
    starting = asyncio.create_task(EmbeddedPostgres.start(data))
    await until((data / "cluster.unfinished" / "PG_VERSION").exists, "initdb at work")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not (data / "cluster").exists()

    async with running(data) as server:
        assert await ask(server.dsn("postgres"), b"select 1") == [(1,)]


# ---- sockets, ports, passwords
async def test_the_socket_is_private_short_and_gone_afterwards(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = made.parent / ("x" * 90)
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))

    async with running(made) as server:
        (row,) = await ask(server.dsn("postgres"), b"select current_setting('unix_socket_directories')")
        sockets = Path(str(row[0]))
        assert len(str(sockets / ".s.PGSQL.65535")) < 107
        assert sockets.stat().st_mode & 0o007 == 0
    assert not sockets.exists()


async def test_nobody_gets_in_without_the_password(made: Path) -> None:
    async with running(made, tcp=True) as server:
        assert stat.S_IMODE((made / "pgpass").stat().st_mode) == 0o600
        for dsn in (server.dsn("postgres"), server.dsn("postgres", tcp=True)):
            assert server.dsn("postgres", with_password=True) != dsn
            with pytest.raises(psycopg.OperationalError, match="password"):
                await ask(dsn.partition("passfile=")[0] + "passfile=%2Fdev%2Fnull", b"select 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await ask(f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres", b"select 1")


async def test_programs_of_others_come_in_over_tcp_with_the_password(made: Path) -> None:
    async with running(made, tcp=True) as server:
        dsn = server.dsn("postgres", tcp=True, with_password=True)
        asked = subprocess.run(
            [server.bin / "psql", "-X", "-A", "-t", "-c", "select 6 * 7", dsn], capture_output=True, text=True
        )
        assert asked.stdout == "42\n", asked.stderr
        with_socket = server.dsn("postgres", with_password=True)
        assert await ask(with_socket, b"select 1") == [(1,)]


async def test_without_tcp_there_is_no_tcp_address(made: Path) -> None:
    async with running(made) as server:
        with pytest.raises(ValueError, match="tcp=True"):
            server.dsn("postgres", tcp=True)


async def test_the_port_stays_unless_another_took_it(made: Path) -> None:
    async with running(made, tcp=True) as server:
        first = server.port
    async with running(made, tcp=True) as server:
        assert server.port == first
    assert first

    taker = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", first)
    async with taker, running(made, tcp=True) as server:
        assert server.port != first
        assert await ask(server.dsn("postgres", tcp=True), b"select 1") == [(1,)]


async def test_a_lost_password_is_replaced(made: Path) -> None:
    async with running(made) as server:
        await write(server, 1)
    (made / "pgpass").unlink()

    async with running(made) as server:
        assert await numbers(server) == [1]


async def test_a_wrong_password_beside_the_cluster_is_told(made: Path) -> None:
    (made / "pgpass").write_text("*:*:*:postgres:other\n")

    with pytest.raises(DataDirectoryUnusable, match="password") as raised:
        await EmbeddedPostgres.start(made)
    assert str(made / "pgpass") in raised.value.remedy


async def test_its_log_is_cut(made: Path) -> None:
    async with running(made) as server:
        await write(server, 1)
    home = Home.open(made)
    with (made / "postgres.log").open("a") as log:
        log.write("x" * 5_000 + "\nthe end\n")
    appending = home.open_log()

    home.cut_log(limit=1_000)
    os.write(appending, b"after\n")

    assert (made / "postgres.log").read_text() == "after\n"
    assert (made / "postgres.log.1").stat().st_size == 1_000
    assert (made / "postgres.log.1").read_text().endswith("the end\n")
    assert stat.S_IMODE((made / "postgres.log.1").stat().st_mode) == 0o600
    os.close(appending)
    home.close()

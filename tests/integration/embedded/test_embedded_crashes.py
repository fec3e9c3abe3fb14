# ruff: noqa: ASYNC220, ASYNC240 - what these tests look at are files and processes
"""The embedded PostgreSQL ends with us, is held by one process, and is whole again after any crash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from headrace.stores.embedded.errors import (
    DataDirectoryInUse,
    PostgresDied,
)
from headrace.stores.embedded.process import running_in, signal_all
from headrace.stores.embedded_postgres import EmbeddedPostgres
from tests.embedded import Child, ask, ended, numbers, on_linux, running, until, write
from tests.servers import dies_with_us


# ---- a directory in use
async def test_a_second_start_in_this_process_is_refused(made: Path) -> None:
    async with running(made) as server:
        with pytest.raises(DataDirectoryInUse, match=rf"process {os.getpid()} \(this one\)"):
            await EmbeddedPostgres.start(made)
        assert await ask(server.dsn("postgres"), b"select 1") == [(1,)]


async def test_a_start_beside_another_process_names_it(made: Path, child: Callable[..., Child]) -> None:
    other = child(made)

    with pytest.raises(DataDirectoryInUse, match=f"process {other.process.pid}") as raised:
        await EmbeddedPostgres.start(made)

    assert raised.value.status == 409
    assert await ask(other.dsn, b"select 1") == [(1,)]
    assert other.finish() == 0
    async with running(made):
        pass


@on_linux
async def test_a_server_that_somebody_started_by_hand_is_left_alone(
    made: Path, common: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.stores.embedded.remains.STRANGER_LIMIT_S", 0.3)
    async with running(made) as server:
        binaries = server.bin
    owner = (made / "cluster").stat()
    is_root = os.geteuid() == 0
    descriptor = os.open(made / "cluster", os.O_RDONLY)
    by_hand = subprocess.Popen(
        [binaries / "postgres", "-D", f"/proc/self/fd/{descriptor}", "-c", "listen_addresses=", "-k", common],
        pass_fds=[descriptor],
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=owner.st_uid if is_root else None,
        group=owner.st_gid if is_root else None,
        extra_groups=[] if is_root else None,
        preexec_fn=dies_with_us(),
    )
    os.close(descriptor)
    try:
        ready = made / "cluster" / "postmaster.pid"
        await until(lambda: ready.exists() and "ready" in ready.read_text(), "a server started by hand")

        with pytest.raises(DataDirectoryInUse, match=f"PostgreSQL process {by_hand.pid}") as raised:
            await EmbeddedPostgres.start(made)

        assert f"kill -INT {by_hand.pid}" in raised.value.remedy
        assert by_hand.poll() is None
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.wait(30)
    async with running(made):
        pass


# ---- crashes
@on_linux
async def test_it_ends_with_a_killed_parent_and_comes_back_whole(made: Path, child: Callable[..., Child]) -> None:
    parent = child(made)
    async with await psycopg.AsyncConnection.connect(parent.dsn, autocommit=True) as connection:
        await connection.execute("insert into numbers values (8)")
    sockets = Path(str((await ask(parent.dsn, b"select current_setting('unix_socket_directories')"))[0][0]))

    parent.kill()

    await until(lambda: ended(parent.postmaster), "the orphan's end")
    async with running(made) as server:
        assert await numbers(server) == [8]
    assert not sockets.exists()


@on_linux
async def test_a_start_right_after_the_kill_waits_for_the_orphan(made: Path, child: Callable[..., Child]) -> None:
    parent = child(made)
    os.kill(parent.postmaster, signal.SIGSTOP)  # a shutdown that takes its time
    parent.kill()
    told: list[str] = []

    starting = asyncio.create_task(EmbeddedPostgres.start(made, progress=told.append))
    await until(lambda: len(told) == 1, "waiting for the orphan")
    await asyncio.sleep(0.3)
    assert not starting.done()
    os.kill(parent.postmaster, signal.SIGCONT)

    server = await starting
    assert str(parent.postmaster) in told[0]
    assert ended(parent.postmaster)
    await server.stop()


@on_linux
async def test_started_from_another_thread_it_ends_with_a_killed_parent_too(
    made: Path, child: Callable[..., Child]
) -> None:
    parent = child(made, "--thread")
    assert await ask(parent.dsn, b"select 1") == [(1,)]

    parent.kill()

    await until(lambda: ended(parent.postmaster), "the orphan's end")
    async with running(made) as server:
        assert await numbers(server) == []


@on_linux
async def test_ctrl_c_reaches_us_only(made: Path) -> None:
    async with running(made) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)
        assert os.getsid(server.pid) != os.getsid(0)


async def test_its_owner_learns_of_its_death_and_starts_it_again(made: Path) -> None:
    server = await EmbeddedPostgres.start(made)
    await write(server, 1)
    called: list[PostgresDied] = []
    server.on_exit(called.append)
    waiting = asyncio.create_task(server.wait_dead())
    await asyncio.sleep(0)

    os.kill(server.pid, signal.SIGKILL)

    died = await asyncio.wait_for(waiting, 10)
    assert died
    assert called == [died]
    assert "killed by signal 9" in died.got
    async with running(made) as again:
        assert await numbers(again) == [1]
    await server.stop()  # has nothing left to do


async def test_an_orderly_stop_is_no_death(made: Path) -> None:
    server = await EmbeddedPostgres.start(made)
    called: list[PostgresDied] = []
    server.on_exit(called.append)
    waiting = asyncio.create_task(server.wait_dead())

    await asyncio.gather(server.stop(), server.stop())

    assert await waiting is None
    assert called == []


@on_linux
async def test_a_backend_that_outlives_its_killed_postmaster_does_not_keep_the_cluster(made: Path) -> None:
    server = await EmbeddedPostgres.start(made)
    await write(server, 1)
    held = await psycopg.AsyncConnection.connect(server.dsn("postgres"), autocommit=True)
    backend = held.info.backend_pid
    os.kill(backend, signal.SIGSTOP)  # it neither sees that its postmaster is gone, nor goes when it is told to
    os.kill(server.pid, signal.SIGKILL)
    await server.wait_dead()
    assert not ended(backend)

    async with running(made) as again:
        assert ended(backend)
        assert await numbers(again) == [1]

    with pytest.raises(psycopg.OperationalError):
        await held.execute("select 1")


@on_linux
async def test_it_comes_back_after_all_its_processes_were_killed_under_writing(made: Path) -> None:
    async with running(made) as server:
        await write(server, 0)
    committed = 0
    for _ in range(3):
        server = await EmbeddedPostgres.start(made)
        connection = await psycopg.AsyncConnection.connect(server.dsn("postgres"), autocommit=True)
        for _ in range(50):
            committed += 1
            await connection.execute("insert into numbers values (%s)", [committed])
        signal_all(running_in(made / "cluster"), signal.SIGKILL)
        assert await server.wait_dead()
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")

    async with running(made) as server:
        assert await numbers(server) == list(range(committed + 1))


@on_linux
@pytest.mark.parametrize("kind", ["recycled by a program of the same user", "zombie", "empty", "garbage", "gone"])
async def test_a_stale_lock_file_of_postgres_is_seen_through(made: Path, kind: str) -> None:
    server = await EmbeddedPostgres.start(made)
    await write(server, 1)
    lock_file = made / "cluster" / "postmaster.pid"
    lines = lock_file.read_text().splitlines()
    signal_all(running_in(made / "cluster"), signal.SIGKILL)
    await server.wait_dead()
    owner = (made / "cluster").stat().st_uid
    with contextlib.ExitStack() as cleanup:
        if kind.startswith("recycled"):
            user = owner if os.geteuid() == 0 else None
            other = subprocess.Popen(["sleep", "60"], preexec_fn=dies_with_us(), user=user)
            cleanup.callback(other.wait)
            cleanup.callback(other.kill)
            lock_file.write_text("\n".join([str(other.pid), *lines[1:]]))
        elif kind == "zombie":
            zombie = subprocess.Popen(["true"])
            cleanup.callback(zombie.wait)
            await until(lambda: ended(zombie.pid), "a zombie")
            lock_file.write_text("\n".join([str(zombie.pid), *lines[1:]]))
        elif kind == "gone":
            assert lock_file.read_text().splitlines() == lines
        else:
            lock_file.write_text("" if kind == "empty" else "no pid\n")

        async with running(made) as server:
            assert await numbers(server) == [1]


@on_linux
async def test_a_shell_in_the_cluster_s_directory_is_not_taken_for_postgres(made: Path) -> None:
    server = await EmbeddedPostgres.start(made)
    shell = subprocess.Popen(["sleep", "60"], cwd=made / "cluster", preexec_fn=dies_with_us())
    os.kill(server.pid, signal.SIGKILL)
    await server.wait_dead()
    try:
        async with running(made):
            assert shell.poll() is None
    finally:
        shell.kill()
        shell.wait()

# ruff: noqa: ASYNC240 - what these tests look at are files and processes
"""The embedded PostgreSQL as root and as ordinary users: who it runs as, and what they may read."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.stores.embedded.errors import (
    PostgresFailed,
)
from headrace.stores.embedded_postgres import EmbeddedPostgres
from tests.embedded import Child, as_root, ask, numbers, running, write

UNPRIVILEGED = pwd.getpwnam("nobody").pw_uid


@as_root
async def test_as_root_it_runs_as_nobody_and_opens_no_directory(data: Path) -> None:
    users = Path("/etc/passwd").read_bytes()
    modes = {path: path.stat().st_mode for path in data.parents if path.exists()}

    async with running(data) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == UNPRIVILEGED
        assert "Groups:\t \n" in Path(f"/proc/{server.pid}/status").read_text()
        assert (data / "cluster").stat().st_uid == UNPRIVILEGED
        assert stat.S_IMODE((data / "cluster").stat().st_mode) == 0o700

    assert {path: path.stat().st_mode for path in modes} == modes
    assert Path("/etc/passwd").read_bytes() == users


@as_root
async def test_an_ordinary_user_runs_it_and_root_after_that_and_the_user_again(
    common: Path, child: Callable[..., Child]
) -> None:
    data = common / "data"

    first = child(data, "--uid", str(UNPRIVILEGED))
    assert Path(f"/proc/{first.postmaster}").stat().st_uid == UNPRIVILEGED
    await ask(first.dsn.partition("&passfile")[0] + f"&passfile={data / 'pgpass'}", b"select 1")
    assert first.finish() == 0
    async with running(data) as server:
        await write(server, 1)
    again = child(data, "--uid", str(UNPRIVILEGED))
    assert again.postmaster
    assert again.finish() == 0


@as_root
async def test_root_runs_the_cluster_of_another_user_as_that_user(common: Path) -> None:
    owner = pwd.getpwnam("daemon")
    data = common / "data"
    async with running(data) as server:
        await write(server, 1)
    for path in [data / "cluster", *(data / "cluster").rglob("*")]:
        os.chown(path, owner.pw_uid, owner.pw_gid)

    async with running(data) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == owner.pw_uid
        assert await numbers(server) == [1]


@as_root
async def test_a_copy_that_root_restored_starts(made: Path) -> None:
    async with running(made) as server:
        await write(server, 1)
    copy = made.parent / "copy"
    shutil.copytree(made, copy)
    assert (copy / "cluster").stat().st_uid == 0

    async with running(copy) as server:
        assert await numbers(server) == [1]


@as_root
async def test_an_ordinary_user_is_told_of_a_directory_that_is_root_s(
    common: Path, child: Callable[..., Child]
) -> None:
    async with running(common / "data"):
        pass

    told = child(common / "data", "--uid", "1").told

    assert told["error"] == "PostgresFailed"
    assert str(common / "data") in str(told["expected"])
    assert "Permission denied" in str(told["got"])


@as_root
async def test_a_user_without_a_name_is_told_what_postgres_wants(common: Path, child: Callable[..., Child]) -> None:
    told = child(common / "data", "--uid", "54321").told

    assert told["error"] == "PostgresFailed"
    assert "54321" in str(told["got"])
    assert "/etc/passwd" in str(told["remedy"])


async def test_a_place_where_nothing_can_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(PostgresFailed) as raised:
        await EmbeddedPostgres.start(tmp_path / "file" / "data")

    assert str(tmp_path / "file") in raised.value.got

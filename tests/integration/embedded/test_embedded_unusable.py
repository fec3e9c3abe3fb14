"""Data directories that cannot be used, and disks that are full: told, with what to do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from headrace.stores.embedded.errors import (
    DataDirectoryUnusable,
    DiskFull,
    PostgresFailed,
)
from headrace.stores.embedded.process import running_in
from headrace.stores.embedded_postgres import EmbeddedPostgres
from tests.embedded import numbers, running, write


async def test_a_cluster_of_another_major_version_is_refused(made: Path) -> None:
    (made / "cluster" / "PG_VERSION").write_text("17\n")

    with pytest.raises(DataDirectoryUnusable) as raised:
        await EmbeddedPostgres.start(made)

    assert "PostgreSQL 18" in raised.value.expected
    assert raised.value.got == "one of PostgreSQL 17"


async def test_a_cluster_without_its_version_file_is_refused(made: Path) -> None:
    (made / "cluster" / "PG_VERSION").unlink()

    with pytest.raises(DataDirectoryUnusable, match="version file"):
        await EmbeddedPostgres.start(made)


async def test_a_damaged_cluster_is_told_with_postgres_own_words(made: Path) -> None:
    control = made / "cluster" / "global" / "pg_control"
    control.write_bytes(b"\x00" * control.stat().st_size)

    with pytest.raises(PostgresFailed) as raised:
        await EmbeddedPostgres.start(made)

    assert "FATAL" in raised.value.got or "PANIC" in raised.value.got
    assert "postgres.log" in raised.value.remedy
    assert running_in(made / "cluster") == []


async def test_a_linked_cluster_is_refused(made: Path) -> None:
    (made / "cluster").rename(made / "elsewhere")
    (made / "cluster").symlink_to("elsewhere")

    with pytest.raises(DataDirectoryUnusable, match="symbolic link"):
        await EmbeddedPostgres.start(made)


async def test_a_disk_too_small_for_a_cluster_is_told_before_it_is_filled(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(20)

    with pytest.raises(DiskFull) as raised:
        await EmbeddedPostgres.start(disk / "data")

    assert raised.value.got.endswith("MB free")
    assert not (disk / "data" / "cluster").exists()


def fill(ballast: Path) -> None:
    """Grows a file until its disk has no room for another byte."""
    with ballast.open("ab", buffering=0) as file:
        for size in (65_536, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


async def write_until_it_fails(server: EmbeddedPostgres) -> None:
    """Fills the write-ahead log until it needs its next file."""
    async with await psycopg.AsyncConnection.connect(server.dsn("postgres"), autocommit=True) as connection:
        while True:
            await connection.execute("insert into numbers select 0 from generate_series(1, 100000)")
            await connection.execute("delete from numbers where n = 0")


async def test_a_disk_that_fills_up_is_told_and_nothing_committed_is_lost(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(120)
    server = await EmbeddedPostgres.start(disk / "data")
    await write(server, 1)
    died = asyncio.create_task(server.wait_dead())
    ballast = disk / "ballast"
    fill(ballast)

    with pytest.raises(psycopg.Error):
        await write_until_it_fails(server)
    if not died.done():
        await server.stop()
    await died
    fill(ballast)
    with pytest.raises(DiskFull):
        await EmbeddedPostgres.start(disk / "data")

    ballast.unlink()
    async with running(disk / "data") as server:
        assert 1 in await numbers(server)

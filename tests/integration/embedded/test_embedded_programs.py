# ruff: noqa: ASYNC221, ASYNC240 - what these tests look at are files and processes
"""The embedded PostgreSQL's programs: found, and copied only where another user could not run them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from headrace.stores.embedded import binaries as postgres_binaries
from headrace.stores.embedded.binaries import Binaries, BinariesMissing, CacheUnusable, find, readable_by_all
from headrace.stores.embedded_postgres import EmbeddedPostgres
from tests.embedded import as_root, ask, running

UNPRIVILEGED = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def closed_binaries(tmp_path: Path) -> Binaries:
    """The programs as in an environment under a directory that only we may enter."""
    found = find()
    closed = tmp_path / "closed"
    shutil.copytree(found.root, closed / found.root.name, ignore=shutil.ignore_patterns("include"))
    shutil.copytree(found.libraries, closed / found.libraries.name)
    closed.chmod(0o700)
    return Binaries(closed / found.root.name, found.key)


@as_root
async def test_programs_that_others_cannot_read_are_copied_once_and_work(
    closed_binaries: Binaries, common: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_closed() -> Binaries:
        return closed_binaries

    common.chmod(0o755)
    monkeypatch.setattr(postgres_binaries, "CACHES", (common / "cache",))
    monkeypatch.setattr(postgres_binaries, "find", find_closed)
    mode = closed_binaries.root.parent.stat().st_mode
    before = os.umask(0o077)
    try:
        async with running(data) as server:
            assert server.bin.is_relative_to(common / "cache" / closed_binaries.key)
            await ask(server.dsn("postgres"), b"create extension vector; select 1")
            made = server.bin.stat().st_ino
            psql = subprocess.run([server.bin / "psql", "--version"], user=UNPRIVILEGED, capture_output=True)
            assert psql.returncode == 0, psql.stderr
        async with running(data) as server:
            assert server.bin.stat().st_ino == made
    finally:
        os.umask(before)
    assert closed_binaries.root.parent.stat().st_mode == mode
    assert [path.name for path in (common / "cache").iterdir() if path.name != ".lock"] == [closed_binaries.key]


@as_root
def test_copies_made_at_once_and_after_a_killed_one_are_whole(closed_binaries: Binaries, common: Path) -> None:
    common.chmod(0o755)
    unfinished = common / f".{closed_binaries.key}.unfinished"
    (unfinished / "embedded_postgres").mkdir(parents=True)
    results: list[Binaries] = []

    threads = [
        threading.Thread(target=lambda: results.append(readable_by_all(closed_binaries, [common]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(results)) == 1 == len(results) - 3
    assert (results[0].bin / "postgres").stat().st_size == (closed_binaries.bin / "postgres").stat().st_size
    assert not unfinished.exists()


@as_root
def test_a_cache_that_others_may_write_is_not_used(closed_binaries: Binaries, common: Path) -> None:
    safe = common / "safe"
    safe.mkdir()
    theirs = common / "theirs"
    theirs.mkdir()
    theirs.chmod(0o777)

    chosen = readable_by_all(closed_binaries, [theirs, safe])

    assert chosen.root.is_relative_to(safe)


@as_root
def test_no_usable_cache_at_all_is_told(
    closed_binaries: Binaries, common: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (common / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(common / "file"))

    with pytest.raises(CacheUnusable, match="others may write there"):
        readable_by_all(closed_binaries, [common])


def test_programs_that_all_can_read_stay_where_they_are(common: Path) -> None:
    common.chmod(0o755)
    program = common / "p" / "pginstall" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.touch()
    program.chmod(0o755)
    binaries = Binaries(common / "p", "key")

    assert readable_by_all(binaries) == binaries


def test_a_platform_without_the_programs_is_told_what_there_is() -> None:
    with pytest.raises(BinariesMissing) as raised:
        find(package="no_such_package")
    assert raised.value.got == "no such package"
    assert "postgresql://" in raised.value.remedy

    with pytest.raises(BinariesMissing) as raised:
        find(package="json")
    assert raised.value.got == "a package without them"


async def test_programs_for_another_machine_are_told(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "p" / "pginstall" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF not for this one")
    program.chmod(0o755)

    def find_foreign() -> Binaries:
        return Binaries(tmp_path / "p", "foreign")

    monkeypatch.setattr(postgres_binaries, "find", find_foreign)
    monkeypatch.setattr(postgres_binaries, "readable_by_all", lambda binaries: binaries)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]

    with pytest.raises(BinariesMissing, match="run on this machine"):
        await EmbeddedPostgres.start(data)

"""Migrations against real servers: applied once and in order, and every mismatch is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from headrace.stores.migrate import (
    MIGRATIONS,
    MigrationError,
    ServerUnsuitable,
    check_vector,
    check_version,
    migrate,
    read,
)
from tests.servers import FreshDatabases, PostgresApart


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two migrations, the second of several statements."""
    (tmp_path / "0001_first.sql").write_text("create table things (id int primary key);\n")
    (tmp_path / "0002_more.sql").write_text(
        "alter table things add name text;\n-- A comment; with a semicolon.\ninsert into things values (1, 'é');\n",
        encoding="utf-8",
    )
    return tmp_path


async def rows(dsn: str, query: bytes) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        return await (await connection.execute(query)).fetchall()


async def test_an_empty_database_gets_all_and_then_nothing_twice(
    fresh_database: FreshDatabases, directory: Path
) -> None:
    dsn = await fresh_database()
    told: list[str] = []

    first = await migrate(dsn, directory=directory, progress=told.append)
    second = await migrate(dsn, directory=directory, progress=told.append)

    assert (first.version, list(first.applied)) == (2, ["0001_first", "0002_more"])
    assert (second.version, list(second.applied)) == (2, [])
    assert told == ["Applying 0001_first to the store", "Applying 0002_more to the store"]
    assert await rows(dsn, b"select * from things") == [(1, "é")]
    assert await rows(dsn, b"select version, name from headrace_migrations order by 1") == [
        (1, "0001_first"),
        (2, "0002_more"),
    ]
    assert await rows(dsn, b"select '[1,2]'::halfvec::text") == [("[1,2]",)]


async def test_a_later_release_applies_only_what_is_new(fresh_database: FreshDatabases, directory: Path) -> None:
    dsn = await fresh_database()
    await migrate(dsn, directory=directory)

    (directory / "0005_later.sql").write_text("drop table things;")
    schema = await migrate(dsn, directory=directory)

    assert (schema.version, list(schema.applied)) == (5, ["0005_later"])


async def test_processes_that_start_at_once_apply_each_once(fresh_database: FreshDatabases, directory: Path) -> None:
    dsn = await fresh_database()
    (directory / "0001_first.sql").write_text("select pg_sleep(0.2); create table things (id int primary key);")

    schemas = await asyncio.gather(*(migrate(dsn, directory=directory) for _ in range(4)))

    assert sorted(len(schema.applied) for schema in schemas) == [0, 0, 0, 2]


async def test_a_failing_migration_leaves_the_database_at_the_one_before(
    fresh_database: FreshDatabases, directory: Path
) -> None:
    dsn = await fresh_database()
    (directory / "0002_more.sql").write_text("create table half (id int); select 1 / 0;")

    with pytest.raises(MigrationError) as raised:
        await migrate(dsn, directory=directory)

    assert "0002_more" in raised.value.step
    assert "division by zero" in raised.value.got
    assert await rows(dsn, b"select version from headrace_migrations") == [(1,)]
    assert await rows(dsn, b"select to_regclass('half')") == [(None,)]

    (directory / "0002_more.sql").write_text("create table whole (id int);")
    assert list((await migrate(dsn, directory=directory)).applied) == ["0002_more"]


async def test_a_migration_that_ends_its_transaction_is_refused(
    fresh_database: FreshDatabases, directory: Path
) -> None:
    dsn = await fresh_database()
    (directory / "0002_more.sql").write_text("commit;")

    with pytest.raises(MigrationError, match="ended its own transaction"):
        await migrate(dsn, directory=directory)

    assert await rows(dsn, b"select version from headrace_migrations") == [(1,)]


async def test_an_edited_migration_is_refused(fresh_database: FreshDatabases, directory: Path) -> None:
    dsn = await fresh_database()
    await migrate(dsn, directory=directory)

    (directory / "0001_first.sql").write_text("create table things (id bigint primary key);\n")

    with pytest.raises(MigrationError, match="0001_first as it was when it was applied"):
        await migrate(dsn, directory=directory)


async def test_line_ends_do_not_count_as_an_edit(fresh_database: FreshDatabases, directory: Path) -> None:
    dsn = await fresh_database()
    await migrate(dsn, directory=directory)

    path = directory / "0002_more.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert (await migrate(dsn, directory=directory)).version == 2


async def test_a_database_of_a_newer_headrace_is_refused(fresh_database: FreshDatabases, directory: Path) -> None:
    dsn = await fresh_database()
    (directory / "0003_newer.sql").write_text("select 1;")
    await migrate(dsn, directory=directory)

    (directory / "0003_newer.sql").unlink()

    with pytest.raises(MigrationError, match="no newer than 0002") as raised:
        await migrate(dsn, directory=directory)
    assert raised.value.got == "0003 in the database"


async def test_a_migration_that_comes_too_late_or_got_lost_is_refused(
    fresh_database: FreshDatabases, directory: Path
) -> None:
    dsn = await fresh_database()
    (directory / "0004_fourth.sql").write_text("select 1;")
    await migrate(dsn, directory=directory)

    (directory / "0003_late.sql").write_text("select 1;")
    with pytest.raises(MigrationError, match="Give it a number above 0004"):
        await migrate(dsn, directory=directory)

    (directory / "0003_late.sql").unlink()
    (directory / "0002_more.sql").unlink()
    with pytest.raises(MigrationError, match="0002_more, which was applied"):
        await migrate(dsn, directory=directory)


@pytest.mark.parametrize(("name", "says"), [("2_x.sql", "0001_first.sql"), ("0001_again.sql", "each number once")])
def test_a_misnamed_file_is_told(directory: Path, name: str, says: str) -> None:
    (directory / name).write_text("select 1;")

    with pytest.raises(MigrationError, match=says):
        read(directory)


async def test_the_project_s_own_migrations_apply_and_stay(
    fresh_database: FreshDatabases, standalone_postgres: PostgresApart
) -> None:
    expected = [migration.name for migration in read(MIGRATIONS)]
    assert expected

    for dsn in (await fresh_database(), await fresh_database(standalone_postgres)):
        assert list((await migrate(dsn)).applied) == expected
        assert list((await migrate(dsn)).applied) == []


# ---- the server


async def test_a_server_without_pgvector_is_told_what_to_install(
    fresh_database: FreshDatabases, debian_postgres: PostgresApart, directory: Path
) -> None:
    dsn = await fresh_database(debian_postgres)

    with pytest.raises(ServerUnsuitable) as raised:
        await migrate(dsn, directory=directory)

    assert raised.value.got == "no such extension on the server"
    assert "Install pgvector" in raised.value.remedy
    assert await rows(dsn, b"select to_regclass('headrace_migrations')") == [(None,)]


async def test_a_role_that_may_not_create_the_extension_is_told_who_can(
    fresh_database: FreshDatabases, standalone_postgres: PostgresApart, directory: Path
) -> None:
    dsn = await fresh_database(standalone_postgres)
    database = sql.Identifier(dsn.rpartition("/")[2])
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute("drop role if exists plain")
        await admin.execute("create role plain login password 'plain'")
        await admin.execute(sql.SQL("alter database {} owner to plain").format(database))
    plain = dsn.replace(f"postgres:{standalone_postgres.password}@", "plain:plain@")

    with pytest.raises(ServerUnsuitable) as raised:
        await migrate(plain, directory=directory)
    assert "permission denied" in raised.value.got
    assert "create extension vector" in raised.value.remedy

    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute("create extension vector")
    assert (await migrate(plain, directory=directory)).version == 2


async def test_a_database_of_another_encoding_is_refused(standalone_postgres: PostgresApart, directory: Path) -> None:
    async with await psycopg.AsyncConnection.connect(standalone_postgres.dsn(), autocommit=True) as admin:
        await admin.execute("create database latin encoding 'LATIN1' template template0")
        try:
            with pytest.raises(ServerUnsuitable, match="LATIN1"):
                await migrate(standalone_postgres.dsn("latin"), directory=directory)
        finally:
            await admin.execute("drop database latin")


def test_servers_from_15_on_are_taken() -> None:
    check_version(150000)
    check_version(180006)
    with pytest.raises(ServerUnsuitable, match=r"got PostgreSQL 14\.11"):
        check_version(140011)


@pytest.mark.parametrize(
    ("available", "installed", "remedy"),
    [
        ("0.6.2", None, "Upgrade pgvector on the server"),
        ("0.8.6", "0.5.1", "alter extension vector update"),
        ("0.6.2", "0.5.1", "Upgrade pgvector on the server"),
    ],
)
def test_a_pgvector_without_halfvec_is_told_how_to_upgrade(
    available: str | None, installed: str | None, remedy: str
) -> None:
    with pytest.raises(ServerUnsuitable) as raised:
        check_vector(available, installed, database="store")

    assert remedy in raised.value.remedy


@pytest.mark.parametrize(("available", "installed"), [("0.7.0", None), ("0.10.0", "0.7.4"), ("1.0", "0.8.6")])
def test_a_pgvector_with_halfvec_is_taken(available: str, installed: str | None) -> None:
    check_vector(available, installed, database="store")

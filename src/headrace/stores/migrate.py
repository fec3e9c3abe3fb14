"""Brings a database to this code's schema: numbered SQL files, each applied once, in order, in a transaction.

What was applied is kept in the table `headrace_migrations` with a checksum, so that a file edited afterwards, or a
database that a newer Headrace has been at, is found before anything is read wrong.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from headrace.errors import StoreError
from headrace.findings import Finding, failed, ok

MIGRATIONS = Path(__file__).parent / "migrations"
LOWEST_SERVER = 15_00_00
LOWEST_VECTOR = (0, 7)  # the first with halfvec

Connection = psycopg.AsyncConnection[TupleRow]

# Advisory locks are numbers, per database: this one is the word "headrace".
_LOCK = int.from_bytes(b"headrace", "big")
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TABLE = b"""
create table if not exists headrace_migrations (
    version    integer     primary key,
    name       text        not null,
    checksum   text        not null,
    applied_at timestamptz not null default now()
)
"""


class MigrationError(StoreError):
    """The database's schema is not one that this code can bring up to date."""

    title = "The store's schema does not fit"


class ServerUnsuitable(StoreError):
    """The PostgreSQL server is too old, or lacks pgvector."""

    title = "The PostgreSQL server cannot be used as a store"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is of its text with line ends as `\\n`, so that a checkout on Windows is the same file."""

    version: int
    name: str
    checksum: str
    sql: bytes


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database is at: the last version applied, and those that this call applied."""

    version: int
    applied: Sequence[str]


def read(directory: Path = MIGRATIONS) -> list[Migration]:
    """The migrations of a directory by number. Raises `MigrationError` for a name out of form or a number twice."""
    found: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        named = _FILE.fullmatch(path.name)
        if not named:
            raise _bad_file(path, "a name such as 0001_first.sql", "another")
        version = int(named.group(1))
        if version in found:
            raise _bad_file(path, "each number once", f"{version:04} also in {found[version].name}")
        text = path.read_text(encoding="utf-8")
        found[version] = Migration(version, path.stem, hashlib.sha256(text.encode()).hexdigest(), text.encode())
    return list(found.values())


def _bad_file(path: Path, expected: str, got: str) -> MigrationError:
    return MigrationError(
        step=f"reading the migration {path.name}", expected=expected, got=got, remedy="Rename or remove the file."
    )


async def migrate(dsn: str, *, directory: Path = MIGRATIONS, progress: Callable[[str], None] | None = None) -> Schema:
    """Checks the server, then applies what is missing. Processes that call it at once wait for each other.

    A migration that fails leaves the database at the one before it. Raises `ServerUnsuitable` or `MigrationError`,
    and StoreError for a server that cannot be reached.
    """
    migrations = read(directory)
    async with await _connect(dsn) as connection:
        check_version(connection.info.server_version)
        await _check_encoding(connection)
        await connection.execute("select pg_advisory_lock(%s)", [_LOCK])
        await _ensure_vector(connection)
        await connection.execute(_TABLE)
        missing = _missing(migrations, await _applied(connection))
        for migration in missing:
            if progress:
                progress(f"Applying {migration.name} to the store")
            await _apply(connection, migration)
    return Schema(migrations[-1].version if migrations else 0, [migration.name for migration in missing])


async def inspect(dsn: str, data: Path) -> Sequence[Finding]:
    """Looks at a server before it is used as a store; changes nothing there."""
    try:
        connection = await _connect(dsn)
    except StoreError as problem:
        return [failed(problem, "connection")]
    async with connection:
        found = [ok("connection", f"PostgreSQL {connection.info.parameter_status('server_version')}")]
        for check, look in (("version", _version), ("encoding", _check_encoding), ("pgvector", _vector)):
            try:
                await look(connection)
            except StoreError as problem:
                found.append(failed(problem, check))
            else:
                found.append(ok(check, "as needed"))
        try:
            found.append(await _inspect_schema(connection))
        except StoreError as problem:
            found.append(failed(problem, "schema"))
    return found


async def _version(connection: Connection) -> None:
    check_version(connection.info.server_version)


async def _vector(connection: Connection) -> None:
    check_vector(*await _vectors(connection), database=connection.info.dbname)


async def _inspect_schema(connection: Connection) -> Finding:
    cursor = await connection.execute("select to_regclass('headrace_migrations') is not null")
    if await cursor.fetchone() != (True,):
        return ok("schema", "none yet: it will be made")
    missing = _missing(read(), await _applied(connection))
    return ok("schema", f"{len(missing)} migrations to apply" if missing else "up to date")


async def _connect(dsn: str) -> Connection:
    try:
        return await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    except psycopg.Error as error:
        raise StoreError(
            step="connect to the store",
            expected="a PostgreSQL server that lets us in",
            got=" ".join(str(error).split())[:400],
            remedy="See that it runs and answers there, and correct [headrace] store.",
        ) from None


# ---- the schema


async def _applied(connection: Connection) -> dict[int, tuple[str, str]]:
    rows = await connection.execute("select version, name, checksum from headrace_migrations order by version")
    return {int(version): (str(name), str(checksum)) async for version, name, checksum in rows}


def _missing(migrations: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    """The files to apply. What was applied must be the first of them, unchanged."""
    known = {migration.version: migration for migration in migrations}
    last, newest = max(applied, default=0), max(known, default=0)
    for version, (name, checksum) in applied.items():
        if version > newest:
            raise _mismatch(
                f"a schema no newer than {newest:04}, which this Headrace knows",
                f"{last:04} in the database",
                "Use the newer Headrace that made it, or a backup of the database from before.",
            )
        if version not in known:
            raise _mismatch(f"the file of {name}, which was applied", "none", "Reinstall Headrace.")
        if known[version].checksum != checksum:
            raise _mismatch(
                f"{name} as it was when it was applied",
                "a file with other content",
                "Undo the edit and write what is to change as a new migration.",
            )
    missing = [migration for migration in migrations if migration.version not in applied]
    if missing and missing[0].version < last:
        raise _mismatch(
            f"new migrations to come after {last:04}, the last one applied",
            missing[0].name,
            f"Give it a number above {last:04}.",
        )
    return missing


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            # Without parameters the whole file goes as one simple query: several statements are allowed.
            await connection.execute(migration.sql)
            if connection.info.transaction_status is not TransactionStatus.INTRANS:
                raise _failed(migration, "it ended its own transaction", "Remove commit and rollback from it.")
            await connection.execute(
                "insert into headrace_migrations (version, name, checksum) values (%s, %s, %s)",
                [migration.version, migration.name, migration.checksum],
            )
    except psycopg.Error as problem:
        raise _failed(migration, str(problem).strip(), "The database is as it was before it.") from problem


def _failed(migration: Migration, got: str, remedy: str) -> MigrationError:
    return MigrationError(
        step=f"applying the migration {migration.name}",
        expected="all of it to be applied in one transaction",
        got=got,
        remedy=remedy,
    )


def _mismatch(expected: str, got: str, remedy: str) -> MigrationError:
    return MigrationError(
        step="comparing the store's schema with the code's", expected=expected, got=got, remedy=remedy
    )


# ---- the server


def check_version(server: int) -> None:
    """`server` as libpq tells it: 150018 is 15.18."""
    if server < LOWEST_SERVER:
        raise ServerUnsuitable(
            step="connecting to the store",
            expected=f"PostgreSQL {LOWEST_SERVER // 10_000} or newer",
            got=f"PostgreSQL {server // 10_000}.{server % 10_000}",
            remedy='Upgrade the server, or set store = "embedded:".',
        )


async def _check_encoding(connection: Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ServerUnsuitable(
            step="connecting to the store",
            expected="a database with encoding UTF8",
            got=str(encoding),
            remedy="Create one: create database headrace encoding 'UTF8' template template0.",
        )


async def _ensure_vector(connection: Connection) -> None:
    database = connection.info.dbname
    available, installed = await _vectors(connection)
    check_vector(available, installed, database=database)
    if installed is None:
        try:
            await connection.execute("create extension if not exists vector")
        except psycopg.errors.InsufficientPrivilege as problem:
            raise ServerUnsuitable(
                step="enabling pgvector",
                expected=f"the extension vector in the database {database}, or the right to create it",
                got=str(problem).strip(),
                remedy=f"Run `create extension vector` in {database} once, as a superuser "
                "(in managed services: as their administrator role).",
            ) from problem


async def _vectors(connection: Connection) -> tuple[str | None, str | None]:
    """The versions of pgvector that the server could install and that this database has."""
    row = await (
        await connection.execute(
            "select default_version, installed_version from pg_available_extensions where name = 'vector'"
        )
    ).fetchone()
    return (row[0], row[1]) if row else (None, None)


def check_vector(available: str | None, installed: str | None, *, database: str) -> None:
    """`available` is what the server could install, `installed` what this database has."""
    lowest = ".".join(map(str, LOWEST_VECTOR))
    present = installed or available
    if present is None:
        got, remedy = "no such extension on the server", "Install pgvector on it (the package postgresql-…-pgvector)"
    elif _numbers(present) >= LOWEST_VECTOR:
        return
    elif installed and available and _numbers(available) >= LOWEST_VECTOR:
        got, remedy = f"version {installed}", f"Run `alter extension vector update` in {database}"
    else:
        got, remedy = f"version {present}", "Upgrade pgvector on the server"
    raise ServerUnsuitable(
        step="looking for pgvector",
        expected=f"pgvector {lowest} or newer",
        got=got,
        remedy=f'{remedy}, or set store = "embedded:".',
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))

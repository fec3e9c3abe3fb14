"""Real servers for tests. All that is started here ends with the test process, also when that is killed."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import quote

import psycopg
import pymysql
import pytest
from psycopg import sql

# Room for one slot per test that leaves one behind; nothing here has to survive a power cut.
SETTINGS = {"wal_level": "logical", "max_replication_slots": "64", "max_wal_senders": "64", "fsync": "off"}

_libc: ctypes.PyDLL | None = ctypes.PyDLL(None) if sys.platform == "linux" else None


def missing(reason: str) -> NoReturn:
    """Ends a test that needs what is not here: skipped with the reason, but failed where HEADRACE_CI=1 promises all."""
    if os.environ.get("HEADRACE_CI") == "1":
        pytest.fail(f"missing: {reason}")
    pytest.skip(reason)


def dies_with_us(number: signal.Signals = signal.SIGINT) -> Callable[[], None] | None:
    """A `preexec_fn`: the child gets the signal when the thread that starts it (the main one) ends. Linux only."""
    if _libc is None:
        return None
    prctl, set_death_signal = _libc.prctl, 1

    def prepare() -> None:
        prctl(set_death_signal, number)

    return prepare


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Postgres(Protocol):
    """A running server, whoever started it."""

    def dsn(self, database: str) -> str:
        """An address as superuser."""
        ...


class PostgresApart:
    """A PostgreSQL that is not Headrace's: an own cluster over TCP with a password, and over a Unix socket.

    `user` is whom it runs as when we are root.
    """

    host = "127.0.0.1"

    def __init__(self, programs: Path, user: str) -> None:
        self._programs = programs
        self._account = pwd.getpwnam(user) if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="headrace-test-"))
        self.password = secrets.token_hex(8)
        self.port = free_port()
        version = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        self.major = int(re.findall(r"\d+", version.stdout)[0])
        self._initialise()
        self.start()

    def dsn(self, database: str = "postgres", *, tcp: bool = True) -> str:
        """With the password in it, as a person would write it into a configuration."""
        name = quote(database, safe="")
        if tcp:
            return f"postgresql://postgres:{self.password}@{self.host}:{self.port}/{name}"
        directory = quote(str(self.directory), safe="")
        return f"postgresql://postgres:{self.password}@/{name}?host={directory}&port={self.port}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Starts it (again) and waits until it takes connections."""
        settings = {**SETTINGS, "listen_addresses": self.host, "port": str(self.port)}
        settings["unix_socket_directories"] = str(self.directory)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._spawn("postgres", "-D", str(self.directory / "data"), *options)
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn()).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.directory / "log").read_text("utf-8", "replace")) from None
                time.sleep(0.02)

    def install(self, path: Path, content: bytes) -> None:
        """Writes a file that the server alone may read."""
        path.write_bytes(content)
        path.chmod(0o600)
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def stop(self) -> None:
        """Shuts down clean, ending all connections."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends it as a crash does. `start` recovers."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """Stops it and removes its files."""
        if self._process and self._process.poll() is None:
            self.stop()
        shutil.rmtree(self.directory)

    def _end(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)
        self._process.wait(30)

    def _initialise(self) -> None:
        password = self.directory / "password"
        password.write_text(self.password)
        if self._account:
            for path in (self.directory, password):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        options = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8", "--locale=C"]
        made = self._spawn("initdb", "-D", str(self.directory / "data"), "--no-sync", *options)
        assert made.wait(120) == 0, (self.directory / "log").read_text("utf-8", "replace")
        password.unlink()

    def _spawn(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / program, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=self._account.pw_uid if self._account else None,
                group=self._account.pw_gid if self._account else None,
                extra_groups=[] if self._account else None,
                start_new_session=True,
                preexec_fn=dies_with_us(),
            )


def debian_programs() -> Path:
    """Debian's newest PostgreSQL, or the test ends as `missing`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        missing("Debian's PostgreSQL is not installed (apt-get install postgresql)")
    return found[-1].parent


class MariadbApart:
    """A MariaDB of its own: over TCP with a password and TLS, its files in a folder of its own."""

    host = "127.0.0.1"
    SETTINGS: Mapping[str, str] = {
        "server-id": "101",
        "binlog-format": "ROW",
        "binlog-row-image": "FULL",
        "binlog-row-metadata": "FULL",
        "skip-name-resolve": "1",
        "innodb-buffer-pool-size": "64M",
        "innodb-flush-log-at-trx-commit": "0",
        "sync-binlog": "0",
        "character-set-server": "utf8mb4",
        "max-allowed-packet": "64M",
    }

    def __init__(self, program: Path, **settings: str) -> None:
        self._program = program
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="headrace-test-"))
        self.password = secrets.token_hex(8)
        self.port = free_port()
        self._settings = {**self.SETTINGS, **{k.replace("_", "-"): v for k, v in settings.items()}}
        self._initialise()
        self.start()
        self.sql(
            f"create user 'headrace'@'%' identified by '{self.password}'",
            "grant all on *.* to 'headrace'@'%' with grant option",
        )

    def url(self, database: str = "", user: str = "headrace", password: str = "", query: str = "") -> str:
        """With the password in it, as a person would write it into a configuration."""
        return f"mysql://{user}:{password or self.password}@{self.host}:{self.port}/{database}{query}"

    def connect(self, database: str = "") -> pymysql.Connection:
        """As the application does; a statement is a transaction unless `begin` was called. Who waits for a table
        that is never let go is told so, rather than after a day."""
        return pymysql.connect(
            host=self.host, port=self.port, user="headrace", password=self.password, database=database or None,
            charset="utf8mb4", autocommit=True, init_command="set lock_wait_timeout = 60",
        )  # fmt: skip

    def sql(self, *statements: str) -> None:
        """As root, over the socket."""
        with pymysql.connect(user="root", unix_socket=str(self.directory / "s"), autocommit=True) as connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def configure(self, **settings: str) -> None:
        """Counts from the next start on."""
        self._settings.update({k.replace("_", "-"): v for k, v in settings.items()})

    def start(self) -> None:
        """Starts it (again) and waits until it takes connections."""
        self._process = self._spawn(str(self._program), f"--defaults-file={self._write()}")
        deadline = time.monotonic() + 30
        while True:
            try:
                self.sql("select 1")
                return
            except pymysql.MySQLError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.directory / "log").read_text("utf-8", "replace")) from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Shuts down clean, ending all connections."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a crash does. `start` recovers."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """Stops it and removes its files."""
        if self._process and self._process.poll() is None:
            self._end(signal.SIGKILL)
        shutil.rmtree(self.directory)

    def _end(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)
        self._process.wait(30)

    def _write(self) -> Path:
        file, home = self.directory / "my.cnf", self.directory
        fixed = {
            "datadir": str(home / "data"), "socket": str(home / "s"), "pid-file": str(home / "pid"),
            "port": str(self.port), "bind-address": self.host, "log-bin": str(home / "data" / "mariadb-bin"),
            # A server that starts removes what others have in a folder that they share.
            "tmpdir": str(home / "tmp"),
        }  # fmt: skip
        if self._account:
            fixed["user"] = "nobody"
        lines = [f"{name}={value}" for name, value in {**fixed, **self._settings}.items()]
        file.write_text("[mysqld]\n" + "\n".join(lines) + "\n")
        return file

    def _initialise(self) -> None:
        folders = (self.directory, self.directory / "data", self.directory / "tmp")
        for folder in folders[1:]:
            folder.mkdir()
        self.directory.chmod(0o755)
        if self._account:
            for path in folders:
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        if self._account:
            options.append("--user=nobody")
        made = self._spawn("mariadb-install-db", f"--defaults-file={self._write()}", *options)
        assert made.wait(120) == 0, (self.directory / "log").read_text("utf-8", "replace")

    def _spawn(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [program, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                preexec_fn=dies_with_us(signal.SIGKILL),
            )


def mariadb_program() -> Path:
    """Debian's MariaDB, or the test ends as `missing`."""
    found = shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/local/bin:" + os.environ.get("PATH", ""))
    if found is None or shutil.which("mariadb-install-db") is None:
        missing("MariaDB is not installed (apt-get install mariadb-server)")
    return Path(found)


class FreshDatabases:
    """Makes databases for one test; all are dropped after it, with their slots and connections."""

    def __init__(self, default: Postgres) -> None:
        self._default = default
        self._made: list[tuple[Postgres, str]] = []
        self._numbers = itertools.count(1)

    async def __call__(self, server: Postgres | None = None) -> str:
        """The address of a new, empty database on the embedded server or the one given."""
        server = server or self._default
        name = f"test_{os.getpid()}_{next(self._numbers)}_{secrets.token_hex(3)}"
        async with await _connect(server) as connection:
            await connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        self._made.append((server, name))
        return server.dsn(name)

    async def drop(self) -> None:
        for server, name in reversed(self._made):
            async with await _connect(server) as connection:
                await _drop_slots(connection, name)
                await connection.execute(
                    sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
                )
        self._made.clear()


async def _connect(server: Postgres) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(server.dsn("postgres"), autocommit=True)


async def _drop_slots(connection: psycopg.AsyncConnection, database: str) -> None:
    """A database with a slot cannot be dropped, nor a slot while it is read: its reader goes first."""
    deadline = time.monotonic() + 10
    while True:
        await connection.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots"
            " where database = %s and active_pid is not null",
            [database],
        )
        await connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s and not active",
            [database],
        )
        left = await connection.execute("select from pg_replication_slots where database = %s", [database])
        if not left.rowcount:
            return
        assert time.monotonic() < deadline, f"a replication slot of {database} stays in use"
        await asyncio.sleep(0.02)

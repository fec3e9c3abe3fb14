"""The database that changes: a PostgreSQL of its own, apart from Headrace's, that keeps what it commits (fsync on)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bench.report import Failed
from headrace.stores.embedded.binaries import find, readable_by_all

SETTINGS = {"wal_level": "logical", "max_connections": "100", "fsync": "on", "synchronous_commit": "on"}
"""Otherwise as PostgreSQL comes."""

ROOT = Path(__file__).parents[1]
"""Where `python -m bench.…` finds itself."""

_libc: ctypes.PyDLL | None = ctypes.PyDLL(None) if sys.platform == "linux" else None


def dies_with_us(number: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn`: the child gets the signal when this process ends, however that is. Linux only."""
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


@dataclass(frozen=True, slots=True)
class Programs:
    """A PostgreSQL's programs; `user` is whom they run as when we are root."""

    folder: Path
    user: str
    origin: str

    @classmethod
    def best(cls) -> Programs:
        """Debian's newest of 15 or later, because a source is seldom the very build of the store; else the embedded."""
        found = [(int(p.parts[-3]), p.parent) for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        newest = max(found, default=(0, Path()))
        if newest[0] >= 15:
            return cls(newest[1], "postgres", "Debian's")
        return cls(readable_by_all(find()).bin, "nobody", "the embedded programs")

    @property
    def label(self) -> str:
        told = subprocess.run([self.folder / "postgres", "--version"], capture_output=True, text=True, check=True)
        return f"PostgreSQL {''.join(re.findall(r' ([0-9.]+)', told.stdout)[:1])} ({self.origin}), apart, fsync on"


@dataclass(frozen=True, slots=True)
class SourceServer:
    """A running server that trusts local connections."""

    port: int
    label: str

    def dsn(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def make(self, database: str, *statements: str) -> psycopg.Connection:
        """A new database with these statements run, connected to in autocommit."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
        connection = psycopg.connect(self.dsn(database), autocommit=True)
        for statement in statements:
            connection.execute(statement.encode())
        return connection


@contextlib.contextmanager
def source_server() -> Generator[SourceServer]:
    """A new cluster in a folder of its own; both are gone after."""
    programs = Programs.best()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-pg-") as name:
        folder = Path(name)
        account = pwd.getpwnam(programs.user) if os.geteuid() == 0 else None
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        if _spawn(programs, account, folder, "initdb", "-D", f"{folder}/data", *options).wait(120):
            raise Failed("initdb: " + (folder / "log").read_text("utf-8", "replace")[-500:])
        server = SourceServer(free_port(), programs.label)
        given = {**SETTINGS, "port": str(server.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": name}
        settings = [part for key, value in given.items() for part in ("-c", f"{key}={value}")]
        process = _spawn(programs, account, folder, "postgres", "-D", f"{folder}/data", *settings)
        try:
            _until_ready(server, process, folder)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait(20)


def _spawn(
    programs: Programs, account: pwd.struct_passwd | None, folder: Path, program: str, *options: str
) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [programs.folder / program, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, "LC_ALL": "C"},
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGINT),
        )


def _until_ready(server: SourceServer, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(server.dsn("postgres")).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("postgres: " + (folder / "log").read_text("utf-8", "replace")[-500:]) from error
            time.sleep(0.02)

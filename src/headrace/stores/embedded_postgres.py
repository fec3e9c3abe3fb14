"""The embedded store's server: PostgreSQL 18 with pgvector, started in a data directory and ended with this process.

It works as an ordinary user and as root (then PostgreSQL runs as `nobody`, or as who owns the cluster; see
`headrace.stores.embedded.process`). The data directory stays where it is and nobody's directories change their mode.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGQUIT
from types import MappingProxyType
from urllib.parse import quote

import psycopg
from psycopg import sql

from headrace.errors import StoreError
from headrace.findings import Finding, error, failed, ok
from headrace.stores.embedded import binaries as postgres_binaries
from headrace.stores.embedded import remains
from headrace.stores.embedded.errors import PostgresDied, PostgresFailed, ending, from_os, from_output, severe, unusable
from headrace.stores.embedded.home import SUPERUSER, Home, Running
from headrace.stores.embedded.process import (
    Account,
    Directory,
    Server,
    private_directory,
    running_in,
    signal_all,
    spawn,
    take_ownership,
)
from headrace.stores.embedded.settings import SETTINGS
from headrace.stores.embedded.setup import Setup, major_version

RECOVERY_LIMIT_S = 600.0
_POLL_S = 0.005
_LOG_CHECK_S = 30.0

Progress = Callable[[str], None]


class EmbeddedPostgres:
    """A running PostgreSQL of our own. `start` makes one; it is usable until `stop` or until `wait_dead` returns.

    pid: the postmaster's. version: such as "18.6". bin: the folder of psql, pg_dump and so on.
    port: on 127.0.0.1, or None without `tcp`.
    """

    pid: int
    version: str
    bin: Path
    port: int | None

    def __init__(self, home: Home, progress: Progress, settings: Mapping[str, str], *, tcp: bool) -> None:
        """Use `start`."""
        self.data = home.path
        self.port = None
        self._home = home
        self._progress = progress
        self._settings = {**SETTINGS, **settings}
        self._tcp = tcp
        self._account = Account.of(home.cluster)
        self._sockets: Path | None = None
        self._socket_port = 5432
        self._directory: Directory | None = None
        self._server: Server | None = None
        self._log_offset = 0
        self._stopping = False
        self._dead: asyncio.Future[PostgresDied | None] = asyncio.get_running_loop().create_future()
        self._callbacks: list[Callable[[PostgresDied], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def start(
        cls,
        data: Path,
        *,
        progress: Progress | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        tcp: bool = False,
    ) -> EmbeddedPostgres:
        """Starts the server of a data directory, creating, recovering or clearing up first as need be.

        `settings` are PostgreSQL's own and go before `SETTINGS`. With `tcp` it also listens on 127.0.0.1, on a free
        port that stays the same as long as it stays free. Call it from the main thread: the server then ends with
        this process however that ends, also by kill -9 (from other threads a small watchdog process sees to it).
        Raises a `StoreError` that says what to do: `DataDirectoryInUse`, `DataDirectoryUnusable`, `DiskFull`,
        `BinariesMissing`, `CannotSwitchUser`, `PostgresFailed`.
        """
        path = Path.cwd() / data  # resolve() would replace a person's links
        began = time.monotonic()
        try:
            home = Home.open(path)
        except OSError as problem:
            raise from_os("creating the data directory", path, problem) from problem
        starting = cls(home, progress or _silent, settings, tcp=tcp)
        try:
            await starting._start()
        except BaseException as problem:
            await starting._abandon()
            if isinstance(problem, OSError):
                raise from_os("starting the embedded PostgreSQL", path, problem) from problem
            raise
        starting._progress(f"PostgreSQL {starting.version} is ready after {time.monotonic() - began:.2f} s")
        return starting

    # ---- use

    def dsn(self, database: str, *, tcp: bool = False, with_password: bool = False) -> str:
        """A libpq URI as the superuser `postgres`, over the Unix socket or (`tcp`) 127.0.0.1.

        The password is not in it: libpq reads it from the data directory, as this user may. `with_password` puts it in
        for other users and for programs without libpq; such a URI must not be printed.
        """
        user = SUPERUSER
        query = {"passfile": str(self._home.pgpass)}
        if with_password:
            user, query = f"{user}:{self._home.password()}", {}
        if tcp:
            if self.port is None:
                raise ValueError("started without tcp=True")
            host = f"127.0.0.1:{self.port}"
        else:
            host = ""
            query = {"host": str(self._sockets), "port": str(self._socket_port), **query}
        options = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return f"postgresql://{user}@{host}/{quote(database, safe='')}" + (f"?{options}" if options else "")

    async def ensure_database(self, name: str) -> None:
        """Creates a database unless it is there. UTF-8, its texts ordered by code point."""
        async with await psycopg.AsyncConnection.connect(self.dsn("postgres"), autocommit=True) as connection:
            found = await connection.execute("select from pg_database where datname = %s", [name])
            if not found.rowcount:
                # Another was quicker: PostgreSQL says it in one way or the other.
                with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    await connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))

    async def wait_dead(self) -> PostgresDied | None:
        """Returns as soon as the server has ended: with what happened, or None if it was stopped in order.

        The data directory is free then, so `start` can be called again at once.
        """
        return await asyncio.shield(self._dead)

    def on_exit(self, callback: Callable[[PostgresDied], None]) -> None:
        """Has `callback` called in the event loop once the server ends without `stop`."""
        self._callbacks.append(callback)

    async def stop(self) -> None:
        """Shuts down clean, at most 30 s. Close connections first: a replication connection would be waited for.

        A second call waits for the first; after an unexpected end it does nothing.
        """
        self._stopping = True
        if self._server:
            await self._server.end()
        await asyncio.shield(self._dead)

    # ---- starting

    async def _start(self) -> None:
        binaries = postgres_binaries.find()
        if self._account:
            binaries = await asyncio.to_thread(postgres_binaries.readable_by_all, binaries)
        self.bin = binaries.bin
        self._home.cut_log()
        self._sockets = private_directory(self._account)
        setup = Setup(self.bin, self._home, self._account, self._sockets)
        if self._home.is_initialised(await asyncio.to_thread(major_version, binaries)):
            await remains.clear(self._home, self._progress)
            if self._account:
                take_ownership(self._home.cluster, self._account)
        else:
            self._progress(f"Creating a PostgreSQL cluster in {self.data}")
            await setup.initialise()
        if self._home.password() is None:
            self._progress("Setting a new password for the PostgreSQL cluster")
            await setup.reset_password()
        self._directory = Directory.open(self._home.cluster, self._account)
        await self._launch()
        self._check_log()

    async def _launch(self) -> None:
        """Starts the postmaster; again where a port was taken in between or backends are still leaving."""
        deadline = time.monotonic() + 10.0
        while True:
            await self._start_postmaster()
            try:
                await self._until_ready()
            except PostgresFailed:
                output = self._home.log_from(self._log_offset)
                passing = "shared memory block" in output or (self._tcp and "could not bind" in output)
                if not passing or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def _start_postmaster(self) -> None:
        assert self._directory
        assert self._sockets
        if self._tcp:
            self._socket_port = self.port = self._home.port()
        fixed = {
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "port": str(self._socket_port),
            "unix_socket_directories": str(self._sockets),
        }
        command = [str(self.bin / "postgres"), "-D", self._directory.argument]
        for name, value in {**self._settings, **fixed}.items():
            command += ["-c", f"{name}={value}"]
        self._log_offset = self._home.log_size()
        log = self._home.open_log()
        try:
            process = spawn(command, account=self._account, directory=self._directory, output=log)
        finally:
            os.close(log)
        self._server = Server(process)
        self.pid = process.pid
        self._home.set_running(Running(process.pid, self._sockets))

    async def _until_ready(self) -> None:
        assert self._server
        began = told = time.monotonic()
        while not self._home.is_ready(self.pid):
            if self._server.exited.done():
                output = self._home.log_from(self._log_offset)
                raise from_output("starting the embedded PostgreSQL", self.data, output, self._server.exited.result())
            now = time.monotonic()
            if now - told > 1.0:
                told = now
                self._progress(f"PostgreSQL is recovering, for {now - began:.0f} s now")
            if now - began > RECOVERY_LIMIT_S:
                raise from_output("waiting for the embedded PostgreSQL", self.data, "not ready in time", 0)
            await asyncio.sleep(_POLL_S)
        try:
            async with await psycopg.AsyncConnection.connect(self.dsn("postgres"), connect_timeout=30) as connection:
                self.version = (connection.info.parameter_status("server_version") or "").partition(" ")[0]
        except psycopg.OperationalError as problem:
            raise unusable(
                self.data,
                "a cluster that takes the password kept beside it",
                str(problem).strip(),
                f"Remove {self._home.pgpass}: the next start then sets a new one.",
            ) from problem
        self._server.exited.add_done_callback(self._ended)

    # ---- ending

    def _check_log(self) -> None:
        self._home.cut_log()
        self._timer = asyncio.get_running_loop().call_later(_LOG_CHECK_S, self._check_log)

    def _ended(self, exited: asyncio.Future[int]) -> None:
        died: PostgresDied | None = None
        if not self._stopping:
            # Backends without a postmaster end when they next wait: one that never does would be waited for.
            signal_all(running_in(self._home.cluster), SIGQUIT)
            died = PostgresDied(
                step="running the embedded PostgreSQL",
                expected="it to run until it is stopped",
                got="; ".join(filter(None, (ending(exited.result()), severe(self._home.log_from(self._log_offset))))),
                remedy=f"Start it again: it recovers by itself. What it said is in {self.data / 'postgres.log'}.",
            )
        self._release()
        if not self._dead.done():
            self._dead.set_result(died)
        if died:
            for callback in self._callbacks:
                callback(died)

    async def _abandon(self) -> None:
        """A start that failed or was cancelled leaves no process and no lock."""
        self._stopping = True
        if self._server and not self._server.exited.done():
            await self._server.end()
        self._release()

    def _release(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._directory:
            self._directory.close()
            self._directory = None
        if self._sockets:
            self._home.forget(self._sockets)
        self._home.close()


async def inspect(url: str, data: Path) -> Sequence[Finding]:
    """Looks at what an embedded server needs; changes nothing. `data` is Headrace's folder."""
    try:
        programs = postgres_binaries.find()
    except StoreError as problem:
        return [failed(problem, "programs")]
    found = [ok("programs", f"PostgreSQL {major_version(programs)} with pgvector")]
    cluster = data / "postgres" / "cluster" / "PG_VERSION"
    if not cluster.exists():
        return [*found, ok("cluster", "none yet: it will be made")]
    made = cluster.read_text().strip()
    if made != major_version(programs):
        found.append(
            error(
                "cluster",
                expected=f"files of PostgreSQL {major_version(programs)}",
                got=f"files of {made}",
                remedy="Use the Headrace that made them, or a new [headrace] data folder: sources are copied again.",
            )
        )
    else:
        found.append(ok("cluster", f"in {cluster.parent}"))
    return found


def _silent(_: str) -> None:
    pass

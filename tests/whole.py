"""Headrace as a person runs it: `headrace up` in a process of its own, on a folder of its own, asked over HTTP."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast
from urllib.parse import quote

import httpx2
import psycopg
from psycopg import sql

from tests.servers import PostgresApart, dies_with_us, free_port

PATIENCE_S = 240.0
"""Nothing is measured with it: only how long a loaded machine may take before a test gives up."""


class Refused(Exception):
    """An answer with an error status: the problem as the server tells it."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail')}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        assert self.code == 0, self.err
        return [json.loads(line) for line in self.out.split("\n") if line]


class Whole:
    """One `headrace up`. `settings` is the configuration without `data`, `store` and `port`."""

    def __init__(
        self, folder: Path, settings: str, *, store: str = "embedded:", main: str = "", data: str = ""
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.data = Path(data) if data else folder / "data"
        self.config = folder / "headrace.toml"
        self.output = folder / "output.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._launched_at = 0
        self._http = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)
        self._head = f'[headrace]\nstore = "{store}"\ndata = "{self.data}"\n{main}\n[server]\nport = {self.port}\n'
        self.configure(settings)

    def configure(self, settings: str) -> None:
        """Writes the configuration; it counts from the next start on."""
        self.config.write_text(by_reference(self._head + settings), encoding="utf-8")

    # ---- the process -------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> Whole:
        """Starts the process and returns at once."""
        assert not self.running
        self._launched_at = len(self.output.read_text("utf-8", "replace")) if self.output.exists() else 0
        self._process = spawn(["up", "-c", str(self.config)], self.folder, self.output)
        return self

    def start(self) -> Whole:
        """Starts the process and returns when it is ready."""
        self.launch()
        self.ready()
        return self

    def ready(self) -> None:
        def answers() -> bool:
            assert self.running, f"headrace up ended: {self.told()}"
            with contextlib.suppress(httpx2.TransportError, Refused):
                return self.get("/readyz")["status"] == "ready"
            return False

        until(answers, "headrace is ready", self.told)

    def says(self, words: str) -> None:
        """Returns when it has written these words since it was launched last."""

        def said() -> bool:
            assert self.running, f"headrace up ended: {self.told()}"
            return words in self.output.read_text("utf-8", "replace")[self._launched_at :]

        until(said, f"it says {words!r}", self.told, pause_s=0.01)

    def refusal(self) -> str:
        """What a start that must fail says at its end."""
        self.launch()
        assert self._process is not None
        assert self._process.wait(PATIENCE_S) == 1, self.told()
        return self.told()

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def stop(self) -> int:
        """Ends it in order; its return code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.running:
            self.stop()
        self._http.close()

    def told(self) -> str:
        """The end of what it wrote to its terminal."""
        return self.output.read_text("utf-8", "replace")[-3000:] if self.output.exists() else ""

    @property
    def postmaster(self) -> int | None:
        """The embedded PostgreSQL's first process, when there is one."""
        try:
            first = (self.data / "postgres" / "cluster" / "postmaster.pid").read_text().split("\n")[0]
        except FileNotFoundError:
            return None
        return int(first) if first else None

    @property
    def store(self) -> str:
        """The address of the store in the embedded PostgreSQL that runs."""
        home = self.data / "postgres"
        port = (home / "port").read_text().strip()
        return f"postgresql://postgres@127.0.0.1:{port}/headrace?passfile={quote(str(home / 'pgpass'), safe='')}"

    def command(self, *arguments: str, config: bool = True, input: bytes = b"") -> Ended:
        """A command of `headrace` on this configuration, to its end."""
        where = ["-c", str(self.config)] if config else []
        ended = subprocess.run(
            [sys.executable, "-m", "headrace", *arguments, *where],
            cwd=self.folder,
            input=input,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    # ---- what it answers ---------------------------------------------------------------------------------------------

    def say(self, headers: Mapping[str, str]) -> None:
        """Headers of every request from now on."""
        self._http.headers.update(headers)

    def get(self, path: str, **params: str | int) -> Any:
        return _answer(self._http.get(path, params=params))

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        return _answer(self._http.post(path, json=body or {}))

    def lines(self, path: str, **params: str | int) -> list[Any]:
        """NDJSON."""
        answer = self._http.get(path, params=params)
        if answer.status_code >= 400:
            _answer(answer)
        return [json.loads(line) for line in answer.text.split("\n") if line]

    def token(self) -> str:
        return str(self.get("/v1/token")["token"])

    def search(self, query: str, **more: object) -> Any:
        return self.post("/v1/search", {"query": query, **more})

    def texts(self, query: str, **more: object) -> list[str]:
        """The texts that a search finds."""
        return [r["text"] for r in self.search(query, **more)["results"]]

    def document(self, id: str, **params: str | int) -> Any:
        """One document, or None when there is none."""
        return self._found("/v1/documents/" + quote(id, safe="/"), params)

    def documents(self, **params: str | int) -> dict[str, Any]:
        return {d["id"]: d for d in self.lines("/v1/documents", **params)}

    def profile(self, identifier: str, **params: str | int) -> Any:
        """One profile, or None when there is none."""
        return self._found("/v1/profiles/" + quote(identifier, safe=""), params)

    def profiles(self, **params: str | int) -> dict[str, Any]:
        return {p["id"]: p for p in self.lines("/v1/profiles", **params)}

    def letters(self, **params: str | int) -> list[Any]:
        return self.get("/v1/deadletters", **params)["dead_letters"]

    def source(self, name: str) -> Any:
        """What the status says of a source."""
        return next(s for s in self.get("/v1/status")["sources"] if s["name"] == name)

    def settle(self) -> str:
        """Waits until everything that is committed at the sources now is applied; the token of it."""
        token = ""

        def settled() -> bool:
            nonlocal token
            try:
                token = token or self.token()
                self.search("settled", k=1, after=token, wait_ms=5000)
                self.profile("settled:none", after=token, wait_ms=5000)
            except httpx2.TransportError:
                return False
            except Refused as refused:
                if refused.status not in (409, 503):
                    raise
                return False
            return True

        until(settled, "everything is applied", self.told)
        return token

    def _found(self, path: str, params: Mapping[str, str | int]) -> Any:
        try:
            return self.get(path, **params)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise


def _answer(response: httpx2.Response) -> Any:
    body = response.json()
    if response.status_code >= 400:
        assert isinstance(body, dict)
        raise Refused(response.status_code, cast("dict[str, Any]", body))
    return body


def by_reference(settings: str) -> str:
    """Passwords of the test servers go by the environment, as a configuration must have it."""

    def refer(address: re.Match[str]) -> str:
        name = "HEADRACE_TEST_" + hashlib.sha256(address["password"].encode()).hexdigest()[:12].upper()
        os.environ[name] = address["password"]
        return f"{address['before']}${{env:{name}}}@"

    return re.sub(r"(?P<before>(?:postgresql|mysql)://[^:/@\"]+:)(?P<password>[^@\"$]+)@", refer, settings)


def spawn(arguments: Sequence[str], folder: Path, output: Path) -> subprocess.Popen[bytes]:
    """A `headrace` in the background."""
    with output.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "headrace", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_us(),
        )


def until(condition: Callable[[], bool], what: str, told: Callable[[], str] = str, pause_s: float = 0.05) -> None:
    """Waits for something that must come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}\n{told()}"
        time.sleep(pause_s)


@contextlib.contextmanager
def whole(folder: Path, settings: str, *, store: str = "embedded:", main: str = "", data: str = "") -> Generator[Whole]:
    """One that is running, and ended after."""
    headrace = Whole(folder, settings, store=store, main=main, data=data)
    try:
        yield headrace.start()
    finally:
        headrace.close()


# ---- source databases ------------------------------------------------------------------------------------------------


class Database:
    """A database of one test; `run` executes statements, each in its own transaction."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.connection = psycopg.connect(dsn, autocommit=True)

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(cast("LiteralString", statement))

    def together(self, *statements: str) -> None:
        """All in one transaction."""
        with self.connection.transaction():
            self.run(*statements)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(cast("LiteralString", query)).fetchall()

    def lsn(self) -> str:
        """Where the server's log stands now."""
        return str(self.rows("select pg_current_wal_insert_lsn()")[0][0])


@contextlib.contextmanager
def database(server: PostgresApart, *statements: str) -> Generator[Database]:
    """A new database, dropped after the test with the slots that stand on it."""
    name = f"whole_{secrets.token_hex(6)}"
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    made = Database(server.dsn(name))
    try:
        made.run(*statements)
        yield made
    finally:
        made.connection.close()
        _drop(server, name)


def _drop(server: PostgresApart, name: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:

        def free() -> bool:
            admin.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots"
                " where database = %s and active_pid is not null",
                [name],
            )
            admin.execute(
                "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
                " where database = %s and not active",
                [name],
            )
            return not admin.execute("select from pg_replication_slots where database = %s", [name]).rowcount

        until(free, f"the slots of {name} are free")
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


# ---- processes -------------------------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """A process's children, by /proc."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def kill_all(pids: Sequence[int]) -> None:
    """kill -9, those that are gone left out."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

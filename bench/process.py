"""Headrace as its users have it: a process of its own, asked over HTTP by a plain client."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from bench.report import Failed
from bench.source import ROOT, dies_with_us, free_port

START_S = 400.0
LIMIT_S = 10.0
"""After so long without what must come, a bench has failed: such a time is no sample."""


class TooLate(Failed):
    """It did not come within `LIMIT_S`."""


class Client:
    """One kept-open connection. Bodies come as bytes: what is timed is the answer, not this side's parsing."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        sent = None if body is None else json.dumps(body).encode()
        try:
            return self._once(method, path, sent)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A server ends a connection that was quiet for some seconds; one that is gone refuses the new one.
            self._http.close()
            return self._once(method, path, sent)

    def get(self, path: str) -> bytes:
        return self._answer("GET", path, None)

    def post(self, path: str, body: object) -> bytes:
        return self._answer("POST", path, body)

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def finds(self, word: str) -> bool:
        """Whether a search for a word shows it; no answer repeats the question."""
        return word.encode() in self.post("/v1/search", {"query": word, "k": 3})

    def close(self) -> None:
        self._http.close()

    def _once(self, method: str, path: str, sent: bytes | None) -> tuple[int, bytes]:
        self._http.request(method, path, sent, {"content-type": "application/json"})
        response = self._http.getresponse()
        return response.status, response.read()

    def _answer(self, method: str, path: str, body: object) -> bytes:
        status, answer = self.request(method, path, body)
        if status >= 400:
            raise Failed(f"{method} {path} answered {status}: {answer[:300].decode(errors='replace')}")
        return answer


class Headrace:
    """A running one: `pid`, `port`, and the address of its embedded PostgreSQL."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, data: Path, output: Path) -> None:
        self.pid = process.pid
        self.port = port
        self._process = process
        self._postgres = data / "postgres"
        self._output = output

    def client(self) -> Client:
        return Client(self.port)

    def make_database(self, name: str) -> str:
        """A new database in its embedded PostgreSQL, by TCP: for what is measured beside it on the same server."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.dsn(name)

    @property
    def postmaster(self) -> int:
        """The pid of its embedded PostgreSQL."""
        return int((self._postgres / "cluster" / "postmaster.pid").read_text().split("\n")[0])

    def dsn(self, database: str) -> str:
        """Only for here: the password is in it, because not every client reads libpq's file."""
        password = (self._postgres / "pgpass").read_text("ascii").strip().rpartition(":")[2]
        port = (self._postgres / "port").read_text("ascii").strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/{database}"

    def settle(self) -> None:
        """Returns when everything that is committed at the sources now is applied by every operator."""
        client, deadline = self.client(), time.monotonic() + START_S
        while (answer := client.request("GET", "/v1/token"))[0] != 200:  # a source may still be starting
            self._living(deadline, "to give a token")
            time.sleep(0.1)
        after = str(json.loads(answer[1])["token"])
        search = ("POST", "/v1/search", {"query": "settled", "k": 1, "after": after, "wait_ms": 5000})
        profile = ("GET", f"/v1/profiles/settled:none?wait_ms=5000&after={quote(after, safe='')}", None)
        for method, path, body in (search, profile):
            while client.request(method, path, body)[0] in (409, 503):
                self._living(deadline, "to catch up")
        client.close()

    def until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                client = self.client()
                if client.request("GET", "/readyz")[0] == 200:
                    client.close()
                    return
            self._living(deadline, "to be ready")
            time.sleep(0.05)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _living(self, deadline: float, what: str) -> None:
        if self._process.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"waited for headrace {what}: {self._output.read_text('utf-8', 'replace')[-800:]}")


@contextlib.contextmanager
def headrace(folder: Path, settings: str, *, module: str = "headrace") -> Generator[Headrace]:
    """`headrace up` with an embedded store; `settings` is the configuration without `data` and `port`. `module`: what
    is run in the place of Headrace's own, with the same arguments."""
    port, data = free_port(), folder / "data"
    config = folder / "headrace.toml"
    config.write_text(f'[headrace]\ndata = "{data}"\n[server]\nport = {port}\n{settings}', encoding="utf-8")
    with _started(module, ["up", "-c", str(config)], folder, port, data) as running:
        yield running


@contextlib.contextmanager
def headrace_demo(folder: Path, *, speed: float) -> Generator[Headrace]:
    """`headrace demo`, with the simulator at that speed."""
    port, data = free_port(), folder / "demo"
    arguments = ["demo", "--no-browser", "--port", str(port), "--data", str(data), "--speed", str(speed)]
    with _started("headrace", arguments, folder, port, data) as running:
        yield running


@contextlib.contextmanager
def _started(module: str, arguments: Sequence[str], folder: Path, port: int, data: Path) -> Generator[Headrace]:
    output = folder / "output.log"
    running = Headrace(spawn([sys.executable, "-m", module, *arguments], folder, output), port, data, output)
    try:
        running.until_ready()
        running.settle()
        yield running
    finally:
        running.end()


def spawn(command: Sequence[str], folder: Path, output: Path) -> subprocess.Popen[bytes]:
    """A program in the background that ends with us, its output in a file. It finds the benches' modules."""
    with output.open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGTERM),
        )


def timed(act: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def until(shown: Callable[[], bool], what: str) -> float:
    """Asks again and again, without a pause; the milliseconds until the answer that shows it has come."""
    began = time.perf_counter()
    while not shown():
        if time.perf_counter() - began > LIMIT_S:
            raise TooLate(f"{what}: not within {LIMIT_S:g} s")
    return (time.perf_counter() - began) * 1000

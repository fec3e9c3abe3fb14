"""What tests of the embedded PostgreSQL do with it, here and in other processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from headrace.stores.embedded_postgres import EmbeddedPostgres
from tests.servers import dies_with_us

ROOT = Path(__file__).parents[1]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@contextlib.asynccontextmanager
async def running(data: Path, *, tcp: bool = False) -> AsyncGenerator[EmbeddedPostgres]:
    server = await EmbeddedPostgres.start(data, tcp=tcp)
    try:
        yield server
    finally:
        await server.stop()


async def ask(dsn: str, query: bytes) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute(query)
        await cursor.set_result(-1)
        return await cursor.fetchall()


async def write(server: EmbeddedPostgres, *given: int) -> None:
    """Commits numbers to a table that it makes if need be."""
    async with await psycopg.AsyncConnection.connect(server.dsn("postgres")) as connection:
        await connection.execute("create table if not exists numbers (n int)")
        for number in given:
            await connection.execute("insert into numbers values (%s)", [number])


async def numbers(server: EmbeddedPostgres) -> list[object]:
    return [n for (n,) in await ask(server.dsn("postgres"), b"select n from numbers order by n")]


def ended(pid: int) -> bool:
    """Whether a process is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Child:
    """Another process with an embedded PostgreSQL; `told` is what it printed about its start."""

    process: subprocess.Popen[bytes]
    told: dict[str, object]

    @property
    def postmaster(self) -> int:
        pid = self.told.get("pid")
        assert isinstance(pid, int), self.told
        return pid

    @property
    def dsn(self) -> str:
        return str(self.told["dsn"])

    @classmethod
    def start(cls, data: Path, *options: str) -> Child:
        """With the options of `tests.embedded_child`. Returns when the server is ready or has failed."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.embedded_child", str(data), *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=dies_with_us(),
        )
        assert process.stdout
        line = process.stdout.readline()
        assert line, "the child ended without a word"
        return cls(process, json.loads(line))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self) -> int:
        """Lets it stop in order; once more does nothing. The return code."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()
        return self.process.wait(60)

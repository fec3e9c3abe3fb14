"""Snapshots: a table's first copy, and the same table read again beside its stream, durably in the log.

`python -m bench.snapshot [ROWS]`
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.report import Failed, Figure, Goal, Outcome, Settings
from bench.source import source_server
from headrace.change import Op
from headrace.engines.snapshots import LogKnown
from headrace.log.postgres import PostgresLog
from headrace.sources import Captured, Resume, SnapshotState, SourceSettings
from headrace.sources.mysql.source import MysqlSource
from headrace.sources.postgres.source import PostgresSource
from headrace.stores.embedded_postgres import EmbeddedPostgres
from headrace.stores.migrate import migrate

ROWS = 5_000_000
GOAL = 150_000
TABLE = "create table items (id bigint primary key, name text, n int, at timestamptz, price numeric(10, 2))"
FILL = """
insert into items
select g, 'item number ' || g, g % 97, timestamptz '2026-01-01' + g * interval '1 second', g / 100.0
from generate_series(1, {rows}) g
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Rows per second of wall and of this process's time; megabytes of memory before, and at most."""

    rows: int
    per_s: float
    per_cpu_s: float
    before_mb: float
    most_mb: float


def run(settings: Settings) -> Outcome:
    return outcome(*uvloop.run(measure(settings.of(ROWS))))


def outcome(first: Result, again: Result) -> Outcome:
    return Outcome(
        (
            _figure("first copy, durable in the log", first, GOAL),
            _figure("read again beside the stream", again, None),
            Figure("memory that a first copy adds", "headrace", "MB", round(first.most_mb - first.before_mb)),
        ),
        (f"{first.rows} rows of five columns; {first.per_cpu_s:.0f} a second of this process's own time",),
    )


def _figure(name: str, result: Result, goal: int | None) -> Figure:
    goals = [Goal(f"at least {goal}", result.per_s >= goal)] if goal else []
    return Figure(name, "headrace", "rows/s", round(result.per_s), goals=goals)


async def measure(rows: int) -> tuple[Result, Result]:
    with source_server() as server:
        server.make("bench", TABLE, FILL.format(rows=rows), "vacuum analyze items", "checkpoint").close()
        settings = SourceSettings("bench", server.dsn("bench"), "bench", tables=("public.items",))
        return await copied(PostgresSource(settings), "public.items", rows)


async def copied(source: PostgresSource | MysqlSource, table: str, rows: int) -> tuple[Result, Result]:
    """The source's one table for the first time, and again beside the stream."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        store = await EmbeddedPostgres.start(Path(folder))
        try:
            await store.ensure_database("headrace")
            dsn = store.dsn("headrace")
            await migrate(dsn)
            log = await PostgresLog.connect(dsn)
            head = await log.open("bench", source.style)
            stream = source.stream(Resume(head.position, log.state("bench"), LogKnown(log)))
            async with contextlib.aclosing(stream):
                first = await _timed(log, stream, rows)
                (job,) = await source.snapshot_again(table, None, None)
                again = await _timed(log, stream, rows)
                while not any(j.id == job.id and j.ended_at for j in source.snapshots):
                    await _append(log, await anext(stream))
            if not any(j.id == job.id and j.state is SnapshotState.DONE for j in source.snapshots):
                raise Failed(f"the snapshot ended otherwise: {source.snapshots}")
            await source.close()
            await log.close()
            return first, again
        finally:
            await store.stop()


async def _timed(log: PostgresLog, stream: AsyncGenerator[Captured], rows: int) -> Result:
    """Until so many rows were read, and are on disk."""
    before, left = _memory_mb(), rows
    began, cpu = time.perf_counter(), time.process_time()
    sync = asyncio.create_task(_keep_on_disk(log))
    async for captured in stream:
        left -= sum(c.op is Op.READ for c in captured.changes)
        await _append(log, captured)
        if left <= 0:
            break
    sync.cancel()
    await log.sync()
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    return Result(rows, rows / wall, rows / used, before, _memory_mb(most=True))


async def _append(log: PostgresLog, captured: Captured) -> None:
    await log.append("bench", captured.changes, captured.state)


async def _keep_on_disk(log: PostgresLog) -> None:
    """As the engine does."""
    while True:
        await asyncio.sleep(0.2)
        await log.sync()


def _memory_mb(*, most: bool = False) -> float:
    if most:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    for name, result in zip(("first", "again"), uvloop.run(measure(rows)), strict=True):
        sys.stdout.write(json.dumps({"name": name, "rows": result.rows, "per_s": round(result.per_s),
                                     "per_cpu_s": round(result.per_cpu_s), "before_mb": round(result.before_mb),
                                     "most_mb": round(result.most_mb)}) + "\n")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

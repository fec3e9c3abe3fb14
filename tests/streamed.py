"""A source that is read into a log in memory all the time, and the snapshots beside its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Protocol, runtime_checkable

import pytest

from headrace.errors import SourceError
from headrace.sources import Captured, SnapshotJob, SnapshotState, Snapshotting, Source
from tests.memory_log import MemoryLog, eventually, run


@runtime_checkable
class SnapshottingSource(Source, Snapshotting, Protocol):
    """One whose tables can be read again."""


class Capturing(Protocol):
    """A database and its log."""

    log: MemoryLog

    @property
    def source(self) -> Callable[..., Source]: ...


def source_of(database: Capturing, **settings: object) -> SnapshottingSource:
    source = database.source(**settings)
    assert isinstance(source, SnapshottingSource)
    return source


@asynccontextmanager
async def streaming(database: Capturing, **settings: object) -> AsyncGenerator[SnapshottingSource]:
    """Reads from before it is entered, when all that was committed is there, until all that is when it is left."""
    source = source_of(database, **settings)

    async def read() -> None:
        async with aclosing(source.stream(database.log.resume)) as steps:
            async for captured in steps:
                database.log.append(captured)
                await source.ack(captured.frontier)
                await asyncio.sleep(0)

    task = asyncio.create_task(read())
    try:
        head = await source.head()
        await reached(lambda: database.log.frontier >= head, task)
        yield source
        head = await source.head()
        await reached(lambda: database.log.frontier >= head, task)
    finally:
        failed = task.done() and task.exception()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close()
        if failed:
            raise failed


async def reached(condition: Callable[[], bool], task: asyncio.Task[None]) -> None:
    """Waits for a condition, or raises what ended the reading."""

    def held() -> bool:
        if task.done():
            task.result()
        return condition()

    await eventually(held)


async def ended(source: SnapshottingSource, *ids: str) -> list[SnapshotJob]:
    """Jobs that have ended; waits for these, or for one."""

    def done() -> list[SnapshotJob]:
        return [j for j in source.snapshots if j.ended_at is not None and (not ids or j.id in ids)]

    await eventually(lambda: len(done()) >= max(len(ids), 1))
    return done()


async def again(
    source: SnapshottingSource, tables: str, first: str | None = None, last: str | None = None
) -> list[SnapshotJob]:
    """Reads tables again, up to the end."""
    asked = await source.snapshot_again(tables, first, last)
    jobs = await ended(source, *(j.id for j in asked))
    assert {j.state for j in jobs} == {SnapshotState.DONE}, jobs
    return jobs


async def ends_when_closed(source: Source, log: MemoryLog) -> None:
    """Reads until something comes; closing the source then ends its stream."""
    seen: list[Captured] = []

    async def follow() -> None:
        async with aclosing(source.stream(log.resume)) as steps:
            async for captured in steps:
                seen.append(captured)

    task = asyncio.create_task(follow())
    await eventually(lambda: bool(seen))
    await source.close()
    await asyncio.wait_for(task, 5)


async def finds_nobody(source: Source, log: MemoryLog, secret: str) -> None:
    """Where nobody listens: it goes on trying, says why, and tells no secret."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(source, log, lambda _: True), 0.5)
    with pytest.raises(SourceError) as caught:
        await source.head()

    problem = source.problem
    assert problem is not None
    assert "127.0.0.1" in problem.step
    assert "refused" in problem.got
    assert "reachable" in problem.remedy
    assert secret not in str(problem) + str(caught.value) + source.address

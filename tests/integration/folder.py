"""A folder being read: a log in memory that can lose its end, and a reader that checks each step's promises."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.change import START, Change, Op, Position
from headrace.clock import now_us
from headrace.sources import Captured, Resume, SourceSettings
from headrace.sources.files.ignore import Ignore
from headrace.sources.files.source import FileSource
from headrace.sources.files.waiting import Timing
from headrace.sources.files.watch import InotifyWatch


@dataclass(slots=True)
class MemoryLog:
    """What was captured, in order; `lose` drops its end, as a crash does with what was not yet on disk."""

    steps: list[Captured] = field(default_factory=list[Captured])

    def lose(self, keep: int) -> None:
        del self.steps[keep:]

    def resume(self) -> Resume:
        state: dict[str, bytes] = {}
        for step in self.steps:
            for key, value in step.state.items():
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
        return Resume(max([START, *(s.frontier for s in self.steps if s.changes or s.rejected)]), MemoryState(state))

    def documents(self) -> dict[str, bytes]:
        """The replay of everything captured. Fails where an operation does not fit what came before it."""
        documents: dict[str, bytes] = {}
        for change in self.changes():
            path = str(change.key[0])
            if change.op is Op.DELETE:
                del documents[path]
                continue
            assert (path in documents) == (change.op is Op.UPDATE), (path, change.op)
            assert change.after is not None
            assert change.after[0] == path
            content = change.after[1]
            assert isinstance(content, bytes)
            assert documents.get(path) != content, f"{path} did not change"
            documents[path] = content
        return documents

    def changes(self) -> list[Change]:
        return [change for step in self.steps for change in step.changes]

    def dead(self) -> dict[str, str]:
        """Dead letters that are open: key -> what was found."""
        dead: dict[str, str] = {}
        for step in self.steps:
            for change in step.changes:
                if change.op is not Op.DELETE:
                    dead.pop(str(change.key[0]), None)
            for one in step.rejected:
                dead[one.key] = one.error.got
            for _, key in step.settled:
                dead.pop(key, None)
        return dead


@dataclass(slots=True)
class MemoryState:
    values: dict[str, bytes]

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self.values[key] for key in keys if key in self.values}

    async def scan(self, prefix: str) -> dict[str, bytes]:
        return {key: value for key, value in self.values.items() if key.startswith(prefix)}


class Reader:
    """Reads a source into a log while it is open. `failure` is what the stream ended with."""

    def __init__(self, source: FileSource, log: MemoryLog | None = None) -> None:
        self.source = source
        self.log = log or MemoryLog()
        self.failure: BaseException | None = None
        self._came = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.frontier = START
        self.paused = asyncio.Event()
        self.paused.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """As a crash would: at whatever it is doing."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.source.close()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self._came:
            while not holds():
                if self.failure is not None:
                    raise self.failure
                await self._came.wait()

    async def sync(self) -> Position:
        """Waits until everything that happened before the call is in the log."""
        async with asyncio.timeout(60):
            head = await self.source.head()
        await self.until(lambda: self.frontier >= head)
        return head

    async def failed(self) -> BaseException:
        with suppress(Exception):
            await self.until(lambda: self.failure is not None)
        assert self.failure is not None
        return self.failure

    async def problem(self) -> str:
        """What the source says of itself once it says something."""
        async with asyncio.timeout(30):
            while self.source.problem is None:  # noqa: ASYNC110 - a source tells nobody when it has one
                await asyncio.sleep(0.005)
        return str(self.source.problem)

    async def _read(self) -> None:
        resume = self.log.resume()
        last = self.frontier = resume.position
        stream = self.source.stream(resume)
        try:
            async for step in stream:
                await self.paused.wait()
                last = check(step, last)
                self.log.steps.append(step)
                async with self._came:
                    self.frontier = step.frontier
                    self._came.notify_all()
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            async with self._came:
                self.failure = error
                self._came.notify_all()
        finally:
            await stream.aclose()


def check(step: Captured, last: Position) -> Position:
    """The promises of `Captured`: positions grow, nothing is later than the frontier, nothing is from the future."""
    positions = [c.position for c in step.changes] + [r.position for r in step.rejected]
    assert len(set(positions)) == len(positions)
    assert [c.position for c in step.changes] == sorted(c.position for c in step.changes)
    assert all(last < p <= step.frontier for p in positions)
    assert step.frontier >= last
    assert all(c.committed_at <= now_us() for c in step.changes)
    assert all(c.schema.topic == c.schema.source and len(c.key) == 1 for c in step.changes)
    return step.frontier


def source_of(
    root: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_bytes: int = 1 << 20,
    timing: Timing | None = None,
    watch: Callable[[Path], InotifyWatch] = InotifyWatch,
    batch_rows: int = 4000,
) -> FileSource:
    settings = SourceSettings(
        name="docs",
        url=root.as_uri(),
        id="test",
        include=tuple(include),
        exclude=tuple(exclude),
        max_bytes=max_bytes,
        batch_rows=batch_rows,
    )
    return FileSource(settings, timing=timing, watch=watch)


def contents(root: Path, ignore: Ignore | None = None) -> dict[str, bytes]:
    """The folder's documents as they are now, links not followed."""
    takes = (ignore or Ignore()).takes_file
    found: dict[str, bytes] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            if path.is_file() and not path.is_symlink() and takes(relative):
                found[relative] = path.read_bytes()
    return found


def ops(log: MemoryLog, since: int = 0) -> list[tuple[str, str]]:
    """(op, path) of every change from the step `since` on."""
    return [(c.op.value, str(c.key[0])) for step in log.steps[since:] for c in step.changes]

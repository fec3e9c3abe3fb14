"""Named uploads: the same again is answered what it was before, until nobody may come back with the name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headrace.access import Readers
from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.sources import SourceSettings
from headrace.sources.uploads import open as open_source
from headrace.sources.uploads.once import encode_mark
from headrace.sources.uploads.source import UploadSource
from headrace.uploads import ALWAYS, Description, Done, NameTaken, Once, Only, Outcome
from tests.memory_log import MemoryLog
from tests.uploading import content

HOUR_US = 3_600_000_000
SAID_NOTHING = Description()


@contextlib.asynccontextmanager
async def reading(scratch: Path, log: MemoryLog) -> AsyncGenerator[UploadSource]:
    """A source whose stream fills the log."""
    source = open_source(SourceSettings("docs", "upload:", "id", scratch=str(scratch)))
    assert isinstance(source, UploadSource)

    async def read() -> None:
        async with contextlib.aclosing(source.stream(log.resume)) as steps:
            async for captured in steps:
                log.append(captured)

    task = asyncio.create_task(read())
    await source.head()
    try:
        yield source
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await source.close()


async def put(
    source: UploadSource, folder: Path, data: bytes, id: str, *, hours: int = 1, only: Only = ALWAYS, title: str = ""
) -> Done:
    once = Once(id, now_us() + hours * HOUR_US)
    said = Description(title=title, readers=Readers("ada")) if title else SAID_NOTHING
    return await source.put("a.md", content(folder, data), said, only, once)


def marks(log: MemoryLog) -> set[str]:
    return {key for key in log.state.values if key.startswith("o:")}


async def test_the_same_name_again_changes_nothing_whatever_became_of_the_document(tmp_path: Path) -> None:
    log = MemoryLog()
    async with reading(tmp_path, log) as source:
        first = await put(source, tmp_path, b"one", "x")
        await source.put("a.md", content(tmp_path, b"two"), SAID_NOTHING, ALWAYS)
        steps = len(log.steps)

        again = await put(source, tmp_path, b"one", "x")

        assert (again.outcome, again.position, again.name) == (Outcome.CREATED, first.position, "a.md")
        assert again == await source.came_of("x")
        assert len(log.steps) == steps
        await source.remove("a.md", ALWAYS)
        assert await put(source, tmp_path, b"one", "x") == again
        assert source.count == 0


async def test_at_once_they_are_one(tmp_path: Path) -> None:
    log = MemoryLog()
    async with reading(tmp_path, log) as source:
        done = await asyncio.gather(*(put(source, tmp_path, b"one", "x", only=Only(fresh=True)) for _ in range(5)))

    assert {d.position for d in done} == {done[0].position}
    assert {d.outcome for d in done} == {Outcome.CREATED}
    assert len(log.changes) == 1


async def test_what_was_unchanged_is_marked_too_and_what_was_refused_is_not(tmp_path: Path) -> None:
    log = MemoryLog()
    async with reading(tmp_path, log) as source:
        await source.put("a.md", content(tmp_path, b"one"), SAID_NOTHING, ALWAYS)

        assert (await put(source, tmp_path, b"one", "same")).outcome is Outcome.UNCHANGED
        with pytest.raises(NameTaken):
            await put(source, tmp_path, b"other", "taken", only=Only(fresh=True))

        assert await source.came_of("same") is not None
        assert await source.came_of("taken") is None
        assert (await put(source, tmp_path, b"other", "taken")).outcome is Outcome.REPLACED


async def test_it_stands_in_the_log_with_the_change_itself(tmp_path: Path) -> None:
    """A crash keeps both or neither."""
    log = MemoryLog()
    async with reading(tmp_path, log) as source:
        first = await put(source, tmp_path, b"one", "x", title="Of Ada's pay")
    [step] = [step for step in log.steps if step.changes]
    assert "o:x" in step.state

    async with reading(tmp_path, log) as source:
        assert (await put(source, tmp_path, b"one", "x")).position == first.position
    assert len(log.changes) == 1
    assert b"Ada" not in log.state.values["o:x"]  # what was said of a document goes with it


async def test_it_is_forgotten_when_its_time_is_over(tmp_path: Path) -> None:
    log = MemoryLog()
    async with reading(tmp_path, log) as source:
        await put(source, tmp_path, b"one", "old", hours=-1)
        await put(source, tmp_path, b"two", "new")
        assert marks(log) == {"o:new"}
    log.state.values["o:gone"] = encode_mark(Once("gone", now_us() - 1), await done_of(log, tmp_path))

    async with reading(tmp_path, log):
        assert marks(log) == {"o:new"}


async def done_of(log: MemoryLog, folder: Path) -> Done:
    async with reading(folder, log) as source:
        found = await source.came_of("new")
    assert found is not None
    return found


async def test_nobody_is_told_of_what_is_not_known(tmp_path: Path) -> None:
    source = open_source(SourceSettings("docs", "upload:", "id", scratch=str(tmp_path)))
    assert isinstance(source, UploadSource)

    with pytest.raises(SourceError):
        await source.came_of("x")

"""The source of uploads alone: what is kept, what is written, and what a crash leaves."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headrace.access import Readers
from headrace.change import Op
from headrace.described import about_of
from headrace.errors import BadRequest, ConfigError, NotFound, SourceError
from headrace.sources import Comparable, SourceSettings
from headrace.sources.uploads import open as open_source
from headrace.sources.uploads import source as uploads_source
from headrace.sources.uploads.kept import packed, unpacked
from headrace.sources.uploads.source import UploadSource
from headrace.uploads import (
    ALWAYS,
    UNSAID,
    Description,
    Done,
    NameTaken,
    Only,
    Outcome,
    Outdated,
    Uploads,
    UploadsFull,
    checked_name,
    checked_readers,
)
from tests.memory_log import MemoryLog
from tests.uploading import content, digest

SAID_NOTHING = Description()


class Driven:
    """A source, the log that its stream fills, and a reader as the engine is one."""

    def __init__(self, scratch: Path, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog()
        self.scratch = scratch
        made = open_source(SourceSettings("docs", "upload:", "id", scratch=str(scratch)))
        assert isinstance(made, UploadSource)
        self.source = made

    async def read(self) -> None:
        async with contextlib.aclosing(self.source.stream(self.log.resume)) as steps:
            async for captured in steps:
                self.log.append(captured)

    async def put(self, name: str, data: bytes, changes: Description = SAID_NOTHING, only: Only = ALWAYS) -> Done:
        return await self.source.put(name, content(self.scratch, data), changes, only)

    def originals(self) -> set[bytes]:
        return {unpacked(v) for k, v in self.log.state.values.items() if k.startswith("b:")}

    def documents(self) -> dict[str, bytes]:
        """What the log's changes amount to."""
        rows = self.log.table("docs")
        found: dict[str, bytes] = {}
        for row in rows.values():
            name, data = row[:2]
            assert isinstance(name, str)
            assert isinstance(data, bytes)
            found[name] = data
        return found


@contextlib.asynccontextmanager
async def driven(scratch: Path, log: MemoryLog | None = None) -> AsyncGenerator[Driven]:
    made = Driven(scratch, log)
    task = asyncio.create_task(made.read())
    await made.source.head()
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await made.source.close()


async def test_an_upload_is_a_change_and_its_original_is_kept_with_it(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        done = await d.put("guides/a.md", b"one", Description(title="A", time=5))

        assert (done.outcome, done.name) == (Outcome.CREATED, "guides/a.md")
        [change] = d.log.changes
        assert (change.op, change.key, change.position) == (Op.CREATE, ("guides/a.md",), done.position)
        assert (about_of(change).title, about_of(change).time) == ("A", 5)
        assert d.originals() == {b"one"}
        assert done.position <= await d.source.head()


async def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        first = await d.put("a.md", b"one", Description(title="A"))
        steps = len(d.log.steps)

        for only in (ALWAYS, Only(fresh=True)):
            again = await d.put("a.md", b"one", only=only)
            assert (again.outcome, again.position) == (Outcome.UNCHANGED, first.position)

        assert len(d.log.steps) == steps


async def test_another_content_replaces_and_what_was_said_stays(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        await d.put("a.md", b"one", Description(title="A"))

        done = await d.put("a.md", b"two")

        assert done.outcome is Outcome.REPLACED
        assert done.document is not None
        assert done.document.about.title == "A"
        assert d.originals() == {b"two"}
        assert d.documents() == {"a.md": b"two"}


async def test_whom_it_is_for_is_kept_and_since_when_that_alone_has_changed(tmp_path: Path) -> None:
    ada, hr = Readers("ada"), Readers(None, ("hr",))
    async with driven(tmp_path) as d:

        def last() -> tuple[Readers | None, int]:
            about = about_of(d.log.changes[-1])
            return about.readers, about.same_since

        first = await d.put("a.md", b"one", Description(readers=ada))
        assert last() == (ada, 0)
        at = first.position.major
        await d.source.describe("a.md", Description(readers=hr), ALWAYS)
        assert last() == (hr, at)
        await d.put("a.md", b"one", Description(readers=UNSAID))
        assert last() == (None, at)
        assert (await d.put("a.md", b"one")).outcome is Outcome.UNCHANGED
        await d.source.describe("a.md", Description(title="T", readers=ada), ALWAYS)
        assert last() == (ada, 0), "its title has changed too"
        titled = await d.source.describe("a.md", Description(readers=hr), ALWAYS)
        await d.put("a.md", b"two")
        assert last() == (hr, 0)
        assert titled.document is not None
        assert titled.document.about.same_since > at
        await d.source.describe("a.md", Description(readers=ada), ALWAYS)
        await d.source.describe("a.md", Description(name="b.md"), ALWAYS)
        assert last() == (ada, 0), "another name may be read otherwise"


def test_whom_a_document_is_given_for_is_checked() -> None:
    assert checked_readers(None, None) is None
    assert checked_readers("ada", ["hr"]) == Readers("ada", ("hr",))
    with pytest.raises(BadRequest):
        checked_readers("a\0", None)


async def test_what_should_be_new_or_is_another_by_now_is_refused(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        await d.put("a.md", b"one")
        steps = len(d.log.steps)

        with pytest.raises(NameTaken):
            await d.put("a.md", b"two", only=Only(fresh=True))
        with pytest.raises(Outdated):
            await d.put("a.md", b"two", only=Only(frozenset({digest(b"zero")})))
        with pytest.raises(Outdated):
            await d.put("b.md", b"two", only=Only(frozenset({"*"})))
        with pytest.raises(Outdated):
            await d.source.remove("a.md", Only(frozenset({digest(b"zero")})))
        for act in (d.source.remove("b.md", ALWAYS), d.source.describe("b.md", Description(title="B"), ALWAYS)):
            with pytest.raises(NotFound):
                await act

        assert len(d.log.steps) == steps
        done = await d.put("a.md", b"two", only=Only(frozenset({digest(b"one")})))
        assert done.outcome is Outcome.REPLACED


async def test_one_content_of_several_documents_is_kept_once_and_as_long_as_one_has_it(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        await asyncio.gather(d.put("a.md", b"same"), d.put("b.md", b"same"))
        assert d.originals() == {b"same"}

        await d.source.remove("a.md", ALWAYS)
        assert d.originals() == {b"same"}

        await d.put("b.md", b"other")
        assert d.originals() == {b"other"}
        await d.source.remove("b.md", ALWAYS)
        assert d.originals() == set()
        assert d.source.count == 0


async def test_a_rename_is_one_append_and_keeps_kind_and_title(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        await d.put("a.md", b"one")

        done = await d.source.describe("a.md", Description(name="b.md"), ALWAYS)

        assert (done.outcome, done.name) == (Outcome.RENAMED, "b.md")
        assert [c.op for c in d.log.steps[-1].changes] == [Op.DELETE, Op.CREATE]
        assert about_of(d.log.changes[-1]).named == "a.md"
        assert d.documents() == {"b.md": b"one"}
        assert d.originals() == {b"one"}
        back = await d.source.describe("b.md", Description(name="a.md"), ALWAYS)
        assert back.document is not None
        assert back.document.about.named == ""
        other = await d.source.describe("a.md", Description(name="a.txt"), ALWAYS)
        assert other.document is not None
        assert other.document.about.named == ""


async def test_a_rename_onto_another_document_is_refused(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        await d.put("a.md", b"one")
        await d.put("b.md", b"two")

        with pytest.raises(NameTaken):
            await d.source.describe("a.md", Description(name="b.md"), ALWAYS)

        assert d.documents() == {"a.md": b"one", "b.md": b"two"}


async def test_a_restart_finds_everything_and_a_lost_end_loses_document_and_original_together(tmp_path: Path) -> None:
    turns = random.Random(7)
    async with driven(tmp_path) as d:
        for n in range(60):
            name = f"{turns.randrange(8)}.md"
            if turns.random() < 0.3 and d.source.given(name):
                await d.source.remove(name, ALWAYS)
            else:
                await d.put(name, f"text {turns.randrange(12)} {n % 3}".encode())
        whole = d.log

    for left in range(0, len(whole.steps) + 1, 7):
        async with driven(tmp_path, whole.crashed(left)) as d:
            expected = d.documents()
            assert d.originals() == set(expected.values())
            standing = [pair async for some in d.source.standing() for pair in some]
            assert standing == [(name, digest(data)) for name, data in sorted(expected.items())]


async def test_a_document_is_given_again_when_asked_and_a_damaged_original_says_so(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        assert isinstance(d.source, Comparable)
        assert isinstance(d.source, Uploads)
        await d.put("a.md", b"one")
        assert await d.source.retry("docs", "a.md")
        assert len(d.log.changes) == 2
        assert not await d.source.retry("docs", "b.md")

        d.log.state.values["b:" + digest(b"one")] = packed(b"altered")
        with pytest.raises(SourceError, match="restore"):
            await d.source.stands("a.md")
        with pytest.raises(SourceError):
            await d.source.retry("docs", "a.md")
        assert len(d.log.changes) == 2


async def test_a_file_that_is_gone_fails_alone(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        lost = content(tmp_path, b"lost")
        lost.path.unlink()

        failed, kept = await asyncio.gather(
            d.source.put("lost.md", lost, SAID_NOTHING, ALWAYS), d.put("kept.md", b"kept"), return_exceptions=True
        )

        assert isinstance(failed, SourceError)
        assert isinstance(kept, Done)
        assert d.documents() == {"kept.md": b"kept"}
        assert d.source.given("lost.md") is None


async def test_only_so_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_source, "MOST_UPLOADS", 2)
    async with driven(tmp_path) as d:
        with d.source.slot(), d.source.slot(), pytest.raises(UploadsFull), d.source.slot():
            pass
        with d.source.slot():
            pass


async def test_what_a_killed_process_left_in_the_scratch_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / "upload-1-left").write_bytes(b"x")
    (tmp_path / "other").write_bytes(b"x")

    async with driven(tmp_path):
        pass

    assert await asyncio.to_thread(lambda: [p.name for p in tmp_path.iterdir()]) == ["other"]


async def test_nothing_is_taken_before_it_is_read_and_after_it_is_closed(tmp_path: Path) -> None:
    made = Driven(tmp_path)
    with pytest.raises(SourceError):
        await made.put("a.md", b"one")
    await made.source.close()
    with pytest.raises(SourceError):
        await made.source.head()


async def test_newest_documents_are_found_by_position(tmp_path: Path) -> None:
    async with driven(tmp_path) as d:
        first = await d.put("a.md", b"one")
        await d.put("b.md", b"two")
        await d.put("a.md", b"three")

        assert [g.name for g in d.source.since(first.position)] == ["a.md", "b.md"]
        assert [g.name for g in d.source.since(await d.source.head())] == []


@pytest.mark.parametrize(
    "name", ["a.md", "guides/a b.md", "käse.md", "日本語/文書.pdf", "a" * 509 + ".md", "..a", "a..md"]
)
def test_names_that_are_taken(name: str) -> None:
    assert checked_name(name) == name


def test_a_name_is_composed() -> None:
    assert checked_name("ka\u0308se.md") == "k\u00e4se.md"


@pytest.mark.parametrize(
    "name",
    ["", " ", "/etc/passwd", "../a", "a/../b", "a/./b", "a//b", "a/", ".", "..", "a\0b", "a\nb", "a\\b", "x" * 4096,
     "é" * 300, "\ud800", "a\x85b", "a\u2028b"],
)  # fmt: skip
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(BadRequest):
        checked_name(name)


@pytest.mark.parametrize("data", [b"", b"a", b"a" * 300_000, random.Random(1).randbytes(300_000)])
def test_what_is_packed_is_unpacked(data: bytes) -> None:
    assert unpacked(packed(data)) == data


@pytest.mark.parametrize("url", ["upload:?x=1", "upload://folder", "upload:folder"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_source(SourceSettings("docs", url, "id"))

"""What a folder says of itself beside its stream, and how it is held against the index."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from headrace.change import Position
from headrace.errors import SourceError
from headrace.knowledge.report import Telling
from headrace.knowledge.standing import Compared, Standing
from headrace.operators import Progress
from headrace.sources import Comparable, SourceSettings
from headrace.sources.files.source import FileSource
from headrace.stores import Store
from headrace.stores.knowledge import DocumentDraft
from tests.contract.stored import new_store, stamp
from tests.servers import FreshDatabases


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def source(folder: Path, **settings: Any) -> FileSource:
    return FileSource(SourceSettings("docs", folder.as_uri(), "id", **settings))


async def standing(source: FileSource) -> dict[str, str | None]:
    pages = [page async for page in source.standing()]
    keys = [key for page in pages for key, _ in page]
    assert keys == sorted(set(keys)), "each once, in order"
    return {key: found for page in pages for key, found in page}


async def test_every_file_that_is_a_document_stands_there_with_its_hash(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for n in range(40):
        (tmp_path / "a" / f"{n}.md").write_text(f"text {n}")
    (tmp_path / "a" / "b" / "é.md").write_text("deep")
    (tmp_path / "large.md").write_text("x" * 200)
    (tmp_path / "left.out").write_text("no")
    (tmp_path / "link.md").symlink_to(tmp_path / "a" / "1.md")
    (tmp_path / "a-b.md").write_text("before a/")
    docs = source(tmp_path, exclude=("*.out",), max_bytes=100)
    assert isinstance(docs, Comparable)

    expected: dict[str, str | None] = {f"a/{n}.md": digest(f"text {n}") for n in range(40)}
    expected |= {"a/b/é.md": digest("deep"), "a-b.md": digest("before a/"), "large.md": None}
    assert await standing(docs) == expected
    for key, found in expected.items():
        assert await docs.stands(key) == found
    for other in ("none.md", "left.out", "link.md", "a"):
        assert await docs.stands(other) is None


async def test_a_folder_that_is_not_there_cannot_be_asked(tmp_path: Path) -> None:
    docs = source(tmp_path / "none")
    with pytest.raises(SourceError):
        await standing(docs)
    with pytest.raises(SourceError):
        await docs.stands("a.md")


@dataclass
class Folder:
    """Implements `headrace.sources.Comparable`; `written` happens whenever its head is asked for."""

    store: Store
    files: dict[str, str]
    name: str = "docs"
    restless: set[str] = field(default_factory=set[str])
    at: int = 100

    async def head(self) -> Position:
        """What was written before is applied by then; what never rests is written again."""
        self.at += 1
        await index(self.store, {k: v for k, v in self.files.items() if k not in self.restless}, self.at)
        self.files |= {key: f"{key} at {self.at}" for key in self.restless}
        return Position(self.at)

    async def retry(self, topic: str, key: str) -> bool:
        del topic, key
        return False

    async def standing(self) -> AsyncIterator[list[tuple[str, str | None]]]:
        for key in sorted(self.files):
            yield [(key, digest(self.files[key]))]

    async def stands(self, key: str) -> str | None:
        return digest(self.files[key]) if key in self.files else None


async def index(store: Store, files: dict[str, str], at: int) -> None:
    drafts = [DocumentDraft(f"docs/{k}", "docs", stamp(at), digest(v), k, v, ()) for k, v in files.items()]
    async with store.transaction() as transaction:
        await transaction.knowledge.swap(drafts)


class Applied:
    """All of `headrace.operators.Progress` that is asked here: what a head tells is applied."""

    async def wait(self, wanted: object, timeout_ms: float) -> list[object]:
        del wanted, timeout_ms
        return []


async def compared(folder: Folder, *, live: bool) -> Compared:
    told = Telling(lambda _: None)
    progress = cast("Progress", Applied())
    return await Standing(folder.store, progress, told, live=live).compare(cast("Comparable", folder))


@asynccontextmanager
async def held(databases: FreshDatabases, files: dict[str, str]) -> AsyncGenerator[Folder]:
    async with new_store(databases) as store:
        await index(store, files, 1)
        yield Folder(store, dict(files))


async def test_what_is_missing_other_or_gone_at_the_source_is_named(fresh_database: FreshDatabases) -> None:
    files = {f"{n}.md": f"text {n}" for n in range(20)}
    async with held(fresh_database, files) as folder:
        assert await compared(folder, live=False) == Compared(20, [], 0)
        del folder.files["3.md"], folder.files["9.md"]
        folder.files |= {"5.md": "changed", "0.md": "changed", "zz.md": "new", "10a.md": "new"}
        found = await compared(folder, live=False)
        assert {(d.document, d.kind.value) for d in found.differences} == {
            ("docs/3.md", "ghost"), ("docs/9.md", "ghost"), ("docs/5.md", "different"), ("docs/0.md", "different"),
            ("docs/zz.md", "missing"), ("docs/10a.md", "missing"),
        }  # fmt: skip
        assert all(d.at_source for d in found.differences)


async def test_what_is_on_its_way_is_waited_for_and_what_never_rests_is_left_out(
    fresh_database: FreshDatabases,
) -> None:
    async with held(fresh_database, {"a.md": "one", "b.md": "two", "c.md": "three"}) as folder:
        folder.files["a.md"] = "saved a moment ago"
        folder.restless.add("b.md")
        folder.files["b.md"] = "being written"
        assert await compared(folder, live=True) == Compared(3, [], 1)

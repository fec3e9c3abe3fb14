"""Outside systems that sources capture, each behind the same few words: rows of a number and a text, one at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from headrace.change import Change
from headrace.envelopes import Hints
from headrace.inbox import read_item
from headrace.sources import Source, SourceSettings
from headrace.sources.files import open as open_files
from headrace.sources.push import open as open_push
from headrace.sources.push.source import PushSource
from headrace.sources.uploads import open as open_uploads
from headrace.sources.uploads.source import UploadSource
from headrace.uploads import ALWAYS, Description
from tests.captured_database import CapturedDatabase
from tests.captured_mariadb import CapturedMariadb
from tests.memory_log import MemoryLog
from tests.uploading import content


class Outside(Protocol):
    """`source()` is opened anew as after a restart. `put` and `delete` return when they are committed.

    `alone`: it keeps what is committed while nobody reads it.
    """

    log: MemoryLog
    topic: str
    alone: bool

    def source(self) -> Source: ...
    async def put(self, number: int, text: str) -> None: ...
    async def delete(self, number: int) -> None: ...
    def read(self, change: Change) -> tuple[int, str | None]:
        """What a change says: the number, and the text or None."""
        ...

    async def close(self) -> None: ...


def replayed(outside: Outside) -> Mapping[int, str]:
    """What the log's changes amount to."""
    rows: dict[int, str] = {}
    for change in outside.log.of(outside.topic):
        number, text = outside.read(change)
        if text is None:
            del rows[number]
        else:
            rows[number] = text
    return rows


class Rows:
    """A table of a database."""

    alone = True
    topic: str

    def read(self, change: Change) -> tuple[int, str | None]:
        (number,) = change.key
        assert isinstance(number, int)
        if change.after is None:
            return number, None
        text = change.after[1]
        assert isinstance(text, str)
        return number, text


class PostgresRows(Rows):
    def __init__(self, database: CapturedDatabase) -> None:
        self._database = database
        self.log = database.log
        self.topic = "pg.public.t"

    @classmethod
    async def make(cls, dsn: str) -> PostgresRows:
        database = await CapturedDatabase.connect(dsn)
        await database.sql("create table t (id int primary key, v text)")
        return cls(database)

    def source(self) -> Source:
        return self._database.source()

    async def put(self, number: int, text: str) -> None:
        await self._database.sql(
            f"insert into t values ({number}, '{text}') on conflict (id) do update set v = excluded.v"
        )

    async def delete(self, number: int) -> None:
        await self._database.sql(f"delete from t where id = {number}")

    async def close(self) -> None:
        await self._database.close()


class MariadbRows(Rows):
    def __init__(self, database: CapturedMariadb) -> None:
        self._database = database
        self.log = database.log
        self.topic = database.topic("t")
        database.sql("create table t (id int primary key, v text)")

    def source(self) -> Source:
        return self._database.source()

    async def put(self, number: int, text: str) -> None:
        self._database.sql(f"insert into t values ({number}, '{text}') on duplicate key update v = '{text}'")

    async def delete(self, number: int) -> None:
        self._database.sql(f"delete from t where id = {number}")

    async def close(self) -> None:
        await self._database.close()


class Files:
    """A folder; a row is a file."""

    topic = "docs"
    alone = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sources: list[Source] = []
        self.log = MemoryLog()
        folder.mkdir()

    def source(self) -> Source:
        self._sources.append(open_files(SourceSettings("docs", f"file://{self._folder}", "id")))
        return self._sources[-1]

    async def put(self, number: int, text: str) -> None:
        fresh = self._folder / f".{number}.tmp"
        fresh.write_text(text)
        fresh.replace(self._folder / f"{number}.md")

    async def delete(self, number: int) -> None:
        (self._folder / f"{number}.md").unlink()

    def read(self, change: Change) -> tuple[int, str | None]:
        return _document(change)

    async def close(self) -> None:
        for source in self._sources:
            await source.close()


class Uploaded:
    """Nothing of its own: what is uploaded is committed when the log has it. A row is a document."""

    topic = "docs"
    alone = False

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._sources: list[UploadSource] = []
        self.log = MemoryLog()

    def source(self) -> Source:
        source = open_uploads(SourceSettings("docs", "upload:", "id", scratch=str(self._scratch)))
        assert isinstance(source, UploadSource)
        self._sources.append(source)
        return source

    async def put(self, number: int, text: str) -> None:
        given = content(self._scratch, text.encode())
        await self._sources[-1].put(f"{number}.md", given, Description(), ALWAYS)

    async def delete(self, number: int) -> None:
        await self._sources[-1].remove(f"{number}.md", ALWAYS)

    def read(self, change: Change) -> tuple[int, str | None]:
        return _document(change)

    async def close(self) -> None:
        for source in self._sources:
            await source.close()


class Pushed(Rows):
    """Nothing of its own: what is pushed is committed when the log has it."""

    topic = "crm.t"
    alone = False

    def __init__(self) -> None:
        self._sources: list[PushSource] = []
        self.log = MemoryLog()

    def source(self) -> Source:
        source = open_push(SourceSettings("crm", "push:", "id"))
        assert isinstance(source, PushSource)
        self._sources.append(source)
        return source

    async def put(self, number: int, text: str) -> None:
        await self._push({"op": "upsert", "table": "t", "key": {"id": number}, "row": {"id": number, "v": text}})

    async def delete(self, number: int) -> None:
        await self._push({"op": "delete", "table": "t", "key": {"id": number}})

    async def _push(self, record: dict[str, object]) -> None:
        async with self._sources[-1].push("") as push:
            receipt = await push.put([read_item(0, json.dumps(record).encode(), Hints())], b"", last=True)
        assert receipt.accepted == 1, receipt

    async def close(self) -> None:
        for source in self._sources:
            await source.close()


def _document(change: Change) -> tuple[int, str | None]:
    number = int(str(change.key[0]).removesuffix(".md"))
    if change.after is None:
        return number, None
    text = change.after[1]
    assert isinstance(text, bytes)
    return number, text.decode()

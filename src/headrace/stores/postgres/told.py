"""What a language model told of documents: read in one snapshot, written inside one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.change import Position, Stamp
from headrace.link import Link
from headrace.stores.knowledge import ChunkDraft, DocumentDraft
from headrace.stores.postgres.knowledge import TOLD as SQL
from headrace.stores.postgres.knowledge import PostgresKnowledgeWriter
from headrace.stores.told import ToldBy, ToTell
from headrace.stores.values import DEFAULT_TENANT

_TENANT = {"tenant": DEFAULT_TENANT}


class PostgresToldReader:
    """Implements `headrace.stores.told.ToldReader` on a link that holds a snapshot."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def counts(self) -> Sequence[ToldBy]:
        return [ToldBy(*row) for row in await (await self._link.execute(SQL["counts"], _TENANT)).fetchall()]

    async def of(
        self, topic: str, told: str, mades: Sequence[str], below: int, limit: int, characters: int
    ) -> Sequence[ToTell]:
        args = {"topic": topic, "told": told, "mades": list(mades), "below": below, "limit": limit}
        rows = await self._link.execute(SQL["of"], {**_TENANT, **args, "characters": characters})
        return [_to_tell(row) for row in await rows.fetchall()]

    async def document(self, id: str, mades: Sequence[str], characters: int) -> ToTell | None:
        args = {**_TENANT, "document": id, "mades": list(mades), "characters": characters}
        row = await (await self._link.execute(SQL["document"], args)).fetchone()
        return None if row is None else _to_tell(row)

    async def labels(self, key: str, input: bytes) -> tuple[str, ...] | None:
        found = await self._before("labels", key, input)
        return None if found is None else tuple(found)

    async def summary(self, key: str, input: bytes) -> str | None:
        return await self._before("summary", key, input)

    async def _before(self, name: str, key: str, input: bytes) -> Any:
        row = await (await self._link.execute(SQL[name], {**_TENANT, "key": key, "input": input})).fetchone()
        return None if row is None else row[0]


class PostgresToldWriter(PostgresKnowledgeWriter):
    """Implements `headrace.stores.told.ToldWriter` on a link whose transaction the caller holds."""

    async def classify(self, of: ToTell, key: str, labels: Sequence[str] | None) -> bool:
        row = await self._put("classify", of, key=key, labels=None if labels is None else list(labels))
        if row is None:
            return False
        await self._link.execute(SQL["beside"], {"versions": [row[0]]})
        return True

    async def summarise(self, of: ToTell, key: str, summary: str | None, gist: ChunkDraft | None) -> bool:
        row = await self._put("summarise", of, key=key, summary=summary)
        if row is None:
            return False
        version, dated = row
        await self._link.execute(SQL["drop_gists"], {**_TENANT, "versions": [version]})
        if gist is not None:
            draft = DocumentDraft(of.id, of.topic, of.stamp, "", of.title, "", [gist], dated=dated)
            await self.add_gist(draft, version)
            await self._link.execute(SQL["beside"], {"versions": [version]})
        return True

    async def done(self, of: ToTell, told: str) -> bool:
        return await self._put("done", of, told=told) is not None

    async def _put(self, name: str, of: ToTell, **args: Any) -> tuple[Any, ...] | None:
        every = {**_TENANT, "document": of.id, "input": of.input, **args}
        return await (await self._link.execute(SQL[name], every)).fetchone()


def _to_tell(row: Sequence[Any]) -> ToTell:
    number, id, topic, source, major, minor, at, title, text, input, nothing, labels, *rest = row
    stamp = Stamp(source, Position(major, minor), at)
    told = None if labels is None else tuple(labels)
    return ToTell(number, id, topic, stamp, title, text, bytes(input), nothing, told, *rest)

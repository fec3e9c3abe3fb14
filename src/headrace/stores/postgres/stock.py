"""What present documents were made by, in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.access import access_of
from headrace.change import Position, Stamp
from headrace.link import Link
from headrace.sqlfile import load
from headrace.stores.stock import MadeBy, StoredDocument
from headrace.stores.values import DEFAULT_TENANT, JSON

SQL = load(Path(__file__).with_name("stock.sql"))
_TENANT = {"tenant": DEFAULT_TENANT}


class PostgresStock:
    """Implements `headrace.stores.stock.Stock` on a link that holds a snapshot."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def made(self) -> Sequence[MadeBy]:
        return [MadeBy(*row) for row in await (await self._link.execute(SQL["made"], _TENANT)).fetchall()]

    async def chains(self) -> Mapping[str, JSON]:
        return dict(await (await self._link.execute(SQL["chains"], {})).fetchall())

    async def of(self, topic: str, made: str, after: str, limit: int) -> Sequence[tuple[str, Stamp]]:
        args = {**_TENANT, "topic": topic, "made": made, "after": after, "limit": limit}
        rows = await (await self._link.execute(SQL["of"], args)).fetchall()
        return [(id, Stamp(source, Position(*at), when)) for id, source, *at, when in rows]

    async def stored(self, documents: Sequence[str]) -> Sequence[StoredDocument]:
        answer = await self._link.execute(SQL["stored"], {**_TENANT, "documents": list(documents)})
        return [
            StoredDocument(
                id, topic, Stamp(source, Position(major, minor), at), digest, title, text, failed, media, dated, made,
                bytes(layout), access_of(access),
            )
            for id, topic, source, major, minor, at, digest, title, text, failed, media, dated, made, layout, access
            in await answer.fetchall()
        ]  # fmt: skip

    async def ever(self, source: str, after: str, limit: int) -> Sequence[str]:
        args = {**_TENANT, "source": source, "after": after, "limit": limit}
        return [row[0] for row in await (await self._link.execute(SQL["ever"], args)).fetchall()]

"""Puts documents and the indexes over them right, whatever stands there; the caller holds the operator's turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.change import START
from headrace.sqlfile import load
from headrace.stores.audit import Restored
from headrace.stores.postgres.knowledge import TOLD, PostgresKnowledgeWriter, numbers
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("mending.sql"))


class PostgresMender(PostgresKnowledgeWriter):
    """Implements `headrace.stores.audit.Mender` on a link whose transaction the caller holds."""

    async def restore(self, documents: Sequence[Restored]) -> int:
        known = await self._known([d.id for d in documents])
        due = [d for d in documents if known.get(d.id, (START, False))[0] <= d.known]
        if not due:
            return 0
        await self._displace(due)
        drafts = [d.draft for d in due if d.draft is not None]
        if drafts:
            allocated = await self._allocate(len(drafts), sum(len(d.chunks) for d in drafts))
            versions, chunks = await numbers(allocated)
            await self._open(drafts, versions)
            await self._add_chunks(drafts, versions, chunks)
        return len(due)

    async def hide(self, chunks: Sequence[int]) -> None:
        if chunks:
            await self._link.execute(SQL["hide"], {"tenant": DEFAULT_TENANT, "chunks": list(chunks)})

    async def recount(self) -> None:
        await self._link.execute(SQL["recount"], {"tenant": DEFAULT_TENANT})

    async def _displace(self, documents: Sequence[Restored]) -> None:
        args = {
            "tenant": DEFAULT_TENANT,
            "documents": [d.id for d in documents],
            "majors": [d.end.position.major for d in documents],
            "minors": [d.end.position.minor for d in documents],
            "ats": [d.end.committed_at for d in documents],
        }
        ended = await (await self._link.execute(SQL["displace"], args)).fetchall()
        versions = {"versions": [row[0] for row in ended]}
        await self._link.execute(TOLD["forget"], versions)  # it may be what is wrong
        await self.hide([row[0] for row in await (await self._link.execute(SQL["chunks_of"], versions)).fetchall()])

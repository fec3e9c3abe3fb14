"""A collection in a store of its own, made for the occasion and removed afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from headrace.answer.retrieve import Retrieval, retrieve
from headrace.change import Change, Op, Position, document_id, document_schema
from headrace.evaluation.beir import Item
from headrace.knowledge.operator import Knowledge
from headrace.models import Embedder
from headrace.registry import MIGRATIONS, SERVERS, STORES, lookup
from headrace.stores import Store
from headrace.stores.knowledge import Filter

SOURCE = "corpus"
AT_A_TIME = 200
"""Documents that are indexed in one transaction."""
Say = Callable[[str], None]


class Indexed:
    """Documents that can be searched; rankings are of documents, each at its best passage."""

    def __init__(self, store: Store, embedder: Embedder, ids: dict[str, str]) -> None:
        self._store = store
        self._embedder = embedder
        self._ids = ids

    async def search(self, query: str, k: int, settings: Retrieval) -> list[str]:
        """The collection's ids of the documents of the k best passages, best first."""
        vector = (await self._embedder.embed([query], query=True))[0]
        async with self._store.snapshot() as snapshot:
            passages = await retrieve(snapshot.knowledge, query, vector, k, Filter(), settings)
        return list(dict.fromkeys(self._ids[p.document] for p in passages))


@asynccontextmanager
async def indexed(items: Sequence[Item], embedder: Embedder, say: Say) -> AsyncGenerator[Indexed]:
    """The documents indexed as a folder's are, in an embedded PostgreSQL in a temporary folder."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-eval-", ignore_cleanup_errors=True))
        start: Any = lookup("servers", SERVERS, "embedded:")
        server = await start.start(Path(folder) / "postgres", tcp=False)
        stack.push_async_callback(server.stop)
        await server.ensure_database("headrace")
        dsn = server.dsn("headrace")
        await lookup("migrations", MIGRATIONS, "postgresql:")(dsn)
        opener: Any = lookup("stores", STORES, "embedded:")
        store: Store = await opener.open(dsn, model=embedder.id, dimensions=embedder.dimensions, rules=[])
        stack.push_async_callback(store.close)
        yield Indexed(store, embedder, await _fill(store, embedder, items, say))


async def _fill(store: Store, embedder: Embedder, items: Sequence[Item], say: Say) -> dict[str, str]:
    knowledge = Knowledge(frozenset({SOURCE}), {}, embedder, store.work)
    schema = document_schema(SOURCE)
    for start in range(0, len(items), AT_A_TIME):
        part = items[start : start + AT_A_TIME]
        changes = [
            Change(schema, Op.CREATE, Position(n, 0), i.at, n, (i.path,), None, (i.path, i.content))
            for n, i in enumerate(part, start=start + 1)
        ]
        prepared = await knowledge.prepare(changes, background=True)
        async with store.transaction() as transaction:
            await knowledge.apply(prepared, transaction)
        await store.compact()
        say(f"{start + len(part)} of {len(items)} documents indexed")
    await store.index(loaded=True)
    return {document_id(schema, (i.path,)): i.id for i in items}

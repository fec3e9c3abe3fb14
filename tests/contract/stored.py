"""What the tests of the store port put in and read out."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from headrace.change import Position, Stamp
from headrace.knowledge.terms import bag, query_terms
from headrace.stores import PRESENT, Applied, AsOf, Store
from headrace.stores.knowledge import ChunkDraft, DocumentDraft, Filter, Passage, Removal
from headrace.stores.migrate import migrate
from headrace.stores.postgres.store import PostgresStore
from headrace.stores.profiles import FactRule, Profile
from headrace.stores.values import Failure
from headrace.token import Token
from tests.making import EPOCH
from tests.servers import FreshDatabases

DIMENSIONS = 16
SOURCE = "docs"
FAILURE = Failure("parse it", "text", "a picture", "leave it out")


@asynccontextmanager
async def open_store(
    dsn: str, *, rules: Sequence[FactRule] = (), model: str = "test-model", exclusive: bool = True
) -> AsyncGenerator[PostgresStore]:
    store = await PostgresStore.open(dsn, model=model, dimensions=DIMENSIONS, rules=rules, exclusive=exclusive)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def new_store(databases: FreshDatabases, *, rules: Sequence[FactRule] = ()) -> AsyncGenerator[PostgresStore]:
    dsn = await databases()
    await migrate(dsn)
    async with open_store(dsn, rules=rules) as store:
        yield store


def vector(text: str) -> NDArray[np.float32]:
    """A unit vector of a text: equal texts, equal vectors."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    made = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return made / np.float32(np.linalg.norm(made))


def stamp(at: int, source: str = SOURCE, minor: int = 0) -> Stamp:
    """Position `at`, committed `at` seconds after EPOCH."""
    return Stamp(source, Position(at, minor), seconds(at))


def seconds(at: float) -> int:
    return EPOCH + int(at * 1_000_000)


def draft(name: str, at: int, *chunks: str, source: str = SOURCE, failure: Failure | None = None) -> DocumentDraft:
    """Document `source/name` as of position `at`."""
    starts = [0, *itertools.accumulate(len(c) + 1 for c in chunks)]
    drafts = [_chunk(n, text, start) for n, (text, start) in enumerate(zip(chunks, starts, strict=False))]
    digest = hashlib.sha256("\n".join(chunks).encode()).hexdigest()
    return DocumentDraft(
        f"{source}/{name}", source, stamp(at, source), digest, name, "\n".join(chunks), drafts, failure
    )


def _chunk(n: int, text: str, start: int) -> ChunkDraft:
    words = bag(text)
    digest = hashlib.sha256(text.encode()).digest()
    return ChunkDraft(
        n, text, start, start + len(text), "", words.terms, words.counts, words.length, digest, vector(text)
    )


def removal(name: str | None, at: int, source: str = SOURCE) -> Removal:
    """The end of one document, or (None) of every document of the topic."""
    return Removal(None if name is None else f"{source}/{name}", source, stamp(at, source))


async def swap(store: Store, *drafts: DocumentDraft) -> None:
    async with store.transaction() as transaction:
        await transaction.knowledge.swap(drafts)


async def remove(store: Store, *removals: Removal, overtaking: bool = False) -> None:
    async with store.transaction() as transaction:
        await transaction.knowledge.remove(removals, overtaking=overtaking)


async def texts(store: Store, at: AsOf = PRESENT) -> dict[str, str]:
    """Every document with its text; checks that listing, reading and searching by words tell the same."""
    async with store.snapshot(at) as snapshot:
        infos = [info async for info in snapshot.knowledge.documents(None)]
        ids = [info.id for info in infos]
        assert ids == sorted(set(ids)), "each once, in order"
        found: dict[str, str] = {}
        for info in infos:
            document = await snapshot.knowledge.document(info.id)
            assert document is not None
            assert document.info == info
            assert len(document.chunks) == info.chunks
            found[info.id] = document.text
        chunks = [(id, n) for id, text in found.items() for n, line in enumerate(text.split("\n")) if "word" in line]
        passages = await snapshot.knowledge.search(query_terms("word"), None, 50, Filter())
        assert sorted((p.document, p.ordinal) for p in passages) == sorted(chunks)
        assert len({p.chunk for p in passages}) == len(chunks), "each has a name of its own"
        return found


async def search(
    store: Store, query: str, *, k: int = 10, where: Filter | None = None, at: AsOf = PRESENT
) -> list[Passage]:
    async with store.snapshot(at) as snapshot:
        return list(await snapshot.knowledge.search(query_terms(query), vector(query), k, where or Filter()))


def ranked(passages: Sequence[Passage]) -> list[tuple[str, float]]:
    return [(p.chunk, p.score) for p in passages]


def token(seen: Mapping[str, int], source: str = SOURCE) -> AsOf:
    """As of what each operator had seen of one source."""
    return AsOf(token=Token({source: {o: Position(at) for o, at in seen.items()}}))


def applied(operator: str, number: int, at: int, source: str = SOURCE) -> Applied:
    return Applied(operator, source, number, Position(at), seconds(at), number * 10, number * 100)


async def profiles(store: Store, at: AsOf = PRESENT) -> dict[str, Profile]:
    async with store.snapshot(at) as snapshot:
        found = [p async for p in snapshot.profiles.profiles()]
    assert [p.id for p in found] == sorted({p.id for p in found}), "each once, in order"
    return {p.id: p for p in found}


async def profile(store: Store, id: str, at: AsOf = PRESENT) -> Profile | None:
    async with store.snapshot(at) as snapshot:
        return await snapshot.profiles.profile(id)

"""Reads documents and searches chunks in one snapshot: pgvector and exact BM25, fused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pgvector import HalfVector

from headrace.change import Position, Stamp
from headrace.link import Link
from headrace.place import Place
from headrace.sqlfile import load
from headrace.stores import (
    DEFAULT_TENANT,
    AsOf,
    Document,
    DocumentInfo,
    Failure,
    Filter,
    Passage,
    Terms,
    Vector,
)
from headrace.stores.postgres import compact
from headrace.stores.postgres.knowledge import OPERATOR
from headrace.stores.postgres.lexical import Ids, Recent, Scores, best, gather, score
from headrace.stores.postgres.recent import RecentChunks
from headrace.stores.postgres.valid import validity

SQL = load(Path(__file__).with_name("search.sql"))
PAGE = 1000
CANDIDATES = 50
"""How many chunks each of the two searches contributes."""
VECTOR_WEIGHT = 0.5
"""The vector search's part in the fused score; both are scaled to 0..1 first."""


@dataclass(slots=True)
class SearchMemory:
    """What searches remember between them: about how many chunks there are, and the terms of the unpacked ones."""

    dimensions: int
    chunks: int = 0
    recent: RecentChunks = field(default_factory=RecentChunks)


class PostgresKnowledgeReader:
    """Implements `headrace.stores.KnowledgeReader` on a link that holds a snapshot."""

    def __init__(self, link: Link, at: AsOf, memory: SearchMemory) -> None:
        self._link = link
        self._valid = validity(at, OPERATOR)
        self._past = at.token is not None or at.time is not None
        self._dimensions = memory.dimensions
        self._memory = memory

    async def search(
        self, terms: Terms, vector: Vector | Awaitable[Vector] | None, k: int, where: Filter
    ) -> Sequence[Passage]:
        if self._past:
            made = await vector if isinstance(vector, Awaitable) else vector
            lexical, nearest = await self._search_past(terms, made, where)
        else:
            lexical, nearest = await self._search_present(terms, vector, where)
        ranked = fuse(lexical, nearest)[:k]
        return await self._passages(dict(ranked))

    async def _search_present(self, terms: Terms, vector: Vector | Awaitable[Vector] | None, where: Filter):
        wanted: list[int] = terms.tolist()
        known = self._memory.recent.newest
        args: dict[str, Any] = {"tenant": DEFAULT_TENANT, "terms": wanted, "known": known, **_filter(where)}
        execute = self._link.execute
        corpus = await execute(SQL["corpus"], args)
        packed = await execute(SQL["postings"], args, binary=True)
        recent = await execute(SQL["recent"], args, binary=True)
        dead = await execute(SQL["dead"], args, binary=True)
        near = await self._nearest(vector, where) if isinstance(vector, np.ndarray) else None
        chunks, tokens = await corpus.fetchone() or (0, 0)
        self._memory.chunks = chunks
        gone = np.array([r[0] for r in await dead.fetchall()], np.int64)
        fresh = await self._recent(await recent.fetchall(), wanted)
        ids, scores = score(gather(await packed.fetchall(), fresh, wanted, gone), chunks, tokens)
        lexical = await self._allowed(ids, scores, where)
        if isinstance(vector, Awaitable):
            near = await self._nearest(await vector, where)
        rows = await near.fetchall() if near else []
        return lexical, (np.array([r[0] for r in rows], np.int64), np.array([-r[1] for r in rows], np.float64))

    async def _recent(self, rows: Sequence[Any], terms: Sequence[int]) -> list[Recent]:
        """Unpacked chunks of this snapshot that hold one of the terms; only unknown ones are read."""
        cache = self._memory.recent
        cache.add(_recent(r) for r in rows if r[1] is not None)
        present = [r[0] for r in rows]
        if missing := cache.missing(present):
            cursor = await self._link.execute(SQL["recent_terms"], {"ids": missing}, binary=True)
            cache.add(_recent(r) for r in await cursor.fetchall())
        return cache.holding(terms, present)

    async def _nearest(self, vector: Vector, where: Filter):
        name = "nearest_exact" if self._memory.chunks <= compact.EXACT_CHUNKS else "nearest_indexed"
        args = {"tenant": DEFAULT_TENANT, "vector": HalfVector(vector), "limit": CANDIDATES, **_filter(where)}
        return await self._link.execute(_sized(SQL[name], self._dimensions), args)

    async def _allowed(self, ids: Ids, scores: Scores, where: Filter) -> tuple[Ids, Scores]:
        """The best lexical candidates inside the filter; looks further down only when a filter takes some away."""
        if where == Filter():
            return best(ids, scores, CANDIDATES)
        order = np.lexsort((ids, -scores))
        kept: list[int] = []
        for start in range(0, len(order), 2000):
            part = ids[order[start : start + 2000]]
            args = {"tenant": DEFAULT_TENANT, "ids": part.tolist(), **_filter(where)}
            cursor = await self._link.execute(SQL["allowed"], args)
            allowed = np.array([r[0] for r in await cursor.fetchall()], np.int64)
            kept += order[start : start + 2000][np.isin(part, allowed)].tolist()
            if len(kept) >= CANDIDATES:
                break
        chosen = np.array(kept[:CANDIDATES], np.int64)
        return ids[chosen], scores[chosen]

    async def _search_past(self, terms: Terms, vector: Vector | None, where: Filter):
        """Looks at every chunk that was valid then, so that scores are exactly what they were."""
        query = HalfVector(vector if vector is not None else np.zeros(self._dimensions, np.float32))
        args = {"tenant": DEFAULT_TENANT, "vector": query, **self._valid.args, **_filter(where)}
        statement = _valid(_sized(SQL["past_chunks"], self._dimensions), self._valid.sql)
        rows = await (await self._link.execute(statement, args, binary=True)).fetchall()
        recent = [_recent(r) for r in rows]
        postings = gather([], recent, terms.tolist(), np.empty(0, np.int64))
        ids, scores = score(postings, len(rows), sum(r[3] for r in rows))
        inside = np.array([r[5] for r in rows], bool)
        all_ids = np.array([r[0] for r in rows], np.int64)
        keep = np.isin(ids, all_ids[inside])
        lexical = best(ids[keep], scores[keep], CANDIDATES)
        if vector is None:
            return lexical, (np.empty(0, np.int64), np.empty(0, np.float64))
        similarity = np.array([r[4] for r in rows], np.float64)
        return lexical, best(all_ids[inside], similarity[inside], CANDIDATES)

    async def _passages(self, scores: Mapping[int, float]) -> list[Passage]:
        if not scores:
            return []
        args = {"tenant": DEFAULT_TENANT, "ids": list(scores)}
        cursor = await self._link.execute(SQL["passages"], args)
        found = {
            chunk: Passage(
                document, f"{document}#{ordinal}", ordinal, title, heading, text, start, end, scores[chunk],
                Stamp(source, Position(major, minor), at), _place(place), dated,
            )
            for chunk, document, ordinal, title, heading, text, start, end, source, major, minor, at, place, dated
            in await cursor.fetchall()
        }  # fmt: skip
        return [found[chunk] for chunk in scores if chunk in found]

    async def document(self, id: str) -> Document | None:
        args = {"tenant": DEFAULT_TENANT, "document": id, **self._valid.args}
        row = await (await self._link.execute(_valid(SQL["document"], self._valid.sql), args)).fetchone()
        if row is None:
            return None
        version, source, major, minor, at, digest, title, text, count, failure, media, dated = row
        stamp = Stamp(source, Position(major, minor), at)
        info = _info(id, stamp, digest, title, count, failure, media, dated)
        cursor = await self._link.execute(SQL["document_chunks"], {"version": version})
        chunks = [
            Passage(id, f"{id}#{ordinal}", ordinal, title, heading, body, start, end, 0.0, stamp, _place(place), dated)
            for _, ordinal, heading, body, start, end, place in await cursor.fetchall()
        ]
        return Document(info, text, chunks)

    async def documents(self, source: str | None) -> AsyncIterator[DocumentInfo]:
        args: dict[str, Any] = {"tenant": DEFAULT_TENANT, "source": source, "limit": PAGE, **self._valid.args}
        statement, after, rows = _valid(SQL["documents"], self._valid.sql), "", [()] * PAGE
        while len(rows) == PAGE:
            rows = await (await self._link.execute(statement, {**args, "after": after})).fetchall()
            for document, name, major, minor, at, *about in rows:
                yield _info(document, Stamp(name, Position(major, minor), at), *about)
                after = document


def _recent(row: Sequence[Any]) -> Recent:
    id, terms, counts, length = row[:4]
    return Recent(id, np.frombuffer(terms, "<i8"), np.frombuffer(counts, "<u2"), length)


def fuse(lexical: tuple[Ids, Scores], nearest: tuple[Ids, Scores]) -> list[tuple[int, float]]:
    """A convex sum of both scores, each scaled to 0..1 over its candidates; best first, ties by id."""
    total: dict[int, float] = {}
    for (ids, scores), weight in ((lexical, 1 - VECTOR_WEIGHT), (nearest, VECTOR_WEIGHT)):
        for id, value in zip(ids.tolist(), _scaled(scores).tolist(), strict=True):
            total[id] = total.get(id, 0.0) + weight * value
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))


def _scaled(scores: Scores) -> Scores:
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return np.ones_like(scores) if high == low else (scores - low) / (high - low)


def _filter(where: Filter) -> dict[str, str | None]:
    return {"source": where.source, "prefix": where.document_prefix}


def _sized(sql: bytes, dimensions: int) -> bytes:
    return sql.replace(b"{dimensions}", str(dimensions).encode())


def _valid(sql: bytes, condition: str) -> bytes:
    return sql.replace(b"{valid}", condition.encode())


def _info(
    id: str, stamp: Stamp, digest: str, title: str, chunks: int, failure: Any, media: str | None, dated: int | None
) -> DocumentInfo:
    error = msgspec.convert(failure, Failure) if failure else None
    return DocumentInfo(id, stamp, digest, title, chunks, "failed" if error else "ready", error, media, dated)


def _place(stored: Any) -> Place | None:
    return msgspec.convert(stored, Place) if stored else None

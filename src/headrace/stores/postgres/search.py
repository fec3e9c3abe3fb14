"""Reads documents and searches chunks in one snapshot: pgvector and exact BM25, fused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from headrace.access import Viewer
from headrace.change import Position, Stamp
from headrace.link import Answer, Link
from headrace.metadata import restored
from headrace.place import Place
from headrace.sqlfile import load
from headrace.stores import AsOf
from headrace.stores.knowledge import HYBRID, Blend, Document, DocumentInfo, Filter, Listing, Passage, chunk_name
from headrace.stores.postgres import vector_index
from headrace.stores.postgres.conditions import Conditions
from headrace.stores.postgres.fusing import FLAT, Candidates, Found, Spread, fuse, lexical_spread, spread
from headrace.stores.postgres.knowledge import OPERATOR
from headrace.stores.postgres.lexical import Ids, Posting, Recent, Scores, best, gather, held, score, unpack, unpacked
from headrace.stores.postgres.packed import Key, PackedPostings
from headrace.stores.postgres.recent import RecentChunks
from headrace.stores.postgres.valid import validity
from headrace.stores.postgres.vector_index import VectorIndex
from headrace.stores.postgres.viewing import SQL as VIEWING
from headrace.stores.postgres.viewing import Viewing
from headrace.stores.values import DEFAULT_TENANT, Failure, Terms, Vector

SQL = load(Path(__file__).with_name("search.sql"))
PAGE = 1000
HIGHEST_CHARACTER = "\U0010ffff"
CANDIDATES = 50
"""How many chunks each of the two searches contributes at least."""
LOOKED_AT = 2000
"""So many lexical candidates are held against a filter at a time."""
LOOKED_AT_FIRST = 200
"""And so many first, against what a viewer may read alone: mostly that is most."""
SAMPLE = 512
"""From so many chunks on it is judged by a sample of so many how all of them lie."""
TOGETHER = 3
"""So many of the best lexical candidates are looked at for how much of the query they hold."""
FEW_INSIDE = 10_000
"""When a filter leaves so few chunks, each of them is looked at: walking the index past all others finds less in more
time."""
PROBED = 200
"""By so many documents it is judged how much of everything a viewer may read."""
LITTLE = 0.2
"""When they may read less, it is looked at whether it is few."""
NONE = Candidates(np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(slots=True)
class SearchMemory:
    """What searches remember between them: about how many chunks there are, the terms of the unpacked ones, and some
    vectors and some documents, each with the number of chunks there were then."""

    dimensions: int
    index: VectorIndex
    chunks: int = 0
    recent: RecentChunks = field(default_factory=RecentChunks)
    packed: PackedPostings = field(default_factory=PackedPostings)
    sample: NDArray[np.float32] | None = None
    sampled: int = 0
    probe: list[str] | None = None
    probed: int = 0


class PostgresKnowledgeReader:
    """Implements `headrace.stores.knowledge.KnowledgeReader` on a link that holds a snapshot."""

    def __init__(self, link: Link, at: AsOf, viewer: Viewer, memory: SearchMemory) -> None:
        self._link = link
        self._valid = validity(at, OPERATOR)
        self._past = at.token is not None or at.time is not None
        self._viewing = Viewing(viewer, past=self._past)
        self._dimensions = memory.dimensions
        self._memory = memory
        self._chunks: dict[str, int] = {}
        self._little = False

    async def search(
        self,
        terms: Terms,
        vector: Vector | Awaitable[Vector | None] | None,
        k: int,
        where: Filter,
        blend: Blend = HYBRID,
    ) -> Sequence[Passage]:
        deep = max(CANDIDATES, k)
        if not self._viewing.all and not self._past:
            await self._stand()
        if self._past:
            made = await vector if isinstance(vector, Awaitable) else vector
            found = await self._search_past(terms, made, deep, where)
        else:
            found = await self._search_present(terms, vector, deep, where)
        return await self._passages(fuse(found, blend), k)

    async def _search_present(
        self, terms: Terms, vector: Vector | Awaitable[Vector | None] | None, deep: int, where: Filter
    ) -> Found:
        wanted: list[int] = terms.tolist()
        known = self._memory.packed.of(wanted)
        args: dict[str, Any] = {
            "tenant": DEFAULT_TENANT,
            "terms": wanted,
            "known": self._memory.recent.newest,
            "known_terms": [term for term, _ in known],
            "known_segments": [segment for _, segment in known],
        }
        execute = self._link.execute
        if self._everything(where):
            await execute(SQL["plan_once"])
        corpus = await execute(SQL["corpus"], args)
        packed = await execute(SQL["postings"], args, binary=True)
        recent = await execute(SQL["recent"], args, binary=True)
        dead = await execute(SQL["dead"], args, binary=True)
        self._link.send()
        few = await self._few_inside(where)
        near = await self._nearest(vector, deep, where, few) if isinstance(vector, np.ndarray) else None
        await self._link.upto(dead)  # words are weighed here while the nearest are looked for there
        chunks, tokens = await corpus.fetchone() or (0, 0)
        self._memory.chunks = chunks
        gone = np.array([r[0] for r in await dead.fetchall()], np.int64)
        fresh = await self._recent(await recent.fetchall(), wanted)
        postings = gather(self._packed(await packed.fetchall(), known), fresh, wanted, gone)
        ids, scores = score(postings, chunks, tokens)
        lexical = Candidates(*await self._allowed(ids, scores, deep, where, few))
        words = lexical_spread(scores, chunks)
        words_alone = Found(lexical, NONE, lexical.ids, lexical.scores, NONE.scores, (words, FLAT), 1.0)
        if vector is None:
            return words_alone
        together = held(postings, wanted, chunks, lexical.ids[:TOGETHER])
        made = await vector if isinstance(vector, Awaitable) else vector
        if made is None:
            return words_alone
        near = near or await self._nearest(made, deep, where, few)
        similar = await self._similarities(made, lexical.ids)
        nearest, lies = await self._near(near, made, deep, where, few)
        both = _joined_ids(lexical.ids, nearest.ids)
        meaning = dict(await similar.fetchall()) | dict(zip(nearest.ids.tolist(), nearest.scores.tolist(), strict=True))
        of_both = np.array([meaning.get(id, lies.mean) for id in both.tolist()], np.float64)
        return Found(lexical, nearest, both, _looked_up(both, ids, scores), of_both, (words, lies), together)

    async def _few_inside(self, where: Filter) -> Ids | None:
        """The chunks inside a filter, or of what a viewer may read, where that leaves few of many."""
        unlimited = where == Filter() and not self._little
        if unlimited or self._memory.chunks <= vector_index.EXACT_CHUNKS:
            return None
        args = {"limit": FEW_INSIDE + 1, **self._limits(where)}
        statement = self._inside(SQL["few_inside"], where, of_all=True, metadata=b"t.metadata")
        row = await (await self._link.execute(statement, args, binary=True)).fetchone()
        return np.array(row[0], np.int64) if row and len(row[0]) <= FEW_INSIDE else None

    async def _stand(self) -> None:
        """How much a viewer may read: everything, while nothing is said of any document."""
        memory = self._memory
        if memory.probe is None or not 0.8 < (memory.chunks + 1) / memory.probed < 1.25:
            args = {"tenant": DEFAULT_TENANT, "limit": PROBED}
            rows = await (await self._link.execute(VIEWING["some"], args)).fetchall()
            memory.probe, memory.probed = [row[0] for row in rows], memory.chunks + 1
        args = {"tenant": DEFAULT_TENANT, "documents": memory.probe, **self._viewing.args}
        row = await (await self._link.execute(self._viewing.filled("standing"), args)).fetchone()
        assert row is not None
        said, readable = row
        self._viewing.all = not said
        self._little = bool(said) and readable < LITTLE * len(memory.probe)

    async def _near(
        self, near: Answer, vector: Vector, deep: int, where: Filter, few: Ids | None
    ) -> tuple[Candidates, Spread]:
        """The nearest chunks, and how all of them lie; looks at every vector where a filter left the index too few."""
        lies = None if self._memory.sample is None else await self._lies(vector)  # while the server looks for them
        rows = await near.fetchall()
        many = few is None and self._memory.chunks > vector_index.EXACT_CHUNKS
        if many and not self._everything(where) and len(rows) < deep:
            rows = await (await self._nearest(vector, deep, where, exact=True)).fetchall()
        found = Candidates(np.array([r[0] for r in rows], np.int64), np.array([r[1] for r in rows], np.float64))
        if rows and len(rows[0]) == 4:
            return found, Spread(round(rows[0][2], 6), round(rows[0][3], 6))
        return found, lies or await self._lies(vector)

    async def _lies(self, vector: Vector) -> Spread:
        """How a corpus lies around a query, by a sample that is kept until the corpus has changed much."""
        memory = self._memory
        if memory.sample is None or not 0.8 < memory.chunks / memory.sampled < 1.25:
            cursor = await self._link.execute(SQL["sample"], {"tenant": DEFAULT_TENANT, "limit": SAMPLE}, binary=True)
            rows = await cursor.fetchall()
            memory.sample = np.array([r[0].to_numpy() for r in rows], np.float32).reshape(-1, self._dimensions)
            memory.sampled = max(memory.chunks, 1)
        return spread((memory.sample @ vector).astype(np.float64))

    async def _similarities(self, vector: Vector, ids: Ids) -> Answer:
        args = {"tenant": DEFAULT_TENANT, "vector": HalfVector(vector), "ids": ids.tolist()}
        return await self._link.execute(_sized(SQL["similarities"], self._dimensions), args)

    async def _recent(self, rows: Sequence[Any], terms: Sequence[int]) -> list[tuple[int, Posting]]:
        """The terms' postings in the unpacked chunks of this snapshot; only unknown ones are read."""
        cache = self._memory.recent
        cache.add(_recent(r) for r in rows if r[1] is not None)
        present = [r[0] for r in rows]
        if missing := cache.missing(present):
            cursor = await self._link.execute(SQL["recent_terms"], {"ids": missing}, binary=True)
            cache.add(_recent(r) for r in await cursor.fetchall())
        return cache.postings(terms, np.array(present, np.int64))

    def _packed(self, rows: Sequence[Any], known: Mapping[Key, Posting]) -> list[tuple[int, Posting]]:
        """The postings of this snapshot's segments, of which those that are `known` came without their content."""
        memory = self._memory.packed
        found: list[tuple[int, Posting]] = []
        for term, segment, *content in rows:
            posting = known[term, segment] if content[0] is None else unpack(*content)
            memory.keep(term, segment, posting)
            found.append((term, posting))
        for gone in known.keys() - {(row[0], row[1]) for row in rows}:
            memory.forget(gone)
        return found

    async def _nearest(
        self, vector: Vector, deep: int, where: Filter, few: Ids | None = None, *, exact: bool = False
    ) -> Answer:
        args = {"vector": HalfVector(vector), "limit": deep, **self._limits(where)}
        if few is not None:
            these = {**args, "ids": few.tolist()}
            return await self._link.execute(_sized(SQL["nearest_of_these"], self._dimensions), these)
        chunks, looked_at = self._memory.chunks, vector_index.EXACT_CHUNKS
        sampled, all_of_them = chunks <= min(SAMPLE, looked_at), exact or chunks <= looked_at
        name = "nearest_of_few" if sampled else "nearest_exact" if all_of_them else "nearest_indexed"
        statement = self._memory.index.conditions(self._inside(SQL[name], where, every=name != "nearest_indexed"))
        return await self._link.execute(_sized(statement, self._dimensions), args)

    async def _allowed(self, ids: Ids, scores: Scores, deep: int, where: Filter, few: Ids | None) -> tuple[Ids, Scores]:
        """The best lexical candidates inside the filter; looks further down only when a filter takes some away."""
        if self._everything(where):
            return best(ids, scores, deep)
        if few is not None:
            keep = np.isin(ids, few)
            return best(ids[keep], scores[keep], deep)
        order = np.lexsort((ids, -scores))
        kept: list[int] = []
        start, size = 0, LOOKED_AT_FIRST if where == Filter() else LOOKED_AT
        while start < len(order) and len(kept) < deep:
            part = ids[order[start : start + size]]
            args = {"ids": part.tolist(), **self._limits(where)}
            cursor = await self._link.execute(self._inside(SQL["allowed"], where), args)
            allowed = np.array([r[0] for r in await cursor.fetchall()], np.int64)
            kept += order[start : start + size][np.isin(part, allowed)].tolist()
            start, size = start + size, LOOKED_AT
        chosen = np.array(kept[:deep], np.int64)
        return ids[chosen], scores[chosen]

    async def _search_past(self, terms: Terms, vector: Vector | None, deep: int, where: Filter) -> Found:
        """Looks at every chunk that was valid then, so that scores are exactly what they were."""
        query = HalfVector(vector if vector is not None else np.zeros(self._dimensions, np.float32))
        args = {"vector": query, **self._valid.args, **self._limits(where)}
        statement = _valid(_sized(SQL["past_chunks"], self._dimensions), self._valid.sql)
        statement = self._inside(statement, where, metadata=b"v.metadata")
        rows = await (await self._link.execute(statement, args, binary=True)).fetchall()
        wanted: list[int] = terms.tolist()
        postings = gather([], unpacked([_recent(r) for r in rows], wanted), wanted, np.empty(0, np.int64))
        ids, scores = score(postings, len(rows), sum(r[3] for r in rows))
        inside = np.array([r[5] for r in rows], bool)
        all_ids = np.array([r[0] for r in rows], np.int64)
        keep = np.isin(ids, all_ids[inside])
        lexical = Candidates(*best(ids[keep], scores[keep], deep))
        words = lexical_spread(scores, len(rows))
        if vector is None:
            return Found(lexical, NONE, lexical.ids, lexical.scores, NONE.scores, (words, FLAT), 1.0)
        together = held(postings, wanted, len(rows), lexical.ids[:TOGETHER])
        similarity = np.array([r[4] for r in rows], np.float64)
        nearest = Candidates(*best(all_ids[inside], similarity[inside], deep))
        both = _joined_ids(lexical.ids, nearest.ids)
        of_both = (_looked_up(both, ids, scores), _looked_up(both, all_ids, similarity))
        return Found(lexical, nearest, both, *of_both, (words, spread(similarity)), together)

    async def _passages(self, ranked: Sequence[tuple[int, float]], k: int) -> list[Passage]:
        """The best k, each once: a document's first chunk is found by its own words and by the document's summary."""
        found: dict[str, Passage] = {}
        while ranked and len(found) < k:
            part, ranked = ranked[: k - len(found)], ranked[k - len(found) :]
            for passage in await self._shown(dict(part)):
                found.setdefault(passage.chunk, passage)
        return list(found.values())

    async def _shown(self, scores: Mapping[int, float]) -> list[Passage]:
        args = {"tenant": DEFAULT_TENANT, "ids": list(scores), **self._viewing.args}
        rows = await (await self._link.execute(self._read(SQL["passages"]), args)).fetchall()
        found = {
            chunk: Passage(
                document, chunk_name(document, text, copy), ordinal, title, heading, text, start, end, scores[chunk],
                Stamp(source, Position(major, minor), at), _place(place), dated, metadata=restored(said),
            )
            for chunk, document, ordinal, title, heading, text, start, end, source, major, minor, at, place, dated,
                said, copy, _ in rows
        }  # fmt: skip
        self._chunks |= {found[row[0]].chunk: row[-1] for row in rows}
        return [found[chunk] for chunk in scores if chunk in found]

    async def around(self, passages: Sequence[Passage], reach: int) -> Sequence[Passage]:
        ids = [self._chunks[p.chunk] for p in passages]
        args = {"tenant": DEFAULT_TENANT, "ids": ids, "reach": reach, **self._viewing.args}
        texts: dict[int, dict[int, str]] = {}
        for chunk, offset, text in await (await self._link.execute(self._read(SQL["neighbours"]), args)).fetchall():
            texts.setdefault(chunk, {})[offset] = text
        sides = [(texts.get(id, {}), p) for id, p in zip(ids, passages, strict=True)]
        return [
            replace(p, before=_joined(of, range(-reach, 0)), behind=_joined(of, range(1, reach + 1))) for of, p in sides
        ]

    async def document(self, id: str) -> Document | None:
        args = {"tenant": DEFAULT_TENANT, "document": id, **self._valid.args, **self._viewing.args}
        row = await (await self._link.execute(self._read(SQL["document"]), args)).fetchone()
        if row is None:
            return None
        version, source, major, minor, at, digest, title, text, count, failure, media, dated, *told = row
        stamp = Stamp(source, Position(major, minor), at)
        info = _info(id, stamp, digest, title, count, failure, media, dated, *told)
        cursor = await self._link.execute(SQL["document_chunks"], {"version": version})
        chunks = [
            Passage(
                id, chunk_name(id, body, copy), ordinal, title, heading, body, start, end, 0.0, stamp, _place(place),
                dated, metadata=info.metadata,
            )
            for _, ordinal, heading, body, start, end, place, copy in await cursor.fetchall()
        ]  # fmt: skip
        return Document(info, text, chunks)

    async def documents(self, source: str | None) -> AsyncIterator[DocumentInfo]:
        args: dict[str, Any] = {"source": source, "limit": PAGE, **self._valid.args, **self._viewing.args}
        args["tenant"] = DEFAULT_TENANT
        statement, after, rows = self._read(SQL["documents"]), "", [()] * PAGE
        while len(rows) == PAGE:
            rows = await (await self._link.execute(statement, {**args, "after": after})).fetchall()
            for document, name, major, minor, at, *about in rows:
                yield _info(document, Stamp(name, Position(major, minor), at), *about)
                after = document

    async def listed(self, which: Listing, after: str, limit: int) -> Sequence[DocumentInfo]:
        start = which.prefix or ("" if which.source is None else f"{which.source}/")
        conditions = Conditions(which.metadata)
        args: dict[str, Any] = {
            "tenant": DEFAULT_TENANT, "source": which.source, "text": which.text, "failed": which.failed,
            "prefix": which.prefix, "from": start, "to": start + HIGHEST_CHARACTER,
            "ids": None if which.ids is None else list(which.ids), "after": after, "limit": limit,
            "label": which.label, **conditions.args, **self._valid.args, **self._viewing.args,
        }  # fmt: skip
        statement = self._read(SQL["listed"]).replace(b"{holds}", conditions.of(b"v.metadata"))
        rows = await (await self._link.execute(statement, args)).fetchall()
        return [
            _info(document, Stamp(name, Position(major, minor), at), *about)
            for document, name, major, minor, at, *about in rows
        ]

    async def readable(self, ids: Sequence[str]) -> frozenset[str]:
        args = {"tenant": DEFAULT_TENANT, "documents": list(ids), **self._viewing.args}
        answer = await self._link.execute(self._viewing.filled("readable_documents"), args)
        return frozenset(row[0] for row in await answer.fetchall())

    # ---- what is left out --------------------------------------------------------------------------------------------

    def _everything(self, where: Filter) -> bool:
        """Whether nothing is."""
        return where == Filter() and self._viewing.all

    def _limits(self, where: Filter) -> dict[str, Any]:
        return {"tenant": DEFAULT_TENANT, **_filter(where), **Conditions(where.metadata).args, **self._viewing.args}

    def _inside(
        self, sql: bytes, where: Filter, *, of_all: bool = False, every: bool = False, metadata: bytes = b""
    ) -> bytes:
        """A statement over chunks with only those conditions that are set, so that it is planned for them. `metadata`:
        the column that it has them in; where it has none, `every` says that it looks at all chunks."""
        wanted = [SQL[f"inside_{name}"].rstrip(b"; \n") for name, value in _filter(where).items() if value is not None]
        if where.metadata:
            conditions = Conditions(where.metadata)
            said = conditions.of(metadata) if metadata else conditions.of_every_chunk if every else conditions.of_chunk
            wanted.append(said)
        if not self._viewing.all:
            wanted.append(self._viewing.of_version if self._past else self._viewing.of("t", of_all=of_all))
        return sql.replace(b"{inside}", b" and ".join(wanted) or b"true")

    def _read(self, sql: bytes) -> bytes:
        """A statement over versions `v`."""
        return _valid(sql, self._valid.sql).replace(b"{readable}", self._viewing.of_version)


def _recent(row: Sequence[Any]) -> Recent:
    id, terms, counts, length = row[:4]
    return Recent(id, np.frombuffer(terms, "<i8"), np.frombuffer(counts, "<u2"), length)


def _joined_ids(some: Ids, others: Ids) -> Ids:
    """All of both, ascending; there are a hundred."""
    return np.array(sorted({*some.tolist(), *others.tolist()}), np.int64)


def _looked_up(wanted: Ids, ids: Ids, scores: Scores) -> Scores:
    """Scores of some ids, 0 where there is none; `ids` ascend."""
    if not len(ids):
        return np.zeros(len(wanted), np.float64)
    places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[places] == wanted, scores[places], 0.0)


def _filter(where: Filter) -> dict[str, str | int | None]:
    return {
        "source": where.source, "prefix": where.document_prefix, "topic": where.topic, "title": where.title,
        "since": where.since, "until": where.until, "label": where.label,
    }  # fmt: skip


def _joined(texts: Mapping[int, str], offsets: range) -> str:
    return "\n".join(texts[n] for n in offsets if n in texts)


def _sized(sql: bytes, dimensions: int) -> bytes:
    return sql.replace(b"{dimensions}", str(dimensions).encode())


def _valid(sql: bytes, condition: str) -> bytes:
    return sql.replace(b"{valid}", condition.encode())


def _info(
    id: str, stamp: Stamp, digest: str, title: str, chunks: int, failure: Any, media: str | None, dated: int | None,
    labels: Sequence[str] | None, summary: str | None, metadata: Any,
) -> DocumentInfo:  # fmt: skip
    error = msgspec.convert(failure, Failure) if failure else None
    told = (None if labels is None else tuple(labels), summary, restored(metadata))
    return DocumentInfo(id, stamp, digest, title, chunks, "failed" if error else "ready", error, media, dated, *told)


def _place(stored: Any) -> Place | None:
    return msgspec.convert(stored, Place) if stored else None

"""Writes documents and their chunks inside one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from pgvector import HalfVector

from headrace.access import Readers
from headrace.change import START, Position
from headrace.link import Answer, Link
from headrace.metadata import encoded
from headrace.sqlfile import load
from headrace.stores.knowledge import ChunkDraft, DocumentDraft, Narrowing, Removal
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("knowledge.sql"))
TOLD = load(Path(__file__).with_name("told.sql"))
OPERATOR = "knowledge"


class PostgresKnowledgeWriter:
    """Implements `headrace.stores.knowledge.KnowledgeWriter` on a link whose transaction the caller holds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def swap(self, drafts: Sequence[DocumentDraft]) -> None:
        newest = list({d.id: d for d in drafts}.values())  # the last one of each wins
        allocated = await self._allocate(len(newest), sum(len(d.chunks) for d in newest))
        fresh = await self._newer(newest)
        if not fresh:
            return
        versions, chunks = await numbers(allocated)
        versions, chunks = versions[: len(fresh)], chunks[: sum(len(d.chunks) for d in fresh)]
        await self._close([(d.id, d.stamp.position, d.stamp.committed_at) for d in fresh], overtaken=False)
        await self._open(fresh, versions)
        await self._add_chunks(fresh, versions, chunks)

    async def remove(self, removals: Sequence[Removal], *, overtaking: bool = False) -> None:
        ends: list[tuple[str, Position, int]] = []
        for removal in removals:
            if removal.id is None:
                ends += await self._truncate(removal)
            else:
                ends.append((removal.id, removal.stamp.position, removal.stamp.committed_at))
        # Of several ends of one document in a batch the last one counts.
        latest = {document: (document, position, at) for document, position, at in ends}
        await self._close(list(latest.values()), overtaken=overtaking)
        if overtaking:
            await self._bar([r for r in removals if r.id is not None])

    async def renew(self, drafts: Sequence[DocumentDraft]) -> Sequence[str]:
        standing = await self._standing(drafts)
        fresh = [d for d in drafts if d.id in standing]
        if not fresh:
            return []
        versions, chunks = await numbers(await self._allocate(len(fresh), sum(len(d.chunks) for d in fresh)))
        gone = [standing[d.id][0] for d in fresh]
        told = any(standing[d.id][1] for d in fresh)
        if told:
            await self._link.execute(TOLD["set_aside"], {"versions": gone})
            await self._open(fresh, versions)
            await self._link.execute(TOLD["hand_on"], {"olds": gone, "news": list(versions)})
        await self._link.execute(SQL["drop_versions"], {"tenant": DEFAULT_TENANT, "versions": gone})
        if not told:
            await self._open(fresh, versions)
        await self._add_chunks(fresh, versions, chunks)
        if told:
            await self._link.execute(TOLD["beside"], {"versions": list(versions)})
        return [d.id for d in fresh]

    async def adopt(self, drafts: Sequence[DocumentDraft]) -> Sequence[str]:
        standing = await self._standing(drafts)
        same = [d for d in drafts if d.id in standing]
        if not same:
            return []
        args = {
            "versions": [standing[d.id][0] for d in same],
            "mades": [d.made for d in same],
            "layouts": [d.layout for d in same],
            "metadatas": [encoded(d.metadata) for d in same],
        }
        await self._link.execute(SQL["adopt"], args)
        return [d.id for d in same]

    async def narrow(self, narrowings: Sequence[Narrowing]) -> None:
        said = [(n.id, n.stamp.position, n.stamp.committed_at, n.readers) for n in narrowings]
        await self._link.execute(SQL["narrow"], {**_said(said), "fresh": [n.fresh for n in narrowings]})

    async def restrict(self, documents: Mapping[str, Readers | None]) -> None:
        accesses = [None if r is None else msgspec.json.encode(r).decode() for r in documents.values()]
        args = {"tenant": DEFAULT_TENANT, "documents": list(documents), "accesses": accesses}
        await self._link.execute(SQL["restrict"], args)
        await self._forget_access([(id, START) for id in documents])
        await self._say_access([(id, START, 0, r) for id, r in documents.items() if r is not None])

    async def seclude(self, topic: str) -> None:
        await self._link.execute(SQL["seclude"], {"tenant": DEFAULT_TENANT, "topic": topic})

    async def _forget_access(self, ends: Sequence[tuple[str, Position]]) -> None:
        args = {
            "tenant": DEFAULT_TENANT,
            "documents": [id for id, _ in ends],
            "majors": [p.major for _, p in ends],
            "minors": [p.minor for _, p in ends],
        }
        await self._link.execute(SQL["forget_access"], args)

    async def _say_access(self, said: Sequence[tuple[str, Position, int, Readers]]) -> None:
        if said:
            await self._link.execute(SQL["say_access"], _said(said))

    async def _standing(self, drafts: Sequence[DocumentDraft]) -> dict[str, tuple[int, bool]]:
        """Document -> its present version, of those that are of the same change, and whether something was told of
        it."""
        args = {
            "tenant": DEFAULT_TENANT,
            "documents": [d.id for d in drafts],
            "majors": [d.stamp.position.major for d in drafts],
            "minors": [d.stamp.position.minor for d in drafts],
        }
        rows = await (await self._link.execute(SQL["standing"], args)).fetchall()
        return {document: (version, told) for document, version, told in rows}

    async def _newer(self, drafts: Sequence[DocumentDraft]) -> list[DocumentDraft]:
        known = await self._asked([d.id for d in drafts])
        topics = {"tenant": DEFAULT_TENANT, "operator": OPERATOR, "topics": list({d.topic for d in drafts})}
        fences = await self._link.execute(SQL["fences"], topics)
        seen = positions(await known.fetchall())
        barred = {topic: Position(major, minor) for topic, major, minor in await fences.fetchall()}
        return [
            d
            for d in drafts
            if _is_newer(d, *seen.get(d.id, (START, False))) and d.stamp.position > barred.get(d.topic, START)
        ]

    async def _asked(self, documents: Sequence[str]) -> Answer:
        args = {"tenant": DEFAULT_TENANT, "documents": list(documents)}
        return await self._link.execute(SQL["known_positions"], args)

    async def _known(self, documents: Sequence[str]) -> dict[str, tuple[Position, bool]]:
        return positions(await (await self._asked(documents)).fetchall())

    async def _allocate(self, versions: int, chunks: int) -> Answer:
        """Asks for numbers together with what is known: one round trip, at the price of a few unused numbers."""
        return await self._link.execute(SQL["allocate"], {"versions": versions, "chunks": chunks})

    async def _close(self, ends: Sequence[tuple[str, Position, int]], *, overtaken: bool) -> None:
        if not ends:
            return
        args = {
            "tenant": DEFAULT_TENANT,
            "documents": [e[0] for e in ends],
            "majors": [e[1].major for e in ends],
            "minors": [e[1].minor for e in ends],
            "ats": [e[2] for e in ends],
            "overtaken": overtaken,
        }
        await self._link.execute(SQL["close_documents"], args)

    async def _truncate(self, removal: Removal) -> list[tuple[str, Position, int]]:
        position = removal.stamp.position
        args = {"tenant": DEFAULT_TENANT, "topic": removal.topic, "major": position.major, "minor": position.minor}
        cursor = await self._link.execute(SQL["close_topic"], args)
        await self._link.execute(SQL["raise_fence"], {**args, "operator": OPERATOR})
        return [(row[0], position, removal.stamp.committed_at) for row in await cursor.fetchall()]

    async def _bar(self, removals: Sequence[Removal]) -> None:
        if not removals:
            return
        args = {
            "tenant": DEFAULT_TENANT,
            "documents": [r.id for r in removals],
            "sources": [r.stamp.source for r in removals],
            "topics": [r.topic for r in removals],
            "majors": [r.stamp.position.major for r in removals],
            "minors": [r.stamp.position.minor for r in removals],
            "ats": [r.stamp.committed_at for r in removals],
        }
        await self._link.execute(SQL["tombstone"], args)

    async def _open(self, drafts: Sequence[DocumentDraft], versions: Sequence[int]) -> None:
        args = {
            "tenant": DEFAULT_TENANT,
            "versions": list(versions),
            "documents": [d.id for d in drafts],
            "sources": [d.stamp.source for d in drafts],
            "topics": [d.topic for d in drafts],
            "majors": [d.stamp.position.major for d in drafts],
            "minors": [d.stamp.position.minor for d in drafts],
            "ats": [d.stamp.committed_at for d in drafts],
            "hashes": [d.content_hash for d in drafts],
            "titles": [d.title for d in drafts],
            "texts": [d.text for d in drafts],
            "chunk_counts": [len(d.chunks) for d in drafts],
            "failures": [msgspec.json.encode(d.failure).decode() if d.failure else None for d in drafts],
            "medias": [d.media for d in drafts],
            "dates": [d.dated for d in drafts],
            "mades": [d.made for d in drafts],
            "layouts": [d.layout for d in drafts],
            "accesses": [msgspec.json.encode(o).decode() if (o := d.access.to_object()) else None for d in drafts],
            "metadatas": [encoded(d.metadata) for d in drafts],
        }
        await self._link.execute(SQL["open_documents"], args)
        await self._forget_access([(d.id, d.stamp.position) for d in drafts])
        said = [(d.id, START, d.stamp.committed_at, r) for d in drafts if (r := d.access.source) is not None]
        said += [(d.id, d.stamp.position, d.stamp.committed_at, r) for d in drafts if (r := d.access.own) is not None]
        await self._say_access(said)

    async def add_gist(self, draft: DocumentDraft, version: int) -> None:
        """A version's one chunk more, of ordinal -1."""
        _, chunks = await numbers(await self._allocate(0, 1))
        await self._add_chunks([draft], [version], chunks)

    async def _add_chunks(
        self, drafts: Sequence[DocumentDraft], versions: Sequence[int], chunk_ids: Sequence[int]
    ) -> None:
        if not chunk_ids:
            return
        rows = [(d, v, c) for d, v in zip(drafts, versions, strict=True) for c in d.chunks]
        args = {
            "tenant": DEFAULT_TENANT,
            "ids": list(chunk_ids),
            "versions": [v for _, v, _ in rows],
            "sources": [d.stamp.source for d, _, _ in rows],
            "documents": [d.id for d, _, _ in rows],
            "ordinals": [c.ordinal for _, _, c in rows],
            "texts": [c.text for _, _, c in rows],
            "starts": [c.start for _, _, c in rows],
            "ends": [c.end for _, _, c in rows],
            "headings": [c.heading for _, _, c in rows],
            "places": [msgspec.json.encode(c.place.to_object()).decode() if c.place else None for _, _, c in rows],
            "text_hashes": [c.text_hash for _, _, c in rows],
            "terms": [c.terms.astype("<i8").tobytes() for _, _, c in rows],
            "counts": [c.counts.astype("<u2").tobytes() for _, _, c in rows],
            "lengths": [c.length for _, _, c in rows],
            "vectors": [HalfVector(c.vector) for _, _, c in rows],
            "topics": [d.topic for d, _, _ in rows],
            "titles": [d.title for d, _, _ in rows],
            "ats": [d.stamp.committed_at if d.dated is None else d.dated for d, _, _ in rows],
            "copies": [n for d in drafts for n in _copies(d.chunks)],
        }
        await self._link.execute(SQL["add_chunks"], args)


def _copies(chunks: Sequence[ChunkDraft]) -> Iterator[int]:
    """How many of the same text stand before each."""
    seen: Counter[str] = Counter()
    for chunk in chunks:
        yield seen[chunk.text]
        seen[chunk.text] += 1


def _said(said: Sequence[tuple[str, Position, int, Readers]]) -> dict[str, object]:
    """Whom documents are left to, each with the position and time of what says it."""
    return {
        "tenant": DEFAULT_TENANT,
        "documents": [id for id, _, _, _ in said],
        "majors": [position.major for _, position, _, _ in said],
        "minors": [position.minor for _, position, _, _ in said],
        "ats": [at for _, _, at, _ in said],
        "owners": [readers.owner for _, _, _, readers in said],
        "groups": [msgspec.json.encode(readers.groups).decode() for _, _, _, readers in said],
    }


def positions(rows: Sequence[tuple[str, Sequence[int], bool]]) -> dict[str, tuple[Position, bool]]:
    """What `known_positions` gave: the newest one of each document, and whether what is there now is a failure."""
    return {document: (Position(*pair), failed) for document, pair, failed in rows}


async def numbers(answer: Answer) -> tuple[list[int], list[int]]:
    """What `allocate` gave: for versions, and for chunks."""
    row = await answer.fetchone()
    assert row is not None
    return row[0] or [], row[1] or []


def _is_newer(draft: DocumentDraft, known: Position, failed: bool) -> bool:
    """A failed version may be replaced by a later try at the same change that works."""
    return draft.stamp.position > known or (failed and draft.failure is None and draft.stamp.position == known)

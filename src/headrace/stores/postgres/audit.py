"""Looks at the index itself in one snapshot: documents, chunks, vectors, postings and totals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.access import access_of
from headrace.change import Position, Stamp
from headrace.link import Link
from headrace.sqlfile import load
from headrace.stores.audit import Findable, HeldChunk, HeldDocument, HeldTopic, Stray
from headrace.stores.postgres.fingerprints import Expected, Found, of_chunks
from headrace.stores.postgres.knowledge import SQL as KNOWLEDGE
from headrace.stores.postgres.knowledge import positions
from headrace.stores.postgres.lexical import Ids, Recent, unpack
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("audit.sql"))
PAGE = 1000
POSTINGS = 500
NAMED = 500
UNIT = 0.01
"""How far a vector's length may be from 1: what halves lose is less."""


class PostgresAudit:
    """Implements `headrace.stores.audit.Audit` on a link that holds a snapshot."""

    def __init__(self, link: Link, dimensions: int) -> None:
        self._link = link
        self._dimensions = dimensions

    async def topics(self) -> Sequence[HeldTopic]:
        return [HeldTopic(*row) for row in await self._rows("topics")]

    async def present(self, topic: str) -> AsyncIterator[Sequence[tuple[str, Stamp]]]:
        after = ""
        while rows := await self._rows("present", topic=topic, after=after, limit=PAGE):
            yield [(id, Stamp(source, Position(*at), when)) for id, source, *at, when in rows]
            after = rows[-1][0]

    async def held(self, documents: Sequence[str], *, whole: bool = False) -> Sequence[HeldDocument]:
        found = await self._rows("held_documents", documents=list(documents), whole=whole)
        texts = {row[0]: row[14] for row in found}
        chunks: dict[int, list[HeldChunk]] = {row[0]: [] for row in found}
        gists: dict[int, HeldChunk] = {}
        for version, *row in await self._rows("held_chunks", versions=list(chunks), whole=whole):
            if row[1] < 0:
                gists[version] = self._chunk(row, None)
            else:
                chunks[version].append(self._chunk(row, texts[version]))
        return [_document(row, chunks[row[0]], gists.get(row[0])) for row in found]

    async def newest(self, documents: Sequence[str]) -> Mapping[str, Position]:
        args = {"tenant": DEFAULT_TENANT, "documents": list(documents)}
        rows = await (await self._link.execute(KNOWLEDGE["known_positions"], args)).fetchall()
        return {id: position for id, (position, _) in positions([(r[0], r[1], r[2]) for r in rows]).items()}

    async def strays(self) -> Sequence[Stray]:
        strays: list[Stray] = []
        after = -1
        while rows := await self._rows("stray_vectors", after=after, limit=PAGE):
            what = "its version is closed and its vector is still searched"
            strays += [Stray(chunk, id, topic, what) for chunk, id, topic in rows]
            after = rows[-1][0]
        return strays

    async def findable(self, tell: Callable[[int], None]) -> Findable:
        expected, tokens = await self._expected(tell)
        dead = np.array([r[0] for r in await self._rows("dead_chunks")], np.int64)
        found = Found(expected, dead)
        await self._recent(found)
        await self._packed(found)
        said = await self._rows("corpus_totals")
        got, right = said[0] if said else (0, 0), (len(expected.ids), tokens)
        corpus = None if got == right else f"it counts {got[0]} chunks of {got[1]} words, not {right[0]} of {right[1]}"
        amiss = [row for row in await self._named(found.amiss.tolist()) if row[1] is not None]
        strays = [
            Stray(chunk, id, topic, "its words are still found though it is not present")
            for chunk, id, topic in await self._named(found.strays)
        ]
        return Findable(len(expected.ids), [(c, str(d), str(t)) for c, d, t in amiss], strays, corpus)

    # ---- words -------------------------------------------------------------------------------------------------------

    async def _expected(self, tell: Callable[[int], None]) -> tuple[Expected, int]:
        ids: list[Ids] = []
        sums = [np.empty(0, np.uint64)]
        tokens = after = done = 0
        while page := await self._words("open_chunks", after):
            ids.append(np.array([c.id for c in page], np.int64))
            sums.append(await asyncio.to_thread(of_chunks, page))
            tokens += sum(c.length for c in page)
            after = page[-1].id
            done += len(page)
            tell(done)
        return Expected(np.concatenate(ids) if ids else np.empty(0, np.int64), np.concatenate(sums)), tokens

    async def _recent(self, found: Found) -> None:
        after = 0
        while page := await self._words("recent_words", after):
            await asyncio.to_thread(found.add_recent, page)
            after = page[-1].id

    async def _packed(self, found: Found) -> None:
        term, segment = -(2**63), -1

        def add(rows: Sequence[tuple[Any, ...]]) -> None:
            for term, _, ids, counts, lengths in rows:
                if len(ids) == 4 * len(counts) == 4 * len(lengths):  # what is cut off is as if it were not there
                    found.add(term, unpack(ids, counts, lengths))

        while rows := await self._rows("packed_words", binary=True, term=term, segment=segment, limit=POSTINGS):
            await asyncio.to_thread(add, rows)
            term, segment = rows[-1][:2]

    async def _words(self, name: str, after: int) -> Sequence[Recent]:
        rows = await self._rows(name, binary=True, after=after, limit=PAGE)
        return [Recent(i, *_terms(t, c), n) for i, t, c, n in rows]

    async def _named(self, chunks: Sequence[int]) -> list[tuple[int, str | None, str | None]]:
        """Chunks with the documents that they belong to, if any."""
        named: dict[int, tuple[str | None, str | None]] = {}
        nothing = (None, None)
        for n in range(0, len(chunks), NAMED):
            rows = await self._rows("documents_of_chunks", chunks=list(chunks[n : n + NAMED]))
            named |= {chunk: (id, topic) for chunk, id, topic in rows}
        return [(c, *named.get(c, nothing)) for c in chunks]

    # ---- rows --------------------------------------------------------------------------------------------------------

    async def _rows(self, name: str, *, binary: bool = False, **args: Any) -> list[tuple[Any, ...]]:
        answer = await self._link.execute(SQL[name], {"tenant": DEFAULT_TENANT, **args}, binary=binary)
        return await answer.fetchall()

    def _chunk(self, row: Sequence[Any], text: str | None) -> HeldChunk:
        id, ordinal, digest, start, end, heading, text_hash, words, length, place, own, *vector = row
        faults = list(self._vector(*vector))
        if text is not None and text[start:end] != own:
            faults.append("its text is not what stands at its place in the document")
        return HeldChunk(
            id, ordinal, bytes(digest), start, end, heading, bytes(text_hash), bytes(words), length, place,
            tuple(faults),
        )  # fmt: skip

    def _vector(self, dimensions: int | None, norm: float, opened: bool, fits: bool) -> list[str]:
        if dimensions is None:
            return ["it has no vector"]
        if dimensions != self._dimensions:
            return [f"its vector has {dimensions} dimensions, not {self._dimensions}"]
        faults = [] if abs(norm - 1) < UNIT else [f"its vector's length is {norm:.3f}, not 1"]
        faults += [] if opened else ["its vector is not searched"]
        return faults + ([] if fits else ["what searches are limited by is not its document's"])


def _terms(terms: bytes, counts: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """None where they do not go together: then they are no words of any text."""
    if len(terms) != 4 * len(counts) or len(counts) % 2:
        return np.empty(0, np.int64), np.empty(0, np.uint16)
    return np.frombuffer(terms, "<i8"), np.frombuffer(counts, "<u2")


def _document(row: Sequence[Any], chunks: Sequence[HeldChunk], gist: HeldChunk | None) -> HeldDocument:
    _, id, topic, source, major, minor, at, digest, title, text, failed, media, dated, stated, _, made, *more = row
    access, read_by = access_of(more[0]), access_of(more[1])
    summary, of_this = more[2:]
    stamp = Stamp(source, Position(major, minor), at)
    ordinals = [c.ordinal for c in chunks]
    faults = [] if stated == len(chunks) else [f"it says that it has {stated} chunks, and has {len(chunks)}"]
    faults += [] if ordinals == list(range(len(chunks))) else ["its chunks are not numbered in order"]
    faults += [] if access == read_by else ["those who can read it are not those that its version is for"]
    faults += [] if of_this else ["what a language model told of it is of another text"]
    faults += [f"its summary's entry: {fault}" for fault in gist.faults] if gist else []
    return HeldDocument(
        id, topic, stamp, digest, title, bytes(text), failed, media, dated, stated, chunks, tuple(faults), made, access,
        summary, gist,
    )  # fmt: skip

"""Proves that the index is what the log says: every document of it, in one snapshot of the store."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headrace.change import HIGHEST, START, Change, Position
from headrace.knowledge.comparing import compare, earlier, faults, gist_faults, words_hash
from headrace.knowledge.operator import KNOWLEDGE, Knowledge
from headrace.knowledge.replaying import Last, Reach, TooMany, pages, replay
from headrace.knowledge.report import Difference, Kind, Tally, Telling
from headrace.log import Log, TopicPartition
from headrace.operators import OVERTAKING
from headrace.stores import Applied, Snapshot
from headrace.stores.audit import Audit, HeldDocument, HeldTopic, Stray

MOST = 100_000
"""So many documents of a topic are in memory at once; larger topics are looked at in parts."""
FURTHER = 4
BATCH = 32
BATCH_BYTES = 1 << 20

Part = tuple[int, int]
"""Of the documents those whose hash leaves the first when divided by the second."""


@dataclass(slots=True)
class Found:
    """What was found, by document."""

    tallies: dict[str, Tally] = field(default_factory=dict[str, Tally])
    differences: dict[str, Difference] = field(default_factory=dict[str, Difference])
    strays: list[Stray] = field(default_factory=list[Stray])
    index: list[str] = field(default_factory=list[str])
    recount: bool = False

    def tally(self, source: str) -> Tally:
        return self.tallies.setdefault(source, Tally(source))

    def differs(self, document: str, topic: str, kind: Kind, what: Sequence[str]) -> None:
        """Of a document that was named already only more is said."""
        known = self.differences.get(document)
        source = self._source(document, topic)
        if known is None:
            tally = self.tally(source)
            setattr(tally, kind.value, getattr(tally, kind.value) + 1)
            self.differences[document] = Difference(document, source, topic, kind, tuple(what))
        elif not set(what) <= set(known.what):
            more = (*known.what, *(w for w in what if w not in known.what))
            self.differences[document] = Difference(document, known.source, topic, known.kind, more[:8])

    def _source(self, document: str, topic: str) -> str:
        return next((s for s in self.tallies if topic == s or topic.startswith(s + ".")), document.partition("/")[0])


def reach(progress: Sequence[Applied], source: str) -> Reach:
    """How far the knowledge operator is with a source."""
    at = {a.operator: a.position for a in progress if a.source == source}
    applied = at.get(KNOWLEDGE, START)
    return Reach(applied, max(applied, at.get(KNOWLEDGE + OVERTAKING, START)))


def inside(part: Part) -> Callable[[str], bool]:
    def wanted(document: str) -> bool:
        return part[1] == 1 or zlib.crc32(document.encode("utf-8", "surrogateescape")) % part[1] == part[0]

    return wanted


class Verification:
    """Level one: the log up to what a snapshot has applied, against that snapshot."""

    def __init__(
        self, knowledge: Knowledge, log: Log, sources: Sequence[str], telling: Telling, most: int = MOST
    ) -> None:
        self._knowledge = knowledge
        self._log = log
        self._sources = sources
        self._telling = telling
        self._most = most
        self._done = 0

    async def run(self, snapshot: Snapshot) -> Found:
        """Everything of a snapshot that was just opened."""
        progress = await snapshot.progress()
        found = Found({s: Tally(s) for s in self._sources})
        topics = await snapshot.audit.topics()
        self._telling.begin("documents", sum(t.documents for t in topics))
        self._done = 0
        extents: dict[str, list[TopicPartition]] = {}
        for extent in await self._log.topics():
            if extent.source in self._sources and self._knowledge.wants(extent.topic):
                extents.setdefault(extent.topic, []).append(extent)
        for partitions in extents.values():
            await self._topic(snapshot.audit, partitions, reach(progress, partitions[0].source), found)
        for topic in topics:
            if topic.topic not in extents:
                await self._apart(snapshot.audit, topic, found)
        await self._findable(snapshot.audit, found)
        return found

    # ---- documents ---------------------------------------------------------------------------------------------------

    async def _topic(self, audit: Audit, extents: Sequence[TopicPartition], reach: Reach, found: Found) -> None:
        parts: list[Part] = [(0, 1)]
        forgotten = False
        while parts:
            part, of = parts.pop()
            try:
                last = await replay(self._log, extents, reach, inside((part, of)), self._most)
            except TooMany:
                parts += [(part + i * of, of * FURTHER) for i in range(FURTHER)]
                continue
            forgotten = forgotten or last.forgotten
            await self._alive(audit, extents, last, found)
            await self._others(audit, extents[0], last, inside((part, of)), found)
        if forgotten:
            first = min(e.first for e in extents if e.first > 0)
            found.tally(extents[0].source).notes.append(
                f"the log of {extents[0].topic} begins at offset {first}: documents unchanged since are checked against"
                " themselves only, and one that is missing is not noticed here"
            )

    async def _alive(self, audit: Audit, extents: Sequence[TopicPartition], last: Last, found: Found) -> None:
        """Every document that the log says is there."""
        batch: list[Change] = []
        ids: list[str] = []
        places = {place: id for id, place in last.alive.items()}
        size = 0
        for extent in extents:
            async for page in pages(self._log, extent):
                for logged in page:
                    id = places.pop((logged.partition, logged.offset), None)
                    if id is not None:
                        batch.append(logged.change)
                        ids.append(id)
                        size += sum(len(v) for v in logged.change.after or () if isinstance(v, str | bytes))
                    if len(batch) >= BATCH or size > BATCH_BYTES:
                        await self._batch(audit, batch, ids, last, found)
                        batch, ids, size = [], [], 0
        if batch:
            await self._batch(audit, batch, ids, last, found)
        if places:
            last.forgotten, last.begins = True, Position(HIGHEST)  # the log was trimmed meanwhile
            for id in places.values():
                del last.alive[id]

    async def _batch(
        self, audit: Audit, changes: Sequence[Change], ids: Sequence[str], last: Last, found: Found
    ) -> None:
        held = {h.id: h for h in await audit.held(ids)}
        for one in held.values():
            if what := self._gist(one):
                found.differs(one.id, one.topic, Kind.DIFFERENT, what)
        for draft in await self._knowledge.unembedded(changes):
            there = held.get(draft.id)
            tally = found.tally(draft.stamp.source)
            if there is None and (last.all_leaving or draft.id in last.leaving):
                continue  # a delete has overtaken what is applied
            tally.documents += 1
            tally.chunks += len(draft.chunks)
            tally.failed += draft.failure is not None
            if there is None:
                found.differs(draft.id, draft.topic, Kind.MISSING, ("it is not in the index",))
            elif there.made != draft.made:
                tally.earlier += 1
                if what := earlier(draft, there):
                    found.differs(draft.id, draft.topic, Kind.DIFFERENT, what)
            elif what := compare(draft, there):
                found.differs(draft.id, draft.topic, Kind.DIFFERENT, what)
        self._count(len(ids))

    async def _others(
        self, audit: Audit, extent: TopicPartition, last: Last, wanted: Callable[[str], bool], found: Found
    ) -> None:
        """Documents of the index that the log does not say are there."""
        async for page in audit.present(extent.topic):
            others = [(id, stamp) for id, stamp in page if wanted(id) and id not in last.alive]
            untold = [id for id, stamp in others if not last.told(id, stamp.position)]
            ghosts = [id for id, stamp in others if last.told(id, stamp.position)]
            for id in ghosts:
                why = "it was deleted" if id in last.ended or last.emptied else "the log never told of it"
                found.differs(id, extent.topic, Kind.GHOST, (why,))
            for n in range(0, len(untold), BATCH):
                await self._themselves(audit, untold[n : n + BATCH], found)

    async def _apart(self, audit: Audit, topic: HeldTopic, found: Found) -> None:
        """Documents of what is no longer configured, or of a topic that the log has nothing of."""
        if topic.source in self._sources and self._knowledge.wants(topic.topic):
            async for page in audit.present(topic.topic):
                for id, _ in page:
                    found.differs(id, topic.topic, Kind.GHOST, ("the log never told of it",))
            return
        found.tally(topic.source).notes.append(
            f"{topic.topic} is not configured any more: its documents are checked against themselves only"
        )
        async for page in audit.present(topic.topic):
            for n in range(0, len(page), BATCH):
                await self._themselves(audit, [id for id, _ in page[n : n + BATCH]], found)

    async def _themselves(self, audit: Audit, ids: Sequence[str], found: Found) -> None:
        for held in await audit.held(ids, whole=True):
            tally = found.tally(held.stamp.source)
            tally.documents += 1
            tally.chunks += len(held.chunks)
            tally.untold += 1
            tally.failed += held.failed
            if what := (*faults(held), *self._gist(held)):
                found.differs(held.id, held.topic, Kind.DIFFERENT, what)
        self._count(len(ids))

    def _gist(self, held: HeldDocument) -> tuple[str, ...]:
        """What a language model told is not asked for again: it is of the text that it was told of, and found by it."""
        if not self._knowledge.wants(held.topic):
            return ()
        digest, words = self._knowledge.gist_of(held.topic, held.title, held.summary or "")
        return gist_faults(held, digest, words_hash(words.terms, words.counts))

    # ---- what finds them ---------------------------------------------------------------------------------------------

    async def _findable(self, audit: Audit, found: Found) -> None:
        self._telling.begin("chunks", sum(t.chunks for t in found.tallies.values()))
        words = await audit.findable(self._telling.done)
        names = [document for _, document, _ in words.amiss]
        for (_, document, topic), ordinal in zip(words.amiss, await _ordinals(audit, words.amiss, names), strict=True):
            what = f"chunk {ordinal}: its words are not found as its text has them"
            found.differs(document, topic, Kind.DIFFERENT, (what,))
        found.strays = [*await audit.strays(), *words.strays]
        for stray in found.strays:
            if stray.document is None or stray.topic is None:
                found.index.append(f"chunk {stray.chunk}, which is in no document: {stray.what}")
            else:
                found.differs(stray.document, stray.topic, Kind.GHOST, (f"an old chunk: {stray.what}",))
        if words.corpus is not None:
            found.recount = True
            found.index.append(f"the totals of the index of words: {words.corpus}")

    def _count(self, documents: int) -> None:
        self._done += documents
        self._telling.done(self._done)


async def _ordinals(audit: Audit, amiss: Sequence[tuple[int, str, str]], names: Sequence[str]) -> list[int]:
    """Which chunk of its document each is."""
    found: dict[int, int] = {}
    distinct = list(dict.fromkeys(names))
    for n in range(0, len(distinct), BATCH):
        found |= {c.id: c.ordinal for held in await audit.held(distinct[n : n + BATCH]) for c in held.chunks}
    return [found.get(chunk, 0) for chunk, _, _ in amiss]

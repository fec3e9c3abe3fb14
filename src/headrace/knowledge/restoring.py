"""Puts right what a verification found: each document once more from the log, in the operator's turn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from headrace.change import HIGHEST, START, Change, Position, Stamp, key_name
from headrace.errors import BadInput
from headrace.knowledge.operator import KNOWLEDGE, Knowledge
from headrace.knowledge.replaying import pages, replay
from headrace.knowledge.report import Telling
from headrace.knowledge.verifying import BATCH, Found, reach
from headrace.log import Log, TopicPartition
from headrace.stores import Snapshot, Store, Transaction
from headrace.stores.audit import Restored

STRAYS = 1000


class Restoring:
    """`turn` is the knowledge operator's: it applies one batch at a time, and so does this.

    `knowledge` must not take vectors from the store: they may be what is wrong.
    """

    def __init__(self, knowledge: Knowledge, log: Log, store: Store, turn: asyncio.Lock, telling: Telling) -> None:
        self._knowledge = knowledge
        self._log = log
        self._store = store
        self._turn = turn
        self._telling = telling
        self._restored = 0
        self._done = 0

    async def run(self, found: Found) -> int:
        """How many documents were restored; each in a transaction of its own, while changes go on being applied."""
        self._restored = self._done = 0
        self._telling.begin("repairs", len(found.differences))
        await self._strays([s.chunk for s in found.strays])
        topics: dict[str, list[str]] = {}
        for difference in found.differences.values():
            topics.setdefault(difference.topic, []).append(difference.document)
        for topic, documents in topics.items():
            await self._topic(topic, frozenset(documents))
        if found.recount or self._restored or found.strays:
            async with self._turn, self._store.transaction() as transaction:
                await transaction.mender.recount()
        return self._restored

    async def _strays(self, chunks: Sequence[int]) -> None:
        for n in range(0, len(chunks), STRAYS):
            async with self._turn, self._store.transaction() as transaction:
                await transaction.mender.hide(chunks[n : n + STRAYS])

    async def _topic(self, topic: str, documents: frozenset[str]) -> None:
        """What the log says of them by now: more may have been applied since they were found."""
        async with self._store.snapshot() as snapshot:
            progress = await snapshot.progress()
            extents = [t for t in await self._log.topics() if t.topic == topic]
            if not self._knowledge.wants(topic):
                extents = []
            source = extents[0].source if extents else ""
            upto = reach(progress, source)
            last = await replay(self._log, extents, upto, documents.__contains__, len(documents))
            known = await _known(snapshot, documents)
            if not self._knowledge.wants(topic):
                last.forgotten, last.begins = True, Position(HIGHEST)
            others = await _others(snapshot, documents - last.alive.keys())
        for id, stamp in others:
            if last.told(id, stamp.position):
                end = last.ended.get(id) or last.emptied or stamp
                await self._restore(Restored(id, None, end, max(known.get(id, START), upto.applied)), None)
            else:
                await self._anew(id)
        places = {place: id for id, place in last.alive.items()}
        async for change, id in _changes(self._log, extents, places):
            try:
                drafts = (await self._knowledge.prepare([change], background=True)).drafts
            except BadInput:  # it has its dead letter, and stays what differs
                continue
            position = max(known.get(id, START), upto.applied)
            await self._restore(Restored(id, drafts[0], change.stamp, position), change)

    async def _anew(self, id: str) -> None:
        """What the log no longer tells of, from its own text, as far as that is proved by the hashes of its chunks."""
        async with self._store.snapshot() as snapshot:
            held = next(iter(await snapshot.audit.held([id])), None)
            stored = next(iter(await snapshot.stock.stored([id])), None)
            document = await snapshot.knowledge.document(id)
        if held is None or stored is None or document is None or held.failed or held.faults:
            return
        draft = await self._knowledge.anew(document, stored, [c.text_hash for c in held.chunks])
        if draft is not None:
            await self._restore(Restored(held.id, draft, held.stamp, held.stamp.position), None)

    async def _restore(self, restored: Restored, change: Change | None) -> None:
        async with self._turn, self._store.transaction() as transaction:
            self._restored += await transaction.mender.restore([restored])
            if change is not None and restored.draft is not None and restored.draft.failure is None:
                await _settle(transaction, change)
        self._done += 1
        self._telling.done(self._done)


async def _settle(transaction: Transaction, change: Change) -> None:
    """A dead letter of what can be read now is of the past."""
    key = (change.schema.topic, key_name(change.schema, change.key))
    await transaction.dead_letters.settle(KNOWLEDGE, [key], change.position)


async def _known(snapshot: Snapshot, documents: frozenset[str]) -> Mapping[str, Position]:
    found: dict[str, Position] = {}
    for some in _some(sorted(documents)):
        found |= await snapshot.audit.newest(some)
    return found


async def _others(snapshot: Snapshot, documents: frozenset[str]) -> list[tuple[str, Stamp]]:
    """Those that stand in the index."""
    return [(h.id, h.stamp) for some in _some(sorted(documents)) for h in await snapshot.audit.held(some)]


async def _changes(log: Log, extents: Sequence[TopicPartition], places: dict[tuple[int, int], str]):
    """The changes at some places of the log, with the documents they are of."""
    for extent in extents:
        async for page in pages(log, extent):
            for logged in page:
                id = places.pop((logged.partition, logged.offset), None)
                if id is not None:
                    yield logged.change, id
            if not places:
                return


def _some(documents: Sequence[str]) -> list[Sequence[str]]:
    return [documents[n : n + BATCH] for n in range(0, len(documents), BATCH)]

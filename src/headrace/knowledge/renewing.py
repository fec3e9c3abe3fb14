"""Makes documents anew that other steps or settings made than those of now: in the background, while they are served.

What is to be done stands in the store: each present version names the steps that made it. So it goes on where it was
after any end, and live changes, which are made by the steps of now, need nothing done to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

import structlog

from headrace.change import Change, Op, Position, document_id, key_name
from headrace.errors import BadInput, RedactionError, StoreError
from headrace.knowledge.comparing import compare
from headrace.knowledge.operator import KNOWLEDGE, Knowledge
from headrace.knowledge.pauses import FIRST_PAUSE_S, LONGEST_PAUSE_S
from headrace.knowledge.replaying import pages
from headrace.knowledge.report import Progress, Telling
from headrace.knowledge.steps import Chain, read_chain
from headrace.knowledge.succession import Succession
from headrace.log import Log
from headrace.sources import Comparable, Source
from headrace.stores import Store
from headrace.stores.audit import HeldDocument
from headrace.stores.dead_letters import DeadLetterDraft
from headrace.stores.knowledge import DocumentDraft
from headrace.stores.stock import StoredDocument

BATCH = 8
"""Documents prepared together and put in place in one transaction: live changes wait no longer than for these."""
BATCH_BYTES = 1 << 18
MOST = 100_000
"""So many documents are looked for in one reading of the log."""
GIVE_WAY_S, GIVE_WAY_AT_MOST = 0.05, 20
"""Before each batch it waits for live changes being applied, this long at a time and so often."""
LOOK_AGAIN_S = 60.0

logger = structlog.get_logger("headrace.knowledge")


@dataclass(frozen=True, slots=True)
class Renewing:
    """`state`: `waiting` (for its turn, or to try again what failed), `running` or `done`. `changed`: by topic, the
    steps that are not what made its documents ("" where that is not known). `left`: by topic, documents that stay as
    they are: the log has forgotten what they were made of, or they could not be made."""

    state: Literal["running", "waiting", "done"]
    progress: Progress
    changed: Mapping[str, Sequence[str]]
    left: Mapping[str, int]


@dataclass(slots=True)
class _Due:
    """A topic's documents by the steps that made them."""

    chain: Chain
    made: dict[str, int] = field(default_factory=dict[str, int])


class Renewal:
    """`turn` is the knowledge operator's; `busy` says whether it applies live changes right now."""

    def __init__(
        self,
        knowledge: Knowledge,
        log: Log,
        store: Store,
        sources: Mapping[str, Source],
        turn: asyncio.Lock,
        busy: Callable[[], bool],
        most: int = MOST,
        succession: Succession | None = None,
    ) -> None:
        """`succession`: of the model that is to serve, once everything else is as the settings say."""
        self.succession = succession
        self._knowledge = knowledge
        self._log = log
        self._store = store
        self._sources = sources
        self._turn = turn
        self._busy = busy
        self._most = most
        self._telling = Telling(self._told)
        self._done = 0
        self.now = Renewing("waiting", Progress("documents", 0, None, 0.0, None), {}, {})
        """How far it is."""
        self.ended = asyncio.Event()
        """Set when everything that can be made anew has been."""

    async def run(self) -> None:
        """Until nothing is left. Raises StoreError; anything else is told, and tried again."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._all()
                await self._succeed()
            except StoreError:
                raise
            except Exception:  # it must never stop what is served; whatever it was, it is tried again
                logger.exception("making documents anew failed and goes on later", again_in_s=pause_s)
                self._state("waiting", self.now.left)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            self.ended.set()
            if not self.now.left:
                return
            await asyncio.sleep(LOOK_AGAIN_S)  # whether they were read again since
            self._state("done", {t: sum(d.made.values()) for t, d in (await self._due())[0].items()})

    async def _succeed(self) -> None:
        """Behind it, what is cut by the tokens of another model is cut anew."""
        if self.succession is None:
            return
        await self.succession.run()
        self.succession = None
        await self._store.keep_chains({c.key: c.to_json() for c in self._knowledge.chains.values()})
        await self._all()

    async def _all(self) -> None:
        due, chains = await self._due()
        total = sum(sum(d.made.values()) for d in due.values())
        changed = {topic: _changed(d, chains) for topic, d in due.items()}
        self.now = Renewing("running", self.now.progress, changed, {})
        self._done = 0
        self._telling.begin("documents", total)
        if total:
            logger.info("documents that other settings made are made anew", documents=total, steps=changed)
        for topic, d in due.items():
            for made in d.made:
                then = chains.get(made)
                if then is not None and (done := d.chain.done_by(then)):
                    await self._from_texts(topic, made, d.chain, done)
            await self._from_log(topic, d)
        left = {topic: sum(d.made.values()) for topic, d in (await self._due())[0].items()}
        self._state("done", left)
        if total:
            logger.info("documents were made anew", documents=self._done, left=left)

    async def _due(self) -> tuple[dict[str, _Due], Mapping[str, Chain]]:
        """What other steps made, of what is configured, and what those steps were as far as that is known."""
        due: dict[str, _Due] = {}
        async with self._store.snapshot() as snapshot:
            for found in await snapshot.stock.made():
                chain = self._knowledge.chains.get(found.topic)
                if chain is not None and found.made != chain.key:
                    due.setdefault(found.topic, _Due(chain)).made[found.made] = found.documents
            told = await snapshot.stock.chains()
        read = {made: read_chain(steps) for made, steps in told.items()}
        return due, {made: chain for made, chain in read.items() if chain is not None}

    # ---- from their own texts ----------------------------------------------------------------------------------------

    async def _from_texts(self, topic: str, made: str, chain: Chain, done: int) -> None:
        """Those whose texts have been through all steps before the first changed one."""
        after = ""
        while True:
            await self.give_way()
            async with self._store.snapshot() as snapshot:
                page = await snapshot.stock.of(topic, made, after, BATCH)
                if not page:
                    return
                stored = await snapshot.stock.stored([id for id, _ in page])
            after = page[-1][0]
            stored = [s for s in stored if s.made == made]
            if chain.keys[done - 1] == chain.text_key:  # no step has changed that could have failed
                await self._adopt([s for s in stored if s.failed], chain)
            drafts = await asyncio.gather(*(self._again(s, done) for s in stored if not s.failed))
            await self._put([d for d in drafts if d is not None], {}, ())

    async def _adopt(self, failed: Sequence[StoredDocument], chain: Chain) -> None:
        drafts = [
            DocumentDraft(s.id, s.topic, s.stamp, s.content_hash, s.title, "", (), made=chain.key) for s in failed
        ]
        async with self._turn, self._store.transaction() as transaction:
            await transaction.knowledge.adopt(drafts)
        self._count(len(drafts))

    async def _again(self, stored: StoredDocument, done: int) -> DocumentDraft | None:
        """None for what must be read once more from the log."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._knowledge.again(stored, done)
            except BadInput:
                return None
            except RedactionError as error:
                source = stored.stamp.source
                logger.warning("texts wait for their redaction", source=source, error=str(error), again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    # ---- from the log ------------------------------------------------------------------------------------------------

    async def _from_log(self, topic: str, due: _Due) -> None:
        """The others, each from the very change that it is of."""
        async for wanted in self._parts(topic, due):
            positions = set(wanted.values())
            batch: list[Change] = []
            size = 0
            async with aclosing(self._changes(topic)) as changes:
                async for change in changes:
                    if change.position not in positions:
                        continue
                    id = document_id(change.schema, change.key)
                    if wanted.get(id) != change.position:
                        continue
                    del wanted[id]
                    batch.append(change)
                    size += sum(len(v) for v in change.after or () if isinstance(v, str | bytes))
                    if len(batch) >= BATCH or size > BATCH_BYTES:
                        await self._anew(batch)
                        batch, size = [], 0
                    if not wanted:
                        break
            await self._anew(batch)
            await self._read_again(topic, wanted)

    async def _parts(self, topic: str, due: _Due) -> AsyncIterator[dict[str, Position]]:
        """Documents and the changes that they are of, so many at a time as one reading of the log is for."""
        wanted: dict[str, Position] = {}
        for made in due.made:
            after = ""
            while True:
                async with self._store.snapshot() as snapshot:
                    page = await snapshot.stock.of(topic, made, after, min(1000, self._most))
                if not page:
                    break
                after = page[-1][0]
                wanted |= {id: stamp.position for id, stamp in page}
                if len(wanted) >= self._most:
                    yield wanted
                    wanted = {}
        if wanted:
            yield wanted

    async def _changes(self, topic: str) -> AsyncGenerator[Change]:
        for extent in await self._log.topics():
            if extent.topic != topic:
                continue
            async for page in pages(self._log, extent):
                for logged in page:
                    if logged.change.op not in (Op.DELETE, Op.TRUNCATE):
                        yield logged.change

    async def _anew(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        await self.give_way()
        try:
            prepared = await self._knowledge.prepare(changes, background=True)
            of = {document_id(c.schema, c.key): c for c in changes}
            await self._put(prepared.drafts, of, prepared.letters)
        except StoreError:
            raise
        except Exception:  # one document must not stop the others, whatever it does; alone it stays as it is
            if len(changes) > 1:
                for change in changes:
                    await self._anew([change])
                return
            named = document_id(changes[0].schema, changes[0].key)
            logger.exception("a document cannot be made anew and stays as it is", document=named)

    async def _read_again(self, topic: str, documents: Mapping[str, Position]) -> None:
        """What the log has forgotten: a source that can gives it again, as a change of now."""
        if not documents:
            return
        source = self._sources.get(topic)
        if not isinstance(source, Comparable):
            remedy = f"Read them again: headrace snapshot {topic} (a push: source is pushed again)."
            logger.warning("the log has forgotten documents to be made anew", topic=topic, documents=len(documents),
                           remedy=remedy)  # fmt: skip
            return
        for id in documents:
            await source.retry(topic, id.removeprefix(topic + "/"))

    # ---- into their places -------------------------------------------------------------------------------------------

    async def _put(
        self, drafts: Sequence[DocumentDraft], of: Mapping[str, Change], letters: Sequence[DeadLetterDraft]
    ) -> None:
        """What comes out as it was only is noted. What changed at its source meanwhile is left to that change."""
        if not drafts:
            return
        async with self._store.snapshot() as snapshot:
            held = {h.id: h for h in await snapshot.audit.held([d.id for d in drafts])}
        same = [d for d in drafts if d.failure is None and d.id in held and _alike(d, held[d.id])]
        kept = {d.id for d in same}
        mended = [d for d in drafts if d.failure is None and d.id in held and held[d.id].failed]
        async with self._turn, self._store.transaction() as transaction:
            await transaction.knowledge.adopt(same)
            put = set(await transaction.knowledge.renew([d for d in drafts if d.id not in kept]))
            for draft in mended:
                if draft.id in put and (change := of.get(draft.id)):
                    key = (draft.topic, key_name(change.schema, change.key))
                    await transaction.dead_letters.settle(KNOWLEDGE, [key], change.position)
            failed = {(d.topic, d.title) for d in drafts if d.failure is not None and d.id in put}
            await transaction.dead_letters.put([x for x in letters if (x.topic, x.key) in failed])
        self._count(len(drafts))

    def _count(self, documents: int) -> None:
        self._done += documents
        self._telling.done(self._done)

    async def give_way(self) -> None:
        """Waits a little while live changes are being applied."""
        for _ in range(GIVE_WAY_AT_MOST):
            if not self._busy():
                return
            await asyncio.sleep(GIVE_WAY_S)

    def _told(self, progress: Progress) -> None:
        self.now = Renewing(self.now.state, progress, self.now.changed, self.now.left)

    def _state(self, state: Literal["running", "waiting", "done"], left: Mapping[str, int]) -> None:
        self.now = Renewing(state, self.now.progress, self.now.changed, left)


def _alike(draft: DocumentDraft, held: HeldDocument) -> bool:
    """Whether at most its metadata are others: they stand with the version alone: no chunk is made anew."""
    return not compare(replace(draft, metadata=held.metadata), held)


def _changed(due: _Due, chains: Mapping[str, Chain]) -> Sequence[str]:
    names: dict[str, None] = {}
    for made in due.made:
        then = chains.get(made)
        names |= dict.fromkeys(due.chain.changed_since(then) if then is not None else [""])
    return list(names)

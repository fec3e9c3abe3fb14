"""Operator: document changes to chunks that can be found."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from headrace.access import NOBODY, Access, Readers, SourceRules
from headrace.change import Change, Op, Stamp, document_id, key_name
from headrace.codec import encode
from headrace.described import NOTHING, about_of
from headrace.errors import BadInput, EmbeddingError, HeadraceError, RedactionError
from headrace.knowledge import layout
from headrace.knowledge.chain import Settings, chain_of
from headrace.knowledge.chunk import Piece, chunk
from headrace.knowledge.detect import detect
from headrace.knowledge.parse import is_light, parse
from headrace.knowledge.parsed import Parsed
from headrace.knowledge.redacting import cleared, cleared_failure
from headrace.knowledge.rows import RowTemplate
from headrace.knowledge.stages import Stage, Stages
from headrace.knowledge.steps import CLASSIFY, SUMMARISE, Chain
from headrace.knowledge.terms import Bag, bag
from headrace.models import Embedder, Vectors
from headrace.redaction.policy import Redactor
from headrace.stores import Transaction
from headrace.stores.dead_letters import DeadLetterDraft
from headrace.stores.knowledge import ChunkDraft, Document, DocumentDraft, Narrowing, Removal
from headrace.stores.stock import StoredDocument, WorkCache
from headrace.stores.values import Failure

KNOWLEDGE = "knowledge"
LARGE = 32_768
"""Bytes from which on a document is taken apart in a thread."""
_ENDS = (Op.DELETE, Op.TRUNCATE)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
GIST = -1
"""The ordinal of the entry by which a document is found as its summary says; what is shown is its first chunk."""

logger = structlog.get_logger("headrace.knowledge")


class Parser(Protocol):
    """Reads documents that are not read beside everything else. Raises BadInput."""

    async def parse(self, path: str, content: bytes, media: str) -> Parsed: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a batch does: ends first, then new versions; of each document the last state only."""

    removals: Sequence[Removal]
    drafts: Sequence[DocumentDraft]
    letters: Sequence[DeadLetterDraft]
    settled: Sequence[tuple[str, str | None]]
    changes: Sequence[Change]
    model: str = ""
    """Whose vectors the drafts have."""


@dataclass(slots=True)
class _Plan:
    """A document on its way: its text, and per piece what is embedded and its hash. `own`: whom it says that it is for.
    `hidden`: its text has been redacted already."""

    id: str
    topic: str
    stamp: Stamp
    content_hash: str
    parsed: Parsed
    own: Readers | None
    hidden: bool = False
    pieces: list[Piece] = field(default_factory=list[Piece])
    indexed: list[str] = field(default_factory=list[str])
    hashes: list[bytes] = field(default_factory=list[bytes])
    bags: list[Bag] = field(default_factory=list[Bag])


class ModelChanged(HeadraceError):
    """Vectors are of the model before."""

    title = "The embedding model was changed meanwhile"


class Knowledge:
    """Implements `headrace.operators.Operator` for documents and for rows that are documents too."""

    name = KNOWLEDGE
    whole_transactions = False

    def __init__(
        self,
        documents: frozenset[str],
        rows: Mapping[str, RowTemplate],
        embedder: Embedder,
        work: WorkCache,
        parser: Parser | None = None,
        redactors: Mapping[str, Redactor] | None = None,
        settings: Settings | None = None,
        stages: Stages | None = None,
        access: SourceRules | None = None,
    ) -> None:
        """Without a `parser`, every format is read in this process. `redactors` by source: what none is for is kept as
        it is. `stages` hears how far documents are. `access`: what the configuration says of their readers."""
        self._access = access or SourceRules()
        self._settings = settings or Settings()
        self._stages = stages
        self._documents = documents
        self._rows = rows
        self._embedder = embedder
        self._work = work
        self._parser = parser
        self._redactors = redactors or {}
        self._chains: tuple[str, Mapping[str, Chain]] = ("", {})

    @property
    def chains(self) -> Mapping[str, Chain]:
        """By topic: the steps that make its documents, with the model of now."""
        if self._chains[0] != self._embedder.id:
            chains = {
                topic: chain_of(
                    self._rows.get(topic), self._redactors.get(source_of(topic)), self._embedder, self._settings
                )
                for topic in (*self._documents, *self._rows)
            }
            self._chains = (self._embedder.id, chains)
        return self._chains[1]

    @property
    def model(self) -> str:
        """Whose vectors are made now."""
        return self._embedder.id

    def wants(self, topic: str) -> bool:
        return topic in self._documents or topic in self._rows

    def overtakes(self, change: Change) -> bool:
        """An end, or what may take a document from its readers."""
        return change.op in _ENDS or self._own(change) is not None

    async def overtake(self, changes: Sequence[Change], transaction: Transaction) -> None:
        if ends := [_removal(c) for c in changes if c.op in _ENDS]:
            await transaction.knowledge.remove(ends, overtaking=True)
        live = [(c, own) for c in changes if c.op not in _ENDS and (own := self._own(c)) is not None]
        if live:
            await transaction.knowledge.narrow(
                [Narrowing(document_id(c.schema, c.key), c.stamp, own, c.op is Op.CREATE) for c, own in live]
            )

    def _own(self, change: Change) -> Readers | None:
        """Whom a live state says that it is for; what cannot be understood is for nobody."""
        template = self._rows.get(change.schema.topic)
        try:
            return about_of(change).readers if template is None else template.readers(change)
        except BadInput:
            return NOBODY

    async def prepare(self, changes: Sequence[Change], *, background: bool) -> Prepared:
        try:
            return await self._prepared(changes, background)
        except BaseException:
            if self._stages is not None:
                self._stages.end(changes)
            raise

    async def _prepared(self, changes: Sequence[Change], background: bool) -> Prepared:
        model = self._embedder.id
        removals, latest = _collapse(changes)
        plans, refused = await self._plans(latest)
        drafts = [self._failed(change, failure) for change, failure in refused]
        letters = [self._letter(change, failure) for change, failure in refused]
        vectors = await self._vectors(plans, background)
        drafts += [self._draft(p, vectors) for p in plans]
        bad = {d.id for d in drafts if d.failure is not None}
        good = [c for c in latest if document_id(c.schema, c.key) not in bad]
        self._told(good, Stage.EMBEDDED)
        good += [c for c in changes if c.op is Op.DELETE]
        settled: list[tuple[str, str | None]] = [(c.schema.topic, key_name(c.schema, c.key)) for c in good]
        settled += [(c.schema.topic, None) for c in changes if c.op is Op.TRUNCATE]
        return Prepared(removals, drafts, letters, settled, changes, model)

    def _told(self, changes: Sequence[Change], stage: Stage) -> None:
        if self._stages is not None:
            self._stages.set(changes, stage)

    async def unembedded(self, changes: Sequence[Change]) -> Sequence[DocumentDraft]:
        """What live states come to, but for their vectors, which are empty: to hold against what is stored."""
        plans, refused = await self._plans(changes, apart=True)
        nothing = dict.fromkeys((h for p in plans for h in p.hashes), np.empty(0, np.float32))
        failed = [self._failed(change, failure) for change, failure in refused]
        return failed + [self._draft(p, nothing) for p in plans]

    async def again(self, stored: StoredDocument, done: int) -> DocumentDraft:
        """A stored document from its own text, which has been through so many steps of its topic's chain. Raises
        BadInput where it must be made from its source."""
        chain = self.chains[stored.topic]
        if stored.failed or not done:
            raise _gone(stored)
        try:
            parsed = layout.unpacked(stored.layout, stored.title, stored.text, stored.media, stored.dated)
        except msgspec.MsgspecError:
            raise _gone(stored) from None
        hidden = chain.keys[done - 1] == chain.text_key
        own = stored.access.own
        plan = _Plan(stored.id, stored.topic, stored.stamp, stored.content_hash, parsed, own, hidden)
        plan = await asyncio.to_thread(self._cut, plan)
        return self._draft(plan, await self._vectors([plan], True))

    async def anew(self, document: Document, stored: StoredDocument, hashes: Sequence[bytes]) -> DocumentDraft | None:
        """A stored document from its own text, cut as it was, with new vectors. None where `hashes`, those that its
        chunks had, do not prove that this is what they were made of."""
        info = document.info
        pieces = [Piece(c.start, c.end, document.text[c.start : c.end], c.heading, c.place) for c in document.chunks]
        for context in (info.title, ""):
            indexed = [indexed_text(context, p.heading, p.text) for p in pieces]
            made = [text_hash(text) for text in indexed]
            if made == list(hashes):
                break
        else:
            return None
        vectors = await self._embedded(indexed, True) if indexed else ()
        title = "" if info.media is None else info.title
        bags = [bag(indexed_text(title, p.heading, p.text)) for p in pieces]
        chunks = [
            _chunk(n, piece, words, digest, vector)
            for n, (piece, words, digest, vector) in enumerate(zip(pieces, bags, made, vectors, strict=True))
        ]
        return DocumentDraft(
            info.id, stored.topic, info.stamp, info.content_hash, info.title, document.text, chunks, None, info.media,
            info.dated, stored.made, stored.layout, Access(self._access.of(info.id), stored.access.own),
        )  # fmt: skip

    def gist_of(self, topic: str, title: str, summary: str) -> tuple[bytes, Bag]:
        """The hash and the words of what a summary is found by."""
        indexed = indexed_text("" if topic in self._rows else title, "", summary)
        return text_hash(indexed), bag(indexed)

    async def gist(self, topic: str, title: str, summary: str) -> ChunkDraft:
        """The entry by which a document is found as its summary says."""
        indexed = indexed_text("" if topic in self._rows else title, "", summary)
        digest, words = self.gist_of(topic, title, summary)
        found = await self._work.vectors([digest])
        vector = found[digest] if digest in found else (await self._embedder.embed([indexed], background=True))[0]
        return _chunk(GIST, Piece(0, 0, summary, ""), words, digest, vector)

    async def hidden(self, source: str, text: str) -> str:
        """A text without what the policy of its source hides. Raises BadInput, RedactionError."""
        redactor = self._redactors.get(source)
        return text if redactor is None else (await asyncio.to_thread(redactor.redact, text)).text

    async def apply(self, prepared: Prepared, transaction: Transaction) -> None:
        """Raises ModelChanged for what another model embedded: it is prepared once more."""
        if prepared.drafts and prepared.model != self._embedder.id:
            raise ModelChanged(
                step="apply what was embedded",
                expected=f"vectors of {self._embedder.id}",
                got=f"those of {prepared.model}, which went meanwhile",
                remedy="Try it again.",
            )
        if prepared.removals:
            await transaction.knowledge.remove(prepared.removals)
        if prepared.drafts:
            await transaction.knowledge.swap(prepared.drafts)
        if prepared.changes:
            await transaction.dead_letters.settle(self.name, prepared.settled, prepared.changes[-1].position)
            await self._settle_told(prepared.changes, transaction)
        await transaction.dead_letters.put(prepared.letters)
        if self._stages is not None:
            self._stages.applied(prepared.changes)

    async def _settle_told(self, changes: Sequence[Change], transaction: Transaction) -> None:
        """What could not be told of documents that were other ones then."""
        ended: list[tuple[str, str | None]] = [
            (c.schema.topic, None if c.op is Op.TRUNCATE else key_name(c.schema, c.key)) for c in changes
        ]
        for step in (CLASSIFY, SUMMARISE):
            await transaction.dead_letters.settle(step, ended, changes[-1].position)

    async def _plans(
        self, changes: Sequence[Change], *, apart: bool = False
    ) -> tuple[list[_Plan], list[tuple[Change, Failure]]]:
        """Documents read and cut, and those that cannot be; with `apart` all of them in threads."""
        plans: list[_Plan] = []
        refused: list[tuple[Change, Failure]] = []
        kept = {n: plan for n, c in enumerate(changes) if (plan := await self._kept(c)) is not None}
        reading = self._reading({n: c for n, c in enumerate(changes) if n not in kept})
        try:
            for n, change in enumerate(changes):
                try:
                    if n in kept:
                        plans.append(await asyncio.to_thread(self._cut, kept[n]))
                    else:
                        plans.append(await self._waited(change, reading.get(n), apart))
                    if not apart:
                        self._told([change], Stage.CHUNKED)
                except BadInput as error:
                    # Its frames hold the document, in a circle with the task that read it: both would stay long.
                    error.__traceback__ = None
                    failure = Failure(error.step, error.expected, error.got, error.remedy)
                    if redactor := self._redactors.get(change.stamp.source):
                        failure = cleared_failure(failure, redactor)
                    refused.append((change, failure))
        finally:
            for task in reading.values():
                task.cancel()
        return plans, refused

    def _letter(self, change: Change, failure: Failure) -> DeadLetterDraft:
        key = key_name(change.schema, change.key)
        return DeadLetterDraft(self.name, change.schema.topic, key, change.stamp, failure, encode([change]))

    async def _kept(self, change: Change) -> _Plan | None:
        """A document of which nothing but its readers has changed: as it stands in the index, not read once more."""
        about = about_of(change) if not change.schema.table else NOTHING
        if not about.same_since:
            return None
        stored = await self._work.stored(document_id(change.schema, change.key))
        if stored is None or stored.failed or stored.made != self.chains[stored.topic].key:
            return None
        if not about.same_since <= stored.stamp.position.major <= change.position.major:
            return None
        try:
            parsed = layout.unpacked(stored.layout, stored.title, stored.text, stored.media, stored.dated)
        except msgspec.MsgspecError:
            return None
        return _Plan(stored.id, stored.topic, change.stamp, stored.content_hash, parsed, about.readers, True)

    def _reading(self, changes: Mapping[int, Change]) -> Mapping[int, asyncio.Task[Parsed]]:
        """Starts to read those documents elsewhere that are not light: several at a time, the others meanwhile."""
        found: dict[int, asyncio.Task[Parsed]] = {}
        for n, change in changes.items():
            if self._parser is None or change.schema.topic in self._rows:
                continue
            path, content = _file(change)
            media = detect(path, content)
            if not is_light(media, len(content)):
                found[n] = asyncio.create_task(self._parser.parse(path, content, media), name=f"read {path}")
        return found

    async def _waited(self, change: Change, reading: asyncio.Task[Parsed] | None, apart: bool) -> _Plan:
        """Waits as long as what must not be shown cannot be found: the source's texts stay in their order behind it."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._tried(change, reading, apart or self._slow(change))
            except RedactionError as error:
                logger.warning(
                    "texts wait for their redaction", source=change.stamp.source, error=str(error), again_in_s=pause_s
                )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _tried(self, change: Change, reading: asyncio.Task[Parsed] | None, apart: bool) -> _Plan:
        """A large document is parsed and cut in a thread: other changes and questions do not wait for it."""
        if reading is not None:
            plan = _planned(change, _sha256(_file(change)[1]), await reading, about_of(change).readers)
            large = apart or len(plan.parsed.text) > LARGE
            return await asyncio.to_thread(self._cut, plan) if large else self._cut(plan)
        size = sum(len(v) for v in change.after or () if isinstance(v, str | bytes))
        return await asyncio.to_thread(self._plan, change) if apart or size > LARGE else self._plan(change)

    def _slow(self, change: Change) -> bool:
        redactor = self._redactors.get(change.stamp.source)
        return redactor is not None and redactor.slow

    def _plan(self, change: Change) -> _Plan:
        topic = change.schema.topic
        assert change.after is not None
        if topic in self._rows:
            own = self._rows[topic].readers(change)
            text = self._rows[topic].render(change)
            if "\0" in text:
                raise BadInput(
                    step=f"render the text of {topic} {key_name(change.schema, change.key)}",
                    expected="text without NUL characters",
                    got="a NUL character",
                    remedy="Leave the column out of the template, or clean it at the source.",
                )
            title = f"{change.schema.table.rpartition('.')[2]} {key_name(change.schema, change.key)}"
            return self._cut(_planned(change, _sha256(text.encode()), Parsed(title, text, False), own))
        path, content = _file(change)
        return self._cut(_planned(change, _sha256(content), parse(path, content), about_of(change).readers))

    def _cut(self, plan: _Plan) -> _Plan:
        """Into chunks, each with what is embedded of it. Nothing that is hidden gets beyond this place."""
        redactor = self._redactors.get(plan.stamp.source)
        if redactor is not None and not plan.hidden:
            plan.parsed = cleared(plan.parsed, redactor)
            if plan.topic in self._rows:  # a short text could be guessed from its hash
                plan.content_hash = _sha256(plan.parsed.text.encode())
        title = "" if plan.topic in self._rows else plan.parsed.title
        context = title if plan.parsed.stated else ""
        plan.pieces = chunk(plan.parsed, self._embedder.tokenizer, self._settings.chunk_tokens)
        for piece in plan.pieces:
            indexed = indexed_text(context, piece.heading, piece.text)
            plan.indexed.append(indexed)
            plan.bags.append(bag(indexed_text(title, piece.heading, piece.text)))
            plan.hashes.append(text_hash(indexed))
        return plan

    def _draft(self, plan: _Plan, vectors: Mapping[bytes, NDArray[np.float32]]) -> DocumentDraft:
        made = zip(plan.pieces, plan.bags, plan.hashes, strict=True)
        chunks = [_chunk(n, piece, words, digest, vectors[digest]) for n, (piece, words, digest) in enumerate(made)]
        parsed = plan.parsed
        media = None if plan.topic in self._rows else parsed.media
        return DocumentDraft(
            plan.id, plan.topic, plan.stamp, plan.content_hash, parsed.title, parsed.text, chunks, None, media,
            parsed.dated, self.chains[plan.topic].key, layout.packed(parsed),
            Access(self._access.of(plan.id), plan.own),
        )  # fmt: skip

    def _failed(self, change: Change, failure: Failure) -> DocumentDraft:
        """A version that cannot be shown: the one before it is no longer true either."""
        content = change.after[1] if change.after is not None and not change.schema.table else b""
        digest = _sha256(content) if isinstance(content, bytes) else ""
        id, topic = document_id(change.schema, change.key), change.schema.topic
        title, made = key_name(change.schema, change.key), self.chains[topic].key
        access = Access(self._access.of(id), self._own(change))
        return DocumentDraft(id, topic, change.stamp, digest, title, "", (), failure, made=made, access=access)

    async def _vectors(self, plans: Sequence[_Plan], background: bool) -> dict[bytes, NDArray[np.float32]]:
        """Every piece's vector by the hash of its text: what was ever made is not made again."""
        wanted = {h: t for p in plans for h, t in zip(p.hashes, p.indexed, strict=True)}
        if not wanted:
            return {}
        found = await self._work.vectors(list(wanted))
        missing = [h for h in wanted if h not in found]
        if missing:
            made = await self._embedded([wanted[h] for h in missing], background)
            found |= dict(zip(missing, made, strict=True))
        return found

    async def _embedded(self, texts: Sequence[str], background: bool) -> Vectors:
        """Waits as long as a service cannot embed them: nothing is wrong with what changed, and behind it everything
        stays in its order. Deletes go on, as they do not come here."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._embedder.embed(texts, background=background)
            except EmbeddingError as error:
                again_s = min(max(error.after_s or pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
                logger.warning("texts wait for their embedding", texts=len(texts), error=str(error), again_in_s=again_s)
            await asyncio.sleep(again_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def source_of(topic: str) -> str:
    """A topic's source: its own name, or what stands before the first point."""
    return topic.partition(".")[0]


def _planned(change: Change, content_hash: str, parsed: Parsed, own: Readers | None) -> _Plan:
    id, topic = document_id(change.schema, change.key), change.schema.topic
    return _Plan(id, topic, change.stamp, content_hash, _described(parsed, change), own)


def _file(change: Change) -> tuple[str, bytes]:
    """A document's bytes, and the path by which its kind and title are told."""
    assert change.after is not None
    path, content = change.after[:2]
    assert isinstance(path, str)
    assert isinstance(content, bytes)
    return about_of(change).named or path, content


def _described(parsed: Parsed, change: Change) -> Parsed:
    """With what whoever gave it says of it in the place of what it states itself."""
    if change.schema.table:
        return parsed
    about = about_of(change)
    dated = parsed.dated if about.time is None else about.time
    title, stated = (about.title, True) if about.title else (parsed.title, parsed.stated)
    return replace(parsed, title=title, stated=stated, dated=dated)


def _gone(stored: StoredDocument) -> BadInput:
    return BadInput(
        step=f"make {stored.id} anew",
        expected="its text and what belongs to its form",
        got="one that could not be read" if stored.failed else "a text alone",
        remedy="It is made from the log.",
    )


def _collapse(changes: Sequence[Change]) -> tuple[list[Removal], list[Change]]:
    """The ends in a batch, and each document's last live state."""
    ends: dict[str, Removal] = {}
    latest: dict[str, Change] = {}
    for change in changes:
        if change.op is Op.TRUNCATE:
            latest = {id: c for id, c in latest.items() if c.schema.topic != change.schema.topic}
            ends[f"\0{change.schema.topic}"] = _removal(change)
        elif change.op is Op.DELETE:
            id = document_id(change.schema, change.key)
            latest.pop(id, None)
            ends[id] = _removal(change)
        else:
            latest[document_id(change.schema, change.key)] = change
    return list(ends.values()), list(latest.values())


def _removal(change: Change) -> Removal:
    whole = change.op is Op.TRUNCATE
    return Removal(None if whole else document_id(change.schema, change.key), change.schema.topic, change.stamp)


def indexed_text(title: str, heading: str, text: str) -> str:
    """What is embedded and searched of a chunk: under its headings or title, which often name its subject. The title of
    a row does not: it is empty here. A title that is only a file's name is searched for as words, and not embedded: it
    says little of a passage, and a rename would make every vector anew."""
    context = heading or title
    return f"{context}\n{text}" if context and context not in text else text


def text_hash(indexed: str) -> bytes:
    """Of what is embedded of a chunk."""
    return hashlib.sha256(indexed.encode()).digest()


def _chunk(n: int, piece: Piece, words: Bag, digest: bytes, vector: NDArray[np.float32]) -> ChunkDraft:
    return ChunkDraft(
        n, piece.text, piece.start, piece.end, piece.heading, words.terms, words.counts, words.length, digest, vector,
        piece.place,
    )  # fmt: skip


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()

"""Operator: document changes to chunks that can be found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.access import NOBODY, Access, Readers, SourceRules
from headrace.change import Change, Op, document_id, key_name
from headrace.codec import encode
from headrace.courtesy import Courtesy
from headrace.described import about_of
from headrace.errors import BadInput, HeadraceError
from headrace.knowledge import layout
from headrace.knowledge.chain import Settings
from headrace.knowledge.chunk import Piece
from headrace.knowledge.cutting import Cut, Cutter, Parser
from headrace.knowledge.indexed import GIST, chunk_draft, content_hash, indexed_text, text_hash
from headrace.knowledge.rows import RowTemplate
from headrace.knowledge.stages import Stage, Stages
from headrace.knowledge.steps import CLASSIFY, SUMMARISE, Chain
from headrace.knowledge.terms import Bag, bag
from headrace.knowledge.vectors import KeptVectors
from headrace.models import Embedder
from headrace.redaction.policy import Redactor
from headrace.stores import Transaction
from headrace.stores.dead_letters import DeadLetterDraft
from headrace.stores.knowledge import ChunkDraft, Document, DocumentDraft, Narrowing, Removal
from headrace.stores.stock import StoredDocument, WorkCache
from headrace.stores.values import Failure

KNOWLEDGE = "knowledge"
_ENDS = (Op.DELETE, Op.TRUNCATE)


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
        courtesy: Courtesy | None = None,
    ) -> None:
        """Without a `parser`, every format is read in this process. `redactors` by source: what none is for is kept as
        it is. `stages` hears how far documents are. `access`: what the configuration says of their readers. `courtesy`
        knows who asks meanwhile."""
        self._access = access or SourceRules()
        self._stages = stages
        self._documents = documents
        self._rows = rows
        self._embedder = embedder
        self._redactors = redactors or {}
        self._vectors = KeptVectors(embedder, work)
        self._cutter = Cutter(
            documents, rows, embedder, work, parser, self._redactors, settings or Settings(), stages,
            courtesy or Courtesy(),
        )  # fmt: skip

    @property
    def chains(self) -> Mapping[str, Chain]:
        """By topic: the steps that make its documents, with the model of now."""
        return self._cutter.chains

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
        cuts, refused = await self._cutter.cuts(latest, background=background)
        drafts = [self._failed(change, failure) for change, failure in refused]
        letters = [self._letter(change, failure) for change, failure in refused]
        drafts += await self._drafts(cuts, background)
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
        cuts, refused = await self._cutter.cuts(changes, background=True, apart=True)
        nothing = dict.fromkeys((h for cut in cuts for h in cut.hashes), np.empty(0, np.float32))
        failed = [self._failed(change, failure) for change, failure in refused]
        return failed + [self._draft(cut, nothing) for cut in cuts]

    async def again(self, stored: StoredDocument, done: int) -> DocumentDraft:
        """A stored document from its own text, which has been through so many steps of its topic's chain. Raises
        BadInput where it must be made from its source."""
        [draft] = await self._drafts([await self._cutter.again(stored, done)], True)
        return draft

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
        vectors = await self._vectors.made(indexed, background=True) if indexed else ()
        title = "" if info.media is None else info.title
        bags = [bag(indexed_text(title, p.heading, p.text)) for p in pieces]
        chunks = [
            chunk_draft(n, piece, words, digest, vector)
            for n, (piece, words, digest, vector) in enumerate(zip(pieces, bags, made, vectors, strict=True))
        ]
        return DocumentDraft(
            info.id, stored.topic, info.stamp, info.content_hash, info.title, document.text, chunks, None, info.media,
            info.dated, stored.made, stored.layout, Access(self._access.of(info.id), stored.access.own),
            stored.metadata,
        )  # fmt: skip

    def gist_of(self, topic: str, title: str, summary: str) -> tuple[bytes, Bag]:
        """The hash and the words of what a summary is found by."""
        indexed = indexed_text("" if topic in self._rows else title, "", summary)
        return text_hash(indexed), bag(indexed)

    async def gist(self, topic: str, title: str, summary: str) -> ChunkDraft:
        """The entry by which a document is found as its summary says. Raises EmbeddingError."""
        indexed = indexed_text("" if topic in self._rows else title, "", summary)
        digest, words = self.gist_of(topic, title, summary)
        return chunk_draft(GIST, Piece(0, 0, summary, ""), words, digest, await self._vectors.one(digest, indexed))

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

    async def _drafts(self, cuts: Sequence[Cut], background: bool) -> list[DocumentDraft]:
        wanted = {h: t for cut in cuts for h, t in zip(cut.hashes, cut.indexed, strict=True)}
        vectors = await self._vectors.of(wanted, background=background)
        return [self._draft(cut, vectors) for cut in cuts]

    def _draft(self, cut: Cut, vectors: Mapping[bytes, NDArray[np.float32]]) -> DocumentDraft:
        made = zip(cut.pieces, cut.bags, cut.hashes, strict=True)
        chunks = [
            chunk_draft(n, piece, words, digest, vectors[digest]) for n, (piece, words, digest) in enumerate(made)
        ]
        parsed = cut.parsed
        media = None if cut.topic in self._rows else parsed.media
        return DocumentDraft(
            cut.id, cut.topic, cut.stamp, cut.content_hash, parsed.title, parsed.text, chunks, None, media,
            parsed.dated, self.chains[cut.topic].key, layout.packed(parsed),
            Access(self._access.of(cut.id), cut.own), parsed.metadata,
        )  # fmt: skip

    def _letter(self, change: Change, failure: Failure) -> DeadLetterDraft:
        key = key_name(change.schema, change.key)
        return DeadLetterDraft(self.name, change.schema.topic, key, change.stamp, failure, encode([change]))

    def _failed(self, change: Change, failure: Failure) -> DocumentDraft:
        """A version that cannot be shown: the one before it is no longer true either."""
        content = change.after[1] if change.after is not None and not change.schema.table else b""
        digest = content_hash(content) if isinstance(content, bytes) else ""
        id, topic = document_id(change.schema, change.key), change.schema.topic
        title, made = key_name(change.schema, change.key), self.chains[topic].key
        access = Access(self._access.of(id), self._own(change))
        return DocumentDraft(id, topic, change.stamp, digest, title, "", (), failure, made=made, access=access)


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

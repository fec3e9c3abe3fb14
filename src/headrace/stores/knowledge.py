"""Ports: documents, written by what a change says and found by words and meaning."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.access import OPEN, Access, Readers
from headrace.change import Stamp
from headrace.metadata import Metadata, MetadataValue
from headrace.place import Place
from headrace.stores.conditions import Condition
from headrace.stores.values import Counts, Failure, Terms, Vector

_NAMED = 12
"""Hexadecimal digits of a text's hash that name its chunk among those of a document."""


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """A chunk about to be stored. `start` and `end` are character offsets into the document's text.

    `terms` are the distinct terms' hashes, ascending, and `counts` how often each stands there; `length` is their sum.
    """

    ordinal: int
    text: str
    start: int
    end: int
    heading: str
    terms: Terms
    counts: Counts
    length: int
    text_hash: bytes
    vector: NDArray[np.float32]
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """A document's new version. `failure` is set (and there are no chunks) when a step could not be done.

    `media` is its content's type; `dated` the time that it states of itself (microseconds), if any. `made`: the key of
    the steps that made it; `layout`: what of its text's form is not in the text, to cut it again (empty: not kept).
    `access`: who may read it. `metadata`: what it says of itself.
    """

    id: str
    topic: str
    stamp: Stamp
    content_hash: str
    title: str
    text: str
    chunks: Sequence[ChunkDraft]
    failure: Failure | None = None
    media: str | None = None
    dated: int | None = None
    made: str = ""
    layout: bytes = b""
    access: Access = OPEN
    metadata: Metadata = field(default_factory=dict[str, MetadataValue], hash=False)


@dataclass(frozen=True, slots=True)
class Removal:
    """A document's end. `id` None: every document of the topic (a truncate)."""

    id: str | None
    topic: str
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Whom a change that is still being prepared leaves a document to."""

    id: str
    stamp: Stamp
    readers: Readers
    fresh: bool
    """It begins the document: only what is there of an earlier one can be read without it."""


class KnowledgeWriter(Protocol):
    """Applies documents inside a transaction.

    `swap` closes each document's open version and opens the draft; a draft that is not newer than what is known of its
    document (opened, closed or hidden) changes nothing. `remove` closes what is open and older; with `overtaking` it
    also keeps out drafts older than the removal that come later.

    `renew` puts each draft in the place of the present version of the very same change, as if that had never been (what
    a language model told of the same title and text stays); `adopt` only notes that such a version, with the draft's
    metadata, is what the draft's steps make. Both leave alone what is of another change by now, or no longer there, and
    give the ids of those that they did not.

    A version is read by those whom its draft's `access` lets in, from the moment on that it is there. `narrow` lets
    nobody read a document whom a coming change does not let in, until that change, or a later one, is applied; what is
    applied already changes nothing. `restrict` puts what the configuration says of documents in the place of what it
    said, for all of their versions. `seclude` leaves a topic's documents to nobody until they are made anew.
    """

    async def swap(self, drafts: Sequence[DocumentDraft]) -> None: ...
    async def remove(self, removals: Sequence[Removal], *, overtaking: bool = False) -> None: ...
    async def renew(self, drafts: Sequence[DocumentDraft]) -> Sequence[str]: ...
    async def adopt(self, drafts: Sequence[DocumentDraft]) -> Sequence[str]: ...
    async def narrow(self, narrowings: Sequence[Narrowing]) -> None: ...
    async def restrict(self, documents: Mapping[str, Readers | None]) -> None: ...
    async def seclude(self, topic: str) -> None: ...


def chunk_name(document: str, text: str, copy: int) -> str:
    """What a chunk is called: by its document and its text, so that it keeps its name whatever changes around it.
    `copy`: how many chunks of the same text stand before it in the document."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:_NAMED]
    return f"{document}#{digest}.{copy + 1}" if copy else f"{document}#{digest}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as found: `score` is the fused one, `rerank_score` that of a reranker, where it was asked; `start`, `end`
    are characters in the document's text.

    `dated`: the time that its document states of itself. `superseded_by`: the chunk that says the same of a later time
    with another value. `duplicates`: chunks left out because they say the same. `before` and `behind`: the text around
    it, when it was asked for.
    """

    document: str
    chunk: str
    ordinal: int
    title: str
    heading: str
    text: str
    start: int
    end: int
    score: float
    stamp: Stamp
    place: Place | None = None
    dated: int | None = None
    superseded_by: str | None = None
    duplicates: tuple[str, ...] = ()
    before: str = ""
    behind: str = ""
    rerank_score: float | None = None
    metadata: Metadata = field(default_factory=dict[str, MetadataValue], hash=False)
    """Its document's."""

    @property
    def at(self) -> int:
        """The document's time: its own where it states one, else its commit (microseconds)."""
        return self.stamp.committed_at if self.dated is None else self.dated


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document's present (or then present) version, without its text; `media` and `dated` as in its draft. `labels`,
    `summary`: what a language model told of it (None: nothing yet)."""

    id: str
    stamp: Stamp
    content_hash: str
    title: str
    chunks: int
    stage: Literal["ready", "failed"]
    error: Failure | None
    media: str | None = None
    dated: int | None = None
    labels: tuple[str, ...] | None = None
    summary: str | None = None
    metadata: Metadata = field(default_factory=dict[str, MetadataValue], hash=False)


@dataclass(frozen=True, slots=True)
class Document:
    """A document with its text and chunks in order."""

    info: DocumentInfo
    text: str
    chunks: Sequence[Passage]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a search is limited to; times are the documents' own or their commits' (microseconds), `until` excluded."""

    source: str | None = None
    document_prefix: str | None = None
    topic: str | None = None
    title: str | None = None
    """Words in its title, in whatever case."""
    since: int | None = None
    until: int | None = None
    label: str | None = None
    metadata: tuple[Condition, ...] = ()
    """What must hold of the document's metadata, all of it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Which documents are listed. `text`: in the id or the title, in whatever case; `failed`: only those that could not
    be read, or only the others; `ids`: only these; `prefix`: what the id begins with; `metadata`: what must hold of the
    document's, all of it."""

    source: str | None = None
    text: str | None = None
    prefix: str | None = None
    failed: bool | None = None
    ids: tuple[str, ...] | None = None
    label: str | None = None
    metadata: tuple[Condition, ...] = ()


Retriever = Literal["hybrid", "lexical", "vector", "rank"]


@dataclass(frozen=True, slots=True)
class Blend:
    """How passages are ranked: by words and meaning together, by one alone, or (`rank`) by the sum of 1/(60 + rank).

    `weight` is the vectors' part of the hybrid score, 0 to 1; None: the store's own.
    """

    retriever: Retriever = "hybrid"
    weight: float | None = None


HYBRID = Blend()


class KnowledgeReader(Protocol):
    """Reads documents and searches chunks in one snapshot, of the present or as of a cut; nothing of documents that the
    snapshot's viewer may not read. Of the past, what he may read now and might have then."""

    async def search(
        self,
        terms: Terms,
        vector: Vector | Awaitable[Vector | None] | None,
        k: int,
        where: Filter,
        blend: Blend = HYBRID,
    ) -> Sequence[Passage]:
        """The k best passages by vector and BM25 together, best first; without a vector by BM25 alone. One that is
        still being made is awaited as late as possible, and may turn out to be none."""
        ...

    async def around(self, passages: Sequence[Passage], reach: int) -> Sequence[Passage]:
        """The same passages with up to `reach` chunks of text before and behind each."""
        ...

    async def document(self, id: str) -> Document | None: ...
    def documents(self, source: str | None) -> AsyncIterator[DocumentInfo]: ...
    async def listed(self, which: Listing, after: str, limit: int) -> Sequence[DocumentInfo]:
        """Up to `limit` documents by id, behind one."""
        ...

    async def readable(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of some documents, whether there are versions of them or not, that may be read now."""
        ...

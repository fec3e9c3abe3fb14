"""Ports: where effects live. One transaction per applied batch, one snapshot per answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.access import OPEN, OPERATOR, Access, Readers, Viewer
from headrace.change import Position, Row, Stamp
from headrace.place import Place
from headrace.token import Token

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]
Object = Mapping[str, JSON]
Tenant = str
DEFAULT_TENANT: Tenant = "default"


@dataclass(frozen=True, slots=True)
class Applied:
    """How far an operator has applied a source: the append's number, and what it ends with."""

    operator: str
    source: str
    number: int
    position: Position
    committed_at: int
    changes_total: int
    bytes_total: int


# ---- knowledge ------------------------------------------------------------------------------------------------------

Vector = NDArray[np.float32]
Terms = NDArray[np.int64]
Counts = NDArray[np.uint16]


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
    `access`: who may read it.
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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one step could not be done, as HeadraceError says it."""

    step: str
    expected: str
    got: str
    remedy: str


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
    a language model told of the same title and text stays); `adopt` only notes that such a version is what the draft's
    steps make. Both leave alone what is of another change by now, or no longer there, and give the ids of those that
    they did not.

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


# ---- what a language model tells of documents -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToTell:
    """A present version, and what a language model told of it by now. `number`: of the version; `text`: its beginning;
    `input`: the hash of its title and whole text; `nothing`: there is no text to tell of. `classified`, `summarised`:
    keys of the steps that told the labels and the summary ("": none); `told`: of all steps that are done with it."""

    number: int
    id: str
    topic: str
    stamp: Stamp
    title: str
    text: str
    input: bytes
    nothing: bool
    labels: tuple[str, ...] | None
    classified: str
    summary: str | None
    summarised: str
    told: str


@dataclass(frozen=True, slots=True)
class ToldBy:
    """So many present documents of a topic, made by the steps of one key, have been told of by those of another ("": by
    none)."""

    topic: str
    told: str
    made: str
    documents: int


class ToldReader(Protocol):
    """What was told of present documents, within one snapshot.

    - `counts`: how many of each topic by which steps.
    - `of`: documents of a topic by the steps that are done with them, the newest versions first, numbered `below`, at
      most `limit`; only those that the steps of `mades` made, with so many characters of their texts.
    - `document`: one of them.
    - `labels`, `summary`: what the step of a key told of an input before, be it of another version or document.
    """

    async def counts(self) -> Sequence[ToldBy]: ...
    async def of(
        self, topic: str, told: str, mades: Sequence[str], below: int, limit: int, characters: int
    ) -> Sequence[ToTell]: ...
    async def document(self, id: str, mades: Sequence[str], characters: int) -> ToTell | None: ...
    async def labels(self, key: str, input: bytes) -> tuple[str, ...] | None: ...
    async def summary(self, key: str, input: bytes) -> str | None: ...


class ToldWriter(Protocol):
    """Puts beside a document's present version what was told of it, as long as its title and text are still those that
    were read; otherwise it changes nothing and gives False. The caller holds the operator's turn.

    - `classify`: labels (None: none were told, with an empty key).
    - `summarise`: a summary and the chunk by which it is found, with ordinal -1; None as above.
    - `done`: the steps of this key have told what they could.
    """

    async def classify(self, of: ToTell, key: str, labels: Sequence[str] | None) -> bool: ...
    async def summarise(self, of: ToTell, key: str, summary: str | None, gist: ChunkDraft | None) -> bool: ...
    async def done(self, of: ToTell, told: str) -> bool: ...


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


@dataclass(frozen=True, slots=True)
class Listing:
    """Which documents are listed. `text`: in the id or the title, in whatever case; `failed`: only those that could not
    be read, or only the others; `ids`: only these; `prefix`: what the id begins with."""

    source: str | None = None
    text: str | None = None
    prefix: str | None = None
    failed: bool | None = None
    ids: tuple[str, ...] | None = None
    label: str | None = None


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


# ---- whether the index is what it should be -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldChunk:
    """A chunk of a present version as the store holds it: `text` and `words` are SHA-256 of its text and of its terms
    with their counts. `faults`: what does not fit together, in words."""

    id: int
    ordinal: int
    text: bytes
    start: int
    end: int
    heading: str
    text_hash: bytes
    words: bytes
    length: int
    place: Object | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldDocument:
    """A document's present version as the store holds it: `text` is its text's SHA-256, `stated` how many chunks it
    says that it has. `faults`: what does not fit together, in words. `made`: as in its draft. `gist`: the entry by
    which its summary is found."""

    id: str
    topic: str
    stamp: Stamp
    content_hash: str
    title: str
    text: bytes
    failed: bool
    media: str | None
    dated: int | None
    stated: int
    chunks: Sequence[HeldChunk]
    faults: tuple[str, ...] = ()
    made: str = ""
    access: Access = OPEN
    summary: str | None = None
    gist: HeldChunk | None = None


@dataclass(frozen=True, slots=True)
class HeldTopic:
    """How many documents a topic has at present."""

    topic: str
    source: str
    documents: int


@dataclass(frozen=True, slots=True)
class Stray:
    """A chunk that can be found though it should not be: of a version that is no longer present, or (`document` None)
    of none at all."""

    chunk: int
    document: str | None
    topic: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Findable:
    """How the index of words stands against the present chunks. `amiss`: chunks whose postings are not what their text
    has; `corpus`: what is wrong with the totals, if anything; `chunks`: how many were looked at."""

    chunks: int
    amiss: Sequence[tuple[int, str, str]]
    """(chunk, document, topic)."""
    strays: Sequence[Stray]
    corpus: str | None


class Audit(Protocol):
    """Looks at the index itself, within one snapshot.

    - `topics`: those with present documents.
    - `present`: the ids and stamps of a topic's present documents by id, a page at a time.
    - `held`: present versions by id, those that there are; with `whole` also whether each chunk is what stands at its
      place in the document's text.
    - `newest`: the last position at which anything is known of each document.
    - `strays`: vectors that are searched though their version is closed.
    - `findable`: holds every posting against every chunk; `tell` hears how many chunks are done.
    """

    async def topics(self) -> Sequence[HeldTopic]: ...
    def present(self, topic: str) -> AsyncIterator[Sequence[tuple[str, Stamp]]]: ...
    async def held(self, documents: Sequence[str], *, whole: bool = False) -> Sequence[HeldDocument]: ...
    async def newest(self, documents: Sequence[str]) -> Mapping[str, Position]: ...
    async def strays(self) -> Sequence[Stray]: ...
    async def findable(self, tell: Callable[[int], None]) -> Findable: ...


@dataclass(frozen=True, slots=True)
class Restored:
    """What a document should be: `draft`, or None for not being there; `end`: where it ended (or where the version
    that should not be there began). Only as long as nothing newer than `known` is known of it."""

    id: str
    draft: DocumentDraft | None
    end: Stamp
    known: Position


class Mender(Protocol):
    """Puts the index right inside a transaction, whatever it holds.

    - `restore` gives each document the version that it should have, as if what stood there at or after that position
      had never been, and takes all chunks of other versions out of the present; how many were restored.
    - `hide` takes chunks out of every index.
    - `recount` counts the totals anew.
    """

    async def restore(self, documents: Sequence[Restored]) -> int: ...
    async def hide(self, chunks: Sequence[int]) -> None: ...
    async def recount(self) -> None: ...


class WorkCache(Protocol):
    """Work done before: vectors by the hash of their text; a document's present version as it is stored."""

    async def vectors(self, text_hashes: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]: ...
    async def stored(self, document: str) -> StoredDocument | None: ...


# ---- what documents were made by ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MadeBy:
    """So many present documents of a topic were made by the steps of this key ("": not known)."""

    topic: str
    source: str
    made: str
    documents: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A present version as it can be cut and embedded again without its source; fields as in its draft."""

    id: str
    topic: str
    stamp: Stamp
    content_hash: str
    title: str
    text: str
    failed: bool
    media: str | None
    dated: int | None
    made: str
    layout: bytes
    access: Access = OPEN


class Stock(Protocol):
    """What the present documents were made by, within one snapshot.

    - `made`: how many of each topic by which steps.
    - `chains`: the steps of each key, as `Store.keep_chains` was given them.
    - `of`: documents of a topic that were made by these steps, by id behind `after`, at most `limit`.
    - `stored`: present versions by id, those that there are.
    - `ever`: a source's documents of which there is any version, by id behind `after`, at most `limit`.
    """

    async def made(self) -> Sequence[MadeBy]: ...
    async def chains(self) -> Mapping[str, JSON]: ...
    async def of(self, topic: str, made: str, after: str, limit: int) -> Sequence[tuple[str, Stamp]]: ...
    async def stored(self, documents: Sequence[str]) -> Sequence[StoredDocument]: ...
    async def ever(self, source: str, after: str, limit: int) -> Sequence[str]: ...


# ---- vectors of another model ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Model:
    """An embedding model: `id` as the embedder tells it, `address` as it is configured."""

    id: str
    address: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class BareChunk:
    """A chunk that has no vector of the model that is to come, with what is embedded of it."""

    chunk: int
    title: str
    heading: str
    text: str
    text_hash: bytes


class Beside(Protocol):
    """Vectors of another model, built beside those that are searched.

    - `begin` makes room for those of a model, or goes on with what is there of it; those of a third one go.
    - `cancel` lets go of what is there.
    - `counts`: chunks that have one, and all.
    - `bare`: chunks that have none, by number behind `after`, at most `limit`.
    - `fill` gives chunks theirs; those that are no longer there are left out.
    - `index` makes them quick to search.
    - `swap` puts them in the place of the others, in one step that no reader sees half of; `serve` is called before
      anybody reads again. False, and nothing has happened, while a chunk lacks one or somebody reads for too long. The
      caller holds the operator's turn.
    """

    async def begin(self, model: str) -> None: ...
    async def cancel(self) -> None: ...
    async def counts(self) -> tuple[int, int]: ...
    async def bare(self, after: int, limit: int) -> Sequence[BareChunk]: ...
    async def fill(self, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None: ...
    async def index(self, dimensions: int) -> None: ...
    async def swap(self, model: Model, serve: Callable[[], None]) -> bool: ...


# ---- profiles -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordDraft:
    """A record's new version: `identifiers` are `type:value`, normalised; `fields` by name. None fields: deleted."""

    id: str
    topic: str
    stamp: Stamp
    identifiers: tuple[str, ...]
    fields: Object | None


@dataclass(frozen=True, slots=True)
class FactDraft:
    """A child row's new version. `owners` are identifiers. `fields` None: deleted. `time`: when it happens (us)."""

    id: str
    topic: str
    key: Row
    stamp: Stamp
    owners: tuple[str, ...]
    order: JSON
    time: int | None
    fields: Object | None
    text: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """A truncated topic: all its records or facts end."""

    topic: str
    stamp: Stamp


ProfileChange = RecordDraft | FactDraft | Cleared


class ProfileWriter(Protocol):
    """Applies records and facts in the given order; whatever is not newer than what is known changes nothing."""

    async def apply(self, changes: Sequence[ProfileChange]) -> None: ...


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`name = function(column)`; `column` is `*` for count."""

    name: str
    function: Literal["count", "sum", "min", "max", "avg"]
    column: str


@dataclass(frozen=True, slots=True)
class FactRule:
    """How a topic's facts are shown: the newest `keep` by order, with aggregates over all of them."""

    topic: str
    name: str
    keep: int
    aggregates: tuple[Aggregate, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A child row of a profile. `text` is how it reads as a sentence."""

    topic: str
    table: str
    key: str
    name: str
    fields: Object
    text: str
    time: int | None
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Profile:
    """One person or thing, from all records that share identifiers; `facts` newest first per topic."""

    id: str
    identifiers: tuple[str, ...]
    fields: Object
    aggregates: Mapping[str, JSON]
    facts: Sequence[Fact]
    records: tuple[str, ...]
    stamp: Stamp


class ProfileReader(Protocol):
    async def profile(self, id_or_identifier: str) -> Profile | None:
        """By profile id, or by identifier such as `email:ada@example.com` (normalised here)."""
        ...

    def profiles(self) -> AsyncIterator[Profile]: ...


# ---- conversations, dead letters ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation; `focus` is what the answer was about, for follow-up questions. `documents`: what it
    was made from."""

    role: Literal["user", "assistant"]
    text: str
    focus: Object
    at: int
    documents: tuple[str, ...] = ()


class ConversationReader(Protocol):
    async def turns(self, conversation: str, user: str | None, limit: int) -> Sequence[Turn]:
        """The last `limit` turns, oldest first, without those made from a document that the snapshot's viewer may not
        read now. Raises NotFound when the conversation belongs to another user."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    id: int
    operator: str
    source: str
    topic: str
    key: str
    stamp: Stamp
    failure: Failure
    at: int
    attempts: int
    resolved_at: int | None
    change: bytes | None
    """The change as the log encodes it; None when it never became one, or was left out (`Store.letters`)."""


@dataclass(frozen=True, slots=True)
class DeadLetterDraft:
    operator: str
    topic: str
    key: str
    stamp: Stamp
    failure: Failure
    change: bytes | None = None


class DeadLetterWriter(Protocol):
    """`put` records a failure (again: attempts grow); `settle` marks what a newer change of (topic, key) put right,
    or with None for the key everything of a topic that ended."""

    async def put(self, letters: Sequence[DeadLetterDraft]) -> None: ...
    async def settle(self, operator: str, keys: Sequence[tuple[str, str | None]], before: Position) -> None: ...


# ---- the store ------------------------------------------------------------------------------------------------------


class Transaction(Protocol):
    """Everything that one applied batch does, committed as a whole."""

    @property
    def knowledge(self) -> KnowledgeWriter: ...
    @property
    def profiles(self) -> ProfileWriter: ...
    @property
    def dead_letters(self) -> DeadLetterWriter: ...
    @property
    def mender(self) -> Mender: ...
    @property
    def told(self) -> ToldWriter: ...
    async def progress(self, applied: Applied) -> None: ...


class Snapshot(Protocol):
    """One consistent view for one answer."""

    @property
    def knowledge(self) -> KnowledgeReader: ...
    @property
    def profiles(self) -> ProfileReader: ...
    @property
    def conversations(self) -> ConversationReader: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def stock(self) -> Stock: ...
    @property
    def told(self) -> ToldReader: ...
    async def progress(self) -> Sequence[Applied]: ...


@dataclass(frozen=True, slots=True)
class AsOf:
    """A point to read at: what a token saw, or what was committed by a time (microseconds). One of the two."""

    token: Token | None = None
    time: int | None = None


PRESENT = AsOf()


@dataclass(frozen=True, slots=True)
class Building:
    """An index that is being built: `done` of `total` vectors since `started_at` (microseconds)."""

    done: int
    total: int
    started_at: int


@dataclass(frozen=True, slots=True)
class Indexing:
    """How many present chunks wait for the index of the nearest; until then searches look at each of them."""

    waiting: int
    building: Building | None


class Store(Protocol):
    """`transaction()` commits on leaving (visible at once, on disk a little later), rolls back on an exception;
    `snapshot()` reads one state of everything, of the present or as of a point."""

    @property
    def work(self) -> WorkCache: ...
    @property
    def beside(self) -> Beside: ...
    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...
    def snapshot(self, at: AsOf = PRESENT, viewer: Viewer = OPERATOR) -> AbstractAsyncContextManager[Snapshot]:
        """Without a `viewer`, of everything: for those who keep it. Whoever answers somebody passes him."""
        ...

    async def save_turns(self, conversation: str, user: str | None, turns: Sequence[Turn]) -> None:
        """On disk when this returns."""
        ...

    async def keep_chains(self, chains: Mapping[str, JSON]) -> None:
        """Remembers the steps of each key, before anything is made by them. On disk when this returns."""
        ...

    async def restricted(self, rules: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """By which access rules the readers of each source's documents are limited; with `rules`, from now on by these.
        On disk when this returns."""
        ...

    async def progress(self) -> Sequence[Applied]: ...
    async def rewind(self, operator: str, source: str) -> None:
        """Lets an operator see a source's whole log again at the next start; its effects stay."""
        ...

    async def letters(
        self, *, open_only: bool = True, limit: int = 1000, id: int | None = None
    ) -> Sequence[DeadLetter]:
        """Newest first; with its change one that is asked for by its id, and those of the operator `capture`."""
        ...

    async def counts(self) -> tuple[int, int, int, str, int]:
        """Documents ready, documents failed, profiles, the server's version, its bytes."""
        ...

    async def compact(self) -> None:
        """Housekeeping of indexes; called every few seconds, quick when nothing is due."""
        ...

    async def index(self, *, loaded: bool = False) -> None:
        """Builds indexes anew where that is due; called every few seconds, by one at a time. It may take minutes, in
        which everything else goes on. `loaded`: whoever calls knows that no more is coming."""
        ...

    async def indexing(self) -> Indexing: ...

    async def purge(self, before: int) -> int:
        """Forgets versions closed before a time (microseconds); how many rows went."""
        ...

    async def close(self) -> None: ...

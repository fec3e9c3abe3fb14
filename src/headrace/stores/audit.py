"""Ports: whether the index is what it should be, and what puts it right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace.access import OPEN, Access
from headrace.change import Position, Stamp
from headrace.stores.knowledge import DocumentDraft
from headrace.stores.values import Object


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

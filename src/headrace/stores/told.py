"""Ports: what a language model tells of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace.change import Stamp
from headrace.stores.knowledge import ChunkDraft


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

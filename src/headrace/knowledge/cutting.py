"""Changes read and cut into chunks: what is found of a document, without its vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec
import structlog

from headrace.access import Readers
from headrace.change import Change, Stamp, document_id, key_name
from headrace.courtesy import Courtesy
from headrace.described import NOTHING, about_of
from headrace.errors import BadInput, RedactionError
from headrace.knowledge import layout
from headrace.knowledge.chain import Settings, chain_of
from headrace.knowledge.chunk import Piece, chunk
from headrace.knowledge.detect import detect
from headrace.knowledge.indexed import content_hash, indexed_text, text_hash
from headrace.knowledge.parse import is_light, parse
from headrace.knowledge.parsed import Parsed
from headrace.knowledge.pauses import FIRST_PAUSE_S, LONGEST_PAUSE_S
from headrace.knowledge.redacting import cleared, cleared_failure
from headrace.knowledge.rows import RowTemplate
from headrace.knowledge.stages import Stage, Stages
from headrace.knowledge.steps import Chain
from headrace.knowledge.terms import Bag, bag
from headrace.metadata import decoded, metadata_of
from headrace.models import Embedder
from headrace.redaction.policy import Redactor
from headrace.stores.stock import StoredDocument, WorkCache
from headrace.stores.values import Failure

LARGE = 32_768
"""Bytes from which on a document is taken apart in a thread."""

logger = structlog.get_logger("headrace.knowledge")


class Parser(Protocol):
    """Reads documents that are not read beside everything else. Raises BadInput."""

    async def parse(self, path: str, content: bytes, media: str) -> Parsed: ...


@dataclass(slots=True)
class Cut:
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


class Cutter:
    """Reads documents and rows, hides what must not be shown, and cuts what is left. See `Knowledge` for the terms."""

    def __init__(
        self,
        documents: frozenset[str],
        rows: Mapping[str, RowTemplate],
        embedder: Embedder,
        work: WorkCache,
        parser: Parser | None,
        redactors: Mapping[str, Redactor],
        settings: Settings,
        stages: Stages | None,
        courtesy: Courtesy,
    ) -> None:
        self._documents = documents
        self._rows = rows
        self._embedder = embedder
        self._work = work
        self._parser = parser
        self._redactors = redactors
        self._settings = settings
        self._stages = stages
        self._courtesy = courtesy
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

    async def cuts(
        self, changes: Sequence[Change], *, background: bool, apart: bool = False
    ) -> tuple[list[Cut], list[tuple[Change, Failure]]]:
        """Documents read and cut, and those that cannot be; with `apart` all of them in threads."""
        cuts: list[Cut] = []
        refused: list[tuple[Change, Failure]] = []
        kept = {n: cut for n, c in enumerate(changes) if (cut := await self._kept(c)) is not None}
        reading = self._reading({n: c for n, c in enumerate(changes) if n not in kept})
        work = self._courtesy.work(background=background)
        try:
            for n, change in enumerate(changes):
                await work.pause()
                try:
                    if n in kept:
                        cuts.append(await asyncio.to_thread(self._cut, kept[n]))
                    else:
                        cuts.append(await self._waited(change, reading.get(n), apart))
                    if self._stages is not None and not apart:
                        self._stages.set([change], Stage.CHUNKED)
                except BadInput as error:
                    # Its frames hold the document, in a circle with the task that read it: both would stay long.
                    error.__traceback__ = None
                    refused.append((change, self._why(change, error)))
        finally:
            for task in reading.values():
                task.cancel()
        return cuts, refused

    async def again(self, stored: StoredDocument, done: int) -> Cut:
        """A stored document from its own text, which has been through so many steps of its topic's chain. Raises
        BadInput where it must be made from its source."""
        chain = self.chains[stored.topic]
        if stored.failed or not done:
            raise _gone(stored)
        try:
            parsed = _parsed(stored)
        except msgspec.MsgspecError:
            raise _gone(stored) from None
        hidden = chain.keys[done - 1] == chain.text_key
        own = stored.access.own
        cut = Cut(stored.id, stored.topic, stored.stamp, stored.content_hash, parsed, own, hidden)
        return await asyncio.to_thread(self._cut, cut)

    def _why(self, change: Change, error: BadInput) -> Failure:
        failure = Failure(error.step, error.expected, error.got, error.remedy)
        redactor = self._redactors.get(change.stamp.source)
        return failure if redactor is None else cleared_failure(failure, redactor)

    async def _kept(self, change: Change) -> Cut | None:
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
            parsed = _parsed(stored)
        except msgspec.MsgspecError:
            return None
        return Cut(stored.id, stored.topic, change.stamp, stored.content_hash, parsed, about.readers, True)

    def _reading(self, changes: Mapping[int, Change]) -> Mapping[int, asyncio.Task[Parsed]]:
        """Starts to read those documents elsewhere that are not light: several at a time, the others meanwhile."""
        found: dict[int, asyncio.Task[Parsed]] = {}
        for n, change in changes.items():
            if self._parser is None or change.schema.topic in self._rows:
                continue
            path, content = file_of(change)
            media = detect(path, content)
            if not is_light(media, len(content)):
                found[n] = asyncio.create_task(self._parser.parse(path, content, media), name=f"read {path}")
        return found

    async def _waited(self, change: Change, reading: asyncio.Task[Parsed] | None, apart: bool) -> Cut:
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

    async def _tried(self, change: Change, reading: asyncio.Task[Parsed] | None, apart: bool) -> Cut:
        """A large document is parsed and cut in a thread: other changes and questions do not wait for it."""
        if reading is not None:
            cut = _uncut(change, content_hash(file_of(change)[1]), await reading, about_of(change).readers)
            large = apart or len(cut.parsed.text) > LARGE
            return await asyncio.to_thread(self._cut, cut) if large else self._cut(cut)
        size = sum(len(v) for v in change.after or () if isinstance(v, str | bytes))
        return await asyncio.to_thread(self._read, change) if apart or size > LARGE else self._read(change)

    def _slow(self, change: Change) -> bool:
        redactor = self._redactors.get(change.stamp.source)
        return redactor is not None and redactor.slow

    def _read(self, change: Change) -> Cut:
        if change.schema.topic in self._rows:
            return self._cut(self._rendered(change, self._rows[change.schema.topic]))
        path, content = file_of(change)
        return self._cut(_uncut(change, content_hash(content), parse(path, content), about_of(change).readers))

    def _rendered(self, change: Change, template: RowTemplate) -> Cut:
        own = template.readers(change)
        text = template.render(change)
        key = key_name(change.schema, change.key)
        if "\0" in text:
            raise BadInput(
                step=f"render the text of {change.schema.topic} {key}",
                expected="text without NUL characters",
                got="a NUL character",
                remedy="Leave the column out of the template, or clean it at the source.",
            )
        title = f"{change.schema.table.rpartition('.')[2]} {key}"
        return _uncut(
            change, content_hash(text.encode()), Parsed(title, text, False, metadata=template.said(change)), own
        )

    def _cut(self, cut: Cut) -> Cut:
        """Into chunks, each with what is embedded of it. Nothing that is hidden gets beyond this place."""
        redactor = self._redactors.get(cut.stamp.source)
        if redactor is not None and not cut.hidden:
            cut.parsed = cleared(cut.parsed, redactor)
            if cut.topic in self._rows:  # a short text could be guessed from its hash
                cut.content_hash = content_hash(cut.parsed.text.encode())
        title = "" if cut.topic in self._rows else cut.parsed.title
        context = title if cut.parsed.stated else ""
        cut.pieces = chunk(cut.parsed, self._embedder.tokenizer, self._settings.chunk_tokens)
        for piece in cut.pieces:
            indexed = indexed_text(context, piece.heading, piece.text)
            cut.indexed.append(indexed)
            cut.bags.append(bag(indexed_text(title, piece.heading, piece.text)))
            cut.hashes.append(text_hash(indexed))
        return cut


def source_of(topic: str) -> str:
    """A topic's source: its own name, or what stands before the first point."""
    return topic.partition(".")[0]


def file_of(change: Change) -> tuple[str, bytes]:
    """A document's bytes, and the path by which its kind and title are told."""
    assert change.after is not None
    path, content = change.after[:2]
    assert isinstance(path, str)
    assert isinstance(content, bytes)
    return about_of(change).named or path, content


def _uncut(change: Change, digest: str, parsed: Parsed, own: Readers | None) -> Cut:
    id, topic = document_id(change.schema, change.key), change.schema.topic
    return Cut(id, topic, change.stamp, digest, _described(parsed, change), own)


def _described(parsed: Parsed, change: Change) -> Parsed:
    """With what whoever gave it says of it in the place of what it states itself."""
    if change.schema.table:
        return parsed
    about = about_of(change)
    dated = parsed.dated if about.time is None else about.time
    title, stated = (about.title, True) if about.title else (parsed.title, parsed.stated)
    metadata = metadata_of(decoded(about.metadata), parsed.metadata) if about.metadata else parsed.metadata
    return replace(parsed, title=title, stated=stated, dated=dated, metadata=metadata)


def _parsed(stored: StoredDocument) -> Parsed:
    """As it was when it was cut. Raises msgspec.MsgspecError."""
    return layout.unpacked(stored.layout, stored.title, stored.text, stored.media, stored.dated, stored.metadata)


def _gone(stored: StoredDocument) -> BadInput:
    return BadInput(
        step=f"make {stored.id} anew",
        expected="its text and what belongs to its form",
        got="one that could not be read" if stored.failed else "a text alone",
        remedy="It is made from the log.",
    )

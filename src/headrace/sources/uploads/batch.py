"""Requests to changes and state: what one append takes in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from headrace.change import Change, Op, Position
from headrace.clock import HybridClock, now_us
from headrace.described import NOTHING, About, about_text, described_schema
from headrace.errors import HeadraceError, NotFound, SourceError
from headrace.sources.uploads.kept import DOCUMENT, ORIGINAL, Documents, digest_of, encode, packed, unpacked
from headrace.sources.uploads.once import MARK, Marks, decode_mark, encode_mark
from headrace.uploads import Content, Description, Done, Given, NameTaken, Once, Only, Outcome, Outdated

LARGE = 262_144
"""Bytes from which on a content is packed and hashed in a thread."""

Fetch = Callable[[str], Awaitable[bytes | None]]
"""A value of the state."""


@dataclass(frozen=True, slots=True)
class Put:
    """A content for a name. `size` is how much memory it takes while it is appended."""

    name: str
    content: Content
    changes: Description
    only: Only
    once: Once | None = None

    @property
    def size(self) -> int:
        return self.content.size


@dataclass(frozen=True, slots=True)
class Describe:
    name: str
    changes: Description
    only: Only
    size: int = 0


@dataclass(frozen=True, slots=True)
class Remove:
    name: str
    only: Only
    size: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """The document once more as a change, as it is."""

    name: str
    size: int = 0


Request = Put | Describe | Remove | Again


@dataclass(slots=True)
class Batch:
    """What is appended at once. `originals`: contents that it has in memory already."""

    frontier: Position
    changes: list[Change] = field(default_factory=list[Change])
    state: dict[str, bytes | None] = field(default_factory=dict[str, "bytes | None"])
    originals: dict[str, bytes] = field(default_factory=dict[str, bytes])


class Builder:
    """Takes requests one after the other. `documents` and `marks` are changed as if the batch were appended already."""

    def __init__(
        self, source: str, documents: Documents, marks: Marks, clock: HybridClock, fetch: Fetch, batch: Batch
    ) -> None:
        self.batch = batch
        self._marks = marks
        self._schema = described_schema(source)
        self._documents = documents
        self._clock = clock
        self._fetch = fetch

    async def take(self, request: Request) -> Done:
        """Raises NotFound, NameTaken, Outdated, and SourceError where an original cannot be read."""
        before = self._documents.get(request.name)
        match request:
            case Put():
                return await self._put_once(request, before)
            case Describe():
                return await self._describe(request, _known(request.name, before, request.only))
            case Remove():
                return self._remove(_known(request.name, before, request.only))
            case Again():
                return await self._again(_known(request.name, before, Only()))

    async def _put(self, request: Put, before: Given | None) -> Done:
        content, now = request.content, now_us()
        about = request.changes.of(before.about if before else NOTHING)
        if before is not None and (before.digest, before.about) == (content.digest, about):
            return Done(Outcome.UNCHANGED, before.name, before, before.position)
        if before is not None and before.digest != content.digest and request.only.fresh:
            raise _taken(request.name)
        _check(request.name, before, request.only)
        about = _noted(about, before if before is not None and before.digest == content.digest else None)
        original = await _read(content)
        created_at = before.created_at if before else now
        given = Given(request.name, content.digest, content.size, self._position(), created_at, now, about)
        if not self._documents.has_content(content.digest):
            await self._keep(content.digest, original)
        self._write(given, Op.UPDATE if before else Op.CREATE, original)
        if before is not None:
            self._forget_content(before.digest)
        return Done(Outcome.REPLACED if before else Outcome.CREATED, given.name, given, given.position)

    async def _describe(self, request: Describe, before: Given) -> Done:
        name = request.changes.name or before.name
        about = request.changes.of(before.about)
        if name != before.name:
            if self._documents.get(name) is not None:
                raise _taken(name)
            about = about.renamed(before.name, name)
        if (name, about) == (before.name, before.about):
            return Done(Outcome.UNCHANGED, name, before, before.position)
        original = await self._original(before)
        about = _noted(about, before if name == before.name else None)
        given = replace(before, name=name, position=self._position(), changed_at=now_us(), about=about)
        if name == before.name:
            self._write(given, Op.UPDATE, original)
            return Done(Outcome.DESCRIBED, name, given, given.position)
        given = replace(given, position=Position(given.position.major, 1))
        self._end(before, Position(given.position.major, 0))
        self._write(given, Op.CREATE, original)
        return Done(Outcome.RENAMED, name, given, given.position)

    def _remove(self, before: Given) -> Done:
        position = self._position()
        self._end(before, position)
        self._forget_content(before.digest)
        return Done(Outcome.DELETED, before.name, None, position)

    async def _again(self, before: Given) -> Done:
        given = replace(before, position=self._position())
        self._write(given, Op.UPDATE, await self._original(before))
        return Done(Outcome.UNCHANGED, given.name, given, given.position)

    # ---- inside ------------------------------------------------------------------------------------------------------

    async def _put_once(self, request: Put, before: Given | None) -> Done:
        once = request.once
        if once is None:
            return await self._put(request, before)
        return await self._first(once) or self._marked(once, await self._put(request, before))

    async def _first(self, once: Once) -> Done | None:
        """What the same request did before, perhaps in this batch."""
        if not self._marks.has(once.id):
            return None
        value = self.batch.state.get(MARK + once.id) or await self._fetch(MARK + once.id)
        return None if value is None else decode_mark(value)

    def _marked(self, once: Once, done: Done) -> Done:
        self.batch.state[MARK + once.id] = encode_mark(once, done)
        self._marks.add(once)
        self.batch.state.update(self._marks.forgotten(now_us()))
        return done

    def _position(self) -> Position:
        return Position(self._clock.next())

    def _write(self, given: Given, op: Op, original: bytes) -> None:
        self._documents.put(given)
        self.batch.state[DOCUMENT + given.name] = encode(given)
        after = (given.name, original, about_text(given.about))
        self._change(op, given.name, given.position, given.changed_at, after)

    def _end(self, given: Given, position: Position) -> None:
        self._documents.drop(given.name)
        self.batch.state[DOCUMENT + given.name] = None
        self._change(Op.DELETE, given.name, position, now_us(), None)

    def _change(self, op: Op, name: str, position: Position, at: int, after: tuple[str, bytes, str] | None) -> None:
        self.batch.changes.append(Change(self._schema, op, position, at, position.major, (name,), None, after))
        self.batch.frontier = position

    async def _keep(self, digest: str, original: bytes) -> None:
        apart = len(original) > LARGE
        self.batch.state[ORIGINAL + digest] = await asyncio.to_thread(packed, original) if apart else packed(original)
        self.batch.originals[digest] = original

    def _forget_content(self, digest: str) -> None:
        if not self._documents.has_content(digest):
            self.batch.state[ORIGINAL + digest] = None

    async def _original(self, given: Given) -> bytes:
        if given.digest in self.batch.originals:
            return self.batch.originals[given.digest]
        return await original_of(given, self._fetch)


def _noted(about: About, before: Given | None) -> About:
    """With since when nothing but its readers has changed, if they are all that is another than `before`."""
    if before is None or msgspec.structs.replace(before.about, readers=about.readers) != about:
        return msgspec.structs.replace(about, same_since=0)
    return msgspec.structs.replace(about, same_since=about.same_since or before.position.major)


async def original_of(given: Given, fetch: Fetch) -> bytes:
    """A document's content as it was given. Raises SourceError when the store holds another one."""
    value = await fetch(ORIGINAL + given.digest)
    try:
        apart = given.size > LARGE
        original = None if value is None else await asyncio.to_thread(unpacked, value) if apart else unpacked(value)
    except ValueError as error:  # zlib.error is one
        original, why = None, str(error)
    else:
        why = "nothing"
    if original is None or digest_of(original) != given.digest:
        raise SourceError(
            step=f"read the original of {given.name}",
            expected=f"content with the hash {given.digest}",
            got=why if original is None else "another one",
            remedy="The store's own data is damaged: restore it from a backup, or upload the document again.",
        )
    return original


async def _read(content: Content) -> bytes:
    try:
        return await asyncio.to_thread(Path.read_bytes, content.path)
    except OSError as error:
        raise SourceError(
            step="read an upload from the scratch folder",
            expected=f"a file of {content.size} bytes",
            got=error.strerror or type(error).__name__,
            remedy="Send it again.",
        ) from None


def _known(name: str, before: Given | None, only: Only) -> Given:
    if before is None:
        raise NotFound(
            step="change an uploaded document",
            expected="a document of that name",
            got=name[:200],
            remedy="See GET /v1/documents for those that there are.",
        )
    _check(name, before, only)
    return before


def _check(name: str, before: Given | None, only: Only) -> None:
    if only.match is None:
        return
    if before is None or not ("*" in only.match or before.digest in only.match):
        raise Outdated(
            step=f"change {name[:200]}",
            expected="a document with the hash that If-Match names",
            got="none" if before is None else before.digest,
            remedy="Read it again, then decide anew.",
        )


def _taken(name: str) -> HeadraceError:
    return NameTaken(
        step=f"take in {name[:200]}",
        expected="a name that is free, or the same content as is there",
        got="another content",
        remedy="PUT /v1/documents/{id} replaces it; or give the new one another name.",
    )

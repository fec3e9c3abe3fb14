"""The registry of documents: those in the index, and those on their way into it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from headrace.access import Access, Viewer
from headrace.answer.service import Asked
from headrace.app.core import Core
from headrace.change import Position, Stamp
from headrace.clock import rfc3339
from headrace.errors import BadRequest
from headrace.knowledge.operator import KNOWLEDGE
from headrace.knowledge.stages import COMING, Stage
from headrace.server.shapes import JsonObject, metadata_json, told_json
from headrace.stores.conditions import Condition
from headrace.stores.knowledge import DocumentInfo, Listing
from headrace.uploads import Given, by_name

StageName = Literal["received", "chunked", "embedded", "ready", "failed"]
MOST_LETTERS = 10_000


@dataclass(frozen=True, slots=True)
class Coming:
    """A version that was uploaded and is not in the index yet."""

    source: str
    given: Given
    stage: Stage

    @property
    def id(self) -> str:
        return f"{self.source}/{self.given.name}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page: its length and the id that it begins behind, of what fits."""

    source: str | None = None
    stage: StageName | None = None
    text: str | None = None
    prefix: str | None = None
    label: str | None = None
    limit: int = 100
    after: str = ""
    metadata: tuple[Condition, ...] = ()

    @property
    def of_indexed(self) -> bool:
        """Only what the index has can be so: labels and metadata are known of documents that were read."""
        return self.label is not None or bool(self.metadata)

    def listing(self, coming: Sequence[str]) -> Listing:
        """Of the store; of what is coming only where nothing else is asked for."""
        if self.stage in COMING:
            return Listing(ids=tuple(coming))
        failed = None if self.stage is None else self.stage == Stage.FAILED
        return Listing(self.source, self.text, self.prefix, failed, label=self.label, metadata=self.metadata)


@dataclass(frozen=True, slots=True)
class Page:
    """`next`: what the one behind it is asked for by; None at the end."""

    documents: Sequence[JsonObject]
    next: str | None
    token: str


async def page(core: Core, wanted: Wanted, asked: Asked) -> Page:
    """Looks at what is coming first: what is applied meanwhile is in the snapshot then."""
    on_way = _on_way(core, wanted, asked.viewer) if asked.as_of is None and not wanted.of_indexed else {}
    behind = sorted(id for id in on_way if id > wanted.after)[: wanted.limit + 1]
    async with core.reader.view(asked, KNOWLEDGE) as view:
        if not asked.viewer.operator:  # a version that is coming may be for more people than the one that is there
            readable = await view.snapshot.knowledge.readable(behind)
            behind = [id for id in behind if id in readable]
        listing = wanted.listing(behind)
        found = await view.snapshot.knowledge.listed(listing, wanted.after, wanted.limit + 1)
        token = await view.token()
    letters: Mapping[str, int] = await _letters(core) if any(info.error for info in found) else {}
    rows = {info.id: _row(core, info, on_way.get(info.id), letters) for info in found}
    rows |= {id: _new(core, on_way[id]) for id in behind if id not in rows}
    ids = sorted(rows)
    more, ids = len(ids) > wanted.limit, ids[: wanted.limit]
    # A version that is coming is what a document is at, whatever the one before it was.
    shown = [rows[id] for id in ids if wanted.stage in (None, rows[id]["stage"])]
    return Page(shown, cursor(ids[-1]) if more else None, token)


async def one(core: Core, id: str, viewer: Viewer) -> JsonObject | None:
    """A document that has no version in the index yet."""
    found = next((c for c in coming(core) if c.id == id and _shown(core, c, viewer)), None)
    return None if found is None else _new(core, found)


def coming(core: Core) -> Iterable[Coming]:
    """Everything uploaded that the index does not have, newest first of each source."""
    for source in by_name(core.engine.sources).values():
        for given in source.since(applied(core, source.name)):
            yield Coming(source.name, given, core.stages.of(f"{source.name}/{given.name}", given.position))


def applied(core: Core, source: str) -> Position:
    """Up to where the index has a source, also in the middle of a large append."""
    tracker = core.engine.tracker
    return max(tracker.reached(KNOWLEDGE, source), tracker.applied(KNOWLEDGE, source).position)


def cursor(id: str) -> str:
    return base64.urlsafe_b64encode(id.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def read_cursor(text: str) -> str:
    """Raises BadRequest."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode("utf-8", "surrogatepass")
    except (ValueError, binascii.Error):
        raise BadRequest(
            step="read the cursor", expected="`next` of the page before", got=repr(text[:60]), remedy="Begin anew."
        ) from None


def _shown(core: Core, one: Coming, viewer: Viewer) -> bool:
    """Whether somebody will be able to read it."""
    return Access(core.access.of(one.id), one.given.about.readers).lets_in(viewer)


def _on_way(core: Core, wanted: Wanted, viewer: Viewer) -> dict[str, Coming]:
    text, prefix = (wanted.text or "").lower(), wanted.prefix or ""
    return {
        c.id: c
        for c in coming(core)
        if wanted.source in (None, c.source)
        and text in c.id.lower()
        and c.id.startswith(prefix)
        and wanted.stage in (None, c.stage, *_ENDED)
        and _shown(core, c, viewer)
    }


_ENDED = (Stage.READY, Stage.FAILED)


async def _letters(core: Core) -> Mapping[str, int]:
    """Open dead letters of documents, by document."""
    found: dict[str, int] = {}
    for letter in await core.store.letters(limit=MOST_LETTERS):
        if letter.operator == KNOWLEDGE:
            table = letter.topic.removeprefix(letter.source).removeprefix(".")
            found["/".join(part for part in (letter.source, table, letter.key) if part)] = letter.id
    return found


def _row(core: Core, info: DocumentInfo, newer: Coming | None, letters: Mapping[str, int]) -> JsonObject:
    """What the index has, at the stage of the version that comes behind it, if one does."""
    given = _given(core, info.id)
    row: JsonObject = {
        **_named(info.id, info.stamp.source, given),
        "title": info.title,
        "media": info.media,
        "content_hash": info.content_hash,
        "chunks": info.chunks,
        "stage": info.stage,
        "error": msgspec.to_builtins(info.error) if info.error else None,
        "dead_letter": letters.get(info.id) if info.error else None,
        "searchable": info.error is None,
        "metadata": metadata_json(info.metadata),
        **told_json(info),
        "dated": None if info.dated is None else rfc3339(info.dated),
        "changed_at": rfc3339(info.stamp.committed_at),
        "stamp": core.reader.stamp(info.stamp),
    }
    if newer is None or newer.given.position <= info.stamp.position:
        return row
    return {**row, **_at(core, newer), "error": None, "dead_letter": None}


def _new(core: Core, one: Coming) -> JsonObject:
    """What the index has nothing of."""
    nothing: JsonObject = {"title": None, "media": None, "chunks": 0, "error": None, "dead_letter": None}
    nothing |= {"metadata": {}, "labels": None, "summary": None}
    named = _named(one.id, one.source, one.given)
    return {**named, **nothing, "searchable": False, "dated": None, **_at(core, one)}


def _at(core: Core, one: Coming) -> JsonObject:
    given = one.given
    return {
        "stage": one.stage.value,
        "content_hash": given.digest,
        "changed_at": rfc3339(given.changed_at),
        "stamp": core.reader.stamp(Stamp(one.source, given.position, given.changed_at)),
    }


def _named(id: str, source: str, given: Given | None) -> JsonObject:
    """`size` and `created_at` are known of what was uploaded."""
    return {
        "id": id,
        "source": source,
        "name": id.removeprefix(source + "/"),
        "uploaded": given is not None,
        "size": given.size if given else None,
        "created_at": rfc3339(given.created_at) if given else None,
    }


def _given(core: Core, id: str) -> Given | None:
    prefix, _, name = id.partition("/")
    source = by_name(core.engine.sources).get(prefix)
    return None if source is None else source.given(name)

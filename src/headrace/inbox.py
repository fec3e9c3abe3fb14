"""Port: a source that is given its changes. Faces push into it, its stream hands on what came, in the order it came."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec

from headrace.change import Position
from headrace.envelopes import ChangeDraft, Hints
from headrace.envelopes.read import read
from headrace.errors import BadInput, HeadraceError

LISTED = 1000
"""So many rejected records an answer lists; further ones are counted, and all of them are dead letters."""


class InboxFull(HeadraceError):
    """As much is waiting to be taken into the log as this source lets wait."""

    status = 429
    title = "Too many changes at once"


class KeyReused(HeadraceError):
    """An Idempotency-Key that came with another body before."""

    status = 422
    title = "The Idempotency-Key belongs to another request"


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a push: what it changes (nothing, for one that changes no row), or why it cannot be read.

    `index` counts a push's records from 0. `id` tells the record from every other one; empty: it has none. `record`
    is what came, with what the sender said of it, for the dead letters.
    """

    index: int
    drafts: Sequence[ChangeDraft] = ()
    id: str = ""
    error: HeadraceError | None = None
    record: bytes = b""


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """A record that is now a dead letter."""

    index: int
    step: str
    expected: str
    got: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a push. accepted + duplicates + ignored + rejected are all of its records.

    `duplicates` came before, `ignored` change no row. `rejected` are the first LISTED of `rejections`. `position`:
    everything of the push is at or before it.
    """

    accepted: int
    duplicates: int
    ignored: int
    rejections: int
    rejected: Sequence[RejectedItem]
    position: Position

    @property
    def records(self) -> int:
        return self.accepted + self.duplicates + self.ignored + self.rejections


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of all records since the source was opened, and how many changes wait for the log now."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    rejected: int = 0
    waiting: int = 0


class Push(Protocol):
    """One push under way.

    - `done`: how many of its first records an earlier push with the same key brought in before it broke off: these
      are not to be put again. `digest` is that of the last of them, or of the whole push when `receipt` is there.
    - `receipt`: what an earlier, whole push with the same key came to; then nothing is put.
    - `put(items, digest)` returns when the log has them (not yet on disk). With `last` the push is whole, and the
      receipt what it came to. `digest` identifies all records up to and with these.
    """

    @property
    def done(self) -> int: ...
    @property
    def digest(self) -> bytes: ...
    @property
    def receipt(self) -> Receipt | None: ...
    async def put(self, items: Sequence[Item], digest: bytes, *, last: bool) -> Receipt: ...


@runtime_checkable
class Inbox(Protocol):
    """- `push(key)` begins a push; two with the same key wait for each other. Raises InboxFull when too much waits, and
    SourceError when nobody takes changes out (`put` too, when that ends meanwhile: whether they got into the log is
    not known then, and the same push with the same key finds out).
    - `again(topic, key, record)`: a rejected record once more, as its dead letter has it.
    - `counts`: of records that the log has.
    """

    @property
    def name(self) -> str: ...
    @property
    def counts(self) -> Counts: ...
    def push(self, key: str) -> AbstractAsyncContextManager[Push]: ...
    async def again(self, topic: str, key: str, record: bytes) -> bool: ...


class KeptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a dead letter keeps of a record: itself (as base64 when it is no text) and what the sender said of it."""

    record: str
    base64: bool = False
    format: str = ""
    table: str = ""
    key: tuple[str, ...] = ()


_kept = msgspec.json.Decoder(KeptRecord)


def keep_record(record: bytes, hints: Hints) -> bytes:
    try:
        return msgspec.json.encode(KeptRecord(record.decode(), False, hints.format, hints.table, hints.key))
    except UnicodeDecodeError:
        text = base64.b64encode(record).decode()
        return msgspec.json.encode(KeptRecord(text, True, hints.format, hints.table, hints.key))


def read_item(index: int, record: bytes, hints: Hints) -> Item:
    """A record as an item; one that cannot be read keeps what came."""
    try:
        decoded = read(record, hints)
    except BadInput as error:
        return Item(index, error=error, record=keep_record(record, hints))
    missing = any(d.missing for d in decoded.drafts)
    return Item(index, decoded.drafts, decoded.id, record=keep_record(record, hints) if missing else b"")


def read_kept(kept: bytes) -> Item:
    """What `keep_record` kept, read once more."""
    found = _kept.decode(kept)
    record = base64.b64decode(found.record) if found.base64 else found.record.encode()
    return read_item(0, record, Hints(found.format, found.table, found.key))

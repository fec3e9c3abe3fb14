"""Port: a source captures the committed changes of one outside system."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from headrace.change import Change, Position, Style
from headrace.envelope import Origin
from headrace.errors import HeadraceError
from headrace.findings import Finding


@dataclass(frozen=True, slots=True)
class Rejected:
    """One input that could not become a change: it goes to the dead letters and the stream goes on.

    `topic` and `key` name it as the log would have; `key` is text (a path, or key values joined by `,`). `record`: what
    came, for a source that cannot read it again.
    """

    topic: str
    key: str
    position: Position
    committed_at: int
    error: HeadraceError
    record: bytes = b""


@dataclass(frozen=True, slots=True)
class Captured:
    """One step of a source: appended to the log as a whole, with the state, or not at all.

    `changes` are whole transactions in commit order (a very large one may be cut: then `frontier` stays before it
    until its last part). `state` is what the source wants to find again after a restart that resumes behind these
    changes; a value of None removes a key. `frontier`: every change up to here has been given.
    """

    frontier: Position
    changes: Sequence[Change] = ()
    state: Mapping[str, bytes | None] = field(default_factory=dict[str, bytes | None])
    rejected: Sequence[Rejected] = ()
    settled: Sequence[tuple[str, str]] = ()
    """(topic, key) of earlier rejected inputs that are in order again: readable (changed or as before), or gone."""


class State(Protocol):
    """The state that a source left with the last changes that the log holds."""

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values of those keys that exist."""
        ...

    async def scan(self, prefix: str) -> dict[str, bytes]:
        """Every key that starts with `prefix`, with its value."""
        ...


class Known(Protocol):
    """What the log holds of the source: to compare with the source itself."""

    async def partitions(self, topic: str) -> tuple[Sequence[int], bool]:
        """The topic's partitions, and whether each still begins with its first change (nothing was forgotten)."""
        ...

    def known(self, topic: str, partition: int) -> AsyncGenerator[Sequence[Change]]:
        """A partition's changes from the first one on, some at a time, up to its end at the call."""
        ...


@dataclass(frozen=True, slots=True)
class Resume:
    """Where to go on: the last position in the log (START when there is none), when the change there was committed (0:
    not known), and the state that stands with it."""

    position: Position
    state: State
    known: Known | None = None
    committed_at: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotProgress:
    """How far a first copy is: rows (or files) done and expected in all, since `started_at` (microseconds)."""

    done: int
    total: int
    started_at: int


@dataclass(frozen=True, slots=True)
class Retained:
    """What a source's server keeps on its disk for us: `bytes`, and from how many on (`limit`) `policy` is carried out.

    `status` is the server's own word for it, `advice` says what a person should do (empty: nothing).
    """

    bytes: int
    limit: int
    policy: str
    status: str
    advice: str


@runtime_checkable
class Retaining(Protocol):
    """A source at which unread changes take room: it watches how much, whether or not it is being read."""

    @property
    def retained(self) -> Retained | None:
        """As last seen; None before."""
        ...


@runtime_checkable
class Described(Protocol):
    """A source that knows more of itself than its kind: what envelopes of its changes say of it."""

    @property
    def origin(self) -> Origin: ...


class Source(Protocol):
    """Changes of one outside system, in the order in which it committed them.

    - `stream(resume)` yields everything committed after `resume.position`, first a consistent snapshot when there is
      no position yet, without gap or overlap, then changes as they come; it waits for wake-ups, never polls. Closing
      the iterator stops reading. A connection that breaks is re-opened inside with growing pauses (`problem` says
      why meanwhile); what a person must mend raises SourceError, above all a position that the source no longer
      holds: it never resumes silently somewhere else.
    - `ack(position)`: the log holds everything up to here on disk; the source may forget it. Called at any time from
      the same event loop; keeps no promise about when the source acts on it.
    - `head()`: a position P such that everything committed before the call is at or before P, and such that the
      stream's frontier reaches P without further changes (a source may have to be woken for it: that is this method's
      duty). It may wait until a stream is being read. Raises SourceError when the source cannot be asked.
    - `retry(topic, key)`: read a rejected input again and give it as a change if that works now; False when this
      source cannot read single inputs again.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str:
        """`postgresql`, `file`, ..."""
        ...

    @property
    def style(self) -> Style: ...
    @property
    def address(self) -> str:
        """The URL without secrets."""
        ...

    @property
    def problem(self) -> HeadraceError | None:
        """Why nothing comes at the moment; None while all is well."""
        ...

    @property
    def snapshot(self) -> SnapshotProgress | None:
        """The first copy's progress while it runs."""
        ...

    def stream(self, resume: Resume) -> AsyncGenerator[Captured]: ...
    async def ack(self, position: Position) -> None: ...
    async def head(self) -> Position: ...
    async def retry(self, topic: str, key: str) -> bool: ...
    async def close(self) -> None: ...


@runtime_checkable
class Hinted(Protocol):
    """A source that hears that something has happened before it can say what.

    `calm` is set unless such a hint is being looked into; when it is set again, what came of it has been given. Whoever
    asks a question in that moment may wait for it, a few milliseconds.
    """

    @property
    def calm(self) -> asyncio.Event: ...


@runtime_checkable
class Receiving(Protocol):
    """A source that is given what it streams. `taking`: whether it takes it in now, which it does while it is read, a
    moment after its stream was begun."""

    @property
    def taking(self) -> bool: ...


@runtime_checkable
class Comparable(Protocol):
    """A source of documents that can say what stands in it now, beside its stream.

    - `standing`: every document's key and its content's hash (`sha256:` and hex digits), ascending by key, some at a
      time; None in the place of the hash for what cannot be given. Raises SourceError when it cannot be asked.
    - `stands`: one document's hash now; None when it is not there or cannot be given.
    """

    @property
    def name(self) -> str: ...
    async def head(self) -> Position: ...
    async def retry(self, topic: str, key: str) -> bool: ...
    def standing(self) -> AsyncGenerator[Sequence[tuple[str, str | None]]]: ...
    async def stands(self, key: str) -> str | None: ...


class SnapshotState(StrEnum):
    """WAITING for its turn, COPYING rows, COMPARING what the log holds with what is left at the source; then ended."""

    WAITING = "waiting"
    COPYING = "copying"
    COMPARING = "comparing"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SnapshotJob:
    """One table's snapshot beside the stream. `rate` is rows a second, times are microseconds; `total` is what the
    statistics expect, None when nothing is known. `deleted`: rows that only the log still had. `note`: what the
    comparison could not cover."""

    id: str
    source: str
    table: str
    reason: str
    state: SnapshotState
    done: int
    total: int | None
    deleted: int
    chunk: int
    rate: float
    started_at: int
    ended_at: int | None
    problem: str | None
    note: str | None


@runtime_checkable
class Snapshotting(Protocol):
    """A source that can read tables again beside its stream, without stopping it.

    - `snapshots`: those that wait, run, or ended lately, oldest first.
    - `snapshot_again(tables, first, last)`: reads the tables that match a pattern again, or of one table the keys from
      `first` to `last` (both included; key values joined by `,` as `key_text` does). Returns when the request stands
      in the state, or will with the next append. Raises NotFound, BadRequest, or SourceError when the source cannot
      be asked.
    - `cancel_snapshot(id)`: ends one; what it has given stays. Raises NotFound.
    """

    @property
    def snapshots(self) -> Sequence[SnapshotJob]: ...
    async def snapshot_again(self, tables: str, first: str | None, last: str | None) -> Sequence[SnapshotJob]: ...
    async def cancel_snapshot(self, id: str) -> SnapshotJob: ...


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What `[[sources]]` says, secrets resolved. `id` names this Headrace's slot at shared sources. `scratch`: a folder
    for temporary files (the system's when empty). `options`: what only this kind of source understands."""

    name: str
    url: str
    id: str
    tables: tuple[str, ...] = ("*",)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: int = 32 * 1024 * 1024
    batch_rows: int = 4000
    scratch: str = ""
    options: Mapping[str, str] = field(default_factory=dict[str, str])


Doctor = Callable[[SourceSettings], Awaitable[Sequence[Finding]]]
"""What the registry's `DOCTORS` name, by the same schemes as `SOURCES`: looks at a source before it is used.

It changes nothing there, opens sessions of its own and closes them, and answers within some ten seconds also when
nobody answers it. What is wrong is told as findings, each with its remedy, one for each thing that a person can mend;
what is in order too (`ok`), so that one sees what was looked at. It raises ConfigError for settings that it cannot
read; any HeadraceError that it lets through counts as one finding.
"""

SourceFactory = Callable[[SourceSettings], Source]
"""What the registry's addresses name."""

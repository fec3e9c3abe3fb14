"""Port: the durable, ordered log between sources and operators."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace.change import Change, Position, Style
from headrace.sources import State


@dataclass(frozen=True, slots=True)
class Append:
    """One atomic append of one source: `number` counts a source's appends from 1 without gaps.

    `changes_total` and `bytes_total` count the source's log up to and with this append: differences give lag.
    """

    source: str
    number: int
    changes: Sequence[Change]
    position: Position
    committed_at: int
    changes_total: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class SourceHead:
    """The end of one source's part of the log. `number` 0 means that nothing was appended yet."""

    source: str
    number: int
    position: Position
    committed_at: int
    changes_total: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class Logged:
    """A change at its place in a topic."""

    topic: str
    partition: int
    offset: int
    change: Change


@dataclass(frozen=True, slots=True)
class TopicPartition:
    """A partition's extent: offsets `first` (after retention) up to `next` (not yet written), with totals."""

    topic: str
    source: str
    partition: int
    first: int
    next: int
    changes: int
    bytes: int


class Log(Protocol):
    """Topics of partitions of offsets; one writer per source.

    - `open(source)` makes the caller the source's writer, fences any earlier one, and tells the end of its log.
    - `append` writes changes (one source, its order) and state atomically: they get the next offsets of their
      partitions (a key always goes to the same partition of its topic) and are visible to readers in order, without
      gaps; it returns when they are visible, not when they are on disk. Raises Fenced when another writer took over.
    - `sync` returns when everything appended before the call is on disk.
    - `follow(source, after)` gives that source's appends with number > `after`, in order, as many as are there, then
      new ones as they come, woken, not polled. It reads again from the log whatever the reader missed, so a slow
      reader holds nothing up.
    - `read` gives changes of one partition from an offset on, at most `limit`; offsets below `first` were trimmed.
    - `trim(before, applied)` forgets whole appends older than `before` (microseconds) of each source up to its number
      in `applied`, which every operator has applied on disk; how many changes went. A source not named keeps all.
    - `wait(topic, partition, offset)` returns when the partition holds `offset`; the topic may be yet to come.
      Raises NotFound when no open source has topics of that name.
    """

    async def open(self, source: str, style: Style) -> SourceHead: ...
    def state(self, source: str) -> State: ...
    async def append(
        self, source: str, changes: Sequence[Change], state: Mapping[str, bytes | None] | None = None
    ) -> Append | None: ...
    async def sync(self) -> None: ...
    def follow(self, source: str, after: int) -> AsyncGenerator[Sequence[Append]]: ...
    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[Logged]: ...
    async def topics(self) -> Sequence[TopicPartition]: ...
    async def heads(self) -> Sequence[SourceHead]: ...
    async def trim(self, before: int, applied: Mapping[str, int]) -> int: ...
    async def wait(self, topic: str, partition: int, offset: int) -> None: ...
    async def close(self) -> None: ...

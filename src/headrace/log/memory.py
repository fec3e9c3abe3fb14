"""Adapter: the log in this process's memory, for tests and for trying things out.

Nothing is on disk: when the process ends, the log and what sources left with it are gone, and a store that has applied
something of it refuses to go on with the empty one. Use it with an empty store only.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from headrace.change import START, Change, Position, Style, runs
from headrace.clock import now_us
from headrace.codec import encode
from headrace.errors import Fenced, NotFound
from headrace.log import Append, Logged, SourceHead, TopicPartition
from headrace.log.partition import split

READ_AHEAD = 2000
"""Changes that a follower takes at once when it is behind."""


@dataclass(slots=True)
class _Batch:
    """Changes of one append in one partition: its first offset, and the append's number."""

    base: int
    number: int
    changes: Sequence[Change]


@dataclass(slots=True)
class _Partition:
    first: int = 0
    next: int = 0
    changes: int = 0
    bytes: int = 0
    batches: list[_Batch] = field(default_factory=list[_Batch])


@dataclass(slots=True)
class _Source:
    """One source's part of the log; `appends` holds (when it came, the append), ascending."""

    head: SourceHead
    epoch: int = 0
    appends: list[tuple[int, Append]] = field(default_factory=list[tuple[int, Append]])
    state: dict[str, bytes] = field(default_factory=dict[str, bytes])
    topics: dict[str, list[_Partition]] = field(default_factory=dict[str, list[_Partition]])
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)


class Memory:
    """What several `MemoryLog`s share, as several processes share a database."""

    def __init__(self) -> None:
        self.sources: dict[str, _Source] = {}


class MemoryLog:
    """Implements `headrace.log.Log`."""

    def __init__(self, memory: Memory, partitions: int) -> None:
        self._memory = memory
        self._partitions = partitions
        self._epochs: dict[str, int] = {}

    @classmethod
    async def connect(cls, dsn: str, *, partitions: int = 1, memory: Memory | None = None) -> Self:
        """An empty log, or one more writer and reader of `memory`; `dsn` is the store's and not used."""
        del dsn
        return cls(memory or Memory(), partitions)

    async def open(self, source: str, style: Style) -> SourceHead:
        del style
        known = self._memory.sources.setdefault(source, _Source(SourceHead(source, 0, START, 0, 0, 0)))
        known.epoch += 1
        self._epochs[source] = known.epoch
        return known.head

    def state(self, source: str) -> MemoryState:
        return MemoryState(self._memory.sources[source].state)

    async def append(
        self, source: str, changes: Sequence[Change], state: Mapping[str, bytes | None] | None = None
    ) -> Append | None:
        if not changes and not state:
            return None
        known = self._memory.sources[source]
        if known.epoch != self._epochs[source]:
            raise _fenced(source)
        for topic in {schema.topic for schema, _ in runs(changes)} - known.topics.keys():
            known.topics[topic] = [_Partition() for _ in range(self._partitions)]
        append = _store(known, changes)
        for key, value in (state or {}).items():
            if value is None:
                known.state.pop(key, None)
            else:
                known.state[key] = value
        async with known.grown:
            known.grown.notify_all()
        return append

    async def sync(self) -> None:
        """There is no disk that could be behind."""

    async def follow(self, source: str, after: int) -> AsyncGenerator[Sequence[Append]]:
        known = self._memory.sources[source]
        while True:
            async with known.grown:
                await known.grown.wait_for(lambda: known.head.number > after)  # noqa: B023 - asked before it changes
            appends = _ahead(known, after)
            after = appends[-1].number
            yield appends

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[Logged]:
        found = self._partition(topic, partition)
        if found is None:
            return []
        start = max(0, bisect_right(found.batches, offset, key=lambda b: b.base) - 1)
        logged: list[Logged] = []
        for batch in found.batches[start:]:
            for n, change in enumerate(batch.changes, start=batch.base):
                if len(logged) >= limit:
                    return logged
                if n >= offset:
                    logged.append(Logged(topic, partition, n, change))
        return logged

    async def wait(self, topic: str, partition: int, offset: int) -> None:
        names = [s for s in self._epochs if topic == s or topic.startswith(s + ".")]
        if not names:
            raise NotFound(
                step="wait for changes",
                expected="a topic of a source that is being read",
                got=topic[:200],
                remedy="Start Headrace with that source, then follow the topic.",
            )
        known = self._memory.sources[max(names, key=len)]

        def there() -> bool:
            found = self._partition(topic, partition)
            return found is not None and found.next > offset

        async with known.grown:
            await known.grown.wait_for(there)

    async def topics(self) -> Sequence[TopicPartition]:
        return sorted(
            (
                TopicPartition(topic, source, n, p.first, p.next, p.changes, p.bytes)
                for source, known in self._memory.sources.items()
                for topic, partitions in known.topics.items()
                for n, p in enumerate(partitions)
            ),
            key=lambda t: (t.topic, t.partition),
        )

    async def heads(self) -> Sequence[SourceHead]:
        return [known.head for _, known in sorted(self._memory.sources.items())]

    async def trim(self, before: int, applied: Mapping[str, int]) -> int:
        return sum(
            _forget(known, before, applied[source])
            for source, known in self._memory.sources.items()
            if source in applied
        )

    async def close(self) -> None:
        """Leaves the memory to those who share it."""

    def _partition(self, topic: str, partition: int) -> _Partition | None:
        for known in self._memory.sources.values():
            partitions = known.topics.get(topic)
            if partitions is not None and partition < len(partitions):
                return partitions[partition]
        return None


class MemoryState:
    """Implements `headrace.sources.State`."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._values = values

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {k: self._values[k] for k in keys if k in self._values}

    async def scan(self, prefix: str) -> dict[str, bytes]:
        return {k: v for k, v in sorted(self._values.items()) if k.startswith(prefix)}


def _store(known: _Source, changes: Sequence[Change]) -> Append:
    """Puts changes into their partitions and moves the source's head."""
    head = known.head
    number, count, size = head.number + 1, 0, 0
    parts = split(changes, {topic: len(partitions) for topic, partitions in known.topics.items()})
    for topic, n, group in parts:
        partition = known.topics[topic][n]
        weight = len(encode(group))
        partition.batches.append(_Batch(partition.next, number, group))
        partition.next += len(group)
        partition.changes += len(group)
        partition.bytes += weight
        count += len(group)
        size += weight
    position: Position = changes[-1].position if changes else head.position
    committed_at = changes[-1].committed_at if changes else head.committed_at
    totals = (head.changes_total + count, head.bytes_total + size)
    known.head = SourceHead(head.source, number, position, committed_at, *totals)
    append = Append(head.source, number, tuple(changes), position, committed_at, *totals)
    known.appends.append((now_us(), append))
    return append


def _ahead(known: _Source, after: int) -> list[Append]:
    """The appends behind a number, about READ_AHEAD changes; at least one."""
    taken: list[Append] = []
    changes = 0
    for _, append in known.appends[bisect_right(known.appends, after, key=lambda a: a[1].number) :]:
        taken.append(append)
        changes += len(append.changes)
        if changes >= READ_AHEAD:
            break
    head = known.head
    return taken or [
        Append(head.source, head.number, (), head.position, head.committed_at, head.changes_total, head.bytes_total)
    ]


def _forget(known: _Source, before: int, upto: int) -> int:
    """Drops appends that are both old and applied; how many changes went."""
    kept = [(at, a) for at, a in known.appends if at >= before or a.number > upto]
    gone = {a.number for _, a in known.appends} - {a.number for _, a in kept}
    known.appends = kept
    count = 0
    for partition in (p for partitions in known.topics.values() for p in partitions):
        for batch in [b for b in partition.batches if b.number in gone]:
            partition.batches.remove(batch)
            partition.first = max(partition.first, batch.base + len(batch.changes))
            count += len(batch.changes)
    return count


def _fenced(source: str) -> Fenced:
    return Fenced(
        step=f"append to the log of {source}",
        expected="to be its only writer",
        got="another Headrace that has taken the source over",
        remedy="Run one Headrace per store, or give this one a store of its own.",
    )

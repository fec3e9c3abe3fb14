"""Adapter: the log in PostgreSQL tables, record batches instead of a row per change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection

from headrace.change import Change, Position, Style, runs
from headrace.codec import decode, encode, packed
from headrace.errors import Fenced, NotFound
from headrace.link import LinkedConnection
from headrace.log import Append, Logged, SourceHead, TopicPartition
from headrace.log.partition import once, split
from headrace.log.tail import Tail
from headrace.sqlfile import load
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("postgres.sql"))
READ_AHEAD, READ_AHEAD_BYTES = 2000, 16 * 1024 * 1024
"""How much a follower takes at once when it is behind."""
PACK_APART = 1024 * 1024
"""Bytes from which on a payload is packed in another thread: it takes 10 ms and more."""


@dataclass(slots=True)
class _Topic:
    id: int
    next: list[int]


@dataclass(slots=True)
class _Writer:
    """What one source's writer knows: nobody else writes while its epoch stands."""

    source: str
    epoch: int
    number: int
    changes: int
    bytes: int
    position: Position
    committed_at: int
    topics: dict[str, _Topic] = field(default_factory=dict[str, _Topic])
    ends: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    """Where the partitions that it has written end for readers: so nobody who follows one has to ask for it."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class PostgresLog:
    """Implements `headrace.log.Log`; a truncate is written to every partition of its topic."""

    def __init__(
        self, write: LinkedConnection, read: AsyncConnection[Any], sync: AsyncConnection[Any], partitions: int
    ) -> None:
        self._write = write
        self._read = read
        self._sync = sync
        self._writing = asyncio.Lock()
        self._partitions = partitions
        self._writers: dict[str, _Writer] = {}
        self._tails: dict[str, Tail] = {}

    @classmethod
    async def connect(cls, dsn: str, *, partitions: int = 1) -> PostgresLog:
        """Three connections: appends must not wait behind readers, and a sync waits for the disk."""
        relaxed = "-c synchronous_commit=off"
        write, read, sync = await asyncio.gather(
            LinkedConnection.connect(dsn, autocommit=True, options=relaxed, prepare_threshold=1),
            AsyncConnection.connect(dsn, autocommit=True, options=relaxed, prepare_threshold=3),
            AsyncConnection.connect(dsn, autocommit=True, options="-c synchronous_commit=on", prepare_threshold=1),
        )
        return cls(write, read, sync, partitions)

    async def open(self, source: str, style: Style) -> SourceHead:
        args = {"tenant": DEFAULT_TENANT, "source": source, "style": style.value}
        [row] = await self._written(SQL["take_over"], args)
        epoch, number, major, minor, at, changes, size = row
        position = Position(major, minor)
        self._writers[source] = _Writer(source, epoch, number, changes, size, position, at)
        self._tails[source] = Tail(number)
        return SourceHead(source, number, position, at, changes, size)

    def state(self, source: str) -> PostgresState:
        return PostgresState(self._read, source)

    async def append(
        self, source: str, changes: Sequence[Change], state: Mapping[str, bytes | None] | None = None
    ) -> Append | None:
        writer = self._writers[source]
        async with writer.lock:
            return await self._append(writer, changes, state or {})

    async def _append(
        self, writer: _Writer, changes: Sequence[Change], state: Mapping[str, bytes | None]
    ) -> Append | None:
        if not changes and not state:
            return None
        for topic in {schema.topic for schema, _ in runs(changes)} - writer.topics.keys():
            writer.topics[topic] = await self._topic(writer.source, topic)
        # A topic keeps the partitions that it was made with: a key never moves to another one.
        parts = split(changes, {topic: len(known.next) for topic, known in writer.topics.items()})
        encoded = [encode(part[2]) for part in parts]
        batches = [(*part, await _packed(payload)) for part, payload in zip(parts, encoded, strict=True)]
        offsets = _offsets(writer.topics, batches)
        last = changes[-1] if changes else None
        position = last.position if last else writer.position
        committed_at = last.committed_at if last else writer.committed_at
        size = sum(len(b[3]) for b in batches)
        count = sum(len(b[2]) for b in batches)
        number = writer.number + 1
        numbers = [
            (writer.topics[topic].id, partition, offset, len(part))
            for (topic, partition, part, _), offset in zip(batches, offsets, strict=True)
        ]
        args = {
            "tenant": DEFAULT_TENANT, "source": writer.source, "epoch": writer.epoch, "number": number,
            "major": position.major, "minor": position.minor, "committed_at": committed_at,
            "changes": count, "bytes": size,
            "batches": msgspec.json.encode(numbers).decode(), "payloads": [b[3] for b in batches],
            "state_keys": list(state.keys()) if state else None,
            "state_values": list(state.values()) if state else None,
        }  # fmt: skip
        try:
            await self._written(SQL["append"], args)
        except psycopg.Error as error:
            writer.topics.clear()  # the offsets in memory may be ahead of the table now
            if error.sqlstate == "HR001":
                raise _fenced(writer.source) from None
            raise
        writer.number, writer.position, writer.committed_at = number, position, committed_at
        writer.changes += count
        writer.bytes += size
        written = [
            (topic, partition, offset, part)
            for (topic, partition, part, _), offset in zip(batches, offsets, strict=True)
        ]
        writer.ends.update({(topic, partition): first + len(part) for topic, partition, first, part in written})
        append = Append(writer.source, number, changes, position, committed_at, writer.changes, writer.bytes)
        self._tails[writer.source].push(append, written, sum(map(len, encoded)))
        return append

    async def _topic(self, source: str, topic: str) -> _Topic:
        args = {"tenant": DEFAULT_TENANT, "source": source, "topic": topic, "partitions": self._partitions}
        await self._written(SQL["add_topic"], args)
        [row] = await self._written(SQL["topic"], args)
        return _Topic(row[0], list(row[1]))

    async def _written(self, statement: bytes, args: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """A statement on the writing connection, which sources take turns at."""
        async with self._writing, self._write.linked() as link:
            return await (await link.execute(statement, args)).fetchall()

    async def sync(self) -> None:
        await self._sync.execute(SQL["sync"])

    async def follow(self, source: str, after: int) -> AsyncGenerator[Sequence[Append]]:
        tail = self._tails[source]
        while True:
            await tail.wait(after)
            appends = tail.after(after, READ_AHEAD, READ_AHEAD_BYTES)
            if appends is None:
                appends = await self._stored(source, after)
            after = appends[-1].number
            yield appends

    async def _stored(self, source: str, after: int) -> Sequence[Append]:
        args: dict[str, str | int] = {"tenant": DEFAULT_TENANT, "source": source, "after": after}
        most = {"changes": READ_AHEAD, "bytes": READ_AHEAD_BYTES}
        ahead = await (await self._read.execute(SQL["batches_ahead"], {**args, **most})).fetchone()
        assert ahead is not None
        upto = ahead[0] or self._tails[source].head  # appends of state alone have no batches
        writer = self._writers[source]
        alone = Append(
            source, upto, (), writer.position, writer.committed_at, writer.changes, writer.bytes
        )  # as it is now: by the end of the next query the writer may be further than `upto`
        cursor = await self._read.execute(SQL["appends"], {**args, "upto": upto})
        appends: list[Append] = []
        for number, rows in groupby(await cursor.fetchall(), key=lambda row: row[0]):
            batch = list(rows)
            _, major, minor, at, changes_total, bytes_total, _ = batch[-1]
            changes = sorted((c for r in batch for c in decode(r[6])), key=lambda c: c.position)
            changes = once(changes)
            appends.append(Append(source, number, changes, Position(major, minor), at, changes_total, bytes_total))
        return appends or [alone]

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[Logged]:
        source = self._source_of(topic)
        newest = self._tails[source].logged(topic, partition, offset, limit) if source else None
        if newest:  # beyond its end another writer may have written
            return newest
        args = {"tenant": DEFAULT_TENANT, "topic": topic, "partition": partition, "offset": offset}
        cursor = await self._read.execute(SQL["read"], {**args, "changes": limit, "batches": max(1, min(limit, 64))})
        found: list[Logged] = []
        for base, payload in await cursor.fetchall():
            for n, change in enumerate(decode(payload), start=base):
                if n >= offset and len(found) < limit:
                    found.append(Logged(topic, partition, n, change))
        return found

    async def wait(self, topic: str, partition: int, offset: int) -> None:
        source = self._source_of(topic)
        if source is None:
            raise NotFound(
                step="wait for changes",
                expected="a topic of a source that is being read",
                got=topic[:200],
                remedy="Start Headrace with that source, then follow the topic.",
            )
        tail, ends = self._tails[source], self._writers[source].ends
        while True:
            seen = tail.head
            end = ends.get((topic, partition))
            if (await self._end(topic, partition) if end is None else end) > offset:
                return
            await tail.wait(seen)

    def _source_of(self, topic: str) -> str | None:
        """The longest name of an open source that the topic starts with: a topic may not exist yet."""
        names = [s for s in self._tails if topic == s or topic.startswith(s + ".")]
        return max(names, key=len, default=None)

    async def _end(self, topic: str, partition: int) -> int:
        return next((t.next for t in await self.topics() if t.topic == topic and t.partition == partition), 0)

    async def topics(self) -> Sequence[TopicPartition]:
        cursor = await self._read.execute(SQL["topics"], {"tenant": DEFAULT_TENANT})
        return [TopicPartition(*row) for row in await cursor.fetchall()]

    async def heads(self) -> Sequence[SourceHead]:
        cursor = await self._read.execute(SQL["heads"], {"tenant": DEFAULT_TENANT})
        return [SourceHead(s, n, Position(a, i), at, c, b) for s, n, a, i, at, c, b in await cursor.fetchall()]

    async def trim(self, before: int, applied: Mapping[str, int]) -> int:
        ends = {"sources": list(applied.keys()), "numbers": list(applied.values())}
        args = {"tenant": DEFAULT_TENANT, "before": before, **ends}
        row = await (await self._read.execute(SQL["trim"], args)).fetchone()
        count = int(row[0]) if row else 0
        for tail in self._tails.values() if count else ():
            tail.forget()
        return count

    async def close(self) -> None:
        for connection in (self._write, self._read, self._sync):
            await connection.close()


class PostgresState:
    """Implements `headrace.sources.State` over the table that appends write."""

    def __init__(self, connection: AsyncConnection[Any], source: str) -> None:
        self._connection = connection
        self._source = source

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        args = {"tenant": DEFAULT_TENANT, "source": self._source, "keys": list(keys)}
        return dict(await (await self._connection.execute(SQL["state_get"], args, binary=True)).fetchall())

    async def scan(self, prefix: str) -> dict[str, bytes]:
        args = {"tenant": DEFAULT_TENANT, "source": self._source, "prefix": prefix}
        return dict(await (await self._connection.execute(SQL["state_scan"], args)).fetchall())


async def _packed(payload: bytes) -> bytes:
    return await asyncio.to_thread(packed, payload) if len(payload) > PACK_APART else packed(payload)


def _offsets(topics: Mapping[str, _Topic], batches: Sequence[tuple[str, int, list[Change], bytes]]) -> list[int]:
    """Gives each batch the next offsets of its partition."""
    offsets: list[int] = []
    for topic, partition, changes, _ in batches:
        offsets.append(topics[topic].next[partition])
        topics[topic].next[partition] += len(changes)
    return offsets


def _fenced(source: str) -> Fenced:
    return Fenced(
        step=f"append to the log of {source}",
        expected="to be its only writer",
        got="another Headrace that has taken the source over",
        remedy="Run one Headrace per store, or give this one a store of its own.",
    )

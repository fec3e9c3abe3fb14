"""Rows that the log still has and the source no longer: found by reading the log and asking the source for its keys."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from functools import lru_cache

from headrace.change import Change, Op, Row, Schema, key_text
from headrace.sources import Known
from headrace.sources.snapshots.jobs import Job

GROUP = 4000
"""So many keys are asked for at once."""
_MOST = 300_000
_FURTHER = 4

_Part = tuple[int, int]
"""Of the keys those whose hash leaves `part` when divided by `parts`: so many are in memory at once."""


class _TooMany(Exception):
    pass


class Missing:
    """Keys that may be gone: whoever gives their deletes asks once more, between watermarks.

    `gone` gives those of some keys within a job's range that no row has at the moment.
    """

    def __init__(self, known: Known | None, gone: Callable[[Job, Sequence[Row]], Awaitable[Sequence[Row]]]) -> None:
        self._known = known
        self._gone = gone
        self._found: set[Row] = set()
        self._told: set[Row] = set()

    @property
    def possible(self) -> bool:
        return self._known is not None

    def see(self, table: str, changes: Sequence[Change]) -> None:
        """Of what the stream tells meanwhile nothing need be found here."""
        keys = {c.key for c in changes if c.schema.table == table}
        self._found -= keys
        self._told |= keys

    async def find(self, job: Job, schema: Schema) -> AsyncGenerator[tuple[list[Row], str | None]]:
        """Groups of keys, and what could not be compared, if anything."""
        assert self._known is not None
        topic = schema.topic
        partitions, whole = await self._known.partitions(topic)
        note = None if whole else "rows that only older, forgotten parts of the log told are not compared"
        for partition in partitions:
            parts: list[_Part] = [(0, 1)]
            while parts:
                part, of = parts.pop()
                try:
                    if await self._scan(job, schema, partition, (part, of)):
                        note = note or "rows from before the key was changed are not compared"
                except _TooMany:
                    parts += [(part + i * of, of * _FURTHER) for i in range(_FURTHER)]
                    continue
                while self._found:
                    group = [self._found.pop() for _ in range(min(GROUP, len(self._found)))]
                    yield group, note
        yield [], note

    async def _scan(self, job: Job, schema: Schema, partition: int, part: _Part) -> bool:
        """Collects what the log has of one partition and the source has not; whether some keys are of another form."""
        assert self._known is not None
        self._found.clear()
        self._told.clear()
        foreign = False
        form = _form(schema)
        async for changes in self._known.known(schema.topic, partition):
            same = [c for c in changes if c.op is Op.TRUNCATE or _form(c.schema) == form]
            foreign = foreign or len(same) < len(changes)
            alive, ended, truncated = present(same, part)
            if truncated:
                self._found.clear()
            self._found -= ended
            for keys in _groups(alive - self._found):
                gone = await self._gone(job, keys)
                self._found.update(k for k in gone if k not in self._told)
            self._told.clear()  # the next page of the log is read after this
            if len(self._found) > _MOST:
                self._found.clear()
                raise _TooMany
        return foreign


def present(changes: Iterable[Change], part: _Part) -> tuple[set[Row], set[Row], bool]:
    """What consecutive changes leave of a topic: keys that are there, keys that ended, whether a truncate came."""
    alive: set[Row] = set()
    ended: set[Row] = set()
    truncated = False
    for c in changes:
        if c.op is Op.TRUNCATE:
            alive, ended, truncated = set[Row](), set[Row](), True
        elif part[1] == 1 or _hash(c.key) % part[1] == part[0]:
            if c.op is Op.DELETE:
                alive.discard(c.key)
                ended.add(c.key)
            else:
                ended.discard(c.key)
                alive.add(c.key)
    return alive, ended, truncated


def _hash(key: Row) -> int:
    return zlib.crc32(key_text(key).encode("utf-8", "surrogateescape"))


def _groups(keys: set[Row]) -> Iterable[list[Row]]:
    ordered = list(keys)
    return (ordered[i : i + GROUP] for i in range(0, len(ordered), GROUP))


_Form = tuple[tuple[str, str], ...]


@lru_cache(maxsize=1024)
def _form(schema: Schema) -> _Form:
    """The key's columns and their types: keys of another form cannot be asked for."""
    types = {c.name: c.type for c in schema.columns}
    return tuple((name, types.get(name, "")) for name in schema.key)

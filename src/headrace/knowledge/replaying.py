"""The last state of every document as the log tells it, up to a point, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from headrace.change import START, Op, Position, Stamp, document_id
from headrace.log import Log, Logged, TopicPartition

AT_ONCE = 8 << 20
"""About so many bytes of the log are read at a time."""
FEWEST, MOST = 8, 2000
"""Changes read at a time."""


class TooMany(Exception):
    """More documents than are kept in memory at once."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far an operator has applied a source, and how far its deletes have overtaken that (the same or further)."""

    applied: Position
    overtaken: Position


@dataclass(slots=True)
class Last:
    """What a topic's log leaves. `alive`: document -> the (partition, offset) of its last change; `ended`: where others
    ended; `leaving`: those that a delete may or may not have overtaken yet.

    `forgotten`: the log no longer begins with the first change; `begins`: the position of the first that it has.
    """

    alive: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    ended: dict[str, Stamp] = field(default_factory=dict[str, Stamp])
    leaving: set[str] = field(default_factory=set[str])
    emptied: Stamp | None = None
    all_leaving: bool = False
    forgotten: bool = False
    begins: Position = START

    def told(self, document: str, position: Position) -> bool:
        """Whether the log would know of a version of this position."""
        return not self.forgotten or document in self.ended or position >= self.begins


async def replay(
    log: Log, extents: Sequence[TopicPartition], reach: Reach, wanted: Callable[[str], bool], most: int
) -> Last:
    """Reads one topic's partitions for the documents that are `wanted`. Raises TooMany for more than `most`."""
    last = Last(forgotten=any(e.first > 0 for e in extents))
    for extent in extents:
        first = True
        async for page in pages(log, extent):
            if first and extent.first > 0:
                last.begins = max(last.begins, page[0].change.position)
            first = False
            for logged in page:
                _take(last, logged, reach, wanted)
            if len(last.alive) + len(last.ended) > most:
                raise TooMany
        if first and last.forgotten:
            last.begins = Position(reach.overtaken.major, reach.overtaken.minor + 1)
    return last


async def pages(log: Log, extent: TopicPartition) -> AsyncIterator[Sequence[Logged]]:
    """A partition's changes up to its extent, some at a time; ends early where they were forgotten meanwhile."""
    offset = extent.first
    limit = max(FEWEST, min(MOST, AT_ONCE // max(1, extent.bytes // max(1, extent.changes))))
    while offset < extent.next:
        found = await log.read(extent.topic, extent.partition, offset, min(limit, extent.next - offset))
        if not found:
            return
        yield found
        offset = found[-1].offset + 1


def _take(last: Last, logged: Logged, reach: Reach, wanted: Callable[[str], bool]) -> None:
    change = logged.change
    if change.position > reach.applied:
        _coming(last, logged, reach)
    elif change.op is Op.TRUNCATE:
        for id in [id for id, (partition, _) in last.alive.items() if partition == logged.partition]:
            del last.alive[id]
        last.emptied = change.stamp
    elif wanted(id := document_id(change.schema, change.key)):
        if change.op is Op.DELETE:
            last.alive.pop(id, None)
            last.ended[id] = change.stamp
        else:
            last.ended.pop(id, None)
            last.alive[id] = (logged.partition, logged.offset)


def _coming(last: Last, logged: Logged, reach: Reach) -> None:
    """Behind what is applied only deletes can have had an effect."""
    change = logged.change
    if change.position > reach.overtaken:
        return
    if change.op is Op.TRUNCATE:
        last.all_leaving = True
    elif change.op is Op.DELETE:
        last.leaving.add(document_id(change.schema, change.key))

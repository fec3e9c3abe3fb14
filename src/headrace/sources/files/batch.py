"""Gathers what one step found into one `Captured`."""

from __future__ import annotations

from typing import NamedTuple

from headrace.change import Change, Op, Position, Row, document_schema
from headrace.clock import HybridClock, now_us
from headrace.errors import HeadraceError
from headrace.sources import Captured, Rejected
from headrace.sources.files.known import Signature, state_key


class Moment(NamedTuple):
    """When something happened, microseconds: after `floor` (the watch was in step then), no later than `seen`."""

    floor: int
    seen: int


class _Found(NamedTuple):
    committed_at: int
    path: str
    op: Op
    content: bytes
    error: HeadraceError | None


class Batch:
    """Changes and rejections in the order in which they were found, with the state that belongs to them."""

    def __init__(self, source: str, most_files: int, most_bytes: int) -> None:
        self._schema = document_schema(source)
        self._most_files = most_files
        self._most_bytes = most_bytes
        self._found: list[_Found] = []
        self._bytes = 0
        self._settled: list[tuple[str, str]] = []
        self._changed: set[str] = set()
        self._twice = False
        self.paths: set[str] = set()
        self.state: dict[str, bytes | None] = {}
        self.synced: list[int] = []
        self.advance = False

    @property
    def full(self) -> bool:
        return self._bytes >= self._most_bytes or len(self.state) >= self._most_files

    def keep(self, path: str, value: bytes | None) -> None:
        self.state[state_key(path)] = value
        self.paths.add(path)

    def give(self, path: str, content: bytes, seen: Signature, moment: Moment, *, given: bool, first: bool) -> None:
        """A version: `given` when an earlier one stands in the log, `first` during the first copy."""
        op = Op.UPDATE if given else Op.READ if first else Op.CREATE
        self._bytes += len(content)
        self._change_of(path)
        self._found.append(_Found(committed_at(seen, moment.floor, now_us()), path, op, content, None))

    def delete(self, path: str, moment: Moment) -> None:
        self._change_of(path)
        self._found.append(_Found(moment.seen, path, Op.DELETE, b"", None))

    def reject(self, key: str, path: str, error: HeadraceError, moment: Moment) -> None:
        self.paths.add(path)
        self._found.append(_Found(moment.seen, key, Op.READ, b"", error))

    def settle(self, key: str) -> None:
        self._settled.append((self._schema.topic, key))

    def captured(self, clock: HybridClock, frontier: int, *, ordered: bool) -> Captured | None:
        """None when there is nothing to tell. `ordered`: as found, otherwise by the time of their commit."""
        # Times never put two changes of one file in the wrong order.
        found = self._found if ordered or self._twice else sorted(self._found, key=lambda one: one.committed_at)
        changes: list[Change] = []
        rejected: list[Rejected] = []
        for one in found:
            frontier = clock.next()
            if one.error is None:
                changes.append(self._change(one, Position(frontier)))
            else:
                key, at = one.path, one.committed_at
                rejected.append(Rejected(self._schema.topic, key, Position(frontier), at, one.error))
        if self.advance:
            frontier = clock.next()
        if not (changes or rejected or self._settled or self.state or self.advance):
            return None
        return Captured(Position(frontier), changes, self.state, rejected, self._settled)

    def _change_of(self, path: str) -> None:
        self._twice = self._twice or path in self._changed
        self._changed.add(path)

    def _change(self, one: _Found, position: Position) -> Change:
        after: Row | None = None if one.op is Op.DELETE else (one.path, one.content)
        return Change(
            schema=self._schema,
            op=one.op,
            position=position,
            committed_at=one.committed_at,
            transaction=position.major,
            key=(one.path,),
            before=None,
            after=after,
        )


def committed_at(seen: Signature, floor: int, now: int) -> int:
    """When a version came to be at its path, microseconds.

    Its last change by the file system's clock; a time of writing that was set into the future says nothing. A file
    that was moved here with its folder keeps its times, yet did not stand here at `floor`.
    """
    written = seen.mtime_ns // 1000
    last = max(seen.ctime_ns // 1000, written if written <= now else 0)
    return max(min(last, now), min(floor, now))

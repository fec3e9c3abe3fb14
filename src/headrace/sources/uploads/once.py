"""What named requests came to: kept in the state with the change itself, until nobody may come back with the name."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import msgspec

from headrace.change import Position
from headrace.described import NOTHING
from headrace.uploads import Done, Given, Once, Outcome

MARK = "o:"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """One request that was carried out; nothing of what was said of the document is kept in it."""

    until: int
    outcome: str
    name: str
    major: int
    minor: int
    digest: str
    size: int
    created_at: int
    changed_at: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Mark)


def encode_mark(once: Once, done: Done) -> bytes:
    given, (major, minor) = done.document, done.position
    assert given is not None  # a put has one
    of = (given.digest, given.size, given.created_at, given.changed_at)
    return _encoder.encode(Mark(once.until, done.outcome.value, done.name, major, minor, *of))


def decode_mark(value: bytes) -> Done:
    m = _decoder.decode(value)
    position = Position(m.major, m.minor)
    given = Given(m.name, m.digest, m.size, position, m.created_at, m.changed_at, NOTHING)
    return Done(Outcome(m.outcome), m.name, given, position)


class Marks:
    """Which there are, and when each is to be forgotten."""

    def __init__(self, state: Mapping[str, bytes] | None = None) -> None:
        self._ids = {key.removeprefix(MARK) for key in state or {}}
        self._ending = [(_decoder.decode(v).until, key.removeprefix(MARK)) for key, v in (state or {}).items()]
        heapq.heapify(self._ending)

    def has(self, id: str) -> bool:
        return id in self._ids

    def add(self, once: Once) -> None:
        self._ids.add(once.id)
        heapq.heappush(self._ending, (once.until, once.id))

    def forgotten(self, now: int) -> dict[str, bytes | None]:
        """Those whose time is over, as a change of the state; they are not had any more."""
        ended: dict[str, bytes | None] = {}
        while self._ending and self._ending[0][0] <= now:
            _, id = heapq.heappop(self._ending)
            self._ids.discard(id)
            ended[MARK + id] = None
        return ended

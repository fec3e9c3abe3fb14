"""What the source leaves in its state: which slot and history it reads, what was copied, what was acknowledged."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from headrace.change import START, Position
from headrace.sources import Resume

CAPTURE = "capture"
FRONTIER = "frontier"
REFUSED = "refused"
COPIED = "copied"
GONE = 0
"""In the place of a table's oid: it was captured, and there is none at all any more."""
_KEYS = (CAPTURE, FRONTIER, REFUSED, COPIED)


class Capture(msgspec.Struct, frozen=True):
    """`point`: the consistent point of the first copy. `done`: that copy is complete, or goes on as jobs. `tables`:
    what was copied, or is to be, by name with its oid: a table that was dropped and created again is another one.
    `since`: by name, what tells whether it was published all the time (see `setup.Member`)."""

    slot: str
    system: str
    timeline: int
    point: int
    done: bool
    tables: dict[str, int]
    since: dict[str, int] = {}

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


class Copied(msgspec.Struct, frozen=True):
    """How far the first copy is: tables that are whole, by oid, and of `table` what stands before `page`."""

    tables: tuple[int, ...] = ()
    table: int = 0
    relation: int = 0
    file: int = 0
    page: int = 0

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


@dataclass(frozen=True, slots=True)
class Saved:
    """The state at a start. `frontier` is 0 when none was left."""

    capture: Capture | None
    frontier: int
    refused: frozenset[str]
    copied: Copied


async def load(resume: Resume) -> Saved:
    found = await resume.state.get(_KEYS)
    return Saved(
        msgspec.msgpack.decode(found[CAPTURE], type=Capture) if CAPTURE in found else None,
        int(found.get(FRONTIER, b"0")),
        frozenset(msgspec.msgpack.decode(found[REFUSED], type=list[str]) if REFUSED in found else ()),
        msgspec.msgpack.decode(found[COPIED], type=Copied) if COPIED in found else Copied(),
    )


def frontier_state(lsn: int) -> bytes:
    return str(lsn).encode()


def refused_state(topics: list[str]) -> bytes:
    return msgspec.msgpack.encode(topics)


@dataclass(slots=True)
class Run:
    """Where one stream stands, across its connections. `given`: the last change given; `given_at`: when that was
    committed (0: not known); `frontier`: as given. `recorded`: the last frontier that was left as state, and when that
    was (monotonic seconds)."""

    resume: Resume
    given: Position
    given_at: int = 0
    frontier: Position = START
    recorded: int = 0
    recorded_at: float = 0.0
    announced: bool = False

"""What the source leaves in its state: which log it reads, from where, what was copied, what is prepared."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from headrace.change import START, Position
from headrace.sources import Resume
from headrace.sources.mysql import positions
from headrace.sources.snapshots.jobs import Keys

CAPTURE = "capture"
COPIED = "copied"
PLACE = "place"
REFUSED = "refused"
PREPARED = "xa:"
"""Before a transaction's name: its changes, until it is committed."""


class Capture(msgspec.Struct, frozen=True):
    """`base` and `server` name the log and whose it is. `point`: where the first copy stands; `done`: it is complete.
    `tables`: those that were copied and are followed."""

    base: str
    server: str
    point: int
    done: bool
    tables: list[str]

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


class Place(msgspec.Struct, frozen=True):
    """Where a restart reads on, and how it knows that this is the log that it was.

    `created`, `server`: of the format description that begins the file (seconds since the epoch; 0: not known).
    `first`: the checksum of the event that stands at `offset`, and `whole`: all of its transaction was given; None when
    nothing is known to stand there. `gtid`: of the last transaction seen, and `committed`: where it ends.
    """

    file: int
    offset: int
    created: int = 0
    server: int = 0
    first: int | None = None
    whole: bool = False
    gtid: str = ""
    committed: int = 0

    @property
    def major(self) -> int:
        return positions.major(self.file, self.offset)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


class Copied(msgspec.Struct, frozen=True):
    """How far the first copy is: tables that are whole, and of `table` what stands up to the key `keys.last`."""

    tables: tuple[str, ...] = ()
    table: str = ""
    keys: Keys = Keys()
    done: int = 0

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


@dataclass(frozen=True, slots=True)
class Saved:
    """The state at a start."""

    capture: Capture | None
    place: Place | None
    copied: Copied | None
    refused: frozenset[str]


async def load(resume: Resume) -> Saved:
    found = await resume.state.get((CAPTURE, PLACE, COPIED, REFUSED))
    return Saved(
        msgspec.msgpack.decode(found[CAPTURE], type=Capture) if CAPTURE in found else None,
        msgspec.msgpack.decode(found[PLACE], type=Place) if PLACE in found else None,
        msgspec.msgpack.decode(found[COPIED], type=Copied) if COPIED in found else None,
        frozenset(msgspec.msgpack.decode(found[REFUSED], type=list[str]) if REFUSED in found else ()),
    )


def refused_state(topics: list[str]) -> bytes:
    return msgspec.msgpack.encode(topics)


@dataclass(slots=True)
class Run:
    """Where one stream stands, across its connections. `given`: the last change given; `frontier`: as given; `place`:
    the last one left as state, when (monotonic seconds)."""

    resume: Resume
    given: Position
    frontier: Position = START
    place: Place | None = None
    recorded_at: float = 0.0
    announced: bool = False

"""What the source leaves in its state: which log it reads, from where, what was copied, what is prepared."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from headrace.change import START, Position
from headrace.sources import Resume
from headrace.sources.mysql import positions

CAPTURE = "capture"
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
    nothing is known to stand there. `gtid`: of the last transaction seen.
    """

    file: int
    offset: int
    created: int = 0
    server: int = 0
    first: int | None = None
    whole: bool = False
    gtid: str = ""

    @property
    def major(self) -> int:
        return positions.major(self.file, self.offset)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


@dataclass(frozen=True, slots=True)
class Saved:
    """The state at a start."""

    capture: Capture | None
    place: Place | None
    refused: frozenset[str]


async def load(resume: Resume) -> Saved:
    found = await resume.state.get((CAPTURE, PLACE, REFUSED))
    return Saved(
        msgspec.msgpack.decode(found[CAPTURE], type=Capture) if CAPTURE in found else None,
        msgspec.msgpack.decode(found[PLACE], type=Place) if PLACE in found else None,
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

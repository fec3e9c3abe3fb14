"""How far everything is, in memory: what tokens wait for and what freshness is proved by."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.change import START, Position
from headrace.clock import now_us
from headrace.operators import Lag, Marks
from headrace.stores import Applied

MAX_PROBES = 512
NEAR = 4
"""Operators that are more appends behind than this are working off a backlog."""


@dataclass(slots=True)
class Track:
    """One source: what has been captured, and when its head was asked for."""

    frontier: Position = START
    number: int = 0
    pending: deque[tuple[int, Position]] = field(default_factory=deque[tuple[int, Position]])
    """(append's number, frontier after it): the last append that all operators have applied, and those after it."""
    probes: deque[tuple[int, Position]] = field(default_factory=lambda: deque[tuple[int, Position]](maxlen=MAX_PROBES))
    proved_at: int | None = None
    down: str | None = None
    coming: int = 0
    """The last append of a few changes, which may still be on its way into the log."""


class Tracker:
    """Positions of sources and operators in one process; everything happens on one event loop."""

    def __init__(self, operators: Sequence[str]) -> None:
        self.operators = tuple(operators)
        self.sources: dict[str, Track] = {}
        self._applied: dict[tuple[str, str], Applied] = {}
        self._waiting: set[asyncio.Event] = set()

    def add(self, source: str, number: int, applied: Iterable[Applied]) -> None:
        """A source with what the store says of it."""
        self.sources[source] = Track(number=number, pending=deque([(number, START)]))
        for item in applied:
            self._applied[(item.operator, source)] = item

    def applied(self, operator: str, source: str) -> Applied:
        found = self._applied.get((operator, source))
        return found or Applied(operator, source, 0, START, 0, 0, 0)

    def coming(self, source: str) -> None:
        """A few changes have come in, and are being appended."""
        track = self.sources[source]
        track.coming = track.number + 1

    async def settle(self, operators: Sequence[str], timeout_ms: float) -> None:
        """Returns when these operators have applied the changes that are coming in now, at most after the time.

        Whoever asks while a change is a millisecond away gets an answer with it; behind a backlog nobody waits.
        """
        wanted = [
            (o, s, t.coming)
            for s, t in self.sources.items()
            for o in operators
            if 0 < t.coming - self.applied(o, s).number <= NEAR
        ]
        if not wanted:
            return
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while any(self.applied(o, s).number < number for o, s, number in wanted):
                    event.clear()
                    await event.wait()
        except TimeoutError:
            return
        finally:
            self._waiting.discard(event)

    def captured(self, source: str, number: int, frontier: Position) -> None:
        """Everything up to `frontier` is in the log, the last of it in append `number`."""
        track = self.sources[source]
        frontier = max(frontier, track.frontier)  # a stream that begins anew may tell an earlier one again
        if number > track.number:
            track.number = number
            track.pending.append((number, frontier))
        else:
            track.pending[-1] = (track.number, frontier)
        track.frontier = frontier
        self._wake()

    def advance(self, applied: Applied) -> None:
        """An operator has applied a source up to an append."""
        self._applied[(applied.operator, applied.source)] = applied
        track = self.sources[applied.source]
        slowest = min(self.applied(o, applied.source).number for o in self.operators)
        while len(track.pending) > 1 and track.pending[1][0] <= slowest:
            track.pending.popleft()
        self._wake()

    def probe(self, source: str, asked_at: int, head: Position) -> None:
        """The source said that everything committed before `asked_at` is at or before `head`."""
        track = self.sources[source]
        track.down = None
        track.probes.append((asked_at, head))
        self._prove(source)

    def lost(self, source: str, why: str) -> None:
        self.sources[source].down = why

    def reached(self, operator: str, source: str) -> Position:
        """Up to where an operator has applied everything of a source."""
        track = self.sources.get(source)
        if track is None:  # it is being started
            return START
        number = self.applied(operator, source).number
        if number >= track.number:
            return track.frontier
        best = START
        for n, frontier in track.pending:
            if n > number:
                break
            best = frontier
        return best

    def marks(self) -> Marks:
        """What a snapshot opened from now on certainly holds."""
        for source in self.sources:
            self._prove(source)
        return Marks(
            {(o, s): self.reached(o, s) for s in self.sources for o in self.operators},
            {s: t.proved_at for s, t in self.sources.items()},
            {s: t.down for s, t in self.sources.items() if t.down is not None},
        )

    def lags(self, wanted: Mapping[str, Mapping[str, Position]]) -> list[Lag]:
        """What is still missing of source -> operator -> position."""
        return [
            Lag(source, operator, self.reached(operator, source), position)
            for source, operators in wanted.items()
            for operator, position in operators.items()
            if self.reached(operator, source) < position
        ]

    async def wait(self, wanted: Mapping[str, Mapping[str, Position]], timeout_ms: float) -> list[Lag]:
        """Returns when everything wanted is applied, or after the time what is missing."""
        missing = self.lags(wanted)
        if not missing or timeout_ms <= 0:
            return missing
        deadline = asyncio.get_running_loop().time() + timeout_ms / 1000
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while missing := self.lags(wanted):
                try:
                    async with asyncio.timeout_at(deadline):
                        await event.wait()
                except TimeoutError:
                    return self.lags(wanted)
                event.clear()
        finally:
            self._waiting.discard(event)
        return missing

    async def applied_by(self, operators: Sequence[str], source: str, number: int) -> None:
        """Returns when these operators have applied an append."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while any(self.applied(o, source).number < number for o in operators):
                event.clear()
                await event.wait()
        finally:
            self._waiting.discard(event)

    def freshness(self, source: str) -> float | None:
        """One source's freshness now, milliseconds."""
        self._prove(source)
        track = self.sources[source]
        return None if track.down or track.proved_at is None else (now_us() - track.proved_at) / 1000

    def _prove(self, source: str) -> None:
        track = self.sources[source]
        reached = min(self.reached(o, source) for o in self.operators)
        while track.probes and track.probes[0][1] <= reached:
            track.proved_at = track.probes.popleft()[0]

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()

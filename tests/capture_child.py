"""Captures one source into the log, in processes that are killed: `python -m tests.capture_child`.

Reads a `Life` a line and forks a process that lives it (everything is imported by then: a restart costs little), kills
that where the life says, from outside and with SIGKILL, and writes an `Ended` line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec
import uvloop

from headrace.change import START, Change, Position
from headrace.engines.snapshots import LogKnown
from headrace.errors import SourceError
from headrace.log import Append
from headrace.log.postgres import PostgresLog
from headrace.sources import Resume, Snapshotting, Source, SourceSettings
from headrace.sources.postgres import open as open_source
from tests.servers import dies_with_us

PARTITIONS = 3
STUCK_S = 60.0
BEYOND = 4
"""So many appends of a first copy come after those at which it is to be killed, at most: whoever kills may be kept from
the processor, and would find the copy over, which is to be killed again and again."""


class Phase(StrEnum):
    """What a source is at: its first copy, a snapshot beside the stream, or the stream alone."""

    COPY = "copy"
    BESIDE = "beside"
    STREAM = "stream"


class Life(msgspec.Struct, frozen=True):
    """`kill` after `appends` appends in that phase and `wait_s` more; with no appends `wait_s` after the start. `ask`:
    tables to be read again beside the stream. `reach`: it ends when all before is in the log and no snapshot is left.
    """

    source: str
    url: str
    id: str
    log: str
    scratch: str
    batch_rows: int = 4000
    kill: Phase = Phase.STREAM
    appends: int = 0
    wait_s: float = 0.0
    ask: str = ""
    reach: int = 0


class Ended(msgspec.Struct, frozen=True):
    """`phase`: what it was at when it was killed. `whole`: the first append behind the first copy; 0: it saw none.
    `failed`: how it ended before it was killed."""

    phase: Phase = Phase.COPY
    whole: int = 0
    failed: str = ""


class Told(msgspec.Struct, frozen=True):
    """The child's word after an append."""

    phase: Phase
    number: int
    reached: bool = False
    failed: str = ""


_life = msgspec.json.Decoder(Life).decode
_told = msgspec.json.Decoder(Told).decode
_encode = msgspec.json.encode
Tell = Callable[[Told], None]


# ---- the child -------------------------------------------------------------------------------------------------------


def say(*what: object) -> None:
    """For whoever looks for the reason of a failure."""
    print(*what, file=sys.stderr, flush=True)


def awaited(at: object) -> Iterator[str]:
    """Where a coroutine waits, and what it waits for there, and so on."""
    while at is not None:
        frame = next((f for n in ("cr_frame", "ag_frame", "gi_frame") if (f := getattr(at, n, None))), None)
        if frame is not None:
            yield f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}"
        at = next((a for n in ("cr_await", "ag_await", "gi_yieldfrom") if (a := getattr(at, n, None))), None)


class Telling(PostgresLog):
    """The log, which tells of every append before anything follows it."""

    on_append: Callable[[int], None]

    async def append(
        self, source: str, changes: Sequence[Change], state: Mapping[str, bytes | None] | None = None
    ) -> Append | None:
        appended = await super().append(source, changes, state)
        if appended is not None:
            self.on_append(appended.number)
        return appended


def phase_of(source: Source) -> Phase:
    assert isinstance(source, Snapshotting)
    if source.snapshot is not None:
        return Phase.COPY
    return Phase.BESIDE if any(j.ended_at is None for j in source.snapshots) else Phase.STREAM


class Capturing:
    """Source and log, as the engine binds them: append, then sync, then acknowledge, and ask for the head meanwhile."""

    def __init__(self, life: Life, source: Source, log: PostgresLog) -> None:
        self.life = life
        self.source = source
        self.log = log
        self.number = 0
        self.copied = 0
        self.frontier = START

    async def run(self, tell: Tell) -> None:
        self.number = (await self.log.open(self.source.name, self.source.style)).number
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._capture())
            tasks.create_task(self._acknowledge())
            tasks.create_task(self._probe())
            tasks.create_task(self._direct(tell))
            tasks.create_task(self._stuck())

    async def _await_the_kill(self) -> None:
        self.copied += phase_of(self.source) is Phase.COPY
        if self.life.kill is Phase.COPY and self.copied >= self.life.appends + BEYOND:
            await asyncio.Event().wait()

    async def _stuck(self) -> None:
        """Says where it is, where no test lives that long."""
        await asyncio.sleep(STUCK_S)
        source = self.source
        assert isinstance(source, Snapshotting)
        say(phase_of(source), self.frontier, source.problem, source.snapshots)
        for task in asyncio.all_tasks():
            say(task.get_name(), *awaited(task.get_coro()))

    async def _capture(self) -> None:
        while True:
            (head,) = await self.log.heads()
            resume = Resume(head.position, self.log.state(self.source.name), LogKnown(self.log), head.committed_at)
            try:
                async with contextlib.aclosing(self.source.stream(resume)) as steps:
                    async for captured in steps:
                        assert not captured.rejected
                        await self.log.append(self.source.name, captured.changes, captured.state)
                        self.frontier = max(self.frontier, captured.frontier)
                        await self._await_the_kill()
            except SourceError as error:  # a loss that names itself comes again, and then nothing is reached
                say(error)
            await asyncio.sleep(0.2)

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            frontier = self.frontier
            await self.log.sync()
            await self.source.ack(frontier)

    async def _probe(self) -> None:
        while True:
            with contextlib.suppress(SourceError):
                await self.source.head()
            await asyncio.sleep(0.1)

    async def _direct(self, tell: Tell) -> None:
        source, asked = self.source, not self.life.ask
        assert isinstance(source, Snapshotting)
        while True:
            await asyncio.sleep(0.005)
            if self.frontier == START or phase_of(source) is not Phase.STREAM:
                continue
            if not asked:
                await source.snapshot_again(self.life.ask, None, None)
                asked = True
            elif self.life.reach and self.frontier >= Position(self.life.reach):
                tell(Told(Phase.STREAM, self.number, reached=True))
                return


async def capture(life: Life, tell: Tell) -> None:
    settings = SourceSettings(
        life.source, life.url, life.id, tables=("public.*",), batch_rows=life.batch_rows, scratch=life.scratch
    )
    source = open_source(settings)
    log = await Telling.connect(life.log, partitions=PARTITIONS)
    assert isinstance(log, Telling)
    log.on_append = lambda number: tell(Told(phase_of(source), number))
    await Capturing(life, source, log).run(tell)


def live(life: Life, reports: BinaryIO) -> None:
    def tell(told: Told) -> None:
        reports.write(_encode(told) + b"\n")
        reports.flush()

    try:
        uvloop.run(capture(life, tell))
        failed = "it ended by itself"
    except BaseException:  # noqa: BLE001 - told to whoever waits
        failed = traceback.format_exc()
    tell(Told(Phase.STREAM, 0, failed=failed))


# ---- who forks and kills ---------------------------------------------------------------------------------------------


def one(life: Life) -> Ended:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(2, 1)  # what it says goes to the log, not between the answers
        prepare = dies_with_us(signal.SIGKILL)
        if prepare is not None:
            prepare()
        with os.fdopen(writer, "wb") as reports:
            live(life, reports)
        os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as reports:
        try:
            ended = _watched(life, reports)
            time.sleep(life.wait_s)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        # What it told between the decision and its end.
        return _after(ended, [_told(line) for line in reports if line.endswith(b"\n")])


def _watched(life: Life, reports: BinaryIO) -> Ended:
    """Returns when it is to be killed."""
    ended, appends = Ended(), 0
    while life.reach or appends < life.appends:
        told = _told(reports.readline())
        ended = _after(ended, [told])
        appends += told.phase is life.kill
        if told.reached or told.failed:
            break
    return ended


def _after(ended: Ended, told: Sequence[Told]) -> Ended:
    for t in told:
        whole = ended.whole or (t.number if t.phase is not Phase.COPY else 0)
        ended = Ended(t.phase, whole, ended.failed or t.failed)
    return ended


def main() -> None:
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(_encode(one(_life(line))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

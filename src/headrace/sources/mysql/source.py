"""The MySQL source: a consistent first copy, then the binary log, from where the log's state says."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import monotonic
from types import AsyncGeneratorType
from typing import cast

from headrace.change import Position, Style
from headrace.envelope import Origin
from headrace.errors import HeadraceError, SourceError
from headrace.sources import Captured, Resume, SnapshotJob, SnapshotProgress, SourceSettings
from headrace.sources.flowing import finish, flowing
from headrace.sources.mysql import setup
from headrace.sources.mysql.address import parse
from headrace.sources.mysql.beside import Beside
from headrace.sources.mysql.binlog import ProtocolError
from headrace.sources.mysql.client import Client
from headrace.sources.mysql.heads import Heads
from headrace.sources.mysql.plan import make_plan
from headrace.sources.mysql.positions import Moments
from headrace.sources.mysql.problems import Broken, unexpected_bytes
from headrace.sources.mysql.progress import Run
from headrace.sources.mysql.reading import Reading, Shared
from headrace.sources.mysql.replication import Replication

_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_CLOSING_S = 10.0


class MysqlSource:
    """Implements `headrace.sources.Source` and `Snapshotting`; see there for the contract.

    A consumer appends one `Captured` before it asks for the next: prepared transactions are looked up in the state that
    earlier ones left. `ack` does nothing: how long a binary log is kept is the server's to say.
    """

    kind = "mysql"
    style = Style.BINLOG

    def __init__(self, settings: SourceSettings) -> None:
        self._address = parse(settings.url)
        self.name = settings.name
        self.address = self._address.shown
        self._settings = settings
        self._server_id = setup.server_id(settings.id, settings.name)
        moments = Moments()
        self._of = Shared(
            settings.name,
            self._address,
            settings.batch_rows,
            Client(self._address),
            Heads(self._poke),
            moments,
            asyncio.Event(),
            Beside(settings, self._address, moments, self._poke),
        )
        self._replication: Replication | None = None
        self._problem: HeadraceError | None = None
        self._stream: AsyncGeneratorType[Captured, None] | None = None
        scheme = settings.url.partition(":")[0]
        self._origin = Origin("mariadb" if scheme == "mariadb" else self.kind, self.style)

    @property
    def origin(self) -> Origin:
        """Which of the two it is, and how its log is named, the server says."""
        return self._origin

    @property
    def problem(self) -> HeadraceError | None:
        return self._problem

    @property
    def snapshot(self) -> SnapshotProgress | None:
        return self._of.copying.progress if self._of.copying is not None else self._of.beside.jobs.first_copy

    @property
    def snapshots(self) -> Sequence[SnapshotJob]:
        return self._of.beside.jobs.shown()

    async def snapshot_again(self, tables: str, first: str | None, last: str | None) -> Sequence[SnapshotJob]:
        return await self._of.beside.ask(tables, first, last)

    async def cancel_snapshot(self, id: str) -> SnapshotJob:
        return self._of.beside.cancel(id)

    def stream(self, resume: Resume) -> AsyncGenerator[Captured]:
        self._stream = cast("AsyncGeneratorType[Captured, None]", self._streamed(resume))
        return self._stream

    async def _streamed(self, resume: Resume) -> AsyncGenerator[Captured]:
        run = Run(resume, resume.position)
        self._of.moments.behind(resume.position)
        pause = _PAUSE_S
        while not self._of.closed.is_set():
            try:
                async with aclosing(self._connected(run)) as steps:
                    async for captured in steps:
                        pause = _PAUSE_S
                        self._note(run, captured)
                        yield captured
            except Broken as broken:
                self._problem = broken.error
            except SourceError as problem:
                self._problem = problem
                raise
            try:
                await asyncio.wait_for(self._of.closed.wait(), pause)
            except TimeoutError:
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _connected(self, run: Run) -> AsyncGenerator[Captured]:
        """One connection's part of the stream. Raises Broken or SourceError."""
        replication = self._replication = await Replication.connect(self._address, self._server_id)
        beside = self._of.beside
        try:
            await beside.load(run.resume.state)
            plan = await make_plan(
                self._of.client,
                run,
                self._settings,
                self.address,
                self._address.database,
                unfinished=beside.first_unfinished,
            )
            beside.begin(plan)
            self._problem = None
            server = plan.server
            self._origin = Origin("mariadb" if server.mariadb else "mysql", self.style, log=server.base)
            if (news := plan.news(self.name, run, beside.jobs)) is not None:
                yield news
            reading = Reading(self._of, plan, run, replication)
            async with aclosing(reading.steps()) as steps:
                async for captured in steps:
                    yield captured
        except (ProtocolError, LookupError, ValueError, struct.error, zlib.error) as problem:
            raise unexpected_bytes(self.address, problem) from problem
        finally:
            self._replication = None
            # Whoever waits for this may be cancelled in the middle: then the rest is closed all the same.
            try:
                await replication.close()
            finally:
                try:
                    await self._of.end_copy()
                finally:
                    await beside.close()

    def _note(self, run: Run, captured: Captured) -> None:
        """Takes down what is about to be given."""
        if captured.changes:
            run.given = captured.changes[-1].position
        if captured.frontier > run.frontier:
            run.frontier = self._of.told = captured.frontier
            self._of.heads.told(captured.frontier)
        self._of.told_at = monotonic()

    async def ack(self, position: Position) -> None:
        del position

    async def head(self) -> Position:
        before = self._of.told.major
        try:
            at = await self._of.client.run(
                lambda session: setup.head(session, self.address), f"ask {self.address} for its head"
            )
        except Broken as broken:
            raise broken.error from None
        if at.major < before:
            # The log ends before what was read of it: whoever reads must look again whether it is still the same.
            self._of.went_back = True
            self._poke()
        # Two looks at an idle server are two positions: the later one is reached when the stream has told after it.
        head = self._of.moments.at(at.major)
        self._of.heads.want(head)
        return head

    def _poke(self) -> None:
        if self._replication is not None:
            self._replication.poke()

    async def retry(self, topic: str, key: str) -> bool:
        """Single rows cannot be read again: what is refused is a whole table, or a row whose next change comes."""
        return False

    async def close(self) -> None:
        """Ends the stream too, wherever it is."""
        self._of.closed.set()
        if self._stream is not None:
            await self._end(self._stream)
        await self._of.client.close()

    async def _end(self, stream: AsyncGeneratorType[Captured, None]) -> None:
        began = monotonic()
        while flowing(stream) and monotonic() - began < _CLOSING_S:
            if self._replication is not None:
                self._replication.interrupt()
            self._of.client.interrupt()
            if self._of.copying is not None:
                self._of.copying.interrupt()
            await asyncio.sleep(0.01)
        await finish(stream)

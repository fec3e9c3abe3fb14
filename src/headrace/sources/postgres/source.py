"""The PostgreSQL source: a consistent first copy, then the stream, from where the log's state says."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import monotonic
from types import AsyncGeneratorType
from typing import cast

import structlog
from psycopg import Error

from headrace.change import Position, Style
from headrace.envelope import Origin
from headrace.errors import HeadraceError, SourceError
from headrace.sources import Captured, Resume, Retained, SnapshotJob, SnapshotProgress, SourceSettings
from headrace.sources.flowing import finish, flowing
from headrace.sources.postgres import setup
from headrace.sources.postgres.address import parse
from headrace.sources.postgres.assemble import Assembler
from headrace.sources.postgres.beside import Beside
from headrace.sources.postgres.client import Client
from headrace.sources.postgres.copying import Copying
from headrace.sources.postgres.deadline import deadline
from headrace.sources.postgres.heads import Heads
from headrace.sources.postgres.kept import Kept
from headrace.sources.postgres.lag import Lag
from headrace.sources.postgres.last import Forked, LastGiven
from headrace.sources.postgres.membership import Membership, Replan
from headrace.sources.postgres.options import read as read_options
from headrace.sources.postgres.pgoutput import ProtocolError, Relation
from headrace.sources.postgres.plan import Plan, make_plan
from headrace.sources.postgres.problems import Broken, lost, query_failed, stream_failed, unexpected_bytes
from headrace.sources.postgres.progress import FRONTIER, Run, frontier_state
from headrace.sources.postgres.replication import Replication, parse_lsn
from headrace.sources.postgres.setup import SQL, Connection, Names
from headrace.sources.postgres.shapes import Shapes
from headrace.sources.postgres.spool import Spool

BATCH_BYTES = 16 * 1024 * 1024
IDLE_AT_MOST_EVERY_S = 0.05
RECORD_EVERY_S = 10.0
WATCH_EVERY_S = 10.0
LOOK_EVERY_S = 5.0
"""How often the catalog is asked, cheaply, whether tables have come: the stream does not say so."""
PLAN_S = 60.0
"""How long the questions before a stream, and on its way, may take; a lock that a publication waits for counts in."""
RECORD_EVERY_BYTES = 16 * 1024 * 1024
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_MOST_ACKS = 10_000
_CLOSING_S = 10.0
_log = structlog.get_logger(__name__)


class PostgresSource:
    """Implements `headrace.sources.Source`; see there for the contract.

    A consumer appends one `Captured` before it asks for the next: values that updates leave out are looked up in the
    state that earlier ones left.
    """

    kind = "postgresql"
    style = Style.LSN

    def __init__(self, settings: SourceSettings) -> None:
        address = parse(settings.url)
        self.name = settings.name
        self.address = address.shown
        self.origin = Origin(self.kind, self.style, dict(address.parameters).get("dbname", ""))
        self._settings = settings
        self._options = read_options(settings)
        self._names = Names.of(settings.id, settings.name, self._options)
        self._conninfo = address.conninfo()
        self._client = Client(self._conninfo, self.address)
        self._watching = Client(self._conninfo, self.address)
        self._lag = Lag(self._watching, self.address, self._names.slot, self._options, self._copying)
        self._membership: Membership | None = None
        self._replan = False
        self._heads = Heads(self._nudge, self._hurry)
        self._replication: Replication | None = None
        self._copy: Copying | None = None
        self._beside = Beside(
            settings, self._names.publication, self._conninfo, self.address, self._client, self._wake,
            lambda: self._lag.pausing,
        )  # fmt: skip
        self._problem: HeadraceError | None = None
        self._closed = asyncio.Event()
        self._acks: deque[tuple[Position, int]] = deque(maxlen=_MOST_ACKS)
        self._acknowledged = 0
        self._proved = True
        self._run: Run | None = None
        self._told_at = 0.0
        self._stream: AsyncGeneratorType[Captured, None] | None = None

    @property
    def problem(self) -> HeadraceError | None:
        return self._problem

    @property
    def retained(self) -> Retained | None:
        return self._lag.retained

    @property
    def snapshot(self) -> SnapshotProgress | None:
        return self._copy.progress if self._copy is not None else self._beside.jobs.first_copy

    def _copying(self) -> bool:
        return self._copy is not None or self._beside.first_unfinished

    @property
    def snapshots(self) -> Sequence[SnapshotJob]:
        return self._beside.jobs.shown()

    async def snapshot_again(self, tables: str, first: str | None, last: str | None) -> Sequence[SnapshotJob]:
        return await self._beside.ask(tables, first, last)

    async def cancel_snapshot(self, id: str) -> SnapshotJob:
        return self._beside.cancel(id)

    def stream(self, resume: Resume) -> AsyncGenerator[Captured]:
        self._stream = cast("AsyncGeneratorType[Captured, None]", self._streamed(resume))
        return self._stream

    async def _streamed(self, resume: Resume) -> AsyncGenerator[Captured]:
        run = self._run = Run(resume, resume.position, resume.committed_at)
        self._acks.clear()
        watch = asyncio.create_task(self._watch(), name="postgres watch")
        try:
            async with aclosing(self._reconnected(run)) as steps:
                async for captured in steps:
                    yield captured
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lag.watch(WATCH_EVERY_S))
            tasks.create_task(self._watch_membership())

    async def _watch_membership(self) -> None:
        """Also where no row tells that a table came, or came back."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                connection = await self._watching.connection()
                with deadline(connection, PLAN_S):
                    self._beside.forget(await setup.visible(connection))
                    if self._membership is not None:
                        await self._membership.look(connection, self.address)
            except Replan:
                self._replan = True
                self._hurry()
            except (Broken, SourceError, Error) as problem:
                # The stream tells of a server that cannot be reached; it reads the publication when it can be again.
                _log.debug("the publication cannot be looked at", source=self.name, reason=str(problem))

    async def _reconnected(self, run: Run) -> AsyncGenerator[Captured]:
        pause = _PAUSE_S
        while not self._closed.is_set():
            try:
                async with aclosing(self._connected(run)) as steps:
                    async for captured in steps:
                        pause = _PAUSE_S
                        yield captured
            except Replan:
                run.announced = False
                continue
            except Broken as broken:
                self._problem = broken.error
            except SourceError as problem:
                self._problem = problem
                raise
            try:
                await asyncio.wait_for(self._closed.wait(), pause)
            except TimeoutError:
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _connected(self, run: Run) -> AsyncGenerator[Captured]:
        """One connection's part of the stream. Raises Broken or SourceError."""
        replication = self._replication = await Replication.connect(self._conninfo, self.address)
        try:
            async with aclosing(self._capture(run, replication)) as steps:
                async for captured in steps:
                    self._note(run, captured)
                    yield captured
        except Error as problem:
            raise query_failed(self.address, "capture changes", problem) from None
        finally:
            self._heads.streaming.clear()
            self._replication = self._membership = None
            # Whoever waits for this may be cancelled in the middle: then the rest is closed all the same.
            try:
                await replication.close()
            finally:
                await self._close_beside()

    async def _close_beside(self) -> None:
        copy, self._copy = self._copy, None
        try:
            if copy is not None:
                await copy.close()
        finally:
            await self._beside.close()

    async def _capture(self, run: Run, replication: Replication) -> AsyncGenerator[Captured]:
        shapes = Shapes(self.name)
        kept = Kept(run.resume.state, self._columns)
        await kept.load()
        if self._lag.stopped is not None:
            raise self._lag.stopped
        beside = self._beside
        await beside.load(run.resume.state)
        unfinished = beside.first_unfinished
        connection = await self._client.connection()
        with deadline(connection, PLAN_S), replication.deadline(PLAN_S):
            plan = await make_plan(
                connection, replication, run, self._settings, self._options, self.address, shapes, unfinished=unfinished
            )
        self._membership, self._replan = Membership(plan, self._settings.tables, ours=self._names.ours), False
        beside.plan(plan)
        self._problem = None
        # What is told of a table that came lately may be an older transaction's: a new connection is not told it again.
        crossed = beside.jobs.crossed({d.found.table for d in plan.tables}, run.given_at)
        last = None if crossed else plan.last(run)
        if (news := plan.news(self.name, run.frontier, beside.jobs, told=run.announced)) is not None:
            yield news
        began, run.announced = not run.announced, True
        rows, start = self._settings.batch_rows, plan.start
        if plan.first:
            self._copy = await Copying.first(plan, kept, replication, connection, self._conninfo, self.address)
            async with aclosing(self._copy.run(rows, BATCH_BYTES)) as steps:
                async for captured in steps:
                    yield captured
            start = self._copy.point
            await self._copy.close()
            self._copy = None
        last = await self._start(plan, last, replication, connection, start)
        spool = Spool(self._settings.scratch)
        assembler = Assembler(shapes, run.given, start, kept.tables, rows, BATCH_BYTES, spool, last)
        await beside.start(shapes, kept, run.resume.known, hold=began)
        self._heads.streaming.set()
        try:
            async with aclosing(self._follow(run, plan, replication, assembler, kept, shapes)) as steps:
                async for captured in steps:
                    yield captured
        finally:
            assembler.close()

    async def _start(
        self, plan: Plan, last: LastGiven | None, replication: Replication, connection: Connection, start: int
    ) -> LastGiven | None:
        """Begins to stream; the transaction that is to come again. Before it has, nothing may be acknowledged: a server
        that was set back would take the acknowledged for its own."""
        self._proved = last is None
        try:
            with replication.deadline(PLAN_S):
                flushed = self._acknowledged if last is None else 0
                await replication.start(plan.slot, plan.publication, start if last is None else last.lsn, flushed)
        except Error as problem:
            raise stream_failed(self.address, plan.slot, problem) from None
        if last is not None:
            # What the connection before this one had acknowledged may have arrived only now: since the slot is ours,
            # it stands still.
            with deadline(connection, PLAN_S):
                last = last if await setup.confirmed(connection, plan.slot) <= last.lsn else None
        return last

    async def _follow(
        self, run: Run, plan: Plan, replication: Replication, assembler: Assembler, kept: Kept, shapes: Shapes
    ) -> AsyncGenerator[Captured]:
        beside = self._beside
        while not self._closed.is_set():
            beside.check()
            try:
                if assembler.ready:
                    replication.drain(assembler)
            except Error as problem:
                raise stream_failed(self.address, plan.slot, problem) from None
            except Forked as forked:
                raise lost(self.address, plan.slot, str(forked)) from None
            except (ProtocolError, LookupError, struct.error) as problem:
                raise unexpected_bytes(self.address, problem) from problem
            if self._replan:
                raise Replan
            if not self._proved and assembler.proved:
                self._proved = True
                replication.acknowledge(self._acknowledged)
            if assembler.spool.heavy:
                await assembler.spool.spill()
            elif assembler.pending is not None:
                await self._told(assembler.pending, plan, assembler, shapes)
            elif (taken := assembler.take()) is not None:
                beside.see(taken.changes)
                state = await kept.settle(taken.changes, taken.notes)
                state.update(beside.owe(kept.owed()))
                captured = Captured(self._frontier(run, assembler), taken.changes, state, taken.rejected)
                with replication.ahead(assembler):
                    yield captured
            elif (mark := assembler.mark) is not None:
                assembler.mark = None
                if (given := await beside.met(mark, self._frontier(run, assembler))) is not None:
                    yield given
            elif assembler.replaying is not None:
                await self._replay(assembler)
            elif (news := beside.news(self._frontier(run, assembler))) is not None:
                yield news
            elif (delay := self._idle(run, self._frontier(run, assembler).major)) == 0:
                yield Captured(self._frontier(run, assembler), state=self._record(run, assembler))
            else:
                await replication.wait(delay)

    def _frontier(self, run: Run, assembler: Assembler) -> Position:
        """What is told. It stands still while tables are read that are to be there before anything is promised."""
        return run.frontier if self._beside.holding else Position(assembler.frontier)

    async def _told(self, relation: Relation, plan: Plan, assembler: Assembler, shapes: Shapes) -> None:
        """A table's shape is told: what else must be known of it is looked up."""
        connection = await self._client.connection()
        with deadline(connection, PLAN_S):
            if self._membership is not None:
                await self._membership.check(connection, assembler.commit)
            missing = shapes.missing([relation])
            if missing:
                shapes.learn(missing, await setup.types(connection, missing))
        if relation.oid not in plan.captured_tables and not await self._dropped(relation, connection):
            assembler.ignore(relation.oid)
        assembler.resume()

    async def _dropped(self, relation: Relation, connection: Connection) -> bool:
        """Whether it is a table that was captured, as far as one can still tell, and is gone since: what was done to it
        before is told. With FULL only the catalog would know its key."""
        if relation.identity == "f" or not any(c.identity for c in relation.columns):
            return False
        if not setup.matches(relation.table, self._settings.tables):
            return False
        with deadline(connection, PLAN_S):
            found = await connection.execute(SQL["table"], {"table": relation.oid})
        return await found.fetchone() is None

    async def _columns(self, table: int) -> Sequence[tuple[str, int]]:
        connection = await self._client.connection()
        with deadline(connection, PLAN_S):
            return await setup.numbered(connection, self._names.publication, table)

    async def _replay(self, assembler: Assembler) -> None:
        try:
            await assembler.replay()
        except (ProtocolError, LookupError, struct.error) as problem:
            raise unexpected_bytes(self.address, problem) from problem

    def _idle(self, run: Run, frontier: int) -> float | None:
        """In how many seconds a frontier without changes is to be told; None when there is none."""
        if frontier <= run.frontier.major:
            return None
        if self._heads.due(frontier):
            return 0
        return max(0.0, self._told_at + IDLE_AT_MOST_EVERY_S - monotonic())

    def _record(self, run: Run, assembler: Assembler) -> dict[str, bytes | None]:
        """The frontier as state, now and then: the server may be told to forget only what a restart does not need,
        and a slot that forgot more is not ours."""
        frontier = assembler.frontier
        due = frontier - run.recorded >= RECORD_EVERY_BYTES or monotonic() - run.recorded_at >= RECORD_EVERY_S
        return {FRONTIER: frontier_state(frontier)} if due and assembler.between else {}

    def _note(self, run: Run, captured: Captured) -> None:
        """Takes down what is about to be given, and what acknowledging it will allow the server to forget."""
        if captured.changes:
            run.given, run.given_at = captured.changes[-1].position, captured.changes[-1].committed_at
        frontier = max(run.frontier, captured.frontier)
        if frontier > run.frontier:
            run.frontier = frontier
            self._heads.told(frontier.major)
        self._told_at = monotonic()
        if FRONTIER in captured.state:
            run.recorded, run.recorded_at = frontier.major, monotonic()
            self._acks.append((frontier, frontier.major))
        elif captured.changes and frontier > run.given:
            self._acks.append((run.given, run.given.major + 1))

    async def ack(self, position: Position) -> None:
        if self._run is None or position > self._run.frontier:
            # From an earlier stream: it says nothing of what this one has left as state meanwhile.
            return
        lsn = self._acknowledged
        while self._acks and self._acks[0][0] <= position:
            lsn = max(lsn, self._acks.popleft()[1])
        self._acknowledged = lsn
        if self._replication is not None and self._proved:
            self._replication.acknowledge(lsn)

    async def head(self) -> Position:
        try:
            if not self._heads.streaming.is_set():
                # It may turn out at the start that tables are to be copied: nobody is to take what an earlier run has
                # told for a promise of their rows, so this head lies beyond it even where nothing was committed since.
                await self._nudge()
            lsn = parse_lsn(await self._client.ask(SQL["head"], f"ask {self.address} for its head"))
        except Broken as broken:
            raise broken.error from None
        self._heads.want(lsn)
        return Position(lsn)

    def _wake(self) -> None:
        """There is something to give apart from the stream."""
        if self._replication is not None:
            self._replication.poke()

    def _hurry(self) -> None:
        """Somebody waits: ask how far the server has read, and look at once."""
        if self._replication is not None:
            self._replication.send_status(reply=True)
            self._replication.poke()

    async def _nudge(self) -> None:
        await self._client.ask(SQL["nudge"], "write a message into the WAL")

    async def retry(self, topic: str, key: str) -> bool:
        """Single rows cannot be read again: what is refused is a whole table, or a row whose next change comes."""
        return False

    async def close(self) -> None:
        """Ends the stream too, wherever it is. No connection is closed under whoever waits on it: its file descriptor
        may be another connection's a moment later."""
        self._closed.set()
        await self._heads.close()
        if self._stream is not None:
            await self._end(self._stream)
        await self._client.close()
        await self._watching.close()

    async def _end(self, stream: AsyncGeneratorType[Captured, None]) -> None:
        began = monotonic()
        while flowing(stream) and monotonic() - began < _CLOSING_S:
            if self._replication is not None:
                await self._replication.interrupt()
            await self._client.interrupt()
            await asyncio.sleep(0.01)
        await finish(stream)

"""Snapshots beside the stream: chunks of views, given where the stream has reached the view's place in the log.

A reading task opens views and reads chunks ahead. The stream, once it has given everything up to a view's place, gives
the chunk's rows that it has not told newer things of, together with how far the snapshot is. Nothing is written at the
source: a view tells its place, so the log needs no watermarks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

import msgspec
import structlog

from headrace.change import HIGHEST, Change, Op, Position, Row, Schema
from headrace.errors import SourceError
from headrace.sources import Captured, Known, Rejected, SnapshotState
from headrace.sources.mysql.positions import Moments
from headrace.sources.mysql.problems import Broken, rejected_row
from headrace.sources.mysql.shapes import Shapes
from headrace.sources.mysql.views import Chunk, Gone, View, Views
from headrace.sources.snapshots.jobs import Job, Jobs, Reason
from headrace.sources.snapshots.missing import Missing
from headrace.sources.snapshots.touched import Touched, left_out

VIEW_S = 0.25
"""So long one view is used: for no longer DDL on the table has to wait, and no older versions of rows are kept."""
_AHEAD = 2
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_YOUNG_S = 0.02
_PREPARED_EVERY_S = 0.1
_TELL_EVERY_S = 10.0
_log = structlog.get_logger(__name__)

Prepared = frozenset[tuple[bytes | None, ...]]


@dataclass(frozen=True, slots=True)
class Emptied:
    """The table is to be emptied in the log before its first chunk."""

    job: str
    view: View


@dataclass(frozen=True, slots=True)
class Vanished:
    """Keys that no row of a view has. `last`: there are no more; `note`: what was not compared."""

    job: str
    view: View
    keys: list[Row]
    last: bool
    note: str | None


Item = Chunk | Emptied | Vanished


class Incremental:
    """One connection's part of the snapshots. `start` after the stream was opened, `close` with it.

    `reached`: the end of the last transaction of which the stream may have given changes. `prepared`: the XA
    transactions that are prepared at the server. `wake`: there is something to give.
    """

    def __init__(
        self,
        jobs: Jobs,
        views: Views,
        shapes: Shapes,
        moments: Moments,
        known: Known | None,
        reached: Callable[[], int],
        prepared: Callable[[], Awaitable[Prepared]],
        wake: Callable[[], None],
    ) -> None:
        self._jobs = jobs
        self._views = views
        self._shapes = shapes
        self._moments = moments
        self._reached = reached
        self._prepared = prepared
        self._wake = wake
        self._generation = 0
        self._outbox: deque[Item] = deque()
        self._met = asyncio.Event()
        self._touched = Touched("")
        self._missing = Missing(known, self._gone)
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._read(), name="mysql snapshots")

    # ---- the stream's side -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises what ended the reading task."""
        if self._task is not None and self._task.done():
            self._task.result()

    def see(self, changes: Sequence[Change]) -> None:
        """What the stream gives."""
        touched = self._touched
        if touched.table:
            touched.see(changes)
            self._missing.see(touched.table, changes)
            if touched.truncated or touched.overflow:
                self._again()

    def altered(self, tables: Collection[str]) -> None:
        """The stream has come to statements that change these tables: what was read ahead may be of another form."""
        if self._touched.table in tables:
            self._again()

    def give(self, place: int, frontier: Callable[[], Position]) -> Captured | None:
        """What is to be given where the stream stands: everything up to `place` was given, and nothing behind it."""
        while self._outbox:
            item = self._outbox[0]
            view = item.view
            if view.point > place:
                return None
            self._outbox.popleft()
            self._met.set()
            job = self._jobs.all.get(item.job.id if isinstance(item, Chunk) else item.job)
            if job is None or job.ended:
                continue
            told = frontier()
            match item:
                case Chunk():
                    return self._rows(item, job, place, told)
                case Emptied():
                    return self._emptied(item, job, place, told)
                case Vanished():
                    return self._vanished(item, job, place, told)
        return None

    def _emptied(self, item: Emptied, job: Job, place: int, frontier: Position) -> Captured:
        """Of an earlier table of that name, or of a time before it was left out, the log may hold rows."""
        schema = self._shapes.catalogued(item.view.found.catalogued)
        change = Change(schema, Op.TRUNCATE, self._moments.at(place), item.view.at, 0, (), None, None)
        job = msgspec.structs.replace(job, emptied=True)
        return Captured(frontier, [change], self._jobs.state(job))

    def _rows(self, chunk: Chunk, job: Job, place: int, frontier: Position) -> Captured:
        found, at, moment = chunk.view.found, chunk.view.at, self._moments.at
        schema = self._shapes.catalogued(found.catalogued)
        without = left_out(chunk.keys, self._touched)
        changes: list[Change] = []
        rejected: list[Rejected] = []
        for i, (key, row) in enumerate(zip(chunk.keys, chunk.rows, strict=True)):
            if i in chunk.bad:
                rejected.append(rejected_row(schema.topic, moment(place), at, chunk.bad[i]))
            elif i not in without:
                changes.append(Change(schema, Op.READ, moment(place), at, 0, key, None, row))
        read = chunk.job
        job = msgspec.structs.replace(
            job,
            state=SnapshotState.COPYING,
            keys=read.keys,
            chunk=read.chunk,
            done=read.done,
            exhausted=read.exhausted,
            problem=None,
        )
        if job.exhausted:
            job = self._copied(job)
        return Captured(frontier, changes, self._jobs.state(job), rejected)

    def _copied(self, job: Job) -> Job:
        """All rows were given: the end, unless what the log held before is to be compared."""
        if not job.reason.compares:
            return job.end(SnapshotState.DONE)
        if self._missing.possible:
            return msgspec.structs.replace(job, state=SnapshotState.COMPARING)
        note = "rows that are gone were not looked for: the log cannot be read here"
        return msgspec.structs.replace(job.end(SnapshotState.DONE), note=note)

    def _vanished(self, gone: Vanished, job: Job, place: int, frontier: Position) -> Captured:
        """Rows that only the log still has."""
        view = gone.view
        schema = self._shapes.catalogued(view.found.catalogued)
        keys = [k for k in gone.keys if k not in self._touched.keys]
        changes = [
            Change(schema, Op.DELETE, self._moments.at(place), view.at, 0, k, _only_key(schema, k), None) for k in keys
        ]
        job = msgspec.structs.replace(job, deleted=job.deleted + len(changes))
        if gone.last:
            job = msgspec.structs.replace(job.end(SnapshotState.DONE), note=gone.note)
        return Captured(frontier, changes, self._jobs.state(job))

    def _again(self) -> None:
        """What was read ahead is not given: the reading starts again behind what was."""
        self._generation += 1
        self._outbox.clear()
        self._met.set()

    # ---- the reading side --------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        pause = _PAUSE_S
        while not self._closing:
            job = self._jobs.active()
            if job is None:
                self._touched = Touched("")
                await self._views.release()
                self._jobs.woken.clear()
                if self._jobs.active() is None:
                    await self._jobs.woken.wait()
                continue
            chunks = job.chunk
            try:
                await self._work(job.id)
                pause = _PAUSE_S
                continue
            except Broken as problem:
                error = str(problem)
            except (Gone, SourceError, ValueError) as problem:
                error = str(problem)
                self._failed(self._jobs.all[job.id], error)
            finally:
                self._again()
            if self._closing:
                return
            if self._jobs.all[job.id].chunk > chunks:
                pause = _PAUSE_S
            _log.warning("a snapshot was interrupted", table=job.table, error=error, again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _failed(self, job: Job, error: str) -> None:
        """What was asked for ends. A table that is captured needs its rows: they are tried for until they come, or the
        stream tells what became of the table."""
        if job.reason is Reason.ASKED:
            self._jobs.put(job.end(SnapshotState.FAILED, error))
        elif job.problem != error and not job.ended:
            self._jobs.put(msgspec.structs.replace(job, problem=error))

    async def _work(self, id: str) -> None:
        """Reads a job from where it stands until it ends, or has to start again."""
        self._again()
        generation = self._generation
        job = self._jobs.all[id]
        if job.reason is Reason.ADDED and not job.emptied:
            await self._prepared_ended(job)
            view = await self._view(job.table)
            await self._views.end()
            self._put(Emptied(id, view), generation)
            await self._until(lambda: not self._outbox, generation)
        while self._generation == generation and not (job := self._jobs.all[id]).ended:
            if job.state is SnapshotState.COMPARING:
                await self._compare(job, generation)
            else:
                await self._chunks(job, generation)

    async def _view(self, table: str) -> View:
        """One that shows everything that the stream gave of the table before it remembers what it gives.

        A transaction stands in the log, and may be sent, a moment before others see it (much longer where it waits for
        a replica): a view from before it would take its rows back in time.
        """
        self._touched = Touched(table)
        reached = self._reached()
        pause = _YOUNG_S
        while (view := await self._views.open(table)).point < reached:
            await self._views.end()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)
        self._touched.since = view.point
        return view

    async def _chunks(self, cursor: Job, generation: int) -> None:
        """Some chunks of one view."""
        view = await self._view(cursor.table)
        ends = monotonic() + VIEW_S
        while self._generation == generation and not cursor.exhausted:
            chunk = await self._views.chunk(view, cursor)
            cursor = chunk.job
            self._put(chunk, generation)
            if monotonic() >= ends or not await self._room(generation, ends):
                break
        await self._views.end()
        await self._until(lambda: not self._outbox, generation)

    async def _room(self, generation: int, ends: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, ends - monotonic())):
                await self._until(lambda: len(self._outbox) < _AHEAD, generation)
        except TimeoutError:
            return False
        return True

    async def _compare(self, job: Job, generation: int) -> None:
        there = await self._views.open(job.table)
        await self._views.end()
        schema = self._shapes.catalogued(there.found.catalogued)
        async with aclosing(self._missing.find(job, schema)) as groups:
            self._touched = Touched(job.table, HIGHEST)  # of what is told meanwhile only `missing` is to know
            async for keys, note in groups:
                view = await self._view(job.table)
                gone = await self._views.gone(view, job, keys)
                await self._views.end()
                self._put(Vanished(job.id, view, gone, not keys, note), generation)
                await self._until(lambda: not self._outbox, generation)
                if self._generation != generation or self._jobs.all[job.id].ended:
                    return
                self._touched = Touched(job.table, HIGHEST)

    async def _gone(self, job: Job, keys: Sequence[Row]) -> Sequence[Row]:
        """Those that no row has at the moment."""
        view = await self._views.open(job.table)
        gone = await self._views.gone(view, job, keys)
        await self._views.end()
        return gone

    def _put(self, item: Item, generation: int) -> None:
        if self._generation == generation:
            self._outbox.append(item)
            self._wake()

    async def _until(self, condition: Callable[[], bool], generation: int) -> None:
        while self._generation == generation and not condition():
            self._met.clear()
            await self._met.wait()

    async def _prepared_ended(self, job: Job) -> None:
        """Transactions that were prepared before the table was followed have rows that nobody saw: they are waited
        for, so that the chunks show them."""
        waiting = await self._prepared()
        told = monotonic()
        while waiting:
            if monotonic() - told > _TELL_EVERY_S:
                told = monotonic()
                _log.info("a snapshot waits for prepared transactions", table=job.table, transactions=len(waiting))
            await asyncio.sleep(_PREPARED_EVERY_S)
            waiting &= await self._prepared()

    async def close(self) -> None:
        self._closing = True
        try:
            if self._task is not None:
                self._views.interrupt()
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
        finally:
            await self._views.close()


def _only_key(schema: Schema, key: Row) -> Row:
    """A row of which nothing else is known."""
    values = dict(zip(schema.key, key, strict=True))
    return tuple(values.get(c.name) for c in schema.columns)

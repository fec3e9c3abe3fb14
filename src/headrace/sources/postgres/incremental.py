"""Snapshots beside the stream: chunks between watermarks, given where their high watermark stands in the stream.

A reading task writes watermarks and reads chunks ahead; the stream, when it meets a high watermark, gives the chunk's
rows that it has not told newer things of, together with how far the snapshot is. One chunk's high watermark is the next
one's low one, except for rows that are owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from secrets import token_hex
from time import monotonic

import msgspec
import structlog
from psycopg import Error

from headrace.change import Change, Op, Position, Row
from headrace.errors import SourceError
from headrace.sources import Captured, Known, SnapshotState
from headrace.sources.postgres.assemble import Note
from headrace.sources.postgres.chunks import Chunk, Chunks, Gone, Vanished, key_fields
from headrace.sources.postgres.client import ANSWER_S, Client
from headrace.sources.postgres.kept import Kept
from headrace.sources.postgres.problems import Broken, query_failed
from headrace.sources.postgres.reading import given_at
from headrace.sources.postgres.setup import SQL, heaps
from headrace.sources.postgres.shapes import Shape
from headrace.sources.postgres.watermarks import Mark, Passed, Visible
from headrace.sources.snapshots.jobs import Job, Jobs, Reason
from headrace.sources.snapshots.missing import Missing
from headrace.sources.snapshots.touched import Touched, left_out

_AHEAD = 2
_OWED_AT_ONCE = 500
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_BETWEEN_S = 0.005
_WRITERS_EVERY_S = 0.05
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Low:
    """Begins the reading of a table. `shape`: of the table at this point."""

    generation: int
    job: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class High:
    """Ends the reading of a chunk, or of keys that are gone."""

    generation: int
    chunk: Chunk | Vanished


class Incremental:
    """One connection's part of the snapshots. `start` after the stream was opened, `close` with it."""

    def __init__(
        self,
        jobs: Jobs,
        chunks: Chunks,
        client: Client,
        shown: str,
        kept: Kept,
        known: Known | None,
        paused: Callable[[Job], bool],
    ) -> None:
        self._jobs = jobs
        self._chunks = chunks
        self._client = client
        self._shown = shown
        self._kept = kept
        self._paused = paused
        self._run = token_hex(8)
        self._number = 0
        self._generation = 0
        self._expected: dict[str, Low | High] = {}
        self._met = asyncio.Event()
        self._passed = Passed()
        self._before: set[int] = set()
        self._touched = Touched("")
        self._missing = Missing(known, chunks.gone)
        self._task: asyncio.Task[None] | None = None
        self._reading = False
        self._closing = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._read(), name="postgres snapshots")

    # ---- the stream's side -------------------------------------------------------------------------------------------

    def see(self, changes: Sequence[Change]) -> None:
        """What the stream gives, before anything is left out of it. Raises what ended the reading task."""
        self._passed.see(changes)
        if self._touched.table:
            self._touched.see(changes)
            self._missing.see(self._touched.table, changes)

    def check(self) -> None:
        """Raises what ended the reading task."""
        if self._task is not None and self._task.done():
            self._task.result()

    def forget(self, visible: Visible) -> None:
        """Transactions that all snapshots show from now on need not be remembered. Not while there are chunks that were
        read before and that the stream has not come to: these may not show them, and themselves tell what they do."""
        if not (self._reading or self._ahead):
            self._passed.forget(visible)

    def owe(self, keys: Sequence[tuple[str, Row]]) -> None:
        """Rows that the stream told without all values, and nobody knows these: they are read again."""
        for table, key in keys:
            for job in self._jobs.of(table):
                owed = key_fields(key)
                if owed not in job.owed:
                    self._jobs.put(msgspec.structs.replace(job, owed=(*job.owed, owed)))

    async def met(self, mark: Mark, frontier: Position) -> Captured | None:
        """The stream stands at a watermark: what is to be given here."""
        expected = self._expected.get(mark.content)
        if expected is None:
            return None  # an earlier connection's
        try:
            if expected.generation != self._generation:
                return None
            if isinstance(expected, Low):
                return await self._low(expected, mark, frontier)
            return await self._high(expected, mark, frontier)
        finally:
            self._expected.pop(mark.content, None)  # only now: the reading side goes by what was done here
            self._met.set()

    async def _low(self, low: Low, mark: Mark, frontier: Position) -> Captured | None:
        self._touched = Touched(low.shape.schema.table)
        self._before = self._passed.of(self._touched.table)
        job = self._jobs.all[low.job]
        if job.reason is not Reason.ADDED or job.emptied:
            return None
        # Of an earlier table of that name, or of a time before it was left out, the log may hold rows.
        position = Position(mark.lsn, mark.sequence + 1)
        changes = [Change(low.shape.schema, Op.TRUNCATE, position, mark.committed_at, 0, (), None, None)]
        notes = [Note(0, low.shape)] if low.shape.schema.table in self._kept.tables else []
        state = await self._kept.settle(changes, notes)
        job = msgspec.structs.replace(job, emptied=True)
        return Captured(frontier, changes, {**state, **self._jobs.state(job)})

    async def _high(self, high: High, mark: Mark, frontier: Position) -> Captured | None:
        visible = high.chunk.visible
        unsafe = self._touched.overflow or any(not visible.shows(t) for t in self._before)
        self._passed.forget(visible)
        self._before = self._passed.of(self._touched.table)
        try:
            if self._jobs.all[high.chunk.job.id].ended:
                return None
            if unsafe:
                self._again()
                return None
            if isinstance(high.chunk, Vanished):
                return await self._vanished(high.chunk, mark, frontier)
            return await self._rows(high.chunk, mark, frontier)
        finally:
            self._touched.start()

    async def _rows(self, chunk: Chunk, mark: Mark, frontier: Position) -> Captured:
        rows, touched = chunk.rows, self._touched
        keys = [rows.shape.key(row) if row else () for row in rows.rows]
        without = left_out(keys, touched)
        given = given_at(rows, mark.lsn, mark.sequence, mark.committed_at, without)
        table = rows.shape.schema.table
        if given.notes:
            self._kept.tables.add(table)
        state = await self._kept.settle(given.changes, given.notes)
        now = self._jobs.all[chunk.job.id]
        open_keys = {key_fields(k) for k in touched.keys} if chunk.paid else set[tuple[bytes, ...]]()
        paid = set(chunk.paid) - open_keys
        owed = tuple(k for k in now.owed if k not in paid)
        read = chunk.job
        job = msgspec.structs.replace(
            now,  # what else it says may be newer than when the chunk was read
            state=SnapshotState.COPYING,
            pages=read.pages,
            keys=read.keys,
            chunk=read.chunk,
            done=read.done,
            exhausted=read.exhausted,
            owed=owed,
        )
        if job.exhausted and not owed:
            job = self._copied(job, keyed=rows.shape.keyed)
        return Captured(frontier, given.changes, {**state, **self._jobs.state(job)}, given.rejected)

    def _copied(self, job: Job, *, keyed: bool) -> Job:
        """All rows were given: the end, unless what the log held before is to be compared."""
        if not job.reason.compares:
            return job.end(SnapshotState.DONE)
        if keyed and self._missing.possible:
            return msgspec.structs.replace(job, state=SnapshotState.COMPARING)
        why = "the log cannot be read here" if keyed else "the table has no key"
        return msgspec.structs.replace(
            job.end(SnapshotState.DONE), note=f"rows that are gone were not looked for: {why}"
        )

    async def _vanished(self, gone: Vanished, mark: Mark, frontier: Position) -> Captured:
        """Rows that only the log still has."""
        shape, touched = gone.shape, self._touched
        keys = [] if touched.truncated else [k for k in gone.keys if k not in touched.keys]
        changes = [
            Change(shape.schema, Op.DELETE, Position(mark.lsn, n), mark.committed_at, 0, key, shape.only_key(key), None)
            for n, key in enumerate(keys, mark.sequence + 1)
        ]
        notes = [Note(i, shape) for i in range(len(changes))] if shape.schema.table in self._kept.tables else []
        state = await self._kept.settle(changes, notes)
        now = self._jobs.all[gone.job.id]
        job = msgspec.structs.replace(now, deleted=now.deleted + len(changes))
        if gone.last:
            job = msgspec.structs.replace(job.end(SnapshotState.DONE), note=gone.note)
        return Captured(frontier, changes, {**state, **self._jobs.state(job)})

    def _again(self) -> None:
        """What was read ahead is not given: the reading starts again behind what was."""
        self._generation += 1

    # ---- the reading side --------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        pause = _PAUSE_S
        while not self._closing:
            job = self._jobs.active()
            if job is None:
                self._touched = Touched("")
                self._jobs.woken.clear()
                if self._jobs.active() is None:
                    await self._jobs.woken.wait()
                continue
            if self._paused(job):
                self._again()
                self._touched = Touched("")
                await asyncio.sleep(_PAUSE_S)
                continue
            try:
                await self._work(job.id)
                pause = _PAUSE_S
                continue
            except Gone as gone:
                self._jobs.put(self._jobs.all[job.id].end(SnapshotState.FAILED, str(gone)))
                continue
            except Error as problem:
                error = query_failed(self._shown, f"read {job.table} again", problem)
            except (Broken, SourceError) as problem:
                error = problem
            self._again()
            if self._closing:
                return  # a statement that is cancelled while its connection breaks tells only of the latter
            if isinstance(error, SourceError):
                _log.error("a snapshot failed", table=job.table, error=str(error))
                self._jobs.put(self._jobs.all[job.id].end(SnapshotState.FAILED, str(error)))
                continue
            _log.warning("a snapshot was interrupted", table=job.table, error=str(error), again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _work(self, id: str) -> None:
        """Reads a job from where it stands until it ends, or has to start again."""
        self._again()
        await asyncio.sleep(_BETWEEN_S)
        generation = self._generation
        await self._writers_ended(self._jobs.all[id])
        await self._expect(id)
        await self._low_mark(id, generation)
        cursor = self._jobs.all[id]
        while (job := self._jobs.all[id]) and self._generation == generation and not job.ended:
            if self._paused(job):
                return
            if job.state is SnapshotState.COMPARING:
                await self._compare(job, generation)
            elif cursor.exhausted or len(job.owed) >= _OWED_AT_ONCE:
                await self._until(lambda: not self._ahead, generation)
                job = self._jobs.all[id]
                if job.owed and not job.ended:
                    # The chunk before this one was met where the stream is, which may be far behind: between it and
                    # here each of these rows may have changed once more without its values, and be owed for ever.
                    await self._low_mark(id, generation)
                    cursor = msgspec.structs.replace(cursor, owed=job.owed)
                    cursor = await self._chunk(cursor, generation, owed=True)
            else:
                await self._until(lambda: self._ahead < _AHEAD, generation)
                cursor = await self._chunk(cursor, generation, owed=False)

    async def _expect(self, id: str) -> None:
        """How many rows there are about, where nobody knew when the job was made: statistics come with time."""
        oid = self._jobs.all[id].oid
        found = (await heaps(await self._client.connection(), [oid]))[oid]
        job = self._jobs.all[id]
        if job.total is None and job.first is None and job.last is None and all(h.rows_a_page for h in found):
            self._jobs.put(msgspec.structs.replace(job, total=round(sum(h.pages * h.rows_a_page for h in found))))

    async def _chunk(self, cursor: Job, generation: int, *, owed: bool) -> Job:
        return await self._between(generation, self._chunks.read(cursor, owed=owed))

    async def _between(
        self, generation: int, read: AbstractAsyncContextManager[Chunk] | AbstractAsyncContextManager[Vanished]
    ) -> Job:
        """Reads something and writes the high watermark behind it."""
        self._reading = True
        try:
            async with read as chunk:
                await self._mark(High(generation, chunk))
            return chunk.job
        finally:
            self._reading = False

    async def _compare(self, job: Job, generation: int) -> None:
        async with self._chunks.locked(job.oid) as at:
            shape = at.shape
        async with aclosing(self._missing.find(job, shape.schema)) as groups:
            async for keys, note in groups:
                await self._low_mark(job.id, generation)
                await self._between(generation, self._chunks.vanished(job, keys, last=not keys, note=note))
                await self._until(lambda: not self._ahead, generation)
                if self._generation != generation or self._jobs.all[job.id].ended:
                    return

    async def _low_mark(self, id: str, generation: int) -> None:
        async with self._chunks.locked(self._jobs.all[id].oid) as at:
            await self._mark(Low(generation, id, at.shape))

    @property
    def _ahead(self) -> int:
        """Chunks that were read and that the stream has not come to yet."""
        return sum(isinstance(e, High) for e in self._expected.values())

    async def _until(self, condition: Callable[[], bool], generation: int) -> None:
        while self._generation == generation and not condition():
            self._met.clear()
            await self._met.wait()

    async def _mark(self, expected: Low | High) -> None:
        """Writes a watermark; returns when it is committed."""
        self._number += 1
        content = f"{self._run}:{self._number}"
        self._expected[content] = expected
        try:
            connection = await self._client.connection()
            await connection.execute(SQL["mark"], {"content": content})
        except BaseException:
            self._expected.pop(content, None)  # if it was committed after all, nobody waits for it
            raise

    async def _writers_ended(self, job: Job) -> None:
        """Waits until nothing is on its way that the stream does not tell and that the chunks do not show.

        A transaction that wrote to a table before it was published is not streamed. One that had its commit record in
        the WAL before this stream began may not be visible yet; while it sits idle it has none.
        """
        idle = job.reason is Reason.ADDED and not job.chunk
        waiting = await self._writers(job.oid, idle=idle)
        told = monotonic()
        while waiting:
            if monotonic() - told > 10:
                told = monotonic()
                _log.info("a snapshot waits for open transactions", table=job.table, transactions=len(waiting))
            await asyncio.sleep(_WRITERS_EVERY_S)
            waiting &= await self._writers(job.oid, idle=idle)

    async def _writers(self, table: int, *, idle: bool) -> set[str]:
        connection = await self._client.connection()
        cursor = await connection.execute(SQL["writers"], {"table": table, "idle": idle})
        return {row[0] for row in await cursor.fetchall()}

    async def close(self) -> None:
        self._closing = True
        try:
            if self._task is not None:
                self._task.cancel()
                # What is cancelled waits for the server's word: not for ever.
                with self._client.deadline(ANSWER_S), self._chunks.deadline(ANSWER_S):
                    await asyncio.gather(self._task, return_exceptions=True)
        finally:
            await self._chunks.close()

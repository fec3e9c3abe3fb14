"""One connection's reading of the binary log, and the copies of tables that it needs on the way."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

from headrace.change import START, Position
from headrace.sources import Captured
from headrace.sources.mysql import positions, setup
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.assemble import Assembler
from headrace.sources.mysql.beside import Beside
from headrace.sources.mysql.changing import Outcome, outcome, settle
from headrace.sources.mysql.client import Client
from headrace.sources.mysql.copying import Copying
from headrace.sources.mysql.ddl import Effect, Kind
from headrace.sources.mysql.heads import Heads
from headrace.sources.mysql.partial import Owed
from headrace.sources.mysql.plan import Plan, rejected, split
from headrace.sources.mysql.positions import Moments
from headrace.sources.mysql.problems import behind
from headrace.sources.mysql.progress import CAPTURE, PLACE, PREPARED, REFUSED, Place, Run, refused_state
from headrace.sources.mysql.replication import Replication
from headrace.sources.mysql.setup import Found
from headrace.sources.mysql.shapes import Shapes
from headrace.sources.mysql.snapshot import Copy
from headrace.sources.mysql.tables import Tables
from headrace.sources.mysql.transaction import Pending
from headrace.sources.snapshots.jobs import Reason, Wanted

BATCH_BYTES = 16 * 1024 * 1024
IDLE_AT_MOST_EVERY_S = 0.05
RECORD_EVERY_S = 10.0
RECORD_EVERY_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Shared:
    """What a source has across its connections. `copying`: the copy that runs; `told`: the last frontier given, and
    when a step was; `went_back`: the log was seen to end before that."""

    name: str
    address: Address
    batch_rows: int
    client: Client
    heads: Heads
    moments: Moments
    closed: asyncio.Event
    beside: Beside
    copying: Copying | None = None
    told: Position = START
    told_at: float = 0.0
    went_back: bool = False

    @property
    def shown(self) -> str:
        return self.address.shown

    async def end_copy(self) -> None:
        copying, self.copying = self.copying, None
        if copying is not None:
            await copying.close()


class Reading:
    """One connection's reading of the log, and the copies that it needs on the way."""

    def __init__(self, of: Shared, plan: Plan, run: Run, replication: Replication) -> None:
        self._of, self._plan, self._run, self._replication = of, plan, run, replication
        self._rows = of.batch_rows
        self._client = of.client
        self._shapes = Shapes(of.name, plan.charsets)
        self._shapes.know(t.catalogued for t in plan.tables)
        captured = frozenset[str]() if plan.first else plan.followed
        counted = plan.saved.capture.tables if plan.saved.capture is not None else ()
        self._tables = Tables(
            plan.patterns, captured, [r.topic.removeprefix(f"{of.name}.") for r in plan.refused], counted
        )
        self._refused = {r.topic for r in plan.refused}
        self._point = 0 if plan.saved.capture is None else plan.saved.capture.point
        self._recorded: tuple[int, float] = (0, 0.0)
        self._assembler: Assembler

    async def steps(self) -> AsyncGenerator[Captured]:
        if self._plan.first:
            async with aclosing(self._first()) as steps:
                async for captured in steps:
                    yield captured
        else:
            assert self._plan.place is not None
            await self._start(self._plan.place)
            if self._plan.to_copy:
                await self._open_copy(self._plan.to_copy)
        self._of.beside.start(self._plan, self._run, self._assembler, self._shapes, self._tables)
        async with aclosing(self._follow()) as steps:
            async for captured in steps:
                yield captured

    async def _start(self, place: Place) -> None:
        """Begins to read, and looks whether the log is the one that it was."""
        self._assembler = Assembler(
            self._of.shown,
            self._plan.server.base,
            self._shapes,
            self._tables,
            self._run.given,
            place,
            self._rows,
            BATCH_BYTES,
        )
        await self._replication.start(self._plan.file(place), place.offset)
        while not (self._replication.drain(self._assembler) or self._assembler.identified):
            await self._replication.wait(None)

    async def _first(self) -> AsyncGenerator[Captured]:
        of, plan = self._of, self._plan
        copy = await Copy.open(of.address, [t.table for t in plan.to_copy], plan.server.mariadb, of.moments)
        copying = of.copying = Copying(copy, plan.to_copy, self._shapes)
        self._point = copy.point
        if copy.point < self._run.given.major:
            raise behind(of.shown, positions.shown(plan.server.base, copy.point))
        # The log is opened before the copy: so the server keeps what commits meanwhile.
        await self._start(Place(positions.file_of(copy.point), positions.offset_of(copy.point)))
        names = {t.table for t in plan.to_copy}
        opened, done = (plan.captured(copy.point, names, done=is_done) for is_done in (False, True))
        place = self._assembler.beginning
        async with aclosing(copying.first_run(opened, done, place, plan.emptied, self._rows, BATCH_BYTES)) as steps:
            async for captured in steps:
                yield captured
        await of.end_copy()
        self._tables.captured.update(names)

    async def _follow(self) -> AsyncGenerator[Captured]:
        of, assembler, replication, beside = self._of, self._assembler, self._replication, self._of.beside
        while not of.closed.is_set():
            beside.check()
            more = assembler.ready or replication.drain(assembler)
            if assembler.pending is not None:
                await self._answer(assembler.pending)
            elif (taken := assembler.take()) is not None:
                beside.see(taken.changes)
                yield Captured(self._frontier(), taken.changes, taken.state, taken.rejected)
            elif assembler.stopped and of.copying is not None:
                async with aclosing(self._added(of.copying)) as steps:
                    async for captured in steps:
                        yield captured
            elif of.copying is None and (given := beside.give(assembler, self._frontier)) is not None:
                yield given
            elif (news := beside.news(self._frontier())) is not None:
                yield news
            elif (delay := self._idle()) == 0:
                yield Captured(self._frontier(), state=self._record())
            elif not more:
                if of.went_back or (assembler.caught_up and of.heads.overdue(assembler.seen)):
                    of.went_back = False
                    raise behind(of.shown, positions.shown(self._plan.server.base, assembler.seen))
                await replication.wait(delay)

    def _frontier(self) -> Position:
        """What is told. It stands still while what an interrupted first copy left over is read."""
        if self._of.beside.first_unfinished:
            return self._run.frontier
        return self._of.moments.at(self._assembler.frontier)

    def _idle(self) -> float | None:
        """In how many seconds a frontier without changes is to be told; None when there is none."""
        frontier = self._run.frontier.major if self._of.beside.first_unfinished else self._assembler.frontier
        if self._of.heads.due(frontier):
            return 0
        if frontier <= self._run.frontier.major:
            return None
        return max(0.0, self._of.told_at + IDLE_AT_MOST_EVERY_S - monotonic())

    def _record(self) -> dict[str, bytes | None]:
        """The place as state, now and then: a log that has no changes of ours in it is not read again from far back."""
        at, when = self._recorded
        seen, now = self._assembler.seen, monotonic()
        if not self._assembler.between or not (seen - at >= RECORD_EVERY_BYTES or now - when >= RECORD_EVERY_S):
            return {}
        if seen == at:
            return {}
        self._recorded = (seen, now)
        return {PLACE: self._assembler.place.encode()}

    # ---- copies on the way -------------------------------------------------------------------------------------------

    async def _open_copy(self, tables: Sequence[Found]) -> None:
        """Tables are copied as of a point ahead; the stream goes on up to there without their rows."""
        of = self._of
        pending = of.copying.tables if of.copying is not None else ()
        names = {t.table for t in tables}
        together = [*(t for t in pending if t.table not in names), *tables]
        await of.end_copy()
        copy = await Copy.open(of.address, [t.table for t in together], self._plan.server.mariadb, of.moments)
        of.copying = Copying(copy, together, self._shapes)
        of.beside.leave(t.table for t in together)
        self._tables.mute(t.table for t in together)
        self._assembler.stop_at(copy.point)

    async def _added(self, copying: Copying) -> AsyncGenerator[Captured]:
        names = {t.table for t in copying.tables}
        nothing_told = self._of.beside.first_unfinished
        done = self._plan.captured(self._point, self._tables.captured | names, done=True)
        async with aclosing(
            copying.added_run(done, self._assembler.place, self._rows, BATCH_BYTES, self._run.frontier)
        ) as steps:
            async for captured in steps:
                yield dataclasses.replace(captured, frontier=self._run.frontier) if nothing_told else captured
        await self._of.end_copy()
        self._tables.mute(())
        self._tables.captured.update(names)
        self._assembler.go_on()

    # ---- what statements change --------------------------------------------------------------------------------------

    async def _answer(self, pending: Pending) -> None:
        assembler = self._assembler
        if pending.prepared:
            await self._prepared(pending)
            return
        if pending.owed:
            self._owe(pending.owed)
        elif pending.refused is not None:
            self._refuse(*pending.refused)
        else:
            await self._changed(outcome(pending.effects, self._tables))
        assembler.resume()

    async def _prepared(self, pending: Pending) -> None:
        """A prepared transaction ends. One that was prepared before we read has rows that nobody saw."""
        name = PREPARED + pending.prepared
        kept = self._assembler.kept(name) or (await self._run.resume.state.get([name])).get(name)
        everything = tuple(Effect(Kind.REFILL, t) for t in sorted(self._tables.captured))
        self._assembler.settle(pending.prepared, kept, back=pending.back)
        if kept is None and not pending.back:
            await self._changed(outcome(everything, self._tables))

    def _refuse(self, table: str, why: str) -> None:
        found = Found(table, 0, (), (), (), _refusal(table, why))
        was = table in self._tables.captured
        self._of.beside.leave({table})
        self._tables.captured.discard(table)
        self._tables.refused.add(table)
        self._tell([table] if was else [], [found], [])

    def _owe(self, rows: Sequence[Owed]) -> None:
        """Rows that the log does not tell are read from their tables. One that is to be copied anyway shows them."""
        state, letters = self._of.beside.owe([o for o in rows if o.table in self._tables.captured], self._run)
        self._assembler.changed((), state, letters)

    async def _changed(self, found: Outcome) -> None:
        catalog: list[Found] = []
        if found.touched:
            shown, charsets = self._of.shown, self._plan.charsets
            catalog = await self._client.run(
                lambda session: setup.look(session, found.touched, charsets, setup.head(session, shown)),
                f"look at tables of {shown}",
            )
        self._of.beside.altered({*found.gone, *found.touched})
        settled = settle(found, catalog, self._tables)
        to_copy, added = split(settled.copy)
        self._of.beside.leave({*found.gone, *(t.table for t in settled.copy), *(t.table for t in settled.refused)})
        self._of.beside.jobs.add(Reason.ADDED, [Wanted(t.table, t.rows) for t in added])
        self._tables.captured.update(t.table for t in added)
        self._tell(settled.truncated, settled.refused, settled.accepted)
        for table in found.gone:
            self._shapes.forget(table)
        self._shapes.know(t.catalogued for t in catalog)
        self._assembler.forget_shapes()
        copying = self._of.copying
        if to_copy or (copying is not None and any(t.table in found.gone for t in copying.tables)):
            await self._open_copy(to_copy)

    def _tell(self, truncated: Sequence[str], refused: Sequence[Found], accepted: Sequence[str]) -> None:
        name = self._of.name
        letters = [rejected(name, found, self._run) for found in refused]
        now = self._refused - {f"{name}.{table}" for table in accepted} | {letter.topic for letter in letters}
        state: dict[str, bytes | None] = {
            CAPTURE: self._plan.captured(self._point, self._tables.captured, done=True).encode()
        }
        state.update(self._of.beside.jobs.state())
        if now != self._refused:
            self._refused = now
            state[REFUSED] = refused_state(sorted(now))
        self._assembler.changed(truncated, state, letters)


def _refusal(table: str, why: str) -> setup.Reason:
    return (
        "a table that can be captured",
        why,
        f"Change {setup.quoted(table)}, or leave it out of `tables`.",
    )

"""Snapshots beside the stream: what each one is to read, and how far it is. Each stands in the source's state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count

import msgspec

from headrace.clock import now_us
from headrace.sources import SnapshotJob, SnapshotProgress, SnapshotState

PREFIX = "job:"
_MINUTE_US = 60_000_000
_KEPT = 20
"""Ended ones are told of until so many have ended after them."""


class Reason(StrEnum):
    """`FIRST`: the rest of a first copy that was interrupted. `ADDED`: the table came later. `ASKED`: somebody did.
    `LACKING`: the stream told rows without all of their values. `UNSEEN`: the stream did not tell what rows there are.
    """

    FIRST = "first"
    ADDED = "added"
    ASKED = "asked"
    LACKING = "lacking"
    UNSEEN = "unseen"

    @property
    def compares(self) -> bool:
        """Rows are looked for that only the log still has."""
        return self in (Reason.ASKED, Reason.UNSEEN)


class Pages(msgspec.Struct, frozen=True):
    """Ranges of PostgreSQL's pages, for a table that nothing says how to read in the order of its keys, or of which
    some pages were read already. `file`: pages of another file are others."""

    relation: int = 0
    file: int = 0
    page: int = 0


class Keys(msgspec.Struct, frozen=True):
    """The order of the key. `columns` are the key's, `last` the last key read as the server wrote it."""

    columns: tuple[str, ...] = ()
    last: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table to read. `oid`: what its server numbers it by, if it does. `rows`: what the statistics expect; 0 when
    they know nothing. `pages`, `keys`, `done`: where an earlier reading stopped."""

    table: str
    rows: int = 0
    oid: int = 0
    pages: Pages | None = None
    keys: Keys | None = None
    done: int = 0


class Job(msgspec.Struct, frozen=True):
    """`first` and `last` bound the keys, both included; they may name only the first columns of the key. `owed`: keys
    whose rows the stream told without all values and that are to be read again. `emptied`: the table was emptied in the
    log before its first chunk. `exhausted`: all rows were read, apart from those."""

    id: str
    table: str
    oid: int
    reason: Reason
    state: SnapshotState
    started_at: int
    pages: Pages | None = None
    keys: Keys = Keys()
    first: tuple[str, ...] | None = None
    last: tuple[str, ...] | None = None
    chunk: int = 0
    done: int = 0
    total: int | None = None
    deleted: int = 0
    owed: tuple[tuple[bytes, ...], ...] = ()
    emptied: bool = False
    exhausted: bool = False
    ended_at: int | None = None
    problem: str | None = None
    note: str | None = None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    def end(self, state: SnapshotState, problem: str | None = None) -> Job:
        return msgspec.structs.replace(self, state=state, ended_at=now_us(), problem=problem)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Job).decode


@dataclass(slots=True)
class Jobs:
    """All jobs of a source, in the order in which they are done. What `changed` goes into the state with what the
    stream gives next."""

    source: str
    all: dict[str, Job] = field(default_factory=dict[str, Job])
    changed: set[str] = field(default_factory=set[str])
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    on_change: Callable[[], None] = lambda: None
    caught_up: set[str] = field(default_factory=set[str])
    """Tables of which nothing is owed any more, since somebody last looked."""
    _resumed_at: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def load(self, state: Mapping[str, bytes]) -> None:
        """What the log holds; what has changed meanwhile and is not there yet stays."""
        stored = {key.removeprefix(PREFIX): _decode(value) for key, value in state.items()}
        stored.update({id: self.all[id] for id in self.changed})
        self.all = {job.id: job for job in sorted(stored.values(), key=_order)}

    def active(self) -> Job | None:
        return next((j for j in self.all.values() if not j.ended), None)

    def unfinished(self, *reasons: Reason) -> list[Job]:
        return [j for j in self.all.values() if not j.ended and j.reason in reasons]

    def crossed(self, captured: Container[str], committed_at: int) -> bool:
        """Whether what was told last, committed at that time, may be of a transaction that wrote to a table before the
        table came: its reading, which waits for the end of those, has not begun. Where it ended before that because the
        table went, so had they; a minute is for clocks that differ."""
        newest = {j.table: j for j in self.all.values() if j.reason is Reason.ADDED}
        return any(
            not j.emptied and (j.ended_at is None or j.table in captured or committed_at <= j.ended_at + _MINUTE_US)
            for j in newest.values()
        )

    @property
    def first_copy(self) -> SnapshotProgress | None:
        """What an interrupted first copy left over, while it is read."""
        if not self.unfinished(Reason.FIRST):
            return None
        jobs = [j for j in self.all.values() if j.reason is Reason.FIRST]
        done = sum(j.done for j in jobs)
        total = sum(max(j.total or 0, j.done) for j in jobs)
        return SnapshotProgress(done, total, min(j.started_at for j in jobs))

    def supersede(self, tables: Container[str] | None = None) -> None:
        """Ends what reads tables that are read from the start now (None: all)."""
        for job in list(self.all.values()):
            if not job.ended and job.reason is not Reason.ASKED and (tables is None or job.table in tables):
                self.put(job.end(SnapshotState.CANCELLED))

    def of(self, table: str) -> list[Job]:
        """The unfinished one that reads a table first, if any does."""
        return [j for j in self.all.values() if not j.ended and j.table == table][:1]

    @property
    def tables(self) -> frozenset[str]:
        """Tables that are being read, or will be."""
        return frozenset(j.table for j in self.all.values() if not j.ended)

    def add(
        self,
        reason: Reason,
        tables: Sequence[Wanted],
        first: tuple[str, ...] | None = None,
        last: tuple[str, ...] | None = None,
    ) -> list[Job]:
        """New jobs, each behind all that wait."""
        if reason is Reason.ADDED:
            self.supersede({t.table for t in tables})
        numbers = count(max((int(id) for id in self.all), default=0) + 1)
        bounded = first is not None or last is not None
        added = [
            Job(
                str(number),
                table.table,
                table.oid,
                reason,
                SnapshotState.WAITING,
                now_us(),
                table.pages,
                table.keys or Keys(),
                first,
                last,
                done=table.done,
                total=None if bounded or not table.rows else table.rows,
            )
            for table, number in zip(tables, numbers, strict=False)
        ]
        self.put(*added)
        return added

    def owe(self, reason: Reason, table: str, first: tuple[str, ...] | None, last: tuple[str, ...] | None) -> None:
        """Rows of a table that the stream did not tell are to be read: one job that has not begun reads them all."""
        for job in self.unfinished(reason):
            if job.table == table and job.state is SnapshotState.WAITING:
                bounds = (_lower(job.first, first), _upper(job.last, last))
                self.put(msgspec.structs.replace(job, first=bounds[0], last=bounds[1]))
                return
        self.add(reason, [Wanted(table)], first, last)

    def _note_caught_up(self, job: Job) -> None:
        owing = (Reason.LACKING, Reason.UNSEEN)
        if job.ended and job.reason in owing and not any(j.table == job.table for j in self.unfinished(*owing)):
            self.caught_up.add(job.table)

    def put(self, *jobs: Job) -> None:
        """A new job, or one that has moved on; stored soon."""
        for job in jobs:
            self.all[job.id] = job
            self.changed.add(job.id)
            self._note_caught_up(job)
        self.woken.set()
        self.on_change()

    def state(self, *moved: Job) -> dict[str, bytes | None]:
        """What is to be stored with the next append: these jobs, and what changed besides."""
        for job in moved:
            self.all[job.id] = job
            self.changed.add(job.id)
            self._note_caught_up(job)
            if job.id not in self._resumed_at:
                self._resumed_at[job.id] = (now_us(), job.done)
        state: dict[str, bytes | None] = {PREFIX + id: _encode(self.all[id]) for id in self.changed}
        ended = sorted((j for j in self.all.values() if j.ended), key=lambda j: j.ended_at or 0)
        for job in ended[:-_KEPT]:
            del self.all[job.id]
            state[PREFIX + job.id] = None
        self.changed.clear()
        return state

    def shown(self) -> list[SnapshotJob]:
        return [self._shown(j) for j in self.all.values()]

    def _shown(self, job: Job) -> SnapshotJob:
        since, before = self._resumed_at.get(job.id, (now_us(), job.done))
        seconds = ((job.ended_at or now_us()) - since) / 1e6
        return SnapshotJob(
            id=job.id,
            source=self.source,
            table=job.table,
            reason=job.reason.value,
            state=job.state,
            done=job.done,
            total=job.total,
            deleted=job.deleted,
            chunk=job.chunk,
            rate=(job.done - before) / seconds if seconds > 0 else 0.0,
            started_at=job.started_at,
            ended_at=job.ended_at,
            problem=job.problem,
            note=job.note,
        )


def _lower(a: tuple[str, ...] | None, b: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Of bounds that are single integers."""
    return None if a is None or b is None else min(a, b, key=lambda bound: int(bound[0]))


def _upper(a: tuple[str, ...] | None, b: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if a is None or b is None else max(a, b, key=lambda bound: int(bound[0]))


def _order(job: Job) -> int:
    return int(job.id)

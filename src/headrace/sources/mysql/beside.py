"""What goes on beside the stream: tables that are read again, came later, or were left over by a first copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from headrace.change import BINLOG_FIRST, Change, Position
from headrace.clock import now_us
from headrace.errors import NotFound, SourceError
from headrace.sources import (
    Captured,
    Known,
    Rejected,
    SnapshotJob,
    SnapshotState,
    SourceSettings,
    State,
)
from headrace.sources.mysql import setup
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.assemble import Assembler
from headrace.sources.mysql.client import Client
from headrace.sources.mysql.cutting import key_columns
from headrace.sources.mysql.incremental import Incremental, Prepared
from headrace.sources.mysql.keys import KeyColumn
from headrace.sources.mysql.partial import Owed
from headrace.sources.mysql.plan import Plan
from headrace.sources.mysql.positions import Moments
from headrace.sources.mysql.problems import Broken, untold
from headrace.sources.mysql.progress import PLACE, Run
from headrace.sources.mysql.result import Failed
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import SQL, Found
from headrace.sources.mysql.shapes import Shapes
from headrace.sources.mysql.tables import Tables
from headrace.sources.mysql.views import Views
from headrace.sources.snapshots.asking import cancelled, key_values, unusable
from headrace.sources.snapshots.jobs import PREFIX, Jobs, Reason, Wanted

UNTOLD = "*"
"""Key of the dead letter for rows of a table that the log does not tell."""
CHUNK_BYTES = 8 * 1024 * 1024
_MAY_NOT = frozenset({1044, 1142, 1227, 1401})


class Beside:
    """Jobs outlive a connection; what reads them is made anew with each one."""

    def __init__(
        self,
        settings: SourceSettings,
        address: Address,
        moments: Moments,
        wake: Callable[[], None],
    ) -> None:
        self.jobs = Jobs(settings.name, on_change=wake)
        self._settings = settings
        self._address = address
        self._client = Client(address)
        self._moments = moments
        self._wake = wake
        self._incremental: Incremental | None = None
        self._plan: Plan | None = None
        self._tables: Tables | None = None

    # ---- a connection's life -----------------------------------------------------------------------------------------

    async def load(self, state: State) -> None:
        self.jobs.load(await state.scan(PREFIX))

    def begin(self, plan: Plan) -> None:
        """Before the connection's first step: ends what the plan leaves nothing of. From here on tables can be asked
        for."""
        self._plan = plan
        if plan.first:
            self.jobs.supersede()
        gone = {j.table for j in self.jobs.all.values() if not j.ended} - plan.followed
        if not plan.first:
            self.leave(gone)

    def start(self, plan: Plan, run: Run, assembler: Assembler, shapes: Shapes, tables: Tables) -> None:
        self._tables = tables
        known: Known | None = run.resume.known

        def reached() -> int:
            given = run.given
            return max(assembler.committed, given.major + 1 if given.minor >= BINLOG_FIRST else 0)

        async def catalog(table: str) -> tuple[Found, tuple[str, ...]] | None:
            return await self._client.run(
                lambda session: setup.one(session, table, plan.charsets, plan.head),
                f"look at {table} of {self._address.shown}",
            )

        views = Views(self._address, plan.server.mariadb, catalog, self._settings.batch_rows, CHUNK_BYTES)
        self._incremental = Incremental(
            self.jobs, views, shapes, self._moments, known, reached, self._prepared, self._wake
        )
        self._incremental.start()

    async def _prepared(self) -> Prepared:
        def ask(session: Session) -> Prepared:
            try:
                return frozenset(session.rows(SQL["prepared"]))
            except Failed as failed:
                if failed.code not in _MAY_NOT:
                    raise
                return frozenset()

        return await self._client.run(ask, "ask for prepared transactions")

    async def close(self) -> None:
        incremental, self._incremental, self._tables = self._incremental, None, None
        try:
            if incremental is not None:
                await incremental.close()
        finally:
            await self._client.close()

    # ---- for the stream ----------------------------------------------------------------------------------------------

    @property
    def first_unfinished(self) -> bool:
        """While what an interrupted first copy left over is read, nothing is promised."""
        return bool(self.jobs.unfinished(Reason.FIRST))

    def check(self) -> None:
        if self._incremental is not None:
            self._incremental.check()

    def see(self, changes: Sequence[Change]) -> None:
        if self._incremental is not None:
            self._incremental.see(changes)

    def altered(self, tables: Iterable[str]) -> None:
        if self._incremental is not None:
            self._incremental.altered(frozenset(tables))

    def leave(self, tables: Iterable[str]) -> None:
        """The tables are not what they were, are gone, or are copied as a whole."""
        left = frozenset(tables)
        self.jobs.supersede(left)
        for job in self.jobs.unfinished(Reason.ASKED):
            if job.table in left:
                self.jobs.put(job.end(SnapshotState.FAILED, "the table was dropped, replaced, or is not captured"))

    def give(self, assembler: Assembler, frontier: Callable[[], Position]) -> Captured | None:
        """What was read and can be given now, with the place where a restart goes on."""
        if self._incremental is None or assembler.parted:
            return None
        given = self._incremental.give(assembler.seen, frontier)
        if given is None:
            return None
        state = {**given.state, PLACE: assembler.place.encode()}
        return Captured(given.frontier, given.changes, state, given.rejected, self._caught_up())

    def news(self, frontier: Position) -> Captured | None:
        """What was asked for, or has ended, meanwhile."""
        if not (self.jobs.changed or self.jobs.caught_up):
            return None
        state = self.jobs.state()
        return Captured(frontier, state=state, settled=self._caught_up())

    def owe(self, rows: Sequence[Owed], run: Run) -> tuple[dict[str, bytes | None], list[Rejected]]:
        """What the log does not tell of these rows is read, and told as a dead letter until it was."""
        for each in rows:
            # What was read ahead may be from before they were written.
            self.altered({each.table})
            bounds = [None if n is None else (str(n),) for n in (each.first, each.last)]
            self.jobs.owe(Reason.UNSEEN if each.unseen else Reason.LACKING, each.table, bounds[0], bounds[1])
        topics = [f"{self._settings.name}.{each.table}" for each in rows]
        letters = [Rejected(topic, UNTOLD, run.given, now_us(), untold(topic)) for topic in topics]
        return self.jobs.state(), letters

    def _caught_up(self) -> list[tuple[str, str]]:
        """Tables of which everything that was owed has been given, as dead letters that are settled."""
        tables, self.jobs.caught_up = self.jobs.caught_up, set()
        return [(f"{self._settings.name}.{table}", UNTOLD) for table in sorted(tables)]

    # ---- for people --------------------------------------------------------------------------------------------------

    async def ask(self, tables: str, first: str | None, last: str | None) -> list[SnapshotJob]:
        """Raises NotFound, BadRequest or SourceError."""
        step = f"read tables of {self._settings.name} again"
        if self._plan is None:
            raise SourceError(
                step=step,
                expected="a source that streams",
                got="one that is starting, or down",
                remedy="See headrace status; ask again when it streams.",
            )
        planned = self._plan.followed | {t.table for t in self._plan.to_copy}
        captured = sorted(planned if self._tables is None else self._tables.captured)
        pattern = setup.patterns((tables,), self._address.database)[0]
        matched = [t for t in captured if fnmatchcase(t, pattern)]
        if not matched:
            raise NotFound(
                step=step,
                expected="a captured table, one of " + ", ".join(captured)[:500],
                got=tables[:200],
                remedy="Name a table, or a pattern such as shop.*",
            )
        bounds = (key_values(first), key_values(last))
        found = await self._look(matched)
        if any(b is not None for b in bounds):
            await self._check(found, [b for b in bounds if b is not None])
        waiting = {(j.table, j.first, j.last) for j in self.jobs.all.values() if j.state is SnapshotState.WAITING}
        new = [t for t in found if (t.table, *bounds) not in waiting]
        self.jobs.add(Reason.ASKED, [Wanted(t.table, t.rows) for t in new], first=bounds[0], last=bounds[1])
        names = {t.table for t in found}
        asked = [
            j.id for j in self.jobs.all.values() if not j.ended and j.table in names and (j.first, j.last) == bounds
        ]
        return [s for s in self.jobs.shown() if s.id in asked]

    async def _look(self, tables: Sequence[str]) -> list[Found]:
        assert self._plan is not None
        charsets, head = self._plan.charsets, self._plan.head
        try:
            return await self._client.run(
                lambda session: setup.look(session, tables, charsets, head, readable=False),
                f"look at {self._address.shown}",
            )
        except Broken as broken:
            raise broken.error from None

    async def _check(self, tables: Sequence[Found], bounds: Sequence[tuple[str, ...]]) -> None:
        """Whether these can be keys of the one table. Raises BadRequest."""
        if len(tables) != 1:
            raise unusable("one table for a range of keys", ", ".join(t.table for t in tables)[:200])
        key = key_columns(tables[0], tables[0].key)
        for bound in bounds:
            if len(bound) > len(key):
                raise unusable(f"values of the key ({', '.join(c.name for c in key)})", ",".join(bound)[:200])
            for column, text in zip(key, bound, strict=False):
                await self._check_value(column, text)

    async def _check_value(self, column: KeyColumn, text: str) -> None:
        expected = f"a value that {column.name}, of type {column.type}, can hold"
        try:
            literal = column.bound(text)
        except ValueError as problem:
            raise unusable(expected, str(problem)) from None
        try:
            ((value,),) = await self._client.run(lambda session: session.rows(f"SELECT {literal}"), "read a key")
        except Broken as broken:
            raise broken.error from None
        except SourceError as problem:
            raise unusable(expected, problem.got) from None
        if value is None:
            raise unusable(expected, text[:200])

    def cancel(self, id: str) -> SnapshotJob:
        """Raises NotFound, BadRequest."""
        return cancelled(self.jobs, id)

"""What goes on beside a stream: snapshots of tables, and the look-out for tables that can be captured from now on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from psycopg import Error

from headrace.change import Change, Position, Row
from headrace.errors import NotFound, SourceError
from headrace.sources import Captured, Known, SnapshotJob, SnapshotState, SourceSettings, State
from headrace.sources.postgres.chunks import Chunks, check_bounds
from headrace.sources.postgres.client import ANSWER_S, Client
from headrace.sources.postgres.deadline import deadline
from headrace.sources.postgres.incremental import Incremental
from headrace.sources.postgres.kept import Kept
from headrace.sources.postgres.plan import Plan, wanted
from headrace.sources.postgres.problems import Broken
from headrace.sources.postgres.setup import Described, heaps
from headrace.sources.postgres.shapes import Shapes
from headrace.sources.postgres.watermarks import Mark, Visible
from headrace.sources.snapshots.asking import cancelled, key_values, unusable
from headrace.sources.snapshots.jobs import PREFIX, Job, Jobs, Reason

CHUNK_BYTES = 8 * 1024 * 1024
_PAGE_BYTES = 8192
WAITED_FOR_BYTES = 64 * 1024 * 1024
"""Tables that are added at a start and have at most this together are there before anything committed is promised."""


class Beside:
    """Jobs outlive a connection; what reads them is made anew with each one."""

    def __init__(
        self,
        settings: SourceSettings,
        publication: str,
        conninfo: str,
        shown: str,
        client: Client,
        wake: Callable[[], None],
        pausing: Callable[[], bool],
    ) -> None:
        self.jobs = Jobs(settings.name, on_change=wake)
        self._settings = settings
        self._publication = publication
        self._conninfo = conninfo
        self._shown = shown
        self._client = client
        self._pausing = pausing
        self._incremental: Incremental | None = None
        self._waited_for: frozenset[str] = frozenset()
        self._tables: tuple[Described, ...] = ()

    # ---- a connection's life -----------------------------------------------------------------------------------------

    async def load(self, state: State) -> None:
        self.jobs.load(await state.scan(PREFIX))

    def plan(self, plan: Plan) -> None:
        """Which tables there are: from here on they can be asked for."""
        self._tables = plan.tables
        if plan.first:
            self.jobs.supersede()

    async def start(self, shapes: Shapes, kept: Kept, known: Known | None, *, hold: bool) -> None:
        """`hold`: the source has just been started, so small tables that were added are waited for."""
        kept.reading = lambda: self.jobs.tables
        if hold:
            await self._wait_for_small_ones()
        rows = self._settings.batch_rows
        chunks = Chunks(self._conninfo, self._shown, self._publication, shapes, rows, CHUNK_BYTES)
        self._incremental = Incremental(self.jobs, chunks, self._client, self._shown, kept, known, self._paused)
        self._incremental.start()

    async def _wait_for_small_ones(self) -> None:
        added = self.jobs.unfinished(Reason.ADDED)
        connection = await self._client.connection()
        with deadline(connection, ANSWER_S):
            found = await heaps(connection, [j.oid for j in added])
        size = sum(h.pages for of in found.values() for h in of) * _PAGE_BYTES
        self._waited_for = frozenset(j.id for j in added) if size <= WAITED_FOR_BYTES else frozenset()

    def _paused(self, job: Job) -> bool:
        """Not what the frontier waits for: the server would keep more and more until it is done."""
        return self._pausing() and not self._held_for(job)

    def _held_for(self, job: Job) -> bool:
        return job.id in self._waited_for or job.reason is Reason.FIRST

    async def close(self) -> None:
        incremental, self._incremental = self._incremental, None
        if incremental is not None:
            await incremental.close()

    # ---- for the stream ----------------------------------------------------------------------------------------------

    @property
    def first_unfinished(self) -> bool:
        return bool(self.jobs.unfinished(Reason.FIRST))

    @property
    def holding(self) -> bool:
        """Whether tables are being read that everybody who asks for what is committed now waits for."""
        return any(self._held_for(j) for j in self.jobs.all.values() if not j.ended)

    def check(self) -> None:
        if self._incremental is not None:
            self._incremental.check()

    def forget(self, visible: Visible) -> None:
        if self._incremental is not None:
            self._incremental.forget(visible)

    def see(self, changes: Sequence[Change]) -> None:
        if self._incremental is not None:
            self._incremental.see(changes)

    def owe(self, keys: Sequence[tuple[str, Row]]) -> dict[str, bytes | None]:
        """State that is to stand with what was left out."""
        if not keys or self._incremental is None:
            return {}
        self._incremental.owe(keys)
        return self.jobs.state()

    async def met(self, mark: Mark, frontier: Position) -> Captured | None:
        return None if self._incremental is None else await self._incremental.met(mark, frontier)

    def news(self, frontier: Position) -> Captured | None:
        """What was asked for, or has ended, meanwhile."""
        return Captured(frontier, state=self.jobs.state()) if self.jobs.changed else None

    # ---- for people --------------------------------------------------------------------------------------------------

    async def ask(self, tables: str, first: str | None, last: str | None) -> list[SnapshotJob]:
        """Raises NotFound, BadRequest or SourceError."""
        if not self._tables:
            raise SourceError(
                step=f"read tables of {self._settings.name} again",
                expected="a source that streams",
                got="one that is starting, or down",
                remedy="See headrace status; ask again when it streams.",
            )
        pattern = tables if "." in tables else f"public.{tables}"
        matched = [d for d in self._tables if fnmatchcase(d.found.table, pattern)]
        if not matched:
            raise NotFound(
                step=f"read tables of {self._settings.name} again",
                expected="a captured table, one of " + ", ".join(d.found.table for d in self._tables)[:500],
                got=tables[:200],
                remedy="Name a table, or a pattern such as public.*",
            )
        bounds = await self._bounds(matched, first, last)
        at_work = {(j.oid, j.first, j.last) for j in self.jobs.all.values() if j.state is SnapshotState.WAITING}
        new = [d for d in matched if (d.found.oid, *bounds) not in at_work]
        self.jobs.add(Reason.ASKED, [wanted(d) for d in new], first=bounds[0], last=bounds[1])
        oids = {d.found.oid for d in matched}
        asked = [j.id for j in self.jobs.all.values() if not j.ended and j.oid in oids and (j.first, j.last) == bounds]
        return [s for s in self.jobs.shown() if s.id in asked]

    async def _bounds(
        self, tables: Sequence[Described], first: str | None, last: str | None
    ) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """Keys as they are written. Raises BadRequest when the table's key cannot be compared with them."""
        bounds = (key_values(first), key_values(last))
        given = [b for b in bounds if b is not None]
        if not given:
            return bounds
        if len(tables) != 1:
            raise unusable("one table for a range of keys", ", ".join(d.found.table for d in tables)[:200])
        (table,) = tables
        names = table.primary_key or tuple(c.name for c in table.relation.columns if c.identity)
        keyed = bool(table.primary_key) or table.relation.identity != "f"
        if not keyed or any(len(b) > len(names) for b in given):
            expected = f"values of the key ({', '.join(names) if keyed else 'none'})"
            raise unusable(expected, f"{first or ''} .. {last or ''}")
        try:
            await check_bounds(await self._client.connection(), table, names, given)
        except Error as problem:
            raise unusable("values that the key's columns can hold", str(problem).splitlines()[0]) from None
        except Broken as broken:
            raise broken.error from None
        return bounds

    def cancel(self, id: str) -> SnapshotJob:
        """Raises NotFound, BadRequest."""
        return cancelled(self.jobs, id)

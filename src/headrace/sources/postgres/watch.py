"""Looks out for tables that can be captured from now on: created, matched by a pattern, or given a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog
from psycopg import AsyncConnection, Error

from headrace.change import Position
from headrace.errors import SourceError
from headrace.sources import Captured, SourceSettings
from headrace.sources.postgres import setup
from headrace.sources.postgres.client import Client
from headrace.sources.postgres.jobs import Jobs, Reason
from headrace.sources.postgres.plan import Plan, rejected_table
from headrace.sources.postgres.problems import Broken
from headrace.sources.postgres.progress import CAPTURE, REFUSED, Capture, refused_state
from headrace.sources.postgres.setup import SQL, Described, Found
from headrace.sources.postgres.watermarks import Visible

EVERY_S = 5.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """The tables that match now: those that are published, and those that cannot be."""

    tables: tuple[Described, ...]
    refused: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class News:
    tables: tuple[Described, ...]
    captured: Captured


class Watch:
    """One connection's look-out. PostgreSQL's stream tells no DDL, so the catalog is asked for signs of it, cheaply;
    only where there are some it is read."""

    def __init__(
        self,
        plan: Plan,
        capture: Capture,
        settings: SourceSettings,
        conninfo: str,
        shown: str,
        jobs: Jobs,
        wake: Callable[[], None],
    ) -> None:
        self._capture = capture
        self._settings = settings
        self._shown = shown
        self._client = Client(conninfo, shown)
        self._jobs = jobs
        self._wake = wake
        self._signs = ""
        self._refused = {r.topic: r.error.got for r in plan.refused}
        self._known = {d.found.oid: d.found.table for d in plan.tables}
        self._seen: Seen | None = None
        self._task: asyncio.Task[None] | None = None
        self.visible: Visible | None = None
        """Which transactions every later snapshot shows; whoever takes it sets it to None."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._look_out(), name="postgres look-out")

    def check(self) -> None:
        """Raises what ended the task."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _look_out(self) -> None:
        while True:
            try:
                await self._look()
            except (Error, Broken, SourceError) as problem:
                # The stream tells of a server that is gone; what else hinders the look is no reason to stop it.
                _log.warning("tables that were added cannot be seen", source=self._settings.name, error=str(problem))
            await asyncio.sleep(EVERY_S)

    async def _look(self) -> None:
        connection = await self._client.connection()
        row = await (await connection.execute(SQL["visible"])).fetchone()
        assert row is not None
        self.visible = Visible.parse(row[0])
        signs = await self._client.ask(SQL["signs"], "look for new tables")
        if signs == self._signs or self._seen is not None:
            return
        seen = await self._read(connection)
        self._signs = signs
        if seen is not None:
            self._seen = seen
            self._wake()

    async def _read(self, connection: AsyncConnection[object]) -> Seen | None:
        """The catalog as it is now; None when it has nothing new for us."""
        found = await setup.discover(connection, self._shown, self._settings.tables)
        refused = tuple(f for f in found if f.refused is not None)
        tables = tuple(await setup.describe(connection, [f for f in found if f.refused is None]))
        now = {d.found.oid: d.found.table for d in tables}
        told = {self._topic(f): f.refused[1] for f in refused if f.refused is not None}
        if now == self._known and told == self._refused:
            return None
        if new := [d for d in tables if d.found.oid not in self._known]:
            name = self._capture.slot
            published = await setup.published(connection, name)
            if published is None:
                return None  # the stream will say so
            await setup.publish(connection, name, [d.found for d in tables], published)
            _log.info("tables are captured from now on", tables=[d.found.table for d in new])
        return Seen(tables, refused)

    def _topic(self, table: Found) -> str:
        return f"{self._settings.name}.{table.table}"

    def take(self, frontier: Position) -> News | None:
        """What was seen, as it goes into the log. Every new table is published by now and is to be read."""
        if self._seen is None:
            return None
        seen, self._seen = self._seen, None
        told = {self._topic(f): f.refused[1] for f in seen.refused if f.refused is not None}
        rejected = [
            rejected_table(self._settings.name, f, frontier)
            for f in seen.refused
            if self._refused.get(self._topic(f)) != told[self._topic(f)]
        ]
        now = {d.found.oid: d.found.table for d in seen.tables}
        settled = [(t, "") for t in sorted(self._refused.keys() & {self._topic(d.found) for d in seen.tables})]
        self._jobs.add(Reason.ADDED, [d for d in seen.tables if d.found.oid not in self._known])
        state: dict[str, bytes | None] = {CAPTURE: _capturing(self._capture, seen.tables).encode()}
        state[REFUSED] = refused_state(sorted(told))
        self._refused, self._known = told, now
        captured = Captured(frontier, state={**state, **self._jobs.state()}, rejected=rejected, settled=settled)
        return News(seen.tables, captured)

    async def close(self) -> None:
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
        finally:
            await self._client.close()


def _capturing(capture: Capture, tables: Sequence[Described]) -> Capture:
    return msgspec.structs.replace(capture, tables={d.found.table: d.found.oid for d in tables})

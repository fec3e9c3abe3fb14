"""Decides at every start, from the state and the catalog, what is to be copied and from where the stream goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.change import START, Position
from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.sources import Captured, Rejected, SourceSettings
from headrace.sources.postgres import setup
from headrace.sources.postgres.jobs import Jobs, Reason
from headrace.sources.postgres.problems import lost
from headrace.sources.postgres.progress import CAPTURE, COPIED, REFUSED, Capture, Run, Saved, load, refused_state
from headrace.sources.postgres.replication import Identity, Replication
from headrace.sources.postgres.setup import Connection, Described, Found
from headrace.sources.postgres.shapes import Shape, Shapes


@dataclass(frozen=True, slots=True)
class Plan:
    """`first`: all tables, `to_copy`, are to be copied in one snapshot, and the slot is to be created. `emptied`: an
    earlier copy of them may be in the log. Otherwise `to_copy` are the tables that were added since, `rest` those that
    an interrupted first copy left over, and `start` is where the stream goes on."""

    first: bool
    emptied: bool
    slot: str
    tables: tuple[Described, ...]
    to_copy: tuple[tuple[Described, Shape], ...]
    rest: tuple[Described, ...]
    start: int
    identity: Identity
    capture: Capture | None
    saved: Saved
    refused: tuple[Rejected, ...]

    def captured(self, point: int, *, done: bool) -> Capture:
        """The state to leave."""
        tables = {d.found.table: d.found.oid for d in self.tables}
        return Capture(self.slot, self.identity.system, self.identity.timeline, point, done, tables)

    def news(self, source: str, frontier: Position, jobs: Jobs, *, told: bool) -> Captured | None:
        """What is refused now and what no longer is (once: not when that was `told`), and tables that are read beside
        the stream from now on; None when there is nothing to say."""
        topics = {r.topic for r in self.refused}
        captured = {f"{source}.{d.found.table}" for d in self.tables}
        state: dict[str, bytes | None] = {}
        if topics ^ self.saved.refused:
            state[REFUSED] = refused_state(sorted(topics))
        if self.capture is not None and not self.first:
            now = self.captured(self.capture.point, done=True)
            if now != self.capture:
                state[CAPTURE] = now.encode()
                state[COPIED] = None
            jobs.add(Reason.FIRST, self.rest, self.saved.copied)
            jobs.add(Reason.ADDED, [d for d, _ in self.to_copy])
            state.update(jobs.state())
        settled = [] if told else [(topic, "") for topic in sorted(self.saved.refused & captured)]
        refused = () if told else self.refused
        if not (state or settled or refused):
            return None
        return Captured(frontier, state=state, rejected=refused, settled=settled)


async def make_plan(
    connection: Connection,
    replication: Replication,
    run: Run,
    settings: SourceSettings,
    shown: str,
    shapes: Shapes,
    *,
    unfinished: bool,
) -> Plan:
    """Checks that capture can go on, prepares the publication, sets `run.frontier` (not with an `unfinished` first
    copy: nobody was promised anything yet).

    Raises SourceError, and psycopg.Error.
    """
    name = setup.object_name(settings.id, settings.name)
    await setup.check_server(connection, shown)
    identity = await replication.identify()
    saved = await load(run.resume)
    found = await setup.discover(connection, shown, settings.tables)
    tables = await setup.describe(connection, [f for f in found if f.refused is None])
    await _learn(connection, shapes, tables)
    published = await setup.published(connection, name)
    capture = saved.capture
    if capture is None and run.given != START:
        raise lost(shown, name, "changes in the log, but no state with them")
    first = capture is None
    start = 0
    if capture is not None:
        try:
            start = await _go_on(connection, replication, run, shown, identity, saved, capture, published)
        except SourceError:
            if capture.done:
                raise
            first = True  # what an interrupted first copy left at the source is gone: it begins again
    await setup.publish(connection, name, [d.found for d in tables], published)
    rest = [] if first or capture is None or capture.done else _rest(tables, capture, saved)
    again = {d.found.oid for d in rest}
    new = [d for d in tables if first or (_new(d.found, capture, published) and d.found.oid not in again)]
    if not (first or rest or unfinished):
        run.frontier = max(run.frontier, Position(start))
    return Plan(
        first,
        capture is not None,
        name,
        tuple(tables),
        tuple((d, shapes.of(d.relation)) for d in new),
        tuple(rest),
        start,
        identity,
        capture,
        saved,
        tuple(rejected_table(settings.name, f, run.frontier) for f in found if f.refused is not None),
    )


async def _go_on(
    connection: Connection,
    replication: Replication,
    run: Run,
    shown: str,
    identity: Identity,
    saved: Saved,
    capture: Capture,
    published: set[int] | None,
) -> int:
    """Where the stream goes on. Raises SourceError when the source no longer has all from there."""
    if published is None:
        raise lost(shown, capture.slot, "no publication: it was dropped, and changes since then were not published")
    start = max(run.frontier.major, run.given.major, saved.frontier, capture.point)
    await setup.check_cluster(replication, shown, capture.slot, identity, capture.system, capture.timeline, start)
    forgotten = max(run.given.major + 1, saved.frontier, capture.point, run.recorded)
    await setup.check_slot(connection, shown, capture.slot, forgotten)
    return start


def _rest(tables: Sequence[Described], capture: Capture, saved: Saved) -> list[Described]:
    """What an interrupted first copy was to copy and did not."""
    return [
        d for d in tables if capture.tables.get(d.found.table) == d.found.oid and d.found.oid not in saved.copied.tables
    ]


def _new(table: Found, capture: Capture | None, published: set[int] | None) -> bool:
    """Not copied yet, or not published all the time since."""
    return (
        capture is None
        or capture.tables.get(table.table) != table.oid
        or published is None
        or table.oid not in published
    )


async def _learn(connection: Connection, shapes: Shapes, tables: Sequence[Described]) -> None:
    missing = shapes.missing(d.relation for d in tables)
    shapes.learn(missing, await setup.types(connection, missing))
    for described in tables:
        shapes.know(described.found.oid, described.primary_key, hidden=described.hidden)


def rejected_table(source: str, table: Found, frontier: Position) -> Rejected:
    assert table.refused is not None
    expected, got, remedy = table.refused
    error = SourceError(step=f"capture the table {table.table}", expected=expected, got=got, remedy=remedy)
    return Rejected(f"{source}.{table.table}", "", frontier, now_us(), error)

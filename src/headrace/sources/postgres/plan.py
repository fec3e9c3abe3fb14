"""Decides at every start, from the state and the catalog, what is to be copied and from where the stream goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.change import START, Position
from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.sources import Captured, Rejected, SourceSettings
from headrace.sources.postgres import setup
from headrace.sources.postgres.problems import lost
from headrace.sources.postgres.progress import CAPTURE, REFUSED, Capture, Run, Saved, load, refused_state
from headrace.sources.postgres.replication import Identity, Replication
from headrace.sources.postgres.setup import Connection, Described, Found
from headrace.sources.postgres.shapes import Shape, Shapes


@dataclass(frozen=True, slots=True)
class Plan:
    """`first`: nothing complete was copied yet, the slot is to be created. `to_copy`: the tables to copy, all of them
    then, otherwise those that were added since. `emptied`: an earlier copy of them may be in the log."""

    first: bool
    emptied: bool
    slot: str
    tables: tuple[Described, ...]
    to_copy: tuple[tuple[Described, Shape], ...]
    identity: Identity
    capture: Capture | None
    saved: Saved
    refused: tuple[Rejected, ...]

    def captured(self, point: int, *, done: bool, copied: bool = True) -> Capture:
        """The state to leave; without `copied` the tables that are still to be copied are left out of it."""
        waiting = set[int]() if copied else {d.found.oid for d, _ in self.to_copy}
        tables = {d.found.table: d.found.oid for d in self.tables if d.found.oid not in waiting}
        return Capture(self.slot, self.identity.system, self.identity.timeline, point, done, tables)

    def news(self, source: str, frontier: Position) -> Captured | None:
        """What is refused now, what no longer is, and a changed set of tables; None when there is nothing to say."""
        topics = {r.topic for r in self.refused}
        captured = {f"{source}.{d.found.table}" for d in self.tables}
        state: dict[str, bytes | None] = {}
        if topics ^ self.saved.refused:
            state[REFUSED] = refused_state(sorted(topics))
        if self.capture is not None and not self.first:
            now = self.captured(self.capture.point, done=True, copied=False)
            if now != self.capture:
                state[CAPTURE] = now.encode()
        settled = [(topic, "") for topic in sorted(self.saved.refused & captured)]
        if not (state or settled or self.refused):
            return None
        return Captured(frontier, state=state, rejected=self.refused, settled=settled)


async def make_plan(
    connection: Connection,
    replication: Replication,
    run: Run,
    settings: SourceSettings,
    shown: str,
    shapes: Shapes,
) -> Plan:
    """Checks that capture can go on, prepares the publication, sets `run.frontier`.

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
    first = capture is None or not capture.done
    if capture is not None and not first:
        if published is None:
            raise lost(shown, capture.slot, "no publication: it was dropped, and changes since then were not published")
        run.frontier = max(run.frontier, Position(max(run.given.major, saved.frontier, capture.point)))
        await setup.check_cluster(
            replication, shown, capture.slot, identity, capture.system, capture.timeline, run.frontier.major
        )
        forgotten = max(run.given.major + 1, saved.frontier, capture.point, run.recorded)
        await setup.check_slot(connection, shown, capture.slot, forgotten)
    await setup.publish(connection, name, [d.found for d in tables], published)
    return Plan(
        first,
        capture is not None,
        name,
        tuple(tables),
        tuple((d, shapes.of(d.relation)) for d in tables if first or _new(d.found, capture, published)),
        identity,
        capture,
        saved,
        tuple(_rejected(settings.name, f, run.frontier) for f in found if f.refused is not None),
    )


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


def _rejected(source: str, table: Found, frontier: Position) -> Rejected:
    assert table.refused is not None
    expected, got, remedy = table.refused
    error = SourceError(step=f"capture the table {table.table}", expected=expected, got=got, remedy=remedy)
    return Rejected(f"{source}.{table.table}", "", frontier, now_us(), error)

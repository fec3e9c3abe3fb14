"""Decides at every start, from the state and the catalog, what is to be copied and from where the stream goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from headrace.change import HIGHEST, START, Position
from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.sources import Captured, Rejected, SourceSettings
from headrace.sources.postgres import setup
from headrace.sources.postgres.last import LastGiven
from headrace.sources.postgres.options import OnLag, Options
from headrace.sources.postgres.problems import SlotGone, lost
from headrace.sources.postgres.progress import (
    CAPTURE,
    COPIED,
    GONE,
    REFUSED,
    Capture,
    Copied,
    Run,
    Saved,
    load,
    refused_state,
)
from headrace.sources.postgres.replication import Identity, Replication
from headrace.sources.postgres.setup import Connection, Described, Found, Members, Names
from headrace.sources.postgres.shapes import Shape, Shapes
from headrace.sources.snapshots.jobs import Jobs, Pages, Reason, Wanted

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """`first`: all tables, `to_copy`, are to be copied in one snapshot, and the slot is to be created (unless it is
    there: `slot_there`). `emptied`: an earlier copy of them may be in the log. Otherwise `to_copy` are the tables that
    were added since, `rest` those that an interrupted first copy left over, and `start` is where the stream goes on;
    `confirmed` is where the slot stands.
    `members`: everything that the publication has, tables that do not match too. `found`: what matched. `followed`:
    what was captured before and would match."""

    first: bool
    emptied: bool
    slot: str
    slot_there: bool
    publication: str
    tables: tuple[Described, ...]
    members: Members
    to_copy: tuple[tuple[Described, Shape], ...]
    rest: tuple[Described, ...]
    start: int
    confirmed: int
    found: frozenset[Found]
    followed: tuple[str, ...]
    identity: Identity
    capture: Capture | None
    saved: Saved
    refused: tuple[Rejected, ...]

    @property
    def captured_tables(self) -> frozenset[int]:
        return frozenset(d.found.oid for d in self.tables)

    async def altered(self, connection: Connection) -> str | None:
        """A table to copy that the connection sees otherwise, or published otherwise, than when this was planned."""
        members = await setup.members(connection, self.publication)
        found = await setup.describe(connection, [d.found for d, _ in self.to_copy], members)
        now = {d.found.oid: d for d in found}
        return next((d.found.table for d, _ in self.to_copy if now.get(d.found.oid) != d), None)

    def last(self, run: Run) -> LastGiven | None:
        """The transaction that the server has to send once more, if the last change given is of one (what was copied
        first is not) and the slot still holds it."""
        streamed = not self.first and self.capture is not None and run.given.major > self.capture.point
        return LastGiven(run.given.major, run.given_at) if streamed and self.confirmed <= run.given.major else None

    def captured(self, point: int, *, done: bool) -> Capture:
        """The state to leave. Where no table is left, it says of what there was that it is gone: another start is to
        wait too."""
        tables = {d.found.table: d.found.oid for d in self.tables}
        since = {name: self.members[oid].since for name, oid in tables.items()}
        tables = tables or dict.fromkeys(self.followed, GONE)
        return Capture(self.slot, self.identity.system, self.identity.timeline, point, done, tables, since)

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
            jobs.add(Reason.FIRST, [wanted(d, self.saved.copied) for d in self.rest])
            jobs.add(Reason.ADDED, [wanted(d) for d, _ in self.to_copy])
            state.update(jobs.state())
        settled = [] if told else [(topic, "") for topic in sorted(self.saved.refused & captured)]
        refused = () if told else self.refused
        if not (state or settled or refused):
            return None
        return Captured(frontier, state=state, rejected=refused, settled=settled)


def wanted(table: Described, copied: Copied | None = None) -> Wanted:
    """A table to read beside the stream. `copied`: what a first copy did already."""
    found, pages = table.found, None
    if copied is not None:
        pages = Pages()
        if copied.table == found.oid:
            pages = Pages(copied.relation, copied.file, copied.page)
    return Wanted(found.table, found.rows, found.oid, pages)


async def make_plan(
    connection: Connection,
    replication: Replication,
    run: Run,
    settings: SourceSettings,
    options: Options,
    shown: str,
    shapes: Shapes,
    *,
    unfinished: bool,
) -> Plan:
    """Checks that capture can go on, prepares the publication, sets `run.frontier` (not with an `unfinished` first
    copy: nobody was promised anything yet).

    Raises SourceError, and psycopg.Error.
    """
    names = Names.of(settings.id, settings.name, options)
    await setup.check_server(connection, shown)
    identity = await replication.identify()
    saved = await load(run.resume)
    members = None
    if not names.ours:
        await setup.check_publication(connection, shown, names.publication)
        members = await setup.members(connection, names.publication)
    capture = saved.capture
    before = [] if capture is None else list(capture.tables)
    followed = tuple(sorted(t for t in before if setup.matches(t, settings.tables)))
    found = await setup.discover(connection, shown, settings.tables, members, empty=bool(followed))
    usable = [f for f in found if f.refused is None]
    listed = await setup.published(connection, names.publication)
    if capture is None and run.given != START:
        raise lost(shown, names.slot, "changes in the log, but no state with them")
    start, confirmed = None, 0
    if capture is not None:
        try:
            start, confirmed = await _continued(
                connection, replication, run, names, options, shown, saved, listed is None
            )
        except SourceError:
            if capture.done:
                raise  # otherwise what an interrupted first copy left at the source is gone: it begins again
    first = start is None
    slot_there = options.slot is not None and first and await _usable_slot(connection, options, shown, saved)
    if names.ours:
        await setup.publish(connection, names.publication, usable, listed)
        members = await setup.members(connection, names.publication)
    assert members is not None
    tables = await setup.describe(connection, usable, members)
    await _learn(connection, shapes, tables)
    new = [d for d in tables if first or _new(d.found, capture, listed if names.ours else None, members)]
    again = {d.found.oid for d in new}
    rest = [] if first or capture is None or capture.done else [d for d in tables if d.found.oid not in again]
    rest = [d for d in rest if d.found.oid not in saved.copied.tables]
    if not (first or rest or unfinished):
        run.frontier = max(run.frontier, Position(start or 0))
    return Plan(
        first,
        capture is not None,
        names.slot,
        slot_there,
        names.publication,
        tuple(tables),
        members,
        tuple((d, shapes.of(d.relation)) for d in new),
        tuple(rest),
        start or 0,
        confirmed,
        frozenset(found),
        followed,
        identity,
        capture,
        saved,
        tuple(_rejected(settings.name, f, run.frontier) for f in found if f.refused is not None),
    )


async def _continued(
    connection: Connection,
    replication: Replication,
    run: Run,
    names: Names,
    options: Options,
    shown: str,
    saved: Saved,
    unpublished: bool,
) -> tuple[int | None, int]:
    """Where the stream goes on, and where the slot stands; None when the slot is gone and, by the policy, all is to be
    copied afresh."""
    capture = saved.capture
    assert capture is not None
    if unpublished:
        raise lost(shown, names.slot, "no publication: it was dropped, and changes since then were not published")
    start = max(run.frontier.major, run.given.major, saved.frontier, capture.point)
    identity = await replication.identify()
    await setup.check_cluster(replication, shown, names.slot, identity, capture.system, capture.timeline, start)
    forgotten = max(run.given.major + 1, saved.frontier, capture.point, run.recorded)
    try:
        promoted = identity.timeline > capture.timeline
        confirmed = await setup.check_slot(connection, shown, names.slot, forgotten, promoted=promoted)
    except SlotGone as gone:
        if options.on_lag is not OnLag.RESNAPSHOT:
            raise
        _log.warning("all tables are copied afresh", source=shown, reason=gone.got)
        return None, 0
    return start, confirmed


async def _usable_slot(connection: Connection, options: Options, shown: str, saved: Saved) -> bool:
    """Whether the slot that the configuration names is to be used for a first copy; False: make it again."""
    assert options.slot is not None
    if saved.capture is not None and saved.capture.done:
        return False
    try:
        await setup.check_slot(connection, shown, options.slot, HIGHEST)
    except SlotGone:
        if saved.capture is None or options.on_lag is not OnLag.RESNAPSHOT:
            raise
        return False
    return True


def _new(table: Found, capture: Capture | None, listed: set[int] | None, members: Members) -> bool:
    """Not copied yet, or not published all the time since, or otherwise than then."""
    if capture is None or capture.tables.get(table.table) != table.oid:
        return True
    if listed is not None and table.oid not in listed:
        return True
    since = capture.since.get(table.table)
    return since is not None and since != members[table.oid].since


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

"""Decides at every start, from the state and the catalog, what is to be copied and from where the stream goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.change import START
from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.sources import Captured, Rejected, SourceSettings
from headrace.sources.mysql import positions, setup
from headrace.sources.mysql.charsets import Charsets
from headrace.sources.mysql.client import Client
from headrace.sources.mysql.problems import lost
from headrace.sources.mysql.progress import (
    CAPTURE,
    COPIED,
    REFUSED,
    Capture,
    Copied,
    Place,
    Run,
    Saved,
    load,
    refused_state,
)
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import Found, Head, Server
from headrace.sources.mysql.tables import matches
from headrace.sources.snapshots.jobs import Jobs, Reason, Wanted

COPIED_AT_ONCE_BYTES = 64 * 1024 * 1024
"""Tables that are added together and have at most this are there before anything committed is promised."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`first`: all tables, `to_copy`, are to be copied as of one point. Otherwise `to_copy` are those of the tables
    that were added since which are copied so, `added` those that are read beside the stream, and `rest` what an
    interrupted first copy left over. `followed`: those whose changes the log has from some point on; the catalog may be
    ahead of the log about them. `emptied`: an earlier copy may be in our log. `place`: where the stream goes on."""

    first: bool
    emptied: bool
    server: Server
    head: Head
    charsets: Charsets
    patterns: tuple[str, ...]
    tables: tuple[Found, ...]
    to_copy: tuple[Found, ...]
    added: tuple[Found, ...]
    rest: tuple[Wanted, ...]
    followed: frozenset[str]
    place: Place | None
    saved: Saved
    refused: tuple[Rejected, ...]

    def captured(self, point: int, tables: Iterable[str], *, done: bool) -> Capture:
        """The state to leave."""
        return Capture(self.server.base, self.server.identity, point, done, sorted(tables))

    def file(self, place: Place) -> str:
        """The log's file of a place, as the server names it; it may have been begun after we looked."""
        return positions.named_like(self.head.file, place.file)

    def news(self, source: str, run: Run, jobs: Jobs) -> Captured | None:
        """What is refused now and what no longer is (told once), and tables that are read beside the stream from now
        on; None when there is nothing to say."""
        topics = {r.topic for r in self.refused}
        captured = {f"{source}.{t.table}" for t in self.tables}
        told, run.announced = run.announced, True
        state: dict[str, bytes | None] = {}
        if topics ^ self.saved.refused and not told:
            state[REFUSED] = refused_state(sorted(topics))
        if self.saved.capture is not None and not self.first:
            now = self.captured(self.saved.capture.point, self.followed, done=True)
            if now != self.saved.capture:
                state[CAPTURE] = now.encode()
            if self.saved.copied is not None:
                state[COPIED] = None
            jobs.add(Reason.FIRST, self.rest)
            jobs.add(Reason.ADDED, [Wanted(t.table, t.rows) for t in self.added])
            state.update(jobs.state())
        settled = [] if told else [(topic, "") for topic in sorted(self.saved.refused & captured)]
        refused = () if told else self.refused
        if not (state or settled or refused):
            return None
        return Captured(run.frontier, state=state, rejected=refused, settled=settled)


def split(tables: Sequence[Found]) -> tuple[list[Found], list[Found]]:
    """Those that are copied as of one point, while the stream waits: small ones. The others are read beside it."""
    small: list[Found] = []
    size = 0
    for table in sorted(tables, key=lambda t: t.size):
        size += table.size
        if size > COPIED_AT_ONCE_BYTES:
            break
        small.append(table)
    names = {t.table for t in small}
    return small, [t for t in tables if t.table not in names]


async def make_plan(
    client: Client, run: Run, settings: SourceSettings, shown: str, database: str, *, unfinished: bool
) -> Plan:
    """Checks that capture can go on, sets `run.frontier`; not while a first copy is `unfinished`.

    Raises Broken or SourceError.
    """
    saved = await load(run.resume)
    wanted = setup.patterns(settings.tables, database)

    capture, place = saved.capture, saved.place
    begun = capture is not None and (capture.done or (saved.copied is not None and place is not None))
    before = capture.tables if capture is not None and begun else []
    followed = frozenset(t for t in before if matches(t, wanted))

    def ask(session: Session) -> tuple[Server, Head, Charsets, list[str], list[Found]]:
        server = setup.check_server(session, shown)
        at = setup.head(session, shown)
        known = setup.charsets(session, server.mariadb)
        found = setup.discover(session, shown, wanted, known, at, empty=bool(followed))
        return server, at, known, setup.log_files(session), found

    server, at, known, files, found = await client.run(ask, f"look at {shown}")
    followed -= {t for t in followed if at.leaves_out(t.partition(".")[0])}
    tables = tuple(t for t in found if t.refused is None)
    if capture is None and run.given != START:
        raise lost(shown, "where it was read to", "changes in our log, but no state with them")
    if begun and capture is not None and place is not None and not capture.done:
        begun = _still_there(shown, server, capture, place, files, at)
    first = not begun
    followed = frozenset[str]() if first else followed
    if capture is not None:
        _check_log(shown, server, capture, at)
    if capture is not None and not first:
        if place is None or (place.major < run.given.major and positions.file_of(run.given.major)):
            raise lost(shown, "where it was read to", "changes in our log, but no state with them")
        _check_place(shown, server, place, files, at)
        if capture.done and not unfinished:
            run.frontier = max(run.frontier, run.given._replace(major=place.major, minor=0))
    rest = [] if first or capture is None or capture.done else _rest(saved.copied or Copied(), tables, followed)
    missing = [t for t in tables if t.table not in followed]
    to_copy, added = (missing, list[Found]()) if first else split(missing)
    followed |= {t.table for t in added}
    # Of a table that is followed the log tells in its turn what became of it.
    refused = [t for t in found if t.refused is not None and t.table not in followed]
    return Plan(
        first,
        capture is not None,
        server,
        at,
        known,
        wanted,
        tables,
        tuple(to_copy),
        tuple(added),
        tuple(rest),
        followed,
        place,
        saved,
        tuple(rejected(settings.name, t, run) for t in refused),
    )


def _rest(copied: Copied, tables: Iterable[Found], followed: Iterable[str]) -> list[Wanted]:
    """What the first copy did not come to. Of a table that is gone by now the log tells in its turn."""
    rows = {t.table: t.rows for t in tables}
    rest: list[Wanted] = []
    for table in sorted(set(followed) - set(copied.tables), key=lambda t: (t != copied.table, t)):
        if table == copied.table and copied.keys.columns:
            rest.append(Wanted(table, rows.get(table, 0), keys=copied.keys, done=copied.done))
        else:
            rest.append(Wanted(table, rows.get(table, 0)))
    return rest


def _still_there(shown: str, server: Server, capture: Capture, place: Place, files: list[str], at: Head) -> bool:
    """Whether an interrupted first copy can go on; otherwise it begins again, for nothing was promised yet."""
    try:
        _check_log(shown, server, capture, at)
        _check_place(shown, server, place, files, at)
    except SourceError:
        return False
    return True


def _check_log(shown: str, server: Server, capture: Capture, at: Head) -> None:
    if server.base != capture.base:
        raise lost(shown, f"the log {capture.base}", f"a log named {server.base}: another server, or it was renamed")
    if at.major < capture.point:
        raise lost(
            shown,
            positions.shown(capture.base, capture.point),
            f"a log that ends at {at.file}:{at.offset}: it was reset, or the server was restored from a backup",
        )


def _check_place(shown: str, server: Server, place: Place, files: list[str], at: Head) -> None:
    where = positions.shown(server.base, place.major)
    if place.file not in {positions.number_of(f) for f in files}:
        first = files[0] if files else "no file"
        raise lost(shown, where, f"a log that begins with {first}: what was before has been purged, or it was reset")
    if at.major < place.major:
        raise lost(
            shown,
            where,
            f"a log that ends at {at.file}:{at.offset}: it was reset, or the server was restored from a backup",
        )


def rejected(source: str, table: Found, run: Run) -> Rejected:
    assert table.refused is not None
    expected, got, remedy = table.refused
    error = SourceError(step=f"capture the table {table.table}", expected=expected, got=got, remedy=remedy)
    return Rejected(f"{source}.{table.table}", "", run.frontier, now_us(), error)

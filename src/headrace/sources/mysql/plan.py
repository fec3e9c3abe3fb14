"""Decides at every start, from the state and the catalog, what is to be copied and from where the stream goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.change import START
from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.sources import Captured, Rejected, SourceSettings
from headrace.sources.mysql import positions, setup
from headrace.sources.mysql.charsets import Charsets
from headrace.sources.mysql.client import Client
from headrace.sources.mysql.positions import Moments
from headrace.sources.mysql.problems import lost
from headrace.sources.mysql.progress import CAPTURE, REFUSED, Capture, Place, Run, Saved, load, refused_state
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import Found, Head, Server
from headrace.sources.mysql.tables import matches


@dataclass(frozen=True, slots=True)
class Plan:
    """`first`: nothing complete was copied yet. `to_copy`: the tables to copy, all of them then, otherwise those that
    were added since. `followed`: those that were copied; the catalog may be ahead of the log about them. `emptied`: an
    earlier copy may be in our log. `place`: where the stream goes on."""

    first: bool
    emptied: bool
    server: Server
    head: Head
    charsets: Charsets
    files: tuple[str, ...]
    patterns: tuple[str, ...]
    tables: tuple[Found, ...]
    to_copy: tuple[Found, ...]
    followed: frozenset[str]
    place: Place | None
    saved: Saved
    refused: tuple[Rejected, ...]

    def captured(self, point: int, tables: Iterable[str], *, done: bool) -> Capture:
        """The state to leave."""
        return Capture(self.server.base, self.server.identity, point, done, sorted(tables))

    def file(self, place: Place) -> str:
        """The log's file of a place, as the server names it."""
        return next(f for f in self.files if positions.number_of(f) == place.file)

    def news(self, source: str, run: Run, moments: Moments) -> Captured | None:
        """What is refused now, what no longer is, and a changed set of tables; None when there is nothing to say."""
        topics = {r.topic for r in self.refused}
        captured = {f"{source}.{t.table}" for t in self.tables}
        state: dict[str, bytes | None] = {}
        if topics ^ self.saved.refused:
            state[REFUSED] = refused_state(sorted(topics))
        if self.saved.capture is not None and not self.first:
            now = self.captured(self.saved.capture.point, self.followed, done=True)
            if now != self.saved.capture:
                state[CAPTURE] = now.encode()
        settled = [(topic, "") for topic in sorted(self.saved.refused & captured)]
        if not (state or settled or self.refused):
            return None
        return Captured(run.frontier, state=state, rejected=self.refused, settled=settled)


async def make_plan(client: Client, run: Run, settings: SourceSettings, shown: str, database: str) -> Plan:
    """Checks that capture can go on, sets `run.frontier`. Raises Broken or SourceError."""
    saved = await load(run.resume)
    wanted = setup.patterns(settings.tables, database)

    capture, place = saved.capture, saved.place
    done = capture is not None and capture.done
    before = capture.tables if capture is not None and done else []
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
    first = not done
    if capture is not None:
        _check_log(shown, server, capture, at)
    if capture is not None and not first:
        if place is None or (place.major < run.given.major and positions.file_of(run.given.major)):
            raise lost(shown, "where it was read to", "changes in our log, but no state with them")
        _check_place(shown, server, place, files, at)
        run.frontier = max(run.frontier, run.given._replace(major=place.major, minor=0))
    # Of a table that is followed the log tells in its turn what became of it.
    refused = [t for t in found if t.refused is not None and t.table not in followed]
    return Plan(
        first,
        capture is not None,
        server,
        at,
        known,
        tuple(files),
        wanted,
        tables,
        tuple(t for t in tables if t.table not in followed),
        followed,
        place,
        saved,
        tuple(rejected(settings.name, t, run) for t in refused),
    )


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

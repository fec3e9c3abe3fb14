"""Sessions that see all tables as they stood at one point of the log. Blocks: call it in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import structlog

from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.sources.mysql import positions, setup
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.problems import Broken
from headrace.sources.mysql.result import Failed
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import SQL, quoted

CONNECTIONS = 2
"""While one waits for the server, rows of the other are read."""
_MEET_S = 2.0
_NO_LOCK = frozenset({1227, 1044, 1045})
_log = structlog.get_logger(__name__)


def open_together(address: Address, tables: Sequence[str], mariadb: bool) -> tuple[list[Session], int, int]:
    """One session at least, the point, and when that was, microseconds since the epoch. When this returns, no DDL can
    change the tables under them; it waits, as for any reader. Raises Broken, SourceError, Failed."""
    sessions = [_open(address)]
    try:
        sessions += _more(address)
        point = _meet(sessions) if mariadb else _begin_locked(sessions, address, tables)
        _keep(sessions, tables)
        ((now,),) = sessions[0].rows(SQL["now"])
        return sessions, point, int(now or now_us())
    except BaseException:
        for session in sessions:
            session.close()
        raise


def _open(address: Address) -> Session:
    session = Session.open(address)
    try:
        session.rows(SQL["repeatable"])
    except BaseException:
        session.close()
        raise
    return session


def _more(address: Address) -> list[Session]:
    """The first one alone will do, where the user may have no more."""
    more: list[Session] = []
    try:
        while len(more) < CONNECTIONS - 1:
            more.append(_open(address))
    except (Broken, SourceError, Failed) as problem:
        _log.warning("a first copy has fewer connections", had=len(more) + 1, error=str(problem))
    return more


def begin(session: Session) -> int:
    """MariaDB: the snapshot tells its place."""
    session.rows(SQL["begin"].removesuffix(", READ ONLY"))
    found = {row["variable_name"].lower(): row["value"] for row in session.named(SQL["snapshot_point"])}
    return positions.major(positions.number_of(found["binlog_snapshot_file"]), int(found["binlog_snapshot_position"]))


def _meet(sessions: list[Session]) -> int:
    """MariaDB: snapshots that are taken while nothing commits between them have one place. Those that do not come to
    it in time are closed: a lock would hold up who writes."""
    points = [begin(session) for session in sessions]
    ends = monotonic() + _MEET_S
    while len(set(points)) > 1 and monotonic() < ends:
        oldest = points.index(min(points))
        points[oldest] = begin(sessions[oldest])
    point = max(points)
    _leave(sessions, [s for s, at in zip(sessions, points, strict=True) if at != point], "commits came between")
    return point


def _begin_locked(sessions: Sequence[Session], address: Address, tables: Sequence[str]) -> int:
    """MySQL: while another session holds a lock nothing commits, so the snapshots and the log's end belong together."""
    other = Session.open(address)
    try:
        try:
            other.rows(SQL["lock_all"])
        except Failed as failed:
            if failed.code not in _NO_LOCK:
                raise
            # Managed services do not grant it: the tables alone will do.
            other.rows("LOCK TABLES " + ", ".join(f"{quoted(t)} READ" for t in tables))
        for session in sessions:
            session.rows(SQL["begin"])
        return setup.head(other, address.shown).major
    finally:
        other.close()


def _keep(sessions: list[Session], tables: Sequence[str]) -> None:
    """From here on DDL waits for us: done between the snapshot and the reading it would spoil the copy. One that waits
    already for the first session would be waited for by the others: no server sees that circle."""
    first, *others = sessions
    for table in tables:
        first.rows(SQL["touch"].format(quoted(table)))
    for session in others:
        try:
            session.rows(SQL["lock_briefly"])
            for table in tables:
                session.rows(SQL["touch"].format(quoted(table)))
        except Failed as failed:
            _leave(sessions, [session], failed.text)


def _leave(sessions: list[Session], late: Sequence[Session], why: str) -> None:
    for session in late:
        sessions.remove(session)
        session.close()
    if late:
        _log.info("a first copy has fewer connections", has=len(sessions), because=why)

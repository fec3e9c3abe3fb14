"""Notices while the stream runs that a table came to the publication, came back to it, or is published otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.sources.postgres import setup
from headrace.sources.postgres.plan import Plan
from headrace.sources.postgres.replication import parse_lsn
from headrace.sources.postgres.setup import SQL, Connection, Found


class Replan(Exception):
    """Tables are to be copied that were not when the stream began: plan again from where it stands."""


class Membership:
    """What the publication has, as of the last look. A shape that is told in a transaction which committed later may
    stand for a table that is new, or that was away for a while, whose changes are then missing."""

    def __init__(self, plan: Plan, patterns: Sequence[str], *, ours: bool) -> None:
        self._plan = plan
        self._patterns = patterns
        self._ours = ours
        self._seen = plan.identity.flushed
        self._signs = ""

    async def look(self, connection: Connection, shown: str) -> None:
        """As `check`; and whether other tables match, or can be captured, than when the stream began.

        Raises Replan, SourceError, and psycopg.Error.
        """
        await self.check(connection)
        row = await (await connection.execute(SQL["signs"])).fetchone()
        assert row is not None
        if row[0] == self._signs:
            return
        members = None if self._ours else await setup.members(connection, self._plan.publication)
        now = await setup.discover(connection, shown, self._patterns, members, empty=True)
        if {_captured_as(f) for f in now} != {_captured_as(f) for f in self._plan.found}:
            raise Replan
        self._signs = row[0]

    async def check(self, connection: Connection, committed: int | None = None) -> None:
        """Looks again, unless the last look came after `committed`. Raises Replan, and psycopg.Error."""
        if committed is not None and committed < self._seen:
            return
        row = await (await connection.execute(SQL["head"])).fetchone()
        assert row is not None
        members = await setup.members(connection, self._plan.publication)
        self._seen = parse_lsn(row[0])
        for oid, member in members.items():
            known = self._plan.members.get(oid)
            if (known is None or known.since != member.since) and setup.matches(member.table, self._patterns):
                raise Replan


def _captured_as(table: Found) -> tuple[int, str, str]:
    return (table.oid, table.table, "" if table.refused is None else table.refused[1])

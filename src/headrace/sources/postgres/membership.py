"""Notices while the stream runs that a table came to the publication, came back to it, or is published otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.sources.postgres import setup
from headrace.sources.postgres.plan import Plan
from headrace.sources.postgres.replication import parse_lsn
from headrace.sources.postgres.setup import SQL, Connection


class Replan(Exception):
    """Tables are to be copied that were not when the stream began: plan again from where it stands."""


class Membership:
    """What the publication has, as of the last look. A shape that is told in a transaction which committed later may
    stand for a table that is new, or that was away for a while, whose changes are then missing."""

    def __init__(self, plan: Plan, patterns: Sequence[str]) -> None:
        self._plan = plan
        self._patterns = patterns
        self._seen = plan.identity.flushed

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

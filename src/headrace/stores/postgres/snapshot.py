"""What one snapshot of the store shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.access import Viewer
from headrace.change import Position
from headrace.clock import rfc3339
from headrace.errors import Forgotten, NotFound
from headrace.link import Answer, Link
from headrace.sqlfile import load
from headrace.stores import Applied, AsOf
from headrace.stores.conversations import Turn
from headrace.stores.postgres.audit import PostgresAudit
from headrace.stores.postgres.profile_reader import PostgresProfileReader
from headrace.stores.postgres.search import PostgresKnowledgeReader, SearchMemory
from headrace.stores.postgres.stock import PostgresStock
from headrace.stores.postgres.told import PostgresToldReader
from headrace.stores.postgres.viewing import Viewing
from headrace.stores.profiles import FactRule
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("state.sql"))


class PostgresConversations:
    """Implements `headrace.stores.conversations.ConversationReader`."""

    def __init__(self, link: Link, viewer: Viewer) -> None:
        self._link = link
        self._viewing = Viewing(viewer)

    async def turns(self, conversation: str, user: str | None, limit: int) -> Sequence[Turn]:
        args = {"tenant": DEFAULT_TENANT, "conversation": conversation, "limit": limit, **self._viewing.args}
        asker = await (await self._link.execute(SQL["asker"], args)).fetchone()
        if asker is None:
            return []
        if asker[0] != user:
            raise NotFound(
                step="read the conversation",
                expected="a conversation of the one who asks",
                got="another user's",
                remedy="Leave `conversation` out to start a new one.",
            )
        rows = await (await self._link.execute(self._viewing.filled("turns"), args)).fetchall()
        return [Turn(role, text, focus, at, tuple(of)) for role, text, focus, at, of in reversed(rows)]


class PostgresSnapshot:
    """Implements `headrace.stores.Snapshot` on a link inside a repeatable-read transaction."""

    def __init__(
        self,
        link: Link,
        progress: Answer,
        at: AsOf,
        viewer: Viewer,
        memory: SearchMemory,
        rules: Sequence[FactRule],
    ) -> None:
        self._progress = progress
        self.knowledge = PostgresKnowledgeReader(link, at, viewer, memory)
        self.profiles = PostgresProfileReader(link, at, rules)
        self.conversations = PostgresConversations(link, viewer)
        self.audit = PostgresAudit(link, memory.dimensions)
        self.stock = PostgresStock(link)
        self.told = PostgresToldReader(link)

    async def progress(self) -> Sequence[Applied]:
        """Asked for when the snapshot was opened, so that it costs no round trip of its own. To be called once."""
        return progress_of(await self._progress.fetchall())


def progress_of(rows: Sequence[Sequence[Any]]) -> list[Applied]:
    return [
        Applied(operator, source, number, Position(major, minor), at, changes, size)
        for operator, source, number, major, minor, at, changes, size in rows
    ]


def check_kept(at: AsOf, horizons: Sequence[tuple[str, int, int, int]]) -> None:
    """Raises Forgotten for a point whose versions were purged in part: half a past is none."""
    for source, major, minor, committed_at in horizons:
        seen = at.token.positions.get(source, {}).values() if at.token else ()
        if any(p < Position(major, minor) for p in seen) or (at.time is not None and at.time < committed_at):
            raise Forgotten(
                step="read as of an earlier point",
                expected=f"a point after {rfc3339(committed_at)}, up to which history of {source} was purged",
                got="an earlier one",
                remedy="Ask for a later point, or keep more with [headrace] history.",
            )

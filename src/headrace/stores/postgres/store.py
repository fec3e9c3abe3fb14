"""Adapter: the store in PostgreSQL, one connection per transaction or snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from headrace.access import OPERATOR, Viewer
from headrace.errors import ConfigError, StoreError
from headrace.link import Link, LinkedConnection
from headrace.sqlfile import load
from headrace.stores import PRESENT, Applied, AsOf, Indexing
from headrace.stores.conversations import Turn
from headrace.stores.dead_letters import DeadLetter
from headrace.stores.postgres.beside import ACTIVE, ADDRESS, PostgresBeside, save, setting
from headrace.stores.postgres.compact import compact
from headrace.stores.postgres.connecting import READ, WRITE, Pool, connected, linked, pools
from headrace.stores.postgres.dead_letters import PostgresDeadLetterWriter, letter
from headrace.stores.postgres.failing import named
from headrace.stores.postgres.gate import Gate
from headrace.stores.postgres.knowledge import PostgresKnowledgeWriter
from headrace.stores.postgres.mending import PostgresMender
from headrace.stores.postgres.profiles import PostgresProfileWriter
from headrace.stores.postgres.search import SearchMemory
from headrace.stores.postgres.snapshot import PostgresSnapshot, check_kept, progress_of
from headrace.stores.postgres.stock import SQL as STOCK
from headrace.stores.postgres.told import PostgresToldWriter
from headrace.stores.postgres.vector_index import VectorIndex
from headrace.stores.postgres.work import PostgresWorkCache
from headrace.stores.profiles import FactRule
from headrace.stores.values import DEFAULT_TENANT, JSON

SQL = load(Path(__file__).with_name("state.sql"))
_ENDING_S = 5.0
"""So long snapshots that have been read are waited for at the end."""
_CLAIM_S, _CLAIM_PAUSE_S = 3.0, 0.05
"""So long, and so often, the lock is asked for at a start."""
CLASSIFIED = "access_rules"
"""Setting: by which access rules the readers of each source's documents are limited."""
_LOCK = 7_236_114_001
"""Advisory lock: one Headrace works on a store at a time."""


class PostgresTransaction:
    """Implements `headrace.stores.Transaction`."""

    def __init__(self, link: Link, maybe_open: set[tuple[str, str, str]]) -> None:
        self._link = link
        self.knowledge = PostgresKnowledgeWriter(link)
        self.profiles = PostgresProfileWriter(link)
        self.dead_letters = PostgresDeadLetterWriter(link, maybe_open)
        self.mender = PostgresMender(link)
        self.told = PostgresToldWriter(link)

    async def progress(self, applied: Applied) -> None:
        args = {
            "tenant": DEFAULT_TENANT, "operator": applied.operator, "source": applied.source, "number": applied.number,
            "major": applied.position.major, "minor": applied.position.minor, "committed_at": applied.committed_at,
            "changes": applied.changes_total, "bytes": applied.bytes_total,
        }  # fmt: skip
        await self._link.execute(SQL["save_progress"], args)


class PostgresStore:
    """Implements `headrace.stores.Store`; `open` also makes it the only one at work there."""

    def __init__(
        self,
        guard: AsyncConnection[Any],
        writers: Pool,
        readers: Pool,
        index: VectorIndex,
        dimensions: int,
        rules: Sequence[FactRule],
    ) -> None:
        self._guard = guard
        self._writers = writers
        self._readers = readers
        self._index = index
        self._memory = SearchMemory(dimensions, index)
        self._gate = Gate()
        self._rules = rules
        self._maybe_open: set[tuple[str, str, str]] = set()
        self._releasing: set[asyncio.Task[None]] = set()
        self.work = PostgresWorkCache(readers)
        self.beside = PostgresBeside(readers, guard, self._gate, self._swapped)

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        model: str,
        dimensions: int,
        rules: Sequence[FactRule],
        address: str = "",
        exclusive: bool = True,
    ) -> PostgresStore:
        """A migrated database, ready. Raises StoreError when another Headrace works on it (with `exclusive`),
        ConfigError when its vectors are another model's."""
        index = VectorIndex(dsn, dimensions)
        with named("open the store"):
            guard = await AsyncConnection.connect(dsn, autocommit=True)
        try:
            if exclusive:
                await _claim(guard)
                await _check_model(guard, model, address)
                await index.open(guard)
            else:
                await index.find(guard)
        except BaseException:
            await guard.close()
            raise
        try:
            writers, readers = await pools(dsn)
        except BaseException:
            await guard.close()
            raise
        store = cls(guard, writers, readers, index, dimensions, rules)
        store._maybe_open |= {(x.operator, x.topic, x.key) for x in await store.letters(limit=1_000_000)}
        return store

    @staticmethod
    async def model(dsn: str) -> tuple[str, str | None] | None:
        """The model whose vectors a migrated database has, and where it was, as far as that is known."""
        with named("open the store"):
            async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
                id = await setting(connection, ACTIVE)
                return None if id is None else (id, await setting(connection, ADDRESS))

    @staticmethod
    async def dimensions(dsn: str) -> int | None:
        """Of the vectors that a migrated database has; None while it has none."""
        with named("open the store"):
            async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
                row = await (await connection.execute(SQL["dimensions"])).fetchone()
                return None if row is None else row[0]

    def _swapped(self, dimensions: int) -> None:
        self._memory.dimensions = dimensions
        self._memory.sample = None
        self._index.swapped(dimensions)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[PostgresTransaction]:
        async with linked(WRITE, self._writers) as link:
            await link.execute(b"begin")
            yield PostgresTransaction(link, self._maybe_open)
            await link.execute(b"commit")
            await link.settle()

    @asynccontextmanager
    async def snapshot(self, at: AsOf = PRESENT, viewer: Viewer = OPERATOR) -> AsyncGenerator[PostgresSnapshot]:
        with named(READ):
            await self._gate.enter()
            try:
                connection = await self._readers.getconn()
            except BaseException:
                self._gate.leave()
                raise
            link = connection.link
            link.open()
            try:
                await link.execute(SQL["begin_snapshot"])
                progress = await link.execute(SQL["progress"], {"tenant": DEFAULT_TENANT})
                if at != PRESENT:
                    check_kept(at, await (await link.execute(SQL["horizons"], {"tenant": DEFAULT_TENANT})).fetchall())
                yield PostgresSnapshot(link, progress, at, viewer, self._memory, self._rules)
            finally:
                self._release(connection)

    def _release(self, connection: LinkedConnection) -> None:
        """Ends a snapshot: nobody waits until the server has."""
        task = asyncio.create_task(self._released(connection), name="end of a snapshot")
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def _released(self, connection: LinkedConnection) -> None:
        try:
            await connection.link.execute(b"commit")
            await connection.link.settle()
        except psycopg.Error:
            await connection.close()  # the pool makes another one
        finally:
            self._gate.leave()
            await connection.link.close()
            await self._readers.putconn(connection)

    async def save_turns(self, conversation: str, user: str | None, turns: Sequence[Turn]) -> None:
        base = {"tenant": DEFAULT_TENANT, "conversation": conversation}
        async with linked(WRITE, self._writers) as link:
            await link.execute(b"begin")
            await link.execute(b"set local synchronous_commit = on")
            await link.execute(SQL["begin_conversation"], {**base, "asker": user, "at": turns[0].at})
            for turn in turns:
                args = {"role": turn.role, "text": turn.text, "focus": Jsonb(dict(turn.focus)), "at": turn.at}
                await link.execute(SQL["save_turn"], {**base, **args, "documents": list(turn.documents)})
            await link.execute(b"commit")
            await link.settle()

    async def keep_chains(self, chains: Mapping[str, JSON]) -> None:
        async with connected(WRITE, self._writers) as connection, connection.transaction():
            await connection.execute("set local synchronous_commit = on")
            for made, steps in chains.items():
                await connection.execute(STOCK["keep_chain"], {"made": made, "steps": Jsonb(steps)})

    async def restricted(self, rules: Mapping[str, str] | None = None) -> Mapping[str, str]:
        async with connected(WRITE, self._writers) as connection, connection.transaction():
            if rules is not None:
                await connection.execute("set local synchronous_commit = on")
                await save(connection, CLASSIFIED, msgspec.json.encode(rules).decode())
            told = await setting(connection, CLASSIFIED)
        return msgspec.json.decode(told, type=dict[str, str]) if told else {}

    async def progress(self) -> Sequence[Applied]:
        async with connected(WRITE, self._writers) as connection:
            return progress_of(await (await connection.execute(SQL["progress"], {"tenant": DEFAULT_TENANT})).fetchall())

    async def rewind(self, operator: str, source: str) -> None:
        """Lets an operator see a source's whole log again at the next start; effects stay."""
        args = {"tenant": DEFAULT_TENANT, "operator": operator, "source": source}
        async with connected(WRITE, self._writers) as connection:
            await connection.execute(SQL["rewind"], args)

    async def letters(
        self, *, open_only: bool = True, limit: int = 1000, id: int | None = None
    ) -> Sequence[DeadLetter]:
        args = {"tenant": DEFAULT_TENANT, "open_only": open_only, "limit": limit, "id": id}
        async with connected(READ, self._readers) as connection:
            rows = await (await connection.execute(SQL["letters"], args)).fetchall()
        return [letter(row) for row in rows]

    async def counts(self) -> tuple[int, int, int, str, int]:
        """Documents ready, documents failed, profiles, the server's version, the database's bytes."""
        async with connected(READ, self._readers) as connection:
            row = await (await connection.execute(SQL["counts"], {"tenant": DEFAULT_TENANT})).fetchone()
        assert row is not None
        return (row[0], row[1], row[2], row[3], row[4])

    async def compact(self) -> None:
        """Packs what searches would otherwise read piece by piece; called every few seconds."""
        async with connected(WRITE, self._writers) as connection:
            while await compact(connection) or await self._index.enter(connection):
                pass

    async def index(self, *, loaded: bool = False) -> None:
        async with connected(WRITE, self._writers) as connection:
            await self._index.tend(connection, loaded=loaded)

    async def indexing(self) -> Indexing:
        async with connected(READ, self._readers) as connection:
            return await self._index.progress(connection)

    async def purge(self, before: int) -> int:
        """Forgets what was closed before a time (microseconds); how many rows went."""
        gone = 0
        async with connected(WRITE, self._writers) as connection:
            for name in ("purge_documents", "purge_profiles", "purge_facts", "purge_letters", "purge_access"):
                cursor = await connection.execute(SQL[name], {"tenant": DEFAULT_TENANT, "before": before})
                row = await cursor.fetchone() if cursor.description else None
                gone += row[0] if row else cursor.rowcount
        return gone

    async def close(self) -> None:
        if self._releasing:
            _, late = await asyncio.wait(self._releasing, timeout=_ENDING_S)
            for task in late:  # it closes its connection
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.gather(self._writers.close(), self._readers.close())
        await self._guard.close()


async def _claim(guard: AsyncConnection[Any]) -> None:
    """Takes the store's lock. That of a process that has ended is held until the server noticed, a moment later."""
    ends = time.monotonic() + _CLAIM_S
    while True:
        row = await (await guard.execute("select pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() > ends:
            break
        await asyncio.sleep(_CLAIM_PAUSE_S)
    raise StoreError(
        step="open the store",
        expected="no other Headrace at work on it",
        got="one that holds its lock",
        remedy="Stop the other one, or give this one a database of its own.",
    )


async def _check_model(guard: AsyncConnection[Any], model: str, address: str) -> None:
    known = await setting(guard, ACTIVE)
    if known is None:
        await save(guard, ACTIVE, model)
    elif known != model:
        raise ConfigError(
            step="open the store",
            expected=f"the model {known}, whose vectors the store has",
            got=model,
            remedy="Go back to that model, or start with an empty store: vectors of two models cannot be compared.",
        )
    if address:
        await save(guard, ADDRESS, address)

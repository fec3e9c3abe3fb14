"""Adapter: the store in PostgreSQL, one connection per transaction or snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolClosed

from headrace.change import Position, Stamp
from headrace.clock import rfc3339
from headrace.errors import BadInput, ConfigError, Forgotten, NotFound, StoreError
from headrace.link import Answer, Link, LinkedConnection
from headrace.sqlfile import load
from headrace.stores import (
    DEFAULT_TENANT,
    PRESENT,
    Applied,
    AsOf,
    DeadLetter,
    FactRule,
    Failure,
    Turn,
)
from headrace.stores.postgres.audit import PostgresAudit
from headrace.stores.postgres.compact import compact
from headrace.stores.postgres.dead_letters import PostgresDeadLetterWriter
from headrace.stores.postgres.knowledge import SQL as KNOWLEDGE
from headrace.stores.postgres.knowledge import PostgresKnowledgeWriter
from headrace.stores.postgres.mending import PostgresMender
from headrace.stores.postgres.profile_reader import PostgresProfileReader
from headrace.stores.postgres.profiles import PostgresProfileWriter
from headrace.stores.postgres.search import PostgresKnowledgeReader, SearchMemory

SQL = load(Path(__file__).with_name("state.sql"))
_RELAXED = "-c synchronous_commit=off -c jit=off -c hnsw.iterative_scan=strict_order -c hnsw.ef_search=100"
# What is written is found by key, a few rows at a time: the one plan that fits, without planning it each time from
# statistics of tables that were empty a moment ago.
_BY_KEY = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
Pool = AsyncConnectionPool[LinkedConnection]
_READ, _WRITE = "read the store", "write to the store"
_ENDING_S = 5.0
"""So long snapshots that have been read are waited for at the end."""
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

    async def progress(self, applied: Applied) -> None:
        args = {
            "tenant": DEFAULT_TENANT, "operator": applied.operator, "source": applied.source, "number": applied.number,
            "major": applied.position.major, "minor": applied.position.minor, "committed_at": applied.committed_at,
            "changes": applied.changes_total, "bytes": applied.bytes_total,
        }  # fmt: skip
        await self._link.execute(SQL["save_progress"], args)


class PostgresConversations:
    """Implements `headrace.stores.ConversationReader`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def turns(self, conversation: str, user: str | None, limit: int) -> Sequence[Turn]:
        args = {"tenant": DEFAULT_TENANT, "conversation": conversation, "limit": limit}
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
        rows = await (await self._link.execute(SQL["turns"], args)).fetchall()
        return [Turn(role, text, focus, at) for role, text, focus, at in reversed(rows)]


class PostgresSnapshot:
    """Implements `headrace.stores.Snapshot` on a link inside a repeatable-read transaction."""

    def __init__(self, link: Link, progress: Answer, at: AsOf, memory: SearchMemory, rules: Sequence[FactRule]) -> None:
        self._progress = progress
        self.knowledge = PostgresKnowledgeReader(link, at, memory)
        self.profiles = PostgresProfileReader(link, at, rules)
        self.conversations = PostgresConversations(link)
        self.audit = PostgresAudit(link, memory.dimensions)

    async def progress(self) -> Sequence[Applied]:
        """Asked for when the snapshot was opened, so that it costs no round trip of its own. To be called once."""
        return _applied(await self._progress.fetchall())


class PostgresWorkCache:
    """Implements `headrace.stores.WorkCache`: vectors of texts that stand in the store already."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def vectors(self, text_hashes: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        args = {"tenant": DEFAULT_TENANT, "hashes": list(text_hashes)}
        async with _linked(_READ, self._pool) as link:
            rows = await (await link.execute(KNOWLEDGE["vectors"], args, binary=True)).fetchall()
        return {hash: vector.to_numpy().astype(np.float32) for hash, vector in rows}


class PostgresStore:
    """Implements `headrace.stores.Store`; `open` also makes it the only one at work there."""

    def __init__(
        self,
        guard: AsyncConnection[Any],
        writers: Pool,
        readers: Pool,
        dimensions: int,
        rules: Sequence[FactRule],
    ) -> None:
        self._guard = guard
        self._writers = writers
        self._readers = readers
        self._memory = SearchMemory(dimensions)
        self._rules = rules
        self._maybe_open: set[tuple[str, str, str]] = set()
        self._releasing: set[asyncio.Task[None]] = set()
        self.work = PostgresWorkCache(readers)

    @classmethod
    async def open(
        cls, dsn: str, *, model: str, dimensions: int, rules: Sequence[FactRule], exclusive: bool = True
    ) -> PostgresStore:
        """A migrated database, ready. Raises StoreError when another Headrace works on it (with `exclusive`),
        ConfigError when its vectors are another model's."""
        with _named("open the store"):
            guard = await AsyncConnection.connect(dsn, autocommit=True)
        try:
            if exclusive:
                await _claim(guard)
                await _check_model(guard, model)
                await guard.execute(KNOWLEDGE["vector_index"].replace(b"{dimensions}", str(dimensions).encode()))
        except BaseException:
            await guard.close()
            raise
        kwargs = {"options": _RELAXED, "prepare_threshold": 2, "autocommit": True}
        writers: Pool = AsyncConnectionPool(
            dsn,
            connection_class=LinkedConnection,
            min_size=2,
            max_size=6,
            open=False,
            configure=register_vector_async,
            kwargs={**kwargs, "options": _RELAXED + _BY_KEY},
        )
        readers: Pool = AsyncConnectionPool(
            dsn,
            connection_class=LinkedConnection,
            min_size=3,
            max_size=12,
            open=False,
            configure=register_vector_async,
            kwargs=kwargs,
        )
        try:
            await asyncio.gather(writers.open(wait=True, timeout=30), readers.open(wait=True, timeout=30))
        except BaseException:
            await asyncio.gather(writers.close(), readers.close(), guard.close())
            raise
        store = cls(guard, writers, readers, dimensions, rules)
        store._maybe_open |= {(x.operator, x.topic, x.key) for x in await store.letters(limit=1_000_000)}
        return store

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[PostgresTransaction]:
        async with _linked(_WRITE, self._writers) as link:
            await link.execute(b"begin")
            yield PostgresTransaction(link, self._maybe_open)
            await link.execute(b"commit")
            await link.settle()

    @asynccontextmanager
    async def snapshot(self, at: AsOf = PRESENT) -> AsyncGenerator[PostgresSnapshot]:
        with _named(_READ):
            connection = await self._readers.getconn()
            link = connection.link
            link.open()
            try:
                await link.execute(SQL["begin_snapshot"])
                progress = await link.execute(SQL["progress"], {"tenant": DEFAULT_TENANT})
                if at != PRESENT:
                    _check_kept(at, await (await link.execute(SQL["horizons"], {"tenant": DEFAULT_TENANT})).fetchall())
                yield PostgresSnapshot(link, progress, at, self._memory, self._rules)
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
            await connection.link.close()
            await self._readers.putconn(connection)

    async def save_turns(self, conversation: str, user: str | None, turns: Sequence[Turn]) -> None:
        base = {"tenant": DEFAULT_TENANT, "conversation": conversation}
        async with _linked(_WRITE, self._writers) as link:
            await link.execute(b"begin")
            await link.execute(b"set local synchronous_commit = on")
            await link.execute(SQL["begin_conversation"], {**base, "asker": user, "at": turns[0].at})
            for turn in turns:
                args = {"role": turn.role, "text": turn.text, "focus": Jsonb(dict(turn.focus)), "at": turn.at}
                await link.execute(SQL["save_turn"], {**base, **args})
            await link.execute(b"commit")
            await link.settle()

    async def progress(self) -> Sequence[Applied]:
        async with _connected(_WRITE, self._writers) as connection:
            return _applied(await (await connection.execute(SQL["progress"], {"tenant": DEFAULT_TENANT})).fetchall())

    async def rewind(self, operator: str, source: str) -> None:
        """Lets an operator see a source's whole log again at the next start; effects stay."""
        args = {"tenant": DEFAULT_TENANT, "operator": operator, "source": source}
        async with _connected(_WRITE, self._writers) as connection:
            await connection.execute(SQL["rewind"], args)

    async def letters(
        self, *, open_only: bool = True, limit: int = 1000, id: int | None = None
    ) -> Sequence[DeadLetter]:
        args = {"tenant": DEFAULT_TENANT, "open_only": open_only, "limit": limit, "id": id}
        async with _connected(_READ, self._readers) as connection:
            rows = await (await connection.execute(SQL["letters"], args)).fetchall()
        return [_letter(row) for row in rows]

    async def counts(self) -> tuple[int, int, int, str, int]:
        """Documents ready, documents failed, profiles, the server's version, the database's bytes."""
        async with _connected(_READ, self._readers) as connection:
            row = await (await connection.execute(SQL["counts"], {"tenant": DEFAULT_TENANT})).fetchone()
        assert row is not None
        return (row[0], row[1], row[2], row[3], row[4])

    async def compact(self) -> None:
        """Packs what searches would otherwise read piece by piece; called every few seconds."""
        async with _connected(_WRITE, self._writers) as connection:
            while await compact(connection):
                pass

    async def purge(self, before: int) -> int:
        """Forgets what was closed before a time (microseconds); how many rows went."""
        gone = 0
        async with _connected(_WRITE, self._writers) as connection:
            for name in ("purge_documents", "purge_profiles", "purge_facts", "purge_letters"):
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
    row = await (await guard.execute("select pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
    if row is None or not row[0]:
        raise StoreError(
            step="open the store",
            expected="no other Headrace at work on it",
            got="one that holds its lock",
            remedy="Stop the other one, or give this one a database of its own.",
        )


async def _check_model(guard: AsyncConnection[Any], model: str) -> None:
    row = await (await guard.execute(SQL["setting"], {"name": "embedding"})).fetchone()
    if row is None:
        await guard.execute(SQL["save_setting"], {"name": "embedding", "value": model})
    elif row[0] != model:
        raise ConfigError(
            step="open the store",
            expected=f"[models] embedding that makes {row[0]}, as the store's vectors were made",
            got=model,
            remedy="Go back to that model, or start with an empty store: vectors of two models cannot be compared.",
        )


def _applied(rows: Sequence[Sequence[Any]]) -> list[Applied]:
    return [
        Applied(operator, source, number, Position(major, minor), at, changes, size)
        for operator, source, number, major, minor, at, changes, size in rows
    ]


def _check_kept(at: AsOf, horizons: Sequence[tuple[str, int, int, int]]) -> None:
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


def _letter(row: Sequence[Any]) -> DeadLetter:
    id, operator, source, topic, key, major, minor, committed_at, step, expected, got, remedy, at, n, done, change = row
    stamp = Stamp(source, Position(major, minor), committed_at)
    return DeadLetter(
        id, operator, source, topic, key, stamp, Failure(step, expected, got, remedy), at, n, done, change
    )


@asynccontextmanager
async def _connected(step: str, pool: Pool) -> AsyncGenerator[LinkedConnection]:
    with _named(step):
        async with pool.connection() as connection:
            yield connection


@asynccontextmanager
async def _linked(step: str, pool: Pool) -> AsyncGenerator[Link]:
    """What is left open of a transaction when this ends with an error is rolled back by the pool."""
    async with _connected(step, pool) as connection, connection.linked() as link:
        yield link


@contextmanager
def _named(step: str) -> Generator[None]:
    """A store that is gone is a StoreError; what it will not take is the input's fault."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolClosed) as error:
        raise StoreError(
            step=step,
            expected="a store that answers",
            got=f"{type(error).__name__}: {str(error).strip()[:300]}",
            remedy="It is connected again by itself; if not, look at the server and at its disk.",
        ) from error
    except psycopg.Error as error:
        raise BadInput(
            step=step,
            expected="values that the store can keep",
            got=f"{type(error).__name__}: {str(error).strip()[:300]}",
            remedy="Correct the value at the source, or leave its column out.",
        ) from error

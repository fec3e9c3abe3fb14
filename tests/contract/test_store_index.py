"""The index of the nearest is built anew beside the old one, and nobody waits for it or sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from headrace.knowledge.terms import query_terms
from headrace.stores import Store
from headrace.stores.knowledge import Filter
from headrace.stores.migrate import migrate
from headrace.stores.postgres import vector_index
from headrace.stores.postgres.vector_index import LEAST_MEMORY_MB, MOST_MEMORY_MB, due, memory_mb
from tests.contract.stored import draft, open_store, removal, remove, swap, vector
from tests.servers import FreshDatabases

LIMIT_S = 60.0
INDEXES = b"""select relname, indisvalid from pg_index join pg_class c on c.oid = indexrelid
    where relname ~ '^chunk_vectors_present' order by 1"""
EMPTY, ENTERED = "chunk_vectors_present_16", b"select count(*) from chunk_vectors where indexed"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers as if forty chunks were many."""
    monkeypatch.setattr(vector_index, "EXACT_CHUNKS", 30)
    monkeypatch.setattr(vector_index, "MANY", 40)


@asynccontextmanager
async def database(databases: FreshDatabases) -> AsyncGenerator[psycopg.AsyncConnection[tuple[object, ...]]]:
    """A migrated database in which the index is used whatever it costs."""
    dsn = await databases()
    await migrate(dsn)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(f'alter database "{connection.info.dbname}" set enable_seqscan = off'.encode())
        yield connection


def dsn_of(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> str:
    return f"{connection.info.dsn} password={connection.info.password}"


async def rows(connection: psycopg.AsyncConnection[tuple[object, ...]], sql: bytes) -> Sequence[tuple[object, ...]]:
    return await (await connection.execute(sql)).fetchall()


async def load(store: Store, first: int, upto: int) -> None:
    await swap(store, *(draft(f"d{n}", n + 1, f"text number {n}") for n in range(first, upto)))


async def nearest(store: Store, names: Sequence[int]) -> list[str]:
    """Of each text the chunk that is nearest."""
    found: list[str] = []
    for n in names:
        async with store.snapshot() as snapshot:
            hits = await snapshot.knowledge.search(query_terms(""), vector(f"text number {n}"), 1, Filter())
        found.append(hits[0].title)
    return found


async def test_after_a_load_the_index_is_built_at_once(fresh_database: FreshDatabases) -> None:
    async with database(fresh_database) as other, open_store(dsn_of(other)) as store:
        await load(store, 0, 60)
        await store.compact()
        assert await rows(other, ENTERED) == [(0,)], "so many are not entered one by one"

        await store.index()
        assert await rows(other, INDEXES) == [(EMPTY, True)], "they came just now, and more may come"
        await store.index()

        [(name, whole)] = await rows(other, INDEXES)
        assert name != EMPTY
        assert whole
        assert (await store.indexing()).waiting == 0
        assert await nearest(store, range(60)) == [f"d{n}" for n in range(60)]

        # What comes and goes afterwards is found, or not, in the index and before it is entered.
        await load(store, 60, 63)
        await remove(store, removal("d7", 100))
        everything = [f"d{n}" for n in range(63) if n != 7]
        assert (await store.indexing()).waiting == 3
        assert await nearest(store, [n for n in range(63) if n != 7]) == everything
        await store.compact()
        assert await rows(other, ENTERED) == [(3,)]
        assert await nearest(store, [n for n in range(63) if n != 7]) == everything
        assert (await nearest(store, [7])) != ["d7"]

        # A second load makes another index, of everything.
        await load(store, 63, 150)
        await store.index(loaded=True)
        [(second, whole)] = await rows(other, INDEXES)
        assert whole
        assert second != name
        assert await nearest(store, range(60, 150)) == [f"d{n}" for n in range(60, 150)]
        scans = f"select idx_scan from pg_stat_user_indexes where indexrelname = '{second}'".encode()

        async def used() -> bool:
            return await rows(other, scans) != [(0,)]

        await until(used)
        async with open_store(dsn_of(other), exclusive=False) as reader:
            assert await nearest(reader, range(60, 150)) == [f"d{n}" for n in range(60, 150)]


async def test_what_is_prepared_on_a_connection_stays_when_it_drops_an_index(fresh_database: FreshDatabases) -> None:
    """The client forgot every prepared statement of a session in which something was dropped, also those of changes."""
    async with database(fresh_database) as other, open_store(dsn_of(other)) as store:
        for start in range(0, 180, 60):
            await asyncio.gather(*(load(store, n, n + 10) for n in range(start, start + 60, 10)))
            for _ in range(12):  # on every connection that writes
                await asyncio.gather(*(store.compact() for _ in range(6)))
            await store.index(loaded=True)
            await asyncio.gather(*(swap(store, draft(f"e{n}", start + 1, "text")) for n in range(6)))
        assert (await rows(other, INDEXES))[-1][1]


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await done():  # noqa: ASYNC110 - it is the server that is waited for
            await asyncio.sleep(0.02)


async def building(
    store: Store, other: psycopg.AsyncConnection[tuple[object, ...]], holding: psycopg.AsyncConnection[Any]
) -> asyncio.Task[None]:
    """A build of sixty chunks that cannot end, for it waits for whoever was writing when it began."""
    await load(store, 0, 60)
    await holding.execute("lock table chunk_vectors in row exclusive mode")
    task = asyncio.create_task(store.index(loaded=True))

    async def begun() -> bool:
        return len(await rows(other, INDEXES)) == 2

    await until(begun)
    assert [whole for _, whole in await rows(other, INDEXES)] == [True, False]
    return task


async def test_changes_and_searches_go_on_while_it_is_built_and_a_crash_leaves_nothing(
    fresh_database: FreshDatabases,
) -> None:
    async with database(fresh_database) as other:
        async with open_store(dsn_of(other)) as store, await psycopg.AsyncConnection.connect(dsn_of(other)) as holding:
            task = await building(store, other, holding)

            # When: changes come
            await load(store, 60, 70)
            await remove(store, removal("d3", 100))
            await store.compact()

            # Then: they are applied and found, and it is told what goes on
            left = [n for n in range(70) if n != 3]
            assert await nearest(store, left) == [f"d{n}" for n in left]
            told = await store.indexing()
            assert told.waiting == 69
            assert told.building is not None
            assert told.building.total == 60

            # When: the process ends in the middle
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        # Then: the next one answers at once, removes what is left, and builds it
        assert [whole for _, whole in await rows(other, INDEXES)] == [True, False]
        async with open_store(dsn_of(other)) as store:
            assert await nearest(store, left) == [f"d{n}" for n in left]
            await store.index()
            assert await rows(other, INDEXES) == [(EMPTY, True)], "what was left is gone"
            await store.index()
            assert [whole for _, whole in await rows(other, INDEXES)] == [True]
            assert (await store.indexing()).waiting == 0
            assert await nearest(store, left) == [f"d{n}" for n in left]


async def test_changes_go_on_over_the_connections_that_dropped_an_index(fresh_database: FreshDatabases) -> None:
    async with database(fresh_database) as other, open_store(dsn_of(other)) as store:
        # given connections over which everything has gone often enough to be prepared
        await asyncio.gather(*(load(store, n, n + 1) for n in range(60)))
        for _ in range(10):
            await asyncio.gather(*(store.compact() for _ in range(6)))

        # when one of them drops the index before
        await store.index()
        await store.index()

        # then what is written next is written
        await asyncio.gather(*(load(store, n, n + 1) for n in range(60, 90)))
        assert await nearest(store, range(90)) == [f"d{n}" for n in range(90)]


async def test_a_build_that_is_ended_by_somebody_is_given_up(fresh_database: FreshDatabases) -> None:
    async with database(fresh_database) as other, open_store(dsn_of(other)) as store:
        async with await psycopg.AsyncConnection.connect(dsn_of(other)) as holding:
            task = await building(store, other, holding)
            ended = b"select pg_terminate_backend(pid) from pg_stat_activity where query ~ '^create index concurrently'"
            assert await rows(other, ended) == [(True,)]
            await holding.rollback()
            await task

        assert await rows(other, INDEXES) == [(EMPTY, True)]
        assert (await store.indexing()).building is None
        await store.compact()
        assert await rows(other, ENTERED) == [(60,)], "they are entered one by one"
        assert await nearest(store, range(60)) == [f"d{n}" for n in range(60)]


async def test_a_build_that_fails_leaves_entering_one_by_one(fresh_database: FreshDatabases) -> None:
    async with database(fresh_database) as other, open_store(dsn_of(other)) as store:
        await load(store, 0, 60)
        [(last,)] = await rows(other, b"select max(chunk_id) from chunk_vectors")
        assert isinstance(last, int)
        await other.execute(f"create table {EMPTY}_{last + 1} ()".encode())  # what it would be called

        await store.index(loaded=True)
        await store.compact()

        assert await rows(other, INDEXES) == [(EMPTY, True)]
        assert await rows(other, ENTERED) == [(60,)]
        assert await nearest(store, range(60)) == [f"d{n}" for n in range(60)]


@pytest.mark.parametrize(
    ("waiting", "chunks", "came", "expected"),
    [
        (10_000, 10_000, 10_000, False),  # a load that goes on
        (10_000, 10_000, 0, True),  # it has ended
        (100_000, 100_000, 1000, True),
        (50_000, 60_000, 20_000, True),  # it goes on, but searches look at too many
        (60_000, 200_000, 20_000, False),  # most are in the index
    ],
)
def test_it_is_built_after_a_load(waiting: int, chunks: int, came: int, expected: bool) -> None:
    assert due(waiting, chunks, came) is expected


def test_a_build_takes_memory_by_its_size_and_never_more_than_its_bound() -> None:
    assert memory_mb(5000, 384) == LEAST_MEMORY_MB
    assert LEAST_MEMORY_MB < memory_mb(200_000, 384) < MOST_MEMORY_MB
    assert memory_mb(50_000_000, 384) == MOST_MEMORY_MB

"""The store's connections: those that write, and those that read beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pgvector.psycopg import register_vector_async
from psycopg_pool import AsyncConnectionPool

from headrace.link import Link, LinkedConnection
from headrace.stores.postgres.failing import named

READ, WRITE = "read the store", "write to the store"
_RELAXED = "-c synchronous_commit=off -c jit=off -c hnsw.iterative_scan=strict_order -c hnsw.ef_search=100"
# What is written is found by key, a few rows at a time: the one plan that fits, without planning it each time from
# statistics of tables that were empty a moment ago.
_BY_KEY = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
Pool = AsyncConnectionPool[LinkedConnection]


async def pools(dsn: str) -> tuple[Pool, Pool]:
    """Open: for writers, for readers."""
    writers, readers = _pool(dsn, _RELAXED + _BY_KEY, 2, 6), _pool(dsn, _RELAXED, 3, 12)
    try:
        await asyncio.gather(writers.open(wait=True, timeout=30), readers.open(wait=True, timeout=30))
    except BaseException:
        await asyncio.gather(writers.close(), readers.close())
        raise
    return writers, readers


def _pool(dsn: str, options: str, least: int, most: int) -> Pool:
    # psycopg prepares nothing itself: it would let go of the link's statements with its own, behind every ROLLBACK
    # and every change of the schema.
    return AsyncConnectionPool(
        dsn,
        connection_class=LinkedConnection,
        min_size=least,
        max_size=most,
        open=False,
        configure=register_vector_async,
        kwargs={"options": options, "prepare_threshold": None, "autocommit": True},
    )


@asynccontextmanager
async def connected(step: str, pool: Pool) -> AsyncGenerator[LinkedConnection]:
    with named(step):
        async with pool.connection() as connection:
            yield connection


@asynccontextmanager
async def linked(step: str, pool: Pool) -> AsyncGenerator[Link]:
    """A connection on which something failed is let go of: the pool's rollback would make psycopg forget all prepared
    statements of the session, ours too."""
    async with connected(step, pool) as connection:
        try:
            async with connection.linked() as link:
                yield link
        except BaseException:
            await connection.close()
            raise

"""Vectors of another model in a table of their own, until that takes the other's name."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from headrace.errors import StoreError
from headrace.link import LinkedConnection
from headrace.sqlfile import load
from headrace.stores.beside import BareChunk, Model
from headrace.stores.postgres import vector_index
from headrace.stores.postgres.failing import named
from headrace.stores.postgres.gate import Gate
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("beside.sql"))
STATE = load(Path(__file__).with_name("state.sql"))
_TENANT = {"tenant": DEFAULT_TENANT}
PATIENCE_S = 0.25
"""So long nobody new may read while those who do are waited for."""
ACTIVE, ADDRESS, COMING = "embedding", "embedding_address", "embedding_next"
"""Settings: the model whose vectors are searched, where it is, and the one whose vectors are built beside."""


class PostgresBeside:
    """Implements `headrace.stores.beside.Beside`. `readers`: through this gate goes everybody who reads vectors;
    `swapped` is called while it is closed."""

    def __init__(
        self,
        pool: AsyncConnectionPool[LinkedConnection],
        alone: AsyncConnection[Any],
        readers: Gate,
        swapped: Callable[[int], None],
    ) -> None:
        """`alone`: a connection of its own for changes of the schema: psycopg lets go of prepared statements then."""
        self._pool = pool
        self._alone = alone
        self._readers = readers
        self._swapped = swapped

    async def begin(self, model: str) -> None:
        async with self._changing() as connection:
            if await setting(connection, COMING) == model and await _there(connection):
                return
            await _run(connection, SQL["drop"])
            await _run(connection, SQL["make"])
            await save(connection, COMING, model)

    async def cancel(self) -> None:
        async with self._changing() as connection:
            await _run(connection, SQL["drop"])
            await connection.execute(SQL["forget"], {"name": COMING})

    async def counts(self) -> tuple[int, int]:
        async with self._connected() as connection:
            row = await (await connection.execute(SQL["counts"], _TENANT)).fetchone()
        assert row is not None
        return row[0], row[1]

    async def bare(self, after: int, limit: int) -> Sequence[BareChunk]:
        args = {**_TENANT, "after": after, "limit": limit}
        async with self._connected() as connection:
            return [BareChunk(*row) for row in await (await connection.execute(SQL["bare"], args)).fetchall()]

    async def fill(self, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
        async with self._connected() as connection:
            row = await (await connection.execute(SQL["present"], _TENANT)).fetchone()
            args = {
                "chunks": list(chunks),
                "vectors": [HalfVector(v) for v in vectors],
                "indexed": row is not None and row[0] > vector_index.EXACT_CHUNKS,
            }
            await connection.execute(SQL["fill"], args)

    async def index(self, dimensions: int) -> None:
        memory = vector_index.memory_mb((await self.counts())[1], dimensions)
        async with self._changing() as connection:
            await _run(connection, _sized(SQL["index"], dimensions).replace(b"{memory}", str(memory).encode()))

    @asynccontextmanager
    async def _changing(self) -> AsyncGenerator[AsyncConnection[Any]]:
        """A transaction."""
        with named("build vectors of another model"):
            async with self._alone.transaction():
                yield self._alone

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[LinkedConnection]:
        with named("build vectors of another model"):
            async with self._pool.connection() as connection:
                yield connection

    async def swap(self, model: Model, serve: Callable[[], None]) -> bool:
        async with self._readers.closed(PATIENCE_S) as alone:
            if not alone or not await self._swap(model):
                return False
            self._swapped(model.dimensions)
            serve()
            return True

    async def _swap(self, model: Model) -> bool:
        try:
            async with self._changing() as connection:
                await _run(connection, SQL["hold"])
                if await (await connection.execute(SQL["bare"], {**_TENANT, "after": -1, "limit": 1})).fetchone():
                    return False
                await connection.execute(SQL["catch_up"])
                await _run(connection, _sized(SQL["swap"], model.dimensions))
                await save(connection, ACTIVE, model.id)
                await save(connection, ADDRESS, model.address)
                await connection.execute(SQL["forget"], {"name": COMING})
        except StoreError as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                return False
            raise
        return True


async def setting(connection: AsyncConnection[Any], name: str) -> str | None:
    row = await (await connection.execute(STATE["setting"], {"name": name})).fetchone()
    return None if row is None else str(row[0])


async def save(connection: AsyncConnection[Any], name: str, value: str) -> None:
    await connection.execute(STATE["save_setting"], {"name": name, "value": value})


def _sized(sql: bytes, dimensions: int) -> bytes:
    sized = sql.replace(b"{dimensions}", str(dimensions).encode())
    return sized.replace(b"{breadth}", str(vector_index.BREADTH).encode())


async def _there(connection: AsyncConnection[Any]) -> bool:
    row = await (await connection.execute(SQL["there"])).fetchone()
    return row is not None and bool(row[0])


async def _run(connection: AsyncConnection[Any], statements: bytes) -> None:
    """Several at once, without parameters."""
    await connection.execute(statements, prepare=False)

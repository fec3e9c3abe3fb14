"""An ordinary session at the source's server, opened when needed and again when it broke."""

from __future__ import annotations

import asyncio
from typing import Any

from psycopg import AsyncConnection, Error

from headrace.sources.postgres.problems import connect_failed, query_failed
from headrace.sources.postgres.setup import Connection


class Client:
    """Statements outside any transaction block. Used concurrently: they run one after another."""

    def __init__(self, conninfo: str, shown: str) -> None:
        self._conninfo = conninfo
        self._shown = shown
        self._connection: AsyncConnection[Any] | None = None
        self._opening = asyncio.Lock()

    async def connection(self) -> Connection:
        """An open connection. Raises Broken or SourceError."""
        async with self._opening:
            if self._connection is None or self._connection.closed:
                try:
                    self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
                except Error as problem:
                    raise connect_failed(self._shown, problem) from None
            return self._connection

    async def ask(self, statement: bytes, step: str) -> str:
        """The first value of a statement's first row, as text. A connection that broke meanwhile is opened again once.

        Raises Broken or SourceError.
        """
        connection = await self.connection()
        try:
            try:
                return await _first(connection, statement)
            except Error:
                if not connection.closed:
                    raise
                return await _first(await self.connection(), statement)
        except Error as problem:
            raise query_failed(self._shown, step, problem) from None

    async def interrupt(self) -> None:
        """Cancels the statement that runs."""
        if self._connection is not None and not self._connection.closed:
            await self._connection.cancel_safe(timeout=1)

    async def close(self) -> None:
        """Waits for the statement that runs."""
        if self._connection is not None:
            async with self._connection.lock:
                await self._connection.close()


async def _first(connection: Connection, statement: bytes) -> str:
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return str(row[0])

"""An ordinary session at the source's server, opened when needed and again when it broke."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from psycopg import AsyncConnection, Error

from headrace.sources.postgres.deadline import deadline, interrupt
from headrace.sources.postgres.problems import connect_failed, query_failed
from headrace.sources.postgres.setup import Connection

ANSWER_S = 8.0
"""How long an answer to a small question may take before the connection counts as dead."""


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
                with deadline(connection, ANSWER_S):
                    return await _first(connection, statement)
            except Error:
                if not connection.closed:
                    raise
                connection = await self.connection()
                with deadline(connection, ANSWER_S):
                    return await _first(connection, statement)
        except Error as problem:
            raise query_failed(self._shown, step, problem) from None

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """See `headrace.sources.postgres.deadline`: of the connection that there is."""
        return nullcontext() if self._connection is None else deadline(self._connection, seconds)

    async def interrupt(self) -> None:
        """Cancels the statement that runs."""
        if self._connection is not None and not self._connection.closed:
            await interrupt(self._connection)

    async def close(self) -> None:
        """Waits for the statement that runs."""
        if self._connection is not None:
            async with self._connection.lock:
                await self._connection.close()


async def _first(connection: Connection, statement: bytes) -> str:
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return str(row[0])

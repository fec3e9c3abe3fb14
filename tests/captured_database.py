"""A database that a PostgreSQL source captures into a log in memory."""

from __future__ import annotations

import asyncio
import uuid
from typing import LiteralString, cast

import psycopg
import pytest
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from headrace.change import Row, Value
from headrace.errors import SourceError
from headrace.sources import Source, SourceSettings
from headrace.sources.postgres import open as open_source
from headrace.sources.postgres.address import parse
from headrace.sources.postgres.setup import object_name
from tests.memory_log import MemoryLog, Table, catch_up, run

NAME = "pg"


class CapturedDatabase:
    """`sql` runs as the application does, in its own session. Call `close` at the end."""

    def __init__(self, dsn: str, connection: psycopg.AsyncConnection) -> None:
        self.dsn = dsn
        self.connection = connection
        self.id = uuid.uuid4().hex[:12]
        self.log = MemoryLog()
        self._sources: list[Source] = []

    @classmethod
    async def connect(cls, dsn: str) -> CapturedDatabase:
        return cls(dsn, await psycopg.AsyncConnection.connect(dsn, autocommit=True))

    @property
    def slot(self) -> str:
        return object_name(self.id, NAME)

    def source(
        self, *, tables: tuple[str, ...] = ("public.*",), batch_rows: int = 4000, url: str = "", publication: str = ""
    ) -> Source:
        """`publication`: one that somebody else made."""
        options = {"publication": publication} if publication else {}
        settings = SourceSettings(NAME, url or self.dsn, self.id, tables=tables, batch_rows=batch_rows, options=options)
        source = open_source(settings)
        self._sources.append(source)
        return source

    async def sql(self, *statements: str) -> None:
        """Each statement is a transaction of its own."""
        for statement in statements:
            await self.connection.execute(_sql(statement))

    async def transaction(self, *statements: str) -> None:
        async with self.connection.transaction():
            for statement in statements:
                await self.connection.execute(_sql(statement))

    async def query(self, query: str) -> list[tuple[object, ...]]:
        return await (await self.connection.execute(_sql(query))).fetchall()

    async def capture(self, **settings: object) -> MemoryLog:
        """Starts a source anew, catches up, and stops it."""
        source = self.source(**settings)  # pyright: ignore[reportArgumentType]
        await catch_up(source, self.log)
        await source.close()
        return self.log

    async def table(self, table: str, *key: str) -> Table:
        """The rows as the source has them now, in the form that capture gives them."""
        async with await psycopg.AsyncConnection.connect(parse(self.dsn).conninfo()) as plain, plain.cursor() as cursor:
            await cursor.execute(_sql(f"select * from {table if '.' in table else 'public.' + table}"))
            names = [c.name for c in cursor.description or ()]
            for oid in {c.type_code for c in cursor.description or ()}:
                cursor.adapters.register_loader(oid, _loader(oid))
            rows = cast("list[Row]", await cursor.fetchall())
        at = [names.index(k) for k in key]
        return {tuple(row[i] for i in at): row for row in rows}

    async def close(self) -> None:
        for source in self._sources:
            await source.close()
        await self.connection.close()


async def failure(database: CapturedDatabase, **settings: object) -> SourceError:
    """With what a source ends, within 10 s."""
    source = database.source(**settings)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(run(source, database.log, lambda _: False), 10)
    return caught.value


def _sql(text: str) -> sql.SQL:
    return sql.SQL(cast("LiteralString", text))


def _loader(oid: int) -> type[Loader]:
    class Plain(Loader):
        """A value as the server's text says, numbers and the like as the contract does."""

        def load(self, data: Buffer) -> Value:
            text = bytes(data).decode()
            if oid in (20, 21, 23, 26):
                return int(text)
            if oid == 16:
                return text == "t"
            if oid in (700, 701):
                return text if text in ("NaN", "Infinity", "-Infinity") else float(text)
            if oid == 17:
                return bytes.fromhex(text[2:])
            return text

    return Plain

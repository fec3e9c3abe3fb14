"""A MariaDB database that a MySQL source captures into a log in memory."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from typing import Any

import pymysql

from headrace.sources import Source, SourceSettings
from headrace.sources.mysql import open as open_source
from tests.memory_log import MemoryLog, Table, catch_up
from tests.servers import MariadbApart

NAME = "my"


class CapturedMariadb:
    """`sql` runs as the application does, in its own session. Call `close` at the end."""

    def __init__(self, server: MariadbApart) -> None:
        self.server = server
        self.id = uuid.uuid4().hex[:12]
        self.database = f"test_{self.id}"
        self.log = MemoryLog()
        self.connection = server.connect()
        self._sources: list[Source] = []
        self.sql(f"create database {self.database}", f"use {self.database}")

    def source(self, *, tables: tuple[str, ...] = ("*",), batch_rows: int = 4000, url: str = "") -> Source:
        url = url or self.server.url(self.database)
        source = open_source(SourceSettings(NAME, url, self.id, tables=tables, batch_rows=batch_rows))
        self._sources.append(source)
        return source

    def sql(self, *statements: str) -> None:
        """Each statement is a transaction of its own."""
        for statement in statements:
            self.connection.cursor().execute(statement)

    def transaction(self, *statements: str) -> None:
        self.connection.begin()
        self.sql(*statements)
        self.connection.commit()

    def prepare(self, name: str, *statements: str) -> None:
        """As one XA transaction, in a session that ends when it is prepared."""
        with self.server.connect(self.database) as connection, connection.cursor() as cursor:
            for statement in (f"xa start {name}", *statements, f"xa end {name}", f"xa prepare {name}"):
                cursor.execute(statement)

    def query(self, query: str) -> Sequence[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def topic(self, table: str) -> str:
        return f"{NAME}.{self.database}.{table}"

    def rows(self, table: str) -> Table:
        """What the log's changes of a table amount to."""
        return self.log.table(self.topic(table))

    async def capture(self, **settings: object) -> MemoryLog:
        """Starts a source anew, catches up, and stops it."""
        source = self.source(**settings)  # pyright: ignore[reportArgumentType]
        await catch_up(source, self.log)
        await source.close()
        return self.log

    async def copied(self, table: str) -> Table:
        """The rows of a table as a first copy gives them now."""
        other = MemoryLog()
        source = open_source(
            SourceSettings(NAME, self.server.url(self.database), uuid.uuid4().hex[:12], tables=(table,))
        )
        await catch_up(source, other)
        await source.close()
        return other.table(self.topic(table))

    async def close(self) -> None:
        for source in self._sources:
            await source.close()
        with contextlib.suppress(pymysql.MySQLError):
            self.connection.close()
        # What a failed test left open or prepared would keep its database from being dropped.
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("xa recover")
            for kind, size, _, data in cursor.fetchall():
                if self.id in data:
                    cursor.execute(f"xa rollback '{data[:size]}', '{data[size:]}', {kind}")
            cursor.execute(f"drop database if exists {self.database}")

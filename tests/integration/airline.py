"""The demo's airline on a real server, for its tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from headrace.demo.loader import TABLES, load

Connection = AsyncConnection[TupleRow]


async def loaded(address: str) -> Connection:
    """A connection to a database into which the airline was loaded."""
    connection = await psycopg.AsyncConnection.connect(address, autocommit=True)
    assert await load(connection)
    return connection


async def rows(connection: Connection, statement: str, values: Sequence[object] = ()) -> list[TupleRow]:
    return await (await connection.execute(statement.encode(), values)).fetchall()


async def value(connection: Connection, statement: str, values: Sequence[object] = ()) -> object:
    found = await rows(connection, statement, values)
    assert len(found) == 1
    return found[0][0]


async def checksum(connection: Connection) -> str:
    """Of all rows of all tables."""
    digest = hashlib.sha256()
    for table in TABLES:
        statement = sql.SQL("select t::text from {} t order by 1").format(sql.Identifier(table))
        for row in await (await connection.execute(statement)).fetchall():
            digest.update(f"{table} {row[0]}\n".encode())
    return digest.hexdigest()

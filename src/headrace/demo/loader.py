"""Makes the airline's database: schema and rows in one transaction, so that it is there whole or not at all."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

# In the order that foreign keys ask for.
TABLES = (
    "airports",
    "flights",
    "flight_dates",
    "users",
    "payment_methods",
    "reservations",
    "reservation_flights",
    "payments",
)

_FILES = files("headrace.demo")
_LOCK = 0x41495231
_IS_LOADED: LiteralString = "select to_regclass('public.payments') is not null"


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """After one of `total` tables was loaded: `done` of them, and this one's rows."""

    table: str
    rows: int
    done: int
    total: int


async def load(
    connection: AsyncConnection[TupleRow], progress: Callable[[LoadProgress], None] = lambda _: None
) -> bool:
    """Loads the airline into an empty database; False when it is there already, however it has changed since.

    Two that start at once wait for each other. The connection must not be in a transaction.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        found = await (await connection.execute(_IS_LOADED)).fetchone()
        if found and found[0]:
            return False
        await connection.execute(_FILES.joinpath("schema.sql").read_bytes())
        for done, table in enumerate(TABLES, 1):
            rows = await _copy(connection, table)
            progress(LoadProgress(table, rows, done, len(TABLES)))
        await connection.execute("analyze")
    return True


async def _copy(connection: AsyncConnection[TupleRow], table: str) -> int:
    data = await asyncio.to_thread(_read, table)
    columns = data[: data.index(b"\n")].decode().split(",")
    statement = sql.SQL("copy {} ({}) from stdin (format csv, header match)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with connection.cursor() as cursor:
        async with cursor.copy(statement) as copy:
            await copy.write(data)
        return cursor.rowcount


def _read(table: str) -> bytes:
    return gzip.decompress(_FILES.joinpath("data", f"{table}.csv.gz").read_bytes())

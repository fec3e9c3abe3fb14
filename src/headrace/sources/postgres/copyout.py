"""COPY to us, many lines at a time: the one place that takes them from libpq itself.

psycopg hands out one line per turn of the event loop, which takes longer than to read the line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from psycopg import AsyncConnection, errors, generators, sql
from psycopg.pq import ExecStatus

MOST_LINES = 2000
"""So many at most before others have their turn."""


async def copy_out(connection: AsyncConnection[Any], query: sql.Composed) -> AsyncGenerator[list[bytes]]:
    """The lines of a COPY ... TO STDOUT as they come. To end before the last one, close the connection.

    Raises psycopg.Error.
    """
    pg = connection.pgconn
    async with connection.lock:
        pg.send_query(query.as_bytes(connection))
        (result,) = await connection.wait(generators.execute(pg))
        if result.status != ExecStatus.COPY_OUT:
            raise errors.error_from_result(result)
        while True:
            lines, ended = _take(connection)
            if lines:
                yield lines
            if ended:
                break
            if len(lines) < MOST_LINES:
                await _readable(pg.socket)
                pg.consume_input()
            else:
                await asyncio.sleep(0)
        results = await connection.wait(generators.fetch_many(pg))
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)


def _take(connection: AsyncConnection[Any]) -> tuple[list[bytes], bool]:
    """What is there, without waiting; whether it was the last of it."""
    take = connection.pgconn.get_copy_data
    lines: list[bytes] = []
    add = lines.append
    for _ in range(MOST_LINES):
        size, data = take(1)
        if size <= 0:
            return lines, size < 0
        add(bytes(data))
    return lines, False


async def _readable(socket: int) -> None:
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def ready() -> None:
        loop.remove_reader(socket)
        if not waiter.done():
            waiter.set_result(None)

    loop.add_reader(socket, ready)
    try:
        await waiter
    finally:
        loop.remove_reader(socket)

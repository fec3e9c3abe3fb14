"""Ends a connection that answers nothing: what waits on it cannot be cancelled, for that too waits for the server."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from psycopg import AsyncConnection, Error


@contextmanager
def deadline(connection: AsyncConnection[Any], seconds: float) -> Generator[None]:
    """Whoever waits on the connection in here meets a broken one (psycopg.OperationalError) after so long."""
    timer = asyncio.get_running_loop().call_later(seconds, hang_up, connection)
    try:
        yield
    finally:
        timer.cancel()


async def interrupt(connection: AsyncConnection[Any]) -> None:
    """Ends the statement that runs; the connection, when the server cannot be asked to."""
    try:
        await connection.cancel_safe(timeout=1)
    except Error:
        hang_up(connection)


def hang_up(connection: AsyncConnection[Any]) -> None:
    """Both directions end; whoever waits on the connection is told so at once."""
    if connection.closed:
        return
    # A second descriptor: the first stays libpq's to close.
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
        try:
            wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is broken already

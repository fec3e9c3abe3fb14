"""The index of the nearest: filled a few vectors at a time, or built anew beside the old one when many wait for it.

It holds the present chunks that were entered one by one (`indexed`), and all present chunks below a number that is part
of its condition and of its name. So a new index holds at once what was loaded before it was built, without touching a
row, and the catalog itself says which index is whole. Whoever still asks by an older number is answered by the newer
index too, for the planner knows that whoever is below the one is below the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from headrace.clock import now_us
from headrace.sqlfile import load
from headrace.stores import Building, Indexing
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("vector_index.sql"))
TENANT = {"tenant": DEFAULT_TENANT}
EXACT_CHUNKS = 4000
"""Up to so many present chunks every vector is looked at, which is exact and takes a few milliseconds."""
ENTERED_AT_ONCE = 16
"""Entering locks rows, and a change that closes one of them would wait."""
BREADTH = 128
"""How many neighbours are considered for each vector: with 64 a search had to walk more than twice as far for the same
recall (0.98 at 200,000 vectors)."""
MANY = 2000
"""Fewer are entered within seconds."""
DEARER = 6
"""Entering a vector takes so many times as long as building takes for each (measured: 0.5 ms and 4 ms at 200,000)."""
CALM = 0.02
"""While more than this share of those that wait came since the last look, a load is going on, and the index is built
after it,"""
TOO_MANY = 50_000
"""but not when so many wait, and more than are in the index: searches look at each of them."""
PROCESSES = max(1, min(4, (os.cpu_count() or 1) // 2))
"""At a build: half of the processors remain to changes and searches."""
MOST_MEMORY_MB = 512
"""What a build may take: some 300,000 vectors of 384 dimensions, beyond which it goes on more slowly."""
LEAST_MEMORY_MB = 64
AGAIN_S = 600.0
"""After a build that failed, vectors are entered one by one for so long."""
_NAME = re.compile(r"chunk_vectors_present_(\d+)(?:_(\d+))?")
_NO_ROOM = (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory, psycopg.errors.InsufficientResources)

logger = structlog.get_logger("headrace.store")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Present chunks that are not in the index, the last one's number, and how many chunks are present."""

    count: int
    last: int
    chunks: int


@dataclass(slots=True)
class _Build:
    pid: int
    total: int
    started_at: int


class VectorIndex:
    """The index of one store. `below`: chunks with smaller numbers are in it, whether they are marked or not."""

    def __init__(self, dsn: str, dimensions: int) -> None:
        self._dsn = dsn
        self._dimensions = dimensions
        self.below = 0
        self._seen = 0
        self._build: _Build | None = None
        self._not_before = 0.0

    async def find(self, connection: AsyncConnection[Any]) -> None:
        """Takes the newest index that is whole, without changing anything."""
        self.below = max((below for _, below, whole, _ in await self._indexes(connection) if whole), default=0)

    async def open(self, connection: AsyncConnection[Any]) -> None:
        """As `find`, and makes the first index where there is none."""
        await self.find(connection)
        if not self.below:
            await connection.execute(self._sql("first", self._name(0)))

    def swapped(self, dimensions: int) -> None:
        """Another model's vectors have come in the place of the others, with the first index of theirs."""
        self._dimensions = dimensions
        self.below = self._seen = 0

    def conditions(self, sql: bytes) -> bytes:
        """A statement with what is in the index (`{entered}`) and what is not (`{waiting}`), of `chunk_vectors t`."""
        below = str(self.below).encode()
        entered = b"(t.indexed or t.chunk_id < %b)" % below if self.below else b"t.indexed"
        waiting = b"not t.indexed and t.chunk_id >= %b" % below
        return sql.replace(b"{entered}", entered).replace(b"{waiting}", waiting)

    # ---- a few at a time ---------------------------------------------------------------------------------------------

    async def enter(self, connection: AsyncConnection[Any]) -> bool:
        """Enters some vectors once there are so many chunks that the index is used; whether there were any.

        None while an index is being built, or is better built anew.
        """
        if self._build:
            return False
        found = await self._waiting(connection)
        if found.chunks <= EXACT_CHUNKS or not found.count or self._better_built(found):
            return False
        args = {**TENANT, "below": self.below, "limit": ENTERED_AT_ONCE}
        return (await connection.execute(SQL["enter"], args)).rowcount > 0

    # ---- all at once -------------------------------------------------------------------------------------------------

    async def tend(self, connection: AsyncConnection[Any], *, loaded: bool) -> None:
        """Removes what a build that was broken off has left, and builds the index anew when that is due.

        Called every few seconds by one at a time; returns when the index is built. `loaded`: no more is coming.
        """
        await self.find(connection)
        if await self._clear(connection):
            return
        found = await self._waiting(connection)
        came, self._seen = found.count - self._seen, found.count
        if self._better_built(found) and (loaded or due(found.count, found.chunks, came)):
            await self._rebuild(connection, found)

    async def progress(self, connection: AsyncConnection[Any]) -> Indexing:
        """How many wait, and how far a build is."""
        found, build = await self._waiting(connection), self._build
        if build is None:
            return Indexing(found.count, None)
        row = await (await connection.execute(SQL["done"], {"pid": build.pid})).fetchone()
        done = min(row[0] if row else 0, build.total)
        return Indexing(found.count, Building(done, build.total, build.started_at))

    def _better_built(self, found: Waiting) -> bool:
        if monotonic() < self._not_before:
            return False
        return found.chunks > EXACT_CHUNKS and found.count >= MANY and found.count * DEARER >= found.chunks

    async def _rebuild(self, connection: AsyncConnection[Any], found: Waiting) -> None:
        below, began = found.last + 1, monotonic()
        logger.info("an index of vectors is built", chunks=found.chunks, waiting=found.count)
        try:
            try:
                await self._built(below, found.chunks, PROCESSES)
            except _NO_ROOM as problem:  # processes share memory through a file system that may be small
                logger.warning("an index is built by one process", because=str(problem).strip())
                await self._clear(connection)
                await self._built(below, found.chunks, 1)
        except psycopg.Error as problem:
            self._not_before = monotonic() + AGAIN_S
            logger.error("an index of vectors could not be built", error=str(problem).strip(), again_in_s=AGAIN_S)
            await self._clear(connection)  # raises where the whole server is gone
            return
        await connection.execute(SQL["analyze"])
        self.below, self._seen = below, 0
        logger.info("an index of vectors is built and used", chunks=found.chunks, seconds=round(monotonic() - began, 1))
        await self._clear(connection)

    async def _built(self, below: int, chunks: int, processes: int) -> None:
        """On a connection of its own, which a server that loses us ends."""
        options = (
            f"-c maintenance_work_mem={memory_mb(chunks, self._dimensions)}MB"
            f" -c max_parallel_maintenance_workers={processes - 1}"
        )
        async with await AsyncConnection.connect(self._dsn, autocommit=True, options=options) as own:
            with suppress(psycopg.Error):  # not every system can tell
                await own.execute("set client_connection_check_interval = '2s'")
            self._build = _Build(own.info.backend_pid, chunks, now_us())
            try:
                await own.execute(self._sql("build", self._name(below), below))
            finally:
                self._build = None

    async def _clear(self, connection: AsyncConnection[Any]) -> bool:
        """Drops indexes that are not whole, and those that a newer one has replaced. Whether one is being built, as it
        is for moments by a server whose client was killed."""
        found = await self._indexes(connection)
        for name, below, whole, building in found:
            if building or (whole and below >= self.below):
                continue
            if not whole:
                logger.warning("an index that was never finished is removed", index=name)
            await connection.execute(self._sql("drop", name))
        return any(building for *_, building in found)

    async def _waiting(self, connection: AsyncConnection[Any]) -> Waiting:
        row = await (await connection.execute(SQL["waiting"], {**TENANT, "below": self.below})).fetchone()
        count, last, chunks = row or (0, None, 0)
        return Waiting(count, last or 0, chunks or 0)

    async def _indexes(self, connection: AsyncConnection[Any]) -> Sequence[tuple[str, int, bool, bool]]:
        """Those of our dimensions: name, number, whether it is whole, whether it is being built."""
        rows = await (await connection.execute(SQL["indexes"])).fetchall()
        named = [(_NAME.fullmatch(name), whole, building) for name, whole, building in rows]
        return [
            (match[0], int(match[2] or 0), whole, building)
            for match, whole, building in named
            if match and int(match[1]) == self._dimensions
        ]

    def _name(self, below: int) -> str:
        return f"chunk_vectors_present_{self._dimensions}" + (f"_{below}" if below else "")

    def _sql(self, statement: str, name: str, below: int = 0) -> bytes:
        filled = SQL[statement].replace(b"{name}", name.encode()).replace(b"{below}", str(below).encode())
        filled = filled.replace(b"{breadth}", str(BREADTH).encode())
        return filled.replace(b"{dimensions}", str(self._dimensions).encode())


def due(waiting: int, chunks: int, came: int) -> bool:
    """Whether many that wait should wait no longer. `came`: how many of them came since the last look."""
    return came <= waiting * CALM or (waiting >= TOO_MANY and 2 * waiting >= chunks)


def memory_mb(chunks: int, dimensions: int) -> int:
    """What a build needs to hold its graph in memory: each vector, and its 32 and more neighbours."""
    needed = chunks * (2 * dimensions + 900) // 1_000_000 + 16
    return max(LEAST_MEMORY_MB, min(MOST_MEMORY_MB, needed))

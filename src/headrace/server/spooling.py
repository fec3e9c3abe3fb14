"""Contents on their way: written to a scratch file as they come, hashed, never more than a piece in memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from headrace.errors import HeadraceError
from headrace.server.guard import TooLarge
from headrace.uploads import SCRATCH_PREFIX, Content

PIECE = 1 << 20
"""Bytes that are written at once, in a thread."""
IDLE_S = 60.0
"""So long a client may say nothing."""


class Idle(HeadraceError):
    """A client that has stopped sending."""

    status = 408
    title = "The rest of the body did not come"


class NoRoom(HeadraceError):
    """The scratch folder cannot be written."""

    status = 507
    title = "No room for the upload"


class Spool:
    """One content. `write` until all is there, then `done`; the file goes with `close`."""

    def __init__(self, file: BinaryIO, path: Path, most: int) -> None:
        self._file = file
        self._path = path
        self._most = most
        self._hash = hashlib.sha256()
        self._size = 0
        self._pending = bytearray()

    async def write(self, data: bytes) -> None:
        """Raises TooLarge, NoRoom."""
        self._size += len(data)
        if self._size > self._most:
            raise TooLarge(
                step="take in an upload",
                expected=f"at most {self._most} bytes",
                got=f"{self._size} bytes or more",
                remedy="Split the document, or raise max_bytes of the source.",
            )
        self._pending += data
        if len(self._pending) >= PIECE:
            await self._flush()

    async def done(self) -> Content:
        await self._flush()
        return Content(self._path, self._size, "sha256:" + self._hash.hexdigest())

    async def _flush(self) -> None:
        data, self._pending = bytes(self._pending), bytearray()
        try:
            await asyncio.to_thread(self._put, data)
        except OSError as error:
            raise _no_room(error, self._path.parent) from None

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)
        self._file.flush()


@contextlib.asynccontextmanager
async def spool(scratch: Path, most: int) -> AsyncGenerator[Spool]:
    """A content of `most` bytes at most. Raises NoRoom."""
    try:
        file, path = await asyncio.to_thread(_open, scratch)
    except OSError as error:
        raise _no_room(error, scratch) from None
    try:
        yield Spool(file, path, most)
    finally:
        file.close()
        path.unlink(missing_ok=True)


async def lively(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks. Raises Idle when none comes for a while."""
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Idle(
                step="read the body",
                expected=f"some of it every {IDLE_S:.0f} s",
                got="nothing for longer",
                remedy="Send it again.",
            ) from None
        if chunk is None:
            return
        yield chunk


def _open(scratch: Path) -> tuple[BinaryIO, Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}-", dir=scratch)
    return os.fdopen(descriptor, "wb"), Path(path)


def _no_room(error: OSError, scratch: Path) -> NoRoom:
    return NoRoom(
        step="write an upload to the scratch folder",
        expected=f"room in {scratch}",
        got=error.strerror or type(error).__name__,
        remedy="Make room on that disk, then send it again.",
    )

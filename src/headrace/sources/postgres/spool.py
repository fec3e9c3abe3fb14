"""Transactions in progress, held until they commit: nothing of them may be seen before, and much of it may be undone.

What is held beyond a bound stands in temporary files without a name: they are gone with the process, however it ends.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import IO

from headrace.errors import SourceError
from headrace.sources.postgres.problems import Broken

MEMORY_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024

_frame = Struct(">II")


class Held:
    """The messages of one transaction, in order, each with its subtransaction. Read once: `load`, then iterate."""

    def __init__(self) -> None:
        self.relations: dict[int, int] = {}
        """Table -> when its shape was last told in this transaction (a count of such messages)."""
        self._undone: set[int] = set()
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._reading = False
        self._block = b""
        self._at = 0

    @property
    def memory(self) -> int:
        return len(self._memory)

    def add(self, subtransaction: int, message: bytes) -> None:
        self._memory += _frame.pack(subtransaction, len(message))
        self._memory += message

    def undo(self, subtransaction: int) -> None:
        self._undone.add(subtransaction)

    def spill(self, folder: str) -> None:
        """Blocks on the disk. Raises OSError."""
        if self._file is None:
            if folder:
                Path(folder).mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder or None)  # noqa: SIM115 - closed by `close`
        self._file.write(self._memory)
        self._memory = bytearray()

    async def load(self) -> bool:
        """Makes messages ready to iterate over; False when all were read."""
        missing = self._missing()
        if not missing:
            return True
        rest = self._block[self._at :]
        size = max(BLOCK_BYTES, missing)
        more = await asyncio.to_thread(self._read, size) if self._file is not None else self._drain()
        self._block, self._at = rest + more, 0
        return bool(more)

    def _missing(self) -> int:
        """How many bytes are wanting for the next message to be whole; at least 1 when nothing is there."""
        left = len(self._block) - self._at
        if left < _frame.size:
            return _frame.size - left
        _, size = _frame.unpack_from(self._block, self._at)
        return max(0, _frame.size + size - left)

    def _read(self, size: int) -> bytes:
        assert self._file is not None
        if not self._reading:
            self._file.seek(0)
            self._reading = True
        return self._file.read(size) or self._drain()

    def _drain(self) -> bytes:
        rest, self._memory = bytes(self._memory), bytearray()
        return rest

    def __iter__(self) -> Iterator[bytes]:
        """The messages that are ready and were not undone. Leaving the loop leaves the rest for the next one."""
        undone, block, unpack, header = self._undone, self._block, _frame.unpack_from, _frame.size
        end = len(block)
        while self._at + header <= end:
            subtransaction, size = unpack(block, self._at)
            start = self._at + header
            if start + size > end:
                return
            self._at = start + size
            if subtransaction not in undone:
                yield block[start : self._at]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Spool:
    """All transactions in progress of one connection. `folder`: where their files stand; the system's when empty."""

    def __init__(self, folder: str = "", memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._limit = memory_bytes
        self._held: dict[int, Held] = {}
        self._memory = 0

    @property
    def heavy(self) -> bool:
        """More is in memory than may be: `spill`."""
        return self._memory > self._limit

    def start(self, transaction: int) -> None:
        self._held.setdefault(transaction, Held())

    def add(self, transaction: int, subtransaction: int, message: bytes) -> None:
        self._held[transaction].add(subtransaction, message)
        self._memory += len(message) + _frame.size

    def shaped(self, transaction: int, table: int, count: int) -> None:
        self._held[transaction].relations[table] = count

    def abort(self, transaction: int, subtransaction: int) -> None:
        """A subtransaction is undone, or all of it. What was never held need not be known."""
        held = self._held.get(transaction)
        if held is None:
            return
        if transaction == subtransaction:
            self._forget(transaction).close()
        else:
            held.undo(subtransaction)

    def take(self, transaction: int) -> Held:
        """It has committed; the caller closes it. Raises KeyError."""
        return self._forget(transaction)

    def _forget(self, transaction: int) -> Held:
        held = self._held.pop(transaction)
        self._memory -= held.memory
        return held

    async def spill(self) -> None:
        """Moves everything out of memory. Raises Broken when there is no room."""
        try:
            for held in self._held.values():
                if held.memory:
                    await asyncio.to_thread(held.spill, self._folder)
        except OSError as problem:
            raise _no_room(self._folder or tempfile.gettempdir(), problem) from None
        self._memory = 0

    def close(self) -> None:
        for transaction in list(self._held):
            self._forget(transaction).close()


def _no_room(folder: str, problem: OSError) -> Broken:
    return Broken(
        SourceError(
            step="hold a large transaction until it commits",
            expected=f"room for temporary files in {folder}",
            got=problem.strerror or str(problem),
            remedy="Free disk space there. Headrace tries again, and the server sends the transaction again.",
        )
    )

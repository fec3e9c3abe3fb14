"""Contents on their way to a file: hashed, bounded, and gone when they are not needed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace.server import spooling
from headrace.server.guard import TooLarge
from headrace.server.spooling import PIECE, Idle, NoRoom, lively, spool


@pytest.mark.parametrize("sizes", [[], [0], [1, 2, 3], [PIECE - 1, 1, PIECE + 1], [100] * 50])
async def test_what_is_written_is_there_with_its_hash_and_gone_after(tmp_path: Path, sizes: list[int]) -> None:
    pieces = [bytes([n % 256]) * size for n, size in enumerate(sizes)]

    async with spool(tmp_path / "scratch", 10 * PIECE) as file:
        for piece in pieces:
            await file.write(piece)
        content = await file.done()
        assert await asyncio.to_thread(content.path.read_bytes) == b"".join(pieces)

    assert content.size == sum(sizes)
    assert content.digest == "sha256:" + hashlib.sha256(b"".join(pieces)).hexdigest()
    assert await asyncio.to_thread(lambda: list((tmp_path / "scratch").iterdir())) == []


async def test_what_is_too_large_is_refused_at_the_first_byte_too_many(tmp_path: Path) -> None:
    async with spool(tmp_path, 10) as file:
        await file.write(b"x" * 10)
        with pytest.raises(TooLarge):
            await file.write(b"x")

    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NoRoom):
        async with spool(tmp_path / "file", 10):
            pass


async def test_a_client_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "IDLE_S", 0.01)

    async def silent() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.Event().wait()

    chunks = aiter(lively(silent()))
    assert await anext(chunks) == b"some"
    with pytest.raises(Idle):
        await anext(chunks)

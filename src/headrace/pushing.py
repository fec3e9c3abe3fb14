"""`headrace push`: lines of records to a Headrace that runs, part by part, each part once whatever breaks between."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import httpx2
import msgspec

from headrace.client import Client
from headrace.errors import SourceError

PART_LINES = 5000
PART_BYTES = 4 * 1024 * 1024
LINGER_S = 0.5
"""How long a part waits for more lines: what writes into us may pause."""
PATIENCE_S = 120.0
_READ = 65_536
_LATER = (429, 503)


class Rejection(msgspec.Struct, frozen=True):
    """A line that could not be read; lines count from 1."""

    line: int
    step: str
    expected: str
    got: str
    remedy: str


@dataclass(slots=True)
class Totals:
    """What came of all lines so far; `token` waits for the last of them."""

    lines: int = 0
    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    rejections: int = 0
    rejected: list[Rejection] = field(default_factory=list[Rejection])
    token: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of the input and their numbers; blank ones are left out of both."""

    lines: list[bytes]
    numbers: list[int]


class _Index(msgspec.Struct, frozen=True):
    index: int
    step: str
    expected: str
    got: str
    remedy: str


class _Answer(msgspec.Struct, frozen=True):
    accepted: int
    duplicates: int
    ignored: int
    rejected: list[_Index]
    token: str
    rejected_more: int = 0


async def push_lines(
    client: Client,
    source: str,
    file: BinaryIO,
    params: dict[str, str],
    told: Callable[[Totals], object],
    *,
    compressed: bool = False,
) -> Totals:
    """Sends a file's lines. Raises Refused, or SourceError when Headrace stays away."""
    totals, run = Totals(), secrets.token_hex(8)
    n = 0
    async for part in parts(file):
        answer = await _send(client, source, part, params, f"push-{run}-{n}", compressed)
        n += 1
        totals.lines = part.numbers[-1]
        totals.accepted += answer.accepted
        totals.duplicates += answer.duplicates
        totals.ignored += answer.ignored
        totals.rejections += len(answer.rejected) + answer.rejected_more
        totals.rejected += [
            Rejection(part.numbers[r.index], r.step, r.expected, r.got, r.remedy) for r in answer.rejected
        ]
        totals.token = answer.token
        told(totals)
    return totals


async def _send(client: Client, source: str, part: Part, params: dict[str, str], key: str, compressed: bool) -> _Answer:
    """The key makes sending again safe: a part that came in is not taken in twice."""
    headers = {"content-type": "application/x-ndjson", "idempotency-key": key}
    body, loop = b"\n".join(part.lines), asyncio.get_running_loop()
    if compressed:
        body, headers["content-encoding"] = await asyncio.to_thread(gzip.compress, body, 6), "gzip"
    deadline, pause_s = loop.time() + PATIENCE_S, 0.1
    while True:
        try:
            response = await client.send(f"/v1/changes/{source}", params, headers, body)
            if response.status_code not in _LATER or loop.time() > deadline:
                return msgspec.json.decode(client.checked(response).content, type=_Answer)
        except httpx2.TransportError as error:
            if loop.time() > deadline:
                raise SourceError(
                    step=f"push to {source}",
                    expected="a Headrace that answers",
                    got=f"{type(error).__name__}: {error}",
                    remedy=f"Start it, then push from line {part.numbers[0]} on.",
                ) from None
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 3.0)


async def parts(file: BinaryIO) -> AsyncIterator[Part]:
    """Lines in parts: when one is full, or when the input pauses."""
    reader, rest = _Reader(file), b""
    part, size, number = Part([], []), 0, 0
    while True:
        chunk = await reader.read(LINGER_S if part.lines else None)
        if chunk is None or size >= PART_BYTES or len(part.lines) >= PART_LINES:
            yield part
            part, size = Part([], []), 0
        if chunk is None:
            continue
        *lines, rest = (rest + chunk).split(b"\n") if chunk else (rest, b"")
        for line in lines:
            number += 1
            if line.strip():
                part.lines.append(line)
                part.numbers.append(number)
                size += len(line)
        if not chunk:
            break
    if part.lines:
        yield part


class _Reader:
    """Reads in a thread of its own, so that a terminal or pipe that says nothing holds nothing up, not even the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = threading.Semaphore(16)
        threading.Thread(target=self._run, daemon=True, name="input").start()

    async def read(self, timeout_s: float | None) -> bytes | None:
        """What is there; empty at the end, None when nothing came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                chunk = await self._chunks.get()
        except TimeoutError:
            return None
        self._room.release()
        return chunk

    def _run(self) -> None:
        chunk = b"-"
        while chunk:
            self._room.acquire()
            try:
                chunk = os.read(self._descriptor, _READ)  # what is there, without waiting for more
            except OSError:  # closed: whoever asked has gone
                return
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)

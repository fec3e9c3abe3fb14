"""Files: saved -> given, deleted -> given, head(), and the first scan of 10,000 files. `python -m bench.files [N]`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import uvloop

from headrace.change import START
from headrace.sources import Captured, Resume, SourceSettings
from headrace.sources.files.source import FileSource


class NoState:
    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {}

    async def scan(self, prefix: str) -> dict[str, bytes]:
        return {}


@contextlib.asynccontextmanager
async def opened(root: Path) -> AsyncGenerator[tuple[FileSource, AsyncGenerator[Captured]]]:
    source = FileSource(SourceSettings("bench", root.as_uri(), "bench"))
    stream = source.stream(Resume(START, NoState()))
    try:
        yield source, stream
    finally:
        await stream.aclose()


async def until(stream: AsyncGenerator[Captured], changes: int) -> int:
    """Reads until so many changes have come; returns the number of steps."""
    steps = 0
    while changes > 0:
        captured = await anext(stream)
        changes -= len(captured.changes)
        steps += 1
    return steps


async def scan(root: Path, files: int) -> dict[str, float]:
    for n in range(files):
        path = root / f"folder{n % 100}" / f"document{n}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# Document {n}\n\n" + "A sentence of a document. " * 40)
    late: list[float] = []

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append((time.perf_counter() - began - 0.005) * 1000)

    ticking = asyncio.create_task(tick())
    async with opened(root) as (_, stream):
        began = time.perf_counter()
        steps = await until(stream, files)
        took = time.perf_counter() - began
    ticking.cancel()
    return {"files": files, "seconds": took, "batches": steps, "loop_late_ms_worst": max(late, default=0.0)}


def figures(samples: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(samples, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


async def live(root: Path, rounds: int) -> dict[str, dict[str, float]]:
    saved: list[float] = []
    deleted: list[float] = []
    headed: list[float] = []
    async with opened(root) as (source, stream):
        await anext(stream)
        for n in range(rounds):
            path = root / f"document{n}.md"
            for samples, act in ((saved, lambda p=path, n=n: p.write_text(f"text {n}")), (deleted, path.unlink)):
                coming = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(0.004)
                began = time.perf_counter()
                act()
                while not (await coming).changes:
                    coming = asyncio.ensure_future(anext(stream))
                samples.append((time.perf_counter() - began) * 1000)
        coming = asyncio.ensure_future(anext(stream))
        for _ in range(rounds):
            began = time.perf_counter()
            await source.head()
            headed.append((time.perf_counter() - began) * 1000)
        coming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await coming
    return {"saved": figures(saved), "deleted": figures(deleted), "head": figures(headed)}


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, object] = dict(uvloop.run(live(Path(folder), 500)))
    with tempfile.TemporaryDirectory() as folder:
        found["first_scan"] = uvloop.run(scan(Path(folder), files))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

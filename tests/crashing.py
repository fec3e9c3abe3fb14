"""Sources that die at any point of their streams, and what their logs have by then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from headrace.change import START
from headrace.sources import Source
from tests.memory_log import MemoryLog
from tests.streamed import Capturing, source_of


async def interrupted(
    database: Capturing,
    source: Source,
    rng: random.Random,
    *,
    steps: tuple[int, int] = (1, 40),
    seconds: tuple[float, float] = (0.2, 0.8),
    pauses: Sequence[float] = (0, 0, 0.12),
    ask: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Streams for some steps, then crashes: the log keeps what was acknowledged, and perhaps more. `ask` is called
    after each step; after acknowledging, one of `pauses` follows (seconds)."""
    log = database.log
    start = durable = len(log.steps)

    async def acknowledge() -> None:
        nonlocal durable
        if ask is not None:
            await ask()
        if rng.random() < 0.4:
            durable = rng.randint(durable, len(log.steps))
            await source.ack(max((s.frontier for s in log.steps[start:durable]), default=START))
            await asyncio.sleep(rng.choice(pauses))

    await _read(source, log, rng.randrange(*steps), rng.uniform(*seconds), acknowledge)
    database.log = log.crashed(rng.randint(durable, len(log.steps)))


async def killed_while_copying(database: Capturing, rng: random.Random) -> None:
    """Nothing is acknowledged, and up to 20 steps are not on disk."""
    log = database.log
    await _read(source_of(database, batch_rows=rng.choice([20, 60])), log, rng.randrange(2, 60), 1.5)
    database.log = log.crashed(rng.randint(max(0, len(log.steps) - 20), len(log.steps)))


async def _read(
    source: Source, log: MemoryLog, most: int, seconds: float, then: Callable[[], Awaitable[None]] | None = None
) -> None:
    """`then` follows each step."""
    try:
        async with asyncio.timeout(seconds), aclosing(source.stream(log.resume)) as steps:
            async for captured in steps:
                log.append(captured)
                if then is not None:
                    await then()
                most -= 1
                if not most:
                    break
    except TimeoutError:
        pass
    await source.close()

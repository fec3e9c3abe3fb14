"""What is done beside the engine, all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from headrace.app.core import Core
from headrace.clock import now_us
from headrace.config.durations import duration_us
from headrace.config.sections import Main

HOUSEKEEPING_S = 2.0
PURGE_EVERY = 150  # of housekeeping's rounds: every five minutes


def chores(core: Core, settings: Main) -> Sequence[Coroutine[Any, Any, None]]:
    """Each runs until it is cancelled, in a task of its own: none waits for another."""
    return [_house(core, settings), _renew(core), _tell(core), _index(core)]


async def _house(core: Core, settings: Main) -> None:
    """Packs postings, forgets what is past its time."""
    rounds = 0
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        await core.store.compact()
        if rounds % PURGE_EVERY == 0:
            now = now_us()
            await core.store.purge(now - duration_us(settings.history))
            await core.log.trim(now - duration_us(settings.retention), await core.engine.settled())
        rounds += 1


async def _renew(core: Core) -> None:
    """Once the live changes are on their way."""
    await core.engine.started.wait()
    await core.renewal.run()


async def _tell(core: Core) -> None:
    """Beside everything else: a language model takes its time."""
    await core.engine.started.wait()
    await core.teller.run()


async def _index(core: Core) -> None:
    """Beside the other housekeeping, which must not wait for a build."""
    while True:
        await core.store.index()
        await asyncio.sleep(HOUSEKEEPING_S)

"""Syncs that many wait for: each begins after its callers came, and no two run at once."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from headrace.engines.syncing import Syncing
from headrace.log import Log


class Disk:
    """A log that counts: what was appended when a sync began is on disk when it ends."""

    def __init__(self) -> None:
        self.appended = self.on_disk = self.syncs = self.running = 0
        self.fails = False

    async def sync(self) -> None:
        self.syncs += 1
        self.running += 1
        assert self.running == 1
        began_with = self.appended
        await asyncio.sleep(0.005)
        self.running -= 1
        if self.fails:
            raise OSError("no space left")
        self.on_disk = began_with


async def test_everything_appended_before_the_call_is_on_disk_with_few_syncs() -> None:
    disk = Disk()
    durable = Syncing(cast("Log", disk))

    async def append(n: int) -> None:
        await asyncio.sleep(0.0003 * n)
        disk.appended += 1
        mine = disk.appended
        await durable()
        assert disk.on_disk >= mine

    await asyncio.gather(*map(append, range(100)))

    assert disk.syncs < 50


async def test_one_that_fails_tells_those_who_waited_and_the_next_one_works() -> None:
    disk = Disk()
    durable = Syncing(cast("Log", disk))
    disk.fails = True
    found = await asyncio.gather(durable(), durable(), return_exceptions=True)
    assert all(isinstance(f, OSError) for f in found)
    disk.fails, disk.appended = False, 7

    await durable()

    assert disk.on_disk == 7


async def test_a_caller_that_goes_away_takes_no_sync_with_it() -> None:
    disk = Disk()
    durable = Syncing(cast("Log", disk))
    disk.appended = 1
    leaving, staying = asyncio.create_task(durable()), asyncio.create_task(durable())
    await asyncio.sleep(0.001)
    leaving.cancel()

    await staying

    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (disk.on_disk, disk.syncs) == (1, 1)

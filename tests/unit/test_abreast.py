"""Units that are read side by side come in their order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import pytest

from headrace.sources.snapshots.abreast import abreast


class Numbers:
    """Reads units of some parts each, with pauses as the seed says. `fails`: the unit whose reading does."""

    begun = 0

    def __init__(self, units: Iterator[int], rng: random.Random, fails: int | None = None) -> None:
        self._units, self._rng, self._fails = units, rng, fails
        self.cancelled = False
        self.asked = False

    async def next(self) -> int | None:
        assert not self.asked
        self.asked = True
        await self._pause()
        self.asked = False
        unit = next(self._units, None)
        if unit == -1:
            raise LookupError("next")
        return unit

    async def read(self, unit: int) -> AsyncGenerator[tuple[str, bool]]:
        try:
            for part in range(unit % 4):
                await self._pause()
                if unit == self._fails:
                    raise LookupError("read")
                yield f"{unit}.{part}", False
            yield f"{unit}!", True
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled = True
            raise

    async def _pause(self) -> None:
        for _ in range(self._rng.randrange(5)):
            await asyncio.sleep(0)


def expected(units: int) -> list[str]:
    return [part for u in range(units) for part in [*(f"{u}.{n}" for n in range(u % 4)), f"{u}!"]]


@pytest.mark.parametrize("seed", range(30))
async def test_parts_come_in_the_units_order(seed: int) -> None:
    rng = random.Random(seed)
    count, units = rng.randrange(1, 5), rng.randrange(30)
    left = iter(range(units))
    readers = [Numbers(left, rng) for _ in range(count)]
    got: list[str] = []
    async with aclosing(abreast(readers, rng.randrange(1, 5), rng.randrange(1, 3))) as found:
        async for unit, part, end in found:
            assert part.startswith(str(unit))
            assert end == part.endswith("!")
            got.append(part)
            if not rng.randrange(3):
                await asyncio.sleep(0)
    assert got == expected(units)


@pytest.mark.parametrize("where", ["next", "read"])
async def test_what_a_reader_raises_comes_in_its_place(where: str) -> None:
    rng = random.Random(1)
    left = iter([*range(9), -1]) if where == "next" else iter(range(20))
    readers = [Numbers(left, rng, 9 if where == "read" else None) for _ in range(3)]
    got: list[str] = []

    async def take() -> None:
        async for _, part, _ in abreast(readers, 4, 2):
            got.append(part)

    with pytest.raises(LookupError, match=where):
        await take()
    assert got == expected(9)


async def test_only_so_many_units_are_begun() -> None:
    taken: list[int] = []

    def units() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    left = units()
    readers = [Numbers(left, random.Random(2)) for _ in range(2)]
    async with aclosing(abreast(readers, 3, 1)) as found:
        async for unit, _, end in found:
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(taken) <= unit + 3
            if end and unit == 20:
                break


async def test_who_stops_early_ends_the_readers() -> None:
    left = iter(range(3, 100, 4))
    readers = [Numbers(left, random.Random(3)) for _ in range(2)]
    before = asyncio.all_tasks()
    async with aclosing(abreast(readers, 4, 1)) as found:
        async for _ in found:
            break
    assert asyncio.all_tasks() == before
    assert all(reader.cancelled for reader in readers)

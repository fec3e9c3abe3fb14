"""A gate: many inside at a time, or one alone."""

from __future__ import annotations

import asyncio

from headrace.stores.postgres.gate import Gate


async def test_who_closes_it_waits_for_those_inside_and_others_wait_for_who_closed_it() -> None:
    gate = Gate()
    told: list[str] = []

    async def reader(name: str, leave: asyncio.Event) -> None:
        await gate.enter()
        told.append(f"{name} in")
        await leave.wait()
        told.append(f"{name} out")
        gate.leave()

    first, second = asyncio.Event(), asyncio.Event()
    early = asyncio.create_task(reader("early", first))
    await asyncio.sleep(0)

    async def close() -> None:
        async with gate.closed(60) as alone:
            assert alone
            told.append("alone")

    closing = asyncio.create_task(close())
    await asyncio.sleep(0)
    late = asyncio.create_task(reader("late", second))
    await asyncio.sleep(0)
    assert told == ["early in"]
    first.set()
    second.set()
    await asyncio.gather(early, closing, late)
    assert told == ["early in", "early out", "alone", "late in", "late out"]


async def test_one_that_stays_inside_keeps_it_open() -> None:
    gate = Gate()
    await gate.enter()
    async with gate.closed(0.01) as alone:
        assert not alone
    await gate.enter()
    gate.leave()
    gate.leave()
    async with gate.closed(60) as alone:
        assert alone

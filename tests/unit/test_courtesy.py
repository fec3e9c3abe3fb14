"""Long work of the event loop gives way to those who ask, and goes on all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from headrace import courtesy
from headrace.courtesy import Courtesy, Stint
from tests.memory_log import eventually


def hold(seconds: float = courtesy.STINT_S) -> None:
    """Keeps the loop."""
    until = monotonic() + seconds
    while monotonic() < until:
        pass


@asynccontextmanager
async def working(work: Stint) -> AsyncGenerator[list[float]]:
    """Work in parts, and when each of them began."""
    parts: list[float] = []

    async def go_on() -> None:
        while True:
            await work.pause()
            parts.append(monotonic())
            hold()

    task = asyncio.create_task(go_on())
    try:
        yield parts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def steps(count: int) -> None:
    """As an answer is made: after each step the server has the word."""
    for _ in range(count):
        await asyncio.sleep(0.0005)


async def test_short_work_is_not_interrupted() -> None:
    others: list[bool] = []
    asyncio.get_running_loop().call_soon(others.append, True)
    await Courtesy().work(background=True).pause()
    assert not others


async def test_long_work_lets_others_have_a_turn() -> None:
    others: list[bool] = []
    work = Courtesy().work(background=False)
    hold()
    asyncio.get_running_loop().call_soon(others.append, True)
    await work.pause()
    assert others


async def test_an_answer_of_many_steps_waits_for_few_parts_of_the_work() -> None:
    asked = Courtesy()
    async with working(asked.work(background=True)) as parts:
        await asyncio.sleep(0.02)
        before = len(parts)
        with asked.asking():
            await steps(8)
        aside = len(parts) - before
    async with working(asked.work(background=False)) as parts:
        before = len(parts)
        with asked.asking():
            await steps(8)
        in_turns = len(parts) - before
    assert aside < in_turns


async def test_work_goes_on_beside_those_who_never_stop_asking() -> None:
    asked = Courtesy()
    with asked.asking():
        async with working(asked.work(background=True)) as parts:
            await eventually(lambda: len(parts) >= 5)
    assert not asked.asked


async def test_who_waits_for_long_waits_for_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Courtesy()
    with asked.asking():
        assert asked.asked
        monkeypatch.setattr(courtesy, "ASKING_S", 0.0)
        await asyncio.sleep(0.002)
        assert not asked.asked
    with asked.asking():
        pass
    assert not asked.asked

"""Turns and the breaker: pure but for the clock, which is a virtual one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.breaker import Breaker
from headrace.models.limits import BACKGROUND_SHARE, WINDOW_S, Turns
from tests.simulation.virtual_time import VirtualLoop

T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Runs to its end without waiting for any time to pass."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


ASKED = st.lists(st.tuples(st.booleans(), st.integers(1, 400), st.floats(0, 3)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(asked=ASKED, width=st.integers(1, 4), requests=st.integers(2, 20), tokens=st.integers(400, 2000))
def test_no_minute_has_more_than_its_limits_and_everybody_has_a_turn(
    asked: list[tuple[bool, int, float]], width: int, requests: int, tokens: int
) -> None:
    let_in: list[tuple[float, int]] = []
    busy = most = 0

    async def one(turns: Turns, background: bool, size: int, takes: float) -> None:
        nonlocal busy, most
        async with turns.turn(size, background=background):
            let_in.append((asyncio.get_running_loop().time(), size))
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(takes)
            busy -= 1

    async def everybody() -> None:
        turns = Turns(width, requests, tokens)
        await asyncio.gather(*(one(turns, *each) for each in asked))

    at_once(everybody())

    assert len(let_in) == len(asked)
    assert most <= width
    for start, _ in let_in:
        inside = [size for at, size in let_in if start <= at < start + WINDOW_S]
        assert len(inside) <= requests
        assert sum(inside) <= tokens


def test_live_work_overtakes_the_background_and_finds_a_place_that_is_free() -> None:
    async def tried() -> list[str]:
        turns, order = Turns(2), list[str]()

        async def one(name: str, background: bool) -> None:
            async with turns.turn(1, background=background):
                order.append(name)
                await asyncio.sleep(1)

        bulk = [asyncio.create_task(one(f"bulk {n}", True)) for n in range(3)]
        await asyncio.sleep(0.1)
        await asyncio.gather(*(one(f"live {n}", False) for n in range(2)), *bulk)
        return order

    order = at_once(tried())

    assert order[0] == "bulk 0"
    assert order[1] == "live 0", "one place is never the background's"
    assert order.index("live 1") < order.index("bulk 1")


def test_the_background_leaves_a_part_of_each_limit_to_live_work() -> None:
    async def tried() -> float:
        turns = Turns(4, requests=10)
        for _ in range(int(10 * BACKGROUND_SHARE)):
            async with turns.turn(1, background=True):
                pass
        async with turns.turn(1, background=False):
            return asyncio.get_running_loop().time()

    assert at_once(tried()) == 0


def test_a_text_larger_than_the_limit_has_its_turn_when_nothing_else_has_gone_for_a_minute() -> None:
    async def tried() -> list[float]:
        turns, times = Turns(1, tokens=100), list[float]()
        for size in (40, 500, 40):
            async with turns.turn(size, background=False):
                times.append(asyncio.get_running_loop().time())
        return times

    assert at_once(tried()) == [0, WINDOW_S, 2 * WINDOW_S]


def test_what_a_request_really_cost_counts() -> None:
    async def tried() -> float:
        turns = Turns(1, tokens=100)
        async with turns.turn(90, background=False) as spent:
            spent.tokens = 10
        async with turns.turn(80, background=False):
            return asyncio.get_running_loop().time()

    assert at_once(tried()) == 0


def test_nobody_goes_while_the_service_wants_to_be_left_alone() -> None:
    async def tried() -> float:
        turns = Turns(2)
        turns.hold(7)
        async with turns.turn(1, background=False):
            return asyncio.get_running_loop().time()

    assert at_once(tried()) == pytest.approx(7)


@settings(max_examples=40, deadline=None)
@given(moments=st.lists(st.floats(0, 5), min_size=1, max_size=8))
def test_those_who_give_up_take_no_place_with_them(moments: list[float]) -> None:
    async def tried() -> None:
        turns = Turns(2)

        async def one(gives_up_after: float) -> None:
            async with asyncio.timeout(gives_up_after), turns.turn(1, background=False):
                await asyncio.sleep(1)

        await asyncio.gather(*(one(m) for m in moments), return_exceptions=True)
        for _ in range(2):  # as many as there are places
            await asyncio.wait_for(turns.turn(1, background=False).__aenter__(), 1)

    at_once(tried())


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_tries_once_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(3, 4.0, clock=clock)
    for _ in range(2):
        breaker.begin()
        breaker.failed()
    assert breaker.admits()

    breaker.begin()
    breaker.failed()
    assert not breaker.admits()
    first = breaker.open_s
    assert first is not None
    assert 3 <= first <= 4

    clock.now += first
    assert breaker.admits()
    breaker.begin()
    assert not breaker.admits(), "one alone tries it"
    breaker.failed()
    second = breaker.open_s
    assert second is not None
    assert 6 <= second <= 8, "and the pause grows"

    clock.now += second
    breaker.begin()
    breaker.succeeded()
    assert breaker.admits()
    assert breaker.open_s is None
    assert breaker.failures == 0


def test_a_try_that_is_cancelled_lets_the_next_one_try() -> None:
    clock = Clock()
    breaker = Breaker(1, 4.0, clock=clock)
    breaker.failed()
    clock.now += 4
    breaker.begin()

    breaker.cancelled()

    assert breaker.admits()


def test_the_pause_has_an_end() -> None:
    clock = Clock()
    breaker = Breaker(1, 4.0, 60.0, clock)
    for _ in range(50):
        breaker.failed()
        assert breaker.open_s is not None
        assert breaker.open_s <= 60
        clock.now += breaker.open_s

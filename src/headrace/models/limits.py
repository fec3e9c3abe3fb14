"""What keeps a service from being asked too much: turns, with limits by the minute."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

WINDOW_S = 60.0
BACKGROUND_SHARE = 0.9
"""Of each limit, what background work may take: a question does not wait for the next minute because of a bulk."""


@dataclass(slots=True)
class Spent:
    """One request and its tokens: estimated at first, set to what the service says of it."""

    at: float
    tokens: int


@dataclass(slots=True, order=True)
class _Waiting:
    """Live ones first, then in the order in which they came."""

    background: bool
    number: int
    tokens: int = field(compare=False)
    let_in: asyncio.Future[Spent] = field(compare=False)


class Turns:
    """Who may send a request: `width` at a time, and in every minute at most so many `requests` and `tokens`.

    Live work overtakes background work, which also leaves it one of several places and a tenth of each limit.
    """

    def __init__(self, width: int, requests: int | None = None, tokens: int | None = None) -> None:
        self._width = width
        self._requests = requests
        self._tokens = tokens
        self._numbers = count()
        self._waiting: list[_Waiting] = []
        self._spent: deque[Spent] = deque()
        self._busy = 0
        self._held_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, tokens: int, *, background: bool) -> AsyncGenerator[Spent]:
        """Waits for a turn, and has it until the end of the block."""
        waiting = _Waiting(background, next(self._numbers), tokens, asyncio.get_running_loop().create_future())
        heappush(self._waiting, waiting)
        self._advance()
        try:
            spent = await waiting.let_in
        except asyncio.CancelledError:
            if not waiting.let_in.cancelled():  # it was let in at that very moment
                self._busy -= 1
            self._advance()
            raise
        try:
            yield spent
        finally:
            self._busy -= 1
            self._advance()

    def hold(self, seconds: float) -> None:
        """Lets nobody in for so long."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    def _advance(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if first.let_in.done():  # given up meanwhile
                heappop(self._waiting)
                continue
            if self._busy >= self._places(first.background):
                return
            wait_s = self._wait_s(first)
            if wait_s > 0:
                self._later(wait_s)
                return
            heappop(self._waiting)
            self._busy += 1
            spent = Spent(asyncio.get_running_loop().time(), first.tokens)
            self._spent.append(spent)
            first.let_in.set_result(spent)

    def _places(self, background: bool) -> int:
        return max(1, self._width - 1) if background else self._width

    def _later(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._advance)

    def _wait_s(self, first: _Waiting) -> float:
        """Until this one is within all limits; what is larger than a limit goes when nothing else has gone for long."""
        now = asyncio.get_running_loop().time()
        while self._spent and self._spent[0].at <= now - WINDOW_S:
            self._spent.popleft()
        at = max(self._held_until, now)
        share = BACKGROUND_SHARE if first.background else 1.0
        if self._requests is not None:
            allowed = max(1, int(self._requests * share))
            if len(self._spent) >= allowed:
                at = max(at, self._spent[len(self._spent) - allowed].at + WINDOW_S)
        if self._tokens is not None:
            used = sum(s.tokens for s in self._spent)
            for spent in self._spent:
                if used + first.tokens <= self._tokens * share:
                    break
                used -= spent.tokens
                at = max(at, spent.at + WINDOW_S)
        return at - now

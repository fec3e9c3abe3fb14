"""How every service behind an address is asked: in turns, again where that may help, left alone while it fails, and
counted.

Query parameters that all of them take, beside those of `headrace.models.cutting` and their own:

- `concurrency`: requests at a time; `batch`: texts of a request, at most.
- `requests_per_minute`, `tokens_per_minute`: what the service allows.
- `timeout`: seconds for a request; `retries`.
- `breaker_failures`, `breaker_pause`: after so many failures in a row it is left alone for so many seconds.
- `price`: of a million tokens.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from headrace.breaker import Breaker
from headrace.clock import now_us, rfc3339
from headrace.errors import ServiceError, StoreError
from headrace.models import Service
from headrace.models.address import Addressed
from headrace.models.asked import Fault, Trouble
from headrace.models.limits import Turns

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
PATIENCE_S = 30.0
"""A service that asks for a longer pause is left alone for it."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What an answer holds. `tokens`: what the service says that it counted."""

    value: T
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Wording:
    """What is done there, in the words of a message: `embed texts`; the error that says that it is not; and what does
    it here: `embedder`."""

    step: str
    error: type[ServiceError]
    by: str


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    failures: int = 0
    texts: int = 0
    tokens: int = 0
    estimated: bool = False


class Calls:
    """Requests to one service. `shown`: which, in the words of a message."""

    def __init__(self, settings: Addressed, shown: str, wording: Wording) -> None:
        self._settings = settings
        self._shown = shown
        self._wording = wording
        self._turns = Turns(settings.concurrency, settings.requests_per_minute, settings.tokens_per_minute)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_pause)
        self._counts = _Counts()
        self._last: Trouble | None = None
        self._closed = False

    @property
    def service(self) -> Service:
        counts, open_s = self._counts, self._breaker.open_s
        return Service(
            "open" if open_s is not None else "failing" if self._last else "ok",
            self._last.got if self._last else None,
            None if open_s is None else now_us() + int(open_s * 1e6),
            counts.requests,
            counts.failures,
            counts.texts,
            counts.tokens,
            counts.estimated,
            None if self._settings.price is None else counts.tokens * self._settings.price / 1e6,
        )

    @property
    def said(self) -> str:
        """What the last error was."""
        return self._last.got if self._last else "none until then"

    def end(self) -> None:
        """Every further request raises StoreError."""
        self._closed = True

    def check_open(self) -> None:
        if self._closed:
            raise StoreError(
                step=self._wording.step,
                expected=f"an open {self._wording.by}",
                got="one that was closed",
                remedy="Headrace is stopping: ask again when it is up.",
            )

    async def again(self, request: Callable[[], Awaitable[T]]) -> T:
        """One request, tried again as long as that may help. Raises the wording's error; a refusal as Trouble."""
        for attempt in range(self._settings.retries + 1):
            try:
                return await request()
            except Trouble as trouble:
                if trouble.fault is Fault.REFUSED:
                    raise
                if attempt == self._settings.retries or not worth_trying(trouble):
                    raise self.error(trouble) from None
                # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
                pause_s = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))  # noqa: S311
                pause_s += trouble.after_s or 0.0
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    async def once(
        self, send: Callable[[], Awaitable[Reply[T]]], texts: int, tokens: int, *, background: bool = False
    ) -> T:
        """One request, when it is its turn. `send` raises Trouble; `tokens`: about how many it costs. Raises Trouble,
        and the wording's error while the service is left alone."""
        self._check()
        async with self._turns.turn(tokens, background=background) as spent:
            self._check()
            self._breaker.begin()
            try:
                reply = await self._sent(send)
            except Trouble as trouble:
                self._failed(trouble)
                raise
            except BaseException:
                self._breaker.cancelled()
                raise
            self._breaker.succeeded()
            self._last = None
            spent.tokens = tokens if reply.tokens is None else reply.tokens
            self._counts.texts += texts
            self._counts.tokens += spent.tokens
            self._counts.estimated = self._counts.estimated or reply.tokens is None
            return reply.value

    async def _sent(self, send: Callable[[], Awaitable[Reply[T]]]) -> Reply[T]:
        self._counts.requests += 1
        seconds = self._settings.timeout
        try:
            async with asyncio.timeout(seconds):
                return await send()
        except TimeoutError:
            raise Trouble(Fault.TRANSIENT, f"an answer within {seconds:g} s", "none until then") from None

    def _failed(self, trouble: Trouble) -> None:
        if trouble.fault is Fault.REFUSED:  # it answers
            self._breaker.succeeded()
            return
        self._counts.failures += 1
        self._last = trouble
        if trouble.fault is Fault.TRANSIENT and not worth_trying(trouble):
            self._breaker.cancelled()
            self._breaker.open_for(trouble.after_s or 0.0)
        elif trouble.busy:
            self._breaker.cancelled()
            self._turns.hold(trouble.after_s or 0.0)
        else:
            self._breaker.failed()

    def _check(self) -> None:
        """Raises the wording's error while the service is left alone, StoreError after `end`."""
        self.check_open()
        if not self._breaker.admits():
            raise self.error(self._last or Trouble(Fault.TRANSIENT, "an answer", "none"))

    def error(self, trouble: Trouble) -> ServiceError:
        """What is told, with when it is tried again."""
        open_s = self._breaker.open_s
        again = ""
        if open_s is not None:
            again = f" It is left alone, and tried again at {rfc3339(now_us() + int(open_s * 1e6))}."
        error = self._wording.error(
            step=f"{self._wording.step} at {self._shown}",
            expected=trouble.expected,
            got=trouble.got,
            remedy=trouble.remedy + again,
        )
        error.after_s = trouble.after_s if open_s is None else open_s
        return error


def worth_trying(trouble: Trouble) -> bool:
    """Whether the same request may soon succeed."""
    return trouble.fault is Fault.TRANSIENT and (trouble.after_s or 0.0) <= PATIENCE_S

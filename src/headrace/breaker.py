"""What leaves alone for a while whatever failed several times in a row."""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic


class Breaker:
    """Leaves a service alone that failed `failures` times in a row: for `pause_s`, then one request tries it, and each
    further failure doubles the pause up to `longest_s`."""

    def __init__(
        self, failures: int, pause_s: float, longest_s: float = 60.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most = failures
        self._first_s = pause_s
        self._longest_s = longest_s
        self._clock = clock
        self._opened = 0
        self._until = 0.0
        self._trying = False
        self.failures = 0
        """In a row."""

    @property
    def open_s(self) -> float | None:
        """In how many seconds it is tried again; None while it is asked as usual."""
        if not self._opened:
            return None
        return max(0.0, self._until - self._clock())

    def admits(self) -> bool:
        """Whether a request may go; of an open one, whether it is time for the one that tries it."""
        return not self._opened or (not self._trying and self.open_s == 0)

    def begin(self) -> None:
        """A request that was admitted goes."""
        self._trying = bool(self._opened)

    def cancelled(self) -> None:
        """It came to no end: the next one may try."""
        self._trying = False

    def succeeded(self) -> None:
        self.failures = self._opened = 0
        self._trying = False

    def failed(self) -> None:
        self.failures += 1
        self._trying = False
        if self._opened or self.failures >= self._most:
            pause_s = min(self._longest_s, self._first_s * 2**self._opened)
            self.open_for(pause_s * random.uniform(0.75, 1.0))  # noqa: S311 - several of us do not come back as one

    def open_for(self, seconds: float) -> None:
        """As the service asks for."""
        self._opened = min(self._opened + 1, 30)
        self._until = self._clock() + seconds

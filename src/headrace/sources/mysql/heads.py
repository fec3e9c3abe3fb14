"""Makes the stream tell what `head()` promised, also at a server where nothing more happens."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from headrace.change import Position

_PATIENCE_S = 3.0


class Heads:
    """The positions that somebody waits for. The server sends its log up to the end, so the stream gets there by
    itself; it is asked to tell."""

    def __init__(self, poke: Callable[[], None]) -> None:
        self._poke = poke
        self._first: Position | None = None
        self._last: Position | None = None
        self._since = monotonic()

    def want(self, head: Position) -> None:
        """The stream is to tell as soon as it has seen everything up to `head`."""
        if self._first is None or self._last is None:
            self._first, self._since = head, monotonic()
        self._last = head
        self._poke()

    def due(self, frontier: int) -> bool:
        """Whether somebody waits for a place in the log that the stream has seen, but not told yet."""
        return self._first is not None and self._first.major <= frontier

    def told(self, frontier: Position) -> None:
        """The consumer has been given this frontier, which is later than every head wanted up to its place."""
        if self._first is None or self._last is None or self._first > frontier:
            return
        self._first = self._last if self._last > frontier else None
        self._since = monotonic()

    def overdue(self, frontier: int) -> bool:
        """Whether somebody has waited for long for a place that the stream does not come to."""
        return self._first is not None and self._first.major > frontier and monotonic() - self._since > _PATIENCE_S

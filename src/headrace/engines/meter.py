"""Counts and rates for the status and metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """`rate` in changes per second, smoothed over a few seconds."""

    changes: int = 0
    errors: int = 0
    last_error: str | None = None
    rate: float = 0.0
    _seen: int = 0

    def tick(self, seconds: float) -> None:
        """Updates the rate; called about every second."""
        fresh = (self.changes - self._seen) / seconds
        self.rate = fresh if self.rate == 0 else 0.7 * self.rate + 0.3 * fresh
        if self.rate < 0.05:
            self.rate = 0.0
        self._seen = self.changes

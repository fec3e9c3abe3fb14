"""Time: microseconds since the Unix epoch everywhere inside, RFC 3339 in UTC at the edges."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from headrace.errors import BadRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    """Wall clock now, microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def rfc3339(us: int) -> str:
    """`2026-11-21T13:35:00.123456Z`, to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_rfc3339(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time. Raises BadRequest; a time without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(
            step="read a time",
            expected="RFC 3339, such as 2026-11-21T13:35:00Z",
            got=repr(text[:60]),
            remedy="Pass a full date and time with an offset.",
        ) from None
    return to_us(moment)


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch; a naive time counts as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


class HybridClock:
    """Strictly increasing microseconds that follow the wall clock and never go back behind `floor`.

    Gives positions to sources that have none of their own (files): after a crash that lost the last
    positions, new ones are still greater than any that was handed out before.
    """

    def __init__(self, floor: int = 0) -> None:
        self._last = floor

    def next(self) -> int:
        return self.take(1)

    def take(self, count: int) -> int:
        """The first of `count` that follow each other."""
        first = max(self._last + 1, now_us())
        self._last = first + count - 1
        return first

"""Places in the binary log as positions. Pure.

A change stands at (its transaction's first event, sequence in the transaction): known from the transaction's start, so
that parts of a huge one can be given before its end. A frontier is (end of the last whole transaction, a time).
"""

from __future__ import annotations

from headrace.change import BINLOG_FIRST, BINLOG_OFFSET_BITS, Position
from headrace.clock import HybridClock

_MASK = (1 << BINLOG_OFFSET_BITS) - 1


def major(file: int, offset: int) -> int:
    return file << BINLOG_OFFSET_BITS | offset


def file_of(place: int) -> int:
    return place >> BINLOG_OFFSET_BITS


def offset_of(place: int) -> int:
    return place & _MASK


def number_of(name: str) -> int:
    """`mariadb-bin.000003` -> 3. Raises ValueError."""
    return int(name.rpartition(".")[2])


def named_like(name: str, number: int) -> str:
    """The file with another number: `mariadb-bin.000003`, 4 -> `mariadb-bin.000004`."""
    base, _, digits = name.rpartition(".")
    return f"{base}.{number:0{len(digits)}d}"


def shown(base: str, place: int) -> str:
    """As people know it from the server: `mariadb-bin.000003:1234`."""
    return f"{base}.{file_of(place):06d}:{offset_of(place)}"


class Moments:
    """Minors of frontiers and of copied rows: strictly increasing times."""

    def __init__(self) -> None:
        self._clock = HybridClock()

    def behind(self, position: Position) -> None:
        """What comes is greater than this position's minor."""
        if position.minor < BINLOG_FIRST:
            self._clock = HybridClock(max(self._clock.next(), position.minor))

    def at(self, place: int) -> Position:
        return Position(place, self._clock.next())

    def many(self, count: int) -> int:
        """The first of `count` minors that follow each other."""
        return self._clock.take(count)

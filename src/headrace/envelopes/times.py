"""Counts of time units since the epoch as text, in the form that PostgreSQL writes."""

from __future__ import annotations

from datetime import date, timedelta

_EPOCH = date(1970, 1, 1)
_CYCLE_DAYS = 146_097  # 400 years of the Gregorian calendar
_DAY_S = 86_400
_INFINITE = {9223372036825200000: "infinity", -9223372036832400000: "-infinity"}
"""How PostgreSQL's JDBC driver, and Debezium with it, counts an infinite time."""


def date_text(days: int) -> str:
    """`2026-01-02`, `0044-03-15 BC`, `infinity`; any year."""
    if days in _INFINITE:
        return _INFINITE[days]
    day, era = _day(days)
    return day + era


def timestamp_text(count: int, per_second: int) -> str:
    """`2026-01-02 03:04:05.678901`, without zeros at the end; `per_second` is 1000, 10**6 or 10**9."""
    if count in _INFINITE:
        return _INFINITE[count]
    seconds, part = divmod(count, per_second)
    days, clock = divmod(seconds, _DAY_S)
    day, era = _day(days)
    return f"{day} {_clock(clock)}{_fraction(part, per_second)}{era}"


def time_text(count: int, per_second: int) -> str:
    """`03:04:05.5`; also negative and over a day, as MySQL's TIME and intervals can be."""
    seconds, part = divmod(abs(count), per_second)
    return ("-" if count < 0 else "") + _clock(seconds) + _fraction(part, per_second)


def _day(days: int) -> tuple[str, str]:
    cycles, rest = divmod(days, _CYCLE_DAYS)
    found = _EPOCH + timedelta(days=rest)
    year = found.year + 400 * cycles
    era = "" if year > 0 else " BC"
    return f"{year if year > 0 else 1 - year:04d}-{found.month:02d}-{found.day:02d}", era


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _fraction(part: int, per_second: int) -> str:
    digits = len(str(per_second)) - 1
    return "." + f"{part:0{digits}d}".rstrip("0") if part else ""

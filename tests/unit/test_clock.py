"""Times at the edges and the clock that never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import clock
from headrace.clock import HybridClock, now_us, parse_rfc3339, rfc3339, to_us
from headrace.errors import BadRequest

moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))


@given(moments)
def test_a_time_reads_back_to_the_microsecond(moment: datetime) -> None:
    us = to_us(moment)
    if moment.utcoffset() == timedelta(0):
        assert parse_rfc3339(rfc3339(us)) == us
    assert parse_rfc3339(moment.isoformat()) == us


def test_times_are_shown_in_utc() -> None:
    assert rfc3339(1_763_732_100_123_456) == "2025-11-21T13:35:00.123456Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(to_us(datetime(33, 4, 3, tzinfo=UTC))) == "0033-04-03T00:00:00.000000Z"
    assert parse_rfc3339("2025-11-21T14:35:00.123456+01:00") == 1_763_732_100_123_456
    assert parse_rfc3339("2025-11-21T13:35:00") == parse_rfc3339("2025-11-21T13:35:00Z")


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01T00:00:00Z", "12:00", "1763732100"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_rfc3339(text)


def test_the_hybrid_clock_follows_the_wall_clock_and_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter([100, 100, 90, 500, 500])
    monkeypatch.setattr(clock, "now_us", lambda: next(wall))

    ticking = HybridClock(floor=99)

    assert [ticking.next() for _ in range(5)] == [100, 101, 102, 500, 501]


def test_the_hybrid_clock_starts_behind_what_was_given_before() -> None:
    ahead = now_us() + 10**12

    assert HybridClock(ahead).next() == ahead + 1

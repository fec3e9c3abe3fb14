"""What the simulated airline decides: prices, departures, commands."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.demo.simulator.flights import MAX_DELAY, PRICES, next_departure, price_after_return, price_after_sale
from headrace.demo.simulator.protocol import MAX_SPEED, MIN_SPEED, Command, bounded, decode_command
from headrace.demo.simulator.world import CABINS, NOW, Departure, Offer

cabins = st.sampled_from(CABINS)


@given(cabins, st.integers(1, 10_000), st.integers(0, 100))
def test_a_sale_never_makes_a_price_fall_below_or_rise_above_its_bounds(cabin: str, price: int, left: int) -> None:
    lowest, highest = PRICES[cabin]

    after = price_after_sale(cabin, price, left)

    assert lowest <= after <= highest
    if lowest <= price < highest:
        assert after > price


@given(cabins, st.integers(1, 10_000))
def test_a_return_makes_it_cheaper_within_the_bounds(cabin: str, price: int) -> None:
    lowest, highest = PRICES[cabin]

    after = price_after_return(cabin, price)

    assert lowest <= after <= highest
    if lowest < price <= highest:
        assert after < price


def test_fewer_seats_make_a_greater_rise() -> None:
    rises = [price_after_sale("business", 400, left) for left in (20, 5, 1)]

    assert rises == sorted(set(rises))


def test_an_offer_changes_in_one_cabin_only() -> None:
    offer = Offer(1, 2, 3, 60, 150, 400)

    after = offer.with_cabin("economy", seats=9, price=99)

    assert after == Offer(1, 9, 3, 60, 99, 400)
    assert (after.seats("basic economy"), after.price("business")) == (1, 400)


def departure(status: str, after: int, late: int) -> Departure:
    """Scheduled so many hours from now, estimated so many minutes later."""
    departs, arrives, delay = NOW + timedelta(hours=after), NOW + timedelta(hours=after + 2), timedelta(minutes=late)
    return Departure(status, departs, arrives, departs + delay, arrives + delay)


departures = st.builds(
    departure,
    st.sampled_from(("on time", "delayed", "cancelled")),
    st.integers(1, 9),
    st.integers(0, int(MAX_DELAY.total_seconds()) // 60),
)


@given(departures, st.randoms(use_true_random=False), st.booleans())
def test_departures_stay_sensible(before: Departure, chance: Random, watched: bool) -> None:
    after = next_departure(before, chance, watched=watched)

    if after is None:
        assert watched
        return
    assert after.estimated_departure is not None
    assert after.estimated_arrival is not None
    assert after.estimated_departure > NOW
    assert after.estimated_departure <= before.departs_at + MAX_DELAY
    assert after.estimated_departure < after.estimated_arrival
    assert (after.departs_at, after.arrives_at) == (before.departs_at, before.arrives_at)
    assert after.status in ("on time", "delayed", "cancelled")
    if watched:
        assert after.status == "delayed"


def test_a_flight_that_has_left_is_left_alone() -> None:
    flying = Departure("flying", datetime(2024, 5, 15, 13), datetime(2024, 5, 15, 16), None, datetime(2024, 5, 15, 16))

    assert next_departure(flying, Random(0), watched=False) is None


def test_commands_are_read_and_unknown_keys_refused() -> None:
    assert decode_command(b'{"running": false}') == Command(running=False)
    assert decode_command(b'{"speed": 2.5}') == Command(speed=2.5)
    for bad in (b'{"spede": 2}', b'{"speed": "fast"}', b"[]", b"nonsense", b""):
        with pytest.raises(msgspec.DecodeError):
            decode_command(bad)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_speed_is_within_bounds(speed: float) -> None:
    assert MIN_SPEED <= bounded(speed) <= MAX_SPEED

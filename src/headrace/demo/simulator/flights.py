"""What happens to flights: seats are sold, prices and statuses change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from headrace.demo.simulator.world import (
    CABINS,
    NOW,
    SQL,
    Connection,
    Departure,
    FlightDate,
    World,
    lock_departure,
    lock_offer,
    set_offer,
    withdrawn_flights,
)

MAX_SEATS = 100
MAX_WITHDRAWN = 8
MAX_DELAY = timedelta(hours=8)
PRICES = {"basic economy": (40, 150), "economy": (80, 320), "business": (160, 900)}
"""The lowest and the highest price of a cabin, in dollars."""


def price_after_sale(cabin: str, price: int, seats_left: int) -> int:
    """Up with every sale, and faster when few seats are left; never above the cabin's highest."""
    rise = 1.01 if seats_left > 8 else 1.03 if seats_left > 3 else 1.06
    return within(cabin, max(price + 1, round(price * rise)))


def price_after_return(cabin: str, price: int) -> int:
    """Down when seats come back."""
    return within(cabin, min(price - 1, round(price * 0.94)))


def within(cabin: str, price: int) -> int:
    lowest, highest = PRICES[cabin]
    return min(max(price, lowest), highest)


async def trade_seats(connection: Connection, world: World, chance: Random) -> bool:
    """Sells one or two seats of a cabin; where none is left to sell, held seats come back to it."""
    flight, cabin = world.flight_on_sale(chance), chance.choice(CABINS)
    offer = await lock_offer(connection, flight)
    if offer is None:
        return False
    kept = 1 if flight in world.spotlight else 0
    seats, price = offer.seats(cabin), offer.price(cabin)
    if seats > kept:
        seats -= min(chance.randint(1, 2), seats - kept)
        price = price_after_sale(cabin, price, seats)
    else:
        seats += chance.randint(2, 5)
        price = price_after_return(cabin, price)
    await set_offer(connection, flight, offer.with_cabin(cabin, seats=seats, price=price))
    return True


async def change_price(connection: Connection, world: World, chance: Random) -> bool:
    """A new price within seven percent of the old one."""
    flight, cabin = world.flight_on_sale(chance), chance.choice(CABINS)
    offer = await lock_offer(connection, flight)
    if offer is None:
        return False
    price = within(cabin, round(offer.price(cabin) * chance.uniform(0.93, 1.07)))
    if price == offer.price(cabin):
        return False
    await set_offer(connection, flight, offer.with_cabin(cabin, seats=offer.seats(cabin), price=price))
    return True


async def change_status(connection: Connection, world: World, chance: Random) -> bool:
    """A flight of today is delayed, on time again or cancelled; a flight in the air is expected earlier or later;
    a later flight is withdrawn from sale or put back."""
    kind = chance.random()
    if kind < 0.6 and world.today:
        return await _change_departure(connection, world, chance)
    if kind < 0.8 and world.in_the_air:
        return await _change_arrival(connection, world, chance)
    return await _withdraw_or_return(connection, world, chance)


def next_departure(now: Departure, chance: Random, *, watched: bool) -> Departure | None:
    """What becomes of a flight about to leave; None when nothing can. A watched one is only delayed differently."""
    if now.estimated_departure is None or now.estimated_arrival is None:
        return None
    draw = chance.random()
    if now.status == "on time" and watched:
        return None
    if now.status == "delayed" and draw < 0.12 and not watched:
        return replace(now, status="cancelled")
    if now.status == "delayed" and draw < 0.45 and not watched and now.departs_at > NOW:
        return replace(now, status="on time", estimated_departure=now.departs_at, estimated_arrival=now.arrives_at)
    if now.status not in ("on time", "delayed", "cancelled"):
        return None
    delay = timedelta(minutes=chance.randint(2, 9) * 5)
    if now.estimated_departure + delay > now.departs_at + MAX_DELAY:
        delay = -delay
    return replace(
        now,
        status="delayed",
        estimated_departure=now.estimated_departure + delay,
        estimated_arrival=now.estimated_arrival + delay,
    )


async def _change_departure(connection: Connection, world: World, chance: Random) -> bool:
    watched = [flight for flight in world.today if flight in world.spotlight] if chance.random() < 0.1 else []
    flight = chance.choice(watched or world.today)
    now = await lock_departure(connection, flight)
    after = now and next_departure(now, chance, watched=flight in world.spotlight)
    return await _set_departure(connection, flight, after)


async def _change_arrival(connection: Connection, world: World, chance: Random) -> bool:
    flight = chance.choice(world.in_the_air)
    now = await lock_departure(connection, flight)
    if now is None or now.status != "flying" or now.estimated_arrival is None:
        return False
    arrival = now.estimated_arrival + timedelta(minutes=chance.choice((-6, -4, -2, 3, 5, 8)))
    if not NOW < arrival < now.arrives_at + MAX_DELAY:
        return False
    return await _set_departure(connection, flight, replace(now, estimated_arrival=arrival))


async def _set_departure(connection: Connection, flight: FlightDate, departure: Departure | None) -> bool:
    if departure is None:
        return False
    values: dict[str, object] = {
        "status": departure.status,
        "estimated_departure": departure.estimated_departure,
        "estimated_arrival": departure.estimated_arrival,
    }
    await connection.execute(SQL["set_departure"], flight.key | values)
    return True


async def _withdraw_or_return(connection: Connection, world: World, chance: Random) -> bool:
    withdrawn = await withdrawn_flights(connection)
    if len(withdrawn) >= MAX_WITHDRAWN or (withdrawn and chance.random() < 0.4):
        done = await connection.execute(SQL["put_on_sale_again"], chance.choice(withdrawn).key)
        return done.rowcount == 1
    flight = chance.choice(world.on_sale)
    if flight in world.spotlight:
        return False
    done = await connection.execute(SQL["withdraw_flight"], flight.key)
    return done.rowcount == 1

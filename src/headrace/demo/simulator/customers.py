"""What customers do: book, cancel, rise and fall in membership."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from headrace.demo.simulator.flights import MAX_SEATS, price_after_sale
from headrace.demo.simulator.world import (
    CABINS,
    NOW,
    PEOPLE,
    SQL,
    Connection,
    FlightDate,
    World,
    lock_offer,
    set_offer,
)

INSURANCE = 30
"""Dollars per passenger."""

FREE_BAGS = {"regular": (0, 1, 2), "silver": (1, 2, 3), "gold": (2, 3, 3)}
"""Free checked bags per passenger in each of CABINS."""

_TIERS = ("regular", "silver", "gold")
_LETTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class Customer:
    """Who books; `saved_passengers` are people as the database keeps them: first_name, last_name, dob."""

    name: str
    date_of_birth: str
    membership: str
    saved_passengers: list[dict[str, str]]

    def passengers(self, count: int) -> list[dict[str, str]]:
        first, _, last = self.name.partition(" ")
        oneself = {"first_name": first, "last_name": last, "dob": self.date_of_birth}
        return [oneself, *self.saved_passengers[: count - 1]]


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """`amount` is what a gift card still has, None for a credit card."""

    payment_id: str
    source: str
    amount: Decimal | None


async def book(connection: Connection, world: World, chance: Random) -> bool:
    """A reservation with its segments, its payment and the seats that it takes, or nothing of it."""
    user_id, cabin = chance.choice(world.users), chance.choice(CABINS)
    customer = await _customer(connection, user_id)
    if customer is None:
        return False
    passengers = customer.passengers(chance.randint(1, 2))
    flights = await _choose_flights(connection, world, chance, cabin, len(passengers))
    prices = await _take_seats(connection, world, flights, cabin, len(passengers))
    insurance = chance.random() < 0.4
    amount = (sum(prices) + INSURANCE * insurance) * len(passengers)
    method = await _payment_method(connection, user_id, amount) if prices else None
    if method is None:
        # Seats may have been taken already: the transaction is given up as a whole.
        raise NothingDone
    values: dict[str, object] = {
        "reservation_id": "".join(chance.choices(_LETTERS, k=6)),
        "user_id": user_id,
        "flight_number": flights[0].flight_number,
        "trip_type": "round trip" if len(flights) > 1 else "one way",
        "cabin": cabin,
        "passengers": Jsonb(passengers),
        "insurance": insurance,
        "total_bags": chance.randint(0, FREE_BAGS[customer.membership][CABINS.index(cabin)]) * len(passengers),
        "payment_id": method.payment_id,
        "amount": amount,
        "now": NOW,
    }
    added = await connection.execute(SQL["add_reservation"], values)
    if added.rowcount != 1:
        raise NothingDone
    for segment, (flight, price) in enumerate(zip(flights, prices, strict=True), 1):
        await connection.execute(SQL["add_segment"], values | flight.key | {"segment": segment, "price": price})
    await connection.execute(SQL["add_payment"], values)
    await connection.execute(SQL["charge_gift_card"], values)
    return True


class NothingDone(Exception):
    """What was begun cannot be completed by the airline's rules: roll it back, it is no failure."""


async def cancel(connection: Connection, world: World, chance: Random) -> bool:
    """Cancels one reservation as the policy allows: its seats come back, its payments are refunded."""
    salt = str(chance.getrandbits(64))
    values: dict[str, object] = {"users": PEOPLE, "now": NOW, "salt": salt}
    row = await (await connection.execute(SQL["lock_cancellable"], values)).fetchone()
    if row is None:
        return False
    reservation_id, _, cabin, passengers = row
    values = {"reservation_id": reservation_id, "now": NOW}
    async with connection.cursor(row_factory=class_row(FlightDate)) as cursor:
        freed = await (await cursor.execute(SQL["release_segments"], values)).fetchall()
    for flight in sorted(freed):
        await _return_seats(connection, flight, str(cabin), int(passengers))
    await connection.execute(SQL["refund"], values)
    await connection.execute(SQL["cancel_reservation"], values)
    return True


async def change_membership(connection: Connection, world: World, chance: Random) -> bool:
    """One tier up or down."""
    user_id = chance.choice(world.users)
    row = await (await connection.execute(SQL["lock_membership"], {"user_id": user_id})).fetchone()
    if row is None:
        return False
    at = _TIERS.index(row[0])
    to = at + chance.choice((-1, 1))
    if not 0 <= to < len(_TIERS):
        to = 1
    await connection.execute(SQL["set_membership"], {"user_id": user_id, "membership": _TIERS[to]})
    return True


async def _customer(connection: Connection, user_id: str) -> Customer | None:
    async with connection.cursor(row_factory=class_row(Customer)) as cursor:
        return await (await cursor.execute(SQL["customer"], {"user_id": user_id})).fetchone()


async def _choose_flights(
    connection: Connection, world: World, chance: Random, cabin: str, seats: int
) -> list[FlightDate]:
    there = world.flight_on_sale(chance)
    if chance.random() > 0.35:
        return [there]
    values = there.key | {"cabin": cabin, "seats": seats}
    async with connection.cursor(row_factory=class_row(FlightDate)) as cursor:
        back = await (await cursor.execute(SQL["return_flight"], values)).fetchone()
    return [there, back] if back else [there]


async def _take_seats(
    connection: Connection, world: World, flights: Sequence[FlightDate], cabin: str, seats: int
) -> list[int]:
    """Prices at which the seats were taken, by flight; none when one flight does not have them."""
    prices: list[int] = []
    for flight in flights:
        offer = await lock_offer(connection, flight)
        kept = 1 if flight in world.spotlight else 0
        if offer is None or offer.seats(cabin) - kept < seats:
            return []
        left, price = offer.seats(cabin) - seats, offer.price(cabin)
        dearer = offer.with_cabin(cabin, seats=left, price=price_after_sale(cabin, price, left))
        await set_offer(connection, flight, dearer)
        prices.append(price)
    return prices


async def _return_seats(connection: Connection, flight: FlightDate, cabin: str, seats: int) -> None:
    offer = await lock_offer(connection, flight)
    if offer is not None:
        left = min(offer.seats(cabin) + seats, MAX_SEATS)
        await set_offer(connection, flight, offer.with_cabin(cabin, seats=left, price=offer.price(cabin)))


async def _payment_method(connection: Connection, user_id: str, amount: int) -> PaymentMethod | None:
    async with connection.cursor(row_factory=class_row(PaymentMethod)) as cursor:
        methods = await (await cursor.execute(SQL["lock_payment_methods"], {"user_id": user_id})).fetchall()
    return next((method for method in methods if method.amount is None or method.amount >= amount), None)

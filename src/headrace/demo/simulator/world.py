"""What the simulated airline has to work with, and how it reaches its database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from importlib.resources import as_file, files
from pathlib import Path
from random import Random

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from headrace.demo import personas
from headrace.sqlfile import Statements, load

Connection = AsyncConnection[TupleRow]

NOW = personas.NOW.replace(tzinfo=None)
"""In the airline's local time, as its database has it."""

CABINS = ("basic economy", "economy", "business")


def _read_sql() -> Statements:
    with as_file(files("headrace.demo.simulator").joinpath("simulator.sql")) as path:
        return load(path)


SQL = _read_sql()


@dataclass(frozen=True, slots=True, order=True)
class FlightDate:
    """The key of a flight on one date."""

    flight_number: str
    flight_date: date

    @property
    def key(self) -> dict[str, object]:
        return {"flight_number": self.flight_number, "flight_date": self.flight_date}


@dataclass(frozen=True, slots=True)
class World:
    """The rows that the airline chooses from, in a fixed order so that a seed repeats itself.

    `spotlight` are the flight dates of the example questions and of the people who ask them: they are sold and
    repriced more often than others, never sold out and never cancelled. `users` are all but those people.
    """

    on_sale: Sequence[FlightDate]
    today: Sequence[FlightDate]
    in_the_air: Sequence[FlightDate]
    spotlight: frozenset[FlightDate]
    users: Sequence[str]
    policies: Path | None

    def flight_on_sale(self, chance: Random) -> FlightDate:
        """Mostly any flight, now and then one that people look at."""
        watched = [flight for flight in self.on_sale if flight in self.spotlight] if chance.random() < 0.12 else []
        return chance.choice(watched or self.on_sale)


PEOPLE = [persona.user_id for persona in personas.PERSONAS]


async def read_world(connection: Connection, policies: Path | None) -> World:
    """Reads what there is. Raises psycopg.Error: UndefinedTable where the airline is not loaded."""
    spotlight = {FlightDate(*flight) for flight in personas.SPOTLIGHT}
    spotlight.update(await _flights(connection, "flights_of_people", {"users": PEOPLE, "now": NOW}))
    users = await connection.execute(SQL["other_users"], {"users": PEOPLE})
    return World(
        on_sale=await _flights(connection, "flights_on_sale", {"now": NOW}),
        today=await _flights(connection, "flights_of_today", {"now": NOW}),
        in_the_air=await _flights(connection, "flights_in_the_air", {}),
        spotlight=frozenset(spotlight),
        users=[str(row[0]) for row in await users.fetchall()],
        policies=policies,
    )


async def _flights(connection: Connection, statement: str, values: Mapping[str, object]) -> list[FlightDate]:
    async with connection.cursor(row_factory=class_row(FlightDate)) as cursor:
        return await (await cursor.execute(SQL[statement], values)).fetchall()


async def withdrawn_flights(connection: Connection) -> list[FlightDate]:
    """Future flights that were on sale until they were cancelled."""
    return await _flights(connection, "withdrawn_flights", {})


@dataclass(frozen=True, slots=True)
class Offer:
    """Seats left and prices in dollars of one flight date."""

    basic_economy_seats: int
    economy_seats: int
    business_seats: int
    basic_economy_price: int
    economy_price: int
    business_price: int

    def seats(self, cabin: str) -> int:
        return self._values()[f"{_column(cabin)}_seats"]

    def price(self, cabin: str) -> int:
        return self._values()[f"{_column(cabin)}_price"]

    def with_cabin(self, cabin: str, *, seats: int, price: int) -> Offer:
        column = _column(cabin)
        return Offer(**{**self._values(), f"{column}_seats": seats, f"{column}_price": price})

    def _values(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _column(cabin: str) -> str:
    return cabin.replace(" ", "_")


async def lock_offer(connection: Connection, flight: FlightDate) -> Offer | None:
    """A flight date's offer, held until the transaction ends; None when it is not for sale."""
    async with connection.cursor(row_factory=class_row(Offer)) as cursor:
        return await (await cursor.execute(SQL["lock_offer"], flight.key)).fetchone()


async def set_offer(connection: Connection, flight: FlightDate, offer: Offer) -> None:
    values = {field.name: getattr(offer, field.name) for field in fields(offer)}
    await connection.execute(SQL["set_offer"], flight.key | values)


@dataclass(frozen=True, slots=True)
class Departure:
    """Status and times of one flight date, scheduled and estimated."""

    status: str
    departs_at: datetime
    arrives_at: datetime
    estimated_departure: datetime | None
    estimated_arrival: datetime | None


async def lock_departure(connection: Connection, flight: FlightDate) -> Departure | None:
    async with connection.cursor(row_factory=class_row(Departure)) as cursor:
        return await (await cursor.execute(SQL["lock_departure"], flight.key)).fetchone()

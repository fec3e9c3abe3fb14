"""Makes the demo airline's rows (src/headrace/demo/data/*.csv.gz) from tau-bench's airline data.

    python scripts/make_demo_data.py --data DIR

DIR holds airline_users.jsonl, airline_reservations.jsonl and airline_flights.jsonl: the entries of
tau-bench's users.json, reservations.json and flights.json, one a line with their key as `_key`.
The output is the same byte for byte each time: one CSV with a header per table, in the order of its key.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

OUT = Path(__file__).resolve().parent.parent / "src" / "headrace" / "demo" / "data"
FIRST_DAY = date(2024, 5, 14)
"""Earlier dates are kept only where a reservation flew on them."""

# From tau-bench's list_all_airports tool.
CITIES = {
    "ATL": "Atlanta",
    "BOS": "Boston",
    "CLT": "Charlotte",
    "DEN": "Denver",
    "DFW": "Dallas",
    "DTW": "Detroit",
    "EWR": "Newark",
    "IAH": "Houston",
    "JFK": "New York",
    "LAS": "Las Vegas",
    "LAX": "Los Angeles",
    "LGA": "LaGuardia",
    "MCO": "Orlando",
    "MIA": "Miami",
    "MSP": "Minneapolis",
    "ORD": "Chicago",
    "PHL": "Philadelphia",
    "PHX": "Phoenix",
    "SEA": "Seattle",
    "SFO": "San Francisco",
}

Cell = str | int | float | None
Row = tuple[Cell, ...]
T = TypeVar("T")


class Name(msgspec.Struct):
    first_name: str
    last_name: str


class Person(msgspec.Struct):
    first_name: str
    last_name: str
    dob: str


class PaymentMethod(msgspec.Struct):
    source: str
    id: str
    brand: str | None = None
    last_four: str | None = None
    amount: int | float | None = None


class User(msgspec.Struct):
    user_id: str = msgspec.field(name="_key")
    name: Name
    address: dict[str, str]
    email: str
    dob: str
    payment_methods: dict[str, PaymentMethod]
    saved_passengers: list[Person]
    membership: str


class Cabins(msgspec.Struct):
    basic_economy: int
    economy: int
    business: int


class FlightDate(msgspec.Struct):
    status: str
    available_seats: Cabins | None = None
    prices: Cabins | None = None
    estimated_departure_time_est: str | None = None
    estimated_arrival_time_est: str | None = None
    actual_departure_time_est: str | None = None
    actual_arrival_time_est: str | None = None


class Flight(msgspec.Struct):
    flight_number: str
    origin: str
    destination: str
    scheduled_departure_time_est: str
    scheduled_arrival_time_est: str
    dates: dict[str, FlightDate]

    @property
    def route(self) -> str:
        return f"{CITIES[self.origin]} ({self.origin}) to {CITIES[self.destination]} ({self.destination})"

    @property
    def departs(self) -> time:
        return time.fromisoformat(self.scheduled_departure_time_est)

    @property
    def arrives(self) -> time:
        return time.fromisoformat(self.scheduled_arrival_time_est.removesuffix("+1"))

    @property
    def next_day(self) -> bool:
        return self.scheduled_arrival_time_est.endswith("+1")

    def schedule(self, day: str) -> tuple[str, str]:
        """Scheduled departure and arrival on a date, as local timestamps."""
        on = date.fromisoformat(day)
        arrival = datetime.combine(on, self.arrives) + timedelta(days=self.next_day)
        return str(datetime.combine(on, self.departs)), str(arrival)


class Segment(msgspec.Struct):
    flight_number: str
    date: str
    price: int


class Payment(msgspec.Struct):
    payment_id: str
    amount: int | float


class Reservation(msgspec.Struct):
    reservation_id: str
    user_id: str
    origin: str
    destination: str
    flight_type: str
    cabin: str
    flights: list[Segment]
    passengers: list[Person]
    payment_history: list[Payment]
    created_at: str
    total_baggages: int
    nonfree_baggages: int
    insurance: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    users = read(options.data / "airline_users.jsonl", User)
    flights = read(options.data / "airline_flights.jsonl", Flight)
    reservations = read(options.data / "airline_reservations.jsonl", Reservation)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in tables(users, flights, reservations):
        write(options.out / f"{name}.csv.gz", columns.split(), sorted(rows, key=lambda row: [str(c) for c in row[:2]]))


def read(path: Path, kind: type[T]) -> list[T]:
    return [msgspec.json.decode(line, type=kind) for line in path.read_bytes().split(b"\n") if line]


def tables(
    users: Sequence[User], flights: Sequence[Flight], reservations: Sequence[Reservation]
) -> Iterator[tuple[str, str, Iterable[Row]]]:
    """Each table's name, columns and rows; the first two columns order the rows."""
    by_number = {flight.flight_number: flight for flight in flights}
    flown = {(segment.flight_number, segment.date) for booked in reservations for segment in booked.flights}
    yield "airports", "code city", CITIES.items()
    yield (
        "flights",
        "flight_number origin destination route departs arrives arrives_next_day",
        (
            (f.flight_number, f.origin, f.destination, f.route, str(f.departs), str(f.arrives), boolean(f.next_day))
            for f in flights
        ),
    )
    yield (
        "flight_dates",
        "flight_number flight_date route departs_at arrives_at status basic_economy_seats economy_seats business_seats"
        " basic_economy_price economy_price business_price estimated_departure estimated_arrival actual_departure"
        " actual_arrival",
        (
            flight_date(flight, day, dated)
            for flight in flights
            for day, dated in flight.dates.items()
            if date.fromisoformat(day) >= FIRST_DAY or (flight.flight_number, day) in flown
        ),
    )
    yield (
        "users",
        "user_id name email date_of_birth address membership saved_passengers",
        (
            (u.user_id, full_name(u.name), u.email, u.dob, json(u.address), u.membership, json(u.saved_passengers))
            for u in users
        ),
    )
    yield (
        "payment_methods",
        "user_id payment_id source brand last_four amount",
        (
            (u.user_id, m.id, words(m.source), m.brand, m.last_four, m.amount)
            for u in users
            for m in u.payment_methods.values()
        ),
    )
    yield (
        "reservations",
        "reservation_id user_id status origin destination trip_type cabin passengers insurance total_bags extra_bags"
        " created_at",
        (reservation(booked) for booked in reservations),
    )
    yield (
        "reservation_flights",
        "reservation_id segment user_id cabin flight_number flight_date route departs_at arrives_at price",
        (
            segment_row(booked, number, segment, by_number[segment.flight_number])
            for booked in reservations
            for number, segment in enumerate(booked.flights, 1)
        ),
    )
    yield (
        "payments",
        "reservation_id payment user_id payment_id amount paid_at",
        (
            (booked.reservation_id, number, booked.user_id, paid.payment_id, paid.amount, timestamp(booked.created_at))
            for booked in reservations
            for number, paid in enumerate(booked.payment_history, 1)
        ),
    )


def flight_date(flight: Flight, day: str, dated: FlightDate) -> Row:
    seats, prices = dated.available_seats, dated.prices
    return (
        flight.flight_number,
        day,
        flight.route,
        *flight.schedule(day),
        dated.status,
        *((seats.basic_economy, seats.economy, seats.business) if seats else (None, None, None)),
        *((prices.basic_economy, prices.economy, prices.business) if prices else (None, None, None)),
        timestamp(dated.estimated_departure_time_est),
        timestamp(dated.estimated_arrival_time_est),
        timestamp(dated.actual_departure_time_est),
        timestamp(dated.actual_arrival_time_est),
    )


def reservation(booked: Reservation) -> Row:
    return (
        booked.reservation_id,
        booked.user_id,
        "booked",
        booked.origin,
        booked.destination,
        words(booked.flight_type),
        words(booked.cabin),
        json(booked.passengers),
        boolean(booked.insurance == "yes"),
        booked.total_baggages,
        booked.nonfree_baggages,
        timestamp(booked.created_at),
    )


def segment_row(booked: Reservation, number: int, segment: Segment, flight: Flight) -> Row:
    return (
        booked.reservation_id,
        number,
        booked.user_id,
        words(booked.cabin),
        segment.flight_number,
        segment.date,
        flight.route,
        *flight.schedule(segment.date),
        segment.price,
    )


def full_name(name: Name) -> str:
    return f"{name.first_name} {name.last_name}"


def words(name: str) -> str:
    return name.replace("_", " ")


def boolean(value: bool) -> str:
    return "true" if value else "false"


def json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def timestamp(text: str | None) -> str | None:
    return str(datetime.fromisoformat(text)) if text else None


def write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """One gzipped CSV; no time stamp in it, so that equal rows make equal bytes. An empty cell is NULL."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main()

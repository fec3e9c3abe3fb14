# ruff: noqa: E501 - texts as data
"""Small worlds to ask about: written texts, rows as text, people with facts. The airline's are of the demo's kind."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.answer.words import stems
from headrace.change import Position, Stamp
from headrace.clock import parse_rfc3339
from headrace.stores.knowledge import Passage
from headrace.stores.profiles import Fact, Profile
from headrace.stores.values import JSON

NOW = parse_rfc3339("2024-05-15T15:00:00Z")


def stamp(at: str = "2024-05-14T09:00:00Z", source: str = "docs") -> Stamp:
    us = parse_rfc3339(at)
    return Stamp(source, Position(us), us)


def chunks(document: str, text: str, at: str = "2024-05-14T09:00:00Z") -> list[Passage]:
    """A document cut before each `##` heading, as passages."""
    title = text.strip().splitlines()[0].lstrip("# ") if text.lstrip().startswith("#") else document.rpartition("/")[2]
    found: list[Passage] = []
    begin = 0
    for part in re.split(r"(?m)^(?=## )", text):
        body = part.strip()
        if body:
            start = text.index(body, begin)
            begin = start + len(body)
            n = len(found)
            found.append(Passage(document, f"{document}#{n}", n, title, title, body, start, begin, 1.0, stamp(at)))
    return found


@dataclass(frozen=True)
class World:
    """What there is to know, and a plain retriever over it: the ten passages that share most with the query."""

    passages: Sequence[Passage]
    profiles: Mapping[str, Profile]

    def search(self, queries: Sequence[str], k: int = 10) -> list[Passage]:
        wanted = {s for q in queries for s in stems(q)}
        scored = [
            (len(wanted & set(stems(f"{p.title} {p.document} {p.heading} {p.text}"))), -i, p)
            for i, p in enumerate(self.passages)
        ]
        return [p for _, _, p in sorted(scored, key=lambda s: (-s[0], -s[1]))[:k]]


def fact(topic: str, name: str, key: str, text: str, time: str | None, **fields: JSON) -> Fact:
    at = parse_rfc3339(time) if time else None
    return Fact(topic, topic.partition(".")[2], key, name, fields, text, at, stamp(source=topic.partition(".")[0]))


def person(id: str, facts: Sequence[Fact], aggregates: Mapping[str, JSON], **fields: JSON) -> Profile:
    return Profile(id, (f"user_id:{id}",), fields, aggregates, facts, (f"x/{id}",), stamp(source="users"))


# ---- an airline -----------------------------------------------------------------------------------------------------

POLICIES = {
    "policies/baggage.md": """# Checked bags

The free checked bag allowance depends on the membership of the booking user and on the cabin.

## Free checked bags by membership

- If the booking user is a regular member, 0 free checked bags for each basic economy passenger, 1 free checked bag for each economy passenger, and 2 free checked bags for each business passenger.
- If the booking user is a silver member, 1 free checked bag for each basic economy passenger, 2 free checked bags for each economy passenger, and 3 free checked bags for each business passenger.
- If the booking user is a gold member, 2 free checked bags for each basic economy passenger, 3 free checked bags for each economy passenger, and 3 free checked bags for each business passenger.

## Extra bags

Each extra checked bag is 50 dollars.

## Changing the bags of a reservation

The customer can add but not remove checked bags.
""",
    "policies/booking.md": """# Booking a flight

To book a flight, the customer gives the user id, the trip type, the origin and the destination.

## Passengers

- Each reservation can have at most five passengers.
- The first name, last name, and date of birth are needed for each passenger.
- All passengers must fly the same flights in the same cabin.
""",
    "policies/cancellation.md": """# Cancelling a reservation

To cancel a reservation, the customer gives the user id, the reservation id, and the reason for cancellation (change of plan, airline cancelled flight, or other reasons).

## What can be cancelled

- All reservations can be cancelled within 24 hours of booking, or if the airline cancelled the flight.
- Business flights can always be cancelled.
- Otherwise, basic economy or economy flights can be cancelled only if travel insurance is bought and its condition is met.
- The cancellation rules are strict regardless of the membership status.

## Trips that have begun

- Only the whole trip that is not flown can be cancelled.
- If any of the flight segments are already used, the reservation cannot be cancelled by the assistant and is transferred to a human agent.
""",
    "policies/changes.md": """# Changing a reservation

## Changing flights

- Basic economy flights cannot be modified.
- Economy and business reservations can be modified without changing the origin, destination, and trip type.
- Some flight segments of a modified reservation can be kept, but their prices will not be updated based on the current price.

## Changing the cabin

- All reservations, including basic economy, can change cabin without changing the flights.
- Cabin changes require the customer to pay for the difference between their current cabin and the new cabin class.

## Changing passengers

- The customer can modify the passengers of a reservation but cannot modify the number of passengers.
""",
    "policies/insurance.md": """# Travel insurance

Travel insurance is 30 dollars per passenger.

Travel insurance enables a full refund if the customer needs to cancel the flight given health or weather reasons.

The customer cannot add travel insurance after the initial booking.
""",
    "policies/payment.md": """# Payment

- Each reservation can use at most one travel certificate, at most one credit card, and at most three gift cards.
- The remaining amount of a travel certificate is not refundable.
- All payment methods must already be in the user profile for safety reasons.
""",
    "policies/refunds.md": """# Refunds

The refund of a cancelled reservation will go to the original payment methods in 5 to 7 business days.
""",
}


def _flight(number: str, route: str, day: str, iso: str, rest: str) -> list[Passage]:
    text = f"Flight {number} from {route} on {day}, 2024 ({iso}) at {rest}"
    document = f"airline/public.flight_dates/{number},{iso}"
    return [Passage(document, document + "#0", 0, f"flight_dates {number},{iso}", "", text, 0, len(text), 1.0, stamp())]


_DFW = "Dallas (DFW) to Los Angeles (LAX)"
_FLIGHTS = [
    *_flight(
        "HAT170",
        _DFW,
        "May 21",
        "2024-05-21",
        "9:00 is available. Business: 1 seat left at $640. Economy: 3 seats left at $142. Basic economy: sold out, 0 seats left at $80.",
    ),
    *_flight(
        "HAT170",
        _DFW,
        "May 22",
        "2024-05-22",
        "9:00 is available. Business: 5 seats left at $883. Economy: 12 seats left at $151. Basic economy: 7 seats left at $66.",
    ),
    *_flight(
        "HAT170",
        _DFW,
        "May 23",
        "2024-05-23",
        "9:00 is available. Business: 9 seats left at $702. Economy: 1 seat left at $199. Basic economy: 4 seats left at $91.",
    ),
    *_flight(
        "HAT171",
        _DFW,
        "May 22",
        "2024-05-22",
        "15:00 is available. Business: 2 seats left at $411. Economy: 8 seats left at $132. Basic economy: 2 seats left at $77.",
    ),
    *_flight(
        "HAT020",
        "Chicago (ORD) to Detroit (DTW)",
        "May 15",
        "2024-05-15",
        "13:00 is delayed. It is now estimated to depart at 16:10 and to arrive at 17:40. It cannot be booked.",
    ),
    *_flight(
        "HAT018",
        "New York (JFK) to Seattle (SEA)",
        "May 15",
        "2024-05-15",
        "19:00 is on time. It is now estimated to depart at 19:00 and to arrive at 22:30. It cannot be booked.",
    ),
]

_R, _S = "airline.public.reservations", "airline.public.reservation_flights"
MIA = person(
    "mia_li",
    [
        fact(_R, "reservation", "EHGLP3", "Reservation EHGLP3 is booked: a one way trip from JFK to SEA in business for 1 passenger, made on May 11, 2024. It includes 2 checked bags and has travel insurance.", "2024-05-11T10:00:00Z", reservation_id="EHGLP3", status="booked", origin="JFK", destination="SEA", cabin="business", insurance=True, total_bags=2),
        fact(_R, "reservation", "1HR73K", "Reservation 1HR73K is booked: a round trip from SEA to LAX in economy for 2 passengers, made on May 2, 2024. It includes 1 checked bag and has no travel insurance.", "2024-05-02T10:00:00Z", reservation_id="1HR73K", status="booked", origin="SEA", destination="LAX", cabin="economy", insurance=False, total_bags=1),
        fact(_S, "flight", "EHGLP3,1", "Flight HAT018 from New York (JFK) to Seattle (SEA) departs on May 15, 2024 at 19:00 and arrives at 22:30. It is in business for $1,254, on reservation EHGLP3.", "2024-05-15T19:00:00Z", reservation_id="EHGLP3", segment=1, cabin="business", flight_number="HAT018", flight_date="2024-05-15", price=1254),
        fact(_S, "flight", "1HR73K,1", "Flight HAT276 from Seattle (SEA) to Los Angeles (LAX) departs on May 20, 2024 at 08:00 and arrives at 11:00. It is in economy for $157, on reservation 1HR73K.", "2024-05-20T08:00:00Z", reservation_id="1HR73K", segment=1, cabin="economy", flight_number="HAT276", flight_date="2024-05-20", price=157),
        fact(_S, "flight", "1HR73K,2", "Flight HAT277 from Los Angeles (LAX) to Seattle (SEA) departs on May 27, 2024 at 17:00 and arrives at 20:00. It is in economy for $171, on reservation 1HR73K.", "2024-05-27T17:00:00Z", reservation_id="1HR73K", segment=2, cabin="economy", flight_number="HAT277", flight_date="2024-05-27", price=171),
        fact(_S, "flight", "OLD111,1", "Flight HAT099 from Denver (DEN) to New York (JFK) departs on May 3, 2024 at 07:00 and arrives at 12:00. It is in economy for $120, on reservation OLD111.", "2024-05-03T07:00:00Z", reservation_id="OLD111", segment=1, cabin="economy", flight_number="HAT099", flight_date="2024-05-03", price=120),
    ],
    {"reservations": 2, "flights": 4},
    name="Mia Li", email="mia.li3818@example.com", membership="gold", date_of_birth="1990-04-05",
)  # fmt: skip

AIRLINE = World([*_FLIGHTS, *(p for d, t in POLICIES.items() for p in chunks(d, t))], {"mia": MIA})

# ---- a coffee machine's manual --------------------------------------------------------------------------------------

MANUAL = World(
    chunks(
        "manual/brewmaster.md",
        """# Brewmaster 300 manual

The Brewmaster 300 brews filter coffee and heats water for tea.

## Safety

Never immerse the machine in water. Keep the power cord away from hot surfaces. Children under 8 years must not use the machine.

## First use

1. Rinse the water tank and fill it to the MAX mark.
2. Run two brewing cycles without coffee.
3. Discard the water.

## Descaling

Descale the machine every three months, or when the orange light blinks. Use only the liquid descaler DX-20. Vinegar damages the seals and voids the warranty.

To descale:

1. Pour 100 ml of DX-20 into the water tank and fill up with water.
2. Hold the steam button for five seconds.
3. When the program ends after about 25 minutes, rinse the tank.

## Lights and their meaning

| Light | Meaning | What to do |
| --- | --- | --- |
| Green, steady | Ready to brew | Press start |
| Orange, blinking | Descaling is due | Run the descaling program |
| Red, steady | The water tank is empty | Fill the tank |
| Red, blinking | The machine is too hot | Switch it off for 30 minutes |

## Technical data

- Power: 1,450 W
- Water tank: 1.8 litres
- Weight: 4.2 kg
- Cord length: 90 cm

## Warranty

The warranty is 24 months from the date of purchase. It does not cover the glass carafe. For a warranty claim, send the receipt to service@brewmaster.example.
""",
    ),
    {},
)

# ---- a handbook -----------------------------------------------------------------------------------------------------

ADA = person(
    "e-17",
    [
        fact("hr.public.leave_requests", "leave request", "9001", "Leave request 9001: vacation from June 3 to June 7, 2024, approved.", "2024-06-03T00:00:00Z", id="LR9001", kind="vacation", status="approved", days=5),
        fact("hr.public.leave_requests", "leave request", "9002", "Leave request 9002: parental leave from September 2 to October 11, 2024, pending.", "2024-09-02T00:00:00Z", id="LR9002", kind="parental", status="pending", days=30),
        fact("hr.public.trainings", "training", "t1", "Training “Fire safety” on May 28, 2024 at 10:00 in room 4.", "2024-05-28T10:00:00Z", title="Fire safety"),
        fact("hr.public.trainings", "training", "t2", "Training “Data protection” on April 9, 2024, passed with 92 points.", "2024-04-09T10:00:00Z", title="Data protection"),
    ],
    {"leave_requests": 2, "vacation_days_left": 11},
    name="Ada Moreau", department="Finance", office="Lyon", contract="full time", manager="Jon Weiss", salary_band="B4",
)  # fmt: skip

HANDBOOK = World(
    [
        *chunks(
            "handbook/leave.md",
            """# Leave

## Vacation

Full time employees have 28 vacation days a year. Part time employees have vacation in proportion to their hours. Up to five unused days carry over to the next year and must be taken by March 31.

Vacation of more than ten days in a row needs the approval of the department head at least six weeks ahead.

## Sick leave

Tell your manager before 9:30 on the first day. A doctor's note is needed from the third day of illness. Sick pay is 100 % of your salary for six weeks.

## Parental leave

Each parent can take up to 16 weeks of paid parental leave within the child's first two years.
""",
        ),
        *chunks(
            "handbook/expenses.md",
            """# Expenses

Submit expenses within 30 days in the Spendbook app. Receipts are required above 25 euros.

## Travel

Train tickets are second class up to four hours and first class beyond. Hotels are reimbursed up to 140 euros a night, in Paris up to 190 euros. Meals are reimbursed up to 40 euros a day.

## Equipment

Every employee may spend 300 euros on home office equipment every two years. Laptops are replaced after four years.
""",
        ),
        *chunks(
            "handbook/office.md",
            """# Offices

The Lyon office is open from 7:00 to 21:00 on weekdays. The Berlin office is open from 8:00 to 20:00.

Visitors must be registered at the reception one day before their visit.

## Remote work

You may work remotely up to three days a week. Tuesdays are office days for everyone. Working from abroad is limited to 20 days a year and needs the approval of Legal.
""",
        ),
    ],
    {"ada": ADA},
)

# ---- a shop ---------------------------------------------------------------------------------------------------------

_O = "shop.public.orders"
LEO = person(
    "leo",
    [
        fact(_O, "order", "W2001", "Order W2001 of May 13, 2024 is pending: 1 × trail running shoes (blue, 43) for $129.90, paid by PayPal.", "2024-05-13T08:00:00Z", order_id="W2001", status="pending", total="129.90"),
        fact(_O, "order", "W1950", "Order W1950 of April 30, 2024 is delivered: 2 × water bottle (750 ml) for $37.80, paid by credit card.", "2024-04-30T08:00:00Z", order_id="W1950", status="delivered", total="37.80"),
        fact(_O, "order", "W1711", "Order W1711 of February 2, 2024 is cancelled: 1 × rain jacket (green, L) for $89.00, paid by gift card.", "2024-02-02T08:00:00Z", order_id="W1711", status="cancelled", total="89.00"),
    ],
    {"orders": 3, "total_spent": "256.70"},
    first_name="Leo", last_name="Brandt", email="leo@example.com", newsletter=True, loyalty_points=340,
    address='{"street": "Hafenstr. 5", "city": "Kiel", "zip": "24103"}',
)  # fmt: skip

SHOP = World(
    [
        *chunks(
            "shop/returns.md",
            """# Returns and exchanges

You can return unused items within 45 days of delivery. Shoes must come back in their original box. Gift cards, underwear and opened food cannot be returned.

Return shipping is free in Germany and costs $8.50 elsewhere. Refunds are paid to the original payment method within 10 days after we receive the parcel; gift card payments are refunded at once.

## Exchanges

An item can be exchanged once for another size or colour of the same product.
""",
        ),
        *chunks(
            "shop/orders.md",
            """# Orders

## Cancelling

An order can be cancelled only while it is pending. Delivered orders cannot be cancelled, but they can be returned.

## Changing an order

While an order is pending you can change the delivery address and the payment method, nothing else.
""",
        ),
        *chunks(
            "shop/shipping.md",
            """# Shipping

Standard delivery takes 2 to 4 working days and costs $4.90. It is free for orders over $60. Express delivery arrives the next working day and costs $14.90.

We ship to all countries of the European Union, to Switzerland and to Norway. We do not ship to PO boxes.
""",
        ),
        *chunks(
            "shop/public.products/P-77",
            "Trailfox 2 trail running shoes (P-77), $129.90. In stock: 40 (3 pairs), 42 (1 pair), 43 (sold out). Weight 280 g. Made of recycled polyester.",
        ),
        *chunks(
            "shop/public.products/P-78",
            "Roadfox road running shoes (P-78), $99.00. In stock: 41 (6 pairs), 43 (2 pairs). Weight 240 g. Vegan.",
        ),
    ],
    {"leo": LEO},
)

# ---- release notes --------------------------------------------------------------------------------------------------

NOTES = World(
    [
        *chunks(
            "docs/CHANGELOG.md",
            """# Tidekit changelog

## 3.2.0 (2024-05-06)

- Added: `tide sync --watch` keeps two folders in step.
- Changed: the default timeout of requests is now 30 seconds (was 10).
- Removed: support for Python 3.8.

## 3.1.4 (2024-03-18)

- Fixed: a crash when the configuration file is empty (#812).
- Security: updated libsodium to 1.0.19.

## 3.0.0 (2023-11-02)

- Changed: the configuration is read from `tide.toml` instead of `tide.ini`.
- Added: encrypted remotes.
""",
        ),
        *chunks(
            "docs/install.md",
            """# Installing Tidekit

Tidekit needs Python 3.9 or newer and runs on Linux and macOS. Windows is not supported.

```
pip install tidekit
```

To upgrade, run `pip install -U tidekit`. Settings of version 2 are migrated by `tide migrate`.

## Proxies

Tidekit reads the variables `HTTPS_PROXY` and `NO_PROXY`. Set `TIDE_CA_FILE` to use your own certificate authority.
""",
        ),
        *chunks(
            "docs/limits-old.md", "# Limits\n\nA remote can hold at most 500 GB of data.\n", "2022-01-10T00:00:00Z"
        ),
        *chunks("docs/limits.md", "# Limits\n\nA remote can hold at most 2000 GB of data.\n", "2024-04-02T00:00:00Z"),
    ],
    {},
)

WORLDS = {"airline": AIRLINE, "manual": MANUAL, "handbook": HANDBOOK, "shop": SHOP, "notes": NOTES}

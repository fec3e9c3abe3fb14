"""The airline's clock, and who and what the demo shows: people of the data and questions that they may ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

NOW = datetime(2024, 5, 15, 15, 0, tzinfo=timezone(timedelta(hours=-5)))
"""The airline's own clock stands still: its rows say what is flying, delayed and for sale at this moment."""


@dataclass(frozen=True, slots=True)
class Persona:
    """A person of the data; `user` identifies the profile, as `email:…`."""

    user_id: str
    email: str
    about: str

    @property
    def user(self) -> str:
        return f"email:{self.email}"


@dataclass(frozen=True, slots=True)
class Question:
    """An example question; `user` is who asks it, `why` says what its answer depends on."""

    text: str
    why: str
    user: str | None = None


MIA = Persona(
    "mia_li_3668",
    "mia.li3818@example.com",
    "Flies business from New York to Seattle tonight, with travel insurance.",
)
NOAH = Persona(
    "noah_garcia_4365",
    "noah.garcia7790@example.com",
    "Waits with a companion for a delayed flight from Chicago to Detroit.",
)
OMAR = Persona(
    "omar_anderson_1185",
    "omar.anderson2528@example.com",
    "Flies economy to Los Angeles on Friday and did not buy insurance.",
)
YUSUF = Persona(
    "yusuf_patel_4029",
    "yusuf.patel5773@example.com",
    "Leaves Philadelphia in two hours, in basic economy; the flight is delayed.",
)

PERSONAS = (MIA, NOAH, OMAR, YUSUF)

QUESTIONS = (
    Question("Is HAT170 on May 22 still available in business, and at what price?", "seats and price of one row, now"),
    Question("What is my next flight?", "who asks", MIA.user),
    Question("And the one after?", "the question before", MIA.user),
    Question("Can I cancel it?", "the conversation and the written policy", MIA.user),
    Question("Is HAT020 on May 15 delayed?", "a status that the airline may change", NOAH.user),
    Question("How many reservations do I have?", "an aggregate of who asks", OMAR.user),
    Question("How many free checked bags does a gold member get in business class?", "the baggage policy"),
    Question("How much is an extra checked bag?", "a fee that the airline changes now and then"),
)

SPOTLIGHT = (
    ("HAT170", date(2024, 5, 22)),
    ("HAT020", date(2024, 5, 15)),
)
"""Flight dates that the questions name."""

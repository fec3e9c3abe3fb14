"""Dated news in which facts change, made from a seed: who leads what, what things cost, what is where."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

_ORGS = (
    "Acme Tyres,Brightwater Foods,Corvus Rail,Delphin Energy,Eastgate Bank,Fjord Airlines,Granite Insurance,"
    "Halcyon Motors,Iberis Pharma,Juniper Homes,Kestrel Mining,Larkspur Media,Meridian Ports,Norbury Council,"
    "Orchard Clinics,Pelham University,Quayside Museum,Ravel Theatre,Sable Shipping,Tamarind Hotels"
).split(",")
_PEOPLE = (
    "Ada Brandt,Boris Chen,Carla Duval,Dmitri Eko,Elena Frost,Farid Gomes,Greta Holm,Hugo Ibarra,Ines Jonker,"
    "Jonas Kaya,Kira Lund,Luis Moreau,Mina Novak,Nils Okafor,Olga Petrov,Pavel Quist,Rosa Silva,Sven Torres,Tara Usman,"
    "Viktor Weiss"
).split(",")
_PLACES = "Aarhus,Bergen,Cork,Dijon,Essen,Faro,Ghent,Haarlem,Izmir,Jena,Krakow,Leeds,Malmo,Nantes,Oporto".split(",")

# Of each fact: the question, and how papers put it; {o} whose, {v} the value.
_FACTS = {
    "chief": (
        "Who is the chief executive of {o}?",
        (
            "{v} is the chief executive of {o}.",
            "The board of {o} has named {v} chief executive.",
            "As chief executive of {o}, {v} wants to grow abroad.",
            "{o} is led by {v}, its chief executive, who met the unions on Monday.",
        ),
    ),
    "price": (
        "How much is a monthly ticket of {o}?",
        (
            "A monthly ticket of {o} costs {v} euros.",
            "Customers of {o} pay {v} euros for a monthly ticket.",
            "{o} has set the price of its monthly ticket at {v} euros.",
            "The monthly ticket at {o} is sold for {v} euros, the company said.",
        ),
    ),
    "seat": (
        "Where is the headquarters of {o}?",
        (
            "The headquarters of {o} is in {v}.",
            "{o} has its headquarters in {v}.",
            "From its headquarters in {v}, {o} runs all of its business.",
            "{v} is home to the headquarters of {o}.",
        ),
    ),
    "staff": (
        "How many people does {o} employ?",
        (
            "{o} employs {v} people.",
            "The number of people that {o} employs is {v}.",
            "In all, {v} people work for {o}, which employs more women than ever.",
            "{o}, which employs {v} people, looks for apprentices.",
        ),
    ),
}
_FILLER = (
    "The weather was fine.",
    "Shares moved little on the day.",
    "Neighbours had asked for more trees along the road.",
    "A spokesman declined to comment further.",
    "The unions were told in advance.",
    "Analysts had expected as much.",
    "The mayor came late.",
    "Trading goes on as usual.",
)


@dataclass(frozen=True, slots=True)
class Story:
    """One article. `fact` is (whose, what); None for one that only talks about somebody."""

    name: str
    day: date
    text: str
    fact: tuple[str, str] | None
    value: str

    def markdown(self, *, dated: bool) -> bytes:
        front = f"---\ntitle: {self.name}\ndate: {self.day}\n---\n\n" if dated else ""
        return f"{front}{self.text}\n".encode()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the stories that state it, oldest first: the last is right."""

    text: str
    stories: tuple[Story, ...]


def news(seed: int) -> tuple[list[Story], list[Asked]]:
    """Stories in no order of time, and a question for every fact that changed."""
    rng = random.Random(seed)
    stories: list[Story] = []
    questions: list[Asked] = []
    for org in _ORGS:
        for what, (question, wordings) in _FACTS.items():
            days = sorted(date(2021, 1, 1) + timedelta(days=d) for d in rng.sample(range(1600), rng.randint(2, 4)))
            values = _values(rng, what, len(days))
            told = tuple(
                _story(rng, len(stories) + n, day, rng.choice(wordings).format(o=org, v=v), (org, what), v)
                for n, (day, v) in enumerate(zip(days, values, strict=True))
            )
            stories += told
            questions.append(Asked(question.format(o=org), told))
        day = date(2021, 1, 1) + timedelta(days=rng.randrange(1700))
        stories.append(_story(rng, len(stories), day, f"{org} has sponsored the town's summer party.", None, ""))
    rng.shuffle(stories)
    return stories, questions


def _values(rng: random.Random, what: str, count: int) -> list[str]:
    if what == "chief":
        return rng.sample(_PEOPLE, count)
    if what == "seat":
        return rng.sample(_PLACES, count)
    return [str(n) for n in rng.sample(range(20, 95) if what == "price" else range(300, 9000), count)]


def _story(rng: random.Random, n: int, day: date, line: str, fact: tuple[str, str] | None, value: str) -> Story:
    filler = rng.sample(_FILLER, rng.randint(2, 5))
    place = rng.randrange(len(filler))
    text = " ".join([*filler[:place], line, *filler[place:]])
    return Story(f"story-{n:04}", day, text, fact, value)

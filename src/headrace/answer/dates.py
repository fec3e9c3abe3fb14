"""Dates as people write them, in questions (relative ones too) and in sources."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH_NUMBER = {name: n for n, name in enumerate(_MONTHS, 1)} | {name[:3]: n for n, name in enumerate(_MONTHS, 1)}
_MONTH_NUMBER["sept"] = 9
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAY_NUMBER = {name: n for n, name in enumerate(_DAYS)} | {name[:3]: n for n, name in enumerate(_DAYS)}
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|"
    r"aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)

_ABSOLUTE = re.compile(
    rf"""\b(?:
      (?P<iso>\d{{4}}-\d{{2}}-\d{{2}})
    | (?P<md_m>{_MONTH})\s+(?P<md_d>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:])(?:\s*,?\s+(?P<md_y>\d{{4}}))?
    | (?P<dm_d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<dm_m>{_MONTH})\b(?:\s*,?\s+(?P<dm_y>\d{{4}}))?
    | (?P<sl>\d{{1,2}}/\d{{1,2}}/\d{{4}})
    | (?P<dot>\d{{1,2}}\.\d{{1,2}}\.\d{{4}})
    | (?P<my_m>{_MONTH})\s+(?P<my_y>(?:19|20)\d{{2}})
    )(?:\b|(?=T\d))""",
    re.I | re.X,
)
_RELATIVE = re.compile(
    rf"""\b(?:
      (?P<word>day\s+after\s+tomorrow|day\s+before\s+yesterday|today|tonight|tomorrow|yesterday)
    | (?P<rel>next|this|last|coming|on|by|past)\s+(?P<unit>week|month|{"|".join(_DAYS)})
    | (?P<bare>{"|".join(_DAYS)})
    | in\s+(?P<in_n>\d{{1,3}}|an?|two|three|four|five|six|seven)\s+(?P<in_u>days?|weeks?)(?!\s*[-\w]*\s*(?:of|advance))
    | (?:in|during|of)\s+(?P<month>(?-i:[A-Z])[a-z]{{2,8}})
    )\b""",
    re.I | re.X,
)
_DIGIT = re.compile(r"\d")
_SMALL = {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
_WORDS = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1}


@dataclass(frozen=True, slots=True)
class Dates:
    """Days from `first` to `last`, both included, and where they stand in the text. `yearless`: no year was written."""

    first: date
    last: date
    start: int
    end: int
    yearless: bool = False

    def meets(self, other: Dates) -> bool:
        """Whether the two share a day; a date without a year is read in the other's."""
        if other.yearless and not self.yearless:
            other = other.in_year(self.first.year)
        elif self.yearless and not other.yearless and not (self.first <= other.last and other.first <= self.last):
            return False
        return self.first <= other.last and other.first <= self.last

    def in_year(self, year: int) -> Dates:
        """The same days of another year."""
        first = _day(year, self.first.month, self.first.day)
        if first is None:
            return self
        return Dates(first, first + (self.last - self.first), self.start, self.end, self.yearless)

    def shifted(self, days: int) -> Dates:
        by = timedelta(days=days)
        return Dates(self.first + by, self.last + by, self.start, self.end, self.yearless)


def on(day: date) -> Dates:
    """A day that stands in no text."""
    return Dates(day, day, 0, 0)


def local_day(us: int, zone: int) -> date:
    """The calendar day of a moment (microseconds) at `zone` seconds east of UTC."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us, seconds=zone)).date()


@lru_cache(maxsize=8192)
def dates_in(text: str, today: date) -> tuple[Dates, ...]:
    """Absolute dates of a source's text; one without a year is the nearest to `today`."""
    if not _DIGIT.search(text):
        return ()
    return tuple(d for m in _ABSOLUTE.finditer(text) if (d := _absolute(m, today)))


def asked_dates(text: str, today: date) -> tuple[Dates, ...]:
    """Dates of a question, the relative ones (`tomorrow`, `next Monday`, `in May`) too, in order."""
    found = list(dates_in(text, today))
    for match in _RELATIVE.finditer(text):
        days = _relative(match, today)
        if days is not None and all(days.end <= f.start or days.start >= f.end for f in found):
            found.append(days)
    return tuple(sorted(found, key=lambda d: d.start))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _nearest(month: int, day: int, today: date) -> date | None:
    options = [d for y in (today.year, today.year + 1, today.year - 1) if (d := _day(y, month, day))]
    return min(options, key=lambda d: abs((d - today).days), default=None)


def _month(name: str) -> int | None:
    return _MONTH_NUMBER.get(name.lower().rstrip("."))


def _month_days(year: int, month: int) -> tuple[date, date]:
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, 1), following - timedelta(days=1)


def _absolute(m: re.Match[str], today: date) -> Dates | None:
    if m["iso"]:
        year, month, day = map(int, m["iso"].split("-"))
        return _single(m, _day(year, month, day))
    if m["md_m"] or m["dm_m"]:
        written = m["md_y"] or m["dm_y"]
        month = _month(m["md_m"] or m["dm_m"])
        day = int(m["md_d"] or m["dm_d"])
        if month is None:
            return None
        found = _day(int(written), month, day) if written else _nearest(month, day, today)
        return _single(m, found, yearless=not written)
    if m["sl"]:
        a, b, year = map(int, m["sl"].split("/"))
        return _single(m, _day(year, a, b) or _day(year, b, a))
    if m["dot"]:
        day, month, year = map(int, m["dot"].split("."))
        return _single(m, _day(year, month, day))
    month = _month(m["my_m"])
    if month is None:
        return None
    first, last = _month_days(int(m["my_y"]), month)
    return Dates(first, last, m.start(), m.end())


def _single(m: re.Match[str], day: date | None, *, yearless: bool = False) -> Dates | None:
    return Dates(day, day, m.start(), m.end(), yearless) if day else None


def _relative(m: re.Match[str], today: date) -> Dates | None:
    if m["word"]:
        word = " ".join(m["word"].lower().split())
        shift = _WORDS.get(word, 2 if word.startswith("day after") else -2)
        return _around(m, today + timedelta(days=shift))
    if m["bare"] or (m["unit"] and m["unit"].lower() in _DAY_NUMBER):
        return _around(m, _weekday((m["rel"] or "on").lower(), (m["bare"] or m["unit"]).lower(), today))
    if m["unit"]:
        return _period(m, today)
    if m["in_n"]:
        count = int(m["in_n"]) if m["in_n"].isdigit() else _SMALL[m["in_n"].lower()]
        return _around(m, today + timedelta(days=count * (7 if m["in_u"].lower().startswith("week") else 1)))
    month = _month(m["month"])
    if month is None:
        return None
    middle = _nearest(month, 15, today) or today
    first, last = _month_days(middle.year, month)
    return Dates(first, last, m.start("month"), m.end("month"), yearless=True)


def _around(m: re.Match[str], day: date) -> Dates:
    return Dates(day, day, m.start(), m.end())


def _weekday(relation: str, name: str, today: date) -> date:
    ahead = (_DAY_NUMBER[name] - today.weekday()) % 7
    if relation in ("last", "past"):
        return today + timedelta(days=ahead - 7)
    return today + timedelta(days=ahead or (7 if relation in ("next", "coming") else 0))


def _period(m: re.Match[str], today: date) -> Dates:
    step = {"next": 1, "coming": 1, "last": -1, "past": -1}.get(m["rel"].lower(), 0)
    if m["unit"].lower() == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=step)
        return Dates(monday, monday + timedelta(days=6), m.start(), m.end())
    months = today.year * 12 + today.month - 1 + step
    first, last = _month_days(months // 12, months % 12 + 1)
    return Dates(first, last, m.start(), m.end())

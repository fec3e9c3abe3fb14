"""What a conversation is about: what a turn leaves behind for the next one's "it" or "the one after"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from headrace.answer.dates import Dates
from headrace.stores.conversations import Turn
from headrace.stores.profiles import Fact
from headrace.stores.values import JSON, Object


@dataclass(frozen=True, slots=True)
class Focus:
    """`words` are the topic's words, `days` and `codes` what it was limited to; `topic` and `key` name a fact."""

    words: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    days: tuple[tuple[date, date], ...] = ()
    document: str | None = None
    topic: str | None = None
    key: str | None = None
    name: str | None = None
    time: int | None = None
    own: bool = False

    def is_fact(self, fact: Fact) -> bool:
        return fact.topic == self.topic and fact.key == self.key

    def dates(self) -> tuple[Dates, ...]:
        return tuple(Dates(first, last, 0, 0) for first, last in self.days)

    def to_object(self) -> Object:
        """As JSON, empty parts left out."""
        found: dict[str, JSON] = {}
        if self.words:
            found["terms"] = list(self.words)
        if self.codes:
            found["codes"] = list(self.codes)
        if self.days:
            found["days"] = [[a.isoformat(), b.isoformat()] for a, b in self.days]
        if self.topic is not None:
            found["fact"] = {"topic": self.topic, "key": self.key}
        for name, value in (("document", self.document), ("name", self.name), ("time", self.time)):
            if value is not None:
                found[name] = value
        if self.own:
            found["own"] = True
        return found


def last_focus(history: Sequence[Turn]) -> Focus | None:
    """The focus of the last turn that has one. What cannot be read of it is left out."""
    for turn in reversed(history):
        if turn.focus:
            return read_focus(turn.focus)
    return None


def read_focus(raw: Object) -> Focus:
    fact = raw.get("fact")
    topic, key = (_text(fact.get("topic")), _text(fact.get("key"))) if isinstance(fact, dict) else (None, None)
    time = raw.get("time")
    return Focus(
        words=_texts(raw.get("terms")),
        codes=_texts(raw.get("codes")),
        days=_days(raw.get("days")),
        document=_text(raw.get("document")),
        topic=topic,
        key=key,
        name=_text(raw.get("name")),
        time=time if isinstance(time, int) and not isinstance(time, bool) else None,
        own=raw.get("own") is True,
    )


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: JSON) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str) and v) if isinstance(value, list) else ()


def _days(value: JSON) -> tuple[tuple[date, date], ...]:
    found: list[tuple[date, date]] = []
    for pair in value if isinstance(value, list) else ():
        match pair:
            case [str(first), str(last)]:
                try:
                    found.append((date.fromisoformat(first), date.fromisoformat(last)))
                except ValueError:
                    continue
            case _:
                continue
    return tuple(found)

"""What documents say of themselves by name - author, price, tags: kept, shown, and what searches are limited by."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import cast

import msgspec

Single = str | int | float | bool
MetadataValue = Single | tuple[Single, ...]
Metadata = Mapping[str, MetadataValue]
"""By name in lower case, ascending."""

FIELDS = 64
LONGEST_FIELD = 100
LONGEST_TEXT = 1000
VALUES = 100
"""Of one field, where it has several."""
CHARACTERS = 16_000
"""Of all names and values of a document together."""
_EXACT = 1 << 53
"""Whole numbers below are the same in every program that reads JSON; others are kept as texts, to the digit."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_encoder = msgspec.json.Encoder(order="sorted")


def metadata_of(*said: Mapping[str, object]) -> Metadata:
    """What can be kept of what is said, within the bounds: the rest is left out. Of a name that is said twice the first
    counts."""
    found: dict[str, MetadataValue] = {}
    room = CHARACTERS
    for text, given in ((n, v) for one in said for n, v in one.items()):
        name, value = field_name(text), _value(given)
        if not name or value is None or name in found or len(found) == FIELDS:
            continue
        size = len(name) + sum(len(str(v)) for v in values_of(value))
        if size <= room:
            found[name] = value
            room -= size
    return dict(sorted(found.items()))


def field_name(text: str) -> str:
    """As names are kept: in lower case, white space as `_`. Empty for one that cannot be."""
    name = "_".join(_plain(unicodedata.normalize("NFC", text.lower())).split())
    return name if len(name) <= LONGEST_FIELD else ""


def single(given: object) -> Single | None:
    """A value as it is kept and compared; None for what is none."""
    match given:
        case bool():
            return given
        case int():
            return given if abs(given) < _EXACT else str(given) if given.bit_length() <= 1024 else None
        case float():
            whole = math.isfinite(given) and given.is_integer() and abs(given) < _EXACT
            return int(given) if whole else given if math.isfinite(given) else None
        case str():
            text = " ".join(_plain(given).split())
            return text if 0 < len(text) <= LONGEST_TEXT else None
        case datetime():
            return time_text(given)
        case date():
            return given.isoformat()
        case _:
            return None


def values_of(value: MetadataValue) -> tuple[Single, ...]:
    return value if isinstance(value, tuple) else (value,)


def distinct(values: Iterator[Single]) -> tuple[Single, ...]:
    """Each once, in order; `true` is not 1."""
    return tuple({(isinstance(v, bool), v): v for v in values}.values())


def flat(said: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """Fields in fields by names with points: `shop.price`."""
    for name, value in said.items():
        if isinstance(value, Mapping):
            yield from flat(cast("Mapping[str, object]", value), f"{before}{name}.")
        else:
            yield before + str(name), value


def time_text(moment: datetime) -> str | None:
    """In UTC, to the second, so that times compare as their texts do; without an offset it is UTC."""
    try:
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        return None
    return utc.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def time_text_us(us: int | None) -> str | None:
    """Of microseconds since the epoch."""
    try:
        return None if us is None else time_text(datetime.fromtimestamp(us / 1_000_000, UTC))
    except (OverflowError, ValueError, OSError):
        return None


def keywords_of(text: str) -> tuple[str, ...]:
    """Keywords as programs write them: between commas or semicolons."""
    return tuple(word for part in re.split(r"[,;]", text) if (word := part.strip()))


def encoded(metadata: Metadata) -> str:
    """JSON, the same text for the same metadata."""
    return _encoder.encode(metadata).decode()


def decoded(text: str) -> Metadata:
    """What `encoded` gave; nothing for an empty text."""
    return restored(msgspec.json.decode(text, type=dict[str, object])) if text else {}


def restored(stored: Mapping[str, object]) -> Metadata:
    """What JSON gives back for what was encoded."""
    return {name: _again(value) for name, value in sorted(stored.items())}


def _again(value: object) -> MetadataValue:
    if isinstance(value, list):
        return tuple(cast("Single", _number(v)) for v in cast("list[object]", value))
    return cast("MetadataValue", _number(value))


def _number(value: object) -> object:
    """A large float comes back from the store as a whole number."""
    return float(value) if isinstance(value, int) and abs(value) >= _EXACT else value


def _value(given: object) -> MetadataValue | None:
    if not isinstance(given, list | tuple | set | frozenset):
        return single(given)
    made = distinct(v for one in cast("list[object]", given) if (v := single(one)) is not None)
    return made[:VALUES] or None


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)

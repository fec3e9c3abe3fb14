"""What an Office document of before 2007 states of itself: its property sets ([MS-OLEPS] 2, [MS-OSHARED] 2.3.3)."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator, Mapping

from headrace.errors import BadInput
from headrace.knowledge.formats.compound import UNREADABLE, Compound
from headrace.knowledge.formats.office import Core
from headrace.metadata import keywords_of, metadata_of, time_text_us

_SUMMARY, _DOCUMENT = "\x05SummaryInformation", "\x05DocumentSummaryInformation"
_SUMMARY_NAMES = {
    2: "title", 3: "subject", 4: "author", 5: "keywords", 6: "description", 8: "last_modified_by", 9: "revision",
    11: "lastprinted", 12: "created", 13: "modified",
}  # fmt: skip
_DOCUMENT_NAMES = {2: "category", 27: "status", 28: "language", 29: "version"}
_DICTIONARY, _CODEPAGE = 0, 1
_I2, _I4, _R8, _BOOL, _UI4, _LPSTR, _LPWSTR, _FILETIME = 0x02, 0x03, 0x05, 0x0B, 0x13, 0x1E, 0x1F, 0x40
_FIXED = {_I2: "<h", _I4: "<i", _UI4: "<I", _R8: "<d", _BOOL: "<h"}
_TIMES = ("created", "modified", "lastprinted")
_UNICODE = 1200
_EPOCH_1601_US = 11_644_473_600_000_000
_MOST = 500
"""Properties of a set that are looked at."""
_LONGEST = 4096
"""Bytes of a text: more than is kept."""


class Time(int):
    """Microseconds since the epoch."""


def about(compound: Compound) -> Core:
    """The document's title, time and further properties, in the names that `office.core` gives them. A set that is
    damaged says nothing."""
    said = _named(_sets(compound, _SUMMARY)[:1], _SUMMARY_NAMES)
    document = _sets(compound, _DOCUMENT)
    said |= {k: v for k, v in _named(document[:1], _DOCUMENT_NAMES).items() if k not in said}
    times = {name: said[name] for name in _TIMES if isinstance(said.get(name), Time)}
    dated = next((int(t) for name in ("modified", "created") if isinstance(t := times.get(name), Time)), None)
    title = str(said.get("title") or "")
    shown: dict[str, object] = {k: v for k, v in said.items() if k not in _TIMES}
    shown |= {name: _shown(time) for name, time in times.items()}
    shown["keywords"] = keywords_of(str(said.get("keywords") or ""))
    custom = {name: _shown(value) for section in document[1:2] for name, value in _custom(section)}
    return Core(" ".join(title.split()), dated, metadata_of(custom, shown))


def _shown(value: object) -> object:
    return time_text_us(value) if isinstance(value, Time) else value


def _named(sections: list[_Section], names: Mapping[int, str]) -> dict[str, object]:
    found = {names[id]: section.value(id) for section in sections for id in section.places if id in names}
    return {name: value for name, value in found.items() if value is not None}


def _custom(section: _Section) -> Iterator[tuple[str, object]]:
    """What people have added, by the names of the set's dictionary."""
    for id, name in section.names().items():
        if (value := section.value(id)) is not None:
            yield name, value


def _sets(compound: Compound, name: str) -> list[_Section]:
    """A stream's property sets: one, or two where people have added some."""
    try:
        data = compound.stream(name)
        count = min(struct.unpack_from("<I", data, 24)[0], 2)
        return [_Section(data[struct.unpack_from("<I", data, 44 + 20 * n)[0] :]) for n in range(count)]
    except (BadInput, *UNREADABLE):
        return []


class _Section:
    """A property set: its properties by number."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        count = min(struct.unpack_from("<I", data, 4)[0], _MOST, len(data) // 8 - 1)
        self.places: dict[int, int] = dict(struct.unpack_from("<II", data, 8 + 8 * n) for n in range(count))
        page = self.value(_CODEPAGE)
        self._page = page & 0xFFFF if isinstance(page, int) else 1252
        self._charset = _charset(self._page)

    def value(self, id: int) -> object:
        """None for one of another kind, or that is damaged."""
        try:
            return self._value(self.places[id]) if id in self.places else None
        except UNREADABLE:
            return None

    def _value(self, at: int) -> object:
        (kind,) = struct.unpack_from("<H", self._data, at)
        if kind in _FIXED:
            (number,) = struct.unpack_from(_FIXED[kind], self._data, at + 4)
            return bool(number) if kind == _BOOL else number
        if kind == _FILETIME:
            us = struct.unpack_from("<Q", self._data, at + 4)[0] // 10 - _EPOCH_1601_US
            return Time(us) if us > 0 else None
        if kind in (_LPSTR, _LPWSTR):
            return self._text(at + 4, wide=kind == _LPWSTR)[0]
        return None

    def _text(self, at: int, *, wide: bool, padded: bool = True) -> tuple[str, int]:
        """A text behind its length, and where it ends."""
        (length,) = struct.unpack_from("<I", self._data, at)
        size = length * 2 if wide else length
        raw = self._data[at + 4 : at + 4 + min(size, _LONGEST)]
        end = at + 4 + size
        text = raw.decode("utf-16-le" if wide else self._charset, "replace").partition("\0")[0].strip()
        return text, end + (-end % 4 if wide and padded else 0)

    def names(self) -> dict[int, str]:
        """The dictionary ([MS-OLEPS] 2.17): number to name."""
        found: dict[int, str] = {}
        at = self.places.get(_DICTIONARY)
        if at is None:
            return found
        try:
            (count,) = struct.unpack_from("<I", self._data, at)
            at += 4
            for _ in range(min(count, _MOST)):
                (id,) = struct.unpack_from("<I", self._data, at)
                found[id], at = self._text(at + 4, wide=self._page == _UNICODE)
        except UNREADABLE:
            return found
        return found


def _charset(page: int) -> str:
    if page in (_UNICODE, 65001):
        return "utf-16-le" if page == _UNICODE else "utf-8"
    try:
        return codecs.lookup("mac-roman" if page == 10000 else f"cp{page}").name
    except LookupError:
        return "cp1252"

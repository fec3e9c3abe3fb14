"""Values that were found once, wherever else they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from headrace.redaction import Detection

_WORD = re.compile(r"\w+")
_LEAST = 4
_KINDS = frozenset(
    {"name", "phone", "passport", "driver_license", "secret", "url_credentials", "email", "us_ssn", "card", "iban"}
)
"""Kinds whose values mean nothing else where they stand without a context."""
SCORE = 0.5


class Echoes:
    """Kinds and values, found again word for word in time that grows with the text and not with their number."""

    def __init__(self, values: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, dict[int, dict[str, str]]] = {}
        for kind, value in values:
            first = _WORD.search(value)
            if kind in _KINDS and first and _tells(kind, value):
                lengths = self._values.setdefault(first[0], {})
                lengths.setdefault(len(value) - first.start(), {})[value[first.start() :]] = kind

    def joined(self, other: Echoes) -> Echoes:
        return Echoes((*self._all(), *other._all()))

    def find(self, text: str) -> Iterator[Detection]:
        if not self._values:
            return
        for word in _WORD.finditer(text):
            lengths: Mapping[int, Mapping[str, str]] = self._values.get(word[0], {})
            for length, values in lengths.items():
                start, end = word.start(), word.start() + length
                kind = values.get(text[start:end])
                if kind and not (text[end - 1].isalnum() and text[end : end + 1].isalnum()):
                    yield Detection(start, end, kind, SCORE)

    def _all(self) -> Iterator[tuple[str, str]]:
        for lengths in self._values.values():
            for values in lengths.values():
                for value, kind in values.items():
                    yield kind, value


def _tells(kind: str, value: str) -> bool:
    """A short number or a single name may be anything: `Will` is a word too."""
    return " " in value.strip() if kind == "name" else len(value) >= _LEAST

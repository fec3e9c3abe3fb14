"""Adapter: patterns with checksums and context words; needs nothing but Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from headrace.errors import ConfigError
from headrace.redaction import Detection
from headrace.redaction.columns import cells
from headrace.redaction.patterns import LEAST, NUMBERS, REACH, RUN, TEXTS, Rule
from headrace.redaction.people import ADDRESSES, NAMES

VERSION = 1
"""Goes up with every change that finds other things."""
_ALL = (*TEXTS, *NAMES, *ADDRESSES)


class Rules:
    """Implements `headrace.redaction.Detector`."""

    id = f"rules:{VERSION}"
    slow = False

    def detect(self, text: str) -> Sequence[Detection]:
        found = [d for rule in _ALL for d in _found(rule, text, 0, len(text))]
        for run in RUN.finditer(text):
            if sum(c.isdecimal() for c in run[0]) >= LEAST:
                end = min(run.end() + 12, len(text))
                found += [d for rule in NUMBERS for d in _found(rule, text, run.start(), end)]
        return [*found, *cells(text)]


def _found(rule: Rule, text: str, start: int, end: int) -> Iterator[Detection]:
    for first, last in rule.find(text, start, end):
        if rule.context is None or rule.context.search(text, max(0, first - REACH), first):
            yield Detection(first, last, rule.kind, rule.score)


def open_detector(url: str) -> Rules:
    """The detector of `rules:`. Raises ConfigError."""
    if urlsplit(url)[1:] != ("", "", "", ""):
        raise ConfigError(
            step="open the detector", expected="rules:", got=url, remedy="Correct `detectors` of that source."
        )
    return Rules()

"""A parsed document without what its source's policy hides, its places still right."""

from __future__ import annotations

from dataclasses import replace

from headrace.knowledge.parsed import Parsed, Span
from headrace.place import Place
from headrace.redaction.echoes import Echoes
from headrace.redaction.policy import Redacted, Redactor
from headrace.stores.values import Failure

VERSION = 1
"""Raised when the same detections may leave another text."""


def cleared(parsed: Parsed, redactor: Redactor) -> Parsed:
    """Text, title, headings and names of sheets and members redacted; offsets are those of the new text. A value that
    the text tells is hidden in the others too. Raises BadInput, RedactionError."""
    done = redactor.redact(parsed.text)

    def short(text: str) -> str:
        return redactor.redact(text, done.echoes).text

    outline = tuple((done.moved(at), level, short(words)) for at, level, words in parsed.outline)
    spans = _spans(parsed, done, redactor)
    return replace(parsed, title=short(parsed.title), text=done.text, spans=spans, outline=outline)


def cleared_failure(failure: Failure, redactor: Redactor) -> Failure:
    """What went wrong, without the values at which it did."""
    return replace(failure, got=redactor.redact(failure.got).text)


def _spans(parsed: Parsed, done: Redacted, redactor: Redactor) -> tuple[Span, ...]:
    """A value over the end of a page belongs to the page on which it begins."""
    named: dict[Place, Place] = {}
    found: list[Span] = []
    last = 0
    for span in parsed.spans:
        if span.place not in named:
            named[span.place] = _named(span.place, redactor, done.echoes)
        start, end = max(last, done.moved(span.start)), done.moved(span.end, end=True)
        if start < end:
            found.append(Span(start, end, named[span.place]))
            last = end
    return tuple(found)


def _named(place: Place, redactor: Redactor, echoes: Echoes) -> Place:
    sheet = redactor.redact(place.sheet, echoes).text if place.sheet else place.sheet
    member = redactor.redact(place.member, echoes).text if place.member else place.member
    return replace(place, sheet=sheet, member=member)

"""What of a parsed document's form is not in its text, packed to be kept beside it."""

from __future__ import annotations

import msgspec

from headrace.knowledge.parsed import PLAIN, Parsed, Span
from headrace.metadata import Metadata
from headrace.place import Place


class _Layout(msgspec.Struct, array_like=True):
    markdown: bool
    places: list[Place]
    spans: list[tuple[int, int, int]]
    """(start, end, number of its place)."""
    outline: list[tuple[int, int, str]]
    stated: bool = True


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Layout)


def packed(parsed: Parsed) -> bytes:
    """Never empty."""
    places = {place: n for n, place in enumerate(dict.fromkeys(s.place for s in parsed.spans))}
    spans = [(s.start, s.end, places[s.place]) for s in parsed.spans]
    return _encoder.encode(_Layout(parsed.markdown, list(places), spans, list(parsed.outline), parsed.stated))


def unpacked(layout: bytes, title: str, text: str, media: str | None, dated: int | None, metadata: Metadata) -> Parsed:
    """The document again. Raises msgspec.MsgspecError for what is no layout."""
    told = _decoder.decode(layout)
    spans = tuple(Span(start, end, told.places[n]) for start, end, n in told.spans)
    return Parsed(title, text, told.markdown, media or PLAIN, spans, tuple(told.outline), dated, told.stated, metadata)

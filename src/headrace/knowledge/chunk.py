"""Texts to chunks of at most so many tokens of the model, cut at the text's own structure."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from headrace.knowledge.counting import counter
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.parsed import Parsed, Span
from headrace.knowledge.sections import Fits, Heading, sections
from headrace.knowledge.stretches import stretches
from headrace.knowledge.tables import UNDER, Table, header_at, tables
from headrace.place import Place

VERSION = 3
"""Raised when the same text may be cut, or embedded under its headings, otherwise."""
CHUNK_TOKENS = 200
_TOKEN = 64
"""Characters of a token, at most, where it is only asked whether a text can fit a chunk."""
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
# A table's row, a quotation, an item of a list.
_MARK = re.compile(r"^ {0,3}(?:\||>|[-*+][ \t]|\d{1,9}[.)][ \t])", re.MULTILINE)
MARKED = 20
"""One line in so many of a text is marked at least that is Markdown, and not one that happens to have a dash."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk's place in its text (characters), its words, the headings above it (outermost first; the names of the
    columns last where it begins among a table's rows), and where in the file it stands."""

    start: int
    end: int
    text: str
    heading: str
    place: Place | None = None


def chunk(parsed: Parsed, tokenizer: Tokenizer, tokens: int = CHUNK_TOKENS) -> list[Piece]:
    """Chunks of at most so many tokens, in order; together they cover all of the text that is not white space.

    A chunk may go on over a page's end, but never over that of a slide, a sheet or a packed file.
    """
    above = list(parsed.outline) or (headings(parsed.text) if parsed.markdown else [])
    splitter = _splitter(tokenizer, parsed.markdown and _structured(parsed.text, above), tokens)
    named = tables(parsed.text)
    fits = _fits(parsed.text, tokenizer, tokens)
    pieces: list[Piece] = []
    for first, last in _parts(parsed):
        inside = above[bisect_left(above, first, key=_at) : bisect_left(above, last, key=_at)]
        path = _Path(inside)
        for start, text in _cut(parsed, first, last, inside, splitter, fits):
            end = start + len(text)
            heading = _under(path.to(start), start, named)
            pieces.append(Piece(start, end, text, heading, _place(parsed.spans, start, end)))
    return pieces


def _cut(
    parsed: Parsed, first: int, last: int, above: Sequence[Heading], splitter: MarkdownSplitter | TextSplitter,
    fits: Fits,
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """Where chunks begin, and their texts. A splitter knows the headings of Markdown only: other ones are cut at
    before it sees the text."""
    starts = [h[0] for h in above]
    own = sections(first, last, above, fits) if parsed.outline and not parsed.markdown else ((first, last),)
    for begin, until in own:
        for start, end in stretches(parsed.text, begin, until, starts):
            for offset, text in splitter.chunk_indices(parsed.text[start:end]):
                if text.strip():
                    yield start + offset, text


def _fits(text: str, tokenizer: Tokenizer, tokens: int) -> Fits:
    count = _counter(tokenizer, tokens)

    def fits(start: int, end: int) -> bool:
        if end - start > tokens * _TOKEN:
            return False
        part = text[start:end]
        return (count(part) if count else len(tokenizer.encode(part, add_special_tokens=False).ids)) <= tokens

    return fits


def _at(heading: Heading) -> int:
    return heading[0]


def _under(path: str, start: int, named: Sequence[Table]) -> str:
    """The headings above a chunk, and the header of the table that it begins in the middle of."""
    header = header_at(named, start)
    return UNDER.join(part for part in (path, header) if part)


def _structured(text: str, headings: Sequence[object]) -> bool:
    """Whether there is anything that Markdown would keep together. Without it a text is cut as a plain one, in which a
    line's end counts: in Markdown it is a blank like any other."""
    if headings or _FENCE.search(text):
        return True
    return sum(1 for _ in _MARK.finditer(text)) * MARKED > text.count("\n")


class _Path:
    """The headings above a place, outermost first; places are asked for in order."""

    def __init__(self, headings: Sequence[tuple[int, int, str]]) -> None:
        self._ahead = deque(headings)
        self._path: list[tuple[int, str]] = []

    def to(self, place: int) -> str:
        while self._ahead and self._ahead[0][0] <= place:
            _, level, words = self._ahead.popleft()
            while self._path and self._path[-1][0] >= level:
                self._path.pop()
            self._path.append((level, words))
        return UNDER.join(words for _, words in self._path)


def _parts(parsed: Parsed) -> Iterator[tuple[int, int]]:
    """Stretches of the text that are cut into chunks each by itself."""
    start = 0
    before: Span | None = None
    for span in parsed.spans:
        goes_on = before is not None and _whole(before.place) == _whole(span.place)
        if not goes_on and span.start > start:
            yield start, span.start
            start = span.start
        before = span
    yield start, len(parsed.text)


def _whole(place: Place) -> Place:
    """What a chunk must not leave."""
    return Place(slide=place.slide, sheet=place.sheet, member=place.member)


def _place(spans: Sequence[Span], start: int, end: int) -> Place | None:
    """Where a chunk begins, and on which page it ends."""
    first = bisect_right(spans, start, key=lambda s: s.end)
    last = bisect_left(spans, end, key=lambda s: s.start) - 1
    if first > last:
        return None
    place, until = spans[first].place, spans[last].place.page
    return replace(place, last_page=until) if until != place.page else place


_counter = lru_cache(maxsize=8)(counter)
"""One of a tokenizer and a size: it remembers words."""


@lru_cache(maxsize=8)
def _splitter(tokenizer: Tokenizer, markdown: bool, tokens: int) -> MarkdownSplitter | TextSplitter:
    kind = MarkdownSplitter if markdown else TextSplitter
    count = _counter(tokenizer, tokens)
    if count is None:
        return kind.from_huggingface_tokenizer(tokenizer, tokens)
    return kind.from_callback(count, tokens)

"""How a Word 97-2003 file formats its paragraphs and characters ([MS-DOC] 2.4.6)."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headrace.knowledge.formats.doc_styles import LIST, Modifiers, Style, modifiers, style_of, styles
from headrace.knowledge.formats.doc_text import Document

_STYLES, _CHARACTER_PAGES, _PARAGRAPH_PAGES = 1, 12, 13
_PAGE = 512

# Single property modifiers ([MS-DOC] 2.6.1, 2.6.2).
_IN_TABLE, _ROW_END, _HUGE = 0x2416, 0x2417, (0x6645, 0x6646)
_DELETED, _HIDDEN, _SYMBOL = 0x0800, 0x083C, 0x6A09


@dataclass(frozen=True, slots=True)
class Paragraph:
    level: int | None
    listed: int | None
    in_table: bool
    row_end: bool


class Properties:
    """What is known of a file's paragraphs and characters; what is damaged counts as plain text."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._data = b""
        self._styles = styles(document.structure(_STYLES))
        self._runs = _Runs(document, _PARAGRAPH_PAGES, _paragraph_runs)
        self._known: dict[int, Paragraph] = {}

    def paragraph(self, mark: int) -> Paragraph:
        """Of the paragraph that a character ends."""
        at = self._runs.find(self._document.where(mark))
        if at not in self._known:
            self._known[at] = self._read(at)
        return self._known[at]

    def _read(self, at: int) -> Paragraph:
        """PapxInFkp ([MS-DOC] 2.9), at an offset in the stream; 0 for none."""
        main = self._document.main
        if not at or at + 4 > len(main):
            return Paragraph(None, None, in_table=False, row_end=False)
        size, begin = (main[at] * 2 - 1, at + 1) if main[at] else (main[at + 1] * 2, at + 2)
        (number,) = struct.unpack_from("<H", main, begin)
        said = modifiers(main[begin + 2 : begin + size])
        place = next((said[h] for h in _HUGE if h in said), None)
        if place is not None:
            said = {**said, **self._huge(place)}
        style = self._styles.get(number, Style())
        own = style_of(said)
        level = style.level if style.level is not None else own.level
        listed = own.listed if LIST in said else style.listed
        return Paragraph(level, listed, bool(said.get(_IN_TABLE)), bool(said.get(_ROW_END)))

    def _huge(self, place: int) -> Modifiers:
        """Properties in the Data stream (PrcData in [MS-DOC] 2.9)."""
        self._data = self._data or self._document.data()
        if place + 2 > len(self._data):
            return {}
        (size,) = struct.unpack_from("<H", self._data, place)
        return modifiers(self._data[place + 2 : place + 2 + size])

    def left_out(self) -> Iterator[tuple[int, int]]:
        """Characters (from, to before) that are deleted, hidden, or a sign of a font that has its own."""
        runs = _Runs(self._document, _CHARACTER_PAGES, _cut_runs)
        for piece in self._document.pieces:
            for begin, end in runs.within(piece.at, piece.at + (piece.last - piece.first) * piece.width):
                first, last = (piece.first + (b - piece.at) // piece.width for b in (begin, end))
                if last > first:
                    yield first, last


class _Runs:
    """Stretches of the stream, ascending, with the offset of their properties."""

    def __init__(self, document: Document, index: int, read: Callable[[bytes, int], Iterator[tuple[int, int, int]]]):
        main = document.main
        pages = {(struct.unpack("<I", d)[0] & 0x3FFFFF) * _PAGE for d in document.plc(index, 4)[1]}
        begins = {struct.unpack_from("<I", main, page)[0]: page for page in pages if page + _PAGE <= len(main)}
        self._begins, self._ends, self._at = array("Q"), array("Q"), array("Q")
        last = 0
        for _, page in sorted(begins.items()):
            for begin, end, at in read(main, page):
                if last <= begin < end:
                    self._begins.append(begin)
                    self._ends.append(end)
                    self._at.append(at)
                    last = end

    def find(self, place: int) -> int:
        """Where the properties of the stretch are that holds an offset; 0 for none."""
        n = bisect_right(self._begins, place) - 1
        return self._at[n] if n >= 0 and place < self._ends[n] else 0

    def within(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        n = max(bisect_right(self._begins, begin) - 1, 0)
        while n < len(self._begins) and self._begins[n] < end:
            if self._ends[n] > begin:
                yield max(self._begins[n], begin), min(self._ends[n], end)
            n += 1


def _paragraph_runs(main: bytes, page: int) -> Iterator[tuple[int, int, int]]:
    """A PapxFkp ([MS-DOC] 2.9): offsets, 13 bytes for each stretch, and its number of stretches at the end."""
    count = min(main[page + _PAGE - 1], 29)
    places = struct.unpack_from(f"<{count + 1}I", main, page)
    for n in range(count):
        at = main[page + 4 * (count + 1) + 13 * n] * 2
        yield places[n], places[n + 1], page + at if at else 0


def _cut_runs(main: bytes, page: int) -> Iterator[tuple[int, int, int]]:
    """The stretches of a ChpxFkp ([MS-DOC] 2.9) that do not belong to the text."""
    count = min(main[page + _PAGE - 1], 101)
    places = struct.unpack_from(f"<{count + 1}I", main, page)
    for n in range(count):
        at = page + main[page + 4 * (count + 1) + n] * 2
        said = modifiers(main[at + 1 : at + 1 + main[at]] if at > page else b"")
        if said.get(_DELETED) == 1 or said.get(_HIDDEN) == 1 or _SYMBOL in said:
            yield places[n], places[n + 1], at

"""What PDFium tells of a page: its lines and tables, and the size of their letters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from ctypes import c_double
from math import atan2, hypot, isfinite, pi

import pypdfium2 as pdfium
from pypdfium2 import raw

from headrace.knowledge.formats.pdf_headings import Line
from headrace.knowledge.formats.pdf_lines import HYPHEN, Piece, laid, lines, owners
from headrace.knowledge.formats.pdf_rulings import FAR, Sides, rulings
from headrace.knowledge.formats.pdf_tables import Box, Edge, joined

_LETTERS = 20_000
"""Characters up to which a page's tables are looked for."""
_SAMPLE = 24


class Page:
    """An open page's text; its numbers of characters are PDFium's."""

    def __init__(self, page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> None:
        self._page = page
        self._text = textpage
        self._matrix = raw.FS_MATRIX()
        self._rotation = raw.FPDFPage_GetRotation(page) % 4

    def pieces(self) -> list[Piece]:
        """The page's lines and tables in the order of its content."""
        text, places = self._characters()
        if not 0 < len(text) <= _LETTERS:
            return lines(text)
        turn = None
        level, upright = rulings(self._page)
        if len(level) + len(upright) >= 3:
            turn = self._turn(text, places)
            level, upright = _turned(level, upright, turn)
            level, upright = joined(level), joined(upright)
        found = lines(text)
        if turn is not None and len(level) >= 2 and len(level) + len(upright) >= 3:
            tables, owned = owners(self._boxes(text, places, turn), level, upright)
            found = laid(text, tables, owned) if tables else found
        if isinstance(places, range):
            return found
        return [p if p.first < 0 else Piece(p.text, places[p.first], places[p.last]) for p in found]

    def _characters(self) -> tuple[str, Sequence[int]]:
        """The text and each character's number. PDFium writes what has no Unicode value as it writes a cut word's
        hyphen; it is left out."""
        text = self._text.get_text_range()
        count = self._text.count_chars()
        units = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
        if units == count == len(text):
            hyphens = (m.start() for m in re.finditer(HYPHEN, text))
            if all(raw.FPDFText_IsHyphen(self._text, n) == 1 for n in hyphens):
                return text, range(count)
        kept: list[str] = []
        places: list[int] = []
        unit = 0
        for char in text:
            place = unit if units == count else raw.FPDFText_GetCharIndexFromTextIndex(self._text, unit)
            unit += 2 if char > "\uffff" else 1
            if char != HYPHEN or raw.FPDFText_IsHyphen(self._text, place) == 1:
                kept.append(char)
                places.append(place)
        return "".join(kept), places

    def _boxes(self, text: str, places: Sequence[int], turn: int) -> list[Box | None]:
        """Where the visible characters stand, turned as they are read."""
        sides = c_double(), c_double(), c_double(), c_double()
        left, right, bottom, top = sides
        found: list[Box | None] = []
        for char, place in zip(text, places, strict=True):
            if char.isspace() or not raw.FPDFText_GetCharBox(self._text, place, left, right, bottom, top):
                found.append(None)
                continue
            found.append(_turned_box(left.value, bottom.value, right.value, top.value, turn))
        return found

    def _turn(self, text: str, places: Sequence[int]) -> int:
        """How many quarters of a turn, against the clock, most of the text is turned by."""
        counts = [0, 0, 0, 0]
        matrix = self._matrix
        visible = [place for char, place in zip(text, places, strict=True) if not char.isspace()]
        for place in visible[:: max(len(visible) // _SAMPLE, 1)]:
            if raw.FPDFText_GetMatrix(self._text, place, matrix) and isfinite(matrix.a + matrix.b):
                counts[round(atan2(matrix.b, matrix.a) * 2 / pi) % 4] += 1
        return counts.index(max(counts))

    def size(self, place: int) -> tuple[float, float]:
        """A character's type size, 0 where it is not upright on the page, and its height on the page; points.

        The height of PDFium's loose box is no measure: it is that of the font's own ascent and descent.
        """
        matrix = self._matrix
        if place < 0 or not raw.FPDFText_GetMatrix(self._text, place, matrix):
            return 0.0, 0.0
        a, b, c, d = matrix.a, matrix.b, matrix.c, matrix.d
        turned = (a, b, -a, -b)[self._rotation]
        if turned < 0.9 * hypot(a, b):
            return 0.0, 0.0
        y = (matrix.f, -matrix.e, -matrix.f, matrix.e)[self._rotation]
        size = raw.FPDFText_GetFontSize(self._text, place) * hypot(c, d)
        return (size, y) if 0 < size < FAR and -FAR < y < FAR else (0.0, 0.0)


def measured(
    reading: Page, places: list[tuple[int, int, Piece]], start: int, page: int, weights: Counter[float]
) -> list[Line]:
    """A page's lines with their sizes, that of the smaller end of a line that begins with a large letter.

    `weights`: characters of each size before this page; this page's are added. A line that begins with a small letter
    goes on with the one above, and if that is no heading it is not measured: asking PDFium is slow.
    """
    usual = weights.most_common(1)[0][0] if weights else 0.0
    found: list[Line] = []
    size = y = 0.0
    for at, end, piece in places:
        if not (0 < size <= usual and piece.text[:1].islower()):
            size, y = reading.size(piece.first)
        least = min(size, reading.size(piece.last)[0]) if size > usual else size
        weights[size] += end - at
        found.append(Line(start + at, start + end, page, least, y))
    return found


def _turned_box(left: float, bottom: float, right: float, top: float, turn: int) -> Box:
    match turn:
        case 1:
            return Box(bottom, -right, top, -left)
        case 2:
            return Box(-right, -top, -left, -bottom)
        case 3:
            return Box(-top, left, -bottom, right)
        case _:
            return Box(left, bottom, right, top)


def _turned(level: list[Edge], upright: list[Edge], turn: int) -> Sides:
    def mirrored(edges: list[Edge]) -> list[Edge]:
        return [Edge(-e.at, e.start, e.end) for e in edges]

    def reversed_(edges: list[Edge]) -> list[Edge]:
        return [Edge(e.at, -e.end, -e.start) for e in edges]

    match turn:
        case 1:
            return mirrored(upright), reversed_(level)
        case 2:
            return mirrored(reversed_(level)), mirrored(reversed_(upright))
        case 3:
            return reversed_(upright), mirrored(level)
        case _:
            return level, upright

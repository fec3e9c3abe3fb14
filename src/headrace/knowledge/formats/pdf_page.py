"""What PDFium tells of a page: its lines and tables, the size of their letters, its rulings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ctypes import c_double, c_float, c_int
from itertools import pairwise
from math import atan2, hypot, isfinite, pi

import pypdfium2 as pdfium
from pypdfium2 import raw

from headrace.knowledge.formats.pdf_lines import HYPHEN, Piece, laid, lines, owners
from headrace.knowledge.formats.pdf_tables import SNAP, Box, Edge, joined

_PATHS = 5000
"""Paths in a page; more are a drawing."""
_OBJECTS = 50_000
_SEGMENTS = 20_000
_DEPTH = 5
_LETTERS = 20_000
"""Characters up to which a page's tables are looked for."""
_SAMPLE = 24
_FAR = 1e5
"""Points beyond which nothing is on a page; a file may name any number, and more than PDFium can reckon with."""
Matrix = tuple[float, float, float, float, float, float]
"""a b c d e f (ISO 32000-1, 8.3.3)."""
Point = tuple[float, float]
Sides = tuple[list[Edge], list[Edge]]
"""Horizontal and vertical rulings."""


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
        level, upright = _rulings(self._page)
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
        return (size, y) if 0 < size < _FAR and -_FAR < y < _FAR else (0.0, 0.0)


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


def _rulings(page: pdfium.PdfPage) -> Sides:
    """Stroked lines, thin filled rectangles, and the sides of larger ones; none of a page that is a drawing."""
    level: list[Edge] = []
    upright: list[Edge] = []
    paths = segments = 0
    for path, matrix in _paths(page):
        count = raw.FPDFPath_CountSegments(path)
        paths, segments = paths + 1, segments + max(count, 0)
        if paths > _PATHS or segments > _SEGMENTS:
            return [], []
        filled, stroked = c_int(), c_int()
        if not raw.FPDFPath_GetDrawMode(path, filled, stroked) or not (filled.value or stroked.value):
            continue
        for points in _outlines(path, count, matrix):
            if not all(-_FAR < x < _FAR and -_FAR < y < _FAR for x, y in points):
                continue
            for a, b in _sides(points, bool(stroked.value)):
                if abs(a[1] - b[1]) <= 0.5:
                    level.append(Edge((a[1] + b[1]) / 2, min(a[0], b[0]), max(a[0], b[0])))
                elif abs(a[0] - b[0]) <= 0.5:
                    upright.append(Edge((a[0] + b[0]) / 2, min(a[1], b[1]), max(a[1], b[1])))
    return level, upright


def _paths(page: pdfium.PdfPage) -> Iterator[tuple[raw.FPDF_PAGEOBJECT, Matrix]]:
    """The page's paths, those of form XObjects too, with what maps their points to the page."""
    seen = 0
    level: list[tuple[raw.FPDF_PAGEOBJECT | None, Matrix]] = [(None, (1, 0, 0, 1, 0, 0))]
    for _ in range(_DEPTH):
        deeper: list[tuple[raw.FPDF_PAGEOBJECT | None, Matrix]] = []
        for form, matrix in level:
            count = raw.FPDFPage_CountObjects(page) if form is None else raw.FPDFFormObj_CountObjects(form)
            for n in range(min(count, _OBJECTS - seen)):
                each = raw.FPDFPage_GetObject(page, n) if form is None else raw.FPDFFormObj_GetObject(form, n)
                kind = raw.FPDFPageObj_GetType(each)
                if kind == raw.FPDF_PAGEOBJ_PATH:
                    yield each, _composed(_matrix(each), matrix)
                elif kind == raw.FPDF_PAGEOBJ_FORM:
                    deeper.append((each, _composed(_matrix(each), matrix)))
            seen += max(count, 0)
        level = deeper


def _matrix(each: raw.FPDF_PAGEOBJECT) -> Matrix:
    found = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(each, found):
        return (1, 0, 0, 1, 0, 0)
    return (found.a, found.b, found.c, found.d, found.e, found.f)


def _composed(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    m, n, o, p, q, r = then
    return (a * m + b * o, a * n + b * p, c * m + d * o, c * n + d * p, e * m + f * o + q, e * n + f * p + r)


def _outlines(path: raw.FPDF_PAGEOBJECT, count: int, matrix: Matrix) -> Iterator[list[Point]]:
    """The path's parts that are made of straight lines, as their points; curves end a part."""
    a, b, c, d, e, f = matrix
    x, y = c_float(), c_float()
    points: list[Point] = []
    for n in range(count):
        segment = raw.FPDFPath_GetPathSegment(path, n)
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind != raw.FPDF_SEGMENT_LINETO and points:
            yield points
            points = []
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        points.append((a * x.value + c * y.value + e, b * x.value + d * y.value + f))
        if raw.FPDFPathSegment_GetClose(segment):
            points.append(points[0])
    if points:
        yield points


def _sides(points: list[Point], stroked: bool) -> Iterator[tuple[Point, Point]]:
    """Each line that is drawn; of an area that is only filled, its sides if it is a rectangle."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    if stroked:
        yield from pairwise(points)
        return
    corners = 4 <= len(points) <= 6 and all(min(x - left, right - x) + min(y - bottom, top - y) < 1 for x, y in points)
    if not corners:
        return
    if top - bottom <= SNAP:
        yield (left, (bottom + top) / 2), (right, (bottom + top) / 2)
    elif right - left <= SNAP:
        yield ((left + right) / 2, bottom), ((left + right) / 2, top)
    else:
        yield (left, bottom), (right, bottom)
        yield (left, top), (right, top)
        yield (left, bottom), (left, top)
        yield (right, bottom), (right, top)

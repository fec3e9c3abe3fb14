"""The rulings that PDFium draws on a page: lines, and the sides of rectangles (ISO 32000-1, 8.5)."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import c_float, c_int
from itertools import pairwise

import pypdfium2 as pdfium
from pypdfium2 import raw

from headrace.knowledge.formats.pdf_tables import SNAP, Edge

FAR = 1e5
"""Points beyond which nothing is on a page; a file may name any number, and more than PDFium can reckon with."""
_PATHS = 5000
"""Paths in a page; more are a drawing."""
_OBJECTS = 50_000
_SEGMENTS = 20_000
_DEPTH = 5
Matrix = tuple[float, float, float, float, float, float]
"""a b c d e f (ISO 32000-1, 8.3.3)."""
Point = tuple[float, float]
Sides = tuple[list[Edge], list[Edge]]
"""Horizontal and vertical rulings."""


def rulings(page: pdfium.PdfPage) -> Sides:
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
            if not all(-FAR < x < FAR and -FAR < y < FAR for x, y in points):
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

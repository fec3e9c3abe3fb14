"""Tables of a page that hold data, as rows of equal length; those that only lay out a page are not among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lxml.html import HtmlElement

from headrace.knowledge.formats.html_seen import BLOCKS, left_out, tag_of

_CELLS = frozenset({"td", "th"})
_LAYOUT = frozenset({"presentation", "none"})
_GROUPS = {"thead": 0, "tfoot": 2}
_WIDEST = 50
"""Columns that one cell may be wide."""
_REPEATED = 200
"""Characters of a cell that are repeated in each of its rows, at most."""
_SPARSE, _SMALL = 4, 10_000
"""A table that has so many times more places than cells, and more than that many, is no grid."""
_LONG_TEXT, _LONG_DATA = 500, 4000
"""A cell of several blocks and more characters is a part of the page, in a table without and with headers."""


@dataclass(frozen=True, slots=True)
class _Cell:
    element: HtmlElement
    columns: int
    rows: int


def grid(table: HtmlElement, read: Callable[[HtmlElement], str]) -> list[list[str]] | None:
    """A data table's rows, head first and foot last, and what `read` gives for each cell; None for another table.

    `table` has no table and no heading inside. A cell over several rows is repeated in each where it is short; over
    several columns it stands in the first (HTML 4.9.12.1).
    """
    if table.get("role") in _LAYOUT:
        return None
    rows = [[_Cell(c, _span(c, "colspan"), _span(c, "rowspan")) for c in _cells(row)] for row in _rows(table)]
    if sum(len(row) > 1 or any(c.columns > 1 for c in row) for row in rows) < 2:
        return None
    headed = any(c.element.tag == "th" for row in rows for c in row)
    blocks = {id(c): _has_blocks(c.element) for row in rows for c in row}
    if any(blocks.values()) and not headed and len({sum(c.columns for c in row) for row in rows}) > 1:
        return None
    long = _LONG_DATA if headed else _LONG_TEXT
    texts: dict[int, str] = {}
    for cell in (c for row in rows for c in row):
        text = texts[id(cell)] = read(cell.element)
        if blocks[id(cell)] and len(text) > long:
            return None
    return _filled(rows, texts)


def _rows(table: HtmlElement) -> list[HtmlElement]:
    """In the order in which they are shown (CSS 2.2, 17.2)."""
    found: list[tuple[int, HtmlElement]] = []
    for row in table.iter("tr"):
        group = row.getparent()
        tag = tag_of(group) if group is not None else ""
        if not left_out(row, "tr", aside=False) and (group is None or not left_out(group, tag, aside=False)):
            found.append((_GROUPS.get(tag, 1), row))
    return [row for _, row in sorted(found, key=lambda f: f[0])]


def _cells(row: HtmlElement) -> list[HtmlElement]:
    return [c for c in row if tag_of(c) in _CELLS and not left_out(c, tag_of(c), aside=False)]


def _has_blocks(cell: HtmlElement) -> bool:
    return any(e is not cell and e.tag in BLOCKS and e.tag != "br" for e in cell.iter())


def _filled(rows: list[list[_Cell]], texts: dict[int, str]) -> list[list[str]] | None:
    """Each text in its columns; None where nearly all of them would be empty."""
    most = max(_SMALL, _SPARSE * len(texts))
    repeated = _SMALL + sum(map(len, texts.values()))  # characters, in all
    held: dict[int, tuple[int, str]] = {}  # column -> in how many further rows, what
    filled: list[list[str]] = []
    for row in rows:
        line, below = _line(row, held, texts)
        repeated -= sum(len(text) for _, text in held.values())
        held = below if repeated > 0 else {}
        filled.append(line)
        most -= len(line)
        if most < 0:
            return None
    width = max(map(len, filled))
    if width * len(filled) > max(_SMALL, _SPARSE * len(texts)):
        return None
    return [[*line, *[""] * (width - len(line))] for line in filled]


def _line(
    row: list[_Cell], held: dict[int, tuple[int, str]], texts: dict[int, str]
) -> tuple[list[str], dict[int, tuple[int, str]]]:
    """A row's texts, those of cells that go on from above among them, and what goes on below it."""
    line: list[str] = []
    below: dict[int, tuple[int, str]] = {}
    last = max(held, default=-1)
    cells = iter(row)
    while True:
        column = len(line)
        if column in held:
            rows, text = held[column]
            put = [(rows - 1, text)]
        elif cell := next(cells, None):
            text = texts[id(cell)]
            rows = cell.rows - 1
            put = [(rows, text if len(text) <= _REPEATED else ""), *[(rows, "")] * (cell.columns - 1)]
        elif column <= last:
            text, put = "", [(0, "")]
        else:
            return line, below
        line += [text, *[""] * (len(put) - 1)]
        below |= {column + n: kept for n, kept in enumerate(put) if kept[0] > 0}


def _span(cell: HtmlElement, name: str) -> int:
    text = (cell.get(name) or "").strip()
    most = _WIDEST if name == "colspan" else 65_534  # HTML 4.9.11
    return max(1, min(int(text), most)) if text.isascii() and text.isdigit() and len(text) < 9 else 1

"""A PDF page's characters in lines and tables, and these as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from headrace.knowledge.formats.pdf_gutters import apart, spaced
from headrace.knowledge.formats.pdf_tables import Box, Edge, Grid, grids
from headrace.knowledge.formats.table import table

HYPHEN = "\ufffe"  # PDFium's sign for a hyphen at a line's end
_CUT = re.compile(HYPHEN + r"\n?")
Owner = tuple[int, tuple[int, int]]
"""A table's number and its cell (row, column)."""


class Piece(NamedTuple):
    """A line of a page, or a table of it. `first`, `last`: numbers of a line's first and last visible character."""

    text: str
    first: int = -1
    last: int = -1
    is_table: bool = False


def lines(text: str, start: int = 0) -> list[Piece]:
    """Text in lines; its characters are counted from `start`."""
    found: list[Piece] = []
    at = start
    for line in text.split("\n"):
        end = line.rstrip()
        first = at + len(end) - len(end.lstrip()) if end else -1
        found.append(Piece(end.replace("\r", "\n"), first, at + len(end) - 1 if end else -1))
        at += len(line) + 1
    return found


def owners(
    boxes: Sequence[Box | None], horizontal: Sequence[Edge], vertical: Sequence[Edge]
) -> tuple[list[Grid], list[Owner | None]]:
    """The tables of a page, and for each of its characters the one cell in which it stands, if any.

    `boxes`: of the visible characters, in the order of the text; white ones (None) belong to what is before them.
    """
    owned: list[Owner | None] = [None] * len(boxes)
    found: list[Grid] = []
    for grid in grids(horizontal, vertical):
        _own(grid, found, boxes, owned)
    free = [box for box, owner in zip(boxes, owned, strict=True) if box is not None and owner is None]
    for grid in spaced(horizontal, vertical, free):
        _own(grid, found, boxes, owned)
    before: Owner | None = None
    for n, box in enumerate(boxes):
        if box is None:
            owned[n] = before
        before = owned[n]
    return found, owned


def _own(grid: Grid, found: list[Grid], boxes: Sequence[Box | None], owned: list[Owner | None]) -> None:
    """Gives a grid the characters in it that have no table yet, if these make it one."""
    inside: list[tuple[int, Box, tuple[int, int]]] = []
    for n, box in enumerate(boxes):
        if box is not None and owned[n] is None and (cell := _cell(grid, box)) is not None:
            inside.append((n, box, cell))
    if not grid.is_table(cell for _, _, cell in inside):
        return
    cut = apart(grid, [(box, cell) for _, box, cell in inside])
    for n, box, cell in inside:
        owned[n] = (len(found), _cell(cut, box) or cell)
    found.append(cut)


def _cell(grid: Grid, box: Box) -> tuple[int, int] | None:
    return grid.cell((box.left + box.right) / 2, (box.bottom + box.top) / 2)


def laid(text: str, tables: Sequence[Grid], owned: Sequence[Owner | None]) -> list[Piece]:
    """Lines of what stands in no table, and each table where its first character stood."""
    cells: list[dict[tuple[int, int], list[str]]] = [{} for _ in tables]
    places: dict[int, int] = {}
    found: list[Piece] = []
    n = 0
    while n < len(text):
        owner, end = owned[n], n + 1
        while end < len(text) and owned[end] == owner:
            end += 1
        if owner is None:
            found += lines(text[n:end], n)
        else:
            number, cell = owner
            if places.setdefault(number, len(found)) == len(found):
                found.append(Piece("", is_table=True))
            cells[number].setdefault(cell, []).append(text[n:end])
        n = end
    for number, place in places.items():
        found[place] = Piece(_drawn(tables[number], cells[number]), is_table=True)
    return found


def _drawn(grid: Grid, cells: dict[tuple[int, int], list[str]]) -> str:
    """Markdown; columns in which nothing stands are left out."""
    texts = {cell: whole("\n".join(p.strip("\r\n") for p in parts)).strip() for cell, parts in cells.items()}
    columns = sorted({column for (_, column), text in texts.items() if text})
    rows = ([texts.get((row, column), "") for column in columns] for row in range(len(grid.ys) - 1))
    return "".join(table(rows)).rstrip("\n")


def whole(text: str) -> str:
    """A word that a line's end had cut is joined without its hyphen, unless a digit or capital follows."""
    return text if HYPHEN not in text else _CUT.sub(lambda m: "" if _is_word(text, m.start(), m.end()) else "-", text)


def _is_word(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start].isalpha() and text[end : end + 1].islower()


def written(pieces: Iterable[Piece]) -> tuple[str, list[tuple[int, int, Piece]]]:
    """The pieces as text, and (start, end) of each line in it. Blank lines are not doubled; a table stands alone."""
    out: list[str] = []
    places: list[tuple[int, int, Piece]] = []
    at = 0
    open_at = 0  # line ends still to be written, at most two
    for piece in _uncut(pieces):
        text = piece.text if piece.is_table else whole(piece.text)
        if not text or text.isspace():
            open_at = min(open_at + 1, 2) if out else 0
            continue
        if not out:
            text = text.lstrip()
        ends = "\n" * (max(open_at, 2 if piece.is_table else 1) if out else 0)
        out += [ends, text]
        at += len(ends) + len(text)
        if not piece.is_table:
            places.append((at - len(text), at, piece))
        open_at = 2 if piece.is_table else 1
    return "".join(out), places


def _uncut(pieces: Iterable[Piece]) -> list[Piece]:
    """Lines that end within a word joined with the next."""
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found else None
        if before and not before.is_table and not piece.is_table and before.text.endswith(HYPHEN) and piece.text:
            found[-1] = Piece(before.text + piece.text, before.first, before.last)
        else:
            found.append(piece)
    return found

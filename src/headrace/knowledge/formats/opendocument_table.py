"""The rows of an OpenDocument table (OpenDocument 1.3 part 3, 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from headrace.knowledge.formats.opendocument_styles import named, number
from headrace.knowledge.formats.xml import Element

_COLUMNS = 1024
_REPEATED = 1_000_000
_EMPTY = 3
"""Characters that a cell takes beside its text."""


class Repeats:
    """Bounds what rows and cells that are said to be repeated come to (characters): they may stand one in the other,
    and would multiply."""

    def __init__(self) -> None:
        self._left = _REPEATED

    def times(self, said: int, size: int) -> int:
        """How often what has so many characters is to be written."""
        more = max(0, min(said - 1, self._left // max(size, 1)))
        self._left -= more * max(size, 1)
        return 1 + more


def rows(element: Iterable[Element], text_of: Callable[[Element], str], repeats: Repeats) -> Iterator[list[str]]:
    for each in element:
        match named(each):
            case "table:table-row":
                cells = _cells(each, text_of, repeats)
                said = number(each, "table:number-rows-repeated", 1) if cells else 1
                for _ in range(repeats.times(said, sum(len(c) + _EMPTY for c in cells))):
                    yield cells
            case "table:table-header-rows" | "table:table-rows" | "table:table-row-group":
                yield from rows(each, text_of, repeats)
            case _:
                pass


def _cells(row: Element, text_of: Callable[[Element], str], repeats: Repeats) -> list[str]:
    """Cells that another one covers are empty; empty ones at a row's end are left out."""
    found: list[str] = []
    empty: list[int] = []
    for cell in row:
        name = named(cell)
        if name not in ("table:table-cell", "table:covered-table-cell"):
            continue
        text = text_of(cell) if name == "table:table-cell" else ""
        said = min(number(cell, "table:number-columns-repeated", 1), _COLUMNS)
        if not text:
            empty.append(said)
            continue
        for times in empty:
            found += [""] * repeats.times(times, _EMPTY)
        empty.clear()
        found += [text] * repeats.times(said, len(text) + _EMPTY)
    return found

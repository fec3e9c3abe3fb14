"""A flow of RTF text - the body, a note, a text box - as blocks of Markdown: paragraphs, headings, lists, tables."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from headrace.knowledge.formats.table import table

_ROWS = 10_000
"""A longer table goes on as another one, so that its rows are not all kept."""
_CELLS = 256
"""More cells in a row are read as one."""
_NEAR = 60
"""Twips (1/1440 inch) within which two cells end at the same place."""
_NUMBER = re.compile(r"\d|\w[.)\]、]|\w\w")
"""What makes a list's mark one that says something; a letter alone is a sign of some font."""
# A list's marks as programs write them that know no lists: a sign or number and a tab.
_BULLET = re.compile(r"[•·▪◦‣●○■□➢–—-]\t\s*")
_COUNTED = re.compile(r"(\(?(?:\d{1,4}(?:\.\d{1,4})*[.)\]]?|[A-Za-z]{1,6}[.)\]]))\t\s*")


@dataclass(frozen=True, slots=True)
class Look:
    """What a paragraph is. `level`: of a heading, 0 is the document's title; `listed`: an item, at `depth` from 0;
    `in_cell`: it stands in a table."""

    level: int | None = None
    listed: bool = False
    depth: int = 0
    in_cell: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a paragraph that is still being written."""

    paragraph: int
    at: int


class Story:
    """Text as it comes. `count` is told of the characters that tables add to it."""

    def __init__(self, count: Callable[[int], None]) -> None:
        self.blocks: list[str] = []
        self.title = ""  # the first heading's words
        self.label = ""  # the list mark of the paragraph
        self._count = count
        self._number = 0
        self._words = io.StringIO()
        self._beside: list[str] = []
        self._cell: list[str] = []
        self._cells: list[str] = []
        self._rows: list[tuple[list[str], tuple[int, ...]]] = []

    def write(self, text: str) -> None:
        self._words.write(text)

    def beside(self, block: str) -> None:
        """A text box: it comes after the paragraph that holds it."""
        self._beside.append(block)

    def mark(self) -> Mark:
        return Mark(self._number, self._words.tell())

    def link(self, mark: Mark, target: str) -> None:
        """What the paragraph says since the mark becomes a link's words, unless they are the address itself."""
        if mark.paragraph != self._number:
            return  # several paragraphs are no link
        self._words.seek(mark.at)
        words = self._words.read()
        if (text := words.strip()) and text != target:
            self._words.seek(mark.at)
            self._words.truncate()
            lead, tail = words[: words.index(text)], words[words.index(text) + len(text) :]
            self._words.write(f"{lead}[{text}]({target}){tail}")

    def is_silent(self, mark: Mark) -> bool:
        """Whether nothing was written since the mark."""
        return mark == self.mark()

    def end_paragraph(self, look: Look) -> None:
        """Ends a paragraph; an empty one leaves nothing, but ends a table that it stands outside of."""
        in_cell = look.in_cell or bool(self._cells)
        text = self._paragraph(look, in_cell)
        texts = [t for t in [text, *self._beside] if t]
        self._beside = []
        if in_cell:
            self._cell += texts
        else:
            self.end_table()
            self.blocks += texts

    def end_cell(self, look: Look) -> None:
        self.end_paragraph(Look(None, look.listed, look.depth, True))
        text, self._cell = " ".join(self._cell), []
        if len(self._cells) < _CELLS:
            self._cells.append(text)
        elif text:
            self._cells[-1] += " " + text

    def end_row(self, edges: Sequence[int]) -> None:
        """`edges`: where its cells end, twips from the left."""
        if self._words.tell() or self._cell:  # a last cell that was not ended
            self.end_cell(Look())
        if any(self._cells):
            self._rows.append((self._cells, tuple(edges)))
        self._cells = []
        if len(self._rows) >= _ROWS:
            self.end_table()

    def end_table(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        lines: list[str] = []
        for line in table(_aligned(rows)):
            self._count(line.count("|") * 3)
            lines.append(line)
        self.blocks.append("".join(lines).rstrip("\n"))

    def end(self, look: Look) -> list[str]:
        """Ends the flow, and whatever in it was not."""
        self.end_paragraph(look)
        if self._cell or self._cells:
            self.end_row(())
        self.end_table()
        return self.blocks

    def _paragraph(self, look: Look, in_cell: bool) -> str:
        text = self._words.getvalue().strip()
        label, self.label = self.label, ""
        if self._words.tell():
            self._words = io.StringIO()
            self._number += 1
        if not text:
            return ""
        numbered = _NUMBER.search(label) is not None
        if look.level is not None and not in_cell:
            text = " ".join(f"{label if numbered else ''} {text}".split())
            self.title = self.title or text
            return "#" * min(max(look.level, 1), 6) + " " + text
        if look.listed or label:
            return "  " * look.depth + (f"{label} " if numbered else "- ") + text
        if bullet := _BULLET.match(text):
            return "- " + text[bullet.end() :]
        counted = _COUNTED.match(text)
        return f"{counted[1]} {text[counted.end() :]}" if counted else text


def _aligned(rows: Sequence[tuple[list[str], tuple[int, ...]]]) -> Iterator[list[str]]:
    """Cells below those that they stand below, where the row with the most cells has all the others' edges."""
    columns = max((edges for _, edges in rows), key=len, default=())
    for cells, edges in rows:
        places = _places(edges, columns) if len(edges) == len(cells) < len(columns) else None
        if places is None:
            yield cells
            continue
        row = [""] * len(columns)
        for cell, place in zip(cells, places, strict=True):
            row[place] = cell
        yield row


def _places(edges: Sequence[int], columns: Sequence[int]) -> list[int] | None:
    """In which column each cell begins; None if one ends where none of the columns does."""
    places: list[int] = []
    column = 0
    for edge in edges:
        places.append(column)
        while column < len(columns) and columns[column] < edge - _NEAR:
            column += 1
        if column == len(columns) or columns[column] > edge + _NEAR:
            return None
        column += 1
    return places

"""The text of an OpenDocument part as blocks of Markdown (OpenDocument 1.3 part 3, 5 to 10)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from headrace.knowledge.formats.opendocument_blocks import CODE, Line, Words, joined
from headrace.knowledge.formats.opendocument_lists import DEEPEST, Counts, Lists
from headrace.knowledge.formats.opendocument_objects import Objects, picture
from headrace.knowledge.formats.opendocument_styles import Styles, named, number, said
from headrace.knowledge.formats.opendocument_table import Repeats, rows
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.xml import Element
from headrace.knowledge.parsed import File

_MOST_SPACES = 100
_LOOKS_HEADING = re.compile(r"^(?=#{1,6}\s)", re.MULTILINE)
_UNREAD = frozenset(
    """text:tracked-changes text:number text:page-number text:page-count text:ruby-text text:script text:note-citation
    office:forms office:binary-data office:scripts office:event-listeners presentation:notes draw:object
    draw:object-ole svg:title svg:desc table:title table:desc""".split()
)


class Reader:
    """Reads elements to blocks. `footnotes`, `endnotes`, `comments`: what was met on the way, as lines of lists."""

    def __init__(self, file: File, styles: Styles, objects: Objects) -> None:
        self._file = file
        self._styles = styles
        self._objects = objects
        self._lists = Lists(styles)
        self._repeats = Repeats()
        self._inner = 0  # inside a cell or note, where nothing is a heading
        self.title = ""
        self.footnotes: list[str] = []
        self.endnotes: list[str] = []
        self.comments: list[str] = []

    def blocks(self, parent: Iterable[Element]) -> Iterator[str]:
        """Paragraphs, lists, tables and drawings in order, the empty ones left out."""
        return joined(self._lines(parent))

    def _lines(self, parent: Iterable[Element]) -> Iterator[Line]:
        for each in parent:
            yield from self._line(each)

    def _line(self, each: Element) -> Iterator[Line]:
        match named(each):
            case "text:p" | "text:h":
                yield from self._paragraph(each)
            case "text:list":
                yield from self._list(each, self._lists.begin(each), said(each, "text:style-name"), 0)
            case "text:numbered-paragraph":
                level = min(number(each, "text:level", 1), DEEPEST) - 1
                yield from self._item(each, self._lists.begin(each), said(each, "text:style-name"), max(level, 0))
            case "table:table":
                yield from self._table(each)
            case "office:annotation":
                self._comment(each)
            case "draw:frame":
                words, blocks = self._frame(each)
                yield from ((None, text) for text in (words, *blocks) if text)
            case "text:section" if _is_hidden(each):
                pass
            case name if name in _UNREAD:
                pass
            case _:
                yield from self._lines(each)

    def _paragraph(self, element: Element, mark: str = "", indent: str = "", key: int | None = None) -> Iterator[Line]:
        """`mark`: what stands before it as an item of a list."""
        style = self._styles.of("paragraph", said(element, "text:style-name"))
        if style.hidden:
            return
        words, boxes = self._read(element)
        level = number(element, "text:outline-level", 1) if named(element) == "text:h" else style.level
        text = words.strip()
        if text and level is not None and not self._inner:
            text = " ".join(text.split())
            self.title = self.title or text
            yield None, "#" * min(max(level, 1), 6) + " " + text
        elif key is not None and text:
            yield key, indent + mark + text.replace("\n", "\n" + indent + "  ")
        elif style.code and not self._inner:
            yield CODE, words.rstrip()
        elif text:
            yield None, _LOOKS_HEADING.sub(r"\\", text)
        yield from ((None, box) for box in boxes if box)

    def _read(self, element: Element) -> tuple[str, list[str]]:
        """A paragraph's text, and the blocks that are drawn beside it."""
        words, boxes = Words(), list[str]()
        self._runs(element, words, boxes)
        return ("", []) if words.hidden else ("".join(words.pieces), boxes)

    def _runs(self, element: Element, words: Words, boxes: list[str]) -> None:
        words.write(element.text)
        for each in element:
            self._run(each, words, boxes)
            words.write(each.tail)

    def _run(self, each: Element, words: Words, boxes: list[str]) -> None:
        match named(each):
            case "text:s":
                words.put(" " * min(number(each, "text:c", 1), _MOST_SPACES))
            case "text:tab":
                words.put("\t")
            case "text:line-break":
                words.put("\n")
            case "text:a":
                self._link(each, words, boxes)
            case "text:span" if self._styles.of("text", said(each, "text:style-name")).hidden:
                pass
            case "text:hidden-text" if said(each, "text:is-hidden") == "true":
                pass
            case "text:hidden-paragraph" if said(each, "text:is-hidden") == "true":
                words.hidden = True
            case "text:note":
                self._note(each)
            case "office:annotation":
                self._comment(each)
            case "draw:frame":
                shown, blocks = self._frame(each)
                if shown:
                    words.put(shown)
                boxes += blocks
            case name if name in _UNREAD:
                pass
            case name if name.startswith("draw:") and name != "draw:a":
                boxes += self.blocks(each)
            case _:
                self._runs(each, words, boxes)

    def _link(self, element: Element, words: Words, boxes: list[str]) -> None:
        start = len(words.pieces)
        self._runs(element, words, boxes)
        text, target = "".join(words.pieces[start:]), said(element, "xlink:href").strip()
        inside = not target or target.startswith("#")  # a place of the same document
        if not inside and text.strip() and text.strip() != target:
            words.pieces[start:] = [f"[{text}]({target})"]

    def _frame(self, element: Element) -> tuple[str, list[str]]:
        """What stands in the line, and behind it."""
        formula, blocks = self._objects.read(element, self)
        described = picture(element)
        return " ".join(t for t in (formula, described) if t), [*blocks, *self.blocks(element)]

    def _list(self, element: Element, counts: Counts, style: str, level: int) -> Iterator[Line]:
        for item in element:
            self._lists.item(item, counts, level)
            yield from self._item(item, counts, style, level, header=named(item) == "text:list-header")

    def _item(self, item: Element, counts: Counts, style: str, level: int, *, header: bool = False) -> Iterator[Line]:
        """Its first paragraph that is not empty has the mark, the others stand under it."""
        mark, counted = "", header
        for each in item:
            if named(each) == "text:list":
                deeper = min(level + 1, DEEPEST - 1)
                if counted and said(each, "text:continue-numbering") != "true":
                    counts.restart(deeper)
                yield from self._list(each, counts, said(each, "text:style-name") or style, deeper)
            elif named(each) in ("text:p", "text:h"):
                if not counted:
                    mark, counted = self._lists.mark(counts, style, level), True
                lines = list(self._paragraph(each, mark, "  " * (level if mark else level + 1), counts.key))
                mark = "" if lines else mark
                yield from lines
            else:
                yield from self._line(each)

    def _table(self, element: Element) -> Iterator[Line]:
        found = rows(element, self.cell, self._repeats)
        if self._inner:  # a table in a table: its words
            text = " ".join(cell for row in found for cell in row if cell)
        else:
            text = "".join(self._bounded(table(found))).rstrip("\n")
        if text:
            yield None, text

    def _bounded(self, lines: Iterable[str]) -> Iterator[str]:
        """Short rows are filled up: a table can be much longer than what it was made of."""
        length = 0
        for line in lines:
            length += len(line)
            if length > self._file.limits.characters:
                self._file.wrote(length)
            yield line

    def cell(self, element: Iterable[Element]) -> str:
        """A cell's text, or a note's, in one line."""
        self._inner += 1
        text = " ".join(self.blocks(element))
        self._inner -= 1
        return text

    def _note(self, element: Element) -> None:
        text = " ".join(self.cell(element).split())
        if text:
            notes = self.endnotes if said(element, "text:note-class") == "endnote" else self.footnotes
            notes.append(f"- {text}")

    def _comment(self, element: Element) -> None:
        text = " ".join(self.cell(element).split())
        author = next((" ".join((e.text or "").split()) for e in element if named(e) == "dc:creator"), "")
        if text:
            self.comments.append(f"- {author}: {text}" if author else f"- {text}")

    def notes(self) -> str:
        """The notes and comments since it was asked last, as lists."""
        text = ""
        for notes in (self.footnotes, self.endnotes, self.comments):
            text += "\n".join(notes) + "\n\n" if notes else ""
            notes.clear()
        return text


def _is_hidden(section: Element) -> bool:
    return said(section, "text:display") == "none" or said(section, "text:is-hidden") == "true"

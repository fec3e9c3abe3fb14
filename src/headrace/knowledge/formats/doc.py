"""Word 97-2003 (.doc): text with headings, lists, tables, links, notes and comments ([MS-DOC])."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby, pairwise

from headrace.knowledge.formats.compound import Compound, read
from headrace.knowledge.formats.doc_fields import Span, fields, kept, linked, within
from headrace.knowledge.formats.doc_properties import Paragraph, Properties
from headrace.knowledge.formats.doc_text import Document, readable
from headrace.knowledge.formats.properties import about
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed

_MARKS = re.compile(r"[\r\x07\x0c]")
_CELL = "\x07"
# [MS-DOC] 2.4.1: lines and columns end, hyphens that do not break; pictures, notes' numbers and optional
# hyphens have no text.
_SPECIAL = {0x0B: "\n", 0x0E: "\n", 0x1E: "-"}
_CLEAN = {n: _SPECIAL.get(n) for n in (*range(0x09), *range(0x0B, 0x20))}
_STORIES = ("main", "footnotes", "headers", "comments", "endnotes", "boxes")
_NOTES = (("footnotes", 3), ("endnotes", 47))
_COMMENTS, _COMMENT_REFERENCES, _OWNERS, _HEADERS = 5, 4, 36, 11
_REFERENCE = 30
_SEPARATORS = 6
"""Texts in front of those of the sections that are no headers: lines between text and notes."""
_IS_HEADER = (True, True, False, False, True, False)
_COLUMNS = 64
"""Cells of a row; Word allows 63."""

_Read = tuple[str, Paragraph, str]
"""A paragraph's text, its properties, and the character that ends it."""


def parse(file: File) -> Parsed:
    return read(file, "a Word document", lambda compound: _Reader(file, compound).read())


class _Reader:
    def __init__(self, file: File, compound: Compound) -> None:
        self._file = file
        self._compound = compound
        self._document = Document(compound)
        self._properties = Properties(self._document)
        text = self._document.text
        self._links: dict[int, str] = {}
        cuts = list(self._properties.left_out())
        for name in _STORIES:
            instructions, links = fields(text, *self._document.story(name))
            cuts += instructions
            self._links |= links
        self._kept = kept(text, cuts)
        self._title = ""

    def read(self) -> Parsed:
        draft = Draft(self._file)
        headers, footers = self._headers()
        blocks = (headers, self._blocks("main"), self._blocks("boxes"), footers)
        for block in chain.from_iterable(blocks):
            draft.add(block)
        for name, index in _NOTES:
            draft.add(_items(self._note(*span) for span in self._parts(name, index)))
        draft.add(_items(self._comments()))
        said = about(self._compound)
        title = said.title or self._title or name_of(self._file.path)
        return draft.done(title, dated=said.dated, metadata=said.metadata)

    def _blocks(self, story: str) -> Iterator[str]:
        """Paragraphs, and the lines of tables."""
        paragraphs = self._paragraphs(*self._document.story(story))
        for inside, group in groupby(paragraphs, key=lambda p: p[1].in_table):
            if inside:
                line = ""
                for line in table(_rows(group)):
                    yield line
                yield "\n" if line else ""
                continue
            for text, properties, _ in group:
                if text:
                    yield self._block(text, properties) + "\n\n"

    def _block(self, text: str, properties: Paragraph) -> str:
        if properties.level is not None:
            words = " ".join(text.split())
            self._title = self._title or words
            return "#" * min(max(properties.level, 1), 6) + " " + words
        return _item(text, properties)

    def _paragraphs(self, begin: int, end: int) -> Iterator[_Read]:
        """The paragraphs between two characters, each with its properties and the character that ends it."""
        text = self._document.text
        spans: list[Span] = []
        for first, last in within(self._kept, begin, end):
            at = first
            for mark in _MARKS.finditer(text, first, last):
                spans.append((at, mark.start()))
                yield self._paragraph(spans, mark.start())
                spans, at = [], mark.end()
            spans.append((at, last))
        if any(last > first for first, last in spans):
            yield self._paragraph(spans, end - 1)

    def _paragraph(self, spans: Iterable[Span], mark: int) -> _Read:
        text = linked(self._document.text, spans, self._links).translate(_CLEAN)
        ends = self._document.text[mark]
        properties = self._properties.paragraph(mark)
        if ends == _CELL and not properties.in_table:
            properties = replace(properties, in_table=True)
        return readable(text).strip(), properties, ends

    def _parts(self, story: str, index: int) -> list[Span]:
        """Where the texts of a part stand, by their positions in it; a text in disorder is left out."""
        begin, end = self._document.story(story)
        places, _ = self._document.plc(index, 0)
        found: list[Span] = []
        at = begin
        for first, last in pairwise(places):
            in_order = at <= begin + first <= begin + last <= end
            found.append((begin + first, begin + last) if in_order else (at, at))
            at = found[-1][1]
        return found

    def _note(self, begin: int, end: int) -> str:
        return " ".join(_item(text, p) for text, p, _ in self._paragraphs(begin, end) if text)

    def _comments(self) -> Iterator[str]:
        """Each with its author, whose number its reference holds (ATRDPre10 in [MS-DOC] 2.9)."""
        owners = _texts(self._document.structure(_OWNERS))
        _, references = self._document.plc(_COMMENT_REFERENCES, _REFERENCE)
        for n, span in enumerate(self._parts("comments", _COMMENTS)):
            text = self._note(*span)
            number = struct.unpack_from("<H", references[n], 20)[0] if n < len(references) else len(owners)
            yield f"{owners[number]}: {text}" if text and number < len(owners) else text

    def _headers(self) -> tuple[list[str], list[str]]:
        """Headers and footers of all sections, each text once ([MS-DOC] 2.3.5)."""
        parts = self._parts("headers", _HEADERS)[_SEPARATORS:]
        headers: dict[str, None] = {}
        footers: dict[str, None] = {}
        for n, (begin, end) in enumerate(parts):
            lines = (p[0] for p in self._paragraphs(begin, end))
            text = "\n\n".join(line for line in lines if line)
            if text:
                (headers if _IS_HEADER[n % len(_IS_HEADER)] else footers)[text + "\n\n"] = None
        return list(headers), list(footers)


def _rows(paragraphs: Iterable[_Read]) -> Iterator[list[str]]:
    """Rows of a table: a cell ends with a sign, and behind the last stands another, whose paragraph says so."""
    row: list[str] = []
    cell: list[str] = []
    for text, properties, ends in paragraphs:
        if text:
            cell.append(_item(text, properties))
        if ends != _CELL:
            continue
        if not properties.row_end or cell:
            row.append(" ".join(cell))
            cell = []
        if properties.row_end or len(row) == _COLUMNS:
            yield row
            row = []
    yield [*row, *cell]


def _item(text: str, properties: Paragraph) -> str:
    return text if properties.listed is None else "  " * properties.listed + "- " + text


def _items(notes: Iterable[str]) -> str:
    found = [f"- {note}" for note in notes if note]
    return "\n".join(found) + "\n\n" if found else ""


def _texts(data: bytes) -> list[str]:
    """Texts behind their lengths, one behind another (Xst in [MS-DOC] 2.9)."""
    found: list[str] = []
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + 2 * struct.unpack_from("<H", data, at)[0]
        found.append(data[at + 2 : end].decode("utf-16-le", "replace"))
        at = end
    return found

"""What can be quoted of a text: sentences, list items, table rows, each an exact span, and what they stand under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from headrace.knowledge import tables

_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(?P<text>.+?)\s*#*\s*$")
_ITEM = re.compile(r"(?P<indent>\s*)(?:[-*+•‣]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+(?P<text>\S.*)$")
_FENCE = re.compile(r"\s*(```|~~~)")
_ROW = re.compile(r"\s*\|.*\|\s*$")
_RULE = re.compile(r"\s*(?:\|?[\s:|-]*-{2,}[\s:|-]*\|?|[*_=]{3,})\s*$")
_BREAK = re.compile(r"(?<=[.!?…])[\"'”’)\]*_]*(?:\[\d+\])*\s+(?=[\"'“‘(\[*_]*[A-Z0-9À-ÖØ-Þ$€£])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|sr|jr|st|no|nos|vs|etc|e\.g|i\.e|approx|dept|est|fig|inc|ltd|co|corp|jan|feb|mar|apr|"
    r"jun|jul|aug|sept?|oct|nov|dec|u\.s|u\.k|p|pp|vol|ed|al|ca|gen|gov|sen|rep|rev|lt|col)|(?:^|[\s(.])[A-Z])\.$",
    re.I,
)
_INITIAL = re.compile(r"(?:^|[\s(.])[A-Z]\.$")
MAX_QUOTE = 900
_ABOVE = -2
"""Where the header of a table's rows is, when it stands above the text."""


class Shape(Enum):
    SENTENCE = "sentence"
    ITEM = "item"
    ROW = "row"
    CODE = "code"
    HEADING = "heading"


@dataclass(frozen=True, slots=True)
class Unit:
    """A span of a text that can be quoted.

    `block` numbers the paragraph or item it is part of. `parent` is the index of the unit that introduces it (the line
    before a list, the item above a nested one, a table's header), -1 for none. `heading` is the headings above, joined.
    """

    start: int
    end: int
    shape: Shape
    block: int
    parent: int
    heading: str


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str


@lru_cache(maxsize=4096)
def split(text: str, headless: bool = False) -> tuple[Unit, ...]:
    """The units of a text in order. Spans never overlap, never start or end with white space.

    `headless`: the text begins in the middle of a table, so that its first row names no columns.
    """
    return tuple(_Splitter(text, _ABOVE if headless else -1).run())


def display(text: str, unit: Unit, header: str | None = None) -> str:
    """A unit as a person reads it: white space collapsed, no markup, a row with its columns' names."""
    raw = text[unit.start : unit.end]
    if unit.shape is Shape.ROW:
        return row_text(raw, header)
    if unit.shape is Shape.HEADING:
        return plain(raw.strip("#= "))
    return raw if unit.shape is Shape.CODE else plain(raw)


_LINK = re.compile(r"!?\[([^\]\n]+)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])")


def plain(raw: str) -> str:
    """Markdown's emphasis and links as plain text, white space collapsed."""
    text = " ".join(raw.split())
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    if "**" in text or "__" in text:
        text = _STRONG.sub(r"\2", text)
    if "*" in text:
        text = _EMPHASIS.sub(r"\1", text)
    return text


def cells(row: str) -> list[str]:
    """A table row's cells, without markup."""
    return [plain(c) for c in tables.cells(row)]


def row_text(row: str, header: str | None) -> str:
    values = cells(row)
    names = cells(header) if header else []
    if len(names) != len(values):
        return "; ".join(v for v in values if v)
    return "; ".join(f"{n}: {v}" if n else v for n, v in zip(names, values, strict=True) if v)


class _Splitter:
    def __init__(self, text: str, header: int) -> None:
        self.text = text
        self.units: list[Unit] = []
        self.block = 0
        self.headings: list[tuple[int, str]] = []
        self.intro = -1  # a unit that ends with a colon, waiting for its list
        self.items: list[tuple[int, int]] = []  # indent, index of the item's first unit
        self.paragraph: list[_Line] = []
        self.header = header

    def run(self) -> list[Unit]:
        lines = self._lines()
        i = 0
        while i < len(lines):
            i = self._step(lines, i)
        self._flush()
        return self.units

    def _lines(self) -> list[_Line]:
        found: list[_Line] = []
        at = 0
        for raw in self.text.split("\n"):
            found.append(_Line(at, at + len(raw), raw))
            at += len(raw) + 1
        return found

    def _step(self, lines: list[_Line], i: int) -> int:
        line = lines[i]
        if _FENCE.match(line.text):
            return self._code(lines, i)
        if not line.text.strip():
            self._flush()
            self.header = -1
            return i + 1
        if heading := _HEADING.match(line.text):
            self._heading(line, len(heading[1]), heading["text"])
            return i + 1
        underlined = i + 1 < len(lines) and not self.paragraph and re.fullmatch(r"=+|-{3,}", lines[i + 1].text.strip())
        if underlined and not _ROW.match(line.text) and not _ITEM.match(line.text):
            self._heading(line, 1 if "=" in lines[i + 1].text else 2, line.text.strip())
            return i + 2
        if _RULE.match(line.text):
            self._flush()
            return i + 1
        if _ROW.match(line.text):
            self._row(line)
            return i + 1
        if item := _ITEM.match(line.text):
            self._item(line, item)
            return i + 1
        self.paragraph.append(line)
        return i + 1

    def _code(self, lines: list[_Line], i: int) -> int:
        self._flush()
        last = i + 1
        while last < len(lines) and not _FENCE.match(lines[last].text):
            last += 1
        body = lines[i + 1 : last]
        self.block += 1
        whole = bool(body) and body[-1].end - body[0].start <= MAX_QUOTE
        for start, end in [(body[0].start, body[-1].end)] if whole else [(b.start, b.end) for b in body]:
            self._add(start, end, Shape.CODE, self.intro)
        return last + 1

    def _heading(self, line: _Line, level: int, title: str) -> None:
        self._flush()
        self.items.clear()
        self.intro = self.header = -1
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        self.block += 1
        self._add(line.start, line.end, Shape.HEADING, -1)
        self.headings.append((level, title))

    def _row(self, line: _Line) -> None:
        self._flush()
        self.block += 1
        index = self._add(line.start, line.end, Shape.ROW, max(self.header, -1))
        if self.header == -1:
            self.header = index

    def _item(self, line: _Line, item: re.Match[str]) -> None:
        self._flush(keep_list=True)
        indent = len(item["indent"])
        while self.items and self.items[-1][0] >= indent:
            self.items.pop()
        parent = self.items[-1][1] if self.items else self.intro
        self.block += 1
        first = len(self.units)
        self._sentences([_Line(line.start + item.start("text"), line.end, "")], Shape.ITEM, parent)
        if len(self.units) > first:
            self.items.append((indent, first))

    def _flush(self, *, keep_list: bool = False) -> None:
        if not self.paragraph:
            return
        lines, self.paragraph = self.paragraph, []
        inside = self.items and lines[0].text[:1] in (" ", "\t")
        continued = self.items and self.units and self.units[-1].end + 1 == lines[0].start
        if not inside and not continued:
            self.items.clear()
            self.intro = -1
        self.block += 0 if continued else 1
        parent = self.items[-1][1] if self.items else -1
        self._sentences(lines, Shape.ITEM if continued else Shape.SENTENCE, parent)
        last = len(self.units) - 1
        if not self.items and last >= 0:
            self.intro = last if self.text[: self.units[last].end].endswith((":", ":**", ":*")) else -1

    def _sentences(self, lines: list[_Line], shape: Shape, parent: int) -> None:
        start, end = lines[0].start, lines[-1].end
        at = start
        for match in _BREAK.finditer(self.text, start, end):
            before = self.text[max(at, match.start() - 12) : match.start()]
            if _ABBREVIATION.search(before) and (
                _INITIAL.search(before)
                or not before.lower().endswith("no.")
                or self.text[match.end() : match.end() + 1].isdigit()
            ):
                continue
            self._add(at, match.start() + len(match.group().rstrip()), shape, parent)
            at = match.end()
        self._add(at, end, shape, parent)

    def _add(self, start: int, end: int, shape: Shape, parent: int) -> int:
        raw = self.text[start:end]
        start += len(raw) - len(raw.lstrip())
        end -= len(raw) - len(raw.rstrip())
        while end - start > MAX_QUOTE:
            cut = self.text.rfind(" ", start, start + MAX_QUOTE)
            cut = cut if cut > start else start + MAX_QUOTE
            self._put(start, cut, shape, parent)
            start = cut + (len(self.text[cut:end]) - len(self.text[cut:end].lstrip()))
        self._put(start, end, shape, parent)
        return len(self.units) - 1

    def _put(self, start: int, end: int, shape: Shape, parent: int) -> None:
        raw = self.text[start:end]
        end -= len(raw) - len(raw.rstrip())
        if end > start:
            heading = " › ".join(t for _, t in self.headings)
            self.units.append(Unit(start, end, shape, self.block, parent, heading))

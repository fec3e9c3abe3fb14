"""Markdown: as it stands, under its title."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.front import FRONT_MATTER, said
from headrace.knowledge.formats.text import name_of, text_of
from headrace.knowledge.parsed import File, Parsed

# https://spec.commonmark.org/0.31.2/ sections 4.2 to 4.5, a line without its end at a time.
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"[ \t]*(?:$|[-*+>|][ \t|-]|[-*_=+>|]+$|\d+[.)][ \t])| {4}|\t")
_FRONT_TITLE = re.compile(r"^title(?::|[ \t]*=)[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_FRONT_DATE = re.compile(
    r"^(?:date|published|publish_date|updated|lastmod|last_modified)(?::|[ \t]*=)[ \t]*(.+?)[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)


def parse(file: File) -> Parsed:
    text = text_of(file)
    return Parsed(_title(text) or name_of(file.path), text, True, file.media, dated=_dated(text), metadata=said(text))


def headings(text: str) -> list[tuple[int, int, str]]:
    """A Markdown text's headings outside code fences and front matter: (character offset, level, words)."""
    found: list[tuple[int, int, str]] = []
    fence = ""
    above: tuple[int, str] | None = None  # a paragraph's first and so far only line: an underline makes it a heading
    fresh = True  # whether the next line may begin a paragraph
    for at, line in _lines(text):
        mark = _FENCE.fullmatch(line)
        if fence:
            closes = mark is not None and mark[1].startswith(fence) and not mark[2].strip()
            fence = "" if closes else fence
            above, fresh = None, True
        elif mark:
            fence = mark[1]
        elif above and (under := _UNDERLINE.fullmatch(line)):
            found.append((above[0], 1 if under[1][0] == "=" else 2, above[1]))
            above, fresh = None, True
        elif heading := _HEADING.fullmatch(line):
            if heading[2]:
                found.append((at, len(heading[1]), heading[2].strip()))
            above, fresh = None, True
        else:
            paragraph = not _NO_PARAGRAPH.match(line)
            above = (at, line.strip()) if paragraph and fresh else None
            fresh = not line.strip()
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line behind the front matter with its offset, without its end."""
    front = FRONT_MATTER.match(text)
    at = front.end() if front else 0
    for line in text[at:].split("\n"):
        yield at, line.removesuffix("\r")
        at += len(line) + 1


def _title(text: str) -> str:
    front = FRONT_MATTER.match(text)
    named = _FRONT_TITLE.search(front["said"]) if front else None
    if named:
        return named[1].strip("\"'")
    first = headings(text)[:1]
    return first[0][2] if first else ""


def _dated(text: str) -> int | None:
    """The first date that the front matter names."""
    front = FRONT_MATTER.match(text)
    named = _FRONT_DATE.search(front["said"]) if front else None
    return stated(named[1]) if named else None

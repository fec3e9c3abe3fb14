"""Fields in a Word 97-2003 text, and what of its characters is left out ([MS-DOC] 2.8.25)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

_BEGIN, _SEPARATOR, _END = "\x13", "\x14", "\x15"
_SIGNS = re.compile(r"[\x13\x14\x15\r\x07\x0c]")
_ENDS = re.compile(r"[\x13\x15]")
_LINK = re.compile(r'\s*HYPERLINK\s+"([^"\r\x07\x13-\x15]{1,2000})"(?!\s*\\l)')

Span = tuple[int, int]


def fields(text: str, begin: int, end: int) -> tuple[list[Span], dict[int, str]]:
    """Of a part of the text the instructions, whose characters are left out, and links: beginning to address.

    The signs that begin and end a link's words stay: see `linked`. A field that does not end is text.
    """
    cuts: list[Span] = []
    links: dict[int, str] = {}
    opened: list[tuple[int, int | None]] = []
    paragraph = begin
    for sign in _SIGNS.finditer(text, begin, end):
        at = sign.start()
        if sign[0] == _BEGIN:
            opened.append((at, None))
        elif sign[0] == _SEPARATOR and opened:
            opened[-1] = (opened[-1][0], at)
        elif sign[0] == _END and opened:
            first, separator = opened.pop()
            link = _LINK.match(text, first + 1, separator) if separator is not None else None
            if separator is None:
                cuts.append((first, at + 1))
            elif link and paragraph < separator:
                links[first] = link[1]
                cuts.append((first + 1, separator + 1))
            else:
                cuts += [(first, separator + 1), (at, at + 1)]
        elif sign[0] not in (_SEPARATOR, _END):
            paragraph = at
    return cuts, links


def kept(text: str, cuts: Iterable[Span]) -> list[Span]:
    """What is left of a text, ascending. The ends of cells stay, as a row would lose its order without them."""
    found: list[Span] = []
    at = 0
    for first, last in sorted(cuts):
        if last <= at:
            continue
        if first > at:
            found.append((at, first))
        cell = text.find("\x07", max(first, at), last)
        while cell >= 0:
            found.append((cell, cell + 1))
            cell = text.find("\x07", cell + 1, last)
        at = last
    if at < len(text):
        found.append((at, len(text)))
    return found


def within(spans: Sequence[Span], begin: int, end: int) -> Iterator[Span]:
    """The parts of ascending spans between two places."""
    n = max(bisect_right(spans, (begin, begin)) - 1, 0)
    while n < len(spans) and spans[n][0] < end:
        first, last = max(spans[n][0], begin), min(spans[n][1], end)
        if first < last:
            yield first, last
        n += 1


def linked(text: str, spans: Iterable[Span], links: Mapping[int, str]) -> str:
    """The characters of some spans, links in Markdown."""
    pieces: list[str] = []
    target, words = "", 0
    for first, last in spans:
        at = first
        for sign in _ENDS.finditer(text, first, last):
            pieces.append(text[at : sign.start()])
            at = sign.end()
            if sign[0] == _BEGIN:
                target, words = links.get(sign.start(), ""), len(pieces)
            elif target:
                pieces[words:] = [_link("".join(pieces[words:]), target)]
                target = ""
        pieces.append(text[at:last])
    return "".join(pieces)


def _link(words: str, target: str) -> str:
    return words if words.strip() in ("", target) else f"[{words}]({target})"

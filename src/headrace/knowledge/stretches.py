"""A long text in stretches of bounded length, cut where it is cut anyway.

The splitter's work grows with the square of what it is given at once, for some texts (deep quotations, lines without an
end): in stretches it grows with the length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

LONGEST = 65_536
"""Characters of a stretch, at most."""
BLOCK = 8192
"""Characters of a stretch that holds no blank line, at most."""


def stretches(text: str, start: int, end: int, headings: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Parts of `text[start:end]` in order, without gaps. Cut before a heading (`headings`: their offsets, ascending) or
    else behind a blank line, a line, a word; all of it in one where it is short."""
    while start < end:
        until = _until(text, start, end, headings)
        yield start, until
        start = until


def _until(text: str, start: int, end: int, headings: Sequence[int]) -> int:
    limit = start + LONGEST
    if end <= limit:
        return _short(text, start, end)
    last = bisect_left(headings, limit) - 1
    at = headings[last] if last >= 0 and headings[last] > start + LONGEST // 2 else 0
    at = at or text.rfind("\n\n", start + 1, limit) + 2
    return _short(text, start, at if at > start + 2 else limit)


def _short(text: str, start: int, end: int) -> int:
    """Where the first block that is too long ends at the latest; `end` where there is none."""
    at = start
    while end - at > BLOCK:
        blank = text.rfind("\n\n", at + 1, at + BLOCK)
        if blank < 0:
            return at if at > start else _cut(text, start, start + BLOCK)
        at = blank + 2
    return end


def _cut(text: str, start: int, limit: int) -> int:
    for mark in ("\n", " "):
        at = text.rfind(mark, start + BLOCK // 2, limit)
        if at >= 0:
            return at + 1
    return limit

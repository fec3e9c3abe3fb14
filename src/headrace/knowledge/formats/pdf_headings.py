"""A PDF's headings by the sizes of its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

LARGER = 1.15
"""How many times the size of most letters a heading's are."""
LONGEST = 120
FEWEST = 10
"""Lines that stand beside headings; with fewer, nothing tells what the usual size is."""
LINES = 200_000
_JOINED = 3
_TOGETHER = 200
"""Characters up to which joined lines are a heading and not a paragraph in large letters."""
_LEVELS = 4


class Line(NamedTuple):
    """A line of the text by its offsets, its page, the size of its letters (0 is not known) and its height on the
    page, both in points."""

    start: int
    end: int
    page: int
    size: float
    y: float


class Heading(NamedTuple):
    start: int
    level: int
    words: str
    page: int


def headings(text: str, lines: Sequence[Line]) -> list[Heading]:
    """Lines that are larger than most of the text, up to three of one size together; levels by size, from 1.

    None where so many are large that size tells nothing, or where there is hardly any text beside them.
    """
    sizes: Counter[float] = Counter()
    for line in lines:
        if line.size:
            sizes[round(line.size, 1)] += line.end - line.start
    if not sizes or len(lines) > LINES:
        return []
    body = sizes.most_common(1)[0][0]
    large = [line for line in lines if line.size >= LARGER * body and _is_heading(text[line.start : line.end])]
    if len(large) > len(lines) / 5 or len(lines) - len(large) < FEWEST:
        return []
    groups = [g for g in _groups(lines, set(large)) if len(g) <= _JOINED and g[-1].end - g[0].start <= _TOGETHER]
    ranks = sorted({_rounded(g[0].size) for g in groups}, reverse=True)
    found = [
        Heading(
            g[0].start,
            min(ranks.index(_rounded(g[0].size)) + 1, _LEVELS),
            " ".join(text[g[0].start : g[-1].end].split()),
            g[0].page,
        )
        for g in groups
    ]
    often = Counter(words for _, words in {(h.page, h.words) for h in found})
    pages = lines[-1].page + 1
    return [h for h in found if often[h.words] <= max(2, pages // 2)]  # not what is repeated at the top of pages


def _is_heading(words: str) -> bool:
    """Short, and not a page's number or a code."""
    return 2 <= len(words) <= LONGEST and 4 * sum(c.isalpha() for c in words) >= len(words)


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _groups(lines: Sequence[Line], large: set[Line]) -> list[list[Line]]:
    """Large lines of one size that stand below each other."""
    groups: list[list[Line]] = []
    before: Line | None = None
    for line in lines:
        if line in large:
            if before is not None and _goes_on(before, line):
                groups[-1].append(line)
            else:
                groups.append([line])
        before = line if line in large else None
    return groups


def _goes_on(before: Line, line: Line) -> bool:
    same = before.page == line.page and abs(before.size - line.size) < 0.02 * line.size
    return same and 0 < before.y - line.y < 2 * line.size

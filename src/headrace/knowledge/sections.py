"""A text in its sections, where its format keeps headings apart from it: pages under bookmarks, code by definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

Heading = tuple[int, int, str]
"""Where it stands (characters), its level, its words."""
Fits = Callable[[int, int], bool]
"""Whether the text between two places (characters) fits a chunk."""


def sections(first: int, last: int, headings: Sequence[Heading], fits: Fits) -> Iterator[tuple[int, int]]:
    """Parts of a text in order, without gaps, cut before headings (ascending) only.

    What fits a chunk is not cut. What doesn't is taken apart at its outermost headings, and its parts again; those
    beside each other that fit together stay together. A part without a heading inside may be too long.
    """
    inside = [h for h in headings if first < h[0] < last]
    if not inside or fits(first, last):
        yield first, last
        return
    outermost = min(level for _, level, _ in inside)
    cuts = [at for at, level, _ in inside if level == outermost]
    begun: tuple[int, int] | None = None
    for start, end in zip([first, *cuts], [*cuts, last], strict=True):
        if begun is not None and fits(begun[0], end):
            begun = begun[0], end
            continue
        if begun is not None:
            yield begun
        begun = (start, end) if fits(start, end) else None
        if begun is None:
            yield from sections(start, end, [h for h in inside if start < h[0] < end], fits)
    if begun is not None:
        yield begun

"""Paragraphs of an OpenDocument text as they are put together: their white space, and lines that become one block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BLANKS = re.compile(r"[ \t\r\n]+")
CODE = -1
"""What lines of code are lines of."""
Line = tuple[int | None, str]
"""A block's text, and what it is a line of: a list by its number, code, or nothing."""


def joined(lines: Iterable[Line]) -> Iterator[str]:
    """Blocks; lines of one list, and of code, become one."""
    held: list[str] = []
    of: int | None = None
    for key, text in lines:
        if key is None or key != of:
            yield from _block(held, of)
            held = []
        held.append(text)
        of = key
    yield from _block(held, of)


def _block(lines: list[str], key: int | None) -> Iterator[str]:
    text = "\n".join(lines).strip("\n")
    if key != CODE or not text:
        yield from [text] if text else []
        return
    longest = max((len(m) for m in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    yield f"{fence}\n{text}\n{fence}"


class Words:
    """A paragraph's text: white space of the XML is one blank, and none at a beginning (6.1.2)."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.hidden = False
        self._blank = True

    def write(self, text: str | None) -> None:
        text = _BLANKS.sub(" ", text or "")
        text = text.removeprefix(" ") if self._blank else text
        if text:
            self.pieces.append(text)
            self._blank = text.endswith(" ")

    def put(self, text: str) -> None:
        """As it is."""
        self.pieces.append(text)
        self._blank = False

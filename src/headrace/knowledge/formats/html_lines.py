"""Words of a page written as Markdown: white space as a browser shows it, marks only before words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

_DEEPEST = 12
"""Lists and quotations inside one another that are marked; what is deeper stands with the last of them. So the marks of
a text's lines stay in proportion to the text."""
_TICKS = re.compile(r"`+")


@dataclass(slots=True)
class _Level:
    """What a list's item or a quotation puts before its lines; `first`: before the next one only."""

    rest: str
    first: str | None = None


class Lines:
    """Lines in the making. `flat`: all of it stays in one line, as in a table's cell."""

    def __init__(self, *, flat: bool = False) -> None:
        self.flat = flat
        self._pieces: list[str] = []
        self._levels: list[_Level] = []
        self._rest = ""
        self._deeper = 0
        self._pending: list[str] = []
        self._gap = 0  # line ends before the next words
        self._space = False
        self._tight = False
        self._before = ""  # what stands before the words of the line at hand, but for an item's mark

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def words(self, text: str | None) -> None:
        """Text whose white space is worth one space, none at the ends of lines; soft hyphens are not seen."""
        if not text:
            return
        words = text.replace("\xad", "").split()
        if not words:
            self._space = self._space or text[0].isspace()
            return
        self._space = self._space or text[0].isspace()
        self._begin()
        self._pieces.append(" ".join(words))
        self._space = text[-1].isspace()

    def line(self, *, tight: bool = False) -> None:
        """What comes stands on a line of its own. `tight`: on this one, also where it begins with a block."""
        self._apart(1)
        self._tight = tight

    def block(self) -> None:
        """What comes stands behind a blank line."""
        if not self._tight:
            self._apart(2)

    def line_break(self) -> None:
        self._apart(min(self._gap + 1, 2))

    def open(self, mark: str) -> None:
        """A mark directly before the next words; `close` for each, with the mark behind them if there were any."""
        self._pending.append(mark)

    def close(self, mark: str) -> None:
        if self._pending:
            self._pending.pop()
        else:
            self._pieces.append(mark)

    def glue(self, mark: str) -> None:
        """A mark directly behind the last words, unless one of the kind is there."""
        if self._pieces and not self._pieces[-1].endswith((mark, ":")):
            self._pieces.append(mark)
        self._space = True

    def push(self, rest: str, first: str | None = None) -> None:
        """From here on `rest` stands before each line, before the next one `first`."""
        if len(self._levels) == _DEEPEST:
            self._deeper += 1
            return
        if first and self._levels:
            self._levels[-1].first = None  # an item that begins with a list has no mark of its own
        self._levels.append(_Level(rest, first))
        self._rest += rest

    def pop(self) -> None:
        if self._deeper:
            self._deeper -= 1
        else:
            self._rest = self._rest.removesuffix(self._levels.pop().rest)

    def code(self, text: str, language: str) -> None:
        """Text whose white space counts, between fences (CommonMark 0.31.2, 4.5) that do not occur in it."""
        if self.flat:
            self.words(text)
        elif text:
            fence = "`" * max(3, 1 + max((len(t) for t in _TICKS.findall(text)), default=0))
            self.verbatim([fence + language, *text.split("\n"), fence])

    def verbatim(self, lines: Iterable[str]) -> None:
        """Lines as they are, apart from what is around them."""
        self._apart(2)
        self._pending.clear()  # of a heading whose words did not come
        marked = any(level.first for level in self._levels)
        self._begin()
        if marked:
            # A fence behind an item's mark would not be seen as one by who reads only the beginnings of lines.
            self._pieces[-1] = self._pieces[-1].rstrip()
            self._pieces.append("\n" + self._before)
        for n, line in enumerate(lines):
            self._pieces.append(("\n" + (self._before if line else self._before.rstrip()) if n else "") + line)
        self._apart(2)

    def _apart(self, line_ends: int) -> None:
        if self.flat:
            self._space = True
        else:
            self._gap = max(self._gap, line_ends)

    def _begin(self) -> None:
        if not self._pieces:
            self._start()
        elif self._gap:
            blank = _common(self._before, self._rest).rstrip() if self._before and self._gap > 1 else ""
            self._pieces.append("\n" + (blank + "\n") * (self._gap - 1))
            self._start()
        elif self._space:
            self._pieces.append(" ")
        self._gap, self._space, self._tight = 0, False, False
        self._pieces += self._pending
        self._pending.clear()

    def _start(self) -> None:
        self._before = self._rest
        if any(level.first for level in self._levels):
            self._pieces.append("".join(level.first or level.rest for level in self._levels))
            for level in self._levels:
                level.first = None
        else:
            self._pieces.append(self._rest)


def _common(one: str, other: str) -> str:
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))

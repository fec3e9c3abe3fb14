"""reStructuredText: section titles as Markdown headings, literal blocks as fences, the rest as it stands."""

from __future__ import annotations

import re

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.text import name_of, text_of
from headrace.knowledge.parsed import Draft, File, Parsed

# https://docutils.sourceforge.io/docs/ref/rst/restructuredtext.html#sections
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*")
_CODE = re.compile(r"([ \t]*)\.\. (?:code-block|code|sourcecode|highlight)::[ \t]*(\S*)[ \t]*")
_OPTION = re.compile(r"[ \t]+:[\w-]+:.*")
_FIELD_DATE = re.compile(r"^:(?:date|published|modified):[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_TARGET = re.compile(r"\.\. _[^:]+:(?:[ \t]|$)")


def parse(file: File) -> Parsed:
    text = text_of(file)
    reader = _Reader([line.expandtabs().rstrip() for line in text.split("\n")])
    draft = Draft(file)
    draft.add(reader.read())
    date = _FIELD_DATE.search(text[:4000])
    return draft.done(reader.title or name_of(file.path), dated=stated(date[1]) if date else None)


class _Reader:
    """Lines in order; a title's level is the order in which its adornment was first met."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._styles: list[str] = []
        self._out: list[str] = []
        self.title = ""

    def read(self) -> str:
        n = 0
        while n < len(self._lines):
            n = self._code(n) or self._section(n) or self._line(n)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._out))

    def _at(self, n: int) -> str:
        return self._lines[n] if 0 <= n < len(self._lines) else ""

    def _section(self, n: int) -> int | None:
        """A title with a line under it, or over and under it."""
        line, below = self._at(n), self._at(n + 1)
        if _adorns(line, self._at(n + 1)) and self._at(n + 2) == line and below.strip():
            return self._heading(below.strip(), line[0] * 2, n + 3)
        if line.strip() and not line.startswith(" ") and not _bar(line) and _adorns(below, line):
            return self._heading(line.strip(), below[0], n + 2)
        return None

    def _heading(self, words: str, style: str, following: int) -> int:
        if style not in self._styles:
            self._styles.append(style)
        self.title = self.title or words
        self._out.append("#" * min(self._styles.index(style) + 1, 6) + " " + words)
        return following

    def _code(self, n: int) -> int | None:
        """An indented block of code, in a fence."""
        directive = _CODE.fullmatch(self._at(n))
        if directive is None:
            return None
        depth = len(directive[1])
        n += 1
        while n < len(self._lines) and (_OPTION.fullmatch(self._lines[n]) or not self._lines[n].strip()):
            n += 1
        block: list[str] = []
        while n < len(self._lines) and (not self._lines[n].strip() or _indent(self._lines[n]) > depth):
            block.append(self._lines[n])
            n += 1
        while block and not block[-1]:
            block.pop()
        indent = min((_indent(b) for b in block if b), default=0)
        self._out += [f"```{directive[2]}", *(b[indent:] for b in block), "```", ""]
        return n

    def _line(self, n: int) -> int:
        line = self._lines[n]
        if not _TARGET.match(line):
            self._out.append("\\" + line if line.startswith("#") else line)
        return n + 1


def _bar(line: str) -> bool:
    return _ADORNMENT.fullmatch(line) is not None


def _adorns(bar: str, words: str) -> bool:
    """Whether a line of one repeated sign is as long as the words it marks (three signs do for short ones)."""
    return len(bar) >= 3 and _bar(bar) and len(bar) >= len(words.strip()) and bool(words.strip())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())

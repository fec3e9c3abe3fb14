"""What holds inside a group of RTF and is as before at its end (RTF 1.9.1, "Conventions of an RTF Reader")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from headrace.knowledge.formats.rtf_story import Look, Story

BODY_TEXT = 9
"""The outline level of what is no heading."""
_DEEPEST = 8
"""List levels are 0 to 8."""

CHARACTERS = {
    "tab": "\t", "line": "\n", "lbr": "\n", "softline": "\n", "emdash": "—", "endash": "–", "lquote": "‘",
    "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ", "qmspace": " ",
    "zwj": "\u200d", "zwnj": "\u200c", "~": "\u00a0", "_": "-", "\t": "\t",
}  # fmt: skip
"""Control words and symbols that are a character."""

SKIPPED = frozenset(
    """
    aftncn aftnsep aftnsepc atnid atrfend atrfstart bkmkend bkmkstart blipuid colorschememapping colortbl datafield
    datastore filetbl fldtype ftncn ftnsep ftnsepc generator latentstyles listoverridetable listtable mmathPr
    nonesttables nonshppict objalias objclass objdata objname objsect objtime panose pgptbl pn private revtbl rsidtbl
    rxe shprslt tc tcn template themedata txe xe xmlnstbl
    maccPr mbarPr mborderBoxPr mboxPr mctrlPr mdPr meqArrPr mfPr mfuncPr mgroupChrPr mlimLowPr mlimUppPr mmPr mnaryPr
    moMathParaPr mphantPr mrPr mradPr msPrePr msSubPr msSubSupPr msSupPr
    """.split()
)
"""Destinations whose text is no part of the document's, with `\\*` before them or without."""


class Sink(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> object: ...


@dataclass(slots=True)
class Field:
    """A field's instruction, such as `HYPERLINK "address"`."""

    instruction: str = ""


@dataclass
class State:
    """`sink`: where text goes, None if nowhere; `place`: the destination. `closes`: what its end is to this group."""

    story: Story
    sink: Sink | None
    place: str = ""
    closes: Callable[[State], None] | None = None
    field: Field | None = None
    is_linked: bool = False  # the text is a link's words
    fallback: int = 1  # characters that stand for one in Unicode
    font: int | None = None
    right_font: int | None = None  # of what is written from right to left
    is_right: bool = False
    hidden: bool = False
    deleted: bool = False
    style: int = 0
    outline: int | None = None
    based: int | None = None
    in_table: bool = False
    nesting: int = 1
    list: int = 0
    depth: int = 0

    def inner(self) -> State:
        """A group's inside this one."""
        state = State.__new__(State)
        state.__dict__.update(self.__dict__)  # several times as fast as `copy`, and there are many groups
        state.closes = None
        return state

    def plain(self) -> None:
        self.font = self.right_font = None
        self.hidden = self.deleted = self.is_right = False

    def paragraph(self) -> None:
        """Properties of paragraphs as they are without any."""
        self.style, self.outline = 0, None
        self.in_table, self.nesting = False, 1
        self.list = self.depth = 0

    def set(self, word: str, number: int | None) -> bool:
        """Takes a property; False if it is none that matters here."""
        if (flag := _FLAGS.get(word)) is not None:
            setattr(self, flag, number != 0)
        elif (name := _NUMBERS.get(word)) is not None:
            setattr(self, name, max(number or 0, 0))
        elif (act := _ACTS.get(word)) is not None:
            act(self)
        else:
            return False
        return True

    def look(self, levels: dict[int, int]) -> Look:
        """What the paragraph is that ends here. `levels`: styles of headings."""
        level = levels.get(self.style)
        if level is None and self.outline is not None and self.outline < BODY_TEXT:
            level = self.outline + 1
        return Look(level, self.list > 0, min(self.depth, _DEEPEST), self.in_table)


_FLAGS = {"v": "hidden", "deleted": "deleted", "mvf": "deleted", "intbl": "in_table", "rtlch": "is_right"}
_NUMBERS = {
    "s": "style", "outlinelevel": "outline", "sbasedon": "based", "itap": "nesting", "ls": "list", "ilvl": "depth",
    "af": "right_font", "f": "font", "uc": "fallback",
}  # fmt: skip


def _left(state: State) -> None:
    state.is_right = False


_ACTS: dict[str, Callable[[State], None]] = {"plain": State.plain, "pard": State.paragraph, "ltrch": _left}
PROPERTIES = frozenset({*_FLAGS, *_NUMBERS, *_ACTS})
"""The words that a state takes."""

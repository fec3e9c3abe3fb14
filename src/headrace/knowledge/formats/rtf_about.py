"""What an RTF document states of itself, its fonts and its styles (RTF 1.9.1, "Information Group", "User Properties",
"Character Set", "Font Table", "Style Sheet")."""

from __future__ import annotations

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.rtf_fonts import Font
from headrace.knowledge.formats.rtf_reader import Reader
from headrace.knowledge.formats.rtf_state import BODY_TEXT
from headrace.knowledge.formats.word_styles import level_of
from headrace.metadata import Metadata, keywords_of, metadata_of, time_text_us

_NAMES = {
    "title": "title", "subject": "subject", "author": "author", "operator": "last_modified_by", "manager": "manager",
    "company": "company", "category": "category", "keywords": "keywords", "doccomm": "description",
}  # fmt: skip
_CODE_PAGES = {"mac": 10000, "pc": 437, "pca": 850}
_TIMES = {"creatim": "created", "revtim": "modified", "printim": "lastprinted"}
_PARTS = ("yr", "mo", "dy", "hr", "min", "sec")
_WHOLE, _REAL, _BOOLEAN, _DATE = 3, 5, 11, 64
"""Types of user properties (\\proptypeN); others are text."""
_STYLES_BELOW = 20
"""Styles based on each other that are followed to a heading's."""
_LONGEST_NAME = 200
_NO_FONT = -1
"""Text of the information group is in the document's code page."""


class About:
    """Takes what the document says in its information group."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._said: dict[str, str] = {}
        self._times: dict[str, int | None] = {}
        self._time: dict[str, int] = {}
        self._custom: dict[str, object] = {}
        self._name, self._type = "", 0
        acts = reader.acts
        acts["info"] = lambda _: reader.enter("info", None)
        acts["userprops"] = lambda _: reader.enter("userprops", None)
        acts["propname"] = lambda _: self._property("propname")
        acts["staticval"] = lambda _: self._property("staticval")
        acts["proptype"] = self._property_type
        for word in _NAMES:
            acts[word] = lambda _, word=word: self._text(word)
        for word in _TIMES:
            acts[word] = lambda _, word=word: self._begin_time(word)
        for word in _PARTS:
            acts[word] = lambda number, word=word: self._time.update({word: number or 0})

    @property
    def title(self) -> str:
        return self._said.get("title", "")

    @property
    def dated(self) -> int | None:
        """When it was changed last or else made, microseconds since the epoch; it has no time zone: UTC."""
        return self._times.get("revtim") or self._times.get("creatim")

    @property
    def metadata(self) -> Metadata:
        named: dict[str, object] = {_NAMES[w]: keywords_of(t) if w == "keywords" else t for w, t in self._said.items()}
        times = {name: time_text_us(self._times.get(word)) for word, name in _TIMES.items()}
        return metadata_of(self._custom, named, times)

    def _text(self, word: str) -> None:
        if self._reader.state.place == "info":
            self._reader.capture(word, lambda text: self._said.update({word: " ".join(text.split())}))
            self._reader.state.font = _NO_FONT

    def _begin_time(self, word: str) -> None:
        self._time = {}
        self._reader.enter(word, None, lambda _: self._times.update({word: _moment(self._time)}))

    def _property(self, word: str) -> None:
        if self._reader.state.place == "userprops":
            self._reader.capture(word, self._named if word == "propname" else self._valued)
            self._reader.state.font = _NO_FONT

    def _property_type(self, number: int | None) -> None:
        self._type = number or 0

    def _named(self, text: str) -> None:
        self._name, self._type = text.strip(), 0

    def _valued(self, text: str) -> None:
        if self._name:
            self._custom[self._name] = _value(self._type, text.strip())


class FontTable:
    """Takes the document's code page and its fonts: as text the table holds their names."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        acts = reader.acts
        acts["fonttbl"] = lambda _: reader.enter("fonttbl", self)
        acts["fcharset"] = self._charset
        acts["cpg"] = self._font_page
        acts["deff"] = self._default
        acts["ansicpg"] = self._page
        for word, page in _CODE_PAGES.items():
            acts[word] = lambda _, page=page: self._page(page)

    def write(self, text: str, /) -> None:
        self._font.name = (self._font.name + text)[:40]

    @property
    def _font(self) -> Font:
        return self._reader.fonts.font(self._reader.state.font or 0)

    def _charset(self, number: int | None) -> None:
        if self._reader.state.sink is self:
            self._font.charset = number

    def _font_page(self, number: int | None) -> None:
        if self._reader.state.sink is self:
            self._font.page = number

    def _default(self, number: int | None) -> None:
        self._reader.fonts.default = number or 0

    def _page(self, number: int | None) -> None:
        self._reader.fonts.page = number or self._reader.fonts.page


class Styles:
    """Takes the style sheet: as text it holds the styles' names, each with a semicolon behind it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._name = ""
        self._based: dict[int, int] = {}
        reader.acts["stylesheet"] = lambda _: reader.enter("stylesheet", self, lambda _: self._inherit())

    def write(self, text: str, /) -> None:
        *ended, begun = (self._name + text).split(";")
        for name in ended:
            self._define(name.split(",")[0].strip())
        self._name = begun[:_LONGEST_NAME]

    def _define(self, name: str) -> None:
        """A style's level by its name or outline level; 0 is the document's title."""
        state, levels = self._reader.state, self._reader.levels
        if (level := level_of(name)) is not None:
            levels[state.style] = level
        elif state.outline is not None and state.outline < BODY_TEXT:
            levels[state.style] = state.outline + 1
        elif state.based is not None:
            self._based[state.style] = state.based

    def _inherit(self) -> None:
        levels = self._reader.levels
        for style in self._based:
            above = style
            for _ in range(_STYLES_BELOW):
                if above in levels or above not in self._based:
                    break
                above = self._based[above]
            if above in levels:
                levels[style] = levels[above]


def _moment(time: dict[str, int]) -> int | None:
    year, month, day, hour, minute, second = (time.get(p, 0) for p in _PARTS)
    return stated(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")


def _value(kind: int, text: str) -> object:
    try:
        if kind == _WHOLE:
            return int(text[:100])
        if kind == _REAL:
            return float(text)
    except ValueError:
        return text
    if kind == _BOOLEAN:
        return text.lower() not in ("", "0", "false")
    return time_text_us(stated(text)) if kind == _DATE else text

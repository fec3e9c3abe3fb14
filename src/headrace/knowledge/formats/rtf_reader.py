"""Reads RTF token by token: groups, destinations, and the characters of the text (RTF 1.9.1, "Contents of an RTF
File"). What single destinations are to the document is told by others, in `acts`."""

from __future__ import annotations

import io
from collections.abc import Callable

from headrace.knowledge.formats.rtf_fonts import Fonts
from headrace.knowledge.formats.rtf_state import CHARACTERS, PROPERTIES, SKIPPED, Sink, State
from headrace.knowledge.formats.rtf_story import Story
from headrace.knowledge.formats.rtf_tokens import Tokens
from headrace.knowledge.parsed import File

_DEEPEST = 10_000
"""Groups in groups: each costs some memory until it ends."""
_CONTROL = dict.fromkeys([*range(9), *range(11, 32), 127])
"""Characters that are none of a text: all but the tab and the end of a line."""
_REPLACEMENT = "\ufffd"


class Reader:
    """`state`: of the group that is open; `levels`: heading levels by paragraph style; `acts`: what a control word
    does, by its number."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._tokens = Tokens(file.content)
        self._utf8 = _is_utf8(file.content)
        self._stack: list[State] = []
        self._bytes = bytearray()  # text whose characters may not be whole yet
        self._skip = 0  # characters still to come that stand for one in Unicode
        self._high = 0  # the first half of a pair
        self._starred = False
        self._is_twice = False  # a group comes that the next one has in Unicode
        self.fonts = Fonts()
        self.levels: dict[int, int] = {}
        self.body = self.new_story()
        self.state = State(self.body, self.body)
        self.acts: dict[str, Callable[[int | None], None]] = {
            "*": self._star, "u": self._unicode, "upr": self._twice, "ud": _nothing, "moMath": _nothing,
            "moMathPara": _nothing,
            **dict.fromkeys(("par", "sect", "page", "column", "nestcell", "\n", "\r"), self._paragraph),
        }  # fmt: skip

    def read(self) -> None:
        """To the end of the outermost group, or of a file that is cut off."""
        known = {*CHARACTERS, *SKIPPED, *PROPERTIES, *self.acts}
        for word, number, text in self._tokens:
            if not word:
                self._text(text)
            elif word in known:
                self._control(word, number)
            elif word == "{":
                self._open()
            elif word == "}":
                self._close()
                if not self._stack:
                    break
            elif word == "'":
                self._text(bytes([number]) if number is not None else b"", escaped=True)
            else:
                self._unknown()
        while self._stack:
            self._close()
        self._flush()
        self.body.end(self.state.look(self.levels))

    def new_story(self) -> Story:
        return Story(self._file.wrote)

    def skip(self) -> None:
        """The rest of the group is no text."""
        self._tokens.skip()

    def enter(self, place: str, sink: Sink | None, closes: Callable[[State], None] | None = None) -> None:
        """The group is a destination: its text goes to the sink, and `closes` is called at its end."""
        if self.state.closes is not None:  # the group was another one before
            self.state.closes(self.state)
        self.state.place, self.state.sink, self.state.closes = place, sink, closes

    def capture(self, place: str, done: Callable[[str], None]) -> None:
        """The text of the group as it is."""
        sink = io.StringIO()
        self.enter(place, sink, lambda _: done(sink.getvalue()))

    def tell(self, place: str, done: Callable[[State, list[str]], None]) -> None:
        """The group is a flow of text of its own: gives its blocks."""
        if self.state.hidden or self.state.deleted:
            self.skip()
            return
        story = self.new_story()
        self.enter(place, story, lambda state: done(state, story.end(state.look(self.levels))))
        self.state.story = story
        self.state.paragraph()

    def write(self, text: str) -> None:
        state = self.state
        if self._high:
            self._high, text = 0, _REPLACEMENT + text
        if state.sink is not None and not state.hidden and not state.deleted:
            text = text.translate(_CONTROL)
            self._file.wrote(len(text))
            state.sink.write(text)

    @property
    def font(self) -> int:
        state = self.state
        font = state.right_font if state.is_right and state.right_font is not None else state.font
        return font if font is not None else self.fonts.default

    def _open(self) -> None:
        self._flush()
        self._skip = 0
        if len(self._stack) >= _DEEPEST:
            got = "one that opens them without end"
            raise self._file.refused(f"at most {_DEEPEST:,} groups in each other", got, "Save it again.")
        self._stack.append(self.state)
        self.state = self.state.inner()
        if self._is_twice:
            self._is_twice = False
            self.skip()

    def _close(self) -> None:
        self._flush()
        self._skip = 0
        if self.state.closes is not None:
            self.state.closes(self.state)
        if len(self._stack) == 1:  # what the last paragraph is, is told in the outermost group
            self.body.end(self.state.look(self.levels))
        if self._stack:
            self.state = self._stack.pop()

    def _text(self, text: bytes, *, escaped: bool = False) -> None:
        self._starred = False
        if self._skip:
            skipped = min(self._skip, len(text))
            self._skip -= skipped
            text = text[skipped:]
        if self.state.sink is None or not text:
            return
        if not escaped and self._utf8 and not text.isascii():
            self._flush()
            self.write(text.decode("utf-8", "replace"))
        else:
            self._bytes += text

    def _flush(self) -> None:
        if self._bytes:
            text = self.fonts.decode(bytes(self._bytes), self.font)
            self._bytes.clear()
            self.write(text)

    def _control(self, word: str, number: int | None) -> None:
        self._flush()
        self._starred = False
        if (text := CHARACTERS.get(word)) is not None:
            if self._skip:
                self._skip -= 1
            else:
                self.write(text)
            return
        self._skip = 0  # a formatting word stands for no character
        if word in SKIPPED:
            self.skip()
        elif not self.state.set(word, number):
            self.acts[word](number)

    def _unknown(self) -> None:
        self._skip = 0
        if self._starred:
            self._starred = False
            self.skip()

    def _star(self, _: int | None) -> None:
        """What follows is skipped by who does not know it."""
        self._starred = True

    def _twice(self, _: int | None) -> None:
        self._is_twice = True

    def _unicode(self, number: int | None) -> None:
        """A number of 16 bits, with or without a sign, half of a pair or not; some write one of more bits."""
        code = number or 0
        code = code + 0x10000 if -0x8000 <= code < 0 else code
        self._skip = self.state.fallback
        if 0xD800 <= code < 0xDC00:
            self.write("")  # another first half that was waiting has no second one
            self._high = code
        elif 0xDC00 <= code < 0xE000 and self._high:
            pair = 0x10000 + ((self._high - 0xD800) << 10) + code - 0xDC00
            self._high = 0
            self.write(chr(pair))
        elif 0xDC00 <= code < 0xE000 or not 0 <= code < 0x110000:
            self.write(_REPLACEMENT)
        else:
            self.write(self.fonts.character(code, self.font))

    def _paragraph(self, _: int | None) -> None:
        state = self.state
        if state.sink is state.story:
            if not state.hidden and not state.deleted:  # else it goes on in the next one
                state.story.end_paragraph(state.look(self.levels))
        else:
            self.write(" ")


def _nothing(_: int | None) -> None:
    """A destination whose text is the document's."""


def _is_utf8(content: bytes) -> bool:
    """Whether text that should be escaped is written in UTF-8, as some programs do."""
    if content.isascii():
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True

"""RTF in its smallest parts: groups, control words, control symbols and text (RTF 1.9.1, "RTF Syntax")."""

from __future__ import annotations

import re
from collections.abc import Iterator

Token = tuple[str, int | None, bytes]
"""(word, number, text). The word is `{` or `}`, a control word or symbol without its backslash, or empty for text (an
escaped brace or backslash too); a byte `\\'hh` is the symbol `'` with its value, and without one if it is damaged."""

# A number longer than it can be is cut: its other digits belong to it still, so that they do not become text.
_TOKEN = re.compile(
    rb"""\\([a-zA-Z]+)(?:(-?[0-9]{1,10})[0-9]*)?[ ]? | ([^\\{}]+) | ([{}]) | \\'([0-9a-fA-F]{2}) | \\([^a-zA-Z])""",
    re.VERBOSE | re.DOTALL,
)
_SKIPPED = re.compile(rb"[{}]|\\bin([0-9]{1,10})[0-9]* ?|\\.", re.DOTALL)
_ESCAPED = (b"\\", b"{", b"}")
_MEANINGLESS = b"\r\n\0"
"""Bytes between tokens that are no text."""


class Tokens:
    """The tokens of a file in order; binary data (`\\binN`) is passed over."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def __iter__(self) -> Iterator[Token]:
        content = self._content
        while match := _TOKEN.match(content, self._at):  # a backslash at the very end is none
            self._at = match.end()
            word, number, text, brace, byte, symbol = match.groups()
            if word == b"bin":
                self._at += max(int(number or 0), 0)
            elif word is not None:
                yield word.decode(), int(number) if number is not None else None, b""
            elif text is not None:
                if text := text.translate(None, _MEANINGLESS):
                    yield "", None, text
            elif brace is not None:
                yield brace.decode(), None, b""
            elif byte is not None:
                yield "'", int(byte, 16), b""
            elif symbol in _ESCAPED:
                yield "", None, symbol
            else:
                yield symbol.decode("latin-1"), None, b""

    def skip(self) -> None:
        """Goes to the end of the group that is open here: what closes it is the next token."""
        depth = 0
        while match := _SKIPPED.search(self._content, self._at):
            self._at = match.end()
            if match[0] == b"{":
                depth += 1
            elif match[0] == b"}":
                depth -= 1
                if depth < 0:
                    self._at = match.start()
                    return
            elif match[1] is not None:
                self._at += int(match[1])
        self._at = len(self._content)

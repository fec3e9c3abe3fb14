"""What the bytes of an RTF text mean: by the font that they stand in, or else the document's code page."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

# RTF 1.9.1, "Font Table", \fcharsetN: its code page.
_CHARSETS = {
    0: 1252, 77: 10000, 78: 932, 79: 949, 80: 936, 81: 950, 83: 10005, 84: 10004, 85: 10006, 86: 10081, 88: 10029,
    89: 10007, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255,
    178: 1256, 179: 1256, 180: 1256, 181: 1255, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437, 255: 850,
    256: 10000,
}  # fmt: skip
# Code pages whose codec in Python has a name of its own.
_CODECS = {
    708: "iso8859-6", 709: "iso8859-6", 819: "cp1252", 1361: "johab", 10000: "mac-roman", 10001: "cp932",
    10002: "cp950", 10003: "cp949", 10004: "mac-arabic", 10005: "cp1255", 10006: "mac-greek", 10007: "mac-cyrillic",
    10008: "gbk", 10029: "mac-latin2", 10081: "mac-turkish", 20866: "koi8-r", 21866: "koi8-u", 28591: "cp1252",
    54936: "gb18030", 65001: "utf-8",
}  # fmt: skip
_MACINTOSH = 10000
"""From this code page on they are Apple's, in whose documents charset 0 says nothing."""


def _characters(first: int, text: str) -> dict[int, str]:
    return {first + n: c for n, c in enumerate(text) if c != " "}


# The encodings that two fonts of pictures and signs have built in; what has no character is left out.
_SYMBOL = {
    **{n: chr(n) for n in range(32, 127)},
    **_characters(0x40, "≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ"),
    **_characters(0x61, "αβχδεφγηιϕκλμνοπθρστυϖωξψζ"),
    **_characters(0xA3, "≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…"),
    **_characters(0xC4, "⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇   ∏√⋅¬∧∨⇔⇐⇑⇒⇓"),
    **{0x22: "∀", 0x24: "∃", 0x27: "∋", 0x2A: "∗", 0x2D: "−", 0x5C: "∴", 0x5E: "⊥", 0xE5: "∑", 0xF2: "∫"},
}  # fmt: skip
_WINGDINGS = {
    0x20: " ", 0x28: "☎", 0x2A: "✉", 0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x76: "❖", 0x77: "◆", 0x9F: "•",
    0xA7: "▪", 0xA8: "☐", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE8: "➔", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
_SIGNS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS}
_PRIVATE = range(0xF020, 0xF100)
"""Where Unicode has a font's own signs."""


@dataclass(slots=True)
class Font:
    """`charset` and `page` (a code page): what the font table says of its bytes."""

    charset: int | None = None
    page: int | None = None
    name: str = ""


class Fonts:
    """The font table as it is read. `page`: the document's code page; `default`: the number of its font."""

    def __init__(self) -> None:
        self.page = 1252
        self.default = 0
        self._fonts: dict[int, Font] = {}

    def font(self, number: int) -> Font:
        """The font of a number, which is a new one when nothing was told of it yet."""
        return self._fonts.setdefault(number, Font())

    def decode(self, text: bytes, number: int) -> str:
        """Bytes in a font as characters, in an unknown one by the document's code page; what is none becomes U+FFFD."""
        font = self._fonts.get(number)
        if signs := _signs(font):
            return "".join([signs.get(b, "") for b in text])
        return text.decode(self._codec(font), "replace")

    def character(self, code: int, number: int) -> str:
        """A character of Unicode; one of the font's own by what it shows."""
        font = self._fonts.get(number)
        if code in _PRIVATE and (signs := _signs(font)):
            return signs.get(code - 0xF000, "")
        return chr(code)

    def sign(self, code: int, name: str) -> str:
        """What a font of signs shows for a number; nothing for another font."""
        return _SIGNS.get(name.lower(), {}).get(code, "")

    def _codec(self, font: Font | None) -> str:
        page = self.page
        if font is not None and font.page:
            page = font.page
        elif font is not None and font.charset is not None and (font.charset or page < _MACINTOSH):
            page = _CHARSETS.get(font.charset, page)
        return _codec(page)


def _signs(font: Font | None) -> dict[int, str]:
    return _SIGNS.get(font.name.strip("; ").lower(), {}) if font is not None and font.name else {}


def _codec(page: int) -> str:
    name = _CODECS.get(page, f"cp{page}")
    try:
        codecs.lookup(name)
    except LookupError:
        return "cp1252"
    return name

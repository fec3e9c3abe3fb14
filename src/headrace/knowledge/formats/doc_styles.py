"""Styles of a Word 97-2003 file, and the modifiers that styles and paragraphs are made of ([MS-DOC] 2.6, 2.9)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headrace.knowledge.formats.compound import UNREADABLE
from headrace.knowledge.formats.word_styles import level_of

_TITLE, _PARAGRAPH = 62, 1
LIST = 0x460B
_LIST_LEVEL, _OUTLINE = 0x260A, 0x2640
_NO_LIST = (0, 0xF801)
_BODY = 9
_SIZES = (1, 1, 2, 4, 2, 2, -1, 3)
_LONG_TABLE, _LONG_TABS = (0xD606, 0xD608), 0xC615
_MOST = 500
"""Modifiers of one paragraph that are looked at."""

Modifiers = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """`level`: of a heading, 0 for the document's title. `listed`: depth in a list, from 0."""

    level: int | None = None
    listed: int | None = None


def modifiers(data: bytes) -> Modifiers:
    """Properties with their operands as numbers; those of any length have none ([MS-DOC] 2.2.5)."""
    found: dict[int, int] = {}
    at = 0
    for _ in range(_MOST):
        if at + 3 > len(data):
            break
        (name,) = struct.unpack_from("<H", data, at)
        at += 2
        size = _SIZES[name >> 13]
        if size > 0:
            found[name] = int.from_bytes(data[at : at + size], "little")
        elif name in _LONG_TABLE:
            size = int.from_bytes(data[at : at + 2], "little") + 1
        elif name == _LONG_TABS and data[at] == 255:
            break  # its length is that of its content: what comes behind it are tabulators, too
        else:
            size = data[at] + 1
        at += size
    return found


def style_of(said: Modifiers) -> Style:
    outline, numbered = said.get(_OUTLINE, _BODY), said.get(LIST, 0)
    level = outline + 1 if outline < _BODY else None
    return Style(level, min(said.get(_LIST_LEVEL, 0), 8) if numbered not in _NO_LIST else None)


def styles(sheet: bytes) -> dict[int, Style]:
    """The style sheet (STSH in [MS-DOC] 2.9): number to style, with what the one it is based on says."""
    found: dict[int, Style] = {}
    based: dict[int, int] = {}
    for number, std, fixed in _definitions(sheet):
        try:
            first, second = struct.unpack_from("<HH", std)
            if second & 0xF == _PARAGRAPH:
                found[number] = _style(first & 0xFFF, std, fixed)
                based[number] = second >> 4
        except UNREADABLE:
            continue
    for number in found:
        above = number
        for _ in range(10):
            above = based.get(above, 0xFFF)
            style, base = found[number], found.get(above, Style())
            level = base.level if style.level is None else style.level
            found[number] = Style(level, base.listed if style.listed is None else style.listed)
    return found


def _definitions(sheet: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Style number, definition (STD), and how long its fixed part is."""
    if len(sheet) < 6:
        return
    header, count, fixed = struct.unpack_from("<HHH", sheet)
    at = 2 + header
    for number in range(min(count, 4095)):
        if at + 2 > len(sheet):
            return
        (size,) = struct.unpack_from("<H", sheet, at)
        if size:
            yield number, sheet[at + 2 : at + 2 + size], fixed
        at += 2 + size


def _style(kind: int, std: bytes, fixed: int) -> Style:
    """By what Word calls the style, else by its name, else by what it sets."""
    (length,) = struct.unpack_from("<H", std, fixed)
    end = fixed + 2 + 2 * length
    name = std[fixed + 2 : end].decode("utf-16-le", "replace").partition(",")[0].strip()
    at = end + 2 + (end % 2)
    own = Style()
    if at + 4 <= len(std):
        (size,) = struct.unpack_from("<H", std, at)
        own = style_of(modifiers(std[at + 4 : at + 2 + size]))
    if 1 <= kind <= 9:
        return Style(kind, own.listed)
    if kind == _TITLE:
        return Style(0, own.listed)
    if (level := level_of(name)) is not None:
        return Style(level, own.listed)
    return own

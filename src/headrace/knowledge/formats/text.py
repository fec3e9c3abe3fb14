"""Plain text, source code, and whatever else is text: as it stands."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath

from headrace.errors import BadInput
from headrace.knowledge.formats.charsets import codec_of, meant, seven_bit, unstated
from headrace.knowledge.parsed import File, Parsed

BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# HTML and CSS, XML, PEP 263 and Emacs: how a text names its own encoding, near its beginning.
_STATED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+) | <\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)
    | ^[ \t\f]*(?:\#|//|;|%|\.\.|<!--|/\*).{0,200}?coding[:=]\s*([\w.:-]+)""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)


def parse(file: File) -> Parsed:
    text = text_of(file)
    return Parsed(name_of(file.path), text, False, file.media)


def text_of(file: File) -> str:
    """A file's characters, counted."""
    text = decode(file.path, file.content, file.charset)
    file.wrote(len(text))
    return text


def decode(path: str, content: bytes, charset: str | None = None) -> str:
    """Text in UTF-8, with a byte order mark in UTF-16 or 32, in the encoding that it (or `charset`) states, or in the
    only one that can be meant.

    A byte order mark is left out. Raises BadInput with the place of the first wrong byte.
    """
    for mark, name in BOMS:
        if content.startswith(mark) and len(content) > len(mark):
            return _as(path, content, name)
    if charset is None and (wide := _wide(content)):
        return _as(path, content, wide)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        named = charset or stated_charset(content)
        if named is not None and not _is_ascii(named):
            return _as(path, content, named)
        if (found := unstated(content)) is not None:
            return _clean(path, found)
        if named is not None:
            return _as(path, content, named)
        wrong = content[error.start : error.start + 1].hex()
        raise _bad(path, f"byte 0x{wrong} at offset {error.start}") from None
    if charset is not None and charset.lower().replace("_", "-") != "utf-8" and not _is_ascii(charset):
        return _as(path, content, charset)
    return _clean(path, seven_bit(content) or text)


def stated_charset(content: bytes) -> str | None:
    """The encoding that a text names in its first lines, when it is one that is known."""
    match = _STATED.search(content[:2048])
    if match is None:
        return None
    name = next(g for g in match.groups() if g).decode("ascii", "replace")
    try:
        codec = codec_of(name)
    except LookupError:
        return None
    return name if codec.name not in ("utf-8", "utf-8-sig") and _is_text(codec) else None


def _is_ascii(charset: str) -> bool:
    """Whether it says nothing of bytes that are beyond."""
    return charset.lower().replace("_", "-") in ("us-ascii", "ascii", "unknown-8bit", "x-unknown")


def _is_text(codec: codecs.CodecInfo) -> bool:
    """Some codecs of Python make bytes of bytes."""
    return getattr(codec, "_is_text_encoding", True)


def _wide(content: bytes) -> str | None:
    """UTF-16 without its mark: of mostly Latin text every second byte is NUL."""
    head = content[:4096]
    if len(head) < 16 or len(content) % 2:
        return None
    even, odd = head[::2].count(0) / (len(head) // 2), head[1::2].count(0) / (len(head) // 2)
    if odd > 0.7 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 and odd < 0.05 else None


def _as(path: str, content: bytes, charset: str) -> str:
    try:
        return _clean(path, meant(content, charset).removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        wrong = content[error.start : error.start + 1].hex()
        raise _bad(path, f"byte 0x{wrong} at offset {error.start}, though it is said to be {charset}") from None
    except (LookupError, UnicodeError):
        raise _bad(path, f"text that is said to be {charset[:40]}, which it is not") from None


def _clean(path: str, text: str) -> str:
    nul = text.find("\0")
    if nul >= 0:
        raise _bad(path, f"a NUL character at offset {nul}")
    return text


def name_of(path: str) -> str:
    return PurePosixPath(path).stem.replace("_", " ").replace("-", " ")


def _bad(path: str, got: str) -> BadInput:
    return BadInput(
        step=f"parse {path}",
        expected="a document of a known format, or UTF-8 text",
        got=got,
        remedy="Save the file as UTF-8, or leave it out with `exclude`.",
    )

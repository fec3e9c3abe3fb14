"""Text of any character set that the server has, as the server itself reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

Decoder = Callable[[bytes], str]
"""Raises ValueError for bytes that are no text."""

BINARY = "binary"
_UNICODE = {
    "utf8": "utf-8",
    "utf8mb3": "utf-8",
    "utf8mb4": "utf-8",
    "ascii": "ascii",
    "ucs2": "utf-16-be",
    "utf16": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
}


class Charsets:
    """`collations`: the character set of each by its id. `tables`: of each single-byte character set the 256
    characters of its bytes, told by the server: libraries differ in some of them."""

    def __init__(self, collations: Mapping[int, str], tables: Mapping[str, str]) -> None:
        self._collations = collations
        self._tables = tables

    def name(self, collation: int) -> str:
        """Of a collation's character set; of one that is not known here its number."""
        return self._collations.get(collation, f"collation {collation}")

    def readable(self, charset: str) -> bool:
        return charset == BINARY or charset in _UNICODE or charset in self._tables

    def decoder(self, charset: str) -> Decoder | None:
        """None for bytes that are not text. Raises ValueError for a character set that cannot be read."""
        if charset == BINARY:
            return None
        if (codec := _UNICODE.get(charset)) == "utf-8":
            return bytes.decode
        if codec is not None:
            return partial(_decode, codec)
        if (table := self._tables.get(charset)) is not None:
            return partial(_map, table)
        raise ValueError(f"the character set {charset}")


def _decode(codec: str, data: bytes) -> str:
    return data.decode(codec)


def _map(table: str, data: bytes) -> str:
    return "".join([table[byte] for byte in data])
